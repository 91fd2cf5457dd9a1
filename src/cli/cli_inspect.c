/* cli/cli_inspect.c - squall inspect: what an engine file holds. */
#include "cli/cli_inspect.h"

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    cli_engine how = {.keys = NULL};
    bool json = false, layers = false, memory = false;
    const char *html = NULL;
    json_t *document = NULL;
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "layers",
         .flag = &layers,
         .help = "every step with its tactic, and the tactics that lost"},
        {.name = "memory", .flag = &memory, .help = "what lies where in the arena"},
        {.name = "html",
         .argument = "FILE",
         .text = &html,
         .help = "write all of it as a page that needs nothing beside it"},
        CLI_ENGINE_OPTIONS(how),
        {.name = "json", .flag = &json, .help = "print all of it as JSON"},
    };
    if (!cli_parse(&cli_inspect, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    if (paths.count != 1) {
        fprintf(stderr, "squall inspect: name one engine file\n");
        cli_list_free(&paths);
        return CLI_USAGE;
    }
    squall_notes *notes = squall_notes_create();
    if (cli_inspect_describe(paths.items[0], &how, &document, notes, &err) != SQUALL_OK ||
        (html != NULL && cli_inspect_html(document, html, &err) != SQUALL_OK)) {
        code = cli_report("inspect", &err);
    } else if (json) {
        json_object_set_new(document, "notes", cli_notes_json(notes));
        code = cli_print_json(json_incref(document));
    } else {
        cli_print_notes("inspect", notes);
        cli_inspect_print(document, layers, memory);
    }
    json_decref(document);
    squall_notes_destroy(&notes);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .arguments = "ENGINE",
    .summary = "show what an engine file holds",
    .details = "Header, sections, provenance, profiles, memory, recipe, and how int8 was "
               "calibrated; with\n"
               "options every layer,\n"
               "what lost against its tactic, and the memory map; as text, JSON or an HTML page.",
    .run = run,
};
