/* ops/repo/repo_add.c - a new version: checked, made beside, and renamed into its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "nn/plan/plan.h"
#include "ops/repo/repo_private.h"

/* What is being made: the manifest, and where each of its files comes from. */
typedef struct making {
    sq_repo *repo;
    const sq_repo_addition *want;
    sq_repo_version version;
    char sources[SQ_REPO_FILES][SQ_REPO_PATH]; /* empty: the text below */
    char *texts[SQ_REPO_FILES];                /* owned */
    char folder[SQ_REPO_PATH];                 /* where it is made; empty before */
} making;

static squall_status push(making *m, sq_repo_kind kind, const char *name, const char *source,
                          char *text, squall_error *err)
{
    if (m->version.count == SQ_REPO_FILES || (source != NULL && strlen(source) >= SQ_REPO_PATH)) {
        sq_free(text);
        return sq_fail(err, SQUALL_E_LIMIT, m->want->name,
                       "a version has at most %d files, with paths of at most %d bytes",
                       SQ_REPO_FILES, SQ_REPO_PATH - 1);
    }
    const size_t at = m->version.count++;
    sq_repo_file *file = &m->version.files[at];
    file->kind = kind;
    snprintf(file->name, sizeof file->name, "%s", name);
    m->texts[at] = text;
    snprintf(m->sources[at], SQ_REPO_PATH, "%s", source != NULL ? source : "");
    if (text != NULL) {
        unsigned char hash[SQ_HASH_BYTES];
        file->bytes = (int64_t)strlen(text);
        sq_hash(text, strlen(text), hash);
        sq_hash_format(hash, file->sha256);
        return SQUALL_OK;
    }
    return sq_repo_hash(source, file->sha256, &file->bytes, err);
}

static squall_status check_card(const char *path, squall_error *err)
{
    json_error_t problem;
    json_t *card = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (card == NULL) {
        return sq_fail(err, SQUALL_E_FORMAT, path, "is no JSON (line %d: %s)", problem.line,
                       problem.text);
    }
    const bool good = json_is_string(json_object_get(card, "data")) &&
                      json_is_string(json_object_get(card, "licence")) &&
                      json_is_object(json_object_get(card, "skill"));
    json_decref(card);
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_FORMAT, path,
                          "a card needs the texts 'data' and 'licence' and an object 'skill'");
}

/* An engine must be of this model and, where one is given, of this recipe. */
static squall_status push_engine(making *m, const char *path, char **recipe, squall_error *err)
{
    char device[48], name[96], model[SQ_HASH_TEXT];
    char *own = NULL, *certificate = NULL;
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_repo_look_at_engine(path, device, sizeof device, model, &own, &certificate, err));
    if (strcmp(model, m->version.files[0].sha256) != 0) {
        status = sq_fail(err, SQUALL_E_MISMATCH, path,
                         "was built from a model with SHA-256 %.16s..., and %.100s has %.16s...",
                         model, m->want->model, m->version.files[0].sha256);
    } else if (*recipe != NULL && (own == NULL || strcmp(own, *recipe) != 0)) {
        status = sq_fail(err, SQUALL_E_MISMATCH, path, "carries another recipe, or none");
    }
    for (size_t i = 0; i < m->version.count && status == SQUALL_OK; i++) {
        if (strcmp(m->version.files[i].device, device) == 0) {
            status = sq_fail(err, SQUALL_E_MISMATCH, path, "is a second engine for %s", device);
        }
    }
    if (status == SQUALL_OK) {
        snprintf(name, sizeof name, "%s.engine", device);
        status = push(m, SQ_REPO_ENGINE, name, path, NULL, err);
    }
    if (status == SQUALL_OK) {
        memcpy(m->version.files[m->version.count - 1].device, device, sizeof device);
        if (*recipe == NULL) {
            *recipe = own;
            own = NULL;
        }
        if (certificate != NULL) {
            snprintf(name, sizeof name, "%s.certificate.json", device);
            status = push(m, SQ_REPO_CERTIFICATE, name, NULL, certificate, err);
            certificate = NULL;
        }
    }
    sq_free(own);
    sq_free(certificate);
    return status;
}

static squall_status collect(making *m, squall_error *err)
{
    unsigned char *recipe = NULL;
    size_t size = 0;
    squall_status status = SQUALL_OK;
    SQ_TRY(push(m, SQ_REPO_MODEL, "model.onnx", m->want->model, NULL, err));
    if (m->want->recipe != NULL) {
        SQ_TRY(sq_file_read(m->want->recipe, SQ_LIMIT_RECIPE, &recipe, &size, err));
    }
    char *text = (char *)recipe;
    for (size_t i = 0; i < m->want->engine_count; i++) {
        SQ_TRY_GOTO(push_engine(m, m->want->engines[i], &text, err));
    }
    if (text != NULL) {
        char *given = text;
        text = NULL;
        SQ_TRY_GOTO(push(m, SQ_REPO_RECIPE, "recipe.json", NULL, given, err));
    }
    SQ_TRY_GOTO(check_card(m->want->card, err));
    SQ_TRY_GOTO(push(m, SQ_REPO_CARD, "card.json", m->want->card, NULL, err));
    for (size_t i = 0; i < m->want->report_count; i++) {
        const char *name = sq_path_name(m->want->reports[i]);
        bool taken = name[0] == '.' || name[0] == '\0' || strlen(name) > 90;
        for (size_t k = 0; k < m->version.count; k++) {
            taken = taken || strcmp(m->version.files[k].name, name) == 0;
        }
        if (taken) {
            status = sq_fail(err, SQUALL_E_ARGUMENT, m->want->reports[i],
                             "cannot stand beside the other files under its name");
            goto done;
        }
        SQ_TRY_GOTO(push(m, SQ_REPO_REPORT, name, m->want->reports[i], NULL, err));
    }
done:
    sq_free(text);
    return status;
}

