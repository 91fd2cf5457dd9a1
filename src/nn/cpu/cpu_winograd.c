/* nn/cpu/cpu_winograd.c - 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): 36 products where
 * the direct sum takes 144.
 *
 * The output is cut into tiles of 4x4. A block of tiles is transformed to 36 points, each point is
 * a product of matrices (tiles x channels by channels x outputs), and the results are transformed
 * back, all while the block is in the cache: what is transformed never goes to main memory.
 *
 * There are two ways to share out the work:
 * - "conv_winograd": a job is a block of tiles with all outputs. Weights lie in the engine as they
 *   are multiplied, four times the size of what they were.
 * - "conv_winograd_lean": the threads transform the input together, then a job is a panel of
 *   outputs. Weights lie in the engine as 3x3 and are transformed anew in each run, a part at a
 * time that stays in the cache. It suits many channels on few tiles, where reading four times the
 *   weights would cost more than the work.
 *
 * How tiles are grouped changes no sum: each output is added up channel by channel, so results do
 * not depend on the number of threads. */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum {
    POINTS = 36,
    TILE = 4,         /* outputs of a tile, along a side */
    REACH = TILE + 2, /* inputs of a tile, along a side */
    MAX_LANES = 16,
    LEAN_TILES = 112,  /* of a block of the lean way */
    LEAN_CHANNELS = 64 /* whose weights are transformed at a time */
};

/* Distances between points are made odd multiples of a cache line, so that the 36 points of a tile
 * do not fall into the same few sets of the cache. */
enum { SKEW = 16 };

/* What weights, tiles and sums of one job may take of the second-level cache. */
static const size_t cache_bytes = (size_t)640 << 10;

typedef struct winograd_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    bool lean;
    int32_t channels, height, width, out_height, out_width, batch;
    int32_t in_blocks, out_blocks;
    int32_t pad_y, pad_x;
    int32_t tiles_x, tiles;   /* of an image */
    int32_t blocks, most;     /* blocks of tiles of an image; tiles of the largest */
    int32_t panels;           /* of two blocks of outputs */
    int32_t sub_panels;       /* whose sums are held at a time */
    size_t in_point, m_point; /* floats between points: of transformed input and of sums */
    size_t in_floats, m_floats, weight_floats; /* of one thread's parts of the scratch memory */
    size_t bias;                               /* offset in the packed constants, floats */
} winograd_state;

typedef struct winograd_run {
    const winograd_state *state;
    const sq_call *call;
    int32_t image, first, count; /* tiles, of the lean way */
} winograd_run;

static const float no_bias[2 * MAX_LANES];

