/* nn/cpu/cpu_winograd_plan.c - Winograd's convolutions: which steps they take, how their work is
 * cut, and their weights as they are multiplied. */
#include "nn/cpu/cpu_winograd.h"

#include <string.h>

enum { LEAN_TILES = 112 };
enum { MANY_KERNELS = 1 << 16 }; /* to pack: they are worth threads */

/* Distances between points are made odd multiples of a cache line, so that the points of a tile
 * do not fall into the same few sets of the cache. */
enum { SKEW = 16 };

/* What weights, tiles and sums of one job may take of the second-level cache. */
static const size_t cache_bytes = (size_t)640 << 10;

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
static int32_t block_tiles(const sq_winograd *s)
{
    if (s->lean) {
        return LEAN_TILES;
    }
    const size_t lanes = (size_t)s->kernels->lanes;
    const size_t per_tile = (size_t)s->points * sizeof(float) * lanes *
                            ((size_t)s->in_blocks + 2 * (size_t)s->sub_panels);
    const size_t fit = cache_bytes / per_tile;
    const int32_t beyond = s->channels <= 192 ? 28 : s->tile == 6 ? 42 : 84;
    return fit < 28 ? beyond : fit > 168 ? 168 : (int32_t)fit;
}

static void share_tiles(sq_winograd *s, int threads)
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

/* Phases, as in cpu_conv.c: taps of a transposed convolution walk the input backwards. */
static void fill_phases(const sq_step *step, const sq_window *w, sq_winograd *s)
{
    const bool transposed = step->op == SQ_OP_ConvTranspose;
    s->step = transposed ? 2 : 1;
    for (int32_t i = 0; i < s->step * s->step; i++) {
        sq_winograd_phase *p = &s->phases[s->phase_count++];
        int32_t taps[2] = {3, 3}, first[2] = {0, 0}, kernel[2] = {0, 0};
        const int32_t at[2] = {i / s->step, i % s->step};
        for (int d = 0; transposed && d < 2; d++) {
            const int32_t from = at[d] + (int32_t)w->pad_begin[d];
            kernel[d] = from % 2;
            taps[d] = ((int32_t)w->kernel[d] - kernel[d] + 1) / 2;
            first[d] = from / 2 - (taps[d] - 1) + 1;
        }
        *p = (sq_winograd_phase){.out_y = at[0],
                                 .out_x = at[1],
                                 .height = ceil_div(s->out_height - at[0], s->step),
                                 .width = ceil_div(s->out_width - at[1], s->step),
                                 .taps_y = taps[0],
                                 .taps_x = taps[1],
                                 .first_y = first[0],
                                 .first_x = first[1],
                                 .kernel_y = kernel[0],
                                 .kernel_x = kernel[1]};
        /* The first point is the first tap alone, the last point the last. */
        for (int32_t k = 0; k < s->points; k++) {
            const int32_t last = s->reach - 1, y = k / s->reach, x = k % s->reach;
            p->zero[k] = (y == 0 && first[0] > 0) || (y == last && first[0] + taps[0] < 3) ||
                         (x == 0 && first[1] > 0) || (x == last && first[1] + taps[1] < 3);
        }
    }
}

/* Where the channels come from. */
static void fill_sources(const sq_step *step, sq_winograd *s)
{
    size_t count = 0;
    const int64_t *scales = sq_attr_ints(step->attrs, "sq_upsample", &count);
    const int32_t lanes = s->kernels->lanes;
    int32_t first = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (i == 1 || i == 2) { /* weights and bias */
            continue;
        }
        sq_winograd_source *source = &s->sources[s->source_count];
        const squall_tensor *in = &step->in[i];
        *source = (sq_winograd_source){.input = i,
                                       .first = first,
                                       .blocks = ceil_div((int32_t)in->dims[1], lanes),
                                       .height = (int32_t)in->dims[2],
                                       .width = (int32_t)in->dims[3]};
        source->shift = step->op == SQ_OP_SqConvJoin && (size_t)s->source_count < count &&
                                scales[s->source_count] == 2
                            ? 1
                            : 0;
        first += source->blocks;
        s->source_count++;
        if (step->op != SQ_OP_SqConvJoin) {
            break;
        }
    }
    s->in_blocks = first;
}

