/* nn/cpu/cpu_conv.c - convolution and its transpose on blocked tensors, as phases of one loop.
 *
 * A convolution is one phase. A transposed one of stride s is s x s phases: each gathers, for the
 * output pixels of one remainder, the few taps that reach them. A phase is a plain convolution over
 * the input, so both share everything from here on.
 *
 * Tiles that touch the border read from a patch: a copy of their input with zeros around it.
 */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum { MAX_PHASES = 64, ROWS_PER_JOB = 8, MAX_LANES = 16 };

/* One phase: output pixel (q, r) lies at (out_y + q * step, out_x + r * step) and reads the input
 * from (in_y + q * stride, in_x + r * stride). */
typedef struct phase {
    int32_t taps_y, taps_x;
    int32_t in_y, in_x; /* of the first tap of pixel (0, 0); may lie outside */
    int32_t out_y, out_x;
    int32_t height, width; /* output pixels of this phase */
    size_t weights;        /* offset in the packed constants, floats */
} phase;

typedef struct conv_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    int32_t channels, in_height, in_width, out_height, out_width, batch;
    int32_t in_blocks, out_blocks;
    int32_t stride_y, stride_x, dilation_y, dilation_x; /* of input pixels and of taps */
    int32_t step_y, step_x;                             /* of output pixels in a phase */
    int32_t pad_y, pad_x;                               /* before the first row and column */
    int32_t phase_count;
    phase phases[MAX_PHASES];
    size_t bias;        /* offset in the packed constants, floats */
    size_t patch_bytes; /* scratch of one thread */
} conv_state;

typedef struct conv_run {
    const conv_state *state;
    const sq_call *call;
    const float *in;
    float *out;
    const phase *phase;
    int32_t rows_per_job, jobs_per_image;
} conv_run;

/* The step's geometry. For a transposed convolution the phases are worked out from its window. */
static squall_status fill_state(const sq_step *step, conv_state *s, squall_error *err)
{
    sq_window w;
    SQ_TRY(sq_op_window(step, &w, err));
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    const int32_t lanes = s->kernels->lanes;
    const bool transposed = step->op == SQ_OP_ConvTranspose;
    s->batch = (int32_t)step->in[0].dims[0];
    s->channels = (int32_t)step->in[0].dims[1];
    s->in_height = (int32_t)step->in[0].dims[2];
    s->in_width = (int32_t)step->in[0].dims[3];
    s->out_height = (int32_t)step->out[0].dims[2];
    s->out_width = (int32_t)step->out[0].dims[3];
    s->in_blocks = (s->channels + lanes - 1) / lanes;
    s->out_blocks = ((int32_t)step->out[0].dims[1] + lanes - 1) / lanes;
    s->stride_y = transposed ? 1 : (int32_t)w.stride[0];
    s->stride_x = transposed ? 1 : (int32_t)w.stride[1];
    s->dilation_y = transposed ? 1 : (int32_t)w.dilation[0];
    s->dilation_x = transposed ? 1 : (int32_t)w.dilation[1];
    s->step_y = transposed ? (int32_t)w.stride[0] : 1;
    s->step_x = transposed ? (int32_t)w.stride[1] : 1;
    s->pad_y = (int32_t)w.pad_begin[0];
    s->pad_x = (int32_t)w.pad_begin[1];
    size_t offset = 0;
    int32_t widest = 0, tallest = 0;
    for (int32_t py = 0; py < s->step_y; py++) {
        for (int32_t px = 0; px < s->step_x; px++) {
            phase *p = &s->phases[s->phase_count++];
            const int32_t first_y = (py + (int32_t)w.pad_begin[0]) % s->step_y;
            const int32_t first_x = (px + (int32_t)w.pad_begin[1]) % s->step_x;
            p->taps_y = transposed ? ((int32_t)w.kernel[0] - first_y + s->step_y - 1) / s->step_y
                                   : (int32_t)w.kernel[0];
            p->taps_x = transposed ? ((int32_t)w.kernel[1] - first_x + s->step_x - 1) / s->step_x
                                   : (int32_t)w.kernel[1];
            /* Taps of a transposed convolution walk the input backwards; they are packed reversed.
             */
            p->in_y = transposed ? (py + (int32_t)w.pad_begin[0]) / s->step_y - (p->taps_y - 1)
                                 : -(int32_t)w.pad_begin[0];
            p->in_x = transposed ? (px + (int32_t)w.pad_begin[1]) / s->step_x - (p->taps_x - 1)
                                 : -(int32_t)w.pad_begin[1];
            p->out_y = py;
            p->out_x = px;
            p->height = (s->out_height - py + s->step_y - 1) / s->step_y;
            p->width = (s->out_width - px + s->step_x - 1) / s->step_x;
            p->weights = offset;
            offset += (size_t)p->taps_y * (size_t)p->taps_x * (size_t)s->channels *
                      (size_t)s->out_blocks * (size_t)lanes;
            tallest = p->taps_y > tallest ? p->taps_y : tallest;
            widest = p->taps_x > widest ? p->taps_x : widest;
        }
    }
    s->bias = offset;
    const size_t columns = (size_t)(s->kernels->max_pixels - 1) * (size_t)s->stride_x +
                           (size_t)(widest - 1) * (size_t)s->dilation_x + 1;
    s->patch_bytes = sq_round_up((size_t)tallest * columns * (size_t)s->in_blocks * (size_t)lanes *
                                     sizeof(float),
                                 SQ_ALIGNMENT);
    return SQUALL_OK;
}

