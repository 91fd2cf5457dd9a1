/* nn/op/op_shape_make.c - shapes of what makes numbers: shapes themselves, constants, ranges. */
#include <inttypes.h>
#include <math.h>

#include "nn/op/op_shape.h"

squall_status sq_op_shape_shape(sq_step *step, squall_error *err)
{
    /* start and end (opset 15) are clamped, not refused */
    const int64_t rank = step->in[0].rank;
    int64_t start = sq_attr_int(step->attrs, "start", 0);
    int64_t end = sq_attr_int(step->attrs, "end", rank);
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < 0 ? 0 : end > rank ? rank : end;
    const int64_t count = end > start ? end - start : 0;
    return sq_op_set(step, 0, SQUALL_I64, 1, &count, err);
}

squall_status sq_op_shape_size(sq_step *step, squall_error *err)
{
    return sq_op_set(step, 0, SQUALL_I64, 0, NULL, err);
}

squall_status sq_op_shape_constant(sq_step *step, squall_error *err)
{
    const sq_attr *attr;
    if ((attr = sq_attr_find(step->attrs, "value")) && attr->kind == SQ_ATTR_TENSOR) {
        return sq_op_set(step, 0, attr->tensor.dtype, attr->tensor.rank, attr->tensor.dims, err);
    }
    if ((attr = sq_attr_find(step->attrs, "value_float")) && attr->kind == SQ_ATTR_FLOAT) {
        return sq_op_set(step, 0, SQUALL_F32, 0, NULL, err);
    }
    if ((attr = sq_attr_find(step->attrs, "value_int")) && attr->kind == SQ_ATTR_INT) {
        return sq_op_set(step, 0, SQUALL_I64, 0, NULL, err);
    }
    if ((attr = sq_attr_find(step->attrs, "value_floats")) && attr->kind == SQ_ATTR_FLOATS) {
        const int64_t count = (int64_t)attr->count;
        return sq_op_set(step, 0, SQUALL_F32, 1, &count, err);
    }
    if ((attr = sq_attr_find(step->attrs, "value_ints")) && attr->kind == SQ_ATTR_INTS) {
        const int64_t count = (int64_t)attr->count;
        return sq_op_set(step, 0, SQUALL_I64, 1, &count, err);
    }
    return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "its value is no tensor of numbers");
}

squall_status sq_op_shape_constant_of_shape(sq_step *step, squall_error *err)
{
    int64_t dims[SQUALL_MAX_DIMS];
    size_t rank;
    SQ_TRY(sq_op_input_ints(step, 0, "shape", SQUALL_MAX_DIMS, dims, &rank, err));
    const sq_attr *value = sq_attr_find(step->attrs, "value");
    if (value && (value->kind != SQ_ATTR_TENSOR || squall_tensor_count(&value->tensor) != 1)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute 'value' is not one number");
    }
    return sq_op_set(step, 0, value ? value->tensor.dtype : SQUALL_F32, (uint32_t)rank, dims, err);
}

squall_status sq_op_shape_range(sq_step *step, squall_error *err)
{
    for (uint32_t i = 0; i < 3; i++) {
        SQ_TRY(sq_op_need_same_type(step, 0, i, err));
        if (squall_tensor_count(&step->in[i]) != 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " is no single number", i);
        }
        if (!step->in[i].data) {
            return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                                "the shape of its output hangs on input %" PRIu32
                                ", which is not constant",
                                i);
        }
    }
    int64_t count = 0;
    if (sq_op_is_float(step->in[0].dtype)) {
        const double start = sq_tensor_get_double(&step->in[0], 0);
        const double span = sq_tensor_get_double(&step->in[1], 0) - start;
        const double numbers = ceil(span / sq_tensor_get_double(&step->in[2], 0));
        if (!(numbers < 0x1p62)) { /* a NaN too: 0 / 0 */
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it has no end");
        }
        count = numbers > 0 ? (int64_t)numbers : 0;
    } else {
        const int64_t start = sq_tensor_get_int(&step->in[0], 0);
        const int64_t delta = sq_tensor_get_int(&step->in[2], 0);
        int64_t span;
        if (delta == 0 ||
            __builtin_sub_overflow(sq_tensor_get_int(&step->in[1], 0), start, &span)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it has no end");
        }
        if (span != 0 && (span > 0) == (delta > 0)) {
            /* span / delta overflows for INT64_MIN / -1 alone */
            if (span == INT64_MIN && delta == -1) {
                return SQ_STEP_FAIL(SQUALL_E_LIMIT, "it is too long");
            }
            count = span / delta + (span % delta != 0);
        }
    }
    return sq_op_set(step, 0, step->in[0].dtype, 1, &count, err);
}

squall_status sq_op_shape_eye_like(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    const int64_t dtype = sq_attr_int(step->attrs, "dtype", in->dtype);
    if (in->rank != 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " dimensions; it needs 2", in->rank);
    }
    if (dtype <= 0 || dtype > SQUALL_BF16 || squall_dtype_size((squall_dtype)dtype) == 0) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "ONNX type %" PRId64, dtype);
    }
    return sq_op_set(step, 0, (squall_dtype)dtype, 2, in->dims, err);
}
