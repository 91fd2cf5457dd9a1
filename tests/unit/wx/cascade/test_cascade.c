/* tests/unit/wx/cascade/test_cascade.c - transforms against the sum that defines them, noise
 * against its moments, levels against the whole, matching against sorting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wx/cascade/cascade.h"
#include "wx/cascade/cascade_kernels.h"

#define PI 3.14159265358979323846

/* A value that looks random and is the same everywhere: -0.5 to 0.5. */
static float value_at(size_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, 0, 0, 0}, key[2] = {7, 0};
    uint32_t words[4];
    sq_philox(counter, key, words);
    return (float)((double)words[0] / 4294967296.0 - 0.5);
}

typedef struct spectrum {
    sq_fft *fft;
    float *values, *re, *im, *scratch;
    size_t cells;
} spectrum;

static spectrum make(size_t width, size_t height)
{
    spectrum s = {.cells = width * height};
    assert_int_equal(sq_fft_create(width, height, &s.fft, NULL), SQUALL_OK);
    s.values = sq_alloc(s.cells, sizeof(float));
    s.re = sq_alloc(sq_fft_plane(s.fft), sizeof(float));
    s.im = sq_alloc(sq_fft_plane(s.fft), sizeof(float));
    s.scratch = sq_alloc(sq_fft_scratch(s.fft), sizeof(float));
    assert_true(s.values != NULL && s.re != NULL && s.im != NULL && s.scratch != NULL);
    for (size_t i = 0; i < s.cells; i++) {
        s.values[i] = value_at(i);
    }
    return s;
}

static void release(spectrum *s)
{
    sq_free(s->values);
    sq_free(s->re);
    sq_free(s->im);
    sq_free(s->scratch);
    sq_fft_destroy(&s->fft);
    assert_null(s->fft);
}

/* Every factor, odd and even sides, fewer and more rows than lanes. */
static void test_fft(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {2, 3},   {7, 5},   {16, 1},  {1, 33},
                                      {34, 19}, {33, 40}, {13, 11}, {36, 17}, {64, 35}};
    for (size_t t = 0; t < sizeof sizes / sizeof sizes[0]; t++) {
        const size_t width = sizes[t][0], height = sizes[t][1];
        spectrum s = make(width, height);
        const size_t stride = sq_fft_stride(s.fft);
        assert_int_equal(sq_fft_columns(s.fft), width / 2 + 1);
        sq_fft_forward(s.fft, s.values, s.re, s.im, s.scratch);
        /* Each of log2(cells) steps rounds once or twice; the values' size is 0.5 at most. */
        const double bound = 3e-7 * (double)s.cells;
        for (size_t l = 0; l < height; l++) {
            for (size_t k = 0; k < width / 2 + 1; k++) {
                double re = 0, im = 0;
                for (size_t i = 0; i < s.cells; i++) {
                    const double angle = -2 * PI *
                                         ((double)(l * (i / width)) / (double)height +
                                          (double)(k * (i % width)) / (double)width);
                    re += (double)s.values[i] * cos(angle);
                    im += (double)s.values[i] * sin(angle);
                }
                assert_true(fabs(re - (double)s.re[l * stride + k]) <= bound + 1e-6);
                assert_true(fabs(im - (double)s.im[l * stride + k]) <= bound + 1e-6);
            }
            for (size_t k = width / 2 + 1; k < stride; k++) {
                assert_true(s.re[l * stride + k] == 0.0f && s.im[l * stride + k] == 0.0f);
            }
        }
        float *back = sq_alloc(s.cells, sizeof *back);
        assert_non_null(back);
        sq_fft_inverse(s.fft, s.re, s.im, back, s.scratch);
        for (size_t i = 0; i < s.cells; i++) {
            assert_true(fabs((double)back[i] / (double)s.cells - (double)s.values[i]) <= 1e-6);
        }
        sq_free(back);
        release(&s);
    }
}

