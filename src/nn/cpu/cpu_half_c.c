/* nn/cpu/cpu_half_c.c - numbers of 16 bits in plain C: the reference of the others. */
#include "nn/cpu/cpu_half.h"

static void widen_f16(const uint16_t *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sq_half_to_float(from[i]);
    }
}

static void narrow_f16(const float *from, uint16_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sq_float_to_half(from[i]);
    }
}

static void widen_bf16(const uint16_t *from, float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sq_bf16_to_float(from[i]);
    }
}

static void narrow_bf16(const float *from, uint16_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = sq_float_to_bf16(from[i]);
    }
}

const sq_cpu_half sq_cpu_half_c = {"c", widen_f16, narrow_f16, widen_bf16, narrow_bf16};
