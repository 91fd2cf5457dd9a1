/* tests/unit/wx/product/test_product_overlay.c - lines of longitude and latitude, and coasts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>
#include <netcdf.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

/* KNMI's composite: 700 x 765 cells of 1 km. */
static squall_grid make_grid(void)
{
    squall_grid grid = {.width = 700, .height = 765, .left = 0, .top = -3650, .dx = 1, .dy = 1};
    snprintf(grid.proj, sizeof grid.proj,
             "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0");
    return grid;
}

/* No coasts from this machine. */
static squall_map_options make_options(int graticule)
{
    squall_map_options options;
    squall_map_options_init(&options);
    options.graticule = graticule;
    options.coastlines = "";
    return options;
}

/* The lines are where they say: each point, taken back to the earth, is on a whole line. */
static void test_graticule(void **state)
{
    (void)state;
    const squall_grid grid = make_grid();
    squall_map_options options = make_options(1);
    sq_overlay overlay;
    sq_extent extent;
    squall_error err;
    /* Corners as KNMI's files name them: 0/49.362, 0/55.974, 10.856/55.389, 9.009/48.895. */
    assert_int_equal(sq_extent_find(&grid, &extent, &err), SQUALL_OK);
    assert_true(extent.west <= 0.0 && extent.west > -0.5);
    assert_true(extent.east >= 10.856 && extent.east < 11.4);
    assert_true(extent.south <= 48.895 && extent.south > 48.6);
    assert_true(extent.north >= 55.974 && extent.north < 56.3);
    assert_int_equal(sq_overlay_create(&grid, &options, &overlay, &err), SQUALL_OK);
    size_t on_meridian = 0, on_parallel = 0, breaks = 0;
    for (size_t i = 0; i < overlay.graticule.count; i++) {
        double lon = overlay.graticule.column[i], lat = overlay.graticule.row[i];
        if (isnan(lon)) {
            breaks++;
            continue;
        }
        assert_int_equal(squall_grid_to_lonlat(&grid, &lon, &lat, 1, &lon, &lat, &err), SQUALL_OK);
        const bool meridian = fabs(lon - rint(lon)) < 1e-6, parallel = fabs(lat - rint(lat)) < 1e-6;
        assert_true(meridian || parallel);
        on_meridian += meridian;
        on_parallel += parallel;
    }
    /* 0, 2, .. 10 E and 49 .. 56 N in steps of 2 or 1. */
    assert_int_equal(breaks, overlay.graticule.count / 162);
    assert_true(on_meridian > 400 && on_parallel > 400);
    assert_true(overlay.below_count >= 4 && overlay.left_count >= 3);
    for (size_t i = 0; i < overlay.below_count; i++) {
        double lon = overlay.below[i].at, lat = 765;
        char text[16];
        assert_int_equal(squall_grid_to_lonlat(&grid, &lon, &lat, 1, &lon, &lat, &err), SQUALL_OK);
        snprintf(text, sizeof text,
                 lon < 0.5 ? "0\xC2\xB0"
                           : "%.0f\xC2\xB0"
                             "E",
                 lon);
        assert_string_equal(overlay.below[i].text, text);
    }
    for (size_t i = 0; i < overlay.left_count; i++) {
        double lon = 0, lat = overlay.left[i].at;
        char text[16];
        assert_int_equal(squall_grid_to_lonlat(&grid, &lon, &lat, 1, &lon, &lat, &err), SQUALL_OK);
        snprintf(text, sizeof text, "%.0f\xC2\xB0N", lat);
        assert_string_equal(overlay.left[i].text, text);
    }
    sq_overlay_free(&overlay);
}

