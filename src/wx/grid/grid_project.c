/* wx/grid/grid_project.c - where a grid's cells lie on the Earth, by PROJ.
 *
 * A text of the form "+proj=..." is run as the bare projection that it names: its input is
 * longitude and latitude on its own ellipsoid or sphere. There is a datum shift only where the text
 * has +towgs84 or +datum. Latitudes of a sphere are thus taken for those of WGS 84 as they stand,
 * which is what pyproj.Proj (and so pysteps) does, what GDAL does for a datum it does not know, and
 * what the weather services that make such composites mean. It also takes an ellipsoid in
 * kilometres
 * ("+a=6378.137", as KNMI writes), which PROJ's way from one reference system to another refuses as
 * another planet. Any other text ("EPSG:3067", WKT) is a reference system, to which PROJ finds the
 * way from WGS 84.
 */
#include "wx/grid/grid_project.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"

#define DEGREES_AROUND 360.0
#define SAME_POINTS    5 /* along a side, of the lattice that squall_grid_equal() compares */

/* Where `key` ("proj=") starts a word of a PROJ text, what follows it; or NULL. */
static const char *text_find(const char *text, const char *key)
{
    const size_t length = strlen(key);
    for (const char *at = strstr(text, key); at != NULL; at = strstr(at + 1, key)) {
        if (at == text || at[-1] == '+' || at[-1] == ' ' || at[-1] == '\t' || at[-1] == '\n') {
            return at + length;
        }
    }
    return NULL;
}

/* Whether the value at `value` is one of the NULL-terminated `words`. */
static bool value_is(const char *value, const char *const *words)
{
    const size_t length = strcspn(value, " \t\r\n+");
    for (; *words != NULL; words++) {
        if (strlen(*words) == length && strncmp(value, *words, length) == 0) {
            return true;
        }
    }
    return false;
}

static squall_status fail_proj(const squall_grid *grid, PJ_CONTEXT *context, const char *why,
                               squall_error *err)
{
    if (why == NULL) {
        const int code = proj_context_errno(context);
        why = code != 0 ? proj_context_errno_string(context, code) : "not a map";
    }
    return sq_fail(err, SQUALL_E_ARGUMENT, "grid",
                   "PROJ %d.%d.%d does not take '%.200s' for a map projection (%.80s); give a text "
                   "like '+proj=laea +lat_0=55 +lon_0=10' or 'EPSG:3067'",
                   PROJ_VERSION_MAJOR, PROJ_VERSION_MINOR, PROJ_VERSION_PATCH, grid->proj, why);
}

/* A text from a radar file must not choose what PROJ opens on this machine: no grids of datum
 * shifts but the empty one, no files of parameters. */
static squall_status text_check(const squall_grid *grid, squall_error *err)
{
    static const char *const openers[] = {"grids", "init", "PARAMETERFILE", "ParameterFile", NULL};
    const char *text = grid->proj;
    const char *null_grid = strstr(text, "nadgrids=@null");
    for (const char *const *opener = openers; *opener != NULL; opener++) {
        const char *at = strstr(text, *opener);
        if (at != NULL && null_grid != NULL && at == null_grid + strlen("nad")) {
            const char *after = null_grid + strlen("nadgrids=@null");
            at = *after != 0 && strchr(" \t+", *after) == NULL ? at : strstr(after, *opener);
        }
        if (at != NULL) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, "grid",
                           "the projection '%.200s' names files ('%s'); write its parameters out "
                           "without them",
                           text, *opener);
        }
    }
    return SQUALL_OK;
}

/* "+proj=...": the bare projection, in radians. */
static squall_status open_bare(const squall_grid *grid, const char *name, sq_projection *out,
                               squall_error *err)
{
    static const char *const geographic[] = {"longlat", "latlong", "lonlat", "latlon", NULL};
    /* Only these: PROJ has other operations of that form, some of which open files. */
    static const char *const flat[] = {
        "adams_ws1", "aea",     "aeqd",   "airy",   "bonne",   "cass",   "cc",    "cea",
        "eck4",      "eck6",    "eqc",    "eqdc",   "eqearth", "etmerc", "geos",  "gnom",
        "goode",     "gstmerc", "krovak", "laea",   "lcc",     "leac",   "merc",  "mill",
        "moll",      "nsper",   "nzmg",   "omerc",  "ortho",   "poly",   "robin", "rouss",
        "sinu",      "somerc",  "stere",  "sterea", "tcea",    "tmerc",  "tpeqd", "tpers",
        "ups",       "utm",     "vandg",  "wag4",   "webmerc", "wintri", NULL};
    const bool degrees = value_is(name, geographic);
    if (!degrees && !value_is(name, flat)) {
        return fail_proj(grid, NULL, "not one of the projections for maps", err);
    }
    out->from_lonlat = proj_create(out->context, grid->proj);
    if (out->from_lonlat == NULL) {
        return fail_proj(grid, out->context, NULL, err);
    }
    out->angle_in = proj_torad(1);
    out->unit_out = degrees ? proj_todeg(1) : 1;
    out->period = degrees ? DEGREES_AROUND / grid->dx : 0;
    return SQUALL_OK;
}

