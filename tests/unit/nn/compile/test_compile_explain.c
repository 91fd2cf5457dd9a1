/* tests/unit/nn/compile/test_compile_explain.c - what a build tells of each node of the model, and
 * the pictures of the graph that it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "nn/compile/compile_internal.h"
#include "nn/graph/graph_fixture.h"

static const int64_t dims[] = {1, 2, 6, 6}, kernels[] = {4, 2, 3, 3};

/* conv -> relu -> y; relu -> reshape -> z; constants that add up; something that nobody needs. */
static sq_graph *make_model(void)
{
    static const int64_t flat[] = {1, 64};
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 4, dims);
    const uint32_t w = add_floats(graph, "w", 4, kernels, 1);
    const uint32_t v = add_floats(graph, "v", 4, kernels, 2);
    const uint32_t sum = add_op(graph, SQ_OP_Add, "sum", INPUTS(w, v));
    const uint32_t conv = add_op(graph, SQ_OP_Conv, "conv", INPUTS(x, sum));
    const uint32_t relu = add_op(graph, SQ_OP_Relu, "relu", INPUTS(conv));
    add_op(graph, SQ_OP_Tanh, "unused", INPUTS(relu));
    const uint32_t same = add_op(graph, SQ_OP_Identity, "same", INPUTS(relu));
    add_output(graph, add_op(graph, SQ_OP_Sigmoid, "y", INPUTS(same)));
    add_output(graph,
               add_op(graph, SQ_OP_Reshape, "z", INPUTS(same, add_ints(graph, "s", flat, 2))));
    return graph;
}

