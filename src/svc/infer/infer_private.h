/* svc/infer/infer_private.h - what the files of the room share. */
#ifndef SQ_SVC_INFER_INFER_PRIVATE_H
#define SQ_SVC_INFER_INFER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "squall/engine.h"
#include "svc/infer/infer.h"

enum { SQ_INFER_BATCH = 32 /* requests in one run, at most */, SQ_INFER_WORKERS = 64 };

/** A context for runs of one kind: its types, and how many requests go into one run. */
typedef struct sq_infer_crew {
    struct sq_infer_crew *next;
    squall_context *context;
    size_t count; /* requests of one run */
    int32_t threads;
    squall_tensor *types;   /* owned, [inputs]: of one request */
    squall_tensor *inputs;  /* owned, [inputs]: of the run, with data where count > 1 */
    squall_tensor *outputs; /* owned, [outputs]: of the run, with data */
    size_t input_count, output_count;
} sq_infer_crew;

/** What was done for runs of so many requests. */
typedef struct sq_infer_batch_stats {
    uint64_t runs;
    double input_s, run_s, output_s;
} sq_infer_batch_stats;

/** Times in seconds of the requests that came to something, each by stage. */
typedef struct sq_infer_stats {
    uint64_t successes, failures, runs;
    double success_s, failure_s, queue_s, input_s, run_s, output_s;
    int64_t last; /* Unix milliseconds; 0 before the first */
    sq_infer_batch_stats batches[SQ_INFER_BATCH + 1];
} sq_infer_stats;

struct sq_infer_model {
    atomic_size_t refs;
    sq_config_engine config;
    int32_t threads, narrow;      /* of a run that has the machine to itself, and of others */
    size_t instances;             /* runs at one time, at most */
    size_t sizes[SQ_CONFIG_LIST]; /* requests of one run, ascending; the first is 1 */
    size_t size_count;
    squall_engine *engine; /* NULL while it is not ready */
    bool unloaded;         /* by a call, not by a failure */
    char reason[400];      /* why it is not ready */

    size_t queued, busy; /* requests that wait, runs; with the lock of the queue */
    bool passed;         /* of one look at the queue */

    pthread_mutex_t mutex; /* of all below */
    sq_infer_crew *idle;
    size_t idle_count;
    sq_infer_stats stats;
};

/** A request on its way. */
typedef struct sq_infer_job {
    struct sq_infer_job *next;
    sq_infer_model *model; /* kept */
    const sq_infer_request *request;
    sq_infer_done *done;
    void *owner;
    double read_s, queued_s;
    size_t most;     /* requests of its run, at most */
    int32_t threads; /* of its run */
    squall_tensor inputs[SQ_INFER_TENSORS], outputs[SQ_INFER_TENSORS];
    const char *names[SQ_INFER_TENSORS]; /* of the outputs */
    size_t input_count, output_count;
    size_t wishes[SQ_INFER_TENSORS]; /* outputs, in the order of the answer */
    bool binary[SQ_INFER_TENSORS];   /* how each of them goes */
    size_t wish_count;
} sq_infer_job;

typedef struct sq_infer_metrics {
    sq_metric *requests, *stage_seconds, *batch, *queue, *running;
} sq_infer_metrics;

struct sq_infer {
    pthread_mutex_t mutex; /* of the list */
    pthread_mutex_t work;  /* one who opens at a time */
    sq_infer_model **models;
    size_t count;
    int32_t threads;
    sq_infer_metrics m;

    pthread_mutex_t queue; /* of all below, and of what models say of it */
    pthread_cond_t more;
    sq_infer_job *first, **last;
    bool stopping;
    size_t busy; /* runs */
    size_t worker_count, wanted_workers;
    pthread_t workers[SQ_INFER_WORKERS];
};

/** Name, type and shape of input or output `index`: sizes that a run may choose are -1. */
void sq_infer_describe(const squall_engine *engine, bool input, size_t index, const char **name,
                       squall_tensor *out);

/** Whether all inputs are of equal types. */
bool sq_infer_alike(const squall_tensor *a, const squall_tensor *b, size_t count);
/** Whether `count` requests of these types may be one run: the engine takes the batch, and its
 * memory is within the bound. */
bool sq_infer_batch_fits(const sq_infer_model *m, const squall_tensor *types, size_t input_count,
                         size_t count);
/** A crew of so many threads for `count` requests of these types: an idle one, or a new one. */
SQUALL_MUST_USE squall_status sq_infer_crew_borrow(sq_infer_model *m, const squall_tensor *types,
                                                   size_t input_count, size_t count,
                                                   int32_t threads, sq_infer_crew **out,
                                                   squall_error *err);
/** Give it back: it is kept, and the one idle longest goes where there are too many. */
void sq_infer_crew_return(sq_infer_model *m, sq_infer_crew *crew);
void sq_infer_crew_destroy(sq_infer_crew **crew);

/** A job for the request: what is asked for exists and is of the right types. */
SQUALL_MUST_USE squall_status sq_infer_job_create(sq_infer_model *model,
                                                  const sq_infer_request *request,
                                                  sq_infer_job **out, squall_error *err);
void sq_infer_job_destroy(sq_infer_job **job);
/** Run jobs of equal types as one, answer and destroy them. */
void sq_infer_run_jobs(sq_infer *infer, sq_infer_job **jobs, size_t count);
/** Answer and destroy one that failed. */
void sq_infer_job_fail(sq_infer *infer, sq_infer_job *job, const squall_error *err);

#endif /* SQ_SVC_INFER_INFER_PRIVATE_H */
