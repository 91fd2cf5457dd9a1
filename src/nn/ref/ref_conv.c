/* nn/ref/ref_conv.c - Conv and ConvTranspose, in 1 to 3 dimensions.
 *
 * A piece of work is one row of output of up to SQ_REF_BLOCK channels. Its sums are doubles in
 * scratch memory, added up in one order whatever the number of threads: input channel, then tap. */
#include "nn/ref/ref_ops.h"

typedef struct conv_job {
    const sq_call *call;
    const squall_tensor *x, *w, *b, *y; /* b: NULL for none */
    sq_window window;
    int64_t in_ch, out_ch; /* of one group */
    size_t blocks;         /* of channels, in one group */
    size_t doubles;        /* scratch of a thread */
    sq_ref_activation activation;
} conv_job;

/* Which outputs a piece makes. */
typedef struct conv_piece {
    int64_t n, group, od, oh;
    int64_t first_ch; /* in its group */
    int channels;
} conv_piece;

/* Whether `to` has a counterpart `*from` = to * stride + offset within 0..limit-1. */
static bool source_of(int64_t to, int64_t stride, int64_t offset, int64_t limit, int64_t *from)
{
    *from = to * stride + offset;
    return *from >= 0 && *from < limit;
}

static conv_piece piece_of(const conv_job *job, size_t index)
{
    const size_t out_h = (size_t)job->window.out[1], out_d = (size_t)job->window.out[0];
    conv_piece piece;
    piece.oh = (int64_t)(index % out_h);
    index /= out_h;
    piece.od = (int64_t)(index % out_d);
    index /= out_d;
    piece.first_ch = (int64_t)(index % job->blocks) * SQ_REF_BLOCK;
    index /= job->blocks;
    piece.group = (int64_t)(index % (size_t)job->window.group);
    piece.n = (int64_t)(index / (size_t)job->window.group);
    const int64_t left = job->out_ch - piece.first_ch;
    piece.channels = left < SQ_REF_BLOCK ? (int)left : SQ_REF_BLOCK;
    return piece;
}

/* A row of the input as doubles. */
static void load_row(const conv_job *job, const conv_piece *piece, int64_t ch, int64_t d, int64_t h,
                     double *row)
{
    const sq_window *v = &job->window;
    const int64_t plane = piece->n * v->group * job->in_ch + piece->group * job->in_ch + ch;
    const int64_t first = ((plane * v->in[0] + d) * v->in[1] + h) * v->in[2];
    sq_ref_load(job->x, (size_t)first, 1, (size_t)v->in[2], row);
}

/* Conv: weights [out][in of a group][kd][kh][kw]. */
static void conv_weights(const conv_job *job, const conv_piece *piece, int64_t ch, int64_t tap,
                         double *out)
{
    const sq_window *v = &job->window;
    const int64_t taps = v->kernel[0] * v->kernel[1] * v->kernel[2];
    const int64_t first =
        (piece->group * job->out_ch + piece->first_ch) * job->in_ch * taps + ch * taps + tap;
    sq_ref_load(job->w, (size_t)first, job->in_ch * taps, (size_t)piece->channels, out);
}

/* ConvTranspose: weights [in][out of a group][kd][kh][kw]. */
static void transpose_weights(const conv_job *job, const conv_piece *piece, int64_t ch, int64_t tap,
                              double *out)
{
    const sq_window *v = &job->window;
    const int64_t taps = v->kernel[0] * v->kernel[1] * v->kernel[2];
    const int64_t first =
        ((piece->group * job->in_ch + ch) * job->out_ch + piece->first_ch) * taps + tap;
    sq_ref_load(job->w, (size_t)first, taps, (size_t)piece->channels, out);
}

/* The sums begin with the bias. */
static void start_rows(const conv_job *job, const conv_piece *piece, double *acc)
{
    const size_t length = (size_t)job->window.out[2];
    double bias[SQ_REF_BLOCK] = {0};
    if (job->b) {
        sq_ref_load(job->b, (size_t)(piece->group * job->out_ch + piece->first_ch), 1,
                    (size_t)piece->channels, bias);
    }
    for (int b = 0; b < piece->channels; b++) {
        for (size_t i = 0; i < length; i++) {
            acc[(size_t)b * length + i] = bias[b];
        }
    }
}

static void finish_rows(const conv_job *job, const conv_piece *piece, double *acc)
{
    const sq_window *v = &job->window;
    const size_t length = (size_t)v->out[2];
    sq_ref_activate(&job->activation, acc, length * (size_t)piece->channels);
    for (int b = 0; b < piece->channels; b++) {
        const int64_t plane =
            (piece->n * v->group + piece->group) * job->out_ch + piece->first_ch + b;
        const int64_t first = ((plane * v->out[0] + piece->od) * v->out[1] + piece->oh) * v->out[2];
        sq_ref_store(job->y, (size_t)first, length, acc + (size_t)b * length);
    }
}

/* Add what one row of input gives to a row of outputs: each tap along the last axis. */
static void conv_row(const conv_job *job, const conv_piece *piece, int64_t ch, int64_t first_tap,
                     const double *row, double *acc)
{
    const sq_window *v = &job->window;
    const size_t length = (size_t)v->out[2];
    for (int64_t kw = 0; kw < v->kernel[2]; kw++) {
        const int64_t offset = kw * v->dilation[2] - v->pad_begin[2];
        int64_t ow;
        const int64_t count = sq_ref_valid_range(v->out[2], v->stride[2], offset, v->in[2], &ow);
        if (count == 0) {
            continue;
        }
        double weights[SQ_REF_BLOCK];
        conv_weights(job, piece, ch, first_tap + kw, weights);
        sq_ref_add_scaled(acc + ow, length, 1, piece->channels, weights,
                          row + ow * v->stride[2] + offset, v->stride[2], (size_t)count);
    }
}

