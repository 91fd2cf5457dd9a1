/* base/text.h - text that grows while it is written. */
#ifndef SQ_BASE_TEXT_H
#define SQ_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/** A string under construction. Zero-initialise; release with sq_text_free(). Once an allocation
 * has failed `failed` stays true and further writes do nothing, so one check at the end is enough.
 */
typedef struct sq_text {
    char *data; /* zero-terminated, or NULL while empty */
    size_t length, capacity;
    bool failed;
} sq_text;

__attribute__((format(printf, 2, 3))) void sq_text_add(sq_text *text, const char *format, ...);

/** Append raw bytes. */
void sq_text_add_bytes(sq_text *text, const void *bytes, size_t count);

/** Append words as HTML shows them: & < > and double quotes are written out. */
void sq_text_add_html(sq_text *text, const char *words);

void sq_text_free(sq_text *text);

#endif /* SQ_BASE_TEXT_H */
