/* tests/unit/wx/product/test_product_netcdf.c - forecasts as NetCDF, read back by the netCDF
 * library: values, masks, places, times, and every way to fail.
 *
 * It leaves its files, product_sample_*.nc, and product_samples.json which says what went into
 * them: check_netcdf_clients opens them with other people's readers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <netcdf.h>

#include "wx/grid/grid.h"
#include "wx/product/product.h"

#define ISSUE_TIME 1282791600 /* date -u -d 2010-08-26T03:00:00Z +%s */
#define TIMES      3
#define SIDE_X     60
#define SIDE_Y     50

/* One attribute that a grid mapping must have. */
typedef struct expected {
    const char *name;
    double value, second; /* second: NAN for one number */
} expected;

typedef struct sample {
    const char *name, *proj, *mapping;
    double left, top, cell;
    double unit_m;   /* metres in a unit of the grid */
    double lon, lat; /* of the centre of cell (0, 0), by pyproj 3.7.2 (PROJ 9.5.1):
                        Proj(proj)(left + cell / 2, top - cell / 2, inverse=True) */
    expected attributes[9];
} sample;

#define ONE(name, value) \
    {                    \
        name, value, NAN \
    }

static const sample samples[] = {

    {"knmi",
     "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0",
     "polar_stereographic",
     0,
     -3650,
     10,
     1000,
     0.078379950,
     55.929524694,
     {ONE("straight_vertical_longitude_from_pole", 0), ONE("latitude_of_projection_origin", 90),
      ONE("standard_parallel", 60), ONE("false_easting", 0), ONE("false_northing", 0),
      ONE("semi_major_axis", 6378137), ONE("semi_minor_axis", 6356752)}},
    {"stere_sphere",
     "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=km +no_defs",
     "polar_stereographic",
     -523.4622,
     -3658.645,
     10,
     1000,
     1.945250246,
     55.418744279,
     {ONE("straight_vertical_longitude_from_pole", 10), ONE("standard_parallel", 60),
      ONE("earth_radius", 6370040)}},
    /* The parallel: where pyproj.Proj(proj).get_factors(25, lat).meridional_scale is 1. */
    {"stere_scale",
     "+proj=stere +lat_0=90 +lon_0=25 +k=0.933 +x_0=380886.31 +y_0=3395677.92 +ellps=intl +no_defs",
     "polar_stereographic",
     0,
     1000000,
     10000,
     1,
     16.101160569,
     66.985709944,
     {ONE("standard_parallel", 59.9840929), ONE("false_easting", 380886.31),
      ONE("false_northing", 3395677.92), ONE("inverse_flattening", 297)}},
    {"stere_south",
     "+proj=stere +lat_0=-90 +lat_ts=-71 +lon_0=0 +datum=WGS84 +units=m",
     "polar_stereographic",
     -300000,
     2000000,
     10000,
     1,
     -8.411355675,
     -71.592624384,
     {ONE("latitude_of_projection_origin", -90), ONE("standard_parallel", -71),
      ONE("inverse_flattening", 298.257223563)}},
    {"stere_oblique",
     "+proj=stere +lat_0=52 +lon_0=19 +k=1 +ellps=bessel",
     "stereographic",
     -300000,
     250000,
     10000,
     1,
     14.488019965,
     54.118107109,
     {ONE("longitude_of_projection_origin", 19), ONE("latitude_of_projection_origin", 52),
      ONE("scale_factor_at_projection_origin", 1), ONE("semi_major_axis", 6377397.155)}},
    {"laea",
     "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84",
     "lambert_azimuthal_equal_area",
     1600000,
     -1800000,
     10000,
     1,
     4.236534925,
     57.521180976,
     {ONE("longitude_of_projection_origin", 10), ONE("latitude_of_projection_origin", 55),
      ONE("false_easting", 1950000), ONE("false_northing", -2100000),
      ONE("semi_major_axis", 6378137), ONE("inverse_flattening", 298.257223563)}},
    {"aea",
     "+proj=aea +lat_0=-27.718 +lon_0=153.24 +lat_1=-26.2 +lat_2=-29.3 +x_0=0 +y_0=0 +a=6378137 "
     "+rf=298.257222101",
     "albers_conical_equal_area",
     -300000,
     250000,
     10000,
     1,
     150.307308255,
     -25.475259941,
     {ONE("longitude_of_central_meridian", 153.24),
      ONE("latitude_of_projection_origin", -27.718),
      {"standard_parallel", -26.2, -29.3},
      ONE("inverse_flattening", 298.257222101)}},
    {"lcc",
     "+proj=lcc +lat_1=50 +lat_2=58 +lat_0=54 +lon_0=15 +x_0=1000 +y_0=-2000 +R=6371229",
     "lambert_conformal_conic",
     -300000,
     250000,
     10000,
     1,
     10.210794131,
     56.135885286,
     {ONE("longitude_of_central_meridian", 15),
      ONE("latitude_of_projection_origin", 54),
      {"standard_parallel", 50, 58},
      ONE("false_easting", 1000),
      ONE("false_northing", -2000),
      ONE("earth_radius", 6371229)}},
    {"lcc_one",
     "+proj=lcc +lat_1=63 +lat_0=63 +lon_0=15 +R=6371000",
     "lambert_conformal_conic",
     -300000,
     250000,
     10000,
     1,
     8.699458263,
     65.072803151,
     {ONE("standard_parallel", 63), ONE("latitude_of_projection_origin", 63)}},
    {"utm",
     "EPSG:3067",
     "transverse_mercator",
     50000,
     7800000,
     10000,
     1,
     15.347961307,
     69.878562565,
     {ONE("longitude_of_central_meridian", 27), ONE("latitude_of_projection_origin", 0),
      ONE("scale_factor_at_central_meridian", 0.9996), ONE("false_easting", 500000),
      ONE("false_northing", 0), ONE("inverse_flattening", 298.257222101)}},
    {"tmerc",
     "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
     "+units=m",
     "transverse_mercator",
     0,
     600000,
     10000,
     1,
     -8.193782479,
     55.091538641,
     {ONE("longitude_of_central_meridian", -2), ONE("latitude_of_projection_origin", 49),
      ONE("scale_factor_at_central_meridian", 0.9996012717), ONE("semi_major_axis", 6377563.396)}},
    {"merc",
     "+proj=merc +lat_ts=20 +lon_0=100 +a=6378137 +b=6356752.314 +x_0=0 +y_0=0",
     "mercator",
     -300000,
     600000,
     10000,
     1,
     97.181001303,
     5.714471741,
     {ONE("longitude_of_projection_origin", 100), ONE("standard_parallel", 20),
      ONE("semi_minor_axis", 6356752.314)}},
    {"aeqd",
     "+proj=aeqd +lat_0=46.8 +lon_0=8.2 +ellps=WGS84",
     "azimuthal_equidistant",
     -300000,
     250000,
     10000,
     1,
     4.172757640,
     48.934687441,
     {ONE("longitude_of_projection_origin", 8.2), ONE("latitude_of_projection_origin", 46.8)}},
    {"longlat",
     "+proj=longlat +R=6371200",
     "latitude_longitude",
     -130,
     55,
     0.2,
     1,
     NAN,
     NAN,
     {ONE("earth_radius", 6371200)}},
    {"longlat_360",
     "EPSG:4326",
     "latitude_longitude",
     230,
     55,
     0.2,
     1,
     NAN,
     NAN,
     {ONE("semi_major_axis", 6378137), ONE("inverse_flattening", 298.257223563)}},
    {"geos",
     "+proj=geos +h=35785831 +lon_0=0 +a=6378169 +b=6356583.8 +sweep=y",
     "geostationary",
     -1000000,
     4500000,
     30000,
     1,
     -14.556995581,
     49.198322109,
     {ONE("perspective_point_height", 35785831), ONE("longitude_of_projection_origin", 0),
      ONE("semi_major_axis", 6378169), ONE("semi_minor_axis", 6356583.8)}},
};