/* Of a spectrum that no real values have, the part counts that they may have. */
static void test_fft_symmetry(void **state)
{
    (void)state;
    spectrum s = make(6, 4);
    const size_t stride = sq_fft_stride(s.fft);
    memset(s.re, 0, sq_fft_plane(s.fft) * sizeof(float));
    memset(s.im, 0, sq_fft_plane(s.fft) * sizeof(float));
    s.re[stride] = 2.0f; /* row 1, column 0, without its mirror image in row 3 */
    sq_fft_inverse(s.fft, s.re, s.im, s.values, s.scratch);
    for (size_t i = 0; i < s.cells; i++) {
        assert_true(fabs((double)s.values[i] - 2.0 * cos(PI / 2 * (double)(i / 6))) < 1e-6);
    }
    release(&s);
}

static void test_fft_sizes(void **state)
{
    (void)state;
    sq_fft *fft = NULL;
    squall_error err = {0};
    assert_int_equal(sq_fft_length(0), 1);
    assert_int_equal(sq_fft_length(700), 700);
    assert_int_equal(sq_fft_length(765), 765);
    assert_int_equal(sq_fft_length(23), 24);
    assert_int_equal(sq_fft_create(23, 8, &fft, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "23x8"));
    assert_int_equal(sq_fft_create(0, 8, &fft, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_fft_create(8, (size_t)1 << 17, &fft, &err), SQUALL_E_ARGUMENT);
    for (long n = 0; n < 2; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(sq_fft_create(8, 8, &fft, &err), SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
        assert_null(fft);
    }
    sq_fft_destroy(&fft);
    sq_fft_destroy(NULL);
}

/* Known answers: kat_vectors of Random123 1.09 (github.com/DEShawResearch/random123), lines
 * "philox4x32 10". */
static void test_philox(void **state)
{
    (void)state;
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1}};
    for (size_t t = 0; t < 3; t++) {
        uint32_t out[4];
        sq_philox(cases[t], cases[t] + 4, out);
        assert_memory_equal(out, cases[t] + 6, sizeof out);
    }
}

/* Tables of the instruction sets that this host has. */
static size_t tables(const sq_cascade_kernels *out[3])
{
    size_t count = 0;
    out[count++] = &sq_cascade_kernels_c;
#if defined(__x86_64__)
    if (sq_cpu_can(SQ_ISA_AVX2)) {
        out[count++] = &sq_cascade_kernels_avx2;
    }
    if (sq_cpu_can(SQ_ISA_AVX512)) {
        out[count++] = &sq_cascade_kernels_avx512;
    }
#endif
    return count;
}

/* The noise is that of the scalar Philox, normal in its moments, and the same bits everywhere. */
static void test_noise(void **state)
{
    (void)state;
    enum { CELLS = 1 << 16 };
    const sq_cascade_kernels *all[3];
    const size_t count = tables(all);
    const uint32_t key[2] = {11, 12};
    float *memory = sq_alloc((size_t)CELLS * 5, sizeof *memory);
    assert_non_null(memory);
    float *const filter = memory, *const re = memory + CELLS, *const im = memory + 2 * CELLS;
    for (size_t i = 0; i < CELLS; i++) {
        filter[i] = 1.0f;
    }
    for (size_t i = 0; i < CELLS; i += 32) {
        all[0]->noise(key, 3, 4, i, filter + i, re + i, im + i);
    }
    double sum = 0, square = 0, fourth = 0, product = 0;
    for (size_t i = 0; i < CELLS; i++) {
        const double x = (double)re[i], y = (double)im[i];
        sum += x + y;
        square += x * x + y * y;
        fourth += x * x * x * x + y * y * y * y;
        product += x * y;
    }
    /* 131072 numbers of variance 1/2: five standard errors each. */
    assert_true(fabs(sum / CELLS) < 0.02);
    assert_true(fabs(square / CELLS - 1.0) < 0.02); /* x^2 + y^2 has mean 1 and deviation 1 */
    assert_true(fabs(fourth / CELLS - 1.5) < 0.08); /* 2 x 3 x (1/2)^2 */
    assert_true(fabs(product / CELLS) < 0.01);
    /* One of them from the words themselves: u to a Rayleigh number, as Box and Muller have it. */
    const uint32_t counter[4] = {5, 4, 3, 0};
    uint32_t words[4];
    sq_philox(counter, key, words);
    const double u = ((double)(words[0] >> 8) + 0.5) / 16777216.0;
    assert_true(fabs((double)hypotf(re[5], im[5]) - sqrt(-log(u))) < 1e-6);
    for (size_t t = 1; t < count; t++) {
        for (size_t i = 0; i < CELLS; i += 32) {
            all[t]->noise(key, 3, 4, i, filter + i, memory + 3 * CELLS + i, memory + 4 * CELLS + i);
        }
        assert_memory_equal(memory + 3 * CELLS, re, CELLS * sizeof(float));
        assert_memory_equal(memory + 4 * CELLS, im, CELLS * sizeof(float));
    }
    sq_free(memory);
}

