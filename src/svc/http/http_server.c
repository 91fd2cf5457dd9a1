/* svc/http/http_server.c - from libmicrohttpd's connections to the table of routes and back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "svc/http/http_private.h"

enum { HASH_BYTES = 16, LEAST_GZIP = 1024, HEADER_BYTES = 32768 };

struct sq_http_server {
    struct MHD_Daemon *daemon;
    sq_http_service service;
    char address[160];
    char base[160]; /* empty: by the Host header */
    char cors[200]; /* empty: none */
    bool local;     /* on a Unix socket */
    int quiesced;   /* the socket, once nobody listens on it any more; -1 before */
    atomic_size_t running;
};

/* One request and its answer. */
struct sq_http_exchange {
    sq_http_server *server;
    sq_http_request request;
    sq_http_response response;
    squall_error problem; /* of its address */
    double start_s;
    void *context;
    bool begun, head, decided, streams, too_large, deferred;
    size_t capacity; /* of request.body */
    size_t sent;
};
typedef struct sq_http_exchange exchange;

const char *sq_http_header_find(const sq_http_request *request, const char *name)
{
    return request->connection != NULL
               ? MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name)
               : NULL;
}

/* ---------------------------------------------------------------- answering */

static const char *method_list(unsigned methods, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%sOPTIONS", (methods & SQ_HTTP_GET) != 0 ? "GET, HEAD, " : "",
             (methods & SQ_HTTP_PUT) != 0 ? "PUT, " : "",
             (methods & SQ_HTTP_POST) != 0 ? "POST, " : "",
             (methods & SQ_HTTP_DELETE) != 0 ? "DELETE, " : "");
    return text;
}

static bool may_shrink(const char *type)
{
    return strncmp(type, "text/", 5) == 0 || strstr(type, "json") != NULL ||
           strstr(type, "openmetrics") != NULL || strstr(type, "javascript") != NULL ||
           strstr(type, "svg") != NULL;
}

