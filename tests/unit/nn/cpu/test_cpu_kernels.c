/* tests/unit/nn/cpu/test_cpu_kernels.c - every kernel of every instruction set's table that this
 * host can run, against plain double arithmetic.
 *
 * Every width, padded strides with canaries in the padding, and buffers that touch an unreadable
 * page, once with their end and once with their beginning. The tolerance of a sum of k products is
 * its rounding bound, (k + 1) * eps / 2 * sum |a * b|. */
#include "cpu_fixture.h"

static const sq_cpu_kernels *const tables[] = {
    &sq_cpu_kernels_c,
#if defined(__x86_64__)
    &sq_cpu_kernels_avx2,
    &sq_cpu_kernels_avx512,
#elif defined(__aarch64__)
    &sq_cpu_kernels_neon,
#endif
};
enum { TABLES = sizeof tables / sizeof tables[0] };

/* Run `check` on every table that the host has, with both ways to place buffers. */
static void each_table(long (*check)(const sq_cpu_kernels *table, bool at_end), const char *what)
{
    int ran = 0;
    for (int t = 0; t < TABLES; t++) {
        if (!sq_cpu_can(tables[t]->isa)) {
            print_message("%s: this host has no %s\n", what, tables[t]->name);
            continue;
        }
        const long cases = check(tables[t], true) + check(tables[t], false);
        print_message("%s: %s, %ld cases\n", what, tables[t]->name, cases);
        assert_true(cases > 0);
        ran++;
    }
    assert_true(ran > 0);
}

#define EXPECT_NEAR(got, want, allowed, ...)                                         \
    do {                                                                             \
        if (!(fabs((double)(got) - (want)) <= (allowed))) {                          \
            print_error(__VA_ARGS__);                                                \
            fail_msg(": %.9g, expected %.9g +- %.3g", (double)(got), (double)(want), \
                     (double)(allowed));                                             \
        }                                                                            \
    } while (0)

/* ------------------------------------------------------------------ convolution */

typedef struct tile_case {
    int channels, taps_y, taps_x, dilation, step, blocks, pixels, spread;
    sq_cpu_act act;
} tile_case;