static int32_t ceil_div(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

/* Floats up to the next odd multiple of SKEW. */
static size_t skew(size_t floats)
{
    const size_t lines = (floats + SKEW - 1) / SKEW;
    return (lines | 1u) * SKEW;
}

/* How many tiles a job takes. Weights come from beyond the second-level cache, so the more tiles
 * share them the better, as long as their transforms stay in it; with many channels they do not
 * anyway, and 168 tiles hide the reading. */
static int32_t block_tiles(const winograd_state *s)
{
    if (s->lean) {
        return LEAN_TILES;
    }
    const size_t lanes = (size_t)s->kernels->lanes;
    const size_t per_tile =
        POINTS * sizeof(float) * lanes * ((size_t)s->in_blocks + 2 * (size_t)s->sub_panels);
    const size_t fit = cache_bytes / per_tile;
    return fit < 28 ? (s->channels > 192 ? 84 : 28) : fit > 168 ? 168 : (int32_t)fit;
}

static void share_tiles(winograd_state *s, int threads)
{
    const int32_t tile_count = s->tiles;
    s->blocks = ceil_div(tile_count, block_tiles(s));
    /* The threads shall finish together. */
    if (!s->lean && threads > 1 && s->batch == 1 && s->blocks < 8 * threads) {
        s->blocks = ceil_div(s->blocks, threads) * threads;
    }
    s->blocks = s->blocks < tile_count ? s->blocks : tile_count;
    s->most = ceil_div(tile_count, s->blocks);
}

static squall_status fill_state(const sq_step *step, bool lean, int threads, winograd_state *s,
                                squall_error *err)
{
    sq_window w;
    SQ_TRY(sq_op_window(step, &w, err));
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    s->lean = lean;
    const int32_t lanes = s->kernels->lanes;
    s->batch = (int32_t)step->in[0].dims[0];
    s->channels = (int32_t)step->in[0].dims[1];
    s->height = (int32_t)w.in[0];
    s->width = (int32_t)w.in[1];
    s->out_height = (int32_t)w.out[0];
    s->out_width = (int32_t)w.out[1];
    s->pad_y = (int32_t)w.pad_begin[0];
    s->pad_x = (int32_t)w.pad_begin[1];
    s->in_blocks = ceil_div(s->channels, lanes);
    s->out_blocks = ceil_div((int32_t)step->out[0].dims[1], lanes);
    s->panels = ceil_div(s->out_blocks, 2);
    s->sub_panels = lean ? 1 : s->channels > 192 ? (s->panels < 4 ? s->panels : 4) : 1;
    s->tiles_x = ceil_div(s->out_width, TILE);
    s->tiles = s->tiles_x * ceil_div(s->out_height, TILE);
    share_tiles(s, threads);
    const size_t cell = (size_t)lanes;
    s->in_point = skew((size_t)s->in_blocks * (size_t)s->most * cell);
    s->m_point = skew(2 * (size_t)s->sub_panels * (size_t)s->most * cell);
    s->in_floats = POINTS * s->in_point;
    s->m_floats = POINTS * s->m_point;
    s->weight_floats = lean ? (size_t)POINTS * LEAN_CHANNELS * 2 * cell : 0;
    s->bias = (lean ? 9u : (size_t)POINTS) * (size_t)s->channels * (size_t)s->out_blocks * cell;
    return SQUALL_OK;
}

static size_t scratch_floats(const winograd_state *s, int threads)
{
    const size_t own = s->m_floats + s->weight_floats;
    return s->lean ? s->in_floats + own * (size_t)threads : (s->in_floats + own) * (size_t)threads;
}

static const char *why_not(const sq_step *step, sq_window *w)
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
    if (in->rank != 4 || sq_op_window(step, w, NULL) != SQUALL_OK || w->kernel[0] != 3 ||
        w->kernel[1] != 3 || w->stride[0] != 1 || w->stride[1] != 1 || w->dilation[0] != 1 ||
        w->dilation[1] != 1 || w->group != 1) {
        return "Winograd's way is for 3x3 with a stride of 1 and one group";
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (in->dims[i] < 1 || in->dims[i] > 65536 || step->out[0].dims[i] < 1 ||
            step->out[0].dims[i] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    return NULL;
}

/* Rough seconds of one thread: products at four fifths of 128 flops a nanosecond, transforms by
 * vectors of what they touch, weights read from beyond the cache. */
static double cost_of(const winograd_state *s)
{
    const double tiles = (double)s->tiles * (double)s->batch;
    const double channels = (double)s->channels,
                 outputs = (double)s->out_blocks * s->kernels->lanes;
    const double flops = 2.0 * POINTS * tiles * channels * outputs;
    const double in = tiles * (double)s->in_blocks, out = tiles * (double)s->out_blocks;
    const double transforms =
        s->lean ? 60e-9 * channels * (double)s->out_blocks * (double)s->blocks * (double)s->batch
                : 0.0;
    const double read = s->lean ? 0.0 : 4.0 * POINTS * channels * outputs / 2e10;
    return flops / 2e11 + 60e-9 * in + 50e-9 * out + transforms + read;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    sq_window w;
    const char *problem = why_not(step, &w);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    for (int lean = 0; lean < 2; lean++) {
        winograd_state s;
        if (fill_state(step, lean != 0, threads, &s, NULL) != SQUALL_OK) {
            return sq_cpu_refuse(why, "its window cannot be worked out");
        }
        sq_tactic *t = &out[lean];
        sq_cpu_tactic(t, lean ? "conv_winograd_lean" : "conv_winograd");
        t->in_layout[0] = (uint8_t)s.kernels->layout;
        t->out_layout[0] = (uint8_t)s.kernels->layout;
        t->in_dropped[1] = 1;
        t->in_dropped[2] = 1;
        t->packed_bytes =
            (s.bias + (size_t)s.out_blocks * (size_t)s.kernels->lanes) * sizeof(float);
        t->state_bytes = sizeof s;
        t->scratch_bytes = scratch_floats(&s, threads) * sizeof(float);
        t->cost = cost_of(&s);
    }
    return 2;
}

static bool is_lean(const sq_tactic *tactic)
{
    return strstr(tactic->name, "_lean_") != NULL;
}

/* The 36 points of one 3x3 kernel, in double. */
static void transform_kernel(const float *kernel, double *to)
{
    static const double g[6][3] = {{1, 0, 0},
                                   {1 / 3.0, 1 / 3.0, 1 / 3.0},
                                   {-1 / 3.0, 1 / 3.0, -1 / 3.0},
                                   {-16 / 15.0, -8 / 15.0, -4 / 15.0},
                                   {1 / 15.0, -2 / 15.0, 4 / 15.0},
                                   {0, 0, 1}};
    double half[6][3];
    for (int i = 0; i < 6; i++) {
        for (int x = 0; x < 3; x++) {
            half[i][x] = g[i][0] * (double)kernel[x] + g[i][1] * (double)kernel[3 + x] +
                         g[i][2] * (double)kernel[6 + x];
        }
    }
    for (int i = 0; i < POINTS; i++) {
        const double *row = half[i / 6];
        to[i] = row[0] * g[i % 6][0] + row[1] * g[i % 6][1] + row[2] * g[i % 6][2];
    }
}

/* Points: [point][panel][channel][panel's outputs]; lean: [panel][channel][tap][panel's outputs].
 * The bias comes last. */
static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    winograd_state s;
    float *to = packed;
    SQ_TRY(fill_state(step, is_lean(tactic), 1, &s, err));
    const int32_t lanes = s.kernels->lanes, outputs = (int32_t)step->out[0].dims[1];
    const float *weights = step->in[1].data;
    const size_t point = (size_t)s.channels * (size_t)s.out_blocks * (size_t)lanes;
    for (int32_t k = 0; k < outputs; k++) {
        const int32_t panel = k / (2 * lanes), in_panel = k % (2 * lanes);
        const int32_t width = (s.out_blocks - 2 * panel > 1 ? 2 : 1) * lanes;
        const size_t start = (size_t)panel * 2 * (size_t)lanes * (size_t)s.channels;
        for (int32_t c = 0; c < s.channels; c++) {
            const float *kernel = weights + ((size_t)k * (size_t)s.channels + (size_t)c) * 9;
            double points[POINTS];
            if (s.lean) {
                for (int32_t t = 0; t < 9; t++) {
                    to[9 * start + (size_t)((c * 9 + t) * width + in_panel)] = kernel[t];
                }
                continue;
            }
            transform_kernel(kernel, points);
            for (int32_t p = 0; p < POINTS; p++) {
                to[(size_t)p * point + start + (size_t)(c * width + in_panel)] = (float)points[p];
            }
        }
    }
    if (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE) {
        memcpy(to + s.bias, step->in[2].data, (size_t)outputs * sizeof(float));
    }
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    return fill_state(step, is_lean(tactic), threads, state, err);
}

/* ------------------------------------------------------------------ to the points */

/* The 6x6 cells of one tile with zeros where they lie outside. */
static void make_patch(const winograd_state *s, const float *plane, int32_t y, int32_t x,
                       float *patch)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    for (int32_t j = 0; j < REACH; j++) {
        for (int32_t i = 0; i < REACH; i++, patch += lanes) {
            const int32_t row = y + j, column = x + i;
            if (row < 0 || row >= s->height || column < 0 || column >= s->width) {
                memset(patch, 0, lanes * sizeof *patch);
                continue;
            }
            memcpy(patch, plane + ((size_t)row * (size_t)s->width + (size_t)column) * lanes,
                   lanes * sizeof *patch);
        }
    }
}

