/* wx/verify/verify_probability.c - probabilities against what came: Brier score, reliability, ROC.
 */
#include "wx/verify/verify_pair.h"

#include "wx/grid/grid.h"

static bool happens(float rate, float threshold, squall_event event)
{
    return event == SQUALL_EVENT_GT ? rate > threshold : rate >= threshold;
}

static squall_status check_event(squall_event event, squall_error *err)
{
    return event == SQUALL_EVENT_GE || event == SQUALL_EVENT_GT
               ? SQUALL_OK
               : sq_fail(err, SQUALL_E_ARGUMENT, "event", "no kind of event has the number %d",
                         (int)event);
}

static void count_cell(squall_reliability *sums, double probability, bool event)
{
    const double p = probability > 0 ? probability < 1 ? probability : 1 : 0;
    const size_t bin = (size_t)(p * (SQUALL_PROBABILITY_BINS - 1) + 0.5);
    const double error = p - (event ? 1.0 : 0.0);
    sums->cells[bin]++;
    sums->events[bin] += event ? 1 : 0;
    sums->sum_probability[bin] += p;
    sums->sum_sq += error * error;
}

squall_status squall_reliability_add(squall_reliability *sums, const squall_field *probability,
                                     const squall_field *observation, const uint8_t *mask,
                                     double threshold_mm_h, squall_event event, squall_error *err)
{
    sq_verify_pair pair;
    float threshold;
    SQ_TRY(sq_verify_pair_init(&pair, observation, observation, mask, 0, err));
    SQ_TRY(sq_verify_threshold(threshold_mm_h, &threshold, err));
    SQ_TRY(check_event(event, err));
    if (!squall_grid_equal(&probability->grid, &observation->grid, 0.01)) {
        return sq_fail(err, SQUALL_E_SHAPE, "probability",
                       "its grid (%zu x %zu) is not that of the observation",
                       probability->grid.width, probability->grid.height);
    }
    for (size_t cell = 0; cell < pair.width * pair.height; cell++) {
        if (sq_verify_counts(&pair, cell)) {
            const float p = probability->values[cell];
            count_cell(sums, isnan(p) ? 0.0 : (double)p,
                       happens(sq_verify_rate(&pair, observation, cell), threshold, event));
        }
    }
    return SQUALL_OK;
}

squall_status squall_reliability_add_members(squall_reliability *sums,
                                             const squall_field *const *members, size_t count,
                                             const squall_field *observation, const uint8_t *mask,
                                             double threshold_mm_h, squall_event event,
                                             squall_error *err)
{
    float threshold;
    sq_verify_pair pairs[SQ_VERIFY_MEMBERS];
    if (members == NULL || count == 0 || count > SQ_VERIFY_MEMBERS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "members", "%zu of them; 1 to %d are scored", count,
                       SQ_VERIFY_MEMBERS);
    }
    for (size_t i = 0; i < count; i++) {
        SQ_TRY(sq_verify_pair_init(&pairs[i], members[i], observation, mask, 0, err));
    }
    SQ_TRY(sq_verify_threshold(threshold_mm_h, &threshold, err));
    SQ_TRY(check_event(event, err));
    for (size_t cell = 0; cell < pairs[0].width * pairs[0].height; cell++) {
        if (!sq_verify_counts(&pairs[0], cell)) {
            continue;
        }
        size_t with = 0;
        for (size_t i = 0; i < count; i++) {
            const float rate = sq_verify_rate(&pairs[i], members[i], cell);
            with += happens(rate, threshold, event) ? 1 : 0;
        }
        count_cell(sums, (double)with / (double)count,
                   happens(sq_verify_rate(&pairs[0], observation, cell), threshold, event));
    }
    return SQUALL_OK;
}

