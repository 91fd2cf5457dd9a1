/* base/hash.c - SHA-256, BLAKE2b, and secrets, by libsodium. */
#include "base/hash.h"

#include <string.h>

#include <sodium.h>

#include "base/fail.h"

_Static_assert(SQ_HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void sq_hash(const void *bytes, size_t size, unsigned char *out)
{
    crypto_hash_sha256(out, bytes, size);
}

char *sq_hash_format(const unsigned char *hash, char *text)
{
    return sodium_bin2hex(text, SQ_HASH_TEXT, hash, SQ_HASH_BYTES);
}

void sq_hash_blake2b(const void *bytes, size_t size, unsigned char *out, size_t length)
{
    crypto_generichash(out, length, bytes, size, NULL, 0);
}

bool sq_hash_equal(const unsigned char *a, const unsigned char *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

char *sq_hex_format(const unsigned char *bytes, size_t length, char *text)
{
    return sodium_bin2hex(text, 2 * length + 1, bytes, length);
}

bool sq_hex_parse(const char *text, unsigned char *bytes, size_t length)
{
    size_t found = 0;
    const size_t digits = strlen(text);
    return digits == 2 * length &&
           sodium_hex2bin(bytes, length, text, digits, NULL, &found, NULL) == 0 && found == length;
}

squall_status sq_random_bytes(void *out, size_t length, squall_error *err)
{
    if (sodium_init() < 0) {
        return sq_fail(err, SQUALL_E_IO, "random numbers", "the system gives none");
    }
    randombytes_buf(out, length);
    return SQUALL_OK;
}
