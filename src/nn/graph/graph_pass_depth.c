/* nn/graph/graph_pass_depth.c - pass: a depthwise convolution and the 1 x 1 behind it become one
 * node, so that what is between them need not be stored. */
#include <string.h>

#include "nn/graph/graph_match.h"

enum { MOST_ATTRS = 12 };

static bool constant_input(const sq_graph *graph, const sq_node *node, uint32_t i)
{
    return i >= node->in_count || node->inputs[i] == SQ_NO_VALUE ||
           sq_graph_is_constant(graph, node->inputs[i]);
}

/* A convolution of float32 images whose weights and bias are constant. */
static bool is_conv(const sq_graph *graph, const sq_node *node)
{
    return node->op == SQ_OP_Conv && node->in_count >= 2 && node->inputs[0] != SQ_NO_VALUE &&
           node->outputs[0] != SQ_NO_VALUE && sq_graph_is_constant(graph, node->inputs[1]) &&
           constant_input(graph, node, 2) &&
           graph->values[node->inputs[1]].type.dtype == SQUALL_F32 &&
           graph->values[node->inputs[1]].type.rank == 4;
}

static bool is_depthwise(const sq_graph *graph, const sq_node *node)
{
    const int64_t group = sq_attr_int(&node->attrs, "group", 1);
    return is_conv(graph, node) && group > 1 &&
           group == graph->values[node->inputs[0]].type.dims[1] &&
           graph->values[node->inputs[1]].type.dims[1] == 1 && node->attrs.count <= MOST_ATTRS;
}

/* 1 x 1 in steps of 1, of one group, without pads. */
static bool is_pointwise(const sq_graph *graph, const sq_node *node)
{
    if (!is_conv(graph, node) || sq_attr_int(&node->attrs, "group", 1) != 1) {
        return false;
    }
    const squall_tensor *weights = &graph->values[node->inputs[1]].type;
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    size_t strides;
    const int64_t *stride = sq_attr_ints(&node->attrs, "strides", &strides);
    for (size_t i = 0; i < strides; i++) {
        if (stride[i] != 1) {
            return false;
        }
    }
    return weights->dims[2] == 1 && weights->dims[3] == 1 && in->rank == 4 &&
           in->dims[2] == out->dims[2] && in->dims[3] == out->dims[3];
}

/* The first one's attributes, its activation under another name, and the second's activation. */
static bool join_attrs(const sq_node *first, const sq_node *second, sq_attrs *out)
{
    static const char *const names[2][2] = {{"sq_activation", "sq_activation_params"},
                                            {"sq_first_activation", "sq_first_activation_params"}};
    if (!sq_attrs_copy(&first->attrs, out)) {
        return false;
    }
    for (int which = 0; which < 2; which++) { /* of the first node, then of the second */
        const sq_attrs *from = which == 0 ? &first->attrs : &second->attrs;
        size_t count;
        const int64_t kind = sq_attr_int(from, names[0][0], SQ_ACT_NONE);
        const float *params = sq_attr_floats(from, names[0][1], &count);
        const char *const *to = names[1 - which];
        if (which == 0) {
            sq_attr_remove(out, names[0][0]);
            sq_attr_remove(out, names[0][1]);
        }
        if ((kind != SQ_ACT_NONE && !sq_attr_set_int(out, to[0], kind)) ||
            (params != NULL && !sq_attr_set_floats(out, to[1], params, count))) {
            sq_attrs_free(out);
            return false;
        }
    }
    return true;
}

static squall_status take_in(sq_graph *graph, sq_node *first, sq_node *second, squall_error *err)
{
    sq_attrs attrs;
    uint32_t inputs[5] = {first->inputs[0], first->inputs[1], 0, second->inputs[1], 0};
    SQ_TRY(sq_graph_need_bias(graph, first, &inputs[2], err));
    SQ_TRY(sq_graph_need_bias(graph, second, &inputs[4], err));
    if (!join_attrs(first, second, &attrs)) {
        return sq_fail(err, SQUALL_E_MEMORY, second->name, "no memory for its attributes");
    }
    const uint32_t output = second->outputs[0];
    const squall_status status =
        sq_graph_rewrite(second, SQ_OP_SqConvDepth, inputs, 5, &output, 1, err);
    if (status != SQUALL_OK) {
        sq_attrs_free(&attrs);
        return status;
    }
    sq_attrs_free(&second->attrs);
    second->attrs = attrs;
    sq_graph_retire(graph, first, second, "it is one with the 1 x 1 convolution behind it");
    return SQUALL_OK;
}

squall_status sq_pass_depth(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                            squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *second = &graph->nodes[n];
        if (second->dead || !is_pointwise(graph, second)) {
            continue;
        }
        sq_node *first = sq_graph_maker(graph, &index, second->inputs[0], SQ_OP_Conv);
        if (first && index.uses[second->inputs[0]] == 1 && is_depthwise(graph, first)) {
            SQ_TRY_GOTO(take_in(graph, first, second, err));
            ++*changes;
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
