/* svc/cycle/cycle_replay.c - a finished sequence played as if it came now, and the clock of it. */
#include <math.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

enum { LEAD_IN_S = 3600, LEAD_OUT_S = 120 };

int64_t sq_cycle_now(const sq_cycle *cycle)
{
    if (!cycle->replay) {
        return sq_time_now();
    }
    sq_cycle *c = (sq_cycle *)(uintptr_t)cycle; /* the lock alone is changed */
    pthread_mutex_lock(&c->clock);
    const double passed = (sq_clock_s() - c->replay_since_s) * c->speed;
    const int64_t now = c->replay_start + (int64_t)passed;
    const int64_t end = c->replay_end + LEAD_OUT_S; /* it stands still at the end */
    pthread_mutex_unlock(&c->clock);
    return now < end ? now : end;
}

double sq_cycle_speed(const sq_cycle *cycle)
{
    return cycle->replay ? cycle->speed : 1.0;
}

squall_status sq_cycle_replay_open(sq_cycle *cycle, sq_world *world, squall_error *err)
{
    const sq_config *config = world->config;
    int64_t first = INT64_MAX, last = INT64_MIN, start = 0;
    for (size_t i = 0; i < config->source_count; i++) {
        sq_feed *feed = world->feeds[i];
        const char *path = feed->config.replay;
        squall_io_options options;
        if (path[0] == '\0') {
            continue;
        }
        squall_io_options_init(&options);
        options.quantity = feed->config.quantity[0] != '\0' ? feed->config.quantity : NULL;
        if (feed->archive == NULL) {
            SQ_TRY(squall_archive_open(&path, 1, &options, &feed->archive, NULL, err));
        }
        const size_t count = squall_archive_count(feed->archive);
        first = squall_archive_time(feed->archive, 0) < first
                    ? squall_archive_time(feed->archive, 0)
                    : first;
        last = squall_archive_time(feed->archive, count - 1) > last
                   ? squall_archive_time(feed->archive, count - 1)
                   : last;
    }
    const bool given =
        config->replay.start[0] != '\0' && sq_time_parse(config->replay.start, &start);
    if (first == INT64_MAX && !given) {
        return SQUALL_OK;
    }
    if (first ==
        INT64_MAX) { /* a rehearsal: old files come by hand, and the clock is of their time */
        last = INT64_MAX / 2;
    }
    if (!given) {
        start = first + LEAD_IN_S;
    }
    pthread_mutex_lock(&cycle->clock);
    cycle->replay = true;
    cycle->speed = config->replay.speed;
    cycle->replay_start = start;
    cycle->replay_end = last;
    cycle->replay_since_s = sq_clock_s();
    pthread_mutex_unlock(&cycle->clock);
    return SQUALL_OK;
}

/* "path#3" names a field of a file; the whole file is read, once. */
static void queue_entry(sq_cycle *cycle, sq_world *world, sq_feed *feed, size_t entry)
{
    char path[4096];
    const char *name = squall_archive_name(feed->archive, entry);
    const char *mark = strrchr(name, '#');
    const size_t length = mark != NULL ? (size_t)(mark - name) : strlen(name);
    if (length < sizeof path) {
        memcpy(path, name, length);
        path[length] = '\0';
        sq_cycle_queue_file(cycle, world, feed, path, sq_clock_s());
    }
}

static void begin_again(sq_cycle *cycle, sq_world *world)
{
    sq_log_say(cycle->log, SQ_LOG_INFO, "replay", "begins again");
    pthread_mutex_lock(&cycle->clock);
    cycle->replay_since_s = sq_clock_s();
    pthread_mutex_unlock(&cycle->clock);
    for (size_t i = 0; i < world->config->region_count; i++) {
        sq_region_clear(world->regions[i]);
    }
    for (size_t i = 0; i < world->config->source_count; i++) {
        world->feeds[i]->next = 0;
    }
}

void sq_cycle_replay_step(sq_cycle *cycle, sq_world *world)
{
    if (!cycle->replay || cycle->replay_ended) {
        return;
    }
    const int64_t now = sq_cycle_now(cycle);
    for (size_t i = 0; i < world->config->source_count; i++) {
        sq_feed *feed = world->feeds[i];
        while (feed->archive != NULL && feed->next < squall_archive_count(feed->archive) &&
               squall_archive_time(feed->archive, feed->next) <= now) {
            queue_entry(cycle, world, feed, feed->next++);
        }
    }
    if (now < cycle->replay_end + LEAD_OUT_S) {
        return;
    }
    if (world->config->replay.loop) {
        begin_again(cycle, world);
    } else {
        cycle->replay_ended = true;
        sq_log_say(cycle->log, SQ_LOG_INFO, "replay", "is at its end");
    }
}
