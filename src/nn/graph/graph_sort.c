/* nn/graph/graph_sort.c - nodes in an order in which they can run; cycles and gaps found. */
#include <inttypes.h>
#include <string.h>

#include "nn/graph/graph_index.h"

enum mark { MARK_NEW = 0, MARK_OPEN, MARK_DONE };

/* Where the walk stands in one node: the next of its inputs to look at. */
typedef struct visit {
    uint32_t node, input;
} visit;

/* Each value is given once: by a node, or as an input or constant. */
static squall_status check_givers(const sq_graph *graph, squall_error *err)
{
    squall_status status = SQUALL_OK;
    char where[SQ_GRAPH_WHERE];
    bool *given = sq_alloc(graph->value_count, sizeof *given);
    if (!given) {
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to sort it");
    }
    for (uint32_t i = 0; i < graph->value_count; i++) {
        given[i] = graph->values[i].constant;
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        given[graph->inputs[i]] = true;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->out_count && !node->dead; j++) {
            const uint32_t value = node->outputs[j];
            if (value == SQ_NO_VALUE) {
                continue;
            }
            if (given[value]) {
                status = sq_fail(err, SQUALL_E_CORRUPT, sq_graph_where(node, where),
                                 "value '%.100s' is given twice", graph->values[value].name);
                goto done;
            }
            given[value] = true;
        }
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->in_count && !node->dead; j++) {
            if (node->inputs[j] != SQ_NO_VALUE && !given[node->inputs[j]]) {
                status = sq_fail(err, SQUALL_E_CORRUPT, sq_graph_where(node, where),
                                 "nothing gives its input '%.100s'",
                                 graph->values[node->inputs[j]].name);
                goto done;
            }
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (!given[graph->outputs[i]]) {
            status = sq_fail(err, SQUALL_E_CORRUPT, "graph", "nothing gives its output '%.100s'",
                             graph->values[graph->outputs[i]].name);
            goto done;
        }
    }
done:
    sq_free(given);
    return status;
}

/* Walk from `start` to what it needs, and put each node into `order` behind all that it needs. */
static squall_status walk(const sq_graph *graph, const sq_graph_index *index, uint32_t start,
                          uint8_t *marks, visit *stack, uint32_t *order, uint32_t *count,
                          squall_error *err)
{
    uint32_t depth = 0;
    stack[depth++] = (visit){start, 0};
    marks[start] = MARK_OPEN;
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const sq_node *node = &graph->nodes[top->node];
        if (top->input == node->in_count) {
            marks[top->node] = MARK_DONE;
            order[(*count)++] = top->node;
            depth--;
            continue;
        }
        const uint32_t value = node->inputs[top->input++];
        const uint32_t before = value == SQ_NO_VALUE ? SQ_NO_NODE : index->producer[value];
        if (before == SQ_NO_NODE || marks[before] == MARK_DONE) {
            continue;
        }
        if (marks[before] == MARK_OPEN) {
            char where[SQ_GRAPH_WHERE];
            return sq_fail(err, SQUALL_E_CORRUPT, sq_graph_where(node, where),
                           "its input '%.100s' hangs on its own output: the graph has a cycle",
                           graph->values[value].name);
        }
        marks[before] = MARK_OPEN;
        stack[depth++] = (visit){before, 0};
    }
    return SQUALL_OK;
}

squall_status sq_graph_sort(sq_graph *graph, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_graph_index index = {0};
    const uint32_t nodes = graph->node_count;
    uint8_t *marks = sq_alloc(nodes, sizeof *marks);
    visit *stack = sq_alloc_raw(nodes, sizeof *stack);
    uint32_t *order = sq_alloc_raw(nodes, sizeof *order);
    sq_node *sorted = sq_alloc_raw(nodes, sizeof *sorted);
    if (!marks || !stack || !order || !sorted) {
        status = sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to sort it");
        goto done;
    }
    SQ_TRY_GOTO(check_givers(graph, err));
    SQ_TRY_GOTO(sq_graph_index_make(graph, &index, err));
    uint32_t count = 0;
    for (uint32_t i = 0; i < nodes; i++) { /* a graph in order stays as it is */
        if (marks[i] == MARK_NEW) {
            SQ_TRY_GOTO(walk(graph, &index, i, marks, stack, order, &count, err));
        }
    }
    for (uint32_t i = 0; i < nodes; i++) {
        sorted[i] = graph->nodes[order[i]];
    }
    if (nodes > 0) {
        memcpy(graph->nodes, sorted, nodes * sizeof *sorted);
    }
done:
    sq_graph_index_free(&index);
    sq_free(marks);
    sq_free(stack);
    sq_free(order);
    sq_free(sorted);
    return status;
}
