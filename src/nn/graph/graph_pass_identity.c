/* nn/graph/graph_pass_identity.c - pass: nodes whose output is their first input, number by number,
 * go. */
#include <string.h>

#include "nn/graph/graph_index.h"

/* All numbers of the constant input `index` are `number`; an absent input has none that differ. */
static bool all_are(const sq_graph *graph, const sq_node *node, uint32_t index, double number)
{
    if (index >= node->in_count || node->inputs[index] == SQ_NO_VALUE) {
        return true;
    }
    const sq_value *value = &graph->values[node->inputs[index]];
    if (!value->constant) {
        return false;
    }
    const size_t count = squall_tensor_count(&value->type);
    for (size_t i = 0; i < count; i++) {
        if (sq_tensor_get_double(&value->type, i) != number) {
            return false;
        }
    }
    return true;
}

/* All integers of an attribute are `number`. */
static bool attribute_is(const sq_node *node, const char *name, int64_t number)
{
    size_t count;
    const int64_t *values = sq_attr_ints(&node->attrs, name, &count);
    for (size_t i = 0; i < count; i++) {
        if (values[i] != number) {
            return false;
        }
    }
    return true;
}

/* The dimensions that are not 1 keep their order. */
static bool keeps_order(const sq_node *node, const squall_tensor *in)
{
    size_t count;
    const int64_t *order = sq_attr_ints(&node->attrs, "perm", &count);
    int64_t last = -1;
    for (uint32_t i = 0; i < in->rank; i++) {
        const int64_t from = order ? order[i] : (int64_t)in->rank - 1 - i;
        if (in->dims[from] != 1) {
            if (from < last) {
                return false;
            }
            last = from;
        }
    }
    return true;
}

/* A nearest Resize by exactly 1. Other modes multiply by weights of 0, which an infinity turns into
 * NaN; some coordinate modes are off by half a pixel. */
static bool resizes_nothing(const sq_graph *graph, const sq_node *node)
{
    const char *mode = sq_attr_string(&node->attrs, "mode", "nearest");
    const char *coordinates =
        sq_attr_string(&node->attrs, "coordinate_transformation_mode", "half_pixel");
    if (strcmp(mode, "nearest") != 0 || strcmp(coordinates, "tf_crop_and_resize") == 0 ||
        strcmp(coordinates, "tf_half_pixel_for_nn") == 0) {
        return false;
    }
    size_t count;
    const float *scales = sq_attr_floats(&node->attrs, "scales", &count);
    for (size_t i = 0; i < count; i++) {
        if (scales[i] != 1.0f) {
            return false;
        }
    }
    const bool old = node->op == SQ_OP_Upsample || node->attrs.opset < 11;
    return all_are(graph, node, old ? 1 : 2, 1.0);
}

/* The output, of the very type and shape of the input, also has its numbers. */
static bool is_identity(const sq_graph *graph, const sq_node *node, const squall_tensor *in)
{
    switch (node->op) {
    case SQ_OP_Identity:
    case SQ_OP_Dropout:
    case SQ_OP_Cast:
    case SQ_OP_Reshape:
    case SQ_OP_Flatten:
    case SQ_OP_Squeeze:
    case SQ_OP_Unsqueeze:
    case SQ_OP_Expand:
    case SQ_OP_Tile:
    case SQ_OP_DepthToSpace:
    case SQ_OP_SpaceToDepth:
        return true;
    case SQ_OP_Concat:
    case SQ_OP_Sum:
    case SQ_OP_Mean:
    case SQ_OP_Min:
    case SQ_OP_Max:
        return node->in_count == 1;
    case SQ_OP_Split:
        return node->out_count == 1;
    case SQ_OP_Transpose:
        return keeps_order(node, in);
    case SQ_OP_Slice:
        return all_are(graph, node, 4, 1.0);
    case SQ_OP_Pad: /* pads may be negative at one end, so that the shape alone tells nothing */
        return all_are(graph, node, 1, 0.0) && attribute_is(node, "pads", 0);
    case SQ_OP_Resize:
    case SQ_OP_Upsample:
        return resizes_nothing(graph, node);
    default:
        return false;
    }
}

/* The node can go: it gives one value, and that is its input. */
static bool can_go(const sq_graph *graph, const sq_graph_index *index, const sq_node *node)
{
    if (node->dead || node->in_count < 1 || node->inputs[0] == SQ_NO_VALUE ||
        node->outputs[0] == SQ_NO_VALUE) {
        return false;
    }
    for (uint32_t i = 1; i < node->out_count; i++) { /* a Dropout's mask */
        if (node->outputs[i] != SQ_NO_VALUE && index->uses[node->outputs[i]] > 0) {
            return false;
        }
    }
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    return out->dtype != SQUALL_DTYPE_NONE && sq_tensor_same_type(in, out) &&
           is_identity(graph, node, in);
}

/* What stands for `value` now. */
static uint32_t resolve(const uint32_t *alias, uint32_t value)
{
    while (value != SQ_NO_VALUE && alias[value] != value) {
        value = alias[value];
    }
    return value;
}

static void resolve_inputs(const uint32_t *alias, sq_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        node->inputs[i] = resolve(alias, node->inputs[i]);
    }
}

/* Let the producer of `from` give `to` instead, an output of the graph that must keep its name.
 * False when `from` has a name to keep too, or is given by no node. */
static bool give_instead(sq_graph *graph, sq_graph_index *index, uint32_t from, uint32_t to)
{
    const uint32_t number = index->producer[from];
    if (number == SQ_NO_NODE || sq_graph_is_output(graph, from)) {
        return false;
    }
    sq_node *producer = &graph->nodes[number];
    for (uint32_t i = 0; i < producer->out_count; i++) {
        if (producer->outputs[i] == from) {
            producer->outputs[i] = to;
        }
    }
    index->producer[to] = number;
    return true;
}

squall_status sq_pass_identity(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                               squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    uint32_t *alias = sq_alloc_raw(graph->value_count, sizeof *alias);
    if (!alias) {
        sq_graph_index_free(&index);
        return sq_fail(err, SQUALL_E_MEMORY, "graph", "no memory to find identities");
    }
    for (uint32_t i = 0; i < graph->value_count; i++) {
        alias[i] = i;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        resolve_inputs(alias, node);
        if (!can_go(graph, &index, node)) {
            continue;
        }
        const uint32_t in = node->inputs[0], out = node->outputs[0];
        if (!sq_graph_is_output(graph, out)) {
            alias[out] = in;
        } else if (give_instead(graph, &index, in, out)) {
            alias[in] = out;
        } else {
            continue;
        }
        sq_graph_retire(graph, node, NULL, "it gives its input as it is");
        ++*changes;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) { /* users that came before a give_instead */
        resolve_inputs(alias, &graph->nodes[i]);
    }
    sq_free(alias);
    sq_graph_index_free(&index);
    sq_graph_compact(graph);
    return SQUALL_OK;
}
