/* nn/cpu/cpu_qconv.c - SqQConv on blocked tensors: as cpu_conv.c has it, in numbers of 8 bits.
 *
 * The zero points of the images go into the bias when weights are packed; tiles that touch the
 * border read from a patch, a copy of their input with the zero points around it. */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_quant.h"

/* PHASES: sets of weights for enlarged images; their taps are as many. */
enum { ROWS_PER_JOB = 8, MOST_IMAGES = 8, PHASES = 4 };

typedef struct image_state {
    int32_t channels, blocks, groups; /* groups: of 4 channels */
    int32_t height, width, taps_y, taps_x, step;
    bool up; /* a cell stands for 2 x 2 of what the window sees */
    uint8_t zero;
    size_t weights, set_bytes; /* in the packed constants: where they begin, and of one set */
    size_t patch;              /* offset in a thread's scratch, bytes */
} image_state;

typedef struct qconv_state {
    const sq_cpu_quant *kernels;
    sq_cpu_act act;
    sq_qconv conv;
    image_state images[MOST_IMAGES];
    int32_t out_height, out_width, batch, out_blocks;
    int32_t stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    size_t multiplier, bias; /* offsets in the packed constants, bytes */
    size_t patch_bytes;      /* scratch of one thread */
} qconv_state;

/* What is to be known of image `i`; it takes its place in the packed constants and in scratch. */
static void fill_image(const sq_step *step, qconv_state *s, uint32_t i, size_t *packed)
{
    const squall_tensor *tensor = sq_op_qconv_source(step, i);
    const sq_window *w = &s->conv.window;
    const int32_t lanes = s->kernels->lanes, group = s->kernels->group;
    image_state *image = &s->images[i];
    image->channels = (int32_t)tensor->dims[1];
    image->blocks = (image->channels + lanes - 1) / lanes;
    image->groups = (image->channels + group - 1) / group;
    image->height = (int32_t)tensor->dims[2];
    image->width = (int32_t)tensor->dims[3];
    image->up = s->conv.up[i] == 2;
    image->taps_y = image->up ? 2 : (int32_t)w->kernel[0];
    image->taps_x = image->up ? 2 : (int32_t)w->kernel[1];
    image->step = image->up ? 1 : s->conv.phases || s->stride_x == 2 ? 2 : 1;
    image->zero = s->conv.x_zero[i];
    image->set_bytes = (size_t)image->groups * (size_t)group * (size_t)image->taps_y *
                       (size_t)image->taps_x * (size_t)s->out_blocks * (size_t)lanes;
    image->weights = *packed;
    *packed += image->set_bytes * (image->up ? PHASES : 1);
    const size_t columns =
        (size_t)(s->kernels->max_pixels - 1) * (size_t)(image->step == 2 ? 2 : s->stride_x) +
        (size_t)(image->taps_x - 1) * (size_t)s->dilation_x + 1;
    image->patch = s->patch_bytes;
    s->patch_bytes += (size_t)image->taps_y * columns * (size_t)image->blocks * (size_t)lanes;
}

static squall_status fill_state(const sq_step *step, qconv_state *s, squall_error *err)
{
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_qconv(step, &s->conv, err));
    const sq_window *w = &s->conv.window;
    size_t packed = 0;
    s->kernels = sq_cpu_quant_pick();
    s->act = sq_cpu_step_act(step);
    const int32_t lanes = s->kernels->lanes;
    s->batch = (int32_t)step->in[0].dims[0];
    s->out_height = (int32_t)w->out[0];
    s->out_width = (int32_t)w->out[1];
    s->out_blocks = ((int32_t)step->out[0].dims[1] + lanes - 1) / lanes;
    s->stride_y = (int32_t)w->stride[0];
    s->stride_x = (int32_t)w->stride[1];
    s->dilation_y = (int32_t)w->dilation[0];
    s->dilation_x = (int32_t)w->dilation[1];
    s->pad_y = (int32_t)w->pad_begin[0];
    s->pad_x = (int32_t)w->pad_begin[1];
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        fill_image(step, s, i, &packed);
    }
    s->patch_bytes = sq_round_up(s->patch_bytes, SQ_ALIGNMENT);
    const size_t outputs = (size_t)s->out_blocks * (size_t)lanes;
    s->multiplier = sq_round_up(packed, SQ_ALIGNMENT);
    s->bias = s->multiplier + outputs * sizeof(float);
    return SQUALL_OK;
}

