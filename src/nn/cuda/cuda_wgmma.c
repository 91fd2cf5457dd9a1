/* nn/cuda/cuda_wgmma.c - convolutions for the wgmma kernel of sm_90a: the table of its loads and
 * taps, weights in the order of that table, how the copy engine sees the tensors.
 *
 * Where rows and columns of a source count twice, or of the output only every second one is worked
 * out at a time (a transposed convolution), the output is made in four phases, one for each parity
 * of row and column. For a phase, a source that counts twice is read at its own resolution, by
 * fewer taps: those of the kernel that meet the same pixel are added up, and of 8 bits come so.
 * Other sources, and those of a convolution with stride 2, are read by views of every second row
 * and column. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_conv.h"

enum {
    STORED = 64, /* channels that are stored together */
    MERGED = 4,
    WHOLE = 4 /* the view of all rows and columns; 0 to 3 of parities */
};

/* A tap of a load: where it reads beside the pixel, and the taps of the kernel that it stands for.
 */
typedef struct wg_tap {
    int y, x, count;
    int kernel[MERGED]; /* ky * width + kx */
} wg_tap;

typedef struct wg_load {
    int view, y, x, count; /* y, x: the least of its taps */
    wg_tap taps[SQ_WG_TAPS];
} wg_load;

typedef struct wg_source {
    int loads;
    wg_load load[SQ_WG_LOADS];
} wg_source;

/* What is multiplied, whatever the tile. */
typedef struct wg_plan {
    int phases, border;
    wg_source part[4][2]; /* [phase][source] */
} wg_plan;

