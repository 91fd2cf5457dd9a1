/* cli/cli_compare.c - squall compare: how far an engine is from its model, layer by layer. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_engine.h"
#include "cli/cli_npy.h"
#include "squall/compare.h"

enum { MAX_INPUTS = 16 };

/* What was asked for on the command line. */
typedef struct request {
    const char *data;
    cli_list inputs;
    int32_t threads;
    double min_psnr_db;
    bool layers, json;
    cli_engine open;
} request;

/* Read one sample's tensors and add it; `paths` has one file for each input of the engine. */
static squall_status add_sample(squall_comparison *comparison, char **paths, size_t count,
                                squall_error *err)
{
    squall_tensor inputs[MAX_INPUTS];
    squall_status status = SQUALL_OK;
    memset(inputs, 0, sizeof inputs);
    for (size_t i = 0; i < count && status == SQUALL_OK; i++) {
        status = cli_npy_read(paths[i], &inputs[i], err);
    }
    if (status == SQUALL_OK) {
        status = squall_comparison_add(comparison, inputs, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        sq_free(inputs[i].data);
    }
    return status;
}

static int is_npy(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".npy") == 0;
}

/* The files of one sample: the one that `entry` names, and beside it one for each other input,
 * which are called SAMPLE.INPUT.npy. False when `entry` is not that of the first input. */
static bool name_sample(const char *folder, const char *entry, const squall_engine *engine,
                        size_t count, char **paths, squall_error *err)
{
    const char *first;
    char suffix[160];
    if (count == 1) {
        return asprintf(&paths[0], "%s/%s", folder, entry) > 0;
    }
    if (squall_engine_input(engine, 0, 0, &first, NULL, err) != SQUALL_OK) {
        return false;
    }
    const int length = snprintf(suffix, sizeof suffix, ".%.140s.npy", first);
    const size_t whole = strlen(entry);
    if (whole <= (size_t)length || strcmp(entry + whole - (size_t)length, suffix) != 0) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        if (squall_engine_input(engine, 0, i, &name, NULL, err) != SQUALL_OK ||
            asprintf(&paths[i], "%s/%.*s.%s.npy", folder, (int)(whole - (size_t)length), entry,
                     name) < 0) {
            return false;
        }
    }
    return true;
}

/* Every sample of a folder, by name. */
static squall_status add_folder(squall_comparison *comparison, const squall_engine *engine,
                                const char *folder, size_t count, squall_error *err)
{
    struct dirent **entries = NULL;
    const int found = scandir(folder, &entries, is_npy, alphasort);
    squall_status status = SQUALL_OK;
    size_t samples = 0;
    for (int k = 0; k < found && status == SQUALL_OK; k++) {
        char *paths[MAX_INPUTS] = {NULL};
        if (name_sample(folder, entries[k]->d_name, engine, count, paths, err)) {
            status = add_sample(comparison, paths, count, err);
            samples++;
            cli_progress("compare", (size_t)k + 1, (size_t)found);
        }
        for (size_t i = 0; i < count; i++) {
            free(paths[i]);
        }
    }
    for (int k = 0; k < found; k++) {
        free(entries[k]);
    }
    free(entries);
    if (status == SQUALL_OK && samples == 0) {
        status = sq_fail(err, SQUALL_E_NO_DATA, folder, "holds no sample: SAMPLE.npy%s are needed",
                         count > 1 ? " for one input, or SAMPLE.INPUT.npy for each" : " files");
    }
    return status;
}

static json_t *outputs_json(const squall_comparison *comparison)
{
    json_t *list = json_array();
    squall_output_error one;
    squall_error err;
    for (size_t i = 0; squall_comparison_output(comparison, i, &one, &err) == SQUALL_OK; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:o}", "name", cli_text(one.name),
                                        "psnr_db", cli_real(one.psnr_db), "max_abs",
                                        cli_real(one.max_abs), "relative", cli_real(one.relative)));
    }
    return list;
}

static json_t *layers_json(const squall_comparison *comparison)
{
    json_t *list = json_array();
    squall_layer_error one;
    squall_error err;
    for (size_t i = 0; squall_comparison_layer(comparison, i, &one, &err) == SQUALL_OK; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", cli_text(one.name),
                                        "op", one.op, "tactic", cli_text(one.tactic), "snr_db",
                                        cli_real(one.snr_db), "loss_db", cli_real(one.loss_db)));
    }
    return list;
}

/* The layer that loses most; false when none was compared. */
static bool find_worst(const squall_comparison *comparison, squall_layer_error *worst)
{
    squall_layer_error one;
    squall_error err;
    bool found = false;
    for (size_t i = 0; squall_comparison_layer(comparison, i, &one, &err) == SQUALL_OK; i++) {
        if (!found || one.loss_db > worst->loss_db) {
            *worst = one;
            found = true;
        }
    }
    return found;
}

