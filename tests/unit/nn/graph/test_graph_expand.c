/* tests/unit/nn/graph/test_graph_expand.c - If, Loop and Scan where they cannot be unrolled, and
 * limits on those that can; what they become is held against ONNX's cases by test_compile_node. */
#include "graph_fixture.h"

static uint32_t add_number(sq_graph *graph, const char *name, squall_dtype dtype, int64_t value)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(dtype, 0, NULL, &tensor));
    if (dtype == SQUALL_BOOL) {
        *(uint8_t *)tensor.data = value != 0;
    } else {
        *(int64_t *)tensor.data = value;
    }
    return sq_graph_add_constant(graph, name, &tensor);
}

/* A control node whose inputs are all its operator's. */
static sq_node *add_control(sq_graph *graph, sq_op op, const uint32_t *inputs, uint32_t count,
                            uint32_t outputs)
{
    sq_node *node = sq_graph_add_node(graph, op, "control", count, outputs);
    assert_non_null(node);
    memcpy(node->inputs, inputs, count * sizeof *inputs);
    node->own_inputs = count;
    return node;
}

static uint32_t body_input(sq_graph *body, const char *name)
{
    return add_input(body, name, SQUALL_DTYPE_NONE, 0, NULL);
}

/* (round, go, v) => (go, w): w = v + v */
static void add_doubling(sq_node *loop)
{
    sq_body *body = sq_graph_add_body(loop, "body");
    assert_non_null(body);
    (void)body_input(body->graph, "round");
    const uint32_t go = body_input(body->graph, "go"), v = body_input(body->graph, "v");
    add_output(body->graph, go);
    add_output(body->graph, add_op(body->graph, SQ_OP_Add, "w", INPUTS(v, v)));
    body->own_inputs = 3;
}

/* x doubled `rounds` times. */
static sq_graph *loop_graph(int64_t rounds)
{
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 1, (int64_t[]){3});
    const uint32_t most = add_number(graph, "most", SQUALL_I64, rounds);
    const uint32_t go = add_number(graph, "go", SQUALL_BOOL, 1);
    const uint32_t y = sq_graph_add_value(graph, "y");
    sq_node *loop = add_control(graph, SQ_OP_Loop, INPUTS(most, go, x), 1);
    loop->outputs[0] = y;
    add_doubling(loop);
    add_output(graph, y);
    return graph;
}

static void expect_refusal(sq_graph *graph, squall_status status, const char *word)
{
    squall_error err = {0};
    const squall_status got = sq_graph_infer(graph, evaluate, &err);
    if (got != status || !strstr(err.text, word)) {
        fail_msg("%s: %s: %s", squall_status_name(got), err.where, err.text);
    }
    sq_graph_destroy(&graph);
}

static void test_rounds(void **state)
{
    (void)state;
    for (int64_t rounds = 0; rounds < 4; rounds++) {
        sq_graph *graph = loop_graph(rounds), *copy = NULL;
        assert_int_equal(sq_graph_copy(graph, &copy, NULL), SQUALL_OK); /* bodies too */
        assert_int_equal(sq_graph_infer(copy, evaluate, NULL), SQUALL_OK);
        assert_int_equal(count_ops(copy, SQ_OP_Add), rounds);
        assert_int_equal(count_ops(copy, SQ_OP_Loop), 0);
        assert_int_equal(copy->values[copy->outputs[0]].type.dims[0], 3);
        assert_int_equal(count_ops(graph, SQ_OP_Loop), 1);
        sq_graph_destroy(&copy);
        sq_graph_destroy(&graph);
    }
}

static void test_hangs_on_data(void **state)
{
    (void)state;
    sq_graph *graph = loop_graph(3);
    graph->nodes[0].inputs[0] = add_input(graph, "n", SQUALL_I64, 0, NULL);
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "how many rounds");
    graph = sq_graph_create();
    const uint32_t condition = add_input(graph, "c", SQUALL_BOOL, 0, NULL);
    add_control(graph, SQ_OP_If, INPUTS(condition), 1)->outputs[0] = sq_graph_add_value(graph, "y");
    add_output(graph, 1);
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "its condition hangs on data");
}

