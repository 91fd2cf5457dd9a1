/* wx/nowcast/nowcast_blend.c - a network's forecast and S-PROG's, made one.
 *
 * S-PROG is extrapolation that each scale leaves in its own time; a network knows of growth and
 * decay. Both put the same rain on different places: the mean of their logarithms says where both
 * see it, and gets the values of the network's forecast in its order (probability matching). */
#include <math.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/nowcast/nowcast.h"

#define LEAST_MM_H 0.1f /* where the logarithm begins */

/* The mean of one lead time, in the place of the network's. */
static squall_status blend_field(const squall_field *sprog, squall_field *field, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_match match = {NULL, 0};
    const size_t cells = field->grid.width * field->grid.height;
    uint32_t *bins = sq_alloc_raw(SQ_MATCH_BINS + 1, sizeof *bins);
    float *mean = sq_alloc_raw(cells, sizeof *mean);
    if (bins == NULL || mean == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "blend", "no memory for %zu cells", cells);
        goto done;
    }
    SQ_TRY_GOTO(sq_match_make(field->values, cells, 1e-3f, &match, err));
    for (size_t i = 0; i < cells; i++) {
        const bool seen = field->mask[i] != SQUALL_CELL_NO_COVERAGE;
        const float a = seen ? field->values[i] : 0.0f;
        const float b = seen && sprog->mask[i] != SQUALL_CELL_NO_COVERAGE ? sprog->values[i] : 0.0f;
        mean[i] = logf(1.0f + a / LEAST_MM_H) + logf(1.0f + b / LEAST_MM_H);
    }
    sq_match_run(&match, mean, NULL, cells, bins);
    for (size_t i = 0; i < cells; i++) {
        if (field->mask[i] != SQUALL_CELL_NO_COVERAGE) {
            field->values[i] = mean[i];
            field->mask[i] = mean[i] > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
done:
    sq_match_free(&match);
    sq_free(mean);
    sq_free(bins);
    return status;
}

squall_status sq_blend_run(const sq_frames *frames, const squall_motion *motion,
                           const squall_ensemble_options *options, squall_forecast *forecast,
                           squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_field **sprog = sq_alloc(forecast->count, sizeof *sprog);
    if (sprog == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "blend", "no memory for %zu lead times",
                       forecast->count);
    }
    for (size_t i = 0; i < forecast->count; i++) {
        SQ_TRY_GOTO(squall_field_create(&frames->latest->grid, &sprog[i], err));
    }
    SQ_TRY_GOTO(squall_sprog_run(frames->items, frames->count, motion, forecast->leads_s,
                                 forecast->count, options, sprog, err));
    for (size_t i = 0; i < forecast->count; i++) {
        SQ_TRY_GOTO(blend_field(sprog[i], forecast->fields[i], err));
    }
done:
    for (size_t i = 0; i < forecast->count; i++) {
        squall_field_destroy(&sprog[i]);
    }
    sq_free(sprog);
    return status;
}
