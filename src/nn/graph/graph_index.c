/* nn/graph/graph_index.c - who gives and who uses each value, and one node carried out. */
#include "nn/graph/graph_index.h"

#include <stdio.h>
#include <string.h>

squall_status sq_graph_index_make(const sq_graph *graph, sq_graph_index *out, squall_error *err)
{
    sq_graph_index index = {.producer = sq_alloc_raw(graph->value_count, sizeof *index.producer),
                            .uses = sq_alloc(graph->value_count, sizeof *index.uses),
                            .user = sq_alloc_raw(graph->value_count, sizeof *index.user)};
    if (!index.producer || !index.uses || !index.user) {
        sq_graph_index_free(&index);
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory for its index");
    }
    for (uint32_t i = 0; i < graph->value_count; i++) {
        index.producer[i] = index.user[i] = SQ_NO_NODE;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->in_count && !node->dead; j++) {
            if (node->inputs[j] != SQ_NO_VALUE) {
                index.uses[node->inputs[j]]++;
                index.user[node->inputs[j]] = i;
            }
        }
        for (uint32_t j = 0; j < node->out_count && !node->dead; j++) {
            if (node->outputs[j] != SQ_NO_VALUE) {
                index.producer[node->outputs[j]] = i;
            }
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        index.uses[graph->outputs[i]]++;
    }
    *out = index;
    return SQUALL_OK;
}

void sq_graph_index_free(sq_graph_index *index)
{
    sq_free(index->producer);
    sq_free(index->uses);
    sq_free(index->user);
    *index = (sq_graph_index){0};
}

bool sq_graph_is_constant(const sq_graph *graph, uint32_t value)
{
    return value != SQ_NO_VALUE && graph->values[value].constant;
}

bool sq_graph_all_constant(const sq_graph *graph, const sq_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->inputs[i] != SQ_NO_VALUE && !graph->values[node->inputs[i]].constant) {
            return false;
        }
    }
    return true;
}

bool sq_graph_is_output(const sq_graph *graph, uint32_t value)
{
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i] == value) {
            return true;
        }
    }
    return false;
}

size_t sq_graph_output_bytes(const sq_graph *graph, const sq_node *node)
{
    size_t total = 0;
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->outputs[i] == SQ_NO_VALUE) {
            continue;
        }
        const squall_tensor *type = &graph->values[node->outputs[i]].type;
        const size_t bytes =
            type->dtype == SQUALL_DTYPE_NONE ? SIZE_MAX : squall_tensor_bytes(type);
        if (bytes == SIZE_MAX || !sq_add_size(total, bytes, &total)) {
            return SIZE_MAX;
        }
    }
    return total;
}

squall_status sq_graph_fold(sq_graph *graph, sq_node *node, sq_graph_evaluate *evaluate, bool *done,
                            squall_error *err)
{
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_step step;
    *done = false;
    if (!evaluate) {
        return SQUALL_OK;
    }
    sq_graph_step(graph, node, in, out, &step);
    const squall_status status = evaluate(&step, err);
    if (status == SQUALL_E_UNSUPPORTED) { /* it stays a node, and its backend says why not */
        return SQUALL_OK;
    }
    SQ_TRY(status);
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->outputs[i] == SQ_NO_VALUE) {
            sq_free(out[i].data);
            continue;
        }
        sq_value *value = &graph->values[node->outputs[i]];
        value->type = out[i];
        value->constant = true;
    }
    sq_graph_retire_constant(graph, node, "all that it works on is known");
    *done = true;
    return SQUALL_OK;
}

const char *sq_graph_where(const sq_node *node, char *text)
{
    (void)snprintf(text, SQ_GRAPH_WHERE, "node '%.80s' (%s)", node->name, sq_op_name(node->op));
    return text;
}

uint32_t sq_graph_add_constant_beside(sq_graph *graph, const char *base, squall_tensor *tensor)
{
    sq_text name = {0};
    uint32_t number = SQ_NO_VALUE;
    for (uint32_t attempt = 1; attempt > 0; attempt++) {
        sq_text_free(&name);
        sq_text_add(&name, "%s.%u", base, attempt);
        if (name.failed) {
            break;
        }
        bool taken = false;
        for (uint32_t i = 0; i < graph->value_count && !taken; i++) {
            taken = strcmp(graph->values[i].name, name.data) == 0;
        }
        if (!taken) {
            number = sq_graph_add_constant(graph, name.data, tensor);
            break;
        }
    }
    sq_text_free(&name);
    return number;
}
