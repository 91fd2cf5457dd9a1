/* base/memory.h - aligned buffers, and allocations that a test can make fail. */
#ifndef SQ_BASE_MEMORY_H
#define SQ_BASE_MEMORY_H

#include <stddef.h>

#define SQ_ALIGNMENT 64 /* bytes: a cache line, and one AVX-512 register */

/** Zeroed memory for `count` items of `size` bytes, 64-byte aligned; NULL on overflow or when there
 * is none. Given: release it with sq_free(). A count of 0 gives a valid pointer. */
void *sq_alloc(size_t count, size_t size);

/** The same without zeroing, for buffers that are filled at once. */
void *sq_alloc_raw(size_t count, size_t size);

/** The same for what is large and used all the time: in huge pages, where the system gives them, so
 * that fewer addresses have to be looked up. */
void *sq_alloc_huge(size_t count, size_t size);

/** Grow a buffer from sq_alloc() from `old_count` to `new_count` items, the new part zeroed. NULL
 * leaves the old buffer as it was. */
void *sq_regrow(void *old, size_t old_count, size_t new_count, size_t size);

/** Release; NULL is allowed. */
void sq_free(void *pointer);

/** A copy of `text`, or NULL; release with sq_free(). */
char *sq_strdup(const char *text);

/** Tests only: the allocation number `n` from now (0 is the next) fails, once. -1 switches it off.
 */
void sq_memory_fail_at(long n);

/** Tests only: allocations made since the program began. */
long sq_memory_count(void);

#endif /* SQ_BASE_MEMORY_H */
