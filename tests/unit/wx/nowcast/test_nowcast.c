/* tests/unit/wx/nowcast/test_nowcast.c - forecasts by every method, and from inputs with faults. */
#include "wx/nowcast/nowcast_fixture.h"

/* ------------------------------------------------------------ the methods */

static void test_persistence(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_notes *notes = squall_notes_create();
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_PERSISTENCE, notes);
    assert_int_equal(out->method, SQUALL_METHOD_PERSISTENCE);
    assert_int_equal(out->issue_time, ISSUE);
    assert_int_equal(out->count, 12);
    for (size_t i = 0; i < out->count; i++) {
        assert_int_equal(out->leads_s[i], 300 * (int)(i + 1));
        assert_int_equal(out->fields[i]->valid_time, ISSUE + out->leads_s[i]);
        assert_int_equal(out->fields[i]->quantity, SQUALL_RAIN_RATE);
        assert_string_equal(out->fields[i]->source, "squall persistence");
        assert_same_cells(out->fields[i], f.items[3]);
    }
    assert_true(out->quality_index == 1.0);
    assert_string_equal(out->quality, "nominal");
    assert_int_equal(squall_notes_count(notes), 0);
    squall_forecast_destroy(&out);
    assert_null(out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    assert_null(nowcaster);
    free_frames(&f);
}

/* Column of the centre of the rain. */
static double centre_column(const squall_field *field)
{
    double sum = 0.0, weighted = 0.0;
    for (size_t i = 0; i < field->grid.width * field->grid.height; i++) {
        if (field->mask[i] == SQUALL_CELL_VALUE) {
            sum += (double)field->values[i];
            weighted += (double)field->values[i] * (double)(i % field->grid.width);
        }
    }
    return weighted / sum;
}

static void test_extrapolation(void **state)
{
    (void)state;
    frames f = make_frames(5, 300);
    const squall_source radar = radar_of(&f);
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, NULL);
    squall_motion *motion = NULL;
    squall_field *carried[12] = {NULL};
    squall_error err;
    assert_int_equal(out->method, SQUALL_METHOD_EXTRAPOLATION);
    assert_int_equal(out->count, 12);
    assert_true(out->quality_index == 1.0);
    assert_string_equal(out->quality, "nominal");

    /* It is what the public pieces give. */
    assert_int_equal(squall_nowcast_motion(&radar, 1, SQUALL_TIME_NONE, 1, &motion, NULL, &err),
                     SQUALL_OK);
    for (size_t i = 0; i < out->count; i++) {
        assert_int_equal(squall_field_create(&motion->grid, &carried[i], &err), SQUALL_OK);
    }
    assert_int_equal(squall_advect_series(f.items[4], motion, out->leads_s, out->count, NULL,
                                          carried, &err),
                     SQUALL_OK);
    for (size_t i = 0; i < out->count; i++) {
        assert_same_cells(out->fields[i], carried[i]);
        assert_int_equal(out->fields[i]->valid_time, ISSUE + out->leads_s[i]);
        squall_field_destroy(&carried[i]);
    }
    /* The rain goes on at its 2 columns in 300 s. */
    const double drift = centre_column(out->fields[1]) - centre_column(f.items[4]);
    assert_true(fabs(drift - 4.0) < 0.6);
    squall_motion_destroy(&motion);
    squall_forecast_destroy(&out);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&f);
}

/* The forecast of the engine at lead `i` is twice `base` carried on, as far as that is covered. */
static void assert_doubled(const squall_field *field, const squall_field *base)
{
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        assert_int_equal(field->mask[i] == SQUALL_CELL_NO_COVERAGE,
                         base->mask[i] == SQUALL_CELL_NO_COVERAGE);
        if (base->mask[i] != SQUALL_CELL_NO_COVERAGE &&
            fabsf(field->values[i] - 2.0f * base->values[i]) > 1e-4f) {
            fail_msg("cell %zu: %g, not twice %g", i, (double)field->values[i],
                     (double)base->values[i]);
        }
    }
}

