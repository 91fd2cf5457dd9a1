/* tests/unit/nn/compile/test_pass_fuse.c - several nodes become one: what a convolution joins, and
 * a depthwise convolution with the 1 x 1 behind it. */
#include "nn/compile/pass_fixture.h"

static const int64_t small[] = {2, 16, 3, 4}, wide[] = {2, 5, 6, 8}, same[] = {2, 16, 6, 8};

static uint32_t add_double(sq_graph *graph, uint32_t x, const char *way, const char *round)
{
    squall_tensor scales;
    const int64_t four = 4;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &four, &scales));
    for (int i = 0; i < 4; i++) {
        ((float *)scales.data)[i] = i < 2 ? 1.0f : 2.0f;
    }
    const uint32_t by = sq_graph_add_constant(graph, "scales", &scales);
    const uint32_t y = add_op(graph, SQ_OP_Resize, "twice", INPUTS(x, SQ_NO_VALUE, by));
    sq_node *node = &graph->nodes[graph->node_count - 1];
    assert_true(sq_attr_set_string(&node->attrs, "mode", "nearest", 7));
    assert_true(
        sq_attr_set_string(&node->attrs, "coordinate_transformation_mode", way, strlen(way)));
    assert_true(sq_attr_set_string(&node->attrs, "nearest_mode", round, strlen(round)));
    return y;
}

static uint32_t add_conv(sq_graph *graph, uint32_t x, const int64_t *kernel, bool bias,
                         int64_t group, sq_activation act)
{
    const int64_t pads[] = {kernel[2] / 2, kernel[3] / 2, kernel[2] / 2, kernel[3] / 2};
    const uint32_t w = add_floats(graph, "w", 4, kernel, 1);
    const uint32_t b = bias ? add_floats(graph, "b", 1, kernel, 2) : SQ_NO_VALUE;
    const uint32_t inputs[] = {x, w, b};
    const uint32_t y = add_op(graph, SQ_OP_Conv, "conv", inputs, bias ? 3 : 2);
    sq_node *node = &graph->nodes[graph->node_count - 1];
    assert_true(sq_attr_set_ints(&node->attrs, "pads", pads, 4));
    assert_true(sq_attr_set_int(&node->attrs, "group", group));
    if (act != SQ_ACT_NONE) {
        const float params[] = {0.25f};
        assert_true(sq_attr_set_int(&node->attrs, "sq_activation", act));
        assert_true(sq_attr_set_floats(&node->attrs, "sq_activation_params", params, 1));
    }
    return y;
}

static uint32_t add_concat(sq_graph *graph, uint32_t a, uint32_t b, int64_t axis)
{
    const uint32_t y = add_op(graph, SQ_OP_Concat, "concat", INPUTS(a, b));
    assert_true(sq_attr_set_int(&graph->nodes[graph->node_count - 1].attrs, "axis", axis));
    return y;
}

/* Both an image of half the size and one of full size go into a 3x3 convolution. */
static sq_graph *make_join(bool bias, bool halves, int64_t axis)
{
    static const int64_t kernel[] = {3, 21, 3, 3};
    sq_graph *graph = sq_graph_create();
    const uint32_t a = add_input(graph, "a", SQUALL_F32, 4, small);
    const uint32_t b = add_input(graph, "b", SQUALL_F32, 4, wide);
    const uint32_t up = halves ? add_double(graph, a, "half_pixel", "round_prefer_floor")
                               : add_double(graph, a, "asymmetric", "floor");
    add_output(graph,
               add_conv(graph, add_concat(graph, up, b, axis), kernel, bias, 1, SQ_ACT_LEAKY_RELU));
    return graph;
}

static void test_join(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        sq_graph *graph = make_join(form & 1, form >> 1 & 1, form == 3 ? -3 : 1);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_join);
        }
        assert_int_equal(check_pass(graph, sq_pass_join, 1e-6), 1);
        assert_int_equal(graph->node_count, 1);
        assert_int_equal(graph->nodes[0].op, SQ_OP_SqConvJoin);
        assert_int_equal(graph->nodes[0].in_count, 4);
        sq_graph_destroy(&graph);
    }
}

static void test_doubled_alone(void **state)
{
    (void)state;
    static const int64_t kernel[] = {3, 16, 3, 3};
    sq_graph *graph = sq_graph_create();
    const uint32_t a = add_input(graph, "a", SQUALL_F32, 4, small);
    add_output(graph, add_conv(graph, add_double(graph, a, "asymmetric", "floor"), kernel, true, 1,
                               SQ_ACT_NONE));
    assert_int_equal(check_pass(graph, sq_pass_join, 1e-6), 1);
    assert_int_equal(graph->node_count, 1);
    sq_graph_destroy(&graph);
}

static void test_join_left_alone(void **state)
{
    (void)state;
    static const int64_t kernel[] = {3, 32, 3, 3}, odd[] = {3, 21, 3, 3}, point[] = {3, 32, 1, 1};
    for (int form = 0; form < 4; form++) {
        sq_graph *graph = sq_graph_create();
        const uint32_t a = add_input(graph, "a", SQUALL_F32, 4, same);
        const uint32_t b = add_input(graph, "b", SQUALL_F32, 4, form == 0 ? wide : same);
        const uint32_t joined = form == 0 ? add_concat(graph, b, a, 1) : add_concat(graph, a, b, 1);
        add_output(graph, add_conv(graph, joined,
                                   form == 0   ? odd /* no whole blocks first */
                                   : form == 1 ? point
                                               : kernel,
                                   true, 1, SQ_ACT_NONE));
        if (form == 2) {
            add_output(graph, joined); /* somebody needs it */
        }
        if (form == 3) {
            const int64_t strides[] = {2, 2};
            assert_true(sq_attr_set_ints(&graph->nodes[1].attrs, "strides", strides, 2));
        }
        assert_int_equal(check_pass(graph, sq_pass_join, 0), 0);
        sq_graph_destroy(&graph);
    }
}

static sq_graph *make_depth(bool bias, sq_activation between, int64_t group)
{
    static const int64_t dims[] = {1, 4, 5, 7}, points[] = {3, 8, 1, 1};
    const int64_t kernel[] = {8, 4 / group, 3, 3};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t y = add_conv(graph, x, kernel, bias, group, between);
    add_output(graph, add_conv(graph, y, points, bias, 1, SQ_ACT_RELU));
    return graph;
}

static void test_depth(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        sq_graph *graph = make_depth(form & 1, form >> 1 ? SQ_ACT_LEAKY_RELU : SQ_ACT_NONE, 4);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_depth);
        }
        assert_int_equal(check_pass(graph, sq_pass_depth, 1e-6), 1);
        assert_int_equal(graph->node_count, 1);
        assert_int_equal(graph->nodes[0].op, SQ_OP_SqConvDepth);
        sq_graph_destroy(&graph);
    }
}

static void test_depth_left_alone(void **state)
{
    (void)state;
    sq_graph *graph = make_depth(true, SQ_ACT_NONE, 2); /* not depthwise */
    assert_int_equal(check_pass(graph, sq_pass_depth, 0), 0);
    sq_graph_destroy(&graph);
    graph = make_depth(true, SQ_ACT_NONE, 4);
    add_output(graph, graph->nodes[0].outputs[0]); /* somebody needs what is between */
    assert_int_equal(check_pass(graph, sq_pass_depth, 0), 0);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_doubled_alone),
        cmocka_unit_test(test_join_left_alone),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
