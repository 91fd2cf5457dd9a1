/* tests/unit/wx/ensemble/test_ensemble.c - S-PROG and STEPS on rain that is made up: that they are
 * forecasts whatever is dry or missing, repeat to the last bit, and say what they should. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wx/ensemble/ensemble.h"
#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { WIDTH = 62, HEIGHT = 46, CELLS = WIDTH * HEIGHT, STEP_S = 300, LEADS = 4 };

static const int32_t leads_s[LEADS] = {300, 900, 1800, 2000};

static squall_grid make_grid(void)
{
    squall_grid grid = {.width = WIDTH, .height = HEIGHT, .dx = 1000, .dy = 1000};
    snprintf(grid.proj, sizeof grid.proj, "+proj=laea +lat_0=52 +lon_0=10 +ellps=WGS84");
    return grid;
}

/* Cells of rain that move two columns a step and change shape; `wet` 0 is a dry frame. */
static squall_field *make_frame(int step, int wet)
{
    const squall_grid grid = make_grid();
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = 1000000 + step * STEP_S;
    for (int i = 0; i < CELLS; i++) {
        const double x = i % WIDTH - 2.0 * step, y = i / WIDTH;
        const double rain = 6.0 * sin(0.31 * x + 0.1) * sin(0.23 * y) +
                            2.0 * sin(1.1 * x + 0.4 * step) * cos(0.9 * y - 0.2 * step);
        field->mask[i] = wet != 0 && rain > 0.0 ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        field->values[i] = wet != 0 && rain > 0.0 ? (float)rain : 0.0f;
    }
    return field;
}

typedef struct scene {
    squall_field *frames[3];
    squall_motion *motion;
    squall_ensemble_options options;
} scene;

/* `wet`: one flag a frame, oldest first. */
static scene make_scene(int first, int second, int newest)
{
    const squall_grid grid = make_grid();
    scene s = {.frames = {make_frame(0, first), make_frame(1, second), make_frame(2, newest)}};
    assert_int_equal(squall_motion_create(&grid, &s.motion, NULL), SQUALL_OK);
    for (size_t i = 0; i < CELLS; i++) {
        s.motion->u[i] = 2.0f / STEP_S;
    }
    squall_ensemble_options_init(&s.options);
    s.options.members = 6;
    s.options.keep_members = 1;
    s.options.seed = 42;
    return s;
}

static void release(scene *s)
{
    for (int i = 0; i < 3; i++) {
        squall_field_destroy(&s->frames[i]);
    }
    squall_motion_destroy(&s->motion);
}

