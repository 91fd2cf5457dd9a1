/* wx/grid/grid_table_areas.c - tables for the area mean.
 *
 * The corners of all new cells are carried over to cell coordinates of the old grid, where each new
 * cell is a polygon among unit squares. Neighbours share their corners to the bit, so the polygons
 * cover the old grid without gap or overlap and no rain is lost or counted twice. Edges that would
 * bend visibly get more points.
 */
#include "wx/grid/grid_table.h"

#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/grid/grid_overlap.h"
#include "wx/grid/grid_scale.h"

#define EDGE_PARTS   8    /* at most, that an edge of a cell is divided into */
#define EDGE_BEND    1e-4 /* of a cell's size: how far an edge may bend away from its parts */
#define SAMPLES      12   /* cells along a side of the grid that the bend is measured at */
#define SLIVER       1e-6 /* of the smaller cell: less overlap than this is rounding */
#define SANE_STRETCH 4.0  /* between a cell's area on the Earth and as a polygon in the old grid */

/* Work on one table. */
typedef struct area_work {
    const sq_carrier *carrier;
    squall_regrid *table;
    sq_scale scale;       /* of the old grid */
    size_t parts;         /* that each edge is divided into */
    size_t points;        /* of one line of the lattice: width * parts + 1 */
    double *column, *row; /* [parts + 1][points] the lattice lines of one row of new cells */
    double *lon, *lat;    /* the same */
    double *area;         /* [old width] */
    size_t capacity;      /* entries there is room for */
} area_work;

/* How many parts an edge needs: its middle must be where the middle of its parts is. The distance
 * falls with the square of their number. */
static size_t parts_of_edges(const sq_carrier *carrier)
{
    if (carrier->same_map) {
        return 1;
    }
    const double width = (double)carrier->to_grid->width, height = (double)carrier->to_grid->height;
    double worst = 0;
    for (int sample = 0; sample < SAMPLES * SAMPLES; sample++) {
        const int down = sample / SAMPLES, right = sample % SAMPLES;
        const double i = floor((height - 1) * down / (SAMPLES - 1));
        const double j = floor((width - 1) * right / (SAMPLES - 1));
        double x[5] = {j, j + 0.5, j + 1, j + 1, j + 1}, y[5] = {i, i, i, i + 0.5, i + 1};
        sq_carrier_run(carrier, x, y, 5, NULL, NULL);
        for (int k = 0; k < 3; k += 2) {
            const double length = hypot(x[k + 2] - x[k], y[k + 2] - y[k]);
            const double bend =
                hypot(x[k + 1] - 0.5 * (x[k] + x[k + 2]), y[k + 1] - 0.5 * (y[k] + y[k + 2]));
            if (length > 0 && length < width + height && bend / length > worst) {
                worst = bend / length; /* false for NaN */
            }
        }
    }
    size_t parts = 1;
    while (parts < EDGE_PARTS && worst > EDGE_BEND * (double)(parts * parts)) {
        parts *= 2;
    }
    return parts;
}

/* Lattice lines of row `i` of the new cells; the last line of the row before is its first. */
static void carry_lines(area_work *work, size_t i)
{
    const size_t points = work->points, last = points * work->parts;
    const double parts = (double)work->parts;
    size_t done = 0;
    if (i > 0) {
        double *const lines[4] = {work->column, work->row, work->lon, work->lat};
        for (int k = 0; k < 4; k++) {
            memcpy(lines[k], lines[k] + last, points * sizeof *lines[k]);
        }
        done = points;
    }
    for (size_t line = done / points; line <= work->parts; line++) {
        double *column = work->column + line * points, *row = work->row + line * points;
        for (size_t k = 0; k < points; k++) {
            column[k] = (double)k / parts;
            row[k] = (double)i + (double)line / parts;
        }
    }
    sq_carrier_run(work->carrier, work->column + done, work->row + done, last + points - done,
                   work->lon + done, work->lat + done);
}

/* The outline of new cell `j` of the row, clockwise; false when a point of it has no place in the
 * old map, or the outline runs around a pole of it. In degrees, points are brought to one side of
 * the seam. `corners` gets the four corners' places in the lattice. */
