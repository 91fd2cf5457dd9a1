/* tests/unit/wx/product/test_product_ensemble.c - members and probabilities in the NetCDF file,
 * read back by the netCDF library; and what is refused. */
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

#include "wx/product/product.h"

enum { WIDTH = 20, HEIGHT = 14, CELLS = WIDTH * HEIGHT, TIMES = 2, MEMBERS = 3, LEVELS = 2 };

static const float levels[LEVELS] = {0.1f, 5.0f};
static const char *const path = "ensemble.nc";

static squall_field *make_field(int64_t time, double factor, bool rate)
{
    const squall_grid grid = {.width = WIDTH,
                              .height = HEIGHT,
                              .dx = 1000,
                              .dy = 1000,
                              .proj = "+proj=laea +lat_0=52 +lon_0=10 +ellps=WGS84"};
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    if (!rate) {
        squall_field_set_quantity(field, SQUALL_OTHER, "probability", "1");
    }
    for (int i = 1; i < CELLS; i++) { /* the first has no coverage */
        field->values[i] = (float)(factor * i);
        field->mask[i] = SQUALL_CELL_VALUE;
    }
    return field;
}

typedef struct fixture {
    squall_field *means[TIMES], *members[TIMES * MEMBERS], *chances[TIMES * LEVELS];
    squall_product_ensemble ensemble;
} fixture;

static fixture make_fixture(void)
{
    fixture f;
    for (int t = 0; t < TIMES; t++) {
        const int64_t time = 1282788000 + 300 * t;
        f.means[t] = make_field(time, 0.01 * (t + 1), true);
        for (int m = 0; m < MEMBERS; m++) {
            f.members[t * MEMBERS + m] = make_field(time, 0.01 * (m + 1) + 0.1 * t, true);
        }
        for (int k = 0; k < LEVELS; k++) {
            f.chances[t * LEVELS + k] = make_field(time, (k + 1 + t) * 0.001, false);
        }
    }
    return f;
}

static void point_to(fixture *f)
{
    squall_product_ensemble_init(&f->ensemble);
    f->ensemble.members = MEMBERS;
    f->ensemble.fields = (const squall_field *const *)f->members;
    f->ensemble.thresholds = LEVELS;
    f->ensemble.thresholds_mm_h = levels;
    f->ensemble.probabilities = (const squall_field *const *)f->chances;
}

static void free_fixture(fixture *f)
{
    for (int t = 0; t < TIMES; t++) {
        squall_field_destroy(&f->means[t]);
        for (int m = 0; m < MEMBERS; m++) {
            squall_field_destroy(&f->members[t * MEMBERS + m]);
        }
        for (int k = 0; k < LEVELS; k++) {
            squall_field_destroy(&f->chances[t * LEVELS + k]);
        }
    }
}

static squall_status write_it(const fixture *f, squall_error *err)
{
    return squall_netcdf_write_ensemble(path, (const squall_field *const *)f->means, TIMES,
                                        &f->ensemble, NULL, err);
}

static short value_of(int nc, const char *name, const size_t *at)
{
    int id;
    short value = 0;
    assert_int_equal(nc_inq_varid(nc, name, &id), NC_NOERR);
    assert_int_equal(nc_get_var1_short(nc, id, at, &value), NC_NOERR);
    return value;
}

