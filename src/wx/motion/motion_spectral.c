/* wx/motion/motion_spectral.c - motion as a few waves, found in the spectra of the frames.
 *
 * DARTS (Ruzanski, Chandrasekar and Wang 2011, Journal of Atmospheric and Oceanic Technology 28,
 * 1296-1319): where rain R only moves, dR/dt = -u dR/dx - v dR/dy. With u and v as sums of the
 * waves U_m, V_m with |m| <= WAVES this reads, for every wave k of the frames,
 *
 *     F1(k) - F0(k) = -2 pi i sum_m [(k - m)_x U_m / width + (k - m)_y V_m / height] F(k - m)
 *
 * F being the mean of both, which is linear in U and V: least squares over |k| <= RAIN_WAVES.
 * Frames are first brought together by the whole displacement that their cross-correlation has, so
 * that what is left is small against the waves.
 */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/motion/motion.h"

enum { WAVES = 2, SIDE = 2 * WAVES + 1, UNKNOWN = 2 * SIDE * SIDE, RAIN_WAVES = 16 };

#define PI 3.14159265358979323846

typedef double complex complex_t;

/* Spectra of the frames, and the equations. */
typedef struct darts {
    sq_fft *fft;
    size_t width, height; /* of the transform: the rain's image, and dry beyond it */
    float *re[8], *im[8]; /* parts of `memory` */
    float *memory, *image, *scratch;
    complex_t matrix[UNKNOWN][UNKNOWN + 1];
} darts;

/* F_i at wave (kx, ky), any sign: a real image's spectrum has the conjugate at the opposite wave.
 */
static complex_t wave_of(const darts *d, size_t i, int kx, int ky)
{
    const bool mirror = kx < 0;
    const int x = mirror ? -kx : kx, y = mirror ? -ky : ky;
    const size_t row = y < 0 ? (size_t)((int)d->height + y) : (size_t)y;
    const size_t at = row * sq_fft_stride(d->fft) + (size_t)x;
    const double re = (double)d->re[i][at], im = (double)d->im[i][at];
    return mirror ? re - im * I : re + im * I;
}

/* One frame: ln(rate / least), dry below and where nobody looked. */
static void take_frame(const darts *d, const squall_field *frame, float least, size_t i)
{
    const size_t width = frame->grid.width, height = frame->grid.height;
    memset(d->image, 0, d->width * d->height * sizeof *d->image);
    for (size_t row = 0; row < height; row++) {
        for (size_t column = 0; column < width; column++) {
            const float rate = frame->values[row * width + column];
            d->image[row * d->width + column] = rate >= least ? logf(rate / least) + 1.0f : 0.0f;
        }
    }
    sq_fft_forward(d->fft, d->image, d->re[i], d->im[i], d->scratch);
}

/* The whole displacement between two frames, where their low waves agree best; cells. */
static void find_shift(const darts *d, size_t a, size_t b, double *shift_x, double *shift_y)
{
    const size_t plane = sq_fft_plane(d->fft), stride = sq_fft_stride(d->fft);
    float *re = d->memory + 16 * plane, *im = re + plane;
    memset(re, 0, 2 * plane * sizeof *re);
    for (size_t row = 0; row < d->height; row++) {
        const double ky = row <= d->height / 2 ? (double)row : (double)row - (double)d->height;
        for (size_t column = 0; column <= d->width / 2; column++) {
            const size_t at = row * stride + column;
            const double kx = (double)column, reach = 4.0 * RAIN_WAVES;
            if ((column == 0 && row == 0) || kx * kx + ky * ky > reach * reach) {
                continue;
            }
            re[at] = d->re[b][at] * d->re[a][at] + d->im[b][at] * d->im[a][at];
            im[at] = d->im[b][at] * d->re[a][at] - d->re[b][at] * d->im[a][at];
        }
    }
    sq_fft_inverse(d->fft, re, im, d->image, d->scratch);
    float best = -INFINITY;
    size_t column = 0, row = 0;
    for (size_t j = 0; j < d->height; j++) {
        for (size_t i = 0; i < d->width; i++) {
            if (d->image[j * d->width + i] > best) {
                best = d->image[j * d->width + i];
                column = i;
                row = j;
            }
        }
    }
    const double x = (double)column, y = (double)row;
    *shift_x = x <= 0.5 * (double)d->width ? x : x - (double)d->width;
    *shift_y = y <= 0.5 * (double)d->height ? y : y - (double)d->height;
}

/* The equations of a pair: the later frame is first moved back by the shift. `step` scales what is
 * left to one unit of time. */
static void add_pair(darts *d, size_t a, size_t b, double shift_x, double shift_y, double step)
{
    complex_t row[UNKNOWN + 1];
    for (int ky = -RAIN_WAVES; ky <= RAIN_WAVES; ky++) {
        for (int kx = -RAIN_WAVES; kx <= RAIN_WAVES; kx++) {
            for (int m = 0; m < SIDE * SIDE; m++) {
                const int x = kx - (m % SIDE - WAVES), y = ky - (m / SIDE - WAVES);
                const double wx = (double)x / (double)d->width, wy = (double)y / (double)d->height;
                const complex_t back = cexp(2.0 * PI * I * (wx * shift_x + wy * shift_y));
                const complex_t mean = 0.5 * (wave_of(d, a, x, y) + back * wave_of(d, b, x, y));
                row[m] = -2.0 * PI * I * wx * mean * step;
                row[SIDE * SIDE + m] = -2.0 * PI * I * wy * mean * step;
            }
            const double px = (double)kx / (double)d->width, py = (double)ky / (double)d->height;
            const complex_t moved = cexp(2.0 * PI * I * (px * shift_x + py * shift_y));
            row[UNKNOWN] = moved * wave_of(d, b, kx, ky) - wave_of(d, a, kx, ky);
            for (int i = 0; i < UNKNOWN; i++) {
                const complex_t left = conj(row[i]);
                for (int j = i; j <= UNKNOWN; j++) {
                    d->matrix[i][j] += left * row[j];
                }
            }
        }
    }
}

