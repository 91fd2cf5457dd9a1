/* nn/cpu/cpu_winograd.c - 3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3), 36 products where
 * the direct sum takes 144, and F(6x6, 3x3), 64 for 324; and transposed ones of stride 2, as four
 * of them over the same input.
 *
 * The output is cut into tiles of 4x4 or 6x6. A block of tiles is transformed to its points, each
 * is a product of matrices (tiles x channels by channels x outputs), and the results are
 * transformed back, all while the block is in the cache: what is transformed never goes to main
 * memory. Where the input is joined of several tensors, or enlarged, the transform reads those as
 * they are.
 *
 * There are two ways to share out the work:
 * - "conv_winograd" and "conv_winograd6": a job is a block of tiles with all outputs. Weights lie
 * in the engine as they are multiplied, four or seven times the size of what they were.
 * - "conv_winograd_lean": the threads transform the input together, then a job is a panel of
 *   outputs. Weights lie in the engine as 3x3 and are transformed anew in each run, a part at a
 *   time that stays in the cache. It suits many channels on few tiles, where reading four times the
 *   weights would cost more than the work.
 *
 * How tiles are grouped changes no sum: each output is added up channel by channel, so results do
 * not depend on the number of threads. */
#include "nn/cpu/cpu_winograd.h"

#include <string.h>

enum { LEAN_CHANNELS = SQ_WINOGRAD_LEAN_CHANNELS, MAX_LANES = 16 };

typedef struct winograd_run {
    const sq_winograd *state;
    const sq_call *call;
    int32_t image, first, count; /* tiles, of the lean way */
} winograd_run;

static const char *const way_names[SQ_WINOGRAD_WAYS] = {"conv_winograd", "conv_winograd_lean",
                                                        "conv_winograd6"};

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const char *problem = sq_winograd_problem(step);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    size_t count = 0;
    for (int way = 0; way < SQ_WINOGRAD_WAYS; way++) {
        sq_winograd s;
        if (way == SQ_WINOGRAD_4_LEAN && step->op == SQ_OP_ConvTranspose) {
            continue;
        }
        if (sq_winograd_fill(step, (sq_winograd_way)way, threads, &s, NULL) != SQUALL_OK) {
            return sq_cpu_refuse(why, "its window cannot be worked out");
        }
        sq_tactic *t = &out[count++];
        sq_cpu_tactic(t, way_names[way]);
        for (int32_t i = 0; i < s.source_count; i++) {
            t->in_layout[s.sources[i].input] = (uint8_t)s.kernels->layout;
        }
        t->out_layout[0] = (uint8_t)s.kernels->layout;
        t->in_dropped[1] = 1;
        t->in_dropped[2] = 1;
        t->packed_bytes =
            (s.bias + (size_t)s.out_blocks * (size_t)s.kernels->lanes) * sizeof(float);
        t->state_bytes = sizeof s;
        t->scratch_bytes = sq_winograd_scratch_floats(&s, threads) * sizeof(float);
        t->cost = sq_winograd_cost(&s);
    }
    return count;
}

static sq_winograd_way way_of(const sq_tactic *tactic)
{
    return strstr(tactic->name, "_lean_") != NULL      ? SQ_WINOGRAD_4_LEAN
           : strstr(tactic->name, "winograd6") != NULL ? SQ_WINOGRAD_6
                                                       : SQ_WINOGRAD_4;
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    sq_winograd s;
    SQ_TRY(sq_winograd_fill(step, way_of(tactic), 1, &s, err));
    sq_winograd_pack(step, &s, packed);
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    return sq_winograd_fill(step, way_of(tactic), threads, state, err);
}

/* ------------------------------------------------------------------ to the points */

/* Where a block of channels of an image lies, and how. */
typedef struct in_block {
    const float *plane;
    int32_t width, shift; /* of the plane; cells stand for (1 << shift) squared */
} in_block;

