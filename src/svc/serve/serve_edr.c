/* svc/serve/serve_edr.c - OGC API - EDR: queries and their answers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "squall/product.h"
#include "svc/serve/serve_private.h"

enum { MOST_COVERS = 1000 };

typedef enum format { FORMAT_COVJSON, FORMAT_GEOJSON, FORMAT_CSV, FORMAT_NETCDF } format;

/* One query: what it asks, and the forecast that answers. */
typedef struct question {
    const sq_serve_context *context;
    const sq_http_request *request;
    sq_http_response *response;
    sq_region *region;
    sq_snapshot *snapshot; /* kept */
    bool observed, fixed;  /* fixed: an instance was named */
    format format;
    const char *type; /* of the answer */
    const sq_layer *layers[512], *chances[512];
    int32_t leads_s[512];
    sq_query_source source;
    sq_parameter_id parameters[SQ_PARAMETERS];
    size_t parameter_count, most;
    squall_error problem;
} question;

/* ---------------------------------------------------------------- understanding */

static bool refuse(question *q)
{
    if (q->problem.code == SQUALL_E_NO_DATA) {
        q->response->status = 204; /* there is nothing there: no content, as EDR has it */
        q->response->type = NULL;
    } else {
        sq_http_give_failure(q->response, &q->problem);
    }
    return false;
}

/* `f`, else Accept, else CoverageJSON. */
static bool choose_format(question *q, bool gridded)
{
    static const struct {
        const char *f, *accept, *type;
        format format;
    } formats[] = {{"CoverageJSON", "application/prs.coverage+json", SQ_TYPE_COVJSON,
                    FORMAT_COVJSON},
                   {"covjson", "application/vnd.cov+json", "application/vnd.cov+json",
                    FORMAT_COVJSON},
                   {"json", SQ_TYPE_JSON, SQ_TYPE_COVJSON, FORMAT_COVJSON},
                   {"GeoJSON", SQ_TYPE_GEOJSON, SQ_TYPE_GEOJSON, FORMAT_GEOJSON},
                   {"CSV", "text/csv", SQ_TYPE_CSV, FORMAT_CSV},
                   {"NetCDF4", SQ_TYPE_NETCDF, SQ_TYPE_NETCDF, FORMAT_NETCDF},
                   {"NetCDF", "application/netcdf", SQ_TYPE_NETCDF, FORMAT_NETCDF}};
    const char *f = sq_http_argument_find(q->request, "f");
    const char *accept = sq_http_header_find(q->request, "Accept");
    q->format = FORMAT_COVJSON;
    q->type = SQ_TYPE_COVJSON;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const bool asked =
            f != NULL ? strcasecmp(f, formats[i].f) == 0 || strcasecmp(f, formats[i].accept) == 0
                      : accept != NULL && strstr(accept, formats[i].accept) != NULL;
        if (asked && (gridded || formats[i].format != FORMAT_NETCDF)) {
            q->format = formats[i].format;
            q->type = formats[i].type;
            return true;
        }
    }
    if (f != NULL) {
        sq_http_give_error(q->response, 400, "f: '%.40s' is none of: CoverageJSON, GeoJSON, CSV%s",
                           f, gridded ? ", NetCDF4" : "");
        return false;
    }
    return true;
}

static bool check_crs(question *q)
{
    static const char *const known[] = {
        "CRS84",     "CRS:84", "OGC:CRS84",
        "EPSG:4326", "4326",   "http://www.opengis.net/def/crs/OGC/1.3/CRS84"};
    const char *crs = sq_http_argument_find(q->request, "crs");
    for (size_t i = 0; crs != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(crs, known[i]) == 0) {
            return true;
        }
    }
    if (crs != NULL) {
        sq_http_give_error(q->response, 400, "crs: '%.80s' is none that is known; CRS84 is", crs);
    }
    return crs == NULL;
}

