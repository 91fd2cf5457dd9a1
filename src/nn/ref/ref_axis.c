/* nn/ref/ref_axis.c - what runs along one axis: Softmax and its kin, CumSum and CumProd, ArgMax. */
#include "nn/ref/ref_ops.h"

#include <math.h>

/* A line of elements, `step` apart. */
typedef struct line {
    const squall_tensor *in, *out;
    size_t first, length;
    int64_t step;
} line;

/* Elements at, at + 1, ... of a line as doubles, as many as a run holds; returns how many. */
static size_t line_load(const line *along, size_t at, double *values)
{
    const size_t left = along->length - at;
    const size_t count = left < SQ_REF_RUN ? left : SQ_REF_RUN;
    sq_ref_load(along->in, along->first + at * (size_t)along->step, along->step, count, values);
    return count;
}

static void line_store(const line *along, size_t at, double value)
{
    sq_ref_store(along->out, along->first + at * (size_t)along->step, 1, &value);
}

static void softmax_line(const line *along, bool log_of)
{
    double values[SQ_REF_RUN];
    double most = -INFINITY, sum = 0;
    for (size_t at = 0, count; at < along->length; at += count) {
        count = line_load(along, at, values);
        for (size_t i = 0; i < count; i++) {
            most = values[i] > most || isnan(values[i]) ? values[i] : most;
        }
    }
    for (size_t at = 0, count; at < along->length; at += count) {
        count = line_load(along, at, values);
        for (size_t i = 0; i < count; i++) {
            sum += exp(values[i] - most);
        }
    }
    const double log_sum = log(sum);
    for (size_t at = 0, count; at < along->length; at += count) {
        count = line_load(along, at, values);
        for (size_t i = 0; i < count; i++) {
            const double x = values[i] - most;
            line_store(along, at + i, log_of ? x - log_sum : exp(x) / sum);
        }
    }
}

/* The first (or last) of the largest; a NaN is larger than all, as NumPy has it. */
static size_t largest_in(const line *along, bool last)
{
    double values[SQ_REF_RUN];
    double most = 0;
    size_t best = 0;
    for (size_t at = 0, count; at < along->length; at += count) {
        count = line_load(along, at, values);
        for (size_t i = 0; i < count; i++) {
            const double x = values[i];
            const bool first_of_all = at + i == 0;
            const bool more = isnan(x) ? !isnan(most) || last : x > most;
            if (first_of_all || more || (last && x == most)) {
                most = x;
                best = at + i;
            }
        }
    }
    return best;
}

static size_t least_in(const line *along, bool last)
{
    double values[SQ_REF_RUN];
    double least = 0;
    size_t best = 0;
    for (size_t at = 0, count; at < along->length; at += count) {
        count = line_load(along, at, values);
        for (size_t i = 0; i < count; i++) {
            const double x = values[i];
            const bool first_of_all = at + i == 0;
            const bool less = isnan(x) ? !isnan(least) || last : x < least;
            if (first_of_all || less || (last && x == least)) {
                least = x;
                best = at + i;
            }
        }
    }
    return best;
}

static void hardmax_line(const line *along)
{
    const size_t best = largest_in(along, false);
    for (size_t i = 0; i < along->length; i++) {
        line_store(along, i, i == best);
    }
}

/* Since opset 13 along one axis; before, along all from `axis` on, as one. */
squall_status sq_ref_softmax(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const bool flat = step->attrs->opset < 13;
    const int64_t given = sq_attr_int(step->attrs, "axis", flat ? 1 : -1);
    int64_t axis = given;
    if (!flat || given != (int64_t)x->rank) {
        SQ_TRY(sq_ref_axis_find(step, given, x->rank, &axis, err));
    }
    sq_ref_axis over = {.outer = sq_ref_product(x->dims, 0, (uint32_t)axis),
                        .length = sq_ref_product(x->dims, (uint32_t)axis, x->rank),
                        .inner = 1};
    if (!flat) {
        over = sq_ref_axis_of(x, axis);
    }
    for (size_t outer = 0; outer < over.outer && over.length > 0; outer++) {
        for (size_t inner = 0; inner < over.inner; inner++) {
            const line along = {.in = x,
                                .out = &step->out[0],
                                .first = outer * over.length * over.inner + inner,
                                .length = over.length,
                                .step = (int64_t)over.inner};
            if (step->op == SQ_OP_Hardmax) {
                hardmax_line(&along);
            } else {
                softmax_line(&along, step->op == SQ_OP_LogSoftmax);
            }
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_arg_reduce(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const bool last = sq_attr_int(step->attrs, "select_last_index", 0) != 0;
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), x->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(x, axis);
    for (size_t outer = 0; outer < over.outer; outer++) {
        for (size_t inner = 0; inner < over.inner; inner++) {
            const line along = {.in = x,
                                .first = outer * over.length * over.inner + inner,
                                .length = over.length,
                                .step = (int64_t)over.inner};
            const int64_t best = (int64_t)(step->op == SQ_OP_ArgMax ? largest_in(&along, last)
                                                                    : least_in(&along, last));
            sq_ref_store_int(&step->out[0], outer * over.inner + inner, 1, &best);
        }
    }
    return SQUALL_OK;
}

/* Sums, or products, of all that came before. */
static void cumulate_line(const line *along, bool product, bool exclusive, bool reverse)
{
    const bool as_int = !sq_ref_is_float(along->in->dtype);
    double sum = product;
    uint64_t sum_int = product;
    for (size_t i = 0; i < along->length; i++) {
        const size_t at = reverse ? along->length - 1 - i : i;
        const size_t index = along->first + at * (size_t)along->step;
        const double before = sum;
        const uint64_t before_int = sum_int;
        if (as_int) {
            const uint64_t x = (uint64_t)sq_tensor_get_int(along->in, index);
            sum_int = product ? sum_int * x : sum_int + x;
            const int64_t value = (int64_t)(exclusive ? before_int : sum_int);
            sq_ref_store_int(along->out, index, 1, &value);
        } else {
            const double x = sq_tensor_get_double(along->in, index);
            sum = product ? sum * x : sum + x;
            line_store(along, at, exclusive ? before : sum);
        }
    }
}

squall_status sq_ref_cumsum(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const bool exclusive = sq_attr_int(step->attrs, "exclusive", 0) != 0;
    const bool reverse = sq_attr_int(step->attrs, "reverse", 0) != 0;
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_tensor_get_int(&step->in[1], 0), x->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(x, axis);
    for (size_t outer = 0; outer < over.outer; outer++) {
        for (size_t inner = 0; inner < over.inner; inner++) {
            const line along = {.in = x,
                                .out = &step->out[0],
                                .first = outer * over.length * over.inner + inner,
                                .length = over.length,
                                .step = (int64_t)over.inner};
            cumulate_line(&along, step->op == SQ_OP_CumProd, exclusive, reverse);
        }
    }
    return SQUALL_OK;
}
