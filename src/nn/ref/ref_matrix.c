/* nn/ref/ref_matrix.c - MatMul and Gemm, their kin of integers, Einsum and Det.
 *
 * A piece of work is up to SQ_REF_BLOCK rows of the result; sums are doubles, or 64-bit integers
 * that wrap. */
#include "nn/ref/ref_ops.h"

#include <math.h>

/* y = a * b, each with its own strides; alpha, beta and c are Gemm's. */
typedef struct product_job {
    const sq_call *call;
    const squall_tensor *a, *b, *c, *y; /* c: NULL for none */
    size_t m, n, k;
    int64_t a_row, a_col, b_row, b_col; /* elements from one to the next */
    int64_t c_row, c_col;               /* 0 where c repeats */
    size_t batches;
    uint32_t batch_rank;
    int64_t batch_dims[SQUALL_MAX_DIMS];
    int64_t a_batch[SQUALL_MAX_DIMS], b_batch[SQUALL_MAX_DIMS]; /* strides, 0 where one repeats */
    double alpha, beta;
    size_t row_blocks;
    sq_ref_activation activation;
    /* of the integer products: NULL for none; one number, or one a row of a or column of b */
    const squall_tensor *a_zero, *b_zero, *a_scale, *b_scale, *y_scale, *y_zero;
} product_job;

/* Where the matrices of batch `batch` begin. */
static void batch_offsets(const product_job *job, size_t batch, size_t *a, size_t *b)
{
    *a = *b = 0;
    for (uint32_t i = job->batch_rank; i-- > 0;) {
        const size_t at = batch % (size_t)job->batch_dims[i];
        batch /= (size_t)job->batch_dims[i];
        *a += at * (size_t)job->a_batch[i];
        *b += at * (size_t)job->b_batch[i];
    }
}

static void product_run(void *arg, size_t index, int thread)
{
    const product_job *job = arg;
    const size_t batch = index / job->row_blocks;
    const size_t first_row = index % job->row_blocks * SQ_REF_BLOCK;
    const size_t left = job->m - first_row;
    const int block = left < SQ_REF_BLOCK ? (int)left : SQ_REF_BLOCK;
    size_t a_at, b_at;
    batch_offsets(job, batch, &a_at, &b_at);
    a_at += first_row * (size_t)job->a_row;
    double *row = sq_ref_rows(job->call, job->n * (SQ_REF_BLOCK + 1), thread);
    double *acc = row + job->n;
    for (size_t i = 0; i < job->n * (size_t)block; i++) {
        acc[i] = 0;
    }
    for (size_t k = 0; k < job->k; k++) {
        double weights[SQ_REF_BLOCK];
        sq_ref_load(job->a, a_at + k * (size_t)job->a_col, job->a_row, (size_t)block, weights);
        sq_ref_load(job->b, b_at + k * (size_t)job->b_row, job->b_col, job->n, row);
        sq_ref_add_scaled(acc, job->n, 1, block, weights, row, 1, job->n);
    }
    for (size_t b = 0; b < (size_t)block; b++) {
        double *sums = acc + b * job->n;
        if (job->c) {
            sq_ref_load(job->c, (first_row + b) * (size_t)job->c_row, job->c_col, job->n, row);
        }
        for (size_t i = 0; i < job->n; i++) {
            sums[i] = job->alpha * sums[i] + (job->c ? job->beta * row[i] : 0);
        }
        sq_ref_activate(&job->activation, sums, job->n);
        sq_ref_store(job->y, (batch * job->m + first_row + b) * job->n, job->n, sums);
    }
}

/* Number `at` of a list, or the one that stands for all. */
static int64_t zero_at(const squall_tensor *zero, size_t at)
{
    if (!zero) {
        return 0;
    }
    return sq_tensor_get_int(zero, squall_tensor_count(zero) == 1 ? 0 : at);
}

static float scale_at(const squall_tensor *scale, size_t at)
{
    return (float)sq_tensor_get_double(scale, squall_tensor_count(scale) == 1 ? 0 : at);
}

static void product_run_int(void *arg, size_t index, int thread)
{
    (void)thread;
    const product_job *job = arg;
    const size_t batch = index / job->row_blocks;
    const size_t first_row = index % job->row_blocks * SQ_REF_BLOCK;
    size_t a_at, b_at;
    batch_offsets(job, batch, &a_at, &b_at);
    for (size_t m = first_row; m < first_row + SQ_REF_BLOCK && m < job->m; m++) {
        for (size_t n = 0; n < job->n; n++) {
            uint64_t sum = 0;
            for (size_t k = 0; k < job->k; k++) {
                const int64_t a = sq_tensor_get_int(job->a, a_at + m * (size_t)job->a_row +
                                                                k * (size_t)job->a_col);
                const int64_t b = sq_tensor_get_int(job->b, b_at + k * (size_t)job->b_row +
                                                                n * (size_t)job->b_col);
                sum += ((uint64_t)a - (uint64_t)zero_at(job->a_zero, m)) *
                       ((uint64_t)b - (uint64_t)zero_at(job->b_zero, n));
            }
            const size_t to = (batch * job->m + m) * job->n + n;
            const int64_t value = (int64_t)sum;
            if (job->y_scale) {
                const float scale = scale_at(job->a_scale, m) * scale_at(job->b_scale, n) /
                                    scale_at(job->y_scale, 0);
                sq_ref_requantise(job->y, to, value, scale, zero_at(job->y_zero, 0));
            } else {
                sq_ref_store_int(job->y, to, 1, &value);
            }
        }
    }
}

