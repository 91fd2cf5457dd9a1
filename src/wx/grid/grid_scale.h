/* wx/grid/grid_scale.h - how large the cells of a grid are on the Earth. Private to the room. */
#ifndef SQ_WX_GRID_GRID_SCALE_H
#define SQ_WX_GRID_GRID_SCALE_H

#include <stddef.h>

#include "squall/field.h"

#include "wx/grid/grid_project.h"

/** Area of the quadrilateral whose corners have these longitudes and latitudes (WGS 84 degrees,
 * clockwise from the north-west), as a part of the unit sphere of equal area; negative when the
 * corners run the other way round, NaN when one is unknown. */
double sq_quad_area(const double *lon, const double *lat);

/** The areas of a grid's cells, kept at every `step`-th cell. Zero-initialise; release with
 * sq_scale_free(). */
typedef struct sq_scale {
    double *nodes; /* [rows][columns]; NaN where the cell has no place on the Earth */
    size_t rows, columns, step;
    double mean;
} sq_scale;

SQUALL_MUST_USE squall_status sq_scale_make(const squall_grid *grid,
                                            const sq_projection *projection, sq_scale *out,
                                            squall_error *err);
void sq_scale_free(sq_scale *scale);

/** The area of cell (row, column), as sq_quad_area() counts; never NaN. */
double sq_scale_get(const sq_scale *scale, size_t row, size_t column);

#endif /* SQ_WX_GRID_GRID_SCALE_H */