static void test_model_fixed(void **state)
{
    (void)state;
    frames f = make_frames(3, 300);
    test_engine made = make_engine(RECIPE_FIXED, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_notes *notes = squall_notes_create();
    squall_tensor input, output;
    assert_string_equal(squall_recipe_name(squall_nowcaster_recipe(nowcaster)), "double");
    squall_nowcaster_tensors(nowcaster, &input, &output);
    assert_null(input.data);
    assert_null(output.data);
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_int_equal(out->count, 2);
    assert_doubled(out->fields[0], f.items[2]); /* the channel of the newest frame */
    assert_doubled(out->fields[1], f.items[0]); /* and that of 600 s before */
    assert_int_equal(out->fields[1]->valid_time, ISSUE + 600);
    assert_string_equal(out->fields[1]->source, "squall model");
    assert_true(out->quality_index == 1.0);
    assert_string_equal(out->quality, "nominal");
    assert_int_equal(squall_notes_count(notes), 0);
    squall_nowcaster_tensors(nowcaster, &input, &output);
    assert_int_equal(input.dims[3], 64);
    const float *x = input.data, *y = output.data;
    assert_true(x[20 * 64 + 30] == f.items[2]->values[20 * WIDTH + 30] / 10.0f);
    assert_true(y[20 * 64 + 30] == 2.0f * x[20 * 64 + 30]);
    squall_forecast_destroy(&out);

    /* Lead times that were asked for, out of those it has. */
    const int32_t leads_s[1] = {600};
    const squall_source radar = radar_of(&f);
    squall_error err;
    assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE, leads_s, 1,
                                        SQUALL_METHOD_MODEL, &out, notes, &err),
                     SQUALL_OK);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_int_equal(out->count, 1);
    assert_doubled(out->fields[0], f.items[0]);
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&f);
}

/* In the moving frame the network's doubled rain goes on along the motion. */
static void test_model_moving(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    test_engine made = make_engine(RECIPE_MOVING, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_forecast *model = forecast(nowcaster, &f, SQUALL_METHOD_MODEL, NULL);
    squall_forecast *carried = forecast(nowcaster, &f, SQUALL_METHOD_EXTRAPOLATION, NULL);
    assert_int_equal(model->method, SQUALL_METHOD_MODEL);
    assert_int_equal(carried->method, SQUALL_METHOD_EXTRAPOLATION);
    assert_int_equal(carried->count, 2); /* the lead times of the recipe, for every method */
    assert_doubled(model->fields[0], carried->fields[0]);
    assert_true(model->features_s >= 0 && model->engine_s >= 0 && model->fields_s >= 0);
    squall_forecast_destroy(&model);
    squall_forecast_destroy(&carried);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&f);
}

/* ------------------------------------------------------------ observations with faults */

static void test_frame_missing(void **state)
{
    (void)state;
    frames f = {.count = 0};
    test_engine made = make_engine(RECIPE_MOVING, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_notes *notes = squall_notes_create();
    add_frame(&f, ISSUE - 900);
    add_frame(&f, ISSUE - 300);
    add_frame(&f, ISSUE);
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_true(out->quality_index == 0.75);
    assert_string_equal(out->quality, "1 of 2 observations at their time, 1 replaced, 0 absent");
    assert_true(noted(notes, "radar", "nothing at 2010-08-26T01:50:00Z; 2010-08-26T01:45:00Z"));
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&f);
}

static void test_few_frames(void **state)
{
    (void)state;
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_notes *notes = squall_notes_create();
    /* Two: a motion, but less sure. */
    frames f = make_frames(2, 600);
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_EXTRAPOLATION);
    assert_true(fabs(out->quality_index - 2.0 / 3.0) < 1e-12);
    assert_string_equal(out->quality, "from 2 radar frames");
    assert_int_equal(squall_notes_count(notes), 0);
    squall_forecast_destroy(&out);
    free_frames(&f);
    /* One: nothing is known of the motion. The same where the other is too old. */
    for (int i = 0; i < 2; i++) {
        f = make_frames(i == 0 ? 1 : 2, 3000);
        out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
        assert_int_equal(out->method, SQUALL_METHOD_PERSISTENCE);
        assert_true(out->quality_index == 0.5);
        assert_string_equal(out->quality,
                            "persistence in place of extrapolation; from 1 radar frame");
        assert_true(noted(notes, "radar", "only one frame in the last 45 minutes"));
        assert_same_cells(out->fields[0], f.items[f.count - 1]);
        squall_forecast_destroy(&out);
        squall_notes_destroy(&notes);
        notes = squall_notes_create();
        free_frames(&f);
    }
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
}