/* Around a pole every longitude is in the picture; across 180 degrees longitudes run on. */
static void test_extents(void **state)
{
    (void)state;
    squall_grid grid = {
        .width = 100, .height = 100, .left = -1e6, .top = 1e6, .dx = 2e4, .dy = 2e4};
    sq_extent extent;
    squall_error err;
    snprintf(grid.proj, sizeof grid.proj, "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45");
    assert_int_equal(sq_extent_find(&grid, &extent, &err), SQUALL_OK);
    assert_true(extent.east - extent.west == 360.0 && extent.north == 90.0);
    assert_true(extent.south > 75.0 && extent.south < 80.0);
    snprintf(grid.proj, sizeof grid.proj, "+proj=stere +lat_0=-90 +lat_ts=-70 +lon_0=0");
    assert_int_equal(sq_extent_find(&grid, &extent, &err), SQUALL_OK);
    assert_true(extent.east - extent.west == 360.0 && extent.south == -90.0);

    snprintf(grid.proj, sizeof grid.proj, "+proj=longlat +datum=WGS84");
    grid.left = 175.0;
    grid.top = -30.0;
    grid.dx = grid.dy = 0.1;
    assert_int_equal(sq_extent_find(&grid, &extent, &err), SQUALL_OK);
    assert_true(fabs(extent.west - 175.0) < 0.5 || fabs(extent.west + 185.0) < 0.5);
    assert_true(fabs(extent.east - extent.west - 10.0) < 0.8);

    squall_map_options options = make_options(1);
    sq_overlay overlay;
    assert_int_equal(sq_overlay_create(&grid, &options, &overlay, &err), SQUALL_OK);
    bool found = false;
    for (size_t i = 0; i < overlay.below_count; i++) {
        found = found || strcmp(overlay.below[i].text, "178\xC2\xB0W") == 0;
    }
    assert_true(found);
    sq_overlay_free(&overlay);
}

/* What GSHHG's files look like: one segment of a coast in the bin 0..10 E, 50..60 N. */
typedef struct coast_file {
    int first_segment, segments, first_point, size, level, points;
} coast_file;

static void write_ints(int nc, int dim, const char *name, const int *values)
{
    int variable;
    nc_redef(nc);
    assert_int_equal(nc_def_var(nc, name, NC_INT, 1, &dim, &variable), NC_NOERR);
    nc_enddef(nc);
    assert_int_equal(nc_put_var_int(nc, variable, values), NC_NOERR);
}

static void write_coasts(const char *path, const coast_file *with)
{
    enum { BINS = 36 * 18, BIN = 3 * 36 };
    int nc, one, bins, segments, points;
    static int first[BINS], count[BINS];
    const int east[3] = {0, 32767, 65535}, north[3] = {0, 6554, 65535};
    const int packed = with->size << 9 | with->level << 6;
    const double area = 10.0;
    memset(first, 0, sizeof first);
    memset(count, 0, sizeof count);
    first[BIN] = with->first_segment;
    count[BIN] = with->segments;
    assert_int_equal(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &nc), NC_NOERR);
    nc_def_dim(nc, "one", 1, &one);
    nc_def_dim(nc, "bins", BINS, &bins);
    nc_def_dim(nc, "segments", 1, &segments);
    nc_def_dim(nc, "points", 3, &points);
    write_ints(nc, one, "Bin_size_in_minutes", (const int[]){600});
    write_ints(nc, one, "N_bins_in_360_longitude_range", (const int[]){36});
    write_ints(nc, one, "N_bins_in_180_degree_latitude_range", (const int[]){18});
    write_ints(nc, one, "N_segments_in_file", (const int[]){1});
    write_ints(nc, one, "N_polygons_in_file", (const int[]){1});
    write_ints(nc, one, "N_points_in_file", &with->points);
    write_ints(nc, bins, "Id_of_first_segment_in_a_bin", first);
    write_ints(nc, bins, "N_segments_in_a_bin", count);
    write_ints(nc, segments, "Id_of_first_point_in_a_segment", &with->first_point);
    write_ints(nc, segments, "Embedded_npts_levels_exit_entry_for_a_segment", &packed);
    write_ints(nc, segments, "Id_of_GSHHS_ID", (const int[]){0});
    int variable;
    nc_redef(nc);
    nc_def_var(nc, "The_km_squared_area_of_polygons", NC_DOUBLE, 1, &one, &variable);
    nc_enddef(nc);
    nc_put_var_double(nc, variable, &area);
    for (int k = 0; k < 2; k++) {
        const int *parts = k == 0 ? east : north;
        nc_redef(nc);
        nc_def_var(nc,
                   k == 0 ? "Relative_longitude_from_SW_corner_of_bin"
                          : "Relative_latitude_from_SW_corner_of_bin",
                   NC_SHORT, 1, &points, &variable);
        nc_enddef(nc);
        const short stored[3] = {(short)parts[0], (short)parts[1], (short)(parts[2] - 65536)};
        assert_int_equal(nc_put_var_short(nc, variable, stored), NC_NOERR);
    }
    assert_int_equal(nc_close(nc), NC_NOERR);
}

