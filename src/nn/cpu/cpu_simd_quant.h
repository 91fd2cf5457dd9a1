/* nn/cpu/cpu_simd_quant.h - sums of products of 8 bits, as each instruction set has them: `vq` is a
 * vector of LANES sums. By the definitions of cpu_simd.h, and SQ_SIMD_VNNI beside SQ_SIMD_AVX512
 * where the processor has the instruction.
 *
 * vq_dot(sum, x, w) adds to each lane four products of x (unsigned, the same four for all lanes)
 * and w (signed); NEON has tiles of its own instead. Where there is no such instruction the
 * products are of 16 bits, whose sums of two do not overflow: the same numbers. vq_dot_each(sum, x,
 * w) takes four numbers of its own for each lane, which vq_each_load(p, by) gathers: those of one
 * channel in four neighbouring pixels at p.
 */

#include "nn/cpu/cpu_simd.h"

static inline int32_t sq_load_int(const void *p)
{
    int32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

#if defined(SQ_SIMD_AVX512) || defined(SQ_SIMD_AVX2)
/* How four neighbouring pixels are shuffled so that lane l has its channel, lane[l], of all of
 * them: words to the lanes, then bytes within each quarter. */
static inline void vq_pick_fill(const uint8_t *lane, uint32_t *words, uint8_t *bytes)
{
    for (int l = 0; l < LANES; l++) {
        words[l] = (uint32_t)(l % 4 * (LANES / 4) + lane[l / 4 * 4] / 4);
        for (int i = 0; i < 4; i++) {
            bytes[l * 4 + i] = (uint8_t)(i * 4 + lane[l] % 4);
        }
    }
}
#endif

#if defined(SQ_SIMD_AVX512)
typedef __m512i vq;
#define vq_load(p)     _mm512_loadu_si512(p)
#define vq_to_float(q) _mm512_cvtepi32_ps(q)
#if defined(SQ_SIMD_VNNI)
typedef __m512i vq_x, vq_w;
#define vq_x_load(p) _mm512_set1_epi32(sq_load_int(p))
#define vq_w_load(p) _mm512_loadu_si512(p)
/* The empty statement keeps gcc 12 from moving sums to memory, which makes the kernel half as fast.
 */
#define vq_dot(sum, x, w)                       \
    do {                                        \
        (sum) = _mm512_dpbusd_epi32(sum, x, w); \
        __asm__("" : "+v"(sum));                \
    } while (0)
#else
typedef struct vq_pair {
    __m512i even, odd;
} vq_x, vq_w;
#define vq_x_load(p) vq_x_split(_mm512_set1_epi32(sq_load_int(p)))
#define vq_w_load(p) vq_w_split(_mm512_loadu_si512(p))
static inline vq_x vq_x_split(__m512i v)
{
    return (vq_x){_mm512_and_si512(v, _mm512_set1_epi16(255)), _mm512_srli_epi16(v, 8)};
}
static inline vq_w vq_w_split(__m512i v)
{
    return (vq_w){_mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8), _mm512_srai_epi16(v, 8)};
}
#define vq_dot(sum, x, w)                                                                  \
    ((sum) = _mm512_add_epi32(sum, _mm512_add_epi32(_mm512_madd_epi16((x).even, (w).even), \
                                                    _mm512_madd_epi16((x).odd, (w).odd))))
#endif
typedef struct vq_pick {
    __m512i words, bytes;
} vq_pick;
/* Words of four channels of the four pixels go to the lanes that want them, then bytes. */
static inline vq_pick vq_pick_make(const uint8_t *lane)
{
    uint32_t words[LANES];
    uint8_t bytes[LANES * 4];
    vq_pick_fill(lane, words, bytes);
    return (vq_pick){_mm512_loadu_si512(words), _mm512_loadu_si512(bytes)};
}
#define vq_gather(p, by) \
    _mm512_shuffle_epi8(_mm512_permutexvar_epi32((by).words, _mm512_loadu_si512(p)), (by).bytes)
#if defined(SQ_SIMD_VNNI)
#define vq_each_load(p, by) vq_gather(p, by)
#else
#define vq_each_load(p, by) vq_x_split(vq_gather(p, by))
#endif
#define vq_dot_each(sum, x, w) vq_dot(sum, x, w)
#define vf_store_u8(p, v, zero)                                                                \
    _mm_storeu_si128((void *)(p), _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), \
                                                                        _mm512_set1_epi32(zero))))
