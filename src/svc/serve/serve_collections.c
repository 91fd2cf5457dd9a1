/* svc/serve/serve_collections.c - OGC API - EDR: what there is to ask for. */
#include <stdio.h>
#include <string.h>

#include "svc/serve/serve_private.h"

#define CRS84 "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
#define CRS84_WKT                                          \
    "GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS " \
    "84\",6378137,298.257223563]],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]]"
#define TRS_WKT                                                                               \
    "TIMECRS[\"DateTime\",TDATUM[\"Gregorian Calendar\"],CS[TemporalDateTime,1],AXIS[\"Time " \
    "(T)\",future]]"

/* One query that a collection answers. */
typedef struct query_row {
    const char *name;
    bool gridded; /* NetCDF too */
} query_row;

static const query_row queries[] = {{"position", false},   {"radius", true},
                                    {"area", true},        {"cube", true},
                                    {"trajectory", false}, {"locations", false}};

static void write_formats(const query_row *query, sq_json *json)
{
    sq_json_array(json, "output_formats");
    sq_json_text(json, NULL, "CoverageJSON");
    sq_json_text(json, NULL, "GeoJSON");
    sq_json_text(json, NULL, "CSV");
    if (query == NULL || query->gridded) {
        sq_json_text(json, NULL, "NetCDF4");
    }
    sq_json_end_array(json);
}

static void write_query(const char *base, const char *path, const query_row *query, sq_json *json)
{
    sq_json_object(json, query->name);
    sq_json_object(json, "link");
    sq_json_format(json, "href", "%s%s/%s", base, path, query->name);
    sq_json_text(json, "rel", "data");
    sq_json_text(json, "type", SQ_TYPE_COVJSON);
    sq_json_object(json, "variables");
    sq_json_format(json, "title", "%s query", query->name);
    sq_json_text(json, "query_type", query->name);
    write_formats(query, json);
    sq_json_text(json, "default_output_format", "CoverageJSON");
    sq_json_array(json, "crs_details");
    sq_json_object(json, NULL);
    sq_json_text(json, "crs", "CRS84");
    sq_json_text(json, "wkt", CRS84_WKT);
    sq_json_end_object(json);
    sq_json_end_array(json);
    if (strcmp(query->name, "radius") == 0) {
        sq_json_array(json, "within_units");
        sq_json_text(json, NULL, "km");
        sq_json_text(json, NULL, "m");
        sq_json_text(json, NULL, "mi");
        sq_json_text(json, NULL, "nmi");
        sq_json_end_array(json);
    }
    sq_json_end_object(json);
    sq_json_end_object(json);
    sq_json_end_object(json);
}

static void write_parameter(const sq_parameter *p, sq_json *json)
{
    sq_json_object(json, p->name);
    sq_json_text(json, "type", "Parameter");
    sq_json_text(json, "label", p->label);
    sq_json_text(json, "description", p->description);
    sq_json_text(json, "data-type", "float");
    sq_json_object(json, "unit");
    sq_json_text(json, "label", p->unit_label);
    sq_json_object(json, "symbol");
    sq_json_text(json, "value", p->unit_symbol);
    sq_json_text(json, "type", "http://www.opengis.net/def/uom/UCUM/");
    sq_json_end_object(json);
    sq_json_end_object(json);
    sq_json_object(json, "observedProperty");
    sq_json_text(json, "id", p->property_id);
    sq_json_text(json, "label", p->property_label);
    sq_json_end_object(json);
    sq_json_end_object(json);
}

static void write_extent(const sq_snapshot *s, bool observed, sq_json *json)
{
    sq_layer *const *layers = observed ? s->observed : s->layers;
    const size_t count = observed ? s->observed_count : s->count;
    sq_json_object(json, "extent");
    sq_json_object(json, "spatial");
    sq_json_array(json, "bbox");
    sq_json_array(json, NULL);
    sq_json_real(json, NULL, s->place->west, 8);
    sq_json_real(json, NULL, s->place->south, 8);
    sq_json_real(json, NULL, s->place->east, 8);
    sq_json_real(json, NULL, s->place->north, 8);
    sq_json_end_array(json);
    sq_json_end_array(json);
    sq_json_text(json, "crs", CRS84);
    sq_json_end_object(json);
    if (count > 0) {
        sq_json_object(json, "temporal");
        sq_json_array(json, "interval");
        sq_json_array(json, NULL);
        sq_json_time(json, NULL, layers[0]->valid_time);
        sq_json_time(json, NULL, layers[count - 1]->valid_time);
        sq_json_end_array(json);
        sq_json_end_array(json);
        sq_json_array(json, "values");
        for (size_t i = 0; i < count; i++) {
            sq_json_time(json, NULL, layers[i]->valid_time);
        }
        sq_json_end_array(json);
        sq_json_text(json, "trs", TRS_WKT);
        sq_json_end_object(json);
    }
    sq_json_end_object(json);
}

