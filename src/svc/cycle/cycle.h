/* svc/cycle/cycle.h - regions: files come in, forecasts are published. It knows no HTTP. */
#ifndef SQ_SVC_CYCLE_CYCLE_H
#define SQ_SVC_CYCLE_CYCLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "squall/nowcast.h"
#include "svc/catalogue/catalogue.h"
#include "svc/config/config.h"
#include "svc/metrics/metrics.h"
#include "wx/grid/grid.h"

/* ---------------------------------------------------------------- what is published */

/** Where a region lies. Shared, counted. */
typedef struct sq_place {
    atomic_size_t refs;
    squall_grid grid;
    sq_locator *locator;
    double west, south, east, north; /* around it, degrees */
    double step_deg;                 /* of latitude, about one cell */
    uint64_t hash;                   /* of the grid */
} sq_place;

/** @return as sq_locator_create(); given (sq_place_drop). */
SQUALL_MUST_USE squall_status sq_place_create(const squall_grid *grid, sq_place **out,
                                              squall_error *err);
sq_place *sq_place_keep(sq_place *place);
void sq_place_drop(sq_place **place);

/** One field, packed: hundredths of mm/h. Shared, counted, never changed. */
typedef struct sq_layer {
    atomic_size_t refs;
    int64_t valid_time;
    size_t count;     /* of cells */
    uint16_t *values; /* [height][width]; up to SQ_LAYER_MOST, or one of the two below */
    uint64_t hash;    /* of the values */
} sq_layer;
#define SQ_LAYER_MOST 65533 /* 655.33 mm/h */
#define SQ_LAYER_DRY  65534 /* looked at, nothing detected */
#define SQ_LAYER_NONE 65535 /* no coverage */

/** Pack a field of rain rates; given (sq_layer_drop). NULL without memory. */
sq_layer *sq_layer_create(const squall_field *field);
sq_layer *sq_layer_keep(sq_layer *layer);
void sq_layer_drop(sq_layer **layer);
/** mm/h; NaN without coverage. */
float sq_layer_rate(uint16_t value);
/** Unpack into a new field on `grid`. */
SQUALL_MUST_USE squall_status sq_layer_field(const sq_layer *layer, const squall_grid *grid,
                                             squall_field **out, squall_error *err);

#define SQ_INSTANCE_TEXT 24

/** A published forecast and the observations behind it: immutable, shared, counted. */
typedef struct sq_snapshot {
    atomic_size_t refs;
    uint64_t number; /* of this process: no two are alike */
    char region[SQ_CONFIG_NAME];
    char id[SQ_INSTANCE_TEXT]; /* "20100826T020000Z", the issue time */
    sq_place *place;
    int64_t issue_time, made_time; /* by the service's clock */
    squall_method method;
    char model[64], engine[SQ_CONFIG_NAME]; /* empty without */
    int32_t version;                        /* of the engine, in its repository; 0 without */
    char quality[256];
    double quality_index;
    bool complete; /* every source was there when it started */
    char *inputs;  /* owned; JSON: what went into it */
    double wait_s, motion_s, features_s, engine_s, fields_s, total_s;
    size_t count;
    int32_t *leads_s;
    sq_layer **layers;  /* [count] */
    sq_layer **chances; /* [count]: probabilities of 0.1 mm/h or more by an ensemble, hundredths of
                           a percent; NULL without one */
    size_t observed_count;
    sq_layer **observed; /* [observed_count], oldest first; the last is of the issue time */
    bool alarm;
    int64_t alarm_time; /* first time at which it holds */
    double max_mm_h;    /* of all its layers */
} sq_snapshot;

sq_snapshot *sq_snapshot_keep(sq_snapshot *snapshot);
void sq_snapshot_drop(sq_snapshot **snapshot);
/** The layer valid at `time`, within `tolerance_s`; NULL. Observations too when `observed`. */
const sq_layer *sq_snapshot_find(const sq_snapshot *snapshot, int64_t time, int32_t tolerance_s,
                                 bool observed);

/** Its forecast as fields (given, sq_snapshot_free_fields). */
SQUALL_MUST_USE squall_status sq_snapshot_fields(const sq_snapshot *snapshot, squall_field ***out,
                                                 squall_error *err);
void sq_snapshot_free_fields(const sq_snapshot *snapshot, squall_field ***fields);

/* ---------------------------------------------------------------- regions */

typedef struct sq_region sq_region;

/** How a region is doing. */
typedef struct sq_region_status {
    int64_t newest_frame; /* SQ_TIME_NONE before the first */
    int64_t newest_issue;
    int64_t missing_since; /* when the first frame was due that did not come; SQ_TIME_NONE */
    size_t frames, instances;
    uint64_t cycles, failures;
    bool running, waiting;
    double last_total_s, last_latency_s; /* of a cycle; from the arrival of its last file */
    squall_method method;
    bool alarm;
} sq_region_status;

