/* svc/serve/serve_infer.c - the Open Inference Protocol (KServe v2) over HTTP, with its binary
 * form, model repository and statistics. Its errors are {"error": ...}, as its clients want them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/infer/infer.h"
#include "svc/serve/serve_private.h"

#define HEADER_LENGTH "Inference-Header-Content-Length"

__attribute__((format(printf, 3, 4))) static void give_error(sq_http_response *response, int status,
                                                             const char *format, ...)
{
    char text[640];
    sq_json json = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sq_json_object(&json, NULL);
    sq_json_text(&json, "error", text);
    sq_json_end_object(&json);
    response->max_age_s = -1;
    sq_http_give_json(response, status, SQ_TYPE_JSON, &json);
}

static void give_failure(sq_http_response *response, const squall_error *err)
{
    const int status = err->code == SQUALL_E_LIMIT                                     ? 413
                       : err->code == SQUALL_E_NO_DATA                                 ? 404
                       : err->code == SQUALL_E_MEMORY || err->code == SQUALL_E_TIMEOUT ? 503
                       : err->code == SQUALL_E_FORMAT || err->code == SQUALL_E_SHAPE ||
                               err->code == SQUALL_E_ARGUMENT || err->code == SQUALL_E_UNSUPPORTED
                           ? 400
                           : 500;
    if (status == 503) {
        sq_http_add_header(response, "Retry-After", "1");
    }
    const bool is_path = strchr(err->where, '/') != NULL; /* of no use to a caller */
    give_error(response, status, "%s%s%s", is_path ? "" : err->where, is_path ? "" : ": ",
               err->text);
}

/* 503 with the words of what is full. */
static void give_busy(sq_http_response *response, const char *text)
{
    sq_http_add_header(response, "Retry-After", "1");
    give_error(response, 503, "%s", text);
}

static void give(sq_http_response *response, sq_json *json)
{
    response->max_age_s = -1;
    sq_http_give_json(response, 200, SQ_TYPE_JSON, json);
}

/* The models by the configuration that the request goes by. */
static sq_infer *models_of(const sq_serve_context *c)
{
    sq_infer_follow(c->serve->infer, c->world->config);
    return c->serve->infer;
}

/* The model that {model} and {version} name; NULL, with the answer made. */
static sq_infer_model *find_model(const sq_serve_context *c, const sq_http_request *request,
                                  bool ready, sq_http_response *response)
{
    const char *name = sq_http_capture_find(request, "model");
    const char *version = sq_http_capture_find(request, "version");
    sq_infer_model *model = sq_infer_find(models_of(c), name);
    if (model == NULL || (version != NULL && strcmp(version, SQ_INFER_VERSION) != 0)) {
        sq_infer_drop(&model);
        give_error(response, 404, "there is no model '%.60s'%s%.20s", name,
                   version != NULL ? " of version " : "", version != NULL ? version : "");
        return NULL;
    }
    if (ready && !sq_infer_is_ready(model)) {
        sq_infer_drop(&model);
        give_error(response, 503, "model '%.60s' is not ready", name);
        return NULL;
    }
    return model;
}

/* ---------------------------------------------------------------- the server */

void sq_serve_infer_server(void *context, const sq_http_request *request,
                           sq_http_response *response)
{
    static const char *const extensions[] = {"binary_tensor_data", "model_repository",
                                             "model_repository(unload_dependents)",
                                             "model_configuration", "statistics"};
    sq_json json = {0};
    (void)context;
    (void)request;
    sq_json_object(&json, NULL);
    sq_json_text(&json, "name", "squall");
    sq_json_text(&json, "version", "1");
    sq_json_array(&json, "extensions");
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        sq_json_text(&json, NULL, extensions[i]);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    give(response, &json);
}

static void give_truth(const char *name, bool holds, sq_http_response *response)
{
    sq_json json = {0};
    sq_json_object(&json, NULL);
    sq_json_bool(&json, name, holds);
    sq_json_end_object(&json);
    response->max_age_s = -1;
    sq_http_give_json(response, holds ? 200 : 503, SQ_TYPE_JSON, &json);
}

void sq_serve_infer_live(void *context, const sq_http_request *request, sq_http_response *response)
{
    (void)context;
    (void)request;
    give_truth("live", true, response);
}

void sq_serve_infer_ready(void *context, const sq_http_request *request, sq_http_response *response)
{
    (void)request;
    give_truth("ready", sq_infer_all_ready(models_of(context)), response);
}

/* ---------------------------------------------------------------- models */

void sq_serve_infer_metadata(void *context, const sq_http_request *request,
                             sq_http_response *response)
{
    sq_json json = {0};
    sq_infer_model *model = find_model(context, request, true, response);
    if (model != NULL) {
        sq_infer_write_metadata(model, &json);
        sq_infer_drop(&model);
        give(response, &json);
    }
}

void sq_serve_infer_config(void *context, const sq_http_request *request,
                           sq_http_response *response)
{
    sq_json json = {0};
    sq_infer_model *model = find_model(context, request, true, response);
    if (model != NULL) {
        sq_infer_write_config(model, &json);
        sq_infer_drop(&model);
        give(response, &json);
    }
}

void sq_serve_infer_model_ready(void *context, const sq_http_request *request,
                                sq_http_response *response)
{
    sq_infer_model *model = find_model(context, request, false, response);
    if (model != NULL) {
        give_truth("ready", sq_infer_is_ready(model), response);
        sq_infer_drop(&model);
    }
}

