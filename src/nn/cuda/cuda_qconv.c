/* nn/cuda/cuda_qconv.c - SqQConv, QuantizeLinear and DequantizeLinear: numbers of 8 bits, the same
 * bits as everywhere.
 *
 * Packed for the kernels here: weights, from a 64-byte boundary on biases with the zero points in
 * them, then multipliers. Where an image is enlarged there are four sets of weights and biases, one
 * for each parity of row and column; images that are not have the first set's weights in all of
 * them. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/cuda_conv.h"

/* Tiles of tensor cores, as cuda_conv.c has them. */
static const struct tile {
    const char *name;
    sq_cuda_kernel kernel;
    int pixels, channels, threads, blocks;
    double share;
} tiles[] = {
    {"qconv_mma_128x128", SQ_CUDA_qconv_mma_128x128, 128, 128, 256, 2, 0.60},
    {"qconv_mma_128x64", SQ_CUDA_qconv_mma_128x64, 128, 64, 256, 2, 0.50},
    {"qconv_mma_64x64", SQ_CUDA_qconv_mma_64x64, 64, 64, 256, 4, 0.40},
    {"qconv_mma_128x32", SQ_CUDA_qconv_mma_128x32, 128, 32, 256, 3, 0.35},
    {"qconv_mma_64x32", SQ_CUDA_qconv_mma_64x32, 64, 32, 256, 4, 0.28},
    {"qconv_mma_128x16", SQ_CUDA_qconv_mma_128x16, 128, 16, 256, 4, 0.22},
    {"qconv_mma_32x32", SQ_CUDA_qconv_mma_32x32, 32, 32, 128, 8, 0.20},
    {"qconv_mma_32x16", SQ_CUDA_qconv_mma_32x16, 32, 16, 64, 12, 0.14},
};
enum { TILES = sizeof tiles / sizeof tiles[0], ROW = 64 /* bytes of a step */ };

/* Multiply-accumulates a second of a processor's tensor cores; least time of a step, of a thread's
 * four channels by one tap, too (H100: 0.35 us where there are few threads); of an end. */
static const double macs_s = 4.4e12, step_s = 0.35e-6, end_s = 4e-6;

bool sq_cuda_qconv_looks(int set, int64_t ty, int64_t tx)
{
    const int64_t y = set / 2, x = set % 2;
    return ty >= y && ty <= y + 1 && tx >= x && tx <= x + 1;
}

int8_t sq_cuda_qconv_weight(const sq_step *step, const sq_cuda_conv *conv, int set, uint32_t s,
                            int64_t o, int64_t c, int64_t t)
{
    const squall_tensor *w = &step->in[1];
    const int64_t taps = w->dims[2] * w->dims[3], ty = t / w->dims[3], tx = t % w->dims[3];
    const bool doubled = conv->q.up[s] == 2;
    const int64_t row = (doubled ? set : 0) * conv->q.outputs + o;
    if (doubled && !sq_cuda_qconv_looks(set, ty, tx)) {
        return 0;
    }
    return ((const int8_t *)w->data)[(row * w->dims[1] + c) * taps + t];
}

/* The sum of an output's weights of an image in a set. */
static int64_t sum_of(const sq_step *step, const sq_cuda_conv *conv, int set, uint32_t s,
                      int64_t before, int64_t o)
{
    const int64_t taps = step->in[1].dims[2] * step->in[1].dims[3];
    const int64_t own =
        conv->window.group > 1 ? step->in[1].dims[1] : sq_op_qconv_source(step, s)->dims[1];
    int64_t sum = 0;
    for (int64_t c = 0; c < own; c++) {
        for (int64_t t = 0; t < taps; t++) {
            sum += sq_cuda_qconv_weight(step, conv, set, s, o, before + c, t);
        }
    }
    return sum;
}

