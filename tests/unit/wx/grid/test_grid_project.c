/* tests/unit/wx/grid/test_grid_project.c - where cells lie on the Earth, against pyproj. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/grid/grid.h"

/* By tests/expected/make_project.py: pyproj 3.7.2 with PROJ 9.5.1. */
static const struct {
    const char *proj;
    double lon, lat, x, y;
} EXPECTED[] = {
    {"+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84", 10,
     55, 1950000.000000, -2100000.000000},
    {"+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84",
     -39.5, 67, -730.055423, -2925.561512},
    {"+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84",
     29.42, 31.98, 3800083.289541, -4400840.249608},
    {"+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0", 0,
     49.362, 0.000000, -4415.006464},
    {"+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0", 10.856,
     55.389, 699.972306, -3649.997949},
    {"+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=km", 10, 51, 0.000000,
     -4209.285819},
    {"+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040 +units=km", 3.5889, 46.9526,
     -523.464340, -4658.642117},
    {"+proj=stere +lat_0=90 +lon_0=25 +lat_ts=60 +a=6371288 +units=m", 25, 60, 0.000000,
     -3185644.000000},
    {"+proj=stere +lat_0=90 +lon_0=14 +lat_ts=60 +ellps=bessel", 12, 57.7, -120553.310991,
     -3452195.147619},
    {"+proj=stere +lat_0=90 +lon_0=14 +lat_ts=60 +ellps=bessel "
     "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7",
     12, 57.7, -120446.059831, -3451972.209211},
    {"+proj=aea +lat_1=-18 +lat_2=-36 +lat_0=-27.718 +lon_0=153.24 +ellps=GRS80 +units=km", 152.0,
     -26.5, -122.113611, 136.037669},
    {"+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8", 5, 45, 374098.925752,
     4243224.700925},
    {"+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8", -40, -20, -3658173.586211,
     -2051565.551687},
    {"+proj=merc +R=6371000 +to_meter=1000", 25, 60.5, 2779.873166, 8502.384047},
    {"+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +wktext", 25, 60.5, 2782987.269832,
     8511908.692205},
    {"EPSG:3067", 25, 60.5, 390143.728660, 6708766.199761},
    {"EPSG:3067", 31, 69.9, 653321.210959, 7759749.941776},
    {"EPSG:4326", 25, 60.5, 25.000000, 60.500000},
};
#define EXPECTED_COUNT (sizeof EXPECTED / sizeof EXPECTED[0])

/* A grid of unit cells whose column is x and whose row is -y. */
static squall_grid plain(const char *proj)
{
    squall_grid grid = {.width = 10, .height = 10, .dx = 1, .dy = 1};
    snprintf(grid.proj, sizeof grid.proj, "%s", proj);
    return grid;
}

static squall_grid knmi_grid(void)
{
    squall_grid grid = plain(
        "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0");
    grid.width = 700;
    grid.height = 765;
    grid.top = -3650;
    return grid;
}

static squall_grid mrms_grid(void)
{
    squall_grid grid = plain("+proj=longlat +a=6367470 +b=6367470");
    grid.width = 7000;
    grid.height = 3500;
    grid.left = 230;
    grid.top = 55;
    grid.dx = grid.dy = 0.01;
    return grid;
}

static void test_pyproj(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXPECTED_COUNT; i++) {
        const squall_grid grid = plain(EXPECTED[i].proj);
        squall_error err = {0};
        double column, row, lon, lat;
        assert_int_equal(squall_grid_from_lonlat(&grid, &EXPECTED[i].lon, &EXPECTED[i].lat, 1,
                                                 &column, &row, &err),
                         SQUALL_OK);
        /* Six decimals were printed; another PROJ may differ by some 1e-8 of a unit. */
        assert_float_equal(column, EXPECTED[i].x, 2e-6);
        assert_float_equal(row, -EXPECTED[i].y, 2e-6);
        assert_int_equal(squall_grid_to_lonlat(&grid, &column, &row, 1, &lon, &lat, &err),
                         SQUALL_OK);
        /* The way back through a shift of datum drops the height: some centimetres. */
        assert_float_equal(lon, EXPECTED[i].lon, 2e-7);
        assert_float_equal(lat, EXPECTED[i].lat, 2e-7);
    }
}

