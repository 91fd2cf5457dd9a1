/* nn/graph/graph.c - the network in memory: made, copied, looked up, changed, thinned out. */
#include "nn/graph/graph_index.h"

#include <inttypes.h>
#include <string.h>

#define NEWEST_OPSET 23 /* what a node means unless its maker says otherwise */

sq_graph *sq_graph_create(void)
{
    return sq_alloc(1, sizeof(sq_graph));
}

static void free_value(sq_value *value)
{
    sq_free(value->name);
    sq_tensor_free(&value->type);
    for (size_t i = 0; i < SQUALL_MAX_DIMS; i++) {
        sq_free(value->symbols[i]);
    }
    *value = (sq_value){0};
}

static void free_node(sq_node *node)
{
    sq_free(node->name);
    sq_free(node->inputs);
    sq_free(node->outputs);
    sq_free(node->origins);
    sq_attrs_free(&node->attrs);
    for (uint32_t i = 0; i < node->body_count; i++) { /* graphs in graphs: a limit holds them */
        sq_free(node->bodies[i].name);
        sq_free(node->bodies[i].constants);
        sq_graph_destroy(&node->bodies[i].graph);
    }
    sq_free(node->bodies);
    *node = (sq_node){0};
}

void sq_graph_destroy(sq_graph **graph)
{
    sq_graph *gone = *graph;
    if (!gone) {
        return;
    }
    for (uint32_t i = 0; i < gone->value_count; i++) {
        free_value(&gone->values[i]);
    }
    for (uint32_t i = 0; i < gone->node_count; i++) {
        free_node(&gone->nodes[i]);
    }
    sq_free(gone->values);
    sq_free(gone->nodes);
    sq_free(gone->inputs);
    sq_free(gone->outputs);
    sq_free(gone->name);
    sq_trace_free(&gone->trace);
    sq_free(gone);
    *graph = NULL;
}

/* The next capacity, or 0 when numbers have run out. */
static uint32_t grow(uint32_t capacity)
{
    if (capacity == 0) {
        return 64;
    }
    return capacity < UINT32_MAX / 2 ? capacity * 2 : 0;
}

uint32_t sq_graph_add_value(sq_graph *graph, const char *name)
{
    if (graph->value_count == graph->value_capacity) {
        const uint32_t capacity = grow(graph->value_capacity);
        sq_value *values =
            capacity ? sq_regrow(graph->values, graph->value_count, capacity, sizeof *values)
                     : NULL;
        if (!values) {
            return SQ_NO_VALUE;
        }
        graph->values = values;
        graph->value_capacity = capacity;
    }
    sq_value *value = &graph->values[graph->value_count];
    value->name = sq_strdup(name);
    return value->name ? graph->value_count++ : SQ_NO_VALUE;
}

sq_node *sq_graph_add_node(sq_graph *graph, sq_op op, const char *name, uint32_t in_count,
                           uint32_t out_count)
{
    if (graph->node_count == graph->node_capacity) {
        const uint32_t capacity = grow(graph->node_capacity);
        sq_node *nodes =
            capacity ? sq_regrow(graph->nodes, graph->node_count, capacity, sizeof *nodes) : NULL;
        if (!nodes) {
            return NULL;
        }
        graph->nodes = nodes;
        graph->node_capacity = capacity;
    }
    sq_node node = {.op = op, .in_count = in_count, .out_count = out_count};
    node.attrs.opset = NEWEST_OPSET;
    node.name = sq_strdup(name);
    node.inputs = sq_alloc_raw(in_count, sizeof *node.inputs);
    node.outputs = sq_alloc_raw(out_count, sizeof *node.outputs);
    if (!node.name || !node.inputs || !node.outputs) {
        free_node(&node);
        return NULL;
    }
    for (uint32_t i = 0; i < in_count; i++) {
        node.inputs[i] = SQ_NO_VALUE;
    }
    for (uint32_t i = 0; i < out_count; i++) {
        node.outputs[i] = SQ_NO_VALUE;
    }
    sq_node *place = &graph->nodes[graph->node_count++];
    *place = node;
    return place;
}

