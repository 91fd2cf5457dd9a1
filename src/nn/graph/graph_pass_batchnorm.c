/* nn/graph/graph_pass_batchnorm.c - pass: BatchNormalization goes into the weights before it.
 *
 * y = (x - mean) * s + shift with s = scale / sqrt(variance + epsilon), a number each for every
 * output channel, and x = W * input + b: so y = (s W) * input + ((b - mean) s + shift). */
#include <math.h>

#include "nn/graph/graph_index.h"

/* Weights that several products share are copied for each, within reason. */
#define COPIED_BYTES ((size_t)256 << 20)

/* A normalisation and the product before it. The tensors are copies of what the graph's values
 * hold, since values move when one is added; their data stay the values'. */
typedef struct norm_pair {
    sq_node *product, *norm;
    squall_tensor weights, bias;
    bool has_bias, single_weights; /* single: nothing else uses them, they may be changed */
    int64_t channels;
} norm_pair;

static const squall_tensor *constant_of(const sq_graph *graph, const sq_node *node, uint32_t index)
{
    if (index >= node->in_count || !sq_graph_is_constant(graph, node->inputs[index])) {
        return NULL;
    }
    const squall_tensor *tensor = &graph->values[node->inputs[index]].type;
    return tensor->dtype == SQUALL_F32 && tensor->layout == SQUALL_PLAIN ? tensor : NULL;
}

/* Gemm adds beta * C, which must be a number each for the columns, or one for all. */
static bool is_row(const squall_tensor *bias, int64_t channels)
{
    const size_t count = squall_tensor_count(bias);
    return count == 1 ||
           (count == (size_t)channels && bias->rank >= 1 && bias->dims[bias->rank - 1] == channels);
}

/* The node before `norm`, if it is a product that gives nothing else. */
static sq_node *find_product(sq_graph *graph, const sq_graph_index *index, const sq_node *norm)
{
    if (norm->dead || norm->op != SQ_OP_BatchNormalization || norm->in_count != 5 ||
        norm->inputs[0] == SQ_NO_VALUE || norm->outputs[0] == SQ_NO_VALUE ||
        graph->values[norm->outputs[0]].type.dtype != SQUALL_F32 || /* unknown, or other */
        index->uses[norm->inputs[0]] != 1 || index->producer[norm->inputs[0]] == SQ_NO_NODE) {
        return NULL;
    }
    sq_node *product = &graph->nodes[index->producer[norm->inputs[0]]];
    const bool fits = product->op == SQ_OP_Conv || product->op == SQ_OP_ConvTranspose ||
                      product->op == SQ_OP_Gemm;
    return fits && !product->dead && !sq_attr_find(&product->attrs, "sq_activation") ? product
                                                                                     : NULL;
}

/* Whether `norm` can go into the node that gives its input; fills `out`. */
static bool find_pair(sq_graph *graph, const sq_graph_index *index, uint32_t old_values,
                      sq_node *norm, norm_pair *out)
{
    sq_node *product = find_product(graph, index, norm);
    if (!product) {
        return false;
    }
    norm_pair found = {.product = product, .norm = norm};
    for (uint32_t i = 1; i < 5; i++) {
        const squall_tensor *vector = constant_of(graph, norm, i);
        if (!vector) {
            return false;
        }
        found.channels = vector->dims[0];
    }
    const squall_tensor *weights = constant_of(graph, product, 1);
    if (!weights) {
        return false;
    }
    found.weights = *weights;
    if (product->in_count > 2 && product->inputs[2] != SQ_NO_VALUE) {
        const squall_tensor *bias = constant_of(graph, product, 2);
        if (!bias || !is_row(bias, found.channels)) {
            return false;
        }
        found.bias = *bias;
        found.has_bias = true;
    }
    /* weights that this pass has made are of this product alone, and not in the index */
    found.single_weights = product->inputs[1] >= old_values || index->uses[product->inputs[1]] == 1;
    *out = found;
    return true;
}

/* The output channel that element `i` of the weights belongs to. */
static size_t channel_of(const norm_pair *pair, size_t i, size_t inner)
{
    const squall_tensor *weights = &pair->weights;
    if (pair->product->op == SQ_OP_Conv) { /* [out][in / group][...] */
        return i / inner;
    }
    if (pair->product->op == SQ_OP_Gemm) {
        const bool transposed = sq_attr_int(&pair->product->attrs, "transB", 0) != 0;
        return transposed ? i / (size_t)weights->dims[1] : i % (size_t)weights->dims[1];
    }
    /* [in][out / group][...] */
    const size_t out_each = (size_t)weights->dims[1];
    const size_t groups = (size_t)sq_attr_int(&pair->product->attrs, "group", 1);
    const size_t in_each = (size_t)weights->dims[0] / groups;
    const size_t in = i / (inner * out_each), out = i / inner % out_each;
    return in / in_each * out_each + out;
}

