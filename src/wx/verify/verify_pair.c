/* wx/verify/verify_pair.c - pairs of fields, and the sums that need no neighbours. */
#include "wx/verify/verify_pair.h"

#include "wx/grid/grid.h"

#define SAME_PLACE 0.01 /* cells */

squall_status sq_verify_pair_init(sq_verify_pair *pair, const squall_field *forecast,
                                  const squall_field *observation, const uint8_t *mask,
                                  double cap_mm_h, squall_error *err)
{
    const squall_field *const both[2] = {forecast, observation};
    for (int i = 0; i < 2; i++) {
        if (both[i]->quantity != SQUALL_RAIN_RATE) {
            return sq_fail(err, SQUALL_E_SHAPE, i == 0 ? "forecast" : "observation",
                           "'%s' [%s] is no rain rate; turn it into one by squall_field_to_rate()",
                           both[i]->quantity_name, both[i]->unit_name);
        }
    }
    if (!squall_grid_equal(&forecast->grid, &observation->grid, SAME_PLACE)) {
        return sq_fail(err, SQUALL_E_SHAPE, "forecast",
                       "its grid (%zu x %zu) is not that of the observation (%zu x %zu), or lies "
                       "elsewhere; carry one over to the other's",
                       forecast->grid.width, forecast->grid.height, observation->grid.width,
                       observation->grid.height);
    }
    if (!(cap_mm_h >= 0)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "cap", "%g mm/h; give a limit, or 0 for none",
                       cap_mm_h);
    }
    *pair = (sq_verify_pair){.forecast = forecast,
                             .observation = observation,
                             .mask = mask,
                             .width = forecast->grid.width,
                             .height = forecast->grid.height,
                             .cap_mm_h = cap_mm_h > 0 ? (float)cap_mm_h : INFINITY};
    return SQUALL_OK;
}

squall_status sq_verify_threshold(double threshold_mm_h, float *out, squall_error *err)
{
    if (isnan(threshold_mm_h)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "threshold", "NaN; give a rate in mm/h");
    }
    *out = (float)threshold_mm_h;
    return SQUALL_OK;
}

squall_status squall_contingency_add(squall_contingency *sums, const squall_field *forecast,
                                     const squall_field *observation, const uint8_t *mask,
                                     double threshold_mm_h, squall_event event, double cap_mm_h,
                                     squall_error *err)
{
    sq_verify_pair pair;
    float threshold;
    SQ_TRY(sq_verify_pair_init(&pair, forecast, observation, mask, cap_mm_h, err));
    SQ_TRY(sq_verify_threshold(threshold_mm_h, &threshold, err));
    if (event != SQUALL_EVENT_GE && event != SQUALL_EVENT_GT) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "event", "no kind of event has the number %d",
                       (int)event);
    }
    uint64_t count[2][2] = {{0, 0}, {0, 0}}; /* [observed][forecast] */
    const size_t cells = pair.width * pair.height;
    for (size_t i = 0; i < cells; i++) {
        if (sq_verify_counts(&pair, i)) {
            const float seen = sq_verify_rate(&pair, observation, i);
            const float said = sq_verify_rate(&pair, forecast, i);
            const bool greater = event == SQUALL_EVENT_GT;
            const bool observed = greater ? seen > threshold : seen >= threshold;
            const bool expected = greater ? said > threshold : said >= threshold;
            count[observed][expected]++;
        }
    }
    sums->hits += count[1][1];
    sums->misses += count[1][0];
    sums->false_alarms += count[0][1];
    sums->correct_negatives += count[0][0];
    return SQUALL_OK;
}

squall_status squall_errors_add(squall_errors *sums, const squall_field *forecast,
                                const squall_field *observation, const uint8_t *mask,
                                double cap_mm_h, squall_error *err)
{
    sq_verify_pair pair;
    SQ_TRY(sq_verify_pair_init(&pair, forecast, observation, mask, cap_mm_h, err));
    squall_errors all = {0};
    for (size_t i = 0; i < pair.height; i++) {
        squall_errors row = {0}; /* summed by rows: fewer roundings than one long sum */
        for (size_t cell = i * pair.width; cell < (i + 1) * pair.width; cell++) {
            if (sq_verify_counts(&pair, cell)) {
                const double error = (double)sq_verify_rate(&pair, forecast, cell) -
                                     (double)sq_verify_rate(&pair, observation, cell);
                row.cells++;
                row.sum_abs += fabs(error);
                row.sum_sq += error * error;
                row.sum_error += error;
            }
        }
        all.cells += row.cells;
        all.sum_abs += row.sum_abs;
        all.sum_sq += row.sum_sq;
        all.sum_error += row.sum_error;
    }
    sums->cells += all.cells;
    sums->sum_abs += all.sum_abs;
    sums->sum_sq += all.sum_sq;
    sums->sum_error += all.sum_error;
    return SQUALL_OK;
}
