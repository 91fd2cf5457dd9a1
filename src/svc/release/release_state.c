/* svc/release/release_state.c - the state on disk, and versions held against it and the repository.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "squall/engine.h"
#include "svc/release/release_private.h"

enum { STATE_BYTES = 16 << 20 };

/* The first line is the SHA-256 of the rest. */
squall_status sq_release_save(const sq_release *release, squall_error *err)
{
    sq_json json = {0};
    sq_text file = {0};
    unsigned char hash[SQ_HASH_BYTES];
    char hex[SQ_HASH_TEXT];
    squall_status status = SQUALL_E_MEMORY;
    sq_json_object(&json, NULL);
    sq_json_int(&json, "squall_releases", 1);
    sq_json_int(&json, "ring_serial", release->ring_serial);
    sq_json_text(&json, "ledger_head", release->head);
    sq_json_array(&json, "rollouts");
    for (size_t i = 0; i < release->count; i++) {
        sq_rollout_write(&release->engines[i].rollout, true, &json);
    }
    sq_json_end_array(&json);
    sq_json_end_object(&json);
    if (!json.text.failed) {
        sq_hash(json.text.data, json.text.length, hash);
        sq_text_add(&file, "%s\n", sq_hash_format(hash, hex));
        sq_text_add_bytes(&file, json.text.data, json.text.length);
    }
    if (json.text.failed || file.failed) {
        sq_fail_record(err, SQUALL_E_MEMORY, release->state_path, "no memory");
    } else {
        status = sq_file_write(release->state_path, file.data, file.length, err);
    }
    sq_json_free(&json);
    sq_text_free(&file);
    return status;
}

static sq_release_engine *find(sq_release *release, const char *engine)
{
    for (size_t i = 0; i < release->count; i++) {
        if (strcmp(release->engines[i].rollout.engine, engine) == 0) {
            return &release->engines[i];
        }
    }
    return NULL;
}

static squall_status take_rollouts(sq_release *release, const json_t *list, squall_error *err)
{
    size_t i;
    json_t *one;
    sq_rollout *rollout = sq_alloc(1, sizeof *rollout);
    squall_status status = rollout != NULL
                               ? SQUALL_OK
                               : sq_fail(err, SQUALL_E_MEMORY, release->state_path, "no memory");
    json_array_foreach(list, i, one)
    {
        char *text = json_dumps(one, JSON_COMPACT);
        if (status == SQUALL_OK &&
            (text == NULL || !sq_rollout_read(text, strlen(text), rollout))) {
            status = sq_fail(err, SQUALL_E_CORRUPT, release->state_path, "rollout %zu is none", i);
        }
        sq_release_engine *engine = status == SQUALL_OK ? find(release, rollout->engine) : NULL;
        if (engine != NULL && strcmp(engine->rollout.model, rollout->model) == 0) {
            engine->rollout = *rollout;
        }
        free(text);
    }
    sq_free(rollout);
    return status;
}

squall_status sq_release_load(sq_release *release, squall_error *err)
{
    unsigned char *bytes = NULL, hash[SQ_HASH_BYTES], written[SQ_HASH_BYTES];
    size_t size = 0;
    if (access(release->state_path, F_OK) != 0 && errno == ENOENT) {
        return SQUALL_OK;
    }
    SQ_TRY(sq_file_read(release->state_path, STATE_BYTES, &bytes, &size, err));
    const size_t head = SQ_HASH_TEXT; /* its line end takes the place of the text's end */
    squall_status status = SQUALL_OK;
    json_t *object = NULL;
    if (size > head && bytes[head - 1] == '\n') {
        bytes[head - 1] = '\0';
        sq_hash(bytes + head, size - head, hash);
        if (sq_hex_parse((const char *)bytes, written, sizeof written) &&
            memcmp(hash, written, sizeof hash) == 0) {
            object = json_loadb((const char *)bytes + head, size - head, 0, NULL);
        }
    }
    const char *known = json_string_value(json_object_get(object, "ledger_head"));
    if (known == NULL || json_integer_value(json_object_get(object, "squall_releases")) != 1) {
        status = sq_fail(err, SQUALL_E_CORRUPT, release->state_path,
                         "is not as the service wrote it; remove it, and start a release of each "
                         "engine again");
    } else {
        snprintf(release->head, sizeof release->head, "%s", known);
        release->ring_serial = json_integer_value(json_object_get(object, "ring_serial"));
        status = take_rollouts(release, json_object_get(object, "rollouts"), err);
    }
    json_decref(object);
    sq_free(bytes);
    return status;
}

/* ---------------------------------------------------------------- the repository */

