/* cli/cli_keyring.c - squall keyring: who may train, release and operate. */
#include <string.h>

#include "cli/cli.h"
#include "nn/plan/plan.h"
#include "ops/repo/repo.h"

/* What the options said. */
typedef struct request {
    const char *root, *roots, *name, *roles, *key, *reason;
    int64_t from, until, since;
    int32_t approvals;
    bool json;
} request;

/* The ring as it is: signed by one of --roots, or by the root key that will sign it again. */
static squall_status read_ring(const request *want, const char *path, sq_ring *ring,
                               squall_error *err)
{
    unsigned char seed[SQ_SIGN_SEED_BYTES], root[SQ_SIGN_PUBLIC_BYTES], *text = NULL;
    size_t size = 0;
    if (want->roots != NULL) {
        return sq_ring_read(path, want->roots, ring, err);
    }
    SQ_TRY(sq_key_read_secret(want->root, seed, err));
    sq_sign_public(seed, root);
    sq_sign_forget(seed, sizeof seed);
    SQ_TRY(sq_file_read(path, SQ_LIMIT_RECIPE, &text, &size, err));
    const squall_status status = sq_ring_parse((const char *)text, size, path, root, 1, ring, err);
    sq_free(text);
    return status;
}

static squall_status init(const request *want, const char *folder, const char *path,
                          squall_error *err)
{
    char made[SQ_REPO_PATH + 16];
    sq_ring ring = {.approvals = want->approvals};
    static const char *const parts[] = {"models", "blobs", "trust"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(made, sizeof made, "%.1000s/%s", folder, parts[i]);
        SQ_TRY(sq_folder_make(made, err));
    }
    sq_mapping there = {0};
    if (sq_file_map(path, SQ_LIMIT_RECIPE, &there, NULL) == SQUALL_OK) {
        sq_file_unmap(&there);
        return sq_fail(err, SQUALL_E_ARGUMENT, path, "is there already; it is not overwritten");
    }
    return sq_ring_write(&ring, path, want->root, err);
}

static squall_status add(const request *want, sq_ring *ring, squall_error *err)
{
    unsigned char *keys = NULL;
    size_t count = 0;
    sq_ring_key key = {.roles = sq_trust_roles_parse(want->roles),
                       .from = want->from != SQUALL_TIME_NONE ? want->from : sq_time_now(),
                       .until = want->until,
                       .revoked = SQ_TIME_NONE};
    SQ_TRY(sq_trust_roots(want->key, &keys, &count, err));
    memcpy(key.key, keys, sizeof key.key);
    sq_free(keys);
    if (count != 1) {
        return sq_fail(err, SQUALL_E_ARGUMENT, want->key, "holds %zu keys; one is added at a time",
                       count);
    }
    snprintf(key.name, sizeof key.name, "%s", want->name);
    return sq_ring_add(ring, &key, err);
}

static json_t *ring_json(const sq_ring *ring)
{
    json_t *keys = json_array();
    char hex[2 * SQ_SIGN_PUBLIC_BYTES + 1];
    for (size_t i = 0; i < ring->count; i++) {
        const sq_ring_key *key = &ring->keys[i];
        json_t *roles = json_array();
        static const char *const names[] = {"train", "release", "operate"};
        for (unsigned r = 0; r < 3; r++) {
            if ((key->roles >> r & 1u) != 0) {
                json_array_append_new(roles, json_string(names[r]));
            }
        }
        json_array_append_new(
            keys, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "name", cli_text(key->name),
                            "key", sq_hex_format(key->key, sizeof key->key, hex), "roles", roles,
                            "from", cli_time(key->from), "until", cli_time(key->until), "revoked",
                            cli_time(key->revoked), "reason", cli_text(key->reason)));
    }
    return json_pack("{s:I, s:o, s:i, s:o}", "serial", (json_int_t)ring->serial, "made",
                     cli_time(ring->made), "approvals", (int)ring->approvals, "keys", keys);
}

static int show(const request *want, const sq_ring *ring)
{
    if (want->json) {
        return cli_print_json(ring_json(ring));
    }
    char text[SQ_TIME_TEXT], hex[2 * SQ_SIGN_PUBLIC_BYTES + 1];
    printf("keyring %lld, made %s; a release needs %d approval%s\n", (long long)ring->serial,
           sq_time_format(ring->made, text), (int)ring->approvals, ring->approvals > 1 ? "s" : "");
    for (size_t i = 0; i < ring->count; i++) {
        const sq_ring_key *key = &ring->keys[i];
        printf("  %-16s %.16s... %s%s%s", key->name, sq_hex_format(key->key, sizeof key->key, hex),
               (key->roles & SQ_TRUST_TRAIN) != 0 ? "train " : "",
               (key->roles & SQ_TRUST_RELEASE) != 0 ? "release " : "",
               (key->roles & SQ_TRUST_OPERATE) != 0 ? "operate " : "");
        if (key->until != SQ_TIME_NONE) {
            printf("until %s ", sq_time_format(key->until, text));
        }
        if (key->revoked != SQ_TIME_NONE) {
            printf("REVOKED since %s: %s", sq_time_format(key->revoked, text), key->reason);
        }
        putchar('\n');
    }
    return CLI_OK;
}

