/* tests/unit/nn/compile/test_pass_quantise.c - QuantizeLinear and DequantizeLinear meet and cancel
 * over what only moves numbers; weights held as integers stay so where that is of use. */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 4, 6, 5};
static const float coarse = 0.03125f, fine = 0.01f;

static uint32_t add_scale(sq_graph *graph, float scale)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &tensor));
    *(float *)tensor.data = scale;
    return sq_graph_add_constant(graph, "scale", &tensor);
}

static uint32_t add_zero(sq_graph *graph, squall_dtype dtype, int zero)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(dtype, 0, NULL, &tensor));
    *(uint8_t *)tensor.data = (uint8_t)zero;
    return sq_graph_add_constant(graph, "zero", &tensor);
}

static uint32_t change(sq_graph *graph, sq_op op, uint32_t x, float scale, squall_dtype dtype,
                       int zero)
{
    return add_op(graph, op, "q", INPUTS(x, add_scale(graph, scale), add_zero(graph, dtype, zero)));
}

static uint32_t quantise(sq_graph *graph, uint32_t x, float scale)
{
    return change(graph, SQ_OP_QuantizeLinear, x, scale, SQUALL_U8, 128);
}

static uint32_t dequantise(sq_graph *graph, uint32_t x, float scale)
{
    return change(graph, SQ_OP_DequantizeLinear, x, scale, SQUALL_U8, 128);
}

static uint32_t move(sq_graph *graph, sq_op op, uint32_t x)
{
    static const int64_t flat[] = {8, 30}, order[] = {0, 2, 3, 1}, three[] = {3, 3};
    static const int64_t axis = 2, start = 1, end = 5;
    uint32_t y;
    switch (op) {
    case SQ_OP_Reshape:
        return add_op(graph, op, "m", INPUTS(x, add_ints(graph, "flat", flat, 2)));
    case SQ_OP_Slice:
        return add_op(graph, op, "m",
                      INPUTS(x, add_ints(graph, "s", &start, 1), add_ints(graph, "e", &end, 1),
                             add_ints(graph, "a", &axis, 1)));
    case SQ_OP_Transpose:
        y = add_op(graph, op, "m", INPUTS(x));
        assert_true(sq_attr_set_ints(last_attrs(graph), "perm", order, 4));
        return y;
    case SQ_OP_MaxPool:
        y = add_op(graph, op, "m", INPUTS(x));
        assert_true(sq_attr_set_ints(last_attrs(graph), "kernel_shape", three, 2));
        return y;
    default:
        return add_op(graph, op, "m", INPUTS(x));
    }
}

static const sq_op movers[] = {SQ_OP_Reshape, SQ_OP_Slice, SQ_OP_Transpose, SQ_OP_MaxPool};

/* q -> dq -> mover -> q -> dq: the pair in the middle goes. */
static void test_cancelled(void **state)
{
    (void)state;
    for (size_t i = 0; i <= sizeof movers / sizeof movers[0]; i++) {
        sq_graph *graph = sq_graph_create();
        uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
        x = dequantise(graph, quantise(graph, x, coarse), coarse);
        x = i > 0 ? move(graph, movers[i - 1], x) : x;
        x = dequantise(graph, quantise(graph, x, coarse), coarse);
        add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(x)));
        if (i == 1) {
            check_pass_memory(graph, sq_pass_quantise);
        }
        assert_true(check_pass(graph, sq_pass_quantise, 0) > 0);
        assert_int_equal(count_ops(graph, SQ_OP_QuantizeLinear), 1);
        assert_int_equal(count_ops(graph, SQ_OP_DequantizeLinear), 1);
        sq_graph_destroy(&graph);
    }
}

/* Both sides of a join, one of which somebody else needs as numbers too. */
static void test_concat(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t z = add_input(graph, "z", SQUALL_F32, 4, dims);
    const uint32_t a = dequantise(graph, quantise(graph, x, coarse), coarse);
    const uint32_t b = dequantise(graph, quantise(graph, z, coarse), coarse);
    const uint32_t c = add_op(graph, SQ_OP_Concat, "c", INPUTS(a, b));
    assert_true(sq_attr_set_int(last_attrs(graph), "axis", 1));
    const uint32_t d = dequantise(graph, quantise(graph, c, coarse), coarse);
    add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(d)));
    add_output(graph, add_op(graph, SQ_OP_Neg, "z", INPUTS(b)));
    assert_int_equal(check_pass(graph, sq_pass_quantise, 0), 1);
    assert_int_equal(count_ops(graph, SQ_OP_QuantizeLinear), 2);
    assert_int_equal(count_ops(graph, SQ_OP_DequantizeLinear), 2);
    sq_graph_destroy(&graph);
}

/* Relu before unsigned integers from 0 up is nothing; from 128 up it is. */
static void test_relu(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        sq_graph *graph = sq_graph_create();
        uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
        x = add_op(graph, SQ_OP_Relu, "r", INPUTS(x));
        x = change(graph, SQ_OP_QuantizeLinear, x, coarse, SQUALL_U8, form * 128);
        x = change(graph, SQ_OP_DequantizeLinear, x, coarse, SQUALL_U8, form * 128);
        add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(x)));
        assert_int_equal(check_pass(graph, sq_pass_quantise, 0), 1 - form);
        assert_int_equal(count_ops(graph, SQ_OP_Relu), form);
        sq_graph_destroy(&graph);
    }
}

/* Another scale, another zero point, and a mean, which rounds. */
static void test_left_alone(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        static const int64_t two[] = {2, 2};
        sq_graph *graph = sq_graph_create();
        uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
        x = dequantise(graph, quantise(graph, x, coarse), coarse);
        if (form == 2) {
            x = add_op(graph, SQ_OP_AveragePool, "m", INPUTS(x));
            assert_true(sq_attr_set_ints(last_attrs(graph), "kernel_shape", two, 2));
        }
        x = change(graph, SQ_OP_QuantizeLinear, x, form == 0 ? fine : coarse, SQUALL_U8,
                   form == 1 ? 100 : 128);
        add_output(graph, dequantise(graph, x, coarse));
        assert_int_equal(check_pass(graph, sq_pass_quantise, 0), 0);
        sq_graph_destroy(&graph);
    }
}

/* Integers as weights: of a product of dequantised numbers they stay, until the end; of others they
 * are worked out. */
static void test_weights(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        static const int64_t shape[] = {3, 4, 3, 3};
        sq_graph *graph = sq_graph_create();
        squall_tensor weights;
        uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims), changes;
        x = form == 0 ? dequantise(graph, quantise(graph, x, coarse), coarse) : x;
        assert_true(sq_tensor_make(SQUALL_U8, 4, shape, &weights));
        for (size_t i = 0; i < squall_tensor_count(&weights); i++) {
            ((uint8_t *)weights.data)[i] = (uint8_t)(i * 37);
        }
        const uint32_t w = dequantise(graph, sq_graph_add_constant(graph, "w", &weights), fine);
        add_output(graph, add_op(graph, SQ_OP_Conv, "y", INPUTS(x, w)));
        assert_int_equal(check_pass(graph, sq_pass_fold_constants, 0), form);
        assert_int_equal(check_pass(graph, sq_pass_quantise, 0), 0);
        assert_int_equal(check_pass(graph, sq_pass_fold_weights, 0), 1 - form);
        assert_int_equal(sq_pass_dead_code(graph, NULL, &changes, NULL), SQUALL_OK);
        assert_int_equal(count_ops(graph, SQ_OP_DequantizeLinear), 1 - form);
        sq_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancelled), cmocka_unit_test(test_concat),
        cmocka_unit_test(test_relu),      cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
