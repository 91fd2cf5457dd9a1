/* cli/cli_output.c - messages, JSON, progress. */
#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"

int cli_report(const char *command, const squall_error *err)
{
    fprintf(stderr, "squall %s: %s%s%s (%s)\n", command, err->where,
            err->where[0] != '\0' ? ": " : "", err->text, squall_status_name(err->code));
    return err->code == SQUALL_E_ARGUMENT ? CLI_USAGE : CLI_FAILED;
}

void cli_print_notes(const char *command, const squall_notes *notes)
{
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        fprintf(stderr, "squall %s: note: %s\n", command, squall_notes_get(notes, i));
    }
}

json_t *cli_notes_json(const squall_notes *notes)
{
    json_t *list = json_array();
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        json_array_append_new(list, cli_text(squall_notes_get(notes, i)));
    }
    return list;
}

int cli_print_json(json_t *document)
{
    const int failed = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(document);
    if (failed != 0) {
        fprintf(stderr, "squall: the result could not be written as JSON\n");
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* Length of the UTF-8 character at `text`, or 0 for bytes that are none; jansson knows. */
static size_t character(const char *text)
{
    for (size_t length = 1; length <= 4 && strnlen(text, length) == length; length++) {
        json_t *one = json_stringn(text, length);
        if (one != NULL) {
            json_decref(one);
            return length;
        }
    }
    return 0;
}

json_t *cli_text(const char *text)
{
    if (text == NULL) {
        return json_null();
    }
    json_t *whole = json_string(text);
    if (whole != NULL) {
        return whole;
    }
    char *clean = sq_alloc(strlen(text), 3); /* U+FFFD takes three bytes for one */
    size_t used = 0;
    if (clean == NULL) {
        return json_null();
    }
    for (const char *p = text; *p != '\0';) {
        const size_t length = character(p);
        memcpy(clean + used, length > 0 ? p : "\xEF\xBF\xBD", length > 0 ? length : 3);
        used += length > 0 ? length : 3;
        p += length > 0 ? length : 1;
    }
    whole = json_stringn(clean, used);
    sq_free(clean);
    return whole;
}

json_t *cli_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_time(int64_t time)
{
    char text[SQ_TIME_TEXT];
    return time != SQUALL_TIME_NONE ? json_string(sq_time_format(time, text)) : json_null();
}

void cli_progress(const char *what, size_t done, size_t total)
{
    if (!isatty(STDERR_FILENO) || total == 0) {
        return;
    }
    enum { WIDTH = 30 };
    char bar[WIDTH + 1];
    const size_t filled = done * WIDTH / total;
    for (size_t i = 0; i < WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %zu/%zu", what, bar, done, total);
    if (done >= total) {
        fprintf(stderr, "\r%*s\r", (int)strlen(what) + WIDTH + 30, "");
    }
    fflush(stderr);
}

size_t cli_peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}
