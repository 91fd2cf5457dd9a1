/* wx/cascade/cascade_fft.c - real two-dimensional Fourier transforms.
 *
 * Lines are transformed SQ_FFT_LANES at a time by Stockham's scheme with the factors 4, 2, 3, 5 and
 * primes to 19, so that every step of it is one on whole registers. Two real rows make one complex
 * line; a transform back is one forth with real and imaginary parts exchanged.
 */
#include <math.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/cascade/cascade_kernels.h"

enum { LANES = SQ_FFT_LANES };

#define PI 3.14159265358979323846

struct sq_fft {
    size_t width, height, columns, stride;
    const sq_cascade_kernels *kernels;
    sq_fft_line row, column;
    float *twiddles; /* owned, of both */
};

static const uint8_t factors[] = {4, 2, 3, 5, 7, 11, 13, 17, 19};

/* Take `n` apart; false when a larger prime is left. */
static bool take_apart(size_t n, sq_fft_line *line)
{
    line->length = n;
    line->count = 0;
    for (size_t i = 0; i < sizeof factors; i++) {
        while (n % factors[i] == 0 && line->count < SQ_FFT_FACTORS) {
            line->factors[line->count++] = factors[i];
            n /= factors[i];
        }
    }
    return n == 1;
}

size_t sq_fft_length(size_t n)
{
    sq_fft_line line;
    n = n > 0 ? n : 1;
    while (!take_apart(n, &line)) {
        n++;
    }
    return n;
}

/* Floats of the twiddles of a line. */
static size_t twiddle_count(const sq_fft_line *line)
{
    size_t m = line->length, total = 0;
    for (size_t i = 0; i < line->count; i++) {
        m /= line->factors[i];
        total += 2 * (line->factors[i] - 1u) * m;
    }
    return total;
}

static void make_line(sq_fft_line *line, float *twiddles)
{
    size_t part = line->length;
    line->twiddles = twiddles;
    for (size_t i = 0; i < line->count; i++) {
        const size_t radix = line->factors[i], m = part / radix;
        for (size_t j = 0; j < radix; j++) {
            line->roots[i][j][0] = (float)cos(2.0 * PI * (double)j / (double)radix);
            line->roots[i][j][1] = (float)-sin(2.0 * PI * (double)j / (double)radix);
        }
        for (size_t p = 0; p < m; p++) {
            for (size_t j = 1; j < radix; j++) {
                const double angle = 2.0 * PI * (double)(p * j) / (double)part;
                *twiddles++ = (float)cos(angle);
                *twiddles++ = (float)-sin(angle);
            }
        }
        part = m;
    }
}

const sq_cascade_kernels *sq_cascade_kernels_get(void)
{
#if defined(__x86_64__)
    if (sq_cpu_can(SQ_ISA_AVX512)) {
        return &sq_cascade_kernels_avx512;
    }
    if (sq_cpu_can(SQ_ISA_AVX2)) {
        return &sq_cascade_kernels_avx2;
    }
#endif
    return &sq_cascade_kernels_c;
}

squall_status sq_fft_create(size_t width, size_t height, sq_fft **out, squall_error *err)
{
    if (width == 0 || height == 0 || width > SQ_LIMIT_FIELD_SIDE || height > SQ_LIMIT_FIELD_SIDE ||
        sq_fft_length(width) != width || sq_fft_length(height) != height) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "transform",
                       "%zux%zu; sides have prime factors to %d and are at most %zu long", width,
                       height, SQ_FFT_LARGEST, SQ_LIMIT_FIELD_SIDE);
    }
    sq_fft *fft = sq_alloc(1, sizeof *fft);
    if (fft != NULL) {
        fft->width = width;
        fft->height = height;
        fft->columns = width / 2 + 1;
        fft->stride = sq_round_up(fft->columns, LANES);
        fft->kernels = sq_cascade_kernels_get();
        take_apart(width, &fft->row);
        take_apart(height, &fft->column);
        fft->twiddles = sq_alloc_raw(twiddle_count(&fft->row) + twiddle_count(&fft->column),
                                     sizeof *fft->twiddles);
    }
    if (fft == NULL || fft->twiddles == NULL) {
        sq_fft_destroy(&fft);
        return sq_fail(err, SQUALL_E_MEMORY, "transform", "no memory for the tables of %zux%zu",
                       width, height);
    }
    make_line(&fft->row, fft->twiddles);
    make_line(&fft->column, fft->twiddles + twiddle_count(&fft->row));
    *out = fft;
    return SQUALL_OK;
}

void sq_fft_destroy(sq_fft **fft)
{
    if (fft == NULL || *fft == NULL) {
        return;
    }
    sq_free((*fft)->twiddles);
    sq_free(*fft);
    *fft = NULL;
}

size_t sq_fft_width(const sq_fft *fft)
{
    return fft->width;
}

size_t sq_fft_height(const sq_fft *fft)
{
    return fft->height;
}

size_t sq_fft_columns(const sq_fft *fft)
{
    return fft->columns;
}

size_t sq_fft_stride(const sq_fft *fft)
{
    return fft->stride;
}

size_t sq_fft_plane(const sq_fft *fft)
{
    return sq_round_up(fft->height * fft->stride, (size_t)2 * LANES);
}

size_t sq_fft_scratch(const sq_fft *fft)
{
    const size_t longer = fft->width > fft->height ? fft->width : fft->height;
    return 4 * LANES * longer;
}

