/* nn/ref/ref_quant.c - numbers to integers that stand for them, back, and convolution of those. */
#include "nn/ref/ref_ops.h"

#include <math.h>

/* The least and the largest number of an integer type of 8 or 16 bits. */
static void type_range(squall_dtype dtype, double *low, double *high)
{
    switch (dtype) {
    case SQUALL_I8:
        *low = INT8_MIN;
        *high = INT8_MAX;
        break;
    case SQUALL_U16:
        *low = 0;
        *high = UINT16_MAX;
        break;
    case SQUALL_I16:
        *low = INT16_MIN;
        *high = INT16_MAX;
        break;
    default:
        *low = 0;
        *high = UINT8_MAX;
        break;
    }
}

/* Element `at` becomes value + zero, to nearest even, held to the type. */
static void put_quantised(const squall_tensor *out, size_t at, double value, int64_t zero)
{
    double low, high;
    type_range(out->dtype, &low, &high);
    const double moved = rint(value) + (double)zero;
    const double held = isnan(moved) ? (double)zero : fmin(fmax(moved, low), high);
    sq_ref_store(out, at, 1, &held);
}

void sq_ref_requantise(const squall_tensor *out, size_t at, int64_t sum, float scale, int64_t zero)
{
    const float scaled = (float)sum * scale;
    put_quantised(out, at, (double)scaled, zero);
}

/* Which scale an element has: all one, one a slice of the axis, or one a block of it. */
typedef struct scale_map {
    bool single, blocked;
    size_t length, inner; /* of the axis; behind it */
    size_t block, blocks; /* elements of the axis that share a scale; how many such */
} scale_map;

static squall_status map_scales(const sq_step *step, scale_map *out, squall_error *err)
{
    const squall_tensor *x = &step->in[0], *scale = &step->in[1];
    const int64_t block = sq_attr_int(step->attrs, "block_size", 0);
    *out = (scale_map){.single = squall_tensor_count(scale) == 1};
    if (out->single) {
        return SQUALL_OK;
    }
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 1), x->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(x, axis);
    out->length = over.length;
    out->inner = over.inner;
    out->blocked = block > 0;
    out->block = block > 0 ? (size_t)block : 1;
    out->blocks = (over.length + out->block - 1) / out->block;
    return SQUALL_OK;
}

static size_t scale_of(const scale_map *map, size_t at)
{
    if (map->single) {
        return 0;
    }
    const size_t inner = at % map->inner, along = at / map->inner % map->length;
    if (!map->blocked) { /* these scales have the one axis alone */
        return along;
    }
    const size_t outer = at / map->inner / map->length;
    return (outer * map->blocks + along / map->block) * map->inner + inner;
}

/* The quotient is that of the type in which the numbers are held, as others compute it. */
squall_status sq_ref_quantize(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *scale = &step->in[1];
    const squall_tensor *zero = sq_ref_has_input(step, 2) ? &step->in[2] : NULL;
    scale_map map;
    SQ_TRY(map_scales(step, &map, err));
    const size_t total = squall_tensor_count(x);
    for (size_t i = 0; i < total; i++) {
        const size_t at = scale_of(&map, i);
        const double value = sq_tensor_get_double(x, i), by = sq_tensor_get_double(scale, at);
        const double quotient =
            x->dtype == SQUALL_F64 ? value / by : (double)((float)value / (float)by);
        put_quantised(&step->out[0], i, quotient, zero ? sq_tensor_get_int(zero, at) : 0);
    }
    return SQUALL_OK;
}

squall_status sq_ref_dequantize(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *scale = &step->in[1];
    const squall_tensor *zero = sq_ref_has_input(step, 2) ? &step->in[2] : NULL;
    scale_map map;
    SQ_TRY(map_scales(step, &map, err));
    const size_t total = squall_tensor_count(x);
    for (size_t i = 0; i < total; i++) {
        const size_t at = scale_of(&map, i);
        const int64_t moved = sq_tensor_get_int(x, i) - (zero ? sq_tensor_get_int(zero, at) : 0);
        const double value = (double)moved * sq_tensor_get_double(scale, at);
        sq_ref_store(&step->out[0], i, 1, &value);
    }
    return SQUALL_OK;
}

/* The range is stretched to hold 0; in float, as the operator's function has it. */
squall_status sq_ref_dynamic_quantize(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    float low = 0, high = 0;
    const size_t total = squall_tensor_count(x);
    for (size_t i = 0; i < total; i++) {
        const float value = (float)sq_tensor_get_double(x, i);
        low = fminf(low, value);
        high = fmaxf(high, value);
    }
    const float scale = high == low ? 1.0f / 255 : (high - low) / 255;
    const double zero = rint(fmin(fmax((double)(0 - low / scale), 0), 255));
    for (size_t i = 0; i < total; i++) {
        const float value = (float)sq_tensor_get_double(x, i);
        put_quantised(&step->out[0], i, (double)(value / scale), (int64_t)zero);
    }
    const double as_double = (double)scale;
    if (sq_ref_has_output(step, 1)) {
        sq_ref_store(&step->out[1], 0, 1, &as_double);
    }
    if (sq_ref_has_output(step, 2)) {
        sq_ref_store(&step->out[2], 0, 1, &zero);
    }
    return SQUALL_OK;
}

