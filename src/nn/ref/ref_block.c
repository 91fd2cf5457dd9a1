/* nn/ref/ref_block.c - a convolution with what stands around it; op_shape_block.c says what.
 *
 * A piece of work is one row of one output channel, summed in doubles: source, channel, tap. */
#include <math.h>

#include "nn/ref/ref_ops.h"

typedef struct block_job {
    const sq_call *call;
    sq_block block;
    sq_window window;
    size_t doubles;
    sq_ref_activation activation;
} block_job;

static size_t row_doubles(const sq_block *block)
{
    return 2 * (size_t)block->in[0].dims[3] + (size_t)block->conv.out[0].dims[3];
}

size_t sq_ref_scratch_block(const sq_step *step, int threads)
{
    sq_block block;
    squall_error err;
    return sq_op_block(step, &block, &err) == SQUALL_OK
               ? sq_ref_rows_bytes(row_doubles(&block), threads)
               : SIZE_MAX;
}

/* A row of a channel of the sources beside each other. `row` has room for it, and for as much
 * again. */
static void load_row(const block_job *job, int64_t n, int64_t ch, int64_t y, double *row)
{
    const sq_step *step = job->call->step;
    const uint32_t s = ch < step->in[0].dims[1] ? 0 : 1;
    const squall_tensor *from = &step->in[s == 0 ? 0 : 3];
    const int64_t up = job->block.up[s], own = s == 0 ? ch : ch - step->in[0].dims[1];
    const int64_t plane = n * from->dims[1] + own;
    double *raw = row + job->block.in[0].dims[3];
    sq_ref_load(from, (size_t)((plane * from->dims[2] + y / up) * from->dims[3]), 1,
                (size_t)from->dims[3], raw);
    for (int64_t x = 0; x < job->block.in[0].dims[3]; x++) {
        row[x] = raw[x / up];
    }
}

static void block_run(void *arg, size_t index, int thread)
{
    const block_job *job = arg;
    const sq_step *step = job->call->step;
    const squall_tensor *whole = &job->block.in[0], *w = &step->in[1], *y = &step->out[0];
    const sq_window *v = &job->window;
    double *row = sq_ref_rows(job->call, job->doubles, thread);
    double *acc = row + 2 * whole->dims[3];
    const int64_t oh = (int64_t)index % y->dims[2], o = (int64_t)index / y->dims[2] % y->dims[1];
    const int64_t n = (int64_t)index / y->dims[2] / y->dims[1];
    double bias = 0, weight;
    if (job->block.in[2].dtype != SQUALL_DTYPE_NONE) {
        sq_ref_load(&step->in[2], (size_t)o, 1, 1, &bias);
    }
    for (int64_t x = 0; x < y->dims[3]; x++) {
        acc[x] = bias;
    }
    for (int64_t ch = 0; ch < whole->dims[1]; ch++) {
        for (int64_t kh = 0; kh < v->kernel[1]; kh++) {
            const int64_t h = oh * v->stride[1] + kh * v->dilation[1] - v->pad_begin[1];
            if (h < 0 || h >= whole->dims[2]) {
                continue;
            }
            load_row(job, n, ch, h, row);
            for (int64_t kw = 0; kw < v->kernel[2]; kw++) {
                const int64_t offset = kw * v->dilation[2] - v->pad_begin[2];
                int64_t first;
                const int64_t count =
                    sq_ref_valid_range(y->dims[3], v->stride[2], offset, whole->dims[3], &first);
                const int64_t at = ((o * w->dims[1] + ch) * v->kernel[1] + kh) * v->kernel[2] + kw;
                sq_ref_load(w, (size_t)at, 1, 1, &weight);
                for (int64_t x = first; x < first + count; x++) {
                    acc[x] += weight * row[x * v->stride[2] + offset];
                }
            }
        }
    }
    sq_ref_activate(&job->activation, acc, (size_t)y->dims[3]);
    sq_ref_store(y, index * (size_t)y->dims[3], (size_t)y->dims[3], acc);
}

static void pool_rows(const sq_step *step)
{
    const squall_tensor *y = &step->out[0], *pooled = &step->out[1];
    for (int64_t i = 0; i < pooled->dims[0] * pooled->dims[1] * pooled->dims[2]; i++) {
        const int64_t plane = i / pooled->dims[2],
                      top = plane * y->dims[2] + i % pooled->dims[2] * 2;
        for (int64_t x = 0; x < pooled->dims[3]; x++) {
            double four[4], most = -INFINITY;
            sq_ref_load(y, (size_t)(top * y->dims[3] + 2 * x), 1, 2, four);
            sq_ref_load(y, (size_t)((top + 1) * y->dims[3] + 2 * x), 1, 2, four + 2);
            for (int k = 0; k < 4; k++) {
                most = four[k] > most || isnan(four[k]) ? four[k] : most;
            }
            sq_ref_store(pooled, (size_t)(i * pooled->dims[3] + x), 1, &most);
        }
    }
}

squall_status sq_ref_block(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    block_job job = {.call = call};
    SQ_TRY(sq_op_block(step, &job.block, err));
    SQ_TRY(sq_ref_window(&job.block.conv, &job.window, err));
    SQ_TRY(sq_ref_activation_get(step, &job.activation, err));
    job.doubles = row_doubles(&job.block);
    const squall_tensor *y = &step->out[0];
    sq_pool_run(call->pool, block_run, &job, (size_t)(y->dims[0] * y->dims[1] * y->dims[2]));
    if (sq_ref_has_output(step, 1)) {
        pool_rows(step);
    }
    return SQUALL_OK;
}
