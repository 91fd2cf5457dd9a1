/* nn/cpu/cpu_few.c - convolutions with few outputs, as networks end with: 1 to 4 of them, by the
 * kernels of cpu_template_few.h. All others compute a whole block of 8 or 16 outputs.
 *
 * A job is some rows. Of a row, the pixels whose taps all lie in the image are one run; those
 * beside it are runs of one pixel with fewer taps. */
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum { ROWS = 4, MOST = 4, MOST_TAPS = 7 };

typedef struct few_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    int32_t batch, blocks, in_height, in_width, out_height, out_width;
    int32_t taps_y, taps_x, pad_y, pad_x;
    int32_t outputs; /* 1, 2 or 4: with what fills them up */
    size_t bias;     /* offset in the packed constants, floats; [L], repeated for each pixel */
} few_state;

static squall_status fill(const sq_step *step, few_state *s, squall_error *err)
{
    sq_window w;
    SQ_TRY(sq_op_window(step, &w, err));
    const int32_t outputs = (int32_t)step->out[0].dims[1];
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    s->batch = (int32_t)step->in[0].dims[0];
    s->blocks = (int32_t)sq_cpu_blocks(&step->in[0]);
    s->in_height = (int32_t)w.in[0];
    s->in_width = (int32_t)w.in[1];
    s->out_height = (int32_t)w.out[0];
    s->out_width = (int32_t)w.out[1];
    s->taps_y = (int32_t)w.kernel[0];
    s->taps_x = (int32_t)w.kernel[1];
    s->pad_y = (int32_t)w.pad_begin[0];
    s->pad_x = (int32_t)w.pad_begin[1];
    s->outputs = outputs > 2 ? 4 : outputs;
    s->bias = (size_t)s->blocks * (size_t)s->taps_y * (size_t)s->taps_x * (size_t)s->outputs *
              (size_t)s->kernels->lanes;
    return SQUALL_OK;
}

static const char *why_not(const sq_step *step)
{
    const squall_tensor *in = &step->in[0], *weights = &step->in[1];
    sq_window w;
    if (in->dtype != SQUALL_F32 || weights->dtype != SQUALL_F32 ||
        step->out[0].dtype != SQUALL_F32) {
        return "only float32 is vectorised";
    }
    if (weights->data == NULL || (step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE &&
                                  step->in[2].data == NULL)) {
        return "its weights are not constant";
    }
    if (in->rank != 4 || step->out[0].dims[1] < 1 || step->out[0].dims[1] > MOST) {
        return "the kernels for few outputs are for 1 to 4 of them, on images";
    }
    if (in->dims[1] % sq_cpu_pick()->lanes != 0) { /* lanes without a channel may hold NaN */
        return "the kernels for few outputs are for whole blocks of channels";
    }
    for (uint32_t i = 0; i < 4; i++) {
        if (in->dims[i] < 1 || in->dims[i] > 65536 || step->out[0].dims[i] < 1 ||
            step->out[0].dims[i] > 65536) {
            return "a size is outside 1..65536";
        }
    }
    if (sq_op_window(step, &w, NULL) != SQUALL_OK || w.group != 1 || w.stride[0] != 1 ||
        w.stride[1] != 1 || w.dilation[0] != 1 || w.dilation[1] != 1 || w.kernel[0] > MOST_TAPS ||
        w.kernel[1] > MOST_TAPS || w.pad_begin[0] < 0 || w.pad_begin[1] < 0) {
        return "the kernels for few outputs are for up to 7x7 taps, a stride of 1 and one group";
    }
    return NULL;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const char *problem = why_not(step);
    few_state s;
    (void)threads;
    if (problem != NULL || fill(step, &s, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, problem != NULL ? problem : "its window cannot be worked out");
    }
    sq_cpu_tactic(out, "conv_few");
    out->in_layout[0] = (uint8_t)s.kernels->layout;
    out->out_layout[0] = (uint8_t)s.kernels->layout;
    out->in_dropped[1] = 1;
    out->in_dropped[2] = 1;
    out->packed_bytes = (s.bias + (size_t)s.kernels->lanes) * sizeof(float);
    out->state_bytes = sizeof s;
    /* Half of the products' peak, and what adding up and storing the sums takes. */
    const double pixels = (double)s.batch * s.out_height * s.out_width;
    out->cost = pixels * (2.0 * (double)s.bias / 1.2e11 + 2e-9 * s.outputs);
    return 1;
}

