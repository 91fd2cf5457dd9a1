/* tests/unit/wx/verify/test_verify_ensemble.c - scores of ensembles and probabilities, structure,
 * spectra and intervals, on cases that can be worked out by hand. tests/checks/verify_peers.py
 * holds the same functions against other people's on larger ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wx/verify/verify_pair.h"

/* A field, row by row; NaN is no coverage, 0 dry. */
static squall_field *make_field(size_t width, size_t height, const float *values)
{
    const squall_grid grid = {
        .width = width, .height = height, .dx = 1, .dy = 1, .proj = "+proj=longlat"};
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    for (size_t i = 0; i < width * height; i++) {
        if (!isnan(values[i])) {
            field->values[i] = values[i];
            field->mask[i] = values[i] > 0 ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
    return field;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1.0 + fabs(b));
}

/* Members 0 and 4, seen 0: (0 + 4) / 2 - (0 + 4 + 4 + 0) / 8 = 1; what ties counts. */
static void test_crps(void **state)
{
    (void)state;
    static const float a[] = {0, 1, 2, NAN}, b[] = {4, 1, 2, 5}, seen[] = {0, 1, 5, NAN};
    squall_field *members[2] = {make_field(2, 2, a), make_field(2, 2, b)};
    squall_field *observed = make_field(2, 2, seen);
    squall_crps_sums sums = {0, 0};
    assert_true(isnan(squall_crps(&sums)));
    assert_int_equal(squall_crps_add(&sums, (const squall_field *const *)members, 2, observed, NULL,
                                     0, NULL),
                     SQUALL_OK);
    assert_int_equal(sums.cells, 3);
    assert_true(near(sums.sum, 1.0 + 0.0 + 3.0));
    /* Of one member it is the error, cut where it was asked for. */
    sums = (squall_crps_sums){0, 0};
    assert_int_equal(squall_crps_add(&sums, (const squall_field *const *)members, 1, observed, NULL,
                                     4, NULL),
                     SQUALL_OK);
    assert_true(near(squall_crps(&sums), (0.0 + 0.0 + 2.0) / 3.0));
    squall_error err;
    assert_int_equal(squall_crps_add(&sums, NULL, 0, observed, NULL, 0, &err), SQUALL_E_ARGUMENT);
    for (int i = 0; i < 2; i++) {
        squall_field_destroy(&members[i]);
    }
    squall_field_destroy(&observed);
}

static void test_ranks(void **state)
{
    (void)state;
    /* Cells: seen between; seen above; all dry; seen equal to one member: ranks 1 and 2 share it.
     */
    static const float a[] = {1, 1, 0, 2}, b[] = {3, 2, 0, 5}, seen[] = {2, 4, 0, 2};
    squall_field *members[2] = {make_field(2, 2, a), make_field(2, 2, b)};
    squall_field *observed = make_field(2, 2, seen);
    double ranks[3] = {0, 0, 0};
    assert_int_equal(squall_ranks_add(ranks, (const squall_field *const *)members, 2, observed,
                                      NULL, 0.1, NULL),
                     SQUALL_OK);
    assert_true(near(ranks[0], 0.5) && near(ranks[1], 1.5) && near(ranks[2], 1.0));
    for (int i = 0; i < 2; i++) {
        squall_field_destroy(&members[i]);
    }
    squall_field_destroy(&observed);
}

static void test_probabilities(void **state)
{
    (void)state;
    static const float p[] = {0.0f, 0.5f, 0.5f, 1.0f}, seen[] = {0, 0, 2, 2};
    squall_field *said = make_field(2, 2, p), *observed = make_field(2, 2, seen);
    squall_reliability sums;
    memset(&sums, 0, sizeof sums);
    assert_true(isnan(squall_brier(&sums).brier) && isnan(squall_roc_area(&sums)));
    assert_int_equal(squall_reliability_add(&sums, said, observed, NULL, 1, SQUALL_EVENT_GE, NULL),
                     SQUALL_OK);
    const squall_brier_parts parts = squall_brier(&sums);
    assert_true(near(parts.brier, 0.125) && near(parts.uncertainty, 0.25));
    assert_true(near(parts.reliability, 0.0) && near(parts.resolution, 0.125));
    assert_true(near(parts.skill, 0.5));
    /* Points (0, 0), (0, 1/2), (1/2, 1), (1, 1): 3/8 + 1/2. */
    assert_true(near(squall_roc_area(&sums), 0.875));
    squall_field *members[2] = {make_field(2, 2, (const float[]){0, 2, 0, 2}),
                                make_field(2, 2, (const float[]){0, 0, 2, 2})};
    squall_reliability same;
    memset(&same, 0, sizeof same);
    assert_int_equal(squall_reliability_add_members(&same, (const squall_field *const *)members, 2,
                                                    observed, NULL, 1, SQUALL_EVENT_GE, NULL),
                     SQUALL_OK);
    assert_memory_equal(&same, &sums, sizeof same);
    squall_error err;
    assert_int_equal(squall_reliability_add(&sums, said, observed, NULL, 1, (squall_event)7, &err),
                     SQUALL_E_ARGUMENT);
    said->grid.left += 5;
    assert_int_equal(squall_reliability_add(&sums, said, observed, NULL, 1, SQUALL_EVENT_GE, &err),
                     SQUALL_E_SHAPE);
    squall_field_destroy(&said);
    squall_field_destroy(&observed);
    squall_field_destroy(&members[0]);
    squall_field_destroy(&members[1]);
}

/* Four cells, one event in which p is 0.8; the others have 0.8, 0.2 and 0. At C / L = 0.5 two
 * alarms cost 1, never costs 1, a perfect forecast 0.5: nothing is won. At 0.1 alarms cost 0.3 (p
 * 0.2 too), always 0.4, a perfect one 0.1. */
static void test_alarms(void **state)
{
    (void)state;
    static const float p[] = {0.8f, 0.8f, 0.2f, 0.0f}, seen[] = {2, 0, 0, 0};
    squall_field *said = make_field(2, 2, p), *observed = make_field(2, 2, seen);
    squall_reliability sums;
    memset(&sums, 0, sizeof sums);
    assert_true(isnan(squall_economic_value(&sums, 0.5)));
    assert_int_equal(squall_reliability_add(&sums, said, observed, NULL, 1, SQUALL_EVENT_GE, NULL),
                     SQUALL_OK);
    assert_true(near(squall_economic_value(&sums, 0.5), 0.0));
    assert_true(near(squall_economic_value(&sums, 0.1), 1.0 / 3.0));
    assert_true(isnan(squall_economic_value(&sums, 1.0)));
    squall_field_destroy(&said);
    squall_field_destroy(&observed);
}

static void test_isotonic(void **state)
{
    (void)state;
    static const double values[] = {0.1, 0.4, 0.2, 0.3, 0.9, 0.7}, weights[] = {1, 1, 1, 2, 3, 1};
    static const double none[] = {0, 0, 0, 0, 0, 0};
    double out[6];
    squall_error err;
    assert_int_equal(squall_isotonic_fit(values, weights, 6, out, &err), SQUALL_OK);
    /* 0.4, 0.2, 0.3, 0.3 have the mean 0.3; 0.9 thrice and 0.7 have 0.85. */
    static const double expected[] = {0.1, 0.3, 0.3, 0.3, 0.85, 0.85};
    for (int i = 0; i < 6; i++) {
        assert_true(near(out[i], expected[i]));
    }
    assert_int_equal(squall_isotonic_fit(values, none, 6, out, &err), SQUALL_OK);
    assert_true(near(out[1], 0.3) && near(out[5], 0.8));
    for (int n = 0; n < 3; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(squall_isotonic_fit(values, weights, 6, out, &err), SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
    }
}

/* The same object, twice as strong, moved by three columns: only A and L change; a broader and
 * flatter one has S above 0. */
static void test_sal(void **state)
{
    (void)state;
    enum { SIDE = 16 };
    float one[SIDE * SIDE] = {0}, moved[SIDE * SIDE] = {0}, broad[SIDE * SIDE] = {0};
    for (int y = 5; y < 8; y++) {
        for (int x = 4; x < 7; x++) {
            one[y * SIDE + x] = y == 6 && x == 5 ? 8.0f : 2.0f;
            moved[y * SIDE + x + 3] = 2.0f * one[y * SIDE + x];
        }
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        broad[i] = i / SIDE > 2 && i / SIDE < 11 ? 2.0f : 0.0f;
    }
    squall_field *seen = make_field(SIDE, SIDE, one), *said = make_field(SIDE, SIDE, moved);
    squall_field *flat = make_field(SIDE, SIDE, broad);
    squall_sal sal;
    assert_int_equal(squall_sal_find(seen, seen, NULL, 0, &sal, NULL), SQUALL_OK);
    assert_true(near(sal.structure, 0) && near(sal.amplitude, 0) && near(sal.location, 0));
    assert_int_equal(squall_sal_find(said, seen, NULL, 0, &sal, NULL), SQUALL_OK);
    assert_true(near(sal.structure, 0) && near(sal.amplitude, 2.0 / 3.0));
    assert_true(near(sal.location, 3.0 / sqrt(2.0 * 15.0 * 15.0)));
    assert_int_equal(squall_sal_find(flat, seen, NULL, 0, &sal, NULL), SQUALL_OK);
    /* Volumes over the largest: 256 / 2 against 24 / 8. */
    assert_true(near(sal.structure, 2.0 * (128.0 - 3.0) / (128.0 + 3.0)));
    memset(flat->values, 0, sizeof broad);
    assert_int_equal(squall_sal_find(flat, seen, NULL, 0, &sal, NULL), SQUALL_OK);
    assert_true(isnan(sal.structure) && isnan(sal.location));
    squall_field_destroy(&seen);
    squall_field_destroy(&said);
    squall_field_destroy(&flat);
}

/* dB of 5 + 3 cos(2 pi 4 x / 32): all power but the mean's is at four waves. */
static void test_spectrum(void **state)
{
    (void)state;
    enum { SIDE = 32 };
    float values[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        const double db = 5.0 + 3.0 * cos(2.0 * 3.14159265358979323846 * 4.0 * (i % SIDE) / SIDE);
        values[i] = (float)(0.1 * pow(10.0, db / 10.0));
    }
    squall_field *field = make_field(SIDE, SIDE, values);
    squall_spectrum spectrum;
    assert_int_equal(squall_spectrum_find(field, NULL, &spectrum, NULL), SQUALL_OK);
    assert_int_equal(spectrum.side, SIDE);
    assert_int_equal(spectrum.bins, SIDE / 2 + 1);
    assert_true(fabs(spectrum.power[0] - 25.0 * SIDE * SIDE) < 1.0);
    double rest = 0;
    for (size_t k = 1; k < spectrum.bins; k++) {
        rest += k == 4 ? 0 : spectrum.power[k];
    }
    assert_true(spectrum.power[4] > 50.0 && rest < 1e-3);
    squall_spectrum_free(&spectrum);
    assert_null(spectrum.power);
    squall_field_set_quantity(field, SQUALL_OTHER, "probability", "1");
    squall_error err;
    assert_int_equal(squall_spectrum_find(field, NULL, &spectrum, &err), SQUALL_E_SHAPE);
    squall_field_destroy(&field);
}

static double mean_of(const double *sums, const void *arg)
{
    (void)arg;
    return sums[0] / sums[1];
}

static double no_number(const double *sums, const void *arg)
{
    (void)sums;
    (void)arg;
    return NAN;
}

/* Independent items: the interval is near that of the normal distribution; items that depend on
 * one another need blocks, whose interval is wider. */
static void test_bootstrap(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    double items[COUNT][2], slow[COUNT][2];
    uint32_t groups[COUNT];
    unsigned seed = 1;
    double sum = 0, square = 0, now = 0;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1103515245U + 12345U;
        const double x = (double)(seed >> 16) / 65536.0;
        items[i][0] = x;
        items[i][1] = slow[i][1] = 1;
        now = 0.9 * now + x - 0.5;
        slow[i][0] = now;
        groups[i] = i < COUNT / 2 ? 0 : 1;
        sum += x;
        square += x * x;
    }
    squall_interval one, again, wide;
    assert_int_equal(squall_bootstrap(items[0], COUNT, 2, NULL, NULL, mean_of, NULL, &one, NULL),
                     SQUALL_OK);
    const double mean = sum / COUNT, error = sqrt((square / COUNT - mean * mean) / COUNT);
    assert_true(near(one.value, mean));
    assert_true(one.low < mean - 1.4 * error && one.low > mean - 2.6 * error);
    assert_true(one.high > mean + 1.4 * error && one.high < mean + 2.6 * error);
    assert_true(near(one.p, 2.0 / 1001.0));
    squall_bootstrap_options options;
    squall_bootstrap_options_init(&options);
    assert_int_equal(squall_bootstrap(items[0], COUNT, 2, groups, &options, mean_of, NULL, &again,
                                      NULL),
                     SQUALL_OK);
    assert_true(near(again.value, one.value));
    options.block = 1;
    assert_int_equal(squall_bootstrap(slow[0], COUNT, 2, groups, &options, mean_of, NULL, &one,
                                      NULL),
                     SQUALL_OK);
    options.block = 20;
    assert_int_equal(squall_bootstrap(slow[0], COUNT, 2, groups, &options, mean_of, NULL, &wide,
                                      NULL),
                     SQUALL_OK);
    assert_true(wide.high - wide.low > 2.0 * (one.high - one.low));
    assert_int_equal(squall_bootstrap(items[0], COUNT, 2, groups, &options, no_number, NULL, &one,
                                      NULL),
                     SQUALL_OK);
    assert_true(isnan(one.low) && isnan(one.p));
    squall_error err;
    options.block = 0;
    assert_int_equal(squall_bootstrap(items[0], COUNT, 2, groups, &options, mean_of, NULL, &one,
                                      &err),
                     SQUALL_E_ARGUMENT);
}

/* Each allocation made to fail once. */
static void test_without_memory(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 3, 0};
    squall_field *field = make_field(2, 2, values);
    const squall_field *const list[1] = {field};
    for (int n = 0; n < 3; n++) {
        squall_crps_sums crps = {0, 0};
        squall_sal sal;
        squall_spectrum spectrum;
        squall_interval interval;
        squall_error err;
        const double items[2] = {1, 2};
        if (n < 2) {
            sq_memory_fail_at(n);
            assert_int_equal(squall_crps_add(&crps, list, 1, field, NULL, 0, &err),
                             SQUALL_E_MEMORY);
            sq_memory_fail_at(n);
            assert_int_equal(squall_bootstrap(items, 1, 2, NULL, NULL, mean_of, NULL, &interval,
                                              &err),
                             SQUALL_E_MEMORY);
        }
        sq_memory_fail_at(n);
        assert_int_equal(squall_sal_find(field, field, NULL, 0, &sal, &err), SQUALL_E_MEMORY);
        sq_memory_fail_at(n);
        assert_int_equal(squall_spectrum_find(field, NULL, &spectrum, &err), SQUALL_E_MEMORY);
        assert_null(spectrum.power);
        sq_memory_fail_at(-1);
    }
    squall_field_destroy(&field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crps),           cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_probabilities),  cmocka_unit_test(test_sal),
        cmocka_unit_test(test_spectrum),       cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_alarms),         cmocka_unit_test(test_isotonic),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
