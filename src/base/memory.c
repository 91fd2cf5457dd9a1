/* base/memory.c - aligned buffers, and allocations that a test can make fail. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/size.h"

enum { HUGE_PAGE = 2 << 20 };

static atomic_long fail_at = -1;
static atomic_long allocations = 0;

void sq_memory_fail_at(long n)
{
    atomic_store(&fail_at, n);
}

long sq_memory_count(void)
{
    return atomic_load(&allocations);
}

/* True once, for the allocation that a test has named. */
static int must_fail(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_at, memory_order_relaxed) < 0) {
        return 0;
    }
    return atomic_fetch_sub(&fail_at, 1) == 0;
}

void *sq_alloc_raw(size_t count, size_t size)
{
    size_t bytes;
    if (must_fail() || !sq_mul_size(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = sq_round_up(bytes > 0 ? bytes : 1, SQ_ALIGNMENT);
    return aligned_alloc(SQ_ALIGNMENT, bytes);
}

void *sq_alloc_huge(size_t count, size_t size)
{
    size_t bytes;
    void *pointer;
    if (!sq_mul_size(count, size, &bytes) || bytes < HUGE_PAGE) {
        return sq_alloc_raw(count, size);
    }
    if (must_fail() || posix_memalign(&pointer, HUGE_PAGE, bytes) != 0) {
        return NULL;
    }
    /* Only advice, and only for pages that are ours as a whole. */
    (void)madvise(pointer, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return pointer;
}

void *sq_alloc(size_t count, size_t size)
{
    void *pointer = sq_alloc_raw(count, size);
    if (pointer != NULL) {
        memset(pointer, 0, count * size);
    }
    return pointer;
}

void *sq_regrow(void *old, size_t old_count, size_t new_count, size_t size)
{
    void *grown = sq_alloc(new_count, size);
    if (grown != NULL && old != NULL) {
        memcpy(grown, old, (old_count < new_count ? old_count : new_count) * size);
        sq_free(old);
    }
    return grown;
}

void sq_free(void *pointer)
{
    free(pointer);
}

char *sq_strdup(const char *text)
{
    const size_t length = strlen(text) + 1;
    char *copy = sq_alloc_raw(length, 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}
