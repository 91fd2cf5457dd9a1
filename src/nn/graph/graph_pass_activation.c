/* nn/graph/graph_pass_activation.c - pass: an activation goes into the node before it, which then
 * applies it to each number before that is stored. */
#include <float.h>

#include "nn/graph/graph_index.h"

typedef struct activation {
    sq_activation kind;
    float params[2];
    size_t param_count;
} activation;

/* A bound of Clip: the only number of a constant input, or `otherwise`. False when not constant. */
static bool find_bound(const sq_graph *graph, const sq_node *node, uint32_t index, float otherwise,
                       float *out)
{
    *out = otherwise;
    if (index >= node->in_count || node->inputs[index] == SQ_NO_VALUE) {
        return true;
    }
    const sq_value *value = &graph->values[node->inputs[index]];
    if (!value->constant || squall_tensor_count(&value->type) != 1) {
        return false;
    }
    *out = (float)sq_tensor_get_double(&value->type, 0);
    return true;
}

/* What `node` applies to its first input, if it is such a node. */
static bool find_activation(const sq_graph *graph, const sq_node *node, activation *out)
{
    const sq_attrs *attrs = &node->attrs;
    switch (node->op) {
    case SQ_OP_Relu:
        *out = (activation){.kind = SQ_ACT_RELU};
        return true;
    case SQ_OP_LeakyRelu:
        *out = (activation){SQ_ACT_LEAKY_RELU, {sq_attr_float(attrs, "alpha", 0.01f)}, 1};
        return true;
    case SQ_OP_Sigmoid:
        *out = (activation){.kind = SQ_ACT_SIGMOID};
        return true;
    case SQ_OP_Tanh:
        *out = (activation){.kind = SQ_ACT_TANH};
        return true;
    case SQ_OP_HardSigmoid:
        *out =
            (activation){SQ_ACT_HARD_SIGMOID,
                         {sq_attr_float(attrs, "alpha", 0.2f), sq_attr_float(attrs, "beta", 0.5f)},
                         2};
        return true;
    case SQ_OP_HardSwish:
        *out = (activation){.kind = SQ_ACT_HARD_SWISH};
        return true;
    case SQ_OP_Clip:
        *out = (activation){.kind = SQ_ACT_CLIP, .param_count = 2};
        if (attrs->opset < 11) { /* bounds are attributes, inputs later */
            out->params[0] = sq_attr_float(attrs, "min", -FLT_MAX);
            out->params[1] = sq_attr_float(attrs, "max", FLT_MAX);
            return true;
        }
        return find_bound(graph, node, 1, -FLT_MAX, &out->params[0]) &&
               find_bound(graph, node, 2, FLT_MAX, &out->params[1]);
    default:
        return false;
    }
}

/* The node that gives `value`, if it can take an activation in. */
static sq_node *find_host(sq_graph *graph, const sq_graph_index *index, uint32_t value)
{
    if (value == SQ_NO_VALUE || index->producer[value] == SQ_NO_NODE) {
        return NULL;
    }
    sq_node *host = &graph->nodes[index->producer[value]];
    const squall_dtype dtype = graph->values[value].type.dtype;
    if (host->dead || sq_attr_find(&host->attrs, "sq_activation") ||
        (dtype != SQUALL_F32 && dtype != SQUALL_F16 && dtype != SQUALL_BF16)) {
        return NULL; /* the parameters are floats: double would lose some of its own */
    }
    switch (host->op) {
    case SQ_OP_Conv:
    case SQ_OP_ConvTranspose:
    case SQ_OP_Gemm:
    case SQ_OP_Add:
        return host;
    default:
        return NULL;
    }
}

/* x * Sigmoid(x), which exporters write as two nodes: `mul` is the product, *gate the other. */
static bool find_silu(sq_graph *graph, const sq_graph_index *index, const sq_node *mul, uint32_t *x,
                      sq_node **gate)
{
    if (mul->op != SQ_OP_Mul || mul->in_count != 2) {
        return false;
    }
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t value = mul->inputs[i];
        if (value == SQ_NO_VALUE || index->producer[value] == SQ_NO_NODE) {
            continue;
        }
        sq_node *node = &graph->nodes[index->producer[value]];
        if (node->op == SQ_OP_Sigmoid && !node->dead && index->uses[value] == 1 &&
            node->inputs[0] == mul->inputs[1 - i] && node->inputs[0] != SQ_NO_VALUE &&
            index->uses[node->inputs[0]] == 2) { /* by the gate and by the product */
            *x = node->inputs[0];
            *gate = node;
            return true;
        }
    }
    return false;
}

static squall_status take_in(sq_graph *graph, sq_graph_index *index, sq_node *host, sq_node *last,
                             const activation *act, squall_error *err)
{
    if ((act->param_count > 0 && !sq_attr_set_floats(&host->attrs, "sq_activation_params",
                                                     act->params, act->param_count)) ||
        !sq_attr_set_int(&host->attrs, "sq_activation", act->kind)) {
        char where[SQ_GRAPH_WHERE];
        return sq_fail(err, SQUALL_E_MEMORY, sq_graph_where(host, where),
                       "no memory to take an activation in");
    }
    host->outputs[0] = last->outputs[0];
    index->producer[last->outputs[0]] = (uint32_t)(host - graph->nodes);
    sq_graph_retire(graph, last, host, "it is applied to each number before that is stored");
    return SQUALL_OK;
}

squall_status sq_pass_activation(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                                 squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i], *host = NULL, *gate = NULL;
        activation act;
        uint32_t x;
        if (node->dead || node->in_count < 1 || node->outputs[0] == SQ_NO_VALUE) {
            continue;
        }
        if (find_silu(graph, &index, node, &x, &gate)) {
            act = (activation){.kind = SQ_ACT_SILU};
            host = find_host(graph, &index, x);
        } else if (find_activation(graph, node, &act) && node->inputs[0] != SQ_NO_VALUE &&
                   index.uses[node->inputs[0]] == 1) {
            host = find_host(graph, &index, node->inputs[0]);
        }
        if (host) {
            SQ_TRY_GOTO(take_in(graph, &index, host, node, &act, err));
            if (gate) {
                sq_graph_retire(graph, gate, host, "it is applied as part of x * sigmoid(x)");
            }
            ++*changes;
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
