/* wx/verify/verify_fractions.c - sums for the fractions skill score.
 *
 * Events in the square window around each cell are counted, in whole numbers, by sums down each
 * column that gain a row and lose a row as the window moves south, and by a sum along the row that
 * gains a column and loses a column as it moves east. The work does not depend on the scale, and
 * nothing is rounded before the squares are summed.
 */
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/verify/verify_pair.h"

/* One pair at one threshold and scale. */
typedef struct fraction_work {
    sq_verify_pair pair;
    float threshold;
    size_t before, after;    /* cells of the window before its own one, and after it */
    uint32_t *column_events; /* [2][width] events in each column of the window's rows:
                                forecast, observation */
} fraction_work;

/* Events of row `row` come into the column sums, or leave them. */
static void move_row(fraction_work *work, size_t row, bool in)
{
    const sq_verify_pair *pair = &work->pair;
    uint32_t *said = work->column_events, *seen = said + pair->width;
    for (size_t j = 0; j < pair->width; j++) {
        const size_t cell = row * pair->width + j;
        if (sq_verify_counts(pair, cell)) {
            const uint32_t f = sq_verify_rate(pair, pair->forecast, cell) >= work->threshold;
            const uint32_t o = sq_verify_rate(pair, pair->observation, cell) >= work->threshold;
            said[j] = in ? said[j] + f : said[j] - f;
            seen[j] = in ? seen[j] + o : seen[j] - o;
        }
    }
}

/* Squares of the counts of one row of windows. */
static squall_fractions row_sums(const fraction_work *work)
{
    const size_t width = work->pair.width;
    const uint32_t *said = work->column_events, *seen = said + width;
    uint32_t f = 0, o = 0;
    squall_fractions row = {0};
    for (size_t j = 0; j < work->after && j < width; j++) {
        f += said[j];
        o += seen[j];
    }
    for (size_t j = 0; j < width; j++) {
        if (j + work->after < width) {
            f += said[j + work->after];
            o += seen[j + work->after];
        }
        if (j > work->before) {
            f -= said[j - work->before - 1];
            o -= seen[j - work->before - 1];
        }
        const double difference = (double)f - (double)o;
        row.sum_sq_difference += difference * difference;
        row.sum_sq_forecast += (double)f * (double)f;
        row.sum_sq_observation += (double)o * (double)o;
    }
    return row;
}

squall_status squall_fractions_add(squall_fractions *sums, const squall_field *forecast,
                                   const squall_field *observation, const uint8_t *mask,
                                   double threshold_mm_h, size_t scale, double cap_mm_h,
                                   squall_error *err)
{
    fraction_work work = {0};
    SQ_TRY(sq_verify_pair_init(&work.pair, forecast, observation, mask, cap_mm_h, err));
    SQ_TRY(sq_verify_threshold(threshold_mm_h, &work.threshold, err));
    if (scale == 0 || scale > SQ_LIMIT_FIELD_SIDE) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "scale", "%zu cells; give 1 to %zu", scale,
                       SQ_LIMIT_FIELD_SIDE);
    }
    /* A window of even width reaches one cell further north and west, as SciPy's does. */
    work.before = scale / 2;
    work.after = scale - 1 - work.before;
    const size_t height = work.pair.height;
    work.column_events = sq_alloc(2 * work.pair.width, sizeof *work.column_events);
    if (work.column_events == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "fractions", "no memory for %zu columns",
                       work.pair.width);
    }
    for (size_t i = 0; i < work.after && i < height; i++) {
        move_row(&work, i, true);
    }
    squall_fractions all = {0};
    for (size_t i = 0; i < height; i++) {
        if (i + work.after < height) {
            move_row(&work, i + work.after, true);
        }
        if (i > work.before) {
            move_row(&work, i - work.before - 1, false);
        }
        const squall_fractions row = row_sums(&work);
        all.sum_sq_difference += row.sum_sq_difference;
        all.sum_sq_forecast += row.sum_sq_forecast;
        all.sum_sq_observation += row.sum_sq_observation;
    }
    const double window = (double)scale * (double)scale, per_window = 1 / (window * window);
    sums->sum_sq_difference += all.sum_sq_difference * per_window;
    sums->sum_sq_forecast += all.sum_sq_forecast * per_window;
    sums->sum_sq_observation += all.sum_sq_observation * per_window;
    sq_free(work.column_events);
    return SQUALL_OK;
}
