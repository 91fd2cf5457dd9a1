/* nn/cpu/cpu_simd.h - one vector of floats, as each instruction set has it.
 *
 * A file that includes it defines one of SQ_SIMD_AVX512, SQ_SIMD_AVX2, SQ_SIMD_NEON or SQ_SIMD_C
 * first. LANES is the width and also the channel block of the layouts that its kernels take.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(SQ_SIMD_AVX512)
#include <immintrin.h>
#define LANES 16
typedef __m512 vf;
#define vf_load(p)      _mm512_loadu_ps(p)
#define vf_store(p, v)  _mm512_storeu_ps(p, v)
#define vf_set(x)       _mm512_set1_ps(x)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_add(a, b)    _mm512_add_ps(a, b)
#define vf_sub(a, b)    _mm512_sub_ps(a, b)
#define vf_mul(a, b)    _mm512_mul_ps(a, b)
#define vf_div(a, b)    _mm512_div_ps(a, b)
#define vf_max(a, b)    _mm512_max_ps(a, b)
#define vf_min(a, b)    _mm512_min_ps(a, b)
#define vf_round(a)     _mm512_roundscale_ps(a, 0)
/* a where x < limit, else b */
static inline vf vf_below(vf x, vf limit, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), b, a);
}
typedef __m512i vi;
#define vi_load(p)       _mm512_loadu_si512(p)
#define vf_permute(p, i) _mm512_permutexvar_ps(i, _mm512_loadu_ps(p)) /* p[i] of each lane */
/* Rows become columns: pairs, fours, then quarters of a vector find their places. */
static inline void vf_transpose(vf r[LANES])
{
    vf t[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const vf a = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        const vf b = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        const vf c = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        const vf d = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
        t[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        t[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        t[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        r[i] = t[i];
    }
}
/* 2^n for whole n from -126 to 127 */
static inline vf vf_exp2i(vf n)
{
    const __m512i bits = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 23));
}

#elif defined(SQ_SIMD_AVX2)
#include <immintrin.h>
#define LANES            8
typedef __m256 vf;
#define vf_load(p)       _mm256_loadu_ps(p)
#define vf_store(p, v)   _mm256_storeu_ps(p, v)
#define vf_set(x)        _mm256_set1_ps(x)
#define vf_fma(a, b, c)  _mm256_fmadd_ps(a, b, c)
#define vf_add(a, b)     _mm256_add_ps(a, b)
#define vf_sub(a, b)     _mm256_sub_ps(a, b)
#define vf_mul(a, b)     _mm256_mul_ps(a, b)
#define vf_div(a, b)     _mm256_div_ps(a, b)
#define vf_max(a, b)     _mm256_max_ps(a, b)
#define vf_min(a, b)     _mm256_min_ps(a, b)
#define vf_round(a)      _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
static inline vf vf_below(vf x, vf limit, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, limit, _CMP_LT_OQ));
}
typedef __m256i vi;
#define vi_load(p)       _mm256_loadu_si256((const void *)(p))
#define vf_permute(p, i) _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), i)
static inline void vf_transpose(vf r[LANES])
{
    vf t[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++) {
        r[i] = t[i];
    }
}
static inline vf vf_exp2i(vf n)
{
    const __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23));
}

