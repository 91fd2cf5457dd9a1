/* nn/ref/ref_grid_sample.c - GridSample: values at places that a second tensor names.
 *
 * A piece of work is one row of the output, of all channels. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

#define MAX_TAPS 4

typedef enum sample_mode { SAMPLE_NEAREST, SAMPLE_LINEAR, SAMPLE_CUBIC } sample_mode;
typedef enum border_mode { BORDER_ZEROS, BORDER_HOLD, BORDER_REFLECT } border_mode;

typedef struct sample_job {
    const sq_step *step;
    sample_mode mode;
    border_mode border;
    bool align_corners;
    uint32_t spatial;
    int64_t size[SQ_MAX_SPATIAL]; /* of the data's axes */
    size_t in_plane, out_plane, row;
} sample_job;

/* Neighbours along one axis; a place of -1 holds 0. */
typedef struct sample_taps {
    int count;
    int64_t place[MAX_TAPS];
    double weight[MAX_TAPS];
} sample_taps;

/* Bounce x to and fro between the borders. */
static double reflected(double x, double low, double high)
{
    const double span = high - low;
    if (span <= 0) {
        return low;
    }
    const double beyond = fmod(fabs(x - low), 2 * span);
    return low + (beyond > span ? 2 * span - beyond : beyond);
}

static double low_border(const sample_job *job)
{
    return job->align_corners ? 0 : -0.5;
}

static double high_border(const sample_job *job, int64_t size)
{
    return (double)size - (job->align_corners ? 1 : 0.5);
}

/* The place -1..1 of the grid on an axis, brought inside as the padding mode says. */
static double place_on_axis(const sample_job *job, double g, int64_t size)
{
    const double n = (double)size;
    double x = job->align_corners ? (g + 1) / 2 * (n - 1) : ((g + 1) * n - 1) / 2;
    if (job->mode == SAMPLE_NEAREST) {
        x = rint(x);
    }
    if (!(fabs(x) < 1e15)) { /* a NaN too: far outside, but an integer can hold it */
        x = x > 0 ? 1e15 : -1e15;
    }
    const double low = low_border(job), high = high_border(job, size);
    if (x < low || x > high) {
        if (job->border == BORDER_HOLD) {
            x = x < 0 ? 0 : n - 1;
        } else if (job->border == BORDER_REFLECT) {
            x = reflected(x, low, high);
        }
    }
    return x;
}

/* A neighbour's place, or -1 where zeros are around. */
static int64_t neighbour(const sample_job *job, int64_t at, int64_t size)
{
    if (at >= 0 && at < size) {
        return at;
    }
    if (job->border == BORDER_ZEROS) {
        return -1;
    }
    if (job->border == BORDER_REFLECT) {
        const double low = low_border(job), high = high_border(job, size);
        at = (int64_t)reflected((double)at, low, high);
    }
    return at < 0 ? 0 : at >= size ? size - 1 : at;
}

/* Keys' cubic with a = -0.75, at 1 + t, t, 1 - t, 2 - t. */
static void cubic_weights(double t, double *weight)
{
    const double a = -0.75;
    const double u = t + 1, v = 1 - t, w = 2 - t;
    weight[0] = ((a * u - 5 * a) * u + 8 * a) * u - 4 * a;
    weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weight[2] = ((a + 2) * v - (a + 3)) * v * v + 1;
    weight[3] = ((a * w - 5 * a) * w + 8 * a) * w - 4 * a;
}

static void find_taps(const sample_job *job, double g, int64_t size, sample_taps *taps)
{
    const double x = place_on_axis(job, g, size);
    const double floor_x = floor(x);
    int64_t first = (int64_t)floor_x;
    const double t = x - floor_x;
    if (job->mode == SAMPLE_NEAREST) {
        taps->count = 1;
        taps->weight[0] = 1;
        first = (int64_t)x;
    } else if (job->mode == SAMPLE_LINEAR) {
        taps->count = 2;
        taps->weight[0] = 1 - t;
        taps->weight[1] = t;
    } else {
        taps->count = 4;
        first -= 1;
        cubic_weights(t, taps->weight);
    }
    for (int i = 0; i < taps->count; i++) {
        taps->place[i] = neighbour(job, first + i, size);
    }
}

