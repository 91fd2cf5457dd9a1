/* cli/cli_verify.c - squall verify: a forecast file against observations, or many forecasts made
 * again. */
#include <string.h>

#include "cli/cli_engine.h"
#include "cli/cli_score.h"
#include "cli/cli_suite.h"

enum { MAX_LEADS = 256 };

/* What was asked for on the command line. */
typedef struct request {
    const char *forecast, *engine, *leads, *keys, *methods, *html, *motion, *calibration;
    cli_list engines;
    int64_t from, to;
    int32_t threads, every, scale, tolerance, members, seed, block, resamples;
    double threshold;
    bool json, suite;
    cli_engine open;
    cli_input input;
} request;

/* One run's materials. */
typedef struct job {
    const request *want;
    squall_engine *engine;
    squall_nowcaster *nowcaster;
    squall_motion_method motion;
    cli_frames frames;
    int32_t leads_s[MAX_LEADS];
    size_t lead_count, issue_count;
    cli_scores scores;
    squall_notes *notes;
} job;

/* ------------------------------------------------------------ a forecast file */

/* Read the file as a forecast. Formats need not say when it was issued, and scores need valid times
 * alone: `leads_s` count from the first of them. */
static squall_status read_forecast(job *j, squall_forecast **out, squall_error *err)
{
    squall_status status;
    squall_file *file = NULL;
    squall_forecast *f = sq_alloc(1, sizeof *f);
    if (f == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, j->want->forecast, "no memory");
    }
    SQ_TRY_GOTO(squall_file_open(j->want->forecast, NULL, &file, err));
    f->count = squall_file_count(file);
    if (f->count > MAX_LEADS) {
        status = sq_fail(err, SQUALL_E_LIMIT, j->want->forecast, "has %zu times; at most %d",
                         f->count, MAX_LEADS);
        goto done;
    }
    f->fields = sq_alloc(f->count, sizeof *f->fields);
    if (f->fields == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, j->want->forecast, "no memory");
        goto done;
    }
    for (size_t i = 0; i < f->count; i++) {
        SQ_TRY_GOTO(squall_file_read(file, i, &f->fields[i], err));
        SQ_TRY_GOTO(squall_field_to_rate(f->fields[i], NULL, err));
    }
    f->issue_time = f->fields[0]->valid_time;
    for (size_t i = 0; i < f->count; i++) {
        j->leads_s[i] = (int32_t)(f->fields[i]->valid_time - f->issue_time);
    }
    j->scores.first_time = f->issue_time;
    j->lead_count = f->count;
    *out = f;
    f = NULL;
done:
    squall_forecast_destroy(&f);
    squall_file_close(&file);
    return status;
}

static squall_status score_file(job *j, squall_error *err)
{
    squall_forecast *forecasts[CLI_METHODS] = {NULL};
    SQ_TRY(read_forecast(j, &forecasts[0], err));
    squall_status status = cli_scores_init(&j->scores, j->leads_s, j->lead_count, err);
    if (status == SQUALL_OK) {
        j->scores.names[0] = "forecast";
        status = cli_scores_add(&j->scores, forecasts, &j->frames, j->want->tolerance, err);
    }
    j->issue_count = 1;
    squall_forecast_destroy(&forecasts[0]);
    return status;
}

/* ------------------------------------------------------------ forecasts made again */

