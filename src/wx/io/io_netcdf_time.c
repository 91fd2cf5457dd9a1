/* wx/io/io_netcdf_time.c - when the fields of a CF-netCDF file are valid, and over what span.
 *
 * In this order: the coordinate of a dimension in "... since ..."; a scalar variable with the
 * standard name "time" (BoM calls it valid_time); global attributes (NWC SAF has no time variable:
 * its nominal time). An accumulation is valid at the end of its window, which the bounds of the
 * time give, or a scalar `start_time` (BoM).
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/io/io_netcdf.h"

#define LONGEST_S (200 * 366 * 86400.0) /* from its reference a time is no further away */

/* The date, clock and zone behind "since": "2010-8-26", "2010-08-26T00:05:00.0Z", "... +02:00". */
static bool parse_reference(const char *text, int64_t *out)
{
    int year, month, day, hour = 0, minute = 0, second = 0, used = 0, more = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3) {
        return false;
    }
    text += used;
    text += *text == 'T' || *text == ' ' ? 1 : 0;
    if (sscanf(text, "%2d:%2d%n", &hour, &minute, &more) == 2) {
        text += more;
        more = 0;
        if (sscanf(text, ":%2d%n", &second, &more) == 1) {
            text += more;
        }
        if (*text == '.') {
            text += 1 + strspn(text + 1, "0123456789");
        }
    }
    while (isspace((unsigned char)*text)) {
        text++;
    }
    int zone_hour = 0, zone_minute = 0, sign = 0;
    if (*text == '+' || *text == '-') {
        sign = *text == '+' ? 1 : -1;
        more = 0;
        if (sscanf(text + 1, "%2d%n", &zone_hour, &more) != 1) {
            return false;
        }
        text += 1 + more;
        text += *text == ':' ? 1 : 0;
        more = 0;
        if (sscanf(text, "%2d%n", &zone_minute, &more) == 1) {
            text += more;
        }
    } else if (strcmp(text, "Z") == 0 || strcmp(text, "UTC") == 0 || strcmp(text, "GMT") == 0) {
        text += strlen(text);
    }
    if (*text != 0 || !sq_time_from_utc(year, month, day, hour, minute, second, out)) {
        return false;
    }
    *out -= sign * (zone_hour * 3600 + zone_minute * 60);
    return true;
}

bool sq_io_netcdf_time_unit(const char *text, double *unit_s, int64_t *reference)
{
    static const char *const seconds[] = {"seconds", "second", "secs", "sec", "s", NULL};
    static const char *const minutes[] = {"minutes", "minute", "mins", "min", NULL};
    static const char *const hours[] = {"hours", "hour", "hrs", "hr", "h", NULL};
    static const char *const days[] = {"days", "day", "d", NULL};
    char unit[16];
    int used = 0;
    if (sscanf(text, "%15[A-Za-z] since %n", unit, &used) != 1 || used == 0) {
        return false;
    }
    *unit_s = sq_io_one_of(unit, seconds)   ? 1
              : sq_io_one_of(unit, minutes) ? 60
              : sq_io_one_of(unit, hours)   ? 3600
              : sq_io_one_of(unit, days)    ? 86400
                                            : 0;
    return *unit_s > 0 && parse_reference(text + used, reference);
}

/* A variable that counts time: its unit, and "standard" for a calendar. */
typedef struct clock {
    sq_io_netcdf_variable variable;
    double unit_s;
    int64_t reference;
} clock;

/* Whether `variable` counts time. */
static bool is_clock(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *variable)
{
    char units[96];
    return sq_io_netcdf_is_number(variable->type) &&
           sq_io_netcdf_text(file, variable->id, "units", units, sizeof units) &&
           strstr(units, " since ") != NULL;
}

