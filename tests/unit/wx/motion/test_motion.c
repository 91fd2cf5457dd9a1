/* Motion of known fields is found, fields end where motion carries them, and nothing breaks on what
 * frames may be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { WIDTH = 190, HEIGHT = 150, STEP_S = 300 };

#define START 1282788000 /* 2010-08-26T02:00:00Z */

static squall_grid make_grid(size_t width, size_t height)
{
    squall_grid grid = {
        .width = width, .height = height, .left = 0, .top = -3650000, .dx = 1000, .dy = 1000};
    strcpy(grid.proj, "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378140 +b=6356750");
    return grid;
}

static squall_field *make_field(size_t width, size_t height, int64_t time)
{
    const squall_grid grid = make_grid(width, height);
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    for (size_t i = 0; i < width * height; i++) {
        field->mask[i] = SQUALL_CELL_DRY;
        field->values[i] = 0.0f;
    }
    return field;
}

/* Rain of many scales, as a function of place, so that it can be moved by any vector exactly. */
static float rain_at(double x, double y)
{
    const double wave = sin(x * 0.11) * cos(y * 0.13) + 0.7 * sin(x * 0.043 + y * 0.071 + 1.0) +
                        0.5 * cos(x * 0.023 - y * 0.19) + 0.3 * sin(x * 0.31 + 0.5 * y);
    return wave > 0.25 ? (float)(0.2 * exp(2.6 * (wave - 0.25))) : 0.0f;
}

/* The same rain, turned about the middle and moved. */
typedef struct course {
    double u, v; /* cells a step */
    double turn; /* radians a step, about the middle of the grid */
} course;

static squall_field *make_rain(const course *way, double steps)
{
    squall_field *field = make_field(WIDTH, HEIGHT, START + (int64_t)(steps * STEP_S));
    for (size_t i = 0; i < HEIGHT; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            const double x = (double)j - WIDTH / 2.0, y = (double)i - HEIGHT / 2.0;
            const double c = cos(way->turn * steps), s = sin(way->turn * steps);
            const float rate =
                rain_at(c * x + s * y - way->u * steps, -s * x + c * y - way->v * steps);
            field->values[i * WIDTH + j] = rate;
            field->mask[i * WIDTH + j] = rate > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
    return field;
}

static squall_motion *make_motion(const squall_grid *grid)
{
    squall_motion *motion = NULL;
    assert_int_equal(squall_motion_create(grid, &motion, NULL), SQUALL_OK);
    return motion;
}

static void free_fields(squall_field **fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        squall_field_destroy(&fields[i]);
    }
}

/* Root mean square of what is missed, cells a step, away from the rim. */
static double flow_error(const squall_motion *motion, const course *way)
{
    double sum = 0.0, count = 0.0;
    for (size_t i = 20; i + 20 < HEIGHT; i++) {
        for (size_t j = 20; j + 20 < WIDTH; j++) {
            const double x = (double)j - WIDTH / 2.0, y = (double)i - HEIGHT / 2.0;
            const double u = motion->u[i * WIDTH + j] * STEP_S - (way->u - way->turn * y);
            const double v = motion->v[i * WIDTH + j] * STEP_S - (way->v + way->turn * x);
            sum += u * u + v * v;
            count += 1.0;
        }
    }
    return sqrt(sum / count);
}

static void test_known_motion(void **state)
{
    (void)state;
    static const struct {
        course way;
        size_t frames;
        double error; /* cells a step that may be missed: a tenth of a cell, more where it turns */
    } cases[] = {{{0.0, 0.0, 0.0}, 2, 0.02},
                 {{3.2, -1.7, 0.0}, 2, 0.15},
                 {{3.2, -1.7, 0.0}, 4, 0.15},
                 {{-9.0, 6.5, 0.0}, 3, 0.35},
                 {{1.0, 0.5, 0.02}, 4, 0.35}};
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        squall_field *frames[4];
        for (size_t k = 0; k < cases[n].frames; k++) {
            frames[k] = make_rain(&cases[n].way, (double)k);
        }
        squall_motion *motion = make_motion(&frames[0]->grid);
        assert_int_equal(squall_motion_estimate((const squall_field *const *)frames,
                                                cases[n].frames, NULL, motion, NULL),
                         SQUALL_OK);
        const double error = flow_error(motion, &cases[n].way);
        if (error > cases[n].error) {
            fail_msg("case %zu: %g cells a step are missed", n, error);
        }
        squall_motion_destroy(&motion);
        free_fields(frames, cases[n].frames);
    }
}

