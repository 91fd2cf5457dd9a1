/* tests/unit/nn/compile/test_cuda.c - engines for GPUs, on the stand-in for a driver that is in
 * tests/fake: each operator against the reference backend, and every way in which a GPU, its
 * kernels or its memory can be missing.
 *
 * The stand-in runs the product's own kernels where they have no barrier, and a plain loop over the
 * packed weights for those of tensor cores; tests/gpu/run is for the rest. */
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
#include "nn/cuda/cuda.h"
#include "squall/engine.h"

/* ---- Networks of one operator ---- */

typedef struct net {
    sq_graph *graph;
    sq_node *node;
    uint32_t inputs;
} net;

static uint32_t state_of_numbers;

/* -1..1, never the same twice running. */
static float number(void)
{
    state_of_numbers = state_of_numbers * 1664525u + 1013904223u;
    return (float)(state_of_numbers >> 8) * 0x1p-23f - 1.0f;
}

static squall_tensor type_of(uint32_t rank, const int64_t *dims)
{
    squall_tensor type = {.dtype = SQUALL_F32, .rank = rank};
    memcpy(type.dims, dims, rank * sizeof *dims);
    return type;
}

static net begin(sq_op op, uint32_t in_count, uint32_t out_count)
{
    net n = {.graph = sq_graph_create()};
    char name[16];
    assert_non_null(n.graph);
    n.graph->name = sq_strdup(sq_op_name(op));
    n.node = sq_graph_add_node(n.graph, op, "node", in_count, out_count);
    assert_non_null(n.node);
    n.node->attrs.opset = 17;
    n.graph->outputs = sq_alloc(out_count, sizeof *n.graph->outputs);
    for (uint32_t i = 0; i < in_count; i++) {
        n.node->inputs[i] = SQ_NO_VALUE;
    }
    for (uint32_t i = 0; i < out_count; i++) {
        snprintf(name, sizeof name, "y%u", i);
        n.node->outputs[i] = sq_graph_add_value(n.graph, name);
        n.graph->outputs[n.graph->output_count++] = n.node->outputs[i];
    }
    n.graph->inputs = sq_alloc(8, sizeof *n.graph->inputs);
    return n;
}

#define DIMS(...) (const int64_t[]){__VA_ARGS__}, sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)

/* Input `i` of the node is one of the network. */
static void feed(net *n, uint32_t i, const int64_t *dims, size_t rank)
{
    char name[16];
    snprintf(name, sizeof name, "x%u", i);
    const uint32_t v = sq_graph_add_value(n->graph, name);
    n->graph->values[v].type = type_of((uint32_t)rank, dims);
    n->node->inputs[i] = v;
    n->graph->inputs[n->graph->input_count++] = v;
}

/* Input `i` of the node is a constant of random numbers. */
static void fix(net *n, uint32_t i, const int64_t *dims, size_t rank)
{
    squall_tensor tensor;
    char name[16];
    assert_true(sq_tensor_make(SQUALL_F32, (uint32_t)rank, dims, &tensor));
    for (size_t k = 0; k < squall_tensor_count(&tensor); k++) {
        ((float *)tensor.data)[k] = number();
    }
    snprintf(name, sizeof name, "c%u", i);
    n->node->inputs[i] = sq_graph_add_constant(n->graph, name, &tensor);
}

static void fix_floats(net *n, uint32_t i, const float *values, size_t count)
{
    squall_tensor tensor;
    char name[16];
    const int64_t dims[1] = {(int64_t)count};
    assert_true(sq_tensor_make(SQUALL_F32, 1, dims, &tensor));
    memcpy(tensor.data, values, count * sizeof *values);
    snprintf(name, sizeof name, "f%u", i);
    n->node->inputs[i] = sq_graph_add_constant(n->graph, name, &tensor);
}

static void fix_ints(net *n, uint32_t i, const int64_t *values, size_t count)
{
    squall_tensor tensor;
    char name[16];
    const int64_t dims[1] = {(int64_t)count};
    assert_true(sq_tensor_make(SQUALL_I64, 1, dims, &tensor));
    memcpy(tensor.data, values, count * sizeof *values);
    snprintf(name, sizeof name, "i%u", i);
    n->node->inputs[i] = sq_graph_add_constant(n->graph, name, &tensor);
}