static double scale_of(const sq_graph *graph, const norm_pair *pair, size_t channel)
{
    const float epsilon = sq_attr_float(&pair->norm->attrs, "epsilon", 1e-5f);
    const float *scale = constant_of(graph, pair->norm, 1)->data;
    const float *variance = constant_of(graph, pair->norm, 4)->data;
    return (double)scale[channel] / sqrt((double)variance[channel] + (double)epsilon);
}

static void scale_weights(const sq_graph *graph, const norm_pair *pair, float *weights)
{
    const squall_tensor *type = &pair->weights;
    const size_t count = squall_tensor_count(type);
    size_t inner = 1; /* elements of one pair of channels; Conv: of one output channel */
    for (uint32_t i = pair->product->op == SQ_OP_Conv ? 1 : 2; i < type->rank; i++) {
        inner *= (size_t)type->dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        weights[i] =
            (float)((double)weights[i] * scale_of(graph, pair, channel_of(pair, i, inner)));
    }
}

static void make_bias(const sq_graph *graph, const norm_pair *pair, float *bias)
{
    const float *shift = constant_of(graph, pair->norm, 2)->data;
    const float *mean = constant_of(graph, pair->norm, 3)->data;
    const bool gemm = pair->product->op == SQ_OP_Gemm;
    const double beta = gemm ? (double)sq_attr_float(&pair->product->attrs, "beta", 1.0f) : 1.0;
    const bool one = pair->has_bias && squall_tensor_count(&pair->bias) == 1;
    for (size_t i = 0; i < (size_t)pair->channels; i++) {
        const double before =
            pair->has_bias ? beta * sq_tensor_get_double(&pair->bias, one ? 0 : i) : 0;
        bias[i] = (float)((before - (double)mean[i]) * scale_of(graph, pair, i) + (double)shift[i]);
    }
}

/* Give the product a third input if it has none. */
static bool reserve_bias(sq_node *product)
{
    if (product->in_count >= 3) {
        return true;
    }
    uint32_t *inputs = sq_regrow(product->inputs, product->in_count, 3, sizeof *inputs);
    if (!inputs) {
        return false;
    }
    product->inputs = inputs;
    for (uint32_t i = product->in_count; i < 3; i++) {
        inputs[i] = SQ_NO_VALUE;
    }
    product->in_count = 3;
    return true;
}

/* All that can fail comes before the first change. */
static squall_status merge(sq_graph *graph, const norm_pair *pair, squall_error *err)
{
    sq_node *product = pair->product;
    squall_tensor weights = {0}, bias = {0};
    uint32_t weights_value = product->inputs[1], bias_value = SQ_NO_VALUE;
    if (!reserve_bias(product) || !sq_tensor_make(SQUALL_F32, 1, &pair->channels, &bias) ||
        (!pair->single_weights && !sq_tensor_copy(&pair->weights, &weights))) {
        goto no_memory;
    }
    make_bias(graph, pair, bias.data);
    bias_value =
        sq_graph_add_constant_beside(graph, graph->values[pair->norm->inputs[2]].name, &bias);
    if (bias_value == SQ_NO_VALUE) {
        goto no_memory;
    }
    if (pair->single_weights) {
        scale_weights(graph, pair, pair->weights.data);
    } else {
        scale_weights(graph, pair, weights.data);
        weights_value =
            sq_graph_add_constant_beside(graph, graph->values[weights_value].name, &weights);
    }
    if (weights_value == SQ_NO_VALUE) {
        goto no_memory;
    }
    sq_attr_remove(&product->attrs, "beta"); /* Gemm's is in the new bias */
    product->inputs[1] = weights_value;
    product->inputs[2] = bias_value;
    product->outputs[0] = pair->norm->outputs[0];
    sq_graph_retire(graph, pair->norm, product, "the weights were scaled, the bias moved");
    return SQUALL_OK;
no_memory:
    sq_tensor_free(&weights);
    sq_tensor_free(&bias);
    return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(product, (char[SQ_GRAPH_WHERE]){0}),
                   "no memory to take the BatchNormalization in");
}

squall_status sq_pass_batch_norm(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                 squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    const uint32_t old_values = graph->value_count;
    size_t copied = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        norm_pair pair;
        if (find_pair(graph, &index, old_values, &graph->nodes[i], &pair)) {
            const size_t bytes = pair.single_weights ? 0 : squall_tensor_bytes(&pair.weights);
            if (bytes > COPIED_BYTES - copied) {
                continue;
            }
            copied += bytes;
            const uint32_t product = index.producer[pair.norm->inputs[0]];
            SQ_TRY_GOTO(merge(graph, &pair, err));
            index.producer[pair.norm->outputs[0]] = product; /* a second one may follow */
            ++*changes;
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
