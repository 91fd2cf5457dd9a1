/* nn/ref/ref_elementwise.c - operators of several inputs that broadcast against each other. */
#include "nn/ref/ref_ops.h"

#include <math.h>
#include <string.h>

/* What the formulas need beside their two numbers. */
typedef struct fold_context {
    bool u64;     /* the 64 bits are unsigned */
    bool fmod;    /* Mod: the sign of the dividend, as in C, not of the divisor */
    bool left;    /* BitShift: towards the high bits */
    int bits;     /* of an element */
    double alpha; /* SwiGLU */
} fold_context;

/* acc = acc op x, for each of `count` */
typedef void fold_fn(double *acc, const double *x, size_t count, const fold_context *context);
typedef void fold_int_fn(int64_t *acc, const int64_t *x, size_t count, const fold_context *context);

#define FOLD(name, expression)                                                                \
    static void name(double *acc, const double *x, size_t count, const fold_context *context) \
    {                                                                                         \
        (void)context;                                                                        \
        for (size_t i = 0; i < count; i++) {                                                  \
            const double a = acc[i], b = x[i];                                                \
            acc[i] = (expression);                                                            \
        }                                                                                     \
    }

#define FOLD_INT(name, expression)                                                              \
    static void name(int64_t *acc, const int64_t *x, size_t count, const fold_context *context) \
    {                                                                                           \
        (void)context;                                                                          \
        for (size_t i = 0; i < count; i++) {                                                    \
            const int64_t a = acc[i], b = x[i];                                                 \
            acc[i] = (expression);                                                              \
        }                                                                                       \
    }