#define SAMPLES (sizeof samples / sizeof samples[0])

static squall_grid sample_grid(const sample *s)
{
    squall_grid grid = {.width = SIDE_X,
                        .height = SIDE_Y,
                        .left = s->left,
                        .top = s->top,
                        .dx = s->cell,
                        .dy = s->cell};
    snprintf(grid.proj, sizeof grid.proj, "%s", s->proj);
    return grid;
}

/* What stands in a cell of every sample; check_netcdf_clients knows the same formula. */
static uint8_t cell_mask(size_t t, size_t i, size_t j)
{
    const size_t kind = (i + 2 * j + 3 * t) % 7;
    return kind == 0 ? SQUALL_CELL_NO_COVERAGE : kind == 1 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
}

static int cell_hundredths(size_t t, size_t i, size_t j)
{
    return (int)(((i * SIDE_X + j) * 7 + t * 1000) % 32000);
}

static squall_field *make_field(const squall_grid *grid, size_t t)
{
    squall_field *field = NULL;
    squall_error err;
    assert_int_equal(squall_field_create(grid, &field, &err), SQUALL_OK);
    field->valid_time = ISSUE_TIME + 300 * (int64_t)(t + 1);
    for (size_t i = 0; i < grid->height; i++) {
        for (size_t j = 0; j < grid->width; j++) {
            const size_t at = i * grid->width + j;
            field->mask[at] = cell_mask(t, i, j);
            field->values[at] = field->mask[at] == SQUALL_CELL_NO_COVERAGE ? NAN
                                : field->mask[at] == SQUALL_CELL_DRY
                                    ? 0.0f
                                    : (float)cell_hundredths(t, i, j) * 0.01f;
        }
    }
    return field;
}