#elif defined(SQ_SIMD_NEON)
#include <arm_neon.h>
#define LANES             8
typedef struct vf {
    float32x4_t a, b;
} vf;
#define VF_EACH2(f, x, y) ((vf){f((x).a, (y).a), f((x).b, (y).b)})
static inline vf vf_load(const float *p)
{
    return (vf){vld1q_f32(p), vld1q_f32(p + 4)};
}
static inline void vf_store(float *p, vf v)
{
    vst1q_f32(p, v.a);
    vst1q_f32(p + 4, v.b);
}
static inline vf vf_set(float x)
{
    return (vf){vdupq_n_f32(x), vdupq_n_f32(x)};
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return (vf){vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b)};
}
#define vf_add(x, y)      VF_EACH2(vaddq_f32, x, y)
#define vf_sub(x, y)      VF_EACH2(vsubq_f32, x, y)
#define vf_mul(x, y)      VF_EACH2(vmulq_f32, x, y)
#define vf_div(x, y)      VF_EACH2(vdivq_f32, x, y)
#define vf_max(x, y)      VF_EACH2(vmaxq_f32, x, y)
#define vf_min(x, y)      VF_EACH2(vminq_f32, x, y)
#define vf_round(x)       ((vf){vrndnq_f32((x).a), vrndnq_f32((x).b)})
static inline vf vf_below(vf x, vf limit, vf a, vf b)
{
    return (vf){vbslq_f32(vcltq_f32(x.a, limit.a), a.a, b.a),
                vbslq_f32(vcltq_f32(x.b, limit.b), a.b, b.b)};
}
typedef struct vi { /* which bytes of eight floats */
    uint8x16_t a, b;
} vi;
static inline uint8x16_t vi_bytes(int32x4_t lane)
{
    const uint32x4_t first = vmulq_n_u32(vreinterpretq_u32_s32(lane), 0x04040404);
    return vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x03020100)));
}
static inline vi vi_load(const int32_t *p)
{
    return (vi){vi_bytes(vld1q_s32(p)), vi_bytes(vld1q_s32(p + 4))};
}
static inline vf vf_permute(const float *p, vi index)
{
    const uint8x16x2_t all = {
        {vreinterpretq_u8_f32(vld1q_f32(p)), vreinterpretq_u8_f32(vld1q_f32(p + 4))}};
    return (vf){vreinterpretq_f32_u8(vqtbl2q_u8(all, index.a)),
                vreinterpretq_f32_u8(vqtbl2q_u8(all, index.b))};
}
static inline float32x4_t vf_low_halves(float32x4_t x, float32x4_t y)
{
    return vcombine_f32(vget_low_f32(x), vget_low_f32(y));
}
static inline float32x4_t vf_high_halves(float32x4_t x, float32x4_t y)
{
    return vcombine_f32(vget_high_f32(x), vget_high_f32(y));
}
/* Four rows of four. */
static inline void vf_transpose_part(float32x4_t *w, float32x4_t *x, float32x4_t *y, float32x4_t *z)
{
    const float32x4_t a = vtrn1q_f32(*w, *x), b = vtrn2q_f32(*w, *x);
    const float32x4_t c = vtrn1q_f32(*y, *z), d = vtrn2q_f32(*y, *z);
    *w = vf_low_halves(a, c);
    *x = vf_low_halves(b, d);
    *y = vf_high_halves(a, c);
    *z = vf_high_halves(b, d);
}
static inline void vf_transpose(vf r[LANES])
{
    vf_transpose_part(&r[0].a, &r[1].a, &r[2].a, &r[3].a);
    vf_transpose_part(&r[0].b, &r[1].b, &r[2].b, &r[3].b);
    vf_transpose_part(&r[4].a, &r[5].a, &r[6].a, &r[7].a);
    vf_transpose_part(&r[4].b, &r[5].b, &r[6].b, &r[7].b);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const float32x4_t right = r[i].b;
        r[i].b = r[i + 4].a;
        r[i + 4].a = right;
    }
}
static inline vf vf_exp2i(vf n)
{
    const int32x4_t bias = vdupq_n_s32(127);
    return (vf){vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.a), bias), 23)),
                vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n.b), bias), 23))};
}

#elif defined(SQ_SIMD_C)
#define LANES 8
typedef struct vf {
    float v[LANES];
} vf;
#define VF_LOOP(expression)           \
    vf r;                             \
    for (int i = 0; i < LANES; i++) { \
        r.v[i] = (expression);        \
    }                                 \
    return r
