/* tests/unit/nn/graph/test_graph_pass_identity.c - nodes that change nothing go, others do not. */
#include "graph_fixture.h"

/* x [1,2,4,4] -> Relu -> the node under test -> Neg, which is the output. */
static sq_graph *make_graph(sq_op op, const uint32_t *constants, uint32_t count, sq_graph *graph)
{
    const uint32_t x = graph->inputs[0];
    const uint32_t relu = add_op(graph, SQ_OP_Relu, "relu", INPUTS(x));
    uint32_t inputs[8] = {relu};
    for (uint32_t i = 0; i < count; i++) {
        inputs[i + 1] = constants[i];
    }
    const uint32_t middle = add_op(graph, op, "middle", inputs, count + 1);
    add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(middle)));
    return graph;
}

static sq_graph *make_empty(void)
{
    sq_graph *graph = sq_graph_create();
    (void)add_input(graph, "x", SQUALL_F32, 4, (int64_t[]){1, 2, 4, 4});
    return graph;
}

static sq_attrs *middle_attrs(sq_graph *graph)
{
    return &graph->nodes[graph->node_count - 2].attrs;
}

/* The pass takes the middle away, or leaves it. */
static void check(sq_graph *graph, bool goes)
{
    uint32_t changes;
    squall_error err = {0};
    if (sq_graph_infer(graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(sq_pass_identity(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, goes);
    assert_int_equal(graph->node_count, goes ? 2 : 3);
    assert_string_equal(output_name(graph, 0), "y");
    assert_ptr_equal(sq_graph_producer(graph, graph->nodes[graph->node_count - 1].inputs[0]),
                     &graph->nodes[graph->node_count - 2]);
    sq_graph_destroy(&graph);
}

static void test_plain(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Identity, SQ_OP_Dropout, SQ_OP_Sum,
                                SQ_OP_Mean,     SQ_OP_Min,     SQ_OP_Max};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        check(make_graph(ops[i], NULL, 0, make_empty()), true);
    }
    check(make_graph(SQ_OP_Tanh, NULL, 0, make_empty()), false);
    check(make_graph(SQ_OP_Clip, NULL, 0, make_empty()), false); /* infinities */
    sq_graph *graph = make_graph(SQ_OP_Concat, NULL, 0, make_empty());
    sq_attr_set_int(middle_attrs(graph), "axis", 1);
    check(graph, true);
    graph = make_graph(SQ_OP_Cast, NULL, 0, make_empty());
    sq_attr_set_int(middle_attrs(graph), "to", SQUALL_F32);
    check(graph, true);
    graph = make_graph(SQ_OP_Cast, NULL, 0, make_empty());
    sq_attr_set_int(middle_attrs(graph), "to", SQUALL_F64);
    check(graph, false);
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        int64_t shape[4];
        bool goes;
    } cases[] = {{{1, 2, 4, 4}, true}, {{0, 0, -1, 4}, true}, {{2, 1, 4, 4}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_graph *graph = make_empty();
        const uint32_t shape = add_ints(graph, "shape", cases[i].shape, 4);
        check(make_graph(SQ_OP_Reshape, &shape, 1, graph), cases[i].goes);
    }
    sq_graph *graph = make_empty();
    const uint32_t ones = add_ints(graph, "ones", (int64_t[]){1, 1, 1, 1}, 4);
    check(make_graph(SQ_OP_Tile, &ones, 1, graph), true);
    graph = make_empty();
    const uint32_t one = add_ints(graph, "one", (int64_t[]){1}, 1);
    check(make_graph(SQ_OP_Expand, &one, 1, graph), true);
}

static void test_transpose(void **state)
{
    (void)state;
    static const struct {
        int64_t order[4];
        bool goes;
    } cases[] = {
        {{0, 1, 2, 3}, true},
        {{1, 0, 2, 3}, false}, /* the batch of 1 moves: another shape */
        {{0, 1, 3, 2}, false}, /* the same shape, other numbers */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_graph *graph = make_graph(SQ_OP_Transpose, NULL, 0, make_empty());
        sq_attr_set_ints(middle_attrs(graph), "perm", cases[i].order, 4);
        check(graph, cases[i].goes);
    }
    sq_graph *graph = sq_graph_create(); /* two dimensions of 1 change places: nothing happens */
    (void)add_input(graph, "x", SQUALL_F32, 4, (int64_t[]){1, 1, 4, 5});
    graph = make_graph(SQ_OP_Transpose, NULL, 0, graph);
    sq_attr_set_ints(middle_attrs(graph), "perm", (int64_t[]){1, 0, 2, 3}, 4);
    check(graph, true);
}

static void test_slice(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end, step;
        bool goes;
    } cases[] = {{0, 4, 1, true},
                 {0, INT64_MAX, 1, true},
                 {0, 3, 1, false},
                 {3, INT64_MIN, -1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_graph *graph = make_empty();
        const uint32_t constants[] = {add_ints(graph, "start", &cases[i].start, 1),
                                      add_ints(graph, "end", &cases[i].end, 1),
                                      add_ints(graph, "axis", (int64_t[]){2}, 1),
                                      add_ints(graph, "step", &cases[i].step, 1)};
        check(make_graph(SQ_OP_Slice, constants, 4, graph), cases[i].goes);
    }
}

static void test_pad(void **state)
{
    (void)state;
    static const struct {
        int64_t pads[8];
        bool goes;
    } cases[] = {{{0}, true},
                 {{0, 0, 0, 1, 0, 0, 0, 0}, false},
                 {{0, 0, 0, 1, 0, 0, 0, -1}, false}}; /* the same shape, moved by one */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_graph *graph = make_empty();
        const uint32_t pads = add_ints(graph, "pads", cases[i].pads, 8);
        check(make_graph(SQ_OP_Pad, &pads, 1, graph), cases[i].goes);
        graph = make_graph(SQ_OP_Pad, NULL, 0, make_empty()); /* opset 7: an attribute */
        middle_attrs(graph)->opset = 7;
        sq_attr_set_ints(middle_attrs(graph), "pads", cases[i].pads, 8);
        check(graph, cases[i].goes);
    }
}

