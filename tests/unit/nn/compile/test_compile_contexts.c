/* tests/unit/nn/compile/test_compile_contexts.c - contexts of one engine share its weights: each
 * more costs its arena, not another copy of them. */
#include <stdio.h>
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "squall/engine.h"

#define ENGINE "test_compile_contexts.sqe"

enum { IN = 1024, OUT = 4096, CONTEXTS = 12 };

/* Bytes of this process that are in memory. */
static size_t resident(void)
{
    size_t pages = 0, in_memory = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &pages, &in_memory), 2);
    (void)fclose(file);
    return in_memory * (size_t)sysconf(_SC_PAGESIZE);
}

/* One product with 16 MB of weights, of a row of numbers. */
static void write_engine(const char *device, squall_build_report *report)
{
    static const int64_t row[] = {1, IN}, weights[] = {IN, OUT};
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_build_options options;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 2, row);
    const uint32_t w = add_floats(graph, "w", 2, weights, 1);
    add_output(graph, add_op(graph, SQ_OP_Gemm, "y", INPUTS(x, w)));
    squall_build_options_init(&options);
    options.device = device;
    options.threads = 1;
    assert_int_equal(sq_compile_graph(graph, &options, true, hash, &bytes, &size, report, NULL,
                                      NULL),
                     SQUALL_OK);
    assert_int_equal(sq_file_write(ENGINE, bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
    sq_graph_destroy(&graph);
}

static void check(const char *device)
{
    static float in_data[IN], out_data[CONTEXTS][OUT];
    squall_build_report report = {0};
    squall_engine *engine = NULL;
    squall_context *contexts[CONTEXTS] = {NULL};
    size_t first = 0;
    write_engine(device, &report);
    assert_true(report.weight_bytes >= (size_t)IN * OUT * sizeof(float));
    assert_int_equal(squall_engine_open(ENGINE, NULL, &engine, NULL, NULL), SQUALL_OK);
    for (int i = 0; i < IN; i++) {
        in_data[i] = (float)(i % 7) - 3;
    }
    for (int c = 0; c < CONTEXTS; c++) {
        squall_tensor in, out;
        assert_int_equal(squall_context_create(engine, 0, 1, &contexts[c], NULL), SQUALL_OK);
        assert_int_equal(squall_context_input(contexts[c], 0, &in, NULL), SQUALL_OK);
        assert_int_equal(squall_context_output(contexts[c], 0, &out, NULL), SQUALL_OK);
        in.data = in_data;
        out.data = out_data[c];
        assert_int_equal(squall_context_run(contexts[c], &in, 1, &out, 1, NULL), SQUALL_OK);
        first = c == 0 ? resident() : first;
    }
    const size_t last = resident();
    const size_t more = last > first ? last - first : 0;
    /* eleven contexts more, each with its arena, in less than a third of the weights */
    if (more > report.weight_bytes / 3) {
        fail_msg("%zu bytes more for %d contexts; the weights have %zu", more, CONTEXTS - 1,
                 report.weight_bytes);
    }
    for (int c = 0; c < CONTEXTS; c++) {
        assert_memory_equal(out_data[c], out_data[0], sizeof out_data[0]);
        squall_context_destroy(&contexts[c]);
    }
    squall_engine_close(&engine);
    (void)unlink(ENGINE);
}

static void test_shared_weights(void **state)
{
    (void)state;
    check("ref");
    check("cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
