/* wx/ensemble/ensemble_sprog.c - S-PROG: extrapolation in which each scale fades in its own time.
 */
#include <math.h>
#include <string.h>

#include "wx/ensemble/ensemble.h"
#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

/* One call. */
typedef struct fading {
    const sq_scales *scales;
    const int32_t *leads_s;
    squall_field **fields; /* [leads]: not yet carried */
    float *memory;         /* [threads][size] */
    size_t size;
} fading;

/* The field of one lead, before it is carried. */
static void fade(void *arg, size_t lead, int thread)
{
    const fading *f = arg;
    const sq_scales *s = f->scales;
    const size_t plane = sq_fft_plane(s->fft);
    squall_field *out = f->fields[lead];
    float *const re = f->memory + (size_t)thread * f->size, *const im = re + plane;
    float *const scratch = im + plane, *const full = scratch + sq_fft_scratch(s->fft);
    uint32_t bins[SQ_MATCH_BINS + 1];
    const size_t steps = sq_scales_nearest(s, f->leads_s[lead]), cells = s->width * s->height;
    if (steps == 0 || s->order == 0) {
        memcpy(out->values, s->newest->values, cells * sizeof *out->values);
        memcpy(out->mask, s->newest->mask, cells * sizeof *out->mask);
        return;
    }
    sq_scales_expected(s, steps, re, im);
    sq_scales_rates(s, re, im, s->all_covered ? NULL : s->covered, full, scratch, bins,
                    out->values);
    for (size_t i = 0; i < cells; i++) {
        const bool seen = s->newest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        out->mask[i] = !seen                   ? SQUALL_CELL_NO_COVERAGE
                       : out->values[i] > 0.0f ? SQUALL_CELL_VALUE
                                               : SQUALL_CELL_DRY;
        out->values[i] = seen ? out->values[i] : NAN;
    }
}

squall_status squall_sprog_run(const squall_field *const *frames, size_t count,
                               const squall_motion *motion, const int32_t *leads_s,
                               size_t lead_count, const squall_ensemble_options *options,
                               squall_field *const *out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_scales scales;
    fading f = {.scales = &scales, .leads_s = leads_s};
    squall_advect_options carrying;
    SQ_TRY(
        sq_scales_make(frames, count, motion, leads_s, lead_count, options, false, &scales, err));
    f.size = sq_round_up(2 * sq_fft_plane(scales.fft) + sq_fft_scratch(scales.fft) +
                             sq_fft_width(scales.fft) * sq_fft_height(scales.fft),
                         16);
    f.memory = sq_alloc_raw((size_t)sq_pool_threads(scales.pool) * f.size, sizeof *f.memory);
    f.fields = sq_alloc(lead_count, sizeof(squall_field *));
    if (f.memory == NULL || f.fields == NULL) {
        status =
            sq_fail(err, SQUALL_E_MEMORY, "S-PROG", "no memory for %zu lead times", lead_count);
        goto done;
    }
    for (size_t i = 0; i < lead_count; i++) {
        SQ_TRY_GOTO(squall_field_create(&scales.newest->grid, &f.fields[i], err));
        f.fields[i]->valid_time = scales.newest->valid_time;
    }
    sq_pool_run(scales.pool, fade, &f, lead_count);
    squall_advect_options_init(&carrying);
    carrying.threads = scales.options.threads;
    status = squall_advect_each((const squall_field *const *)f.fields, motion, leads_s, lead_count,
                                &carrying, out, err);
done:
    for (size_t i = 0; f.fields != NULL && i < lead_count; i++) {
        squall_field_destroy(&f.fields[i]);
    }
    sq_free(f.fields);
    sq_free(f.memory);
    sq_scales_free(&scales);
    return status;
}