/* Every kernel but the noise: the same bits from every table. */
static void test_same_bits(void **state)
{
    (void)state;
    enum { LENGTH = 2 * 3 * 4 * 5 * 7 * 13, SPAN = 48 };
    const sq_cascade_kernels *all[3];
    const size_t count = tables(all), line = (size_t)LENGTH * 2 * SQ_FFT_LANES;
    sq_fft_line plan = {.length = LENGTH, .count = 6, .factors = {4, 2, 3, 5, 7, 13}};
    float *memory = sq_alloc(line * 3 + (size_t)4 * LENGTH + 4096, sizeof *memory);
    assert_non_null(memory);
    for (size_t i = 0; i < (size_t)4 * LENGTH; i++) {
        memory[3 * line + i] = value_at(i);
    }
    plan.twiddles = memory + 3 * line;
    for (size_t i = 0; i < plan.count; i++) {
        for (size_t j = 0; j < SQ_FFT_LARGEST; j++) {
            plan.roots[i][j][0] = value_at(i * 50 + j);
            plan.roots[i][j][1] = value_at(i * 50 + j + 25);
        }
    }
    float sums[3][SQ_FFT_LANES] = {{0}}, old[3][SPAN], added[3][SPAN];
    for (size_t t = 0; t < count; t++) {
        float *const a = memory, *const b = memory + line;
        for (size_t i = 0; i < line; i++) {
            a[i] = value_at(i % 997);
        }
        const float *done = all[t]->line(&plan, a, b);
        if (t == 0) {
            memcpy(memory + 2 * line, done, line * sizeof(float));
        } else {
            assert_memory_equal(memory + 2 * line, done, line * sizeof(float));
        }
        const float *in = memory + 2 * line;
        all[t]->product(in, in + 64, in + 128, in + 192, in + 256, SPAN, sums[t]);
        memcpy(old[t], in, sizeof old[t]);
        memcpy(added[t], in + 64, sizeof added[t]);
        all[t]->step(in + 128, in + 192, in + 256, 1.2f, -0.3f, 0.5f, 2.0f, SPAN, old[t], added[t]);
        assert_memory_equal(sums[t], sums[0], sizeof sums[0]);
        assert_memory_equal(old[t], old[0], sizeof old[0]);
        assert_memory_equal(added[t], added[0], sizeof added[0]);
    }
    sq_free(memory);
}

