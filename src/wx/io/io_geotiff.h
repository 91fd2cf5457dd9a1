/* wx/io/io_geotiff.h - GeoTIFF's tags: where a picture lies. */
#ifndef SQ_WX_IO_IO_GEOTIFF_H
#define SQ_WX_IO_IO_GEOTIFF_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

/** The tags as a TIFF has them, borrowed; NULL and 0 where there is none. */
typedef struct sq_geotiff_tags {
    const double *scale; /* ModelPixelScale */
    size_t scale_count;
    const double *tie; /* ModelTiepoint */
    size_t tie_count;
    const double *matrix; /* ModelTransformation */
    size_t matrix_count;
    const uint16_t *keys; /* GeoKeyDirectory */
    size_t key_count;
    const double *doubles; /* GeoDoubleParams */
    size_t double_count;
} sq_geotiff_tags;

/** Set corner, cell sizes and projection of `grid`, whose sides are not touched.
 *
 * @return SQUALL_OK; SQUALL_E_UNSUPPORTED for a picture that is turned, has no place or is in a
 *         projection not known; SQUALL_E_CORRUPT. */
SQUALL_MUST_USE squall_status sq_geotiff_place(const sq_geotiff_tags *tags, const char *where,
                                               squall_grid *grid, squall_error *err);

#endif /* SQ_WX_IO_IO_GEOTIFF_H */
