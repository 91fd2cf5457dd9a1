/* nn/graph/graph_match.c - what passes ask of nodes, and how they change one. */
#include "nn/graph/graph_match.h"

#include <string.h>

sq_node *sq_graph_maker(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                        sq_op op)
{
    if (value == SQ_NO_VALUE || index->producer[value] == SQ_NO_NODE) {
        return NULL;
    }
    sq_node *node = &graph->nodes[index->producer[value]];
    return !node->dead && node->op == op ? node : NULL;
}

bool sq_graph_number(const sq_graph *graph, uint32_t value, double *out)
{
    if (!sq_graph_is_constant(graph, value) ||
        squall_tensor_count(&graph->values[value].type) != 1) {
        return false;
    }
    *out = sq_tensor_get_double(&graph->values[value].type, 0);
    return true;
}

bool sq_graph_ints(const sq_graph *graph, const sq_node *node, uint32_t input, const char *name,
                   size_t capacity, int64_t *out, size_t *count, bool *given)
{
    *count = 0;
    *given = false;
    if (input > 0 && input < node->in_count && node->inputs[input] != SQ_NO_VALUE) {
        const squall_tensor *type = &graph->values[node->inputs[input]].type;
        if (!sq_graph_is_constant(graph, node->inputs[input]) ||
            (type->dtype != SQUALL_I64 && type->dtype != SQUALL_I32) ||
            squall_tensor_count(type) > capacity) {
            return false;
        }
        *count = squall_tensor_count(type);
        for (size_t i = 0; i < *count; i++) {
            out[i] = type->dtype == SQUALL_I64 ? ((const int64_t *)type->data)[i]
                                               : ((const int32_t *)type->data)[i];
        }
        *given = true;
        return true;
    }
    const int64_t *ints = name ? sq_attr_ints(&node->attrs, name, count) : NULL;
    if (*count > capacity) {
        return false;
    }
    *given = ints != NULL;
    if (ints && *count > 0) {
        memcpy(out, ints, *count * sizeof *out);
    }
    return true;
}

bool sq_graph_axis(const sq_node *node, int64_t otherwise, uint32_t rank, uint32_t *out)
{
    int64_t axis = sq_attr_int(&node->attrs, "axis", otherwise);
    axis += axis < 0 ? (int64_t)rank : 0;
    *out = (uint32_t)axis;
    return axis >= 0 && axis < (int64_t)rank;
}

bool sq_graph_slice(const sq_graph *graph, const sq_node *node, sq_slice *out)
{
    int64_t starts[SQUALL_MAX_DIMS], axes[SQUALL_MAX_DIMS], steps[SQUALL_MAX_DIMS];
    size_t count, axis_count, step_count;
    bool given, has_axes, has_steps;
    if (node->op != SQ_OP_Slice || node->inputs[0] == SQ_NO_VALUE ||
        !sq_graph_ints(graph, node, 1, "starts", SQUALL_MAX_DIMS, starts, &count, &given) ||
        !given ||
        !sq_graph_ints(graph, node, 3, "axes", SQUALL_MAX_DIMS, axes, &axis_count, &has_axes) ||
        !sq_graph_ints(graph, node, 4, NULL, SQUALL_MAX_DIMS, steps, &step_count, &has_steps) ||
        (has_axes && axis_count != count) || (has_steps && step_count != count)) {
        return false;
    }
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    for (size_t i = 0; i < SQUALL_MAX_DIMS; i++) {
        out->start[i] = 0;
        out->step[i] = 1;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t axis = has_axes ? axes[i] : (int64_t)i;
        axis += axis < 0 ? (int64_t)in->rank : 0;
        if (axis < 0 || axis >= (int64_t)in->rank) {
            return false;
        }
        const int64_t size = in->dims[axis], step = has_steps ? steps[i] : 1;
        const int64_t most = step > 0 ? size : size - 1;
        int64_t start = starts[i] < 0 ? starts[i] + size : starts[i];
        start = start < 0 ? 0 : start > most ? most : start;
        out->start[axis] = start;
        out->step[axis] = step;
    }
    return true;
}

/* Output of a Split into equal parts along axis 1. */
static bool split_part(const sq_graph *graph, const sq_node *split, uint32_t value, int64_t *part,
                       int64_t *parts)
{
    uint32_t axis;
    const squall_tensor *whole = &graph->values[split->inputs[0]].type;
    const squall_tensor *type = &graph->values[value].type;
    if (!sq_graph_axis(split, 0, whole->rank, &axis) || axis != 1 || type->dims[1] < 1 ||
        whole->dims[1] != type->dims[1] * (int64_t)split->out_count) {
        return false;
    }
    for (uint32_t i = 0; i < split->out_count; i++) {
        if (split->outputs[i] != SQ_NO_VALUE &&
            graph->values[split->outputs[i]].type.dims[1] != type->dims[1]) {
            return false;
        }
        *part = split->outputs[i] == value ? (int64_t)i : *part;
    }
    *parts = (int64_t)split->out_count;
    return true;
}

