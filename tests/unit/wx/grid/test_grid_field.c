/* tests/unit/wx/grid/test_grid_field.c - fields: limits, copies, counts, and rain rates by Z-R. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/grid/grid.h"

static const squall_grid four_by_two = {
    .width = 4, .height = 2, .left = -2, .top = 1, .dx = 1, .dy = 1, .proj = "+proj=longlat"};

static void test_create(void **state)
{
    (void)state;
    squall_error err = {0};
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&four_by_two, &field, &err), SQUALL_OK);
    assert_int_equal(field->quantity, SQUALL_RAIN_RATE);
    assert_string_equal(field->unit_name, "mm/h");
    assert_true(field->valid_time == SQUALL_TIME_NONE);
    assert_int_equal(field->window_s, 0);
    assert_null(field->quality);
    for (size_t i = 0; i < 8; i++) {
        assert_true(isnan(field->values[i]));
        assert_int_equal(field->mask[i], SQUALL_CELL_NO_COVERAGE);
    }
    squall_field_destroy(&field);
    assert_null(field);
    squall_field_destroy(&field);
}

static void test_create_refuses(void **state)
{
    (void)state;
    squall_grid wrong[9];
    for (size_t i = 0; i < 9; i++) {
        wrong[i] = four_by_two;
    }
    wrong[0].width = 0;
    wrong[1].height = 0;
    wrong[2].dx = 0;
    wrong[3].dy = -1;
    wrong[4].dx = NAN;
    wrong[5].dy = INFINITY;
    wrong[6].left = NAN;
    wrong[7].top = -INFINITY;
    memset(wrong[8].proj, 'x', sizeof wrong[8].proj);
    for (size_t i = 0; i < 9; i++) {
        squall_error err = {0};
        squall_field dummy, *field = &dummy;
        assert_int_equal(squall_field_create(&wrong[i], &field, &err), SQUALL_E_ARGUMENT);
        assert_null(field);
        assert_int_equal(err.code, SQUALL_E_ARGUMENT);
        assert_true(err.text[0] != 0);
    }
    squall_grid large = four_by_two;
    squall_field *field = NULL;
    large.width = SQ_LIMIT_FIELD_SIDE + 1;
    assert_int_equal(squall_field_create(&large, &field, NULL), SQUALL_E_LIMIT);
    large.width = SIZE_MAX;
    large.height = SIZE_MAX;
    assert_int_equal(squall_field_create(&large, &field, NULL), SQUALL_E_LIMIT);
    large.width = SQ_LIMIT_FIELD_SIDE;
    large.height = SQ_LIMIT_FIELD_CELLS / SQ_LIMIT_FIELD_SIDE + 1;
    assert_int_equal(squall_field_create(&large, &field, NULL), SQUALL_E_LIMIT);
}

/* A field with every kind of cell: 0 no coverage, 1 dry, 2 zero, 3.. values. */
static squall_field *sample(squall_quantity quantity)
{
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&four_by_two, &field, NULL), SQUALL_OK);
    squall_field_set_quantity(field, quantity, NULL, NULL);
    static const float values[8] = {NAN, 0, 0, 5, 10, 20, 36.5F, 60};
    for (size_t i = 0; i < 8; i++) {
        field->values[i] = values[i];
        field->mask[i] = i < 2 ? (uint8_t)i : SQUALL_CELL_VALUE;
    }
    field->valid_time = 1535133600;
    snprintf(field->source, sizeof field->source, "a.h5:/dataset1/data1");
    return field;
}

static void test_copy(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_REFLECTIVITY), *copy = NULL;
    assert_int_equal(squall_field_copy(field, &copy, NULL), SQUALL_OK);
    assert_null(copy->quality);
    squall_field_destroy(&copy);

    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    float *const quality = field->quality;
    for (size_t i = 0; i < 8; i++) {
        assert_true(isnan(quality[i]));
        quality[i] = (float)i / 8;
    }
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    assert_ptr_equal(field->quality, quality);
    assert_float_equal(field->quality[7], 0.875, 0);

    assert_int_equal(squall_field_copy(field, &copy, NULL), SQUALL_OK);
    assert_ptr_not_equal(copy->values, field->values);
    assert_ptr_not_equal(copy->mask, field->mask);
    assert_ptr_not_equal(copy->quality, field->quality);
    assert_memory_equal(copy->values, field->values, 8 * sizeof *copy->values);
    assert_memory_equal(copy->mask, field->mask, 8);
    assert_memory_equal(copy->quality, field->quality, 8 * sizeof *copy->quality);
    assert_memory_equal(&copy->grid, &field->grid, sizeof copy->grid);
    assert_string_equal(copy->quantity_name, "DBZH");
    assert_string_equal(copy->unit_name, "dBZ");
    assert_string_equal(copy->source, field->source);
    assert_true(copy->valid_time == field->valid_time);
    squall_field_destroy(&copy);
    squall_field_destroy(&field);
}

static void test_set_quantity(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_OTHER);
    squall_field_set_quantity(field, SQUALL_ACCUMULATION, NULL, NULL);
    assert_string_equal(field->quantity_name, "ACRR");
    assert_string_equal(field->unit_name, "mm");
    squall_field_set_quantity(field, SQUALL_OTHER, "a quantity with a name that is far too long",
                              "K");
    assert_int_equal(strlen(field->quantity_name), sizeof field->quantity_name - 1);
    assert_string_equal(field->unit_name, "K");
    squall_field_destroy(&field);
}

