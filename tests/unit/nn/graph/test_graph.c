/* tests/unit/nn/graph/test_graph.c - building, order, shapes, folding of shapes, the driver. */
#include "graph_fixture.h"

/* y = reshape(x, concat(gather(shape(x), 0), [-1])), as exporters write a flatten; then 2 * y. */
static sq_graph *make_flatten(const int64_t *dims)
{
    sq_graph *graph = sq_graph_create();
    assert_non_null(graph);
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 3, dims);
    const uint32_t zero = add_ints(graph, "zero", (int64_t[]){0}, 1);
    const uint32_t open = add_ints(graph, "open", (int64_t[]){-1}, 1);
    const uint32_t shape = add_op(graph, SQ_OP_Shape, "shape", INPUTS(x));
    const uint32_t batch = add_op(graph, SQ_OP_Gather, "batch", INPUTS(shape, zero));
    const uint32_t wanted = add_op(graph, SQ_OP_Concat, "wanted", INPUTS(batch, open));
    assert_true(sq_attr_set_int(last_attrs(graph), "axis", 0));
    const uint32_t flat = add_op(graph, SQ_OP_Reshape, "flat", INPUTS(x, wanted));
    const uint32_t y = add_op(graph, SQ_OP_Add, "y", INPUTS(flat, flat));
    add_output(graph, y);
    return graph;
}

static void test_infer_folds_shapes(void **state)
{
    (void)state;
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    squall_error err = {0};
    assert_int_equal(sq_graph_sort(graph, &err), SQUALL_OK);
    assert_int_equal(sq_graph_infer(graph, evaluate, &err), SQUALL_OK);
    const squall_tensor *y = &graph->values[graph->outputs[0]].type;
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->dims[0], 2);
    assert_int_equal(y->dims[1], 12);
    assert_int_equal(graph->node_count, 2); /* Reshape and Add; the arithmetic is constants now */
    assert_int_equal(sq_graph_infer(graph, evaluate, &err), SQUALL_OK); /* again: no change */
    assert_int_equal(graph->node_count, 2);
    sq_graph_destroy(&graph);
    assert_null(graph);
}

static void test_infer_without_evaluator(void **state)
{
    (void)state;
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    squall_error err = {0};
    assert_int_equal(sq_graph_infer(graph, NULL, &err), SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(err.where, "flat"));
    assert_non_null(strstr(err.text, "not constant"));
    sq_graph_destroy(&graph);
}

static void test_shape_and_size(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 3, (int64_t[]){2, 3, 4});
    const uint32_t part = add_op(graph, SQ_OP_Shape, "part", INPUTS(x));
    assert_true(sq_attr_set_int(last_attrs(graph), "start", -2));
    assert_true(sq_attr_set_int(last_attrs(graph), "end", 9));
    const uint32_t size = add_op(graph, SQ_OP_Size, "size", INPUTS(x));
    add_output(graph, part);
    add_output(graph, size);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    assert_int_equal(graph->node_count, 0);
    const squall_tensor *shape = &graph->values[part].type;
    assert_int_equal(shape->dims[0], 2);
    assert_int_equal(sq_tensor_get_int(shape, 0), 3);
    assert_int_equal(sq_tensor_get_int(shape, 1), 4);
    assert_int_equal(sq_tensor_get_int(&graph->values[size].type, 0), 24);
    sq_graph_destroy(&graph);
}

/* A value as large as this is no shape: it is left for the pass that knows what folding costs. */
static void test_infer_leaves_large_ones(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t a = add_floats(graph, "a", 1, (int64_t[]){20000}, 1);
    const uint32_t y = add_op(graph, SQ_OP_Relu, "y", INPUTS(a));
    add_output(graph, y);
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(graph->node_count, 1);
    sq_graph_destroy(&graph);
}

static void test_symbols(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t a = add_input(graph, "a", SQUALL_F32, 2, (int64_t[]){-1, 4});
    const uint32_t b = add_input(graph, "b", SQUALL_F32, 2, (int64_t[]){-1, 4});
    graph->values[a].symbols[0] = sq_strdup("N");
    graph->values[b].symbols[0] = sq_strdup("N");
    add_output(graph, add_op(graph, SQ_OP_Add, "y", INPUTS(a, b)));
    squall_error err = {0};
    assert_int_equal(sq_graph_infer(graph, NULL, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "a");
    assert_non_null(strstr(err.text, "'N'"));

    static const struct {
        const char *name;
        uint32_t rank;
        int64_t dims[3];
        squall_status status;
    } cases[] = {
        {"c", 2, {3, 4}, SQUALL_E_ARGUMENT}, {"a", 3, {3, 4, 1}, SQUALL_E_SHAPE},
        {"a", 2, {3, 5}, SQUALL_E_SHAPE},    {"a", 2, {0, 4}, SQUALL_E_SHAPE},
        {"a", 2, {-1, 4}, SQUALL_E_SHAPE},   {"a", 2, {(int64_t)1 << 60, 4}, SQUALL_E_LIMIT},
        {"a", 2, {3, 4}, SQUALL_OK},         {"a", 2, {5, 4}, SQUALL_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sq_graph_set_shape(graph, cases[i].name, cases[i].dims, cases[i].rank,
                                            &err),
                         cases[i].status);
    }
    sq_graph *clash = copy_graph(graph);
    assert_int_equal(sq_graph_infer(graph, NULL, &err), SQUALL_OK); /* b follows a */
    assert_int_equal(graph->values[graph->outputs[0]].type.dims[0], 5);
    assert_int_equal(sq_graph_set_shape(clash, "b", (int64_t[]){6, 4}, 2, &err), SQUALL_OK);
    assert_int_equal(sq_graph_infer(clash, NULL, &err), SQUALL_E_SHAPE);
    assert_non_null(strstr(err.text, "another input"));
    sq_graph_destroy(&clash);
    sq_graph_destroy(&graph);
}

static void test_huge_input(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, (int64_t[]){(int64_t)1 << 40, 1 << 20});
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(x)));
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_E_LIMIT);
    sq_graph_destroy(&graph);
}

