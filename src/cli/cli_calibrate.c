/* cli/cli_calibrate.c - probabilities made to say what comes: fitted by the suite, kept in a small
 * file, applied to forecasts. */
#include <math.h>
#include <string.h>

#include "cli/cli_suite.h"

#define FORMAT "squall-calibration-1"

enum { DAY_S = 86400 };

/* --- fitting --- */

/* What is held back at once: a sequence or, where there is but one, a day of it. */
static size_t unit_of(const suite *s, size_t issue)
{
    return s->sequence_count > 1
               ? s->issues[issue].sequence
               : (size_t)(s->issues[issue].time / DAY_S - s->issues[0].time / DAY_S);
}

static size_t count_units(const suite *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->issue_count; i++) {
        const size_t unit = unit_of(s, i);
        count = unit + 1 > count ? unit + 1 : count;
    }
    return count;
}

/* The bins of a method, lead and threshold, of all units but `unit` (SIZE_MAX: of all), or, with
 * `only`, of that unit alone. */
static void add_up(const suite *s, size_t method, size_t lead, size_t threshold, size_t unit,
                   bool only, double *out)
{
    memset(out, 0, (1 + 3 * SUITE_BINS) * sizeof *out);
    for (size_t i = 0; i < s->issue_count; i++) {
        const size_t at = (i * s->method_count + method) * s->want->lead_count + lead;
        if (!s->present[at] || (unit_of(s, i) == unit) != only) {
            continue;
        }
        for (size_t k = 0; k < 1 + 3 * SUITE_BINS; k++) {
            out[k] += s->sums[at].chances[threshold][k];
        }
    }
}

/* For each bin the probability that is given for it; bins without a forecast go by their
 * neighbours. False without memory. */
static bool fit(const double *slice, double *out)
{
    double weight[SUITE_BINS], value[SUITE_BINS];
    for (size_t k = 0; k < SUITE_BINS; k++) {
        const double *bin = slice + 1 + 3 * k;
        weight[k] = bin[0];
        value[k] = bin[0] > 0 ? bin[1] / bin[0] : (double)k / (SUITE_BINS - 1);
    }
    return squall_isotonic_fit(value, weight, SUITE_BINS, out, NULL) == SQUALL_OK;
}

/* Brier score and reliability of what was seen in `slice`, probabilities replaced by `map` (NULL:
 * as they were). */
static void judge(const double *slice, const double *map, double *brier, double *reliability)
{
    double cells = 0;
    *brier = *reliability = 0;
    for (size_t k = 0; k < SUITE_BINS; k++) {
        const double *bin = slice + 1 + 3 * k;
        if (bin[0] > 0) {
            const double p = map != NULL ? map[k] : bin[2] / bin[0], seen = bin[1] / bin[0];
            *brier += bin[0] * (p * p - 2 * p * seen + seen);
            *reliability += bin[0] * (p - seen) * (p - seen);
            cells += bin[0];
        }
    }
    *brier = cells > 0 ? *brier / cells : NAN;
    *reliability = cells > 0 ? *reliability / cells : NAN;
}

/* Each unit by the fit to all others: [Brier before, after, reliability before, after]. */
static json_t *held_back(const suite *s, size_t method, size_t lead, size_t threshold)
{
    double sum[4] = {0}, count = 0;
    const size_t units = count_units(s);
    for (size_t unit = 0; units > 1 && unit < units; unit++) {
        double others[1 + 3 * SUITE_BINS], own[1 + 3 * SUITE_BINS], map[SUITE_BINS], found[4];
        add_up(s, method, lead, threshold, unit, false, others);
        add_up(s, method, lead, threshold, unit, true, own);
        if (!fit(others, map)) {
            return NULL;
        }
        judge(own, NULL, &found[0], &found[2]);
        judge(own, map, &found[1], &found[3]);
        if (!isnan(found[0])) {
            for (int i = 0; i < 4; i++) {
                sum[i] += found[i];
            }
            count += 1;
        }
    }
    if (!(count > 0)) {
        return json_null();
    }
    return json_pack("{s:f, s:f, s:f, s:f}", "brier_before", sum[0] / count, "brier_after",
                     sum[1] / count, "reliability_before", sum[2] / count, "reliability_after",
                     sum[3] / count);
}

