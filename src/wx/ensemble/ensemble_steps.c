/* wx/ensemble/ensemble_steps.c - STEPS: what S-PROG cannot know is drawn at random, many times. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/ensemble/ensemble.h"
#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { RIM_CELLS = 10 };

static const float thresholds[SQUALL_ENSEMBLE_THRESHOLDS] = {0.1f, 1.0f, 5.0f, 10.0f};

/* One member's memory between steps. */
typedef struct member {
    sq_cascade_state state;
    float *rates; /* [height][width], mm/h, in the moving frame; NaN outside coverage */
} member;

/* One call. */
typedef struct steps {
    sq_scales scales;
    sq_ways ways;
    size_t members;
    member *items;
    float *states, *fields; /* owned: of all members */
    float *expected;        /* owned: two planes, of the step in hand */
    float *scratch;         /* owned, [threads][scratch_size] */
    size_t scratch_size;
    int reach; /* cells that rain may cross in a step */
    size_t step;
    int32_t from_s, to_s; /* the way in hand */
    size_t lead;
    squall_ensemble *out;
} steps;

void squall_ensemble_destroy(squall_ensemble **ensemble)
{
    if (ensemble == NULL || *ensemble == NULL) {
        return;
    }
    squall_ensemble *e = *ensemble;
    for (size_t i = 0; e->mean != NULL && i < e->leads; i++) {
        squall_field_destroy(&e->mean[i]);
    }
    for (size_t i = 0; e->probabilities != NULL && i < e->leads * SQUALL_ENSEMBLE_THRESHOLDS; i++) {
        squall_field_destroy(&e->probabilities[i]);
    }
    for (size_t i = 0; e->fields != NULL && i < e->leads * e->members; i++) {
        squall_field_destroy(&e->fields[i]);
    }
    sq_free(e->mean);
    sq_free(e->probabilities);
    sq_free(e->fields);
    sq_free(e);
    *ensemble = NULL;
}

squall_status sq_ensemble_make(const squall_field *newest, const int32_t *leads_s,
                               size_t lead_count, size_t members, bool keep, const char *source,
                               squall_ensemble **out, squall_error *err)
{
    squall_ensemble *e = sq_alloc(1, sizeof *e);
    *out = e;
    if (e != NULL) {
        e->members = members;
        e->leads = lead_count;
        memcpy(e->thresholds_mm_h, thresholds, sizeof thresholds);
        e->mean = sq_alloc(lead_count, sizeof(squall_field *));
        e->probabilities =
            sq_alloc(lead_count * SQUALL_ENSEMBLE_THRESHOLDS, sizeof(squall_field *));
        e->fields = keep ? sq_alloc(lead_count * members, sizeof(squall_field *)) : NULL;
    }
    if (e == NULL || e->mean == NULL || e->probabilities == NULL || (keep && e->fields == NULL)) {
        return sq_fail(err, SQUALL_E_MEMORY, source, "no memory for %zu lead times", lead_count);
    }
    const size_t each = 1 + SQUALL_ENSEMBLE_THRESHOLDS + (keep ? members : 0);
    for (size_t i = 0; i < lead_count * each; i++) {
        const size_t lead = i / each, which = i % each;
        squall_field **field =
            which == 0 ? &e->mean[lead]
            : which <= SQUALL_ENSEMBLE_THRESHOLDS
                ? &e->probabilities[lead * SQUALL_ENSEMBLE_THRESHOLDS + which - 1]
                : &e->fields[lead * members + which - 1 - SQUALL_ENSEMBLE_THRESHOLDS];
        SQ_TRY(squall_field_create(&newest->grid, field, err));
        (*field)->valid_time = newest->valid_time + leads_s[lead];
        if (which >= 1 && which <= SQUALL_ENSEMBLE_THRESHOLDS) {
            squall_field_set_quantity(*field, SQUALL_OTHER, "probability", "1");
        }
        snprintf((*field)->source, sizeof(*field)->source, "squall %s", source);
    }
    return SQUALL_OK;
}

