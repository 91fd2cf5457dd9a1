/* svc/serve/serve_main.c - the process: started, reloaded by SIGHUP, stopped by SIGTERM. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "squall/engine.h"
#include "svc/infer/infer.h"
#include "svc/release/release.h"
#include "svc/serve/serve_private.h"

enum { BEAT_S = 15, STOP_STEP_MS = 20 };

/* ---------------------------------------------------------------- what the server asks */

static void *begin(void *owner)
{
    sq_serve *serve = owner;
    sq_serve_context *context = sq_alloc(1, sizeof *context);
    if (context != NULL) {
        context->serve = serve;
        context->world = sq_cycle_world(serve->cycle);
        context->now = sq_cycle_now(serve->cycle);
    }
    return context;
}

static void end(void *owner, void *context)
{
    sq_serve_context *c = context;
    (void)owner;
    if (c != NULL) {
        sq_world_drop(&c->world);
        sq_free(c);
    }
}

static void done(void *owner, const sq_http_route *route, int status, size_t bytes, double seconds)
{
    sq_serve *serve = owner;
    char code[8];
    snprintf(code, sizeof code, "%d", status);
    const char *const labels[] = {route != NULL ? route->pattern : "", code};
    sq_metric_add(serve->requests, 1.0, labels);
    sq_metric_add(serve->request_bytes, (double)bytes, labels);
    if (route == NULL || route->run != sq_serve_events) { /* a stream lasts as long as it lasts */
        sq_metric_observe(serve->request_seconds, seconds, labels);
    }
    if (status >= 500 && status != 503) { /* 503 has its counter, and its reason its own line */
        sq_json line;
        sq_log_begin(serve->log, &line, SQ_LOG_WARNING, "request");
        sq_json_text(&line, "route", labels[0]);
        sq_json_int(&line, "status", status);
        sq_json_real(&line, "seconds", seconds, 4);
        sq_log_end(serve->log, &line);
    }
}

static void on_published(void *owner, const sq_snapshot *snapshot)
{
    sq_serve *serve = owner;
    sq_json json = {0};
    sq_release_published(serve->release, snapshot);
    sq_json_object(&json, NULL);
    sq_json_text(&json, "region", snapshot->region);
    sq_json_text(&json, "instance", snapshot->id);
    sq_json_time(&json, "issue_time", snapshot->issue_time);
    sq_json_text(&json, "method", squall_method_name(snapshot->method));
    sq_json_real(&json, "quality_index", snapshot->quality_index, 3);
    sq_json_bool(&json, "alarm", snapshot->alarm);
    sq_json_time(&json, "alarm_time", snapshot->alarm ? snapshot->alarm_time : SQ_TIME_NONE);
    sq_json_end_object(&json);
    if (!json.text.failed) {
        sq_http_hub_publish(serve->hub, "forecast", json.text.data);
    }
    sq_json_free(&json);
}

static void on_tried(void *owner, const sq_trial *trial)
{
    sq_release_tried(((sq_serve *)owner)->release, trial);
}

static void on_seen(void *owner, const char *region, sq_layer *layer)
{
    sq_release_seen(((sq_serve *)owner)->release, region, layer);
}

static void on_missing(void *owner, const char *region, int64_t time)
{
    sq_serve *serve = owner;
    sq_json json = {0};
    sq_json_object(&json, NULL);
    sq_json_text(&json, "region", region);
    sq_json_time(&json, "frame", time);
    sq_json_end_object(&json);
    if (!json.text.failed) {
        sq_http_hub_publish(serve->hub, "missing", json.text.data);
    }
    sq_json_free(&json);
}

/* A product is there: the brokers are told. */
static void on_written(void *owner, const sq_snapshot *s, const char *path)
{
    const sq_serve *serve = owner;
    squall_error problem = {.code = SQUALL_OK};
    sq_mapping file;
    char href[SQ_CONFIG_TEXT * 2];
    if (sq_file_map(path, SQ_LIMIT_FILE_BYTES, &file, &problem) != SQUALL_OK) {
        sq_log_failure(serve->log, SQ_LOG_WARNING, "announcement", &problem);
        return;
    }
    snprintf(href, sizeof href, "/regions/%s/products/%s", s->region, sq_path_name(path));
    const sq_wis2_product product = {.region = s->region,
                                     .name = sq_path_name(path),
                                     .href = href,
                                     .type = SQ_TYPE_NETCDF,
                                     .bytes = file.data,
                                     .size = file.size,
                                     .start = s->issue_time,
                                     .end = s->issue_time +
                                            (s->count > 0 ? s->leads_s[s->count - 1] : 0),
                                     .west = s->place->west,
                                     .south = s->place->south,
                                     .east = s->place->east,
                                     .north = s->place->north};
    sq_wis2_announce(serve->wis2, &product);
    sq_file_unmap(&file);
}