const sq_config_region *sq_region_config(const sq_region *region);
void sq_region_status_get(sq_region *region, sq_region_status *out);
/** The newest forecast, kept for the caller (sq_snapshot_drop); NULL when there is none, or none
 * that is young enough at `now`. */
sq_snapshot *sq_region_newest(sq_region *region, int64_t now);
/** The one of that issue time; NULL. */
sq_snapshot *sq_region_instance(sq_region *region, int64_t issue_time);
/** The newest forecasts, oldest first, each kept for the caller; returns how many. */
size_t sq_region_instances(sq_region *region, sq_snapshot **out, size_t room);

/** Everything that one configuration makes: shared, counted; a reload makes another. */
typedef struct sq_world {
    atomic_size_t refs;
    sq_config *config;
    sq_region **regions;          /* [config->region_count], in its order */
    struct sq_feed **feeds;       /* [config->source_count] */
    struct sq_model **models;     /* [config->engine_count] */
    struct sq_model **candidates; /* [config->engine_count]; versions on trial, NULL without */
} sq_world;

void sq_world_drop(sq_world **world);
/** NULL when there is none of that name. */
sq_region *sq_world_region(const sq_world *world, const char *name);

/* ---------------------------------------------------------------- the works */

/** What became of one version of an engine in a trial. */
typedef struct sq_tried {
    bool asked, made;
    double seconds;        /* of its run */
    char reason[200];      /* why it made none */
    sq_snapshot *snapshot; /* borrowed; NULL without */
} sq_tried;

/** A cycle that two versions of an engine ran on the same frames: [0] the one in service, [1] the
 * candidate. Texts are borrowed. */
typedef struct sq_trial {
    const char *region, *engine;
    sq_tried versions[2];
    double psnr_db; /* of the candidate against the one in service; NaN without */
} sq_trial;

/** What a cycle tells its owner; called on a thread of the works. Members may be NULL. */
typedef struct sq_cycle_listener {
    void *owner;
    void (*published)(void *owner, const sq_snapshot *snapshot);
    void (*missing)(void *owner, const char *region, int64_t time);
    void (*tried)(void *owner, const sq_trial *trial);
    /* A radar frame that forecasts are scored by. */
    void (*seen)(void *owner, const char *region, sq_layer *layer);
    /* A product is on disk; may be NULL. */
    void (*written)(void *owner, const sq_snapshot *snapshot, const char *path);
} sq_cycle_listener;

typedef struct sq_cycle sq_cycle;

/**
 * Start: threads that watch, read, forecast, write and score.
 *
 * @param config     given to it
 * @param catalogue  kept; may be NULL: nothing is remembered
 * @param metrics    kept
 * @param log        kept; may be NULL
 */
SQUALL_MUST_USE squall_status sq_cycle_open(sq_config *config, sq_catalogue *catalogue,
                                            sq_metrics *metrics, sq_log *log,
                                            const sq_cycle_listener *listener, sq_cycle **out,
                                            squall_error *err);
/** Stop: what runs is finished, for at most `wait_s` seconds; what waits stays for the next start.
 */
void sq_cycle_close(sq_cycle **cycle, double wait_s);
/** Go on by another configuration, given to it; regions, sources and engines that are described as
 * before stay as they are. On failure everything stays. */
SQUALL_MUST_USE squall_status sq_cycle_reload(sq_cycle *cycle, sq_config *config,
                                              squall_error *err);
/** Let the candidate of `engine` run once on what every region has now: its memory is made, and one
 * that cannot run says so. @return that of its run. */
SQUALL_MUST_USE squall_status sq_cycle_warm(sq_cycle *cycle, sq_world *world, const char *engine,
                                            squall_error *err);
/** The world as it is now, kept for the caller (sq_world_drop). */
sq_world *sq_cycle_world(sq_cycle *cycle);
/** The service's clock, Unix seconds: the system's, or that of the replay. */
int64_t sq_cycle_now(const sq_cycle *cycle);
/** Seconds of the service's clock in one of the wall's. */
double sq_cycle_speed(const sq_cycle *cycle);
/** Where files that come over the network go: `*folder`, 4096 bytes. SQUALL_E_NO_DATA when there is
 * no such source, or it takes none. */
SQUALL_MUST_USE squall_status sq_cycle_inbox(sq_cycle *cycle, const char *source, char *folder,
                                             squall_error *err);
void sq_cycle_push(sq_cycle *cycle, const char *source, const char *path);
/** Set those metrics that are states (ages, queues, memory) to what they are now. */
void sq_cycle_update_metrics(sq_cycle *cycle);
/** Whether the first look at what was there is over. */
bool sq_cycle_ready(sq_cycle *cycle);

#endif /* SQ_SVC_CYCLE_CYCLE_H */