/* One frame: a network of the fixed frame needs no motion, one of the moving frame does. */
static void test_model_from_one_frame(void **state)
{
    (void)state;
    frames f = make_frames(1, 300);
    squall_notes *notes = squall_notes_create();
    test_engine made = make_engine(RECIPE_FIXED, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_true(out->quality_index == 0.75); /* the same frame stands in for the older one */
    assert_doubled(out->fields[1], f.items[0]);
    squall_forecast_destroy(&out);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);

    made = make_engine(RECIPE_MOVING, 2, 48, 64);
    nowcaster = make_nowcaster(made.engine);
    out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_PERSISTENCE);
    assert_true(out->quality_index == 0.5);
    assert_string_equal(out->quality, "persistence in place of model; from 1 radar frame");
    assert_true(noted(notes, "double", "needs a motion field"));
    squall_forecast_destroy(&out);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    squall_notes_destroy(&notes);
    free_frames(&f);
}

static void test_all_dry(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    test_engine made = make_engine(RECIPE_MOVING, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_notes *notes = squall_notes_create();
    for (size_t k = 0; k < f.count; k++) {
        for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
            if (f.items[k]->mask[i] == SQUALL_CELL_VALUE) {
                f.items[k]->mask[i] = SQUALL_CELL_DRY;
                f.items[k]->values[i] = 0.0f;
            }
        }
    }
    for (int method = SQUALL_METHOD_PERSISTENCE; method < SQUALL_METHODS; method++) {
        squall_forecast *out = forecast(nowcaster, &f, (squall_method)method, notes);
        assert_int_equal(out->method, method);
        assert_true(out->quality_index == 1.0);
        for (size_t i = 0; i < out->count; i++) {
            assert_same_cells(out->fields[i], f.items[3]);
        }
        squall_forecast_destroy(&out);
    }
    assert_int_equal(squall_notes_count(notes), 0);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&f);
}

/* Whatever is mixed in among good frames, the forecast is the one without it, bit for bit. */
static void test_frames_left_out(void **state)
{
    (void)state;
    frames good = make_frames(4, 300), f = {.count = 0};
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_notes *notes = squall_notes_create();
    squall_error err;
    squall_forecast *expected = forecast(nowcaster, &good, SQUALL_METHOD_AUTO, NULL), *out = NULL;

    add_frame(&f, ISSUE);
    add_frame(&f, ISSUE - 600); /* another grid, first at its time */
    f.items[1]->grid.dx = 2000;
    snprintf(f.items[1]->source, sizeof f.items[1]->source, "wide");
    add_frame(&f, ISSUE + 300); /* later than the issue time */
    add_frame(&f, ISSUE - 900);
    add_frame(&f, ISSUE - 600);
    add_frame(&f, ISSUE - 300); /* a second of its time, unlike the first */
    add_frame(&f, ISSUE - 300);
    memset(f.items[6]->mask, SQUALL_CELL_DRY, WIDTH * HEIGHT);
    snprintf(f.items[6]->source, sizeof f.items[6]->source, "double");
    add_frame(&f, ISSUE);
    f.items[7]->valid_time = SQUALL_TIME_NONE;
    snprintf(f.items[7]->source, sizeof f.items[7]->source, "timeless");
    add_frame(&f, ISSUE);
    squall_field_destroy(&f.items[8]); /* a frame that could not be read */
    /* A corner a thirtieth of a cell off is the same place. */
    f.items[3]->grid.left += 30;

    const squall_source radar = radar_of(&f);
    assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE + 100, NULL, 0,
                                        SQUALL_METHOD_AUTO, &out, notes, &err),
                     SQUALL_OK);
    assert_int_equal(out->issue_time, ISSUE);
    assert_int_equal(out->method, SQUALL_METHOD_EXTRAPOLATION);
    assert_true(out->quality_index == 1.0);
    for (size_t i = 0; i < out->count; i++) {
        assert_same_cells(out->fields[i], expected->fields[i]);
    }
    assert_int_equal(squall_notes_count(notes), 3);
    assert_true(noted(notes, "wide", "is on another grid (60x44)"));
    assert_true(noted(notes, "double", "a second frame of the same time"));
    assert_true(noted(notes, "timeless", "has no valid time"));
    squall_forecast_destroy(&out);
    squall_forecast_destroy(&expected);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&good);
    free_frames(&f);
}

