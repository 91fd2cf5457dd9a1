/* nn/op/op_shape_quant.c - shapes of what turns numbers into integers that stand for them, back,
 * and what works on those. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

static bool is_quantised(squall_dtype dtype)
{
    return dtype == SQUALL_U8 || dtype == SQUALL_I8 || dtype == SQUALL_U16 || dtype == SQUALL_I16;
}

static squall_status need_quantised(const sq_step *step, uint32_t index, squall_error *err)
{
    if (is_quantised(step->in[index].dtype)) {
        return SQUALL_OK;
    }
    return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                        "input %" PRIu32 " is of type %s; it must be an integer of 8 or 16 bits",
                        index, squall_dtype_name(step->in[index].dtype));
}

/* Scales (input 1) and zero points (input 2) are one number, one a slice of `axis`, or one a block
 * of it. */
static squall_status check_scales(const sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *scale = &step->in[1];
    const int64_t block = sq_attr_int(step->attrs, "block_size", 0);
    SQ_TRY(sq_op_need_shape(step, 2, "zero points", scale->rank, scale->dims, err));
    if (squall_tensor_count(scale) == 1 && block == 0 && scale->rank <= 1) {
        return SQUALL_OK;
    }
    uint32_t axis;
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 1), in->rank, &axis, err));
    bool fits;
    if (block == 0) {
        fits = scale->rank == 1 && scale->dims[0] == in->dims[axis];
    } else {
        fits = block > 0 && scale->rank == in->rank;
        for (uint32_t i = 0; fits && i < in->rank; i++) {
            const int64_t blocks =
                i == axis ? in->dims[i] / block + (in->dims[i] % block != 0) : in->dims[i];
            fits = scale->dims[i] == blocks;
        }
    }
    if (!fits) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "scales %s in blocks of %" PRId64 " do not fit axis %" PRIu32 " of %s",
                            sq_tensor_format(scale, a), block, axis, sq_tensor_format(in, b));
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_quantize(sq_step *step, squall_error *err)
{
    squall_dtype dtype = SQUALL_U8;
    const int64_t asked = sq_attr_int(step->attrs, "output_dtype", 0);
    if (step->in[0].dtype != SQUALL_I32) {
        SQ_TRY(sq_op_need_float(step, 0, err));
    }
    SQ_TRY(check_scales(step, err));
    if (sq_op_has(step, 2)) {
        dtype = step->in[2].dtype;
    } else if (asked != 0) {
        dtype = asked > 0 && asked <= SQUALL_BF16 ? (squall_dtype)asked : SQUALL_DTYPE_NONE;
    }
    if (!is_quantised(dtype) || (asked != 0 && asked != (int64_t)dtype)) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                            "an output of ONNX type %" PRId64
                            "; integers of 8 and 16 bits are taken",
                            asked != 0 ? asked : (int64_t)dtype);
    }
    return sq_op_set(step, 0, dtype, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_dequantize(sq_step *step, squall_error *err)
{
    const int64_t asked = sq_attr_int(step->attrs, "output_dtype", 0);
    if (step->in[0].dtype != SQUALL_I32) {
        SQ_TRY(need_quantised(step, 0, err));
    }
    if (sq_op_has(step, 2)) {
        SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
    }
    SQ_TRY(sq_op_need_float(step, 1, err));
    SQ_TRY(check_scales(step, err));
    if (asked < 0 || asked > SQUALL_BF16 || (asked != 0 && !sq_op_is_float((squall_dtype)asked))) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "output_dtype %" PRId64 " is not floating", asked);
    }
    const squall_dtype dtype = asked != 0 ? (squall_dtype)asked : step->in[1].dtype;
    return sq_op_set(step, 0, dtype, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_dynamic_quantize(sq_step *step, squall_error *err)
{
    if (step->in[0].dtype != SQUALL_F32 || squall_tensor_count(&step->in[0]) == 0) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the input is %s; it must be float32 and not empty",
                            sq_tensor_format(&step->in[0], text));
    }
    SQ_TRY(sq_op_set(step, 0, SQUALL_U8, step->in[0].rank, step->in[0].dims, err));
    SQ_TRY(sq_op_set(step, 1, SQUALL_F32, 0, NULL, err));
    return sq_op_set(step, 2, SQUALL_U8, 0, NULL, err);
}

/* The product of inputs `a` and `b` as if they were all there were. */
static squall_status infer_product(sq_step *step, uint32_t a, uint32_t b, squall_dtype dtype,
                                   squall_error *err)
{
    squall_tensor in[2] = {step->in[a], step->in[b]}, out = {0};
    in[0].dtype = in[1].dtype = SQUALL_I32; /* signed and unsigned may meet */
    sq_step product = {.op = SQ_OP_MatMul,
                       .name = step->name,
                       .attrs = step->attrs,
                       .in_count = 2,
                       .out_count = 1,
                       .in = in,
                       .out = &out};
    SQ_TRY(sq_op_shape_matmul(&product, err));
    return sq_op_set(step, 0, dtype, out.rank, out.dims, err);
}

