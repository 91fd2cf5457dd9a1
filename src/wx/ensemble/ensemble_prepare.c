/* wx/ensemble/ensemble_prepare.c - what the newest frames tell: spectra, how long each scale lasts,
 * the spectrum of noise, the values. */
#include "wx/ensemble/ensemble.h"

#include <math.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { MAX_LEAD_S = 21600, MAX_STEP_S = 7200 };

#define DRY_BELOW_DB 5.0f /* dry is that far below the least rain, as in pysteps */
#define UNCHANGED    0.6f /* of what is not known of an older frame; the rest is dry */
#define TAPERED      0.2  /* of the way from the rim to the middle, for the noise's spectrum */
#define PI           3.14159265358979323846

void squall_ensemble_options_init(squall_ensemble_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->members = 20;
    options->levels = 6;
    options->min_rate_mm_h = 0.1f;
    options->perturb_motion = 1;
}

static squall_status check(const squall_field *const *frames, size_t count,
                           const squall_motion *motion, const int32_t *leads_s, size_t lead_count,
                           const squall_ensemble_options *options, squall_error *err)
{
    const squall_field *previous = NULL;
    for (size_t i = 0; i < count; i++) {
        const squall_field *frame = frames[i];
        if (frame == NULL) {
            continue;
        }
        if (frame->quantity != SQUALL_RAIN_RATE) {
            return sq_fail(err, SQUALL_E_SHAPE, frame->source, "is %s; rain rates are wanted",
                           frame->quantity_name);
        }
        if (!squall_grid_equal(&frame->grid, &motion->grid, 0.1)) {
            return sq_fail(err, SQUALL_E_SHAPE, frame->source,
                           "is on another grid (%zux%zu) than the motion field (%zux%zu)",
                           frame->grid.width, frame->grid.height, motion->grid.width,
                           motion->grid.height);
        }
        if (frame->valid_time == SQUALL_TIME_NONE ||
            (previous != NULL && frame->valid_time <= previous->valid_time)) {
            return sq_fail(err, SQUALL_E_ARGUMENT, frame->source,
                           "frames must have times, oldest first");
        }
        previous = frame;
    }
    if (previous == NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "frames", "none; one at least is needed");
    }
    for (size_t i = 0; i < lead_count; i++) {
        if (leads_s[i] < 1 || leads_s[i] > MAX_LEAD_S || (i > 0 && leads_s[i] <= leads_s[i - 1])) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "lead times",
                           "must ascend, in seconds from 1 to %d", MAX_LEAD_S);
        }
    }
    if (lead_count == 0 || options->members < 1 || options->members > SQUALL_ENSEMBLE_MEMBERS ||
        options->levels < 1 || options->levels > SQ_CASCADE_LEVELS ||
        !(options->min_rate_mm_h > 0.0f)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "ensemble options",
                       "%zu lead times, %d members (1 to %d), %d levels (1 to %d), least rate %g "
                       "mm/h (above 0)",
                       lead_count, options->members, SQUALL_ENSEMBLE_MEMBERS, options->levels,
                       SQ_CASCADE_LEVELS, (double)options->min_rate_mm_h);
    }
    return SQUALL_OK;
}

/* The newest frame, the one before it, and the one as long again before that, or NULL. */
static void choose(const squall_field *const *frames, size_t count, const squall_field *chosen[3],
                   sq_scales *s)
{
    chosen[0] = chosen[1] = chosen[2] = NULL;
    for (size_t i = count; i-- > 0;) {
        if (frames[i] == NULL) {
            continue;
        }
        if (chosen[0] == NULL) {
            chosen[0] = frames[i];
            continue;
        }
        const int64_t age = chosen[0]->valid_time - frames[i]->valid_time;
        if (chosen[1] == NULL && age <= MAX_STEP_S) {
            chosen[1] = frames[i];
            s->step_s = (int32_t)age;
        } else if (chosen[1] != NULL && chosen[2] == NULL) {
            const int64_t off = age - 2 * (int64_t)s->step_s;
            chosen[2] = 10 * (off < 0 ? -off : off) <= s->step_s ? frames[i] : NULL;
        }
    }
    s->newest = chosen[0];
}

