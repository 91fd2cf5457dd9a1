/* nn/cpu/cpu_quant_avx512vnni.c - the kernels of cpu_template_quant.h in AVX-512 with VNNI: 28
 * sums, two vectors of weights, one broadcast of 32 registers. */
#if defined(__x86_64__)
#define SQ_SIMD_AVX512 1
#define SQ_SIMD_VNNI   1
#define TABLE          sq_cpu_quant_avx512vnni
#define TABLE_NAME     "avx512vnni"
#define PIXELS         14
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_avx512vnni; /* ISO C wants something in a file */
#endif