static void check_tile(const sq_cpu_kernels *table, const tile_case *c, bool at_end)
{
    const int lanes = table->lanes;
    const size_t planes = (size_t)((c->channels + lanes - 1) / lanes);
    const size_t columns = (size_t)((c->pixels - 1) * c->step + (c->taps_x - 1) * c->dilation + 1);
    const size_t row = columns * (size_t)lanes, plane = row * (size_t)c->taps_y;
    const size_t terms = (size_t)c->channels * (size_t)c->taps_y * (size_t)c->taps_x;
    const size_t width = (size_t)(c->blocks * lanes);
    const size_t out_pixel = (size_t)(lanes * c->spread);
    const size_t out_plane = out_pixel * (size_t)c->pixels + 3;
    const size_t out_count =
        (size_t)(c->blocks - 1) * out_plane + out_pixel * (size_t)(c->pixels - 1) + (size_t)lanes;
    guarded in = guarded_floats(planes * plane, at_end);
    guarded weights = guarded_floats(terms * width, at_end), bias = guarded_floats(width, at_end);
    guarded out = guarded_floats(out_count, at_end);
    uint32_t seed = 7u + (uint32_t)c->pixels;
    fill_seeded(in.data, planes * plane, &seed);
    fill_seeded(weights.data, terms * width, &seed);
    fill_seeded(bias.data, width, &seed);
    fill_canary(out.data, out_count);
    const sq_conv_tile tile = {
        .in = in.data,
        .in_plane = (ptrdiff_t)plane,
        .in_row = (ptrdiff_t)row,
        .in_tap = (ptrdiff_t)c->dilation * lanes,
        .weights = weights.data,
        .bias = bias.data,
        .channels = c->channels,
        .taps_y = c->taps_y,
        .taps_x = c->taps_x,
        .out = out.data,
        .out_plane = (ptrdiff_t)out_plane,
        .out_pixel = (ptrdiff_t)out_pixel,
        .act = c->act,
    };
    table->conv_tile[c->blocks - 1][c->step - 1][c->pixels](&tile);
    const float *a = in.data, *w = weights.data, *b = bias.data, *got = out.data;
    unsigned char *written = calloc(out_count, 1);
    assert_non_null(written);
    for (int i = 0; i < c->pixels; i++) {
        for (size_t k = 0; k < width; k++) {
            double sum = (double)b[k], magnitude = fabs(sum);
            size_t at = k;
            for (int c0 = 0; c0 < c->channels; c0 += lanes) {
                const int end = c0 + lanes < c->channels ? c0 + lanes : c->channels;
                for (int y = 0; y < c->taps_y; y++) {
                    for (int x = 0; x < c->taps_x; x++) {
                        for (int ch = c0; ch < end; ch++, at += width) {
                            const double term =
                                (double)w[at] *
                                (double)a[(size_t)(c0 / lanes) * plane + (size_t)y * row +
                                          (size_t)((i * c->step + x * c->dilation) * lanes) +
                                          (size_t)(ch - c0)];
                            sum += term;
                            magnitude += fabs(term);
                        }
                    }
                }
            }
            const size_t o =
                k / (size_t)lanes * out_plane + (size_t)i * out_pixel + k % (size_t)lanes;
            const double apart = ((double)terms + 2) * UNIT * magnitude;
            EXPECT_NEAR(got[o], act_double(&c->act, sum), act_allowed(&c->act, sum, apart),
                        "%s: %d channels, %dx%d taps, dilation %d, step %d, %d blocks, pixel %d of "
                        "%d, activation %d, output %zu",
                        table->name, c->channels, c->taps_y, c->taps_x, c->dilation, c->step,
                        c->blocks, i, c->pixels, (int)c->act.kind, k);
            written[o] = 1;
        }
    }
    for (size_t i = 0; i < out_count; i++) {
        assert_true(written[i] || got[i] == CANARY);
    }
    free(written);
    guarded_free(&in);
    guarded_free(&weights);
    guarded_free(&bias);
    guarded_free(&out);
}

static long check_tiles(const sq_cpu_kernels *table, bool at_end)
{
    const int lanes = table->lanes;
    const tile_case shapes[] = {
        {.channels = 1, .taps_y = 1, .taps_x = 1, .dilation = 1, .spread = 1},
        {.channels = lanes, .taps_y = 3, .taps_x = 3, .dilation = 1, .spread = 1},
        {.channels = lanes + 3, .taps_y = 2, .taps_x = 2, .dilation = 1, .spread = 2},
        {.channels = 2 * lanes + 1, .taps_y = 1, .taps_x = 5, .dilation = 2, .spread = 1},
        {.channels = 5, .taps_y = 7, .taps_x = 1, .dilation = 3, .spread = 3},
    };
    long cases = 0;
    assert_in_range(table->max_pixels, 1, SQ_CONV_MAX_PIXELS);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int blocks = 1; blocks <= 2; blocks++) {
            for (int step = 1; step <= 2; step++) {
                for (int pixels = 1; pixels <= table->max_pixels; pixels++) {
                    tile_case c = shapes[s];
                    c.blocks = blocks;
                    c.step = step;
                    c.pixels = pixels;
                    c.act = all_acts[(size_t)cases % ACT_COUNT];
                    check_tile(table, &c, at_end);
                    cases++;
                }
            }
        }
    }
    return cases;
}

static void test_conv_tile(void **state)
{
    (void)state;
    each_table(check_tiles, "conv_tile");
}

