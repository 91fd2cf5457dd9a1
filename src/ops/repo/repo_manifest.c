/* ops/repo/repo_manifest.c - manifests: what a version is, and whether it still is that. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "ops/repo/repo_private.h"

#define SIGNATURE_HEAD "squall-manifest-signature 1 "

void sq_repo_format(const sq_repo_version *version, sq_text *out)
{
    sq_json json = {0};
    sq_json_object(&json, NULL);
    sq_json_int(&json, "squall_manifest", 1);
    sq_json_text(&json, "name", version->name);
    sq_json_int(&json, "version", version->version);
    sq_json_time(&json, "made", version->made);
    sq_json_text(&json, "squall", version->squall);
    sq_json_text(&json, "note", version->note);
    sq_json_array(&json, "files");
    for (size_t i = 0; i < version->count; i++) {
        const sq_repo_file *file = &version->files[i];
        sq_json_object(&json, NULL);
        sq_json_text(&json, "name", file->name);
        sq_json_text(&json, "kind", sq_repo_kind_name(file->kind));
        sq_json_text(&json, "device", file->device);
        sq_json_text(&json, "sha256", file->sha256);
        sq_json_int(&json, "bytes", file->bytes);
        sq_json_end_object(&json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    sq_text_add(&json.text, "\n");
    *out = json.text;
}

void sq_repo_format_signature(const sq_repo_version *version, sq_text *out)
{
    char key[2 * SQ_SIGN_PUBLIC_BYTES + 1], signature[2 * SQ_SIGN_BYTES + 1];
    sq_text_add(out, SIGNATURE_HEAD "%s %s\n",
                sq_hex_format(version->key, sizeof version->key, key),
                sq_hex_format(version->signature, sizeof version->signature, signature));
}

void sq_repo_format_triton(const char *name, sq_text *out)
{
    sq_text_add(out,
                "name: \"%s\"\nbackend: \"onnxruntime\"\nmax_batch_size: 0\n"
                "version_policy: { latest: { num_versions: 1 } }\n",
                name);
}

/* ---------------------------------------------------------------- read */

static bool take(const json_t *object, const char *key, char *out, size_t room)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) >= room || strlen(text) != json_string_length(value)) {
        return false;
    }
    snprintf(out, room, "%s", text);
    return true;
}

static bool parse_file(const json_t *object, sq_repo_file *file)
{
    char kind[16] = "";
    int found = -1;
    bool good = take(object, "name", file->name, sizeof file->name) &&
                take(object, "kind", kind, sizeof kind) &&
                take(object, "device", file->device, sizeof file->device) &&
                take(object, "sha256", file->sha256, sizeof file->sha256);
    for (int k = SQ_REPO_MODEL; k <= SQ_REPO_CERTIFICATE; k++) {
        found = strcmp(kind, sq_repo_kind_name((sq_repo_kind)k)) == 0 ? k : found;
    }
    file->bytes = json_integer_value(json_object_get(object, "bytes"));
    file->kind = (sq_repo_kind)(found < 0 ? 0 : found);
    return good && found >= 0 && strchr(file->name, '/') == NULL && file->name[0] != '.';
}

static bool parse_manifest(const json_t *object, sq_repo_version *out)
{
    char made[SQ_TIME_TEXT];
    const json_t *files = json_object_get(object, "files");
    const size_t count = json_array_size(files);
    bool good = json_integer_value(json_object_get(object, "squall_manifest")) == 1 &&
                take(object, "name", out->name, sizeof out->name) &&
                take(object, "made", made, sizeof made) && sq_time_parse(made, &out->made) &&
                take(object, "squall", out->squall, sizeof out->squall) &&
                take(object, "note", out->note, sizeof out->note) && count > 0 &&
                count <= SQ_REPO_FILES;
    out->version = json_integer_value(json_object_get(object, "version"));
    for (size_t i = 0; good && i < count; i++) {
        good = parse_file(json_array_get(files, i), &out->files[i]);
    }
    out->count = good ? count : 0;
    return good;
}

/* The same bytes must come out again: so a manifest can be said in one way alone. */
static squall_status check_form(const sq_repo_version *version, const char *text, size_t size,
                                const char *path, squall_error *err)
{
    sq_text again = {0};
    sq_repo_format(version, &again);
    const bool same = !again.failed && again.length == size && memcmp(again.data, text, size) == 0;
    sq_text_free(&again);
    return same ? SQUALL_OK
                : sq_fail(err, SQUALL_E_CORRUPT, path, "is not, byte for byte, what squall writes");
}

