/* nn/ref/ref_norm.c - normalisations: by given statistics, by plane, by group, by row, by channels.
 */
#include "nn/ref/ref_ops.h"

#include <math.h>

/* Mean and variance (of the whole, not of a sample) of a run of elements, in two passes. */
static void moments(const squall_tensor *x, size_t first, size_t total, double *mean,
                    double *variance)
{
    double values[SQ_REF_RUN];
    double sums[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        const double centre = pass == 0 ? 0 : sums[0] / (double)total;
        for (size_t at = 0; at < total; at += SQ_REF_RUN) {
            const size_t count = total - at < SQ_REF_RUN ? total - at : SQ_REF_RUN;
            sq_ref_load(x, first + at, 1, count, values);
            for (size_t i = 0; i < count; i++) {
                const double d = values[i] - centre;
                sums[pass] += pass == 0 ? d : d * d;
            }
        }
    }
    *mean = sums[0] / (double)total;
    *variance = sums[1] / (double)total;
}

/* y = x * scale + shift over a run of elements. */
static void scale_run(const squall_tensor *x, const squall_tensor *y, size_t first, size_t total,
                      double scale, double shift, double centre)
{
    double values[SQ_REF_RUN];
    for (size_t at = 0; at < total; at += SQ_REF_RUN) {
        const size_t count = total - at < SQ_REF_RUN ? total - at : SQ_REF_RUN;
        sq_ref_load(x, first + at, 1, count, values);
        for (size_t i = 0; i < count; i++) {
            values[i] = (values[i] - centre) * scale + shift;
        }
        sq_ref_store(y, first + at, count, values);
    }
}

squall_status sq_ref_batch_norm(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const double epsilon = sq_attr_float(step->attrs, "epsilon", 1e-5f);
    const size_t channels = (size_t)step->in[1].dims[0];
    const size_t plane = x->rank > 2 ? sq_ref_product(x->dims, 2, x->rank) : 1;
    const size_t planes = plane > 0 ? squall_tensor_count(x) / plane : 0;
    for (size_t i = 0; i < planes; i++) {
        const size_t c = i % channels;
        const double scale = sq_tensor_get_double(&step->in[1], c);
        const double bias = sq_tensor_get_double(&step->in[2], c);
        const double mean = sq_tensor_get_double(&step->in[3], c);
        const double variance = sq_tensor_get_double(&step->in[4], c);
        scale_run(x, &step->out[0], i * plane, plane, scale / sqrt(variance + epsilon), bias, mean);
    }
    return SQUALL_OK;
}

/* Instance normalisation: a group is one channel. Group normalisation: since opset 21 scale and
 * bias are a channel's, before a group's. */
squall_status sq_ref_channel_norm(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const double epsilon = sq_attr_float(step->attrs, "epsilon", 1e-5f);
    const size_t channels = (size_t)x->dims[1];
    const size_t groups = step->op == SQ_OP_GroupNormalization
                              ? (size_t)sq_attr_int(step->attrs, "num_groups", 1)
                              : channels;
    const size_t plane = sq_ref_product(x->dims, 2, x->rank);
    if (squall_tensor_count(x) == 0) {
        return SQUALL_OK;
    }
    const size_t each = channels / groups;
    const bool by_group = (size_t)step->in[1].dims[0] != channels;
    for (size_t group = 0; group < (size_t)x->dims[0] * groups; group++) {
        double mean, variance;
        moments(x, group * each * plane, each * plane, &mean, &variance);
        for (size_t i = 0; i < each; i++) {
            const size_t channel = group % groups * each + i;
            const size_t at = by_group ? group % groups : channel;
            const double scale = sq_tensor_get_double(&step->in[1], at);
            const double bias = sq_tensor_get_double(&step->in[2], at);
            scale_run(x, &step->out[0], (group * each + i) * plane, plane,
                      scale / sqrt(variance + epsilon), bias, mean);
        }
    }
    return SQUALL_OK;
}

/* Where the element at `at` of x lies in a tensor that broadcasts to x. */
static size_t broadcast_at(const squall_tensor *x, const squall_tensor *small, size_t at)
{
    size_t index = 0, stride = 1;
    for (uint32_t i = 0; i < small->rank; i++) {
        const size_t size = (size_t)x->dims[x->rank - 1 - i];
        const size_t own = (size_t)small->dims[small->rank - 1 - i];
        index += own > 1 ? at % size * stride : 0;
        stride *= own;
        at /= size;
    }
    return index;
}