/* Of two grids as common the newer frame's is kept. */
static void test_two_grids(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_notes *notes = squall_notes_create();
    f.items[0]->grid.left = f.items[1]->grid.left = 5000;
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(squall_notes_count(notes), 2);
    assert_true(noted(notes, f.items[0]->source, "another grid"));
    assert_true(noted(notes, f.items[1]->source, "another grid"));
    assert_string_equal(out->quality, "from 2 radar frames");
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&f);
}

/* The network takes frames whose corners differ a little, too. */
static void test_model_nearly_same_grid(void **state)
{
    (void)state;
    frames f = make_frames(3, 300);
    test_engine made = make_engine(RECIPE_FIXED, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_notes *notes = squall_notes_create();
    f.items[0]->grid.left += 30;
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_int_equal(squall_notes_count(notes), 0);
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&f);
}

/* Which frames the motion is found from: those of half an hour, at most eight, or three of 45
 * minutes. */
static void test_motion_frames(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        int32_t step_s;
        size_t used;
    } cases[] = {{10, 300, 7}, {20, 60, 8}, {4, 1000, 3}, {4, 1200, 3}, {3, 2700, 2}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        frames f = make_frames(cases[k].count, cases[k].step_s);
        const squall_source all = radar_of(&f);
        squall_motion *motion = NULL, *expected = NULL;
        squall_error err;
        /* What must not matter is made to matter. */
        for (size_t i = 0; i + cases[k].used < f.count; i++) {
            memset(f.items[i]->mask, SQUALL_CELL_NO_COVERAGE, WIDTH * HEIGHT);
        }
        assert_int_equal(squall_nowcast_motion(&all, 1, ISSUE, 2, &motion, NULL, &err), SQUALL_OK);
        assert_non_null(motion);
        assert_int_equal(squall_motion_create(&f.items[0]->grid, &expected, &err), SQUALL_OK);
        squall_motion_options options;
        squall_motion_options_init(&options);
        assert_int_equal(squall_motion_estimate((const squall_field *const *)f.items +
                                                    (f.count - cases[k].used),
                                                cases[k].used, &options, expected, &err),
                         SQUALL_OK);
        assert_memory_equal(motion->u, expected->u, WIDTH * HEIGHT * sizeof *motion->u);
        assert_memory_equal(motion->v, expected->v, WIDTH * HEIGHT * sizeof *motion->v);
        squall_motion_destroy(&motion);
        squall_motion_destroy(&expected);
        free_frames(&f);
    }
    frames f = make_frames(2, 2701);
    const squall_source radar = radar_of(&f);
    squall_motion *motion = NULL;
    assert_int_equal(squall_nowcast_motion(&radar, 1, ISSUE, 2, &motion, NULL, NULL), SQUALL_OK);
    assert_null(motion);
    assert_int_equal(squall_nowcast_motion(&radar, 1, 5, 2, &motion, NULL, NULL), SQUALL_E_NO_DATA);
    free_frames(&f);
}

/* ------------------------------------------------------------ engines with faults */

static void test_no_engine(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_notes *notes = squall_notes_create();
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_MODEL, notes);
    assert_null(squall_nowcaster_recipe(nowcaster));
    assert_int_equal(out->method, SQUALL_METHOD_EXTRAPOLATION);
    assert_true(out->quality_index == 0.5);
    assert_string_equal(out->quality, "extrapolation in place of model; from 4 radar frames");
    assert_true(noted(notes, "engine", "none is loaded"));
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&f);
}

