/* svc/serve/serve_openapi.c - the OpenAPI document, made from the table of routes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/serve/serve_private.h"

/* One parameter: its schema as JSON, with an example that works anywhere. */
typedef struct parameter_row {
    const char *name, *schema, *description;
} parameter_row;

#define BODY_SCHEMA                                                   \
    "{\"application/octet-stream\":{\"schema\":{\"type\":\"string\"," \
    "\"format\":\"binary\"}}}"
#define TEXT_SCHEMA "{\"type\":\"string\"}"

static const parameter_row query_rows[] = {
    {"f", "{\"type\":\"string\"}", "format of the answer"},
    {"coords",
     "{\"type\":\"string\",\"pattern\":\"^(MULTI)?(POINT|LINESTRING|POLYGON) ?(Z|M|ZM)? "
     "?[(].+[)]$\"}",
     "well-known text, longitude before latitude"},
    {"datetime", TEXT_SCHEMA, "a time or an interval of RFC 3339 times: a, a/b, ../b, a/.."},
    {"parameter-name", TEXT_SCHEMA, "names of parameters with commas; default all"},
    {"parameter_names", TEXT_SCHEMA, "the same as parameter-name"},
    {"crs", TEXT_SCHEMA, "CRS84, which is the default"},
    {"z", TEXT_SCHEMA, "taken and not looked at: rain is at the ground"},
    {"cube-z", TEXT_SCHEMA, "taken and not looked at"},
    {"bbox", "{\"type\":\"string\",\"pattern\":\"^-?[0-9.]+(,-?[0-9.]+){3}((,-?[0-9.]+){2})?$\"}",
     "west, south, east, north in degrees"},
    {"within", "{\"type\":\"number\",\"exclusiveMinimum\":true,\"minimum\":0}", "radius"},
    {"within-units", "{\"type\":\"string\",\"enum\":[\"km\",\"m\",\"mi\",\"nmi\"]}",
     "unit of the radius"},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}", "most items"},
    {"lon", "{\"type\":\"number\",\"minimum\":-180,\"maximum\":180}", "longitude, degrees"},
    {"lat", "{\"type\":\"number\",\"minimum\":-90,\"maximum\":90}", "latitude, degrees"},
    {"region", TEXT_SCHEMA, "name of a region"},
    {"hours", "{\"type\":\"number\",\"minimum\":0.1,\"maximum\":87600}",
     "how far back, hours; default 24"},
    {"q", "{\"type\":\"string\",\"minLength\":1}", "part of a name"},
};

static const parameter_row *find_row(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof query_rows / sizeof query_rows[0]; i++) {
        if (strlen(query_rows[i].name) == length &&
            strncmp(query_rows[i].name, name, length) == 0) {
            return &query_rows[i];
        }
    }
    return NULL;
}

static void write_parameter(const char *name, size_t length, const char *in, bool required,
                            const parameter_row *row, sq_json *json)
{
    sq_json_object(json, NULL);
    sq_json_text_n(json, "name", name, length);
    sq_json_text(json, "in", in);
    sq_json_bool(json, "required", required);
    if (row != NULL) {
        sq_json_text(json, "description", row->description);
    }
    sq_json_raw(json, "schema", row != NULL ? row->schema : TEXT_SCHEMA);
    sq_json_end_object(json);
}

static void write_parameters(const sq_http_route *route, sq_json *json)
{
    sq_json_array(json, "parameters");
    for (const char *at = strchr(route->pattern, '{'); at != NULL; at = strchr(at + 1, '{')) {
        write_parameter(at + 1, strcspn(at + 1, "}"), "path", true, NULL, json);
    }
    for (const char *at = route->parameters; *at != '\0';) {
        size_t length = strcspn(at, " ");
        const char *next = at + length + strspn(at + length, " ");
        const bool required = at[length - 1] == '*';
        length -= required ? 1 : 0;
        write_parameter(at, length, "query", required, find_row(at, length), json);
        at = next;
    }
    sq_json_end_array(json);
}

static void write_answer(const char *status, const char *description, const char *types,
                         sq_json *json)
{
    sq_json_object(json, status);
    sq_json_text(json, "description", description);
    if (types[0] != '\0') {
        sq_json_object(json, "content");
        for (const char *at = types; *at != '\0';) {
            const size_t length = strcspn(at, " ");
            char type[96];
            snprintf(type, sizeof type, "%.*s", (int)length, at);
            sq_json_object(json, type);
            sq_json_end_object(json);
            at += length;
            at += strspn(at, " ");
        }
        sq_json_end_object(json);
    }
    sq_json_end_object(json);
}

/* Refusals look as OGC's APIs have them. The Open Inference Protocol has a form of its own; what is
 * refused before a route runs (keys, rates) keeps OGC's there, too. */
static void write_refusal(const char *status, const char *description, bool is_inference,
                          sq_json *json)
{
    sq_json_object(json, status);
    sq_json_text(json, "description", description);
    sq_json_raw(
        json, "content",
        is_inference
            ? "{\"application/json\":{\"schema\":{\"anyOf\":[{\"$ref\":\"#/components/schemas/"
              "error\"},"
              "{\"$ref\":\"#/components/schemas/exception\"}]}}}"
            : "{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/exception\"}}}");
    sq_json_end_object(json);
}

