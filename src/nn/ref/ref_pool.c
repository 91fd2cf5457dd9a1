/* nn/ref/ref_pool.c - maximum, mean and Lp norm over windows, and over whole planes. */
#include "nn/ref/ref_ops.h"

#include <inttypes.h>
#include <math.h>

typedef struct pool_job {
    const sq_call *call;
    const squall_tensor *x, *y, *indices; /* indices: NULL when they are not wanted */
    sq_window window;
    bool include_pad;  /* AveragePool: the padding counts as numbers, of 0 */
    bool column_major; /* MaxPool: how indices count */
    double p;          /* LpPool */
    size_t doubles;    /* scratch of a thread */
} pool_job;

/* Numbers that a mean along axis `a` is over, for output `to`. */
static int64_t mean_count(const pool_job *job, int a, int64_t to)
{
    const sq_window *v = &job->window;
    const int64_t before = job->include_pad ? v->pad_begin[a] : 0;
    const int64_t after = job->include_pad ? v->pad_end[a] : 0;
    const int64_t start = to * v->stride[a] - v->pad_begin[a];
    int64_t first;
    return sq_ref_valid_range(v->kernel[a], v->dilation[a], start + before,
                              v->in[a] + before + after, &first);
}

/* The position of an input element as attribute storage_order counts it, in its plane. */
static int64_t index_in_plane(const pool_job *job, int64_t d, int64_t h, int64_t w)
{
    const int64_t *in = job->window.in;
    if (!job->column_major) {
        return (d * in[1] + h) * in[2] + w;
    }
    return d + in[0] * (h + in[1] * w);
}

/* Take one row of input into a row of outputs; `index` of each output is -1 before its first. */
static void pool_row(const pool_job *job, int64_t d, int64_t h, const double *row, double *acc,
                     int64_t *index)
{
    const sq_window *v = &job->window;
    const sq_op op = job->call->step->op;
    for (int64_t ow = 0; ow < v->out[2]; ow++) {
        const int64_t start = ow * v->stride[2] - v->pad_begin[2];
        int64_t kw;
        int64_t left = sq_ref_valid_range(v->kernel[2], v->dilation[2], start, v->in[2], &kw);
        for (; left > 0; left--, kw++) {
            const int64_t w = start + kw * v->dilation[2];
            const double x = row[w];
            if (op == SQ_OP_AveragePool) {
                acc[ow] += x;
            } else if (op == SQ_OP_LpPool) {
                acc[ow] += pow(fabs(x), job->p);
            } else if (index[ow] < 0 || x > acc[ow] || (isnan(x) && !isnan(acc[ow]))) {
                acc[ow] = x;
                index[ow] = index_in_plane(job, d, h, w);
            }
        }
    }
}

static void finish_row(const pool_job *job, int64_t plane, int64_t od, int64_t oh, double *acc,
                       int64_t *index)
{
    const sq_window *v = &job->window;
    const size_t length = (size_t)v->out[2];
    const sq_op op = job->call->step->op;
    const int64_t rows = mean_count(job, 0, od) * mean_count(job, 1, oh);
    for (size_t i = 0; i < length; i++) {
        if (op == SQ_OP_AveragePool) {
            const int64_t count = rows * mean_count(job, 2, (int64_t)i);
            acc[i] = count > 0 ? acc[i] / (double)count : 0;
        } else if (op == SQ_OP_LpPool) {
            acc[i] = pow(acc[i], 1 / job->p);
        } else if (index[i] < 0) { /* a window in the padding alone */
            acc[i] = -INFINITY;
            index[i] = 0;
        }
        index[i] += plane * v->in[0] * v->in[1] * v->in[2];
    }
    const int64_t first = ((plane * v->out[0] + od) * v->out[1] + oh) * v->out[2];
    sq_ref_store(job->y, (size_t)first, length, acc);
    if (job->indices) {
        sq_ref_store_int(job->indices, (size_t)first, length, index);
    }
}

