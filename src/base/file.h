/* base/file.h - files read whole or mapped, and files that appear only when they are complete. */
#ifndef SQ_BASE_FILE_H
#define SQ_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/status.h"

/** The bytes of a file, mapped read-only. Release with sq_file_unmap(). */
typedef struct sq_mapping {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
} sq_mapping;

/** Map `path`; SQUALL_E_IO when it cannot be opened or is no regular file, SQUALL_E_LIMIT when it
 * is larger than `limit` bytes. */
SQUALL_MUST_USE squall_status sq_file_map(const char *path, size_t limit, sq_mapping *out,
                                          squall_error *err);
void sq_file_unmap(sq_mapping *mapping);

/** Read a whole file; `*bytes` is given (sq_free) and has one extra zero byte behind its end. */
SQUALL_MUST_USE squall_status sq_file_read(const char *path, size_t limit, unsigned char **bytes,
                                           size_t *size, squall_error *err);

/** A file being written under a temporary name in the folder of its final one.
 *
 * Zero-initialise; begin, write to `temporary` by any means, then commit (fsync, rename, fsync of
 * the folder) or abort (remove). Until the commit the old file, if any, stays as it was. */
typedef struct sq_atomic_file {
    char *path;      /* owned; the final name */
    char *temporary; /* owned; what to write; unique to this process and call */
} sq_atomic_file;

SQUALL_MUST_USE squall_status sq_atomic_begin(const char *path, sq_atomic_file *file,
                                              squall_error *err);
SQUALL_MUST_USE squall_status sq_atomic_commit(sq_atomic_file *file, squall_error *err);
void sq_atomic_abort(sq_atomic_file *file);

/** The whole of it at once: `bytes` become the content of `path`, or `path` stays as it was. */
SQUALL_MUST_USE squall_status sq_file_write(const char *path, const void *bytes, size_t size,
                                            squall_error *err);

/** Make a folder and its parents; one that is there already is fine. */
SQUALL_MUST_USE squall_status sq_folder_make(const char *path, squall_error *err);

/** The user's folder for what squall remembers: the one that SQUALL_STATE names, or squall/ in
 * XDG_STATE_HOME, or ~/.local/state/squall; it need not be there. False when none is known. */
bool sq_state_folder(char *out, size_t room);

bool sq_path_is_folder(const char *path);

/** The part of `path` after its last slash; borrowed from it. */
const char *sq_path_name(const char *path);

#endif /* SQ_BASE_FILE_H */
