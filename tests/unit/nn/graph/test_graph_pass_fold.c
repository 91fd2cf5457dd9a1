/* tests/unit/nn/graph/test_graph_pass_fold.c - nodes of constants become constants. */
#include "graph_fixture.h"

static void test_fold(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const int64_t dims[] = {2, 3};
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, dims);
    const uint32_t sum =
        add_op(graph, SQ_OP_Add, "sum",
               INPUTS(add_floats(graph, "a", 2, dims, 1), add_floats(graph, "b", 1, dims + 1, 2)));
    const uint32_t gate = add_op(graph, SQ_OP_Sigmoid, "gate", INPUTS(sum));
    add_output(graph, add_op(graph, SQ_OP_Mul, "y", INPUTS(x, gate)));
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK); /* types alone */
    sq_graph *before = copy_graph(graph);
    uint32_t changes;
    assert_int_equal(sq_pass_fold_constants(graph, evaluate, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 2);
    assert_int_equal(graph->node_count, 1);
    assert_true(graph->values[gate].constant);
    assert_same_output(before, graph, 0);
    assert_int_equal(sq_pass_fold_constants(graph, evaluate, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

/* What an evaluator cannot do, what would grow too much, and what has no type yet, stays. */
static void test_left_alone(void **state)
{
    (void)state;
    uint32_t changes;
    sq_graph *graph = sq_graph_create();
    const uint32_t data = add_floats(graph, "data", 4, (int64_t[]){1, 1, 2, 2}, 1);
    const uint32_t grid = add_floats(graph, "grid", 4, (int64_t[]){1, 2, 2, 2}, 2);
    add_output(graph, add_op(graph, SQ_OP_GridSample, "unknown", INPUTS(data, grid)));
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(sq_pass_fold_constants(graph, evaluate, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    assert_int_equal(sq_pass_fold_constants(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    sq_graph_destroy(&graph);

    graph = sq_graph_create(); /* 4 kB by 4 kB into 4 MB */
    const uint32_t a = add_floats(graph, "a", 1, (int64_t[]){1024}, 1);
    const uint32_t b = add_floats(graph, "b", 2, (int64_t[]){1024, 1}, 2);
    add_output(graph, add_op(graph, SQ_OP_Add, "large", INPUTS(a, b)));
    assert_int_equal(sq_pass_fold_constants(graph, evaluate, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0); /* not inferred */
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(sq_pass_fold_constants(graph, evaluate, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0); /* too large */
    assert_int_equal(graph->node_count, 1);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