static void set_ints(net *n, const char *name, const int64_t *values, size_t count)
{
    assert_true(sq_attr_set_ints(&n->node->attrs, name, values, count));
}
static void set_int(net *n, const char *name, int64_t value)
{
    assert_true(sq_attr_set_int(&n->node->attrs, name, value));
}
static void set_text(net *n, const char *name, const char *value)
{
    assert_true(sq_attr_set_string(&n->node->attrs, name, value, strlen(value)));
}

/* ---- Built, run, compared ---- */

enum { PORTS = 8 };

typedef struct result {
    float *data[PORTS];
    size_t count[PORTS], ports;
} result;

static squall_status build(const net *n, const char *device, const char *precision,
                           unsigned char **bytes, size_t *size, squall_notes *notes,
                           squall_error *err)
{
    static const unsigned char hash[SQ_HASH_BYTES];
    squall_build_options options;
    squall_build_report report = {0};
    squall_build_options_init(&options);
    options.device = device;
    options.precision = precision;
    options.threads = 1;
    return sq_compile_graph(n->graph, &options, true, hash, bytes, size, &report, notes, err);
}

/* Run once with inputs that are the same for every engine; `backend` says where. */
static void run(const unsigned char *bytes, size_t size, const char *backend, result *out)
{
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_profile_info info;
    squall_tensor in[PORTS], made[PORTS];
    squall_notes *notes = squall_notes_create();
    if (squall_engine_open_memory(bytes, size, "net", NULL, &engine, notes, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
    if (strncmp(info.backend, backend, strlen(backend)) != 0) {
        fail_msg("on %s, not %s: %s", info.backend, backend, squall_notes_get(notes, 0));
    }
    if (squall_context_create(engine, 0, 1, &context, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    const size_t in_count = squall_engine_input_count(engine);
    out->ports = squall_engine_output_count(engine);
    state_of_numbers = 17;
    for (size_t i = 0; i < in_count; i++) {
        assert_int_equal(squall_engine_input(engine, 0, i, NULL, &in[i], &err), SQUALL_OK);
        in[i].data = sq_alloc(squall_tensor_bytes(&in[i]), 1);
        for (size_t k = 0; k < squall_tensor_count(&in[i]); k++) {
            ((float *)in[i].data)[k] = number();
        }
    }
    for (size_t i = 0; i < out->ports; i++) {
        assert_int_equal(squall_engine_output(engine, 0, i, NULL, &made[i], &err), SQUALL_OK);
        out->count[i] = squall_tensor_count(&made[i]);
        out->data[i] = sq_alloc(out->count[i], sizeof(float));
        made[i].data = out->data[i];
    }
    for (int again = 0; again < 2; again++) { /* what a run leaves behind must not matter */
        const long before = sq_memory_count();
        assert_int_equal(squall_context_run(context, in, in_count, made, out->ports, &err),
                         SQUALL_OK);
        assert_int_equal(sq_memory_count(), before);
    }
    const squall_step_time *steps;
    size_t step_count;
    assert_int_equal(squall_context_profile(context, in, in_count, made, out->ports, &steps,
                                            &step_count, &err),
                     SQUALL_OK);
    assert_int_equal(step_count > 0, 1);
    for (size_t i = 0; i < in_count; i++) {
        sq_free(in[i].data);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
}

static void forget(result *r)
{
    for (size_t i = 0; i < r->ports; i++) {
        sq_free(r->data[i]);
    }
}

static void build_and_run(const net *n, const char *device, const char *precision, result *out)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    if (build(n, device, precision, &bytes, &size, notes, &err) != SQUALL_OK) {
        fail_msg("%s on %s: %s: %s; %s", n->graph->name, device, err.where, err.text,
                 squall_notes_count(notes) > 0 ? squall_notes_get(notes, 0) : "");
    }
    squall_notes_destroy(&notes);
    run(bytes, size, strcmp(device, "ref") == 0 ? "ref" : "cuda", out);
    sq_free(bytes);
}

static int cases;

/* The network on the reference backend in float32, then on GPUs with tensor cores and without, in
 * both precisions. `terms`: how many products an output adds up at most, for the tolerance: half of
 * eps a rounding of values within 1 (float32: 2^-24, float16: 2^-11), summed. */
static void compare(net *n, double terms)
{
    static const struct {
        const char *capability, *precision;
        double eps;
    } on[] = {{"90", "fp32", 0x1p-23},
              {"61", "fp32", 0x1p-23},
              {"90", "fp16", 0x1p-10},
              {"61", "fp16", 0x1p-10}};
    result want;
    build_and_run(n, "ref", "fp32", &want);
    for (size_t k = 0; k < sizeof on / sizeof on[0]; k++) {
        result got;
        setenv("SQUALL_FAKE_CAPABILITY", on[k].capability, 1);
        build_and_run(n, "cuda:0", on[k].precision, &got);
        assert_int_equal(got.ports, want.ports);
        for (size_t p = 0; p < want.ports; p++) {
            assert_int_equal(got.count[p], want.count[p]);
            for (size_t i = 0; i < want.count[p]; i++) {
                const double bound = on[k].eps * (4 + terms) * (1 + fabs((double)want.data[p][i]));
                if (!(fabs((double)got.data[p][i] - (double)want.data[p][i]) <= bound)) {
                    fail_msg("%s, sm_%s %s: output %zu [%zu] is %g, should be %g within %g",
                             n->graph->name, on[k].capability, on[k].precision, p, i,
                             (double)got.data[p][i], (double)want.data[p][i], bound);
                }
            }
        }
        forget(&got);
        cases++;
    }
    forget(&want);
    sq_graph_destroy(&n->graph);
}

static void conv_case(sq_op op, const int64_t *x, const int64_t *w, int64_t out_channels,
                      int64_t stride, int64_t dilation, int64_t pad, int64_t group, int activation)
{
    net n = begin(op, 3, 1);
    feed(&n, 0, x, 4);
    fix(&n, 1, w, 4);
    fix(&n, 2, DIMS(out_channels));
    set_ints(&n, "strides", DIMS(stride, stride));
    set_ints(&n, "dilations", DIMS(dilation, dilation));
    set_ints(&n, "pads", DIMS(pad, pad, pad, pad));
    set_int(&n, "group", group);
    if (activation != SQ_ACT_NONE) {
        set_int(&n, "sq_activation", activation);
    }
    compare(&n, (double)(w[1] * w[2] * w[3]));
}
#define D4(a, b, c, d) ((const int64_t[]){a, b, c, d})

static void test_conv(void **state)
{
    (void)state;
    conv_case(SQ_OP_Conv, D4(1, 3, 9, 7), D4(5, 3, 3, 3), 5, 1, 1, 1, 1, SQ_ACT_RELU);
    conv_case(SQ_OP_Conv, D4(2, 8, 8, 8), D4(64, 8, 3, 3), 64, 1, 1, 1, 1, SQ_ACT_NONE);
    conv_case(SQ_OP_Conv, D4(1, 17, 6, 11), D4(70, 17, 1, 1), 70, 1, 1, 0, 1, SQ_ACT_SIGMOID);
    conv_case(SQ_OP_Conv, D4(1, 16, 11, 13), D4(128, 16, 3, 3), 128, 2, 1, 1, 1, SQ_ACT_TANH);
    conv_case(SQ_OP_Conv, D4(1, 4, 12, 12), D4(9, 4, 3, 3), 9, 1, 2, 2, 1, SQ_ACT_SILU);
    conv_case(SQ_OP_Conv, D4(1, 2, 9, 9), D4(1, 2, 7, 7), 1, 1, 1, 3, 1, SQ_ACT_HARD_SWISH);
    conv_case(SQ_OP_Conv, D4(1, 12, 7, 7), D4(12, 1, 3, 3), 12, 1, 1, 1, 12, SQ_ACT_NONE);
    conv_case(SQ_OP_Conv, D4(1, 12, 7, 7), D4(24, 1, 3, 3), 24, 1, 1, 1, 12, SQ_ACT_NONE);
    conv_case(SQ_OP_Conv, D4(1, 6, 7, 5), D4(9, 2, 3, 3), 9, 1, 1, 1, 3, SQ_ACT_NONE);
    conv_case(SQ_OP_Conv, D4(1, 1, 1, 1), D4(1, 1, 1, 1), 1, 1, 1, 0, 1, SQ_ACT_NONE);
    conv_case(SQ_OP_ConvTranspose, D4(1, 10, 5, 6), D4(10, 7, 4, 4), 7, 2, 1, 1, 1,
              SQ_ACT_LEAKY_RELU);
    conv_case(SQ_OP_ConvTranspose, D4(2, 4, 4, 3), D4(4, 3, 3, 3), 6, 3, 1, 0, 2, SQ_ACT_NONE);
}

static void test_windows(void **state)
{
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        for (int with_pads = 0; with_pads <= mean; with_pads++) {
            net n = begin(mean ? SQ_OP_AveragePool : SQ_OP_MaxPool, 1, 1);
            feed(&n, 0, DIMS(2, 11, 9, 8));
            set_ints(&n, "kernel_shape", DIMS(3, 2));
            set_ints(&n, "strides", DIMS(2, 2));
            set_ints(&n, "pads", DIMS(1, 0, 1, 1));
            if (mean) {
                set_int(&n, "count_include_pad", with_pads);
            }
            compare(&n, 6);
        }
    }
    static const char *const modes[] = {"nearest", "linear"};
    static const char *const coordinates[] = {"asymmetric", "half_pixel", "pytorch_half_pixel",
                                              "align_corners"};
    static const char *const nearest[] = {"floor", "ceil", "round_prefer_floor",
                                          "round_prefer_ceil"};
    for (size_t m = 0; m < 2; m++) {
        for (size_t c = 0; c < 4; c++) {
            static const float scales[2][4] = {{1, 1, 2, 2}, {1, 1, 0.6f, 1.7f}};
            for (size_t s = 0; s < 2; s++) {
                net n = begin(SQ_OP_Resize, 3, 1);
                feed(&n, 0, DIMS(1, 5, 7, 6));
                fix_floats(&n, 2, scales[s], 4);
                set_text(&n, "mode", modes[m]);
                set_text(&n, "coordinate_transformation_mode", coordinates[c]);
                set_text(&n, "nearest_mode", nearest[c]);
                compare(&n, 4);
            }
        }
    }
    net n = begin(SQ_OP_Resize, 4, 1);
    feed(&n, 0, DIMS(1, 3, 4, 5));
    fix_ints(&n, 3, DIMS(1, 3, 9, 3));
    set_text(&n, "mode", "linear");
    compare(&n, 4);
}

static void reduce_case(sq_op op, const int64_t *x, size_t rank, const int64_t *axes,
                        size_t axis_count, int64_t keep)
{
    net n = begin(op, 1, 1);
    feed(&n, 0, x, rank);
    set_ints(&n, "axes", axes, axis_count);
    set_int(&n, "keepdims", keep);
    double terms = 1;
    for (size_t i = 0; i < axis_count; i++) {
        terms *= (double)x[axes[i] < 0 ? axes[i] + (int64_t)rank : axes[i]];
    }
    compare(&n, op == SQ_OP_ReduceSum ? terms : 8);
}

static void test_reductions(void **state)
{
    static const sq_op ops[] = {SQ_OP_ReduceMean, SQ_OP_ReduceMax};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        reduce_case(ops[i], DIMS(2, 19, 23, 31), DIMS(2, 3), 0);
        reduce_case(ops[i], DIMS(2, 19, 5, 7), DIMS(1), 1);
        reduce_case(ops[i], DIMS(1, 8, 40, 40), DIMS(-1, -2), 1);
        reduce_case(ops[i], DIMS(3, 100), DIMS(1), 1);
        reduce_case(ops[i], DIMS(4, 5, 6), DIMS(1), 0);
        reduce_case(ops[i], DIMS(2, 1, 5, 7), DIMS(2, 3), 0);
        net n = begin(i == 0 ? SQ_OP_GlobalAveragePool : SQ_OP_GlobalMaxPool, 1, 1);
        feed(&n, 0, DIMS(2, 9, 12, 11));
        compare(&n, 8);
    }
    reduce_case(SQ_OP_ReduceSum, DIMS(3, 7, 5), DIMS(2), 1);
}

static void test_maps(void **state)
{
    static const sq_op one[] = {SQ_OP_Relu, SQ_OP_LeakyRelu,   SQ_OP_Sigmoid,
                                SQ_OP_Tanh, SQ_OP_HardSigmoid, SQ_OP_HardSwish,
                                SQ_OP_Exp,  SQ_OP_Neg,         SQ_OP_Abs};
    static const sq_op two[] = {SQ_OP_Add, SQ_OP_Sub, SQ_OP_Mul, SQ_OP_Min, SQ_OP_Max};
    (void)state;
    for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
        net n = begin(one[i], 1, 1);
        feed(&n, 0, DIMS(1, i % 2 == 0 ? 16 : 5, 3, 4));
        compare(&n, 2);
    }
    for (size_t i = 0; i < sizeof two / sizeof two[0]; i++) {
        net n = begin(two[i], 2, 1);
        feed(&n, 0, DIMS(2, 16, 3, 4));
        feed(&n, 1, DIMS(2, 16, 3, 4));
        compare(&n, 2);
        n = begin(two[i], 2, 1);
        feed(&n, 0, DIMS(2, 5, 3, 4));
        fix(&n, 1, DIMS(5, 1, 1));
        compare(&n, 2);
        n = begin(two[i], 2, 1);
        feed(&n, 0, DIMS(1, 8, 1, 1));
        feed(&n, 1, DIMS(1, 1, 6, 4));
        compare(&n, 2);
        n = begin(two[i], 2, 1);
        feed(&n, 0, DIMS(7, 3));
        feed(&n, 1, DIMS(3));
        compare(&n, 2);
    }
}

static void test_moves(void **state)
{
    (void)state;
    for (int64_t axis = 0; axis < 4; axis++) {
        int64_t a[4] = {1, 3, 4, 5}, b[4] = {1, 3, 4, 5};
        b[axis] = 13;
        net n = begin(SQ_OP_Concat, 3, 1);
        feed(&n, 0, a, 4);
        feed(&n, 1, b, 4);
        feed(&n, 2, a, 4);
        set_int(&n, "axis", axis);
        compare(&n, 0);
        a[axis] = 16;
        n = begin(SQ_OP_Split, 2, 2);
        feed(&n, 0, a, 4);
        fix_ints(&n, 1, DIMS(8, 8));
        set_int(&n, "axis", axis);
        compare(&n, 0);
    }
    net n = begin(SQ_OP_Slice, 5, 1);
    feed(&n, 0, DIMS(1, 24, 9, 8));
    fix_ints(&n, 1, DIMS(8, -6));
    fix_ints(&n, 2, DIMS(16, 100));
    fix_ints(&n, 3, DIMS(1, 2));
    fix_ints(&n, 4, DIMS(1, 2));
    compare(&n, 0);
    n = begin(SQ_OP_Transpose, 1, 1);
    feed(&n, 0, DIMS(2, 3, 4, 5));
    set_ints(&n, "perm", DIMS(0, 2, 3, 1));
    compare(&n, 0);
    n = begin(SQ_OP_Expand, 2, 1);
    feed(&n, 0, DIMS(3, 1));
    fix_ints(&n, 1, DIMS(2, 3, 4));
    compare(&n, 0);
    n = begin(SQ_OP_Gemm, 3, 1);
    feed(&n, 0, DIMS(3, 40));
    fix(&n, 1, DIMS(7, 40));
    fix(&n, 2, DIMS(7));
    set_int(&n, "transB", 1);
    compare(&n, 40);
    n = begin(SQ_OP_MatMul, 2, 1);
    feed(&n, 0, DIMS(5, 11));
    feed(&n, 1, DIMS(11, 6));
    compare(&n, 11);
}

/* ---- What is missing is said ---- */

static net small_net(void)
{
    net n = begin(SQ_OP_Relu, 1, 1);
    feed(&n, 0, DIMS(1, 8, 4, 4));
    return n;
}

static void test_unsupported(void **state)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    (void)state;
    setenv("SQUALL_FAKE_CAPABILITY", "90", 1);
    net n = begin(SQ_OP_Softplus, 1, 1);
    feed(&n, 0, DIMS(1, 8, 4, 4));
    assert_int_equal(build(&n, "cuda:0", "fp32", &bytes, &size, notes, &err), SQUALL_E_UNSUPPORTED);
    bool named = false;
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        const char *line = squall_notes_get(notes, i);
        named = named || (strstr(line, "Softplus") != NULL && strstr(line, "CUDA") != NULL);
    }
    assert_true(named);
    assert_null(bytes);
    squall_notes_destroy(&notes);
    sq_graph_destroy(&n.graph);
}