/* The corners that the files themselves state. */
static void test_stated_corners(void **state)
{
    (void)state;
    /* RAD_NL25_RAP_5min, /geographic: geo_product_corners, three decimals. */
    const squall_grid knmi = knmi_grid();
    const double column[4] = {0, 0, 700, 700}, row[4] = {765, 0, 0, 765};
    static const double knmi_lon[4] = {0, 0, 10.856, 9.009};
    static const double knmi_lat[4] = {49.362, 55.974, 55.389, 48.895};
    double lon[4], lat[4];
    assert_int_equal(squall_grid_to_lonlat(&knmi, column, row, 4, lon, lat, NULL), SQUALL_OK);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(lon[i], knmi_lon[i], 6e-4);
        assert_float_equal(lat[i], knmi_lat[i], 6e-4);
    }
    /* CIRRUS 2024-11-26, /where: UL, UR, LL, LR. */
    squall_grid cirrus = plain("+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 "
                               "+units=m +ellps=WGS84");
    cirrus.width = 3800;
    cirrus.height = 4400;
    cirrus.dx = cirrus.dy = 1000;
    double x[4] = {0, 3800, 0, 3800}, y[4] = {0, 0, 4400, 4400};
    static const double cirrus_lon[4] = {-39.5357864125034, 57.8119647501499, -10.4345768386404,
                                         29.421038635578};
    static const double cirrus_lat[4] = {67.0228327624372, 67.6210371071631, 31.7462153182675,
                                         31.987650276733};
    assert_int_equal(squall_grid_to_lonlat(&cirrus, x, y, 4, lon, lat, NULL), SQUALL_OK);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(lon[i], cirrus_lon[i], 1e-9);
        assert_float_equal(lat[i], cirrus_lat[i], 1e-9);
    }
    /* The answer may be written over the question, also crosswise. */
    assert_int_equal(squall_grid_from_lonlat(&cirrus, lon, lat, 4, lon, lat, NULL), SQUALL_OK);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(lon[i], x[i], 1e-6);
        assert_float_equal(lat[i], y[i], 1e-6);
    }
    assert_int_equal(squall_grid_to_lonlat(&cirrus, x, y, 4, y, x, NULL), SQUALL_OK);
    assert_float_equal(y[1], cirrus_lon[1], 1e-9);
    assert_int_equal(squall_grid_from_lonlat(&cirrus, y, x, 4, x, y, NULL), SQUALL_OK);
    assert_float_equal(x[1], 3800, 1e-6);
}

static void test_longitudes_wrap(void **state)
{
    (void)state;
    const squall_grid mrms = mrms_grid();
    const double column[3] = {0, 3500, 7000}, row[3] = {0, 1750, 3500};
    double lon[3], lat[3];
    assert_int_equal(squall_grid_to_lonlat(&mrms, column, row, 3, lon, lat, NULL), SQUALL_OK);
    static const double expected_lon[3] = {-130, -95, -60}, expected_lat[3] = {55, 37.5, 20};
    for (int i = 0; i < 3; i++) {
        assert_float_equal(lon[i], expected_lon[i], 1e-9);
        assert_float_equal(lat[i], expected_lat[i], 1e-9);
    }
    const double any_lon[3] = {-95, 265, 625}, any_lat[3] = {37.5, 37.5, 37.5};
    double x[3], y[3];
    assert_int_equal(squall_grid_from_lonlat(&mrms, any_lon, any_lat, 3, x, y, NULL), SQUALL_OK);
    for (int i = 0; i < 3; i++) {
        assert_float_equal(x[i], 3500, 1e-6);
        assert_float_equal(y[i], 1750, 1e-6);
    }
    /* A reference system from the database wraps alike. */
    squall_grid fiji = plain("EPSG:4326");
    fiji.left = 175;
    fiji.top = -15;
    const double west = -179.5, south = -17;
    assert_int_equal(squall_grid_from_lonlat(&fiji, &west, &south, 1, x, y, NULL), SQUALL_OK);
    assert_float_equal(x[0], 5.5, 1e-9);
    assert_int_equal(squall_grid_to_lonlat(&fiji, x, y, 1, lon, lat, NULL), SQUALL_OK);
    assert_float_equal(lon[0], -179.5, 1e-9);
}

