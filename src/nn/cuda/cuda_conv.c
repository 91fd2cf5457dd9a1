/* nn/cuda/cuda_conv.c - Conv and ConvTranspose: which kernel, weights as it wants them, its launch.
 *
 * Packed: weights in the type of the tensors, then from a 64-byte boundary on the bias in float32,
 * both for a whole number of tiles of 64 output channels. Products of matrices take
 * [output channel][tap][channel, rounded up to 8], each row filled up to SQ_CUDA_MMA_K numbers;
 * direct ones [tap][channel of the group][output channel, rounded up to 8]. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

/* Kernels for one group, by the tile that a block makes. `share` is the part of a processor's peak
 * that it reaches when all are busy: measured shapes of such kernels, to rank by. */
static const struct tile {
    const char *name;
    sq_cuda_kernel kernel;
    squall_dtype type;
    int pixels, channels, threads, blocks; /* blocks that a processor holds at once */
    double share;
} tiles[] = {
    {"conv_mma_128x128", SQ_CUDA_conv_mma_128x128, SQUALL_F16, 128, 128, 256, 2, 0.60},
    {"conv_mma_128x64", SQ_CUDA_conv_mma_128x64, SQUALL_F16, 128, 64, 256, 2, 0.50},
    {"conv_mma_64x64", SQ_CUDA_conv_mma_64x64, SQUALL_F16, 64, 64, 256, 4, 0.40},
    {"conv_mma_128x32", SQ_CUDA_conv_mma_128x32, SQUALL_F16, 128, 32, 256, 3, 0.35},
    {"conv_mma_64x32", SQ_CUDA_conv_mma_64x32, SQUALL_F16, 64, 32, 256, 4, 0.28},
    {"conv_mma_128x16", SQ_CUDA_conv_mma_128x16, SQUALL_F16, 128, 16, 256, 4, 0.22},
    {"conv_mma_32x32", SQ_CUDA_conv_mma_32x32, SQUALL_F16, 32, 32, 128, 8, 0.20},
    {"conv_tile_f32", SQ_CUDA_conv_tile_f32, SQUALL_F32, 64, 64, 256, 3, 0.50},
};
enum { TILES = sizeof tiles / sizeof tiles[0] };

/* What the cost model takes for a processor of a GPU: multiply-accumulates a second of tensor cores
 * and of float32, and the least time of one step along the reduced axis. */
static const double mma_macs_s = 2.2e12, f32_macs_s = 0.22e12, step_s = 0.15e-6;
enum { PROCESSORS = 132 };

typedef struct geometry {
    sq_window window;
    bool transposed;
    int64_t batch, channels, out_channels, pixels;
    int64_t pitch, rows, depth, row; /* of packed weights: rows of `row` numbers, `depth` in use */
} geometry;

static bool geometry_of(const sq_step *step, geometry *out, sq_reason *why)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    squall_error err;
    if (x->rank != 4 || !sq_cuda_is_float(x->dtype) || step->in_count < 2 ||
        sq_op_window(step, &out->window, &err) != SQUALL_OK) {
        return sq_cuda_refuse(why, "only over two axes, in float32 and float16") != 0;
    }
    if (step->in[1].data == NULL || (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE &&
                                     step->in[2].data == NULL)) {
        return sq_cuda_refuse(why, "weights or a bias that are not constant") != 0;
    }
    out->transposed = step->op == SQ_OP_ConvTranspose;
    out->batch = x->dims[0];
    out->channels = x->dims[1];
    out->out_channels = y->dims[1];
    out->pixels = y->dims[0] * y->dims[2] * y->dims[3];
    out->pitch = sq_cuda_pitch(x);
    out->rows = (out->out_channels + SQ_CUDA_TILE_N - 1) / SQ_CUDA_TILE_N * SQ_CUDA_TILE_N;
    out->depth = out->window.kernel[0] * out->window.kernel[1] * out->pitch;
    out->row = (out->depth + SQ_CUDA_MMA_K - 1) / SQ_CUDA_MMA_K * SQ_CUDA_MMA_K;
    for (uint32_t i = 0; i < 2; i++) {
        const sq_window *w = &out->window;
        if (w->kernel[i] > 4096 || w->stride[i] > 4096 || w->dilation[i] > 4096 ||
            w->pad_begin[i] > 65536 || w->pad_begin[i] < -65536) {
            return sq_cuda_refuse(why, "windows, strides or pads of thousands") != 0;
        }
    }
    if (out->depth > (1 << 24) ||
        !sq_cuda_threads_fit((uint64_t)out->pixels * (uint64_t)((out->out_channels + 7) / 8))) {
        return sq_cuda_refuse(why, "more pixels or taps than one launch takes") != 0;
    }
    return true;
}

