/* tests/unit/wx/grid/test_grid_regrid.c - fields carried from grid to grid: values, masks, and the
 * rain that must not be lost on the way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <geodesic.h>

#include "wx/grid/grid.h"

#define STEREO "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0"
#define LAEA \
    "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m +ellps=WGS84"
#define CROP_SIDE 128 /* of tests/data/verify/knmi_pair.u16 */

static squall_grid make_grid(const char *proj, size_t width, size_t height, double left, double top,
                             double dx, double dy)
{
    squall_grid grid = {
        .width = width, .height = height, .left = left, .top = top, .dx = dx, .dy = dy};
    snprintf(grid.proj, sizeof grid.proj, "%s", proj);
    return grid;
}

static squall_field *make_field(const squall_grid *grid)
{
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(grid, &field, NULL), SQUALL_OK);
    return field;
}

static void set_cell(squall_field *field, size_t cell, int mask, float value)
{
    field->mask[cell] = (uint8_t)mask;
    field->values[cell] = value;
}

static squall_field *carry(const squall_field *field, const squall_grid *to,
                           squall_resampling resampling)
{
    squall_error err = {0};
    squall_regrid *table = NULL;
    squall_field *out = make_field(to);
    if (squall_regrid_create(&field->grid, to, resampling, &table, &err) != SQUALL_OK ||
        squall_regrid_run(table, field, out, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_regrid_destroy(&table);
    assert_null(table);
    return out;
}

/* The real crop amid dry cells, so that no rain is cut by the grid's edge. */
static squall_field *knmi_amid_dry(size_t margin)
{
    const size_t side = CROP_SIDE + 2 * margin;
    const squall_grid grid =
        make_grid(STEREO, side, side, 150 - (double)margin, -4010 + (double)margin, 1, 1);
    squall_field *field = make_field(&grid);
    for (size_t i = 0; i < side * side; i++) {
        set_cell(field, i, SQUALL_CELL_DRY, 0);
    }
    unsigned char *bytes = NULL;
    size_t size = 0;
    const size_t cells = (size_t)CROP_SIDE * CROP_SIDE;
    assert_int_equal(sq_file_read(SQUALL_SOURCE_DIR "/tests/data/verify/knmi_pair.u16", 1 << 20,
                                  &bytes, &size, NULL),
                     SQUALL_OK);
    assert_int_equal(size, 4 * cells);
    for (size_t i = 0; i < cells; i++) {
        const unsigned raw = bytes[2 * (cells + i)] + 256U * bytes[2 * (cells + i) + 1];
        if (raw != 0 && raw != 65535) {
            set_cell(field, (i / CROP_SIDE + margin) * side + i % CROP_SIDE + margin,
                     SQUALL_CELL_VALUE, (float)(raw * 0.12));
        }
    }
    sq_free(bytes);
    return field;
}

/* Rain on the ground, mm/h times km2: areas by GeographicLib's polygons on the ellipsoid, which
 * shares nothing with the code under test. */
static double rain_on_the_ground(const squall_field *field)
{
    const size_t width = field->grid.width, height = field->grid.height;
    struct geod_geodesic wgs84;
    geod_init(&wgs84, 6378137, 1 / 298.257223563);
    double *x = sq_alloc(4 * width, sizeof *x), *y = sq_alloc(4 * width, sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    double sum = 0;
    for (size_t i = 0; i < height; i++) {
        for (size_t j = 0; j < 4 * width; j++) {
            const size_t corner = j % 4;
            x[j] = (double)(j / 4) + (corner == 1 || corner == 2);
            y[j] = (double)i + (corner >= 2);
        }
        assert_int_equal(squall_grid_to_lonlat(&field->grid, x, y, 4 * width, x, y, NULL),
                         SQUALL_OK);
        for (size_t j = 0; j < width; j++) {
            const size_t cell = i * width + j;
            if (field->mask[cell] == SQUALL_CELL_VALUE) {
                double area, around;
                geod_polygonarea(&wgs84, y + 4 * j, x + 4 * j, 4, &area, &around);
                sum += field->values[cell] * fabs(area) * 1e-6;
            }
        }
    }
    sq_free(x);
    sq_free(y);
    return sum;
}

static void test_rain_is_conserved(void **state)
{
    (void)state;
    squall_field *field = knmi_amid_dry(40);
    const double before = rain_on_the_ground(field);
    assert_true(before > 10000); /* some 100 km x 100 km of 1 mm/h */
    /* All cover the rain and end amid the dry cells around it. Coarser, alike and finer. */
    const squall_grid targets[] = {
        make_grid("+proj=longlat +ellps=WGS84", 240, 160, 1.9, 53.1, 0.01, 0.01),
        make_grid("+proj=longlat +ellps=WGS84", 24, 16, 1.9, 53.1, 0.1, 0.1),
        make_grid("+proj=longlat +ellps=WGS84", 720, 480, 1.9, 53.1, 1.0 / 300, 1.0 / 300),
        make_grid(LAEA, 168, 168, 1390000, -2300000, 1000, 1000),
        make_grid(LAEA, 42, 42, 1390000, -2300000, 4000, 4000),
        make_grid("EPSG:32631", 290, 290, 428000, 5861000, 500, 500),
        make_grid("+proj=longlat +ellps=WGS84", 2, 2, 1.9, 52.95, 1.2, 0.75)};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        squall_field *out = carry(field, &targets[i], SQUALL_AREA_MEAN);
        const double after = rain_on_the_ground(out);
        /* Weights are floats, and the edges of cells are taken as straight. */
        if (!(fabs(after / before - 1) < (i == 6 ? 1e-4 : 2e-6))) {
            fail_msg("grid %zu: %.9g mm/h km2 became %.9g", i, before, after);
        }
        /* And back again. */
        squall_field *back = carry(out, &field->grid, SQUALL_AREA_MEAN);
        const double again = rain_on_the_ground(back);
        if (i < 6 && !(fabs(again / before - 1) < 2e-6)) {
            fail_msg("grid %zu: %.9g mm/h km2 came back as %.9g", i, before, again);
        }
        squall_field_destroy(&back);
        squall_field_destroy(&out);
    }
    squall_field_destroy(&field);
}

/* From the other composites' projections: a shower of OPERA's, of MRMS's degrees, of a satellite's
 * view, on a KNMI-like grid. */
static void test_showers_are_conserved(void **state)
{
    (void)state;
    const struct {
        squall_grid from, to;
    } cases[] = {{make_grid(LAEA, 100, 100, 1412000, -2238000, 2000, 2000),
                  make_grid(STEREO, 230, 230, 110, -3950, 1, 1)},
                 {make_grid(LAEA, 100, 100, 1412000, -2238000, 2000, 2000),
                  make_grid(STEREO, 23, 23, 110, -3950, 10, 10)},
                 {make_grid("+proj=longlat +a=6367470 +b=6367470", 200, 100, 264, 40, 0.01, 0.01),
                  make_grid("+proj=lcc +lat_1=30 +lat_2=60 +lat_0=40 +lon_0=-95 +R=6371229", 60, 40,
                            -100000, 20000, 4000, 4000)},
                 {make_grid("+proj=longlat +ellps=WGS84", 40, 40, -2, 62, 0.5, 0.5),
                  make_grid(LAEA, 70, 120, 1000000, -1000000, 25000, 25000)},
                 {make_grid("+proj=geos +lon_0=0 +h=35785863 +a=6378169 +b=6356583.8", 60, 60,
                            200000, 4700000, 3000.4, 3000.4),
                  make_grid("+proj=longlat +ellps=WGS84", 120, 120, 2, 54, 0.08, 0.08)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const squall_grid *from = &cases[i].from;
        squall_field *field = make_field(from);
        for (size_t cell = 0; cell < from->width * from->height; cell++) {
            const double x = ((double)(cell % from->width) + 0.5) / (double)from->width - 0.5;
            const double y = ((double)(cell / from->width) + 0.5) / (double)from->height - 0.5;
            const double inside = 0.04 - (x * x + y * y);
            set_cell(field, cell, inside > 0 ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY,
                     inside > 0 ? (float)(500 * inside * (1 + x)) : 0);
        }
        const double before = rain_on_the_ground(field);
        squall_field *out = carry(field, &cases[i].to, SQUALL_AREA_MEAN);
        const double after = rain_on_the_ground(out);
        /* Half a degree is so large that its edges' bend shows. */
        if (!(fabs(after / before - 1) < (i == 3 ? 1e-5 : 3e-6))) {
            fail_msg("case %zu: %.9g mm/h km2 became %.9g", i, before, after);
        }
        squall_field_destroy(&out);
        squall_field_destroy(&field);
    }
}

/* A mean over a cell is the mean of many points in it. */
static void test_area_mean_by_points(void **state)
{
    (void)state;
    enum { POINTS = 64, COUNT = POINTS * POINTS };
    squall_field *field = knmi_amid_dry(40);
    const squall_grid to = make_grid("+proj=longlat +ellps=WGS84", 24, 13, 1.8, 52.8, 0.1, 0.1);
    squall_field *out = carry(field, &to, SQUALL_AREA_MEAN);
    double *x = sq_alloc(COUNT, sizeof *x), *y = sq_alloc(COUNT, sizeof *y);
    int compared = 0;
    for (size_t cell = 0; cell < 24 * 13; cell += 7) {
        for (size_t k = 0; k < COUNT; k++) {
            x[k] = (double)(cell % 24) + ((double)(k % POINTS) + 0.5) / POINTS;
            y[k] = (double)(cell / 24) + ((double)(k / POINTS) + 0.5) / POINTS;
        }
        assert_int_equal(squall_grid_to_lonlat(&to, x, y, COUNT, x, y, NULL), SQUALL_OK);
        assert_int_equal(squall_grid_from_lonlat(&field->grid, x, y, COUNT, x, y, NULL), SQUALL_OK);
        double sum = 0, most = 0;
        for (size_t k = 0; k < COUNT; k++) {
            assert_true(x[k] >= 0 && y[k] >= 0 && x[k] < 208 && y[k] < 208);
            const size_t at = (size_t)y[k] * field->grid.width + (size_t)x[k];
            sum += field->values[at];
            most = fmax(most, field->values[at]);
        }
        assert_float_equal(out->values[cell], sum / COUNT, 0.01 * most + 0.001);
        compared += most > 0;
    }
    assert_true(compared > 20);
    sq_free(x);
    sq_free(y);
    squall_field_destroy(&out);
    squall_field_destroy(&field);
}

static void test_same_grid_is_the_same_field(void **state)
{
    (void)state;
    squall_field *field = knmi_amid_dry(3);
    set_cell(field, 5, SQUALL_CELL_NO_COVERAGE, NAN);
    set_cell(field, 134 * 60 + 60, SQUALL_CELL_NO_COVERAGE, NAN);
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    for (size_t i = 0; i < 134 * 134; i++) {
        if (field->mask[i] != SQUALL_CELL_NO_COVERAGE && i % 5 != 0) {
            field->quality[i] = (float)(i % 11) / 10;
        }
    }
    field->valid_time = 1282797000;
    field->window_s = 300;
    snprintf(field->source, sizeof field->source, "knmi.h5:/image1");
    /* The same place by the same text, but for some rounding; and by another text, through PROJ. */
    const squall_grid same[] = {
        field->grid, make_grid(STEREO, 134, 134, 147 - 1e-7, -4007 + 1e-7, 1, 1),
        make_grid("+proj=stere +lat_ts=60 +lat_0=90 +a=6378137 +b=6356752 +units=km", 134, 134, 147,
                  -4007, 1, 1)};
    for (int method = SQUALL_NEAREST; method <= SQUALL_AREA_MEAN; method++) {
        for (int i = 0; i < 3; i++) {
            squall_field *out = carry(field, &same[i], (squall_resampling)method);
            assert_memory_equal(out->mask, field->mask, 134 * 134);
            for (size_t k = 0; k < 134 * 134; k++) {
                if (field->mask[k] != SQUALL_CELL_NO_COVERAGE) {
                    assert_float_equal(out->values[k], field->values[k], 1e-6 * field->values[k]);
                } else {
                    assert_true(isnan(out->values[k]));
                }
                if (isnan(field->quality[k])) {
                    assert_true(isnan(out->quality[k]));
                } else {
                    assert_float_equal(out->quality[k], field->quality[k], 1e-6);
                }
            }
            assert_int_equal(out->window_s, 300);
            assert_true(out->valid_time == field->valid_time);
            assert_string_equal(out->source, field->source);
            squall_field_destroy(&out);
        }
    }
    squall_field_destroy(&field);
}

/* 4 x 4 cells, two by two of them in one. */
static void test_masks_and_units(void **state)
{
    (void)state;
    const squall_grid fine = make_grid(LAEA, 4, 4, 0, 0, 1000, 1000);
    const squall_grid coarse = make_grid(LAEA, 2, 2, 0, 0, 2000, 2000);
    squall_field *field = make_field(&fine);
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, "DBZX", NULL);
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    /* North-west: two values, one dry, one zero dBZ. North-east: half covered, dry. */
    set_cell(field, 0, SQUALL_CELL_VALUE, 30);
    set_cell(field, 1, SQUALL_CELL_VALUE, 40);
    set_cell(field, 4, SQUALL_CELL_DRY, 0);
    set_cell(field, 5, SQUALL_CELL_VALUE, 0);
    set_cell(field, 2, SQUALL_CELL_DRY, 0);
    set_cell(field, 7, SQUALL_CELL_DRY, 0);
    /* South-west: a quarter covered. South-east: one of three measured. */
    set_cell(field, 8, SQUALL_CELL_VALUE, 50);
    set_cell(field, 10, SQUALL_CELL_VALUE, -10);
    set_cell(field, 11, SQUALL_CELL_DRY, 0);
    set_cell(field, 14, SQUALL_CELL_DRY, 0);
    field->quality[0] = 1;
    field->quality[1] = 0.5F;
    field->quality[8] = 1;
    squall_field *out = carry(field, &coarse, SQUALL_AREA_MEAN);
    assert_int_equal(out->quantity, SQUALL_REFLECTIVITY);
    assert_string_equal(out->quantity_name, "DBZX");
    assert_int_equal(out->mask[0], SQUALL_CELL_VALUE);
    assert_float_equal(out->values[0], 10 * log10((1000.0 + 10000 + 1) / 4), 1e-4);
    assert_float_equal(out->quality[0], 0.75, 1e-6);
    assert_int_equal(out->mask[1], SQUALL_CELL_DRY);
    assert_float_equal(out->values[1], 0, 0);
    assert_true(isnan(out->quality[1]));
    assert_int_equal(out->mask[2], SQUALL_CELL_NO_COVERAGE);
    assert_true(isnan(out->values[2]) && isnan(out->quality[2]));
    assert_int_equal(out->mask[3], SQUALL_CELL_VALUE);
    assert_float_equal(out->values[3], 10 * log10(0.1 / 3), 1e-4);

    /* A rain rate is averaged as it stands; and a quality that the field lacks goes from `out`. */
    squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
    sq_free(field->quality);
    field->quality = NULL;
    squall_regrid *table = NULL;
    assert_int_equal(squall_regrid_create(&fine, &coarse, SQUALL_AREA_MEAN, &table, NULL),
                     SQUALL_OK);
    assert_int_equal(squall_regrid_run(table, field, out, NULL), SQUALL_OK);
    assert_float_equal(out->values[0], 17.5, 0);
    assert_null(out->quality);
    squall_regrid_destroy(&table);
    squall_field_destroy(&out);
    squall_field_destroy(&field);
}

static void test_bilinear(void **state)
{
    (void)state;
    /* A plane is reproduced: cells of 1 km onto points of 300 m. */
    const squall_grid coarse = make_grid(LAEA, 6, 5, 0, 0, 1000, 1000);
    const squall_grid fine = make_grid(LAEA, 24, 20, -650, 650, 300, 300);
    squall_field *field = make_field(&coarse);
    for (size_t i = 0; i < 30; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, (float)(10 + 2 * (i % 6) + 3 * (double)(i / 6)));
    }
    squall_field *out = carry(field, &fine, SQUALL_BILINEAR);
    for (size_t i = 0; i < 24 * 20; i++) {
        const size_t down = i / 24, right = i % 24;
        const double x = (-650 + 300 * ((double)right + 0.5)) / 1000 - 0.5;
        const double y = (-650 + 300 * ((double)down + 0.5)) / 1000 - 0.5;
        if (x >= 0 && x <= 5 && y >= 0 && y <= 4) {
            assert_float_equal(out->values[i], 10 + 2 * x + 3 * y, 1e-5);
        } else if (x >= -0.5 && x <= 5.5 && y >= -0.5 && y <= 4.5) {
            assert_float_equal(out->values[i],
                               10 + 2 * floor(x + 0.5 + 1e-9) + 3 * floor(y + 0.5 + 1e-9), 0);
        } else {
            assert_int_equal(out->mask[i], SQUALL_CELL_NO_COVERAGE);
        }
    }
    squall_field_destroy(&out);

    /* Next to a cell that nobody saw, the nearest: between (1, 1) and its neighbours. */
    set_cell(field, 6 + 1, SQUALL_CELL_NO_COVERAGE, NAN);
    set_cell(field, 6 + 2, SQUALL_CELL_DRY, 0);
    const squall_grid points = make_grid(LAEA, 5, 1, 1500, -1250, 200, 500);
    out = carry(field, &points, SQUALL_BILINEAR);
    assert_int_equal(out->mask[0], SQUALL_CELL_NO_COVERAGE); /* 0.1 east of its centre */
    assert_int_equal(out->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(out->mask[3], SQUALL_CELL_DRY); /* 0.7 east: that of (1, 2) */
    assert_int_equal(out->mask[4], SQUALL_CELL_DRY);
    squall_field_destroy(&out);
    /* Between dry and measured cells it counts as measured. */
    const squall_grid east = make_grid(LAEA, 1, 1, 2500, -1250, 500, 500);
    out = carry(field, &east, SQUALL_BILINEAR);
    assert_int_equal(out->mask[0], SQUALL_CELL_VALUE);
    assert_float_equal(out->values[0], 0.25 * field->values[9], 1e-5);
    squall_field_destroy(&out);
    /* Reflectivity between two cells is their mean Z. */
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, NULL, NULL);
    set_cell(field, 0, SQUALL_CELL_VALUE, 20);
    set_cell(field, 1, SQUALL_CELL_VALUE, 40);
    const squall_grid middle = make_grid(LAEA, 1, 1, 500, 0, 1000, 1000);
    out = carry(field, &middle, SQUALL_BILINEAR);
    assert_float_equal(out->values[0], 10 * log10((100.0 + 10000) / 2), 1e-4);
    squall_field_destroy(&out);
    squall_field_destroy(&field);

    /* One row of cells has no four around any point. */
    const squall_grid line = make_grid(LAEA, 4, 1, 0, 0, 1000, 1000);
    const squall_grid off = make_grid(LAEA, 8, 1, 0, -100, 500, 500);
    field = make_field(&line);
    for (size_t i = 0; i < 4; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, (float)i);
    }
    out = carry(field, &off, SQUALL_BILINEAR);
    for (size_t i = 0; i < 8; i++) {
        assert_float_equal(out->values[i], (float)(i / 2), 0);
    }
    squall_field_destroy(&out);
    squall_field_destroy(&field);
}

