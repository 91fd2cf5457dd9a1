/* wx/cascade/cascade_process.c - an autoregressive process on the levels of a cascade.
 *
 * All of it happens in the spectrum, where a level is a product with its weights, a mean or a
 * deviation a sum (Parseval), and the sum of all levels one transform.
 */
#include <math.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/cascade/cascade_kernels.h"

#define LARGEST_CORRELATION 0.99999

sq_cascade_ar sq_cascade_ar_fit(double first, double second)
{
    sq_cascade_ar ar = {0};
    const double g1 = fmin(fmax(first, -LARGEST_CORRELATION), LARGEST_CORRELATION);
    if (isnan(second)) {
        ar.phi1 = g1;
        ar.phi0 = sqrt(1.0 - g1 * g1);
        return ar;
    }
    /* Not below what keeps the process stationary and its weights from swinging: pysteps'
     * adjust_lag2_corrcoef2(). */
    double g2 = fmin(second, LARGEST_CORRELATION);
    g2 = fmax(g2, 2.0 * g1 * g2 - 1.0);
    if (fabs(g1) > 1e-6) {
        g2 = fmax(g2, (3.0 * g1 * g1 - 2.0 + 2.0 * pow(1.0 - g1 * g1, 1.5)) / (g1 * g1));
    }
    ar.phi1 = g1 * (1.0 - g2) / (1.0 - g1 * g1);
    ar.phi2 = (g2 - g1 * g1) / (1.0 - g1 * g1);
    ar.phi0 = sqrt(fmax(1.0 - g1 * ar.phi1 - g2 * ar.phi2, 0.0));
    return ar;
}

void sq_cascade_state_step(const sq_cascade *cascade, const sq_cascade_ar *ar,
                           const float *noise_re, const float *noise_im, const double *deviation,
                           sq_cascade_state *state, float *sum_re, float *sum_im)
{
    const sq_cascade_kernels *kernels = sq_cascade_kernels_get();
    double variance[SQ_CASCADE_LEVELS];
    sq_cascade_covariance(cascade, noise_re, noise_im, noise_re, noise_im, variance);
    for (size_t k = 0; k < cascade->levels; k++) {
        const double gain = variance[k] > 0.0 ? ar[k].phi0 / sqrt(variance[k]) : 0.0;
        for (size_t row = 0; row < cascade->height; row++) {
            const size_t from = cascade->offsets[k][row], at = row * cascade->stride;
            const size_t span = cascade->spans[k][row];
            const float *weights = cascade->weights + from;
            kernels->step(weights, noise_re + at, state->re[0] + from, (float)ar[k].phi1,
                          (float)ar[k].phi2, (float)gain, (float)deviation[k], span,
                          state->re[1] + from, sum_re + at);
            kernels->step(weights, noise_im + at, state->im[0] + from, (float)ar[k].phi1,
                          (float)ar[k].phi2, (float)gain, (float)deviation[k], span,
                          state->im[1] + from, sum_im + at);
        }
    }
    float *const re = state->re[0], *const im = state->im[0];
    state->re[0] = state->re[1];
    state->im[0] = state->im[1];
    state->re[1] = re;
    state->im[1] = im;
}

/* sum += gain x weights x values, for a part of a row. */
static void add_weighted(const float *weights, const float *values, float gain, size_t count,
                         float *sum)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += gain * weights[i] * values[i];
    }
}

void sq_cascade_mix(const sq_cascade *cascade, const float *a_re, const float *a_im,
                    const double *gain_a, const float *b_re, const float *b_im,
                    const double *gain_b, double mean, float *sum_re, float *sum_im)
{
    memset(sum_re, 0, cascade->height * cascade->stride * sizeof *sum_re);
    memset(sum_im, 0, cascade->height * cascade->stride * sizeof *sum_im);
    for (size_t row = 0; row < cascade->height; row++) {
        const size_t at = row * cascade->stride;
        for (size_t k = 0; k < cascade->levels; k++) {
            const float *weights = cascade->weights + cascade->offsets[k][row];
            const size_t span = cascade->spans[k][row];
            add_weighted(weights, a_re + at, (float)gain_a[k], span, sum_re + at);
            add_weighted(weights, a_im + at, (float)gain_a[k], span, sum_im + at);
            add_weighted(weights, b_re + at, (float)gain_b[k], span, sum_re + at);
            add_weighted(weights, b_im + at, (float)gain_b[k], span, sum_im + at);
        }
    }
    sum_re[0] = (float)(mean * (double)cascade->width * (double)cascade->height);
}