void sq_cuda_qconv_ends(const sq_step *step, const sq_cuda_conv *conv, int sets, int64_t rows,
                        void *out)
{
    int32_t *bias = out;
    for (int set = 0; set < sets; set++, bias += rows) {
        for (int64_t o = 0; o < conv->out_channels; o++) {
            int64_t sum = ((const int32_t *)step->in[3].data)[o], before = 0;
            for (uint32_t s = 0; s < conv->q.sources; s++) {
                if (conv->q.x_zero[s] != 0) {
                    sum -= conv->q.x_zero[s] * sum_of(step, conv, set, s, before, o);
                }
                before += sq_op_qconv_source(step, s)->dims[1];
            }
            bias[o] = (int32_t)(uint32_t)(uint64_t)sum; /* wraps round, as sums do */
        }
    }
    memcpy(bias, step->in[2].data, (size_t)conv->out_channels * sizeof(float));
}

sq_cuda_q sq_cuda_qconv_q(const sq_cuda_conv *conv)
{
    return (sq_cuda_q){.zero = conv->q.y_zero,
                       .low = conv->q.low,
                       .high = conv->q.high,
                       .to_float = conv->q.to_float,
                       .slope = conv->act.kind == SQ_ACT_LEAKY_RELU ? conv->act.a : 1.0f};
}

/* ------------------------------------------------------------------ what is to be done */

static bool describe(const sq_step *step, sq_cuda_conv *out, sq_reason *why)
{
    squall_error err;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    memset(out, 0, sizeof *out);
    out->bytes = true;
    if (sq_op_qconv(step, &out->q, &err) != SQUALL_OK) {
        return sq_cuda_refuse(why, "its window cannot be worked out") != 0;
    }
    if (out->q.window.group > 1 && out->q.sources > 1) {
        return sq_cuda_refuse(why, "groups of several images have no kernel") != 0;
    }
    out->window = out->q.window;
    out->sources = (int)out->q.sources;
    out->second = 4;
    for (uint32_t s = 0; s < out->q.sources && s < 2; s++) {
        out->up[s] = out->q.up[s];
        out->own[s] = sq_op_qconv_source(step, s)->dims[1];
        out->in_pitch[s] = sq_cuda_pitch(sq_op_qconv_source(step, s));
    }
    out->up[1] = out->q.sources > 1 ? out->up[1] : 1;
    out->batch = x->dims[0];
    out->channels = out->q.channels;
    out->in_h = out->window.in[0];
    out->in_w = out->window.in[1];
    out->out_channels = out->q.outputs;
    out->out_h = y->dims[2];
    out->out_w = y->dims[3];
    out->out_pitch = sq_cuda_pitch(y);
    out->pixels = y->dims[0] * y->dims[2] * y->dims[3];
    out->pooled = step->out_count > 1 && step->out[1].dtype != SQUALL_DTYPE_NONE;
    out->act = sq_cuda_step_act(step);
    out->rows = (out->out_channels + SQ_CUDA_TILE_N - 1) / SQ_CUDA_TILE_N * SQ_CUDA_TILE_N;
    out->depth =
        out->window.kernel[0] * out->window.kernel[1] * (out->in_pitch[0] + out->in_pitch[1]);
    out->row = (out->depth + ROW - 1) / ROW * ROW;
    for (uint32_t i = 0; i < 2; i++) {
        const sq_window *w = &out->window;
        if (w->kernel[i] > 4096 || w->stride[i] > 4096 || w->dilation[i] > 4096 ||
            w->pad_begin[i] > 65536 || w->pad_begin[i] < -65536) {
            return sq_cuda_refuse(why, "windows, strides or pads of thousands") != 0;
        }
    }
    if (out->q.sources > SQ_CUDA_IMAGES || out->depth > (1 << 24) || out->pixels < 1 ||
        out->channels < 1 ||
        !sq_cuda_threads_fit((uint64_t)out->pixels * (uint64_t)((out->out_channels + 7) / 8))) {
        return sq_cuda_refuse(why, "more images, pixels or taps than one launch takes") != 0;
    }
    return true;
}

static int sets_of(const sq_cuda_conv *conv)
{
    return conv->q.phases ? 4 : 1;
}

/* Outputs in whole lanes. */
static int64_t lanes_of(const sq_cuda_conv *conv)
{
    return (conv->out_channels + 7) / 8 * 8;
}

