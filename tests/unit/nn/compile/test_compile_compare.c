/* tests/unit/nn/compile/test_compile_compare.c - an engine beside its model: close where it is
 * right, and where it is not the layer at fault is named. */
#include <math.h>
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "squall/compare.h"

#define MODELS  SQUALL_SOURCE_DIR "/tests/data/compile/"
#define UNET    MODELS "small_unet.onnx"
#define PATCHED "test_compare.onnx"
#define ENGINE  "test_compare.sqe"

static const squall_input_shape shape = {
    .name = "x", .rank = 4, .dims = {2, 3, 16, 16}, .batch_min = 1, .batch_max = 4};

static squall_engine *build(const char *model, const char *device)
{
    squall_build_options options;
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    squall_build_options_init(&options);
    options.device = device;
    options.threads = 2;
    options.shapes = &shape;
    options.shape_count = 1;
    if (squall_build(model, &options, ENGINE, NULL, NULL, &err) != SQUALL_OK ||
        squall_engine_open(ENGINE, NULL, &engine, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    unlink(ENGINE);
    return engine;
}

/* A sample of `batch` images; its data is owned. */
static squall_tensor sample(int64_t batch, uint32_t seed)
{
    const int64_t dims[] = {batch, 3, 16, 16};
    squall_tensor made;
    assert_true(sq_tensor_make(SQUALL_F32, 4, dims, &made));
    for (size_t i = 0; i < squall_tensor_count(&made); i++) {
        seed = seed * 1664525u + 1013904223u;
        ((float *)made.data)[i] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
    return made;
}

/* The value of the layer that loses most. */
static squall_layer_error worst_layer(const squall_comparison *comparison)
{
    squall_layer_error one, worst = {.loss_db = -1};
    squall_error err;
    for (size_t i = 0; i < squall_comparison_layer_count(comparison); i++) {
        assert_int_equal(squall_comparison_layer(comparison, i, &one, &err), SQUALL_OK);
        worst = one.loss_db > worst.loss_db ? one : worst;
    }
    return worst;
}

static void test_close(void **state)
{
    (void)state;
    static const char *const devices[] = {"cpu", "ref"};
    for (int d = 0; d < 2; d++) {
        squall_error err = {.code = SQUALL_OK};
        squall_engine *engine = build(UNET, devices[d]);
        squall_comparison *comparison = NULL;
        squall_output_error out;
        squall_layer_error layer;
        assert_int_equal(squall_comparison_create(UNET, engine, 2, &comparison, NULL, &err),
                         SQUALL_OK);
        assert_int_equal(squall_comparison_output_count(comparison), 0);
        /* A batch that the engine was not planned for, three times. */
        for (uint32_t k = 0; k < 3; k++) {
            squall_tensor in = sample(3, k);
            if (squall_comparison_add(comparison, &in, 1, &err) != SQUALL_OK) {
                fail_msg("%s: %s", err.where, err.text);
            }
            sq_tensor_free(&in);
        }
        assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE, 0, &out,
                                                  &err),
                         SQUALL_OK);
        assert_string_equal(out.name, "y");
        assert_true(out.psnr_db > 100 && out.max_abs < 1e-4 && out.relative < 1e-5);
        assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE, 1, &out,
                                                  &err),
                         SQUALL_E_ARGUMENT);
        /* Two convolutions with what went into them, pool, resize, concat, the head. */
        assert_int_equal(squall_comparison_layer_count(comparison), 6);
        assert_int_equal(squall_comparison_layer(comparison, 0, &layer, &err), SQUALL_OK);
        assert_string_equal(layer.name, "r1");
        assert_string_equal(layer.op, "Conv");
        assert_true(layer.snr_db > 100);
        assert_int_equal(squall_comparison_layer(comparison, 6, &layer, &err), SQUALL_E_ARGUMENT);
        squall_comparison_destroy(&comparison);
        assert_null(comparison);
        squall_engine_close(&engine);
    }
}

/* An engine whose weights of one layer are 1 % off: it is that layer. */
static void test_fault_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *weight, *layer;
    } cases[] = {{"w1", "r1"}, {"w2", "r2"}, {"w3", "y"}};
    for (size_t k = 0; k < 3; k++) {
        sq_graph *graph = NULL;
        unsigned char *bytes;
        size_t size;
        squall_error err = {.code = SQUALL_OK};
        assert_int_equal(sq_onnx_read(UNET, &graph, NULL, NULL), SQUALL_OK);
        assert_int_equal(sq_file_read(UNET, 1 << 20, &bytes, &size, NULL), SQUALL_OK);
        for (uint32_t v = 0; v < graph->value_count; v++) {
            const sq_value *value = &graph->values[v];
            if (strcmp(value->name, cases[k].weight) == 0) {
                const size_t count = squall_tensor_count(&value->type);
                const float *old = value->type.data;
                float *at = memmem(bytes, size, old, count * sizeof *old);
                assert_non_null(at);
                for (size_t i = 0; i < count; i++) {
                    const float other = 1.01f * old[i];
                    memcpy((char *)at + i * sizeof other, &other, sizeof other);
                }
            }
        }
        assert_int_equal(sq_file_write(PATCHED, bytes, size, NULL), SQUALL_OK);
        sq_free(bytes);
        sq_graph_destroy(&graph);
        squall_engine *engine = build(PATCHED, "cpu");
        squall_comparison *comparison = NULL;
        squall_output_error out;
        squall_tensor in = sample(2, 7);
        assert_int_equal(squall_comparison_create(UNET, engine, 1, &comparison, NULL, &err),
                         SQUALL_OK);
        assert_int_equal(squall_comparison_add(comparison, &in, 1, &err), SQUALL_OK);
        const squall_layer_error worst = worst_layer(comparison);
        assert_string_equal(worst.name, cases[k].layer);
        assert_true(worst.loss_db > 60);
        assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE, 0, &out,
                                                  &err),
                         SQUALL_OK);
        assert_true(out.psnr_db < 70 && out.psnr_db > 20 && out.max_abs > 1e-4);
        squall_comparison_destroy(&comparison);
        sq_tensor_free(&in);
        squall_engine_close(&engine);
        unlink(PATCHED);
    }
}