static in_block find_block(const sq_winograd *s, const sq_call *call, int32_t image, int32_t block)
{
    const sq_winograd_source *source = &s->sources[0];
    while (block >= source->first + source->blocks) {
        source++;
    }
    const size_t plane = (size_t)source->height * (size_t)source->width * (size_t)s->kernels->lanes;
    return (
        in_block){(const float *)call->step->in[source->input].data +
                      ((size_t)image * (size_t)source->blocks + (size_t)(block - source->first)) *
                          plane,
                  source->width, source->shift};
}

/* The cells of one tile with zeros where they lie outside. */
static void make_patch(const sq_winograd *s, in_block in, int32_t y, int32_t x, float *patch)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    for (int32_t j = 0; j < s->reach; j++) {
        for (int32_t i = 0; i < s->reach; i++, patch += lanes) {
            const int32_t row = y + j, column = x + i;
            if (row < 0 || row >= s->height || column < 0 || column >= s->width) {
                memset(patch, 0, lanes * sizeof *patch);
                continue;
            }
            const size_t at =
                (size_t)(row >> in.shift) * (size_t)in.width + (size_t)(column >> in.shift);
            memcpy(patch, in.plane + at * lanes, lanes * sizeof *patch);
        }
    }
}

/* Tiles first..first+count-1 of one block of channels; `to` is the first tile's point 0. */
static void transform_input(const sq_winograd *s, in_block in, int32_t first, int32_t count,
                            float *to)
{
    _Alignas(64) float patch[SQ_WINOGRAD_POINTS * MAX_LANES];
    const int32_t lanes = s->kernels->lanes, tile = s->tile, reach = s->reach;
    sq_winograd_input run = {.out_point = (ptrdiff_t)s->in_point,
                             .in_tile = (tile >> in.shift) * lanes};
    for (int32_t t = first; t < first + count; t += run.tiles) {
        const int32_t column = t % s->tiles_x;
        const int32_t y = t / s->tiles_x * tile - s->pad_y, x = column * tile - s->pad_x;
        const bool inside = y >= 0 && y + reach <= s->height && x >= 0 && x + reach <= s->width;
        for (int i = 0; i < reach; i++) {
            run.row[i] = inside ? (ptrdiff_t)((y + i) >> in.shift) * in.width * lanes
                                : (ptrdiff_t)i * reach * lanes;
            run.column[i] =
                inside ? (ptrdiff_t)((x + i) >> in.shift) * lanes : (ptrdiff_t)i * lanes;
        }
        run.out = to + (ptrdiff_t)(t - first) * lanes;
        run.tiles = 1;
        if (inside) {
            const int32_t fit = (s->width - reach - x) / tile + 1; /* tiles wholly inside */
            const int32_t left = first + count - t, in_row = s->tiles_x - column;
            run.tiles = fit < left ? fit : left;
            run.tiles = run.tiles < in_row ? run.tiles : in_row;
            run.in = in.plane;
        } else {
            make_patch(s, in, y, x, patch);
            run.in = patch;
        }
        s->kernels->winograd_input[tile == 6](&run);
    }
}

/* ------------------------------------------------------------------ and back */