static squall_status read_signature(const char *path, sq_repo_version *out, squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_text again = {0};
    SQ_TRY(sq_file_read(path, SQ_REPO_MANIFEST_BYTES, &bytes, &size, err));
    char *text = (char *)bytes;
    const size_t head = strlen(SIGNATURE_HEAD), key = 2 * SQ_SIGN_PUBLIC_BYTES;
    bool good =
        size == head + key + 1 + 2 * SQ_SIGN_BYTES + 1 && memcmp(text, SIGNATURE_HEAD, head) == 0;
    if (good) {
        text[head + key] = '\0';
        text[size - 1] = '\0';
        good = sq_hex_parse(text + head, out->key, sizeof out->key) &&
               sq_hex_parse(text + head + key + 1, out->signature, sizeof out->signature);
        sq_repo_format_signature(out, &again);
        sq_free(bytes);
        bytes = NULL;
        SQ_TRY(sq_file_read(path, SQ_REPO_MANIFEST_BYTES, &bytes, &size, err));
        good =
            good && !again.failed && again.length == size && memcmp(again.data, bytes, size) == 0;
    }
    sq_text_free(&again);
    sq_free(bytes);
    return good ? SQUALL_OK
                : sq_fail(err, SQUALL_E_CORRUPT, path, "is no signature as squall writes it");
}

squall_status sq_repo_read(const sq_repo *repo, const char *name, int64_t version,
                           sq_repo_version *out, squall_error *err)
{
    char path[SQ_REPO_PATH];
    unsigned char *bytes = NULL;
    size_t size = 0;
    memset(out, 0, sizeof *out);
    if (!sq_repo_is_name(name)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "model", "'%.60s' is no name of a model", name);
    }
    SQ_TRY(sq_repo_path(repo, name, version, "", path, err));
    if (!sq_path_is_folder(path)) {
        return sq_fail(err, SQUALL_E_NO_DATA, name, "there is no version %lld", (long long)version);
    }
    SQ_TRY(sq_repo_path(repo, name, version, SQ_REPO_MANIFEST, path, err));
    SQ_TRY(sq_file_read(path, SQ_REPO_MANIFEST_BYTES, &bytes, &size, err));
    json_t *object = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    unsigned char hash[SQ_HASH_BYTES];
    sq_hash(bytes, size, hash);
    sq_hash_format(hash, out->sha256);
    squall_status status =
        parse_manifest(object, out)
            ? check_form(out, (const char *)bytes, size, path, err)
            : sq_fail(err, SQUALL_E_CORRUPT, path, "is no manifest of a version");
    json_decref(object);
    sq_free(bytes);
    if (status == SQUALL_OK && (strcmp(out->name, name) != 0 || out->version != version)) {
        status = sq_fail(err, SQUALL_E_CORRUPT, path, "says it is %.60s/%lld", out->name,
                         (long long)out->version);
    }
    SQ_TRY(status);
    SQ_TRY(sq_repo_path(repo, name, version, SQ_REPO_SIGNATURE, path, err));
    return read_signature(path, out, err);
}

/* ---------------------------------------------------------------- verify */

/* Who signed it, when by the ledger, and whether they may. */
static squall_status check_signer(const sq_repo *repo, const sq_repo_version *version,
                                  const char *where, squall_error *err)
{
    sq_text text = {0};
    const sq_ledger_entry *added =
        sq_ledger_find(&repo->ledger, "add", version->name, version->version);
    sq_repo_format(version, &text);
    const bool good =
        !text.failed && sq_sign_check(version->key, text.data, text.length, version->signature);
    sq_text_free(&text);
    if (!good) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "its manifest is not what its key signed: one of the two was changed");
    }
    SQ_TRY(
        sq_ring_judge(&repo->ring, version->key, SQ_TRUST_TRAIN, version->made, where, NULL, err));
    if (added == NULL) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "has no line in the ledger that counts: it was not added by squall model "
                       "add, or the ledger lost its end");
    }
    if (strcmp(added->manifest, version->sha256) != 0) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "the ledger knows it by another manifest (%.16s..., found %.16s...)",
                       added->manifest, version->sha256);
    }
    return sq_ring_judge(&repo->ring, version->key, SQ_TRUST_TRAIN, added->time, where, NULL, err);
}

static bool belongs(const sq_repo_version *version, const char *name)
{
    bool found = strcmp(name, SQ_REPO_MANIFEST) == 0 || strcmp(name, SQ_REPO_SIGNATURE) == 0 ||
                 strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    for (size_t i = 0; i < version->count && !found; i++) {
        found = strcmp(version->files[i].name, name) == 0;
    }
    return found;
}

