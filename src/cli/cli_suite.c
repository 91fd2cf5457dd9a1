/* cli/cli_suite.c - the forecasts of squall verify --suite and their sums. */
#include "cli/cli_suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const suite_regimes[SUITE_REGIMES] = {"scattered", "widespread", "convective"};
const char *const suite_seasons[SUITE_SEASONS] = {"winter", "spring", "summer", "autumn"};

/* --- methods --- */

static squall_status add_method(suite *s, const char *name, squall_method method,
                                squall_engine *engine, squall_error *err)
{
    if (s->method_count == SUITE_METHODS) {
        squall_engine_close(&engine);
        return sq_fail(err, SQUALL_E_ARGUMENT, "--methods", "more than %d methods and engines",
                       SUITE_METHODS);
    }
    suite_method *m = &s->methods[s->method_count++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->method = method;
    m->engine = engine;
    SQ_TRY(squall_nowcaster_create(engine, s->want->threads, &m->nowcaster, err));
    SQ_TRY(squall_nowcaster_set_motion(m->nowcaster, s->want->motion, err));
    squall_ensemble_options options;
    squall_ensemble_options_init(&options);
    options.members = s->want->members;
    options.seed = (uint64_t)s->want->seed;
    options.keep_members = 1;
    return squall_nowcaster_set_ensemble(m->nowcaster, &options, err);
}

/* Extrapolation is always there: what it covers is what all are scored on. */
static squall_status make_methods(suite *s, squall_error *err)
{
    SQ_TRY(add_method(s, "extrapolation", SQUALL_METHOD_EXTRAPOLATION, NULL, err));
    char list[256];
    snprintf(list, sizeof list, "%s", s->want->methods);
    char *rest = NULL;
    bool blend = false;
    for (char *word = strtok_r(list, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        int method = SQUALL_METHOD_PERSISTENCE;
        while (method < SQUALL_METHODS &&
               strcmp(word, squall_method_name((squall_method)method)) != 0) {
            method++;
        }
        if (method == SQUALL_METHODS || method == SQUALL_METHOD_MODEL) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--methods",
                           "'%s' is no method without an engine (name engines by --engine)", word);
        }
        blend = blend || method == SQUALL_METHOD_BLEND;
        if (method != SQUALL_METHOD_EXTRAPOLATION && method != SQUALL_METHOD_BLEND) {
            SQ_TRY(add_method(s, word, (squall_method)method, NULL, err));
        }
    }
    for (size_t i = 0; i < s->want->engines->count; i++) {
        const char *path = s->want->engines->items[i], *slash = strrchr(path, '/');
        squall_engine *engine = NULL;
        SQ_TRY(cli_engine_open(s->want->open, path, &engine, s->notes, err));
        SQ_TRY(add_method(s, slash != NULL ? slash + 1 : path, SQUALL_METHOD_MODEL, engine, err));
        if (blend) {
            char name[64];
            snprintf(name, sizeof name, "blend of %.50s", slash != NULL ? slash + 1 : path);
            SQ_TRY(cli_engine_open(s->want->open, path, &engine, s->notes, err));
            SQ_TRY(add_method(s, name, SQUALL_METHOD_BLEND, engine, err));
        }
    }
    return SQUALL_OK;
}

/* --- one issue time --- */

/* What kind of rain it is: by the share of cells at or above 0.1 mm/h and of the rain that falls
 * at 10 mm/h or more. */
static size_t find_regime(const squall_field *field)
{
    double covered = 0, wet = 0, rain = 0, heavy = 0;
    for (size_t i = 0; i < field->grid.width * field->grid.height; i++) {
        if (field->mask[i] != SQUALL_CELL_NO_COVERAGE) {
            const double rate = (double)field->values[i];
            covered += 1;
            wet += rate >= 0.1 ? 1 : 0;
            rain += rate;
            heavy += rate >= 10 ? rate : 0;
        }
    }
    return rain > 0 && heavy > 0.3 * rain ? 2 : wet > 0.1 * covered ? 1 : 0;
}

