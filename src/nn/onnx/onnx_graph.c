/* nn/onnx/onnx_graph.c - from the lists of an ONNX graph to ours: names become numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx/onnx_reader.h"

/* Fields of GraphProto, TensorProto, ValueInfoProto and below it. */
enum {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15,
    TENSOR_NAME = 8,
    INFO_NAME = 1,
    INFO_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_NUMBERS = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_SYMBOL = 2
};

static int by_name(const void *a, const void *b, void *graph)
{
    const sq_value *values = ((const sq_graph *)graph)->values;
    return strcmp(values[*(const uint32_t *)a].name, values[*(const uint32_t *)b].name);
}

/* Sort all values there are; a name twice is refused. */
static squall_status sort_names(const sq_graph *graph, sq_onnx_names *out, squall_error *err)
{
    sq_free(out->order);
    *out = (sq_onnx_names){graph, sq_alloc_raw(graph->value_count, sizeof *out->order),
                           graph->value_count};
    if (!out->order) {
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory for its names");
    }
    for (uint32_t i = 0; i < out->count; i++) {
        out->order[i] = i;
    }
    qsort_r(out->order, out->count, sizeof *out->order, by_name, (void *)(uintptr_t)graph);
    for (uint32_t i = 1; i < out->count; i++) {
        const char *name = graph->values[out->order[i]].name;
        if (strcmp(graph->values[out->order[i - 1]].name, name) == 0) {
            return sq_fail(err, SQUALL_E_CORRUPT, "graph", "value '%.100s' is given twice", name);
        }
    }
    return SQUALL_OK;
}