/* A scale or zero point of a matrix: one number, or one a row (`rows`) or column. */
static squall_status check_matrix_scale(const sq_step *step, uint32_t index, uint32_t matrix,
                                        bool rows, squall_error *err)
{
    if (!sq_op_has(step, index)) {
        return SQUALL_OK;
    }
    const squall_tensor *scale = &step->in[index], *of = &step->in[matrix];
    const size_t count = squall_tensor_count(scale);
    if (count == 1) {
        return SQUALL_OK;
    }
    const uint32_t back = rows ? 2 : 1;
    if (scale->rank != 1 || of->rank < 2 || scale->dims[0] != of->dims[of->rank - back]) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 ", %s, does not fit %s", index,
                            sq_tensor_format(scale, a), sq_tensor_format(of, b));
    }
    return SQUALL_OK;
}

/* Of the two operands and the result, where the QLinear operators have them. */
static squall_status need_float_scales(const sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_float(step, 1, err));
    SQ_TRY(sq_op_need_float(step, 4, err));
    return sq_op_need_float(step, 6, err);
}

squall_status sq_op_shape_qlinear_matmul(sq_step *step, squall_error *err)
{
    SQ_TRY(need_quantised(step, 0, err));
    SQ_TRY(need_quantised(step, 3, err));
    SQ_TRY(need_quantised(step, 7, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
    SQ_TRY(sq_op_need_same_type(step, 3, 5, err));
    SQ_TRY(need_float_scales(step, err));
    SQ_TRY(check_matrix_scale(step, 1, 0, true, err));
    SQ_TRY(check_matrix_scale(step, 2, 0, true, err));
    SQ_TRY(check_matrix_scale(step, 4, 3, false, err));
    SQ_TRY(check_matrix_scale(step, 5, 3, false, err));
    SQ_TRY(sq_op_need_one(step, 6, "y_scale", err));
    SQ_TRY(sq_op_need_one(step, 7, "y_zero_point", err));
    return infer_product(step, 0, 3, step->in[7].dtype, err);
}

squall_status sq_op_shape_matmul_integer(sq_step *step, squall_error *err)
{
    SQ_TRY(need_quantised(step, 0, err));
    SQ_TRY(need_quantised(step, 1, err));
    SQ_TRY(check_matrix_scale(step, 2, 0, true, err));
    SQ_TRY(check_matrix_scale(step, 3, 1, false, err));
    return infer_product(step, 0, 1, SQUALL_I32, err);
}

/* A convolution of inputs 0 and `weights`; scales and zero points of the weights are one number or
 * one an output channel. */
static squall_status infer_conv(sq_step *step, uint32_t weights, squall_dtype dtype,
                                squall_error *err)
{
    sq_window window;
    SQ_TRY(sq_op_window(step, &window, err));
    const squall_tensor *in = &step->in[0], *w = &step->in[weights];
    int64_t in_channels;
    if (__builtin_mul_overflow(w->dims[1], window.group, &in_channels) ||
        in_channels != in->dims[1] || w->dims[0] % window.group != 0) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights %s in %" PRId64 " groups do not fit the channels of %s",
                            sq_tensor_format(w, a), window.group, sq_tensor_format(in, b));
    }
    int64_t dims[2 + SQ_MAX_SPATIAL] = {in->dims[0], w->dims[0]};
    memcpy(dims + 2, window.out, window.spatial * sizeof dims[0]);
    return sq_op_set(step, 0, dtype, window.spatial + 2, dims, err);
}

static squall_status one_or_each(const sq_step *step, uint32_t index, int64_t channels,
                                 squall_error *err)
{
    if (!sq_op_has(step, index) || squall_tensor_count(&step->in[index]) == 1) {
        return SQUALL_OK;
    }
    return sq_op_need_shape(step, index, "one number or one a channel", 1, &channels, err);
}

squall_status sq_op_shape_conv_integer(sq_step *step, squall_error *err)
{
    SQ_TRY(need_quantised(step, 0, err));
    SQ_TRY(need_quantised(step, 1, err));
    SQ_TRY(infer_conv(step, 1, SQUALL_I32, err));
    if (sq_op_has(step, 2)) {
        SQ_TRY(sq_op_need_one(step, 2, "x_zero_point", err));
    }
    return one_or_each(step, 3, step->in[1].dims[0], err);
}

squall_status sq_op_shape_qlinear_conv(sq_step *step, squall_error *err)
{
    SQ_TRY(need_quantised(step, 0, err));
    SQ_TRY(need_quantised(step, 3, err));
    SQ_TRY(need_quantised(step, 7, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
    SQ_TRY(sq_op_need_same_type(step, 3, 5, err));
    SQ_TRY(need_float_scales(step, err));
    SQ_TRY(infer_conv(step, 3, step->in[7].dtype, err));
    SQ_TRY(sq_op_need_one(step, 1, "x_scale", err));
    SQ_TRY(sq_op_need_one(step, 2, "x_zero_point", err));
    SQ_TRY(sq_op_need_one(step, 6, "y_scale", err));
    SQ_TRY(sq_op_need_one(step, 7, "y_zero_point", err));
    const int64_t channels = step->in[3].dims[0];
    SQ_TRY(one_or_each(step, 4, channels, err));
    SQ_TRY(one_or_each(step, 5, channels, err));
    if (sq_op_has(step, 8) && step->in[8].dtype != SQUALL_I32) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the bias is of type %s; it must be int32",
                            squall_dtype_name(step->in[8].dtype));
    }
    return sq_op_need_shape(step, 8, "bias", 1, &channels, err);
}