static squall_ensemble *run_steps(const scene *s)
{
    squall_ensemble *out = NULL;
    squall_error err = {0};
    if (squall_steps_run((const squall_field *const *)s->frames, 3, s->motion, leads_s, LEADS,
                         &s->options, &out, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return out;
}

static void run_sprog(const scene *s, squall_field **out)
{
    squall_error err = {0};
    for (int i = 0; i < LEADS; i++) {
        assert_int_equal(squall_field_create(&s->motion->grid, &out[i], NULL), SQUALL_OK);
    }
    if (squall_sprog_run((const squall_field *const *)s->frames, 3, s->motion, leads_s, LEADS,
                         &s->options, out, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
}

static void destroy_all(squall_field **fields)
{
    for (int i = 0; i < LEADS; i++) {
        squall_field_destroy(&fields[i]);
    }
}

static void assert_same(const squall_field *a, const squall_field *b)
{
    assert_memory_equal(a->values, b->values, CELLS * sizeof *a->values);
    assert_memory_equal(a->mask, b->mask, CELLS);
}

static double mean_of(const squall_field *field)
{
    squall_field_counts counts;
    squall_field_count(field, &counts);
    return counts.wet > 0 ? counts.mean * (double)counts.wet : 0.0;
}

/* What belongs together in a result. */
static void check_ensemble(const squall_ensemble *e, const scene *s)
{
    for (size_t lead = 0; lead < LEADS; lead++) {
        const squall_field *mean = e->mean[lead];
        assert_int_equal(mean->valid_time, s->frames[2]->valid_time + leads_s[lead]);
        for (size_t i = 0; i < CELLS; i++) {
            double sum = 0, seen = 0, above[SQUALL_ENSEMBLE_THRESHOLDS] = {0};
            for (size_t m = 0; m < e->members; m++) {
                const squall_field *field = e->fields[lead * e->members + m];
                assert_int_equal(isnan(field->values[i]) != 0,
                                 field->mask[i] == SQUALL_CELL_NO_COVERAGE);
                if (field->mask[i] != SQUALL_CELL_NO_COVERAGE) {
                    assert_true(field->values[i] >= 0.0f);
                    sum += (double)field->values[i];
                    seen++;
                    for (int t = 0; t < SQUALL_ENSEMBLE_THRESHOLDS; t++) {
                        above[t] += field->values[i] > e->thresholds_mm_h[t] ? 1.0 : 0.0;
                    }
                }
            }
            if (2 * seen < (double)e->members) {
                assert_int_equal(mean->mask[i], SQUALL_CELL_NO_COVERAGE);
                continue;
            }
            assert_true(fabs((double)mean->values[i] - sum / seen) < 1e-4);
            for (size_t t = 0; t < SQUALL_ENSEMBLE_THRESHOLDS; t++) {
                const squall_field *p = e->probabilities[lead * SQUALL_ENSEMBLE_THRESHOLDS + t];
                assert_true(fabs((double)p->values[i] - above[t] / seen) < 1e-6);
            }
        }
    }
}

static void test_steps(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    squall_ensemble *e = run_steps(&s);
    assert_int_equal(e->members, 6);
    assert_int_equal(e->leads, LEADS);
    check_ensemble(e, &s);
    for (size_t lead = 0; lead < LEADS; lead++) {
        assert_true(mean_of(e->mean[lead]) > 100.0); /* it rains on */
        /* No two members are alike. */
        assert_memory_not_equal(e->fields[lead * 6]->values, e->fields[lead * 6 + 1]->values,
                                CELLS * sizeof(float));
    }
    assert_int_equal(e->probabilities[0]->quantity, SQUALL_OTHER);
    assert_string_equal(e->probabilities[0]->unit_name, "1");
    squall_ensemble_destroy(&e);
    assert_null(e);
    squall_ensemble_destroy(&e);
    squall_ensemble_destroy(NULL);
    release(&s);
}

/* The same bits for every thread count; a member does not depend on how many there are. */
static void test_repeats(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    squall_field *one[LEADS], *three[LEADS];
    s.options.threads = 1;
    squall_ensemble *a = run_steps(&s);
    run_sprog(&s, one);
    s.options.threads = 3;
    squall_ensemble *b = run_steps(&s);
    run_sprog(&s, three);
    s.options.members = 3;
    squall_ensemble *fewer = run_steps(&s);
    s.options.seed = (uint64_t)42 << 32;
    squall_ensemble *other = run_steps(&s);
    for (size_t lead = 0; lead < LEADS; lead++) {
        assert_same(one[lead], three[lead]);
        assert_same(a->mean[lead], b->mean[lead]);
        for (size_t t = 0; t < SQUALL_ENSEMBLE_THRESHOLDS; t++) {
            assert_same(a->probabilities[lead * SQUALL_ENSEMBLE_THRESHOLDS + t],
                        b->probabilities[lead * SQUALL_ENSEMBLE_THRESHOLDS + t]);
        }
        for (size_t m = 0; m < 3; m++) {
            assert_same(a->fields[lead * 6 + m], fewer->fields[lead * 3 + m]);
            assert_memory_not_equal(fewer->fields[lead * 3 + m]->values,
                                    other->fields[lead * 3 + m]->values, CELLS * sizeof(float));
        }
    }
    squall_ensemble_destroy(&a);
    squall_ensemble_destroy(&b);
    squall_ensemble_destroy(&fewer);
    squall_ensemble_destroy(&other);
    destroy_all(one);
    destroy_all(three);
    release(&s);
}

/* All dry, one dry, the newest dry: forecasts, and of a dry newest frame dry ones. */
static void test_dry(void **state)
{
    (void)state;
    for (int wet = 0; wet < 8; wet++) {
        scene s = make_scene(wet & 1, (wet >> 1) & 1, (wet >> 2) & 1);
        squall_field *sprog[LEADS];
        squall_ensemble *e = run_steps(&s);
        run_sprog(&s, sprog);
        check_ensemble(e, &s);
        for (size_t lead = 0; lead < LEADS; lead++) {
            squall_field_counts counts;
            squall_field_count(sprog[lead], &counts);
            assert_true(counts.dry + counts.wet > CELLS / 2);
            if ((wet >> 2) == 0) {
                assert_true(mean_of(sprog[lead]) == 0.0 && mean_of(e->mean[lead]) == 0.0);
            } else {
                assert_true(mean_of(sprog[lead]) > 100.0 && mean_of(e->mean[lead]) > 100.0);
            }
        }
        squall_ensemble_destroy(&e);
        destroy_all(sprog);
        release(&s);
    }
}

/* Without a past to learn from, S-PROG is extrapolation. */
static void test_sprog_holds(void **state)
{
    (void)state;
    scene s = make_scene(0, 0, 1);
    squall_field *sprog[LEADS], *carried[LEADS];
    run_sprog(&s, sprog);
    for (int i = 0; i < LEADS; i++) {
        assert_int_equal(squall_field_create(&s.motion->grid, &carried[i], NULL), SQUALL_OK);
    }
    assert_int_equal(squall_advect_series(s.frames[2], s.motion, leads_s, LEADS, NULL, carried,
                                          NULL),
                     SQUALL_OK);
    for (int i = 0; i < LEADS; i++) {
        assert_same(sprog[i], carried[i]);
    }
    destroy_all(sprog);
    destroy_all(carried);
    release(&s);
}

/* The small scales, which change, fade; the values keep their distribution before they are carried.
 */
static void test_sprog_fades(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    squall_field *sprog[LEADS], *carried[LEADS];
    run_sprog(&s, sprog);
    double rough[2] = {0, 0};
    for (int i = 0; i < LEADS; i++) {
        assert_int_equal(squall_field_create(&s.motion->grid, &carried[i], NULL), SQUALL_OK);
    }
    assert_int_equal(squall_advect_series(s.frames[2], s.motion, leads_s, LEADS, NULL, carried,
                                          NULL),
                     SQUALL_OK);
    for (size_t i = 1; i < CELLS; i++) {
        const squall_field *const both[2] = {sprog[2], carried[2]};
        for (int k = 0; k < 2; k++) {
            const float *v = both[k]->values;
            rough[k] += isnan(v[i] + v[i - 1]) ? 0.0 : fabs((double)(v[i] - v[i - 1]));
        }
    }
    assert_true(rough[0] < 0.9 * rough[1]);
    destroy_all(sprog);
    destroy_all(carried);
    release(&s);
}

/* Where the newest frame did not look there is nothing to carry, and missing frames are missing. */
static void test_coverage(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    for (size_t i = 0; i < CELLS; i++) {
        if (i % WIDTH > 45) {
            s.frames[2]->mask[i] = SQUALL_CELL_NO_COVERAGE;
            s.frames[2]->values[i] = NAN;
        }
    }
    s.options.perturb_motion = 0;
    squall_field_destroy(&s.frames[0]); /* NULL: a process of order 1 */
    squall_field *sprog[LEADS];
    squall_ensemble *e = run_steps(&s);
    run_sprog(&s, sprog);
    check_ensemble(e, &s);
    for (size_t row = 0; row < HEIGHT; row++) {
        /* Two columns a step: the rim of coverage is then at 47, the western one at 2. */
        assert_int_equal(sprog[0]->mask[row * WIDTH + 1], SQUALL_CELL_NO_COVERAGE);
        assert_int_equal(e->mean[0]->mask[row * WIDTH + 1], SQUALL_CELL_NO_COVERAGE);
        assert_int_not_equal(e->mean[0]->mask[row * WIDTH + 3], SQUALL_CELL_NO_COVERAGE);
        assert_int_not_equal(e->mean[0]->mask[row * WIDTH + 46], SQUALL_CELL_NO_COVERAGE);
        assert_int_equal(e->mean[0]->mask[row * WIDTH + 49], SQUALL_CELL_NO_COVERAGE);
        assert_int_equal(sprog[0]->mask[row * WIDTH + 49], SQUALL_CELL_NO_COVERAGE);
    }
    squall_ensemble_destroy(&e);
    destroy_all(sprog);
    release(&s);
}

/* Members go their own ways only if they may, and further apart with time. */
static void test_ways(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    sq_ways same, apart;
    assert_int_equal(sq_ways_make(s.motion, 40, false, 1, &same, NULL), SQUALL_OK);
    assert_int_equal(sq_ways_make(s.motion, 40, true, 1, &apart, NULL), SQUALL_OK);
    double square = 0;
    for (size_t i = 0; i < 40; i++) {
        sq_way_follow(&same, &same.items[i], 0, 3600);
        sq_way_follow(&apart, &apart.items[i], 0, 3600);
        assert_true(fabs((double)same.items[i].x[0] - 24.0) < 1e-3);
        assert_true(fabs((double)same.items[i].y[0]) < 1e-3);
        square += pow((double)apart.items[i].x[0] - 24.0, 2);
    }
    /* 10.88 60^0.23 - 7.68 = 20.2 km/h, a cell is a km: within a factor of 1.7 from 40 numbers. */
    assert_true(sqrt(square / 40) > 12.0 && sqrt(square / 40) < 34.0);
    sq_ways_free(&same);
    sq_ways_free(&apart);
    for (long n = 0; n < 2; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(sq_ways_make(s.motion, 4, false, 1, &same, NULL), SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
    }
    release(&s);
}

static void expect(const scene *s, const int32_t *leads, size_t count, squall_status wanted)
{
    squall_ensemble *out = NULL;
    squall_error err = {0};
    assert_int_equal(squall_steps_run((const squall_field *const *)s->frames, 3, s->motion, leads,
                                      count, &s->options, &out, &err),
                     wanted);
    assert_int_equal(err.code, wanted);
    assert_true(err.text[0] != '\0');
    assert_null(out);
}

static void test_refusals(void **state)
{
    (void)state;
    static const int32_t falling[2] = {600, 300}, far[1] = {21601}, none[1] = {0};
    scene s = make_scene(1, 1, 1);
    expect(&s, falling, 2, SQUALL_E_ARGUMENT);
    expect(&s, far, 1, SQUALL_E_ARGUMENT);
    expect(&s, none, 1, SQUALL_E_ARGUMENT);
    expect(&s, leads_s, 0, SQUALL_E_ARGUMENT);
    s.options.members = 0;
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    s.options.members = 1025;
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    s.options.members = 2;
    s.options.levels = 13;
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    s.options.levels = 6;
    s.options.min_rate_mm_h = 0.0f;
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    s.options.min_rate_mm_h = 0.1f;
    s.frames[1]->valid_time = s.frames[2]->valid_time;
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    s.frames[1]->valid_time -= STEP_S;
    s.frames[0]->quantity = SQUALL_REFLECTIVITY;
    expect(&s, leads_s, LEADS, SQUALL_E_SHAPE);
    s.frames[0]->quantity = SQUALL_RAIN_RATE;
    s.motion->grid.left += 5000;
    expect(&s, leads_s, LEADS, SQUALL_E_SHAPE);
    for (int i = 0; i < 3; i++) {
        squall_field_destroy(&s.frames[i]);
    }
    expect(&s, leads_s, LEADS, SQUALL_E_ARGUMENT);
    release(&s);
}

/* Each allocation made to fail once. */
static void test_memory(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    squall_field *sprog[LEADS] = {NULL};
    s.options.members = 2;
    s.options.threads = 1;
    for (int which = 0; which < 2; which++) {
        squall_status status = SQUALL_E_MEMORY;
        long failed = 0;
        for (long n = 0; status != SQUALL_OK && n < 1000; n++) {
            squall_ensemble *out = NULL;
            squall_error err = {0};
            if (which == 0) {
                sq_memory_fail_at(n);
                status = squall_steps_run((const squall_field *const *)s.frames, 3, s.motion,
                                          leads_s, LEADS, &s.options, &out, &err);
            } else {
                for (int i = 0; n == 0 && i < LEADS; i++) {
                    assert_int_equal(squall_field_create(&s.motion->grid, &sprog[i], NULL),
                                     SQUALL_OK);
                }
                sq_memory_fail_at(n);
                status = squall_sprog_run((const squall_field *const *)s.frames, 3, s.motion,
                                          leads_s, LEADS, &s.options, sprog, &err);
            }
            sq_memory_fail_at(-1);
            if (status != SQUALL_OK) {
                assert_int_equal(status, SQUALL_E_MEMORY);
                assert_null(out);
                failed++;
            }
            squall_ensemble_destroy(&out);
        }
        assert_int_equal(status, SQUALL_OK);
        assert_true(failed > 10);
    }
    destroy_all(sprog);
    release(&s);
}

/* Rain that only moves does not fade, though its older frames, carried, do not reach the rim where
 * the newest has rain: that it comes in from outside says nothing of how long it lasts. */
static void test_rain_from_outside(void **state)
{
    (void)state;
    scene s = make_scene(1, 1, 1);
    squall_field *out[LEADS];
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < CELLS; i++) {
            const double x = i % WIDTH - 8.0 * k, y = i / WIDTH;
            const double rain = 6.0 * sin(0.31 * x + 0.1) * sin(0.23 * y);
            s.frames[k]->values[i] = rain > 0.1 ? (float)rain : 0.0f;
            s.frames[k]->mask[i] = rain > 0.1 ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
    for (size_t i = 0; i < CELLS; i++) {
        s.motion->u[i] = 8.0f / STEP_S;
    }
    run_sprog(&s, out);
    const double newest = mean_of(s.frames[2]);
    double difference = 0.0, known = 0.0;
    for (int i = 0; i < CELLS; i++) { /* after one step, eight columns on */
        if (i % WIDTH >= 8) {
            difference += fabs((double)out[0]->values[i] - (double)s.frames[2]->values[i - 8]);
            known += (double)s.frames[2]->values[i - 8];
        }
    }
    assert_true(newest > 0.0 && known > 0.0);
    assert_true(difference < 0.12 * known);
    destroy_all(out);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),       cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_dry),         cmocka_unit_test(test_sprog_holds),
        cmocka_unit_test(test_sprog_fades), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_ways),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory),      cmocka_unit_test(test_rain_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
