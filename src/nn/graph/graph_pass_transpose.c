/* nn/graph/graph_pass_transpose.c - pass: Transposes and Reshapes that follow one another become
 * one, or none.
 *
 * A Transpose in front of what works number by number trades places with it when that brings it
 * next to another Transpose. */
#include <string.h>

#include "nn/graph/graph_match.h"

static bool find_order(const sq_graph *graph, const sq_node *node, int64_t *out, uint32_t *rank)
{
    size_t count;
    const int64_t *order = sq_attr_ints(&node->attrs, "perm", &count);
    *rank = graph->values[node->inputs[0]].type.rank;
    if (order && count != *rank) {
        return false;
    }
    for (uint32_t i = 0; i < *rank; i++) {
        out[i] = order ? order[i] : (int64_t)*rank - 1 - i;
    }
    return true;
}

/* Whether `node` works number by number on one input, whatever the order. */
static bool is_pointwise(const sq_node *node)
{
    switch (node->op) {
    case SQ_OP_Relu:
    case SQ_OP_LeakyRelu:
    case SQ_OP_Elu:
    case SQ_OP_Sigmoid:
    case SQ_OP_HardSigmoid:
    case SQ_OP_HardSwish:
    case SQ_OP_Softplus:
    case SQ_OP_Tanh:
    case SQ_OP_Gelu:
    case SQ_OP_Erf:
    case SQ_OP_Exp:
    case SQ_OP_Log:
    case SQ_OP_Sqrt:
    case SQ_OP_Neg:
    case SQ_OP_Abs:
    case SQ_OP_Clip:
    case SQ_OP_Cast:
        return true;
    default:
        return false;
    }
}

/* second(first(x)) as one Transpose of x, which `second` becomes. */
static squall_status join(sq_graph *graph, const sq_node *first, sq_node *second, bool *done,
                          squall_error *err)
{
    int64_t a[SQUALL_MAX_DIMS], b[SQUALL_MAX_DIMS], both[SQUALL_MAX_DIMS];
    uint32_t rank, again;
    *done = false;
    if (!find_order(graph, first, a, &rank) || !find_order(graph, second, b, &again) ||
        rank != again) {
        return SQUALL_OK;
    }
    for (uint32_t i = 0; i < rank; i++) {
        both[i] = a[b[i]];
    }
    if (!sq_attr_set_ints(&second->attrs, "perm", both, rank)) {
        return sq_fail(err, SQUALL_E_MEMORY, second->name, "no memory for its order");
    }
    second->inputs[0] = first->inputs[0];
    *done = true;
    return SQUALL_OK;
}

/* A node that works number by number for one user alone, on what is there early, or NULL. */
static sq_node *find_point(const sq_graph *graph, const sq_graph_index *index, uint32_t value)
{
    if (value == SQ_NO_VALUE || index->producer[value] == SQ_NO_NODE || index->uses[value] != 1) {
        return NULL;
    }
    sq_node *point = &graph->nodes[index->producer[value]];
    if (point->dead || !is_pointwise(point)) {
        return NULL;
    }
    for (uint32_t i = 1; i < point->in_count; i++) {
        if (point->inputs[i] != SQ_NO_VALUE && !sq_graph_is_constant(graph, point->inputs[i])) {
            return NULL;
        }
    }
    return point;
}

/* transpose -> pointwise ... -> `second`: the first two trade places. The value between them is the
 * pointwise node's now, of the type that it has before the Transpose. */
static bool trade(sq_graph *graph, const sq_graph_index *index, sq_node *second)
{
    sq_node *point = find_point(graph, index, second->inputs[0]);
    for (sq_node *above = point; above; above = find_point(graph, index, point->inputs[0])) {
        point = above;
    }
    sq_node *first = point ? sq_graph_maker(graph, index, point->inputs[0], SQ_OP_Transpose) : NULL;
    if (!first || index->uses[point->inputs[0]] != 1) {
        return false;
    }
    const uint32_t x = first->inputs[0], between = first->outputs[0], y = point->outputs[0];
    sq_node moved = *first; /* whole nodes change places, so that the order of the graph holds */
    *first = *point;
    *point = moved;
    first->inputs[0] = x;
    first->outputs[0] = between;
    point->inputs[0] = between;
    point->outputs[0] = y;
    const squall_dtype dtype = graph->values[y].type.dtype;
    graph->values[between].type = graph->values[x].type;
    graph->values[between].type.data = NULL;
    graph->values[between].type.dtype = dtype;
    return true;
}

