/* svc/cycle/cycle_world.c - everything that one configuration makes. */
#include <string.h>

#include "svc/cycle/cycle_private.h"

enum { LEAST_REACH_S = 2700 }; /* what the motion is found from, at most */

sq_feed *sq_feed_create(const sq_config_source *config)
{
    sq_feed *feed = sq_alloc(1, sizeof *feed);
    if (feed != NULL) {
        atomic_init(&feed->refs, 1);
        feed->config = *config;
        feed->watch = feed->watch_inbox = -1;
    }
    return feed;
}

sq_feed *sq_feed_keep(sq_feed *feed)
{
    atomic_fetch_add(&feed->refs, 1);
    return feed;
}

void sq_feed_drop(sq_feed **feed)
{
    sq_feed *f = *feed;
    *feed = NULL;
    if (f == NULL || atomic_fetch_sub(&f->refs, 1) != 1) {
        return;
    }
    while (f->sightings != NULL) {
        sq_sighting *next = f->sightings->next;
        sq_free(f->sightings);
        f->sightings = next;
    }
    squall_archive_close(&f->archive);
    sq_free(f);
}

sq_world *sq_world_keep(sq_world *world)
{
    atomic_fetch_add(&world->refs, 1);
    return world;
}

void sq_world_drop(sq_world **world)
{
    sq_world *w = *world;
    *world = NULL;
    if (w == NULL || atomic_fetch_sub(&w->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; w->regions != NULL && i < w->config->region_count; i++) {
        sq_region_drop(&w->regions[i]);
    }
    for (size_t i = 0; w->feeds != NULL && i < w->config->source_count; i++) {
        sq_feed_drop(&w->feeds[i]);
    }
    for (size_t i = 0; w->models != NULL && i < w->config->engine_count; i++) {
        sq_model_drop(&w->models[i]);
    }
    for (size_t i = 0; w->candidates != NULL && i < w->config->engine_count; i++) {
        sq_model_drop(&w->candidates[i]);
    }
    sq_free(w->candidates);
    sq_free(w->regions);
    sq_free(w->feeds);
    sq_free(w->models);
    sq_config_destroy(&w->config);
    sq_free(w);
}

sq_region *sq_world_region(const sq_world *world, const char *name)
{
    for (size_t i = 0; i < world->config->region_count; i++) {
        if (strcmp(world->config->regions[i].name, name) == 0) {
            return world->regions[i];
        }
    }
    return NULL;
}

static sq_model *find_model(const sq_world *old, const sq_config_engine *config, sq_log *log)
{
    for (size_t i = 0; old != NULL && i < old->config->engine_count; i++) {
        if (sq_config_engine_equal(&old->config->engines[i], config) &&
            sq_model_is_current(old->models[i])) {
            return sq_model_keep(old->models[i]);
        }
        if (old->candidates[i] != NULL &&
            sq_config_engine_equal(&old->candidates[i]->config, config) &&
            sq_model_is_current(old->candidates[i])) {
            return sq_model_keep(old->candidates[i]); /* it was promoted, warm as it is */
        }
    }
    return sq_model_create(config, log);
}

/* The version on trial beside engine `at`; false without memory. */
static bool find_candidate(sq_world *world, const sq_world *old, size_t at, sq_log *log)
{
    const sq_config_trial *trial =
        world->config->trials != NULL ? &world->config->trials[at] : NULL;
    if (trial == NULL || trial->file[0] == '\0') {
        return true;
    }
    sq_config_engine config = world->config->engines[at];
    memset(config.file, 0, sizeof config.file);
    memcpy(config.file, trial->file, sizeof config.file);
    config.version = trial->version;
    world->candidates[at] = find_model(old, &config, log);
    return world->candidates[at] != NULL;
}

static sq_feed *find_feed(const sq_world *old, const sq_config_source *config)
{
    for (size_t i = 0; old != NULL && i < old->config->source_count; i++) {
        if (sq_config_source_equal(&old->config->sources[i], config)) {
            return sq_feed_keep(old->feeds[i]);
        }
    }
    return sq_feed_create(config);
}

/* How far back the region's engines look. */
static int32_t find_reach(const sq_world *world, const sq_config_region *region)
{
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    int32_t reach = LEAST_REACH_S;
    const size_t count = sq_config_split(region->engines, names);
    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; i < world->config->engine_count; i++) {
            const sq_model *model = world->models[i];
            const sq_model *candidate = world->candidates[i];
            if (strcmp(model->config.name, names[k]) != 0) {
                continue;
            }
            reach = model->reach_s > reach ? model->reach_s : reach;
            if (candidate != NULL && candidate->reach_s > reach) {
                reach = candidate->reach_s;
            }
        }
    }
    return reach;
}

static sq_region *find_region(const sq_world *old, const sq_world *world,
                              const sq_config_region *config)
{
    const int32_t reach_s = find_reach(world, config);
    for (size_t i = 0; old != NULL && i < old->config->region_count; i++) {
        if (sq_config_region_equal(&old->config->regions[i], config)) {
            sq_region_reach(old->regions[i], reach_s);
            return sq_region_keep(old->regions[i]);
        }
    }
    return sq_region_create(config, reach_s);
}

squall_status sq_world_create(sq_config *config, const sq_world *old, sq_log *log, sq_world **out,
                              squall_error *err)
{
    sq_world *world = sq_alloc(1, sizeof *world);
    if (world == NULL) {
        sq_config_destroy(&config);
        return sq_fail(err, SQUALL_E_MEMORY, "configuration", "no memory");
    }
    atomic_init(&world->refs, 1);
    world->config = config;
    world->regions = sq_alloc(config->region_count, sizeof(sq_region *));
    world->feeds = sq_alloc(config->source_count, sizeof(sq_feed *));
    world->models = sq_alloc(config->engine_count, sizeof(sq_model *));
    world->candidates = sq_alloc(config->engine_count, sizeof(sq_model *));
    bool whole = world->regions != NULL && world->feeds != NULL && world->models != NULL &&
                 world->candidates != NULL;
    for (size_t i = 0; whole && i < config->engine_count; i++) {
        world->models[i] = find_model(old, &config->engines[i], log);
        whole = world->models[i] != NULL && find_candidate(world, old, i, log);
    }
    for (size_t i = 0; whole && i < config->source_count; i++) {
        world->feeds[i] = find_feed(old, &config->sources[i]);
        whole = world->feeds[i] != NULL;
    }
    for (size_t i = 0; whole && i < config->region_count; i++) {
        world->regions[i] = find_region(old, world, &config->regions[i]);
        whole = world->regions[i] != NULL;
    }
    if (!whole) {
        sq_world_drop(&world);
        return sq_fail(err, SQUALL_E_MEMORY, "configuration", "no memory");
    }
    *out = world;
    return SQUALL_OK;
}