static long check_depthwise(const sq_cpu_kernels *table, bool at_end)
{
    static const int taps[][2] = {{1, 1}, {3, 3}, {1, 7}, {5, 2}};
    const size_t lanes = (size_t)table->lanes;
    long cases = 0;
    for (size_t t = 0; t < 4; t++) {
        for (int stride = 1; stride <= 3; stride++) {
            for (int pixels = 1; pixels <= 9; pixels++, cases++) {
                const int dilation = 1 + stride % 2;
                const sq_cpu_act act = all_acts[(size_t)cases % ACT_COUNT];
                const size_t columns =
                    (size_t)((pixels - 1) * stride + (taps[t][1] - 1) * dilation + 1);
                const size_t row = columns * lanes, tap_count = (size_t)(taps[t][0] * taps[t][1]);
                guarded in = guarded_floats(row * (size_t)taps[t][0], at_end);
                guarded weights = guarded_floats(tap_count * lanes, at_end);
                guarded bias = guarded_floats(lanes, at_end);
                guarded out = guarded_floats((size_t)pixels * lanes, at_end);
                uint32_t seed = 11;
                fill_seeded(in.data, row * (size_t)taps[t][0], &seed);
                fill_seeded(weights.data, tap_count * lanes, &seed);
                fill_seeded(bias.data, lanes, &seed);
                table->depthwise_row(in.data, (ptrdiff_t)row, (ptrdiff_t)lanes * dilation,
                                     (ptrdiff_t)lanes * stride, weights.data, bias.data, taps[t][0],
                                     taps[t][1], out.data, pixels, &act);
                const float *a = in.data, *w = weights.data, *b = bias.data, *got = out.data;
                for (int i = 0; i < pixels; i++) {
                    for (size_t l = 0; l < lanes; l++) {
                        double sum = (double)b[l], magnitude = fabs(sum);
                        for (int y = 0; y < taps[t][0]; y++) {
                            for (int x = 0; x < taps[t][1]; x++) {
                                const double term =
                                    (double)a[(size_t)y * row +
                                              (size_t)(i * stride + x * dilation) * lanes + l] *
                                    (double)w[(size_t)(y * taps[t][1] + x) * lanes + l];
                                sum += term;
                                magnitude += fabs(term);
                            }
                        }
                        EXPECT_NEAR(got[(size_t)i * lanes + l], act_double(&act, sum),
                                    act_allowed(&act, sum,
                                                ((double)tap_count + 2) * UNIT * magnitude),
                                    "%s: %dx%d taps, stride %d, pixel %d of %d", table->name,
                                    taps[t][0], taps[t][1], stride, i, pixels);
                    }
                }
                guarded_free(&in);
                guarded_free(&weights);
                guarded_free(&bias);
                guarded_free(&out);
            }
        }
    }
    return cases;
}

static void test_depthwise(void **state)
{
    (void)state;
    each_table(check_depthwise, "depthwise_row");
}

/* ------------------------------------------------------------------ element by element */

static long check_unary(const sq_cpu_kernels *table, bool at_end)
{
    long cases = 0;
    for (size_t a = 0; a < ACT_COUNT; a++) {
        for (size_t count = 0; count <= 3 * (size_t)table->lanes + 1; count++, cases++) {
            guarded in = guarded_floats(count, at_end), out = guarded_floats(count, at_end);
            uint32_t seed = 3u + (uint32_t)count;
            float *x = in.data;
            fill_seeded(x, count, &seed);
            for (size_t i = 0; i < count; i++) { /* small, middling and saturating arguments */
                x[i] *= i % 3 == 0 ? 0.1f : i % 3 == 1 ? 4.0f : 200.0f;
            }
            table->unary(x, out.data, count, &all_acts[a]);
            for (size_t i = 0; i < count; i++) {
                EXPECT_NEAR(((float *)out.data)[i], act_double(&all_acts[a], (double)x[i]),
                            act_allowed(&all_acts[a], (double)x[i], 0),
                            "%s: activation %d of %g, %zu of %zu", table->name,
                            (int)all_acts[a].kind, (double)x[i], i, count);
            }
            guarded_free(&in);
            guarded_free(&out);
        }
    }
    return cases;
}

