/* tests/unit/wx/verify/test_verify.c - scores, against pysteps on real fields and by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "squall/verify.h"

#include "wx/grid/grid.h"

#define DATA SQUALL_SOURCE_DIR "/tests/data/verify/"

enum { SIDE = 128, CELLS = SIDE * SIDE };

/* A KNMI crop; README-verify.md says what it is. */
static squall_field *read_crop(size_t which)
{
    squall_grid grid = {.width = SIDE, .height = SIDE, .left = 150, .top = -4010, .dx = 1, .dy = 1};
    snprintf(grid.proj, sizeof grid.proj,
             "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752");
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    unsigned char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(sq_file_read(DATA "knmi_pair.u16", 1 << 20, &bytes, &size, NULL), SQUALL_OK);
    assert_int_equal(size, 2 * 2 * CELLS);
    for (size_t i = 0; i < CELLS; i++) {
        const unsigned char *at = bytes + 2 * (which * CELLS + i);
        const unsigned raw = at[0] + 256U * at[1];
        if (raw != 65535) {
            field->mask[i] = raw == 0 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
            field->values[i] = (float)(raw * 0.12);
        }
    }
    sq_free(bytes);
    return field;
}

/* A small field, row by row; NaN is no coverage, 0 dry. */
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

static double score(const char *name, const squall_field *forecast, const squall_field *observation,
                    const uint8_t *mask, double threshold, unsigned long kind, double cap)
{
    squall_contingency table = {0};
    squall_errors errors = {0};
    squall_fractions fractions = {0};
    squall_error err = {0};
    if (strcmp(name, "fss") == 0) {
        assert_int_equal(squall_fractions_add(&fractions, forecast, observation, mask, threshold,
                                              kind, cap, &err),
                         SQUALL_OK);
        return squall_fss(&fractions);
    }
    if (threshold > 0) {
        assert_int_equal(squall_contingency_add(&table, forecast, observation, mask, threshold,
                                                kind == 1 ? SQUALL_EVENT_GT : SQUALL_EVENT_GE, cap,
                                                &err),
                         SQUALL_OK);
    } else {
        assert_int_equal(squall_errors_add(&errors, forecast, observation, mask, cap, &err),
                         SQUALL_OK);
    }
    if (strcmp(name, "csi") == 0) {
        return squall_csi(&table);
    }
    if (strcmp(name, "pod") == 0) {
        return squall_pod(&table);
    }
    if (strcmp(name, "far") == 0) {
        return squall_far(&table);
    }
    if (strcmp(name, "bias") == 0) {
        return squall_bias(&table);
    }
    if (strcmp(name, "mae") == 0) {
        return squall_mae(&errors);
    }
    if (strcmp(name, "rmse") == 0) {
        return squall_rmse(&errors);
    }
    assert_string_equal(name, "mean_error");
    return squall_mean_error(&errors);
}

/* Every line of verify_expected.txt, which pysteps 1.21.5 made (tests/expected/make_verify.py). */
static void test_pysteps(void **state)
{
    (void)state;
    squall_field *forecast = read_crop(0), *observation = read_crop(1);
    uint8_t disc[CELLS];
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            disc[i * SIDE + j] = (i - 40) * (i - 40) + (j - 70) * (j - 70) < 50 * 50;
        }
    }
    FILE *file = fopen(DATA "verify_expected.txt", "r");
    assert_non_null(file);
    char line[256];
    int lines = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char name[16];
        int mask;
        unsigned long kind;
        double threshold, cap, expected;
        if (sscanf(line, "%15s %d %lf %lu %lf %lf", name, &mask, &threshold, &kind, &cap,
                   &expected) != 6) {
            assert_int_equal(line[0], '#');
            continue;
        }
        const double found =
            score(name, forecast, observation, mask == 1 ? disc : NULL, threshold, kind, cap);
        if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) <= 1e-9)) {
            fail_msg("%.12g, not as in %s", found, line);
        }
        lines++;
    }
    fclose(file);
    assert_int_equal(lines, 312);
    squall_field_destroy(&forecast);
    squall_field_destroy(&observation);
}

