/* tests/unit/nn/compile/test_pass_same.c - what is worked out twice is worked out once. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 3, 4, 5}, weights[] = {4, 3, 3, 3};

static void test_nodes(void **state)
{
    (void)state;
    static const int64_t order[] = {0, 1, 3, 2}, again[] = {0, 1, 3, 2};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t w = add_floats(graph, "w", 4, weights, 1);
    const uint32_t a = add_op(graph, SQ_OP_Conv, "a", INPUTS(x, w));
    const uint32_t b = add_op(graph, SQ_OP_Conv, "b", INPUTS(x, w));
    const uint32_t ta = add_op(graph, SQ_OP_Transpose, "ta", INPUTS(a));
    assert_true(sq_attr_set_ints(last_attrs(graph), "perm", order, 4));
    const uint32_t tb = add_op(graph, SQ_OP_Transpose, "tb", INPUTS(b));
    assert_true(sq_attr_set_ints(last_attrs(graph), "perm", again, 4));
    add_output(graph, add_op(graph, SQ_OP_Add, "y", INPUTS(ta, tb)));
    check_pass_memory(graph, sq_pass_same);
    assert_int_equal(check_pass(graph, sq_pass_same, 0), 2);
    assert_int_equal(count_ops(graph, SQ_OP_Conv), 1);
    assert_int_equal(count_ops(graph, SQ_OP_Transpose), 1);
    sq_graph_destroy(&graph);
}

/* The shape of each Reshape is a constant of its own, as one exporter writes it. */
static void test_constants(void **state)
{
    (void)state;
    static const int64_t flat[] = {2, 60};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t s = add_ints(graph, "s", flat, 2), t = add_ints(graph, "t", flat, 2);
    const uint32_t a = add_op(graph, SQ_OP_Reshape, "a", INPUTS(x, s));
    const uint32_t b = add_op(graph, SQ_OP_Reshape, "b", INPUTS(x, t));
    add_output(graph, add_op(graph, SQ_OP_Mul, "y", INPUTS(a, b)));
    assert_int_equal(check_pass(graph, sq_pass_same, 0), 1);
    assert_int_equal(count_ops(graph, SQ_OP_Reshape), 1);
    sq_graph_destroy(&graph);
}

/* Other attributes, other inputs, weights that happen to be alike, an output's own name. */
static void test_left_alone(void **state)
{
    (void)state;
    static const int64_t order[] = {0, 1, 3, 2}, other[] = {0, 3, 2, 1};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t w = add_floats(graph, "w", 4, weights, 1);
    const uint32_t v = add_floats(graph, "v", 4, weights, 1);
    add_output(graph, add_op(graph, SQ_OP_Conv, "a", INPUTS(x, w)));
    add_output(graph, add_op(graph, SQ_OP_Conv, "b", INPUTS(x, v)));
    add_output(graph, add_op(graph, SQ_OP_Conv, "c", INPUTS(x, w)));
    add_output(graph, add_op(graph, SQ_OP_Transpose, "d", INPUTS(x)));
    assert_true(sq_attr_set_ints(last_attrs(graph), "perm", order, 4));
    add_output(graph, add_op(graph, SQ_OP_Transpose, "e", INPUTS(x)));
    assert_true(sq_attr_set_ints(last_attrs(graph), "perm", other, 4));
    assert_int_equal(check_pass(graph, sq_pass_same, 0), 0);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
