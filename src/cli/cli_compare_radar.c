/* cli/cli_compare_radar.c - squall compare on real radar: what the engine and the model make of the
 * same observations, and how good each is against what the radar saw. */
#include <string.h>

#include "cli/cli_compare.h"

/* The engine's fields and the model's are two of the methods of a table of scores. */
enum { OF_ENGINE = 0, OF_MODEL = 1 };

/* One folder's materials. */
typedef struct radar {
    cli_comparing *c;
    squall_recipe *recipe;
    cli_frames frames;
    cli_sources sources;
    const squall_field **list; /* owned, [frames.count]: those of one issue time */
    squall_tensor input;       /* owned data; of the grid of the first issue time */
} radar;

/* A forecast with the fields of one output tensor. */
static squall_status make_forecast(const radar *r, squall_compared which,
                                   const squall_field *latest, const squall_motion *motion,
                                   squall_forecast **out, squall_error *err)
{
    squall_status status;
    squall_tensor output;
    const size_t count = squall_recipe_output_channels(r->recipe);
    squall_forecast *f = sq_alloc(1, sizeof *f);
    if (f == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "forecast", "no memory");
    }
    f->fields = sq_alloc(count, sizeof *f->fields);
    f->count = f->fields != NULL ? count : 0;
    f->issue_time = latest->valid_time;
    if (f->fields == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "forecast", "no memory for %zu fields", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(squall_field_create(&latest->grid, &f->fields[i], err));
        squall_field_set_quantity(f->fields[i], SQUALL_RAIN_RATE, NULL, NULL);
    }
    SQ_TRY_GOTO(squall_comparison_values(r->c->comparison, which, 0, &output, err));
    SQ_TRY_GOTO(squall_features_invert(r->recipe, &output, latest, latest->valid_time, motion,
                                       f->fields, err));
    *out = f;
    f = NULL;
done:
    squall_forecast_destroy(&f);
    return status;
}

static squall_status make_input(radar *r, const squall_source *source, int64_t issue, int32_t reach,
                                const squall_motion *motion, squall_error *err)
{
    const squall_grid *grid = &source->frames[source->count - 1]->grid;
    squall_tensor shape;
    squall_recipe_input_shape(r->recipe, grid->height, grid->width, &shape);
    if (r->input.data == NULL) {
        r->input = shape;
        r->input.data = sq_alloc(squall_tensor_bytes(&shape), 1);
        if (r->input.data == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, "input", "no memory for %zu bytes",
                           squall_tensor_bytes(&shape));
        }
    }
    SQ_TRY(cli_sources_collect(&r->sources, source, issue - reach, issue, r->c->notes, err));
    return squall_features_make(r->recipe, r->sources.all, r->sources.count + 1, issue, motion,
                                &r->input, NULL, r->c->notes, err);
}

/* One issue time: the input, both outputs, and their scores. */
static squall_status add_issue(radar *r, int64_t issue, squall_error *err)
{
    squall_status status;
    squall_motion *motion = NULL;
    squall_forecast *forecasts[CLI_METHODS] = {NULL};
    const int32_t tolerance = squall_recipe_tolerance_s(r->recipe);
    const int32_t earliest = -squall_recipe_earliest_s(r->recipe) + tolerance;
    const int32_t reach = earliest > 2700 ? earliest : 2700;
    const size_t past = cli_frames_range(&r->frames, issue - reach, issue, r->list);
    if (past == 0) {
        return SQUALL_OK; /* the frame cannot be read, which is noted */
    }
    const squall_source source = {"radar", r->list, past};
    const squall_field *latest = r->list[past - 1];
    SQ_TRY(
        squall_nowcast_motion(&source, 1, issue, r->c->want->threads, &motion, r->c->notes, err));
    if (motion == NULL) {
        return SQUALL_OK; /* the first frames have no past */
    }
    SQ_TRY_GOTO(make_input(r, &source, issue, reach, motion, err));
    SQ_TRY_GOTO(squall_comparison_add(r->c->comparison, &r->input, 1, err));
    r->c->samples++;
    SQ_TRY_GOTO(
        make_forecast(r, SQUALL_COMPARED_ENGINE, latest, motion, &forecasts[OF_ENGINE], err));
    SQ_TRY_GOTO(make_forecast(r, SQUALL_COMPARED_MODEL, latest, motion, &forecasts[OF_MODEL], err));
    status = cli_scores_add(&r->c->scores, forecasts, &r->frames, r->c->want->tolerance, err);
done:
    for (size_t k = 0; k < CLI_METHODS; k++) {
        squall_forecast_destroy(&forecasts[k]);
    }
    squall_motion_destroy(&motion);
    return status;
}

