/* tests/unit/wx/calib/test_calib.c - weather told apart, frames chosen to cover it, gaps named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/calib/calib.h"

enum { SIDE = 100 };

/* A field of one rate in its first `wet` rows of SIDE, another in the first `heavy` of them. */
static squall_field *make_field(size_t wet, float rate, size_t heavy, float most, double lat)
{
    squall_grid grid = {
        .width = SIDE, .height = SIDE, .left = 0, .top = lat + 1, .dx = 0.02, .dy = 0.02};
    snprintf(grid.proj, sizeof grid.proj, "+proj=longlat");
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        const size_t row = i / SIDE;
        field->values[i] = row < heavy ? most : row < wet ? rate : 0.0f;
        field->mask[i] = row < wet ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
    }
    assert_true(sq_time_from_utc(2020, 1, 15, 13, 0, 0, &field->valid_time));
    return field;
}

static sq_weather weather_of(size_t wet, float rate, size_t heavy, float most, double lat)
{
    sq_weather weather;
    squall_field *field = make_field(wet, rate, heavy, most, lat);
    assert_int_equal(sq_weather_of(field, 0, 0, SIDE, SIDE, &weather, NULL), SQUALL_OK);
    squall_field_destroy(&field);
    return weather;
}

static void expect(const sq_weather *weather, const char *regime, const char *wet, const char *most)
{
    char text[SQ_WEATHER_TEXT], want[SQ_WEATHER_TEXT];
    snprintf(want, sizeof want, "%s, wet %s, maximum %s", regime, wet, most);
    assert_string_equal(sq_weather_format(weather, text), want);
}

static void test_weather(void **state)
{
    (void)state;
    sq_weather w = weather_of(0, 0, 0, 0, 50);
    expect(&w, "dry", "below 5 %", "below 2 mm/h");
    assert_true(w.covered == 1.0 && w.max_mm_h == 0.0);
    w = weather_of(40, 1.0f, 0, 0, 50); /* 40 % at 1 mm/h */
    expect(&w, "stratiform", "30 % and more", "below 2 mm/h");
    assert_true(fabs(w.wet_share - 0.4) < 1e-12 && w.heavy_share == 0.0);
    w = weather_of(20, 2.0f, 1, 12.0f, 50); /* 12 of 50 from heavy cells */
    expect(&w, "mixed", "5 to 30 %", "2 to 20 mm/h");
    assert_true(fabs(w.heavy_share - 12.0 / 50.0) < 1e-6);
    w = weather_of(3, 1.0f, 2, 60.0f, 50);
    expect(&w, "convective", "below 5 %", "20 mm/h and more");
    /* January is winter here and summer there; 13 UTC near Greenwich is the afternoon. */
    assert_string_equal(sq_aspect_stratum(SQ_ASPECT_SEASON, w.stratum[SQ_ASPECT_SEASON]), "winter");
    assert_string_equal(sq_aspect_stratum(SQ_ASPECT_HOUR, w.stratum[SQ_ASPECT_HOUR]), "12 to 18");
    w = weather_of(3, 1.0f, 2, 60.0f, -30);
    assert_string_equal(sq_aspect_stratum(SQ_ASPECT_SEASON, w.stratum[SQ_ASPECT_SEASON]), "summer");
}

/* A window sees its own cells alone, and cells that nobody looked at count for nothing. */
static void test_window(void **state)
{
    (void)state;
    sq_weather w;
    squall_field *field = make_field(50, 4.0f, 0, 0, 50);
    assert_int_equal(sq_weather_of(field, 10, 50, 20, 50, &w, NULL), SQUALL_OK);
    assert_true(w.wet_share == 0.0);
    for (size_t i = 0; i < SIDE * 25; i++) {
        field->mask[i] = SQUALL_CELL_NO_COVERAGE;
        field->values[i] = NAN;
    }
    assert_int_equal(sq_weather_of(field, 0, 0, SIDE, 50, &w, NULL), SQUALL_OK);
    assert_true(w.covered == 0.5 && w.wet_share == 1.0 && w.max_mm_h == 4.0);
    squall_field_destroy(&field);
}

/* A thousand dry frames do not crowd out the two of heavy rain. */
static void test_choice(void **state)
{
    (void)state;
    enum { COUNT = 1000, MOST = 6 };
    static sq_weather all[COUNT];
    size_t chosen[MOST];
    sq_coverage coverage = {{{0}}};
    char missing[512];
    const sq_weather dry = weather_of(0, 0, 0, 0, 50), heavy = weather_of(3, 1.0f, 2, 60.0f, 50);
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = i == 500 || i == 777 ? heavy : dry;
    }
    assert_int_equal(sq_weather_choose(all, COUNT, MOST, chosen), MOST);
    assert_true(chosen[0] == 500); /* the heaviest is first */
    for (size_t i = 0; i < MOST; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_true(chosen[i] != chosen[k]);
        }
        sq_coverage_add(&coverage, &all[chosen[i]]);
    }
    assert_int_equal(coverage.count[SQ_ASPECT_REGIME][3], 2);
    assert_int_equal(coverage.count[SQ_ASPECT_REGIME][0], MOST - 2);
    assert_int_equal(sq_weather_choose(all, 3, MOST, chosen), 3);

    assert_false(sq_coverage_check(&coverage, 1u << SQ_ASPECT_REGIME, 2, missing, sizeof missing));
    assert_string_equal(missing, "regime stratiform has 0 of 2, regime mixed has 0 of 2");
    assert_false(sq_coverage_check(&coverage, 1u << SQ_ASPECT_MAXIMUM, 3, missing, sizeof missing));
    assert_string_equal(missing,
                        "maximum 2 to 20 mm/h has 0 of 3, maximum 20 mm/h and more has 2 of 3");
    assert_true(sq_coverage_check(&coverage, 0, 2, missing, sizeof missing));
    assert_string_equal(missing, "");
    assert_false(sq_coverage_check(&coverage, 31, 2, missing, 20)); /* little room for words */
    assert_true(strlen(missing) < 20);
    for (int a = 0; a < SQ_ASPECTS; a++) {
        assert_true(sq_aspect_count((sq_aspect)a) <= SQ_ASPECT_MOST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weather),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
