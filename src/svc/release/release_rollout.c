/* svc/release/release_rollout.c - the states of a rollout: events and a clock in, moves out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/release/release.h"

const char *sq_phase_name(sq_phase phase)
{
    static const char *const names[] = {"Healthy", "Progressing", "Paused", "Degraded"};
    return names[phase];
}

const char *sq_verdict_name(sq_verdict verdict)
{
    static const char *const names[] = {"Running", "Successful", "Failed", "Inconclusive"};
    return names[verdict];
}

/* ---------------------------------------------------------------- steps */

static bool parse_amount(const char *text, int64_t low, int64_t high, int64_t *out)
{
    char *end;
    const long long value = strtoll(text, &end, 10);
    *out = value;
    return text[0] != '\0' && *end == '\0' && value >= low && value <= high;
}

static bool parse_step(char *text, sq_step *step)
{
    int64_t weight = 0;
    char *first = strchr(text, ':'), *second = NULL;
    memset(step, 0, sizeof *step);
    if (first != NULL) {
        *first++ = '\0';
        second = strchr(first, ':');
    }
    if (strcmp(text, "shadow") == 0) {
        step->kind = SQ_STEP_SHADOW;
        return first != NULL && parse_amount(first, 1, 100000, &step->amount);
    }
    if (strcmp(text, "pause") == 0) {
        step->kind = SQ_STEP_PAUSE;
        return first == NULL || parse_amount(first, 1, 8640000, &step->amount);
    }
    if (first == NULL || second == NULL) {
        return false;
    }
    *second++ = '\0';
    if (!parse_amount(second, 1, 100000, &step->amount)) {
        return false;
    }
    if (strcmp(text, "weight") == 0) {
        step->kind = SQ_STEP_WEIGHT;
        const bool good = parse_amount(first, 1, 100, &weight);
        step->weight = (int32_t)weight;
        return good;
    }
    step->kind = SQ_STEP_REGIONS;
    for (char *c = first; *c != '\0'; c++) {
        *c = (char)(*c == '+' ? ',' : *c);
    }
    snprintf(step->regions, sizeof step->regions, "%s", first);
    return strcmp(text, "regions") == 0 && first[0] != '\0' && strlen(first) < sizeof step->regions;
}

squall_status sq_steps_parse(const char *text, sq_step *out, size_t *count, squall_error *err)
{
    char word[200];
    *count = 0;
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, " ");
        const size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < 199 ? length : 199), at);
        if (*count == SQ_ROLLOUT_STEPS || length > 199 || !parse_step(word, &out[*count])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "steps",
                           "'%.*s' is no step, or more than %d; steps are shadow:CYCLES, "
                           "regions:A+B:CYCLES, weight:PERCENT:CYCLES, pause[:SECONDS]",
                           (int)(length < 60 ? length : 60), at, SQ_ROLLOUT_STEPS);
        }
        ++*count;
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return *count > 0 ? SQUALL_OK
                      : sq_fail(err, SQUALL_E_ARGUMENT, "steps", "at least one is needed");
}

void sq_step_format(const sq_step *step, sq_text *out)
{
    if (step->kind == SQ_STEP_SHADOW) {
        sq_text_add(out, "shadow:%lld", (long long)step->amount);
    } else if (step->kind == SQ_STEP_WEIGHT) {
        sq_text_add(out, "weight:%d:%lld", step->weight, (long long)step->amount);
    } else if (step->kind == SQ_STEP_PAUSE) {
        sq_text_add(out, step->amount > 0 ? "pause:%lld" : "pause", (long long)step->amount);
    } else {
        sq_text_add(out, "regions:");
        for (const char *c = step->regions; *c != '\0'; c++) {
            sq_text_add(out, "%c", *c == ',' ? '+' : *c);
        }
        sq_text_add(out, ":%lld", (long long)step->amount);
    }
}

/* ---------------------------------------------------------------- moves */

