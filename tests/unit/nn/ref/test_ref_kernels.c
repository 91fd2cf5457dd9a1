/* tests/unit/nn/ref/test_ref_kernels.c - the reference against formulas, for all geometries;
 * threads, scratch memory, memory taken over, folded activations, layouts. */
#include <math.h>
#include <stdio.h>

#include "nn/ref/ref_fixture.h"

/* One way in which a window can slide. */
typedef struct geometry {
    int64_t n, in_ch, out_ch, group;
    int64_t in[2], kernel[2], stride[2], dilation[2], pads[4];
} geometry;

static const geometry geometries[] = {
    {1, 1, 1, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
    {2, 3, 5, 1, {5, 7}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {1, 4, 9, 1, {6, 17}, {3, 5}, {2, 1}, {1, 2}, {0, 4, 1, 3}},
    {1, 6, 6, 6, {7, 7}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {2, 4, 8, 2, {4, 33}, {2, 4}, {1, 3}, {2, 1}, {2, 0, 0, 5}},
    {1, 2, 4, 1, {2, 2}, {5, 5}, {1, 1}, {1, 1}, {3, 2, 2, 3}},
    {1, 7, 4, 1, {1, 40}, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
};
#define GEOMETRIES (sizeof geometries / sizeof geometries[0])

static void open_window(fixture *f, sq_op op, const geometry *g)
{
    fixture_open(f, op, 1);
    fixture_floats(f, 4, (const int64_t[]){g->n, g->in_ch, g->in[0], g->in[1]}, 11);
    const bool turned = op == SQ_OP_ConvTranspose;
    const int64_t first = turned ? g->in_ch : g->out_ch;
    const int64_t second = (turned ? g->out_ch : g->in_ch) / g->group;
    fixture_floats(f, 4, (const int64_t[]){first, second, g->kernel[0], g->kernel[1]}, 22);
    fixture_floats(f, 1, &g->out_ch, 33);
    assert_true(sq_attr_set_int(&f->attrs, "group", g->group));
    assert_true(sq_attr_set_ints(&f->attrs, "strides", g->stride, 2));
    assert_true(sq_attr_set_ints(&f->attrs, "dilations", g->dilation, 2));
    assert_true(sq_attr_set_ints(&f->attrs, "pads", g->pads, 4));
}

static double at4(const squall_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t index = ((a * t->dims[1] + b) * t->dims[2] + c) * t->dims[3] + d;
    return ((const float *)t->data)[index];
}

/* Each output by the sum that defines it. */
static double conv_at(const fixture *f, const geometry *g, int64_t n, int64_t oc, int64_t oh,
                      int64_t ow)
{
    const int64_t in_group = g->in_ch / g->group, out_group = g->out_ch / g->group;
    double sum = ((const float *)f->in[2].data)[oc];
    for (int64_t c = 0; c < in_group; c++) {
        for (int64_t kh = 0; kh < g->kernel[0]; kh++) {
            for (int64_t kw = 0; kw < g->kernel[1]; kw++) {
                const int64_t h = oh * g->stride[0] + kh * g->dilation[0] - g->pads[0];
                const int64_t w = ow * g->stride[1] + kw * g->dilation[1] - g->pads[1];
                if (h >= 0 && h < g->in[0] && w >= 0 && w < g->in[1]) {
                    sum += at4(&f->in[0], n, oc / out_group * in_group + c, h, w) *
                           at4(&f->in[1], oc, c, kh, kw);
                }
            }
        }
    }
    return sum;
}

/* Each input goes to the outputs that Conv of the same geometry would have taken it from. */
static double transpose_at(const fixture *f, const geometry *g, int64_t n, int64_t oc, int64_t oh,
                           int64_t ow)
{
    const int64_t in_group = g->in_ch / g->group, out_group = g->out_ch / g->group;
    double sum = ((const float *)f->in[2].data)[oc];
    for (int64_t c = 0; c < in_group; c++) {
        const int64_t ic = oc / out_group * in_group + c;
        for (int64_t h = 0; h < g->in[0]; h++) {
            for (int64_t w = 0; w < g->in[1]; w++) {
                const int64_t dh = oh + g->pads[0] - h * g->stride[0];
                const int64_t dw = ow + g->pads[1] - w * g->stride[1];
                if (dh >= 0 && dw >= 0 && dh % g->dilation[0] == 0 && dw % g->dilation[1] == 0 &&
                    dh / g->dilation[0] < g->kernel[0] && dw / g->dilation[1] < g->kernel[1]) {
                    sum +=
                        at4(&f->in[0], n, ic, h, w) * at4(&f->in[1], ic, oc % out_group,
                                                          dh / g->dilation[0], dw / g->dilation[1]);
                }
            }
        }
    }
    return sum;
}

static void test_convolution_by_its_sum(void **state)
{
    (void)state;
    size_t compared = 0;
    for (size_t i = 0; i < 2 * GEOMETRIES; i++) {
        const geometry *g = &geometries[i / 2];
        const sq_op op = i % 2 ? SQ_OP_ConvTranspose : SQ_OP_Conv;
        fixture f;
        open_window(&f, op, g);
        if (sq_op_infer(&f.step, &f.error) != SQUALL_OK) {
            assert_int_equal(op, SQ_OP_ConvTranspose); /* pads may exceed what a transpose makes */
            fixture_close(&f);
            continue;
        }
        fixture_evaluate(&f);
        const int64_t *size = f.out[0].dims;
        for (int64_t n = 0; n < size[0]; n++) {
            for (int64_t c = 0; c < size[1]; c++) {
                for (int64_t h = 0; h < size[2]; h++) {
                    for (int64_t w = 0; w < size[3]; w++, compared++) {
                        const double want =
                            i % 2 ? transpose_at(&f, g, n, c, h, w) : conv_at(&f, g, n, c, h, w);
                        const double got = at4(&f.out[0], n, c, h, w);
                        if (fabs(got - want) > 1e-6 * (1 + fabs(want))) {
                            fail_msg("geometry %zu, %s: %g, not %g", i / 2, sq_op_name(op), got,
                                     want);
                        }
                    }
                }
            }
        }
        fixture_close(&f);
    }
    assert_true(compared > 3000);
}

/* Run through the backend's face, with canaries round the scratch memory. */
static void run_threads(fixture *f, int threads, sq_pool *pool)
{
    enum { GUARD = 64 };
    sq_tactic tactic;
    sq_reason why;
    assert_int_equal(sq_ref_backend.tactics(&f->step, threads, &tactic, &why), 1);
    unsigned char *scratch = sq_alloc_raw(tactic.scratch_bytes + 2 * GUARD, 1);
    assert_non_null(scratch);
    memset(scratch, 0xa5, tactic.scratch_bytes + 2 * GUARD);
    for (uint32_t i = 0; i < f->step.out_count; i++) {
        f->out[i].data = sq_alloc(squall_tensor_bytes(&f->out[i]), 1);
        assert_non_null(f->out[i].data);
    }
    const sq_call call = {.step = &f->step, .scratch = scratch + GUARD, .pool = pool};
    const long allocations = sq_memory_count();
    assert_int_equal(sq_ref_backend.runner(&f->step, &tactic)(&call), SQUALL_OK);
    assert_int_equal(sq_memory_count(), allocations); /* none while running */
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(scratch[i], 0xa5);
        assert_int_equal(scratch[GUARD + tactic.scratch_bytes + i], 0xa5);
    }
    sq_free(scratch);
}

static void open_resize(fixture *f)
{
    fixture_open(f, SQ_OP_Resize, 1);
    fixture_floats(f, 4, (const int64_t[]){1, 3, 9, 14}, 5);
    f->step.in_count = 3;
    const int64_t four = 4;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &four, &f->in[2]));
    memcpy(f->in[2].data, (const float[]){1, 1, 0.4f, 0.31f}, 4 * sizeof(float));
    assert_true(sq_attr_set_string(&f->attrs, "mode", "cubic", 5));
    assert_true(sq_attr_set_int(&f->attrs, "antialias", 1));
}

static void open_pool(fixture *f)
{
    fixture_open(f, SQ_OP_MaxPool, 2);
    fixture_floats(f, 4, (const int64_t[]){2, 3, 9, 8}, 6);
    assert_true(sq_attr_set_ints(&f->attrs, "kernel_shape", (const int64_t[]){3, 2}, 2));
    assert_true(sq_attr_set_ints(&f->attrs, "strides", (const int64_t[]){1, 2}, 2));
}

static void open_product(fixture *f)
{
    fixture_open(f, SQ_OP_MatMul, 1);
    fixture_floats(f, 3, (const int64_t[]){2, 11, 7}, 8);
    fixture_floats(f, 2, (const int64_t[]){7, 5}, 9);
}

static void open_sample(fixture *f)
{
    fixture_open(f, SQ_OP_GridSample, 1);
    fixture_floats(f, 4, (const int64_t[]){2, 3, 5, 6}, 10);
    fixture_floats(f, 4, (const int64_t[]){2, 4, 3, 2}, 11);
}

/* The same bits for any number of threads, and no scratch beyond what was asked for. */
static void test_threads(void **state)
{
    (void)state;
    enum { KINDS = 4 };
    for (size_t kind = 0; kind < KINDS + 2 * GEOMETRIES; kind++) {
        fixture f;
        if (kind >= KINDS) {
            const sq_op op = (kind - KINDS) % 2 ? SQ_OP_ConvTranspose : SQ_OP_Conv;
            open_window(&f, op, &geometries[(kind - KINDS) / 2]);
        } else {
            static void (*const open[KINDS])(fixture *) = {open_resize, open_pool, open_product,
                                                           open_sample};
            open[kind](&f);
        }
        if (sq_op_infer(&f.step, &f.error) != SQUALL_OK) {
            fixture_close(&f);
            continue;
        }
        run_threads(&f, 1, NULL);
        squall_tensor alone[2] = {f.out[0], f.out[1]};
        for (int threads = 2; threads <= 5; threads += 3) {
            sq_pool *pool = NULL;
            assert_int_equal(sq_pool_create(threads, &pool, &f.error), SQUALL_OK);
            run_threads(&f, threads, pool);
            sq_pool_destroy(&pool);
            for (uint32_t i = 0; i < f.step.out_count; i++) {
                assert_memory_equal(alone[i].data, f.out[i].data, squall_tensor_bytes(&alone[i]));
                sq_free(f.out[i].data);
                f.out[i].data = NULL;
            }
        }
        sq_tensor_free(&alone[0]);
        sq_tensor_free(&alone[1]);
        fixture_close(&f);
    }
}

/* What each activation makes of x, by its definition. */
static double activated(int kind, double x)
{
    switch (kind) {
    case SQ_ACT_RELU:
        return fmax(x, 0);
    case SQ_ACT_LEAKY_RELU:
        return x < 0 ? 0.125 * x : x;
    case SQ_ACT_CLIP:
        return fmin(fmax(x, -0.25), 0.5);
    case SQ_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case SQ_ACT_TANH:
        return tanh(x);
    case SQ_ACT_HARD_SIGMOID:
        return fmax(0, fmin(1, 0.25 * x + 0.5));
    case SQ_ACT_HARD_SWISH:
        return x * fmax(0, fmin(1, x / 6 + 0.5));
    case SQ_ACT_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

static const float *params_of(int kind, size_t *count)
{
    static const float slope[] = {0.125f}, limits[] = {-0.25f, 0.5f}, line[] = {0.25f, 0.5f};
    *count = kind == SQ_ACT_LEAKY_RELU                            ? 1
             : kind == SQ_ACT_CLIP || kind == SQ_ACT_HARD_SIGMOID ? 2
                                                                  : 0;
    return kind == SQ_ACT_LEAKY_RELU ? slope : kind == SQ_ACT_CLIP ? limits : line;
}

static void open_epilogue(fixture *f, sq_op op)
{
    if (op == SQ_OP_Conv || op == SQ_OP_ConvTranspose) {
        open_window(f, op, &geometries[1]);
        return;
    }
    fixture_open(f, op, 1);
    fixture_floats(f, 2, (const int64_t[]){6, 7}, 1);
    fixture_floats(f, 2, (const int64_t[]){op == SQ_OP_Gemm ? 7 : 6, 7}, 2);
}

static void test_folded_activations(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Conv, SQ_OP_ConvTranspose, SQ_OP_Gemm, SQ_OP_Add};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        fixture plain;
        open_epilogue(&plain, ops[i]);
        fixture_evaluate(&plain);
        const size_t count = squall_tensor_count(&plain.out[0]);
        for (int kind = SQ_ACT_NONE; kind <= SQ_ACT_SILU; kind++) {
            fixture f;
            size_t param_count;
            open_epilogue(&f, ops[i]);
            const float *params = params_of(kind, &param_count);
            assert_true(sq_attr_set_int(&f.attrs, "sq_activation", kind));
            if (param_count > 0) {
                assert_true(
                    sq_attr_set_floats(&f.attrs, "sq_activation_params", params, param_count));
            }
            fixture_evaluate(&f);
            for (size_t at = 0; at < count; at++) {
                const double want = activated(kind, (double)fixture_result(&plain)[at]);
                if (fabs((double)fixture_result(&f)[at] - want) > 1e-6) {
                    fail_msg("%s with activation %d: %g, not %g", sq_op_name(ops[i]), kind,
                             (double)fixture_result(&f)[at], want);
                }
            }
            fixture_close(&f);
        }
        fixture_close(&plain);
    }
}

/* Where a tactic says that the output may lie on input 0, the result is the same. */
static void test_in_place(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Relu, SQ_OP_Tanh, SQ_OP_Add,     SQ_OP_Sub,
                                SQ_OP_Clip, SQ_OP_Mul,  SQ_OP_Identity};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        const bool two = ops[i] == SQ_OP_Add || ops[i] == SQ_OP_Sub || ops[i] == SQ_OP_Mul;
        fixture f;
        fixture_open(&f, ops[i], 1);
        fixture_floats(&f, 2, (const int64_t[]){37, 19}, 1);
        if (two) {
            fixture_floats(&f, 2, (const int64_t[]){37, 1}, 2);
        }
        fixture_evaluate(&f);
        sq_tactic tactic;
        sq_reason why;
        assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 1);
        assert_int_equal(tactic.in_place, 0);
        squall_tensor apart = f.out[0];
        f.out[0].data = f.in[0].data;
        const sq_call call = {.step = &f.step};
        assert_int_equal(sq_ref_backend.runner(&f.step, &tactic)(&call), SQUALL_OK);
        assert_memory_equal(f.out[0].data, apart.data, squall_tensor_bytes(&apart));
        f.out[0].data = NULL;
        sq_tensor_free(&apart);
        fixture_close(&f);
    }
    fixture f; /* the smaller input is read again and again: it must stay */
    fixture_open(&f, SQ_OP_Add, 1);
    fixture_floats(&f, 1, (const int64_t[]){3}, 1);
    fixture_floats(&f, 2, (const int64_t[]){2, 3}, 2);
    fixture_infer(&f);
    sq_tactic tactic;
    sq_reason why;
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 1);
    assert_int_equal(tactic.in_place, -1);
    fixture_close(&f);
}

