/* cli/cli_suite_html.c - the suite's document as one HTML page: no script, nothing from elsewhere.
 */
#include <math.h>
#include <string.h>

#include "cli/cli_suite.h"

enum { POINTS = 64 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6b7c;--line:#d8dee6;--back:#fff;"
    "--box:#f5f7fa}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e9f0;--soft:#9aa7b6;--line:#333d4a;"
    "--back:#141a21;--box:#1c242d}}"
    "body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--back);"
    "max-width:75rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
    "p{color:var(--soft);margin:0 0 1rem}.p{display:flex;flex-wrap:wrap;gap:1rem}"
    "figure{margin:0;width:22rem}figcaption{font-size:.8rem}"
    "table{border-collapse:collapse;font-size:.85rem}.scroll{overflow-x:auto}"
    "th,td{text-align:right;padding:.2rem .6rem;border-bottom:1px solid var(--line);"
    "font-variant-numeric:tabular-nums;white-space:nowrap}th{color:var(--soft)}"
    "th:first-child,td:first-child{text-align:left}.i{color:var(--soft);font-size:.75rem}"
    ".b{color:#1f8a4c;font-weight:600}.w{color:#c0392b;font-weight:600}"
    "svg{width:100%;height:auto;background:var(--box);border-radius:.4rem}"
    "svg text{fill:var(--soft);font:10px system-ui,sans-serif}svg .h{fill:var(--ink);"
    "font-size:12px}.g{stroke:var(--line);fill:none}";

/* The numbers of one line. */
typedef struct points {
    double x[POINTS], y[POINTS], low[POINTS], high[POINTS];
} points;

static double at(const json_t *list, size_t index)
{
    const json_t *value = json_array_get(list, index);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* A score by lead time, a line for each method. */
static void add_score_plot(sq_text *page, const json_t *methods, const char *score,
                           const char *title)
{
    static const size_t most = SUITE_METHODS;
    suite_line lines[SUITE_METHODS];
    points *all = sq_alloc(most, sizeof *all);
    const suite_plot plot = {.title = title, .x_label = "lead time, min"};
    size_t count = 0, i;
    const char *name;
    json_t *leads, *lead;
    page->failed = page->failed || all == NULL;
    if (all == NULL) {
        return;
    }
    json_object_foreach((json_t *)methods, name, leads)
    {
        points *p = &all[count];
        lines[count] =
            (suite_line){.name = name, .x = p->x, .y = p->y, .low = p->low, .high = p->high};
        json_array_foreach(leads, i, lead)
        {
            const json_t *value = json_object_get(json_object_get(lead, "scores"), score);
            p->x[i] = json_number_value(json_object_get(lead, "lead_min"));
            p->y[i] = at(value, 0);
            p->low[i] = at(value, 1);
            p->high[i] = at(value, 2);
            lines[count].count = i + 1;
        }
        count++;
    }
    suite_plot_add(page, &plot, lines, count);
    sq_free(all);
}

/* How a curve is taken from a lead time's "curves". */
typedef struct curve {
    const char *threshold; /* NULL: beside the probabilities */
    const char *x, *y;     /* x NULL: 0, 1, 2, ... as a share of all */
    bool normalise;
    suite_plot plot;
} curve;

/* One curve of every method at the last of its lead times. */
static void add_curves(sq_text *page, const json_t *methods, const curve *c)
{
    suite_line lines[SUITE_METHODS];
    points *all = sq_alloc(SUITE_METHODS, sizeof *all);
    size_t count = 0, i;
    const char *name;
    json_t *leads, *value;
    page->failed = page->failed || all == NULL;
    if (all == NULL) {
        return;
    }
    json_object_foreach((json_t *)methods, name, leads)
    {
        const json_t *last = json_array_get(leads, json_array_size(leads) - 1);
        const json_t *from = json_object_get(last, "curves");
        if (c->threshold != NULL) {
            from = json_object_get(json_object_get(from, "probabilities"), c->threshold);
        }
        const json_t *y = json_object_get(from, c->y);
        double sum = 0;
        json_array_foreach(y, i, value)
        {
            sum += json_is_number(value) ? json_number_value(value) : 0;
        }
        if (c->normalise && !(sum > 0)) {
            continue; /* a single forecast has no ranks */
        }
        points *p = &all[count];
        lines[count] = (suite_line){.name = name, .x = p->x, .y = p->y};
        for (i = 0; i < json_array_size(y) && i < POINTS; i++) {
            p->x[i] = c->x != NULL ? at(json_object_get(from, c->x), i) : (double)i;
            p->x[i] = strcmp(c->y, "power_forecast") == 0 ? log2(p->x[i]) : p->x[i];
            p->y[i] = c->normalise ? at(y, i) / sum : at(y, i);
            lines[count].count = i + 1;
        }
        count++;
    }
    suite_plot_add(page, &c->plot, lines, count);
    sq_free(all);
}

static void add_plots(sq_text *page, const json_t *methods)
{
    static const char *const scores[][2] = {{"csi_0.5", "CSI at 0.5 mm/h"},
                                            {"csi_1", "CSI at 1 mm/h"},
                                            {"csi_5", "CSI at 5 mm/h"},
                                            {"fss_10km_1", "FSS at 1 mm/h, 10 km"},
                                            {"fss_40km_5", "FSS at 5 mm/h, 40 km"},
                                            {"mae", "MAE, mm/h"},
                                            {"crps", "CRPS, mm/h"},
                                            {"brier_1", "Brier score at 1 mm/h"},
                                            {"roc_area_1", "area under the ROC, 1 mm/h"},
                                            {"bias_1", "frequency bias at 1 mm/h"},
                                            {"mean_error", "mean error, mm/h"},
                                            {"sal_s", "SAL: |S|"},
                                            {"sal_a", "SAL: |A|"},
                                            {"sal_l", "SAL: L"},
                                            {"fine_power", "fine power over observed"}};
    static const curve shapes[] = {
        {"1",
         "probability",
         "frequency",
         false,
         {"reliability at 1 mm/h, last lead", "probability", 0, 1, true, false}},
        {"5",
         "probability",
         "frequency",
         false,
         {"reliability at 5 mm/h, last lead", "probability", 0, 1, true, false}},
        {"1",
         "roc_false_alarms",
         "roc_hits",
         false,
         {"ROC at 1 mm/h, last lead", "false alarm rate", 0, 1, true, false}},
        {NULL,
         NULL,
         "ranks",
         true,
         {"ranks of the observation, last lead", "rank", 0, 0, false, false}},
        {NULL,
         "wavelength_cells",
         "power_forecast",
         false,
         {"power by wavelength, last lead", "log2 of the wavelength in cells", 0, 0, false, true}}};
    sq_text_add(page, "<div class=\"p\">\n");
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        add_score_plot(page, methods, scores[i][0], scores[i][1]);
    }
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        add_curves(page, methods, &shapes[i]);
    }
    sq_text_add(page, "</div>\n");
}