static void pool_run(void *arg, size_t piece, int thread)
{
    const pool_job *job = arg;
    const sq_window *v = &job->window;
    const int64_t oh = (int64_t)(piece % (size_t)v->out[1]);
    piece /= (size_t)v->out[1];
    const int64_t od = (int64_t)(piece % (size_t)v->out[0]);
    const int64_t plane = (int64_t)(piece / (size_t)v->out[0]);
    double *row = sq_ref_rows(job->call, job->doubles, thread);
    double *acc = row + v->in[2];
    int64_t *index = (int64_t *)(void *)(acc + v->out[2]);
    for (int64_t i = 0; i < v->out[2]; i++) {
        acc[i] = 0;
        index[i] = -1;
    }
    const int64_t start_d = od * v->stride[0] - v->pad_begin[0];
    const int64_t start_h = oh * v->stride[1] - v->pad_begin[1];
    int64_t first_d, first_h;
    const int64_t count_d =
        sq_ref_valid_range(v->kernel[0], v->dilation[0], start_d, v->in[0], &first_d);
    const int64_t count_h =
        sq_ref_valid_range(v->kernel[1], v->dilation[1], start_h, v->in[1], &first_h);
    for (int64_t kd = first_d; kd < first_d + count_d; kd++) {
        const int64_t d = start_d + kd * v->dilation[0];
        for (int64_t kh = first_h; kh < first_h + count_h; kh++) {
            const int64_t h = start_h + kh * v->dilation[1];
            const int64_t first = ((plane * v->in[0] + d) * v->in[1] + h) * v->in[2];
            sq_ref_load(job->x, (size_t)first, 1, (size_t)v->in[2], row);
            pool_row(job, d, h, row, acc, index);
        }
    }
    finish_row(job, plane, od, oh, acc, index);
}

/* One row of input, one of output, one of indices. */
static size_t scratch_doubles(const sq_step *step)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    size_t doubles;
    if (x->rank == 0 || y->rank == 0 || !sq_mul_size((size_t)y->dims[y->rank - 1], 2, &doubles) ||
        !sq_add_size(doubles, (size_t)x->dims[x->rank - 1], &doubles)) {
        return SIZE_MAX;
    }
    return doubles;
}

size_t sq_ref_scratch_pool(const sq_step *step, int threads)
{
    return sq_ref_rows_bytes(scratch_doubles(step), threads);
}

squall_status sq_ref_pool(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    pool_job job = {.call = call, .x = &step->in[0], .y = &step->out[0]};
    SQ_TRY(sq_ref_window(step, &job.window, err));
    job.include_pad = sq_attr_int(step->attrs, "count_include_pad", 0) != 0;
    job.column_major = sq_attr_int(step->attrs, "storage_order", 0) != 0;
    job.p = (double)sq_attr_int(step->attrs, "p", 2);
    job.indices = sq_ref_has_output(step, 1) ? &step->out[1] : NULL;
    job.doubles = scratch_doubles(step);
    if (squall_tensor_count(job.y) == 0) {
        return SQUALL_OK;
    }
    const size_t pieces =
        (size_t)(job.y->dims[0] * job.y->dims[1]) * (size_t)(job.window.out[0] * job.window.out[1]);
    sq_pool_run(call->pool, pool_run, &job, pieces);
    return SQUALL_OK;
}

static double global_of(sq_op op, const squall_tensor *x, size_t first, size_t total, double p)
{
    double acc = op == SQ_OP_GlobalMaxPool ? -INFINITY : 0;
    for (size_t at = 0; at < total; at += SQ_REF_RUN) {
        const size_t count = total - at < SQ_REF_RUN ? total - at : SQ_REF_RUN;
        double values[SQ_REF_RUN];
        sq_ref_load(x, first + at, 1, count, values);
        for (size_t i = 0; i < count; i++) {
            if (op == SQ_OP_GlobalMaxPool) {
                acc = values[i] > acc || isnan(values[i]) ? values[i] : acc;
            } else if (op == SQ_OP_GlobalLpPool) {
                acc += pow(fabs(values[i]), p);
            } else {
                acc += values[i];
            }
        }
    }
    if (op == SQ_OP_GlobalLpPool) {
        return pow(acc, 1 / p);
    }
    return op == SQ_OP_GlobalAveragePool ? acc / (double)total : acc;
}

