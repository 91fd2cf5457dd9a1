/* nn/cpu/cpu_quant_neoni8mm.c - the kernels of cpu_template_quant.h in NEON: two pixels and two
 * outputs an instruction, 24 sums of 32 registers. */
#if defined(__aarch64__)
#define SQ_SIMD_NEON 1
#define SQ_SIMD_I8MM 1
#define TABLE        sq_cpu_quant_neoni8mm
#define TABLE_NAME   "neoni8mm"
#define PIXELS       6
#include "nn/cpu/cpu_template_quant.h"
#else
typedef int sq_cpu_no_quant_neoni8mm; /* ISO C wants something in a file */
#endif
