/* tests/unit/nn/cpu/test_cpu_conv.c - convolutions by every tactic, against sums in double. */
#include "cpu_conv_case.h"

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
    /* few outputs: runs shorter and longer than what is added up at once, borders on all sides */
    {1, 64, 9, 37, 2, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 32, 5, 17, 1, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 16, 7, 21, 4, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false},
    {1, 48, 6, 18, 3, 1, {5, 5}, {1, 1}, {1, 1}, {2, 3, 1, 0}, true},
    {1, 16, 2, 3, 2, 1, {3, 7}, {1, 1}, {1, 1}, {4, 6, 4, 6}, true},
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
    {2, 20, 9, 14, 40, 1, {4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 33, 8, 5, 18, 1, {3, 4}, {2, 2}, {1, 1}, {1, 1, 0, 1}, true},
    {1, 6, 5, 6, 8, 1, {5, 5}, {2, 2}, {1, 1}, {2, 2, 1, 2}, true},
    {1, 200, 6, 7, 16, 1, {4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false},
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
        allow_winograd(&p, c, &all_acts[i % ACT_COUNT]);
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
