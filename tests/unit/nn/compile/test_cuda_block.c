/* tests/unit/nn/compile/test_cuda_block.c - convolutions with what stands around them, by every
 * kernel that a GPU has for them, against the reference backend: two sources, doubled ones,
 * strides, transposed ones, pooling, depthwise ones, gates of cells.
 *
 * All cases are one network, so that an engine takes one run of NVRTC. Each way of a case has its
 * turn: engine k takes way k of every step. Here they run on the stand-in of tests/fake;
 * SQUALL_TEST_GPU=1 takes the GPU that is there, and an argument k that engine alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/compile/compile_internal.h"
#include "nn/ref/ref.h"
#include "squall/engine.h"

enum { PORTS = 64, WAYS = 24 };

typedef struct block_case {
    sq_op op;
    int64_t n, h, w;     /* of the whole input */
    int64_t channels[2]; /* 0: no second source */
    int64_t up[2];       /* 1 or 2 */
    int64_t out, kernel, stride, pad, group;
    sq_activation act;
    bool pooled;
} block_case;

static const block_case cases[] = {
    {SQ_OP_Conv, 1, 35, 13, {72, 0}, {1, 1}, 40, 3, 1, 1, 1, SQ_ACT_RELU, true},
    {SQ_OP_Conv, 2, 10, 18, {16, 0}, {1, 1}, 72, 3, 1, 1, 1, SQ_ACT_LEAKY_RELU, true},
    {SQ_OP_Conv, 1, 18, 20, {24, 70}, {2, 1}, 136, 3, 1, 1, 1, SQ_ACT_RELU, false},
    {SQ_OP_Conv, 1, 34, 10, {8, 16}, {1, 2}, 24, 3, 1, 1, 1, SQ_ACT_NONE, false},
    {SQ_OP_Conv, 1, 9, 17, {64, 8}, {1, 1}, 72, 3, 1, 1, 1, SQ_ACT_RELU, true},
    {SQ_OP_Conv, 2, 12, 8, {136, 0}, {1, 1}, 20, 1, 1, 0, 1, SQ_ACT_RELU, false},
    {SQ_OP_Conv, 1, 7, 5, {24, 0}, {1, 1}, 72, 1, 1, 0, 1, SQ_ACT_NONE, false},
    {SQ_OP_Conv, 1, 21, 19, {20, 0}, {1, 1}, 72, 3, 2, 1, 1, SQ_ACT_LEAKY_RELU, false},
    {SQ_OP_Conv, 1, 6, 10, {16, 0}, {2, 1}, 12, 3, 1, 1, 1, SQ_ACT_TANH, false},
    {SQ_OP_ConvTranspose, 1, 9, 10, {72, 0}, {1, 1}, 72, 4, 2, 1, 1, SQ_ACT_LEAKY_RELU, false},
    {SQ_OP_ConvTranspose, 1, 8, 9, {10, 0}, {1, 1}, 7, 3, 2, 1, 1, SQ_ACT_NONE, false},
    {SQ_OP_Conv, 2, 9, 11, {3, 0}, {1, 1}, 20, 3, 2, 1, 1, SQ_ACT_RELU, false},
    {SQ_OP_Conv, 1, 5, 37, {4, 0}, {1, 1}, 72, 3, 1, 1, 1, SQ_ACT_RELU, false},
    {SQ_OP_Conv, 1, 8, 10, {1, 1}, {1, 1}, 1, 7, 1, 3, 1, SQ_ACT_SIGMOID, false},
    {SQ_OP_Conv, 2, 9, 10, {20, 0}, {1, 1}, 20, 3, 1, 1, 20, SQ_ACT_RELU, false},
    {SQ_OP_Conv, 1, 6, 7, {20, 0}, {1, 1}, 40, 3, 1, 1, 20, SQ_ACT_NONE, false},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static uint32_t state_of_numbers = 5;

/* -1..1, never the same twice running. */
static float number(void)
{
    state_of_numbers = state_of_numbers * 1664525u + 1013904223u;
    return (float)(state_of_numbers >> 8) * 0x1p-23f - 1.0f;
}

static uint32_t new_value(sq_graph *graph)
{
    char name[32];
    snprintf(name, sizeof name, "v%u", graph->value_count);
    return sq_graph_add_value(graph, name);
}

static uint32_t constant(sq_graph *graph, const int64_t *dims, uint32_t rank, float scale)
{
    squall_tensor tensor;
    char name[32];
    assert_true(sq_tensor_make(SQUALL_F32, rank, dims, &tensor));
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        ((float *)tensor.data)[i] = scale * number();
    }
    snprintf(name, sizeof name, "c%u", graph->value_count);
    return sq_graph_add_constant(graph, name, &tensor);
}

