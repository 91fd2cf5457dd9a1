/* wx/io/io_netcdf_place.c - the grid of a CF-netCDF variable: axes and projection.
 *
 * Coordinates are those of cell centres, as CF says. The projection is the one that the variable's
 * grid_mapping names; where it names none (or one that is not there), the only grid mapping of the
 * file, longitude and latitude, or a PROJ string in a global attribute (NWC SAF).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_netcdf.h"

/* What the numbers of an axis are. */
typedef enum axis_unit { AXIS_LENGTH, AXIS_DEGREES, AXIS_RADIANS } axis_unit;

/* One axis of the grid. */
typedef struct axis {
    char name[NC_MAX_NAME + 1];
    size_t cells;
    double first, step; /* centre of the first cell, distance to the next; in the file's unit */
    axis_unit unit;
    double unit_m; /* of AXIS_LENGTH */
} axis;

static squall_status axis_kind(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *v,
                               bool is_x, const char *where, axis *out, squall_error *err)
{
    static const char *const metres[] = {"", "m", "meter", "metre", "meters", "metres", "1", NULL};
    static const char *const kilometres[] = {"km",         "kilometer",  "kilometre",
                                             "kilometers", "kilometres", NULL};
    static const char *const radians[] = {"rad", "radian", "radians", NULL};
    char units[32], standard[64], letter[4];
    sq_io_netcdf_text(file, v->id, "units", units, sizeof units);
    sq_io_netcdf_text(file, v->id, "standard_name", standard, sizeof standard);
    sq_io_netcdf_text(file, v->id, "axis", letter, sizeof letter);
    const char *other = is_x ? "y" : "x", *degrees = is_x ? "latitude" : "longitude";
    if ((strncmp(standard, "projection_", 11) == 0 && standard[11] == other[0]) ||
        strcmp(standard, degrees) == 0 || sq_io_same_word(letter, other)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "the last two dimensions must be (y, x), not (x, y); reorder them: ncpdq");
    }
    out->unit_m = 1;
    if (strncmp(units, "degree", 6) == 0) {
        out->unit = AXIS_DEGREES;
    } else if (sq_io_one_of(units, radians)) {
        out->unit = AXIS_RADIANS;
    } else if (sq_io_one_of(units, metres) || sq_io_one_of(units, kilometres)) {
        out->unit = AXIS_LENGTH;
        out->unit_m = sq_io_one_of(units, metres) ? 1 : 1000;
    } else {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "coordinates in '%s'; m, km, degrees and rad are taken", units);
    }
    return SQUALL_OK;
}

/* Fit first + i * step to the coordinates; false if they are not even within 1 % of a cell. */
static bool fit(const double *at, size_t count, double *first, double *step)
{
    *first = at[0];
    *step = (at[count - 1] - at[0]) / (double)(count - 1);
    if (!isfinite(*first) || !isfinite(*step) || *step == 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(at[i] - (*first + (double)i * *step)) <= 0.01 * fabs(*step))) {
            return false;
        }
    }
    return true;
}

static squall_status read_axis(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *owner,
                               bool is_x, axis *out, squall_error *err)
{
    squall_status status;
    sq_io_netcdf_variable v;
    char where[SQ_IO_WHERE];
    double *at = NULL;
    const int dim = owner->dims[owner->rank - (is_x ? 1 : 2)];
    *out = (axis){.cells = owner->sizes[owner->rank - (is_x ? 1 : 2)]};
    (void)nc_inq_dimname(file->id, dim, out->name);
    sq_io_where(where, file->source.name, "/%.40s", out->name);
    if (!sq_io_netcdf_coordinate(file, dim, &v)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "the dimension has no coordinate variable; a regular grid with one for "
                       "each axis is needed");
    }
    if (out->cells < 2) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "%zu coordinates do not say how large a cell is", out->cells);
    }
    SQ_TRY(axis_kind(file, &v, is_x, where, out, err));
    at = sq_alloc_raw(out->cells, sizeof *at);
    if (at == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for %zu coordinates", out->cells);
    }
    SQ_TRY_GOTO(sq_io_netcdf_read(file, &v, at, out->cells, err));
    if (!fit(at, out->cells, &out->first, &out->step)) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                         "the coordinates are not evenly spaced; regrid the file first");
    }
