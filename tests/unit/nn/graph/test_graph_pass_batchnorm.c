/* tests/unit/nn/graph/test_graph_pass_batchnorm.c - BatchNormalization goes into the weights. */
#include <stdio.h>

#include "graph_fixture.h"

/* A BatchNormalization of `channels` behind `value`; its variance is positive. */
static uint32_t add_norm(sq_graph *graph, const char *name, uint32_t value, int64_t channels)
{
    squall_tensor variance;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &channels, &variance));
    for (int64_t i = 0; i < channels; i++) {
        ((float *)variance.data)[i] = 0.3f + 0.7f * (float)i;
    }
    char names[4][32];
    static const char *const parts[] = {"scale", "shift", "mean", "variance"};
    for (int i = 0; i < 4; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s.%s", name, parts[i]);
    }
    const uint32_t scale = add_floats(graph, names[0], 1, &channels, 11);
    const uint32_t shift = add_floats(graph, names[1], 1, &channels, 12);
    const uint32_t mean = add_floats(graph, names[2], 1, &channels, 13);
    const uint32_t spread = sq_graph_add_constant(graph, names[3], &variance);
    const uint32_t out =
        add_op(graph, SQ_OP_BatchNormalization, name, INPUTS(value, scale, shift, mean, spread));
    assert_true(sq_attr_set_float(last_attrs(graph), "epsilon", 1e-3f));
    return out;
}

