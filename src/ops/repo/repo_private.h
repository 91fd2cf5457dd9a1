/* ops/repo/repo_private.h - what the files of the room share. */
#ifndef SQ_OPS_REPO_REPO_PRIVATE_H
#define SQ_OPS_REPO_REPO_PRIVATE_H

#include "ops/repo/repo.h"

#define SQ_REPO_MANIFEST  "manifest.json"
#define SQ_REPO_SIGNATURE "manifest.sig"
enum { SQ_REPO_MANIFEST_BYTES = 1 << 20 };

/** The manifest as text (given, sq_text_free); `failed` without memory. */
void sq_repo_format(const sq_repo_version *version, sq_text *out);
/** "squall-manifest-signature 1 KEY SIGNATURE\n" */
void sq_repo_format_signature(const sq_repo_version *version, sq_text *out);
/** What Triton reads, in models/NAME. */
void sq_repo_format_triton(const char *name, sq_text *out);

bool sq_repo_is_name(const char *name);
/** SHA-256 and size of a file. */
SQUALL_MUST_USE squall_status sq_repo_hash(const char *path, char *hex, int64_t *bytes,
                                           squall_error *err);
/** The device that an engine is for; it is opened, and closed again. `model` and `recipe`
 * (SQ_HASH_TEXT; given, sq_free; NULL for none), what it was made from; may be NULL. */
SQUALL_MUST_USE squall_status sq_repo_look_at_engine(const char *path, char *device, size_t room,
                                                     char *model, char **recipe, char **certificate,
                                                     squall_error *err);
/** Take the repository's lock; the descriptor to close, or -1. */
int sq_repo_lock(const sq_repo *repo, squall_error *err);
/** Remove a folder of files, and the folder. */
void sq_repo_remove_folder(const char *path);
/** fsync a folder. */
void sq_repo_sync_folder(const char *path);

#endif /* SQ_OPS_REPO_REPO_PRIVATE_H */