static void write_answers(const sq_http_route *route, sq_json *json)
{
    const bool is_inference = strcmp(route->tag, "Inference") == 0;
    sq_json_object(json, "responses");
    if (route->method == SQ_HTTP_PUT) {
        write_answer("202", "taken; it will be read", route->types, json);
    } else {
        write_answer("200", "the answer", route->types, json);
    }
    if (strcmp(route->tag, "EDR") == 0) {
        write_answer("204", "there is nothing at that place and time", "", json);
    }
    write_answer("304", "what the caller holds is still true", "", json);
    write_refusal("400", "a parameter is wrong", is_inference, json);
    write_refusal("401", "a key is needed", is_inference, json);
    write_refusal("403", "the key does not allow this", is_inference, json);
    write_refusal("404", "there is no such thing", is_inference, json);
    write_refusal("413", "more than is given, or taken, at once", is_inference, json);
    write_refusal("429", "too many requests: wait as Retry-After says", is_inference, json);
    write_refusal("503", "not now: wait as Retry-After says", is_inference, json);
    sq_json_end_object(json);
}

/* A name that no other row has: method and pattern without what is not a letter. */
static void write_id(const sq_http_route *route, const char *method, sq_json *json)
{
    char id[160];
    size_t length = (size_t)snprintf(id, sizeof id, "%s", method);
    for (const char *at = route->pattern; *at != '\0' && length + 2 < sizeof id; at++) {
        const bool letter =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (letter) {
            id[length++] = *at;
        } else if (id[length - 1] != '_') {
            id[length++] = '_';
        }
    }
    id[length] = '\0';
    sq_json_text(json, "operationId", id);
}

static void write_operation(const sq_http_route *route, sq_json *json)
{
    const char *method = route->method == SQ_HTTP_PUT      ? "put"
                         : route->method == SQ_HTTP_POST   ? "post"
                         : route->method == SQ_HTTP_DELETE ? "delete"
                                                           : "get";
    sq_json_object(json, method);
    sq_json_array(json, "tags");
    sq_json_text(json, NULL, route->tag);
    sq_json_end_array(json);
    sq_json_text(json, "summary", route->summary);
    write_id(route, method, json);
    write_parameters(route, json);
    if (route->body_limit > 0) {
        const bool required = route->role != SQ_ROLE_READ; /* a question may come without one */
        sq_json_raw(json, "requestBody",
                    required ? "{\"required\":true,\"content\":" BODY_SCHEMA "}"
                             : "{\"required\":false,\"content\":" BODY_SCHEMA "}");
    }
    write_answers(route, json);
    if (route->role > SQ_ROLE_READ) {
        sq_json_raw(json, "security", "[{\"key\":[]},{\"bearer\":[]}]");
    }
    sq_json_end_object(json);
}

static void write_paths(sq_json *json)
{
    sq_json_object(json, "paths");
    for (size_t i = 0; i < sq_serve_route_count; i++) {
        const sq_http_route *route = &sq_serve_routes[i];
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = strcmp(sq_serve_routes[k].pattern, route->pattern) == 0;
        }
        if (seen) {
            continue;
        }
        sq_json_object(json, route->pattern);
        for (size_t k = i; k < sq_serve_route_count; k++) {
            if (strcmp(sq_serve_routes[k].pattern, route->pattern) == 0) {
                write_operation(&sq_serve_routes[k], json);
            }
        }
        sq_json_end_object(json);
    }
    sq_json_end_object(json);
}

void sq_serve_openapi(const char *base, sq_json *json)
{
    sq_json_object(json, NULL);
    sq_json_text(json, "openapi", "3.0.3");
    sq_json_object(json, "info");
    sq_json_text(json, "title", "squall");
    sq_json_text(json, "description", "Rain forecasts for the next hour");
    sq_json_text(json, "version", "1");
    sq_json_raw(
        json, "license",
        "{\"name\":\"Apache-2.0\",\"url\":\"https://www.apache.org/licenses/LICENSE-2.0\"}");
    sq_json_end_object(json);
    sq_json_array(json, "servers");
    sq_json_object(json, NULL);
    sq_json_text(json, "url", base);
    sq_json_end_object(json);
    sq_json_end_array(json);
    write_paths(json);
    sq_json_raw(
        json, "components",
        "{\"schemas\":{\"exception\":{\"type\":\"object\",\"required\":[\"code\"],"
        "\"properties\":{\"code\":{\"type\":\"string\"},\"description\":{\"type\":"
        "\"string\"}}},\"error\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{"
        "\"error\":{\"type\":\"string\"}}}},\"securitySchemes\":{\"key\":{\"type\":\"apiKey\","
        "\"in\":\"header\","
        "\"name\":\"X-API-Key\"},\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}}");
    sq_json_end_object(json);
}

void sq_serve_api(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    (void)context;
    sq_serve_openapi(request->base, &json);
    response->max_age_s = 300;
    sq_http_give_json(response, 200, SQ_TYPE_OPENAPI, &json);
}
