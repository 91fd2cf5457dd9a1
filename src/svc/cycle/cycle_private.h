/* svc/cycle/cycle_private.h - what the files of the room share. */
#ifndef SQ_SVC_CYCLE_CYCLE_PRIVATE_H
#define SQ_SVC_CYCLE_CYCLE_PRIVATE_H

#include <pthread.h>

#include "squall/engine.h"
#include "squall/field.h"
#include "squall/io.h"
#include "svc/cycle/cycle.h"

enum { SQ_REGION_FRAMES = 320, SQ_REGION_INSTANCES = 289 };

/* ---------------------------------------------------------------- frames */

/** A field on a region's grid, shared by its list and the cycles that use it. */
typedef struct sq_frame {
    atomic_size_t refs;
    squall_field *field; /* owned */
    char name[96];       /* of the file it came from */
} sq_frame;

/** @param field  given, also on failure; NULL without memory. */
sq_frame *sq_frame_create(squall_field *field, const char *name);
sq_frame *sq_frame_keep(sq_frame *frame);
void sq_frame_drop(sq_frame **frame);

/** Frames of one source, ascending in time. */
typedef struct sq_reel {
    sq_frame *items[SQ_REGION_FRAMES];
    size_t count;
} sq_reel;

/** Put a frame (given) in its place; one of the same time is replaced. The oldest makes room. */
void sq_reel_add(sq_reel *reel, sq_frame *frame);
/** Drop those before `time`, but keep the newest. */
void sq_reel_trim(sq_reel *reel, int64_t time);
void sq_reel_clear(sq_reel *reel);

/** A forecast of `leads` lead times, empty, with room for observations; NULL with `err`. */
sq_snapshot *sq_snapshot_create(size_t leads, size_t observed, squall_error *err);
/** The method of this name; AUTO for another word. */
squall_method sq_method_find(const char *name);
/** Set `id` by the issue time. */
void sq_snapshot_name(sq_snapshot *snapshot);

/* ---------------------------------------------------------------- engines */

/** An engine, and the nowcasters that run it: one for each cycle that runs it at the same time. */
typedef struct sq_model {
    atomic_size_t refs;
    sq_config_engine config;
    int64_t file_time, file_bytes; /* of the file that was opened */
    squall_engine *engine;         /* NULL when it could not be opened */
    int32_t reach_s;               /* how far back its recipe looks */
    pthread_mutex_t mutex;
    struct sq_crew *free; /* nowcasters that nobody uses */
} sq_model;

/** Open the engine; one that cannot be used is logged and stays without. NULL without memory. */
sq_model *sq_model_create(const sq_config_engine *config, sq_log *log);
/** Whether the file is still the one that was opened. */
bool sq_model_is_current(const sq_model *model);
sq_model *sq_model_keep(sq_model *model);
void sq_model_drop(sq_model **model);
/** A nowcaster that last ran this grid, if any is free, or a new one. */
SQUALL_MUST_USE squall_status sq_model_borrow(sq_model *model, const squall_grid *grid,
                                              int32_t threads, squall_nowcaster **out,
                                              squall_error *err);
void sq_model_return(sq_model *model, const squall_grid *grid, squall_nowcaster *nowcaster);

/* ---------------------------------------------------------------- regions */

enum { SQ_EXTRAS = SQ_CONFIG_LIST };

/** A table to a region's grid, kept because frames come from the same grid again and again. */
typedef struct sq_carrier {
    squall_grid from;
    squall_regrid *table;
} sq_carrier;

struct sq_region {
    atomic_size_t refs;
    sq_config_region config;
    int32_t reach_s;

    pthread_mutex_t carry; /* of the two below; taken before `mutex` */
    sq_place *place;       /* once it is known; then it stays */
    sq_carrier carriers[SQ_EXTRAS + 1];

    pthread_mutex_t mutex; /* of all below */
    unsigned epoch;        /* counts the times that it was cleared */
    sq_reel radar;
    size_t extra_count;
    char extra_names[SQ_EXTRAS][SQ_CONFIG_NAME];
    sq_reel extras[SQ_EXTRAS];
    size_t observed_count;
    sq_layer *observed[SQ_REGION_FRAMES];
    size_t snapshot_count;
    sq_snapshot *snapshots[SQ_REGION_INSTANCES]; /* ascending in issue time */
    bool dirty, queued, running;
    double dirty_since_s; /* sq_clock_s() */
    double arrived_s;     /* of the last file */
    double usual_delay_s; /* from a frame's time to its arrival, by the service's clock */
    int64_t missing_since;
    uint64_t cycles, failures;
    double last_total_s, last_latency_s;
};

sq_region *sq_region_create(const sq_config_region *config, int32_t reach_s);
/** Frames are kept for at least so long from now on. */
void sq_region_reach(sq_region *region, int32_t reach_s);
sq_region *sq_region_keep(sq_region *region);
void sq_region_drop(sq_region **region);
/** Forget frames and forecasts: time began anew. */
void sq_region_clear(sq_region *region);

