/* tests/unit/nn/compile/test_pass_pad.c - Pads go into what pads by the same numbers itself. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {1, 2, 6, 5}, four_kernels[] = {3, 2, 3, 3}, three[] = {3, 3};
static const int64_t uneven[] = {0, 0, 1, 2, 0, 0, 0, 1}, own[] = {1, 0, 1, 1};

static uint32_t add_number(sq_graph *graph, float number)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &tensor));
    *(float *)tensor.data = number;
    return sq_graph_add_constant(graph, "number", &tensor);
}

/* x -> [Relu] -> Pad by `number` -> `user`. */
static sq_graph *make(sq_op user, bool relu, float number, const int64_t *pads)
{
    sq_graph *graph = sq_graph_create();
    uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    x = relu ? add_op(graph, SQ_OP_Relu, "relu", INPUTS(x)) : x;
    x = add_op(graph, SQ_OP_Pad, "pad",
               INPUTS(x, add_ints(graph, "pads", pads, 8), add_number(graph, number)));
    if (user == SQ_OP_Conv) {
        const uint32_t w = add_floats(graph, "w", 4, four_kernels, 1);
        add_output(graph, add_op(graph, user, "y", INPUTS(x, w)));
    } else {
        add_output(graph, add_op(graph, user, "y", INPUTS(x)));
        assert_true(sq_attr_set_ints(last_attrs(graph), "kernel_shape", three, 2));
    }
    return graph;
}

static void check(sq_graph *graph, uint32_t changes)
{
    assert_int_equal(check_pass(graph, sq_pass_pad, 0), changes);
    assert_int_equal(count_ops(graph, SQ_OP_Pad), changes > 0 ? 0 : 1);
    sq_graph_destroy(&graph);
}

static void test_taken_in(void **state)
{
    (void)state;
    sq_graph *graph = make(SQ_OP_Conv, false, 0, uneven);
    check_pass_memory(graph, sq_pass_pad);
    check(graph, 1);
    graph = make(SQ_OP_Conv, false, 0, uneven); /* beside pads of its own */
    assert_true(sq_attr_set_ints(last_attrs(graph), "pads", own, 4));
    check(graph, 1);
    graph = make(SQ_OP_Conv, false, 0, uneven);
    assert_true(sq_attr_set_string(last_attrs(graph), "auto_pad", "VALID", 5));
    check(graph, 1);
    check(make(SQ_OP_MaxPool, false, -INFINITY, uneven), 1);
    check(make(SQ_OP_MaxPool, true, 0, uneven), 1);
    check(make(SQ_OP_AveragePool, false, 0, uneven), 1);
    graph = make(SQ_OP_AveragePool, false, 0, uneven);
    assert_true(sq_attr_set_ints(last_attrs(graph), "pads", own, 4));
    assert_true(sq_attr_set_int(last_attrs(graph), "count_include_pad", 1));
    check(graph, 1);
}

static void test_left_alone(void **state)
{
    (void)state;
    static const int64_t channels[] = {0, 1, 1, 1, 0, 0, 1, 1}, wide[] = {0, 0, 3, 0, 0, 0, 0, 0};
    static const int64_t cut[] = {0, 0, -1, 0, 0, 0, 0, 0};
    check(make(SQ_OP_Conv, false, 1, uneven), 0); /* other numbers */
    check(make(SQ_OP_MaxPool, false, 0, uneven), 0);
    check(make(SQ_OP_MaxPool, true, 0, wide), 0); /* windows in the padding alone */
    check(make(SQ_OP_Conv, false, 0, cut), 0);
    sq_graph *graph = make(SQ_OP_AveragePool, false, 0, uneven); /* some count, some do not */
    assert_true(sq_attr_set_ints(last_attrs(graph), "pads", own, 4));
    check(graph, 0);
    graph = make(SQ_OP_Conv, false, 0, channels);
    graph->values[graph->nodes[1].inputs[1]].type.dims[1] = 3; /* weights for one channel more */
    sq_tensor_free(&graph->values[graph->nodes[1].inputs[1]].type);
    graph->nodes[1].inputs[1] = add_floats(graph, "v", 4, (int64_t[]){3, 3, 3, 3}, 1);
    check(graph, 0);
    graph = make(SQ_OP_Conv, false, 0, uneven);
    assert_true(sq_attr_set_string(&graph->nodes[0].attrs, "mode", "edge", 4));
    check(graph, 0);
}

/* Somebody else wants the padded image: it stays, but the convolution does without. */
static void test_shared(void **state)
{
    (void)state;
    sq_graph *graph = make(SQ_OP_Conv, false, 0, uneven);
    add_output(graph, graph->nodes[0].outputs[0]);
    assert_int_equal(check_pass(graph, sq_pass_pad, 0), 1);
    assert_int_equal(graph->nodes[1].inputs[0], graph->inputs[0]);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_in),
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
