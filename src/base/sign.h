/* base/sign.h - Ed25519 signatures, by libsodium. */
#ifndef SQ_BASE_SIGN_H
#define SQ_BASE_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/status.h"

#define SQ_SIGN_SEED_BYTES   32 /* a secret key, as RFC 8032 has it */
#define SQ_SIGN_PUBLIC_BYTES 32
#define SQ_SIGN_BYTES        64 /* a signature */

/** A new secret key from the system's random numbers; SQUALL_E_IO when there are none. */
SQUALL_MUST_USE squall_status sq_sign_make_seed(unsigned char *seed, squall_error *err);

/** The public key of a secret one. */
void sq_sign_public(const unsigned char *seed, unsigned char *public_key);

/** Sign `size` bytes into `signature`, SQ_SIGN_BYTES. The same input gives the same signature. */
void sq_sign(const unsigned char *seed, const void *bytes, size_t size, unsigned char *signature);

/** Whether `signature` is that of these bytes by this key. */
bool sq_sign_check(const unsigned char *public_key, const void *bytes, size_t size,
                   const unsigned char *signature);

/** Overwrite a secret that is no longer needed; the compiler may not leave it out. */
void sq_sign_forget(void *secret, size_t size);

#endif /* SQ_BASE_SIGN_H */