typedef struct series {
    squall_field *fields[TIMES];
} series;

static series make_series(const squall_grid *grid)
{
    series all;
    for (size_t t = 0; t < TIMES; t++) {
        all.fields[t] = make_field(grid, t);
    }
    return all;
}

static void free_series(series *all)
{
    for (size_t t = 0; t < TIMES; t++) {
        squall_field_destroy(&all->fields[t]);
    }
}

static squall_product_info sample_info(void)
{
    squall_product_info info;
    squall_product_info_init(&info);
    info.issue_time = ISSUE_TIME;
    info.method = "extrapolation";
    info.title = "Rain forecast of a test";
    info.attribution = "Source: nobody, made up";
    info.history = "squall 0.1.0 test";
    info.quality = "nominal";
    info.quality_index = 1.0;
    info.institution = "squall tests";
    info.license = "none needed";
    return info;
}

static squall_status write_series(const char *path, const series *all,
                                  const squall_product_info *info, squall_error *err)
{
    return squall_netcdf_write(path, (const squall_field *const *)all->fields, TIMES, info, err);
}

/* One attempt at the sample of the first grid, to see a failure. */
static squall_status write_first(const char *path, squall_error *err)
{
    const squall_grid grid = sample_grid(&samples[0]);
    const squall_product_info info = sample_info();
    series all = make_series(&grid);
    const squall_status status = write_series(path, &all, &info, err);
    free_series(&all);
    return status;
}

static int open_file(const char *path)
{
    int nc = -1;
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    return nc;
}

static int find_variable(int nc, const char *name)
{
    int variable = -1;
    assert_int_equal(nc_inq_varid(nc, name, &variable), NC_NOERR);
    return variable;
}

static void assert_text(int nc, int variable, const char *name, const char *wanted)
{
    char text[512] = "";
    size_t size = 0;
    assert_int_equal(nc_inq_attlen(nc, variable, name, &size), NC_NOERR);
    assert_true(size < sizeof text);
    assert_int_equal(nc_get_att_text(nc, variable, name, text), NC_NOERR);
    assert_string_equal(text, wanted);
}

static void assert_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance)) {
        fail_msg("%.12g is not %.12g within %g", value, wanted, tolerance);
    }
}

static void check_mapping(int nc, const sample *s)
{
    const int mapping = find_variable(nc, s->mapping);
    assert_text(nc, mapping, "grid_mapping_name", s->mapping);
    assert_text(nc, mapping, "proj4", s->proj);
    assert_text(nc, find_variable(nc, "precip_intensity"), "grid_mapping", s->mapping);
    assert_text(nc, find_variable(nc, "coverage"), "grid_mapping", s->mapping);
    for (const expected *e = s->attributes; e->name != NULL; e++) {
        double values[7] = {0};
        size_t count = 0;
        assert_int_equal(nc_inq_attlen(nc, mapping, e->name, &count), NC_NOERR);
        assert_int_equal(count, isnan(e->second) ? 1 : 2);
        assert_int_equal(nc_get_att_double(nc, mapping, e->name, values), NC_NOERR);
        /* Written down to 7 decimals at the most. */
        assert_near(values[0], e->value, 1e-7 + 1e-12 * fabs(e->value));
        if (count == 2) {
            assert_near(values[1], e->second, 1e-7);
        }
    }
}

