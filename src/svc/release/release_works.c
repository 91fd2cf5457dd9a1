/* svc/release/release_works.c - releases of a service: opened, commanded, moved by what happens. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "svc/release/release_private.h"

/* ---------------------------------------------------------------- routes */

/* The step that says who answers: while it is paused, the last one that is no pause. */
static const sq_step *routing_step(const sq_rollout *r)
{
    for (size_t i = r->step < r->step_count ? r->step + 1 : 0; i-- > 0;) {
        if (r->steps[i].kind != SQ_STEP_PAUSE) {
            return &r->steps[i];
        }
    }
    return NULL;
}

void sq_release_fill(const sq_release *release, sq_config *config)
{
    for (size_t i = 0; i < config->engine_count; i++) {
        sq_config_engine *engine = &config->engines[i];
        for (size_t k = 0; k < release->count; k++) {
            const sq_release_engine *e = &release->engines[k];
            if (engine->model[0] == '\0' || strcmp(e->rollout.engine, engine->name) != 0) {
                continue;
            }
            memset(engine->file, 0, sizeof engine->file);
            memcpy(engine->file, e->path[0], sizeof engine->file);
            engine->version = (int32_t)e->rollout.stable;
            if (config->trials == NULL || e->rollout.candidate == 0) {
                continue;
            }
            sq_config_trial *trial = &config->trials[i];
            const sq_step *step = routing_step(&e->rollout);
            memset(trial, 0, sizeof *trial);
            memcpy(trial->file, e->path[1], sizeof trial->file);
            trial->version = (int32_t)e->rollout.candidate;
            if (step != NULL && step->kind == SQ_STEP_WEIGHT) {
                trial->weight = step->weight;
            } else if (step != NULL && step->kind == SQ_STEP_REGIONS) {
                snprintf(trial->regions, sizeof trial->regions, "%s", step->regions);
            }
        }
    }
}

squall_status sq_release_apply(sq_release *release, sq_config *config, squall_error *err)
{
    if (config == NULL) {
        sq_world *world = sq_cycle_world(release->cycle);
        config = sq_config_copy(world->config);
        sq_world_drop(&world);
    }
    if (config == NULL || !sq_config_make_trials(config)) {
        sq_config_destroy(&config);
        return sq_fail(err, SQUALL_E_MEMORY, "release", "no memory for a configuration");
    }
    sq_release_fill(release, config);
    return sq_cycle_reload(release->cycle, config, err);
}

static size_t index_of(const sq_release *release, const sq_release_engine *engine)
{
    return (size_t)(engine - release->engines);
}

static void log_move(const sq_release *release, const sq_rollout *r, const char *what)
{
    sq_json line;
    sq_log_begin(release->log, &line, SQ_LOG_INFO, "release");
    sq_json_text(&line, "engine", r->engine);
    sq_json_text(&line, "what", what);
    sq_json_int(&line, "stable", r->stable);
    sq_json_int(&line, "candidate", r->candidate);
    sq_json_text(&line, "phase", sq_phase_name(r->phase));
    sq_json_int(&line, "step", (int64_t)r->step);
    sq_json_text(&line, "message", r->message);
    sq_log_end(release->log, &line);
}

/* The state is on disk before anything is switched: one that is killed in between finds it there.
 */
