/* nn/graph/graph_pass_quantise.c - pass: QuantizeLinear goes up and DequantizeLinear down through
 * what only moves numbers, until they meet and cancel, or stand beside the products that can work
 * on integers. One scale and zero point for the whole tensor; per channel they stay where they are.
 *
 * q(x) = round(x / scale) + zero, held to its type, is monotone: the largest of numbers and their
 * order stay what they are. Its lowest number is the zero point, or Relu would not be in it. */
#include <math.h>
#include <string.h>

#include "nn/graph/graph_match.h"

typedef struct scheme {
    double scale, zero;
    squall_dtype dtype; /* of the integers */
} scheme;

static bool is_narrow(squall_dtype dtype)
{
    return dtype == SQUALL_I8 || dtype == SQUALL_U8 || dtype == SQUALL_I16 || dtype == SQUALL_U16;
}

/* Scale and zero point of a Q or DQ with one of each; scales so small or large that numbers would
 * be lost on the way are left alone. */
static bool find_scheme(const sq_graph *graph, const sq_node *node, scheme *out)
{
    const uint32_t integers = node->op == SQ_OP_QuantizeLinear ? node->outputs[0] : node->inputs[0];
    const uint32_t reals = node->op == SQ_OP_QuantizeLinear ? node->inputs[0] : node->outputs[0];
    if (integers == SQ_NO_VALUE || reals == SQ_NO_VALUE ||
        !sq_graph_number(graph, node->inputs[1], &out->scale) ||
        sq_attr_int(&node->attrs, "block_size", 0) != 0 ||
        sq_attr_int(&node->attrs, "saturate", 1) != 1) {
        return false;
    }
    out->zero = 0;
    if (node->in_count > 2 && node->inputs[2] != SQ_NO_VALUE &&
        !sq_graph_number(graph, node->inputs[2], &out->zero)) {
        return false;
    }
    out->dtype = graph->values[integers].type.dtype;
    return is_narrow(out->dtype) && graph->values[reals].type.dtype == SQUALL_F32 &&
           graph->values[node->inputs[1]].type.dtype == SQUALL_F32 && out->scale > 1e-30 &&
           out->scale < 1e30;
}

static bool same_scheme(const scheme *a, const scheme *b)
{
    return a->scale == b->scale && a->zero == b->zero && a->dtype == b->dtype;
}

static double lowest(squall_dtype dtype)
{
    return dtype == SQUALL_I8 ? INT8_MIN : dtype == SQUALL_I16 ? INT16_MIN : 0;
}

/* A MaxPool of which every window holds a number. */
static bool is_full_pool(const sq_node *node, uint32_t rank)
{
    size_t count, pads;
    const int64_t *kernel = sq_attr_ints(&node->attrs, "kernel_shape", &count);
    const int64_t *pad = sq_attr_ints(&node->attrs, "pads", &pads);
    if (!kernel || rank != count + 2 || (pad && pads != 2 * count) ||
        (node->out_count > 1 && node->outputs[1] != SQ_NO_VALUE) ||
        sq_attr_int(&node->attrs, "ceil_mode", 0) != 0 ||
        strcmp(sq_attr_string(&node->attrs, "auto_pad", "NOTSET"), "NOTSET") != 0) {
        return false;
    }
    for (size_t i = 0; pad && i < pads; i++) {
        if (pad[i] >= kernel[i % count]) {
            return false;
        }
    }
    return true;
}

/* A node that gives numbers of its first input (a Concat: of all inputs) and no others. */
static bool moves(const sq_graph *graph, const sq_node *node)
{
    switch (node->op) {
    case SQ_OP_Reshape:
    case SQ_OP_Flatten:
    case SQ_OP_Squeeze:
    case SQ_OP_Unsqueeze:
    case SQ_OP_Transpose:
    case SQ_OP_Slice:
    case SQ_OP_DepthToSpace:
    case SQ_OP_SpaceToDepth:
    case SQ_OP_Concat:
        return node->out_count == 1;
    case SQ_OP_MaxPool:
        return is_full_pool(node, graph->values[node->inputs[0]].type.rank);
    default:
        return false;
    }
}

/* The DequantizeLinear that gives input `i`. */
static sq_node *dequantizer(const sq_graph *graph, const sq_graph_index *index, const sq_node *node,
                            uint32_t i, scheme *out)
{
    sq_node *dq = sq_graph_maker(graph, index, node->inputs[i], SQ_OP_DequantizeLinear);
    return dq && find_scheme(graph, dq, out) ? dq : NULL;
}

/* All that `node` works on was dequantised by one scheme. */
static bool all_dequantised(const sq_graph *graph, const sq_graph_index *index, const sq_node *node,
                            scheme *out)
{
    const uint32_t count = node->op == SQ_OP_Concat ? node->in_count : 1;
    if (!dequantizer(graph, index, node, 0, out)) {
        return false;
    }
    for (uint32_t i = 1; i < count; i++) {
        scheme own;
        if (!dequantizer(graph, index, node, i, &own) || !same_scheme(&own, out)) {
            return false;
        }
    }
    return true;
}