static squall_status prepare(job *j, squall_error *err)
{
    int64_t minutes[MAX_LEADS];
    if (j->want->engine != NULL) {
        SQ_TRY(cli_engine_open(&j->want->open, j->want->engine, &j->engine, j->notes, err));
    }
    SQ_TRY(squall_nowcaster_create(j->engine, j->want->threads, &j->nowcaster, err));
    SQ_TRY(squall_nowcaster_set_motion(j->nowcaster, j->motion, err));
    const squall_recipe *recipe = squall_nowcaster_recipe(j->nowcaster);
    if (j->want->leads != NULL) {
        if (!cli_parse_numbers("leads", j->want->leads, minutes, MAX_LEADS, &j->lead_count)) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--leads", "must be minutes with commas");
        }
        for (size_t i = 0; i < j->lead_count; i++) {
            if (minutes[i] < 1 || minutes[i] > 360 || (i > 0 && minutes[i] <= minutes[i - 1])) {
                return sq_fail(err, SQUALL_E_ARGUMENT, "--leads",
                               "must ascend, in minutes from 1 to 360");
            }
            j->leads_s[i] = (int32_t)(minutes[i] * 60);
        }
    } else {
        j->lead_count = recipe != NULL ? squall_recipe_output_channels(recipe) : 12;
        for (size_t i = 0; i < j->lead_count; i++) {
            j->leads_s[i] =
                recipe != NULL ? squall_recipe_lead_s(recipe, i) : (int32_t)(i + 1) * 300;
        }
    }
    return cli_scores_init(&j->scores, j->leads_s, j->lead_count, err);
}

static squall_status score_issue(job *j, int64_t issue, const squall_field **past,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_forecast *forecasts[CLI_METHODS] = {NULL};
    const squall_recipe *recipe = squall_nowcaster_recipe(j->nowcaster);
    int32_t reach = 2700;
    if (recipe != NULL &&
        -squall_recipe_earliest_s(recipe) + squall_recipe_tolerance_s(recipe) > reach) {
        reach = -squall_recipe_earliest_s(recipe) + squall_recipe_tolerance_s(recipe);
    }
    const size_t count = cli_frames_range(&j->frames, issue - reach, issue, past);
    const squall_source source = {"radar", past, count};
    bool complete = count > 0;
    for (size_t k = 0; complete && k < CLI_BASIC_METHODS; k++) {
        if (k == 0 && j->engine == NULL) {
            continue;
        }
        SQ_TRY_GOTO(squall_nowcast_run(j->nowcaster, &source, 1, issue, j->leads_s, j->lead_count,
                                       cli_methods[k], &forecasts[k], j->notes, err));
        /* Methods are compared on the same issue times: one that fell back counts for none. */
        complete = forecasts[k]->method == cli_methods[k];
        j->scores.names[k] = squall_method_name(cli_methods[k]);
    }
    if (complete) {
        SQ_TRY_GOTO(cli_scores_add(&j->scores, forecasts, &j->frames, j->want->tolerance, err));
        j->issue_count++;
    }
done:
    for (size_t k = 0; k < CLI_METHODS; k++) {
        squall_forecast_destroy(&forecasts[k]);
    }
    return status;
}

static squall_status score_again(job *j, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const squall_field **past = NULL;
    SQ_TRY(prepare(j, err));
    past = sq_alloc(j->frames.count, sizeof *past);
    if (past == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory");
    }
    const int64_t last = squall_archive_time(j->frames.archive, j->frames.count - 1);
    int64_t previous = INT64_MIN / 2;
    for (size_t i = 0; i < j->frames.count; i++) {
        const int64_t time = squall_archive_time(j->frames.archive, i);
        /* The first half hour lacks the past that a forecast wants, the last lead its observation.
         */
        if (time - previous < j->want->every || time + j->leads_s[0] > last ||
            (j->want->from != SQUALL_TIME_NONE && time < j->want->from) ||
            (j->want->to != SQUALL_TIME_NONE && time > j->want->to)) {
            continue;
        }
        previous = time;
        SQ_TRY_GOTO(score_issue(j, time, past, err));
        cli_frames_forget(&j->frames, time - 7200);
        cli_progress("verify", i + 1, j->frames.count);
    }
    cli_progress("verify", 1, 1);
done:
    sq_free(past);
    return status;
}

static squall_status carry_out(job *j, const cli_list *paths, squall_error *err)
{
    SQ_TRY(cli_frames_open(paths, &j->want->input, j->notes, &j->frames, err));
    j->scores.first_time = SQUALL_TIME_NONE;
    j->scores.threshold_mm_h = j->want->threshold;
    j->scores.cap_mm_h = j->want->input.max_rate_mm_h;
    j->scores.scale = (size_t)j->want->scale;
    SQ_TRY(j->want->forecast != NULL ? score_file(j, err) : score_again(j, err));
    bool any = false;
    for (size_t i = 0; i < j->lead_count * CLI_METHODS; i++) {
        any = any || j->scores.rows[i].errors.cells > 0;
    }
    return any ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, "observations",
                         "none is within %d s of a time that was forecast", j->want->tolerance);
}

