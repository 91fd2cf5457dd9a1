/* nn/compile/compile_quantise.c - layers of a graph become layers in 8 bits, with what lies between
 * them: conversions are left only where such layers meet others. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_quant.h"
#include "nn/ref/ref.h"

/* What is known of a value of the graph while it is rewritten. */
typedef struct twin {
    uint32_t bytes; /* the value in 8 bits, or SQ_NO_VALUE */
    float scale;
    uint8_t zero;
    bool wanted; /* in 8 bits */
    bool plain;  /* wanted as floats */
} twin;

typedef struct rewrite {
    sq_graph *graph;
    const sq_quant *quant;
    uint32_t nodes, values; /* those that were there before */
    uint32_t *producer;     /* [values]: node, or UINT32_MAX */
    twin *twins;            /* [values] */
    squall_error *err;
} rewrite;

void sq_quant_free(sq_quant *quant)
{
    for (uint32_t i = 0; i < quant->value_count; i++) {
        sq_histogram_free(&quant->values[i].histogram);
        sq_free(quant->values[i].name);
        sq_free(quant->values[i].mean);
    }
    for (uint32_t i = 0; i < quant->layer_count; i++) {
        sq_free(quant->layers[i].name);
    }
    sq_free(quant->values);
    sq_free(quant->layers);
    memset(quant, 0, sizeof *quant);
}

sq_quant_value *sq_quant_find(const sq_quant *quant, const char *name)
{
    for (uint32_t i = 0; i < quant->value_count; i++) {
        if (strcmp(quant->values[i].name, name) == 0) {
            return &quant->values[i];
        }
    }
    return NULL;
}

float sq_quant_scale(const sq_quant_value *value, uint8_t *zero)
{
    const float span = value->high - value->low;
    const float scale = span > 0 ? span / UINT8_MAX : 1.0f;
    const float at = rintf(-value->low / scale);
    *zero = (uint8_t)(at < 0 ? 0 : at > UINT8_MAX ? UINT8_MAX : at);
    return scale;
}

/* Whether an attribute of integers, if there, is `value` alone. */
static bool all_are(const sq_node *node, const char *name, int64_t value)
{
    size_t count;
    const int64_t *given = sq_attr_ints(&node->attrs, name, &count);
    for (size_t i = 0; given != NULL && i < count; i++) {
        if (given[i] != value) {
            return false;
        }
    }
    return true;
}

static bool is_square(const squall_tensor *weights, int64_t side)
{
    return weights->rank == 4 && weights->dims[2] == side && weights->dims[3] == side;
}

static bool pads_are_one(const sq_node *node)
{
    return sq_attr_find(&node->attrs, "pads") != NULL && all_are(node, "pads", 1) &&
           all_are(node, "dilations", 1) &&
           strcmp(sq_attr_string(&node->attrs, "auto_pad", "NOTSET"), "NOTSET") == 0;
}

/* A transposed convolution that makes four pixels of one, each of 2 x 2: as a convolution of 3 x 3
 * of an enlarged image does. */
static bool is_doubling(const sq_node *node, const squall_tensor *weights)
{
    return node->op == SQ_OP_ConvTranspose && is_square(weights, 4) && pads_are_one(node) &&
           sq_attr_find(&node->attrs, "strides") != NULL && all_are(node, "strides", 2) &&
           all_are(node, "output_padding", 0) &&
           sq_attr_find(&node->attrs, "output_shape") == NULL &&
           sq_attr_int(&node->attrs, "group", 1) == 1;
}

/* One group, or one for each channel with 1, 2, 4 or 8 outputs. */
static bool is_whole_or_depthwise(const sq_node *node, const squall_tensor *in,
                                  const squall_tensor *weights)
{
    const int64_t group = sq_attr_int(&node->attrs, "group", 1);
    return node->op == SQ_OP_Conv &&
           (group == 1 || (group == in->dims[1] && weights->dims[1] == 1 &&
                           weights->dims[0] % group == 0 && 8 % (weights->dims[0] / group) == 0));
}

