/* nn/cuda/cuda_conv.c - Conv, ConvTranspose and SqConvBlock: which kernel, weights as it wants
 * them, its launch. cuda_wgmma.c has those of sm_90a.
 *
 * Packed: weights in the type of the tensors, then from a 64-byte boundary on the bias in float32,
 * both for a whole number of tiles of 64 output channels. Products of matrices take
 * [output channel][tap][channel of each source, rounded up to 8], each row filled up to
 * SQ_CUDA_MMA_K numbers; direct ones [tap][channel of the group][output channel, rounded up to 8].
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/cuda_conv.h"

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
    {"conv_first_16", SQ_CUDA_conv_first_16, SQUALL_F16, 16, 16, 128, 6, 0},
    {"conv_first_32", SQ_CUDA_conv_first_32, SQUALL_F16, 16, 32, 128, 5, 0},
    {"conv_first_64", SQ_CUDA_conv_first_64, SQUALL_F16, 16, 64, 128, 3, 0},
    {"conv_tile_f32", SQ_CUDA_conv_tile_f32, SQUALL_F32, 64, 64, 256, 3, 0.50},
};
enum { TILES = sizeof tiles / sizeof tiles[0] };

/* What the cost model takes for a processor of a GPU: multiply-accumulates a second of tensor cores
 * and of float32, and the least time of one step along the reduced axis. */
static const double mma_macs_s = 2.2e12, f32_macs_s = 0.22e12, step_s = 0.35e-6, end_s = 6e-6;

typedef sq_cuda_conv geometry;

