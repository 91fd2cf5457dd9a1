/* fuzz/fuzz_graph.h - small graphs from bytes: every byte sequence gives one that is sound.
 *
 * Each node is tried as the bytes say and left out when its shapes do not fit. Operators are
 * continuous, so that rounding stays small, or, in an `exact` graph, move numbers only. */
#ifndef SQ_FUZZ_GRAPH_H
#define SQ_FUZZ_GRAPH_H

#include <stdio.h>
#include <string.h>

#include "nn/graph/graph.h"
#include "nn/ref/ref.h"

enum { MAX_INPUTS = 2, MAX_NODES = 24, MAX_POOL = 96, MAX_ELEMENTS = 4096 };

typedef struct maker {
    sq_graph *graph;
    const uint8_t *at, *end;
    uint32_t pool[MAX_POOL]; /* values that nodes may work on */
    uint32_t pool_count;
    bool exact;      /* the output's bits are known */
    bool open_batch; /* dimension 0 of the inputs is left open */
    bool failed;     /* no memory */
} maker;

static uint8_t next(maker *m)
{
    return m->at < m->end ? *m->at++ : 0;
}

static int64_t pick(maker *m, int64_t least, int64_t most)
{
    return least + next(m) % (most - least + 1);
}

static uint32_t take(maker *m)
{
    /* later values more often: chains are what passes look for */
    const uint8_t byte = next(m);
    const uint32_t back = byte & 0x80 ? byte & 3u : byte & 0x7fu;
    return m->pool[m->pool_count - 1 - back % m->pool_count];
}

static const squall_tensor *type_of(const maker *m, uint32_t value)
{
    return &m->graph->values[value].type;
}

static void put_in(maker *m, uint32_t value)
{
    if (m->pool_count < MAX_POOL) {
        m->pool[m->pool_count++] = value;
    }
}

/* A constant of floats of about `scale`. */
static uint32_t constant(maker *m, uint32_t rank, const int64_t *dims, float scale)
{
    squall_tensor tensor;
    uint32_t seed = next(m);
    if (!sq_tensor_make(SQUALL_F32, rank, dims, &tensor)) {
        m->failed = true;
        return 0;
    }
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        seed = seed * 1664525u + 1013904223u;
        ((float *)tensor.data)[i] = scale * ((float)(seed >> 8) / (float)(1 << 23) - 1.0f);
    }
    const uint32_t value = sq_graph_add_constant(m->graph, "c", &tensor);
    m->failed = m->failed || value == SQ_NO_VALUE;
    return m->failed ? 0 : value;
}

static uint32_t number(maker *m, squall_dtype dtype, double x)
{
    squall_tensor tensor;
    if (!sq_tensor_make(dtype, 0, NULL, &tensor)) {
        m->failed = true;
        return 0;
    }
    if (dtype == SQUALL_F32) {
        *(float *)tensor.data = (float)x;
    } else {
        *(uint8_t *)tensor.data = (uint8_t)(int)x;
    }
    const uint32_t value = sq_graph_add_constant(m->graph, "n", &tensor);
    m->failed = m->failed || value == SQ_NO_VALUE;
    return m->failed ? 0 : value;
}

static uint32_t ints(maker *m, const int64_t *values, int64_t count)
{
    squall_tensor tensor;
    if (!sq_tensor_make(SQUALL_I64, 1, &count, &tensor)) {
        m->failed = true;
        return 0;
    }
    memcpy(tensor.data, values, (size_t)count * sizeof *values);
    const uint32_t value = sq_graph_add_constant(m->graph, "i", &tensor);
    m->failed = m->failed || value == SQ_NO_VALUE;
    return m->failed ? 0 : value;
}

/* A node that is being made; NULL when there is no memory. */
static sq_node *begin(maker *m, sq_op op, const uint32_t *inputs, uint32_t count, uint32_t outputs)
{
    char name[16];
    (void)snprintf(name, sizeof name, "n%u", m->graph->node_count);
    if (m->failed) {
        return NULL;
    }
    sq_node *node = sq_graph_add_node(m->graph, op, name, count, outputs);
    m->failed = node == NULL;
    if (node != NULL) {
        memcpy(node->inputs, inputs, count * sizeof *inputs);
        node->attrs.opset = 18;
    }
    return node;
}

