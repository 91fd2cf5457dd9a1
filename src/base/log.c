/* base/log.c - a log of JSON lines. */
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"

struct sq_log {
    int fd;
    atomic_int level;
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

sq_log *sq_log_create(int fd, sq_log_level level)
{
    sq_log *log = sq_alloc(1, sizeof *log);
    if (log != NULL) {
        log->fd = fd;
        atomic_init(&log->level, (int)level);
    }
    return log;
}

void sq_log_destroy(sq_log **log)
{
    if (log != NULL) {
        sq_free(*log);
        *log = NULL;
    }
}

void sq_log_set_level(sq_log *log, sq_log_level level)
{
    atomic_store(&log->level, (int)level);
}

int sq_log_level_find(const char *word)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof level_names[0]); i++) {
        if (strcmp(level_names[i], word) == 0) {
            return i;
        }
    }
    return -1;
}

void sq_log_begin(sq_log *log, sq_json *line, sq_log_level level, const char *event)
{
    memset(line, 0, sizeof *line);
    if (log == NULL || (int)level < atomic_load(&log->level)) {
        line->text.failed = true; /* further writes do nothing */
        return;
    }
    char seconds[SQ_TIME_TEXT];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    sq_time_format((int64_t)now.tv_sec, seconds);
    seconds[strlen(seconds) - 1] = '\0'; /* the Z goes behind the fraction */
    sq_json_object(line, NULL);
    sq_json_format(line, "time", "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    sq_json_text(line, "level", level_names[level]);
    sq_json_text(line, "event", event);
}

void sq_log_end(sq_log *log, sq_json *line)
{
    sq_json_end_object(line);
    sq_text_add_bytes(&line->text, "\n", 1);
    if (log != NULL && !line->text.failed) {
        /* One write, so that lines of several threads do not mix. */
        const char *at = line->text.data;
        size_t left = line->text.length;
        while (left > 0) {
            const ssize_t written = write(log->fd, at, left);
            if (written < 0 && errno != EINTR) {
                break; /* nobody reads the log: the service goes on */
            }
            at += written > 0 ? written : 0;
            left -= written > 0 ? (size_t)written : 0;
        }
    }
    sq_json_free(line);
}

void sq_log_failure(sq_log *log, sq_log_level level, const char *event, const squall_error *err)
{
    sq_json line;
    sq_log_begin(log, &line, level, event);
    sq_json_text(&line, "status", squall_status_name(err->code));
    sq_json_text(&line, "where", err->where);
    sq_json_text(&line, "text", err->text);
    sq_log_end(log, &line);
}

void sq_log_say(sq_log *log, sq_log_level level, const char *event, const char *text)
{
    sq_json line;
    sq_log_begin(log, &line, level, event);
    sq_json_text(&line, "text", text);
    sq_log_end(log, &line);
}
