/* wx/feature/feature_output.c - output tensor into fields, and what it should have been. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wx/cascade/cascade.h"
#include "wx/feature/feature.h"

/* Probability matching: the rain of the newest frame, put where the network sees most. A network
 * forecasts less heavy rain the less it can know of its place; where it would be is in the order of
 * its values, and how much there is of it changes little in an hour. */
static squall_status match_plane(const sq_match *match, const float *plane, size_t padded_width,
                                 const squall_field *latest, squall_field *out, squall_error *err)
{
    const size_t width = latest->grid.width, cells = width * latest->grid.height;
    uint32_t *bins = sq_alloc_raw(SQ_MATCH_BINS + 1, sizeof *bins);
    if (bins == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "probability matching", "no memory");
    }
    for (size_t i = 0; i < cells; i++) {
        const float value = plane[i / width * padded_width + i % width];
        const bool seen = latest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        /* NaN: dry. Beyond what a transform makes of rain the order does not matter. */
        out->values[i] = seen && value > 0.0f ? fminf(value, 1e6f) : 0.0f;
    }
    sq_match_run(match, out->values, NULL, cells, bins);
    sq_free(bins);
    for (size_t i = 0; i < cells; i++) {
        const bool seen = latest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        out->mask[i] = !seen                   ? SQUALL_CELL_NO_COVERAGE
                       : out->values[i] > 0.0f ? SQUALL_CELL_VALUE
                                               : SQUALL_CELL_DRY;
        out->values[i] = seen ? out->values[i] : NAN;
    }
    return SQUALL_OK;
}

