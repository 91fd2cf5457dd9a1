/* wx/grid/grid_overlap.h - how much of each cell of a row a polygon covers. Private to the room. */
#ifndef SQ_WX_GRID_GRID_OVERLAP_H
#define SQ_WX_GRID_GRID_OVERLAP_H

#include <stddef.h>

/** A closed polygon in cell coordinates; need not be convex, and may leave the grid. */
typedef struct sq_polygon {
    const double *x, *y; /* [corners], borrowed */
    size_t corners;
} sq_polygon;

/** The area of `polygon`, positive when its corners run clockwise on a map with row 0 in the north.
 */
double sq_polygon_area(const sq_polygon *polygon);

/**
 * The area that `polygon` covers of each cell of row `row` from column `first` to column `last`,
 * with the sign of sq_polygon_area().
 *
 * Exact but for rounding: each edge adds what lies to its right, so that neighbours which share an
 * edge share out every cell without gap or overlap.
 *
 * @param area  filled; [last - first + 1].
 */
void sq_overlap_row(const sq_polygon *polygon, size_t row, size_t first, size_t last, double *area);

#endif /* SQ_WX_GRID_GRID_OVERLAP_H */
