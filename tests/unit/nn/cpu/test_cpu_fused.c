/* tests/unit/nn/cpu/test_cpu_fused.c - operators that are several in one, by every tactic, against
 * sums in double. */
#include "cpu_conv_case.h"

/* ------------------------------------------------------------------ SqConvJoin */

enum { MOST_SOURCES = 3 };

typedef struct join_case {
    int64_t batch, height, width, outputs; /* of the whole */
    int64_t channels[MOST_SOURCES], scale[MOST_SOURCES];
    int64_t pads[4];
    int sources;
} join_case;

static const join_case join_cases[] = {
    {1, 12, 16, 16, {16, 16}, {1, 1}, {1, 1, 1, 1}, 2},
    {1, 8, 10, 24, {32, 7}, {2, 1}, {1, 1, 1, 1}, 2},
    {2, 14, 22, 33, {16, 32, 5}, {2, 1, 2}, {1, 1, 1, 1}, 3},
    {1, 26, 18, 9, {20}, {2}, {1, 1, 1, 1}, 1},
    {1, 9, 11, 16, {16, 3}, {1, 1}, {0, 2, 1, 0}, 2},
    {1, 6, 4, 40, {192, 16}, {2, 1}, {1, 1, 1, 1}, 2},
    {1, 2, 2, 16, {16, 16}, {2, 1}, {1, 1, 1, 1}, 2},
};

/* What the sources make, as input 0 of a plain convolution. */
static void join_sources(const problem *from, const join_case *c, const squall_tensor *whole)
{
    float *to = whole->data;
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(whole); i++) {
        const int64_t x = i % c->width, y = i / c->width % c->height;
        int64_t ch = i / (c->width * c->height) % whole->dims[1], source = 0;
        const int64_t n = i / (c->width * c->height) / whole->dims[1];
        while (ch >= c->channels[source]) {
            ch -= c->channels[source++];
        }
        to[i] = at(&from->in[source == 0 ? 0 : source + 2], n, ch, y / c->scale[source],
                   x / c->scale[source]);
    }
}

static void source_shape(const join_case *c, int source, int64_t *dims)
{
    dims[0] = c->batch;
    dims[1] = c->channels[source];
    dims[2] = c->height / c->scale[source];
    dims[3] = c->width / c->scale[source];
}

/* What a Conv of the whole must give is what the problem must. */
static void expect_join(problem *p, const join_case *c, const sq_cpu_act *act)
{
    conv_case plain = {.batch = c->batch,
                       .height = c->height,
                       .width = c->width,
                       .outputs = c->outputs,
                       .group = 1,
                       .kernel = {3, 3},
                       .stride = {1, 1},
                       .dilation = {1, 1},
                       .bias = true};
    problem q;
    memcpy(plain.pads, c->pads, sizeof plain.pads);
    for (int i = 0; i < c->sources; i++) {
        plain.channels += c->channels[i];
    }
    problem_open(&q, SQ_OP_Conv, 1);
    set_window(&q, &plain);
    problem_input(&q, 4, (int64_t[]){c->batch, plain.channels, c->height, c->width}, false);
    join_sources(p, c, &q.in[0]);
    for (uint32_t i = 1; i < 3; i++) {
        assert_true(sq_tensor_copy(&p->in[i], &q.in[i]));
        q.constant[i] = true;
    }
    q.step.in_count = 3;
    problem_infer(&q);
    expect_conv(&q, &plain, act);
    allow_winograd(&q, &plain, act);
    const size_t bytes = squall_tensor_count(&q.out[0]) * sizeof(double);
    memcpy(p->want[0], q.want[0], bytes);
    memcpy(p->allowed[0], q.allowed[0], bytes);
    memcpy(p->allowed_winograd, q.allowed_winograd, sizeof p->allowed_winograd);
    memset(q.allowed_winograd, 0, sizeof q.allowed_winograd);
    problem_close(&q);
}

