/* nn/graph/graph_pass_half.c - a network in float32 becomes one in float16 or bfloat16, inputs and
 * outputs apart.
 *
 * Constants that are computed with are rounded, a Cast is put behind every input and before every
 * output; all between follows from the types. */
#include <inttypes.h>
#include <stdio.h>

#include "nn/graph/graph_index.h"

#define HALF_MAX 65504.0f

typedef struct half_pass {
    sq_graph *graph;
    squall_dtype type; /* F16 or BF16 */
    uint32_t *twin;    /* [value_count at the beginning]: the value in that type, or SQ_NO_VALUE */
    uint32_t clipped;
    squall_error *err;
} half_pass;

static squall_status no_memory(const half_pass *pass)
{
    return sq_fail(pass->err, SQUALL_E_MEMORY, pass->graph->name, "no memory for it in 16 bits");
}

static const char *suffix(const half_pass *pass)
{
    return pass->type == SQUALL_F16 ? "f16" : "bf16";
}

/* Whether an operator computes with its input, rather than reading sizes from it. */
static bool computes_with(const sq_node *node, uint32_t input)
{
    return input == 0 || (node->op != SQ_OP_Resize && node->op != SQ_OP_Upsample);
}

static uint32_t half_constant(half_pass *pass, uint32_t v)
{
    const sq_value *value = &pass->graph->values[v];
    squall_tensor half;
    char name[256];
    if (!sq_tensor_make(pass->type, value->type.rank, value->type.dims, &half)) {
        return SQ_NO_VALUE;
    }
    const size_t count = squall_tensor_count(&half);
    const float *from = value->type.data;
    uint16_t *to = half.data;
    for (size_t i = 0; pass->type == SQUALL_BF16 && i < count; i++) {
        to[i] = sq_float_to_bf16(from[i]);
    }
    for (size_t i = 0; pass->type == SQUALL_F16 && i < count; i++) {
        const float held = from[i] > HALF_MAX    ? HALF_MAX
                           : from[i] < -HALF_MAX ? -HALF_MAX
                                                 : from[i];
        pass->clipped += held != from[i] && from[i] == from[i];
        to[i] = sq_float_to_half(held);
    }
    snprintf(name, sizeof name, "%.200s:%s", value->name, suffix(pass));
    return sq_graph_add_constant(pass->graph, name, &half);
}

static squall_status halve_constants(half_pass *pass)
{
    for (uint32_t n = 0; n < pass->graph->node_count; n++) {
        sq_node *node = &pass->graph->nodes[n];
        for (uint32_t i = 0; i < node->in_count && !node->dead; i++) {
            const uint32_t v = node->inputs[i];
            if (v == SQ_NO_VALUE || !pass->graph->values[v].constant ||
                pass->graph->values[v].type.dtype != SQUALL_F32 || !computes_with(node, i)) {
                continue;
            }
            if (pass->twin[v] == SQ_NO_VALUE) {
                pass->twin[v] = half_constant(pass, v);
            }
            if (pass->twin[v] == SQ_NO_VALUE) {
                return no_memory(pass);
            }
            node->inputs[i] = pass->twin[v];
        }
    }
    return SQUALL_OK;
}

/* A Cast from one value to another. */
static squall_status add_cast(half_pass *pass, uint32_t from, uint32_t to, squall_dtype type)
{
    sq_node *node = sq_graph_add_node(pass->graph, SQ_OP_Cast, pass->graph->values[to].name, 1, 1);
    if (node == NULL || !sq_attr_set_int(&node->attrs, "to", (int64_t)type)) {
        return no_memory(pass);
    }
    node->attrs.opset = 13;
    node->inputs[0] = from;
    node->outputs[0] = to;
    return SQUALL_OK;
}

static uint32_t add_twin(half_pass *pass, uint32_t v)
{
    char name[256];
    snprintf(name, sizeof name, "%.200s:%s", pass->graph->values[v].name, suffix(pass));
    return sq_graph_add_value(pass->graph, name);
}

