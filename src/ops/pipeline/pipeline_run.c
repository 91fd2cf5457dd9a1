/* ops/pipeline/pipeline_run.c - stages one after the other: what is done already stays done. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/pipeline/pipeline_private.h"

enum { STATE_BYTES = 16 << 20, SAID_BYTES = 64 << 20 };

char *sq_pipeline_path(const sq_pipeline *pipeline, const char *name, char *out)
{
    snprintf(out, SQ_PIPELINE_PATH, "%s/%s", pipeline->c.work, name);
    return out;
}

/* ---------------------------------------------------------------- commands */

static void become(sq_pipeline *p, const char *const *arguments, int out, int log)
{
    char weights[SQ_PIPELINE_PATH], last[SQ_PIPELINE_PATH], events[SQ_PIPELINE_PATH];
    const bool again = strcmp(p->c.weights, "last") == 0 &&
                       access(sq_pipeline_path(p, "last.pt", last), R_OK) == 0;
    snprintf(weights, sizeof weights, "%s",
             again                               ? last
             : strcmp(p->c.weights, "last") == 0 ? ""
                                                 : p->c.weights);
    setenv("SQUALL", p->program, 1);
    setenv("PIPELINE_WORK", p->c.work, 1);
    setenv("PIPELINE_ARCHIVE", p->c.archive, 1);
    setenv("PIPELINE_RECIPE", p->c.recipe, 1);
    setenv("PIPELINE_WEIGHTS", weights, 1);
    setenv("PIPELINE_EVENTS", sq_pipeline_path(p, "events.json", events), 1);
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(arguments[0], (char *const *)(uintptr_t)arguments);
    dprintf(STDERR_FILENO, "%s cannot be run: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/* The last line of what it said on stderr. */
static void last_words(const char *path, char *out, size_t room)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    snprintf(out, room, "it said nothing; see %.200s", path);
    if (sq_file_read(path, SAID_BYTES, &bytes, &size, NULL) != SQUALL_OK || size == 0) {
        sq_free(bytes);
        return;
    }
    char *text = (char *)bytes;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\0')) {
        text[--size] = '\0';
    }
    const char *line = strrchr(text, '\n');
    snprintf(out, room, "%.300s", line != NULL ? line + 1 : text);
    sq_free(bytes);
}

static squall_status run_program(sq_pipeline *p, const char *const *arguments, json_t **answer,
                                 squall_error *err)
{
    char out[SQ_PIPELINE_PATH], log[SQ_PIPELINE_PATH], name[64], words[320];
    int status = 0;
    snprintf(name, sizeof name, "log/%s.out", p->stage);
    sq_pipeline_path(p, name, out);
    snprintf(name, sizeof name, "log/%s.log", p->stage);
    sq_pipeline_path(p, name, log);
    const int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const pid_t child = out_fd >= 0 && log_fd >= 0 ? fork() : -1;
    if (child == 0) {
        become(p, arguments, out_fd, log_fd);
    }
    close(out_fd);
    close(log_fd);
    if (child < 0) {
        return sq_fail(err, SQUALL_E_IO, p->stage, "a command cannot be started: %m");
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        last_words(log, words, sizeof words);
        return sq_fail(err, SQUALL_E_DEVICE, p->stage, "%s", words);
    }
    if (answer != NULL) {
        *answer = json_load_file(out, 0, NULL);
        if (*answer == NULL) {
            return sq_fail(err, SQUALL_E_FORMAT, p->stage, "its answer in %.200s is no JSON", out);
        }
    }
    return SQUALL_OK;
}

squall_status sq_pipeline_shell(sq_pipeline *pipeline, const char *command, squall_error *err)
{
    const char *const arguments[] = {"/bin/sh", "-c", command, NULL};
    return run_program(pipeline, arguments, NULL, err);
}

squall_status sq_pipeline_squall(sq_pipeline *pipeline, const char *const *arguments, json_t **out,
                                 squall_error *err)
{
    const char *all[SQ_PIPELINE_ARGUMENTS + 2] = {pipeline->program};
    for (size_t i = 0; i < SQ_PIPELINE_ARGUMENTS && arguments[i] != NULL; i++) {
        all[i + 1] = arguments[i];
    }
    return run_program(pipeline, all, out, err);
}

