/* nn/op/op_shape_spatial.c - shapes of what samples, scatters and unfolds images. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* Rank 3 or more, floating. */
static squall_status need_image(const sq_step *step, squall_error *err)
{
    if (step->in[0].rank < 3) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "an input of %" PRIu32 " dimensions; at least 3",
                            step->in[0].rank);
    }
    return SQUALL_OK;
}

/* What MaxPool had before: the sizes it may have been, or those that are given. */
squall_status sq_op_shape_max_unpool(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    size_t kernels, strides, pads, count;
    const int64_t *kernel = sq_attr_ints(step->attrs, "kernel_shape", &kernels);
    const int64_t *stride = sq_attr_ints(step->attrs, "strides", &strides);
    const int64_t *pad = sq_attr_ints(step->attrs, "pads", &pads);
    SQ_TRY(need_image(step, err));
    const uint32_t spatial = in->rank - 2;
    if (!kernel || kernels != spatial || (stride && strides != spatial) ||
        (pad && pads != 2 * (size_t)spatial)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "kernel_shape, strides or pads do not fit %" PRIu32
                            " spatial dimensions",
                            spatial);
    }
    SQ_TRY(sq_op_need_shape(step, 1, "indices", in->rank, in->dims, err));
    if (step->in[1].dtype != SQUALL_I64) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "indices must be int64");
    }
    int64_t dims[SQUALL_MAX_DIMS] = {in->dims[0], in->dims[1]};
    for (uint32_t i = 0; i < spatial; i++) {
        int64_t size = 0;
        const int64_t step_size = stride ? stride[i] : 1;
        const bool overflow = __builtin_mul_overflow(in->dims[2 + i] - 1, step_size, &size) ||
                              __builtin_add_overflow(size, kernel[i], &size) ||
                              __builtin_sub_overflow(size, pad ? pad[i] : 0, &size) ||
                              __builtin_sub_overflow(size, pad ? pad[spatial + i] : 0, &size);
        if (overflow || size < 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "spatial dimension %" PRIu32 " has no size", i);
        }
        dims[2 + i] = size;
    }
    if (sq_op_has(step, 2)) {
        SQ_TRY(sq_op_input_ints(step, 2, "output_shape", SQUALL_MAX_DIMS, dims, &count, err));
        if (count != in->rank || dims[0] != in->dims[0] || dims[1] != in->dims[1]) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "output_shape does not fit the input");
        }
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_roi_align(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *rois = &step->in[1];
    const int64_t height = sq_attr_int(step->attrs, "output_height", 1);
    const int64_t width = sq_attr_int(step->attrs, "output_width", 1);
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_need_float(step, 1, err));
    if (in->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || height < 1 || width < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the image, its regions or the output do not fit");
    }
    SQ_TRY(sq_op_need_shape(step, 2, "batch_indices", 1, &rois->dims[0], err));
    const char *mode = sq_attr_string(step->attrs, "mode", "avg");
    if (strcmp(mode, "avg") != 0 && strcmp(mode, "max") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "mode '%.32s' is neither avg nor max", mode);
    }
    const int64_t ratio = sq_attr_int(step->attrs, "sampling_ratio", 0);
    if (ratio < 0 || ratio > 1024) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "sampling_ratio %" PRId64 "; 0 to 1024", ratio);
    }
    const int64_t dims[4] = {rois->dims[0], in->dims[1], height, width};
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

squall_status sq_op_shape_max_roi_pool(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *rois = &step->in[1];
    size_t count;
    const int64_t *pooled = sq_attr_ints(step->attrs, "pooled_shape", &count);
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_need_float(step, 1, err));
    if (in->rank != 4 || rois->rank != 2 || rois->dims[1] != 5 || !pooled || count != 2 ||
        pooled[0] < 1 || pooled[1] < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the image, its regions or pooled_shape do not fit");
    }
    const int64_t dims[4] = {rois->dims[0], in->dims[1], pooled[0], pooled[1]};
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