/* What kind of system it is, seen through a shift of datum that is bound to it. */
static PJ_TYPE type_of_system(PJ_CONTEXT *context, const PJ *system)
{
    const PJ_TYPE type = proj_get_type(system);
    if (type != PJ_TYPE_BOUND_CRS) {
        return type;
    }
    PJ *source = proj_get_source_crs(context, system);
    const PJ_TYPE source_type = source != NULL ? proj_get_type(source) : PJ_TYPE_UNKNOWN;
    proj_destroy(source);
    return source_type;
}

/* Any other text: a reference system. The rotated pole of "+proj=ob_tran" belongs here too, because
 * only so does PROJ tell that its results are angles. */
static squall_status open_system(const squall_grid *grid, bool bare, sq_projection *out,
                                 squall_error *err)
{
    if (strpbrk(grid->proj, "=:[{") == NULL) { /* PROJ would look for a name that sounds alike */
        return fail_proj(grid, NULL, "neither parameters nor a code", err);
    }
    char text[sizeof grid->proj + 16];
    snprintf(text, sizeof text, "%s%s", grid->proj,
             bare && text_find(grid->proj, "type=") == NULL ? " +type=crs" : "");
    squall_status status = SQUALL_OK;
    PJ *way = NULL, *system = NULL, *wgs84 = proj_create(out->context, "EPSG:4326");
    if (wgs84 == NULL) {
        status = sq_fail(err, SQUALL_E_IO, "grid",
                         "PROJ cannot read its own database proj.db, which '%.200s' needs; install "
                         "the package proj-data or set PROJ_LIB",
                         grid->proj);
        goto done;
    }
    system = proj_create(out->context, text);
    if (system == NULL) {
        status = fail_proj(grid, out->context, NULL, err);
        goto done;
    }
    const PJ_TYPE type = type_of_system(out->context, system);
    const bool degrees = type == PJ_TYPE_GEOGRAPHIC_2D_CRS || type == PJ_TYPE_GEOGRAPHIC_3D_CRS;
    if (!degrees && type != PJ_TYPE_PROJECTED_CRS) {
        status = fail_proj(grid, NULL, "not a map", err);
        goto done;
    }
    way = proj_create_crs_to_crs_from_pj(out->context, wgs84, system, NULL, NULL);
    out->from_lonlat = way != NULL ? proj_normalize_for_visualization(out->context, way) : NULL;
    if (out->from_lonlat == NULL) {
        status = fail_proj(grid, out->context, NULL, err);
        goto done;
    }
    out->angle_in = 1;
    out->unit_out = 1;
    out->period = degrees ? DEGREES_AROUND / grid->dx : 0;
done:
    proj_destroy(way);
    proj_destroy(system);
    proj_destroy(wgs84);
    return status;
}

squall_status sq_projection_open(const squall_grid *grid, sq_projection *out, squall_error *err)
{
    static const char *const rotated[] = {"ob_tran", NULL};
    *out = (sq_projection){0};
    SQ_TRY(sq_grid_check(grid, err));
    SQ_TRY(text_check(grid, err));
    out->left = grid->left;
    out->top = grid->top;
    out->dx = grid->dx;
    out->dy = grid->dy;
    out->middle = 0.5 * (double)grid->width;
    out->context = proj_context_create();
    if (out->context == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "grid", "no memory for a PROJ context");
    }
    proj_log_level(out->context, PJ_LOG_NONE);
    proj_context_set_enable_network(out->context, 0);
    const char *name = text_find(grid->proj, "proj=");
    squall_status status = name != NULL && !value_is(name, rotated)
                               ? open_bare(grid, name, out, err)
                               : open_system(grid, name != NULL, out, err);
    if (status == SQUALL_OK && !proj_pj_info(out->from_lonlat).has_inverse) {
        status = fail_proj(grid, NULL, "it has no inverse", err);
    }
    if (status != SQUALL_OK) {
        sq_projection_close(out);
    }
    return status;
}

void sq_projection_close(sq_projection *projection)
{
    proj_destroy(projection->from_lonlat);
    if (projection->context != NULL) {
        proj_context_destroy(projection->context);
    }
    *projection = (sq_projection){0};
}

static void transform(const sq_projection *projection, PJ_DIRECTION direction, double *x, double *y,
                      size_t count)
{
    proj_trans_generic(projection->from_lonlat, direction, x, sizeof *x, count, y, sizeof *y, count,
                       NULL, 0, 0, NULL, 0, 0);
}

/* PROJ's own mark for "no such point" on the way in and out. */
static double or_error(double value)
{
    return isfinite(value) ? value : HUGE_VAL;
}

