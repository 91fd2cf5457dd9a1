/* nn/cpu/cpu_template_qtile_neon.h - tiles of convolutions of 8 bits in NEON, part of
 * cpu_template_quant.h.
 *
 * SQ_SIMD_I8MM: USMMLA multiplies two pixels and two outputs by eight channels. SQ_SIMD_DOT: SDOT
 * by a lane takes four channels of a pixel, which are signed, less 128; the bias makes up for it.
 * Without either, SMLAL by a lane multiplies in 16 bits. All sums are whole numbers: the same bits.
 */
/* Loads stay behind this: gcc would do them all first, more than there are registers. */
#define KEEP_ORDER() __asm__ volatile("" : : : "memory")

#if defined(SQ_SIMD_I8MM)
enum { GROUP = 8, OFFSET = 0 };
#define RATE 2.2e11

/* Sums of pixels 2i and 2i + 1, in pairs of outputs: two of the first pixel, two of the second. */
#define HALF(p) (((p) + 1) / 2)
typedef int32x4_t qtile_sums[SQ_CONV_MAX_PIXELS / 2][2 * LANES / 2];

KERNEL void qtile_start(const sq_qconv_tile *t, qtile_sums sum, const int pixels, const int blocks)
{
#pragma GCC unroll 8
    for (int k = 0; k < blocks * LANES / 2; k++) {
        const int32x2_t bias = vld1_s32(t->bias + 2 * k);
#pragma GCC unroll 3
        for (int i = 0; i < HALF(pixels); i++) {
            sum[i][k] = vcombine_s32(bias, bias);
        }
    }
}

/* All channels of one block of inputs at one tap. */
KERNEL const int8_t *qtile_tap(qtile_sums sum, const uint8_t *tap, int32_t channels,
                               const int8_t *weights, const int pixels, const int blocks,
                               const int step)
{
    uint8x16_t x[SQ_CONV_MAX_PIXELS / 2];
    (void)channels;
#pragma GCC unroll 3
    for (int i = 0; i < HALF(pixels); i++) {
        const uint8x8_t first = vld1_u8(tap + 2 * i * step * LANES);
        x[i] = 2 * i + 1 < pixels ? vcombine_u8(first, vld1_u8(tap + (2 * i + 1) * step * LANES))
                                  : vcombine_u8(first, first);
    }
#pragma GCC unroll 8
    for (int k = 0; k < blocks * LANES / 2; k++) {
        const int8x16_t w = vld1q_s8(weights + k * 16);
        if (k % 4 ==
            0) { /* keeps gcc from loading all weights first, more than there are registers */
            __asm__ volatile("" : : : "memory");
        }
#pragma GCC unroll 3
        for (int i = 0; i < HALF(pixels); i++) {
            sum[i][k] = vusmmlaq_s32(sum[i][k], x[i], w);
        }
    }
    return weights + (ptrdiff_t)blocks * LANES * GROUP;
}

KERNEL vq qtile_sum(qtile_sums sum, const int pixel, const int block)
{
    const int32x4_t *s = sum[pixel / 2] + block * LANES / 2;
    if (pixel % 2 == 0) {
        return (vq){vcombine_s32(vget_low_s32(s[0]), vget_low_s32(s[1])),
                    vcombine_s32(vget_low_s32(s[2]), vget_low_s32(s[3]))};
    }
    return (vq){vcombine_s32(vget_high_s32(s[0]), vget_high_s32(s[1])),
                vcombine_s32(vget_high_s32(s[2]), vget_high_s32(s[3]))};
}

#else
typedef int32x4_t qtile_sums[SQ_CONV_MAX_PIXELS][2 * LANES / 4];

KERNEL void qtile_start(const sq_qconv_tile *t, qtile_sums sum, const int pixels, const int blocks)
{
#pragma GCC unroll 4
    for (int k = 0; k < blocks * LANES / 4; k++) {
        const int32x4_t bias = vld1q_s32(t->bias + 4 * k);
#pragma GCC unroll 6
        for (int i = 0; i < pixels; i++) {
            sum[i][k] = bias;
        }
    }
}

KERNEL vq qtile_sum(qtile_sums sum, const int pixel, const int block)
{
    return (vq){sum[pixel][2 * block], sum[pixel][2 * block + 1]};
}

#if defined(SQ_SIMD_DOT)
enum { GROUP = 4, OFFSET = 128 };
#define RATE 1.1e11