/* The cell that holds the centre, told point by point. */
static void test_nearest(void **state)
{
    (void)state;
    squall_field *field = knmi_amid_dry(0);
    const squall_grid to = make_grid("+proj=longlat", 150, 100, 1.9, 53, 0.016, 0.016);
    squall_field *out = carry(field, &to, SQUALL_NEAREST);
    size_t wet = 0, outside = 0;
    for (size_t cell = 0; cell < 150 * 100; cell++) {
        double x = (double)(cell % 150) + 0.5, y = (double)(cell / 150) + 0.5;
        if (cell % 150 == 0 || cell % 13 == 0) {
            assert_int_equal(squall_grid_to_lonlat(&to, &x, &y, 1, &x, &y, NULL), SQUALL_OK);
            assert_int_equal(squall_grid_from_lonlat(&field->grid, &x, &y, 1, &x, &y, NULL),
                             SQUALL_OK);
            if (x < 0 || y < 0 || x > 128 || y > 128) {
                assert_int_equal(out->mask[cell], SQUALL_CELL_NO_COVERAGE);
                outside++;
                continue;
            }
            const size_t at = (size_t)y * 128 + (size_t)x;
            assert_int_equal(out->mask[cell], field->mask[at]);
            assert_float_equal(out->values[cell], field->values[at], 0);
            wet += field->values[at] > 0;
        }
    }
    assert_true(wet > 100 && outside > 100);
    squall_field_destroy(&out);
    squall_field_destroy(&field);
    /* Centres on borders fall to the south-east, also where PROJ rounds the other way. */
    const squall_grid cells = make_grid(LAEA, 4, 4, 0, 0, 1000, 1000);
    field = make_field(&cells);
    for (size_t i = 0; i < 16; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, (float)i);
    }
    const squall_grid half[2] = {
        make_grid(LAEA, 4, 4, -500, 500, 1000, 1000),
        make_grid("+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +to_meter=1000", 4, 4,
                  -0.5, 0.5, 1, 1)};
    for (int k = 0; k < 2; k++) {
        out = carry(field, &half[k], SQUALL_NEAREST);
        for (size_t i = 0; i < 16; i++) {
            assert_float_equal(out->values[i], (float)i, 0);
        }
        squall_field_destroy(&out);
    }
    squall_field_destroy(&field);
}