/* Tiles first..first+count-1 of one block of channels; `to` is the first tile's point 0. */
static void transform_input(const winograd_state *s, const float *plane, int32_t first,
                            int32_t count, float *to)
{
    _Alignas(64) float patch[POINTS * MAX_LANES];
    const int32_t lanes = s->kernels->lanes;
    sq_winograd_input run = {.out_point = (ptrdiff_t)s->in_point, .in_tile = TILE * lanes};
    for (int32_t t = first; t < first + count; t += run.tiles) {
        const int32_t column = t % s->tiles_x;
        const int32_t y = t / s->tiles_x * TILE - s->pad_y, x = column * TILE - s->pad_x;
        const bool inside = y >= 0 && y + REACH <= s->height && x >= 0 && x + REACH <= s->width;
        const ptrdiff_t row = inside ? (ptrdiff_t)s->width * lanes : REACH * lanes;
        for (int i = 0; i < REACH; i++) {
            run.row[i] = i * row;
            run.column[i] = (ptrdiff_t)i * lanes;
        }
        run.out = to + (ptrdiff_t)(t - first) * lanes;
        run.tiles = 1;
        if (inside) {
            const int32_t fit = (s->width - REACH - x) / TILE + 1; /* tiles wholly inside */
            const int32_t left = first + count - t, in_row = s->tiles_x - column;
            run.tiles = fit < left ? fit : left;
            run.tiles = run.tiles < in_row ? run.tiles : in_row;
            run.in = plane + ((ptrdiff_t)y * s->width + x) * lanes;
        } else {
            make_patch(s, plane, y, x, patch);
            run.in = patch;
        }
        s->kernels->winograd_input(&run);
    }
}

