/* wx/grid/grid_overlap.c - how much of each cell of a row a polygon covers.
 *
 * The area of a polygon inside a cell is the sum over its edges, positive for those that run up the
 * rows (north) and negative for those that run down, of that part of the cell which lies right of
 * the edge and between its ends' heights. An edge therefore adds a part to the cells that it
 * crosses and its whole height to all cells further right; the latter is kept as one step and
 * summed up along the row at the end.
 */
#include "wx/grid/grid_overlap.h"

#include <math.h>
#include <string.h>

double sq_polygon_area(const sq_polygon *polygon)
{
    const double *x = polygon->x, *y = polygon->y;
    double twice = 0;
    for (size_t i = 1; i + 1 < polygon->corners; i++) {
        twice += (x[i] - x[0]) * (y[i + 1] - y[0]) - (x[i + 1] - x[0]) * (y[i] - y[0]);
    }
    return 0.5 * twice;
}

/* The row under work: `area` is what each cell has so far, and the step at its right end. */
typedef struct overlap_row {
    double left, right; /* columns of the window's ends */
    size_t cells;
    double *area; /* [cells]; at first the own part of each cell less what it hands on */
} overlap_row;

/* An edge's piece inside one cell: it rises by `height` at a mean `x` from the window's left. */
static void add_piece(overlap_row *row, size_t cell, double x, double height)
{
    const double right_of_edge = (double)(cell + 1) - x;
    row->area[cell] += height * right_of_edge;
    if (cell + 1 < row->cells) {
        row->area[cell + 1] += height * (1 - right_of_edge);
    }
}

/* An edge from (x0, y0) to (x1, y1) within the window, x counted from its left end. */
static void add_edge(overlap_row *row, double x0, double y0, double x1, double y1)
{
    const double sign = x0 <= x1 ? -1 : 1;
    if (x0 > x1) {
        const double x = x0, y = y0;
        x0 = x1, y0 = y1;
        x1 = x, y1 = y;
    }
    const size_t last = row->cells - 1;
    size_t cell = x0 >= (double)last ? last : (size_t)x0;
    const size_t end = x1 >= (double)last ? last : (size_t)x1;
    const double slope = x1 > x0 ? (y1 - y0) / (x1 - x0) : 0;
    double x = x0, y = y0;
    for (; cell < end; cell++) {
        const double next = (double)(cell + 1), down = y0 + (next - x0) * slope;
        add_piece(row, cell, 0.5 * (x + next), sign * (down - y));
        x = next, y = down;
    }
    add_piece(row, end, 0.5 * (x + x1), sign * (y1 - y));
}

/* Cut an edge to lo <= x <= hi: parts beyond an end are pushed onto it, where they still count for
 * the cells to their right. */
static void add_clamped(overlap_row *row, double x0, double y0, double x1, double y1)
{
    const double ends[2] = {row->left, row->right};
    double cut[4] = {0, 0, 0, 1}; /* where along the edge it is split, between cut[0] and cut[3] */
    for (int i = 0; i < 2; i++) {
        const double at = x1 != x0 ? (ends[i] - x0) / (x1 - x0) : 0;
        cut[i + 1] = at > 0 && at < 1 ? at : 0;
    }
    if (cut[1] > cut[2]) {
        const double swap = cut[1];
        cut[1] = cut[2], cut[2] = swap;
    }
    const double width = row->right - row->left;
    for (int i = 0; i < 3; i++) {
        if (cut[i + 1] <= cut[i]) {
            continue;
        }
        const double from = cut[i], to = cut[i + 1];
        const double xa = from > 0 ? x0 + from * (x1 - x0) : x0;
        const double xb = to < 1 ? x0 + to * (x1 - x0) : x1;
        const double ya = from > 0 ? y0 + from * (y1 - y0) : y0;
        const double yb = to < 1 ? y0 + to * (y1 - y0) : y1;
        add_edge(row, fmin(fmax(xa - row->left, 0), width), ya,
                 fmin(fmax(xb - row->left, 0), width), yb);
    }
}

void sq_overlap_row(const sq_polygon *polygon, size_t row, size_t first, size_t last, double *area)
{
    overlap_row window = {.left = (double)first,
                          .right = (double)(last + 1),
                          .cells = last - first + 1,
                          .area = area};
    memset(area, 0, window.cells * sizeof *area);
    const double top = (double)row, bottom = (double)(row + 1);
    for (size_t i = 0; i < polygon->corners; i++) {
        const size_t j = i + 1 < polygon->corners ? i + 1 : 0;
        double x0 = polygon->x[i], y0 = polygon->y[i], x1 = polygon->x[j], y1 = polygon->y[j];
        if (y0 == y1 || fmax(y0, y1) <= top || fmin(y0, y1) >= bottom) {
            continue;
        }
        const double slope = (x1 - x0) / (y1 - y0), x = x0, y = y0;
        if (y0 < top || y0 > bottom) {
            y0 = y0 < top ? top : bottom;
            x0 = x + (y0 - y) * slope;
        }
        if (y1 < top || y1 > bottom) {
            y1 = y1 < top ? top : bottom;
            x1 = x + (y1 - y) * slope;
        }
        add_clamped(&window, x0, y0, x1, y1);
    }
    /* From "own part less what it hands on" to the sum. */
    double sum = 0;
    for (size_t i = 0; i < window.cells; i++) {
        sum += area[i];
        area[i] = sum;
    }
}
