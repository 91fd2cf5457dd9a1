/* ops/pipeline/pipeline_stages.c - what each stage does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/pipeline/pipeline_private.h"
#include "ops/repo/repo.h"

enum { TARGETS = 8, OPTIONS = 24 };

/* Words of a text, cut in place. */
static size_t split(char *text, const char *between, const char **out, size_t room)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, between, &rest); word != NULL && count < room;
         word = strtok_r(NULL, between, &rest)) {
        out[count++] = word;
    }
    return count;
}

static squall_status write_json(const char *path, json_t *document, squall_error *err)
{
    char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    json_decref(document);
    if (text == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    }
    const squall_status status = sq_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

static json_t *event(const char *role, const char *from, const char *to)
{
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "name", role, "role", "train", "provider",
                     role, "paths", ".", "from", from, "to", to);
}

static squall_status run_dataset(sq_pipeline *p, squall_error *err)
{
    char path[SQ_PIPELINE_PATH];
    json_t *events =
        json_pack("{s:[o, o]}", "events", event("train", p->c.train_from, p->c.train_to),
                  event("validation", p->c.validate_from, p->c.validate_to));
    SQ_TRY(write_json(sq_pipeline_path(p, "events.json", path), events, err));
    if (p->c.dataset_command[0] != '\0') {
        return sq_pipeline_shell(p, p->c.dataset_command, err);
    }
    return sq_pipeline_shell(
        p,
        "exec training/train --squall \"$SQUALL\" --recipe \"$PIPELINE_RECIPE\" dataset --data "
        "\"$PIPELINE_ARCHIVE\" --events \"$PIPELINE_EVENTS\" --out \"$PIPELINE_WORK/dataset\"",
        err);
}

static squall_status run_train(sq_pipeline *p, squall_error *err)
{
    if (p->c.train_command[0] != '\0') {
        return sq_pipeline_shell(p, p->c.train_command, err);
    }
    char command[3 * SQ_PIPELINE_TEXT];
    snprintf(command, sizeof command,
             "exec training/train --recipe \"$PIPELINE_RECIPE\" fit --dataset "
             "\"$PIPELINE_WORK/dataset\" --out \"$PIPELINE_WORK/training\" --no-export --leave-out "
             "validation "
             "${PIPELINE_WEIGHTS:+--start} ${PIPELINE_WEIGHTS:+\"$PIPELINE_WEIGHTS\"} %s",
             p->c.train_options);
    return sq_pipeline_shell(p, command, err);
}

static squall_status run_export(sq_pipeline *p, squall_error *err)
{
    char path[SQ_PIPELINE_PATH];
    SQ_TRY(sq_pipeline_shell(p,
                             p->c.export_command[0] != '\0'
                                 ? p->c.export_command
                                 : "training/train export --out \"$PIPELINE_WORK/training\" && cp "
                                   "\"$PIPELINE_WORK/training/model.onnx\" "
                                   "\"$PIPELINE_WORK/export/model.onnx\"",
                             err));
    return access(sq_pipeline_path(p, "export/model.onnx", path), R_OK) == 0
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, p->stage, "it left no %.300s", path);
}

/* ---------------------------------------------------------------- engines */

/* The version of the model that was promoted last, with its engine for `device`; false for none. */
static bool find_in_service(const sq_pipeline *p, const char *device, char *path)
{
    sq_repo repo;
    bool found = false;
    sq_repo_version *v = sq_alloc(1, sizeof *v);
    if (v == NULL || sq_repo_open(p->c.repository, p->c.roots, &repo, NULL) != SQUALL_OK) {
        sq_free(v);
        return false;
    }
    for (size_t i = repo.ledger.count; i-- > 0 && !found;) {
        const sq_ledger_entry *e = &repo.ledger.entries[i];
        if ((strcmp(e->what, "promote") != 0 && strcmp(e->what, "undo") != 0) || e->is_void ||
            strcmp(e->name, p->c.name) != 0) {
            continue;
        }
        if (sq_repo_verify(&repo, p->c.name, e->version, v, NULL) == SQUALL_OK) {
            for (size_t k = 0; k < v->count && !found; k++) {
                const sq_repo_file *file = &v->files[k];
                found =
                    file->kind == SQ_REPO_ENGINE && strstr(file->device, device) != NULL &&
                    sq_repo_path(&repo, p->c.name, e->version, file->name, path, NULL) == SQUALL_OK;
            }
        }
        break;
    }
    sq_repo_close(&repo);
    sq_free(v);
    return found;
}