bool sq_quant_can(const sq_graph *graph, const sq_node *node)
{
    if ((node->op != SQ_OP_Conv && node->op != SQ_OP_ConvTranspose) || node->dead ||
        node->inputs[1] == SQ_NO_VALUE) {
        return false;
    }
    const sq_value *weights = &graph->values[node->inputs[1]];
    const uint32_t bias = node->in_count > 2 ? node->inputs[2] : SQ_NO_VALUE;
    const squall_tensor *in = &graph->values[node->inputs[0]].type;
    return weights->constant && weights->type.dtype == SQUALL_F32 && weights->type.rank == 4 &&
           in->dtype == SQUALL_F32 && in->rank == 4 && !graph->values[node->inputs[0]].constant &&
           (bias == SQ_NO_VALUE ||
            (graph->values[bias].constant && graph->values[bias].type.dtype == SQUALL_F32)) &&
           (is_doubling(node, &weights->type) || is_whole_or_depthwise(node, in, &weights->type));
}

static squall_status no_memory(const rewrite *r)
{
    return sq_fail(r->err, SQUALL_E_MEMORY, r->graph->name, "no memory for its layers in 8 bits");
}

static bool layer_on(const rewrite *r, const sq_node *node)
{
    if (!sq_quant_can(r->graph, node)) {
        return false;
    }
    for (uint32_t i = 0; i < r->quant->layer_count; i++) {
        if (r->quant->layers[i].on && strcmp(r->quant->layers[i].name, node->name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a node gives in 8 bits what it takes in 8 bits, only elsewhere: its scale stays. */
static bool passes_through(const rewrite *r, const sq_node *node)
{
    const squall_tensor *out = &r->graph->values[node->outputs[0]].type;
    if (node->dead || node->in_count < 1 || out->dtype != SQUALL_F32 || out->rank != 4) {
        return false;
    }
    switch (node->op) {
    case SQ_OP_MaxPool:
        for (uint32_t i = 1; i < node->out_count; i++) {
            if (node->outputs[i] != SQ_NO_VALUE) {
                return false;
            }
        }
        return true;
    case SQ_OP_Resize:
        return strcmp(sq_attr_string(&node->attrs, "mode", "nearest"), "nearest") == 0;
    default:
        return false;
    }
}

/* The images that a convolution reads: what a Concat of channels joins, or the one input; and of
 * one that is twice the size of another, that other. Returns how many. */
static uint32_t images_of(const rewrite *r, const sq_node *conv, sq_quant_image *images)
{
    const sq_graph *graph = r->graph;
    const bool whole = sq_attr_int(&conv->attrs, "group", 1) == 1;
    const bool folds = whole && conv->op == SQ_OP_Conv && pads_are_one(conv) &&
                       is_square(&graph->values[conv->inputs[1]].type, 3) &&
                       all_are(conv, "strides", 1);
    const uint32_t n = r->producer[conv->inputs[0]];
    const sq_node *join = n != UINT32_MAX ? &graph->nodes[n] : NULL;
    const uint32_t *values = &conv->inputs[0];
    uint32_t count = 1;
    if (join != NULL && join->op == SQ_OP_Concat && join->in_count <= SQ_QUANT_IMAGES) {
        const int64_t axis = sq_attr_int(&join->attrs, "axis", 1);
        bool images_alone = axis == 1 || axis == -3;
        for (uint32_t i = 0; i < join->in_count; i++) {
            const sq_value *image = &graph->values[join->inputs[i]];
            /* Depthwise, vectors do not reach from one image into the next. */
            images_alone = images_alone && !image->constant && image->type.rank == 4 &&
                           (whole || i + 1 == join->in_count || image->type.dims[1] % 16 == 0);
        }
        values = images_alone ? join->inputs : values;
        count = images_alone ? join->in_count : 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t maker = r->producer[values[i]];
        const bool twice =
            folds && maker != UINT32_MAX && sq_graph_doubles(graph, &graph->nodes[maker]);
        images[i] = (sq_quant_image){
            .value = twice ? graph->nodes[maker].inputs[0] : values[i],
            .up = twice || conv->op == SQ_OP_ConvTranspose ? 2 : 1,
        };
    }
    return count;
}

static bool is_known(const rewrite *r, uint32_t v)
{
    return sq_quant_find(r->quant, r->graph->values[v].name) != NULL;
}

/* Who wants what, from the last node to the first. */
static void find_wants(rewrite *r)
{
    const sq_graph *graph = r->graph;
    for (uint32_t k = 0; k < graph->output_count; k++) {
        r->twins[graph->outputs[k]].plain = true;
    }
    for (uint32_t n = r->nodes; n-- > 0;) {
        sq_node *node = &graph->nodes[n];
        if (node->dead) {
            continue;
        }
        sq_quant_image images[SQ_QUANT_IMAGES];
        uint32_t count = 0;
        const bool unread = node->out_count == 1 && !r->twins[node->outputs[0]].plain &&
                            !r->twins[node->outputs[0]].wanted;
        if (layer_on(r, node)) {
            count = images_of(r, node, images);
        } else if (passes_through(r, node) && r->twins[node->outputs[0]].wanted) {
            images[0].value = node->inputs[0];
            count = 1;
        } else if (unread && (node->op == SQ_OP_Concat || sq_graph_doubles(graph, node))) {
            node->dead = true; /* all who read it read what it is made of */
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            r->twins[images[i].value].wanted = true;
        }
        for (uint32_t i = 0; count == 0 && i < node->in_count; i++) {
            if (node->inputs[i] != SQ_NO_VALUE) {
                r->twins[node->inputs[i]].plain = true;
            }
        }
    }
}

/* QuantizeLinear or DequantizeLinear from one value to another, by the scale of `t`. */
static squall_status add_conversion(rewrite *r, sq_op op, uint32_t from, uint32_t to, const twin *t)
{
    char name[256];
    void *scale, *zero;
    const char *base = r->graph->values[op == SQ_OP_QuantizeLinear ? from : to].name;
    snprintf(name, sizeof name, "%.200s:%s", base, op == SQ_OP_QuantizeLinear ? "q" : "dq");
    sq_node *node = sq_graph_add_node(r->graph, op, name, 3, 1);
    if (node == NULL) {
        return no_memory(r);
    }
    node->attrs.opset = 13;
    node->inputs[0] = from;
    node->outputs[0] = to;
    node->inputs[1] = node->inputs[2] = SQ_NO_VALUE;
    const uint32_t index = r->graph->node_count - 1;
    snprintf(name, sizeof name, "%.200s:%s scale", base, op == SQ_OP_QuantizeLinear ? "q" : "dq");
    const uint32_t scales = sq_quant_numbers(r->graph, name, SQUALL_F32, 0, 0, &scale);
    snprintf(name, sizeof name, "%.200s:%s zero", base, op == SQ_OP_QuantizeLinear ? "q" : "dq");
    const uint32_t zeros = sq_quant_numbers(r->graph, name, SQUALL_U8, 0, 0, &zero);
    if (scales == SQ_NO_VALUE || zeros == SQ_NO_VALUE) {
        return no_memory(r);
    }
    *(float *)scale = t->scale;
    *(uint8_t *)zero = t->zero;
    r->graph->nodes[index].inputs[1] = scales;
    r->graph->nodes[index].inputs[2] = zeros;
    return SQUALL_OK;
}

static squall_status add_bytes(rewrite *r, uint32_t v)
{
    char name[256];
    snprintf(name, sizeof name, "%.200s:u8", r->graph->values[v].name);
    r->twins[v].bytes = sq_graph_add_value(r->graph, name);
    return r->twins[v].bytes != SQ_NO_VALUE ? SQUALL_OK : no_memory(r);
}

static void set_scale(const rewrite *r, uint32_t v)
{
    twin *t = &r->twins[v];
    t->scale = sq_quant_scale(sq_quant_find(r->quant, r->graph->values[v].name), &t->zero);
}

/* The value in 8 bits: made by what makes it, or from the floats here. */
static squall_status get_bytes(rewrite *r, uint32_t v)
{
    if (r->twins[v].bytes != SQ_NO_VALUE) {
        return SQUALL_OK;
    }
    set_scale(r, v);
    SQ_TRY(add_bytes(r, v));
    return add_conversion(r, SQ_OP_QuantizeLinear, v, r->twins[v].bytes, &r->twins[v]);
}

/* Where the bytes of an output of 8 bits are held: what the activation says. False when it is no
 * matter of bounds. */
static bool bounds_of(const sq_node *node, const twin *t, int64_t *low, int64_t *high)
{
    size_t count;
    const float *params = sq_attr_floats(&node->attrs, "sq_activation_params", &count);
    *low = 0;
    *high = UINT8_MAX;
    switch (sq_attr_int(&node->attrs, "sq_activation", SQ_ACT_NONE)) {
    case SQ_ACT_NONE:
    case SQ_ACT_LEAKY_RELU: /* the operator has it */
        return true;
    case SQ_ACT_RELU:
        *low = t->zero;
        return true;
    case SQ_ACT_CLIP:
        if (count < 2) {
            return false;
        }
        *low = (int64_t)fmin(fmax(rint((double)(params[0] / t->scale)) + t->zero, 0), UINT8_MAX);
        *high = (int64_t)fmin(fmax(rint((double)(params[1] / t->scale)) + t->zero, 0), UINT8_MAX);
        return *low <= *high;
    default:
        return false;
    }
}

/* What of a node's attributes says how a transposed convolution slides becomes what a convolution
 * of the enlarged image has. */
static bool set_window(sq_node *node, const sq_quant_image *images, uint32_t count)
{
    const int64_t ones[4] = {1, 1, 1, 1};
    int64_t ups[SQ_QUANT_IMAGES];
    bool any = false;
    for (uint32_t s = 0; s < count; s++) {
        ups[s] = images[s].up;
        any = any || images[s].up == 2;
    }
    if (node->op == SQ_OP_ConvTranspose) {
        sq_attr_remove(&node->attrs, "strides");
        sq_attr_remove(&node->attrs, "kernel_shape");
        sq_attr_remove(&node->attrs, "output_padding");
        if (!sq_attr_set_ints(&node->attrs, "pads", ones, 4)) {
            return false;
        }
    }
    return !any || sq_attr_set_ints(&node->attrs, "sq_upsample", ups, count);
}

/* The node becomes a SqQConv of these images. */
static squall_status set_node(rewrite *r, uint32_t n, const sq_quant_image *images, uint32_t count,
                              const sq_quant_constants *made)
{
    sq_node *node = &r->graph->nodes[n];
    int64_t zeros[SQ_QUANT_IMAGES];
    node->in_count = 2; /* those that it has got for certain */
    node->inputs[0] = r->twins[images[0].value].bytes;
    node->inputs[1] = made->weights;
    if (!sq_graph_add_input(node, made->multiplier) || !sq_graph_add_input(node, made->bias) ||
        !set_window(node, images, count)) {
        return no_memory(r);
    }
    for (uint32_t s = 0; s < count; s++) {
        const twin *image = &r->twins[images[s].value];
        zeros[s] = image->zero;
        if (s > 0 && !sq_graph_add_input(node, image->bytes)) {
            return no_memory(r);
        }
    }
    node->op = SQ_OP_SqQConv;
    return sq_attr_set_ints(&node->attrs, "sq_x_zero", zeros, count) ? SQUALL_OK : no_memory(r);
}

static squall_status rewrite_layer(rewrite *r, uint32_t n)
{
    sq_quant_image images[SQ_QUANT_IMAGES];
    sq_quant_constants made;
    const uint32_t count = images_of(r, &r->graph->nodes[n], images);
    const uint32_t v = r->graph->nodes[n].outputs[0];
    int64_t low = 0, high = UINT8_MAX;
    for (uint32_t s = 0; s < count; s++) {
        SQ_TRY(get_bytes(r, images[s].value));
        images[s].scale = r->twins[images[s].value].scale;
    }
    twin *out = &r->twins[v];
    bool bytes = out->wanted && is_known(r, v);
    if (bytes) {
        set_scale(r, v);
        bytes = bounds_of(&r->graph->nodes[n], out, &low, &high);
    }
    SQ_TRY(sq_quant_weights(r->graph, r->quant, &r->graph->nodes[n], images, count,
                            bytes ? out->scale : 1.0f, &made, r->err));
    SQ_TRY(set_node(r, n, images, count, &made));
    sq_attrs *attrs = &r->graph->nodes[n].attrs;
    if (!bytes) {
        return sq_attr_set_int(attrs, "sq_y_type", SQUALL_F32) ? SQUALL_OK : no_memory(r);
    }
    if (sq_attr_int(attrs, "sq_activation", SQ_ACT_NONE) != SQ_ACT_LEAKY_RELU) {
        sq_attr_remove(attrs, "sq_activation");
        sq_attr_remove(attrs, "sq_activation_params");
    }
    if (!sq_attr_set_int(attrs, "sq_y_type", SQUALL_U8) ||
        !sq_attr_set_int(attrs, "sq_y_zero", out->zero) || !sq_attr_set_int(attrs, "sq_low", low) ||
        !sq_attr_set_int(attrs, "sq_high", high)) {
        return no_memory(r);
    }
    SQ_TRY(add_bytes(r, v));
    r->graph->nodes[n].outputs[0] = out->bytes;
    return out->plain ? add_conversion(r, SQ_OP_DequantizeLinear, out->bytes, v, out) : SQUALL_OK;
}

static squall_status rewrite_through(rewrite *r, uint32_t n)
{
    const uint32_t from = r->graph->nodes[n].inputs[0], v = r->graph->nodes[n].outputs[0];
    SQ_TRY(get_bytes(r, from));
    r->twins[v].scale = r->twins[from].scale;
    r->twins[v].zero = r->twins[from].zero;
    SQ_TRY(add_bytes(r, v));
    r->graph->nodes[n].inputs[0] = r->twins[from].bytes;
    r->graph->nodes[n].outputs[0] = r->twins[v].bytes;
    return r->twins[v].plain
               ? add_conversion(r, SQ_OP_DequantizeLinear, r->twins[v].bytes, v, &r->twins[v])
               : SQUALL_OK;
}

/* A layer of which the range of an image is not known stays as it is. */
static bool images_known(const rewrite *r, const sq_node *node)
{
    sq_quant_image images[SQ_QUANT_IMAGES];
    const uint32_t count = images_of(r, node, images);
    for (uint32_t s = 0; s < count; s++) {
        if (!is_known(r, images[s].value)) {
            return false;
        }
    }
    return true;
}

static squall_status start(rewrite *r)
{
    r->producer = sq_alloc_raw(r->values, sizeof *r->producer);
    r->twins = sq_alloc(r->values, sizeof *r->twins);
    if (r->producer == NULL || r->twins == NULL) {
        return no_memory(r);
    }
    for (uint32_t v = 0; v < r->values; v++) {
        r->producer[v] = UINT32_MAX;
        r->twins[v].bytes = SQ_NO_VALUE;
    }
    for (uint32_t n = 0; n < r->nodes; n++) {
        const sq_node *node = &r->graph->nodes[n];
        for (uint32_t i = 0; !node->dead && i < node->out_count; i++) {
            if (node->outputs[i] != SQ_NO_VALUE) {
                r->producer[node->outputs[i]] = n;
            }
        }
    }
    return SQUALL_OK;
}

static squall_status rewrite_all(rewrite *r)
{
    for (uint32_t n = 0; n < r->nodes; n++) {
        const sq_node *node = &r->graph->nodes[n];
        if (layer_on(r, node)) {
            if (!images_known(r, node)) {
                return sq_fail(r->err, SQUALL_E_INTERNAL, node->name,
                               "is to compute in 8 bits, but nothing is known of what it reads");
            }
            SQ_TRY(rewrite_layer(r, n));
        } else if (passes_through(r, node) && r->twins[node->outputs[0]].wanted) {
            SQ_TRY(rewrite_through(r, n));
        }
    }
    return SQUALL_OK;
}

squall_status sq_quant_apply(sq_graph *graph, const sq_quant *quant, squall_error *err)
{
    squall_status status;
    uint32_t changes = 0;
    rewrite r = {.graph = graph,
                 .quant = quant,
                 .nodes = graph->node_count,
                 .values = graph->value_count,
                 .err = err};
    SQ_TRY_GOTO(start(&r));
    find_wants(&r);
    SQ_TRY_GOTO(rewrite_all(&r));
    SQ_TRY_GOTO(sq_graph_sort(graph, err));
    SQ_TRY_GOTO(sq_pass_dead_code(graph, sq_ref_evaluate, &changes, err));
    SQ_TRY_GOTO(sq_graph_infer(graph, sq_ref_evaluate, err));
done:
    sq_free(r.producer);
    sq_free(r.twins);
    return status;
}