static void test_options(void **state)
{
    static const struct {
        const char *device, *precision, *says;
        squall_status status;
    } wrong[] = {{"cuda:x", "fp32", "cuda:0", SQUALL_E_ARGUMENT},
                 {"cuda:sm_9z", "fp32", "sm_80", SQUALL_E_ARGUMENT},
                 {"cuda:7", "fp32", "no GPU 7", SQUALL_E_DEVICE},
                 {"tpu", "fp32", "cuda:0", SQUALL_E_ARGUMENT},
                 {"ref", "fp16", "fp32", SQUALL_E_ARGUMENT},
                 {"cpu", "fp8", "bf16", SQUALL_E_ARGUMENT},
                 {"cuda:0", "bf16", "fp16", SQUALL_E_ARGUMENT},
                 {"cuda:0", "auto", "int8", SQUALL_E_ARGUMENT}};
    (void)state;
    net n = small_net();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned char *bytes = NULL;
        size_t size = 0;
        squall_error err = {.code = SQUALL_OK};
        assert_int_equal(build(&n, wrong[i].device, wrong[i].precision, &bytes, &size, NULL, &err),
                         wrong[i].status);
        if (strstr(err.text, wrong[i].says) == NULL) {
            fail_msg("'%s' does not say '%s'", err.text, wrong[i].says);
        }
    }
    sq_graph_destroy(&n.graph);
}

