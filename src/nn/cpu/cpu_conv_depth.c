/* nn/cpu/cpu_conv_depth.c - a depthwise convolution and the 1 x 1 behind it, as one: what is
 * between them is made for some pixels at a time and never leaves the cache.
 *
 * The channels in between may stand in any order, so those that one block of inputs gives are made
 * block by block: first output of each of its channels, second output of each, and so on. */
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum { MAX_LANES = 16, LEAST_PIXELS = 28 };

/* What the channels in between may take of the second-level cache. */
static const size_t middle_bytes = (size_t)320 << 10;

typedef struct pair_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act first_act, act;
    sq_window window;
    int32_t multiplier, channels, outputs, batch;
    int32_t in_blocks, middle_blocks, out_blocks;
    int32_t taps;
    int32_t rows, columns;                  /* of the output that a job makes */
    int32_t bands, pieces;                  /* jobs along the height and the width */
    size_t middle_floats, patch_floats;     /* scratch of one thread */
    size_t first_bias, second, second_bias; /* offsets in the packed constants, floats */
} pair_state;

static squall_status fill_state(const sq_step *step, pair_state *s, squall_error *err)
{
    sq_conv_depth pair;
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_conv_depth(step, &pair, err));
    SQ_TRY(sq_op_window(&pair.first, &s->window, err));
    const sq_window *w = &s->window;
    s->kernels = sq_cpu_pick();
    s->first_act = sq_cpu_step_act(&pair.first);
    s->act = sq_cpu_step_act(step);
    const size_t lanes = (size_t)s->kernels->lanes;
    s->batch = (int32_t)step->in[0].dims[0];
    s->channels = (int32_t)step->in[0].dims[1];
    s->multiplier = (int32_t)(pair.middle.dims[1] / step->in[0].dims[1]);
    s->outputs = (int32_t)step->out[0].dims[1];
    s->in_blocks = (int32_t)sq_cpu_blocks(&step->in[0]);
    s->middle_blocks = s->in_blocks * s->multiplier;
    s->out_blocks = (int32_t)sq_cpu_blocks(&step->out[0]);
    s->taps = (int32_t)(w->kernel[0] * w->kernel[1]);
    const int64_t fit =
        (int64_t)(middle_bytes / ((size_t)s->middle_blocks * lanes * sizeof(float)));
    const int64_t pixels = fit > LEAST_PIXELS ? fit : LEAST_PIXELS;
    s->pieces = (int32_t)((w->out[1] + pixels - 1) / pixels);
    s->columns = (int32_t)((w->out[1] + s->pieces - 1) / s->pieces);
    const int64_t rows = s->pieces > 1 ? 1 : pixels / w->out[1];
    s->rows = (int32_t)(rows < w->out[0] ? rows : w->out[0]);
    s->bands = (int32_t)((w->out[0] + s->rows - 1) / s->rows);
    s->middle_floats = (size_t)s->middle_blocks * (size_t)s->rows * (size_t)s->columns * lanes;
    s->patch_floats = (size_t)s->taps * lanes;
    s->first_bias = (size_t)s->middle_blocks * (size_t)s->taps * lanes;
    s->second = s->first_bias + (size_t)s->middle_blocks * lanes;
    s->second_bias = s->second + (size_t)s->middle_blocks * lanes * (size_t)s->out_blocks * lanes;
    return SQUALL_OK;
}

