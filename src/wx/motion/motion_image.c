/* wx/motion/motion_image.c - a frame as the flow sees it: logarithm, smoothed, level by level. */
#include <math.h>
#include <string.h>

#include "wx/motion/motion.h"

enum {
    FINEST_CELLS = 300000, /* a level with more cells costs time and adds nothing */
    COARSEST_SIDE = 12     /* cells of the shorter side below which halving ends */
};

size_t sq_pyramid_reduction(size_t width, size_t height)
{
    size_t halvings = 0;
    while (width * height > FINEST_CELLS && width > 1 && height > 1) {
        width = (width + 1) / 2;
        height = (height + 1) / 2;
        halvings++;
    }
    return halvings;
}

static size_t count_levels(size_t width, size_t height)
{
    size_t levels = 1;
    while (levels < SQ_MOTION_LEVELS && width >= (size_t)2 * COARSEST_SIDE &&
           height >= (size_t)2 * COARSEST_SIDE) {
        width = (width + 1) / 2;
        height = (height + 1) / 2;
        levels++;
    }
    return levels;
}

static void take_logarithm(const squall_field *field, float min_rate_mm_h, float *out)
{
    const size_t cells = field->grid.width * field->grid.height;
    const float scale = 1.0f / min_rate_mm_h;
    for (size_t i = 0; i < cells; i++) {
        if (field->mask[i] == SQUALL_CELL_NO_COVERAGE) {
            out[i] = NAN;
        } else {
            out[i] = field->values[i] > min_rate_mm_h ? logf(field->values[i] * scale) : 0.0f;
        }
    }
}

/* Mean of the cells that were looked at among 2 x 2; NaN when none was. */
static void halve(const float *src, size_t width, size_t height, float *dst)
{
    const size_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    for (size_t y = 0; y < half_height; y++) {
        const float *rows[2] = {src + 2 * y * width, src + 2 * y * width};
        rows[1] += 2 * y + 1 < height ? width : 0;
        for (size_t x = 0; x < half_width; x++) {
            const size_t left = 2 * x, right = 2 * x + 1 < width ? 2 * x + 1 : 2 * x;
            const float four[4] = {rows[0][left], rows[0][right], rows[1][left], rows[1][right]};
            float sum = 0.0f, count = 0.0f;
            for (int i = 0; i < 4; i++) {
                const bool seen = four[i] == four[i];
                sum += seen ? four[i] : 0.0f;
                count += seen ? 1.0f : 0.0f;
            }
            dst[y * half_width + x] = count > 0.0f ? sum / count : NAN;
        }
    }
}

/* Five weighted cells in a line, `step` apart; cells beyond the end or not looked at do not count.
 */
static float weigh_five(const float *at, ptrdiff_t step, size_t index, size_t length)
{
    static const float weights[5] = {1, 4, 6, 4, 1};
    float sum = 0.0f, weight = 0.0f;
    for (int i = -2; i <= 2; i++) {
        const ptrdiff_t other = (ptrdiff_t)index + i;
        if (other >= 0 && other < (ptrdiff_t)length) {
            const float value = at[i * step];
            const bool seen = value == value;
            sum += seen ? weights[i + 2] * value : 0.0f;
            weight += seen ? weights[i + 2] : 0.0f;
        }
    }
    return sum / weight;
}

/* Binomial smoothing of width 5, twice: along rows into `scratch`, along columns back. Where nobody
 * looked stays so, and takes no part. */
static void smooth(float *image, size_t width, size_t height, float *scratch)
{
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const float *at = image + y * width + x;
            scratch[y * width + x] = *at == *at ? weigh_five(at, 1, x, width) : NAN;
        }
    }
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            const float *at = scratch + y * width + x;
            image[y * width + x] = *at == *at ? weigh_five(at, (ptrdiff_t)width, y, height) : NAN;
        }
    }
}

/* Log image of the field, halved `reduction` times, into `image`; `full` and `other` are scratch
 * that hold the whole field. */
static void make_finest(const squall_field *field, float min_rate_mm_h, size_t reduction,
                        float *full, float *other, float *image)
{
    size_t width = field->grid.width, height = field->grid.height;
    float *from = full, *to = other;
    take_logarithm(field, min_rate_mm_h, from);
    for (size_t i = 0; i < reduction; i++) {
        halve(from, width, height, to);
        width = (width + 1) / 2;
        height = (height + 1) / 2;
        float *const swap = from;
        from = to;
        to = swap;
    }
    memcpy(image, from, width * height * sizeof *image);
}

squall_status sq_pyramid_make(const squall_field *field, float min_rate_mm_h, size_t reduction,
                              sq_pyramid *out, squall_error *err)
{
    const size_t cells = field->grid.width * field->grid.height;
    size_t width = field->grid.width, height = field->grid.height, total = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < reduction; i++) {
        width = (width + 1) / 2;
        height = (height + 1) / 2;
    }
    out->levels = count_levels(width, height);
    for (size_t i = 0; i < out->levels; i++) {
        out->width[i] = width;
        out->height[i] = height;
        total += width * height;
        width = (width + 1) / 2;
        height = (height + 1) / 2;
    }
    float *scratch = sq_alloc_raw(2 * cells, sizeof *scratch);
    out->memory = sq_alloc_raw(total, sizeof *out->memory);
    if (scratch == NULL || out->memory == NULL) {
        sq_free(scratch);
        sq_pyramid_free(out);
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for the images of a frame");
    }
    float *image = out->memory;
    make_finest(field, min_rate_mm_h, reduction, scratch, scratch + cells, image);
    for (size_t i = 0; i < out->levels; i++) {
        out->image[i] = image;
        smooth(image, out->width[i], out->height[i], scratch);
        image += out->width[i] * out->height[i];
        if (i + 1 < out->levels) {
            halve(out->image[i], out->width[i], out->height[i], image);
        }
    }
    sq_free(scratch);
    return SQUALL_OK;
}

void sq_pyramid_free(sq_pyramid *pyramid)
{
    sq_free(pyramid->memory);
    memset(pyramid, 0, sizeof *pyramid);
}
