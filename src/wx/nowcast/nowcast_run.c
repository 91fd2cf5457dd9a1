/* wx/nowcast/nowcast_run.c - the forecast itself: engine, else extrapolation, else persistence. */
#include <stdio.h>
#include <string.h>

#include "wx/nowcast/nowcast.h"

#define DEFAULT_LEADS  12
#define DEFAULT_STEP_S 300

enum { MAX_CHANNELS = 256 }; /* of a recipe, on either side */

struct squall_nowcaster {
    squall_engine *engine; /* kept by the caller */
    squall_recipe *recipe;
    squall_context *context; /* of `profile`, made when first needed */
    size_t profile;
    squall_tensor input, output; /* owned data, of that profile */
    int32_t threads;
    squall_ensemble_options ensemble;
    squall_motion_method motion_method;
};

/* One run's materials. */
typedef struct run {
    squall_nowcaster *nowcaster;
    const squall_source *sources;
    size_t source_count;
    sq_frames frames;
    squall_motion *motion;
    size_t motion_frames; /* frames that the motion was found from; 0 when there is none */
    squall_forecast *forecast;
    squall_feature_quality features;
    squall_notes *notes;
    squall_error *err;
} run;

/* The network must have one input and one output with the recipe's channels, under every profile.
 */
static squall_status check_network(squall_engine *engine, const squall_recipe *recipe,
                                   squall_error *err)
{
    if (squall_engine_input_count(engine) != 1 || squall_engine_output_count(engine) != 1) {
        return sq_fail(
            err, SQUALL_E_FORMAT, squall_recipe_name(recipe),
            "the network has %zu inputs and %zu outputs; a recipe feeds one and reads one",
            squall_engine_input_count(engine), squall_engine_output_count(engine));
    }
    for (size_t p = 0; p < squall_engine_profile_count(engine); p++) {
        squall_tensor in, out;
        const char *name;
        SQ_TRY(squall_engine_input(engine, p, 0, &name, &in, err));
        SQ_TRY(squall_engine_output(engine, p, 0, &name, &out, err));
        squall_tensor wanted;
        const int64_t channels_in = (int64_t)squall_recipe_input_channels(recipe);
        squall_recipe_output_shape(recipe, 1, 1, &wanted);
        const int64_t channels_out = wanted.dims[1];
        if (in.rank != 4 || out.rank != 4 || in.dtype != SQUALL_F32 || out.dtype != SQUALL_F32 ||
            in.dims[1] != channels_in || out.dims[1] != channels_out || in.dims[2] != out.dims[2] ||
            in.dims[3] != out.dims[3]) {
            return sq_fail(err, SQUALL_E_FORMAT, squall_recipe_name(recipe),
                           "the network does not fit: the recipe has %lld channels in and %lld out",
                           (long long)channels_in, (long long)channels_out);
        }
    }
    return SQUALL_OK;
}

squall_status squall_nowcaster_create(squall_engine *engine, int32_t threads,
                                      squall_nowcaster **out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_nowcaster *nowcaster = sq_alloc(1, sizeof *nowcaster);
    if (nowcaster == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "nowcaster", "no memory");
    }
    nowcaster->engine = engine;
    nowcaster->threads = threads;
    nowcaster->profile = SIZE_MAX;
    squall_ensemble_options_init(&nowcaster->ensemble);
    nowcaster->ensemble.threads = threads;
    if (engine != NULL) {
        const char *recipe = squall_engine_recipe(engine);
        if (recipe == NULL) {
            status = sq_fail(err, SQUALL_E_NO_DATA, "engine",
                             "carries no feature recipe; build it with --recipe FILE");
            goto done;
        }
        SQ_TRY_GOTO(squall_recipe_parse(recipe, strlen(recipe), "recipe in the engine",
                                        &nowcaster->recipe, err));
        SQ_TRY_GOTO(check_network(engine, nowcaster->recipe, err));
    }
    *out = nowcaster;
    nowcaster = NULL;
done:
    squall_nowcaster_destroy(&nowcaster);
    return status;
}

squall_status squall_nowcaster_set_ensemble(squall_nowcaster *nowcaster,
                                            const squall_ensemble_options *options,
                                            squall_error *err)
{
    squall_ensemble_options_init(&nowcaster->ensemble);
    if (options != NULL) {
        if (options->struct_size < sizeof options->struct_size) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "ensemble options",
                           "struct_size is %u; call squall_ensemble_options_init() first",
                           (unsigned)options->struct_size);
        }
        const size_t size = options->struct_size, known = sizeof nowcaster->ensemble;
        memcpy(&nowcaster->ensemble, options, size < known ? size : known);
    }
    nowcaster->ensemble.threads = nowcaster->threads;
    return SQUALL_OK;
}