/* All columns of a spectrum, in place: forth, or back with the planes exchanged. */
static void run_columns(const sq_fft *fft, float *re, float *im, float *scratch)
{
    const size_t height = fft->height, stride = fft->stride;
    float *const a = scratch, *const b = scratch + 2 * LANES * height;
    for (size_t first = 0; first < stride; first += LANES) {
        for (size_t i = 0; i < height; i++) {
            memcpy(a + 2 * LANES * i, re + i * stride + first, LANES * sizeof *a);
            memcpy(a + 2 * LANES * i + LANES, im + i * stride + first, LANES * sizeof *a);
        }
        const float *done = fft->kernels->line(&fft->column, a, b);
        for (size_t i = 0; i < height; i++) {
            memcpy(re + i * stride + first, done + 2 * LANES * i, LANES * sizeof *a);
            memcpy(im + i * stride + first, done + 2 * LANES * i + LANES, LANES * sizeof *a);
        }
    }
}

/* Two rows a lane, 2 x LANES rows from `first` on; those beyond the last are 0. */
static void load_rows(const sq_fft *fft, const float *values, size_t first, float *a)
{
    const size_t width = fft->width;
    for (size_t lane = 0; lane < (size_t)2 * LANES; lane++) {
        const size_t at = lane / 2 + (lane % 2) * LANES, row = first + lane;
        if (row < fft->height) {
            const float *from = values + row * width;
            for (size_t j = 0; j < width; j++) {
                a[2 * LANES * j + at] = from[j];
            }
        } else {
            for (size_t j = 0; j < width; j++) {
                a[2 * LANES * j + at] = 0.0f;
            }
        }
    }
}

/* The spectra of the two rows of each lane from that of their complex sum. */
static void part_rows(const sq_fft *fft, const float *done, size_t first, float *re, float *im)
{
    const size_t width = fft->width;
    const size_t pairs = (fft->height - first + 1) / 2;
    const size_t lanes = pairs < LANES ? pairs : LANES;
    for (size_t lane = 0; lane < lanes; lane++) {
        const size_t row = first + 2 * lane;
        const bool two = row + 1 < fft->height;
        float *const r0 = re + row * fft->stride, *const i0 = im + row * fft->stride;
        float *const r1 = two ? r0 + fft->stride : NULL, *const i1 = two ? i0 + fft->stride : NULL;
        for (size_t k = 0; k < fft->columns; k++) {
            const float *p = done + 2 * LANES * k + lane;
            const float *q = done + 2 * LANES * (k > 0 ? width - k : 0) + lane;
            r0[k] = 0.5f * (p[0] + q[0]);
            i0[k] = 0.5f * (p[LANES] - q[LANES]);
            if (two) {
                r1[k] = 0.5f * (p[LANES] + q[LANES]);
                i1[k] = 0.5f * (q[0] - p[0]);
            }
        }
        for (size_t k = fft->columns; k < fft->stride; k++) {
            r0[k] = 0.0f;
            i0[k] = 0.0f;
            if (two) {
                r1[k] = 0.0f;
                i1[k] = 0.0f;
            }
        }
    }
}

void sq_fft_forward(const sq_fft *fft, const float *values, float *re, float *im, float *scratch)
{
    float *const a = scratch, *const b = scratch + 2 * LANES * fft->width;
    for (size_t first = 0; first < fft->height; first += (size_t)2 * LANES) {
        load_rows(fft, values, first, a);
        part_rows(fft, fft->kernels->line(&fft->row, a, b), first, re, im);
    }
    run_columns(fft, re, im, scratch);
}

/* The complex line of two rows' spectra, its parts exchanged: x + iy becomes y + ix. */
static void join_rows(const sq_fft *fft, const float *re, const float *im, size_t first, float *a)
{
    const size_t width = fft->width, last = fft->columns - 1;
    for (size_t lane = 0; lane < LANES; lane++) {
        const size_t row = first + 2 * lane;
        const bool one = row < fft->height, two = row + 1 < fft->height;
        const float *r0 = re + (one ? row : 0) * fft->stride,
                    *i0 = im + (one ? row : 0) * fft->stride;
        const float *r1 = two ? r0 + fft->stride : r0, *i1 = two ? i0 + fft->stride : i0;
        const float second = two ? 1.0f : 0.0f;
        for (size_t k = 0; k <= last; k++) {
            float *p = a + 2 * LANES * k + lane;
            float *q = a + 2 * LANES * (k > 0 ? width - k : 0) + lane;
            const bool self = k == 0 || 2 * k == width; /* its own mirror image: real */
            const float u = i0[k], v = second * i1[k], x = r0[k], y = second * r1[k];
            p[LANES] = x - (self ? 0.0f : v);
            p[0] = (self ? 0.0f : u) + y;
            if (!self) {
                q[LANES] = x + v;
                q[0] = y - u;
            }
        }
    }
}

static void store_rows(const sq_fft *fft, const float *done, size_t first, float *values)
{
    const size_t width = fft->width;
    for (size_t lane = 0; lane < (size_t)2 * LANES && first + lane < fft->height; lane++) {
        const size_t at = lane / 2 + (lane % 2 == 0 ? LANES : 0); /* exchanged */
        float *to = values + (first + lane) * width;
        for (size_t j = 0; j < width; j++) {
            to[j] = done[2 * LANES * j + at];
        }
    }
}

void sq_fft_inverse(const sq_fft *fft, float *re, float *im, float *values, float *scratch)
{
    run_columns(fft, im, re, scratch);
    float *const a = scratch, *const b = scratch + 2 * LANES * fft->width;
    for (size_t first = 0; first < fft->height; first += (size_t)2 * LANES) {
        join_rows(fft, re, im, first, a);
        store_rows(fft, fft->kernels->line(&fft->row, a, b), first, values);
    }
}
