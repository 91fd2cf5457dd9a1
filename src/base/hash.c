/* base/hash.c - SHA-256, by libsodium. */
#include "base/hash.h"

#include <sodium.h>

_Static_assert(SQ_HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void sq_hash(const void *bytes, size_t size, unsigned char *out)
{
    crypto_hash_sha256(out, bytes, size);
}

char *sq_hash_format(const unsigned char *hash, char *text)
{
    return sodium_bin2hex(text, SQ_HASH_TEXT, hash, SQ_HASH_BYTES);
}