squall_status sq_ref_layer_norm(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0], *scale = &step->in[1];
    const squall_tensor *bias = sq_ref_has_input(step, 2) ? &step->in[2] : NULL;
    const double epsilon = sq_attr_float(step->attrs, "epsilon", 1e-5f);
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", -1), x->rank, &axis, err));
    const size_t rows = sq_ref_product(x->dims, 0, (uint32_t)axis);
    const size_t length = sq_ref_product(x->dims, (uint32_t)axis, x->rank);
    for (size_t row = 0; row < rows; row++) {
        double mean, variance;
        moments(x, row * length, length, &mean, &variance);
        if (step->op == SQ_OP_RMSNormalization) { /* the mean square, about 0 */
            variance += mean * mean;
            mean = 0;
        }
        const double inverse = 1 / sqrt(variance + epsilon);
        for (size_t i = row * length; i < (row + 1) * length; i++) {
            double value = (sq_tensor_get_double(x, i) - mean) * inverse;
            value *= sq_tensor_get_double(scale, broadcast_at(x, scale, i));
            if (bias) {
                value += sq_tensor_get_double(bias, broadcast_at(x, bias, i));
            }
            sq_ref_store(&step->out[0], i, 1, &value);
        }
        if (sq_ref_has_output(step, 1)) {
            sq_ref_store(&step->out[1], row, 1, &mean);
        }
        if (sq_ref_has_output(step, 2)) {
            sq_ref_store(&step->out[2], row, 1, &inverse);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_lp_norm(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const bool magnitude = sq_attr_int(step->attrs, "p", 2) == 1;
    int64_t axis;
    SQ_TRY(sq_ref_axis_find(step, sq_attr_int(step->attrs, "axis", -1), x->rank, &axis, err));
    const sq_ref_axis over = sq_ref_axis_of(x, axis);
    for (size_t row = 0; row < over.outer * over.inner; row++) {
        const size_t first = row / over.inner * over.length * over.inner + row % over.inner;
        double sum = 0;
        for (size_t i = 0; i < over.length; i++) {
            const double value = sq_tensor_get_double(x, first + i * over.inner);
            sum += magnitude ? fabs(value) : value * value;
        }
        const double norm = magnitude ? sum : sqrt(sum);
        for (size_t i = 0; i < over.length; i++) {
            const double value = sq_tensor_get_double(x, first + i * over.inner);
            const double scaled = norm == 0 ? 0 : value / norm;
            sq_ref_store(&step->out[0], first + i * over.inner, 1, &scaled);
        }
    }
    return SQUALL_OK;
}

/* x / (bias + alpha / size * sum of the squares of `size` channels about its own) ^ beta */
squall_status sq_ref_lrn(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    const double alpha = sq_attr_float(step->attrs, "alpha", 1e-4f);
    const double beta = sq_attr_float(step->attrs, "beta", 0.75f);
    const double bias = sq_attr_float(step->attrs, "bias", 1);
    const int64_t size = sq_attr_int(step->attrs, "size", 1);
    const int64_t channels = x->dims[1], before = (size - 1) / 2, behind = size - 1 - before;
    const size_t plane = sq_ref_product(x->dims, 2, x->rank);
    const size_t total = squall_tensor_count(x);
    for (size_t i = 0; i < total; i++) {
        const int64_t c = (int64_t)(i / plane % (size_t)channels);
        const int64_t from = before < c ? c - before : 0;
        const int64_t to = behind < channels - 1 - c ? c + behind : channels - 1;
        const size_t first = i - (size_t)c * plane; /* the same place in channel 0 */
        double sum = 0;
        for (int64_t k = from; k <= to; k++) {
            const double value = sq_tensor_get_double(x, first + (size_t)k * plane);
            sum += value * value;
        }
        const double scaled =
            sq_tensor_get_double(x, i) / pow(bias + alpha / (double)size * sum, beta);
        sq_ref_store(&step->out[0], i, 1, &scaled);
    }
    return SQUALL_OK;
}

/* Where element `at` of x begins its group: the places along `gone` axes set to 0. */
static size_t group_start(const squall_tensor *x, const bool *gone, size_t at)
{
    size_t start = 0, stride = 1;
    for (uint32_t i = x->rank; i-- > 0;) {
        const size_t size = (size_t)x->dims[i];
        start += gone[i] ? 0 : at % size * stride;
        at /= size;
        stride *= size;
    }
    return start;
}

/* Element `index` of the group that begins at `start`. */
static size_t group_element(const squall_tensor *x, const bool *gone, size_t start, size_t index)
{
    size_t stride = 1;
    for (uint32_t i = x->rank; i-- > 0;) {
        const size_t size = (size_t)x->dims[i];
        if (gone[i]) {
            start += index % size * stride;
            index /= size;
        }
        stride *= size;
    }
    return start;
}

/* (x - mean) / (deviation + 1e-9), as the operator's function has it. */
squall_status sq_ref_mean_variance(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *x = &step->in[0];
    static const int64_t usual[] = {0, 2, 3};
    size_t count, group = 1;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    bool gone[SQUALL_MAX_DIMS] = {false};
    count = axes ? count : 3;
    for (size_t i = 0; i < count; i++) {
        int64_t axis;
        SQ_TRY(sq_ref_axis_find(step, axes ? axes[i] : usual[i], x->rank, &axis, err));
        gone[axis] = true;
        group *= (size_t)x->dims[axis];
    }
    const size_t total = squall_tensor_count(x);
    for (size_t first = 0; first < total; first++) {
        if (group_start(x, gone, first) != first) {
            continue; /* not the first of its group */
        }
        double sum = 0, squares = 0;
        for (size_t i = 0; i < group; i++) {
            sum += sq_tensor_get_double(x, group_element(x, gone, first, i));
        }
        const double mean = sum / (double)group;
        for (size_t i = 0; i < group; i++) {
            const double d = sq_tensor_get_double(x, group_element(x, gone, first, i)) - mean;
            squares += d * d;
        }
        const double deviation = sqrt(squares / (double)group) + 1e-9;
        for (size_t i = 0; i < group; i++) {
            const size_t at = group_element(x, gone, first, i);
            const double value = (sq_tensor_get_double(x, at) - mean) / deviation;
            sq_ref_store(&step->out[0], at, 1, &value);
        }
    }
    return SQUALL_OK;
}