/* [block of channels][tap][output][L] */
static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    few_state s;
    float *to = packed;
    (void)tactic;
    SQ_TRY(fill(step, &s, err));
    const int32_t lanes = s.kernels->lanes, outputs = (int32_t)step->out[0].dims[1];
    const int32_t taps = s.taps_y * s.taps_x, channels = (int32_t)step->in[0].dims[1];
    const float *weights = step->in[1].data;
    memset(to, 0, tactic->packed_bytes);
    for (int32_t k = 0; k < outputs; k++) {
        for (int32_t c = 0; c < channels; c++) {
            for (int32_t t = 0; t < taps; t++) {
                to[(((ptrdiff_t)(c / lanes) * taps + t) * s.outputs + k) * lanes + c % lanes] =
                    weights[((ptrdiff_t)k * channels + c) * taps + t];
            }
        }
    }
    for (int32_t l = 0; l < lanes && step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE;
         l++) {
        if (l % s.outputs < outputs) {
            to[s.bias + (size_t)l] = ((const float *)step->in[2].data)[l % s.outputs];
        }
    }
    return SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    (void)tactic;
    (void)threads;
    return fill(step, state, err);
}

/* Taps of `count` that lie within `size` cells when the first lies at `at`. */
static int32_t clip(int32_t at, int32_t count, int32_t size, int32_t *first)
{
    const int32_t begin = at < 0 ? -at : 0, end = at + count > size ? size - at : count;
    *first = begin < count ? begin : 0;
    return end > begin ? end - begin : 0;
}

/* Pixels x.. of row y, all with the same taps. */
static void run_pixels(const few_state *s, const sq_call *call, int32_t image, int32_t y, int32_t x,
                       int32_t pixels)
{
    const ptrdiff_t lanes = s->kernels->lanes;
    const ptrdiff_t plane = (ptrdiff_t)s->in_height * s->in_width * lanes;
    int32_t tap_y, tap_x;
    sq_few_run run = {.in_plane = plane,
                      .in_row = s->in_width * lanes,
                      .weight_plane = (ptrdiff_t)s->taps_y * s->taps_x * s->outputs * lanes,
                      .weight_row = (ptrdiff_t)s->taps_x * s->outputs * lanes,
                      .blocks = s->blocks,
                      .outputs = s->outputs,
                      .pixels = pixels,
                      .act = s->act};
    run.taps_y = clip(y - s->pad_y, s->taps_y, s->in_height, &tap_y);
    run.taps_x = clip(x - s->pad_x, s->taps_x, s->in_width, &tap_x);
    run.weights = (const float *)call->packed + tap_y * run.weight_row + tap_x * s->outputs * lanes;
    run.bias = (const float *)call->packed + s->bias;
    run.in = (const float *)call->step->in[0].data + (ptrdiff_t)image * s->blocks * plane;
    if (run.taps_y > 0 && run.taps_x > 0) {
        run.in += (y - s->pad_y + tap_y) * run.in_row + (x - s->pad_x + tap_x) * lanes;
    } else {
        run.taps_y = 0;
    }
    run.out = (float *)call->step->out[0].data +
              (((ptrdiff_t)image * s->out_height + y) * s->out_width + x) * lanes;
    s->kernels->few_run(&run);
}

static void rows_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const few_state *s = call->state;
    const int32_t jobs = (s->out_height + ROWS - 1) / ROWS;
    const int32_t image = (int32_t)index / jobs, first = (int32_t)index % jobs * ROWS;
    (void)thread;
    /* pixels from `left` on have all taps, up to `right` */
    const int32_t left = s->pad_x < s->out_width ? s->pad_x : s->out_width;
    const int32_t end = s->in_width - s->taps_x + s->pad_x + 1;
    const int32_t right = end < left ? left : end < s->out_width ? end : s->out_width;
    for (int32_t y = first; y < first + ROWS && y < s->out_height; y++) {
        for (int32_t x = 0; x < left; x++) {
            run_pixels(s, call, image, y, x, 1);
        }
        if (right > left) {
            run_pixels(s, call, image, y, left, right - left);
        }
        for (int32_t x = right; x < s->out_width; x++) {
            run_pixels(s, call, image, y, x, 1);
        }
    }
}

static squall_status run(const sq_call *call)
{
    const few_state *s = call->state;
    sq_pool_run(call->pool, rows_job, (void *)(uintptr_t)call,
                (size_t)s->batch * (size_t)((s->out_height + ROWS - 1) / ROWS));
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_few[] = {
    {SQ_OP_Conv, tactics, pack, bind, run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
