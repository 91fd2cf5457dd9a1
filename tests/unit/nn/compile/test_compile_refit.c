/* tests/unit/nn/compile/test_compile_refit.c - new weights into an engine: the bytes of a fresh
 * build; another graph is refused with the step that differs. */
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "squall/engine.h"

#define MODELS  SQUALL_SOURCE_DIR "/tests/data/compile/"
#define UNET    MODELS "small_unet.onnx"
#define PATCHED "test_refit.onnx"
#define ENGINE  "test_refit.sqe"
#define REFIT   "test_refit_out.sqe"
#define FRESH   "test_refit_fresh.sqe"

static const squall_input_shape shapes[] = {
    {.name = "x", .rank = 4, .dims = {2, 3, 6, 4}, .batch_min = 1, .batch_max = 4},
    {.name = "x", .rank = 4, .dims = {1, 3, 8, 8}},
};

static void build(const char *model, const char *device, const char *precision, const char *out)
{
    squall_build_options options;
    squall_error err = {.code = SQUALL_OK};
    squall_build_options_init(&options);
    options.device = device;
    options.precision = precision;
    options.threads = 2;
    options.shapes = shapes;
    options.shape_count = 2;
    options.recipe = "{\"version\": 1}";
    if (squall_build(model, &options, out, NULL, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
}

/* The model with bytes `from` replaced where they stand first. */
static void patch(const void *from, const void *to, size_t count)
{
    unsigned char *bytes;
    size_t size;
    assert_int_equal(sq_file_read(UNET, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    unsigned char *at = memmem(bytes, size, from, count);
    assert_non_null(at);
    memcpy(at, to, count);
    assert_int_equal(sq_file_write(PATCHED, bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
}

/* Other weights for the first convolution. */
static void patch_weights(void)
{
    sq_graph *graph = NULL;
    float other[16];
    assert_int_equal(sq_onnx_read(UNET, &graph, NULL, NULL), SQUALL_OK);
    for (uint32_t v = 0; v < graph->value_count; v++) {
        if (strcmp(graph->values[v].name, "w1") == 0) {
            const float *old = graph->values[v].type.data;
            for (size_t i = 0; i < 16; i++) {
                other[i] = 0.75f * old[i] + 0.01f;
            }
            patch(old, other, sizeof other);
        }
    }
    sq_graph_destroy(&graph);
}

static void assert_same_file(const char *a, const char *b, bool same)
{
    unsigned char *x, *y;
    size_t x_size, y_size;
    assert_int_equal(sq_file_read(a, 1 << 24, &x, &x_size, NULL), SQUALL_OK);
    assert_int_equal(sq_file_read(b, 1 << 24, &y, &y_size, NULL), SQUALL_OK);
    assert_int_equal(x_size, y_size);
    assert_int_equal(memcmp(x, y, x_size) == 0, same);
    sq_free(x);
    sq_free(y);
}

static void drop_files(void)
{
    unlink(PATCHED);
    unlink(ENGINE);
    unlink(REFIT);
    unlink(FRESH);
}

static void test_new_weights(void **state)
{
    (void)state;
    static const char *const ways[][2] = {{"cpu", "fp32"},
                                          {"ref", "fp32"},
                                          {"cpu", "fp16"},
                                          {"cpu", "bf16"}};
    squall_error err = {.code = SQUALL_OK};
    patch_weights();
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        squall_build_report report;
        build(UNET, ways[w][0], ways[w][1], ENGINE);
        assert_int_equal(squall_refit(ENGINE, UNET, REFIT, &report, NULL, &err), SQUALL_OK);
        assert_same_file(ENGINE, REFIT, true); /* its own weights: itself */
        assert_true(report.steps_out > 0);
        if (squall_refit(ENGINE, PATCHED, REFIT, NULL, NULL, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        build(PATCHED, ways[w][0], ways[w][1], FRESH);
        assert_same_file(REFIT, FRESH, true);
        assert_same_file(REFIT, ENGINE, false);
        /* In its own place. */
        assert_int_equal(squall_refit(ENGINE, PATCHED, ENGINE, NULL, NULL, &err), SQUALL_OK);
        assert_same_file(REFIT, ENGINE, true);
    }
    drop_files();
}

static void test_other_graph(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    /* alpha of the LeakyRelu, 0.1f and 0.2f as little-endian bytes */
    patch("\xcd\xcc\xcc\x3d", "\xcd\xcc\x4c\x3e", 4);
    build(UNET, "cpu", "fp32", ENGINE);
    assert_int_equal(squall_refit(ENGINE, PATCHED, REFIT, NULL, NULL, &err), SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, "conv2"));
    assert_non_null(strstr(err.text, "attributes"));
    assert_non_null(strstr(err.text, "build it anew"));
    /* Another name of a node, and altogether another model. */
    patch("relu1", "reluX", 5);
    const squall_status renamed = squall_refit(ENGINE, PATCHED, REFIT, NULL, NULL, &err);
    assert_true(renamed == SQUALL_OK); /* it went into the convolution before it */
    unlink(REFIT);
    patch("pool1", "poolX", 5);
    assert_int_equal(squall_refit(ENGINE, PATCHED, REFIT, NULL, NULL, &err), SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.where, "poolX"));
    assert_int_not_equal(squall_refit(ENGINE, MODELS "views.onnx", REFIT, NULL, NULL, &err),
                         SQUALL_OK);
    assert_int_equal(squall_refit(ENGINE, "no_such.onnx", REFIT, NULL, NULL, &err), SQUALL_E_IO);
    assert_int_equal(squall_refit("no_such.sqe", UNET, REFIT, NULL, NULL, &err), SQUALL_E_IO);
    assert_int_equal(access(REFIT, F_OK), -1);
    drop_files();
}

/* Weights are packed for one instruction set. */
static void test_other_device(void **state)
{
    (void)state;
    squall_error err;
    sq_engine_file file;
    sq_mapping mapping;
    unsigned char *bytes;
    size_t size;
    build(UNET, "cpu", "fp32", ENGINE);
    assert_int_equal(sq_file_map(ENGINE, 1 << 24, &mapping, &err), SQUALL_OK);
    assert_int_equal(sq_engine_read(mapping.data, mapping.size, ENGINE, &file, &err), SQUALL_OK);
    sq_free(file.isa);
    file.isa = sq_strdup("abacus");
    assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
    sq_engine_free(&file);
    sq_file_unmap(&mapping);
    assert_int_equal(sq_file_write(ENGINE, bytes, size, &err), SQUALL_OK);
    sq_free(bytes);
    assert_int_equal(squall_refit(ENGINE, UNET, REFIT, NULL, NULL, &err), SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, "abacus"));
    assert_non_null(strstr(err.text, sq_isa_name(sq_cpu_isa())));
    drop_files();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_weights),
        cmocka_unit_test(test_other_graph),
        cmocka_unit_test(test_other_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