uint32_t sq_graph_add_constant(sq_graph *graph, const char *name, squall_tensor *tensor)
{
    const uint32_t number = sq_graph_add_value(graph, name);
    if (number != SQ_NO_VALUE) {
        graph->values[number].type = *tensor;
        graph->values[number].constant = true;
        *tensor = (squall_tensor){0};
    }
    return number;
}

bool sq_graph_add_input(sq_node *node, uint32_t value)
{
    uint32_t *inputs =
        sq_regrow(node->inputs, node->in_count, node->in_count + 1, sizeof *node->inputs);
    if (!inputs) {
        return false;
    }
    node->inputs = inputs;
    node->inputs[node->in_count++] = value;
    return true;
}

sq_body *sq_graph_add_body(sq_node *node, const char *name)
{
    sq_body *bodies =
        sq_regrow(node->bodies, node->body_count, node->body_count + 1, sizeof *node->bodies);
    if (!bodies) {
        return NULL;
    }
    node->bodies = bodies;
    sq_body *body = &node->bodies[node->body_count];
    *body = (sq_body){.name = sq_strdup(name), .graph = sq_graph_create()};
    if (!body->name || !body->graph) {
        sq_free(body->name);
        sq_graph_destroy(&body->graph);
        return NULL;
    }
    node->body_count++;
    return body;
}

static bool copy_value(const sq_value *value, sq_graph *to)
{
    const uint32_t number = sq_graph_add_value(to, value->name);
    if (number == SQ_NO_VALUE) {
        return false;
    }
    sq_value *copy = &to->values[number];
    copy->constant = value->constant;
    for (size_t i = 0; i < SQUALL_MAX_DIMS; i++) {
        if (value->symbols[i] && !(copy->symbols[i] = sq_strdup(value->symbols[i]))) {
            return false;
        }
    }
    return sq_tensor_copy(&value->type, &copy->type);
}

static bool copy_node(const sq_node *node, sq_graph *to)
{
    sq_node *copy = sq_graph_add_node(to, node->op, node->name, node->in_count, node->out_count);
    if (!copy) {
        return false;
    }
    copy->dead = node->dead;
    memcpy(copy->inputs, node->inputs, node->in_count * sizeof *node->inputs);
    memcpy(copy->outputs, node->outputs, node->out_count * sizeof *node->outputs);
    return sq_graph_copy_node(node, copy);
}

static bool copy_numbers(const uint32_t *numbers, uint32_t count, uint32_t **out)
{
    *out = sq_alloc_raw(count, sizeof **out);
    if (*out && count > 0) {
        memcpy(*out, numbers, count * sizeof **out);
    }
    return *out != NULL;
}

squall_status sq_graph_copy(const sq_graph *graph, sq_graph **out, squall_error *err)
{
    sq_graph *copy = sq_graph_create();
    bool good = copy != NULL;
    for (uint32_t i = 0; good && i < graph->value_count; i++) {
        good = copy_value(&graph->values[i], copy);
    }
    for (uint32_t i = 0; good && i < graph->node_count; i++) {
        good = copy_node(&graph->nodes[i], copy);
    }
    good = good && copy_numbers(graph->inputs, graph->input_count, &copy->inputs) &&
           copy_numbers(graph->outputs, graph->output_count, &copy->outputs) &&
           (!graph->name || (copy->name = sq_strdup(graph->name))) &&
           sq_trace_copy(&graph->trace, &copy->trace);
    if (!good) {
        sq_graph_destroy(&copy);
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory for a copy");
    }
    copy->input_count = graph->input_count;
    copy->output_count = graph->output_count;
    *out = copy;
    return SQUALL_OK;
}

