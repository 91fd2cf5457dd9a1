/* nn/ref/ref_select.c - what is chosen by its value: TopK, NonZero, Compress, Unique, boxes. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

/* Below, at or above 0, as number `a` is less than, equal to or more than `b`; NaN is the most. */
static int compare_numbers(const squall_tensor *x, size_t a, size_t b)
{
    if (sq_ref_is_float(x->dtype)) {
        const double first = sq_tensor_get_double(x, a), second = sq_tensor_get_double(x, b);
        if (isnan(first) || isnan(second)) {
            return (isnan(first) != 0) - (isnan(second) != 0);
        }
        return (first > second) - (first < second);
    }
    const int64_t first = sq_tensor_get_int(x, a), second = sq_tensor_get_int(x, b);
    if (x->dtype == SQUALL_U64) {
        return ((uint64_t)first > (uint64_t)second) - ((uint64_t)first < (uint64_t)second);
    }
    return (first > second) - (first < second);
}

/* The places of the k numbers chosen so far, best first. */
size_t sq_ref_scratch_top_k(const sq_step *step, int threads)
{
    (void)threads;
    const squall_tensor *out = &step->out[0];
    size_t most = 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        most = (size_t)out->dims[i] > most ? (size_t)out->dims[i] : most;
    }
    return sq_ref_rows_bytes(most, 1);
}

/* Put place `at` where it belongs among the `count` best of at most `most`; of equals the earlier
 * is the better. Returns how many there are then. */
static size_t insert(const squall_tensor *x, size_t first, size_t step, bool largest, size_t at,
                     int64_t *best, size_t count, size_t most)
{
    size_t to = count;
    while (to > 0) {
        const int order =
            compare_numbers(x, first + at * step, first + (size_t)best[to - 1] * step);
        if (largest ? order <= 0 : order >= 0) {
            break;
        }
        to--;
    }
    if (to == most) {
        return count;
    }
    const size_t kept = count < most ? count : most - 1;
    memmove(best + to + 1, best + to, (kept - to) * sizeof *best);
    best[to] = (int64_t)at;
    return kept + 1;
}

squall_status sq_ref_top_k(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *out = &step->out[0];
    const bool largest = sq_attr_int(step->attrs, "largest", 1) != 0;
    const size_t size = squall_dtype_size(x->dtype);
    int64_t axis, *best = call->scratch;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", -1), x->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(x, axis);
    const size_t k = (size_t)out->dims[axis];
    for (size_t row = 0; row < over.outer * over.inner && k > 0; row++) {
        const size_t outer = row / over.inner, inner = row % over.inner;
        const size_t first = outer * over.length * over.inner + inner;
        size_t count = 0;
        for (size_t at = 0; at < over.length; at++) {
            count = insert(x, first, over.inner, largest, at, best, count, k);
        }
        for (size_t i = 0; i < k; i++) {
            const size_t to = (outer * k + i) * over.inner + inner;
            memcpy((char *)out->data + to * size,
                   (const char *)x->data + (first + (size_t)best[i] * over.inner) * size, size);
            if (sq_ref_has_output(step, 1)) {
                sq_ref_store_int(&step->out[1], to, 1, &best[i]);
            }
        }
    }
    return SQUALL_OK;
}

/* Column by column the places of a number that is not 0. */
squall_status sq_ref_non_zero(const sq_call *call, squall_error *err)
{
    (void)err;
    const squall_tensor *x = &call->step->in[0], *out = &call->step->out[0];
    const size_t total = squall_tensor_count(x), found = (size_t)out->dims[1];
    size_t column = 0;
    for (size_t i = 0; i < total; i++) {
        if (sq_tensor_get_double(x, i) == 0) {
            continue;
        }
        size_t rest = i;
        for (uint32_t k = x->rank; k-- > 0;) {
            const int64_t place = (int64_t)(rest % (size_t)x->dims[k]);
            rest /= (size_t)x->dims[k];
            sq_ref_store_int(out, k * found + column, 1, &place);
        }
        column++;
    }
    return SQUALL_OK;
}

squall_status sq_ref_compress(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *condition = &step->in[1];
    sq_ref_axis over = {.outer = 1, .length = squall_tensor_count(x), .inner = 1};
    if (sq_attr_find(step->attrs, "axis")) {
        int64_t axis;
        SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", 0), x->rank, &axis, err));
        over = sq_ref_axis_of(x, axis);
    }
    const size_t run = over.inner * squall_dtype_size(x->dtype);
    char *to = step->out[0].data;
    for (size_t outer = 0; outer < over.outer && run > 0; outer++) {
        for (size_t i = 0; i < (size_t)condition->dims[0]; i++) {
            if (sq_tensor_get_int(condition, i) != 0) {
                memcpy(to, (const char *)x->data + (outer * over.length + i) * run, run);
                to += run;
            }
        }
    }
    return SQUALL_OK;
}

/* The first place of each slice that differs. */
size_t sq_ref_scratch_unique(const sq_step *step, int threads)
{
    (void)threads;
    sq_slices slices;
    if (sq_op_slices(step, &slices, NULL) != SQUALL_OK) {
        return SIZE_MAX;
    }
    return sq_ref_rows_bytes(slices.count, 1);
}

/* Copy slice `from` of the input to slice `to` of the output, which has `count`. */
static void copy_slice(const sq_slices *slices, const squall_tensor *out, size_t from, size_t to,
                       size_t count)
{
    const size_t run = slices->inner * squall_dtype_size(out->dtype);
    for (size_t outer = 0; outer < slices->outer && run > 0; outer++) {
        memcpy((char *)out->data + (outer * count + to) * run,
               (const char *)slices->tensor->data + (outer * slices->count + from) * run, run);
    }
}

squall_status sq_ref_unique(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const bool sorted = sq_attr_int(step->attrs, "sorted", 1) != 0;
    sq_slices slices;
    SQ_TRY(sq_op_slices(step, &slices, err));
    int64_t *first = call->scratch;
    size_t unique = 0;
    for (size_t i = 0; i < slices.count; i++) { /* insert it where it belongs, if it is new */
        size_t at = 0;
        bool seen = false;
        for (size_t j = 0; j < unique && !seen; j++) {
            const int order = sq_op_slices_compare(&slices, (size_t)first[j], i);
            seen = order == 0;
            at += !sorted || order < 0;
        }
        if (!seen) {
            memmove(first + at + 1, first + at, (unique - at) * sizeof *first);
            first[at] = (int64_t)i;
            unique++;
        }
    }
    for (size_t j = 0; j < unique; j++) {
        copy_slice(&slices, &step->out[0], (size_t)first[j], j, unique);
        int64_t count = 0;
        for (size_t i = 0; i < slices.count; i++) {
            if (sq_op_slices_compare(&slices, (size_t)first[j], i) == 0) {
                const int64_t number = (int64_t)j;
                count++;
                if (sq_ref_has_output(step, 2)) {
                    sq_ref_store_int(&step->out[2], i, 1, &number);
                }
            }
        }
        if (sq_ref_has_output(step, 1)) {
            sq_ref_store_int(&step->out[1], j, 1, &first[j]);
        }
        if (sq_ref_has_output(step, 3)) {
            sq_ref_store_int(&step->out[3], j, 1, &count);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_non_max_suppression(const sq_call *call, squall_error *err)
{
    int64_t count;
    return sq_op_select_boxes(call->step, call->step->out[0].data, &count, err);
}
