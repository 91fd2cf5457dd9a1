/* tests/unit/nn/compile/test_pass_gates.c - gates of LSTM and GRU cells become one node each, in
 * the forms that PyTorch's exporters write, and nothing else does. */
#include "nn/compile/pass_fixture.h"

enum { CHANNELS = 3 };
static const int64_t frame[] = {2, CHANNELS, 4, 5}, four[] = {2, 4 * CHANNELS, 4, 5};

/* The parts of a value along axis 1: by one Split, or by a Slice each. */
static void cut(sq_graph *graph, uint32_t whole, uint32_t parts, bool slices, uint32_t *out)
{
    if (!slices) {
        add_split(graph, whole, 1, parts, out);
        return;
    }
    for (uint32_t i = 0; i < parts; i++) {
        const int64_t start = (int64_t)i * CHANNELS, end = start + CHANNELS, axis = 1;
        const uint32_t inputs[] = {whole, add_ints(graph, "start", &start, 1),
                                   add_ints(graph, "end", &end, 1),
                                   add_ints(graph, "axes", &axis, 1)};
        out[i] = add_op(graph, SQ_OP_Slice, "part", inputs, 4);
    }
}

/* Sums and products with their operands in either order. */
static uint32_t both(sq_graph *graph, sq_op op, uint32_t a, uint32_t b, bool swap)
{
    return swap ? add_op(graph, op, "r", INPUTS(b, a)) : add_op(graph, op, "r", INPUTS(a, b));
}

/* hidden and cell' of an LSTM cell; `order` are the parts i, f, o, g. */
static void add_lstm(sq_graph *graph, const uint32_t *part, const int *order, uint32_t cell,
                     bool swap, uint32_t *hidden, uint32_t *now)
{
    const uint32_t i = add_op(graph, SQ_OP_Sigmoid, "i", INPUTS(part[order[0]]));
    const uint32_t f = add_op(graph, SQ_OP_Sigmoid, "f", INPUTS(part[order[1]]));
    const uint32_t g = add_op(graph, SQ_OP_Tanh, "g", INPUTS(part[order[3]]));
    *now = both(graph, SQ_OP_Add, both(graph, SQ_OP_Mul, f, cell, swap),
                both(graph, SQ_OP_Mul, i, g, swap), swap);
    const uint32_t o = add_op(graph, SQ_OP_Sigmoid, "o", INPUTS(part[order[2]]));
    *hidden = both(graph, SQ_OP_Mul, o, add_op(graph, SQ_OP_Tanh, "t", INPUTS(*now)), swap);
}

static void test_lstm(void **state)
{
    (void)state;
    static const int orders[][4] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {3, 0, 1, 2}};
    for (int form = 0; form < 12; form++) {
        sq_graph *graph = sq_graph_create();
        uint32_t part[4], hidden, cell;
        const uint32_t gates = add_input(graph, "gates", SQUALL_F32, 4, four);
        const uint32_t old = add_input(graph, "cell", SQUALL_F32, 4, frame);
        cut(graph, gates, 4, form & 1, part);
        add_lstm(graph, part, orders[form / 4], old, form >> 1 & 1, &hidden, &cell);
        add_output(graph, hidden);
        add_output(graph, cell);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_gates);
        }
        assert_int_equal(check_pass(graph, sq_pass_gates, 1e-6), 1);
        assert_int_equal(count_ops(graph, SQ_OP_SqLstmGates), 1);
        assert_int_equal(count_ops(graph, SQ_OP_Sigmoid) + count_ops(graph, SQ_OP_Mul), 0);
        sq_graph_destroy(&graph);
    }
}

/* Two cells in a row: the second one's old state is the first one's new one, and both its uses
 * stay. */
static void test_lstm_sequence(void **state)
{
    (void)state;
    static const int order[] = {0, 1, 2, 3};
    static const int64_t weights[] = {4 * CHANNELS, CHANNELS, 3, 3}, one[] = {1, 1, 1, 1};
    sq_graph *graph = sq_graph_create();
    uint32_t cell = add_input(graph, "cell", SQUALL_F32, 4, frame);
    uint32_t hidden = add_input(graph, "x", SQUALL_F32, 4, frame);
    const uint32_t w = add_floats(graph, "w", 4, weights, 1);
    for (int t = 0; t < 3; t++) {
        uint32_t part[4];
        const uint32_t gates = add_op(graph, SQ_OP_Conv, "conv", INPUTS(hidden, w));
        assert_true(sq_attr_set_ints(last_attrs(graph), "pads", one, 4));
        cut(graph, gates, 4, t == 1, part);
        add_lstm(graph, part, order, cell, false, &hidden, &cell);
    }
    add_output(graph, hidden);
    add_output(graph, cell);
    assert_int_equal(check_pass(graph, sq_pass_gates, 1e-5), 3);
    assert_int_equal(count_ops(graph, SQ_OP_SqLstmGates), 3);
    sq_graph_destroy(&graph);
}

/* The last step of a sequence, whose cell nothing needs: the sum has taken the Tanh in before. */
static void test_lstm_last(void **state)
{
    (void)state;
    static const int order[] = {0, 1, 2, 3};
    sq_graph *graph = sq_graph_create();
    uint32_t part[4], hidden, cell, changes;
    const uint32_t gates = add_input(graph, "gates", SQUALL_F32, 4, four);
    const uint32_t old = add_input(graph, "cell", SQUALL_F32, 4, frame);
    cut(graph, gates, 4, false, part);
    add_lstm(graph, part, order, old, false, &hidden, &cell);
    add_output(graph, hidden);
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    assert_int_equal(sq_pass_activation(graph, NULL, &changes, NULL), SQUALL_OK);
    assert_int_equal(changes, 1);
    assert_int_equal(check_pass(graph, sq_pass_gates, 1e-6), 1);
    assert_int_equal(count_ops(graph, SQ_OP_SqLstmGates), 1);
    assert_int_equal(count_ops(graph, SQ_OP_Add), 0);
    sq_graph_destroy(&graph);
}

