/* nn/op/op_shape_fused.c - shapes of operators that passes make of several, and those several
 * again.
 *
 *   SqConvJoin(x, weights, bias, more...) -> y    Conv with its attributes over the channels of x
 * and of all `more`, one behind the other. Attribute "sq_upsample" has a number for each of them:
 * 1, or 2 where every cell stands for 2 x 2. SqConvDepth(x, weights, bias, points, bias) -> y    a
 * depthwise Conv with its attributes, then a 1 x 1 Conv of the weights `points`.
 * "sq_first_activation" is that of the first, "sq_activation" that of the second. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

static squall_status no_join(const sq_step *step, uint32_t input, squall_error *err)
{
    char text[SQ_TENSOR_TEXT];
    return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 ", %s, does not join the first", input,
                        sq_tensor_format(&step->in[input], text));
}

squall_status sq_op_conv_join(const sq_step *step, sq_conv_join *out, squall_error *err)
{
    size_t count;
    const int64_t *scales = sq_attr_ints(step->attrs, "sq_upsample", &count);
    memset(out, 0, sizeof *out);
    if (step->in_count < 3 || step->in[0].rank < 3 || count != (size_t)step->in_count - 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "%" PRIu32 " inputs and %zu scales; an image, weights, a bias and a "
                            "scale for each image are needed",
                            step->in_count, count);
    }
    squall_tensor joined = step->in[0];
    joined.data = NULL;
    joined.layout = SQUALL_PLAIN;
    joined.dims[1] = 0;
    for (uint32_t i = 0, k = 0; i < step->in_count; i += i == 0 ? 3 : 1, k++) {
        const squall_tensor *in = &step->in[i];
        bool fits = in->dtype == joined.dtype && in->rank == joined.rank &&
                    in->dims[0] == joined.dims[0] && (scales[k] == 1 || scales[k] == 2) &&
                    !__builtin_add_overflow(joined.dims[1], in->dims[1], &joined.dims[1]);
        for (uint32_t d = 2; fits && d < joined.rank; d++) {
            int64_t size;
            fits = !__builtin_mul_overflow(in->dims[d], scales[k], &size) &&
                   (i == 0 || size == joined.dims[d]);
            joined.dims[d] = fits ? size : 0;
        }
        if (!fits) {
            return no_join(step, i, err);
        }
    }
    out->in[0] = joined;
    out->in[1] = step->in[1];
    out->in[2] = step->in[2];
    out->conv = *step;
    out->conv.op = SQ_OP_Conv;
    out->conv.in_count = 3;
    out->conv.in = out->in;
    return SQUALL_OK;
}

squall_status sq_op_shape_conv_join(sq_step *step, squall_error *err)
{
    sq_conv_join join;
    SQ_TRY(sq_op_conv_join(step, &join, err));
    return sq_op_shape_conv(&join.conv, err);
}

/* Copy an attribute under another name; the copy owns nothing. */
static void lend(const sq_attr *from, const char *name, sq_attrs *to)
{
    to->items[to->count] = *from;
    to->items[to->count++].name = (char *)(uintptr_t)name;
}

static squall_status share_attrs(const sq_step *step, sq_conv_depth *out, squall_error *err)
{
    out->first_attrs = (sq_attrs){.items = out->first_items, .opset = step->attrs->opset};
    out->second_attrs = (sq_attrs){.items = out->second_items, .opset = step->attrs->opset};
    for (size_t i = 0; i < step->attrs->count; i++) {
        const sq_attr *attr = &step->attrs->items[i];
        const bool second = strcmp(attr->name, "sq_activation") == 0 ||
                            strcmp(attr->name, "sq_activation_params") == 0;
        const bool first = strcmp(attr->name, "sq_first_activation") == 0 ||
                           strcmp(attr->name, "sq_first_activation_params") == 0;
        if (i >= SQ_CONV_DEPTH_ATTRS) {
            return SQ_STEP_FAIL(SQUALL_E_LIMIT, "more than %d attributes", SQ_CONV_DEPTH_ATTRS);
        }
        if (second) {
            lend(attr, attr->name, &out->second_attrs);
        } else {
            lend(attr,
                 !first                                           ? attr->name
                 : strcmp(attr->name, "sq_first_activation") == 0 ? "sq_activation"
                                                                  : "sq_activation_params",
                 &out->first_attrs);
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_conv_depth(const sq_step *step, sq_conv_depth *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    if (step->in_count != 5) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " inputs, but it takes 5", step->in_count);
    }
    SQ_TRY(share_attrs(step, out, err));
    memcpy(out->first_in, step->in, sizeof out->first_in);
    out->second_in[1] = step->in[3];
    out->second_in[2] = step->in[4];
    out->middle.dtype = step->in[0].dtype;
    out->first =
        (sq_step){SQ_OP_Conv, step->name, &out->first_attrs, 3, 1, out->first_in, &out->middle};
    SQ_TRY(sq_op_shape_conv(&out->first, err));
    out->second_in[0] = out->middle;
    out->second = (sq_step){SQ_OP_Conv,      step->name,     &out->second_attrs, 3,
                            step->out_count, out->second_in, step->out};
    for (uint32_t d = 2; d < out->second_in[1].rank; d++) {
        if (out->second_in[1].dims[d] != 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "its second weights are not 1 x 1");
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_conv_depth(sq_step *step, squall_error *err)
{
    sq_conv_depth pair;
    SQ_TRY(sq_op_conv_depth(step, &pair, err));
    return sq_op_shape_conv(&pair.second, err);
}