/* What this driver takes: two spatial dimensions, float32, constant weights, one group, and sizes
 * that fit the 32 bits in which it counts. */
static const char *why_not(const sq_step *step)
{
    const squall_tensor *in = &step->in[0], *weights = &step->in[1];
    if (in->dtype != SQUALL_F32 || weights->dtype != SQUALL_F32 ||
        step->out[0].dtype != SQUALL_F32) {
        return "only float32 is vectorised";
    }
    if (weights->data == NULL || (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE &&
                                  step->in[2].data == NULL)) {
        return "its weights are not constant";
    }
    if (in->rank != 4) {
        return "only two spatial dimensions are vectorised";
    }
    if (sq_attr_int(step->attrs, "group", 1) != 1) {
        return "grouped convolutions are vectorised only when depthwise";
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (in->dims[i] < 1 || in->dims[i] > 65536 || step->out[0].dims[i] < 1 ||
            step->out[0].dims[i] > 65536 || weights->dims[i] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    return NULL;
}

static bool transposed_fits(const sq_step *step, const sq_window *w)
{
    return step->op != SQ_OP_ConvTranspose ||
           (w->dilation[0] == 1 && w->dilation[1] == 1 &&
            w->stride[0] * w->stride[1] <= MAX_PHASES && w->stride[0] <= w->kernel[0] &&
            w->stride[1] <= w->kernel[1] && w->pad_begin[0] >= 0 && w->pad_begin[1] >= 0);
}

/* Rough seconds of one thread, as in cpu_winograd.c: whole blocks of outputs are computed, and a
 * single block cannot hide the loads of its inputs. */
static double cost_of(const conv_state *s)
{
    double macs = 0;
    for (int32_t i = 0; i < s->phase_count; i++) {
        macs += (double)s->phases[i].taps_y * s->phases[i].taps_x * s->phases[i].height *
                s->phases[i].width;
    }
    const double outputs = (double)s->out_blocks * s->kernels->lanes;
    const double share = s->out_blocks == 1 ? 0.75 : s->channels < 8 ? 0.8 : 1.1;
    return 2.0 * macs * s->channels * outputs * s->batch / (share * s->kernels->rate);
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    sq_window w;
    conv_state state;
    const char *problem = why_not(step);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    if (sq_op_window(step, &w, NULL) != SQUALL_OK || !transposed_fits(step, &w)) {
        return sq_cpu_refuse(why, "this form of transposed convolution is not vectorised");
    }
    if (fill_state(step, &state, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, "its window cannot be worked out");
    }
    sq_cpu_tactic(out, step->op == SQ_OP_Conv ? "conv_direct" : "conv_transpose");
    out->in_layout[0] = (uint8_t)state.kernels->layout;
    out->out_layout[0] = (uint8_t)state.kernels->layout;
    out->in_dropped[1] = 1;
    out->in_dropped[2] = 1;
    out->packed_bytes =
        (state.bias + (size_t)state.out_blocks * (size_t)state.kernels->lanes) * sizeof(float);
    out->state_bytes = sizeof(conv_state);
    out->scratch_bytes = state.patch_bytes * (size_t)threads;
    out->cost = cost_of(&state);
    return 1;
}

/* The weight of output channel k, input channel c, at a tap of a phase. */
static float weight_at(const sq_step *step, const conv_state *s, const phase *p, int32_t k,
                       int32_t c, int32_t ty, int32_t tx)
{
    const squall_tensor *w = &step->in[1];
    const float *data = w->data;
    const int64_t height = w->dims[2], width = w->dims[3];
    if (step->op == SQ_OP_Conv) {
        return data[((k * w->dims[1] + c) * height + ty) * width + tx];
    }
    const int64_t y = (p->out_y + s->pad_y) % s->step_y + (int64_t)s->step_y * (p->taps_y - 1 - ty);
    const int64_t x = (p->out_x + s->pad_x) % s->step_x + (int64_t)s->step_x * (p->taps_x - 1 - tx);
    return data[((c * w->dims[1] + k) * height + y) * width + x];
}

/* One phase's weights: panels of two blocks (the last may have one) x input block x tap x channel.
 */
static void pack_phase(const sq_step *step, const conv_state *s, const phase *p, float *to)
{
    const int32_t lanes = s->kernels->lanes;
    const int32_t outputs = (int32_t)step->out[0].dims[1];
    for (int32_t b0 = 0; b0 < s->out_blocks; b0 += 2) {
        const int32_t width = (s->out_blocks - b0 > 1 ? 2 : 1) * lanes;
        for (int32_t c0 = 0; c0 < s->channels; c0 += lanes) {
            const int32_t end = c0 + lanes < s->channels ? c0 + lanes : s->channels;
            for (int32_t ty = 0; ty < p->taps_y; ty++) {
                for (int32_t tx = 0; tx < p->taps_x; tx++) {
                    for (int32_t c = c0; c < end; c++, to += width) {
                        for (int32_t j = 0; j < width; j++) {
                            const int32_t k = b0 * lanes + j;
                            to[j] = k < outputs ? weight_at(step, s, p, k, c, ty, tx) : 0.0f;
                        }
                    }
                }
            }
        }
    }
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    conv_state state;
    float *to = packed;
    (void)tactic;
    SQ_TRY(fill_state(step, &state, err));
    for (int32_t i = 0; i < state.phase_count; i++) {
        pack_phase(step, &state, &state.phases[i], to + state.phases[i].weights);
    }
    if (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE) {
        memcpy(to + state.bias, step->in[2].data, (size_t)step->out[0].dims[1] * sizeof(float));
    }
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    (void)tactic;
    (void)threads;
    return fill_state(step, state, err);
}

/* Copy the input that a tile reaches, with zeros where it reaches out of the image. */
static void make_patch(const conv_state *s, const phase *p, const float *image, int32_t y,
                       int32_t x, int32_t columns, float *patch)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    for (int32_t b = 0; b < s->in_blocks; b++) {
        const float *plane = image + (size_t)b * (size_t)s->in_height * (size_t)s->in_width * lanes;
        for (int32_t t = 0; t < p->taps_y; t++, patch += (size_t)columns * lanes) {
            const int32_t row = y + t * s->dilation_y;
            if (row < 0 || row >= s->in_height) {
                memset(patch, 0, (size_t)columns * lanes * sizeof *patch);
                continue;
            }
            const int32_t from = x < 0 ? 0 : x;
            const int32_t to = x + columns < s->in_width ? x + columns : s->in_width;
            const int32_t before = from - x < columns ? from - x : columns;
            const int32_t inside = to > from ? to - from : 0;
            memset(patch, 0, (size_t)before * lanes * sizeof *patch);
            memcpy(patch + (size_t)before * lanes,
                   plane + ((size_t)row * (size_t)s->in_width + (size_t)from) * lanes,
                   (size_t)inside * lanes * sizeof *patch);
            memset(patch + (size_t)(before + inside) * lanes, 0,
                   (size_t)(columns - before - inside) * lanes * sizeof *patch);
        }
    }
}

/* A row of one phase, for one panel of output channels. */
static void run_row(const conv_run *r, const float *image, float *out_image, int32_t row,
                    int32_t panel, float *patch)
{
    const conv_state *s = r->state;
    const phase *p = r->phase;
    const int32_t lanes = s->kernels->lanes;
    const int32_t blocks = s->out_blocks - 2 * panel > 1 ? 2 : 1;
    const int32_t most = s->stride_x > 2 ? 1 : s->kernels->max_pixels;
    const int32_t tiles = (p->width + most - 1) / most;
    const size_t taps = (size_t)p->taps_y * (size_t)p->taps_x;
    const float *constants = r->call->packed;
    const int32_t y = p->in_y + row * s->stride_y;
    const bool rows_inside = y >= 0 && y + (p->taps_y - 1) * s->dilation_y < s->in_height;
    sq_conv_tile tile = {
        .weights =
            constants + p->weights + (size_t)(2 * panel * lanes) * taps * (size_t)s->channels,
        .bias = constants + s->bias + 2 * panel * lanes,
        .channels = s->channels,
        .taps_y = p->taps_y,
        .taps_x = p->taps_x,
        .in_tap = (ptrdiff_t)s->dilation_x * lanes,
        .out_plane = (ptrdiff_t)s->out_height * s->out_width * lanes,
        .out_pixel = (ptrdiff_t)s->step_x * lanes,
        .act = s->act,
    };
    float *out_row = out_image + (ptrdiff_t)(2 * panel) * tile.out_plane +
                     ((ptrdiff_t)(p->out_y + row * s->step_y) * s->out_width + p->out_x) * lanes;
    for (int32_t i = 0; i < tiles; i++) {
        const int32_t first = (int32_t)((int64_t)p->width * i / tiles);
        const int32_t pixels = (int32_t)((int64_t)p->width * (i + 1) / tiles) - first;
        const int32_t x = p->in_x + first * s->stride_x;
        const int32_t columns = (pixels - 1) * s->stride_x + (p->taps_x - 1) * s->dilation_x + 1;
        if (rows_inside && x >= 0 && x + columns <= s->in_width) {
            tile.in = image + ((ptrdiff_t)y * s->in_width + x) * lanes;
            tile.in_row = (ptrdiff_t)s->dilation_y * s->in_width * lanes;
            tile.in_plane = (ptrdiff_t)s->in_height * s->in_width * lanes;
        } else {
            make_patch(s, p, image, y, x, columns, patch);
            tile.in = patch;
            tile.in_row = (ptrdiff_t)columns * lanes;
            tile.in_plane = tile.in_row * p->taps_y;
        }
        tile.out = out_row + first * tile.out_pixel;
        s->kernels->conv_tile[blocks - 1][s->stride_x == 2][pixels](&tile);
    }
}

/* A band of rows of one image, all panels. */
static void run_job(void *arg, size_t index, int thread)
{
    const conv_run *r = arg;
    const conv_state *s = r->state;
    const int32_t lanes = s->kernels->lanes;
    const int32_t image = (int32_t)(index / (size_t)r->jobs_per_image);
    const int32_t band = (int32_t)(index % (size_t)r->jobs_per_image);
    const int32_t first = band * r->rows_per_job;
    const int32_t last =
        first + r->rows_per_job < r->phase->height ? first + r->rows_per_job : r->phase->height;
    const float *in = r->in + (ptrdiff_t)image * s->in_blocks * s->in_height * s->in_width * lanes;
    float *out = r->out + (ptrdiff_t)image * s->out_blocks * s->out_height * s->out_width * lanes;
    float *patch = (float *)(void *)((char *)r->call->scratch + (size_t)thread * s->patch_bytes);
    for (int32_t panel = 0; 2 * panel < s->out_blocks; panel++) {
        for (int32_t row = first; row < last; row++) {
            run_row(r, in, out, row, panel, patch);
        }
    }
}

static squall_status run(const sq_call *call)
{
    const conv_state *s = call->state;
    conv_run r = {.state = s,
                  .call = call,
                  .in = call->step->in[0].data,
                  .out = call->step->out[0].data};
    for (int32_t i = 0; i < s->phase_count; i++) {
        r.phase = &s->phases[i];
        /* Bands high enough to reuse the weights, low enough that the threads finish together. */
        const int32_t share = r.phase->height * s->batch / (4 * sq_pool_threads(call->pool));
        r.rows_per_job = share < 1 ? 1 : share > ROWS_PER_JOB ? ROWS_PER_JOB : share;
        r.jobs_per_image = (r.phase->height + r.rows_per_job - 1) / r.rows_per_job;
        sq_pool_run(call->pool, run_job, &r, (size_t)r.jobs_per_image * (size_t)s->batch);
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ depthwise
 * Output channel k reads input channel k / m. A band of padded input, each block's channels laid
 * out as its outputs need them, is made in scratch; borders and multipliers cost nothing after
 * that. */

enum { BAND_ROWS = 8 };

typedef struct depth_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    sq_window window;
    int32_t multiplier, outputs, in_blocks, out_blocks, batch;
    size_t band_bytes; /* scratch of one thread */
    int32_t band_columns;
} depth_state;

static squall_status fill_depth(const sq_step *step, depth_state *s, squall_error *err)
{
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_window(step, &s->window, err));
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    s->batch = (int32_t)step->in[0].dims[0];
    s->outputs = (int32_t)step->out[0].dims[1];
    s->multiplier = s->outputs / (int32_t)step->in[0].dims[1];
    s->in_blocks = (int32_t)sq_cpu_blocks(&step->in[0]);
    s->out_blocks = (int32_t)sq_cpu_blocks(&step->out[0]);
    const sq_window *w = &s->window;
    s->band_columns =
        (int32_t)((w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1);
    const int64_t rows = (BAND_ROWS - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    s->band_bytes = sq_round_up((size_t)rows * (size_t)s->band_columns * (size_t)s->kernels->lanes *
                                    sizeof(float),
                                SQ_ALIGNMENT);
    return SQUALL_OK;
}

static size_t depth_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    depth_state state;
    const int64_t group = sq_attr_int(step->attrs, "group", 1);
    const squall_tensor *in = &step->in[0];
    if (in->dtype != SQUALL_F32 || in->rank != 4 || group == 1 || group != in->dims[1] ||
        step->out[0].dims[1] % group != 0 || in->dims[2] > 65536 || in->dims[3] > 65536 ||
        in->dims[0] < 1 || in->dims[2] < 1 || in->dims[3] < 1 || step->in[1].data == NULL) {
        return sq_cpu_refuse(why, "grouped convolutions are vectorised only when depthwise");
    }
    if (fill_depth(step, &state, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, "its window cannot be worked out");
    }
    sq_cpu_tactic(out, "conv_depthwise");
    out->in_layout[0] = (uint8_t)state.kernels->layout;
    out->out_layout[0] = (uint8_t)state.kernels->layout;
    out->in_dropped[1] = 1;
    out->in_dropped[2] = 1;
    out->packed_bytes = (size_t)(state.window.kernel[0] * state.window.kernel[1] + 1) *
                        (size_t)state.out_blocks * (size_t)state.kernels->lanes * sizeof(float);
    out->state_bytes = sizeof(depth_state);
    out->scratch_bytes = state.band_bytes * (size_t)threads;
    out->cost = 1e-10 * (double)sq_op_macs(step);
    return 1;
}

/* [block][tap][L], then the bias. */
static squall_status depth_pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                                squall_error *err)
{
    depth_state s;
    float *to = packed;
    (void)tactic;
    SQ_TRY(fill_depth(step, &s, err));
    const int32_t lanes = s.kernels->lanes;
    const int32_t taps = (int32_t)(s.window.kernel[0] * s.window.kernel[1]);
    const float *weights = step->in[1].data;
    for (int32_t b = 0; b < s.out_blocks; b++) {
        for (int32_t t = 0; t < taps; t++, to += lanes) {
            for (int32_t l = 0; l < lanes; l++) {
                const int32_t k = b * lanes + l;
                to[l] = k < s.outputs ? weights[k * taps + t] : 0.0f;
            }
        }
    }
    if (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE) {
        memcpy(to, step->in[2].data, (size_t)s.outputs * sizeof(float));
    }
    return SQUALL_OK;
}

static squall_status depth_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                void *state, squall_error *err)
{
    (void)tactic;
    (void)threads;
    return fill_depth(step, state, err);
}

