/* nn/cuda/cuda_window.c - pooling and resizing, channels last, eight of them a thread. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

/* "pool_f16", and layouts with channels last. */
static void last_tactic(const sq_step *step, const char *what, sq_tactic *out)
{
    char name[SQ_TACTIC_NAME];
    snprintf(name, sizeof name, "%s_%s", what, sq_cuda_type(step->in[0].dtype));
    sq_cuda_tactic(out, name, 1);
    out->in_layout[0] = out->out_layout[0] = SQUALL_NHWC;
    out->cost = 2e-6 + 2e-12 * (double)squall_tensor_bytes(&step->in[0]);
}

static uint64_t threads_of(const squall_tensor *out)
{
    return (uint64_t)(out->dims[0] * out->dims[2] * out->dims[3]) *
           (uint64_t)(sq_cuda_pitch(out) / 8);
}

static bool four_axes(const sq_step *step, sq_reason *why)
{
    const squall_dtype type = step->in[0].dtype;
    if (step->in[0].rank != 4 || (!sq_cuda_is_float(type) && type != SQUALL_U8) ||
        !sq_cuda_threads_fit(threads_of(&step->out[0]))) {
        return sq_cuda_refuse(why, "only over two axes, in float32, float16 and uint8") != 0;
    }
    return true;
}

/* The kernel of a type. */
static sq_cuda_kernel of_type(squall_dtype type, sq_cuda_kernel f32, sq_cuda_kernel f16,
                              sq_cuda_kernel u8)
{
    return type == SQUALL_F16 ? f16 : type == SQUALL_U8 ? u8 : f32;
}

/* ------------------------------------------------------------------ pooling */

static size_t pool_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    sq_window window;
    squall_error err;
    (void)capability;
    if (!four_axes(step, why)) {
        return 0;
    }
    if (step->out_count > 1 && step->out[1].dtype != SQUALL_DTYPE_NONE) {
        return sq_cuda_refuse(why, "places of the largest are not given");
    }
    if (step->op == SQ_OP_AveragePool && step->in[0].dtype == SQUALL_U8) {
        return sq_cuda_refuse(why, "bytes have no mean");
    }
    if (sq_op_window(step, &window, &err) != SQUALL_OK) {
        return sq_cuda_refuse(why, "its window cannot be worked out");
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (window.kernel[i] > 4096 || window.stride[i] > 4096 || window.dilation[i] > 4096) {
            return sq_cuda_refuse(why, "windows or strides of thousands");
        }
    }
    last_tactic(step, "pool", out);
    return 1;
}

static squall_status pool_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                               squall_error *err)
{
    sq_window window;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    (void)tactic;
    SQ_TRY(sq_op_window(step, &window, err));
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state,
                           of_type(x->dtype, SQ_CUDA_pool_f32, SQ_CUDA_pool_f16, SQ_CUDA_pool_u8),
                           threads_of(y));
    launch->args.pool = (sq_cuda_pool_args){
        .n = (int)x->dims[0],
        .h = (int)x->dims[2],
        .w = (int)x->dims[3],
        .pitch = sq_cuda_pitch(x),
        .out_h = (int)y->dims[2],
        .out_w = (int)y->dims[3],
        .taps_y = (int)window.kernel[0],
        .taps_x = (int)window.kernel[1],
        .stride_y = (int)window.stride[0],
        .stride_x = (int)window.stride[1],
        .dilation_y = (int)window.dilation[0],
        .dilation_x = (int)window.dilation[1],
        .pad_y = (int)window.pad_begin[0],
        .pad_x = (int)window.pad_begin[1],
        .mean = step->op == SQ_OP_AveragePool,
        .with_pads = sq_attr_int(step->attrs, "count_include_pad", 0) != 0,
        .padded_h = (int)(window.in[0] + window.pad_end[0]),
        .padded_w = (int)(window.in[1] + window.pad_end[1]),
        .act = sq_cuda_step_act(step),
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_pool_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_pool_args, out), SQ_CUDA_OUTPUT, 0, 0);
    return SQUALL_OK;
}

void sq_cuda_pool_two(const sq_step *step, sq_cuda_state *state)
{
    const squall_tensor *x = &step->out[0], *y = &step->out[1];
    sq_cuda_launch *launch = sq_cuda_launch_add(state, SQ_CUDA_pool_u8, threads_of(y));
    launch->args.pool = (sq_cuda_pool_args){
        .n = (int)x->dims[0],
        .h = (int)x->dims[2],
        .w = (int)x->dims[3],
        .pitch = sq_cuda_pitch(x),
        .out_h = (int)y->dims[2],
        .out_w = (int)y->dims[3],
        .taps_y = 2,
        .taps_x = 2,
        .stride_y = 2,
        .stride_x = 2,
        .dilation_y = 1,
        .dilation_x = 1,
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_pool_args, in), SQ_CUDA_OUTPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_pool_args, out), SQ_CUDA_OUTPUT, 1, 0);
}

/* ------------------------------------------------------------------ resizing */