/* A frame that is missing leaves a longer step; the same motion is found. */
static void test_missing_frame(void **state)
{
    (void)state;
    const course way = {2.5, 1.5, 0.0};
    squall_field *frames[4] = {make_rain(&way, 0), make_rain(&way, 1), NULL, make_rain(&way, 3)};
    squall_motion *motion = make_motion(&frames[0]->grid);
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 4, NULL, motion,
                                            NULL),
                     SQUALL_OK);
    assert_true(flow_error(motion, &way) < 0.2);
    squall_motion_destroy(&motion);
    free_fields(frames, 4);
}

/* Where nobody looked takes no part: half a frame without coverage changes the vectors of the other
 * half little. */
static void test_no_coverage(void **state)
{
    (void)state;
    const course way = {2.5, 1.5, 0.0};
    squall_field *frames[3];
    for (size_t k = 0; k < 3; k++) {
        frames[k] = make_rain(&way, (double)k);
        for (size_t i = 0; i < HEIGHT; i++) {
            for (size_t j = WIDTH / 2; j < WIDTH; j++) {
                frames[k]->mask[i * WIDTH + j] = SQUALL_CELL_NO_COVERAGE;
                frames[k]->values[i * WIDTH + j] = NAN;
            }
        }
    }
    squall_motion *motion = make_motion(&frames[0]->grid);
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 3, NULL, motion,
                                            NULL),
                     SQUALL_OK);
    assert_true(flow_error(motion, &way) < 0.3);
    squall_motion_destroy(&motion);
    free_fields(frames, 3);
}

static void test_dry_frames(void **state)
{
    (void)state;
    squall_field *frames[2] = {make_field(WIDTH, HEIGHT, START),
                               make_field(WIDTH, HEIGHT, START + STEP_S)};
    squall_motion *motion = make_motion(&frames[0]->grid);
    motion->u[7] = 99.0f;
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 2, NULL, motion,
                                            NULL),
                     SQUALL_OK);
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        assert_true(motion->u[i] == 0.0f && motion->v[i] == 0.0f);
    }
    squall_motion_destroy(&motion);
    free_fields(frames, 2);
}

/* 9 cells of 1 km in 5 minutes are 37 m/s at latitude 50 or so; 10 m/s are allowed. */
static void test_speed_limit(void **state)
{
    (void)state;
    const course way = {-9.0, 6.5, 0.0};
    squall_field *frames[3] = {make_rain(&way, 0), make_rain(&way, 1), make_rain(&way, 2)};
    squall_motion *motion = make_motion(&frames[0]->grid);
    squall_motion_options options;
    squall_motion_options_init(&options);
    options.max_speed_m_s = 10.0f;
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 3, &options,
                                            motion, NULL),
                     SQUALL_OK);
    float fastest = 0.0f;
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        fastest = fmaxf(fastest, hypotf(motion->u[i], motion->v[i]) * 1000.0f);
    }
    assert_true(fastest < 11.0f &&
                fastest > 8.5f); /* the projection's metres are not quite the earth's */
    squall_motion_destroy(&motion);
    free_fields(frames, 3);
}

/* One row, one column, a few cells: no level to halve, nothing to read beyond. */
static void test_small_grids(void **state)
{
    (void)state;
    static const size_t sides[][2] = {{1, 1}, {1, 40}, {40, 1}, {2, 3}, {9, 9}, {24, 25}, {49, 17}};
    for (size_t n = 0; n < sizeof sides / sizeof sides[0]; n++) {
        const size_t width = sides[n][0], height = sides[n][1];
        squall_field *frames[2] = {make_field(width, height, START),
                                   make_field(width, height, START + STEP_S)};
        for (size_t i = 0; i < width * height; i++) {
            frames[0]->values[i] = frames[1]->values[i] = 1.0f + (float)(i * 7 % 11);
        }
        squall_motion *motion = make_motion(&frames[0]->grid);
        assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 2, NULL,
                                                motion, NULL),
                         SQUALL_OK);
        for (size_t i = 0; i < width * height; i++) {
            assert_true(fabsf(motion->u[i]) < 1e-3f && fabsf(motion->v[i]) < 1e-3f);
        }
        squall_field *out = make_field(width, height, 0);
        assert_int_equal(squall_advect(frames[1], motion, 600, NULL, out, NULL), SQUALL_OK);
        squall_field_destroy(&out);
        squall_motion_destroy(&motion);
        free_fields(frames, 2);
    }
}

