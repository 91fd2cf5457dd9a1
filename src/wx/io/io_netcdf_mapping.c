/* wx/io/io_netcdf_mapping.c - CF grid mappings (appendix F of the CF conventions) as PROJ strings.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_netcdf.h"

#define MAPPING_PARAMETERS 5

/* One attribute and the PROJ parameter that it becomes. A second name is what other versions of CF
 * call it. */
typedef struct parameter {
    const char *name, *other_name, *proj;
    bool required;
} parameter;

typedef struct mapping {
    const char *name, *proj;
    parameter parameters[MAPPING_PARAMETERS];
} mapping;

#define ORIGIN_LAT                                           \
    {                                                        \
        "latitude_of_projection_origin", NULL, "lat_0", true \
    }
#define ORIGIN_LON                                                                       \
    {                                                                                    \
        "longitude_of_projection_origin", "longitude_of_central_meridian", "lon_0", true \
    }
#define CENTRAL_LON                                                                      \
    {                                                                                    \
        "longitude_of_central_meridian", "longitude_of_projection_origin", "lon_0", true \
    }
#define PARALLELS(required)                          \
    {                                                \
        "standard_parallel", NULL, "lat_1", required \
    }
#define TRUE_SCALE                                 \
    {                                              \
        "standard_parallel", NULL, "lat_ts", false \
    }
#define SCALE                                                   \
    {                                                           \
        "scale_factor_at_projection_origin", NULL, "k_0", false \
    }
#define HEIGHT                                      \
    {                                               \
        "perspective_point_height", NULL, "h", true \
    }

static const mapping mappings[] = {
    {"albers_conical_equal_area", "aea", {PARALLELS(true), CENTRAL_LON, ORIGIN_LAT}},
    {"azimuthal_equidistant", "aeqd", {ORIGIN_LON, ORIGIN_LAT}},
    {"geostationary", "geos", {ORIGIN_LON, HEIGHT}},
    {"lambert_azimuthal_equal_area", "laea", {ORIGIN_LON, ORIGIN_LAT}},
    {"lambert_conformal_conic", "lcc", {PARALLELS(true), CENTRAL_LON, ORIGIN_LAT}},
    {"lambert_cylindrical_equal_area", "cea", {CENTRAL_LON, TRUE_SCALE}},
    {"latitude_longitude", "longlat", {{NULL, NULL, NULL, false}}},
    {"mercator", "merc", {ORIGIN_LON, TRUE_SCALE, SCALE}},
    {"orthographic", "ortho", {ORIGIN_LON, ORIGIN_LAT}},
    {"polar_stereographic",
     "stere",
     {{"straight_vertical_longitude_from_pole", "longitude_of_projection_origin", "lon_0", true},
      ORIGIN_LAT,
      TRUE_SCALE,
      SCALE}},
    {"sinusoidal", "sinu", {ORIGIN_LON}},
    {"stereographic", "stere", {ORIGIN_LON, ORIGIN_LAT, SCALE}},
    {"transverse_mercator",
     "tmerc",
     {CENTRAL_LON, ORIGIN_LAT, {"scale_factor_at_central_meridian", NULL, "k_0", false}}},
    {"vertical_perspective", "nsper", {ORIGIN_LON, ORIGIN_LAT, HEIGHT}},
};

#define PROJ_SIZE sizeof((squall_grid *)0)->proj

/* Append to a PROJ string; what does not fit is cut, which add_earth() notices. */
__attribute__((format(printf, 2, 3))) static void append(char *proj, const char *format, ...)
{
    const size_t used = strlen(proj);
    va_list args;
    va_start(args, format);
    vsnprintf(proj + used, PROJ_SIZE - used, format, args);
    va_end(args);
}

/* One finite number. */
static bool read_one(const sq_io_netcdf_file *file, int variable, const char *name, double *out)
{
    return name != NULL && sq_io_netcdf_numbers(file, variable, name, out, 1, NULL) == 1 &&
           isfinite(*out);
}