static squall_status check_folder(const sq_repo *repo, const sq_repo_version *version,
                                  const char *where, squall_error *err)
{
    char path[SQ_REPO_PATH];
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_repo_path(repo, version->name, version->version, "", path, err));
    DIR *folder = opendir(path);
    const struct dirent *entry;
    if (folder == NULL) {
        return sq_fail(err, SQUALL_E_IO, where, "its folder cannot be read: %m");
    }
    while (status == SQUALL_OK && (entry = readdir(folder)) != NULL) {
        if (!belongs(version, entry->d_name)) {
            status = sq_fail(err, SQUALL_E_CORRUPT, where,
                             "'%.100s' lies there and is not in its manifest", entry->d_name);
        }
    }
    closedir(folder);
    return status;
}

static squall_status check_triton(const sq_repo *repo, const char *name, squall_error *err)
{
    char path[SQ_REPO_PATH + SQ_REPO_NAME + 48];
    unsigned char *bytes = NULL;
    size_t size = 0;
    sq_text text = {0};
    snprintf(path, sizeof path, "%s/models/%s/config.pbtxt", repo->root, name);
    SQ_TRY(sq_file_read(path, SQ_REPO_MANIFEST_BYTES, &bytes, &size, err));
    sq_repo_format_triton(name, &text);
    const bool same = !text.failed && size == text.length && memcmp(bytes, text.data, size) == 0;
    sq_text_free(&text);
    sq_free(bytes);
    return same ? SQUALL_OK
                : sq_fail(err, SQUALL_E_CORRUPT, path, "is not what squall model add writes");
}

squall_status sq_repo_verify(const sq_repo *repo, const char *name, int64_t version,
                             sq_repo_version *out, squall_error *err)
{
    char where[96], path[SQ_REPO_PATH], hash[SQ_HASH_TEXT];
    int64_t bytes = 0;
    snprintf(where, sizeof where, "%.47s/%lld", name, (long long)version);
    if (!repo->trusted) {
        return sq_fail(err, SQUALL_E_ARGUMENT, where,
                       "cannot be verified without root keys (--roots)");
    }
    SQ_TRY(sq_repo_read(repo, name, version, out, err));
    SQ_TRY(check_signer(repo, out, where, err));
    SQ_TRY(check_folder(repo, out, where, err));
    SQ_TRY(check_triton(repo, name, err));
    for (size_t i = 0; i < out->count; i++) {
        SQ_TRY(sq_repo_path(repo, name, version, out->files[i].name, path, err));
        SQ_TRY(sq_repo_hash(path, hash, &bytes, err));
        if (bytes != out->files[i].bytes || strcmp(hash, out->files[i].sha256) != 0) {
            return sq_fail(err, SQUALL_E_CORRUPT, where,
                           "%.60s is not the one that was signed (SHA-256 %.16s..., %.16s... is "
                           "due)",
                           out->files[i].name, hash, out->files[i].sha256);
        }
    }
    return SQUALL_OK;
}

static squall_status verify_model(const sq_repo *repo, const char *name, sq_repo_version *version,
                                  size_t *count, squall_notes *problems, squall_error *err)
{
    int64_t *numbers = NULL;
    size_t found = 0;
    SQ_TRY(sq_repo_versions(repo, name, &numbers, &found, err));
    for (size_t i = 0; i < found; i++) {
        squall_error problem = {.code = SQUALL_OK};
        if (sq_repo_verify(repo, name, numbers[i], version, &problem) != SQUALL_OK) {
            sq_note(problems, problem.where, "%s", problem.text);
        }
        ++*count;
    }
    sq_free(numbers);
    return SQUALL_OK;
}

squall_status sq_repo_verify_all(const sq_repo *repo, size_t *versions, squall_notes *problems,
                                 squall_error *err)
{
    char **names = NULL, path[SQ_REPO_PATH], where[96];
    size_t count = 0;
    squall_status status = SQUALL_OK;
    sq_repo_version *version = sq_alloc(1, sizeof *version);
    *versions = 0;
    if (version == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, repo->root, "no memory");
    }
    SQ_TRY_GOTO(sq_repo_models(repo, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(verify_model(repo, names[i], version, versions, problems, err));
    }
    for (size_t i = 0; i < repo->ledger.count; i++) {
        const sq_ledger_entry *e = &repo->ledger.entries[i];
        if (strcmp(e->what, "add") != 0 || e->is_void ||
            sq_ledger_find(&repo->ledger, "remove", e->name, e->version) != NULL) {
            continue;
        }
        SQ_TRY_GOTO(sq_repo_path(repo, e->name, e->version, "", path, err));
        if (!sq_path_is_folder(path)) {
            snprintf(where, sizeof where, "%.47s/%lld", e->name, (long long)e->version);
            sq_note(problems, where, "the ledger says that it was added, and it is not there");
        }
    }
done:
    sq_repo_names_free(&names, count);
    sq_free(version);
    return status;
}
