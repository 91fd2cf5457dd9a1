/* wx/io/io_pixels.h - from packed numbers to values and mask, the same way for every reader. */
#ifndef SQ_WX_IO_IO_PIXELS_H
#define SQ_WX_IO_IO_PIXELS_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/field.h"

#define SQ_IO_MISSING 6

/** How a dataset packs its values. Zero-initialise, then sq_io_packing_init(). Missing beats
 * undetect beats value. */
typedef struct sq_io_packing {
    double gain, offset;           /* value = raw * gain + offset, rounded after each step */
    double factor;                 /* of the file's unit in ours; 1 leaves every bit as it is */
    double missing[SQ_IO_MISSING]; /* raw numbers that mean "no coverage" */
    size_t missing_count;
    double undetect; /* the raw number that means "nothing detected" */
    bool has_undetect;
    double raw_min, raw_max; /* raw numbers outside are missing */
    bool no_negative;        /* a negative value cannot be (rain): missing, but for rounding */
    bool zero_is_dry;        /* the format has no word for "nothing detected" but 0 */
} sq_io_packing;

/** Gain 1, offset 0, nothing missing. */
void sq_io_packing_init(sq_io_packing *packing);

/** Add a raw number that means "no coverage"; more than SQ_IO_MISSING are dropped: false. */
bool sq_io_packing_add_missing(sq_io_packing *packing, double raw);

/** Unpack `count` raw numbers, `raw_step` apart in `raw` (-1 mirrors a row: `raw` is then its
 * last).
 */
void sq_io_unpack(const sq_io_packing *packing, const double *raw, ptrdiff_t raw_step, size_t count,
                  float *values, uint8_t *mask);

/** Unpack a quality index: 0..1, NaN where there is none. */
void sq_io_unpack_quality(const sq_io_packing *packing, const double *raw, size_t count,
                          float *quality);

/** Hold the sides of a field against the limits, and its bytes against what a file of `file_bytes`
 * can hold, compressed as well as can be; before anything is allocated. */
SQUALL_MUST_USE squall_status sq_io_check_cells(size_t width, size_t height, size_t cell_bytes,
                                                size_t file_bytes, const char *where,
                                                squall_error *err);

#endif /* SQ_WX_IO_IO_PIXELS_H */
