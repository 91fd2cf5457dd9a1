/* svc/infer/infer_models.c - the models: opened by the configuration, loaded and unloaded by calls.
 */
#include <stdio.h>
#include <string.h>

#include "svc/infer/infer_private.h"

enum { MOST_THREADS = 4 /* of one run, where nothing else is said */ };

/* ---------------------------------------------------------------- one */

static void destroy_model(sq_infer_model *m)
{
    while (m->idle != NULL) {
        sq_infer_crew *crew = m->idle;
        m->idle = crew->next;
        sq_infer_crew_destroy(&crew);
    }
    squall_engine_close(&m->engine);
    pthread_mutex_destroy(&m->mutex);
    sq_free(m);
}

void sq_infer_drop(sq_infer_model **model)
{
    sq_infer_model *m = *model;
    *model = NULL;
    if (m != NULL && atomic_fetch_sub(&m->refs, 1) == 1) {
        destroy_model(m);
    }
}

/* Threads of one run: its own, else those of a cycle, else a few. */
static int32_t threads_of(const sq_config_engine *config, int32_t threads)
{
    const int few = sq_cpu_count() < MOST_THREADS ? sq_cpu_count() : MOST_THREADS;
    return config->threads > 0 ? config->threads : threads > 0 ? threads : few;
}

/* A model of that description; not ready yet. NULL without memory. */
static sq_infer_model *create_model(const sq_config_engine *config, int32_t threads)
{
    sq_infer_model *m = sq_alloc(1, sizeof *m);
    if (m != NULL) {
        atomic_init(&m->refs, 1);
        pthread_mutex_init(&m->mutex, NULL);
        m->config = *config;
        m->threads = threads_of(config, threads);
        m->narrow = config->threads > 0 ? config->threads : 1;
        m->instances = config->instances > 0 ? (size_t)config->instances : SIZE_MAX;
        m->sizes[m->size_count++] = 1;
    }
    return m;
}

/* How many requests may be one run: as it is written, else several on a GPU alone. On a processor
 * as many runs side by side are as fast, and none of them waits for the others. */
static void set_sizes(sq_infer_model *m)
{
    int64_t sizes[SQ_CONFIG_LIST];
    squall_profile_info info;
    squall_error unused;
    const bool gpu = squall_engine_profile(m->engine, 0, &info, &unused) == SQUALL_OK &&
                     strncmp(info.backend, "cuda", 4) == 0;
    const char *list = m->config.batch[0] != '\0' ? m->config.batch : gpu ? "2,4,8" : "";
    const size_t count = sq_config_numbers(list, 1, SQ_INFER_BATCH, sizes, SQ_CONFIG_LIST - 1);
    for (size_t i = 0; count != SIZE_MAX && i < count; i++) {
        if ((size_t)sizes[i] > m->sizes[m->size_count - 1]) {
            m->sizes[m->size_count++] = (size_t)sizes[i];
        }
    }
}

static squall_status open_model(sq_infer_model *m, squall_error *err)
{
    squall_engine_options options;
    squall_error problem = {.code = SQUALL_OK};
    squall_engine_options_init(&options);
    options.trusted_keys = m->config.trusted_keys[0] != '\0' ? m->config.trusted_keys : NULL;
    const squall_status status =
        squall_engine_open(m->config.file, &options, &m->engine, NULL, &problem);
    if (status == SQUALL_OK) {
        set_sizes(m);
        return SQUALL_OK;
    }
    snprintf(m->reason, sizeof m->reason, "%s", problem.text);
    return sq_fail(err, status, m->config.name, "%s", problem.text);
}

/* ---------------------------------------------------------------- all */

