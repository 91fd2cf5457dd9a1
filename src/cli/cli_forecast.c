/* cli/cli_forecast.c - squall forecast: observations in, a forecast out, and how good it was. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_engine.h"
#include "cli/cli_npy.h"
#include "cli/cli_score.h"
#include "squall/product.h"

enum { MAX_LEADS = 256, SHEET_COLUMNS = 6, FUTURE_TOLERANCE_S = 300 };

/* What was asked for on the command line. */
typedef struct request {
    const char *engine, *method, *motion, *calibration, *leads, *out, *maps, *sheet, *title,
        *attribution, *tensors;
    int64_t issue, now;
    int32_t threads, members, seed;
    double threshold, cost_loss;
    bool score, json, strict, no_members;
    cli_engine open;
    cli_input input;
    cli_list sources;
} request;

/* One run's materials. */
typedef struct job {
    const request *want;
    squall_engine *engine;
    squall_nowcaster *nowcaster;
    squall_motion_method motion;
    cli_frames frames;
    cli_sources sources;
    const squall_field **past; /* owned */
    size_t past_count;
    int32_t leads_s[MAX_LEADS];
    size_t lead_count;                       /* 0: the default ones */
    squall_forecast *forecasts[CLI_METHODS]; /* as cli_methods says */
    squall_forecast *forecast;               /* the one asked for; one of them or of its own */
    cli_scores scores;
    squall_notes *notes;
    double load_s, run_s, write_s;
} job;

static bool parse_method(const char *text, squall_method *out)
{
    if (strcmp(text, "engine") == 0) {
        text = "model";
    }
    for (int method = 0; method < SQUALL_METHODS; method++) {
        if (strcmp(text, squall_method_name((squall_method)method)) == 0) {
            *out = (squall_method)method;
            return true;
        }
    }
    fprintf(stderr, "squall forecast: --method: '%s' is none of auto, engine", text);
    for (int method = 0; method < SQUALL_METHODS; method++) {
        if (method != SQUALL_METHOD_AUTO && method != SQUALL_METHOD_MODEL) {
            fprintf(stderr, ", %s", squall_method_name((squall_method)method));
        }
    }
    fputc('\n', stderr);
    return false;
}

/* "5,10,15" minutes; "" for the defaults. */
static bool parse_leads(job *j)
{
    int64_t minutes[MAX_LEADS];
    if (j->want->leads == NULL) {
        return true;
    }
    if (!cli_parse_numbers("leads", j->want->leads, minutes, MAX_LEADS, &j->lead_count)) {
        return false;
    }
    for (size_t i = 0; i < j->lead_count; i++) {
        if (minutes[i] < 1 || minutes[i] > 360 || (i > 0 && minutes[i] <= minutes[i - 1])) {
            fprintf(stderr, "squall forecast: --leads must ascend, in minutes from 1 to 360\n");
            return false;
        }
        j->leads_s[i] = (int32_t)minutes[i] * 60;
    }
    return true;
}

/* The engine, when one was named and can be used; a forecast without it is still a forecast. */
static squall_status open_engine(job *j, squall_error *err)
{
    squall_error problem = {.code = SQUALL_OK};
    if (j->want->engine != NULL) {
        squall_status status =
            cli_engine_open(&j->want->open, j->want->engine, &j->engine, j->notes, &problem);
        if (status == SQUALL_OK) {
            status = squall_nowcaster_create(j->engine, j->want->threads, &j->nowcaster, &problem);
        }
        if (status == SQUALL_OK) {
            return SQUALL_OK;
        }
        sq_note(j->notes, problem.where, "%s; forecasting without it", problem.text);
        squall_engine_close(&j->engine);
    }
    return squall_nowcaster_create(NULL, j->want->threads, &j->nowcaster, err);
}