static void test_read_back(void **state)
{
    (void)state;
    fixture f = make_fixture();
    squall_error err = {0};
    int nc, id, rank, dims[4];
    size_t length;
    point_to(&f);
    assert_int_equal(write_it(&f, &err), SQUALL_OK);
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_varid(nc, "precip_intensity", &id), NC_NOERR);
    assert_int_equal(nc_inq_var(nc, id, NULL, NULL, &rank, dims, NULL), NC_NOERR);
    assert_int_equal(rank, 4);
    assert_int_equal(nc_inq_dimlen(nc, dims[0], &length), NC_NOERR);
    assert_int_equal(length, MEMBERS);
    assert_int_equal(nc_inq_dimlen(nc, dims[1], &length), NC_NOERR);
    assert_int_equal(length, TIMES);
    /* Cell 33 is row 1, column 13. Member 2, time 1: (0.03 + 0.1) 33 = 4.29 mm/h in hundredths. */
    assert_int_equal(value_of(nc, "precip_intensity", (size_t[]){2, 1, 1, 13}), 429);
    assert_int_equal(value_of(nc, "precip_intensity", (size_t[]){0, 0, 1, 13}), 33);
    assert_int_equal(value_of(nc, "precip_intensity", (size_t[]){1, 1, 0, 0}), -1);
    assert_int_equal(value_of(nc, "precip_intensity_mean", (size_t[]){1, 1, 13}), 66);
    /* Threshold 1, time 1: 0.003 x 33 = 0.099 in steps of 0.0001. */
    assert_int_equal(value_of(nc, "probability_of_rain", (size_t[]){1, 1, 1, 13}), 990);
    assert_int_equal(value_of(nc, "probability_of_rain", (size_t[]){0, 0, 0, 0}), -1);
    assert_int_equal(value_of(nc, "realization", (size_t[]){2}), 2);
    float level = 0.0f;
    assert_int_equal(nc_inq_varid(nc, "threshold", &id), NC_NOERR);
    assert_int_equal(nc_get_var1_float(nc, id, (size_t[]){1}, &level), NC_NOERR);
    assert_true(level == 5.0f);
    assert_int_equal(nc_close(nc), NC_NOERR);
    free_fixture(&f);
}

/* Alarms where the probability reaches the cost over the loss. */
static void test_alarms(void **state)
{
    (void)state;
    fixture f = make_fixture();
    squall_error err = {0};
    int nc, id;
    signed char value = 0;
    point_to(&f);
    f.ensemble.cost_loss = 0.098;
    assert_int_equal(write_it(&f, &err), SQUALL_OK);
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_varid(nc, "alarm", &id), NC_NOERR);
    /* Threshold 1, time 1: 0.003 a cell, which is 0.096 in cell 32 and 0.099 in cell 33. */
    static const struct {
        size_t row, column;
        signed char alarm;
    } cases[] = {{1, 12, 0}, {1, 13, 1}, {0, 0, -1}};
    for (size_t i = 0; i < 3; i++) {
        const size_t at[4] = {1, 1, cases[i].row, cases[i].column};
        assert_int_equal(nc_get_var1_schar(nc, id, at, &value), NC_NOERR);
        assert_int_equal(value, cases[i].alarm);
    }
    assert_int_equal(nc_close(nc), NC_NOERR);
    free_fixture(&f);
}

static void test_without_members(void **state)
{
    (void)state;
    fixture f = make_fixture();
    squall_error err = {0};
    int nc, id, rank;
    point_to(&f);
    f.ensemble.members = 0;
    f.ensemble.fields = NULL;
    assert_int_equal(write_it(&f, &err), SQUALL_OK);
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_varid(nc, "precip_intensity", &id), NC_NOERR);
    assert_int_equal(nc_inq_varndims(nc, id, &rank), NC_NOERR);
    assert_int_equal(rank, 3);
    assert_int_equal(nc_inq_varid(nc, "precip_intensity_mean", &id), NC_ENOTVAR);
    assert_int_equal(value_of(nc, "probability_of_rain", (size_t[]){1, 1, 1, 13}), 990);
    assert_int_equal(nc_close(nc), NC_NOERR);
    free_fixture(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    fixture f = make_fixture();
    squall_error err = {0};
    static const float falling[LEVELS] = {5.0f, 0.1f};
    (void)unlink(path);
    point_to(&f);
    f.ensemble.struct_size = 0;
    assert_int_equal(write_it(&f, &err), SQUALL_E_ARGUMENT);
    point_to(&f);
    f.ensemble.thresholds_mm_h = falling;
    assert_int_equal(write_it(&f, &err), SQUALL_E_ARGUMENT);
    point_to(&f);
    f.ensemble.fields = NULL;
    assert_int_equal(write_it(&f, &err), SQUALL_E_ARGUMENT);
    point_to(&f);
    f.ensemble.members = 5000;
    assert_int_equal(write_it(&f, &err), SQUALL_E_LIMIT);
    point_to(&f);
    f.members[4]->valid_time += 60;
    assert_int_equal(write_it(&f, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "member 1 of time 1");
    f.members[4]->valid_time -= 60;
    f.chances[3]->grid.left += 5000;
    assert_int_equal(write_it(&f, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "probability 1 of time 1");
    assert_int_not_equal(access(path, F_OK), 0);
    free_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_without_members),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
