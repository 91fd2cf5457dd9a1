/* wx/grid/grid_regrid.c - carrying fields from one grid to another by a table made once. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/grid/grid_table.h"

#define SAME_PLACE   0.01 /* cells, within which a field's grid is the table's */
#define HALF_COVERED (0.5 - 1e-6)
#define LN_10_BY_10  0.23025850929940457

squall_status squall_regrid_create(const squall_grid *from, const squall_grid *to,
                                   squall_resampling resampling, squall_regrid **out,
                                   squall_error *err)
{
    *out = NULL;
    if (resampling != SQUALL_NEAREST && resampling != SQUALL_BILINEAR &&
        resampling != SQUALL_AREA_MEAN) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "regrid", "no resampling has the number %d",
                       (int)resampling);
    }
    sq_carrier carrier;
    SQ_TRY(sq_carrier_open(from, to, &carrier, err));
    squall_status status;
    squall_regrid *table = sq_alloc(1, sizeof *table);
    if (table == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "regrid", "no memory for a table");
        goto done;
    }
    table->from = *from;
    table->to = *to;
    table->method = resampling;
    SQ_TRY_GOTO(resampling == SQUALL_AREA_MEAN ? sq_table_fill_areas(&carrier, table, err)
                                               : sq_table_fill_points(&carrier, table, err));
    *out = table;
    table = NULL;
done:
    squall_regrid_destroy(&table);
    sq_carrier_close(&carrier);
    return status;
}

void squall_regrid_destroy(squall_regrid **regrid)
{
    if (*regrid != NULL) {
        sq_free((*regrid)->index);
        sq_free((*regrid)->fraction);
        sq_free((*regrid)->start);
        sq_free((*regrid)->weight);
        sq_free(*regrid);
        *regrid = NULL;
    }
}

/* A weighted mean under way. */
typedef struct running_mean {
    double value, weight; /* over covered cells */
    double quality, quality_weight;
    bool measured; /* one of them at least */
} running_mean;

/* What is averaged: reflectivity as Z, anything else as it stands. */
static double linear(const squall_field *field, size_t cell)
{
    const double value = field->values[cell];
    return field->quantity == SQUALL_REFLECTIVITY ? exp(value * LN_10_BY_10) : value;
}

/* Take old cell `cell` into the mean. */
static void take(running_mean *mean, const squall_field *field, size_t cell, double weight)
{
    if (field->mask[cell] == SQUALL_CELL_NO_COVERAGE) {
        return;
    }
    mean->weight += weight;
    if (field->mask[cell] == SQUALL_CELL_VALUE) {
        mean->measured = true;
        mean->value += weight * linear(field, cell);
    }
    if (field->quality != NULL && !isnan(field->quality[cell])) {
        mean->quality += weight * field->quality[cell];
        mean->quality_weight += weight;
    }
}

static void put_nothing(squall_field *out, size_t cell)
{
    out->mask[cell] = SQUALL_CELL_NO_COVERAGE;
    out->values[cell] = NAN;
    if (out->quality != NULL) {
        out->quality[cell] = NAN;
    }
}

static void put_cell(squall_field *out, size_t cell, const squall_field *field, size_t from)
{
    out->mask[cell] = field->mask[from];
    out->values[cell] = field->values[from];
    if (out->quality != NULL) {
        out->quality[cell] = field->quality != NULL ? field->quality[from] : NAN;
    }
}

static void put_mean(squall_field *out, size_t cell, const squall_field *field,
                     const running_mean *mean)
{
    const double value = mean->value / mean->weight;
    out->mask[cell] = mean->measured ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
    if (!mean->measured) {
        out->values[cell] = 0;
    } else if (field->quantity == SQUALL_REFLECTIVITY) {
        out->values[cell] = (float)(log(value) / LN_10_BY_10);
    } else {
        out->values[cell] = (float)value;
    }
    if (out->quality != NULL) {
        out->quality[cell] =
            mean->quality_weight > 0 ? (float)(mean->quality / mean->quality_weight) : NAN;
    }
}

