/* nn/tensor/tensor_half.c - IEEE half and bfloat16, to and from float. */
#include "nn/tensor/tensor.h"

#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float sq_half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu;
    const uint32_t fraction = half & 0x3ffu;
    if (exponent == 0x1fu) { /* infinity, NaN; its payload is kept */
        return float_of(sign | 0x7f800000u | fraction << 13);
    }
    if (exponent == 0) { /* zero, subnormal: fraction * 2^-24 is exact in float */
        const float magnitude = (float)fraction * 0x1p-24f;
        return float_of(sign | bits_of(magnitude));
    }
    return float_of(sign | (exponent + 112u) << 23 | fraction << 13);
}

/* `bits` >> `shift`, to nearest, ties to even; 1 <= shift <= 31. */
static uint32_t shift_to_even(uint32_t bits, uint32_t shift)
{
    const uint32_t kept = bits >> shift;
    const uint32_t lost = bits & ((1u << shift) - 1u);
    const uint32_t half = 1u << (shift - 1);
    return kept + (lost > half || (lost == half && (kept & 1u)));
}

uint16_t sq_float_to_half(float value)
{
    const uint32_t bits = bits_of(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { /* NaN stays one, quiet */
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    if (magnitude >= 0x47800000u) { /* 65536 and above; 65520..65536 round up below */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (magnitude >= 0x38800000u) { /* normal: the carry of rounding runs into the exponent */
        return (uint16_t)(sign | (shift_to_even(magnitude, 13) - (112u << 10)));
    }
    if (magnitude < 0x33000000u) { /* below half of the least subnormal */
        return (uint16_t)sign;
    }
    const uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | shift_to_even(fraction, 126u - (magnitude >> 23)));
}

float sq_bf16_to_float(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t sq_float_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) { /* rounding must not make a NaN an infinity */
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
