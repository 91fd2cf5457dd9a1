/* svc/release/release_private.h - what the files of the room share. */
#ifndef SQ_SVC_RELEASE_RELEASE_PRIVATE_H
#define SQ_SVC_RELEASE_RELEASE_PRIVATE_H

#include <pthread.h>

#include "ops/repo/repo.h"
#include "svc/release/release.h"

enum { SQ_RELEASE_QUEUE = 64, SQ_RELEASE_PAIRS = 64 };

/** A rollout, and where its versions' engines lie. */
typedef struct sq_release_engine {
    sq_rollout rollout;
    char path[2][SQ_CONFIG_TEXT]; /* in service, candidate; empty: none */
} sq_release_engine;

/** Something that happened in a cycle. */
typedef struct sq_release_event {
    char region[SQ_CONFIG_NAME], engine[SQ_CONFIG_NAME];
    sq_rollout_trial trial;
    sq_snapshot *snapshots[2]; /* kept; of a trial */
    sq_layer *layer;           /* kept; of a frame: then all above but the region is empty */
} sq_release_event;

/** Two forecasts that wait for the frames of their lead times. */
typedef struct sq_release_pair {
    size_t engine;
    sq_snapshot *snapshots[2]; /* kept */
} sq_release_pair;

typedef struct sq_release_metrics {
    sq_metric *forecasts, *runs, *seconds, *memory, *csi, *step, *weight, *phase, *moves, *psnr;
} sq_release_metrics;

struct sq_release {
    sq_config_release limits;
    char state_path[SQ_CONFIG_TEXT + 32];
    sq_log *log;
    sq_release_metrics m;
    sq_cycle *cycle; /* NULL before the begin */

    pthread_mutex_t mutex; /* of all below, and of reloads */
    sq_release_engine *engines;
    size_t count;
    int64_t ring_serial;     /* the highest that was seen */
    char head[SQ_HASH_TEXT]; /* of the ledger, when it was last seen */
    sq_release_pair pairs[SQ_RELEASE_PAIRS];
    size_t pair_count;

    pthread_mutex_t queue; /* of what follows; never held with `mutex` taken inside */
    pthread_cond_t wake;
    sq_release_event events[SQ_RELEASE_QUEUE];
    size_t event_count;
    bool stopping, running;
    pthread_t thread;
};

/** The state file. */
SQUALL_MUST_USE squall_status sq_release_save(const sq_release *release, squall_error *err);
SQUALL_MUST_USE squall_status sq_release_load(sq_release *release, squall_error *err);

/**
 * The engine of a version for this host: signed, logged, approved and right to the last byte.
 *
 * @param version  0: the newest; set to the one that was found
 * @param path     SQ_CONFIG_TEXT bytes
 * @param bytes    set to the memory that it takes; may be NULL
 */
SQUALL_MUST_USE squall_status sq_release_check(sq_release *release, const char *model,
                                               int64_t *version, char *path, double *bytes,
                                               squall_error *err);
/** A line in the ledger, where there is a key to sign it with. */
void sq_release_log(sq_release *release, const char *what, const sq_rollout *rollout,
                    int64_t version);
/** Do what follows from an event: save, route, log. With the lock. */
SQUALL_MUST_USE squall_status sq_release_move(sq_release *release, sq_release_engine *engine,
                                              sq_move move, squall_error *err);
/** Make the cycle go by the state; `config` is given, or NULL for that of the cycle. With the lock.
 */
SQUALL_MUST_USE squall_status sq_release_apply(sq_release *release, sq_config *config,
                                               squall_error *err);
/** Put the state into a configuration. */
void sq_release_fill(const sq_release *release, sq_config *config);

void sq_release_add_metrics(sq_release *release, sq_metrics *metrics);
/** What a trial, and the state, mean for the metrics. */
void sq_release_count(sq_release *release, const sq_release_engine *engine,
                      const sq_rollout_trial *trial);
/** Hold the pairs against a frame. With the lock. */
void sq_release_score(sq_release *release, const char *region, const sq_layer *seen);
void sq_release_drop_pairs(sq_release *release, size_t engine);

#endif /* SQ_SVC_RELEASE_RELEASE_PRIVATE_H */