squall_status squall_nowcaster_set_motion(squall_nowcaster *nowcaster, squall_motion_method method,
                                          squall_error *err)
{
    if ((unsigned)method >= SQUALL_MOTION_METHODS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "motion", "method %d is none of 0 to %d",
                       (int)method, SQUALL_MOTION_METHODS - 1);
    }
    nowcaster->motion_method = method;
    return SQUALL_OK;
}

static void drop_context(squall_nowcaster *nowcaster)
{
    squall_context_destroy(&nowcaster->context);
    sq_free(nowcaster->input.data);
    sq_free(nowcaster->output.data);
    nowcaster->input.data = nowcaster->output.data = NULL;
    nowcaster->profile = SIZE_MAX;
}

void squall_nowcaster_destroy(squall_nowcaster **nowcaster)
{
    if (nowcaster == NULL || *nowcaster == NULL) {
        return;
    }
    drop_context(*nowcaster);
    squall_recipe_destroy(&(*nowcaster)->recipe);
    sq_free(*nowcaster);
    *nowcaster = NULL;
}

const squall_recipe *squall_nowcaster_recipe(const squall_nowcaster *nowcaster)
{
    return nowcaster->recipe;
}

void squall_nowcaster_tensors(const squall_nowcaster *nowcaster, squall_tensor *input,
                              squall_tensor *output)
{
    *input = nowcaster->input;
    *output = nowcaster->output;
}

/* Find the motion from the newest frames, if there are two near enough in time; `*used` says from
 * how many. */
static squall_status find_motion(const sq_frames *frames, squall_motion_method method,
                                 int32_t threads, squall_motion **out, size_t *used,
                                 squall_error *err)
{
    squall_motion_options options;
    squall_motion *motion = NULL;
    size_t first = frames->count - 1;
    while (first > 0 && frames->count - first < SQ_MOTION_FRAMES) {
        const int64_t age = frames->latest->valid_time - frames->items[first - 1]->valid_time;
        const bool few = frames->count - first < SQ_MOTION_FEW;
        if (age > (few ? SQ_MOTION_LONGER_SPAN_S : SQ_MOTION_SPAN_S)) {
            break;
        }
        first--;
    }
    *used = 0;
    *out = NULL;
    if (frames->count - first < 2) {
        return SQUALL_OK;
    }
    squall_motion_options_init(&options);
    options.threads = threads;
    options.method = (int32_t)method;
    SQ_TRY(squall_motion_create(&frames->latest->grid, &motion, err));
    const squall_status status =
        squall_motion_estimate(frames->items + first, frames->count - first, &options, motion, err);
    if (status != SQUALL_OK) {
        squall_motion_destroy(&motion);
        return status;
    }
    *out = motion;
    *used = frames->count - first;
    return SQUALL_OK;
}

squall_status squall_nowcast_motion(const squall_source *sources, size_t source_count,
                                    int64_t issue_time, int32_t threads, squall_motion **out,
                                    squall_notes *notes, squall_error *err)
{
    sq_frames frames;
    size_t used;
    SQ_TRY(sq_frames_select(sources, source_count, issue_time, &frames, notes, err));
    const squall_status status =
        find_motion(&frames, SQUALL_MOTION_DENSE, threads, out, &used, err);
    sq_frames_free(&frames);
    return status;
}

/* Have a context for one forecast on the grid, by the profile that fits; false, with a note, when
 * there is none. */