void sq_cuda_wanted(const char *tactic, sq_text *out)
{
    static const struct {
        const char *tactic, *line;
    } lines[] = {
#define MMA(m, n, wm, wn, s) \
    {"conv_mma_" #m "x" #n, "MMA(" #m ", " #n ", " #wm ", " #wn ", " #s ")\n"},
#define MMA8(m, n, wm, wn, s) \
    {"qconv_mma_" #m "x" #n, "MMA8(" #m ", " #n ", " #wm ", " #wn ", " #s ")\n"},
#include "nn/cuda/cuda_mma.inc"
#undef MMA
#undef MMA8
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (tactic == NULL || strcmp(tactic, lines[i].tactic) == 0) {
            sq_text_add(out, "%s", lines[i].line);
        }
    }
    sq_cuda_wgmma_wanted(tactic, out);
}

/* The step as a plain Conv over what its sources are together. */
static squall_status sources_of(const sq_step *step, sq_block *block, geometry *out,
                                squall_error *err)
{
    out->transposed = step->op == SQ_OP_ConvTranspose;
    out->sources = 1;
    out->second = 3;
    out->up[0] = out->up[1] = 1;
    if (step->op == SQ_OP_SqConvBlock) {
        SQ_TRY(sq_op_block(step, block, err));
        out->sources = (int)block->sources;
        out->pooled = step->out_count > 1 && step->out[1].dtype != SQUALL_DTYPE_NONE;
        memcpy(out->up, block->up, block->sources * sizeof out->up[0]);
    } else {
        block->conv = *step;
    }
    for (int s = 0; s < out->sources; s++) {
        const squall_tensor *source = &step->in[s == 0 ? 0 : 3];
        out->own[s] = source->dims[1];
        out->in_pitch[s] = sq_cuda_pitch(source);
    }
    return sq_op_window(&block->conv, &out->window, err);
}

static bool geometry_of(const sq_step *step, geometry *out, sq_reason *why)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    squall_error err;
    sq_block block;
    memset(out, 0, sizeof *out);
    out->window.group = 1;
    if (x->rank != 4 || !sq_cuda_is_float(x->dtype) || step->in_count < 2 ||
        sources_of(step, &block, out, &err) != SQUALL_OK) {
        return sq_cuda_refuse(why, "only over two axes, in float32 and float16") != 0;
    }
    if (step->in[1].data == NULL || (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE &&
                                     step->in[2].data == NULL)) {
        return sq_cuda_refuse(why, "weights or a bias that are not constant") != 0;
    }
    if (step->op == SQ_OP_SqConvBlock && x->dtype != SQUALL_F16) {
        return sq_cuda_refuse(why, "blocks only in float16") != 0;
    }
    out->batch = x->dims[0];
    out->channels = out->own[0] + out->own[1];
    out->in_h = out->window.in[0];
    out->in_w = out->window.in[1];
    out->out_channels = y->dims[1];
    out->out_h = y->dims[2];
    out->out_w = y->dims[3];
    out->out_pitch = sq_cuda_pitch(y);
    out->pixels = y->dims[0] * y->dims[2] * y->dims[3];
    out->act = sq_cuda_step_act(step);
    out->rows = (out->out_channels + SQ_CUDA_TILE_N - 1) / SQ_CUDA_TILE_N * SQ_CUDA_TILE_N;
    out->depth =
        out->window.kernel[0] * out->window.kernel[1] * (out->in_pitch[0] + out->in_pitch[1]);
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

/* Kernels for few channels are marked by a share of 0. */
static bool is_first(const struct tile *tile)
{
    return tile->share == 0;
}

/* What a tile's kernel can do. */
static bool tile_fits(const geometry *conv, const struct tile *tile, squall_dtype type,
                      int capability)
{
    const sq_window *w = &conv->window;
    if (tile->type != type || w->group != 1 || capability < 75 ||
        conv->rows % tile->channels != 0) {
        return false;
    }
    return !is_first(tile) ||
           (capability >= 80 && conv->sources == 1 && conv->in_pitch[0] == 8 && conv->up[0] == 1 &&
            !conv->pooled && !conv->transposed && w->kernel[0] == 3 && w->kernel[1] == 3 &&
            w->dilation[0] == 1 && w->dilation[1] == 1 && conv->out_channels > tile->channels / 2);
}

/* Rough seconds of a tile's kernel. */
static double tile_s(const geometry *conv, const struct tile *tile)
{
    if (is_first(tile)) {
        const int64_t strips = (conv->out_w + 15) / 16 * conv->out_h * conv->batch;
        const double lanes = (double)(strips * 16) * (double)conv->out_pitch;
        return 3e-6 +
               lanes * 2 / 2.2e12 * 32.0 / (double)(tile->channels < 32 ? tile->channels : 32);
    }
    const double peak = tile->type == SQUALL_F16 ? mma_macs_s : f32_macs_s;
    const int64_t blocks = (conv->pixels + tile->pixels - 1) / tile->pixels *
                           ((conv->out_channels + tile->channels - 1) / tile->channels);
    const int64_t each =
        (blocks + SQ_CUDA_PROCESSORS - 1) / SQ_CUDA_PROCESSORS; /* blocks of the busiest one */
    const int64_t at_once = each < tile->blocks ? each : tile->blocks;
    const int64_t waves = (each + tile->blocks - 1) / tile->blocks;
    const int64_t steps = conv->row / SQ_CUDA_MMA_K;
    const double macs = (double)tile->pixels * tile->channels * SQ_CUDA_MMA_K;
    double step = macs * (double)at_once / (peak * tile->share);
    step = step < step_s ? step_s : step;
    return 4e-6 + (double)waves * ((double)steps * step + end_s);
}

void sq_cuda_conv_tactic(const sq_step *step, const char *name, size_t packed, double cost,
                         sq_tactic *out)
{
    sq_cuda_tactic(out, name, 1);
    for (uint32_t i = 0; i < step->in_count; i++) {
        const bool image = i == 0 || i > 3 || (i == 3 && step->op != SQ_OP_SqQConv);
        out->in_layout[i] = image ? SQUALL_NHWC : SQUALL_PLAIN;
    }
    out->out_layout[0] = SQUALL_NHWC;
    if (step->out_count > 1) {
        out->out_layout[1] = SQUALL_NHWC;
    }
    out->in_dropped[1] = 1;
    out->in_dropped[2] = step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE;
    out->in_dropped[3] = step->op == SQ_OP_SqQConv;
    out->packed_bytes = packed;
    out->cost = cost;
}

static void set_tactic(const sq_step *step, const geometry *conv, const char *name, bool direct,
                       double cost, sq_tactic *out)
{
    size_t bias_at;
    sq_cuda_conv_tactic(step, name, packed_bytes(conv, step->in[0].dtype, direct, &bias_at), cost,
                        out);
}

static int by_cost(const void *a, const void *b)
{
    const double l = ((const sq_tactic *)a)->cost, r = ((const sq_tactic *)b)->cost;
    return l < r ? -1 : l > r ? 1 : 0;
}

static size_t conv_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    geometry conv = {.window = {.group = 1}};
    size_t count = 0;
    const squall_dtype type = step->in[0].dtype;
    if (!geometry_of(step, &conv, why)) {
        return 0;
    }
    if (conv.window.group > 1 && step->op == SQ_OP_Conv &&
        sq_cuda_depth_tactic(step, &conv, &out[count])) {
        count++;
    }
    if (sq_cuda_few_tactic(step, &conv, &out[count])) {
        count++;
    }
    if (capability == 90 || capability == SQ_CUDA_EVERY_CAPABILITY) {
        count += sq_cuda_wgmma_list(step, &conv, out + count, SQ_CUDA_MOST - TILES - 3);
    }
    for (size_t t = 0; t < TILES; t++) {
        if (tile_fits(&conv, &tiles[t], type, capability)) {
            set_tactic(step, &conv, tiles[t].name, false, tile_s(&conv, &tiles[t]), &out[count++]);
        }
    }
    if (step->op != SQ_OP_SqConvBlock) {
        const double macs = (double)sq_op_macs(step);
        set_tactic(step, &conv, type == SQUALL_F16 ? "conv_direct_f16" : "conv_direct_f32", true,
                   3e-6 + macs / (double)conv.out_channels * (double)conv.out_pitch / 1.3e12,
                   &out[count++]);
    }
    qsort(out, count, sizeof *out, by_cost);
    return count;
}

static bool is_direct(const sq_tactic *tactic)
{
    return strncmp(tactic->name, "conv_direct", 11) == 0;
}

void sq_cuda_put(squall_dtype type, void *packed, size_t at, double value)
{
    if (type == SQUALL_F16) {
        ((uint16_t *)packed)[at] = sq_float_to_half((float)value);
    } else {
        ((float *)packed)[at] = (float)value;
    }
}

void sq_cuda_conv_bias(const sq_step *step, const sq_cuda_conv *conv, float *out)
{
    const bool given = step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE;
    for (int64_t o = 0; o < conv->out_channels && given; o++) {
        out[o] = (float)sq_tensor_get_double(&step->in[2], (size_t)o);
    }
}

/* Where packing puts a weight: of output `o`, input channel `i` of its group, tap `t`. */
static int64_t packed_at(const geometry *conv, bool direct, int64_t o, int64_t i, int64_t t)
{
    if (direct) {
        return (t * (conv->channels / conv->window.group) + i) * conv->out_pitch + o;
    }
    const int64_t lane = i < conv->own[0] ? i : conv->in_pitch[0] + i - conv->own[0];
    return o * conv->row + t * (conv->in_pitch[0] + conv->in_pitch[1]) + lane;
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
    if (sq_cuda_wgmma_is(tactic)) {
        sq_cuda_wgmma_pack(step, &conv, tactic, packed);
        return SQUALL_OK;
    }
    if (sq_cuda_depth_is(tactic)) {
        sq_cuda_depth_pack(step, &conv, packed);
        return SQUALL_OK;
    }
    if (sq_cuda_few_is(tactic)) {
        sq_cuda_few_pack(step, &conv, packed);
        return SQUALL_OK;
    }
    const squall_dtype type = step->in[0].dtype;
    const bool direct = is_direct(tactic);
    const squall_tensor *weights = &step->in[1];
    const int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
    const int64_t group_in = conv.channels / conv.window.group;
    const int64_t group_out = conv.out_channels / conv.window.group;
    (void)packed_bytes(&conv, type, direct, &bias_at);
    for (int64_t o = 0; o < conv.out_channels; o++) {
        for (int64_t i = 0; i < group_in; i++) {
            const int64_t c = o / group_out * group_in + i;
            for (int64_t t = 0; t < taps; t++) {
                /* ONNX: Conv [out][in of group], ConvTranspose [in][out of group] */
                const int64_t from = conv.transposed ? (c * group_out + o % group_out) * taps + t
                                                     : (o * group_in + i) * taps + t;
                sq_cuda_put(type, packed, (size_t)packed_at(&conv, direct, o, i, t),
                            sq_tensor_get_double(weights, (size_t)from));
            }
        }
    }
    sq_cuda_conv_bias(step, &conv, (float *)(void *)((char *)packed + bias_at));
    return SQUALL_OK;
}

sq_cuda_conv_args sq_cuda_conv_shape(const sq_cuda_conv *conv)
{
    const sq_window *window = &conv->window;
    return (sq_cuda_conv_args){
        .n = (int)conv->batch,
        .h = (int)conv->in_h,
        .w = (int)conv->in_w,
        .in_pitch = (int)conv->in_pitch[0],
        .channels = (int)conv->channels,
        .out_h = (int)conv->out_h,
        .out_w = (int)conv->out_w,
        .out_pitch = (int)conv->out_pitch,
        .out_channels = (int)conv->out_channels,
        .taps_y = (int)window->kernel[0],
        .taps_x = (int)window->kernel[1],
        .stride_y = (int)window->stride[0],
        .stride_x = (int)window->stride[1],
        .dilation_y = (int)window->dilation[0],
        .dilation_x = (int)window->dilation[1],
        .pad_y = (int)window->pad_begin[0],
        .pad_x = (int)window->pad_begin[1],
        .act = conv->act,
        .in2_pitch = (int)conv->in_pitch[1],
        .up = conv->up[0] == 2,
        .up2 = conv->up[1] == 2,
    };
}

/* The launch of a direct kernel or of tiles; `tile` is NULL for a direct one. */
static void bind_tiles(const sq_step *step, const geometry *conv, const struct tile *tile,
                       sq_cuda_state *state)
{
    const squall_dtype type = step->in[0].dtype;
    const sq_window *window = &conv->window;
    size_t bias_at;
    sq_cuda_launch *launch = sq_cuda_launch_add(state,
                                                tile != NULL         ? tile->kernel
                                                : type == SQUALL_F16 ? SQ_CUDA_conv_direct_f16
                                                                     : SQ_CUDA_conv_direct_f32,
                                                (uint64_t)(conv->pixels * conv->out_pitch / 8));
    if (tile != NULL) {
        launch->grid_x = (uint32_t)((conv->pixels + tile->pixels - 1) / tile->pixels);
        launch->grid_y = (uint32_t)((conv->out_channels + tile->channels - 1) / tile->channels);
        launch->block = (uint32_t)tile->threads;
    }
    if (tile != NULL && is_first(tile)) { /* blocks that stay */
        const int64_t strips = (conv->out_w + 15) / 16 * conv->out_h * conv->batch;
        const int64_t most = (int64_t)SQ_CUDA_PROCESSORS * tile->blocks / launch->grid_y;
        launch->grid_x = (uint32_t)((strips + 3) / 4 < most ? (strips + 3) / 4 : most);
    }
    (void)packed_bytes(conv, type, tile == NULL, &bias_at);
    sq_cuda_conv_args *args = &launch->args.conv;
    *args = sq_cuda_conv_shape(conv);
    args->transposed = conv->transposed;
    args->in_group = (int)(conv->channels / window->group);
    args->out_group = (int)(conv->out_channels / window->group);
    args->weight_pitch = (int)(tile == NULL ? conv->out_pitch : conv->row);
    args->pixels = conv->pixels;
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, bias), SQ_CUDA_PACKED, 0, bias_at);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, out), SQ_CUDA_OUTPUT, 0, 0);
    if (conv->sources == 2) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, in2), SQ_CUDA_INPUT, 3, 0);
    }
    if (conv->pooled && tile != NULL) { /* windows, then what no window has */
        const int64_t windows = conv->batch * ((conv->out_h + 1) / 2) * ((conv->out_w + 1) / 2);
        launch->args.conv.pixels = 4 * windows;
        launch->grid_x = (uint32_t)((4 * windows + tile->pixels - 1) / tile->pixels);
        sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, pooled), SQ_CUDA_OUTPUT, 1, 0);
    }
}

