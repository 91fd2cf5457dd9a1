/* svc/http/http.h - an HTTP/1.1 server: a table of routes, requests in, responses out. It knows
 * nothing of weather. */
#ifndef SQ_SVC_HTTP_HTTP_H
#define SQ_SVC_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* ---------------------------------------------------------------- addresses */

#define SQ_HTTP_ARGUMENTS 32 /* name=value pairs in one query */
#define SQ_HTTP_CAPTURES  12 /* {names} in one pattern */
#define SQ_HTTP_NAME      32

/** One name=value of a query, decoded; borrowed from the address. */
typedef struct sq_http_argument {
    const char *name, *value;
} sq_http_argument;

/** An address that came with a request, taken apart. */
typedef struct sq_http_url {
    char *path;  /* decoded, begins with '/'; no empty, "." or ".." segments, but perhaps a last
                    slash */
    char *store; /* owned; everything points into it */
    sq_http_argument arguments[SQ_HTTP_ARGUMENTS];
    size_t argument_count;
} sq_http_url;

/**
 * Take "/a/b%20c?d=e+f" apart: percent signs decoded, and plus signs in the query.
 *
 * @return SQUALL_OK; SQUALL_E_FORMAT (no leading slash, a percent sign without two digits, control
 *         characters, text that is no UTF-8, a segment "." or ".."); SQUALL_E_LIMIT (too many
 * arguments); SQUALL_E_MEMORY. Release with sq_http_url_free().
 */
SQUALL_MUST_USE squall_status sq_http_url_parse(const char *text, sq_http_url *out,
                                                squall_error *err);
void sq_http_url_free(sq_http_url *url);

/** What a pattern's {name} stood for. */
typedef struct sq_http_capture {
    char name[SQ_HTTP_NAME];
    const char *value; /* into `store` */
} sq_http_capture;

typedef struct sq_http_captures {
    sq_http_capture items[SQ_HTTP_CAPTURES];
    size_t count;
    char store[1024];
} sq_http_captures;

/** Whether `path` has the form of `pattern`: "/tiles/{z}/{x}/{y}.png". A {name} stands for one or
 * more characters of one segment. */
bool sq_http_match(const char *pattern, const char *path, sq_http_captures *out);

/* ---------------------------------------------------------------- routes */

typedef enum sq_http_method {
    SQ_HTTP_GET = 1, /* and HEAD */
    SQ_HTTP_PUT = 2,
    SQ_HTTP_POST = 4,
    SQ_HTTP_DELETE = 8
} sq_http_method;

/** What a caller may do; each may do what those before it may. */
typedef enum sq_http_role {
    SQ_ROLE_NONE = 0,
    SQ_ROLE_READ = 1,
    SQ_ROLE_INFER = 2,
    SQ_ROLE_OPERATE = 3
} sq_http_role;

typedef struct sq_http_request sq_http_request;
typedef struct sq_http_response sq_http_response;
typedef struct sq_http_exchange sq_http_exchange;

/** Answers a request. `context` is what the server's `begin` gave. Runs on a thread of the server,
 * several side by side. */
typedef void sq_http_handler(void *context, const sq_http_request *request,
                             sq_http_response *response);

/** One row of the table of routes. The same rows make the OpenAPI document. */
typedef struct sq_http_route {
    sq_http_method method;
    const char *pattern;
    sq_http_handler *run;
    sq_http_role role;
    const char *tag, *summary;
    const char *parameters; /* names of query parameters, with spaces; '*' after a required one */
    const char *types;      /* media types of its answers, with spaces */
    size_t body_limit;      /* bytes of a request's body; 0 for none */
} sq_http_route;

/* ---------------------------------------------------------------- requests */

/** A request, borrowed by its handler. */
struct sq_http_request {
    const sq_http_route *route;
    sq_http_method method; /* HEAD counts as GET */
    sq_http_url url;
    sq_http_captures captures;
    sq_http_role role;   /* of the caller */
    char base[160];      /* "http://host:port", as the client calls this server */
    unsigned char *body; /* owned by the server */
    size_t body_size;
    void *connection; /* private to the room, as the next */
    sq_http_exchange *exchange;
};

/** The value of a query parameter, or NULL; of several of one name the first. */
const char *sq_http_argument_find(const sq_http_request *request, const char *name);
/** The text that {name} stood for, or NULL. */
const char *sq_http_capture_find(const sq_http_request *request, const char *name);
/** A header of the request, or NULL. */
const char *sq_http_header_find(const sq_http_request *request, const char *name);

/* ---------------------------------------------------------------- responses */

enum { SQ_HTTP_HEADERS = 8 };

typedef struct sq_http_header {
    char name[40], value[200];
} sq_http_header;

/** A response under construction: filled by a handler through the functions below. */
struct sq_http_response {
    int status;
    const char *type; /* static text */
    const void *body; /* released by `release(owner)` */
    size_t size;
    void (*release)(void *owner);
    void *owner;
    int32_t max_age_s; /* of Cache-Control; 0: ask again each time; -1: never keep */
    bool immutable;    /* what the address names never changes */
    bool plain;        /* not to be compressed: it already is */
    sq_http_header headers[SQ_HTTP_HEADERS];
    size_t header_count;
    char etag[48];              /* without quotes; empty: made from the body */
    struct sq_http_hub *stream; /* an endless answer of events */
};

/** Give the bytes of `text` away as the body. A text without memory becomes a 500. */
void sq_http_give_text(sq_http_response *response, int status, const char *type, sq_text *text);
/** The same of a JSON document. */
void sq_http_give_json(sq_http_response *response, int status, const char *type, sq_json *json);
/** Bytes that `release(owner)` gives back when they were sent. */
void sq_http_give_bytes(sq_http_response *response, int status, const char *type, const void *bytes,
                        size_t size, void (*release)(void *), void *owner);
