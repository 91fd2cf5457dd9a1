/* svc/cycle/cycle_run.c - one cycle of a region: its frames, an engine, a published forecast. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

#define WET_MM_H 0.1f

enum { MAX_LEADS = 64 };

static void keep_reel(const sq_reel *from, sq_reel *to)
{
    for (size_t i = 0; i < from->count; i++) {
        to->items[i] = sq_frame_keep(from->items[i]);
    }
    to->count = from->count;
}

/* What the region has now. With its lock. */
static void copy_frames(sq_run *run)
{
    sq_region *region = run->region;
    keep_reel(&region->radar, &run->radar);
    run->complete = true;
    for (size_t i = 0; i < region->extra_count; i++) {
        keep_reel(&region->extras[i], &run->extras[i]);
        const sq_reel *reel = &run->extras[i];
        run->complete = run->complete && reel->count > 0 && run->radar.count > 0 &&
                        reel->items[reel->count - 1]->field->valid_time >=
                            run->radar.items[run->radar.count - 1]->field->valid_time -
                                region->config.cadence_s;
    }
    for (size_t i = 0; i < region->observed_count; i++) {
        run->observed[i] = sq_layer_keep(region->observed[i]);
    }
    run->observed_count = region->observed_count;
}

/* Take hold of what is there now; what comes later is for the next cycle. */
static void gather(sq_run *run)
{
    sq_region *region = run->region;
    pthread_mutex_lock(&region->mutex);
    region->queued = false;
    region->running = true;
    region->dirty = false;
    run->epoch = region->epoch;
    run->dirty_since_s = region->dirty_since_s;
    run->arrived_s = region->arrived_s;
    copy_frames(run);
    pthread_mutex_unlock(&region->mutex);
}

static void let_go(sq_run *run)
{
    sq_reel_clear(&run->radar);
    for (size_t i = 0; i < SQ_EXTRAS; i++) {
        sq_reel_clear(&run->extras[i]);
    }
    for (size_t i = 0; i < run->observed_count; i++) {
        sq_layer_drop(&run->observed[i]);
    }
    squall_notes_destroy(&run->notes);
    squall_forecast_destroy(&run->forecast);
    squall_forecast_destroy(&run->ensemble);
}

/* ---------------------------------------------------------------- the forecast */

static int32_t threads_of(const sq_cycle *cycle, const sq_world *world)
{
    const int processors = sq_cpu_count();
    const int32_t wanted = world->config->server.threads;
    const size_t side = world->config->region_count < (size_t)cycle->worker_count
                            ? world->config->region_count
                            : (size_t)cycle->worker_count;
    const int shared = side > 0 ? processors / (int)side : 1;
    return wanted > 0 ? wanted : shared > 1 ? shared : 1;
}

/* Lead times: for an ensemble beside a forecast those of it, else the region's; 0: what is usual.
 */
static size_t choose_leads(const sq_run *run, squall_method method, int32_t *leads_s)
{
    int64_t minutes[MAX_LEADS];
    const squall_forecast *f = run->forecast;
    if (f != NULL && method == SQUALL_METHOD_STEPS) {
        const size_t count = f->count < MAX_LEADS ? f->count : MAX_LEADS;
        memcpy(leads_s, f->leads_s, count * sizeof *leads_s);
        return count;
    }
    const size_t count =
        sq_config_numbers(run->region->config.leads_min, 1, 360, minutes, MAX_LEADS);
    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        leads_s[i] = (int32_t)minutes[i] * 60;
    }
    return count != SIZE_MAX ? count : 0;
}

/* As many members as the region asks for; the same ones for the same frame. */
static squall_status set_ensemble(const sq_run *run, squall_nowcaster *nowcaster, squall_error *err)
{
    squall_ensemble_options options;
    squall_ensemble_options_init(&options);
    if (run->region->config.members > 0) {
        options.members = run->region->config.members;
    }
    options.seed = (uint64_t)run->radar.items[run->radar.count - 1]->field->valid_time;
    return squall_nowcaster_set_ensemble(nowcaster, &options, err);
}

