/* nn/ref/ref_element.c - runs of elements of any type, as doubles or as int64, and back. */
#include "nn/ref/ref_element.h"

#include <math.h>
#include <string.h>

bool sq_ref_is_float(squall_dtype dtype)
{
    return dtype == SQUALL_F32 || dtype == SQUALL_F64 || dtype == SQUALL_F16 ||
           dtype == SQUALL_BF16;
}

/* The loop over a run; a step of 1 stands apart because compilers turn it into vector code. */
#define LOAD(type, expression)                                 \
    do {                                                       \
        const type *from = (const type *)tensor->data + first; \
        if (step == 1) {                                       \
            for (size_t i = 0; i < count; i++) {               \
                const type v = from[i];                        \
                out[i] = expression;                           \
            }                                                  \
        } else {                                               \
            for (size_t i = 0; i < count; i++) {               \
                const type v = from[(int64_t)i * step];        \
                out[i] = expression;                           \
            }                                                  \
        }                                                      \
    } while (0)

void sq_ref_load(const squall_tensor *tensor, size_t first, int64_t step, size_t count, double *out)
{
    switch (tensor->dtype) {
    case SQUALL_F32:
        LOAD(float, (double)v);
        break;
    case SQUALL_F64:
        LOAD(double, v);
        break;
    case SQUALL_F16:
        LOAD(uint16_t, (double)sq_half_to_float(v));
        break;
    case SQUALL_BF16:
        LOAD(uint16_t, (double)sq_bf16_to_float(v));
        break;
    case SQUALL_I64:
        LOAD(int64_t, (double)v);
        break;
    case SQUALL_I32:
        LOAD(int32_t, (double)v);
        break;
    case SQUALL_I16:
        LOAD(int16_t, (double)v);
        break;
    case SQUALL_I8:
        LOAD(int8_t, (double)v);
        break;
    case SQUALL_U64:
        LOAD(uint64_t, (double)v);
        break;
    case SQUALL_U32:
        LOAD(uint32_t, (double)v);
        break;
    case SQUALL_U16:
        LOAD(uint16_t, (double)v);
        break;
    case SQUALL_U8:
        LOAD(uint8_t, (double)v);
        break;
    case SQUALL_BOOL:
        LOAD(uint8_t, (double)(v != 0));
        break;
    case SQUALL_DTYPE_NONE:
        break;
    }
}

void sq_ref_load_int(const squall_tensor *tensor, size_t first, int64_t step, size_t count,
                     int64_t *out)
{
    switch (tensor->dtype) {
    case SQUALL_I64:
        LOAD(int64_t, v);
        break;
    case SQUALL_I32:
        LOAD(int32_t, v);
        break;
    case SQUALL_U8:
        LOAD(uint8_t, v);
        break;
    case SQUALL_BOOL:
        LOAD(uint8_t, v != 0);
        break;
    default:
        for (size_t i = 0; i < count; i++) {
            out[i] = sq_tensor_get_int(tensor, first + (size_t)((int64_t)i * step));
        }
        break;
    }
}

/* To float with the last bit set if anything was lost: a second rounding, to 16 bits, then comes
 * out as if it had been the only one. */
static float narrow_to_odd(double value)
{
    float narrow = (float)value;
    if (isnan(value) || (double)narrow == value) {
        return narrow;
    }
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if ((bits & 1u) == 0) {
        bits += fabs((double)narrow) < fabs(value) ? 1u : UINT32_MAX;
    }
    memcpy(&narrow, &bits, sizeof narrow);
    return narrow;
}

static double held(double value, double low, double high)
{
    if (isnan(value)) {
        return 0;
    }
    return value < low ? low : value > high ? high : value;
}

static uint64_t held_u64(double value)
{
    return value >= 0x1p64 ? UINT64_MAX : (uint64_t)held(value, 0, 0x1p64);
}

static int64_t held_i64(double value)
{
    return value >= 0x1p63 ? INT64_MAX : (int64_t)held(value, -0x1p63, 0x1p63);
}

/* The loop over a run of values. */
#define STORE(type, expression)                           \
    for (size_t i = 0; i < count; i++) {                  \
        ((type *)tensor->data)[first + i] = (expression); \
    }

void sq_ref_store(const squall_tensor *tensor, size_t first, size_t count, const double *values)
{
    switch (tensor->dtype) {
    case SQUALL_F32:
        STORE(float, (float)values[i])
        break;
    case SQUALL_F64:
        STORE(double, values[i])
        break;
    case SQUALL_F16:
        STORE(uint16_t, sq_float_to_half(narrow_to_odd(values[i])))
        break;
    case SQUALL_BF16:
        STORE(uint16_t, sq_float_to_bf16(narrow_to_odd(values[i])))
        break;
    case SQUALL_I64:
        STORE(int64_t, held_i64(values[i]))
        break;
    case SQUALL_I32:
        STORE(int32_t, (int32_t)held(values[i], INT32_MIN, INT32_MAX))
        break;
    case SQUALL_I16:
        STORE(int16_t, (int16_t)held(values[i], INT16_MIN, INT16_MAX))
        break;
    case SQUALL_I8:
        STORE(int8_t, (int8_t)held(values[i], INT8_MIN, INT8_MAX))
        break;
    case SQUALL_U64:
        STORE(uint64_t, held_u64(values[i]))
        break;
    case SQUALL_U32:
        STORE(uint32_t, (uint32_t)held(values[i], 0, UINT32_MAX))
        break;
    case SQUALL_U16:
        STORE(uint16_t, (uint16_t)held(values[i], 0, UINT16_MAX))
        break;
    case SQUALL_U8:
        STORE(uint8_t, (uint8_t)held(values[i], 0, UINT8_MAX))
        break;
    case SQUALL_BOOL:
        STORE(uint8_t, values[i] != 0)
        break;
    case SQUALL_DTYPE_NONE:
        break;
    }
}

void sq_ref_store_int(const squall_tensor *tensor, size_t first, size_t count,
                      const int64_t *values)
{
    switch (tensor->dtype) {
    case SQUALL_I64:
        STORE(int64_t, values[i])
        break;
    case SQUALL_U64:
        STORE(uint64_t, (uint64_t)values[i])
        break;
    case SQUALL_I32:
        STORE(int32_t, (int32_t)values[i])
        break;
    case SQUALL_U32:
        STORE(uint32_t, (uint32_t)values[i])
        break;
    case SQUALL_I16:
        STORE(int16_t, (int16_t)values[i])
        break;
    case SQUALL_U16:
        STORE(uint16_t, (uint16_t)values[i])
        break;
    case SQUALL_I8:
        STORE(int8_t, (int8_t)values[i])
        break;
    case SQUALL_U8:
        STORE(uint8_t, (uint8_t)values[i])
        break;
    case SQUALL_BOOL:
        STORE(uint8_t, values[i] != 0)
        break;
    case SQUALL_F32: /* not through double, which would round twice */
        STORE(float, (float)values[i])
        break;
    default:
        for (size_t i = 0; i < count; i++) {
            const double value = (double)values[i];
            sq_ref_store(tensor, first + i, 1, &value);
        }
        break;
    }
}