static void record(sq_rollout *r, const char *what, int64_t version, int64_t now)
{
    if (r->history_count == SQ_ROLLOUT_HISTORY) {
        memmove(r->history, r->history + 1, (SQ_ROLLOUT_HISTORY - 1) * sizeof r->history[0]);
        r->history_count--;
    }
    sq_rollout_record *one = &r->history[r->history_count++];
    memset(one, 0, sizeof *one);
    one->time = now;
    one->version = version;
    snprintf(one->what, sizeof one->what, "%s", what);
    snprintf(one->text, sizeof one->text, "%.199s", r->message);
}

/* A step begins: what it counts is counted anew. */
static void enter_step(sq_rollout *r, size_t step, int64_t now)
{
    r->step = step;
    r->since = now;
    r->compared = 0;
    r->worst_psnr_db = 1000.0;
    for (int v = 0; v < 2; v++) {
        r->tally[v].runs = r->tally[v].failures = 0;
        r->tally[v].time_count = 0;
    }
    r->verdict = SQ_VERDICT_RUNNING;
    r->phase = SQ_PHASE_PROGRESSING;
    if (step < r->step_count && r->steps[step].kind == SQ_STEP_PAUSE) {
        r->phase = SQ_PHASE_PAUSED;
    }
}

static void forget_skill(sq_rollout *r)
{
    memset(r->skill, 0, sizeof r->skill);
    r->frames = 0;
}

sq_move sq_rollout_start(sq_rollout *r, int64_t version, const sq_step *steps, size_t count,
                         int64_t now)
{
    r->candidate = version;
    memcpy(r->steps, steps, count * sizeof *steps);
    r->step_count = count;
    r->started = now;
    forget_skill(r);
    snprintf(r->message, sizeof r->message, "version %lld on trial beside %lld", (long long)version,
             (long long)r->stable);
    record(r, "start", version, now);
    enter_step(r, 0, now);
    return SQ_MOVE_ROUTE;
}

static sq_move promote_now(sq_rollout *r, int64_t now)
{
    snprintf(r->message, sizeof r->message, "version %lld is in service", (long long)r->candidate);
    record(r, "promote", r->candidate, now);
    r->previous = r->stable;
    r->stable = r->candidate;
    r->candidate = 0;
    r->phase = SQ_PHASE_HEALTHY;
    r->verdict = SQ_VERDICT_SUCCESSFUL;
    return SQ_MOVE_PROMOTE;
}

static sq_move next_step(sq_rollout *r, int64_t now)
{
    if (r->step + 1 >= r->step_count) {
        return promote_now(r, now);
    }
    enter_step(r, r->step + 1, now);
    return SQ_MOVE_ROUTE;
}

sq_move sq_rollout_promote(sq_rollout *r, bool full, int64_t now)
{
    if (r->candidate == 0) {
        return SQ_MOVE_NONE;
    }
    return full ? promote_now(r, now) : next_step(r, now);
}

sq_move sq_rollout_abort(sq_rollout *r, const char *why, int64_t now)
{
    if (r->candidate == 0) {
        return SQ_MOVE_NONE;
    }
    snprintf(r->message, sizeof r->message, "version %lld rolled back: %.180s",
             (long long)r->candidate, why);
    record(r, "abort", r->candidate, now);
    r->candidate = 0;
    r->phase = SQ_PHASE_DEGRADED;
    return SQ_MOVE_ABORT;
}

sq_move sq_rollout_undo(sq_rollout *r, int64_t version, int64_t now)
{
    const int64_t back = version > 0 ? version : r->previous;
    if (back == 0 || back == r->stable) {
        return SQ_MOVE_NONE;
    }
    snprintf(r->message, sizeof r->message, "version %lld is in service again, after %lld",
             (long long)back, (long long)r->stable);
    record(r, "undo", back, now);
    r->previous = r->stable;
    r->stable = back;
    r->candidate = 0;
    r->phase = SQ_PHASE_HEALTHY;
    r->verdict = SQ_VERDICT_RUNNING;
    return SQ_MOVE_PROMOTE;
}