static uint32_t input(sq_graph *graph, int64_t n, int64_t c, int64_t h, int64_t w)
{
    const uint32_t v = new_value(graph);
    graph->values[v].type = (squall_tensor){.dtype = SQUALL_F32, .rank = 4, .dims = {n, c, h, w}};
    graph->inputs[graph->input_count++] = v;
    return v;
}

static sq_node *node(sq_graph *graph, sq_op op, uint32_t in_count)
{
    char name[32];
    snprintf(name, sizeof name, "n%u", graph->node_count);
    sq_node *made = sq_graph_add_node(graph, op, name, in_count, 1);
    assert_non_null(made);
    made->attrs.opset = 17;
    return made;
}

static void set_pair(sq_node *at, const char *name, int64_t value)
{
    const int64_t pair[2] = {value, value};
    assert_true(sq_attr_set_ints(&at->attrs, name, pair, 2));
}

static uint32_t doubled(sq_graph *graph, uint32_t from)
{
    static const float scales[4] = {1, 1, 2, 2};
    const int64_t four = 4;
    const uint32_t to = new_value(graph), c = constant(graph, &four, 1, 0);
    memcpy(graph->values[c].type.data, scales, sizeof scales);
    sq_node *made = node(graph, SQ_OP_Resize, 3);
    made->inputs[0] = from;
    made->inputs[1] = SQ_NO_VALUE;
    made->inputs[2] = c;
    made->outputs[0] = to;
    assert_true(sq_attr_set_string(&made->attrs, "coordinate_transformation_mode", "asymmetric",
                                   strlen("asymmetric")));
    assert_true(sq_attr_set_string(&made->attrs, "nearest_mode", "floor", strlen("floor")));
    return to;
}

static void add_case(sq_graph *graph, const block_case *c)
{
    uint32_t x[2] = {SQ_NO_VALUE, SQ_NO_VALUE};
    for (int s = 0; s < 2 && c->channels[s] > 0; s++) {
        x[s] = input(graph, c->n, c->channels[s], c->h / c->up[s], c->w / c->up[s]);
        x[s] = c->up[s] == 2 ? doubled(graph, x[s]) : x[s];
    }
    if (x[1] != SQ_NO_VALUE) {
        const uint32_t to = new_value(graph);
        sq_node *concat = node(graph, SQ_OP_Concat, 2);
        assert_true(sq_attr_set_int(&concat->attrs, "axis", 1));
        concat->inputs[0] = x[0];
        concat->inputs[1] = x[1];
        concat->outputs[0] = x[0] = to;
    }
    const int64_t in = c->channels[0] + c->channels[1], k = c->kernel;
    const bool turned = c->op == SQ_OP_ConvTranspose;
    const int64_t dims[4] = {turned ? in : c->out, turned ? c->out : in / c->group, k, k};
    const uint32_t to = new_value(graph), w = constant(graph, dims, 4, 1);
    const uint32_t b = constant(graph, &c->out, 1, 1);
    sq_node *conv = node(graph, c->op, 3);
    conv->inputs[0] = x[0];
    conv->inputs[1] = w;
    conv->inputs[2] = b;
    conv->outputs[0] = to;
    set_pair(conv, "strides", c->stride);
    const int64_t pads[4] = {c->pad, c->pad, c->pad, c->pad};
    assert_true(sq_attr_set_ints(&conv->attrs, "pads", pads, 4));
    assert_true(sq_attr_set_int(&conv->attrs, "group", c->group));
    if (c->act != SQ_ACT_NONE) {
        assert_true(sq_attr_set_int(&conv->attrs, "sq_activation", c->act));
    }
    graph->outputs[graph->output_count++] = to;
    if (c->pooled) {
        const uint32_t most = new_value(graph);
        sq_node *pool = node(graph, SQ_OP_MaxPool, 1);
        set_pair(pool, "kernel_shape", 2);
        set_pair(pool, "strides", 2);
        pool->inputs[0] = to;
        pool->outputs[0] = most;
        graph->outputs[graph->output_count++] = most;
    }
}

