/* nn/graph/graph_infer.c - types and shapes of all values, with the arithmetic on shapes folded. */
#include <inttypes.h>
#include <string.h>

#include "nn/graph/graph_index.h"

/* Shapes are computed from tensors of a few numbers. A Range or ConstantOfShape may be larger and
 * is left to the pass that folds constants, which knows what it costs. */
#define SMALL_BYTES   ((size_t)64 << 10)
#define ALL_THE_BYTES ((size_t)64 << 20) /* of all that one inference folds */

/* The size that `symbol` has been given at any input, or -1. */
static int64_t find_symbol(const sq_graph *graph, const char *symbol)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const sq_value *input = &graph->values[graph->inputs[i]];
        for (uint32_t j = 0; j < input->type.rank; j++) {
            if (input->symbols[j] && input->type.dims[j] >= 0 &&
                strcmp(input->symbols[j], symbol) == 0) {
                return input->type.dims[j];
            }
        }
    }
    return -1;
}

/* Sizes of one name are one size, at whichever input it was given; none may be open. */
static squall_status settle_inputs(sq_graph *graph, squall_error *err)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        sq_value *input = &graph->values[graph->inputs[i]];
        for (uint32_t j = 0; j < input->type.rank; j++) {
            if (!input->symbols[j]) {
                continue;
            }
            const int64_t size = find_symbol(graph, input->symbols[j]);
            if (size < 0) {
                return sq_fail(err, SQUALL_E_SHAPE, input->name,
                               "dimension %" PRIu32 " ('%.40s') has no size; give a shape for "
                               "this input",
                               j, input->symbols[j]);
            }
            if (input->type.dims[j] >= 0 && input->type.dims[j] != size) {
                return sq_fail(err, SQUALL_E_SHAPE, input->name,
                               "dimension %" PRIu32 " ('%.40s') is %" PRId64 " here and %" PRId64
                               " at another input",
                               j, input->symbols[j], input->type.dims[j], size);
            }
            input->type.dims[j] = size;
        }
        if (squall_tensor_bytes(&input->type) > SQ_LIMIT_TENSOR_BYTES) {
            char text[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_LIMIT, input->name,
                           "%s is larger than the %zu bytes of a tensor",
                           sq_tensor_format(&input->type, text), SQ_LIMIT_TENSOR_BYTES);
        }
    }
    return SQUALL_OK;
}

/* Shape and Size need their input's type alone; `out` is the output's, found before. */
static squall_status fold_shape(sq_graph *graph, sq_node *node, squall_error *err)
{
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    sq_value *out = &graph->values[node->outputs[0]];
    squall_tensor tensor;
    char where[SQ_GRAPH_WHERE];
    if (!sq_tensor_make(SQUALL_I64, out->type.rank, out->type.dims, &tensor)) {
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(node, where), "no memory");
    }
    int64_t *numbers = tensor.data;
    if (node->op == SQ_OP_Size) {
        numbers[0] = (int64_t)squall_tensor_count(in);
    } else {
        int64_t start = sq_attr_int(&node->attrs, "start", 0);
        start += start < 0 ? (int64_t)in->rank : 0;
        start = start < 0 ? 0 : start;
        for (int64_t i = 0; i < tensor.dims[0]; i++) {
            numbers[i] = in->dims[start + i];
        }
    }
    out->type = tensor;
    out->constant = true;
    sq_graph_retire_constant(graph, node, "the shape is known");
    return SQUALL_OK;
}

static squall_status infer_node(sq_graph *graph, sq_node *node, squall_error *err)
{
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_step step;
    char where[SQ_GRAPH_WHERE];
    if (node->in_count > SQ_MAX_INPUTS || node->out_count > SQ_MAX_OUTPUTS) {
        return sq_fail(err, SQUALL_E_LIMIT, sq_graph_where(node, where),
                       "%" PRIu32 " inputs and %" PRIu32 " outputs; at most %d and %d",
                       node->in_count, node->out_count, SQ_MAX_INPUTS, SQ_MAX_OUTPUTS);
    }
    sq_graph_step(graph, node, in, out, &step);
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->inputs[i] != SQ_NO_VALUE && in[i].dtype == SQUALL_DTYPE_NONE) {
            return sq_fail(err, SQUALL_E_CORRUPT, sq_graph_where(node, where),
                           "nothing gives its input '%.100s' before it runs",
                           graph->values[node->inputs[i]].name);
        }
    }
    SQ_TRY(sq_op_infer(&step, err));
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->outputs[i] != SQ_NO_VALUE) {
            graph->values[node->outputs[i]].type = out[i];
        }
    }
    return SQUALL_OK;
}

/* A limit on them all: loops in loops may have no nodes that another limit would count. */
static squall_status expand(sq_graph *graph, uint32_t index, uint32_t *expansions,
                            squall_error *err)
{
    char where[SQ_GRAPH_WHERE];
    if (++*expansions > SQ_LIMIT_NODES) {
        return sq_fail(err, SQUALL_E_LIMIT, sq_graph_where(&graph->nodes[index], where),
                       "its loops make more than %d rounds together", SQ_LIMIT_NODES);
    }
    return sq_graph_expand(graph, index, err);
}

squall_status sq_graph_infer(sq_graph *graph, sq_graph_evaluate *evaluate, squall_error *err)
{
    size_t folded = 0;
    uint32_t expansions = 0;
    SQ_TRY(settle_inputs(graph, err));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        if (node->dead) {
            continue;
        }
        if (sq_op_is_control(node->op)) { /* what it stands for comes to be in its place */
            SQ_TRY(expand(graph, i, &expansions, err));
            i--; /* wraps at 0, and comes back */
            continue;
        }
        SQ_TRY(infer_node(graph, node, err));
        const size_t bytes = sq_graph_output_bytes(graph, node);
        if (bytes > SMALL_BYTES || bytes > ALL_THE_BYTES - folded) {
            continue;
        }
        bool done = false;
        if ((node->op == SQ_OP_Shape || node->op == SQ_OP_Size) &&
            node->outputs[0] != SQ_NO_VALUE) {
            SQ_TRY(fold_shape(graph, node, err));
            done = true;
        } else if (node->op != SQ_OP_DequantizeLinear && sq_graph_all_constant(graph, node)) {
            /* weights held as integers are left to the passes, which know what they are for */
            SQ_TRY(sq_graph_fold(graph, node, evaluate, &done, err));
        }
        folded += done ? bytes : 0;
    }
    sq_graph_compact(graph);
    return SQUALL_OK;
}