/* Degrees that are counted past 180, and grids on both sides of the date line. */
static void test_the_date_line(void **state)
{
    (void)state;
    const squall_grid from = make_grid("+proj=longlat", 20, 10, 170, 5, 1, 1);
    const squall_grid west = make_grid("+proj=longlat +ellps=WGS84", 5, 10, -180, 5, 1, 1);
    squall_field *field = make_field(&from);
    for (size_t i = 0; i < 200; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, (float)i);
    }
    for (int method = SQUALL_NEAREST; method <= SQUALL_AREA_MEAN; method++) {
        squall_field *out = carry(field, &west, (squall_resampling)method);
        for (size_t i = 0; i < 50; i++) {
            assert_float_equal(out->values[i], (float)(20 * (i / 5) + 10 + i % 5), 1e-4);
        }
        squall_field_destroy(&out);
    }
    squall_field_destroy(&field);
    /* Around the whole world, from the seam at 0 to that at 180: every cell is found, also those
     * that the seam cuts in two. */
    const squall_grid world = make_grid("+proj=longlat", 36, 18, 0, 90, 10, 10);
    const squall_grid turned = make_grid("+proj=longlat", 36, 18, -185, 90, 10, 10);
    field = make_field(&world);
    for (size_t i = 0; i < 36 * 18; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, (float)(i % 36));
    }
    squall_field *out = carry(field, &turned, SQUALL_AREA_MEAN);
    for (size_t i = 0; i < 36 * 18; i++) {
        const size_t east = (i % 36 + 18) % 36, also = (east + 35) % 36;
        assert_int_equal(out->mask[i], SQUALL_CELL_VALUE);
        assert_float_equal(out->values[i], 0.5 * (double)(east + also), 1e-4);
    }
    squall_field_destroy(&out);
    squall_field_destroy(&field);
}