static void test_engine_refused(void **state)
{
    (void)state;
    static const struct {
        const char *recipe;
        int64_t channels;
        squall_status status;
        const char *text;
    } cases[] = {
        {NULL, 2, SQUALL_E_NO_DATA, "carries no feature recipe"},
        {"{\"version\": 1}", 2, SQUALL_E_FORMAT, ""},
        {"no JSON", 2, SQUALL_E_FORMAT, ""},
        {RECIPE_FIXED, 3, SQUALL_E_FORMAT, "the recipe has 2 channels in and 2 out"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_engine made = make_engine(cases[i].recipe, cases[i].channels, 48, 64);
        squall_nowcaster *nowcaster = NULL;
        squall_error err = {.code = SQUALL_OK};
        assert_int_equal(squall_nowcaster_create(made.engine, 1, &nowcaster, &err),
                         cases[i].status);
        assert_null(nowcaster);
        assert_int_equal(err.code, cases[i].status);
        assert_true(strlen(err.text) > 8);
        assert_non_null(strstr(err.text, cases[i].text));
        free_engine(&made);
    }
}

/* The engine cannot be used for these fields: that is said, and extrapolation takes over. */
static void test_engine_does_not_fit(void **state)
{
    (void)state;
    static const int32_t leads_s[2] = {300, 900};
    static const struct {
        const char *recipe;
        int64_t height;
        size_t leads;
        double cell;
        const char *where, *text;
    } cases[] = {
        {RECIPE_MOVING, 64, 0, 1000, "engine", "has no profile for 64x48 cells"},
        {RECIPE_MOVING, 48, 2, 1000, "engine", "has no lead time of 900 s"},
        {RECIPE_MOVING, 48, 0, 4100, "engine", "was trained for cells of 1000 m; these have 4100"},
        {RECIPE_MOVING, 48, 0, 190, "engine", "was trained for cells of 1000 m; these have 190"},
        {RECIPE("moving", "{\"source\":\"satellite\",\"required\":true,\"transform\":\"rain\"}"),
         48, 0, 1000, "satellite", "no frame at all, and the recipe 'double' requires it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        frames f = make_frames(4, 300);
        test_engine made = make_engine(cases[i].recipe, 2, cases[i].height, 64);
        squall_nowcaster *nowcaster = make_nowcaster(made.engine);
        squall_notes *notes = squall_notes_create();
        squall_forecast *out = NULL;
        squall_error err;
        for (size_t k = 0; k < f.count; k++) {
            f.items[k]->grid.dx = f.items[k]->grid.dy = cases[i].cell;
        }
        const squall_source radar = radar_of(&f);
        assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE,
                                            cases[i].leads > 0 ? leads_s : NULL, cases[i].leads,
                                            SQUALL_METHOD_AUTO, &out, notes, &err),
                         SQUALL_OK);
        assert_int_equal(out->method, SQUALL_METHOD_EXTRAPOLATION);
        assert_true(out->quality_index == 0.5);
        assert_int_equal(squall_notes_count(notes), 1);
        assert_true(noted(notes, cases[i].where, cases[i].text));
        squall_forecast_destroy(&out);
        squall_notes_destroy(&notes);
        squall_nowcaster_destroy(&nowcaster);
        free_engine(&made);
        free_frames(&f);
    }
}

/* A source that the recipe can do without is missed, and the quality says so. */
static void test_optional_source(void **state)
{
    (void)state;
    frames f = make_frames(3, 300), above = make_frames(1, 300);
    test_engine made =
        make_engine(RECIPE("fixed",
                           "{\"source\":\"satellite\",\"required\":false,\"transform\":\"rain\"}"),
                    2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_notes *notes = squall_notes_create();
    squall_error err;
    squall_forecast *out = forecast(nowcaster, &f, SQUALL_METHOD_AUTO, notes);
    assert_int_equal(out->method, SQUALL_METHOD_MODEL);
    assert_true(out->quality_index == 0.5);
    assert_string_equal(out->quality, "1 of 2 observations at their time, 0 replaced, 1 absent");
    assert_true(noted(notes, "satellite", "absent"));
    squall_forecast_destroy(&out);
    const squall_source both[2] = {{"satellite", (const squall_field *const *)above.items, 1},
                                   radar_of(&f)};
    assert_int_equal(squall_nowcast_run(nowcaster, both, 2, ISSUE, NULL, 0, SQUALL_METHOD_AUTO,
                                        &out, NULL, &err),
                     SQUALL_OK);
    assert_string_equal(out->quality, "nominal");
    assert_doubled(out->fields[1], above.items[0]);
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);
    free_frames(&above);
    free_frames(&f);
}

/* ------------------------------------------------------------ refusals */