/* Tiles first..first+count-1 of one block of outputs; `from` is the first tile's point 0. */
static void transform_output(const sq_winograd *s, const sq_winograd_phase *p, const float *from,
                             const float *bias, float *plane, int32_t first, int32_t count)
{
    const int32_t lanes = s->kernels->lanes, tile = s->tile;
    sq_winograd_output run = {.in_point = (ptrdiff_t)s->m_point,
                              .bias = bias,
                              .out_tile = (ptrdiff_t)tile * s->step * lanes,
                              .out_row = (ptrdiff_t)s->step * s->out_width * lanes,
                              .out_pixel = (ptrdiff_t)s->step * lanes,
                              .act = s->act};
    plane += ((ptrdiff_t)p->out_y * s->out_width + p->out_x) * lanes;
    for (int32_t t = first; t < first + count; t += run.tiles) {
        const int32_t column = t % s->tiles_x;
        const int32_t y = t / s->tiles_x * tile, x = column * tile;
        const int32_t whole = p->width / tile - column; /* tiles of full width from here on */
        const int32_t left = first + count - t;
        run.tiles = whole < 1 ? 1 : whole < left ? whole : left;
        if (y >= p->height || x >= p->width) {
            continue; /* a phase may lack the last row or column that the first has */
        }
        run.height = p->height - y < tile ? p->height - y : tile;
        run.width = whole > 0 ? tile : p->width - x;
        run.in = from + (ptrdiff_t)(t - first) * lanes;
        run.out = plane + (ptrdiff_t)y * run.out_row + (ptrdiff_t)x * run.out_pixel;
        s->kernels->winograd_output[tile == 6](&run);
    }
}

/* ------------------------------------------------------------------ the products */

/* One point's product for one panel of outputs: sums [blocks][most][L] from the tiles of `channels`
 * channels. */
static void multiply(const sq_winograd *s, const float *in, const float *weights, int32_t channels,
                     int32_t blocks, int32_t count, bool accumulate, float *sums)
{
    const int32_t lanes = s->kernels->lanes;
    const int32_t max = s->kernels->max_tiles[blocks - 1], parts = (count + max - 1) / max;
    sq_winograd_product product = {.in_plane = (ptrdiff_t)s->most * lanes,
                                   .weights = weights,
                                   .channels = channels,
                                   .out_plane = (ptrdiff_t)s->most * lanes,
                                   .accumulate = accumulate};
    for (int32_t i = 0; i < parts; i++) {
        const int32_t from = count * i / parts, to = count * (i + 1) / parts;
        product.in = in + (ptrdiff_t)from * lanes;
        product.out = sums + (ptrdiff_t)from * lanes;
        s->kernels->winograd_product[blocks - 1][to - from](&product);
    }
}

/* Sums of panels first..last-1 go back into the image. */
static void finish_panels(const sq_winograd *s, const sq_call *call, int32_t image,
                          int32_t first_panel, int32_t last_panel, const float *sums, int32_t first,
                          int32_t count)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    const size_t plane = (size_t)s->out_height * (size_t)s->out_width * lanes;
    float *out = (float *)call->step->out[0].data + (size_t)image * (size_t)s->out_blocks * plane;
    const float *bias = (const float *)call->packed + s->bias;
    for (int32_t p = first_panel; p < last_panel; p++) {
        const float *from = sums + (size_t)(2 * (p - first_panel)) * (size_t)s->most * lanes;
        const size_t block = 2 * (size_t)(p % s->phase_panels);
        for (size_t b = block; b < block + (size_t)sq_winograd_panel_blocks(s, p); b++) {
            transform_output(s, &s->phases[p / s->phase_panels], from, bias + b * lanes,
                             out + b * plane, first, count);
            from += (size_t)s->most * lanes;
        }
    }
}

/* One point of one panel of a block of tiles. */
static void multiply_point(const sq_winograd *s, const sq_call *call, int32_t panel, size_t point,
                           const float *in, int32_t count, float *sums)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t blocks = sq_winograd_panel_blocks(s, panel);
    if (!s->phases[panel / s->phase_panels].zero[point]) {
        multiply(s, in + point * s->in_point,
                 (const float *)call->packed + point * s->point + sq_winograd_panel_start(s, panel),
                 s->channels, blocks, count, false, sums + point * s->m_point);
        return;
    }
    for (size_t b = 0; b < (size_t)blocks; b++) {
        memset(sums + point * s->m_point + b * (size_t)s->most * lanes, 0,
               (size_t)count * lanes * sizeof *sums);
    }
}