/* What NVRTC made is kept: it is not asked again, unless the code has been changed since. */
static void test_kept(void **state)
{
    unsigned char *bytes = NULL, *again = NULL;
    size_t size = 0, again_size = 0;
    squall_error err = {.code = SQUALL_OK};
    (void)state;
    assert_int_equal(system("rm -rf test_cuda.state"), 0);
    net n = small_net();
    assert_int_equal(build(&n, "cuda:sm_80", "fp16", &bytes, &size, NULL, &err), SQUALL_OK);
    setenv("SQUALL_NVRTC", "/nonexistent", 1);
    assert_int_equal(build(&n, "cuda:sm_80", "fp16", &again, &again_size, NULL, &err), SQUALL_OK);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, bytes, size);
    sq_free(again);
    again = NULL;
    assert_int_equal(build(&n, "cuda:sm_75", "fp16", &again, &again_size, NULL, &err),
                     SQUALL_E_DEVICE);
    assert_int_equal(system("for f in test_cuda.state/kernels-of/*; do echo x >>$f; done"), 0);
    assert_int_equal(build(&n, "cuda:sm_80", "fp16", &again, &again_size, NULL, &err),
                     SQUALL_E_DEVICE);
    setenv("SQUALL_NVRTC", SQUALL_FAKE_CUDA, 1);
    sq_free(bytes);
    sq_graph_destroy(&n.graph);
}

