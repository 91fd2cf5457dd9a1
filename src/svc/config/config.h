/* svc/config/config.h - the configuration file of the service, read and checked. */
#ifndef SQ_SVC_CONFIG_CONFIG_H
#define SQ_SVC_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define SQ_CONFIG_NAME  48
#define SQ_CONFIG_TEXT  200
#define SQ_CONFIG_ITEMS 256 /* sections of one kind */
#define SQ_CONFIG_LIST  16  /* names in one list */

/** [server]. Every member has the name of its key; units stand in the names. */
typedef struct sq_config_server {
    char listen[SQ_CONFIG_TEXT]; /* addresses with commas */
    char base_url[SQ_CONFIG_TEXT];
    char cors[SQ_CONFIG_TEXT];
    char data[SQ_CONFIG_TEXT]; /* folder of catalogue, products and pushed files */
    char log_level[SQ_CONFIG_NAME];
    char title[SQ_CONFIG_TEXT], institution[SQ_CONFIG_TEXT], license[SQ_CONFIG_TEXT];
    int32_t http_threads, connections, per_address, idle_s, stop_s;
    int32_t workers, threads, infer_workers;
    int32_t push_mb;                 /* largest pushed file */
    char leaflet[SQ_CONFIG_TEXT];    /* folder of leaflet.js and leaflet.css */
    char coastlines[SQ_CONFIG_TEXT]; /* folder of GSHHG's files */
    bool sandbox;                    /* only the system calls that are needed */
} sq_config_server;

/** [limits] */
typedef struct sq_config_limits {
    char anonymous[SQ_CONFIG_NAME]; /* role of callers without a key: none, read, infer */
    double rate_per_s, burst;       /* of callers without a key, by address */
    int32_t values;                 /* of one answer, thousands */
    bool operate_tcp;               /* keys of role operate count on TCP, too */
} sq_config_limits;

/** [retention] */
typedef struct sq_config_retention {
    double products_gb, products_days, catalogue_days, inbox_hours;
} sq_config_retention;

/** [replay] */
typedef struct sq_config_replay {
    double speed;
    char start[SQ_CONFIG_NAME];
    bool loop;
} sq_config_replay;

/** [key NAME] */
typedef struct sq_config_key {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char role[SQ_CONFIG_NAME]; /* read, infer, operate */
    char hash[SQ_CONFIG_TEXT]; /* BLAKE2b, 64 hexadecimal digits */
    double rate_per_s, burst;
} sq_config_key;

/** [source NAME]: where files come from. */
typedef struct sq_config_source {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char watch[SQ_CONFIG_TEXT], replay[SQ_CONFIG_TEXT];
    char quantity[SQ_CONFIG_NAME];
    char attribution[SQ_CONFIG_TEXT];
    bool push;
    char broker[SQ_CONFIG_NAME]; /* notifications come from it */
    char topics[SQ_CONFIG_TEXT]; /* filters with commas */
    char hosts[SQ_CONFIG_TEXT];  /* that files may be fetched from */
    bool require_hash;
    int32_t download_s, download_mb;
    int32_t settle_ms, future_s;
    double zr_a, zr_b, max_rate_mm_h;
} sq_config_source;

/** [broker NAME]: a WIS2 broker (MQTT). */
typedef struct sq_config_broker {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char host[SQ_CONFIG_TEXT];
    int32_t port;
    bool tls;
    char ca_file[SQ_CONFIG_TEXT];
    char username[SQ_CONFIG_NAME], password_file[SQ_CONFIG_TEXT], client_id[SQ_CONFIG_NAME];
    char publish[SQ_CONFIG_TEXT]; /* topic of announcements */
    char metadata_id[SQ_CONFIG_TEXT];
} sq_config_broker;

/** [engine NAME] */
typedef struct sq_config_engine {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char file[SQ_CONFIG_TEXT], trusted_keys[SQ_CONFIG_TEXT];
    char model[SQ_CONFIG_NAME]; /* of the repository of [release], instead of `file` */
    int32_t version;            /* of the model; set by svc/release, together with `file` */
    char batch[SQ_CONFIG_NAME]; /* requests of one run, numbers with commas */
    double queue_delay_ms;
    int32_t queue, instances, threads, batch_mb;
} sq_config_engine;

