/* nn/compile/compile_times.c - measured times as a text file, one a line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "nn/compile/compile_tactics.h"

#define FORMAT "squall tactics 1"

/* Bytes of a file of times, and of one text in it. */
#define MOST_BYTES ((size_t)256 << 20)
#define MOST_TEXT  ((size_t)64 << 10)

void sq_times_free(sq_times *times)
{
    for (size_t i = 0; i < times->count; i++) {
        sq_free(times->items[i].device);
        sq_free(times->items[i].build);
        sq_free(times->items[i].step);
        sq_free(times->items[i].tactic);
    }
    sq_free(times->items);
    memset(times, 0, sizeof *times);
}

static int compare(const sq_time *a, const char *device, const char *build, const char *step,
                   const char *tactic)
{
    int order = strcmp(a->device, device);
    order = order != 0 ? order : strcmp(a->build, build);
    order = order != 0 ? order : strcmp(a->step, step);
    return order != 0 ? order : strcmp(a->tactic, tactic);
}

/* Where an entry is, or belongs. */
static size_t place(const sq_times *times, const char *device, const char *build, const char *step,
                    const char *tactic, bool *found)
{
    size_t low = 0, high = times->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare(&times->items[middle], device, build, step, tactic) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < times->count && compare(&times->items[low], device, build, step, tactic) == 0;
    return low;
}

const sq_time *sq_times_find(const sq_times *times, const char *device, const char *build,
                             const char *step, const char *tactic)
{
    bool found;
    const size_t at = place(times, device, build, step, tactic, &found);
    return found ? &times->items[at] : NULL;
}

/* As the file holds it: what is replayed is to the bit what was measured. */
static double round_seconds(double seconds)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", seconds);
    return strtod(text, NULL);
}

squall_status sq_times_add(sq_times *times, const sq_time *time, squall_error *err)
{
    bool found;
    const double median_s = round_seconds(time->median_s);
    const double spread_s = round_seconds(time->spread_s);
    const size_t at = place(times, time->device, time->build, time->step, time->tactic, &found);
    if (found) {
        sq_time *old = &times->items[at];
        if (median_s < old->median_s || (median_s == old->median_s && spread_s < old->spread_s)) {
            old->median_s = median_s;
            old->spread_s = spread_s;
        }
        return SQUALL_OK;
    }
    if (times->count == times->capacity) {
        const size_t capacity = times->capacity > 0 ? 2 * times->capacity : 64;
        sq_time *items = sq_regrow(times->items, times->count, capacity, sizeof *items);
        if (items == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, "tactics", "no memory for %zu times", capacity);
        }
        times->items = items;
        times->capacity = capacity;
    }
    sq_time made = {.device = sq_strdup(time->device),
                    .build = sq_strdup(time->build),
                    .step = sq_strdup(time->step),
                    .tactic = sq_strdup(time->tactic),
                    .median_s = median_s,
                    .spread_s = spread_s};
    if (made.device == NULL || made.build == NULL || made.step == NULL || made.tactic == NULL) {
        sq_free(made.device);
        sq_free(made.build);
        sq_free(made.step);
        sq_free(made.tactic);
        return sq_fail(err, SQUALL_E_MEMORY, "tactics", "no memory for a time");
    }
    memmove(&times->items[at + 1], &times->items[at], (times->count - at) * sizeof made);
    times->items[at] = made;
    times->count++;
    return SQUALL_OK;
}

/* A text member without zeros, not empty, not endless; NULL when it is none. */
static const char *get_text(const json_t *entry, const char *key)
{
    const json_t *value = json_object_get(entry, key);
    const char *text = json_string_value(value);
    const size_t length = text != NULL ? json_string_length(value) : 0;
    return length > 0 && length < MOST_TEXT && strlen(text) == length ? text : NULL;
}

static squall_status read_entry(sq_times *times, const json_t *entry, const char *name,
                                size_t number, squall_error *err)
{
    const json_t *median = json_object_get(entry, "median_s");
    const json_t *spread = json_object_get(entry, "spread_s");
    /* jansson hands out texts that are not to be changed, as these are not. */
    const sq_time time = {.device = (char *)(uintptr_t)get_text(entry, "device"),
                          .build = (char *)(uintptr_t)get_text(entry, "build"),
                          .step = (char *)(uintptr_t)get_text(entry, "step"),
                          .tactic = (char *)(uintptr_t)get_text(entry, "tactic"),
                          .median_s = json_number_value(median),
                          .spread_s = json_number_value(spread)};
    if (time.device == NULL || time.build == NULL || time.step == NULL || time.tactic == NULL ||
        !json_is_number(median) || !json_is_number(spread) || !isfinite(time.median_s) ||
        !isfinite(time.spread_s) || time.median_s <= 0 || time.spread_s < 0) {
        return sq_fail(err, SQUALL_E_FORMAT, name,
                       "entry %zu needs texts device, build, step and tactic, and seconds median_s "
                       "(above 0) and spread_s",
                       number);
    }
    return sq_times_add(times, &time, err);
}

squall_status sq_times_parse(sq_times *times, const char *text, size_t length, const char *name,
                             squall_error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL && problem.text[0] == '\0') { /* the library has no words for this one */
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory to read it");
    }
    if (root == NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, name, "is no JSON: line %d: %.160s", problem.line,
                       problem.text);
    }
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *list = json_object_get(root, "times");
    squall_status status = SQUALL_OK;
    if (format == NULL || strcmp(format, FORMAT) != 0 || !json_is_array(list)) {
        status = sq_fail(err, SQUALL_E_FORMAT, name,
                         "its format is '%.40s' with%s times; '" FORMAT "' is read",
                         format != NULL ? format : "", json_is_array(list) ? "" : "out");
    }
    for (size_t i = 0; status == SQUALL_OK && i < json_array_size(list); i++) {
        status = read_entry(times, json_array_get(list, i), name, i, err);
    }
    json_decref(root);
    return status;
}

squall_status sq_times_read(sq_times *times, const char *path, squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SQ_TRY(sq_file_read(path, MOST_BYTES, &bytes, &size, err));
    const squall_status status = sq_times_parse(times, (const char *)bytes, size, path, err);
    sq_free(bytes);
    return status;
}

/* One entry as a line; false when there is no memory. */
static bool add_line(sq_text *text, const sq_time *time, bool last)
{
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s}", "device", time->device, "build", time->build,
                              "step", time->step, "tactic", time->tactic);
    char *line = entry != NULL ? json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (line != NULL) {
        /* The numbers are printed here: nine digits, whatever jansson thinks of them. */
        sq_text_add(text, "%.*s,\"median_s\":%.9g,\"spread_s\":%.9g}%s\n", (int)strlen(line) - 1,
                    line, time->median_s, time->spread_s, last ? "" : ",");
    }
    json_decref(entry);
    const bool good = line != NULL && !text->failed;
    free(line);
    return good;
}

squall_status sq_times_write(const sq_times *times, const char *path, squall_error *err)
{
    sq_text text = {0};
    bool good = true;
    sq_text_add(&text, "{\"format\":\"" FORMAT "\",\"times\":[\n");
    for (size_t i = 0; good && i < times->count; i++) {
        good = add_line(&text, &times->items[i], i + 1 == times->count);
    }
    sq_text_add(&text, "]}\n");
    const squall_status status =
        good && !text.failed
            ? sq_file_write(path, text.data, text.length, err)
            : sq_fail(err, SQUALL_E_MEMORY, path, "no memory for %zu times", times->count);
    sq_text_free(&text);
    return status;
}
