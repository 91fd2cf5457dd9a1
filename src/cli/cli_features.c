/* cli/cli_features.c - squall features: the tensors of a recipe as files, for training. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_npy.h"

/* One run's materials. */
typedef struct maker {
    squall_recipe *recipe;
    cli_frames frames;
    cli_sources sources;
    const squall_field **list; /* owned, [frames.count]: those of one issue time */
    const char *out;           /* folder */
    bool targets;
    int32_t threads;
    squall_tensor input, target, weight; /* owned data; of the grid of the last issue time */
    json_t *index;
    squall_notes *notes;
} maker;

static squall_status resize(squall_tensor *tensor, const squall_tensor *wanted, squall_error *err)
{
    if (tensor->data != NULL && memcmp(tensor->dims, wanted->dims, sizeof tensor->dims) == 0) {
        return SQUALL_OK;
    }
    sq_free(tensor->data);
    *tensor = *wanted;
    tensor->data = sq_alloc(squall_tensor_bytes(wanted), 1);
    return tensor->data != NULL ? SQUALL_OK
                                : sq_fail(err, SQUALL_E_MEMORY, "tensor", "no memory for %zu bytes",
                                          squall_tensor_bytes(wanted));
}

static squall_status write_part(const maker *m, int64_t issue_time, const char *part,
                                const squall_tensor *tensor, squall_error *err)
{
    int year, month, day, hour, minute, second;
    char path[4096];
    sq_time_split(issue_time, &year, &month, &day, &hour, &minute, &second, NULL);
    snprintf(path, sizeof path, "%s/%04d%02d%02dT%02d%02d%02dZ.%s.npy", m->out, year, month, day,
             hour, minute, second, part);
    return cli_npy_write(path, tensor, err);
}

/* The share of target cells that are known; what is 0 need not be written. */
static double known_share(const squall_tensor *weight)
{
    const float *w = weight->data;
    const size_t count = squall_tensor_count(weight);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += w[i];
    }
    return count > 0 ? sum / (double)count : 0.0;
}

/* Input, and when asked for target and weight, of one issue time. */
static squall_status make_one(maker *m, int64_t issue_time, squall_error *err)
{
    squall_status status;
    squall_motion *motion = NULL;
    squall_tensor shape;
    squall_feature_quality quality;
    const int32_t earliest = squall_recipe_earliest_s(m->recipe);
    const int32_t reach = earliest < -2700 ? earliest : -2700;
    const int32_t last =
        squall_recipe_lead_s(m->recipe, squall_recipe_output_channels(m->recipe) - 1);
    const int32_t tolerance = squall_recipe_tolerance_s(m->recipe);
    const size_t past =
        cli_frames_range(&m->frames, issue_time + reach - tolerance, issue_time, m->list);
    if (past == 0) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame for this issue time");
    }
    const squall_source source = {"radar", m->list, past};
    const squall_grid *grid = &m->list[past - 1]->grid;
    SQ_TRY(squall_nowcast_motion(&source, 1, issue_time, m->threads, &motion, m->notes, err));
    squall_recipe_input_shape(m->recipe, grid->height, grid->width, &shape);
    SQ_TRY_GOTO(resize(&m->input, &shape, err));
    SQ_TRY_GOTO(cli_sources_collect(&m->sources, &source, issue_time + reach - tolerance,
                                    issue_time, m->notes, err));
    status = squall_features_make(m->recipe, m->sources.all, m->sources.count + 1, issue_time,
                                  motion, &m->input, &quality, m->notes, err);
    if (status == SQUALL_E_ARGUMENT && motion == NULL) {
        char text[SQ_TIME_TEXT];
        status = sq_fail(err, SQUALL_E_NO_DATA, "radar",
                         "no motion at %s, which the recipe needs: there are not two frames in the "
                         "45 minutes before",
                         sq_time_format(issue_time, text));
    }
    if (status != SQUALL_OK) {
        goto done;
    }
    double known = 0.0;
    if (m->targets) {
        squall_recipe_output_shape(m->recipe, grid->height, grid->width, &shape);
        SQ_TRY_GOTO(resize(&m->target, &shape, err));
        SQ_TRY_GOTO(resize(&m->weight, &shape, err));
        const size_t all = past + cli_frames_range(&m->frames, issue_time + 1,
                                                   issue_time + last + tolerance, m->list + past);
        const squall_source later = {"radar", m->list, all};
        SQ_TRY_GOTO(squall_features_target(m->recipe, &later, issue_time, motion, &m->target,
                                           &m->weight, err));
        known = known_share(&m->weight);
        SQ_TRY_GOTO(write_part(m, issue_time, "target", &m->target, err));
        SQ_TRY_GOTO(write_part(m, issue_time, "weight", &m->weight, err));
    }
    SQ_TRY_GOTO(write_part(m, issue_time, "input", &m->input, err));
    json_array_append_new(m->index,
                          json_pack("{s:o, s:I, s:I, s:I, s:f, s:I, s:I}", "issue_time",
                                    cli_time(issue_time), "wanted", (json_int_t)quality.wanted,
                                    "exact", (json_int_t)quality.exact, "replaced",
                                    (json_int_t)quality.replaced, "known", known, "height",
                                    (json_int_t)grid->height, "width", (json_int_t)grid->width));
    status = SQUALL_OK;
