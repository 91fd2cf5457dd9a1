/* svc/wis2/wis2_link.c - one connection with a broker, by libmosquitto: held by a thread that
 * connects again and again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "svc/wis2/wis2_private.h"

enum {
    KEEPALIVE_S = 30,
    LOOP_MS = 250,
    LAST_LOOPS = 4,
    LEAST_WAIT_S = 1,
    MOST_WAIT_S = 60,
    PASSWORD_BYTES = 4096
};

/* ---------------------------------------------------------------- what comes */

static void count(const sq_wis2_link *link, const char *result)
{
    const char *const labels[] = {link->config.name, result};
    sq_metric_add(link->wis2->messages, 1.0, labels);
}

static bool is_for(const sq_config_source *source, const char *topic)
{
    char filters[sizeof source->topics];
    bool matches = false;
    char *rest = NULL;
    snprintf(filters, sizeof filters, "%s", source->topics);
    for (char *at = strtok_r(filters, ", ", &rest); at != NULL; at = strtok_r(NULL, ", ", &rest)) {
        bool one = false;
        matches =
            (mosquitto_topic_matches_sub(at, topic, &one) == MOSQ_ERR_SUCCESS && one) || matches;
    }
    return matches;
}

/* A message (given) for one source. */
static void take(sq_wis2_link *link, const sq_config_source *source, sq_wis2_message *message)
{
    bool again;
    if (message->rel == SQ_WIS2_DELETION) {
        count(link, "deletion");
        sq_wis2_message_free(message);
    } else if (source->require_hash && message->digest_size == 0) {
        count(link, "refused");
        sq_log_say(link->wis2->log, SQ_LOG_WARNING, "notification",
                   "a message without a hash: require_hash is set");
        sq_wis2_message_free(message);
    } else if (!sq_wis2_is_new(link->wis2, source->name, message->data_id, message->published_ms,
                               &again)) {
        count(link, "duplicate");
        sq_wis2_message_free(message);
    } else {
        count(link, sq_wis2_queue(link->wis2, source, message) ? "taken" : "dropped");
    }
}

static void on_message(struct mosquitto *client, void *user, const struct mosquitto_message *m)
{
    sq_wis2_link *link = user;
    (void)client;
    for (size_t i = 0; i < link->source_count; i++) {
        squall_error problem = {.code = SQUALL_OK};
        sq_wis2_message message;
        if (!is_for(&link->sources[i], m->topic)) {
            continue;
        }
        if (sq_wis2_read(m->payload, (size_t)m->payloadlen, &message, &problem) != SQUALL_OK) {
            count(link, "invalid");
            sq_log_failure(link->wis2->log, SQ_LOG_WARNING, "notification", &problem);
            continue;
        }
        take(link, &link->sources[i], &message);
    }
}

/* ---------------------------------------------------------------- the connection */

static void say(const sq_wis2_link *link, sq_log_level level, const char *text)
{
    sq_json line;
    sq_log_begin(link->wis2->log, &line, level, "broker");
    sq_json_text(&line, "broker", link->config.name);
    sq_json_text(&line, "text", text);
    sq_log_end(link->wis2->log, &line);
}

static void set_connected(sq_wis2_link *link, bool connected)
{
    const char *const labels[] = {link->config.name};
    pthread_mutex_lock(&link->mutex);
    const bool changed = link->connected != connected;
    link->connected = connected;
    pthread_mutex_unlock(&link->mutex);
    sq_metric_set(link->wis2->connected, connected ? 1.0 : 0.0, labels);
    if (changed) {
        say(link, connected ? SQ_LOG_INFO : SQ_LOG_WARNING,
            connected ? "connected" : "the connection is gone; it is tried again");
    }
}

static void on_connect(struct mosquitto *client, void *user, int code)
{
    sq_wis2_link *link = user;
    if (code != 0) {
        say(link, SQ_LOG_WARNING, mosquitto_connack_string(code));
        return;
    }
    set_connected(link, true);
    for (size_t i = 0; i < link->source_count; i++) {
        char filters[sizeof link->sources[i].topics];
        char *rest = NULL;
        snprintf(filters, sizeof filters, "%s", link->sources[i].topics);
        for (char *at = strtok_r(filters, ", ", &rest); at != NULL;
             at = strtok_r(NULL, ", ", &rest)) {
            mosquitto_subscribe(client, NULL, at, 1);
        }
    }
}

static void on_disconnect(struct mosquitto *client, void *user, int code)
{
    (void)client;
    (void)code;
    set_connected(user, false);
}

static void on_published(struct mosquitto *client, void *user, int id)
{
    sq_wis2_link *link = user;
    const char *const labels[] = {link->config.name, "taken"};
    (void)client;
    (void)id;
    if (atomic_load(&link->pending) > 0) {
        atomic_fetch_sub(&link->pending, 1);
    }
    sq_metric_add(link->wis2->announced, 1.0, labels);
}

/* Wait before the next attempt; true when it is time to stop. */
static bool pause_for(sq_wis2_link *link, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&link->mutex);
    while (!link->stop && pthread_cond_timedwait(&link->wake, &link->mutex, &until) != ETIMEDOUT) {
    }
    const bool stop = link->stop;
    pthread_mutex_unlock(&link->mutex);
    return stop;
}

static bool must_stop(sq_wis2_link *link)
{
    pthread_mutex_lock(&link->mutex);
    const bool stop = link->stop;
    pthread_mutex_unlock(&link->mutex);
    return stop;
}

static bool is_connected(sq_wis2_link *link)
{
    pthread_mutex_lock(&link->mutex);
    const bool connected = link->connected;
    pthread_mutex_unlock(&link->mutex);
    return connected;
}