/* Memory of all members, who begin with the newest frame. */
static squall_status make_members(steps *s, squall_error *err)
{
    const sq_scales *scales = &s->scales;
    const size_t size = sq_round_up(scales->cascade.size, 16);
    const size_t cells = scales->width * scales->height, room = sq_round_up(cells, 16);
    const size_t plane = sq_fft_plane(scales->fft);
    double column_m = 0.0, row_m = 0.0;
    s->scratch_size = sq_round_up(4 * plane + sq_fft_scratch(scales->fft) + room +
                                      sq_fft_width(scales->fft) * sq_fft_height(scales->fft) +
                                      SQ_MATCH_BINS + 1 + 8 * scales->width + 4 * s->ways.columns,
                                  16);
    s->items = sq_alloc(s->members, sizeof *s->items);
    s->states = sq_alloc(4 * s->members * size, sizeof *s->states);
    s->fields = sq_alloc_raw(s->members * room, sizeof *s->fields);
    s->expected = sq_alloc_raw(2 * plane, sizeof *s->expected);
    s->scratch =
        sq_alloc_raw((size_t)sq_pool_threads(scales->pool) * s->scratch_size, sizeof *s->scratch);
    if (s->items == NULL || s->states == NULL || s->fields == NULL || s->expected == NULL ||
        s->scratch == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "STEPS", "no memory for %zu members of %zu cells",
                       s->members, cells);
    }
    for (size_t i = 0; i < s->members; i++) {
        float *const at = s->states + 4 * i * size;
        s->items[i] =
            (member){.state = {.re = {at, at + size}, .im = {at + 2 * size, at + 3 * size}},
                     .rates = s->fields + i * room};
        memcpy(s->items[i].rates, scales->newest->values, cells * sizeof(float));
    }
    s->reach = 1;
    if (sq_motion_cell_m(&scales->newest->grid, &column_m, &row_m, NULL) == SQUALL_OK &&
        isfinite(column_m * row_m) && column_m * row_m > 0.0) {
        /* Cells of rain that moves at 60 km/h against the motion, halved: pysteps' mask_f of 1. */
        const double cross = (double)scales->step_s / 60.0 / (sqrt(column_m * row_m) / 1000.0);
        s->reach = (int)fmin(fmax((cross - 1.0) / 2.0, 1.0), 100.0);
    }
    return SQUALL_OK;
}

/* How much may rain: 1 up to `reach` cells from where the member has rain, then less, to 0 beyond
 * the rim. Distances are in steps along rows and columns. */
static void make_share(const steps *s, const float *rates, float *share)
{
    const size_t width = s->scales.width, height = s->scales.height;
    const float least = s->scales.options.min_rate_mm_h;
    const float far = (float)(s->reach + RIM_CELLS + 1), per_cell = 1.0f / (float)(RIM_CELLS + 1);
    for (size_t row = 0; row < height; row++) {
        float *at = share + row * width;
        const float *above = row > 0 ? at - width : NULL;
        for (size_t i = 0; i < width; i++) {
            const float up = above != NULL ? above[i] + 1.0f : far;
            at[i] = rates[row * width + i] >= least ? 0.0f : up < far ? up : far;
        }
        float left = far;
        for (size_t i = 0; i < width; i++) {
            left = at[i] < left + 1.0f ? at[i] : left + 1.0f;
            at[i] = left;
        }
    }
    for (size_t row = height; row-- > 0;) {
        float *at = share + row * width;
        float right = far;
        for (size_t i = 0; row + 1 < height && i < width; i++) {
            const float down = at[width + i] + 1.0f;
            at[i] = down < at[i] ? down : at[i];
        }
        for (size_t i = width; i-- > 0;) {
            right = at[i] < right + 1.0f ? at[i] : right + 1.0f;
            at[i] = right;
        }
    }
    for (size_t i = 0; i < width * height; i++) {
        const float part = (far - share[i]) * per_cell;
        share[i] = (part < 1.0f ? part : 1.0f) * s->scales.covered[i];
    }
}

/* One member, one step on. */
static void step_member(void *arg, size_t index, int thread)
{
    const steps *s = arg;
    const sq_scales *scales = &s->scales;
    member *m = &s->items[index];
    const size_t plane = sq_fft_plane(scales->fft), cells = scales->width * scales->height;
    float *const noise = s->scratch + (size_t)thread * s->scratch_size;
    float *const sum = noise + 2 * plane, *const share = sum + 2 * plane;
    float *const transform = share + sq_round_up(cells, 16);
    float *const full = transform + sq_fft_scratch(scales->fft);
    uint32_t *const bins =
        (uint32_t *)(void *)(full + sq_fft_width(scales->fft) * sq_fft_height(scales->fft));
    memcpy(sum, s->expected, 2 * plane * sizeof *sum);
    sq_cascade_noise(scales->fft, scales->filter, scales->options.seed, (uint32_t)index,
                     (uint32_t)s->step, noise, noise + plane);
    sq_cascade_state_step(&scales->cascade, scales->ar, noise, noise + plane, scales->deviation,
                          &m->state, sum, sum + plane);
    make_share(s, m->rates, share);
    sq_scales_rates(scales, sum, sum + plane, share, full, transform, bins, m->rates);
    for (size_t i = 0; !scales->all_covered && i < cells; i++) {
        m->rates[i] = scales->covered[i] > 0.0f ? m->rates[i] : NAN;
    }
}

static void follow_member(void *arg, size_t index, int thread)
{
    const steps *s = arg;
    (void)thread;
    sq_way_follow(&s->ways, &s->ways.items[index], s->from_s, s->to_s);
}