#define DOT(lane)                                                                         \
    _Pragma("GCC unroll 6") for (int i = 0; i < pixels; i++)                              \
    {                                                                                     \
        if (i % 2 == 0) {                                                                 \
            KEEP_ORDER();                                                                 \
        }                                                                                 \
        const int8x8_t x =                                                                \
            vreinterpret_s8_u8(veor_u8(vld1_u8(tap + i * step * LANES), vdup_n_u8(128))); \
        _Pragma("GCC unroll 4") for (int k = 0; k < blocks * LANES / 4; k++)              \
        {                                                                                 \
            sum[i][k] = vdotq_lane_s32(sum[i][k], w[k], x, lane);                         \
        }                                                                                 \
    }
KERNEL const int8_t *qtile_tap(qtile_sums sum, const uint8_t *tap, int32_t channels,
                               const int8_t *weights, const int pixels, const int blocks,
                               const int step)
{
    int8x16_t w[2 * LANES / 4];
#pragma GCC unroll 4
    for (int k = 0; k < blocks * LANES / 4; k++) {
        w[k] = vld1q_s8(weights + k * 16);
    }
    DOT(0)
    weights += (ptrdiff_t)blocks * LANES * GROUP;
    if (channels <= GROUP) {
        return weights;
    }
#pragma GCC unroll 4
    for (int k = 0; k < blocks * LANES / 4; k++) {
        w[k] = vld1q_s8(weights + k * 16);
    }
    DOT(1)
    return weights + (ptrdiff_t)blocks * LANES * GROUP;
}

#else
enum { GROUP = 1, OFFSET = 0 };
#define RATE 3e10

#define MULTIPLY(half, x, lane)                                                                 \
    sum[i][2 * b] = vmlal_lane_s16(sum[i][2 * b], vget_low_s16(w), vget_##half##_s16(x), lane); \
    sum[i][2 * b + 1] =                                                                         \
        vmlal_lane_s16(sum[i][2 * b + 1], vget_high_s16(w), vget_##half##_s16(x), lane);
#define CHANNEL(c, half, lane)                                                     \
    if ((c) < channels) {                                                          \
        _Pragma("GCC unroll 2") for (int b = 0; b < blocks; b++, weights += LANES) \
        {                                                                          \
            const int16x8_t w = vmovl_s8(vld1_s8(weights));                        \
            _Pragma("GCC unroll 6") for (int i = 0; i < pixels; i++)               \
            {                                                                      \
                MULTIPLY(half, x[i], lane)                                         \
            }                                                                      \
        }                                                                          \
    }
KERNEL const int8_t *qtile_tap(qtile_sums sum, const uint8_t *tap, int32_t channels,
                               const int8_t *weights, const int pixels, const int blocks,
                               const int step)
{
    int16x8_t x[SQ_CONV_MAX_PIXELS];
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++) {
        x[i] = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(tap + i * step * LANES)));
    }
    CHANNEL(0, low, 0)
    CHANNEL(1, low, 1)
    CHANNEL(2, low, 2)
    CHANNEL(3, low, 3)
    CHANNEL(4, high, 0)
    CHANNEL(5, high, 1)
    CHANNEL(6, high, 2)
    CHANNEL(7, high, 3)
    return weights;
}
#endif
#endif

KERNEL void add_image(const sq_qconv_image *image, qtile_sums sum, const int pixels,
                      const int blocks, const int step)
{
    const int8_t *weights = image->weights;
    const uint8_t *plane = image->in;
    for (int32_t c0 = 0; c0 < image->channels; c0 += LANES, plane += image->in_plane) {
        const int32_t left = image->channels - c0;
        const uint8_t *row = plane;
        for (int32_t y = 0; y < image->taps_y; y++, row += image->in_row) {
            const uint8_t *tap = row;
            for (int32_t x = 0; x < image->taps_x; x++, tap += image->in_tap) {
                weights = qtile_tap(sum, tap, left, weights, pixels, blocks, step);
            }
        }
    }
}

KERNEL void qconv_tile(const sq_qconv_tile *t, const int pixels, const int blocks)
{
    qtile_sums sum;
    qtile_start(t, sum, pixels, blocks);
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
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++) {
        put(&end, qtile_sum(sum, i, 0), m0, i * pixel);
        if (blocks > 1) {
            put(&end, qtile_sum(sum, i, 1), m1, i * pixel + plane);
        }
    }
    if (t->to_float && t->act.kind > SQ_ACT_RELU) {
        activate_floats(t, pixels, blocks);
    }
}