static void run_job(product_job *job, bool as_int)
{
    if (squall_tensor_count(job->y) == 0) {
        return;
    }
    job->row_blocks = (job->m + SQ_REF_BLOCK - 1) / SQ_REF_BLOCK;
    sq_pool_run(job->call->pool, as_int ? product_run_int : product_run, job,
                job->batches * job->row_blocks);
}

/* One row of b, SQ_REF_BLOCK rows of sums, of the length of y's rows. */
size_t sq_ref_scratch_matmul(const sq_step *step, int threads)
{
    const squall_tensor *y = &step->out[0], *b = &step->in[1];
    const bool column = step->op == SQ_OP_MatMul && b->rank == 1; /* y has no axis for b's */
    const size_t n = column || y->rank == 0 ? 1 : (size_t)y->dims[y->rank - 1];
    size_t doubles;
    if (!sq_mul_size(n, SQ_REF_BLOCK + 1, &doubles)) {
        return SIZE_MAX;
    }
    return sq_ref_rows_bytes(doubles, threads);
}

/* Strides of the batch axes of one operand over those of the result. */
static void batch_strides(const product_job *job, const squall_tensor *tensor, uint32_t batch_rank,
                          int64_t *out)
{
    int64_t own[SQUALL_MAX_DIMS];
    sq_ref_strides(tensor, own);
    const uint32_t lead = job->batch_rank - batch_rank;
    for (uint32_t i = 0; i < job->batch_rank; i++) {
        out[i] = i < lead || tensor->dims[i - lead] == 1 ? 0 : own[i - lead];
    }
}

/* As NumPy's matmul: a vector is a row on the left and a column on the right. */
static product_job matmul_job(const sq_call *call, const squall_tensor *a, const squall_tensor *b)
{
    product_job job = {
        .call = call, .a = a, .b = b, .y = &call->step->out[0], .alpha = 1, .batches = 1};
    job.k = (size_t)a->dims[a->rank - 1];
    job.m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
    job.n = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
    job.a_row = (int64_t)job.k;
    job.a_col = 1;
    job.b_row = (int64_t)job.n;
    job.b_col = 1;
    const uint32_t a_batch = a->rank > 2 ? a->rank - 2 : 0, b_batch = b->rank > 2 ? b->rank - 2 : 0;
    job.batch_rank = a_batch > b_batch ? a_batch : b_batch;
    for (uint32_t i = 0; i < job.batch_rank; i++) {
        job.batch_dims[i] = job.y->dims[i];
        job.batches *= (size_t)job.y->dims[i];
    }
    batch_strides(&job, a, a_batch, job.a_batch);
    batch_strides(&job, b, b_batch, job.b_batch);
    return job;
}

squall_status sq_ref_matmul(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    product_job job = matmul_job(call, &step->in[0], &step->in[1]);
    run_job(&job, !sq_ref_is_float(step->in[0].dtype));
    return SQUALL_OK;
}

squall_status sq_ref_matmul_integer(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    product_job job = matmul_job(call, &step->in[0], &step->in[1]);
    job.a_zero = sq_ref_has_input(step, 2) ? &step->in[2] : NULL;
    job.b_zero = sq_ref_has_input(step, 3) ? &step->in[3] : NULL;
    run_job(&job, true);
    return SQUALL_OK;
}

squall_status sq_ref_qlinear_matmul(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *in = call->step->in;
    product_job job = matmul_job(call, &in[0], &in[3]);
    job.a_scale = &in[1];
    job.a_zero = &in[2];
    job.b_scale = &in[4];
    job.b_zero = &in[5];
    job.y_scale = &in[6];
    job.y_zero = &in[7];
    run_job(&job, true);
    return SQUALL_OK;
}

squall_status sq_ref_gemm(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *a = &step->in[0], *b = &step->in[1];
    product_job job = {.call = call, .a = a, .b = b, .y = &step->out[0], .batches = 1};
    job.alpha = sq_attr_float(step->attrs, "alpha", 1);
    job.beta = sq_attr_float(step->attrs, "beta", 1);
    const bool a_turned = sq_attr_int(step->attrs, "transA", 0) != 0;
    const bool b_turned = sq_attr_int(step->attrs, "transB", 0) != 0;
    job.m = (size_t)job.y->dims[0];
    job.n = (size_t)job.y->dims[1];
    job.k = (size_t)a->dims[a_turned ? 0 : 1];
    job.a_row = a_turned ? 1 : a->dims[1];
    job.a_col = a_turned ? a->dims[1] : 1;
    job.b_row = b_turned ? 1 : b->dims[1];
    job.b_col = b_turned ? b->dims[1] : 1;
    if (sq_ref_has_input(step, 2)) {
        sq_ref_walk walk; /* for its check that c broadcasts to y */
        SQ_TRY(sq_ref_walk_init(&walk, job.y, &step->in[2], 1, step->name, err));
        job.c = &step->in[2];
        const uint32_t rank = job.c->rank;
        const int64_t columns = rank > 0 ? job.c->dims[rank - 1] : 1;
        job.c_col = columns > 1 ? 1 : 0;
        job.c_row = rank > 1 && job.c->dims[0] > 1 ? columns : 0;
    }
    SQ_TRY(sq_ref_activation_get(step, &job.activation, err));
    run_job(&job, false);
    return SQUALL_OK;
}