static void test_by_hand(void **state)
{
    (void)state;
    static const float said[8] = {5, 0, 1, 0.5F, NAN, 2, 3, 200};
    static const float seen[8] = {4, 0, 1, 2, 2, NAN, 0, 100};
    squall_field *forecast = make_field(4, 2, said), *observation = make_field(4, 2, seen);
    squall_contingency sums = {0};
    assert_int_equal(squall_contingency_add(&sums, forecast, observation, NULL, 1, SQUALL_EVENT_GE,
                                            0, NULL),
                     SQUALL_OK);
    assert_int_equal(sums.hits, 3);
    assert_int_equal(sums.misses, 2); /* one where the forecast has no coverage */
    assert_int_equal(sums.false_alarms, 1);
    assert_int_equal(sums.correct_negatives, 1);
    /* Pairs add up. */
    assert_int_equal(squall_contingency_add(&sums, forecast, observation, NULL, 1, SQUALL_EVENT_GT,
                                            0, NULL),
                     SQUALL_OK);
    assert_int_equal(sums.hits, 5);
    assert_int_equal(sums.correct_negatives, 3);
    assert_float_equal(squall_csi(&sums), 5 / 11.0, 1e-15);
    assert_float_equal(squall_pod(&sums), 5 / 9.0, 1e-15);
    assert_float_equal(squall_far(&sums), 2 / 7.0, 1e-15);
    assert_float_equal(squall_bias(&sums), 7 / 9.0, 1e-15);

    squall_errors errors = {0};
    assert_int_equal(squall_errors_add(&errors, forecast, observation, NULL, 150, NULL), SQUALL_OK);
    assert_int_equal(errors.cells, 7);
    assert_float_equal(errors.sum_abs, 1 + 1.5 + 2 + 3 + 50, 0);
    assert_float_equal(errors.sum_sq, 1 + 2.25 + 4 + 9 + 2500, 0);
    assert_float_equal(errors.sum_error, 1 - 1.5 - 2 + 3 + 50, 0);
    const uint8_t mask[8] = {1, 1, 0, 7, 0, 1, 0, 0};
    memset(&errors, 0, sizeof errors);
    assert_int_equal(squall_errors_add(&errors, forecast, observation, mask, 0, NULL), SQUALL_OK);
    assert_int_equal(errors.cells, 3);
    assert_float_equal(squall_mae(&errors), 2.5 / 3, 1e-15);
    assert_float_equal(squall_rmse(&errors), sqrt(3.25 / 3), 1e-15);
    assert_float_equal(squall_mean_error(&errors), -0.5 / 3, 1e-15);
    squall_field_destroy(&forecast);
    squall_field_destroy(&observation);
}

/* A value of 0.7f is on the threshold 0.7, though the float is less than the double. */
static void test_values_on_the_threshold(void **state)
{
    (void)state;
    static const float on[1] = {0.7F};
    squall_field *forecast = make_field(1, 1, on), *observation = make_field(1, 1, on);
    for (int event = 0; event < 2; event++) {
        squall_contingency sums = {0};
        assert_int_equal(squall_contingency_add(&sums, forecast, observation, NULL, 0.7,
                                                (squall_event)event, 0, NULL),
                         SQUALL_OK);
        assert_int_equal(sums.hits, event == SQUALL_EVENT_GE);
        assert_int_equal(sums.correct_negatives, event == SQUALL_EVENT_GT);
    }
    squall_field_destroy(&forecast);
    squall_field_destroy(&observation);
}

/* Windows that reach over both edges, by counting each of them. */
static void test_fractions_by_counting(void **state)
{
    (void)state;
    enum { WIDTH = 7, HEIGHT = 5 };
    float said[WIDTH * HEIGHT], seen[WIDTH * HEIGHT];
    uint32_t random = 7;
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        random = random * 1664525 + 1013904223;
        said[i] = (random >> 30) == 0 ? NAN : (float)((random >> 28) & 3);
        seen[i] = ((random >> 20) & 7) == 0 ? NAN : (float)((random >> 16) & 3);
    }
    squall_field *forecast = make_field(WIDTH, HEIGHT, said);
    squall_field *observation = make_field(WIDTH, HEIGHT, seen);
    for (int scale = 1; scale < 17; scale++) {
        double difference = 0, f_squared = 0, o_squared = 0;
        for (int i = 0; i < HEIGHT; i++) {
            for (int j = 0; j < WIDTH; j++) {
                int f = 0, o = 0;
                for (int y = i - scale / 2; y < i - scale / 2 + scale; y++) {
                    for (int x = j - scale / 2; x < j - scale / 2 + scale; x++) {
                        if (y >= 0 && y < HEIGHT && x >= 0 && x < WIDTH) {
                            const int cell = y * WIDTH + x;
                            f += !isnan(seen[cell]) && said[cell] >= 2;
                            o += seen[cell] >= 2;
                        }
                    }
                }
                difference += (f - o) * (f - o);
                f_squared += f * f;
                o_squared += o * o;
            }
        }
        const double whole = pow(scale, 4);
        squall_fractions sums = {0};
        assert_int_equal(squall_fractions_add(&sums, forecast, observation, NULL, 2, (size_t)scale,
                                              0, NULL),
                         SQUALL_OK);
        assert_float_equal(sums.sum_sq_difference, difference / whole, 1e-12);
        assert_float_equal(sums.sum_sq_forecast, f_squared / whole, 1e-12);
        assert_float_equal(sums.sum_sq_observation, o_squared / whole, 1e-12);
        assert_true(squall_fss(&sums) >= 0 && squall_fss(&sums) <= 1);
    }
    squall_field_destroy(&forecast);
    squall_field_destroy(&observation);
}

