/* nn/graph/graph_pass_integer.c - pass: a convolution of what DequantizeLinear gives works on the
 * integers as they are, and gives integers where QuantizeLinear alone reads it. So models that
 * another tool has quantised run in 8 bits.
 *
 * Activations in int8 become uint8 first, zero points and all: that is a flip of the highest bit.
 */
#include <math.h>
#include <string.h>

#include "nn/graph/graph_match.h"

/* One scale and zero point of a tensor. */
typedef struct scheme {
    double scale, zero;
} scheme;

static bool find_scheme(const sq_graph *graph, const sq_node *node, scheme *out)
{
    out->zero = 0;
    return sq_graph_number(graph, node->inputs[1], &out->scale) &&
           (node->in_count < 3 || node->inputs[2] == SQ_NO_VALUE ||
            sq_graph_number(graph, node->inputs[2], &out->zero)) &&
           sq_attr_int(&node->attrs, "block_size", 0) == 0 &&
           sq_attr_int(&node->attrs, "saturate", 1) == 1 && out->scale > 1e-30 &&
           out->scale < 1e30 && graph->values[node->inputs[1]].type.dtype == SQUALL_F32;
}

/* ------------------------------------------------------------------ int8 becomes uint8 */

static bool is_signed(const sq_graph *graph, uint32_t v)
{
    return v != SQ_NO_VALUE && !graph->values[v].constant &&
           graph->values[v].type.dtype == SQUALL_I8;
}

/* Moves numbers, or finds the largest: the same with the highest bit flipped. */
static bool is_mover(const sq_node *node)
{
    switch (node->op) {
    case SQ_OP_MaxPool:
    case SQ_OP_Concat:
    case SQ_OP_Resize:
    case SQ_OP_Slice:
    case SQ_OP_Split:
    case SQ_OP_Reshape:
    case SQ_OP_Transpose:
    case SQ_OP_Identity:
        return true;
    default:
        return false;
    }
}

/* Whether a node, should it read or give int8, can do so with uint8. */
static bool can_flip(const sq_graph *graph, const sq_node *node)
{
    bool reads = false, gives = false, constant = false;
    scheme of;
    for (uint32_t i = 0; i < node->in_count; i++) {
        reads = reads || is_signed(graph, node->inputs[i]);
        constant = constant || (sq_graph_is_constant(graph, node->inputs[i]) &&
                                graph->values[node->inputs[i]].type.dtype == SQUALL_I8);
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        gives = gives || is_signed(graph, node->outputs[i]);
    }
    if (!reads && !gives) {
        return true;
    }
    const bool ends = (node->op == SQ_OP_QuantizeLinear && gives) ||
                      (node->op == SQ_OP_DequantizeLinear && reads);
    return ends ? find_scheme(graph, node, &of) : is_mover(node) && !constant;
}

/* Another zero point for a node that has one, or none. */
static squall_status flip_zero(sq_graph *graph, sq_node *node, squall_error *err)
{
    scheme of;
    squall_tensor zero;
    (void)find_scheme(graph, node, &of);
    if (!sq_tensor_make(SQUALL_U8, 0, NULL, &zero)) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its zero point");
    }
    *(uint8_t *)zero.data = (uint8_t)(of.zero + 128);
    const uint32_t value = sq_graph_add_constant_beside(graph, "unsigned_zero", &zero);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&zero);
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its zero point");
    }
    if (node->in_count < 3 && !sq_graph_add_input(node, value)) {
        return sq_fail(err, SQUALL_E_MEMORY, node->name, "no memory for its zero point");
    }
    node->inputs[2] = value;
    sq_attr_remove(&node->attrs, "output_dtype");
    return SQUALL_OK;
}

