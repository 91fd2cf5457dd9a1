/* cli/cli_model.c - squall model: the versions of a model repository. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "ops/repo/repo.h"

/* What the options said. */
typedef struct request {
    const char *repository, *roots, *key, *model, *recipe, *card, *note;
    cli_list engines, reports;
    int32_t keep;
    bool json, dry;
} request;

static json_t *version_json(const sq_repo_version *v)
{
    json_t *files = json_array();
    char hex[2 * SQ_SIGN_PUBLIC_BYTES + 1];
    for (size_t i = 0; i < v->count; i++) {
        const sq_repo_file *file = &v->files[i];
        json_array_append_new(files,
                              json_pack("{s:o, s:s, s:o, s:s, s:I}", "name", cli_text(file->name),
                                        "kind", sq_repo_kind_name(file->kind), "device",
                                        file->device[0] != '\0' ? cli_text(file->device)
                                                                : json_null(),
                                        "sha256", file->sha256, "bytes", (json_int_t)file->bytes));
    }
    return json_pack("{s:s, s:I, s:o, s:s, s:o, s:s, s:s, s:o}", "name", v->name, "version",
                     (json_int_t)v->version, "made", cli_time(v->made), "squall", v->squall, "note",
                     cli_text(v->note), "manifest_sha256", v->sha256, "key",
                     sq_hex_format(v->key, sizeof v->key, hex), "files", files);
}

/* NAME and VERSION; "NAME" alone means the newest. */
static squall_status find_version(const sq_repo *repo, const char *name, const char *text,
                                  int64_t *version, squall_error *err)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    if (text != NULL) {
        char *end;
        *version = strtoll(text, &end, 10);
        return *end == '\0' && *version > 0
                   ? SQUALL_OK
                   : sq_fail(err, SQUALL_E_ARGUMENT, name, "'%.40s' is no version", text);
    }
    SQ_TRY(sq_repo_versions(repo, name, &numbers, &count, err));
    *version = count > 0 ? numbers[count - 1] : 0;
    sq_free(numbers);
    return count > 0 ? SQUALL_OK
                     : sq_fail(err, SQUALL_E_NO_DATA, name, "there is no version of it");
}

/* ---------------------------------------------------------------- verbs */

static squall_status add(const request *want, sq_repo *repo, const cli_list *rest,
                         squall_error *err)
{
    int64_t version = 0;
    bool is_new = false;
    const sq_repo_addition addition = {.name = rest->items[1],
                                       .model = want->model,
                                       .recipe = want->recipe,
                                       .card = want->card,
                                       .engines = want->engines.items,
                                       .engine_count = want->engines.count,
                                       .reports = want->reports.items,
                                       .report_count = want->reports.count,
                                       .secret = want->key,
                                       .note = want->note};
    SQ_TRY(sq_repo_add(repo, &addition, &version, &is_new, err));
    if (want->json) {
        (void)!cli_print_json(json_pack("{s:o, s:I, s:b}", "name", cli_text(addition.name),
                                        "version", (json_int_t)version, "new", is_new));
    } else {
        printf("%s/%lld%s\n", addition.name, (long long)version,
               is_new ? "" : " holds the same already");
    }
    return SQUALL_OK;
}

static squall_status list_model(const sq_repo *repo, const char *name, sq_repo_version *v,
                                json_t *list, squall_error *err)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    char time[SQ_TIME_TEXT];
    squall_status status = SQUALL_OK;
    SQ_TRY(sq_repo_versions(repo, name, &numbers, &count, err));
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(sq_repo_read(repo, name, numbers[i], v, err));
        if (list != NULL) {
            json_array_append_new(list, version_json(v));
            continue;
        }
        printf("%s/%lld  %s ", name, (long long)v->version, sq_time_format(v->made, time));
        for (size_t k = 0; k < v->count; k++) {
            if (v->files[k].kind == SQ_REPO_ENGINE) {
                printf(" %s", v->files[k].device);
            }
        }
        printf("  %s\n", v->note);
    }
done:
    sq_free(numbers);
    return status;
}

static squall_status list(const request *want, sq_repo *repo, const cli_list *rest,
                          squall_error *err)
{
    char **names = NULL;
    size_t count = 0;
    squall_status status = SQUALL_OK;
    json_t *all = want->json ? json_array() : NULL;
    sq_repo_version *v = sq_alloc(1, sizeof *v);
    if (v == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "model", "no memory");
    }
    SQ_TRY_GOTO(sq_repo_models(repo, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (rest->count < 2 || strcmp(rest->items[1], names[i]) == 0) {
            SQ_TRY_GOTO(list_model(repo, names[i], v, all, err));
        }
    }
    if (all != NULL) {
        (void)!cli_print_json(json_incref(all));
    }
done:
    json_decref(all);
    sq_repo_names_free(&names, count);
    sq_free(v);
    return status;
}

