/* nn/onnx/onnx_external.c - tensors whose data lie in a file beside the model, and nowhere else. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nn/onnx/onnx_reader.h"

enum { FIELD_EXTERNAL = 13, FIELD_KEY = 1, FIELD_VALUE = 2 };

/* O_NONBLOCK: a named pipe must not hang us before it can be refused. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* One component after the other, each opened without following a link. */
static int walk_beneath(int folder, const char *name)
{
    int at = dup(folder);
    while (at >= 0) {
        char part[256];
        const size_t length = strcspn(name, "/");
        const bool last = name[length] == '\0';
        int next = -1;
        if (length > 0 && length < sizeof part) {
            memcpy(part, name, length);
            part[length] = '\0';
            next =
                strcmp(part, "..") == 0
                    ? -1
                    : openat(at, part,
                             O_NOFOLLOW | (last ? OPEN_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC));
        } else {
            errno = EINVAL;
        }
        const int saved = errno;
        (void)close(at);
        errno = saved;
        if (next < 0 || last) {
            return next;
        }
        at = next;
        name += length + 1;
    }
    return -1;
}

int sq_onnx_open_beneath(int folder, const char *name, bool walk)
{
    if (!walk) {
        struct open_how how = {.flags = OPEN_FLAGS,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        const long fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) { /* sandboxes answer EPERM */
            return (int)fd;
        }
    }
    return walk_beneath(folder, name);
}

/* A name that stays where it is whatever the file system holds: relative, no "..". */
static bool stays_beneath(const char *name)
{
    if (name[0] == '/' || name[0] == '\0') {
        return false;
    }
    for (const char *part = name; *part != '\0'; part += part[0] == '/') {
        const size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            return false;
        }
        part += length;
    }
    return true;
}

/* A decimal number and nothing else. */
static bool parse_number(sq_wire text, uint64_t *out)
{
    uint64_t number = 0;
    if (text.at == text.end) {
        return false;
    }
    for (; text.at < text.end; text.at++) {
        if (*text.at < '0' || *text.at > '9' || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text.at - '0'), &number)) {
            return false;
        }
    }
    *out = number;
    return true;
}

/* Where the data of one tensor are. */
typedef struct data_place {
    char *name; /* owned */
    uint64_t offset, length;
    bool has_length;
} data_place;

static bool is(sq_wire text, const char *word)
{
    return sq_wire_size(text) == strlen(word) && memcmp(text.at, word, strlen(word)) == 0;
}

static squall_status read_place(const sq_onnx *onnx, sq_wire message, const char *what,
                                data_place *out, squall_error *err)
{
    sq_wire entry;
    sq_wire_field key, value;
    while (sq_wire_next_bytes(&message, FIELD_EXTERNAL, &entry)) {
        if (!sq_wire_find(entry, FIELD_KEY, SQ_WIRE_BYTES, &key) ||
            !sq_wire_find(entry, FIELD_VALUE, SQ_WIRE_BYTES, &value)) {
            return sq_fail(err, SQUALL_E_CORRUPT, what, "its external data lack a key or a value");
        }
        bool good = true;
        if (is(key.bytes, "location")) {
            sq_free(out->name);
            out->name = NULL;
            SQ_TRY(sq_onnx_name(onnx, value.bytes, &out->name, err));
        } else if (is(key.bytes, "offset")) {
            good = parse_number(value.bytes, &out->offset);
        } else if (is(key.bytes, "length")) {
            good = parse_number(value.bytes, &out->length);
            out->has_length = true;
        }
        if (!good) {
            return sq_fail(err, SQUALL_E_CORRUPT, what,
                           "offset or length of its external data is no number");
        }
    }
    if (!out->name || !stays_beneath(out->name)) {
        return sq_fail(err, SQUALL_E_CORRUPT, what,
                       "its external data are at '%.120s'; only files in the model's own folder "
                       "are read",
                       out->name ? out->name : "");
    }
    return SQUALL_OK;
}

/* Open the file, unless it is the one that was read last: models keep all weights in one. */
static squall_status open_file(sq_onnx *onnx, data_place *place, const char *what,
                               squall_error *err)
{
    if (onnx->data_file >= 0 && strcmp(onnx->data_name, place->name) == 0) {
        return SQUALL_OK;
    }
    const int fd = sq_onnx_open_beneath(onnx->folder, place->name, false);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP)) {
        return sq_fail(err, SQUALL_E_CORRUPT, what,
                       "its external data, '%.120s', are behind a link that leaves the model's "
                       "folder",
                       place->name);
    }
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        const int saved = fd < 0 ? errno : EINVAL;
        if (fd >= 0) {
            (void)close(fd);
        }
        return sq_fail(err, SQUALL_E_IO, what, "its external data, '%.120s', cannot be opened: %s",
                       place->name, fd < 0 ? strerror(saved) : "not a regular file");
    }
    if (onnx->data_file >= 0) {
        (void)close(onnx->data_file);
    }
    sq_free(onnx->data_name);
    onnx->data_file = fd;
    onnx->data_name = place->name;
    onnx->data_size = (uint64_t)info.st_size;
    place->name = NULL;
    return SQUALL_OK;
}

static squall_status read_bytes(const sq_onnx *onnx, uint64_t offset, const char *what,
                                unsigned char *data, size_t size, squall_error *err)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t n = pread(onnx->data_file, data + got, size - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return sq_fail(err, SQUALL_E_IO, what,
                           "only %zu of %zu bytes could be read from "
                           "'%.120s': %s",
                           got, size, onnx->data_name, n < 0 ? strerror(errno) : "it was cut");
        }
        got += (size_t)n;
    }
    return SQUALL_OK;
}

squall_status sq_onnx_external(sq_onnx *onnx, sq_wire message, const char *what, void **data,
                               size_t size, squall_error *err)
{
    squall_status status = SQUALL_OK;
    data_place place = {0};
    unsigned char *bytes = NULL;
    if (onnx->folder < 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, what,
                       "its data are in another file, and this model was not read from one");
    }
    SQ_TRY_GOTO(read_place(onnx, message, what, &place, err));
    SQ_TRY_GOTO(open_file(onnx, &place, what, err));
    if (place.offset > onnx->data_size || size > onnx->data_size - place.offset) {
        status = sq_fail(err, SQUALL_E_TRUNCATED, what,
                         "it needs %zu bytes from byte %" PRIu64 " of '%.120s', which has %" PRIu64,
                         size, place.offset, onnx->data_name, onnx->data_size);
        goto done;
    }
    if (place.has_length && place.length != size) {
        status = sq_fail(err, SQUALL_E_CORRUPT, what,
                         "it needs %zu bytes, its external data have %" PRIu64, size, place.length);
        goto done;
    }
    bytes = sq_alloc_raw(size, 1);
    if (!bytes) {
        status = sq_fail(err, SQUALL_E_MEMORY, what, "no memory for its %zu bytes", size);
        goto done;
    }
    SQ_TRY_GOTO(read_bytes(onnx, place.offset, what, bytes, size, err));
    *data = bytes;
    bytes = NULL;
done:
    sq_free(place.name);
    sq_free(bytes);
    return status;
}
