/* svc/wis2/wis2.c - the connections that a configuration asks for, what was heard of, and
 * announcements. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "svc/wis2/wis2_private.h"

enum { MOST_PENDING = 1000, UUID_TEXT = 37, UUID_BYTES = 16 };

/* ---------------------------------------------------------------- what was heard of */

static uint64_t hash_of(const char *who, const char *data_id)
{
    unsigned char hash[UUID_BYTES];
    char text[SQ_WIS2_TEXT + SQ_CONFIG_NAME + 2];
    uint64_t value;
    const int length = snprintf(text, sizeof text, "%s\n%s", who, data_id);
    sq_hash_blake2b(text, (size_t)length, hash, sizeof hash);
    memcpy(&value, hash, sizeof value);
    return value != 0 ? value : 1;
}

bool sq_wis2_is_new(sq_wis2 *wis2, const char *who, const char *data_id, int64_t published_ms,
                    bool *again)
{
    const uint64_t hash = hash_of(who, data_id);
    bool fresh = true;
    *again = false;
    pthread_mutex_lock(&wis2->mutex);
    sq_wis2_seen *found = NULL;
    for (size_t i = 0; i < SQ_WIS2_SEEN && found == NULL; i++) {
        found = wis2->seen[i].hash == hash ? &wis2->seen[i] : NULL;
    }
    if (found != NULL) {
        *again = true;
        fresh = published_ms > found->published_ms;
        found->published_ms = fresh ? published_ms : found->published_ms;
    } else {
        wis2->seen[wis2->oldest] = (sq_wis2_seen){hash, published_ms};
        wis2->oldest = (wis2->oldest + 1) % SQ_WIS2_SEEN;
    }
    pthread_mutex_unlock(&wis2->mutex);
    return fresh;
}

/* ---------------------------------------------------------------- life */

static void add_metrics(sq_wis2 *wis2, sq_metrics *metrics)
{
    static const double seconds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0};
    wis2->messages = sq_metrics_add(
        metrics, SQ_METRIC_COUNTER, "squall_wis2_messages_total",
        "Notifications that came, by what became of them (taken, duplicate, deletion, refused, "
        "dropped, invalid).",
        "broker result", NULL, 0);
    wis2->fetches = sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_wis2_fetches_total",
                                   "Files of notifications, by how it went (ok, corrupt, failed).",
                                   "source result", NULL, 0);
    wis2->fetch_seconds = sq_metrics_add(metrics, SQ_METRIC_HISTOGRAM, "squall_wis2_fetch_seconds",
                                         "Time that fetching a file took.", "source", seconds,
                                         sizeof seconds / sizeof seconds[0]);
    wis2->announced = sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_wis2_announcements_total",
                                     "Products announced, by what became of it (taken, dropped).",
                                     "broker result", NULL, 0);
    wis2->connected = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_wis2_broker_connected",
                                     "1 while the broker is there.", "broker", NULL, 0);
}

sq_wis2 *sq_wis2_create(sq_metrics *metrics, sq_log *log, sq_wis2_arrived *arrived, void *owner)
{
    pthread_condattr_t clock;
    sq_wis2 *wis2 = sq_alloc(1, sizeof *wis2);
    if (wis2 == NULL) {
        return NULL;
    }
    mosquitto_lib_init();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    wis2->log = log;
    wis2->arrived = arrived;
    wis2->owner = owner;
    wis2->last = &wis2->first;
    pthread_mutex_init(&wis2->list, NULL);
    pthread_mutex_init(&wis2->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&wis2->more, &clock);
    pthread_condattr_destroy(&clock);
    if (metrics != NULL) {
        add_metrics(wis2, metrics);
    }
    return wis2;
}

static sq_wis2_link *keep_link(sq_wis2 *wis2, const sq_config_broker *broker,
                               const sq_config *config)
{
    for (size_t i = 0; i < wis2->link_count; i++) {
        sq_wis2_link *link = wis2->links[i];
        if (link != NULL && sq_wis2_link_is_current(link, broker, config)) {
            wis2->links[i] = NULL;
            return link;
        }
    }
    return NULL;
}

/* With `list` held. */
static void drop_links(sq_wis2 *wis2)
{
    for (size_t i = 0; i < wis2->link_count; i++) {
        sq_wis2_link_destroy(&wis2->links[i]);
    }
    sq_free(wis2->links);
    wis2->links = NULL;
    wis2->link_count = 0;
}

