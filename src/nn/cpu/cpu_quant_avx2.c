/* nn/cpu/cpu_quant_avx2.c - the kernels of cpu_template_quant.h in AVX2: products of 16 bits. */
#if defined(__x86_64__)
#define SQ_SIMD_AVX2 1
#define TABLE        sq_cpu_quant_avx2
#define TABLE_NAME   "avx2"
#define PIXELS       4
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_avx2; /* ISO C wants something in a file */
#endif