/* ---------------------------------------------------------------- on disk */

/* The blob of file `i`, made where it is not there; then linked into the folder. */
static squall_status place(const making *m, size_t i, squall_error *err)
{
    const sq_repo_file *file = &m->version.files[i];
    char blob[SQ_REPO_PATH + 96], path[SQ_REPO_PATH + 128], hash[SQ_HASH_TEXT];
    int64_t bytes = 0;
    squall_status status = SQUALL_OK;
    snprintf(blob, sizeof blob, "%s/blobs/%s", m->repo->root, file->sha256);
    if (access(blob, F_OK) != 0 || sq_repo_hash(blob, hash, &bytes, err) != SQUALL_OK ||
        strcmp(hash, file->sha256) != 0) {
        sq_mapping mapping = {0};
        if (m->texts[i] != NULL) {
            status = sq_file_write(blob, m->texts[i], strlen(m->texts[i]), err);
        } else if ((status = sq_file_map(m->sources[i], SQ_LIMIT_FILE_BYTES, &mapping, err)) ==
                   SQUALL_OK) {
            status = sq_file_write(blob, mapping.data, mapping.size, err);
            sq_file_unmap(&mapping);
        }
        SQ_TRY(status);
        SQ_TRY(sq_repo_hash(blob, hash, &bytes, err));
        if (strcmp(hash, file->sha256) != 0) {
            unlink(blob);
            return sq_fail(err, SQUALL_E_CORRUPT, m->sources[i], "changed while it was added");
        }
        (void)!chmod(blob, 0444);
    }
    snprintf(path, sizeof path, "%s/%s", m->folder, file->name);
    if (link(blob, path) != 0) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be linked to its blob: %m");
    }
    return SQUALL_OK;
}

static squall_status write_text(const char *folder, const char *name, const sq_text *text,
                                squall_error *err)
{
    char path[SQ_REPO_PATH + 128];
    if (text->failed) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory");
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    SQ_TRY(sq_file_write(path, text->data, text->length, err));
    (void)!chmod(path, 0444);
    return SQUALL_OK;
}

static squall_status sign(making *m, sq_text *manifest, sq_text *signature, squall_error *err)
{
    unsigned char seed[SQ_SIGN_SEED_BYTES], hash[SQ_HASH_BYTES];
    SQ_TRY(sq_key_read_secret(m->want->secret, seed, err));
    sq_sign_public(seed, m->version.key);
    sq_repo_format(&m->version, manifest);
    if (!manifest->failed) {
        sq_sign(seed, manifest->data, manifest->length, m->version.signature);
        sq_hash(manifest->data, manifest->length, hash);
        sq_hash_format(hash, m->version.sha256);
    }
    sq_sign_forget(seed, sizeof seed);
    sq_repo_format_signature(&m->version, signature);
    return sq_ring_judge(&m->repo->ring, m->version.key, SQ_TRUST_TRAIN, m->version.made,
                         m->want->secret, NULL, err);
}

static squall_status put(making *m, squall_error *err)
{
    char final[SQ_REPO_PATH], parent[SQ_REPO_PATH], blobs[SQ_REPO_PATH + 16];
    sq_text manifest = {0}, signature = {0}, triton = {0};
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_repo_path(m->repo, m->version.name, m->version.version, "", final, err));
    snprintf(parent, sizeof parent, "%.*s", (int)(sq_path_name(final) - final - 1), final);
    snprintf(blobs, sizeof blobs, "%s/blobs", m->repo->root);
    SQ_TRY_GOTO(sq_folder_make(blobs, err));
    SQ_TRY_GOTO(sign(m, &manifest, &signature, err)); /* a key that may not leaves nothing behind */
    SQ_TRY_GOTO(sq_folder_make(parent, err));
    snprintf(m->folder, sizeof m->folder, "%.900s/.new-%lld", parent,
             (long long)m->version.version);
    sq_repo_remove_folder(m->folder); /* of an addition that was cut off */
    SQ_TRY_GOTO(sq_folder_make(m->folder, err));
    for (size_t i = 0; i < m->version.count; i++) {
        SQ_TRY_GOTO(place(m, i, err));
    }
    SQ_TRY_GOTO(write_text(m->folder, SQ_REPO_MANIFEST, &manifest, err));
    SQ_TRY_GOTO(write_text(m->folder, SQ_REPO_SIGNATURE, &signature, err));
    sq_repo_format_triton(m->version.name, &triton);
    SQ_TRY_GOTO(write_text(parent, "config.pbtxt", &triton, err));
    sq_repo_sync_folder(m->folder);
    if (rename(m->folder, final) != 0) {
        status = sq_fail(err, SQUALL_E_IO, final, "cannot be put in its place: %m");
        goto done;
    }
    m->folder[0] = '\0';
    (void)!chmod(final, 0555);
    sq_repo_sync_folder(parent);
