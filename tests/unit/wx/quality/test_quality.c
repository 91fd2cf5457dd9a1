/* tests/unit/wx/quality/test_quality.c - speckle and spokes go and rain stays; gaps are filled by
 * what moved through them; sums over time become instants and sums again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/quality/quality.h"

enum { WIDTH = 90, HEIGHT = 70, CELLS = WIDTH * HEIGHT, STEP_S = 600 };

static squall_field *make_field(int64_t time)
{
    squall_grid grid = {.width = WIDTH, .height = HEIGHT, .top = -3650000, .dx = 1000, .dy = 1000};
    squall_field *field = NULL;
    strcpy(grid.proj, "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750");
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    for (int i = 0; i < CELLS; i++) {
        field->mask[i] = SQUALL_CELL_DRY;
        field->values[i] = 0.0f;
    }
    return field;
}

static void set(squall_field *field, int x, int y, float rate)
{
    field->values[y * WIDTH + x] = rate;
    field->mask[y * WIDTH + x] = rate > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
}

/* A round cell of rain. */
static void add_rain(squall_field *field, double x0, double y0)
{
    for (int i = 0; i < CELLS; i++) {
        const double dx = (i % WIDTH - x0) / 7.0, dy = ((double)(i / WIDTH) - y0) / 6.0;
        const double rate = 8.0 * exp(-dx * dx - dy * dy);
        if (rate > 0.1) {
            set(field, i % WIDTH, i / WIDTH, (float)rate);
        }
    }
}

static void test_speckle(void **state)
{
    (void)state;
    squall_field *field = make_field(1000000), *clean = make_field(1000000);
    size_t removed = 0;
    add_rain(field, 40, 30);
    add_rain(clean, 40, 30);
    set(field, 3, 3, 5);
    set(field, 80, 60, 5);
    set(field, 81, 61, 5); /* two that touch at a corner are one piece */
    assert_int_equal(squall_quality_speckle(field, 3, &removed, NULL), SQUALL_OK);
    assert_int_equal(removed, 3);
    assert_memory_equal(field->values, clean->values, CELLS * sizeof(float));
    assert_memory_equal(field->mask, clean->mask, CELLS);
    set(field, 3, 3, 5);
    assert_int_equal(squall_quality_speckle(field, 1, &removed, NULL), SQUALL_OK);
    assert_int_equal(removed, 0);
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, NULL, NULL);
    assert_int_equal(squall_quality_speckle(field, 3, NULL, NULL), SQUALL_E_SHAPE);
    squall_field_destroy(&field);
    squall_field_destroy(&clean);
}

/* Two straight lines, one slanted and two cells wide, go; a bent one, a short one and rain stay. */
static void test_spokes(void **state)
{
    (void)state;
    squall_field *field = make_field(1000000), *clean = make_field(1000000);
    size_t removed = 0;
    squall_field *const both[2] = {field, clean};
    for (int k = 0; k < 2; k++) {
        add_rain(both[k], 25, 50);
        for (int i = 0; i < 12; i++) {
            set(both[k], 60 + i, 60, 3); /* short */
        }
        for (int i = 0; i < 45; i++) { /* bent */
            set(both[k], 35 + i, 8 + (i - 22) * (i - 22) / 60, 3);
        }
    }
    for (int i = 0; i < 60; i++) {
        set(field, 5 + i, 25, 4);
        set(field, 20 + i, 28 + i / 3, 4);
        set(field, 20 + i, 29 + i / 3, 4);
    }
    assert_int_equal(squall_quality_spokes(field, 25, &removed, NULL), SQUALL_OK);
    assert_int_equal(removed, 60 + 120);
    assert_memory_equal(field->values, clean->values, CELLS * sizeof(float));
    squall_field_destroy(&field);
    squall_field_destroy(&clean);
}

