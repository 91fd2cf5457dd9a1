/* svc/release/release_analysis.c - what the numbers of a trial say. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/release/release.h"

enum { LEAST_TIMES = 3 };

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double sq_tally_quantile(const sq_tally *tally, double share)
{
    float sorted[SQ_ROLLOUT_TIMES];
    if (tally->time_count == 0) {
        return NAN;
    }
    memcpy(sorted, tally->times_s, tally->time_count * sizeof *sorted);
    qsort(sorted, tally->time_count, sizeof *sorted, compare_floats);
    const double at = ceil(share * (double)tally->time_count) - 1.0;
    return (double)sorted[at > 0.0 ? (size_t)at : 0];
}

double sq_skill_csi(const sq_skill *skill)
{
    const uint64_t events = skill->hits + skill->misses + skill->false_alarms;
    return events > 0 ? (double)skill->hits / (double)events : NAN;
}

/* Whether the new version is too slow; then why. */
static bool is_slow(const sq_rollout *r, const sq_config_release *limits, char *why, size_t room)
{
    static const struct {
        const char *name;
        double share, more; /* the tail of few runs scatters: it gets twice as much */
    } quantiles[] = {{"P50", 0.50, 1.0}, {"P99", 0.99, 2.0}};
    if (r->tally[0].time_count < LEAST_TIMES || r->tally[1].time_count < LEAST_TIMES) {
        return false;
    }
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const double old_s = sq_tally_quantile(&r->tally[0], quantiles[i].share);
        const double new_s = sq_tally_quantile(&r->tally[1], quantiles[i].share);
        const double most_s = quantiles[i].more * (old_s * limits->max_latency_ratio +
                                                   limits->latency_slack_ms / 1000.0);
        if (new_s > most_s) {
            snprintf(why, room,
                     "latency %s is %.1f ms, at most %.1f ms are allowed (in service: %.1f)",
                     quantiles[i].name, 1000.0 * new_s, 1000.0 * most_s, 1000.0 * old_s);
            return true;
        }
    }
    return false;
}

static bool is_heavy(const sq_rollout *r, const sq_config_release *limits, char *why, size_t room)
{
    const double most = r->tally[0].memory_bytes * limits->max_memory_ratio;
    if (r->tally[0].memory_bytes <= 0.0 || r->tally[1].memory_bytes <= most) {
        return false;
    }
    snprintf(why, room, "takes %.1f MB of memory, at most %.1f MB are allowed",
             r->tally[1].memory_bytes / 1e6, most / 1e6);
    return true;
}

/* Delayed skill: Failed, Successful, or Inconclusive while there is too little rain. */
static sq_verdict judge_skill(const sq_rollout *r, const sq_config_release *limits, char *why,
                              size_t room)
{
    const uint64_t seen = r->skill[0].hits + r->skill[0].misses;
    const double old_csi = sq_skill_csi(&r->skill[0]), new_csi = sq_skill_csi(&r->skill[1]);
    if (limits->least_events == 0) {
        return SQ_VERDICT_SUCCESSFUL;
    }
    if (seen < (uint64_t)limits->least_events) {
        snprintf(why, room,
                 "%llu wet cells in %lld frames so far, %d are needed to judge its skill",
                 (unsigned long long)seen, (long long)r->frames, limits->least_events);
        return SQ_VERDICT_INCONCLUSIVE;
    }
    if (!(new_csi >= old_csi - limits->max_csi_loss)) {
        snprintf(why, room,
                 "CSI is %.3f where the version in service has %.3f; %.3f less is allowed", new_csi,
                 old_csi, limits->max_csi_loss);
        return SQ_VERDICT_FAILED;
    }
    return SQ_VERDICT_SUCCESSFUL;
}

sq_verdict sq_rollout_judge(const sq_rollout *r, const sq_config_release *limits, char *why,
                            size_t room)
{
    const sq_step *step = &r->steps[r->step];
    why[0] = '\0';
    if (r->tally[1].failures > limits->max_failures) {
        snprintf(why, room, "%lld of %lld forecasts failed (%.120s)",
                 (long long)r->tally[1].failures, (long long)r->tally[1].runs, r->message);
        return SQ_VERDICT_FAILED;
    }
    if (r->worst_psnr_db < limits->min_psnr_db) {
        snprintf(why, room, "PSNR against the version in service is %.1f dB, at least %.1f are due",
                 r->worst_psnr_db, limits->min_psnr_db);
        return SQ_VERDICT_FAILED;
    }
    if (is_heavy(r, limits, why, room) || is_slow(r, limits, why, room)) {
        return SQ_VERDICT_FAILED;
    }
    const sq_verdict skill = judge_skill(r, limits, why, room);
    if (skill == SQ_VERDICT_FAILED) {
        return skill;
    }
    if (step->kind != SQ_STEP_PAUSE && r->compared < step->amount) {
        snprintf(why, room, "%lld of %lld cycles that both versions run", (long long)r->compared,
                 (long long)step->amount);
        return r->verdict == SQ_VERDICT_INCONCLUSIVE ? SQ_VERDICT_INCONCLUSIVE : SQ_VERDICT_RUNNING;
    }
    return skill;
}
