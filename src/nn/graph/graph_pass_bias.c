/* nn/graph/graph_pass_bias.c - pass: a constant that is added behind a convolution, a number for
 * each channel, goes into its bias. */
#include <string.h>

#include "nn/graph/graph_match.h"

/* The convolution that gives input `i` of an Add to it alone, in plain float32. */
static sq_node *find_host(const sq_graph *graph, const sq_graph_index *index, const sq_node *add,
                          uint32_t i)
{
    const uint32_t value = add->inputs[i];
    sq_node *host = sq_graph_maker(graph, index, value, SQ_OP_Conv);
    host = host ? host : sq_graph_maker(graph, index, value, SQ_OP_ConvTranspose);
    if (!host || index->uses[value] != 1 || sq_attr_find(&host->attrs, "sq_activation") ||
        graph->values[value].type.dtype != SQUALL_F32 ||
        !sq_tensor_same_type(&graph->values[value].type, &graph->values[add->outputs[0]].type)) {
        return NULL;
    }
    const bool has_bias = host->in_count > 2 && host->inputs[2] != SQ_NO_VALUE;
    return !has_bias || sq_graph_is_constant(graph, host->inputs[2]) ? host : NULL;
}

/* The constant at input `i` is one number, or one for each of `channels`, whatever the place. */
static const squall_tensor *find_vector(const sq_graph *graph, const sq_node *add, uint32_t i,
                                        const squall_tensor *out)
{
    if (!sq_graph_is_constant(graph, add->inputs[i])) {
        return NULL;
    }
    const squall_tensor *vector = &graph->values[add->inputs[i]].type;
    const size_t count = squall_tensor_count(vector);
    /* axis 1 of the output is this one of the constant, counted from the end as broadcasting does
     */
    const int64_t axis = (int64_t)vector->rank - (int64_t)out->rank + 1;
    const bool each =
        axis >= 0 && vector->dims[axis] == out->dims[1] && count == (size_t)out->dims[1];
    return vector->dtype == SQUALL_F32 && (count == 1 || each) ? vector : NULL;
}

static squall_status take_in(sq_graph *graph, sq_node *host, sq_node *add, uint32_t vector,
                             squall_error *err)
{
    const int64_t channels = graph->values[add->outputs[0]].type.dims[1];
    const uint32_t old = host->in_count > 2 ? host->inputs[2] : SQ_NO_VALUE;
    const squall_tensor *more = &graph->values[add->inputs[vector]].type;
    const bool single = squall_tensor_count(more) == 1;
    squall_tensor bias = {0};
    if ((host->in_count < 3 && !sq_graph_add_input(host, SQ_NO_VALUE)) ||
        !sq_tensor_make(SQUALL_F32, 1, &channels, &bias)) {
        goto no_memory;
    }
    for (int64_t c = 0; c < channels; c++) {
        const float had = old == SQ_NO_VALUE ? 0.0f : ((float *)graph->values[old].type.data)[c];
        ((float *)bias.data)[c] = had + ((const float *)more->data)[single ? 0 : c];
    }
    const uint32_t value =
        sq_graph_add_constant_beside(graph, graph->values[add->inputs[vector]].name, &bias);
    if (value == SQ_NO_VALUE) {
        sq_tensor_free(&bias);
        goto no_memory;
    }
    host->inputs[2] = value;
    host->outputs[0] = add->outputs[0];
    sq_graph_retire(graph, add, host, "what it adds is in the bias");
    return SQUALL_OK;
no_memory:
    return sq_fail(err, SQUALL_E_MEMORY, host->name, "no memory for its bias");
}

squall_status sq_pass_bias(sq_graph *graph, sq_graph_evaluate *evaluate, uint32_t *changes,
                           squall_error *err)
{
    (void)evaluate;
    *changes = 0;
    sq_graph_index index;
    SQ_TRY(sq_graph_index_make(graph, &index, err));
    squall_status status = SQUALL_OK;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        sq_node *add = &graph->nodes[n];
        if (add->dead || add->op != SQ_OP_Add || add->outputs[0] == SQ_NO_VALUE ||
            sq_attr_find(&add->attrs, "sq_activation")) {
            continue;
        }
        const squall_tensor out = graph->values[add->outputs[0]].type;
        for (uint32_t i = 0; i < 2; i++) {
            sq_node *host = out.rank >= 3 ? find_host(graph, &index, add, i) : NULL;
            if (host && find_vector(graph, add, 1 - i, &out)) {
                const uint32_t made_by = index.producer[add->inputs[i]];
                SQ_TRY_GOTO(take_in(graph, host, add, 1 - i, err));
                index.producer[host->outputs[0]] = made_by; /* another may follow */
                ++*changes;
                break;
            }
        }
    }
    sq_graph_compact(graph);
done:
    sq_graph_index_free(&index);
    return status;
}