uint32_t sq_onnx_find_name(const sq_onnx_names *names, const char *name)
{
    uint32_t low = 0, high = names->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(names->graph->values[names->order[middle]].name, name);
        if (order == 0) {
            return names->order[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return SQ_NO_VALUE;
}

squall_status sq_onnx_add_value(sq_onnx *onnx, sq_wire name_bytes, uint32_t *out, squall_error *err)
{
    char *name = NULL;
    SQ_TRY(sq_onnx_name(onnx, name_bytes, &name, err));
    if (name[0] == '\0' || onnx->graph->value_count >= SQ_LIMIT_VALUES) {
        const bool unnamed = name[0] == '\0';
        sq_free(name);
        return sq_fail(err, unnamed ? SQUALL_E_CORRUPT : SQUALL_E_LIMIT, onnx->path,
                       unnamed ? "an input or weight has no name"
                               : "it has more tensors than the limit");
    }
    *out = sq_graph_add_value(onnx->graph, name);
    sq_free(name);
    return *out == SQ_NO_VALUE
               ? sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for its names")
               : SQUALL_OK;
}

/* A weight. One that is not taken is reported, and still a value, so that its users resolve. */
static squall_status read_initializer(sq_onnx *onnx, sq_wire message, squall_error *err)
{
    sq_wire_field name = {0};
    uint32_t number;
    char where[SQ_ONNX_WHERE], why[SQ_ONNX_WHY];
    squall_tensor tensor;
    (void)sq_wire_find(message, TENSOR_NAME, SQ_WIRE_BYTES, &name);
    SQ_TRY(sq_onnx_add_value(onnx, name.bytes, &number, err));
    (void)snprintf(where, sizeof where, "tensor '%.100s'", onnx->graph->values[number].name);
    SQ_TRY(sq_onnx_tensor(onnx, message, where, &tensor, why, err));
    if (why[0] != '\0') {
        sq_onnx_report(onnx, where, why);
        return SQUALL_OK;
    }
    onnx->graph->values[number].type = tensor;
    onnx->graph->values[number].constant = true;
    return SQUALL_OK;
}

/* One size of an input: a number, or a name; one that has neither gets a name of its own. */
static squall_status read_dim(const sq_onnx *onnx, sq_wire message, sq_value *value, uint32_t i,
                              squall_error *err)
{
    sq_wire_field field;
    if (sq_wire_find(message, DIM_VALUE, SQ_WIRE_VARINT, &field) && (int64_t)field.value >= 0) {
        value->type.dims[i] = (int64_t)field.value;
        return SQUALL_OK;
    }
    value->type.dims[i] = -1;
    if (sq_wire_find(message, DIM_SYMBOL, SQ_WIRE_BYTES, &field) && sq_wire_size(field.bytes) > 0) {
        return sq_onnx_name(onnx, field.bytes, &value->symbols[i], err);
    }
    sq_text own = {0};
    sq_text_add(&own, "%s[%" PRIu32 "]", value->name, i);
    if (own.failed) {
        sq_text_free(&own);
        return sq_fail(err, SQUALL_E_MEMORY, value->name, "no memory for its sizes");
    }
    value->symbols[i] = own.data;
    return SQUALL_OK;
}

static squall_status read_input_type(sq_onnx *onnx, sq_wire info, sq_value *value,
                                     squall_error *err)
{
    sq_wire_field type, tensor, numbers = {0}, shape;
    sq_wire dim;
    char where[SQ_ONNX_WHERE], why[SQ_ONNX_WHY];
    (void)snprintf(where, sizeof where, "input '%.100s'", value->name);
    if (!sq_wire_find(info, INFO_TYPE, SQ_WIRE_BYTES, &type) ||
        !sq_wire_find(type.bytes, TYPE_TENSOR, SQ_WIRE_BYTES, &tensor)) {
        sq_onnx_report(onnx, where, "it is no tensor");
        return SQUALL_OK;
    }
    (void)sq_wire_find(tensor.bytes, TENSOR_TYPE_NUMBERS, SQ_WIRE_VARINT, &numbers);
    if (sq_onnx_type_unsupported((int64_t)numbers.value, why)) {
        sq_onnx_report(onnx, where, why);
        return SQUALL_OK;
    }
    if (!sq_wire_find(tensor.bytes, TENSOR_TYPE_SHAPE, SQ_WIRE_BYTES, &shape)) {
        sq_onnx_report(onnx, where, "the model does not say how many dimensions it has");
        return SQUALL_OK;
    }
    const size_t rank = sq_wire_count(shape.bytes, SHAPE_DIM);
    if (rank > SQUALL_MAX_DIMS) { /* or malformed */
        return sq_fail(err, rank == SIZE_MAX ? SQUALL_E_CORRUPT : SQUALL_E_LIMIT, where,
                       "its shape is malformed, or has more than %d dimensions", SQUALL_MAX_DIMS);
    }
    value->type.dtype = (squall_dtype)numbers.value;
    while (sq_wire_next_bytes(&shape.bytes, SHAPE_DIM, &dim)) {
        SQ_TRY(read_dim(onnx, dim, value, value->type.rank, err));
        value->type.rank++;
    }
    squall_tensor fixed = value->type;
    for (uint32_t i = 0; i < fixed.rank; i++) {
        fixed.dims[i] = fixed.dims[i] < 0 ? 1 : fixed.dims[i];
    }
    if (squall_tensor_bytes(&fixed) > SQ_LIMIT_TENSOR_BYTES) {
        char text[SQ_TENSOR_TEXT];
        return sq_fail(err, SQUALL_E_LIMIT, where, "%s is larger than the %zu bytes of a tensor",
                       sq_tensor_format(&value->type, text), SQ_LIMIT_TENSOR_BYTES);
    }
    return SQUALL_OK;
}

/* An input, unless it is a weight too: files before IR version 4 list those among the inputs. */
static squall_status read_input(sq_onnx *onnx, sq_wire info, const sq_onnx_names *weights,
                                squall_error *err)
{
    sq_wire_field field = {0};
    char *name = NULL;
    uint32_t number;
    (void)sq_wire_find(info, INFO_NAME, SQ_WIRE_BYTES, &field);
    SQ_TRY(sq_onnx_name(onnx, field.bytes, &name, err));
    const bool weight = sq_onnx_find_name(weights, name) != SQ_NO_VALUE;
    sq_free(name);
    if (weight) {
        return SQUALL_OK;
    }
    SQ_TRY(sq_onnx_add_value(onnx, field.bytes, &number, err));
    onnx->graph->inputs[onnx->graph->input_count++] = number;
    if (onnx->depth > 0) { /* its node gives it, whatever the file says of it */
        return SQUALL_OK;
    }
    return read_input_type(onnx, info, &onnx->graph->values[number], err);
}

static squall_status read_output(const sq_onnx *onnx, sq_wire info, const sq_onnx_names *names,
                                 squall_error *err)
{
    sq_graph *graph = onnx->graph;
    sq_wire_field field = {0};
    char *name = NULL;
    (void)sq_wire_find(info, INFO_NAME, SQ_WIRE_BYTES, &field);
    SQ_TRY(sq_onnx_name(onnx, field.bytes, &name, err));
    uint32_t number = sq_onnx_find_name(names, name);
    squall_status status = SQUALL_OK;
    if (number == SQ_NO_VALUE && onnx->scope) { /* a body may hand on what is around it */
        SQ_TRY_GOTO(sq_onnx_resolve(onnx, names, name, &number, err));
    }
    bool twice = false;
    for (uint32_t i = 0; i < graph->output_count && !onnx->scope; i++) {
        twice = twice || graph->outputs[i] == number;
    }
    if (number == SQ_NO_VALUE || twice) {
        status = sq_fail(err, SQUALL_E_CORRUPT, onnx->path, "output '%.100s' is %s", name,
                         twice ? "listed twice" : "given by nothing");
        goto done;
    }
    graph->outputs[graph->output_count++] = number;
done:
    sq_free(name);
    return status;
}

/* Arrays for as many inputs and outputs as the lists have; limits on all lists. */
static squall_status reserve(sq_onnx *onnx, sq_wire message, squall_error *err)
{
    const size_t nodes = sq_wire_count(message, GRAPH_NODE);
    const size_t inputs = sq_wire_count(message, GRAPH_INPUT);
    const size_t outputs = sq_wire_count(message, GRAPH_OUTPUT);
    const size_t weights = sq_wire_count(message, GRAPH_INITIALIZER);
    if (nodes == SIZE_MAX) {
        return sq_fail(err, SQUALL_E_CORRUPT, onnx->path, "its graph is malformed");
    }
    /* old files list the weights among the inputs */
    if (nodes > SQ_LIMIT_NODES || weights > SQ_LIMIT_VALUES || outputs > SQ_LIMIT_PORTS ||
        inputs > SQ_LIMIT_PORTS + weights) {
        return sq_fail(err, SQUALL_E_LIMIT, onnx->path,
                       "%zu nodes, %zu inputs, %zu outputs, %zu weights; at most %d, %d, %d, %zu",
                       nodes, inputs, outputs, weights, SQ_LIMIT_NODES, SQ_LIMIT_PORTS,
                       SQ_LIMIT_PORTS, SQ_LIMIT_VALUES);
    }
    if (outputs == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, onnx->path, "its graph has no outputs");
    }
    onnx->graph->inputs = sq_alloc(inputs, sizeof *onnx->graph->inputs);
    onnx->graph->outputs = sq_alloc(outputs, sizeof *onnx->graph->outputs);
    if (!onnx->graph->inputs || !onnx->graph->outputs) {
        return sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for its inputs and outputs");
    }
    return SQUALL_OK;
}

squall_status sq_onnx_resolve(const sq_onnx *onnx, const sq_onnx_names *names, const char *name,
                              uint32_t *out, squall_error *err)
{
    sq_graph *graph = onnx->graph;
    *out = sq_onnx_find_name(names, name);
    for (uint32_t i = names->count; i < graph->value_count && *out == SQ_NO_VALUE; i++) {
        *out = strcmp(graph->values[i].name, name) == 0 ? i : SQ_NO_VALUE; /* taken before */
    }
    if (*out != SQ_NO_VALUE || !onnx->scope) {
        return SQUALL_OK;
    }
    const sq_onnx_scope *scope = onnx->scope;
    uint32_t outer;
    SQ_TRY(sq_onnx_resolve(scope->onnx, scope->names, name, &outer, err));
    if (outer == SQ_NO_VALUE) {
        return SQUALL_OK;
    }
    if (graph->value_count - names->count >= SQ_LIMIT_PORTS) {
        return sq_fail(err, SQUALL_E_LIMIT, onnx->path,
                       "a graph in a graph uses more than %d values of those around it",
                       SQ_LIMIT_PORTS);
    }
    uint32_t *inputs =
        sq_regrow(graph->inputs, graph->input_count, graph->input_count + 1, sizeof *graph->inputs);
    graph->inputs = inputs ? inputs : graph->inputs;
    const uint32_t number = inputs ? sq_graph_add_value(graph, name) : SQ_NO_VALUE;
    if (number == SQ_NO_VALUE ||
        !sq_graph_add_input(&scope->onnx->graph->nodes[scope->node], outer)) {
        return sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for its graphs");
    }
    graph->inputs[graph->input_count++] = number;
    *out = number;
    return SQUALL_OK;
}

/* Weights, inputs and nodes: everything that gives a value. */
static squall_status read_givers(sq_onnx *onnx, sq_wire message, sq_onnx_names *names,
                                 squall_error *err)
{
    sq_wire item, rest = message; /* the lists may be mixed in the file: a walk for each */
    uint32_t index = 0;
    while (sq_wire_next_bytes(&rest, GRAPH_INITIALIZER, &item)) {
        SQ_TRY(read_initializer(onnx, item, err));
    }
    SQ_TRY(sort_names(onnx->graph, names, err));
    for (rest = message; sq_wire_next_bytes(&rest, GRAPH_INPUT, &item);) {
        SQ_TRY(read_input(onnx, item, names, err));
    }
    if (onnx->graph->input_count > SQ_LIMIT_PORTS) {
        return sq_fail(err, SQUALL_E_LIMIT, onnx->path, "%" PRIu32 " inputs, at most %d",
                       onnx->graph->input_count, SQ_LIMIT_PORTS);
    }
    for (rest = message; sq_wire_next_bytes(&rest, GRAPH_NODE, &item);) {
        SQ_TRY(sq_onnx_node(onnx, item, index++, err));
    }
    if (sq_wire_count(message, GRAPH_SPARSE) > 0) {
        sq_onnx_report(onnx, "graph", "sparse weights are not taken");
    }
    return SQUALL_OK;
}

squall_status sq_onnx_graph_givers(sq_onnx *onnx, sq_wire message, squall_error *err)
{
    sq_onnx_names names = {0};
    SQ_TRY(reserve(onnx, message, err));
    SQ_TRY(sq_onnx_word(onnx, message, GRAPH_NAME, &onnx->graph->name, err));
    const squall_status status = read_givers(onnx, message, &names, err);
    sq_free(names.order);
    return status;
}

squall_status sq_onnx_graph_users(const sq_onnx *onnx, sq_wire message, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_onnx_names names = {0};
    sq_wire item, rest = message;
    uint32_t node = 0;
    SQ_TRY_GOTO(sort_names(onnx->graph, &names, err));
    while (sq_wire_next_bytes(&rest, GRAPH_NODE, &item)) {
        if (!sq_onnx_is_constant(item)) { /* that is a value, and no node */
            SQ_TRY_GOTO(sq_onnx_node_inputs(onnx, item, &names, node++, err));
        }
    }
    for (rest = message; sq_wire_next_bytes(&rest, GRAPH_OUTPUT, &item);) {
        SQ_TRY_GOTO(read_output(onnx, item, &names, err));
    }
    SQ_TRY_GOTO(sq_graph_sort(onnx->graph, err));
done:
    sq_free(names.order);
    return status;
}