/* The layers within `datetime`; 204 when there is none. */
static bool choose_layers(question *q)
{
    int64_t from = INT64_MIN, to = INT64_MAX;
    const sq_snapshot *s = q->snapshot;
    const char *datetime = sq_http_argument_find(q->request, "datetime");
    if (datetime != NULL && sq_query_time(datetime, &from, &to, &q->problem) != SQUALL_OK) {
        return refuse(q);
    }
    const size_t count = q->observed ? s->observed_count : s->count;
    q->source = (sq_query_source){.place = s->place,
                                  .layers = q->layers,
                                  .chances = !q->observed && s->chances != NULL ? q->chances : NULL,
                                  .leads_s = q->observed ? NULL : q->leads_s};
    for (size_t i = 0; i < count && q->source.count < 512; i++) {
        const sq_layer *layer = q->observed ? s->observed[i] : s->layers[i];
        /* One time means the layer that is valid then, within half a cadence. */
        const int64_t slack = from == to ? sq_region_config(q->region)->cadence_s / 2 : 0;
        if (layer->valid_time >= (from == INT64_MIN ? from : from - slack) &&
            layer->valid_time <= (to == INT64_MAX ? to : to + slack - (slack > 0 ? 1 : 0))) {
            q->leads_s[q->source.count] = (int32_t)(layer->valid_time - s->issue_time);
            q->chances[q->source.count] = !q->observed && s->chances != NULL ? s->chances[i] : NULL;
            q->layers[q->source.count++] = layer;
        }
    }
    if (q->source.count == 0) {
        q->problem.code = SQUALL_E_NO_DATA;
        return refuse(q);
    }
    return true;
}

static bool choose_parameters(question *q)
{
    const char *names = sq_http_argument_find(q->request, "parameter-name");
    names = names != NULL ? names : sq_http_argument_find(q->request, "parameter_names");
    if (sq_query_parameters(names, q->observed, q->parameters, &q->parameter_count, &q->problem) !=
        SQUALL_OK) {
        return refuse(q);
    }
    if (q->format == FORMAT_NETCDF) { /* a product of rain rates */
        q->parameters[0] = SQ_PARAMETER_RATE;
        q->parameter_count = 1;
    }
    return true;
}

/* Begin a query; false, with the answer made, when it cannot be. End it with end_question(). */
static bool begin_question(question *q, void *context, const sq_http_request *request,
                           sq_http_response *response, bool gridded)
{
    memset(q, 0, sizeof *q);
    q->context = context;
    q->request = request;
    q->response = response;
    q->most = (size_t)q->context->world->config->limits.values * 1000;
    const char *instance = sq_http_capture_find(request, "instance");
    q->fixed = instance != NULL && strcmp(instance, "latest") != 0;
    q->region = sq_serve_find_region(q->context, request, &q->observed, response);
    if (q->region == NULL) {
        return false;
    }
    if (q->observed && instance != NULL) {
        sq_http_give_error(response, 404, "observations have no instances");
        return false;
    }
    if (!choose_format(q, gridded) || !check_crs(q)) {
        return false;
    }
    q->snapshot = sq_serve_find_snapshot(q->context, q->region, request, response);
    return q->snapshot != NULL && choose_parameters(q) && choose_layers(q);
}

static void end_question(question *q)
{
    sq_snapshot_drop(&q->snapshot);
}

/* A parameter that must be there. */
static const char *need(question *q, const char *name)
{
    const char *text = sq_http_argument_find(q->request, name);
    if (text == NULL || text[0] == '\0') {
        sq_http_give_error(q->response, 400, "%s must be given", name);
        return NULL;
    }
    return text;
}