/* Whether it rains anywhere. */
static bool is_wet(const sq_scales *s, const squall_field *frame)
{
    for (size_t i = 0; i < s->width * s->height; i++) {
        if (frame->values[i] >= s->options.min_rate_mm_h) {
            return true;
        }
    }
    return false;
}

/* Rates to dB above the least rain; dry cells and those beyond the grid lie below. Where an older
 * frame, carried here, has no coverage it is put between dry and what the newest says: what came in
 * from outside has not faded, and taken for dry it would look as if it had, at every scale; but
 * taken for unchanged, scales seem to last longer than forecasts bear out (bench/NOTES.md). A frame
 * that is dry stays dry. */
static void to_db(const sq_scales *s, const squall_field *frame, float *out)
{
    const size_t full = sq_fft_width(s->fft), rows = sq_fft_height(s->fft);
    const float least = s->options.min_rate_mm_h, scale = 1.0f / least;
    const bool fill = is_wet(s, frame);
    for (size_t row = 0; row < rows; row++) {
        float *to = out + row * full;
        const size_t width = row < s->height ? s->width : 0;
        for (size_t i = 0; i < width; i++) {
            const size_t at = row * s->width + i;
            const bool seen = !fill || frame->mask[at] != SQUALL_CELL_NO_COVERAGE;
            const float rate = seen ? frame->values[at] : s->newest->values[at];
            const float db = rate >= least ? 10.0f * log10f(rate * scale) : -DRY_BELOW_DB;
            to[i] = seen ? db : UNCHANGED * db - (1.0f - UNCHANGED) * DRY_BELOW_DB;
        }
        for (size_t i = width; i < full; i++) {
            to[i] = -DRY_BELOW_DB;
        }
    }
}

/* Tukey's window on the distance from the middle: pysteps' compute_window_function(). */
static float taper(const sq_scales *s, size_t row, size_t column)
{
    const double x = (double)column / (double)s->width - 0.5;
    const double y = (double)row / (double)s->height - 0.5;
    const double r = sqrt(x * x + y * y);
    if (r >= 0.5) {
        return 0.0f;
    }
    return r <= 0.5 * (1.0 - TAPERED)
               ? 1.0f
               : (float)(0.5 * (1.0 + cos(PI * (r / (TAPERED * 0.5) - 1.0 / TAPERED + 1.0))));
}

/* The size of the mean spectrum of the frames: without the step from dry to the least rain, and
 * fading to the rim (Seed et al. 2013; pysteps' nonparametric filter). */
static void make_filter(sq_scales *s, float *images, size_t room, size_t count, float *re,
                        float *im, float *scratch)
{
    const size_t full = sq_fft_width(s->fft), rows = sq_fft_height(s->fft);
    const size_t plane = sq_fft_plane(s->fft);
    float *const sum = images; /* in the place of the first */
    for (size_t i = 0; i < full * rows; i++) {
        float total = 0.0f;
        for (size_t k = 0; k < count; k++) {
            const float above = images[k * room + i];
            total += above > 0.0f ? above : 0.0f;
        }
        const size_t row = i / full, column = i % full;
        sum[i] = row < s->height && column < s->width ? total * taper(s, row, column) : 0.0f;
    }
    sq_fft_forward(s->fft, sum, re, im, scratch);
    for (size_t i = 0; i < plane; i++) {
        s->filter[i] = i < rows * sq_fft_stride(s->fft) ? sqrtf(re[i] * re[i] + im[i] * im[i]) : 0;
    }
    s->filter[0] = 0.0f;
}