static size_t direct_numbers(const geometry *conv)
{
    return (size_t)(conv->window.kernel[0] * conv->window.kernel[1] *
                    (conv->channels / conv->window.group) * ((conv->out_channels + 7) / 8 * 8));
}

static size_t packed_bytes(const geometry *conv, squall_dtype type, bool direct, size_t *bias_at)
{
    const size_t numbers = direct ? direct_numbers(conv) : (size_t)conv->rows * (size_t)conv->row;
    *bias_at = sq_round_up(numbers * squall_dtype_size(type), SQ_ALIGNMENT);
    return *bias_at + (size_t)conv->rows * sizeof(float);
}

/* Rough seconds of a tile's kernel. */
static double tile_s(const geometry *conv, const struct tile *tile)
{
    const double peak = tile->type == SQUALL_F16 ? mma_macs_s : f32_macs_s;
    const int64_t blocks = (conv->pixels + tile->pixels - 1) / tile->pixels *
                           ((conv->out_channels + tile->channels - 1) / tile->channels);
    const int64_t each = (blocks + PROCESSORS - 1) / PROCESSORS; /* blocks of the busiest one */
    const int64_t at_once = each < tile->blocks ? each : tile->blocks;
    const int64_t waves = (each + tile->blocks - 1) / tile->blocks;
    const int64_t steps = conv->row / SQ_CUDA_MMA_K;
    const double macs = (double)tile->pixels * tile->channels * SQ_CUDA_MMA_K;
    double step = macs * (double)at_once / (peak * tile->share);
    step = step < step_s ? step_s : step;
    return 2e-6 + (double)waves * (double)steps * step;
}

static void set_tactic(const sq_step *step, const geometry *conv, const char *name, bool direct,
                       double cost, sq_tactic *out)
{
    size_t bias_at;
    sq_cuda_tactic(out, name, 1);
    out->in_layout[0] = out->out_layout[0] = SQUALL_NHWC;
    out->in_dropped[1] = 1;
    out->in_dropped[2] = step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE;
    out->packed_bytes = packed_bytes(conv, step->in[0].dtype, direct, &bias_at);
    out->cost = cost;
}

static size_t conv_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    geometry conv = {.window = {.group = 1}};
    size_t count = 0;
    const squall_dtype type = step->in[0].dtype;
    if (!geometry_of(step, &conv, why)) {
        return 0;
    }
    for (size_t t = 0; t < TILES && conv.window.group == 1 && capability >= 75; t++) {
        if (tiles[t].type == type && conv.rows % tiles[t].channels == 0) {
            set_tactic(step, &conv, tiles[t].name, false, tile_s(&conv, &tiles[t]), &out[count++]);
        }
    }
    const double macs = (double)sq_op_macs(step);
    set_tactic(step, &conv, type == SQUALL_F16 ? "conv_direct_f16" : "conv_direct_f32", true,
               3e-6 + macs / 2e12, &out[count++]);
    return count;
}

static bool is_direct(const sq_tactic *tactic)
{
    return strncmp(tactic->name, "conv_direct", 11) == 0;
}

static void put_number(squall_dtype type, void *packed, size_t at, double value)
{
    if (type == SQUALL_F16) {
        ((uint16_t *)packed)[at] = sq_float_to_half((float)value);
    } else {
        ((float *)packed)[at] = (float)value;
    }
}

