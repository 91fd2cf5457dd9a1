/* tests/unit/nn/graph/test_graph_pass_dead.c - what no output needs goes. */
#include "graph_fixture.h"

static void test_dead(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const int64_t dims[] = {2, 3};
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, dims);
    const uint32_t used = add_floats(graph, "used", 2, dims, 1);
    const uint32_t unused = add_floats(graph, "unused", 2, dims, 2);
    const uint32_t sum = add_op(graph, SQ_OP_Add, "sum", INPUTS(x, used));
    const uint32_t lost = add_op(graph, SQ_OP_Mul, "lost", INPUTS(sum, unused));
    add_op(graph, SQ_OP_Relu, "lost too", INPUTS(lost)); /* keeps nothing alive */
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(sum)));
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    uint32_t changes;
    assert_int_equal(sq_pass_dead_code(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 2);
    assert_int_equal(graph->node_count, 2);
    assert_same_output(before, graph, 0);
    assert_true(graph->values[used].constant);    /* value numbers stay, */
    assert_null(graph->values[unused].type.data); /* bytes that nobody needs do not */
    assert_false(graph->values[unused].constant);
    assert_int_equal(graph->input_count, 1);
    assert_int_equal(sq_pass_dead_code(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

/* A node of which one output is needed stays; a constant that is an output stays. */
static void test_partly_alive(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 1, (int64_t[]){4});
    const uint32_t a = sq_graph_add_value(graph, "a"), b = sq_graph_add_value(graph, "b");
    sq_node *split = sq_graph_add_node(graph, SQ_OP_Split, "split", 1, 2);
    split->inputs[0] = x;
    split->outputs[0] = a;
    split->outputs[1] = b;
    split->attrs.opset = 17;
    const uint32_t constant = add_floats(graph, "constant", 1, (int64_t[]){2}, 1);
    add_output(graph, b);
    add_output(graph, constant);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    uint32_t changes;
    assert_int_equal(sq_pass_dead_code(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    assert_int_equal(graph->node_count, 1);
    assert_non_null(graph->values[constant].type.data);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead),
        cmocka_unit_test(test_partly_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