/* "0.512 [0.49, 0.53]" */
static void add_value(sq_text *page, const json_t *value)
{
    if (!json_is_array(value)) {
        sq_text_add(page, "<td>–</td>");
        return;
    }
    sq_text_add(page, "<td>%.4g <span class=\"i\">[%.4g, %.4g]</span></td>", at(value, 0),
                at(value, 1), at(value, 2));
}

/* A difference is marked where the test says that it is one; up is good for some scores. */
static void add_difference(sq_text *page, const char *score, const json_t *value)
{
    if (!json_is_array(value)) {
        sq_text_add(page, "<td>–</td>");
        return;
    }
    const bool up = strncmp(score, "csi", 3) == 0 || strncmp(score, "fss", 3) == 0;
    const bool sure = at(value, 3) <= 0.05 && strcmp(score, "fine_power") != 0;
    const bool better = (at(value, 0) > 0) == up;
    sq_text_add(page, "<td class=\"%s\">%+.4g <span class=\"i\">[%+.4g, %+.4g] p %.3g</span></td>",
                !sure    ? ""
                : better ? "b"
                         : "w",
                at(value, 0), at(value, 1), at(value, 2), at(value, 3));
}

static const char *const columns[] = {"csi_0.5", "csi_1", "csi_5",   "fss_10km_1",
                                      "mae",     "crps",  "brier_1", "fine_power"};