/* The suite takes the options in its own form. */
static int run_suite(const request *want, const cli_list *paths, squall_motion_method motion,
                     squall_notes *notes)
{
    int64_t leads[SUITE_LEADS] = {15, 30, 60};
    size_t lead_count = 3;
    if (want->leads != NULL &&
        !cli_parse_numbers("leads", want->leads, leads, SUITE_LEADS, &lead_count)) {
        return CLI_USAGE;
    }
    for (size_t i = 0; i < lead_count; i++) {
        if (leads[i] < 1 || leads[i] > 360 || (i > 0 && leads[i] <= leads[i - 1])) {
            fprintf(stderr, "squall verify: --leads must ascend, in minutes from 1 to 360\n");
            return CLI_USAGE;
        }
    }
    const suite_request asked = {.paths = paths,
                                 .engines = &want->engines,
                                 .methods = want->methods,
                                 .html = want->html,
                                 .calibration = want->calibration,
                                 .from = want->from,
                                 .to = want->to,
                                 .threads = want->threads,
                                 .every_s = want->every,
                                 .tolerance_s = want->tolerance,
                                 .members = want->members,
                                 .seed = want->seed,
                                 .block = want->block,
                                 .resamples = want->resamples,
                                 .leads_min = leads,
                                 .lead_count = lead_count,
                                 .json = want->json,
                                 .motion = motion,
                                 .open = &want->open,
                                 .input = &want->input};
    return cli_suite_run(&asked, notes);
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    request want = {.from = SQUALL_TIME_NONE,
                    .to = SQUALL_TIME_NONE,
                    .every = 600,
                    .scale = 5,
                    .tolerance = 60,
                    .methods = "persistence,sprog,steps",
                    .members = 20,
                    .block = 3,
                    .resamples = 1000,
                    .threshold = 1.0};
    job j = {.want = &want, .notes = squall_notes_create()};
    cli_list paths;
    int code;
    cli_input_init(&want.input);
    const cli_option options[] = {
        {.name = "forecast",
         .argument = "FILE.nc",
         .text = &want.forecast,
         .help = "score this forecast; without it forecasts are made again and pooled"},
        {.name = "engine",
         .argument = "FILE",
         .list = &want.engines,
         .help = "engine to make them with, beside extrapolation and persistence; --suite takes "
                 "several"},
        {.name = "motion",
         .argument = "NAME",
         .text = &want.motion,
         .help = "how motion is found: dense (default), lucas-kanade or spectral"},
        {.name = "suite",
         .flag = &want.suite,
         .help =
             "PATH is [NAME=]PATH[@COL,ROW,WIDTH,HEIGHT], a sequence: all scores of all methods"},
        {.name = "methods",
         .argument = "NAME,...",
         .text = &want.methods,
         .help = "suite: beside extrapolation and engines (default persistence,sprog,steps); "
                 "blend: with each"},
        {.name = "members",
         .argument = "N",
         .number = &want.members,
         .low = 1,
         .high = SQUALL_ENSEMBLE_MEMBERS,
         .help = "suite: forecasts of the ensemble of steps (default 20)"},
        {.name = "seed",
         .argument = "S",
         .number = &want.seed,
         .low = 0,
         .high = INT32_MAX,
         .help = "suite: of all random numbers (default 0)"},
        {.name = "block",
         .argument = "N",
         .number = &want.block,
         .low = 1,
         .high = 1000,
         .help = "suite: issue times that the bootstrap keeps together (default 3)"},
        {.name = "resamples",
         .argument = "N",
         .number = &want.resamples,
         .low = 1,
         .high = 100000,
         .help = "suite: resamples of the bootstrap (default 1000)"},
        {.name = "calibration-out",
         .argument = "FILE",
         .text = &want.calibration,
         .help = "suite: write what calibrates the probabilities of steps, or else of an engine"},
        {.name = "html",
         .argument = "FILE",
         .text = &want.html,
         .help = "suite: write the report, one page with plots"},
        {.name = "every",
         .argument = "SECONDS",
         .number = &want.every,
         .low = 1,
         .high = 86400,
         .help = "issue times at least this far apart (default 600)"},
        {.name = "from", .argument = "TIME", .time = &want.from, .help = "first issue time"},
        {.name = "to", .argument = "TIME", .time = &want.to, .help = "last issue time"},
        {.name = "leads",
         .argument = "MIN,MIN,...",
         .text = &want.leads,
         .help = "lead times, minutes (default: the engine's, or 5 to 60)"},
        {.name = "threshold",
         .argument = "MM_H",
         .real = &want.threshold,
         .low = 0,
         .high = 100000,
         .help = "rain rate of the event, rate >= threshold (default 1)"},
        {.name = "scale",
         .argument = "CELLS",
         .number = &want.scale,
         .low = 1,
         .high = 4096,
         .help = "neighbourhood of the FSS (default 5)"},
        {.name = "tolerance",
         .argument = "SECONDS",
         .number = &want.tolerance,
         .low = 0,
         .high = 3600,
         .help = "how far an observation's time may be off (default 60)"},
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        CLI_INPUT_OPTIONS(want.input),
        CLI_ENGINE_OPTIONS(want.open),
        {.name = "keys",
         .argument = "KEYS",
         .text = &want.keys,
         .help = "PATH is an engine: whether a key of this file signed it (see verify-engine)"},
        {.name = "json", .flag = &want.json, .help = "print all scores as JSON"},
    };
    if (!cli_parse(&cli_verify, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        squall_notes_destroy(&j.notes);
        return code;
    }
    want.engine = want.engines.count > 0 ? want.engines.items[want.engines.count - 1] : NULL;
    if (paths.count == 0) {
        fprintf(stderr, "squall verify: name the files or folders of the observations\n");
        code = CLI_USAGE;
    } else if (!cli_parse_motion("verify", want.motion, &j.motion)) {
        code = CLI_USAGE;
    } else if (want.keys != NULL) {
        code = cli_verify_signature("verify", &paths, want.keys, want.json);
    } else if (want.suite) {
        code = run_suite(&want, &paths, j.motion, j.notes);
        cli_print_notes("verify", j.notes);
    } else if (carry_out(&j, &paths, &err) != SQUALL_OK) {
        cli_print_notes("verify", j.notes);
        code = cli_report("verify", &err);
    } else {
        if (want.json) {
            code = cli_print_json(
                json_pack("{s:I, s:o, s:o}", "issue_times", (json_int_t)j.issue_count, "scores",
                          cli_scores_json(&j.scores), "notes", cli_notes_json(j.notes)));
        } else {
            printf("%zu issue time%s\n", j.issue_count, j.issue_count == 1 ? "" : "s");
            cli_scores_print(&j.scores);
        }
        cli_print_notes("verify", j.notes);
    }
    cli_scores_free(&j.scores);
    cli_frames_close(&j.frames);
    squall_nowcaster_destroy(&j.nowcaster);
    squall_engine_close(&j.engine);
    squall_notes_destroy(&j.notes);
    cli_list_free(&want.engines);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_verify = {
    .name = "verify",
    .arguments = "PATH...",
    .summary = "score forecasts against what the radar saw",
    .details = "With --forecast, one file; without, a forecast is made from each issue time in "
               "PATH... and the\n"
               "scores are pooled. Rates are cut to --max-rate; cells that the observation or the\n"
               "extrapolation (for --forecast: the forecast) does not cover do not count.\n"
               "With --suite the scores are CSI, POD, FAR, bias, FSS, Brier, ROC, MAE, RMSE, CRPS, "
               "SAL and spectra,\n"
               "by lead time, threshold, sequence, regime and season, with intervals and tests.\n"
               "With --keys it is the signature of an engine that is verified.",
    .run = run,
};
