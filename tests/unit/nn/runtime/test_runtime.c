/* tests/unit/nn/runtime/test_runtime.c - engines made by hand: opened, run, refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"
#include "squall/engine.h"

_Alignas(64) static unsigned char weights[128];

/* How the small engine is to differ. */
typedef void change_file(sq_engine_file *file);

static unsigned char *make_engine(bool device, change_file *change, size_t *size)
{
    sq_engine_file file;
    unsigned char *bytes;
    plan_file(&file, device, weights);
    if (change != NULL) {
        change(&file);
    }
    assert_int_equal(sq_engine_write(&file, &bytes, size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    return bytes;
}

static squall_status open_bytes(const unsigned char *bytes, size_t size, int32_t portable,
                                squall_engine **out, squall_notes *notes, squall_error *err)
{
    squall_engine_options options;
    squall_engine_options_init(&options);
    options.portable = portable;
    return squall_engine_open_memory(bytes, size, "test.sqe", &options, out, notes, err);
}

/* The small network: Neg(Reshape(Relu(x + [1, -2, 3, -4]))). */
static void run_small(squall_context *context, const float *x, float *y, squall_error *err,
                      squall_status expected)
{
    const squall_tensor in = {.dtype = SQUALL_F32,
                              .rank = 1,
                              .dims = {4},
                              .data = (void *)(uintptr_t)x};
    const squall_tensor out = {.dtype = SQUALL_F32, .rank = 2, .dims = {2, 2}, .data = y};
    assert_int_equal(squall_context_run(context, &in, 1, &out, 1, err), expected);
}

static void test_run(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_error err;
    const float x[4] = {0, 10, -10, 4.5f}, expected[4] = {-1, -8, 0, -0.5f};
    assert_int_equal(open_bytes(bytes, size, 0, &engine, NULL, &err), SQUALL_OK);
    for (int threads = 0; threads <= 3; threads++) {
        squall_context *context = NULL;
        float y[4];
        assert_int_equal(squall_context_create(engine, 0, threads, &context, &err), SQUALL_OK);
        for (int run = 0; run < 2; run++) {
            memset(y, 0x7f, sizeof y);
            const long before = sq_memory_count();
            run_small(context, x, y, &err, SQUALL_OK);
            assert_int_equal(sq_memory_count(), before);
            for (int i = 0; i < 4; i++) {
                assert_true(y[i] == expected[i]);
            }
        }
        squall_context_destroy(&context);
        assert_null(context);
    }
    squall_engine_close(&engine);
    assert_null(engine);
    sq_free(bytes);
}

static void test_facts(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_profile_info info;
    squall_tensor type;
    squall_error err;
    const char *name;
    assert_int_equal(open_bytes(bytes, size, 0, &engine, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_engine_profile_count(engine), 1);
    assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
    assert_int_equal(info.arena_bytes, 64);
    assert_int_equal(info.arena_bound_bytes, 64);
    assert_int_equal(info.step_count, 4);
    assert_string_equal(info.backend, "ref");
    assert_int_equal(squall_engine_profile(engine, 1, &info, &err), SQUALL_E_ARGUMENT);
    squall_step_info step;
    assert_int_equal(squall_engine_step(engine, 0, 1, &step, &err), SQUALL_OK);
    assert_string_equal(step.name, "s1");
    assert_true(step.output.rank > 0 && step.output.data == NULL);
    assert_int_equal(squall_engine_step(engine, 0, 0, &step, &err), SQUALL_OK);
    assert_string_equal(step.op, "Add");
    assert_string_equal(step.backend, "ref");
    assert_string_equal(step.tactic, "ref");
    assert_int_equal(squall_engine_step(engine, 0, 4, &step, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_engine_step(engine, 1, 0, &step, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_engine_input_count(engine), 1);
    assert_int_equal(squall_engine_output_count(engine), 1);
    assert_int_equal(squall_engine_input(engine, 0, 0, &name, &type, &err), SQUALL_OK);
    assert_string_equal(name, "v1");
    assert_int_equal(type.dtype, SQUALL_F32);
    assert_int_equal(type.rank, 1);
    assert_int_equal(type.dims[0], 4);
    assert_null(type.data);
    assert_int_equal(squall_engine_output(engine, 0, 0, &name, &type, &err), SQUALL_OK);
    assert_int_equal(type.rank, 2);
    assert_int_equal(squall_engine_output(engine, 0, 1, &name, &type, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_engine_input(engine, 2, 0, &name, &type, &err), SQUALL_E_ARGUMENT);
    assert_string_equal(squall_engine_recipe(engine), "{\"version\": 1}");
    assert_string_equal(squall_engine_text(engine, "model"), "small");
    assert_string_equal(squall_engine_text(engine, "squall_version"), "0.1.0");
    assert_string_equal(squall_engine_text(engine, "isa"), "");
    assert_memory_equal(squall_engine_text(engine, "model_sha256"), "07070707", 8);
    assert_null(squall_engine_text(engine, "colour"));
    squall_engine_close(&engine);
    sq_free(bytes);
}

/* What a caller can pass wrong: each refused with words, nothing written. */
static void test_arguments(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_error err;
    float x[8] = {0}, y[8] = {0};
    assert_int_equal(open_bytes(bytes, size, 0, &engine, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 1, 1, &context, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_context_create(engine, 0, -1, &context, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_context_create(engine, 0, 100000, &context, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_OK);
    const squall_tensor in = {.dtype = SQUALL_F32, .rank = 1, .dims = {4}, .data = x};
    const squall_tensor out = {.dtype = SQUALL_F32, .rank = 2, .dims = {2, 2}, .data = y};
    squall_tensor wrong = in;
    wrong.dims[0] = 5;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_E_SHAPE);
    assert_non_null(strstr(err.where, "v1"));
    assert_non_null(strstr(err.text, "float32[5]"));
    assert_non_null(strstr(err.text, "float32[4]"));
    wrong = in;
    wrong.dtype = SQUALL_I32;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_E_SHAPE);
    wrong = in;
    wrong.data = NULL;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_E_ARGUMENT);
    wrong.data = (char *)x + 2;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_E_ARGUMENT);
    wrong.data = y + 3;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "overlaps"));
    wrong.data = y + 4;
    assert_int_equal(squall_context_run(context, &wrong, 1, &out, 1, &err), SQUALL_OK);
    assert_int_equal(squall_context_run(context, &in, 2, &out, 1, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_context_run(context, &in, 1, &out, 0, &err), SQUALL_E_ARGUMENT);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    assert_int_equal(squall_engine_open_memory(bytes + 1, size - 1, "test.sqe", NULL, &engine, NULL,
                                               &err),
                     SQUALL_E_ARGUMENT); /* not aligned */
    squall_engine_options options = {0};
    assert_int_equal(squall_engine_open_memory(bytes, size, "test.sqe", &options, &engine, NULL,
                                               &err),
                     SQUALL_E_ARGUMENT); /* not set up */
    sq_free(bytes);
}

static void test_profile(void **state)
{
    (void)state;
    size_t size, count;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    const squall_step_time *steps;
    squall_error err;
    float x[4] = {1, 2, 3, 4}, y[4];
    const squall_tensor in = {.dtype = SQUALL_F32, .rank = 1, .dims = {4}, .data = x};
    const squall_tensor out = {.dtype = SQUALL_F32, .rank = 2, .dims = {2, 2}, .data = y};
    assert_int_equal(open_bytes(bytes, size, 0, &engine, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_OK);
    assert_int_equal(squall_context_profile(context, &in, 1, &out, 1, &steps, &count, &err),
                     SQUALL_OK);
    assert_int_equal(count, 3); /* the view does not run */
    assert_string_equal(steps[0].op, "Add");
    assert_string_equal(steps[1].name, "s1");
    assert_string_equal(steps[2].tactic, "ref");
    assert_int_equal(steps[0].bytes, 3 * 16);
    assert_int_equal(steps[2].bytes, 2 * 16);
    for (size_t i = 0; i < count; i++) {
        assert_true(steps[i].seconds >= 0 && steps[i].seconds < 60);
    }
    assert_true(y[0] == -2);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    sq_free(bytes);
}

static void tune_for_neon_and_avx(sq_engine_file *file)
{
    sq_free(file->isa);
#if defined(__aarch64__)
    file->isa = sq_strdup("avx512");
#else
    file->isa = sq_strdup("neon");
#endif
}
static void tune_for_nothing_known(sq_engine_file *file)
{
    sq_free(file->isa);
    file->isa = sq_strdup("abacus");
}
static void use_unknown_backend(sq_engine_file *file)
{
    file->device->steps[SMALL_NEG].backend = 77;
}
static void use_unknown_tactic(sq_engine_file *file)
{
    sq_free(file->device->steps[SMALL_NEG].tactic);
    file->device->steps[SMALL_NEG].tactic = sq_strdup("neg_by_hand");
}

/* A device plan that does not fit this host: the portable plan is used, and a note says why. */
static void test_device_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        change_file *change;
        const char *says;
    } cases[] = {
        {NULL, "packed bytes"}, /* ref packs nothing, so the dropped weight cannot be had */
        {tune_for_neon_and_avx, "built for"},
        {tune_for_nothing_known, "built for abacus"},
        {use_unknown_backend, "does not fit"},
        {use_unknown_tactic, "does not fit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        unsigned char *bytes = make_engine(true, cases[i].change, &size);
        squall_notes *notes = squall_notes_create();
        squall_engine *engine = NULL;
        squall_context *context = NULL;
        squall_error err;
        const float x[4] = {0, 10, -10, 4.5f};
        float y[4];
        assert_int_equal(open_bytes(bytes, size, 0, &engine, notes, &err), SQUALL_OK);
        assert_int_equal(squall_notes_count(notes), 1);
        assert_non_null(strstr(squall_notes_get(notes, 0), cases[i].says));
        assert_non_null(strstr(squall_notes_get(notes, 0), "run squall build again"));
        assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_OK);
        run_small(context, x, y, &err, SQUALL_OK);
        assert_true(y[1] == -8);
        squall_context_destroy(&context);
        squall_engine_close(&engine);
        /* Asked for the portable plan there is nothing to say. */
        assert_int_equal(open_bytes(bytes, size, 1, &engine, notes, &err), SQUALL_OK);
        assert_int_equal(squall_notes_count(notes), 1);
        squall_engine_close(&engine);
        squall_notes_destroy(&notes);
        sq_free(bytes);
    }
}

static void plan_unknown_tactic(sq_engine_file *file)
{
    sq_free(file->portable->steps[SMALL_NEG].tactic);
    file->portable->steps[SMALL_NEG].tactic = sq_strdup("neg_by_hand");
}
static void plan_unknown_backend(sq_engine_file *file)
{
    file->portable->steps[SMALL_NEG].backend = 77;
}
static void plan_wrong_take_over(sq_engine_file *file)
{
    /* Softmax takes nothing over on ref, whatever the file says. */
    file->portable->steps[SMALL_RELU].op = SQ_OP_Softmax;
}
static void plan_dropped(sq_engine_file *file)
{
    file->portable->values[SMALL_WEIGHT].home = SQ_HOME_DROPPED;
    file->portable->steps[SMALL_ADD].packed_bytes = 16;
}
static void plan_blocked(sq_engine_file *file)
{
    file->portable->values[SMALL_SUM].type.layout = SQUALL_C16;
}

/* A portable plan that no tactic fits is a broken file. */
static void test_hostile_tactics(void **state)
{
    (void)state;
    static change_file *const cases[] = {plan_unknown_tactic, plan_unknown_backend,
                                         plan_wrong_take_over, plan_dropped, plan_blocked};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        unsigned char *bytes = make_engine(false, cases[i], &size);
        squall_engine *engine = NULL;
        squall_error err;
        const squall_status status = open_bytes(bytes, size, 0, &engine, NULL, &err);
        if (status != SQUALL_E_CORRUPT) {
            fail_msg("case %zu: %s", i, squall_status_name(status));
        }
        assert_null(engine);
        sq_free(bytes);
    }
}

/* A change of any byte is found when the file is opened or a context made: this one's constants are
 * small. */
static void test_changed_weights(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_error err;
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 16;
        squall_status status = open_bytes(bytes, size, 0, &engine, NULL, &err);
        if (status == SQUALL_OK) {
            status = squall_context_create(engine, 0, 1, &context, &err);
            squall_engine_close(&engine);
        }
        assert_int_not_equal(status, SQUALL_OK);
        bytes[i] ^= 16;
    }
    sq_free(bytes);
}

static void test_open_file(void **state)
{
    (void)state;
    static const char *const path = "test_runtime.sqe";
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    squall_engine *engine = NULL;
    squall_context *first = NULL, *second = NULL;
    squall_error err;
    const float x[4] = {0, 10, -10, 4.5f};
    float y[4], z[4];
    assert_int_equal(sq_file_write(path, bytes, size, &err), SQUALL_OK);
    assert_int_equal(squall_engine_open(path, NULL, &engine, NULL, &err), SQUALL_OK);
    assert_int_equal(unlink(path), 0); /* the mapping stays */
    assert_int_equal(squall_context_create(engine, 0, 1, &first, &err), SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 0, 2, &second, &err), SQUALL_OK);
    run_small(first, x, y, &err, SQUALL_OK);
    run_small(second, x, z, &err, SQUALL_OK);
    assert_memory_equal(y, z, sizeof y);
    squall_context_destroy(&first);
    squall_context_destroy(&second);
    squall_engine_close(&engine);
    assert_int_equal(squall_engine_open(path, NULL, &engine, NULL, &err), SQUALL_E_IO);
    assert_int_equal(sq_file_write(path, bytes, size - 1, &err), SQUALL_OK);
    assert_int_equal(squall_engine_open(path, NULL, &engine, NULL, &err), SQUALL_E_TRUNCATED);
    assert_int_equal(sq_file_write(path, "", 0, &err), SQUALL_OK);
    assert_int_equal(squall_engine_open(path, NULL, &engine, NULL, &err), SQUALL_E_FORMAT);
    assert_int_equal(unlink(path), 0);
    sq_free(bytes);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_engine(false, NULL, &size);
    long n = 0;
    for (squall_status status = SQUALL_E_MEMORY; status != SQUALL_OK; n++) {
        squall_engine *engine = NULL;
        squall_context *context = NULL;
        sq_memory_fail_at(n);
        status = open_bytes(bytes, size, 0, &engine, NULL, NULL);
        if (status == SQUALL_OK) {
            status = squall_context_create(engine, 0, 2, &context, NULL);
        }
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        squall_context_destroy(&context);
        squall_engine_close(&engine);
    }
    assert_true(n > 40);
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_device_does_not_fit),
        cmocka_unit_test(test_hostile_tactics),
        cmocka_unit_test(test_changed_weights),
        cmocka_unit_test(test_open_file),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