/* The weight of an output channel for channel `c` of image `i`, at tap `tap` of the image. */
static int8_t weight_at(const sq_step *step, const qconv_state *s, uint32_t i, int set, int64_t k,
                        int64_t c, int32_t tap)
{
    const squall_tensor *w = &step->in[1];
    const int8_t *taps = (const int8_t *)w->data +
                         ((set * s->conv.outputs + k) * w->dims[1] + c) * w->dims[2] * w->dims[3];
    return taps[s->images[i].up ? (set / 2 + tap / 2) * 3 + set % 2 + tap % 2 : tap];
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
    if (step->out_count > 1) {
        return "the largest of 2 x 2 is a kernel of its own here";
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
    const double rate = s->kernels->rate > 0 ? s->kernels->rate
                        : vnni               ? (s->out_blocks == 1 ? 5e11 : 9e11)
                                             : 1.5e11;
    double bytes = 0;
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        bytes += (double)s->images[i].set_bytes;
    }
    return 2.0 * bytes * s->out_height * s->out_width * s->batch / rate;
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
    sq_cpu_quant_tactic(out, state.conv.phases ? "qconv_phases" : "qconv_direct");
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    for (uint32_t i = 1; i <= 3; i++) {
        out->in_dropped[i] = 1;
    }
    for (uint32_t i = 4; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)sq_cpu_pick()->layout;
    }
    out->packed_bytes = state.bias + (state.conv.phases ? PHASES : 1) * (size_t)state.out_blocks *
                                         (size_t)state.kernels->lanes * sizeof(int32_t);
    out->state_bytes = sizeof(qconv_state);
    out->scratch_bytes = state.patch_bytes * (size_t)threads;
    out->cost = cost_of(&state);
    return 1;
}

/* Weights of an image's block of channels at a tap, for one panel: [group][width][channel]. */
static int8_t *pack_tap(const sq_step *step, const qconv_state *s, uint32_t i, int set,
                        int32_t first, int32_t width, int64_t c0, int64_t real, int32_t tap,
                        int8_t *to)
{
    const int32_t group = s->kernels->group;
    for (int64_t g = 0; g < real; g += group) {
        for (int32_t j = 0; j < width; j++) {
            for (int64_t c = g; c < g + group; c++) {
                const int64_t k = first + j;
                *to++ = k < s->conv.outputs && c < real ? weight_at(step, s, i, set, k, c0 + c, tap)
                                                        : 0;
            }
        }
    }
    return to;
}

/* All weights of a set of an image, `first` the first of its channels among those of all images:
 * [panel][block][tap_y][tap_x][group][width][channel]. */
static void pack_image(const sq_step *step, const qconv_state *s, uint32_t i, int set,
                       int64_t first, int8_t *to)
{
    const image_state *image = &s->images[i];
    const int32_t lanes = s->kernels->lanes;
    for (int32_t b0 = 0; b0 < s->out_blocks; b0 += 2) {
        const int32_t width = (s->out_blocks - b0 > 1 ? 2 : 1) * lanes;
        for (int64_t c0 = 0; c0 < image->channels; c0 += lanes) {
            const int64_t left = image->channels - c0;
            for (int32_t tap = 0; tap < image->taps_y * image->taps_x; tap++) {
                to = pack_tap(step, s, i, set, b0 * lanes, width, first + c0,
                              left < lanes ? left : lanes, tap, to);
            }
        }
    }
}