static squall_status conv_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                               squall_error *err)
{
    geometry conv = {.window = {.group = 1}};
    sq_reason why;
    static const float present[1];
    squall_tensor in[4] = {{.dtype = SQUALL_DTYPE_NONE}};
    sq_step view = *step;
    for (uint32_t i = 0; i < step->in_count && i < 4; i++) { /* weights may be gone by now */
        in[i] = step->in[i];
        in[i].data = in[i].data != NULL ? in[i].data : (void *)(uintptr_t)present;
    }
    view.in = in;
    if (!geometry_of(&view, &conv, &why)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "%s", why.text);
    }
    if (sq_cuda_wgmma_is(tactic)) {
        sq_cuda_wgmma_bind(&conv, tactic, state);
        return SQUALL_OK;
    }
    if (sq_cuda_depth_is(tactic)) {
        sq_cuda_depth_bind(step, &conv, state);
        return SQUALL_OK;
    }
    if (sq_cuda_few_is(tactic)) {
        sq_cuda_few_bind(step, &conv, state);
        return SQUALL_OK;
    }
    const struct tile *tile = NULL;
    for (size_t t = 0; t < TILES && !is_direct(tactic); t++) {
        tile = strcmp(tiles[t].name, tactic->name) == 0 ? &tiles[t] : tile;
    }
    bind_tiles(step, &conv, tile, state);
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_conv[] = {
    {SQ_OP_Conv, conv_tactics, conv_pack, conv_bind},
    {SQ_OP_ConvTranspose, conv_tactics, conv_pack, conv_bind},
    {SQ_OP_SqConvBlock, conv_tactics, conv_pack, conv_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