static bool outline(const area_work *work, size_t j, double *x, double *y, size_t *corners)
{
    const size_t parts = work->parts, points = work->points, count = 4 * parts;
    if (parts < 1 || parts > EDGE_PARTS) {
        return false;
    }
    const size_t west = j * parts, east = west + parts, south = parts * points;
    for (size_t k = 0; k < parts; k++) {
        const size_t at[4] = {west + k, k * points + east, south + east - k,
                              (parts - k) * points + west};
        for (size_t side = 0; side < 4; side++) {
            x[side * parts + k] = work->column[at[side]];
            y[side * parts + k] = work->row[at[side]];
            if (k == 0) {
                corners[side] = at[side];
            }
        }
    }
    const double period = work->carrier->from.period;
    for (size_t k = 0; k < count; k++) {
        if (isnan(x[k]) || isnan(y[k])) {
            return false;
        }
        if (period > 0 && k > 0) {
            x[k] -= period * rint((x[k] - x[k - 1]) / period);
        }
    }
    return !(period > 0) || fabs(x[count - 1] - x[0]) < 0.5 * period;
}

/* More room for entries. */
static squall_status grow(area_work *work, squall_error *err)
{
    squall_regrid *table = work->table;
    const size_t old = work->capacity, more = old + old / 2;
    if (more > UINT32_MAX) {
        return sq_fail(err, SQUALL_E_LIMIT, "regrid",
                       "a table of more than %zu entries; take coarser grids", old);
    }
    int32_t *index = sq_regrow(table->index, old, more, sizeof *index);
    table->index = index != NULL ? index : table->index;
    float *weight = sq_regrow(table->weight, old, more, sizeof *weight);
    table->weight = weight != NULL ? weight : table->weight;
    if (index == NULL || weight == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "regrid",
                       "no memory for a table of more than %zu entries; take coarser grids", old);
    }
    work->capacity = more;
    return SQUALL_OK;
}

static squall_status add_entry(area_work *work, size_t index, double overlap, squall_error *err)
{
    squall_regrid *table = work->table;
    if (table->entries == work->capacity) {
        SQ_TRY(grow(work, err));
    }
    table->index[table->entries] = (int32_t)index;
    table->weight[table->entries] = (float)overlap;
    table->entries++;
    return SQUALL_OK;
}

/* Entries of one outline, moved by `shift` columns; weights are areas on the Earth for now. `seen`
 * adds up the overlap in old cells, `ground` on the Earth. */
static squall_status add_outline(area_work *work, sq_polygon polygon, double *x, double shift,
                                 double *seen, double *ground, squall_error *err)
{
    const squall_grid *from = &work->table->from;
    double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
    for (size_t k = 0; k < polygon.corners; k++) {
        x[k] += shift;
        left = fmin(left, x[k]);
        right = fmax(right, x[k]);
        top = fmin(top, polygon.y[k]);
        bottom = fmax(bottom, polygon.y[k]);
    }
    const double width = (double)from->width, height = (double)from->height;
    if (!(left < width) || !(right > 0) || !(top < height) || !(bottom > 0)) {
        return SQUALL_OK;
    }
    const double area = sq_polygon_area(&polygon), least = SLIVER * fmin(1, fabs(area));
    const size_t first = (size_t)fmax(left, 0), end = (size_t)ceil(fmin(right, width));
    const size_t last_row = (size_t)ceil(fmin(bottom, height));
    for (size_t i = (size_t)fmax(top, 0); i < last_row; i++) {
        sq_overlap_row(&polygon, i, first, end - 1, work->area);
        for (size_t j = first; j < end; j++) {
            const double overlap = area < 0 ? -work->area[j - first] : work->area[j - first];
            if (overlap > least) {
                const double on_earth = overlap * sq_scale_get(&work->scale, i, j);
                SQ_TRY(add_entry(work, i * from->width + j, on_earth, err));
                *seen += overlap;
                *ground += on_earth;
            }
        }
    }
    return SQUALL_OK;
}

