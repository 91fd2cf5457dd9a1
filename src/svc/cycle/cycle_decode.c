/* svc/cycle/cycle_decode.c - a file that arrived becomes frames of the regions that want it. */
#include <string.h>

#include "squall/io.h"
#include "svc/cycle/cycle_private.h"

/* How often each thing happened to the fields of one file. */
typedef struct tally {
    sq_cycle *cycle;
    sq_job *job;
    const char *name;
} tally;

static void record(const tally *t, int64_t time, sq_arrival arrival, const squall_error *problem)
{
    squall_error failure;
    const char *const labels[] = {t->job->feed->config.name, sq_arrival_name(arrival)};
    sq_cycle *cycle = t->cycle;
    sq_metric_add(cycle->m.frames, 1.0, labels);
    if (arrival != SQ_ARRIVED_NEW) {
        sq_json line;
        sq_log_begin(cycle->log, &line, problem != NULL ? SQ_LOG_WARNING : SQ_LOG_INFO, "frame");
        sq_json_text(&line, "source", labels[0]);
        sq_json_text(&line, "file", t->name);
        sq_json_text(&line, "result", labels[1]);
        sq_json_time(&line, "valid_time", time);
        sq_json_text(&line, "text", problem != NULL ? problem->text : NULL);
        sq_log_end(cycle->log, &line);
    }
    const sq_observation_row row = {.source = labels[0],
                                    .name = t->name,
                                    .result = labels[1],
                                    .valid_time = time,
                                    .received = sq_cycle_now(cycle)};
    if (cycle->catalogue != NULL &&
        sq_catalogue_observation(cycle->catalogue, &row, &failure) != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "catalogue", &failure);
    }
}

/* Whether a region takes frames of this source. */
static bool wants(const sq_region *region, const char *source)
{
    bool found = strcmp(region->config.radar, source) == 0;
    for (size_t i = 0; i < region->extra_count && !found; i++) {
        found = strcmp(region->extra_names[i], source) == 0;
    }
    return found;
}

/* The score of forecasts that end at a new frame. */
static void queue_score(const tally *t, sq_region *region, int64_t time)
{
    sq_job *job = sq_job_create(SQ_JOB_SCORE, t->job->world);
    if (job == NULL) {
        return;
    }
    pthread_mutex_lock(&region->mutex);
    for (size_t i = 0; i < region->observed_count; i++) {
        if (region->observed[i]->valid_time == time) {
            job->layer = sq_layer_keep(region->observed[i]);
        }
    }
    pthread_mutex_unlock(&region->mutex);
    job->region = sq_region_keep(region);
    if (job->layer != NULL) {
        sq_cycle_queue(t->cycle, job, SQ_PRIORITY_LATER);
    } else {
        sq_job_destroy(&job);
    }
}

static squall_status give_to_region(const tally *t, sq_region *region, const squall_field *field,
                                    sq_arrival *arrival, squall_error *err)
{
    squall_field *carried = NULL;
    const char *source = t->job->feed->config.name;
    SQ_TRY(sq_region_carry(region, source, field, &carried, err));
    SQ_TRY(sq_region_take(region, source, carried, t->name, sq_cycle_now(t->cycle),
                          t->job->arrived_s, arrival, err));
    if (strcmp(region->config.radar, source) == 0 && *arrival != SQ_ARRIVED_DUPLICATE &&
        *arrival != SQ_ARRIVED_OLD) {
        queue_score(t, region, field->valid_time);
    }
    return SQUALL_OK;
}

/* Rain rates for radar; another quantity stays as it is, for a recipe that asks for it. */
static squall_status to_rate(const sq_config_source *config, squall_field *field, squall_error *err)
{
    squall_zr zr;
    if (field->quantity == SQUALL_OTHER) {
        return SQUALL_OK;
    }
    squall_zr_init(&zr);
    zr.a = config->zr_a;
    zr.b = config->zr_b;
    zr.max_rate = config->max_rate_mm_h;
    return squall_field_to_rate(field, &zr, err);
}

static void take_field(const tally *t, squall_field *field)
{
    squall_error problem = {.code = SQUALL_OK};
    const sq_world *world = t->job->world;
    const int64_t time = field->valid_time;
    sq_arrival arrival = SQ_ARRIVED_OLD;
    bool taken = false;
    if (time != SQUALL_TIME_NONE && time > sq_cycle_now(t->cycle) + t->job->feed->config.future_s) {
        problem = (squall_error){.code = SQUALL_E_ARGUMENT,
                                 .text = "its time lies in the future; is the clock right?"};
        record(t, time, SQ_ARRIVED_FUTURE, &problem);
        return;
    }
    if (to_rate(&t->job->feed->config, field, &problem) != SQUALL_OK) {
        record(t, time, SQ_ARRIVED_CORRUPT, &problem);
        return;
    }
    for (size_t i = 0; i < world->config->region_count; i++) {
        sq_arrival one = SQ_ARRIVED_OLD;
        if (!wants(world->regions[i], t->job->feed->config.name)) {
            continue;
        }
        if (give_to_region(t, world->regions[i], field, &one, &problem) != SQUALL_OK) {
            sq_log_failure(t->cycle->log, SQ_LOG_WARNING, "frame", &problem);
            continue;
        }
        arrival = !taken || one < arrival ? one : arrival;
        taken = true;
    }
    record(t, time, taken ? arrival : SQ_ARRIVED_CORRUPT, taken ? NULL : &problem);
}

void sq_cycle_decode(sq_cycle *cycle, sq_job *job)
{
    squall_error problem = {.code = SQUALL_OK};
    squall_io_options options;
    squall_file *file = NULL;
    const tally t = {.cycle = cycle, .job = job, .name = sq_path_name(job->path)};
    squall_io_options_init(&options);
    options.quantity = job->feed->config.quantity[0] != '\0' ? job->feed->config.quantity : NULL;
    if (squall_file_open(job->path, &options, &file, &problem) != SQUALL_OK) {
        record(&t, SQ_TIME_NONE, SQ_ARRIVED_CORRUPT, &problem);
        return;
    }
    for (size_t i = 0; i < squall_file_count(file); i++) {
        squall_field *field = NULL;
        if (squall_file_read(file, i, &field, &problem) != SQUALL_OK) {
            record(&t, squall_file_time(file, i), SQ_ARRIVED_CORRUPT, &problem);
            continue;
        }
        take_field(&t, field);
        squall_field_destroy(&field);
    }
    squall_file_close(&file);
}