/* bias - zero * sum of weights, wrapping round as the sums do. */
static int32_t bias_of(const sq_step *step, const qconv_state *s, int set, int64_t k)
{
    int64_t bias = ((const int32_t *)step->in[3].data)[k], first = 0;
    for (uint32_t i = 0; i < s->conv.sources; first += s->images[i++].channels) {
        const image_state *image = &s->images[i];
        int64_t sum = 0;
        for (int64_t c = 0; c < image->channels; c++) {
            for (int32_t tap = 0; tap < image->taps_y * image->taps_x; tap++) {
                sum += weight_at(step, s, i, image->up ? set : 0, k, first + c, tap);
            }
        }
        bias -= sum * (image->zero - s->kernels->offset);
    }
    return (int32_t)(uint32_t)(uint64_t)bias;
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    qconv_state s;
    (void)tactic;
    SQ_TRY(fill_state(step, &s, err));
    const int64_t lanes = s.kernels->lanes;
    int64_t first = 0;
    for (uint32_t i = 0; i < s.conv.sources; first += s.images[i++].channels) {
        for (int set = 0; set < (s.images[i].up ? PHASES : 1); set++) {
            pack_image(step, &s, i, set, first,
                       (int8_t *)packed + s.images[i].weights +
                           (size_t)set * s.images[i].set_bytes);
        }
    }
    memcpy((char *)packed + s.multiplier, step->in[2].data, (size_t)s.conv.outputs * sizeof(float));
    int32_t *bias = (int32_t *)(void *)((char *)packed + s.bias);
    for (int set = 0; set < (s.conv.phases ? PHASES : 1); set++) {
        for (int64_t k = 0; k < s.conv.outputs; k++) {
            bias[set * s.out_blocks * lanes + k] = bias_of(step, &s, set, k);
        }
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
    const int32_t to = x + columns < image->width ? x + columns : image->width;
    const int32_t before = from - x < columns ? from - x : columns;
    const int32_t inside = to > from ? to - from : 0;
    for (int32_t b = 0; b < image->blocks; b++) {
        const uint8_t *plane =
            data + (size_t)b * (size_t)image->height * (size_t)image->width * lanes;
        for (int32_t t = 0; t < image->taps_y; t++, patch += (size_t)columns * lanes) {
            const int32_t row = y + t * s->dilation_y;
            if (row < 0 || row >= image->height) {
                memset(patch, image->zero, (size_t)columns * lanes);
                continue;
            }
            memset(patch, image->zero, (size_t)before * lanes);
            memcpy(patch + (size_t)before * lanes,
                   plane + ((size_t)row * (size_t)image->width + (size_t)from) * lanes,
                   (size_t)inside * lanes);
            memset(patch + (size_t)(before + inside) * lanes, image->zero,
                   (size_t)(columns - before - inside) * lanes);
        }
    }
}

/* A run of outputs in a row: `pixels` from column `column` on, every second one of phase `odd`
 * where there are phases. */
typedef struct place {
    int32_t n, row, column, odd, pixels;
} place;

/* Point a tile at its input in one image, or at a patch of it. */
static void aim(const qconv_state *s, const sq_step *step, uint32_t i, const place *at,
                uint8_t *scratch, sq_qconv_image *out)
{
    const image_state *image = &s->images[i];
    const ptrdiff_t lanes = s->kernels->lanes,
                    plane = (ptrdiff_t)image->height * image->width * lanes;
    const uint8_t *data =
        (const uint8_t *)sq_op_qconv_source(step, i)->data + at->n * image->blocks * plane;
    int32_t y = at->row * s->stride_y - s->pad_y, x = at->column * s->stride_x - s->pad_x;
    if (image->up) { /* the window of an even place begins one cell before */
        y = at->row / 2 - (at->row % 2 == 0);
        x = at->column - (at->odd == 0);
    } else if (s->conv.phases) {
        x = 2 * at->column + at->odd - s->pad_x;
    }
    const int32_t step_x = image->step == 2 ? 2 : s->stride_x;
    const int32_t columns = (at->pixels - 1) * step_x + (image->taps_x - 1) * s->dilation_x + 1;
    out->in_tap = s->dilation_x * lanes;
    if (y >= 0 && y + (image->taps_y - 1) * s->dilation_y < image->height && x >= 0 &&
        x + columns <= image->width) {
        out->in = data + ((ptrdiff_t)y * image->width + x) * lanes;
        out->in_row = (ptrdiff_t)s->dilation_y * image->width * lanes;
        out->in_plane = plane;
        return;
    }
    make_patch(s, image, data, y, x, columns, scratch + image->patch);
    out->in = scratch + image->patch;
    out->in_row = columns * lanes;
    out->in_plane = out->in_row * image->taps_y;
}

/* What the tiles of a panel share, for outputs of one set of weights. */
static sq_qconv_tile panel_tile(const qconv_run *r, int32_t panel, int32_t set,
                                sq_qconv_image *images)
{
    const qconv_state *s = r->state;
    const ptrdiff_t lanes = s->kernels->lanes;
    const char *constants = r->call->packed;
    const size_t first = (size_t)(2 * panel * lanes);
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        const image_state *image = &s->images[i];
        images[i] = (sq_qconv_image){
            .channels = image->channels,
            .taps_y = image->taps_y,
            .taps_x = image->taps_x,
            .step = image->step,
            .weights = (const int8_t *)constants + image->weights +
                       (size_t)(image->up ? set : 0) * image->set_bytes +
                       image->set_bytes / (size_t)s->out_blocks * (size_t)(2 * panel),
        };
    }
    return (sq_qconv_tile){
        .images = images,
        .image_count = (int32_t)s->conv.sources,
        .bias = (const int32_t *)(const void *)(constants + s->bias) +
                (size_t)(set * s->out_blocks * lanes) + first,
        .multiplier = (const float *)(const void *)(constants + s->multiplier) + first,
        .out_plane = (ptrdiff_t)s->out_height * s->out_width * lanes,
        .out_pixel = s->conv.phases ? 2 * lanes : lanes,
        .to_float = s->conv.to_float,
        .low = (float)(s->conv.low - s->conv.y_zero),
        .high = (float)(s->conv.high - s->conv.y_zero),
        .zero = s->conv.y_zero,
        .act = s->act,
    };
}

