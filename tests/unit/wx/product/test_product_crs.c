/* tests/unit/wx/product/test_product_crs.c - map projections in the words of CF. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/product/product.h"

static void assert_near(double value, double wanted, double tolerance)
{
    if (!(fabs(value - wanted) <= tolerance)) {
        fail_msg("%.12g is not %.12g within %g", value, wanted, tolerance);
    }
}

/* What CF cannot say is refused, with the word at fault. */
static void test_unsupported(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"+proj=somerc +lat_0=46.95 +lon_0=7.44 +k_0=1 +ellps=bessel", "somerc"},
        {"+proj=ob_tran +o_proj=longlat +o_lat_p=39 +lon_0=18 +R=6371229", "ob_tran"},
        {"EPSG:28992", "EPSG:28992"},
        {"EPSG:326", "EPSG:326"},
        {"", "+proj="},
        {"WGS 84 / UTM zone 32N", "+proj="},
        {"+proj=laea +lat_0=52 +lon_0=10 +alpha=3", "alpha"},
        {"+proj=laea +lat_0=52 +lon_0=10 +pm=paris", "paris"},
        {"+proj=laea +lat_0=52 +lon_0=10 +units=us-ft", "us-ft"},
        {"+proj=laea +lat_0=52 +lon_0=10 +ellps=moon", "moon"},
        {"+proj=laea +lat_0=52N +lon_0=10", "52N"},
        {"+proj=laea +lat_0=52 +lon_0=10 +nadgrids=x.gsb", "x.gsb"},
        {"+proj=laea +lat_0=52 +lon_0=10 +a=6371000 +b=6400000", "semi-axes"},
        {"+proj=laea +lat_0=52 +lon_0=10 +ellps=bessel +towgs84=1,2", "1,2"},
        {"+proj=laea +lat_0=52 +lon_0=10 +ellps=bessel +towgs84=1,x,2", "1,x,2"},
        {"+proj=lcc +lat_1=50 +lon_0=10 +k_0=0.99", "scale factor"},
        {"+proj=stere +lat_0=90 +k=0", "scale factor"},
        {"+proj=utm +zone=61", "UTM zone"},
        {"+proj=geos +lon_0=0", "height"},
        {"+proj=geos +lon_0=0 +h=35785831 +sweep=z", "+sweep=z"},
        {"+proj=longlat +lon_0=10", "lon_0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sq_product_crs crs;
        squall_error err;
        assert_int_equal(sq_product_crs_read(cases[i][0], &crs, &err), SQUALL_E_UNSUPPORTED);
        if (strstr(err.text, cases[i][1]) == NULL) {
            fail_msg("'%s' does not name '%s'", err.text, cases[i][1]);
        }
    }
    /* A text of more words than any projection has. */
    char many[512] = "+proj=laea";
    while (strlen(many) < 480) {
        strcat(many, " +over");
    }
    sq_product_crs crs;
    assert_int_equal(sq_product_crs_read(many, &crs, NULL), SQUALL_E_UNSUPPORTED);
}

static const sq_product_crs_attribute *find_attribute(const sq_product_crs *crs, const char *name)
{
    for (size_t i = 0; i < crs->count; i++) {
        if (strcmp(crs->attributes[i].name, name) == 0) {
            return &crs->attributes[i];
        }
    }
    return NULL;
}

/* Words that the samples do not have. */
static void test_projection_words(void **state)
{
    (void)state;
    sq_product_crs crs;
    squall_error err;
    assert_int_equal(sq_product_crs_read("+proj=tmerc +lat_0=0 +lon_0=9 +ellps=bessel "
                                         "+towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7",
                                         &crs, &err),
                     SQUALL_OK);
    const sq_product_crs_attribute *shift = find_attribute(&crs, "towgs84");
    assert_non_null(shift);
    assert_int_equal(shift->count, 7);
    assert_near(shift->values[5], -2.455, 0);

    assert_int_equal(sq_product_crs_read("EPSG:32733", &crs, &err), SQUALL_OK);
    assert_near(find_attribute(&crs, "false_northing")->values[0], 1e7, 0);
    assert_near(find_attribute(&crs, "longitude_of_central_meridian")->values[0], 15, 0);
    assert_null(find_attribute(&crs, "towgs84"));

    assert_int_equal(sq_product_crs_read("+proj=geos +h=35785.831 +a=6378.169 +b=6356.5838 "
                                         "+sweep=x",
                                         &crs, &err),
                     SQUALL_OK);
    assert_near(crs.unit_m, 1000, 0);
    assert_near(find_attribute(&crs, "perspective_point_height")->values[0], 35785831, 1e-6);
    assert_string_equal(find_attribute(&crs, "sweep_angle_axis")->text, "x");

    /* Without a word on the earth it is PROJ's own, and +a alone is a sphere. */
    assert_int_equal(sq_product_crs_read("+proj=latlong", &crs, &err), SQUALL_OK);
    assert_near(find_attribute(&crs, "inverse_flattening")->values[0], 298.257223563, 0);
    assert_int_equal(sq_product_crs_read("+proj=longlat +a=6371229 +towgs84=0,0,0", &crs, &err),
                     SQUALL_OK);
    assert_near(find_attribute(&crs, "earth_radius")->values[0], 6371229, 0);
    assert_null(find_attribute(&crs, "towgs84"));
    assert_int_equal(sq_product_crs_read("+proj=merc +f=0.0033528 +a=6378137 +k=0.9", &crs, &err),
                     SQUALL_OK);
    assert_near(find_attribute(&crs, "inverse_flattening")->values[0], 1 / 0.0033528, 1e-9);
    assert_near(find_attribute(&crs, "scale_factor_at_projection_origin")->values[0], 0.9, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_projection_words),
    };
    return cmocka_run_group_tests_name("product_crs", tests, NULL, NULL);
}