static void test_unary(void **state)
{
    (void)state;
    each_table(check_unary, "unary");
}

static const sq_op arithmetic[] = {SQ_OP_Add, SQ_OP_Sub, SQ_OP_Mul, SQ_OP_Div};

/* One rounding: the same bits as C's own arithmetic. */
static float combine(float a, float b, sq_op op)
{
    return op == SQ_OP_Add ? a + b : op == SQ_OP_Sub ? a - b : op == SQ_OP_Mul ? a * b : a / b;
}

/* `spread`: b has 0 a number an element, 1 a block, 2 a number a pixel. */
static void check_one_binary(const sq_cpu_kernels *table, sq_op op, int spread, size_t count,
                             const sq_cpu_act *act, bool at_end)
{
    const size_t lanes = (size_t)table->lanes;
    const size_t b_count = spread == 0 ? count : spread == 1 ? lanes : count / lanes;
    guarded a = guarded_floats(count, at_end), b = guarded_floats(b_count, at_end);
    guarded out = guarded_floats(count, at_end);
    uint32_t seed = 5u + (uint32_t)count;
    fill_seeded(a.data, count, &seed);
    fill_seeded(b.data, b_count, &seed);
    if (spread == 0) {
        table->binary(a.data, b.data, out.data, count, op, act);
    } else if (spread == 1) {
        table->binary_block(a.data, b.data, out.data, count / lanes, op, act);
    } else {
        table->binary_pixel(a.data, b.data, out.data, count / lanes, op, act);
    }
    for (size_t i = 0; i < count; i++) {
        const float right = ((float *)b.data)[spread == 0   ? i
                                              : spread == 1 ? i % lanes
                                                            : i / lanes];
        const float made = combine(((float *)a.data)[i], right, op);
        EXPECT_NEAR(((float *)out.data)[i], act_double(act, (double)made),
                    act_allowed(act, (double)made, 0), "%s: %s, spread %d, %zu of %zu", table->name,
                    sq_op_name(op), spread, i, count);
    }
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&out);
}

static long check_binary(const sq_cpu_kernels *table, bool at_end)
{
    const size_t lanes = (size_t)table->lanes;
    long cases = 0;
    for (size_t o = 0; o < 4; o++) {
        for (size_t a = 0; a < ACT_COUNT; a++) {
            for (size_t count = 0; count <= 2 * lanes + 3; count++, cases++) {
                check_one_binary(table, arithmetic[o], 0, count, &all_acts[a], at_end);
            }
            for (size_t pixels = 0; pixels <= 5; pixels++, cases += 2) {
                check_one_binary(table, arithmetic[o], 1, pixels * lanes, &all_acts[a], at_end);
                check_one_binary(table, arithmetic[o], 2, pixels * lanes, &all_acts[a], at_end);
            }
        }
    }
    return cases;
}

static void test_binary(void **state)
{
    (void)state;
    each_table(check_binary, "binary");
}

/* ------------------------------------------------------------------ pooling, resizing */