static void fill_sizes(sq_winograd *s, int threads)
{
    const size_t cell = (size_t)s->kernels->lanes;
    s->phase_panels = ceil_div(s->out_blocks, 2);
    s->panels = s->phase_panels * s->phase_count;
    s->sub_panels = s->lean ? 1 : s->channels > 192 ? (s->panels < 4 ? s->panels : 4) : 1;
    s->tiles_x = ceil_div(s->phases[0].width, s->tile);
    s->tiles = s->tiles_x * ceil_div(s->phases[0].height, s->tile);
    share_tiles(s, threads);
    s->in_point = skew((size_t)s->in_blocks * (size_t)s->most * cell);
    s->m_point = skew(2 * (size_t)s->sub_panels * (size_t)s->most * cell);
    s->in_floats = (size_t)s->points * s->in_point;
    s->m_floats = (size_t)s->points * s->m_point;
    s->lean_point = skew((size_t)SQ_WINOGRAD_LEAN_CHANNELS * 2 * cell);
    s->weight_floats = s->lean ? (size_t)s->points * s->lean_point : 0;
    s->point = (size_t)s->channels * (size_t)s->out_blocks * (size_t)s->phase_count * cell;
    s->bias = (s->lean ? 9u : (size_t)s->points) * s->point;
}

/* The step as a convolution of one input. */
static squall_status view_of(const sq_step *step, sq_conv_join *join, const sq_step **view,
                             squall_error *err)
{
    *view = step;
    if (step->op == SQ_OP_SqConvJoin) {
        SQ_TRY(sq_op_conv_join(step, join, err));
        join->conv.in = join->in;
        *view = &join->conv;
    }
    return SQUALL_OK;
}

squall_status sq_winograd_fill(const sq_step *step, sq_winograd_way way, int threads,
                               sq_winograd *s, squall_error *err)
{
    sq_window w;
    sq_conv_join join;
    const sq_step *view;
    SQ_TRY(view_of(step, &join, &view, err));
    SQ_TRY(sq_op_window(view, &w, err));
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    s->lean = way == SQ_WINOGRAD_4_LEAN;
    s->tile = way == SQ_WINOGRAD_6 ? 6 : 4;
    s->reach = s->tile + 2;
    s->points = s->reach * s->reach;
    s->batch = (int32_t)view->in[0].dims[0];
    s->channels = (int32_t)view->in[0].dims[1];
    s->height = (int32_t)w.in[0];
    s->width = (int32_t)w.in[1];
    s->out_height = (int32_t)w.out[0];
    s->out_width = (int32_t)w.out[1];
    s->pad_y = view->op == SQ_OP_Conv ? (int32_t)w.pad_begin[0] : 1;
    s->pad_x = view->op == SQ_OP_Conv ? (int32_t)w.pad_begin[1] : 1;
    s->out_blocks = ceil_div((int32_t)step->out[0].dims[1], s->kernels->lanes);
    fill_phases(view, &w, s);
    fill_sources(step, s);
    fill_sizes(s, threads);
    return SQUALL_OK;
}

size_t sq_winograd_scratch_floats(const sq_winograd *s, int threads)
{
    const size_t own = s->m_floats + s->weight_floats;
    return s->lean ? s->in_floats + own * (size_t)threads : (s->in_floats + own) * (size_t)threads;
}

/* A transposed convolution of stride 2 whose every phase fits into 3x3 taps around a cell, and
 * which has enough of them to win. */
static bool transposed_fits(const sq_window *w)
{
    for (int d = 0; d < 2; d++) {
        if (w->stride[d] != 2 || w->kernel[d] < 3 || w->kernel[d] > 6 || w->pad_begin[d] < 0 ||
            w->out[d] < 2) {
            return false;
        }
        for (int64_t at = 0; at < 2; at++) {
            const int64_t from = at + w->pad_begin[d], taps = (w->kernel[d] - from % 2 + 1) / 2;
            const int64_t first = from / 2 - (taps - 1);
            if (first < -1 || first + taps > 2) {
                return false;
            }
        }
    }
    return true;
}