static squall_status show(const request *want, sq_repo *repo, const cli_list *rest,
                          squall_error *err)
{
    int64_t version = 0;
    char path[SQ_REPO_PATH];
    sq_repo_version v;
    SQ_TRY(
        find_version(repo, rest->items[1], rest->count > 2 ? rest->items[2] : NULL, &version, err));
    SQ_TRY(repo->trusted ? sq_repo_verify(repo, rest->items[1], version, &v, err)
                         : sq_repo_read(repo, rest->items[1], version, &v, err));
    SQ_TRY(sq_repo_path(repo, v.name, v.version, "card.json", path, err));
    json_t *card = json_load_file(path, 0, NULL);
    json_t *document = version_json(&v);
    json_object_set_new(document, "card", card != NULL ? card : json_null());
    json_object_set_new(document, "verified", json_boolean(repo->trusted));
    if (want->json) {
        (void)!cli_print_json(document);
        return SQUALL_OK;
    }
    json_decref(document);
    printf("%s/%lld, made %s by squall %s%s%s\nmanifest %s (%s)\n", v.name, (long long)v.version,
           sq_time_format(v.made, (char[SQ_TIME_TEXT]){0}), v.squall, v.note[0] != '\0' ? ": " : "",
           v.note, v.sha256,
           repo->trusted ? "signed, logged, every byte checked" : "not checked: no --roots");
    for (size_t i = 0; i < v.count; i++) {
        printf("  %-11s %-32s %11lld bytes  %.16s...\n", sq_repo_kind_name(v.files[i].kind),
               v.files[i].name, (long long)v.files[i].bytes, v.files[i].sha256);
    }
    return SQUALL_OK;
}

static const sq_repo_file *find_file(const sq_repo_version *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->files[i].name, name) == 0) {
            return &v->files[i];
        }
    }
    return NULL;
}

static squall_status diff(const request *want, sq_repo *repo, const cli_list *rest,
                          squall_error *err)
{
    sq_repo_version *v = sq_alloc(2, sizeof *v);
    int64_t numbers[2];
    squall_status status = SQUALL_OK;
    json_t *changes = json_array();
    if (v == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "model", "no memory");
        goto done;
    }
    for (int k = 0; k < 2; k++) {
        SQ_TRY_GOTO(find_version(repo, rest->items[1], rest->items[2 + k], &numbers[k], err));
        SQ_TRY_GOTO(sq_repo_read(repo, rest->items[1], numbers[k], &v[k], err));
    }
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < v[k].count; i++) {
            const sq_repo_file *file = &v[k].files[i], *other = find_file(&v[1 - k], file->name);
            const char *what = other == NULL ? (k == 0 ? "gone" : "new")
                               : k == 0 && strcmp(file->sha256, other->sha256) != 0 ? "changed"
                                                                                    : NULL;
            if (what != NULL && want->json) {
                json_array_append_new(changes, json_pack("{s:s, s:o}", "what", what, "file",
                                                         cli_text(file->name)));
            } else if (what != NULL) {
                printf("%-8s %s\n", what, file->name);
            }
        }
    }
    if (want->json) {
        (void)!cli_print_json(json_incref(changes));
    }
done:
    json_decref(changes);
    sq_free(v);
    return status;
}

static squall_status verify(const request *want, sq_repo *repo, const cli_list *rest,
                            squall_error *err)
{
    squall_notes *problems = squall_notes_create();
    size_t count = 0;
    (void)rest;
    squall_status status = sq_repo_verify_all(repo, &count, problems, err);
    const size_t found = squall_notes_count(problems);
    if (want->json) {
        (void)!cli_print_json(json_pack("{s:I, s:b, s:o}", "versions", (json_int_t)count, "good",
                                        status == SQUALL_OK && found == 0, "problems",
                                        cli_notes_json(problems)));
    } else {
        for (size_t i = 0; i < found; i++) {
            fprintf(stderr, "squall model: %s\n", squall_notes_get(problems, i));
        }
    }
    squall_notes_destroy(&problems);
    if (status == SQUALL_OK && found > 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, repo->root, "%zu of its things are not as signed",
                       found);
    }
    if (status == SQUALL_OK && !want->json) {
        printf("%zu versions, every byte as signed and logged\n", count);
    }
    return status;
}

