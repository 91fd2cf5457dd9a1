/* base/processor.h - what the processor can do, masked by SQUALL_CPU. */
#ifndef SQ_BASE_PROCESSOR_H
#define SQ_BASE_PROCESSOR_H

#include <stdbool.h>
#include <stddef.h>

/** Instruction sets, each a step on one ladder a machine family; a kernel's row names the one it
 * needs. Values go into engine files and are never changed. */
typedef enum sq_isa {
    SQ_ISA_C = 0,           /* plain C */
    SQ_ISA_AVX2 = 1,        /* AVX2 + FMA + F16C */
    SQ_ISA_AVX512 = 2,      /* AVX-512 F, BW, DQ, VL */
    SQ_ISA_AVX512_VNNI = 3, /* the same and VNNI */
    SQ_ISA_NEON = 16,       /* ARMv8-A with NEON */
    SQ_ISA_NEON_DOT = 17,   /* the same and the dot products of Armv8.2 (FEAT_DotProd) */
    SQ_ISA_NEON_I8MM = 18   /* the same and the matrix products of Armv8.6 (FEAT_I8MM) */
} sq_isa;

/** The best instruction set of this host that the environment variable SQUALL_CPU
 * (c, avx2, avx512, avx512vnni, neon, neondot, neoni8mm) does not mask away; an unknown name there
 * counts as "c". Read once. */
sq_isa sq_cpu_isa(void);

/** The instruction set called `name`; false when there is none. */
bool sq_isa_find(const char *name, sq_isa *out);

/** Whether a kernel that needs `isa` may run here. */
int sq_cpu_can(sq_isa isa);

/** "avx512vnni"; never NULL. */
const char *sq_isa_name(sq_isa isa);

/** The host's features in words, as `squall --version` prints them: "AVX-512 F BW DQ VL VNNI BF16".
 * Static text. */
const char *sq_cpu_features(void);

/** What the processor calls itself: "Intel(R) Xeon(R) Processor"; plain ASCII, static text. */
const char *sq_cpu_name(void);

/** The processors that control groups leave a process, as time on them: 1.5 is one and a half; 0:
 * no limit, or none that can be read.
 *
 * @param groups  the process's groups, as /proc/self/cgroup
 * @param root    where control groups are mounted: /sys/fs/cgroup */
double sq_cpu_quota(const char *groups, const char *root);

/** Processors that this process may use, at least 1: those that it may run on, or fewer where
 * control groups give it less time than that, rounded up. */
int sq_cpu_count(void);

#endif /* SQ_BASE_PROCESSOR_H */
