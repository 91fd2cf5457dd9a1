/* wx/io/io_pixels.c - from packed numbers to values and mask. */
#include "wx/io/io_pixels.h"

#include <math.h>

#include "base/base.h"

void sq_io_packing_init(sq_io_packing *packing)
{
    *packing = (sq_io_packing){.gain = 1, .factor = 1, .raw_min = -INFINITY, .raw_max = INFINITY};
}

bool sq_io_packing_add_missing(sq_io_packing *packing, double raw)
{
    if (packing->missing_count == SQ_IO_MISSING) {
        return false;
    }
    packing->missing[packing->missing_count++] = raw;
    return true;
}

static bool is_missing(const sq_io_packing *packing, double raw)
{
    if (!(raw >= packing->raw_min && raw <= packing->raw_max)) { /* NaN is outside, too */
        return true;
    }
    for (size_t i = 0; i < packing->missing_count; i++) {
        if (raw == packing->missing[i]) {
            return true;
        }
    }
    return false;
}

void sq_io_unpack(const sq_io_packing *packing, const double *raw, ptrdiff_t raw_step, size_t count,
                  float *values, uint8_t *mask)
{
    const sq_io_packing p = *packing;
    /* An offset that is not exact in binary turns a packed 0 into -1e-16. */
    const double rounding = -1e-6 * (fabs(p.gain) + fabs(p.offset) * 1e-6);
    for (size_t i = 0; i < count; i++, raw += raw_step) {
        values[i] = NAN;
        mask[i] = SQUALL_CELL_NO_COVERAGE;
        if (is_missing(&p, *raw)) {
            continue;
        }
        if (p.has_undetect && *raw == p.undetect) {
            values[i] = 0;
            mask[i] = SQUALL_CELL_DRY;
            continue;
        }
        double value = *raw * p.gain;
        value += p.offset;
        value *= p.factor;
        if (p.no_negative && value <= 0) {
            if (value < rounding * p.factor) {
                continue;
            }
            value = 0;
        }
        const float rounded = (float)value;
        if (!isfinite(rounded)) {
            continue;
        }
        values[i] = rounded;
        mask[i] = p.zero_is_dry && rounded == 0 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
    }
}

void sq_io_unpack_quality(const sq_io_packing *packing, const double *raw, size_t count,
                          float *quality)
{
    for (size_t i = 0; i < count; i++) {
        double value = raw[i] * packing->gain;
        value += packing->offset;
        const bool none = is_missing(packing, raw[i]) || !(value >= -1e-6 && value <= 1 + 1e-6);
        quality[i] = none ? NAN : (float)fmin(fmax(value, 0), 1);
    }
}

squall_status sq_io_check_cells(size_t width, size_t height, size_t cell_bytes, size_t file_bytes,
                                const char *where, squall_error *err)
{
    size_t cells, bytes, held;
    if (width == 0 || height == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "%zu x %zu cells; there must be at least one",
                       width, height);
    }
    if (width > SQ_LIMIT_FIELD_SIDE || height > SQ_LIMIT_FIELD_SIDE ||
        !sq_mul_size(width, height, &cells) || cells > SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, SQUALL_E_LIMIT, where,
                       "%zu x %zu cells exceed the limits of %zu a side and %zu in all; cut the "
                       "field first",
                       width, height, SQ_LIMIT_FIELD_SIDE, SQ_LIMIT_FIELD_CELLS);
    }
    if (!sq_mul_size(file_bytes, SQ_LIMIT_PACKED, &held) ||
        !sq_add_size(held, (size_t)4 << 20, &held)) {
        held = SIZE_MAX; /* a file so large holds anything */
    }
    if (!sq_mul_size(cells, cell_bytes, &bytes) || bytes > held) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "%zu x %zu cells of %zu bytes cannot be in a file of %zu bytes", width,
                       height, cell_bytes, file_bytes);
    }
    return SQUALL_OK;
}