/* ---------------------------------------------------------------- start */

static void add_metrics(sq_serve *serve)
{
    static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                    0.1,    0.25,  0.5,    1.0,   2.5,  10.0};
    sq_metrics *m = serve->metrics;
    serve->requests = sq_metrics_add(m, SQ_METRIC_COUNTER, "squall_http_requests_total",
                                     "Requests answered.", "route status", NULL, 0);
    serve->request_bytes = sq_metrics_add(m, SQ_METRIC_COUNTER, "squall_http_response_bytes_total",
                                          "Bytes of bodies sent.", "route", NULL, 0);
    serve->request_seconds =
        sq_metrics_add(m, SQ_METRIC_HISTOGRAM, "squall_http_request_seconds",
                       "Time from a request's first line to the end of its answer.", "route",
                       bounds, sizeof bounds / sizeof bounds[0]);
    serve->listeners = sq_metrics_add(m, SQ_METRIC_GAUGE, "squall_http_event_listeners",
                                      "Open streams of events.", "", NULL, 0);
}

static squall_status open_catalogue(sq_serve *serve, const sq_config *config, squall_error *err)
{
    char path[SQ_CONFIG_TEXT + 32];
    SQ_TRY(sq_folder_make(config->server.data, err));
    snprintf(path, sizeof path, "%s/catalogue.sqlite", config->server.data);
    return sq_catalogue_open(path, &serve->catalogue, err);
}

static squall_status listen_all(sq_serve *serve, const sq_config *config, squall_error *err)
{
    char names[SQ_SERVE_ADDRESSES][SQ_CONFIG_TEXT];
    size_t count = 0;
    const sq_http_service service = {.owner = serve,
                                     .routes = sq_serve_routes,
                                     .route_count = sq_serve_route_count,
                                     .begin = begin,
                                     .end = end,
                                     .admit = sq_serve_admit,
                                     .done = done,
                                     .log = serve->log};
    for (const char *at = config->server.listen; *at != '\0' && count < SQ_SERVE_ADDRESSES;) {
        at += strspn(at, " ,");
        const size_t length = strcspn(at, " ,");
        if (length > 0) {
            snprintf(names[count++], SQ_CONFIG_TEXT, "%.*s", (int)length, at);
        }
        at += length;
    }
    for (size_t i = 0; i < count; i++) {
        const sq_http_options options = {.listen = names[i],
                                         .threads = config->server.http_threads,
                                         .connections = config->server.connections,
                                         .per_address = config->server.per_address,
                                         .idle_s = config->server.idle_s,
                                         .base = config->server.base_url,
                                         .cors = config->server.cors};
        SQ_TRY(sq_http_server_open(&service, &options, &serve->servers[serve->server_count], err));
        serve->server_count++;
        sq_json line;
        sq_log_begin(serve->log, &line, SQ_LOG_INFO, "listening");
        sq_json_text(&line, "address", sq_serve_address(serve, i));
        sq_log_end(serve->log, &line);
    }
    return SQUALL_OK;
}

/* It is never called: the signals are blocked. But one that is ignored, as nohup and shells in the
 * background have it, would not be kept for sigtimedwait() either. */
static void on_signal(int number)
{
    (void)number;
}