static void test_no_such_place(void **state)
{
    (void)state;
    squall_grid geos = plain("+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8");
    geos.dx = geos.dy = 3000;
    const double column[3] = {5000, 0, NAN}, row[3] = {0, 0, 0};
    double lon[3], lat[3];
    assert_int_equal(squall_grid_to_lonlat(&geos, column, row, 3, lon, lat, NULL), SQUALL_OK);
    assert_true(isnan(lon[0]) && isnan(lat[0])); /* beside the Earth */
    assert_float_equal(lon[1], 0, 1e-9);
    assert_true(isnan(lon[2]) && isnan(lat[2]));
    const double far_lon[4] = {179, 10, INFINITY, 10}, far_lat[4] = {0, 91, 10, NAN};
    double x[4], y[4];
    assert_int_equal(squall_grid_from_lonlat(&geos, far_lon, far_lat, 4, x, y, NULL), SQUALL_OK);
    for (int i = 0; i < 4; i++) {
        assert_true(isnan(x[i]) && isnan(y[i]));
    }
    const squall_grid degrees = plain("+proj=longlat");
    const double above = -91;
    assert_int_equal(squall_grid_to_lonlat(&degrees, column + 1, &above, 1, lon, lat, NULL),
                     SQUALL_OK);
    assert_true(isnan(lon[0]) && isnan(lat[0]));
    const squall_grid system = plain("EPSG:4326");
    assert_int_equal(squall_grid_from_lonlat(&system, far_lon, far_lat, 4, x, y, NULL), SQUALL_OK);
    assert_true(isnan(x[1]) && isnan(y[1]) && isnan(x[2]) && isnan(y[3]));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *proj;
        squall_status status;
    } texts[] = {
        {"", SQUALL_E_ARGUMENT},
        {"rain", SQUALL_E_ARGUMENT},
        {"+proj=nonsense", SQUALL_E_ARGUMENT},
        {"+proj=utm +zone=99", SQUALL_E_ARGUMENT},
        {"+proj=geocent", SQUALL_E_ARGUMENT},
        {"+proj=cart", SQUALL_E_ARGUMENT},
        {"+proj=pipeline +step +proj=merc", SQUALL_E_ARGUMENT},
        {"+proj=tinshift +file=/dev/zero", SQUALL_E_ARGUMENT},
        {"+proj=airy", SQUALL_E_ARGUMENT}, /* cannot be undone */
        {"EPSG:4978", SQUALL_E_ARGUMENT},  /* geocentric */
        {"EPSG:5703", SQUALL_E_ARGUMENT},  /* heights */
        {"EPSG:9999999", SQUALL_E_ARGUMENT},
        {"+init=epsg:3067", SQUALL_E_UNSUPPORTED},
        {"+proj=utm +zone=35 +nadgrids=/dev/zero", SQUALL_E_UNSUPPORTED},
        {"+proj=utm +zone=35 +nadgrids=@null +geoidgrids=a", SQUALL_E_UNSUPPORTED},
        {"+proj=utm +zone=35 +nadgrids=@null,a", SQUALL_E_UNSUPPORTED},
        {"+proj=utm +zone=35 nadgrids = a", SQUALL_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const squall_grid grid = plain(texts[i].proj);
        squall_error err = {0};
        double one = 1, lon = -7, lat = -7;
        const squall_status status = squall_grid_to_lonlat(&grid, &one, &one, 1, &lon, &lat, &err);
        if (status != texts[i].status) {
            fail_msg("'%s': %s, not %s", texts[i].proj, squall_status_name(status),
                     squall_status_name(texts[i].status));
        }
        assert_int_equal(err.code, texts[i].status);
        assert_true(strstr(err.text, texts[i].proj) != NULL);
        assert_float_equal(lon, -7, 0);
        assert_int_equal(squall_grid_from_lonlat(&grid, &one, &one, 1, &lon, &lat, NULL),
                         texts[i].status);
    }
    squall_grid grid = plain("+proj=longlat");
    grid.dx = 0;
    double one = 1, lon, lat;
    assert_int_equal(squall_grid_to_lonlat(&grid, &one, &one, 1, &lon, &lat, NULL),
                     SQUALL_E_ARGUMENT);
}

