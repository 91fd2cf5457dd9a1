/* tests/unit/nn/cpu/test_cpu_conv.c - convolutions by every tactic, against sums in double. */
#include "cpu_problem.h"

typedef struct conv_case {
    int64_t batch, channels, height, width, outputs, group;
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    bool bias;
} conv_case;

static const conv_case conv_cases[] = {
    /* the plain 3x3, at sizes around tiles and blocks of channels */
    {1, 16, 12, 16, 16, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 8, 1, 1, 8, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 17, 5, 3, 33, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 32, 9, 31, 48, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false},
    {3, 5, 13, 2, 3, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 40, 33, 17, 65, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 130, 26, 27, 40, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 200, 7, 10, 34, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 3, 49, 50, 9, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    /* 3x3 without pads, with one-sided pads, with more pad than kernel */
    {1, 16, 10, 11, 16, 1, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 16, 7, 9, 20, 1, {3, 3}, {1, 1}, {1, 1}, {0, 2, 1, 0}, true},
    {1, 9, 4, 6, 16, 1, {3, 3}, {1, 1}, {1, 1}, {3, 0, 0, 5}, true},
    {1, 16, 3, 3, 16, 1, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false},
    /* other kernels, strides, dilations */
    {1, 12, 9, 30, 24, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 7, 11, 13, 5, 1, {5, 3}, {1, 1}, {1, 1}, {2, 1, 2, 1}, true},
    {2, 3, 15, 17, 10, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 20, 14, 19, 18, 1, {3, 3}, {1, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 4, 16, 16, 16, 1, {3, 3}, {3, 3}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 16, 15, 14, 16, 1, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, true},
    {1, 6, 12, 20, 4, 1, {2, 4}, {2, 1}, {1, 3}, {1, 0, 0, 4}, true},
    {1, 2, 8, 9, 1, 1, {7, 7}, {1, 1}, {1, 1}, {3, 3, 3, 3}, false},
    /* depthwise, with multipliers */
    {1, 16, 9, 10, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 12, 19, 21, 24, 12, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 35, 17, 5, 35, 35, {5, 3}, {2, 1}, {1, 2}, {2, 2, 2, 2}, false},
    {1, 5, 3, 4, 15, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
};

static void set_window(problem *p, const conv_case *c)
{
    assert_true(sq_attr_set_ints(&p->attrs, "strides", c->stride, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "dilations", c->dilation, 2));
    assert_true(sq_attr_set_ints(&p->attrs, "pads", c->pads, 4));
    assert_true(sq_attr_set_int(&p->attrs, "group", c->group));
}

static float at(const squall_tensor *t, int64_t n, int64_t c, int64_t y, int64_t x)
{
    if (y < 0 || x < 0 || y >= t->dims[2] || x >= t->dims[3]) {
        return 0.0f;
    }
    return ((const float *)t->data)[((n * t->dims[1] + c) * t->dims[2] + y) * t->dims[3] + x];
}

/* Set what output (n, k, y, x) must be. */
static void expect(problem *p, const sq_cpu_act *act, int64_t n, int64_t k, int64_t y, int64_t x,
                   double sum, double magnitude, int64_t terms)
{
    const int64_t *dims = p->out[0].dims;
    const size_t i = (size_t)(((n * dims[1] + k) * dims[2] + y) * dims[3] + x);
    p->want[0][i] = act_double(act, sum);
    p->allowed[0][i] = act_allowed(act, sum, ((double)terms + 2) * UNIT * magnitude);
}

static double bias_of(const problem *p, int64_t k)
{
    return p->step.in_count > 2 ? (double)((const float *)p->in[2].data)[k] : 0.0;
}

static void expect_conv(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const squall_tensor *in = &p->in[0], *w = &p->in[1], *out = &p->out[0];
    const int64_t per_group = c->channels / c->group, outputs = c->outputs / c->group;
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(out); i++) {
        const int64_t x = i % out->dims[3], y = i / out->dims[3] % out->dims[2];
        const int64_t k = i / (out->dims[3] * out->dims[2]) % c->outputs;
        const int64_t n = i / (out->dims[3] * out->dims[2]) / c->outputs;
        double sum = bias_of(p, k), magnitude = fabs(sum);
        for (int64_t ch = 0; ch < per_group; ch++) {
            for (int64_t ty = 0; ty < c->kernel[0]; ty++) {
                for (int64_t tx = 0; tx < c->kernel[1]; tx++) {
                    const double term =
                        (double)at(w, k, ch, ty, tx) *
                        (double)at(in, n, k / outputs * per_group + ch,
                                   y * c->stride[0] - c->pads[0] + ty * c->dilation[0],
                                   x * c->stride[1] - c->pads[1] + tx * c->dilation[1]);
                    sum += term;
                    magnitude += fabs(term);
                }
            }
        }
        expect(p, act, n, k, y, x, sum, magnitude, per_group * c->kernel[0] * c->kernel[1]);
    }
}

/* What Winograd's F(4x4, 3x3) may be off by: its rounding bound. Each result is a sum of products
 * of sums; with absolute values in the place of all factors the same sum bounds every term, and no
 * path from a number to a result has more roundings than the channels and what the three transforms
 * take: 8 for the input, 10 for the weights, 8 for the output, in two dimensions each. */
static const double abs_input[6][6] = {{1, 1.5, 2, 1.5, 1, 0}, {0, 1, 0.5, 2.5, 1, 0},
                                       {0, 1, 2.5, 0.5, 1, 0}, {0, 2, 1, 2, 1, 0},
                                       {0, 0.5, 1, 0.5, 1, 0}, {0, 1, 1.5, 2, 1.5, 1}};
static const double abs_weights[6][3] = {{1, 0, 0},
                                         {1 / 3.0, 1 / 3.0, 1 / 3.0},
                                         {1 / 3.0, 1 / 3.0, 1 / 3.0},
                                         {16 / 15.0, 8 / 15.0, 4 / 15.0},
                                         {1 / 15.0, 2 / 15.0, 4 / 15.0},
                                         {0, 0, 1}};
static const double abs_output[4][6] = {{1, 1, 1, 1, 1, 0},
                                        {0, 1, 1, 0.5, 2, 0},
                                        {0, 1, 1, 0.25, 4, 0},
                                        {0, 1, 1, 0.125, 8, 1}};

/* Sums of absolute values at the 36 points, of one tile of one output channel. */
static void bound_points(const problem *p, const conv_case *c, int64_t n, int64_t k, int64_t y,
                         int64_t x, double points[6][6])
{
    memset(points, 0, 36 * sizeof(double));
    for (int64_t ch = 0; ch < c->channels; ch++) {
        for (int64_t i = 0; i < 36; i++) {
            double input = 0, weight = 0;
            for (int64_t j = 0; j < 36; j++) {
                input += abs_input[i / 6][j / 6] * abs_input[i % 6][j % 6] *
                         fabs((double)at(&p->in[0], n, ch, y - c->pads[0] + j / 6,
                                         x - c->pads[1] + j % 6));
            }
            for (int64_t j = 0; j < 9; j++) {
                weight += abs_weights[i / 6][j / 3] * abs_weights[i % 6][j % 3] *
                          fabs((double)at(&p->in[1], k, ch, j / 3, j % 3));
            }
            points[i / 6][i % 6] += input * weight;
        }
    }
}

static void allow_winograd(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const int64_t *dims = p->out[0].dims;
    const double roundings = (double)c->channels + 2 * (8 + 10 + 8) + 2;
    p->allowed_winograd = calloc(squall_tensor_count(&p->out[0]), sizeof(double));
    assert_non_null(p->allowed_winograd);
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(&p->out[0]); i++) {
        const int64_t x = i % dims[3], y = i / dims[3] % dims[2];
        const int64_t k = i / (dims[3] * dims[2]) % dims[1], n = i / (dims[3] * dims[2]) / dims[1];
        double points[6][6], magnitude = fabs(bias_of(p, k));
        if (x % 4 != 0 || y % 4 != 0) {
            continue;
        }
        bound_points(p, c, n, k, y, x, points);
        for (int64_t t = 0; t < 16; t++) {
            const int64_t yy = y + t / 4, xx = x + t % 4;
            double sum = magnitude;
            for (int64_t j = 0; j < 36; j++) {
                sum += abs_output[t / 4][j / 6] * abs_output[t % 4][j % 6] * points[j / 6][j % 6];
            }
            if (yy < dims[2] && xx < dims[3]) {
                const int64_t o = ((n * dims[1] + k) * dims[2] + yy) * dims[3] + xx;
                p->allowed_winograd[o] = act_allowed(act, p->want[0][o], roundings * UNIT * sum);
            }
        }
    }
}

static void open_conv(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const int64_t in[4] = {c->batch, c->channels, c->height, c->width};
    const int64_t weights[4] = {c->outputs, c->channels / c->group, c->kernel[0], c->kernel[1]};
    problem_open(p, SQ_OP_Conv, 1);
    p->seed += (uint32_t)(c->height * 31 + c->width);
    set_window(p, c);
    problem_act(p, act);
    problem_input(p, 4, in, false);
    problem_input(p, 4, weights, true);
    if (c->bias) {
        problem_input(p, 1, &c->outputs, true);
    }
    problem_infer(p);
    expect_conv(p, c, act);
    if (c->kernel[0] == 3 && c->kernel[1] == 3 && c->group == 1) {
        allow_winograd(p, c, act);
    }
}

static void test_conv(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t i = 0; i < sizeof conv_cases / sizeof conv_cases[0]; i++) {
        problem p;
        open_conv(&p, &conv_cases[i], &all_acts[i % ACT_COUNT]);
        ran += check_problem(&p);
        problem_close(&p);
    }
    print_message("%ld runs on %s\n", ran, sq_cpu_pick()->name);
    assert_true(ran > (long)(2 * sizeof conv_cases / sizeof conv_cases[0])); /* several tactics */
}

