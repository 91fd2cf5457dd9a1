/* svc/query/query_words.c - times, boxes, lengths and parameters as clients write them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/query/query.h"

const sq_parameter sq_parameters[SQ_PARAMETERS] = {
    {"rainrate", "Rain rate", "Rain rate at the time; 0 where it is dry, nothing without coverage",
     "http://vocab.nerc.ac.uk/standard_name/rainfall_rate/", "Rain rate", "millimetres per hour",
     "mm/h"},
    {"rain_probability", "Probability of rain",
     "Share of cells with 0.1 mm/h or more in a neighbourhood that grows with the lead time",
     "http://codes.wmo.int/grib2/codeflag/4.2/0-1-192", "Probability of rain", "fraction", "1"},
};

squall_status sq_query_parameters(const char *names, bool observed,
                                  sq_parameter_id out[SQ_PARAMETERS], size_t *count,
                                  squall_error *err)
{
    const size_t known = observed ? 1 : SQ_PARAMETERS;
    *count = 0;
    if (names == NULL || names[0] == '\0') {
        for (size_t i = 0; i < known; i++) {
            out[(*count)++] = (sq_parameter_id)i;
        }
        return SQUALL_OK;
    }
    for (const char *at = names; *at != '\0';) {
        const size_t length = strcspn(at, ",");
        size_t i = 0;
        while (i < known && (strlen(sq_parameters[i].name) != length ||
                             strncmp(sq_parameters[i].name, at, length) != 0)) {
            i++;
        }
        if (i == known) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "parameter-name",
                           "'%.*s' is none of: rainrate%s", (int)(length < 60 ? length : 60), at,
                           observed ? "" : ", rain_probability");
        }
        bool twice = false;
        for (size_t k = 0; k < *count; k++) {
            twice = twice || out[k] == (sq_parameter_id)i;
        }
        if (!twice) {
            out[(*count)++] = (sq_parameter_id)i;
        }
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return SQUALL_OK;
}

/* One time: as sq_time_parse(), and with a fraction or an offset. */
static bool parse_time(const char *text, size_t length, int64_t *out)
{
    char copy[48];
    int64_t offset_s = 0;
    if (length == 0 || length >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    for (size_t i = 0; i < length; i++) {
        copy[i] = copy[i] == 't' ? 'T' : copy[i] == 'z' ? 'Z' : copy[i];
    }
    char *clock = strchr(copy, 'T');
    char *sign = clock != NULL ? strpbrk(clock, "+-") : NULL;
    if (sign == NULL && clock != NULL) {
        sign = strchr(clock, ' '); /* a plus sign that was taken for a space */
    }
    if (sign != NULL) {
        int hours, minutes, used = 0;
        if (sscanf(sign + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || sign[1 + used] != '\0') {
            return false;
        }
        offset_s = (hours * 3600 + minutes * 60) * (*sign == '-' ? -1 : 1);
        *sign = '\0';
    }
    char *dot = strchr(copy, '.');
    if (dot != NULL) {
        const size_t digits = strspn(dot + 1, "0123456789");
        if (digits == 0) {
            return false;
        }
        memmove(dot, dot + 1 + digits, strlen(dot + 1 + digits) + 1);
    }
    if (clock == NULL && strlen(copy) == 10) { /* a day: its beginning */
        memcpy(copy + 10, "T00:00", 7);
    }
    if (!sq_time_parse(copy, out)) {
        return false;
    }
    *out -= offset_s;
    return true;
}

squall_status sq_query_time(const char *text, int64_t *from, int64_t *to, squall_error *err)
{
    const char *slash = strchr(text, '/');
    const size_t first = slash != NULL ? (size_t)(slash - text) : strlen(text);
    bool good;
    if (slash == NULL) {
        good = parse_time(text, first, from);
        *to = *from;
    } else {
        const char *second = slash + 1;
        const bool open_first = first == 0 || (first == 2 && strncmp(text, "..", 2) == 0);
        const bool open_second = second[0] == '\0' || strcmp(second, "..") == 0;
        *from = INT64_MIN;
        *to = INT64_MAX;
        good = (open_first || parse_time(text, first, from)) &&
               (open_second || parse_time(second, strlen(second), to)) && *from <= *to;
    }
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_FORMAT, "datetime",
                          "'%.80s' is neither a time such as 2010-08-26T02:00:00Z nor an interval "
                          "such as 2010-08-26T02:00:00Z/..",
                          text);
}

squall_status sq_query_box(const char *text, double box[4], squall_error *err)
{
    double values[6];
    size_t count = 0;
    bool good = true;
    for (const char *at = text; good && count < 6;) {
        char *end;
        values[count] = strtod(at, &end);
        good = end != at && isfinite(values[count]) && (*end == ',' || *end == '\0');
        count += good ? 1 : 0;
        if (!good || *end == '\0') {
            break;
        }
        at = end + 1;
        good = count < 6;
    }
    good = good && (count == 4 || count == 6);
    if (good) {
        box[0] = values[0];
        box[1] = values[1];
        box[2] = values[count == 4 ? 2 : 3];
        box[3] = values[count == 4 ? 3 : 4];
        good = box[0] < box[2] && box[1] < box[3] && fabs(box[1]) <= 90 && fabs(box[3]) <= 90 &&
               fabs(box[0]) <= 360 && fabs(box[2]) <= 360;
    }
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_FORMAT, "bbox",
                          "'%.80s' is no WEST,SOUTH,EAST,NORTH in degrees", text);
}

squall_status sq_query_length(const char *number, const char *unit, double *out_m,
                              squall_error *err)
{
    static const struct {
        const char *unit;
        double metres;
    } units[] = {{"m", 1},         {"metres", 1},        {"meters", 1},
                 {"km", 1000},     {"kilometres", 1000}, {"kilometers", 1000},
                 {"mi", 1609.344}, {"miles", 1609.344},  {"nmi", 1852}};
    char *end;
    const double value = strtod(number, &end);
    if (end == number || *end != '\0' || !(value > 0) || !isfinite(value)) {
        return sq_fail(err, SQUALL_E_FORMAT, "within", "'%.40s' is no length above 0", number);
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].unit, unit) == 0) {
            *out_m = value * units[i].metres;
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_ARGUMENT, "within-units", "'%.40s' is none of: km, m, mi, nmi",
                   unit);
}
