/* tests/unit/nn/compile/test_pass_hoist.c - what a recurrence takes from the input of the network
 * is worked out for all steps of time at once. */
#include "nn/compile/pass_fixture.h"

enum { X = 64, H = 66 };

/* h = tanh(conv([x_t, h] or [x_t, h, s])) for each of `steps`; x_t are inputs, or the last state.
 */
static sq_graph *make(int steps, bool bias, bool three, bool feedback, int64_t height,
                      int64_t x_channels)
{
    static const int64_t one[] = {1, 1, 1, 1};
    const int64_t first_dims[] = {1, x_channels, height, 6}, then_dims[] = {1, H, height, 6};
    const int64_t kernels[] = {H, x_channels + H * (three ? 2 : 1), 3, 3}, channels = H;
    sq_graph *graph = sq_graph_create();
    uint32_t h = add_input(graph, "h", SQUALL_F32, 4, then_dims);
    const uint32_t s = three ? add_input(graph, "s", SQUALL_F32, 4, then_dims) : SQ_NO_VALUE;
    const uint32_t w = add_floats(graph, "w", 4, kernels, 1);
    const uint32_t b = bias ? add_floats(graph, "b", 1, &channels, 2) : SQ_NO_VALUE;
    for (int t = 0; t < steps; t++) {
        uint32_t x;
        if (feedback && t > 0) {
            const int64_t start = 0, end = X, axis = 1;
            x = add_op(graph, SQ_OP_Slice, "cut",
                       INPUTS(h, add_ints(graph, "s", &start, 1), add_ints(graph, "e", &end, 1),
                              add_ints(graph, "a", &axis, 1)));
        } else {
            x = add_input(graph, "x", SQUALL_F32, 4, first_dims);
        }
        const uint32_t joined[] = {x, h, s}, inputs[] = {0, w, b};
        uint32_t conv_in[3];
        conv_in[0] = add_op(graph, SQ_OP_Concat, "join", joined, three ? 3 : 2);
        assert_true(sq_attr_set_int(last_attrs(graph), "axis", 1));
        memcpy(conv_in + 1, inputs + 1, 2 * sizeof *inputs);
        h = add_op(graph, SQ_OP_Conv, "conv", conv_in, bias ? 3 : 2);
        assert_true(sq_attr_set_ints(last_attrs(graph), "pads", one, 4));
        h = add_op(graph, SQ_OP_Tanh, "h", INPUTS(h));
    }
    add_output(graph, h);
    return graph;
}

static void test_hoisted(void **state)
{
    (void)state;
    for (int form = 0; form < 8; form++) {
        const int steps = form & 4 ? 5 : 2;
        sq_graph *graph = make(steps, form & 1, form & 2, false, 5, X);
        if (form == 3) {
            check_pass_memory(graph, sq_pass_hoist);
        }
        assert_int_equal(check_pass(graph, sq_pass_hoist, 1e-4), steps);
        assert_int_equal(count_ops(graph, SQ_OP_Conv), steps + 1);
        assert_int_equal(count_ops(graph, SQ_OP_Split), 1);
        assert_int_equal(count_ops(graph, SQ_OP_Concat), form & 2 ? steps + 1 : 1);
        /* Any batch: the parts are shared out of what there is. */
        for (uint32_t i = 0; i < graph->input_count; i++) {
            graph->values[graph->inputs[i]].type.dims[0] = 3;
        }
        assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
        assert_int_equal(graph->values[graph->outputs[0]].type.dims[0], 3);
        sq_graph_destroy(&graph);
    }
}

/* An input that is the last output, images that are large enough by themselves, one step, inputs of
 * few channels. */
static void test_left_alone(void **state)
{
    (void)state;
    sq_graph *graphs[] = {make(3, true, false, true, 5, X), make(3, true, false, false, 50, X),
                          make(1, true, false, false, 5, X), make(3, true, false, false, 5, 2)};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        assert_int_equal(check_pass(graphs[i], sq_pass_hoist, 0), 0);
        sq_graph_destroy(&graphs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hoisted),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
