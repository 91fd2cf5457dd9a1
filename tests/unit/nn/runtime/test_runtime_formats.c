/* tests/unit/nn/runtime/test_runtime_formats.c - engines that were written in each format, by the
 * squall of its time, still open and give what they gave: tests/data/engine, made by
 * tests/expected/make_engine.sh. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nn/compile/compile_expected.h"
#include "nn/plan/plan_internal.h"
#include "squall/engine.h"

#define KEPT SQUALL_SOURCE_DIR "/tests/data/engine/"

/* Run a profile on the input that compile_expected.h is for. */
static void check_profile(squall_engine *engine, size_t profile, const float *expected,
                          size_t count)
{
    float x[128], y[128];
    squall_tensor in, out;
    squall_context *context = NULL;
    squall_error err;
    const char *name;
    assert_int_equal(squall_engine_input(engine, profile, 0, &name, &in, &err), SQUALL_OK);
    assert_int_equal(squall_engine_output(engine, profile, 0, &name, &out, &err), SQUALL_OK);
    assert_true(squall_tensor_count(&in) <= 128 && squall_tensor_count(&out) == count);
    for (size_t i = 0; i < squall_tensor_count(&in); i++) {
        x[i] = (float)(7919 * i % 1000) / 500.0f - 1.0f;
    }
    in.data = x;
    out.data = y;
    assert_int_equal(squall_context_create(engine, profile, 2, &context, &err), SQUALL_OK);
    assert_int_equal(squall_context_run(context, &in, 1, &out, 1, &err), SQUALL_OK);
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(y[i] - expected[i]) <= 1e-5f)) {
            fail_msg("profile %zu, element %zu: %g, not %g", profile, i, (double)y[i],
                     (double)expected[i]);
        }
    }
    squall_context_destroy(&context);
}

static void check_format(int format, int32_t portable)
{
    char path[512], keys[512];
    squall_engine *engine = NULL;
    squall_engine_options options;
    squall_error err = {.code = SQUALL_OK};
    int64_t least, most;
    snprintf(path, sizeof path, KEPT "format_%d.sqe", format);
    snprintf(keys, sizeof keys, KEPT "format_%d.pub", format);
    squall_engine_options_init(&options);
    options.portable = portable;
    options.trusted_keys = keys;
    if (squall_engine_open(path, &options, &engine, NULL, &err) != SQUALL_OK) {
        fail_msg("format %d: %s: %s (tests/expected/make_engine.sh makes that of a new format)",
                 format, err.where, err.text);
    }
    assert_string_equal(squall_engine_text(engine, "model"), "small_unet");
    assert_non_null(strstr(squall_engine_recipe(engine), "\"default-1\""));
    assert_int_equal(squall_engine_profile_count(engine), 2);
    assert_int_equal(squall_engine_batches(engine, 1, 0, &least, &most, &err), SQUALL_OK);
    assert_true(least == 1 && most == 4);
    check_profile(engine, 0, small_unet_6x4_y, sizeof small_unet_6x4_y / sizeof(float));
    check_profile(engine, 1, small_unet_2x8x2_y, sizeof small_unet_2x8x2_y / sizeof(float));
    squall_engine_close(&engine);
}

static void test_kept_engines(void **state)
{
    (void)state;
    for (int format = SQ_ENGINE_OLDEST_FORMAT; format <= SQ_ENGINE_FORMAT; format++) {
        check_format(format, 0);
        check_format(format, 1);
    }
}

/* One that is too old is told apart from one that is too new. */
static void test_outside(void **state)
{
    (void)state;
    static const struct {
        int format;
        const char *says;
    } cases[] = {{SQ_ENGINE_OLDEST_FORMAT - 1, "run squall build again"},
                 {SQ_ENGINE_FORMAT + 1, "use a newer squall"}};
    for (size_t k = 0; k < 2; k++) {
        _Alignas(64) static unsigned char bytes[1024];
        squall_engine *engine = NULL;
        squall_error err;
        char range[32];
        memcpy(bytes, SQ_ENGINE_MAGIC, SQ_ENGINE_MAGIC_BYTES);
        sq_store_uint(bytes + SQ_HEADER_FORMAT, (uint64_t)cases[k].format, 4);
        assert_int_equal(squall_engine_open_memory(bytes, sizeof bytes, "e", NULL, &engine, NULL,
                                                   &err),
                         SQUALL_E_VERSION);
        snprintf(range, sizeof range, "%d to %d", SQ_ENGINE_OLDEST_FORMAT, SQ_ENGINE_FORMAT);
        assert_non_null(strstr(err.text, range));
        assert_non_null(strstr(err.text, cases[k].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_engines),
        cmocka_unit_test(test_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