static size_t find_season(const squall_field *field)
{
    const time_t time = (time_t)field->valid_time;
    struct tm utc;
    double column = 0.5 * (double)field->grid.width, row = 0.5 * (double)field->grid.height;
    if (gmtime_r(&time, &utc) == NULL) {
        return 0;
    }
    const size_t season = (size_t)((utc.tm_mon + 1) % 12 / 3);
    const bool south =
        squall_grid_to_lonlat(&field->grid, &column, &row, 1, &column, &row, NULL) == SQUALL_OK &&
        row < 0;
    return south ? (season + 2) % SUITE_SEASONS : season;
}

/* Room for one more issue time. */
static squall_status add_issue(suite *s, const squall_field *newest, size_t sequence,
                               squall_error *err)
{
    const size_t each = s->method_count * s->want->lead_count;
    if (s->issue_count == s->room) {
        const size_t room = s->room > 0 ? 2 * s->room : 16;
        suite_issue *issues = sq_alloc(room, sizeof *issues);
        suite_sums *sums = sq_alloc(room * each, sizeof *sums);
        bool *present = sq_alloc(room * each, sizeof *present);
        if (issues == NULL || sums == NULL || present == NULL) {
            sq_free(issues);
            sq_free(sums);
            sq_free(present);
            return sq_fail(err, SQUALL_E_MEMORY, "suite", "no memory for %zu issue times", room);
        }
        if (s->issue_count > 0) {
            memcpy(issues, s->issues, s->issue_count * sizeof *issues);
            memcpy(sums, s->sums, s->issue_count * each * sizeof *sums);
            memcpy(present, s->present, s->issue_count * each * sizeof *present);
        }
        sq_free(s->issues);
        sq_free(s->sums);
        sq_free(s->present);
        s->issues = issues;
        s->sums = sums;
        s->present = present;
        s->room = room;
    }
    s->issues[s->issue_count++] = (suite_issue){.time = newest->valid_time,
                                                .sequence = sequence,
                                                .regime = find_regime(newest),
                                                .season = find_season(newest)};
    return SQUALL_OK;
}

/* Score one method's forecast at all lead times. */
static squall_status score_method(suite *s, size_t method, const squall_forecast *f,
                                  cli_frames *frames, uint8_t *const *masks, squall_error *err)
{
    const size_t leads = s->want->lead_count;
    const size_t at = ((s->issue_count - 1) * s->method_count + method) * leads;
    for (size_t k = 0; k < leads; k++) {
        const squall_field *observed =
            cli_frames_at(frames, f->issue_time + 60 * s->want->leads_min[k], s->want->tolerance_s);
        if (observed == NULL || !squall_grid_equal(&observed->grid, &f->fields[k]->grid, 0.01)) {
            continue;
        }
        const squall_field *const own[1] = {f->fields[k]};
        const squall_ensemble *e = f->ensemble;
        SQ_TRY(suite_sums_add(&s->sums[at + k], f->fields[k],
                              e != NULL ? (const squall_field *const *)e->fields + k * e->members
                                        : own,
                              e != NULL ? e->members : 1, f->method != SQUALL_METHOD_STEPS,
                              observed, masks[k], s->want->input->max_rate_mm_h, err));
        s->present[at + k] = true;
    }
    return SQUALL_OK;
}

