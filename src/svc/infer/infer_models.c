/* svc/infer/infer_models.c - the models: opened by the configuration, loaded and unloaded by calls.
 */
#include <stdio.h>
#include <string.h>

#include "svc/infer/infer_private.h"

/* ---------------------------------------------------------------- one */

static void destroy_model(sq_infer_model *m)
{
    while (m->idle != NULL) {
        sq_infer_crew *next = m->idle->next;
        squall_context_destroy(&m->idle->context);
        sq_free(m->idle->types);
        sq_free(m->idle);
        m->idle = next;
    }
    squall_engine_close(&m->engine);
    pthread_cond_destroy(&m->returned);
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

/* A model of that description; not ready yet. NULL without memory. */
static sq_infer_model *create_model(const sq_config_engine *config, int32_t threads)
{
    sq_infer_model *m = sq_alloc(1, sizeof *m);
    if (m != NULL) {
        atomic_init(&m->refs, 1);
        pthread_mutex_init(&m->mutex, NULL);
        pthread_cond_init(&m->returned, NULL);
        m->config = *config;
        m->threads = threads;
    }
    return m;
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
        return SQUALL_OK;
    }
    snprintf(m->reason, sizeof m->reason, "%s", problem.text);
    return sq_fail(err, status, m->config.name, "%s", problem.text);
}

/* ---------------------------------------------------------------- all */

sq_infer *sq_infer_create(void)
{
    sq_infer *infer = sq_alloc(1, sizeof *infer);
    if (infer != NULL) {
        pthread_mutex_init(&infer->mutex, NULL);
        pthread_mutex_init(&infer->work, NULL);
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
    drop_all((*infer)->models, (*infer)->count);
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
        if (sq_config_engine_equal(&m->config, config) && m->threads == threads) {
            atomic_fetch_add(&m->refs, 1);
            return m;
        }
    }
    return NULL;
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
    sq_infer_model *fresh = old != NULL ? create_model(&old->config, old->threads) : NULL;
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
