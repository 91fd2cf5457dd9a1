/* cli/cli_build.c - squall build: an ONNX model into an engine file. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_explain.h"
#include "cli/cli_samples.h"
#include "cli/cli_shape.h"
#include "squall/compile.h"

enum { MAX_SHAPES = 64 };

/* The input shape that the recipe asks for the grid of a file. */
static squall_status shape_of_grid(const char *path, const cli_input *input,
                                   const char *recipe_text, size_t length, const char *recipe_path,
                                   squall_input_shape *out, squall_notes *notes, squall_error *err)
{
    squall_status status;
    squall_recipe *recipe = NULL;
    cli_frames frames = {0};
    squall_tensor type;
    const cli_list paths = {.items = &path, .count = 1};
    SQ_TRY(squall_recipe_parse(recipe_text, length, recipe_path, &recipe, err));
    SQ_TRY_GOTO(cli_frames_open(&paths, input, notes, &frames, err));
    const squall_field *field = cli_frames_get(&frames, 0);
    if (field == NULL) {
        status =
            sq_fail(err, SQUALL_E_FORMAT, path, "holds no rain that can be read; see squall info");
        goto done;
    }
    squall_recipe_input_shape(recipe, field->grid.height, field->grid.width, &type);
    memset(out, 0, sizeof *out);
    out->rank = type.rank;
    memcpy(out->dims, type.dims, sizeof out->dims);
done:
    cli_frames_close(&frames);
    squall_recipe_destroy(&recipe);
    return status;
}

static json_t *report_json(const char *engine, const squall_build_report *report,
                           const squall_notes *notes)
{
    return json_pack(
        "{s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, "
        "s:I, "
        "s:f, s:f, s:f, s:f, s:o}",
        "engine", cli_text(engine), "seconds", report->seconds, "file_bytes",
        (json_int_t)report->file_bytes, "weight_bytes", (json_int_t)report->weight_bytes, "nodes",
        (json_int_t)report->nodes_in, "steps", (json_int_t)report->steps_out, "steps_on_ref",
        (json_int_t)report->steps_on_ref, "arena_bytes", (json_int_t)report->arena_bytes,
        "arena_bound_bytes", (json_int_t)report->arena_bound_bytes, "macs",
        (json_int_t)report->macs, "memory_bytes", (json_int_t)report->memory_bytes, "profiles",
        (json_int_t)report->profile_count, "tactics_measured", (json_int_t)report->tactics_measured,
        "steps_by_time", (json_int_t)report->steps_by_time, "steps_by_guess",
        (json_int_t)report->steps_by_guess, "tuned_s", report->tuned_s, "layers_int8",
        (json_int_t)report->layers_int8, "layers_could_be_int8", (json_int_t)report->layers_could,
        "psnr_db", isfinite(report->psnr_db) ? report->psnr_db : 0.0, "score_fp32",
        report->score_fp32, "score", report->score, "calibrated_s", report->calibrated_s, "notes",
        cli_notes_json(notes));
}

static void print_report(const char *engine, const squall_build_report *report)
{
    printf(
        "%s: %.1f MB, built in %.2f s\n"
        "  %u nodes became %u steps, %u of them on the reference kernels\n"
        "  %.2f GFLOP a run, weights %.1f MB, %u profile%s\n"
        "  arena %zu bytes, lower bound %zu: %.2fx; with scratch memory a context takes %.1f MB\n",
        engine, (double)report->file_bytes / 1e6, report->seconds, report->nodes_in,
        report->steps_out, report->steps_on_ref, 2e-9 * (double)report->macs,
        (double)report->weight_bytes / 1e6, report->profile_count,
        report->profile_count == 1 ? "" : "s", report->arena_bytes, report->arena_bound_bytes,
        report->arena_bound_bytes > 0
            ? (double)report->arena_bytes / (double)report->arena_bound_bytes
            : 1.0,
        (double)report->memory_bytes / 1e6);
    if (report->layers_int8 > 0 || report->calibrated_s > 0) {
        printf("  %u of %u layers in int8, %.1f dB against fp32 on samples held out",
               report->layers_int8, report->layers_could, report->psnr_db);
        if (report->score_fp32 > 0) {
            printf("; CSI %.4f in fp32, %.4f as built", report->score_fp32, report->score);
        }
        printf("; calibrated in %.1f s\n", report->calibrated_s);
    }
    if (report->steps_by_time + report->steps_by_guess > 0) {
        printf("  %u steps by measured time, %u by guess; %u tactics measured in %.1f s\n",
               report->steps_by_time, report->steps_by_guess, report->tactics_measured,
               report->tuned_s);
    }
}