static const char *window_problem(const sq_step *step)
{
    sq_window w;
    if (sq_op_window(step, &w, NULL) != SQUALL_OK || w.dilation[0] != 1 || w.dilation[1] != 1 ||
        w.group != 1) {
        return "Winograd's way is for 3x3 with a stride of 1 and one group";
    }
    if (step->op == SQ_OP_ConvTranspose) {
        return transposed_fits(&w) ? NULL
                                   : "Winograd's way is for transposed convolutions of stride 2 "
                                     "and 3 to 6 taps around a cell";
    }
    if (w.kernel[0] != 3 || w.kernel[1] != 3 || w.stride[0] != 1 || w.stride[1] != 1) {
        return "Winograd's way is for 3x3 with a stride of 1 and one group";
    }
    return NULL;
}

/* Several sources must be whole blocks of channels, but for the last. */
static const char *sources_problem(const sq_step *step)
{
    const int64_t lanes = sq_cpu_pick()->lanes;
    size_t count = 0;
    const int64_t *scales = sq_attr_ints(step->attrs, "sq_upsample", &count);
    if (step->in_count - 2 > SQ_WINOGRAD_SOURCES) {
        return "it joins more inputs than are read at once";
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (i != 1 && i != 2 && step->in[i].dims[1] % lanes != 0 && i + 1 < step->in_count &&
            !(i == 0 && step->in_count == 3)) {
            return "its inputs are no whole blocks of channels";
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (scales[i] != 1 && scales[i] != 2) {
            return "its inputs are not doubled or as they are";
        }
    }
    return NULL;
}

const char *sq_winograd_problem(const sq_step *step)
{
    sq_conv_join join;
    const sq_step *view;
    if (view_of(step, &join, &view, NULL) != SQUALL_OK) {
        return "its sizes do not fit";
    }
    const squall_tensor *in = &view->in[0], *weights = &view->in[1];
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
    for (uint32_t i = 0; i < 4; i++) {
        if (in->dims[i] < 1 || in->dims[i] > 65536 || step->out[0].dims[i] < 1 ||
            step->out[0].dims[i] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    const char *problem = window_problem(view);
    return problem == NULL && step->op == SQ_OP_SqConvJoin ? sources_problem(step) : problem;
}

/* Weights beyond what a layer can keep of the third-level cache come from main memory. */
static double read_cost(double bytes)
{
    const double kept = 12e6;
    return bytes / 2e10 + (bytes > kept ? (bytes - kept) / 5e9 : 0.0);
}

/* Products at four fifths of the most, transforms by vectors of what they touch,
 * weights read from beyond the cache; the lean way transforms weights for each block of tiles and
 * reads all tiles once more for each panel. */
double sq_winograd_cost(const sq_winograd *s)
{
    const double tiles = (double)s->tiles * (double)s->batch;
    const double channels = (double)s->channels,
                 outputs = (double)s->out_blocks * s->kernels->lanes;
    double points = 0;
    for (int32_t p = 0; p < s->phase_count; p++) {
        for (int32_t i = 0; i < s->points; i++) {
            points += s->phases[p].zero[i] ? 0 : 1;
        }
    }
    const double flops = 2.0 * points * tiles * channels * outputs;
    const double in = tiles * (double)s->in_blocks * (s->tile == 6 ? 140e-9 : 60e-9);
    const double out =
        tiles * (double)s->out_blocks * (double)s->phase_count * (s->tile == 6 ? 140e-9 : 50e-9);
    const double weights =
        s->lean ? 60e-9 * channels * (double)s->out_blocks * (double)s->blocks * (double)s->batch +
                      20e-9 * tiles * (double)s->in_blocks * (double)s->panels
                : read_cost(4.0 * points * channels * outputs);
    return flops / s->kernels->rate + in + out + weights;
}

/* G of cpu_template_winograd.h. */
static const double weights_4[6][3] = {{1, 0, 0},
                                       {1 / 3.0, 1 / 3.0, 1 / 3.0},
                                       {-1 / 3.0, 1 / 3.0, -1 / 3.0},
                                       {-16 / 15.0, -8 / 15.0, -4 / 15.0},
                                       {1 / 15.0, -2 / 15.0, 4 / 15.0},
                                       {0, 0, 1}};
static const double weights_6[8][3] = {{1, 0, 0},
                                       {-2 / 9.0, -2 / 9.0, -2 / 9.0},
                                       {-2 / 9.0, 2 / 9.0, -2 / 9.0},
                                       {1 / 90.0, 2 / 90.0, 4 / 90.0},
                                       {1 / 90.0, -2 / 90.0, 4 / 90.0},
                                       {32 / 45.0, 16 / 45.0, 8 / 45.0},
                                       {32 / 45.0, -16 / 45.0, 8 / 45.0},
                                       {0, 0, 1}};

/* The points of one 3x3 kernel, in double. */
static void transform_kernel(const sq_winograd *s, const float *kernel, double *to)
{
    const double(*g)[3] = s->tile == 6 ? weights_6 : weights_4;
    double half[SQ_WINOGRAD_REACH][3] = {{0}};
    for (int i = 0; i < s->reach; i++) {
        for (int x = 0; x < 3; x++) {
            half[i][x] = g[i][0] * (double)kernel[x] + g[i][1] * (double)kernel[3 + x] +
                         g[i][2] * (double)kernel[6 + x];
        }
    }
    for (int i = 0; i < s->points; i++) {
        const double *row = half[i / s->reach], *column = g[i % s->reach];
        to[i] = row[0] * column[0] + row[1] * column[1] + row[2] * column[2];
    }
}

/* The 3x3 taps of output k, input c in a phase. */
static void kernel_of(const sq_step *step, const sq_winograd *s, const sq_winograd_phase *p,
                      int64_t k, int64_t c, float *out)
{
    const squall_tensor *w = &step->in[1];
    const float *data = w->data;
    if (step->op != SQ_OP_ConvTranspose) {
        memcpy(out, data + (k * s->channels + c) * 9, 9 * sizeof *out);
        return;
    }
    memset(out, 0, 9 * sizeof *out);
    const int64_t height = w->dims[2], width = w->dims[3];
    const float *from = data + (c * w->dims[1] + k) * height * width;
    for (int32_t ty = 0; ty < p->taps_y; ty++) {
        for (int32_t tx = 0; tx < p->taps_x; tx++) {
            const int64_t y = p->kernel_y + 2 * (p->taps_y - 1 - ty);
            const int64_t x = p->kernel_x + 2 * (p->taps_x - 1 - tx);
            out[(p->first_y + ty) * 3 + p->first_x + tx] = from[y * width + x];
        }
    }
}

/* The weights of one input channel and a panel's outputs, which lie side by side at each point. */
static void pack_channel(const sq_step *step, const sq_winograd *s, int32_t panel, int32_t c,
                         float *to)
{
    const int32_t lanes = s->kernels->lanes, outputs = (int32_t)step->out[0].dims[1];
    const sq_winograd_phase *phase = &s->phases[panel / s->phase_panels];
    const int32_t first = panel % s->phase_panels * 2 * lanes;
    const int32_t width = sq_winograd_panel_blocks(s, panel) * lanes;
    const size_t start = sq_winograd_panel_start(s, panel);
    for (int32_t i = 0; i < width && first + i < outputs; i++) {
        float kernel[9];
        double points[SQ_WINOGRAD_POINTS];
        kernel_of(step, s, phase, first + i, c, kernel);
        if (s->lean) {
            for (int32_t t = 0; t < 9; t++) {
                to[9 * start + (size_t)((c * 9 + t) * width + i)] = kernel[t];
            }
            continue;
        }
        transform_kernel(s, kernel, points);
        for (int32_t p = 0; p < s->points; p++) {
            to[(size_t)p * s->point + start + (size_t)(c * width + i)] = (float)points[p];
        }
    }
}

typedef struct packing {
    const sq_step *step;
    const sq_winograd *s;
    float *to;
} packing;

static void pack_panel(void *arg, size_t index, int thread)
{
    const packing *job = arg;
    (void)thread;
    for (int32_t c = 0; c < job->s->channels; c++) {
        pack_channel(job->step, job->s, (int32_t)index, c, job->to);
    }
}

void sq_winograd_pack(const sq_step *step, const sq_winograd *s, float *to)
{
    const int32_t outputs = (int32_t)step->out[0].dims[1];
    packing job = {.step = step, .s = s, .to = to};
    sq_pool *pool = NULL;
    if (s->point > MANY_KERNELS && sq_pool_create(0, &pool, NULL) != SQUALL_OK) {
        pool = NULL; /* this thread alone does it too */
    }
    sq_pool_run(pool, pack_panel, &job, (size_t)s->panels);
    sq_pool_destroy(&pool);
    if (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE) {
        memcpy(to + s->bias, step->in[2].data, (size_t)outputs * sizeof(float));
    }
}
