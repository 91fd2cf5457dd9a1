/* nn/ref/ref_loss.c - losses of a classification. */
#include "nn/ref/ref_ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The scores of one place, `stride` apart, as NegativeLogLikelihoodLoss takes them or, first, as
 * the logarithm of their softmax. */
typedef struct loss_row {
    const squall_tensor *x;
    size_t first, classes, stride;
    double shift; /* what comes off each */
} loss_row;

static loss_row row_at(const sq_step *step, size_t n, size_t place, size_t places)
{
    const squall_tensor *x = &step->in[0];
    loss_row row = {.x = x, .classes = (size_t)x->dims[1], .stride = places};
    row.first = n * row.classes * places + place;
    if (step->op != SQ_OP_SoftmaxCrossEntropyLoss) {
        return row;
    }
    double most = -INFINITY, sum = 0;
    for (size_t c = 0; c < row.classes; c++) {
        const double value = sq_tensor_get_double(x, row.first + c * places);
        most = value > most || isnan(value) ? value : most;
    }
    for (size_t c = 0; c < row.classes; c++) {
        sum += exp(sq_tensor_get_double(x, row.first + c * places) - most);
    }
    row.shift = most + log(sum);
    return row;
}

static double score_of(const loss_row *row, size_t c)
{
    return sq_tensor_get_double(row->x, row->first + c * row->stride) - row->shift;
}

squall_status sq_ref_loss(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *target = &step->in[1];
    const char *reduction = sq_attr_string(step->attrs, "reduction", "mean");
    const bool each = strcmp(reduction, "none") == 0, mean = strcmp(reduction, "mean") == 0;
    const bool ignores = sq_attr_find(step->attrs, "ignore_index") != NULL;
    const int64_t ignored = sq_attr_int(step->attrs, "ignore_index", 0);
    const size_t places = sq_ref_product(x->dims, 2, x->rank);
    const size_t total = squall_tensor_count(target);
    double sum = 0, weights = 0;
    for (size_t i = 0; i < total; i++) {
        const loss_row row = row_at(step, i / places, i % places, places);
        const int64_t class = sq_tensor_get_int(target, i);
        double loss = 0, weight = 0;
        if (!ignores || class != ignored) {
            if (class < 0 || class >= x->dims[1]) {
                return sq_fail(err, SQUALL_E_SHAPE, step->name, "class %" PRId64 " of %" PRId64,
                               class, x->dims[1]);
            }
            weight =
                sq_ref_has_input(step, 2) ? sq_tensor_get_double(&step->in[2], (size_t) class) : 1;
            loss = -score_of(&row, (size_t) class) * weight;
        }
        sum += loss;
        weights += weight;
        if (each) {
            sq_ref_store(&step->out[0], i, 1, &loss);
        }
        for (size_t c = 0; sq_ref_has_output(step, 1) && c < row.classes; c++) {
            const double score = score_of(&row, c);
            sq_ref_store(&step->out[1], row.first + c * row.stride, 1, &score);
        }
    }
    if (!each) {
        const double whole = mean ? sum / weights : sum;
        sq_ref_store(&step->out[0], 0, 1, &whole);
    }
    return SQUALL_OK;
}
