/* squall/sign.h - who an engine is from: keys, signing, checking.
 *
 * Threads: calls may run side by side unless they write the same file. Ownership: everything passed
 * in is borrowed for the call.
 */
#ifndef SQUALL_SIGN_H
#define SQUALL_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "squall/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a public key in hexadecimal, with the end. */
#define SQUALL_KEY_TEXT 65

/**
 * Make a pair of Ed25519 keys: `<path>.key`, secret, readable by its owner alone, and `<path>.pub`.
 *
 * @param comment  optional; one line that says whose it is, kept in both files
 * @param public_key  filled, SQUALL_KEY_TEXT bytes; may be NULL
 * @return SQUALL_OK; SQUALL_E_ARGUMENT for a comment of more than one line or 200 bytes;
 *         SQUALL_E_IO, also when one of the files is there already: keys are never overwritten.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_key_create(const char *path, const char *comment,
                                                           char *public_key, squall_error *err);

/**
 * Sign an engine with a secret key; a signature that is there already is replaced.
 *
 * The engine is checked first, down to the last weight: what is signed can be opened.
 * @param out_path  where the signed engine goes; NULL or `engine_path` replaces it
 * @param public_key  filled with the signer's; may be NULL
 * @return SQUALL_OK; SQUALL_E_FORMAT when the key is none; the codes of squall_engine_open().
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_sign(const char *engine_path,
                                                            const char *key_path,
                                                            const char *out_path, char *public_key,
                                                            squall_error *err);

/**
 * Hold an engine against a file of trusted public keys, and every byte of it against its hashes.
 *
 * @param keys_path  public keys, one a line, as in the `.pub` files
 * @param public_key  filled with the signer's; may be NULL
 * @return SQUALL_OK; SQUALL_E_SIGNATURE when it is not signed, or not by one of the keys, or was
 *         changed after it was signed; the codes of squall_engine_open().
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_engine_verify(const char *engine_path,
                                                              const char *keys_path,
                                                              char *public_key, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_SIGN_H */