/* What was asked for on the command line. */
typedef struct request {
    const char *device, *precision, *rules, *out, *recipe, *grid_of, *memory_limit, *tactics;
    double tune_s;
    int32_t threads;
    cli_list shapes, profiles, buckets;
    const char *dump;
    squall_explanation *explanation;
    bool json, explain, strict, no_winograd;
    cli_input input;
    cli_samples_options calibrate;
    double min_psnr_db, max_csi_loss;
} request;

/* Shapes as they were written; owned by the caller's frame. */
typedef struct shape_room {
    squall_input_shape shapes[MAX_SHAPES + 1];
    char names[MAX_SHAPES][128];
    squall_bucket buckets[MAX_SHAPES];
} shape_room;

static squall_status read_shapes(const request *want, shape_room *room,
                                 squall_build_options *options, squall_error *err)
{
    const size_t fixed = want->shapes.count, count = fixed + want->profiles.count;
    options->shapes = room->shapes;
    options->buckets = room->buckets;
    for (size_t i = 0; i < count; i++) {
        const bool range = i >= fixed;
        if (i == MAX_SHAPES ||
            !cli_shape_parse(range ? "profile" : "shape",
                             range ? want->profiles.items[i - fixed] : want->shapes.items[i], range,
                             &room->shapes[i], room->names[i], sizeof room->names[i])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, range ? "--profile" : "--shape",
                           "at most %d shapes like x=1x4x256x256 and x=1:8:32x4x256x256",
                           MAX_SHAPES);
        }
        options->shape_count++;
    }
    for (size_t i = 0; i < want->buckets.count; i++) {
        if (i == MAX_SHAPES || !cli_bucket_parse(want->buckets.items[i], &room->buckets[i])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--bucket", "at most %d grids like 256x256",
                           MAX_SHAPES);
        }
        options->bucket_count++;
    }
    return SQUALL_OK;
}

static squall_status build(const request *want, const char *model, squall_build_report *report,
                           squall_notes *notes, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_build_options options;
    shape_room room;
    char *recipe = NULL, *rules = NULL;
    size_t length = 0, rules_length = 0;
    cli_samples calibration = {.count = 0};
    squall_build_options_init(&options);
    options.min_psnr_db = want->min_psnr_db;
    options.max_score_loss = want->max_csi_loss;
    options.device = want->device;
    options.precision = want->precision;
    options.threads = want->threads;
    options.tune_seconds = want->tune_s;
    options.tactics_path = want->tactics;
    options.tactics_strict = want->strict;
    options.dump_folder = want->dump;
    options.explanation = want->explanation;
    if (want->dump != NULL) {
        SQ_TRY(cli_folder_make(want->dump, err));
    }
    options.no_winograd = want->no_winograd;
    SQ_TRY(read_shapes(want, &room, &options, err));
    if (want->memory_limit != NULL &&
        !cli_bytes_parse("memory-limit", want->memory_limit, &options.memory_limit_bytes)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--memory-limit", "bytes are needed, such as 512M");
    }
    if (want->recipe != NULL) {
        SQ_TRY(cli_read_text(want->recipe, &recipe, &length, err));
        options.recipe = recipe;
    }
    if (want->grid_of != NULL) {
        SQ_TRY_GOTO(shape_of_grid(want->grid_of, &want->input, recipe, length, want->recipe,
                                  &room.shapes[options.shape_count], notes, err));
        options.shape_count++;
    }
    if (want->rules != NULL) {
        SQ_TRY_GOTO(cli_read_text(want->rules, &rules, &rules_length, err));
        options.precision_rules = rules;
    }
    if (want->calibrate.paths.count > 0) {
        SQ_TRY_GOTO(cli_samples_open(&want->calibrate, &want->input, recipe, length, notes,
                                     &calibration, err));
        options.calibration = &calibration.given;
    }
    status = squall_build(model, &options, want->out, report, notes, err);
done:
    cli_samples_close(&calibration);
    sq_free(rules);
    sq_free(recipe);
    return status;
}