/* Infer the node that was begun; it goes again when it does not fit, or gives nothing, or much. */
static bool finish(maker *m)
{
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_step step;
    sq_node *node = &m->graph->nodes[m->graph->node_count - 1];
    if (m->failed) {
        return false;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "v%u", m->graph->value_count);
        node->outputs[i] = sq_graph_add_value(m->graph, name);
        m->failed = m->failed || node->outputs[i] == SQ_NO_VALUE;
    }
    if (m->failed) {
        return false;
    }
    sq_graph_step(m->graph, node, in, out, &step);
    bool good = sq_op_infer(&step, NULL) == SQUALL_OK;
    for (uint32_t i = 0; good && i < node->out_count; i++) {
        const size_t count = squall_tensor_count(&out[i]);
        good = count > 0 && count <= MAX_ELEMENTS;
    }
    if (!good) {
        node->dead = true;
        sq_graph_compact(m->graph);
        return false;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        m->graph->values[node->outputs[i]].type = out[i];
        put_in(m, node->outputs[i]);
    }
    return true;
}

static uint32_t last_value(const maker *m)
{
    return m->pool[m->pool_count - 1];
}

static void set_ints(maker *m, sq_node *node, const char *name, const int64_t *values, size_t count)
{
    m->failed = m->failed || !sq_attr_set_ints(&node->attrs, name, values, count);
}

static void set_int(maker *m, sq_node *node, const char *name, int64_t value)
{
    m->failed = m->failed || !sq_attr_set_int(&node->attrs, name, value);
}

static void set_text(maker *m, sq_node *node, const char *name, const char *text)
{
    m->failed = m->failed || !sq_attr_set_string(&node->attrs, name, text, strlen(text));
}

/* ---- operators ---- */

static bool add_unary(maker *m, sq_op op, uint32_t x)
{
    return begin(m, op, &x, 1, 1) != NULL && finish(m);
}

static bool add_conv(maker *m, uint32_t x)
{
    const squall_tensor in = *type_of(m, x);
    if (in.rank != 4 || in.dims[1] > 64) {
        return false;
    }
    const bool back = next(m) % 8 == 0;
    const int64_t kernel = pick(m, 1, 3), out = pick(m, 1, 8), stride = pick(m, 1, 2);
    const int64_t group = !back && next(m) % 4 == 0 ? in.dims[1] : 1;
    const int64_t pads[] = {pick(m, 0, 1), pick(m, 0, 2), pick(m, 0, 1), pick(m, 0, 1)};
    const int64_t strides[] = {stride, stride}, dilation = next(m) % 8 == 0 ? 2 : 1;
    const int64_t dilations[] = {dilation, dilation}, outs = out * group;
    const int64_t forth_dims[] = {outs, in.dims[1] / group, kernel, kernel};
    const int64_t back_dims[] = {in.dims[1], out, kernel, kernel};
    const uint32_t w = constant(m, 4, back ? back_dims : forth_dims, 0.5f);
    const bool bias = next(m) % 2 == 0;
    const uint32_t b = bias ? constant(m, 1, &outs, 1.0f) : 0;
    const uint32_t inputs[] = {x, w, b};
    sq_node *node = begin(m, back ? SQ_OP_ConvTranspose : SQ_OP_Conv, inputs, bias ? 3 : 2, 1);
    if (node == NULL) {
        return false;
    }
    set_ints(m, node, "pads", pads, 4);
    set_ints(m, node, "strides", strides, 2);
    set_ints(m, node, "dilations", dilations, 2);
    set_int(m, node, "group", group);
    return finish(m);
}