/* A map of Europe has nothing to say about its antipodes, though their cells, drawn on it, would
 * hold all of it. */
static void test_the_far_side(void **state)
{
    (void)state;
    const squall_grid from = make_grid(LAEA, 190, 220, 0, 0, 20000, 20000);
    squall_field *field = make_field(&from);
    for (size_t i = 0; i < 190 * 220; i++) {
        set_cell(field, i, SQUALL_CELL_VALUE, 1);
    }
    const squall_grid earth = make_grid("+proj=longlat +ellps=WGS84", 360, 150, -180.5, 90, 1, 1.2);
    squall_field *out = carry(field, &earth, SQUALL_AREA_MEAN);
    size_t covered = 0;
    for (size_t i = 0; i < 360 * 150; i++) {
        if (out->mask[i] == SQUALL_CELL_VALUE) {
            assert_float_equal(out->values[i], 1, 1e-6);
            assert_true(i / 360 < 50 && i % 360 > 130 && i % 360 < 250);
            covered++;
        }
    }
    assert_true(covered > 2000);
    squall_field_destroy(&out);
    squall_field_destroy(&field);
    /* From degrees onto a map that holds the pole: its cell is left out, the rest is there. */
    const squall_grid world = make_grid("+proj=longlat +ellps=WGS84", 360, 180, -180, 90, 1, 1);
    field = make_field(&world);
    for (size_t i = 0; i < 360 * 180; i++) {
        set_cell(field, i, SQUALL_CELL_DRY, 0);
    }
    const squall_grid polar = make_grid("+proj=stere +lat_0=90 +lat_ts=60 +ellps=WGS84", 21, 21,
                                        -1050000, 1050000, 100000, 100000);
    out = carry(field, &polar, SQUALL_AREA_MEAN);
    for (size_t i = 0; i < 21 * 21; i++) {
        assert_int_equal(out->mask[i],
                         i == 10 * 21 + 10 ? SQUALL_CELL_NO_COVERAGE : SQUALL_CELL_DRY);
    }
    squall_field_destroy(&out);
    squall_field_destroy(&field);
}

