/* svc/infer/infer_queue.c - requests that wait, and the threads that run them, several of equal
 * types at once. */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "svc/infer/infer_private.h"

/* ---------------------------------------------------------------- choosing */

/* The largest run that its model can make of requests like it. */
static size_t find_most(const sq_infer_job *job)
{
    const sq_infer_model *m = job->model;
    size_t i = m->size_count - 1;
    while (i > 0 && !sq_infer_batch_fits(m, job->inputs, job->input_count, m->sizes[i])) {
        i--;
    }
    return m->sizes[i];
}

/* The largest run that `waiting` requests can fill. */
static size_t choose_size(const sq_infer_job *job, size_t waiting)
{
    const sq_infer_model *m = job->model;
    size_t size = 1;
    for (size_t i = 0; i < m->size_count && m->sizes[i] <= waiting && m->sizes[i] <= job->most;
         i++) {
        size = m->sizes[i];
    }
    return size;
}

/* Take up to `most` requests like `*at` out of the queue, itself first. With the lock. */
static size_t take_alike(sq_infer *infer, sq_infer_job **at, size_t most, sq_infer_job **out)
{
    const sq_infer_job *first = *at;
    size_t count = 0;
    while (*at != NULL && count < most) {
        sq_infer_job *job = *at;
        if (job->model != first->model ||
            !sq_infer_alike(job->inputs, first->inputs, first->input_count)) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        if (job->next == NULL) {
            infer->last = at;
        }
        job->next = NULL;
        job->model->queued--;
        out[count++] = job;
    }
    return count;
}

static size_t count_alike(const sq_infer_job *first, size_t most)
{
    size_t count = 0;
    for (const sq_infer_job *job = first; job != NULL && count < most; job = job->next) {
        count += job->model == first->model &&
                         sq_infer_alike(job->inputs, first->inputs, first->input_count)
                     ? 1
                     : 0;
    }
    return count;
}

/* The next run: the oldest request whose model may run, and those that go with it. Returns how
 * many; 0 when there is none, then `*wait_s` is how long it takes until one must go. With the lock.
 */
static size_t take_run(sq_infer *infer, sq_infer_job **out, double *wait_s)
{
    const double now_s = sq_clock_s();
    *wait_s = INFINITY;
    for (sq_infer_job *job = infer->first; job != NULL; job = job->next) {
        job->model->passed = false;
    }
    for (sq_infer_job **at = &infer->first; *at != NULL; at = &(*at)->next) {
        sq_infer_job *job = *at;
        sq_infer_model *m = job->model;
        if (m->passed || m->busy >= m->instances) {
            continue;
        }
        const size_t waiting = count_alike(job, job->most);
        const double left_s = job->queued_s + m->config.queue_delay_ms * 1e-3 - now_s;
        if (waiting < job->most && left_s > 0.0 && !infer->stopping) {
            *wait_s = fmin(*wait_s, left_s);
            m->passed = true;
            continue;
        }
        m->busy++;
        infer->busy++;
        const size_t count = take_alike(infer, at, choose_size(job, waiting), out);
        job->threads = infer->busy == 1 && infer->first == NULL ? m->threads : m->narrow;
        return count;
    }
    return 0;
}

/* ---------------------------------------------------------------- threads */

static void wait_for_more(sq_infer *infer, double wait_s)
{
    struct timespec until;
    if (isinf(wait_s)) {
        pthread_cond_wait(&infer->more, &infer->queue);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + (int64_t)(wait_s * 1e9);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_cond_timedwait(&infer->more, &infer->queue, &until);
}

static void *work(void *arg)
{
    sq_infer *infer = arg;
    sq_infer_job *jobs[SQ_INFER_BATCH];
    double wait_s;
    pthread_mutex_lock(&infer->queue);
    while (!infer->stopping) {
        const size_t count = take_run(infer, jobs, &wait_s);
        if (count == 0) {
            wait_for_more(infer, wait_s);
            continue;
        }
        sq_infer_model *m = jobs[0]->model;
        atomic_fetch_add(&m->refs, 1); /* the jobs' own go with them */
        pthread_mutex_unlock(&infer->queue);
        sq_infer_run_jobs(infer, jobs, count);
        pthread_mutex_lock(&infer->queue);
        m->busy--;
        infer->busy--;
        if (m->queued > 0) {
            pthread_cond_signal(&infer->more); /* the next of it may go */
        }
        pthread_mutex_unlock(&infer->queue);
        sq_infer_drop(&m);
        pthread_mutex_lock(&infer->queue);
    }
    pthread_mutex_unlock(&infer->queue);
    return NULL;
}

/* With the lock. */
static squall_status start_workers(sq_infer *infer, size_t count, squall_error *err)
{
    while (infer->worker_count < count) {
        if (pthread_create(&infer->workers[infer->worker_count], NULL, work, infer) != 0) {
            return infer->worker_count > 0
                       ? SQUALL_OK
                       : sq_fail(err, SQUALL_E_MEMORY, "infer", "a thread cannot be started");
        }
        infer->worker_count++;
    }
    return SQUALL_OK;
}

squall_status sq_infer_submit(sq_infer *infer, sq_infer_model *model,
                              const sq_infer_request *request, double read_s, sq_infer_done *done,
                              void *owner, squall_error *err)
{
    sq_infer_job *job = NULL;
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_infer_job_create(model, request, &job, err));
    job->done = done;
    job->owner = owner;
    job->read_s = read_s;
    job->most = find_most(job);
    pthread_mutex_lock(&infer->queue);
    if (infer->stopping) {
        status = sq_fail(err, SQUALL_E_TIMEOUT, model->config.name, "the service is stopping");
        goto done;
    }
    if (model->queued >= (size_t)model->config.queue) {
        status = sq_fail(err, SQUALL_E_LIMIT, model->config.name,
                         "%zu requests wait already; come again later", model->queued);
        goto done;
    }
    SQ_TRY_GOTO(start_workers(infer, infer->wanted_workers, err));
    job->queued_s = sq_clock_s();
    model->queued++;
    *infer->last = job;
    infer->last = &job->next;
    job = NULL;
    pthread_cond_signal(&infer->more);
done:
    pthread_mutex_unlock(&infer->queue);
    sq_infer_job_destroy(&job);
    return status;
}

void sq_infer_stop(sq_infer *infer)
{
    squall_error err;
    (void)!sq_fail(&err, SQUALL_E_TIMEOUT, "infer", "the service is stopping");
    pthread_mutex_lock(&infer->queue);
    infer->stopping = true;
    pthread_cond_broadcast(&infer->more);
    sq_infer_job *waiting = infer->first;
    infer->first = NULL;
    infer->last = &infer->first;
    const size_t count = infer->worker_count;
    infer->worker_count = 0;
    pthread_mutex_unlock(&infer->queue);
    for (size_t i = 0; i < count; i++) {
        pthread_join(infer->workers[i], NULL);
    }
    while (waiting != NULL) {
        sq_infer_job *next = waiting->next;
        sq_infer_job_fail(infer, waiting, &err);
        waiting = next;
    }
}

void sq_infer_update_metrics(sq_infer *infer)
{
    pthread_mutex_lock(&infer->mutex);
    pthread_mutex_lock(&infer->queue);
    for (size_t i = 0; i < infer->count; i++) {
        const char *const labels[] = {infer->models[i]->config.name};
        sq_metric_set(infer->m.queue, (double)infer->models[i]->queued, labels);
        sq_metric_set(infer->m.running, (double)infer->models[i]->busy, labels);
    }
    pthread_mutex_unlock(&infer->queue);
    pthread_mutex_unlock(&infer->mutex);
}