static bool add_pool(maker *m, uint32_t x, bool mean)
{
    if (type_of(m, x)->rank != 4) {
        return false;
    }
    const int64_t k = pick(m, 1, 3), s = pick(m, 1, 2), kernel[] = {k, k}, strides[] = {s, s};
    const int64_t p = k > 1 ? pick(m, 0, 1) : 0, pads[] = {p, p, 0, p};
    sq_node *node = begin(m, mean ? SQ_OP_AveragePool : SQ_OP_MaxPool, &x, 1, 1);
    if (node == NULL) {
        return false;
    }
    set_ints(m, node, "kernel_shape", kernel, 2);
    set_ints(m, node, "strides", strides, 2);
    set_ints(m, node, "pads", pads, 4);
    if (mean) {
        set_int(m, node, "count_include_pad", next(m) & 1);
    }
    return finish(m);
}

static bool add_norm(maker *m, uint32_t x)
{
    const squall_tensor in = *type_of(m, x);
    if (in.rank < 2) {
        return false;
    }
    uint32_t inputs[5] = {x};
    for (int i = 1; i < 5; i++) {
        inputs[i] = constant(m, 1, &in.dims[1], 1.0f);
    }
    if (!m->failed) { /* a variance is not negative */
        float *variance = m->graph->values[inputs[4]].type.data;
        for (int64_t c = 0; c < in.dims[1]; c++) {
            variance[c] = 1.5f + variance[c];
        }
    }
    return begin(m, SQ_OP_BatchNormalization, inputs, 5, 1) != NULL && finish(m);
}

static bool add_binary(maker *m, uint32_t x)
{
    static const sq_op ops[] = {SQ_OP_Add, SQ_OP_Sub, SQ_OP_Mul, SQ_OP_Max};
    const sq_op op = ops[next(m) % 4];
    const squall_tensor in = *type_of(m, x);
    uint32_t other;
    int64_t channels[] = {1, 1, 1, 1};
    switch (next(m) % 4) {
    case 0:
        other = number(m, SQUALL_F32, (double)pick(m, 0, 4) - 1);
        break;
    case 1:
        channels[1] = in.rank > 1 ? in.dims[1] : 1;
        other = constant(m, in.rank < 4 ? in.rank : 4, channels, 1.0f);
        break;
    default:
        other = take(m);
    }
    const bool swap = next(m) & 1;
    const uint32_t inputs[] = {swap ? other : x, swap ? x : other};
    return begin(m, op, inputs, 2, 1) != NULL && finish(m);
}

static bool add_concat(maker *m, uint32_t x)
{
    uint32_t inputs[4] = {x};
    const uint32_t count = (uint32_t)pick(m, 1, 4);
    for (uint32_t i = 1; i < count; i++) {
        inputs[i] = take(m);
    }
    sq_node *node = begin(m, SQ_OP_Concat, inputs, count, 1);
    if (node == NULL) {
        return false;
    }
    set_int(m, node, "axis", pick(m, 0, 3) - (next(m) % 4 == 0 ? 4 : 0));
    return finish(m);
}

static bool add_split(maker *m, uint32_t x)
{
    const int64_t parts = pick(m, 1, 4), axis = pick(m, 0, 3);
    sq_node *node = begin(m, SQ_OP_Split, &x, 1, (uint32_t)parts);
    if (node == NULL) {
        return false;
    }
    set_int(m, node, "axis", axis);
    set_int(m, node, "num_outputs", parts);
    return finish(m);
}

static bool add_slice(maker *m, uint32_t x)
{
    const int64_t axis = pick(m, 0, 3), start = pick(m, 0, 4) - (next(m) % 4 == 0 ? 5 : 0);
    const int64_t end = next(m) % 4 == 0 ? INT64_MAX : start + pick(m, 1, 4);
    const int64_t step = next(m) % 6 == 0 ? pick(m, 0, 4) - 2 : 1;
    const uint32_t inputs[] = {x, ints(m, &start, 1), ints(m, &end, 1), ints(m, &axis, 1),
                               ints(m, &step, 1)};
    return begin(m, SQ_OP_Slice, inputs, 5, 1) != NULL && finish(m);
}

