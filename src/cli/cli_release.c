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
         .help = "approve: one line for the ledger"},
        {.name = "json", .flag = &want.json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_release, options, sizeof options / sizeof options[0], argc, argv, &rest,
                   &code)) {
        return code;
    }
    code = cli_release_offline(&want, &rest);
    if (code < 0) {
        fprintf(stderr, "squall release: the verbs are log show, log verify, approve\n");
        code = CLI_USAGE;
    }
    cli_list_free(&rest);
    return code;
}

const cli_command cli_release = {
    .name = "release",
    .arguments = "log show|log verify|approve NAME VERSION",
    .summary = "approve versions for release; the signed ledger of all that was done",
    .details = "log verify holds every line of the ledger against its hash, its key and the line\n"
               "before it, without any service. docs/releases.md.",
    .run = run,
};
