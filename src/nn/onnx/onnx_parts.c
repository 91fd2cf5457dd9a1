/* nn/onnx/onnx_parts.c - a model's file as a list of nodes: who uses and who gives what. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/onnx/onnx_parts.h"

/* Fields of ModelProto, GraphProto, NodeProto, AttributeProto. */
enum {
    MODEL_GRAPH = 7,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_INFO = 13,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_ATTRIBUTE = 5,
    TENSOR_NAME = 8,
    INFO_NAME = 1
};

static int compare_names(sq_wire a, sq_wire b)
{
    const size_t size_a = sq_wire_size(a), size_b = sq_wire_size(b);
    const size_t least = size_a < size_b ? size_a : size_b;
    const int order = least > 0 ? memcmp(a.at, b.at, least) : 0;
    return order != 0 ? order : (size_a > size_b) - (size_a < size_b);
}

static int by_name(const void *a, const void *b)
{
    return compare_names(((const sq_part_value *)a)->name, ((const sq_part_value *)b)->name);
}

/* The value of a name, or SQ_NO_VALUE. */
static uint32_t find(const sq_onnx_parts *parts, sq_wire name)
{
    const sq_part_value key = {.name = name};
    const sq_part_value *found =
        bsearch(&key, parts->values, parts->value_count, sizeof key, by_name);
    return found != NULL ? (uint32_t)(found - parts->values) : SQ_NO_VALUE;
}

static sq_wire name_in(sq_wire message, uint32_t field)
{
    sq_wire_field name = {0};
    (void)sq_wire_find(message, field, SQ_WIRE_BYTES, &name);
    return name.bytes;
}

/* Every name that is given in the graph, once: weights, inputs, outputs of nodes; names that nodes
 * use and nothing gives are kept too, for files that are wrong. */
static squall_status list_values(sq_onnx_parts *parts, sq_wire graph, squall_error *err)
{
    sq_wire item, name, rest;
    size_t room = sq_wire_count(graph, GRAPH_INITIALIZER) + sq_wire_count(graph, GRAPH_INPUT);
    for (rest = graph; sq_wire_next_bytes(&rest, GRAPH_NODE, &item);) {
        room += sq_wire_count(item, NODE_INPUT) + sq_wire_count(item, NODE_OUTPUT);
    }
    if (room > 8 * SQ_LIMIT_VALUES) {
        return sq_fail(err, SQUALL_E_LIMIT, parts->path, "uses more names (%zu) than the limit %zu",
                       room, 8 * SQ_LIMIT_VALUES);
    }
    parts->values = sq_alloc(room, sizeof *parts->values);
    if (parts->values == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, parts->path, "no memory for its names");
    }
    size_t count = 0;
    for (rest = graph; sq_wire_next_bytes(&rest, GRAPH_INITIALIZER, &item);) {
        parts->values[count++].name = name_in(item, TENSOR_NAME);
    }
    for (rest = graph; sq_wire_next_bytes(&rest, GRAPH_INPUT, &item);) {
        parts->values[count++].name = name_in(item, INFO_NAME);
    }
    for (rest = graph; sq_wire_next_bytes(&rest, GRAPH_NODE, &item);) {
        for (uint32_t field = NODE_INPUT; field <= NODE_OUTPUT; field++) {
            for (sq_wire names = item; sq_wire_next_bytes(&names, field, &name);) {
                parts->values[count++].name = name;
            }
        }
    }
    qsort(parts->values, count, sizeof *parts->values, by_name);
    for (size_t i = 0; i < count; i++) {
        const bool unnamed = sq_wire_size(parts->values[i].name) == 0;
        const bool again =
            parts->value_count > 0 &&
            compare_names(parts->values[parts->value_count - 1].name, parts->values[i].name) == 0;
        if (!unnamed && !again) {
            parts->values[parts->value_count++] = parts->values[i];
        }
    }
    return SQUALL_OK;
}

/* What the lists of the graph say of its values. */
static void describe_values(sq_onnx_parts *parts, sq_wire graph)
{
    static const uint32_t lists[] = {GRAPH_INFO, GRAPH_INPUT, GRAPH_OUTPUT};
    sq_wire item, rest;
    for (rest = graph; sq_wire_next_bytes(&rest, GRAPH_INITIALIZER, &item);) {
        const uint32_t value = find(parts, name_in(item, TENSOR_NAME));
        if (value != SQ_NO_VALUE) {
            parts->values[value].weight = item;
        }
    }
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        for (rest = graph; sq_wire_next_bytes(&rest, lists[k], &item);) {
            const uint32_t value = find(parts, name_in(item, INFO_NAME));
            if (value != SQ_NO_VALUE) {
                parts->values[value].info = item;
                parts->values[value].is_output = lists[k] == GRAPH_OUTPUT;
            }
        }
    }
}

static bool add_use(sq_part_node *node, uint32_t value)
{
    for (uint32_t i = 0; i < node->use_count; i++) {
        if (node->uses[i] == value) {
            return true;
        }
    }
    uint32_t *more = sq_regrow(node->uses, node->use_count, node->use_count + 1, sizeof *more);
    if (more == NULL) {
        return false;
    }
    node->uses = more;
    node->uses[node->use_count++] = value;
    return true;
}

