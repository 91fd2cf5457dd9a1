/* wx/io/io_archive.c - the fields of many files in the order of time. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "wx/io/io.h"

typedef struct archive_entry {
    int64_t time;
    size_t order; /* as found; of two fields of one time the first stays */
    size_t path;  /* in `paths` */
    size_t index; /* of the field in its file */
    char *name;   /* owned; "path" or "path#index" */
} archive_entry;

struct squall_archive {
    squall_io_options options;
    char *quantity; /* owned; what `options` points to */
    char **paths;   /* owned, each too */
    size_t path_count, path_capacity;
    archive_entry *entries;
    size_t count, capacity;
    int32_t step_s;
    squall_file *open; /* the file read last, kept when it holds more than one field */
    size_t open_path;
};

/* `items` with room for one more; `*items` is replaced through the return value. NULL, and `err`
 * filled, when there is none; the old list then stays. */
static void *room_for_one(void *items, size_t count, size_t *capacity, size_t item_bytes,
                          const char *where, squall_error *err)
{
    if (count < *capacity) {
        return items;
    }
    const size_t larger = *capacity > 0 ? *capacity * 2 : 64;
    void *grown = larger <= SQ_LIMIT_FRAMES ? sq_regrow(items, count, larger, item_bytes) : NULL;
    if (grown == NULL) {
        sq_fail(err, larger > SQ_LIMIT_FRAMES ? SQUALL_E_LIMIT : SQUALL_E_MEMORY, where,
                "no room for more than %zu files or fields (%zu at most); give fewer", count,
                SQ_LIMIT_FRAMES);
        return NULL;
    }
    *capacity = larger;
    return grown;
}

/* Keep a path; `folder` may be NULL. */
static squall_status add_path(squall_archive *archive, const char *folder, const char *name,
                              squall_error *err)
{
    char **paths = room_for_one(archive->paths, archive->path_count, &archive->path_capacity,
                                sizeof *paths, name, err);
    if (paths == NULL) {
        return archive->path_capacity < SQ_LIMIT_FRAMES ? SQUALL_E_MEMORY : SQUALL_E_LIMIT;
    }
    archive->paths = paths;
    char *path;
    if (folder == NULL) {
        path = sq_strdup(name);
    } else {
        const size_t bytes = strlen(folder) + strlen(name) + 2;
        path = sq_alloc(bytes, 1);
        if (path != NULL) {
            const bool slash = folder[0] != '\0' && folder[strlen(folder) - 1] == '/';
            snprintf(path, bytes, "%s%s%s", folder, slash ? "" : "/", name);
        }
    }
    if (path == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory for its path");
    }
    archive->paths[archive->path_count++] = path;
    return SQUALL_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder, by name. */
static squall_status add_folder(squall_archive *archive, const char *folder, squall_notes *notes,
                                squall_error *err)
{
    const size_t first = archive->path_count;
    squall_status status = SQUALL_OK;
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        return sq_fail(err, SQUALL_E_IO, folder, "folder cannot be opened: %s", strerror(errno));
    }
    for (struct dirent *item; status == SQUALL_OK && (item = readdir(listing)) != NULL;) {
        if (item->d_name[0] == '.') {
            continue;
        }
        status = add_path(archive, folder, item->d_name, err);
        if (status == SQUALL_OK && sq_path_is_folder(archive->paths[archive->path_count - 1])) {
            sq_note(notes, archive->paths[archive->path_count - 1],
                    "is a folder in a folder and was not looked into; give it by name");
            sq_free(archive->paths[--archive->path_count]);
        }
    }
    closedir(listing);
    if (archive->path_count > first) {
        qsort(archive->paths + first, archive->path_count - first, sizeof *archive->paths, by_text);
    }
    return status;
}

static squall_status add_entry(squall_archive *archive, size_t path, size_t index, bool only,
                               int64_t time, squall_error *err)
{
    const char *text = archive->paths[path];
    archive_entry *entries = room_for_one(archive->entries, archive->count, &archive->capacity,
                                          sizeof *entries, text, err);
    if (entries == NULL) {
        return archive->capacity < SQ_LIMIT_FRAMES ? SQUALL_E_MEMORY : SQUALL_E_LIMIT;
    }
    archive->entries = entries;
    char *name;
    if (only) {
        name = sq_strdup(text);
    } else {
        const size_t bytes = strlen(text) + 24;
        name = sq_alloc(bytes, 1);
        if (name != NULL) {
            snprintf(name, bytes, "%s#%zu", text, index);
        }
    }
    if (name == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, text, "no memory for its name");
    }
    archive->entries[archive->count] = (archive_entry){time, archive->count, path, index, name};
    archive->count++;
    return SQUALL_OK;
}