/* Gauss's elimination with the largest pivot of the column, on a copy in scratch memory. */
static double determinant(double *m, size_t n)
{
    double product = 1;
    for (size_t k = 0; k < n; k++) {
        size_t best = k;
        for (size_t row = k + 1; row < n; row++) {
            best = fabs(m[row * n + k]) > fabs(m[best * n + k]) ? row : best;
        }
        if (m[best * n + k] == 0) {
            return 0;
        }
        for (size_t i = k; i < n && best != k; i++) {
            const double held = m[k * n + i];
            m[k * n + i] = m[best * n + i];
            m[best * n + i] = held;
        }
        product *= best != k ? -m[k * n + k] : m[k * n + k];
        for (size_t row = k + 1; row < n; row++) {
            const double times = m[row * n + k] / m[k * n + k];
            for (size_t i = k; i < n; i++) {
                m[row * n + i] -= times * m[k * n + i];
            }
        }
    }
    return product;
}

size_t sq_ref_scratch_det(const sq_step *step, int threads)
{
    (void)threads;
    const squall_tensor *in = &step->in[0];
    const size_t n = in->rank > 1 ? (size_t)in->dims[in->rank - 1] : 0;
    size_t doubles;
    return sq_mul_size(n, n, &doubles) ? sq_ref_rows_bytes(doubles, 1) : SIZE_MAX;
}

squall_status sq_ref_det(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const size_t n = (size_t)in->dims[in->rank - 1];
    const size_t matrices = squall_tensor_count(out);
    double *matrix = call->scratch;
    for (size_t i = 0; i < matrices; i++) {
        sq_ref_load(in, i * n * n, 1, n * n, matrix);
        const double value = determinant(matrix, n);
        sq_ref_store(out, i, 1, &value);
    }
    return SQUALL_OK;
}

typedef struct einsum_job {
    const sq_step *step;
    sq_einsum sums;
    size_t terms; /* of each sum */
} einsum_job;

/* A piece of work is one number of the result; its sum runs over the axes that are not in it. */
static void einsum_run(void *arg, size_t index, int thread)
{
    (void)thread;
    const einsum_job *job = arg;
    const sq_einsum *sums = &job->sums;
    const sq_step *step = job->step;
    const bool as_int = !sq_ref_is_float(step->out[0].dtype);
    size_t at[SQ_MAX_INPUTS] = {0}, left = index;
    for (uint32_t i = sums->out_rank; i-- > 0;) {
        const size_t place = left % (size_t)sums->dims[i];
        left /= (size_t)sums->dims[i];
        for (uint32_t k = 0; k < step->in_count; k++) {
            at[k] += place * (size_t)sums->stride[k][i];
        }
    }
    double sum = 0;
    uint64_t sum_int = 0;
    for (size_t term = 0; term < job->terms; term++) {
        double product = 1;
        uint64_t product_int = 1;
        for (uint32_t k = 0; k < step->in_count; k++) {
            size_t from = at[k], rest = term;
            for (uint32_t i = sums->axes; i-- > sums->out_rank;) {
                from += rest % (size_t)sums->dims[i] * (size_t)sums->stride[k][i];
                rest /= (size_t)sums->dims[i];
            }
            if (as_int) {
                product_int *= (uint64_t)sq_tensor_get_int(&step->in[k], from);
            } else {
                product *= sq_tensor_get_double(&step->in[k], from);
            }
        }
        sum += product;
        sum_int += product_int;
    }
    if (as_int) {
        const int64_t value = (int64_t)sum_int;
        sq_ref_store_int(&step->out[0], index, 1, &value);
    } else {
        sq_ref_store(&step->out[0], index, 1, &sum);
    }
}

squall_status sq_ref_einsum(const sq_call *call, squall_error *err)
{
    einsum_job job = {.step = call->step, .terms = 1};
    SQ_TRY(sq_op_einsum(call->step, &job.sums, err));
    for (uint32_t i = job.sums.out_rank; i < job.sums.axes; i++) {
        if (!sq_mul_size(job.terms, (size_t)job.sums.dims[i], &job.terms)) {
            return sq_fail(err, SQUALL_E_LIMIT, call->step->name, "its sums overflow");
        }
    }
    sq_pool_run(call->pool, einsum_run, &job, squall_tensor_count(&call->step->out[0]));
    return SQUALL_OK;
}
