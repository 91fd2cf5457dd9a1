/* svc/release/release.h - new versions of engines on their way into service: on trial beside the
 * one in service, judged, promoted or rolled back. It knows no HTTP. */
#ifndef SQ_SVC_RELEASE_RELEASE_H
#define SQ_SVC_RELEASE_RELEASE_H

#include "base/base.h"
#include "svc/config/config.h"
#include "svc/cycle/cycle.h"
#include "svc/metrics/metrics.h"

/* ---------------------------------------------------------------- one rollout */

enum { SQ_ROLLOUT_STEPS = 16, SQ_ROLLOUT_HISTORY = 32, SQ_ROLLOUT_TIMES = 512 };

/** As Argo Rollouts has them: at rest; under way; waits for somebody; rolled back. */
typedef enum sq_phase {
    SQ_PHASE_HEALTHY = 0,
    SQ_PHASE_PROGRESSING = 1,
    SQ_PHASE_PAUSED = 2,
    SQ_PHASE_DEGRADED = 3
} sq_phase;
const char *sq_phase_name(sq_phase phase);

/** Of the analysis. */
typedef enum sq_verdict {
    SQ_VERDICT_RUNNING = 0,
    SQ_VERDICT_SUCCESSFUL = 1,
    SQ_VERDICT_FAILED = 2,
    SQ_VERDICT_INCONCLUSIVE = 3
} sq_verdict;
const char *sq_verdict_name(sq_verdict verdict);

typedef enum sq_step_kind {
    SQ_STEP_SHADOW = 0,  /* the new version computes, the old one answers */
    SQ_STEP_REGIONS = 1, /* the new one answers in these regions */
    SQ_STEP_WEIGHT = 2,  /* the new one answers this share of cycles */
    SQ_STEP_PAUSE = 3    /* of so many seconds, or until somebody promotes */
} sq_step_kind;

typedef struct sq_step {
    sq_step_kind kind;
    char regions[128];
    int32_t weight; /* per cent */
    int64_t amount; /* cycles that both versions must have run; of a pause, seconds, or 0 */
} sq_step;

/** "shadow:3,regions:nl+be:3,weight:50:6,pause:600,pause" to steps.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT with the step that is none. */
SQUALL_MUST_USE squall_status sq_steps_parse(const char *text, sq_step *out, size_t *count,
                                             squall_error *err);
void sq_step_format(const sq_step *step, sq_text *out);

/** What was counted of one version; index 0 is the one in service, 1 the new one. */
typedef struct sq_tally {
    int64_t runs, failures;
    size_t time_count;
    float times_s[SQ_ROLLOUT_TIMES]; /* of the runs of this step, the newest */
    double memory_bytes;
} sq_tally;

/** Sums of delayed skill, of the whole rollout: both versions on the same cells. */
typedef struct sq_skill {
    uint64_t hits, misses, false_alarms;
} sq_skill;

typedef struct sq_rollout_record {
    int64_t time, version;
    char what[16]; /* start, pause, promote, abort, undo */
    char text[200];
} sq_rollout_record;

/** One engine's releases. All of it but the tallies is durable. */
typedef struct sq_rollout {
    char engine[SQ_CONFIG_NAME], model[SQ_CONFIG_NAME];
    int64_t stable, candidate, previous; /* versions; 0 for none */
    sq_phase phase;
    sq_verdict verdict;
    char message[240];
    sq_step steps[SQ_ROLLOUT_STEPS];
    size_t step_count, step;
    int64_t started, since; /* of the rollout, of the step */
    sq_rollout_record history[SQ_ROLLOUT_HISTORY];
    size_t history_count;
    sq_skill skill[2];
    int64_t frames; /* that skill was found by */
    sq_tally tally[2];
    int64_t compared; /* cycles of this step that both ran */
    double worst_psnr_db;
} sq_rollout;

/** What to do after an event. */
typedef enum sq_move {
    SQ_MOVE_NONE = 0,
    SQ_MOVE_SAVE = 1,    /* state alone changed */
    SQ_MOVE_ROUTE = 2,   /* who answers where changed */
    SQ_MOVE_PROMOTE = 3, /* the candidate is the stable version now */
    SQ_MOVE_ABORT = 4    /* the candidate is gone */
} sq_move;

