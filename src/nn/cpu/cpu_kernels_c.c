/* nn/cpu/cpu_kernels_c.c - the kernels of cpu_template.h in plain C: the twin that the others are
 * held against. */
#define SQ_SIMD_C    1
#define TABLE        sq_cpu_kernels_c
#define TABLE_NAME   "c"
#define TABLE_ISA    SQ_ISA_C
#define TABLE_LAYOUT SQUALL_C8
#define TABLE_RATE   1e10
#define PIXELS       4
#include "nn/cpu/cpu_template.h"