bool sq_graph_copy_node(const sq_node *node, sq_node *copy)
{
    copy->own_inputs = node->own_inputs;
    if (!sq_attrs_copy(&node->attrs, &copy->attrs) ||
        (node->origin_count > 0 &&
         !copy_numbers(node->origins, node->origin_count, &copy->origins))) {
        return false;
    }
    copy->origin_count = node->origin_count;
    for (uint32_t i = 0; i < node->body_count; i++) {
        const sq_body *body = &node->bodies[i];
        sq_body *made = sq_graph_add_body(copy, body->name);
        if (!made) {
            return false;
        }
        sq_graph_destroy(&made->graph);
        made->own_inputs = body->own_inputs;
        made->first_capture = body->first_capture;
        if (sq_graph_copy(body->graph, &made->graph, NULL) != SQUALL_OK) {
            return false;
        }
    }
    return true;
}

sq_node *sq_graph_producer(const sq_graph *graph, uint32_t value)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->out_count && !node->dead; j++) {
            if (node->outputs[j] == value && value != SQ_NO_VALUE) {
                return &graph->nodes[i];
            }
        }
    }
    return NULL;
}

uint32_t sq_graph_use_count(const sq_graph *graph, uint32_t value)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->in_count && !node->dead; j++) {
            uses += node->inputs[j] == value;
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        uses += graph->outputs[i] == value;
    }
    return uses;
}

void sq_graph_replace(sq_graph *graph, uint32_t old, uint32_t now)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->in_count; j++) {
            node->inputs[j] = node->inputs[j] == old ? now : node->inputs[j];
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        graph->outputs[i] = graph->outputs[i] == old ? now : graph->outputs[i];
    }
}

void sq_graph_compact(sq_graph *graph)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].dead) {
            free_node(&graph->nodes[i]);
        } else {
            graph->nodes[kept++] = graph->nodes[i];
        }
    }
    if (kept < graph->node_count) { /* what was moved away must not look owned twice */
        memset(graph->nodes + kept, 0, (graph->node_count - kept) * sizeof *graph->nodes);
    }
    graph->node_count = kept;
}

void sq_graph_step(const sq_graph *graph, const sq_node *node, squall_tensor *in,
                   squall_tensor *out, sq_step *step)
{
    *step = (sq_step){.op = node->op,
                      .name = node->name,
                      .attrs = &node->attrs,
                      .in_count = node->in_count,
                      .out_count = node->out_count,
                      .in = in,
                      .out = out};
    for (uint32_t i = 0; i < node->in_count; i++) {
        const uint32_t value = node->inputs[i];
        in[i] = value == SQ_NO_VALUE ? (squall_tensor){0} : graph->values[value].type;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const uint32_t value = node->outputs[i];
        out[i] = value == SQ_NO_VALUE ? (squall_tensor){0} : graph->values[value].type;
        out[i].data = NULL;
    }
}

squall_status sq_graph_set_shape(sq_graph *graph, const char *name, const int64_t *dims,
                                 uint32_t rank, squall_error *err)
{
    sq_value *input = NULL;
    for (uint32_t i = 0; i < graph->input_count && !input; i++) {
        sq_value *value = &graph->values[graph->inputs[i]];
        input = strcmp(value->name, name) == 0 ? value : NULL;
    }
    if (!input) {
        return sq_fail(err, SQUALL_E_ARGUMENT, name, "the model has no input of this name");
    }
    squall_tensor type = input->type;
    if (rank != type.rank) {
        return sq_fail(err, SQUALL_E_SHAPE, name,
                       "a shape of %" PRIu32 " dimensions; the model wants %" PRIu32, rank,
                       type.rank);
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 1 || (!input->symbols[i] && dims[i] != type.dims[i])) {
            char text[SQ_TENSOR_TEXT];
            return sq_fail(err, SQUALL_E_SHAPE, name,
                           "size %" PRId64 " in dimension %" PRIu32 "; the model's input is %s",
                           dims[i], i, sq_tensor_format(&type, text));
        }
        type.dims[i] = dims[i];
    }
    if (squall_tensor_bytes(&type) > SQ_LIMIT_TENSOR_BYTES) {
        char text[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_LIMIT, name, "%s is larger than the %zu bytes of a tensor",
                       sq_tensor_format(&type, text), SQ_LIMIT_TENSOR_BYTES);
    }
    input->type = type;
    return SQUALL_OK;
}