/** Numbers of one cycle that both versions were asked for. */
typedef struct sq_rollout_trial {
    bool made[2];
    double seconds[2];
    char reason[2][200]; /* why not */
    double psnr_db;      /* NaN when one of them made none */
} sq_rollout_trial;

/** Each takes one event and says what follows. `now` is the service's clock, Unix seconds. */
sq_move sq_rollout_start(sq_rollout *rollout, int64_t version, const sq_step *steps, size_t count,
                         int64_t now);
sq_move sq_rollout_try(sq_rollout *rollout, const sq_config_release *limits,
                       const sq_rollout_trial *trial, int64_t now);
/** Both versions' forecasts of one lead time were held against a frame. */
sq_move sq_rollout_score(sq_rollout *rollout, const sq_config_release *limits,
                         const sq_skill *stable, const sq_skill *candidate, int64_t now);
sq_move sq_rollout_tick(sq_rollout *rollout, const sq_config_release *limits, int64_t now);
sq_move sq_rollout_pause(sq_rollout *rollout, int64_t now);
/** Go on with the next step; `full`: into service at once. */
sq_move sq_rollout_promote(sq_rollout *rollout, bool full, int64_t now);
sq_move sq_rollout_abort(sq_rollout *rollout, const char *why, int64_t now);
/** The version before, or `version`, is in service again. SQ_MOVE_NONE when there is none. */
sq_move sq_rollout_undo(sq_rollout *rollout, int64_t version, int64_t now);

/** What the analysis says of the step: the verdict, and why in words. */
sq_verdict sq_rollout_judge(const sq_rollout *rollout, const sq_config_release *limits, char *why,
                            size_t room);
/** Seconds that this share of runs took at most; NaN without any. */
double sq_tally_quantile(const sq_tally *tally, double share);
double sq_skill_csi(const sq_skill *skill);

/** As JSON for people, `durable` for the state file. */
void sq_rollout_write(const sq_rollout *rollout, bool durable, sq_json *out);
/** Back from the state file. */
bool sq_rollout_read(const char *text, size_t size, sq_rollout *out);

/* ---------------------------------------------------------------- the service's releases */

typedef struct sq_release sq_release;

/**
 * Open: the state of DATA/releases.json, and the versions that it names, checked to the last byte.
 *
 * @param config  borrowed; the files of engines with `model` are filled in
 * @param log     kept; may be NULL
 * @return SQUALL_OK, also where nothing has a `model`: then `*out` is NULL; SQUALL_E_CORRUPT; what
 *         sq_repo_open() gives.
 */
SQUALL_MUST_USE squall_status sq_release_open(sq_config *config, sq_metrics *metrics, sq_log *log,
                                              sq_release **out, squall_error *err);
/** From now on the cycles of `cycle` (kept) are judged and routed. */
SQUALL_MUST_USE squall_status sq_release_begin(sq_release *release, sq_cycle *cycle,
                                               squall_error *err);
/** End its thread; before the cycle is closed. */
void sq_release_end(sq_release *release);
void sq_release_close(sq_release **release);
/** Reload the cycle by this configuration (given), with what the state says filled in. */
SQUALL_MUST_USE squall_status sq_release_reload(sq_release *release, sq_config *config,
                                                squall_error *err);

/** What the cycle tells (sq_cycle_listener): only noted, and looked at on a thread of its own. */
void sq_release_tried(sq_release *release, const sq_trial *trial);
void sq_release_seen(sq_release *release, const char *region, sq_layer *layer);
void sq_release_published(sq_release *release, const sq_snapshot *snapshot);

/** A command. */
typedef struct sq_release_order {
    const char *engine, *verb; /* start, pause, promote, abort, undo */
    int64_t version;           /* of start and undo; 0 for the newest, or the one before */
    const char *steps;         /* of start; NULL for the configured ones */
    bool full;                 /* of promote */
    const char *reason;        /* of abort; may be NULL */
} sq_release_order;
/** Do it; when it returns the state is on disk and the switch is made. */
SQUALL_MUST_USE squall_status sq_release_command(sq_release *release, const sq_release_order *order,
                                                 squall_error *err);
/** {"releases": [...]}; `release` may be NULL. */
void sq_release_describe(sq_release *release, const char *engine, sq_json *out);

#endif /* SQ_SVC_RELEASE_RELEASE_H */
