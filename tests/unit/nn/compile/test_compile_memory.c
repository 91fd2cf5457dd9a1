/* tests/unit/nn/compile/test_compile_memory.c - each allocation of a build from files, a refit, an
 * opening and a run made to fail once: SQUALL_E_MEMORY, no file left behind, nothing leaked. The
 * JSON library's own are left alone: when they fail it may lose a letter and say nothing. */
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "nn/graph/graph_fixture.h"
#include "squall/compile.h"
#include "squall/engine.h"

#define MODEL   SQUALL_SOURCE_DIR "/tests/data/compile/views.onnx"
#define ENGINE  "test_compile_memory.sqe"
#define MADE    "test_compile_memory_made.sqe"
#define TACTICS "test_compile_memory.json"

/* What is tried; SQUALL_OK when it went to its end. */
typedef squall_status attempt(squall_error *err);

static squall_status build(squall_error *err)
{
    squall_build_options options;
    squall_explanation *told = squall_explanation_create();
    squall_notes *notes = squall_notes_create();
    squall_build_options_init(&options);
    options.threads = 1;
    options.tactics_path = TACTICS;
    options.explanation = told;
    const squall_status status = squall_build(MODEL, &options, MADE, NULL, notes, err);
    squall_explanation_destroy(&told);
    squall_notes_destroy(&notes);
    return status;
}

static squall_status refit(squall_error *err)
{
    return squall_refit(ENGINE, MODEL, MADE, NULL, NULL, err);
}

static squall_status open_and_run(squall_error *err)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_tensor in[8], out[8];
    squall_status status = squall_engine_open(ENGINE, NULL, &engine, NULL, err);
    if (status == SQUALL_OK) {
        status = squall_context_create(engine, 0, 2, &context, err);
    }
    const size_t ins = engine != NULL ? squall_engine_input_count(engine) : 0;
    const size_t outs = engine != NULL ? squall_engine_output_count(engine) : 0;
    static float room[8][65536];
    assert_true(ins + outs <= 8);
    for (size_t i = 0; status == SQUALL_OK && i < ins + outs; i++) {
        squall_tensor *tensor = i < ins ? &in[i] : &out[i - ins];
        status = i < ins ? squall_context_input(context, i, tensor, err)
                         : squall_context_output(context, i - ins, tensor, err);
        assert_true(squall_tensor_bytes(tensor) <= sizeof room[0]);
        tensor->data = room[i];
    }
    if (status == SQUALL_OK) {
        status = squall_context_run(context, in, ins, out, outs, err);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    return status;
}

/* How many there were; some are done without, such as those of notes. */
static long fail_each(attempt *go, bool writes)
{
    squall_error err = {.code = SQUALL_OK};
    const long before = sq_memory_count();
    assert_int_equal(go(&err), SQUALL_OK);
    const long count = sq_memory_count() - before;
    long refused = 0;
    for (long n = 0; n < count; n++) {
        (void)unlink(MADE);
        sq_memory_fail_at(n);
        const squall_status status = go(&err);
        sq_memory_fail_at(-1);
        if (status != SQUALL_OK && status != SQUALL_E_MEMORY) {
            fail_msg("allocation %ld: %s: %s: %s", n, squall_status_name(status), err.where,
                     err.text);
        }
        refused += status != SQUALL_OK;
        assert_int_equal(access(MADE, F_OK) == 0, writes && status == SQUALL_OK);
    }
    assert_true(refused > count / 2);
    return count;
}

static void test_each_allocation(void **state)
{
    (void)state;
    squall_build_options options;
    squall_build_options_init(&options);
    options.threads = 1;
    options.tune_seconds = 0.5;
    options.tactics_path = TACTICS;
    (void)unlink(TACTICS);
    assert_int_equal(squall_build(MODEL, &options, ENGINE, NULL, NULL, NULL), SQUALL_OK);
    assert_true(fail_each(build, true) > 100);
    assert_true(fail_each(refit, true) > 100);
    assert_true(fail_each(open_and_run, false) > 10);
    (void)unlink(ENGINE);
    (void)unlink(MADE);
    (void)unlink(TACTICS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