static void print_layers(const squall_comparison *comparison)
{
    squall_layer_error one;
    squall_error err;
    printf("\n  %9s %9s  %-18s %-30s %s\n", "SNR dB", "loss dB", "op", "tactic", "name");
    for (size_t i = 0; squall_comparison_layer(comparison, i, &one, &err) == SQUALL_OK; i++) {
        printf("  %9.1f %9.1f  %-18s %-30s %s\n", one.snr_db, one.loss_db, one.op, one.tactic,
               one.name);
    }
}

/* Prints what was found; the exit code. */
static int report(const request *want, const squall_comparison *comparison)
{
    squall_output_error one;
    squall_layer_error worst = {.name = NULL};
    squall_error err;
    double least = INFINITY;
    const bool layered = find_worst(comparison, &worst);
    for (size_t i = 0; squall_comparison_output(comparison, i, &one, &err) == SQUALL_OK; i++) {
        least = one.psnr_db < least || isnan(one.psnr_db) ? one.psnr_db : least;
        if (!want->json) {
            printf("%s: PSNR %.1f dB, worst difference %.3g, relative error %.3g\n", one.name,
                   one.psnr_db, one.max_abs, one.relative);
        }
    }
    const bool good = least >= want->min_psnr_db;
    int code = CLI_OK;
    if (want->json) {
        code = cli_print_json(json_pack("{s:o, s:o, s:o, s:o, s:b}", "outputs",
                                        outputs_json(comparison), "layers", layers_json(comparison),
                                        "worst_layer", layered ? cli_text(worst.name) : json_null(),
                                        "psnr_db", cli_real(least), "good", good));
    } else {
        if (layered) {
            printf("the layer that loses most: %s (%s, %s), %.1f dB, to %.1f dB\n", worst.name,
                   worst.op, worst.tactic, worst.loss_db, worst.snr_db);
        }
        if (want->layers) {
            print_layers(comparison);
        }
    }
    if (!good) {
        fprintf(stderr, "squall compare: PSNR %.2f dB is below the %.2f dB asked for\n", least,
                want->min_psnr_db);
    }
    return good ? code : CLI_FAILED;
}

static squall_status compare(const request *want, const char *model, const char *path,
                             squall_engine **engine, squall_comparison **comparison,
                             squall_notes *notes, squall_error *err)
{
    SQ_TRY(cli_engine_open(&want->open, path, engine, notes, err));
    SQ_TRY(squall_comparison_create(model, *engine, want->threads, comparison, notes, err));
    const size_t count = squall_engine_input_count(*engine);
    if (count > MAX_INPUTS) {
        return sq_fail(err, SQUALL_E_LIMIT, path, "has %zu inputs; at most %d are compared", count,
                       MAX_INPUTS);
    }
    if (want->data != NULL) {
        return add_folder(*comparison, *engine, want->data, count, err);
    }
    if (want->inputs.count != count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--input", "%zu files; the engine has %zu inputs",
                       want->inputs.count, count);
    }
    char *paths[MAX_INPUTS];
    for (size_t i = 0; i < count; i++) {
        paths[i] = (char *)(uintptr_t)want->inputs.items[i];
    }
    return add_sample(*comparison, paths, count, err);
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    squall_engine *engine = NULL;
    squall_comparison *comparison = NULL;
    request want = {.min_psnr_db = -INFINITY};
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "input",
         .argument = "FILE.npy",
         .list = &want.inputs,
         .help = "input tensor; once for each input"},
        {.name = "data",
         .argument = "DIR",
         .text = &want.data,
         .help = "every .npy of a folder is a sample (SAMPLE.INPUT.npy for several inputs)"},
        {.name = "min-psnr",
         .argument = "DB",
         .real = &want.min_psnr_db,
         .help = "fail when an output is worse than this"},
        {.name = "layers", .flag = &want.layers, .help = "every layer, not the worst alone"},
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        CLI_ENGINE_OPTIONS(want.open),
        {.name = "json", .flag = &want.json, .help = "print JSON, with all layers"},
    };
    if (!cli_parse(&cli_compare, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    squall_notes *notes = squall_notes_create();
    if (paths.count != 2 || (want.data == NULL) == (want.inputs.count == 0)) {
        fprintf(stderr,
                "squall compare: a model, an engine, and either --data or --input are needed\n");
        code = CLI_USAGE;
    } else if (compare(&want, paths.items[0], paths.items[1], &engine, &comparison, notes, &err) !=
               SQUALL_OK) {
        cli_print_notes("compare", notes);
        code = cli_report("compare", &err);
    } else {
        cli_print_notes("compare", notes);
        code = report(&want, comparison);
    }
    squall_comparison_destroy(&comparison);
    squall_engine_close(&engine);
    squall_notes_destroy(&notes);
    cli_list_free(&want.inputs);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_compare = {
    .name = "compare",
    .arguments = "MODEL.onnx ENGINE",
    .summary = "how far an engine is from its model, output by output and layer by layer",
    .details = "The model is run as it was written, in plain C. A layer's loss is how much more\n"
               "noise it gives than the noisiest of its inputs had.",
    .run = run,
};
