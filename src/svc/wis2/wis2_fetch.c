/* svc/wis2/wis2_fetch.c - files that messages speak of, fetched by libcurl within limits. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "svc/wis2/wis2_private.h"

enum { CONNECT_S = 10, REDIRECTS = 3, WAIT_S = 1 /* before the second attempt; it doubles */ };

/* ---------------------------------------------------------------- one download */

typedef struct download {
    const sq_wis2 *wis2;
    unsigned char *bytes; /* owned */
    size_t size, capacity, limit;
    bool too_large;
} download;

static size_t on_bytes(char *data, size_t one, size_t count, void *user)
{
    download *d = user;
    const size_t size = one * count;
    if (size > d->limit - d->size) {
        d->too_large = true;
        return 0;
    }
    if (d->size + size > d->capacity) {
        const size_t capacity = 2 * (d->size + size);
        unsigned char *grown = sq_regrow(d->bytes, d->size, capacity, 1);
        if (grown == NULL) {
            return 0;
        }
        d->bytes = grown;
        d->capacity = capacity;
    }
    memcpy(d->bytes + d->size, data, size);
    d->size += size;
    return size;
}

/* Not 0 ends the download: the service stops. */
static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    const download *d = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    return atomic_load(&d->wis2->stopping) ? 1 : 0;
}

/* Whether the source may fetch from this address: http or https, and one of its hosts where it
 * names any. */
static squall_status check_address(const sq_config_source *source, const char *href,
                                   squall_error *err)
{
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    char *scheme = NULL, *host = NULL;
    squall_status status = SQUALL_E_FORMAT;
    CURLU *url = curl_url();
    const size_t count = sq_config_split(source->hosts, names);
    if (url != NULL && curl_url_set(url, CURLUPART_URL, href, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
        status = count == 0 ? SQUALL_OK : SQUALL_E_ARGUMENT;
        for (size_t i = 0; i < count && count != SIZE_MAX; i++) {
            status = strcmp(names[i], host) == 0 ? SQUALL_OK : status;
        }
    }
    if (status == SQUALL_E_FORMAT) {
        (void)!sq_fail(err, SQUALL_E_FORMAT, href, "is no address of http or https");
    } else if (status != SQUALL_OK) {
        (void)!sq_fail(err, SQUALL_E_ARGUMENT, href, "its host is none of `hosts`");
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    return status;
}

static void set_up(CURL *curl, const sq_wis2_task *task, download *d)
{
    const bool bound = task->source.hosts[0] != '\0'; /* a redirect would lead away from them */
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, task->message.href);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, bound ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)task->source.download_s);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "squall");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
}