/* The earth: a sphere, an ellipsoid, or WGS 84 where nothing is said. */
static void append_earth(const sq_io_netcdf_file *file, int variable, char *proj)
{
    double a, b, inverse, radius, meridian;
    if (!read_one(file, variable, "semi_major_axis", &a)) {
        if (read_one(file, variable, "earth_radius", &radius)) {
            append(proj, " +R=%.12g", radius);
        } else {
            append(proj, " +ellps=WGS84");
        }
    } else if (read_one(file, variable, "semi_minor_axis", &b)) {
        append(proj, " +a=%.12g +b=%.12g", a, b);
    } else if (read_one(file, variable, "inverse_flattening", &inverse) && inverse != 0) {
        append(proj, " +a=%.12g +rf=%.12g", a, inverse);
    } else {
        append(proj, " +R=%.12g", a);
    }
    if (read_one(file, variable, "longitude_of_prime_meridian", &meridian) && meridian != 0) {
        append(proj, " +pm=%.12g", meridian);
    }
}

static squall_status append_parameter(const sq_io_netcdf_file *file, int variable,
                                      const parameter *p, const char *where, char *proj,
                                      squall_error *err)
{
    double values[2];
    size_t count = sq_io_netcdf_numbers(file, variable, p->name, values, 2, NULL);
    if (count == 0 && p->other_name != NULL) {
        count = sq_io_netcdf_numbers(file, variable, p->other_name, values, 2, NULL);
    }
    if (count == 0) {
        return p->required ? sq_fail(err, SQUALL_E_CORRUPT, where,
                                     "the grid mapping lacks the number '%s'", p->name)
                           : SQUALL_OK;
    }
    append(proj, " +%s=%.12g", p->proj, values[0]);
    if (count == 2 && strcmp(p->proj, "lat_1") == 0) {
        append(proj, " +lat_2=%.12g", values[1]);
    }
    return SQUALL_OK;
}

squall_status sq_io_netcdf_mapping(const sq_io_netcdf_file *file, int variable, double unit_m,
                                   char proj[sizeof((squall_grid *)0)->proj], double *height_m,
                                   squall_error *err)
{
    char name[64], where[SQ_IO_WHERE], sweep[8], variable_name[NC_MAX_NAME + 1] = "";
    double value;
    const mapping *m = NULL;
    (void)nc_inq_varname(file->id, variable, variable_name);
    sq_io_where(where, file->source.name, "/%.40s", variable_name);
    sq_io_netcdf_text(file, variable, "grid_mapping_name", name, sizeof name);
    for (size_t i = 0; i < sizeof mappings / sizeof mappings[0]; i++) {
        m = strcmp(mappings[i].name, name) == 0 ? &mappings[i] : m;
    }
    if (m == NULL) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "the grid mapping '%s' is not known here; regrid the file to a "
                       "stereographic, conic, equal-area or longitude-latitude grid",
                       name);
    }
    snprintf(proj, PROJ_SIZE, "+proj=%s", m->proj);
    for (size_t i = 0; i < MAPPING_PARAMETERS && m->parameters[i].name != NULL; i++) {
        SQ_TRY(append_parameter(file, variable, &m->parameters[i], where, proj, err));
    }
    if (read_one(file, variable, "false_easting", &value) && value != 0) {
        append(proj, " +x_0=%.12g", value * unit_m);
    }
    if (read_one(file, variable, "false_northing", &value) && value != 0) {
        append(proj, " +y_0=%.12g", value * unit_m);
    }
    if (sq_io_netcdf_text(file, variable, "sweep_angle_axis", sweep, sizeof sweep) &&
        strcmp(sweep, "x") == 0) {
        append(proj, " +sweep=x");
    }
    append_earth(file, variable, proj);
    *height_m = 0;
    (void)read_one(file, variable, "perspective_point_height", height_m);
    return strlen(proj) + 1 < PROJ_SIZE
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_LIMIT, where, "the grid mapping has too many digits");
}