/* ------------------------------------------------------------------ and back */

/* Tiles first..first+count-1 of one block of outputs; `from` is the first tile's point 0. */
static void transform_output(const winograd_state *s, const float *from, const float *bias,
                             float *plane, int32_t first, int32_t count)
{
    const int32_t lanes = s->kernels->lanes;
    sq_winograd_output run = {.in_point = (ptrdiff_t)s->m_point,
                              .bias = bias,
                              .out_tile = TILE * lanes,
                              .out_row = (ptrdiff_t)s->out_width * lanes,
                              .out_pixel = lanes,
                              .act = s->act};
    for (int32_t t = first; t < first + count; t += run.tiles) {
        const int32_t column = t % s->tiles_x;
        const int32_t y = t / s->tiles_x * TILE, x = column * TILE;
        const int32_t whole = s->out_width / TILE - column; /* tiles of full width from here on */
        const int32_t left = first + count - t;
        run.height = s->out_height - y < TILE ? s->out_height - y : TILE;
        run.width = whole > 0 ? TILE : s->out_width - x;
        run.tiles = whole < 1 ? 1 : whole < left ? whole : left;
        run.in = from + (ptrdiff_t)(t - first) * lanes;
        run.out = plane + ((ptrdiff_t)y * s->out_width + x) * lanes;
        s->kernels->winograd_output(&run);
    }
}

/* ------------------------------------------------------------------ the products */

/* One point's product for one panel of outputs: sums [blocks][most][L] from the tiles of `channels`
 * channels. */
static void multiply(const winograd_state *s, const float *in, const float *weights,
                     int32_t channels, int32_t blocks, int32_t count, bool accumulate, float *sums)
{
    const int32_t lanes = s->kernels->lanes;
    const int32_t parts = ceil_div(count, s->kernels->max_pixels);
    sq_conv_tile tile = {.in_plane = (ptrdiff_t)s->most * lanes,
                         .weights = weights,
                         .bias = no_bias,
                         .channels = channels,
                         .taps_y = 1,
                         .taps_x = 1,
                         .out_plane = (ptrdiff_t)s->most * lanes,
                         .out_pixel = lanes,
                         .accumulate = accumulate};
    for (int32_t i = 0; i < parts; i++) {
        const int32_t from = count * i / parts, to = count * (i + 1) / parts;
        tile.in = in + (ptrdiff_t)from * lanes;
        tile.out = sums + (ptrdiff_t)from * lanes;
        s->kernels->conv_tile[blocks - 1][0][to - from](&tile);
    }
}

static int32_t panel_blocks(const winograd_state *s, int32_t panel)
{
    return s->out_blocks - 2 * panel > 1 ? 2 : 1;
}

static const float *in_plane(const winograd_state *s, const sq_call *call, int32_t image,
                             int32_t block)
{
    const size_t plane = (size_t)s->height * (size_t)s->width * (size_t)s->kernels->lanes;
    return (const float *)call->step->in[0].data +
           ((size_t)image * (size_t)s->in_blocks + (size_t)block) * plane;
}

/* Sums of panels first..last-1 go back into the image. */
static void finish_panels(const winograd_state *s, const sq_call *call, int32_t image,
                          int32_t first_panel, int32_t last_panel, const float *sums, int32_t first,
                          int32_t count)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    const size_t plane = (size_t)s->out_height * (size_t)s->out_width * lanes;
    const int32_t end = 2 * last_panel < s->out_blocks ? 2 * last_panel : s->out_blocks;
    for (int32_t b = 2 * first_panel; b < end; b++, sums += (size_t)s->most * lanes) {
        transform_output(s, sums, (const float *)call->packed + s->bias + (size_t)b * lanes,
                         (float *)call->step->out[0].data +
                             ((size_t)image * (size_t)s->out_blocks + (size_t)b) * plane,
                         first, count);
    }
}

