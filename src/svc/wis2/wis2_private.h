/* svc/wis2/wis2_private.h - what the files of the room share. */
#ifndef SQ_SVC_WIS2_WIS2_PRIVATE_H
#define SQ_SVC_WIS2_WIS2_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <mosquitto.h>

#include "svc/wis2/wis2.h"

enum { SQ_WIS2_FETCHERS = 2, SQ_WIS2_QUEUE = 256, SQ_WIS2_SEEN = 4096, SQ_WIS2_ATTEMPTS = 4 };

/** A file that is to be fetched. */
typedef struct sq_wis2_task {
    struct sq_wis2_task *next;
    sq_config_source source;
    sq_wis2_message message; /* owned */
    int attempts;
    double not_before_s;
} sq_wis2_task;

/** A connection, kept by one thread. */
typedef struct sq_wis2_link {
    sq_wis2 *wis2;
    sq_config_broker config;
    size_t source_count;
    sq_config_source *sources; /* owned; those that listen here */
    struct mosquitto *client;
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop, connected;
    atomic_size_t pending; /* announcements that the broker has not taken yet */
} sq_wis2_link;

/** What was heard of lately: a file, and when it was published. */
typedef struct sq_wis2_seen {
    uint64_t hash; /* of source and data_id; 0: free */
    int64_t published_ms;
} sq_wis2_seen;

struct sq_wis2 {
    sq_log *log;
    sq_wis2_arrived *arrived;
    void *owner;
    sq_metric *messages, *fetches, *fetch_seconds, *announced, *connected;

    pthread_mutex_t list; /* of the connections */
    sq_wis2_link **links;
    size_t link_count;
    char base_url[SQ_CONFIG_TEXT];

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t more;
    sq_wis2_task *first, **last;
    size_t queued;
    sq_wis2_seen seen[SQ_WIS2_SEEN];
    size_t oldest;
    bool stop;
    atomic_bool stopping; /* the same, for downloads that run */
    pthread_t fetchers[SQ_WIS2_FETCHERS];
    size_t fetcher_count;
};

/** Connect and stay connected, on a thread of its own. NULL without memory. */
sq_wis2_link *sq_wis2_link_create(sq_wis2 *wis2, const sq_config_broker *broker,
                                  const sq_config *config);
void sq_wis2_link_destroy(sq_wis2_link **link);
/** Whether it is what the configuration asks for. */
bool sq_wis2_link_is_current(const sq_wis2_link *link, const sq_config_broker *broker,
                             const sq_config *config);

/** Whether this file of this time is new; then it counts as seen. Older than what was seen is not
 * new. */
bool sq_wis2_is_new(sq_wis2 *wis2, const char *who, const char *data_id, int64_t published_ms,
                    bool *again);
/** Fetch what the message (given, also on failure) speaks of. false: too much waits. */
bool sq_wis2_queue(sq_wis2 *wis2, const sq_config_source *source, sq_wis2_message *message);
/** The threads that fetch. */
SQUALL_MUST_USE squall_status sq_wis2_start_fetchers(sq_wis2 *wis2, squall_error *err);
void sq_wis2_stop_fetchers(sq_wis2 *wis2);

#endif /* SQ_SVC_WIS2_WIS2_PRIVATE_H */