static void test_sort(void **state)
{
    (void)state;
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    const char *first = graph->nodes[0].name; /* in order already: left alone */
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    assert_ptr_equal(graph->nodes[0].name, first);
    for (uint32_t i = 0; i < graph->node_count / 2; i++) { /* backwards */
        const sq_node node = graph->nodes[i];
        graph->nodes[i] = graph->nodes[graph->node_count - 1 - i];
        graph->nodes[graph->node_count - 1 - i] = node;
    }
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    static const char *const order[] = {"shape", "batch", "wanted", "flat", "y"};
    for (uint32_t i = 0; i < 5; i++) {
        assert_string_equal(graph->nodes[i].name, order[i]);
    }
    sq_graph_destroy(&graph);
}

/* A chain as long as a network may be, backwards: no recursion, no quadratic search. */
static void test_sort_long(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    uint32_t before = add_input(graph, "x", SQUALL_F32, 1, (int64_t[]){2});
    for (int i = 0; i < 20000; i++) {
        before = add_op(graph, SQ_OP_Relu, "r", INPUTS(before));
    }
    add_output(graph, before);
    for (uint32_t i = 0; i < graph->node_count / 2; i++) {
        const sq_node node = graph->nodes[i];
        graph->nodes[i] = graph->nodes[graph->node_count - 1 - i];
        graph->nodes[graph->node_count - 1 - i] = node;
    }
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    assert_int_equal(graph->nodes[0].inputs[0], graph->inputs[0]);
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(sq_graph_optimise(graph, evaluate, NULL, NULL, NULL), SQUALL_OK);
    assert_int_equal(graph->node_count, 20000);
    sq_graph_destroy(&graph);
}

static void test_broken_graphs(void **state)
{
    (void)state;
    squall_error err = {0};
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    sq_node *gather = sq_graph_producer(graph, graph->nodes[1].outputs[0]);
    gather->inputs[0] = graph->nodes[2].outputs[0]; /* hangs on what hangs on it */
    assert_int_equal(sq_graph_sort(graph, &err), SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "cycle"));
    sq_graph_destroy(&graph);

    graph = make_flatten((int64_t[]){2, 3, 4});
    graph->nodes[1].inputs[0] = sq_graph_add_value(graph, "nothing");
    assert_int_equal(sq_graph_sort(graph, &err), SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "'nothing'"));
    assert_int_equal(sq_graph_infer(graph, evaluate, &err), SQUALL_E_CORRUPT);
    sq_graph_destroy(&graph);

    graph = make_flatten((int64_t[]){2, 3, 4});
    graph->nodes[1].outputs[0] = graph->nodes[0].outputs[0];
    assert_int_equal(sq_graph_sort(graph, &err), SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "given twice"));
    sq_graph_destroy(&graph);

    graph = make_flatten((int64_t[]){2, 3, 4});
    graph->outputs[0] = sq_graph_add_value(graph, "nothing");
    assert_int_equal(sq_graph_sort(graph, &err), SQUALL_E_CORRUPT);
    sq_graph_destroy(&graph);

    graph = make_flatten((int64_t[]){2, 3, 4});
    sq_node *wide = sq_graph_add_node(graph, SQ_OP_Sum, "wide", SQ_MAX_INPUTS + 1, 1);
    assert_non_null(wide);
    assert_int_equal(sq_graph_infer(graph, evaluate, &err), SQUALL_E_LIMIT);
    sq_graph_destroy(&graph);
}

