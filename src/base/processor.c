/* base/processor.c - what the processor can do, masked by SQUALL_CPU. */
#include "base/processor.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sq_isa best_isa;
static char feature_text[160];

static const struct {
    const char *name;
    sq_isa isa;
} isa_names[] = {
    {"c", SQ_ISA_C},
    {"avx2", SQ_ISA_AVX2},
    {"avx512", SQ_ISA_AVX512},
    {"avx512vnni", SQ_ISA_AVX512_VNNI},
    {"neon", SQ_ISA_NEON},
    {"neondot", SQ_ISA_NEON_DOT},
    {"neoni8mm", SQ_ISA_NEON_I8MM},
};

#if defined(__x86_64__)
static sq_isa detect(void)
{
    __builtin_cpu_init();
    size_t used = 0;
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const int vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    const int bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    const struct {
        const char *text;
        int has;
    } parts[] = {{"SSE2", 1},
                 {" AVX2 FMA", avx2},
                 {" AVX-512 F BW DQ VL", avx512},
                 {" VNNI", vnni},
                 {" BF16", bf16}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].has) {
            used += (size_t)snprintf(feature_text + used, sizeof feature_text - used, "%s",
                                     parts[i].text);
        }
    }
    return vnni ? SQ_ISA_AVX512_VNNI : avx512 ? SQ_ISA_AVX512 : avx2 ? SQ_ISA_AVX2 : SQ_ISA_C;
}
#elif defined(__aarch64__)
static sq_isa detect(void)
{
    /* HWCAP_ASIMDDP and HWCAP2_I8MM of Linux' asm/hwcap.h, which old headers lack. */
    const int dot = (getauxval(AT_HWCAP) >> 20 & 1) != 0;
    const int i8mm = dot && (getauxval(AT_HWCAP2) >> 13 & 1) != 0;
    snprintf(feature_text, sizeof feature_text, "ARMv8-A NEON%s%s", dot ? " DotProd" : "",
             i8mm ? " I8MM" : "");
    return i8mm ? SQ_ISA_NEON_I8MM : dot ? SQ_ISA_NEON_DOT : SQ_ISA_NEON;
}
#else
static sq_isa detect(void)
{
    snprintf(feature_text, sizeof feature_text, "none beyond C");
    return SQ_ISA_C;
}
#endif

/* Each family is a ladder; NEON's stands beside that of x86, both above plain C. */
static int includes(sq_isa have, sq_isa need)
{
    if (need == SQ_ISA_C) {
        return 1;
    }
    return (have >= SQ_ISA_NEON) == (need >= SQ_ISA_NEON) && have >= need;
}

static void initialise(void)
{
    best_isa = detect();
    const char *mask = getenv("SQUALL_CPU");
    if (mask == NULL || *mask == '\0') {
        return;
    }
    sq_isa wanted = SQ_ISA_C;
    (void)sq_isa_find(mask, &wanted);
    best_isa = includes(best_isa, wanted) ? wanted : best_isa;
}

sq_isa sq_cpu_isa(void)
{
    pthread_once(&once, initialise);
    return best_isa;
}

int sq_cpu_can(sq_isa isa)
{
    return includes(sq_cpu_isa(), isa);
}

bool sq_isa_find(const char *name, sq_isa *out)
{
    for (size_t i = 0; i < sizeof isa_names / sizeof isa_names[0]; i++) {
        if (strcmp(name, isa_names[i].name) == 0) {
            *out = isa_names[i].isa;
            return true;
        }
    }
    return false;
}

const char *sq_isa_name(sq_isa isa)
{
    for (size_t i = 0; i < sizeof isa_names / sizeof isa_names[0]; i++) {
        if (isa_names[i].isa == isa) {
            return isa_names[i].name;
        }
    }
    return "unknown";
}

const char *sq_cpu_features(void)
{
    pthread_once(&once, initialise);
    return feature_text;
}

int sq_cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    const int count = CPU_COUNT(&set);
    const double quota = sq_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0.0 && quota < (double)count) {
        const int whole = (int)quota;
        return (double)whole < quota ? whole + 1 : whole;
    }
    return count > 0 ? count : 1;
}
