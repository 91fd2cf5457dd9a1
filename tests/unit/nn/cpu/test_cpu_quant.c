/* tests/unit/nn/cpu/test_cpu_quant.c - numbers of 8 bits by every tactic, bit by bit against whole
 * numbers; the sums by every kernel that this processor has, whatever SQUALL_CPU says of the
 * others.
 */
#include "cpu_problem.h"
#include "nn/cpu/cpu_quant.h"

typedef struct qconv_case {
    int64_t batch, channels[3], height, width, outputs;
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    bool to_float;
    int64_t times; /* depthwise: outputs of each channel; 0: one group */
    int64_t up[3]; /* 2: the image is half as large as the case says, and is enlarged */
} qconv_case;

static const qconv_case cases[] = {
    /* sizes around tiles and blocks of channels */
    {1, {16}, 12, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {1, {8}, 1, 1, 8, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {1, {17}, 5, 3, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 0, {0}},
    {2, {32}, 9, 31, 48, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {3, {5}, 13, 2, 3, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 0, {0}},
    {1, {70}, 6, 17, 65, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {1, {3}, 9, 50, 9, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    /* other pads, kernels, strides and dilations */
    {1, {16}, 7, 9, 20, {3, 3}, {1, 1}, {1, 1}, {0, 2, 1, 0}, false, 0, {0}},
    {1, {9}, 4, 6, 16, {3, 3}, {1, 1}, {1, 1}, {3, 0, 0, 5}, false, 0, {0}},
    {1, {12}, 9, 30, 24, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true, 0, {0}},
    {1, {7}, 11, 13, 5, {5, 3}, {1, 1}, {1, 1}, {2, 1, 2, 1}, false, 0, {0}},
    {2, {3}, 15, 17, 10, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {1, {20}, 14, 19, 18, {3, 3}, {1, 2}, {1, 1}, {1, 1, 1, 1}, true, 0, {0}},
    {1, {4}, 16, 16, 16, {3, 3}, {3, 3}, {1, 1}, {0, 0, 0, 0}, false, 0, {0}},
    {1, {16}, 15, 14, 16, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, false, 0, {0}},
    /* several images */
    {1, {16, 16}, 8, 15, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {0}},
    {2, {32, 5}, 6, 7, 17, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 0, {0}},
    {1, {3, 18, 8}, 5, 29, 16, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, 0, {0}},
    /* depthwise */
    {1, {16}, 9, 10, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 1, {0}},
    {2, {12}, 19, 21, 24, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 2, {0}},
    {1, {35}, 17, 5, 35, {5, 3}, {2, 1}, {1, 2}, {2, 2, 2, 2}, false, 1, {0}},
    {1, {17}, 3, 4, 68, {7, 7}, {1, 1}, {1, 1}, {3, 3, 3, 3}, false, 4, {0}},
    {1, {3}, 40, 33, 24, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 8, {0}},
    {1, {16, 32, 5}, 9, 6, 106, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 2, {0}},
    /* enlarged images */
    {1, {16}, 12, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {2}},
    {2, {5}, 2, 2, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 0, {2}},
    {1, {33}, 10, 62, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {2}},
    {1, {32, 16}, 8, 58, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false, 0, {2, 1}},
    {2, {7, 20, 3}, 6, 30, 17, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, 0, {1, 2, 2}},
};

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Every other case holds the largest numbers that there are, so that sums of two products come to
 * what 16 bits cannot hold. */
static void fill_bytes(uint8_t *to, size_t count, bool extreme, uint32_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = extreme ? 255 : (uint8_t)next(seed);
    }
}

static const squall_tensor *image_of(const problem *p, uint32_t s)
{
    return &p->in[s == 0 ? 0 : s + 3];
}

/* What output (y, x) of channel k takes from channel `ch` of image s, the `own`-th of all. */
static int64_t channel_sum(const problem *p, const qconv_case *c, uint32_t s, int64_t n, int64_t k,
                           const int64_t at[2], int64_t ch, int64_t own, int64_t zero)
{
    const squall_tensor *image = image_of(p, s), *w = &p->in[1];
    const int64_t up = c->up[s] == 2 ? 2 : 1;
    const int64_t set = up == 2 ? at[0] % 2 * 2 + at[1] % 2 : 0;
    int64_t sum = 0;
    for (int64_t t = 0; t < c->kernel[0] * c->kernel[1]; t++) {
        const int64_t ty = t / c->kernel[1], tx = t % c->kernel[1];
        const int64_t yy = at[0] * c->stride[0] - c->pads[0] + ty * c->dilation[0];
        const int64_t xx = at[1] * c->stride[1] - c->pads[1] + tx * c->dilation[1];
        const bool unseen = up == 2 && (ty - at[0] % 2 < 0 || ty - at[0] % 2 > 1 ||
                                        tx - at[1] % 2 < 0 || tx - at[1] % 2 > 1);
        if (yy < 0 || xx < 0 || yy >= c->height || xx >= c->width || unseen) {
            continue;
        }
        const int64_t cell =
            ((n * image->dims[1] + ch) * image->dims[2] + yy / up) * image->dims[3] + xx / up;
        const int64_t weight =
            (((set * c->outputs + k) * w->dims[1] + own) * c->kernel[0] + ty) * c->kernel[1] + tx;
        sum +=
            (sq_tensor_get_int(image, (size_t)cell) - zero) * sq_tensor_get_int(w, (size_t)weight);
    }
    return sum;
}

/* The sum of one output, in 64 bits. */
static int64_t sum_of(const problem *p, const qconv_case *c, const int64_t *zeros, int64_t n,
                      int64_t k, int64_t y, int64_t x)
{
    const int64_t at[2] = {y, x};
    int64_t sum = ((const int32_t *)p->in[3].data)[k], first = 0;
    if (c->times > 0) {
        uint32_t s = 0;
        for (first = k / c->times; first >= c->channels[s]; first -= c->channels[s++]) {
        }
        return sum + channel_sum(p, c, s, n, k, at, first, 0, zeros[s]);
    }
    for (uint32_t s = 0; s < p->step.in_count - 3; s++) {
        for (int64_t ch = 0; ch < c->channels[s]; ch++) {
            sum += channel_sum(p, c, s, n, k, at, ch, first + ch, zeros[s]);
        }
        first += c->channels[s];
    }
    return sum;
}

enum { LOW = 3, HIGH = 250, Y_ZERO = 7 };

static void expect_all(problem *p, const qconv_case *c, const int64_t *zeros, const sq_cpu_act *act)
{
    const int64_t *dims = p->out[0].dims;
    for (size_t i = 0; i < squall_tensor_count(&p->out[0]); i++) {
        const int64_t at = (int64_t)i, x = at % dims[3], y = at / dims[3] % dims[2];
        const int64_t k = at / dims[3] / dims[2] % dims[1], n = at / dims[3] / dims[2] / dims[1];
        const int64_t sum = sum_of(p, c, zeros, n, k, y, x);
        assert_true(sum == (int32_t)sum);
        const float scaled = (float)sum * ((const float *)p->in[2].data)[k];
        if (c->to_float) {
            p->want[0][i] = act_double(act, (double)scaled);
            p->allowed[0][i] = act->kind <= SQ_ACT_RELU ? 0 : act_allowed(act, (double)scaled, 0);
        } else {
            const bool leaks = act->kind == SQ_ACT_LEAKY_RELU && scaled < 0;
            p->want[0][i] =
                clamp(rint((double)(leaks ? scaled * act->a : scaled)) + Y_ZERO, LOW, HIGH);
        }
    }
}

static void open_case(problem *p, const qconv_case *c, bool extreme, const sq_cpu_act *act)
{
    const int64_t zeros[3] = {c->width % 2 == 1 ? 77 : 0, 128, 9};
    int64_t all = 0, ups[3];
    bool phases = false;
    problem_open(p, SQ_OP_SqQConv, 1);
    p->seed += (uint32_t)(c->height * 31 + c->width);
    for (int s = 0; s < 3; s++) {
        all += c->channels[s];
        ups[s] = c->up[s] == 2 ? 2 : 1;
        phases = phases || ups[s] == 2;
    }
    const int64_t images = c->channels[2] > 0 ? 3 : c->channels[1] > 0 ? 2 : 1;
    for (int64_t s = 0; s < images; s++) {
        const int64_t in[4] = {c->batch, c->channels[s], c->height / ups[s], c->width / ups[s]};
        uint8_t *image = problem_typed(p, SQUALL_U8, 4, in, false);
        fill_bytes(image, squall_tensor_count(&p->in[p->step.in_count - 1]), extreme, &p->seed);
        if (s > 0) {
            continue;
        }
        int8_t *w =
            problem_typed(p, SQUALL_I8, 4,
                          (const int64_t[]){c->outputs * (phases ? 4 : 1), c->times > 0 ? 1 : all,
                                            c->kernel[0], c->kernel[1]},
                          true);
        float *multiplier = problem_typed(p, SQUALL_F32, 1, &c->outputs, true);
        int32_t *bias = problem_typed(p, SQUALL_I32, 1, &c->outputs, true);
        for (size_t i = 0; i < squall_tensor_count(&p->in[1]); i++) {
            w[i] = extreme ? (i % 7 == 0 ? -127 : 127) : (int8_t)(next(&p->seed) % 255 - 127);
        }
        for (int64_t k = 0; k < c->outputs; k++) {
            multiplier[k] = (c->to_float ? 1e-4f : 2e-3f) * (1.5f + seeded(&p->seed));
            bias[k] = (int32_t)(next(&p->seed) % 20001) - 10000;
        }
    }
    assert_true(sq_attr_set_ints(&p->attrs, "strides", c->stride, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "dilations", c->dilation, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "pads", c->pads, 4));
    assert_true(sq_attr_set_int(&p->attrs, "group", c->times > 0 ? all : 1));
    assert_true(!phases || sq_attr_set_ints(&p->attrs, "sq_upsample", ups, (size_t)images));
    assert_true(sq_attr_set_ints(&p->attrs, "sq_x_zero", zeros, (size_t)images));
    assert_true(sq_attr_set_int(&p->attrs, "sq_y_zero", Y_ZERO));
    assert_true(sq_attr_set_int(&p->attrs, "sq_low", LOW));
    assert_true(sq_attr_set_int(&p->attrs, "sq_high", HIGH));
    if (c->to_float) {
        assert_true(sq_attr_set_int(&p->attrs, "sq_y_type", SQUALL_F32));
    }
    if (c->to_float || act->kind == SQ_ACT_LEAKY_RELU) {
        problem_act(p, act);
    }
    problem_infer(p);
    expect_all(p, c, zeros, act);
}

/* FNV-1a over what must come out, where no activation needs more than whole numbers. */
static uint64_t add_golden(uint64_t hash, const problem *p)
{
    for (size_t i = 0; i < squall_tensor_count(&p->out[0]); i++) {
        const float value = (float)p->want[0][i];
        unsigned char bytes[sizeof value];
        memcpy(bytes, &value, sizeof value);
        for (size_t b = 0; b < sizeof value; b++) {
            hash = (hash ^ bytes[b]) * UINT64_C(1099511628211);
        }
    }
    return hash;
}

static void test_qconv(void **state)
{
    (void)state;
    /* By this test on x86-64 (gcc 12, avx512vnni): other processors give the same bits. Other cases
     * give another number. */
    const uint64_t golden = UINT64_C(0x2c8400bc5998191e);
    uint64_t hash = UINT64_C(14695981039346656037);
    long ran = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int extreme = 0; extreme < 2; extreme++) {
            problem p;
            open_case(&p, &cases[i], extreme, &all_acts[i % ACT_COUNT]);
            ran += check_problem(&p);
            if (!cases[i].to_float || all_acts[i % ACT_COUNT].kind <= SQ_ACT_RELU) {
                hash = add_golden(hash, &p);
            }
            problem_close(&p);
        }
    }
    print_message("%ld runs on %s\n", ran, sq_cpu_quant_pick()->name);
    assert_int_equal(hash, golden);
    assert_true(ran >= (long)(4 * sizeof cases / sizeof cases[0]));
}

/* Halves, what is out of range, infinities and no number at all, in runs of every length. */
static void test_scales(void **state)
{
    (void)state;
    static const float awkward[] = {0.25f, 0.75f, -0.25f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
    const int64_t counts[] = {1, 7, 8, 15, 16, 17, 31, 70001};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int down = 0; down < 2; down++) {
            problem p;
            problem_open(&p, down ? SQ_OP_QuantizeLinear : SQ_OP_DequantizeLinear, 1);
            float *in = down ? problem_input(&p, 1, &counts[c], false) : NULL;
            uint8_t *bytes = down ? NULL : problem_typed(&p, SQUALL_U8, 1, &counts[c], false);
            float *scale = problem_typed(&p, SQUALL_F32, 0, NULL, true);
            uint8_t *zero = problem_typed(&p, SQUALL_U8, 0, NULL, true);
            *scale = down ? 0.5f : 0.3f;
            *zero = 100;
            problem_infer(&p);
            for (int64_t i = 0; i < counts[c]; i++) {
                if (down) {
                    in[i] = i % 3 == 0 ? awkward[(size_t)i / 3 % 8] : in[i] * 100;
                    const double moved = rint((double)(in[i] / *scale)) + *zero;
                    p.want[0][i] = isnan(in[i]) ? *zero : clamp(moved, 0, 255);
                } else {
                    bytes[i] = (uint8_t)next(&p.seed);
                    p.want[0][i] = (double)((float)(bytes[i] - *zero) * *scale);
                }
            }
            assert_true(check_problem(&p) > 0);
            problem_close(&p);
        }
    }
}

/* Pooling, repetition, joining and layouts only move or compare. */
static const int64_t shapes[][4] = {
    {1, 16, 4, 6}, {2, 8, 2, 2}, {1, 33, 6, 10}, {2, 5, 4, 4}, {1, 17, 70, 66}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static uint8_t byte_at(const squall_tensor *t, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return ((const uint8_t *)t->data)[((n * t->dims[1] + c) * t->dims[2] + y) * t->dims[3] + x];
}

static void expect_moved(problem *p, int64_t (*value)(const problem *p, const int64_t *at))
{
    const int64_t *dims = p->out[0].dims;
    for (size_t i = 0; i < squall_tensor_count(&p->out[0]); i++) {
        const int64_t at[4] = {(int64_t)i / dims[3] / dims[2] / dims[1],
                               (int64_t)i / dims[3] / dims[2] % dims[1],
                               (int64_t)i / dims[3] % dims[2], (int64_t)i % dims[3]};
        p->want[0][i] = (double)value(p, at);
    }
}

static int64_t pooled(const problem *p, const int64_t *at)
{
    int64_t most = 0;
    for (int64_t t = 0; t < 4; t++) {
        const int64_t here = byte_at(&p->in[0], at[0], at[1], at[2] * 2 + t / 2, at[3] * 2 + t % 2);
        most = here > most ? here : most;
    }
    return most;
}

static int64_t repeated(const problem *p, const int64_t *at)
{
    return byte_at(&p->in[0], at[0], at[1], at[2] / 2, at[3] / 3);
}

static int64_t joined(const problem *p, const int64_t *at)
{
    return at[1] < 16 ? byte_at(&p->in[0], at[0], at[1], at[2], at[3])
                      : byte_at(&p->in[1], at[0], at[1] - 16, at[2], at[3]);
}

static int64_t same(const problem *p, const int64_t *at)
{
    return byte_at(&p->in[0], at[0], at[1], at[2], at[3]);
}

static void fill_image(problem *p, const int64_t *dims)
{
    uint8_t *image = problem_typed(p, SQUALL_U8, 4, dims, false);
    fill_bytes(image, squall_tensor_count(&p->in[p->step.in_count - 1]), false, &p->seed);
}

static void test_moves(void **state)
{
    (void)state;
    static const int64_t two[2] = {2, 2};
    for (size_t s = 0; s < SHAPES; s++) {
        problem p;
        problem_open(&p, SQ_OP_MaxPool, 1);
        fill_image(&p, shapes[s]);
        assert_true(sq_attr_set_ints(&p.attrs, "kernel_shape", two, 2));
        assert_true(sq_attr_set_ints(&p.attrs, "strides", two, 2));
        problem_infer(&p);
        expect_moved(&p, pooled);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);

        problem_open(&p, SQ_OP_Resize, 1);
        fill_image(&p, shapes[s]);
        p.step.in_count++; /* no region of interest */
        float *scales = problem_typed(&p, SQUALL_F32, 1, (const int64_t[]){4}, true);
        memcpy(scales, (const float[]){1, 1, 2, 3}, 4 * sizeof *scales);
        assert_true(
            sq_attr_set_string(&p.attrs, "coordinate_transformation_mode", "asymmetric", 10));
        assert_true(sq_attr_set_string(&p.attrs, "nearest_mode", "floor", 5));
        problem_infer(&p);
        expect_moved(&p, repeated);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);

        problem_open(&p, SQ_OP_Concat, 1);
        fill_image(&p, (const int64_t[]){shapes[s][0], 16, shapes[s][2], shapes[s][3]});
        fill_image(&p, shapes[s]);
        assert_true(sq_attr_set_int(&p.attrs, "axis", 1));
        problem_infer(&p);
        expect_moved(&p, joined);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);
    }
}

static void test_reorder(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        for (int block = 0; block < 2; block++) {
            problem p;
            problem_open(&p, SQ_OP_SqReorder, 1);
            fill_image(&p, shapes[s]);
            p.in[0].layout = block ? SQUALL_PLAIN : sq_cpu_layout();
            assert_true(sq_attr_set_int(&p.attrs, "sq_layout",
                                        block ? (int64_t)sq_cpu_layout() : SQUALL_PLAIN));
            problem_infer(&p);
            expect_moved(&p, same);
            assert_true(check_problem(&p) > 0);
            problem_close(&p);
        }
    }
}

int main(void)
{
    if (!sq_cpu_can(SQ_ISA_C)) {
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qconv),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_reorder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
