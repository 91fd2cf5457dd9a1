/* base/threads.c - a pool of threads that share out numbered pieces of work. */
#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/processor.h"

/* A worker looks this often for new work before it sleeps in the kernel: about 20 microseconds, the
 * gap between two layers of a network. */
enum { SPINS = 4000 };

struct sq_pool {
    _Alignas(64) atomic_uint round;   /* counts the calls; workers wait for it to change */
    _Alignas(64) atomic_size_t next;  /* the next piece to hand out */
    _Alignas(64) atomic_uint running; /* workers that have not finished this round */
    atomic_uint sleepers;
    atomic_bool caller_sleeps;
    atomic_bool stop;
    sq_pool_fn *fn;
    void *arg;
    size_t count;
    int threads; /* with the caller */
    int started; /* workers that exist */
    pthread_t workers[SQ_POOL_THREADS];
};

typedef struct worker_start {
    sq_pool *pool;
    int thread;
} worker_start;

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void take_pieces(sq_pool *pool, int thread)
{
    for (;;) {
        const size_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= pool->count) {
            return;
        }
        pool->fn(pool->arg, index, thread);
    }
}

/* Wait until the round is no longer `seen`, first by looking, then asleep. */
static unsigned next_round(sq_pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        const unsigned round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) {
            return round;
        }
        relax();
    }
    atomic_fetch_add(&pool->sleepers, 1u);
    while (atomic_load(&pool->round) == seen) {
        futex_wait(&pool->round, seen);
    }
    atomic_fetch_sub(&pool->sleepers, 1u);
    return atomic_load(&pool->round);
}

static void *work(void *start_data)
{
    worker_start *start = start_data;
    sq_pool *pool = start->pool;
    const int thread = start->thread;
    unsigned seen = 0;
    sq_free(start);
    for (;;) {
        seen = next_round(pool, seen);
        if (atomic_load(&pool->stop)) {
            return NULL;
        }
        take_pieces(pool, thread);
        if (atomic_fetch_sub(&pool->running, 1u) == 1u && atomic_load(&pool->caller_sleeps)) {
            futex_wake(&pool->running);
        }
    }
}

squall_status sq_pool_create(int threads, sq_pool **out, squall_error *err)
{
    if (threads < 0 || threads > SQ_POOL_THREADS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "threads", "%d is outside 0..%d", threads,
                       SQ_POOL_THREADS);
    }
    sq_pool *pool = sq_alloc(1, sizeof *pool);
    if (pool == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "threads", "no memory for the pool");
    }
    pool->threads = threads > 0 ? threads : sq_cpu_count();
    if (pool->threads > SQ_POOL_THREADS) {
        pool->threads = SQ_POOL_THREADS;
    }
    for (int i = 1; i < pool->threads; i++) {
        worker_start *start = sq_alloc(1, sizeof *start);
        int problem = ENOMEM;
        if (start != NULL) {
            start->pool = pool;
            start->thread = i;
            problem = pthread_create(&pool->workers[pool->started], NULL, work, start);
        }
        if (problem != 0) {
            sq_free(start);
            sq_pool_destroy(&pool);
            return sq_fail(err, SQUALL_E_MEMORY, "threads", "thread %d cannot be started: %s", i,
                           strerror(problem));
        }
        pool->started++;
    }
    *out = pool;
    return SQUALL_OK;
}

void sq_pool_destroy(sq_pool **pool)
{
    if (pool == NULL || *pool == NULL) {
        return;
    }
    sq_pool *old = *pool;
    atomic_store(&old->stop, true);
    atomic_fetch_add(&old->round, 1u);
    futex_wake(&old->round);
    for (int i = 0; i < old->started; i++) {
        pthread_join(old->workers[i], NULL);
    }
    sq_free(old);
    *pool = NULL;
}

int sq_pool_threads(const sq_pool *pool)
{
    return pool != NULL ? pool->threads : 1;
}

/* Until none is at work on this round, first by looking, then asleep: where threads are more than
 * processors the one that is waited for needs this one. */
static void wait_for_workers(sq_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->running, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    atomic_store(&pool->caller_sleeps, true);
    for (unsigned left = atomic_load(&pool->running); left != 0;
         left = atomic_load(&pool->running)) {
        futex_wait(&pool->running, left);
    }
    atomic_store(&pool->caller_sleeps, false);
}

void sq_pool_run(sq_pool *pool, sq_pool_fn *fn, void *arg, size_t count)
{
    if (pool == NULL || pool->started == 0 || count <= 1) {
        for (size_t i = 0; i < count; i++) {
            fn(arg, i, 0);
        }
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->running, (unsigned)pool->started, memory_order_relaxed);
    atomic_fetch_add(&pool->round, 1u);
    if (atomic_load(&pool->sleepers) > 0) {
        futex_wake(&pool->round);
    }
    take_pieces(pool, 0);
    wait_for_workers(pool);
}

struct sq_aside {
    pthread_t thread;
    void (*fn)(void *arg);
    void *arg;
};

static void *run_aside(void *self)
{
    const sq_aside *aside = self;
    aside->fn(aside->arg);
    return NULL;
}

sq_aside *sq_aside_begin(void (*fn)(void *arg), void *arg)
{
    sq_aside *aside = sq_alloc(1, sizeof *aside);
    if (aside != NULL) {
        aside->fn = fn;
        aside->arg = arg;
        if (pthread_create(&aside->thread, NULL, run_aside, aside) == 0) {
            return aside;
        }
        sq_free(aside);
    }
    fn(arg);
    return NULL;
}

void sq_aside_end(sq_aside **aside)
{
    if (*aside != NULL) {
        pthread_join((*aside)->thread, NULL);
        sq_free(*aside);
        *aside = NULL;
    }
}

static pthread_mutex_t formats_mutex = PTHREAD_MUTEX_INITIALIZER;

void sq_formats_lock(void)
{
    pthread_mutex_lock(&formats_mutex);
}

void sq_formats_unlock(void)
{
    pthread_mutex_unlock(&formats_mutex);
}