/* Signals are waited for by one thread; all others have them blocked, from before they begin. */
static void block_signals(sigset_t *set)
{
    static const int awaited[] = {SIGTERM, SIGINT, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof awaited / sizeof awaited[0]; i++) {
        sigaddset(set, awaited[i]);
    }
    pthread_sigmask(SIG_BLOCK, set, NULL);
    for (size_t i = 0; i < sizeof awaited / sizeof awaited[0]; i++) {
        const struct sigaction action = {.sa_handler = on_signal};
        sigaction(awaited[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

squall_status sq_serve_open(const char *path, sq_serve **out, squall_notes *notes,
                            squall_error *err)
{
    sigset_t signals;
    sq_config *config = NULL;
    squall_status status = SQUALL_OK;
    sq_serve *serve = sq_alloc(1, sizeof *serve);
    if (serve == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "service", "no memory");
    }
    block_signals(&signals);
    snprintf(serve->path, sizeof serve->path, "%s", path);
    serve->started_s = sq_clock_s();
    SQ_TRY_GOTO(sq_config_read(path, &config, notes, err));
    if (config->server.sandbox) {
        SQ_TRY_GOTO(sq_serve_confine(err));
    }
    const int level = sq_log_level_find(config->server.log_level);
    serve->log = sq_log_create(STDERR_FILENO, (sq_log_level)level);
    serve->metrics = sq_metrics_create();
    serve->hub = sq_http_hub_create();
    serve->limiter = sq_http_limiter_create();
    serve->tiles = sq_tiles_create();
    serve->basemaps = sq_basemaps_create();
    serve->infer = sq_infer_create(serve->metrics);
    serve->wis2 = sq_wis2_create(serve->metrics, serve->log, sq_serve_take_file, serve);
    if (serve->log == NULL || serve->metrics == NULL || serve->hub == NULL ||
        serve->limiter == NULL || serve->tiles == NULL || serve->basemaps == NULL ||
        serve->infer == NULL || serve->wis2 == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "service", "no memory");
        goto done;
    }
    add_metrics(serve);
    SQ_TRY_GOTO(open_catalogue(serve, config, err));
    const sq_cycle_listener listener = {serve,    on_published, on_missing,
                                        on_tried, on_seen,      on_written};
    SQ_TRY_GOTO(sq_release_open(config, serve->metrics, serve->log, &serve->release, err));
    sq_config *given = config;
    config = NULL;
    SQ_TRY_GOTO(sq_cycle_open(given, serve->catalogue, serve->metrics, serve->log, &listener,
                              &serve->cycle, err));
    SQ_TRY_GOTO(sq_release_begin(serve->release, serve->cycle, err));
    sq_world *world = sq_cycle_world(serve->cycle);
    status = listen_all(serve, world->config, err);
    if (status == SQUALL_OK) {
        sq_wis2_follow(serve->wis2, world->config);
    }
    sq_world_drop(&world);
    if (status == SQUALL_OK) {
        *out = serve;
        serve = NULL;
    }
done:
    sq_config_destroy(&config);
    sq_serve_close(&serve);
    return status;
}

const char *sq_serve_address(const sq_serve *serve, size_t index)
{
    return index < serve->server_count ? sq_http_server_address(serve->servers[index]) : NULL;
}

/* ---------------------------------------------------------------- run */

static void reload(sq_serve *serve)
{
    squall_error problem = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    sq_config *config = NULL;
    squall_status status = sq_config_read(serve->path, &config, notes, &problem);
    for (size_t i = 0; notes != NULL && i < squall_notes_count(notes); i++) {
        sq_log_say(serve->log, SQ_LOG_ERROR, "configuration", squall_notes_get(notes, i));
    }
    squall_notes_destroy(&notes);
    if (status == SQUALL_OK) {
        const int level = sq_log_level_find(config->server.log_level);
        status = serve->release != NULL ? sq_release_reload(serve->release, config, &problem)
                                        : sq_cycle_reload(serve->cycle, config, &problem);
        if (status == SQUALL_OK) {
            sq_log_set_level(serve->log, (sq_log_level)level);
            sq_world *world = sq_cycle_world(serve->cycle);
            sq_wis2_follow(serve->wis2, world->config);
            sq_world_drop(&world);
        }
    }
    if (status != SQUALL_OK) {
        sq_log_failure(serve->log, SQ_LOG_ERROR, "reload", &problem);
    } else {
        sq_log_say(serve->log, SQ_LOG_INFO, "reload", "the configuration was read again");
    }
}

void sq_serve_wait(sq_serve *serve)
{
    sigset_t signals;
    block_signals(&signals);
    for (;;) {
        const struct timespec beat = {.tv_sec = BEAT_S};
        const int caught = sigtimedwait(&signals, NULL, &beat);
        if (caught == SIGHUP) {
            reload(serve);
        } else if (caught == SIGTERM || caught == SIGINT) {
            sq_log_say(serve->log, SQ_LOG_INFO, "stopping", "what runs is finished first");
            return;
        } else if (caught < 0) {
            sq_http_hub_publish(serve->hub, NULL, NULL); /* a sign of life */
        }
    }
}

/* ---------------------------------------------------------------- stop */

/* Wait until the requests that run are answered. */
static void wait_for_requests(sq_serve *serve, double wait_s)
{
    const struct timespec step = {.tv_nsec = STOP_STEP_MS * 1000000L};
    const double until_s = sq_clock_s() + wait_s;
    size_t running = 1;
    while (running > 0 && sq_clock_s() < until_s) {
        running = 0;
        for (size_t i = 0; i < serve->server_count; i++) {
            running += sq_http_server_running(serve->servers[i]);
        }
        if (running > 0) {
            nanosleep(&step, NULL);
        }
    }
}

void sq_serve_close(sq_serve **serve)
{
    sq_serve *s = *serve;
    double wait_s = 0.0;
    *serve = NULL;
    if (s == NULL) {
        return;
    }
    if (s->cycle != NULL) {
        sq_world *world = sq_cycle_world(s->cycle);
        wait_s = world->config->server.stop_s;
        sq_world_drop(&world);
    }
    for (size_t i = 0; i < s->server_count; i++) {
        sq_http_server_quiesce(s->servers[i]);
    }
    if (s->hub != NULL) {
        sq_http_hub_close(s->hub);
    }
    wait_for_requests(s, wait_s);
    if (s->infer != NULL) {
        sq_infer_stop(s->infer); /* what still waits is answered, or its connection would hang */
    }
    for (size_t i = 0; i < s->server_count; i++) {
        sq_http_server_close(&s->servers[i]);
    }
    sq_release_end(s->release); /* it switches engines of the cycle */
    if (s->wis2 != NULL) {
        sq_wis2_deafen(s->wis2); /* no file comes any more; products are still announced */
    }
    sq_cycle_close(&s->cycle, wait_s);
    sq_release_close(&s->release);
    sq_wis2_destroy(&s->wis2);
    sq_catalogue_close(&s->catalogue);
    sq_log_say(s->log, SQ_LOG_INFO, "stopped", "everything is closed");
    sq_http_hub_destroy(&s->hub);
    sq_http_limiter_destroy(&s->limiter);
    sq_tiles_destroy(&s->tiles);
    sq_basemaps_destroy(&s->basemaps);
    sq_infer_destroy(&s->infer);
    sq_metrics_destroy(&s->metrics);
    sq_log_destroy(&s->log);
    sq_free(s);
}

/* ---------------------------------------------------------------- check */

static void check_engine(const sq_config *config, const sq_config_engine *engine,
                         squall_notes *notes)
{
    squall_error problem = {.code = SQUALL_OK};
    squall_engine_options options;
    squall_engine *opened = NULL;
    char where[SQ_CONFIG_TEXT * 4 + 80];
    if (engine->model[0] != '\0') {
        return; /* the repository's are checked when they are released, and at every start */
    }
    squall_engine_options_init(&options);
    options.trusted_keys = engine->trusted_keys[0] != '\0' ? engine->trusted_keys : NULL;
    if (squall_engine_open(engine->file, &options, &opened, NULL, &problem) != SQUALL_OK) {
        snprintf(where, sizeof where, "%s:%d: [engine %s] file", config->path, engine->line,
                 engine->name);
        sq_note(notes, where, "%s: %s", problem.where, problem.text);
    } else if (squall_engine_recipe(opened) == NULL) {
        snprintf(where, sizeof where, "%s:%d: [engine %s] file", config->path, engine->line,
                 engine->name);
        sq_note(notes, where, "carries no recipe; build it with --recipe");
    }
    squall_engine_close(&opened);
}

static void check_folder(const sq_config *config, const sq_config_source *source, const char *key,
                         const char *folder, squall_notes *notes)
{
    char where[SQ_CONFIG_TEXT * 4 + 80];
    if (folder[0] != '\0' && !sq_path_is_folder(folder)) {
        snprintf(where, sizeof where, "%s:%d: [source %s] %s", config->path, source->line,
                 source->name, key);
        sq_note(notes, where, "'%s' is no folder", folder);
    }
}

squall_status sq_serve_check(const char *path, squall_notes *notes, squall_error *err)
{
    sq_config *config = NULL;
    SQ_TRY(sq_config_read(path, &config, notes, err));
    const size_t before = squall_notes_count(notes);
    for (size_t i = 0; i < config->engine_count; i++) {
        check_engine(config, &config->engines[i], notes);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        check_folder(config, &config->sources[i], "watch", config->sources[i].watch, notes);
        check_folder(config, &config->sources[i], "replay", config->sources[i].replay, notes);
    }
    const size_t found = squall_notes_count(notes) - before;
    sq_config_destroy(&config);
    return found == 0
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, path, "%zu thing%s that it names cannot be used",
                         found, found > 1 ? "s" : "");
}