static double modulo(double a, double b, bool as_c)
{
    const double rest = fmod(a, b);
    if (as_c) {
        return rest;
    }
    if (rest == 0) {
        return copysign(0, b);
    }
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

FOLD(add, a + b)
FOLD(subtract, a - b)
FOLD(multiply, a *b)
FOLD(divide, a / b)
FOLD(power, pow(a, b))
FOLD(remainder_of, modulo(a, b, context->fmod))
FOLD(least, isnan(a) || a < b ? a : b) /* a NaN on either side comes out */
FOLD(greatest, isnan(a) || a > b ? a : b)
FOLD(prelu, a < 0 ? a * b : a)
FOLD(swiglu, a / (1 + exp(-context->alpha * a)) * b)
FOLD(equal, a == b)
FOLD(greater, a > b)
FOLD(greater_or_equal, a >= b)
FOLD(less, a < b)
FOLD(less_or_equal, a <= b)

static int64_t divide_of(int64_t a, int64_t b, bool u64)
{
    if (b == 0) {
        return 0; /* ONNX does not say; a fault of the processor it must not be */
    }
    if (u64) {
        return (int64_t)((uint64_t)a / (uint64_t)b);
    }
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t modulo_int(int64_t a, int64_t b, const fold_context *context)
{
    if (b == 0 || (b == -1 && !context->u64)) {
        return 0;
    }
    if (context->u64) {
        return (int64_t)((uint64_t)a % (uint64_t)b);
    }
    const int64_t rest = a % b;
    return !context->fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

/* By squaring, wrapping; a negative power is cut to an integer: 0 unless the base is 1 or -1. */
static int64_t power_of(int64_t base, int64_t exponent, bool u64)
{
    if (exponent < 0 && !u64) {
        if (base == 1 || (base == -1 && exponent % 2 == 0)) {
            return 1;
        }
        return base == -1 ? -1 : 0;
    }
    uint64_t result = 1, square = (uint64_t)base;
    for (uint64_t left = (uint64_t)exponent; left != 0; left >>= 1) {
        if (left & 1u) {
            result *= square;
        }
        square *= square;
    }
    return (int64_t)result;
}

/* A shift by all the bits or more, or by less than none, leaves nothing but the sign. */
static int64_t shifted(int64_t a, int64_t b, const fold_context *context)
{
    const bool outside = b < 0 || b >= context->bits; /* uint64 beyond 2^63 counts as negative */
    if (context->left) {
        return outside ? 0 : (int64_t)((uint64_t)a << b);
    }
    if (context->u64) {
        return outside ? 0 : (int64_t)((uint64_t)a >> b);
    }
    const uint64_t sign = a < 0 ? UINT64_MAX : 0;
    return (int64_t)(outside ? sign : b == 0 ? (uint64_t)a : (uint64_t)a >> b | sign << (64 - b));
}

static bool less_of(int64_t a, int64_t b, bool u64)
{
    return u64 ? (uint64_t)a < (uint64_t)b : a < b;
}

FOLD_INT(add_int, (int64_t)((uint64_t)a + (uint64_t)b))
FOLD_INT(subtract_int, (int64_t)((uint64_t)a - (uint64_t)b))
FOLD_INT(multiply_int, (int64_t)((uint64_t)a *(uint64_t)b))
FOLD_INT(divide_int, divide_of(a, b, context->u64))
FOLD_INT(power_int, power_of(a, b, context->u64))
FOLD_INT(remainder_int, modulo_int(a, b, context))
FOLD_INT(least_int, less_of(a, b, context->u64) ? a : b)
FOLD_INT(greatest_int, less_of(a, b, context->u64) ? b : a)
FOLD_INT(prelu_int, a < 0 && !context->u64 ? (int64_t)((uint64_t)a * (uint64_t)b) : a)
FOLD_INT(shift_int, shifted(a, b, context))
FOLD_INT(bits_and_int, a &b)
FOLD_INT(bits_or_int, a | b)
FOLD_INT(bits_xor_int, a ^ b)
FOLD_INT(and_int, a &&b)
FOLD_INT(or_int, a || b)
FOLD_INT(xor_int, !a != !b)
FOLD_INT(equal_int, a == b)
FOLD_INT(greater_int, less_of(b, a, context->u64))
FOLD_INT(greater_or_equal_int, !less_of(a, b, context->u64))
FOLD_INT(less_int, less_of(a, b, context->u64))
FOLD_INT(less_or_equal_int, !less_of(b, a, context->u64))

typedef struct fold_row {
    fold_fn *run;
    fold_int_fn *run_int;
} fold_row;

static const fold_row rows[] = {
    [SQ_OP_PRelu] = {prelu, prelu_int},
    [SQ_OP_Add] = {add, add_int},
    [SQ_OP_Sub] = {subtract, subtract_int},
    [SQ_OP_Mul] = {multiply, multiply_int},
    [SQ_OP_Div] = {divide, divide_int},
    [SQ_OP_Pow] = {power, power_int},
    [SQ_OP_Mod] = {remainder_of, remainder_int},
    [SQ_OP_Min] = {least, least_int},
    [SQ_OP_Max] = {greatest, greatest_int},
    [SQ_OP_Sum] = {add, add_int},
    [SQ_OP_Mean] = {add, add_int},
    [SQ_OP_And] = {NULL, and_int},
    [SQ_OP_Or] = {NULL, or_int},
    [SQ_OP_Xor] = {NULL, xor_int},
    [SQ_OP_Equal] = {equal, equal_int},
    [SQ_OP_Greater] = {greater, greater_int},
    [SQ_OP_GreaterOrEqual] = {greater_or_equal, greater_or_equal_int},
    [SQ_OP_Less] = {less, less_int},
    [SQ_OP_LessOrEqual] = {less_or_equal, less_or_equal_int},
    [SQ_OP_BitShift] = {NULL, shift_int},
    [SQ_OP_BitwiseAnd] = {NULL, bits_and_int},
    [SQ_OP_BitwiseOr] = {NULL, bits_or_int},
    [SQ_OP_BitwiseXor] = {NULL, bits_xor_int},
    [SQ_OP_SwiGLU] = {swiglu, NULL},
};

/* One run of outputs: elements `at`.. of the row whose operands start at `first`. */
typedef struct fold_job {
    const sq_step *step;
    const fold_row *row;
    const sq_ref_walk *walk;
    fold_context context;
    sq_ref_activation activation;
} fold_job;

static size_t operand_at(const fold_job *job, const size_t *first, uint32_t k, size_t at)
{
    return first[k] + at * (size_t)sq_ref_walk_step(job->walk, k);
}

static void fold_run(const fold_job *job, const size_t *first, size_t at, size_t count, size_t to)
{
    const sq_step *step = job->step;
    double acc[SQ_REF_RUN], x[SQ_REF_RUN];
    sq_ref_load(&step->in[0], operand_at(job, first, 0, at), sq_ref_walk_step(job->walk, 0), count,
                acc);
    for (uint32_t k = 1; k < step->in_count; k++) {
        sq_ref_load(&step->in[k], operand_at(job, first, k, at), sq_ref_walk_step(job->walk, k),
                    count, x);
        job->row->run(acc, x, count, &job->context);
    }
    for (size_t i = 0; i < count && step->op == SQ_OP_Mean; i++) {
        acc[i] /= step->in_count;
    }
    sq_ref_activate(&job->activation, acc, count);
    sq_ref_store(&step->out[0], to, count, acc);
}

static void fold_run_int(const fold_job *job, const size_t *first, size_t at, size_t count,
                         size_t to)
{
    const sq_step *step = job->step;
    int64_t acc[SQ_REF_RUN], x[SQ_REF_RUN];
    sq_ref_load_int(&step->in[0], operand_at(job, first, 0, at), sq_ref_walk_step(job->walk, 0),
                    count, acc);
    for (uint32_t k = 1; k < step->in_count; k++) {
        sq_ref_load_int(&step->in[k], operand_at(job, first, k, at), sq_ref_walk_step(job->walk, k),
                        count, x);
        job->row->run_int(acc, x, count, &job->context);
    }
    sq_ref_store_int(&step->out[0], to, count, acc);
}

squall_status sq_ref_fold(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    sq_ref_walk walk;
    SQ_TRY(sq_ref_walk_init(&walk, &step->out[0], step->in, step->in_count, step->name, err));
    fold_job job = {.step = step, .row = &rows[step->op], .walk = &walk};
    job.context.u64 = step->in[0].dtype == SQUALL_U64;
    job.context.fmod = sq_attr_int(step->attrs, "fmod", 0) != 0;
    job.context.left = strcmp(sq_attr_string(step->attrs, "direction", ""), "LEFT") == 0;
    job.context.bits = (int)(8 * squall_dtype_size(step->in[0].dtype));
    job.context.alpha = sq_attr_float(step->attrs, "alpha", 1);
    SQ_TRY(sq_ref_activation_get(step, &job.activation, err));
    bool any_float = false;
    for (uint32_t k = 0; k < step->in_count; k++) {
        any_float = any_float || sq_ref_is_float(step->in[k].dtype);
    }
    if (any_float && !job.row->run) {
        return sq_fail(err, SQUALL_E_SHAPE, step->name, "%s takes truth values or integers",
                       sq_op_name(step->op));
    }
    for (size_t row = 0; row < walk.rows; row++) {
        size_t first[SQ_MAX_INPUTS];
        sq_ref_walk_row(&walk, row, first);
        for (size_t at = 0; at < walk.length; at += SQ_REF_RUN) {
            const size_t count = walk.length - at < SQ_REF_RUN ? walk.length - at : SQ_REF_RUN;
            const size_t to = row * walk.length + at;
            if (any_float) {
                fold_run(&job, first, at, count, to);
            } else {
                fold_run_int(&job, first, at, count, to);
            }
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_where(const sq_call *call, squall_error *err)
{
    const sq_step *step = call->step;
    const squall_tensor *out = &step->out[0];
    sq_ref_walk walk;
    SQ_TRY(sq_ref_walk_init(&walk, out, step->in, 3, step->name, err));
    const size_t size = squall_dtype_size(out->dtype);
    const uint8_t *condition = step->in[0].data;
    const char *choice[2] = {step->in[2].data, step->in[1].data};
    char *to = out->data;
    const size_t moves[3] = {(size_t)sq_ref_walk_step(&walk, 0), (size_t)sq_ref_walk_step(&walk, 1),
                             (size_t)sq_ref_walk_step(&walk, 2)};
    for (size_t row = 0; row < walk.rows; row++) {
        size_t first[3];
        sq_ref_walk_row(&walk, row, first);
        for (size_t i = 0; i < walk.length; i++, to += size) {
            const bool yes = condition[first[0] + i * moves[0]] != 0;
            const size_t from = yes ? first[1] + i * moves[1] : first[2] + i * moves[2];
            memcpy(to, choice[yes] + from * size, size);
        }
    }
    return SQUALL_OK;
}

/* A limit of Clip: an input since opset 11, an attribute before, or none. */
static double limit_of(const sq_step *step, uint32_t input, const char *attr, double otherwise)
{
    if (sq_ref_has_input(step, input) && squall_tensor_count(&step->in[input]) > 0) {
        return sq_tensor_get_double(&step->in[input], 0);
    }
    return sq_attr_float(step->attrs, attr, (float)otherwise);
}

static int64_t limit_int(const sq_step *step, uint32_t input, int64_t otherwise)
{
    if (sq_ref_has_input(step, input) && squall_tensor_count(&step->in[input]) > 0) {
        return sq_tensor_get_int(&step->in[input], 0);
    }
    return otherwise;
}

/* Where the lower limit is above the upper, the upper holds. */
static void clip_int(const sq_step *step)
{
    const squall_tensor *in = &step->in[0];
    const bool u64 = in->dtype == SQUALL_U64;
    const int64_t low = limit_int(step, 1, u64 ? 0 : INT64_MIN);
    const int64_t high = limit_int(step, 2, u64 ? -1 : INT64_MAX);
    const size_t total = squall_tensor_count(in);
    for (size_t first = 0; first < total; first += SQ_REF_RUN) {
        const size_t count = total - first < SQ_REF_RUN ? total - first : SQ_REF_RUN;
        int64_t values[SQ_REF_RUN];
        sq_ref_load_int(in, first, 1, count, values);
        for (size_t i = 0; i < count; i++) {
            const int64_t raised = less_of(values[i], low, u64) ? low : values[i];
            values[i] = less_of(high, raised, u64) ? high : raised;
        }
        sq_ref_store_int(&step->out[0], first, count, values);
    }
}

squall_status sq_ref_clip(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *in = &step->in[0];
    if (!sq_ref_is_float(in->dtype)) {
        clip_int(step);
        return SQUALL_OK;
    }
    const double low = limit_of(step, 1, "min", -INFINITY);
    const double high = limit_of(step, 2, "max", INFINITY);
    const size_t total = squall_tensor_count(in);
    for (size_t first = 0; first < total; first += SQ_REF_RUN) {
        const size_t count = total - first < SQ_REF_RUN ? total - first : SQ_REF_RUN;
        double values[SQ_REF_RUN];
        sq_ref_load(in, first, 1, count, values);
        for (size_t i = 0; i < count; i++) {
            const double raised = values[i] < low ? low : values[i];
            values[i] = raised > high ? high : raised;
        }
        sq_ref_store(&step->out[0], first, count, values);
    }
    return SQUALL_OK;
}
