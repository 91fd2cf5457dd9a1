/* nn/graph/graph_pass_same.c - pass: what is worked out twice is worked out once: nodes of the same
 * operator and attributes on the same values, and constants that hold the same.
 *
 * Of floating constants only single numbers are merged: that two weights are alike today must not
 * decide on the steps, or another model's weights could not take their place (squall refit). */
#include <string.h>

#include "nn/graph/graph_match.h"

#define MERGED_BYTES 1024 /* of a constant of integers */

/* FNV-1a */
#define BASIS 14695981039346656037u
#define PRIME 1099511628211u
static uint64_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t hash = BASIS;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * PRIME;
    }
    return hash;
}

/* What was seen, by hash; numbers of values or nodes + 1. */
typedef struct seen {
    uint32_t *slots; /* owned; 0: free */
    size_t size;     /* a power of 2, at least twice as many as there can be */
} seen;

static bool seen_init(seen *table, size_t most)
{
    table->size = 64;
    while (table->size < 2 * most) {
        table->size *= 2;
    }
    table->slots = sq_alloc(table->size, sizeof *table->slots);
    return table->slots != NULL;
}

static bool may_merge(const sq_value *value)
{
    const squall_dtype dtype = value->type.dtype;
    const bool whole = dtype == SQUALL_I64 || dtype == SQUALL_I32 || dtype == SQUALL_BOOL ||
                       dtype == SQUALL_U8 || dtype == SQUALL_I8;
    return value->constant && value->type.data &&
           (squall_tensor_count(&value->type) == 1 ||
            (whole && squall_tensor_bytes(&value->type) <= MERGED_BYTES));
}

static bool same_constant(const sq_value *a, const sq_value *b)
{
    return sq_tensor_same_type(&a->type, &b->type) &&
           memcmp(a->type.data, b->type.data, squall_tensor_bytes(&a->type)) == 0;
}

/* Constants that hold the same become the first of them, in `alias`. */
static void merge_constants(const sq_graph *graph, seen *table, uint32_t *alias)
{
    for (uint32_t v = 0; v < graph->value_count; v++) {
        const sq_value *value = &graph->values[v];
        alias[v] = v;
        if (!may_merge(value)) {
            continue;
        }
        const uint64_t hash = hash_bytes(value->type.data, squall_tensor_bytes(&value->type));
        size_t slot = hash & (table->size - 1);
        while (table->slots[slot] != 0 &&
               !same_constant(value, &graph->values[table->slots[slot] - 1])) {
            slot = (slot + 1) & (table->size - 1);
        }
        if (table->slots[slot] == 0) {
            table->slots[slot] = v + 1;
        } else {
            alias[v] = table->slots[slot] - 1;
        }
    }
}

static bool same_node(const sq_node *a, const sq_node *b)
{
    if (a->op != b->op || a->in_count != b->in_count || a->out_count != b->out_count ||
        a->body_count > 0 || b->body_count > 0 || !sq_attrs_same(&a->attrs, &b->attrs)) {
        return false;
    }
    for (uint32_t i = 0; i < a->out_count; i++) { /* both give it, or neither does */
        if ((a->outputs[i] == SQ_NO_VALUE) != (b->outputs[i] == SQ_NO_VALUE)) {
            return false;
        }
    }
    return a->in_count == 0 || memcmp(a->inputs, b->inputs, a->in_count * sizeof *a->inputs) == 0;
}

static uint64_t hash_node(const sq_node *node)
{
    uint64_t hash = BASIS ^ (uint64_t)node->op << 32 ^ node->out_count;
    for (uint32_t i = 0; i < node->in_count; i++) {
        hash = (hash ^ node->inputs[i]) * PRIME;
    }
    return hash ^ hash >> 32;
}

/* An output of the graph keeps its name, so its node stays. */
static bool gives_output(const sq_graph *graph, const sq_node *node)
{
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->outputs[i] != SQ_NO_VALUE && sq_graph_is_output(graph, node->outputs[i])) {
            return true;
        }
    }
    return false;
}

/* Nodes in their order: each finds the first one like it, or is that. */
static uint32_t merge_nodes(sq_graph *graph, seen *table, uint32_t *alias)
{
    uint32_t found = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *node = &graph->nodes[n];
        for (uint32_t i = 0; i < node->in_count; i++) {
            node->inputs[i] = node->inputs[i] == SQ_NO_VALUE ? SQ_NO_VALUE : alias[node->inputs[i]];
        }
        if (node->dead) {
            continue;
        }
        size_t slot = hash_node(node) & (table->size - 1);
        while (table->slots[slot] != 0 && !same_node(node, &graph->nodes[table->slots[slot] - 1])) {
            slot = (slot + 1) & (table->size - 1);
        }
        if (table->slots[slot] == 0) {
            table->slots[slot] = n + 1;
            continue;
        }
        if (gives_output(graph, node)) {
            continue;
        }
        sq_node *first = &graph->nodes[table->slots[slot] - 1];
        for (uint32_t i = 0; i < node->out_count; i++) {
            if (node->outputs[i] != SQ_NO_VALUE) {
                alias[node->outputs[i]] = first->outputs[i];
            }
        }
        sq_graph_retire(graph, node, first, "it gives the same");
        found++;
    }
    return found;
}

squall_status sq_pass_same(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                           squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    seen values = {0}, nodes = {0};
    uint32_t *alias = sq_alloc_raw(graph->value_count, sizeof *alias);
    squall_status status = SQUALL_OK;
    if (!alias || !seen_init(&values, graph->value_count) ||
        !seen_init(&nodes, graph->node_count)) {
        status = sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to find what is the same");
        goto done;
    }
    merge_constants(graph, &values, alias);
    *changes = merge_nodes(graph, &nodes, alias);
    sq_graph_compact(graph);
done:
    sq_free(values.slots);
    sq_free(nodes.slots);
    sq_free(alias);
    return status;
}
