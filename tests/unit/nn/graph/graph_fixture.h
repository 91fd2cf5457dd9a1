/* tests/unit/nn/graph/graph_fixture.h - small graphs, and a naive evaluator to run them with.
 *
 * nn/ref lies above nn/graph, so these tests bring the few operators that they need, in double. */
#ifndef SQ_TEST_GRAPH_FIXTURE_H
#define SQ_TEST_GRAPH_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nn/graph/graph.h"

/* ---- building ---- */

static inline uint32_t add_input(sq_graph *graph, const char *name, squall_dtype dtype,
                                 uint32_t rank, const int64_t *dims)
{
    const uint32_t number = sq_graph_add_value(graph, name);
    assert_int_not_equal(number, SQ_NO_VALUE);
    squall_tensor *type = &graph->values[number].type;
    *type = (squall_tensor){.dtype = dtype, .rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        type->dims[i] = dims[i];
    }
    graph->inputs =
        sq_regrow(graph->inputs, graph->input_count, graph->input_count + 1, sizeof *graph->inputs);
    graph->inputs[graph->input_count++] = number;
    return number;
}

static inline void add_output(sq_graph *graph, uint32_t value)
{
    graph->outputs = sq_regrow(graph->outputs, graph->output_count, graph->output_count + 1,
                               sizeof *graph->outputs);
    graph->outputs[graph->output_count++] = value;
}

/* A constant of floats from a short sequence with both signs, another for each seed. */
static inline uint32_t add_floats(sq_graph *graph, const char *name, uint32_t rank,
                                  const int64_t *dims, uint32_t seed)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_F32, rank, dims, &tensor));
    float *data = tensor.data;
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
    return sq_graph_add_constant(graph, name, &tensor);
}

static inline uint32_t add_ints(sq_graph *graph, const char *name, const int64_t *values,
                                int64_t count)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_I64, 1, &count, &tensor));
    memcpy(tensor.data, values, (size_t)count * sizeof *values);
    return sq_graph_add_constant(graph, name, &tensor);
}

/* A node with one output; inputs end at the first SQ_NO_VALUE after `count`. Its output's number.
 */
static inline uint32_t add_op(sq_graph *graph, sq_op op, const char *out, const uint32_t *inputs,
                              uint32_t count)
{
    const uint32_t value = sq_graph_add_value(graph, out);
    sq_node *node = sq_graph_add_node(graph, op, out, count, 1);
    assert_non_null(node);
    memcpy(node->inputs, inputs, count * sizeof *inputs);
    node->outputs[0] = value;
    node->attrs.opset = 17;
    return value;
}

#define INPUTS(...) \
    (const uint32_t[]){__VA_ARGS__}, (uint32_t)(sizeof((uint32_t[]){__VA_ARGS__}) / 4)

static inline sq_attrs *last_attrs(sq_graph *graph)
{
    return &graph->nodes[graph->node_count - 1].attrs;
}

static inline uint32_t count_ops(const sq_graph *graph, sq_op op)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].op == op;
    }
    return count;
}

static inline const char *output_name(const sq_graph *graph, uint32_t index)
{
    return graph->values[graph->outputs[index]].name;
}

/* ---- running ---- */

static inline void put(squall_tensor *tensor, size_t index, double value)
{
    if (tensor->dtype == SQUALL_I64) {
        ((int64_t *)tensor->data)[index] = (int64_t)value;
    } else {
        ((float *)tensor->data)[index] = (float)value;
    }
}

/* The element of `in` that broadcasts to element `index` of `out`. */
static inline double get_broadcast(const squall_tensor *in, const squall_tensor *out, size_t index)
{
    size_t at = 0, stride = 1;
    for (uint32_t i = 0; i < out->rank; i++) { /* from the last dimension */
        const size_t size = (size_t)out->dims[out->rank - 1 - i];
        const size_t position = index % size;
        index /= size;
        if (i < in->rank) {
            const size_t own = (size_t)in->dims[in->rank - 1 - i];
            at += own == 1 ? 0 : position * stride;
            stride *= own;
        }
    }
    return sq_tensor_get_double(in, at);
}