static void add_metrics(sq_infer_metrics *m, sq_metrics *metrics)
{
    static const double seconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,    0.25,  0.5,    1.0,   2.5,  10.0};
    static const double sizes[] = {1, 2, 4, 8, 16, 32};
    m->requests = sq_metrics_add(metrics, SQ_METRIC_COUNTER, "squall_infer_requests_total",
                                 "Requests to infer, by what became of them (ok, failed).",
                                 "model result", NULL, 0);
    m->stage_seconds =
        sq_metrics_add(metrics, SQ_METRIC_HISTOGRAM, "squall_infer_stage_seconds",
                       "Time of a request to infer by stage: queue, input, infer, output; total.",
                       "model stage", seconds, sizeof seconds / sizeof seconds[0]);
    m->batch =
        sq_metrics_add(metrics, SQ_METRIC_HISTOGRAM, "squall_infer_batch_requests",
                       "Requests of one run.", "model", sizes, sizeof sizes / sizeof sizes[0]);
    m->queue = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_infer_queue_requests",
                              "Requests to infer that wait.", "model", NULL, 0);
    m->running = sq_metrics_add(metrics, SQ_METRIC_GAUGE, "squall_infer_busy_runs",
                                "Runs of requests to infer at this moment.", "model", NULL, 0);
}

sq_infer *sq_infer_create(sq_metrics *metrics)
{
    pthread_condattr_t clock;
    sq_infer *infer = sq_alloc(1, sizeof *infer);
    if (infer != NULL) {
        pthread_mutex_init(&infer->mutex, NULL);
        pthread_mutex_init(&infer->work, NULL);
        pthread_mutex_init(&infer->queue, NULL);
        pthread_condattr_init(&clock);
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
        pthread_cond_init(&infer->more, &clock);
        pthread_condattr_destroy(&clock);
        infer->last = &infer->first;
        infer->wanted_workers = 1;
        if (metrics != NULL) {
            add_metrics(&infer->m, metrics);
        }
    }
    return infer;
}

static void drop_all(sq_infer_model **models, size_t count)
{
    for (size_t i = 0; models != NULL && i < count; i++) {
        sq_infer_drop(&models[i]);
    }
    sq_free(models);
}

void sq_infer_destroy(sq_infer **infer)
{
    if (*infer == NULL) {
        return;
    }
    sq_infer_stop(*infer);
    drop_all((*infer)->models, (*infer)->count);
    pthread_cond_destroy(&(*infer)->more);
    pthread_mutex_destroy(&(*infer)->queue);
    pthread_mutex_destroy(&(*infer)->mutex);
    pthread_mutex_destroy(&(*infer)->work);
    sq_free(*infer);
    *infer = NULL;
}

static bool is_followed(const sq_infer *infer, const sq_config *config)
{
    bool same = infer->count == config->engine_count && infer->threads == config->server.threads;
    for (size_t i = 0; same && i < infer->count; i++) {
        same = sq_config_engine_equal(&infer->models[i]->config, &config->engines[i]);
    }
    return same;
}

static sq_infer_model *keep_equal(const sq_infer *infer, const sq_config_engine *config,
                                  int32_t threads)
{
    for (size_t i = 0; i < infer->count; i++) {
        sq_infer_model *m = infer->models[i];
        if (sq_config_engine_equal(&m->config, config) &&
            m->threads == threads_of(config, threads)) {
            atomic_fetch_add(&m->refs, 1);
            return m;
        }
    }
    return NULL;
}

/* Runs side by side: what is asked for, else one a processor. */
static void set_workers(sq_infer *infer, const sq_config *config)
{
    const size_t wanted = config->server.infer_workers > 0 ? (size_t)config->server.infer_workers
                                                           : (size_t)sq_cpu_count();
    pthread_mutex_lock(&infer->queue);
    infer->wanted_workers = wanted < SQ_INFER_WORKERS ? wanted : SQ_INFER_WORKERS;
    pthread_mutex_unlock(&infer->queue);
}