/* What the members say of one row, by the means and shares of those that cover a cell. */
static void sum_row(void *arg, size_t row, int thread)
{
    const steps *s = arg;
    const size_t width = s->scales.width, at = row * width;
    squall_ensemble *out = s->out;
    float *const nodes = s->scratch + (size_t)thread * s->scratch_size;
    float *const rates = nodes + 4 * s->ways.columns, *const sum = rates + width;
    float *const seen = sum + width, *const above = seen + width;
    memset(sum, 0, (2 + SQUALL_ENSEMBLE_THRESHOLDS) * width * sizeof *sum);
    for (size_t m = 0; m < s->members; m++) {
        sq_way_take(&s->ways, &s->ways.items[m], s->items[m].rates, row, nodes, rates);
        for (size_t i = 0; i < width; i++) {
            const bool known = rates[i] == rates[i];
            sum[i] += known ? rates[i] : 0.0f;
            seen[i] += known ? 1.0f : 0.0f;
        }
        for (size_t t = 0; t < SQUALL_ENSEMBLE_THRESHOLDS; t++) {
            for (size_t i = 0; i < width; i++) {
                above[t * width + i] += rates[i] > thresholds[t] ? 1.0f : 0.0f;
            }
        }
        for (size_t i = 0; out->fields != NULL && i < width; i++) {
            squall_field *field = out->fields[s->lead * s->members + m];
            field->values[at + i] = rates[i];
            field->mask[at + i] = isnan(rates[i])   ? SQUALL_CELL_NO_COVERAGE
                                  : rates[i] > 0.0f ? SQUALL_CELL_VALUE
                                                    : SQUALL_CELL_DRY;
        }
    }
    for (size_t i = 0; i < width; i++) {
        if (2.0f * seen[i] < (float)s->members) {
            continue; /* it stays without coverage */
        }
        const float mean = sum[i] / seen[i];
        out->mean[s->lead]->values[at + i] = mean;
        out->mean[s->lead]->mask[at + i] = mean > 0.0f ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
        for (size_t t = 0; t < SQUALL_ENSEMBLE_THRESHOLDS; t++) {
            squall_field *field = out->probabilities[s->lead * SQUALL_ENSEMBLE_THRESHOLDS + t];
            field->values[at + i] = above[t * width + i] / seen[i];
            field->mask[at + i] = SQUALL_CELL_VALUE;
        }
    }
}

/* All members to one lead. */
static void reach_lead(steps *s, const int32_t *leads_s, size_t lead)
{
    s->lead = lead;
    s->from_s = lead > 0 ? leads_s[lead - 1] : 0;
    s->to_s = leads_s[lead];
    sq_pool_run(s->scales.pool, follow_member, s, s->members);
    sq_pool_run(s->scales.pool, sum_row, s, s->scales.height);
}

static void run(steps *s, const int32_t *leads_s, size_t lead_count)
{
    const sq_scales *scales = &s->scales;
    for (size_t lead = 0; lead < lead_count; lead++) {
        const size_t wanted = sq_scales_nearest(scales, leads_s[lead]);
        /* Without a past, and without rain, the newest frame stays what it is. */
        while (s->step < wanted && scales->order > 0 && scales->match.count > 0) {
            s->step++;
            sq_scales_expected(scales, s->step, s->expected,
                               s->expected + sq_fft_plane(scales->fft));
            sq_pool_run(scales->pool, step_member, s, s->members);
        }
        reach_lead(s, leads_s, lead);
    }
}

squall_status squall_steps_run(const squall_field *const *frames, size_t count,
                               const squall_motion *motion, const int32_t *leads_s,
                               size_t lead_count, const squall_ensemble_options *options,
                               squall_ensemble **out, squall_error *err)
{
    squall_status status = SQUALL_OK;
    steps s = {0};
    SQ_TRY(
        sq_scales_make(frames, count, motion, leads_s, lead_count, options, true, &s.scales, err));
    s.members = (size_t)s.scales.options.members;
    SQ_TRY_GOTO(sq_ways_make(motion, s.members, s.scales.options.perturb_motion != 0,
                             s.scales.options.seed, &s.ways, err));
    SQ_TRY_GOTO(make_members(&s, err));
    SQ_TRY_GOTO(sq_ensemble_make(s.scales.newest, leads_s, lead_count, s.members,
                                 s.scales.options.keep_members != 0, "steps", &s.out, err));
    run(&s, leads_s, lead_count);
    *out = s.out;
    s.out = NULL;
done:
    squall_ensemble_destroy(&s.out);
    sq_free(s.items);
    sq_free(s.states);
    sq_free(s.fields);
    sq_free(s.expected);
    sq_free(s.scratch);
    sq_ways_free(&s.ways);
    sq_scales_free(&s.scales);
    return status;
}
