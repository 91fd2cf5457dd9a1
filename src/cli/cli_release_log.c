/* cli/cli_release_log.c - squall release log and approve: the ledger, without a service. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_release.h"

static json_t *entry_json(const sq_repo *repo, const sq_ledger_entry *entry)
{
    const sq_ring_key *key = NULL;
    char hex[SQ_HASH_TEXT];
    for (size_t i = 0; i < repo->ring.count; i++) {
        key = memcmp(repo->ring.keys[i].key, entry->key, sizeof entry->key) == 0
                  ? &repo->ring.keys[i]
                  : key;
    }
    return json_pack("{s:I, s:o, s:s, s:o, s:I, s:s, s:o, s:o, s:s, s:b}", "sequence",
                     (json_int_t)entry->sequence, "time", cli_time(entry->time), "what",
                     entry->what, "name", cli_text(entry->name), "version",
                     (json_int_t)entry->version, "manifest_sha256", entry->manifest, "note",
                     cli_text(entry->note), "by", cli_text(key != NULL ? key->name : NULL), "hash",
                     sq_hash_format(entry->hash, hex), "void", entry->is_void);
}

static int print_ledger(const cli_release_request *want, const sq_repo *repo, bool lines)
{
    const sq_ledger *ledger = &repo->ledger;
    char time[SQ_TIME_TEXT], hex[SQ_HASH_TEXT] = "none";
    size_t voids = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < ledger->count; i++) {
        const sq_ledger_entry *e = &ledger->entries[i];
        voids += e->is_void ? 1 : 0;
        if (want->json) {
            json_array_append_new(list, entry_json(repo, e));
        } else if (lines) {
            printf("%5lld  %s  %-8s %s/%lld  %s%s\n", (long long)e->sequence,
                   sq_time_format(e->time, time), e->what, e->name, (long long)e->version, e->note,
                   e->is_void ? "  VOID: its key is revoked" : "");
        }
    }
    if (ledger->count > 0) {
        sq_hash_format(ledger->entries[ledger->count - 1].hash, hex);
    }
    if (want->json) {
        return cli_print_json(json_pack("{s:I, s:I, s:s, s:o}", "lines", (json_int_t)ledger->count,
                                        "void", (json_int_t)voids, "head", hex, "entries", list));
    }
    json_decref(list);
    printf("%zu lines, each chained and signed (%zu void); head %s\n", ledger->count, voids, hex);
    return CLI_OK;
}

static int run_log(const cli_release_request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    unsigned char head[SQ_HASH_BYTES];
    sq_repo repo;
    const char *verb = rest->count > 1 ? rest->items[1] : "show";
    const bool shows = strcmp(verb, "show") == 0;
    if (want->repository == NULL || want->roots == NULL || rest->count > 2 ||
        (!shows && strcmp(verb, "verify") != 0) ||
        (want->head != NULL && !sq_hex_parse(want->head, head, sizeof head))) {
        fprintf(stderr, "squall release: log show|verify needs --repo and --roots; --head takes 64 "
                        "hexadecimal digits\n");
        return CLI_USAGE;
    }
    if (sq_repo_open(want->repository, want->roots, &repo, &err) != SQUALL_OK) {
        return cli_report("release", &err);
    }
    int code;
    if (want->head != NULL && !sq_ledger_has(&repo.ledger, head)) {
        sq_fail_record(&err, SQUALL_E_CORRUPT, repo.ledger_path,
                       "has no line %.16s..., which it had: it lost its end, or is another one",
                       want->head);
        code = cli_report("release", &err);
    } else {
        code = print_ledger(want, &repo, shows);
    }
    sq_repo_close(&repo);
    return code;
}

static squall_status approve(const cli_release_request *want, sq_repo *repo, const char *name,
                             const char *text, squall_error *err)
{
    sq_repo_version version;
    char *end;
    const int64_t number = strtoll(text, &end, 10);
    if (*end != '\0' || number < 1) {
        return sq_fail(err, SQUALL_E_ARGUMENT, name, "'%.40s' is no version", text);
    }
    SQ_TRY(sq_repo_verify(repo, name, number, &version, err));
    SQ_TRY(sq_repo_log(repo, want->key, "approve", name, number, version.sha256, want->note, err));
    const size_t have =
        sq_ledger_approvals(&repo->ledger, &repo->ring, name, number, version.sha256);
    if (want->json) {
        (void)!cli_print_json(json_pack("{s:o, s:I, s:I, s:i}", "name", cli_text(name), "version",
                                        (json_int_t)number, "approvals", (json_int_t)have, "needed",
                                        (int)repo->ring.approvals));
    } else {
        printf("%s/%lld: %zu of %d approvals\n", name, (long long)number, have,
               (int)repo->ring.approvals);
    }
    return SQUALL_OK;
}

static int run_approve(const cli_release_request *want, const cli_list *rest)
{
    squall_error err = {.code = SQUALL_OK};
    sq_repo repo;
    if (want->repository == NULL || want->roots == NULL || want->key == NULL || rest->count != 3) {
        fprintf(stderr, "squall release: approve NAME VERSION needs --repo, --roots and --key\n");
        return CLI_USAGE;
    }
    if (sq_repo_open(want->repository, want->roots, &repo, &err) != SQUALL_OK) {
        return cli_report("release", &err);
    }
    const squall_status status = approve(want, &repo, rest->items[1], rest->items[2], &err);
    sq_repo_close(&repo);
    return status == SQUALL_OK ? CLI_OK : cli_report("release", &err);
}

int cli_release_offline(const cli_release_request *want, const cli_list *rest)
{
    const char *verb = rest->count > 0 ? rest->items[0] : "";
    return strcmp(verb, "log") == 0       ? run_log(want, rest)
           : strcmp(verb, "approve") == 0 ? run_approve(want, rest)
                                          : -1;
}