static void test_resize(void **state)
{
    (void)state;
    static const struct {
        float scale;
        const char *mode;
        bool goes;
    } cases[] = {{1.0f, "nearest", true},
                 {1.2f, "nearest", false}, /* 4 stay 4, but not the same ones */
                 {2.0f, "nearest", false},
                 {1.0f, "linear", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int opset = 10; opset <= 13; opset += 3) {
            sq_graph *graph = make_empty();
            squall_tensor tensor;
            assert_true(sq_tensor_make(SQUALL_F32, 1, (int64_t[]){4}, &tensor));
            float *scales = tensor.data;
            scales[0] = scales[1] = scales[3] = 1.0f;
            scales[2] = cases[i].scale;
            const uint32_t number = sq_graph_add_constant(graph, "scales", &tensor);
            const uint32_t constants[] = {opset > 10 ? SQ_NO_VALUE : number, number};
            graph = make_graph(SQ_OP_Resize, constants, opset > 10 ? 2 : 1, graph);
            middle_attrs(graph)->opset = opset;
            sq_attr_set_string(middle_attrs(graph), "mode", cases[i].mode, strlen(cases[i].mode));
            check(graph, cases[i].goes);
        }
    }
}

/* A Dropout whose mask somebody reads cannot go. */
static void test_second_output(void **state)
{
    (void)state;
    sq_graph *graph = make_empty();
    const uint32_t data = sq_graph_add_value(graph, "data"), mask = sq_graph_add_value(graph, "m");
    sq_node *node = sq_graph_add_node(graph, SQ_OP_Dropout, "drop", 1, 2);
    node->inputs[0] = graph->inputs[0];
    node->outputs[0] = data;
    node->outputs[1] = mask;
    node->attrs.opset = 13;
    add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(data)));
    add_output(graph, add_op(graph, SQ_OP_Not, "z", INPUTS(mask)));
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    uint32_t changes;
    assert_int_equal(sq_pass_identity(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 0);
    sq_graph_destroy(&graph);
}

/* An output keeps its name: the node before it gives it instead, if that can be. */
static void test_outputs(void **state)
{
    (void)state;
    sq_graph *graph = make_empty();
    const uint32_t relu = add_op(graph, SQ_OP_Relu, "relu", INPUTS(graph->inputs[0]));
    const uint32_t early = add_op(graph, SQ_OP_Neg, "early", INPUTS(relu));
    const uint32_t one = add_op(graph, SQ_OP_Identity, "one", INPUTS(relu));
    const uint32_t two = add_op(graph, SQ_OP_Identity, "two", INPUTS(one));
    const uint32_t late = add_op(graph, SQ_OP_Add, "late", INPUTS(two, early));
    const uint32_t input = add_op(graph, SQ_OP_Identity, "input", INPUTS(graph->inputs[0]));
    add_output(graph, late);
    add_output(graph, two);
    add_output(graph, input);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    uint32_t changes;
    assert_int_equal(sq_pass_identity(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 2); /* a graph's input cannot be its output under another name */
    assert_int_equal(graph->node_count, 4);
    assert_string_equal(output_name(graph, 1), "two");
    assert_string_equal(output_name(graph, 2), "input");
    assert_int_equal(sq_graph_producer(graph, two)->op, SQ_OP_Relu);
    assert_int_equal(sq_graph_producer(graph, early)->inputs[0], two);
    assert_same_output(before, graph, 0);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

/* Two outputs of one value: both names stay. */
static void test_two_outputs(void **state)
{
    (void)state;
    sq_graph *graph = make_empty();
    const uint32_t relu = add_op(graph, SQ_OP_Relu, "relu", INPUTS(graph->inputs[0]));
    const uint32_t a = add_op(graph, SQ_OP_Identity, "a", INPUTS(relu));
    const uint32_t b = add_op(graph, SQ_OP_Identity, "b", INPUTS(relu));
    add_output(graph, a);
    add_output(graph, b);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    uint32_t changes;
    assert_int_equal(sq_pass_identity(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 1);
    assert_int_equal(sq_graph_producer(graph, a)->op, SQ_OP_Relu);
    assert_int_equal(sq_graph_producer(graph, b)->op, SQ_OP_Identity);
    assert_int_equal(sq_graph_producer(graph, b)->inputs[0], a);
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_transpose),     cmocka_unit_test(test_slice),
        cmocka_unit_test(test_pad),           cmocka_unit_test(test_resize),
        cmocka_unit_test(test_second_output), cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_two_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
