/* tests/unit/nn/cpu/test_cpu_half.c - steps on tensors in 16 bits, by every tactic, against sums in
 * double of numbers that 16 bits hold exactly; and the conversions themselves. */
#include "cpu_conv_case.h"
#include "nn/cpu/cpu_half.h"

static const squall_dtype halves[] = {SQUALL_F16, SQUALL_BF16};

static uint16_t to_half(squall_dtype dtype, float value)
{
    return dtype == SQUALL_F16 ? sq_float_to_half(value) : sq_float_to_bf16(value);
}

static float from_half(squall_dtype dtype, uint16_t bits)
{
    return dtype == SQUALL_F16 ? sq_half_to_float(bits) : sq_bf16_to_float(bits);
}

/* What rounding to 16 bits may take off a number. */
static double half_unit(squall_dtype dtype, double value)
{
    const double relative = dtype == SQUALL_F16 ? 0x1p-11 : 0x1p-8;
    return relative * fabs(value) + (dtype == SQUALL_F16 ? 0x1p-25 : 0.0);
}

/* ------------------------------------------------------------------ conversions */

/* Every number of 16 bits, and floats of every size that lie on and beside what halves hold. */
static void test_conversions(void **state)
{
    (void)state;
    enum { ALL = 65536, TAIL = 37 };
    const sq_cpu_half *half = sq_cpu_half_pick();
    static uint16_t bits[ALL], back[ALL];
    static float wide[ALL], odd[ALL];
    for (size_t d = 0; d < 2; d++) {
        const bool f16 = halves[d] == SQUALL_F16;
        for (uint32_t i = 0; i < ALL; i++) {
            bits[i] = (uint16_t)i;
        }
        (f16 ? half->widen_f16 : half->widen_bf16)(bits, wide, ALL);
        (f16 ? half->narrow_f16 : half->narrow_bf16)(wide, back, ALL);
        for (uint32_t i = 0; i < ALL; i++) {
            const float right = from_half(halves[d], (uint16_t)i);
            assert_true(isnan(right) ? isnan(wide[i]) : wide[i] == right);
            assert_true(isnan(right) ? isnan(from_half(halves[d], back[i])) : back[i] == i);
            uint32_t seed = i;
            odd[i] =
                isfinite(right) ? nextafterf(right * (1 + 0x1p-12f * seeded(&seed)), 9) : right;
        }
        (f16 ? half->narrow_f16 : half->narrow_bf16)(odd, back, ALL);
        for (uint32_t i = 0; i < ALL; i++) {
            assert_true(isnan(odd[i]) || back[i] == to_half(halves[d], odd[i]));
        }
    }
    for (size_t count = 0; count <= TAIL; count++) { /* and not one more */
        guarded in = guarded_bytes(count * sizeof(uint16_t), true);
        guarded out = guarded_floats(count, true);
        half->widen_f16(in.data, out.data, count);
        half->narrow_f16(out.data, in.data, count);
        half->widen_bf16(in.data, out.data, count);
        half->narrow_bf16(out.data, in.data, count);
        guarded_free(&in);
        guarded_free(&out);
    }
}

/* ------------------------------------------------------------------ steps */

/* The inputs as 16 bits hold them, still in float32: what must come out is worked out of these. */
static void round_inputs(problem *p, squall_dtype dtype)
{
    for (uint32_t i = 0; i < p->step.in_count; i++) {
        float *data = p->in[i].data;
        for (size_t k = 0; p->in[i].dtype == SQUALL_F32 && k < squall_tensor_count(&p->in[i]);
             k++) {
            data[k] = from_half(dtype, to_half(dtype, data[k]));
        }
    }
}

/* The problem in 16 bits, with what rounding the outputs may take off. */
static void halve(problem *p, squall_dtype dtype)
{
    for (uint32_t i = 0; i < p->step.in_count; i++) {
        squall_tensor half;
        if (p->in[i].dtype != SQUALL_F32) {
            continue;
        }
        assert_true(sq_tensor_make(dtype, p->in[i].rank, p->in[i].dims, &half));
        for (size_t k = 0; k < squall_tensor_count(&half); k++) {
            ((uint16_t *)half.data)[k] = to_half(dtype, ((const float *)p->in[i].data)[k]);
        }
        sq_tensor_free(&p->in[i]);
        p->in[i] = half;
    }
    for (uint32_t i = 0; i < p->step.out_count; i++) {
        p->out[i].dtype = dtype;
        for (size_t k = 0; k < squall_tensor_count(&p->out[i]); k++) {
            p->allowed[i][k] += half_unit(dtype, fabs(p->want[i][k]) + p->allowed[i][k]);
            for (size_t w = 0; i == 0 && w < 2 && p->allowed_winograd[w] != NULL; w++) {
                p->allowed_winograd[w][k] +=
                    half_unit(dtype, fabs(p->want[i][k]) + p->allowed_winograd[w][k]);
            }
        }
    }
}

