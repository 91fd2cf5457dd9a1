/* nn/ref/ref_activation.c - the activation that a pass has folded into an operator. */
#include "nn/ref/ref_ops.h"

#include <inttypes.h>
#include <math.h>

squall_status sq_ref_activation_get(const sq_step *step, sq_ref_activation *out, squall_error *err)
{
    const int64_t kind = sq_attr_int(step->attrs, "sq_activation", SQ_ACT_NONE);
    if (kind < SQ_ACT_NONE || kind > SQ_ACT_SILU) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name,
                       "activation %" PRId64 "; known are %d to %d", kind, SQ_ACT_NONE,
                       SQ_ACT_SILU);
    }
    *out = (sq_ref_activation){.kind = (sq_activation)kind};
    switch (out->kind) { /* what holds where no parameter is given */
    case SQ_ACT_LEAKY_RELU:
        out->a = 0.01;
        break;
    case SQ_ACT_CLIP:
        out->a = -INFINITY;
        out->b = INFINITY;
        break;
    case SQ_ACT_HARD_SIGMOID:
        out->a = 0.2;
        out->b = 0.5;
        break;
    default:
        break;
    }
    size_t count;
    const float *params = sq_attr_floats(step->attrs, "sq_activation_params", &count);
    if (count > 0) {
        out->a = params[0];
    }
    if (count > 1) {
        out->b = params[1];
    }
    return SQUALL_OK;
}

#define EACH(expression)                 \
    for (size_t i = 0; i < count; i++) { \
        const double x = values[i];      \
        values[i] = expression;          \
    }                                    \
    break

/* A NaN stays one in each of them. */
void sq_ref_activate(const sq_ref_activation *activation, double *values, size_t count)
{
    const double a = activation->a, b = activation->b;
    switch (activation->kind) {
    case SQ_ACT_NONE:
        break;
    case SQ_ACT_RELU:
        EACH(x < 0 ? 0 : x);
    case SQ_ACT_LEAKY_RELU:
        EACH(x < 0 ? a * x : x);
    case SQ_ACT_CLIP:
        EACH(x > b ? b : x < a ? a : x);
    case SQ_ACT_SIGMOID:
        EACH(1 / (1 + exp(-x)));
    case SQ_ACT_TANH:
        EACH(tanh(x));
    case SQ_ACT_HARD_SIGMOID:
        EACH(a * x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b);
    case SQ_ACT_HARD_SWISH:
        EACH(x * (x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5));
    case SQ_ACT_SILU:
        EACH(x / (1 + exp(-x)));
    }
}
