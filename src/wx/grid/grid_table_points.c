/* wx/grid/grid_table_points.c - tables for the nearest cell and for bilinear interpolation, and the
 * carrier from the new grid to the old one that all tables use. */
#include "wx/grid/grid_table.h"

#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"

/* PROJ's way there and back is good to about 1e-9 m. A point this near (in cells) to a border or a
 * centre lies on it, so that aligned grids give the same table from any PROJ. */
#define ON_IT 1e-6

squall_status sq_carrier_open(const squall_grid *from, const squall_grid *to, sq_carrier *out,
                              squall_error *err)
{
    *out = (sq_carrier){.from_grid = from, .to_grid = to};
    squall_status status = sq_projection_open(from, &out->from, err);
    if (status == SQUALL_OK) {
        status = sq_projection_open(to, &out->to, err);
    }
    if (status != SQUALL_OK) {
        sq_carrier_close(out);
        return status;
    }
    /* Degrees may differ by whole turns, which only the long way sorts out. */
    out->same_map = strcmp(from->proj, to->proj) == 0 && !(out->from.period > 0);
    return SQUALL_OK;
}

void sq_carrier_close(sq_carrier *carrier)
{
    sq_projection_close(&carrier->from);
    sq_projection_close(&carrier->to);
}

void sq_carrier_run(const sq_carrier *carrier, double *column, double *row, size_t count,
                    double *lon, double *lat)
{
    const squall_grid *from = carrier->from_grid, *to = carrier->to_grid;
    if (lon != NULL) {
        sq_projection_to_lonlat(&carrier->to, column, row, count, lon, lat);
    }
    if (carrier->same_map) {
        for (size_t i = 0; i < count; i++) {
            column[i] = (to->left - from->left + column[i] * to->dx) / from->dx;
            row[i] = (from->top - to->top + row[i] * to->dy) / from->dy;
        }
    } else if (lon != NULL) {
        sq_projection_from_lonlat(&carrier->from, lon, lat, count, column, row);
    } else {
        sq_projection_to_lonlat(&carrier->to, column, row, count, column, row);
        sq_projection_from_lonlat(&carrier->from, column, row, count, column, row);
    }
}

/* The cell of `count` in a line that holds `at`; SQ_TABLE_NONE outside or for NaN. */
static int32_t cell_that_holds(double at, size_t count)
{
    if (!(at >= -ON_IT) || !(at <= (double)count + ON_IT)) {
        return SQ_TABLE_NONE;
    }
    const double cell = floor(at + ON_IT);
    return (int32_t)fmin(cell, (double)(count - 1));
}

static int32_t nearest_cell(const squall_grid *from, double column, double row)
{
    const int32_t j = cell_that_holds(column, from->width), i = cell_that_holds(row, from->height);
    return i < 0 || j < 0 ? SQ_TABLE_NONE : i * (int32_t)from->width + j;
}

/* Split a position among cell centres into the centre before it and the part beyond; false when
 * there is no centre on both sides. */
static bool split(double at, size_t count, double *before, float *part)
{
    *before = floor(at);
    double rest = at - *before;
    if (rest > 1 - ON_IT) {
        *before += 1;
        rest = 0;
    } else if (rest < ON_IT) {
        rest = 0;
    }
    *part = (float)rest;
    return *before >= 0 && *before + (rest > 0) <= (double)(count - 1);
}

static void bilinear_cell(const squall_grid *from, double column, double row, int32_t *index,
                          float *fraction)
{
    double i, j;
    *index = nearest_cell(from, column, row);
    fraction[0] = fraction[1] = NAN;
    float right, down;
    if (*index >= 0 && split(column - 0.5, from->width, &j, &right) &&
        split(row - 0.5, from->height, &i, &down)) {
        *index = (int32_t)i * (int32_t)from->width + (int32_t)j;
        fraction[0] = right;
        fraction[1] = down;
    }
}

squall_status sq_table_fill_points(const sq_carrier *carrier, squall_regrid *table,
                                   squall_error *err)
{
    const size_t width = table->to.width, cells = sq_grid_cells(&table->to);
    const bool bilinear = table->method == SQUALL_BILINEAR;
    double *column = sq_alloc_raw(2 * width, sizeof *column), *row = column + width;
    table->index = sq_alloc_raw(cells, sizeof *table->index);
    table->fraction = bilinear ? sq_alloc_raw(2 * cells, sizeof *table->fraction) : NULL;
    if (column == NULL || table->index == NULL || (bilinear && table->fraction == NULL)) {
        sq_free(column);
        return sq_fail(err, SQUALL_E_MEMORY, "regrid", "no memory for a table of %zu cells", cells);
    }
    for (size_t i = 0; i < table->to.height; i++) {
        for (size_t j = 0; j < width; j++) {
            column[j] = (double)j + 0.5;
            row[j] = (double)i + 0.5;
        }
        sq_carrier_run(carrier, column, row, width, NULL, NULL);
        for (size_t j = 0; j < width; j++) {
            const size_t cell = i * width + j;
            if (bilinear) {
                bilinear_cell(&table->from, column[j], row[j], table->index + cell,
                              table->fraction + 2 * cell);
            } else {
                table->index[cell] = nearest_cell(&table->from, column[j], row[j]);
            }
        }
    }
    sq_free(column);
    return SQUALL_OK;
}