/* Replace the body by its compressed form where that is asked for and worth it. */
static bool compress_body(exchange *x)
{
    void *packed;
    size_t size;
    sq_http_response *r = &x->response;
    const char *accept = sq_http_header_find(&x->request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (r->plain || r->size < LEAST_GZIP || r->type == NULL || !may_shrink(r->type) ||
        !sq_http_accepts_gzip(accept) || !sq_http_gzip(r->body, r->size, &packed, &size)) {
        return false;
    }
    sq_http_give_bytes(r, r->status, r->type, packed, size, sq_free, packed);
    return true;
}

static void add_caching(const exchange *x, struct MHD_Response *out, bool packed)
{
    char text[96];
    const sq_http_response *r = &x->response;
    if (r->max_age_s < 0) {
        MHD_add_response_header(out, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    } else if (r->max_age_s == 0) {
        MHD_add_response_header(out, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    } else {
        snprintf(text, sizeof text, "%s, max-age=%d%s",
                 x->request.role > SQ_ROLE_READ ? "private" : "public", r->max_age_s,
                 r->immutable ? ", immutable" : "");
        MHD_add_response_header(out, MHD_HTTP_HEADER_CACHE_CONTROL, text);
    }
    if (r->etag[0] != '\0') {
        snprintf(text, sizeof text, "\"%s%s\"", r->etag, packed ? "-gz" : "");
        MHD_add_response_header(out, MHD_HTTP_HEADER_ETAG, text);
    }
}

static void add_headers(const exchange *x, struct MHD_Response *out)
{
    for (size_t i = 0; i < x->response.header_count; i++) {
        MHD_add_response_header(out, x->response.headers[i].name, x->response.headers[i].value);
    }
    if (x->server->cors[0] != '\0') {
        MHD_add_response_header(out, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, x->server->cors);
        MHD_add_response_header(out, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
                                "ETag, Retry-After, Inference-Header-Content-Length");
    }
    MHD_add_response_header(out, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
    MHD_add_response_header(out, MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff");
    if (x->response.type != NULL) {
        MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, x->response.type);
    }
}

/* The tag of a body that has none, and whether the caller holds it already. */
static bool is_known(exchange *x)
{
    unsigned char hash[HASH_BYTES];
    sq_http_response *r = &x->response;
    if (x->request.method != SQ_HTTP_GET || r->status != 200 || r->max_age_s < 0) {
        return false;
    }
    if (r->etag[0] == '\0') {
        sq_hash_blake2b(r->body, r->size, hash, sizeof hash);
        sq_hex_format(hash, sizeof hash, r->etag);
    }
    const char *held = sq_http_header_find(&x->request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    return held != NULL && sq_http_etag_in(held, r->etag);
}

static struct MHD_Response *make_response(exchange *x)
{
    sq_http_response *r = &x->response;
    struct MHD_Response *out;
    bool packed = false;
    if (r->stream != NULL) {
        const char *last = sq_http_header_find(&x->request, "Last-Event-ID");
        x->streams = true;
        out = sq_http_hub_response(r->stream, x->request.connection,
                                   last != NULL ? strtoull(last, NULL, 10) : 0);
    } else {
        if (is_known(x)) {
            sq_http_response_free(r);
            r->status = 304;
            r->type = NULL;
        } else {
            packed = compress_body(x);
        }
        x->sent = r->size;
        out = MHD_create_response_from_buffer_with_free_callback_cls(
            r->size, r->size > 0 ? (void *)(uintptr_t)r->body : (void *)(uintptr_t) "",
            r->release != NULL ? r->release : NULL, r->owner);
        if (out != NULL) {
            r->release = NULL; /* libmicrohttpd does it now */
        }
    }
    if (out == NULL) {
        return NULL;
    }
    if (packed) {
        MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    }
    add_caching(x, out, packed);
    add_headers(x, out);
    return out;
}

static void end_context(exchange *x)
{
    if (x->begun) {
        x->begun = false;
        x->server->service.end(x->server->service.owner, x->context);
    }
}

static enum MHD_Result respond(exchange *x)
{
    struct MHD_Response *out = make_response(x);
    sq_http_response_free(&x->response);
    end_context(x);
    if (out == NULL) {
        return MHD_NO;
    }
    const enum MHD_Result result =
        MHD_queue_response(x->request.connection, (unsigned)x->response.status, out);
    MHD_destroy_response(out);
    return result;
}

/* ---------------------------------------------------------------- deciding */

/* The row for the request; NULL, with the answer made, when there is none. */
static const sq_http_route *find_route(exchange *x, const char *method)
{
    static const struct {
        const char *name;
        sq_http_method method;
    } names[] = {{"GET", SQ_HTTP_GET},
                 {"HEAD", SQ_HTTP_GET},
                 {"PUT", SQ_HTTP_PUT},
                 {"POST", SQ_HTTP_POST},
                 {"DELETE", SQ_HTTP_DELETE}};
    const sq_http_service *service = &x->server->service;
    unsigned wanted = 0, allowed = 0;
    char text[64];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        wanted |= strcmp(method, names[i].name) == 0 ? (unsigned)names[i].method : 0u;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        const sq_http_route *route = &service->routes[i];
        if (!sq_http_match(route->pattern, x->request.url.path, &x->request.captures)) {
            continue;
        }
        if (wanted == (unsigned)route->method) {
            x->request.method = route->method;
            return route;
        }
        allowed |= (unsigned)route->method;
    }
    if (allowed == 0) {
        sq_http_give_error(&x->response, 404, "there is nothing at %s", x->request.url.path);
        return NULL;
    }
    sq_http_add_header(&x->response, "Allow", method_list(allowed, text, sizeof text));
    if (strcmp(method, "OPTIONS") == 0) {
        sq_http_add_header(&x->response, "Access-Control-Allow-Methods", text);
        sq_http_add_header(&x->response, "Access-Control-Allow-Headers",
                           "Authorization, Content-Type, If-None-Match, X-API-Key, "
                           "Inference-Header-Content-Length");
        sq_http_add_header(&x->response, "Access-Control-Max-Age", "86400");
        x->response.status = 204;
    } else {
        sq_http_give_error(&x->response, 405, "%s is not allowed here; %s are", method, text);
    }
    return NULL;
}

static void find_caller(const exchange *x, sq_http_caller *out)
{
    memset(out, 0, sizeof *out);
    out->local = x->server->local;
    snprintf(out->address, sizeof out->address, "unix");
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->request.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!out->local && info != NULL && info->client_addr != NULL) {
        const struct sockaddr *peer = info->client_addr;
        const void *bytes =
            peer->sa_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr
                : (const void *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
        inet_ntop(peer->sa_family, bytes, out->address, sizeof out->address);
    }
    out->key = sq_http_header_find(&x->request, "X-API-Key");
    const char *bearer = sq_http_header_find(&x->request, MHD_HTTP_HEADER_AUTHORIZATION);
    if (out->key == NULL && bearer != NULL && strncasecmp(bearer, "Bearer ", 7) == 0) {
        out->key = bearer + 7 + strspn(bearer + 7, " ");
    }
}

/* Whether the caller may; false with the answer made. */
static bool admit(exchange *x, const sq_http_route *route)
{
    char wait[16];
    sq_http_caller caller;
    sq_http_admission verdict = {0};
    find_caller(x, &caller);
    x->server->service.admit(x->context, &caller, route, &verdict);
    x->request.role = verdict.role;
    if (verdict.status == 0) {
        return true;
    }
    if (verdict.retry_after_s > 0) {
        snprintf(wait, sizeof wait, "%d", verdict.retry_after_s);
        sq_http_add_header(&x->response, "Retry-After", wait);
    }
    if (verdict.status == 401) {
        sq_http_add_header(&x->response, "WWW-Authenticate", "Bearer realm=\"squall\"");
    }
    sq_http_give_error(&x->response, verdict.status,
                       verdict.status == 401   ? "this needs a key: X-API-Key or Authorization: "
                                                 "Bearer"
                       : verdict.status == 403 ? "the key does not allow this"
                       : verdict.status == 429 ? "too many requests; wait as Retry-After says"
                                               : "not now");
    return false;
}

/* What clients call this server. Host comes from outside: only what a host can be is believed. */
static void find_base(exchange *x)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    const sq_http_server *server = x->server;
    const char *host = sq_http_header_find(&x->request, MHD_HTTP_HEADER_HOST);
    if (server->base[0] != '\0') {
        snprintf(x->request.base, sizeof x->request.base, "%s", server->base);
    } else if (host != NULL && host[0] != '\0' && strlen(host) < 128 &&
               strspn(host, allowed) == strlen(host)) {
        snprintf(x->request.base, sizeof x->request.base, "http://%s", host);
    } else {
        snprintf(x->request.base, sizeof x->request.base, "%s",
                 server->local ? "http://localhost" : server->address);
    }
}

/* How a request says how long it is. */
typedef struct framing {
    size_t lengths, encodings;
    bool odd; /* another way than digits or "chunked" */
} framing;

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    framing *f = cls;
    (void)kind;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        f->lengths++;
        f->odd = f->odd || value == NULL || value[0] == '\0' ||
                 strspn(value, "0123456789") != strlen(value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->encodings++;
        f->odd = f->odd || value == NULL || strcasecmp(value, "chunked") != 0;
    } else if (strpbrk(name, " \t") != NULL) {
        f->odd = true;
    }
    return MHD_YES;
}

/* Whether its end can be told in one way alone: what a proxy would tell otherwise hides a second
 * request in it. The connection is closed after such a one. */
static bool is_framed_well(exchange *x)
{
    framing f = {0};
    MHD_get_connection_values(x->request.connection, MHD_HEADER_KIND, look_at_header, &f);
    if (f.odd || f.lengths + f.encodings > 1) {
        sq_http_add_header(&x->response, MHD_HTTP_HEADER_CONNECTION, "close");
        sq_http_give_error(&x->response, 400,
                           "the length of the body must be said once: by digits in Content-Length, "
                           "or by Transfer-Encoding: chunked");
        return false;
    }
    return true;
}

/* The first look, when the headers are there: true to go on to the handler. */
static bool decide(exchange *x, const char *method)
{
    const sq_http_service *service = &x->server->service;
    x->head = strcmp(method, "HEAD") == 0;
    find_base(x);
    if (!is_framed_well(x)) {
        return false;
    }
    if (x->problem.code != SQUALL_OK) {
        sq_http_give_failure(&x->response, &x->problem);
        return false;
    }
    const sq_http_route *route = find_route(x, method);
    if (route == NULL) {
        return false;
    }
    x->request.route = route;
    x->context = service->begin(service->owner);
    x->begun = x->context != NULL;
    if (!x->begun) {
        sq_http_give_error(&x->response, 503, "no memory");
        return false;
    }
    if (!admit(x, route)) {
        return false;
    }
    const char *length = sq_http_header_find(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != NULL && strtoull(length, NULL, 10) > route->body_limit) {
        sq_http_give_error(&x->response, 413, "a body of at most %zu bytes is taken here",
                           route->body_limit);
        return false;
    }
    return true;
}

static void take_body(exchange *x, const char *data, size_t size)
{
    const size_t limit = x->request.route->body_limit;
    if (x->too_large || size > limit || x->request.body_size > limit - size) {
        x->too_large = true;
        return;
    }
    const size_t need = x->request.body_size + size + 1;
    if (need > x->capacity) {
        /* At once where its length is known; memory that nothing is written to costs nothing. */
        const char *length = sq_http_header_find(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
        const unsigned long long told = length != NULL ? strtoull(length, NULL, 10) : 0;
        const size_t doubled = need * 2 < limit + 1 ? need * 2 : limit + 1;
        const size_t grown = told >= need - 1 && told <= limit ? (size_t)told + 1 : doubled;
        unsigned char *body = sq_alloc_raw(grown, 1);
        if (body == NULL) {
            x->too_large = true;
            return;
        }
        if (x->request.body_size > 0) {
            memcpy(body, x->request.body, x->request.body_size);
        }
        sq_free(x->request.body);
        x->request.body = body;
        x->capacity = grown;
    }
    memcpy(x->request.body + x->request.body_size, data, size);
    x->request.body_size += size;
    x->request.body[x->request.body_size] = 0;
}

/* ---------------------------------------------------------------- answers that come later */

sq_http_exchange *sq_http_defer(const sq_http_request *request)
{
    exchange *x = request->exchange;
    x->deferred = true;
    MHD_suspend_connection(x->request.connection);
    return x;
}

void sq_http_answer(sq_http_exchange **later)
{
    exchange *x = *later;
    *later = NULL;
    MHD_resume_connection(x->request.connection);
}

/* ---------------------------------------------------------------- libmicrohttpd's calls */

static void *on_address(void *cls, const char *address, struct MHD_Connection *connection)
{
    exchange *x = sq_alloc(1, sizeof *x);
    if (x != NULL) {
        x->server = cls;
        x->start_s = sq_clock_s();
        x->request.connection = connection;
        x->request.exchange = x;
        if (sq_http_url_parse(address, &x->request.url, &x->problem) == SQUALL_OK) {
            x->problem.code = SQUALL_OK;
        }
        atomic_fetch_add(&x->server->running, 1);
    }
    return x;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    exchange *x = *state;
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (x == NULL) {
        return MHD_NO; /* no memory: the connection is closed */
    }
    if (x->deferred) { /* and answered: nothing calls before that */
        return respond(x);
    }
    if (!x->decided) {
        x->decided = true;
        return decide(x, method) ? MHD_YES : respond(x);
    }
    if (*size > 0) {
        take_body(x, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (x->too_large) {
        sq_http_give_error(&x->response, 413, "a body of at most %zu bytes is taken here",
                           x->request.route->body_limit);
    } else {
        x->response.status = 200;
        x->request.route->run(x->context, &x->request, &x->response);
        /* It may be answered already, on another thread: only what this one wrote is looked at. */
        if (x->deferred) {
            return MHD_YES;
        }
    }
    return respond(x);
}

static void on_done(void *cls, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code)
{
    exchange *x = *state;
    (void)cls;
    (void)connection;
    (void)code;
    if (x == NULL) {
        return;
    }
    const sq_http_service *service = &x->server->service;
    end_context(x);
    if (service->done != NULL && x->response.status != 0) {
        service->done(service->owner, x->request.route, x->response.status, x->sent,
                      sq_clock_s() - x->start_s);
    }
    atomic_fetch_sub(&x->server->running, 1);
    sq_http_response_free(&x->response);
    sq_http_url_free(&x->request.url);
    sq_free(x->request.body);
    sq_free(x);
    *state = NULL;
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *format,
                                                         va_list arguments)
{
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    sq_log_say(cls, SQ_LOG_WARNING, "http", text);
}

/* ---------------------------------------------------------------- the server */

squall_status sq_http_server_open(const sq_http_service *service, const sq_http_options *options,
                                  sq_http_server **out, squall_error *err)
{
    int fd = -1;
    sq_http_server *server = sq_alloc(1, sizeof *server);
    if (server == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "http", "no memory");
    }
    server->service = *service;
    server->quiesced = -1;
    snprintf(server->base, sizeof server->base, "%s", options->base != NULL ? options->base : "");
    snprintf(server->cors, sizeof server->cors, "%s", options->cors != NULL ? options->cors : "");
    const squall_status status =
        sq_http_listen(options->listen, &fd, server->address, sizeof server->address, err);
    if (status != SQUALL_OK) {
        sq_free(server);
        return status;
    }
    server->local = strncmp(server->address, "unix:", 5) == 0;
    const int threads = options->threads > 1 ? options->threads : 0;
    const unsigned most = (unsigned)options->connections;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, service->log,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)threads,
        MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)(server->local ? 0 : options->per_address), MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)options->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_address, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_done, server, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(fd);
        sq_free(server);
        return sq_fail(err, SQUALL_E_IO, options->listen, "libmicrohttpd does not start");
    }
    *out = server;
    return SQUALL_OK;
}

const char *sq_http_server_address(const sq_http_server *server)
{
    return server->address;
}

void sq_http_server_quiesce(sq_http_server *server)
{
    if (server->quiesced < 0) {
        server->quiesced = MHD_quiesce_daemon(server->daemon);
    }
}

size_t sq_http_server_running(const sq_http_server *server)
{
    return atomic_load(&server->running);
}

void sq_http_server_close(sq_http_server **server)
{
    if (server == NULL || *server == NULL) {
        return;
    }
    MHD_stop_daemon((*server)->daemon);
    if ((*server)->quiesced >= 0) {
        close((*server)->quiesced);
    }
    if ((*server)->local) {
        unlink((*server)->address + 5);
    }
    sq_free(*server);
    *server = NULL;
}