/* Bytes of one set of weights of the direct kernel. */
static int64_t set_bytes(const sq_step *step, const sq_cuda_conv *conv)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    int64_t rows = 0;
    if (conv->window.group > 1) {
        return taps * step->in[1].dims[1] * lanes_of(conv);
    }
    for (uint32_t s = 0; s < conv->q.sources; s++) {
        rows += (sq_op_qconv_source(step, s)->dims[1] + 3) / 4 * 4;
    }
    return taps * rows * lanes_of(conv);
}

/* Where biases begin, and what there is in all. */
static size_t ends_at(const sq_step *step, const sq_cuda_conv *conv, bool direct, size_t *all)
{
    const int64_t rows = direct ? lanes_of(conv) : conv->rows;
    const int64_t set = direct ? set_bytes(step, conv) : conv->rows * conv->row;
    const size_t at = sq_round_up((size_t)(sets_of(conv) * set), SQ_ALIGNMENT);
    *all = at + (size_t)((sets_of(conv) + 1) * rows) * sizeof(int32_t);
    return at;
}

/* ------------------------------------------------------------------ ways */

/* Zeros are copied for what lies outside, so zero points must be 0 where anything does. */
static bool tiles_fit(const sq_cuda_conv *conv)
{
    const bool one = conv->window.kernel[0] * conv->window.kernel[1] == 1;
    for (uint32_t s = 0; s < conv->q.sources; s++) {
        if (conv->q.x_zero[s] != 0 && !one) {
            return false;
        }
    }
    return conv->q.sources <= 2 && conv->window.group == 1 && !(conv->pooled && conv->q.phases);
}

static double tile_cost(const sq_cuda_conv *conv, const struct tile *tile)
{
    const int64_t blocks = (conv->pixels + tile->pixels - 1) / tile->pixels *
                           ((conv->out_channels + tile->channels - 1) / tile->channels);
    const int64_t each = (blocks + SQ_CUDA_PROCESSORS - 1) / SQ_CUDA_PROCESSORS;
    const int64_t at_once = each < tile->blocks ? each : tile->blocks;
    const int64_t waves = (each + tile->blocks - 1) / tile->blocks;
    const double macs = (double)tile->pixels * tile->channels * ROW;
    double step = macs * (double)at_once / (macs_s * tile->share);
    step = step < step_s ? step_s : step;
    const int64_t steps = conv->row / ROW;
    return 4e-6 + (double)waves * ((double)steps * step + end_s);
}

static void add_way(const sq_step *step, const sq_cuda_conv *conv, const char *name, bool direct,
                    double cost, sq_tactic *out)
{
    size_t all;
    (void)ends_at(step, conv, direct, &all);
    sq_cuda_conv_tactic(step, name, all, cost, out);
    out->state_bytes = sq_cuda_state_bytes(conv->pooled && direct ? 2 : 1);
}

static int by_cost(const void *a, const void *b)
{
    const double l = ((const sq_tactic *)a)->cost, r = ((const sq_tactic *)b)->cost;
    return l < r ? -1 : l > r ? 1 : 0;
}

/* Floats plane by plane, as outputs of networks want them. */
static bool can_be_planes(const sq_cuda_conv *conv)
{
    return conv->q.to_float && lanes_of(conv) <= 32;
}

static size_t qconv_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    sq_cuda_conv conv;
    size_t count = 0;
    if (step->in_count < 4 || step->in[1].data == NULL || step->in[2].data == NULL ||
        step->in[3].data == NULL) {
        return sq_cuda_refuse(why, "weights, multipliers or biases that are not constant");
    }
    if (!describe(step, &conv, why)) {
        return 0;
    }
    const double macs = (double)sq_op_macs(step) / (double)conv.out_channels;
    const double each = (double)set_bytes(step, &conv) / (4 * (double)lanes_of(&conv));
    const double direct = 3e-6 + each * step_s + macs * (double)lanes_of(&conv) / 2.5e13;
    if ((capability == 90 || capability == SQ_CUDA_EVERY_CAPABILITY) && conv.sources <= 2) {
        count += sq_cuda_wgmma_list(step, &conv, out, SQ_CUDA_MOST - TILES - 2);
    }
    for (size_t t = 0; t < TILES && capability >= 75 && tiles_fit(&conv); t++) {
        if (conv.rows % tiles[t].channels == 0) {
            add_way(step, &conv, tiles[t].name, false, tile_cost(&conv, &tiles[t]), &out[count++]);
        }
    }
    add_way(step, &conv, "qconv_direct", true, direct, &out[count++]);
    if (can_be_planes(&conv)) {
        add_way(step, &conv, "qconv_direct_planes", true, direct - 0.5e-6, &out[count]);
        out[count++].out_layout[0] = SQUALL_PLAIN;
    }
    qsort(out, count, sizeof *out, by_cost);
    return count;
}