/* All methods from one issue time; the first, extrapolation, says which cells count. */
static squall_status run_issue(suite *s, size_t sequence, cli_frames *frames, int64_t issue,
                               const squall_field **past, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_forecast *f = NULL;
    uint8_t *masks[SUITE_LEADS] = {NULL};
    int32_t leads_s[SUITE_LEADS];
    const size_t leads = s->want->lead_count,
                 count = cli_frames_range(frames, issue - 7200, issue, past);
    const squall_source radar = {"radar", past, count};
    for (size_t k = 0; k < leads; k++) {
        leads_s[k] = (int32_t)(60 * s->want->leads_min[k]);
    }
    for (size_t m = 0; count > 0 && m < s->method_count; m++) {
        SQ_TRY_GOTO(squall_nowcast_run(s->methods[m].nowcaster, &radar, 1, issue, leads_s, leads,
                                       s->methods[m].method, &f, s->notes, err));
        if (m == 0 && f->method != SQUALL_METHOD_EXTRAPOLATION) {
            break; /* without a past none is compared */
        }
        if (m == 0) {
            SQ_TRY_GOTO(add_issue(s, past[count - 1], sequence, err));
        }
        for (size_t k = 0; m == 0 && k < leads; k++) {
            const size_t cells = f->fields[k]->grid.width * f->fields[k]->grid.height;
            masks[k] = sq_alloc_raw(cells, 1);
            if (masks[k] == NULL) {
                status = sq_fail(err, SQUALL_E_MEMORY, "suite", "no memory for a mask");
                goto done;
            }
            for (size_t i = 0; i < cells; i++) {
                masks[k][i] = f->fields[k]->mask[i] != SQUALL_CELL_NO_COVERAGE;
            }
        }
        if (f->method == s->methods[m].method) {
            SQ_TRY_GOTO(score_method(s, m, f, frames, masks, err));
        }
        squall_forecast_destroy(&f);
    }
done:
    squall_forecast_destroy(&f);
    for (size_t k = 0; k < leads; k++) {
        sq_free(masks[k]);
    }
    return status;
}

/* --- sequences --- */

/* "[NAME=]PATH[@COL,ROW,WIDTH,HEIGHT]" into its parts, which point into `text`. */
static void split(char *text, const char **name, const char **path, const char **window)
{
    char *equals = strchr(text, '='), *at = strrchr(text, '@');
    *name = NULL;
    *window = NULL;
    if (at != NULL) {
        *at = '\0';
        *window = at + 1;
    }
    *path = text;
    if (equals != NULL && (at == NULL || equals < at)) {
        *equals = '\0';
        *name = text;
        *path = equals + 1;
    }
    if (*name == NULL) {
        const char *slash = strrchr(*path, '/');
        *name = slash != NULL && slash[1] != '\0' ? slash + 1 : *path;
    }
}

static squall_status run_issues(suite *s, size_t sequence, cli_frames *frames, squall_error *err)
{
    squall_status status = SQUALL_OK;
    const squall_field **past = sq_alloc(frames->count, sizeof *past);
    if (past == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "frames", "no memory");
    }
    const int64_t last = squall_archive_time(frames->archive, frames->count - 1);
    int64_t previous = INT64_MIN / 2;
    for (size_t i = 0; i < frames->count; i++) {
        const int64_t time = squall_archive_time(frames->archive, i);
        if (time - previous < s->want->every_s || time + 60 * s->want->leads_min[0] > last ||
            (s->want->from != SQUALL_TIME_NONE && time < s->want->from) ||
            (s->want->to != SQUALL_TIME_NONE && time > s->want->to)) {
            continue;
        }
        const size_t before = s->issue_count;
        SQ_TRY_GOTO(run_issue(s, sequence, frames, time, past, err));
        if (s->issue_count > before) { /* the first frames have no past: soon again */
            previous = time;
        }
        cli_frames_forget(frames, time - 7200);
        cli_progress(s->names[sequence], i + 1, frames->count);
    }
    cli_progress(s->names[sequence], 1, 1);
done:
    sq_free(past);
    return status;
}

static squall_status run_sequence(suite *s, const char *argument, squall_error *err)
{
    char text[4096];
    const char *name, *path, *window;
    cli_frames frames;
    cli_input input = *s->want->input;
    if (s->sequence_count == SUITE_SEQUENCES || strlen(argument) >= sizeof text) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "sequences", "more than %d, or a name too long",
                       SUITE_SEQUENCES);
    }
    snprintf(text, sizeof text, "%s", argument);
    split(text, &name, &path, &window);
    input.window = window != NULL ? window : input.window;
    const cli_list one = {.items = &path, .count = 1};
    const size_t sequence = s->sequence_count++, before = s->issue_count;
    snprintf(s->names[sequence], sizeof s->names[sequence], "%.60s", name);
    SQ_TRY(cli_frames_open(&one, &input, s->notes, &frames, err));
    const squall_status status = run_issues(s, sequence, &frames, err);
    cli_frames_close(&frames);
    s->sequence_issues[sequence] = s->issue_count - before;
    return status;
}