bool sq_graph_part(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                   uint32_t *whole, int64_t *part, int64_t *parts)
{
    sq_slice cut;
    const sq_node *node = sq_graph_maker(graph, index, value, SQ_OP_Split);
    if (node) {
        *whole = node->inputs[0];
        return *whole != SQ_NO_VALUE && split_part(graph, node, value, part, parts);
    }
    node = sq_graph_maker(graph, index, value, SQ_OP_Slice);
    if (!node || !sq_graph_slice(graph, node, &cut)) {
        return false;
    }
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[value].type;
    for (uint32_t d = 0; d < in->rank; d++) {
        if (cut.step[d] != 1 || (d != 1 && in->dims[d] != out->dims[d])) {
            return false;
        }
    }
    if (in->rank < 2 || out->dims[1] < 1 || in->dims[1] % out->dims[1] != 0 ||
        cut.start[1] % out->dims[1] != 0) {
        return false;
    }
    *whole = node->inputs[0];
    *part = cut.start[1] / out->dims[1];
    *parts = in->dims[1] / out->dims[1];
    return true;
}

squall_status sq_graph_rewrite(sq_node *node, sq_op op, const uint32_t *inputs, uint32_t in_count,
                               const uint32_t *outputs, uint32_t out_count, squall_error *err)
{
    uint32_t *in = sq_alloc_raw(in_count, sizeof *in), *out = sq_alloc_raw(out_count, sizeof *out);
    if (!in || !out) {
        sq_free(in);
        sq_free(out);
        char where[SQ_GRAPH_WHERE];
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(node, where), "no memory to change it");
    }
    memcpy(in, inputs, in_count * sizeof *in);
    memcpy(out, outputs, out_count * sizeof *out);
    sq_free(node->inputs);
    sq_free(node->outputs);
    const int32_t opset = node->attrs.opset;
    sq_attrs_free(&node->attrs);
    node->attrs.opset = opset;
    node->op = op;
    node->inputs = in;
    node->in_count = in_count;
    node->outputs = out;
    node->out_count = out_count;
    return SQUALL_OK;
}

uint32_t sq_graph_add_ints(sq_graph *graph, const char *base, const int64_t *values, size_t count)
{
    squall_tensor tensor;
    const int64_t size = (int64_t)count;
    if (!sq_tensor_make(SQUALL_I64, 1, &size, &tensor)) {
        return SQ_NO_VALUE;
    }
    memcpy(tensor.data, values, count * sizeof *values);
    const uint32_t number = sq_graph_add_constant_beside(graph, base, &tensor);
    if (number == SQ_NO_VALUE) {
        sq_tensor_free(&tensor);
    }
    return number;
}

squall_status sq_graph_need_bias(sq_graph *graph, const sq_node *conv, uint32_t *out,
                                 squall_error *err)
{
    squall_tensor zeros;
    if (conv->in_count > 2 && conv->inputs[2] != SQ_NO_VALUE) {
        *out = conv->inputs[2];
        return SQUALL_OK;
    }
    const squall_tensor *weights = &graph->values[conv->inputs[1]].type;
    const bool made = sq_tensor_make(weights->dtype, 1, &weights->dims[0], &zeros);
    *out = SQ_NO_VALUE;
    if (made) {
        memset(zeros.data, 0, squall_tensor_bytes(&zeros));
        *out = sq_graph_add_constant_beside(graph, graph->values[conv->inputs[1]].name, &zeros);
    }
    if (*out == SQ_NO_VALUE) {
        if (made) {
            sq_tensor_free(&zeros);
        }
        return sq_fail(err, SQUALL_E_MEMORY, conv->name, "no memory for its bias");
    }
    return SQUALL_OK;
}

static bool is_word(const sq_node *node, const char *name, const char *otherwise, const char *word)
{
    return strcmp(sq_attr_string(&node->attrs, name, otherwise), word) == 0;
}

bool sq_graph_doubles(const sq_graph *graph, const sq_node *node)
{
    if ((node->op != SQ_OP_Resize && node->op != SQ_OP_Upsample) ||
        node->inputs[0] == SQ_NO_VALUE || !is_word(node, "mode", "nearest", "nearest") ||
        sq_attr_find(&node->attrs, "axes")) {
        return false;
    }
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    const char *way = "coordinate_transformation_mode", *round = "nearest_mode";
    const bool floors = is_word(node, way, "half_pixel", "asymmetric") &&
                        is_word(node, round, "round_prefer_floor", "floor");
    const bool halves = is_word(node, way, "half_pixel", "half_pixel") &&
                        is_word(node, round, "round_prefer_floor", "round_prefer_floor");
    return in->rank == 4 && out->rank == 4 && out->dims[0] == in->dims[0] &&
           out->dims[1] == in->dims[1] && out->dims[2] == 2 * in->dims[2] &&
           out->dims[3] == 2 * in->dims[3] &&
           (node->op == SQ_OP_Upsample || node->attrs.opset < 11 || floors || halves);
}