static squall_status flip_all(sq_graph *graph, squall_error *err)
{
    for (uint32_t n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].dead && !can_flip(graph, &graph->nodes[n])) {
            return SQUALL_OK;
        }
    }
    for (uint32_t k = 0; k < graph->input_count; k++) {
        if (is_signed(graph, graph->inputs[k])) {
            return SQUALL_OK;
        }
    }
    for (uint32_t k = 0; k < graph->output_count; k++) {
        if (is_signed(graph, graph->outputs[k])) {
            return SQUALL_OK;
        }
    }
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *node = &graph->nodes[n];
        if (!node->dead &&
            ((node->op == SQ_OP_QuantizeLinear && is_signed(graph, node->outputs[0])) ||
             (node->op == SQ_OP_DequantizeLinear && is_signed(graph, node->inputs[0])))) {
            SQ_TRY(flip_zero(graph, node, err));
        }
    }
    for (uint32_t v = 0; v < graph->value_count; v++) {
        if (is_signed(graph, v)) {
            graph->values[v].type.dtype = SQUALL_U8;
        }
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ convolutions */

/* What a convolution of integers is made of. */
typedef struct parts {
    const sq_node *image, *weights; /* DequantizeLinear */
    const sq_node *out;             /* QuantizeLinear, or NULL */
    scheme in, to;
    const float *unit; /* of the weights: one, or one an output channel */
    size_t units;
} parts;

static bool find_weights(const sq_graph *graph, parts *p)
{
    const squall_tensor *w = &graph->values[p->weights->inputs[0]].type;
    const squall_tensor *unit = &graph->values[p->weights->inputs[1]].type;
    int64_t axis = sq_attr_int(&p->weights->attrs, "axis", 1);
    axis = axis < 0 ? axis + 4 : axis;
    if (!sq_graph_is_constant(graph, p->weights->inputs[0]) || w->dtype != SQUALL_I8 ||
        w->rank != 4 || !sq_graph_is_constant(graph, p->weights->inputs[1]) ||
        unit->dtype != SQUALL_F32 || sq_attr_int(&p->weights->attrs, "block_size", 0) != 0) {
        return false;
    }
    p->unit = unit->data;
    p->units = squall_tensor_count(unit);
    if (p->units != 1 && (axis != 0 || p->units != (size_t)w->dims[0])) {
        return false;
    }
    for (size_t k = 0; k < p->units; k++) {
        if (!(p->unit[k] > 1e-30f && p->unit[k] < 1e30f)) {
            return false;
        }
    }
    if (p->weights->in_count < 3 || p->weights->inputs[2] == SQ_NO_VALUE) {
        return true;
    }
    const squall_tensor *zero = &graph->values[p->weights->inputs[2]].type;
    bool none = sq_graph_is_constant(graph, p->weights->inputs[2]);
    for (size_t k = 0; none && k < squall_tensor_count(zero); k++) {
        none = sq_tensor_get_int(zero, k) == 0;
    }
    return none;
}

static bool is_bound(const sq_node *node)
{
    const int64_t kind = sq_attr_int(&node->attrs, "sq_activation", SQ_ACT_NONE);
    return kind == SQ_ACT_NONE || kind == SQ_ACT_RELU || kind == SQ_ACT_CLIP;
}

/* One group, or one a channel with 1, 2, 4 or 8 outputs. */
static bool groups_fit(const sq_node *node, const squall_tensor *in, const squall_tensor *weights)
{
    const int64_t group = sq_attr_int(&node->attrs, "group", 1);
    return group == 1 || (group == in->dims[1] && weights->dims[1] == 1 &&
                          weights->dims[0] % group == 0 && 8 % (weights->dims[0] / group) == 0);
}

static bool find_parts(const sq_graph *graph, const sq_graph_index *index, const sq_node *node,
                       parts *p)
{
    memset(p, 0, sizeof *p);
    if (node->op != SQ_OP_Conv || node->dead) {
        return false;
    }
    p->image = sq_graph_maker(graph, index, node->inputs[0], SQ_OP_DequantizeLinear);
    p->weights = sq_graph_maker(graph, index, node->inputs[1], SQ_OP_DequantizeLinear);
    if (p->image == NULL || p->weights == NULL || !find_scheme(graph, p->image, &p->in) ||
        !find_weights(graph, p)) {
        return false;
    }
    const squall_tensor *in = &graph->values[p->image->inputs[0]].type;
    if (in->dtype != SQUALL_U8 || in->rank != 4 ||
        !groups_fit(node, in, &graph->values[p->weights->inputs[0]].type) ||
        graph->values[node->outputs[0]].type.dtype != SQUALL_F32) {
        return false;
    }
    if (node->in_count > 2 && node->inputs[2] != SQ_NO_VALUE &&
        (!sq_graph_is_constant(graph, node->inputs[2]) ||
         graph->values[node->inputs[2]].type.dtype != SQUALL_F32)) {
        return false;
    }
    const uint32_t user = index->user[node->outputs[0]];
    if (user != SQ_NO_NODE && index->uses[node->outputs[0]] == 1 && is_bound(node)) {
        const sq_node *next = &graph->nodes[user];
        if (next->op == SQ_OP_QuantizeLinear && !next->dead &&
            next->inputs[0] == node->outputs[0] &&
            graph->values[next->outputs[0]].type.dtype == SQUALL_U8 &&
            find_scheme(graph, next, &p->to)) {
            p->out = next;
        }
    }
    return true;
}

static uint32_t add_constant(sq_graph *graph, const char *base, squall_dtype dtype, int64_t count,
                             void **data)
{
    squall_tensor tensor;
    if (!sq_tensor_make(dtype, 1, &count, &tensor)) {
        return SQ_NO_VALUE;
    }
    *data = tensor.data;
    const uint32_t value = sq_graph_add_constant_beside(graph, base, &tensor);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&tensor);
    }
    return value;
}