static squall_status have_context(run *r, bool *ready)
{
    squall_nowcaster *n = r->nowcaster;
    const squall_grid *grid = &r->frames.latest->grid;
    squall_tensor wanted, have;
    const char *name;
    *ready = false;
    squall_recipe_input_shape(n->recipe, grid->height, grid->width, &wanted);
    for (size_t p = 0; p < squall_engine_profile_count(n->engine); p++) {
        SQ_TRY(squall_engine_input(n->engine, p, 0, &name, &have, r->err));
        int64_t least, most;
        SQ_TRY(squall_engine_batches(n->engine, p, 0, &least, &most, r->err));
        if (least > 1 || have.dims[2] != wanted.dims[2] || have.dims[3] != wanted.dims[3]) {
            continue;
        }
        *ready = true;
        if (n->profile == p) {
            return SQUALL_OK;
        }
        drop_context(n);
        squall_recipe_output_shape(n->recipe, grid->height, grid->width, &n->output);
        n->input = wanted;
        n->input.data = sq_alloc(squall_tensor_bytes(&n->input), 1);
        n->output.data = sq_alloc(squall_tensor_bytes(&n->output), 1);
        squall_status status = SQUALL_OK;
        if (n->input.data == NULL || n->output.data == NULL) {
            status = sq_fail(r->err, SQUALL_E_MEMORY, "engine", "no memory for its tensors");
        } else {
            status =
                squall_context_create_for(n->engine, &n->input, 1, n->threads, &n->context, r->err);
        }
        if (status == SQUALL_OK) {
            status = squall_context_check(n->context, r->err);
        }
        if (status != SQUALL_OK) {
            drop_context(n);
            return status;
        }
        n->profile = p;
        return SQUALL_OK;
    }
    sq_note(
        r->notes, "engine",
        "has no profile for %lldx%lld cells (the grid of %zux%zu, rounded up); build it for this "
        "grid: squall build --grid-of FILE",
        (long long)wanted.dims[3], (long long)wanted.dims[2], grid->width, grid->height);
    return SQUALL_OK;
}

/* Whether every lead time asked for is one that the recipe has; `index` gets their numbers. */
static bool leads_known(const run *r, size_t *index)
{
    const squall_recipe *recipe = r->nowcaster->recipe;
    for (size_t i = 0; i < r->forecast->count; i++) {
        size_t k = 0;
        while (k < squall_recipe_output_channels(recipe) &&
               squall_recipe_lead_s(recipe, k) != r->forecast->leads_s[i]) {
            k++;
        }
        if (k == squall_recipe_output_channels(recipe)) {
            sq_note(r->notes, "engine", "has no lead time of %d s", r->forecast->leads_s[i]);
            return false;
        }
        index[i] = k;
    }
    return true;
}

/* Output tensor to fields: the recipe gives all its leads, of which the wanted ones are kept. */
static squall_status take_output(run *r, const size_t *index)
{
    squall_status status = SQUALL_OK;
    const squall_recipe *recipe = r->nowcaster->recipe;
    const squall_field *latest = r->frames.latest;
    const size_t count = squall_recipe_output_channels(recipe);
    squall_field **all = sq_alloc(count, sizeof *all);
    if (all == NULL) {
        return sq_fail(r->err, SQUALL_E_MEMORY, "forecast", "no memory for %zu fields", count);
    }
    for (size_t i = 0; i < r->forecast->count; i++) {
        all[index[i]] = r->forecast->fields[i];
    }
    for (size_t k = 0; k < count; k++) {
        if (all[k] == NULL) {
            SQ_TRY_GOTO(squall_field_create(&latest->grid, &all[k], r->err));
        }
    }
    status = squall_features_invert(recipe, &r->nowcaster->output, latest, latest->valid_time,
                                    r->motion, all, r->err);
done:
    for (size_t i = 0; i < r->forecast->count; i++) {
        all[index[i]] = NULL;
    }
    for (size_t k = 0; k < count; k++) {
        squall_field_destroy(&all[k]);
    }
    sq_free(all);
    return status;
}

/* Its probabilities, whose means are the fields themselves. */
static squall_status take_chances(run *r, const size_t *index)
{
    squall_forecast *f = r->forecast;
    SQ_TRY(sq_chances_make(r->nowcaster->recipe, &r->nowcaster->output, r->frames.latest, r->motion,
                           f->leads_s, index, f->count, &r->nowcaster->ensemble, &f->ensemble,
                           r->err));
    for (size_t i = 0; i < f->count; i++) {
        squall_field_destroy(&f->ensemble->mean[i]);
    }
    return SQUALL_OK;
}

/* The radar frames that may be used, and the other sources as they are. */
static squall_status run_engine(run *r, const size_t *index)
{
    squall_nowcaster *n = r->nowcaster;
    const int64_t issue_time = r->frames.latest->valid_time;
    squall_source sources[MAX_CHANNELS + 1]; /* a recipe cannot ask for more */
    size_t count = 0;
    sources[count++] = (squall_source){"radar", r->frames.items, r->frames.count};
    for (size_t i = 0; i < r->source_count && count <= MAX_CHANNELS; i++) {
        if (strcmp(r->sources[i].name, "radar") != 0) {
            sources[count++] = r->sources[i];
        }
    }
    const double start = sq_clock_s();
    SQ_TRY(squall_features_make(n->recipe, sources, count, issue_time, r->motion, &n->input,
                                &r->features, r->notes, r->err));
    const double made = sq_clock_s();
    SQ_TRY(squall_context_run(n->context, &n->input, 1, &n->output, 1, r->err));
    const double ran = sq_clock_s();
    SQ_TRY(take_output(r, index));
    if (squall_recipe_has_chances(n->recipe)) {
        SQ_TRY(take_chances(r, index));
    }
    r->forecast->features_s = made - start;
    r->forecast->engine_s = ran - made;
    r->forecast->fields_s = sq_clock_s() - ran;
    return SQUALL_OK;
}

