/* nn/graph/graph_pass_block.c - a convolution takes in what stands around it in a U-Net.
 *
 * Conv(Concat(a, up(b))) and the like become SqConvBlock(a, w, bias, b), with the MaxPool behind it
 * as a second output: what is doubled or put side by side is then never written to memory. SqQConv,
 * which reads several images and doubled ones as it is, takes in the MaxPool alone. */
#include <string.h>

#include "nn/graph/graph_match.h"

/* What a convolution is to become. */
typedef struct block {
    uint32_t source[2], count;
    int64_t up[2];
    sq_node *concat, *resize[2], *pool; /* NULL: none */
} block;

/* The nearest neighbour, where each row and column is simply repeated. */
static bool repeats(const sq_graph *graph, const sq_node *node)
{
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    const squall_tensor *out = &graph->values[node->outputs[0]].type;
    const char *where =
        sq_attr_string(&node->attrs, "coordinate_transformation_mode", "half_pixel");
    const char *nearest = sq_attr_string(&node->attrs, "nearest_mode", "round_prefer_floor");
    const bool halves =
        strcmp(where, "half_pixel") == 0 || strcmp(where, "pytorch_half_pixel") == 0;
    return strcmp(sq_attr_string(&node->attrs, "mode", "nearest"), "nearest") == 0 &&
           node->attrs.opset >= 11 && in->rank == 4 && out->rank == 4 &&
           out->dims[0] == in->dims[0] && out->dims[1] == in->dims[1] &&
           out->dims[2] == 2 * in->dims[2] && out->dims[3] == 2 * in->dims[3] && in->dims[2] > 0 &&
           in->dims[3] > 0 &&
           ((strcmp(where, "asymmetric") == 0 && strcmp(nearest, "floor") == 0) ||
            (halves && (strcmp(nearest, "round_prefer_floor") == 0 ||
                        strcmp(nearest, "round_prefer_ceil") == 0)));
}

/* A source of the convolution, seen through the doubling in front of it. */
static void add_source(const sq_graph *graph, const sq_graph_index *index, uint32_t value,
                       block *out)
{
    sq_node *node = sq_graph_maker(graph, index, value, SQ_OP_Resize);
    const bool doubled = node != NULL && index->uses[value] == 1 && repeats(graph, node);
    out->resize[out->count] = doubled ? node : NULL;
    out->source[out->count] = doubled ? node->inputs[0] : value;
    out->up[out->count++] = doubled ? 2 : 1;
}

static bool is_two(const sq_node *node, const char *name, int64_t otherwise)
{
    size_t count;
    const int64_t *numbers = sq_attr_ints(&node->attrs, name, &count);
    return numbers == NULL ? otherwise == 2 : count == 2 && numbers[0] == 2 && numbers[1] == 2;
}

/* The only MaxPool of 2 x 2 that uses `value`. */
static sq_node *find_pool(sq_graph *graph, uint32_t value)
{
    sq_node *found = NULL;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *node = &graph->nodes[n];
        if (node->dead || node->op != SQ_OP_MaxPool || node->inputs[0] != value) {
            continue;
        }
        const squall_tensor *in = &graph->values[value].type;
        const squall_tensor *out = &graph->values[node->outputs[0]].type;
        size_t pads, dilations;
        const int64_t *pad = sq_attr_ints(&node->attrs, "pads", &pads);
        const int64_t *dilation = sq_attr_ints(&node->attrs, "dilations", &dilations);
        bool plain = is_two(node, "kernel_shape", 1) && is_two(node, "strides", 1) &&
                     (node->out_count == 1 || node->outputs[1] == SQ_NO_VALUE) &&
                     out->dims[2] == in->dims[2] / 2 && out->dims[3] == in->dims[3] / 2 &&
                     in->dims[2] > 1 && in->dims[3] > 1;
        for (size_t i = 0; i < pads; i++) {
            plain = plain && pad[i] == 0;
        }
        for (size_t i = 0; i < dilations; i++) {
            plain = plain && dilation[i] == 1;
        }
        if (!plain || found != NULL) {
            return NULL;
        }
        found = node;
    }
    return found;
}

static bool stride_is_one(const sq_node *conv)
{
    size_t count;
    const int64_t *strides = sq_attr_ints(&conv->attrs, "strides", &count);
    return strides == NULL || (count == 2 && strides[0] == 1 && strides[1] == 1);
}