squall_brier_parts squall_brier(const squall_reliability *sums)
{
    squall_brier_parts parts = {NAN, NAN, NAN, NAN, NAN};
    double cells = 0, events = 0;
    for (size_t k = 0; k < SQUALL_PROBABILITY_BINS; k++) {
        cells += (double)sums->cells[k];
        events += (double)sums->events[k];
    }
    if (!(cells > 0)) {
        return parts;
    }
    const double base = events / cells;
    parts = (squall_brier_parts){.brier = sums->sum_sq / cells, .uncertainty = base * (1 - base)};
    for (size_t k = 0; k < SQUALL_PROBABILITY_BINS; k++) {
        const double n = (double)sums->cells[k];
        if (n > 0) {
            const double said = sums->sum_probability[k] / n, seen = (double)sums->events[k] / n;
            parts.reliability += n / cells * (said - seen) * (said - seen);
            parts.resolution += n / cells * (seen - base) * (seen - base);
        }
    }
    parts.skill = parts.uncertainty > 0 ? 1 - parts.brier / parts.uncertainty : NAN;
    return parts;
}

void squall_roc_curve(const squall_reliability *sums, double *false_alarm_rate, double *hit_rate)
{
    double events = 0, others = 0, hits = 0, alarms = 0;
    for (size_t k = 0; k < SQUALL_PROBABILITY_BINS; k++) {
        events += (double)sums->events[k];
        others += (double)(sums->cells[k] - sums->events[k]);
    }
    for (size_t k = SQUALL_PROBABILITY_BINS; k-- > 0;) {
        hits += (double)sums->events[k];
        alarms += (double)(sums->cells[k] - sums->events[k]);
        hit_rate[k] = events > 0 ? hits / events : NAN;
        false_alarm_rate[k] = others > 0 ? alarms / others : NAN;
    }
}

double squall_roc_area(const squall_reliability *sums)
{
    double x[SQUALL_PROBABILITY_BINS], y[SQUALL_PROBABILITY_BINS];
    double area = 0, last_x = 0, last_y = 0;
    squall_roc_curve(sums, x, y);
    for (size_t k = SQUALL_PROBABILITY_BINS; k-- > 0;) {
        area += 0.5 * (y[k] + last_y) * (x[k] - last_x);
        last_x = x[k];
        last_y = y[k];
    }
    return area;
}

double squall_economic_value(const squall_reliability *sums, double cost_loss)
{
    double cells = 0, events = 0, alarms = 0, hits = 0;
    for (size_t k = 0; k < SQUALL_PROBABILITY_BINS; k++) {
        const double n = (double)sums->cells[k];
        cells += n;
        events += (double)sums->events[k];
        if (n > 0 && sums->sum_probability[k] / n >= cost_loss) {
            alarms += n;
            hits += (double)sums->events[k];
        }
    }
    if (!(events > 0) || !(cost_loss > 0 && cost_loss < 1)) {
        return NAN;
    }
    /* Mean expense, a loss being 1. */
    const double base = events / cells;
    const double climate = cost_loss < base ? cost_loss : base;
    const double ours = (alarms * cost_loss + events - hits) / cells;
    return (climate - ours) / (climate - base * cost_loss);
}

squall_status squall_isotonic_fit(const double *values, const double *weights, size_t count,
                                  double *out, squall_error *err)
{
    /* Blocks: the mean, the weight and how many values are in each. */
    double *mean = sq_alloc_raw(count + 1, sizeof *mean),
           *weight = sq_alloc_raw(count + 1, sizeof *weight);
    size_t *length = sq_alloc_raw(count + 1, sizeof *length), blocks = 0;
    squall_status status = SQUALL_OK;
    if (mean == NULL || weight == NULL || length == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "isotonic fit", "no memory for %zu values", count);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        mean[blocks] = values[i];
        weight[blocks] = weights[i] > 0 ? weights[i] : 1e-9;
        length[blocks++] = 1;
        while (blocks > 1 && mean[blocks - 2] > mean[blocks - 1]) {
            const double w = weight[blocks - 2] + weight[blocks - 1];
            mean[blocks - 2] =
                (mean[blocks - 2] * weight[blocks - 2] + mean[blocks - 1] * weight[blocks - 1]) / w;
            weight[blocks - 2] = w;
            length[blocks - 2] += length[blocks - 1];
            blocks--;
        }
    }
    size_t at = 0;
    for (size_t b = 0; b < blocks; b++) {
        for (size_t k = 0; k < length[b]; k++) {
            out[at++] = mean[b];
        }
    }
done:
    sq_free(mean);
    sq_free(weight);
    sq_free(length);
    return status;
}