/* One padded row of the band: the input channels that block `block` of the output needs. */
static void band_row(const depth_state *s, const float *image, int32_t block, int64_t row,
                     float *to)
{
    const sq_window *w = &s->window;
    const int64_t lanes = s->kernels->lanes, width = w->in[1];
    const ptrdiff_t plane = (ptrdiff_t)(w->in[0] * width) * lanes;
    if (row < 0 || row >= w->in[0]) {
        memset(to, 0, (size_t)(s->band_columns * lanes) * sizeof *to);
        return;
    }
    const int64_t before = w->pad_begin[1] < s->band_columns ? w->pad_begin[1] : s->band_columns;
    const int64_t left = s->band_columns - before, inside = left < width ? left : width;
    memset(to, 0, (size_t)(before * lanes) * sizeof *to);
    memset(to + (before + inside) * lanes, 0, (size_t)((left - inside) * lanes) * sizeof *to);
    to += before * lanes;
    /* Lanes that share a vector of input are moved together: with one output a channel all are,
     * with more the block's inputs lie in one vector or a few. */
    for (int64_t l = 0; l < lanes;) {
        const int64_t k = block * lanes + l, first = k / s->multiplier;
        const float *from = image + first / lanes * plane + row * width * lanes;
        int32_t lane[MAX_LANES] = {0};
        int64_t end = l;
        for (; end < lanes && (block * lanes + end) / s->multiplier / lanes == first / lanes;
             end++) {
            lane[end] = (int32_t)((block * lanes + end) / s->multiplier % lanes);
        }
        if (first / lanes >= s->in_blocks) { /* lanes without a channel */
            from = image;
        }
        if (l == 0 && end == lanes) {
            s->kernels->spread_row(from, lane, to, (int32_t)inside);
        } else {
            for (int64_t x = 0; x < inside; x++) {
                for (int64_t i = l; i < end; i++) {
                    to[x * lanes + i] = from[x * lanes + lane[i]];
                }
            }
        }
        l = end;
    }
}

