/* svc/cycle/cycle_watch.c - the thread that watches folders and clocks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svc/cycle/cycle_private.h"

enum { TICK_MS = 50, TIDY_EVERY_S = 600, FIRST_TIDY_S = 5, FOLDER_FILES = 100000 };

/* Names that writers use for what is not finished yet. */
static bool is_unfinished(const char *name)
{
    static const char *const endings[] = {".tmp", ".part", ".partial", ".filepart", ".swp", "~"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(name + length - ending, endings[i]) == 0) {
            return true;
        }
    }
    return name[0] == '.';
}

/* ---------------------------------------------------------------- what lies there already */

typedef struct found_file {
    char *name; /* owned */
    int64_t time;
} found_file;

static int by_age(const void *a, const void *b)
{
    const found_file *x = a, *y = b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : strcmp(x->name, y->name);
}

static size_t list_folder(const char *folder, found_file **out)
{
    size_t count = 0, room = 0;
    found_file *list = NULL;
    DIR *open = opendir(folder);
    for (struct dirent *entry = open != NULL ? readdir(open) : NULL;
         entry != NULL && count < FOLDER_FILES; entry = readdir(open)) {
        char path[8192];
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (is_unfinished(entry->d_name) || stat(path, &about) != 0 || !S_ISREG(about.st_mode)) {
            continue;
        }
        if (count == room) {
            const size_t grown_room = room > 0 ? 2 * room : 64;
            found_file *grown = sq_regrow(list, count, grown_room, sizeof *grown);
            if (grown == NULL) {
                break;
            }
            list = grown;
            room = grown_room;
        }
        list[count].name = sq_strdup(entry->d_name);
        list[count].time = (int64_t)about.st_mtime;
        count += list[count].name != NULL ? 1 : 0;
    }
    if (open != NULL) {
        closedir(open);
    }
    *out = list;
    return count;
}

/* How many files of a folder may matter: those of the longest history of a region that takes them.
 */
static size_t files_that_matter(const sq_world *world)
{
    size_t most = 16;
    for (size_t i = 0; i < world->config->region_count; i++) {
        const sq_region *region = world->regions[i];
        const int64_t history = (int64_t)region->config.history_min * 60;
        const int64_t span = history > region->reach_s ? history : region->reach_s;
        const size_t files = (size_t)(span / region->config.cadence_s) + 12;
        most = files > most ? files : most;
    }
    return most;
}

/* The newest files, oldest first; older ones are not looked at. */
static void queue_folder(sq_cycle *cycle, sq_world *world, sq_feed *feed, const char *folder)
{
    found_file *list = NULL;
    const size_t count = list_folder(folder, &list);
    const size_t wanted = files_that_matter(world);
    if (count > 0) {
        qsort(list, count, sizeof *list, by_age);
    }
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, list[i].name);
        if (count - i <= wanted) {
            sq_cycle_queue_file(cycle, world, feed, path, sq_clock_s());
        }
        sq_free(list[i].name);
    }
    sq_free(list);
}

/* ---------------------------------------------------------------- folders */

static int add_watch(sq_cycle *cycle, const char *folder)
{
    const int watch =
        inotify_add_watch(cycle->inotify, folder,
                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_MODIFY | IN_CREATE | IN_ONLYDIR);
    if (watch < 0) {
        sq_json line;
        sq_log_begin(cycle->log, &line, SQ_LOG_ERROR, "watch");
        sq_json_text(&line, "folder", folder);
        sq_json_text(&line, "text", strerror(errno));
        sq_log_end(cycle->log, &line);
    }
    return watch;
}

void sq_cycle_watch(sq_cycle *cycle, sq_world *world)
{
    for (size_t i = 0; i < world->config->source_count; i++) {
        sq_feed *feed = world->feeds[i];
        if (feed->config.watch[0] != '\0' && feed->watch < 0) {
            feed->watch = add_watch(cycle, feed->config.watch);
        }
        if ((feed->config.push || feed->config.broker[0] != '\0') && feed->inbox[0] == '\0') {
            squall_error problem;
            snprintf(feed->inbox, sizeof feed->inbox, "%s/inbox/%s", world->config->server.data,
                     feed->config.name);
            if (sq_folder_make(feed->inbox, &problem) != SQUALL_OK) {
                sq_log_failure(cycle->log, SQ_LOG_ERROR, "inbox", &problem);
            }
        }
    }
}