static bool is_direct(const sq_tactic *tactic)
{
    return strncmp(tactic->name, "qconv_direct", 12) == 0;
}

/* ------------------------------------------------------------------ constants */

static void pack_direct(const sq_step *step, const sq_cuda_conv *conv, int8_t *to)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1], lanes = lanes_of(conv);
    const bool grouped = conv->window.group > 1;
    for (int set = 0; set < sets_of(conv); set++) {
        for (int64_t t = 0; t < taps; t++) {
            int64_t before = 0;
            for (uint32_t s = 0; s < conv->q.sources; s++) {
                const int64_t own =
                    grouped ? step->in[1].dims[1] : sq_op_qconv_source(step, s)->dims[1];
                const int64_t rows = grouped ? own : (own + 3) / 4 * 4;
                for (int64_t c = 0; c < own; c++) {
                    for (int64_t o = 0; o < conv->out_channels; o++) {
                        const int64_t at =
                            grouped ? c * lanes + o : (c / 4 * lanes + o) * 4 + c % 4;
                        to[at] = sq_cuda_qconv_weight(step, conv, set, s, o, before + c, t);
                    }
                }
                before += own;
                to += rows * lanes;
            }
        }
    }
}

static void pack_tiles(const sq_step *step, const sq_cuda_conv *conv, int8_t *to)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    const int64_t each = conv->in_pitch[0] + conv->in_pitch[1];
    for (int set = 0; set < sets_of(conv); set++, to += conv->rows * conv->row) {
        for (int64_t o = 0; o < conv->out_channels; o++) {
            for (int64_t c = 0; c < conv->channels; c++) {
                const uint32_t s = c < conv->own[0] ? 0 : 1;
                const int64_t lane = s == 0 ? c : conv->in_pitch[0] + c - conv->own[0];
                for (int64_t t = 0; t < taps; t++) {
                    to[o * conv->row + t * each + lane] =
                        sq_cuda_qconv_weight(step, conv, set, s, o, c, t);
                }
            }
        }
    }
}

static squall_status qconv_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                                squall_error *err)
{
    sq_cuda_conv conv;
    sq_reason why;
    size_t all;
    if (!describe(step, &conv, &why)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "%s", why.text);
    }
    if (sq_cuda_wgmma_is(tactic)) {
        sq_cuda_wgmma_pack(step, &conv, tactic, packed);
        return SQUALL_OK;
    }
    const bool direct = is_direct(tactic);
    (direct ? pack_direct : pack_tiles)(step, &conv, packed);
    sq_cuda_qconv_ends(step, &conv, sets_of(&conv), direct ? lanes_of(&conv) : conv.rows,
                       (char *)packed + ends_at(step, &conv, direct, &all));
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ launches */

