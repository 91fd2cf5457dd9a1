/* base/fail.h - the one way to report a failure inside squall. */
#ifndef SQ_BASE_FAIL_H
#define SQ_BASE_FAIL_H

#include "squall/status.h"

/** Fill `err` (if any) and hand back `code`, so that a caller writes `return sq_fail(...)`.
 *
 * @param where  names the thing at fault, as its owner knows it: "node 17 'conv1' (Conv)",
 *               "a.h5:/dataset1/what/gain". NULL keeps what `err` already says.
 * @param format one sentence with both numbers (found, allowed), then the remedy.
 *
 * A macro, so that the compiler sees that the status is the code and not SQUALL_OK.
 */
#define sq_fail(err, code, ...) sq_fail_code((sq_fail_record((err), (code), __VA_ARGS__), (code)))

__attribute__((format(printf, 4, 5))) void
sq_fail_record(squall_error *err, squall_status code, const char *where, const char *format, ...);

static inline squall_status sq_fail_code(squall_status code)
{
    return code;
}

/** Hand a callee's failure on unchanged. */
#define SQ_TRY(call)                                \
    do {                                            \
        const squall_status sq_try_status = (call); \
        if (sq_try_status != SQUALL_OK) {           \
            return sq_try_status;                   \
        }                                           \
    } while (0)

/** The same for a function with one exit: needs `squall_status status` and a label `done`. */
#define SQ_TRY_GOTO(call)          \
    do {                           \
        status = (call);           \
        if (status != SQUALL_OK) { \
            goto done;             \
        }                          \
    } while (0)

#endif /* SQ_BASE_FAIL_H */