/* Every activation behind one dense and one depthwise convolution. */
static void test_activations(void **state)
{
    (void)state;
    const conv_case dense = {1, 9, 6, 15, 18, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true};
    const conv_case depth = {1, 18, 6, 15, 18, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true};
    long ran = 0;
    for (size_t a = 0; a < ACT_COUNT; a++) {
        for (int d = 0; d < 2; d++) {
            problem p;
            open_conv(&p, d ? &depth : &dense, &all_acts[a]);
            ran += check_problem(&p);
            problem_close(&p);
        }
    }
    assert_true(ran > 0);
}

/* ------------------------------------------------------------------ transposed */

static const conv_case transposed_cases[] = {
    {1, 16, 7, 9, 16, 1, {4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 5, 6, 3, 20, 1, {2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 17, 4, 8, 3, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false},
    {1, 8, 5, 5, 9, 1, {3, 5}, {1, 3}, {1, 1}, {1, 2, 0, 1}, true},
    {1, 3, 1, 1, 2, 1, {4, 4}, {4, 4}, {1, 1}, {0, 0, 0, 0}, true},
};

static void expect_transposed(problem *p, const conv_case *c, const sq_cpu_act *act)
{
    const squall_tensor *in = &p->in[0], *w = &p->in[1], *out = &p->out[0];
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(out); i++) {
        const int64_t x = i % out->dims[3], y = i / out->dims[3] % out->dims[2];
        const int64_t k = i / (out->dims[3] * out->dims[2]) % c->outputs;
        const int64_t n = i / (out->dims[3] * out->dims[2]) / c->outputs;
        double sum = bias_of(p, k), magnitude = fabs(sum);
        for (int64_t ty = 0; ty < c->kernel[0]; ty++) {
            for (int64_t tx = 0; tx < c->kernel[1]; tx++) {
                /* input (iy, ix) is spread to iy * stride - pad + tap */
                const int64_t iy = y + c->pads[0] - ty, ix = x + c->pads[1] - tx;
                if (iy % c->stride[0] != 0 || ix % c->stride[1] != 0) {
                    continue;
                }
                for (int64_t ch = 0; ch < c->channels; ch++) {
                    const double term = (double)at(w, ch, k, ty, tx) *
                                        (double)at(in, n, ch, iy / c->stride[0], ix / c->stride[1]);
                    sum += term;
                    magnitude += fabs(term);
                }
            }
        }
        expect(p, act, n, k, y, x, sum, magnitude, c->channels * c->kernel[0] * c->kernel[1]);
    }
}

static void test_transposed(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t i = 0; i < sizeof transposed_cases / sizeof transposed_cases[0]; i++) {
        const conv_case *c = &transposed_cases[i];
        const int64_t in[4] = {c->batch, c->channels, c->height, c->width};
        const int64_t weights[4] = {c->channels, c->outputs, c->kernel[0], c->kernel[1]};
        problem p;
        problem_open(&p, SQ_OP_ConvTranspose, 1);
        set_window(&p, c);
        problem_act(&p, &all_acts[i % ACT_COUNT]);
        problem_input(&p, 4, in, false);
        problem_input(&p, 4, weights, true);
        if (c->bias) {
            problem_input(&p, 1, &c->outputs, true);
        }
        problem_infer(&p);
        expect_transposed(&p, c, &all_acts[i % ACT_COUNT]);
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

/* What no kernel takes is refused with a reason, not computed wrongly. */
static void test_refused(void **state)
{
    (void)state;
    const conv_case grouped = {1, 8, 5, 5, 8, 2, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false};
    sq_tactic tactics[SQ_MAX_TACTICS];
    sq_reason why = {""};
    problem p;
    open_conv(&p, &grouped, &all_acts[0]);
    assert_int_equal(sq_cpu_backend.tactics(&p.step, 1, tactics, &why), 0);
    assert_true(why.text[0] != '\0');
    assert_true(sq_attr_set_int(&p.attrs, "sq_activation", 99));
    assert_int_equal(sq_cpu_backend.tactics(&p.step, 1, tactics, &why), 0);
    assert_non_null(strstr(why.text, "activation"));
    problem_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