/* White noise back in space: real, of variance 1, with the symmetry kept. */
static void test_noise_field(void **state)
{
    (void)state;
    spectrum s = make(64, 48);
    float *filter = sq_alloc(sq_fft_plane(s.fft), sizeof *filter);
    assert_non_null(filter);
    for (size_t row = 0; row < 48; row++) {
        for (size_t k = 0; k < sq_fft_columns(s.fft); k++) {
            filter[row * sq_fft_stride(s.fft) + k] = 1.0f;
        }
    }
    sq_cascade_noise(s.fft, filter, 99, 1, 2, s.re, s.im);
    const size_t stride = sq_fft_stride(s.fft);
    for (size_t row = 1; row < 48; row++) {
        for (size_t k = 0; k <= 32; k += 32) {
            assert_true(s.re[row * stride + k] == s.re[(48 - row) * stride + k]);
            assert_true(s.im[row * stride + k] == -s.im[(48 - row) * stride + k]);
        }
    }
    sq_fft_inverse(s.fft, s.re, s.im, s.values, s.scratch);
    double square = 0;
    for (size_t i = 0; i < s.cells; i++) {
        square += (double)s.values[i] * (double)s.values[i];
    }
    /* Each cell sums `cells` coefficients of mean square 1. */
    assert_true(fabs(square / (double)s.cells / (double)s.cells - 1.0) < 0.15);
    sq_free(filter);
    release(&s);
}