static inline double activate(const sq_attrs *attrs, double x)
{
    size_t count;
    const float *params = sq_attr_floats(attrs, "sq_activation_params", &count);
    switch (sq_attr_int(attrs, "sq_activation", SQ_ACT_NONE)) {
    case SQ_ACT_RELU:
        return x > 0 ? x : 0;
    case SQ_ACT_LEAKY_RELU:
        return x > 0 ? x : x * (double)params[0];
    case SQ_ACT_CLIP:
        return fmin(fmax(x, (double)params[0]), (double)params[1]);
    case SQ_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case SQ_ACT_TANH:
        return tanh(x);
    case SQ_ACT_HARD_SIGMOID:
        return fmin(fmax(x * (double)params[0] + (double)params[1], 0), 1);
    case SQ_ACT_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case SQ_ACT_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static inline double unary(const sq_step *step, double x)
{
    switch (step->op) {
    case SQ_OP_Relu:
        return x > 0 ? x : 0;
    case SQ_OP_LeakyRelu:
        return x > 0 ? x : x * (double)sq_attr_float(step->attrs, "alpha", 0.01f);
    case SQ_OP_Sigmoid:
        return 1 / (1 + exp(-x));
    case SQ_OP_Tanh:
        return tanh(x);
    case SQ_OP_HardSigmoid:
        return fmin(fmax(x * (double)sq_attr_float(step->attrs, "alpha", 0.2f) +
                             (double)sq_attr_float(step->attrs, "beta", 0.5f),
                         0),
                    1);
    case SQ_OP_HardSwish:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case SQ_OP_Clip:
        x = step->in_count > 1 && step->in[1].data ? fmax(x, sq_tensor_get_double(&step->in[1], 0))
                                                   : x;
        return step->in_count > 2 && step->in[2].data
                   ? fmin(x, sq_tensor_get_double(&step->in[2], 0))
                   : x;
    default:
        return x; /* Identity and what only changes the shape */
    }
}

static inline double binary(const sq_step *step, double a, double b)
{
    switch (step->op) {
    case SQ_OP_Add:
        return activate(step->attrs, a + b);
    case SQ_OP_Sub:
        return a - b;
    case SQ_OP_Mul:
        return a * b;
    default:
        return step->in[0].dtype == SQUALL_I64 ? trunc(a / b) : a / b;
    }
}

static inline void run_batch_norm(const sq_step *step)
{
    const squall_tensor *in = &step->in[0];
    const size_t channels = (size_t)in->dims[1];
    const size_t inner = squall_tensor_count(in) / (channels * (size_t)in->dims[0]);
    const double epsilon = (double)sq_attr_float(step->attrs, "epsilon", 1e-5f);
    for (size_t i = 0; i < squall_tensor_count(in); i++) {
        const size_t c = i / inner % channels;
        const double deviation = sqrt(sq_tensor_get_double(&step->in[4], c) + epsilon);
        put(&step->out[0], i,
            (sq_tensor_get_double(in, i) - sq_tensor_get_double(&step->in[3], c)) / deviation *
                    sq_tensor_get_double(&step->in[1], c) +
                sq_tensor_get_double(&step->in[2], c));
    }
}

static inline void run_gemm(const sq_step *step)
{
    const squall_tensor *a = &step->in[0], *b = &step->in[1], *out = &step->out[0];
    const bool ta = sq_attr_int(step->attrs, "transA", 0),
               tb = sq_attr_int(step->attrs, "transB", 0);
    const size_t inner = (size_t)a->dims[!ta], columns = (size_t)out->dims[1];
    for (size_t i = 0; i < squall_tensor_count(out); i++) {
        const size_t m = i / columns, n = i % columns;
        double sum = 0;
        for (size_t k = 0; k < inner; k++) {
            sum += sq_tensor_get_double(a, ta ? k * (size_t)a->dims[1] + m : m * inner + k) *
                   sq_tensor_get_double(b, tb ? n * inner + k : k * columns + n);
        }
        sum *= (double)sq_attr_float(step->attrs, "alpha", 1);
        if (step->in_count > 2 && step->in[2].data) {
            sum +=
                (double)sq_attr_float(step->attrs, "beta", 1) * get_broadcast(&step->in[2], out, i);
        }
        put(&step->out[0], i, activate(step->attrs, sum));
    }
}

/* Two-dimensional convolution and its transpose: each weight carries each pixel it meets. */
static inline void run_conv(const sq_step *step)
{
    sq_window window;
    assert_int_equal(sq_op_window(step, &window, NULL), SQUALL_OK);
    const bool transposed = step->op == SQ_OP_ConvTranspose;
    const squall_tensor *x = &step->in[0], *w = &step->in[1], *out = &step->out[0];
    const int64_t groups = window.group, channels = out->dims[1];
    const int64_t in_each = x->dims[1] / groups, out_each = channels / groups;
    double sums[4096] = {0};
    assert_true(squall_tensor_count(out) <= 4096);
    for (size_t i = 0; i < squall_tensor_count(w); i++) {
        const int64_t kx = (int64_t)i % w->dims[3], ky = (int64_t)i / w->dims[3] % w->dims[2];
        const int64_t second = (int64_t)i / (w->dims[3] * w->dims[2]) % w->dims[1];
        const int64_t first = (int64_t)i / (w->dims[3] * w->dims[2] * w->dims[1]);
        const int64_t group = first / (transposed ? in_each : out_each);
        const int64_t in_channel = transposed ? first : group * in_each + second;
        const int64_t out_channel = transposed ? group * out_each + second : first;
        const int64_t ny = transposed ? window.in[0] : window.out[0];
        const int64_t nx = transposed ? window.in[1] : window.out[1];
        for (int64_t p = 0; p < x->dims[0] * ny * nx; p++) {
            const int64_t n = p / (ny * nx), near_y = p / nx % ny, near_x = p % nx;
            const int64_t y =
                near_y * window.stride[0] + ky * window.dilation[0] - window.pad_begin[0];
            const int64_t xx =
                near_x * window.stride[1] + kx * window.dilation[1] - window.pad_begin[1];
            const int64_t fy = transposed ? window.out[0] : window.in[0];
            const int64_t fx = transposed ? window.out[1] : window.in[1];
            if (y < 0 || y >= fy || xx < 0 || xx >= fx) {
                continue;
            }
            const int64_t far = y * fx + xx, near = near_y * nx + near_x;
            const int64_t from = (n * x->dims[1] + in_channel) * window.in[0] * window.in[1] +
                                 (transposed ? near : far);
            const int64_t to = (n * channels + out_channel) * window.out[0] * window.out[1] +
                               (transposed ? far : near);
            sums[to] += sq_tensor_get_double(x, (size_t)from) * sq_tensor_get_double(w, i);
        }
    }
    const size_t inner = (size_t)(window.out[0] * window.out[1]);
    for (size_t i = 0; i < squall_tensor_count(out); i++) {
        const bool has_bias = step->in_count > 2 && step->in[2].data;
        const double bias =
            has_bias ? sq_tensor_get_double(&step->in[2], i / inner % (size_t)channels) : 0;
        put(&step->out[0], i, activate(step->attrs, sums[i] + bias));
    }
}

/* Rank-1 lists joined, and numbers of one taken. */
static inline void run_lists(const sq_step *step)
{
    size_t at = 0;
    if (step->op == SQ_OP_Concat) {
        for (uint32_t i = 0; i < step->in_count; i++) {
            for (size_t j = 0; j < squall_tensor_count(&step->in[i]); j++) {
                put(&step->out[0], at++, sq_tensor_get_double(&step->in[i], j));
            }
        }
        return;
    }
    for (; at < squall_tensor_count(&step->out[0]); at++) {
        put(&step->out[0], at,
            sq_tensor_get_double(&step->in[0], (size_t)sq_tensor_get_int(&step->in[1], at)));
    }
}

/* The evaluator: a sq_graph_evaluate. */
static inline squall_status evaluate(sq_step *step, squall_error *err)
{
    for (uint32_t i = 0; i < step->out_count; i++) {
        const squall_tensor type = step->out[i];
        if (type.dtype != SQUALL_DTYPE_NONE &&
            !sq_tensor_make(type.dtype, type.rank, type.dims, &step->out[i])) {
            return sq_fail(err, SQUALL_E_MEMORY, step->name, "no memory");
        }
    }
    squall_tensor *out = &step->out[0];
    const size_t count = squall_tensor_count(out);
    switch (step->op) {
    case SQ_OP_Conv:
    case SQ_OP_ConvTranspose:
        run_conv(step);
        break;
    case SQ_OP_Gemm:
        run_gemm(step);
        break;
    case SQ_OP_BatchNormalization:
        run_batch_norm(step);
        break;
    case SQ_OP_Concat:
    case SQ_OP_Gather:
        run_lists(step);
        break;
    case SQ_OP_Add:
    case SQ_OP_Sub:
    case SQ_OP_Mul:
    case SQ_OP_Div:
        for (size_t i = 0; i < count; i++) {
            put(out, i,
                binary(step, get_broadcast(&step->in[0], out, i),
                       get_broadcast(&step->in[1], out, i)));
        }
        break;
    case SQ_OP_GridSample: /* stands for all that an evaluator may not know */
        for (uint32_t i = 0; i < step->out_count; i++) {
            sq_free(step->out[i].data);
        }
        return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "not here");
    default:
        for (size_t i = 0; i < count; i++) {
            put(out, i, unary(step, sq_tensor_get_double(&step->in[0], i)));
        }
    }
    return SQUALL_OK;
}

/* Run a whole graph whose inputs have concrete shapes; `out` gets a copy of output 0. */
static inline void run_graph(const sq_graph *graph, squall_tensor *out)
{
    squall_tensor *values = sq_alloc(graph->value_count, sizeof *values);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].constant) {
            values[i] = graph->values[i].type;
        }
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        squall_tensor *input = &values[graph->inputs[i]];
        const squall_tensor type = graph->values[graph->inputs[i]].type;
        assert_true(sq_tensor_make(type.dtype, type.rank, type.dims, input));
        for (size_t j = 0; j < squall_tensor_count(input); j++) {
            put(input, j, sin((double)(j * 7 + i)) * 3);
        }
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        squall_tensor in[SQ_MAX_INPUTS], outs[SQ_MAX_OUTPUTS];
        sq_step step;
        sq_graph_step(graph, node, in, outs, &step);
        for (uint32_t j = 0; j < node->in_count; j++) {
            in[j] = node->inputs[j] == SQ_NO_VALUE ? (squall_tensor){0} : values[node->inputs[j]];
        }
        assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
        assert_int_equal(evaluate(&step, NULL), SQUALL_OK);
        for (uint32_t j = 0; j < node->out_count; j++) {
            if (node->outputs[j] == SQ_NO_VALUE) {
                sq_free(outs[j].data);
            } else {
                values[node->outputs[j]] = outs[j];
            }
        }
    }
    assert_true(sq_tensor_copy(&values[graph->outputs[0]], out));
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (!graph->values[i].constant) {
            sq_tensor_free(&values[i]);
        }
    }
    sq_free(values);
}

/* Two graphs give the same output, within `tolerance` of its largest number. */
static inline void assert_same_output(const sq_graph *a, const sq_graph *b, double tolerance)
{
    squall_tensor x, y;
    run_graph(a, &x);
    run_graph(b, &y);
    assert_true(sq_tensor_same_type(&x, &y));
    double largest = 0, worst = 0;
    for (size_t i = 0; i < squall_tensor_count(&x); i++) {
        largest = fmax(largest, fabs(sq_tensor_get_double(&x, i)));
        worst = fmax(worst, fabs(sq_tensor_get_double(&x, i) - sq_tensor_get_double(&y, i)));
    }
    assert_true(largest > 0.1); /* a network that gives zeros shows nothing */
    assert_true(worst <= tolerance * largest);
    sq_tensor_free(&x);
    sq_tensor_free(&y);
}

static inline sq_graph *copy_graph(const sq_graph *graph)
{
    sq_graph *copy = NULL;
    assert_int_equal(sq_graph_copy(graph, &copy, NULL), SQUALL_OK);
    return copy;
}

#endif /* SQ_TEST_GRAPH_FIXTURE_H */
