/* tests/unit/nn/compile/test_compile_reduce.c - the smallest part of a model that still fails: by
 * numbers, by what the compiler says, by a test of the caller's. */
#include <math.h>
#include <unistd.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"
#include "nn/onnx/onnx.h"
#include "squall/reduce.h"

#define DATA SQUALL_SOURCE_DIR "/tests/data/"
#define UNET DATA "compile/small_unet.onnx"
#define OUT  "test_compile_reduce.onnx"

static const squall_input_shape shape = {.name = "x", .rank = 4, .dims = {2, 3, 32, 32}};

static squall_reduce_options options_for_unet(void)
{
    squall_reduce_options options;
    squall_reduce_options_init(&options);
    options.threads = 2;
    options.shapes = &shape;
    options.shape_count = 1;
    return options;
}

/* The result, read again; given. */
static sq_graph *result(void)
{
    sq_graph *graph = NULL;
    squall_error err;
    if (sq_onnx_read(OUT, &graph, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return graph;
}

static uint32_t count_op(const sq_graph *graph, sq_op op)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        count += graph->nodes[n].op == op;
    }
    return count;
}

/* Winograd's convolutions are no more exact than this: one of them is left, on small inputs. */
static void test_by_numbers(void **state)
{
    (void)state;
    squall_reduce_options options = options_for_unet();
    squall_reduce_report report;
    squall_error err = {.code = SQUALL_OK};
    unsigned char *first, *second;
    size_t size, again;
    if (sq_cpu_isa() == SQ_ISA_C) {
        skip(); /* plain C has no such tactic */
    }
    options.tactic = "winograd";
    options.below_db = 170;
    if (squall_reduce(UNET, &options, OUT, &report, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(report.nodes_in, 9);
    assert_int_equal(report.nodes_out, 1);
    assert_true(report.complete && report.tests > 3 && report.psnr_db < 170);
    sq_graph *graph = result();
    assert_int_equal(graph->node_count, 1);
    assert_int_equal(count_op(graph, SQ_OP_Conv), 1);
    assert_int_equal(graph->input_count, 1);
    const squall_tensor *in = &graph->values[graph->inputs[0]].type;
    assert_true(in->rank == 4 && in->dims[0] == 1 && in->dims[2] < 32 && in->dims[3] < 32);
    sq_graph_destroy(&graph);
    /* The same again, to the last byte. */
    assert_int_equal(sq_file_read(OUT, 1 << 20, &first, &size, NULL), SQUALL_OK);
    assert_int_equal(squall_reduce(UNET, &options, OUT, NULL, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_file_read(OUT, 1 << 20, &second, &again, NULL), SQUALL_OK);
    assert_true(size == again && memcmp(first, second, size) == 0);
    sq_free(first);
    sq_free(second);
    /* What is right is not reduced, nor what has no such tactic. */
    options.below_db = 40;
    assert_int_equal(squall_reduce(UNET, &options, OUT, NULL, NULL, &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "dB"));
    options.below_db = 1000;
    options.tactic = "abacus";
    assert_int_equal(squall_reduce(UNET, &options, OUT, NULL, NULL, &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "no step has such a tactic"));
    unlink(OUT);
}

static void test_by_message(void **state)
{
    (void)state;
    squall_reduce_options options;
    squall_reduce_report report;
    squall_error err = {.code = SQUALL_OK};
    sq_graph *graph = NULL;
    squall_reduce_options_init(&options);
    options.message = "domain 'example.clouds' is not taken";
    assert_int_equal(squall_reduce(DATA "compile/unsupported.onnx", &options, OUT, &report, NULL,
                                   &err),
                     SQUALL_OK);
    assert_int_equal(report.nodes_in, 3);
    assert_int_equal(report.nodes_out, 1);
    assert_true(isnan(report.psnr_db));
    assert_int_equal(sq_onnx_read(OUT, &graph, NULL, &err), SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "RainMaker"));
    options.message = "it rains";
    assert_int_equal(squall_reduce(DATA "compile/unsupported.onnx", &options, OUT, NULL, NULL,
                                   &err),
                     SQUALL_E_NO_DATA);
    assert_int_equal(squall_reduce("no_such.onnx", &options, OUT, NULL, NULL, &err), SQUALL_E_IO);
    assert_int_equal(squall_reduce(DATA "onnx/not_onnx.onnx", &options, OUT, NULL, NULL, &err),
                     SQUALL_E_FORMAT);
    unlink(OUT);
}

/* A test of the caller's: the file holds a node of that operator. */
typedef struct seeker {
    sq_op op;
    int asked;
    squall_status answer;
} seeker;

static squall_status has_op(void *self, const char *path, int32_t *fails, squall_error *err)
{
    seeker *seek = self;
    sq_graph *graph = NULL;
    seek->asked++;
    if (seek->answer != SQUALL_OK) {
        return sq_fail(err, seek->answer, path, "told to");
    }
    *fails = 0;
    if (sq_onnx_read(path, &graph, NULL, NULL) == SQUALL_OK) {
        *fails = count_op(graph, seek->op) > 0;
        sq_graph_destroy(&graph);
    }
    return SQUALL_OK;
}

static void test_by_check(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        sq_op op;
        uint32_t inputs, weights;
    } cases[] = {
        {UNET, SQ_OP_Concat, 2, 0},
        {UNET, SQ_OP_Resize, 1, 1},                   /* keeps its scales */
        {DATA "onnx/external.onnx", SQ_OP_Add, 1, 1}, /* its weight is in another file */
        {DATA "networks/sequences.script.onnx", SQ_OP_LSTM, 3, 3},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        seeker seek = {.op = cases[k].op};
        squall_reduce_options options = options_for_unet();
        squall_reduce_report report;
        squall_error err = {.code = SQUALL_OK};
        options.check = has_op;
        options.check_self = &seek;
        if (k > 1) {
            options.shape_count = 0;
        }
        if (squall_reduce(cases[k].model, &options, OUT, &report, NULL, &err) != SQUALL_OK) {
            fail_msg("%s: %s: %s", cases[k].model, err.where, err.text);
        }
        assert_true(seek.asked == (int)report.tests && report.nodes_out < 4);
        sq_graph *graph = result();
        uint32_t weights = 0;
        for (uint32_t v = 0; v < graph->value_count; v++) {
            weights += graph->values[v].constant;
        }
        assert_int_equal(graph->node_count, 1);
        assert_int_equal(count_op(graph, cases[k].op), 1);
        assert_true(graph->input_count >= 1 && graph->input_count <= cases[k].inputs);
        assert_true(weights >= cases[k].weights);
        sq_graph_destroy(&graph);
        assert_int_equal(access(OUT ".candidate", F_OK), -1);
    }
    unlink(OUT);
}

/* A check that cannot be made ends it, and time that is over leaves what there is, with a note. */
static void test_ends(void **state)
{
    (void)state;
    seeker seek = {.op = SQ_OP_Concat, .answer = SQUALL_E_TIMEOUT};
    squall_reduce_options options = options_for_unet();
    squall_reduce_report report;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    options.check = has_op;
    options.check_self = &seek;
    assert_int_equal(squall_reduce(UNET, &options, OUT, NULL, notes, &err), SQUALL_E_TIMEOUT);
    assert_int_equal(access(OUT, F_OK), -1);
    seek.answer = SQUALL_OK;
    options.seconds = 1e-9;
    assert_int_equal(squall_reduce(UNET, &options, OUT, &report, notes, &err), SQUALL_OK);
    assert_true(!report.complete && report.nodes_out == report.nodes_in);
    assert_int_equal(squall_notes_count(notes), 1);
    /* Numbers of the caller's that do not fit. */
    squall_tensor wrong;
    assert_true(sq_tensor_make(SQUALL_F32, 2, (int64_t[]){2, 2}, &wrong));
    options.inputs = &wrong;
    options.input_count = 1;
    assert_int_equal(squall_reduce(UNET, &options, OUT, &report, notes, &err), SQUALL_E_ARGUMENT);
    sq_tensor_free(&wrong);
    squall_notes_destroy(&notes);
    unlink(OUT);
}

/* The whole of a model, written again, gives what it gave: weights, attributes, bodies. */
static void test_written_whole(void **state)
{
    (void)state;
    static const char *const models[] = {UNET, DATA "networks/convlstm.dynamo.onnx",
                                         DATA "networks/sequences.dynamo.onnx"};
    for (size_t k = 0; k < 3; k++) {
        squall_error err = {.code = SQUALL_OK};
        sq_onnx_parts *parts = NULL;
        assert_int_equal(sq_onnx_parts_open(models[k], &parts, &err), SQUALL_OK);
        const uint32_t count = sq_onnx_parts_count(parts);
        bool *kept = sq_alloc(count, sizeof *kept);
        memset(kept, 1, count);
        unsigned char *bytes;
        size_t size;
        uint32_t nodes;
        sq_graph *a = NULL, *b = NULL;
        assert_int_equal(sq_onnx_parts_write(parts, kept, NULL, NULL, &bytes, &size, &nodes, &err),
                         SQUALL_OK);
        assert_int_equal(sq_onnx_read(models[k], &a, NULL, &err), SQUALL_OK);
        if (sq_onnx_read_memory(bytes, size, "again", &b, NULL, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        assert_int_equal(a->node_count, b->node_count);
        assert_int_equal(a->input_count, b->input_count);
        assert_int_equal(a->output_count, b->output_count);
        for (uint32_t n = 0; n < a->node_count; n++) {
            assert_string_equal(a->nodes[n].name, b->nodes[n].name);
            assert_true(sq_attrs_same(&a->nodes[n].attrs, &b->nodes[n].attrs));
        }
        sq_graph_destroy(&a);
        sq_graph_destroy(&b);
        sq_free(bytes);
        sq_free(kept);
        sq_onnx_parts_close(&parts);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    squall_reduce_options options = options_for_unet();
    squall_error err;
    squall_status status = SQUALL_E_MEMORY;
    long n = 0;
    options.message = "is not fixed";
    options.shape_count = 0;
    for (; status == SQUALL_E_MEMORY; n += 3) {
        sq_memory_fail_at(n);
        status = squall_reduce(UNET, &options, OUT, NULL, NULL, &err);
        sq_memory_fail_at(-1);
    }
    assert_true(status == SQUALL_OK || status == SQUALL_E_NO_DATA);
    assert_true(n > 30);
    unlink(OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_numbers),    cmocka_unit_test(test_by_message),
        cmocka_unit_test(test_by_check),      cmocka_unit_test(test_ends),
        cmocka_unit_test(test_written_whole), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
