/* nn/cpu/cpu_qdepth.c - SqQConv of one channel each: depthwise.
 *
 * A band of input becomes floats, less the zero point and with zeros around it, and the kernel of
 * cpu_conv.c does the sums: whole numbers below 2^24, which float32 adds and multiplies without
 * rounding. What becomes of the sums is as in cpu_qconv.c, bit by bit. */
#include <string.h>

#include "nn/cpu/cpu_quant.h"

enum { BAND_ROWS = 8, MOST_TAPS = 512, MAX_LANES = 16 };

typedef struct depth_state {
    const sq_cpu_kernels *kernels;
    const sq_cpu_quant *quant;
    sq_cpu_act act;
    sq_qconv conv;
    int32_t times, in_blocks, out_blocks, batch, columns; /* times: outputs a channel */
    size_t multiplier, bias; /* offsets in the packed constants, bytes */
    size_t line;             /* floats of a row of the band, or of outputs if that is longer */
    size_t thread_bytes;     /* scratch of one thread */
} depth_state;

static squall_status fill_state(const sq_step *step, depth_state *s, squall_error *err)
{
    memset(s, 0, sizeof *s);
    SQ_TRY(sq_op_qconv(step, &s->conv, err));
    const sq_window *w = &s->conv.window;
    s->kernels = sq_cpu_pick();
    s->quant = sq_cpu_quant_pick();
    s->act = sq_cpu_step_act(step);
    s->batch = (int32_t)step->in[0].dims[0];
    s->times = (int32_t)(step->out[0].dims[1] / step->in[0].dims[1]);
    s->in_blocks = (int32_t)sq_cpu_blocks(&step->in[0]);
    s->out_blocks = (int32_t)sq_cpu_blocks(&step->out[0]);
    s->columns =
        (int32_t)((w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1);
    const int64_t rows = (BAND_ROWS - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    const int64_t longest = s->columns > w->in[1] ? s->columns : w->in[1];
    s->line = (size_t)(longest * s->kernels->lanes);
    s->thread_bytes = sq_round_up(((size_t)rows + 2) * s->line * sizeof(float), SQ_ALIGNMENT);
    const size_t outputs = (size_t)s->out_blocks * (size_t)s->kernels->lanes;
    s->multiplier = (size_t)(w->kernel[0] * w->kernel[1] + 1) * outputs * sizeof(float);
    s->bias = s->multiplier + outputs * sizeof(float);
    return SQUALL_OK;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    depth_state state;
    const squall_tensor *in = &step->in[0];
    const int64_t group = sq_attr_int(step->attrs, "group", 1), lanes = sq_cpu_pick()->lanes;
    if (group == 1 || step->in_count != 4 || group != in->dims[1] || in->dims[0] < 1 ||
        step->out[0].dims[1] % group != 0 || lanes % (step->out[0].dims[1] / group) != 0 ||
        step->in[1].data == NULL || step->in[2].data == NULL || step->in[3].data == NULL) {
        return sq_cpu_refuse(why, "grouped convolutions of 8 bits are vectorised only when "
                                  "depthwise");
    }
    for (uint32_t d = 1; d < 4; d++) {
        if (in->dims[d] < 1 || in->dims[d] > 65536 || step->out[0].dims[d] < 1 ||
            step->out[0].dims[d] > 65536) {
            return sq_cpu_refuse(why, "a size is outside 1..65536");
        }
    }
    if (fill_state(step, &state, NULL) != SQUALL_OK ||
        state.conv.window.kernel[0] * state.conv.window.kernel[1] > MOST_TAPS) {
        return sq_cpu_refuse(why, "its window is too large");
    }
    sq_cpu_quant_tactic(out, "qconv_depthwise");
    out->in_layout[0] = out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    for (uint32_t i = 1; i <= 3; i++) {
        out->in_dropped[i] = 1;
    }
    out->packed_bytes = state.bias + (size_t)state.out_blocks * (size_t)lanes * sizeof(int32_t);
    out->state_bytes = sizeof(depth_state);
    out->scratch_bytes = state.thread_bytes * (size_t)threads;
    out->cost = 6e-11 * (double)sq_op_macs(step);
    return 1;
}

/* [block][tap][L] as floats, a block of zeros, multipliers, biases. */
static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    depth_state s;
    float *to = packed;
    (void)tactic;
    SQ_TRY(fill_state(step, &s, err));
    const int64_t taps = s.conv.window.kernel[0] * s.conv.window.kernel[1];
    const int64_t outputs = step->out[0].dims[1], lanes = s.kernels->lanes;
    const int8_t *weights = step->in[1].data;
    for (int64_t b = 0; b < s.out_blocks; b++) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t l = 0; l < lanes; l++) {
                const int64_t k = b * lanes + l;
                *to++ = k < outputs ? (float)weights[k * taps + t] : 0.0f;
            }
        }
    }
    memcpy((char *)packed + s.multiplier, step->in[2].data, (size_t)outputs * sizeof(float));
    memcpy((char *)packed + s.bias, step->in[3].data, (size_t)outputs * sizeof(int32_t));
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    (void)tactic;
    (void)threads;
    return fill_state(step, state, err);
}

