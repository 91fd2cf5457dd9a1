/* nn/cpu/cpu_qconv.c - SqQConv on blocked tensors: as cpu_conv.c has it, in numbers of 8 bits.
 *
 * The zero points of the images go into the bias when weights are packed; tiles that touch the
 * border read from a patch, a copy of their input with the zero points around it. */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_quant.h"

enum { ROWS_PER_JOB = 8, MOST_IMAGES = 8 };

typedef struct image_state {
    int32_t channels, blocks;
    uint8_t zero;
    size_t patch; /* offset in a thread's scratch, bytes */
} image_state;

typedef struct qconv_state {
    const sq_cpu_quant *kernels;
    sq_cpu_act act;
    sq_qconv conv;
    image_state images[MOST_IMAGES];
    int32_t in_height, in_width, out_height, out_width, batch, out_blocks;
    int32_t taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int32_t groups;          /* of 4 channels, over all images */
    size_t multiplier, bias; /* offsets in the packed constants, bytes */
    size_t patch_bytes;      /* scratch of one thread */
} qconv_state;

static int32_t groups_of(int32_t channels)
{
    return (channels + SQ_QCONV_GROUP - 1) / SQ_QCONV_GROUP;
}

static squall_status fill_state(const sq_step *step, qconv_state *s, squall_error *err)
{
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_qconv(step, &s->conv, err));
    const sq_window *w = &s->conv.window;
    s->kernels = sq_cpu_quant_pick();
    s->act = sq_cpu_step_act(step);
    const int32_t lanes = s->kernels->lanes;
    s->batch = (int32_t)step->in[0].dims[0];
    s->in_height = (int32_t)w->in[0];
    s->in_width = (int32_t)w->in[1];
    s->out_height = (int32_t)w->out[0];
    s->out_width = (int32_t)w->out[1];
    s->out_blocks = ((int32_t)step->out[0].dims[1] + lanes - 1) / lanes;
    s->taps_y = (int32_t)w->kernel[0];
    s->taps_x = (int32_t)w->kernel[1];
    s->stride_y = (int32_t)w->stride[0];
    s->stride_x = (int32_t)w->stride[1];
    s->dilation_y = (int32_t)w->dilation[0];
    s->dilation_x = (int32_t)w->dilation[1];
    s->pad_y = (int32_t)w->pad_begin[0];
    s->pad_x = (int32_t)w->pad_begin[1];
    const size_t columns = (size_t)(s->kernels->max_pixels - 1) * (size_t)s->stride_x +
                           (size_t)(s->taps_x - 1) * (size_t)s->dilation_x + 1;
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        image_state *image = &s->images[i];
        image->channels = (int32_t)sq_op_qconv_source(step, i)->dims[1];
        image->blocks = (image->channels + lanes - 1) / lanes;
        image->zero = s->conv.x_zero[i];
        image->patch = s->patch_bytes;
        s->groups += groups_of(image->channels);
        s->patch_bytes += (size_t)s->taps_y * columns * (size_t)image->blocks * (size_t)lanes;
    }
    s->patch_bytes = sq_round_up(s->patch_bytes, SQ_ALIGNMENT);
    const size_t outputs = (size_t)s->out_blocks * (size_t)lanes;
    s->multiplier = sq_round_up((size_t)s->groups * SQ_QCONV_GROUP * (size_t)s->taps_y *
                                    (size_t)s->taps_x * outputs,
                                SQ_ALIGNMENT);
    s->bias = s->multiplier + outputs * sizeof(float);
    return SQUALL_OK;
}

/* What this driver takes: constant weights, one group, sizes that fit the 32 bits in which it
 * counts. */