static size_t read_coasts(sq_lines *lines)
{
    const sq_extent extent = {-5.0, 8.0, 52.0, 58.0};
    sq_lines borders = {0};
    memset(lines, 0, sizeof *lines);
    sq_coasts_read("product_coasts", &extent, lines, &borders);
    assert_int_equal(borders.count, 0);
    assert_false(lines->failed);
    return lines->count;
}

/* Coasts are in their place; files that make no sense draw nothing. */
static void test_coasts(void **state)
{
    (void)state;
    const char *path = "product_coasts/binned_GSHHS_i.nc";
    const coast_file good = {0, 1, 0, 3, 1, 3};
    squall_error err;
    sq_lines lines;
    assert_int_equal(sq_folder_make("product_coasts", &err), SQUALL_OK);
    unlink(path);
    assert_int_equal(read_coasts(&lines), 0);
    sq_lines_free(&lines);

    write_coasts(path, &good);
    assert_int_equal(read_coasts(&lines), 4); /* and the break */
    static const double lon[3] = {0.0, 4.99992, 10.0}, lat[3] = {50.0, 51.00008, 60.0};
    for (size_t i = 0; i < 3; i++) {
        assert_true(fabs(lines.column[i] - lon[i]) < 1e-4);
        assert_true(fabs(lines.row[i] - lat[i]) < 1e-4);
    }
    assert_true(isnan(lines.column[3]));
    sq_lines_free(&lines);

    /* As GeoJSON, cut to a box: a point outside it stays where its neighbour is inside. */
    sq_json json = {0};
    sq_coasts_write("product_coasts", -1.0, 52.0, 12.0, 62.0, &json);
    assert_string_equal(
        json.text.data,
        "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{"
        "\"kind\":\"coast\"},\"geometry\":{\"type\":\"MultiLineString\",\"coordinates\":[[["
        "4.99992,51.0001],[10,60]]]}},{\"type\":\"Feature\",\"properties\":{\"kind\":\"border\"},"
        "\"geometry\":{\"type\":\"MultiLineString\",\"coordinates\":[]}}]}");
    sq_json_free(&json);
    sq_coasts_write("product_coasts", 352.0, 49.0, 372.0, 52.0, &json); /* the same, a turn on */
    assert_non_null(strstr(json.text.data, "[[[360,50],[365,51.0001],[370,60]]]"));
    sq_json_free(&json);

    static const coast_file bad[] = {
        {0, 1, 0, 3, 3, 3},  /* an island in a lake */
        {0, 1, 0, 3, 2, 3},  /* a lake too small for the map */
        {-1, 1, 0, 3, 1, 3}, /* a segment before the first */
        {1, 1, 0, 3, 1, 3},  /* and one past the last */
        {0, -1, 0, 3, 1, 3}, {0, 1, -1, 3, 1, 3}, {0, 1, 1, 3, 1, 3},
        {0, 1, 0, 4, 1, 3},  {0, 1, 0, 3, 1, 4},  {0, 1, 0, 3, 1, -3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_coasts(path, &bad[i]);
        assert_int_equal(read_coasts(&lines), 0);
        sq_lines_free(&lines);
    }

    /* The file cut anywhere is not drawn, or as far as it goes: it must only be survived. */
    unsigned char *bytes = NULL;
    size_t size = 0;
    write_coasts(path, &good);
    assert_int_equal(sq_file_read(path, 1 << 24, &bytes, &size, &err), SQUALL_OK);
    for (size_t cut = 0; cut < size; cut += 997) {
        assert_int_equal(sq_file_write(path, bytes, cut, &err), SQUALL_OK);
        assert_true(read_coasts(&lines) <= 4);
        sq_lines_free(&lines);
    }
    sq_free(bytes);

    /* With coasts in the picture their source is named, and their allocations may fail too. */
    write_coasts(path, &good);
    const squall_grid grid = make_grid();
    squall_map_options options = make_options(0);
    options.coastlines = "product_coasts";
    size_t failed = 0, drawn = 0;
    for (long n = 0; n < 40; n++) {
        sq_overlay overlay;
        sq_memory_fail_at(n);
        const squall_status status = sq_overlay_create(&grid, &options, &overlay, &err);
        sq_memory_fail_at(-1);
        failed += status == SQUALL_E_MEMORY;
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        if (status == SQUALL_OK) {
            drawn += overlay.coasts.count > 0;
            sq_overlay_free(&overlay);
        }
    }
    assert_true(failed > 0 && drawn > 0);
    unlink(path);
    rmdir("product_coasts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graticule),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_coasts),
    };
    return cmocka_run_group_tests_name("product_overlay", tests, NULL, NULL);
}
