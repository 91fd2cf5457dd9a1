/* svc/cycle/cycle_queue.c - jobs by priority, and the threads that do them. */
#include <stdio.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

sq_job *sq_job_create(sq_job_kind kind, sq_world *world)
{
    sq_job *job = sq_alloc(1, sizeof *job);
    if (job != NULL) {
        job->kind = kind;
        job->world = sq_world_keep(world);
    }
    return job;
}

void sq_job_destroy(sq_job **job)
{
    sq_job *j = *job;
    *job = NULL;
    if (j == NULL) {
        return;
    }
    sq_layer_drop(&j->layer);
    sq_snapshot_drop(&j->snapshot);
    sq_region_drop(&j->region);
    sq_feed_drop(&j->feed);
    sq_world_drop(&j->world);
    sq_free(j);
}

void sq_cycle_queue(sq_cycle *cycle, sq_job *job, int priority)
{
    pthread_mutex_lock(&cycle->mutex);
    if (cycle->halted) {
        pthread_mutex_unlock(&cycle->mutex);
        sq_job_destroy(&job);
        return;
    }
    if (cycle->last[priority] != NULL) {
        cycle->last[priority]->next = job;
    } else {
        cycle->first[priority] = job;
    }
    cycle->last[priority] = job;
    cycle->queued++;
    cycle->reading += job->kind == SQ_JOB_DECODE ? 1 : 0;
    pthread_cond_signal(&cycle->work);
    pthread_mutex_unlock(&cycle->mutex);
}

void sq_cycle_queue_file(sq_cycle *cycle, sq_world *world, sq_feed *feed, const char *path,
                         double arrived_s)
{
    sq_job *job = sq_job_create(SQ_JOB_DECODE, world);
    if (job == NULL) {
        return; /* the next look at the folder finds it */
    }
    job->feed = sq_feed_keep(feed);
    job->arrived_s = arrived_s;
    snprintf(job->path, sizeof job->path, "%s", path);
    sq_cycle_queue(cycle, job, SQ_PRIORITY_DECODE);
}

/* Regions in alarm go first. */
static int priority_of(sq_region *region)
{
    sq_region_status status;
    sq_region_status_get(region, &status);
    return status.alarm ? SQ_PRIORITY_ALARM : SQ_PRIORITY_CYCLE;
}

void sq_cycle_queue_due(sq_cycle *cycle, sq_world *world)
{
    const double now_s = sq_clock_s();
    pthread_mutex_lock(&cycle->mutex);
    const bool reading = cycle->reading > 0;
    pthread_mutex_unlock(&cycle->mutex);
    for (size_t i = 0; i < world->config->region_count; i++) {
        sq_region *region = world->regions[i];
        if (!sq_region_is_due(region, now_s, sq_cycle_speed(cycle), reading)) {
            continue;
        }
        sq_job *job = sq_job_create(SQ_JOB_CYCLE, world);
        if (job == NULL) {
            pthread_mutex_lock(&region->mutex);
            region->queued = false; /* it is due again at the next tick */
            pthread_mutex_unlock(&region->mutex);
            continue;
        }
        job->region = sq_region_keep(region);
        sq_cycle_queue(cycle, job, priority_of(region));
    }
}

static void do_job(sq_cycle *cycle, sq_job *job)
{
    switch (job->kind) {
    case SQ_JOB_DECODE:
        sq_cycle_decode(cycle, job);
        pthread_mutex_lock(&cycle->mutex);
        cycle->reading--;
        pthread_mutex_unlock(&cycle->mutex);
        sq_cycle_queue_due(cycle, job->world);
        break;
    case SQ_JOB_CYCLE:
        sq_cycle_forecast(cycle, job);
        break;
    case SQ_JOB_PRODUCT:
        sq_cycle_product(cycle, job);
        break;
    case SQ_JOB_SCORE:
        sq_cycle_score(cycle, job);
        break;
    case SQ_JOB_TIDY:
        sq_cycle_tidy(cycle, job);
        break;
    }
}

/* The next job; NULL when there is none. While stopping only what was published is still written.
 * With the lock. */
static sq_job *take_job(sq_cycle *cycle)
{
    for (int p = 0; p < SQ_PRIORITIES; p++) {
        sq_job *job = cycle->first[p];
        if (job == NULL || (cycle->stopping && p != SQ_PRIORITY_LATER)) {
            continue;
        }
        cycle->first[p] = job->next;
        if (job->next == NULL) {
            cycle->last[p] = NULL;
        }
        job->next = NULL;
        cycle->queued--;
        return job;
    }
    return NULL;
}

static void *work(void *arg)
{
    sq_cycle *cycle = arg;
    pthread_mutex_lock(&cycle->mutex);
    while (!cycle->halted) {
        sq_job *job = take_job(cycle);
        if (job == NULL) {
            if (cycle->busy == 0) {
                cycle->settled = true;
                pthread_cond_broadcast(&cycle->idle);
            }
            pthread_cond_wait(&cycle->work, &cycle->mutex);
            continue;
        }
        cycle->busy++;
        pthread_mutex_unlock(&cycle->mutex);
        do_job(cycle, job);
        sq_job_destroy(&job);
        pthread_mutex_lock(&cycle->mutex);
        cycle->busy--;
    }
    pthread_cond_broadcast(&cycle->idle);
    pthread_mutex_unlock(&cycle->mutex);
    return NULL;
}

squall_status sq_cycle_start_workers(sq_cycle *cycle, int count, squall_error *err)
{
    cycle->workers = sq_alloc((size_t)count, sizeof *cycle->workers);
    if (cycle->workers == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "workers", "no memory");
    }
    for (int i = 0; i < count; i++) {
        if (pthread_create(&cycle->workers[i], NULL, work, cycle) != 0) {
            return sq_fail(err, SQUALL_E_MEMORY, "workers", "a thread cannot be started");
        }
        cycle->worker_count++;
    }
    return SQUALL_OK;
}