static void test_refused(void **state)
{
    (void)state;
    const squall_grid a = make_grid(LAEA, 4, 4, 0, 0, 1000, 1000);
    const squall_grid b = make_grid(STEREO, 4, 4, 0, -4000, 1, 1);
    squall_grid wrong = b;
    snprintf(wrong.proj, sizeof wrong.proj, "+proj=nonsense");
    squall_error err = {0};
    squall_regrid *table = NULL;
    assert_int_equal(squall_regrid_create(&a, &wrong, SQUALL_NEAREST, &table, &err),
                     SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "+proj=nonsense"));
    assert_int_equal(squall_regrid_create(&wrong, &a, SQUALL_AREA_MEAN, &table, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_regrid_create(&a, &b, (squall_resampling)4, &table, &err),
                     SQUALL_E_ARGUMENT);
    assert_null(table);
    assert_int_equal(squall_regrid_create(&a, &b, SQUALL_NEAREST, &table, &err), SQUALL_OK);
    squall_field *at_a = make_field(&a), *at_b = make_field(&b);
    assert_int_equal(squall_regrid_run(table, at_b, at_a, &err), SQUALL_E_SHAPE);
    assert_int_equal(squall_regrid_run(table, at_a, at_a, &err), SQUALL_E_ARGUMENT);
    squall_field *other = make_field(&a);
    assert_int_equal(squall_regrid_run(table, at_a, other, &err), SQUALL_E_SHAPE);
    assert_int_equal(squall_regrid_run(table, at_a, at_b, &err), SQUALL_OK);
    squall_field_destroy(&other);
    squall_field_destroy(&at_a);
    squall_field_destroy(&at_b);
    squall_regrid_destroy(&table);
    squall_regrid_destroy(&table);
}