/* Move `from` into another layout; `to` is given. */
static void reorder(const squall_tensor *from, squall_layout layout, squall_tensor *to)
{
    fixture f;
    fixture_open(&f, SQ_OP_SqReorder, 1);
    f.in[0] = *from;
    f.step.in_count = 1;
    assert_true(sq_attr_set_int(&f.attrs, "sq_layout", layout));
    fixture_evaluate(&f);
    assert_int_equal(f.out[0].layout, layout);
    *to = f.out[0];
    f.in[0].data = f.out[0].data = NULL;
    fixture_close(&f);
}

static void check_blocks(const squall_tensor *plain, const squall_tensor *blocked, size_t block)
{
    const size_t channels = (size_t)plain->dims[1];
    const size_t blocks = (channels + block - 1) / block;
    size_t plane = 1;
    for (uint32_t i = 2; i < plain->rank; i++) {
        plane *= (size_t)plain->dims[i];
    }
    for (size_t n = 0; n < (size_t)plain->dims[0]; n++) {
        for (size_t c = 0; c < blocks * block; c++) {
            for (size_t at = 0; at < plane; at++) {
                const size_t to = ((n * blocks + c / block) * plane + at) * block + c % block;
                const double want =
                    c < channels ? sq_tensor_get_double(plain, (n * channels + c) * plane + at) : 0;
                assert_true(sq_tensor_get_double(blocked, to) == want);
            }
        }
    }
}