static void test_refused(void **state)
{
    (void)state;
    squall_error err;
    squall_engine *engine = build(UNET, "cpu");
    squall_comparison *comparison = NULL;
    assert_int_equal(squall_comparison_create("no_such.onnx", engine, 1, &comparison, NULL, &err),
                     SQUALL_E_IO);
    assert_int_equal(squall_comparison_create(MODELS "views.onnx", engine, 1, &comparison, NULL,
                                              &err),
                     SQUALL_E_MISMATCH);
    assert_null(comparison);
    assert_int_equal(squall_comparison_create(UNET, engine, 1, &comparison, NULL, &err), SQUALL_OK);
    squall_tensor many = sample(9, 1), few = sample(2, 1);
    assert_int_equal(squall_comparison_add(comparison, &many, 1, &err), SQUALL_E_SHAPE);
    assert_int_equal(squall_comparison_add(comparison, &few, 1, &err), SQUALL_OK);
    assert_int_equal(squall_comparison_add(comparison, &many, 1, &err), SQUALL_E_SHAPE);
    sq_tensor_free(&many);
    sq_tensor_free(&few);
    squall_comparison_destroy(&comparison);
    squall_engine_close(&engine);
}

/* What another runtime gave: here the engine's own output, and then one that is 0.1 off. */
static void test_reference(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = build(UNET, "cpu");
    squall_comparison *comparison = NULL;
    squall_output_error out;
    squall_tensor in = sample(2, 3), wrong = sample(2, 3), mine, theirs, other;
    assert_int_equal(squall_comparison_create(UNET, engine, 1, &comparison, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_comparison_values(comparison, SQUALL_COMPARED_ENGINE, 0, &theirs, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_comparison_add_reference(comparison, &in, 1, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_comparison_add(comparison, &in, 1, &err), SQUALL_OK);
    assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE_ELSEWHERE, 0, &out,
                                              &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_comparison_values(comparison, SQUALL_COMPARED_ENGINE, 0, &theirs, &err),
                     SQUALL_OK);
    assert_int_equal(squall_comparison_values(comparison, SQUALL_COMPARED_MODEL, 0, &mine, &err),
                     SQUALL_OK);
    assert_true(sq_tensor_same_type(&mine, &theirs) && mine.data != theirs.data);
    assert_int_equal(squall_comparison_add_reference(comparison, &wrong, 1, &err), SQUALL_E_SHAPE);
    assert_int_equal(squall_comparison_add_reference(comparison, &theirs, 2, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_comparison_add_reference(comparison, &theirs, 1, &err), SQUALL_OK);
    assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE_ELSEWHERE, 0, &out,
                                              &err),
                     SQUALL_OK);
    assert_true(out.max_abs == 0.0 && isinf(out.psnr_db));
    assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_MODEL, 0, &out, &err),
                     SQUALL_OK);
    assert_true(out.psnr_db > 100);
    assert_true(sq_tensor_copy(&theirs, &other));
    ((float *)other.data)[5] += 0.1f;
    assert_int_equal(squall_comparison_add_reference(comparison, &other, 1, &err), SQUALL_OK);
    assert_int_equal(squall_comparison_output(comparison, SQUALL_COMPARED_ENGINE_ELSEWHERE, 0, &out,
                                              &err),
                     SQUALL_OK);
    assert_true(out.max_abs > 0.0999 && out.max_abs < 0.1001 && isfinite(out.psnr_db));
    sq_tensor_free(&other);
    sq_tensor_free(&in);
    sq_tensor_free(&wrong);
    squall_comparison_destroy(&comparison);
    squall_engine_close(&engine);
}

static void test_no_memory(void **state)
{
    (void)state;
    squall_error err;
    squall_engine *engine = build(UNET, "cpu");
    squall_tensor in = sample(1, 1);
    squall_status status = SQUALL_E_MEMORY;
    for (long n = 0; status != SQUALL_OK; n += 7) {
        squall_comparison *comparison = NULL;
        sq_memory_fail_at(n);
        status = squall_comparison_create(UNET, engine, 1, &comparison, NULL, &err);
        if (status == SQUALL_OK) {
            status = squall_comparison_add(comparison, &in, 1, &err);
        }
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        squall_comparison_destroy(&comparison);
    }
    sq_tensor_free(&in);
    squall_engine_close(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),     cmocka_unit_test(test_fault_is_found),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_reference),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
