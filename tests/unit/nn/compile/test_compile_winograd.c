/* tests/unit/nn/compile/test_compile_winograd.c - convolutions go by Winograd's way unless that is
 * forbidden, which the engine then records. */
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"

/* A 3x3 convolution of two images joined, and a transposed one behind it. */
static sq_graph *make(void)
{
    static const int64_t image[] = {1, 16, 24, 24}, kernel[] = {32, 32, 3, 3},
                         wide[] = {32, 16, 4, 4};
    const int64_t two[] = {2, 2}, ones[] = {1, 1, 1, 1};
    sq_graph *graph = sq_graph_create();
    const uint32_t a = add_input(graph, "a", SQUALL_F32, 4, image);
    const uint32_t b = add_input(graph, "b", SQUALL_F32, 4, image);
    const uint32_t both = add_op(graph, SQ_OP_Concat, "both", INPUTS(a, b));
    assert_true(sq_attr_set_int(&graph->nodes[0].attrs, "axis", 1));
    const uint32_t w = add_floats(graph, "w", 4, kernel, 1), v = add_floats(graph, "v", 4, wide, 2);
    const uint32_t y = add_op(graph, SQ_OP_Conv, "conv", INPUTS(both, w));
    assert_true(sq_attr_set_ints(&graph->nodes[1].attrs, "pads", ones, 4));
    const uint32_t z = add_op(graph, SQ_OP_ConvTranspose, "up", INPUTS(y, v));
    assert_true(sq_attr_set_ints(&graph->nodes[2].attrs, "pads", ones, 4));
    assert_true(sq_attr_set_ints(&graph->nodes[2].attrs, "strides", two, 2));
    add_output(graph, z);
    return graph;
}

/* How many steps of the device's plan go by Winograd's way; whether the command tells. */
static uint32_t count_winograd(bool forbidden, bool *recorded)
{
    static const unsigned char hash[SQ_HASH_BYTES];
    squall_error err = {.code = SQUALL_OK};
    squall_build_options options, want;
    squall_build_report report;
    sq_engine_file file;
    unsigned char *bytes = NULL;
    size_t size = 0;
    uint32_t count = 0;
    sq_graph *graph = make();
    squall_build_options_init(&options);
    options.threads = 1;
    options.no_winograd = forbidden;
    assert_int_equal(sq_compile_read_options(&options, &want, &err), SQUALL_OK);
    if (sq_compile_graph(graph, &want, true, hash, &bytes, &size, &report, NULL, &err) !=
        SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(sq_engine_read(bytes, size, "engine", &file, &err), SQUALL_OK);
    assert_int_equal(report.steps_on_ref, 0);
    for (uint32_t s = 0; s < file.device[0].step_count; s++) {
        count += strstr(file.device[0].steps[s].tactic, "winograd") != NULL;
    }
    *recorded = strstr(file.command, " --no-winograd") != NULL;
    sq_engine_free(&file);
    sq_free(bytes);
    sq_graph_destroy(&graph);
    return count;
}

static void test_forbidden(void **state)
{
    (void)state;
    bool recorded;
    assert_int_equal(count_winograd(false, &recorded), 2);
    assert_false(recorded);
    assert_int_equal(count_winograd(true, &recorded), 0);
    assert_true(recorded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forbidden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