/* The device's word in the names of engines: "cuda:sm_90a" to "sm_90a". */
static const char *device_word(const char *target)
{
    const char *colon = strchr(target, ':');
    return colon != NULL ? colon + 1 : target;
}

/* A file of the archive, for the grid. */
static squall_status any_frame(sq_pipeline *p, char *path, squall_error *err)
{
    char command[SQ_PIPELINE_TEXT];
    unsigned char *bytes = NULL;
    size_t size = 0;
    char out[SQ_PIPELINE_PATH];
    snprintf(command, sizeof command, "ls -d \"$PIPELINE_ARCHIVE\"/* | head -n 1");
    SQ_TRY(sq_pipeline_shell(p, command, err));
    SQ_TRY(sq_file_read(sq_pipeline_path(p, "log/build.out", out), SQ_LIMIT_HEADER, &bytes, &size,
                        err));
    snprintf(path, SQ_PIPELINE_PATH, "%.*s", (int)strcspn((const char *)bytes, "\n"),
             (const char *)bytes);
    sq_free(bytes);
    return SQUALL_OK;
}

static squall_status build(sq_pipeline *p, const char *target, const char *model,
                           const char *engine, const char *frame, squall_error *err)
{
    char text[SQ_PIPELINE_TEXT];
    const char *options[OPTIONS],
        *arguments[SQ_PIPELINE_ARGUMENTS] = {"build",     model,  "--recipe", p->c.recipe,
                                             "--grid-of", frame,  "--device", target,
                                             "--out",     engine, "--json"};
    size_t count = 11;
    if (p->c.window[0] != '\0') {
        arguments[count++] = "--window";
        arguments[count++] = p->c.window;
    }
    if (strcmp(p->c.precision, "fp32") != 0 && strcmp(target, "cpu") == 0) {
        const char *const more[] = {"--precision",    p->c.precision,   "--calib",
                                    p->c.archive,     "--min-psnr",     p->c.min_psnr_db,
                                    "--max-csi-loss", p->c.max_csi_loss};
        for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
            arguments[count++] = more[i];
        }
    }
    snprintf(text, sizeof text, "%s", p->c.build_options);
    const size_t more = split(text, " ", options, OPTIONS);
    for (size_t i = 0; i < more; i++) {
        arguments[count++] = options[i];
    }
    json_t *answer = NULL;
    const squall_status status = sq_pipeline_squall(p, arguments, &answer, err);
    json_decref(answer);
    return status;
}

/* New weights of a graph that is in service keep its tactics; any other graph is built. */
static squall_status run_build(sq_pipeline *p, squall_error *err)
{
    char list[SQ_PIPELINE_TEXT], model[SQ_PIPELINE_PATH], engine[SQ_PIPELINE_PATH],
        name[SQ_PIPELINE_TEXT], old[SQ_REPO_PATH], frame[SQ_PIPELINE_PATH];
    const char *targets[TARGETS];
    json_t *how = json_object();
    json_object_set_new(p->detail, "how", how);
    snprintf(list, sizeof list, "%s", p->c.targets);
    const size_t count = split(list, ", ", targets, TARGETS);
    sq_pipeline_path(p, "export/model.onnx", model);
    SQ_TRY(any_frame(p, frame, err));
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "engines/%.80s.engine", device_word(targets[i]));
        sq_pipeline_path(p, name, engine);
        if (strcmp(p->c.precision, "fp32") == 0 &&
            find_in_service(p, device_word(targets[i]), old)) {
            const char *const refit[] = {"refit", old, model, "--out", engine, "--json", NULL};
            if (sq_pipeline_squall(p, refit, NULL, NULL) == SQUALL_OK) {
                json_object_set_new(how, targets[i], json_string("refit"));
                continue;
            }
        }
        SQ_TRY(build(p, targets[i], model, engine, frame, err));
        json_object_set_new(how, targets[i], json_string("built"));
    }
    return SQUALL_OK;
}

