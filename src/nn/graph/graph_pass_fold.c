/* nn/graph/graph_pass_fold.c - pass: nodes of constants become constants. */
#include "nn/graph/graph_index.h"

/* An Expand or Tile of constants can be far larger than what it is made from, and then costs more
 * as weights than as work: such a node stays. */
#define GROWTH_BYTES  ((size_t)1 << 20)  /* of one node, over the bytes of its inputs */
#define ALL_THE_BYTES ((size_t)64 << 20) /* of growth in one pass */

static size_t input_bytes(const sq_graph *graph, const sq_node *node)
{
    size_t total = 0;
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->inputs[i] != SQ_NO_VALUE) {
            const size_t bytes = squall_tensor_bytes(&graph->values[node->inputs[i]].type);
            if (!sq_add_size(total, bytes, &total)) {
                return SIZE_MAX;
            }
        }
    }
    return total;
}

/* Weights held as integers, of a product whose other operand is dequantised too: it may work on
 * both as they are. */
static bool are_weights(const sq_graph *graph, const sq_graph_index *index, const sq_node *node)
{
    if (node->op != SQ_OP_DequantizeLinear || node->outputs[0] == SQ_NO_VALUE ||
        index->user[node->outputs[0]] == SQ_NO_NODE) {
        return false;
    }
    const sq_node *user = &graph->nodes[index->user[node->outputs[0]]];
    const bool product = user->op == SQ_OP_Conv || user->op == SQ_OP_ConvTranspose ||
                         user->op == SQ_OP_Gemm || user->op == SQ_OP_MatMul;
    if (!product || user->inputs[1] != node->outputs[0] || user->inputs[0] == SQ_NO_VALUE ||
        index->producer[user->inputs[0]] == SQ_NO_NODE) {
        return false;
    }
    const sq_node *other = &graph->nodes[index->producer[user->inputs[0]]];
    return other->op == SQ_OP_DequantizeLinear && !sq_graph_all_constant(graph, other);
}

static squall_status fold(sq_graph *graph, sq_graph_evaluate *evaluate, bool weights,
                          uint32_t *changes, squall_error *err)
{
    size_t grown = 0;
    sq_graph_index index;
    squall_status status = SQUALL_OK;
    *changes = 0;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        if (node->dead || !sq_graph_all_constant(graph, node)) {
            continue;
        }
        const bool integers = node->op == SQ_OP_DequantizeLinear;
        const size_t before = input_bytes(graph, node);
        const size_t after = sq_graph_output_bytes(graph, node);
        const size_t growth = after > before && !integers ? after - before : 0;
        if (after == SIZE_MAX || growth > GROWTH_BYTES || growth > ALL_THE_BYTES - grown ||
            (!weights && are_weights(graph, &index, node)) || (weights && !integers)) {
            continue;
        }
        bool done;
        SQ_TRY_GOTO(sq_graph_fold(graph, node, evaluate, &done, err));
        *changes += done;
        grown += done ? growth : 0;
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}

squall_status sq_pass_fold_constants(sq_graph *graph, sq_graph_evaluate *evaluate,
                                     uint32_t *changes, squall_error *err)
{
    return fold(graph, evaluate, false, changes, err);
}

squall_status sq_pass_fold_weights(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                   squall_error *err)
{
    return fold(graph, evaluate, true, changes, err);
}
