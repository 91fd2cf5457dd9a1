/* cli/cli_suite_sums.c - what the suite keeps of one forecast. */
#include <math.h>
#include <string.h>

#include "cli/cli_suite.h"
#include "squall/motion.h"

const double suite_thresholds_mm_h[SUITE_THRESHOLDS] = {0.1, 0.5, 1, 5, 10};
const double suite_scales_km[SUITE_SCALES] = {10, 40};

#define EARTH_RADIUS_KM 6371.0
#define PI              3.14159265358979323846

/* Size of a cell in the middle of a grid; 1 where it is not known. */
static double cell_km(const squall_grid *grid)
{
    double column[2], row[2];
    column[0] = 0.5 * (double)grid->width;
    row[0] = row[1] = 0.5 * (double)grid->height;
    column[1] = column[0] + 1;
    if (squall_grid_to_lonlat(grid, column, row, 2, column, row, NULL) != SQUALL_OK) {
        return 1;
    }
    const double north = (row[1] - row[0]) * PI / 180;
    const double east = (column[1] - column[0]) * PI / 180 * cos(row[0] * PI / 180);
    const double km = EARTH_RADIUS_KM * sqrt(north * north + east * east);
    return isfinite(km) && km > 0 ? km : 1;
}

static squall_status add_events(suite_sums *sums, const squall_field *mean,
                                const squall_field *observation, const uint8_t *mask,
                                double cap_mm_h, squall_error *err)
{
    const double km = cell_km(&mean->grid);
    for (size_t t = 0; t < SUITE_THRESHOLDS; t++) {
        squall_contingency events = {0, 0, 0, 0};
        SQ_TRY(squall_contingency_add(&events, mean, observation, mask, suite_thresholds_mm_h[t],
                                      SQUALL_EVENT_GE, cap_mm_h, err));
        sums->events[t][0] += (double)events.hits;
        sums->events[t][1] += (double)events.misses;
        sums->events[t][2] += (double)events.false_alarms;
        sums->events[t][3] += (double)events.correct_negatives;
        for (size_t k = 0; k < SUITE_SCALES; k++) {
            squall_fractions f = {0, 0, 0};
            const double cells = fmin(fmax(rint(suite_scales_km[k] / km), 1), 4096);
            SQ_TRY(squall_fractions_add(&f, mean, observation, mask, suite_thresholds_mm_h[t],
                                        (size_t)cells, cap_mm_h, err));
            sums->fractions[t][k][0] += f.sum_sq_difference;
            sums->fractions[t][k][1] += f.sum_sq_forecast;
            sums->fractions[t][k][2] += f.sum_sq_observation;
        }
    }
    return SQUALL_OK;
}

static squall_status add_chances(suite_sums *sums, const squall_field *const *members, size_t count,
                                 const squall_field *observation, const uint8_t *mask,
                                 squall_error *err)
{
    for (size_t t = 0; t < SUITE_THRESHOLDS; t++) {
        squall_reliability table;
        memset(&table, 0, sizeof table);
        SQ_TRY(squall_reliability_add_members(&table, members, count, observation, mask,
                                              suite_thresholds_mm_h[t], SQUALL_EVENT_GE, err));
        double *out = sums->chances[t];
        out[0] += table.sum_sq;
        for (size_t i = 0; i < SQUALL_PROBABILITY_BINS; i++) {
            const size_t bin = (i * (SUITE_BINS - 1) + 50) / 100;
            out[1 + 3 * bin] += (double)table.cells[i];
            out[2 + 3 * bin] += (double)table.events[i];
            out[3 + 3 * bin] += table.sum_probability[i];
        }
    }
    return SQUALL_OK;
}

static squall_status add_ranks(suite_sums *sums, const squall_field *const *members, size_t count,
                               const squall_field *observation, const uint8_t *mask,
                               squall_error *err)
{
    double *ranks = sq_alloc(count + 1, sizeof *ranks);
    if (ranks == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "ranks", "no memory for %zu members", count);
    }
    const squall_status status =
        squall_ranks_add(ranks, members, count, observation, mask, 0.1, err);
    /* Ensembles of any size share one histogram: a rank is a part of the way from below all members
     * to above them, and may lie over several bins. */
    const double width = (double)SUITE_RANKS / (double)(count + 1);
    for (size_t i = 0; status == SQUALL_OK && i <= count; i++) {
        const double from = (double)i * width, to = (double)(i + 1) * width;
        for (size_t bin = 0; bin < SUITE_RANKS; bin++) {
            const double shared = fmin(to, (double)bin + 1) - fmax(from, (double)bin);
            sums->ranks[bin] += shared > 0 ? ranks[i] * shared / width : 0;
        }
    }
    sq_free(ranks);
    return status;
}

/* Power by wavelength, and of the field `which`: 0 the forecast, 1 what came. */
static squall_status add_power(suite_sums *sums, const squall_field *field, const uint8_t *mask,
                               size_t which, squall_error *err)
{
    squall_spectrum spectrum;
    SQ_TRY(squall_spectrum_find(field, mask, &spectrum, err));
    for (size_t k = 1; k < spectrum.bins; k++) {
        const double wavelength = (double)spectrum.side / (double)k; /* cells, from 2 */
        const size_t wave = (size_t)(3.0 * log2(wavelength / 2.0) + 0.5);
        if (wave < SUITE_WAVES) {
            sums->power[which * SUITE_WAVES + wave] += spectrum.power[k] * (double)k;
        }
    }
    squall_spectrum_free(&spectrum);
    return SQUALL_OK;
}

static squall_status add_structure(suite_sums *sums, const squall_field *mean,
                                   const squall_field *first, const squall_field *observation,
                                   const uint8_t *mask, double cap_mm_h, squall_error *err)
{
    squall_sal sal;
    SQ_TRY(squall_sal_find(mean, observation, mask, cap_mm_h, &sal, err));
    if (!isnan(sal.structure)) {
        sums->sal[0] += fabs(sal.structure);
        sums->sal[1] += fabs(sal.amplitude);
        sums->sal[2] += sal.location;
        sums->sal[3] += 1;
    }
    /* Of an ensemble a member is looked at: a mean is smooth by its nature. */
    SQ_TRY(add_power(sums, first, mask, 0, err));
    return add_power(sums, observation, mask, 1, err);
}

squall_status suite_sums_add(suite_sums *sums, const squall_field *mean,
                             const squall_field *const *members, size_t count, bool quantiles,
                             const squall_field *observation, const uint8_t *mask, double cap_mm_h,
                             squall_error *err)
{
    squall_errors errors = {0, 0, 0, 0};
    squall_crps_sums crps = {0, 0};
    SQ_TRY(add_events(sums, mean, observation, mask, cap_mm_h, err));
    SQ_TRY(squall_errors_add(&errors, mean, observation, mask, cap_mm_h, err));
    SQ_TRY(squall_crps_add(&crps, members, count, observation, mask, cap_mm_h, err));
    const double added[6] = {(double)errors.cells, errors.sum_abs, errors.sum_sq,
                             errors.sum_error,     crps.sum,       1};
    for (size_t i = 0; i < 6; i++) {
        sums->errors[i] += added[i];
    }
    SQ_TRY(add_chances(sums, members, count, observation, mask, err));
    if (count > 1) {
        SQ_TRY(add_ranks(sums, members, count, observation, mask, err));
    }
    return add_structure(sums, mean, quantiles ? mean : members[0], observation, mask, cap_mm_h,
                         err);
}