static inline vf vf_load(const float *p)
{
    VF_LOOP(p[i]);
}
static inline void vf_store(float *p, vf v)
{
    memcpy(p, v.v, sizeof v.v);
}
static inline vf vf_set(float x)
{
    VF_LOOP(x);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    VF_LOOP(a.v[i] * b.v[i] + c.v[i]);
}
static inline vf vf_add(vf a, vf b)
{
    VF_LOOP(a.v[i] + b.v[i]);
}
static inline vf vf_sub(vf a, vf b)
{
    VF_LOOP(a.v[i] - b.v[i]);
}
static inline vf vf_mul(vf a, vf b)
{
    VF_LOOP(a.v[i] * b.v[i]);
}
static inline vf vf_div(vf a, vf b)
{
    VF_LOOP(a.v[i] / b.v[i]);
}
static inline vf vf_max(vf a, vf b)
{
    VF_LOOP(a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}
static inline vf vf_min(vf a, vf b)
{
    VF_LOOP(a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
}
static inline vf vf_round(vf a)
{
    VF_LOOP(nearbyintf(a.v[i]));
}
static inline vf vf_below(vf x, vf limit, vf a, vf b)
{
    VF_LOOP(x.v[i] < limit.v[i] ? a.v[i] : b.v[i]);
}
typedef struct vi {
    int32_t v[LANES];
} vi;
static inline vi vi_load(const int32_t *p)
{
    vi r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
static inline vf vf_permute(const float *p, vi index)
{
    float r[LANES];
    for (int i = 0; i < LANES; i++) {
        r[i] = p[index.v[i]];
    }
    return vf_load(r);
}
static inline vf vf_exp2i(vf n)
{
    vf r;
    for (int i = 0; i < LANES; i++) {
        const int32_t bits = ((int32_t)n.v[i] + 127) * (1 << 23);
        memcpy(&r.v[i], &bits, sizeof bits);
    }
    return r;
}
/* Rows become columns. */
static inline void vf_transpose(vf r[LANES])
{
    float from[LANES][LANES], to[LANES][LANES];
    for (int i = 0; i < LANES; i++) {
        vf_store(from[i], r[i]);
    }
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < LANES; j++) {
            to[i][j] = from[j][i];
        }
    }
    for (int i = 0; i < LANES; i++) {
        r[i] = vf_load(to[i]);
    }
}
#else
#error "define SQ_SIMD_AVX512, SQ_SIMD_AVX2, SQ_SIMD_NEON or SQ_SIMD_C"
#endif

/* e^x, relative error below 2e-7: 2^n e^r with |r| <= ln(2)/2, the latter by its Taylor series to
 * the seventh power. Arguments are cut to where the result is a normal number. */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_max(x, vf_set(-87.0f)), vf_set(88.0f));
    const vf n = vf_round(vf_mul(x, vf_set(1.44269504f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r); /* ln 2 in two parts: Cody and Waite */
    vf p = vf_set(1.0f / 5040.0f);
    p = vf_fma(p, r, vf_set(1.0f / 720.0f));
    p = vf_fma(p, r, vf_set(1.0f / 120.0f));
    p = vf_fma(p, r, vf_set(1.0f / 24.0f));
    p = vf_fma(p, r, vf_set(1.0f / 6.0f));
    p = vf_fma(p, r, vf_set(0.5f));
    p = vf_fma(p, r, vf_set(1.0f));
    p = vf_fma(p, r, vf_set(1.0f));
    return vf_mul(p, vf_exp2i(n));
}

static inline vf vf_sigmoid(vf x)
{
    const vf one = vf_set(1.0f);
    return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_set(0.0f), x))));
}

/* tanh by the exponential; near 0, where that cancels, by its odd series. */
static inline vf vf_tanh(vf x)
{
    const vf one = vf_set(1.0f), square = vf_mul(x, x);
    const vf e = vf_exp(vf_mul(x, vf_set(2.0f)));
    vf series = vf_fma(square, vf_set(-17.0f / 315.0f), vf_set(2.0f / 15.0f));
    series = vf_fma(square, series, vf_set(-1.0f / 3.0f));
    series = vf_mul(x, vf_fma(square, series, one));
    return vf_below(square, vf_set(0.015f), series,
                    vf_sub(one, vf_div(vf_set(2.0f), vf_add(e, one))));
}