static void test_mask(void **state)
{
    (void)state;
    squall_field *field = make_field(1000000);
    size_t removed = 7;
    assert_int_equal(squall_quality_mask(field, 0.5, &removed, NULL), SQUALL_OK);
    assert_int_equal(removed, 0);
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    field->quality[5] = 0.4f;
    field->quality[6] = 0.6f;
    assert_int_equal(squall_quality_mask(field, 0.5, &removed, NULL), SQUALL_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(field->mask[5], SQUALL_CELL_NO_COVERAGE);
    assert_true(isnan(field->values[5]));
    assert_int_equal(field->mask[6], SQUALL_CELL_DRY);
    assert_int_equal(field->mask[7], SQUALL_CELL_DRY); /* of unknown quality */
    assert_int_equal(squall_quality_mask(field, 1.5, NULL, NULL), SQUALL_E_ARGUMENT);
    squall_field_destroy(&field);
}

static squall_motion *make_motion(const squall_grid *grid, double cells_a_step)
{
    squall_motion *motion = NULL;
    assert_int_equal(squall_motion_create(grid, &motion, NULL), SQUALL_OK);
    for (int i = 0; i < CELLS; i++) {
        motion->u[i] = (float)(cells_a_step / STEP_S);
    }
    return motion;
}

static double worst_difference(const squall_field *a, const squall_field *b)
{
    double worst = 0.0;
    for (int i = 0; i < CELLS; i++) {
        if (!isnan(a->values[i]) && !isnan(b->values[i])) {
            worst = fmax(worst, fabs((double)(a->values[i] - b->values[i])));
        }
    }
    return worst;
}

static void test_between(void **state)
{
    (void)state;
    squall_field *before = make_field(1000000), *after = make_field(1000000 + 2 * STEP_S);
    squall_field *truth = make_field(1000000 + STEP_S), *out = make_field(0);
    add_rain(before, 30, 30);
    add_rain(truth, 36, 30);
    add_rain(after, 42, 30);
    squall_motion *motion = make_motion(&before->grid, 6);
    squall_error err;
    assert_int_equal(squall_quality_between(before, after, motion, 1000000 + STEP_S, out, &err),
                     SQUALL_OK);
    assert_int_equal(out->valid_time, 1000000 + STEP_S);
    assert_true(worst_difference(out, truth) < 0.02);
    for (int i = 0; i < CELLS; i++) {
        assert_int_not_equal(out->mask[i],
                             SQUALL_CELL_NO_COVERAGE); /* from one side or the other */
    }
    assert_int_equal(squall_quality_between(before, after, motion, 1000000, out, &err),
                     SQUALL_E_ARGUMENT);
    for (int n = 0; n < 2; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(squall_quality_between(before, after, motion, 1000000 + STEP_S, out, &err),
                         SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
    }
    squall_field_destroy(&before);
    squall_field_destroy(&after);
    squall_field_destroy(&truth);
    squall_field_destroy(&out);
    squall_motion_destroy(&motion);
}

/* An instant's mean over ten minutes lies half of the way behind it; back again it is in its place,
 * a little blurred along the motion. */
static void test_windows(void **state)
{
    (void)state;
    squall_field *instant = make_field(1000000), *mean = make_field(0), *again = make_field(0);
    squall_field *half = make_field(1000000);
    add_rain(instant, 45, 30);
    add_rain(half, 42, 30);
    squall_motion *motion = make_motion(&instant->grid, 6);
    squall_error err;
    assert_int_equal(squall_quality_mean(instant, motion, STEP_S, mean, &err), SQUALL_OK);
    assert_int_equal(mean->window_s, STEP_S);
    assert_int_equal(mean->valid_time, 1000000);
    assert_true(worst_difference(mean, half) < 0.6 && worst_difference(mean, instant) > 2.0);
    assert_int_equal(squall_quality_instant(mean, motion, again, &err), SQUALL_OK);
    assert_int_equal(again->window_s, 0);
    assert_int_equal(again->valid_time, 1000000);
    assert_true(worst_difference(again, instant) < 0.6);
    assert_int_equal(squall_quality_instant(again, motion, mean, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_quality_mean(instant, motion, 0, mean, &err), SQUALL_E_ARGUMENT);
    sq_memory_fail_at(0);
    assert_int_equal(squall_quality_mean(instant, motion, STEP_S, mean, &err), SQUALL_E_MEMORY);
    sq_memory_fail_at(-1);
    squall_field_destroy(&instant);
    squall_field_destroy(&mean);
    squall_field_destroy(&again);
    squall_field_destroy(&half);
    squall_motion_destroy(&motion);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speckle), cmocka_unit_test(test_spokes),  cmocka_unit_test(test_mask),
        cmocka_unit_test(test_between), cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