static void check_places(int nc, const sample *s)
{
    double x[SIDE_X], y[SIDE_Y];
    assert_int_equal(nc_get_var_double(nc, find_variable(nc, "x"), x), NC_NOERR);
    assert_int_equal(nc_get_var_double(nc, find_variable(nc, "y"), y), NC_NOERR);
    const double rounding = 1e-9 * s->unit_m * s->cell;
    for (size_t j = 0; j < SIDE_X; j++) {
        assert_near(x[j], (s->left + (j + 0.5) * s->cell) * s->unit_m, rounding);
    }
    for (size_t i = 0; i < SIDE_Y; i++) {
        assert_near(y[i], (s->top - (i + 0.5) * s->cell) * s->unit_m, rounding);
    }
    int unused;
    if (isnan(s->lon)) {
        assert_text(nc, find_variable(nc, "x"), "standard_name", "longitude");
        assert_int_equal(nc_inq_varid(nc, "lon", &unused), NC_ENOTVAR);
        return;
    }
    assert_text(nc, find_variable(nc, "x"), "units", "m");
    assert_text(nc, find_variable(nc, "y"), "standard_name", "projection_y_coordinate");
    const size_t corner[2] = {0, 0};
    float degrees;
    assert_int_equal(nc_get_var1_float(nc, find_variable(nc, "lon"), corner, &degrees), NC_NOERR);
    assert_near(degrees, s->lon, 2e-5); /* a float of some 150 degrees */
    assert_int_equal(nc_get_var1_float(nc, find_variable(nc, "lat"), corner, &degrees), NC_NOERR);
    assert_near(degrees, s->lat, 2e-5);
}

static void check_times(int nc)
{
    int times[TIMES], periods[TIMES];
    double reference;
    assert_text(nc, find_variable(nc, "time"), "units", "seconds since 2010-08-26 03:00:00");
    assert_text(nc, find_variable(nc, "time"), "standard_name", "time");
    assert_int_equal(nc_get_var_int(nc, find_variable(nc, "time"), times), NC_NOERR);
    assert_int_equal(nc_get_var_int(nc, find_variable(nc, "forecast_period"), periods), NC_NOERR);
    for (int t = 0; t < TIMES; t++) {
        assert_int_equal(times[t], 300 * (t + 1));
        assert_int_equal(periods[t], 300 * (t + 1));
    }
    assert_int_equal(nc_get_var_double(nc, find_variable(nc, "forecast_reference_time"),
                                       &reference),
                     NC_NOERR);
    assert_near(reference, ISSUE_TIME, 0);
}

static void check_values(int nc)
{
    static short rates[TIMES][SIDE_Y][SIDE_X];
    static signed char flags[TIMES][SIDE_Y][SIDE_X];
    const int rate = find_variable(nc, "precip_intensity");
    float step = 0;
    short fill = 0;
    assert_int_equal(nc_get_var_short(nc, rate, &rates[0][0][0]), NC_NOERR);
    assert_int_equal(nc_get_var_schar(nc, find_variable(nc, "coverage"), &flags[0][0][0]),
                     NC_NOERR);
    assert_int_equal(nc_get_att_float(nc, rate, "scale_factor", &step), NC_NOERR);
    assert_int_equal(nc_get_att_short(nc, rate, "_FillValue", &fill), NC_NOERR);
    assert_text(nc, rate, "units", "mm h-1");
    assert_text(nc, rate, "standard_name", "rainfall_rate");
    assert_near(step, 0.01, 1e-9);
    for (size_t t = 0; t < TIMES; t++) {
        for (size_t i = 0; i < SIDE_Y; i++) {
            for (size_t j = 0; j < SIDE_X; j++) {
                const uint8_t mask = cell_mask(t, i, j);
                assert_int_equal(flags[t][i][j], mask);
                assert_int_equal(rates[t][i][j], mask == SQUALL_CELL_NO_COVERAGE ? fill
                                                 : mask == SQUALL_CELL_DRY
                                                     ? 0
                                                     : cell_hundredths(t, i, j));
            }
        }
    }
}

static void check_storage(int nc)
{
    static const char *const names[] = {"precip_intensity", "coverage"};
    for (size_t v = 0; v < 2; v++) {
        int shuffle = 0, deflate = 0, level = 0, storage = -1;
        size_t chunks[3];
        const int variable = find_variable(nc, names[v]);
        assert_int_equal(nc_inq_var_deflate(nc, variable, &shuffle, &deflate, &level), NC_NOERR);
        assert_int_equal(nc_inq_var_chunking(nc, variable, &storage, chunks), NC_NOERR);
        assert_true(shuffle && deflate && level > 0);
        assert_int_equal(storage, NC_CHUNKED);
        assert_int_equal(chunks[0], 1);
    }
}

