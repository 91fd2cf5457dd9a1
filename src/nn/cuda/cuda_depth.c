/* nn/cuda/cuda_depth.c - depthwise convolutions three columns wide, convolutions of few channels,
 * the gates of recurrent cells. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_conv.h"

/* ------------------------------------------------------------------ depthwise */

static uint64_t strips_of(const sq_cuda_conv *conv)
{
    return (uint64_t)(conv->batch * conv->out_h * ((conv->out_w + 3) / 4));
}

static size_t weight_bytes(const sq_step *step, const sq_cuda_conv *conv)
{
    return sq_round_up((size_t)(conv->window.kernel[0] * 3 * conv->out_pitch) *
                           squall_dtype_size(step->in[0].dtype),
                       SQ_ALIGNMENT);
}

bool sq_cuda_depth_tactic(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out)
{
    const sq_window *w = &conv->window;
    if (conv->transposed || w->group != conv->channels || w->kernel[1] != 3 || w->stride[0] != 1 ||
        w->stride[1] != 1 || w->dilation[0] != 1 || w->dilation[1] != 1 ||
        (conv->out_channels != conv->channels && conv->out_channels != 2 * conv->channels) ||
        !sq_cuda_threads_fit(strips_of(conv) * (uint64_t)(conv->out_pitch / 8))) {
        return false;
    }
    const bool half = step->in[0].dtype == SQUALL_F16;
    const double bytes = (double)squall_tensor_bytes(&step->out[0]) * 2;
    sq_cuda_conv_tactic(step, half ? "depth_f16" : "depth_f32",
                        weight_bytes(step, conv) + (size_t)conv->out_pitch * sizeof(float),
                        2e-6 + bytes / 1e12, out);
    return true;
}

bool sq_cuda_depth_is(const sq_tactic *tactic)
{
    return strncmp(tactic->name, "depth_", 6) == 0;
}

void sq_cuda_depth_pack(const sq_step *step, const sq_cuda_conv *conv, void *packed)
{
    const int64_t taps = conv->window.kernel[0] * 3;
    for (int64_t o = 0; o < conv->out_channels; o++) {
        for (int64_t t = 0; t < taps; t++) {
            sq_cuda_put(step->in[0].dtype, packed, (size_t)(t * conv->out_pitch + o),
                        sq_tensor_get_double(&step->in[1], (size_t)(o * taps + t)));
        }
    }
    sq_cuda_conv_bias(step, conv, (float *)(void *)((char *)packed + weight_bytes(step, conv)));
}

void sq_cuda_depth_bind(const sq_step *step, const sq_cuda_conv *conv, sq_cuda_state *state)
{
    const bool half = step->in[0].dtype == SQUALL_F16;
    sq_cuda_launch *launch = sq_cuda_launch_add(state, half ? SQ_CUDA_depth_f16 : SQ_CUDA_depth_f32,
                                                strips_of(conv) * (uint64_t)(conv->out_pitch / 8));
    launch->args.depth = (sq_cuda_depth_args){
        .n = (int)conv->batch,
        .h = (int)conv->in_h,
        .w = (int)conv->in_w,
        .in_pitch = (int)conv->in_pitch[0],
        .out_h = (int)conv->out_h,
        .out_w = (int)conv->out_w,
        .out_pitch = (int)conv->out_pitch,
        .out_channels = (int)conv->out_channels,
        .multiple = conv->out_channels == conv->channels ? 1 : 2,
        .taps_y = (int)conv->window.kernel[0],
        .pad_y = (int)conv->window.pad_begin[0],
        .pad_x = (int)conv->window.pad_begin[1],
        .strips = (long long)strips_of(conv),
        .act = conv->act,
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_depth_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_depth_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_depth_args, bias), SQ_CUDA_PACKED, 0,
                      weight_bytes(step, conv));
    sq_cuda_patch_add(launch, offsetof(sq_cuda_depth_args, out), SQ_CUDA_OUTPUT, 0, 0);
}

/* ------------------------------------------------------------------ few channels */

enum { FEW = 8 };

