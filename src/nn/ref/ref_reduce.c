/* nn/ref/ref_reduce.c - reductions over a set of axes.
 *
 * Sums are doubles: integers are exact up to 2^53. */
#include "nn/ref/ref_ops.h"

#include <math.h>

/* Take `count` numbers into acc[0], acc[move], ...; move is 0 when they all go into one. */
typedef void reduce_fn(double *acc, size_t move, const double *x, size_t count,
                       const double *shift);

#define REDUCE(name, expression)                                               \
    static void name(double *acc, size_t move, const double *in, size_t count, \
                     const double *shift)                                      \
    {                                                                          \
        (void)shift;                                                           \
        for (size_t i = 0; i < count; i++) {                                   \
            const double a = acc[i * move], x = in[i];                         \
            acc[i * move] = (expression);                                      \
        }                                                                      \
    }

REDUCE(take_sum, a + x)
REDUCE(take_product, a *x)
REDUCE(take_magnitude, a + fabs(x))
REDUCE(take_square, a + x * x)
REDUCE(take_most, isnan(a) || a > x ? a : x)
REDUCE(take_least, isnan(a) || a < x ? a : x)
REDUCE(take_exp, a + exp(x - shift[i * move]))

typedef struct reduce_row {
    reduce_fn *take;
    double start;
} reduce_row;

static const reduce_row rows[] = {
    [SQ_OP_ReduceMean] = {take_sum, 0},         [SQ_OP_ReduceSum] = {take_sum, 0},
    [SQ_OP_ReduceMax] = {take_most, -INFINITY}, [SQ_OP_ReduceMin] = {take_least, INFINITY},
    [SQ_OP_ReduceProd] = {take_product, 1},     [SQ_OP_ReduceL1] = {take_magnitude, 0},
    [SQ_OP_ReduceL2] = {take_square, 0},        [SQ_OP_ReduceLogSum] = {take_sum, 0},
    [SQ_OP_ReduceLogSumExp] = {take_exp, 0},    [SQ_OP_ReduceSumSquare] = {take_square, 0},
};

/* The axes of the input, sorted: those kept, those reduced, and the last, which may be either. */
typedef struct reduce_job {
    const sq_step *step;
    uint32_t kept_rank, gone_rank;
    size_t kept_dims[SQUALL_MAX_DIMS], kept_stride[SQUALL_MAX_DIMS];
    size_t gone_dims[SQUALL_MAX_DIMS], gone_stride[SQUALL_MAX_DIMS];
    size_t kept, gone; /* products of the sizes */
    size_t length;     /* of the last axis */
    bool last_gone;
} reduce_job;

static size_t offset_of(uint32_t rank, const size_t *dims, const size_t *stride, size_t index)
{
    size_t offset = 0;
    for (uint32_t i = rank; i-- > 0;) {
        offset += index % dims[i] * stride[i];
        index /= dims[i];
    }
    return offset;
}

/* Which axes go: an attribute before opset 18 (ReduceSum: 13), an input since; none means all, or
 * nothing if attribute noop_with_empty_axes says so. */
static squall_status find_axes(const sq_step *step, bool *gone, squall_error *err)
{
    const uint32_t rank = step->in[0].rank;
    size_t count = 0;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    const bool by_input = sq_ref_has_input(step, 1);
    if (by_input) {
        count = squall_tensor_count(&step->in[1]);
    }
    const bool noop = sq_attr_int(step->attrs, "noop_with_empty_axes", 0) != 0;
    for (uint32_t i = 0; i < rank; i++) {
        gone[i] = count == 0 && !noop;
    }
    for (size_t i = 0; i < count; i++) {
        const int64_t given = by_input ? sq_tensor_get_int(&step->in[1], i) : axes[i];
        int64_t axis;
        SQ_TRY(sq_ref_axis_find(step, given, rank, &axis, err));
        gone[axis] = true;
    }
    return SQUALL_OK;
}

