/* nn/cpu/cpu_template.h - the kernels, written once for the vector of cpu_simd.h.
 *
 * The including file defines SQ_SIMD_*, TABLE (name of the table), TABLE_NAME, TABLE_ISA,
 * TABLE_LAYOUT, TABLE_RATE, PIXELS: pixels of a conv tile that fit the registers.
 */
#include "nn/cpu/cpu_kernels.h"
#include "nn/cpu/cpu_simd.h"
/* behind the vectors */
#include "nn/cpu/cpu_template_act.h"

static __attribute__((noinline)) void activate_tile(const sq_conv_tile *t, int pixels, int blocks)
{
    for (int b = 0; b < blocks; b++) {
        for (int i = 0; i < pixels; i++) {
            float *out = t->out + b * t->out_plane + i * t->out_pixel;
            vf_store(out, activate(vf_load(out), &t->act));
        }
    }
}

/* ------------------------------------------------------------------ convolution
 * All sums of a tile stay in registers over the whole reduction. Input is broadcast from memory at
 * constant displacements from one pointer, so nothing is packed but the weights. */
#define AHEAD 1024 /* floats of weights that are fetched before they are used */
KERNEL void conv_tile(const sq_conv_tile *t, const int pixels, const int blocks, const int step)
{
    vf sum[SQ_CONV_MAX_PIXELS][2];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        const float *start = t->accumulate ? t->out + i * t->out_pixel : t->bias;
        sum[i][0] = vf_load(start);
        if (blocks > 1) {
            sum[i][1] = vf_load(start + (t->accumulate ? t->out_plane : LANES));
        }
    }
    const float *weights = t->weights, *plane = t->in;
    for (int32_t c0 = 0; c0 < t->channels; c0 += LANES, plane += t->in_plane) {
        const int32_t left = t->channels - c0, channels = left < LANES ? left : LANES;
        const float *row = plane;
        for (int32_t y = 0; y < t->taps_y; y++, row += t->in_row) {
            const float *tap = row;
            for (int32_t x = 0; x < t->taps_x; x++, tap += t->in_tap) {
#pragma GCC unroll 1
                for (int32_t c = 0; c < channels; c++) {
                    /* Weights and the next block of input come from beyond the second-level
                     * cache; a run of them is too short for the processor to see. */
                    __builtin_prefetch(weights + AHEAD);
                    if (blocks > 1 && LANES == 16) {
                        __builtin_prefetch(weights + AHEAD + LANES);
                    }
                    if (c < pixels) {
                        __builtin_prefetch(tap + t->in_plane + c * step * LANES);
                    }
                    const vf w0 = vf_load(weights);
                    const vf w1 = blocks > 1 ? vf_load(weights + LANES) : w0;
                    weights += LANES * blocks;
#pragma GCC unroll 16
                    for (int i = 0; i < pixels; i++) {
                        const vf v = vf_set(tap[i * step * LANES + c]);
                        sum[i][0] = vf_fma(v, w0, sum[i][0]);
                        if (blocks > 1) {
                            sum[i][1] = vf_fma(v, w1, sum[i][1]);
                        }
                    }
                }
            }
        }
    }
    /* The cheap activations happen here; the others read the tile once more while it is in cache.
     */
    if (t->act.kind == SQ_ACT_RELU) {
#pragma GCC unroll 16
        for (int i = 0; i < pixels; i++) {
            sum[i][0] = vf_max(sum[i][0], vf_set(0.0f));
            if (blocks > 1) {
                sum[i][1] = vf_max(sum[i][1], vf_set(0.0f));
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        vf_store(t->out + i * t->out_pixel, sum[i][0]);
        if (blocks > 1) {
            vf_store(t->out + i * t->out_pixel + t->out_plane, sum[i][1]);
        }
    }
    if (t->act.kind > SQ_ACT_RELU) {
        activate_tile(t, pixels, blocks);
    }
}

#define TILE(p, b, s)                                       \
    static void tile_##p##_##b##_##s(const sq_conv_tile *t) \
    {                                                       \
        conv_tile(t, (p) <= PIXELS ? (p) : 1, b, s);        \
    }
/* clang-format does not come to rest on a macro of macros without separators. */
/* clang-format off */
#define TILES(b, s) \
    TILE(1, b, s) TILE(2, b, s) TILE(3, b, s) TILE(4, b, s) TILE(5, b, s) TILE(6, b, s) \
    TILE(7, b, s) TILE(8, b, s) TILE(9, b, s) TILE(10, b, s) TILE(11, b, s) TILE(12, b, s) \
    TILE(13, b, s) TILE(14, b, s)
/* clang-format on */
TILES(1, 1)
TILES(1, 2)
TILES(2, 1)
TILES(2, 2)
#define ROW(b, s)                                                                      \
    {                                                                                  \
        NULL, tile_1_##b##_##s, tile_2_##b##_##s, tile_3_##b##_##s, tile_4_##b##_##s,  \
            tile_5_##b##_##s, tile_6_##b##_##s, tile_7_##b##_##s, tile_8_##b##_##s,    \
            tile_9_##b##_##s, tile_10_##b##_##s, tile_11_##b##_##s, tile_12_##b##_##s, \
            tile_13_##b##_##s, tile_14_##b##_##s                                       \
    }

static void depthwise_row(const float *in, ptrdiff_t in_row, ptrdiff_t in_tap, ptrdiff_t in_pixel,
                          const float *weights, const float *bias, int32_t taps_y, int32_t taps_x,
                          float *out, int32_t pixels, const sq_cpu_act *act)
{
    const vf b = vf_load(bias);
    int32_t i = 0;
    /* Four pixels at a time: four chains of sums, each weight loaded once. */
    for (; i + 4 <= pixels; i += 4, in += 4 * in_pixel, out += 4 * LANES) {
        vf s0 = b, s1 = b, s2 = b, s3 = b;
        for (int32_t y = 0; y < taps_y; y++) {
            for (int32_t x = 0; x < taps_x; x++) {
                const float *p = in + y * in_row + x * in_tap;
                const vf w = vf_load(weights + (y * taps_x + x) * LANES);
                s0 = vf_fma(vf_load(p), w, s0);
                s1 = vf_fma(vf_load(p + in_pixel), w, s1);
                s2 = vf_fma(vf_load(p + 2 * in_pixel), w, s2);
                s3 = vf_fma(vf_load(p + 3 * in_pixel), w, s3);
            }
        }
        vf_store(out, activate(s0, act));
        vf_store(out + LANES, activate(s1, act));
        vf_store(out + 2 * LANES, activate(s2, act));
        vf_store(out + 3 * LANES, activate(s3, act));
    }
    for (; i < pixels; i++, in += in_pixel, out += LANES) {
        vf s = b;
        for (int32_t y = 0; y < taps_y; y++) {
            for (int32_t x = 0; x < taps_x; x++) {
                s = vf_fma(vf_load(in + y * in_row + x * in_tap),
                           vf_load(weights + (y * taps_x + x) * LANES), s);
            }
        }
        vf_store(out, activate(s, act));
    }
}

static void spread_row(const float *in, const int32_t *lane, float *out, int32_t pixels)
{
    const vi index = vi_load(lane);
    for (int32_t i = 0; i < pixels; i++) {
        vf_store(out + (ptrdiff_t)i * LANES, vf_permute(in + (ptrdiff_t)i * LANES, index));
    }
}

/* ------------------------------------------------------------------ element by element */

KERNEL vf combine(vf a, vf b, sq_op op)
{
    return op == SQ_OP_Add   ? vf_add(a, b)
           : op == SQ_OP_Sub ? vf_sub(a, b)
           : op == SQ_OP_Mul ? vf_mul(a, b)
                             : vf_div(a, b);
}

/* A tail shorter than a vector goes through a buffer of its own: nothing past `count` is touched.
 */
static void unary(const float *in, float *out, size_t count, const sq_cpu_act *act)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf_store(out + i, activate(vf_load(in + i), act));
    }
    if (i < count) {
        float part[LANES] = {0};
        memcpy(part, in + i, (count - i) * sizeof *part);
        vf_store(part, activate(vf_load(part), act));
        memcpy(out + i, part, (count - i) * sizeof *part);
    }
}

