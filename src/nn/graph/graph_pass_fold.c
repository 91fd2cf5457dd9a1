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

squall_status sq_pass_fold_constants(sq_graph *graph, sq_graph_evaluate *evaluate,
                                     uint32_t *changes, squall_error *err)
{
    size_t grown = 0;
    *changes = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        if (node->dead || !sq_graph_all_constant(graph, node)) {
            continue;
        }
        const size_t before = input_bytes(graph, node);
        const size_t after = sq_graph_output_bytes(graph, node);
        const size_t growth = after > before ? after - before : 0;
        if (after == SIZE_MAX || growth > GROWTH_BYTES || growth > ALL_THE_BYTES - grown) {
            continue;
        }
        bool done;
        SQ_TRY(sq_graph_fold(graph, node, evaluate, &done, err));
        *changes += done;
        grown += done ? growth : 0;
    }
    sq_graph_compact(graph);
    return SQUALL_OK;
}
