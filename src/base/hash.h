/* base/hash.h - SHA-256, by libsodium. */
#ifndef SQ_BASE_HASH_H
#define SQ_BASE_HASH_H

#include <stddef.h>

#define SQ_HASH_BYTES 32
#define SQ_HASH_TEXT  (2 * SQ_HASH_BYTES + 1)

/** SHA-256 of `size` bytes into `out`, SQ_HASH_BYTES. */
void sq_hash(const void *bytes, size_t size, unsigned char *out);

/** A hash in hexadecimal, SQ_HASH_TEXT bytes with the end; returns `text`. */
char *sq_hash_format(const unsigned char *hash, char *text);

#endif /* SQ_BASE_HASH_H */