void sq_serve_infer_stats(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    sq_json json = {0};
    sq_infer_model *model = NULL;
    if (sq_http_capture_find(request, "model") != NULL) {
        model = find_model(c, request, false, response);
        if (model == NULL) {
            return;
        }
    }
    sq_infer_write_stats(models_of(c), model, &json);
    sq_infer_drop(&model);
    give(response, &json);
}

/* ---------------------------------------------------------------- infer */

static void give_reply(const sq_infer_reply *reply, sq_http_response *response)
{
    char length[32];
    response->max_age_s = -1;
    if (reply->header_size > 0) {
        snprintf(length, sizeof length, "%zu", reply->header_size);
        sq_http_add_header(response, HEADER_LENGTH, length);
        response->plain = true;
    }
    sq_http_give_bytes(response, 200,
                       reply->header_size > 0 ? "application/octet-stream" : SQ_TYPE_JSON,
                       reply->bytes, reply->size, sq_free, reply->bytes);
}

/* A request that waits for its answer. */
typedef struct pending {
    sq_infer_request asked;
    sq_http_exchange *exchange;
    sq_http_response *response;
} pending;

/* On a thread that runs engines: the answer is made, the connection goes on. */
static void on_answer(void *owner, squall_status status, const sq_infer_reply *reply,
                      const squall_error *err)
{
    pending *p = owner;
    sq_http_exchange *exchange = p->exchange;
    if (status == SQUALL_OK) {
        give_reply(reply, p->response);
    } else {
        give_failure(p->response, err);
    }
    sq_infer_request_free(&p->asked);
    sq_free(p);
    sq_http_answer(&exchange);
}

/* Read it and put it in the queue; false with the answer made. */
static bool submit(const sq_serve_context *c, const sq_http_request *request, sq_infer_model *model,
                   sq_http_response *response)
{
    const double start_s = sq_clock_s();
    squall_error problem = {.code = SQUALL_OK};
    pending *p = sq_alloc(1, sizeof *p);
    if (p == NULL) {
        give_busy(response, "no memory");
        return false;
    }
    if (sq_infer_read(request->body, request->body_size,
                      sq_http_header_find(request, HEADER_LENGTH), &p->asked,
                      &problem) != SQUALL_OK) {
        sq_free(p);
        give_failure(response, &problem);
        return false;
    }
    p->response = response;
    p->exchange = sq_http_defer(request);
    if (sq_infer_submit(c->serve->infer, model, &p->asked, sq_clock_s() - start_s, on_answer, p,
                        &problem) == SQUALL_OK) {
        return true;
    }
    if (problem.code == SQUALL_E_LIMIT) {
        give_busy(response, problem.text);
    } else {
        give_failure(response, &problem);
    }
    sq_infer_request_free(&p->asked);
    sq_http_answer(&p->exchange);
    sq_free(p);
    return false;
}

void sq_serve_infer(void *context, const sq_http_request *request, sq_http_response *response)
{
    const double start_s = sq_clock_s();
    const sq_serve_context *c = context;
    const char *encoding = sq_http_header_find(request, "Content-Encoding");
    sq_infer_model *model = find_model(context, request, true, response);
    if (model == NULL) {
        return;
    }
    if (encoding != NULL && strcmp(encoding, "identity") != 0) {
        give_error(response, 415, "Content-Encoding: a request must not be compressed");
        sq_infer_note_failure(c->serve->infer, model, sq_clock_s() - start_s);
    } else if (!submit(c, request, model, response)) {
        sq_infer_note_failure(c->serve->infer, model, sq_clock_s() - start_s);
    }
    sq_infer_drop(&model);
}

/* ---------------------------------------------------------------- the repository */

void sq_serve_infer_index(void *context, const sq_http_request *request, sq_http_response *response)
{
    sq_json json = {0};
    /* The one word that the protocol has for it: {"ready": true}. */
    const bool ready_only = request->body != NULL &&
                            strstr((const char *)request->body, "\"ready\"") != NULL &&
                            strstr((const char *)request->body, "true") != NULL;
    sq_infer_write_index(models_of(context), ready_only, &json);
    give(response, &json);
}

static void log_change(const sq_serve_context *c, const char *event, const char *name)
{
    sq_json line;
    sq_log_begin(c->serve->log, &line, SQ_LOG_INFO, event);
    sq_json_text(&line, "model", name);
    sq_log_end(c->serve->log, &line);
}

void sq_serve_infer_load(void *context, const sq_http_request *request, sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    sq_json json = {0};
    const char *name = sq_http_capture_find(request, "model");
    /* Files and configurations come by the server's own configuration, not over the wire. */
    if (request->body != NULL && (strstr((const char *)request->body, "\"file:") != NULL ||
                                  strstr((const char *)request->body, "\"config\"") != NULL)) {
        give_error(response, 400,
                   "an engine is loaded from the file that the configuration names; neither "
                   "config nor files are taken here");
    } else if (sq_infer_load(models_of(c), name, &problem) != SQUALL_OK) {
        give_failure(response, &problem);
    } else {
        log_change(c, "model loaded", name);
        sq_json_object(&json, NULL);
        sq_json_end_object(&json);
        give(response, &json);
    }
}

void sq_serve_infer_unload(void *context, const sq_http_request *request,
                           sq_http_response *response)
{
    const sq_serve_context *c = context;
    squall_error problem = {.code = SQUALL_OK};
    sq_json json = {0};
    const char *name = sq_http_capture_find(request, "model");
    if (sq_infer_unload(models_of(c), name, &problem) != SQUALL_OK) {
        give_failure(response, &problem);
    } else {
        log_change(c, "model unloaded", name);
        sq_json_object(&json, NULL);
        sq_json_end_object(&json);
        give(response, &json);
    }
}
