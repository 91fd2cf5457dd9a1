/* cli/cli_refit.c - squall refit: new weights into an engine that keeps its tactics. */
#include "cli/cli.h"
#include "squall/compile.h"

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    squall_build_report report;
    const char *out = NULL;
    bool json = false;
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "out",
         .argument = "FILE",
         .text = &out,
         .help = "the new engine (default: in the place of the old one)"},
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_refit, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    squall_notes *notes = squall_notes_create();
    if (paths.count != 2) {
        fprintf(stderr, "squall refit: an engine and a model are needed\n");
        code = CLI_USAGE;
    } else if (squall_refit(paths.items[0], paths.items[1], out != NULL ? out : paths.items[0],
                            &report, notes, &err) != SQUALL_OK) {
        cli_print_notes("refit", notes);
        code = cli_report("refit", &err);
    } else if (json) {
        code = cli_print_json(json_pack("{s:o, s:f, s:I, s:I}", "engine",
                                        cli_text(out != NULL ? out : paths.items[0]), "seconds",
                                        report.seconds, "file_bytes", (json_int_t)report.file_bytes,
                                        "steps", (json_int_t)report.steps_out));
    } else {
        printf("%s: %u steps keep their tactics, new weights in %.2f s; sign it again if it must "
               "be signed\n",
               out != NULL ? out : paths.items[0], report.steps_out, report.seconds);
    }
    squall_notes_destroy(&notes);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_refit = {
    .name = "refit",
    .arguments = "ENGINE MODEL.onnx",
    .summary = "put new weights of the same graph into an engine, without tuning again",
    .details = "Refused, with the first step that differs, when the model has another graph.",
    .run = run,
};
