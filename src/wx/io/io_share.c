/* wx/io/io_share.c - small things that the readers of single formats have in common. */
#include "wx/io/io_share.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sq_io_wanted(const char *wanted, squall_quantity quantity, const char *name)
{
    static const char *const odim[] = {[SQUALL_RAIN_RATE] = "RATE",
                                       [SQUALL_ACCUMULATION] = "ACRR",
                                       [SQUALL_REFLECTIVITY] = "DBZH"};
    if (wanted == NULL || sq_io_same_word(wanted, name)) {
        return true;
    }
    return quantity != SQUALL_OTHER && sq_io_same_word(wanted, odim[quantity]);
}

int sq_io_rain_rank(squall_quantity quantity)
{
    switch (quantity) {
    case SQUALL_RAIN_RATE:
        return 0;
    case SQUALL_ACCUMULATION:
        return 1;
    case SQUALL_REFLECTIVITY:
        return 2;
    case SQUALL_OTHER:
        break;
    }
    return 3;
}

bool sq_io_number(const char *text, double *out)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || !isfinite(value)) {
        return false;
    }
    while (isspace((unsigned char)*end)) {
        end++;
    }
    if (*end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

squall_status sq_io_field_create(const squall_grid *grid, const char *where, squall_field **out,
                                 squall_error *err)
{
    squall_status status = squall_field_create(grid, out, err);
    if (status == SQUALL_OK) {
        snprintf((*out)->source, sizeof(*out)->source, "%s", where);
        return SQUALL_OK;
    }
    if (status == SQUALL_E_ARGUMENT) {
        status = SQUALL_E_CORRUPT;
    }
    if (err != NULL) {
        err->code = status;
        snprintf(err->where, sizeof err->where, "%s", where);
    }
    return status;
}

squall_status sq_io_project(const char *proj, double lon, double lat, const char *where, double *x,
                            double *y, squall_error *err)
{
    squall_grid unit = {.width = 1, .height = 1, .left = 0, .top = 0, .dx = 1, .dy = 1};
    snprintf(unit.proj, sizeof unit.proj, "%s", proj);
    double column, row;
    squall_status status = squall_grid_from_lonlat(&unit, &lon, &lat, 1, &column, &row, err);
    if (status == SQUALL_OK && isfinite(column) && isfinite(row)) {
        *x = column;
        *y = -row;
        return SQUALL_OK;
    }
    if (status == SQUALL_E_MEMORY) {
        return status;
    }
    return sq_fail(err, SQUALL_E_CORRUPT, where,
                   "its corner at longitude %g, latitude %g is no place on its projection '%s'",
                   lon, lat, proj);
}