/* The pass merges `merges` pairs, `left` normalisations stay, and the output stays. */
static void check(sq_graph *graph, uint32_t merges, uint32_t left)
{
    uint32_t changes;
    squall_error err = {0};
    if (sq_graph_infer(graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_graph *before = copy_graph(graph);
    assert_int_equal(sq_pass_batch_norm(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, merges);
    assert_int_equal(count_ops(graph, SQ_OP_BatchNormalization), left);
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    assert_int_equal(sq_graph_infer(graph, NULL, NULL), SQUALL_OK);
    assert_same_output(before, graph, 1e-6);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

static sq_graph *make_empty(int64_t channels)
{
    sq_graph *graph = sq_graph_create();
    (void)add_input(graph, "x", SQUALL_F32, 4, (int64_t[]){2, channels, 5, 4});
    return graph;
}

static void test_conv(void **state)
{
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        for (int64_t groups = 1; groups <= 2; groups++) {
            sq_graph *graph = make_empty(4);
            const uint32_t inputs[] = {graph->inputs[0],
                                       add_floats(graph, "w", 4, (int64_t[]){6, 4 / groups, 3, 3},
                                                  1),
                                       add_floats(graph, "b", 1, (int64_t[]){6}, 2)};
            const uint32_t conv = add_op(graph, SQ_OP_Conv, "conv", inputs, bias ? 3 : 2);
            assert_true(sq_attr_set_int(last_attrs(graph), "group", groups));
            add_output(graph, add_norm(graph, "norm", conv, 6));
            check(graph, 1, 0);
        }
    }
}

static void test_conv_transpose(void **state)
{
    (void)state;
    for (int64_t groups = 1; groups <= 2; groups++) {
        sq_graph *graph = make_empty(4);
        const uint32_t inputs[] = {graph->inputs[0],
                                   add_floats(graph, "w", 4, (int64_t[]){4, 3, 2, 3}, 1),
                                   add_floats(graph, "b", 1, (int64_t[]){3 * groups}, 2)};
        const uint32_t conv = add_op(graph, SQ_OP_ConvTranspose, "conv", inputs, 3);
        assert_true(sq_attr_set_int(last_attrs(graph), "group", groups));
        assert_true(sq_attr_set_ints(last_attrs(graph), "strides", (int64_t[]){2, 1}, 2));
        add_output(graph, add_norm(graph, "norm", conv, 3 * groups));
        check(graph, 1, 0);
    }
}

static void test_gemm(void **state)
{
    (void)state;
    static const struct {
        int64_t transposed, dims[2];
        uint32_t rank;
        bool goes;
    } biases[] = {{0, {5}, 1, true},     {1, {1, 5}, 2, true},  {1, {1}, 1, true},
                  {0, {3, 5}, 2, false}, {0, {3, 1}, 2, false}, {1, {0}, 0, true}};
    for (size_t i = 0; i < sizeof biases / sizeof biases[0]; i++) {
        sq_graph *graph = sq_graph_create();
        const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, (int64_t[]){3, 4});
        const int64_t plain[] = {4, 5}, transposed[] = {5, 4};
        const uint32_t inputs[] = {x,
                                   add_floats(graph, "w", 2,
                                              biases[i].transposed ? transposed : plain, 1),
                                   add_floats(graph, "b", biases[i].rank, biases[i].dims, 2)};
        const uint32_t gemm = add_op(graph, SQ_OP_Gemm, "gemm", inputs, 3);
        assert_true(sq_attr_set_int(last_attrs(graph), "transB", biases[i].transposed));
        assert_true(sq_attr_set_float(last_attrs(graph), "alpha", 0.7f));
        assert_true(sq_attr_set_float(last_attrs(graph), "beta", 1.3f));
        add_output(graph, add_norm(graph, "norm", gemm, 5));
        check(graph, biases[i].goes, !biases[i].goes);
    }
}

/* Weights that two convolutions share are copied for the one that is normalised. */
static void test_shared_weights(void **state)
{
    (void)state;
    sq_graph *graph = make_empty(3);
    const uint32_t w = add_floats(graph, "w", 4, (int64_t[]){3, 3, 1, 1}, 1);
    (void)add_floats(graph, "w.1", 1, (int64_t[]){1}, 1); /* the name that a copy would get */
    const uint32_t a = add_op(graph, SQ_OP_Conv, "a", INPUTS(graph->inputs[0], w));
    const uint32_t b = add_op(graph, SQ_OP_Conv, "b", INPUTS(a, w));
    const uint32_t first = add_norm(graph, "first", b, 3);
    const uint32_t second = add_norm(graph, "second", first, 3); /* follows into the same node */
    add_output(graph, second);
    check(graph, 2, 0);
}

static void test_left_alone(void **state)
{
    (void)state;
    /* the convolution's own output is wanted too */
    sq_graph *graph = make_empty(3);
    const uint32_t w = add_floats(graph, "w", 4, (int64_t[]){3, 3, 1, 1}, 1);
    uint32_t conv = add_op(graph, SQ_OP_Conv, "conv", INPUTS(graph->inputs[0], w));
    add_output(graph, add_norm(graph, "norm", conv, 3));
    add_output(graph, conv);
    check(graph, 0, 1);
    /* weights that are not constant */
    graph = make_empty(3);
    const uint32_t given = add_input(graph, "w", SQUALL_F32, 4, (int64_t[]){3, 3, 1, 1});
    conv = add_op(graph, SQ_OP_Conv, "conv", INPUTS(graph->inputs[0], given));
    add_output(graph, add_norm(graph, "norm", conv, 3));
    check(graph, 0, 1);
    /* an activation stands between: here it is in the convolution already */
    graph = make_empty(3);
    const uint32_t v = add_floats(graph, "w", 4, (int64_t[]){3, 3, 1, 1}, 1);
    conv = add_op(graph, SQ_OP_Conv, "conv", INPUTS(graph->inputs[0], v));
    assert_true(sq_attr_set_int(last_attrs(graph), "sq_activation", SQ_ACT_RELU));
    add_output(graph, add_norm(graph, "norm", conv, 3));
    check(graph, 0, 1);
    /* nothing before it */
    graph = make_empty(3);
    add_output(graph, add_norm(graph, "norm", graph->inputs[0], 3));
    check(graph, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),       cmocka_unit_test(test_conv_transpose),
        cmocka_unit_test(test_gemm),       cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