static void test_count(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_RAIN_RATE);
    squall_field_counts counts;
    squall_field_count(field, &counts);
    assert_int_equal(counts.cells, 8);
    assert_int_equal(counts.no_coverage, 1);
    assert_int_equal(counts.dry, 2);
    assert_int_equal(counts.undetected, 1);
    assert_int_equal(counts.wet, 5);
    assert_float_equal(counts.min, 5, 0);
    assert_float_equal(counts.max, 60, 0);
    assert_float_equal(counts.mean, 26.3, 1e-12);

    /* 0 dBZ is an echo. */
    field->quantity = SQUALL_REFLECTIVITY;
    squall_field_count(field, &counts);
    assert_int_equal(counts.dry, 1);
    assert_int_equal(counts.undetected, 1);
    assert_int_equal(counts.wet, 6);
    assert_float_equal(counts.min, 0, 0);

    memset(field->mask, SQUALL_CELL_DRY, 8);
    squall_field_count(field, &counts);
    assert_int_equal(counts.undetected, 8);
    assert_true(isnan(counts.min) && isnan(counts.max) && isnan(counts.mean));
    squall_field_destroy(&field);
}

static void test_to_rate_by_zr(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_REFLECTIVITY);
    assert_int_equal(squall_field_to_rate(field, NULL, NULL), SQUALL_OK);
    assert_int_equal(field->quantity, SQUALL_RAIN_RATE);
    assert_string_equal(field->quantity_name, "RATE");
    assert_string_equal(field->unit_name, "mm/h");
    /* (10 ** (dbz / 10) / 200) ** (1 / 1.6), Python 3.11; 5 dBZ is below the least that counts. */
    static const double expected[8] = {NAN,          0,           0,          0, 0.1537645610,
                                       0.6484197773, 6.967969688, 205.0483376};
    assert_true(isnan(field->values[0]));
    for (size_t i = 1; i < 8; i++) {
        assert_float_equal(field->values[i], expected[i], 2e-6 * expected[i]);
        assert_int_equal(field->mask[i], i < 2 ? i : SQUALL_CELL_VALUE);
    }
    squall_field_destroy(&field);

    field = sample(SQUALL_REFLECTIVITY);
    squall_zr zr;
    squall_zr_init(&zr);
    zr.a = 256; /* DWD's */
    zr.b = 1.42;
    zr.min_dbz = -INFINITY;
    zr.max_rate = 150;
    assert_int_equal(squall_field_to_rate(field, &zr, NULL), SQUALL_OK);
    assert_float_equal(field->values[1], 0, 0);
    assert_float_equal(field->values[3], 0.0453073894, 1e-8); /* (10 ** .5 / 256) ** (1 / 1.42) */
    assert_float_equal(field->values[7], 150, 0);
    squall_field_destroy(&field);
}

static void test_to_rate_by_window(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_ACCUMULATION);
    squall_error err;
    assert_int_equal(squall_field_to_rate(field, NULL, &err), SQUALL_E_SHAPE);
    assert_string_equal(err.where, "a.h5:/dataset1/data1");
    field->window_s = 300;
    assert_int_equal(squall_field_to_rate(field, NULL, &err), SQUALL_OK);
    assert_int_equal(field->window_s, 300); /* a rate that is a mean over it */
    assert_float_equal(field->values[3], 60, 0);
    assert_float_equal(field->values[6], 438, 0);
    assert_int_equal(field->mask[2], SQUALL_CELL_VALUE);
    /* Once a rate it stays as it is, but for a limit. */
    squall_zr zr;
    squall_zr_init(&zr);
    zr.max_rate = 100;
    assert_int_equal(squall_field_to_rate(field, &zr, &err), SQUALL_OK);
    assert_float_equal(field->values[3], 60, 0);
    assert_float_equal(field->values[6], 100, 0);
    squall_field_destroy(&field);
}

static void test_to_rate_refuses(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_OTHER);
    assert_int_equal(squall_field_to_rate(field, NULL, NULL), SQUALL_E_SHAPE);
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, NULL, NULL);
    for (int i = 0; i < 6; i++) {
        squall_zr zr;
        squall_zr_init(&zr);
        switch (i) {
        case 0:
            zr.struct_size = 0;
            break;
        case 1:
            zr.a = 0;
            break;
        case 2:
            zr.b = -1;
            break;
        case 3:
            zr.max_rate = NAN;
            break;
        case 4:
            zr.min_dbz = NAN;
            break;
        default:
            zr.a = INFINITY;
        }
        assert_int_equal(squall_field_to_rate(field, &zr, NULL), SQUALL_E_ARGUMENT);
    }
    assert_float_equal(field->values[7], 60, 0);
    squall_field_destroy(&field);
}

static void test_no_memory(void **state)
{
    (void)state;
    squall_field *field = sample(SQUALL_RAIN_RATE), *other = NULL;
    squall_error err;
    for (long n = 0; n < 3; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(squall_field_create(&four_by_two, &other, &err), SQUALL_E_MEMORY);
        assert_null(other);
    }
    sq_memory_fail_at(0);
    assert_int_equal(squall_field_add_quality(field, &err), SQUALL_E_MEMORY);
    assert_null(field->quality);
    assert_int_equal(squall_field_add_quality(field, &err), SQUALL_OK);
    for (long n = 0; n < 4; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(squall_field_copy(field, &other, &err), SQUALL_E_MEMORY);
        assert_null(other);
    }
    sq_memory_fail_at(-1);
    squall_field_destroy(&field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_set_quantity),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_to_rate_by_zr),
        cmocka_unit_test(test_to_rate_by_window),
        cmocka_unit_test(test_to_rate_refuses),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("grid_field", tests, NULL, NULL);
}