/* Values of the graph around it that a graph in a graph uses: names are unique over all of them. */
static bool add_captures(const sq_onnx_parts *parts, sq_part_node *node, sq_wire message,
                         uint32_t depth)
{
    sq_wire attribute, graph, item, name;
    while (sq_wire_next_bytes(&message, NODE_ATTRIBUTE, &attribute)) {
        if (depth >= SQ_LIMIT_GRAPHS || !sq_onnx_attribute_graph(attribute, &graph)) {
            continue;
        }
        for (sq_wire rest = graph; sq_wire_next_bytes(&rest, GRAPH_NODE, &item);) {
            for (sq_wire names = item; sq_wire_next_bytes(&names, NODE_INPUT, &name);) {
                const uint32_t value = find(parts, name);
                if (value != SQ_NO_VALUE && !add_use(node, value)) {
                    return false;
                }
            }
            if (!add_captures(parts, node, item, depth + 1)) {
                return false;
            }
        }
        for (sq_wire rest = graph; sq_wire_next_bytes(&rest, GRAPH_OUTPUT, &item);) {
            const uint32_t value = find(parts, name_in(item, INFO_NAME));
            if (value != SQ_NO_VALUE && !add_use(node, value)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_node(const sq_onnx_parts *parts, sq_part_node *node)
{
    sq_wire name;
    node->constant = sq_onnx_is_constant(node->bytes);
    for (sq_wire names = node->bytes; sq_wire_next_bytes(&names, NODE_INPUT, &name);) {
        if (sq_wire_size(name) > 0 && !add_use(node, find(parts, name))) {
            return false;
        }
    }
    const size_t outputs = sq_wire_count(node->bytes, NODE_OUTPUT);
    node->gives = sq_alloc(outputs, sizeof *node->gives);
    for (sq_wire names = node->bytes;
         node->gives != NULL && sq_wire_next_bytes(&names, NODE_OUTPUT, &name);) {
        if (sq_wire_size(name) > 0) {
            node->gives[node->give_count++] = find(parts, name);
        }
    }
    return node->gives != NULL && add_captures(parts, node, node->bytes, 0);
}

static squall_status read_graph(sq_onnx_parts *parts, sq_wire graph, squall_error *err)
{
    sq_wire item;
    const size_t count = sq_wire_count(graph, GRAPH_NODE);
    parts->graph = graph;
    if (count == SIZE_MAX || count == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, parts->path, "its graph is malformed, or empty");
    }
    if (count > SQ_LIMIT_NODES || sq_wire_count(graph, GRAPH_INITIALIZER) > SQ_LIMIT_VALUES) {
        return sq_fail(err, SQUALL_E_LIMIT, parts->path, "%zu nodes, at most %d", count,
                       SQ_LIMIT_NODES);
    }
    SQ_TRY(list_values(parts, graph, err));
    describe_values(parts, graph);
    parts->nodes = sq_alloc(count, sizeof *parts->nodes);
    if (parts->nodes == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, parts->path, "no memory for its nodes");
    }
    for (sq_wire rest = graph; sq_wire_next_bytes(&rest, GRAPH_NODE, &item);) {
        sq_part_node *node = &parts->nodes[parts->node_count++];
        node->bytes = item;
        if (!read_node(parts, node)) {
            return sq_fail(err, SQUALL_E_MEMORY, parts->path, "no memory for its nodes");
        }
    }
    return SQUALL_OK;
}

squall_status sq_onnx_parts_open(const char *path, sq_onnx_parts **out, squall_error *err)
{
    squall_status status;
    sq_wire graph;
    sq_onnx_parts *parts = sq_alloc(1, sizeof *parts);
    if (parts == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its parts");
    }
    parts->path = sq_strdup(path);
    if (parts->path == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its parts");
        goto done;
    }
    SQ_TRY_GOTO(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &parts->file, err));
    parts->model = (sq_wire){parts->file.data, parts->file.data + parts->file.size};
    sq_wire rest = parts->model;
    if (parts->file.size == 0 || !sq_wire_next_bytes(&rest, MODEL_GRAPH, &graph)) {
        status = sq_fail(err, SQUALL_E_FORMAT, path, "it is no ONNX model");
        goto done;
    }
    SQ_TRY_GOTO(read_graph(parts, graph, err));
    *out = parts;
    return SQUALL_OK;
done:
    sq_onnx_parts_close(&parts);
    return status;
}

void sq_onnx_parts_close(sq_onnx_parts **parts)
{
    if (*parts == NULL) {
        return;
    }
    for (uint32_t i = 0; i < (*parts)->node_count; i++) {
        sq_free((*parts)->nodes[i].uses);
        sq_free((*parts)->nodes[i].gives);
    }
    sq_free((*parts)->nodes);
    sq_free((*parts)->values);
    sq_free((*parts)->path);
    sq_file_unmap(&(*parts)->file);
    sq_free(*parts);
    *parts = NULL;
}

uint32_t sq_onnx_parts_count(const sq_onnx_parts *parts)
{
    return parts->node_count;
}