static void test_lookups(void **state)
{
    (void)state;
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    const uint32_t flat = graph->nodes[3].outputs[0], y = graph->nodes[4].outputs[0];
    assert_ptr_equal(sq_graph_producer(graph, flat), &graph->nodes[3]);
    assert_null(sq_graph_producer(graph, graph->inputs[0]));
    assert_null(sq_graph_producer(graph, SQ_NO_VALUE));
    assert_int_equal(sq_graph_use_count(graph, flat), 2);
    assert_int_equal(sq_graph_use_count(graph, y), 1); /* as an output */
    sq_graph_replace(graph, flat, graph->inputs[0]);
    assert_int_equal(sq_graph_use_count(graph, flat), 0);
    assert_int_equal(sq_graph_use_count(graph, graph->inputs[0]), 4);
    sq_graph_replace(graph, y, flat);
    assert_int_equal(graph->outputs[0], flat);
    graph->nodes[4].dead = graph->nodes[1].dead = true;
    sq_graph_compact(graph);
    assert_int_equal(graph->node_count, 3);
    assert_string_equal(graph->nodes[1].name, "wanted");
    sq_graph_destroy(&graph);
}

static void test_copy(void **state)
{
    (void)state;
    sq_graph *graph = make_flatten((int64_t[]){2, 3, 4});
    graph->name = sq_strdup("flatten");
    graph->values[graph->inputs[0]].symbols[0] = sq_strdup("N");
    sq_graph *copy = copy_graph(graph);
    assert_string_equal(copy->name, "flatten");
    assert_string_equal(copy->values[copy->inputs[0]].symbols[0], "N");
    assert_int_equal(copy->node_count, graph->node_count);
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    assert_int_equal(copy->node_count, 5); /* the copy is its own */
    assert_int_equal(sq_graph_infer(copy, evaluate, NULL), SQUALL_OK);
    assert_same_output(graph, copy, 0);
    sq_graph_destroy(&copy);
    sq_graph_destroy(&graph);
}

/* A convolution as PyTorch leaves it behind when it exports for training, and dead code beside it.
 */
static sq_graph *make_block(void)
{
    sq_graph *graph = sq_graph_create();
    const int64_t four[] = {4};
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, (int64_t[]){1, 3, 6, 5});
    const uint32_t w = add_floats(graph, "w", 4, (int64_t[]){4, 3, 3, 3}, 1);
    const uint32_t conv = add_op(graph, SQ_OP_Conv, "conv", INPUTS(x, w));
    const uint32_t same = add_op(graph, SQ_OP_Identity, "same", INPUTS(conv));
    const uint32_t raw = add_floats(graph, "raw", 1, four, 5);
    const uint32_t variance = add_op(graph, SQ_OP_Sigmoid, "variance", INPUTS(raw));
    const uint32_t norm = add_op(graph, SQ_OP_BatchNormalization, "norm",
                                 INPUTS(same, add_floats(graph, "scale", 1, four, 2),
                                        add_floats(graph, "shift", 1, four, 3),
                                        add_floats(graph, "mean", 1, four, 4), variance));
    add_op(graph, SQ_OP_Tanh, "unused", INPUTS(norm));
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(norm)));
    return graph;
}

static void test_optimise(void **state)
{
    (void)state;
    sq_graph *graph = make_block();
    squall_notes *notes = squall_notes_create();
    assert_int_equal(sq_graph_infer(graph, evaluate, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    assert_int_equal(sq_graph_optimise(graph, evaluate, NULL, notes, NULL), SQUALL_OK);
    assert_int_equal(graph->node_count, 1);
    assert_int_equal(graph->nodes[0].op, SQ_OP_Conv);
    assert_int_equal(sq_attr_int(&graph->nodes[0].attrs, "sq_activation", 0), SQ_ACT_RELU);
    assert_string_equal(output_name(graph, 0), "y");
    assert_same_output(before, graph, 1e-6);
    assert_int_equal(squall_notes_count(notes), 4);
    assert_non_null(strstr(squall_notes_get(notes, 0), "pass dead code: 1 "));
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
    squall_notes_destroy(&notes);
}

/* Each allocation fails once; what is left can always be destroyed. */
static void test_no_memory(void **state)
{
    (void)state;
    bool done = false;
    long n = 0;
    sq_graph *whole = make_block();
    for (; !done; n++) {
        sq_graph *graph = NULL;
        squall_status status;
        sq_memory_fail_at(n);
        status = sq_graph_copy(whole, &graph, NULL);
        if (status == SQUALL_OK) {
            status = sq_graph_sort(graph, NULL);
        }
        if (status == SQUALL_OK) {
            status = sq_graph_infer(graph, evaluate, NULL);
        }
        if (status == SQUALL_OK) {
            status = sq_graph_optimise(graph, evaluate, NULL, NULL, NULL);
        }
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        done = status == SQUALL_OK;
        sq_graph_destroy(&graph);
    }
    assert_true(n > 50);
    sq_memory_fail_at(0);
    assert_null(sq_graph_create());
    sq_memory_fail_at(-1);
    sq_graph_destroy(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_infer_folds_shapes),
        cmocka_unit_test(test_infer_without_evaluator),
        cmocka_unit_test(test_shape_and_size),
        cmocka_unit_test(test_infer_leaves_large_ones),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_huge_input),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_long),
        cmocka_unit_test(test_broken_graphs),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_optimise),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