/* What there is to take in; false for nothing. */
static bool find_block(sq_graph *graph, const sq_graph_index *index, const sq_node *conv,
                       block *out)
{
    memset(out, 0, sizeof *out);
    uint32_t axis;
    if (conv->op != SQ_OP_Conv || conv->inputs[0] == SQ_NO_VALUE ||
        sq_attr_int(&conv->attrs, "group", 1) != 1 ||
        graph->values[conv->inputs[0]].type.rank != 4 || !stride_is_one(conv)) {
        return false;
    }
    sq_node *concat = sq_graph_maker(graph, index, conv->inputs[0], SQ_OP_Concat);
    if (concat != NULL && concat->in_count == 2 && index->uses[conv->inputs[0]] == 1 &&
        sq_graph_axis(concat, 0, 4, &axis) && axis == 1) {
        out->concat = concat;
        add_source(graph, index, concat->inputs[0], out);
        add_source(graph, index, concat->inputs[1], out);
    } else {
        add_source(graph, index, conv->inputs[0], out);
    }
    out->pool = find_pool(graph, conv->outputs[0]);
    return out->concat != NULL || out->pool != NULL || out->up[0] == 2;
}

static squall_status make_block(sq_graph *graph, sq_node *conv, const block *made,
                                squall_error *err)
{
    const uint32_t inputs[4] = {made->source[0], conv->inputs[1],
                                conv->in_count > 2 ? conv->inputs[2] : SQ_NO_VALUE,
                                made->source[1]};
    const uint32_t outputs[2] = {conv->outputs[0],
                                 made->pool != NULL ? made->pool->outputs[0] : SQ_NO_VALUE};
    sq_attrs attrs;
    char where[SQ_GRAPH_WHERE];
    if (!sq_attrs_copy(&conv->attrs, &attrs) ||
        !sq_attr_set_ints(&attrs, "sq_upsample", made->up, made->count)) {
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(conv, where), "no memory");
    }
    const squall_status status =
        sq_graph_rewrite(conv, SQ_OP_SqConvBlock, inputs, made->count == 2 ? 4 : 3, outputs,
                         made->pool != NULL ? 2 : 1, err);
    if (status != SQUALL_OK) {
        sq_attrs_free(&attrs);
        return status;
    }
    sq_attrs_free(&conv->attrs);
    conv->attrs = attrs;
    if (made->pool != NULL) {
        sq_graph_retire(graph, made->pool, conv, "the convolution gives its result too");
    }
    if (made->concat != NULL) {
        sq_graph_retire(graph, made->concat, conv, "the convolution reads both sources");
    }
    for (uint32_t s = 0; s < made->count; s++) {
        if (made->resize[s] != NULL) {
            sq_graph_retire(graph, made->resize[s], conv, "the convolution repeats what it reads");
        }
    }
    return SQUALL_OK;
}

/* A SqQConv takes in the MaxPool behind it. */
static squall_status widen_qconv(sq_graph *graph, sq_node *conv, bool *changed, squall_error *err)
{
    char where[SQ_GRAPH_WHERE];
    const bool bytes = graph->values[conv->outputs[0]].type.dtype == SQUALL_U8;
    sq_node *pool = conv->out_count == 1 && bytes ? find_pool(graph, conv->outputs[0]) : NULL;
    *changed = pool != NULL;
    if (pool == NULL) {
        return SQUALL_OK;
    }
    uint32_t *outputs = sq_regrow(conv->outputs, 1, 2, sizeof *outputs);
    if (outputs == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(conv, where), "no memory");
    }
    conv->outputs = outputs;
    outputs[1] = pool->outputs[0];
    conv->out_count = 2;
    sq_graph_retire(graph, pool, conv, "the convolution gives its result too");
    return SQUALL_OK;
}

squall_status sq_graph_to_blocks(sq_graph *graph, bool bytes, uint32_t *changes, squall_error *err)
{
    sq_graph_index index;
    squall_status status = SQUALL_OK;
    *changes = 0;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *node = &graph->nodes[n];
        block made;
        bool widened = false;
        if (!node->dead && node->op == SQ_OP_SqQConv) {
            SQ_TRY_GOTO(widen_qconv(graph, node, &widened, err));
        } else if (!node->dead && !bytes && find_block(graph, &index, node, &made)) {
            SQ_TRY_GOTO(make_block(graph, node, &made, err));
            widened = true;
        }
        *changes += widened;
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