static void test_refusals(void **state)
{
    (void)state;
    static const int32_t falling[2] = {600, 300}, zero[1] = {0}, far[1] = {21601},
                         twice[2] = {300, 300};
    static const struct {
        const int32_t *leads_s;
        size_t count;
        squall_method method;
    } cases[] = {
        {falling, 2, SQUALL_METHOD_AUTO},
        {zero, 1, SQUALL_METHOD_AUTO},
        {far, 1, SQUALL_METHOD_AUTO},
        {twice, 2, SQUALL_METHOD_AUTO},
        {falling, 0, SQUALL_METHOD_AUTO},
        {falling, 1025, SQUALL_METHOD_AUTO},
        {NULL, 0, (squall_method)SQUALL_METHODS},
    };
    frames f = make_frames(3, 300);
    const squall_source radar = radar_of(&f), other = {"satellite", radar.frames, radar.count};
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_forecast *out = NULL;
    squall_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE, cases[i].leads_s,
                                            cases[i].count, cases[i].method, &out, NULL, &err),
                         SQUALL_E_ARGUMENT);
    }
    /* No radar, none that early, none at all. */
    assert_int_equal(squall_nowcast_run(nowcaster, &other, 1, ISSUE, NULL, 0, SQUALL_METHOD_AUTO,
                                        &out, NULL, &err),
                     SQUALL_E_NO_DATA);
    assert_string_equal(err.where, "radar");
    assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE - 601, NULL, 0,
                                        SQUALL_METHOD_AUTO, &out, NULL, &err),
                     SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "at or before 2010-08-26T01:49:59Z"));
    assert_int_equal(squall_nowcast_run(nowcaster, NULL, 0, SQUALL_TIME_NONE, NULL, 0,
                                        SQUALL_METHOD_AUTO, &out, NULL, &err),
                     SQUALL_E_NO_DATA);
    f.items[1]->quantity = SQUALL_REFLECTIVITY;
    assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE, NULL, 0, SQUALL_METHOD_AUTO,
                                        &out, NULL, &err),
                     SQUALL_E_SHAPE);
    assert_string_equal(err.where, f.items[1]->source);
    assert_null(out);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&f);
    assert_string_equal(squall_method_name(SQUALL_METHOD_AUTO), "auto");
    assert_string_equal(squall_method_name((squall_method)9), "unknown");
}

/* Each allocation made to fail once: a failure that says so, nothing leaked, nothing left over. */
static void test_without_memory(void **state)
{
    (void)state;
    frames f = make_frames(3, 300);
    const squall_source radar = radar_of(&f);
    test_engine made = make_engine(RECIPE_MOVING, 2, 48, 64);
    long failures = 0;
    for (long n = 0;; n++) {
        squall_nowcaster *nowcaster = NULL;
        squall_forecast *out = NULL;
        squall_error err = {.code = SQUALL_OK};
        sq_memory_fail_at(n);
        squall_status status = squall_nowcaster_create(made.engine, 1, &nowcaster, &err);
        if (status == SQUALL_OK) {
            status = squall_nowcast_run(nowcaster, &radar, 1, ISSUE, NULL, 0, SQUALL_METHOD_AUTO,
                                        &out, NULL, &err);
        } else {
            assert_null(nowcaster);
        }
        sq_memory_fail_at(-1);
        if (status == SQUALL_OK) {
            assert_int_equal(out->method, SQUALL_METHOD_MODEL);
            squall_forecast_destroy(&out);
            squall_nowcaster_destroy(&nowcaster);
            break;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
        assert_int_equal(err.code, SQUALL_E_MEMORY);
        assert_null(out);
        failures++;
        if (nowcaster != NULL) {
            /* The same nowcaster goes on when there is memory again. */
            assert_int_equal(squall_nowcast_run(nowcaster, &radar, 1, ISSUE, NULL, 0,
                                                SQUALL_METHOD_AUTO, &out, NULL, &err),
                             SQUALL_OK);
            assert_int_equal(out->method, SQUALL_METHOD_MODEL);
            squall_forecast_destroy(&out);
        }
        squall_nowcaster_destroy(&nowcaster);
    }
    assert_true(failures > 20);
    free_engine(&made);
    free_frames(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_persistence),
        cmocka_unit_test(test_extrapolation),
        cmocka_unit_test(test_model_fixed),
        cmocka_unit_test(test_model_moving),
        cmocka_unit_test(test_frame_missing),
        cmocka_unit_test(test_few_frames),
        cmocka_unit_test(test_model_from_one_frame),
        cmocka_unit_test(test_all_dry),
        cmocka_unit_test(test_frames_left_out),
        cmocka_unit_test(test_two_grids),
        cmocka_unit_test(test_model_nearly_same_grid),
        cmocka_unit_test(test_motion_frames),
        cmocka_unit_test(test_no_engine),
        cmocka_unit_test(test_engine_refused),
        cmocka_unit_test(test_engine_does_not_fit),
        cmocka_unit_test(test_optional_source),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