static void depth_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const depth_state *s = call->state;
    const sq_window *w = &s->window;
    const int32_t lanes = s->kernels->lanes;
    const int32_t bands = (int32_t)((w->out[0] + BAND_ROWS - 1) / BAND_ROWS);
    const int32_t band = (int32_t)(index % (size_t)bands);
    const int32_t block = (int32_t)(index / (size_t)bands % (size_t)s->out_blocks);
    const int32_t n = (int32_t)(index / (size_t)bands / (size_t)s->out_blocks);
    const int64_t first = (int64_t)band * BAND_ROWS;
    const int64_t last = first + BAND_ROWS < w->out[0] ? first + BAND_ROWS : w->out[0];
    const int64_t rows =
        (last - first - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    const ptrdiff_t row_floats = (ptrdiff_t)s->band_columns * lanes;
    const int32_t taps = (int32_t)(w->kernel[0] * w->kernel[1]);
    const float *image = (const float *)call->step->in[0].data +
                         (ptrdiff_t)n * s->in_blocks * w->in[0] * w->in[1] * lanes;
    float *band_data = (float *)(void *)((char *)call->scratch + (size_t)thread * s->band_bytes);
    const float *weights = (const float *)call->packed + (ptrdiff_t)block * taps * lanes;
    const float *bias =
        (const float *)call->packed + ((ptrdiff_t)s->out_blocks * taps + block) * lanes;
    for (int64_t i = 0; i < rows; i++) {
        band_row(s, image, block, first * w->stride[0] - w->pad_begin[0] + i,
                 band_data + i * row_floats);
    }
    for (int64_t y = first; y < last; y++) {
        float *out = (float *)call->step->out[0].data +
                     (((ptrdiff_t)n * s->out_blocks + block) * w->out[0] + y) * w->out[1] * lanes;
        s->kernels->depthwise_row(band_data + (y - first) * w->stride[0] * row_floats,
                                  w->dilation[0] * row_floats, w->dilation[1] * lanes,
                                  w->stride[1] * lanes, weights, bias, (int32_t)w->kernel[0],
                                  (int32_t)w->kernel[1], out, (int32_t)w->out[1], &s->act);
    }
}

static squall_status depth_run(const sq_call *call)
{
    const depth_state *s = call->state;
    const size_t bands = (size_t)((s->window.out[0] + BAND_ROWS - 1) / BAND_ROWS);
    sq_pool_run(call->pool, depth_job, (void *)(uintptr_t)call,
                bands * (size_t)s->out_blocks * (size_t)s->batch);
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_conv[] = {
    {SQ_OP_Conv, tactics, pack, bind, run},
    {SQ_OP_Conv, depth_tactics, depth_pack, depth_bind, depth_run},
    {SQ_OP_ConvTranspose, tactics, pack, bind, run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
