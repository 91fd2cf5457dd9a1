/* ops/repo/repo.h - the model repository: versions of models that never change.
 *
 *   ROOT/models/NAME/config.pbtxt         so that Triton can read ROOT/models, too
 *   ROOT/models/NAME/VERSION/model.onnx   and recipe.json, card.json, DEVICE.engine, ...
 *   ROOT/models/NAME/VERSION/manifest.json, manifest.sig
 *   ROOT/blobs/SHA256                     the same files by their content (hard links)
 *   ROOT/trust/keyring, ROOT/trust/ledger
 */
#ifndef SQ_OPS_REPO_REPO_H
#define SQ_OPS_REPO_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/trust/trust.h"

enum { SQ_REPO_NAME = 48, SQ_REPO_PATH = 1024, SQ_REPO_FILES = 64 };

/** Where it is, and who may say what in it. Zero-initialise; release with sq_repo_close(). */
typedef struct sq_repo {
    char root[SQ_REPO_PATH];
    char keyring[SQ_REPO_PATH + 32], ledger_path[SQ_REPO_PATH + 32];
    bool trusted;     /* the keyring was read */
    sq_ring ring;     /* with `trusted` */
    sq_ledger ledger; /* with `trusted`; as it was when it was opened */
} sq_repo;

/**
 * Open a repository.
 *
 * @param roots_path  file of root public keys, by which keyring and ledger are checked; NULL to
 *                    look without trusting anything
 * @return SQUALL_OK; SQUALL_E_IO (no such folder); what sq_ring_read() and sq_ledger_read() give.
 */
SQUALL_MUST_USE squall_status sq_repo_open(const char *root, const char *roots_path, sq_repo *out,
                                           squall_error *err);
void sq_repo_close(sq_repo *repo);

typedef enum sq_repo_kind {
    SQ_REPO_MODEL = 0,      /* ONNX */
    SQ_REPO_RECIPE = 1,     /* JSON */
    SQ_REPO_CARD = 2,       /* JSON: data, licence, skill */
    SQ_REPO_ENGINE = 3,     /* one a device */
    SQ_REPO_REPORT = 4,     /* of the pipeline that made it */
    SQ_REPO_CERTIFICATE = 5 /* JSON: how an engine of 8 bits was calibrated */
} sq_repo_kind;
const char *sq_repo_kind_name(sq_repo_kind kind);

/** One file of a version. */
typedef struct sq_repo_file {
    char name[96]; /* in the version's folder */
    sq_repo_kind kind;
    char device[48]; /* of an engine: "cpu-avx512vnni", "cuda-sm_90a" */
    char sha256[SQ_HASH_TEXT];
    int64_t bytes;
} sq_repo_file;

/** What a version is: its manifest. */
typedef struct sq_repo_version {
    char name[SQ_REPO_NAME];
    int64_t version, made;
    char squall[24]; /* version of the program that added it */
    char note[SQ_TRUST_NOTE];
    sq_repo_file files[SQ_REPO_FILES];
    size_t count;
    char sha256[SQ_HASH_TEXT]; /* of the manifest */
    unsigned char key[SQ_SIGN_PUBLIC_BYTES], signature[SQ_SIGN_BYTES];
} sq_repo_version;

/** What shall become a version; all borrowed. */
typedef struct sq_repo_addition {
    const char *name;           /* letters, digits and -_. */
    const char *model;          /* ONNX file */
    const char *recipe;         /* file; NULL: that of the first engine, if any */
    const char *card;           /* JSON file with texts `data`, `licence` and an object `skill` */
    const char *const *engines; /* files */
    size_t engine_count;
    const char *const *reports; /* files that go with it */
    size_t report_count;
    const char *secret; /* key of role train, which signs it */
    const char *note;   /* NULL for none */
} sq_repo_addition;

/**
 * Add a version: the next number of that name. Everything is checked first: the card has what it
 * must, each engine opens, was built from this very model and carries this recipe, and no two are
 * for one device. It appears whole or not at all.
 *
 * @param version  set to the new number; when the newest version has the same files that one is
 *                 left alone and its number given
 * @param is_new   set; may be NULL
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_FORMAT, SQUALL_E_MISMATCH (what does not fit);
 *         SQUALL_E_SIGNATURE (the key may not); SQUALL_E_IO; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_repo_add(sq_repo *repo, const sq_repo_addition *addition,
                                          int64_t *version, bool *is_new, squall_error *err);

/** Read a manifest and its signature's form; who signed it, and whether its files are right, is
 * sq_repo_verify()'s. @return SQUALL_OK; SQUALL_E_NO_DATA; SQUALL_E_CORRUPT; SQUALL_E_IO. */
SQUALL_MUST_USE squall_status sq_repo_read(const sq_repo *repo, const char *name, int64_t version,
                                           sq_repo_version *out, squall_error *err);

/**
 * Check a version to its last byte: the manifest's signature, its line in the ledger, the hash of
 * every file, and that nothing else lies there. The repository must be `trusted`.
 *
 * @return SQUALL_OK; SQUALL_E_SIGNATURE; SQUALL_E_CORRUPT; SQUALL_E_NO_DATA; SQUALL_E_IO.
 */
SQUALL_MUST_USE squall_status sq_repo_verify(const sq_repo *repo, const char *name, int64_t version,
                                             sq_repo_version *out, squall_error *err);
/** All of it: every version, and that every version that the ledger knows is there. What is wrong
 * goes to `problems`, a line each. */
SQUALL_MUST_USE squall_status sq_repo_verify_all(const sq_repo *repo, size_t *versions,
                                                 squall_notes *problems, squall_error *err);

/** Names of models, sorted; given (sq_repo_names_free). */
SQUALL_MUST_USE squall_status sq_repo_models(const sq_repo *repo, char ***out, size_t *count,
                                             squall_error *err);
void sq_repo_names_free(char ***names, size_t count);
/** Numbers of a model's versions, ascending; given (sq_free). */
SQUALL_MUST_USE squall_status sq_repo_versions(const sq_repo *repo, const char *name, int64_t **out,
                                               size_t *count, squall_error *err);

/** The path of a version's file: `path` has SQ_REPO_PATH bytes. */
SQUALL_MUST_USE squall_status sq_repo_path(const sq_repo *repo, const char *name, int64_t version,
                                           const char *file, char *path, squall_error *err);
/**
 * The engine of a version for this host, `path` has SQ_REPO_PATH bytes: one whose device plan runs
 * here. @return SQUALL_OK; SQUALL_E_MISMATCH, naming the devices that there are.
 */
SQUALL_MUST_USE squall_status sq_repo_engine(const sq_repo *repo, const sq_repo_version *version,
                                             char *path, squall_error *err);

/** What a collection took away. */
typedef struct sq_repo_gc {
    size_t versions, blobs, leftovers;
    int64_t bytes;
} sq_repo_gc;

/**
 * Take away: versions of `name` (NULL: of all) but the newest `keep` and the last two that were
 * promoted; blobs that no version has; what an interrupted addition left.
 *
 * @param secret  key of role train, which signs the removals; NULL to take away no version
 * @param dry     only count
 */
SQUALL_MUST_USE squall_status sq_repo_collect(sq_repo *repo, const char *name, int32_t keep,
                                              const char *secret, bool dry, sq_repo_gc *out,
                                              squall_error *err);

/** Append to the ledger, and read it again. */
SQUALL_MUST_USE squall_status sq_repo_log(sq_repo *repo, const char *secret, const char *what,
                                          const char *name, int64_t version, const char *manifest,
                                          const char *note, squall_error *err);

#endif /* SQ_OPS_REPO_REPO_H */
