/* base/threads.h - a pool of threads that share out numbered pieces of work. */
#ifndef SQ_BASE_THREADS_H
#define SQ_BASE_THREADS_H

#include <stddef.h>

#include "squall/status.h"

/** A pool. One caller at a time may use it; the caller works too. */
typedef struct sq_pool sq_pool;

/** One piece of work. `index` is the piece; `thread`, 0..sq_pool_threads()-1, only chooses scratch
 * memory: results must not depend on it. */
typedef void sq_pool_fn(void *arg, size_t index, int thread);

/** A pool of `threads` in all, the caller's included; 0 means one for each processor allowed.
 * Given. At most SQ_POOL_THREADS. */
#define SQ_POOL_THREADS 256
SQUALL_MUST_USE squall_status sq_pool_create(int threads, sq_pool **out, squall_error *err);
void sq_pool_destroy(sq_pool **pool);

/** Threads of a pool; a NULL pool is the caller alone. */
int sq_pool_threads(const sq_pool *pool);

/** Run fn(arg, i, thread) for i in 0..count-1, and return when all are done. Pieces are handed out
 * one by one as threads become free. A NULL pool runs them here. No allocation, no lock taken. */
void sq_pool_run(sq_pool *pool, sq_pool_fn *fn, void *arg, size_t count);

/** One function beside the caller, which goes on. */
typedef struct sq_aside sq_aside;

/** Begin fn(arg) on a thread of its own; where none can be had it is run here and now, and the
 * result is NULL. Given; `arg` must stay valid until sq_aside_end(). */
sq_aside *sq_aside_begin(void (*fn)(void *arg), void *arg);
/** Wait until it is done: what it wrote can be read then. NULL in it: it is. */
void sq_aside_end(sq_aside **aside);

/** The one lock of the libraries of file formats (HDF5, netCDF, ecCodes), which share tables that
 * two threads must not change at once: whoever calls them holds it. Not recursive. */
void sq_formats_lock(void);
void sq_formats_unlock(void);

#endif /* SQ_BASE_THREADS_H */