squall_status sq_run_model(sq_run *run, sq_model *model, squall_method method,
                           squall_forecast **out, squall_error *err)
{
    const squall_grid *grid = &run->radar.items[0]->field->grid;
    const int32_t threads = threads_of(run->cycle, run->world);
    const squall_field *fields[SQ_EXTRAS + 1][SQ_REGION_FRAMES];
    squall_source sources[SQ_EXTRAS + 1];
    squall_nowcaster *nowcaster = NULL;
    int32_t leads_s[MAX_LEADS];
    for (size_t k = 0; k <= run->region->extra_count; k++) {
        const sq_reel *reel = k == 0 ? &run->radar : &run->extras[k - 1];
        for (size_t i = 0; i < reel->count; i++) {
            fields[k][i] = reel->items[i]->field;
        }
        sources[k] = (squall_source){k == 0 ? "radar" : run->region->extra_names[k - 1], fields[k],
                                     reel->count};
    }
    const size_t leads = choose_leads(run, method, leads_s);
    SQ_TRY(model != NULL ? sq_model_borrow(model, grid, threads, &nowcaster, err)
                         : squall_nowcaster_create(NULL, threads, &nowcaster, err));
    squall_status status = model == NULL ? set_ensemble(run, nowcaster, err) : SQUALL_OK;
    if (status == SQUALL_OK) {
        status =
            squall_nowcast_run(nowcaster, sources, run->region->extra_count + 1, SQUALL_TIME_NONE,
                               leads > 0 ? leads_s : NULL, leads, method, out, run->notes, err);
    }
    if (model != NULL) {
        snprintf(run->model_name, sizeof run->model_name, "%s",
                 squall_recipe_name(squall_nowcaster_recipe(nowcaster)));
        sq_model_return(model, grid, nowcaster);
    } else {
        squall_nowcaster_destroy(&nowcaster);
    }
    return status;
}

/* Run an engine: a candidate whose turn it is first, and where that fails the version in service.
 * Whether there is a forecast of a network. */
static bool run_engine(sq_run *run, size_t engine)
{
    sq_model *const models[2] = {run->world->models[engine], run->world->candidates[engine]};
    const bool blend = sq_method_find(run->region->config.method) == SQUALL_METHOD_BLEND;
    const squall_method method = blend ? SQUALL_METHOD_BLEND : SQUALL_METHOD_MODEL;
    for (int v = sq_run_choose(run, engine); v >= 0; v--) {
        squall_error problem = {.code = SQUALL_OK};
        const double start_s = sq_clock_s();
        squall_forecast_destroy(&run->forecast);
        const squall_status status = sq_run_model(run, models[v], method, &run->forecast, &problem);
        const bool made = status == SQUALL_OK && run->forecast->method == method;
        sq_run_note(run, engine, v, made, sq_clock_s() - start_s,
                    status != SQUALL_OK ? problem.text : run->forecast->quality);
        if (made) {
            run->model = models[v];
            return true;
        }
        if (status != SQUALL_OK) {
            sq_note(run->notes, problem.where, "%s", problem.text);
        }
    }
    return false;
}

/* Engine after engine, until one makes it; else the best of what is left. */
static squall_status forecast(sq_run *run, squall_error *err)
{
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    const squall_method method = sq_method_find(run->region->config.method);
    const bool by_model = method == SQUALL_METHOD_AUTO || method == SQUALL_METHOD_MODEL ||
                          method == SQUALL_METHOD_BLEND;
    const size_t count = by_model ? sq_config_split(run->region->config.engines, names) : 0;
    for (size_t k = 0; k < count && count != SIZE_MAX; k++) {
        for (size_t i = 0; i < run->world->config->engine_count; i++) {
            if (strcmp(run->world->models[i]->config.name, names[k]) == 0 && run_engine(run, i)) {
                return SQUALL_OK;
            }
        }
    }
    if (run->forecast != NULL) {
        return SQUALL_OK; /* an engine could not be used; its nowcaster fell back by itself */
    }
    return sq_run_model(run, NULL, by_model && count > 0 ? SQUALL_METHOD_EXTRAPOLATION : method,
                        &run->forecast, err);
}

/* An ensemble beside the forecast, where the region asks for one: what it cannot give is noted. */
static void add_ensemble(sq_run *run)
{
    squall_error problem = {.code = SQUALL_OK};
    if (run->region->config.members == 0 || run->forecast->ensemble != NULL ||
        run->forecast->method == SQUALL_METHOD_PERSISTENCE) {
        return;
    }
    if (sq_run_model(run, NULL, SQUALL_METHOD_STEPS, &run->ensemble, &problem) != SQUALL_OK) {
        sq_note(run->notes, problem.where, "%s", problem.text);
    }
}