static bool add_pad(maker *m, uint32_t x)
{
    int64_t pads[8] = {0};
    const uint32_t rank = type_of(m, x)->rank;
    if (rank > 4) {
        return false;
    }
    for (uint32_t i = 0; i < 2 * rank; i++) {
        pads[i] = i % rank >= 2 || next(m) % 8 == 0 ? pick(m, 0, 2) : 0;
        pads[i] -= next(m) % 32 == 0;
    }
    const uint32_t inputs[] = {x, ints(m, pads, 2 * (int64_t)rank),
                               number(m, SQUALL_F32, next(m) % 4 == 0 ? 1 : 0)};
    sq_node *node = begin(m, SQ_OP_Pad, inputs, 3, 1);
    if (node == NULL) {
        return false;
    }
    set_text(m, node, "mode", next(m) % 8 == 0 ? "edge" : "constant");
    return finish(m);
}

static bool add_transpose(maker *m, uint32_t x)
{
    static const int64_t orders[][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2},
                                        {1, 0, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}};
    static const int64_t three[][3] = {{0, 2, 1}, {1, 0, 2}}, two[] = {1, 0};
    const uint32_t rank = type_of(m, x)->rank, which = next(m);
    sq_node *node = begin(m, SQ_OP_Transpose, &x, 1, 1);
    if (node == NULL) {
        return false;
    }
    if (rank == 4) {
        set_ints(m, node, "perm", orders[which % 6], 4);
    } else if (rank == 3) {
        set_ints(m, node, "perm", three[which % 2], 3);
    } else if (rank == 2) {
        set_ints(m, node, "perm", two, 2);
    }
    return finish(m);
}

static bool add_reshape(maker *m, uint32_t x)
{
    const squall_tensor in = *type_of(m, x);
    if (in.rank != 4) { /* into images again */
        const int64_t shape[] = {next(m) % 2 ? -1 : 0, pick(m, 1, 4), pick(m, 1, 4), -1};
        const int64_t fixed[] = {shape[0], shape[1], shape[2], shape[0] == -1 ? pick(m, 1, 4) : -1};
        const uint32_t inputs[] = {x, ints(m, fixed, 4)};
        return begin(m, SQ_OP_Reshape, inputs, 2, 1) != NULL && finish(m);
    }
    const int64_t flat[] = {0, -1}, rows[] = {0, in.dims[1], -1}, merged[] = {-1, in.dims[3]};
    const int64_t swapped[] = {0, in.dims[1], in.dims[3], in.dims[2]}, axis[] = {pick(m, 0, 3)};
    uint32_t inputs[] = {x, 0};
    switch (next(m) % 6) {
    case 0:
        inputs[1] = ints(m, flat, 2);
        break;
    case 1:
        inputs[1] = ints(m, rows, 3);
        break;
    case 2:
        inputs[1] = ints(m, merged, 2);
        break;
    case 3:
        inputs[1] = ints(m, swapped, 4);
        break;
    case 4:
        return begin(m, SQ_OP_Flatten, &x, 1, 1) != NULL && finish(m);
    default:
        inputs[1] = ints(m, axis, 1);
        return begin(m, in.dims[axis[0]] == 1 ? SQ_OP_Squeeze : SQ_OP_Unsqueeze, inputs, 2, 1) !=
                   NULL &&
               finish(m);
    }
    return begin(m, SQ_OP_Reshape, inputs, 2, 1) != NULL && finish(m);
}

static bool add_resize(maker *m, uint32_t x)
{
    static const char *const coordinates[] = {"half_pixel", "align_corners", "asymmetric",
                                              "pytorch_half_pixel"};
    const squall_tensor in = *type_of(m, x);
    const int64_t up = pick(m, 1, 2), four = 4;
    if (in.rank != 4) {
        return false;
    }
    const bool by_size = next(m) & 1, linear = next(m) & 1;
    const int64_t sizes[] = {in.dims[0], in.dims[1], in.dims[2] * up, in.dims[3] * 2};
    const uint32_t size = by_size ? ints(m, sizes, 4) : SQ_NO_VALUE;
    const uint32_t scale = by_size ? SQ_NO_VALUE : constant(m, 1, &four, 1.0f);
    if (!by_size && !m->failed) {
        memcpy(m->graph->values[scale].type.data, ((float[]){1, 1, (float)up, 2}), 16);
    }
    const uint32_t inputs[] = {x, SQ_NO_VALUE, scale, size};
    sq_node *node = begin(m, SQ_OP_Resize, inputs, by_size ? 4 : 3, 1);
    if (node == NULL) {
        return false;
    }
    set_text(m, node, "mode", linear ? "linear" : "nearest");
    set_text(m, node, "coordinate_transformation_mode",
             linear ? coordinates[next(m) % 4] : "asymmetric");
    set_text(m, node, "nearest_mode", "floor");
    return finish(m);
}