static long check_max(const sq_cpu_kernels *table, bool at_end)
{
    const size_t lanes = (size_t)table->lanes;
    long cases = 0;
    for (int taps_y = 1; taps_y <= 3; taps_y++) {
        for (int taps_x = 1; taps_x <= 3; taps_x++) {
            for (int pixels = 1; pixels <= 6; pixels++, cases++) {
                const int stride = 1 + pixels % 3;
                const size_t row = (size_t)((pixels - 1) * stride + taps_x) * lanes;
                guarded in = guarded_floats(row * (size_t)taps_y, at_end);
                guarded out = guarded_floats((size_t)pixels * lanes, at_end);
                uint32_t seed = 13u + (uint32_t)pixels;
                fill_seeded(in.data, row * (size_t)taps_y, &seed);
                table->max_row(in.data, (ptrdiff_t)row, (ptrdiff_t)lanes * stride, taps_y, taps_x,
                               out.data, pixels);
                for (size_t i = 0; i < (size_t)pixels * lanes; i++) {
                    float most = -INFINITY;
                    for (size_t y = 0; y < (size_t)taps_y; y++) {
                        for (size_t x = 0; x < (size_t)taps_x; x++) {
                            most =
                                fmaxf(most,
                                      ((float *)in.data)[y * row +
                                                         (i / lanes * (size_t)stride + x) * lanes +
                                                         i % lanes]);
                        }
                    }
                    assert_true(((float *)out.data)[i] == most);
                }
                guarded_free(&in);
                guarded_free(&out);
            }
        }
    }
    return cases;
}

static void test_max(void **state)
{
    (void)state;
    each_table(check_max, "max_row");
}

static long check_lerp(const sq_cpu_kernels *table, bool at_end)
{
    enum { COLUMNS = 5, MOST = 11 };
    const size_t lanes = (size_t)table->lanes;
    long cases = 0;
    for (int pixels = 1; pixels <= MOST; pixels++, cases++) {
        guarded above = guarded_floats(COLUMNS * lanes, at_end);
        guarded below = guarded_floats(COLUMNS * lanes, at_end);
        guarded out = guarded_floats((size_t)pixels * lanes, at_end);
        int32_t left[MOST], right[MOST];
        float weight[MOST];
        uint32_t seed = 17u + (uint32_t)pixels;
        fill_seeded(above.data, COLUMNS * lanes, &seed);
        fill_seeded(below.data, COLUMNS * lanes, &seed);
        for (int i = 0; i < pixels; i++) {
            left[i] = i % COLUMNS;
            right[i] = left[i] + 1 < COLUMNS ? left[i] + 1 : left[i];
            weight[i] = 0.5f + 0.5f * seeded(&seed);
        }
        const float weight_y = 0.3f;
        table->lerp_row(above.data, below.data, left, right, weight, weight_y, out.data, pixels);
        const float *a = above.data, *b = below.data;
        for (int i = 0; i < pixels; i++) {
            for (size_t l = 0; l < lanes; l++) {
                const size_t p = (size_t)left[i] * lanes + l, q = (size_t)right[i] * lanes + l;
                const double wx = (double)weight[i], wy = (double)weight_y;
                const double top = (double)a[p] * (1 - wx) + (double)a[q] * wx;
                const double bottom = (double)b[p] * (1 - wx) + (double)b[q] * wx;
                /* Three steps of difference and sum, each of numbers below 2. */
                EXPECT_NEAR(((float *)out.data)[(size_t)i * lanes + l],
                            top * (1 - wy) + bottom * wy, 12 * UNIT, "%s: pixel %d of %d",
                            table->name, i, pixels);
            }
        }
        guarded_free(&above);
        guarded_free(&below);
        guarded_free(&out);
    }
    return cases;
}

static void test_lerp(void **state)
{
    (void)state;
    each_table(check_lerp, "lerp_row");
}

static long check_reduce(const sq_cpu_kernels *table, bool at_end)
{
    static const size_t counts[] = {1, 2, 63, 64, 65, 127, 128, 1000};
    const size_t lanes = (size_t)table->lanes;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        guarded in = guarded_floats(counts[c] * lanes, at_end);
        guarded most = guarded_floats(lanes, at_end);
        guarded total = guarded_bytes(lanes * sizeof(double), at_end);
        uint32_t seed = 19;
        fill_seeded(in.data, counts[c] * lanes, &seed);
        table->reduce_pixels(in.data, counts[c], most.data, total.data);
        for (size_t l = 0; l < lanes; l++) {
            double sum = 0, magnitude = 0;
            float largest = -INFINITY;
            for (size_t i = 0; i < counts[c]; i++) {
                const float x = ((float *)in.data)[i * lanes + l];
                sum += (double)x;
                magnitude += fabs((double)x);
                largest = fmaxf(largest, x);
            }
            assert_true(((float *)most.data)[l] == largest);
            /* Runs of 64 are summed in float. */
            EXPECT_NEAR(((double *)total.data)[l], sum, 64 * UNIT * magnitude, "%s: %zu pixels",
                        table->name, counts[c]);
        }
        guarded_free(&in);
        guarded_free(&most);
        guarded_free(&total);
    }
    return (long)(sizeof counts / sizeof counts[0]);
}

