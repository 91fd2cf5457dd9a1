/* tests/unit/nn/compile/test_pass_transpose.c - Transposes and Reshapes that follow one another. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 3, 4, 5};
static const int64_t last[] = {0, 2, 3, 1}, first[] = {0, 3, 1, 2}, swap[] = {0, 1, 3, 2};

static uint32_t transpose(sq_graph *graph, uint32_t x, const int64_t *order)
{
    const uint32_t y = add_op(graph, SQ_OP_Transpose, "t", INPUTS(x));
    assert_true(sq_attr_set_ints(last_attrs(graph), "perm", order, 4));
    return y;
}

static void test_two(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    add_output(graph, transpose(graph, transpose(graph, x, last), swap));
    check_pass_memory(graph, sq_pass_transpose);
    assert_int_equal(check_pass(graph, sq_pass_transpose, 0), 1);
    assert_int_equal(count_ops(graph, SQ_OP_Transpose), 1);
    sq_graph_destroy(&graph);
}

/* To channels last, number by number, and back: the identity pass takes what is left. */
static void test_around_pointwise(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    uint32_t y = transpose(graph, x, last), changes;
    y = add_op(graph, SQ_OP_Gelu, "g", INPUTS(y));
    y = add_op(graph, SQ_OP_Tanh, "h", INPUTS(y));
    y = transpose(graph, y, first);
    add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(y)));
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(sq_pass_transpose(graph, NULL, &changes, NULL), SQUALL_OK);
        assert_int_equal(sq_pass_identity(graph, NULL, &changes, NULL), SQUALL_OK);
        assert_same_on_ref(before, graph, 0);
    }
    assert_int_equal(count_ops(graph, SQ_OP_Transpose), 0);
    assert_int_equal(graph->node_count, 3);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

static void test_reshapes(void **state)
{
    (void)state;
    static const int64_t flat[] = {2, 60}, square[] = {-1, 6, 10};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    uint32_t y = add_op(graph, SQ_OP_Reshape, "a", INPUTS(x, add_ints(graph, "s", flat, 2)));
    y = add_op(graph, SQ_OP_Flatten, "b", INPUTS(y));
    add_output(graph,
               add_op(graph, SQ_OP_Reshape, "y", INPUTS(y, add_ints(graph, "t", square, 3))));
    assert_int_equal(check_pass(graph, sq_pass_transpose, 0), 2);
    assert_int_equal(graph->node_count, 1);
    sq_graph_destroy(&graph);
}

/* Two Transposes that undo one another leave what was before them to its other users. */
static void test_shared(void **state)
{
    (void)state;
    static const int64_t flat[] = {2, 60};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t y = add_op(graph, SQ_OP_Reshape, "a", INPUTS(x, add_ints(graph, "s", flat, 2)));
    for (int i = 0; i < 2; i++) {
        uint32_t z = add_op(graph, SQ_OP_Transpose, "t", INPUTS(y));
        z = add_op(graph, SQ_OP_Transpose, "u", INPUTS(z));
        add_output(graph,
                   add_op(graph, SQ_OP_Reshape, "r", INPUTS(z, add_ints(graph, "v", flat, 2))));
    }
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(y)));
    assert_true(check_pass(graph, sq_pass_transpose, 0) > 0);
    sq_graph_destroy(&graph);
}

/* Axes of size 1 move alone: the numbers stay where they are. */
static void test_as_reshape(void **state)
{
    (void)state;
    static const int64_t one[] = {2, 1, 4, 5};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, one);
    add_output(graph, transpose(graph, x, last));
    assert_int_equal(check_pass(graph, sq_pass_transpose, 0), 1);
    assert_int_equal(count_ops(graph, SQ_OP_Reshape), 1);
    graph->values[x].type.dims[0] = 7; /* and of any batch */
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    assert_int_equal(graph->values[graph->outputs[0]].type.dims[0], 7);
    sq_graph_destroy(&graph);
}

/* Something between that is not number by number, that others need, or sizes that are copied. */
static void test_left_alone(void **state)
{
    (void)state;
    static const int64_t flat[] = {2, 60}, copied[] = {0, 6, 10};
    for (int form = 0; form < 3; form++) {
        sq_graph *graph = sq_graph_create();
        const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
        if (form < 2) {
            uint32_t y = transpose(graph, x, last);
            if (form == 1) {
                add_output(graph, y);
            }
            y = add_op(graph, form == 0 ? SQ_OP_Softmax : SQ_OP_Tanh, "m", INPUTS(y));
            add_output(graph, transpose(graph, y, first));
        } else {
            const uint32_t y =
                add_op(graph, SQ_OP_Reshape, "a", INPUTS(x, add_ints(graph, "s", flat, 2)));
            add_output(graph, add_op(graph, SQ_OP_Reshape, "y",
                                     INPUTS(y, add_ints(graph, "t", copied, 3))));
        }
        assert_int_equal(check_pass(graph, sq_pass_transpose, 0), 0);
        sq_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two),      cmocka_unit_test(test_around_pointwise),
        cmocka_unit_test(test_reshapes), cmocka_unit_test(test_as_reshape),
        cmocka_unit_test(test_shared),   cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
