/* base/file.c - files read whole or mapped, and files that appear only when they are complete. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

const char *sq_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool sq_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Open a regular file for reading and learn its size. */
static squall_status open_regular(const char *path, size_t limit, int *fd, size_t *size,
                                  squall_error *err)
{
    struct stat info;
    /* O_NONBLOCK: a named pipe without a writer must not hang us before we can refuse it. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be opened: %s", strerror(errno));
    }
    if (fstat(*fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(*fd);
        return sq_fail(err, SQUALL_E_IO, path, "is not a regular file");
    }
    if ((unsigned long long)info.st_size > limit) {
        close(*fd);
        return sq_fail(err, SQUALL_E_LIMIT, path, "has %lld bytes; at most %zu are read",
                       (long long)info.st_size, limit);
    }
    *size = (size_t)info.st_size;
    return SQUALL_OK;
}

squall_status sq_file_map(const char *path, size_t limit, sq_mapping *out, squall_error *err)
{
    int fd;
    size_t size;
    SQ_TRY(open_regular(path, limit, &fd, &size, err));
    void *data = NULL;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    const int saved = errno;
    close(fd);
    if (data == MAP_FAILED) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be mapped: %s", strerror(saved));
    }
    out->data = data;
    out->size = size;
    return SQUALL_OK;
}

void sq_file_unmap(sq_mapping *mapping)
{
    if (mapping->data != NULL) {
        munmap((void *)(uintptr_t)mapping->data, mapping->size);
    }
    memset(mapping, 0, sizeof *mapping);
}

squall_status sq_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                           squall_error *err)
{
    int fd;
    size_t expected, got = 0;
    SQ_TRY(open_regular(path, limit, &fd, &expected, err));
    unsigned char *buffer = sq_alloc_raw(expected + 1, 1);
    if (buffer == NULL) {
        close(fd);
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its %zu bytes", expected);
    }
    while (got < expected) {
        const ssize_t n = read(fd, buffer + got, expected - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        got += (size_t)n;
    }
    const int saved = errno;
    close(fd);
    if (got < expected) {
        sq_free(buffer);
        return sq_fail(err, SQUALL_E_IO, path, "only %zu of %zu bytes could be read: %s", got,
                       expected, strerror(saved));
    }
    buffer[got] = 0;
    *bytes = buffer;
    *size = got;
    return SQUALL_OK;
}

squall_status sq_atomic_begin(const char *path, sq_atomic_file *file, squall_error *err)
{
    static atomic_uint serial;
    const size_t room = strlen(path) + 48;
    memset(file, 0, sizeof *file);
    if (sq_path_is_folder(path)) {
        return sq_fail(err, SQUALL_E_IO, path, "is a folder; a file name is needed");
    }
    file->path = sq_strdup(path);
    file->temporary = sq_alloc(room, 1);
    if (file->path == NULL || file->temporary == NULL) {
        sq_atomic_abort(file);
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its name");
    }
    /* Hidden, and with a suffix of our own, so that no watcher takes it for a product. */
    const char *name = sq_path_name(path);
    snprintf(file->temporary, room, "%.*s.%s.%ld-%u.part", (int)(name - path), path, name,
             (long)getpid(), atomic_fetch_add(&serial, 1u));
    return SQUALL_OK;
}

void sq_atomic_abort(sq_atomic_file *file)
{
    if (file->temporary != NULL) {
        unlink(file->temporary);
    }
    sq_free(file->temporary);
    sq_free(file->path);
    memset(file, 0, sizeof *file);
}

/* fsync what `path` names; 0, or an errno value. */
static int sync_path(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int result = 0;
    if (fsync(fd) != 0) {
        result = errno;
    }
    if (close(fd) != 0 && result == 0) {
        result = errno;
    }
    return result;
}

squall_status sq_atomic_commit(sq_atomic_file *file, squall_error *err)
{
    int problem = sync_path(file->temporary, O_RDWR);
    if (problem == 0 && rename(file->temporary, file->path) != 0) {
        problem = errno;
    }
    if (problem != 0) {
        const squall_status status =
            sq_fail(err, SQUALL_E_IO, file->path,
                    "cannot be written: %s; what was there is unchanged", strerror(problem));
        sq_atomic_abort(file);
        return status;
    }
    /* The rename must survive a power cut too. Not every file system lets a folder be synced; the
     * product is complete either way, so that is no failure. */
    char *folder = sq_strdup(file->path);
    if (folder != NULL) {
        char *slash = strrchr(folder, '/');
        if (slash != NULL) {
            slash[slash == folder ? 1 : 0] = '\0';
        }
        (void)sync_path(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY);
        sq_free(folder);
    }
    sq_free(file->temporary);
    sq_free(file->path);
    memset(file, 0, sizeof *file);
    return SQUALL_OK;
}

squall_status sq_file_write(const char *path, const void *bytes, size_t size, squall_error *err)
{
    sq_atomic_file file;
    SQ_TRY(sq_atomic_begin(path, &file, err));
    const int fd = open(file.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t done = 0;
    int problem = fd < 0 ? errno : 0;
    while (problem == 0 && done < size) {
        const ssize_t n = write(fd, (const char *)bytes + done, size - done);
        if (n < 0 && errno != EINTR) {
            problem = errno;
        } else if (n > 0) {
            done += (size_t)n;
        }
    }
    if (fd >= 0 && close(fd) != 0 && problem == 0) {
        problem = errno;
    }
    if (problem != 0) {
        const squall_status status =
            sq_fail(err, SQUALL_E_IO, path, "cannot be written: %s; what was there is unchanged",
                    strerror(problem));
        sq_atomic_abort(&file);
        return status;
    }
    return sq_atomic_commit(&file, err);
}

squall_status sq_folder_make(const char *path, squall_error *err)
{
    char *copy = sq_strdup(path);
    if (copy == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its name");
    }
    for (char *p = copy + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        const char kept = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            const int problem = errno;
            sq_free(copy);
            return sq_fail(err, SQUALL_E_IO, path, "folder cannot be made: %s", strerror(problem));
        }
        *p = kept;
        if (kept == '\0') {
            break;
        }
    }
    sq_free(copy);
    if (!sq_path_is_folder(path)) {
        return sq_fail(err, SQUALL_E_IO, path, "is not a folder");
    }
    return SQUALL_OK;
}

bool sq_state_folder(char *out, size_t room)
{
    const char *own = getenv("SQUALL_STATE"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (own != NULL && own[0] != '\0') {
        length = snprintf(out, room, "%s", own);
    } else if (state != NULL && state[0] != '\0') {
        length = snprintf(out, room, "%s/squall", state);
    } else if (home != NULL && home[0] != '\0') {
        length = snprintf(out, room, "%s/.local/state/squall", home);
    }
    return length > 0 && (size_t)length < room;
}