/* The verbs that change a ring that is there; the exit code. */
static int change(const request *want, const char *verb, const char *path)
{
    squall_error err = {.code = SQUALL_OK};
    sq_ring ring = {0};
    squall_status status = read_ring(want, path, &ring, &err);
    if (status == SQUALL_OK && strcmp(verb, "add") == 0) {
        status = add(want, &ring, &err);
    } else if (status == SQUALL_OK && strcmp(verb, "revoke") == 0) {
        status = sq_ring_revoke(&ring, want->name,
                                want->since != SQUALL_TIME_NONE ? want->since : sq_time_now(),
                                want->reason, &err);
    }
    if (status == SQUALL_OK && strcmp(verb, "show") != 0) {
        ring.approvals = want->approvals > 0 ? want->approvals : ring.approvals;
        status = sq_ring_write(&ring, path, want->root, &err);
    }
    const int code = status == SQUALL_OK ? show(want, &ring) : cli_report("keyring", &err);
    sq_ring_free(&ring);
    return code;
}

static int wrong(const char *what)
{
    fprintf(stderr, "squall keyring: %s\n", what);
    return CLI_USAGE;
}

static int run_verb(request *want, const char *verb, const char *folder)
{
    squall_error err = {.code = SQUALL_OK};
    char path[SQ_REPO_PATH];
    const bool shows = strcmp(verb, "show") == 0, adds = strcmp(verb, "add") == 0;
    snprintf(path, sizeof path, "%.900s/trust/keyring", folder);
    if (shows ? want->roots == NULL : want->root == NULL) {
        return wrong(shows ? "show needs --roots" : "init, add, revoke and sign need --root");
    }
    if (strcmp(verb, "init") == 0) {
        want->approvals = want->approvals > 0 ? want->approvals : 1;
        if (init(want, folder, path, &err) != SQUALL_OK) {
            return cli_report("keyring", &err);
        }
        return change(want, "show", path);
    }
    if (adds && (want->name == NULL || want->key == NULL || want->roles == NULL)) {
        return wrong("add needs --name, --roles and --key");
    }
    if (adds && sq_trust_roles_parse(want->roles) == 0) {
        return wrong("--roles takes train, release, operate, with commas");
    }
    if (strcmp(verb, "revoke") == 0 && want->name == NULL) {
        return wrong("revoke needs --name");
    }
    if (!shows && !adds && strcmp(verb, "revoke") != 0 && strcmp(verb, "sign") != 0) {
        return wrong("the verbs are init, add, revoke, sign, show");
    }
    return change(want, verb, path);
}

static int run(int argc, char **argv)
{
    request want = {.from = SQUALL_TIME_NONE,
                    .until = SQUALL_TIME_NONE,
                    .since = SQUALL_TIME_NONE,
                    .reason = "no reason given"};
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "root",
         .argument = "ROOT.key",
         .text = &want.root,
         .help = "secret root key, which signs the ring"},
        {.name = "roots",
         .argument = "ROOT.pub",
         .text = &want.roots,
         .help = "root keys that the ring may be signed by until now"},
        {.name = "name", .argument = "NAME", .text = &want.name, .help = "add, revoke: whose key"},
        {.name = "roles",
         .argument = "ROLE,...",
         .text = &want.roles,
         .help = "add: train, release, operate"},
        {.name = "key",
         .argument = "KEY.pub",
         .text = &want.key,
         .help = "add: the public key; one of that name is closed"},
        {.name = "from",
         .argument = "TIME",
         .time = &want.from,
         .help = "add: valid from (default: now)"},
        {.name = "until",
         .argument = "TIME",
         .time = &want.until,
         .help = "add: valid until (default: always)"},
        {.name = "since",
         .argument = "TIME",
         .time = &want.since,
         .help = "revoke: what it signed since then is void (default: now)"},
        {.name = "reason", .argument = "TEXT", .text = &want.reason, .help = "revoke: why"},
        {.name = "approvals",
         .argument = "N",
         .number = &want.approvals,
         .low = 1,
         .high = 2,
         .help = "people who must approve a release (default 1)"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_keyring, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    code = rest.count == 2 ? run_verb(&want, rest.items[0], rest.items[1])
                           : wrong("a verb and a repository are needed");
    cli_list_free(&rest);
    return code;
}

const cli_command cli_keyring = {
    .name = "keyring",
    .arguments = "init|add|revoke|sign|show REPOSITORY",
    .summary = "who may train, release and operate: the keyring of a model repository",
    .details =
        "init makes an empty repository. add takes a key in; one of the same name is closed: that\n"
        "is a rotation. revoke takes one out. sign signs the ring by another root key. Each of "
        "them\n"
        "signs the whole ring anew, with the next serial number. docs/releases.md explains it.",
    .run = run,
};
