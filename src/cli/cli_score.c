/* cli/cli_score.c - scores of several methods over lead times, pooled over issue times. */
#include "cli/cli_score.h"

#include <math.h>
#include <string.h>

const squall_method cli_methods[CLI_METHODS] = {SQUALL_METHOD_MODEL, SQUALL_METHOD_EXTRAPOLATION,
                                                SQUALL_METHOD_PERSISTENCE, SQUALL_METHOD_SPROG,
                                                SQUALL_METHOD_STEPS};

squall_status cli_scores_init(cli_scores *scores, const int32_t *leads_s, size_t lead_count,
                              squall_error *err)
{
    scores->leads_s = leads_s;
    scores->lead_count = lead_count;
    scores->rows = sq_alloc(lead_count * CLI_METHODS, sizeof *scores->rows);
    return scores->rows != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, "scores", "no memory");
}

void cli_scores_free(cli_scores *scores)
{
    sq_free(scores->rows);
    scores->rows = NULL;
}

/* The cells that count: those that `field` covers. */
static void make_mask(const squall_field *field, uint8_t *mask)
{
    for (size_t i = 0; i < field->grid.width * field->grid.height; i++) {
        mask[i] = field->mask[i] != SQUALL_CELL_NO_COVERAGE;
    }
}

static squall_status add_lead(cli_scores *scores, squall_forecast *const *forecasts, size_t lead,
                              const squall_field *observed, const uint8_t *mask, squall_error *err)
{
    for (size_t k = 0; k < CLI_METHODS; k++) {
        if (forecasts[k] == NULL) {
            continue;
        }
        cli_score *row = &scores->rows[lead * CLI_METHODS + k];
        const squall_field *field = forecasts[k]->fields[lead];
        scores->used[k] = true;
        SQ_TRY(squall_contingency_add(&row->events, field, observed, mask, scores->threshold_mm_h,
                                      SQUALL_EVENT_GE, scores->cap_mm_h, err));
        SQ_TRY(squall_errors_add(&row->errors, field, observed, mask, scores->cap_mm_h, err));
        SQ_TRY(squall_fractions_add(&row->fractions, field, observed, mask, scores->threshold_mm_h,
                                    scores->scale, scores->cap_mm_h, err));
    }
    return SQUALL_OK;
}

squall_status cli_scores_add(cli_scores *scores, squall_forecast *const *forecasts,
                             cli_frames *frames, int32_t tolerance_s, squall_error *err)
{
    squall_status status = SQUALL_OK;
    uint8_t *mask = NULL;
    const squall_forecast *first = NULL;
    for (size_t k = 0; k < CLI_METHODS; k++) {
        first = first == NULL ? forecasts[k] : first;
    }
    if (first == NULL) {
        return SQUALL_OK;
    }
    const squall_grid *grid = &first->fields[0]->grid;
    mask = sq_alloc_raw(grid->width * grid->height, 1);
    if (mask == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "scores", "no memory for the mask");
    }
    for (size_t i = 0; i < scores->lead_count; i++) {
        const squall_field *observed =
            cli_frames_at(frames, first->issue_time + scores->leads_s[i], tolerance_s);
        if (observed == NULL) {
            continue;
        }
        make_mask((forecasts[1] != NULL ? forecasts[1] : first)->fields[i], mask);
        SQ_TRY_GOTO(add_lead(scores, forecasts, i, observed, mask, err));
    }
done:
    sq_free(mask);
    return status;
}

/* The scores of the table: each is a block with a column a method. */
enum { SCORE_CSI, SCORE_SECOND, SCORE_FSS, SCORES };

enum { COLUMN = 8 }; /* characters */

static double value_of(const cli_scores *scores, const cli_score *row, int score)
{
    switch (score) {
    case SCORE_CSI:
        return squall_csi(&row->events);
    case SCORE_SECOND:
        return scores->bias ? squall_bias(&row->events) : squall_mae(&row->errors);
    default:
        return squall_fss(&row->fractions);
    }
}

static void print_number(double value)
{
    if (isnan(value)) {
        printf(" %*s", COLUMN, "-");
    } else {
        printf(" %*.3f", COLUMN, value);
    }
}

static bool was_observed(const cli_scores *scores, size_t lead)
{
    size_t cells = 0;
    for (size_t k = 0; k < CLI_METHODS; k++) {
        cells += scores->rows[lead * CLI_METHODS + k].errors.cells;
    }
    return cells > 0;
}

