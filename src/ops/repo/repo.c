/* ops/repo/repo.c - the repository as a folder: opened, listed, locked. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/repo/repo_private.h"
#include "squall/engine.h"

const char *sq_repo_kind_name(sq_repo_kind kind)
{
    static const char *const names[] = {"model",  "recipe", "card",
                                        "engine", "report", "certificate"};
    return names[kind];
}

bool sq_repo_is_name(const char *name)
{
    const size_t length = strlen(name);
    bool good = length > 0 && length < SQ_REPO_NAME && isalnum((unsigned char)name[0]);
    for (size_t i = 0; i < length && good; i++) {
        good = isalnum((unsigned char)name[i]) || strchr("-_.", name[i]) != NULL;
    }
    return good;
}

squall_status sq_repo_open(const char *root, const char *roots_path, sq_repo *out,
                           squall_error *err)
{
    memset(out, 0, sizeof *out);
    if (strlen(root) >= SQ_REPO_PATH - 256) {
        return sq_fail(err, SQUALL_E_ARGUMENT, root, "a path of at most %d bytes is taken",
                       SQ_REPO_PATH - 256);
    }
    if (!sq_path_is_folder(root)) {
        return sq_fail(err, SQUALL_E_IO, root,
                       "is no folder; squall keyring init makes a repository");
    }
    snprintf(out->root, sizeof out->root, "%s", root);
    snprintf(out->keyring, sizeof out->keyring, "%s/trust/keyring", root);
    snprintf(out->ledger_path, sizeof out->ledger_path, "%s/trust/ledger", root);
    if (roots_path == NULL) {
        return SQUALL_OK;
    }
    SQ_TRY(sq_ring_read(out->keyring, roots_path, &out->ring, err));
    const squall_status status = sq_ledger_read(out->ledger_path, &out->ring, &out->ledger, err);
    if (status != SQUALL_OK) {
        sq_ring_free(&out->ring);
        return status;
    }
    out->trusted = true;
    return SQUALL_OK;
}

void sq_repo_close(sq_repo *repo)
{
    sq_ring_free(&repo->ring);
    sq_ledger_free(&repo->ledger);
    memset(repo, 0, sizeof *repo);
}

int sq_repo_lock(const sq_repo *repo, squall_error *err)
{
    char path[SQ_REPO_PATH + 32];
    snprintf(path, sizeof path, "%s/lock", repo->root);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        sq_fail_record(err, SQUALL_E_IO, path, "cannot be locked: %m");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

squall_status sq_repo_log(sq_repo *repo, const char *secret, const char *what, const char *name,
                          int64_t version, const char *manifest, const char *note,
                          squall_error *err)
{
    sq_ledger_entry entry = {.time = SQ_TIME_NONE, .version = version};
    snprintf(entry.what, sizeof entry.what, "%s", what);
    snprintf(entry.name, sizeof entry.name, "%s", name);
    snprintf(entry.manifest, sizeof entry.manifest, "%s", manifest);
    snprintf(entry.note, sizeof entry.note, "%s", note != NULL ? note : "");
    SQ_TRY(sq_ledger_append(repo->ledger_path, &repo->ring, secret, &entry, err));
    sq_ledger_free(&repo->ledger);
    return sq_ledger_read(repo->ledger_path, &repo->ring, &repo->ledger, err);
}

/* ---------------------------------------------------------------- lists */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sq_repo_names_free(char ***names, size_t count)
{
    for (size_t i = 0; *names != NULL && i < count; i++) {
        sq_free((*names)[i]);
    }
    sq_free(*names);
    *names = NULL;
}