static const char *why_not(const sq_step *step)
{
    if (step->in[1].data == NULL || step->in[2].data == NULL || step->in[3].data == NULL) {
        return "its weights are not constant";
    }
    if (sq_attr_int(step->attrs, "group", 1) != 1) {
        return "grouped convolutions of 8 bits are not vectorised";
    }
    if (step->in_count - 3 > MOST_IMAGES) {
        return "it reads more images than are vectorised";
    }
    for (uint32_t d = 0; d < 4; d++) {
        if (step->in[0].dims[d] < 1 || step->in[0].dims[d] > 65536 || step->out[0].dims[d] < 1 ||
            step->out[0].dims[d] > 65536 || step->in[1].dims[d] < 1 ||
            step->in[1].dims[d] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    for (uint32_t i = 1; i + 3 < step->in_count; i++) {
        if (sq_op_qconv_source(step, i)->dims[1] < 1) {
            return "an image has no channels";
        }
    }
    return NULL;
}

/* Rough seconds of one thread: whole blocks of outputs and groups of inputs are computed. */
static double cost_of(const qconv_state *s)
{
    const bool vnni = strstr(s->kernels->name, "vnni") != NULL;
    const double rate = vnni ? (s->out_blocks == 1 ? 5e11 : 9e11) : 1.5e11;
    return 2.0 * s->groups * SQ_QCONV_GROUP * s->taps_y * s->taps_x * s->out_blocks *
           s->kernels->lanes * s->out_height * s->out_width * s->batch / rate;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    qconv_state state;
    const char *problem = why_not(step);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    if (fill_state(step, &state, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, "its window cannot be worked out");
    }
    sq_cpu_quant_tactic(out, "qconv_direct");
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    for (uint32_t i = 1; i <= 3; i++) {
        out->in_dropped[i] = 1;
    }
    for (uint32_t i = 4; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)sq_cpu_pick()->layout;
    }
    out->packed_bytes =
        state.bias + (size_t)state.out_blocks * (size_t)state.kernels->lanes * sizeof(int32_t);
    out->state_bytes = sizeof(qconv_state);
    out->scratch_bytes = state.patch_bytes * (size_t)threads;
    out->cost = cost_of(&state);
    return 1;
}

/* Weights of an image's block of channels at a tap, for one panel: [group][width][4]. */
static int8_t *pack_tap(const sq_step *step, int32_t first, int32_t width, int64_t c0, int64_t real,
                        int64_t tap, int8_t *to)
{
    const squall_tensor *w = &step->in[1];
    const int8_t *data = w->data;
    const int64_t taps = w->dims[2] * w->dims[3];
    for (int64_t g = 0; g < real; g += SQ_QCONV_GROUP) {
        for (int32_t j = 0; j < width; j++) {
            for (int64_t c = g; c < g + SQ_QCONV_GROUP; c++) {
                const int64_t k = first + j;
                *to++ =
                    k < w->dims[0] && c < real ? data[(k * w->dims[1] + c0 + c) * taps + tap] : 0;
            }
        }
    }
    return to;
}

/* bias - zero * sum of weights, wrapping round as the sums do. */
static int32_t bias_of(const sq_step *step, const qconv_state *s, int64_t k)
{
    const squall_tensor *w = &step->in[1];
    const int64_t taps = w->dims[2] * w->dims[3];
    const int8_t *weights = (const int8_t *)w->data + k * w->dims[1] * taps;
    int64_t bias = ((const int32_t *)step->in[3].data)[k];
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        int64_t sum = 0;
        for (int64_t n = 0; n < s->images[i].channels * taps; n++) {
            sum += *weights++;
        }
        bias -= sum * s->images[i].zero;
    }
    return (int32_t)(uint32_t)(uint64_t)bias;
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    qconv_state s;
    (void)tactic;
    SQ_TRY(fill_state(step, &s, err));
    const int32_t lanes = s.kernels->lanes;
    const int64_t outputs = step->out[0].dims[1];
    int8_t *to = packed;
    for (int32_t b0 = 0; b0 < s.out_blocks; b0 += 2) {
        const int32_t width = (s.out_blocks - b0 > 1 ? 2 : 1) * lanes;
        int64_t first = 0; /* channel of the image among those of all */
        for (uint32_t i = 0; i < s.conv.sources; first += s.images[i++].channels) {
            for (int64_t c0 = 0; c0 < s.images[i].channels; c0 += lanes) {
                const int64_t left = s.images[i].channels - c0;
                for (int64_t tap = 0; tap < (int64_t)s.taps_y * s.taps_x; tap++) {
                    to = pack_tap(step, b0 * lanes, width, first + c0, left < lanes ? left : lanes,
                                  tap, to);
                }
            }
        }
    }
    memcpy((char *)packed + s.multiplier, step->in[2].data, (size_t)outputs * sizeof(float));
    int32_t *bias = (int32_t *)(void *)((char *)packed + s.bias);
    for (int64_t k = 0; k < outputs; k++) {
        bias[k] = bias_of(step, &s, k);
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

typedef struct qconv_run {
    const qconv_state *state;
    const sq_call *call;
    int32_t rows_per_job, jobs_per_image;
} qconv_run;

/* Copy the input that a tile reaches, with zero points where it reaches out of the image. */
static void make_patch(const qconv_state *s, const image_state *image, const uint8_t *data,
                       int32_t y, int32_t x, int32_t columns, uint8_t *patch)
{
    const size_t lanes = (size_t)s->kernels->lanes;
    const int32_t from = x < 0 ? 0 : x;
    const int32_t to = x + columns < s->in_width ? x + columns : s->in_width;
    const int32_t before = from - x < columns ? from - x : columns;
    const int32_t inside = to > from ? to - from : 0;
    for (int32_t b = 0; b < image->blocks; b++) {
        const uint8_t *plane =
            data + (size_t)b * (size_t)s->in_height * (size_t)s->in_width * lanes;
        for (int32_t t = 0; t < s->taps_y; t++, patch += (size_t)columns * lanes) {
            const int32_t row = y + t * s->dilation_y;
            if (row < 0 || row >= s->in_height) {
                memset(patch, image->zero, (size_t)columns * lanes);
                continue;
            }
            memset(patch, image->zero, (size_t)before * lanes);
            memcpy(patch + (size_t)before * lanes,
                   plane + ((size_t)row * (size_t)s->in_width + (size_t)from) * lanes,
                   (size_t)inside * lanes);
            memset(patch + (size_t)(before + inside) * lanes, image->zero,
                   (size_t)(columns - before - inside) * lanes);
        }
    }
}

/* Point a tile at its input, or at a patch of it. */
static void aim(const qconv_state *s, const sq_step *step, int32_t n, int32_t y, int32_t x,
                int32_t columns, uint8_t *scratch, sq_qconv_image *images)
{
    const ptrdiff_t lanes = s->kernels->lanes,
                    plane = (ptrdiff_t)s->in_height * s->in_width * lanes;
    const bool inside = y >= 0 && y + (s->taps_y - 1) * s->dilation_y < s->in_height && x >= 0 &&
                        x + columns <= s->in_width;
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        const image_state *from = &s->images[i];
        sq_qconv_image *image = &images[i];
        const uint8_t *data =
            (const uint8_t *)sq_op_qconv_source(step, i)->data + n * from->blocks * plane;
        image->channels = from->channels;
        image->in_tap = s->dilation_x * lanes;
        if (inside) {
            image->in = data + ((ptrdiff_t)y * s->in_width + x) * lanes;
            image->in_row = (ptrdiff_t)s->dilation_y * s->in_width * lanes;
            image->in_plane = plane;
        } else {
            make_patch(s, from, data, y, x, columns, scratch + from->patch);
            image->in = scratch + from->patch;
            image->in_row = columns * lanes;
            image->in_plane = image->in_row * s->taps_y;
        }
    }
}

/* What the tiles of a panel share. */
static sq_qconv_tile panel_tile(const qconv_run *r, int32_t panel, const sq_qconv_image *images)
{
    const qconv_state *s = r->state;
    const ptrdiff_t lanes = s->kernels->lanes;
    const char *constants = r->call->packed;
    const size_t first = (size_t)(2 * panel * lanes);
    return (sq_qconv_tile){
        .images = images,
        .image_count = (int32_t)s->conv.sources,
        .taps_y = s->taps_y,
        .taps_x = s->taps_x,
        .weights = (const int8_t *)constants + first * (size_t)s->groups * SQ_QCONV_GROUP *
                                                   (size_t)s->taps_y * (size_t)s->taps_x,
        .bias = (const int32_t *)(const void *)(constants + s->bias) + first,
        .multiplier = (const float *)(const void *)(constants + s->multiplier) + first,
        .out_plane = (ptrdiff_t)s->out_height * s->out_width * lanes,
        .out_pixel = lanes,
        .to_float = s->conv.to_float,
        .low = (float)(s->conv.low - s->conv.y_zero),
        .high = (float)(s->conv.high - s->conv.y_zero),
        .zero = s->conv.y_zero,
        .act = s->act,
    };
}

/* A row of one panel of output channels. */
static void run_row(const qconv_run *r, int32_t n, int32_t row, int32_t panel, uint8_t *scratch)
{
    const qconv_state *s = r->state;
    const int32_t lanes = s->kernels->lanes;
    const int32_t blocks = s->out_blocks - 2 * panel > 1 ? 2 : 1;
    const int32_t most = s->stride_x > 2 ? 1 : s->kernels->max_pixels;
    const int32_t tiles = (s->out_width + most - 1) / most;
    sq_qconv_image images[MOST_IMAGES];
    sq_qconv_tile tile = panel_tile(r, panel, images);
    const size_t bytes = s->conv.to_float ? sizeof(float) : 1;
    char *out = (char *)r->call->step->out[0].data +
                (((size_t)n * (size_t)s->out_blocks + (size_t)(2 * panel)) * (size_t)s->out_height +
                 (size_t)row) *
                    (size_t)s->out_width * (size_t)lanes * bytes;
    for (int32_t i = 0; i < tiles; i++) {
        const int32_t first = (int32_t)((int64_t)s->out_width * i / tiles);
        const int32_t pixels = (int32_t)((int64_t)s->out_width * (i + 1) / tiles) - first;
        aim(s, r->call->step, n, row * s->stride_y - s->pad_y, first * s->stride_x - s->pad_x,
            (pixels - 1) * s->stride_x + (s->taps_x - 1) * s->dilation_x + 1, scratch, images);
        tile.out = out + (size_t)first * (size_t)lanes * bytes;
        s->kernels->conv_tile[blocks - 1][s->stride_x == 2][pixels](&tile);
    }
}

/* A band of rows of one image, all panels. */
static void run_job(void *arg, size_t index, int thread)
{
    const qconv_run *r = arg;
    const qconv_state *s = r->state;
    const int32_t n = (int32_t)(index / (size_t)r->jobs_per_image);
    const int32_t first = (int32_t)(index % (size_t)r->jobs_per_image) * r->rows_per_job;
    const int32_t last =
        first + r->rows_per_job < s->out_height ? first + r->rows_per_job : s->out_height;
    uint8_t *scratch = (uint8_t *)r->call->scratch + (size_t)thread * s->patch_bytes;
    for (int32_t panel = 0; 2 * panel < s->out_blocks; panel++) {
        for (int32_t row = first; row < last; row++) {
            run_row(r, n, row, panel, scratch);
        }
    }
}

static squall_status run(const sq_call *call)
{
    const qconv_state *s = call->state;
    qconv_run r = {.state = s, .call = call};
    const int32_t share = s->out_height * s->batch / (4 * sq_pool_threads(call->pool));
    r.rows_per_job = share < 1 ? 1 : share > ROWS_PER_JOB ? ROWS_PER_JOB : share;
    r.jobs_per_image = (s->out_height + r.rows_per_job - 1) / r.rows_per_job;
    sq_pool_run(call->pool, run_job, &r, (size_t)r.jobs_per_image * (size_t)s->batch);
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_qconv[] = {
    {SQ_OP_SqQConv, tactics, pack, bind, run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