static void bind_direct(const sq_step *step, const sq_cuda_conv *conv, bool planes,
                        sq_cuda_state *state)
{
    const sq_window *w = &conv->window;
    size_t all;
    const size_t ends = ends_at(step, conv, true, &all);
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, SQ_CUDA_qconv_direct,
                           (uint64_t)conv->pixels * (uint64_t)(lanes_of(conv) / 8));
    sq_cuda_qconv_args *args = &launch->args.qconv;
    *args = (sq_cuda_qconv_args){
        .n = (int)conv->batch,
        .h = (int)conv->in_h,
        .w = (int)conv->in_w,
        .out_h = (int)conv->out_h,
        .out_w = (int)conv->out_w,
        .out_pitch = (int)conv->out_pitch,
        .out_channels = (int)conv->out_channels,
        .lanes = (int)lanes_of(conv),
        .images = (int)conv->q.sources,
        .in_group = w->group > 1 ? (int)step->in[1].dims[1] : 0,
        .out_group = (int)(conv->out_channels / w->group),
        .taps_y = (int)w->kernel[0],
        .taps_x = (int)w->kernel[1],
        .stride_y = (int)w->stride[0],
        .stride_x = (int)w->stride[1],
        .dilation_y = (int)w->dilation[0],
        .dilation_x = (int)w->dilation[1],
        .pad_y = (int)w->pad_begin[0],
        .pad_x = (int)w->pad_begin[1],
        .planes = planes,
        .set_bytes = conv->q.phases ? (int)set_bytes(step, conv) : 0,
        .pixels = conv->pixels,
        .q = sq_cuda_qconv_q(conv),
        .act = conv->act,
    };
    for (uint32_t s = 0; s < conv->q.sources; s++) {
        const squall_tensor *image = sq_op_qconv_source(step, s);
        args->pitch[s] = sq_cuda_pitch(image);
        args->channels[s] = (int)image->dims[1];
        args->up[s] = conv->q.up[s] == 2;
        args->zero[s] = conv->q.x_zero[s];
        sq_cuda_patch_add(launch, offsetof(sq_cuda_qconv_args, in) + s * sizeof(void *),
                          SQ_CUDA_INPUT, s == 0 ? 0 : s + 3, 0);
    }
    sq_cuda_patch_add(launch, offsetof(sq_cuda_qconv_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_qconv_args, bias), SQ_CUDA_PACKED, 0, ends);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_qconv_args, q.multiplier), SQ_CUDA_PACKED, 0,
                      ends + (size_t)(sets_of(conv) * lanes_of(conv)) * sizeof(int32_t));
    sq_cuda_patch_add(launch, offsetof(sq_cuda_qconv_args, out), SQ_CUDA_OUTPUT, 0, 0);
    if (conv->pooled) {
        sq_cuda_pool_two(step, state);
    }
}

static void bind_tiles(const sq_step *step, const sq_cuda_conv *conv, const struct tile *tile,
                       sq_cuda_state *state)
{
    size_t all;
    const size_t ends = ends_at(step, conv, false, &all);
    const int64_t blocks = (conv->out_channels + tile->channels - 1) / tile->channels;
    const int64_t windows = conv->batch * ((conv->out_h + 1) / 2) * ((conv->out_w + 1) / 2);
    const int64_t pixels = conv->q.phases ? windows : conv->pooled ? 4 * windows : conv->pixels;
    sq_cuda_launch *launch = sq_cuda_launch_add(state, tile->kernel, 1);
    launch->grid_x = (uint32_t)((pixels + tile->pixels - 1) / tile->pixels);
    launch->grid_y = (uint32_t)(blocks * sets_of(conv));
    launch->block = (uint32_t)tile->threads;
    sq_cuda_conv_args *args = &launch->args.conv;
    *args = sq_cuda_conv_shape(conv);
    args->weight_pitch = (int)conv->row;
    args->pixels = pixels;
    args->q = sq_cuda_qconv_q(conv);
    args->sets = sets_of(conv);
    args->blocks = (int)blocks;
    args->set_rows = (int)conv->rows;
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, bias), SQ_CUDA_PACKED, 0, ends);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, q.multiplier), SQ_CUDA_PACKED, 0,
                      ends + (size_t)(sets_of(conv) * conv->rows) * sizeof(int32_t));
    sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, out), SQ_CUDA_OUTPUT, 0, 0);
    if (conv->sources == 2) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, in2), SQ_CUDA_INPUT, conv->second, 0);
    }
    if (conv->pooled) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_conv_args, pooled), SQ_CUDA_OUTPUT, 1, 0);
    }
}