/** {"code": ..., "description": ...}, as OGC's interfaces have it. */
__attribute__((format(printf, 3, 4))) void sq_http_give_error(sq_http_response *response,
                                                              int status, const char *format, ...);
/** The same for a failure of ours: a status of HTTP that fits the code. */
void sq_http_give_failure(sq_http_response *response, const squall_error *err);
/** Add a header; line ends and other control characters in `value` end it. */
void sq_http_add_header(sq_http_response *response, const char *name, const char *value);
/** Release the body. */
void sq_http_response_free(sq_http_response *response);

/** The body by libdeflate in gzip's format; false when it did not get smaller or there is no
 * memory.
 * `*out` is given (sq_free). */
bool sq_http_gzip(const void *bytes, size_t size, void **out, size_t *out_size);
/** Whether a list of entity tags ("\"a\", W/\"b\"", "*") has this one. */
bool sq_http_etag_in(const char *list, const char *etag);
/** Whether an Accept-Encoding lets gzip through. */
bool sq_http_accepts_gzip(const char *accept_encoding);

/**
 * Answer later: the handler returns, its thread goes on with other connections, and the request and
 * the response stay where they are until sq_http_answer(). Every request that is put off must be
 * answered before its server is closed.
 */
sq_http_exchange *sq_http_defer(const sq_http_request *request);
/** Answer, on any thread: the response is filled, and neither it nor the request is touched
 * afterwards. */
void sq_http_answer(sq_http_exchange **later);

/* ---------------------------------------------------------------- limits */

/** Tokens by caller: each has a bucket that fills at `per_s` up to `burst`. */
typedef struct sq_http_limiter sq_http_limiter;

/** @return NULL without memory; given. */
sq_http_limiter *sq_http_limiter_create(void);
void sq_http_limiter_destroy(sq_http_limiter **limiter);
/** Take one token of `who`; false, with the seconds to wait, when there is none. A rate of 0 is no
 * limit. `now_s` is a clock that never jumps. Threads: safe. */
bool sq_http_limiter_take(sq_http_limiter *limiter, const char *who, double per_s, double burst,
                          double now_s, int *wait_s);

/* ---------------------------------------------------------------- events */

/** Server-Sent Events: whatever is published goes to everyone who listens. */
typedef struct sq_http_hub sq_http_hub;

sq_http_hub *sq_http_hub_create(void);
void sq_http_hub_destroy(sq_http_hub **hub);
/** Publish; `data` is one line of text. A NULL `event` is a sign of life alone. Threads: safe. */
void sq_http_hub_publish(sq_http_hub *hub, const char *event, const char *data);
/** End all streams; new ones end at once. */
void sq_http_hub_close(sq_http_hub *hub);
/** Listeners now. */
size_t sq_http_hub_listeners(sq_http_hub *hub);
/** Answer with the stream of `hub`. */
void sq_http_give_stream(sq_http_response *response, sq_http_hub *hub);

/* ---------------------------------------------------------------- the server */

/** Who asks, and what for; see sq_http_service.admit. */
typedef struct sq_http_caller {
    char address[64]; /* "192.0.2.1"; "unix" on a Unix socket */
    bool local;       /* on a Unix socket */
    const char *key;  /* what came as X-API-Key or Bearer; NULL for none */
} sq_http_caller;

/** What admit() decided. */
typedef struct sq_http_admission {
    int status; /* 0: go on; 401, 403, 429 */
    sq_http_role role;
    int retry_after_s; /* with 429 and 503 */
} sq_http_admission;

/** What the server asks of its owner. */
typedef struct sq_http_service {
    void *owner;
    const sq_http_route *routes;
    size_t route_count;
    void *(*begin)(void *owner);             /* context of one request */
    void (*end)(void *owner, void *context); /* when it was answered */
    void (*admit)(void *context, const sq_http_caller *caller, const sq_http_route *route,
                  sq_http_admission *out);
    /* What was answered: for counters. `route` is NULL when none fitted. */
    void (*done)(void *owner, const sq_http_route *route, int status, size_t bytes, double seconds);
    sq_log *log; /* borrowed */
} sq_http_service;

typedef struct sq_http_options {
    const char *listen;  /* "127.0.0.1:8080", "[::1]:0", "unix:/run/squall/socket" */
    int32_t threads;     /* 1..64 */
    int32_t connections; /* at most, in all */
    int32_t per_address; /* connections; 0: no limit */
    int32_t idle_s;      /* a connection that is silent for so long is closed */
    const char *base;    /* what clients call the server: "https://rain.example"; NULL: by Host */
    const char *cors;    /* Access-Control-Allow-Origin; NULL: none */
} sq_http_options;

typedef struct sq_http_server sq_http_server;

/** Listen and answer until the close. @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_IO. */
SQUALL_MUST_USE squall_status sq_http_server_open(const sq_http_service *service,
                                                  const sq_http_options *options,
                                                  sq_http_server **out, squall_error *err);
/** "http://127.0.0.1:43210" or "unix:/path"; borrowed. */
const char *sq_http_server_address(const sq_http_server *server);
/** Take no new connections; those that are open go on. */
void sq_http_server_quiesce(sq_http_server *server);
/** Requests that are being answered now, streams aside. */
size_t sq_http_server_running(const sq_http_server *server);
/** Streams must have been ended by sq_http_hub_close(). */
void sq_http_server_close(sq_http_server **server);

#endif /* SQ_SVC_HTTP_HTTP_H */