squall_status sq_op_shape_deform_conv(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *w = &step->in[1];
    sq_window window;
    if (in->rank != 4) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "an input of %" PRIu32 " dimensions; 4 are taken",
                            in->rank);
    }
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_window(step, &window, err));
    for (uint32_t i = 1; i < step->in_count; i++) {
        if (sq_op_has(step, i)) {
            SQ_TRY(sq_op_need_same_type(step, 0, i, err));
        }
    }
    const int64_t groups = sq_attr_int(step->attrs, "offset_group", 1);
    int64_t in_channels, taps, named;
    if (__builtin_mul_overflow(w->dims[1], window.group, &in_channels) ||
        in_channels != in->dims[1] || w->dims[0] % window.group != 0 || groups < 1 ||
        in->dims[1] % groups != 0 ||
        __builtin_mul_overflow(window.kernel[0], window.kernel[1], &taps) ||
        __builtin_mul_overflow(taps, groups, &taps) || __builtin_mul_overflow(taps, 2, &named)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "weights and groups do not fit the channels");
    }
    const int64_t offset[4] = {in->dims[0], named, window.out[0], window.out[1]};
    const int64_t mask[4] = {in->dims[0], taps, window.out[0], window.out[1]};
    const int64_t dims[4] = {in->dims[0], w->dims[0], window.out[0], window.out[1]};
    SQ_TRY(sq_op_need_shape(step, 2, "offset", 4, offset, err));
    SQ_TRY(sq_op_need_shape(step, 3, "bias", 1, &w->dims[0], err));
    SQ_TRY(sq_op_need_shape(step, 4, "mask", 4, mask, err));
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

/* A window's geometry along one axis of an image of `size`: how many places it takes. */
static int64_t places_of(int64_t size, int64_t kernel, int64_t stride, int64_t dilation,
                         int64_t pads)
{
    int64_t reach, padded;
    if (kernel < 1 || stride < 1 || dilation < 1 ||
        __builtin_mul_overflow(kernel - 1, dilation, &reach) ||
        __builtin_add_overflow(size, pads, &padded) || padded - 1 < reach) {
        return -1;
    }
    return (padded - 1 - reach) / stride + 1;
}

squall_status sq_op_col2im_sizes(const sq_step *step, sq_col2im *out, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    size_t axes, blocks, strides, dilations, pads;
    sq_col2im sizes = {.kernels = 1, .places = 1};
    SQ_TRY(sq_op_input_ints(step, 1, "image_shape", SQUALL_MAX_DIMS - 2, sizes.image, &axes, err));
    SQ_TRY(
        sq_op_input_ints(step, 2, "block_shape", SQUALL_MAX_DIMS - 2, sizes.kernel, &blocks, err));
    const int64_t *stride = sq_attr_ints(step->attrs, "strides", &strides);
    const int64_t *dilation = sq_attr_ints(step->attrs, "dilations", &dilations);
    const int64_t *pad = sq_attr_ints(step->attrs, "pads", &pads);
    if (in->rank != 3 || axes == 0 || blocks != axes || (stride && strides != axes) ||
        (dilation && dilations != axes) || (pad && pads != 2 * axes)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the image, its blocks and the attributes do not fit");
    }
    sizes.spatial = (uint32_t)axes;
    for (size_t i = 0; i < axes; i++) {
        sizes.stride[i] = stride ? stride[i] : 1;
        sizes.dilation[i] = dilation ? dilation[i] : 1;
        sizes.pad[i] = pad ? pad[i] : 0;
        const int64_t end = pad ? pad[axes + i] : 0;
        int64_t both;
        if (sizes.pad[i] < 0 || end < 0 || __builtin_add_overflow(sizes.pad[i], end, &both)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "pads are negative or overflow");
        }
        sizes.count[i] =
            places_of(sizes.image[i], sizes.kernel[i], sizes.stride[i], sizes.dilation[i], both);
        if (sizes.image[i] < 0 || sizes.count[i] < 0 ||
            __builtin_mul_overflow(sizes.kernels, sizes.kernel[i], &sizes.kernels) ||
            __builtin_mul_overflow(sizes.places, sizes.count[i], &sizes.places)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the window does not fit spatial dimension %zu", i);
        }
    }
    if (in->dims[1] % sizes.kernels != 0 || in->dims[2] != sizes.places) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "%s does not hold blocks of %" PRId64 " at %" PRId64 " places",
                            sq_tensor_format(in, text), sizes.kernels, sizes.places);
    }
    *out = sizes;
    return SQUALL_OK;
}