static void test_nothing_to_score(void **state)
{
    (void)state;
    const squall_contingency no_table = {0};
    const squall_errors no_errors = {0};
    const squall_fractions no_fractions = {0};
    assert_true(isnan(squall_csi(&no_table)) && isnan(squall_pod(&no_table)));
    assert_true(isnan(squall_far(&no_table)) && isnan(squall_bias(&no_table)));
    assert_true(isnan(squall_mae(&no_errors)) && isnan(squall_rmse(&no_errors)));
    assert_true(isnan(squall_mean_error(&no_errors)) && isnan(squall_fss(&no_fractions)));

    static const float dry[4] = {0, 0, 0, 0}, unseen[4] = {NAN, NAN, NAN, NAN};
    squall_field *forecast = make_field(2, 2, dry);
    squall_field *observations[2] = {make_field(2, 2, dry), make_field(2, 2, unseen)};
    for (int i = 0; i < 2; i++) {
        squall_contingency table = {0};
        squall_errors errors = {0};
        squall_fractions fractions = {0};
        assert_int_equal(squall_contingency_add(&table, forecast, observations[i], NULL, 0.1,
                                                SQUALL_EVENT_GE, 0, NULL),
                         SQUALL_OK);
        assert_int_equal(table.correct_negatives, i == 0 ? 4 : 0);
        assert_true(isnan(squall_csi(&table)) && isnan(squall_far(&table)));
        assert_int_equal(squall_errors_add(&errors, forecast, observations[i], NULL, 0, NULL),
                         SQUALL_OK);
        assert_true(i == 0 ? squall_mae(&errors) == 0 : isnan(squall_mae(&errors)));
        assert_int_equal(squall_fractions_add(&fractions, forecast, observations[i], NULL, 0.1, 3,
                                              0, NULL),
                         SQUALL_OK);
        assert_true(isnan(squall_fss(&fractions)));
        squall_field_destroy(&observations[i]);
    }
    squall_field_destroy(&forecast);
}

/* All three with the same wrong argument; none may touch its sums. */
static void expect_refused(squall_status status, const squall_field *forecast,
                           const squall_field *observation, double threshold, squall_event event,
                           size_t scale, double cap)
{
    squall_contingency table = {1, 2, 3, 4};
    squall_errors errors = {1, 2, 3, 4};
    squall_fractions fractions = {1, 2, 3};
    squall_error err = {0};
    assert_int_equal(squall_contingency_add(&table, forecast, observation, NULL, threshold, event,
                                            cap, &err),
                     scale > 0 && scale < 1000 ? status : SQUALL_OK);
    assert_int_equal(squall_fractions_add(&fractions, forecast, observation, NULL, threshold, scale,
                                          cap, &err),
                     event == SQUALL_EVENT_GE ? status : SQUALL_OK);
    if (!isnan(threshold) && event == SQUALL_EVENT_GE && scale > 0 && scale < 1000) {
        assert_int_equal(squall_errors_add(&errors, forecast, observation, NULL, cap, &err),
                         status);
        assert_int_equal(errors.cells, 1);
        assert_int_equal(table.hits, 1);
        assert_float_equal(fractions.sum_sq_difference, 1, 0);
    }
    assert_int_equal(err.code, status);
    assert_true(err.text[0] != 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const float values[6] = {0, 1, 2, 3, 4, 5};
    squall_field *field = make_field(3, 2, values), *turned = make_field(2, 3, values);
    squall_field *moved = make_field(3, 2, values), *depth = make_field(3, 2, values);
    moved->grid.left += 0.5;
    squall_field_set_quantity(depth, SQUALL_ACCUMULATION, NULL, NULL);
    expect_refused(SQUALL_E_SHAPE, field, turned, 1, SQUALL_EVENT_GE, 1, 0);
    expect_refused(SQUALL_E_SHAPE, moved, field, 1, SQUALL_EVENT_GE, 1, 0);
    expect_refused(SQUALL_E_SHAPE, depth, field, 1, SQUALL_EVENT_GE, 1, 0);
    expect_refused(SQUALL_E_SHAPE, field, depth, 1, SQUALL_EVENT_GE, 1, 0);
    expect_refused(SQUALL_E_ARGUMENT, field, field, 1, SQUALL_EVENT_GE, 1, -1);
    expect_refused(SQUALL_E_ARGUMENT, field, field, 1, SQUALL_EVENT_GE, 1, NAN);
    expect_refused(SQUALL_E_ARGUMENT, field, field, NAN, SQUALL_EVENT_GE, 1, 0);
    expect_refused(SQUALL_E_ARGUMENT, field, field, 1, SQUALL_EVENT_GE, 0, 0);
    expect_refused(SQUALL_E_ARGUMENT, field, field, 1, SQUALL_EVENT_GE, SIZE_MAX, 0);
    expect_refused(SQUALL_E_ARGUMENT, field, field, 1, (squall_event)2, 1, 0);

    squall_fractions sums = {1, 2, 3};
    sq_memory_fail_at(0);
    assert_int_equal(squall_fractions_add(&sums, field, field, NULL, 1, 3, 0, NULL),
                     SQUALL_E_MEMORY);
    sq_memory_fail_at(-1);
    assert_float_equal(sums.sum_sq_forecast, 2, 0);
    squall_field_destroy(&field);
    squall_field_destroy(&turned);
    squall_field_destroy(&moved);
    squall_field_destroy(&depth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pysteps),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_values_on_the_threshold),
        cmocka_unit_test(test_fractions_by_counting),
        cmocka_unit_test(test_nothing_to_score),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