/* A row of one panel of output channels: all of it, or every second pixel. */
static void run_row(const qconv_run *r, int32_t n, int32_t row, int32_t odd, int32_t panel,
                    uint8_t *scratch)
{
    const qconv_state *s = r->state;
    const int32_t lanes = s->kernels->lanes, apart = s->conv.phases ? 2 : 1;
    const int32_t blocks = s->out_blocks - 2 * panel > 1 ? 2 : 1;
    const int32_t most = s->stride_x > 2 ? 1 : s->kernels->max_pixels;
    const int32_t width = s->out_width / apart, tiles = (width + most - 1) / most;
    sq_qconv_image images[MOST_IMAGES];
    sq_qconv_tile tile = panel_tile(r, panel, s->conv.phases ? row % 2 * 2 + odd : 0, images);
    const size_t bytes = s->conv.to_float ? sizeof(float) : 1;
    char *out =
        (char *)r->call->step->out[0].data +
        ((((size_t)n * (size_t)s->out_blocks + (size_t)(2 * panel)) * (size_t)s->out_height +
          (size_t)row) *
             (size_t)s->out_width +
         (size_t)odd) *
            (size_t)lanes * bytes;
    place at = {.n = n, .row = row, .odd = odd};
    for (int32_t i = 0; i < tiles; i++, at.column += at.pixels) {
        at.pixels = width / tiles + (i < width % tiles);
        for (uint32_t k = 0; k < s->conv.sources; k++) {
            aim(s, r->call->step, k, &at, scratch, &images[k]);
        }
        tile.out = out + (size_t)at.column * (size_t)(apart * lanes) * bytes;
        s->kernels->conv_tile[blocks - 1][at.pixels](&tile);
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
            for (int32_t odd = 0; odd < (s->conv.phases ? 2 : 1); odd++) {
                run_row(r, n, row, odd, panel, scratch);
            }
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
