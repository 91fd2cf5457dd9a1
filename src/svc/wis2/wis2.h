/* svc/wis2/wis2.h - WIS2 notifications over MQTT: messages of new files come in and the files are
 * fetched; messages of our products go out. It knows no weather. */
#ifndef SQ_SVC_WIS2_WIS2_H
#define SQ_SVC_WIS2_WIS2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "svc/config/config.h"
#include "svc/metrics/metrics.h"

/* ---------------------------------------------------------------- messages */

#define SQ_WIS2_TEXT    1024
#define SQ_WIS2_DIGEST  64
#define SQ_WIS2_MESSAGE 65536 /* bytes of a message that is looked at; the standard has 8192 */

typedef enum sq_wis2_rel {
    SQ_WIS2_CANONICAL = 0,
    SQ_WIS2_UPDATE = 1,
    SQ_WIS2_DELETION = 2
} sq_wis2_rel;

/** What a notification says. Release with sq_wis2_message_free(). */
typedef struct sq_wis2_message {
    char data_id[SQ_WIS2_TEXT];
    int64_t published_ms; /* Unix milliseconds */
    sq_wis2_rel rel;
    char href[SQ_WIS2_TEXT];              /* of the file */
    int64_t length;                       /* of the file; -1 where it is not said */
    unsigned char digest[SQ_WIS2_DIGEST]; /* of the file */
    size_t digest_size;                   /* 32: SHA-256; 64: SHA-512; 0: none is given */
    unsigned char *content;               /* owned; the file itself where it is in the message */
    size_t content_size;
} sq_wis2_message;

/**
 * Read a notification message (WNM 1).
 *
 * @return SQUALL_OK; SQUALL_E_FORMAT with what is missing or wrong; SQUALL_E_LIMIT;
 *         SQUALL_E_UNSUPPORTED (a hash or an encoding that is not known); SQUALL_E_MEMORY.
 *         On failure there is nothing to free.
 */
SQUALL_MUST_USE squall_status sq_wis2_read(const void *bytes, size_t size, sq_wis2_message *out,
                                           squall_error *err);
void sq_wis2_message_free(sq_wis2_message *message);
/** Whether these bytes are the file that the message speaks of. @return SQUALL_OK;
 * SQUALL_E_CORRUPT. */
SQUALL_MUST_USE squall_status sq_wis2_verify(const sq_wis2_message *message, const void *bytes,
                                             size_t size, squall_error *err);

/** A product to be announced; all borrowed. */
typedef struct sq_wis2_product {
    const char *region, *name; /* name of its file */
    const char *href, *type;   /* where it is, and its media type */
    const void *bytes;         /* the file */
    size_t size;
    int64_t start, end; /* times that it is of */
    double west, south, east, north;
} sq_wis2_product;

/** The message of a product. `id` is a UUID; `metadata_id` may be empty. */
void sq_wis2_write(const sq_wis2_product *product, const char *id, const char *data_id,
                   const char *metadata_id, sq_wis2_rel rel, int64_t published_ms, sq_text *out);

/* ---------------------------------------------------------------- brokers */

/** Takes a file that was fetched and is whole. Called on a thread of the room. */
typedef squall_status sq_wis2_arrived(void *owner, const char *source, const char *name,
                                      const void *bytes, size_t size, squall_error *err);

typedef struct sq_wis2 sq_wis2;

/** @param metrics, log  kept; may be NULL. @return NULL without memory. */
sq_wis2 *sq_wis2_create(sq_metrics *metrics, sq_log *log, sq_wis2_arrived *arrived, void *owner);
/** Be connected with the brokers of this configuration, and listen for its sources. Connections
 * whose sections are as before stay. A broker that is not there is tried again and again; nothing
 * waits for it. */
void sq_wis2_follow(sq_wis2 *wis2, const sq_config *config);
/** Tell the brokers that have a `publish` topic. Returns at once. */
void sq_wis2_announce(sq_wis2 *wis2, const sq_wis2_product *product);
/** Fetch no more: the owner takes no files from now on. */
void sq_wis2_deafen(sq_wis2 *wis2);
/** Brokers that are there are given what they have not got yet, for a second. */
void sq_wis2_destroy(sq_wis2 **wis2);

#endif /* SQ_SVC_WIS2_WIS2_H */
