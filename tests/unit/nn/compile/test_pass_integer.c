/* tests/unit/nn/compile/test_pass_integer.c - convolutions between DequantizeLinear and
 * QuantizeLinear work on the integers. Scales are powers of two and biases whole, so that float and
 * integers must come to the same bits. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {1, 4, 6, 5};

static uint32_t add_scale(sq_graph *graph, const float *scales, int64_t count)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_F32, count > 1, &count, &tensor));
    memcpy(tensor.data, scales, (size_t)count * sizeof *scales);
    return sq_graph_add_constant(graph, "scale", &tensor);
}

static uint32_t add_zero(sq_graph *graph, squall_dtype dtype, int64_t count, int zero)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(dtype, count > 1, &count, &tensor));
    memset(tensor.data, zero, (size_t)count);
    return sq_graph_add_constant(graph, "zero", &tensor);
}

static uint32_t change(sq_graph *graph, sq_op op, uint32_t x, float scale, squall_dtype dtype,
                       int zero)
{
    return add_op(graph, op, "q",
                  INPUTS(x, add_scale(graph, &scale, 1), add_zero(graph, dtype, 1, zero)));
}

/* Integers with a scale each output channel. */
static uint32_t add_weights(sq_graph *graph, int64_t outputs, int64_t channels, int zero)
{
    static const float scales[3] = {0.0625f, 0.125f, 0.03125f};
    const int64_t shape[4] = {outputs, channels, 3, 3};
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_I8, 4, shape, &tensor));
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        ((int8_t *)tensor.data)[i] = (int8_t)((int)(i * 37 % 255) - 127);
    }
    const uint32_t w = sq_graph_add_constant(graph, "w", &tensor);
    const uint32_t y = add_op(graph, SQ_OP_DequantizeLinear, "dw",
                              INPUTS(w, add_scale(graph, scales, outputs),
                                     add_zero(graph, SQUALL_I8, outputs, zero)));
    assert_true(sq_attr_set_int(last_attrs(graph), "axis", 0));
    return y;
}

static uint32_t add_bias(sq_graph *graph)
{
    const int64_t three = 3;
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &three, &tensor));
    memcpy(tensor.data, (const float[]){1.5f, -2.0f, 0.25f}, 3 * sizeof(float));
    return sq_graph_add_constant(graph, "b", &tensor);
}

/* What the networks below differ in. */
typedef struct variant {
    squall_dtype in; /* of the activations */
    int zero;
    sq_activation act;
    bool floats, pool; /* nothing rounds behind it; a pool before it */
} variant;

static sq_graph *network(const variant *v, int weight_zero)
{
    static const int64_t pads[4] = {1, 1, 1, 1}, two[2] = {2, 2};
    sq_graph *graph = sq_graph_create();
    uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    x = change(graph, SQ_OP_QuantizeLinear, x, 0.03125f, v->in, v->zero);
    if (v->pool) {
        x = add_op(graph, SQ_OP_MaxPool, "m", INPUTS(x));
        assert_true(sq_attr_set_ints(last_attrs(graph), "kernel_shape", two, 2));
    }
    x = change(graph, SQ_OP_DequantizeLinear, x, 0.03125f, v->in, v->zero);
    x = add_op(graph, SQ_OP_Conv, "c",
               INPUTS(x, add_weights(graph, 3, 4, weight_zero), add_bias(graph)));
    assert_true(sq_attr_set_ints(last_attrs(graph), "pads", pads, 4));
    if (v->act != SQ_ACT_NONE) {
        const float params[2] = {-0.5f, 20.0f};
        assert_true(sq_attr_set_int(last_attrs(graph), "sq_activation", v->act));
        assert_true(sq_attr_set_floats(last_attrs(graph), "sq_activation_params", params, 2));
    }
    if (!v->floats) {
        x = change(graph, SQ_OP_QuantizeLinear, x, 0.5f, v->in, v->zero);
        x = change(graph, SQ_OP_DequantizeLinear, x, 0.5f, v->in, v->zero);
    }
    add_output(graph, x);
    return graph;
}

static void test_variants(void **state)
{
    (void)state;
    static const variant variants[] = {
        {SQUALL_U8, 128, SQ_ACT_NONE, false, false}, {SQUALL_U8, 128, SQ_ACT_RELU, false, true},
        {SQUALL_U8, 120, SQ_ACT_CLIP, false, false}, {SQUALL_U8, 128, SQ_ACT_NONE, true, false},
        {SQUALL_U8, 128, SQ_ACT_RELU, true, false},  {SQUALL_I8, 0, SQ_ACT_NONE, false, true},
        {SQUALL_I8, 5, SQ_ACT_RELU, false, false},   {SQUALL_I8, -3, SQ_ACT_CLIP, true, false},
    };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        sq_graph *graph = network(&variants[i], 0);
        assert_int_equal(check_pass(graph, sq_pass_integer, 0), 1);
        assert_int_equal(count_ops(graph, SQ_OP_SqQConv), 1);
        assert_int_equal(count_ops(graph, SQ_OP_Conv), 0);
        sq_graph_destroy(&graph);
    }
}

/* Weights whose zero point is none, an activation that is no bound: as they were, or in floats. */
static void test_left_alone(void **state)
{
    (void)state;
    const variant plain = {SQUALL_U8, 128, SQ_ACT_NONE, false, false};
    sq_graph *graph = network(&plain, 1);
    assert_int_equal(check_pass(graph, sq_pass_integer, 0), 0);
    assert_int_equal(count_ops(graph, SQ_OP_Conv), 1);
    sq_graph_destroy(&graph);
    const variant curved = {SQUALL_U8, 128, SQ_ACT_SIGMOID, false, false};
    graph = network(&curved, 0);
    assert_int_equal(check_pass(graph, sq_pass_integer, 0), 1);
    assert_int_equal(count_ops(graph, SQ_OP_QuantizeLinear), 2);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