static squall_status conv_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                               squall_error *err)
{
    geometry conv = {.window = {.group = 1}};
    sq_reason why;
    size_t bias_at;
    if (!geometry_of(step, &conv, &why)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "%s", why.text);
    }
    const squall_dtype type = step->in[0].dtype;
    const bool direct = is_direct(tactic);
    const squall_tensor *weights = &step->in[1];
    const int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
    const int64_t group_in = conv.channels / conv.window.group;
    const int64_t group_out = conv.out_channels / conv.window.group;
    const int64_t out_pitch = (conv.out_channels + 7) / 8 * 8;
    (void)packed_bytes(&conv, type, direct, &bias_at);
    for (int64_t o = 0; o < conv.out_channels; o++) {
        for (int64_t i = 0; i < group_in; i++) {
            const int64_t c = o / group_out * group_in + i;
            for (int64_t t = 0; t < taps; t++) {
                /* ONNX: Conv [out][in of group], ConvTranspose [in][out of group] */
                const int64_t from = conv.transposed ? (c * group_out + o % group_out) * taps + t
                                                     : (o * group_in + i) * taps + t;
                const int64_t to =
                    direct ? (t * group_in + i) * out_pitch + o : o * conv.row + t * conv.pitch + i;
                put_number(type, packed, (size_t)to, sq_tensor_get_double(weights, (size_t)from));
            }
        }
    }
    float *bias = (float *)(void *)((char *)packed + bias_at);
    for (int64_t o = 0; o < conv.out_channels && tactic->in_dropped[2]; o++) {
        bias[o] = (float)sq_tensor_get_double(&step->in[2], (size_t)o);
    }
    return SQUALL_OK;
}

static squall_status conv_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                               squall_error *err)
{
    geometry conv = {.window = {.group = 1}};
    sq_reason why;
    size_t bias_at;
    static const float present[1];
    squall_tensor in[3] = {{.dtype = SQUALL_DTYPE_NONE}};
    sq_step view = *step;
    for (uint32_t i = 0; i < step->in_count && i < 3; i++) { /* weights may be gone by now */
        in[i] = step->in[i];
        in[i].data = in[i].data != NULL ? in[i].data : (void *)(uintptr_t)present;
    }
    view.in = in;
    if (!geometry_of(&view, &conv, &why)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "%s", why.text);
    }
    const bool direct = is_direct(tactic);
    const squall_dtype type = step->in[0].dtype;
    const int64_t out_pitch = sq_cuda_pitch(&step->out[0]);
    const struct tile *tile = NULL;
    for (size_t t = 0; t < TILES && !direct; t++) {
        tile = strcmp(tiles[t].name, tactic->name) == 0 ? &tiles[t] : tile;
    }
    sq_cuda_launch *launch = sq_cuda_launch_add(state,
                                                tile != NULL         ? tile->kernel
                                                : type == SQUALL_F16 ? SQ_CUDA_conv_direct_f16
                                                                     : SQ_CUDA_conv_direct_f32,
                                                (uint64_t)conv.pixels * (uint64_t)out_pitch / 8);
    if (tile != NULL) {
        launch->grid_x = (uint32_t)((conv.pixels + tile->pixels - 1) / tile->pixels);
        launch->grid_y = (uint32_t)((conv.out_channels + tile->channels - 1) / tile->channels);
        launch->block = (uint32_t)tile->threads;
    }
    const sq_window *window = &conv.window;
    (void)packed_bytes(&conv, type, direct, &bias_at);
    launch->args.conv = (sq_cuda_conv_args){
        .n = (int)conv.batch,
        .h = (int)step->in[0].dims[2],
        .w = (int)step->in[0].dims[3],
        .in_pitch = (int)conv.pitch,
        .channels = (int)conv.channels,
        .out_h = (int)step->out[0].dims[2],
        .out_w = (int)step->out[0].dims[3],
        .out_pitch = (int)out_pitch,
        .out_channels = (int)conv.out_channels,
        .taps_y = (int)window->kernel[0],
        .taps_x = (int)window->kernel[1],
        .stride_y = (int)window->stride[0],
        .stride_x = (int)window->stride[1],
        .dilation_y = (int)window->dilation[0],
        .dilation_x = (int)window->dilation[1],
        .pad_y = (int)window->pad_begin[0],
        .pad_x = (int)window->pad_begin[1],
        .transposed = conv.transposed,
        .in_group = (int)(conv.channels / window->group),
        .out_group = (int)(conv.out_channels / window->group),
        .weight_pitch = (int)(direct ? out_pitch : conv.row),
        .pixels = conv.pixels,
        .act = sq_cuda_step_act(step),
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, bias), SQ_CUDA_PACKED, 0, bias_at);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, out), SQ_CUDA_OUTPUT, 0, 0);
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_conv[] = {
    {SQ_OP_Conv, conv_tactics, conv_pack, conv_bind},
    {SQ_OP_ConvTranspose, conv_tactics, conv_pack, conv_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