/** [release]: where new versions of engines come from, and how they come into service. */
typedef struct sq_config_release {
    char repository[SQ_CONFIG_TEXT], roots[SQ_CONFIG_TEXT], key[SQ_CONFIG_TEXT];
    char steps[SQ_CONFIG_TEXT];
    double min_psnr_db, max_latency_ratio, latency_slack_ms, max_memory_ratio, max_csi_loss;
    int32_t max_failures, least_events, patience_s;
} sq_config_release;

/** A version of an engine on trial: set by svc/release, stands in no file. */
typedef struct sq_config_trial {
    char file[SQ_CONFIG_TEXT]; /* empty: there is none */
    int32_t version;
    int32_t weight;               /* per cent of cycles that it answers */
    char regions[SQ_CONFIG_TEXT]; /* and those where it answers all, with commas */
} sq_config_trial;

/** [region NAME] */
typedef struct sq_config_region {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char title[SQ_CONFIG_TEXT];
    char radar[SQ_CONFIG_NAME];
    char sources[SQ_CONFIG_TEXT]; /* names with commas */
    char engines[SQ_CONFIG_TEXT]; /* names with commas, the best first */
    char method[SQ_CONFIG_NAME];
    char window[SQ_CONFIG_NAME];    /* COL,ROW,WIDTH,HEIGHT */
    char grid_proj[SQ_CONFIG_TEXT]; /* a grid of its own */
    double grid_left, grid_top, grid_cell;
    int32_t grid_width, grid_height;
    int32_t cadence_s, deadline_s, max_age_min, history_min, instances;
    char leads_min[SQ_CONFIG_TEXT];
    int32_t members; /* of an ensemble beside the forecast */
    double alarm_mm_h;
    int32_t alarm_cells;
} sq_config_region;

/** [location NAME]: a city. */
typedef struct sq_config_location {
    int32_t line;
    char name[SQ_CONFIG_NAME];
    char title[SQ_CONFIG_TEXT];
    double lon, lat;
} sq_config_location;

/** A whole file. Zeroed where nothing is, so that two may be compared byte by byte. */
typedef struct sq_config {
    char path[SQ_CONFIG_TEXT * 4];
    sq_config_server server;
    sq_config_limits limits;
    sq_config_retention retention;
    sq_config_replay replay;
    sq_config_release release;
    sq_config_key *keys; /* owned, as all below */
    sq_config_broker *brokers;
    sq_config_source *sources;
    sq_config_engine *engines;
    sq_config_region *regions;
    sq_config_location *locations;
    sq_config_trial *trials; /* [engine_count], or NULL */
    size_t key_count, broker_count, source_count, engine_count, region_count, location_count;
} sq_config;

/**
 * Read and check a configuration.
 *
 * @param problems  every thing that is wrong, each with file, line, section and key
 * @param out       given (sq_config_destroy)
 * @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_FORMAT when there is any problem; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_config_read(const char *path, sq_config **out,
                                             squall_notes *problems, squall_error *err);
/** The same of text in memory; `path` is what messages call it. */
SQUALL_MUST_USE squall_status sq_config_parse(const char *text, size_t length, const char *path,
                                              sq_config **out, squall_notes *problems,
                                              squall_error *err);
void sq_config_destroy(sq_config **config);
/** A copy, given; NULL without memory. */
sq_config *sq_config_copy(const sq_config *config);
/** Make `trials` where they are not, and empty them; false without memory. */
bool sq_config_make_trials(sq_config *config);

/** Whether two sections say the same, wherever they stand. */
bool sq_config_region_equal(const sq_config_region *a, const sq_config_region *b);
bool sq_config_source_equal(const sq_config_source *a, const sq_config_source *b);
bool sq_config_broker_equal(const sq_config_broker *a, const sq_config_broker *b);
bool sq_config_engine_equal(const sq_config_engine *a, const sq_config_engine *b);

/** Names of "a, b,c": at most SQ_CONFIG_LIST; returns how many, or SIZE_MAX when they are too many
 * or too long. */
size_t sq_config_split(const char *list, char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME]);
/** Whole numbers of "5,10,15", each within low..high; SIZE_MAX when they are none, or too many. */
size_t sq_config_numbers(const char *list, int64_t low, int64_t high, int64_t *out, size_t room);

/** The reference of all keys as Markdown tables; docs/serve.md holds it. */
void sq_config_describe(sq_text *out);

#endif /* SQ_SVC_CONFIG_CONFIG_H */