/* A block of tiles, all outputs. */
static void block_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const winograd_state *s = call->state;
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t image = (int32_t)(index / (size_t)s->blocks);
    const int64_t block = (int64_t)(index % (size_t)s->blocks);
    const int32_t first = (int32_t)(s->tiles * block / s->blocks);
    const int32_t count = (int32_t)(s->tiles * (block + 1) / s->blocks) - first;
    float *in = (float *)call->scratch + (s->in_floats + s->m_floats) * (size_t)thread;
    float *sums = in + s->in_floats;
    const size_t point = (size_t)s->channels * (size_t)s->out_blocks * lanes;
    for (int32_t b = 0; b < s->in_blocks; b++) {
        transform_input(s, in_plane(s, call, image, b), first, count,
                        in + (size_t)b * (size_t)s->most * lanes);
    }
    for (int32_t p0 = 0; p0 < s->panels; p0 += s->sub_panels) {
        const int32_t p1 = p0 + s->sub_panels < s->panels ? p0 + s->sub_panels : s->panels;
        for (size_t i = 0; i < POINTS; i++) {
            for (int32_t p = p0; p < p1; p++) {
                multiply(s, in + i * s->in_point,
                         (const float *)call->packed + i * point +
                             (size_t)(2 * p) * lanes * (size_t)s->channels,
                         s->channels, panel_blocks(s, p), count, false,
                         sums + i * s->m_point + (size_t)(2 * (p - p0)) * (size_t)s->most * lanes);
            }
        }
        finish_panels(s, call, image, p0, p1, sums, first, count);
    }
}

static squall_status run(const sq_call *call)
{
    const winograd_state *s = call->state;
    sq_pool_run(call->pool, block_job, (void *)(uintptr_t)call,
                (size_t)s->blocks * (size_t)s->batch);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ the lean way */

/* One block of channels of the tiles in hand. */
static void lean_input_job(void *arg, size_t index, int thread)
{
    const winograd_run *r = arg;
    const winograd_state *s = r->state;
    (void)thread;
    transform_input(s, in_plane(s, r->call, r->image, (int32_t)index), r->first, r->count,
                    (float *)r->call->scratch +
                        index * (size_t)s->most * (size_t)s->kernels->lanes);
}

/* One panel of outputs of the tiles in hand. */
static void lean_panel_job(void *arg, size_t index, int thread)
{
    const winograd_run *r = arg;
    const winograd_state *s = r->state;
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t panel = (int32_t)index, blocks = panel_blocks(s, panel);
    const size_t width = (size_t)blocks * lanes, point = LEAN_CHANNELS * width;
    const float *in = r->call->scratch;
    float *points = (float *)r->call->scratch + s->in_floats +
                    (s->m_floats + s->weight_floats) * (size_t)thread;
    float *sums = points + s->weight_floats;
    const float *weights =
        (const float *)r->call->packed + index * 2 * lanes * (size_t)s->channels * 9;
    for (int32_t c = 0; c < s->channels; c += LEAN_CHANNELS) {
        const int32_t left = s->channels - c, part = left < LEAN_CHANNELS ? left : LEAN_CHANNELS;
        s->kernels->winograd_weights(weights + (size_t)c * 9 * width, part, blocks, points,
                                     (ptrdiff_t)point);
        for (size_t i = 0; i < POINTS; i++) {
            multiply(s, in + i * s->in_point + (size_t)c * (size_t)s->most, points + i * point,
                     part, blocks, r->count, c > 0, sums + i * s->m_point);
        }
    }
    finish_panels(s, r->call, r->image, panel, panel + 1, sums, r->first, r->count);
}

static squall_status run_lean(const sq_call *call)
{
    const winograd_state *s = call->state;
    winograd_run r = {.state = s, .call = call};
    for (r.image = 0; r.image < s->batch; r.image++) {
        for (int32_t b = 0; b < s->blocks; b++) {
            r.first = (int32_t)((int64_t)s->tiles * b / s->blocks);
            r.count = (int32_t)((int64_t)s->tiles * (b + 1) / s->blocks) - r.first;
            sq_pool_run(call->pool, lean_input_job, &r, (size_t)s->in_blocks);
            sq_pool_run(call->pool, lean_panel_job, &r, (size_t)s->panels);
        }
    }
    return SQUALL_OK;
}

static squall_status run_either(const sq_call *call)
{
    const winograd_state *s = call->state;
    return s->lean ? run_lean(call) : run(call);
}

const sq_cpu_driver sq_cpu_drivers_winograd[] = {
    {SQ_OP_Conv, tactics, pack, bind, run_either},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