done:
    squall_motion_destroy(&motion);
    return status;
}

/* Every frame's time that is `every` seconds or more after the last one taken. */
static squall_status make_all(maker *m, int64_t issue, int32_t every, squall_error *err)
{
    int64_t previous = INT64_MIN / 2;
    for (size_t i = 0; i < m->frames.count; i++) {
        const int64_t time = squall_archive_time(m->frames.archive, i);
        if (issue != SQUALL_TIME_NONE ? time != issue : time - previous < every) {
            continue;
        }
        previous = time;
        squall_error problem = {.code = SQUALL_OK};
        const squall_status status = make_one(m, time, &problem);
        if (status == SQUALL_E_NO_DATA && issue == SQUALL_TIME_NONE) {
            sq_note(m->notes, problem.where, "%s", problem.text);
        } else if (status != SQUALL_OK) {
            return sq_fail(err, status, problem.where, "%s", problem.text);
        }
        cli_frames_forget(&m->frames, time - 7200);
        cli_progress("features", i + 1, m->frames.count);
    }
    if (json_array_size(m->index) == 0) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar",
                       issue != SQUALL_TIME_NONE ? "no frame at the issue time asked for"
                                                 : "no issue time has what the recipe asks for");
    }
    return SQUALL_OK;
}

static squall_status make_files(maker *m, const char *recipe_path, int64_t issue, int32_t every,
                                squall_error *err)
{
    squall_status status;
    size_t length;
    char *text = NULL, path[4096];
    SQ_TRY(cli_read_text(recipe_path, &text, &length, err));
    SQ_TRY_GOTO(squall_recipe_parse(text, length, recipe_path, &m->recipe, err));
    SQ_TRY_GOTO(sq_folder_make(m->out, err));
    m->list = sq_alloc(m->frames.count, sizeof *m->list);
    if (m->list == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory");
        goto done;
    }
    SQ_TRY_GOTO(make_all(m, issue, every, err));
    char *document = json_dumps(m->index, JSON_INDENT(1));
    snprintf(path, sizeof path, "%s/index.json", m->out);
    status = document != NULL ? sq_file_write(path, document, strlen(document), err)
                              : sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    free(document);
done:
    sq_free(text);
    return status;
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    maker m = {.index = json_array(), .notes = squall_notes_create()};
    const char *recipe = NULL;
    int64_t issue = SQUALL_TIME_NONE;
    int32_t every = 1;
    bool json = false;
    cli_list paths, sources = {0};
    cli_input input;
    int code;
    cli_input_init(&input);
    const cli_option options[] = {
        {.name = "recipe", .argument = "FILE", .text = &recipe, .help = "the recipe (needed)"},
        {.name = "out", .argument = "DIR", .text = &m.out, .help = "where to write (needed)"},
        {.name = "source",
         .argument = "NAME=PATH",
         .list = &sources,
         .help = "frames of another source (satellite=DIR) or a static map; may be given again"},
        {.name = "issue",
         .argument = "TIME",
         .time = &issue,
         .help = "only this issue time (default: every frame's)"},
        {.name = "every",
         .argument = "SECONDS",
         .number = &every,
         .low = 1,
         .high = 86400,
         .help = "issue times at least this far apart"},
        {.name = "targets", .flag = &m.targets, .help = "write what training aims at, too"},
        {.name = "threads",
         .argument = "N",
         .number = &m.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        CLI_INPUT_OPTIONS(input),
        {.name = "json",
         .flag = &json,
         .help = "print the index that is also written to index.json"},
    };
    if (!cli_parse(&cli_features, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        json_decref(m.index);
        squall_notes_destroy(&m.notes);
        return code;
    }
    if (recipe == NULL || m.out == NULL || paths.count == 0) {
        fprintf(stderr, "squall features: --recipe, --out and at least one path are needed\n");
        code = CLI_USAGE;
    } else if (cli_frames_open(&paths, &input, m.notes, &m.frames, &err) != SQUALL_OK ||
               cli_sources_open(&m.sources, &sources, m.notes, &err) != SQUALL_OK ||
               make_files(&m, recipe, issue, every, &err) != SQUALL_OK) {
        code = cli_report("features", &err);
    } else if (json) {
        code = cli_print_json(json_incref(m.index));
    } else {
        printf("%zu issue times written to %s\n", json_array_size(m.index), m.out);
    }
    cli_print_notes("features", m.notes);
    cli_sources_close(&m.sources);
    cli_list_free(&sources);
    cli_frames_close(&m.frames);
    squall_recipe_destroy(&m.recipe);
    sq_free(m.list);
    sq_free(m.input.data);
    sq_free(m.target.data);
    sq_free(m.weight.data);
    json_decref(m.index);
    squall_notes_destroy(&m.notes);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_features = {
    .name = "features",
    .arguments = "PATH...",
    .summary = "write the input (and target) tensors of a recipe as .npy files, for training",
    .details =
        "For each issue time TIME.input.npy; with --targets TIME.target.npy and TIME.weight.npy.\n"
        "A forecast makes its input tensor by the same code.",
    .run = run,
};
