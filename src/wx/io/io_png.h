/* wx/io/io_png.h - the pixels of a PNG, as GRIB2 packs fields into them. */
#ifndef SQ_WX_IO_IO_PNG_H
#define SQ_WX_IO_IO_PNG_H

#include <stddef.h>

#include "squall/status.h"

/** Pixels of `bits` bits each (1, 2, 4, 8, 16, 24, 32), most significant first. Zero-initialise;
 * release `rows` with sq_free(). */
typedef struct sq_png {
    size_t width, height;
    unsigned bits;       /* of a whole pixel: 24 for red, green and blue of 8 */
    size_t row_bytes;    /* from the first pixel of a row to that of the next */
    unsigned char *rows; /* given; the first pixel of row r is at rows + 1 + r * row_bytes */
} sq_png;

/**
 * Decode a PNG of grey, RGB or RGBA pixels that is not interlaced.
 *
 * @param pixels  how many pixels it must have; no memory is taken before that is checked, nor
 *                before the packed bytes are enough for them.
 * @return SQUALL_OK; SQUALL_E_TRUNCATED; SQUALL_E_CORRUPT; SQUALL_E_UNSUPPORTED; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_io_png_read(const unsigned char *bytes, size_t size, size_t pixels,
                                             const char *where, sq_png *out, squall_error *err);

#endif /* SQ_WX_IO_IO_PNG_H */
