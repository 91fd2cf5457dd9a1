/* base/time.c - times as Unix seconds, UTC, and their texts; and the clock that durations use. */
#include "base/time.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Days since 1970-01-01 of a date in the Gregorian calendar, counted from 1 March so that the leap
 * day is the last of its year. */
static int64_t days_from_date(int year, int month, int day)
{
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

void sq_time_split(int64_t time, int *year, int *month, int *day, int *hour, int *minute,
                   int *second, int *yearday)
{
    const time_t seconds = (time_t)time;
    struct tm parts;
    memset(&parts, 0, sizeof parts);
    gmtime_r(&seconds, &parts);
    int *const out[] = {year, month, day, hour, minute, second, yearday};
    const int value[] = {parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                         parts.tm_min,         parts.tm_sec,     parts.tm_yday};
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        if (out[i] != NULL) {
            *out[i] = value[i];
        }
    }
}

bool sq_time_from_utc(int year, int month, int day, int hour, int minute, int second, int64_t *out)
{
    if (year < 1900 || year > 2200 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    const int64_t days = days_from_date(year, month, day);
    const int64_t next =
        month == 12 ? days_from_date(year + 1, 1, 1) : days_from_date(year, month + 1, 1);
    if (days >= next) {
        return false;
    }
    *out = days * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* `count` digits at *p as a number; moves *p behind them. */
static bool digits(const char **p, int count, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++, (*p)++) {
        if (!isdigit((unsigned char)**p)) {
            return false;
        }
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return true;
}

static void skip(const char **p, const char *any)
{
    if (**p != '\0' && strchr(any, **p) != NULL) {
        (*p)++;
    }
}

bool sq_time_parse(const char *text, int64_t *out)
{
    int year, month, day, hour, minute, second = 0;
    const char *p = text;
    if (!digits(&p, 4, &year)) {
        return false;
    }
    skip(&p, "-");
    if (!digits(&p, 2, &month)) {
        return false;
    }
    skip(&p, "-");
    if (!digits(&p, 2, &day)) {
        return false;
    }
    skip(&p, "T ");
    if (!digits(&p, 2, &hour)) {
        return false;
    }
    skip(&p, ":");
    if (!digits(&p, 2, &minute)) {
        return false;
    }
    if (*p == ':' || isdigit((unsigned char)*p)) {
        skip(&p, ":");
        if (!digits(&p, 2, &second)) {
            return false;
        }
        if (*p == '.') {
            for (p++; isdigit((unsigned char)*p); p++) {
            }
        }
    }
    skip(&p, "Z");
    return *p == '\0' && sq_time_from_utc(year, month, day, hour, minute, second, out);
}

char *sq_time_format(int64_t time, char *text)
{
    int year, month, day, hour, minute, second;
    if (time == SQ_TIME_NONE) {
        snprintf(text, SQ_TIME_TEXT, "(no time)");
        return text;
    }
    sq_time_split(time, &year, &month, &day, &hour, &minute, &second, NULL);
    snprintf(text, SQ_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)year % 10000u,
             (unsigned)month % 100u, (unsigned)day % 100u, (unsigned)hour % 100u,
             (unsigned)minute % 100u, (unsigned)second % 100u);
    return text;
}

int64_t sq_time_now(void)
{
    return (int64_t)time(NULL);
}

double sq_clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