static bool add_activation(maker *m, uint32_t x)
{
    static const sq_op ops[] = {SQ_OP_Relu,      SQ_OP_LeakyRelu,   SQ_OP_Sigmoid, SQ_OP_Tanh,
                                SQ_OP_HardSwish, SQ_OP_HardSigmoid, SQ_OP_Abs,     SQ_OP_Neg,
                                SQ_OP_Identity,  SQ_OP_Softmax};
    const uint8_t which = next(m) % 13;
    if (which < 10) {
        return add_unary(m, ops[which], x);
    }
    if (which == 10) { /* x * sigmoid(x) */
        if (!add_unary(m, SQ_OP_Sigmoid, x)) {
            return false;
        }
        const uint32_t inputs[] = {x, last_value(m)};
        return begin(m, SQ_OP_Mul, inputs, 2, 1) != NULL && finish(m);
    }
    const uint32_t inputs[] = {x, number(m, SQUALL_F32, -0.5), number(m, SQUALL_F32, 0.75)};
    return begin(m, SQ_OP_Clip, inputs, 3, 1) != NULL && finish(m);
}

static bool add_matrix(maker *m, uint32_t x)
{
    const squall_tensor in = *type_of(m, x);
    if (in.rank < 2 || in.dims[in.rank - 1] > 64) {
        return false;
    }
    const int64_t out = pick(m, 1, 8), dims[] = {in.dims[in.rank - 1], out};
    const bool gemm = in.rank == 2 && next(m) % 2 == 0;
    const uint32_t inputs[] = {x, constant(m, 2, dims, 0.5f), gemm ? constant(m, 1, &out, 1) : 0};
    return begin(m, gemm ? SQ_OP_Gemm : SQ_OP_MatMul, inputs, gemm ? 3 : 2, 1) != NULL && finish(m);
}

static bool add_mul(maker *m, sq_op op, uint32_t a, uint32_t b)
{
    const uint32_t inputs[] = {a, b};
    return begin(m, op, inputs, 2, 1) != NULL && finish(m);
}

/* The gates of a cell on four, or two, parts of a value. */
static bool add_cell(maker *m, uint32_t x, bool lstm)
{
    uint32_t part[4], i, f, o, g, z;
    const int64_t parts = lstm ? 4 : 2;
    sq_node *node = begin(m, SQ_OP_Split, &x, 1, (uint32_t)parts);
    if (node == NULL) {
        return false;
    }
    set_int(m, node, "axis", 1);
    set_int(m, node, "num_outputs", parts);
    if (!finish(m)) {
        return false;
    }
    for (int64_t p = 0; p < parts && m->pool_count >= parts; p++) {
        part[p] = m->pool[m->pool_count - parts + p];
    }
    const uint32_t state = take(m);
    if (!lstm) {
        if (!add_unary(m, SQ_OP_Sigmoid, part[0])) {
            return false;
        }
        z = last_value(m);
        const uint32_t one = number(m, SQUALL_F32, 1);
        return add_mul(m, SQ_OP_Mul, z, state) && (f = last_value(m), true) &&
               add_mul(m, SQ_OP_Sub, one, z) && add_mul(m, SQ_OP_Mul, last_value(m), part[1]) &&
               add_mul(m, SQ_OP_Add, f, last_value(m));
    }
    if (!add_unary(m, SQ_OP_Sigmoid, part[0]) || (i = last_value(m), false) ||
        !add_unary(m, SQ_OP_Sigmoid, part[1]) || (f = last_value(m), false) ||
        !add_unary(m, SQ_OP_Sigmoid, part[2]) || (o = last_value(m), false) ||
        !add_unary(m, SQ_OP_Tanh, part[3]) || (g = last_value(m), false)) {
        return false;
    }
    return add_mul(m, SQ_OP_Mul, f, state) && (f = last_value(m), true) &&
           add_mul(m, SQ_OP_Mul, i, g) && add_mul(m, SQ_OP_Add, last_value(m), f) &&
           add_unary(m, SQ_OP_Tanh, last_value(m)) && add_mul(m, SQ_OP_Mul, o, last_value(m));
}