static void test_join(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t i = 0; i < sizeof join_cases / sizeof join_cases[0]; i++) {
        const join_case *c = &join_cases[i];
        const sq_cpu_act *act = &all_acts[i % ACT_COUNT];
        int64_t dims[4], channels = 0;
        problem p;
        problem_open(&p, SQ_OP_SqConvJoin, 1);
        problem_act(&p, act);
        assert_true(sq_attr_set_ints(&p.attrs, "pads", c->pads, 4));
        assert_true(sq_attr_set_ints(&p.attrs, "sq_upsample", c->scale, (size_t)c->sources));
        for (int k = 0; k < c->sources; k++) {
            channels += c->channels[k];
        }
        source_shape(c, 0, dims);
        problem_input(&p, 4, dims, false);
        problem_input(&p, 4, (int64_t[]){c->outputs, channels, 3, 3}, true);
        problem_input(&p, 1, &c->outputs, true);
        for (int k = 1; k < c->sources; k++) {
            source_shape(c, k, dims);
            problem_input(&p, 4, dims, false);
        }
        problem_infer(&p);
        expect_join(&p, c, act);
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

/* ------------------------------------------------------------------ SqConvDepth */

typedef struct pair_case {
    conv_case first; /* `outputs` are those between the two */
    int64_t outputs;
} pair_case;

static const pair_case pair_cases[] = {
    {{1, 16, 9, 10, 16, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, 24},
    {{2, 12, 19, 21, 24, 12, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, 16},
    {{1, 35, 17, 5, 35, 35, {5, 3}, {2, 1}, {1, 2}, {2, 2, 2, 2}, true}, 33},
    {{1, 5, 3, 4, 15, 5, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, 3},
    {{1, 40, 6, 90, 80, 40, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, 40},
    {{1, 96, 4, 70, 192, 96, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, 16},
    {{1, 8, 2, 2, 8, 8, {7, 7}, {1, 1}, {1, 1}, {3, 3, 3, 3}, true}, 8},
    {{1, 4, 5, 6, 8, 4, {3, 3}, {1, 1}, {1, 1}, {4, 0, 0, 4}, true}, 9},
};

static void expect_pair(problem *p, const pair_case *c, const sq_cpu_act *first,
                        const sq_cpu_act *second)
{
    conv_case depth = c->first;
    problem q;
    problem_open(&q, SQ_OP_Conv, 1);
    set_window(&q, &depth);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(sq_tensor_copy(&p->in[i], &q.in[i]));
    }
    q.step.in_count = 3;
    problem_infer(&q);
    expect_conv(&q, &depth, first);
    const int64_t middle = c->first.outputs, pixels = q.out[0].dims[2] * q.out[0].dims[3];
    for (int64_t i = 0; i < (int64_t)squall_tensor_count(&p->out[0]); i++) {
        const int64_t at = i % pixels, k = i / pixels % c->outputs, n = i / pixels / c->outputs;
        double sum = (double)((const float *)p->in[4].data)[k], magnitude = fabs(sum), apart = 0;
        for (int64_t ch = 0; ch < middle; ch++) {
            const double w = (double)((const float *)p->in[3].data)[k * middle + ch];
            const int64_t from = (n * middle + ch) * pixels + at;
            sum += w * q.want[0][from];
            magnitude += fabs(w * q.want[0][from]);
            apart += fabs(w) * (q.allowed[0][from] + UNIT * fabs(q.want[0][from]));
        }
        p->want[0][i] = act_double(second, sum);
        p->allowed[0][i] =
            act_allowed(second, sum, ((double)middle + 2) * UNIT * magnitude + apart);
    }
    problem_close(&q);
}

static void test_pair(void **state)
{
    (void)state;
    long ran = 0;
    for (size_t i = 0; i < sizeof pair_cases / sizeof pair_cases[0]; i++) {
        const pair_case *c = &pair_cases[i];
        const conv_case *f = &c->first;
        const sq_cpu_act *first = &all_acts[i % 4], *second = &all_acts[(i + 3) % ACT_COUNT];
        const float params[2] = {first->a, first->b};
        problem p;
        problem_open(&p, SQ_OP_SqConvDepth, 1);
        set_window(&p, f);
        problem_act(&p, second);
        assert_true(sq_attr_set_int(&p.attrs, "sq_first_activation", first->kind));
        assert_true(sq_attr_set_floats(&p.attrs, "sq_first_activation_params", params, 2));
        problem_input(&p, 4, (int64_t[]){f->batch, f->channels, f->height, f->width}, false);
        problem_input(&p, 4, (int64_t[]){f->outputs, 1, f->kernel[0], f->kernel[1]}, true);
        problem_input(&p, 1, &f->outputs, true);
        problem_input(&p, 4, (int64_t[]){c->outputs, f->outputs, 1, 1}, true);
        problem_input(&p, 1, &c->outputs, true);
        problem_infer(&p);
        expect_pair(&p, c, first, second);
        ran += check_problem(&p);
        problem_close(&p);
    }
    assert_true(ran > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
