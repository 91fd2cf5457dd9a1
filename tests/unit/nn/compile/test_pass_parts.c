/* tests/unit/nn/compile/test_pass_parts.c - what is cut out of what was joined, and the other way.
 */
#include "nn/compile/pass_fixture.h"

static const int64_t dims[] = {2, 4, 3, 5};

static uint32_t slice(sq_graph *graph, uint32_t x, int64_t axis, int64_t start, int64_t end)
{
    const uint32_t inputs[] = {x, add_ints(graph, "s", &start, 1), add_ints(graph, "e", &end, 1),
                               add_ints(graph, "a", &axis, 1)};
    return add_op(graph, SQ_OP_Slice, "cut", inputs, 4);
}

static uint32_t concat(sq_graph *graph, const uint32_t *inputs, uint32_t count, int64_t axis)
{
    const uint32_t y = add_op(graph, SQ_OP_Concat, "join", inputs, count);
    assert_true(sq_attr_set_int(last_attrs(graph), "axis", axis));
    return y;
}

/* Numbers that no pass looks into, so that outputs can be told apart. */
static void finish(sq_graph *graph, uint32_t value)
{
    add_output(graph, add_op(graph, SQ_OP_Neg, "y", INPUTS(value)));
}

static sq_graph *two_inputs(uint32_t *x, uint32_t *y)
{
    sq_graph *graph = sq_graph_create();
    *x = add_input(graph, "x", SQUALL_F32, 4, dims);
    *y = add_input(graph, "z", SQUALL_F32, 4, dims);
    return graph;
}

/* The pass until it finds no more, and what is dead behind it. */
static void run(sq_graph *graph, uint32_t slices, uint32_t splits, uint32_t concats)
{
    uint32_t changes, gone;
    assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
    sq_graph *before = copy_graph(graph);
    for (int round = 0; round < 4; round++) {
        assert_int_equal(sq_pass_parts(graph, NULL, &changes, NULL), SQUALL_OK);
        assert_int_equal(sq_pass_dead_code(graph, NULL, &gone, NULL), SQUALL_OK);
        assert_int_equal(sq_pass_identity(graph, NULL, &gone, NULL), SQUALL_OK);
        assert_int_equal(sq_graph_infer(graph, sq_ref_evaluate, NULL), SQUALL_OK);
        assert_same_on_ref(before, graph, 0);
    }
    assert_int_equal(changes, 0);
    assert_int_equal(count_ops(graph, SQ_OP_Slice), slices);
    assert_int_equal(count_ops(graph, SQ_OP_Split), splits);
    assert_int_equal(count_ops(graph, SQ_OP_Concat), concats);
    sq_graph_destroy(&before);
    sq_graph_destroy(&graph);
}

static void test_slices(void **state)
{
    (void)state;
    uint32_t x, z;
    sq_graph *graph = two_inputs(&x, &z); /* of a slice */
    finish(graph, slice(graph, slice(graph, x, 3, 1, 5), -1, 1, 3));
    check_pass_memory(graph, sq_pass_parts);
    run(graph, 1, 0, 0);
    graph = two_inputs(&x, &z); /* of a Concat: one input, and part of one */
    const uint32_t both = concat(graph, INPUTS(x, z), 1);
    finish(graph, slice(graph, both, 1, 4, 8));
    finish(graph, slice(graph, both, 1, 1, 3));
    run(graph, 1, 0, 0);
}

static void test_split_of_concat(void **state)
{
    (void)state;
    uint32_t x, z, part[2];
    sq_graph *graph = two_inputs(&x, &z);
    add_split(graph, concat(graph, INPUTS(x, z), 1), 1, 2, part);
    finish(graph, part[0]);
    finish(graph, part[1]);
    run(graph, 0, 0, 0);
}

static void test_concat_of_parts(void **state)
{
    (void)state;
    uint32_t x, z, part[4];
    sq_graph *graph = two_inputs(&x, &z); /* all of it, in order, beside something else */
    add_split(graph, x, 1, 4, part);
    finish(graph, concat(graph, INPUTS(part[0], part[1], part[2], part[3], z), 1));
    run(graph, 0, 0, 1);
    graph = two_inputs(&x, &z); /* some of it: one slice */
    add_split(graph, x, 1, 4, part);
    finish(graph, concat(graph, INPUTS(part[1], part[2]), 1));
    run(graph, 1, 0, 0);
    graph = two_inputs(&x, &z); /* slices side by side */
    finish(graph, concat(graph, INPUTS(slice(graph, x, 3, 0, 2), slice(graph, x, 3, 2, 5)), 3));
    run(graph, 0, 0, 0);
    graph = two_inputs(&x, &z); /* of Concats */
    finish(graph, concat(graph, INPUTS(concat(graph, INPUTS(x, z), 2), z, x), 2));
    run(graph, 0, 0, 1);
}

static void test_left_alone(void **state)
{
    (void)state;
    uint32_t x, z, part[4];
    sq_graph *graph = two_inputs(&x, &z); /* in another order */
    add_split(graph, x, 1, 4, part);
    finish(graph, concat(graph, INPUTS(part[1], part[0], part[3], part[2]), 1));
    run(graph, 0, 1, 1);
    graph = two_inputs(&x, &z); /* along another axis */
    add_split(graph, concat(graph, INPUTS(x, z), 2), 1, 2, part);
    finish(graph, part[0]);
    finish(graph, part[1]);
    run(graph, 0, 1, 1);
    graph = two_inputs(&x, &z); /* over the seam */
    finish(graph, slice(graph, concat(graph, INPUTS(x, z), 1), 1, 3, 6));
    run(graph, 1, 0, 1);
    graph = two_inputs(&x, &z); /* with a gap */
    finish(graph, concat(graph, INPUTS(slice(graph, x, 3, 0, 2), slice(graph, x, 3, 3, 5)), 3));
    run(graph, 2, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_split_of_concat),
        cmocka_unit_test(test_concat_of_parts),
        cmocka_unit_test(test_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
