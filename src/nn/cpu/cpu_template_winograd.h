/* nn/cpu/cpu_template_winograd.h - the products and transforms of Winograd's F(4x4, 3x3) and
 * F(6x6, 3x3), for the vector of cpu_simd.h.
 *
 * Y = A' [(G g G') . (B' d B)] A. F(4x4, 3x3) takes the points 0, 1, -1, 1/2, -2 and infinity: B'
 * and A' have small powers of two, and the error is a third less than with the usual 0, 1, -1, 2,
 * -2.
 *
 *        1 -3/2  -2   3/2  1  0         1    0    0
 *        0  -1  1/2  5/2   1  0        1/3  1/3  1/3        1  1  1   1    1  0
 *   B' = 0   1 -5/2  1/2   1  0   G = -1/3  1/3 -1/3   A' = 0  1 -1  1/2  -2  0
 *        0  -2  -1    2    1  0       -16/15 -8/15 -4/15    0  1  1  1/4   4  0
 *        0  1/2 -1  -1/2   1  0        1/15 -2/15  4/15     0  1 -1  1/8  -8  1
 *        0   1 -3/2  -2  3/2  1         0    0    1
 *
 * F(6x6, 3x3) takes 0, 1, -1, 2, -2, 1/2, -1/2 and infinity; of what was tried for three pairs no
 * other had a smaller error.
 *
 *      1    0  -21/4   0    21/4   0   -1  0           1      0     0
 *      0    1    1  -17/4  -17/4   1    1  0         -2/9   -2/9  -2/9      1  1  1   1   1   1 1 0
 *      0   -1    1   17/4  -17/4  -1    1  0         -2/9    2/9  -2/9      0  1 -1   2  -2  1/2
 * -1/2   0 B' = 0   1/2  1/4  -5/2  -5/4   2    1  0   G =    1/90   1/45  2/45 A' = 0  1  1   4 4
 * 1/4   1/4   0 0  -1/2  1/4   5/2  -5/4  -2    1  0          1/90  -1/45  2/45      0  1 -1   8 -8
 * 1/8  -1/8   0 0    2    4   -5/2   -5   1/2   1  0         32/45  16/45  8/45      0  1  1  16 16
 * 1/16  1/16  0 0   -2    4    5/2   -5  -1/2   1  0         32/45 -16/45  8/45      0  1 -1  32
 * -32  1/32 -1/32  1 0   -1    0   21/4    0  -21/4  0  1           0      0     1
 */
#define MOST_REACH   8
#define MOST_TILE    6
#define MOST_PRODUCT 28 /* tiles of one product, with one block of outputs */

/* ------------------------------------------------------------------ products
 * One point's sums of a run of tiles over all channels; as conv_tile() with one tap, but for its
 * fetching: with one block of outputs twice the tiles fit the registers, and weights are few. */
KERNEL void product_tile(const sq_winograd_product *p, const int tiles, const int blocks)
{
    vf sum[MOST_PRODUCT][2];
#pragma GCC unroll 28
    for (int i = 0; i < tiles; i++) {
        const float *start = p->out + i * LANES;
        sum[i][0] = p->accumulate ? vf_load(start) : vf_set(0.0f);
        if (blocks > 1) {
            sum[i][1] = p->accumulate ? vf_load(start + p->out_plane) : vf_set(0.0f);
        }
    }
    const float *weights = p->weights, *in = p->in;
    for (int32_t c0 = 0; c0 < p->channels; c0 += LANES, in += p->in_plane) {
        const int32_t left = p->channels - c0, channels = left < LANES ? left : LANES;
#pragma GCC unroll 1
        for (int32_t c = 0; c < channels; c++) {
            /* Weights and the next block of input come from beyond the second-level cache; a run
             * of them is too short for the processor to see. */
            __builtin_prefetch(weights + AHEAD);
            if (blocks > 1) {
                if (LANES == 16) {
                    __builtin_prefetch(weights + AHEAD + LANES);
                }
                if (c < tiles) {
                    __builtin_prefetch(in + p->in_plane + c * LANES);
                }
            }
            const vf w0 = vf_load(weights);
            const vf w1 = blocks > 1 ? vf_load(weights + LANES) : w0;
            weights += LANES * blocks;
#pragma GCC unroll 28
            for (int i = 0; i < tiles; i++) {
                const vf v = vf_set(in[i * LANES + c]);
                sum[i][0] = vf_fma(v, w0, sum[i][0]);
                if (blocks > 1) {
                    sum[i][1] = vf_fma(v, w1, sum[i][1]);
                }
            }
        }
    }
#pragma GCC unroll 28
    for (int i = 0; i < tiles; i++) {
        vf_store(p->out + i * LANES, sum[i][0]);
        if (blocks > 1) {
            vf_store(p->out + i * LANES + p->out_plane, sum[i][1]);
        }
    }
}

