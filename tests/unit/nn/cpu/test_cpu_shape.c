/* tests/unit/nn/cpu/test_cpu_shape.c - activations, arithmetic, pooling, resizing, reductions, and
 * the moving of channels, by every tactic, against double arithmetic. */
#include "cpu_problem.h"

/* Channels, height and width around blocks and rows; batches of one and two. */
static const int64_t shapes[][4] = {
    {1, 16, 4, 6}, {2, 8, 1, 1}, {1, 1, 5, 7}, {2, 17, 3, 9}, {1, 40, 13, 2}, {1, 33, 8, 31},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static float value(const squall_tensor *t, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return ((const float *)t->data)[((n * t->dims[1] + c) * t->dims[2] + y) * t->dims[3] + x];
}

/* The place of element `i` of an image. */
static void split_index(const squall_tensor *t, size_t i, int64_t *at)
{
    at[3] = (int64_t)i % t->dims[3];
    at[2] = (int64_t)i / t->dims[3] % t->dims[2];
    at[1] = (int64_t)i / (t->dims[3] * t->dims[2]) % t->dims[1];
    at[0] = (int64_t)i / (t->dims[3] * t->dims[2] * t->dims[1]);
}

/* ------------------------------------------------------------------ element by element */

static void test_unary(void **state)
{
    (void)state;
    static const struct {
        sq_op op;
        sq_cpu_act act;
    } ops[] = {
        {SQ_OP_Relu, {SQ_ACT_RELU, 0, 0}},
        {SQ_OP_LeakyRelu, {SQ_ACT_LEAKY_RELU, 0.3f, 0}},
        {SQ_OP_Sigmoid, {SQ_ACT_SIGMOID, 0, 0}},
        {SQ_OP_Tanh, {SQ_ACT_TANH, 0, 0}},
        {SQ_OP_HardSigmoid, {SQ_ACT_HARD_SIGMOID, 0.3f, 0.4f}},
        {SQ_OP_HardSwish, {SQ_ACT_HARD_SWISH, 0, 0}},
    };
    long ran = 0;
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
        for (size_t s = 0; s < SHAPES; s++) {
            problem p;
            problem_open(&p, ops[o].op, 1);
            if (ops[o].op == SQ_OP_LeakyRelu || ops[o].op == SQ_OP_HardSigmoid) {
                assert_true(sq_attr_set_float(&p.attrs, "alpha", ops[o].act.a));
                assert_true(sq_attr_set_float(&p.attrs, "beta", ops[o].act.b));
            }
            const float *x = problem_input(&p, 4, shapes[s], false);
            problem_infer(&p);
            for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
                p.want[0][i] = act_double(&ops[o].act, (double)x[i]);
                p.allowed[0][i] = act_allowed(&ops[o].act, (double)x[i], 0);
            }
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    /* More elements than one piece of work, and not a whole number of vectors. */
    problem p;
    problem_open(&p, SQ_OP_Relu, 1);
    const float *x = problem_input(&p, 1, (const int64_t[]){40003}, false);
    problem_infer(&p);
    for (size_t i = 0; i < 40003; i++) {
        p.want[0][i] = x[i] > 0.0f ? (double)x[i] : 0.0;
    }
    ran += check_problem(&p);
    problem_close(&p);
    assert_true(ran > 0);
}

/* Shapes of the second operand for a first of N, C, H, W: 0 the same, 1 one number, 2 a number a
 * channel, 3 a number a channel of each image, 4 a number a pixel. */
static void second_shape(const int64_t *a, int kind, int64_t *b, uint32_t *rank)
{
    const int64_t shape[5][4] = {{a[0], a[1], a[2], a[3]},
                                 {1, 1, 1, 1},
                                 {1, a[1], 1, 1},
                                 {a[0], a[1], 1, 1},
                                 {a[0], 1, a[2], a[3]}};
    memcpy(b, shape[kind], sizeof shape[kind]);
    *rank = kind == 1 ? 1 : 4;
}

static long check_arithmetic(sq_op op, const int64_t *a_shape, int kind, bool swapped,
                             const sq_cpu_act *act)
{
    int64_t b_shape[4];
    uint32_t rank;
    problem p;
    second_shape(a_shape, kind, b_shape, &rank);
    problem_open(&p, op, 1);
    if (op == SQ_OP_Add) {
        problem_act(&p, act);
    }
    if (swapped) {
        problem_input(&p, rank, b_shape, false);
    }
    problem_input(&p, 4, a_shape, false);
    if (!swapped) {
        problem_input(&p, rank, b_shape, false);
    }
    problem_infer(&p);
    const float *a = p.in[swapped].data, *b = p.in[!swapped].data;
    for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
        int64_t at[4];
        split_index(&p.out[0], i, at);
        size_t j = 0;
        for (size_t d = 0; d < 4; d++) {
            j = j * (size_t)b_shape[d] + (size_t)(b_shape[d] == 1 ? 0 : at[d]);
        }
        const float made = op == SQ_OP_Add   ? a[i] + b[j]
                           : op == SQ_OP_Sub ? a[i] - b[j]
                           : op == SQ_OP_Mul ? a[i] * b[j]
                                             : a[i] / b[j];
        const sq_cpu_act *used = op == SQ_OP_Add ? act : &all_acts[0];
        p.want[0][i] = act_double(used, (double)made);
        p.allowed[0][i] = act_allowed(used, (double)made, 0);
    }
    const long ran = check_problem(&p);
    problem_close(&p);
    return ran;
}