static squall_status qconv_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    sq_cuda_conv conv;
    sq_reason why;
    if (!describe(step, &conv, &why)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "%s", why.text);
    }
    if (sq_cuda_wgmma_is(tactic)) {
        sq_cuda_wgmma_bind(&conv, tactic, state);
        return SQUALL_OK;
    }
    for (size_t t = 0; t < TILES; t++) {
        if (strcmp(tiles[t].name, tactic->name) == 0) {
            bind_tiles(step, &conv, &tiles[t], state);
            return SQUALL_OK;
        }
    }
    bind_direct(step, &conv, tactic->out_layout[0] == SQUALL_PLAIN, state);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ in and out */

/* One scale and zero point for all of a tensor, both constant. */
static bool scheme_of(const sq_step *step, sq_cuda_act *act)
{
    const bool in = step->op == SQ_OP_QuantizeLinear;
    const squall_tensor *bytes = in ? &step->out[0] : &step->in[0];
    const squall_tensor *floats = in ? &step->in[0] : &step->out[0];
    const squall_tensor *zero = step->in_count > 2 ? &step->in[2] : NULL;
    if (bytes->dtype != SQUALL_U8 || floats->dtype != SQUALL_F32 || step->in[1].data == NULL ||
        step->in[1].dtype != SQUALL_F32 || squall_tensor_count(&step->in[1]) != 1 ||
        (zero != NULL && zero->dtype != SQUALL_DTYPE_NONE && zero->data == NULL) ||
        sq_attr_int(step->attrs, "block_size", 0) != 0) {
        return false;
    }
    *act = (sq_cuda_act){.kind = in ? SQ_CUDA_TO_BYTES : SQ_CUDA_FROM_BYTES,
                         .a = (float)sq_tensor_get_double(&step->in[1], 0)};
    if (zero != NULL && zero->dtype != SQUALL_DTYPE_NONE) {
        act->b = (float)sq_tensor_get_double(zero, 0);
    }
    return true;
}

/* From planes to channels last. */
static bool from_planes(const sq_step *step)
{
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    return step->op == SQ_OP_QuantizeLinear && in->rank == 4 && in->layout == SQUALL_PLAIN &&
           squall_tensor_count(in) > 0 &&
           sq_cuda_threads_fit((uint64_t)(in->dims[0] * in->dims[2] * in->dims[3]) *
                               (uint64_t)(sq_cuda_pitch(out) / 8));
}

static size_t scale_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    sq_cuda_act act;
    (void)capability;
    if (!scheme_of(step, &act)) {
        return sq_cuda_refuse(why, "only between float32 and uint8, by one constant scale");
    }
    size_t count = sq_cuda_map_ways(step, "scale", 1, -1, out);
    if (from_planes(step)) {
        sq_cuda_tactic(&out[count], "scale_planes", 1);
        out[count].out_layout[0] = SQUALL_NHWC;
        out[count++].cost = 0.5e-6 + 0.3e-12 * (double)squall_tensor_bytes(&step->in[0]);
    }
    return count;
}

static squall_status scale_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    sq_cuda_act act;
    if (!scheme_of(step, &act)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "its scale is gone");
    }
    if (strcmp(tactic->name, "scale_planes") != 0) {
        return sq_cuda_map_all(step, act, state, err);
    }
    const squall_tensor *in = &step->in[0];
    const int64_t plane = in->dims[2] * in->dims[3], pixels = in->dims[0] * plane;
    const int pitch = sq_cuda_pitch(&step->out[0]);
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, SQ_CUDA_planes_u8, (uint64_t)pixels * (uint64_t)(pitch / 8));
    launch->args.planes = (sq_cuda_planes_args){.channels = (int)in->dims[1],
                                                .pitch = pitch,
                                                .plane = (int)plane,
                                                .pixels = pixels,
                                                .act = act};
    sq_cuda_patch_add(launch, offsetof(sq_cuda_planes_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_planes_args, out), SQ_CUDA_OUTPUT, 0, 0);
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_quant[] = {
    {SQ_OP_SqQConv, qconv_tactics, qconv_pack, qconv_bind},
    {SQ_OP_QuantizeLinear, scale_tactics, NULL, scale_bind},
    {SQ_OP_DequantizeLinear, scale_tactics, NULL, scale_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