#define PRODUCT(n, b)                                           \
    static void product_##n##_##b(const sq_winograd_product *p) \
    {                                                           \
        product_tile(p, (n) * (b) <= 2 * PIXELS ? (n) : 1, b);  \
    }
/* clang-format off */
#define PRODUCTS(b) \
    PRODUCT(1, b) PRODUCT(2, b) PRODUCT(3, b) PRODUCT(4, b) PRODUCT(5, b) PRODUCT(6, b) \
    PRODUCT(7, b) PRODUCT(8, b) PRODUCT(9, b) PRODUCT(10, b) PRODUCT(11, b) PRODUCT(12, b) \
    PRODUCT(13, b) PRODUCT(14, b)
#define PRODUCT_NAMES(b) \
    product_1_##b, product_2_##b, product_3_##b, product_4_##b, product_5_##b, product_6_##b, \
        product_7_##b, product_8_##b, product_9_##b, product_10_##b, product_11_##b, product_12_##b, \
        product_13_##b, product_14_##b
PRODUCTS(1)
PRODUCTS(2)
PRODUCT(15, 1) PRODUCT(16, 1) PRODUCT(17, 1) PRODUCT(18, 1) PRODUCT(19, 1) PRODUCT(20, 1)
PRODUCT(21, 1) PRODUCT(22, 1) PRODUCT(23, 1) PRODUCT(24, 1) PRODUCT(25, 1) PRODUCT(26, 1)
PRODUCT(27, 1) PRODUCT(28, 1)
    /* clang-format on */
    static void (*const products_1[])(const sq_winograd_product *) = {
        NULL,         PRODUCT_NAMES(1), product_15_1, product_16_1, product_17_1, product_18_1,
        product_19_1, product_20_1,     product_21_1, product_22_1, product_23_1, product_24_1,
        product_25_1, product_26_1,     product_27_1, product_28_1};
static void (*const products_2[])(const sq_winograd_product *) = {NULL, PRODUCT_NAMES(2)};

/* ------------------------------------------------------------------ transforms */

/* One dimension of B': 6 numbers become 6. */
KERNEL void input_six(const vf d[6], vf r[6])
{
    const vf h = vf_set(1.5f);
    const vf s = vf_sub(d[4], d[2]), t = vf_sub(d[3], d[1]);
    const vf u = vf_fma(h, d[2], t), w = vf_fma(h, d[3], s);
    const vf z = vf_fma(h, d[1], vf_sub(d[2], d[0])), v = vf_fma(h, d[4], vf_sub(d[5], d[3]));
    r[0] = vf_sub(w, z);
    r[1] = vf_add(w, u);
    r[2] = vf_sub(w, u);
    r[3] = vf_fma(vf_set(2.0f), t, s);
    r[4] = vf_fma(vf_set(-0.5f), t, s);
    r[5] = vf_sub(v, u);
}

/* One dimension of B' of F(6x6, 3x3): 8 numbers become 8. */
KERNEL void input_eight(const vf d[8], vf r[8])
{
    r[0] = vf_fma(vf_set(5.25f), vf_sub(d[4], d[2]), vf_sub(d[0], d[6]));
    r[7] = vf_fma(vf_set(5.25f), vf_sub(d[3], d[5]), vf_sub(d[7], d[1]));
    vf even = vf_fma(vf_set(-4.25f), d[4], vf_add(d[2], d[6]));
    vf odd = vf_fma(vf_set(-4.25f), d[3], vf_add(d[1], d[5]));
    r[1] = vf_add(even, odd);
    r[2] = vf_sub(even, odd);
    even = vf_fma(vf_set(-1.25f), d[4], vf_fma(vf_set(0.25f), d[2], d[6]));
    odd = vf_fma(vf_set(2.0f), d[5], vf_fma(vf_set(-2.5f), d[3], vf_mul(vf_set(0.5f), d[1])));
    r[3] = vf_add(even, odd);
    r[4] = vf_sub(even, odd);
    even = vf_fma(vf_set(4.0f), vf_fma(vf_set(-1.25f), d[4], d[2]), d[6]);
    odd = vf_fma(vf_set(0.5f), d[5], vf_fma(vf_set(-2.5f), d[3], vf_mul(vf_set(2.0f), d[1])));
    r[5] = vf_add(even, odd);
    r[6] = vf_sub(even, odd);
}

