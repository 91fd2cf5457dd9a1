/* nn/ref/ref_norm.c - normalisations: by given statistics, by plane, by group, by row. */
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
