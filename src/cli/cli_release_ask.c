/* cli/cli_release_ask.c - squall release start, status, ...: asked of the service on its socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli_release.h"

enum { ANSWER_BYTES = 16 << 20 };

static int connect_to(const char *path, squall_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        sq_fail_record(err, SQUALL_E_ARGUMENT, path, "has more than %zu bytes",
                       sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        sq_fail_record(err, SQUALL_E_IO, path, "no service answers there: %m");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool send_all(int fd, const sq_text *text)
{
    for (size_t done = 0; done < text->length;) {
        const ssize_t n = send(fd, text->data + done, text->length - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool receive_all(int fd, sq_text *answer)
{
    char bytes[8192];
    for (;;) {
        const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n == 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        sq_text_add_bytes(answer, bytes, n > 0 ? (size_t)n : 0);
        if (answer->failed || answer->length > ANSWER_BYTES) {
            return false;
        }
    }
}

/* One request; the answer's document goes to `*out`. */
static squall_status ask(const char *socket_path, const char *method, const char *path,
                         const char *body, json_t **out, squall_error *err)
{
    sq_text request = {0}, answer = {0};
    squall_status status = SQUALL_OK;
    const int fd = connect_to(socket_path, err);
    if (fd < 0) {
        return err->code;
    }
    sq_text_add(&request,
                "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                method, path, strlen(body), body);
    if (request.failed || !send_all(fd, &request) || !receive_all(fd, &answer)) {
        status = sq_fail(err, SQUALL_E_IO, socket_path, "the service did not answer: %m");
        goto done;
    }
    const char *head = answer.data != NULL ? strstr(answer.data, "\r\n\r\n") : NULL;
    const int code =
        head != NULL && strncmp(answer.data, "HTTP/1.", 7) == 0 ? atoi(answer.data + 9) : 0;
    *out = head != NULL ? json_loads(head + 4, 0, NULL) : NULL;
    if (code != 200 || *out == NULL) {
        const char *said = json_string_value(json_object_get(*out, "description"));
        status = sq_fail(err, code == 400 ? SQUALL_E_ARGUMENT : SQUALL_E_NO_DATA, "service", "%s",
                         said != NULL ? said : "its answer is none of squall's");
        json_decref(*out);
        *out = NULL;
    }
done:
    close(fd);
    sq_text_free(&request);
    sq_text_free(&answer);
    return status;
}

/* ---------------------------------------------------------------- print */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void print_version(const json_t *analysis, const char *key)
{
    const json_t *one = json_object_get(analysis, key);
    static const struct {
        const char *key, *before, *behind;
        double scale;
    } numbers[] = {{"latency_p50_s", ", P50 ", " ms", 1000.0},
                   {"latency_p99_s", ", P99 ", " ms", 1000.0},
                   {"memory_bytes", ", memory ", " MB", 1e-6},
                   {"csi", ", CSI ", "", 1.0}};
    printf("    %-11s %lld runs, %lld failed", key, number_of(one, "runs"),
           number_of(one, "failures"));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const json_t *value = json_object_get(one, numbers[i].key);
        if (json_is_number(value)) {
            printf("%s%.4g%s", numbers[i].before, numbers[i].scale * json_number_value(value),
                   numbers[i].behind);
        }
    }
    putchar('\n');
}

static void print_release(const json_t *release)
{
    const json_t *analysis = json_object_get(release, "analysis");
    printf("%s (%s): %s, version %lld in service\n    %s\n", text_of(release, "engine"),
           text_of(release, "model"), text_of(release, "phase"), number_of(release, "stable"),
           text_of(release, "message"));
    if (number_of(release, "candidate") == 0) {
        return;
    }
    printf("    candidate %lld, step %lld of %s, analysis %s\n", number_of(release, "candidate"),
           number_of(release, "step") + 1, text_of(release, "steps"), text_of(release, "verdict"));
    print_version(analysis, "in_service");
    print_version(analysis, "candidate");
}

static void print_history(const json_t *release)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(release, "history"), i, one)
    {
        printf("%s  %-8s %s/%lld  %s\n", text_of(one, "time"), text_of(one, "what"),
               text_of(release, "engine"), number_of(one, "version"), text_of(one, "text"));
    }
}

static int print_answer(const cli_release_request *want, json_t *answer, bool history)
{
    size_t i;
    json_t *release;
    if (want->json) {
        return cli_print_json(answer);
    }
    json_array_foreach(json_object_get(answer, "releases"), i, release)
    {
        if (history) {
            print_history(release);
        } else {
            print_release(release);
        }
    }
    json_decref(answer);
    return CLI_OK;
}

int cli_release_online(const cli_release_request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    const char *verb = rest->count > 0 ? rest->items[0] : "";
    const char *engine = rest->count > 1 ? rest->items[1] : "";
    const bool asks = strcmp(verb, "status") == 0 || strcmp(verb, "history") == 0;
    char path[256], *end = NULL;
    json_t *answer = NULL;
    const long long version = rest->count > 2 ? strtoll(rest->items[2], &end, 10) : 0;
    if (want->socket == NULL || rest->count > 3 || (!asks && rest->count < 2) ||
        (end != NULL && (*end != '\0' || version < 1)) || strlen(engine) > 60 ||
        strspn(engine, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(engine)) {
        fprintf(stderr, "squall release: status|history [ENGINE], start ENGINE [VERSION], "
                        "pause|promote|abort ENGINE, undo ENGINE [VERSION] need --socket\n");
        return CLI_USAGE;
    }
    snprintf(path, sizeof path, "/releases%s%s%s%s", engine[0] != '\0' ? "/" : "", engine,
             asks ? "" : "/", asks ? "" : verb);
    json_t *body = json_object();
    if (version > 0) {
        json_object_set_new(body, "version", json_integer(version));
    }
    if (want->steps != NULL) {
        json_object_set_new(body, "steps", cli_text(want->steps));
    }
    if (want->note[0] != '\0') {
        json_object_set_new(body, "reason", cli_text(want->note));
    }
    json_object_set_new(body, "full", json_boolean(want->full));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    const squall_status status = ask(want->socket, asks ? "GET" : "POST", path,
                                     text != NULL && !asks ? text : "", &answer, &err);
    free(text);
    return status == SQUALL_OK ? print_answer(want, answer, strcmp(verb, "history") == 0)
                               : cli_report("release", &err);
}