/* Tiles by their kernel. */
static const struct shape {
    sq_cuda_kernel kernel;
    bool bytes;
    int rows, cot, border, row, loads, shared;
} shapes[] = {
#define SHAPE(kernel, bytes, bh, cot, border, row) \
    {kernel,                                       \
     bytes,                                        \
     bh,                                           \
     cot,                                          \
     border,                                       \
     row,                                          \
     SQ_WG_TILES(bh, cot, border, row),            \
     SQ_WG_SHARED(bh, cot, border, row)},
#define WGMMA(bh, cot, border) \
    SHAPE(SQ_CUDA_conv_wg_##bh##_##cot##_##border, false, bh, cot, border, 128)
#define WGMMA8(bh, cot, border, row) \
    SHAPE(SQ_CUDA_conv_w8_##bh##_##cot##_##border##_##row, true, bh, cot, border, row)
#include "nn/cuda/cuda_wgmma.inc"
#undef WGMMA
#undef WGMMA8
#undef SHAPE
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Channels of a row, and rows of a source. */
static int chunk_of(const struct shape *shape)
{
    return shape->bytes ? shape->row : shape->row / 2;
}

static int64_t chunks_of(const sq_cuda_conv *conv, const struct shape *shape, int source)
{
    return (conv->own[source] + chunk_of(shape) - 1) / chunk_of(shape);
}

static int floor_half(int x)
{
    return x >= 0 ? x / 2 : -((1 - x) / 2);
}

/* Where a tap of the kernel along one axis reads, in a phase: the view's parity (2: all), the place
 * beside the pixel; false: nowhere. */
static bool place_of(const sq_cuda_conv *conv, int source, uint32_t axis, int phase, int tap,
                     int *parity, int *at)
{
    const sq_window *w = &conv->window;
    const int dilation = (int)w->dilation[axis], pad = (int)w->pad_begin[axis];
    *parity = 2;
    if (conv->transposed) {
        const int from = phase + pad - tap * dilation;
        if (w->stride[axis] == 1) {
            *at = from;
            return true;
        }
        *at = floor_half(from);
        return (from & 1) == 0;
    }
    const int from = phase + tap * dilation - pad;
    if (conv->up[source] == 2) {
        *at = floor_half(from);
        return true;
    }
    if (conv->up[0] == 2 || conv->up[1] == 2 || w->stride[axis] == 2) {
        *parity = from & 1;
        *at = floor_half(from);
        return true;
    }
    *at = from;
    return true;
}

/* Note a tap of the kernel; false when there are more than the table holds. */
static bool add_tap(wg_source *source, int view, int y, int x, int kernel)
{
    wg_load *load = NULL;
    wg_tap *tap = NULL;
    for (int l = 0; l < source->loads; l++) {
        load = source->load[l].view == view ? &source->load[l] : load;
    }
    if (load == NULL) {
        if (source->loads == SQ_WG_LOADS) {
            return false;
        }
        load = &source->load[source->loads++];
        *load = (wg_load){.view = view, .y = y, .x = x};
    }
    load->y = y < load->y ? y : load->y;
    load->x = x < load->x ? x : load->x;
    for (int t = 0; t < load->count; t++) {
        tap = load->taps[t].y == y && load->taps[t].x == x ? &load->taps[t] : tap;
    }
    if (tap == NULL) {
        if (load->count == SQ_WG_TAPS) {
            return false;
        }
        tap = &load->taps[load->count++];
        *tap = (wg_tap){.y = y, .x = x};
    }
    if (tap->count == MERGED) {
        return false;
    }
    tap->kernel[tap->count++] = kernel;
    return true;
}

static bool plan_source(const sq_cuda_conv *conv, int phase, int source, wg_plan *out)
{
    const int height = (int)conv->window.kernel[0], width = (int)conv->window.kernel[1];
    const int py = out->phases == 4 ? phase / 2 : 0, px = out->phases == 4 ? phase % 2 : 0;
    wg_source *part = &out->part[phase][source];
    for (int ky = 0; ky < height; ky++) {
        for (int kx = 0; kx < width; kx++) {
            int parity_y, parity_x, y, x;
            if ((conv->bytes && conv->up[source] == 2 && !sq_cuda_qconv_looks(phase, ky, kx)) ||
                !place_of(conv, source, 0, py, ky, &parity_y, &y) ||
                !place_of(conv, source, 1, px, kx, &parity_x, &x)) {
                continue;
            }
            const int view = parity_y == 2 ? WHOLE : 2 * parity_y + parity_x;
            if (!add_tap(part, view, y, x, ky * width + kx)) {
                return false;
            }
        }
    }
    for (int l = 0; l < part->loads; l++) {
        for (int t = 0; t < part->load[l].count; t++) {
            const int y = part->load[l].taps[t].y - part->load[l].y;
            const int x = part->load[l].taps[t].x - part->load[l].x;
            out->border = y > out->border ? y : out->border;
            out->border = x > out->border ? x : out->border;
        }
    }
    return part->loads > 0;
}

/* Whether what it needs of bytes is there: the copy engine's border is 0, not a zero point. */
static bool bytes_fit(const sq_cuda_conv *conv)
{
    const bool one = conv->window.kernel[0] * conv->window.kernel[1] == 1;
    for (int s = 0; s < conv->sources && conv->bytes; s++) {
        if (conv->q.x_zero[s] != 0 && !one) {
            return false;
        }
    }
    return !conv->bytes || (!conv->q.to_float && conv->act.kind == SQ_ACT_NONE);
}

/* Whether the kernel can do it, and how. */
static bool plan_of(const sq_cuda_conv *conv, wg_plan *out)
{
    const sq_window *w = &conv->window;
    const bool doubled = conv->up[0] == 2 || conv->up[1] == 2;
    memset(out, 0, sizeof *out);
    if (!bytes_fit(conv) || w->group != 1 || w->stride[0] != w->stride[1] || w->stride[0] > 2 ||
        w->kernel[0] * w->kernel[1] > 4 * SQ_WG_TAPS || w->dilation[0] > 8 || w->dilation[1] > 8 ||
        w->pad_begin[0] > 64 || w->pad_begin[1] > 64 || w->pad_begin[0] < -64 ||
        w->pad_begin[1] < -64 || (doubled && (w->stride[0] != 1 || conv->pooled)) ||
        (conv->transposed && conv->sources > 1) || conv->in_h < 2 || conv->in_w < 2 ||
        conv->out_h < 2 || conv->out_w < 2) {
        return false;
    }
    if (conv->act.kind != SQ_ACT_NONE && conv->act.kind != SQ_ACT_RELU &&
        (conv->act.kind != SQ_ACT_LEAKY_RELU || !(conv->act.a >= 0 && conv->act.a <= 1))) {
        return false;
    }
    out->phases = doubled || (conv->transposed && w->stride[0] == 2) ? 4 : 1;
    for (int phase = 0; phase < out->phases; phase++) {
        for (int s = 0; s < conv->sources; s++) {
            if (!plan_source(conv, phase, s, out)) {
                return false;
            }
        }
    }
    return out->border <= 2;
}

/* Steps of a row of channels by one tap, of a tile of one phase. */
static int64_t steps_of(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape,
                        int phase)
{
    int64_t steps = 0;
    for (int s = 0; s < conv->sources; s++) {
        for (int l = 0; l < plan->part[phase][s].loads; l++) {
            steps += chunks_of(conv, shape, s) * plan->part[phase][s].load[l].count;
        }
    }
    return steps;
}

static int64_t blocks_of(const sq_cuda_conv *conv, const struct shape *shape)
{
    return (conv->out_channels + shape->cot - 1) / shape->cot;
}

/* Pixels as one long row, where a pixel meets no other: sixteen (or eight) beside each other. */
static bool is_flat(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape)
{
    const sq_window *w = &conv->window;
    return plan->border == 0 && plan->phases == 1 && !conv->pooled && w->stride[0] == 1 &&
           w->kernel[0] * w->kernel[1] == 1 && w->pad_begin[0] == 0 && w->pad_begin[1] == 0 &&
           conv->pixels % SQ_WG_WIDTH(shape->cot) == 0;
}

/* Sizes of the grid of pixels of one phase. */
static void grid_of(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape,
                    int64_t *h, int64_t *w, int64_t *n)
{
    const int64_t by = plan->phases == 4 ? 2 : 1, width = SQ_WG_WIDTH(shape->cot);
    *h = (conv->out_h + by - 1) / by;
    *w = (conv->out_w + by - 1) / by;
    *n = conv->batch;
    if (is_flat(conv, plan, shape)) {
        *h = conv->pixels / width;
        *w = width;
        *n = 1;
    }
}

/* Rough seconds: the busiest processor's tiles, each as long as its products. */
static double cost_of(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape)
{
    int64_t h, w, n, steps = 0;
    grid_of(conv, plan, shape, &h, &w, &n);
    for (int p = 0; p < plan->phases; p++) {
        steps += steps_of(conv, plan, shape, p);
    }
    const int64_t width = SQ_WG_WIDTH(shape->cot);
    const int64_t tiles = blocks_of(conv, shape) * plan->phases * ((w + width - 1) / width) *
                          ((h + shape->rows - 1) / shape->rows) * n;
    const int64_t waves = (tiles + SQ_CUDA_PROCESSORS - 1) / SQ_CUDA_PROCESSORS;
    const double each = (double)steps / plan->phases;
    /* Measured on an H100: a step costs 200 cycles beside its products, 32 cycles a row. */
    const double step_s = 0.12e-6 + 0.0185e-6 / 128 * shape->row * shape->rows;
    return 3.5e-6 + (double)waves * (each * step_s + 0.03e-6 * shape->rows);
}

static size_t weight_bytes(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape)
{
    int64_t steps = 0;
    for (int p = 0; p < plan->phases; p++) {
        steps += steps_of(conv, plan, shape, p);
    }
    return (size_t)(steps * blocks_of(conv, shape)) * (size_t)SQ_WG_WEIGHTS(shape->cot, shape->row);
}

/* Outputs of all blocks. */
static int64_t outputs_of(const sq_cuda_conv *conv, const struct shape *shape)
{
    return blocks_of(conv, shape) * shape->cot;
}

/* Biases come of each phase where they are of bytes, and with multipliers. */
static size_t bytes_of(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape)
{
    const size_t ends = shape->bytes ? (size_t)plan->phases + 1 : 1;
    return weight_bytes(conv, plan, shape) + ends * (size_t)outputs_of(conv, shape) * sizeof(float);
}

static void name_of(const struct shape *shape, char *name)
{
    if (shape->bytes) {
        snprintf(name, SQ_TACTIC_NAME, "conv_w8_%d_%d_%d_%d", shape->rows, shape->cot,
                 shape->border, shape->row);
    } else {
        snprintf(name, SQ_TACTIC_NAME, "conv_wg_%d_%d_%d", shape->rows, shape->cot, shape->border);
    }
}

size_t sq_cuda_wgmma_list(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out,
                          size_t room)
{
    wg_plan plan;
    size_t count = 0;
    if ((step->in[0].dtype != SQUALL_F16 && !conv->bytes) || !plan_of(conv, &plan)) {
        return 0;
    }
    for (size_t i = 0; i < SHAPES && count < room; i++) {
        const struct shape *shape = &shapes[i];
        if (shape->bytes != conv->bytes || shape->border != plan.border ||
            (shape->cot == 128 && conv->out_channels <= 64) ||
            (conv->pooled && shape->rows % 2 != 0)) {
            continue;
        }
        char name[SQ_TACTIC_NAME];
        name_of(shape, name);
        sq_cuda_conv_tactic(step, name, bytes_of(conv, &plan, shape), cost_of(conv, &plan, shape),
                            &out[count++]);
    }
    return count;
}

static const struct shape *shape_of(const char *name)
{
    char own[SQ_TACTIC_NAME];
    for (size_t i = 0; i < SHAPES; i++) {
        name_of(&shapes[i], own);
        if (strcmp(own, name) == 0) {
            return &shapes[i];
        }
    }
    return NULL;
}

bool sq_cuda_wgmma_is(const sq_tactic *tactic)
{
    return shape_of(tactic->name) != NULL;
}

/* The weight of one input channel for one output: the taps of the kernel that meet, added up. */
static float weight_of(const sq_cuda_conv *conv, const squall_tensor *weights, const wg_tap *tap,
                       int64_t o, int64_t c)
{
    const int64_t taps = conv->window.kernel[0] * conv->window.kernel[1];
    double sum = 0;
    for (int k = 0; k < tap->count; k++) {
        const int64_t at = conv->transposed ? (c * conv->out_channels + o) * taps + tap->kernel[k]
                                            : (o * conv->channels + c) * taps + tap->kernel[k];
        sum += sq_tensor_get_double(weights, (size_t)at);
    }
    return (float)sum;
}

/* One step's image: `cot` rows of 64 channels, pieces of 16 bytes swizzled by the row. */
static void pack_halves(const sq_step *step, const sq_cuda_conv *conv, const wg_tap *tap,
                        int source, int64_t chunk, int64_t block, int cot, uint16_t *image)
{
    const int64_t before = source == 0 ? 0 : conv->own[0];
    for (int r = 0; r < cot; r++) {
        const int64_t o = block * cot + r;
        for (int c = 0; c < 64 && o < conv->out_channels; c++) {
            const int64_t ch = chunk * 64 + c;
            if (ch < conv->own[source]) {
                image[r * 64 + ((c / 8) ^ (r & 7)) * 8 + c % 8] =
                    sq_float_to_half(weight_of(conv, &step->in[1], tap, o, before + ch));
            }
        }
    }
}

/* The same of bytes, with outputs in the order that cuda_args.h has; rows of 64 bytes are swizzled
 * in pairs. */
static void pack_bytes(const sq_step *step, const sq_cuda_conv *conv, const wg_tap *tap, int phase,
                       int source, int64_t chunk, int64_t block, const struct shape *shape,
                       int8_t *image)
{
    const int64_t before = source == 0 ? 0 : conv->own[0];
    for (int r = 0; r < shape->cot; r++) {
        const int64_t o = block * shape->cot + r / 16 * 16 + r % 8 * 2 + r / 8 % 2;
        const int swizzle = shape->row == 64 ? r >> 1 & 3 : r & 7;
        for (int c = 0; c < shape->row && o < conv->out_channels; c++) {
            const int64_t ch = chunk * shape->row + c;
            if (ch < conv->own[source]) {
                image[r * shape->row + ((c / 16) ^ swizzle) * 16 + c % 16] =
                    sq_cuda_qconv_weight(step, conv, phase, (uint32_t)source, o, before + ch,
                                         tap->kernel[0]);
            }
        }
    }
}

/* The images of one source in one phase; returns where the next begins. */
static char *pack_source(const sq_step *step, const sq_cuda_conv *conv, const wg_plan *plan,
                         const struct shape *shape, int phase, int source, int64_t block, char *to)
{
    const wg_source *part = &plan->part[phase][source];
    for (int64_t chunk = 0; chunk < chunks_of(conv, shape, source); chunk++) {
        for (int l = 0; l < part->loads; l++) {
            for (int t = 0; t < part->load[l].count; t++) {
                const wg_tap *tap = &part->load[l].taps[t];
                if (conv->bytes) {
                    pack_bytes(step, conv, tap, phase, source, chunk, block, shape, (int8_t *)to);
                } else {
                    pack_halves(step, conv, tap, source, chunk, block, shape->cot,
                                (uint16_t *)(void *)to);
                }
                to += SQ_WG_WEIGHTS(shape->cot, shape->row);
            }
        }
    }
    return to;
}

void sq_cuda_wgmma_pack(const sq_step *step, const sq_cuda_conv *conv, const sq_tactic *tactic,
                        void *packed)
{
    wg_plan plan;
    const struct shape *shape = shape_of(tactic->name);
    char *to = packed;
    (void)plan_of(conv, &plan);
    for (int p = 0; p < plan.phases; p++) {
        for (int64_t block = 0; block < blocks_of(conv, shape); block++) {
            for (int s = 0; s < conv->sources; s++) {
                to = pack_source(step, conv, &plan, shape, p, s, block, to);
            }
        }
    }
    if (conv->bytes) {
        sq_cuda_qconv_ends(step, conv, plan.phases, outputs_of(conv, shape), to);
    } else {
        sq_cuda_conv_bias(step, conv, (float *)(void *)to);
    }
}

/* Steps that one warpgroup may be ahead of the other: as many as fit what is loaded at once. */
static int late_of(const wg_plan *plan, const struct shape *shape, int64_t least)
{
    const wg_source *first = &plan->part[0][0];
    int steps = 0;
    for (int p = 1; p < plan->phases; p++) {
        if (plan->part[p][0].load[0].count != first->load[0].count) {
            return 0;
        }
    }
    for (int l = 0; l < first->loads && l + 1 < shape->loads; l++) {
        steps += first->load[l].count;
    }
    return steps >= 4 && least >= 8 ? 4 : 0;
}

static void fill_table(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape,
                       sq_cuda_wg_args *args)
{
    const int pitch = SQ_WG_PITCH(shape->cot, shape->border, shape->row);
    int64_t first = 0, least = INT64_MAX;
    for (int p = 0; p < plan->phases; p++) {
        const int64_t steps = steps_of(conv, plan, shape, p);
        least = steps < least ? steps : least;
        args->steps[p] = (int)steps;
        args->first[p] = (int)first;
        first += steps * args->blocks;
        int view = 0;
        for (int s = 0; s < conv->sources; s++) {
            const wg_source *part = &plan->part[p][s];
            sq_cuda_loads *loads = &args->group[p][s];
            loads->chunks = (short)chunks_of(conv, shape, s);
            loads->loads = (short)part->loads;
            for (int l = 0; l < part->loads; l++) {
                const wg_load *from = &part->load[l];
                sq_cuda_load *load = &loads->load[l];
                load->view = (signed char)(view + (from->view == WHOLE ? 0 : from->view));
                load->dx = (signed char)from->x;
                load->dy = (signed char)from->y;
                load->taps = (signed char)from->count;
                for (int t = 0; t < from->count; t++) {
                    load->row[t] = (unsigned char)((from->taps[t].y - from->y) * pitch +
                                                   from->taps[t].x - from->x);
                }
            }
            view += part->load[0].view == WHOLE ? 1 : 4;
        }
    }
    args->late = late_of(plan, shape, least);
}

/* How a launch sees a tensor: all of it, or the rows and columns of one parity. `box`: channels,
 * columns, rows of one copy. */
static void add_view(sq_cuda_launch *launch, const sq_cuda_conv *conv, size_t at,
                     sq_cuda_source source, uint32_t index, const int64_t *sizes, int parity,
                     const int *box)
{
    sq_cuda_box *made = &launch->boxes[launch->box_count++];
    const int64_t c = sizes[0], w = sizes[1], h = sizes[2], n = sizes[3];
    const int64_t py = parity == WHOLE ? 0 : parity / 2, px = parity == WHOLE ? 0 : parity % 2;
    const int64_t by = parity == WHOLE ? 1 : 2, pixel = conv->bytes ? c : 2 * c;
    *made = (sq_cuda_box){
        .at = (uint32_t)at,
        .source = source,
        .index = index,
        .offset = (uint64_t)((py * w + px) * pixel),
        .size = {(uint64_t)c, (uint64_t)((w - px + by - 1) / by),
                 (uint64_t)((h - py + by - 1) / by), (uint64_t)n},
        .stride = {(uint64_t)(by * pixel), (uint64_t)(by * w * pixel), (uint64_t)(h * w * pixel)},
        .box = {(uint32_t)box[0], (uint32_t)box[1], (uint32_t)box[2], 1},
        .type = conv->bytes ? SQ_CU_U8 : SQ_CU_F16,
        .swizzle = conv->bytes && box[0] == 64 ? SQ_CU_SWIZZLE_64 : SQ_CU_SWIZZLE_128,
    };
}

static void add_views(const sq_cuda_conv *conv, const wg_plan *plan, const struct shape *shape,
                      sq_cuda_launch *launch)
{
    const int in_box[3] = {chunk_of(shape), SQ_WG_PITCH(shape->cot, shape->border, shape->row),
                           shape->rows + shape->border};
    const int out_box[3] = {STORED, 8, 8}, pooled_box[3] = {STORED, 4, 4};
    const bool flat = is_flat(conv, plan, shape);
    const int64_t width = SQ_WG_WIDTH(shape->cot);
    uint32_t view = 0;
    for (int s = 0; s < conv->sources; s++) {
        const int64_t by = conv->up[s];
        int64_t sizes[4] = {conv->in_pitch[s], conv->in_w / by, conv->in_h / by, conv->batch};
        if (flat) {
            sizes[1] = width;
            sizes[2] = conv->pixels / width;
            sizes[3] = 1;
        }
        const bool whole = plan->part[0][s].load[0].view == WHOLE;
        for (int parity = whole ? WHOLE : 0; parity < (whole ? WHOLE + 1 : 4); parity++, view++) {
            add_view(launch, conv, offsetof(sq_cuda_wg_args, in) + view * sizeof(sq_cuda_view),
                     SQ_CUDA_INPUT, s == 0 ? 0 : conv->second, sizes, parity, in_box);
        }
    }
    int64_t out[4] = {conv->out_pitch, conv->out_w, conv->out_h, conv->batch};
    if (flat) {
        out[1] = width;
        out[2] = conv->pixels / width;
        out[3] = 1;
    }
    for (int p = 0; p < plan->phases; p++) {
        add_view(launch, conv, offsetof(sq_cuda_wg_args, out) + (size_t)p * sizeof(sq_cuda_view),
                 SQ_CUDA_OUTPUT, 0, out, plan->phases == 1 ? WHOLE : p, out_box);
    }
    if (conv->pooled) {
        const int64_t pooled[4] = {conv->out_pitch, conv->out_w / 2, conv->out_h / 2, conv->batch};
        add_view(launch, conv, offsetof(sq_cuda_wg_args, pooled), SQ_CUDA_OUTPUT, 1, pooled, WHOLE,
                 pooled_box);
    }
}

void sq_cuda_wgmma_bind(const sq_cuda_conv *conv, const sq_tactic *tactic, sq_cuda_state *state)
{
    wg_plan plan;
    int64_t h, w, n;
    const struct shape *shape = shape_of(tactic->name);
    (void)plan_of(conv, &plan);
    grid_of(conv, &plan, shape, &h, &w, &n);
    const int64_t width = SQ_WG_WIDTH(shape->cot);
    sq_cuda_launch *launch = sq_cuda_launch_add(state, shape->kernel, 1);
    sq_cuda_wg_args *args = &launch->args.wg;
    *args = (sq_cuda_wg_args){
        .phases = plan.phases,
        .groups = conv->sources,
        .blocks = (int)blocks_of(conv, shape),
        .tiles_x = (int)((w + width - 1) / width),
        .tiles_y = (int)((h + shape->rows - 1) / shape->rows),
        .n = (int)n,
        .with_pooled = conv->pooled,
        .relu = conv->act.kind == SQ_ACT_RELU,
        .slope = conv->act.kind == SQ_ACT_LEAKY_RELU ? conv->act.a : 1.0f,
        .bias_step = (int)outputs_of(conv, shape),
        .q = sq_cuda_qconv_q(conv),
    };
    fill_table(conv, &plan, shape, args);
    add_views(conv, &plan, shape, launch);
    const int64_t tiles =
        (int64_t)args->blocks * args->phases * args->tiles_x * args->tiles_y * args->n;
    launch->grid_x = (uint32_t)tiles;
    launch->persistent = true;
    launch->block = 320;
    launch->shared = (uint32_t)shape->shared;
    const size_t ends = weight_bytes(conv, &plan, shape);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_wg_args, weights), SQ_CUDA_PACKED, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_wg_args, bias), SQ_CUDA_PACKED, 0, ends);
    if (conv->bytes) {
        const size_t biases = (size_t)plan.phases * (size_t)outputs_of(conv, shape);
        sq_cuda_patch_add(launch, offsetof(sq_cuda_wg_args, q.multiplier), SQ_CUDA_PACKED, 0,
                          ends + biases * sizeof(int32_t));
    }
}

void sq_cuda_wgmma_wanted(const char *tactic, sq_text *out)
{
    const struct shape *one = tactic != NULL ? shape_of(tactic) : NULL;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape *shape = &shapes[i];
        if (tactic != NULL && shape != one) {
            continue;
        }
        sq_text_add(out, "WGMMA%s(%d, %d, %d", shape->bytes ? "8" : "", shape->rows, shape->cot,
                    shape->border);
        if (shape->bytes) {
            sq_text_add(out, ", %d", shape->row);
        }
        sq_text_add(out, ")\n");
    }
}
