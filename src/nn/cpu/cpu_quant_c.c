/* nn/cpu/cpu_quant_c.c - the kernels of cpu_template_quant.h in plain C: the twin that the
 * others are held against. */
#define SQ_SIMD_C  1
#define TABLE      sq_cpu_quant_c
#define TABLE_NAME "c"
#define PIXELS     4
#include "nn/cpu/cpu_template_quant.h"
