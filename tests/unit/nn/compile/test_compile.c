/* tests/unit/nn/compile/test_compile.c - small networks: built, run, refused; expected outputs are
 * those of ONNX Runtime (tests/expected/make_compile.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/compile/compile_expected.h"
#include "nn/compile/compile_internal.h"
#include "nn/onnx/onnx.h"
#include "squall/compile.h"
#include "squall/engine.h"

#define MODELS SQUALL_SOURCE_DIR "/tests/data/compile/"
#define ENGINE "test_compile.sqe"

enum { MAX_FLOATS = 1024, MAX_PORTS = 8 };

/* Input number `k` as make_compile.py makes it. */
static void fill_input(float *data, size_t count, int k)
{
    for (size_t i = 0; i < count; i++) {
        data[i] = (float)((7919 * i + 31 * (size_t)k) % 1000) / 500.0f - 1.0f;
    }
}

static squall_status build(const char *model, const char *device, const squall_input_shape *shapes,
                           size_t count, squall_build_report *report, squall_notes *notes,
                           squall_error *err)
{
    char path[512];
    squall_build_options options;
    squall_build_options_init(&options);
    options.device = device;
    options.threads = 2;
    options.shapes = shapes;
    options.shape_count = count;
    snprintf(path, sizeof path, MODELS "%s.onnx", model);
    return squall_build(path, &options, ENGINE, report, notes, err);
}

/* Buffers of the caller for one profile; the outputs lie between words that must stay. */
typedef struct ports {
    squall_tensor in[MAX_PORTS], out[MAX_PORTS];
    size_t in_count, out_count;
    float in_data[MAX_PORTS][MAX_FLOATS], out_data[MAX_PORTS][MAX_FLOATS];
} ports;

static const float guard = -12345.0f;

static void run_profile(squall_engine *engine, size_t profile, ports *all)
{
    squall_context *context = NULL;
    squall_error err;
    all->in_count = squall_engine_input_count(engine);
    all->out_count = squall_engine_output_count(engine);
    for (size_t i = 0; i < all->in_count; i++) {
        assert_int_equal(squall_engine_input(engine, profile, i, NULL, &all->in[i], &err),
                         SQUALL_OK);
        all->in[i].data = all->in_data[i];
        fill_input(all->in_data[i], squall_tensor_count(&all->in[i]), (int)i);
    }
    for (size_t i = 0; i < all->out_count; i++) {
        assert_int_equal(squall_engine_output(engine, profile, i, NULL, &all->out[i], &err),
                         SQUALL_OK);
        assert_true(squall_tensor_count(&all->out[i]) + 2 <= MAX_FLOATS);
        for (size_t k = 0; k < MAX_FLOATS; k++) {
            all->out_data[i][k] = guard;
        }
        all->out[i].data = all->out_data[i] + 1;
    }
    assert_int_equal(squall_context_create(engine, profile, 2, &context, &err), SQUALL_OK);
    if (squall_context_run(context, all->in, all->in_count, all->out, all->out_count, &err) !=
        SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_context_destroy(&context);
}

static void check_output(const ports *all, size_t index, const float *expected, size_t bytes)
{
    const size_t count = bytes / sizeof *expected;
    const float *got = all->out[index].data;
    assert_int_equal(squall_tensor_count(&all->out[index]), count);
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(got[i] - expected[i]) <= 1e-5f)) {
            fail_msg("output %zu, element %zu: %g, expected %g", index, i, (double)got[i],
                     (double)expected[i]);
        }
    }
    assert_true(got[-1] == guard && got[count] == guard);
}