/* To integers and back, by one of two scales. */
static bool add_quantised(maker *m, uint32_t x)
{
    const double scale = next(m) % 4 == 0 ? 0.0625 : 0.03125;
    const int zero = next(m) % 4 == 0 ? 0 : 128;
    const uint32_t to[] = {x, number(m, SQUALL_F32, scale), number(m, SQUALL_U8, zero)};
    if (begin(m, SQ_OP_QuantizeLinear, to, 3, 1) == NULL || !finish(m)) {
        return false;
    }
    const uint32_t from[] = {last_value(m), number(m, SQUALL_F32, scale),
                             number(m, SQUALL_U8, zero)};
    m->pool_count--; /* integers are no numbers to work on */
    return begin(m, SQ_OP_DequantizeLinear, from, 3, 1) != NULL && finish(m);
}

/* A convolution of `kernel` to `out` channels, of each channel apart when out is 0. */
static bool add_plain_conv(maker *m, uint32_t x, int64_t out, int64_t kernel)
{
    const squall_tensor in = *type_of(m, x);
    if (in.rank != 4 || in.dims[1] > 64) {
        return false;
    }
    const int64_t group = out == 0 ? in.dims[1] : 1, outs = out == 0 ? in.dims[1] : out;
    const int64_t dims[] = {outs, in.dims[1] / group, kernel, kernel}, p = kernel / 2;
    const int64_t pads[] = {p, p, p, p};
    const uint32_t inputs[] = {x, constant(m, 4, dims, 0.3f), constant(m, 1, &outs, 1.0f)};
    sq_node *node = begin(m, SQ_OP_Conv, inputs, 3, 1);
    if (node == NULL) {
        return false;
    }
    set_ints(m, node, "pads", pads, 4);
    set_int(m, node, "group", group);
    return finish(m);
}

/* What a decoder does: images twice as large joined with others, and a convolution of both; or a
 * depthwise convolution and a 1 x 1 one. */
static bool add_decoder(maker *m, uint32_t x)
{
    if (next(m) % 3 == 0) {
        return add_plain_conv(m, x, 0, 3) &&
               (next(m) % 2 == 0 || add_unary(m, SQ_OP_Relu, last_value(m))) &&
               add_plain_conv(m, last_value(m), pick(m, 1, 32), 1);
    }
    const int64_t wide = next(m) % 4 == 0 ? 8 : 16, narrow = pick(m, 1, 20), four = 4;
    if (!add_plain_conv(m, x, wide, 1)) {
        return false;
    }
    const uint32_t low = last_value(m), scale = constant(m, 1, &four, 1.0f);
    if (m->failed) {
        return false;
    }
    memcpy(m->graph->values[scale].type.data, ((float[]){1, 1, 2, 2}), 16);
    const uint32_t inputs[] = {low, SQ_NO_VALUE, scale};
    sq_node *node = begin(m, SQ_OP_Resize, inputs, 3, 1);
    if (node == NULL) {
        return false;
    }
    set_text(m, node, "mode", "nearest");
    set_text(m, node, "coordinate_transformation_mode", "asymmetric");
    set_text(m, node, "nearest_mode", "floor");
    if (!finish(m)) {
        return false;
    }
    const uint32_t up = last_value(m);
    const bool join = next(m) % 4 != 0;
    if (join) {
        if (!add_plain_conv(m, up, narrow, 1)) {
            return false;
        }
        const uint32_t both[] = {up, last_value(m)};
        node = begin(m, SQ_OP_Concat, both, 2, 1);
        if (node == NULL) {
            return false;
        }
        set_int(m, node, "axis", 1);
        if (!finish(m)) {
            return false;
        }
    }
    return add_plain_conv(m, last_value(m), pick(m, 1, 32), 3) && add_activation(m, last_value(m));
}

