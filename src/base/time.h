/* base/time.h - times as Unix seconds, UTC, and their texts; and the clock that durations use. */
#ifndef SQ_BASE_TIME_H
#define SQ_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define SQ_TIME_NONE INT64_MIN /* no time is known */
#define SQ_TIME_TEXT 24        /* bytes for "2026-11-22T17:45:00Z" and its end */

/** Unix seconds of a UTC calendar time; false when it is no time (month 13, 30 February). Years
 * 1900 to 2200. */
bool sq_time_from_utc(int year, int month, int day, int hour, int minute, int second, int64_t *out);

/** Read "2026-11-22T17:45:00Z"; also a space for the T, seconds or the Z left out, and the compact
 * forms 202611221745 and 20261122T174500Z. The whole text must be the time. */
bool sq_time_parse(const char *text, int64_t *out);

/** Write "2026-11-22T17:45:00Z" into `text`, SQ_TIME_TEXT bytes; returns `text`. */
char *sq_time_format(int64_t time, char *text);

/** Calendar parts, for those who need only some; any pointer may be NULL. `yearday` from 0. */
void sq_time_split(int64_t time, int *year, int *month, int *day, int *hour, int *minute,
                   int *second, int *yearday);

/** Now, Unix seconds. */
int64_t sq_time_now(void);

/** A clock for durations, in seconds, that never jumps. */
double sq_clock_s(void);

#endif /* SQ_BASE_TIME_H */