squall_status sq_ref_global_pool(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const double p = (double)sq_attr_int(step->attrs, "p", 2);
    const size_t plane = sq_ref_product(x->dims, 2, x->rank);
    const size_t planes = squall_tensor_count(&step->out[0]);
    for (size_t i = 0; i < planes; i++) {
        const double value = global_of(step->op, x, i * plane, plane, p);
        sq_ref_store(&step->out[0], i, 1, &value);
    }
    return SQUALL_OK;
}

/* One region of MaxRoiPool: whole pixels, both ends in it (Girshick, Fast R-CNN, 2015). */
typedef struct region {
    int64_t image, top, left;
    float cell_h, cell_w;
} region;

static squall_status read_region(const sq_step *step, size_t index, region *out, squall_error *err)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    const float scale = sq_attr_float(step->attrs, "spatial_scale", 1);
    float v[5]; /* image, x0, y0, x1, y1 */
    for (size_t i = 0; i < 5; i++) {
        v[i] = (float)sq_tensor_get_double(&step->in[1], index * 5 + i);
        v[i] = i > 0 ? roundf(v[i] * scale) : v[i];
        if (!(fabsf(v[i]) < (float)(1 << 24))) {
            return sq_fail(err, SQUALL_E_SHAPE, step->name,
                           "region %zu is not finite, or too large", index);
        }
    }
    *out = (region){.image = (int64_t)v[0], .top = (int64_t)v[2], .left = (int64_t)v[1]};
    out->cell_h = fmaxf(v[4] - v[2] + 1, 1) / (float)y->dims[2];
    out->cell_w = fmaxf(v[3] - v[1] + 1, 1) / (float)y->dims[3];
    if (out->image < 0 || out->image >= x->dims[0]) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name,
                       "region %zu is of image %" PRId64 " of %" PRId64, index, out->image,
                       x->dims[0]);
    }
    return SQUALL_OK;
}

/* Pixel `at` of a side that has `size`, counted from where the region begins. */
static int64_t pixel_at(float at, int64_t from, int64_t size)
{
    const int64_t pixel = (int64_t)at + from;
    return pixel < 0 ? 0 : pixel > size ? size : pixel;
}

/* The largest number of a cell; 0 where none of it is on the image. */
static double largest_of(const squall_tensor *x, const region *r, int64_t channel, int64_t row,
                         int64_t column)
{
    const int64_t top = pixel_at(floorf((float)row * r->cell_h), r->top, x->dims[2]);
    const int64_t end = pixel_at(ceilf((float)(row + 1) * r->cell_h), r->top, x->dims[2]);
    const int64_t left = pixel_at(floorf((float)column * r->cell_w), r->left, x->dims[3]);
    const int64_t right = pixel_at(ceilf((float)(column + 1) * r->cell_w), r->left, x->dims[3]);
    double most = end > top && right > left ? -INFINITY : 0;
    for (int64_t i = top; i < end; i++) {
        for (int64_t j = left; j < right; j++) {
            const int64_t at =
                ((r->image * x->dims[1] + channel) * x->dims[2] + i) * x->dims[3] + j;
            most = fmax(most, sq_tensor_get_double(x, (size_t)at));
        }
    }
    return most;
}

squall_status sq_ref_max_roi_pool(const sq_call *call, squall_error *err)
{
    const squall_tensor *y = &call->step->out[0];
    const int64_t cells = y->dims[2] * y->dims[3];
    size_t to = 0;
    for (int64_t index = 0; index < y->dims[0]; index++) {
        region r;
        SQ_TRY(read_region(call->step, (size_t)index, &r, err));
        for (int64_t i = 0; i < y->dims[1] * cells; i++, to++) {
            const double value = largest_of(&call->step->in[0], &r, i / cells,
                                            i % cells / y->dims[3], i % y->dims[3]);
            sq_ref_store(y, to, 1, &value);
        }
    }
    return SQUALL_OK;
}