static void test_arithmetic(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Add, SQ_OP_Sub, SQ_OP_Mul, SQ_OP_Div};
    long ran = 0;
    for (size_t o = 0; o < 4; o++) {
        for (size_t s = 0; s < SHAPES; s++) {
            for (int kind = 0; kind < 5; kind++) {
                const sq_cpu_act *act = &all_acts[(s + (size_t)kind) % ACT_COUNT];
                ran += check_arithmetic(ops[o], shapes[s], kind, false, act);
                if (ops[o] == SQ_OP_Add || ops[o] == SQ_OP_Mul) {
                    ran += check_arithmetic(ops[o], shapes[s], kind, true, act);
                }
            }
        }
    }
    print_message("%ld runs on %s\n", ran, sq_cpu_pick()->name);
    assert_true(ran > 0);
}

/* ------------------------------------------------------------------ pooling, resizing */

static void test_max_pool(void **state)
{
    (void)state;
    static const struct {
        int64_t shape[4], kernel[2], stride[2], pads[4];
    } cases[] = {
        {{1, 16, 8, 12}, {2, 2}, {2, 2}, {0, 0, 0, 0}},
        {{2, 17, 7, 9}, {2, 2}, {2, 2}, {0, 0, 0, 0}},
        {{1, 8, 9, 31}, {3, 3}, {1, 1}, {1, 1, 1, 1}},
        {{1, 5, 6, 7}, {3, 2}, {2, 3}, {1, 1, 0, 0}},
        {{1, 33, 1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
        {{1, 4, 5, 5}, {5, 5}, {1, 1}, {2, 2, 2, 2}},
    };
    long ran = 0;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        problem p;
        problem_open(&p, SQ_OP_MaxPool, 1);
        assert_true(sq_attr_set_ints(&p.attrs, "kernel_shape", cases[c].kernel, 2));
        assert_true(sq_attr_set_ints(&p.attrs, "strides", cases[c].stride, 2));
        assert_true(sq_attr_set_ints(&p.attrs, "pads", cases[c].pads, 4));
        problem_input(&p, 4, cases[c].shape, false);
        problem_infer(&p);
        for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
            int64_t at[4];
            double most = -INFINITY;
            split_index(&p.out[0], i, at);
            for (int64_t ty = 0; ty < cases[c].kernel[0]; ty++) {
                for (int64_t tx = 0; tx < cases[c].kernel[1]; tx++) {
                    const int64_t y = at[2] * cases[c].stride[0] - cases[c].pads[0] + ty;
                    const int64_t x = at[3] * cases[c].stride[1] - cases[c].pads[1] + tx;
                    if (y >= 0 && x >= 0 && y < cases[c].shape[2] && x < cases[c].shape[3]) {
                        most = fmax(most, (double)value(&p.in[0], at[0], at[1], y, x));
                    }
                }
            }
            p.want[0][i] = most;
        }
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

/* Where output cell `i` reads, by ONNX's definition of each way to count. */
static double source(const char *way, int64_t i, int64_t in, int64_t out)
{
    const double scale = (double)out / (double)in;
    return strcmp(way, "align_corners") == 0
               ? (out > 1 ? (double)(i * (in - 1)) / (double)(out - 1) : 0.0)
           : strcmp(way, "asymmetric") == 0 ? (double)i / scale
                                            : ((double)i + 0.5) / scale - 0.5;
}

static double clamped(const squall_tensor *t, const int64_t *at, int64_t y, int64_t x)
{
    y = y < 0 ? 0 : y >= t->dims[2] ? t->dims[2] - 1 : y;
    x = x < 0 ? 0 : x >= t->dims[3] ? t->dims[3] - 1 : x;
    return (double)value(t, at[0], at[1], y, x);
}

static long check_resize(const char *mode, const char *way, const int64_t *shape, float scale_y,
                         float scale_x)
{
    problem p;
    problem_open(&p, SQ_OP_Resize, 1);
    assert_true(sq_attr_set_string(&p.attrs, "mode", mode, strlen(mode)));
    assert_true(sq_attr_set_string(&p.attrs, "nearest_mode", "floor", 5));
    assert_true(sq_attr_set_string(&p.attrs, "coordinate_transformation_mode", way, strlen(way)));
    problem_input(&p, 4, shape, false);
    p.step.in_count++; /* no region of interest */
    const int64_t four = 4;
    float *scales = problem_input(&p, 1, &four, true);
    memcpy(scales, (const float[]){1, 1, scale_y, scale_x}, 4 * sizeof *scales);
    problem_infer(&p);
    const squall_tensor *in = &p.in[0], *out = &p.out[0];
    for (size_t i = 0; i < squall_tensor_count(out); i++) {
        int64_t at[4];
        split_index(out, i, at);
        const double y = source(way, at[2], in->dims[2], out->dims[2]);
        const double x = source(way, at[3], in->dims[3], out->dims[3]);
        const int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
        if (strcmp(mode, "nearest") == 0) {
            p.want[0][i] = clamped(in, at, y0, x0);
            continue;
        }
        const double wy = y - (double)y0, wx = x - (double)x0;
        p.want[0][i] =
            (1 - wy) * ((1 - wx) * clamped(in, at, y0, x0) + wx * clamped(in, at, y0, x0 + 1)) +
            wy * ((1 - wx) * clamped(in, at, y0 + 1, x0) + wx * clamped(in, at, y0 + 1, x0 + 1));
        p.allowed[0][i] = 12 * UNIT;
    }
    const long ran = check_problem(&p);
    problem_close(&p);
    return ran;
}

static void test_resize(void **state)
{
    (void)state;
    static const char *const ways[] = {"align_corners", "half_pixel", "asymmetric"};
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        ran += check_resize("nearest", "asymmetric", shapes[s], 2, 2);
        ran += check_resize("nearest", "asymmetric", shapes[s], 1, 3);
        for (size_t w = 0; w < 3; w++) {
            ran += check_resize("linear", ways[w], shapes[s], 2, 2);
            ran += check_resize("linear", ways[w], shapes[s], 3, 4);
        }
    }
    assert_true(ran > 0);
}

static long check_reduction(sq_op op, const int64_t *shape, bool channels)
{
    const int64_t pixel_axes[] = {2, 3}, channel_axis[] = {1};
    problem p;
    problem_open(&p, op, 1);
    const bool mean = op == SQ_OP_ReduceMean || op == SQ_OP_GlobalAveragePool;
    if (op == SQ_OP_ReduceMean || op == SQ_OP_ReduceMax) {
        assert_true(sq_attr_set_ints(&p.attrs, "axes", channels ? channel_axis : pixel_axes,
                                     channels ? 1 : 2));
    }
    problem_input(&p, 4, shape, false);
    problem_infer(&p);
    double magnitude[4096] = {0};
    const size_t count = squall_tensor_count(&p.out[0]);
    assert_true(count <= 4096);
    for (size_t o = 0; o < count; o++) {
        p.want[0][o] = mean ? 0.0 : -INFINITY;
    }
    const double terms = (double)(channels ? shape[1] : shape[2] * shape[3]);
    for (size_t i = 0; i < squall_tensor_count(&p.in[0]); i++) {
        int64_t at[4];
        split_index(&p.in[0], i, at);
        const size_t o = channels ? (size_t)((at[0] * shape[2] + at[2]) * shape[3] + at[3])
                                  : (size_t)(at[0] * shape[1] + at[1]);
        const double x = (double)((const float *)p.in[0].data)[i];
        p.want[0][o] = mean ? p.want[0][o] + x / terms : fmax(p.want[0][o], x);
        magnitude[o] += fabs(x) / terms;
    }
    for (size_t o = 0; mean && o < count; o++) {
        p.allowed[0][o] = 66 * UNIT * magnitude[o]; /* at most 64 terms a run in float, then one
                                                       rounding */
    }
    const long ran = check_problem(&p);
    problem_close(&p);
    return ran;
}

static void test_reductions(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        ran += check_reduction(SQ_OP_ReduceMean, shapes[s], true);
        ran += check_reduction(SQ_OP_ReduceMax, shapes[s], true);
        ran += check_reduction(SQ_OP_ReduceMean, shapes[s], false);
        ran += check_reduction(SQ_OP_ReduceMax, shapes[s], false);
        ran += check_reduction(SQ_OP_GlobalAveragePool, shapes[s], false);
        ran += check_reduction(SQ_OP_GlobalMaxPool, shapes[s], false);
    }
    assert_true(ran > 0);
}