/* QLinearConv, and ConvInteger, which has no scales. NULL: there is none. */
typedef struct qconv_job {
    const squall_tensor *x, *w, *y, *bias, *x_zero, *w_zero, *y_zero, *x_scale, *w_scale, *y_scale;
    sq_window window;
    int64_t in_ch, out_ch; /* of one group */
} qconv_job;

static int64_t int_at(const squall_tensor *list, int64_t at)
{
    if (!list) {
        return 0;
    }
    return sq_tensor_get_int(list, squall_tensor_count(list) == 1 ? 0 : (size_t)at);
}

/* The sum of one output: image n, channel `ch` of all, place `at` of the output's plane. */
static int64_t qconv_sum(const qconv_job *job, int64_t n, int64_t ch, const int64_t *at)
{
    const sq_window *v = &job->window;
    const int64_t group = ch / job->out_ch, w_zero = int_at(job->w_zero, ch);
    const int64_t x_zero = int_at(job->x_zero, 0);
    uint64_t sum = (uint64_t)int_at(job->bias, ch);
    for (int64_t c = 0; c < job->in_ch; c++) {
        const int64_t x_plane = (n * v->group + group) * job->in_ch + c;
        const int64_t w_plane = ch * job->in_ch + c;
        for (int64_t tap = 0; tap < v->kernel[0] * v->kernel[1] * v->kernel[2]; tap++) {
            const int64_t k[3] = {tap / (v->kernel[1] * v->kernel[2]),
                                  tap / v->kernel[2] % v->kernel[1], tap % v->kernel[2]};
            int64_t x_at = x_plane, w_at = w_plane;
            bool inside = true;
            for (int i = 0; i < SQ_MAX_SPATIAL; i++) {
                const int64_t from = at[i] * v->stride[i] + k[i] * v->dilation[i] - v->pad_begin[i];
                inside = inside && from >= 0 && from < v->in[i];
                x_at = x_at * v->in[i] + from;
                w_at = w_at * v->kernel[i] + k[i];
            }
            if (inside) { /* the padding holds the zero point */
                sum += (uint64_t)((sq_tensor_get_int(job->x, (size_t)x_at) - x_zero) *
                                  (sq_tensor_get_int(job->w, (size_t)w_at) - w_zero));
            }
        }
    }
    return (int64_t)sum;
}

/* A piece of work is a plane of the output. */
static void qconv_run(void *arg, size_t index, int thread)
{
    (void)thread;
    const qconv_job *job = arg;
    const sq_window *v = &job->window;
    const int64_t channels = v->group * job->out_ch;
    const int64_t n = (int64_t)index / channels, ch = (int64_t)index % channels;
    float scale = 1;
    if (job->y_scale) {
        const size_t own = squall_tensor_count(job->w_scale) == 1 ? 0 : (size_t)ch;
        scale = (float)sq_tensor_get_double(job->x_scale, 0) *
                (float)sq_tensor_get_double(job->w_scale, own) /
                (float)sq_tensor_get_double(job->y_scale, 0);
    }
    const size_t plane = (size_t)(v->out[0] * v->out[1] * v->out[2]);
    for (size_t i = 0; i < plane; i++) {
        const int64_t place = (int64_t)i;
        const int64_t at[3] = {place / (v->out[1] * v->out[2]), place / v->out[2] % v->out[1],
                               place % v->out[2]};
        const int64_t sum = qconv_sum(job, n, ch, at);
        if (job->y_scale) {
            sq_ref_requantise(job->y, index * plane + i, sum, scale, int_at(job->y_zero, 0));
        } else {
            sq_ref_store_int(job->y, index * plane + i, 1, &sum);
        }
    }
}

squall_status sq_ref_qlinear_conv(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *in = step->in;
    qconv_job job = {.x = &in[0], .y = &step->out[0]};
    if (step->op == SQ_OP_QLinearConv) {
        job.x_scale = &in[1];
        job.x_zero = &in[2];
        job.w = &in[3];
        job.w_scale = &in[4];
        job.w_zero = &in[5];
        job.y_scale = &in[6];
        job.y_zero = &in[7];
        job.bias = sq_ref_has_input(step, 8) ? &in[8] : NULL;
    } else {
        job.w = &in[1];
        job.x_zero = sq_ref_has_input(step, 2) ? &in[2] : NULL;
        job.w_zero = sq_ref_has_input(step, 3) ? &in[3] : NULL;
    }
    SQ_TRY(sq_ref_window(step, &job.window, err));
    job.in_ch = job.w->dims[1];
    job.out_ch = job.w->dims[0] / job.window.group;
    if (squall_tensor_count(job.y) > 0) {
        sq_pool_run(call->pool, qconv_run, &job, (size_t)(job.y->dims[0] * job.y->dims[1]));
    }
    return SQUALL_OK;
}