/* Try the engine; *done says whether the forecast is there. Only a lack of memory is a failure: all
 * else leaves a note, and the next method takes over. */
static squall_status try_model(run *r, bool *done)
{
    size_t index[MAX_CHANNELS] = {0};
    squall_error problem;
    bool ready = false;
    *done = false;
    if (r->nowcaster->engine == NULL) {
        sq_note(r->notes, "engine", "none is loaded");
        return SQUALL_OK;
    }
    const double cell = r->frames.latest->grid.dx;
    const double trained = squall_recipe_cell_m(r->nowcaster->recipe);
    /* Degrees are not held against metres: their size in metres varies over the grid. */
    if (trained > 0 && cell > 10.0 && (cell > 4.0 * trained || cell < 0.2 * trained)) {
        sq_note(r->notes, "engine", "was trained for cells of %g m; these have %g m", trained,
                cell);
        return SQUALL_OK;
    }
    /* A lead time comes but once, so those that are known are no more than `index` has room for. */
    if (!leads_known(r, index)) {
        return SQUALL_OK;
    }
    squall_error *const report = r->err;
    memset(&problem, 0, sizeof problem);
    r->err = &problem;
    squall_status status = have_context(r, &ready);
    if (status == SQUALL_OK && ready) {
        status = run_engine(r, index);
        *done = status == SQUALL_OK;
    }
    r->err = report;
    if (status == SQUALL_E_MEMORY) {
        return sq_fail(r->err, status, problem.where, "%s", problem.text);
    }
    if (status != SQUALL_OK) {
        sq_note(r->notes, problem.where, "%s", problem.text);
    }
    return SQUALL_OK;
}

static void describe_quality(run *r, squall_method wanted)
{
    squall_forecast *f = r->forecast;
    const size_t seen = r->motion_frames > 0 ? r->motion_frames : 1;
    f->quality_index = 1.0;
    const bool model = f->method == SQUALL_METHOD_MODEL || f->method == SQUALL_METHOD_BLEND;
    if (model && r->features.wanted > 0) {
        f->quality_index = ((double)r->features.exact + 0.5 * (double)r->features.replaced) /
                           (double)r->features.wanted;
    } else if (f->method != SQUALL_METHOD_PERSISTENCE && !model) {
        f->quality_index = seen >= 3 ? 1.0 : (double)seen / 3.0;
    }
    const bool lower = f->method < wanted;
    f->quality_index *= lower ? 0.5 : 1.0;
    if (f->quality_index >= 1.0) {
        snprintf(f->quality, sizeof f->quality, "nominal");
        return;
    }
    size_t used = 0;
    if (lower) {
        used += (size_t)snprintf(f->quality, sizeof f->quality, "%s in place of %s; ",
                                 squall_method_name(f->method), squall_method_name(wanted));
    }
    if (model) {
        snprintf(f->quality + used, sizeof f->quality - used,
                 "%zu of %zu observations at their time, %zu replaced, %zu absent",
                 r->features.exact, r->features.wanted, r->features.replaced, r->features.absent);
    } else {
        snprintf(f->quality + used, sizeof f->quality - used, "from %zu radar frame%s", seen,
                 seen == 1 ? "" : "s");
    }
}

/* An empty forecast: lead times chosen, fields made. */
static squall_status make_forecast(run *r, const int32_t *leads_s, size_t lead_count)
{
    const squall_recipe *recipe = r->nowcaster->recipe;
    squall_forecast *f = sq_alloc(1, sizeof *f);
    r->forecast = f;
    if (f == NULL) {
        return sq_fail(r->err, SQUALL_E_MEMORY, "forecast", "no memory");
    }
    f->issue_time = r->frames.latest->valid_time;
    f->count = leads_s != NULL  ? lead_count
               : recipe != NULL ? squall_recipe_output_channels(recipe)
                                : DEFAULT_LEADS;
    f->leads_s = sq_alloc(f->count, sizeof *f->leads_s);
    f->fields = sq_alloc(f->count, sizeof *f->fields);
    if (f->leads_s == NULL || f->fields == NULL) {
        return sq_fail(r->err, SQUALL_E_MEMORY, "forecast", "no memory for %zu lead times",
                       f->count);
    }
    for (size_t i = 0; i < f->count; i++) {
        f->leads_s[i] = leads_s != NULL  ? leads_s[i]
                        : recipe != NULL ? squall_recipe_lead_s(recipe, i)
                                         : (int32_t)(i + 1) * DEFAULT_STEP_S;
        SQ_TRY(squall_field_create(&r->frames.latest->grid, &f->fields[i], r->err));
        squall_field_set_quantity(f->fields[i], SQUALL_RAIN_RATE, NULL, NULL);
    }
    return SQUALL_OK;
}