/* The issue time: the one asked for, or that of the newest frame that is not from the future. */
static squall_status choose_issue(const job *j, int64_t *issue, squall_error *err)
{
    char text[SQ_TIME_TEXT];
    const int64_t limit = j->want->now + FUTURE_TOLERANCE_S;
    *issue = SQUALL_TIME_NONE;
    for (size_t i = 0; i < j->frames.count; i++) {
        const int64_t time = squall_archive_time(j->frames.archive, i);
        if (time > limit) {
            sq_note(j->notes, squall_archive_name(j->frames.archive, i),
                    "its time %s lies in the future; left out", sq_time_format(time, text));
        } else if (j->want->issue == SQUALL_TIME_NONE || time <= j->want->issue) {
            *issue = time;
        }
    }
    if (*issue == SQUALL_TIME_NONE) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame %s",
                       j->want->issue != SQUALL_TIME_NONE ? "at or before the issue time asked for"
                                                          : "that is not from the future");
    }
    if (j->want->issue != SQUALL_TIME_NONE && *issue != j->want->issue) {
        sq_note(j->notes, "radar", "the newest frame at %s is %lld s older than the issue time",
                sq_time_format(*issue, text), (long long)(j->want->issue - *issue));
    }
    return SQUALL_OK;
}

/* Read the frames that the forecast may need. When the newest one cannot be read the one before it
 * takes its place. */
static squall_status read_past(job *j, squall_error *err)
{
    int64_t issue;
    const squall_recipe *recipe = squall_nowcaster_recipe(j->nowcaster);
    SQ_TRY(choose_issue(j, &issue, err));
    int32_t reach = 2700;
    if (recipe != NULL &&
        -squall_recipe_earliest_s(recipe) + squall_recipe_tolerance_s(recipe) > reach) {
        reach = -squall_recipe_earliest_s(recipe) + squall_recipe_tolerance_s(recipe);
    }
    j->past = sq_alloc(j->frames.count, sizeof *j->past);
    if (j->past == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory");
    }
    j->past_count = cli_frames_range(&j->frames, issue - reach, issue, j->past);
    const squall_source radar = {"radar", j->past, j->past_count};
    return cli_sources_collect(&j->sources, &radar, issue - reach, issue, j->notes, err);
}

/* How motion is found, and how S-PROG and STEPS are run. */
static squall_status set_ensemble(job *j, squall_error *err)
{
    squall_ensemble_options options;
    squall_ensemble_options_init(&options);
    options.members = j->want->members;
    options.seed = (uint64_t)j->want->seed;
    SQ_TRY(squall_nowcaster_set_motion(j->nowcaster, j->motion, err));
    options.keep_members = j->want->out != NULL && !j->want->no_members;
    return squall_nowcaster_set_ensemble(j->nowcaster, &options, err);
}

static squall_status run_method(job *j, squall_method method, squall_forecast **out,
                                squall_notes *notes, squall_error *err)
{
    return squall_nowcast_run(j->nowcaster, j->sources.all, j->sources.count + 1, SQUALL_TIME_NONE,
                              j->lead_count > 0 ? j->leads_s : NULL, j->lead_count, method, out,
                              notes, err);
}

/* The other methods too, on the same lead times, and what the radar saw. */
static squall_status score(job *j, squall_error *err)
{
    for (size_t i = 0; i < j->forecast->count && j->lead_count == 0; i++) {
        j->leads_s[i] = j->forecast->leads_s[i];
    }
    j->lead_count = j->forecast->count;
    for (size_t k = 0; k < CLI_METHODS; k++) {
        const squall_method method = cli_methods[k];
        if (j->forecast->method == method) {
            j->forecasts[k] = j->forecast;
        } else if (k < CLI_BASIC_METHODS && (method != SQUALL_METHOD_MODEL || j->engine != NULL)) {
            SQ_TRY(run_method(j, method, &j->forecasts[k], NULL, err));
            if (j->forecasts[k]->method != method) {
                squall_forecast_destroy(&j->forecasts[k]);
            }
        }
        j->scores.names[k] = squall_method_name(method);
    }
    j->scores.first_time = SQUALL_TIME_NONE;
    j->scores.threshold_mm_h = j->want->threshold;
    j->scores.cap_mm_h = j->want->input.max_rate_mm_h;
    j->scores.scale = 5;
    SQ_TRY(cli_scores_init(&j->scores, j->leads_s, j->lead_count, err));
    return cli_scores_add(&j->scores, j->forecasts, &j->frames, 60, err);
}

static void describe(const job *j, squall_product_info *info)
{
    squall_product_info_init(info);
    info->issue_time = j->forecast->issue_time;
    info->method = squall_method_name(j->forecast->method);
    info->model =
        j->forecast->method == SQUALL_METHOD_MODEL || j->forecast->method == SQUALL_METHOD_BLEND
            ? squall_recipe_name(squall_nowcaster_recipe(j->nowcaster))
            : NULL;
    info->title = j->want->title;
    info->attribution = j->want->attribution;
    info->history = "squall forecast";
    info->quality = j->forecast->quality;
    info->quality_index = j->forecast->quality_index;
}

