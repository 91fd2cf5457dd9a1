/* nn/op/op_window.c - the geometry of windows that slide: convolution, its transpose, pooling. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* a * b + c, or -1 when it overflows; a, b, c >= 0. */
static int64_t multiply_add(int64_t a, int64_t b, int64_t c)
{
    int64_t product, sum;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum)) {
        return -1;
    }
    return sum;
}

/* Fill `out` from an attribute of one number a spatial dimension; `otherwise` where it is absent.
 */
static squall_status per_dimension(const sq_step *step, const char *name, uint32_t spatial,
                                   int64_t least, int64_t otherwise, int64_t *out,
                                   squall_error *err)
{
    size_t count;
    const int64_t *values = sq_attr_ints(step->attrs, name, &count);
    if (values && count != spatial) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "attribute '%s' has %zu numbers; it needs one a spatial dimension, "
                            "%" PRIu32,
                            name, count, spatial);
    }
    for (uint32_t i = 0; i < spatial; i++) {
        out[i] = values ? values[i] : otherwise;
        if (out[i] < least) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute '%s' has %" PRId64 "; at least %" PRId64,
                                name, out[i], least);
        }
    }
    return SQUALL_OK;
}

enum auto_pad { PAD_EXPLICIT, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

static squall_status find_auto_pad(const sq_step *step, enum auto_pad *out, squall_error *err)
{
    static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    const char *name = sq_attr_string(step->attrs, "auto_pad", "NOTSET");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum auto_pad)i;
            return SQUALL_OK;
        }
    }
    return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                        "auto_pad '%.32s' is none of NOTSET, VALID, SAME_UPPER, "
                        "SAME_LOWER",
                        name);
}

/* Pads by the attribute "pads": all begins, then all ends. */
static squall_status explicit_pads(const sq_step *step, sq_window *window, squall_error *err)
{
    size_t count;
    const int64_t *pads = sq_attr_ints(step->attrs, "pads", &count);
    if (!pads) {
        return SQUALL_OK;
    }
    if (count != 2 * (size_t)window->spatial) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "attribute 'pads' has %zu numbers; it needs two a spatial dimension, "
                            "%" PRIu32,
                            count, 2 * window->spatial);
    }
    for (uint32_t i = 0; i < window->spatial; i++) {
        window->pad_begin[i] = pads[i];
        window->pad_end[i] = pads[window->spatial + i];
        if (pads[i] < 0 || pads[window->spatial + i] < 0) {
            return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "negative pads; use a Slice before it");
        }
    }
    return SQUALL_OK;
}

/* Share out `total` pads; the odd one goes to the end (`upper`) or the beginning. */
static void share_pads(sq_window *window, uint32_t i, int64_t total, bool upper)
{
    total = total > 0 ? total : 0;
    window->pad_begin[i] = upper ? total / 2 : total - total / 2;
    window->pad_end[i] = total - window->pad_begin[i];
}

/* The output's size, and the pads when they are automatic, of convolution and pooling along one
 * dimension. `reach` is what the dilated kernel spans. */
static squall_status slide(const sq_step *step, sq_window *window, uint32_t i,
                           enum auto_pad auto_pad, bool ceil_mode, squall_error *err)
{
    const int64_t in = window->in[i], stride = window->stride[i];
    const int64_t reach = multiply_add(window->kernel[i] - 1, window->dilation[i], 1);
    if (auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER) {
        window->out[i] = in / stride + (in % stride != 0);
        const int64_t needed =
            window->out[i] > 0 ? multiply_add(window->out[i] - 1, stride, reach) : 0;
        if (reach < 0 || needed < 0) {
            return SQ_STEP_FAIL(SQUALL_E_LIMIT, "its window overflows");
        }
        share_pads(window, i, needed - in, auto_pad == PAD_SAME_UPPER);
        return SQUALL_OK;
    }
    int64_t padded;
    if (reach < 0 || __builtin_add_overflow(in, window->pad_begin[i], &padded) ||
        __builtin_add_overflow(padded, window->pad_end[i], &padded)) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "its window overflows");
    }
    if (padded < reach) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "the window spans %" PRId64 " in spatial dimension %" PRIu32
                            ", the padded input only %" PRId64,
                            reach, i, padded);
    }
    const int64_t free = padded - reach;
    window->out[i] = free / stride + 1;
    if (ceil_mode && auto_pad == PAD_EXPLICIT && free % stride != 0) {
        /* one more window, unless it would begin in the padding behind the input */
        const int64_t begin = multiply_add(window->out[i], stride, 0);
        if (begin >= 0 && begin < in + window->pad_begin[i]) {
            window->out[i]++;
        }
    }
    return SQUALL_OK;
}

/* The same for the transposed convolution. */
static squall_status unslide(const sq_step *step, sq_window *window, uint32_t i,
                             enum auto_pad auto_pad, int64_t output_padding,
                             const int64_t *output_shape, squall_error *err)
{
    const int64_t in = window->in[i], stride = window->stride[i];
    const int64_t reach = multiply_add(window->kernel[i] - 1, window->dilation[i], 1);
    int64_t full = in > 0 && reach > 0 ? multiply_add(in - 1, stride, reach) : -1;
    if (full < 0 || __builtin_add_overflow(full, output_padding, &full)) {
        return SQ_STEP_FAIL(in > 0 ? SQUALL_E_LIMIT : SQUALL_E_SHAPE,
                            "spatial dimension %" PRIu32 " has size %" PRId64
                            ": it is empty or its window overflows",
                            i, in);
    }
    const bool same = auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER;
    if (output_shape || same) {
        window->out[i] = output_shape ? output_shape[i] : multiply_add(in, stride, 0);
        if (window->out[i] < 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the output's size is negative or overflows");
        }
        if (window->out[i] - full >= stride) { /* less is what output_padding would have given */
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "an output of %" PRId64 " in spatial dimension %" PRIu32
                                ", but %" PRId64 " inputs reach %" PRId64,
                                window->out[i], i, in, full);
        }
        share_pads(window, i, full - window->out[i], auto_pad == PAD_SAME_UPPER);
        return SQUALL_OK;
    }
    int64_t pads;
    if (__builtin_add_overflow(window->pad_begin[i], window->pad_end[i], &pads) || pads > full) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "pads of spatial dimension %" PRIu32 " exceed its output", i);
    }
    window->out[i] = full - pads;
    return SQUALL_OK;
}

