/* svc/serve/serve_point.c - the next hour at one point, and places by name. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "svc/serve/serve_private.h"

#define WET_MM_H 0.1f

/* What the point shows: times from the last observation to the last lead, ascending. */
typedef struct series {
    size_t count;
    int64_t times[300];
    float rates[300];         /* NaN where nothing is known */
    float probabilities[300]; /* NaN for the observation */
} series;

/* The region that covers the point best: the one with a forecast in which the point lies deepest in
 * fine cells; by name if one is given. */
static sq_region *choose_region(const sq_serve_context *c, double lon, double lat)
{
    sq_region *best = NULL;
    double finest = INFINITY;
    for (size_t i = 0; i < c->world->config->region_count; i++) {
        sq_region *region = c->world->regions[i];
        sq_snapshot *s = sq_region_newest(region, c->now);
        if (s != NULL) {
            double column, row;
            sq_locator_from_lonlat(s->place->locator, &lon, &lat, 1, &column, &row);
            const bool inside = column >= 0 && row >= 0 && column < (double)s->place->grid.width &&
                                row < (double)s->place->grid.height;
            if (inside && s->place->step_deg < finest) {
                finest = s->place->step_deg;
                best = region;
            }
        }
        sq_snapshot_drop(&s);
    }
    return best;
}

static squall_status read_series(const sq_snapshot *s, double lon, double lat, series *out,
                                 squall_error *err)
{
    static const sq_parameter_id both[] = {SQ_PARAMETER_RATE, SQ_PARAMETER_PROBABILITY};
    const sq_query_source source = {.place = s->place,
                                    .layers = (const sq_layer *const *)s->layers,
                                    .chances = (const sq_layer *const *)s->chances,
                                    .leads_s = s->leads_s,
                                    .count = s->count < 299 ? s->count : 299};
    sq_cover cover;
    out->count = 0;
    if (s->observed_count > 0) {
        const sq_layer *last = s->observed[s->observed_count - 1];
        const sq_query_source seen = {.place = s->place, .layers = &last, .count = 1};
        SQ_TRY(sq_query_series(&seen, lon, lat, both, 1, &cover, err));
        out->times[0] = last->valid_time;
        out->rates[0] = cover.values[0][0];
        out->probabilities[0] = NAN;
        out->count = 1;
        sq_cover_free(&cover);
    }
    SQ_TRY(sq_query_series(&source, lon, lat, both, 2, &cover, err));
    for (size_t i = 0; i < cover.nt; i++) {
        out->times[out->count] = cover.times[i];
        out->rates[out->count] = cover.values[0][i];
        out->probabilities[out->count++] = cover.values[1][i];
    }
    sq_cover_free(&cover);
    return SQUALL_OK;
}

/* The rate at a time between two known ones: linear; NaN where one of them is not known. */
static float rate_between(const series *s, int64_t time)
{
    for (size_t i = 0; i + 1 < s->count; i++) {
        if (time >= s->times[i] && time <= s->times[i + 1]) {
            const float part = (float)(time - s->times[i]) / (float)(s->times[i + 1] - s->times[i]);
            return s->rates[i] + part * (s->rates[i + 1] - s->rates[i]);
        }
    }
    return s->count > 0 && time == s->times[s->count - 1] ? s->rates[s->count - 1] : NAN;
}

/* Minute by minute: its beginning and end of rain, and what is known at all. */
typedef struct outlook {
    int64_t starts, ends, known_until;
    bool raining, any_known, gaps;
    float most;
} outlook;

static void look_out(const series *s, int64_t now, outlook *out, sq_json *json)
{
    *out = (outlook){.starts = SQ_TIME_NONE, .ends = SQ_TIME_NONE, .known_until = SQ_TIME_NONE};
    if (s->count == 0) {
        sq_json_array(json, "minutes");
        sq_json_end_array(json);
        return;
    }
    const int64_t first = (now > s->times[0] ? now : s->times[0]) / 60 * 60;
    const int64_t last = s->times[s->count - 1];
    bool wet_before = false;
    sq_json_array(json, "minutes");
    for (int64_t time = first < s->times[0] ? s->times[0] : first; time <= last; time += 60) {
        const float rate = rate_between(s, time);
        const bool wet = rate >= WET_MM_H;
        sq_json_object(json, NULL);
        sq_json_time(json, "time", time);
        sq_json_real(json, "mm_h", (double)rate, 4);
        sq_json_end_object(json);
        if (isnan(rate)) {
            out->gaps = true;
            continue;
        }
        out->raining = out->raining || (!out->any_known && wet);
        out->any_known = true;
        out->known_until = time;
        out->most = fmaxf(out->most, rate);
        if (wet && !wet_before && out->starts == SQ_TIME_NONE) {
            out->starts = time;
        }
        if (!wet && wet_before && out->ends == SQ_TIME_NONE) {
            out->ends = time;
        }
        wet_before = wet;
    }
    sq_json_end_array(json);
}