/* `coords` as a shape of one kind; false with 400 made. Release with sq_shape_free(). */
static bool need_shape(question *q, sq_shape_kind kind, const char *what, sq_shape *out)
{
    const char *coords = need(q, "coords");
    memset(out, 0, sizeof *out);
    if (coords == NULL) {
        return false;
    }
    if (sq_shape_parse(coords, out, &q->problem) != SQUALL_OK) {
        return refuse(q);
    }
    if (out->kind != kind) {
        sq_shape_free(out);
        sq_http_give_error(q->response, 400, "coords: this query takes %s", what);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- answering */

static void free_file(void *owner)
{
    sq_free(owner);
}

/* A grid as a CF-NetCDF file, by way of a file on disk. */
static squall_status give_netcdf(question *q, const sq_cover *cover)
{
    char path[SQ_CONFIG_TEXT + 64];
    squall_field **fields = NULL;
    squall_product_info info;
    unsigned char *bytes = NULL;
    size_t size = 0;
    unsigned char random[8];
    char name[2 * sizeof random + 1];
    const sq_config_server *server = &q->context->world->config->server;
    SQ_TRY(sq_random_bytes(random, sizeof random, &q->problem));
    snprintf(path, sizeof path, "%s/answer-%s.nc", server->data,
             sq_hex_format(random, sizeof random, name));
    SQ_TRY(sq_cover_fields(cover, &fields, &q->problem));
    squall_product_info_init(&info);
    info.issue_time = q->snapshot->issue_time;
    info.method = squall_method_name(q->snapshot->method);
    info.quality = q->snapshot->quality;
    info.quality_index = q->snapshot->quality_index;
    info.attribution = sq_serve_attribution(q->context->world, q->region);
    info.history = "squall serve";
    info.institution = server->institution[0] != '\0' ? server->institution : NULL;
    info.license = server->license[0] != '\0' ? server->license : NULL;
    squall_status status = squall_netcdf_write(path, (const squall_field *const *)fields, cover->nt,
                                               &info, &q->problem);
    for (size_t i = 0; i < cover->nt; i++) {
        squall_field_destroy(&fields[i]);
    }
    sq_free(fields);
    if (status == SQUALL_OK) {
        status = sq_file_read(path, (size_t)1 << 30, &bytes, &size, &q->problem);
        unlink(path);
    }
    if (status == SQUALL_OK) {
        q->response->plain = true;
        sq_http_add_header(q->response, "Content-Disposition",
                           "attachment; filename=\"squall.nc\"");
        sq_http_give_bytes(q->response, 200, SQ_TYPE_NETCDF, bytes, size, free_file, bytes);
    }
    return status;
}

/* Give the covers as the answer, and release them. */
static void give_covers(question *q, sq_cover *covers, size_t count)
{
    bool covered = false;
    sq_json json = {0};
    sq_text text = {0};
    for (size_t i = 0; i < count; i++) {
        covered = covered || covers[i].covered;
    }
    q->response->max_age_s = sq_serve_fresh_s(q->context, q->region);
    q->response->immutable = false;
    if (!covered && q->format == FORMAT_NETCDF) {
        q->problem.code = SQUALL_E_NO_DATA;
        refuse(q);
    } else if (q->format == FORMAT_COVJSON) {
        sq_write_covjson(covers, count, &json);
        sq_http_give_json(q->response, 200, q->type, &json);
    } else if (q->format == FORMAT_GEOJSON) {
        sq_write_geojson(covers, count, &json);
        sq_http_give_json(q->response, 200, q->type, &json);
    } else if (q->format == FORMAT_CSV) {
        sq_write_csv(covers, count, &text);
        sq_http_give_text(q->response, 200, q->type, &text);
    } else if (give_netcdf(q, &covers[0]) != SQUALL_OK) {
        refuse(q);
    }
    for (size_t i = 0; i < count; i++) {
        sq_cover_free(&covers[i]);
    }
}

void sq_serve_position(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    sq_shape shape = {0};
    sq_cover *covers = NULL;
    if (!begin_question(&q, context, request, response, false) ||
        !need_shape(&q, SQ_SHAPE_POINTS, "POINT or MULTIPOINT", &shape)) {
        end_question(&q);
        return;
    }
    size_t made = 0;
    if (shape.count > MOST_COVERS) {
        sq_http_give_error(response, 413, "more than %d points", MOST_COVERS);
        goto done;
    }
    covers = sq_alloc(shape.count, sizeof *covers);
    while (covers != NULL && made < shape.count &&
           sq_query_series(&q.source, shape.points[made].lon, shape.points[made].lat, q.parameters,
                           q.parameter_count, &covers[made], &q.problem) == SQUALL_OK) {
        made++;
    }
    if (made < shape.count) {
        sq_http_give_error(response, 503, "no memory");
        for (size_t i = 0; i < made; i++) {
            sq_cover_free(&covers[i]);
        }
    } else {
        give_covers(&q, covers, made);
    }
done:
    sq_free(covers);
    sq_shape_free(&shape);
    end_question(&q);
}

static void give_grid(question *q, const sq_query_area *area)
{
    sq_cover cover;
    if (sq_query_grid(&q->source, area, q->parameters, q->parameter_count, &cover, &q->problem) !=
        SQUALL_OK) {
        refuse(q);
        return;
    }
    give_covers(q, &cover, 1);
}

void sq_serve_area(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    sq_shape shape = {0};
    if (begin_question(&q, context, request, response, true) &&
        need_shape(&q, SQ_SHAPE_POLYGONS, "POLYGON or MULTIPOLYGON", &shape)) {
        const sq_query_area area = {.box = {shape.west, shape.south, shape.east, shape.north},
                                    .shape = &shape,
                                    .most = q.most};
        give_grid(&q, &area);
    }
    sq_shape_free(&shape);
    end_question(&q);
}

void sq_serve_cube(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    sq_query_area area = {0};
    const bool begun = begin_question(&q, context, request, response, true);
    const char *bbox = begun ? need(&q, "bbox") : NULL;
    if (bbox != NULL) {
        area.most = q.most;
        if (sq_query_box(bbox, area.box, &q.problem) != SQUALL_OK) {
            refuse(&q);
        } else {
            give_grid(&q, &area);
        }
    }
    end_question(&q);
}

void sq_serve_radius(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    sq_shape shape = {0};
    sq_query_area area = {0};
    const bool begun = begin_question(&q, context, request, response, true) &&
                       need_shape(&q, SQ_SHAPE_POINTS, "POINT", &shape);
    const char *within = begun ? need(&q, "within") : NULL;
    const char *units = within != NULL ? need(&q, "within-units") : NULL;
    if (units != NULL && shape.count != 1) {
        sq_http_give_error(response, 400, "coords: this query takes one POINT");
    } else if (units != NULL &&
               sq_query_length(within, units, &area.radius_m, &q.problem) != SQUALL_OK) {
        refuse(&q);
    } else if (units != NULL) {
        const double dy = area.radius_m / 111195.0;
        area.lon = shape.points[0].lon;
        area.lat = shape.points[0].lat;
        const double dx = dy / fmax(0.01, cos(area.lat * M_PI / 180.0));
        area.box[0] = area.lon - dx;
        area.box[1] = area.lat - dy;
        area.box[2] = area.lon + dx;
        area.box[3] = area.lat + dy;
        area.most = q.most;
        give_grid(&q, &area);
    }
    sq_shape_free(&shape);
    end_question(&q);
}

/* A line with times of its own is one cover; else there is one for each time. */
static void give_tracks(question *q, const sq_shape *line)
{
    const size_t count = line->timed ? 1 : q->source.count;
    sq_cover *covers = sq_alloc(count, sizeof *covers);
    size_t made = 0;
    if (covers == NULL) {
        sq_http_give_error(q->response, 503, "no memory");
        return;
    }
    while (made < count && sq_query_track(&q->source, line, q->layers[made]->valid_time,
                                          q->most / count, q->parameters, q->parameter_count,
                                          &covers[made], &q->problem) == SQUALL_OK) {
        made++;
    }
    if (made < count) {
        for (size_t i = 0; i < made; i++) {
            sq_cover_free(&covers[i]);
        }
        refuse(q);
    } else {
        give_covers(q, covers, count);
    }
    sq_free(covers);
}

void sq_serve_trajectory(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    sq_shape line = {0};
    if (begin_question(&q, context, request, response, false) &&
        need_shape(&q, SQ_SHAPE_LINE, "LINESTRING, LINESTRINGZ, LINESTRINGM or LINESTRINGZM",
                   &line)) {
        give_tracks(&q, &line);
    }
    sq_shape_free(&line);
    end_question(&q);
}

/* ---------------------------------------------------------------- places by name */

static bool within(const sq_config_location *place, const double box[4])
{
    return place->lon >= box[0] && place->lon <= box[2] && place->lat >= box[1] &&
           place->lat <= box[3];
}

static void write_place(const sq_config_location *place, const char *base, const char *collection,
                        sq_json *json)
{
    sq_json_object(json, NULL);
    sq_json_text(json, "type", "Feature");
    sq_json_text(json, "id", place->name);
    sq_json_object(json, "geometry");
    sq_json_text(json, "type", "Point");
    sq_json_array(json, "coordinates");
    sq_json_real(json, NULL, place->lon, 9);
    sq_json_real(json, NULL, place->lat, 9);
    sq_json_end_array(json);
    sq_json_end_object(json);
    sq_json_object(json, "properties");
    sq_json_text(json, "name", place->title[0] != '\0' ? place->title : place->name);
    sq_json_format(json, "edrqueryendpoint", "%s/collections/%s/locations/%s", base, collection,
                   place->name);
    sq_json_end_object(json);
    sq_json_end_object(json);
}

void sq_serve_locations(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    const sq_config *config = c->world->config;
    squall_error problem = {.code = SQUALL_OK};
    double limit = SQ_CONFIG_ITEMS, box[4] = {-360, -90, 360, 90};
    const char *bbox = sq_http_argument_find(request, "bbox");
    sq_json json = {0};
    sq_region *region = sq_serve_find_region(c, request, NULL, response);
    if (region == NULL || !sq_serve_number(request, "limit", 1, 10000, &limit, response)) {
        return;
    }
    if (bbox != NULL && sq_query_box(bbox, box, &problem) != SQUALL_OK) {
        sq_http_give_failure(response, &problem);
        return;
    }
    sq_snapshot *s = sq_serve_find_snapshot(c, region, request, response);
    if (s == NULL) {
        return;
    }
    const double region_box[4] = {s->place->west, s->place->south, s->place->east, s->place->north};
    sq_json_object(&json, NULL);
    sq_json_text(&json, "type", "FeatureCollection");
    sq_json_array(&json, "features");
    size_t written = 0;
    for (size_t i = 0; i < config->location_count && (double)written < limit; i++) {
        if (within(&config->locations[i], box) && within(&config->locations[i], region_box)) {
            write_place(&config->locations[i], request->base,
                        sq_http_capture_find(request, "collection"), &json);
            written++;
        }
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_snapshot_drop(&s);
    response->max_age_s = sq_serve_fresh_s(c, region);
    sq_http_give_json(response, 200, SQ_TYPE_GEOJSON, &json);
}

void sq_serve_location(void *context, const sq_http_request *request, sq_http_response *response)
{
    question q;
    const char *name = sq_http_capture_find(request, "location");
    if (begin_question(&q, context, request, response, false)) {
        const sq_config *config = q.context->world->config;
        const sq_config_location *place = NULL;
        sq_cover cover;
        for (size_t i = 0; i < config->location_count; i++) {
            place = strcmp(config->locations[i].name, name) == 0 ? &config->locations[i] : place;
        }
        if (place == NULL) {
            sq_http_give_error(response, 404, "there is no location '%.60s'", name);
        } else if (sq_query_series(&q.source, place->lon, place->lat, q.parameters,
                                   q.parameter_count, &cover, &q.problem) != SQUALL_OK) {
            refuse(&q);
        } else {
            snprintf(cover.id, sizeof cover.id, "%s", place->name);
            give_covers(&q, &cover, 1);
        }
    }
    end_question(&q);
}
