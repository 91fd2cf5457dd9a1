/* cli/cli_release.c - squall release: a version on its way into service. */
#include <string.h>

#include "cli/cli_release.h"

static int run(int argc, char **argv)
{
    cli_release_request want = {.note = ""};
    cli_list rest;
    int code;
    const cli_option options[] = {
        {.name = "repo",
         .argument = "DIR",
         .text = &want.repository,
         .help = "log, approve: the model repository"},
        {.name = "roots",
         .argument = "ROOT.pub",
         .text = &want.roots,
         .help = "log, approve: root keys that are trusted"},
        {.name = "key",
         .argument = "RELEASE.key",
         .text = &want.key,
         .help = "approve: secret key of role release"},
        {.name = "head",
         .argument = "HASH",
         .text = &want.head,
         .help = "log verify: a line that it must have, as an earlier head said"},
        {.name = "note",
         .argument = "TEXT",
         .text = &want.note,
         .help = "approve, abort: one line about why"},
        {.name = "socket",
         .argument = "PATH",
         .text = &want.socket,
         .help = "Unix socket of the service (its listen = unix:PATH)"},
        {.name = "steps",
         .argument = "STEP,...",
         .text = &want.steps,
         .help =
             "start: shadow:CYCLES, regions:A+B:CYCLES, weight:PERCENT:CYCLES, pause[:SECONDS]"},
        {.name = "full",
         .flag = &want.full,
         .help = "promote: into service at once, past all steps"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_release, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    code = cli_release_offline(&want, &rest);
    if (code < 0) {
        static const char *const verbs[] = {"start", "status", "pause",  "promote",
                                            "abort", "undo",   "history"};
        for (size_t i = 0; i < sizeof verbs / sizeof verbs[0] && rest.count > 0; i++) {
            code = strcmp(verbs[i], rest.items[0]) == 0 ? cli_release_online(&want, &rest) : code;
        }
    }
    if (code < 0) {
        fprintf(stderr, "squall release: the verbs are start, status, pause, promote, abort, undo, "
                        "history, approve, log show, log verify\n");
        code = CLI_USAGE;
    }
    cli_list_free(&rest);
    return code;
}

const cli_command cli_release = {
    .name = "release",
    .arguments = "VERB [ENGINE [VERSION]]",
    .summary = "bring a version into service: on trial, judged, promoted or rolled back",
    .details =
        "start ENGINE [VERSION], status [ENGINE], pause, promote, abort ENGINE, undo ENGINE\n"
        "[VERSION] and history [ENGINE] are asked of a service on its --socket.\n"
        "approve NAME VERSION and log show|verify work on the repository alone.\n"
        "log verify holds every line of the ledger against its hash, its key and the line\n"
        "before it, without any service. docs/releases.md.",
    .run = run,
};