squall_status sq_release_move(sq_release *release, sq_release_engine *engine, sq_move move,
                              squall_error *err)
{
    sq_rollout *r = &engine->rollout;
    const char *what = r->history_count > 0 ? r->history[r->history_count - 1].what : "";
    if (move == SQ_MOVE_NONE) {
        return SQUALL_OK;
    }
    if (move == SQ_MOVE_PROMOTE) {
        memcpy(engine->path[0], engine->path[1], sizeof engine->path[0]);
        r->tally[0].memory_bytes = r->tally[1].memory_bytes;
    }
    if (move == SQ_MOVE_PROMOTE || move == SQ_MOVE_ABORT) {
        memset(engine->path[1], 0, sizeof engine->path[1]);
        sq_release_drop_pairs(release, index_of(release, engine));
        const char *const labels[] = {r->engine, what};
        sq_metric_add(release->m.moves, 1.0, labels);
    }
    SQ_TRY(sq_release_save(release, err));
    if (move != SQ_MOVE_SAVE) {
        SQ_TRY(sq_release_apply(release, NULL, err));
    }
    sq_release_count(release, engine, NULL);
    log_move(release, r, move == SQ_MOVE_SAVE || move == SQ_MOVE_ROUTE ? "step" : what);
    if (move == SQ_MOVE_PROMOTE || move == SQ_MOVE_ABORT) {
        sq_release_log(release, what, r, r->history[r->history_count - 1].version);
    }
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- what happened */

static void take_trial(sq_release *release, sq_release_event *event)
{
    squall_error problem = {.code = SQUALL_OK};
    for (size_t i = 0; i < release->count; i++) {
        sq_release_engine *engine = &release->engines[i];
        if (strcmp(engine->rollout.engine, event->engine) != 0 || engine->rollout.candidate == 0) {
            continue;
        }
        if (event->snapshots[0] != NULL && event->snapshots[1] != NULL) {
            if (release->pair_count == SQ_RELEASE_PAIRS) {
                sq_snapshot_drop(&release->pairs[0].snapshots[0]);
                sq_snapshot_drop(&release->pairs[0].snapshots[1]);
                memmove(&release->pairs[0], &release->pairs[1],
                        (SQ_RELEASE_PAIRS - 1) * sizeof release->pairs[0]);
                release->pair_count--;
            }
            release->pairs[release->pair_count++] =
                (sq_release_pair){.engine = i,
                                  .snapshots = {event->snapshots[0], event->snapshots[1]}};
            event->snapshots[0] = event->snapshots[1] = NULL;
        }
        const sq_move move = sq_rollout_try(&engine->rollout, &release->limits, &event->trial,
                                            sq_cycle_now(release->cycle));
        sq_release_count(release, engine, &event->trial);
        if (sq_release_move(release, engine, move, &problem) != SQUALL_OK) {
            sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
        }
    }
}

static void tick(sq_release *release)
{
    squall_error problem = {.code = SQUALL_OK};
    for (size_t i = 0; i < release->count; i++) {
        const sq_move move = sq_rollout_tick(&release->engines[i].rollout, &release->limits,
                                             sq_cycle_now(release->cycle));
        if (sq_release_move(release, &release->engines[i], move, &problem) != SQUALL_OK) {
            sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
        }
    }
}

static void free_event(sq_release_event *event)
{
    sq_snapshot_drop(&event->snapshots[0]);
    sq_snapshot_drop(&event->snapshots[1]);
    sq_layer_drop(&event->layer);
}

/* With the queue's lock: the oldest event; false when there is none. */
static bool pop(sq_release *release, sq_release_event *event)
{
    if (release->event_count == 0) {
        return false;
    }
    *event = release->events[0];
    memmove(&release->events[0], &release->events[1],
            (release->event_count - 1) * sizeof release->events[0]);
    release->event_count--;
    return true;
}

static void *work(void *arg)
{
    sq_release *release = arg;
    sq_release_event event;
    pthread_mutex_lock(&release->queue);
    while (!release->stopping) {
        const bool found = pop(release, &event);
        if (!found) {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec++;
            pthread_cond_timedwait(&release->wake, &release->queue, &until);
        }
        pthread_mutex_unlock(&release->queue);
        pthread_mutex_lock(&release->mutex);
        if (!found) {
            tick(release);
        } else if (event.layer != NULL) {
            sq_release_score(release, event.region, event.layer);
        } else {
            take_trial(release, &event);
        }
        pthread_mutex_unlock(&release->mutex);
        if (found) {
            free_event(&event);
        }
        pthread_mutex_lock(&release->queue);
    }
    pthread_mutex_unlock(&release->queue);
    return NULL;
}

/* The event is given; when nobody takes them the oldest goes. */
static void push(sq_release *release, sq_release_event *event)
{
    sq_release_event oldest = {.layer = NULL};
    pthread_mutex_lock(&release->queue);
    if (release->event_count == SQ_RELEASE_QUEUE) {
        (void)!pop(release, &oldest);
    }
    release->events[release->event_count++] = *event;
    pthread_cond_signal(&release->wake);
    pthread_mutex_unlock(&release->queue);
    free_event(&oldest);
}

void sq_release_tried(sq_release *release, const sq_trial *trial)
{
    if (release == NULL) {
        return;
    }
    sq_release_event event = {.layer = NULL};
    snprintf(event.region, sizeof event.region, "%s", trial->region);
    snprintf(event.engine, sizeof event.engine, "%s", trial->engine);
    event.trial.psnr_db = trial->psnr_db;
    for (int v = 0; v < 2; v++) {
        const sq_tried *one = &trial->versions[v];
        event.trial.made[v] = one->made;
        event.trial.seconds[v] = one->seconds;
        snprintf(event.trial.reason[v], sizeof event.trial.reason[v], "%s", one->reason);
        event.snapshots[v] = sq_snapshot_keep(one->snapshot);
    }
    push(release, &event);
}

void sq_release_seen(sq_release *release, const char *region, sq_layer *layer)
{
    if (release == NULL) {
        return;
    }
    sq_release_event event = {.layer = sq_layer_keep(layer)};
    snprintf(event.region, sizeof event.region, "%s", region);
    push(release, &event);
}

/* ---------------------------------------------------------------- open */

/* The versions of the state, looked at anew: one that does not hold is not used. */
static void check_engine(sq_release *release, sq_release_engine *engine)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_rollout *r = &engine->rollout;
    if (r->stable > 0 && sq_release_check(release, r->model, &r->stable, engine->path[0],
                                          &r->tally[0].memory_bytes, &problem) != SQUALL_OK) {
        engine->path[0][0] = '\0';
        r->phase = SQ_PHASE_DEGRADED;
        snprintf(r->message, sizeof r->message, "version %lld: %.100s: %.120s",
                 (long long)r->stable, problem.where, problem.text);
        sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
    }
    if (r->candidate > 0 && sq_release_check(release, r->model, &r->candidate, engine->path[1],
                                             &r->tally[1].memory_bytes, &problem) != SQUALL_OK) {
        engine->path[1][0] = '\0';
        sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
        (void)!sq_rollout_abort(r, problem.text, sq_time_now());
    }
}