/* A keyring or a ledger from before what was seen already is an attack, or a wrong backup. */
static squall_status check_age(sq_release *release, const sq_repo *repo, squall_error *err)
{
    unsigned char head[SQ_HASH_BYTES];
    if (repo->ring.serial < release->ring_serial) {
        return sq_fail(err, SQUALL_E_SIGNATURE, repo->keyring,
                       "has serial number %lld; one with %lld was here before",
                       (long long)repo->ring.serial, (long long)release->ring_serial);
    }
    if (release->head[0] != '\0' && sq_hex_parse(release->head, head, sizeof head) &&
        !sq_ledger_has(&repo->ledger, head)) {
        return sq_fail(err, SQUALL_E_SIGNATURE, repo->ledger_path,
                       "lost its end: line %.16s... was there before", release->head);
    }
    release->ring_serial = repo->ring.serial;
    if (repo->ledger.count > 0) {
        sq_hash_format(repo->ledger.entries[repo->ledger.count - 1].hash, release->head);
    }
    return SQUALL_OK;
}

/* What a context of it takes, and its weights. */
static squall_status find_memory(const char *path, double *bytes, squall_error *err)
{
    squall_engine *engine = NULL;
    squall_profile_info profile;
    size_t arena = 0;
    sq_mapping file = {0};
    SQ_TRY(squall_engine_open(path, NULL, &engine, NULL, err));
    for (size_t i = 0; i < squall_engine_profile_count(engine); i++) {
        if (squall_engine_profile(engine, i, &profile, NULL) == SQUALL_OK &&
            profile.arena_bytes > arena) {
            arena = profile.arena_bytes;
        }
    }
    squall_engine_close(&engine);
    SQ_TRY(sq_file_map(path, SQ_LIMIT_FILE_BYTES, &file, err));
    *bytes = (double)arena + (double)file.size;
    sq_file_unmap(&file);
    return SQUALL_OK;
}

static squall_status check_version(sq_release *release, const sq_repo *repo, const char *model,
                                   int64_t *version, sq_repo_version *v, char *path,
                                   squall_error *err)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    char where[96], found[SQ_REPO_PATH];
    SQ_TRY(check_age(release, repo, err));
    if (*version == 0) {
        SQ_TRY(sq_repo_versions(repo, model, &numbers, &count, err));
        *version = count > 0 ? numbers[count - 1] : 1;
        sq_free(numbers);
    }
    snprintf(where, sizeof where, "%.47s/%lld", model, (long long)*version);
    SQ_TRY(sq_repo_verify(repo, model, *version, v, err));
    const size_t have = sq_ledger_approvals(&repo->ledger, &repo->ring, model, *version, v->sha256);
    if (have < (size_t)repo->ring.approvals) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "has %zu of %d approvals; squall release approve gives one", have,
                       (int)repo->ring.approvals);
    }
    SQ_TRY(sq_repo_engine(repo, v, found, err));
    if (strlen(found) >= SQ_CONFIG_TEXT) {
        return sq_fail(err, SQUALL_E_LIMIT, where, "its engine's path has more than %d bytes",
                       SQ_CONFIG_TEXT - 1);
    }
    memcpy(path, found, strlen(found) + 1);
    return SQUALL_OK;
}

squall_status sq_release_check(sq_release *release, const char *model, int64_t *version, char *path,
                               double *bytes, squall_error *err)
{
    sq_repo repo;
    sq_repo_version *v = sq_alloc(1, sizeof *v);
    if (v == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, model, "no memory");
    }
    squall_status status =
        sq_repo_open(release->limits.repository, release->limits.roots, &repo, err);
    if (status == SQUALL_OK) {
        status = check_version(release, &repo, model, version, v, path, err);
        sq_repo_close(&repo);
    }
    if (status == SQUALL_OK && bytes != NULL) {
        status = find_memory(path, bytes, err);
    }
    sq_free(v);
    return status;
}

void sq_release_log(sq_release *release, const char *what, const sq_rollout *rollout,
                    int64_t version)
{
    squall_error problem = {.code = SQUALL_OK};
    sq_repo repo;
    if (release->limits.key[0] == '\0') {
        return;
    }
    squall_status status =
        sq_repo_open(release->limits.repository, release->limits.roots, &repo, &problem);
    if (status == SQUALL_OK) {
        status = sq_repo_log(&repo, release->limits.key, what, rollout->model, version, "",
                             rollout->message, &problem);
        if (status == SQUALL_OK) {
            sq_hash_format(repo.ledger.entries[repo.ledger.count - 1].hash, release->head);
        }
        sq_repo_close(&repo);
    }
    if (status != SQUALL_OK) { /* the switch is made all the same: it must not wait for a file */
        sq_log_failure(release->log, SQ_LOG_ERROR, "ledger", &problem);
    }
}
