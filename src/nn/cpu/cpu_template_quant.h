/* nn/cpu/cpu_template_quant.h - the kernels for numbers of 8 bits, written once for the vectors of
 * cpu_simd.h and cpu_simd_quant.h.
 *
 * The including file defines what cpu_template.h wants too: SQ_SIMD_*, TABLE, TABLE_NAME, PIXELS.
 * NEON's tiles are in cpu_template_qtile_neon.h.
 */
#include "nn/cpu/cpu_quant.h"
#include "nn/cpu/cpu_simd_quant.h"
/* behind the vectors */
#include "nn/cpu/cpu_template_act.h"

enum { GROUP_BYTES = LANES * SQ_QCONV_GROUP };

/* How a tile ends, out of reach of the bytes that it stores: they might be the tile's own, for all
 * that a compiler knows. */
typedef struct ending {
    void *out;
    float low, high;
    int32_t zero;
    bool to_float;
    sq_cpu_act act;
} ending;

KERNEL ending ending_of(const sq_qconv_tile *t)
{
    return (ending){t->out, t->low, t->high, t->zero, t->to_float, t->act};
}

/* What becomes of LANES sums: multiplication, and the type of the output. */
KERNEL void put(const ending *e, vq sum, vf multiplier, ptrdiff_t at)
{
    vf value = vf_mul(vq_to_float(sum), multiplier);
    if (!e->to_float) {
        if (e->act.kind == SQ_ACT_LEAKY_RELU) {
            value = activate(value, &e->act);
        }
        vf_store_u8((uint8_t *)e->out + at, vf_hold(value, e->low, e->high), e->zero);
    } else if (e->act.kind == SQ_ACT_RELU) {
        vf_store((float *)e->out + at, vf_max(value, vf_set(0.0f)));
    } else {
        vf_store((float *)e->out + at, value);
    }
}

static __attribute__((noinline)) void activate_floats(const sq_qconv_tile *t, int pixels,
                                                      int blocks)
{
    for (int b = 0; b < blocks; b++) {
        for (int i = 0; i < pixels; i++) {
            float *out = (float *)t->out + b * t->out_plane + i * t->out_pixel;
            vf_store(out, activate(vf_load(out), &t->act));
        }
    }
}

#if defined(SQ_SIMD_NEON)
#include "nn/cpu/cpu_template_qtile_neon.h"
#else
/* Channels that one instruction multiplies and adds up. */
enum { GROUP = SQ_QCONV_GROUP, OFFSET = 0 };
#define RATE 0

/* What one image adds to the sums; four neighbouring channels are broadcast from memory at constant
 * displacements from one pointer. */
KERNEL void add_image(const sq_qconv_image *image, vq sum[SQ_CONV_MAX_PIXELS][2], const int pixels,
                      const int blocks, const int step)
{
    const int8_t *weights = image->weights;
    const uint8_t *plane = image->in;
    for (int32_t c0 = 0; c0 < image->channels; c0 += LANES, plane += image->in_plane) {
        const int32_t left = image->channels - c0;
        const int32_t bytes = left < LANES ? (left + 3) / 4 * 4 : LANES;
        const uint8_t *row = plane;
        for (int32_t y = 0; y < image->taps_y; y++, row += image->in_row) {
            const uint8_t *tap = row;
            for (int32_t x = 0; x < image->taps_x; x++, tap += image->in_tap) {
#pragma GCC unroll 1
                for (int32_t c = 0; c < bytes; c += GROUP) {
                    const vq_w w0 = vq_w_load(weights);
                    const vq_w w1 = vq_w_load(weights + (blocks > 1 ? GROUP_BYTES : 0));
                    weights += GROUP_BYTES * blocks;
#pragma GCC unroll 16
                    for (int i = 0; i < pixels; i++) {
                        const vq_x v = vq_x_load(tap + i * step * LANES + c);
                        vq_dot(sum[i][0], v, w0);
                        if (blocks > 1) {
                            vq_dot(sum[i][1], v, w1);
                        }
                    }
                }
            }
        }
    }
}

/* All sums of a tile stay in registers over the whole reduction. */
KERNEL void qconv_tile(const sq_qconv_tile *t, const int pixels, const int blocks)
{
    vq sum[SQ_CONV_MAX_PIXELS][2];
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        sum[i][0] = vq_load(t->bias);
        if (blocks > 1) {
            sum[i][1] = vq_load(t->bias + LANES);
        }
    }
    for (int32_t s = 0; s < t->image_count; s++) {
        if (t->images[s].step == 1) {
            add_image(&t->images[s], sum, pixels, blocks, 1);
        } else {
            add_image(&t->images[s], sum, pixels, blocks, 2);
        }
    }
    const ending end = ending_of(t);
    const vf m0 = vf_load(t->multiplier), m1 = vf_load(t->multiplier + (blocks > 1 ? LANES : 0));
    const ptrdiff_t pixel = t->out_pixel, plane = t->out_plane;
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++) {
        put(&end, sum[i][0], m0, i * pixel);
        if (blocks > 1) {
            put(&end, sum[i][1], m1, i * pixel + plane);
        }
    }
    if (t->to_float && t->act.kind > SQ_ACT_RELU) {
        activate_floats(t, pixels, blocks);
    }
}
#endif

