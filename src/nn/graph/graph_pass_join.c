/* nn/graph/graph_pass_join.c - pass: a convolution reads what a Concat of channels or an enlarging
 * to twice the size would have put together, so that neither is ever made. */
#include <string.h>

#include "nn/graph/graph_match.h"

enum { MOST_SOURCES = 8, BLOCK = 16 }; /* of channels, in every backend's layout */

/* What a convolution reads. */
typedef struct sources {
    uint32_t value[MOST_SOURCES];
    int64_t scale[MOST_SOURCES];
    uint32_t count;
    sq_node *made[MOST_SOURCES + 1]; /* nodes that are not needed any more */
    uint32_t made_count;
} sources;

/* The node that gives `value` to one user alone. */
static sq_node *sole_maker(const sq_graph *graph, const sq_graph_index *index, uint32_t value)
{
    if (value == SQ_NO_VALUE || index->uses[value] != 1 || index->producer[value] == SQ_NO_NODE ||
        sq_graph_is_output(graph, value)) {
        return NULL;
    }
    sq_node *node = &graph->nodes[index->producer[value]];
    return node->dead || node->out_count != 1 ? NULL : node;
}

static bool add_source(sq_graph *graph, const sq_graph_index *index, uint32_t value, sources *out)
{
    if (out->count == MOST_SOURCES || value == SQ_NO_VALUE) {
        return false;
    }
    sq_node *node = sole_maker(graph, index, value);
    const bool twice = node != NULL && sq_graph_doubles(graph, node);
    if (twice) {
        out->made[out->made_count++] = node;
        value = node->inputs[0];
    }
    const squall_tensor *type = &graph->values[value].type;
    out->value[out->count] = value;
    out->scale[out->count++] = twice ? 2 : 1;
    return type->rank == 4 && type->dtype == SQUALL_F32;
}

/* What input 0 of `conv` is made of; false when it is one image as it is. */
static bool find_sources(sq_graph *graph, const sq_graph_index *index, const sq_node *conv,
                         sources *out)
{
    uint32_t axis;
    memset(out, 0, sizeof *out);
    sq_node *node = sole_maker(graph, index, conv->inputs[0]);
    if (node == NULL || node->op != SQ_OP_Concat) {
        return add_source(graph, index, conv->inputs[0], out) && out->scale[0] == 2;
    }
    if (!sq_graph_axis(node, 1, 4, &axis) || axis != 1 || node->in_count < 2) {
        return false;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (!add_source(graph, index, node->inputs[i], out)) {
            return false;
        }
        const int64_t channels = graph->values[out->value[i]].type.dims[1];
        if (i + 1 < node->in_count && channels % BLOCK != 0) {
            return false;
        }
    }
    out->made[out->made_count++] = node;
    return true;
}

/* 3x3 in steps of 1, of one group, in float32, with constant weights. */
static bool is_plain_conv(const sq_graph *graph, const sq_node *node)
{
    size_t strides, dilations;
    const int64_t *stride = sq_attr_ints(&node->attrs, "strides", &strides);
    const int64_t *dilation = sq_attr_ints(&node->attrs, "dilations", &dilations);
    if (node->op != SQ_OP_Conv || node->in_count < 2 || node->inputs[0] == SQ_NO_VALUE ||
        !sq_graph_is_constant(graph, node->inputs[1]) ||
        (node->in_count > 2 && node->inputs[2] != SQ_NO_VALUE &&
         !sq_graph_is_constant(graph, node->inputs[2])) ||
        sq_attr_int(&node->attrs, "group", 1) != 1) {
        return false;
    }
    const squall_tensor *weights = &graph->values[node->inputs[1]].type;
    for (size_t i = 0; i < strides + dilations; i++) {
        if ((i < strides ? stride[i] : dilation[i - strides]) != 1) {
            return false;
        }
    }
    return weights->dtype == SQUALL_F32 && weights->rank == 4 && weights->dims[2] == 3 &&
           weights->dims[3] == 3;
}

static squall_status take_in(sq_graph *graph, sq_node *conv, const sources *from, squall_error *err)
{
    sq_attrs attrs;
    uint32_t inputs[MOST_SOURCES + 2] = {from->value[0], conv->inputs[1]};
    SQ_TRY(sq_graph_need_bias(graph, conv, &inputs[2], err));
    for (uint32_t i = 1; i < from->count; i++) {
        inputs[i + 2] = from->value[i];
    }
    if (!sq_attrs_copy(&conv->attrs, &attrs)) {
        return sq_fail(err, SQUALL_E_MEMORY, conv->name, "no memory for its attributes");
    }
    if (!sq_attr_set_ints(&attrs, "sq_upsample", from->scale, from->count)) {
        sq_attrs_free(&attrs);
        return sq_fail(err, SQUALL_E_MEMORY, conv->name, "no memory for its attributes");
    }
    const uint32_t output = conv->outputs[0];
    const squall_status status =
        sq_graph_rewrite(conv, SQ_OP_SqConvJoin, inputs, from->count + 2, &output, 1, err);
    if (status != SQUALL_OK) {
        sq_attrs_free(&attrs);
        return status;
    }
    sq_attrs_free(&conv->attrs);
    conv->attrs = attrs;
    for (uint32_t i = 0; i < from->made_count; i++) {
        sq_graph_retire(graph, from->made[i], conv, "the convolution reads what it is made of");
    }
    return SQUALL_OK;
}

squall_status sq_pass_join(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                           squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *conv = &graph->nodes[n];
        sources from;
        if (!conv->dead && is_plain_conv(graph, conv) && find_sources(graph, &index, conv, &from)) {
            SQ_TRY_GOTO(take_in(graph, conv, &from, err));
            ++*changes;
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