/* A pixel by sixteen threads, where all outputs are in one lane. */
static bool is_spot(const sq_cuda_conv *conv)
{
    return conv->out_pitch == 8 && conv->window.kernel[1] <= 8 && conv->own[0] <= 2 &&
           conv->own[1] <= 2 && sq_cuda_threads_fit(16 * (uint64_t)conv->pixels);
}

static size_t few_bytes(const sq_step *step, const sq_cuda_conv *conv)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    const int64_t rows = is_spot(conv) ? taps * 4 : taps * conv->channels;
    return sq_round_up((size_t)(rows * conv->out_pitch) * squall_dtype_size(step->in[0].dtype),
                       SQ_ALIGNMENT);
}

/* The row of packed weights of an input channel and a tap. */
static int64_t few_row(const sq_cuda_conv *conv, int64_t c, int64_t t)
{
    const int64_t width = conv->window.kernel[1], second = c >= conv->own[0];
    return is_spot(conv)
               ? ((t / width * 2 + second) * width + t % width) * 2 + c - second * conv->own[0]
               : t * conv->channels + c;
}

bool sq_cuda_few_tactic(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out)
{
    const sq_window *w = &conv->window;
    if (conv->transposed || conv->pooled || w->group != 1 || conv->own[0] > FEW ||
        conv->own[1] > FEW || conv->up[0] != 1 || conv->up[1] != 1 || w->dilation[0] != 1 ||
        w->dilation[1] != 1 ||
        !sq_cuda_threads_fit(strips_of(conv) * (uint64_t)(conv->out_pitch / 8))) {
        return false;
    }
    const bool half = step->in[0].dtype == SQUALL_F16;
    const double macs = (double)sq_op_macs(step), bytes = (double)squall_tensor_bytes(step->out);
    const double padded = macs / (double)conv->out_channels * (double)conv->out_pitch;
    sq_cuda_conv_tactic(step,
                        is_spot(conv) ? (half ? "few_spot_f16" : "few_spot_f32")
                                      : (half ? "few_f16" : "few_f32"),
                        few_bytes(step, conv) + (size_t)conv->out_pitch * sizeof(float),
                        2.5e-6 + padded / 1.5e13 + bytes / 2.5e12, out);
    return true;
}

bool sq_cuda_few_is(const sq_tactic *tactic)
{
    return strncmp(tactic->name, "few_", 4) == 0;
}

void sq_cuda_few_pack(const sq_step *step, const sq_cuda_conv *conv, void *packed)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    for (int64_t o = 0; o < conv->out_channels; o++) {
        for (int64_t c = 0; c < conv->channels; c++) {
            for (int64_t t = 0; t < taps; t++) {
                sq_cuda_put(step->in[0].dtype, packed,
                            (size_t)(few_row(conv, c, t) * conv->out_pitch + o),
                            sq_tensor_get_double(&step->in[1],
                                                 (size_t)((o * conv->channels + c) * taps + t)));
            }
        }
    }
    sq_cuda_conv_bias(step, conv, (float *)(void *)((char *)packed + few_bytes(step, conv)));
}

void sq_cuda_few_bind(const sq_step *step, const sq_cuda_conv *conv, sq_cuda_state *state)
{
    const bool half = step->in[0].dtype == SQUALL_F16;
    const bool spot = is_spot(conv);
    sq_cuda_launch *launch =
        spot ? sq_cuda_launch_add(state, half ? SQ_CUDA_spot_f16 : SQ_CUDA_spot_f32,
                                  16 * (uint64_t)conv->pixels)
             : sq_cuda_launch_add(state, half ? SQ_CUDA_few_f16 : SQ_CUDA_few_f32,
                                  strips_of(conv) * (uint64_t)(conv->out_pitch / 8));
    launch->args.few = (sq_cuda_few_args){
        .n = (int)conv->batch,
        .h = (int)conv->in_h,
        .w = (int)conv->in_w,
        .out_h = (int)conv->out_h,
        .out_w = (int)conv->out_w,
        .out_pitch = (int)conv->out_pitch,
        .out_channels = (int)conv->out_channels,
        .own = {(int)conv->own[0], (int)conv->own[1]},
        .pitch = {(int)conv->in_pitch[0], (int)conv->in_pitch[1]},
        .taps_y = (int)conv->window.kernel[0],
        .taps_x = (int)conv->window.kernel[1],
        .stride_y = (int)conv->window.stride[0],
        .stride_x = (int)conv->window.stride[1],
        .pad_y = (int)conv->window.pad_begin[0],
        .pad_x = (int)conv->window.pad_begin[1],
        .strips = spot ? (long long)conv->pixels : (long long)strips_of(conv),
        .act = conv->act,
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_few_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_few_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_few_args, bias), SQ_CUDA_PACKED, 0,
                      few_bytes(step, conv));
    sq_cuda_patch_add(launch, offsetof(sq_cuda_few_args, out), SQ_CUDA_OUTPUT, 0, 0);
    if (conv->sources == 2) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_few_args, in2), SQ_CUDA_INPUT, 3, 0);
    }
}