void sq_cycle_unwatch(sq_cycle *cycle, const sq_world *world, const sq_world *old)
{
    for (size_t i = 0; i < old->config->source_count; i++) {
        bool kept = false;
        for (size_t k = 0; k < world->config->source_count && !kept; k++) {
            kept = world->feeds[k]->watch == old->feeds[i]->watch;
        }
        if (!kept && old->feeds[i]->watch >= 0) {
            inotify_rm_watch(cycle->inotify, old->feeds[i]->watch);
        }
    }
}

void sq_cycle_look(sq_cycle *cycle, sq_world *world)
{
    for (size_t i = 0; i < world->config->source_count; i++) {
        sq_feed *feed = world->feeds[i];
        if (feed->config.watch[0] != '\0') {
            queue_folder(cycle, world, feed, feed->config.watch);
        }
        if (feed->inbox[0] != '\0') {
            queue_folder(cycle, world, feed, feed->inbox);
        }
    }
}

/* ---------------------------------------------------------------- files */

/* Remember a file that is being written; one that is known already is looked at anew. */
static void see_file(sq_feed *feed, const char *name)
{
    for (sq_sighting *s = feed->sightings; s != NULL; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            s->since_s = sq_clock_s();
            return;
        }
    }
    sq_sighting *s = sq_alloc(1, sizeof *s);
    if (s != NULL) {
        snprintf(s->name, sizeof s->name, "%s", name);
        s->bytes = -1;
        s->since_s = sq_clock_s();
        s->next = feed->sightings;
        feed->sightings = s;
    }
}

static void forget_file(sq_feed *feed, const char *name)
{
    for (sq_sighting **at = &feed->sightings; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            sq_sighting *s = *at;
            *at = s->next;
            sq_free(s);
            return;
        }
    }
}

/* Files whose size has rested are read. */
static void settle_files(sq_cycle *cycle, sq_world *world, sq_feed *feed)
{
    const double rest_s = feed->config.settle_ms / 1000.0;
    sq_sighting **at = &feed->sightings;
    while (*at != NULL) {
        sq_sighting *s = *at;
        char path[4096];
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", feed->config.watch, s->name);
        if (stat(path, &about) != 0) { /* renamed or removed */
            *at = s->next;
            sq_free(s);
            continue;
        }
        if ((int64_t)about.st_size != s->bytes) {
            s->bytes = (int64_t)about.st_size;
            s->since_s = sq_clock_s();
        } else if (s->bytes > 0 && sq_clock_s() - s->since_s >= rest_s) {
            sq_cycle_queue_file(cycle, world, feed, path, sq_clock_s());
            *at = s->next;
            sq_free(s);
            continue;
        }
        at = &s->next;
    }
}