static const char *coordinates_of(const sq_step *step)
{
    return sq_attr_string(step->attrs, "coordinate_transformation_mode", "half_pixel");
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static size_t resize_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    static const char *const modes[] = {"nearest", "linear", NULL};
    static const char *const coordinates[] = {"asymmetric", "half_pixel", "pytorch_half_pixel",
                                              "align_corners", NULL};
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    (void)capability;
    if (!four_axes(step, why)) {
        return 0;
    }
    if (!one_of(sq_attr_string(step->attrs, "mode", "nearest"), modes) ||
        !one_of(coordinates_of(step), coordinates) ||
        sq_attr_int(step->attrs, "antialias", 0) != 0 ||
        sq_attr_int(step->attrs, "exclude_outside", 0) != 0 ||
        strcmp(sq_attr_string(step->attrs, "keep_aspect_ratio_policy", "stretch"), "stretch") !=
            0 ||
        step->attrs->opset < 11) {
        return sq_cuda_refuse(why, "only nearest and linear, without smoothing, from opset 11 on");
    }
    if (x->dtype == SQUALL_U8 &&
        strcmp(sq_attr_string(step->attrs, "mode", "nearest"), "nearest") != 0) {
        return sq_cuda_refuse(why, "bytes are repeated, not mixed");
    }
    if (x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1]) {
        return sq_cuda_refuse(why, "batch and channels stay as they are");
    }
    for (uint32_t i = 1; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_DTYPE_NONE && step->in[i].data == NULL) {
            return sq_cuda_refuse(why, "scales or sizes that are not constant");
        }
    }
    last_tactic(step, "resize", out);
    out->packed_bytes = (size_t)(y->dims[2] + y->dims[3]) * sizeof(sq_cuda_lerp);
    return 1;
}

/* Scale of axis 2 or 3. */
static double scale_of(const sq_step *step, uint32_t axis)
{
    size_t count;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    const bool sizes = step->in_count > 3 && step->in[3].dtype != SQUALL_DTYPE_NONE &&
                       squall_tensor_count(&step->in[3]) > 0;
    const squall_tensor *numbers = sizes ? &step->in[3] : &step->in[2];
    const size_t entries =
        step->in_count > 2 && numbers->data != NULL ? squall_tensor_count(numbers) : 0;
    for (size_t i = 0; i < entries; i++) {
        int64_t at = axes != NULL ? (i < count ? axes[i] : -9) : (int64_t)i;
        at += axes != NULL && at < 0 ? 4 : 0;
        if (at == (int64_t)axis) {
            const double number = sq_tensor_get_double(numbers, i);
            return sizes ? number / (double)step->in[0].dims[axis] : number;
        }
    }
    return 1;
}

/* Where the centre of an output place lies on the input axis: ONNX, Resize. */
static double source_of(const char *how, double at, double in, double scale)
{
    const double out = scale * in;
    if (strcmp(how, "align_corners") == 0) {
        return out == 1 ? 0 : at * (in - 1) / (out - 1);
    }
    if (strcmp(how, "asymmetric") == 0) {
        return at / scale;
    }
    if (strcmp(how, "pytorch_half_pixel") == 0 && out == 1) {
        return -0.5;
    }
    return (at + 0.5) / scale - 0.5;
}

static double nearest_to(const char *how, double x)
{
    if (strcmp(how, "round_prefer_ceil") == 0) {
        return floor(x + 0.5);
    }
    if (strcmp(how, "ceil") == 0) {
        return ceil(x);
    }
    return strcmp(how, "floor") == 0 ? floor(x) : ceil(x - 0.5);
}

static void fill_axis(const sq_step *step, uint32_t axis, sq_cuda_lerp *table)
{
    const bool linear = strcmp(sq_attr_string(step->attrs, "mode", "nearest"), "linear") == 0;
    const char *nearest = sq_attr_string(step->attrs, "nearest_mode", "round_prefer_floor");
    const double in = (double)step->in[0].dims[axis], scale = scale_of(step, axis);
    const bool identity = scale == 1 && step->in[0].dims[axis] == step->out[0].dims[axis];
    for (int64_t o = 0; o < step->out[0].dims[axis]; o++) {
        double x = identity ? (double)o : source_of(coordinates_of(step), (double)o, in, scale);
        x = x > -1 ? x : -1; /* further out is the border all the same; NaN too */
        x = x < in ? x : in;
        const double first = linear ? ceil(x) - 1 : nearest_to(nearest, x);
        table[o] = (sq_cuda_lerp){.first = (int)first,
                                  .second = (int)first + 1,
                                  .weight = linear ? (float)(x - first) : 0.0f};
    }
}

static squall_status resize_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                                 squall_error *err)
{
    (void)tactic;
    (void)err;
    fill_axis(step, 2, packed);
    fill_axis(step, 3, (sq_cuda_lerp *)packed + step->out[0].dims[2]);
    return SQUALL_OK;
}

static squall_status resize_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                 squall_error *err)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    (void)tactic;
    (void)err;
    sq_cuda_launch *launch = sq_cuda_launch_add(state,
                                                of_type(x->dtype, SQ_CUDA_resize_f32,
                                                        SQ_CUDA_resize_f16, SQ_CUDA_resize_u8),
                                                threads_of(y));
    launch->args.resize = (sq_cuda_resize_args){
        .n = (int)x->dims[0],
        .h = (int)x->dims[2],
        .w = (int)x->dims[3],
        .pitch = sq_cuda_pitch(x),
        .out_h = (int)y->dims[2],
        .out_w = (int)y->dims[3],
        .nearest = strcmp(sq_attr_string(step->attrs, "mode", "nearest"), "nearest") == 0,
        .act = sq_cuda_step_act(step),
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_resize_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_resize_args, table), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_resize_args, out), SQ_CUDA_OUTPUT, 0, 0);
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_window[] = {
    {SQ_OP_MaxPool, pool_tactics, NULL, pool_bind},
    {SQ_OP_AveragePool, pool_tactics, NULL, pool_bind},
    {SQ_OP_Resize, resize_tactics, resize_pack, resize_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