static void sort_axes(const squall_tensor *x, const bool *gone, reduce_job *job)
{
    job->kept = job->gone = job->length = 1;
    size_t stride = 1;
    bool first = true; /* until the last axis of more than one element is seen */
    for (uint32_t i = x->rank; i-- > 0;) {
        const size_t size = (size_t)x->dims[i];
        if (size == 1) {
            continue;
        }
        if (first || (job->last_gone == gone[i] && job->kept_rank + job->gone_rank == 0)) {
            job->length *= size; /* neighbours of one kind are one axis */
            job->last_gone = gone[i];
            first = false;
        } else if (gone[i]) {
            job->gone *= size;
            job->gone_dims[job->gone_rank] = size;
            job->gone_stride[job->gone_rank++] = stride;
        } else {
            job->kept *= size;
            job->kept_dims[job->kept_rank] = size;
            job->kept_stride[job->kept_rank++] = stride;
        }
        stride *= size;
    }
    /* collected from the last to the first; offset_of() counts the other way */
    for (uint32_t i = 0; i < job->kept_rank / 2; i++) {
        const uint32_t j = job->kept_rank - 1 - i;
        const size_t size = job->kept_dims[i], apart = job->kept_stride[i];
        job->kept_dims[i] = job->kept_dims[j];
        job->kept_stride[i] = job->kept_stride[j];
        job->kept_dims[j] = size;
        job->kept_stride[j] = apart;
    }
}

/* Take all that goes into elements at..at+count-1 of the last axis (if it is kept) or into one. */
static void take_all(const reduce_job *job, reduce_fn *take, size_t base, size_t at, size_t count,
                     double *acc, const double *shift)
{
    double values[SQ_REF_RUN];
    for (size_t gone = 0; gone < job->gone; gone++) {
        const size_t from =
            base + offset_of(job->gone_rank, job->gone_dims, job->gone_stride, gone);
        if (!job->last_gone) {
            sq_ref_load(&job->step->in[0], from + at, 1, count, values);
            take(acc, 1, values, count, shift);
            continue;
        }
        for (size_t i = 0; i < job->length; i += SQ_REF_RUN) {
            const size_t run = job->length - i < SQ_REF_RUN ? job->length - i : SQ_REF_RUN;
            sq_ref_load(&job->step->in[0], from + i, 1, run, values);
            take(acc, 0, values, run, shift);
        }
    }
}

/* What the sums become in the end; `total` numbers went into each. */
static void finish(sq_op op, double *acc, size_t count, double total, const double *shift)
{
    for (size_t i = 0; i < count; i++) {
        switch (op) {
        case SQ_OP_ReduceMean:
            acc[i] /= total;
            break;
        case SQ_OP_ReduceL2:
            acc[i] = sqrt(acc[i]);
            break;
        case SQ_OP_ReduceLogSum:
            acc[i] = log(acc[i]);
            break;
        case SQ_OP_ReduceLogSumExp:
            acc[i] = log(acc[i]) + shift[i];
            break;
        default:
            break;
        }
    }
}

/* Elements `at`.. of a row of the output. */
static void reduce_run(const reduce_job *job, size_t base, size_t at, size_t count, size_t to)
{
    const sq_op op = job->step->op;
    double acc[SQ_REF_RUN], shift[SQ_REF_RUN];
    for (size_t i = 0; i < count; i++) {
        acc[i] = rows[op].start;
        shift[i] = -INFINITY;
    }
    if (op == SQ_OP_ReduceLogSumExp) { /* the largest comes out of the exponentials: no overflow */
        take_all(job, take_most, base, at, count, shift, shift);
        for (size_t i = 0; i < count; i++) {
            shift[i] = isinf(shift[i]) ? 0 : shift[i];
        }
    }
    take_all(job, rows[op].take, base, at, count, acc, shift);
    const size_t total = job->gone * (job->last_gone ? job->length : 1);
    finish(op, acc, count, (double)total, shift);
    const squall_tensor *out = &job->step->out[0];
    for (size_t i = 0; i < count && out->dtype == SQUALL_BOOL; i++) {
        acc[i] = acc[i] > 0; /* the least of none is true, the largest of none false */
    }
    sq_ref_store(out, to, count, acc);
}

squall_status sq_ref_reduce(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    reduce_job job = {.step = step};
    bool gone[SQUALL_MAX_DIMS] = {false};
    SQ_TRY(find_axes(step, gone, err));
    sort_axes(&step->in[0], gone, &job);
    if (squall_tensor_count(&step->out[0]) == 0) {
        return SQUALL_OK;
    }
    const size_t row = job.last_gone ? 1 : job.length;
    for (size_t kept = 0; kept < job.kept; kept++) {
        const size_t base = offset_of(job.kept_rank, job.kept_dims, job.kept_stride, kept);
        for (size_t at = 0; at < row; at += SQ_REF_RUN) {
            const size_t count = row - at < SQ_REF_RUN ? row - at : SQ_REF_RUN;
            reduce_run(&job, base, at, count, kept * row + at);
        }
    }
    return SQUALL_OK;
}
