/* svc/cycle/cycle_metrics.c - what the works count and show. */
#include <stdio.h>
#include <unistd.h>

#include "svc/cycle/cycle_private.h"

static const double seconds_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                        1.0,   2.5,  5.0,   10.0, 30.0, 60.0};
enum { BOUNDS = sizeof seconds_bounds / sizeof seconds_bounds[0] };

static sq_metric *counter(sq_cycle *cycle, const char *name, const char *help, const char *labels)
{
    return sq_metrics_add(cycle->metrics, SQ_METRIC_COUNTER, name, help, labels, NULL, 0);
}

static sq_metric *gauge(sq_cycle *cycle, const char *name, const char *help, const char *labels)
{
    return sq_metrics_add(cycle->metrics, SQ_METRIC_GAUGE, name, help, labels, NULL, 0);
}

static sq_metric *histogram(sq_cycle *cycle, const char *name, const char *help, const char *labels)
{
    return sq_metrics_add(cycle->metrics, SQ_METRIC_HISTOGRAM, name, help, labels, seconds_bounds,
                          BOUNDS);
}

void sq_cycle_add_metrics(sq_cycle *cycle)
{
    sq_cycle_metrics *m = &cycle->m;
    m->frames = counter(cycle, "squall_frames_total",
                        "Fields of files that arrived, by what became of them.", "source result");
    m->missing = counter(cycle, "squall_frames_missing_total",
                         "Frames that were due and did not come.", "region");
    m->cycles =
        counter(cycle, "squall_cycles_total",
                "Cycles, by the method that made the forecast (none: it failed).", "region method");
    m->cycle_seconds = histogram(cycle, "squall_cycle_seconds",
                                 "Time of a cycle from its start to its forecast.", "region");
    m->stage_seconds = histogram(cycle, "squall_cycle_stage_seconds",
                                 "Time of the stages of a cycle.", "region stage");
    m->latency =
        histogram(cycle, "squall_publish_latency_seconds",
                  "Time from the arrival of the last file to the published forecast.", "region");
    m->frame_age = gauge(cycle, "squall_frame_age_seconds",
                         "Age of the newest radar frame, by the service's clock.", "region");
    m->forecast_age = gauge(cycle, "squall_forecast_age_seconds",
                            "Age of the newest forecast's issue time.", "region");
    m->quality = gauge(cycle, "squall_forecast_quality_ratio",
                       "Quality index of the newest forecast.", "region");
    m->alarm = gauge(cycle, "squall_alarm_active", "1 while the region is in alarm.", "region");
    m->csi = gauge(cycle, "squall_skill_csi_ratio",
                   "Critical success index at 1 mm/h of the forecast verified last.",
                   "region method lead_seconds");
    m->fss = gauge(cycle, "squall_skill_fss_ratio",
                   "Fractions skill score at 1 mm/h, 5 cells, of the forecast verified last.",
                   "region method lead_seconds");
    m->queue = gauge(cycle, "squall_queue_jobs", "Jobs that wait for a worker.", "");
    m->running = gauge(cycle, "squall_workers_busy", "Workers that run a job.", "");
    m->products_bytes = gauge(cycle, "squall_products_bytes", "Products on disk.", "");
    m->memory = gauge(cycle, "squall_resident_memory_bytes", "Resident memory.", "");
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &pages, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

void sq_cycle_set_metrics(sq_cycle *cycle, const sq_world *world)
{
    const int64_t now = sq_cycle_now(cycle);
    for (size_t i = 0; i < world->config->region_count; i++) {
        sq_region_status status;
        const char *const labels[] = {world->config->regions[i].name};
        sq_region_status_get(world->regions[i], &status);
        if (status.newest_frame != SQ_TIME_NONE) {
            sq_metric_set(cycle->m.frame_age, (double)(now - status.newest_frame), labels);
        }
        if (status.newest_issue != SQ_TIME_NONE) {
            sq_metric_set(cycle->m.forecast_age, (double)(now - status.newest_issue), labels);
        }
    }
    pthread_mutex_lock(&cycle->mutex);
    sq_metric_set(cycle->m.queue, (double)cycle->queued, NULL);
    sq_metric_set(cycle->m.running, (double)cycle->busy, NULL);
    pthread_mutex_unlock(&cycle->mutex);
    sq_metric_set(cycle->m.memory, resident_bytes(), NULL);
}