#define vf_load_u8(p) _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(p))))
#define vf_no_nan(v)  _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v)

#elif defined(SQ_SIMD_AVX2)
typedef __m256i vq;
#define vq_load(p)     _mm256_loadu_si256((const void *)(p))
#define vq_to_float(q) _mm256_cvtepi32_ps(q)
typedef struct vq_pair {
    __m256i even, odd;
} vq_x, vq_w;
#define vq_x_load(p)   vq_x_split(_mm256_set1_epi32(sq_load_int(p)))
#define vq_w_load(p)   vq_w_split(_mm256_loadu_si256((const void *)(p)))
static inline vq_x vq_x_split(__m256i v)
{
    return (vq_x){_mm256_and_si256(v, _mm256_set1_epi16(255)), _mm256_srli_epi16(v, 8)};
}
static inline vq_w vq_w_split(__m256i v)
{
    return (vq_w){_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
}
#define vq_dot(sum, x, w)                                                                  \
    ((sum) = _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_madd_epi16((x).even, (w).even), \
                                                    _mm256_madd_epi16((x).odd, (w).odd))))
typedef struct vq_pick {
    __m256i words, bytes;
} vq_pick;
/* As with AVX-512; pixels are of two words here. */
static inline vq_pick vq_pick_make(const uint8_t *lane)
{
    uint32_t words[LANES];
    uint8_t bytes[LANES * 4];
    vq_pick_fill(lane, words, bytes);
    return (vq_pick){_mm256_loadu_si256((const void *)words),
                     _mm256_loadu_si256((const void *)bytes)};
}
#define vq_each_load(p, by)                                                                    \
    vq_x_split(                                                                                \
        _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(_mm256_loadu_si256((const void *)(p)), \
                                                        (by).words),                           \
                            (by).bytes))
#define vq_dot_each(sum, x, w) vq_dot(sum, x, w)
static inline void vf_store_u8(uint8_t *p, vf v, int32_t zero)
{
    const __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}
#define vf_load_u8(p)          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(p))))
#define vf_no_nan(v)           _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q))

#elif defined(SQ_SIMD_NEON)
typedef struct vq {
    int32x4_t a, b;
} vq;
static inline vq vq_load(const int32_t *p)
{
    return (vq){vld1q_s32(p), vld1q_s32(p + 4)};
}
static inline vf vq_to_float(vq q)
{
    return (vf){vcvtq_f32_s32(q.a), vcvtq_f32_s32(q.b)};
}
typedef struct vq_w {
    int16x8_t v[4]; /* two lanes each */
} vq_w;
static inline vq_w vq_w_load(const int8_t *p)
{
    return (vq_w){{vmovl_s8(vld1_s8(p)), vmovl_s8(vld1_s8(p + 8)), vmovl_s8(vld1_s8(p + 16)),
                   vmovl_s8(vld1_s8(p + 24))}};
}
typedef struct vq_pick {
    uint8x16_t low, high; /* where the bytes of lanes 0..3 and 4..7 are */
} vq_pick;
static inline vq_pick vq_pick_make(const uint8_t *lane)
{
    uint8_t at[LANES * 4];
    for (int i = 0; i < LANES * 4; i++) {
        at[i] = (uint8_t)(i % 4 * LANES + lane[i / 4]);
    }
    return (vq_pick){vld1q_u8(at), vld1q_u8(at + 16)};
}
typedef struct vq_w vq_each; /* two lanes each, too */
static inline vq_each vq_each_load(const uint8_t *p, vq_pick by)
{
    const uint8x16x2_t four = {{vld1q_u8(p), vld1q_u8(p + 16)}};
    const uint8x16_t a = vqtbl2q_u8(four, by.low), b = vqtbl2q_u8(four, by.high);
    return (vq_each){{vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a))),
                      vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a))),
                      vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(b))),
                      vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(b)))}};
}
static inline int32x4_t vq_four_each(const int16x8_t *x, const int16x8_t *w)
{
    const int32x4_t p0 = vmull_s16(vget_low_s16(x[0]), vget_low_s16(w[0]));
    const int32x4_t p1 = vmull_s16(vget_high_s16(x[0]), vget_high_s16(w[0]));
    const int32x4_t p2 = vmull_s16(vget_low_s16(x[1]), vget_low_s16(w[1]));
    const int32x4_t p3 = vmull_s16(vget_high_s16(x[1]), vget_high_s16(w[1]));
    return vpaddq_s32(vpaddq_s32(p0, p1), vpaddq_s32(p2, p3));
}
static inline vq vq_add_each(vq sum, vq_each x, vq_w w)
{
    return (vq){vaddq_s32(sum.a, vq_four_each(x.v, w.v)),
                vaddq_s32(sum.b, vq_four_each(x.v + 2, w.v + 2))};
}
#define vq_dot_each(sum, x, w) ((sum) = vq_add_each(sum, x, w))
static inline void vf_store_u8(uint8_t *p, vf v, int32_t zero)
{
    const int32x4_t z = vdupq_n_s32(zero);
    const int32x4_t a = vaddq_s32(vcvtnq_s32_f32(v.a), z);
    const int32x4_t b = vaddq_s32(vcvtnq_s32_f32(v.b), z);
    vst1_u8(p, vqmovun_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))));
}
static inline vf vf_load_u8(const uint8_t *p)
{
    const uint16x8_t w = vmovl_u8(vld1_u8(p));
    return (vf){vcvtq_f32_u32(vmovl_u16(vget_low_u16(w))),
                vcvtq_f32_u32(vmovl_u16(vget_high_u16(w)))};
}
static inline float32x4_t vf_ordered(float32x4_t v)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vceqq_f32(v, v)));
}
#define vf_no_nan(v)           ((vf){vf_ordered((v).a), vf_ordered((v).b)})