done:
    if (m->folder[0] != '\0') {
        sq_repo_remove_folder(m->folder);
    }
    sq_text_free(&manifest);
    sq_text_free(&signature);
    sq_text_free(&triton);
    return status;
}

/* Whether two versions hold the same; reports say when they were made, and do not count. */
static bool holds_same(const sq_repo_version *a, const sq_repo_version *b)
{
    const sq_repo_version *const both[2][2] = {{a, b}, {b, a}};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < both[k][0]->count; i++) {
            const sq_repo_file *file = &both[k][0]->files[i];
            bool found = file->kind == SQ_REPO_REPORT;
            for (size_t j = 0; j < both[k][1]->count && !found; j++) {
                found = strcmp(both[k][1]->files[j].name, file->name) == 0 &&
                        strcmp(both[k][1]->files[j].sha256, file->sha256) == 0;
            }
            if (!found) {
                return false;
            }
        }
    }
    return true;
}

/* The number it gets: behind every one that there is or ever was. `newest` is the highest there. */
static squall_status number_it(making *m, int64_t *newest, squall_error *err)
{
    int64_t *numbers = NULL, highest = 0;
    size_t count = 0;
    SQ_TRY(sq_repo_versions(m->repo, m->want->name, &numbers, &count, err));
    *newest = highest = count > 0 ? numbers[count - 1] : 0;
    sq_free(numbers);
    for (size_t i = 0; i < m->repo->ledger.count; i++) {
        const sq_ledger_entry *entry = &m->repo->ledger.entries[i];
        if (strcmp(entry->name, m->want->name) == 0 && entry->version > highest) {
            highest = entry->version;
        }
    }
    m->version.version = highest + 1;
    return SQUALL_OK;
}

static squall_status add(making *m, int64_t *number, bool *is_new, squall_error *err)
{
    int64_t newest = 0;
    SQ_TRY(number_it(m, &newest, err));
    SQ_TRY(collect(m, err));
    *is_new = true;
    sq_repo_version *last = newest > 0 ? sq_alloc(1, sizeof *last) : NULL;
    if (last != NULL && sq_repo_read(m->repo, m->want->name, newest, last, NULL) == SQUALL_OK &&
        holds_same(last, &m->version)) {
        *is_new = false;
        m->version.version = newest;
        memcpy(m->version.sha256, last->sha256, sizeof last->sha256);
    }
    sq_free(last);
    if (*is_new) {
        SQ_TRY(put(m, err));
    }
    *number = m->version.version;
    if (sq_ledger_find(&m->repo->ledger, "add", m->want->name, *number) != NULL) {
        return SQUALL_OK;
    }
    return sq_repo_log(m->repo, m->want->secret, "add", m->want->name, *number, m->version.sha256,
                       m->want->note, err);
}

squall_status sq_repo_add(sq_repo *repo, const sq_repo_addition *addition, int64_t *version,
                          bool *is_new, squall_error *err)
{
    bool fresh = false;
    if (!repo->trusted || !sq_repo_is_name(addition->name)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "model",
                       "'%.60s' must be letters, digits and -_. (at most %d), and the repository "
                       "be opened with root keys",
                       addition->name, SQ_REPO_NAME - 1);
    }
    making *m = sq_alloc(1, sizeof *m);
    const int lock = sq_repo_lock(repo, err);
    squall_status status = lock < 0 ? SQUALL_E_IO : SQUALL_OK;
    if (m == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, addition->name, "no memory");
    }
    if (status == SQUALL_OK) {
        m->repo = repo;
        m->want = addition;
        m->version.made = sq_time_now();
        snprintf(m->version.name, sizeof m->version.name, "%s", addition->name);
        snprintf(m->version.squall, sizeof m->version.squall, "%s", squall_version());
        snprintf(m->version.note, sizeof m->version.note, "%s",
                 addition->note != NULL ? addition->note : "");
        sq_ledger_free(&repo->ledger); /* another process may have added since */
        status = sq_ledger_read(repo->ledger_path, &repo->ring, &repo->ledger, err);
    }
    if (status == SQUALL_OK) {
        status = add(m, version, &fresh, err);
    }
    if (is_new != NULL) {
        *is_new = fresh;
    }
    for (size_t i = 0; m != NULL && i < m->version.count; i++) {
        sq_free(m->texts[i]);
    }
    if (lock >= 0) {
        close(lock);
    }
    sq_free(m);
    return status;
}