static void conv_run(void *arg, size_t index, int thread)
{
    const conv_job *job = arg;
    const sq_window *v = &job->window;
    const conv_piece piece = piece_of(job, index);
    double *row = sq_ref_rows(job->call, job->doubles, thread);
    double *acc = row + v->in[2];
    start_rows(job, &piece, acc);
    for (int64_t ch = 0; ch < job->in_ch; ch++) {
        for (int64_t kd = 0; kd < v->kernel[0]; kd++) {
            int64_t d, h;
            if (!source_of(piece.od, v->stride[0], kd * v->dilation[0] - v->pad_begin[0], v->in[0],
                           &d)) {
                continue;
            }
            for (int64_t kh = 0; kh < v->kernel[1]; kh++) {
                if (source_of(piece.oh, v->stride[1], kh * v->dilation[1] - v->pad_begin[1],
                              v->in[1], &h)) {
                    load_row(job, &piece, ch, d, h, row);
                    conv_row(job, &piece, ch, (kd * v->kernel[1] + kh) * v->kernel[2], row, acc);
                }
            }
        }
    }
    finish_rows(job, &piece, acc);
}

/* Whether output `to` of a ConvTranspose is reached from an input `*from` by tap `k` of axis `a`.
 */
static bool origin_of(const sq_window *v, int a, int64_t to, int64_t k, int64_t *from)
{
    const int64_t at = to + v->pad_begin[a] - k * v->dilation[a];
    *from = at / v->stride[a];
    return at >= 0 && at % v->stride[a] == 0 && *from < v->in[a];
}

/* Scatter a row of input along the last axis: output ow = iw * stride + offset. */
static void transpose_row(const conv_job *job, const conv_piece *piece, int64_t ch,
                          int64_t first_tap, const double *row, double *acc)
{
    const sq_window *v = &job->window;
    const size_t length = (size_t)v->out[2];
    const int64_t stride = v->stride[2];
    for (int64_t kw = 0; kw < v->kernel[2]; kw++) {
        const int64_t offset = kw * v->dilation[2] - v->pad_begin[2];
        int64_t iw;
        const int64_t count = sq_ref_valid_range(v->in[2], stride, offset, v->out[2], &iw);
        if (count == 0) {
            continue;
        }
        double weights[SQ_REF_BLOCK];
        transpose_weights(job, piece, ch, first_tap + kw, weights);
        sq_ref_add_scaled(acc + iw * stride + offset, length, stride, piece->channels, weights,
                          row + iw, 1, (size_t)count);
    }
}

static void transpose_run(void *arg, size_t index, int thread)
{
    const conv_job *job = arg;
    const sq_window *v = &job->window;
    const conv_piece piece = piece_of(job, index);
    double *row = sq_ref_rows(job->call, job->doubles, thread);
    double *acc = row + v->in[2];
    start_rows(job, &piece, acc);
    for (int64_t ch = 0; ch < job->in_ch; ch++) {
        for (int64_t kd = 0; kd < v->kernel[0]; kd++) {
            int64_t d, h;
            if (!origin_of(v, 0, piece.od, kd, &d)) {
                continue;
            }
            for (int64_t kh = 0; kh < v->kernel[1]; kh++) {
                if (origin_of(v, 1, piece.oh, kh, &h)) {
                    load_row(job, &piece, ch, d, h, row);
                    transpose_row(job, &piece, ch, (kd * v->kernel[1] + kh) * v->kernel[2], row,
                                  acc);
                }
            }
        }
    }
    finish_rows(job, &piece, acc);
}

/* One row of input, SQ_REF_BLOCK rows of output. */
static size_t scratch_doubles(const sq_step *step)
{
    const squall_tensor *x = &step->in[0], *y = &step->out[0];
    size_t doubles;
    if (x->rank == 0 || y->rank == 0 ||
        !sq_mul_size((size_t)y->dims[y->rank - 1], SQ_REF_BLOCK, &doubles) ||
        !sq_add_size(doubles, (size_t)x->dims[x->rank - 1], &doubles)) {
        return SIZE_MAX;
    }
    return doubles;
}

size_t sq_ref_scratch_conv(const sq_step *step, int threads)
{
    return sq_ref_rows_bytes(scratch_doubles(step), threads);
}

static squall_status run_job(const sq_call *call, sq_pool_fn *run, squall_error *err)
{
    const sq_step *step = call->step;
    conv_job job = {.call = call, .x = &step->in[0], .w = &step->in[1], .y = &step->out[0]};
    SQ_TRY(sq_ref_window(step, &job.window, err));
    SQ_TRY(sq_ref_activation_get(step, &job.activation, err));
    job.in_ch = job.x->dims[1] / job.window.group;
    job.out_ch = job.y->dims[1] / job.window.group;
    if (sq_ref_has_input(step, 2)) {
        job.b = &step->in[2];
    }
    job.blocks = (size_t)(job.out_ch + SQ_REF_BLOCK - 1) / SQ_REF_BLOCK;
    job.doubles = scratch_doubles(step);
    if (squall_tensor_count(job.y) == 0) {
        return SQUALL_OK;
    }
    const size_t pieces = (size_t)(job.y->dims[0] * job.window.group) * job.blocks *
                          (size_t)(job.window.out[0] * job.window.out[1]);
    sq_pool_run(call->pool, run, &job, pieces);
    return SQUALL_OK;
}

squall_status sq_ref_conv(const sq_call *call, squall_error *err)
{
    return run_job(call, conv_run, err);
}

squall_status sq_ref_conv_transpose(const sq_call *call, squall_error *err)
{
    return run_job(call, transpose_run, err);
}
