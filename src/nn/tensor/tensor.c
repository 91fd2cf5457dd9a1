/* nn/tensor/tensor.c - sizes, names, copies and single elements of tensors. */
#include "nn/tensor/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

size_t squall_dtype_size(squall_dtype dtype)
{
    switch (dtype) {
    case SQUALL_U8:
    case SQUALL_I8:
    case SQUALL_BOOL:
        return 1;
    case SQUALL_U16:
    case SQUALL_I16:
    case SQUALL_F16:
    case SQUALL_BF16:
        return 2;
    case SQUALL_F32:
    case SQUALL_I32:
    case SQUALL_U32:
        return 4;
    case SQUALL_I64:
    case SQUALL_F64:
    case SQUALL_U64:
        return 8;
    case SQUALL_DTYPE_NONE:
        break;
    }
    return 0;
}

const char *squall_dtype_name(squall_dtype dtype)
{
    switch (dtype) {
    case SQUALL_DTYPE_NONE:
        return "none";
    case SQUALL_F32:
        return "float32";
    case SQUALL_U8:
        return "uint8";
    case SQUALL_I8:
        return "int8";
    case SQUALL_U16:
        return "uint16";
    case SQUALL_I16:
        return "int16";
    case SQUALL_I32:
        return "int32";
    case SQUALL_I64:
        return "int64";
    case SQUALL_BOOL:
        return "bool";
    case SQUALL_F16:
        return "float16";
    case SQUALL_F64:
        return "float64";
    case SQUALL_U32:
        return "uint32";
    case SQUALL_U64:
        return "uint64";
    case SQUALL_BF16:
        return "bfloat16";
    }
    return "unknown";
}

/* The product of the sizes, the channels rounded up to a multiple of `block` (1: as they are). */
static size_t count_blocked(const squall_tensor *tensor, size_t block)
{
    if (tensor->rank > SQUALL_MAX_DIMS || (block > 1 && tensor->rank < 2)) {
        return SIZE_MAX;
    }
    size_t count = 1;
    bool empty = false, overflow = false;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0) {
            return SIZE_MAX;
        }
        size_t size = (size_t)tensor->dims[i];
        if (i == 1 && block > 1) {
            if (!sq_add_size(size, block - 1, &size)) {
                return SIZE_MAX;
            }
            size = size / block * block;
        }
        empty = empty || size == 0;
        overflow = overflow || !sq_mul_size(count, size, &count);
    }
    if (empty) { /* whatever the other sizes are */
        return 0;
    }
    return overflow ? SIZE_MAX : count;
}

size_t squall_tensor_count(const squall_tensor *tensor)
{
    return count_blocked(tensor, 1);
}

size_t sq_tensor_lanes(squall_dtype dtype)
{
    return squall_dtype_size(dtype) == 1 ? 16 : 8;
}

size_t squall_tensor_bytes(const squall_tensor *tensor)
{
    size_t block;
    switch (tensor->layout) {
    case SQUALL_PLAIN:
        block = 1;
        break;
    case SQUALL_C16:
        block = 16;
        break;
    case SQUALL_C8:
        block = 8;
        break;
    case SQUALL_NHWC:
        block = sq_tensor_lanes(tensor->dtype);
        break;
    default:
        return SIZE_MAX;
    }
    size_t bytes;
    const size_t count = count_blocked(tensor, block);
    if (count == SIZE_MAX || !sq_mul_size(count, squall_dtype_size(tensor->dtype), &bytes)) {
        return SIZE_MAX;
    }
    return bytes;
}

bool sq_tensor_make(squall_dtype dtype, uint32_t rank, const int64_t *dims, squall_tensor *out)
{
    squall_tensor tensor = {.dtype = dtype, .rank = rank};
    if (rank > SQUALL_MAX_DIMS || squall_dtype_size(dtype) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < rank; i++) {
        tensor.dims[i] = dims[i];
    }
    const size_t bytes = squall_tensor_bytes(&tensor);
    if (bytes == SIZE_MAX) {
        return false;
    }
    tensor.data = sq_alloc(bytes, 1);
    if (!tensor.data) {
        return false;
    }
    *out = tensor;
    return true;
}