void sq_infer_follow(sq_infer *infer, const sq_config *config)
{
    pthread_mutex_lock(&infer->mutex);
    const bool same = is_followed(infer, config);
    pthread_mutex_unlock(&infer->mutex);
    if (same) {
        return;
    }
    pthread_mutex_lock(&infer->work); /* it alone changes the list */
    sq_infer_model **models =
        is_followed(infer, config)
            ? NULL
            : sq_alloc(config->engine_count > 0 ? config->engine_count : 1, sizeof *models);
    size_t count = 0;
    for (; models != NULL && count < config->engine_count; count++) {
        const sq_config_engine *engine = &config->engines[count];
        models[count] = keep_equal(infer, engine, config->server.threads);
        if (models[count] == NULL) {
            models[count] = create_model(engine, config->server.threads);
            if (models[count] == NULL) {
                break;
            }
            squall_error unused; /* `reason` has the words */
            (void)!open_model(models[count], &unused);
        }
    }
    if (models != NULL && count == config->engine_count) {
        pthread_mutex_lock(&infer->mutex);
        sq_infer_model **old = infer->models;
        const size_t old_count = infer->count;
        infer->models = models;
        infer->count = count;
        infer->threads = config->server.threads;
        pthread_mutex_unlock(&infer->mutex);
        set_workers(infer, config);
        models = old;
        count = old_count;
    }
    pthread_mutex_unlock(&infer->work);
    drop_all(models, count);
}

sq_infer_model *sq_infer_find(sq_infer *infer, const char *name)
{
    sq_infer_model *found = NULL;
    pthread_mutex_lock(&infer->mutex);
    for (size_t i = 0; i < infer->count && found == NULL; i++) {
        if (strcmp(infer->models[i]->config.name, name) == 0) {
            found = infer->models[i];
            atomic_fetch_add(&found->refs, 1);
        }
    }
    pthread_mutex_unlock(&infer->mutex);
    return found;
}

/* Put `fresh` (given) in the place of the model of its name; false when there is none any more. */
static bool replace(sq_infer *infer, sq_infer_model *fresh)
{
    sq_infer_model *old = fresh;
    pthread_mutex_lock(&infer->mutex);
    for (size_t i = 0; i < infer->count && old == fresh; i++) {
        if (strcmp(infer->models[i]->config.name, fresh->config.name) == 0) {
            old = infer->models[i];
            infer->models[i] = fresh;
        }
    }
    pthread_mutex_unlock(&infer->mutex);
    const bool done = old != fresh;
    sq_infer_drop(&old);
    return done;
}

static squall_status exchange(sq_infer *infer, const char *name, bool load, squall_error *err)
{
    sq_infer_model *old = sq_infer_find(infer, name);
    sq_infer_model *fresh = old != NULL ? create_model(&old->config, infer->threads) : NULL;
    squall_status status = SQUALL_OK;
    if (old == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, name, "there is no such model");
    }
    sq_infer_drop(&old);
    if (fresh == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory");
    }
    if (load) {
        status = open_model(fresh, err);
    } else {
        fresh->unloaded = true;
        snprintf(fresh->reason, sizeof fresh->reason, "unloaded");
    }
    if (status != SQUALL_OK) {
        sq_infer_drop(&fresh);
        return status;
    }
    return replace(infer, fresh) ? SQUALL_OK
                                 : sq_fail(err, SQUALL_E_NO_DATA, name, "there is no such model");
}

squall_status sq_infer_load(sq_infer *infer, const char *name, squall_error *err)
{
    pthread_mutex_lock(&infer->work);
    const squall_status status = exchange(infer, name, true, err);
    pthread_mutex_unlock(&infer->work);
    return status;
}

squall_status sq_infer_unload(sq_infer *infer, const char *name, squall_error *err)
{
    pthread_mutex_lock(&infer->work);
    const squall_status status = exchange(infer, name, false, err);
    pthread_mutex_unlock(&infer->work);
    return status;
}

bool sq_infer_is_ready(sq_infer_model *model)
{
    return model->engine != NULL;
}

bool sq_infer_all_ready(sq_infer *infer)
{
    bool ready = true;
    pthread_mutex_lock(&infer->mutex);
    for (size_t i = 0; i < infer->count; i++) {
        ready = ready && (infer->models[i]->engine != NULL || infer->models[i]->unloaded);
    }
    pthread_mutex_unlock(&infer->mutex);
    return ready;
}
