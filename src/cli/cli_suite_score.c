/* cli/cli_suite_score.c - scores of the suite, each from its slice of the sums. */
#include <math.h>

#include "cli/cli_suite.h"

enum { FINE_WAVES = 9 }; /* thirds of an octave between 2 and 16 cells */

const char *suite_score_name(suite_score score)
{
    static const char *const names[SUITE_SCORES] = {"csi",       "pod",      "far",   "bias",
                                                    "fss_10km",  "fss_40km", "brier", "brier_skill",
                                                    "roc_area",  "mae",      "rmse",  "mean_error",
                                                    "crps",      "sal_s",    "sal_a", "sal_l",
                                                    "fine_power"};
    return names[score];
}

bool suite_score_has_threshold(suite_score score)
{
    return score < SUITE_MAE;
}

#define SLICE(member)                                                \
    do {                                                             \
        *first = offsetof(suite_sums, member) / sizeof(double);      \
        *count = sizeof(((suite_sums *)0)->member) / sizeof(double); \
    } while (0)

void suite_score_slice(const suite_what *what, size_t *first, size_t *count)
{
    const size_t t = what->threshold;
    switch (what->score) {
    case SUITE_CSI:
    case SUITE_POD:
    case SUITE_FAR:
    case SUITE_BIAS:
        SLICE(events[0]);
        break;
    case SUITE_FSS_10:
        SLICE(fractions[0][0]);
        *first += t * SUITE_SCALES * *count;
        return;
    case SUITE_FSS_40:
        SLICE(fractions[0][1]);
        *first += t * SUITE_SCALES * *count;
        return;
    case SUITE_BRIER:
    case SUITE_BRIER_SKILL:
    case SUITE_ROC_AREA:
        SLICE(chances[0]);
        break;
    case SUITE_S:
    case SUITE_A:
    case SUITE_L:
        SLICE(sal);
        return;
    case SUITE_FINE:
        SLICE(power);
        return;
    default:
        SLICE(errors);
        return;
    }
    *first += t * *count;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

/* The bins of a threshold as the library has them, for its scores. */
static void to_table(const double *slice, squall_reliability *out)
{
    *out = (squall_reliability){.sum_sq = slice[0]};
    for (size_t bin = 0; bin < SUITE_BINS; bin++) {
        const size_t at = bin * (SQUALL_PROBABILITY_BINS - 1) / (SUITE_BINS - 1);
        out->cells[at] = (uint64_t)slice[1 + 3 * bin];
        out->events[at] = (uint64_t)slice[2 + 3 * bin];
        out->sum_probability[at] = slice[3 + 3 * bin];
    }
}

static double of_chances(const double *slice, suite_score score)
{
    squall_reliability table;
    to_table(slice, &table);
    if (score == SUITE_ROC_AREA) {
        return squall_roc_area(&table);
    }
    const squall_brier_parts parts = squall_brier(&table);
    return score == SUITE_BRIER ? parts.brier : parts.skill;
}

double suite_value_of(const double *chances, double cost_loss)
{
    squall_reliability table;
    to_table(chances, &table);
    return squall_economic_value(&table, cost_loss);
}

static double of_power(const double *power)
{
    double said = 0, seen = 0;
    for (size_t k = 0; k <= FINE_WAVES; k++) {
        said += power[k];
        seen += power[SUITE_WAVES + k];
    }
    return ratio(said, seen);
}

double suite_score_of(const double *s, const void *arg)
{
    const suite_what *what = arg;
    switch (what->score) {
    case SUITE_CSI:
        return ratio(s[0], s[0] + s[1] + s[2]);
    case SUITE_POD:
        return ratio(s[0], s[0] + s[1]);
    case SUITE_FAR:
        return ratio(s[2], s[0] + s[2]);
    case SUITE_BIAS:
        return ratio(s[0] + s[2], s[0] + s[1]);
    case SUITE_FSS_10:
    case SUITE_FSS_40:
        return 1 - ratio(s[0], s[1] + s[2]);
    case SUITE_BRIER:
    case SUITE_BRIER_SKILL:
    case SUITE_ROC_AREA:
        return of_chances(s, what->score);
    case SUITE_MAE:
        return ratio(s[1], s[0]);
    case SUITE_RMSE:
        return sqrt(ratio(s[2], s[0]));
    case SUITE_ERROR:
        return ratio(s[3], s[0]);
    case SUITE_CRPS:
        return ratio(s[4], s[0]);
    case SUITE_S:
        return ratio(s[0], s[3]);
    case SUITE_A:
        return ratio(s[1], s[3]);
    case SUITE_L:
        return ratio(s[2], s[3]);
    case SUITE_FINE:
        return of_power(s);
    default:
        return NAN;
    }
}