json_t *suite_calibration(const suite *s, size_t method)
{
    json_t *rows = json_array();
    for (size_t lead = 0; lead < s->want->lead_count; lead++) {
        for (size_t t = 0; t < SUITE_THRESHOLDS; t++) {
            double all[1 + 3 * SUITE_BINS], map[SUITE_BINS];
            add_up(s, method, lead, t, SIZE_MAX, false, all);
            if (!fit(all, map)) {
                json_decref(rows);
                return NULL;
            }
            json_t *values = json_array();
            for (size_t k = 0; k < SUITE_BINS; k++) {
                json_array_append_new(values, json_real(map[k]));
            }
            json_array_append_new(rows,
                                  json_pack("{s:I, s:f, s:o, s:o}", "lead_min",
                                            (json_int_t)s->want->leads_min[lead], "threshold_mm_h",
                                            suite_thresholds_mm_h[t], "calibrated", values,
                                            "held_back", held_back(s, method, lead, t)));
        }
    }
    return json_pack("{s:s, s:s, s:I, s:I, s:o}", "format", FORMAT, "method",
                     s->methods[method].name, "members", (json_int_t)s->want->members,
                     "issue_times", (json_int_t)s->issue_count, "maps", rows);
}

/* --- applying --- */

/* One map of the file: evenly spaced from 0 to 1. False for what is none. */
static bool read_map(const json_t *row, double *out, size_t *count)
{
    const json_t *list = json_object_get(row, "calibrated");
    *count = json_array_size(list);
    if (*count < 2 || *count > SQUALL_PROBABILITY_BINS) {
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const json_t *value = json_array_get(list, i);
        out[i] = json_number_value(value);
        if (!json_is_number(value) || !(out[i] >= 0 && out[i] <= 1) ||
            (i > 0 && out[i] < out[i - 1])) {
            return false;
        }
    }
    return true;
}

/* The row of the threshold whose lead is nearest; NULL when there is none. */
static const json_t *nearest(const json_t *maps, double threshold_mm_h, int32_t lead_s)
{
    size_t i;
    json_t *row;
    const json_t *best = NULL;
    double least = INFINITY;
    json_array_foreach(maps, i, row)
    {
        const double away =
            fabs(60.0 * json_number_value(json_object_get(row, "lead_min")) - (double)lead_s);
        const double off =
            json_number_value(json_object_get(row, "threshold_mm_h")) - threshold_mm_h;
        if (fabs(off) < 1e-4 && away < least) {
            best = row;
            least = away;
        }
    }
    return best;
}

static void apply_map(squall_field *field, const double *map, size_t count)
{
    for (size_t i = 0; i < field->grid.width * field->grid.height; i++) {
        if (field->mask[i] != SQUALL_CELL_NO_COVERAGE) {
            const double at = (double)field->values[i] * (double)(count - 1);
            const size_t low = at < (double)(count - 1) ? (size_t)at : count - 2;
            field->values[i] = (float)(map[low] + (at - (double)low) * (map[low + 1] - map[low]));
        }
    }
}

squall_status cli_calibration_apply(const char *path, squall_forecast *forecast, squall_error *err)
{
    squall_status status = SQUALL_OK;
    char *text = NULL;
    size_t length = 0;
    double map[SQUALL_PROBABILITY_BINS];
    squall_ensemble *e = forecast->ensemble;
    SQ_TRY(cli_read_text(path, &text, &length, err));
    json_error_t problem;
    json_t *document = json_loadb(text, length, 0, &problem);
    const char *format = json_string_value(json_object_get(document, "format"));
    const json_t *maps = json_object_get(document, "maps");
    if (document == NULL || format == NULL || strcmp(format, FORMAT) != 0) {
        status =
            sq_fail(err, SQUALL_E_FORMAT, path,
                    "is no calibration (%s); squall verify --suite --calibration-out makes one",
                    document == NULL ? problem.text : "its format is not " FORMAT);
        goto done;
    }
    for (size_t i = 0; i < e->leads * SQUALL_ENSEMBLE_THRESHOLDS; i++) {
        size_t count;
        const double threshold = (double)e->thresholds_mm_h[i % SQUALL_ENSEMBLE_THRESHOLDS];
        const json_t *row =
            nearest(maps, threshold, forecast->leads_s[i / SQUALL_ENSEMBLE_THRESHOLDS]);
        if (row == NULL || !read_map(row, map, &count)) {
            status = sq_fail(err, SQUALL_E_FORMAT, path,
                             "has no map for %g mm/h, or one that is not from 0 to 1 and rising",
                             threshold);
            goto done;
        }
        apply_map(e->probabilities[i], map, count);
    }
done:
    json_decref(document);
    sq_free(text);
    return status;
}
