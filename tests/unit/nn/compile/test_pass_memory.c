/* tests/unit/nn/compile/test_pass_memory.c - the memories of PredRNN's cells become one node each,
 * in the forms that PyTorch's exporters write, and nothing else does. */
#include <stdio.h>

#include "nn/compile/pass_fixture.h"
#include "nn/onnx/onnx.h"

#define NETWORKS SQUALL_SOURCE_DIR "/tests/data/networks/"

enum { CHANNELS = 3, SEVEN = 7, THREE = 3 };
static const int64_t frame[] = {2, CHANNELS, 4, 5}, seven[] = {2, SEVEN *CHANNELS, 4, 5},
                     three[] = {2, THREE *CHANNELS, 4, 5};

static uint32_t add_number(sq_graph *graph, float number)
{
    squall_tensor one;
    assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &one));
    *(float *)one.data = number;
    return sq_graph_add_constant(graph, "number", &one);
}

static uint32_t both(sq_graph *graph, sq_op op, uint32_t a, uint32_t b, bool swap)
{
    return swap ? add_op(graph, op, "r", INPUTS(b, a)) : add_op(graph, op, "r", INPUTS(a, b));
}

/* sigmoid(xf + hf + 1) * old + sigmoid(xi + hi) * tanh(xg + hg): parts 3, 4, 5 of seven and all of
 * three; then another one of the first three parts. */
static sq_graph *make_cell(bool swap, float offset, uint32_t *between)
{
    sq_graph *graph = sq_graph_create();
    uint32_t x[SEVEN], h[THREE];
    const uint32_t wide = add_input(graph, "x", SQUALL_F32, 4, seven);
    const uint32_t gates = add_input(graph, "h", SQUALL_F32, 4, three);
    const uint32_t old = add_input(graph, "cell", SQUALL_F32, 4, frame);
    add_split(graph, wide, 1, SEVEN, x);
    add_split(graph, gates, 1, THREE, h);
    uint32_t cell = old;
    for (int k = 0; k < 2; k++) {
        const uint32_t *xs = x + (k == 0 ? 3 : 0);
        uint32_t f = both(graph, SQ_OP_Add, xs[1], h[1], swap);
        f = both(graph, SQ_OP_Add, f, add_number(graph, offset), swap);
        f = add_op(graph, SQ_OP_Sigmoid, "f", INPUTS(f));
        const uint32_t i =
            add_op(graph, SQ_OP_Sigmoid, "i", INPUTS(both(graph, SQ_OP_Add, xs[0], h[0], k == 1)));
        const uint32_t g =
            add_op(graph, SQ_OP_Tanh, "g", INPUTS(both(graph, SQ_OP_Add, xs[2], h[2], swap)));
        *between = i;
        cell = both(graph, SQ_OP_Add, both(graph, SQ_OP_Mul, f, cell, swap),
                    both(graph, SQ_OP_Mul, i, g, swap), swap);
    }
    add_output(graph, cell);
    return graph;
}

/* Activations are in the sums before them when the pass runs. */
static void prepare(sq_graph *graph)
{
    uint32_t changes;
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    assert_int_equal(sq_pass_activation(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_true(changes > 0);
}

static void test_memory(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        uint32_t between;
        sq_graph *graph = make_cell(form & 1, form < 2 ? 1.0f : -0.25f, &between);
        prepare(graph);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_memory);
        }
        assert_int_equal(check_pass(graph, sq_pass_memory, 1e-6), 2);
        assert_int_equal(count_ops(graph, SQ_OP_SqMemoryGates), 2);
        assert_int_equal(count_ops(graph, SQ_OP_Add) + count_ops(graph, SQ_OP_Mul), 0);
        sq_graph_destroy(&graph);
    }
}

/* A gate that somebody else needs keeps its cell apart; an LSTM's gates are of one value. */
static void test_left_alone(void **state)
{
    (void)state;
    uint32_t between;
    sq_graph *graph = make_cell(false, 1, &between);
    add_output(graph, between);
    prepare(graph);
    assert_int_equal(check_pass(graph, sq_pass_memory, 1e-6), 1); /* the other one */
    sq_graph_destroy(&graph);
}

/* Whole networks as both of PyTorch's exporters write them, after the other passes: how many cells
 * are found, and the same numbers before and after. In the first step of a sequence some states are
 * zero, and what they give is no part of a value. */
static void test_exported(void **state)
{
    static const struct {
        const char *name;
        sq_graph_pass *pass;
        uint32_t cells;
    } cases[] = {{"predrnn", sq_pass_memory, 5}, {"convgru", sq_pass_gates, 6}};
    static const char *const exporters[] = {"script", "dynamo"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char path[512];
        squall_error err = {.code = SQUALL_OK};
        sq_graph *graph = NULL;
        snprintf(path, sizeof path, NETWORKS "%s.%s.onnx", cases[i / 2].name, exporters[i % 2]);
        if (sq_onnx_read(path, &graph, NULL, &err) != SQUALL_OK ||
            sq_graph_infer(graph, sq_ref_evaluate, &err) != SQUALL_OK ||
            sq_graph_optimise(graph, sq_ref_evaluate, NULL, NULL, &err) != SQUALL_OK) {
            fail_msg("%s: %s: %s", path, err.where, err.text);
        }
        assert_int_equal(check_pass(graph, cases[i / 2].pass, 1e-5), cases[i / 2].cells);
        sq_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_exported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