static squall_status run_compare(sq_pipeline *p, squall_error *err)
{
    char list[SQ_PIPELINE_TEXT], model[SQ_PIPELINE_PATH], engine[SQ_PIPELINE_PATH],
        name[SQ_PIPELINE_TEXT];
    const char *targets[TARGETS];
    snprintf(list, sizeof list, "%s", p->c.targets);
    const size_t count = split(list, ", ", targets, TARGETS);
    sq_pipeline_path(p, "export/model.onnx", model);
    for (size_t i = 0; i < count; i++) {
        const char *arguments[20] = {"compare",
                                     model,
                                     engine,
                                     "--data",
                                     p->c.archive,
                                     "--every",
                                     p->c.compare_every_s,
                                     "--min-psnr",
                                     p->c.min_psnr_db,
                                     "--json",
                                     "--require-native"};
        size_t at = 11;
        if (strncmp(targets[i], "cuda", 4) == 0) {
            continue; /* compared where there is such a device */
        }
        snprintf(name, sizeof name, "engines/%.80s.engine", device_word(targets[i]));
        sq_pipeline_path(p, name, engine);
        if (p->c.window[0] != '\0') {
            arguments[at++] = "--window";
            arguments[at++] = p->c.window;
        }
        json_t *answer = NULL;
        SQ_TRY(sq_pipeline_squall(p, arguments, &answer, err));
        json_object_set(p->detail, "psnr_db", json_object_get(answer, "psnr_db"));
        json_object_set(p->detail, "csi", json_object_get(answer, "scores"));
        json_decref(answer);
    }
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- skill */

/* Scores of one engine on an archive; given. */
static squall_status score(sq_pipeline *p, const char *engine, const char *archive, bool spanned,
                           json_t **out, squall_error *err)
{
    const char *arguments[24] = {"verify",     "--engine", engine, "--every",
                                 p->c.every_s, "--json",   archive};
    size_t at = 7;
    json_t *answer = NULL;
    if (spanned) {
        const char *const span[] = {"--from", p->c.evaluate_from, "--to", p->c.evaluate_to};
        for (size_t i = 0; i < 4; i++) {
            arguments[at++] = span[i];
        }
        if (p->c.window[0] != '\0') {
            arguments[at++] = "--window";
            arguments[at++] = p->c.window;
        }
    }
    SQ_TRY(sq_pipeline_squall(p, arguments, &answer, err));
    *out = json_incref(json_object_get(json_object_get(answer, "scores"), "methods"));
    json_decref(answer);
    return SQUALL_OK;
}

/* CSI by lead time, and its mean; NaN without any. */
static double collect_csi(const json_t *rows, json_t *by_lead)
{
    double sum = 0.0;
    size_t i, count = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_t *csi = json_object_get(row, "csi");
        if (json_is_number(csi)) {
            sum += json_number_value(csi);
            count++;
            json_array_append_new(by_lead,
                                  json_pack("[I, f]",
                                            json_integer_value(json_object_get(row, "lead_s")),
                                            json_number_value(csi)));
        }
    }
    return count > 0 ? sum / (double)count : NAN;
}

/* Mean CSI of one method, noted under `name` in the detail. */
static double note_csi(json_t *detail, const char *name, const json_t *methods, const char *method)
{
    json_t *by_lead = json_array();
    const double mean = collect_csi(json_object_get(methods, method), by_lead);
    json_object_set_new(detail, name, by_lead);
    return mean;
}

/* On one archive the new version must be no worse than the one in service, by more than the loss
 * that is allowed; on the days held back it must gain over extrapolation, too. */
