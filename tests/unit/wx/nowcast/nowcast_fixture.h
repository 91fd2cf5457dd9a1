/* tests/unit/wx/nowcast/nowcast_fixture.h - frames of drifting rain, and an engine that doubles it.
 */
#ifndef NOWCAST_FIXTURE_H
#define NOWCAST_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"
#include "wx/nowcast/nowcast.h"

#define ISSUE 1282788000 /* 2010-08-26T02:00:00Z */

enum { WIDTH = 60, HEIGHT = 44, MAX_FRAMES = 32 };

/* Rain of two cells that drift 2 columns east and 1 row south in 300 s; the last column is not
 * covered. */
static inline squall_field *make_frame(int64_t time)
{
    const squall_grid grid = {
        .width = WIDTH,
        .height = HEIGHT,
        .dx = 1000,
        .dy = 1000,
        .proj = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752"};
    static const double centre[2][2] = {{30, 20}, {16, 28}};
    const double steps = (double)(time - ISSUE) / 300.0;
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    snprintf(field->source, sizeof field->source, "frame%+lld", (long long)(time - ISSUE));
    for (size_t y = 0; y < HEIGHT; y++) {
        for (size_t x = 0; x + 1 < WIDTH; x++) {
            double rate = 0.0;
            for (int k = 0; k < 2; k++) {
                const double dx = ((double)x - centre[k][0] - 2.0 * steps) / 5.0;
                const double dy = ((double)y - centre[k][1] - steps) / 4.0;
                rate += (8.0 - 3.0 * k) * exp(-dx * dx - dy * dy);
            }
            const size_t i = y * WIDTH + x;
            field->mask[i] = rate > 0.1 ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
            field->values[i] = rate > 0.1 ? (float)rate : 0.0f;
        }
    }
    return field;
}

/* Frames of one test, released together. */
typedef struct frames {
    squall_field *items[MAX_FRAMES];
    size_t count;
} frames;

static inline void add_frame(frames *f, int64_t time)
{
    assert_true(f->count < MAX_FRAMES);
    f->items[f->count++] = make_frame(time);
}

/* `count` frames, `step_s` apart, the last at ISSUE. */
static inline frames make_frames(size_t count, int32_t step_s)
{
    frames f = {.count = 0};
    for (size_t i = count; i-- > 0;) {
        add_frame(&f, ISSUE - (int64_t)i * step_s);
    }
    return f;
}

static inline void free_frames(frames *f)
{
    for (size_t i = 0; i < f->count; i++) {
        squall_field_destroy(&f->items[i]);
    }
    f->count = 0;
}

static inline squall_source radar_of(const frames *f)
{
    return (squall_source){"radar", (const squall_field *const *)f->items, f->count};
}

/* A recipe of two radar frames, 0 and 600 s old, and two lead times, 5 and 10 minutes. */
#define RECIPE(frame, rest)                                                                \
    "{\"squall_recipe\":1,\"name\":\"double\",\"frame\":\"" frame "\",\"multiple\":16,"    \
    "\"cell_m\":1000,\"tolerance_s\":60,\"transforms\":{\"rain\":{\"curve\":\"linear\","   \
    "\"min\":0,\"max\":500,\"scale\":10}},\"inputs\":[{\"source\":\"radar\",\"time_s\":0," \
    "\"transform\":\"rain\"}," rest                                                        \
    "],\"outputs\":{\"leads_s\":[300,600],\"transform\":\"rain\"}}"
#define OLDER         "{\"source\":\"radar\",\"time_s\":-600,\"transform\":\"rain\"}"
#define RECIPE_FIXED  RECIPE("fixed", OLDER)
#define RECIPE_MOVING RECIPE("moving", OLDER)

/* An engine in memory: y = x + x, of [1, channels, height, width]. */
typedef struct test_engine {
    unsigned char *bytes; /* owned */
    squall_engine *engine;
} test_engine;

static inline test_engine make_engine(const char *recipe, int64_t channels, int64_t height,
                                      int64_t width)
{
    _Alignas(64) static unsigned char weights[64];
    const squall_tensor type = {.dtype = SQUALL_F32,
                                .rank = 4,
                                .dims = {1, channels, height, width}};
    test_engine made = {.bytes = NULL};
    sq_engine_file file;
    squall_error err = {.code = SQUALL_OK};
    size_t size;
    memset(&file, 0, sizeof file);
    file.profile_count = 1;
    file.portable = sq_alloc(1, sizeof *file.portable);
    plan_begin(file.portable);
    plan_value(file.portable, SQ_HOME_NONE, 0, 0);
    const uint32_t x = plan_value(file.portable, SQ_HOME_INPUT, 0, 1);
    const uint32_t y = plan_value(file.portable, SQ_HOME_OUTPUT, 0, 1);
    file.portable->values[x].type = file.portable->values[y].type = type;
    plan_step(file.portable, SQ_OP_Add, PLAN_REF, -1, x, x, y)->in_count = 2;
    file.weights = weights;
    file.weight_bytes = sizeof weights;
    file.recipe = recipe != NULL ? sq_strdup(recipe) : NULL;
    file.model_name = sq_strdup("double");
    file.squall_version = sq_strdup("0.1.0");
    file.isa = sq_strdup("");
    if (sq_engine_write(&file, &made.bytes, &size, &err) != SQUALL_OK ||
        squall_engine_open_memory(made.bytes, size, "double.engine", NULL, &made.engine, NULL,
                                  &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    sq_engine_free(&file);
    return made;
}

static inline void free_engine(test_engine *made)
{
    squall_engine_close(&made->engine);
    sq_free(made->bytes);
}

static inline squall_nowcaster *make_nowcaster(squall_engine *engine)
{
    squall_nowcaster *nowcaster = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (squall_nowcaster_create(engine, 2, &nowcaster, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return nowcaster;
}

/* A forecast that must succeed, at the default lead times. */
static inline squall_forecast *forecast(squall_nowcaster *nowcaster, const frames *f,
                                        squall_method method, squall_notes *notes)
{
    const squall_source radar = radar_of(f);
    squall_forecast *out = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (squall_nowcast_run(nowcaster, &radar, 1, SQUALL_TIME_NONE, NULL, 0, method, &out, notes,
                           &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return out;
}

/* Whether one of the notes has both texts in it. */
static inline bool noted(const squall_notes *notes, const char *first, const char *second)
{
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        const char *line = squall_notes_get(notes, i);
        if (strstr(line, first) != NULL && strstr(line, second) != NULL) {
            return true;
        }
    }
    return false;
}

static inline void assert_same_cells(const squall_field *a, const squall_field *b)
{
    const size_t cells = a->grid.width * a->grid.height;
    assert_memory_equal(a->mask, b->mask, cells);
    assert_memory_equal(a->values, b->values, cells * sizeof *a->values);
}

#endif /* NOWCAST_FIXTURE_H */