/* ---------------------------------------------------------------- the snapshot */

/* What went into it, as JSON: frames by source, and what was missing. */
static char *describe_inputs(const sq_run *run)
{
    sq_json json = {0};
    sq_json_object(&json, NULL);
    sq_json_array(&json, "sources");
    for (size_t k = 0; k <= run->region->extra_count; k++) {
        const sq_reel *reel = k == 0 ? &run->radar : &run->extras[k - 1];
        sq_json_object(&json, NULL);
        sq_json_text(&json, "name",
                     k == 0 ? run->region->config.radar : run->region->extra_names[k - 1]);
        sq_json_array(&json, "frames");
        for (size_t i = 0; i < reel->count; i++) {
            sq_json_object(&json, NULL);
            sq_json_time(&json, "time", reel->items[i]->field->valid_time);
            sq_json_text(&json, "file", reel->items[i]->name);
            sq_json_end_object(&json);
        }
        sq_json_end_array(&json);
        sq_json_end_object(&json);
    }
    sq_json_end_array(&json);
    sq_json_array(&json, "notes");
    for (size_t i = 0; i < squall_notes_count(run->notes); i++) {
        sq_json_text(&json, NULL, squall_notes_get(run->notes, i));
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    if (json.text.failed) {
        sq_json_free(&json);
        return NULL;
    }
    return json.text.data;
}

/* The first layer that reaches the alarm in enough cells, and the highest rate of all. */
static void look_for_alarm(const sq_config_region *config, sq_snapshot *s)
{
    const double limit = config->alarm_mm_h * 100.0;
    for (size_t k = 0; k <= s->count; k++) {
        const sq_layer *layer = k > 0                   ? s->layers[k - 1]
                                : s->observed_count > 0 ? s->observed[s->observed_count - 1]
                                                        : NULL;
        size_t cells = 0;
        uint16_t most = 0;
        for (size_t i = 0; layer != NULL && i < layer->count; i++) {
            const uint16_t value = layer->values[i];
            if (value <= SQ_LAYER_MOST) {
                most = value > most ? value : most;
                cells += limit > 0.0 && (double)value >= limit ? 1 : 0;
            }
        }
        s->max_mm_h = fmax(s->max_mm_h, most / 100.0);
        if (layer != NULL && !s->alarm && limit > 0.0 && cells >= (size_t)config->alarm_cells) {
            s->alarm = true;
            s->alarm_time = layer->valid_time;
        }
    }
}

static void name_snapshot(const sq_run *run, sq_snapshot *s)
{
    const squall_forecast *f = run->forecast;
    s->number = atomic_fetch_add(&run->cycle->number, 1) + 1;
    memcpy(s->region, run->region->config.name, sizeof s->region);
    s->issue_time = f->issue_time;
    s->made_time = sq_cycle_now(run->cycle);
    sq_snapshot_name(s);
    s->method = f->method;
    if (run->model != NULL) {
        snprintf(s->model, sizeof s->model, "%s", run->model_name);
        snprintf(s->engine, sizeof s->engine, "%s", run->model->config.name);
        s->version = run->model->config.version;
    }
    memcpy(s->quality, f->quality, sizeof s->quality);
    s->quality_index = f->quality_index;
    s->complete = run->complete;
    s->motion_s = f->motion_s;
    s->features_s = f->features_s;
    s->engine_s = f->engine_s;
    s->fields_s = f->fields_s;
    s->wait_s = run->start_s - run->arrived_s;
    s->total_s = sq_clock_s() - run->start_s;
}

/* A field of probabilities as a layer; NULL without memory. */
static sq_layer *pack_chance(const squall_field *field)
{
    squall_error unused;
    squall_field *percent = NULL;
    sq_layer *layer = NULL;
    if (squall_field_create(&field->grid, &percent, &unused) != SQUALL_OK) {
        return NULL;
    }
    percent->valid_time = field->valid_time;
    for (size_t i = 0; i < field->grid.width * field->grid.height; i++) {
        percent->values[i] = 100.0f * field->values[i];
        percent->mask[i] = field->mask[i];
    }
    layer = sq_layer_create(percent);
    squall_field_destroy(&percent);
    return layer;
}

/* Which of its thresholds is that of rain; the number of them when none is. */
static size_t wet_threshold(const squall_ensemble *e)
{
    size_t k = 0;
    while (k < SQUALL_ENSEMBLE_THRESHOLDS && fabsf(e->thresholds_mm_h[k] - WET_MM_H) > 1e-4f) {
        k++;
    }
    return k;
}

/* The ensemble's probabilities, where there is one of the same lead times: of STEPS, or of the
 * engine itself. */
static squall_status add_chances(const sq_run *run, sq_snapshot *s, squall_error *err)
{
    const squall_ensemble *e = run->forecast->ensemble != NULL ? run->forecast->ensemble
                               : run->ensemble != NULL         ? run->ensemble->ensemble
                                                               : NULL;
    const size_t wet = e != NULL ? wet_threshold(e) : SQUALL_ENSEMBLE_THRESHOLDS;
    if (wet == SQUALL_ENSEMBLE_THRESHOLDS || e->leads != s->count) {
        return SQUALL_OK;
    }
    s->chances = sq_alloc(s->count, sizeof *s->chances);
    for (size_t i = 0; s->chances != NULL && i < s->count; i++) {
        s->chances[i] = pack_chance(e->probabilities[i * SQUALL_ENSEMBLE_THRESHOLDS + wet]);
        if (s->chances[i] == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, s->region, "no memory for probabilities");
        }
    }
    return s->chances != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, s->region, "no memory");
}