/* A block of tiles, all outputs. */
static void block_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const sq_winograd *s = call->state;
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t image = (int32_t)(index / (size_t)s->blocks);
    const int64_t block = (int64_t)(index % (size_t)s->blocks);
    const int32_t first = (int32_t)(s->tiles * block / s->blocks);
    const int32_t count = (int32_t)(s->tiles * (block + 1) / s->blocks) - first;
    float *in = (float *)call->scratch + (s->in_floats + s->m_floats) * (size_t)thread;
    float *sums = in + s->in_floats;
    for (int32_t b = 0; b < s->in_blocks; b++) {
        transform_input(s, find_block(s, call, image, b), first, count,
                        in + (size_t)b * (size_t)s->most * lanes);
    }
    for (int32_t p0 = 0; p0 < s->panels; p0 += s->sub_panels) {
        const int32_t p1 = p0 + s->sub_panels < s->panels ? p0 + s->sub_panels : s->panels;
        for (size_t i = 0; i < (size_t)s->points; i++) {
            for (int32_t p = p0; p < p1; p++) {
                multiply_point(s, call, p, i, in, count,
                               sums + (size_t)(2 * (p - p0)) * (size_t)s->most * lanes);
            }
        }
        finish_panels(s, call, image, p0, p1, sums, first, count);
    }
}

static squall_status run(const sq_call *call)
{
    const sq_winograd *s = call->state;
    sq_pool_run(call->pool, block_job, (void *)(uintptr_t)call,
                (size_t)s->blocks * (size_t)s->batch);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ the lean way */

/* One block of channels of the tiles in hand. */
static void lean_input_job(void *arg, size_t index, int thread)
{
    const winograd_run *r = arg;
    const sq_winograd *s = r->state;
    (void)thread;
    transform_input(s, find_block(s, r->call, r->image, (int32_t)index), r->first, r->count,
                    (float *)r->call->scratch +
                        index * (size_t)s->most * (size_t)s->kernels->lanes);
}

/* One panel of outputs of the tiles in hand. */
static void lean_panel_job(void *arg, size_t index, int thread)
{
    const winograd_run *r = arg;
    const sq_winograd *s = r->state;
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t panel = (int32_t)index, blocks = sq_winograd_panel_blocks(s, panel);
    const size_t width = (size_t)blocks * lanes, point = s->lean_point;
    const float *in = r->call->scratch;
    float *points = (float *)r->call->scratch + s->in_floats +
                    (s->m_floats + s->weight_floats) * (size_t)thread;
    float *sums = points + s->weight_floats;
    const float *weights =
        (const float *)r->call->packed + index * 2 * lanes * (size_t)s->channels * 9;
    for (int32_t c = 0; c < s->channels; c += LEAN_CHANNELS) {
        const int32_t left = s->channels - c, part = left < LEAN_CHANNELS ? left : LEAN_CHANNELS;
        /* The next part of the weights comes from memory while this one is multiplied. */
        const ptrdiff_t ahead = left >= 2 * LEAN_CHANNELS ? (ptrdiff_t)(9 * width) * part : 0;
        s->kernels->winograd_weights(weights + (size_t)c * 9 * width, part, blocks, ahead, points,
                                     (ptrdiff_t)point);
        for (size_t i = 0; i < (size_t)s->points; i++) {
            multiply(s, in + i * s->in_point + (size_t)c * (size_t)s->most, points + i * point,
                     part, blocks, r->count, c > 0, sums + i * s->m_point);
        }
    }
    finish_panels(s, r->call, r->image, panel, panel + 1, sums, r->first, r->count);
}

static squall_status run_lean(const sq_call *call)
{
    const sq_winograd *s = call->state;
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
    const sq_winograd *s = call->state;
    return s->lean ? run_lean(call) : run(call);
}

const sq_cpu_driver sq_cpu_drivers_winograd[] = {
    {SQ_OP_Conv, tactics, pack, bind, run_either},
    {SQ_OP_ConvTranspose, tactics, pack, bind, run_either},
    {SQ_OP_SqConvJoin, tactics, pack, bind, run_either},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
