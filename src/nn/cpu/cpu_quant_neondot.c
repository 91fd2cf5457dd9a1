/* nn/cpu/cpu_quant_neondot.c - the kernels of cpu_template_quant.h in NEON: dot products of four
 * channels, 24 sums of 32 registers. */
#if defined(__aarch64__)
#define SQ_SIMD_NEON 1
#define SQ_SIMD_DOT  1
#define TABLE        sq_cpu_quant_neondot
#define TABLE_NAME   "neondot"
#define PIXELS       6
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_neondot; /* ISO C wants something in a file */
#endif
