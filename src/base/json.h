/* base/json.h - JSON written as it goes, for answers and logs. */
#ifndef SQ_BASE_JSON_H
#define SQ_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define SQ_JSON_DEPTH 64

/** A document under construction. Zero-initialise; release with sq_json_free(). `text.failed` says
 * at the end whether there was memory. `key` is the member's name in an object, NULL in an array
 * and at the top. The caller closes what it opens. */
typedef struct sq_json {
    sq_text text;
    unsigned depth;
    bool more[SQ_JSON_DEPTH]; /* whether something already stands at this depth */
} sq_json;

void sq_json_object(sq_json *json, const char *key);
void sq_json_array(sq_json *json, const char *key);
void sq_json_end_object(sq_json *json);
void sq_json_end_array(sq_json *json);

/** A text; bytes that are no UTF-8 become U+FFFD. NULL becomes null. */
void sq_json_text(sq_json *json, const char *key, const char *value);
/** The same of `length` bytes. */
void sq_json_text_n(sq_json *json, const char *key, const char *value, size_t length);
/** A text made by printf(). */
__attribute__((format(printf, 3, 4))) void sq_json_format(sq_json *json, const char *key,
                                                          const char *format, ...);
void sq_json_int(sq_json *json, const char *key, int64_t value);
/** A number with at most `digits` significant digits (1..17); null when it is not finite. */
void sq_json_real(sq_json *json, const char *key, double value, int digits);
void sq_json_bool(sq_json *json, const char *key, bool value);
void sq_json_null(sq_json *json, const char *key);
/** A time as "2026-11-22T17:45:00Z"; null for SQ_TIME_NONE. */
void sq_json_time(sq_json *json, const char *key, int64_t value);
/** Text that already is JSON. */
void sq_json_raw(sq_json *json, const char *key, const char *value);

void sq_json_free(sq_json *json);

#endif /* SQ_BASE_JSON_H */