/* `*again` says whether another attempt may help. */
static squall_status fetch(CURL *curl, const sq_wis2_task *task, download *d, bool *again,
                           squall_error *err)
{
    long status = 0;
    *again = false;
    SQ_TRY(check_address(&task->source, task->message.href, err));
    set_up(curl, task, d);
    const CURLcode code = curl_easy_perform(curl);
    if (d->too_large) {
        return sq_fail(err, SQUALL_E_LIMIT, task->message.href, "is larger than %d MB",
                       task->source.download_mb);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    *again = true;
    if (code != CURLE_OK) {
        return sq_fail(err, SQUALL_E_IO, task->message.href, "%s", curl_easy_strerror(code));
    }
    if (status != 200) {
        return sq_fail(err, SQUALL_E_IO, task->message.href, "is answered with %ld", status);
    }
    return sq_wis2_verify(&task->message, d->bytes, d->size, err);
}

/* ---------------------------------------------------------------- tasks */

static void destroy_task(sq_wis2_task *task)
{
    sq_wis2_message_free(&task->message);
    sq_free(task);
}

/* The last part of its address, or of its identifier. */
static const char *name_of(const sq_wis2_message *m, char *name, size_t size)
{
    const size_t length = strcspn(m->href, "?#");
    snprintf(name, size, "%.*s", (int)length, m->href);
    const char *last = sq_path_name(name);
    return last[0] != '\0' ? last : sq_path_name(m->data_id);
}

static void finish(sq_wis2 *wis2, const sq_wis2_task *task, squall_status status,
                   const squall_error *err)
{
    const char *const labels[] = {task->source.name, status == SQUALL_OK          ? "ok"
                                                     : status == SQUALL_E_CORRUPT ? "corrupt"
                                                                                  : "failed"};
    sq_metric_add(wis2->fetches, 1.0, labels);
    if (status != SQUALL_OK) {
        sq_log_failure(wis2->log, SQ_LOG_WARNING, "fetch", err);
    }
}

/* Give it to its owner, or fetch it first. True when it is to be tried again. */
static bool work_on(sq_wis2 *wis2, CURL *curl, sq_wis2_task *task)
{
    char name[SQ_WIS2_TEXT];
    squall_error problem = {.code = SQUALL_OK};
    squall_status status;
    const char *const labels[] = {task->source.name};
    bool again = false;
    download d = {.wis2 = wis2, .limit = (size_t)task->source.download_mb << 20};
    const double start_s = sq_clock_s();
    if (task->message.content != NULL) {
        status = sq_wis2_verify(&task->message, task->message.content, task->message.content_size,
                                &problem);
        d.bytes = task->message.content;
        d.size = task->message.content_size;
        task->message.content = NULL;
    } else {
        status = fetch(curl, task, &d, &again, &problem);
    }
    if (status == SQUALL_OK) {
        again = false;
        sq_metric_observe(wis2->fetch_seconds, sq_clock_s() - start_s, labels);
        status =
            wis2->arrived(wis2->owner, task->source.name,
                          name_of(&task->message, name, sizeof name), d.bytes, d.size, &problem);
    }
    sq_free(d.bytes);
    again = again && ++task->attempts < SQ_WIS2_ATTEMPTS && !atomic_load(&wis2->stopping);
    if (!again) {
        finish(wis2, task, status, &problem);
    }
    return again;
}

/* The first task that may go; NULL, and how long until one may. With the lock. */
static sq_wis2_task *take(sq_wis2 *wis2, double *wait_s)
{
    const double now_s = sq_clock_s();
    *wait_s = INFINITY;
    for (sq_wis2_task **at = &wis2->first; *at != NULL; at = &(*at)->next) {
        sq_wis2_task *task = *at;
        if (task->not_before_s > now_s) {
            *wait_s = fmin(*wait_s, task->not_before_s - now_s);
            continue;
        }
        *at = task->next;
        if (task->next == NULL) {
            wis2->last = at;
        }
        task->next = NULL;
        wis2->queued--;
        return task;
    }
    return NULL;
}

/* With the lock. */
static void put(sq_wis2 *wis2, sq_wis2_task *task)
{
    *wis2->last = task;
    wis2->last = &task->next;
    wis2->queued++;
    pthread_cond_signal(&wis2->more);
}

/* With the lock. */
static void wait_for(sq_wis2 *wis2, double wait_s)
{
    struct timespec until;
    if (isinf(wait_s)) {
        pthread_cond_wait(&wis2->more, &wis2->mutex);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + (int64_t)(wait_s * 1e9);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_cond_timedwait(&wis2->more, &wis2->mutex, &until);
}

static void *run_fetcher(void *arg)
{
    sq_wis2 *wis2 = arg;
    double wait_s;
    CURL *curl = curl_easy_init();
    pthread_mutex_lock(&wis2->mutex);
    while (!wis2->stop) {
        sq_wis2_task *task = curl != NULL ? take(wis2, &wait_s) : NULL;
        if (task == NULL) {
            wait_for(wis2, curl != NULL ? wait_s : INFINITY);
            continue;
        }
        pthread_mutex_unlock(&wis2->mutex);
        const bool again = work_on(wis2, curl, task);
        pthread_mutex_lock(&wis2->mutex);
        if (again) {
            task->not_before_s = sq_clock_s() + WAIT_S * (double)(1 << (task->attempts - 1));
            put(wis2, task);
        } else {
            destroy_task(task);
        }
    }
    pthread_mutex_unlock(&wis2->mutex);
    curl_easy_cleanup(curl);
    return NULL;
}

bool sq_wis2_queue(sq_wis2 *wis2, const sq_config_source *source, sq_wis2_message *message)
{
    sq_wis2_task *task = sq_alloc(1, sizeof *task);
    bool taken = false;
    if (task == NULL) {
        sq_wis2_message_free(message);
        return false;
    }
    task->source = *source;
    task->message = *message;
    pthread_mutex_lock(&wis2->mutex);
    taken = wis2->queued < SQ_WIS2_QUEUE && !wis2->stop;
    if (taken) {
        put(wis2, task);
    }
    pthread_mutex_unlock(&wis2->mutex);
    if (!taken) {
        destroy_task(task);
    }
    return taken;
}

squall_status sq_wis2_start_fetchers(sq_wis2 *wis2, squall_error *err)
{
    while (wis2->fetcher_count < SQ_WIS2_FETCHERS) {
        if (pthread_create(&wis2->fetchers[wis2->fetcher_count], NULL, run_fetcher, wis2) != 0) {
            return sq_fail(err, SQUALL_E_MEMORY, "wis2", "a thread cannot be started");
        }
        wis2->fetcher_count++;
    }
    return SQUALL_OK;
}

void sq_wis2_stop_fetchers(sq_wis2 *wis2)
{
    atomic_store(&wis2->stopping, true);
    pthread_mutex_lock(&wis2->mutex);
    wis2->stop = true;
    pthread_cond_broadcast(&wis2->more);
    pthread_mutex_unlock(&wis2->mutex);
    for (size_t i = 0; i < wis2->fetcher_count; i++) {
        pthread_join(wis2->fetchers[i], NULL);
    }
    wis2->fetcher_count = 0;
    while (wis2->first != NULL) {
        sq_wis2_task *next = wis2->first->next;
        destroy_task(wis2->first);
        wis2->first = next;
    }
    wis2->last = &wis2->first;
}