void sq_wis2_follow(sq_wis2 *wis2, const sq_config *config)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_wis2_link **links =
        sq_alloc(config->broker_count > 0 ? config->broker_count : 1, sizeof(sq_wis2_link *));
    if (links == NULL) {
        return;
    }
    pthread_mutex_lock(&wis2->list);
    if (config->broker_count > 0 && sq_wis2_start_fetchers(wis2, &problem) != SQUALL_OK) {
        sq_log_failure(wis2->log, SQ_LOG_ERROR, "wis2", &problem);
    }
    memcpy(wis2->base_url, config->server.base_url, sizeof wis2->base_url);
    for (size_t i = 0; i < config->broker_count; i++) {
        links[i] = keep_link(wis2, &config->brokers[i], config);
    }
    drop_links(wis2); /* those that nobody wants; before others take their client's name */
    for (size_t i = 0; i < config->broker_count; i++) {
        if (links[i] == NULL) {
            links[i] = sq_wis2_link_create(wis2, &config->brokers[i], config);
        }
    }
    wis2->links = links;
    wis2->link_count = config->broker_count;
    pthread_mutex_unlock(&wis2->list);
}

void sq_wis2_deafen(sq_wis2 *wis2)
{
    sq_wis2_stop_fetchers(wis2);
}

void sq_wis2_destroy(sq_wis2 **wis2)
{
    sq_wis2 *w = *wis2;
    *wis2 = NULL;
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->list);
    drop_links(w);
    pthread_mutex_unlock(&w->list);
    sq_wis2_stop_fetchers(w);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->list);
    sq_free(w);
    curl_global_cleanup();
    mosquitto_lib_cleanup();
}

/* ---------------------------------------------------------------- announcements */

/* A random UUID (version 4). */
static bool make_uuid(char *text)
{
    unsigned char b[UUID_BYTES];
    squall_error unused;
    if (sq_random_bytes(b, sizeof b, &unused) != SQUALL_OK) {
        return false;
    }
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(text, UUID_TEXT,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
    return true;
}

/* The topic with the region's name for {region}. */
static void make_topic(const char *pattern, const char *region, char *topic, size_t size)
{
    const char *at = strstr(pattern, "{region}");
    const size_t length = at != NULL ? (size_t)(at - pattern) : strlen(pattern);
    snprintf(topic, size, "%.*s%s%s", (int)length, pattern, at != NULL ? region : "",
             at != NULL ? at + strlen("{region}") : "");
}

/* Whether libmosquitto has the message: of QoS 1 it is queued before it is sent, and what fails
 * then for want of a connection is sent when there is one. */
static bool is_kept(int code)
{
    return code == MOSQ_ERR_SUCCESS || code == MOSQ_ERR_NO_CONN || code == MOSQ_ERR_CONN_LOST ||
           code == MOSQ_ERR_CONN_REFUSED || code == MOSQ_ERR_ERRNO;
}

static void announce(sq_wis2_link *link, const sq_wis2_product *product)
{
    static const char origin[] = "origin/a/";
    struct timespec now;
    char topic[2 * SQ_CONFIG_TEXT], data_id[3 * SQ_CONFIG_TEXT], id[UUID_TEXT], href[SQ_WIS2_TEXT];
    const char *const dropped[] = {link->config.name, "dropped"};
    sq_wis2_product whole = *product;
    sq_text text = {0};
    bool again = false;
    make_topic(link->config.publish, product->region, topic, sizeof topic);
    snprintf(href, sizeof href, "%s%s", link->wis2->base_url, product->href);
    whole.href = href;
    snprintf(data_id, sizeof data_id, "%s/%s",
             strncmp(topic, origin, sizeof origin - 1) == 0 ? topic + sizeof origin - 1 : topic,
             product->name);
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t published_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    (void)sq_wis2_is_new(link->wis2, link->config.name, data_id, published_ms, &again);
    if (!make_uuid(id)) {
        return;
    }
    sq_wis2_write(&whole, id, data_id, link->config.metadata_id,
                  again ? SQ_WIS2_UPDATE : SQ_WIS2_CANONICAL, published_ms, &text);
    /* libmosquitto keeps what a broker that is away has not got; not without end. */
    if (text.failed || atomic_load(&link->pending) >= MOST_PENDING ||
        !is_kept(
            mosquitto_publish(link->client, NULL, topic, (int)text.length, text.data, 1, false))) {
        sq_metric_add(link->wis2->announced, 1.0, dropped);
    } else {
        atomic_fetch_add(&link->pending, 1);
    }
    sq_text_free(&text);
}

void sq_wis2_announce(sq_wis2 *wis2, const sq_wis2_product *product)
{
    pthread_mutex_lock(&wis2->list);
    for (size_t i = 0; i < wis2->link_count; i++) {
        if (wis2->links[i] != NULL && wis2->links[i]->config.publish[0] != '\0') {
            announce(wis2->links[i], product);
        }
    }
    pthread_mutex_unlock(&wis2->list);
}