static void release(suite *s)
{
    for (size_t m = 0; m < s->method_count; m++) {
        squall_nowcaster_destroy(&s->methods[m].nowcaster);
        squall_engine_close(&s->methods[m].engine);
    }
    sq_free(s->issues);
    sq_free(s->sums);
    sq_free(s->present);
    sq_free(s);
}

static squall_status carry_out(suite *s, squall_error *err)
{
    SQ_TRY(make_methods(s, err));
    for (size_t i = 0; i < s->want->paths->count; i++) {
        SQ_TRY(run_sequence(s, s->want->paths->items[i], err));
    }
    bool any = false;
    for (size_t i = 0; i < s->issue_count * s->method_count * s->want->lead_count; i++) {
        any = any || s->present[i];
    }
    return any ? SQUALL_OK
               : sq_fail(err, SQUALL_E_NO_DATA, "observations",
                         "no forecast could be made and scored: give longer sequences, shorter "
                         "--leads or a larger --tolerance");
}

static bool has_chances(const suite_method *method)
{
    const squall_recipe *recipe = squall_nowcaster_recipe(method->nowcaster);
    return method->method == SQUALL_METHOD_STEPS ||
           (recipe != NULL && squall_recipe_has_chances(recipe));
}

/* The maps of the first method with probabilities: STEPS, or an engine that gives them. */
static squall_status write_calibration(const suite *s, squall_error *err)
{
    size_t method = 0;
    while (method < s->method_count && !has_chances(&s->methods[method])) {
        method++;
    }
    if (method == s->method_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "--calibration-out",
                       "steps is not among the --methods, and no engine gives probabilities");
    }
    json_t *document = suite_calibration(s, method);
    char *text =
        document != NULL ? json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    const squall_status status = text != NULL
                                     ? sq_file_write(s->want->calibration, text, strlen(text), err)
                                     : sq_fail(err, SQUALL_E_MEMORY, "calibration", "no memory");
    free(text);
    json_decref(document);
    return status;
}

/* What a terminal shows: the scores that most people ask for. */
static void print_summary(const json_t *document)
{
    static const char *const shown[] = {"csi_1", "fss_10km_1", "mae", "crps", "bias_1"};
    const json_t *methods =
        json_object_get(json_array_get(json_object_get(document, "groups"), 0), "methods");
    const char *name;
    json_t *method, *lead;
    size_t i;
    printf("%-24s %9s", "method", "lead, min");
    for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
        printf(" %10s", shown[k]);
    }
    printf("\n");
    json_object_foreach((json_t *)methods, name, method)
    {
        json_array_foreach(method, i, lead)
        {
            printf("%-24s %9lld", name,
                   (long long)json_integer_value(json_object_get(lead, "lead_min")));
            for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
                const json_t *value =
                    json_array_get(json_object_get(json_object_get(lead, "scores"), shown[k]), 0);
                if (json_is_number(value)) {
                    printf(" %10.4f", json_number_value(value));
                } else {
                    printf(" %10s", "-");
                }
            }
            printf("\n");
        }
    }
}

int cli_suite_run(const suite_request *want, squall_notes *notes)
{
    squall_error err = {.code = SQUALL_OK};
    suite *s = sq_alloc(1, sizeof *s);
    if (s == NULL) {
        (void)sq_fail(&err, SQUALL_E_MEMORY, "suite", "no memory");
        return cli_report("verify", &err);
    }
    s->want = want;
    s->notes = notes;
    json_t *document = NULL;
    squall_status status = carry_out(s, &err);
    if (status == SQUALL_OK) {
        document = suite_json(s);
        if (document == NULL) {
            status = sq_fail(&err, SQUALL_E_MEMORY, "suite", "no memory for the report");
        }
    }
    if (status == SQUALL_OK && want->html != NULL) {
        status = suite_html_write(want->html, document, &err);
    }
    if (status == SQUALL_OK && want->calibration != NULL) {
        status = write_calibration(s, &err);
    }
    int code = CLI_OK;
    if (status != SQUALL_OK) {
        code = cli_report("verify", &err);
    } else if (want->json) {
        code = cli_print_json(json_incref(document));
    } else {
        print_summary(document);
    }
    json_decref(document);
    release(s);
    return code;
}
