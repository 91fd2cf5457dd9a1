/* tests/unit/nn/compile/test_pass_bias.c - constants added behind a convolution go into its bias.
 */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 3, 5, 6}, kernels[] = {4, 3, 3, 3};

/* Conv (with a bias when `bias`) plus a constant of a shape. */
static sq_graph *make(bool bias, uint32_t rank, const int64_t *shape, bool swap)
{
    sq_graph *graph = sq_graph_create();
    const int64_t channels = 4;
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t w = add_floats(graph, "w", 4, kernels, 1);
    const uint32_t b = bias ? add_floats(graph, "b", 1, &channels, 2) : SQ_NO_VALUE;
    const uint32_t inputs[] = {x, w, b};
    const uint32_t y = add_op(graph, SQ_OP_Conv, "conv", inputs, bias ? 3 : 2);
    const uint32_t more = add_floats(graph, "more", rank, shape, 3);
    add_output(graph, swap ? add_op(graph, SQ_OP_Add, "y", INPUTS(more, y))
                           : add_op(graph, SQ_OP_Add, "y", INPUTS(y, more)));
    return graph;
}

static void test_taken_in(void **state)
{
    (void)state;
    static const int64_t channels[] = {4, 1, 1}, whole[] = {1, 4, 1, 1};
    for (int form = 0; form < 8; form++) {
        const int kind = form >> 1 & 3;
        sq_graph *graph = make(form & 1,
                               kind == 0   ? 3
                               : kind == 1 ? 4
                                           : 0,
                               kind == 0 ? channels : whole, kind == 3);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_bias);
        }
        assert_int_equal(check_pass(graph, sq_pass_bias, 1e-6), 1);
        assert_int_equal(graph->node_count, 1);
        assert_int_equal(graph->nodes[0].in_count, 3);
        sq_graph_destroy(&graph);
    }
}

static void test_left_alone(void **state)
{
    (void)state;
    static const int64_t column[] = {4}, image[] = {1, 4, 3, 4}, wide[] = {4, 4, 1, 1};
    sq_graph *graph = make(false, 1, column, false); /* a number for each column */
    assert_int_equal(check_pass(graph, sq_pass_bias, 0), 0);
    sq_graph_destroy(&graph);
    graph = make(false, 4, image, false); /* for each pixel */
    assert_int_equal(check_pass(graph, sq_pass_bias, 0), 0);
    sq_graph_destroy(&graph);
    graph = make(false, 0, NULL, false); /* somebody needs the sum without it */
    add_output(graph, graph->nodes[0].outputs[0]);
    assert_int_equal(check_pass(graph, sq_pass_bias, 0), 0);
    sq_graph_destroy(&graph);
    graph = make(false, 4, wide, false); /* it makes four of one image */
    graph->values[graph->inputs[0]].type.dims[0] = 1;
    assert_int_equal(check_pass(graph, sq_pass_bias, 0), 0);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_in),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
