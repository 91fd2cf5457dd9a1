/* tests/unit/nn/compile/test_compile_changed.c - weights that were changed in the engine's file are
 * found before a run begins, not when a context is made. */
#include <string.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "squall/engine.h"

enum { SIDE = 24, CHANNELS = 32, COUNT = CHANNELS * SIDE * SIDE };

/* One 3x3 convolution whose weights take 36 KiB. */
static void build(unsigned char **bytes, size_t *size)
{
    static const unsigned char hash[SQ_HASH_BYTES];
    static const int64_t image[] = {1, CHANNELS, SIDE, SIDE}, kernel[] = {CHANNELS, CHANNELS, 3, 3};
    const int64_t ones[] = {1, 1, 1, 1};
    squall_error err = {.code = SQUALL_OK};
    squall_build_options options, want;
    squall_build_report report;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, image);
    const uint32_t w = add_floats(graph, "w", 4, kernel, 1);
    const uint32_t y = add_op(graph, SQ_OP_Conv, "conv", INPUTS(x, w));
    assert_true(sq_attr_set_ints(&graph->nodes[0].attrs, "pads", ones, 4));
    add_output(graph, y);
    squall_build_options_init(&options);
    options.threads = 2;
    assert_int_equal(sq_compile_read_options(&options, &want, &err), SQUALL_OK);
    if (sq_compile_graph(graph, &want, true, hash, bytes, size, &report, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_graph_destroy(&graph);
}

/* Where the packed weights of the device's plan lie in the file. */
static size_t find_packed(const unsigned char *bytes, size_t size)
{
    sq_engine_file file;
    squall_error err = {.code = SQUALL_OK};
    size_t at = 0;
    assert_int_equal(sq_engine_read(bytes, size, "engine", &file, &err), SQUALL_OK);
    assert_non_null(file.device);
    for (uint32_t s = 0; s < file.device[0].step_count; s++) {
        const sq_plan_step *step = &file.device[0].steps[s];
        if (step->packed_bytes > 0) {
            at = (size_t)(file.weights - bytes) + step->packed_offset + step->packed_bytes / 2;
        }
    }
    sq_engine_free(&file);
    assert_true(at > 0 && at < size);
    return at;
}

/* Open, make a context, maybe check, run. */
static squall_status use(const unsigned char *bytes, size_t size, bool check, float *out,
                         squall_error *err)
{
    static float in[COUNT];
    const squall_tensor x = {.dtype = SQUALL_F32,
                             .rank = 4,
                             .dims = {1, CHANNELS, SIDE, SIDE},
                             .data = in};
    squall_tensor y = x;
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    y.data = out;
    assert_int_equal(squall_engine_open_memory(bytes, size, "engine", NULL, &engine, NULL, err),
                     SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 0, 2, &context, err), SQUALL_OK);
    squall_status status = SQUALL_OK;
    if (check) {
        status = squall_context_check(context, err);
        assert_int_equal(squall_context_run(context, &x, 1, &y, 1, err), status);
    } else {
        status = squall_context_run(context, &x, 1, &y, 1, err);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    return status;
}

static void test_changed(void **state)
{
    (void)state;
    static float out[COUNT];
    squall_error err = {.code = SQUALL_OK};
    unsigned char *bytes = NULL;
    size_t size = 0;
    build(&bytes, &size);
    const size_t at = find_packed(bytes, size);
    for (int check = 0; check < 2; check++) {
        assert_int_equal(use(bytes, size, check != 0, out, &err), SQUALL_OK);
        bytes[at] ^= 1;
        for (int i = 0; i < COUNT; i++) {
            out[i] = 7.0f;
        }
        assert_int_equal(use(bytes, size, check != 0, out, &err), SQUALL_E_CORRUPT);
        assert_non_null(strstr(err.text, "hash"));
        for (int i = 0; i < COUNT; i++) {
            assert_true(out[i] == 7.0f); /* nothing was computed */
        }
        bytes[at] ^= 1;
    }
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