static squall_status prepare(radar *r, squall_error *err)
{
    cli_comparing *c = r->c;
    const char *text = squall_engine_recipe(c->engine);
    const cli_list paths = {.items = (const char **)(uintptr_t)&c->want->data, .count = 1};
    if (text == NULL || squall_engine_input_count(c->engine) != 1 ||
        squall_engine_output_count(c->engine) != 1) {
        return sq_fail(err, SQUALL_E_NO_DATA, c->want->data,
                       "holds no .npy samples, and radar files need an engine with a recipe, one "
                       "input and one output; build it with --recipe FILE");
    }
    SQ_TRY(squall_recipe_parse(text, strlen(text), "recipe in the engine", &r->recipe, err));
    SQ_TRY(cli_frames_open(&paths, &c->want->input, c->notes, &r->frames, err));
    SQ_TRY(cli_sources_open(&r->sources, &c->want->sources, c->notes, err));
    const size_t leads = squall_recipe_output_channels(r->recipe);
    r->list = sq_alloc(r->frames.count, sizeof *r->list);
    c->leads_s = sq_alloc(leads, sizeof *c->leads_s);
    if (r->list == NULL || c->leads_s == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory");
    }
    for (size_t i = 0; i < leads; i++) {
        c->leads_s[i] = squall_recipe_lead_s(r->recipe, i);
    }
    c->scores.first_time = SQUALL_TIME_NONE;
    c->scores.threshold_mm_h = c->want->threshold;
    c->scores.cap_mm_h = c->want->input.max_rate_mm_h;
    c->scores.scale = (size_t)c->want->scale;
    c->scores.bias = true;
    c->scores.names[OF_ENGINE] = "engine";
    c->scores.names[OF_MODEL] = "model";
    return cli_scores_init(&c->scores, c->leads_s, leads, err);
}

static squall_status add_all(radar *r, squall_error *err)
{
    const int64_t last = squall_archive_time(r->frames.archive, r->frames.count - 1);
    int64_t previous = INT64_MIN / 2;
    for (size_t i = 0; i < r->frames.count; i++) {
        const int64_t time = squall_archive_time(r->frames.archive, i);
        const size_t before = r->c->samples;
        if (time - previous < r->c->want->every || time + r->c->leads_s[0] > last) {
            continue;
        }
        SQ_TRY(add_issue(r, time, err));
        previous = r->c->samples > before ? time : previous;
        cli_frames_forget(&r->frames, time - 7200);
        cli_progress("compare", i + 1, r->frames.count);
    }
    cli_progress("compare", 1, 1);
    return r->c->samples > 0
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, r->c->want->data,
                         "no issue time has what the recipe asks for: at least two frames before "
                         "it, and one at the first lead time");
}

squall_status cli_compare_radar(cli_comparing *c, squall_error *err)
{
    radar r = {.c = c};
    squall_status status = prepare(&r, err);
    if (status == SQUALL_OK) {
        status = add_all(&r, err);
    }
    cli_sources_close(&r.sources);
    cli_frames_close(&r.frames);
    squall_recipe_destroy(&r.recipe);
    sq_free(r.list);
    sq_free(r.input.data);
    return status;
}