static squall_status judge(sq_pipeline *p, const char *engine, const char *archive, bool spanned,
                           json_t *detail, squall_error *err)
{
    char old[SQ_REPO_PATH];
    json_t *methods = NULL;
    SQ_TRY(score(p, engine, archive, spanned, &methods, err));
    const double csi = note_csi(detail, "new", methods, "model");
    const double plain = note_csi(detail, "extrapolation", methods, "extrapolation");
    json_decref(methods);
    if (!(csi >= 0.0)) {
        return sq_fail(err, SQUALL_E_NO_DATA, p->stage,
                       "no rain fell in the evaluation: nothing can be said; choose other days");
    }
    if (spanned && csi < plain + atof(p->c.min_csi_gain)) {
        return sq_fail(err, SQUALL_E_NO_DATA, p->stage,
                       "mean CSI is %.4f; extrapolation has %.4f, and %.4f more is asked for", csi,
                       plain, atof(p->c.min_csi_gain));
    }
    if (!find_in_service(p, "cpu", old)) {
        return SQUALL_OK; /* nothing to be held against */
    }
    SQ_TRY(score(p, old, archive, spanned, &methods, err));
    const double before = note_csi(detail, "in_service", methods, "model");
    json_decref(methods);
    if (csi < before - atof(p->c.max_csi_loss)) {
        return sq_fail(err, SQUALL_E_NO_DATA, p->stage,
                       "mean CSI is %.4f, that of the version in service %.4f%s; %.4f less is "
                       "allowed",
                       csi, before, spanned ? "" : " on what it knew (guard)",
                       atof(p->c.max_csi_loss));
    }
    return SQUALL_OK;
}

static squall_status run_skill(sq_pipeline *p, squall_error *err)
{
    char engine[SQ_PIPELINE_PATH];
    json_t *held = json_object(), *guard = json_object();
    json_object_set_new(p->detail, "held_back", held);
    json_object_set_new(p->detail, "guard", guard);
    sq_pipeline_path(p, "engines/cpu.engine", engine);
    if (access(engine, R_OK) != 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, p->stage,
                       "skill is found on a processor; cpu must be among the targets");
    }
    SQ_TRY(judge(p, engine, p->c.archive, true, held, err));
    return p->c.guard[0] != '\0' ? judge(p, engine, p->c.guard, false, guard, err) : SQUALL_OK;
}

/* ---------------------------------------------------------------- into the repository */

static squall_status run_sign(sq_pipeline *p, squall_error *err)
{
    char list[SQ_PIPELINE_TEXT], from[SQ_PIPELINE_PATH], to[SQ_PIPELINE_PATH],
        name[SQ_PIPELINE_TEXT];
    const char *targets[TARGETS];
    snprintf(list, sizeof list, "%s", p->c.targets);
    const size_t count = split(list, ", ", targets, TARGETS);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "engines/%.80s.engine", device_word(targets[i]));
        sq_pipeline_path(p, name, from);
        snprintf(name, sizeof name, "signed/%.80s.engine", device_word(targets[i]));
        sq_pipeline_path(p, name, to);
        const char *const arguments[] = {"sign",  from, "--key",  p->c.train_key,
                                         "--out", to,   "--json", NULL};
        SQ_TRY(sq_pipeline_squall(p, arguments, NULL, err));
    }
    return SQUALL_OK;
}

static const json_t *detail_of(const sq_pipeline *p, const char *stage)
{
    return json_object_get(json_object_get(json_object_get(p->state, "stages"), stage), "detail");
}