/* One plane of the output as a rain-rate field, covered where the newest frame is. */
static void read_plane(const squall_recipe *recipe, const float *plane, size_t padded_width,
                       const squall_field *latest, squall_field *out)
{
    const sq_transform *transform = &recipe->transforms[recipe->output_transform];
    for (size_t y = 0; y < latest->grid.height; y++) {
        for (size_t x = 0; x < latest->grid.width; x++) {
            const size_t i = y * latest->grid.width + x;
            if (latest->mask[i] == SQUALL_CELL_NO_COVERAGE) {
                out->values[i] = NAN;
                out->mask[i] = SQUALL_CELL_NO_COVERAGE;
                continue;
            }
            out->values[i] = sq_transform_inverse(transform, plane[y * padded_width + x]);
            out->mask[i] = out->values[i] > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
}

/* What counts as rain: above the transform's dry_below, and above 0. */
static float least_rain(const squall_recipe *recipe)
{
    const double least = recipe->transforms[recipe->output_transform].dry_below;
    return least > 1e-3 ? (float)least : 1e-3f;
}

squall_status squall_features_invert(const squall_recipe *recipe, const squall_tensor *output,
                                     const squall_field *latest, int64_t issue_time,
                                     const squall_motion *motion, squall_field *const *out,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_tensor wanted;
    squall_field *moving[SQ_RECIPE_CHANNELS] = {NULL};
    sq_match match = {NULL, 0};
    squall_recipe_output_shape(recipe, latest->grid.height, latest->grid.width, &wanted);
    SQ_TRY(sq_feature_check_tensor(output, &wanted, "output tensor", err));
    SQ_TRY(sq_feature_check_motion(recipe, motion, &latest->grid, err));
    const size_t plane = (size_t)(wanted.dims[2] * wanted.dims[3]);
    if (recipe->matched) {
        SQ_TRY(sq_match_make(latest->values, latest->grid.width * latest->grid.height,
                             least_rain(recipe), &match, err));
        const float most = (float)recipe->transforms[recipe->output_transform].max;
        for (size_t i = 0; i < match.count && match.values[i] > most; i++) {
            match.values[i] = most;
        }
    }
    for (size_t i = 0; i < recipe->lead_count; i++) {
        if (!squall_grid_equal(&out[i]->grid, &latest->grid, 0.0)) {
            status = sq_fail(err, SQUALL_E_SHAPE, "forecast field",
                             "is on another grid than the newest frame");
            goto done;
        }
        squall_field *field = out[i];
        if (recipe->moving) {
            SQ_TRY_GOTO(squall_field_create(&latest->grid, &moving[i], err));
            field = moving[i];
        }
        squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
        field->window_s = 0;
        field->valid_time = recipe->moving ? issue_time : issue_time + recipe->leads_s[i];
        const float *from = (const float *)output->data + i * plane;
        if (recipe->matched) {
            SQ_TRY_GOTO(match_plane(&match, from, (size_t)wanted.dims[3], latest, field, err));
        } else {
            read_plane(recipe, from, (size_t)wanted.dims[3], latest, field);
        }
    }
    if (recipe->moving) {
        SQ_TRY_GOTO(squall_advect_each((const squall_field *const *)moving, motion, recipe->leads_s,
                                       recipe->lead_count, NULL, out, err));
    }
done:
    for (size_t i = 0; i < recipe->lead_count; i++) {
        squall_field_destroy(&moving[i]);
    }
    sq_match_free(&match);
    return status;
}

/* One lead's target and weight from the frame that was seen then, already in the right frame. */
static void write_target(const squall_recipe *recipe, const squall_field *seen,
                         const squall_field *latest, size_t padded_width, float *target,
                         float *weight)
{
    const sq_transform *transform = &recipe->transforms[recipe->output_transform];
    for (size_t y = 0; y < latest->grid.height; y++) {
        for (size_t x = 0; x < latest->grid.width; x++) {
            const size_t i = y * latest->grid.width + x, to = y * padded_width + x;
            if (seen->mask[i] != SQUALL_CELL_NO_COVERAGE &&
                latest->mask[i] != SQUALL_CELL_NO_COVERAGE) {
                target[to] = sq_transform_forward(transform, seen->values[i]);
                weight[to] = 1.0f;
            }
        }
    }
}

squall_status squall_features_target(const squall_recipe *recipe, const squall_source *radar,
                                     int64_t issue_time, const squall_motion *motion,
                                     const squall_tensor *target, const squall_tensor *weight,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_tensor wanted;
    squall_field *moved = NULL;
    const squall_field *latest = sq_feature_nearest(radar, issue_time);
    if (latest == NULL || llabs(latest->valid_time - issue_time) > recipe->tolerance_s) {
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame at the issue time");
    }
    squall_recipe_output_shape(recipe, latest->grid.height, latest->grid.width, &wanted);
    SQ_TRY(sq_feature_check_tensor(target, &wanted, "target tensor", err));
    SQ_TRY(sq_feature_check_tensor(weight, &wanted, "weight tensor", err));
    SQ_TRY(sq_feature_check_motion(recipe, motion, &latest->grid, err));
    const size_t plane = (size_t)(wanted.dims[2] * wanted.dims[3]);
    const float nothing = sq_transform_forward(&recipe->transforms[recipe->output_transform], 0.0f);
    /* Probabilities have no target of their own: it is the rain's. */
    memset(target->data, 0, squall_tensor_bytes(target));
    memset(weight->data, 0, squall_tensor_bytes(weight));
    if (recipe->moving) {
        SQ_TRY(squall_field_create(&latest->grid, &moved, err));
    }
    for (size_t i = 0; i < recipe->lead_count; i++) {
        const int64_t time = issue_time + recipe->leads_s[i];
        float *to = (float *)target->data + i * plane, *known = (float *)weight->data + i * plane;
        for (size_t k = 0; k < plane; k++) {
            to[k] = nothing;
        }
        const squall_field *seen = sq_feature_nearest(radar, time);
        if (llabs(seen->valid_time - time) > recipe->tolerance_s || seen == latest) {
            continue;
        }
        if (recipe->moving) {
            SQ_TRY_GOTO(squall_advect(seen, motion, (int32_t)(issue_time - seen->valid_time), NULL,
                                      moved, err));
            seen = moved;
        }
        write_target(recipe, seen, latest, (size_t)wanted.dims[3], to, known);
    }
done:
    squall_field_destroy(&moved);
    return status;
}
