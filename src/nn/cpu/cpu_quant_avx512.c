/* nn/cpu/cpu_quant_avx512.c - the kernels of cpu_template_quant.h in AVX-512 without VNNI:
 * products of 16 bits. */
#if defined(__x86_64__)
#define SQ_SIMD_AVX512 1
#define TABLE          sq_cpu_quant_avx512
#define TABLE_NAME     "avx512"
#define PIXELS         10
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_avx512; /* ISO C wants something in a file */
#endif