/* Every projection that CF can say: written, and read back by the C library. */
static void test_samples(void **state)
{
    (void)state;
    const squall_product_info info = sample_info();
    FILE *list = fopen("product_samples.json", "w");
    assert_non_null(list);
    fprintf(list, "[");
    for (size_t k = 0; k < SAMPLES; k++) {
        const sample *s = &samples[k];
        const squall_grid grid = sample_grid(s);
        squall_error err;
        char path[64];
        snprintf(path, sizeof path, "product_sample_%s.nc", s->name);
        series all = make_series(&grid);
        if (write_series(path, &all, &info, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        free_series(&all);
        fprintf(list,
                "%s\n {\"file\": \"%s\", \"proj\": \"%s\", \"mapping\": \"%s\", \"left\": %.17g, "
                "\"top\": %.17g, \"cell\": %.17g, \"width\": %d, \"height\": %d, "
                "\"issue_time\": %d, \"step_s\": 300, \"times\": %d}",
                k == 0 ? "" : ",", path, s->proj, s->mapping, s->left, s->top, s->cell, SIDE_X,
                SIDE_Y, ISSUE_TIME, TIMES);

        const int nc = open_file(path);
        check_mapping(nc, s);
        check_places(nc, s);
        check_times(nc);
        check_values(nc);
        check_storage(nc);
        assert_text(nc, NC_GLOBAL, "Conventions", "CF-1.8");
        assert_text(nc, NC_GLOBAL, "title", "Rain forecast of a test");
        assert_text(nc, NC_GLOBAL, "institution", "squall tests");
        assert_text(nc, NC_GLOBAL, "attribution", "Source: nobody, made up");
        assert_text(nc, NC_GLOBAL, "history", "squall 0.1.0 test");
        assert_text(nc, NC_GLOBAL, "quality", "nominal");
        assert_text(nc, NC_GLOBAL, "source", "squall rain nowcast, method: extrapolation");
        assert_int_equal(nc_close(nc), NC_NOERR);
    }
    fprintf(list, "\n]\n");
    assert_int_equal(fclose(list), 0);
}

/* A user can add to the file, and finds the variables in the order in which they were made. */
static void test_can_be_added_to(void **state)
{
    (void)state;
    squall_error err;
    int nc = -1;
    char name[NC_MAX_NAME + 1];
    assert_int_equal(write_first("product_added.nc", &err), SQUALL_OK);
    assert_int_equal(nc_open("product_added.nc", NC_WRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_varname(nc, 0, name), NC_NOERR);
    assert_string_equal(name, "time");
    assert_int_equal(nc_put_att_text(nc, NC_GLOBAL, "note", 4, "mine"), NC_NOERR);
    assert_int_equal(nc_close(nc), NC_NOERR);
    nc = open_file("product_added.nc");
    assert_text(nc, NC_GLOBAL, "note", "mine");
    check_values(nc);
    assert_int_equal(nc_close(nc), NC_NOERR);
}

/* Rounding, the ends of the range, and values that a field should not have but might. */
static void test_packing(void **state)
{
    (void)state;
    static const struct {
        float rate;
        uint8_t mask;
        short packed;
        signed char flag;
    } cases[] = {
        {0.0f, SQUALL_CELL_VALUE, 0, 2},        {0.0f, SQUALL_CELL_DRY, 0, 1},
        {0.004f, SQUALL_CELL_VALUE, 0, 2},      {0.006f, SQUALL_CELL_VALUE, 1, 2},
        {0.1f, SQUALL_CELL_VALUE, 10, 2},       {0.285f, SQUALL_CELL_VALUE, 28, 2},
        {300.0f, SQUALL_CELL_VALUE, 30000, 2},  {327.67f, SQUALL_CELL_VALUE, 32767, 2},
        {8646.0f, SQUALL_CELL_VALUE, 32767, 2}, {INFINITY, SQUALL_CELL_VALUE, 32767, 2},
        {-0.5f, SQUALL_CELL_VALUE, 0, 2},       {NAN, SQUALL_CELL_VALUE, -1, 0},
        {NAN, SQUALL_CELL_NO_COVERAGE, -1, 0},  {7.0f, SQUALL_CELL_NO_COVERAGE, -1, 0},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    squall_grid grid = sample_grid(&samples[0]);
    squall_error err;
    squall_field *field = NULL;
    grid.width = COUNT;
    grid.height = 1;
    assert_int_equal(squall_field_create(&grid, &field, &err), SQUALL_OK);
    assert_int_equal(squall_field_add_quality(field, &err), SQUALL_OK);
    field->valid_time = ISSUE_TIME;
    for (size_t j = 0; j < COUNT; j++) {
        field->values[j] = cases[j].rate;
        field->mask[j] = cases[j].mask;
    }
    field->quality[0] = 0.0f;
    field->quality[1] = 0.37f;
    field->quality[2] = 1.5f;
    const squall_field *one = field;
    assert_int_equal(squall_netcdf_write("product_packing.nc", &one, 1, NULL, &err), SQUALL_OK);
    squall_field_destroy(&field);

    short rates[COUNT];
    signed char flags[COUNT], quality[COUNT];
    const int nc = open_file("product_packing.nc");
    assert_int_equal(nc_get_var_short(nc, find_variable(nc, "precip_intensity"), rates), NC_NOERR);
    assert_int_equal(nc_get_var_schar(nc, find_variable(nc, "coverage"), flags), NC_NOERR);
    assert_int_equal(nc_get_var_schar(nc, find_variable(nc, "quality"), quality), NC_NOERR);
    for (size_t j = 0; j < COUNT; j++) {
        assert_int_equal(rates[j], cases[j].packed);
        assert_int_equal(flags[j], cases[j].flag);
    }
    assert_int_equal(quality[0], 0);
    assert_int_equal(quality[1], 37);
    assert_int_equal(quality[2], 100);
    assert_int_equal(quality[3], -1);
    /* Nothing was said of an issue: times count from the first field, and no lead is made up. */
    int unused;
    assert_text(nc, find_variable(nc, "time"), "units", "seconds since 2010-08-26 03:00:00");
    assert_int_equal(nc_inq_varid(nc, "forecast_reference_time", &unused), NC_ENOTVAR);
    assert_int_equal(nc_inq_att(nc, NC_GLOBAL, "quality_index", NULL, NULL), NC_ENOTATT);
    assert_int_equal(nc_close(nc), NC_NOERR);
}

/* Fields that are means over a window say so by bounds. */
static void test_windows(void **state)
{
    (void)state;
    const squall_grid grid = sample_grid(&samples[0]);
    const squall_product_info info = sample_info();
    squall_error err;
    series all = make_series(&grid);
    for (size_t t = 0; t < TIMES; t++) {
        all.fields[t]->window_s = 300;
    }
    assert_int_equal(write_series("product_windows.nc", &all, &info, &err), SQUALL_OK);
    int nc = open_file("product_windows.nc");
    int bounds[TIMES][2];
    assert_text(nc, find_variable(nc, "time"), "bounds", "time_bnds");
    assert_text(nc, find_variable(nc, "precip_intensity"), "cell_methods", "time: mean");
    assert_int_equal(nc_get_var_int(nc, find_variable(nc, "time_bnds"), &bounds[0][0]), NC_NOERR);
    for (int t = 0; t < TIMES; t++) {
        assert_int_equal(bounds[t][0], 300 * t);
        assert_int_equal(bounds[t][1], 300 * (t + 1));
    }
    assert_int_equal(nc_close(nc), NC_NOERR);

    /* One of them without a window: the file must not claim what holds for some only. */
    all.fields[1]->window_s = 0;
    assert_int_equal(write_series("product_windows.nc", &all, &info, &err), SQUALL_OK);
    nc = open_file("product_windows.nc");
    int unused;
    assert_int_equal(nc_inq_varid(nc, "time_bnds", &unused), NC_ENOTVAR);
    assert_text(nc, find_variable(nc, "precip_intensity"), "cell_methods", "time: point");
    assert_int_equal(nc_close(nc), NC_NOERR);
    free_series(&all);
}

/* Texts from files may be anything; what is published is UTF-8. */
static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"Météo \xE2\x80\x93 \xF0\x9F\x8C\xA7", "Météo \xE2\x80\x93 \xF0\x9F\x8C\xA7"},
        {"M\xE9t\xE9o", "M?t?o"},                 /* Latin-1 */
        {"a\tb\nc\x7F", "a b\nc "},               /* control characters */
        {"\xC0\x80\xED\xA0\x80|\xF5", "?????|?"}, /* overlong, surrogate, past the end */
        {"cut \xE2\x80", "cut ??"},
        {NULL, "fallback"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = sq_product_text(cases[i].in, "fallback");
        assert_non_null(text);
        assert_string_equal(text, cases[i].out);
        sq_free(text);
    }
}

/* Fields that make no series. */
static void test_refused_fields(void **state)
{
    (void)state;
    const squall_grid grid = sample_grid(&samples[0]);
    squall_grid other = grid;
    squall_error err;
    series all = make_series(&grid);
    const squall_field *const *fields = (const squall_field *const *)all.fields;
    const char *path = "product_refused.nc";
    unlink(path);

    assert_int_equal(squall_netcdf_write(path, fields, 0, NULL, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_netcdf_write(path, NULL, 3, NULL, &err), SQUALL_E_ARGUMENT);
    const squall_field *none = NULL;
    assert_int_equal(squall_netcdf_write(path, &none, 1, NULL, &err), SQUALL_E_ARGUMENT);
    squall_product_info info = sample_info();
    info.struct_size = 0;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_ARGUMENT);
    info = sample_info();

    all.fields[2]->valid_time = all.fields[1]->valid_time;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "field 2");
    all.fields[2]->valid_time = SQUALL_TIME_NONE;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    all.fields[2]->valid_time = ISSUE_TIME + ((int64_t)1 << 40);
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    all.fields[2]->valid_time = INT64_MAX;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    all.fields[2]->valid_time = ISSUE_TIME + ((int64_t)1 << 31);
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "netCDF");
    all.fields[2]->valid_time = ISSUE_TIME + 900;
    all.fields[2]->window_s = -300;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    all.fields[2]->window_s = 0;
    info.issue_time = INT64_MAX;
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_ARGUMENT);
    info = sample_info();

    squall_field_set_quantity(all.fields[1], SQUALL_REFLECTIVITY, NULL, NULL);
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "field 1");
    assert_non_null(strstr(err.text, "dBZ"));
    squall_field_set_quantity(all.fields[1], SQUALL_RAIN_RATE, NULL, NULL);

    other.left += grid.dx;
    squall_field_destroy(&all.fields[1]);
    all.fields[1] = make_field(&other, 1);
    assert_int_equal(write_series(path, &all, &info, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "field 1");
    free_series(&all);
    assert_int_equal(access(path, F_OK), -1);
}