/* Solve the normal equations, a little held towards no motion; the matrix is Hermitian and
 * positive. False where there is nothing to solve. */
static bool solve(darts *d, complex_t *out)
{
    double trace = 0;
    for (int i = 0; i < UNKNOWN; i++) {
        trace += creal(d->matrix[i][i]);
        for (int j = 0; j < i; j++) {
            d->matrix[i][j] = conj(d->matrix[j][i]);
        }
    }
    if (!(trace > 0)) {
        return false;
    }
    for (int i = 0; i < UNKNOWN; i++) {
        d->matrix[i][i] += 0.1 * trace / UNKNOWN;
    }
    for (int i = 0; i < UNKNOWN; i++) {
        for (int k = i + 1; k < UNKNOWN; k++) {
            const complex_t factor = d->matrix[k][i] / d->matrix[i][i];
            for (int j = i; j <= UNKNOWN; j++) {
                d->matrix[k][j] -= factor * d->matrix[i][j];
            }
        }
    }
    for (int i = UNKNOWN - 1; i >= 0; i--) {
        complex_t sum = d->matrix[i][UNKNOWN];
        for (int j = i + 1; j < UNKNOWN; j++) {
            sum -= d->matrix[i][j] * out[j];
        }
        out[i] = sum / d->matrix[i][i];
    }
    return true;
}

/* The waves at every cell: cells a second. */
static void spread(const darts *d, const complex_t *waves, double base_u, double base_v,
                   double unit_s, squall_motion *out)
{
    const size_t width = out->grid.width, height = out->grid.height;
    for (size_t row = 0; row < height; row++) {
        complex_t along[2][SIDE];
        for (int k = 0; k < 2 * SIDE; k++) {
            complex_t sum = 0;
            for (int j = 0; j < SIDE; j++) {
                const double turn =
                    2.0 * PI * (double)(j - WAVES) * (double)row / (double)d->height;
                sum += waves[k / SIDE * SIDE * SIDE + j * SIDE + k % SIDE] * cexp(I * turn);
            }
            along[k / SIDE][k % SIDE] = sum;
        }
        for (size_t column = 0; column < width; column++) {
            double u = base_u, v = base_v;
            for (int i = 0; i < SIDE; i++) {
                const double turn =
                    2.0 * PI * (double)(i - WAVES) * (double)column / (double)d->width;
                const complex_t phase = cos(turn) + sin(turn) * I;
                u += creal(along[0][i] * phase);
                v += creal(along[1][i] * phase);
            }
            out->u[row * width + column] = (float)(u / unit_s);
            out->v[row * width + column] = (float)(v / unit_s);
        }
    }
}

static squall_status prepare(darts *d, const squall_field *const *frames, size_t count, float least,
                             squall_error *err)
{
    d->width = sq_fft_length(frames[0]->grid.width);
    d->height = sq_fft_length(frames[0]->grid.height);
    SQ_TRY(sq_fft_create(d->width, d->height, &d->fft, err));
    const size_t plane = sq_fft_plane(d->fft);
    d->memory = sq_alloc_raw(18 * plane, sizeof *d->memory);
    d->image = sq_alloc_raw(d->width * d->height, sizeof *d->image);
    d->scratch = sq_alloc_raw(sq_fft_scratch(d->fft), sizeof *d->scratch);
    if (d->memory == NULL || d->image == NULL || d->scratch == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for the spectra of %zux%zu cells",
                       d->width, d->height);
    }
    for (size_t i = 0; i < count; i++) {
        d->re[i] = d->memory + 2 * i * plane;
        d->im[i] = d->re[i] + plane;
        take_frame(d, frames[i], least, i);
    }
    return SQUALL_OK;
}

squall_status sq_motion_spectral(const squall_field *const *frames, size_t count,
                                 const squall_motion_options *options, squall_motion *out,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    complex_t waves[UNKNOWN];
    darts *d = sq_alloc(1, sizeof *d);
    if (d == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for %d equations", UNKNOWN);
    }
    SQ_TRY_GOTO(prepare(d, frames, count, options->min_rate_mm_h, err));
    const double unit_s = (double)(frames[count - 1]->valid_time - frames[count - 2]->valid_time);
    double base_x, base_y;
    find_shift(d, count - 2, count - 1, &base_x, &base_y);
    for (size_t i = 0; i + 1 < count; i++) {
        const double step = (double)(frames[i + 1]->valid_time - frames[i]->valid_time) / unit_s;
        add_pair(d, i, i + 1, base_x * step, base_y * step, step);
    }
    memset(waves, 0, sizeof waves);
    if (solve(d, waves)) {
        spread(d, waves, base_x, base_y, unit_s, out);
    } else {
        memset(out->u, 0, out->grid.width * out->grid.height * sizeof *out->u);
        memset(out->v, 0, out->grid.width * out->grid.height * sizeof *out->v);
    }
done:
    sq_fft_destroy(&d->fft);
    sq_free(d->memory);
    sq_free(d->image);
    sq_free(d->scratch);
    sq_free(d);
    return status;
}