/* What of an ensemble goes into the file; `e` may be NULL. */
static void describe_ensemble(const squall_ensemble *e, double cost_loss,
                              squall_product_ensemble *out)
{
    squall_product_ensemble_init(out);
    if (e == NULL) {
        return;
    }
    out->members = e->fields != NULL ? e->members : 0;
    out->fields = (const squall_field *const *)e->fields;
    out->thresholds = SQUALL_ENSEMBLE_THRESHOLDS;
    out->thresholds_mm_h = e->thresholds_mm_h;
    out->probabilities = (const squall_field *const *)e->probabilities;
    out->cost_loss = cost_loss;
}

static squall_status write_maps(const job *j, const squall_product_info *info, squall_error *err)
{
    SQ_TRY(sq_folder_make(j->want->maps, err));
    for (size_t i = 0; i < j->forecast->count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/forecast+%03d.png", j->want->maps,
                 j->forecast->leads_s[i] / 60);
        SQ_TRY(squall_map_write(path, j->forecast->fields[i], info, NULL, err));
        cli_progress("maps", i + 1, j->forecast->count);
    }
    return SQUALL_OK;
}

/* At most SHEET_COLUMNS of the lead times, evenly chosen, the last among them. */
static squall_status write_sheet(job *j, const squall_product_info *info, squall_error *err)
{
    const squall_field *observed[SHEET_COLUMNS], *forecast[SHEET_COLUMNS];
    const size_t count = j->forecast->count < SHEET_COLUMNS ? j->forecast->count : SHEET_COLUMNS;
    for (size_t i = 0; i < count; i++) {
        const size_t k = (i + 1) * j->forecast->count / count - 1;
        forecast[i] = j->forecast->fields[k];
        observed[i] = cli_frames_at(&j->frames, forecast[i]->valid_time, 60);
    }
    return squall_sheet_write(j->want->sheet, observed, forecast, count, info, NULL, err);
}

/* What the network was given and what it gave. */
static squall_status write_tensors(const job *j, squall_error *err)
{
    char path[4096];
    squall_tensor input, output;
    squall_nowcaster_tensors(j->nowcaster, &input, &output);
    if (input.data == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, j->want->tensors, "no engine was run");
    }
    SQ_TRY(sq_folder_make(j->want->tensors, err));
    snprintf(path, sizeof path, "%s/input.npy", j->want->tensors);
    SQ_TRY(cli_npy_write(path, &input, err));
    snprintf(path, sizeof path, "%s/output.npy", j->want->tensors);
    return cli_npy_write(path, &output, err);
}

static squall_status write_products(job *j, squall_error *err)
{
    squall_product_info info;
    const double start = sq_clock_s();
    describe(j, &info);
    if (j->want->out != NULL) {
        squall_product_ensemble ensemble;
        describe_ensemble(j->forecast->ensemble, j->want->cost_loss, &ensemble);
        SQ_TRY(squall_netcdf_write_ensemble(j->want->out,
                                            (const squall_field *const *)j->forecast->fields,
                                            j->forecast->count, &ensemble, &info, err));
    }
    if (j->want->maps != NULL) {
        SQ_TRY(write_maps(j, &info, err));
    }
    if (j->want->sheet != NULL) {
        SQ_TRY(write_sheet(j, &info, err));
    }
    if (j->want->tensors != NULL) {
        SQ_TRY(write_tensors(j, err));
    }
    j->write_s = sq_clock_s() - start;
    return SQUALL_OK;
}

static json_t *job_json(const job *j)
{
    const squall_forecast *f = j->forecast;
    json_t *leads = json_array();
    for (size_t i = 0; i < f->count; i++) {
        json_array_append_new(leads, json_integer(f->leads_s[i]));
    }
    return json_pack(
        "{s:o, s:s, s:I, s:o, s:f, s:s, s:I, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f}, s:I, s:o, "
        "s:o}",
        "issue_time", cli_time(f->issue_time), "method", squall_method_name(f->method), "members",
        (json_int_t)(f->ensemble != NULL ? f->ensemble->members : 1), "leads_s", leads,
        "quality_index", f->quality_index, "quality", f->quality, "frames",
        (json_int_t)j->past_count, "seconds", "read", j->load_s, "motion", f->motion_s, "features",
        f->features_s, "engine", f->engine_s, "fields", f->fields_s, "forecast", j->run_s, "write",
        j->write_s, "peak_bytes", (json_int_t)cli_peak_bytes(), "scores",
        j->want->score ? cli_scores_json(&j->scores) : json_null(), "notes",
        cli_notes_json(j->notes));
}