/* All taps of one output: where in a plane, and how much. Returns how many. */
static int join_taps(const sample_job *job, const sample_taps *axes, size_t *offset, double *weight)
{
    int count = 1;
    offset[0] = 0;
    weight[0] = 1;
    for (uint32_t axis = 0; axis < job->spatial; axis++) {
        const sample_taps *taps = &axes[axis];
        /* from the last to the first, so that none is overwritten before it is read */
        for (int i = count - 1; i >= 0; i--) {
            const size_t base = offset[i] * (size_t)job->size[axis];
            const double so_far = weight[i];
            for (int t = taps->count - 1; t >= 0; t--) {
                const bool zero = taps->place[t] < 0;
                offset[i * taps->count + t] = base + (zero ? 0 : (size_t)taps->place[t]);
                weight[i * taps->count + t] = zero ? 0 : so_far * taps->weight[t];
            }
        }
        count *= taps->count;
    }
    return count;
}

static void sample_run(void *arg, size_t piece, int thread)
{
    (void)thread;
    const sample_job *job = arg;
    const squall_tensor *x = &job->step->in[0], *grid = &job->step->in[1];
    const squall_tensor *y = &job->step->out[0];
    const size_t channels = (size_t)x->dims[1];
    const size_t rows = job->out_plane / job->row;
    const size_t n = piece / rows;
    for (size_t i = 0; i < job->row; i++) {
        const size_t at = piece % rows * job->row + i;
        sample_taps axes[SQ_MAX_SPATIAL];
        for (uint32_t axis = 0; axis < job->spatial; axis++) {
            /* the grid names the last axis first */
            const size_t g = (n * job->out_plane + at) * job->spatial + job->spatial - 1 - axis;
            find_taps(job, sq_tensor_get_double(grid, g), job->size[axis], &axes[axis]);
        }
        size_t offset[MAX_TAPS * MAX_TAPS * MAX_TAPS];
        double weight[MAX_TAPS * MAX_TAPS * MAX_TAPS];
        const int count = join_taps(job, axes, offset, weight);
        for (size_t c = 0; c < channels; c++) {
            const size_t plane = n * channels + c;
            double sum = 0;
            for (int t = 0; t < count; t++) {
                if (weight[t] != 0) {
                    sum += weight[t] * sq_tensor_get_double(x, plane * job->in_plane + offset[t]);
                }
            }
            sq_ref_store(y, plane * job->out_plane + at, 1, &sum);
        }
    }
}

squall_status sq_ref_grid_sample(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    sample_job job = {.step = step, .spatial = x->rank - 2};
    memcpy(job.size, x->dims + 2, job.spatial * sizeof job.size[0]);
    const char *mode = sq_attr_string(step->attrs, "mode", "linear");
    job.mode = strcmp(mode, "nearest") == 0                                 ? SAMPLE_NEAREST
               : strcmp(mode, "cubic") == 0 || strcmp(mode, "bicubic") == 0 ? SAMPLE_CUBIC
                                                                            : SAMPLE_LINEAR;
    const char *border = sq_attr_string(step->attrs, "padding_mode", "zeros");
    job.border = strcmp(border, "border") == 0       ? BORDER_HOLD
                 : strcmp(border, "reflection") == 0 ? BORDER_REFLECT
                                                     : BORDER_ZEROS;
    job.align_corners = sq_attr_int(step->attrs, "align_corners", 0) != 0;
    job.in_plane = sq_ref_product(x->dims, 2, x->rank);
    job.out_plane = sq_ref_product(y->dims, 2, y->rank);
    job.row = (size_t)y->dims[y->rank - 1];
    if (squall_tensor_count(y) == 0) {
        return SQUALL_OK;
    }
    if (job.in_plane == 0) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name, "there is nothing to sample from");
    }
    sq_pool_run(call->pool, sample_run, &job, (size_t)y->dims[0] * (job.out_plane / job.row));
    return SQUALL_OK;
}