static squall_status gc(const request *want, sq_repo *repo, const cli_list *rest, squall_error *err)
{
    sq_repo_gc gone;
    SQ_TRY(sq_repo_collect(repo, rest->count > 1 ? rest->items[1] : NULL, want->keep, want->key,
                           want->dry, &gone, err));
    if (want->json) {
        (void)!cli_print_json(json_pack("{s:I, s:I, s:I, s:I, s:b}", "versions",
                                        (json_int_t)gone.versions, "blobs", (json_int_t)gone.blobs,
                                        "leftovers", (json_int_t)gone.leftovers, "bytes",
                                        (json_int_t)gone.bytes, "dry", want->dry));
    } else {
        printf("%s%zu versions, %zu blobs (%lld bytes), %zu leftovers\n",
               want->dry ? "would go: " : "gone: ", gone.versions, gone.blobs,
               (long long)gone.bytes, gone.leftovers);
    }
    return SQUALL_OK;
}

static const struct {
    const char *name;
    squall_status (*run)(const request *want, sq_repo *repo, const cli_list *rest,
                         squall_error *err);
    size_t least, most; /* arguments behind the verb */
    bool trusts;        /* needs --roots */
} verbs[] = {{"add", add, 1, 1, true},       {"list", list, 0, 1, false},
             {"show", show, 1, 2, false},    {"diff", diff, 3, 3, false},
             {"verify", verify, 0, 0, true}, {"gc", gc, 0, 1, true}};

static int run_verb(const request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    sq_repo repo;
    const char *verb = rest->count > 0 ? rest->items[0] : "";
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const size_t given = rest->count - 1;
        if (strcmp(verbs[i].name, verb) != 0) {
            continue;
        }
        if (want->repository == NULL || given < verbs[i].least || given > verbs[i].most ||
            (verbs[i].trusts && want->roots == NULL) ||
            (i == 0 && (want->model == NULL || want->card == NULL || want->key == NULL))) {
            break;
        }
        if (sq_repo_open(want->repository, want->roots, &repo, &err) != SQUALL_OK) {
            return cli_report("model", &err);
        }
        const squall_status status = verbs[i].run(want, &repo, rest, &err);
        sq_repo_close(&repo);
        return status == SQUALL_OK ? CLI_OK : cli_report("model", &err);
    }
    fprintf(stderr, "squall model: --repo and one of these are needed: add NAME --roots --key "
                    "--model --card; list [NAME]; show NAME [VERSION]; diff NAME A B; verify "
                    "--roots; gc [NAME] --roots\n");
    return CLI_USAGE;
}

static int run(int argc, char **argv)
{
    request want = {.keep = 5};
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "repo",
         .argument = "DIR",
         .text = &want.repository,
         .help = "the model repository (needed)"},
        {.name = "roots",
         .argument = "ROOT.pub",
         .text = &want.roots,
         .help = "root keys: signatures, ledger and every byte are checked"},
        {.name = "key",
         .argument = "TRAIN.key",
         .text = &want.key,
         .help = "add, gc: secret key of role train"},
        {.name = "model",
         .argument = "FILE.onnx",
         .text = &want.model,
         .help = "add: the source model"},
        {.name = "recipe",
         .argument = "FILE",
         .text = &want.recipe,
         .help = "add: its recipe (default: that in the engine)"},
        {.name = "card",
         .argument = "FILE.json",
         .text = &want.card,
         .help = "add: texts 'data' and 'licence', object 'skill'"},
        {.name = "engine",
         .argument = "FILE",
         .list = &want.engines,
         .help = "add: an engine; once for each device"},
        {.name = "report",
         .argument = "FILE",
         .list = &want.reports,
         .help = "add: a file that goes with it"},
        {.name = "note", .argument = "TEXT", .text = &want.note, .help = "add: one line about it"},
        {.name = "keep",
         .argument = "N",
         .number = &want.keep,
         .low = 1,
         .high = 100000,
         .help = "gc: newest versions that stay (default 5)"},
        {.name = "dry-run", .flag = &want.dry, .help = "gc: only say what would go"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_model, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    code = run_verb(&want, &rest);
    cli_list_free(&want.engines);
    cli_list_free(&want.reports);
    cli_list_free(&rest);
    return code;
}

const cli_command cli_model = {
    .name = "model",
    .arguments = "add|list|show|diff|verify|gc [NAME [VERSION...]]",
    .summary = "the model repository: versions with their engines, signed and never changed",
    .details =
        "A version is a folder models/NAME/VERSION with model, recipe, card, an engine for each\n"
        "device and a signed manifest. gc takes versions away but the newest and those that were\n"
        "in service last (with --key), and what nothing needs any more. docs/releases.md.",
    .run = run,
};