static void *run_link(void *arg)
{
    sq_wis2_link *link = arg;
    int wait_s = LEAST_WAIT_S;
    while (!must_stop(link)) {
        int code = mosquitto_connect_async(link->client, link->config.host, link->config.port,
                                           KEEPALIVE_S);
        const char *why = mosquitto_strerror(code);
        while (code == MOSQ_ERR_SUCCESS && !must_stop(link)) {
            code = mosquitto_loop(link->client, LOOP_MS, 1);
            wait_s = is_connected(link) ? LEAST_WAIT_S : wait_s;
            why = code == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(code);
        }
        if (must_stop(link)) {
            break;
        }
        say(link, SQ_LOG_WARNING, why);
        set_connected(link, false);
        if (pause_for(link, wait_s)) {
            break;
        }
        wait_s = 2 * wait_s < MOST_WAIT_S ? 2 * wait_s : MOST_WAIT_S;
    }
    for (int i = 0; i < LAST_LOOPS && is_connected(link) && atomic_load(&link->pending) > 0; i++) {
        (void)mosquitto_loop(link->client, LOOP_MS, 1);
    }
    mosquitto_disconnect(link->client);
    (void)mosquitto_loop(link->client, 0, 1); /* says goodbye */
    return NULL;
}

/* ---------------------------------------------------------------- life */

static bool listens(const sq_config_source *source, const sq_config_broker *broker)
{
    return strcmp(source->broker, broker->name) == 0;
}

static squall_status set_secrets(sq_wis2_link *link, squall_error *err)
{
    unsigned char *password = NULL;
    size_t size = 0;
    const sq_config_broker *c = &link->config;
    int code = MOSQ_ERR_SUCCESS;
    if (c->username[0] != '\0') {
        if (c->password_file[0] != '\0') {
            SQ_TRY(sq_file_read(c->password_file, PASSWORD_BYTES, &password, &size, err));
            password[strcspn((char *)password, "\r\n")] = '\0';
        }
        code = mosquitto_username_pw_set(link->client, c->username, (char *)password);
        if (password != NULL) {
            sq_sign_forget(password, size);
            sq_free(password);
        }
    }
    if (code == MOSQ_ERR_SUCCESS && c->tls) {
        const char *file = c->ca_file[0] != '\0' ? c->ca_file : NULL;
        code = mosquitto_tls_set(link->client, file, file == NULL ? "/etc/ssl/certs" : NULL, NULL,
                                 NULL, NULL);
    }
    return code == MOSQ_ERR_SUCCESS
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_ARGUMENT, c->name, "%s", mosquitto_strerror(code));
}

static squall_status open_link(sq_wis2_link *link, squall_error *err)
{
    const bool named = link->config.client_id[0] != '\0';
    /* Under a name of its own the broker keeps what comes while we are away. */
    link->client = mosquitto_new(named ? link->config.client_id : NULL, !named, link);
    if (link->client == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, link->config.name, "no memory");
    }
    SQ_TRY(set_secrets(link, err));
    mosquitto_threaded_set(link->client, true);
    mosquitto_connect_callback_set(link->client, on_connect);
    mosquitto_disconnect_callback_set(link->client, on_disconnect);
    mosquitto_message_callback_set(link->client, on_message);
    mosquitto_publish_callback_set(link->client, on_published);
    if (pthread_create(&link->thread, NULL, run_link, link) != 0) {
        return sq_fail(err, SQUALL_E_MEMORY, link->config.name, "a thread cannot be started");
    }
    link->started = true;
    return SQUALL_OK;
}

sq_wis2_link *sq_wis2_link_create(sq_wis2 *wis2, const sq_config_broker *broker,
                                  const sq_config *config)
{
    pthread_condattr_t clock;
    squall_error problem = {.code = SQUALL_OK};
    sq_wis2_link *link = sq_alloc(1, sizeof *link);
    sq_config_source *sources =
        sq_alloc(config->source_count > 0 ? config->source_count : 1, sizeof *sources);
    if (link == NULL || sources == NULL) {
        sq_free(link);
        sq_free(sources);
        return NULL;
    }
    link->wis2 = wis2;
    link->config = *broker;
    link->sources = sources;
    pthread_mutex_init(&link->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&link->wake, &clock);
    pthread_condattr_destroy(&clock);
    for (size_t i = 0; i < config->source_count; i++) {
        if (listens(&config->sources[i], broker)) {
            sources[link->source_count++] = config->sources[i];
        }
    }
    if (open_link(link, &problem) != SQUALL_OK) {
        sq_log_failure(wis2->log, SQ_LOG_ERROR, "broker", &problem);
        sq_wis2_link_destroy(&link);
    }
    return link;
}

void sq_wis2_link_destroy(sq_wis2_link **link)
{
    sq_wis2_link *l = *link;
    *link = NULL;
    if (l == NULL) {
        return;
    }
    if (l->started) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_broadcast(&l->wake);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->thread, NULL);
    }
    if (l->client != NULL) {
        mosquitto_destroy(l->client);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
    sq_free(l->sources);
    sq_free(l);
}

bool sq_wis2_link_is_current(const sq_wis2_link *link, const sq_config_broker *broker,
                             const sq_config *config)
{
    size_t found = 0;
    if (!sq_config_broker_equal(&link->config, broker)) {
        return false;
    }
    for (size_t i = 0; i < config->source_count; i++) {
        if (!listens(&config->sources[i], broker)) {
            continue;
        }
        if (found == link->source_count ||
            !sq_config_source_equal(&config->sources[i], &link->sources[found])) {
            return false;
        }
        found++;
    }
    return found == link->source_count;
}