#else
typedef struct vq {
    int32_t v[LANES];
} vq;
static inline vq vq_load(const int32_t *p)
{
    vq q;
    memcpy(q.v, p, sizeof q.v);
    return q;
}
static inline vf vq_to_float(vq q)
{
    VF_LOOP((float)q.v[i]);
}
typedef const uint8_t *vq_x;
typedef const int8_t *vq_w;
#define vq_x_load(p)           (p)
#define vq_w_load(p)           (p)
static inline vq vq_add_products(vq sum, vq_x x, vq_w w)
{
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < 4; j++) {
            sum.v[i] = (int32_t)((uint32_t)sum.v[i] + (uint32_t)(x[j] * w[i * 4 + j]));
        }
    }
    return sum;
}
#define vq_dot(sum, x, w)      ((sum) = vq_add_products(sum, x, w))
typedef const uint8_t *vq_pick; /* the channel of each lane */
typedef struct vq_each {
    const uint8_t *p, *lane;
} vq_each;
#define vq_pick_make(lane)     (lane)
#define vq_each_load(p, by)    ((vq_each){p, by})
static inline vq vq_add_each(vq sum, vq_each x, vq_w w)
{
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < 4; j++) {
            const int32_t product = x.p[j * LANES + x.lane[i]] * w[i * 4 + j];
            sum.v[i] = (int32_t)((uint32_t)sum.v[i] + (uint32_t)product);
        }
    }
    return sum;
}
#define vq_dot_each(sum, x, w) ((sum) = vq_add_each(sum, x, w))
static inline void vf_store_u8(uint8_t *p, vf v, int32_t zero)
{
    for (int i = 0; i < LANES; i++) {
        p[i] = (uint8_t)((int32_t)nearbyintf(v.v[i]) + zero);
    }
}
static inline vf vf_load_u8(const uint8_t *p)
{
    VF_LOOP((float)p[i]);
}
static inline vf vf_no_nan(vf v)
{
    VF_LOOP(isnan(v.v[i]) ? 0.0f : v.v[i]);
}
#endif

/* Both bounds are whole numbers, so what is cut before rounding is what would be cut behind it. The
 * order of the operands makes a NaN the lower bound. */
static inline vf vf_hold(vf v, float low, float high)
{
#if defined(SQ_SIMD_NEON)
    const float32x4_t l = vdupq_n_f32(low), h = vdupq_n_f32(high);
    return (vf){vminq_f32(vmaxnmq_f32(v.a, l), h), vminq_f32(vmaxnmq_f32(v.b, l), h)};
#else
    return vf_min(vf_max(v, vf_set(low)), vf_set(high));
#endif
}