/* Each allocation fails once; the finer grid makes the table of areas grow. */
static void test_no_memory(void **state)
{
    (void)state;
    const squall_grid from = make_grid(LAEA, 40, 40, 1500000, -2300000, 1000, 1000);
    const squall_grid to = make_grid("+proj=longlat", 8, 8, 3.2, 53, 0.05, 0.05);
    for (int method = SQUALL_NEAREST; method <= SQUALL_AREA_MEAN; method++) {
        bool done = false;
        long failed = 0;
        for (long n = 0; !done && n < 100; n++) {
            squall_regrid *table = NULL;
            squall_error err = {0};
            const long before = sq_memory_count();
            sq_memory_fail_at(n);
            const squall_status status =
                squall_regrid_create(&from, &to, (squall_resampling)method, &table, &err);
            done = sq_memory_count() - before <= n;
            sq_memory_fail_at(-1);
            if (status != SQUALL_OK) {
                assert_int_equal(status, SQUALL_E_MEMORY);
                assert_null(table);
                failed++;
            }
            squall_regrid_destroy(&table);
        }
        assert_true(done);
        assert_true(failed >= (method == SQUALL_AREA_MEAN ? 9 : method + 1));
    }
    squall_regrid *table = NULL;
    assert_int_equal(squall_regrid_create(&from, &to, SQUALL_NEAREST, &table, NULL), SQUALL_OK);
    squall_field *field = make_field(&from), *out = make_field(&to);
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    field->valid_time = 1;
    sq_memory_fail_at(0);
    assert_int_equal(squall_regrid_run(table, field, out, NULL), SQUALL_E_MEMORY);
    sq_memory_fail_at(-1);
    assert_true(out->valid_time == SQUALL_TIME_NONE);
    squall_field_destroy(&field);
    squall_field_destroy(&out);
    squall_regrid_destroy(&table);
}