squall_status sq_op_shape_col2im(sq_step *step, squall_error *err)
{
    sq_col2im sizes;
    SQ_TRY(sq_op_col2im_sizes(step, &sizes, err));
    int64_t dims[SQUALL_MAX_DIMS] = {step->in[0].dims[0], step->in[0].dims[1] / sizes.kernels};
    memcpy(dims + 2, sizes.image, sizes.spatial * sizeof dims[0]);
    return sq_op_set(step, 0, step->in[0].dtype, sizes.spatial + 2, dims, err);
}

/* [batch][channels][length], weights [channels][1][taps], state [batch][channels][taps - 1]. */
squall_status sq_op_shape_causal_conv(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *w = &step->in[1];
    const char *activation = sq_attr_string(step->attrs, "activation", "none");
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    if (in->rank != 3 || w->rank != 3 || w->dims[0] != in->dims[1] || w->dims[1] != 1 ||
        w->dims[2] < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input and weights do not fit");
    }
    if (strcmp(activation, "none") != 0 && strcmp(activation, "silu") != 0 &&
        strcmp(activation, "swish") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "activation '%.32s' is none of none, silu, swish",
                            activation);
    }
    const int64_t state[3] = {in->dims[0], in->dims[1], w->dims[2] - 1};
    SQ_TRY(sq_op_need_shape(step, 2, "bias", 1, &in->dims[1], err));
    SQ_TRY(sq_op_need_shape(step, 3, "past_state", 3, state, err));
    SQ_TRY(sq_op_set_like(step, 0, err));
    return sq_op_set(step, 1, in->dtype, 3, state, err);
}

squall_status sq_op_shape_reverse_sequence(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    const int64_t batch = sq_attr_int(step->attrs, "batch_axis", 1);
    const int64_t time = sq_attr_int(step->attrs, "time_axis", 0);
    if (in->rank < 2 || batch < 0 || batch > 1 || time < 0 || time > 1 || batch == time) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "batch_axis and time_axis must be 0 and 1");
    }
    SQ_TRY(sq_op_need_shape(step, 1, "sequence_lens", 1, &in->dims[batch], err));
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_center_crop_pad(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t sizes[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count, named;
    SQ_TRY(sq_op_input_ints(step, 1, "shape", SQUALL_MAX_DIMS, sizes, &count, err));
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &named);
    if (count != (axes ? named : in->rank)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu sizes for %zu axes", count,
                            axes ? named : (size_t)in->rank);
    }
    memcpy(dims, in->dims, sizeof dims);
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        SQ_TRY(sq_op_axis(step, axes ? axes[i] : (int64_t)i, in->rank, &axis, err));
        dims[axis] = sizes[i];
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

/* theta [batch][2][3] for [batch][channels][h][w], [batch][3][4] for volumes. */
squall_status sq_op_shape_affine_grid(sq_step *step, squall_error *err)
{
    int64_t size[5];
    size_t count;
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_input_ints(step, 1, "size", 5, size, &count, err));
    if (count < 4) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a size of %zu numbers; 4 or 5 are taken", count);
    }
    const int64_t spatial = (int64_t)count - 2;
    const int64_t theta[3] = {size[0], spatial, spatial + 1};
    SQ_TRY(sq_op_need_shape(step, 0, "theta", 3, theta, err));
    int64_t dims[5] = {size[0]};
    memcpy(dims + 1, size + 2, (size_t)spatial * sizeof dims[0]);
    dims[spatial + 1] = spatial;
    return sq_op_set(step, 0, step->in[0].dtype, (uint32_t)spatial + 2, dims, err);
}

squall_status sq_op_shape_tensor_scatter(sq_step *step, squall_error *err)
{
    const squall_tensor *cache = &step->in[0], *update = &step->in[1];
    const char *mode = sq_attr_string(step->attrs, "mode", "linear");
    uint32_t axis;
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", -2), cache->rank, &axis, err));
    bool fits = axis > 0 && update->rank == cache->rank &&
                (strcmp(mode, "linear") == 0 || strcmp(mode, "circular") == 0);
    for (uint32_t i = 0; fits && i < cache->rank; i++) {
        fits = i == axis ? update->dims[i] <= cache->dims[i] : update->dims[i] == cache->dims[i];
    }
    if (!fits) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%s does not go into %s by mode '%.16s'",
                            sq_tensor_format(update, a), sq_tensor_format(cache, b), mode);
    }
    SQ_TRY(sq_op_need_shape(step, 2, "write_indices", 1, cache->dims, err));
    return sq_op_set_like(step, 0, err);
}
