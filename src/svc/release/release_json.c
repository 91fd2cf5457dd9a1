/* svc/release/release_json.c - rollouts as JSON: for people, and for the state file. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "svc/release/release.h"

static const char *const version_keys[2] = {"in_service", "candidate"};

static void write_steps(const sq_rollout *r, sq_json *out)
{
    sq_text text = {0};
    for (size_t i = 0; i < r->step_count; i++) {
        sq_text_add(&text, "%s", i > 0 ? "," : "");
        sq_step_format(&r->steps[i], &text);
    }
    sq_json_text(out, "steps", text.data != NULL ? text.data : "");
    sq_text_free(&text);
}

static void write_history(const sq_rollout *r, sq_json *out)
{
    sq_json_array(out, "history");
    for (size_t i = 0; i < r->history_count; i++) {
        sq_json_object(out, NULL);
        sq_json_time(out, "time", r->history[i].time);
        sq_json_text(out, "what", r->history[i].what);
        sq_json_int(out, "version", r->history[i].version);
        sq_json_text(out, "text", r->history[i].text);
        sq_json_end_object(out);
    }
    sq_json_end_array(out);
}

/* What the analysis goes by, of both versions. */
static void write_analysis(const sq_rollout *r, sq_json *out)
{
    sq_json_object(out, "analysis");
    sq_json_int(out, "compared_cycles", r->compared);
    sq_json_int(out, "scored_frames", r->frames);
    sq_json_real(out, "worst_psnr_db", r->compared > 0 ? r->worst_psnr_db : NAN, 5);
    for (int v = 0; v < 2; v++) {
        const sq_tally *tally = &r->tally[v];
        double sum = 0.0;
        for (size_t i = 0; i < tally->time_count; i++) {
            sum += (double)tally->times_s[i];
        }
        sq_json_object(out, version_keys[v]);
        sq_json_int(out, "runs", tally->runs);
        sq_json_int(out, "failures", tally->failures);
        sq_json_real(out, "latency_p50_s", sq_tally_quantile(tally, 0.5), 4);
        sq_json_real(out, "latency_p99_s", sq_tally_quantile(tally, 0.99), 4);
        sq_json_real(out, "throughput_per_s", sum > 0.0 ? (double)tally->time_count / sum : NAN, 4);
        sq_json_real(out, "memory_bytes", tally->memory_bytes, 10);
        sq_json_real(out, "csi", sq_skill_csi(&r->skill[v]), 4);
        sq_json_end_object(out);
    }
    sq_json_end_object(out);
}

void sq_rollout_write(const sq_rollout *r, bool durable, sq_json *out)
{
    sq_json_object(out, NULL);
    sq_json_text(out, "engine", r->engine);
    sq_json_text(out, "model", r->model);
    sq_json_int(out, "stable", r->stable);
    sq_json_int(out, "candidate", r->candidate);
    sq_json_int(out, "previous", r->previous);
    sq_json_text(out, "phase", sq_phase_name(r->phase));
    sq_json_text(out, "verdict", sq_verdict_name(r->verdict));
    sq_json_text(out, "message", r->message);
    write_steps(r, out);
    sq_json_int(out, "step", (int64_t)r->step);
    sq_json_time(out, "started", r->started);
    sq_json_time(out, "since", r->since);
    if (!durable) {
        write_analysis(r, out);
    }
    sq_json_array(out, "skill"); /* hits, misses, false alarms; both versions */
    for (int v = 0; v < 2; v++) {
        sq_json_int(out, NULL, (int64_t)r->skill[v].hits);
        sq_json_int(out, NULL, (int64_t)r->skill[v].misses);
        sq_json_int(out, NULL, (int64_t)r->skill[v].false_alarms);
    }
    sq_json_end_array(out);
    sq_json_int(out, "frames", r->frames);
    write_history(r, out);
    sq_json_end_object(out);
}

/* ---------------------------------------------------------------- read */

static bool take_text(const json_t *object, const char *key, char *out, size_t room)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) >= room) {
        return false;
    }
    snprintf(out, room, "%s", text);
    return true;
}

static bool take_time(const json_t *object, const char *key, int64_t *out)
{
    const char *text = json_string_value(json_object_get(object, key));
    *out = 0;
    return text != NULL && sq_time_parse(text, out);
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool read_words(const json_t *object, sq_rollout *r)
{
    char phase[16], verdict[16], *steps = NULL;
    int found = 0;
    if (!take_text(object, "phase", phase, sizeof phase) ||
        !take_text(object, "verdict", verdict, sizeof verdict)) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        if (strcmp(phase, sq_phase_name((sq_phase)i)) == 0) {
            r->phase = (sq_phase)i;
            found++;
        }
        if (strcmp(verdict, sq_verdict_name((sq_verdict)i)) == 0) {
            r->verdict = (sq_verdict)i;
            found++;
        }
    }
    const char *text = json_string_value(json_object_get(object, "steps"));
    if (text != NULL && text[0] != '\0') {
        steps = sq_strdup(text);
        const bool good =
            steps != NULL && sq_steps_parse(steps, r->steps, &r->step_count, NULL) == SQUALL_OK;
        sq_free(steps);
        return good && found == 2;
    }
    return found == 2;
}

static bool read_history(const json_t *list, sq_rollout *r)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        sq_rollout_record *record = &r->history[r->history_count];
        if (r->history_count == SQ_ROLLOUT_HISTORY || !take_time(one, "time", &record->time) ||
            !take_text(one, "what", record->what, sizeof record->what) ||
            !take_text(one, "text", record->text, sizeof record->text)) {
            return false;
        }
        record->version = number(one, "version");
        r->history_count++;
    }
    return true;
}

bool sq_rollout_read(const char *text, size_t size, sq_rollout *out)
{
    json_t *object = json_loadb(text, size, 0, NULL);
    memset(out, 0, sizeof *out);
    bool good = take_text(object, "engine", out->engine, sizeof out->engine) &&
                take_text(object, "model", out->model, sizeof out->model) &&
                take_text(object, "message", out->message, sizeof out->message) &&
                take_time(object, "started", &out->started) &&
                take_time(object, "since", &out->since) && read_words(object, out) &&
                read_history(json_object_get(object, "history"), out);
    out->stable = number(object, "stable");
    out->candidate = number(object, "candidate");
    out->previous = number(object, "previous");
    out->step = (size_t)number(object, "step");
    out->frames = number(object, "frames");
    out->worst_psnr_db = 1000.0;
    const json_t *skill = json_object_get(object, "skill");
    for (size_t v = 0; v < 2; v++) {
        uint64_t *const sums[] = {&out->skill[v].hits, &out->skill[v].misses,
                                  &out->skill[v].false_alarms};
        for (size_t k = 0; k < 3; k++) {
            *sums[k] = (uint64_t)json_integer_value(json_array_get(skill, 3 * v + k));
        }
    }
    good = good && (out->candidate == 0 || out->step < out->step_count);
    json_decref(object);
    return good;
}
