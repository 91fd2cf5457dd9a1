/* wx/cascade/cascade.h - fields taken apart by scale: Fourier transforms, band-pass cascades, noise
 * of a given spectrum, values matched in distribution. Arrays only; who knows fields is above. */
#ifndef SQ_WX_CASCADE_CASCADE_H
#define SQ_WX_CASCADE_CASCADE_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* --- real two-dimensional Fourier transforms: cascade_fft.c --- */

/** A transform of one size; read-only once made, so that threads may share it. */
typedef struct sq_fft sq_fft;

enum { SQ_FFT_LANES = 16 }; /* columns that are worked on together */

/** The smallest length not below `n` that a transform may have: one whose prime factors are at most
 * 19. At least 1. */
size_t sq_fft_length(size_t n);

/**
 * Make a transform of `height` x `width` values.
 *
 * @return SQUALL_OK; SQUALL_E_ARGUMENT when a side is not as sq_fft_length() gives it, or is above
 *         SQ_LIMIT_FIELD_SIDE; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_fft_create(size_t width, size_t height, sq_fft **out,
                                            squall_error *err);
void sq_fft_destroy(sq_fft **fft);

size_t sq_fft_width(const sq_fft *fft);
size_t sq_fft_height(const sq_fft *fft);

/** Columns of a spectrum, width / 2 + 1: the wave numbers 0 to half the width. */
size_t sq_fft_columns(const sq_fft *fft);

/** Floats from one row of a spectrum to the next: the columns, rounded up to whole lanes. */
size_t sq_fft_stride(const sq_fft *fft);

/** Floats of one plane, real or imaginary, of a spectrum: height x stride, rounded up to 32. */
size_t sq_fft_plane(const sq_fft *fft);

/** Floats of scratch memory that one running transform needs. */
size_t sq_fft_scratch(const sq_fft *fft);

/**
 * From values to their spectrum, not normalised:  X[l][k] = sum_ij x[i][j] e^(-2 pi i (li/H +
 * kj/W)).
 *
 * @param values   borrowed; [height][width]
 * @param re, im   filled; [height][stride], 64-byte aligned; columns beyond the spectrum become 0
 * @param scratch  sq_fft_scratch() floats, 64-byte aligned
 */
void sq_fft_forward(const sq_fft *fft, const float *values, float *re, float *im, float *scratch);

/** Back, times height x width; of the columns 0 and width / 2 the part counts that a spectrum of
 * real values may have. `re` and `im` are used up. The same bits for every instruction set. */
void sq_fft_inverse(const sq_fft *fft, float *re, float *im, float *values, float *scratch);

/* --- the cascade: cascade_levels.c --- */

enum { SQ_CASCADE_LEVELS = 12 }; /* at most */

/**
 * Band-pass weights of each level: Gaussians on the logarithm of the wave number, which sum to 1
 * (Seed 2003; Pulkkinen et al. 2019, appendix A). Weights below 1/1000 are none, so that
 * the spectra of the large scales are small. Level 0 is the largest scale; the mean is in none.
 */
typedef struct sq_cascade {
    size_t levels;
    size_t width, height, columns, stride; /* of the transform */
    uint32_t *spans[SQ_CASCADE_LEVELS];    /* [height]: first columns with weights, whole lanes */
    size_t *offsets[SQ_CASCADE_LEVELS];    /* [height]: of the row in `weights` and in states */
    float *weights;                        /* owned, [size], of all levels one after the other */
    size_t size;
    void *memory; /* owned: of spans and offsets */
} sq_cascade;

/** Levels that a grid of that size can have, at most `wanted`: each spans a factor above 1.5. */
size_t sq_cascade_levels(size_t width, size_t height, size_t wanted);

SQUALL_MUST_USE squall_status sq_cascade_make(const sq_fft *fft, size_t levels, sq_cascade *out,
                                              squall_error *err);
void sq_cascade_free(sq_cascade *cascade);

