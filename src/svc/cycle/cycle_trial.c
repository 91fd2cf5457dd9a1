/* svc/cycle/cycle_trial.c - two versions of an engine on the same frames: one answers, the other
 * runs beside it when the answer is out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

#define MOST_DB 200.0

static bool is_listed(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; *at != '\0';) {
        const size_t word = strcspn(at, ",");
        if (word == length && strncmp(at, name, length) == 0) {
            return true;
        }
        at += word + (at[word] == ',' ? 1 : 0);
    }
    return false;
}

/* The share of cycles that is the candidate's: the same cycles for the same weight on every node,
 * and with a higher weight those and more. */
static bool is_drawn(int32_t weight, const char *region, int64_t issue_time)
{
    char text[SQ_CONFIG_NAME + 32];
    unsigned char hash[SQ_HASH_BYTES];
    snprintf(text, sizeof text, "%s@%lld", region, (long long)issue_time);
    sq_hash(text, strlen(text), hash);
    const unsigned draw = ((unsigned)hash[0] << 8 | hash[1]) % 100u;
    return (int32_t)draw < weight;
}

int sq_run_choose(sq_run *run, size_t engine)
{
    const sq_config *config = run->world->config;
    if (run->world->candidates[engine] == NULL || run->trial_on) {
        return 0;
    }
    const sq_config_trial *trial = &config->trials[engine];
    const sq_reel *radar = &run->radar;
    const char *region = run->region->config.name;
    run->trial_on = true;
    run->trial_engine = engine;
    const bool answers =
        is_listed(trial->regions, region) ||
        is_drawn(trial->weight, region, radar->items[radar->count - 1]->field->valid_time);
    return answers ? 1 : 0;
}

void sq_run_note(sq_run *run, size_t engine, int version, bool made, double seconds,
                 const char *reason)
{
    if (run->trial_on && run->trial_engine == engine) {
        sq_tried *one = &run->tried[version];
        one->asked = true;
        one->made = made;
        one->seconds = seconds;
        snprintf(one->reason, sizeof one->reason, "%.199s", made ? "" : reason);
    }
}

/* Of the second forecast against the first, where both say something; the peak is the highest rate
 * of the first, at least 1 mm/h. NaN where they have no cell in common. */
static double find_psnr(const sq_snapshot *first, const sq_snapshot *second)
{
    double sum = 0.0, peak = 1.0;
    uint64_t cells = 0;
    for (size_t k = 0; k < first->count && k < second->count; k++) {
        const sq_layer *a = first->layers[k], *b = second->layers[k];
        for (size_t i = 0; a->count == b->count && i < a->count; i++) {
            if (a->values[i] == SQ_LAYER_NONE || b->values[i] == SQ_LAYER_NONE) {
                continue;
            }
            const double x = a->values[i] <= SQ_LAYER_MOST ? a->values[i] / 100.0 : 0.0;
            const double y = b->values[i] <= SQ_LAYER_MOST ? b->values[i] / 100.0 : 0.0;
            peak = x > peak ? x : peak;
            sum += (x - y) * (x - y);
            cells++;
        }
    }
    if (cells == 0) {
        return NAN;
    }
    const double noise = sum / (double)cells;
    return noise > 0.0 ? fmin(MOST_DB, 10.0 * log10(peak * peak / noise)) : MOST_DB;
}

/* Run what was not asked yet. Its forecast goes into `*out`, kept; it is published nowhere. */
static void run_beside(sq_run *run, int version, sq_snapshot **out)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_model *const models[2] = {run->world->models[run->trial_engine],
                                 run->world->candidates[run->trial_engine]};
    const double start_s = sq_clock_s();
    squall_forecast_destroy(&run->forecast);
    squall_status status =
        sq_run_model(run, models[version], SQUALL_METHOD_MODEL, &run->forecast, &problem);
    bool made = status == SQUALL_OK && run->forecast->method == SQUALL_METHOD_MODEL;
    if (status == SQUALL_OK && !made) {
        snprintf(problem.text, sizeof problem.text, "%s", run->forecast->quality);
    }
    const double seconds = sq_clock_s() - start_s;
    if (made) {
        run->model = models[version];
        made = sq_run_snapshot(run, &problem) == SQUALL_OK;
        *out = run->snapshot;
        run->snapshot = NULL;
    }
    sq_run_note(run, run->trial_engine, version, made, seconds, problem.text);
}

void sq_run_trial(sq_run *run, sq_snapshot *published)
{
    sq_cycle *cycle = run->cycle;
    sq_snapshot *snapshots[2] = {NULL, NULL};
    if (!run->trial_on || cycle->listener.tried == NULL) {
        return;
    }
    for (int v = 0; v < 2; v++) {
        if (!run->tried[v].asked) {
            run_beside(run, v, &snapshots[v]);
        } else if (run->tried[v].made) {
            snapshots[v] = sq_snapshot_keep(published);
        }
        run->tried[v].snapshot = snapshots[v];
    }
    sq_trial trial = {.region = run->region->config.name,
                      .engine = run->world->config->engines[run->trial_engine].name,
                      .psnr_db = NAN};
    memcpy(trial.versions, run->tried, sizeof trial.versions);
    if (snapshots[0] != NULL && snapshots[1] != NULL) {
        trial.psnr_db = find_psnr(snapshots[0], snapshots[1]);
    }
    cycle->listener.tried(cycle->listener.owner, &trial);
    sq_snapshot_drop(&snapshots[0]);
    sq_snapshot_drop(&snapshots[1]);
}

squall_status sq_cycle_warm(sq_cycle *cycle, sq_world *world, const char *engine, squall_error *err)
{
    squall_status status = SQUALL_OK;
    for (size_t i = 0; i < world->config->engine_count; i++) {
        sq_model *model = world->candidates[i];
        if (model == NULL || strcmp(world->config->engines[i].name, engine) != 0) {
            continue;
        }
        if (model->engine == NULL) {
            return sq_fail(err, SQUALL_E_NO_DATA, engine, "its file cannot be opened");
        }
        for (size_t k = 0; k < world->config->region_count && status == SQUALL_OK; k++) {
            status = sq_run_warm(cycle, world, world->regions[k], model, err);
        }
    }
    return status;
}
