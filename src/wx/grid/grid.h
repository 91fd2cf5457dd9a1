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

#endif /* SQ_WX_GRID_GRID_H */