/* Opens an engine that cannot run on a GPU here: a note says why, and with `native` it is refused.
 */
static void check_refused(const unsigned char *bytes, size_t size, const char *says)
{
    squall_engine *engine = NULL;
    squall_engine_options options;
    squall_profile_info info;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    assert_int_equal(squall_engine_open_memory(bytes, size, "net", NULL, &engine, notes, &err),
                     SQUALL_OK);
    assert_int_equal(squall_engine_profile(engine, 0, &info, &err), SQUALL_OK);
    assert_string_equal(info.backend, "ref");
    assert_int_equal(squall_notes_count(notes), 1);
    if (strstr(squall_notes_get(notes, 0), says) == NULL) {
        fail_msg("'%s' does not say '%s'", squall_notes_get(notes, 0), says);
    }
    squall_engine_close(&engine);
    squall_engine_options_init(&options);
    options.native = 1;
    assert_int_equal(squall_engine_open_memory(bytes, size, "net", &options, &engine, notes, &err),
                     SQUALL_E_MISMATCH);
    assert_non_null(strstr(err.text, says));
    squall_notes_destroy(&notes);
}

static void test_missing(void **state)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_engine_options options;
    (void)state;
    net n = small_net();
    setenv("SQUALL_FAKE_CAPABILITY", "80", 1);
    assert_int_equal(build(&n, "cuda:0", "fp16", &bytes, &size, NULL, &err), SQUALL_OK);
    result got;
    run(bytes, size, "cuda sm_80", &got);
    forget(&got);
    setenv("SQUALL_FAKE_CAPABILITY", "86", 1); /* newer of the same kind: fits, but the module of
                                                  the stand-in is for the very one */
    assert_int_equal(squall_engine_open_memory(bytes, size, "net", NULL, &engine, NULL, &err),
                     SQUALL_OK);
    assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_E_DEVICE);
    assert_non_null(strstr(err.text, "cannot be loaded"));
    squall_engine_close(&engine);
    setenv("SQUALL_FAKE_CAPABILITY", "75", 1);
    check_refused(bytes, size, "sm_75");
    setenv("SQUALL_FAKE_CAPABILITY", "80", 1);
    setenv("SQUALL_FAKE_GPUS", "0", 1);
    check_refused(bytes, size, "no GPU 0");
    unsetenv("SQUALL_FAKE_GPUS");
    setenv("SQUALL_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
    check_refused(bytes, size, "no NVIDIA driver");
    setenv("SQUALL_CUDA_DRIVER", "libm.so.6", 1);
    check_refused(bytes, size, "too old");
    setenv("SQUALL_CUDA_DRIVER", SQUALL_FAKE_CUDA, 1);
    setenv("SQUALL_STATE", "test_cuda.elsewhere", 1);
    check_refused(bytes, size, "not built here");
    squall_engine_options_init(&options);
    options.trust_kernels = 1;
    assert_int_equal(squall_engine_open_memory(bytes, size, "net", &options, &engine, NULL, &err),
                     SQUALL_OK);
    setenv("SQUALL_FAKE_MEMORY", "100", 1);
    assert_int_equal(squall_context_create(engine, 0, 1, &context, &err), SQUALL_E_MEMORY);
    assert_non_null(strstr(err.text, "out of memory"));
    unsetenv("SQUALL_FAKE_MEMORY");
    for (long at = 0;; at++) { /* every allocation fails once */
        sq_memory_fail_at(at);
        const squall_status status = squall_context_create(engine, 0, 1, &context, &err);
        sq_memory_fail_at(-1);
        if (status == SQUALL_OK) {
            assert_true(at > 5);
            break;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
    }
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    setenv("SQUALL_STATE", "test_cuda.state", 1);
    /* Kernels that were changed on the way are not what was built here, nor what the table says. */
    unsigned char *found = memmem(bytes, size, "FAKE sm_80", 10);
    assert_non_null(found);
    found[0] = 'M';
    assert_int_equal(squall_engine_open_memory(bytes, size, "net", NULL, &engine, NULL, &err),
                     SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.where, "kernels"));
    sq_free(bytes);
    sq_graph_destroy(&n.graph);
}