static void print_job(const job *j)
{
    char time[SQ_TIME_TEXT];
    const squall_forecast *f = j->forecast;
    printf("forecast by %s from %s, %zu lead times to +%d min, quality %.2f (%s)\n",
           squall_method_name(f->method), sq_time_format(f->issue_time, time), f->count,
           f->leads_s[f->count - 1] / 60, f->quality_index, f->quality);
    if (j->want->score) {
        cli_scores_print(&j->scores);
        printf("\n");
    }
    printf("run time: read %.0f ms, forecast %.0f ms (motion %.0f, features %.0f, engine %.0f, "
           "fields %.0f), write %.0f ms; peak memory %.0f MB\n",
           1e3 * j->load_s, 1e3 * j->run_s, 1e3 * f->motion_s, 1e3 * f->features_s,
           1e3 * f->engine_s, 1e3 * f->fields_s, 1e3 * j->write_s, (double)cli_peak_bytes() / 1e6);
}

static squall_status carry_out(job *j, const cli_list *paths, squall_method method,
                               squall_error *err)
{
    const double start = sq_clock_s();
    SQ_TRY(open_engine(j, err));
    SQ_TRY(set_ensemble(j, err));
    SQ_TRY(cli_frames_open(paths, &j->want->input, j->notes, &j->frames, err));
    SQ_TRY(cli_sources_open(&j->sources, &j->want->sources, j->notes, err));
    SQ_TRY(read_past(j, err));
    const double read = sq_clock_s();
    if (method == SQUALL_METHOD_AUTO && j->want->engine != NULL) {
        method = SQUALL_METHOD_MODEL; /* an engine that cannot be used lowers the quality */
    }
    SQ_TRY(run_method(j, method, &j->forecast, j->notes, err));
    if (j->want->calibration != NULL && j->forecast->ensemble != NULL) {
        SQ_TRY(cli_calibration_apply(j->want->calibration, j->forecast, err));
    } else if (j->want->calibration != NULL) {
        sq_note(j->notes, j->want->calibration, "not used: %s gives no probabilities",
                squall_method_name(j->forecast->method));
    }
    j->load_s = read - start;
    j->run_s = sq_clock_s() - read;
    if (j->want->score) {
        SQ_TRY(score(j, err));
    }
    return write_products(j, err);
}

static void release(job *j)
{
    for (size_t k = 0; k < CLI_METHODS; k++) {
        if (j->forecasts[k] != j->forecast) {
            squall_forecast_destroy(&j->forecasts[k]);
        }
    }
    squall_forecast_destroy(&j->forecast);
    cli_scores_free(&j->scores);
    sq_free(j->past);
    cli_sources_close(&j->sources);
    cli_frames_close(&j->frames);
    squall_nowcaster_destroy(&j->nowcaster);
    squall_engine_close(&j->engine);
    squall_notes_destroy(&j->notes);
}

