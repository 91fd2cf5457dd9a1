/* svc/infer/infer_private.h - what the files of the room share. */
#ifndef SQ_SVC_INFER_INFER_PRIVATE_H
#define SQ_SVC_INFER_INFER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "squall/engine.h"
#include "svc/infer/infer.h"

/** A context that nobody uses, and the shapes that it takes. */
typedef struct sq_infer_crew {
    struct sq_infer_crew *next;
    squall_context *context;
    squall_tensor *types; /* owned, [inputs of the engine] */
} sq_infer_crew;

/** Times in seconds of the requests that came to something, each by stage. */
typedef struct sq_infer_stats {
    uint64_t successes, failures, runs;
    double success_s, failure_s, queue_s, input_s, run_s, output_s;
    int64_t last; /* Unix milliseconds; 0 before the first */
} sq_infer_stats;

struct sq_infer_model {
    atomic_size_t refs;
    sq_config_engine config;
    int32_t threads;
    squall_engine *engine; /* NULL while it is not ready */
    bool unloaded;         /* by a call, not by a failure */
    char reason[400];      /* why it is not ready */

    pthread_mutex_t mutex;
    pthread_cond_t returned;
    sq_infer_crew *idle;
    size_t crews; /* idle and at work */
    sq_infer_stats stats;
};

struct sq_infer {
    pthread_mutex_t mutex; /* of the list */
    pthread_mutex_t work;  /* one who opens at a time */
    sq_infer_model **models;
    size_t count;
    int32_t threads;
};

/** Name, type and shape of input or output `index`: sizes that a run may choose are -1. */
void sq_infer_describe(const squall_engine *engine, bool input, size_t index, const char **name,
                       squall_tensor *out);

#endif /* SQ_SVC_INFER_INFER_PRIVATE_H */
