/* nn/graph/graph_pass_upsample.c - pass: a linear upsampling in front of a 1 x 1 convolution trades
 * places with it: the convolution then works on fewer pixels, and the upsampling on no more
 * channels.
 *
 * Both are linear, one over the pixels and one over the channels, and the weights of an
 * interpolation add up to 1, so that a bias stays what it is. Only rounding differs. */
#include <string.h>

#include "nn/graph/graph_match.h"

/* A Resize by constant scales, in the opset where they are input 2, of no axis but the spatial. */
static bool is_upsampling(const sq_graph *graph, const sq_node *node)
{
    const char *coordinates =
        sq_attr_string(&node->attrs, "coordinate_transformation_mode", "half_pixel");
    if (node->op != SQ_OP_Resize || node->attrs.opset < 11 || node->in_count != 3 ||
        strcmp(sq_attr_string(&node->attrs, "mode", "nearest"), "linear") != 0 ||
        strcmp(coordinates, "tf_crop_and_resize") == 0 ||
        sq_attr_int(&node->attrs, "exclude_outside", 0) != 0 ||
        sq_attr_find(&node->attrs, "axes") || node->inputs[0] == SQ_NO_VALUE ||
        !sq_graph_is_constant(graph, node->inputs[2])) {
        return false;
    }
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    const squall_tensor *scales = &graph->values[node->inputs[2]].type;
    if (in->rank < 3 || squall_tensor_count(scales) != in->rank || in->dtype != SQUALL_F32 ||
        sq_tensor_get_double(scales, 0) != 1 || sq_tensor_get_double(scales, 1) != 1) {
        return false;
    }
    bool grows = false;
    for (uint32_t d = 2; d < in->rank; d++) {
        if (in->dims[d] > out->dims[d]) {
            return false;
        }
        grows = grows || in->dims[d] < out->dims[d];
    }
    return grows;
}

/* A 1 x 1 convolution of all channels that gives no more of them than it takes. */
static bool is_pointwise(const sq_graph *graph, const sq_node *node)
{
    static const char *const names[] = {"pads", "strides", "dilations"};
    if (node->op != SQ_OP_Conv || sq_attr_find(&node->attrs, "sq_activation") ||
        sq_attr_int(&node->attrs, "group", 1) != 1) {
        return false;
    }
    const squall_tensor *weights = &graph->values[node->inputs[1]].type;
    for (uint32_t d = 2; d < weights->rank; d++) {
        if (weights->dims[d] != 1) {
            return false;
        }
    }
    for (size_t a = 0; a < sizeof names / sizeof names[0]; a++) {
        size_t count;
        const int64_t *numbers = sq_attr_ints(&node->attrs, names[a], &count);
        for (size_t i = 0; i < count; i++) {
            if (numbers[i] != (a == 0 ? 0 : 1)) {
                return false;
            }
        }
    }
    return weights->rank >= 3 && weights->dims[0] <= weights->dims[1];
}

/* Whole nodes trade places, so that the order of the graph holds; what else the convolution needs
 * is constant. */
static bool trade(sq_graph *graph, const sq_graph_index *index, sq_node *conv)
{
    const uint32_t between = conv->inputs[0], y = conv->outputs[0];
    sq_node *resize = sq_graph_maker(graph, index, between, SQ_OP_Resize);
    if (!resize || index->uses[between] != 1 || !is_upsampling(graph, resize) ||
        !sq_graph_is_constant(graph, conv->inputs[1]) ||
        (conv->in_count > 2 && conv->inputs[2] != SQ_NO_VALUE &&
         !sq_graph_is_constant(graph, conv->inputs[2]))) {
        return false;
    }
    const uint32_t x = resize->inputs[0];
    const int64_t channels = graph->values[y].type.dims[1];
    sq_node held = *resize;
    *resize = *conv;
    *conv = held;
    resize->inputs[0] = x;
    resize->outputs[0] = between;
    conv->inputs[0] = between;
    conv->outputs[0] = y;
    graph->values[between].type = graph->values[x].type;
    graph->values[between].type.data = NULL;
    graph->values[between].type.dims[1] = channels;
    return true;
}

squall_status sq_pass_upsample(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                               squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        if (!node->dead && node->op == SQ_OP_Conv && node->outputs[0] != SQ_NO_VALUE &&
            is_pointwise(graph, node) && trade(graph, &index, node)) {
            sq_graph_index_free(&index);
            SQ_TRY(sq_graph_index_make(graph, &index, err));
            ++*changes;
        }
    }
    sq_graph_index_free(&index);
    return SQUALL_OK;
}
