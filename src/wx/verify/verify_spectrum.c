/* wx/verify/verify_spectrum.c - radially averaged power spectra. */
#include "wx/cascade/cascade.h"
#include "wx/verify/verify_pair.h"

#define LEAST_MM_H 0.1f
#define DRY_DB     (-5.0f)

enum { LARGEST_SIDE = 8192 };

/* The largest side that the transform takes as it is. */
static size_t choose_side(const squall_field *field)
{
    const size_t width = field->grid.width, height = field->grid.height;
    size_t side = width < height ? width : height;
    side = side < LARGEST_SIDE ? side : LARGEST_SIDE;
    while (side > 1 && sq_fft_length(side) != side) {
        side--;
    }
    return side;
}

/* The square in the middle, in dB. */
static void take_square(const squall_field *field, const uint8_t *mask, size_t side, float *out)
{
    const size_t left = (field->grid.width - side) / 2, top = (field->grid.height - side) / 2;
    for (size_t row = 0; row < side; row++) {
        for (size_t column = 0; column < side; column++) {
            const size_t at = (row + top) * field->grid.width + left + column;
            const bool wet = (mask == NULL || mask[at] != 0) && field->values[at] >= LEAST_MM_H;
            out[row * side + column] =
                wet ? 10.0f * log10f(field->values[at] * (1.0f / LEAST_MM_H)) : DRY_DB;
        }
    }
}

/* Power by the rounded length of the wave vector; columns between the first and the last stand for
 * their mirror images too. */
static squall_status average(const sq_fft *fft, const float *re, const float *im, size_t side,
                             squall_spectrum *out, squall_error *err)
{
    double *count = sq_alloc(out->bins, sizeof *count);
    if (count == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "spectrum", "no memory for %zu bins", out->bins);
    }
    const double size = (double)side * (double)side;
    for (size_t row = 0; row < side; row++) {
        const double ky = row <= side / 2 ? (double)row : (double)side - (double)row;
        for (size_t column = 0; column <= side / 2; column++) {
            const double kx = (double)column;
            const size_t bin = (size_t)rint(sqrt(kx * kx + ky * ky));
            const size_t at = row * sq_fft_stride(fft) + column;
            const double a = (double)re[at], b = (double)im[at];
            const double times = column == 0 || 2 * column == side ? 1.0 : 2.0;
            if (bin < out->bins) {
                out->power[bin] += times * (a * a + b * b) / size;
                count[bin] += times;
            }
        }
    }
    for (size_t k = 0; k < out->bins; k++) {
        out->power[k] = count[k] > 0 ? out->power[k] / count[k] : 0.0;
    }
    sq_free(count);
    return SQUALL_OK;
}

squall_status squall_spectrum_find(const squall_field *field, const uint8_t *mask,
                                   squall_spectrum *out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_fft *fft = NULL;
    float *image = NULL, *re = NULL;
    const size_t side = choose_side(field);
    *out = (squall_spectrum){.side = side, .bins = side / 2 + 1};
    if (field->quantity != SQUALL_RAIN_RATE) {
        return sq_fail(err, SQUALL_E_SHAPE, "spectrum", "'%s' is no rain rate",
                       field->quantity_name);
    }
    SQ_TRY_GOTO(sq_fft_create(side, side, &fft, err));
    const size_t plane = sq_fft_plane(fft);
    out->power = sq_alloc(out->bins, sizeof *out->power);
    image = sq_alloc_raw(side * side, sizeof *image);
    re = sq_alloc_raw(2 * plane + sq_fft_scratch(fft), sizeof *re);
    if (out->power == NULL || image == NULL || re == NULL) {
        status =
            sq_fail(err, SQUALL_E_MEMORY, "spectrum", "no memory for %zux%zu cells", side, side);
        goto done;
    }
    take_square(field, mask, side, image);
    sq_fft_forward(fft, image, re, re + plane, re + 2 * plane);
    SQ_TRY_GOTO(average(fft, re, re + plane, side, out, err));
done:
    sq_free(image);
    sq_free(re);
    sq_fft_destroy(&fft);
    if (status != SQUALL_OK) {
        squall_spectrum_free(out);
    }
    return status;
}

void squall_spectrum_free(squall_spectrum *spectrum)
{
    sq_free(spectrum->power);
    *spectrum = (squall_spectrum){0, 0, NULL};
}