/* The integers stand for the numbers that `node` works on; its output is of their type. */
static void work_on_integers(sq_graph *graph, const sq_graph_index *index, sq_node *node,
                             squall_dtype dtype)
{
    const uint32_t count = node->op == SQ_OP_Concat ? node->in_count : 1;
    for (uint32_t i = 0; i < count; i++) {
        sq_node *dq = sq_graph_maker(graph, index, node->inputs[i], SQ_OP_DequantizeLinear);
        if (!dq) { /* two inputs were one */
            continue;
        }
        if (--index->uses[node->inputs[i]] == 0) {
            sq_graph_retire(graph, dq, node, "integers are moved as they are");
        }
        node->inputs[i] = dq->inputs[0];
        index->uses[dq->inputs[0]]++;
    }
    if (node->outputs[0] != SQ_NO_VALUE) {
        graph->values[node->outputs[0]].type.dtype = dtype;
    }
}

/* Q behind DQ, or behind what only moves what DQ gives: the integers are those that there were. */
static bool cancel(sq_graph *graph, const sq_graph_index *index, sq_node *q, const scheme *to)
{
    scheme from;
    const uint32_t in = q->inputs[0], out = q->outputs[0];
    sq_node *dq = dequantizer(graph, index, q, 0, &from);
    if (dq && same_scheme(&from, to)) {
        if (sq_graph_is_output(graph, out)) {
            return false;
        }
        sq_graph_replace(graph, out, dq->inputs[0]);
        index->uses[dq->inputs[0]] += index->uses[out] - 1;
        sq_graph_retire(graph, q, NULL, "it gives the integers that there were before");
        if (--index->uses[in] == 0) {
            sq_graph_retire(graph, dq, NULL, "only integers are needed");
        }
        return true;
    }
    if (index->uses[in] != 1 || index->producer[in] == SQ_NO_NODE) {
        return false;
    }
    sq_node *mover = &graph->nodes[index->producer[in]];
    if (mover->dead || !moves(graph, mover) || !all_dequantised(graph, index, mover, &from) ||
        !same_scheme(&from, to)) {
        return false;
    }
    work_on_integers(graph, index, mover, to->dtype);
    mover->outputs[0] = out;
    index->producer[out] = (uint32_t)(mover - graph->nodes);
    sq_graph_retire(graph, q, mover, "integers are moved as they are");
    return true;
}

/* mover(dq(x)) becomes dq(mover(x)): the two nodes trade places. */
static bool sink(sq_graph *graph, const sq_graph_index *index, sq_node *mover)
{
    scheme from;
    if (!moves(graph, mover) || mover->op == SQ_OP_Concat || mover->inputs[0] == SQ_NO_VALUE ||
        mover->outputs[0] == SQ_NO_VALUE || index->uses[mover->inputs[0]] != 1) {
        return false;
    }
    sq_node *dq = dequantizer(graph, index, mover, 0, &from);
    if (!dq || sq_graph_is_constant(graph, dq->inputs[0])) {
        return false;
    }
    for (uint32_t i = 1; i < mover->in_count; i++) {
        if (mover->inputs[i] != SQ_NO_VALUE && !sq_graph_is_constant(graph, mover->inputs[i])) {
            return false;
        }
    }
    const uint32_t x = dq->inputs[0], between = dq->outputs[0], y = mover->outputs[0];
    sq_node held = *dq;
    *dq = *mover;
    *mover = held;
    dq->inputs[0] = x;
    dq->outputs[0] = between;
    mover->inputs[0] = between;
    mover->outputs[0] = y;
    graph->values[between].type = graph->values[y].type;
    graph->values[between].type.data = NULL;
    graph->values[between].type.dtype = from.dtype;
    return true;
}

/* q(mover(x)) becomes mover(q(x)), and q(relu(x)) becomes q(x) where the zero point is the lowest
 * number: what is below 0 is held to it anyway. */
static bool rise(sq_graph *graph, const sq_graph_index *index, sq_node *q, const scheme *to)
{
    const uint32_t between = q->inputs[0], y = q->outputs[0];
    if (index->uses[between] != 1 || index->producer[between] == SQ_NO_NODE) {
        return false;
    }
    sq_node *mover = &graph->nodes[index->producer[between]];
    if (mover->dead || mover->inputs[0] == SQ_NO_VALUE) {
        return false;
    }
    if (mover->op == SQ_OP_Relu && to->zero == lowest(to->dtype)) {
        q->inputs[0] = mover->inputs[0];
        sq_graph_retire(graph, mover, q, "the lowest integer stands for 0");
        return true;
    }
    if (!moves(graph, mover) || mover->op == SQ_OP_Concat) {
        return false;
    }
    const uint32_t x = mover->inputs[0];
    sq_node held = *mover;
    *mover = *q;
    *q = held;
    mover->inputs[0] = x;
    mover->outputs[0] = between;
    q->inputs[0] = between;
    q->outputs[0] = y;
    graph->values[between].type = graph->values[x].type;
    graph->values[between].type.data = NULL;
    graph->values[between].type.dtype = to->dtype;
    return true;
}

squall_status sq_pass_quantise(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                               squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        scheme to;
        bool done = false, moved = false;
        if (node->dead || node->in_count < 1 || node->outputs[0] == SQ_NO_VALUE) {
            continue;
        }
        if (node->op == SQ_OP_QuantizeLinear && find_scheme(graph, node, &to)) {
            done = cancel(graph, &index, node, &to);
            moved = !done && rise(graph, &index, node, &to);
        } else {
            moved = sink(graph, &index, node);
        }
        if (moved) { /* other nodes give the values in between now */
            sq_graph_index_free(&index);
            SQ_TRY(sq_graph_index_make(graph, &index, err));
        }
        *changes += done || moved;
    }
    sq_graph_index_free(&index);
    sq_graph_compact(graph);
    return SQUALL_OK;
}
