/* base/hash_many.h - the ways to hash several messages at once; for the files of this room alone.
 */
#ifndef SQ_BASE_HASH_MANY_H
#define SQ_BASE_HASH_MANY_H

#include <stddef.h>

#include "base/hash.h"

/** SHA-256 of 16 or 8 messages of `bytes` bytes each, whole blocks of 64. */
void sq_hash_lanes_avx512(const unsigned char *const *data, size_t bytes,
                          unsigned char (*out)[SQ_HASH_BYTES]);
void sq_hash_lanes_avx2(const unsigned char *const *data, size_t bytes,
                        unsigned char (*out)[SQ_HASH_BYTES]);

#endif /* SQ_BASE_HASH_MANY_H */
