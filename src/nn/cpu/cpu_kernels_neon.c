/* nn/cpu/cpu_kernels_neon.c - the kernels of cpu_template.h in NEON: 24 sums of 32 registers of 4
 * lanes. */
#if defined(__aarch64__)
#define SQ_SIMD_NEON 1
#define TABLE        sq_cpu_kernels_neon
#define TABLE_NAME   "neon"
#define TABLE_ISA    SQ_ISA_NEON
#define TABLE_LAYOUT SQUALL_C8
#define TABLE_RATE   3e10
#define PIXELS       6
#include "nn/cpu/cpu_template.h"
#else
typedef int sq_cpu_no_neon; /* ISO C wants something in a file */
#endif