/* Look into one file. What is wrong with the file itself becomes a note; only what is wrong with us
 * is a failure. `*first_problem` keeps the first reason for the message when nothing was found. */
static squall_status scan_file(squall_archive *archive, size_t path, squall_notes *notes,
                               squall_error *first_problem, squall_error *err)
{
    squall_error problem = {0};
    squall_file *file;
    const squall_status status =
        squall_file_open(archive->paths[path], &archive->options, &file, &problem);
    if (status == SQUALL_E_MEMORY || status == SQUALL_E_ARGUMENT) {
        return sq_fail(err, status, problem.where, "%s", problem.text);
    }
    if (status != SQUALL_OK) {
        sq_note(notes, problem.where, "%s; it was passed over", problem.text);
        if (first_problem->code == SQUALL_OK) {
            *first_problem = problem;
        }
        return SQUALL_OK;
    }
    squall_status added = SQUALL_OK;
    const size_t count = squall_file_count(file);
    for (size_t i = 0; i < count && added == SQUALL_OK; i++) {
        const int64_t time = squall_file_time(file, i);
        if (time == SQUALL_TIME_NONE) {
            sq_note(notes, archive->paths[path], "field %zu has no time; it was left out", i);
        } else {
            added = add_entry(archive, path, i, count == 1, time, err);
        }
    }
    squall_file_close(&file);
    return added;
}

static int by_time(const void *a, const void *b)
{
    const archive_entry *x = a, *y = b;
    if (x->time != y->time) {
        return x->time < y->time ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Sort, and leave out all but the first field of each time. */
static void order_entries(squall_archive *archive, squall_notes *notes)
{
    size_t kept = 0;
    if (archive->count == 0) {
        return;
    }
    qsort(archive->entries, archive->count, sizeof *archive->entries, by_time);
    for (size_t i = 0; i < archive->count; i++) {
        archive_entry *entry = &archive->entries[i];
        if (kept > 0 && archive->entries[kept - 1].time == entry->time) {
            char text[SQ_TIME_TEXT];
            sq_note(notes, entry->name, "has the time %s, as %s does; it was left out",
                    sq_time_format(entry->time, text), archive->entries[kept - 1].name);
            sq_free(entry->name);
        } else {
            archive->entries[kept++] = *entry;
        }
    }
    archive->count = kept;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The commonest distance between neighbours; of two as common the shorter. */
static squall_status find_step(squall_archive *archive, squall_error *err)
{
    if (archive->count < 2) {
        return SQUALL_OK;
    }
    const size_t count = archive->count - 1;
    int64_t *steps = sq_alloc(count, sizeof *steps);
    if (steps == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "archive", "no memory for %zu time steps", count);
    }
    for (size_t i = 0; i < count; i++) {
        steps[i] = archive->entries[i + 1].time - archive->entries[i].time;
    }
    qsort(steps, count, sizeof *steps, by_value);
    size_t best = 0;
    for (size_t i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && steps[i + run] == steps[i]; run++) {
        }
        if (run > best) {
            best = run;
            archive->step_s = steps[i] <= INT32_MAX ? (int32_t)steps[i] : INT32_MAX;
        }
    }
    sq_free(steps);
    return SQUALL_OK;
}

static squall_status fill(squall_archive *archive, const char *const *paths, size_t count,
                          squall_notes *notes, squall_error *err)
{
    squall_error first_problem = {0};
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        if (stat(paths[i], &info) != 0) {
            return sq_fail(err, SQUALL_E_IO, paths[i], "cannot be found: %s", strerror(errno));
        }
        SQ_TRY(S_ISDIR(info.st_mode) ? add_folder(archive, paths[i], notes, err)
                                     : add_path(archive, NULL, paths[i], err));
    }
    for (size_t i = 0; i < archive->path_count; i++) {
        SQ_TRY(scan_file(archive, i, notes, &first_problem, err));
    }
    order_entries(archive, notes);
    if (archive->count == 0) {
        const bool known = first_problem.code != SQUALL_OK;
        return sq_fail(err, SQUALL_E_NO_DATA, known ? first_problem.where : "archive",
                       "no field with a time in %zu files%s%s", archive->path_count,
                       known ? "; the first: " : "", first_problem.text);
    }
    return find_step(archive, err);
}