sq_move sq_rollout_pause(sq_rollout *r, int64_t now)
{
    if (r->candidate == 0 || r->phase == SQ_PHASE_PAUSED) {
        return SQ_MOVE_NONE;
    }
    r->phase = SQ_PHASE_PAUSED;
    snprintf(r->message, sizeof r->message, "paused by hand; promote goes on, abort goes back");
    record(r, "pause", r->candidate, now);
    return SQ_MOVE_SAVE;
}

/* ---------------------------------------------------------------- events */

static void count_run(sq_tally *tally, bool made, double seconds)
{
    tally->runs++;
    tally->failures += made ? 0 : 1;
    if (!made) {
        return;
    }
    if (tally->time_count == SQ_ROLLOUT_TIMES) {
        memmove(tally->times_s, tally->times_s + 1,
                (SQ_ROLLOUT_TIMES - 1) * sizeof tally->times_s[0]);
        tally->time_count--;
    }
    tally->times_s[tally->time_count++] = (float)seconds;
}

/* What the numbers say now: a failure ends the rollout in any state, success ends a step that is
 * not paused. */
static sq_move judge(sq_rollout *r, const sq_config_release *limits, int64_t now)
{
    char why[200];
    const sq_verdict before = r->verdict;
    const sq_step *step = &r->steps[r->step];
    r->verdict = sq_rollout_judge(r, limits, why, sizeof why);
    if (r->verdict == SQ_VERDICT_FAILED) {
        return sq_rollout_abort(r, why, now);
    }
    if (r->phase == SQ_PHASE_PAUSED || step->kind == SQ_STEP_PAUSE) {
        return SQ_MOVE_NONE;
    }
    if (r->verdict == SQ_VERDICT_SUCCESSFUL) {
        return next_step(r, now);
    }
    snprintf(r->message, sizeof r->message, "%s", why);
    if (r->verdict == SQ_VERDICT_INCONCLUSIVE && now - r->since >= limits->patience_s) {
        r->phase = SQ_PHASE_PAUSED;
        record(r, "pause", r->candidate, now);
        return SQ_MOVE_SAVE;
    }
    return r->verdict != before ? SQ_MOVE_SAVE : SQ_MOVE_NONE;
}

sq_move sq_rollout_try(sq_rollout *r, const sq_config_release *limits,
                       const sq_rollout_trial *trial, int64_t now)
{
    if (r->candidate == 0 || (!trial->made[0] && !trial->made[1])) {
        return SQ_MOVE_NONE; /* where neither could, the inputs were missing */
    }
    for (int v = 0; v < 2; v++) {
        count_run(&r->tally[v], trial->made[v], trial->seconds[v]);
    }
    if (!trial->made[1]) {
        snprintf(r->message, sizeof r->message, "%s", trial->reason[1]);
    }
    if (trial->made[0] && trial->made[1]) {
        r->compared++;
        if (trial->psnr_db < r->worst_psnr_db) {
            r->worst_psnr_db = trial->psnr_db;
        }
    }
    return judge(r, limits, now);
}

sq_move sq_rollout_score(sq_rollout *r, const sq_config_release *limits, const sq_skill *stable,
                         const sq_skill *candidate, int64_t now)
{
    if (r->candidate == 0) {
        return SQ_MOVE_NONE;
    }
    const sq_skill *const both[2] = {stable, candidate};
    for (int v = 0; v < 2; v++) {
        r->skill[v].hits += both[v]->hits;
        r->skill[v].misses += both[v]->misses;
        r->skill[v].false_alarms += both[v]->false_alarms;
    }
    r->frames++;
    return judge(r, limits, now);
}

sq_move sq_rollout_tick(sq_rollout *r, const sq_config_release *limits, int64_t now)
{
    if (r->candidate == 0 || r->step >= r->step_count) {
        return SQ_MOVE_NONE;
    }
    const sq_step *step = &r->steps[r->step];
    if (r->stable == 0) { /* nothing to hold it against */
        return promote_now(r, now);
    }
    if (step->kind == SQ_STEP_PAUSE) {
        return step->amount > 0 && now - r->since >= step->amount ? next_step(r, now)
                                                                  : SQ_MOVE_NONE;
    }
    return judge(r, limits, now);
}
