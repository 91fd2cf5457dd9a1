/* cli/cli_suite_json.c - the suite's sums as a document: scores with intervals by group, method and
 * lead time, curves, comparisons. */
#include <math.h>
#include <string.h>

#include "cli/cli_suite.h"

enum { LARGEST_SLICE = 1 + 3 * SUITE_BINS };

/* Which issue times are looked at. */
typedef struct group {
    const char *kind, *name;
    const suite *s;
    size_t number;
} group;

static bool belongs(const group *g, const suite_issue *issue)
{
    return strcmp(g->kind, "all") == 0 ||
           (strcmp(g->kind, "region") == 0 && issue->sequence == g->number) ||
           (strcmp(g->kind, "regime") == 0 && issue->regime == g->number) ||
           (strcmp(g->kind, "season") == 0 && issue->season == g->number);
}

static size_t place(const suite *s, size_t issue, size_t method, size_t lead)
{
    return (issue * s->method_count + method) * s->want->lead_count + lead;
}

/* The slices of one method (or of two, side by side) in a group, and which sequence each is of. */
typedef struct slices {
    double *items;    /* owned */
    uint32_t *groups; /* owned */
    size_t count, width;
} slices;

static void free_slices(slices *list)
{
    sq_free(list->items);
    sq_free(list->groups);
}

/* `other` SIZE_MAX for one method alone. False without memory. */
static bool collect(const group *g, const suite_what *what, size_t method, size_t other,
                    size_t lead, slices *out)
{
    const suite *s = g->s;
    const size_t both = other != SIZE_MAX ? 2 : 1;
    size_t first, count;
    suite_score_slice(what, &first, &count);
    *out = (slices){.width = both * count};
    out->items = sq_alloc((s->issue_count + 1) * out->width, sizeof *out->items);
    out->groups = sq_alloc(s->issue_count + 1, sizeof *out->groups);
    if (out->items == NULL || out->groups == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->issue_count; i++) {
        const size_t a = place(s, i, method, lead);
        if (!belongs(g, &s->issues[i]) || !s->present[a] ||
            (both == 2 && !s->present[place(s, i, other, lead)])) {
            continue;
        }
        double *item = out->items + out->count * out->width;
        memcpy(item, (const double *)&s->sums[a] + first, count * sizeof *item);
        if (both == 2) {
            memcpy(item + count, (const double *)&s->sums[place(s, i, other, lead)] + first,
                   count * sizeof *item);
        }
        out->groups[out->count++] = (uint32_t)s->issues[i].sequence;
    }
    return true;
}

/* Score of the second less that of the first. */
static double difference(const double *sums, const void *arg)
{
    size_t first, count;
    suite_score_slice(arg, &first, &count);
    return suite_score_of(sums + count, arg) - suite_score_of(sums, arg);
}

/* [value, low, high] or, of two methods, [difference, low, high, p]; null where nothing is known.
 */
static json_t *interval(const group *g, const suite_what *what, size_t method, size_t other,
                        size_t lead)
{
    slices list;
    squall_interval found = {NAN, NAN, NAN, NAN};
    squall_bootstrap_options options;
    squall_bootstrap_options_init(&options);
    options.block = (uint32_t)g->s->want->block;
    options.resamples = (uint32_t)g->s->want->resamples;
    options.seed = (uint64_t)g->s->want->seed;
    if (collect(g, what, method, other, lead, &list) && list.count > 0) {
        if (squall_bootstrap(list.items, list.count, list.width, list.groups, &options,
                             other != SIZE_MAX ? difference : suite_score_of, what, &found,
                             NULL) != SQUALL_OK) {
            found.value = NAN;
        }
    }
    free_slices(&list);
    if (isnan(found.value)) {
        return json_null();
    }
    json_t *out = json_pack("[f, o, o]", found.value, cli_real(found.low), cli_real(found.high));
    if (other != SIZE_MAX) {
        json_array_append_new(out, cli_real(found.p));
    }
    return out;
}