/* ---------------------------------------------------------------- what is done */

static squall_status hash_file(const char *path, char *hex, squall_error *err)
{
    sq_mapping mapping = {0};
    unsigned char hash[SQ_HASH_BYTES];
    SQ_TRY(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    sq_hash(mapping.data, mapping.size, hash);
    sq_hash_format(hash, hex);
    sq_file_unmap(&mapping);
    return SQUALL_OK;
}

/* {FILE: SHA-256} of a folder; given. Empty where there is none. */
static json_t *hash_folder(const sq_pipeline *p, const char *name)
{
    char path[SQ_PIPELINE_PATH], file[SQ_PIPELINE_PATH + 300], hex[SQ_HASH_TEXT];
    json_t *files = json_object();
    DIR *folder = name != NULL ? opendir(sq_pipeline_path(p, name, path)) : NULL;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && hash_file(file, hex, NULL) == SQUALL_OK) {
            json_object_set_new(files, entry->d_name, json_string(hex));
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return files;
}

/* Names and contents of the archive's files. */
static void add_archive(const sq_pipeline *p, sq_text *text)
{
    struct dirent **entries = NULL;
    char file[SQ_PIPELINE_TEXT + 300], hex[SQ_HASH_TEXT];
    const int count = scandir(p->c.archive, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof file, "%s/%s", p->c.archive, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && hash_file(file, hex, NULL) == SQUALL_OK) {
            sq_text_add(text, "%s %s\n", entries[i]->d_name, hex);
        }
        free(entries[i]);
    }
    free(entries);
}

/* The hash of everything that stage `at` goes by: the configuration, the archive, and what the
 * stages before it made. */
static void hash_inputs(const sq_pipeline *p, size_t at, const char *archive, char *hex)
{
    sq_text text = {0};
    unsigned char hash[SQ_HASH_BYTES];
    sq_text_add(&text, "%s %s %s\n", sq_pipeline_stages[at].name, p->hash, archive);
    for (size_t i = 0; i < at; i++) {
        const json_t *done =
            json_object_get(json_object_get(p->state, "stages"), sq_pipeline_stages[i].name);
        char *made = json_dumps(json_object_get(done, "outputs"), JSON_SORT_KEYS | JSON_COMPACT);
        sq_text_add(&text, "%s\n", made != NULL ? made : "");
        free(made);
    }
    sq_hash(text.data != NULL ? text.data : "", text.length, hash);
    sq_hash_format(hash, hex);
    sq_text_free(&text);
}

static bool is_done(const sq_pipeline *p, const sq_pipeline_stage *stage, const char *inputs)
{
    const json_t *done = json_object_get(json_object_get(p->state, "stages"), stage->name);
    const char *before = json_string_value(json_object_get(done, "inputs"));
    json_t *now = hash_folder(p, stage->folder);
    const bool same = before != NULL && strcmp(before, inputs) == 0 &&
                      json_equal(json_object_get(done, "outputs"), now);
    json_decref(now);
    return same;
}

static squall_status save_state(const sq_pipeline *p, squall_error *err)
{
    char path[SQ_PIPELINE_PATH];
    char *text = json_dumps(p->state, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (text == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "state.json", "no memory");
    }
    const squall_status status =
        sq_file_write(sq_pipeline_path(p, "state.json", path), text, strlen(text), err);
    free(text);
    return status;
}

static void log_stage(const sq_pipeline *p, const char *what, const char *inputs, double seconds,
                      const squall_error *why)
{
    sq_json line;
    const json_t *done = json_object_get(json_object_get(p->state, "stages"), p->stage);
    char *made = json_dumps(json_object_get(done, "outputs"), JSON_SORT_KEYS | JSON_COMPACT);
    sq_log_begin(p->log, &line, why != NULL ? SQ_LOG_ERROR : SQ_LOG_INFO, "stage");
    sq_json_text(&line, "stage", p->stage);
    sq_json_text(&line, "what", what);
    sq_json_text(&line, "inputs", inputs);
    sq_json_raw(&line, "outputs", why == NULL && made != NULL ? made : "{}");
    sq_json_real(&line, "seconds", seconds, 4);
    if (why != NULL) {
        sq_json_format(&line, "problem", "%s: %s", why->where, why->text);
    }
    sq_log_end(p->log, &line);
    free(made);
}

