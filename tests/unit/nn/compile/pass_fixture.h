/* tests/unit/nn/compile/pass_fixture.h - graphs run on nn/ref before and after a pass. */
#ifndef SQ_TEST_PASS_FIXTURE_H
#define SQ_TEST_PASS_FIXTURE_H

#include "nn/graph/graph_fixture.h"
#include "nn/ref/ref.h"

/* A Split into equal parts; their numbers into `out`. */
static inline void add_split(sq_graph *graph, uint32_t whole, int64_t axis, uint32_t parts,
                             uint32_t *out)
{
    sq_node *node = sq_graph_add_node(graph, SQ_OP_Split, "split", 1, parts);
    assert_non_null(node);
    node->inputs[0] = whole;
    node->attrs.opset = 18;
    assert_true(sq_attr_set_int(&node->attrs, "axis", axis));
    assert_true(sq_attr_set_int(&node->attrs, "num_outputs", parts));
    for (uint32_t i = 0; i < parts; i++) {
        out[i] = node->outputs[i] = sq_graph_add_value(graph, "part");
    }
}

/* Run a graph whose inputs have concrete shapes on ref; `out` gets copies of all outputs. */
static inline void run_ref(const sq_graph *graph, squall_tensor *out)
{
    squall_tensor *values = sq_alloc(graph->value_count, sizeof *values);
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].constant) {
            values[i] = graph->values[i].type;
        }
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        squall_tensor *input = &values[graph->inputs[i]];
        const squall_tensor type = graph->values[graph->inputs[i]].type;
        assert_true(sq_tensor_make(type.dtype, type.rank, type.dims, input));
        for (size_t j = 0; j < squall_tensor_count(input); j++) {
            put(input, j, sin((double)(j * 7 + i)) * 3);
        }
    }
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        squall_tensor in[SQ_MAX_INPUTS], outs[SQ_MAX_OUTPUTS];
        sq_step step;
        squall_error err = {.code = SQUALL_OK};
        if (node->dead) {
            continue;
        }
        sq_graph_step(graph, node, in, outs, &step);
        for (uint32_t j = 0; j < node->in_count; j++) {
            in[j] = node->inputs[j] == SQ_NO_VALUE ? (squall_tensor){0} : values[node->inputs[j]];
        }
        if (sq_op_infer(&step, &err) != SQUALL_OK || sq_ref_evaluate(&step, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        for (uint32_t j = 0; j < node->out_count; j++) {
            if (node->outputs[j] == SQ_NO_VALUE) {
                sq_free(outs[j].data);
            } else {
                values[node->outputs[j]] = outs[j];
            }
        }
    }
    for (uint32_t k = 0; k < graph->output_count; k++) {
        assert_true(sq_tensor_copy(&values[graph->outputs[k]], &out[k]));
    }
    for (uint32_t i = 0; i < graph->value_count; i++) {
        if (!graph->values[i].constant) {
            sq_tensor_free(&values[i]);
        }
    }
    sq_free(values);
}

/* Two graphs give the same outputs, within `tolerance` of the largest number; 0: the same bits. */
static inline void assert_same_on_ref(const sq_graph *a, const sq_graph *b, double tolerance)
{
    squall_tensor x[8], y[8];
    assert_true(a->output_count == b->output_count && a->output_count <= 8);
    run_ref(a, x);
    run_ref(b, y);
    for (uint32_t k = 0; k < a->output_count; k++) {
        double largest = 0, worst = 0;
        assert_true(sq_tensor_same_type(&x[k], &y[k]));
        for (size_t i = 0; i < squall_tensor_count(&x[k]); i++) {
            const double p = sq_tensor_get_double(&x[k], i), q = sq_tensor_get_double(&y[k], i);
            largest = fmax(largest, fabs(p));
            worst = fmax(worst, fabs(p - q));
        }
        assert_true(largest > 0.1); /* a network that gives zeros shows nothing */
        if (!(worst <= tolerance * largest)) {
            fail_msg("output %u: %g apart, %g allowed", k, worst, tolerance * largest);
        }
        sq_tensor_free(&x[k]);
        sq_tensor_free(&y[k]);
    }
}

/* Infer, run the pass once, compare before and after on ref, and run it again: it must have found
 * all. Returns the changes. */
static inline uint32_t check_pass(sq_graph *graph, sq_graph_pass *pass, double tolerance)
{
    squall_error err = {.code = SQUALL_OK};
    uint32_t changes, again;
    if (sq_graph_infer(graph, sq_ref_evaluate, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_graph *before = copy_graph(graph);
    assert_int_equal(pass(graph, sq_ref_evaluate, &changes, &err), SQUALL_OK);
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, &err), SQUALL_OK);
    assert_same_on_ref(before, graph, tolerance);
    assert_int_equal(pass(graph, sq_ref_evaluate, &again, &err), SQUALL_OK);
    assert_int_equal(again, 0);
    sq_graph_destroy(&before);
    return changes;
}

/* Each allocation of a pass made to fail once: SQUALL_E_MEMORY, and nothing left behind. */
static inline void check_pass_memory(const sq_graph *graph, sq_graph_pass *pass)
{
    squall_status status = SQUALL_E_MEMORY;
    for (long n = 0; status != SQUALL_OK; n++) {
        uint32_t changes;
        sq_graph *copy = copy_graph(graph);
        assert_int_equal(sq_graph_infer(copy, sq_ref_evaluate, NULL), SQUALL_OK);
        sq_memory_fail_at(n);
        status = pass(copy, sq_ref_evaluate, &changes, NULL);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_graph_destroy(&copy);
    }
}

#endif /* SQ_TEST_PASS_FIXTURE_H */
