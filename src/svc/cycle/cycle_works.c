/* svc/cycle/cycle_works.c - the works as a whole: started, reloaded, stopped. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "svc/cycle/cycle_private.h"

static squall_status open_watches(sq_cycle *cycle, squall_error *err)
{
    cycle->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (cycle->inotify < 0 || pipe2(cycle->wake, O_NONBLOCK | O_CLOEXEC) != 0) {
        return sq_fail(err, SQUALL_E_IO, "watcher", "cannot watch folders: %s", strerror(errno));
    }
    return SQUALL_OK;
}

static int workers_of(const sq_config *config)
{
    const int wanted = config->server.workers;
    return wanted > 0 ? wanted : sq_cpu_count();
}

static sq_cycle *make_cycle(sq_catalogue *catalogue, sq_metrics *metrics, sq_log *log,
                            const sq_cycle_listener *listener)
{
    sq_cycle *cycle = sq_alloc(1, sizeof *cycle);
    if (cycle == NULL) {
        return NULL;
    }
    cycle->catalogue = catalogue;
    cycle->metrics = metrics;
    cycle->log = log;
    cycle->listener = *listener;
    cycle->inotify = cycle->wake[0] = cycle->wake[1] = -1;
    pthread_mutex_init(&cycle->mutex, NULL);
    pthread_mutex_init(&cycle->clock, NULL);
    pthread_cond_init(&cycle->work, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&cycle->idle, &steady);
    pthread_condattr_destroy(&steady);
    sq_cycle_add_metrics(cycle);
    return cycle;
}

squall_status sq_cycle_open(sq_config *config, sq_catalogue *catalogue, sq_metrics *metrics,
                            sq_log *log, const sq_cycle_listener *listener, sq_cycle **out,
                            squall_error *err)
{
    sq_cycle *cycle = make_cycle(catalogue, metrics, log, listener);
    squall_status status = SQUALL_OK;
    if (cycle == NULL) {
        sq_config_destroy(&config);
        return sq_fail(err, SQUALL_E_MEMORY, "service", "no memory");
    }
    SQ_TRY_GOTO(sq_world_create(config, NULL, log, &cycle->world, err));
    SQ_TRY_GOTO(open_watches(cycle, err));
    SQ_TRY_GOTO(sq_cycle_replay_open(cycle, cycle->world, err));
    for (size_t i = 0; i < cycle->world->config->region_count; i++) {
        sq_cycle_restore(cycle, cycle->world->regions[i]);
    }
    sq_cycle_watch(cycle, cycle->world);
    sq_cycle_look(cycle, cycle->world);
    sq_cycle_replay_step(cycle, cycle->world);
    SQ_TRY_GOTO(sq_cycle_start_workers(cycle, workers_of(cycle->world->config), err));
    SQ_TRY_GOTO(sq_cycle_start_watcher(cycle, err));
    cycle->ready = true;
    *out = cycle;
    cycle = NULL;
done:
    sq_cycle_close(&cycle, 0.0);
    return status;
}

/* Wait until nothing runs, and what was published is written. With the lock. */
static void wait_idle(sq_cycle *cycle, double wait_s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)wait_s;
    while (cycle->busy > 0 || cycle->first[SQ_PRIORITY_LATER] != NULL) {
        if (pthread_cond_timedwait(&cycle->idle, &cycle->mutex, &until) == ETIMEDOUT) {
            return;
        }
    }
}

static void stop_threads(sq_cycle *cycle, double wait_s)
{
    pthread_mutex_lock(&cycle->mutex);
    cycle->stopping = true;
    pthread_cond_broadcast(&cycle->work);
    pthread_mutex_unlock(&cycle->mutex);
    if (cycle->watching) {
        sq_cycle_wake_watcher(cycle);
        pthread_join(cycle->watcher, NULL);
    }
    pthread_mutex_lock(&cycle->mutex);
    if (cycle->worker_count > 0) {
        wait_idle(cycle, wait_s);
    }
    cycle->halted = true;
    pthread_cond_broadcast(&cycle->work);
    pthread_mutex_unlock(&cycle->mutex);
    for (int i = 0; i < cycle->worker_count; i++) {
        pthread_join(cycle->workers[i], NULL);
    }
}