/* The same bits for every thread count. */
static void test_threads(void **state)
{
    (void)state;
    const course way = {3.2, -1.7, 0.01};
    squall_field *frames[3] = {make_rain(&way, 0), make_rain(&way, 1), make_rain(&way, 2)};
    squall_motion *motion[2] = {make_motion(&frames[0]->grid), make_motion(&frames[0]->grid)};
    squall_field *out[2] = {make_field(WIDTH, HEIGHT, 0), make_field(WIDTH, HEIGHT, 0)};
    for (int n = 0; n < 2; n++) {
        squall_motion_options options;
        squall_advect_options advect;
        squall_motion_options_init(&options);
        squall_advect_options_init(&advect);
        options.threads = advect.threads = n == 0 ? 1 : 5;
        assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 3, &options,
                                                motion[n], NULL),
                         SQUALL_OK);
        assert_int_equal(squall_advect(frames[2], motion[n], 2700, &advect, out[n], NULL),
                         SQUALL_OK);
    }
    const size_t cells = WIDTH * HEIGHT;
    assert_memory_equal(motion[0]->u, motion[1]->u, cells * sizeof(float));
    assert_memory_equal(motion[0]->v, motion[1]->v, cells * sizeof(float));
    assert_memory_equal(out[0]->values, out[1]->values, cells * sizeof(float));
    assert_memory_equal(out[0]->mask, out[1]->mask, cells);
    free_fields(out, 2);
    free_fields(frames, 3);
    squall_motion_destroy(&motion[0]);
    squall_motion_destroy(&motion[1]);
}

