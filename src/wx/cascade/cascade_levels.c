/* wx/cascade/cascade_levels.c - the band-pass weights of each level, and what levels have in
 * common.
 */
#include <math.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/cascade/cascade_kernels.h"

#define WIDTH_OF_GAUSS 0.5 /* in levels: pysteps' gauss_scale */
#define LEAST_WEIGHT   1e-3
#define LEAST_FACTOR   1.5 /* between the scales of two levels */

size_t sq_cascade_levels(size_t width, size_t height, size_t wanted)
{
    const double longer = (double)(width > height ? width : height);
    size_t levels = wanted < SQ_CASCADE_LEVELS ? wanted : SQ_CASCADE_LEVELS;
    while (levels > 1 && pow(0.5 * longer, 1.0 / (double)levels) < LEAST_FACTOR) {
        levels--;
    }
    return levels > 0 ? levels : 1;
}

/* The weights of all levels at one place of the spectrum; their sum is 1. */
static void weigh(const sq_fft *fft, size_t levels, size_t row, size_t column, double *out)
{
    const size_t height = sq_fft_height(fft), width = sq_fft_width(fft);
    const double longer = (double)(width > height ? width : height);
    const double from_top = (double)(row <= height / 2 ? row : height - row);
    /* Wave numbers over the longer side, so that a level is one scale in both directions. */
    const double y = from_top * longer / (double)height;
    const double x = (double)column * longer / (double)width;
    const double per_level = log(fmax(0.5 * longer, 2.0)) / (double)levels;
    const double place = log(fmax(sqrt(x * x + y * y), 1.0)) / per_level;
    double sum = 0.0, kept = 0.0;
    for (size_t k = 0; k < levels; k++) {
        const double low = exp(per_level * (double)k), high = exp(per_level * (double)(k + 1));
        const double off = (place - log(0.5 * (low + high)) / per_level) / WIDTH_OF_GAUSS;
        out[k] = exp(-0.5 * off * off);
        sum += out[k];
    }
    for (size_t k = 0; k < levels; k++) {
        out[k] = out[k] >= LEAST_WEIGHT * sum ? out[k] : 0.0;
        kept += out[k];
    }
    for (size_t k = 0; k < levels; k++) {
        out[k] = row == 0 && column == 0 ? 0.0 : out[k] / kept;
    }
}

/* How far each level reaches in each row. */
static void find_spans(const sq_fft *fft, sq_cascade *c)
{
    double weights[SQ_CASCADE_LEVELS];
    for (size_t row = 0; row < c->height; row++) {
        for (size_t column = 0; column < c->columns; column++) {
            weigh(fft, c->levels, row, column, weights);
            for (size_t k = 0; k < c->levels; k++) {
                if (weights[k] > 0.0) {
                    c->spans[k][row] = (uint32_t)sq_round_up(column + 1, SQ_FFT_LANES);
                }
            }
        }
    }
    for (size_t k = 0; k < c->levels; k++) {
        for (size_t row = 0; row < c->height; row++) {
            c->offsets[k][row] = c->size;
            c->size += c->spans[k][row];
        }
    }
}

static void fill_weights(const sq_fft *fft, sq_cascade *c)
{
    double weights[SQ_CASCADE_LEVELS];
    for (size_t row = 0; row < c->height; row++) {
        for (size_t column = 0; column < c->columns; column++) {
            weigh(fft, c->levels, row, column, weights);
            for (size_t k = 0; k < c->levels; k++) {
                if (column < c->spans[k][row]) {
                    c->weights[c->offsets[k][row] + column] = (float)weights[k];
                }
            }
        }
    }
}

squall_status sq_cascade_make(const sq_fft *fft, size_t levels, sq_cascade *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    if (levels == 0 || levels > SQ_CASCADE_LEVELS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "cascade", "%zu levels; 1 to %d are allowed", levels,
                       SQ_CASCADE_LEVELS);
    }
    out->levels = levels;
    out->width = sq_fft_width(fft);
    out->height = sq_fft_height(fft);
    out->columns = sq_fft_columns(fft);
    out->stride = sq_fft_stride(fft);
    const size_t rows = levels * out->height;
    out->memory = sq_alloc(rows, sizeof(size_t) + sizeof(uint32_t));
    if (out->memory == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "cascade", "no memory for %zu rows", rows);
    }
    size_t *const offsets = out->memory;
    uint32_t *const spans = (uint32_t *)(void *)(offsets + rows);
    for (size_t k = 0; k < levels; k++) {
        out->offsets[k] = offsets + k * out->height;
        out->spans[k] = spans + k * out->height;
    }
    find_spans(fft, out);
    out->weights = sq_alloc(out->size, sizeof *out->weights);
    if (out->weights == NULL) {
        sq_cascade_free(out);
        return sq_fail(err, SQUALL_E_MEMORY, "cascade", "no memory for its weights");
    }
    fill_weights(fft, out);
    return SQUALL_OK;
}

void sq_cascade_free(sq_cascade *cascade)
{
    sq_free(cascade->weights);
    sq_free(cascade->memory);
    memset(cascade, 0, sizeof *cascade);
}

/* Columns 0 and width / 2 stand for themselves, the others for their mirror images too. */
static double once_only(const sq_cascade *c, size_t level, size_t row, const float *a_re,
                        const float *a_im, const float *b_re, const float *b_im)
{
    double sum = 0.0;
    const size_t middle = c->width % 2 == 0 ? c->width / 2 : 0;
    for (int i = 0; i < 2; i++) {
        const size_t column = i == 0 ? 0 : middle, at = row * c->stride + column;
        if (column < c->spans[level][row] && (i == 0 || middle > 0)) {
            const double w = (double)c->weights[c->offsets[level][row] + column];
            sum +=
                w * w * ((double)a_re[at] * (double)b_re[at] + (double)a_im[at] * (double)b_im[at]);
        }
    }
    return sum;
}

void sq_cascade_covariance(const sq_cascade *cascade, const float *a_re, const float *a_im,
                           const float *b_re, const float *b_im, double *out)
{
    const sq_cascade_kernels *kernels = sq_cascade_kernels_get();
    const double cells = (double)cascade->width * (double)cascade->height;
    for (size_t k = 0; k < cascade->levels; k++) {
        double sum = 0.0;
        for (size_t row = 0; row < cascade->height; row++) {
            float lanes[SQ_FFT_LANES] = {0};
            const size_t at = row * cascade->stride, span = cascade->spans[k][row];
            if (span == 0) {
                continue;
            }
            kernels->product(cascade->weights + cascade->offsets[k][row], a_re + at, a_im + at,
                             b_re + at, b_im + at, span, lanes);
            for (size_t i = 0; i < SQ_FFT_LANES; i++) {
                sum += 2.0 * (double)lanes[i];
            }
            sum -= once_only(cascade, k, row, a_re, a_im, b_re, b_im);
        }
        out[k] = sum / (cells * cells);
    }
}