static squall_status run_add(sq_pipeline *p, squall_error *err)
{
    char list[SQ_PIPELINE_TEXT], card[SQ_PIPELINE_PATH], model[SQ_PIPELINE_PATH],
        engines[TARGETS][SQ_PIPELINE_PATH], name[SQ_PIPELINE_TEXT];
    const char *targets[TARGETS];
    json_t *answer = NULL;
    json_t *document =
        json_pack("{s:s, s:s, s:O, s:O, s:{s:s, s:s, s:s, s:s}}", "data", p->c.data, "licence",
                  p->c.licence, "skill", detail_of(p, "skill"), "compare", detail_of(p, "compare"),
                  "trained", "from", p->c.train_from, "to", p->c.train_to, "evaluated_from",
                  p->c.evaluate_from, "evaluated_to", p->c.evaluate_to);
    SQ_TRY(write_json(sq_pipeline_path(p, "added/card.json", card), document, err));
    const char *arguments[SQ_PIPELINE_ARGUMENTS] = {"model",
                                                    "add",
                                                    p->c.name,
                                                    "--repo",
                                                    p->c.repository,
                                                    "--roots",
                                                    p->c.roots,
                                                    "--key",
                                                    p->c.train_key,
                                                    "--model",
                                                    sq_pipeline_path(p, "export/model.onnx", model),
                                                    "--recipe",
                                                    p->c.recipe,
                                                    "--card",
                                                    card,
                                                    "--json",
                                                    "--note",
                                                    "pipeline"};
    size_t at = 18;
    snprintf(list, sizeof list, "%s", p->c.targets);
    const size_t count = split(list, ", ", targets, TARGETS);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "signed/%.80s.engine", device_word(targets[i]));
        arguments[at++] = "--engine";
        arguments[at++] = sq_pipeline_path(p, name, engines[i]);
    }
    SQ_TRY(sq_pipeline_squall(p, arguments, &answer, err));
    json_object_set(p->detail, "version", json_object_get(answer, "version"));
    json_decref(answer);
    return SQUALL_OK;
}

static squall_status run_release(sq_pipeline *p, squall_error *err)
{
    char version[24], from[SQ_PIPELINE_PATH], to[SQ_PIPELINE_PATH];
    snprintf(version, sizeof version, "%lld",
             (long long)json_integer_value(json_object_get(detail_of(p, "add"), "version")));
    json_object_set_new(p->detail, "version", json_string(version));
    sq_pipeline_path(p, "training/student.pt", from); /* what the next run may start from */
    if (access(from, R_OK) == 0) {
        unsigned char *bytes = NULL;
        size_t size = 0;
        SQ_TRY(sq_file_read(from, SQ_LIMIT_FILE_BYTES, &bytes, &size, err));
        const squall_status status =
            sq_file_write(sq_pipeline_path(p, "last.pt", to), bytes, size, err);
        sq_free(bytes);
        SQ_TRY(status);
    }
    if (p->c.release_key[0] == '\0') {
        json_object_set_new(p->detail, "started", json_false());
        return SQUALL_OK; /* people approve it */
    }
    const char *const approve[] = {"release", "approve",        p->c.name, version,
                                   "--repo",  p->c.repository,  "--roots", p->c.roots,
                                   "--key",   p->c.release_key, "--note",  "pipeline",
                                   NULL};
    SQ_TRY(sq_pipeline_squall(p, approve, NULL, err));
    const bool starts = p->c.socket[0] != '\0' && p->c.engine[0] != '\0';
    json_object_set_new(p->detail, "started", json_boolean(starts));
    if (!starts) {
        return SQUALL_OK;
    }
    const bool stepped = p->c.steps[0] != '\0';
    const char *const start[] = {"release",  "start",     p->c.engine, version,
                                 "--socket", p->c.socket, "--json",    stepped ? "--steps" : NULL,
                                 p->c.steps, NULL};
    json_t *answer = NULL;
    SQ_TRY(sq_pipeline_squall(p, start, &answer, err));
    json_object_set_new(p->detail, "answer", answer);
    return SQUALL_OK;
}

const sq_pipeline_stage sq_pipeline_stages[] = {
    {"dataset", "dataset", run_dataset}, {"train", "training", run_train},
    {"export", "export", run_export},    {"build", "engines", run_build},
    {"compare", NULL, run_compare},      {"skill", NULL, run_skill},
    {"sign", "signed", run_sign},        {"add", "added", run_add},
    {"release", NULL, run_release}};
const size_t sq_pipeline_stage_count = sizeof sq_pipeline_stages / sizeof sq_pipeline_stages[0];