static squall_status set_up(sq_release *release, sq_config *config, squall_error *err)
{
    release->limits = config->release;
    snprintf(release->state_path, sizeof release->state_path, "%s/releases.json",
             config->server.data);
    release->engines = sq_alloc(config->engine_count, sizeof *release->engines);
    if (release->engines == NULL || !sq_config_make_trials(config)) {
        return sq_fail(err, SQUALL_E_MEMORY, "release", "no memory");
    }
    for (size_t i = 0; i < config->engine_count; i++) {
        if (config->engines[i].model[0] != '\0') {
            sq_rollout *r = &release->engines[release->count++].rollout;
            memcpy(r->engine, config->engines[i].name, sizeof r->engine);
            memcpy(r->model, config->engines[i].model, sizeof r->model);
            snprintf(r->message, sizeof r->message, "no version was released yet");
        }
    }
    SQ_TRY(sq_folder_make(config->server.data, err));
    SQ_TRY(sq_release_load(release, err));
    for (size_t i = 0; i < release->count; i++) {
        check_engine(release, &release->engines[i]);
        sq_release_count(release, &release->engines[i], NULL);
    }
    sq_release_fill(release, config);
    return SQUALL_OK;
}

squall_status sq_release_open(sq_config *config, sq_metrics *metrics, sq_log *log, sq_release **out,
                              squall_error *err)
{
    bool wanted = false;
    *out = NULL;
    for (size_t i = 0; i < config->engine_count; i++) {
        wanted = wanted || config->engines[i].model[0] != '\0';
    }
    if (!wanted) {
        return SQUALL_OK;
    }
    sq_release *release = sq_alloc(1, sizeof *release);
    if (release == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "release", "no memory");
    }
    pthread_condattr_t steady;
    release->log = log;
    pthread_mutex_init(&release->mutex, NULL);
    pthread_mutex_init(&release->queue, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&release->wake, &steady);
    pthread_condattr_destroy(&steady);
    sq_release_add_metrics(release, metrics);
    const squall_status status = set_up(release, config, err);
    if (status != SQUALL_OK) {
        sq_release_close(&release);
        return status;
    }
    *out = release;
    return SQUALL_OK;
}

squall_status sq_release_begin(sq_release *release, sq_cycle *cycle, squall_error *err)
{
    if (release == NULL) {
        return SQUALL_OK;
    }
    release->cycle = cycle;
    if (pthread_create(&release->thread, NULL, work, release) != 0) {
        return sq_fail(err, SQUALL_E_MEMORY, "release", "a thread cannot be started");
    }
    release->running = true;
    return SQUALL_OK;
}

void sq_release_end(sq_release *release)
{
    if (release == NULL || !release->running) {
        return;
    }
    pthread_mutex_lock(&release->queue);
    release->stopping = true;
    pthread_cond_broadcast(&release->wake);
    pthread_mutex_unlock(&release->queue);
    pthread_join(release->thread, NULL);
    release->running = false;
}

void sq_release_close(sq_release **release)
{
    sq_release *r = *release;
    *release = NULL;
    if (r == NULL) {
        return;
    }
    sq_release_end(r);
    for (size_t i = 0; i < r->event_count; i++) {
        free_event(&r->events[i]);
    }
    for (size_t i = 0; i < r->count; i++) {
        sq_release_drop_pairs(r, i);
    }
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->queue);
    pthread_mutex_destroy(&r->mutex);
    sq_free(r->engines);
    sq_free(r);
}

squall_status sq_release_reload(sq_release *release, sq_config *config, squall_error *err)
{
    pthread_mutex_lock(&release->mutex);
    const squall_status status = sq_release_apply(release, config, err);
    pthread_mutex_unlock(&release->mutex);
    return status;
}
