/* nn/op/op_shape_window.c - shapes of convolution and pooling, and the work in products. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* The output: batch of the input, `channels`, and what the window gives. */
static squall_status set_output(sq_step *step, uint32_t index, squall_dtype dtype, int64_t channels,
                                const sq_window *window, squall_error *err)
{
    int64_t dims[2 + SQ_MAX_SPATIAL] = {step->in[0].dims[0], channels};
    memcpy(dims + 2, window->out, window->spatial * sizeof dims[0]);
    return sq_op_set(step, index, dtype, window->spatial + 2, dims, err);
}

/* Input, weights and bias are floating and of one type; the bias has `channels` numbers. */
static squall_status check_operands(const sq_step *step, int64_t channels, squall_error *err)
{
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    if (sq_op_has(step, 2)) {
        const squall_tensor *bias = &step->in[2];
        SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
        if (bias->rank != 1 || bias->dims[0] != channels) {
            char text[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the bias is %s; it must be [%" PRId64 "]",
                                sq_tensor_format(bias, text), channels);
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_conv(sq_step *step, squall_error *err)
{
    sq_window window;
    SQ_TRY(sq_op_window(step, &window, err));
    const squall_tensor *in = &step->in[0], *weights = &step->in[1];
    int64_t in_channels; /* weights: [out][in / group][...] */
    if (__builtin_mul_overflow(weights->dims[1], window.group, &in_channels) ||
        in_channels != in->dims[1] || weights->dims[0] % window.group != 0) {
        char data[SQ_TENSOR_TEXT], text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights %s in %" PRId64 " groups do not fit the channels of %s",
                            sq_tensor_format(weights, text), window.group,
                            sq_tensor_format(in, data));
    }
    SQ_TRY(check_operands(step, weights->dims[0], err));
    return set_output(step, 0, in->dtype, weights->dims[0], &window, err);
}

squall_status sq_op_shape_conv_transpose(sq_step *step, squall_error *err)
{
    sq_window window;
    SQ_TRY(sq_op_window(step, &window, err));
    const squall_tensor *in = &step->in[0], *weights = &step->in[1];
    int64_t out_channels; /* weights: [in][out / group][...] */
    if (weights->dims[0] != in->dims[1] || weights->dims[0] % window.group != 0 ||
        __builtin_mul_overflow(weights->dims[1], window.group, &out_channels)) {
        char data[SQ_TENSOR_TEXT], text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights %s in %" PRId64 " groups do not fit the channels of %s",
                            sq_tensor_format(weights, text), window.group,
                            sq_tensor_format(in, data));
    }
    SQ_TRY(check_operands(step, out_channels, err));
    return set_output(step, 0, in->dtype, out_channels, &window, err);
}

squall_status sq_op_shape_pool(sq_step *step, squall_error *err)
{
    sq_window window;
    SQ_TRY(sq_op_window(step, &window, err));
    if (step->out_count > 1 && step->op != SQ_OP_MaxPool) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " outputs, but it gives 1", step->out_count);
    }
    SQ_TRY(set_output(step, 0, step->in[0].dtype, step->in[0].dims[1], &window, err));
    return set_output(step, 1, SQUALL_I64, step->in[0].dims[1], &window, err);
}

squall_status sq_op_shape_global_pool(sq_step *step, squall_error *err)
{
    sq_window window;
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_window(step, &window, err));
    return set_output(step, 0, step->in[0].dtype, step->in[0].dims[1], &window, err);
}

/* A product that stops at the largest number. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t sq_op_macs(const sq_step *step)
{
    if (step->in_count < 2 || step->out_count < 1) {
        return 0;
    }
    const squall_tensor *in = &step->in[0], *weights = &step->in[1], *out = &step->out[0];
    const uint64_t out_count = squall_tensor_count(out);
    uint64_t each;
    sq_conv_join join;
    sq_conv_depth pair;
    switch (step->op) {
    case SQ_OP_SqConvJoin:
        return sq_op_conv_join(step, &join, NULL) == SQUALL_OK ? sq_op_macs(&join.conv) : 0;
    case SQ_OP_SqConvDepth:
        return sq_op_conv_depth(step, &pair, NULL) == SQUALL_OK
                   ? plus(sq_op_macs(&pair.first), sq_op_macs(&pair.second))
                   : 0;
    case SQ_OP_SqQConv:
    case SQ_OP_SqConvBlock:
    case SQ_OP_Conv: /* an output is a sum over its group's channels and the kernel */
        each = 1;
        for (uint32_t i = 1; i < weights->rank; i++) {
            each = times(each, (uint64_t)weights->dims[i]);
        }
        return times(out_count, each);
    case SQ_OP_ConvTranspose: /* an input goes to the group's channels and the kernel */
        each = 1;
        for (uint32_t i = 1; i < weights->rank; i++) {
            each = times(each, (uint64_t)weights->dims[i]);
        }
        return times(squall_tensor_count(in), each);
    case SQ_OP_MatMul:
        return in->rank > 0 ? times(out_count, (uint64_t)in->dims[in->rank - 1]) : 0;
    case SQ_OP_Gemm:
        each = (uint64_t)in->dims[sq_attr_int(step->attrs, "transA", 0) ? 0 : 1];
        return times(out_count, each);
    default:
        return 0;
    }
}