/* One dimension of A': 6 numbers become 4. */
KERNEL void output_six(const vf m[6], vf y[4])
{
    const vf s = vf_add(m[1], m[2]), d = vf_sub(m[1], m[2]);
    y[0] = vf_add(vf_add(m[0], s), vf_add(m[3], m[4]));
    y[1] = vf_fma(vf_set(-2.0f), m[4], vf_fma(vf_set(0.5f), m[3], d));
    y[2] = vf_fma(vf_set(4.0f), m[4], vf_fma(vf_set(0.25f), m[3], s));
    y[3] = vf_fma(vf_set(-8.0f), m[4], vf_fma(vf_set(0.125f), m[3], vf_add(d, m[5])));
}

/* One dimension of A' of F(6x6, 3x3): 8 numbers become 6. */
KERNEL void output_eight(const vf m[8], vf y[6])
{
    const vf s1 = vf_add(m[1], m[2]), d1 = vf_sub(m[1], m[2]);
    const vf s2 = vf_add(m[3], m[4]), d2 = vf_sub(m[3], m[4]);
    const vf s3 = vf_add(m[5], m[6]), d3 = vf_sub(m[5], m[6]);
    y[0] = vf_add(vf_add(m[0], s1), vf_add(s2, s3));
    y[1] = vf_fma(vf_set(2.0f), d2, vf_fma(vf_set(0.5f), d3, d1));
    y[2] = vf_fma(vf_set(4.0f), s2, vf_fma(vf_set(0.25f), s3, s1));
    y[3] = vf_fma(vf_set(8.0f), d2, vf_fma(vf_set(0.125f), d3, d1));
    y[4] = vf_fma(vf_set(16.0f), s2, vf_fma(vf_set(0.0625f), s3, s1));
    y[5] = vf_fma(vf_set(32.0f), d2, vf_fma(vf_set(0.03125f), d3, vf_add(d1, m[7])));
}

/* One dimension of G: 3 numbers become 6. */
KERNEL void weight_six(const vf g[3], vf r[6])
{
    const vf s = vf_mul(vf_set(1.0f / 3.0f), vf_add(g[0], g[2]));
    const vf t = vf_fma(vf_set(4.0f), g[0], g[2]), q = vf_fma(vf_set(4.0f), g[2], g[0]);
    r[0] = g[0];
    r[1] = vf_fma(vf_set(1.0f / 3.0f), g[1], s);
    r[2] = vf_sub(vf_mul(vf_set(1.0f / 3.0f), g[1]), s);
    r[3] = vf_fma(vf_set(-8.0f / 15.0f), g[1], vf_mul(vf_set(-4.0f / 15.0f), t));
    r[4] = vf_fma(vf_set(-2.0f / 15.0f), g[1], vf_mul(vf_set(1.0f / 15.0f), q));
    r[5] = g[2];
}

KERNEL void input_tiles(const sq_winograd_input *w, const int reach)
{
    const float *at = w->in;
    float *to = w->out;
    for (int32_t i = 0; i < w->tiles; i++, at += w->in_tile, to += LANES) {
        vf half[MOST_REACH][MOST_REACH];
#pragma GCC unroll 8
        for (int x = 0; x < reach; x++) {
            vf d[MOST_REACH], r[MOST_REACH];
#pragma GCC unroll 8
            for (int y = 0; y < reach; y++) {
                d[y] = vf_load(at + w->row[y] + w->column[x]);
            }
            if (reach == 8) {
                input_eight(d, r);
            } else {
                input_six(d, r);
            }
#pragma GCC unroll 8
            for (int y = 0; y < reach; y++) {
                half[y][x] = r[y];
            }
        }
#pragma GCC unroll 8
        for (int y = 0; y < reach; y++) {
            vf r[MOST_REACH];
            if (reach == 8) {
                input_eight(half[y], r);
            } else {
                input_six(half[y], r);
            }
#pragma GCC unroll 8
            for (int x = 0; x < reach; x++) {
                vf_store(to + (y * reach + x) * w->out_point, r[x]);
            }
        }
    }
}

