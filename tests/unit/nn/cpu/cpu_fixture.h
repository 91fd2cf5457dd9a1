/* tests/unit/nn/cpu/cpu_fixture.h - buffers that end (or begin) at a page nobody may touch, numbers
 * that look random and are the same each time, activations in double. */
#ifndef SQ_TEST_CPU_FIXTURE_H
#define SQ_TEST_CPU_FIXTURE_H

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/cpu/cpu_kernels.h"

/* The rounding unit of float. */
#define UNIT ((double)(FLT_EPSILON / 2))

/* What no kernel writes by chance. */
#define CANARY 12345.0f

/* Bytes with an unreadable page on each side; `data` touches one of them. */
typedef struct guarded {
    void *data;
    char *base;
    size_t bytes; /* of the mapping */
} guarded;

/* `at_end`: the last byte is the last before a page that faults; else the first byte is the first
 * behind one. Zeroed. */
static inline guarded guarded_bytes(size_t bytes, bool at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t body = (bytes + page) / page * page;
    guarded g = {.bytes = body + 2 * page};
    g.base = mmap(NULL, g.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.base != MAP_FAILED);
    assert_int_equal(mprotect(g.base, page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.base + page + body, page, PROT_NONE), 0);
    g.data = at_end ? g.base + page + body - bytes : g.base + page;
    return g;
}

static inline guarded guarded_floats(size_t count, bool at_end)
{
    return guarded_bytes(count * sizeof(float), at_end);
}

static inline void guarded_free(guarded *g)
{
    if (g->base != NULL) {
        munmap(g->base, g->bytes);
    }
    memset(g, 0, sizeof *g);
}

static inline float seeded(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)((double)(*seed >> 8) / (1 << 23) - 1);
}

static inline void fill_seeded(float *to, size_t count, uint32_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = seeded(seed);
    }
}

static inline void fill_canary(float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = CANARY;
    }
}

/* Every activation, with parameters that are not its trivial ones. */
static const sq_cpu_act all_acts[] = {
    {SQ_ACT_NONE, 0, 0},
    {SQ_ACT_RELU, 0, 0},
    {SQ_ACT_LEAKY_RELU, 0.2f, 0},
    {SQ_ACT_CLIP, -0.25f, 0.5f},
    {SQ_ACT_SIGMOID, 0, 0},
    {SQ_ACT_TANH, 0, 0},
    {SQ_ACT_HARD_SIGMOID, 0.3f, 0.4f},
    {SQ_ACT_HARD_SWISH, 0, 0},
    {SQ_ACT_SILU, 0, 0},
};
enum { ACT_COUNT = sizeof all_acts / sizeof all_acts[0] };

static inline double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static inline double act_double(const sq_cpu_act *act, double x)
{
    switch (act->kind) {
    case SQ_ACT_NONE:
        break;
    case SQ_ACT_RELU:
        return x > 0 ? x : 0;
    case SQ_ACT_LEAKY_RELU:
        return x > 0 ? x : x * (double)act->a;
    case SQ_ACT_CLIP:
        return clamp(x, (double)act->a, (double)act->b);
    case SQ_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case SQ_ACT_TANH:
        return tanh(x);
    case SQ_ACT_HARD_SIGMOID:
        return clamp((double)act->a * x + (double)act->b, 0, 1);
    case SQ_ACT_HARD_SWISH:
        return x * clamp(x / 6 + 0.5, 0, 1);
    case SQ_ACT_SILU:
        return x / (1 + exp(-x));
    }
    return x;
}

/* How far the activation of x may be off when x is off by `apart`: no slope exceeds 1.5 (that of
 * HardSwish at 3); then its own arithmetic, whose exponential is good to 2e-7 (cpu_simd.h). */
static inline double act_allowed(const sq_cpu_act *act, double x, double apart)
{
    const double own =
        act->kind <= SQ_ACT_RELU || act->kind == SQ_ACT_CLIP ? 0.0
        : act->kind == SQ_ACT_SIGMOID || act->kind == SQ_ACT_TANH || act->kind == SQ_ACT_SILU
            ? 5e-7 * (1 + fabs(x))
            : 6 * UNIT * (1 + fabs(x));
    return 1.5 * apart + own;
}

#endif /* SQ_TEST_CPU_FIXTURE_H */
