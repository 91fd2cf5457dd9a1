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

static squall_status no_image(const sq_step *step, uint32_t source, squall_error *err)
{
    char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
    return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                        "image %" PRIu32 " is %s; it must be a uint8 image of the size of %s, by "
                        "the factors of 'sq_upsample', with a zero point of 0 to 255",
                        source, sq_tensor_format(sq_op_qconv_source(step, source), a),
                        sq_tensor_format(&step->in[0], b));
}

/* Attribute of a number for each image. */
static squall_status read_numbers(const sq_step *step, const char *name, uint32_t sources,
                                  const int64_t **out, squall_error *err)
{
    size_t count;
    *out = sq_attr_ints(step->attrs, name, &count);
    if (*out != NULL && count != sources) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu numbers in '%s' for %" PRIu32 " images", count,
                            name, sources);
    }
    return SQUALL_OK;
}

/* `size` becomes that of the images as the window sees them. */
static squall_status read_sources(const sq_step *step, sq_qconv *out, int64_t *size,
                                  squall_error *err)
{
    const int64_t *zeros, *ups;
    out->sources = step->in_count - 3;
    SQ_TRY(read_numbers(step, "sq_x_zero", out->sources, &zeros, err));
    SQ_TRY(read_numbers(step, "sq_upsample", out->sources, &ups, err));
    for (uint32_t s = 0; s < out->sources; s++) {
        const squall_tensor *image = sq_op_qconv_source(step, s), *first = &step->in[0];
        const int64_t zero = zeros != NULL ? zeros[s] : 0, up = ups != NULL ? ups[s] : 1;
        bool fits = image->dtype == SQUALL_U8 && image->rank == 4 && (up == 1 || up == 2) &&
                    image->dims[0] == first->dims[0] && zero >= 0 && zero <= UINT8_MAX &&
                    !__builtin_add_overflow(out->channels, image->dims[1], &out->channels);
        for (uint32_t d = 0; fits && d < 2; d++) {
            int64_t seen;
            fits = !__builtin_mul_overflow(image->dims[d + 2], up, &seen) &&
                   (s == 0 || seen == size[d]);
            size[d] = fits ? seen : 0;
        }
        if (!fits) {
            return no_image(step, s, err);
        }
        out->x_zero[s] = (uint8_t)zero;
        out->up[s] = (uint8_t)up;
        out->phases = out->phases || up == 2;
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
    squall_tensor seen[2] = {step->in[0], step->in[1]};
    sq_step view = *step;
    view.in = seen;
    view.in_count = 2;
    SQ_TRY(read_sources(step, out, seen[0].dims + 2, err));
    SQ_TRY(sq_op_window(&view, &out->window, err));
    const int64_t sets = out->phases ? 4 : 1;
    const sq_window *w = &out->window;
    bool fits = step->in[1].dims[0] % sets == 0;
    for (uint32_t d = 0; d < 2 && out->phases; d++) {
        fits = fits && w->kernel[d] == 3 && w->stride[d] == 1 && w->dilation[d] == 1 &&
               w->pad_begin[d] == 1 && w->out[d] == w->in[d];
    }
    if (!fits) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "of enlarged images there are four sets of weights, 3 x 3 in steps of "
                            "1 with a border of 1; %" PRId64 " x %" PRId64 " is asked for",
                            w->kernel[0], w->kernel[1]);
    }
    out->outputs = step->in[1].dims[0] / sets;
    SQ_TRY(read_byte(step, "sq_y_zero", 0, &out->y_zero, err));
    SQ_TRY(read_byte(step, "sq_low", 0, &out->low, err));
    SQ_TRY(read_byte(step, "sq_high", UINT8_MAX, &out->high, err));
    out->to_float = type == SQUALL_F32;
    const int64_t act = sq_attr_int(step->attrs, "sq_activation", SQ_ACT_NONE);
    if (out->low > out->high ||
        (!out->to_float && act != SQ_ACT_NONE && act != SQ_ACT_LEAKY_RELU)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "numbers are held to %d..%d, which is empty, or another activation "
                            "than LeakyRelu is asked for with an output of uint8",
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
        in_channels != conv.channels || conv.outputs % group != 0 ||
        (group > 1 && (conv.phases || (conv.sources > 1 && weights->dims[1] != 1)))) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights %s in %" PRId64 " groups do not fit %" PRId64
                            " channels of %" PRIu32 " images",
                            sq_tensor_format(weights, text), group, conv.channels, conv.sources);
    }
    SQ_TRY(sq_op_need_shape(step, 2, "a multiplier a channel", 1, &conv.outputs, err));
    SQ_TRY(sq_op_need_shape(step, 3, "a bias a channel", 1, &conv.outputs, err));
    const int64_t dims[4] = {in->dims[0], conv.outputs, conv.window.out[0], conv.window.out[1]};
    SQ_TRY(sq_op_set(step, 0, conv.to_float ? SQUALL_F32 : SQUALL_U8, 4, dims, err));
    if (step->out_count < 2) {
        return SQUALL_OK;
    }
    if (conv.to_float) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the largest of 2 x 2 is given of uint8 alone");
    }
    const int64_t pooled[4] = {dims[0], dims[1], dims[2] / 2, dims[3] / 2};
    return sq_op_set(step, 1, SQUALL_U8, 4, pooled, err);
}
