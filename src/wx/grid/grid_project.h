/* wx/grid/grid_project.h - one grid's projection, opened for many points. Private to the room. */
#ifndef SQ_WX_GRID_GRID_PROJECT_H
#define SQ_WX_GRID_GRID_PROJECT_H

#include <stdbool.h>
#include <stddef.h>

#include <proj.h>

#include "squall/field.h"

/** The way between a grid's cell coordinates and longitude and latitude. Zero-initialise; release
 * with sq_projection_close(). For one thread at a time. */
typedef struct sq_projection {
    PJ_CONTEXT *context;
    PJ *from_lonlat;          /* longitude, latitude to projection units */
    double angle_in;          /* what a degree of longitude or latitude is to `from_lonlat` */
    double unit_out;          /* what one of its results is in projection units */
    double left, top, dx, dy; /* of the grid */
    double period;            /* columns around the world when the grid is in degrees, else 0 */
    double middle;            /* column in the middle of the grid */
} sq_projection;

/** @return SQUALL_OK; SQUALL_E_ARGUMENT for a grid that is none, or a projection text that PROJ
 *          does not take for a map; SQUALL_E_UNSUPPORTED for one that would have PROJ open files;
 *          SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_projection_open(const squall_grid *grid, sq_projection *out,
                                                 squall_error *err);
void sq_projection_close(sq_projection *projection);

/** As squall_grid_to_lonlat() and its reverse. They cannot fail: NaN is where there is no answer.
 * The outputs may be the inputs. */
void sq_projection_to_lonlat(const sq_projection *projection, const double *column,
                             const double *row, size_t count, double *lon, double *lat);
void sq_projection_from_lonlat(const sq_projection *projection, const double *lon,
                               const double *lat, size_t count, double *column, double *row);

#endif /* SQ_WX_GRID_GRID_PROJECT_H */