static void winograd_input_4(const sq_winograd_input *w)
{
    input_tiles(w, 6);
}

static void winograd_input_6(const sq_winograd_input *w)
{
    input_tiles(w, 8);
}

static void winograd_weights(const float *weights, int32_t channels, int32_t blocks,
                             ptrdiff_t ahead, float *to, ptrdiff_t point)
{
    const int32_t width = blocks * LANES;
    for (int32_t c = 0; c < channels; c++, weights += 9 * width) {
        for (int32_t i = 0; ahead > 0 && i < 9 * width; i += 16) {
            __builtin_prefetch(weights + ahead + i, 0, 2);
        }
        for (int32_t l = 0; l < width; l += LANES, to += LANES) {
            vf half[6][3];
#pragma GCC unroll 3
            for (int x = 0; x < 3; x++) {
                const vf g[3] = {vf_load(weights + x * width + l),
                                 vf_load(weights + (3 + x) * width + l),
                                 vf_load(weights + (6 + x) * width + l)};
                vf r[6];
                weight_six(g, r);
#pragma GCC unroll 6
                for (int y = 0; y < 6; y++) {
                    half[y][x] = r[y];
                }
            }
#pragma GCC unroll 6
            for (int y = 0; y < 6; y++) {
                vf r[6];
                weight_six(half[y], r);
#pragma GCC unroll 6
                for (int x = 0; x < 6; x++) {
                    vf_store(to + (y * 6 + x) * point, r[x]);
                }
            }
        }
    }
}

/* Activations beyond ReLU's kind read the tile once more while it is in the cache. */
static __attribute__((noinline)) void activate_outputs(const sq_winograd_output *w, float *to)
{
    for (int32_t y = 0; y < w->height; y++) {
        for (int32_t x = 0; x < w->width; x++) {
            float *at = to + y * w->out_row + x * w->out_pixel;
            vf_store(at, activate(vf_load(at), &w->act));
        }
    }
}

KERNEL void output_tiles(const sq_winograd_output *w, const int tile)
{
    const vf bias = vf_load(w->bias);
    const float *at = w->in;
    float *to = w->out;
    const int reach = tile + 2;
    const bool whole = w->height == tile && w->width == tile;
    const sq_activation kind = w->act.kind;
    const sq_cpu_act leaky = {SQ_ACT_LEAKY_RELU, w->act.a, 0.0f};
    for (int32_t i = 0; i < w->tiles; i++, at += LANES, to += w->out_tile) {
        vf half[MOST_TILE][MOST_REACH];
#pragma GCC unroll 8
        for (int x = 0; x < reach; x++) {
            vf m[MOST_REACH], y[MOST_TILE];
#pragma GCC unroll 8
            for (int j = 0; j < reach; j++) {
                m[j] = vf_load(at + (j * reach + x) * w->in_point);
            }
            if (tile == 6) {
                output_eight(m, y);
            } else {
                output_six(m, y);
            }
#pragma GCC unroll 6
            for (int j = 0; j < tile; j++) {
                half[j][x] = y[j];
            }
        }
        /* The row is unrolled so that `half` stays in registers as far as they go. */
#pragma GCC unroll 6
        for (int y = 0; y < tile; y++) {
            vf r[MOST_TILE];
            float *row = to + y * w->out_row;
            if (tile == 6) {
                output_eight(half[y], r);
            } else {
                output_six(half[y], r);
            }
#pragma GCC unroll 6
            for (int x = 0; x < tile; x++) {
                const vf v = vf_add(r[x], bias);
                r[x] = kind == SQ_ACT_RELU         ? vf_max(v, vf_set(0.0f))
                       : kind == SQ_ACT_LEAKY_RELU ? activate(v, &leaky)
                                                   : v;
            }
#pragma GCC unroll 6
            for (int x = 0; x < tile; x++) {
                if (whole || (y < w->height && x < w->width)) {
                    vf_store(row + x * w->out_pixel, r[x]);
                }
            }
        }
        if (kind > SQ_ACT_LEAKY_RELU) {
            activate_outputs(w, to);
        }
    }
}

static void winograd_output_4(const sq_winograd_output *w)
{
    output_tiles(w, 4);
}

static void winograd_output_6(const sq_winograd_output *w)
{
    output_tiles(w, 6);
}