typedef struct shared_run {
    const squall_regrid *table;
    const squall_field *field;
    squall_field *out[8];
} shared_run;

static void run_one(void *arg, size_t index, int thread)
{
    (void)thread;
    const shared_run *all = arg;
    if (squall_regrid_run(all->table, all->field, all->out[index], NULL) != SQUALL_OK) {
        all->out[index]->mask[0] = 99;
    }
}

static void test_side_by_side(void **state)
{
    (void)state;
    squall_field *field = knmi_amid_dry(0);
    const squall_grid to = make_grid("+proj=longlat", 150, 100, 1.9, 53, 0.016, 0.016);
    squall_regrid *table = NULL;
    assert_int_equal(squall_regrid_create(&field->grid, &to, SQUALL_AREA_MEAN, &table, NULL),
                     SQUALL_OK);
    shared_run all = {.table = table, .field = field};
    for (int i = 0; i < 8; i++) {
        all.out[i] = make_field(&to);
    }
    sq_pool *pool = NULL;
    assert_int_equal(sq_pool_create(4, &pool, NULL), SQUALL_OK);
    sq_pool_run(pool, run_one, &all, 8);
    sq_pool_destroy(&pool);
    for (int i = 0; i < 8; i++) {
        assert_memory_equal(all.out[i]->mask, all.out[0]->mask, 150 * 100);
        assert_true(all.out[i]->mask[0] != 99);
        assert_memory_equal(all.out[i]->values, all.out[0]->values, 150 * 100 * sizeof(float));
    }
    for (int i = 0; i < 8; i++) {
        squall_field_destroy(&all.out[i]);
    }
    squall_regrid_destroy(&table);
    squall_field_destroy(&field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rain_is_conserved),
        cmocka_unit_test(test_showers_are_conserved),
        cmocka_unit_test(test_area_mean_by_points),
        cmocka_unit_test(test_same_grid_is_the_same_field),
        cmocka_unit_test(test_masks_and_units),
        cmocka_unit_test(test_bilinear),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_the_date_line),
        cmocka_unit_test(test_the_far_side),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests_name("grid_regrid", tests, NULL, NULL);
}