/** What became of a frame. */
typedef enum sq_arrival {
    SQ_ARRIVED_NEW = 0,
    SQ_ARRIVED_LATE = 1, /* older than the newest: kept for what comes */
    SQ_ARRIVED_DUPLICATE = 2,
    SQ_ARRIVED_CORRECTED = 3, /* other values for a time that was there */
    SQ_ARRIVED_OLD = 4,       /* before what is kept */
    SQ_ARRIVED_FUTURE = 5,
    SQ_ARRIVED_CORRUPT = 6
} sq_arrival;
const char *sq_arrival_name(sq_arrival arrival);

/** Carry a field to the region's grid; given. */
SQUALL_MUST_USE squall_status sq_region_carry(sq_region *region, const char *source,
                                              const squall_field *field, squall_field **out,
                                              squall_error *err);
/** Take a field (given, on the region's grid) of `source`.
 * @param now        the service's clock
 * @param arrived_s  sq_clock_s() when its file was there */
SQUALL_MUST_USE squall_status sq_region_take(sq_region *region, const char *source,
                                             squall_field *field, const char *name, int64_t now,
                                             double arrived_s, sq_arrival *arrival,
                                             squall_error *err);
/** Whether a cycle should start now; then it counts as queued. While files are being read only the
 * deadline starts one: the next of them may be its. */
bool sq_region_is_due(sq_region *region, double now_s, double speed, bool reading);
/** Put a forecast (given) among the instances unless the region was cleared since `epoch`; false
 * when it was. */
bool sq_region_publish(sq_region *region, sq_snapshot *snapshot, unsigned epoch);

/* ---------------------------------------------------------------- sources */

/** A file that was seen and is not read yet. */
typedef struct sq_sighting {
    struct sq_sighting *next;
    char name[256];
    int64_t bytes;
    double since_s; /* its size has not changed since */
} sq_sighting;

typedef struct sq_feed {
    atomic_size_t refs;
    sq_config_source config;
    int watch, watch_inbox;  /* of inotify; -1 for none */
    sq_sighting *sightings;  /* the watcher's alone */
    char inbox[4096];        /* folder of pushed files; empty for none */
    squall_archive *archive; /* of a replay; the watcher's alone */
    size_t next;             /* entry of it to play next */
} sq_feed;

sq_feed *sq_feed_create(const sq_config_source *config);
sq_feed *sq_feed_keep(sq_feed *feed);
void sq_feed_drop(sq_feed **feed);

/* ---------------------------------------------------------------- jobs */

typedef enum sq_job_kind {
    SQ_JOB_DECODE = 0,
    SQ_JOB_CYCLE = 1,
    SQ_JOB_PRODUCT = 2,
    SQ_JOB_SCORE = 3,
    SQ_JOB_TIDY = 4
} sq_job_kind;

/** Lower goes first. */
enum { SQ_PRIORITY_DECODE, SQ_PRIORITY_ALARM, SQ_PRIORITY_CYCLE, SQ_PRIORITY_LATER, SQ_PRIORITIES };

typedef struct sq_job {
    struct sq_job *next;
    sq_job_kind kind;
    sq_world *world; /* kept */
    sq_feed *feed;   /* kept; of a file */
    char path[4096];
    double arrived_s;
    sq_region *region;     /* kept */
    sq_snapshot *snapshot; /* kept */
    sq_layer *layer;       /* kept */
} sq_job;

/** The families of the metrics. */
typedef struct sq_cycle_metrics {
    sq_metric *frames, *frame_age, *forecast_age, *cycles, *cycle_seconds, *stage_seconds, *latency,
        *queue, *running, *products_bytes, *missing, *quality, *alarm, *csi, *fss, *memory;
} sq_cycle_metrics;

struct sq_cycle {
    sq_catalogue *catalogue;
    sq_metrics *metrics;
    sq_cycle_metrics m;
    sq_log *log;
    sq_cycle_listener listener;

    pthread_mutex_t mutex; /* of the world's pointer and the queue */
    pthread_cond_t work, idle;
    sq_world *world;
    sq_job *first[SQ_PRIORITIES], *last[SQ_PRIORITIES];
    size_t queued, busy, reading; /* reading: files that wait to be read, or are */
    bool stopping;                /* nothing new begins */
    bool halted;                  /* the threads end */
    bool ready, settled;          /* settled: there was a moment without work since the start */
    pthread_t *workers;
    int worker_count;
    pthread_t watcher;
    bool watching;
    int inotify, wake[2]; /* `wake`: a pipe that the watcher listens to */
    atomic_ullong number; /* of snapshots */

    pthread_mutex_t clock; /* of the replay's clock */
    bool replay, replay_ended;
    double speed;
    int64_t replay_start, replay_end;
    double replay_since_s;
};

