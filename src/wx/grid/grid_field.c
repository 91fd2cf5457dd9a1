/* wx/grid/grid_field.c - fields: making, copying, counting, and rain rates out of what was
 * measured.
 */
#include "wx/grid/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

squall_status sq_grid_check(const squall_grid *grid, squall_error *err)
{
    if (grid->width == 0 || grid->height == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "grid", "%zu x %zu cells; a grid has at least 1 x 1",
                       grid->width, grid->height);
    }
    if (!isfinite(grid->dx) || !isfinite(grid->dy) || grid->dx <= 0 || grid->dy <= 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "grid",
                       "cells of %g x %g; both sizes must be positive numbers", grid->dx, grid->dy);
    }
    if (!isfinite(grid->left) || !isfinite(grid->top)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "grid", "corner (%g, %g) is not a place", grid->left,
                       grid->top);
    }
    if (memchr(grid->proj, 0, sizeof grid->proj) == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "grid",
                       "the projection text does not end within %zu bytes", sizeof grid->proj);
    }
    size_t cells;
    if (grid->width > SQ_LIMIT_FIELD_SIDE || grid->height > SQ_LIMIT_FIELD_SIDE ||
        !sq_mul_size(grid->width, grid->height, &cells) || cells > SQ_LIMIT_FIELD_CELLS) {
        return sq_fail(err, SQUALL_E_LIMIT, "grid",
                       "%zu x %zu cells exceed the limits of %zu a side and %zu in all; cut the "
                       "field or take a coarser one",
                       grid->width, grid->height, SQ_LIMIT_FIELD_SIDE, SQ_LIMIT_FIELD_CELLS);
    }
    return SQUALL_OK;
}

/* A field with its buffers not yet filled. */
static squall_status field_allocate(const squall_grid *grid, bool quality, squall_field **out,
                                    squall_error *err)
{
    *out = NULL;
    SQ_TRY(sq_grid_check(grid, err));
    const size_t cells = sq_grid_cells(grid);
    squall_field *field = sq_alloc(1, sizeof *field);
    if (field != NULL) {
        field->values = sq_alloc_raw(cells, sizeof *field->values);
        field->mask = sq_alloc_raw(cells, sizeof *field->mask);
        field->quality = quality ? sq_alloc_raw(cells, sizeof *field->quality) : NULL;
    }
    if (field == NULL || field->values == NULL || field->mask == NULL ||
        (quality && field->quality == NULL)) {
        squall_field_destroy(&field);
        return sq_fail(err, SQUALL_E_MEMORY, "field", "no memory for %zu x %zu cells", grid->width,
                       grid->height);
    }
    field->grid = *grid;
    *out = field;
    return SQUALL_OK;
}

squall_status squall_field_create(const squall_grid *grid, squall_field **out, squall_error *err)
{
    SQ_TRY(field_allocate(grid, false, out, err));
    squall_field *field = *out;
    const size_t cells = sq_grid_cells(grid);
    for (size_t i = 0; i < cells; i++) {
        field->values[i] = NAN;
    }
    memset(field->mask, SQUALL_CELL_NO_COVERAGE, cells);
    field->valid_time = SQUALL_TIME_NONE;
    squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
    return SQUALL_OK;
}

squall_status squall_field_copy(const squall_field *field, squall_field **out, squall_error *err)
{
    SQ_TRY(field_allocate(&field->grid, field->quality != NULL, out, err));
    squall_field *copy = *out;
    const size_t cells = sq_grid_cells(&field->grid);
    float *const values = copy->values, *const quality = copy->quality;
    uint8_t *const mask = copy->mask;
    *copy = *field;
    copy->values = memcpy(values, field->values, cells * sizeof *values);
    copy->mask = memcpy(mask, field->mask, cells * sizeof *mask);
    if (quality != NULL) {
        memcpy(quality, field->quality, cells * sizeof *quality);
    }
    copy->quality = quality;
    return SQUALL_OK;
}

void squall_field_destroy(squall_field **field)
{
    if (*field != NULL) {
        sq_free((*field)->values);
        sq_free((*field)->mask);
        sq_free((*field)->quality);
        sq_free(*field);
        *field = NULL;
    }
}

squall_status squall_field_add_quality(squall_field *field, squall_error *err)
{
    if (field->quality != NULL) {
        return SQUALL_OK;
    }
    const size_t cells = sq_grid_cells(&field->grid);
    float *quality = sq_alloc_raw(cells, sizeof *quality);
    if (quality == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "field", "no memory for the quality of %zu cells",
                       cells);
    }
    for (size_t i = 0; i < cells; i++) {
        quality[i] = NAN;
    }
    field->quality = quality;
    return SQUALL_OK;
}