/* For backends that have cells of convolutions alone, dense ones stay as they are. */
static void test_lstm_planes(void **state)
{
    (void)state;
    static const int order[] = {0, 1, 2, 3};
    for (uint32_t rank = 2; rank <= 4; rank += 2) {
        sq_graph *graph = sq_graph_create();
        uint32_t part[4], hidden, cell;
        const uint32_t gates = add_input(graph, "gates", SQUALL_F32, rank, four);
        const uint32_t old = add_input(graph, "cell", SQUALL_F32, rank, frame);
        cut(graph, gates, 4, false, part);
        add_lstm(graph, part, order, old, false, &hidden, &cell);
        add_output(graph, hidden);
        add_output(graph, cell);
        assert_int_equal(check_pass(graph, sq_pass_gates_planes, 1e-6), rank == 4);
        assert_int_equal(count_ops(graph, SQ_OP_SqLstmGates), rank == 4);
        sq_graph_destroy(&graph);
    }
}

/* A part twice, another number of parts, a gate that somebody else needs, a peephole. */
static void test_lstm_left_alone(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        static const int good[] = {0, 1, 2, 3}, twice[] = {0, 0, 2, 3};
        static const int64_t five[] = {2, 5 * CHANNELS, 4, 5};
        sq_graph *graph = sq_graph_create();
        uint32_t part[5], hidden, cell;
        const uint32_t gates = add_input(graph, "gates", SQUALL_F32, 4, form == 1 ? five : four);
        const uint32_t old = add_input(graph, "cell", SQUALL_F32, 4, frame);
        cut(graph, gates, form == 1 ? 5 : 4, false, part);
        if (form == 3) {
            part[1] = add_op(graph, SQ_OP_Add, "peephole", INPUTS(part[1], old));
        }
        add_lstm(graph, part, form == 0 ? twice : good, old, false, &hidden, &cell);
        add_output(graph, hidden);
        add_output(graph, cell);
        if (form == 2) {
            add_output(graph, graph->nodes[1].outputs[0]); /* a gate */
        }
        assert_int_equal(check_pass(graph, sq_pass_gates, 0), 0);
        sq_graph_destroy(&graph);
    }
}

static uint32_t add_one(sq_graph *graph, float number)
{
    squall_tensor one;
    assert_true(sq_tensor_make(SQUALL_F32, 0, NULL, &one));
    *(float *)one.data = number;
    return sq_graph_add_constant(graph, "one", &one);
}

/* (1 - z) * keep + z * fresh, z and r parts of a value or of its Sigmoid. */
static sq_graph *make_gru(int form, float one)
{
    const bool early = form & 1, slices = form >> 1 & 1, swap = form >> 2 & 1;
    static const int64_t two[] = {2, 2 * CHANNELS, 4, 5};
    sq_graph *graph = sq_graph_create();
    uint32_t gates = add_input(graph, "gates", SQUALL_F32, 4, two), part[2];
    const uint32_t h = add_input(graph, "h", SQUALL_F32, 4, frame);
    gates = early ? add_op(graph, SQ_OP_Sigmoid, "s", INPUTS(gates)) : gates;
    cut(graph, gates, 2, slices, part);
    const uint32_t r = early ? part[0] : add_op(graph, SQ_OP_Sigmoid, "sr", INPUTS(part[0]));
    const uint32_t z = early ? part[1] : add_op(graph, SQ_OP_Sigmoid, "sz", INPUTS(part[1]));
    const uint32_t fresh =
        add_op(graph, SQ_OP_Tanh, "fresh", INPUTS(both(graph, SQ_OP_Mul, r, h, swap)));
    const uint32_t rest = add_op(graph, SQ_OP_Sub, "rest", INPUTS(add_one(graph, one), z));
    add_output(graph, both(graph, SQ_OP_Add, both(graph, SQ_OP_Mul, rest, h, swap),
                           both(graph, SQ_OP_Mul, z, fresh, swap), swap));
    return graph;
}

static void test_gru(void **state)
{
    (void)state;
    for (int form = 0; form < 8; form++) {
        sq_graph *graph = make_gru(form, 1);
        if (form == 0) {
            check_pass_memory(graph, sq_pass_gates);
        }
        assert_int_equal(check_pass(graph, sq_pass_gates, 1e-6), 2);
        assert_int_equal(count_ops(graph, SQ_OP_SqGruUpdate), 1);
        assert_int_equal(count_ops(graph, SQ_OP_SqGruReset), 1);
        assert_int_equal(count_ops(graph, SQ_OP_Mul) + count_ops(graph, SQ_OP_Sub), 0);
        sq_graph_destroy(&graph);
    }
    sq_graph *graph = make_gru(0, 2); /* 2 - z is no gate */
    assert_int_equal(check_pass(graph, sq_pass_gates, 0), 0);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lstm),        cmocka_unit_test(test_lstm_sequence),
        cmocka_unit_test(test_lstm_last),   cmocka_unit_test(test_lstm_left_alone),
        cmocka_unit_test(test_lstm_planes), cmocka_unit_test(test_gru),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
