/* cli/cli_tactics.c - squall tactics: files of measured times put together. */
#include <string.h>

#include "cli/cli.h"
#include "squall/compile.h"

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    const char *out = NULL;
    bool json = false;
    size_t total = 0;
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "out",
         .argument = "FILE",
         .text = &out,
         .help = "where they go; may be one of them (needed)"},
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_tactics, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    if (paths.count < 1 || out == NULL) {
        fprintf(stderr, "squall tactics: at least one file and --out are needed\n");
        code = CLI_USAGE;
    } else if (squall_tactics_merge(paths.items, paths.count, out, &total, &err) != SQUALL_OK) {
        code = cli_report("tactics", &err);
    } else if (json) {
        code = cli_print_json(
            json_pack("{s:o, s:I}", "out", cli_text(out), "times", (json_int_t)total));
    } else {
        printf("%s: %zu times\n", out, total);
    }
    cli_list_free(&paths);
    return code;
}

const cli_command cli_tactics = {
    .name = "tactics",
    .arguments = "FILE...",
    .summary = "put files of measured times together",
    .details =
        "squall build --tune-seconds S --tactics FILE makes such a file, and --tactics FILE uses\n"
        "one. A time holds for one processor, number of threads and build of squall; a file may\n"
        "hold those of many. Of two times for the same thing the shorter stays.",
    .run = run,
};
