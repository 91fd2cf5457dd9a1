/* tests/unit/nn/compile/test_quantise_layers.c - layers put into 8 bits: what they read becomes
 * their own input, and they give what they gave, but for the rounding. */
#include "nn/compile/compile_quant.h"
#include "nn/compile/pass_fixture.h"

static const int64_t image[4] = {1, 6, 8, 10}, half[4] = {1, 5, 4, 5};

static sq_graph *new_graph(void)
{
    sq_graph *graph = sq_graph_create();
    assert_non_null(graph);
    return graph;
}

static uint32_t add_layer(sq_graph *graph, sq_op op, uint32_t x, const int64_t weights[4],
                          int64_t outputs)
{
    const uint32_t w = add_floats(graph, "w", 4, weights, 5);
    const uint32_t b = add_floats(graph, "b", 1, &outputs, 9);
    const uint32_t y = add_op(graph, op, "layer", INPUTS(x, w, b));
    assert_true(sq_attr_set_ints(last_attrs(graph), "pads", (const int64_t[]){1, 1, 1, 1}, 4));
    return y;
}

static uint32_t add_twice(sq_graph *graph, uint32_t x)
{
    static const float by[4] = {1, 1, 2, 2};
    const int64_t four = 4;
    squall_tensor scales;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &four, &scales));
    memcpy(scales.data, by, sizeof by);
    const uint32_t value = sq_graph_add_constant(graph, "by", &scales);
    const uint32_t y = add_op(graph, SQ_OP_Resize, "twice", INPUTS(x, SQ_NO_VALUE, value));
    sq_attrs *attrs = last_attrs(graph);
    assert_true(sq_attr_set_string(attrs, "coordinate_transformation_mode", "asymmetric", 10) &&
                sq_attr_set_string(attrs, "nearest_mode", "floor", 5));
    return y;
}

/* Put the layer into 8 bits: the inputs lie within -3..3. */
static void quantise(sq_graph *graph)
{
    char names[2][8] = {"x", "z"}, layer[] = "layer";
    sq_quant_value values[2] = {{.name = names[0], .low = -3, .high = 3},
                                {.name = names[1], .low = -3, .high = 3}};
    sq_quant_layer layers[1] = {{.name = layer, .on = true}};
    const sq_quant quant = {.values = values, .value_count = 2, .layers = layers, .layer_count = 1};
    squall_error err = {.code = SQUALL_OK};
    if (sq_quant_apply(graph, &quant, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
}

static uint32_t living(const sq_graph *graph, sq_op op)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        count += !graph->nodes[n].dead && graph->nodes[n].op == op;
    }
    return count;
}

/* A layer on its own; the graph is given. */
static void check(sq_graph *graph, uint32_t y, uint32_t images)
{
    add_output(graph, y);
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    quantise(graph);
    assert_int_equal(living(graph, SQ_OP_SqQConv), 1);
    assert_int_equal(living(graph, SQ_OP_QuantizeLinear), images);
    assert_int_equal(living(graph, SQ_OP_Concat) + living(graph, SQ_OP_Resize) +
                         living(graph, SQ_OP_Conv) + living(graph, SQ_OP_ConvTranspose),
                     0);
    assert_same_on_ref(before, graph, 0.02); /* 6/255 an input, 1/127 a weight, many of them */
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

static void test_depthwise(void **state)
{
    (void)state;
    sq_graph *graph = new_graph();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, image);
    const uint32_t y = add_layer(graph, SQ_OP_Conv, x, (const int64_t[]){12, 1, 3, 3}, 12);
    assert_true(sq_attr_set_int(last_attrs(graph), "group", 6));
    check(graph, y, 1);
}

/* Of two images that are joined, each with a range of its own. */
static void test_depthwise_joined(void **state)
{
    (void)state;
    static const int64_t wide[4] = {1, 16, 8, 10};
    sq_graph *graph = new_graph();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, wide);
    const uint32_t z = add_input(graph, "z", SQUALL_F32, 4, image);
    const uint32_t joined = add_op(graph, SQ_OP_Concat, "join", INPUTS(x, z));
    assert_true(sq_attr_set_int(last_attrs(graph), "axis", 1));
    const uint32_t y = add_layer(graph, SQ_OP_Conv, joined, (const int64_t[]){22, 1, 3, 3}, 22);
    assert_true(sq_attr_set_int(last_attrs(graph), "group", 22));
    check(graph, y, 2);
}

static void test_transposed(void **state)
{
    (void)state;
    sq_graph *graph = new_graph();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, image);
    const uint32_t y = add_layer(graph, SQ_OP_ConvTranspose, x, (const int64_t[]){6, 7, 4, 4}, 7);
    assert_true(sq_attr_set_ints(last_attrs(graph), "strides", (const int64_t[]){2, 2}, 2));
    check(graph, y, 1);
}

static void test_enlarged(void **state)
{
    (void)state;
    for (int joined = 0; joined < 2; joined++) {
        sq_graph *graph = new_graph();
        const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, half);
        uint32_t y = add_twice(graph, x);
        if (joined) {
            const uint32_t z = add_input(graph, "z", SQUALL_F32, 4, image);
            y = add_op(graph, SQ_OP_Concat, "join", INPUTS(y, z));
            assert_true(sq_attr_set_int(last_attrs(graph), "axis", 1));
        }
        const int64_t weights[4] = {4, joined ? 11 : 5, 3, 3};
        check(graph, add_layer(graph, SQ_OP_Conv, y, weights, 4), joined ? 2 : 1);
    }
}

/* A transposed convolution that slides otherwise stays as it is. */
static void test_refused(void **state)
{
    (void)state;
    sq_graph *graph = new_graph();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, image);
    (void)add_layer(graph, SQ_OP_ConvTranspose, x, (const int64_t[]){6, 7, 4, 4}, 7);
    assert_false(sq_quant_can(graph, &graph->nodes[0])); /* steps of 1 */
    assert_true(sq_attr_set_ints(last_attrs(graph), "strides", (const int64_t[]){2, 2}, 2));
    assert_true(sq_quant_can(graph, &graph->nodes[0]));
    assert_true(sq_attr_set_ints(last_attrs(graph), "output_padding", (const int64_t[]){1, 1}, 2));
    assert_false(sq_quant_can(graph, &graph->nodes[0]));
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depthwise),  cmocka_unit_test(test_depthwise_joined),
        cmocka_unit_test(test_transposed), cmocka_unit_test(test_enlarged),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
