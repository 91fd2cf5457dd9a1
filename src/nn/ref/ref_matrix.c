/* nn/ref/ref_matrix.c - MatMul and Gemm.
 *
 * A piece of work is up to SQ_REF_BLOCK rows of the result; sums are doubles, or 64-bit integers
 * that wrap. */
#include "nn/ref/ref_ops.h"

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
                sum += (uint64_t)a * (uint64_t)b;
            }
            const int64_t value = (int64_t)sum;
            sq_ref_store_int(job->y, (batch * job->m + m) * job->n + n, 1, &value);
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
squall_status sq_ref_matmul(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *a = &step->in[0], *b = &step->in[1];
    product_job job = {.call = call, .a = a, .b = b, .y = &step->out[0], .alpha = 1, .batches = 1};
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
    run_job(&job, !sq_ref_is_float(a->dtype));
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