/* Gates of cells, with channels that fill lanes and that do not. */
static void add_gates(sq_graph *graph, sq_op op, int64_t channels)
{
    static const int64_t lstm[4] = {2, 0, 3, 1}, gru[2] = {1, 2};
    const bool is_lstm = op == SQ_OP_SqLstmGates;
    const int64_t parts = is_lstm ? 4 : 2;
    const uint32_t gates = input(graph, 1, parts * channels, 3, 5);
    const uint32_t state = input(graph, 1, channels, 3, 5);
    const uint32_t fresh = op == SQ_OP_SqGruUpdate ? input(graph, 1, channels, 3, 5) : SQ_NO_VALUE;
    const uint32_t outs[2] = {new_value(graph), new_value(graph)};
    sq_node *made =
        sq_graph_add_node(graph, op, "gates", fresh == SQ_NO_VALUE ? 2 : 3, is_lstm ? 2 : 1);
    made->attrs.opset = 17;
    made->inputs[0] = gates;
    made->inputs[1] = state;
    if (fresh != SQ_NO_VALUE) {
        made->inputs[2] = fresh;
    }
    made->outputs[0] = outs[0];
    graph->outputs[graph->output_count++] = outs[0];
    if (is_lstm) {
        made->outputs[1] = outs[1];
        graph->outputs[graph->output_count++] = outs[1];
        assert_true(sq_attr_set_ints(&made->attrs, "sq_gates", lstm, 4));
    } else {
        assert_true(sq_attr_set_ints(&made->attrs, "sq_gates", gru, 2));
        assert_true(sq_attr_set_int(&made->attrs, "sq_sigmoid", 1));
    }
}

static sq_graph *all_cases(void)
{
    sq_graph *graph = sq_graph_create();
    assert_non_null(graph);
    graph->name = sq_strdup("blocks");
    graph->inputs = sq_alloc(PORTS, sizeof *graph->inputs);
    graph->outputs = sq_alloc(PORTS, sizeof *graph->outputs);
    for (size_t i = 0; i < CASES; i++) {
        add_case(graph, &cases[i]);
    }
    add_gates(graph, SQ_OP_SqLstmGates, 16);
    add_gates(graph, SQ_OP_SqLstmGates, 5);
    add_gates(graph, SQ_OP_SqGruReset, 8);
    add_gates(graph, SQ_OP_SqGruUpdate, 3);
    assert_true(graph->input_count <= PORTS && graph->output_count <= PORTS);
    return graph;
}

/* ---- Ways. ---- */

typedef struct way {
    uint32_t number, most;             /* most: ways of the step that has the most */
    char names[PORTS][SQ_TACTIC_NAME]; /* of the convolutions, as they were taken */
    uint32_t count;
} way;

static squall_status choose_way(void *self, const sq_step *step, sq_candidate *candidates,
                                uint32_t count, uint32_t *chosen, squall_error *err)
{
    way *w = self;
    (void)err;
    *chosen = 0;
    if (step->op == SQ_OP_SqReorder || step->op == SQ_OP_Cast) {
        return SQUALL_OK;
    }
    *chosen = w->number % count;
    w->most = count > w->most ? count : w->most;
    if (w->count < PORTS) {
        snprintf(w->names[w->count++], SQ_TACTIC_NAME, "%s", candidates[*chosen].tactic.name);
    }
    return SQUALL_OK;
}

typedef struct result {
    float *data[PORTS];
    size_t count[PORTS];
} result;

static void build(const sq_graph *graph, const char *device, way *w, unsigned char **bytes,
                  size_t *size)
{
    static const unsigned char hash[SQ_HASH_BYTES];
    squall_build_options given, options;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    squall_build_options_init(&given);
    given.device = device;
    given.precision = w != NULL ? "fp16" : "fp32";
    given.threads = 1;
    assert_int_equal(sq_compile_read_options(&given, &options, &err), SQUALL_OK);
    squall_notes *notes = squall_notes_create();
    const sq_compile_job job = {.graph = graph,
                                .options = &options,
                                .optimise = w != NULL,
                                .model_hash = hash,
                                .choose = w != NULL ? choose_way : NULL,
                                .chooser = w,
                                .report = &report,
                                .notes = notes};
    if (sq_compile_run(&job, bytes, size, &err) != SQUALL_OK) {
        fail_msg("%s: %s; %s", err.where, err.text,
                 squall_notes_count(notes) > 0 ? squall_notes_get(notes, 0) : "");
    }
    squall_notes_destroy(&notes);
}