static squall_status cast_inputs(half_pass *pass, uint32_t nodes)
{
    sq_graph *graph = pass->graph;
    for (uint32_t k = 0; k < graph->input_count; k++) {
        const uint32_t v = graph->inputs[k];
        if (graph->values[v].type.dtype != SQUALL_F32) {
            continue;
        }
        const uint32_t half = add_twin(pass, v);
        if (half == SQ_NO_VALUE) {
            return no_memory(pass);
        }
        for (uint32_t n = 0; n < nodes; n++) {
            const sq_node *node = &graph->nodes[n];
            for (uint32_t i = 0; i < node->in_count && !node->dead; i++) {
                if (node->inputs[i] == v) {
                    node->inputs[i] = half;
                }
            }
        }
        SQ_TRY(add_cast(pass, v, half, pass->type));
    }
    return SQUALL_OK;
}

/* What gives an output gives its twin; a Cast gives the output, under its own number and name. */
static squall_status cast_outputs(half_pass *pass, uint32_t nodes)
{
    sq_graph *graph = pass->graph;
    for (uint32_t k = 0; k < graph->output_count; k++) {
        const uint32_t v = graph->outputs[k];
        uint32_t half = SQ_NO_VALUE;
        if (graph->values[v].type.dtype != SQUALL_F32) {
            continue;
        }
        for (uint32_t n = 0; n < nodes; n++) {
            for (uint32_t i = 0; i < graph->nodes[n].out_count && !graph->nodes[n].dead; i++) {
                if (graph->nodes[n].outputs[i] != v) {
                    continue;
                }
                half = add_twin(pass, v);
                if (half == SQ_NO_VALUE) {
                    return no_memory(pass);
                }
                graph->nodes[n].outputs[i] = half;
            }
        }
        if (half == SQ_NO_VALUE) { /* an input or a constant, or a second output of one value */
            continue;
        }
        for (uint32_t n = 0; n < nodes; n++) {
            for (uint32_t i = 0; i < graph->nodes[n].in_count; i++) {
                if (graph->nodes[n].inputs[i] == v) {
                    graph->nodes[n].inputs[i] = half;
                }
            }
        }
        SQ_TRY(add_cast(pass, half, v, SQUALL_F32));
    }
    return SQUALL_OK;
}

squall_status sq_graph_to_half(sq_graph *graph, squall_dtype type, squall_notes *notes,
                               squall_error *err)
{
    const uint32_t nodes = graph->node_count;
    squall_status status;
    half_pass pass = {.graph = graph, .type = type, .err = err};
    pass.twin = sq_alloc_raw(graph->value_count, sizeof *pass.twin);
    if (pass.twin == NULL) {
        return no_memory(&pass);
    }
    for (uint32_t v = 0; v < graph->value_count; v++) {
        pass.twin[v] = SQ_NO_VALUE;
    }
    for (uint32_t n = 0; n < nodes; n++) { /* casts of the model's own */
        sq_node *node = &graph->nodes[n];
        if (node->op == SQ_OP_Cast && sq_attr_int(&node->attrs, "to", 0) == SQUALL_F32 &&
            !sq_attr_set_int(&node->attrs, "to", (int64_t)type)) {
            status = no_memory(&pass);
            goto done;
        }
    }
    SQ_TRY_GOTO(halve_constants(&pass));
    SQ_TRY_GOTO(cast_inputs(&pass, nodes));
    SQ_TRY_GOTO(cast_outputs(&pass, nodes));
    SQ_TRY_GOTO(sq_graph_sort(graph, err));
    if (pass.clipped > 0) {
        sq_note(notes, graph->name,
                "%" PRIu32 " constants are beyond float16 and were held to its range",
                pass.clipped);
    }
done:
    sq_free(pass.twin);
    return status;
}
