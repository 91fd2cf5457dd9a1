/* nn/cpu/cpu_half_avx512.c - numbers of 16 bits, 16 at a time. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "nn/cpu/cpu_half.h"

enum { LANES = 16 };

static void widen_f16(const uint16_t *from, float *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(from + i))));
    }
    sq_cpu_half_c.widen_f16(from + i, to + i, count - i);
}

static void narrow_f16(const float *from, uint16_t *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        _mm256_storeu_si256((void *)(to + i),
                            _mm512_cvtps_ph(_mm512_loadu_ps(from + i),
                                            _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    sq_cpu_half_c.narrow_f16(from + i, to + i, count - i);
}

static void widen_bf16(const uint16_t *from, float *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(from + i)));
        _mm512_storeu_ps(to + i, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
    }
    sq_cpu_half_c.widen_bf16(from + i, to + i, count - i);
}

/* To nearest even by adding what carries; what is no number stays none. The instruction for it
 * would flush what is denormal. */
static void narrow_bf16(const float *from, uint16_t *to, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m512 value = _mm512_loadu_ps(from + i);
        const __m512i bits = _mm512_castps_si512(value), high = _mm512_srli_epi32(bits, 16);
        const __m512i round = _mm512_add_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)),
                                               _mm512_set1_epi32(0x7fff));
        const __m512i near = _mm512_srli_epi32(_mm512_add_epi32(bits, round), 16);
        const __m512i none = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
        const __mmask16 is_none = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
        _mm256_storeu_si256((void *)(to + i),
                            _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_none, near, none)));
    }
    sq_cpu_half_c.narrow_bf16(from + i, to + i, count - i);
}

const sq_cpu_half sq_cpu_half_avx512 = {"avx512", widen_f16, narrow_f16, widen_bf16, narrow_bf16};
#else
typedef int sq_cpu_half_avx512_unused;
#endif