static void binary(const float *a, const float *b, float *out, size_t count, sq_op op,
                   const sq_cpu_act *act)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf_store(out + i, activate(combine(vf_load(a + i), vf_load(b + i), op), act));
    }
    if (i < count) {
        float left[LANES] = {0}, right[LANES];
        const size_t rest = (count - i) * sizeof *left;
        vf_store(right, vf_set(1.0f));
        memcpy(left, a + i, rest);
        memcpy(right, b + i, rest);
        vf_store(left, activate(combine(vf_load(left), vf_load(right), op), act));
        memcpy(out + i, left, rest);
    }
}

static void binary_block(const float *a, const float *block, float *out, size_t pixels, sq_op op,
                         const sq_cpu_act *act)
{
    const vf b = vf_load(block);
    for (size_t i = 0; i < pixels; i++) {
        vf_store(out + i * LANES, activate(combine(vf_load(a + i * LANES), b, op), act));
    }
}

static void binary_pixel(const float *a, const float *pixel, float *out, size_t pixels, sq_op op,
                         const sq_cpu_act *act)
{
    for (size_t i = 0; i < pixels; i++) {
        vf_store(out + i * LANES,
                 activate(combine(vf_load(a + i * LANES), vf_set(pixel[i]), op), act));
    }
}

/* ------------------------------------------------------------------ plain and blocked */