done:
    sq_free(at);
    return status;
}

/* The variable that is the grid mapping: named by the owner, else the only one; -1 for none. */
static int find_mapping(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *owner)
{
    char name[NC_MAX_NAME + 1], kind[64];
    sq_io_netcdf_variable v;
    if (sq_io_netcdf_text(file, owner->id, "grid_mapping", name, sizeof name)) {
        name[strcspn(name, ": ")] = 0; /* "crs: x y", the longer form */
        if (sq_io_netcdf_find(file, name, &v) &&
            sq_io_netcdf_text(file, v.id, "grid_mapping_name", kind, sizeof kind)) {
            return v.id;
        }
    }
    int only = -1;
    const int count = sq_io_netcdf_variables(file);
    for (int id = 0; id < count; id++) {
        if (sq_io_netcdf_text(file, id, "grid_mapping_name", kind, sizeof kind)) {
            if (only >= 0) {
                return -1;
            }
            only = id;
        }
    }
    return only;
}

/* The projection; `*unit_m` gets metres in a unit of the coordinates, 1 for degrees. */
static squall_status read_projection(const sq_io_netcdf_file *file,
                                     const sq_io_netcdf_variable *owner, const axis *x,
                                     squall_grid *grid, double *unit_m, squall_error *err)
{
    static const char *const texts[] = {"gdal_projection", "proj_string", "proj4_string", "proj4",
                                        "projection"};
    char text[512], where[SQ_IO_WHERE];
    const int mapping = find_mapping(file, owner);
    *unit_m = x->unit_m;
    if (mapping >= 0) {
        double height_m;
        SQ_TRY(sq_io_netcdf_mapping(file, mapping, x->unit_m, grid->proj, &height_m, err));
        *unit_m = x->unit == AXIS_RADIANS ? height_m : x->unit_m;
        return SQUALL_OK;
    }
    if (x->unit == AXIS_DEGREES) {
        snprintf(grid->proj, sizeof grid->proj, "+proj=longlat +ellps=WGS84");
        return SQUALL_OK;
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (sq_io_netcdf_text(file, NC_GLOBAL, texts[i], text, sizeof text) &&
            strstr(text, "proj=") != NULL) {
            double text_unit_m; /* the axes say theirs; not all such texts speak of the same */
            sq_io_where(where, file->source.name, "/%s", texts[i]);
            return sq_io_take_proj(text, where, grid->proj, &text_unit_m, err);
        }
    }
    return sq_fail(err, SQUALL_E_UNSUPPORTED,
                   sq_io_where(where, file->source.name, "/%.40s", owner->name),
                   "no grid mapping, no longitude and latitude axes, and no PROJ string: nobody "
                   "can say where it is");
}

squall_status sq_io_netcdf_grid(const sq_io_netcdf_file *file,
                                const sq_io_netcdf_variable *variable, squall_grid *grid,
                                bool *flip_x, bool *flip_y, squall_error *err)
{
    axis x, y;
    double unit_m;
    char where[SQ_IO_WHERE];
    SQ_TRY(read_axis(file, variable, true, &x, err));
    SQ_TRY(read_axis(file, variable, false, &y, err));
    sq_io_where(where, file->source.name, "/%.40s", variable->name);
    *grid = (squall_grid){.width = x.cells, .height = y.cells};
    SQ_TRY(read_projection(file, variable, &x, grid, &unit_m, err));
    const bool degrees = sq_io_proj_is_longlat(grid->proj);
    if (x.unit != y.unit || x.unit_m != y.unit_m || degrees != (x.unit == AXIS_DEGREES) ||
        !(unit_m > 0)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "the units of '%.40s' and '%.40s' do not go with '%.100s'", x.name, y.name,
                       grid->proj);
    }
    *flip_x = x.step < 0;
    *flip_y = y.step > 0;
    grid->dx = fabs(x.step) * unit_m;
    grid->dy = fabs(y.step) * unit_m;
    const double west = *flip_x ? x.first + (double)(x.cells - 1) * x.step : x.first;
    const double north = *flip_y ? y.first + (double)(y.cells - 1) * y.step : y.first;
    grid->left = west * unit_m - grid->dx / 2;
    grid->top = north * unit_m + grid->dy / 2;
    return SQUALL_OK;
}