static long check_reduce_channels(const sq_cpu_kernels *table, bool at_end)
{
    const int32_t lanes = table->lanes;
    long cases = 0;
    for (int32_t channels = 1; channels <= 2 * lanes + 1; channels++) {
        for (int32_t pixels = 1; pixels <= 3; pixels++, cases++) {
            const size_t plane = (size_t)(pixels * lanes);
            const size_t count = plane * (size_t)((channels + lanes - 1) / lanes);
            guarded in = guarded_floats(count, at_end);
            guarded most = guarded_floats((size_t)pixels, at_end);
            guarded total = guarded_floats((size_t)pixels, at_end);
            uint32_t seed = 29;
            fill_seeded(in.data, count, &seed);
            table->reduce_channels(in.data, (ptrdiff_t)plane, channels, pixels, most.data,
                                   total.data);
            for (int32_t i = 0; i < pixels; i++) {
                double sum = 0, magnitude = 0;
                float largest = -INFINITY;
                for (int32_t c = 0; c < channels; c++) {
                    const float x =
                        ((float *)in
                             .data)[(size_t)(c / lanes) * plane + (size_t)(i * lanes + c % lanes)];
                    sum += (double)x;
                    magnitude += fabs((double)x);
                    largest = fmaxf(largest, x);
                }
                assert_true(((float *)most.data)[i] == largest);
                EXPECT_NEAR(((float *)total.data)[i], sum, channels * UNIT * magnitude,
                            "%s: %d channels, pixel %d", table->name, channels, i);
            }
            guarded_free(&in);
            guarded_free(&most);
            guarded_free(&total);
        }
    }
    return cases;
}

static long check_spread(const sq_cpu_kernels *table, bool at_end)
{
    const size_t lanes = (size_t)table->lanes;
    int32_t lane[16];
    for (size_t pixels = 0; pixels <= 5; pixels++) {
        guarded in = guarded_floats(pixels * lanes, at_end);
        guarded out = guarded_floats(pixels * lanes, at_end);
        uint32_t seed = 31;
        fill_seeded(in.data, pixels * lanes, &seed);
        for (size_t l = 0; l < lanes; l++) {
            lane[l] = (int32_t)((l * 5 + pixels) % lanes);
        }
        table->spread_row(in.data, lane, out.data, (int32_t)pixels);
        for (size_t i = 0; i < pixels * lanes; i++) {
            assert_true(((float *)out.data)[i] ==
                        ((float *)in.data)[i / lanes * lanes + (size_t)lane[i % lanes]]);
        }
        guarded_free(&in);
        guarded_free(&out);
    }
    return 6;
}

static void test_reduce_channels(void **state)
{
    (void)state;
    each_table(check_reduce_channels, "reduce_channels");
}

static void test_spread(void **state)
{
    (void)state;
    each_table(check_spread, "spread_row");
}

static void test_reduce(void **state)
{
    (void)state;
    each_table(check_reduce, "reduce_pixels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_tile), cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_unary),     cmocka_unit_test(test_binary),
        cmocka_unit_test(test_max),       cmocka_unit_test(test_lerp),
        cmocka_unit_test(test_reduce),    cmocka_unit_test(test_reduce_channels),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
