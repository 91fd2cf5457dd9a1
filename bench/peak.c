/* bench/peak.c - what this machine's registers can do: FMA and VNNI without memory, in GFLOP/s.
 *
 *     cc -O2 -pthread peak.c -o peak && ./peak THREADS MILLISECONDS
 *
 * Prints "fma N vnni M" of all threads together; vnni is 0 where the processor has none. Each
 * thread keeps its own time, so that a thread that is held up lowers the sum by its share alone.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STEPS = 20000, MOST_THREADS = 256 };

typedef struct job {
    double seconds, fma, vnni;
} job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Twelve chains of one instruction in registers, written out: a compiler would keep them in memory.
 * What the registers hold does not matter, but for denormal numbers, of which zeros make none. */
#define TWELVE(line)                                                                          \
    line("0") line("1") line("2") line("3") line("4") line("5") line("6") line("7") line("8") \
        line("9") line("10") line("11")
#define CHAINS 12.0

#if defined(__x86_64__)
#include <immintrin.h>

#define FMA_512(n)  "vfmadd231ps %%zmm12, %%zmm12, %%zmm" n "\n"
#define FMA_256(n)  "vfmadd231ps %%ymm12, %%ymm12, %%ymm" n "\n"
#define VNNI_512(n) "vpdpbusd %%zmm12, %%zmm12, %%zmm" n "\n"
#define REGISTERS                                                                            \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12"

#define ROUND(name, isa, clear, line, operations)         \
    __attribute__((target(isa))) static double name(void) \
    {                                                     \
        __asm__ volatile(clear ::: REGISTERS);            \
        for (int s = 0; s < STEPS; s++) {                 \
            __asm__ volatile(TWELVE(line)::: REGISTERS);  \
        }                                                 \
        return (operations)*CHAINS * STEPS;               \
    }

ROUND(fma_512, "avx512f", "vzeroall", FMA_512, 32.0)
ROUND(fma_256, "avx2,fma", "vzeroall", FMA_256, 16.0)
ROUND(vnni_512, "avx512f,avx512vnni", "vzeroall", VNNI_512, 128.0)

static double fma_round(void)
{
    return __builtin_cpu_supports("avx512f") ? fma_512() : fma_256();
}

static double vnni_round(void)
{
    return __builtin_cpu_supports("avx512vnni") ? vnni_512() : 0.0;
}
#else
#define FMA_128(n) "fmla v" n ".4s, v12.4s, v12.4s\n"

static double fma_round(void)
{
    for (int s = 0; s < STEPS; s++) {
        __asm__ volatile(TWELVE(FMA_128)::
                             : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
                               "v11");
    }
    return 8.0 * CHAINS * STEPS;
}

static double vnni_round(void)
{
    return 0.0;
}
#endif

static double rate(double (*round)(void), double seconds)
{
    double done = 0.0, taken = 0.0;
    const double start = now();
    do {
        const double made = round();
        if (made == 0.0) {
            return 0.0;
        }
        done += made;
        taken = now() - start;
    } while (taken < seconds);
    return done / taken;
}

static void *work(void *arg)
{
    job *j = arg;
    j->fma = rate(fma_round, 0.5 * j->seconds);
    j->vnni = rate(vnni_round, 0.5 * j->seconds);
    return NULL;
}

int main(int argc, char **argv)
{
    static job jobs[MOST_THREADS];
    static pthread_t threads[MOST_THREADS];
    const int count = argc > 1 ? atoi(argv[1]) : 1;
    const double seconds = argc > 2 ? 1e-3 * atof(argv[2]) : 0.1;
    double fma = 0.0, vnni = 0.0;
    if (count < 1 || count > MOST_THREADS) {
        fprintf(stderr, "peak: 1 to %d threads\n", MOST_THREADS);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        jobs[i].seconds = seconds;
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0) {
            fprintf(stderr, "peak: thread %d cannot be started\n", i);
            return 1;
        }
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        fma += 1e-9 * jobs[i].fma;
        vnni += 1e-9 * jobs[i].vnni;
    }
    printf("fma %.1f vnni %.1f\n", fma, vnni);
    return 0;
}