/* A row of the band: the channels that block `block` of the outputs needs, as floats. `spare` is a
 * row of its own. */
static void band_row(const depth_state *s, const uint8_t *image, int64_t block, int64_t row,
                     float *spare, float *to)
{
    const sq_window *w = &s->conv.window;
    const int64_t lanes = s->kernels->lanes, width = w->in[1];
    if (row < 0 || row >= w->in[0]) {
        memset(to, 0, (size_t)(s->columns * lanes) * sizeof *to);
        return;
    }
    const int64_t before = w->pad_begin[1] < s->columns ? w->pad_begin[1] : s->columns;
    const int64_t left = s->columns - before, inside = left < width ? left : width;
    const int64_t first = block * lanes / s->times; /* channel */
    const uint8_t *from = image + ((first / lanes * w->in[0] + row) * width) * lanes;
    memset(to, 0, (size_t)(before * lanes) * sizeof *to);
    memset(to + (before + inside) * lanes, 0, (size_t)((left - inside) * lanes) * sizeof *to);
    to += before * lanes;
    if (s->times == 1) {
        s->quant->dequantize(from, to, (size_t)(inside * lanes), 1.0f, s->conv.x_zero[0]);
        return;
    }
    int32_t lane[MAX_LANES] = {0};
    for (int64_t l = 0; l < lanes; l++) {
        lane[l] = (int32_t)((block * lanes + l) / s->times % lanes);
    }
    s->quant->dequantize(from, spare, (size_t)(inside * lanes), 1.0f, s->conv.x_zero[0]);
    s->kernels->spread_row(spare, lane, to, (int32_t)inside);
}

/* Some rows of one block of outputs of one image. */
static void run_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const depth_state *s = call->state;
    const sq_window *w = &s->conv.window;
    const int64_t lanes = s->kernels->lanes, taps = w->kernel[0] * w->kernel[1];
    const int64_t bands = (w->out[0] + BAND_ROWS - 1) / BAND_ROWS;
    const int64_t at = (int64_t)index, block = at / bands % s->out_blocks;
    const int64_t n = at / bands / s->out_blocks, first = at % bands * BAND_ROWS;
    const int64_t last = first + BAND_ROWS < w->out[0] ? first + BAND_ROWS : w->out[0];
    const int64_t rows =
        (last - first - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1;
    const char *constants = call->packed;
    const float *weights = call->packed, *none = weights + s->out_blocks * taps * lanes;
    const uint8_t *image =
        (const uint8_t *)call->step->in[0].data + n * s->in_blocks * w->in[0] * w->in[1] * lanes;
    float *sums = (float *)(void *)((char *)call->scratch + (size_t)thread * s->thread_bytes);
    float *spare = sums + s->line, *band = spare + s->line;
    const sq_cpu_act no_act = {SQ_ACT_NONE, 0, 0};
    const size_t bytes = s->conv.to_float ? sizeof(float) : 1;
    sq_qconv_tile tile = {
        .bias = (const int32_t *)(const void *)(constants + s->bias) + block * lanes,
        .multiplier = (const float *)(const void *)(constants + s->multiplier) + block * lanes,
        .to_float = s->conv.to_float,
        .low = (float)(s->conv.low - s->conv.y_zero),
        .high = (float)(s->conv.high - s->conv.y_zero),
        .zero = s->conv.y_zero,
        .act = s->act,
    };
    for (int64_t i = 0; i < rows; i++) {
        band_row(s, image, block, first * w->stride[0] - w->pad_begin[0] + i, spare,
                 band + (size_t)i * s->line);
    }
    for (int64_t y = first; y < last; y++) {
        s->kernels->depthwise_row(band + (size_t)((y - first) * w->stride[0]) * s->line,
                                  (ptrdiff_t)((size_t)w->dilation[0] * s->line),
                                  w->dilation[1] * lanes, w->stride[1] * lanes,
                                  weights + block * taps * lanes, none, (int32_t)w->kernel[0],
                                  (int32_t)w->kernel[1], sums, (int32_t)w->out[1], &no_act);
        tile.out =
            (char *)call->step->out[0].data +
            (size_t)(((n * s->out_blocks + block) * w->out[0] + y) * w->out[1] * lanes) * bytes;
        s->quant->requantize(sums, &tile, (int32_t)w->out[1]);
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
