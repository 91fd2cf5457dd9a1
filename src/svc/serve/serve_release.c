/* svc/serve/serve_release.c - releases over HTTP: how they do, and what an operator asks for. */
#include <string.h>

#include <jansson.h>

#include "svc/release/release.h"
#include "svc/serve/serve_private.h"

void sq_serve_releases(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    sq_release_describe(c->serve->release, sq_http_capture_find(request, "engine"), &json);
    sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
}

void sq_serve_release_order(void *context, const sq_http_request *request,
                            sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    json_t *body = request->body_size > 0
                       ? json_loadb((const char *)request->body, request->body_size, 0, NULL)
                       : json_object();
    if (!json_is_object(body)) {
        json_decref(body);
        sq_http_give_error(response, 400, "the body must be a JSON object, or empty");
        return;
    }
    const sq_release_order order = {.engine = sq_http_capture_find(request, "engine"),
                                    .verb = sq_http_capture_find(request, "verb"),
                                    .version = json_integer_value(json_object_get(body, "version")),
                                    .steps = json_string_value(json_object_get(body, "steps")),
                                    .full = json_is_true(json_object_get(body, "full")),
                                    .reason = json_string_value(json_object_get(body, "reason"))};
    response->max_age_s = -1;
    if (sq_release_command(c->serve->release, &order, &problem) != SQUALL_OK) {
        /* Whoever may operate may know which file it is. */
        const int status = problem.code == SQUALL_E_ARGUMENT  ? 400
                           : problem.code == SQUALL_E_NO_DATA ? 404
                           : problem.code == SQUALL_E_MEMORY  ? 503
                                                              : 422;
        sq_http_give_error(response, status, "%s: %s", problem.where, problem.text);
    } else {
        sq_json json = {0};
        sq_release_describe(c->serve->release, order.engine, &json);
        sq_http_give_json(response, 200, SQ_TYPE_JSON, &json);
    }
    json_decref(body);
}