/** Variances and covariances over the cells of each level of two fields, from their spectra.
 * @param out  [levels]; of `a` with itself, when `b` is `a` */
void sq_cascade_covariance(const sq_cascade *cascade, const float *a_re, const float *a_im,
                           const float *b_re, const float *b_im, double *out);

/* --- an autoregressive process on the levels: cascade_process.c --- */

/** x[t+1] = phi1 x[t] + phi2 x[t-1] + phi0 e, with e of variance 1. */
typedef struct sq_cascade_ar {
    double phi1, phi2, phi0;
} sq_cascade_ar;

/** From the correlations at one and two steps (Yule and Walker), made stationary as pysteps does;
 * with `second` NaN of order 1. */
sq_cascade_ar sq_cascade_ar_fit(double first, double second);

/** The noise part of one process: two states of all levels. */
typedef struct sq_cascade_state {
    float *re[2], *im[2]; /* [cascade size] each; [0] is the newer */
} sq_cascade_state;

/**
 * One step of the noise part: x[t+1] from x[t], x[t-1] and a noise spectrum, and the sum of the
 * levels, each times its own deviation, added to a spectrum.
 *
 * @param noise_re, noise_im  borrowed; a spectrum; each level of it is brought to variance 1
 * @param deviation           [levels]
 * @param sum_re, sum_im      added to
 */
void sq_cascade_state_step(const sq_cascade *cascade, const sq_cascade_ar *ar,
                           const float *noise_re, const float *noise_im, const double *deviation,
                           sq_cascade_state *state, float *sum_re, float *sum_im);

/**
 * sum = a x (sum of levels of the first spectrum, each times gain_a) + the same of b.
 *
 * @param gain_a, gain_b  [levels]
 * @param sum_re, sum_im  filled, all columns; the mean becomes `mean` times the cells
 */
void sq_cascade_mix(const sq_cascade *cascade, const float *a_re, const float *a_im,
                    const double *gain_a, const float *b_re, const float *b_im,
                    const double *gain_b, double mean, float *sum_re, float *sum_im);

/* --- random numbers that are a function of their place: cascade_random.c --- */

/** Philox 4x32, 10 rounds (Salmon et al. 2011): four random words for a counter and a key. */
void sq_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/**
 * The spectrum of filtered white noise: independent complex normal numbers of mean square 1, times
 * the filter, with the symmetry that a spectrum of real values has.
 *
 * @param filter  borrowed; [height][stride], 0 beyond the columns
 * @param re, im  filled; sq_fft_plane() floats
 * Result: a function of seed, member, step and size only.
 */
void sq_cascade_noise(const sq_fft *fft, const float *filter, uint64_t seed, uint32_t member,
                      uint32_t step, float *re, float *im);

/* --- one field's values in another's distribution: cascade_match.c --- */

enum { SQ_MATCH_BINS = 8192 };

/** The values that are given away, largest first. */
typedef struct sq_match {
    float *values; /* owned, [count] */
    size_t count;
} sq_match;

/** Keep the values of `target` that are at least `least`. NaN is none. */
SQUALL_MUST_USE squall_status sq_match_make(const float *target, size_t count, float least,
                                            sq_match *out, squall_error *err);
void sq_match_free(sq_match *match);

/**
 * Give the largest of `field` the largest value, and so on; cells beyond the number of values, and
 * those at the field's minimum, become 0. Ranks are told by SQ_MATCH_BINS bins between the least
 * and the largest, evenly within each; values are interpolated between ranks.
 *
 * @param field    [count], changed
 * @param share    [count] or NULL; 0..1: how much of a value's height above the minimum counts
 * @param scratch  SQ_MATCH_BINS + 1 words
 */
void sq_match_run(const sq_match *match, float *field, const float *share, size_t count,
                  uint32_t *scratch);

#endif /* SQ_WX_CASCADE_CASCADE_H */
