/* nn/cpu/cpu_half_avx2.c - numbers of 16 bits, 8 at a time. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "nn/cpu/cpu_half.h"

enum { LANES = 8 };

static void widen_f16(const uint16_t *from, float *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(half));
    }
    sq_cpu_half_c.widen_f16(from + i, to + i, count - i);
}

static void narrow_f16(const float *from, uint16_t *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + i),
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm_storeu_si128((__m128i *)(void *)(to + i), half);
    }
    sq_cpu_half_c.narrow_f16(from + i, to + i, count - i);
}

static void widen_bf16(const uint16_t *from, float *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
        _mm256_storeu_ps(to + i, _mm256_castsi256_ps(bits));
    }
    sq_cpu_half_c.widen_bf16(from + i, to + i, count - i);
}

/* To nearest even by adding what carries; what is no number stays none. */
static void narrow_bf16(const float *from, uint16_t *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m256 value = _mm256_loadu_ps(from + i);
        const __m256i bits = _mm256_castps_si256(value);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
        const __m256i round = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
        const __m256i near = _mm256_srli_epi32(_mm256_add_epi32(bits, round), 16);
        const __m256i none = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
        const __m256i is_none = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
        const __m256i chosen = _mm256_blendv_epi8(near, none, is_none);
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(chosen, chosen), 0x08);
        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm256_castsi256_si128(packed));
    }
    sq_cpu_half_c.narrow_bf16(from + i, to + i, count - i);
}

const sq_cpu_half sq_cpu_half_avx2 = {"avx2", widen_f16, narrow_f16, widen_bf16, narrow_bf16};
#else
typedef int sq_cpu_half_avx2_unused;
#endif
