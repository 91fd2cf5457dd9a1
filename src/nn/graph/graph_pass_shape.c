/* nn/graph/graph_pass_shape.c - pass: constants that hold the batch among other sizes say it in a
 * way that is true of any batch, so that one plan can serve a range of them.
 *
 * Exporters write the whole shape into a Reshape and a Resize: [8, 64, 128, 128]. What they mean is
 * "[whatever is left, 64, 128, 128]" and "twice as high and wide". */
#include <string.h>

#include "nn/graph/graph_index.h"

/* A Reshape to a constant shape of numbers alone: its first size becomes "what is left". */
static squall_status loosen_reshape(sq_graph *graph, sq_node *node, uint32_t *changes,
                                    squall_error *err)
{
    if (node->in_count < 2 || !sq_graph_is_constant(graph, node->inputs[1])) {
        return SQUALL_OK;
    }
    const squall_tensor *shape = &graph->values[node->inputs[1]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    const size_t rank = squall_tensor_count(shape);
    const int64_t *sizes = shape->data;
    if (shape->dtype != SQUALL_I64 || rank < 2 || out->rank != rank) {
        return SQUALL_OK;
    }
    for (size_t d = 0; d < rank; d++) {
        if (sizes[d] < 1) {
            return SQUALL_OK;
        }
    }
    squall_tensor made;
    if (!sq_tensor_copy(shape, &made)) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its shape");
    }
    ((int64_t *)made.data)[0] = -1;
    const uint32_t value = sq_graph_add_constant_beside(graph, "any_batch", &made);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&made);
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its shape");
    }
    node->inputs[1] = value;
    ++*changes;
    return SQUALL_OK;
}

/* out / in as a float that multiplies back to just `out`; 0 when there is none for certain. */
static float exact_scale(int64_t in, int64_t out)
{
    if (in < 1 || out < 1 || in > (1 << 24) || out > (1 << 24)) {
        return 0.0f;
    }
    const int64_t down = in / out, up = out / in;
    if (out % in == 0) {
        return (float)up;
    }
    return in % out == 0 && (down & (down - 1)) == 0 ? 1.0f / (float)down : 0.0f;
}

/* A Resize to constant sizes: by constant scales, where these are exact. */
static squall_status loosen_resize(sq_graph *graph, sq_node *node, uint32_t *changes,
                                   squall_error *err)
{
    if (node->in_count < 4 || !sq_graph_is_constant(graph, node->inputs[3]) ||
        sq_attr_find(&node->attrs, "axes") != NULL ||
        strcmp(sq_attr_string(&node->attrs, "keep_aspect_ratio_policy", "stretch"), "stretch") !=
            0 ||
        strcmp(sq_attr_string(&node->attrs, "coordinate_transformation_mode", "half_pixel"),
               "tf_crop_and_resize") == 0) {
        return SQUALL_OK;
    }
    const squall_tensor *sizes = &graph->values[node->inputs[3]].type;
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    if (sizes->dtype != SQUALL_I64 || squall_tensor_count(sizes) != in->rank || in->rank == 0) {
        return SQUALL_OK;
    }
    squall_tensor made;
    const int64_t rank = in->rank;
    if (!sq_tensor_make(SQUALL_F32, 1, &rank, &made)) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its scales");
    }
    for (uint32_t d = 0; d < in->rank; d++) {
        const float scale = exact_scale(in->dims[d], ((const int64_t *)sizes->data)[d]);
        if (scale == 0.0f) {
            sq_tensor_free(&made);
            return SQUALL_OK;
        }
        ((float *)made.data)[d] = scale;
    }
    const uint32_t value = sq_graph_add_constant_beside(graph, "scales", &made);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&made);
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its scales");
    }
    node->inputs[2] = value;
    node->in_count = 3; /* the array keeps its room */
    ++*changes;
    return SQUALL_OK;
}

squall_status sq_pass_shape(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                            squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *node = &graph->nodes[n];
        if (node->dead) {
            continue;
        }
        if (node->op == SQ_OP_Reshape) {
            SQ_TRY(loosen_reshape(graph, node, changes, err));
        } else if (node->op == SQ_OP_Resize) {
            SQ_TRY(loosen_resize(graph, node, changes, err));
        }
    }
    return SQUALL_OK;
}