/* The levels sum to the field without its mean, and their covariances are those over the cells. */
static void test_levels(void **state)
{
    (void)state;
    spectrum s = make(60, 44);
    sq_cascade cascade;
    const size_t plane = sq_fft_plane(s.fft);
    float *re = sq_alloc(2 * plane, sizeof *re), *level = sq_alloc(s.cells, sizeof *level);
    double *sum = calloc(s.cells, sizeof *sum), variance[SQ_CASCADE_LEVELS], mean = 0;
    assert_true(re != NULL && level != NULL && sum != NULL);
    assert_int_equal(sq_cascade_make(s.fft, 5, &cascade, NULL), SQUALL_OK);
    sq_fft_forward(s.fft, s.values, s.re, s.im, s.scratch);
    sq_cascade_covariance(&cascade, s.re, s.im, s.re, s.im, variance);
    for (size_t k = 0; k < 5; k++) {
        double gain[SQ_CASCADE_LEVELS] = {0}, none[SQ_CASCADE_LEVELS] = {0}, square = 0;
        gain[k] = 1.0;
        sq_cascade_mix(&cascade, s.re, s.im, gain, s.re, s.im, none, 0.0, re, re + plane);
        sq_fft_inverse(s.fft, re, re + plane, level, s.scratch);
        for (size_t i = 0; i < s.cells; i++) {
            const double x = (double)level[i] / (double)s.cells;
            sum[i] += x;
            square += x * x;
        }
        assert_true(variance[k] > 0.0);
        assert_true(fabs(square / (double)s.cells / variance[k] - 1.0) < 1e-4);
    }
    for (size_t i = 0; i < s.cells; i++) {
        mean += (double)s.values[i] / (double)s.cells;
    }
    for (size_t i = 0; i < s.cells; i++) {
        assert_true(fabs(sum[i] + mean - (double)s.values[i]) < 2e-6);
    }
    sq_cascade_free(&cascade);
    squall_error err = {0};
    assert_int_equal(sq_cascade_make(s.fft, 0, &cascade, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_cascade_make(s.fft, 13, &cascade, &err), SQUALL_E_ARGUMENT);
    for (long n = 0; n < 2; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(sq_cascade_make(s.fft, 5, &cascade, &err), SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
    }
    assert_int_equal(sq_cascade_levels(256, 256, 6), 6);
    assert_int_equal(sq_cascade_levels(1, 1, 6), 1);
    assert_true(sq_cascade_levels(8, 8, 6) < 6);
    sq_free(re);
    sq_free(level);
    free(sum);
    release(&s);
}

/* Correlations 0.993969, 0.978469 and on: what pysteps 1.21.5 printed for the KNMI frames of
 * 2010-08-26 (sprog.forecast, six levels, 256 x 256 cells from column 222, row 300, the 21st
 * frame), its parameters beside them. */
static void test_ar(void **state)
{
    (void)state;
    static const double rows[6][5] = {{0.993969, 0.978469, 1.779461, -0.790259, 0.067200},
                                      {0.972365, 0.921755, 1.395855, -0.435525, 0.210160},
                                      {0.932275, 0.844594, 1.107120, -0.187546, 0.355331},
                                      {0.828650, 0.696807, 0.801815, 0.032384, 0.559474},
                                      {0.567152, 0.385833, 0.513498, 0.094602, 0.819920},
                                      {0.242359, 0.213027, 0.202633, 0.163917, 0.957064}};
    for (size_t k = 0; k < 6; k++) {
        const sq_cascade_ar ar = sq_cascade_ar_fit(rows[k][0], rows[k][1]);
        assert_true(fabs(ar.phi1 - rows[k][2]) < 3e-4);
        assert_true(fabs(ar.phi2 - rows[k][3]) < 3e-4);
        assert_true(fabs(ar.phi0 - rows[k][4]) < 3e-4);
    }
    const sq_cascade_ar first = sq_cascade_ar_fit(0.6, NAN), same = sq_cascade_ar_fit(1.0, 1.0);
    assert_true(fabs(first.phi1 - 0.6) < 1e-12 && first.phi2 == 0.0);
    assert_true(fabs(first.phi0 - 0.8) < 1e-12);
    assert_true(isfinite(same.phi1) && isfinite(same.phi2) && isfinite(same.phi0));
}

/* Run on, a level of the noise has variance 1 and the correlation that it was fitted to. */
static void test_state(void **state)
{
    (void)state;
    enum { STEPS = 400 };
    spectrum s = make(32, 32);
    sq_cascade cascade;
    const size_t plane = sq_fft_plane(s.fft);
    assert_int_equal(sq_cascade_make(s.fft, 3, &cascade, NULL), SQUALL_OK);
    float *memory = sq_alloc(4 * cascade.size + 5 * plane, sizeof *memory);
    assert_non_null(memory);
    sq_cascade_state x = {.re = {memory, memory + cascade.size},
                          .im = {memory + 2 * cascade.size, memory + 3 * cascade.size}};
    float *const filter = memory + 4 * cascade.size, *const sum = filter + plane;
    float *const before = sum + 2 * plane;
    for (size_t i = 0; i < 32 * sq_fft_stride(s.fft); i++) {
        filter[i] = i % sq_fft_stride(s.fft) < sq_fft_columns(s.fft) ? 3.0f : 0.0f;
    }
    const sq_cascade_ar ar[3] = {sq_cascade_ar_fit(0.5, 0.3), sq_cascade_ar_fit(0.5, 0.3),
                                 sq_cascade_ar_fit(0.5, 0.3)};
    const double deviation[3] = {0.0, 0.0, 2.0}; /* only the smallest scale comes into the sum */
    double own = 0, both = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        memcpy(before, sum, 2 * plane * sizeof *sum);
        memset(sum, 0, 2 * plane * sizeof *sum);
        sq_cascade_noise(s.fft, filter, 5, 0, i, s.re, s.im);
        sq_cascade_state_step(&cascade, ar, s.re, s.im, deviation, &x, sum, sum + plane);
        for (size_t k = 0; i >= 20 && k < 32 * sq_fft_stride(s.fft); k++) {
            const double twice = k % sq_fft_stride(s.fft) % 16 == 0 ? 1.0 : 2.0;
            own += twice * ((double)sum[k] * (double)sum[k] +
                            (double)sum[plane + k] * (double)sum[plane + k]);
            both += twice * ((double)sum[k] * (double)before[k] +
                             (double)sum[plane + k] * (double)before[plane + k]);
        }
    }
    assert_true(fabs(own / (STEPS - 20) / (1024.0 * 1024.0) - 4.0) < 0.2);
    assert_true(fabs(both / own - 0.5) < 0.03);
    sq_free(memory);
    sq_cascade_free(&cascade);
    release(&s);
}

static int smaller_first(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* The values come out in the field's order, with the target's distribution. */
static void test_match(void **state)
{
    (void)state;
    enum { CELLS = 20000, WET = 6000 };
    float *memory = sq_alloc(4 * CELLS, sizeof *memory);
    uint32_t *bins = sq_alloc(SQ_MATCH_BINS + 1, sizeof *bins);
    assert_true(memory != NULL && bins != NULL);
    float *const target = memory, *const field = memory + CELLS, *const was = memory + 2 * CELLS;
    float *const share = memory + 3 * CELLS;
    for (size_t i = 0; i < CELLS; i++) {
        target[i] = i < WET ? 0.1f + 20.0f * (value_at(i) + 0.5f) : i % 5 == 0 ? NAN : 0.05f;
        field[i] = was[i] = expf(value_at(i + CELLS)) - 4.0f;
        share[i] = i % 2 == 0 ? 1.0f : 0.0f;
    }
    sq_match match;
    assert_int_equal(sq_match_make(target, CELLS, 0.1f, &match, NULL), SQUALL_OK);
    assert_int_equal(match.count, WET);
    sq_match_run(&match, field, NULL, CELLS, bins);
    size_t wet = 0;
    float least_wet = INFINITY, most_dry = -INFINITY;
    double sum = 0, wanted = 0;
    for (size_t i = 0; i < CELLS; i++) {
        if (field[i] > 0.0f) {
            wet++;
            sum += (double)field[i];
            least_wet = was[i] < least_wet ? was[i] : least_wet;
        } else {
            most_dry = was[i] > most_dry ? was[i] : most_dry;
        }
        wanted += i < WET ? (double)target[i] : 0.0;
    }
    /* A bin holds 2 or 3 of these cells; not more of them may be on the wrong side. */
    assert_true(wet >= WET - 8 && wet <= WET + 8);
    assert_true(least_wet >= most_dry);
    assert_true(fabs(sum / wanted - 1.0) < 2e-3);
    for (size_t i = 1; i < CELLS; i++) {
        assert_true(was[i] <= was[i - 1] || field[i] >= field[i - 1]);
    }
    float sorted[2][WET];
    size_t at = 0;
    for (size_t i = 0; i < CELLS; i++) {
        if (field[i] > 0.0f && at < WET) {
            sorted[0][at++] = field[i];
        }
    }
    memcpy(sorted[1], target, sizeof sorted[1]);
    qsort(sorted[0], at, sizeof(float), smaller_first);
    qsort(sorted[1], WET, sizeof(float), smaller_first);
    for (size_t i = 100; i + 100 < at; i++) {
        assert_true(fabsf(sorted[0][i] - sorted[1][i]) < 0.1f); /* of 20: a few ranks */
    }
    memcpy(field, was, CELLS * sizeof *field);
    sq_match_run(&match, field, share, CELLS, bins);
    for (size_t i = 1; i < CELLS; i += 2) {
        assert_true(field[i] == 0.0f);
    }
    for (size_t i = 0; i < CELLS; i++) {
        field[i] = 3.0f; /* everything alike: all is at the minimum */
    }
    sq_match_run(&match, field, NULL, CELLS, bins);
    assert_true(field[0] == 0.0f && field[CELLS - 1] == 0.0f);
    sq_match_free(&match);
    assert_int_equal(sq_match_make(target + WET, CELLS - WET, 0.1f, &match, NULL), SQUALL_OK);
    assert_int_equal(match.count, 0);
    sq_match_run(&match, field, NULL, CELLS, bins);
    sq_match_free(&match);
    sq_memory_fail_at(0);
    assert_int_equal(sq_match_make(target, CELLS, 0.1f, &match, NULL), SQUALL_E_MEMORY);
    sq_memory_fail_at(-1);
    sq_free(memory);
    sq_free(bins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fft),         cmocka_unit_test(test_fft_symmetry),
        cmocka_unit_test(test_fft_sizes),   cmocka_unit_test(test_philox),
        cmocka_unit_test(test_noise),       cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_noise_field), cmocka_unit_test(test_levels),
        cmocka_unit_test(test_ar),          cmocka_unit_test(test_state),
        cmocka_unit_test(test_match)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