static void test_limits(void **state)
{
    (void)state;
    sq_graph *graph = loop_graph(SQ_LIMIT_ROUNDS);
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(count_ops(graph, SQ_OP_Add), SQ_LIMIT_ROUNDS);
    sq_graph_destroy(&graph);
    expect_refusal(loop_graph(SQ_LIMIT_ROUNDS + 1), SQUALL_E_UNSUPPORTED, "more than 1024 rounds");
    expect_refusal(loop_graph(INT64_MAX), SQUALL_E_UNSUPPORTED, "more than 1024 rounds");
}

/* Loops in a loop, each of which does nothing, are counted together. */
static void test_empty_rounds(void **state)
{
    (void)state;
    sq_graph *graph = loop_graph(SQ_LIMIT_ROUNDS);
    sq_graph *body = graph->nodes[0].bodies[0].graph;
    body->nodes[0].dead = true;
    sq_graph_compact(body);
    const uint32_t most = add_number(body, "most", SQUALL_I64, SQ_LIMIT_ROUNDS);
    sq_node *inner =
        add_control(body, SQ_OP_Loop, INPUTS(most, body->inputs[1], body->inputs[2]), 1);
    inner->outputs[0] = body->outputs[1];
    sq_body *nothing = sq_graph_add_body(inner, "body");
    (void)body_input(nothing->graph, "round");
    add_output(nothing->graph, body_input(nothing->graph, "go"));
    add_output(nothing->graph, body_input(nothing->graph, "v"));
    nothing->own_inputs = 3;
    expect_refusal(graph, SQUALL_E_LIMIT, "rounds together");
}

static void test_misfits(void **state)
{
    (void)state;
    sq_graph *graph = loop_graph(2);
    graph->nodes[0].bodies[0].own_inputs = 2;
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "does not fit");
    graph = loop_graph(2);
    graph->nodes[0].bodies[0].graph->output_count = 1;
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "does not fit");
    graph = loop_graph(2);
    graph->nodes[0].op = SQ_OP_Scan;
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "num_scan_inputs");
    graph = loop_graph(2);
    graph->nodes[0].op = SQ_OP_Scan;
    graph->nodes[0].attrs.opset = 8;
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "opset 8");
    graph = loop_graph(2);
    graph->nodes[0].op = SQ_OP_Scan; /* what it scans must be as long */
    assert_true(sq_attr_set_int(&graph->nodes[0].attrs, "num_scan_inputs", 3));
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "scans does not fit");
    graph = sq_graph_create();
    const uint32_t condition = add_number(graph, "c", SQUALL_BOOL, 0);
    sq_node *node = add_control(graph, SQ_OP_If, INPUTS(condition), 1);
    assert_non_null(sq_graph_add_body(node, "then_branch"));
    node->outputs[0] = sq_graph_add_value(graph, "y");
    add_output(graph, graph->nodes[0].outputs[0]);
    expect_refusal(graph, SQUALL_E_UNSUPPORTED, "its branch is missing");
}

/* Each allocation of an expansion made to fail once. */
static void test_no_memory(void **state)
{
    (void)state;
    squall_status status = SQUALL_E_MEMORY;
    for (long n = 0; status == SQUALL_E_MEMORY && n < 4000; n++) {
        sq_graph *graph = loop_graph(2), *copy = NULL;
        sq_memory_fail_at(n);
        status = sq_graph_copy(graph, &copy, NULL);
        if (status == SQUALL_OK) {
            status = sq_graph_infer(copy, NULL, NULL);
        }
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_graph_destroy(&copy);
        sq_graph_destroy(&graph);
    }
    assert_int_equal(status, SQUALL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),  cmocka_unit_test(test_hangs_on_data),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_empty_rounds),
        cmocka_unit_test(test_misfits), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