static squall_status clock_init(const sq_io_netcdf_file *file,
                                const sq_io_netcdf_variable *variable, clock *out,
                                squall_error *err)
{
    static const char *const known[] = {"standard", "gregorian", "proleptic_gregorian", NULL};
    char units[96], calendar[32], where[SQ_IO_WHERE];
    out->variable = *variable;
    sq_io_where(where, file->source.name, "/%.40s", variable->name);
    sq_io_netcdf_text(file, variable->id, "units", units, sizeof units);
    if (sq_io_netcdf_text(file, variable->id, "calendar", calendar, sizeof calendar) &&
        !sq_io_one_of(calendar, known)) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, where,
                       "a calendar '%s'; the one of everyday life ('standard') is taken", calendar);
    }
    if (!sq_io_netcdf_time_unit(units, &out->unit_s, &out->reference)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where,
                       "'%s' is no unit of time; one like 'seconds since 1970-01-01 00:00:00' is "
                       "expected",
                       units);
    }
    return SQUALL_OK;
}

/* A reading of the clock as Unix seconds. */
static squall_status clock_time(const sq_io_netcdf_file *file, const clock *c, double reading,
                                int64_t *out, squall_error *err)
{
    const double offset_s = reading * c->unit_s;
    if (!(fabs(offset_s) < LONGEST_S)) { /* NaN, too */
        char where[SQ_IO_WHERE];
        return sq_fail(err, SQUALL_E_CORRUPT,
                       sq_io_where(where, file->source.name, "/%.40s", c->variable.name),
                       "a time of %g is out of reach", reading);
    }
    *out = c->reference + (int64_t)llround(offset_s);
    return SQUALL_OK;
}

/* The first scalar clock with the standard name "time", or else of one of the usual names. */
static bool find_scalar_clock(const sq_io_netcdf_file *file, sq_io_netcdf_variable *out)
{
    static const char *const names[] = {"time", "valid_time", NULL};
    const int count = sq_io_netcdf_variables(file);
    for (int pass = 0; pass < 2; pass++) {
        for (int id = 0; id < count; id++) {
            char standard[64];
            if (!sq_io_netcdf_describe(file, id, out) || out->rank > 1 ||
                (out->rank == 1 && out->sizes[0] != 1) || !is_clock(file, out)) {
                continue;
            }
            sq_io_netcdf_text(file, id, "standard_name", standard, sizeof standard);
            if (pass == 0 ? strcmp(standard, "time") == 0 : sq_io_one_of(out->name, names)) {
                return true;
            }
        }
    }
    return false;
}

/* The length of the window that ends at `end`; 0 if it is none. */
static int32_t window(int64_t start, int64_t end)
{
    return end > start && end - start <= 366 * (int64_t)86400 ? (int32_t)(end - start) : 0;
}

/* Windows by the bounds of the clock: [count][2], in its unit. */
static squall_status windows_by_bounds(const sq_io_netcdf_file *file, const clock *c,
                                       sq_io_netcdf_times *out, bool *found, squall_error *err)
{
    squall_status status = SQUALL_OK;
    char name[64];
    sq_io_netcdf_variable bounds;
    *found = false;
    if (!sq_io_netcdf_text(file, c->variable.id, "bounds", name, sizeof name) ||
        !sq_io_netcdf_find(file, name, &bounds) || !sq_io_netcdf_is_number(bounds.type) ||
        bounds.rank != c->variable.rank + 1 || bounds.sizes[bounds.rank - 1] != 2 ||
        (bounds.rank == 2 && bounds.sizes[0] != out->count)) {
        return SQUALL_OK;
    }
    double *edges = sq_alloc_raw(out->count, 2 * sizeof *edges);
    if (edges == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, file->source.name, "no memory for %zu times",
                       out->count);
    }
    SQ_TRY_GOTO(sq_io_netcdf_read(file, &bounds, edges, 2 * out->count, err));
    for (size_t i = 0; i < out->count; i++) {
        int64_t start, end;
        SQ_TRY_GOTO(clock_time(file, c, edges[2 * i], &start, err));
        SQ_TRY_GOTO(clock_time(file, c, edges[2 * i + 1], &end, err));
        out->windows_s[i] = window(start, end);
        if (out->windows_s[i] > 0) {
            out->times[i] = end;
        }
    }
    *found = true;
done:
    sq_free(edges);
    return status;
}

