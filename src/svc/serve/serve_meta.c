/* svc/serve/serve_meta.c - what the service is and how it does: landing page, health, metrics,
 * regions, skill. */
#include <stdio.h>
#include <string.h>

#include "squall/verify.h"
#include "svc/infer/infer.h"
#include "svc/serve/serve_private.h"

enum { STATIC_AGE_S = 300 };

void sq_serve_landing(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    const sq_config_server *server = &c->world->config->server;
    const char *accept = sq_http_header_find(request, "Accept");
    sq_json json = {0};
    if (accept != NULL && strstr(accept, "text/html") != NULL &&
        sq_http_argument_find(request, "f") == NULL) { /* a browser: someone looks */
        sq_serve_map_page(context, request, response);
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_text(&json, "title", server->title);
    sq_json_text(&json, "description",
                 "Rain forecasts for the next hour, renewed with every radar image");
    sq_json_array(&json, "links");
    sq_serve_link(&json, request->base, "/", "self", SQ_TYPE_JSON, "this document");
    sq_serve_link(&json, request->base, "/api", "service-desc", SQ_TYPE_OPENAPI,
                  "the interface as OpenAPI");
    sq_serve_link(&json, request->base, "/conformance", "conformance", SQ_TYPE_JSON,
                  "standards that it follows");
    sq_serve_link(&json, request->base, "/collections", "data", SQ_TYPE_JSON, "collections");
    sq_serve_link(&json, request->base, "/status", "status", SQ_TYPE_JSON,
                  "regions and their ages");
    sq_serve_link(&json, request->base, "/map", "alternate", "text/html", "the map");
    sq_serve_link(&json, request->base, "/tileMatrixSets",
                  "http://www.opengis.net/def/rel/ogc/1.0/tiling-schemes", SQ_TYPE_JSON,
                  "tile matrix sets");
    sq_json_end_array(&json);
    if (server->institution[0] != '\0') {
        sq_json_object(&json, "provider");
        sq_json_text(&json, "name", server->institution);
        sq_json_end_object(&json);
    }
    sq_json_end_object(&json);
    response->max_age_s = STATIC_AGE_S;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_conformance(void *context, const sq_http_request *request, sq_http_response *response)
{
    static const char *const classes[] = {
        "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/collections",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/instances",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/queries",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/json",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/covjson",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/geojson",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/edr-geojson",
        "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/oas30",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
        "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/png",
        "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    };
    sq_json json = {0};
    (void)context;
    (void)request;
    sq_json_object(&json, NULL);
    sq_json_array(&json, "conformsTo");
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        sq_json_text(&json, NULL, classes[i]);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = STATIC_AGE_S;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

/* ---------------------------------------------------------------- health */

void sq_serve_live(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    (void)request;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "status", "live");
    sq_json_real(&json, "uptime_s", sq_clock_s() - c->serve->started_s, 6);
    sq_json_end_object(&json);
    response->max_age_s = -1;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_ready(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    size_t with = 0;
    (void)request;
    const size_t count = c->world->config->region_count;
    for (size_t i = 0; i < count; i++) {
        sq_snapshot *newest = sq_region_newest(c->world->regions[i], c->now);
        with += newest != NULL ? 1 : 0;
        sq_snapshot_drop(&newest);
    }
    /* A region without data is no reason to take the others away. */
    const bool ready = sq_cycle_ready(c->serve->cycle) && with > 0;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "status", ready ? "ready" : "waiting");
    sq_json_int(&json, "regions", (int64_t)count);
    sq_json_int(&json, "regions_with_forecast", (int64_t)with);
    sq_json_end_object(&json);
    if (!ready) {
        sq_http_add_header(response, "Retry-After", "5");
    }
    response->max_age_s = -1;
    sq_http_give_json(response, ready ? 200 : 503, SQ_TYPE_JSON, &json);
}

void sq_serve_metrics(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    const char *accept = sq_http_header_find(request, "Accept");
    const bool open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    sq_text text = {0};
    sq_cycle_update_metrics(c->serve->cycle);
    sq_infer_update_metrics(c->serve->infer);
    sq_metric_set(c->serve->listeners, (double)sq_http_hub_listeners(c->serve->hub), NULL);
    sq_metrics_write(c->serve->metrics, open, &text);
    response->max_age_s = -1;
    sq_http_give_text(response, 200,
                      open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                           : "text/plain; version=0.0.4; charset=utf-8",
                      &text);
}

void sq_serve_events(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    (void)request;
    sq_http_give_stream(response, c->serve->hub);
}

/* ---------------------------------------------------------------- regions */

static void write_bounds(const sq_place *place, sq_json *json)
{
    sq_json_array(json, "bbox");
    sq_json_real(json, NULL, place->west, 8);
    sq_json_real(json, NULL, place->south, 8);
    sq_json_real(json, NULL, place->east, 8);
    sq_json_real(json, NULL, place->north, 8);
    sq_json_end_array(json);
}

/* What is known of a forecast, beside its values. */
static void write_forecast(const sq_snapshot *s, int64_t now, sq_json *json)
{
    sq_json_text(json, "instance", s->id);
    sq_json_time(json, "issue_time", s->issue_time);
    sq_json_time(json, "made_time", s->made_time);
    sq_json_int(json, "age_s", now - s->issue_time);
    sq_json_text(json, "method", squall_method_name(s->method));
    sq_json_text(json, "model", s->model[0] != '\0' ? s->model : NULL);
    sq_json_text(json, "engine", s->engine[0] != '\0' ? s->engine : NULL);
    sq_json_real(json, "quality_index", s->quality_index, 4);
    sq_json_text(json, "quality", s->quality);
    sq_json_bool(json, "complete", s->complete);
    sq_json_real(json, "max_mm_h", s->max_mm_h, 5);
    sq_json_bool(json, "alarm", s->alarm);
    sq_json_time(json, "alarm_time", s->alarm ? s->alarm_time : SQ_TIME_NONE);
    sq_json_object(json, "seconds");
    sq_json_real(json, "wait", s->wait_s, 4);
    sq_json_real(json, "motion", s->motion_s, 4);
    sq_json_real(json, "features", s->features_s, 4);
    sq_json_real(json, "engine", s->engine_s, 4);
    sq_json_real(json, "fields", s->fields_s, 4);
    sq_json_real(json, "total", s->total_s, 4);
    sq_json_end_object(json);
}

static void write_status(const sq_serve_context *c, sq_region *region, sq_json *json)
{
    sq_region_status status;
    const sq_config_region *config = sq_region_config(region);
    sq_snapshot *newest = sq_region_newest(region, c->now);
    sq_region_status_get(region, &status);
    sq_json_object(json, NULL);
    sq_json_text(json, "region", config->name);
    sq_json_text(json, "title", sq_serve_region_title(region));
    sq_json_text(json, "state",
                 newest == NULL                         ? "no forecast"
                 : status.missing_since != SQ_TIME_NONE ? "late"
                                                        : "current");
    sq_json_time(json, "newest_frame", status.newest_frame);
    if (status.newest_frame != SQ_TIME_NONE) {
        sq_json_int(json, "frame_age_s", c->now - status.newest_frame);
    }
    sq_json_time(json, "missing_since", status.missing_since);
    sq_json_int(json, "frames", (int64_t)status.frames);
    sq_json_int(json, "instances", (int64_t)status.instances);
    sq_json_int(json, "cycles", (int64_t)status.cycles);
    sq_json_int(json, "failures", (int64_t)status.failures);
    sq_json_bool(json, "running", status.running);
    sq_json_real(json, "latency_s", status.last_latency_s, 4);
    if (newest != NULL) {
        sq_json_object(json, "forecast");
        write_forecast(newest, c->now, json);
        sq_json_end_object(json);
        write_bounds(newest->place, json);
    }
    sq_json_end_object(json);
    sq_snapshot_drop(&newest);
}

void sq_serve_status(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    (void)request;
    sq_json_object(&json, NULL);
    sq_json_time(&json, "now", c->now);
    sq_json_real(&json, "speed", sq_cycle_speed(c->serve->cycle), 8);
    sq_json_real(&json, "uptime_s", sq_clock_s() - c->serve->started_s, 6);
    sq_json_array(&json, "regions");
    for (size_t i = 0; i < c->world->config->region_count; i++) {
        write_status(c, c->world->regions[i], &json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

/* One time that can be shown, with the address of its tiles. */
static void write_time(const sq_http_request *request, const sq_snapshot *s, const sq_layer *layer,
                       sq_json *json)
{
    char id[SQ_INSTANCE_TEXT];
    sq_serve_format_id(layer->valid_time, id);
    sq_json_object(json, NULL);
    sq_json_time(json, "time", layer->valid_time);
    sq_json_int(json, "lead_s", layer->valid_time - s->issue_time);
    sq_json_format(json, "tiles", "%s/tiles/%s/%s/%s/{z}/{x}/{y}.png", request->base, s->region,
                   s->id, id);
    sq_json_end_object(json);
}

void sq_serve_region(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    sq_snapshot *s = region != NULL ? sq_serve_find_snapshot(c, region, request, response) : NULL;
    sq_json json = {0};
    if (s == NULL) {
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_text(&json, "region", s->region);
    sq_json_text(&json, "title", sq_serve_region_title(region));
    sq_json_text(&json, "attribution", sq_serve_attribution(c->world, region));
    sq_json_text(&json, "license", c->world->config->server.license);
    sq_json_time(&json, "now", c->now);
    sq_json_real(&json, "speed", sq_cycle_speed(c->serve->cycle), 8);
    sq_json_int(&json, "cadence_s", sq_region_config(region)->cadence_s);
    write_bounds(s->place, &json);
    write_forecast(s, c->now, &json);
    sq_json_raw(&json, "inputs", s->inputs != NULL ? s->inputs : "null");
    sq_json_array(&json, "observed");
    for (size_t i = 0; i < s->observed_count; i++) {
        write_time(request, s, s->observed[i], &json);
    }
    sq_json_end_array(&json);
    sq_json_array(&json, "forecast");
    for (size_t i = 0; i < s->count; i++) {
        write_time(request, s, s->layers[i], &json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_snapshot_drop(&s);
    response->max_age_s = 0;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

/* ---------------------------------------------------------------- skill */

static void write_score(void *arg, const sq_score_row *row)
{
    sq_json *json = arg;
    const squall_contingency counts = {row->hits, row->misses, row->false_alarms,
                                       row->correct_negatives};
    const squall_errors errors = {row->cells, row->sum_abs, row->sum_sq, row->sum_error};
    const squall_fractions fractions = {row->fss_difference, row->fss_forecast,
                                        row->fss_observation};
    sq_json_object(json, NULL);
    sq_json_text(json, "region", row->region);
    sq_json_text(json, "method", row->method);
    sq_json_text(json, "model", row->model[0] != '\0' ? row->model : NULL);
    sq_json_int(json, "lead_s", row->lead_s);
    sq_json_int(json, "forecasts", (int64_t)row->forecasts);
    sq_json_time(json, "newest_issue", row->issue_time);
    sq_json_real(json, "threshold_mm_h", row->threshold_mm_h, 4);
    sq_json_real(json, "csi", squall_csi(&counts), 5);
    sq_json_real(json, "pod", squall_pod(&counts), 5);
    sq_json_real(json, "far", squall_far(&counts), 5);
    sq_json_real(json, "bias", squall_bias(&counts), 5);
    sq_json_real(json, "fss", squall_fss(&fractions), 5);
    sq_json_real(json, "mae_mm_h", squall_mae(&errors), 5);
    sq_json_end_object(json);
}

void sq_serve_skill(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    sq_json json = {0};
    double hours = 24.0;
    const char *region = sq_http_argument_find(request, "region");
    if (!sq_serve_number(request, "hours", 0.1, 87600, &hours, response)) {
        return;
    }
    if (region != NULL && sq_world_region(c->world, region) == NULL) {
        sq_http_give_error(response, 404, "there is no region '%.80s'", region);
        return;
    }
    sq_json_object(&json, NULL);
    sq_json_time(&json, "since", c->now - (int64_t)(hours * 3600.0));
    sq_json_array(&json, "scores");
    if (sq_catalogue_skill(c->serve->catalogue, region, c->now - (int64_t)(hours * 3600.0),
                           write_score, &json, &problem) != SQUALL_OK) {
        sq_json_free(&json);
        sq_http_give_failure(response, &problem);
        return;
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = 0;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}