/* One table: scores of every method and lead, or what differs from extrapolation. */
static void add_table(sq_text *page, const json_t *methods, bool against)
{
    const char *name;
    json_t *leads, *lead;
    size_t i;
    sq_text_add(page, "<div class=\"scroll\"><table><tr><th>method</th><th>lead, min</th><th>issue "
                      "times</th>");
    for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
        sq_text_add(page, "<th>%s</th>", columns[k]);
    }
    sq_text_add(page, "</tr>\n");
    json_object_foreach((json_t *)methods, name, leads)
    {
        json_array_foreach(leads, i, lead)
        {
            const json_t *scores =
                json_object_get(lead, against ? "against_extrapolation" : "scores");
            if (scores == NULL) {
                continue;
            }
            sq_text_add(page, "<tr><td>");
            sq_text_add_html(page, name);
            sq_text_add(page, "</td><td>%lld</td><td>%lld</td>",
                        (long long)json_integer_value(json_object_get(lead, "lead_min")),
                        (long long)json_integer_value(json_object_get(lead, "issue_times")));
            for (size_t k = 0; k < sizeof columns / sizeof columns[0]; k++) {
                const json_t *value = json_object_get(scores, columns[k]);
                if (against) {
                    add_difference(page, columns[k], value);
                } else {
                    add_value(page, value);
                }
            }
            sq_text_add(page, "</tr>\n");
        }
    }
    sq_text_add(page, "</table></div>\n");
}

static void add_head(sq_text *page, const json_t *document)
{
    size_t i;
    json_t *sequence;
    sq_text_add(page,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
                "name=\"viewport\" content=\"width=device-width\"><title>Verification</title>"
                "<style>%s</style></head><body><h1>Verification of rain forecasts</h1>\n<p>",
                style);
    json_array_foreach(json_object_get(document, "sequences"), i, sequence)
    {
        sq_text_add(page, "%s", i > 0 ? ", " : "");
        sq_text_add_html(page, json_string_value(json_object_get(sequence, "name")));
        sq_text_add(page, " (%lld)",
                    (long long)json_integer_value(json_object_get(sequence, "issue_times")));
    }
    sq_text_add(page,
                ": %lld issue times in all. An event is a rate at or above the threshold; all "
                "methods are scored on the cells that the observation and the extrapolation cover; "
                "sums are pooled. In brackets and as bars: 95 %% of a block bootstrap over issue "
                "times (blocks of %lld, %lld resamples). Of an ensemble the mean is scored as a "
                "field; probabilities are shares of its members.</p>\n",
                (long long)json_integer_value(json_object_get(document, "issue_times")),
                (long long)json_integer_value(json_object_get(document, "bootstrap_block")),
                (long long)json_integer_value(json_object_get(document, "bootstrap_resamples")));
}

squall_status suite_html_write(const char *path, const json_t *document, squall_error *err)
{
    sq_text page = {0};
    const json_t *groups = json_object_get(document, "groups");
    size_t i;
    json_t *group;
    add_head(&page, document);
    json_array_foreach(groups, i, group)
    {
        const json_t *methods = json_object_get(group, "methods");
        sq_text_add(&page, "<h2>");
        sq_text_add_html(&page, json_string_value(json_object_get(group, "kind")));
        if (i > 0) {
            sq_text_add(&page, ": ");
            sq_text_add_html(&page, json_string_value(json_object_get(group, "name")));
        }
        sq_text_add(&page, " – %lld issue times</h2>\n",
                    (long long)json_integer_value(json_object_get(group, "issue_times")));
        if (i == 0) {
            add_plots(&page, methods);
        }
        add_table(&page, methods, false);
        if (i == 0) {
            sq_text_add(&page, "<h2>Against extrapolation, on the same times</h2>\n<p>Difference, "
                               "its interval and p. Coloured where p is at most 0.05: green is "
                               "better.</p>\n");
            add_table(&page, methods, true);
        }
    }
    sq_text_add(&page, "</body></html>\n");
    const squall_status status = page.failed
                                     ? sq_fail(err, SQUALL_E_MEMORY, path, "no memory for the page")
                                     : sq_file_write(path, page.data, page.length, err);
    sq_text_free(&page);
    return status;
}
