/* wx/cascade/cascade_template.h - the inner loops, written once. Including file: TABLE, BYTES (of a
 * register). Private to the room. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "wx/cascade/cascade_kernels.h"

enum { LANES = SQ_FFT_LANES, WIDE = BYTES / 4, PARTS = LANES / WIDE };

typedef float vec __attribute__((vector_size(BYTES), may_alias));

/* ------------------------------------------------------------ the transform of a line */

/* b_j = sum_k a_k e^(-2 pi i jk / radix), in place. `radix` is a constant where it is called. */
static inline __attribute__((always_inline)) void butterfly(size_t radix, const float (*roots)[2],
                                                            vec *re, vec *im)
{
    if (radix == 2) {
        const vec r = re[0] - re[1], i = im[0] - im[1];
        re[0] += re[1];
        im[0] += im[1];
        re[1] = r;
        im[1] = i;
    } else if (radix == 4) {
        const vec r02 = re[0] + re[2], i02 = im[0] + im[2], r20 = re[0] - re[2];
        const vec i20 = im[0] - im[2], r13 = re[1] + re[3], i13 = im[1] + im[3];
        const vec r31 = re[1] - re[3], i31 = im[1] - im[3];
        re[0] = r02 + r13;
        im[0] = i02 + i13;
        re[1] = r20 + i31;
        im[1] = i20 - r31;
        re[2] = r02 - r13;
        im[2] = i02 - i13;
        re[3] = r20 - i31;
        im[3] = i20 + r31;
    } else {
        /* By pairs k and radix - k, whose roots are conjugate. */
        vec sum_re[SQ_FFT_LARGEST / 2], sum_im[SQ_FFT_LARGEST / 2];
        vec off_re[SQ_FFT_LARGEST / 2], off_im[SQ_FFT_LARGEST / 2];
        const size_t half = radix / 2;
        vec all_re = re[0], all_im = im[0];
        const vec first_re = re[0], first_im = im[0];
        for (size_t k = 1; k <= half; k++) {
            sum_re[k - 1] = re[k] + re[radix - k];
            sum_im[k - 1] = im[k] + im[radix - k];
            off_re[k - 1] = re[k] - re[radix - k];
            off_im[k - 1] = im[k] - im[radix - k];
            all_re += sum_re[k - 1];
            all_im += sum_im[k - 1];
        }
        re[0] = all_re;
        im[0] = all_im;
        for (size_t j = 1; j <= half; j++) {
            vec even_re = first_re, even_im = first_im;
            vec odd_re = first_re - first_re, odd_im = odd_re;
            for (size_t k = 1; k <= half; k++) {
                const float c = roots[j * k % radix][0], s = roots[j * k % radix][1];
                even_re += c * sum_re[k - 1];
                even_im += c * sum_im[k - 1];
                odd_re -= s * off_im[k - 1];
                odd_im += s * off_re[k - 1];
            }
            re[j] = even_re + odd_re;
            im[j] = even_im + odd_im;
            re[radix - j] = even_re - odd_re;
            im[radix - j] = even_im - odd_im;
        }
    }
}

/* One pass of Stockham's scheme: parts of length radix x m, `s` of them interleaved. */
static inline __attribute__((always_inline)) void run_pass(size_t radix, const float (*roots)[2],
                                                           const float *twiddles, size_t m,
                                                           size_t s, const vec *restrict from,
                                                           vec *restrict to)
{
    const size_t element = (size_t)2 * PARTS; /* registers of one */
    for (size_t p = 0; p < m; p++) {
        const float *w = twiddles + 2 * (radix - 1) * p;
        for (size_t q = 0; q < s; q++) {
            for (size_t part = 0; part < PARTS; part++) {
                vec re[SQ_FFT_LARGEST], im[SQ_FFT_LARGEST];
                const vec *source = from + (q + s * p) * element + part;
                re[0] = source[0];
                im[0] = source[PARTS];
                for (size_t k = 1; k < radix; k++) {
                    source += s * m * element;
                    re[k] = source[0];
                    im[k] = source[PARTS];
                }
                butterfly(radix, roots, re, im);
                vec *at = to + (q + s * radix * p) * element + part;
                at[0] = re[0];
                at[PARTS] = im[0];
                for (size_t j = 1; j < radix; j++) {
                    const float c = w[2 * (j - 1)], d = w[2 * (j - 1) + 1];
                    at += s * element;
                    at[0] = c * re[j] - d * im[j];
                    at[PARTS] = c * im[j] + d * re[j];
                }
            }
        }
    }
}

