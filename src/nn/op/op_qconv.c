/* nn/op/op_qconv.c - squall's own convolution of numbers of 8 bits: what it works on, and its
 * shape.
 */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

const squall_tensor *sq_op_qconv_source(const sq_step *step, uint32_t source)
{
    return &step->in[source == 0 ? 0 : source + 3];
}

/* A number of 8 bits in an attribute. */
static squall_status read_byte(const sq_step *step, const char *name, int64_t otherwise,
                               uint8_t *out, squall_error *err)
{
    const int64_t value = sq_attr_int(step->attrs, name, otherwise);
    if (value < 0 || value > UINT8_MAX) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute '%s' is %" PRId64 "; it must be 0 to 255",
                            name, value);
    }
    *out = (uint8_t)value;
    return SQUALL_OK;
}

static squall_status read_sources(const sq_step *step, sq_qconv *out, squall_error *err)
{
    size_t count;
    const int64_t *zeros = sq_attr_ints(step->attrs, "sq_x_zero", &count);
    out->sources = step->in_count - 3;
    if (zeros != NULL && count != out->sources) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu zero points in 'sq_x_zero' for %" PRIu32 " images",
                            count, out->sources);
    }
    for (uint32_t s = 0; s < out->sources; s++) {
        const squall_tensor *image = sq_op_qconv_source(step, s), *first = &step->in[0];
        const int64_t zero = zeros != NULL ? zeros[s] : 0;
        bool fits = image->dtype == SQUALL_U8 && image->rank == 4 && first->rank == 4;
        for (uint32_t d = 0; fits && d < image->rank; d++) {
            fits = d == 1 || image->dims[d] == first->dims[d];
        }
        if (!fits || zero < 0 || zero > UINT8_MAX ||
            __builtin_add_overflow(out->channels, image->dims[1], &out->channels)) {
            char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "image %" PRIu32 " is %s with zero point %" PRId64
                                "; it must be a uint8 image of the size of %s",
                                s, sq_tensor_format(image, a), zero, sq_tensor_format(first, b));
        }
        out->x_zero[s] = (uint8_t)zero;
    }
    return SQUALL_OK;
}

squall_status sq_op_qconv(const sq_step *step, sq_qconv *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    const int64_t type = sq_attr_int(step->attrs, "sq_y_type", SQUALL_U8);
    if (step->in[1].dtype != SQUALL_I8 || step->in[2].dtype != SQUALL_F32 ||
        step->in[3].dtype != SQUALL_I32 || (type != SQUALL_U8 && type != SQUALL_F32)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights, multipliers and bias are %s, %s, %s and the output of ONNX "
                            "type %" PRId64
                            "; they must be int8, float32, int32, and 2 (uint8) or 1 (float32)",
                            squall_dtype_name(step->in[1].dtype),
                            squall_dtype_name(step->in[2].dtype),
                            squall_dtype_name(step->in[3].dtype), type);
    }
    SQ_TRY(read_sources(step, out, err));
    SQ_TRY(sq_op_window(step, &out->window, err));
    SQ_TRY(read_byte(step, "sq_y_zero", 0, &out->y_zero, err));
    SQ_TRY(read_byte(step, "sq_low", 0, &out->low, err));
    SQ_TRY(read_byte(step, "sq_high", UINT8_MAX, &out->high, err));
    out->to_float = type == SQUALL_F32;
    if (out->low > out->high ||
        (!out->to_float && sq_attr_int(step->attrs, "sq_activation", 0) != SQ_ACT_NONE)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "numbers are held to %d..%d, which is empty, or an activation is asked "
                            "for with an output of uint8",
                            out->low, out->high);
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_qconv(sq_step *step, squall_error *err)
{
    sq_qconv conv;
    SQ_TRY(sq_op_qconv(step, &conv, err));
    const squall_tensor *in = &step->in[0], *weights = &step->in[1];
    const int64_t group = conv.window.group;
    int64_t in_channels;
    if (__builtin_mul_overflow(weights->dims[1], group, &in_channels) ||
        in_channels != conv.channels || weights->dims[0] % group != 0 ||
        (group > 1 && conv.sources > 1)) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights %s in %" PRId64 " groups do not fit %" PRId64
                            " channels of %" PRIu32 " images",
                            sq_tensor_format(weights, text), group, conv.channels, conv.sources);
    }
    SQ_TRY(sq_op_need_shape(step, 2, "a multiplier a channel", 1, &weights->dims[0], err));
    SQ_TRY(sq_op_need_shape(step, 3, "a bias a channel", 1, &weights->dims[0], err));
    const int64_t dims[4] = {in->dims[0], weights->dims[0], conv.window.out[0], conv.window.out[1]};
    return sq_op_set(step, 0, conv.to_float ? SQUALL_F32 : SQUALL_U8, 4, dims, err);
}