static void block_row(const float *in, ptrdiff_t plane, int32_t channels, float *out,
                      int32_t pixels)
{
    int32_t i = 0;
    for (; i + LANES <= pixels; i += LANES) {
        vf r[LANES];
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) {
            r[l] = l < channels ? vf_load(in + l * plane + i) : vf_set(0.0f);
        }
        vf_transpose(r);
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) {
            vf_store(out + (ptrdiff_t)(i + l) * LANES, r[l]);
        }
    }
    for (; i < pixels; i++) {
        for (int l = 0; l < LANES; l++) {
            out[(ptrdiff_t)i * LANES + l] = l < channels ? in[l * plane + i] : 0.0f;
        }
    }
}

static void plain_row(const float *in, float *out, ptrdiff_t plane, int32_t channels,
                      int32_t pixels)
{
    int32_t i = 0;
    for (; i + LANES <= pixels; i += LANES) {
        vf r[LANES];
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) {
            r[l] = vf_load(in + (ptrdiff_t)(i + l) * LANES);
        }
        vf_transpose(r);
#pragma GCC unroll 16
        for (int l = 0; l < LANES; l++) {
            if (l < channels) {
                vf_store(out + l * plane + i, r[l]);
            }
        }
    }
    for (; i < pixels; i++) {
        for (int l = 0; l < channels; l++) {
            out[l * plane + i] = in[(ptrdiff_t)i * LANES + l];
        }
    }
}

/* ------------------------------------------------------------------ gates of recurrent cells */

KERNEL vf load_part(const float *from, size_t count)
{
    float part[LANES] = {0};
    if (count >= LANES) {
        return vf_load(from);
    }
    memcpy(part, from, count * sizeof *part);
    return vf_load(part);
}

KERNEL void store_part(float *to, vf value, size_t count)
{
    float part[LANES];
    if (count >= LANES) {
        vf_store(to, value);
        return;
    }
    vf_store(part, value);
    memcpy(to, part, count * sizeof *part);
}

static void lstm_run(const float *const gates[4], const float *cell, float *hidden, float *kept,
                     size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const size_t left = count - i;
        const vf in = vf_sigmoid(load_part(gates[0] + i, left));
        const vf forget = vf_sigmoid(load_part(gates[1] + i, left));
        const vf fresh = vf_tanh(load_part(gates[3] + i, left));
        const vf now = vf_fma(forget, load_part(cell + i, left), vf_mul(in, fresh));
        if (kept != NULL) {
            store_part(kept + i, now, left);
        }
        if (hidden != NULL) {
            const vf out = vf_sigmoid(load_part(gates[2] + i, left));
            store_part(hidden + i, vf_mul(out, vf_tanh(now)), left);
        }
    }
}

static void gru_run(const float *gate, bool squash, const float *state, const float *fresh,
                    float *out, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        const size_t left = count - i;
        const vf raw = load_part(gate + i, left), g = squash ? vf_sigmoid(raw) : raw;
        const vf old = load_part(state + i, left);
        const vf kept = vf_mul(fresh != NULL ? vf_sub(vf_set(1.0f), g) : g, old);
        store_part(out + i, fresh != NULL ? vf_fma(g, load_part(fresh + i, left), kept) : kept,
                   left);
    }
}

/* ------------------------------------------------------------------ pooling, resizing */

static void max_row(const float *in, ptrdiff_t in_row, ptrdiff_t in_pixel, int32_t taps_y,
                    int32_t taps_x, float *out, int32_t pixels)
{
    for (int32_t i = 0; i < pixels; i++, in += in_pixel, out += LANES) {
        vf most = vf_load(in);
        for (int32_t y = 0; y < taps_y; y++) {
            for (int32_t x = 0; x < taps_x; x++) {
                most = vf_max(most, vf_load(in + y * in_row + x * LANES));
            }
        }
        vf_store(out, most);
    }
}