static float *run_line(const sq_fft_line *line, float *a, float *b)
{
    void *from = a, *to = b;
    const float *twiddles = line->twiddles;
    size_t m = line->length, s = 1;
    for (size_t i = 0; i < line->count; i++) {
        const size_t radix = line->factors[i];
        const float(*roots)[2] = line->roots[i];
        m /= radix;
        switch (radix) {
        case 2:
            run_pass(2, roots, twiddles, m, s, from, to);
            break;
        case 3:
            run_pass(3, roots, twiddles, m, s, from, to);
            break;
        case 4:
            run_pass(4, roots, twiddles, m, s, from, to);
            break;
        case 5:
            run_pass(5, roots, twiddles, m, s, from, to);
            break;
        default:
            run_pass(radix, roots, twiddles, m, s, from, to);
            break;
        }
        twiddles += 2 * (radix - 1) * m;
        s *= radix;
        void *const swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* ------------------------------------------------------------ noise */

/* One round of Philox 4x32 on LANES counters. */
static inline __attribute__((always_inline)) void
philox_round(uint32_t *restrict x0, uint32_t *restrict x1, uint32_t *restrict x2,
             uint32_t *restrict x3, uint32_t key0, uint32_t key1)
{
    for (size_t i = 0; i < LANES; i++) {
        const uint64_t p = (uint64_t)0xD2511F53U * x0[i], q = (uint64_t)0xCD9E8D57U * x2[i];
        x0[i] = (uint32_t)(q >> 32) ^ x1[i] ^ key0;
        x2[i] = (uint32_t)(p >> 32) ^ x3[i] ^ key1;
        x1[i] = (uint32_t)q;
        x3[i] = (uint32_t)p;
    }
}

/* Two random words to one complex normal number of mean square 1 (Box and Muller 1958). The natural
 * logarithm is Cephes' logf, sine and cosine are its sinf and cosf between -pi/4 and pi/4. */
static inline __attribute__((always_inline)) void normal(const uint32_t *restrict size,
                                                         const uint32_t *restrict angle,
                                                         const float *restrict filter,
                                                         float *restrict re, float *restrict im)
{
    for (size_t i = 0; i < LANES; i++) {
        union {
            float f;
            uint32_t u;
        } m;
        m.f = ((float)(int32_t)(size[i] >> 8) + 0.5f) * 0x1p-24f;
        /* m.f = 2^e x mantissa, the mantissa between sqrt(1/2) and sqrt(2). */
        const int32_t e = (int32_t)((m.u - 0x3F3504F3U) & 0xFF800000U) >> 23;
        m.u -= (uint32_t)e << 23;
        const float x = m.f - 1.0f, xx = x * x;
        float y = 7.0376836292e-2f;
        y = y * x - 1.1514610310e-1f;
        y = y * x + 1.1676998740e-1f;
        y = y * x - 1.2420140846e-1f;
        y = y * x + 1.4249322787e-1f;
        y = y * x - 1.6668057665e-1f;
        y = y * x + 2.0000714765e-1f;
        y = y * x - 2.4999993993e-1f;
        y = y * x + 3.3333331174e-1f;
        const float log_u = (float)e * 0.693147180560f + (x + (xx * (x * y) - 0.5f * xx));
        const float minus = -log_u; /* at most 0 below rounding: u is at most 1 */
        const float r = sqrtf(minus > 0.0f ? minus : 0.0f) * filter[i];

        const float t = ((float)(int32_t)((angle[i] & 0x3FFFFFFFU) >> 6) + 0.5f) * 0x1p-24f;
        const float a = (t - 0.5f) * 1.57079632679f, z = a * a;
        const float c =
            ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z *
                z -
            0.5f * z + 1.0f;
        const float s =
            ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * a + a;
        const uint32_t turn = angle[i] >> 30;
        const float first = (turn & 1U) != 0 ? s : c, second = (turn & 1U) != 0 ? c : s;
        const float sign = (turn & 2U) != 0 ? -r : r;
        re[i] = sign * first;
        im[i] = sign * second;
    }
}

static void run_noise(const uint32_t key[2], uint32_t member, uint32_t step, size_t first,
                      const float *filter, float *re, float *im)
{
    uint32_t x0[LANES], x1[LANES], x2[LANES], x3[LANES];
    uint32_t key0 = key[0], key1 = key[1];
    const uint32_t counter = (uint32_t)(first / 2);
    for (size_t i = 0; i < LANES; i++) {
        x0[i] = counter + (uint32_t)i;
        x1[i] = step;
        x2[i] = member;
        x3[i] = 0;
    }
    for (int round = 0; round < 10; round++) {
        philox_round(x0, x1, x2, x3, key0, key1);
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
    normal(x0, x1, filter, re, im);
    normal(x2, x3, filter + LANES, re + LANES, im + LANES);
}

/* ------------------------------------------------------------ levels */

static void run_product(const float *restrict weights, const float *restrict a_re,
                        const float *restrict a_im, const float *restrict b_re,
                        const float *restrict b_im, size_t count, float *restrict sums)
{
    float lanes[LANES] = {0};
    for (size_t i = 0; i < count; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            const float w = weights[i + j];
            lanes[j] += w * w * (a_re[i + j] * b_re[i + j] + a_im[i + j] * b_im[i + j]);
        }
    }
    for (size_t j = 0; j < LANES; j++) {
        sums[j] += lanes[j];
    }
}

static void run_step(const float *restrict weights, const float *restrict noise,
                     const float *restrict now, float phi1, float phi2, float gain, float deviation,
                     size_t count, float *restrict old, float *restrict sum)
{
    for (size_t i = 0; i < count; i++) {
        const float next = phi1 * now[i] + phi2 * old[i] + gain * weights[i] * noise[i];
        old[i] = next;
        sum[i] += deviation * next;
    }
}

const sq_cascade_kernels TABLE = {
    .line = run_line,
    .noise = run_noise,
    .product = run_product,
    .step = run_step,
};
