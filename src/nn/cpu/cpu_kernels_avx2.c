/* nn/cpu/cpu_kernels_avx2.c - the kernels of cpu_template.h in AVX2: 12 sums of 16 registers. */
#if defined(__x86_64__)
#define SQ_SIMD_AVX2 1
#define TABLE        sq_cpu_kernels_avx2
#define TABLE_NAME   "avx2"
#define TABLE_ISA    SQ_ISA_AVX2
#define TABLE_LAYOUT SQUALL_C8
#define TABLE_RATE   1e11
#define PIXELS       6
#include "nn/cpu/cpu_template.h"
#else
typedef int sq_cpu_no_avx2; /* ISO C wants something in a file */
#endif
