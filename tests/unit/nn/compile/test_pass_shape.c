/* tests/unit/nn/compile/test_pass_shape.c - shapes in constants: true of any batch afterwards. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 3, 4, 6};

static void test_reshape(void **state)
{
    (void)state;
    static const int64_t flat[] = {2, 12, 6}, merged[] = {6, 24};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    add_output(graph, add_op(graph, SQ_OP_Reshape, "y", INPUTS(x, add_ints(graph, "s", flat, 3))));
    add_output(graph,
               add_op(graph, SQ_OP_Reshape, "z", INPUTS(x, add_ints(graph, "t", merged, 2))));
    check_pass_memory(graph, sq_pass_shape);
    assert_int_equal(check_pass(graph, sq_pass_shape, 0), 2);
    /* The same graph takes another batch now. */
    graph->values[x].type.dims[0] = 5;
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    assert_int_equal(graph->values[graph->outputs[0]].type.dims[0], 5);
    assert_int_equal(graph->values[graph->outputs[1]].type.dims[0], 15);
    sq_graph_destroy(&graph);
}

/* What is open already, copies sizes, or is worked out when it runs, stays. */
static void test_reshape_left_alone(void **state)
{
    (void)state;
    static const int64_t open[] = {2, -1}, copied[] = {0, 3, 24}, one[] = {144};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    add_output(graph, add_op(graph, SQ_OP_Reshape, "a", INPUTS(x, add_ints(graph, "s", open, 2))));
    add_output(graph,
               add_op(graph, SQ_OP_Reshape, "b", INPUTS(x, add_ints(graph, "t", copied, 3))));
    add_output(graph, add_op(graph, SQ_OP_Reshape, "c", INPUTS(x, add_ints(graph, "u", one, 1))));
    assert_int_equal(check_pass(graph, sq_pass_shape, 0), 0);
    sq_graph_destroy(&graph);
}

static sq_graph *make_resize(const int64_t *sizes, const char *mode, const char *coordinates)
{
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t s = add_ints(graph, "sizes", sizes, 4);
    add_output(graph, add_op(graph, SQ_OP_Resize, "y", INPUTS(x, SQ_NO_VALUE, SQ_NO_VALUE, s)));
    assert_true(sq_attr_set_string(last_attrs(graph), "mode", mode, strlen(mode)));
    assert_true(sq_attr_set_string(last_attrs(graph), "coordinate_transformation_mode", coordinates,
                                   strlen(coordinates)));
    return graph;
}

static void test_resize(void **state)
{
    (void)state;
    static const char *const modes[] = {"nearest", "linear"};
    static const char *const coordinates[] = {"asymmetric", "half_pixel", "align_corners",
                                              "pytorch_half_pixel"};
    static const int64_t all_sizes[][4] = {{2, 3, 8, 12},
                                           {2, 3, 12, 6},
                                           {2, 3, 2, 6},
                                           {2, 3, 1, 12}};
    for (int m = 0; m < 2; m++) {
        for (int c = 0; c < 4; c++) {
            for (int s = 0; s < 4; s++) {
                sq_graph *graph = make_resize(all_sizes[s], modes[m], coordinates[c]);
                assert_int_equal(check_pass(graph, sq_pass_shape, 0), 1);
                graph->values[graph->inputs[0]].type.dims[0] = 7;
                assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
                const squall_tensor *out = &graph->values[graph->outputs[0]].type;
                assert_int_equal(out->dims[0], 7);
                assert_int_equal(out->dims[2], all_sizes[s][2]);
                assert_int_equal(out->dims[3], all_sizes[s][3]);
                sq_graph_destroy(&graph);
            }
        }
    }
}

/* A ratio that no float holds for certain. */
static void test_resize_left_alone(void **state)
{
    (void)state;
    static const int64_t odd[][4] = {{2, 3, 5, 12}, {2, 3, 4, 2}};
    for (int s = 0; s < 2; s++) {
        sq_graph *graph = make_resize(odd[s], "nearest", "asymmetric");
        assert_int_equal(check_pass(graph, sq_pass_shape, 0), 0);
        sq_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_reshape_left_alone),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