void sq_cycle_close(sq_cycle **cycle, double wait_s)
{
    sq_cycle *c = *cycle;
    *cycle = NULL;
    if (c == NULL) {
        return;
    }
    stop_threads(c, wait_s);
    for (int p = 0; p < SQ_PRIORITIES; p++) {
        while (c->first[p] != NULL) {
            sq_job *job = c->first[p];
            c->first[p] = job->next;
            sq_job_destroy(&job);
        }
    }
    sq_world_drop(&c->world);
    for (int i = 0; i < 2; i++) {
        if (c->wake[i] >= 0) {
            close(c->wake[i]);
        }
    }
    if (c->inotify >= 0) {
        close(c->inotify);
    }
    sq_free(c->workers);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->idle);
    pthread_mutex_destroy(&c->mutex);
    pthread_mutex_destroy(&c->clock);
    sq_free(c);
}

squall_status sq_cycle_reload(sq_cycle *cycle, sq_config *config, squall_error *err)
{
    sq_world *old = sq_cycle_world(cycle), *world = NULL;
    const squall_status status = sq_world_create(config, old, cycle->log, &world, err);
    if (status != SQUALL_OK) {
        sq_world_drop(&old);
        return status;
    }
    bool changed = false;
    for (size_t i = 0; i < world->config->region_count; i++) {
        if (sq_world_region(old, world->config->regions[i].name) != world->regions[i]) {
            sq_cycle_restore(cycle, world->regions[i]);
            changed = true;
        }
    }
    sq_cycle_watch(cycle, world);
    pthread_mutex_lock(&cycle->mutex);
    sq_world *replaced = cycle->world;
    cycle->world = sq_world_keep(world);
    pthread_mutex_unlock(&cycle->mutex);
    sq_cycle_unwatch(cycle, world, old);
    if (changed) { /* a region that is new wants what lies there; frames twice do no harm */
        sq_cycle_look(cycle, world);
    }
    sq_cycle_wake_watcher(cycle);
    sq_world_drop(&replaced);
    sq_world_drop(&old);
    sq_world_drop(&world);
    return SQUALL_OK;
}

sq_world *sq_cycle_world(sq_cycle *cycle)
{
    pthread_mutex_lock(&cycle->mutex);
    sq_world *world = sq_world_keep(cycle->world);
    pthread_mutex_unlock(&cycle->mutex);
    return world;
}

squall_status sq_cycle_inbox(sq_cycle *cycle, const char *source, char *folder, squall_error *err)
{
    sq_world *world = sq_cycle_world(cycle);
    squall_status status = SQUALL_E_NO_DATA;
    for (size_t i = 0; i < world->config->source_count; i++) {
        const sq_feed *feed = world->feeds[i];
        if (strcmp(feed->config.name, source) == 0 && feed->inbox[0] != '\0') {
            snprintf(folder, 4096, "%s", feed->inbox);
            status = SQUALL_OK;
        }
    }
    sq_world_drop(&world);
    return status == SQUALL_OK ? status
                               : sq_fail(err, SQUALL_E_NO_DATA, source,
                                         "there is no source of this name that takes pushed files");
}

void sq_cycle_push(sq_cycle *cycle, const char *source, const char *path)
{
    sq_world *world = sq_cycle_world(cycle);
    for (size_t i = 0; i < world->config->source_count; i++) {
        if (strcmp(world->feeds[i]->config.name, source) == 0) {
            sq_cycle_queue_file(cycle, world, world->feeds[i], path, sq_clock_s());
        }
    }
    sq_world_drop(&world);
}

void sq_cycle_update_metrics(sq_cycle *cycle)
{
    sq_world *world = sq_cycle_world(cycle);
    sq_cycle_set_metrics(cycle, world);
    sq_world_drop(&world);
}

bool sq_cycle_ready(sq_cycle *cycle)
{
    pthread_mutex_lock(&cycle->mutex);
    const bool ready = cycle->ready && cycle->settled && !cycle->stopping;
    pthread_mutex_unlock(&cycle->mutex);
    return ready;
}
