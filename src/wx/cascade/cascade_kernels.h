/* wx/cascade/cascade_kernels.h - the inner loops, one table an instruction set. Private to the
 * room.
 *
 * All tables give the same bits: they differ in how many lanes an instruction takes, not in the
 * order of any sum. */
#ifndef SQ_WX_CASCADE_CASCADE_KERNELS_H
#define SQ_WX_CASCADE_CASCADE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "wx/cascade/cascade.h"

enum { SQ_FFT_FACTORS = 20, SQ_FFT_LARGEST = 19 };

/** A complex transform of one length, of SQ_FFT_LANES columns at once. An element is the real parts
 * of all lanes, then the imaginary ones. */
typedef struct sq_fft_line {
    size_t length, count;
    uint8_t factors[SQ_FFT_FACTORS];
    const float *twiddles; /* for each pass, [length of the part / factor][factor - 1][2] */
    /* for each pass, [factor][2]: e^(-2 pi i j / factor) */
    float roots[SQ_FFT_FACTORS][SQ_FFT_LARGEST][2];
} sq_fft_line;

typedef struct sq_cascade_kernels {
    /** Transform `a`, [length][2][lanes], with `b` as scratch; returns the one with the result. */
    float *(*line)(const sq_fft_line *line, float *a, float *b);

    /** out = filter x normal numbers, for cells first..first+31 of a plane. */
    void (*noise)(const uint32_t key[2], uint32_t member, uint32_t step, size_t first,
                  const float *filter, float *re, float *im);

    /** Sums over the lanes of `count` cells (a multiple of the lanes) of w^2 (a_re b_re + a_im
     * b_im), added to sums[SQ_FFT_LANES]. */
    void (*product)(const float *weights, const float *a_re, const float *a_im, const float *b_re,
                    const float *b_im, size_t count, float *sums);

    /** old = phi1 now + phi2 old + gain w noise;  sum += deviation old; one part of `count` cells.
     */
    void (*step)(const float *weights, const float *noise, const float *now, float phi1, float phi2,
                 float gain, float deviation, size_t count, float *old, float *sum);
} sq_cascade_kernels;

extern const sq_cascade_kernels sq_cascade_kernels_c;
#if defined(__x86_64__)
extern const sq_cascade_kernels sq_cascade_kernels_avx2;
extern const sq_cascade_kernels sq_cascade_kernels_avx512;
#endif

/** Those of this processor, as SQUALL_CPU allows. */
const sq_cascade_kernels *sq_cascade_kernels_get(void);

#endif /* SQ_WX_CASCADE_CASCADE_KERNELS_H */