static void name_of(const suite_what *what, char *out, size_t size)
{
    if (suite_score_has_threshold(what->score)) {
        snprintf(out, size, "%s_%g", suite_score_name(what->score),
                 suite_thresholds_mm_h[what->threshold]);
    } else {
        snprintf(out, size, "%s", suite_score_name(what->score));
    }
}

/* Every score, or with `other` only those by which methods are compared. */
static json_t *all_scores(const group *g, size_t method, size_t other, size_t lead)
{
    static const suite_what compared[] = {{SUITE_CSI, 1},    {SUITE_CSI, 2}, {SUITE_CSI, 3},
                                          {SUITE_FSS_10, 2}, {SUITE_MAE, 0}, {SUITE_CRPS, 0},
                                          {SUITE_BRIER, 2},  {SUITE_FINE, 0}};
    char name[48];
    json_t *scores = json_object();
    for (size_t k = 0; other != SIZE_MAX && k < sizeof compared / sizeof compared[0]; k++) {
        name_of(&compared[k], name, sizeof name);
        json_object_set_new(scores, name, interval(g, &compared[k], method, other, lead));
    }
    for (int score = 0; other == SIZE_MAX && score < SUITE_SCORES; score++) {
        const size_t levels = suite_score_has_threshold((suite_score)score) ? SUITE_THRESHOLDS : 1;
        for (size_t t = 0; t < levels; t++) {
            const suite_what what = {(suite_score)score, t};
            name_of(&what, name, sizeof name);
            json_object_set_new(scores, name, interval(g, &what, method, other, lead));
        }
    }
    return scores;
}

/* All sums of a method in a group; the number of issue times in it. */
static size_t total(const group *g, size_t method, size_t lead, suite_sums *out)
{
    const suite *s = g->s;
    size_t count = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < s->issue_count; i++) {
        const size_t at = place(s, i, method, lead);
        if (belongs(g, &s->issues[i]) && s->present[at]) {
            const double *from = (const double *)&s->sums[at];
            for (size_t k = 0; k < sizeof *out / sizeof(double); k++) {
                ((double *)out)[k] += from[k];
            }
            count++;
        }
    }
    return count;
}

static json_t *reals(const double *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, cli_real(values[i]));
    }
    return list;
}

/* Reliability diagram, with how often each probability was given, and ROC of one threshold. */
static json_t *probability_curves(const double *slice)
{
    double said[SUITE_BINS], seen[SUITE_BINS], often[SUITE_BINS];
    double x[SUITE_BINS + 1] = {0}, y[SUITE_BINS + 1] = {0};
    double events = 0, others = 0;
    for (size_t k = 0; k < SUITE_BINS; k++) {
        const double *bin = slice + 1 + 3 * k;
        said[k] = bin[0] > 0 ? bin[2] / bin[0] : NAN;
        seen[k] = bin[0] > 0 ? bin[1] / bin[0] : NAN;
        often[k] = bin[0];
        events += bin[1];
        others += bin[0] - bin[1];
    }
    for (size_t k = SUITE_BINS; k-- > 0;) {
        const double *bin = slice + 1 + 3 * k;
        const size_t at = SUITE_BINS - k;
        x[at] = x[at - 1] + (others > 0 ? (bin[0] - bin[1]) / others : 0);
        y[at] = y[at - 1] + (events > 0 ? bin[1] / events : 0);
    }
    json_t *value = json_object();
    static const double ratios[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.7};
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "%g", ratios[i]);
        json_object_set_new(value, name, cli_real(suite_value_of(slice, ratios[i])));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "economic_value", value, "probability",
                     reals(said, SUITE_BINS), "frequency", reals(seen, SUITE_BINS), "cells",
                     reals(often, SUITE_BINS), "roc_false_alarms", reals(x, SUITE_BINS + 1),
                     "roc_hits", reals(y, SUITE_BINS + 1));
}