/* How long each level lasts, from its correlations. */
static void fit(sq_scales *s)
{
    const size_t levels = s->cascade.levels;
    double own[3][SQ_CASCADE_LEVELS] = {{0}}, with[3][SQ_CASCADE_LEVELS] = {{0}};
    double wet[3] = {0};
    const double cells = (double)sq_fft_width(s->fft) * (double)sq_fft_height(s->fft);
    s->mean = (double)s->re[0][0] / cells;
    for (size_t i = 0; i <= s->order; i++) {
        sq_cascade_covariance(&s->cascade, s->re[i], s->im[i], s->re[i], s->im[i], own[i]);
        sq_cascade_covariance(&s->cascade, s->re[0], s->im[0], s->re[i], s->im[i], with[i]);
        for (size_t k = 0; k < levels; k++) {
            wet[i] += own[i][k];
        }
    }
    /* A frame in which everything is alike, dry as a rule, says nothing of correlations; what
     * rounding leaves of it is far below 1e-6 dB^2. */
    if (s->order == 2 && !(wet[2] > 1e-6)) {
        s->order = 1;
    }
    if (s->order >= 1 && !(wet[1] > 1e-6)) {
        s->order = 0;
    }
    for (size_t k = 0; k < levels; k++) {
        double correlation[3] = {1.0, NAN, NAN};
        s->deviation[k] = sqrt(fmax(own[0][k], 0.0));
        s->earlier_deviation[k] = sqrt(fmax(own[1][k], 0.0));
        for (size_t i = 1; i <= s->order; i++) {
            const double both = sqrt(fmax(own[0][k] * own[i][k], 0.0));
            correlation[i] = both > 0.0 ? with[i][k] / both : 0.0;
        }
        s->ar[k] = s->order > 0 ? sq_cascade_ar_fit(correlation[1], correlation[2])
                                : (sq_cascade_ar){.phi1 = 1.0};
    }
}

/* Where the newest frame looked. */
static squall_status find_coverage(sq_scales *s, squall_error *err)
{
    const size_t cells = s->width * s->height;
    s->covered = sq_alloc_raw(cells, sizeof *s->covered);
    if (s->covered == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "ensemble", "no memory for %zu cells", cells);
    }
    s->all_covered = true;
    for (size_t i = 0; i < cells; i++) {
        const bool seen = s->newest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        s->covered[i] = seen ? 1.0f : 0.0f;
        s->all_covered = s->all_covered && seen;
    }
    return SQUALL_OK;
}

/* Spectra of all frames, and the filter; the process is of as many orders as there are older ones.
 */
static squall_status transform(sq_scales *s, const squall_field *const chosen[SQ_ENSEMBLE_FRAMES],
                               bool noise, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_advect_options carrying;
    squall_field *carried = NULL;
    const size_t plane = sq_fft_plane(s->fft);
    size_t count = 1;
    while (count < SQ_ENSEMBLE_FRAMES && chosen[count] != NULL) {
        count++;
    }
    s->order = count - 1;
    const size_t cells = sq_fft_width(s->fft) * sq_fft_height(s->fft);
    const size_t room = sq_round_up(cells, 16);
    float *const images = sq_alloc_raw(count * room, sizeof *images);
    float *const work = sq_alloc_raw(2 * plane + sq_fft_scratch(s->fft), sizeof *work);
    s->planes = sq_alloc((2 * count + 1) * plane, sizeof *s->planes);
    if (images == NULL || work == NULL || s->planes == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "ensemble", "no memory for the spectra of %zu cells",
                         cells);
        goto done;
    }
    squall_advect_options_init(&carrying);
    carrying.threads = s->options.threads;
    s->filter = s->planes + 2 * count * plane;
    for (size_t i = 0; i < count; i++) {
        s->re[i] = s->planes + 2 * i * plane;
        s->im[i] = s->re[i] + plane;
        if (i > 0) {
            const int64_t age = s->newest->valid_time - chosen[i]->valid_time;
            if (carried == NULL) {
                SQ_TRY_GOTO(squall_field_create(&chosen[i]->grid, &carried, err));
            }
            SQ_TRY_GOTO(squall_advect(chosen[i], s->motion, (int32_t)age, &carrying, carried, err));
        }
        to_db(s, i > 0 ? carried : s->newest, images + i * room);
        sq_fft_forward(s->fft, images + i * room, s->re[i], s->im[i], work + 2 * plane);
    }
    if (noise) {
        make_filter(s, images, room, count, work, work + plane, work + 2 * plane);
    }
done:
    squall_field_destroy(&carried);
    sq_free(images);
    sq_free(work);
    return status;
}