/* "extrapolation" becomes "extrapo." */
static void print_name(const char *name)
{
    const bool fits = strlen(name) <= COLUMN;
    printf(" %*.*s%s", fits ? COLUMN : COLUMN - 1, fits ? COLUMN : COLUMN - 1, name,
           fits ? "" : ".");
}

static void print_headings(const cli_scores *scores)
{
    char title[SCORES][48];
    int used = 0;
    for (size_t k = 0; k < CLI_METHODS; k++) {
        used += scores->used[k] ? 1 : 0;
    }
    snprintf(title[SCORE_CSI], sizeof title[0], "CSI at %g mm/h", scores->threshold_mm_h);
    snprintf(title[SCORE_SECOND], sizeof title[0], "%s",
             scores->bias ? "frequency bias" : "MAE, mm/h");
    snprintf(title[SCORE_FSS], sizeof title[0], "FSS at %g mm/h, %zu cells", scores->threshold_mm_h,
             scores->scale);
    printf("\n%10s", "");
    for (int score = 0; score < SCORES; score++) {
        printf(" | %-*s", used * (COLUMN + 1) - 2, title[score]);
    }
    printf("\n%10s", "lead time");
    for (int score = 0; score < SCORES; score++) {
        printf("%s", " |");
        for (size_t k = 0; k < CLI_METHODS; k++) {
            if (scores->used[k]) {
                print_name(scores->names[k]);
            }
        }
    }
    printf("\n");
}

/* Minutes from the issue time or, where that is not known, the time itself. */
static void print_lead(const cli_scores *scores, size_t lead)
{
    if (scores->first_time != SQUALL_TIME_NONE) {
        char time[SQ_TIME_TEXT];
        printf("%s", sq_time_format(scores->first_time + scores->leads_s[lead], time));
    } else {
        printf("  +%3d min", scores->leads_s[lead] / 60);
    }
}

void cli_scores_print(const cli_scores *scores)
{
    print_headings(scores);
    for (size_t i = 0; i < scores->lead_count; i++) {
        if (!was_observed(scores, i)) {
            continue;
        }
        print_lead(scores, i);
        for (int score = 0; score < SCORES; score++) {
            printf("%s", " |");
            for (size_t k = 0; k < CLI_METHODS; k++) {
                if (scores->used[k]) {
                    print_number(value_of(scores, &scores->rows[i * CLI_METHODS + k], score));
                }
            }
        }
        printf("\n");
    }
}

static json_t *row_json(const cli_score *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "csi",
                     cli_real(squall_csi(&row->events)), "pod", cli_real(squall_pod(&row->events)),
                     "far", cli_real(squall_far(&row->events)), "bias",
                     cli_real(squall_bias(&row->events)), "mae", cli_real(squall_mae(&row->errors)),
                     "rmse", cli_real(squall_rmse(&row->errors)), "mean_error",
                     cli_real(squall_mean_error(&row->errors)), "fss",
                     cli_real(squall_fss(&row->fractions)), "hits", (json_int_t)row->events.hits,
                     "misses", (json_int_t)row->events.misses, "false_alarms",
                     (json_int_t)row->events.false_alarms, "cells", (json_int_t)row->errors.cells);
}

json_t *cli_scores_json(const cli_scores *scores)
{
    json_t *methods = json_object();
    for (size_t k = 0; k < CLI_METHODS; k++) {
        if (!scores->used[k]) {
            continue;
        }
        json_t *list = json_array();
        for (size_t i = 0; i < scores->lead_count; i++) {
            json_t *row = row_json(&scores->rows[i * CLI_METHODS + k]);
            if (scores->first_time != SQUALL_TIME_NONE) {
                json_object_set_new(row, "valid_time",
                                    cli_time(scores->first_time + scores->leads_s[i]));
            } else {
                json_object_set_new(row, "lead_s", json_integer(scores->leads_s[i]));
            }
            json_array_append_new(list, row);
        }
        json_object_set_new(methods, scores->names[k], list);
    }
    return json_pack("{s:f, s:f, s:I, s:s, s:o}", "threshold_mm_h", scores->threshold_mm_h,
                     "cap_mm_h", scores->cap_mm_h, "fss_scale_cells", (json_int_t)scores->scale,
                     "event", "rate >= threshold", "methods", methods);
}
