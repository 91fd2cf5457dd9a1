/* cli/cli_inspect.c - squall inspect: what an engine file holds. */
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_engine.h"

static json_t *tensor_json(const char *name, const squall_tensor *type)
{
    json_t *dims = json_array();
    for (uint32_t i = 0; i < type->rank; i++) {
        json_array_append_new(dims, json_integer(type->dims[i]));
    }
    return json_pack("{s:o, s:s, s:o}", "name", cli_text(name), "type",
                     squall_dtype_name(type->dtype), "shape", dims);
}

/* Everything as one document; the text form is printed from it, so both say the same. */
static squall_status describe(squall_engine *engine, json_t *out, squall_error *err)
{
    static const char *const keys[] = {"model", "model_sha256", "squall_version", "isa"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text = squall_engine_text(engine, keys[i]);
        json_object_set_new(out, keys[i], cli_text(text));
    }
    json_t *profiles = json_array();
    json_object_set_new(out, "profiles", profiles);
    for (size_t p = 0; p < squall_engine_profile_count(engine); p++) {
        squall_profile_info info;
        json_t *inputs = json_array(), *outputs = json_array();
        const char *name;
        squall_tensor type;
        json_t *profile = json_pack("{s:o, s:o}", "inputs", inputs, "outputs", outputs);
        json_array_append_new(profiles, profile);
        SQ_TRY(squall_engine_profile(engine, p, &info, err));
        for (size_t i = 0; i < squall_engine_input_count(engine); i++) {
            SQ_TRY(squall_engine_input(engine, p, i, &name, &type, err));
            json_array_append_new(inputs, tensor_json(name, &type));
        }
        for (size_t i = 0; i < squall_engine_output_count(engine); i++) {
            SQ_TRY(squall_engine_output(engine, p, i, &name, &type, err));
            json_array_append_new(outputs, tensor_json(name, &type));
        }
        json_object_set_new(profile, "backend", json_string(info.backend));
        json_object_set_new(profile, "steps", json_integer(info.step_count));
        json_object_set_new(profile, "macs", json_integer((json_int_t)info.macs));
        json_object_set_new(profile, "arena_bytes", json_integer((json_int_t)info.arena_bytes));
        json_object_set_new(profile, "arena_bound_bytes",
                            json_integer((json_int_t)info.arena_bound_bytes));
    }
    const char *recipe = squall_engine_recipe(engine);
    json_t *parsed = recipe != NULL ? json_loads(recipe, 0, NULL) : NULL;
    json_object_set_new(out, "recipe", parsed != NULL ? parsed : json_null());
    return SQUALL_OK;
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    cli_engine how = {.keys = NULL};
    bool json = false;
    cli_list paths;
    int code;
    const cli_option options[] = {
        CLI_ENGINE_OPTIONS(how),
        {.name = "json", .flag = &json, .help = "without the notes on stderr"},
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
    json_t *document = json_object();
    if (cli_engine_open(&how, paths.items[0], &engine, notes, &err) != SQUALL_OK ||
        describe(engine, document, &err) != SQUALL_OK) {
        code = cli_report("inspect", &err);
        json_decref(document);
    } else {
        if (!json) {
            cli_print_notes("inspect", notes);
        }
        code = cli_print_json(document);
    }
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_inspect = {
    .name = "inspect",
    .arguments = "ENGINE",
    .summary = "show what an engine file holds, as JSON",
    .details = "Model, version and instruction set it was built with, the recipe, and for each "
               "profile the\n"
               "inputs, outputs, steps, memory and work.",
    .run = run,
};
