/* base/log.h - a log of JSON lines. */
#ifndef SQ_BASE_LOG_H
#define SQ_BASE_LOG_H

#include <stdint.h>

#include "base/json.h"
#include "squall/status.h"

typedef enum sq_log_level {
    SQ_LOG_DEBUG = 0,
    SQ_LOG_INFO = 1,
    SQ_LOG_WARNING = 2,
    SQ_LOG_ERROR = 3
} sq_log_level;

/** A log: where its lines go. Threads: lines may be written side by side, each appears whole. */
typedef struct sq_log sq_log;

/** @param fd  where lines go; kept, not closed.
 * @return NULL without memory; given. */
sq_log *sq_log_create(int fd, sq_log_level level);
void sq_log_destroy(sq_log **log);
/** Lines below this level are not written from now on. */
void sq_log_set_level(sq_log *log, sq_log_level level);
/** "debug", "info", "warning", "error"; -1 for another word. */
int sq_log_level_find(const char *word);

/**
 * Begin a line {"time": ..., "level": ..., "event": ...}: members are added to `line`, and
 * sq_log_end() writes it. A NULL log writes nothing.
 */
void sq_log_begin(sq_log *log, sq_json *line, sq_log_level level, const char *event);
void sq_log_end(sq_log *log, sq_json *line);

/** One line with a failure in it. */
void sq_log_failure(sq_log *log, sq_log_level level, const char *event, const squall_error *err);
/** One line with a text in it. */
void sq_log_say(sq_log *log, sq_log_level level, const char *event, const char *text);

#endif /* SQ_BASE_LOG_H */