static void on_event(sq_cycle *cycle, sq_world *world, const struct inotify_event *event)
{
    for (size_t i = 0; i < world->config->source_count; i++) {
        sq_feed *feed = world->feeds[i];
        if ((event->mask & IN_Q_OVERFLOW) != 0 && feed->watch >= 0) {
            queue_folder(cycle, world, feed, feed->config.watch); /* some were not told of */
        }
        if (feed->watch != event->wd || event->len == 0 || is_unfinished(event->name)) {
            continue;
        }
        if ((event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", feed->config.watch, event->name);
            forget_file(feed, event->name);
            sq_cycle_queue_file(cycle, world, feed, path, sq_clock_s());
        } else if ((event->mask & (IN_MODIFY | IN_CREATE)) != 0) {
            see_file(feed, event->name);
        }
    }
}

static void read_events(sq_cycle *cycle, sq_world *world)
{
    _Alignas(struct inotify_event) char buffer[16384];
    ssize_t length;
    while ((length = read(cycle->inotify, buffer, sizeof buffer)) > 0) {
        for (ssize_t at = 0; at < length;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(buffer + at);
            on_event(cycle, world, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

/* ---------------------------------------------------------------- clocks */

/* A frame that was due and did not come: told once. */
static void look_for_missing(sq_cycle *cycle, sq_region *region, int64_t now)
{
    const sq_config_region *config = &region->config;
    int64_t due = SQ_TIME_NONE;
    pthread_mutex_lock(&region->mutex);
    if (region->radar.count > 0 && region->missing_since == SQ_TIME_NONE) {
        const int64_t next =
            region->radar.items[region->radar.count - 1]->field->valid_time + config->cadence_s;
        const double delay = isnan(region->usual_delay_s) ? 0.0 : region->usual_delay_s;
        if ((double)(now - next) > delay + config->deadline_s) {
            region->missing_since = due = next;
        }
    }
    pthread_mutex_unlock(&region->mutex);
    if (due != SQ_TIME_NONE) {
        const char *const labels[] = {config->name};
        sq_json line;
        sq_metric_add(cycle->m.missing, 1.0, labels);
        sq_log_begin(cycle->log, &line, SQ_LOG_WARNING, "missing");
        sq_json_text(&line, "region", config->name);
        sq_json_time(&line, "frame", due);
        sq_log_end(cycle->log, &line);
        if (cycle->listener.missing != NULL) {
            cycle->listener.missing(cycle->listener.owner, config->name, due);
        }
    }
}

static void tick(sq_cycle *cycle, sq_world *world)
{
    sq_cycle_replay_step(cycle, world);
    const int64_t now = sq_cycle_now(cycle);
    for (size_t i = 0; i < world->config->source_count; i++) {
        settle_files(cycle, world, world->feeds[i]);
    }
    for (size_t i = 0; i < world->config->region_count && !cycle->replay_ended; i++) {
        look_for_missing(cycle, world->regions[i], now);
    }
    sq_cycle_queue_due(cycle, world);
}

static void queue_tidy(sq_cycle *cycle, sq_world *world)
{
    sq_job *job = sq_job_create(SQ_JOB_TIDY, world);
    if (job != NULL) {
        sq_cycle_queue(cycle, job, SQ_PRIORITY_LATER);
    }
}

static void *watch(void *arg)
{
    sq_cycle *cycle = arg;
    double next_tidy_s = sq_clock_s() + FIRST_TIDY_S;
    for (;;) {
        struct pollfd wait[2] = {{.fd = cycle->inotify, .events = POLLIN},
                                 {.fd = cycle->wake[0], .events = POLLIN}};
        poll(wait, 2, TICK_MS);
        char drain[64];
        while (read(cycle->wake[0], drain, sizeof drain) > 0) {
        }
        pthread_mutex_lock(&cycle->mutex);
        const bool stopping = cycle->stopping;
        sq_world *world = sq_world_keep(cycle->world);
        pthread_mutex_unlock(&cycle->mutex);
        if (stopping) {
            sq_world_drop(&world);
            return NULL;
        }
        read_events(cycle, world);
        tick(cycle, world);
        if (sq_clock_s() >= next_tidy_s) {
            next_tidy_s = sq_clock_s() + TIDY_EVERY_S;
            queue_tidy(cycle, world);
        }
        sq_world_drop(&world);
    }
}

squall_status sq_cycle_start_watcher(sq_cycle *cycle, squall_error *err)
{
    if (pthread_create(&cycle->watcher, NULL, watch, cycle) != 0) {
        return sq_fail(err, SQUALL_E_MEMORY, "watcher", "a thread cannot be started");
    }
    cycle->watching = true;
    return SQUALL_OK;
}

void sq_cycle_wake_watcher(sq_cycle *cycle)
{
    const char byte = 0;
    if (write(cycle->wake[1], &byte, 1) < 0) {
        return; /* the pipe is full: it is awake already */
    }
}
