/* wx/io/io_odim_place.c - the grid of an ODIM dataset, from a PROJ string and geographic corners.
 *
 * ODIM gives the corners of the whole in longitude and latitude (LL: the outer corner of the lower
 * left cell) and the size of a cell. They are not always of one mind: products of one grid differ
 * by 1e-5 degrees, and some writers mean the centres of the corner cells.
 */
#include "wx/io/io_odim_place.h"

#include <math.h>
#include <stdio.h>

#include "wx/io/io_share.h"

/* What `where` says. */
typedef struct odim_place {
    char projdef[400];
    double ll_lon, ll_lat, ur_lon, ur_lat;
    double xscale, yscale; /* 0: not given */
    double xsize, ysize;   /* 0: not given */
    bool has_ll, has_ur;
} odim_place;

static squall_status read_number(const sq_io_hdf5_image *image, const char *own, const char *name,
                                 double *value, bool *found, squall_error *err)
{
    SQ_TRY(sq_io_hdf5_number(image, own, name, value, found, err));
    if (!*found) {
        SQ_TRY(sq_io_hdf5_number(image, "where", name, value, found, err));
    }
    return SQUALL_OK;
}

static squall_status read_place(const sq_io_hdf5_image *image, const char *own, odim_place *p,
                                squall_error *err)
{
    bool found[8] = {false}, has_projdef;
    *p = (odim_place){.xscale = 0};
    SQ_TRY(
        sq_io_hdf5_text(image, own, "projdef", p->projdef, sizeof p->projdef, &has_projdef, err));
    if (!has_projdef) {
        SQ_TRY(sq_io_hdf5_text(image, "where", "projdef", p->projdef, sizeof p->projdef,
                               &has_projdef, err));
    }
    static const char *const names[8] = {"LL_lon", "LL_lat", "UR_lon", "UR_lat",
                                         "xscale", "yscale", "xsize",  "ysize"};
    double *const values[8] = {&p->ll_lon, &p->ll_lat, &p->ur_lon, &p->ur_lat,
                               &p->xscale, &p->yscale, &p->xsize,  &p->ysize};
    for (size_t i = 0; i < 8; i++) {
        SQ_TRY(read_number(image, own, names[i], values[i], &found[i], err));
        if (found[i] && !isfinite(*values[i])) {
            found[i] = false;
            *values[i] = 0;
        }
    }
    p->has_ll = found[0] && found[1];
    p->has_ur = found[2] && found[3];
    return SQUALL_OK;
}

/* Settle one axis: where the low edge and how long a cell is, given the projected corners (`high`
 * is NaN if there is only one), the declared cell size (0: none) and the number of cells. */
static bool settle(double low, double high, double scale, size_t cells, double unit_m, double *edge,
                   double *size)
{
    const double span = high - low, count = (double)cells;
    *edge = low;
    *size = scale;
    if (!isfinite(span)) {
        return scale > 0;
    }
    if (span <= 0) {
        return false;
    }
    if (scale <= 0) {
        *size = span / count;
        return true;
    }
    /* Kilometres as the projection's unit may be meant for the cell size too, or not. */
    if (unit_m != 1 && fabs(span / (scale * unit_m) - count) < fabs(span / scale - count)) {
        *size = scale = scale * unit_m;
    }
    const double spanned = span / scale;
    if (fabs(spanned - (count - 1)) < 0.02) { /* centres, not outer corners */
        *edge = low - scale / 2;
        return true;
    }
    if (fabs(spanned - count) > 0.25) {
        *size = span / count; /* the cell size is rounded: 1000 m for 999.67 */
    }
    return fabs(spanned - count) <= fmax(0.25, 0.01 * count);
}

squall_status sq_io_odim_grid(const sq_io_hdf5_image *image, int dataset, size_t width,
                              size_t height, squall_grid *grid, squall_error *err)
{
    odim_place p;
    char own[SQ_IO_HDF5_PATH], where[SQ_IO_WHERE];
    double unit_m, x[2] = {NAN, NAN}, y[2] = {NAN, NAN}, bottom;
    *grid = (squall_grid){.width = width, .height = height};
    snprintf(own, sizeof own, "dataset%d/where", dataset);
    sq_io_where(where, image->source.name, "/where");
    SQ_TRY(read_place(image, own, &p, err));
    if (p.projdef[0] == 0 || !p.has_ll || (!p.has_ur && (p.xscale <= 0 || p.yscale <= 0))) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "projdef, the corner LL_lon/LL_lat, and xscale/yscale or the corner UR are "
                       "needed; %s",
                       p.projdef[0] == 0 ? "projdef is missing"
                       : !p.has_ll       ? "the corner LL is missing"
                                         : "the cell size is missing");
    }
    if ((p.xsize != 0 && p.xsize != (double)width) || (p.ysize != 0 && p.ysize != (double)height)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "xsize x ysize is %g x %g, but the values of dataset%d are %zu x %zu",
                       p.xsize, p.ysize, dataset, width, height);
    }
    SQ_TRY(sq_io_take_proj(p.projdef, where, grid->proj, &unit_m, err));
    SQ_TRY(sq_io_project(grid->proj, p.ll_lon, p.ll_lat, where, &x[0], &y[0], err));
    if (p.has_ur) {
        SQ_TRY(sq_io_project(grid->proj, p.ur_lon, p.ur_lat, where, &x[1], &y[1], err));
    }
    if (!settle(x[0], x[1], p.xscale, width, unit_m, &grid->left, &grid->dx) ||
        !settle(y[0], y[1], p.yscale, height, unit_m, &bottom, &grid->dy)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "corners LL and UR are %g x %g apart, which is not %zu x %zu cells of "
                       "%g x %g",
                       x[1] - x[0], y[1] - y[0], width, height, p.xscale, p.yscale);
    }
    grid->top = bottom + grid->dy * (double)height;
    return SQUALL_OK;
}