/* A rotated pole gives degrees, and the pole itself is where it was put. */
static void test_rotated_pole(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371000",
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +ellps=WGS84 "
        "+towgs84=0,0,0 +type=crs"};
    for (int i = 0; i < 2; i++) {
        squall_grid grid = plain(texts[i]);
        grid.left = 359;
        const double lon[2] = {18, 18}, lat[2] = {50.75, 51.75};
        double column[2], row[2], back_lon[2], back_lat[2];
        assert_int_equal(squall_grid_from_lonlat(&grid, lon, lat, 2, column, row, NULL), SQUALL_OK);
        assert_float_equal(column[0], 1, 1e-9); /* it counts degrees, around the world */
        assert_float_equal(row[0], 0, 1e-9);
        assert_float_equal(row[1], -1, 1e-9);
        assert_int_equal(squall_grid_to_lonlat(&grid, column, row, 2, back_lon, back_lat, NULL),
                         SQUALL_OK);
        assert_float_equal(back_lon[1], 18, 1e-9);
        assert_float_equal(back_lat[1], 51.75, 1e-9);
    }
}

static void test_equal(void **state)
{
    (void)state;
    const squall_grid knmi = knmi_grid();
    assert_true(squall_grid_equal(&knmi, &knmi, 0));
    squall_grid part = knmi; /* a corner that rounds: of a window of OPERA's grid */
    part.left = 1400000.0000027372;
    part.top = -1799999.9999986398;
    part.dx = part.dy = 2000.0000000000002;
    assert_true(squall_grid_equal(&part, &part, 0));
    assert_false(squall_grid_equal(&knmi, &knmi, NAN));
    squall_grid other = knmi;
    other.width--;
    assert_false(squall_grid_equal(&knmi, &other, 1));
    other = knmi;
    other.left += 0.009;
    assert_true(squall_grid_equal(&knmi, &other, 0.01));
    assert_false(squall_grid_equal(&knmi, &other, 0.001));
    other = knmi;
    other.dy += 1e-4; /* 0.08 cells at the southern edge */
    assert_false(squall_grid_equal(&knmi, &other, 0.01));
    assert_true(squall_grid_equal(&knmi, &other, 0.1));

    /* Another text for the same map: order, names without effect, metres for kilometres. */
    static const char *const same[] = {
        "+proj=stere +lat_ts=60 +lat_0=90 +a=6378.137 +b=6356.752 +lon_0=0 +no_defs",
        "+a=6378137 +b=6356752 +units=km +proj=stere +lat_0=90 +lat_ts=60"};
    for (int i = 0; i < 2; i++) {
        other = knmi;
        snprintf(other.proj, sizeof other.proj, "%s", same[i]);
        assert_true(squall_grid_equal(&knmi, &other, 0));
        other.left += 0.1;
        assert_false(squall_grid_equal(&knmi, &other, 0.01));
    }
    static const char *const different[] = {
        "+proj=stere +lat_0=90 +lat_ts=60 +a=6378.137 +b=6356.752 +lon_0=0.001",
        "+proj=stere +lat_0=90 +lat_ts=60 +R=6371 +lon_0=0", "+proj=longlat", "rain", ""};
    for (int i = 0; i < 5; i++) {
        other = knmi;
        snprintf(other.proj, sizeof other.proj, "%s", different[i]);
        assert_false(squall_grid_equal(&knmi, &other, 0.01));
        assert_false(squall_grid_equal(&other, &knmi, 0.01));
    }
    squall_grid mrms = mrms_grid(), shifted = mrms;
    snprintf(shifted.proj, sizeof shifted.proj, "EPSG:4326");
    shifted.left = -130;
    assert_true(squall_grid_equal(&mrms, &shifted, 1e-4));

    /* A satellite's view whose corners miss the Earth. */
    squall_grid geos = plain("+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8");
    geos.width = geos.height = 100;
    geos.dx = geos.dy = 110000;
    geos.left = -5500000;
    geos.top = 5500000;
    squall_grid too = geos;
    snprintf(too.proj, sizeof too.proj, "+proj=geos +h=35785863 +a=6378169 +b=6356583.8");
    assert_true(squall_grid_equal(&geos, &too, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pyproj),          cmocka_unit_test(test_stated_corners),
        cmocka_unit_test(test_longitudes_wrap), cmocka_unit_test(test_no_such_place),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_rotated_pole),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests_name("grid_project", tests, NULL, NULL);
}