/* What belongs to numbers of 8 bits. */
#define CALIBRATION_OPTIONS(want)                                                                \
    {.name = "calib",                                                                            \
     .argument = "DIR",                                                                          \
     .list = &(want).calibrate.paths,                                                            \
     .help =                                                                                     \
         "radar files (with --recipe) or .npy inputs to calibrate int8 by; may be given again"}, \
        {.name = "precision-file",                                                               \
         .argument = "FILE",                                                                     \
         .text = &(want).rules,                                                                  \
         .help = "lines PATTERN fp32|int8: what layers of such names compute in"},               \
        {.name = "min-psnr",                                                                     \
         .argument = "DB",                                                                       \
         .real = &(want).min_psnr_db,                                                            \
         .low = 0,                                                                               \
         .high = 200,                                                                            \
         .help = "layers go back to fp32 until samples held out reach this against fp32"},       \
        {.name = "max-csi-loss",                                                                 \
         .argument = "SHARE",                                                                    \
         .real = &(want).max_csi_loss,                                                           \
         .low = 0,                                                                               \
         .high = 1,                                                                              \
         .help = "the same for the share of the CSI that is lost (0.01)"},                       \
        {.name = "calib-samples",                                                                \
         .argument = "N",                                                                        \
         .number = &(want).calibrate.samples,                                                    \
         .low = 2,                                                                               \
         .high = 1024,                                                                           \
         .help = "windows of frames to choose (default 32)"},                                    \
        {.name = "calib-size",                                                                   \
         .argument = "N",                                                                        \
         .number = &(want).calibrate.size,                                                       \
         .low = 16,                                                                              \
         .high = 4096,                                                                           \
         .help = "cells a side of such a window (default 256)"},                                 \
        {.name = "calib-every",                                                                  \
         .argument = "SECONDS",                                                                  \
         .number = &(want).calibrate.every_s,                                                    \
         .low = 1,                                                                               \
         .high = 86400,                                                                          \
         .help = "issue times to choose from are at least this far apart (default 1800)"},       \
        {.name = "calib-cover",                                                                  \
         .argument = "LIST",                                                                     \
         .text = &(want).calibrate.cover,                                                        \
         .help = "weather to cover: regime,wet,maximum (default), season, hour"},                \
        {.name = "calib-least",                                                                  \
         .argument = "N",                                                                        \
         .number = &(want).calibrate.least,                                                      \
         .low = 1,                                                                               \
         .high = 1024,                                                                           \
         .help = "samples that each kind of weather must have (default 2)"},                     \
    {                                                                                            \
        .name = "allow-thin", .flag = &(want).calibrate.allow_thin,                              \
        .help = "calibrate although kinds of weather are missing; the engine will say so"        \
    }

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    squall_build_report report;
    request want = {.device = "cpu", .precision = "fp32"};
    cli_list models;
    int code;
    cli_input_init(&want.input);
    cli_samples_init(&want.calibrate);
    const cli_option options[] = {
        {.name = "out", .argument = "FILE", .text = &want.out, .help = "the engine file (needed)"},
        {.name = "recipe",
         .argument = "FILE",
         .text = &want.recipe,
         .help = "feature recipe that shall travel in the engine"},
        {.name = "grid-of",
         .argument = "FILE",
         .text = &want.grid_of,
         .help = "plan for the grid of this radar file (needs --recipe)"},
        {.name = "shape",
         .argument = "NAME=1x4x256x256",
         .list = &want.shapes,
         .help = "shape of an input; may be given again, for a profile each"},
        {.name = "profile",
         .argument = "NAME=1:8:32[x4x256x256]",
         .list = &want.profiles,
         .help = "least, usual and most batches of an input; may be given again"},
        {.name = "bucket",
         .argument = "256x256",
         .list = &want.buckets,
         .help = "grid to make each profile for, where it is open; may be given again"},
        {.name = "memory-limit",
         .argument = "512M",
         .text = &want.memory_limit,
         .help = "refuse an engine whose contexts take more memory than this"},
        {.name = "tune-seconds",
         .argument = "S",
         .real = &want.tune_s,
         .low = 0,
         .high = 86400,
         .help = "time to spend on measuring tactics on this machine (default 0)"},
        {.name = "tactics",
         .argument = "FILE",
         .text = &want.tactics,
         .help = "measured times: used, and added to while tuning"},
        {.name = "tactics-strict",
         .flag = &want.strict,
         .help = "measure nothing; refuse when the file lacks a time"},
        {.name = "no-winograd",
         .flag = &want.no_winograd,
         .help = "convolutions as plain sums: slower, and more exact in the last digits"},
        {.name = "device",
         .argument = "cpu|ref|cuda:0|cuda:sm_90a",
         .text = &want.device,
         .help = "kernels of this host (default), plain C alone, a GPU, or GPUs of a kind"},
        {.name = "precision",
         .argument = "fp32|fp16|bf16|int8|auto",
         .text = &want.precision,
         .help = "fp32 (default); fp16, on processors bf16: tensors in half the memory; int8; on "
                 "processors auto: int8 where it pays"},
        CALIBRATION_OPTIONS(want),
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads to plan for (default: one for each processor)"},
        CLI_INPUT_OPTIONS(want.input),
        {.name = "explain",
         .flag = &want.explain,
         .help = "say what became of each node of the model, and why"},
        {.name = "dump-graph",
         .argument = "DIR",
         .text = &want.dump,
         .help = "write the graph as DOT and JSON after each pass that changed it"},
        {.name = "json", .flag = &want.json, .help = "print the report as JSON"},
    };
    if (!cli_parse(&cli_build, options, sizeof options / sizeof options[0], argc, argv, &models,
                   &code)) {
        return code;
    }
    want.explanation = want.explain ? squall_explanation_create() : NULL;
    squall_notes *notes = squall_notes_create();
    if (models.count != 1 || want.out == NULL || (want.grid_of != NULL && want.recipe == NULL)) {
        fprintf(stderr,
                "squall build: one model and --out are needed, and --recipe for --grid-of\n");
        code = CLI_USAGE;
    } else if (build(&want, models.items[0], &report, notes, &err) != SQUALL_OK) {
        cli_print_notes("build", notes);
        code = cli_report("build", &err);
    } else if (want.json) {
        json_t *document = report_json(want.out, &report, notes);
        if (want.explanation != NULL) {
            json_object_set_new(document, "explanation", cli_explain_json(want.explanation));
        }
        code = cli_print_json(document);
    } else {
        if (want.explain) {
            cli_print_notes("build", notes);
            cli_explain_print(want.explanation);
        }
        print_report(want.out, &report);
    }
    squall_notes_destroy(&notes);
    squall_explanation_destroy(&want.explanation);
    cli_list_free(&want.shapes);
    cli_list_free(&want.profiles);
    cli_list_free(&want.buckets);
    cli_list_free(&want.calibrate.paths);
    cli_list_free(&models);
    return code;
}

const cli_command cli_build = {
    .name = "build",
    .arguments = "MODEL.onnx",
    .summary = "compile a model into an engine for this machine",
    .details = "An engine holds a portable plan that runs anywhere and one for this host's "
               "processor. What\n"
               "the model leaves open of its inputs' shapes must be said: by --grid-of and a "
               "recipe, or by\n"
               "--shape. An input of which only the batch is open takes batches from 1 to 32, "
               "planned for 8.",
    .run = run,
};
