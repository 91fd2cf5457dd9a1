/* tests/unit/svc/serve/test_serve.c - the whole service in this process, asked over sockets: every
 * route, keys and rates, files pushed, a reload, a stop. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "svc/serve/serve.h"

#define FOLDER "test_serve_data"
#define SOCKET "test_serve.socket"
#define INI    "test_serve.ini"
#define KNMI   SQUALL_SOURCE_DIR "/data/knmi"

static char key[65], hash[65], infer_key[65], infer_hash[65];

/* ---------------------------------------------------------------- a client */

typedef struct reply {
    int status;
    char *text; /* owned: head and body */
    const char *body;
    size_t body_size;
} reply;

static int connect_to(const char *address)
{
    int fd;
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof un.sun_path, "%s", address + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
        return fd;
    }
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* the server has answered already */
        }
        at += sent;
        size -= (size_t)sent;
    }
}

static reply read_reply(int fd)
{
    reply r = {0};
    size_t length = 0, room = 1 << 16;
    r.text = malloc(room);
    for (ssize_t got; (got = recv(fd, r.text + length, room - length - 1, 0)) > 0;) {
        length += (size_t)got;
        if (room - length < 2) {
            room *= 2;
            r.text = realloc(r.text, room);
        }
    }
    close(fd);
    r.text[length] = '\0';
    char *end = strstr(r.text, "\r\n\r\n");
    r.status = strncmp(r.text, "HTTP/1.1 ", 9) == 0 ? atoi(r.text + 9) : 0;
    r.body = end != NULL ? end + 4 : r.text + length;
    r.body_size = length - (size_t)(r.body - r.text);
    return r;
}

static reply ask(const char *address, const char *method, const char *path, const char *headers,
                 const void *body, size_t size)
{
    char head[4096];
    const int fd = connect_to(address);
    snprintf(head, sizeof head,
             "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
             method, path, size, headers);
    send_all(fd, head, strlen(head));
    send_all(fd, body, size);
    return read_reply(fd);
}

static void expect_with(const char *address, int status, const char *method, const char *path,
                        const char *headers)
{
    reply r = ask(address, method, path, headers, NULL, 0);
    if (r.status != status) {
        fprintf(stderr, "%s %s: %d instead of %d\n%.600s\n", method, path, r.status, status,
                r.text);
    }
    assert_int_equal(r.status, status);
    free(r.text);
}

static void expect(const char *address, int status, const char *path)
{
    expect_with(address, status, "GET", path, "");
}

/* ---------------------------------------------------------------- the service */

static void write_ini(const char *more)
{
    FILE *file = fopen(INI, "w");
    fprintf(file,
            "[server]\nlisten = 127.0.0.1:0, unix:" SOCKET "\ndata = " FOLDER
            "\nlog_level = error\ntitle = Test\n"
            "institution = Office\nlicense = CC BY 4.0\npush_mb = 1\nidle_s = 3\nsandbox = no\n"
            "[limits]\nvalues = 100\n"
            "[replay]\nstart = 2010-08-26T01:05Z\nspeed = 1\n"
            "[source knmi]\nreplay = " KNMI "\npush = yes\nattribution = Source: KNMI (CC BY 4.0)\n"
            "[region nl]\nradar = knmi\nwindow = 300,300,96,96\nalarm_mm_h = 0.5\nalarm_cells = "
            "1\nmembers = 3\n"
            "[location helder]\ntitle = Den Helder\nlon = 4.76\nlat = 52.96\n"
            "[key boss]\nrole = operate\nhash = %s\n[key robot]\nrole = infer\nhash = %s\n%s",
            hash, infer_hash, more);
    fclose(file);
}

static void *wait_for_signals(void *arg)
{
    sq_serve_wait(arg);
    return NULL;
}

typedef struct running {
    sq_serve *serve;
    pthread_t waiter;
    const char *tcp, *local;
} running;