squall_status sq_run_snapshot(sq_run *run, squall_error *err)
{
    const squall_forecast *f = run->forecast;
    sq_snapshot *s = sq_snapshot_create(f->count, run->observed_count, err);
    if (s == NULL) {
        return SQUALL_E_MEMORY;
    }
    s->place = sq_place_keep(run->region->place);
    for (size_t i = 0; i < f->count; i++) {
        s->leads_s[i] = f->leads_s[i];
        s->layers[i] = sq_layer_create(f->fields[i]);
        if (s->layers[i] == NULL) {
            s->count = i;
            sq_snapshot_drop(&s);
            return sq_fail(err, SQUALL_E_MEMORY, run->region->config.name, "no memory");
        }
    }
    for (size_t i = 0; i < run->observed_count; i++) {
        if (run->observed[i]->valid_time <= f->issue_time) {
            s->observed[s->observed_count++] = sq_layer_keep(run->observed[i]);
        }
    }
    const squall_status status = add_chances(run, s, err);
    if (status != SQUALL_OK) {
        sq_snapshot_drop(&s);
        return status;
    }
    s->inputs = describe_inputs(run);
    look_for_alarm(&run->region->config, s);
    name_snapshot(run, s);
    run->snapshot = s;
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- publishing */

static void count_cycle(sq_run *run, const sq_snapshot *s)
{
    const char *const labels[] = {s->region, squall_method_name(s->method)};
    const sq_cycle_metrics *m = &run->cycle->m;
    const struct {
        const char *name;
        double seconds;
    } stages[] = {{"wait", s->wait_s},
                  {"motion", s->motion_s},
                  {"features", s->features_s},
                  {"engine", s->engine_s},
                  {"fields", s->fields_s}};
    sq_metric_add(m->cycles, 1.0, labels);
    sq_metric_observe(m->cycle_seconds, s->total_s, labels);
    sq_metric_observe(m->latency, sq_clock_s() - run->arrived_s, labels);
    sq_metric_set(m->quality, s->quality_index, labels);
    sq_metric_set(m->alarm, s->alarm ? 1.0 : 0.0, labels);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        const char *const stage[] = {s->region, stages[i].name};
        sq_metric_observe(m->stage_seconds, stages[i].seconds, stage);
    }
}