/* Entries of new cell `j` of the row. */
static squall_status add_cell(area_work *work, size_t j, squall_error *err)
{
    double x[4 * EDGE_PARTS], y[4 * EDGE_PARTS];
    size_t corners[4];
    if (!outline(work, j, x, y, corners)) {
        return SQUALL_OK;
    }
    squall_regrid *table = work->table;
    const size_t begin = table->entries;
    const sq_polygon polygon = {.x = x, .y = y, .corners = 4 * work->parts};
    const double period = work->carrier->from.period;
    double seen = 0, ground = 0;
    SQ_TRY(add_outline(work, polygon, x, 0, &seen, &ground, err));
    if (period > 0) {
        SQ_TRY(add_outline(work, polygon, x, -period, &seen, &ground, err));
        SQ_TRY(add_outline(work, polygon, x, 2 * period, &seen, &ground, err));
    }
    if (!(seen > 0)) {
        return SQUALL_OK;
    }
    const double whole = fabs(sq_polygon_area(&polygon)) * ground / seen;
    double lon[4], lat[4];
    for (int corner = 0; corner < 4; corner++) {
        lon[corner] = work->lon[corners[corner]];
        lat[corner] = work->lat[corners[corner]];
    }
    /* A cell on the far side of the Earth, where the old map is cut open, is no polygon at all. */
    const double stretch = whole / fabs(sq_quad_area(lon, lat));
    if (!(stretch < SANE_STRETCH) || !(stretch > 1 / SANE_STRETCH)) {
        table->entries = begin;
        return SQUALL_OK;
    }
    for (size_t k = begin; k < table->entries; k++) {
        table->weight[k] = (float)(table->weight[k] / whole);
    }
    return SQUALL_OK;
}

static void work_free(area_work *work)
{
    sq_scale_free(&work->scale);
    sq_free(work->column);
    sq_free(work->area);
}

static squall_status work_allocate(area_work *work, squall_error *err)
{
    squall_regrid *table = work->table;
    const size_t cells = sq_grid_cells(&table->to);
    const size_t lattice = work->points * (work->parts + 1);
    work->column = sq_alloc_raw(4 * lattice, sizeof *work->column);
    work->row = work->column + lattice;
    work->lon = work->row + lattice;
    work->lat = work->lon + lattice;
    work->area = sq_alloc_raw(table->from.width, sizeof *work->area);
    work->capacity = cells + 64;
    table->start = sq_alloc(cells + 1, sizeof *table->start);
    table->index = sq_alloc_raw(work->capacity, sizeof *table->index);
    table->weight = sq_alloc_raw(work->capacity, sizeof *table->weight);
    if (work->column == NULL || work->area == NULL || table->start == NULL ||
        table->index == NULL || table->weight == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "regrid", "no memory for a table of %zu cells", cells);
    }
    return SQUALL_OK;
}

/* Give back the room that was not needed; a table that stays larger is as good. */
static void trim(squall_regrid *table)
{
    int32_t *index = sq_regrow(table->index, table->entries, table->entries, sizeof *index);
    table->index = index != NULL ? index : table->index;
    float *weight = sq_regrow(table->weight, table->entries, table->entries, sizeof *weight);
    table->weight = weight != NULL ? weight : table->weight;
}

squall_status sq_table_fill_areas(const sq_carrier *carrier, squall_regrid *table,
                                  squall_error *err)
{
    area_work work = {.carrier = carrier, .table = table, .parts = parts_of_edges(carrier)};
    work.points = table->to.width * work.parts + 1;
    squall_status status = sq_scale_make(&table->from, &carrier->from, &work.scale, err);
    if (status == SQUALL_OK) {
        status = work_allocate(&work, err);
    }
    for (size_t i = 0; status == SQUALL_OK && i < table->to.height; i++) {
        carry_lines(&work, i);
        for (size_t j = 0; status == SQUALL_OK && j < table->to.width; j++) {
            status = add_cell(&work, j, err);
            table->start[i * table->to.width + j + 1] = (uint32_t)table->entries;
        }
    }
    if (status == SQUALL_OK) {
        trim(table);
    }
    work_free(&work);
    return status;
}