static running start(void)
{
    running r = {0};
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    const squall_status status = sq_serve_open(INI, &r.serve, notes, &err);
    if (status != SQUALL_OK) {
        fprintf(stderr, "%s: %s\n", err.where, err.text);
    }
    assert_int_equal(status, SQUALL_OK);
    squall_notes_destroy(&notes);
    r.tcp = sq_serve_address(r.serve, 0);
    r.local = sq_serve_address(r.serve, 1);
    assert_null(sq_serve_address(r.serve, 2));
    assert_int_equal(pthread_create(&r.waiter, NULL, wait_for_signals, r.serve), 0);
    for (int i = 0; i < 600; i++) {
        reply ready = ask(r.tcp, "GET", "/health/ready", "", NULL, 0);
        const bool done = ready.status == 200;
        free(ready.text);
        if (done) {
            return r;
        }
        usleep(50000);
    }
    fail_msg("the service did not become ready");
    return r;
}

static void stop(running *r)
{
    pthread_kill(r->waiter, SIGTERM);
    assert_int_equal(pthread_join(r->waiter, NULL), 0);
    sq_serve_close(&r->serve);
    assert_null(r->serve);
}

static void test_routes(void **state)
{
    const running *r = *state;
    static const struct {
        int status;
        const char *path;
    } cases[] = {
        {200, "/"},
        {200, "/conformance"},
        {200, "/api"},
        {200, "/health/live"},
        {200, "/metrics"},
        {200, "/status"},
        {200, "/skill"},
        {200, "/skill?region=nl&hours=1"},
        {404, "/skill?region=no"},
        {400, "/skill?hours=-1"},
        {200, "/regions/nl"},
        {404, "/regions/no"},
        {200, "/regions/nl/products"},
        {400, "/regions/nl/products?limit=x"},
        {404, "/regions/nl/products/no.nc"},
        {400, "/regions/nl/products/%2e%2e%2fx"},
        {200, "/search?q=den"},
        {400, "/search"},
        {200, "/nowcast/point?lon=4.76&lat=52.96"},
        {200, "/nowcast/point?lon=4.76&lat=52.96&region=nl"},
        {404, "/nowcast/point?lon=4.76&lat=52.96&region=no"},
        {404, "/nowcast/point?lon=44&lat=5"},
        {400, "/nowcast/point?lon=4.76"},
        {400, "/nowcast/point?lon=x&lat=52"},
        {200, "/collections"},
        {200, "/collections/nl"},
        {200, "/collections/nl-observed"},
        {404, "/collections/no"},
        {200, "/collections/nl/instances"},
        {404, "/collections/nl-observed/instances"},
        {200, "/collections/nl/instances/20100826T010500Z"},
        {404, "/collections/nl/instances/20100826T010600Z"},
        {404, "/collections/nl-observed/instances/20100826T010500Z"},
        {404,
         "/collections/nl-observed/instances/20100826T010500Z/position?coords=POINT(4.76%2052.96)"},
        {200, "/collections/nl/position?coords=POINT(4.76%2052.96)"},
        {200, "/collections/nl/position?coords=POINT(4.76%2052.96)&f=GeoJSON"},
        {200, "/collections/nl/position?coords=POINT(4.76%2052.96)&f=csv"},
        {400, "/collections/nl/position?coords=POINT(4.76%2052.96)&f=NetCDF4"},
        {400, "/collections/nl/position?coords=POLYGON((0%200,1%200,1%201,0%200))"},
        {200, "/collections/nl-observed/position?coords=POINT(4.76%2052.96)"},
        {200, "/collections/nl/"
              "area?coords=POLYGON((4.7%2052.9,4.8%2052.9,4.8%2053,4.7%2052.9))&f=NetCDF4"},
        {413, "/collections/nl/cube?bbox=4,52,6,54"},
        {200, "/collections/nl/cube?bbox=4.7,52.9,4.8,53&parameter-name=rainrate"},
        {204, "/collections/nl/cube?bbox=44,5,45,6"},
        {200, "/collections/nl/radius?coords=POINT(4.76%2052.96)&within=5&within-units=km"},
        {400, "/collections/nl/radius?coords=POINT(4.76%2052.96)&within=5"},
        {400,
         "/collections/nl/radius?coords=MULTIPOINT(4.76%2052.96,4%2052)&within=5&within-units=km"},
        {200, "/collections/nl/trajectory?coords=LINESTRING(4.7%2052.9,4.8%2053)"},
        {400, "/collections/nl/trajectory?coords=POINT(4.7%2052.9)"},
        {200, "/collections/nl/locations"},
        {200, "/collections/nl/locations?bbox=4,52,5,53&limit=1"},
        {400, "/collections/nl/locations?bbox=x"},
        {200, "/collections/nl/locations/helder"},
        {404, "/collections/nl/locations/no"},
        {200, "/tiles/nl/legend.json"},
        {200, "/tiles/nl/latest/latest/tilejson.json"},
        {404, "/tiles/nl/latest/19990101T000000Z/tilejson.json"},
        {200, "/tiles/nl/latest/latest/7/65/41.png"},
        {200, "/tiles/nl/20100826T010500Z/20100826T011500Z/7/65/41.png"},
        {200, "/tiles/nl/20100826T010500Z/20100826T011500Z/7/65/41@2x.png"},
        {404, "/tiles/nl/latest/latest/7/650/41.png"},
        {404, "/tiles/nl/latest/latest/7/x/41.png"},
        {200, "/collections/nl/map/tiles"},
        {200, "/collections/nl/map/tiles/WebMercatorQuad"},
        {200, "/collections/nl/map/tiles/WebMercatorQuad/7/41/65"},
        {200, "/collections/nl-observed/map/tiles/WebMercatorQuad/7/41/"
              "65?datetime=2010-08-26T01:00:00Z"},
        {404, "/collections/nl/map/tiles/WebMercatorQuad/7/41/65?datetime=1999-01-01T00:00:00Z"},
        {400, "/collections/nl/map/tiles/WebMercatorQuad/7/41/65?datetime=now"},
        {200, "/tileMatrixSets"},
        {200, "/tileMatrixSets/WebMercatorQuad"},
        {404, "/nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect(r->tcp, cases[i].status, cases[i].path);
    }
    expect_with(r->tcp, 200, "HEAD", "/status", "");
    expect_with(r->tcp, 405, "POST", "/status", "");
    expect_with(r->tcp, 204, "OPTIONS", "/status", "");
    expect_with(r->tcp, 200, "GET", "/metrics", "Accept: application/openmetrics-text\r\n");
    expect_with(r->tcp, 200, "GET", "/collections", "Accept-Encoding: gzip\r\n");
    expect_with(r->tcp, 304, "GET", "/conformance", "If-None-Match: *\r\n");
    expect_with(r->tcp, 200, "GET", "/collections/nl/position?coords=POINT(4.76%2052.96)",
                "Accept: text/csv\r\n");
}

/* The alarm of the test's low threshold, and what went into the forecast. */
static void test_region(void **state)
{
    const running *r = *state;
    reply got = ask(r->tcp, "GET", "/regions/nl", "", NULL, 0);
    assert_non_null(strstr(got.body, "\"alarm\":true"));
    assert_non_null(strstr(got.body, "\"method\":\"extrapolation\""));
    assert_non_null(strstr(got.body, "RAD_NL25_RAP_5min_201008260105.h5"));
    assert_non_null(strstr(got.body, "Source: KNMI"));
    free(got.text);
}

/* Probabilities come from the ensemble that the region asks for. */
static void test_ensemble(void **state)
{
    const running *r = *state;
    reply got = ask(r->tcp, "GET", "/nowcast/point?lon=4.76&lat=52.96", "", NULL, 0);
    assert_non_null(strstr(got.body, "\"probability_by\":\"ensemble\""));
    free(got.text);
}

/* What is refused by the filter fails, is told, and harms nobody. */
static void test_sandbox(void **state)
{
    int ends[2], status;
    char line[512] = "";
    (void)state;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        squall_error err;
        dup2(ends[1], STDERR_FILENO);
        if (sq_serve_confine(&err) != SQUALL_OK) {
            _exit(1);
        }
        const long refused = syscall(SYS_setsid);
        const bool told = refused == -1 && errno == EPERM;
        const bool lives = getpid() > 0 && syscall(SYS_execve, "/bin/true", NULL, NULL) == -1;
        _exit(told && lives && fork() == -1 ? 0 : 2);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    close(ends[0]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_non_null(strstr(line, "\"event\":\"sandbox\""));
    assert_non_null(strstr(line, "was refused\",\"call\":"));
}

static void test_keys(void **state)
{
    const running *r = *state;
    char header[160];
    expect_with(r->tcp, 401, "GET", "/status", "X-API-Key: nonsense\r\n");
    snprintf(header, sizeof header, "X-API-Key: %s\r\n", infer_key);
    expect_with(r->tcp, 200, "GET", "/status", header);
    expect_with(r->tcp, 403, "PUT", "/ingest/knmi/a.h5", header);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", key);
    expect_with(r->tcp, 200, "GET", "/status", header);
    expect_with(r->tcp, 403, "PUT", "/ingest/knmi/a.h5",
                header); /* not on TCP, unless it is allowed */
    expect_with(r->tcp, 403, "PUT", "/ingest/knmi/a.h5", "");
}

static void test_push(void **state)
{
    const running *r = *state;
    static char big[(1 << 20) + 100];
    FILE *file = fopen(KNMI "/RAD_NL25_RAP_5min_201008260110.h5", "rb");
    static char bytes[400000];
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    static const struct {
        int status;
        const char *path;
        size_t size; /* of `big`; 0: the frame */
    } cases[] = {{400, "/ingest/knmi/.hidden", 0},
                 {404, "/ingest/knmi/a%2fb", 0},
                 {404, "/ingest/no/a.h5", 0},
                 {413, "/ingest/knmi/a.h5", sizeof big},
                 {202, "/ingest/knmi/rubbish.h5",
                  100}, /* taken; that it is no frame is found out later */
                 {202, "/ingest/nl/RAD_NL25_RAP_5min_201008260110.h5", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply got = ask(r->local, "PUT", cases[i].path, "", cases[i].size > 0 ? big : bytes,
                        cases[i].size > 0 ? cases[i].size : size);
        if (got.status != cases[i].status) {
            fprintf(stderr, "%s: %d\n%.300s\n", cases[i].path, got.status, got.text);
        }
        assert_int_equal(got.status, cases[i].status);
        free(got.text);
    }
    /* It is five minutes ahead of the clock, which is not yet the future. */
    for (int i = 0; i < 400; i++) {
        reply got = ask(r->tcp, "GET", "/collections/nl/instances/20100826T011000Z", "", NULL, 0);
        const bool there = got.status == 200;
        free(got.text);
        if (there) {
            expect(r->tcp, 200, "/metrics");
            return;
        }
        usleep(50000);
    }
    fail_msg("no forecast from the pushed frame");
}

/* One event reaches a listener; a stop ends the stream. */
static void test_events(void **state)
{
    running *r = *state;
    const int fd = connect_to(r->tcp);
    const char *head = "GET /events HTTP/1.1\r\nHost: test\r\nLast-Event-ID: 1\r\n\r\n";
    char text[4096];
    size_t length = 0;
    send_all(fd, head, strlen(head));
    for (int i = 0; i < 100 && strstr(text, "event: forecast") == NULL; i++) {
        const ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        assert_true(got > 0);
        length += (size_t)got;
        text[length] = '\0';
    }
    assert_non_null(strstr(text, "text/event-stream"));
    assert_non_null(strstr(text, "\"region\":\"nl\""));
    close(fd);
}

/* Bytes that no client sends: each is answered or hung up on, and the next client is served. */
static void test_rough_clients(void **state)
{
    const running *r = *state;
    static const char *const rough[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /status HTTP/1.1\r\n\r\n", /* no Host */
        "GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
         "Content-Length: 3\r\n\r\n0\r\n\r\n"),
        "PUT /ingest/knmi/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET http://other/status HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /status%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /status HTTP/1.1\r\nHost: evil\"><script>\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    };
    for (size_t i = 0; i < sizeof rough / sizeof rough[0]; i++) {
        const int fd = connect_to(r->tcp);
        send_all(fd, rough[i], strlen(rough[i]));
        shutdown(fd, SHUT_WR);
        reply got = read_reply(fd);
        assert_true(got.status == 0 || got.status == 200 ||
                    (got.status >= 400 && got.status < 600));
        assert_null(strstr(got.text, "<script>"));
        free(got.text);
        expect(r->tcp, 200, "/health/live");
    }
    char *header = malloc(60000);
    memset(header, 'a', 60000);
    memcpy(header, "X-Big: ", 7);
    memcpy(header + 59997, "\r\n", 3);
    const int fd = connect_to(r->tcp);
    const char *head = "GET /status HTTP/1.1\r\nHost: a\r\n";
    send_all(fd, head, strlen(head));
    send_all(fd, header, 59999);
    send_all(fd, "\r\n", 2);
    reply got = read_reply(fd);
    assert_true(got.status == 0 || got.status == 431 || got.status == 413);
    free(got.text);
    free(header);
    expect(r->tcp, 200, "/health/live");
}

/* A file with a mistake changes nothing; a good one takes effect, and the region goes on. */
static void test_reload(void **state)
{
    const running *r = *state;
    write_ini("nonsense = 1\n");
    pthread_kill(r->waiter, SIGHUP);
    usleep(300000);
    expect(r->tcp, 200, "/collections/nl/locations/helder");
    write_ini("[location new]\nlon = 4.8\nlat = 52.9\n[region all]\nradar = knmi\nwindow = "
              "280,280,64,64\n"
              "[engine lost]\nfile = nowhere.engine\n");
    pthread_kill(r->waiter, SIGHUP);
    for (int i = 0; i < 200; i++) {
        reply got = ask(r->tcp, "GET", "/collections/nl/locations/new", "", NULL, 0);
        const int status = got.status;
        free(got.text);
        if (status == 200) {
            break;
        }
        usleep(50000);
    }
    expect(r->tcp, 200, "/collections/nl/locations/new");
    expect(r->tcp, 200,
           "/collections/nl/instances/20100826T010500Z"); /* what it had it still has */
    expect(r->tcp, 200, "/metrics");
    write_ini("[limits]\n");
}

static int set_up(void **state)
{
    static running r;
    squall_error err;
    if (system("rm -rf " FOLDER) != 0 || sq_serve_make_key(key, hash, &err) != SQUALL_OK ||
        sq_serve_make_key(infer_key, infer_hash, &err) != SQUALL_OK) {
        return -1;
    }
    write_ini("");
    r = start();
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    stop(*state);
    unlink(INI);
    return system("rm -rf " FOLDER);
}

/* Started again, it has what it had; and limits on how often one may ask. */
static void test_restart_and_rates(void **state)
{
    running *r = *state;
    stop(r);
    assert_true(access(SOCKET, F_OK) != 0);
    write_ini("[engine e]\nfile = nowhere.engine\n[region far]\nradar = knmi\nengines = e\nwindow "
              "= 320,320,48,48\n"
              "method = model\nleads_min = 5,15\n");
    FILE *file = fopen(INI, "r");
    char text[4096];
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    char *values = strstr(text, "values = 100");
    memcpy(values, "burst = 5\n# ", 12);
    file = fopen(INI, "w");
    fprintf(file, "%.*s\nrate_per_s = 0.5\n%s", (int)(values + 12 - text), text, values + 12);
    fclose(file);
    *r = start();
    int limited = 0;
    for (int i = 0; i < 10; i++) {
        reply got = ask(r->tcp, "GET", "/status", "", NULL, 0);
        limited += got.status == 429 && strstr(got.text, "Retry-After: ") != NULL ? 1 : 0;
        free(got.text);
    }
    assert_true(limited >= 4);
    reply got =
        ask(r->local, "GET", "/regions/far", "", NULL, 0); /* the Unix socket has no limit */
    assert_int_equal(got.status, 200);
    assert_non_null(
        strstr(got.body, "\"method\":\"extrapolation\"")); /* an engine that is not there */
    free(got.text);
    expect(r->local, 200, "/regions/nl/products");
}

static void test_check(void **state)
{
    (void)state;
    squall_error err;
    squall_notes *notes = squall_notes_create();
    write_ini("");
    assert_int_equal(sq_serve_check(INI, notes, &err), SQUALL_OK);
    write_ini("[engine e]\nfile = nowhere.engine\n[source s]\nwatch = nowhere\n");
    assert_int_equal(sq_serve_check(INI, notes, &err), SQUALL_E_NO_DATA);
    assert_int_equal(squall_notes_count(notes), 2);
    squall_notes_destroy(&notes);
    sq_serve *none = NULL;
    assert_int_equal(sq_serve_open("nowhere.ini", &none, NULL, &err), SQUALL_E_IO);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),   cmocka_unit_test(test_region),
        cmocka_unit_test(test_ensemble), cmocka_unit_test(test_sandbox),
        cmocka_unit_test(test_keys),     cmocka_unit_test(test_push),
        cmocka_unit_test(test_events),   cmocka_unit_test(test_rough_clients),
        cmocka_unit_test(test_reload),   cmocka_unit_test(test_restart_and_rates),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
