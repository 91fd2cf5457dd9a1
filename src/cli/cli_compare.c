/* cli/cli_compare.c - squall compare: how far an engine is from its model, layer by layer. */
#include <math.h>
#include <string.h>

#include "cli/cli_compare.h"

static json_t *outputs_json(const squall_comparison *comparison, squall_compared which)
{
    json_t *list = json_array();
    squall_output_error one;
    squall_error err;
    for (size_t i = 0; squall_comparison_output(comparison, which, i, &one, &err) == SQUALL_OK;
         i++) {
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

/* What is held against what, in the words of the text and the keys of the JSON. */
static const struct {
    squall_compared which;
    const char *words, *key;
} pairs[] = {
    {SQUALL_COMPARED_ENGINE, "engine against the model", "outputs"},
    {SQUALL_COMPARED_ENGINE_ELSEWHERE, "engine against the reference file", "engine_to_reference"},
    {SQUALL_COMPARED_MODEL, "model against the reference file", "model_to_reference"},
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

/* Print a line for each output; the least PSNR that the engine has in them. */
static double look_at_outputs(const cli_comparing *c)
{
    squall_output_error one;
    squall_error err;
    double least = INFINITY;
    for (size_t p = 0; p < PAIRS; p++) {
        for (size_t i = 0;
             squall_comparison_output(c->comparison, pairs[p].which, i, &one, &err) == SQUALL_OK;
             i++) {
            const bool counts = pairs[p].which != SQUALL_COMPARED_MODEL;
            least = counts && !(one.psnr_db >= least) ? one.psnr_db : least;
            if (!c->want->json) {
                printf("%s, %s: PSNR %.1f dB, worst difference %.3g, relative error %.3g\n",
                       one.name, pairs[p].words, one.psnr_db, one.max_abs, one.relative);
            }
        }
    }
    return least;
}

static int print_report_json(const cli_comparing *c, const char *worst, double least, bool good)
{
    json_t *document =
        json_pack("{s:I, s:o, s:o, s:o, s:b, s:o}", "samples", (json_int_t)c->samples, "layers",
                  layers_json(c->comparison), "worst_layer", cli_text(worst), "psnr_db",
                  cli_real(least), "good", good, "notes", cli_notes_json(c->notes));
    for (size_t p = 0; p < PAIRS; p++) {
        json_t *outputs = outputs_json(c->comparison, pairs[p].which);
        if (p == 0 || json_array_size(outputs) > 0) {
            json_object_set_new(document, pairs[p].key, outputs);
        } else {
            json_decref(outputs);
        }
    }
    if (c->scores.rows != NULL) {
        json_object_set_new(document, "scores", cli_scores_json(&c->scores));
    }
    return cli_print_json(document);
}

/* Prints what was found; the exit code. */
static int report(const cli_comparing *c)
{
    squall_layer_error worst = {.name = NULL};
    const bool layered = find_worst(c->comparison, &worst);
    const double least = look_at_outputs(c);
    const bool good = least >= c->want->min_psnr_db;
    int code = CLI_OK;
    if (c->want->json) {
        code = print_report_json(c, worst.name, least, good);
    } else {
        if (layered) {
            printf("the layer that loses most: %s (%s, %s), %.1f dB, to %.1f dB\n", worst.name,
                   worst.op, worst.tactic, worst.loss_db, worst.snr_db);
        }
        if (c->want->layers) {
            print_layers(c->comparison);
        }
        if (c->scores.rows != NULL) {
            printf("\n%zu issue times against what the radar saw:\n", c->samples);
            cli_scores_print(&c->scores);
        }
    }
    if (!good) {
        fprintf(stderr, "squall compare: PSNR %.2f dB is below the %.2f dB asked for\n", least,
                c->want->min_psnr_db);
    }
    return good ? code : CLI_FAILED;
}

static squall_status compare(cli_comparing *c, const char *model, const char *path,
                             squall_error *err)
{
    const cli_compare_request *want = c->want;
    SQ_TRY(cli_engine_open(&want->open, path, &c->engine, c->notes, err));
    SQ_TRY(
        squall_comparison_create(model, c->engine, want->threads, &c->comparison, c->notes, err));
    return want->data == NULL                    ? cli_compare_inputs(c, err)
           : cli_compare_has_samples(want->data) ? cli_compare_folder(c, err)
                                                 : cli_compare_radar(c, err);
}

static int run_comparison(const cli_compare_request *want, const cli_list *paths)
{
    squall_error err = {.code = SQUALL_OK};
    cli_comparing c = {.want = want, .notes = squall_notes_create()};
    int code;
    if (compare(&c, paths->items[0], paths->items[1], &err) != SQUALL_OK) {
        cli_print_notes("compare", c.notes);
        code = cli_report("compare", &err);
    } else {
        cli_print_notes("compare", c.notes);
        code = report(&c);
    }
    squall_comparison_destroy(&c.comparison);
    squall_engine_close(&c.engine);
    squall_notes_destroy(&c.notes);
    cli_scores_free(&c.scores);
    sq_free(c.leads_s);
    return code;
}

static int run(int argc, char **argv)
{
    cli_compare_request want = {
        .min_psnr_db = -INFINITY, .every = 1800, .scale = 5, .tolerance = 60, .threshold = 1.0};
    cli_list paths;
    int code;
    cli_input_init(&want.input);
    const cli_option options[] = {
        {.name = "input",
         .argument = "FILE.npy",
         .list = &want.inputs,
         .help = "input tensor; once for each input"},
        {.name = "data",
         .argument = "DIR",
         .text = &want.data,
         .help = "samples as .npy files (SAMPLE.INPUT.npy for several inputs), or radar files"},
        {.name = "reference",
         .argument = "FILE.npy|DIR",
         .list = &want.references,
         .help = "what another runtime gave: once for each output, or with --data a folder"},
        {.name = "min-psnr",
         .argument = "DB",
         .real = &want.min_psnr_db,
         .low = -1000,
         .high = 1000,
         .help = "fail when an output of the engine is worse than this"},
        {.name = "layers", .flag = &want.layers, .help = "every layer, not the worst alone"},
        {.name = "every",
         .argument = "SECONDS",
         .number = &want.every,
         .low = 1,
         .high = 86400,
         .help = "radar: issue times at least this far apart (default 1800)"},
        {.name = "threshold",
         .argument = "MM_H",
         .real = &want.threshold,
         .low = 0,
         .high = 100000,
         .help = "radar: rain rate of the event, rate >= threshold (default 1)"},
        {.name = "scale",
         .argument = "CELLS",
         .number = &want.scale,
         .low = 1,
         .high = 4096,
         .help = "radar: neighbourhood of the FSS (default 5)"},
        {.name = "tolerance",
         .argument = "SECONDS",
         .number = &want.tolerance,
         .low = 0,
         .high = 3600,
         .help = "radar: how far an observation's time may be off (default 60)"},
        {.name = "source",
         .argument = "NAME=PATH",
         .list = &want.sources,
         .help = "radar: frames of another source (satellite=DIR) or a static map"},
        CLI_INPUT_OPTIONS(want.input),
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
    if (paths.count != 2 || (want.data == NULL) == (want.inputs.count == 0)) {
        fprintf(stderr,
                "squall compare: a model, an engine, and either --data or --input are needed\n");
        code = CLI_USAGE;
    } else {
        code = run_comparison(&want, &paths);
    }
    cli_list_free(&want.inputs);
    cli_list_free(&want.references);
    cli_list_free(&want.sources);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_compare = {
    .name = "compare",
    .arguments = "MODEL.onnx ENGINE",
    .summary = "how far an engine is from its model, output by output and layer by layer",
    .details = "The model is run as it was written, in plain C. A layer's loss is how much more\n"
               "noise it gives than the noisiest of its inputs had. Radar files become samples by\n"
               "the engine's recipe; then CSI, bias and FSS of both are told by lead time.",
    .run = run,
};