static squall_status run_stage(sq_pipeline *p, size_t at, const char *archive, squall_error *err)
{
    const sq_pipeline_stage *stage = &sq_pipeline_stages[at];
    char inputs[SQ_HASH_TEXT], path[SQ_PIPELINE_PATH], time[SQ_TIME_TEXT], name[64];
    p->stage = stage->name;
    hash_inputs(p, at, archive, inputs);
    if (is_done(p, stage, inputs)) {
        log_stage(p, "as before", inputs, 0.0, NULL);
        return SQUALL_OK;
    }
    const double start_s = sq_clock_s();
    json_object_del(json_object_get(p->state, "stages"), stage->name);
    if (stage->folder != NULL) {
        SQ_TRY(sq_folder_make(sq_pipeline_path(p, stage->folder, path), err));
    }
    snprintf(name, sizeof name, "log/%s.log", stage->name);
    unlink(sq_pipeline_path(p, name, path));
    p->detail = json_object();
    const squall_status status = stage->run(p, err);
    const double seconds = sq_clock_s() - start_s;
    json_t *entry = json_pack("{s:s, s:o, s:f, s:s, s:o}", "inputs", inputs, "outputs",
                              hash_folder(p, stage->folder), "seconds", seconds, "time",
                              sq_time_format(sq_time_now(), time), "detail", p->detail);
    p->detail = NULL;
    if (status != SQUALL_OK) {
        json_object_set_new(p->state, "failed", entry);
        log_stage(p, "failed", inputs, seconds, err);
        return status;
    }
    json_object_set_new(json_object_get(p->state, "stages"), stage->name, entry);
    log_stage(p, "done", inputs, seconds, NULL);
    return save_state(p, err);
}

/* ---------------------------------------------------------------- the whole */

static squall_status open_work(sq_pipeline *p, int *lock, squall_error *err)
{
    char path[SQ_PIPELINE_PATH];
    SQ_TRY(sq_folder_make(sq_pipeline_path(p, "log", path), err));
    *lock = open(sq_pipeline_path(p, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        return sq_fail(err, SQUALL_E_IO, path, "another run of this pipeline is under way");
    }
    p->state = json_load_file(sq_pipeline_path(p, "state.json", path), 0, NULL);
    if (!json_is_object(json_object_get(p->state, "stages"))) { /* none, or none of ours: anew */
        json_decref(p->state);
        p->state = json_pack("{s:{}}", "stages");
    }
    json_object_del(p->state, "failed");
    return p->state != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
}

squall_status sq_pipeline_run(const char *path, const char *program, sq_log *log, char *report,
                              squall_error *err)
{
    squall_error own = {.code = SQUALL_OK};
    char archive[SQ_HASH_TEXT] = "";
    unsigned char hash[SQ_HASH_BYTES];
    sq_text files = {0};
    int lock = -1;
    const char *failed = NULL;
    err = err != NULL ? err : &own;
    sq_pipeline *p = sq_alloc(1, sizeof *p);
    if (p == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    }
    squall_status status;
    report[0] = '\0';
    p->log = log;
    snprintf(p->path, sizeof p->path, "%s", path);
    snprintf(p->program, sizeof p->program, "%s", program);
    SQ_TRY_GOTO(sq_pipeline_read(path, &p->c, p->hash, err));
    SQ_TRY_GOTO(open_work(p, &lock, err));
    add_archive(p, &files);
    sq_hash(files.data != NULL ? files.data : "", files.length, hash);
    sq_hash_format(hash, archive);
    for (size_t i = 0; i < sq_pipeline_stage_count && status == SQUALL_OK; i++) {
        status = run_stage(p, i, archive, err);
        failed = status != SQUALL_OK ? sq_pipeline_stages[i].name : NULL;
    }
    squall_error other;
    const squall_status written =
        sq_pipeline_report(p, failed, err, report, status == SQUALL_OK ? err : &other);
    status = status == SQUALL_OK ? written : status;
done:
    if (lock >= 0) {
        close(lock);
    }
    sq_text_free(&files);
    json_decref(p->state);
    sq_free(p);
    return status;
}
