/* svc/http/http_reply.c - responses: bodies, errors, entity tags, compression. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <libdeflate.h>

#include "svc/http/http.h"

const char *sq_http_argument_find(const sq_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->url.argument_count; i++) {
        if (strcmp(request->url.arguments[i].name, name) == 0) {
            return request->url.arguments[i].value;
        }
    }
    return NULL;
}

const char *sq_http_capture_find(const sq_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->captures.count; i++) {
        if (strcmp(request->captures.items[i].name, name) == 0) {
            return request->captures.items[i].value;
        }
    }
    return NULL;
}

void sq_http_response_free(sq_http_response *response)
{
    if (response->release != NULL) {
        response->release(response->owner);
    }
    response->release = NULL;
    response->body = NULL;
    response->size = 0;
}

void sq_http_give_bytes(sq_http_response *response, int status, const char *type, const void *bytes,
                        size_t size, void (*release)(void *), void *owner)
{
    sq_http_response_free(response);
    response->status = status;
    response->type = type;
    response->body = bytes;
    response->size = size;
    response->release = release;
    response->owner = owner;
}

void sq_http_give_text(sq_http_response *response, int status, const char *type, sq_text *text)
{
    if (text->failed) {
        sq_text_free(text);
        sq_http_give_error(response, 500, "no memory for the answer");
        return;
    }
    sq_http_give_bytes(response, status, type, text->data, text->length, sq_free, text->data);
    memset(text, 0, sizeof *text);
}

void sq_http_give_json(sq_http_response *response, int status, const char *type, sq_json *json)
{
    sq_http_give_text(response, status, type, &json->text);
    memset(json, 0, sizeof *json);
}

static const char *error_code(int status)
{
    static const struct {
        int status;
        const char *code;
    } codes[] = {{400, "InvalidParameterValue"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "NotFound"},
                 {405, "MethodNotAllowed"},
                 {406, "NotAcceptable"},
                 {409, "Conflict"},
                 {413, "ContentTooLarge"},
                 {415, "UnsupportedMediaType"},
                 {429, "TooManyRequests"},
                 {503, "ServiceUnavailable"},
                 {504, "Timeout"}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].status == status) {
            return codes[i].code;
        }
    }
    return "NoApplicableCode";
}

void sq_http_give_error(sq_http_response *response, int status, const char *format, ...)
{
    static const char last_resort[] =
        "{\"code\":\"NoApplicableCode\",\"description\":\"no memory\"}";
    char description[640];
    sq_json json = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(description, sizeof description, format, args);
    va_end(args);
    sq_json_object(&json, NULL);
    sq_json_text(&json, "code", error_code(status));
    sq_json_text(&json, "description", description);
    sq_json_end_object(&json);
    if (json.text.failed) {
        sq_json_free(&json);
        sq_http_give_bytes(response, 500, "application/json", last_resort, sizeof last_resort - 1,
                           NULL, NULL);
    } else {
        sq_http_give_json(response, status, "application/json", &json);
    }
    response->max_age_s = -1;
    response->immutable = false;
}

void sq_http_give_failure(sq_http_response *response, const squall_error *err)
{
    const int status = err->code == SQUALL_E_ARGUMENT || err->code == SQUALL_E_FORMAT ||
                               err->code == SQUALL_E_SHAPE || err->code == SQUALL_E_UNSUPPORTED
                           ? 400
                       : err->code == SQUALL_E_NO_DATA                                 ? 404
                       : err->code == SQUALL_E_LIMIT                                   ? 413
                       : err->code == SQUALL_E_MEMORY || err->code == SQUALL_E_TIMEOUT ? 503
                                                                                       : 500;
    if (status == 503) {
        sq_http_add_header(response, "Retry-After", "5");
    }
    sq_http_give_error(response, status, "%s: %s", err->where, err->text);
}

void sq_http_add_header(sq_http_response *response, const char *name, const char *value)
{
    if (response->header_count == SQ_HTTP_HEADERS) {
        return;
    }
    sq_http_header *header = &response->headers[response->header_count++];
    snprintf(header->name, sizeof header->name, "%s", name);
    size_t i = 0;
    while (i + 1 < sizeof header->value && (unsigned char)value[i] >= 0x20 && value[i] != 0x7F) {
        header->value[i] = value[i];
        i++;
    }
    header->value[i] = '\0';
}

bool sq_http_gzip(const void *bytes, size_t size, void **out, size_t *out_size)
{
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(4);
    void *packed = compressor != NULL ? sq_alloc_raw(size, 1) : NULL;
    *out_size =
        packed != NULL ? libdeflate_gzip_compress(compressor, bytes, size, packed, size) : 0;
    libdeflate_free_compressor(compressor);
    if (*out_size == 0) {
        sq_free(packed);
        return false;
    }
    *out = packed;
    return true;
}

bool sq_http_etag_in(const char *list, const char *etag)
{
    const size_t length = strlen(etag);
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        if (*at == '*') {
            return true;
        }
        at += strncmp(at, "W/", 2) == 0 ? 2 : 0;
        if (*at != '"') {
            return false;
        }
        const size_t found = strcspn(++at, "\"");
        /* The compressed answer has a tag of its own; it names the same content. */
        const bool packed = found == length + 3 && strncmp(at + length, "-gz", 3) == 0;
        if ((found == length || packed) && strncmp(at, etag, length) == 0) {
            return true;
        }
        at += found;
        at += *at == '"' ? 1 : 0;
    }
    return false;
}

bool sq_http_accepts_gzip(const char *accept_encoding)
{
    for (const char *at = accept_encoding; at != NULL && *at != '\0';) {
        at += strspn(at, " \t,");
        const size_t length = strcspn(at, ",");
        const size_t name = strcspn(at, " \t;,");
        if (name == 4 && strncasecmp(at, "gzip", 4) == 0) {
            double quality = 1.0;
            char parameter[32];
            snprintf(parameter, sizeof parameter, "%.*s", (int)(length - name), at + name);
            const char *q = strstr(parameter, "q=");
            if (q != NULL && sscanf(q + 2, "%lf", &quality) != 1) {
                quality = 0.0;
            }
            return quality > 0.0;
        }
        at += length;
    }
    return false;
}