squall_status squall_archive_open(const char *const *paths, size_t count,
                                  const squall_io_options *options, squall_archive **out,
                                  squall_notes *notes, squall_error *err)
{
    *out = NULL;
    squall_archive *archive = sq_alloc(1, sizeof *archive);
    if (archive == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "archive", "no memory to open it");
    }
    squall_status status = SQUALL_OK;
    squall_io_options_init(&archive->options);
    if (options != NULL && options->struct_size != sizeof *options) {
        status = sq_fail(err, SQUALL_E_ARGUMENT, "archive",
                         "an option struct of %u bytes, not %zu; call squall_io_options_init() "
                         "first",
                         options->struct_size, sizeof *options);
    } else if (options != NULL && options->quantity != NULL) {
        archive->quantity = sq_strdup(options->quantity);
        archive->options.quantity = archive->quantity;
        if (archive->quantity == NULL) {
            status = sq_fail(err, SQUALL_E_MEMORY, "archive", "no memory to open it");
        }
    }
    if (status == SQUALL_OK) {
        status = fill(archive, paths, count, notes, err);
    }
    if (status != SQUALL_OK) {
        squall_archive_close(&archive);
        return status;
    }
    *out = archive;
    return SQUALL_OK;
}

void squall_archive_close(squall_archive **archive)
{
    if (archive == NULL || *archive == NULL) {
        return;
    }
    squall_archive *closed = *archive;
    squall_file_close(&closed->open);
    for (size_t i = 0; i < closed->count; i++) {
        sq_free(closed->entries[i].name);
    }
    for (size_t i = 0; i < closed->path_count; i++) {
        sq_free(closed->paths[i]);
    }
    sq_free(closed->entries);
    sq_free(closed->paths);
    sq_free(closed->quantity);
    sq_free(closed);
    *archive = NULL;
}

size_t squall_archive_count(const squall_archive *archive)
{
    return archive->count;
}

int64_t squall_archive_time(const squall_archive *archive, size_t index)
{
    return index < archive->count ? archive->entries[index].time : SQUALL_TIME_NONE;
}

const char *squall_archive_name(const squall_archive *archive, size_t index)
{
    return index < archive->count ? archive->entries[index].name : NULL;
}

int32_t squall_archive_step_s(const squall_archive *archive)
{
    return archive->step_s;
}

size_t squall_archive_find(const squall_archive *archive, int64_t time, int32_t tolerance_s)
{
    size_t low = 0, high = archive->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (archive->entries[middle].time < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* `low` is the first at or behind `time`; the one before may be as near. */
    size_t best = SIZE_MAX;
    uint64_t nearest = tolerance_s >= 0 ? (uint64_t)tolerance_s : 0;
    if (low < archive->count && (uint64_t)archive->entries[low].time - (uint64_t)time <= nearest) {
        best = low;
        nearest = (uint64_t)archive->entries[low].time - (uint64_t)time;
    }
    if (low > 0 && (uint64_t)time - (uint64_t)archive->entries[low - 1].time <= nearest) {
        best = low - 1;
    }
    return best;
}

squall_status squall_archive_read(squall_archive *archive, size_t index, squall_field **out,
                                  squall_error *err)
{
    *out = NULL;
    if (index >= archive->count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "archive", "holds %zu fields; there is no field %zu",
                       archive->count, index);
    }
    const archive_entry *entry = &archive->entries[index];
    const char *path = archive->paths[entry->path];
    if (archive->open != NULL && archive->open_path != entry->path) {
        squall_file_close(&archive->open);
    }
    if (archive->open == NULL) {
        SQ_TRY(squall_file_open(path, &archive->options, &archive->open, err));
        archive->open_path = entry->path;
    }
    squall_status status;
    if (squall_file_time(archive->open, entry->index) != entry->time) {
        status = sq_fail(err, SQUALL_E_IO, entry->name,
                         "has changed since the archive was opened; open it again");
        squall_file_close(&archive->open);
        return status;
    }
    status = squall_file_read(archive->open, entry->index, out, err);
    if (squall_file_count(archive->open) == 1) {
        squall_file_close(&archive->open);
    }
    return status;
}
