/* wx/grid/grid_table.h - what a regridding table holds, and how it is filled. Private to the room.
 */
#ifndef SQ_WX_GRID_GRID_TABLE_H
#define SQ_WX_GRID_GRID_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

#include "wx/grid/grid_project.h"

#define SQ_TABLE_NONE (-1) /* an index: no old cell belongs here */

/** For each new cell, row by row, the old cells that its value comes from. */
struct squall_regrid {
    squall_grid from, to;
    squall_resampling method;
    /* NEAREST: [cells] the old cell. BILINEAR: [cells] the north-west one of the four around, or,
     * when the new cell has no four, the nearest. AREA_MEAN: [entries]. */
    int32_t *index;
    float *fraction; /* BILINEAR: [cells][2] how far east and south of it; NaN: the nearest only */
    uint32_t *start; /* AREA_MEAN: [cells + 1] where the entries of a new cell begin */
    float *weight;   /* AREA_MEAN: [entries] part of the new cell's area */
    size_t entries;
};

/** What carries cell coordinates of the new grid to the old one. Zero-initialise. */
typedef struct sq_carrier {
    sq_projection from, to;
    const squall_grid *from_grid, *to_grid;
    bool same_map; /* one projection text: plain arithmetic will do */
} sq_carrier;

SQUALL_MUST_USE squall_status sq_carrier_open(const squall_grid *from, const squall_grid *to,
                                              sq_carrier *out, squall_error *err);
void sq_carrier_close(sq_carrier *carrier);

/** Points of the new grid in cell coordinates of the old one, in place; NaN where there is none.
 * `lon`, `lat` get their places on the Earth; optional, together. */
void sq_carrier_run(const sq_carrier *carrier, double *column, double *row, size_t count,
                    double *lon, double *lat);

/** Fill `table`, whose grids and method are set; buffers of a table that failed are the caller's to
 * release. */
SQUALL_MUST_USE squall_status sq_table_fill_points(const sq_carrier *carrier, squall_regrid *table,
                                                   squall_error *err);
SQUALL_MUST_USE squall_status sq_table_fill_areas(const sq_carrier *carrier, squall_regrid *table,
                                                  squall_error *err);

#endif /* SQ_WX_GRID_GRID_TABLE_H */
