/* ops/repo/repo_collect.c - what is no longer needed goes. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/repo/repo_private.h"

/* Whether it is one of the last two that were promoted: in service, or what undo goes back to. */
static bool was_in_service(const sq_ledger *ledger, const char *name, int64_t version)
{
    int64_t last = 0;
    for (size_t i = ledger->count, seen = 0; i-- > 0 && seen < 2;) {
        const sq_ledger_entry *entry = &ledger->entries[i];
        if ((strcmp(entry->what, "promote") != 0 && strcmp(entry->what, "undo") != 0) ||
            strcmp(entry->name, name) != 0 || entry->version == last) {
            continue;
        }
        if (entry->version == version) {
            return true;
        }
        last = entry->version;
        seen++;
    }
    return false;
}

static squall_status collect_model(sq_repo *repo, const char *name, int32_t keep,
                                   const char *secret, bool dry, sq_repo_gc *out, squall_error *err)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    char path[SQ_REPO_PATH];
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_repo_versions(repo, name, &numbers, &count, err));
    for (size_t i = 0; secret != NULL && i + (size_t)keep < count; i++) {
        if (was_in_service(&repo->ledger, name, numbers[i])) {
            continue;
        }
        out->versions++;
        if (dry) {
            continue;
        }
        SQ_TRY_GOTO(sq_repo_path(repo, name, numbers[i], "", path, err));
        SQ_TRY_GOTO(sq_repo_log(repo, secret, "remove", name, numbers[i], "", "gc", err));
        sq_repo_remove_folder(path);
    }
done:
    sq_free(numbers);
    return status;
}

/* What an interrupted addition left in models/NAME. */
static void sweep(const sq_repo *repo, const char *name, bool dry, sq_repo_gc *out)
{
    char path[SQ_REPO_PATH + SQ_REPO_NAME + 48], one[SQ_REPO_PATH + 512];
    snprintf(path, sizeof path, "%s/models/%s", repo->root, name);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, ".new-", 5) == 0) {
            out->leftovers++;
            snprintf(one, sizeof one, "%s/%s", path, entry->d_name);
            if (!dry) {
                sq_repo_remove_folder(one);
            }
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

/* A blob that nothing links to any more has one name. */
static void collect_blobs(const sq_repo *repo, bool dry, sq_repo_gc *out)
{
    char path[SQ_REPO_PATH + 16], one[SQ_REPO_PATH + 512];
    struct stat about;
    snprintf(path, sizeof path, "%s/blobs", repo->root);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        snprintf(one, sizeof one, "%s/%s", path, entry->d_name);
        if (stat(one, &about) == 0 && S_ISREG(about.st_mode) && about.st_nlink == 1) {
            out->blobs++;
            out->bytes += (int64_t)about.st_size;
            if (!dry) {
                unlink(one);
            }
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

squall_status sq_repo_collect(sq_repo *repo, const char *name, int32_t keep, const char *secret,
                              bool dry, sq_repo_gc *out, squall_error *err)
{
    char **names = NULL;
    size_t count = 0;
    squall_status status = SQUALL_OK;
    memset(out, 0, sizeof *out);
    if (!repo->trusted) {
        return sq_fail(err, SQUALL_E_ARGUMENT, repo->root,
                       "what is in service is known from the ledger alone: root keys are needed");
    }
    const int lock = sq_repo_lock(repo, err);
    if (lock < 0) {
        return SQUALL_E_IO;
    }
    SQ_TRY_GOTO(sq_repo_models(repo, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (name == NULL || strcmp(name, names[i]) == 0) {
            SQ_TRY_GOTO(collect_model(repo, names[i], keep, secret, dry, out, err));
        }
        sweep(repo, names[i], dry, out);
    }
    collect_blobs(repo, dry, out);
done:
    sq_repo_names_free(&names, count);
    close(lock);
    return status;
}