#define TILE(p, b)                                           \
    static void qconv_tile_##p##_##b(const sq_qconv_tile *t) \
    {                                                        \
        qconv_tile(t, p, b);                                 \
    }
#define TILES(p) TILE(p, 1) TILE(p, 2)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
#if PIXELS > 4
TILES(5)
TILES(6)
#endif
#if PIXELS > 6
TILES(7)
TILES(8)
TILES(9)
TILES(10)
#endif
#if PIXELS > 10
TILES(11)
TILES(12)
TILES(13)
TILES(14)
#endif

#define NAME(p, b) qconv_tile_##p##_##b
#if PIXELS == 4
#define ROW(b)                                               \
    {                                                        \
        NULL, NAME(1, b), NAME(2, b), NAME(3, b), NAME(4, b) \
    }
#elif PIXELS == 6
#define ROW(b)                                                                       \
    {                                                                                \
        NULL, NAME(1, b), NAME(2, b), NAME(3, b), NAME(4, b), NAME(5, b), NAME(6, b) \
    }
#elif PIXELS == 10
#define ROW(b)                                                                                    \
    {                                                                                             \
        NULL, NAME(1, b), NAME(2, b), NAME(3, b), NAME(4, b), NAME(5, b), NAME(6, b), NAME(7, b), \
            NAME(8, b), NAME(9, b), NAME(10, b)                                                   \
    }
#elif PIXELS == 14
#define ROW(b)                                                                                    \
    {                                                                                             \
        NULL, NAME(1, b), NAME(2, b), NAME(3, b), NAME(4, b), NAME(5, b), NAME(6, b), NAME(7, b), \
            NAME(8, b), NAME(9, b), NAME(10, b), NAME(11, b), NAME(12, b), NAME(13, b),           \
            NAME(14, b)                                                                           \
    }
#endif

/* ------------------------------------------------------------------ depthwise */

/* Some pixels of a row, from pixel `first` on. */
KERNEL void depth_pixels(const sq_qdepth_row *r, const sq_qconv_tile *t, const ending *end,
                         vq_pick by, int32_t first, const int count)
{
    const uint8_t *row = r->in + first * r->in_pixel;
    const int8_t *weights = r->weights;
    vq sum[4];
    for (int i = 0; i < count; i++) {
        sum[i] = vq_load(t->bias);
    }
    for (int32_t y = 0; y < r->taps_y; y++, row += r->in_row) {
        const uint8_t *at = row;
        for (int32_t g = 0; g < r->groups; g++, at += r->in_group, weights += GROUP_BYTES) {
            const vq_w w = vq_w_load(weights);
#pragma GCC unroll 4
            for (int i = 0; i < count; i++) {
                vq_dot_each(sum[i], vq_each_load(at + i * r->in_pixel, by), w);
            }
        }
    }
    const vf multiplier = vf_load(t->multiplier);
    for (int i = 0; i < count; i++) {
        put(end, sum[i], multiplier, (ptrdiff_t)(first + i) * LANES);
    }
}

static void depth_row(const sq_qdepth_row *r, const sq_qconv_tile *t, int32_t pixels)
{
    const vq_pick by = vq_pick_make(r->lane);
    const ending end = ending_of(t);
    int32_t i = 0;
    for (; i + 4 <= pixels; i += 4) {
        depth_pixels(r, t, &end, by, i, 4);
    }
    for (; i < pixels; i++) {
        depth_pixels(r, t, &end, by, i, 1);
    }
    if (t->to_float && t->act.kind > SQ_ACT_RELU) {
        activate_floats(t, pixels, 1);
    }
}

/* ------------------------------------------------------------------ to and from floats */

static void quantize(const float *in, uint8_t *out, size_t count, float scale, int32_t zero)
{
    const float low = (float)-zero, high = (float)(255 - zero);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vf v = vf_no_nan(vf_div(vf_load(in + i), vf_set(scale)));
        vf_store_u8(out + i, vf_hold(v, low, high), zero);
    }
    if (i < count) {
        float part[LANES] = {0};
        uint8_t bytes[LANES];
        memcpy(part, in + i, (count - i) * sizeof *part);
        vf_store_u8(bytes, vf_hold(vf_no_nan(vf_div(vf_load(part), vf_set(scale))), low, high),
                    zero);
        memcpy(out + i, bytes, count - i);
    }
}

static void dequantize(const uint8_t *in, float *out, size_t count, float scale, int32_t zero)
{
    const vf moved = vf_set((float)zero), by = vf_set(scale);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf_store(out + i, vf_mul(vf_sub(vf_load_u8(in + i), moved), by));
    }
    for (; i < count; i++) {
        out[i] = (float)(in[i] - zero) * scale;
    }
}

const sq_cpu_quant TABLE = {
    .name = TABLE_NAME,
    .lanes = LANES,
    .max_pixels = PIXELS,
    .rate = RATE,
    .group = GROUP,
    .offset = OFFSET,
    .conv_tile = {ROW(1), ROW(2)},
    .depth_row = depth_row,
    .quantize = quantize,
    .dequantize = dequantize,
};
