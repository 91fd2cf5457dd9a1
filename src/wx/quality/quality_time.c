/* wx/quality/quality_time.c - frames that are missing, and sums over time, by carrying rain along
 * its motion. */
#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/quality/quality.h"

enum { STEP_S = 60, MAX_WINDOW_S = 7200 };

static squall_status check(const squall_field *field, const squall_field *out, squall_error *err)
{
    if (field->quantity != SQUALL_RAIN_RATE || !squall_grid_equal(&field->grid, &out->grid, 0.1)) {
        return sq_fail(err, SQUALL_E_SHAPE, field->source,
                       "is no rain rate, or on another grid than what is to be filled");
    }
    return SQUALL_OK;
}

static void describe(const squall_field *from, squall_field *out, int64_t time, int32_t window_s)
{
    squall_field_set_quantity(out, SQUALL_RAIN_RATE, from->quantity_name, from->unit_name);
    out->valid_time = time;
    out->window_s = window_s;
    memcpy(out->source, from->source, sizeof out->source);
}

static uint8_t cell_of(float rate)
{
    return isnan(rate)   ? SQUALL_CELL_NO_COVERAGE
           : rate > 0.0f ? SQUALL_CELL_VALUE
                         : SQUALL_CELL_DRY;
}

squall_status squall_quality_between(const squall_field *before, const squall_field *after,
                                     const squall_motion *motion, int64_t time, squall_field *out,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_field *a = NULL, *b = NULL;
    SQ_TRY(check(before, out, err));
    SQ_TRY(check(after, out, err));
    if (!(time > before->valid_time && time < after->valid_time)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "gap", "the time is not between the two frames");
    }
    SQ_TRY_GOTO(squall_field_create(&out->grid, &a, err));
    SQ_TRY_GOTO(squall_field_create(&out->grid, &b, err));
    SQ_TRY_GOTO(squall_advect(before, motion, (int32_t)(time - before->valid_time), NULL, a, err));
    SQ_TRY_GOTO(squall_advect(after, motion, (int32_t)(time - after->valid_time), NULL, b, err));
    const float share = (float)((double)(time - before->valid_time) /
                                (double)(after->valid_time - before->valid_time));
    for (size_t i = 0; i < out->grid.width * out->grid.height; i++) {
        const float x = a->values[i], y = b->values[i];
        out->values[i] = isnan(x) ? y : isnan(y) ? x : (1.0f - share) * x + share * y;
        out->mask[i] = cell_of(out->values[i]);
    }
    describe(before, out, time, before->window_s);
done:
    squall_field_destroy(&a);
    squall_field_destroy(&b);
    return status;
}

squall_status squall_quality_instant(const squall_field *field, const squall_motion *motion,
                                     squall_field *out, squall_error *err)
{
    SQ_TRY(check(field, out, err));
    const int64_t time = field->valid_time;
    const int32_t half_s = field->window_s / 2;
    if (half_s < 1 || field->window_s > MAX_WINDOW_S) {
        return sq_fail(err, SQUALL_E_ARGUMENT, field->source,
                       "its window of %d s is none from 2 to %d s", field->window_s, MAX_WINDOW_S);
    }
    SQ_TRY(squall_advect(field, motion, half_s, NULL, out, err));
    /* What comes in from outside is not known; what was there half a window ago is nearer than
     * nothing. */
    for (size_t i = 0; i < out->grid.width * out->grid.height; i++) {
        if (out->mask[i] == SQUALL_CELL_NO_COVERAGE) {
            out->values[i] = field->values[i];
            out->mask[i] = field->mask[i];
        }
    }
    describe(field, out, time, 0);
    return SQUALL_OK;
}

squall_status squall_quality_mean(const squall_field *field, const squall_motion *motion,
                                  int32_t window_s, squall_field *out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_field *back = NULL;
    const size_t cells = out->grid.width * out->grid.height;
    SQ_TRY(check(field, out, err));
    if (window_s < 1 || window_s > MAX_WINDOW_S) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "window", "%d s is none from 1 to %d s", window_s,
                       MAX_WINDOW_S);
    }
    float *sum = sq_alloc(cells, sizeof *sum), *count = sq_alloc(cells, sizeof *count);
    if (sum == NULL || count == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "window", "no memory for %zu cells", cells);
        goto done;
    }
    SQ_TRY_GOTO(squall_field_create(&out->grid, &back, err));
    const int32_t steps = (window_s + STEP_S - 1) / STEP_S;
    for (int32_t k = 0; k < steps; k++) {
        /* The middle of each part of the window. */
        const double ago_s = ((double)k + 0.5) * (double)window_s / (double)steps;
        SQ_TRY_GOTO(squall_advect(field, motion, -(int32_t)(ago_s + 0.5), NULL, back, err));
        for (size_t i = 0; i < cells; i++) {
            if (!isnan(back->values[i])) {
                sum[i] += back->values[i];
                count[i] += 1.0f;
            }
        }
    }
    for (size_t i = 0; i < cells; i++) {
        out->values[i] = count[i] > 0.0f ? sum[i] / count[i] : NAN;
        out->mask[i] = cell_of(out->values[i]);
    }
    describe(field, out, field->valid_time, window_s);
done:
    squall_field_destroy(&back);
    sq_free(sum);
    sq_free(count);
    return status;
}
