/* svc/serve/serve_share.c - what handlers do in common. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/serve/serve_private.h"

#define OBSERVED "-observed" /* ends the name of a collection of observations */

sq_region *sq_serve_find_region(const sq_serve_context *context, const sq_http_request *request,
                                bool *observed, sq_http_response *response)
{
    char name[SQ_CONFIG_NAME];
    const char *wanted = sq_http_capture_find(request, "collection");
    const bool collection = wanted != NULL;
    wanted = collection ? wanted : sq_http_capture_find(request, "region");
    const size_t length = wanted != NULL ? strlen(wanted) : 0;
    const size_t ending = strlen(OBSERVED);
    sq_region *region = wanted != NULL ? sq_world_region(context->world, wanted) : NULL;
    if (observed != NULL) {
        *observed = false;
    }
    if (region == NULL && collection && length > ending && length - ending < sizeof name &&
        strcmp(wanted + length - ending, OBSERVED) == 0) {
        memcpy(name, wanted, length - ending);
        name[length - ending] = '\0';
        region = sq_world_region(context->world, name);
        if (observed != NULL) {
            *observed = region != NULL;
        }
    }
    if (region == NULL) {
        sq_http_give_error(response, 404, "there is no %s '%.80s'",
                           collection ? "collection" : "region", wanted != NULL ? wanted : "");
    }
    return region;
}

sq_snapshot *sq_serve_find_snapshot(const sq_serve_context *context, sq_region *region,
                                    const sq_http_request *request, sq_http_response *response)
{
    int64_t time;
    char retry[16];
    const char *wanted = sq_http_capture_find(request, "instance");
    if (wanted != NULL && strcmp(wanted, "latest") != 0) {
        sq_snapshot *found =
            sq_serve_parse_id(wanted, &time) ? sq_region_instance(region, time) : NULL;
        if (found == NULL) {
            sq_http_give_error(response, 404, "there is no instance '%.40s'", wanted);
        }
        return found;
    }
    sq_snapshot *newest = sq_region_newest(region, context->now);
    if (newest == NULL) {
        snprintf(retry, sizeof retry, "%d", sq_serve_fresh_s(context, region));
        sq_http_add_header(response, "Retry-After", retry);
        sq_http_give_error(response, 503, "no forecast: region %s has none younger than %d minutes",
                           sq_region_config(region)->name, sq_region_config(region)->max_age_min);
    }
    return newest;
}

int32_t sq_serve_fresh_s(const sq_serve_context *context, sq_region *region)
{
    sq_region_status status;
    const sq_config_region *config = sq_region_config(region);
    sq_region_status_get(region, &status);
    const double speed = sq_cycle_speed(context->serve->cycle);
    double left = (double)config->cadence_s;
    if (status.newest_issue != SQ_TIME_NONE) {
        left = (double)(status.newest_issue + 2 * (int64_t)config->cadence_s - context->now);
        left = fmin(fmax(left, 0.1 * config->cadence_s), (double)config->cadence_s);
    }
    return (int32_t)fmax(1.0, left / speed);
}

void sq_serve_link(sq_json *json, const char *base, const char *path, const char *rel,
                   const char *type, const char *title)
{
    sq_json_object(json, NULL);
    sq_json_format(json, "href", "%s%s", base, path);
    sq_json_text(json, "rel", rel);
    sq_json_text(json, "type", type);
    if (title != NULL) {
        sq_json_text(json, "title", title);
    }
    sq_json_end_object(json);
}

const char *sq_serve_region_title(const sq_region *region)
{
    const sq_config_region *config = sq_region_config(region);
    return config->title[0] != '\0' ? config->title : config->name;
}

const char *sq_serve_attribution(const sq_world *world, const sq_region *region)
{
    for (size_t i = 0; i < world->config->source_count; i++) {
        if (strcmp(world->config->sources[i].name, sq_region_config(region)->radar) == 0) {
            return world->config->sources[i].attribution;
        }
    }
    return "";
}

bool sq_serve_parse_id(const char *text, int64_t *out)
{
    return strlen(text) >= 10 && strlen(text) < SQ_INSTANCE_TEXT && sq_time_parse(text, out);
}

char *sq_serve_format_id(int64_t time, char *text)
{
    int year, month, day, hour, minute, second;
    sq_time_split(time, &year, &month, &day, &hour, &minute, &second, NULL);
    snprintf(text, SQ_INSTANCE_TEXT, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)year % 10000u,
             (unsigned)month % 100u, (unsigned)day % 100u, (unsigned)hour % 100u,
             (unsigned)minute % 100u, (unsigned)second % 100u);
    return text;
}

bool sq_serve_number(const sq_http_request *request, const char *name, double low, double high,
                     double *out, sq_http_response *response)
{
    char *end;
    const char *text = sq_http_argument_find(request, name);
    if (text == NULL) {
        return true;
    }
    errno = 0;
    const double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= low) || !(value <= high)) {
        sq_http_give_error(response, 400, "%s: '%.40s' is not a number from %.10g to %.10g", name,
                           text, low, high);
        return false;
    }
    *out = value;
    return true;
}