/* A projection that CF has no words for: no file rather than one in the wrong place. */
static void test_unsupported(void **state)
{
    (void)state;
    squall_grid grid = sample_grid(&samples[0]);
    snprintf(grid.proj, sizeof grid.proj, "%s",
             "+proj=somerc +lat_0=46.95 +lon_0=7.44 +k_0=1 +ellps=bessel");
    squall_error err;
    series all = make_series(&grid);
    assert_int_equal(write_series("product_unsupported.nc", &all, NULL, &err),
                     SQUALL_E_UNSUPPORTED);
    free_series(&all);
    assert_int_equal(access("product_unsupported.nc", F_OK), -1);
}

static size_t count_files(const char *folder)
{
    size_t count = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    }
    closedir(stream);
    return count;
}

static void assert_old_stays(const char *folder, const char *path)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    squall_error err;
    assert_int_equal(sq_file_read(path, 64, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(bytes, "the old", 7);
    sq_free(bytes);
    assert_int_equal(count_files(folder), 1);
}

/* Each allocation fails once: a clear word, the old file, no litter, no leak. */
static void test_no_memory(void **state)
{
    (void)state;
    const char *folder = "product_no_memory", *path = "product_no_memory/forecast.nc";
    const squall_grid grid = sample_grid(&samples[0]);
    const squall_product_info info = sample_info();
    squall_error err;
    assert_int_equal(sq_folder_make(folder, &err), SQUALL_OK);
    series all = make_series(&grid);
    size_t failures = 0;
    for (long n = 0;; n++) {
        assert_true(n < 1000);
        assert_int_equal(sq_file_write(path, "the old", 7, &err), SQUALL_OK);
        sq_memory_fail_at(n);
        const squall_status status = write_series(path, &all, &info, &err);
        sq_memory_fail_at(-1);
        if (status == SQUALL_OK) {
            unsigned char *bytes = NULL;
            size_t size = 0;
            assert_int_equal(sq_file_read(path, 1 << 20, &bytes, &size, &err), SQUALL_OK);
            sq_free(bytes);
            /* The last allocations are of the commit, which copes without. */
            if (size > 7 && failures > 5) {
                break;
            }
            continue;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
        assert_int_equal(err.code, SQUALL_E_MEMORY);
        assert_old_stays(folder, path);
        failures++;
    }
    free_series(&all);
    assert_int_equal(count_files(folder), 1);
    unlink(path);
    rmdir(folder);
}

/* What a child process returned. */
static int wait_for(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A file system that is full in the middle of the file: here, a limit on the size of files. */
static void test_file_size_limit(void **state)
{
    (void)state;
    const char *folder = "product_limit", *path = "product_limit/forecast.nc";
    squall_error err;
    assert_int_equal(sq_folder_make(folder, &err), SQUALL_OK);
    assert_int_equal(sq_file_write(path, "the old", 7, &err), SQUALL_OK);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4096;
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const squall_status status = write_first(path, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, SQUALL_E_IO);
    assert_string_equal(err.where, path);
    assert_non_null(strstr(err.text, strerror(EFBIG)));
    assert_old_stays(folder, path);
    unlink(path);
    rmdir(folder);
}

/* In a child with a mount space of its own: a file system of 16 KiB. Exit code 0 when all is as it
 * should be, 77 when this system lets nobody mount, else the number of what was wrong. */
static int write_to_full_disk(const char *folder)
{
    squall_error err;
    char path[64];
    unsigned char *bytes = NULL;
    size_t size = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("squall-test", folder, "tmpfs", 0, "size=16k") != 0) {
        return 77;
    }
    snprintf(path, sizeof path, "%s/forecast.nc", folder);
    if (sq_file_write(path, "the old", 7, &err) != SQUALL_OK) {
        return 1;
    }
    if (write_first(path, &err) != SQUALL_E_IO || strstr(err.text, strerror(ENOSPC)) == NULL ||
        strcmp(err.where, path) != 0) {
        return 2;
    }
    if (sq_file_read(path, 64, &bytes, &size, &err) != SQUALL_OK || size != 7 ||
        memcmp(bytes, "the old", 7) != 0) {
        return 3;
    }
    sq_free(bytes);
    return count_files(folder) == 1 ? 0 : 4;
}

static void test_full_disk(void **state)
{
    (void)state;
    const char *folder = "product_full";
    squall_error err;
    assert_int_equal(sq_folder_make(folder, &err), SQUALL_OK);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(write_to_full_disk(folder));
    }
    const int result = wait_for(child);
    rmdir(folder);
    if (result == 77) {
        print_message("no file system can be mounted here: the full disk was not tried, the limit "
                      "on the size of files was\n");
        skip();
    }
    assert_int_equal(result, 0);
}

static void test_no_folder(void **state)
{
    (void)state;
    squall_error err;
    assert_int_equal(write_first("product_absent/forecast.nc", &err), SQUALL_E_IO);
    assert_string_equal(err.where, "product_absent/forecast.nc");
    assert_non_null(strstr(err.text, strerror(ENOENT)));
    assert_int_equal(write_first("/", &err), SQUALL_E_IO);
}

/* The name under which the library builds in memory means nothing on the disk. */
static void test_nothing_beside(void **state)
{
    (void)state;
    squall_error err;
    assert_int_equal(sq_file_write("squall.nc", "the old", 7, &err), SQUALL_OK);
    assert_int_equal(write_first("product_beside.nc", &err), SQUALL_OK);
    unsigned char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(sq_file_read("squall.nc", 64, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(size, 7);
    sq_free(bytes);
    unlink("squall.nc");
    assert_int_equal(write_first("product_beside.nc", &err), SQUALL_OK);
    assert_int_equal(access("squall.nc", F_OK), -1);
    unlink("product_beside.nc");
}

/* The same input makes the same bytes: a product can be known by its hash. */
static void test_same_bytes(void **state)
{
    (void)state;
    unsigned char *bytes[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    squall_error err;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(write_first("product_same.nc", &err), SQUALL_OK);
        assert_int_equal(sq_file_read("product_same.nc", 1 << 22, &bytes[i], &sizes[i], &err),
                         SQUALL_OK);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    sq_free(bytes[0]);
    sq_free(bytes[1]);
    unlink("product_same.nc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),         cmocka_unit_test(test_can_be_added_to),
        cmocka_unit_test(test_packing),         cmocka_unit_test(test_windows),
        cmocka_unit_test(test_texts),           cmocka_unit_test(test_refused_fields),
        cmocka_unit_test(test_unsupported),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_file_size_limit), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_folder),       cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_nothing_beside),
    };
    return cmocka_run_group_tests_name("product_netcdf", tests, NULL, NULL);
}