static squall_engine *open_engine(int32_t portable)
{
    squall_engine *engine = NULL;
    squall_engine_options options;
    squall_error err;
    squall_engine_options_init(&options);
    options.portable = portable;
    if (squall_engine_open(ENGINE, &options, &engine, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return engine;
}

static const squall_input_shape unet_shapes[] = {
    {.name = "x", .rank = 4, .dims = {1, 3, 6, 4}},
    {.name = "x", .rank = 4, .dims = {2, 3, 8, 2}},
};

static void test_unet(void **state)
{
    (void)state;
    static const char *const devices[] = {"ref", "cpu"};
    static ports all;
    for (int d = 0; d < 2; d++) {
        squall_build_report report;
        squall_error err;
        assert_int_equal(build("small_unet", devices[d], unet_shapes, 2, &report, NULL, &err),
                         SQUALL_OK);
        assert_int_equal(report.nodes_in, 9);
        assert_true(report.arena_bytes == report.arena_bound_bytes && report.arena_bytes > 0);
        assert_true(report.file_bytes > report.weight_bytes && report.weight_bytes > 2000);
        /* 3x3 of 3 to 5 on 24 cells, of 5 to 7 on 6, 1x1 of 12 to 2 on 24 */
        assert_int_equal(report.macs, 9 * 3 * 5 * 24 + 9 * 5 * 7 * 6 + 12 * 2 * 24);
        for (int portable = 0; portable <= 1; portable++) {
            squall_engine *engine = open_engine(portable);
            squall_profile_info info;
            assert_int_equal(squall_engine_profile_count(engine), 2);
            run_profile(engine, 0, &all);
            check_output(&all, 0, small_unet_6x4_y, sizeof small_unet_6x4_y);
            run_profile(engine, 1, &all);
            check_output(&all, 0, small_unet_2x8x2_y, sizeof small_unet_2x8x2_y);
            assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
            assert_true(info.macs == report.macs);
            assert_string_equal(squall_engine_text(engine, "model"), "small_unet");
            assert_null(squall_engine_recipe(engine));
            squall_engine_close(&engine);
        }
    }
    unlink(ENGINE);
}

static void test_views(void **state)
{
    (void)state;
    static ports all;
    squall_error err;
    assert_int_equal(build("views", "ref", NULL, 0, NULL, NULL, &err), SQUALL_OK);
    squall_engine *engine = open_engine(0);
    run_profile(engine, 0, &all);
    assert_int_equal(all.out_count, 5);
    check_output(&all, 0, views_input_again, sizeof views_input_again);
    check_output(&all, 1, views_zero, sizeof views_zero);
    check_output(&all, 2, views_last, sizeof views_last);
    check_output(&all, 3, views_constant, sizeof views_constant);
    check_output(&all, 4, views_g_again, sizeof views_g_again);
    /* What runs: Abs, Neg, Add, Gemm, and copies of an input, a constant and a second output. */
    squall_context *context = NULL;
    const squall_step_time *steps;
    size_t count;
    assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_OK);
    assert_int_equal(squall_context_profile(context, all.in, all.in_count, all.out, all.out_count,
                                            &steps, &count, &err),
                     SQUALL_OK);
    assert_int_equal(count, 7);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    unlink(ENGINE);
}

/* A size that two inputs share by its name needs to be given once. */
static void test_two_inputs(void **state)
{
    (void)state;
    static ports all;
    static const squall_input_shape shape = {.name = "a", .rank = 2, .dims = {2, 4}};
    static const squall_input_shape torn[] = {{.name = "a", .rank = 2, .dims = {2, 4}},
                                              {.name = "b", .rank = 2, .dims = {3, 3}}};
    squall_error err;
    assert_int_equal(build("two_inputs", "cpu", &shape, 1, NULL, NULL, &err), SQUALL_OK);
    squall_engine *engine = open_engine(0);
    run_profile(engine, 0, &all);
    check_output(&all, 0, two_inputs_y, sizeof two_inputs_y);
    squall_engine_close(&engine);
    assert_int_equal(build("two_inputs", "cpu", torn, 2, NULL, NULL, &err), SQUALL_E_SHAPE);
    unlink(ENGINE);
}

static void test_shapes_refused(void **state)
{
    (void)state;
    squall_error err;
    static const squall_input_shape rank = {.rank = 3, .dims = {3, 6, 4}};
    static const squall_input_shape fixed = {.rank = 4, .dims = {1, 4, 6, 4}};
    static const squall_input_shape odd = {.name = "x", .rank = 4, .dims = {1, 3, 5, 4}};
    static const squall_input_shape other = {.name = "z", .rank = 4, .dims = {1, 3, 6, 4}};
    static const squall_input_shape huge = {.rank = 4, .dims = {1 << 20, 3, 1 << 20, 1 << 20}};
    assert_int_equal(build("small_unet", "cpu", NULL, 0, NULL, NULL, &err), SQUALL_E_SHAPE);
    assert_non_null(strstr(err.text, "'x' float32[N,3,H,W]"));
    assert_non_null(strstr(err.text, "x=1x3x256x256"));
    assert_int_equal(build("small_unet", "cpu", &rank, 1, NULL, NULL, &err), SQUALL_E_SHAPE);
    assert_int_equal(build("small_unet", "cpu", &fixed, 1, NULL, NULL, &err), SQUALL_E_SHAPE);
    /* 5 rows are pooled to 2 and come back as 4: the node that cannot join them is named. */
    assert_int_equal(build("small_unet", "cpu", &odd, 1, NULL, NULL, &err), SQUALL_E_SHAPE);
    assert_non_null(strstr(err.where, "skip"));
    assert_int_equal(build("small_unet", "cpu", &other, 1, NULL, NULL, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(build("small_unet", "cpu", &huge, 1, NULL, NULL, &err), SQUALL_E_LIMIT);
    assert_int_equal(access(ENGINE, F_OK), -1);
}

static void test_unsupported(void **state)
{
    (void)state;
    squall_notes *notes = squall_notes_create();
    squall_error err;
    assert_int_equal(build("unsupported", "cpu", NULL, 0, NULL, notes, &err), SQUALL_E_UNSUPPORTED);
    size_t first = 0, second = 0;
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        first += strstr(squall_notes_get(notes, i), "first_bad") != NULL;
        second += strstr(squall_notes_get(notes, i), "second_bad") != NULL;
        assert_null(strstr(squall_notes_get(notes, i), "'good'"));
    }
    assert_int_equal(first, 1);
    assert_int_equal(second, 1);
    assert_int_equal(access(ENGINE, F_OK), -1);
    squall_notes_destroy(&notes);
}

static void test_options(void **state)
{
    (void)state;
    squall_build_options options;
    squall_error err;
    static squall_input_shape many[SQ_LIMIT_PROFILES + 1];
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        many[i] = unet_shapes[0];
    }
    assert_int_equal(build("small_unet", "abacus", unet_shapes, 1, NULL, NULL, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(build("small_unet", "cpu", many, SQ_LIMIT_PROFILES + 1, NULL, NULL, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(build("no_such_model", "cpu", NULL, 0, NULL, NULL, &err), SQUALL_E_IO);
    memset(&options, 0, sizeof options);
    assert_int_equal(squall_build(MODELS "views.onnx", &options, ENGINE, NULL, NULL, &err),
                     SQUALL_E_ARGUMENT);
    squall_build_options_init(&options);
    assert_string_equal(options.device, "cpu");
    options.threads = -1;
    assert_int_equal(squall_build(MODELS "views.onnx", &options, ENGINE, NULL, NULL, &err),
                     SQUALL_E_ARGUMENT);
    options.threads = 0;
    assert_int_equal(squall_build(MODELS "views.onnx", &options, "no/such/folder.sqe", NULL, NULL,
                                  &err),
                     SQUALL_E_IO);
    options.recipe = "{\"version\": 1, \"name\": \"rain\"}";
    assert_int_equal(squall_build(MODELS "views.onnx", &options, ENGINE, NULL, NULL, &err),
                     SQUALL_OK);
    squall_engine *engine = open_engine(0);
    assert_string_equal(squall_engine_recipe(engine), options.recipe);
    squall_engine_close(&engine);
    unlink(ENGINE);
}

static void test_same_bytes(void **state)
{
    (void)state;
    unsigned char *first, *second;
    size_t first_size, second_size;
    squall_error err;
    assert_int_equal(build("small_unet", "cpu", unet_shapes, 2, NULL, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_file_read(ENGINE, (size_t)1 << 20, &first, &first_size, &err), SQUALL_OK);
    assert_int_equal(build("small_unet", "cpu", unet_shapes, 2, NULL, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_file_read(ENGINE, (size_t)1 << 20, &second, &second_size, &err), SQUALL_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    sq_free(first);
    sq_free(second);
    unlink(ENGINE);
}

/* One build of a graph from memory to memory. */
static squall_status compile_once(const sq_graph *graph, squall_error *err)
{
    squall_build_options options;
    squall_build_report report = {0};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_build_options_init(&options);
    options.threads = 2;
    options.shapes = unet_shapes;
    options.shape_count = 1;
    const squall_status status =
        sq_compile_graph(graph, &options, true, hash, &bytes, &size, &report, NULL, err);
    assert_true((bytes != NULL) == (status == SQUALL_OK));
    sq_free(bytes);
    return status;
}

/* Each allocation made to fail once: a clean refusal, and nothing left behind. */
static void test_no_memory(void **state)
{
    (void)state;
    squall_error err;
    sq_graph *graph = NULL;
    assert_int_equal(sq_onnx_read(MODELS "small_unet.onnx", &graph, NULL, &err), SQUALL_OK);
    const long before = sq_memory_count();
    assert_int_equal(compile_once(graph, &err), SQUALL_OK);
    const long count = sq_memory_count() - before;
    long n = 0;
    for (squall_status status = SQUALL_E_MEMORY; status != SQUALL_OK; n++) {
        sq_memory_fail_at(n);
        status = compile_once(graph, &err);
        sq_memory_fail_at(-1);
        if (status != SQUALL_OK && status != SQUALL_E_MEMORY) {
            fail_msg("allocation %ld: %s: %s: %s", n, squall_status_name(status), err.where,
                     err.text);
        }
    }
    assert_int_equal(n, count + 1);
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet),        cmocka_unit_test(test_views),
        cmocka_unit_test(test_two_inputs),  cmocka_unit_test(test_shapes_refused),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_options),
        cmocka_unit_test(test_same_bytes),  cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
