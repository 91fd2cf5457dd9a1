/* nn/cpu/cpu_quant_neon.c - the kernels of cpu_template_quant.h in NEON: products of 16 bits. */
#if defined(__aarch64__)
#define SQ_SIMD_NEON 1
#define TABLE        sq_cpu_quant_neon
#define TABLE_NAME   "neon"
#define PIXELS       4
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_neon; /* ISO C wants something in a file */
#endif