squall_status sq_scales_make(const squall_field *const *frames, size_t count,
                             const squall_motion *motion, const int32_t *leads_s, size_t lead_count,
                             const squall_ensemble_options *options, bool noise, sq_scales *out,
                             squall_error *err)
{
    squall_status status = SQUALL_OK;
    const squall_field *chosen[SQ_ENSEMBLE_FRAMES];
    memset(out, 0, sizeof *out);
    squall_ensemble_options_init(&out->options);
    if (options != NULL) {
        const size_t size = options->struct_size;
        memcpy(&out->options, options, size < sizeof out->options ? size : sizeof out->options);
    }
    SQ_TRY(check(frames, count, motion, leads_s, lead_count, &out->options, err));
    choose(frames, count, chosen, out);
    out->motion = motion;
    out->width = motion->grid.width;
    out->height = motion->grid.height;
    out->step_s = chosen[1] != NULL ? out->step_s : 300;
    SQ_TRY_GOTO(sq_pool_create(out->options.threads, &out->pool, err));
    SQ_TRY_GOTO(
        sq_fft_create(sq_fft_length(out->width), sq_fft_length(out->height), &out->fft, err));
    SQ_TRY_GOTO(
        sq_cascade_make(out->fft,
                        sq_cascade_levels(out->width, out->height, (size_t)out->options.levels),
                        &out->cascade, err));
    SQ_TRY_GOTO(find_coverage(out, err));
    SQ_TRY_GOTO(transform(out, chosen, noise, err));
    SQ_TRY_GOTO(sq_match_make(out->newest->values, out->width * out->height,
                              out->options.min_rate_mm_h, &out->match, err));
    fit(out);
done:
    if (status != SQUALL_OK) {
        sq_scales_free(out);
    }
    return status;
}

void sq_scales_free(sq_scales *scales)
{
    sq_match_free(&scales->match);
    sq_free(scales->covered);
    sq_free(scales->planes);
    sq_cascade_free(&scales->cascade);
    sq_fft_destroy(&scales->fft);
    sq_pool_destroy(&scales->pool);
    memset(scales, 0, sizeof *scales);
}

void sq_scales_expected(const sq_scales *scales, size_t steps, float *re, float *im)
{
    double newest[SQ_CASCADE_LEVELS], earlier[SQ_CASCADE_LEVELS];
    for (size_t k = 0; k < scales->cascade.levels; k++) {
        /* The level is a x[0] + b x[-1], in deviations. */
        const sq_cascade_ar *ar = &scales->ar[k];
        double a[2] = {1.0, 0.0}, b[2] = {0.0, 1.0};
        for (size_t i = 0; i < steps; i++) {
            const double next_a = ar->phi1 * a[0] + ar->phi2 * a[1];
            const double next_b = ar->phi1 * b[0] + ar->phi2 * b[1];
            a[1] = a[0];
            a[0] = next_a;
            b[1] = b[0];
            b[0] = next_b;
        }
        newest[k] = a[0];
        earlier[k] = scales->order == 2 && scales->earlier_deviation[k] > 0.0
                         ? b[0] * scales->deviation[k] / scales->earlier_deviation[k]
                         : 0.0;
    }
    const size_t second = scales->order == 2 ? 1 : 0;
    sq_cascade_mix(&scales->cascade, scales->re[0], scales->im[0], newest, scales->re[second],
                   scales->im[second], earlier, scales->mean, re, im);
}

void sq_scales_rates(const sq_scales *scales, float *re, float *im, const float *share, float *full,
                     float *scratch, uint32_t *bins, float *out)
{
    const size_t from = sq_fft_width(scales->fft), width = scales->width;
    const bool same = from == width;
    sq_fft_inverse(scales->fft, re, im,
                   same && sq_fft_height(scales->fft) == scales->height ? out : full, scratch);
    if (!same || sq_fft_height(scales->fft) != scales->height) {
        for (size_t row = 0; row < scales->height; row++) {
            memcpy(out + row * width, full + row * from, width * sizeof *out);
        }
    }
    sq_match_run(&scales->match, out, share, width * scales->height, bins);
}