/* One collection, or one instance of it (`instance` is then its id). */
static void write_collection(const sq_serve_context *c, const sq_http_request *request,
                             const sq_region *region, const sq_snapshot *s, bool observed,
                             bool instance, sq_json *json)
{
    char path[256], id[80];
    const char *name = sq_region_config(region)->name;
    const char *suffix = observed ? "-observed" : "";
    snprintf(id, sizeof id, "%s%s", name, suffix);
    snprintf(path, sizeof path, "/collections/%s%s%s", id, instance ? "/instances/" : "",
             instance ? s->id : "");
    sq_json_object(json, NULL);
    sq_json_text(json, "id", instance ? s->id : id);
    sq_json_format(json, "title", "%s, %s%s%s", sq_serve_region_title(region),
                   observed ? "observed rain" : "rain forecast", instance ? " of " : "",
                   instance ? s->id : "");
    sq_json_format(json, "description", "%s Forecast by %s; quality %.2f (%s).",
                   sq_serve_attribution(c->world, region), squall_method_name(s->method),
                   s->quality_index, s->quality);
    sq_json_array(json, "keywords");
    sq_json_text(json, NULL, "rain");
    sq_json_text(json, NULL, observed ? "radar" : "nowcast");
    sq_json_end_array(json);
    sq_json_array(json, "links");
    sq_serve_link(json, request->base, path, "self", SQ_TYPE_JSON, NULL);
    sq_serve_link(json, request->base, path, instance ? "instance" : "collection", SQ_TYPE_JSON,
                  NULL);
    char sub[320];
    snprintf(sub, sizeof sub, "%s/position", path);
    sq_serve_link(json, request->base, sub, "data", SQ_TYPE_COVJSON, NULL);
    if (!instance) {
        snprintf(sub, sizeof sub, "%s/map/tiles", path);
        sq_serve_link(json, request->base, sub,
                      "http://www.opengis.net/def/rel/ogc/1.0/tilesets-map", SQ_TYPE_JSON, NULL);
    }
    sq_json_end_array(json);
    write_extent(s, observed, json);
    sq_json_object(json, "data_queries");
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        write_query(request->base, path, &queries[i], json);
    }
    if (!observed && !instance) {
        sq_json_object(json, "instances");
        sq_json_object(json, "link");
        sq_json_format(json, "href", "%s%s/instances", request->base, path);
        sq_json_text(json, "rel", "data");
        sq_json_text(json, "type", SQ_TYPE_JSON);
        sq_json_object(json, "variables");
        sq_json_text(json, "query_type", "instances");
        sq_json_end_object(json);
        sq_json_end_object(json);
        sq_json_end_object(json);
    }
    sq_json_end_object(json);
    sq_json_array(json, "crs");
    sq_json_text(json, NULL, "CRS84");
    sq_json_end_array(json);
    write_formats(NULL, json);
    sq_json_object(json, "parameter_names");
    for (size_t i = 0; i < (observed ? 1u : (size_t)SQ_PARAMETERS); i++) {
        write_parameter(&sq_parameters[i], json);
    }
    sq_json_end_object(json);
    sq_json_end_object(json);
}

void sq_serve_collections(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    int32_t fresh = INT32_MAX;
    sq_json_object(&json, NULL);
    sq_json_array(&json, "links");
    sq_serve_link(&json, request->base, "/collections", "self", SQ_TYPE_JSON, NULL);
    sq_json_end_array(&json);
    sq_json_array(&json, "collections");
    for (size_t i = 0; i < c->world->config->region_count; i++) {
        sq_region *region = c->world->regions[i];
        sq_snapshot *s = sq_region_newest(region, c->now);
        const int32_t one = sq_serve_fresh_s(c, region);
        fresh = one < fresh ? one : fresh;
        if (s != NULL) { /* a region without a forecast has nothing to ask for */
            write_collection(c, request, region, s, false, false, &json);
            if (s->observed_count > 0) {
                write_collection(c, request, region, s, true, false, &json);
            }
        }
        sq_snapshot_drop(&s);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = fresh;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_collection(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    bool observed;
    sq_json json = {0};
    sq_region *region = sq_serve_find_region(c, request, &observed, response);
    sq_snapshot *s = region != NULL ? sq_serve_find_snapshot(c, region, request, response) : NULL;
    if (s != NULL) {
        write_collection(c, request, region, s, observed, false, &json);
        response->max_age_s = sq_serve_fresh_s(c, region);
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
    sq_snapshot_drop(&s);
}

void sq_serve_instances(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_snapshot *list[289];
    bool observed;
    char path[128];
    sq_json json = {0};
    sq_region *region = sq_serve_find_region(c, request, &observed, response);
    if (region == NULL) {
        return;
    }
    if (observed) {
        sq_http_give_error(response, 404, "observations have no instances");
        return;
    }
    const size_t count = sq_region_instances(region, list, sizeof list / sizeof list[0]);
    snprintf(path, sizeof path, "/collections/%s/instances", sq_region_config(region)->name);
    sq_json_object(&json, NULL);
    sq_json_array(&json, "links");
    sq_serve_link(&json, request->base, path, "self", SQ_TYPE_JSON, NULL);
    sq_json_end_array(&json);
    sq_json_array(&json, "instances");
    for (size_t i = count; i-- > 0;) {
        write_collection(c, request, region, list[i], false, true, &json);
        sq_snapshot_drop(&list[i]);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    response->max_age_s = sq_serve_fresh_s(c, region);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_instance(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    bool observed;
    sq_json json = {0};
    sq_region *region = sq_serve_find_region(c, request, &observed, response);
    if (region == NULL) {
        return;
    }
    if (observed) {
        sq_http_give_error(response, 404, "observations have no instances");
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    if (s != NULL) {
        write_collection(c, request, region, s, false, true, &json);
        response->max_age_s = sq_serve_fresh_s(c, region);
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
    sq_snapshot_drop(&s);
}