static void run(const unsigned char *bytes, size_t size, const char *backend, result *out)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_profile_info info;
    squall_engine_options options;
    squall_tensor in[PORTS], made[PORTS];
    squall_engine_options_init(&options);
    options.trust_kernels = 1;
    squall_notes *notes = squall_notes_create();
    if (squall_engine_open_memory(bytes, size, "blocks", &options, &engine, notes, &err) !=
            SQUALL_OK ||
        squall_context_create(engine, 0, 1, &context, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
    if (strncmp(info.backend, backend, strlen(backend)) != 0) {
        fail_msg("on %s, not %s: %s", info.backend, backend, squall_notes_get(notes, 0));
    }
    const size_t in_count = squall_engine_input_count(engine);
    const size_t out_count = squall_engine_output_count(engine);
    state_of_numbers = 17;
    for (size_t i = 0; i < in_count; i++) {
        assert_int_equal(squall_engine_input(engine, 0, i, NULL, &in[i], &err), SQUALL_OK);
        in[i].data = sq_alloc(squall_tensor_bytes(&in[i]), 1);
        for (size_t k = 0; k < squall_tensor_count(&in[i]); k++) {
            ((float *)in[i].data)[k] = number();
        }
    }
    for (size_t i = 0; i < out_count; i++) {
        assert_int_equal(squall_engine_output(engine, 0, i, NULL, &made[i], &err), SQUALL_OK);
        out->count[i] = squall_tensor_count(&made[i]);
        out->data[i] = sq_alloc(out->count[i], sizeof(float));
        made[i].data = out->data[i];
    }
    for (int again = 0; again < 2; again++) { /* what a run leaves behind must not matter */
        if (squall_context_run(context, in, in_count, made, out_count, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
    }
    for (size_t i = 0; i < in_count; i++) {
        sq_free(in[i].data);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
}

static void forget(result *r, size_t outputs)
{
    for (size_t i = 0; i < outputs; i++) {
        sq_free(r->data[i]);
    }
}

/* How many products an output of the network adds up, for the tolerance. */
static double terms_of(size_t output)
{
    for (size_t i = 0; i < CASES; i++) {
        const size_t outputs = cases[i].pooled ? 2 : 1;
        if (output < outputs) {
            return (double)((cases[i].channels[0] + cases[i].channels[1]) / cases[i].group *
                            cases[i].kernel * cases[i].kernel);
        }
        output -= outputs;
    }
    return 4;
}

/* The worst error over the bound: inputs, weights and output rounded to 2^-11 each, sums of
 * `terms` products of numbers in -1..1, errors of which have no common sign. */
static double worst_of(const result *got, const result *want, size_t outputs)
{
    double worst = 0;
    for (size_t p = 0; p < outputs; p++) {
        assert_int_equal(got->count[p], want->count[p]);
        const double bound = 0x1p-10 * (4 + 1.5 * sqrt(terms_of(p)));
        for (size_t i = 0; i < want->count[p]; i++) {
            const double of = fabs((double)want->data[p][i]);
            const double error =
                fabs((double)got->data[p][i] - (double)want->data[p][i]) / (bound + 0x1p-10 * of);
            if (!(error <= 1)) {
                print_message("output %zu [%zu]: %g, should be %g\n", p, i, (double)got->data[p][i],
                              (double)want->data[p][i]);
                return error;
            }
            worst = error > worst ? error : worst;
        }
    }
    return worst;
}

static long only = -1;

static void test_ways(void **state)
{
    const char *gpu = getenv("SQUALL_TEST_GPU");
    unsigned char *bytes = NULL;
    size_t size = 0;
    result want;
    (void)state;
    sq_graph *graph = all_cases();
    build(graph, "ref", NULL, &bytes, &size);
    run(bytes, size, "ref", &want);
    sq_free(bytes);
    uint32_t most = 1, seen = 0;
    for (uint32_t k = 0; k < most; k++) {
        result got;
        way w = {.number = only >= 0 ? (uint32_t)only : k};
        bytes = NULL;
        build(graph, gpu != NULL ? "cuda:0" : "cuda:sm_90a", &w, &bytes, &size);
        run(bytes, size, "cuda", &got);
        sq_free(bytes);
        most = only >= 0 ? 1 : w.most;
        const double worst = worst_of(&got, &want, graph->output_count);
        print_message("way %u of %u: %.3f of the bound:", w.number, w.most, worst);
        for (uint32_t i = 0; i < CASES; i++) {
            print_message(" %s", w.names[i]);
            seen += strncmp(w.names[i], "conv_wg_", 8) == 0;
        }
        print_message("\n");
        assert_true(worst <= 1);
        forget(&got, graph->output_count);
    }
    assert_true(only >= 0 || (most > 10 && seen > 30));
    forget(&want, graph->output_count);
    sq_graph_destroy(&graph);
}

/* The blocks themselves on the reference backend, against the nodes that they were made of. */
static void test_reference(void **state)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    uint32_t changes = 0;
    squall_error err;
    result want, got;
    sq_graph *blocks = NULL, *graph = all_cases();
    (void)state;
    build(graph, "ref", NULL, &bytes, &size);
    run(bytes, size, "ref", &want);
    sq_free(bytes);
    assert_int_equal(sq_graph_copy(graph, &blocks, &err), SQUALL_OK);
    assert_int_equal(sq_graph_infer(blocks, sq_ref_evaluate, &err), SQUALL_OK);
    assert_int_equal(sq_graph_to_blocks(blocks, false, &changes, &err), SQUALL_OK);
    assert_int_equal(changes, 7); /* two sources, doubled or pooled, in steps of one */
    bytes = NULL;
    build(blocks, "ref", NULL, &bytes, &size);
    run(bytes, size, "ref", &got);
    sq_free(bytes);
    for (size_t p = 0; p < graph->output_count; p++) {
        assert_int_equal(got.count[p], want.count[p]);
        for (size_t i = 0; i < want.count[p]; i++) {
            const double off = fabs((double)got.data[p][i] - (double)want.data[p][i]);
            assert_true(off <= 1e-6 * (1 + fabs((double)want.data[p][i])));
        }
    }
    forget(&got, graph->output_count);
    forget(&want, graph->output_count);
    sq_graph_destroy(&blocks);
    sq_graph_destroy(&graph);
}

/* What an engine may hold that is no block. */
static void test_refused(void **state)
{
    static const int64_t one[] = {1, 3}, two[] = {2, 1};
    squall_tensor in[4] = {{.dtype = SQUALL_F32, .rank = 4, .dims = {1, 3, 4, 4}},
                           {.dtype = SQUALL_F32, .rank = 4, .dims = {5, 5, 3, 3}},
                           {.dtype = SQUALL_DTYPE_NONE},
                           {.dtype = SQUALL_F32, .rank = 4, .dims = {1, 2, 8, 8}}};
    squall_tensor out[2] = {{0}};
    sq_attrs attrs = {.opset = 17};
    sq_step step = {SQ_OP_SqConvBlock, "b", &attrs, 4, 2, in, out};
    (void)state;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE); /* nothing said of its sources */
    assert_true(sq_attr_set_ints(&attrs, "sq_upsample", one, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    assert_true(sq_attr_set_ints(&attrs, "sq_upsample", two, 2));
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_OK);
    assert_true(out[0].dims[1] == 5 && out[0].dims[2] == 6 && out[1].dims[2] == 3);
    in[3].dims[3] = 7;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    in[3].dims[3] = 8;
    in[1].dims[1] = 4;
    assert_int_equal(sq_op_infer(&step, NULL), SQUALL_E_SHAPE);
    sq_attrs_free(&attrs);
}

int main(int argc, char **argv)
{
    if (getenv("SQUALL_TEST_GPU") == NULL) {
        setenv("SQUALL_CUDA_DRIVER", SQUALL_FAKE_CUDA, 1);
        setenv("SQUALL_NVRTC", SQUALL_FAKE_CUDA, 1);
    }
    if (system("rm -rf test_cuda_block.state") != 0) {
        return 1;
    }
    setenv("SQUALL_STATE", "test_cuda_block.state", 1);
    only = argc > 1 ? strtol(argv[1], NULL, 10) : -1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_ways)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (system("rm -rf test_cuda_block.state") != 0);
}
