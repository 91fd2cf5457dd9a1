/* nn/ref/ref_qconv.c - squall's convolution of numbers of 8 bits: the bits that every processor has
 * to give. */
#include "nn/ref/ref_ops.h"

#include <math.h>

typedef struct job {
    const sq_call *call;
    sq_qconv conv;
    sq_ref_activation activation;
    int64_t in_ch, out_ch; /* of one group */
} job;

/* Sums of a row, in 32 bits that wrap round. */
static size_t row_doubles(const sq_step *step)
{
    return step->out[0].rank == 4 ? ((size_t)step->out[0].dims[3] + 1) / 2 : 0;
}

size_t sq_ref_qconv_scratch(const sq_step *step, int threads)
{
    /* as many again for the activation's doubles */
    return sq_ref_rows_bytes(row_doubles(step) * 3, threads);
}

/* One kernel row and column of one channel, over a row of outputs. An enlarged image has weights of
 * its own for even and odd outputs. */
static void add_tap(const job *j, const uint8_t *row, int32_t zero, int64_t up,
                    const int32_t weight[2], int64_t tap_x, uint32_t *sums)
{
    const sq_window *w = &j->conv.window;
    const int64_t offset = tap_x * w->dilation[1] - w->pad_begin[1];
    int64_t first;
    const int64_t count = sq_ref_valid_range(w->out[1], w->stride[1], offset, w->in[1], &first);
    for (int64_t x = first; x < first + count; x++) {
        sums[x] +=
            (uint32_t)(((int32_t)row[(x * w->stride[1] + offset) / up] - zero) * weight[x % 2]);
    }
}

/* The image and the channel in it of channel `c` of all. */
static const uint8_t *find_plane(const job *j, int64_t n, int64_t c, uint32_t *source)
{
    const sq_step *step = j->call->step;
    uint32_t s = 0;
    while (c >= sq_op_qconv_source(step, s)->dims[1]) {
        c -= sq_op_qconv_source(step, s)->dims[1];
        s++;
    }
    const squall_tensor *image = sq_op_qconv_source(step, s);
    *source = s;
    return (const uint8_t *)image->data +
           (n * image->dims[1] + c) * image->dims[2] * image->dims[3];
}

static void store_row(const job *j, size_t at, int64_t k, const uint32_t *sums, double *values)
{
    const sq_step *step = j->call->step;
    const float multiplier = ((const float *)step->in[2].data)[k];
    const size_t width = (size_t)j->conv.window.out[1];
    for (size_t x = 0; x < width; x++) {
        float scaled = (float)(int32_t)sums[x] * multiplier;
        if (j->conv.to_float) {
            values[x] = (double)scaled;
            continue;
        }
        if (scaled < 0 && j->activation.kind == SQ_ACT_LEAKY_RELU) {
            scaled *= (float)j->activation.a;
        }
        const double moved = rint((double)scaled) + j->conv.y_zero;
        const double held =
            isnan(moved) ? j->conv.low : fmin(fmax(moved, j->conv.low), j->conv.high);
        ((uint8_t *)step->out[0].data)[at + x] = (uint8_t)held;
    }
    if (j->conv.to_float) {
        sq_ref_activate(&j->activation, values, width);
        sq_ref_store(&step->out[0], at, width, values);
    }
}

/* A row of outputs of channel `k`: what channel `c` of its group's adds to the sums. */
static void add_channel(const job *j, int64_t n, int64_t k, int64_t c, int64_t y, uint32_t *sums)
{
    const sq_step *step = j->call->step;
    const sq_window *w = &j->conv.window;
    const int64_t taps = w->kernel[0] * w->kernel[1], each = j->in_ch * taps;
    uint32_t source;
    const uint8_t *plane = find_plane(j, n, k / j->out_ch * j->in_ch + c, &source);
    const int64_t up = j->conv.up[source], set = up == 2 ? y % 2 * 2 : 0;
    const int8_t *even =
        (const int8_t *)step->in[1].data + (set * j->conv.outputs + k) * each + c * taps;
    const int8_t *odd = even + (up == 2 ? j->conv.outputs * each : 0);
    for (int64_t t = 0; t < taps; t++) {
        const int64_t ty = t / w->kernel[1], tx = t % w->kernel[1];
        const int64_t row = y * w->stride[0] + ty * w->dilation[0] - w->pad_begin[0];
        if (row < 0 || row >= w->in[0] || /* the padding holds the zero point */
            (up == 2 && (ty < y % 2 || ty > y % 2 + 1))) {
            continue;
        }
        int32_t weight[2] = {even[t], odd[t]};
        if (up == 2 && tx != 1) {
            weight[tx == 0] = 0;
        }
        add_tap(j, plane + row / up * (w->in[1] / up), j->conv.x_zero[source], up, weight, tx,
                sums);
    }
}

/* The largest of each 2 x 2 of a plane. */
static void pool_plane(const sq_step *step, size_t index)
{
    const size_t width = (size_t)step->out[0].dims[3], height = (size_t)step->out[0].dims[2];
    const uint8_t *from = (const uint8_t *)step->out[0].data + index * height * width;
    uint8_t *to = (uint8_t *)step->out[1].data + index * (height / 2) * (width / 2);
    for (size_t y = 0; y < height / 2; y++) {
        for (size_t x = 0; x < width / 2; x++) {
            const uint8_t *four = from + 2 * y * width + 2 * x;
            const uint8_t above = four[0] > four[1] ? four[0] : four[1];
            const uint8_t below = four[width] > four[width + 1] ? four[width] : four[width + 1];
            *to++ = above > below ? above : below;
        }
    }
}

/* A piece of work is a plane of the output. */
static void run_plane(void *arg, size_t index, int thread)
{
    const job *j = arg;
    const sq_step *step = j->call->step;
    const sq_window *w = &j->conv.window;
    const int64_t outputs = step->out[0].dims[1];
    const int64_t n = (int64_t)index / outputs, k = (int64_t)index % outputs;
    const size_t doubles = row_doubles(step);
    double *values = sq_ref_rows(j->call, doubles * 3, thread);
    uint32_t *sums = (uint32_t *)(void *)(values + 2 * doubles);
    for (int64_t y = 0; y < w->out[0]; y++) {
        for (int64_t x = 0; x < w->out[1]; x++) {
            sums[x] = (uint32_t)((const int32_t *)step->in[3].data)[k];
        }
        for (int64_t c = 0; c < j->in_ch; c++) {
            add_channel(j, n, k, c, y, sums);
        }
        store_row(j, (index * (size_t)w->out[0] + (size_t)y) * (size_t)w->out[1], k, sums, values);
    }
    if (sq_ref_has_output(step, 1)) {
        pool_plane(step, index);
    }
}

squall_status sq_ref_qconv(const sq_call *call, squall_error *err)
{
    job j = {.call = call};
    SQ_TRY(sq_op_qconv(call->step, &j.conv, err));
    SQ_TRY(sq_ref_activation_get(call->step, &j.activation, err));
    j.in_ch = call->step->in[1].dims[1];
    j.out_ch = j.conv.outputs / j.conv.window.group;
    if (squall_tensor_count(&call->step->out[0]) > 0) {
        sq_pool_run(call->pool, run_plane, &j,
                    (size_t)(call->step->out[0].dims[0] * call->step->out[0].dims[1]));
    }
    return SQUALL_OK;
}