static void run_nearest(const squall_regrid *table, const squall_field *field, squall_field *out)
{
    const size_t cells = sq_grid_cells(&table->to);
    for (size_t cell = 0; cell < cells; cell++) {
        if (table->index[cell] == SQ_TABLE_NONE) {
            put_nothing(out, cell);
        } else {
            put_cell(out, cell, field, (size_t)table->index[cell]);
        }
    }
}

/* One cell between four. A neighbour of no weight need not be there, nor be covered. */
static void run_bilinear_cell(const squall_regrid *table, const squall_field *field,
                              squall_field *out, size_t cell)
{
    const size_t width = table->from.width, corner = (size_t)table->index[cell];
    const double right = table->fraction[2 * cell], down = table->fraction[2 * cell + 1];
    const size_t east = right > 0 ? 1 : 0, south = down > 0 ? width : 0;
    const size_t from[4] = {corner, corner + east, corner + south, corner + south + east};
    const double weights[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right),
                               down * right};
    running_mean mean = {0};
    for (int k = 0; k < 4; k++) {
        if (weights[k] > 0) {
            if (field->mask[from[k]] == SQUALL_CELL_NO_COVERAGE) {
                const size_t nearest =
                    corner + (right >= 0.5 ? east : 0) + (down >= 0.5 ? south : 0);
                put_cell(out, cell, field, nearest);
                return;
            }
            take(&mean, field, from[k], weights[k]);
        }
    }
    put_mean(out, cell, field, &mean);
}

static void run_bilinear(const squall_regrid *table, const squall_field *field, squall_field *out)
{
    const size_t cells = sq_grid_cells(&table->to);
    for (size_t cell = 0; cell < cells; cell++) {
        if (table->index[cell] == SQ_TABLE_NONE) {
            put_nothing(out, cell);
        } else if (isnan(table->fraction[2 * cell])) {
            put_cell(out, cell, field, (size_t)table->index[cell]);
        } else {
            run_bilinear_cell(table, field, out, cell);
        }
    }
}

static void run_area_mean(const squall_regrid *table, const squall_field *field, squall_field *out)
{
    const size_t cells = sq_grid_cells(&table->to);
    for (size_t cell = 0; cell < cells; cell++) {
        running_mean mean = {0};
        for (size_t k = table->start[cell]; k < table->start[cell + 1]; k++) {
            take(&mean, field, (size_t)table->index[k], table->weight[k]);
        }
        if (mean.weight < HALF_COVERED) {
            put_nothing(out, cell);
        } else {
            put_mean(out, cell, field, &mean);
        }
    }
}

squall_status squall_regrid_run(const squall_regrid *regrid, const squall_field *field,
                                squall_field *out, squall_error *err)
{
    if (field == out) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "regrid",
                       "a field cannot be carried onto itself; give another one");
    }
    if (!squall_grid_equal(&field->grid, &regrid->from, SAME_PLACE) ||
        !squall_grid_equal(&out->grid, &regrid->to, SAME_PLACE)) {
        return sq_fail(err, SQUALL_E_SHAPE, field->source[0] != 0 ? field->source : "regrid",
                       "a field of %zu x %zu cells to one of %zu x %zu; the table is for %zu x %zu "
                       "to %zu x %zu, and for their places; make a table for these grids",
                       field->grid.width, field->grid.height, out->grid.width, out->grid.height,
                       regrid->from.width, regrid->from.height, regrid->to.width,
                       regrid->to.height);
    }
    if (field->quality != NULL) {
        SQ_TRY(squall_field_add_quality(out, err));
    } else {
        sq_free(out->quality);
        out->quality = NULL;
    }
    squall_field_set_quantity(out, field->quantity, field->quantity_name, field->unit_name);
    out->valid_time = field->valid_time;
    out->window_s = field->window_s;
    memcpy(out->source, field->source, sizeof out->source);
    switch (regrid->method) {
    case SQUALL_NEAREST:
        run_nearest(regrid, field, out);
        break;
    case SQUALL_BILINEAR:
        run_bilinear(regrid, field, out);
        break;
    case SQUALL_AREA_MEAN:
        run_area_mean(regrid, field, out);
        break;
    }
    return SQUALL_OK;
}