/* ------------------------------------------------------------------ moving */

static void test_concat(void **state)
{
    (void)state;
    const int64_t lanes = sq_cpu_pick()->lanes;
    const int64_t channels[][3] = {{lanes, lanes, lanes}, {2 * lanes, lanes, 5}, {lanes, 1, 0}};
    long ran = 0;
    for (size_t c = 0; c < 3; c++) {
        for (int64_t batch = 1; batch <= 2; batch++) {
            problem p;
            problem_open(&p, SQ_OP_Concat, 1);
            assert_true(sq_attr_set_int(&p.attrs, "axis", c == 1 ? -3 : 1));
            for (int i = 0; i < 3 && channels[c][i] > 0; i++) {
                const int64_t shape[4] = {batch, channels[c][i], 3, 7};
                problem_input(&p, 4, shape, false);
            }
            problem_infer(&p);
            for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
                int64_t at[4];
                uint32_t from = 0;
                split_index(&p.out[0], i, at);
                while (at[1] >= p.in[from].dims[1]) {
                    at[1] -= p.in[from++].dims[1];
                }
                p.want[0][i] = (double)value(&p.in[from], at[0], at[1], at[2], at[3]);
            }
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    assert_true(ran > 0);
}

static void test_slice_and_split(void **state)
{
    (void)state;
    const int64_t lanes = sq_cpu_pick()->lanes, shape[4] = {2, 4 * lanes, 3, 5};
    const int64_t first = lanes, end = 3 * lanes, axis = 1;
    long ran = 0;
    problem p;
    problem_open(&p, SQ_OP_Slice, 1);
    problem_input(&p, 4, shape, false);
    problem_ints(&p, &first, 1);
    problem_ints(&p, &end, 1);
    problem_ints(&p, &axis, 1);
    problem_infer(&p);
    for (size_t i = 0; i < squall_tensor_count(&p.out[0]); i++) {
        int64_t at[4];
        split_index(&p.out[0], i, at);
        p.want[0][i] = (double)value(&p.in[0], at[0], at[1] + first, at[2], at[3]);
    }
    ran += check_problem(&p);
    problem_close(&p);

    problem_open(&p, SQ_OP_Split, 2);
    assert_true(sq_attr_set_int(&p.attrs, "axis", 1));
    problem_input(&p, 4, shape, false);
    const int64_t parts[2] = {lanes, 3 * lanes};
    problem_ints(&p, parts, 2);
    problem_infer(&p);
    for (uint32_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < squall_tensor_count(&p.out[k]); i++) {
            int64_t at[4];
            split_index(&p.out[k], i, at);
            p.want[k][i] =
                (double)value(&p.in[0], at[0], at[1] + (k > 0 ? lanes : 0), at[2], at[3]);
        }
    }
    ran += check_problem(&p);
    problem_close(&p);
    assert_true(ran > 0);
}

/* Plain to blocks and back. */
static void test_reorder(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t s = 0; s < SHAPES; s++) {
        for (int back = 0; back < 2; back++) {
            problem p;
            problem_open(&p, SQ_OP_SqReorder, 1);
            assert_true(sq_attr_set_int(&p.attrs, "sq_layout",
                                        back ? SQUALL_PLAIN : (int64_t)sq_cpu_layout()));
            const float *x = problem_input(&p, 4, shapes[s], false);
            problem_infer(&p);
            for (size_t i = 0; i < squall_tensor_count(&p.in[0]); i++) {
                p.want[0][i] = (double)x[i];
            }
            p.in[0].layout = back ? sq_cpu_layout() : SQUALL_PLAIN;
            p.out[0].layout = SQUALL_PLAIN; /* of what is expected */
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    assert_true(ran > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),           cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_max_pool),        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_reductions),      cmocka_unit_test(test_concat),
        cmocka_unit_test(test_slice_and_split), cmocka_unit_test(test_reorder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
