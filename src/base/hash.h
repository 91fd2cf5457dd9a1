/* base/hash.h - SHA-256, BLAKE2b, and secrets, by libsodium. */
#ifndef SQ_BASE_HASH_H
#define SQ_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/status.h"

#define SQ_HASH_BYTES 32
#define SQ_HASH_TEXT  (2 * SQ_HASH_BYTES + 1)

/** SHA-256 of `size` bytes into `out`, SQ_HASH_BYTES. */
void sq_hash(const void *bytes, size_t size, unsigned char *out);

/** SHA-256 of `count` messages of `size` bytes each, several at a time where the processor can:
 * out[i] is that of data[i]. */
void sq_hash_many(const unsigned char *const *data, size_t count, size_t size,
                  unsigned char (*out)[SQ_HASH_BYTES]);

/** SHA-512 of `size` bytes into `out`, 64 bytes. */
void sq_hash_sha512(const void *bytes, size_t size, unsigned char *out);

/** A hash in hexadecimal, SQ_HASH_TEXT bytes with the end; returns `text`. */
char *sq_hash_format(const unsigned char *hash, char *text);

/** BLAKE2b of `size` bytes into `out`, `length` bytes (16..64). */
void sq_hash_blake2b(const void *bytes, size_t size, unsigned char *out, size_t length);

/** The same with a key of 16 to 64 bytes: only who has the key can make it. */
void sq_hash_keyed(const void *bytes, size_t size, const unsigned char *key, size_t key_size,
                   unsigned char *out, size_t length);

/** Whether two hashes are equal, in a time that does not tell where they differ. */
bool sq_hash_equal(const unsigned char *a, const unsigned char *b, size_t length);

/** Bytes in hexadecimal, 2 * length + 1 with the end; returns `text`. */
char *sq_hex_format(const unsigned char *bytes, size_t length, char *text);

/** Read exactly `length` bytes of hexadecimal digits; false when `text` is anything else. */
bool sq_hex_parse(const char *text, unsigned char *bytes, size_t length);

/** Bytes in base64 with its padding; false when `size` bytes are too few. */
bool sq_base64_format(const unsigned char *bytes, size_t length, char *text, size_t size);

/** Read base64 with its padding into at most `room` bytes; false when `text` is anything else. */
bool sq_base64_parse(const char *text, unsigned char *bytes, size_t room, size_t *length);

/** Bytes that nobody can guess; SQUALL_E_IO when the system has none. */
SQUALL_MUST_USE squall_status sq_random_bytes(void *out, size_t length, squall_error *err);

#endif /* SQ_BASE_HASH_H */