/* Multipliers and biases; false when there is no memory. */
static bool add_numbers(sq_graph *graph, const sq_node *node, const parts *p, uint32_t *multiplier,
                        uint32_t *bias)
{
    const int64_t outputs = graph->values[p->weights->inputs[0]].type.dims[0];
    void *by = NULL, *offset = NULL;
    const float *real = node->in_count > 2 && node->inputs[2] != SQ_NO_VALUE
                            ? graph->values[node->inputs[2]].type.data
                            : NULL;
    *multiplier = add_constant(graph, "multiplier", SQUALL_F32, outputs, &by);
    *bias = add_constant(graph, "integer_bias", SQUALL_I32, outputs, &offset);
    if (*multiplier == SQ_NO_VALUE || *bias == SQ_NO_VALUE) {
        return false;
    }
    for (int64_t k = 0; k < outputs; k++) {
        const float unit = (float)p->in.scale * p->unit[p->units == 1 ? 0 : k];
        const double whole = real != NULL ? rint((double)real[k] / (double)unit) : 0;
        ((float *)by)[k] = p->out != NULL ? unit / (float)p->to.scale : unit;
        ((int32_t *)offset)[k] = (int32_t)fmin(fmax(whole, INT32_MIN), INT32_MAX);
    }
    return true;
}

/* The bounds of an output of uint8, as the activation has them. */
static bool set_output(sq_node *node, const parts *p)
{
    size_t count;
    double low = 0, high = UINT8_MAX;
    const float *params = sq_attr_floats(&node->attrs, "sq_activation_params", &count);
    const int64_t kind = sq_attr_int(&node->attrs, "sq_activation", SQ_ACT_NONE);
    if (p->out == NULL) {
        return sq_attr_set_int(&node->attrs, "sq_y_type", SQUALL_F32);
    }
    if (kind == SQ_ACT_RELU) {
        low = p->to.zero;
    } else if (kind == SQ_ACT_CLIP && count == 2) {
        low = fmax(rint((double)params[0] / p->to.scale) + p->to.zero, 0);
        high = fmin(rint((double)params[1] / p->to.scale) + p->to.zero, UINT8_MAX);
        low = fmin(low, UINT8_MAX);
        high = fmax(high, low);
    }
    sq_attr_remove(&node->attrs, "sq_activation");
    sq_attr_remove(&node->attrs, "sq_activation_params");
    return sq_attr_set_int(&node->attrs, "sq_y_type", SQUALL_U8) &&
           sq_attr_set_int(&node->attrs, "sq_y_zero", (int64_t)p->to.zero) &&
           sq_attr_set_int(&node->attrs, "sq_low", (int64_t)low) &&
           sq_attr_set_int(&node->attrs, "sq_high", (int64_t)high);
}

static squall_status rewrite(sq_graph *graph, uint32_t n, const parts *p, squall_error *err)
{
    uint32_t multiplier, bias;
    const int64_t zero = (int64_t)p->in.zero;
    const uint32_t image = p->image->inputs[0], weights = p->weights->inputs[0];
    const uint32_t out = p->out != NULL ? p->out->outputs[0] : SQ_NO_VALUE;
    const uint32_t reader = p->out != NULL ? (uint32_t)(p->out - graph->nodes) : 0;
    bool made = add_numbers(graph, &graph->nodes[n], p, &multiplier, &bias);
    sq_node *node = &graph->nodes[n];
    if (made) {
        node->in_count = 2;
        node->inputs[0] = image;
        node->inputs[1] = weights;
        made = sq_graph_add_input(node, multiplier) && sq_graph_add_input(node, bias) &&
               sq_attr_set_ints(&node->attrs, "sq_x_zero", &zero, 1) && set_output(node, p);
    }
    if (!made) {
        return sq_fail(err, SQUALL_E_MEMORY, graph->nodes[n].name, "no memory for its integers");
    }
    node->op = SQ_OP_SqQConv;
    if (p->out != NULL) {
        node->outputs[0] = out;
        graph->nodes[reader].dead = true;
    }
    return SQUALL_OK;
}

squall_status sq_pass_integer(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                              squall_error *err)
{
    sq_graph_index index;
    squall_status status = SQUALL_OK;
    (void)evaluate;
    *changes = 0;
    SQ_TRY(flip_all(graph, err));
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    for (uint32_t n = 0; n < graph->node_count; n++) {
        parts p;
        if (find_parts(graph, &index, &graph->nodes[n], &p)) {
            SQ_TRY_GOTO(rewrite(graph, n, &p, err));
            ++*changes;
        }
    }
done:
    sq_graph_index_free(&index);
    if (status == SQUALL_OK && *changes > 0) {
        status = sq_graph_sort(graph, err);
    }
    return status;
}