static void test_layouts(void **state)
{
    (void)state;
    static const int64_t channels[] = {1, 5, 8, 16, 17, 33};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        for (uint32_t rank = 2; rank <= 5; rank++) {
            fixture f;
            fixture_open(&f, SQ_OP_Identity, 1);
            const squall_tensor *plain =
                fixture_floats(&f, rank, (const int64_t[]){2, channels[i], 3, 2, 2}, 7);
            squall_tensor c16, c8, back;
            reorder(plain, SQUALL_C16, &c16);
            check_blocks(plain, &c16, 16);
            reorder(&c16, SQUALL_C8, &c8);
            check_blocks(plain, &c8, 8);
            sq_tensor_free(&c16);
            reorder(&c8, SQUALL_C16, &c16);
            check_blocks(plain, &c16, 16);
            reorder(&c16, SQUALL_PLAIN, &back);
            assert_memory_equal(back.data, plain->data, squall_tensor_bytes(plain));
            sq_tensor_free(&back);
            reorder(plain, SQUALL_PLAIN, &back);
            assert_memory_equal(back.data, plain->data, squall_tensor_bytes(plain));
            sq_tensor_free(&c16);
            sq_tensor_free(&c8);
            sq_tensor_free(&back);
            fixture_close(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution_by_its_sum),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_folded_activations),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