squall_status sq_repo_models(const sq_repo *repo, char ***out, size_t *count, squall_error *err)
{
    char path[SQ_REPO_PATH + 32];
    char **names = sq_alloc(1, sizeof *names);
    size_t found = 0;
    bool whole = names != NULL;
    snprintf(path, sizeof path, "%s/models", repo->root);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (whole && folder != NULL && (entry = readdir(folder)) != NULL) {
        if (!sq_repo_is_name(entry->d_name)) {
            continue;
        }
        char **grown = sq_regrow(names, found + 1, found + 2, sizeof *names);
        names = grown != NULL ? grown : names;
        whole = grown != NULL && (names[found] = sq_strdup(entry->d_name)) != NULL;
        found += whole ? 1 : 0;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    if (!whole) {
        sq_repo_names_free(&names, found);
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its names");
    }
    qsort(names, found, sizeof *names, compare_names);
    *out = names;
    *count = found;
    return SQUALL_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* "12" to 12; 0 for any other text. */
static int64_t version_of(const char *text)
{
    char *end;
    const long long value = strtoll(text, &end, 10);
    return isdigit((unsigned char)text[0]) && text[0] != '0' && *end == '\0' && value > 0 &&
                   value < INT32_MAX
               ? value
               : 0;
}

squall_status sq_repo_versions(const sq_repo *repo, const char *name, int64_t **out, size_t *count,
                               squall_error *err)
{
    char path[SQ_REPO_PATH + SQ_REPO_NAME + 32];
    size_t found = 0;
    int64_t *numbers = sq_alloc(1, sizeof *numbers);
    if (!sq_repo_is_name(name) || numbers == NULL) {
        sq_free(numbers);
        return sq_fail(err, SQUALL_E_ARGUMENT, "model", "'%.60s' is no name of a model", name);
    }
    snprintf(path, sizeof path, "%s/models/%s", repo->root, name);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const int64_t version = version_of(entry->d_name);
        int64_t *grown =
            version > 0 ? sq_regrow(numbers, found + 1, found + 2, sizeof *numbers) : NULL;
        if (grown != NULL) {
            numbers = grown;
            numbers[found++] = version;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    qsort(numbers, found, sizeof *numbers, compare_numbers);
    *out = numbers;
    *count = found;
    return SQUALL_OK;
}

squall_status sq_repo_path(const sq_repo *repo, const char *name, int64_t version, const char *file,
                           char *path, squall_error *err)
{
    const int length = snprintf(path, SQ_REPO_PATH, "%s/models/%s/%lld%s%s", repo->root, name,
                                (long long)version, file[0] != '\0' ? "/" : "", file);
    return length > 0 && length < SQ_REPO_PATH
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_LIMIT, repo->root, "the path of %.60s/%lld is too long",
                         name, (long long)version);
}

/* ---------------------------------------------------------------- files */

squall_status sq_repo_hash(const char *path, char *hex, int64_t *bytes, squall_error *err)
{
    sq_mapping mapping = {0};
    unsigned char hash[SQ_HASH_BYTES];
    SQ_TRY(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &mapping, err));
    sq_hash(mapping.data, mapping.size, hash);
    sq_hash_format(hash, hex);
    *bytes = (int64_t)mapping.size;
    sq_file_unmap(&mapping);
    return SQUALL_OK;
}

void sq_repo_sync_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) { /* not every file system lets a folder be synced */
        (void)!fsync(fd);
        close(fd);
    }
}

void sq_repo_remove_folder(const char *path)
{
    char file[SQ_REPO_PATH + 512];
    (void)!chmod(path, 0755);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            unlink(file);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    rmdir(path);
}

squall_status sq_repo_look_at_engine(const char *path, char *device, size_t room, char *model,
                                     char **recipe, char **certificate, squall_error *err)
{
    squall_engine *engine = NULL;
    SQ_TRY(squall_engine_open(path, NULL, &engine, NULL, err));
    const char *isa = squall_engine_text(engine, "isa");
    const char *hash = squall_engine_text(engine, "model_sha256");
    const bool gpu = isa != NULL && strncmp(isa, "sm_", 3) == 0;
    snprintf(device, room, "%s%s",
             isa == NULL || isa[0] == '\0' ? "portable"
             : gpu                         ? "cuda-"
                                           : "cpu-",
             isa != NULL ? isa : "");
    if (model != NULL) {
        snprintf(model, SQ_HASH_TEXT, "%s", hash != NULL ? hash : "");
    }
    if (recipe != NULL && squall_engine_recipe(engine) != NULL) {
        *recipe = sq_strdup(squall_engine_recipe(engine));
    }
    if (certificate != NULL && squall_engine_certificate(engine) != NULL) {
        *certificate = sq_strdup(squall_engine_certificate(engine));
    }
    squall_engine_close(&engine);
    return SQUALL_OK;
}

squall_status sq_repo_engine(const sq_repo *repo, const sq_repo_version *version, char *path,
                             squall_error *err)
{
    squall_engine_options options;
    squall_error why = {.code = SQUALL_OK};
    char devices[160] = "";
    squall_engine_options_init(&options);
    options.native = 1;
    for (size_t i = 0; i < version->count; i++) {
        const sq_repo_file *file = &version->files[i];
        squall_engine *engine = NULL;
        if (file->kind != SQ_REPO_ENGINE) {
            continue;
        }
        SQ_TRY(sq_repo_path(repo, version->name, version->version, file->name, path, err));
        if (squall_engine_open(path, &options, &engine, NULL, &why) == SQUALL_OK) {
            squall_engine_close(&engine);
            return SQUALL_OK;
        }
        const size_t used = strlen(devices);
        snprintf(devices + used, sizeof devices - used, "%s%s", used > 0 ? ", " : "", file->device);
    }
    return sq_fail(err, SQUALL_E_MISMATCH, version->name,
                   "version %lld has engines for %s, and none that runs on this host (%s, %.120s); "
                   "build one here and add it",
                   (long long)version->version, devices[0] != '\0' ? devices : "no device",
                   sq_isa_name(sq_cpu_isa()), why.text);
}
