/* wx/grid/grid.h - fields on map grids, as the other rooms of wx see them. */
#ifndef SQ_WX_GRID_GRID_H
#define SQ_WX_GRID_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "squall/field.h"

#include "base/base.h"

/** Whether `grid` can carry a field: sides of at least one cell and within the limits, cell sizes
 * that are positive numbers, finite corners, a projection text that ends.
 *
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_LIMIT.
 */
SQUALL_MUST_USE squall_status sq_grid_check(const squall_grid *grid, squall_error *err);

/** Cells of a grid that sq_grid_check() has passed. */
static inline size_t sq_grid_cells(const squall_grid *grid)
{
    return grid->width * grid->height;
}

/** A grid's projection kept open, for those who ask often. */
typedef struct sq_locator sq_locator;

/** @return as squall_grid_from_lonlat(); given. */
SQUALL_MUST_USE squall_status sq_locator_create(const squall_grid *grid, sq_locator **out,
                                                squall_error *err);
void sq_locator_destroy(sq_locator **locator);
/** As squall_grid_from_lonlat() and squall_grid_to_lonlat(), which open it anew each time. Threads:
 * safe, several at once. */
void sq_locator_from_lonlat(sq_locator *locator, const double *lon, const double *lat, size_t count,
                            double *column, double *row);
void sq_locator_to_lonlat(sq_locator *locator, const double *column, const double *row,
                          size_t count, double *lon, double *lat);

#endif /* SQ_WX_GRID_GRID_H */
