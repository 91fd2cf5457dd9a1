/* svc/release/release_command.c - what an operator asks for. */
#include <stdio.h>
#include <string.h>

#include "svc/release/release_private.h"

/* The candidate is in the cycle, and has run every region's frames once: what it needs is made, and
 * one that cannot run is found before it answers anybody. */
static squall_status warm(sq_release *release, sq_release_engine *engine, squall_error *err)
{
    sq_world *world = sq_cycle_world(release->cycle);
    const squall_status status = sq_cycle_warm(release->cycle, world, engine->rollout.engine, err);
    sq_world_drop(&world);
    return status;
}

/* A candidate that does not come into service. */
static squall_status give_up(sq_release *release, sq_release_engine *engine, squall_status status,
                             squall_error *err)
{
    squall_error problem = {.code = SQUALL_OK};
    char why[200];
    snprintf(why, sizeof why, "it does not run: %.160s", err->text);
    const sq_move move = sq_rollout_abort(&engine->rollout, why, sq_cycle_now(release->cycle));
    if (sq_release_move(release, engine, move, &problem) != SQUALL_OK) {
        sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
    }
    return status;
}

static squall_status start(sq_release *release, sq_release_engine *engine,
                           const sq_release_order *order, squall_error *err)
{
    sq_rollout *r = &engine->rollout;
    sq_step steps[SQ_ROLLOUT_STEPS];
    size_t count = 0;
    int64_t version = order->version;
    double bytes = 0.0;
    char path[SQ_CONFIG_TEXT] = "";
    squall_error own = {.code = SQUALL_OK};
    err = err != NULL ? err : &own;
    if (r->candidate != 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, r->engine,
                       "version %lld is on trial; promote or abort it first",
                       (long long)r->candidate);
    }
    SQ_TRY(sq_steps_parse(order->steps != NULL ? order->steps : release->limits.steps, steps,
                          &count, err));
    SQ_TRY(sq_release_check(release, r->model, &version, path, &bytes, err));
    if (version == r->stable) {
        return sq_fail(err, SQUALL_E_ARGUMENT, r->engine, "version %lld is in service already",
                       (long long)version);
    }
    memcpy(engine->path[1], path, sizeof path);
    r->tally[1].memory_bytes = bytes;
    const int64_t now = sq_cycle_now(release->cycle);
    const sq_move move = sq_rollout_start(r, version, steps, count, now);
    sq_release_log(release, "start", r, version);
    SQ_TRY(sq_release_move(release, engine, move, err));
    const squall_status status = warm(release, engine, err);
    if (status != SQUALL_OK) {
        return give_up(release, engine, status, err);
    }
    return sq_release_move(release, engine, sq_rollout_tick(r, &release->limits, now), err);
}

/* The version before, loaded and warm beside the one in service, and then in its place. */
static squall_status undo(sq_release *release, sq_release_engine *engine, int64_t wanted,
                          squall_error *err)
{
    sq_rollout *r = &engine->rollout;
    const int64_t stable = r->stable, candidate = r->candidate;
    int64_t version = wanted > 0 ? wanted : r->previous;
    double bytes = 0.0;
    char path[SQ_CONFIG_TEXT] = "";
    if (version == 0 || version == stable) {
        return sq_fail(err, SQUALL_E_NO_DATA, r->engine, "there is no version to go back to");
    }
    SQ_TRY(sq_release_check(release, r->model, &version, path, &bytes, err));
    const sq_phase phase = r->phase;
    memcpy(engine->path[1], path, sizeof path);
    r->candidate = version; /* not on disk: until it is warm nothing has happened */
    const size_t count = r->step_count;
    r->step_count = r->step = 0;
    squall_status status = sq_release_apply(release, NULL, err);
    status = status == SQUALL_OK ? warm(release, engine, err) : status;
    r->candidate = candidate;
    r->step_count = count;
    if (status != SQUALL_OK) {
        r->phase = phase;
        memset(engine->path[1], 0, sizeof engine->path[1]);
        r->candidate = 0;
        (void)!sq_release_apply(release, NULL, NULL);
        return status;
    }
    r->tally[1].memory_bytes = bytes;
    return sq_release_move(release, engine,
                           sq_rollout_undo(r, version, sq_cycle_now(release->cycle)), err);
}

static squall_status obey(sq_release *release, sq_release_engine *engine,
                          const sq_release_order *order, squall_error *err)
{
    sq_rollout *r = &engine->rollout;
    const int64_t now = sq_cycle_now(release->cycle);
    if (strcmp(order->verb, "start") == 0) {
        return start(release, engine, order, err);
    }
    if (strcmp(order->verb, "undo") == 0) {
        return undo(release, engine, order->version, err);
    }
    if (r->candidate == 0) {
        return sq_fail(err, SQUALL_E_NO_DATA, r->engine, "no version of it is on trial");
    }
    if (strcmp(order->verb, "pause") == 0) {
        return sq_release_move(release, engine, sq_rollout_pause(r, now), err);
    }
    if (strcmp(order->verb, "promote") == 0) {
        return sq_release_move(release, engine, sq_rollout_promote(r, order->full, now), err);
    }
    if (strcmp(order->verb, "abort") == 0) {
        const char *why = order->reason != NULL ? order->reason : "by hand";
        return sq_release_move(release, engine, sq_rollout_abort(r, why, now), err);
    }
    return sq_fail(err, SQUALL_E_ARGUMENT, "release",
                   "'%.20s' is none of start, pause, promote, abort, undo", order->verb);
}

squall_status sq_release_command(sq_release *release, const sq_release_order *order,
                                 squall_error *err)
{
    if (release == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, "release",
                       "no engine of this service has a model of a repository");
    }
    squall_status status = SQUALL_E_NO_DATA;
    sq_fail_record(err, status, order->engine, "there is no such engine with a model");
    pthread_mutex_lock(&release->mutex);
    for (size_t i = 0; i < release->count; i++) {
        if (strcmp(release->engines[i].rollout.engine, order->engine) == 0) {
            status = obey(release, &release->engines[i], order, err);
            break;
        }
    }
    pthread_mutex_unlock(&release->mutex);
    return status;
}

void sq_release_describe(sq_release *release, const char *engine, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_array(out, "releases");
    if (release != NULL) {
        pthread_mutex_lock(&release->mutex);
        for (size_t i = 0; i < release->count; i++) {
            const sq_rollout *r = &release->engines[i].rollout;
            if (engine == NULL || strcmp(engine, r->engine) == 0) {
                sq_rollout_write(r, false, out);
            }
        }
        pthread_mutex_unlock(&release->mutex);
    }
    sq_json_end_array(out);
    sq_json_end_object(out);
}
