/* nn/cpu/cpu_template_winograd.h - the three transforms of Winograd's F(4x4, 3x3), for the vector
 * of cpu_simd.h; the products between them are the tiles of cpu_template.h.
 *
 * Y = A' [(G g G') . (B' d B)] A with the points 0, 1, -1, 1/2, -2 and infinity: B' and A' have
 * small powers of two, and the error is a third less than with the usual 0, 1, -1, 2, -2.
 *
 *        1 -3/2  -2   3/2  1  0         1    0    0
 *        0  -1  1/2  5/2   1  0        1/3  1/3  1/3        1  1  1   1    1  0
 *   B' = 0   1 -5/2  1/2   1  0   G = -1/3  1/3 -1/3   A' = 0  1 -1  1/2  -2  0
 *        0  -2  -1    2    1  0       -16/15 -8/15 -4/15    0  1  1  1/4   4  0
 *        0  1/2 -1  -1/2   1  0        1/15 -2/15  4/15     0  1 -1  1/8  -8  1
 *        0   1 -3/2  -2  3/2  1         0    0    1
 */

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

/* One dimension of A': 6 numbers become 4. */
KERNEL void output_six(const vf m[6], vf y[4])
{
    const vf s = vf_add(m[1], m[2]), d = vf_sub(m[1], m[2]);
    y[0] = vf_add(vf_add(m[0], s), vf_add(m[3], m[4]));
    y[1] = vf_fma(vf_set(-2.0f), m[4], vf_fma(vf_set(0.5f), m[3], d));
    y[2] = vf_fma(vf_set(4.0f), m[4], vf_fma(vf_set(0.25f), m[3], s));
    y[3] = vf_fma(vf_set(-8.0f), m[4], vf_fma(vf_set(0.125f), m[3], vf_add(d, m[5])));
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

static void winograd_input(const sq_winograd_input *w)
{
    const float *at = w->in;
    float *to = w->out;
    for (int32_t i = 0; i < w->tiles; i++, at += w->in_tile, to += LANES) {
        vf half[6][6];
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++) {
            vf d[6], r[6];
#pragma GCC unroll 6
            for (int y = 0; y < 6; y++) {
                d[y] = vf_load(at + w->row[y] + w->column[x]);
            }
            input_six(d, r);
#pragma GCC unroll 6
            for (int y = 0; y < 6; y++) {
                half[y][x] = r[y];
            }
        }
#pragma GCC unroll 6
        for (int y = 0; y < 6; y++) {
            vf r[6];
            input_six(half[y], r);
#pragma GCC unroll 6
            for (int x = 0; x < 6; x++) {
                vf_store(to + (y * 6 + x) * w->out_point, r[x]);
            }
        }
    }
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

static void winograd_output(const sq_winograd_output *w)
{
    const vf bias = vf_load(w->bias);
    const float *at = w->in;
    float *to = w->out;
    for (int32_t i = 0; i < w->tiles; i++, at += LANES, to += w->out_tile) {
        vf half[4][6];
#pragma GCC unroll 6
        for (int x = 0; x < 6; x++) {
            vf m[6], y[4];
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) {
                m[j] = vf_load(at + (j * 6 + x) * w->in_point);
            }
            output_six(m, y);
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                half[j][x] = y[j];
            }
        }
        /* The row is unrolled so that `half` stays in registers as far as they go. */
#pragma GCC unroll 4
        for (int y = 0; y < 4; y++) {
            vf r[4];
            output_six(half[y], r);
#pragma GCC unroll 4
            for (int x = 0; x < 4; x++) {
                if (y < w->height && x < w->width) {
                    const vf v = vf_add(r[x], bias);
                    vf_store(to + y * w->out_row + x * w->out_pixel, w->act.kind == SQ_ACT_RELU
                                                                         ? vf_max(v, vf_set(0.0f))
                                                                         : activate(v, &w->act));
                }
            }
        }
    }
}
