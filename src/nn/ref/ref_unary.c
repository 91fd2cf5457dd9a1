/* nn/ref/ref_unary.c - operators of one input, element by element. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

#define MAX_PARAMS 2

typedef void unary_fn(const double *in, size_t count, const double *p, double *out);
typedef void unary_int_fn(const int64_t *in, size_t count, int64_t *out);

#define UNARY(name, expression)                                                    \
    static void name(const double *in, size_t count, const double *p, double *out) \
    {                                                                              \
        (void)p;                                                                   \
        for (size_t i = 0; i < count; i++) {                                       \
            const double x = in[i];                                                \
            out[i] = (expression);                                                 \
        }                                                                          \
    }

/* exp(x) where it can overflow is kept to the side where it cannot. */
static double softplus_of(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double gelu_tanh_of(double x)
{
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

static double hard_sigmoid_of(double x, double alpha, double beta)
{
    const double y = alpha * x + beta;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double shrink_of(double x, double lambd, double bias)
{
    if (x < -lambd) {
        return x + bias;
    }
    return x > lambd ? x - bias : 0;
}

UNARY(relu, x < 0 ? 0 : x)
UNARY(leaky_relu, x < 0 ? p[0] * x : x)
UNARY(elu, x < 0 ? p[0] * expm1(x) : x)
UNARY(selu, x > 0 ? p[1] * x : p[1] * p[0] * expm1(x))
UNARY(celu, x < 0 ? p[0] * expm1(x / p[0]) : x)
UNARY(sigmoid, 1 / (1 + exp(-x)))
UNARY(hard_sigmoid, hard_sigmoid_of(x, p[0], p[1]))
UNARY(hard_swish, x *hard_sigmoid_of(x, 1.0 / 6, 0.5))
UNARY(mish, x *tanh(softplus_of(x)))
UNARY(swish, x / (1 + exp(-p[0] * x)))
UNARY(softplus, softplus_of(x))
UNARY(softsign, x / (1 + fabs(x)))
UNARY(hyperbolic_tangent, tanh(x))
UNARY(gelu, p[0] != 0 ? gelu_tanh_of(x) : 0.5 * x * (1 + erf(x * 0.70710678118654752440)))
UNARY(thresholded_relu, x > p[0] || isnan(x) ? x : 0)
UNARY(shrink, shrink_of(x, p[0], p[1]))
UNARY(error_function, erf(x))
UNARY(exponential, exp(x))
UNARY(logarithm, log(x))
UNARY(square_root, sqrt(x))
UNARY(reciprocal, 1 / x)
UNARY(negative, -x)
UNARY(absolute, fabs(x))
UNARY(sign, x > 0 ? 1 : x < 0 ? -1 : x)
UNARY(round_down, floor(x))
UNARY(round_up, ceil(x))
UNARY(round_to_even, rint(x))
UNARY(sine, sin(x))
UNARY(cosine, cos(x))
UNARY(tangent, tan(x))
UNARY(arc_sine, asin(x))
UNARY(arc_cosine, acos(x))
UNARY(arc_tangent, atan(x))
UNARY(hyperbolic_sine, sinh(x))
UNARY(hyperbolic_cosine, cosh(x))
UNARY(area_sine, asinh(x))
UNARY(area_cosine, acosh(x))
UNARY(area_tangent, atanh(x))
UNARY(is_nan, isnan(x))
UNARY(is_inf, isinf(x) && (x > 0 ? p[1] != 0 : p[0] != 0))
UNARY(logical_not, x == 0)

/* Negation wraps, as two's complement does. */
static int64_t negated(int64_t x)
{
    return (int64_t)(0 - (uint64_t)x);
}

#define UNARY_INT(name, expression)                                 \
    static void name(const int64_t *in, size_t count, int64_t *out) \
    {                                                               \
        for (size_t i = 0; i < count; i++) {                        \
            const int64_t x = in[i];                                \
            out[i] = (expression);                                  \
        }                                                           \
    }

UNARY_INT(relu_int, x < 0 ? 0 : x)
UNARY_INT(negative_int, negated(x))
UNARY_INT(absolute_int, x < 0 ? negated(x) : x)
UNARY_INT(sign_int, (x > 0) - (x < 0))
UNARY_INT(bits_not_int, ~x)

/* An attribute that the formula reads as p[i]. */
typedef struct unary_param {
    const char *name;
    float otherwise;
} unary_param;

typedef struct unary_row {
    unary_fn *run;
    unary_int_fn *run_int; /* NULL: integers go through double */
    unary_param params[MAX_PARAMS];
} unary_row;

static const unary_row rows[] = {
    [SQ_OP_Relu] = {relu, relu_int, {{0}}},
    [SQ_OP_LeakyRelu] = {leaky_relu, NULL, {{"alpha", 0.01f}}},
    [SQ_OP_Elu] = {elu, NULL, {{"alpha", 1}}},
    [SQ_OP_Selu] = {selu,
                    NULL,
                    {{"alpha", 1.67326319217681884765625f}, {"gamma", 1.05070102214813232421875f}}},
    [SQ_OP_Celu] = {celu, NULL, {{"alpha", 1}}},
    [SQ_OP_Sigmoid] = {sigmoid, NULL, {{0}}},
    [SQ_OP_HardSigmoid] = {hard_sigmoid, NULL, {{"alpha", 0.2f}, {"beta", 0.5f}}},
    [SQ_OP_HardSwish] = {hard_swish, NULL, {{0}}},
    [SQ_OP_Mish] = {mish, NULL, {{0}}},
    [SQ_OP_Softplus] = {softplus, NULL, {{0}}},
    [SQ_OP_Softsign] = {softsign, NULL, {{0}}},
    [SQ_OP_Tanh] = {hyperbolic_tangent, NULL, {{0}}},
    [SQ_OP_Gelu] = {gelu, NULL, {{"approximate", 0}}},
    [SQ_OP_ThresholdedRelu] = {thresholded_relu, NULL, {{"alpha", 1}}},
    [SQ_OP_Shrink] = {shrink, NULL, {{"lambd", 0.5f}, {"bias", 0}}},
    [SQ_OP_Erf] = {error_function, NULL, {{0}}},
    [SQ_OP_Exp] = {exponential, NULL, {{0}}},
    [SQ_OP_Log] = {logarithm, NULL, {{0}}},
    [SQ_OP_Sqrt] = {square_root, NULL, {{0}}},
    [SQ_OP_Reciprocal] = {reciprocal, NULL, {{0}}},
    [SQ_OP_Neg] = {negative, negative_int, {{0}}},
    [SQ_OP_Abs] = {absolute, absolute_int, {{0}}},
    [SQ_OP_Sign] = {sign, sign_int, {{0}}},
    [SQ_OP_Floor] = {round_down, NULL, {{0}}},
    [SQ_OP_Ceil] = {round_up, NULL, {{0}}},
    [SQ_OP_Round] = {round_to_even, NULL, {{0}}},
    [SQ_OP_Sin] = {sine, NULL, {{0}}},
    [SQ_OP_Cos] = {cosine, NULL, {{0}}},
    [SQ_OP_Tan] = {tangent, NULL, {{0}}},
    [SQ_OP_Asin] = {arc_sine, NULL, {{0}}},
    [SQ_OP_Acos] = {arc_cosine, NULL, {{0}}},
    [SQ_OP_Atan] = {arc_tangent, NULL, {{0}}},
    [SQ_OP_Sinh] = {hyperbolic_sine, NULL, {{0}}},
    [SQ_OP_Cosh] = {hyperbolic_cosine, NULL, {{0}}},
    [SQ_OP_Asinh] = {area_sine, NULL, {{0}}},
    [SQ_OP_Acosh] = {area_cosine, NULL, {{0}}},
    [SQ_OP_Atanh] = {area_tangent, NULL, {{0}}},
    [SQ_OP_IsNaN] = {is_nan, NULL, {{0}}},
    [SQ_OP_IsInf] = {is_inf, NULL, {{"detect_negative", 1}, {"detect_positive", 1}}},
    [SQ_OP_Not] = {logical_not, NULL, {{0}}},
    [SQ_OP_Swish] = {swish, NULL, {{"alpha", 1}}},
    [SQ_OP_BitwiseNot] = {NULL, bits_not_int, {{0}}},
};

/* A number, or whether a text asks for more than "none" (Gelu's approximation). */
static double read_param(const sq_attrs *attrs, const unary_param *param)
{
    const sq_attr *attr = param->name ? sq_attr_find(attrs, param->name) : NULL;
    if (!attr) {
        return param->otherwise;
    }
    switch (attr->kind) {
    case SQ_ATTR_INT:
        return (double)attr->i;
    case SQ_ATTR_FLOAT:
        return attr->f;
    case SQ_ATTR_STRING:
        return strcmp(attr->string, "none") != 0;
    default:
        return param->otherwise;
    }
}

squall_status sq_ref_unary(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    const unary_row *row = &rows[step->op];
    double params[MAX_PARAMS];
    for (int i = 0; i < MAX_PARAMS; i++) {
        params[i] = read_param(step->attrs, &row->params[i]);
    }
    const bool as_int = row->run_int && !sq_ref_is_float(in->dtype);
    const size_t total = squall_tensor_count(in);
    for (size_t first = 0; first < total; first += SQ_REF_RUN) {
        const size_t count = total - first < SQ_REF_RUN ? total - first : SQ_REF_RUN;
        if (as_int) {
            int64_t values[SQ_REF_RUN];
            sq_ref_load_int(in, first, 1, count, values);
            row->run_int(values, count, values);
            sq_ref_store_int(out, first, count, values);
        } else {
            double values[SQ_REF_RUN];
            sq_ref_load(in, first, 1, count, values);
            row->run(values, count, params, values);
            sq_ref_store(out, first, count, values);
        }
    }
    return SQUALL_OK;
}
