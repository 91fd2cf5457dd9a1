/* nn/graph/graph_pass_dead.c - pass: what no output of the graph needs goes. */
#include "nn/graph/graph_index.h"

/* From the last node back: one that gives nothing needed is dead, the others need their inputs. */
static uint32_t mark_dead(sq_graph *graph, bool *needed)
{
    uint32_t found = 0;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        sq_node *node = &graph->nodes[i];
        bool alive = false;
        for (uint32_t j = 0; j < node->out_count; j++) {
            alive = alive || (node->outputs[j] != SQ_NO_VALUE && needed[node->outputs[j]]);
        }
        if (!alive) {
            found += !node->dead;
            if (!node->dead) {
                sq_graph_retire(graph, node, NULL, "no output needs it");
            }
            continue;
        }
        for (uint32_t j = 0; j < node->in_count; j++) {
            if (node->inputs[j] != SQ_NO_VALUE) {
                needed[node->inputs[j]] = true;
            }
        }
    }
    return found;
}

squall_status sq_pass_dead_code(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    bool *needed = sq_alloc(graph->value_count, sizeof *needed);
    if (!needed) {
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to find dead code");
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        needed[graph->outputs[i]] = true;
    }
    *changes = mark_dead(graph, needed);
    sq_graph_compact(graph);
    for (uint32_t i = 0; i < graph->value_count; i++) { /* numbers stay, the bytes are given back */
        if (graph->values[i].constant && !needed[i]) {
            sq_tensor_free(&graph->values[i].type);
            graph->values[i].constant = false;
        }
    }
    sq_free(needed);
    return SQUALL_OK;
}