static json_t *curves(const suite_sums *sums)
{
    json_t *chances = json_object();
    double wavelength[SUITE_WAVES];
    for (size_t t = 0; t < SUITE_THRESHOLDS; t++) {
        char name[16];
        snprintf(name, sizeof name, "%g", suite_thresholds_mm_h[t]);
        json_object_set_new(chances, name, probability_curves(sums->chances[t]));
    }
    for (size_t k = 0; k < SUITE_WAVES; k++) {
        wavelength[k] = 2.0 * pow(2.0, (double)k / 3.0);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "probabilities", chances, "ranks",
                     reals(sums->ranks, SUITE_RANKS), "wavelength_cells",
                     reals(wavelength, SUITE_WAVES), "power_forecast",
                     reals(sums->power, SUITE_WAVES), "power_observed",
                     reals(sums->power + SUITE_WAVES, SUITE_WAVES));
}

/* Every lead time of one method in a group. */
static json_t *leads_of(const group *g, size_t method)
{
    const suite *s = g->s;
    json_t *leads = json_array();
    for (size_t lead = 0; lead < s->want->lead_count; lead++) {
        suite_sums sums;
        const size_t count = total(g, method, lead, &sums);
        if (count == 0) {
            continue;
        }
        json_t *row =
            json_pack("{s:I, s:I, s:f, s:o}", "lead_min", (json_int_t)s->want->leads_min[lead],
                      "issue_times", (json_int_t)count, "cells", sums.errors[0], "scores",
                      all_scores(g, method, SIZE_MAX, lead));
        if (strcmp(g->kind, "all") == 0) {
            json_object_set_new(row, "curves", curves(&sums));
        }
        if (method > 0) {
            json_object_set_new(row, "against_extrapolation", all_scores(g, 0, method, lead));
        }
        json_array_append_new(leads, row);
    }
    return leads;
}

static json_t *group_json(const group *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->s->issue_count; i++) {
        count += belongs(g, &g->s->issues[i]) ? 1 : 0;
    }
    if (count == 0) {
        return NULL;
    }
    json_t *methods = json_object();
    for (size_t m = 0; m < g->s->method_count; m++) {
        json_object_set_new(methods, g->s->methods[m].name, leads_of(g, m));
    }
    return json_pack("{s:s, s:o, s:I, s:o}", "kind", g->kind, "name", cli_text(g->name),
                     "issue_times", (json_int_t)count, "methods", methods);
}

static void add_group(json_t *list, const suite *s, const char *kind, const char *name,
                      size_t number)
{
    const group g = {.kind = kind, .name = name, .s = s, .number = number};
    json_t *one = group_json(&g);
    if (one != NULL) {
        json_array_append_new(list, one);
    }
}

json_t *suite_json(const suite *s)
{
    json_t *groups = json_array(), *sequences = json_array();
    add_group(groups, s, "all", "all", 0);
    for (size_t i = 0; i < s->sequence_count; i++) {
        json_array_append_new(sequences,
                              json_pack("{s:o, s:I}", "name", cli_text(s->names[i]), "issue_times",
                                        (json_int_t)s->sequence_issues[i]));
        add_group(groups, s, "region", s->names[i], i);
    }
    for (size_t i = 0; i < SUITE_REGIMES; i++) {
        add_group(groups, s, "regime", suite_regimes[i], i);
    }
    for (size_t i = 0; i < SUITE_SEASONS; i++) {
        add_group(groups, s, "season", suite_seasons[i], i);
    }
    return json_pack("{s:I, s:s, s:f, s:I, s:I, s:I, s:o, s:o, s:o}", "issue_times",
                     (json_int_t)s->issue_count, "event", "rate >= threshold", "cap_mm_h",
                     s->want->input->max_rate_mm_h, "members", (json_int_t)s->want->members,
                     "bootstrap_block", (json_int_t)s->want->block, "bootstrap_resamples",
                     (json_int_t)s->want->resamples, "sequences", sequences, "groups", groups,
                     "notes", cli_notes_json(s->notes));
}