static int run(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    request want = {.method = "auto",
                    .issue = SQUALL_TIME_NONE,
                    .now = sq_time_now(),
                    .threshold = 1.0,
                    .members = 20,
                    .title = "Rain rate nowcast"};
    job j = {.want = &want, .notes = squall_notes_create()};
    squall_method method;
    cli_list paths;
    int code;
    cli_input_init(&want.input);
    const cli_option options[] = {
        {.name = "engine",
         .argument = "FILE",
         .text = &want.engine,
         .help = "engine to forecast with (default: extrapolation)"},
        CLI_ENGINE_OPTIONS(want.open),
        {.name = "source",
         .argument = "NAME=PATH",
         .list = &want.sources,
         .help = "frames of another source (satellite=DIR) or a static map; may be given again"},
        {.name = "issue",
         .argument = "TIME",
         .time = &want.issue,
         .help = "forecast from the newest frame not after this (default: the newest)"},
        {.name = "now",
         .argument = "TIME",
         .time = &want.now,
         .help = "frames after this are from the future and left out (default: the clock)"},
        {.name = "leads",
         .argument = "MIN,MIN,...",
         .text = &want.leads,
         .help = "lead times, minutes (default: the engine's, or 5 to 60)"},
        {.name = "method",
         .argument = "NAME",
         .text = &want.method,
         .help = "auto (default), engine, extrapolation, sprog, steps, blend or persistence"},
        {.name = "motion",
         .argument = "NAME",
         .text = &want.motion,
         .help = "how motion is found: dense (default), lucas-kanade or spectral"},
        {.name = "members",
         .argument = "N",
         .number = &want.members,
         .low = 1,
         .high = SQUALL_ENSEMBLE_MEMBERS,
         .help = "forecasts of the ensemble of steps (default 20)"},
        {.name = "seed",
         .argument = "S",
         .number = &want.seed,
         .low = 0,
         .high = INT32_MAX,
         .help = "of its random numbers (default 0); the same seed gives the same bits"},
        {.name = "calibration",
         .argument = "FILE",
         .text = &want.calibration,
         .help = "calibrate its probabilities (squall verify --suite --calibration-out)"},
        {.name = "cost-loss",
         .argument = "R",
         .real = &want.cost_loss,
         .low = 0,
         .high = 1,
         .help = "write alarms where the probability is at least R, cost of an alarm over loss"},
        {.name = "no-members",
         .flag = &want.no_members,
         .help = "write mean and probabilities of an ensemble, not its members"},
        {.name = "out", .argument = "FILE.nc", .text = &want.out, .help = "write CF-NetCDF"},
        {.name = "maps",
         .argument = "DIR",
         .text = &want.maps,
         .help = "write a PNG map for each lead time"},
        {.name = "sheet",
         .argument = "FILE.png",
         .text = &want.sheet,
         .help = "write a contact sheet, observations above forecasts"},
        {.name = "tensors",
         .argument = "DIR",
         .text = &want.tensors,
         .help = "write what the network was given and gave, as .npy"},
        {.name = "title", .argument = "TEXT", .text = &want.title, .help = "title of the products"},
        {.name = "attribution",
         .argument = "TEXT",
         .text = &want.attribution,
         .help = "whose data it is, as its licence asks"},
        {.name = "score",
         .flag = &want.score,
         .help = "score all methods against the frames that came later"},
        {.name = "threshold",
         .argument = "MM_H",
         .real = &want.threshold,
         .low = 0,
         .high = 100000,
         .help = "rain rate of the scores' event (default 1)"},
        {.name = "threads",
         .argument = "N",
         .number = &want.threads,
         .low = 0,
         .high = 256,
         .help = "threads (default: one for each processor)"},
        CLI_INPUT_OPTIONS(want.input),
        {.name = "strict", .flag = &want.strict, .help = "exit with 3 when the quality is below 1"},
        {.name = "json", .flag = &want.json, .help = "print the result as JSON"},
    };
    if (!cli_parse(&cli_forecast, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        squall_notes_destroy(&j.notes);
        return code;
    }
    if (paths.count == 0) {
        fprintf(stderr, "squall forecast: name radar files or folders\n");
        code = CLI_USAGE;
    } else if (!parse_method(want.method, &method) || !parse_leads(&j) ||
               !cli_parse_motion("forecast", want.motion, &j.motion)) {
        code = CLI_USAGE;
    } else if (carry_out(&j, &paths, method, &err) != SQUALL_OK) {
        cli_print_notes("forecast", j.notes);
        code = cli_report("forecast", &err);
    } else {
        if (want.json) {
            code = cli_print_json(job_json(&j));
        } else {
            print_job(&j);
        }
        cli_print_notes("forecast", j.notes);
        if (code == CLI_OK && want.strict && j.forecast->quality_index < 1.0) {
            code = CLI_DEGRADED;
        }
    }
    release(&j);
    cli_list_free(&want.sources);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_forecast = {
    .name = "forecast",
    .arguments = "PATH...",
    .summary = "forecast rain from radar files",
    .details = "PATH is a file or a folder; frames are put in the order of their times. What is "
               "missing or\n"
               "broken is named on stderr, and the forecast is made from the rest.",
    .run = run,
};