/* The wanted method, or the best below it. */
static squall_status make_fields(run *r, squall_method method)
{
    bool done = false;
    squall_forecast *f = r->forecast;
    const double start = sq_clock_s();
    SQ_TRY(find_motion(&r->frames, r->nowcaster->motion_method, r->nowcaster->threads, &r->motion,
                       &r->motion_frames, r->err));
    f->motion_s = sq_clock_s() - start;
    if (r->motion == NULL && method >= SQUALL_METHOD_EXTRAPOLATION) {
        sq_note(r->notes, "radar", "only one frame in the last %d minutes: no motion can be found",
                SQ_MOTION_LONGER_SPAN_S / 60);
    }
    if (method == SQUALL_METHOD_MODEL || method == SQUALL_METHOD_BLEND) {
        SQ_TRY(try_model(r, &done));
        f->method = SQUALL_METHOD_MODEL;
    }
    if (done && method == SQUALL_METHOD_BLEND && r->motion != NULL) {
        const double began = sq_clock_s();
        SQ_TRY(sq_blend_run(&r->frames, r->motion, &r->nowcaster->ensemble, f, r->err));
        f->method = SQUALL_METHOD_BLEND;
        f->fields_s += sq_clock_s() - began;
    }
    if (!done) {
        const double began = sq_clock_s();
        f->method = r->motion == NULL               ? SQUALL_METHOD_PERSISTENCE
                    : method == SQUALL_METHOD_MODEL ? SQUALL_METHOD_EXTRAPOLATION
                    : method == SQUALL_METHOD_BLEND ? SQUALL_METHOD_SPROG
                                                    : method;
        SQ_TRY(
            sq_classic_run(f->method, &r->frames, r->motion, &r->nowcaster->ensemble, f, r->err));
        f->fields_s = sq_clock_s() - began;
    }
    for (size_t i = 0; i < f->count; i++) {
        snprintf(f->fields[i]->source, sizeof f->fields[i]->source, "squall %s",
                 squall_method_name(f->method));
    }
    return SQUALL_OK;
}

squall_status squall_nowcast_run(squall_nowcaster *nowcaster, const squall_source *sources,
                                 size_t source_count, int64_t issue_time, const int32_t *leads_s,
                                 size_t lead_count, squall_method method, squall_forecast **out,
                                 squall_notes *notes, squall_error *err)
{
    squall_status status;
    run r = {.nowcaster = nowcaster,
             .sources = sources,
             .source_count = source_count,
             .notes = notes,
             .err = err};
    if (leads_s != NULL && (lead_count == 0 || lead_count > 1024)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "lead times", "%zu of them; 1 to 1024 are allowed",
                       lead_count);
    }
    for (size_t i = 0; leads_s != NULL && i < lead_count; i++) {
        if (leads_s[i] < 1 || leads_s[i] > 21600 || (i > 0 && leads_s[i] <= leads_s[i - 1])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "lead times",
                           "must ascend, in seconds from 1 to 21600");
        }
    }
    if ((unsigned)method >= SQUALL_METHODS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "method", "%d is none of 0 to %d", (int)method,
                       SQUALL_METHODS - 1);
    }
    if (method == SQUALL_METHOD_AUTO) {
        method = nowcaster->engine != NULL ? SQUALL_METHOD_MODEL : SQUALL_METHOD_EXTRAPOLATION;
    }
    SQ_TRY_GOTO(sq_frames_select(sources, source_count, issue_time, &r.frames, notes, err));
    SQ_TRY_GOTO(make_forecast(&r, leads_s, lead_count));
    SQ_TRY_GOTO(make_fields(&r, method));
    describe_quality(&r, method);
    *out = r.forecast;
    r.forecast = NULL;
done:
    squall_forecast_destroy(&r.forecast);
    squall_motion_destroy(&r.motion);
    sq_frames_free(&r.frames);
    return status;
}
