/* tests/unit/wx/motion/test_motion_methods.c - the other ways to find motion: tracked corners and
 * spectra find what the dense flow finds, and nothing where there is no rain. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wx/motion/motion.h"

enum { WIDTH = 190, HEIGHT = 150, CELLS = WIDTH * HEIGHT, STEP_S = 300, FRAMES = 3 };

/* Rain of many scales as a function of place, so that it can be moved by any vector exactly. */
static float rain_at(double x, double y)
{
    const double wave = sin(x * 0.11) * cos(y * 0.13) + 0.7 * sin(x * 0.043 + y * 0.071 + 1.0) +
                        0.5 * cos(x * 0.023 - y * 0.19) + 0.3 * sin(x * 0.31 + 0.5 * y);
    return wave > 0.25 ? (float)(0.2 * exp(2.6 * (wave - 0.25))) : 0.0f;
}

/* Moved by (u, v) cells a step and turned by `turn` a step about the middle. */
static void make_frames(double u, double v, double turn, bool wet, squall_field **out)
{
    squall_grid grid = {.width = WIDTH, .height = HEIGHT, .top = -3650000, .dx = 1000, .dy = 1000};
    strcpy(grid.proj, "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750");
    for (int k = 0; k < FRAMES; k++) {
        assert_int_equal(squall_field_create(&grid, &out[k], NULL), SQUALL_OK);
        out[k]->valid_time = 1282788000 + (int64_t)k * STEP_S;
        for (int i = 0; i < CELLS; i++) {
            const double x = i % WIDTH - WIDTH / 2.0, y = (double)(i / WIDTH) - HEIGHT / 2.0;
            const double c = cos(turn * k), s = sin(turn * k);
            const float rate = wet ? rain_at(c * x + s * y - u * k, -s * x + c * y - v * k) : 0.0f;
            out[k]->values[i] = rate;
            out[k]->mask[i] = rate > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
}

static squall_motion *find(squall_field **frames, squall_motion_method method)
{
    squall_motion_options options;
    squall_motion *motion = NULL;
    squall_error err = {0};
    squall_motion_options_init(&options);
    options.method = method;
    assert_int_equal(squall_motion_create(&frames[0]->grid, &motion, NULL), SQUALL_OK);
    if (squall_motion_estimate((const squall_field *const *)frames, FRAMES, &options, motion,
                               &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return motion;
}

/* Mean error over the inner part, cells a step. */
static double error_of(const squall_motion *motion, double u, double v, double turn)
{
    double sum = 0.0, count = 0.0;
    for (int i = 0; i < CELLS; i++) {
        const double x = i % WIDTH - WIDTH / 2.0, y = (double)(i / WIDTH) - HEIGHT / 2.0;
        if (fabs(x) < WIDTH * 0.35 && fabs(y) < HEIGHT * 0.35) {
            const double want_u = u - turn * y, want_v = v + turn * x;
            sum += hypot((double)motion->u[i] * STEP_S - want_u,
                         (double)motion->v[i] * STEP_S - want_v);
            count += 1.0;
        }
    }
    return sum / count;
}

static void free_all(squall_field **frames, squall_motion **motion)
{
    for (int k = 0; k < FRAMES; k++) {
        squall_field_destroy(&frames[k]);
    }
    squall_motion_destroy(motion);
}

static void test_uniform(void **state)
{
    (void)state;
    static const double ways[][2] = {{3.0, -1.5}, {-6.5, 4.0}, {0.0, 0.0}, {0.4, 9.0}};
    for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++) {
        for (int method = 0; method < SQUALL_MOTION_METHODS; method++) {
            squall_field *frames[FRAMES];
            make_frames(ways[k][0], ways[k][1], 0.0, true, frames);
            squall_motion *motion = find(frames, (squall_motion_method)method);
            const double error = error_of(motion, ways[k][0], ways[k][1], 0.0);
            if (!(error < (method == SQUALL_MOTION_SPECTRAL ? 0.8 : 0.05))) {
                fail_msg("%s: (%g, %g) cells are found with an error of %g",
                         squall_motion_method_name((squall_motion_method)method), ways[k][0],
                         ways[k][1], error);
            }
            free_all(frames, &motion);
        }
    }
}

/* A turn about the middle: vectors differ from place to place. */
static void test_turning(void **state)
{
    (void)state;
    for (int method = 0; method < SQUALL_MOTION_METHODS; method++) {
        squall_field *frames[FRAMES];
        make_frames(1.0, 0.5, 0.02, true, frames);
        squall_motion *motion = find(frames, (squall_motion_method)method);
        const double error = error_of(motion, 1.0, 0.5, 0.02);
        if (!(error < (method == SQUALL_MOTION_SPECTRAL ? 0.6 : 0.2))) { /* one for all: 1.1 */
            fail_msg("%s: an error of %g cells",
                     squall_motion_method_name((squall_motion_method)method), error);
        }
        free_all(frames, &motion);
    }
}

static void test_dry(void **state)
{
    (void)state;
    for (int method = 0; method < SQUALL_MOTION_METHODS; method++) {
        squall_field *frames[FRAMES];
        make_frames(3.0, 1.0, 0.0, false, frames);
        squall_motion *motion = find(frames, (squall_motion_method)method);
        for (int i = 0; i < CELLS; i++) {
            assert_true(motion->u[i] == 0.0f && motion->v[i] == 0.0f);
        }
        free_all(frames, &motion);
    }
}

/* Half without coverage: vectors are numbers everywhere. */
static void test_coverage(void **state)
{
    (void)state;
    for (int method = 1; method < SQUALL_MOTION_METHODS; method++) {
        squall_field *frames[FRAMES];
        make_frames(3.0, 1.0, 0.0, true, frames);
        for (int i = 0; i < CELLS * FRAMES; i++) {
            if (i % WIDTH > WIDTH / 2) {
                frames[i / CELLS]->values[i % CELLS] = NAN;
                frames[i / CELLS]->mask[i % CELLS] = SQUALL_CELL_NO_COVERAGE;
            }
        }
        squall_motion *motion = find(frames, (squall_motion_method)method);
        for (int i = 0; i < CELLS; i++) {
            assert_true(isfinite(motion->u[i]) && isfinite(motion->v[i]));
        }
        free_all(frames, &motion);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    squall_field *frames[FRAMES];
    squall_motion_options options;
    squall_motion *motion = NULL;
    squall_error err;
    make_frames(1.0, 0.0, 0.0, true, frames);
    squall_motion_options_init(&options);
    options.method = SQUALL_MOTION_METHODS;
    assert_int_equal(squall_motion_create(&frames[0]->grid, &motion, NULL), SQUALL_OK);
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, FRAMES, &options,
                                            motion, &err),
                     SQUALL_E_ARGUMENT);
    assert_string_equal(squall_motion_method_name((squall_motion_method)7), "unknown");
    for (int method = 1; method < SQUALL_MOTION_METHODS; method++) {
        int failures = 0;
        options.method = method;
        for (int n = 0; n < 40; n++) {
            sq_memory_fail_at(n);
            const squall_status status = squall_motion_estimate((const squall_field *const *)frames,
                                                                FRAMES, &options, motion, &err);
            sq_memory_fail_at(-1);
            if (status == SQUALL_OK) {
                break;
            }
            assert_int_equal(status, SQUALL_E_MEMORY);
            failures++;
        }
        assert_true(failures >= 4 && failures < 40);
    }
    free_all(frames, &motion);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform),  cmocka_unit_test(test_turning),
        cmocka_unit_test(test_dry),      cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
