/* base/sign.c - Ed25519 signatures, by libsodium. */
#include "base/sign.h"

#include <sodium.h>

#include "base/fail.h"

_Static_assert(SQ_SIGN_SEED_BYTES == crypto_sign_SEEDBYTES, "a seed of Ed25519 has 32 bytes");
_Static_assert(SQ_SIGN_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "a public key has 32 bytes");
_Static_assert(SQ_SIGN_BYTES == crypto_sign_BYTES, "a signature has 64 bytes");

squall_status sq_sign_make_seed(unsigned char *seed, squall_error *err)
{
    if (sodium_init() < 0) {
        return sq_fail(err, SQUALL_E_IO, "random numbers", "the system gives none");
    }
    randombytes_buf(seed, SQ_SIGN_SEED_BYTES);
    return SQUALL_OK;
}

void sq_sign_public(const unsigned char *seed, unsigned char *public_key)
{
    unsigned char secret[crypto_sign_SECRETKEYBYTES];
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    sodium_memzero(secret, sizeof secret);
}

void sq_sign(const unsigned char *seed, const void *bytes, size_t size, unsigned char *signature)
{
    unsigned char secret[crypto_sign_SECRETKEYBYTES], public_key[SQ_SIGN_PUBLIC_BYTES];
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    (void)crypto_sign_detached(signature, NULL, bytes, size, secret);
    sodium_memzero(secret, sizeof secret);
}

bool sq_sign_check(const unsigned char *public_key, const void *bytes, size_t size,
                   const unsigned char *signature)
{
    return crypto_sign_verify_detached(signature, bytes, size, public_key) == 0;
}

void sq_sign_forget(void *secret, size_t size)
{
    sodium_memzero(secret, size);
}