static void drop_winograd(problem *p)
{
    for (size_t w = 0; w < 2; w++) {
        free(p->allowed_winograd[w]);
        p->allowed_winograd[w] = NULL;
    }
}

/* Heights of one band, of several, and of several with a last one that overlaps. */
static const conv_case conv_cases[] = {
    {1, 16, 9, 10, 16, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 20, 70, 11, 35, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 5, 80, 9, 7, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false},
    {1, 32, 66, 8, 2, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 33, 66, 8, 2, 1, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 4, 67, 13, 18, 1, {5, 3}, {1, 2}, {2, 1}, {3, 0, 2, 2}, true},
    {2, 18, 69, 7, 18, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {1, 3, 65, 65, 16, 1, {7, 7}, {1, 1}, {1, 1}, {3, 3, 3, 3}, true},
};

static void test_conv(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t i = 0; i < 2 * sizeof conv_cases / sizeof conv_cases[0]; i++) {
        const conv_case *c = &conv_cases[i / 2];
        const squall_dtype dtype = halves[i % 2];
        const sq_cpu_act *act = &all_acts[i % ACT_COUNT];
        problem p;
        open_conv(&p, c, act);
        drop_winograd(&p);
        round_inputs(&p, dtype);
        expect_conv(&p, c, act);
        if (c->kernel[0] == 3 && c->kernel[1] == 3 && c->group == 1) {
            allow_winograd(&p, c, act);
        }
        halve(&p, dtype);
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

/* A skip and an image of half the size, joined: the sum over both of Conv by weights that pick. */
static void test_join(void **state)
{
    (void)state;
    enum { HEIGHT = 72, WIDTH = 10 };
    const int64_t skip[] = {1, 16, HEIGHT, WIDTH}, low[] = {1, 3, HEIGHT / 2, WIDTH / 2};
    const int64_t weights[] = {5, 19, 3, 3}, scales[] = {1, 2}, pads[] = {1, 1, 1, 1};
    for (size_t d = 0; d < 2; d++) {
        problem p, q;
        problem_open(&p, SQ_OP_SqConvJoin, 1);
        assert_true(sq_attr_set_ints(&p.attrs, "pads", pads, 4));
        assert_true(sq_attr_set_ints(&p.attrs, "sq_upsample", scales, 2));
        problem_input(&p, 4, skip, false);
        problem_input(&p, 4, weights, true);
        problem_input(&p, 1, weights, true);
        problem_input(&p, 4, low, false);
        problem_infer(&p);
        round_inputs(&p, halves[d]);
        const conv_case whole = {1,      19,     HEIGHT, WIDTH,        5,   1,
                                 {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true};
        open_conv(&q, &whole, &all_acts[0]);
        float *joined = q.in[0].data;
        for (int64_t i = 0; i < (int64_t)squall_tensor_count(&q.in[0]); i++) {
            const int64_t x = i % WIDTH, y = i / WIDTH % HEIGHT, c = i / WIDTH / HEIGHT;
            joined[i] = c < 16 ? at(&p.in[0], 0, c, y, x) : at(&p.in[3], 0, c - 16, y / 2, x / 2);
        }
        for (uint32_t i = 1; i < 3; i++) {
            memcpy(q.in[i].data, p.in[i].data, squall_tensor_bytes(&p.in[i]));
        }
        drop_winograd(&q);
        expect_conv(&q, &whole, &all_acts[0]);
        allow_winograd(&q, &whole, &all_acts[0]);
        for (int64_t i = 0; i < (int64_t)squall_tensor_count(&p.out[0]); i++) {
            p.want[0][i] = q.want[0][i];
            p.allowed[0][i] =
                fmax(q.allowed[0][i], fmax(q.allowed_winograd[0][i], q.allowed_winograd[1][i]));
        }
        halve(&p, halves[d]);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);
        problem_close(&q);
    }
}

/* Max-pooling in bands, and with padding, for which there are none. */
static void test_pool(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 9, 71, 6}, two[] = {2, 2};
    for (size_t i = 0; i < 4; i++) {
        const int64_t pad = (int64_t)(i / 2), pads[] = {pad, pad, pad, pad};
        problem p;
        problem_open(&p, SQ_OP_MaxPool, 1);
        assert_true(sq_attr_set_ints(&p.attrs, "kernel_shape", two, 2));
        assert_true(sq_attr_set_ints(&p.attrs, "strides", two, 2));
        assert_true(sq_attr_set_ints(&p.attrs, "pads", pads, 4));
        problem_input(&p, 4, dims, false);
        problem_infer(&p);
        round_inputs(&p, halves[i % 2]);
        const squall_tensor *out = &p.out[0];
        for (int64_t k = 0; k < (int64_t)squall_tensor_count(out); k++) {
            const int64_t x = k % out->dims[3], y = k / out->dims[3] % out->dims[2];
            const int64_t plane = k / out->dims[3] / out->dims[2];
            p.want[0][k] = -INFINITY;
            for (int64_t t = 0; t < 4; t++) {
                const int64_t row = 2 * y - pad + t / 2, column = 2 * x - pad + t % 2;
                if (row >= 0 && row < dims[2] && column >= 0 && column < dims[3]) {
                    p.want[0][k] =
                        fmax(p.want[0][k], (double)at(&p.in[0], plane / 9, plane % 9, row, column));
                }
            }
        }
        for (size_t k = 0; k < squall_tensor_count(out); k++) {
            p.allowed[0][k] = 0; /* a number of the input: nothing is rounded */
        }
        halve(&p, halves[i % 2]);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);
    }
}