/* Which input holds the weights of a convolution; 0: the operator is none. */
static uint32_t weights_input(sq_op op)
{
    switch (op) {
    case SQ_OP_Conv:
    case SQ_OP_ConvTranspose:
    case SQ_OP_ConvInteger:
    case SQ_OP_DeformConv:
    case SQ_OP_SqQConv:
        return 1;
    case SQ_OP_QLinearConv:
        return 3;
    default:
        return 0;
    }
}

/* Kernel sizes: from the weights of a convolution, the attribute of a pool. */
static squall_status find_kernel(const sq_step *step, sq_window *window, squall_error *err)
{
    const uint32_t spatial = window->spatial;
    const uint32_t weights_at = weights_input(step->op);
    if (weights_at == 0) {
        size_t count;
        if (!sq_attr_ints(step->attrs, "kernel_shape", &count)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute 'kernel_shape' is missing");
        }
        return per_dimension(step, "kernel_shape", spatial, 1, 1, window->kernel, err);
    }
    const squall_tensor *weights = &step->in[weights_at];
    if (weights->rank != spatial + 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "weights of %" PRIu32 " dimensions for an input of %" PRIu32,
                            weights->rank, spatial + 2);
    }
    int64_t given[SQ_MAX_SPATIAL];
    SQ_TRY(per_dimension(step, "kernel_shape", spatial, 1, 1, given, err));
    const bool has_given = sq_attr_find(step->attrs, "kernel_shape") != NULL;
    for (uint32_t i = 0; i < spatial; i++) {
        window->kernel[i] = weights->dims[i + 2];
        if (window->kernel[i] < 1 || (has_given && window->kernel[i] != given[i])) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "weights span %" PRId64 " in spatial dimension %" PRIu32
                                ", attribute 'kernel_shape' says otherwise, or it is empty",
                                window->kernel[i], i);
        }
    }
    window->group = sq_attr_int(step->attrs, "group", 1);
    if (window->group < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "group %" PRId64 "; at least 1", window->group);
    }
    return SQUALL_OK;
}

/* A global pool is a window over the whole. */
static void whole(sq_window *window)
{
    for (uint32_t i = 0; i < window->spatial; i++) {
        window->kernel[i] = window->in[i];
        window->stride[i] = window->dilation[i] = window->out[i] = 1;
    }
}

static squall_status fill(const sq_step *step, sq_window *window, squall_error *err)
{
    const uint32_t spatial = window->spatial;
    enum auto_pad auto_pad;
    SQ_TRY(find_kernel(step, window, err));
    SQ_TRY(per_dimension(step, "strides", spatial, 1, 1, window->stride, err));
    SQ_TRY(per_dimension(step, "dilations", spatial, 1, 1, window->dilation, err));
    SQ_TRY(find_auto_pad(step, &auto_pad, err));
    if (auto_pad == PAD_EXPLICIT) {
        SQ_TRY(explicit_pads(step, window, err));
    }
    if (step->op != SQ_OP_ConvTranspose) {
        const bool ceil_mode = sq_attr_int(step->attrs, "ceil_mode", 0) != 0;
        for (uint32_t i = 0; i < spatial; i++) {
            SQ_TRY(slide(step, window, i, auto_pad, ceil_mode, err));
        }
        return SQUALL_OK;
    }
    int64_t output_padding[SQ_MAX_SPATIAL], output_shape[SQ_MAX_SPATIAL];
    SQ_TRY(per_dimension(step, "output_padding", spatial, 0, 0, output_padding, err));
    size_t count;
    const int64_t *shape = sq_attr_ints(step->attrs, "output_shape", &count);
    if (shape && count == (size_t)spatial + 2) { /* some exporters give batch and channels too */
        memcpy(output_shape, shape + 2, spatial * sizeof *shape);
    } else {
        SQ_TRY(per_dimension(step, "output_shape", spatial, 0, 0, output_shape, err));
    }
    for (uint32_t i = 0; i < spatial; i++) {
        SQ_TRY(unslide(step, window, i, auto_pad, output_padding[i], shape ? output_shape : NULL,
                       err));
    }
    return SQUALL_OK;
}

squall_status sq_op_window(const sq_step *step, sq_window *out, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    sq_window window = {.group = 1};
    const bool global = step->op == SQ_OP_GlobalAveragePool || step->op == SQ_OP_GlobalMaxPool ||
                        step->op == SQ_OP_GlobalLpPool;
    if (in->rank < 3 || in->rank > 2 + SQ_MAX_SPATIAL) {
        return SQ_STEP_FAIL(in->rank < 3 ? SQUALL_E_SHAPE : SQUALL_E_UNSUPPORTED,
                            "an input of %" PRIu32 " dimensions; 3 to %d are taken", in->rank,
                            2 + SQ_MAX_SPATIAL);
    }
    window.spatial = in->rank - 2;
    memcpy(window.in, in->dims + 2, window.spatial * sizeof window.in[0]);
    if (global) {
        whole(&window);
    } else {
        SQ_TRY(fill(step, &window, err));
    }
    *out = window;
    return SQUALL_OK;
}
