/* squall/status.h - status codes, and the record a failing call fills in. */
#ifndef SQUALL_STATUS_H
#define SQUALL_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SQUALL_MUST_USE __attribute__((warn_unused_result))
#define SQUALL_API      __attribute__((visibility("default")))
#else
#define SQUALL_MUST_USE
#define SQUALL_API
#endif

/* Every code once: name, value, meaning. Values are never changed and never
 * given a second meaning; the list in squall(1) is made from this one. */
#define SQUALL_STATUS_MAP(X)                                                   \
    X(OK, 0, "success")                                                        \
    X(E_ARGUMENT, 1, "the caller broke a documented precondition")             \
    X(E_MEMORY, 2, "an allocation failed")                                     \
    X(E_IO, 3, "a file or socket could not be read or written")                \
    X(E_FORMAT, 10, "the bytes are not of the expected format")                \
    X(E_TRUNCATED, 11, "the input ends before its own header says it does")    \
    X(E_CORRUPT, 12, "a checksum, offset or count in the input does not hold") \
    X(E_VERSION, 13, "the format version is outside the supported range")      \
    X(E_SIGNATURE, 14, "the signature is missing, or not by a trusted key")    \
    X(E_LIMIT, 15, "the input exceeds a documented limit")                     \
    X(E_UNSUPPORTED, 20, "valid input that this build does not implement")     \
    X(E_SHAPE, 21, "a tensor or field has the wrong shape, type or unit")      \
    X(E_DEVICE, 30, "the device failed or is not present")                     \
    X(E_MISMATCH, 31, "the engine was built for another device or build")      \
    X(E_TIMEOUT, 40, "the deadline passed")                                    \
    X(E_NO_DATA, 50, "there is no data for the requested time or place")       \
    X(E_INTERNAL, 99, "a bug in squall")

typedef enum squall_status {
#define X(name, value, meaning) SQUALL_##name = value,
    SQUALL_STATUS_MAP(X)
#undef X
} squall_status;

/** What went wrong, in words: caller-owned, no allocation, no thread-local state. Every call that
 * can fail takes one last, which may be NULL, and fills it only when it fails.
 *
 * `where` names the thing at fault (a node, a file and offset, a dataset path);
 * `text` says what is wrong with the numbers in it, and then what to do. */
typedef struct squall_error {
    squall_status code;
    char where[128];
    char text[384];
} squall_error;

/** The constant's name ("SQUALL_E_SHAPE"); never NULL, also for an unknown code. */
SQUALL_API const char *squall_status_name(squall_status status);

/** The meaning from the list above; never NULL. The string is static. */
SQUALL_API const char *squall_status_text(squall_status status);

/** The version of the library, "0.1.0"; static. */
SQUALL_API const char *squall_version(void);

/** What a call could cope with but a user should know: one line each, naming the file or the thing.
 *
 * Calls that take `squall_notes *notes` add to it; NULL is allowed there and keeps nothing. */
typedef struct squall_notes squall_notes;

/** An empty list, given; NULL when there is no memory. */
SQUALL_API squall_notes *squall_notes_create(void);
SQUALL_API void squall_notes_destroy(squall_notes **notes);
SQUALL_API size_t squall_notes_count(const squall_notes *notes);
/** Line `index`, borrowed until the list changes; NULL past the end. */
SQUALL_API const char *squall_notes_get(const squall_notes *notes, size_t index);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_STATUS_H */