void sq_projection_to_lonlat(const sq_projection *projection, const double *column,
                             const double *row, size_t count, double *lon, double *lat)
{
    const sq_projection *p = projection;
    for (size_t i = 0; i < count; i++) {
        const double x = (p->left + column[i] * p->dx) / p->unit_out;
        const double y = (p->top - row[i] * p->dy) / p->unit_out;
        lon[i] = or_error(x);
        lat[i] = or_error(y);
    }
    transform(p, PJ_INV, lon, lat, count);
    for (size_t i = 0; i < count; i++) {
        const double east = lon[i] / p->angle_in, north = lat[i] / p->angle_in;
        const bool known = isfinite(east) && isfinite(north) && fabs(north) <= 90 + 1e-9;
        const double turns = fabs(east) > 180 ? ceil((east - 180) / DEGREES_AROUND) : 0;
        lon[i] = known ? east - DEGREES_AROUND * turns : NAN;
        lat[i] = known ? fmin(fmax(north, -90), 90) : NAN;
    }
}

void sq_projection_from_lonlat(const sq_projection *projection, const double *lon,
                               const double *lat, size_t count, double *column, double *row)
{
    const sq_projection *p = projection;
    for (size_t i = 0; i < count; i++) {
        const double east = lon[i] * p->angle_in, north = lat[i] * p->angle_in;
        const bool on_earth = fabs(lat[i]) <= 90; /* the identity would pass on what is not */
        column[i] = or_error(east);
        row[i] = on_earth ? or_error(north) : HUGE_VAL;
    }
    transform(p, PJ_FWD, column, row, count);
    for (size_t i = 0; i < count; i++) {
        double j = (column[i] * p->unit_out - p->left) / p->dx;
        const double k = (p->top - row[i] * p->unit_out) / p->dy;
        if (p->period > 0) {
            j += p->period * rint((p->middle - j) / p->period);
        }
        const bool known = isfinite(j) && isfinite(k);
        column[i] = known ? j : NAN;
        row[i] = known ? k : NAN;
    }
}

squall_status squall_grid_to_lonlat(const squall_grid *grid, const double *column,
                                    const double *row, size_t count, double *lon, double *lat,
                                    squall_error *err)
{
    sq_projection projection;
    SQ_TRY(sq_projection_open(grid, &projection, err));
    sq_projection_to_lonlat(&projection, column, row, count, lon, lat);
    sq_projection_close(&projection);
    return SQUALL_OK;
}

squall_status squall_grid_from_lonlat(const squall_grid *grid, const double *lon, const double *lat,
                                      size_t count, double *column, double *row, squall_error *err)
{
    sq_projection projection;
    SQ_TRY(sq_projection_open(grid, &projection, err));
    sq_projection_from_lonlat(&projection, lon, lat, count, column, row);
    sq_projection_close(&projection);
    return SQUALL_OK;
}

/* The same numbers in one projection: two opposite corners and the cell sizes. */
static bool same_numbers(const squall_grid *a, const squall_grid *b, double tolerance)
{
    const double x = tolerance * a->dx, y = tolerance * a->dy;
    const double width = (double)a->width, height = (double)a->height;
    return fabs(a->left - b->left) <= x && fabs(a->top - b->top) <= y && fabs(a->dx - b->dx) <= x &&
           fabs(a->dy - b->dy) <= y && fabs(a->left - b->left + width * (a->dx - b->dx)) <= x &&
           fabs(a->top - b->top - height * (a->dy - b->dy)) <= y;
}

/* Whether a lattice of points of `a` has the same cell coordinates in `b`. Projections are compared
 * by what they do: one may be written in many ways, with names and parameters that change nothing.
 */
static bool same_points(const squall_grid *a, const squall_grid *b, double tolerance)
{
    enum { COUNT = SAME_POINTS * SAME_POINTS };
    double column[COUNT], row[COUNT], lon[COUNT], lat[COUNT], x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const size_t down = i / SAME_POINTS, right = i % SAME_POINTS;
        column[i] = (double)a->width * (double)right / (SAME_POINTS - 1);
        row[i] = (double)a->height * (double)down / (SAME_POINTS - 1);
    }
    if (squall_grid_to_lonlat(a, column, row, COUNT, lon, lat, NULL) != SQUALL_OK ||
        squall_grid_from_lonlat(b, lon, lat, COUNT, x, y, NULL) != SQUALL_OK) {
        return false;
    }
    const double rounding = 1e-6; /* of a cell: what two ways of writing may differ by */
    tolerance = fmax(tolerance, rounding);
    size_t known = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (isnan(lon[i])) {
            continue; /* a corner of a satellite's view, beside the Earth */
        }
        if (!(fabs(x[i] - column[i]) <= tolerance) || !(fabs(y[i] - row[i]) <= tolerance)) {
            return false;
        }
        known++;
    }
    return known > SAME_POINTS;
}

bool squall_grid_equal(const squall_grid *a, const squall_grid *b, double tolerance)
{
    if (a->width != b->width || a->height != b->height || !(tolerance >= 0)) {
        return false;
    }
    if (strcmp(a->proj, b->proj) == 0) {
        return same_numbers(a, b, tolerance);
    }
    return same_points(a, b, tolerance);
}