/* A Reshape says the whole shape of its output, unless sizes are copied; so what only reshapes
 * before it does not matter. */
static bool is_reshaping(sq_op op)
{
    return op == SQ_OP_Reshape || op == SQ_OP_Flatten || op == SQ_OP_Squeeze ||
           op == SQ_OP_Unsqueeze;
}

static bool passes_by(const sq_graph *graph, const sq_graph_index *index, const sq_node *node,
                      sq_node **before)
{
    int64_t sizes[SQUALL_MAX_DIMS];
    size_t count;
    bool given;
    if (node->op != SQ_OP_Reshape || node->in_count < 2 || node->inputs[0] == SQ_NO_VALUE ||
        index->producer[node->inputs[0]] == SQ_NO_NODE ||
        !sq_graph_ints(graph, node, 1, NULL, SQUALL_MAX_DIMS, sizes, &count, &given) || !given) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] == 0) {
            return false;
        }
    }
    *before = &graph->nodes[index->producer[node->inputs[0]]];
    return !(*before)->dead && is_reshaping((*before)->op) && (*before)->inputs[0] != SQ_NO_VALUE;
}

/* A Transpose that moves axes of size 1 alone gives the same numbers in the same order: a Reshape,
 * which costs nothing. Its first size stays open, as any batch may come. */
static squall_status as_reshape(sq_graph *graph, sq_node *node, bool *done, squall_error *err)
{
    int64_t order[SQUALL_MAX_DIMS], sizes[SQUALL_MAX_DIMS], last = 0;
    uint32_t rank;
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    *done = false;
    if (!find_order(graph, node, order, &rank) || rank < 2 || order[0] != 0) {
        return SQUALL_OK;
    }
    sizes[0] = -1;
    for (uint32_t i = 1; i < rank; i++) {
        sizes[i] = in->dims[order[i]];
        if (sizes[i] < 1 || (sizes[i] > 1 && order[i] < last)) {
            return SQUALL_OK;
        }
        last = sizes[i] > 1 ? order[i] : last;
    }
    const uint32_t shape = sq_graph_add_ints(graph, "moved", sizes, rank);
    if (shape == SQ_NO_VALUE) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its shape");
    }
    const uint32_t inputs[] = {node->inputs[0], shape}, output = node->outputs[0];
    *done = true;
    return sq_graph_rewrite(node, SQ_OP_Reshape, inputs, 2, &output, 1, err);
}

/* `node` takes what `before` takes, in the place of `between`, which that gives. */
static void step_over(sq_graph *graph, sq_graph_index *index, sq_node *before, uint32_t between,
                      sq_node *node, const char *why)
{
    index->uses[before->inputs[0]]++;
    if (--index->uses[between] == 0) {
        sq_graph_retire(graph, before, node, "%s", why);
        index->uses[before->inputs[0]]--;
    }
}

/* One thing that can be done about `node`. */
static squall_status improve(sq_graph *graph, sq_graph_index *index, sq_node *node, bool *done,
                             squall_error *err)
{
    *done = false;
    sq_node *before = NULL;
    if (passes_by(graph, index, node, &before)) {
        const uint32_t between = node->inputs[0];
        node->inputs[0] = before->inputs[0];
        step_over(graph, index, before, between, node,
                  "the Reshape behind it says the whole shape");
        *done = true;
        return SQUALL_OK;
    }
    if (node->op != SQ_OP_Transpose) {
        return SQUALL_OK;
    }
    before = sq_graph_maker(graph, index, node->inputs[0], SQ_OP_Transpose);
    if (before) {
        const uint32_t between = node->inputs[0];
        SQ_TRY(join(graph, before, node, done, err));
        if (*done) {
            step_over(graph, index, before, between, node, "two Transposes are one");
        }
        return SQUALL_OK;
    }
    return as_reshape(graph, node, done, err);
}

squall_status sq_pass_transpose(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        bool done;
        if (graph->nodes[i].dead) {
            continue;
        }
        SQ_TRY_GOTO(improve(graph, &index, &graph->nodes[i], &done, err));
        if (!done && graph->nodes[i].op == SQ_OP_Transpose &&
            trade(graph, &index, &graph->nodes[i])) {
            /* what gives the two values in between has changed */
            sq_graph_index_free(&index);
            SQ_TRY(sq_graph_index_make(graph, &index, err));
            i--; /* another Transpose comes nearer to it */
            continue;
        }
        if (done) {
            ++*changes;
            i--; /* there may be more behind it */
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