static void lerp_row(const float *row0, const float *row1, const int32_t *left,
                     const int32_t *right, const float *weight_x, float weight_y, float *out,
                     int32_t pixels)
{
    const vf wy = vf_set(weight_y);
    for (int32_t i = 0; i < pixels; i++, out += LANES) {
        const vf wx = vf_set(weight_x[i]);
        const vf a = vf_load(row0 + (ptrdiff_t)left[i] * LANES);
        const vf b = vf_load(row0 + (ptrdiff_t)right[i] * LANES);
        const vf c = vf_load(row1 + (ptrdiff_t)left[i] * LANES);
        const vf d = vf_load(row1 + (ptrdiff_t)right[i] * LANES);
        const vf top = vf_fma(wx, vf_sub(b, a), a), bottom = vf_fma(wx, vf_sub(d, c), c);
        vf_store(out, vf_fma(wy, vf_sub(bottom, top), top));
    }
}

/* Whole blocks are joined lane by lane, then the lanes of one vector. */
static void reduce_channels(const float *in, ptrdiff_t plane, int32_t channels, int32_t pixels,
                            float *max, float *sum)
{
    const int32_t whole = channels / LANES, rest = channels % LANES;
    for (int32_t i = 0; i < pixels; i++, in += LANES) {
        float m[LANES], t[LANES];
        int32_t used = rest;
        if (whole > 0) {
            vf most = vf_load(in), total = most;
            for (int32_t b = 1; b < whole; b++) {
                const vf v = vf_load(in + b * plane);
                most = vf_max(most, v);
                total = vf_add(total, v);
            }
            vf_store(m, most);
            vf_store(t, total);
            for (int32_t l = 0; l < rest; l++) {
                const float v = in[whole * plane + l];
                m[l] = v > m[l] ? v : m[l];
                t[l] += v;
            }
            used = LANES;
        } else {
            memcpy(m, in, (size_t)rest * sizeof *m);
            memcpy(t, in, (size_t)rest * sizeof *t);
        }
        for (int32_t l = 1; l < used; l++) {
            m[0] = m[l] > m[0] ? m[l] : m[0];
            t[0] += t[l];
        }
        max[i] = m[0];
        sum[i] = t[0];
    }
}

/* Sums are kept in float over short runs and in double beyond. */
static void reduce_pixels(const float *in, size_t pixels, float *max, double *sum)
{
    enum { RUN = 64 };
    vf most = vf_load(in);
    for (int l = 0; l < LANES; l++) {
        sum[l] = 0.0;
    }
    for (size_t i = 0; i < pixels;) {
        float part[LANES];
        vf total = vf_set(0.0f);
        for (size_t end = i + RUN < pixels ? i + RUN : pixels; i < end; i++) {
            const vf v = vf_load(in + i * LANES);
            most = vf_max(most, v);
            total = vf_add(total, v);
        }
        vf_store(part, total);
        for (int l = 0; l < LANES; l++) {
            sum[l] += (double)part[l];
        }
    }
    vf_store(max, most);
}

#include "nn/cpu/cpu_template_few.h"
#include "nn/cpu/cpu_template_winograd.h"

const sq_cpu_kernels TABLE = {
    .name = TABLE_NAME,
    .isa = TABLE_ISA,
    .lanes = LANES,
    .layout = TABLE_LAYOUT,
    .max_pixels = PIXELS,
    .rate = TABLE_RATE,
    .conv_tile = {{ROW(1, 1), ROW(1, 2)}, {ROW(2, 1), ROW(2, 2)}},
    .max_tiles = {2 * PIXELS, PIXELS},
    .winograd_product = {products_1, products_2},
    .winograd_input = {winograd_input_4, winograd_input_6},
    .winograd_output = {winograd_output_4, winograd_output_6},
    .winograd_weights = winograd_weights,
    .few_run = few_run,
    .depthwise_row = depthwise_row,
    .spread_row = spread_row,
    .unary = unary,
    .binary = binary,
    .binary_block = binary_block,
    .binary_pixel = binary_pixel,
    .block_row = block_row,
    .plain_row = plain_row,
    .lstm_run = lstm_run,
    .gru_run = gru_run,
    .max_row = max_row,
    .lerp_row = lerp_row,
    .reduce_channels = reduce_channels,
    .reduce_pixels = reduce_pixels,
};
