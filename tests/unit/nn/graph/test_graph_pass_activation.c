/* tests/unit/nn/graph/test_graph_pass_activation.c - activations go into the node before them. */
#include "graph_fixture.h"

static sq_graph *make_host(sq_op host, uint32_t *out)
{
    sq_graph *graph = sq_graph_create();
    const bool gemm = host == SQ_OP_Gemm;
    const uint32_t x = add_input(graph, "x", SQUALL_F32, gemm ? 2 : 4,
                                 gemm ? (int64_t[]){3, 4} : (int64_t[]){1, 3, 5, 4});
    uint32_t other;
    if (host == SQ_OP_Add) {
        other = add_floats(graph, "w", 1, (int64_t[]){4}, 1);
    } else if (gemm) {
        other = add_floats(graph, "w", 2, (int64_t[]){4, 5}, 1);
    } else {
        other = add_floats(graph, "w", 4, (int64_t[]){3, 3, 2, 2}, 1);
    }
    *out = add_op(graph, host, "host", INPUTS(x, other));
    return graph;
}

/* The pass makes `changes`; the graph is then `nodes` long and gives what it gave. */
static void check(sq_graph *graph, uint32_t changes, uint32_t nodes, sq_activation kind)
{
    uint32_t found;
    squall_error err = {0};
    if (sq_graph_infer(graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_graph *before = copy_graph(graph);
    assert_int_equal(sq_pass_activation(graph, NULL, &found, NULL), SQUALL_OK);
    assert_int_equal(found, changes);
    assert_int_equal(graph->node_count, nodes);
    assert_int_equal(sq_attr_int(&graph->nodes[0].attrs, "sq_activation", SQ_ACT_NONE), kind);
    assert_string_equal(output_name(graph, 0), "y");
    assert_int_equal(sq_graph_sort(graph, NULL), SQUALL_OK);
    assert_same_output(before, graph, 1e-6);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

static const sq_op hosts[] = {SQ_OP_Conv, SQ_OP_ConvTranspose, SQ_OP_Gemm, SQ_OP_Add};

static void test_each(void **state)
{
    (void)state;
    static const struct {
        sq_op op;
        sq_activation kind;
    } cases[] = {{SQ_OP_Relu, SQ_ACT_RELU},
                 {SQ_OP_LeakyRelu, SQ_ACT_LEAKY_RELU},
                 {SQ_OP_Sigmoid, SQ_ACT_SIGMOID},
                 {SQ_OP_Tanh, SQ_ACT_TANH},
                 {SQ_OP_HardSigmoid, SQ_ACT_HARD_SIGMOID},
                 {SQ_OP_HardSwish, SQ_ACT_HARD_SWISH}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < sizeof hosts / sizeof hosts[0]; j++) {
            for (int given = 0; given < 2; given++) { /* parameters at their defaults, or not */
                uint32_t host;
                sq_graph *graph = make_host(hosts[j], &host);
                add_output(graph, add_op(graph, cases[i].op, "y", INPUTS(host)));
                if (given) {
                    assert_true(sq_attr_set_float(last_attrs(graph), "alpha", 0.125f));
                    assert_true(sq_attr_set_float(last_attrs(graph), "beta", 0.375f));
                }
                check(graph, 1, 1, cases[i].kind);
            }
        }
    }
}

static void test_clip(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) { /* both bounds, the upper alone, attributes */
        uint32_t host;
        sq_graph *graph = make_host(SQ_OP_Conv, &host);
        squall_tensor low, high;
        assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &low));
        assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &high));
        *(float *)low.data = -0.25f;
        *(float *)high.data = 0.5f;
        const uint32_t inputs[] = {host, sq_graph_add_constant(graph, "low", &low),
                                   sq_graph_add_constant(graph, "high", &high)};
        const uint32_t upper[] = {host, SQ_NO_VALUE, inputs[2]};
        add_output(graph,
                   add_op(graph, SQ_OP_Clip, "y", form == 1 ? upper : inputs, form == 2 ? 1 : 3));
        if (form == 2) {
            last_attrs(graph)->opset = 7;
            assert_true(sq_attr_set_float(last_attrs(graph), "min", -1e30f));
            assert_true(sq_attr_set_float(last_attrs(graph), "max", 1e30f));
        }
        check(graph, 1, 1, SQ_ACT_CLIP);
    }
    uint32_t host; /* a bound that comes with the input of the network */
    sq_graph *graph = make_host(SQ_OP_Conv, &host);
    const uint32_t bound = add_input(graph, "bound", SQUALL_F32, 0, NULL);
    add_output(graph, add_op(graph, SQ_OP_Clip, "y", INPUTS(host, bound)));
    check(graph, 0, 2, SQ_ACT_NONE);
}

static void test_silu(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        uint32_t host;
        sq_graph *graph = make_host(SQ_OP_Conv, &host);
        const uint32_t gate = add_op(graph, SQ_OP_Sigmoid, "gate", INPUTS(host));
        add_output(graph, order ? add_op(graph, SQ_OP_Mul, "y", INPUTS(host, gate))
                                : add_op(graph, SQ_OP_Mul, "y", INPUTS(gate, host)));
        check(graph, 1, 1, SQ_ACT_SILU);
    }
    uint32_t host; /* the gate of something else */
    sq_graph *graph = make_host(SQ_OP_Conv, &host);
    const uint32_t gate = add_op(graph, SQ_OP_Sigmoid, "gate", INPUTS(graph->inputs[0]));
    const uint32_t other =
        add_op(graph, SQ_OP_Conv, "other", INPUTS(gate, graph->nodes[0].inputs[1]));
    add_output(graph, add_op(graph, SQ_OP_Mul, "y", INPUTS(host, other)));
    check(graph, 0, 4, SQ_ACT_NONE);
}

static void test_left_alone(void **state)
{
    (void)state;
    uint32_t host; /* somebody wants the numbers before the activation */
    sq_graph *graph = make_host(SQ_OP_Conv, &host);
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(host)));
    add_output(graph, host);
    check(graph, 0, 2, SQ_ACT_NONE);

    graph = make_host(SQ_OP_Conv, &host); /* the second of two */
    const uint32_t relu = add_op(graph, SQ_OP_Relu, "relu", INPUTS(host));
    add_output(graph, add_op(graph, SQ_OP_Tanh, "y", INPUTS(relu)));
    check(graph, 1, 2, SQ_ACT_RELU);

    graph = sq_graph_create(); /* of an operator that takes none in */
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 1, (int64_t[]){4});
    const uint32_t product = add_op(graph, SQ_OP_Mul, "product", INPUTS(x, x));
    add_output(graph, add_op(graph, SQ_OP_Tanh, "y", INPUTS(product)));
    check(graph, 0, 2, SQ_ACT_NONE);

    graph = sq_graph_create(); /* of integers */
    const uint32_t n = add_input(graph, "n", SQUALL_I64, 1, (int64_t[]){4});
    const uint32_t sum = add_op(graph, SQ_OP_Add, "sum", INPUTS(n, n));
    add_output(graph, add_op(graph, SQ_OP_Relu, "y", INPUTS(sum)));
    check(graph, 0, 2, SQ_ACT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_silu),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
