/* svc/release/release_score.c - delayed skill of both versions, and the metrics of each. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "svc/release/release_private.h"

enum { TOLERANCE_S = 60, KEPT_S = 3 * 3600, EVENT = 100 /* hundredths of mm/h */ };

static const double seconds_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                        1.0,   2.5,  5.0,   10.0, 30.0, 60.0};

void sq_release_add_metrics(sq_release *release, sq_metrics *metrics)
{
    sq_release_metrics *m = &release->m;
    const size_t bounds = sizeof seconds_bounds / sizeof seconds_bounds[0];
    m->forecasts =
        sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_version_forecasts_total",
                       "Forecasts published, by engine and version.", "engine version", NULL, 0);
    m->runs = sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_version_runs_total",
                             "Runs of both versions of an engine on trial, by what came of them.",
                             "engine version result", NULL, 0);
    m->seconds = sq_metrics_add(metrics, SQ_METRIC_HISTOGRAM, "squall_version_run_seconds",
                                "Time of a run, by engine and version.", "engine version",
                                seconds_bounds, bounds);
    m->memory = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_version_memory_bytes",
                               "Weights and planned memory, by engine and version.",
                               "engine version", NULL, 0);
    m->csi = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_version_csi_ratio",
                            "Critical success index at 1 mm/h of the trial, by version.",
                            "engine version", NULL, 0);
    m->psnr = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_release_worst_psnr_decibels",
                             "Lowest PSNR of the candidate against the version in service.",
                             "engine", NULL, 0);
    m->step =
        sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_release_step",
                       "Step of the rollout, from 0; -1 while there is none.", "engine", NULL, 0);
    m->weight = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_release_weight_ratio",
                               "Share of cycles that the candidate answers.", "engine", NULL, 0);
    m->phase = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_release_phase",
                              "1 for the phase that the rollout is in.", "engine phase", NULL, 0);
    m->moves = sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_release_moves_total",
                              "Promotions and roll-backs.", "engine move", NULL, 0);
}

static void count_version(sq_release *release, const sq_rollout *r, int v,
                          const sq_rollout_trial *trial)
{
    char version[24];
    snprintf(version, sizeof version, "%lld", (long long)(v == 0 ? r->stable : r->candidate));
    const char *const labels[] = {r->engine, version,
                                  trial != NULL && trial->made[v] ? "made" : "failed"};
    sq_metric_set(release->m.memory, r->tally[v].memory_bytes, labels);
    if (!isnan(sq_skill_csi(&r->skill[v]))) {
        sq_metric_set(release->m.csi, sq_skill_csi(&r->skill[v]), labels);
    }
    if (trial != NULL) {
        sq_metric_add(release->m.runs, 1.0, labels);
        if (trial->made[v]) {
            sq_metric_observe(release->m.seconds, trial->seconds[v], labels);
        }
    }
}

void sq_release_count(sq_release *release, const sq_release_engine *engine,
                      const sq_rollout_trial *trial)
{
    const sq_rollout *r = &engine->rollout;
    const char *const labels[] = {r->engine};
    const bool on = r->candidate != 0 && r->step < r->step_count;
    const sq_step *step = on ? &r->steps[r->step] : NULL;
    for (int v = 0; v < (r->candidate != 0 ? 2 : 1); v++) {
        count_version(release, r, v, trial);
    }
    for (int p = SQ_PHASE_HEALTHY; p <= SQ_PHASE_DEGRADED; p++) {
        const char *const phase[] = {r->engine, sq_phase_name((sq_phase)p)};
        sq_metric_set(release->m.phase, (int)r->phase == p ? 1.0 : 0.0, phase);
    }
    sq_metric_set(release->m.step, on ? (double)r->step : -1.0, labels);
    sq_metric_set(release->m.weight,
                  step != NULL && step->kind == SQ_STEP_WEIGHT ? step->weight / 100.0 : 0.0,
                  labels);
    if (r->compared > 0) {
        sq_metric_set(release->m.psnr, r->worst_psnr_db, labels);
    }
}

void sq_release_published(sq_release *release, const sq_snapshot *snapshot)
{
    char version[24];
    if (release == NULL || snapshot->version == 0) {
        return;
    }
    snprintf(version, sizeof version, "%d", snapshot->version);
    const char *const labels[] = {snapshot->engine, version};
    sq_metric_add(release->m.forecasts, 1.0, labels);
}

/* ---------------------------------------------------------------- skill */

static void drop_pair(sq_release *release, size_t at)
{
    sq_snapshot_drop(&release->pairs[at].snapshots[0]);
    sq_snapshot_drop(&release->pairs[at].snapshots[1]);
    memmove(&release->pairs[at], &release->pairs[at + 1],
            (release->pair_count - at - 1) * sizeof release->pairs[0]);
    release->pair_count--;
}

void sq_release_drop_pairs(sq_release *release, size_t engine)
{
    for (size_t i = release->pair_count; i-- > 0;) {
        if (release->pairs[i].engine == engine) {
            drop_pair(release, i);
        }
    }
}

/* Events of one forecast against the frame, where the frame looks; no coverage forecast is dry. */
static void hold(const sq_layer *forecast, const sq_layer *seen, sq_skill *skill)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->values[i] == SQ_LAYER_NONE) {
            continue;
        }
        const bool was = seen->values[i] >= EVENT && seen->values[i] <= SQ_LAYER_MOST;
        const bool said = forecast->values[i] >= EVENT && forecast->values[i] <= SQ_LAYER_MOST;
        skill->hits += was && said ? 1 : 0;
        skill->misses += was && !said ? 1 : 0;
        skill->false_alarms += !was && said ? 1 : 0;
    }
}

void sq_release_score(sq_release *release, const char *region, const sq_layer *seen)
{
    for (size_t i = release->pair_count; i-- > 0;) {
        const sq_release_pair *pair = &release->pairs[i];
        sq_skill skill[2] = {{0}};
        bool both = true;
        if (strcmp(pair->snapshots[0]->region, region) != 0) {
            continue;
        }
        if (seen->valid_time - pair->snapshots[0]->issue_time > KEPT_S) {
            drop_pair(release, i);
            continue;
        }
        for (int v = 0; v < 2 && seen->valid_time > pair->snapshots[0]->issue_time; v++) {
            const sq_layer *layer =
                sq_snapshot_find(pair->snapshots[v], seen->valid_time, TOLERANCE_S, false);
            both = both && layer != NULL && layer->count == seen->count;
            if (both) {
                hold(layer, seen, &skill[v]);
            }
        }
        sq_release_engine *engine = &release->engines[pair->engine];
        if (both && seen->valid_time > pair->snapshots[0]->issue_time) {
            squall_error problem = {.code = SQUALL_OK};
            const sq_move move = sq_rollout_score(&engine->rollout, &release->limits, &skill[0],
                                                  &skill[1], sq_cycle_now(release->cycle));
            if (sq_release_move(release, engine, move, &problem) != SQUALL_OK) {
                sq_log_failure(release->log, SQ_LOG_ERROR, "release", &problem);
            }
            if (move == SQ_MOVE_ABORT || move == SQ_MOVE_PROMOTE) {
                return; /* the pairs are gone */
            }
        }
    }
}