static const char *problem_of(const sq_step *step)
{
    sq_conv_depth pair;
    sq_window w;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    if (in->dtype != SQUALL_F32 || in->rank != 4 ||
        sq_op_conv_depth(step, &pair, NULL) != SQUALL_OK ||
        sq_op_window(&pair.first, &w, NULL) != SQUALL_OK || w.group != in->dims[1]) {
        return "only two-dimensional float32 is vectorised, depthwise first";
    }
    for (uint32_t i = 1; i < 5; i++) {
        if (step->in[i].data == NULL || step->in[i].dtype != SQUALL_F32) {
            return "its weights are not constant";
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (in->dims[i] < 1 || in->dims[i] > 65536 || out->dims[i] < 1 || out->dims[i] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    if (w.kernel[0] * w.kernel[1] > 1024 || pair.middle.dims[1] > 65536 || w.pad_begin[0] < 0 ||
        w.pad_begin[1] < 0) {
        return "its window or what is between the two is too large";
    }
    return NULL;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    pair_state s;
    const char *problem = problem_of(step);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    if (fill_state(step, &s, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, "its window cannot be worked out");
    }
    sq_cpu_tactic(out, "conv_depth_point");
    out->in_layout[0] = (uint8_t)s.kernels->layout;
    out->out_layout[0] = (uint8_t)s.kernels->layout;
    for (uint32_t i = 1; i < 5; i++) {
        out->in_dropped[i] = 1;
    }
    out->packed_bytes =
        (s.second_bias + (size_t)s.out_blocks * (size_t)s.kernels->lanes) * sizeof(float);
    out->state_bytes = sizeof s;
    out->scratch_bytes =
        sq_round_up((s.middle_floats + s.patch_floats) * sizeof(float), SQ_ALIGNMENT) *
        (size_t)threads;
    out->cost = 2.0 * (double)sq_op_macs(step) / 2e11;
    return 1;
}

/* The channel between the two that lane `l` of block `m` holds; -1 for none. */
static int32_t middle_channel(const pair_state *s, int32_t m, int32_t l)
{
    const int32_t in = m / s->multiplier * s->kernels->lanes + l;
    return in < s->channels ? in * s->multiplier + m % s->multiplier : -1;
}

/* Depthwise: [block][tap][L], [block][L]. 1 x 1: panels of two blocks of outputs (the last may have
 * one) x channel between the two, then the bias. */
static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    pair_state s;
    float *to = packed;
    (void)tactic;
    SQ_TRY(fill_state(step, &s, err));
    const int32_t lanes = s.kernels->lanes, middle = s.channels * s.multiplier;
    const float *depth = step->in[1].data, *depth_bias = step->in[2].data;
    const float *points = step->in[3].data;
    for (int32_t m = 0; m < s.middle_blocks; m++) {
        for (int32_t l = 0; l < lanes; l++) {
            const int32_t c = middle_channel(&s, m, l);
            for (int32_t t = 0; t < s.taps; t++) {
                to[(m * s.taps + t) * lanes + l] = c >= 0 ? depth[c * s.taps + t] : 0.0f;
            }
            to[s.first_bias + (size_t)(m * lanes + l)] = c >= 0 ? depth_bias[c] : 0.0f;
        }
    }
    float *panel = to + s.second;
    for (int32_t b = 0; b < s.out_blocks; b += 2) {
        const int32_t width = (s.out_blocks - b > 1 ? 2 : 1) * lanes;
        for (int32_t i = 0; i < s.middle_blocks * lanes; i++, panel += width) {
            const int32_t c = middle_channel(&s, i / lanes, i % lanes);
            for (int32_t j = 0; j < width; j++) {
                const int32_t k = b * lanes + j;
                panel[j] =
                    c >= 0 && k < s.outputs ? points[(size_t)k * (size_t)middle + (size_t)c] : 0.0f;
            }
        }
    }
    memcpy(to + s.second_bias, step->in[4].data, (size_t)s.outputs * sizeof(float));
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    (void)tactic;
    (void)threads;
    return fill_state(step, state, err);
}

/* ------------------------------------------------------------------ depthwise */

/* One pixel whose window reaches over the left or right edge: by a copy of the window. */
static void edge_pixel(const pair_state *s, const float *plane, int64_t top, int64_t left,
                       const float *weights, const float *bias, float *patch, float *out)
{
    const sq_window *w = &s->window;
    const size_t lanes = (size_t)s->kernels->lanes;
    float *to = patch;
    for (int64_t ty = 0; ty < w->kernel[0]; ty++) {
        const int64_t y = top + ty * w->dilation[0];
        for (int64_t tx = 0; tx < w->kernel[1]; tx++, to += lanes) {
            const int64_t x = left + tx * w->dilation[1];
            if (y < 0 || y >= w->in[0] || x < 0 || x >= w->in[1]) {
                memset(to, 0, lanes * sizeof *to);
            } else {
                memcpy(to, plane + (size_t)(y * w->in[1] + x) * lanes, lanes * sizeof *to);
            }
        }
    }
    s->kernels->depthwise_row(patch, (ptrdiff_t)((size_t)w->kernel[1] * lanes), (ptrdiff_t)lanes, 0,
                              weights, bias, (int32_t)w->kernel[0], (int32_t)w->kernel[1], out, 1,
                              &s->first_act);
}

/* Pixels first..last-1 of output row y of one block between the two. Rows of the window that lie
 * outside the input are left out; the sum of what is there is the same. */
static void depth_row(const pair_state *s, const float *plane, int64_t y, int64_t first,
                      int64_t last, const float *weights, const float *bias, float *patch,
                      float *out)
{
    const sq_window *w = &s->window;
    const int64_t lanes = s->kernels->lanes;
    const int64_t top = y * w->stride[0] - w->pad_begin[0];
    const int64_t reach = (w->kernel[1] - 1) * w->dilation[1];
    int64_t ty0 = 0, ty1 = w->kernel[0];
    while (ty0 < ty1 && top + ty0 * w->dilation[0] < 0) {
        ty0++;
    }
    while (ty1 > ty0 && top + (ty1 - 1) * w->dilation[0] >= w->in[0]) {
        ty1--;
    }
    for (int64_t x = first; x < last;) {
        const int64_t left = x * w->stride[1] - w->pad_begin[1];
        if (left < 0 || left + reach >= w->in[1] || ty0 == ty1) {
            edge_pixel(s, plane, top, left, weights, bias, patch, out + (x - first) * lanes);
            x++;
            continue;
        }
        const int64_t fit = (w->in[1] - 1 - reach - left) / w->stride[1] + 1;
        const int64_t pixels = fit < last - x ? fit : last - x;
        s->kernels->depthwise_row(plane + ((top + ty0 * w->dilation[0]) * w->in[1] + left) * lanes,
                                  w->dilation[0] * w->in[1] * lanes, w->dilation[1] * lanes,
                                  w->stride[1] * lanes, weights + ty0 * w->kernel[1] * lanes, bias,
                                  (int32_t)(ty1 - ty0), (int32_t)w->kernel[1],
                                  out + (x - first) * lanes, (int32_t)pixels, &s->first_act);
        x += pixels;
    }
}

/* ------------------------------------------------------------------ a job */

/* The 1 x 1 of `pixels` pixels. */
static void point_pixels(const pair_state *s, const float *constants, const float *middle,
                         int32_t pixels, float *out)
{
    const int32_t lanes = s->kernels->lanes, most = s->kernels->max_pixels;
    const int32_t parts = (pixels + most - 1) / most;
    sq_conv_tile tile = {.in_plane = (ptrdiff_t)pixels * lanes,
                         .weights = constants + s->second,
                         .channels = s->middle_blocks * lanes,
                         .taps_y = 1,
                         .taps_x = 1,
                         .out_plane = (ptrdiff_t)(s->window.out[0] * s->window.out[1]) * lanes,
                         .out_pixel = lanes,
                         .act = s->act};
    for (int32_t b = 0; b < s->out_blocks; b += 2, out += 2 * tile.out_plane) {
        const int32_t blocks = s->out_blocks - b > 1 ? 2 : 1;
        tile.bias = constants + s->second_bias + (ptrdiff_t)b * lanes;
        for (int32_t i = 0; i < parts; i++) {
            const int32_t from = pixels * i / parts, to = pixels * (i + 1) / parts;
            tile.in = middle + (ptrdiff_t)from * lanes;
            tile.out = out + (ptrdiff_t)from * lanes;
            s->kernels->conv_tile[blocks - 1][0][to - from](&tile);
        }
        tile.weights += (ptrdiff_t)tile.channels * blocks * lanes;
    }
}

static void pair_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const pair_state *s = call->state;
    const sq_window *w = &s->window;
    const size_t lanes = (size_t)s->kernels->lanes;
    const size_t image = index / (size_t)(s->bands * s->pieces);
    const int64_t band = (int64_t)index / s->pieces % s->bands, piece = (int64_t)index % s->pieces;
    const int64_t y0 = w->out[0] * band / s->bands, y1 = w->out[0] * (band + 1) / s->bands;
    const int64_t x0 = w->out[1] * piece / s->pieces, x1 = w->out[1] * (piece + 1) / s->pieces;
    const int32_t pixels = (int32_t)((y1 - y0) * (x1 - x0));
    const float *constants = call->packed;
    const size_t own =
        sq_round_up((s->middle_floats + s->patch_floats) * sizeof(float), SQ_ALIGNMENT);
    float *middle = (float *)(void *)((char *)call->scratch + (size_t)thread * own);
    float *patch = middle + s->middle_floats;
    const size_t plane = (size_t)(w->in[0] * w->in[1]) * lanes;
    const float *in = (const float *)call->step->in[0].data + image * (size_t)s->in_blocks * plane;
    for (int32_t m = 0; m < s->middle_blocks; m++) {
        float *to = middle + (size_t)m * (size_t)pixels * lanes;
        for (int64_t y = y0; y < y1; y++, to += (size_t)(x1 - x0) * lanes) {
            depth_row(s, in + (size_t)(m / s->multiplier) * plane, y, x0, x1,
                      constants + (size_t)m * (size_t)s->taps * lanes,
                      constants + s->first_bias + (size_t)m * lanes, patch, to);
        }
    }
    point_pixels(s, constants, middle, pixels,
                 (float *)call->step->out[0].data +
                     (image * (size_t)s->out_blocks * (size_t)(w->out[0] * w->out[1]) +
                      (size_t)(y0 * w->out[1] + x0)) *
                         lanes);
}

static squall_status run(const sq_call *call)
{
    const pair_state *s = call->state;
    sq_pool_run(call->pool, pair_job, (void *)(uintptr_t)call,
                (size_t)s->bands * (size_t)s->pieces * (size_t)s->batch);
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_depth[] = {
    {SQ_OP_SqConvDepth, tactics, pack, bind, run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