/** Queue a job (given). */
void sq_cycle_queue(sq_cycle *cycle, sq_job *job, int priority);
/** A new job of this kind that keeps `world`; NULL without memory. */
sq_job *sq_job_create(sq_job_kind kind, sq_world *world);
void sq_job_destroy(sq_job **job);
/** Queue the file at `path`. */
void sq_cycle_queue_file(sq_cycle *cycle, sq_world *world, sq_feed *feed, const char *path,
                         double arrived_s);
/** Queue the regions that are due. */
void sq_cycle_queue_due(sq_cycle *cycle, sq_world *world);
SQUALL_MUST_USE squall_status sq_cycle_start_workers(sq_cycle *cycle, int count, squall_error *err);

void sq_cycle_decode(sq_cycle *cycle, sq_job *job);
void sq_cycle_forecast(sq_cycle *cycle, sq_job *job);
void sq_cycle_product(sq_cycle *cycle, sq_job *job);
void sq_cycle_score(sq_cycle *cycle, sq_job *job);
void sq_cycle_tidy(sq_cycle *cycle, sq_job *job);

/** Forecasts on disk that are young enough become instances again; products of which the catalogue
 * does not know whether they are whole are looked at. */
void sq_cycle_restore(sq_cycle *cycle, sq_region *region);

/** A world of `config` (given, also on failure), with what `old` has that is the same. */
SQUALL_MUST_USE squall_status sq_world_create(sq_config *config, const sq_world *old, sq_log *log,
                                              sq_world **out, squall_error *err);
sq_world *sq_world_keep(sq_world *world);

/** The thread that watches folders and clocks. */
SQUALL_MUST_USE squall_status sq_cycle_start_watcher(sq_cycle *cycle, squall_error *err);
void sq_cycle_wake_watcher(sq_cycle *cycle);
/** Watch the folders of `world` that are not watched yet; before the watcher knows of it. */
void sq_cycle_watch(sq_cycle *cycle, sq_world *world);
/** Watch those of `old` no more that `world` does not have. */
void sq_cycle_unwatch(sq_cycle *cycle, const sq_world *world, const sq_world *old);
/** Queue what lies in the folders already. */
void sq_cycle_look(sq_cycle *cycle, sq_world *world);

/** Open what is replayed, and set the clock to its start. */
SQUALL_MUST_USE squall_status sq_cycle_replay_open(sq_cycle *cycle, sq_world *world,
                                                   squall_error *err);
/** Queue the frames whose time has come; begin again at the end where that is asked for. */
void sq_cycle_replay_step(sq_cycle *cycle, sq_world *world);

void sq_cycle_add_metrics(sq_cycle *cycle);
/** Set what is a state, not an event: ages, queues. */
void sq_cycle_set_metrics(sq_cycle *cycle, const sq_world *world);

/* ---------------------------------------------------------------- one run */

/** One cycle's materials; frames and layers are kept until its end. */
typedef struct sq_run {
    sq_cycle *cycle;
    const sq_world *world;
    sq_region *region;
    unsigned epoch;
    double start_s, dirty_since_s, arrived_s;
    bool complete;
    sq_reel radar, extras[SQ_EXTRAS]; /* kept copies */
    size_t observed_count;
    sq_layer *observed[SQ_REGION_FRAMES];
    squall_notes *notes;
    const sq_model *model; /* that made the forecast; NULL for none */
    char model_name[64];
    squall_forecast *forecast, *ensemble; /* the latter beside it, for its probabilities; or NULL */
    sq_snapshot *snapshot;
    bool trial_on; /* two versions of an engine: [0] in service, [1] candidate */
    size_t trial_engine;
    sq_tried tried[2];
} sq_run;

/** Run `model` (NULL: none); the forecast goes to `*out`. */
SQUALL_MUST_USE squall_status sq_run_model(sq_run *run, sq_model *model, squall_method method,
                                           squall_forecast **out, squall_error *err);
/** Make run->snapshot of run->forecast. */
SQUALL_MUST_USE squall_status sq_run_snapshot(sq_run *run, squall_error *err);
/** One run on the region's frames, of which nothing is kept but the memory that it made. Whether it
 * falls back does not matter here: the trial counts that. */
SQUALL_MUST_USE squall_status sq_run_warm(sq_cycle *cycle, const sq_world *world, sq_region *region,
                                          sq_model *model, squall_error *err);
/** The version of the engine that shall answer: 0 the one in service, 1 a candidate. */
int sq_run_choose(sq_run *run, size_t engine);
/** Note what became of one version of the engine on trial. */
void sq_run_note(sq_run *run, size_t engine, int version, bool made, double seconds,
                 const char *reason);
/** Run the version that was not asked, and tell the listener of both. */
void sq_run_trial(sq_run *run, sq_snapshot *published);

#endif /* SQ_SVC_CYCLE_CYCLE_PRIVATE_H */