static void test_fits(void **state)
{
    (void)state;
    assert_true(sq_cuda_fits("sm_80", 80) && sq_cuda_fits("sm_80", 86) &&
                sq_cuda_fits("sm_90a", 90));
    assert_false(sq_cuda_fits("sm_86", 80) || sq_cuda_fits("sm_80", 90) ||
                 sq_cuda_fits("sm_90a", 100) || sq_cuda_fits("avx512", 80) ||
                 sq_cuda_fits("sm_", 0) || sq_cuda_fits("sm_90x", 90));
}

/* Same network, same kind of GPU: same bytes. */
static void test_same_bytes(void **state)
{
    unsigned char *a = NULL, *b = NULL;
    size_t a_size = 0, b_size = 0;
    squall_error err;
    (void)state;
    net n = small_net();
    assert_int_equal(build(&n, "cuda:sm_90a", "fp16", &a, &a_size, NULL, &err), SQUALL_OK);
    assert_int_equal(build(&n, "cuda:sm_90a", "fp16", &b, &b_size, NULL, &err), SQUALL_OK);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    sq_free(a);
    sq_free(b);
    sq_graph_destroy(&n.graph);
}

static void test_count(void **state)
{
    (void)state;
    print_message("%d cases on the stand-in\n", cases);
    assert_true(cases > 200);
}

int main(void)
{
    setenv("SQUALL_CUDA_DRIVER", SQUALL_FAKE_CUDA, 1);
    setenv("SQUALL_NVRTC", SQUALL_FAKE_CUDA, 1);
    setenv("SQUALL_STATE", "test_cuda.state", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_reductions),  cmocka_unit_test(test_maps),
        cmocka_unit_test(test_moves),       cmocka_unit_test(test_count),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_options),
        cmocka_unit_test(test_missing),     cmocka_unit_test(test_fits),
        cmocka_unit_test(test_same_bytes),  cmocka_unit_test(test_kept),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (system("rm -rf test_cuda.state") != 0);
}
