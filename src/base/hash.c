/* base/hash.c - SHA-256, BLAKE2b, and secrets, by libsodium. */
#include "base/hash.h"

#include <string.h>

#include <sodium.h>

#include "base/fail.h"
#include "base/hash_many.h"
#include "base/processor.h"

_Static_assert(SQ_HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void sq_hash(const void *bytes, size_t size, unsigned char *out)
{
    crypto_hash_sha256(out, bytes, size);
}

#if defined(__x86_64__)
typedef void hash_lanes(const unsigned char *const *data, size_t bytes,
                        unsigned char (*out)[SQ_HASH_BYTES]);

/* The messages that fill the lanes, and what is left when it fills at least a third of them. */
static size_t hash_wide(hash_lanes *hash, size_t lanes, const unsigned char *const *data,
                        size_t count, size_t size, unsigned char (*out)[SQ_HASH_BYTES])
{
    size_t done = 0;
    for (; count - done >= lanes; done += lanes) {
        hash(data + done, size, out + done);
    }
    const size_t left = count - done;
    if (3 * left >= lanes) {
        const unsigned char *some[16];
        unsigned char made[16][SQ_HASH_BYTES];
        for (size_t l = 0; l < lanes; l++) {
            some[l] = data[done + (l < left ? l : 0)];
        }
        hash(some, size, made);
        memcpy(out + done, made, left * sizeof made[0]);
        done = count;
    }
    return done;
}
#endif

void sq_hash_many(const unsigned char *const *data, size_t count, size_t size,
                  unsigned char (*out)[SQ_HASH_BYTES])
{
    size_t done = 0;
#if defined(__x86_64__)
    if (size % 64 == 0 && sq_cpu_can(SQ_ISA_AVX512)) {
        done = hash_wide(sq_hash_lanes_avx512, 16, data, count, size, out);
    } else if (size % 64 == 0 && sq_cpu_can(SQ_ISA_AVX2)) {
        done = hash_wide(sq_hash_lanes_avx2, 8, data, count, size, out);
    }
#endif
    for (; done < count; done++) {
        sq_hash(data[done], size, out[done]);
    }
}

char *sq_hash_format(const unsigned char *hash, char *text)
{
    return sodium_bin2hex(text, SQ_HASH_TEXT, hash, SQ_HASH_BYTES);
}

void sq_hash_blake2b(const void *bytes, size_t size, unsigned char *out, size_t length)
{
    crypto_generichash(out, length, bytes, size, NULL, 0);
}

void sq_hash_keyed(const void *bytes, size_t size, const unsigned char *key, size_t key_size,
                   unsigned char *out, size_t length)
{
    crypto_generichash(out, length, bytes, size, key, key_size);
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

void sq_hash_sha512(const void *bytes, size_t size, unsigned char *out)
{
    static const unsigned char none[1];
    crypto_hash_sha512(out, size > 0 ? bytes : none, size);
}

bool sq_base64_format(const unsigned char *bytes, size_t length, char *text, size_t size)
{
    if (size < sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL)) {
        return false;
    }
    sodium_bin2base64(text, size, bytes, length, sodium_base64_VARIANT_ORIGINAL);
    return true;
}

bool sq_base64_parse(const char *text, unsigned char *bytes, size_t room, size_t *length)
{
    const char *end = NULL;
    const size_t given = strlen(text);
    return sodium_base642bin(bytes, room, text, given, NULL, length, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           end == text + given;
}