/* Sums and products, of images and of a number a channel; activations. */
static void test_rows(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Relu, SQ_OP_Sigmoid, SQ_OP_Add, SQ_OP_Mul};
    const int64_t dims[] = {2, 18, 68, 5}, one[] = {2, 18, 1, 1};
    for (size_t i = 0; i < 16; i++) {
        const sq_op op = ops[i / 4];
        const squall_dtype dtype = halves[i % 2];
        const bool two = op == SQ_OP_Add || op == SQ_OP_Mul, gate = i / 2 % 2 == 1;
        problem p;
        problem_open(&p, op, 1);
        problem_input(&p, 4, dims, false);
        if (two) {
            problem_input(&p, 4, gate ? one : dims, false);
        }
        problem_infer(&p);
        round_inputs(&p, dtype);
        for (size_t k = 0; k < squall_tensor_count(&p.out[0]); k++) {
            const double a = (double)((const float *)p.in[0].data)[k];
            const double b =
                two ? (double)((const float *)p.in[1].data)[gate ? k / (68 * 5) : k] : 0.0;
            p.want[0][k] = op == SQ_OP_Relu      ? fmax(a, 0)
                           : op == SQ_OP_Sigmoid ? 1 / (1 + exp(-a))
                           : op == SQ_OP_Add     ? a + b
                                                 : a * b;
            p.allowed[0][k] = 1e-6;
        }
        halve(&p, dtype);
        assert_true(check_problem(&p) > 0);
        problem_close(&p);
    }
}

/* To 16 bits and back: exactly the rounding of the reference. */
static void test_cast(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 3, 7, 9};
    for (size_t i = 0; i < 4; i++) {
        const squall_dtype dtype = halves[i % 2];
        problem p;
        problem_open(&p, SQ_OP_Cast, 1);
        assert_true(sq_attr_set_int(&p.attrs, "to", i < 2 ? dtype : SQUALL_F32));
        problem_input(&p, 4, dims, false);
        problem_infer(&p);
        for (size_t k = 0; k < squall_tensor_count(&p.in[0]); k++) {
            const float value = ((const float *)p.in[0].data)[k];
            p.want[0][k] = (double)from_half(dtype, to_half(dtype, value));
        }
        if (i >= 2) {
            round_inputs(&p, dtype);
            halve(&p, dtype);
            p.out[0].dtype = SQUALL_F32;
        }
        assert_true(check_problem(&p) > 0);
        problem_close(&p);
    }
}

/* A tactic by a name that is another step's, or in another type, is refused in words. */
static void test_refusals(void **state)
{
    (void)state;
    static const char *const names[] = {"conv_direct_c", "conv_direct_c_bf16", "_f16", "x_f16", ""};
    squall_error err = {.code = SQUALL_OK};
    problem p;
    open_conv(&p, &conv_cases[0], &all_acts[0]);
    halve(&p, SQUALL_F16);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sq_tactic tactic;
        assert_int_equal(sq_cpu_backend.restore(&p.step, names[i], 2, &tactic, &err),
                         SQUALL_E_MISMATCH);
        assert_non_null(strstr(err.text, "has no tactic"));
    }
    problem_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_conv),
        cmocka_unit_test(test_join),        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
