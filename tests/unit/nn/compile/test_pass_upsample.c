/* tests/unit/nn/compile/test_pass_upsample.c - a 1 x 1 convolution comes before a linear
 * upsampling. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 4, 3, 5};

static sq_graph *make(const char *mode, const char *coordinates, int64_t channels, int64_t kernel,
                      float scale)
{
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    squall_tensor scales;
    const int64_t four = 4, shape[] = {channels, 4, kernel, kernel};
    assert_true(sq_tensor_make(SQUALL_F32, 1, &four, &scales));
    memcpy(scales.data, ((float[]){1, 1, scale, scale}), 4 * sizeof(float));
    const uint32_t s = sq_graph_add_constant(graph, "scales", &scales);
    const uint32_t up = add_op(graph, SQ_OP_Resize, "up", INPUTS(x, SQ_NO_VALUE, s));
    assert_true(sq_attr_set_string(last_attrs(graph), "mode", mode, strlen(mode)));
    assert_true(sq_attr_set_string(last_attrs(graph), "coordinate_transformation_mode", coordinates,
                                   strlen(coordinates)));
    const uint32_t w = add_floats(graph, "w", 4, shape, 1);
    const uint32_t b = add_floats(graph, "b", 1, &channels, 2);
    add_output(graph, add_op(graph, SQ_OP_Conv, "y", INPUTS(up, w, b)));
    return graph;
}

static void test_traded(void **state)
{
    (void)state;
    static const char *const coordinates[] = {"half_pixel", "align_corners", "asymmetric",
                                              "pytorch_half_pixel"};
    for (int c = 0; c < 4; c++) {
        sq_graph *graph = make("linear", coordinates[c], c + 1, 1, c == 2 ? 1.7f : 2.0f);
        if (c == 0) {
            check_pass_memory(graph, sq_pass_upsample);
        }
        assert_int_equal(check_pass(graph, sq_pass_upsample, 1e-6), 1);
        assert_int_equal(graph->nodes[0].op, SQ_OP_Conv);
        assert_int_equal(graph->nodes[1].op, SQ_OP_Resize);
        sq_graph_destroy(&graph);
    }
}

/* More channels behind it, a larger kernel, numbers that are taken as they are, a shrinking. */
static void test_left_alone(void **state)
{
    (void)state;
    sq_graph *graphs[] = {make("linear", "half_pixel", 5, 1, 2),
                          make("linear", "half_pixel", 2, 3, 2),
                          make("nearest", "asymmetric", 2, 1, 2),
                          make("linear", "half_pixel", 2, 1, 0.5f)};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        if (i == 1) {
            graphs[i]->values[graphs[i]->inputs[0]].type.dims[2] = 4;
        }
        assert_int_equal(check_pass(graphs[i], sq_pass_upsample, 0), 0);
        sq_graph_destroy(&graphs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traded),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
