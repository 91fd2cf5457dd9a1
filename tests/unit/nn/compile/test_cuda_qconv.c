/* tests/unit/nn/compile/test_cuda_qconv.c - convolutions of 8 bits by every kernel that a GPU has
 * for them: the very bits of the reference backend. Enlarged images, two of them, zero points,
 * bounds, pooling, groups, floats out; the way in and out of bytes, and bytes that are moved.
 *
 * All cases are one network. Each way of a case has its turn: engine k takes way k of every step.
 * Here they run on the stand-in of tests/fake; SQUALL_TEST_GPU=1 takes the GPU that is there, and
 * an argument k that engine alone. */
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
#include "squall/engine.h"

enum { PORTS = 40 };

typedef struct qconv_case {
    int64_t n, h, w;     /* as the images count */
    int64_t channels[2]; /* 0: no second image */
    int64_t up[2], zero[2];
    int64_t out, kernel, stride, pad, group;
    int most; /* the largest weight */
    int64_t y_zero, low, high;
    bool floats, pooled;
    sq_activation act;
} qconv_case;

static const qconv_case cases[] = {
    {1, 35, 13, {72, 0}, {1, 1}, {0, 0}, 40, 3, 1, 1, 1, 127, 0, 0, 255, false, true, 0},
    {2, 10, 18, {16, 0}, {1, 1}, {0, 0}, 72, 3, 1, 1, 1, 127, 3, 3, 200, false, true, 0},
    {1, 18, 20, {24, 70}, {2, 1}, {0, 0}, 136, 3, 1, 1, 1, 31, 0, 0, 255, false, false, 0},
    {1, 34, 10, {8, 16}, {1, 2}, {0, 0}, 24, 3, 1, 1, 1, 127, 0, 0, 255, false, false, 0},
    {1, 9, 17, {64, 8}, {1, 1}, {0, 0}, 72, 3, 1, 1, 1, 127, 9, 0, 255, false, false, 0},
    {2, 12, 8, {136, 0}, {1, 1}, {7, 0}, 20, 1, 1, 0, 1, 127, 0, 0, 255, false, false, 0},
    {1, 21, 19, {20, 0}, {1, 1}, {0, 0}, 72, 3, 2, 1, 1, 127, 0, 0, 255, false, false, 0},
    {2, 9, 11, {3, 0}, {1, 1}, {128, 0}, 20, 3, 1, 1, 1, 127, 100, 20, 255, false, true, 0},
    {1, 12, 10, {64, 0}, {1, 1}, {0, 0}, 2, 3, 1, 1, 1, 127, 0, 0, 255, true, false, SQ_ACT_RELU},
    {2, 7, 5, {20, 0}, {1, 1}, {0, 0}, 20, 3, 1, 1, 1, 90, 0, 0, 255, true, false, SQ_ACT_NONE},
    {1, 6, 7, {20, 0}, {1, 1}, {5, 0}, 20, 3, 1, 1, 20, 127, 0, 0, 255, false, false, 0},
    {2,
     8,
     9,
     {16, 0},
     {1, 1},
     {0, 0},
     20,
     3,
     1,
     1,
     1,
     60,
     90,
     0,
     255,
     false,
     true,
     SQ_ACT_LEAKY_RELU},
    {1, 10, 14, {16, 4}, {2, 1}, {0, 0}, 3, 3, 1, 1, 1, 127, 0, 0, 255, true, false, SQ_ACT_NONE},
    {1, 10, 12, {16, 4}, {2, 1}, {9, 2}, 12, 3, 1, 1, 1, 127, 0, 0, 255, false, true, 0},
    {1, 9, 9, {16, 0}, {1, 1}, {0, 0}, 24, 5, 1, 2, 1, 127, 0, 0, 255, false, false, 0},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static uint32_t state_of_numbers = 5;

static int number(int most)
{
    state_of_numbers = state_of_numbers * 1664525u + 1013904223u;
    return (int)((state_of_numbers >> 8) % (uint32_t)(most + 1));
}

static uint32_t new_value(sq_graph *graph)
{
    char name[32];
    snprintf(name, sizeof name, "v%u", graph->value_count);
    return sq_graph_add_value(graph, name);
}

static uint32_t constant(sq_graph *graph, squall_dtype dtype, const int64_t *dims, uint32_t rank,
                         int most)
{
    squall_tensor tensor;
    char name[32];
    assert_true(sq_tensor_make(dtype, rank, dims, &tensor));
    for (size_t i = 0; i < squall_tensor_count(&tensor); i++) {
        switch (dtype) {
        case SQUALL_I8:
            ((int8_t *)tensor.data)[i] = (int8_t)(number(2 * most) - most);
            break;
        case SQUALL_I32:
            ((int32_t *)tensor.data)[i] = number(2 * most) - most;
            break;
        default: /* numbers whose products are no whole ones */
            ((float *)tensor.data)[i] = 0.00037f + 1e-6f * (float)number(most);
            break;
        }
    }
    snprintf(name, sizeof name, "c%u", graph->value_count);
    return sq_graph_add_constant(graph, name, &tensor);
}

static uint32_t input(sq_graph *graph, squall_dtype dtype, int64_t n, int64_t c, int64_t h,
                      int64_t w)
{
    const uint32_t v = new_value(graph);
    graph->values[v].type = (squall_tensor){.dtype = dtype, .rank = 4, .dims = {n, c, h, w}};
    graph->inputs[graph->input_count++] = v;
    return v;
}

static sq_node *node(sq_graph *graph, sq_op op, uint32_t in_count, uint32_t out_count)
{
    char name[32];
    snprintf(name, sizeof name, "n%u", graph->node_count);
    sq_node *made = sq_graph_add_node(graph, op, name, in_count, out_count);
    assert_non_null(made);
    made->attrs.opset = 17;
    for (uint32_t i = 0; i < out_count; i++) {
        made->outputs[i] = new_value(graph);
    }
    return made;
}

static void give(sq_graph *graph, uint32_t value)
{
    graph->outputs[graph->output_count++] = value;
}

static void set_int(sq_node *at, const char *name, int64_t value)
{
    assert_true(sq_attr_set_int(&at->attrs, name, value));
}

static void set_ints(sq_node *at, const char *name, const int64_t *values, size_t count)
{
    assert_true(sq_attr_set_ints(&at->attrs, name, values, count));
}

static void add_case(sq_graph *graph, const qconv_case *c)
{
    const uint32_t images = c->channels[1] > 0 ? 2 : 1;
    const bool doubled = c->up[0] == 2 || c->up[1] == 2;
    const int64_t in = c->channels[0] + c->channels[1], k = c->kernel;
    const int64_t dims[4] = {c->out * (doubled ? 4 : 1), in / c->group, k, k};
    sq_node *conv = node(graph, SQ_OP_SqQConv, images + 3, c->pooled ? 2 : 1);
    for (uint32_t s = 0; s < images; s++) {
        conv->inputs[s == 0 ? 0 : 4] =
            input(graph, SQUALL_U8, c->n, c->channels[s], c->h / c->up[s], c->w / c->up[s]);
    }
    conv->inputs[1] = constant(graph, SQUALL_I8, dims, 4, c->most);
    conv->inputs[2] = constant(graph, SQUALL_F32, &c->out, 1, 300);
    conv->inputs[3] = constant(graph, SQUALL_I32, &c->out, 1, 200000);
    const int64_t two[2] = {c->stride, c->stride}, pads[4] = {c->pad, c->pad, c->pad, c->pad};
    set_ints(conv, "strides", two, 2);
    set_ints(conv, "pads", pads, 4);
    set_int(conv, "group", c->group);
    set_ints(conv, "sq_x_zero", c->zero, images);
    if (doubled) {
        set_ints(conv, "sq_upsample", c->up, images);
    }
    set_int(conv, "sq_y_type", c->floats ? SQUALL_F32 : SQUALL_U8);
    set_int(conv, "sq_y_zero", c->y_zero);
    set_int(conv, "sq_low", c->low);
    set_int(conv, "sq_high", c->high);
    if (c->act != SQ_ACT_NONE) {
        set_int(conv, "sq_activation", c->act);
    }
    give(graph, conv->outputs[0]);
    if (c->pooled) {
        give(graph, conv->outputs[1]);
    }
}

/* QuantizeLinear, a Concat, a MaxPool and a nearest Resize of bytes, DequantizeLinear. */
static void add_moves(sq_graph *graph)
{
    static const float scales[4] = {1, 1, 2, 3};
    static const int64_t two[2] = {2, 2};
    const int64_t four = 4;
    const uint32_t scale = constant(graph, SQUALL_F32, NULL, 0, 100);
    squall_tensor zero;
    assert_true(sq_tensor_make(SQUALL_U8, 0, NULL, &zero));
    *(uint8_t *)zero.data = 77;
    const uint32_t zeros = sq_graph_add_constant(graph, "zero", &zero);
    uint32_t x[2];
    for (int i = 0; i < 2; i++) {
        sq_node *in = node(graph, SQ_OP_QuantizeLinear, 3, 1);
        in->inputs[0] = input(graph, SQUALL_F32, 2, i == 0 ? 5 : 18, 6, 8);
        in->inputs[1] = scale;
        in->inputs[2] = zeros;
        x[i] = in->outputs[0];
    }
    sq_node *concat = node(graph, SQ_OP_Concat, 2, 1);
    set_int(concat, "axis", 1);
    memcpy(concat->inputs, x, sizeof x);
    const uint32_t joined = concat->outputs[0];
    give(graph, joined);
    sq_node *pool = node(graph, SQ_OP_MaxPool, 1, 1);
    set_ints(pool, "kernel_shape", two, 2);
    set_ints(pool, "strides", two, 2);
    pool->inputs[0] = joined;
    const uint32_t pooled = pool->outputs[0], c = constant(graph, SQUALL_F32, &four, 1, 1);
    memcpy(graph->values[c].type.data, scales, sizeof scales);
    sq_node *resize = node(graph, SQ_OP_Resize, 3, 1);
    resize->inputs[0] = pooled;
    resize->inputs[1] = SQ_NO_VALUE;
    resize->inputs[2] = c;
    assert_true(sq_attr_set_string(&resize->attrs, "coordinate_transformation_mode", "asymmetric",
                                   strlen("asymmetric")));
    assert_true(sq_attr_set_string(&resize->attrs, "nearest_mode", "floor", strlen("floor")));
    const uint32_t large = resize->outputs[0];
    sq_node *back = node(graph, SQ_OP_DequantizeLinear, 3, 1);
    back->inputs[0] = large;
    back->inputs[1] = scale;
    back->inputs[2] = zeros;
    give(graph, back->outputs[0]);
}

static sq_graph *all_cases(void)
{
    sq_graph *graph = sq_graph_create();
    assert_non_null(graph);
    graph->name = sq_strdup("bytes");
    graph->inputs = sq_alloc(PORTS, sizeof *graph->inputs);
    graph->outputs = sq_alloc(PORTS, sizeof *graph->outputs);
    for (size_t i = 0; i < CASES; i++) {
        add_case(graph, &cases[i]);
    }
    add_moves(graph);
    assert_true(graph->input_count <= PORTS && graph->output_count <= PORTS);
    return graph;
}

typedef struct way {
    uint32_t number, most, count;
    char names[PORTS][SQ_TACTIC_NAME];
} way;

static squall_status choose_way(void *self, const sq_step *step, sq_candidate *candidates,
                                uint32_t count, uint32_t *chosen, squall_error *err)
{
    way *w = self;
    (void)err;
    *chosen = step->op == SQ_OP_SqReorder ? 0 : w->number % count;
    if (step->op == SQ_OP_SqQConv && w->count < PORTS) {
        w->most = count > w->most ? count : w->most;
        snprintf(w->names[w->count++], SQ_TACTIC_NAME, "%s", candidates[*chosen].tactic.name);
    }
    return SQUALL_OK;
}

static void build(const sq_graph *graph, const char *device, way *w, unsigned char **bytes,
                  size_t *size)
{
    static const unsigned char hash[SQ_HASH_BYTES];
    squall_build_options given, options;
    squall_build_report report = {0};
    squall_error err = {.code = SQUALL_OK};
    squall_build_options_init(&given);
    given.device = device;
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

static void fill_input(squall_tensor *tensor)
{
    tensor->data = sq_alloc(squall_tensor_bytes(tensor), 1);
    for (size_t k = 0; k < squall_tensor_count(tensor); k++) {
        if (tensor->dtype == SQUALL_U8) {
            ((uint8_t *)tensor->data)[k] = (uint8_t)number(255);
        } else {
            ((float *)tensor->data)[k] = 1e-4f * (float)(number(4000) - 1000);
        }
    }
}

/* All outputs, one behind the other; given. */
static unsigned char *run(const unsigned char *bytes, size_t size, const char *backend,
                          size_t *out_bytes)
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
    if (squall_engine_open_memory(bytes, size, "bytes", &options, &engine, notes, &err) !=
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
        fill_input(&in[i]);
    }
    size_t all = 0;
    for (size_t i = 0; i < out_count; i++) {
        assert_int_equal(squall_engine_output(engine, 0, i, NULL, &made[i], &err), SQUALL_OK);
        all += squall_tensor_bytes(&made[i]);
    }
    unsigned char *out = sq_alloc(all, 1), *to = out;
    for (size_t i = 0; i < out_count; i++) {
        made[i].data = sq_alloc(squall_tensor_bytes(&made[i]), 1);
    }
    for (int again = 0; again < 2; again++) { /* what a run leaves behind must not matter */
        if (squall_context_run(context, in, in_count, made, out_count, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
    }
    for (size_t i = 0; i < out_count; i++) {
        memcpy(to, made[i].data, squall_tensor_bytes(&made[i]));
        to += squall_tensor_bytes(&made[i]);
        sq_free(made[i].data);
    }
    for (size_t i = 0; i < in_count; i++) {
        sq_free(in[i].data);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    *out_bytes = all;
    return out;
}

static long only = -1;

/* Says which output differs first. */
static void compare(const sq_graph *graph, const unsigned char *got, const unsigned char *want,
                    const way *w)
{
    size_t output = 0, at = 0;
    for (size_t i = 0; i < CASES; i++) {
        const qconv_case *c = &cases[i];
        const size_t h = (size_t)((c->h + 2 * c->pad - c->kernel) / c->stride + 1);
        const size_t width = (size_t)((c->w + 2 * c->pad - c->kernel) / c->stride + 1);
        const size_t planes = (size_t)(c->n * c->out);
        const size_t bytes = planes * h * width * (c->floats ? sizeof(float) : 1);
        for (size_t k = 0; k < bytes; k++) {
            if (got[at + k] != want[at + k]) {
                fail_msg("case %zu by %s: byte %zu is %d, should be %d", i, w->names[i], k,
                         got[at + k], want[at + k]);
            }
        }
        at += bytes;
        if (c->pooled) {
            const size_t pooled = planes * (h / 2) * (width / 2);
            if (memcmp(got + at, want + at, pooled) != 0) {
                fail_msg("case %zu by %s: the largest differ", i, w->names[i]);
            }
            at += pooled;
        }
        output += c->pooled ? 2 : 1;
    }
    assert_int_equal(output + 2, graph->output_count);
}

static void test_ways(void **state)
{
    const char *gpu = getenv("SQUALL_TEST_GPU");
    unsigned char *bytes = NULL;
    size_t size = 0, want_bytes, got_bytes;
    uint32_t most = 1, hopper = 0, matrix = 0;
    (void)state;
    sq_graph *graph = all_cases();
    build(graph, "ref", NULL, &bytes, &size);
    unsigned char *want = run(bytes, size, "ref", &want_bytes);
    sq_free(bytes);
    for (uint32_t k = 0; k < most; k++) {
        way w = {.number = only >= 0 ? (uint32_t)only : k};
        bytes = NULL;
        build(graph, gpu != NULL ? "cuda:0" : "cuda:sm_90a", &w, &bytes, &size);
        unsigned char *got = run(bytes, size, "cuda", &got_bytes);
        sq_free(bytes);
        most = only >= 0 ? 1 : w.most;
        print_message("way %u of %u:", w.number, w.most);
        for (uint32_t i = 0; i < w.count; i++) {
            print_message(" %s", w.names[i]);
            hopper += strncmp(w.names[i], "conv_w8_", 8) == 0;
            matrix += strncmp(w.names[i], "qconv_mma_", 10) == 0;
        }
        print_message("\n");
        assert_int_equal(w.count, CASES);
        assert_int_equal(got_bytes, want_bytes);
        compare(graph, got, want, &w);
        assert_memory_equal(got, want, want_bytes);
        sq_free(got);
    }
    assert_true(only >= 0 || (most > 10 && hopper > 30 && matrix > 20));
    sq_free(want);
    sq_graph_destroy(&graph);
}

int main(int argc, char **argv)
{
    if (getenv("SQUALL_TEST_GPU") == NULL) {
        setenv("SQUALL_CUDA_DRIVER", SQUALL_FAKE_CUDA, 1);
        setenv("SQUALL_NVRTC", SQUALL_FAKE_CUDA, 1);
    }
    if (system("rm -rf test_cuda_qconv.state") != 0) {
        return 1;
    }
    setenv("SQUALL_STATE", "test_cuda_qconv.state", 1);
    only = argc > 1 ? strtol(argv[1], NULL, 10) : -1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ways)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (system("rm -rf test_cuda_qconv.state") != 0);
}
