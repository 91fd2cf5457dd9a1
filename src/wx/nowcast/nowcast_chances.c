/* wx/nowcast/nowcast_chances.c - an ensemble from the probabilities that a network gives.
 *
 * What it gives for each rate of the recipe is carried to its lead time. Between two rates the
 * logarithm of the rate goes with the probability; beyond the last one the rate grows with the
 * square root of how much rarer it is. The members are the quantiles in the middle of equal parts,
 * so that the scores of ensembles are those of the distribution; they are no fields of rain that
 * could be, as those of STEPS are.
 */
#include <math.h>
#include <string.h>

#include "wx/ensemble/ensemble.h"
#include "wx/feature/feature.h"
#include "wx/nowcast/nowcast.h"

/* One call. */
typedef struct chances {
    const squall_recipe *recipe;
    const squall_field *latest;
    squall_ensemble *ensemble;
    squall_field *moving[SQ_RECIPE_THRESHOLDS]; /* owned: not yet carried */
    squall_field *carried[SQ_RECIPE_THRESHOLDS];
} chances;

/* One plane of the output, 0..1, covered where the newest frame is. */
static void read_plane(const float *plane, size_t padded_width, const squall_field *latest,
                       squall_field *out)
{
    const size_t width = latest->grid.width;
    for (size_t i = 0; i < width * latest->grid.height; i++) {
        const bool seen = latest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        const float p = plane[i / width * padded_width + i % width];
        out->mask[i] = seen ? SQUALL_CELL_VALUE : SQUALL_CELL_NO_COVERAGE;
        out->values[i] = seen ? (p > 0.0f ? fminf(p, 1.0f) : 0.0f) : NAN; /* NaN of p: 0 */
    }
}

/* The probability of more than `rate`, by the straight line between two of the recipe's. */
static float above(const squall_recipe *recipe, const float *p, float rate)
{
    const float *t = recipe->thresholds_mm_h;
    const size_t count = recipe->threshold_count;
    size_t k = 0;
    while (k + 1 < count && t[k] < rate) {
        k++;
    }
    if (t[k] < rate) { /* beyond the last */
        return p[k] * (t[k] / rate) * (t[k] / rate);
    }
    if (k == 0 || t[k] == rate) {
        return p[k];
    }
    return p[k - 1] + (p[k] - p[k - 1]) * logf(rate / t[k - 1]) / logf(t[k] / t[k - 1]);
}

/* The rate that is exceeded with a probability of `chance`. */
static float quantile(const squall_recipe *recipe, const float *p, float chance, float most)
{
    const float *t = recipe->thresholds_mm_h;
    const size_t count = recipe->threshold_count;
    size_t k = 0;
    while (k < count && p[k] > chance) {
        k++;
    }
    if (k == 0) {
        return 0.0f;
    }
    const float rate =
        k == count ? t[k - 1] * sqrtf(p[k - 1] / chance)
                   : t[k - 1] * powf(t[k] / t[k - 1], (p[k - 1] - chance) / (p[k - 1] - p[k]));
    return fminf(rate, most);
}

/* Probabilities and members of one lead time, from those of the recipe `there`. */
static void fill(const chances *c, squall_field *const *there, size_t lead, bool keep)
{
    const squall_recipe *recipe = c->recipe;
    squall_ensemble *e = c->ensemble;
    const float most = (float)recipe->transforms[recipe->output_transform].max;
    const size_t cells = c->latest->grid.width * c->latest->grid.height;
    for (size_t i = 0; i < cells; i++) {
        float p[SQ_RECIPE_THRESHOLDS] = {0};
        if (there[0]->mask[i] == SQUALL_CELL_NO_COVERAGE) {
            continue; /* as it was made */
        }
        for (size_t k = 0; k < recipe->threshold_count; k++) {
            p[k] = there[k]->values[i];
            p[k] = k > 0 && p[k] > p[k - 1] ? p[k - 1] : p[k]; /* more rain is not likelier */
        }
        for (size_t k = 0; k < SQUALL_ENSEMBLE_THRESHOLDS; k++) {
            squall_field *out = e->probabilities[lead * SQUALL_ENSEMBLE_THRESHOLDS + k];
            out->values[i] = above(recipe, p, e->thresholds_mm_h[k]);
            out->mask[i] = SQUALL_CELL_VALUE;
        }
        for (size_t m = 0; keep && m < e->members; m++) {
            squall_field *out = e->fields[lead * e->members + m];
            const float chance = 1.0f - ((float)m + 0.5f) / (float)e->members;
            out->values[i] = quantile(recipe, p, chance, most);
            out->mask[i] = out->values[i] > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        }
    }
}

static squall_status carry(const chances *c, const squall_motion *motion, int32_t lead_s,
                           int32_t threads, squall_error *err)
{
    int32_t leads_s[SQ_RECIPE_THRESHOLDS];
    squall_advect_options options;
    for (size_t k = 0; k < c->recipe->threshold_count; k++) {
        leads_s[k] = lead_s;
    }
    squall_advect_options_init(&options);
    options.threads = threads;
    return squall_advect_each((const squall_field *const *)c->moving, motion, leads_s,
                              c->recipe->threshold_count, &options, c->carried, err);
}

squall_status sq_chances_make(const squall_recipe *recipe, const squall_tensor *output,
                              const squall_field *latest, const squall_motion *motion,
                              const int32_t *leads_s, const size_t *index, size_t lead_count,
                              const squall_ensemble_options *options, squall_ensemble **out,
                              squall_error *err)
{
    squall_status status = SQUALL_OK;
    chances c = {.recipe = recipe, .latest = latest};
    const size_t plane = (size_t)(output->dims[2] * output->dims[3]);
    const bool keep = options->keep_members != 0;
    SQ_TRY_GOTO(sq_ensemble_make(latest, leads_s, lead_count, (size_t)options->members, keep,
                                 "model", &c.ensemble, err));
    for (size_t k = 0; k < recipe->threshold_count; k++) {
        SQ_TRY_GOTO(squall_field_create(&latest->grid, &c.moving[k], err));
        SQ_TRY_GOTO(squall_field_create(&latest->grid, &c.carried[k], err));
        squall_field_set_quantity(c.moving[k], SQUALL_OTHER, "probability", "1");
        c.moving[k]->valid_time = latest->valid_time;
    }
    for (size_t i = 0; i < lead_count; i++) {
        for (size_t k = 0; k < recipe->threshold_count; k++) {
            const size_t channel = (1 + k) * recipe->lead_count + index[i];
            read_plane((const float *)output->data + channel * plane, (size_t)output->dims[3],
                       latest, c.moving[k]);
        }
        if (recipe->moving) {
            SQ_TRY_GOTO(carry(&c, motion, leads_s[i], options->threads, err));
        }
        fill(&c, recipe->moving ? c.carried : c.moving, i, keep);
    }
    *out = c.ensemble;
    c.ensemble = NULL;
done:
    squall_ensemble_destroy(&c.ensemble);
    for (size_t k = 0; k < SQ_RECIPE_THRESHOLDS; k++) {
        squall_field_destroy(&c.moving[k]);
        squall_field_destroy(&c.carried[k]);
    }
    return status;
}