static void write_steps(const series *s, sq_json *json)
{
    sq_json_array(json, "steps");
    for (size_t i = 0; i < s->count; i++) {
        sq_json_object(json, NULL);
        sq_json_time(json, "time", s->times[i]);
        sq_json_real(json, "mm_h", (double)s->rates[i], 4);
        sq_json_real(json, "probability", (double)s->probabilities[i], 3);
        sq_json_end_object(json);
    }
    sq_json_end_array(json);
}

static float highest_probability(const series *s)
{
    float most = NAN;
    for (size_t i = 0; i < s->count; i++) {
        most = isnan(most) ? s->probabilities[i] : fmaxf(most, s->probabilities[i]);
    }
    return most;
}

static void write_point(const sq_serve_context *c, const sq_snapshot *s, const series *points,
                        double lon, double lat, sq_json *json)
{
    outlook out;
    sq_json_object(json, NULL);
    sq_json_real(json, "lon", lon, 9);
    sq_json_real(json, "lat", lat, 9);
    sq_json_text(json, "region", s->region);
    sq_json_text(json, "instance", s->id);
    sq_json_time(json, "issue_time", s->issue_time);
    sq_json_time(json, "now", c->now);
    sq_json_int(json, "age_s", c->now - s->issue_time);
    sq_json_text(json, "method", squall_method_name(s->method));
    sq_json_real(json, "quality_index", s->quality_index, 4);
    sq_json_text(json, "quality", s->quality);
    write_steps(points, json);
    look_out(points, c->now, &out, json);
    /* Nothing known is no all-clear: then there is neither a start nor a "no rain". */
    sq_json_text(json, "coverage", !out.any_known ? "none" : out.gaps ? "partial" : "full");
    sq_json_time(json, "known_until", out.known_until);
    if (out.any_known) {
        sq_json_bool(json, "raining", out.raining);
    } else {
        sq_json_null(json, "raining");
    }
    sq_json_time(json, "starts", out.starts);
    sq_json_time(json, "ends", out.ends);
    sq_json_real(json, "max_mm_h", out.any_known ? (double)out.most : NAN, 4);
    sq_json_real(json, "probability", (double)highest_probability(points), 3);
    sq_json_text(json, "probability_by", s->chances != NULL ? "ensemble" : "neighbourhood");
    sq_json_end_object(json);
}

void sq_serve_point(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    double lon = NAN, lat = NAN;
    series points;
    sq_json json = {0};
    const char *name = sq_http_argument_find(request, "region");
    if (!sq_serve_number(request, "lon", -360, 360, &lon, response) ||
        !sq_serve_number(request, "lat", -90, 90, &lat, response)) {
        return;
    }
    if (isnan(lon) || isnan(lat)) {
        sq_http_give_error(response, 400, "lon and lat must be given, in degrees");
        return;
    }
    sq_region *region = name != NULL ? sq_world_region(c->world, name) : choose_region(c, lon, lat);
    if (region == NULL) {
        sq_http_give_error(response, 404,
                           name != NULL ? "there is no region '%.60s'"
                                        : "no region with a forecast has this point%.0s",
                           name != NULL ? name : "");
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    if (s == NULL) {
        return;
    }
    if (read_series(s, lon, lat, &points, &problem) != SQUALL_OK) {
        sq_http_give_failure(response, &problem);
    } else {
        write_point(c, s, &points, lon, lat, &json);
        response->max_age_s = sq_serve_fresh_s(c, region);
        if (response->max_age_s > 60) {
            response->max_age_s = 60; /* its minutes begin with now */
        }
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
    sq_snapshot_drop(&s);
}

/* ---------------------------------------------------------------- search */

/* Whether `text` has `part` in it, whatever the case of its letters. */
static bool holds(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; *text != '\0'; text++) {
        if (strncasecmp(text, part, length) == 0) {
            return true;
        }
    }
    return false;
}

void sq_serve_search(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    const sq_config *config = c->world->config;
    const char *wanted = sq_http_argument_find(request, "q");
    double limit = 20;
    sq_json json = {0};
    if (!sq_serve_number(request, "limit", 1, 1000, &limit, response)) {
        return;
    }
    if (wanted == NULL || wanted[0] == '\0') {
        sq_http_give_error(response, 400, "q must be given");
        return;
    }
    size_t found = 0;
    sq_json_object(&json, NULL);
    sq_json_array(&json, "places");
    for (size_t i = 0; i < config->location_count && (double)found < limit; i++) {
        const sq_config_location *place = &config->locations[i];
        const char *title = place->title[0] != '\0' ? place->title : place->name;
        if (!holds(title, wanted) && !holds(place->name, wanted)) {
            continue;
        }
        sq_json_object(&json, NULL);
        sq_json_text(&json, "id", place->name);
        sq_json_text(&json, "name", title);
        sq_json_real(&json, "lon", place->lon, 9);
        sq_json_real(&json, "lat", place->lat, 9);
        sq_json_end_object(&json);
        found++;
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = 300;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}