/* Bad frames are refused, and the motion field is left alone. */
static void test_refusals(void **state)
{
    (void)state;
    squall_error err;
    squall_field *a = make_field(20, 20, START), *b = make_field(20, 20, START + STEP_S),
                 *other = make_field(21, 20, START + STEP_S);
    squall_motion *motion = make_motion(&a->grid);
    motion->u[0] = 5.0f;
    const squall_field *one[2] = {a, NULL}, *backwards[2] = {b, a}, *mixed[2] = {a, other},
                       *good[2] = {a, b};
    assert_int_equal(squall_motion_estimate(one, 2, NULL, motion, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_motion_estimate(backwards, 2, NULL, motion, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_motion_estimate(mixed, 2, NULL, motion, &err), SQUALL_E_SHAPE);
    assert_non_null(strstr(err.text, "21x20"));
    squall_field_set_quantity(b, SQUALL_REFLECTIVITY, NULL, NULL);
    assert_int_equal(squall_motion_estimate(good, 2, NULL, motion, &err), SQUALL_E_SHAPE);
    squall_field_set_quantity(b, SQUALL_RAIN_RATE, NULL, NULL);
    b->valid_time = SQUALL_TIME_NONE;
    assert_int_equal(squall_motion_estimate(good, 2, NULL, motion, &err), SQUALL_E_ARGUMENT);
    b->valid_time = START + STEP_S;
    squall_motion_options options;
    squall_motion_options_init(&options);
    options.min_rate_mm_h = 0.0f;
    assert_int_equal(squall_motion_estimate(good, 2, &options, motion, &err), SQUALL_E_ARGUMENT);
    const squall_field *nine[9] = {a, a, a, a, a, a, a, a, a};
    assert_int_equal(squall_motion_estimate(nine, 9, NULL, motion, &err), SQUALL_E_ARGUMENT);
    assert_true(motion->u[0] == 5.0f);

    const int32_t far[1] = {21601}, mixed_signs[2] = {300, -300}, shrinking[2] = {600, 300};
    squall_field *outs[2] = {b, b};
    assert_int_equal(squall_advect_series(a, motion, far, 1, NULL, outs, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_advect_series(a, motion, mixed_signs, 2, NULL, outs, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_advect_series(a, motion, shrinking, 2, NULL, outs, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_advect(a, motion, 300, NULL, other, &err), SQUALL_E_SHAPE);
    squall_advect_options advect;
    squall_advect_options_init(&advect);
    advect.substep_s = 0;
    assert_int_equal(squall_advect(a, motion, 300, &advect, b, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(squall_advect_series(a, motion, far, 0, NULL, outs, &err), SQUALL_OK);
    squall_motion_destroy(&motion);
    squall_field_destroy(&a);
    squall_field_destroy(&b);
    squall_field_destroy(&other);
    squall_motion_destroy(&motion); /* nothing there: nothing happens */
}

static void test_without_memory(void **state)
{
    (void)state;
    const course way = {1.0, 1.0, 0.0};
    squall_field *frames[2] = {make_rain(&way, 0), make_rain(&way, 1)};
    squall_field *out = make_field(WIDTH, HEIGHT, 0);
    squall_motion *motion = make_motion(&frames[0]->grid);
    squall_motion_options options;
    squall_advect_options advect;
    squall_motion_options_init(&options);
    squall_advect_options_init(&advect);
    options.threads = advect.threads = 1;
    const long before = sq_memory_count();
    assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 2, &options,
                                            motion, NULL),
                     SQUALL_OK);
    const long middle = sq_memory_count();
    const int32_t leads[1] = {300};
    assert_int_equal(squall_advect_series(frames[1], motion, leads, 1, &advect, &out, NULL),
                     SQUALL_OK);
    const long after = sq_memory_count();
    assert_true(middle > before && after > middle);
    for (long n = 0; n < middle - before; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(squall_motion_estimate((const squall_field *const *)frames, 2, &options,
                                                motion, NULL),
                         SQUALL_E_MEMORY);
    }
    for (long n = 0; n < after - middle; n++) {
        out->valid_time = 17;
        sq_memory_fail_at(n);
        assert_int_equal(squall_advect_series(frames[1], motion, leads, 1, &advect, &out, NULL),
                         SQUALL_E_MEMORY);
        assert_true(out->valid_time == 17);
    }
    for (long n = 0; n < 3; n++) {
        squall_motion *none = NULL;
        sq_memory_fail_at(n);
        assert_int_equal(squall_motion_create(&frames[0]->grid, &none, NULL), SQUALL_E_MEMORY);
        assert_null(none);
    }
    sq_memory_fail_at(-1);
    squall_motion_destroy(&motion);
    squall_field_destroy(&out);
    free_fields(frames, 2);
}

/* Whole cells of motion move values whole, forward and back; what comes from outside is not known;
 * lead 0 is a copy. */
static void test_advection_moves(void **state)
{
    (void)state;
    squall_field *field = make_field(30, 20, START), *out = make_field(30, 20, 0);
    squall_motion *motion = make_motion(&field->grid);
    field->window_s = 300;
    strcpy(field->source, "here");
    for (size_t i = 0; i < 600; i++) {
        motion->u[i] = 2.0f / 300.0f;
        motion->v[i] = -1.0f / 300.0f;
        field->values[i] = (float)(i % 7);
        field->mask[i] = i % 7 == 0 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE;
    }
    assert_int_equal(squall_advect(field, motion, 900, NULL, out, NULL), SQUALL_OK);
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 0; j < 30; j++) {
            const size_t at = i * 30 + j;
            if (j < 6 || i + 3 >= 20) {
                assert_int_equal(out->mask[at], SQUALL_CELL_NO_COVERAGE);
                assert_true(isnan(out->values[at]));
            } else {
                const size_t from = (i + 3) * 30 + j - 6;
                assert_true(fabsf(out->values[at] - field->values[from]) < 1e-4f);
            }
        }
    }
    assert_true(out->valid_time == START + 900 && out->window_s == 300);
    assert_string_equal(out->source, "here");
    assert_int_equal(squall_advect(field, motion, -300, NULL, out, NULL), SQUALL_OK);
    assert_true(fabsf(out->values[10 * 30 + 10] - field->values[9 * 30 + 12]) < 1e-4f);
    assert_int_equal(squall_advect(field, motion, 0, NULL, out, NULL), SQUALL_OK);
    assert_memory_equal(out->values, field->values, 600 * sizeof(float));
    assert_memory_equal(out->mask, field->mask, 600);
    squall_motion_destroy(&motion);
    squall_field_destroy(&field);
    squall_field_destroy(&out);
}

/* No coverage, dry and 0 stay three things, and do not leak into one another between cells. */
static void test_advection_mask(void **state)
{
    (void)state;
    squall_field *field = make_field(8, 1, START), *out = make_field(8, 1, 0);
    squall_motion *motion = make_motion(&field->grid);
    static const uint8_t masks[8] = {SQUALL_CELL_NO_COVERAGE, SQUALL_CELL_NO_COVERAGE,
                                     SQUALL_CELL_VALUE,       SQUALL_CELL_VALUE,
                                     SQUALL_CELL_DRY,         SQUALL_CELL_DRY,
                                     SQUALL_CELL_VALUE,       SQUALL_CELL_VALUE};
    static const float values[8] = {NAN, NAN, 4, 2, 0, 0, 0, 0};
    memcpy(field->mask, masks, sizeof masks);
    memcpy(field->values, values, sizeof values);
    assert_int_equal(squall_field_add_quality(field, NULL), SQUALL_OK);
    for (size_t i = 0; i < 8; i++) {
        motion->u[i] = 0.25f / 300.0f; /* a quarter of a cell to the east: each takes 3/4 of itself,
                                          1/4 of its neighbour */
        field->quality[i] = 0.1f * (float)i;
    }
    assert_int_equal(squall_advect(field, motion, 300, NULL, out, NULL), SQUALL_OK);
    assert_int_equal(out->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_true(out->mask[2] == SQUALL_CELL_VALUE &&
                fabsf(out->values[2] - 4.0f) < 1e-5f); /* its neighbour was not looked at */
    assert_true(out->mask[3] == SQUALL_CELL_VALUE && fabsf(out->values[3] - 2.5f) < 1e-4f);
    assert_true(out->mask[4] == SQUALL_CELL_VALUE && fabsf(out->values[4] - 0.5f) < 1e-4f);
    assert_true(out->mask[5] == SQUALL_CELL_DRY && out->values[5] == 0.0f);
    assert_true(out->mask[7] == SQUALL_CELL_VALUE && out->values[7] == 0.0f); /* a measured 0 */
    assert_non_null(out->quality);
    assert_true(out->quality[3] == field->quality[3] && isnan(out->quality[1]));

    /* dBZ does not add up over dry cells: only those of the nearest one's kind are averaged. */
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, NULL, NULL);
    field->values[6] = field->values[7] = -12.0f;
    assert_int_equal(squall_advect(field, motion, 300, NULL, out, NULL), SQUALL_OK);
    assert_true(out->mask[4] == SQUALL_CELL_DRY && out->values[4] == 0.0f);
    assert_true(out->mask[6] == SQUALL_CELL_VALUE && out->values[6] == -12.0f);
    assert_int_equal(out->quantity, SQUALL_REFLECTIVITY);
    squall_motion_destroy(&motion);
    squall_field_destroy(&field);
    squall_field_destroy(&out);
}

/* Many leads at once are each lead alone: the trajectories go on where they were. Each field by its
 * own lead. */
static void test_advection_series(void **state)
{
    (void)state;
    const course way = {0.0, 0.0, 0.03}; /* a steady turn: its motion does not change */
    squall_field *field = make_rain(&way, 0), *other = make_rain(&way, 5);
    squall_motion *motion = make_motion(&field->grid);
    for (size_t i = 0; i < HEIGHT; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            motion->u[i * WIDTH + j] =
                (float)(way.u - way.turn * ((double)i - HEIGHT / 2.0)) / STEP_S;
            motion->v[i * WIDTH + j] =
                (float)(way.v + way.turn * ((double)j - WIDTH / 2.0)) / STEP_S;
        }
    }
    static const int32_t leads[3] = {300, 600, 1800};
    squall_field *out[3], *alone = make_field(WIDTH, HEIGHT, 0);
    for (int k = 0; k < 3; k++) {
        out[k] = make_field(WIDTH, HEIGHT, 0);
    }
    squall_advect_options options;
    squall_advect_options_init(&options);
    options.substep_s = 300;
    assert_int_equal(squall_advect_series(field, motion, leads, 3, &options, out, NULL), SQUALL_OK);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(squall_advect(field, motion, leads[k], &options, alone, NULL), SQUALL_OK);
        assert_memory_equal(out[k]->values, alone->values, WIDTH * HEIGHT * sizeof(float));
        assert_true(out[k]->valid_time == START + leads[k]);
    }
    /* A turn of 0.18 radians in half an hour: the rain is where it should be, but for what the
     * bilinear mean smooths. */
    squall_field *truth = make_rain(&way, 6);
    double error = 0.0, rain = 0.0;
    for (size_t i = 30; i + 30 < HEIGHT; i++) {
        for (size_t j = 30; j + 30 < WIDTH; j++) {
            error += fabs(out[2]->values[i * WIDTH + j] - truth->values[i * WIDTH + j]);
            rain += truth->values[i * WIDTH + j];
        }
    }
    assert_true(rain > 0.0 && error / rain < 0.05);
    const squall_field *both[2] = {field, other};
    assert_int_equal(squall_advect_each(both, motion, leads, 2, &options, out, NULL), SQUALL_OK);
    assert_int_equal(squall_advect(other, motion, leads[1], &options, alone, NULL), SQUALL_OK);
    assert_memory_equal(out[1]->values, alone->values, WIDTH * HEIGHT * sizeof(float));
    squall_motion_destroy(&motion);
    free_fields(out, 3);
    squall_field_destroy(&alone);
    squall_field_destroy(&truth);
    squall_field_destroy(&field);
    squall_field_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_motion),   cmocka_unit_test(test_missing_frame),
        cmocka_unit_test(test_no_coverage),    cmocka_unit_test(test_dry_frames),
        cmocka_unit_test(test_speed_limit),    cmocka_unit_test(test_small_grids),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_advection_moves),
        cmocka_unit_test(test_advection_mask), cmocka_unit_test(test_advection_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