static void build(const sq_graph *graph, const squall_build_options *options)
{
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    if (sq_compile_graph(graph, options, true, hash, &bytes, &size, &report, NULL, &err) !=
        SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_free(bytes);
}

static squall_fate find(const squall_explanation *explanation, const char *node)
{
    squall_fate fate = {.node = NULL};
    for (size_t i = 0; i < squall_explanation_count(explanation); i++) {
        assert_int_equal(squall_explanation_get(explanation, i, &fate, NULL), SQUALL_OK);
        if (strcmp(fate.node, node) == 0) {
            return fate;
        }
    }
    fail_msg("nothing is told of '%s'", node);
    return fate;
}

static void check_fate(const squall_explanation *explanation, const char *node,
                       squall_became became, const char *words)
{
    const squall_fate fate = find(explanation, node);
    if (fate.became != became || strstr(fate.why, words) == NULL) {
        fail_msg("'%s' became %s: %s", node, squall_became_name(fate.became), fate.why);
    }
    const bool runs = became == SQUALL_BECAME_STEP || became == SQUALL_BECAME_FUSED;
    assert_int_equal(fate.step >= 0, runs || became == SQUALL_BECAME_VIEW);
    assert_int_equal(fate.tactic[0] != '\0', runs);
}

/* What the reader found to be a value and no node is told of too. */
static void test_constants(void **state)
{
    (void)state;
    sq_graph *graph = make_model();
    squall_build_options options;
    squall_explanation *told = squall_explanation_create();
    assert_true(sq_graph_note_constant(graph, "c"));
    squall_build_options_init(&options);
    options.device = "ref";
    options.explanation = told;
    build(graph, &options);
    assert_int_equal(squall_explanation_count(told), graph->node_count + 1);
    check_fate(told, "c", SQUALL_BECAME_CONSTANT, "in the model");
    squall_explanation_destroy(&told);
    sq_graph_destroy(&graph);
}

static void test_fates(void **state)
{
    (void)state;
    static const char *const devices[] = {"ref", "cpu"};
    for (int d = 0; d < 2; d++) {
        sq_graph *graph = make_model();
        squall_build_options options;
        squall_explanation *told = squall_explanation_create();
        squall_fate fate;
        squall_build_options_init(&options);
        options.device = devices[d];
        options.threads = 1;
        options.explanation = told;
        build(graph, &options);
        assert_int_equal(squall_explanation_count(told), graph->node_count);
        check_fate(told, "sum", SQUALL_BECAME_CONSTANT, "all that it works on is known");
        check_fate(told, "conv", SQUALL_BECAME_STEP, "");
        check_fate(told, "relu", SQUALL_BECAME_FUSED, "went into node 'conv' (Conv)");
        check_fate(told, "unused", SQUALL_BECAME_REMOVED, "no output needs it");
        check_fate(told, "same", SQUALL_BECAME_REMOVED, "gives its input");
        check_fate(told, "y", SQUALL_BECAME_STEP, "is needed as it is");
        assert_int_equal(find(told, "relu").step, find(told, "conv").step);
        assert_int_equal(squall_explanation_get(told, graph->node_count, &fate, NULL),
                         SQUALL_E_ARGUMENT);
        squall_explanation_destroy(&told);
        squall_explanation_destroy(&told);
        sq_graph_destroy(&graph);
    }
}

static uint32_t add_number(sq_graph *graph, const char *name, squall_dtype dtype, uint8_t value)
{
    squall_tensor tensor;
    assert_true(sq_tensor_make(dtype, 0, NULL, &tensor));
    *(uint8_t *)tensor.data = value; /* the low byte */
    return sq_graph_add_constant(graph, name, &tensor);
}

/* Nodes of a body are told of too; each became a step a round. */
static void test_loop(void **state)
{
    (void)state;
    sq_graph *graph = sq_graph_create();
    const uint32_t x = add_input(graph, "x", SQUALL_F32, 1, (int64_t[]){3});
    const uint32_t inputs[] = {add_number(graph, "most", SQUALL_I64, 3),
                               add_number(graph, "go", SQUALL_BOOL, 1), x};
    const uint32_t y = sq_graph_add_value(graph, "y");
    sq_node *loop = sq_graph_add_node(graph, SQ_OP_Loop, "loop", 3, 1);
    memcpy(loop->inputs, inputs, sizeof inputs);
    loop->outputs[0] = y;
    loop->own_inputs = 3;
    sq_graph *body = sq_graph_add_body(loop, "body")->graph;
    loop->bodies[0].own_inputs = 3;
    (void)add_input(body, "round", SQUALL_DTYPE_NONE, 0, NULL);
    const uint32_t go = add_input(body, "go", SQUALL_DTYPE_NONE, 0, NULL);
    const uint32_t v = add_input(body, "v", SQUALL_DTYPE_NONE, 0, NULL);
    add_output(body, go);
    add_output(body, add_op(body, SQ_OP_Mul, "double", INPUTS(v, v)));
    add_output(graph, y);
    squall_build_options options;
    squall_explanation *told = squall_explanation_create();
    squall_build_options_init(&options);
    options.device = "ref";
    options.explanation = told;
    build(graph, &options);
    check_fate(told, "loop", SQUALL_BECAME_REMOVED, "took its place");
    check_fate(told, "loop/double", SQUALL_BECAME_STEP, "");
    assert_int_equal(find(told, "loop/double").steps, 3);
    squall_explanation_destroy(&told);
    sq_graph_destroy(&graph);
}

/* Each allocation made to fail once: the build says so, or does without, and leaks nothing. */
static void test_memory(void **state)
{
    (void)state;
    sq_graph *graph = make_model();
    const unsigned char hash[SQ_HASH_BYTES] = {0};
    squall_status status = SQUALL_E_MEMORY;
    for (long n = 0; status != SQUALL_OK; n++) {
        unsigned char *bytes = NULL;
        size_t size = 0;
        squall_build_options options;
        squall_build_report report = {0};
        squall_explanation *told = squall_explanation_create();
        squall_build_options_init(&options);
        options.threads = 1;
        options.explanation = told;
        sq_memory_fail_at(n);
        status = sq_compile_graph(graph, &options, true, hash, &bytes, &size, &report, NULL, NULL);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_free(bytes);
        squall_explanation_destroy(&told);
    }
    sq_graph_destroy(&graph);
}

static void test_dump(void **state)
{
    (void)state;
    char folder[] = "/tmp/squall_dump_XXXXXX", path[128], text[4096] = "";
    squall_build_options options;
    sq_graph *graph = make_model();
    assert_non_null(mkdtemp(folder));
    squall_build_options_init(&options);
    options.threads = 1;
    options.dump_folder = folder;
    build(graph, &options);
    snprintf(path, sizeof path, "%s/00-model.dot", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    (void)fclose(file);
    assert_non_null(strstr(text, "digraph"));
    assert_non_null(strstr(text, "Relu\\nrelu"));
    uint32_t pictures = 0, smaller = 0;
    for (int n = 0; n < 20; n++) {
        static const char *const names[] = {"model",    "dead-code", "constants",
                                            "identity", "shape",     "activation"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            snprintf(path, sizeof path, "%s/%02d-%s.json", folder, n, names[i]);
            json_t *document = json_load_file(path, 0, NULL);
            if (document != NULL) {
                pictures++;
                smaller += json_array_size(json_object_get(document, "nodes")) < 4;
                assert_string_equal(json_string_value(json_object_get(document, "after")),
                                    i == 1 ? "dead code" : names[i]);
                json_decref(document);
                assert_int_equal(unlink(path), 0);
                memcpy(strrchr(path, '.'), ".dot", 5);
                assert_int_equal(unlink(path), 0);
            }
        }
    }
    assert_true(pictures >= 4 && smaller > 0);
    assert_int_equal(rmdir(folder), 0); /* and no other files */
    sq_graph_destroy(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fates), cmocka_unit_test(test_constants),
        cmocka_unit_test(test_loop),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