static void log_cycle(const sq_run *run, const sq_snapshot *s)
{
    sq_json line;
    sq_log_begin(run->cycle->log, &line, SQ_LOG_INFO, "forecast");
    sq_json_text(&line, "region", s->region);
    sq_json_time(&line, "issue_time", s->issue_time);
    sq_json_text(&line, "method", squall_method_name(s->method));
    sq_json_text(&line, "engine", s->engine[0] != '\0' ? s->engine : NULL);
    sq_json_real(&line, "quality_index", s->quality_index, 3);
    sq_json_text(&line, "quality", s->quality);
    sq_json_bool(&line, "complete", s->complete);
    sq_json_bool(&line, "alarm", s->alarm);
    sq_json_real(&line, "total_s", s->total_s, 4);
    sq_json_real(&line, "latency_s", sq_clock_s() - run->arrived_s, 4);
    sq_log_end(run->cycle->log, &line);
}

/* The product, to be written when there is time. */
static void queue_product(sq_run *run, sq_world *world, sq_snapshot *s)
{
    sq_job *job = sq_job_create(SQ_JOB_PRODUCT, world);
    if (job != NULL) {
        job->region = sq_region_keep(run->region);
        job->snapshot = sq_snapshot_keep(s);
        sq_cycle_queue(run->cycle, job, SQ_PRIORITY_LATER);
    }
}

/* The snapshot that was published, kept for the caller. */
static sq_snapshot *publish(sq_run *run, sq_world *world)
{
    sq_cycle *cycle = run->cycle;
    sq_snapshot *s = sq_snapshot_keep(run->snapshot);
    if (sq_region_publish(run->region, run->snapshot, run->epoch)) {
        pthread_mutex_lock(&run->region->mutex);
        run->region->last_total_s = s->total_s;
        run->region->last_latency_s = sq_clock_s() - run->arrived_s;
        pthread_mutex_unlock(&run->region->mutex);
        count_cycle(run, s);
        log_cycle(run, s);
        if (cycle->listener.published != NULL) {
            cycle->listener.published(cycle->listener.owner, s);
        }
        queue_product(run, world, s);
    }
    run->snapshot = NULL;
    return s;
}

/* The region is free for its next cycle. */
static void end_cycle(sq_cycle *cycle, sq_job *job, squall_status status)
{
    pthread_mutex_lock(&job->region->mutex);
    job->region->queued = job->region->running = false;
    job->region->cycles++;
    job->region->failures += status != SQUALL_OK ? 1 : 0;
    pthread_mutex_unlock(&job->region->mutex);
    sq_cycle_queue_due(cycle, job->world);
}

squall_status sq_run_warm(sq_cycle *cycle, const sq_world *world, sq_region *region,
                          sq_model *model, squall_error *err)
{
    sq_run *run = sq_alloc(1, sizeof *run);
    if (run == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, region->config.name, "no memory");
    }
    run->cycle = cycle;
    run->world = world;
    run->region = region;
    run->notes = squall_notes_create();
    pthread_mutex_lock(&region->mutex);
    copy_frames(run);
    pthread_mutex_unlock(&region->mutex);
    squall_status status = run->radar.count > 0
                               ? sq_run_model(run, model, SQUALL_METHOD_MODEL, &run->forecast, err)
                               : SQUALL_OK; /* nothing to run on yet */
    let_go(run);
    sq_free(run);
    return status;
}

void sq_cycle_forecast(sq_cycle *cycle, sq_job *job)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_run *run = sq_alloc(1, sizeof *run);
    sq_snapshot *published = NULL;
    squall_status status = sq_fail(&problem, SQUALL_E_MEMORY, "cycle", "no memory");
    if (run != NULL) {
        run->cycle = cycle;
        run->world = job->world;
        run->region = job->region;
        run->start_s = sq_clock_s();
        run->notes = squall_notes_create();
        gather(run);
        status = run->radar.count > 0
                     ? forecast(run, &problem)
                     : sq_fail(&problem, SQUALL_E_NO_DATA, job->region->config.name, "no frame");
        if (status == SQUALL_OK) {
            add_ensemble(run);
            status = sq_run_snapshot(run, &problem);
        }
        if (status == SQUALL_OK) {
            published = publish(run, job->world);
        }
    }
    if (status != SQUALL_OK) {
        const char *const labels[] = {job->region->config.name, "none"};
        sq_metric_add(cycle->m.cycles, 1.0, labels);
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "cycle", &problem);
    }
    end_cycle(cycle, job, status);
    if (run != NULL) {
        if (published != NULL) {
            sq_run_trial(run, published); /* nobody waits for that */
        }
        let_go(run);
        sq_free(run);
    }
    sq_snapshot_drop(&published);
}