static squall_status windows_by_start(const sq_io_netcdf_file *file, sq_io_netcdf_times *out,
                                      squall_error *err)
{
    sq_io_netcdf_variable variable;
    clock c;
    double reading;
    int64_t start;
    if (out->count != 1 || !sq_io_netcdf_find(file, "start_time", &variable) || variable.rank > 1 ||
        (variable.rank == 1 && variable.sizes[0] != 1) || !is_clock(file, &variable)) {
        return SQUALL_OK;
    }
    SQ_TRY(clock_init(file, &variable, &c, err));
    SQ_TRY(sq_io_netcdf_read(file, &variable, &reading, 1, err));
    SQ_TRY(clock_time(file, &c, reading, &start, err));
    out->windows_s[0] = window(start, out->times[0]);
    return SQUALL_OK;
}

/* All readings of a clock. */
static squall_status read_clock(const sq_io_netcdf_file *file, const clock *c,
                                sq_io_netcdf_times *out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    double *readings = sq_alloc_raw(out->count, sizeof *readings);
    if (readings == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, file->source.name, "no memory for %zu times",
                       out->count);
    }
    SQ_TRY_GOTO(sq_io_netcdf_read(file, &c->variable, readings, out->count, err));
    for (size_t i = 0; i < out->count; i++) {
        SQ_TRY_GOTO(clock_time(file, c, readings[i], &out->times[i], err));
    }
done:
    sq_free(readings);
    return status;
}

static int64_t time_by_attributes(const sq_io_netcdf_file *file)
{
    static const char *const names[] = {"nominal_product_time", "time_coverage_end",
                                        "time_coverage_start"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[48];
        int64_t time;
        if (sq_io_netcdf_text(file, NC_GLOBAL, names[i], text, sizeof text) &&
            sq_time_parse(text, &time)) {
            return time;
        }
    }
    return SQUALL_TIME_NONE;
}

/* The dimension of `variable` that is time, and its clock; -1 if there is none. */
static int find_time_dim(const sq_io_netcdf_file *file, const sq_io_netcdf_variable *variable,
                         sq_io_netcdf_variable *coordinate)
{
    for (int i = 0; i + 2 < variable->rank; i++) {
        if (sq_io_netcdf_coordinate(file, variable->dims[i], coordinate) &&
            is_clock(file, coordinate)) {
            return i;
        }
    }
    return -1;
}

squall_status sq_io_netcdf_times_read(const sq_io_netcdf_file *file,
                                      const sq_io_netcdf_variable *variable, bool accumulation,
                                      sq_io_netcdf_times *out, squall_error *err)
{
    sq_io_netcdf_variable coordinate;
    clock c;
    *out = (sq_io_netcdf_times){.dim = find_time_dim(file, variable, &coordinate), .count = 1};
    const bool by_clock = out->dim >= 0 || find_scalar_clock(file, &coordinate);
    if (out->dim >= 0) {
        out->count = variable->sizes[out->dim];
    }
    if (out->count == 0 || out->count > SQ_LIMIT_FRAMES) {
        return sq_fail(err, out->count == 0 ? SQUALL_E_NO_DATA : SQUALL_E_LIMIT, file->source.name,
                       "%zu times; 1 to %zu are taken", out->count, SQ_LIMIT_FRAMES);
    }
    out->times = sq_alloc(out->count, sizeof *out->times);
    out->windows_s = sq_alloc(out->count, sizeof *out->windows_s);
    if (out->times == NULL || out->windows_s == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, file->source.name, "no memory for %zu times",
                       out->count);
    }
    if (!by_clock) {
        out->times[0] = time_by_attributes(file);
        return SQUALL_OK;
    }
    SQ_TRY(clock_init(file, &coordinate, &c, err));
    SQ_TRY(read_clock(file, &c, out, err));
    bool found = false;
    if (accumulation) {
        SQ_TRY(windows_by_bounds(file, &c, out, &found, err));
        if (!found) {
            SQ_TRY(windows_by_start(file, out, err));
        }
    }
    return SQUALL_OK;
}

void sq_io_netcdf_times_free(sq_io_netcdf_times *times)
{
    sq_free(times->times);
    sq_free(times->windows_s);
    times->times = NULL;
    times->windows_s = NULL;
}
