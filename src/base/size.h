/* base/size.h - arithmetic on sizes that come from outside. */
#ifndef SQ_BASE_SIZE_H
#define SQ_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** out = a * b; false, and `out` untouched, on overflow. */
static inline bool sq_mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/** out = a + b; false, and `out` untouched, on overflow. */
static inline bool sq_add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

/** `bytes` rounded up to a multiple of `alignment`, a power of two; the caller rules out overflow.
 */
static inline size_t sq_round_up(size_t bytes, size_t alignment)
{
    return (bytes + alignment - 1) & ~(alignment - 1);
}

#endif /* SQ_BASE_SIZE_H */