/* ------------------------------------------------------------------ gates */

static uint64_t gate_threads(const squall_tensor *state)
{
    return (uint64_t)(state->dims[0] * state->dims[2] * state->dims[3]) *
           (uint64_t)(sq_cuda_pitch(state) / 8);
}

static size_t gates_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    const squall_tensor *state = &step->in[1];
    (void)capability;
    if (state->rank != 4 || !sq_cuda_is_float(state->dtype) ||
        !sq_cuda_threads_fit(gate_threads(state))) {
        return sq_cuda_refuse(why, "only over two axes, in float32 and float16");
    }
    sq_cuda_tactic(out, state->dtype == SQUALL_F16 ? "gates_f16" : "gates_f32", 1);
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->in_layout[i] = SQUALL_NHWC;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out->out_layout[i] = SQUALL_NHWC;
    }
    out->cost = 2e-6 + 1e-12 * (double)squall_tensor_bytes(&step->in[0]);
    return 1;
}

static squall_status gates_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    const squall_tensor *kept = &step->in[1];
    const bool lstm = step->op == SQ_OP_SqLstmGates, update = step->op == SQ_OP_SqGruUpdate;
    size_t count;
    const int64_t *parts = sq_attr_ints(step->attrs, "sq_gates", &count);
    (void)tactic;
    if (parts == NULL || count < (lstm ? 4U : 1U)) {
        return sq_fail(err, SQUALL_E_CORRUPT, step->name, "its parts are not said");
    }
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, kept->dtype == SQUALL_F16 ? SQ_CUDA_gates_f16 : SQ_CUDA_gates_f32,
                           gate_threads(kept));
    sq_cuda_gates_args *args = &launch->args.gates;
    *args = (sq_cuda_gates_args){
        .pixels = kept->dims[0] * kept->dims[2] * kept->dims[3],
        .gates_pitch = sq_cuda_pitch(&step->in[0]),
        .pitch = sq_cuda_pitch(kept),
        .channels = (int)kept->dims[1],
        .kind = lstm     ? SQ_CUDA_LSTM
                : update ? SQ_CUDA_GRU_UPDATE
                         : SQ_CUDA_GRU_RESET,
        .squash = sq_attr_int(step->attrs, "sq_sigmoid", 0) == 1,
    };
    for (int p = 0; p < (lstm ? 4 : 1); p++) {
        args->part[p] = (int)(parts[p] * kept->dims[1]);
    }
    sq_cuda_patch_add(launch, offsetof(sq_cuda_gates_args, gates), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_gates_args, state), SQ_CUDA_INPUT, 1, 0);
    if (update) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_gates_args, fresh), SQ_CUDA_INPUT, 2, 0);
    }
    if (step->out[0].dtype != SQUALL_DTYPE_NONE) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_gates_args, out), SQ_CUDA_OUTPUT, 0, 0);
    }
    if (lstm && step->out_count > 1 && step->out[1].dtype != SQUALL_DTYPE_NONE) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_gates_args, cell), SQ_CUDA_OUTPUT, 1, 0);
    }
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_gates[] = {
    {SQ_OP_SqLstmGates, gates_tactics, NULL, gates_bind},
    {SQ_OP_SqGruReset, gates_tactics, NULL, gates_bind},
    {SQ_OP_SqGruUpdate, gates_tactics, NULL, gates_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