void squall_field_set_quantity(squall_field *field, squall_quantity quantity, const char *name,
                               const char *unit)
{
    const char *default_name = "OTHER", *default_unit = "1";
    switch (quantity) {
    case SQUALL_RAIN_RATE:
        default_name = "RATE", default_unit = "mm/h";
        break;
    case SQUALL_ACCUMULATION:
        default_name = "ACRR", default_unit = "mm";
        break;
    case SQUALL_REFLECTIVITY:
        default_name = "DBZH", default_unit = "dBZ";
        break;
    case SQUALL_OTHER:
        break;
    }
    field->quantity = quantity;
    snprintf(field->quantity_name, sizeof field->quantity_name, "%s",
             name != NULL ? name : default_name);
    snprintf(field->unit_name, sizeof field->unit_name, "%s", unit != NULL ? unit : default_unit);
}

void squall_field_count(const squall_field *field, squall_field_counts *out)
{
    *out = (squall_field_counts){.cells = sq_grid_cells(&field->grid), .min = NAN, .max = NAN};
    const bool any_is_wet = field->quantity == SQUALL_REFLECTIVITY;
    double sum = 0;
    for (size_t i = 0; i < out->cells; i++) {
        const float value = field->values[i];
        if (field->mask[i] == SQUALL_CELL_NO_COVERAGE) {
            out->no_coverage++;
        } else if (field->mask[i] == SQUALL_CELL_VALUE &&
                   (value > 0 || (any_is_wet && !isnan(value)))) {
            out->wet++;
            sum += value;
            out->min = value >= out->min ? out->min : value; /* either may be NaN at first */
            out->max = value <= out->max ? out->max : value;
        } else {
            out->dry++;
            out->undetected += field->mask[i] == SQUALL_CELL_DRY;
        }
    }
    out->mean = out->wet > 0 ? sum / (double)out->wet : NAN;
}

void squall_zr_init(squall_zr *zr)
{
    *zr = (squall_zr){.struct_size = sizeof *zr, .a = 200, .b = 1.6, .min_dbz = 7};
}

static squall_status zr_check(const squall_zr *zr, squall_error *err)
{
    if (zr->struct_size != sizeof *zr) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "Z-R",
                       "an option struct of %u bytes, not %zu; call squall_zr_init() first",
                       zr->struct_size, sizeof *zr);
    }
    if (!(zr->a > 0) || !(zr->b > 0) || !isfinite(zr->a) || !isfinite(zr->b) ||
        isnan(zr->min_dbz) || !(zr->max_rate >= 0)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "Z-R",
                       "a %g, b %g, min_dbz %g, max_rate %g; a and b must be positive numbers, "
                       "max_rate not negative",
                       zr->a, zr->b, zr->min_dbz, zr->max_rate);
    }
    return SQUALL_OK;
}

/* R = (Z / a)^(1 / b), Z = 10^(dBZ / 10), written as one exponential. */
static double rate_from_dbz(double dbz, const squall_zr *zr)
{
    if (dbz < zr->min_dbz) {
        return 0;
    }
    const double ln_10_by_10 = 0.23025850929940457;
    return exp((dbz * ln_10_by_10 - log(zr->a)) / zr->b);
}

squall_status squall_field_to_rate(squall_field *field, const squall_zr *zr, squall_error *err)
{
    squall_zr defaults;
    if (zr == NULL) {
        squall_zr_init(&defaults);
        zr = &defaults;
    }
    SQ_TRY(zr_check(zr, err));
    const char *where = field->source[0] != 0 ? field->source : "field";
    const squall_quantity quantity = field->quantity;
    if (quantity != SQUALL_RAIN_RATE && quantity != SQUALL_ACCUMULATION &&
        quantity != SQUALL_REFLECTIVITY) {
        return sq_fail(err, SQUALL_E_SHAPE, where,
                       "'%s' [%s] is not rain; give a rate, an accumulation or a reflectivity",
                       field->quantity_name, field->unit_name);
    }
    if (quantity == SQUALL_ACCUMULATION && field->window_s <= 0) {
        return sq_fail(err, SQUALL_E_SHAPE, where,
                       "an accumulation over a window of %d s; its length must be known",
                       (int)field->window_s);
    }
    const double limit = zr->max_rate > 0 ? zr->max_rate : INFINITY;
    const double per_hour = quantity == SQUALL_ACCUMULATION ? 3600.0 / field->window_s : 1;
    const size_t cells = sq_grid_cells(&field->grid);
    for (size_t i = 0; i < cells; i++) {
        if (field->mask[i] == SQUALL_CELL_VALUE) {
            const double value = field->values[i];
            const double rate =
                quantity == SQUALL_REFLECTIVITY ? rate_from_dbz(value, zr) : value * per_hour;
            field->values[i] = (float)(rate > limit ? limit : rate);
        }
    }
    if (quantity != SQUALL_RAIN_RATE) {
        squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
    }
    return SQUALL_OK;
}
