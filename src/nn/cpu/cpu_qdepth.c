/* nn/cpu/cpu_qdepth.c - SqQConv of one channel each: depthwise.
 *
 * A band of rows of one block of channels is copied, with zero points around it, and made into rows
 * of one block of outputs. Zero points go into the bias when weights are packed, as in cpu_qconv.c.
 */
#include <string.h>

#include "nn/cpu/cpu_quant.h"

enum { BAND_ROWS = 8, MOST_TAPS = 512, MOST_IMAGES = 8, MAX_LANES = 16 };

typedef struct depth_state {
    const sq_cpu_quant *kernels;
    sq_cpu_act act;
    sq_qconv conv;
    int32_t first_block[MOST_IMAGES]; /* of outputs, of each image */
    int32_t in_blocks[MOST_IMAGES];
    int32_t times, out_blocks, batch, columns; /* times: outputs a channel */
    int32_t groups, group_taps;                /* of a row of taps: how many, and taps of one */
    size_t multiplier, bias;                   /* offsets in the packed constants, bytes */
    size_t line;                               /* bytes of a row of the band */
    size_t thread_bytes;                       /* scratch of one thread */
} depth_state;

static squall_status fill_state(const sq_step *step, depth_state *s, squall_error *err)
{
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_qconv(step, &s->conv, err));
    const sq_window *w = &s->conv.window;
    s->kernels = sq_cpu_quant_pick();
    s->act = sq_cpu_step_act(step);
    const int32_t lanes = s->kernels->lanes;
    s->batch = (int32_t)step->in[0].dims[0];
    s->times = (int32_t)(s->conv.outputs / s->conv.channels);
    for (uint32_t i = 0; i < s->conv.sources; i++) {
        const squall_tensor *image = sq_op_qconv_source(step, i);
        s->in_blocks[i] = (int32_t)sq_cpu_blocks(image);
        s->first_block[i] = s->out_blocks;
        s->out_blocks += ((int32_t)image->dims[1] * s->times + lanes - 1) / lanes;
    }
    s->columns =
        (int32_t)((w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1);
    s->group_taps = w->dilation[1] == 1 ? SQ_QCONV_GROUP : 1;
    s->groups = ((int32_t)w->kernel[1] + s->group_taps - 1) / s->group_taps;
    const int64_t rows = (BAND_ROWS - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    s->line = (size_t)s->columns * (size_t)lanes;
    /* the last group reads up to three pixels more */
    s->thread_bytes =
        sq_round_up((size_t)rows * s->line + (size_t)(SQ_QCONV_GROUP * lanes), SQ_ALIGNMENT);
    const size_t outputs = (size_t)s->out_blocks * (size_t)lanes;
    s->multiplier = sq_round_up((size_t)w->kernel[0] * (size_t)s->groups * SQ_QCONV_GROUP * outputs,
                                SQ_ALIGNMENT);
    s->bias = s->multiplier + outputs * sizeof(float);
    return SQUALL_OK;
}

/* One channel each, of images in whole blocks, by a number of outputs that divides a block. */
static const char *why_not(const sq_step *step)
{
    const squall_tensor *in = &step->in[0];
    const int64_t group = sq_attr_int(step->attrs, "group", 1), lanes = sq_cpu_pick()->lanes;
    if (group == 1 || step->out_count > 1 || step->in_count > MOST_IMAGES + 3 ||
        step->in[1].dims[1] != 1 || step->out[0].dims[1] % group != 0 ||
        lanes % (step->out[0].dims[1] / group) != 0 || step->in[1].data == NULL ||
        step->in[2].data == NULL || step->in[3].data == NULL) {
        return "grouped convolutions of 8 bits are vectorised only when depthwise";
    }
    for (uint32_t i = 0; i < step->in_count - 3; i++) {
        const int64_t channels = sq_op_qconv_source(step, i)->dims[1];
        if (channels < 1 || (i + 1 < step->in_count - 3 && channels % lanes != 0)) {
            return "an image is of no whole blocks of channels";
        }
    }
    for (uint32_t d = 0; d < 4; d++) {
        if (in->dims[d] < 1 || in->dims[d] > 65536 || step->out[0].dims[d] < 1 ||
            step->out[0].dims[d] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    return NULL;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    depth_state state;
    const char *problem = why_not(step);
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    if (fill_state(step, &state, NULL) != SQUALL_OK ||
        state.conv.window.kernel[0] * state.conv.window.kernel[1] > MOST_TAPS) {
        return sq_cpu_refuse(why, "its window is too large");
    }
    sq_cpu_quant_tactic(out, "qconv_depthwise");
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const bool constant = i >= 1 && i <= 3;
        out->in_dropped[i] = constant;
        out->in_layout[i] = constant ? SQUALL_PLAIN : (uint8_t)sq_cpu_pick()->layout;
    }
    out->packed_bytes =
        state.bias + (size_t)state.out_blocks * (size_t)state.kernels->lanes * sizeof(int32_t);
    out->state_bytes = sizeof(depth_state);
    out->scratch_bytes = state.thread_bytes * (size_t)threads;
    out->cost = 3e-11 * (double)sq_op_macs(step);
    return 1;
}

/* The image of a block of outputs. */
static uint32_t image_of(const depth_state *s, int64_t block)
{
    uint32_t i = s->conv.sources - 1;
    while (i > 0 && block < s->first_block[i]) {
        i--;
    }
    return i;
}

/* [block][tap_y][group][L][4], multipliers, biases. */
static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    depth_state s;
    int8_t *to = packed;
    (void)tactic;
    SQ_TRY(fill_state(step, &s, err));
    const sq_window *w = &s.conv.window;
    const int64_t taps = w->kernel[0] * w->kernel[1], lanes = s.kernels->lanes;
    const int8_t *weights = step->in[1].data;
    for (int64_t b = 0; b < s.out_blocks; b++) {
        for (int64_t g = 0; g < w->kernel[0] * s.groups; g++) {
            for (int64_t l = 0; l < lanes * SQ_QCONV_GROUP; l++) {
                const int64_t k = b * lanes + l / SQ_QCONV_GROUP, in_group = l % SQ_QCONV_GROUP;
                const int64_t tap_x = g % s.groups * s.group_taps + in_group;
                const bool real =
                    k < s.conv.outputs && in_group < s.group_taps && tap_x < w->kernel[1];
                *to++ =
                    (int8_t)(real ? weights[k * taps + g / s.groups * w->kernel[1] + tap_x] : 0);
            }
        }
    }
    memcpy((char *)packed + s.multiplier, step->in[2].data, (size_t)s.conv.outputs * sizeof(float));
    uint32_t *bias = (uint32_t *)(void *)((char *)packed + s.bias);
    for (int64_t k = 0; k < s.conv.outputs; k++) {
        int32_t sum = 0;
        for (int64_t t = 0; t < taps; t++) {
            sum += weights[k * taps + t];
        }
        bias[k] = (uint32_t)((const int32_t *)step->in[3].data)[k] -
                  (uint32_t)(sum * s.conv.x_zero[image_of(&s, k / lanes)]);
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

/* A row of the band: a row of one block of channels, with zero points around it. */
static void band_row(const depth_state *s, const uint8_t *plane, uint8_t zero, int64_t row,
                     uint8_t *to)
{
    const sq_window *w = &s->conv.window;
    const int64_t lanes = s->kernels->lanes, width = w->in[1];
    if (row < 0 || row >= w->in[0]) {
        memset(to, zero, (size_t)(s->columns * lanes));
        return;
    }
    const int64_t before = w->pad_begin[1] < s->columns ? w->pad_begin[1] : s->columns;
    const int64_t left = s->columns - before, inside = left < width ? left : width;
    memset(to, zero, (size_t)(before * lanes));
    memcpy(to + before * lanes, plane + row * width * lanes, (size_t)(inside * lanes));
    memset(to + (before + inside) * lanes, zero, (size_t)((left - inside) * lanes));
}

/* Some rows of one block of outputs of one image. */
static void run_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const depth_state *s = call->state;
    const sq_window *w = &s->conv.window;
    const int64_t lanes = s->kernels->lanes;
    const int64_t bands = (w->out[0] + BAND_ROWS - 1) / BAND_ROWS;
    const int64_t at = (int64_t)index, block = at / bands % s->out_blocks;
    const int64_t n = at / bands / s->out_blocks, first = at % bands * BAND_ROWS;
    const int64_t last = first + BAND_ROWS < w->out[0] ? first + BAND_ROWS : w->out[0];
    const int64_t rows =
        (last - first - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    const char *constants = call->packed;
    const uint32_t image = image_of(s, block);
    const int64_t channel = (block - s->first_block[image]) * lanes / s->times;
    const uint8_t *plane =
        (const uint8_t *)sq_op_qconv_source(call->step, image)->data +
        (n * s->in_blocks[image] + channel / lanes) * w->in[0] * w->in[1] * lanes;
    uint8_t *band = (uint8_t *)call->scratch + (size_t)thread * s->thread_bytes;
    uint8_t lane[MAX_LANES];
    const size_t bytes = s->conv.to_float ? sizeof(float) : 1;
    sq_qconv_tile tile = {
        .bias = (const int32_t *)(const void *)(constants + s->bias) + block * lanes,
        .multiplier = (const float *)(const void *)(constants + s->multiplier) + block * lanes,
        .out_pixel = lanes,
        .to_float = s->conv.to_float,
        .low = (float)(s->conv.low - s->conv.y_zero),
        .high = (float)(s->conv.high - s->conv.y_zero),
        .zero = s->conv.y_zero,
        .act = s->act,
    };
    sq_qdepth_row row = {
        .in_row = (ptrdiff_t)((size_t)w->dilation[0] * s->line),
        .in_group = (s->group_taps == 1 ? w->dilation[1] : SQ_QCONV_GROUP) * lanes,
        .in_pixel = w->stride[1] * lanes,
        .taps_y = (int32_t)w->kernel[0],
        .groups = s->groups,
        .lane = lane,
        .weights =
            (const int8_t *)constants + block * w->kernel[0] * s->groups * SQ_QCONV_GROUP * lanes,
    };
    for (int64_t l = 0; l < lanes; l++) {
        lane[l] = (uint8_t)(channel % lanes + l / s->times);
    }
    for (int64_t i = 0; i < rows; i++) {
        band_row(s, plane, s->conv.x_zero[image], first * w->stride[0] - w->pad_begin[0] + i,
                 band + (size_t)i * s->line);
    }
    memset(band + (size_t)rows * s->line, 0, (size_t)(SQ_QCONV_GROUP * lanes));
    for (int64_t y = first; y < last; y++) {
        row.in = band + (size_t)((y - first) * w->stride[0]) * s->line;
        tile.out =
            (char *)call->step->out[0].data +
            (size_t)(((n * s->out_blocks + block) * w->out[0] + y) * w->out[1] * lanes) * bytes;
        s->kernels->depth_row(&row, &tile, (int32_t)w->out[1]);
    }
}

static squall_status run(const sq_call *call)
{
    const depth_state *s = call->state;
    const size_t bands = (size_t)((s->conv.window.out[0] + BAND_ROWS - 1) / BAND_ROWS);
    sq_pool_run(call->pool, run_job, (void *)(uintptr_t)call,
                bands * (size_t)s->out_blocks * (size_t)s->batch);
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_qdepth[] = {
    {SQ_OP_SqQConv, tactics, pack, bind, run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