static bool add_one(maker *m)
{
    const uint8_t kind = next(m);
    const uint32_t x = take(m);
    if (m->exact) { /* nothing that rounds */
        switch (kind % 10) {
        case 0:
        case 1:
            return add_quantised(m, x);
        case 2:
            return add_pool(m, x, false);
        case 3:
            return add_unary(m, SQ_OP_Relu, x);
        case 4:
            return add_concat(m, x);
        case 5:
            return add_split(m, x);
        case 6:
            return add_slice(m, x);
        case 7:
            return add_transpose(m, x);
        case 8:
            return add_reshape(m, x);
        default:
            return add_pad(m, x);
        }
    }
    switch (kind % 22) {
    case 0:
    case 1:
    case 2:
        return add_conv(m, x);
    case 3:
    case 4:
    case 5:
        return add_activation(m, x);
    case 6:
        return add_pool(m, x, false);
    case 7:
        return add_pool(m, x, true);
    case 8:
        return add_norm(m, x);
    case 9:
    case 10:
        return add_binary(m, x);
    case 11:
        return add_concat(m, x);
    case 12:
        return add_split(m, x);
    case 13:
        return add_slice(m, x);
    case 14:
        return add_pad(m, x);
    case 15:
        return add_transpose(m, x);
    case 16:
        return add_reshape(m, x);
    case 17:
        return add_resize(m, x);
    case 18:
        return add_matrix(m, x);
    case 19:
    case 20:
        return add_decoder(m, x);
    default:
        return add_cell(m, x, kind & 0x40);
    }
}

static bool add_port(maker *m, bool input, uint32_t value)
{
    uint32_t **list = input ? &m->graph->inputs : &m->graph->outputs;
    uint32_t *count = input ? &m->graph->input_count : &m->graph->output_count;
    uint32_t *grown = sq_regrow(*list, *count, *count + 1, sizeof *grown);
    if (grown == NULL) {
        m->failed = true;
        return false;
    }
    *list = grown;
    grown[(*count)++] = value;
    return true;
}

/* What nothing uses is an output, and so may others be; what is given by no node is not. */
static void choose_outputs(maker *m, uint32_t most)
{
    for (uint32_t i = m->pool_count; i-- > 0 && m->graph->output_count < most;) {
        const uint32_t value = m->pool[i];
        if (sq_graph_producer(m->graph, value) != NULL &&
            (sq_graph_use_count(m->graph, value) == 0 || next(m) % 8 == 0)) {
            (void)add_port(m, false, value);
        }
    }
}

/* False when there is nothing to run; the graph is given even then, or NULL. */
static bool make_graph(maker *m, const uint8_t *data, size_t size, uint32_t most_outputs)
{
    *m = (maker){.graph = sq_graph_create(), .at = data, .end = data + size};
    if (m->graph == NULL) {
        return false;
    }
    const uint8_t flags = next(m);
    m->exact = flags & 1;
    m->open_batch = (flags & 0xe) == 0xe;
    const int64_t batch = flags & 0x10 ? 2 : 1;
    for (uint32_t i = 0; i < (flags & 0x20 ? 2u : 1u); i++) {
        const uint32_t value = sq_graph_add_value(m->graph, i == 0 ? "x" : "z");
        if (value == SQ_NO_VALUE || !add_port(m, true, value)) {
            return false;
        }
        m->graph->values[value].type =
            (squall_tensor){.dtype = SQUALL_F32,
                            .rank = 4,
                            .dims = {batch, flags & 0x40 ? 4 : pick(m, 1, 8), pick(m, 1, 7),
                                     pick(m, 1, 7)}};
        put_in(m, value);
    }
    for (int n = 0; n < MAX_NODES && m->at < m->end && !m->failed; n++) {
        (void)add_one(m);
    }
    choose_outputs(m, most_outputs);
    return !m->failed && m->graph->output_count > 0;
}

#endif /* SQ_FUZZ_GRAPH_H */