bool sq_tensor_copy(const squall_tensor *tensor, squall_tensor *out)
{
    squall_tensor copy = *tensor;
    copy.data = NULL;
    if (tensor->data) {
        const size_t bytes = squall_tensor_bytes(tensor);
        copy.data = bytes == SIZE_MAX ? NULL : sq_alloc_raw(bytes, 1);
        if (!copy.data) {
            return false;
        }
        memcpy(copy.data, tensor->data, bytes);
    }
    *out = copy;
    return true;
}

void sq_tensor_free(squall_tensor *tensor)
{
    sq_free(tensor->data);
    *tensor = (squall_tensor){0};
}

bool sq_tensor_same_type(const squall_tensor *a, const squall_tensor *b)
{
    if (a->dtype != b->dtype || a->layout != b->layout || a->rank != b->rank) {
        return false;
    }
    for (uint32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

char *sq_tensor_format(const squall_tensor *tensor, char *text)
{
    size_t length = 0;
    length += (size_t)snprintf(text, SQ_TENSOR_TEXT, "%s[", squall_dtype_name(tensor->dtype));
    /* 8 sizes of at most 20 characters: none is cut */
    for (uint32_t i = 0; i < tensor->rank && i < SQUALL_MAX_DIMS; i++) {
        char size[24] = "?";
        if (tensor->dims[i] >= 0) {
            (void)snprintf(size, sizeof size, "%" PRId64, tensor->dims[i]);
        }
        length +=
            (size_t)snprintf(text + length, SQ_TENSOR_TEXT - length, "%s%.20s", i ? "," : "", size);
    }
    const char *layout = "";
    if (tensor->layout != SQUALL_PLAIN) {
        layout = tensor->layout == SQUALL_C16    ? ":c16"
                 : tensor->layout == SQUALL_NHWC ? ":nhwc"
                                                 : ":c8";
    }
    (void)snprintf(text + length, SQ_TENSOR_TEXT - length, "]%s", layout);
    return text;
}

double sq_tensor_get_double(const squall_tensor *tensor, size_t index)
{
    const void *data = tensor->data;
    switch (tensor->dtype) {
    case SQUALL_F32:
        return ((const float *)data)[index];
    case SQUALL_F64:
        return ((const double *)data)[index];
    case SQUALL_F16:
        return sq_half_to_float(((const uint16_t *)data)[index]);
    case SQUALL_BF16:
        return sq_bf16_to_float(((const uint16_t *)data)[index]);
    case SQUALL_U64:
        return (double)((const uint64_t *)data)[index];
    default:
        return (double)sq_tensor_get_int(tensor, index);
    }
}

/* Toward zero; what int64 cannot hold becomes its nearest end, NaN 0: no such cast is defined. */
static int64_t int_of(double value)
{
    if (isnan(value)) {
        return 0;
    }
    if (value >= 0x1p63) {
        return INT64_MAX;
    }
    return value < -0x1p63 ? INT64_MIN : (int64_t)value;
}

int64_t sq_tensor_get_int(const squall_tensor *tensor, size_t index)
{
    const void *data = tensor->data;
    switch (tensor->dtype) {
    case SQUALL_I64:
        return ((const int64_t *)data)[index];
    case SQUALL_I32:
        return ((const int32_t *)data)[index];
    case SQUALL_I16:
        return ((const int16_t *)data)[index];
    case SQUALL_I8:
        return ((const int8_t *)data)[index];
    case SQUALL_U64:
        return (int64_t)((const uint64_t *)data)[index];
    case SQUALL_U32:
        return ((const uint32_t *)data)[index];
    case SQUALL_U16:
        return ((const uint16_t *)data)[index];
    case SQUALL_U8:
        return ((const uint8_t *)data)[index];
    case SQUALL_BOOL:
        return ((const uint8_t *)data)[index] != 0;
    case SQUALL_F32:
    case SQUALL_F64:
    case SQUALL_F16:
    case SQUALL_BF16:
        return int_of(sq_tensor_get_double(tensor, index));
    case SQUALL_DTYPE_NONE:
        break;
    }
    return 0;
}
