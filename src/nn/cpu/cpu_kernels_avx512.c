/* nn/cpu/cpu_kernels_avx512.c - the kernels of cpu_template.h in AVX-512: 28 sums, two vectors of
 * weights, one broadcast of 32 registers. */
#if defined(__x86_64__)
#define SQ_SIMD_AVX512 1
#define TABLE          sq_cpu_kernels_avx512
#define TABLE_NAME     "avx512"
#define TABLE_ISA      SQ_ISA_AVX512
#define TABLE_LAYOUT   SQUALL_C16
#define TABLE_RATE     2e11
#define PIXELS         14
#include "nn/cpu/cpu_template.h"
#else
typedef int sq_cpu_no_avx512; /* ISO C wants something in a file */
#endif
