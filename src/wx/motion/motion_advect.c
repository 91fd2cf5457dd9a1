/* wx/motion/motion_advect.c - fields carried along a motion field: the semi-Lagrangian scheme. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { MAX_LEAD_S = 21600, DEFAULT_SUBSTEP_S = 900, MAX_SUBSTEP_S = 3600 };

void squall_advect_options_init(squall_advect_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->substep_s = DEFAULT_SUBSTEP_S;
}

/* One call: `count` fields, each carried by its own lead. */
typedef struct carrying {
    const squall_field *const *fields; /* [count], or all the same one */
    const squall_motion *motion;
    const int32_t *leads_s;
    size_t count;
    squall_advect_options options;
    squall_field *const *out;
    float *trajectories; /* [threads][4][width]: of a row's air, see below */
} carrying;

/* Of each cell of a row: where its air was, and how it last moved. */
typedef struct trajectories {
    float *x, *y, *u, *v; /* [width] */
} trajectories;

/* The motion at a place in cells (0 is the centre of the first), that of the rim beyond it. */
static inline void motion_at(const squall_motion *motion, float x, float y, float *u, float *v)
{
    const size_t width = motion->grid.width, height = motion->grid.height;
    const float right = (float)(width - 1), bottom = (float)(height - 1);
    x = x < 0.0f ? 0.0f : x > right ? right : x;
    y = y < 0.0f ? 0.0f : y > bottom ? bottom : y;
    const size_t column = (size_t)x, row = (size_t)y;
    const float fx = x - (float)column, fy = y - (float)row;
    const size_t at = row * width + column;
    const size_t east = column + 1 < width ? 1 : 0, south = row + 1 < height ? width : 0;
    const float w00 = (1.0f - fx) * (1.0f - fy), w01 = fx * (1.0f - fy);
    const float w10 = (1.0f - fx) * fy, w11 = fx * fy;
    const float *p = motion->u + at, *q = motion->v + at;
    *u = w00 * p[0] + w01 * p[east] + w10 * p[south] + w11 * p[south + east];
    *v = w00 * q[0] + w01 * q[east] + w10 * q[south] + w11 * q[south + east];
}

/* Follow a row's air `span_s` further against the motion. Each substep takes the motion halfway;
 * where that is, the motion of the substep before tells. */
static void follow(const carrying *c, int32_t span_s, const trajectories *t, size_t width)
{
    const int32_t size_s = span_s < 0 ? -span_s : span_s;
    const int32_t steps = (size_s + c->options.substep_s - 1) / c->options.substep_s;
    const float step_s = steps > 0 ? (float)span_s / (float)steps : 0.0f;
    for (int32_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < width; i++) {
            const float half_x = t->x[i] - 0.5f * step_s * t->u[i];
            const float half_y = t->y[i] - 0.5f * step_s * t->v[i];
            motion_at(c->motion, half_x, half_y, &t->u[i], &t->v[i]);
            t->x[i] -= step_s * t->u[i];
            t->y[i] -= step_s * t->v[i];
        }
    }
}

/* Bilinear mean of the cells around a place that may take part: those that were looked at or, where
 * values do not add up over dry cells (dBZ), those of the nearest one's kind. */
static float mean_of_four(const squall_field *field, const size_t at[4], const float weights[4],
                          bool adds_up, uint8_t kind)
{
    float sum = 0.0f, weight = 0.0f;
    for (int i = 0; i < 4; i++) {
        const uint8_t other = field->mask[at[i]];
        if (adds_up ? other != SQUALL_CELL_NO_COVERAGE : other == kind) {
            sum += weights[i] * field->values[at[i]];
            weight += weights[i];
        }
    }
    return sum / weight;
}

/* What is at a place (0 is the centre of the first cell); as the nearest cell has it where that was
 * not looked at. */
static inline void take(const squall_field *field, bool adds_up, float x, float y, float *value,
                        uint8_t *mask, float *quality)
{
    const int width = (int)field->grid.width, height = (int)field->grid.height;
    *value = NAN;
    *mask = SQUALL_CELL_NO_COVERAGE;
    if (!(x >= -0.5f && y >= -0.5f && x < (float)width - 0.5f && y < (float)height - 0.5f)) {
        return;
    }
    const int left = sq_floor_int(x), top = sq_floor_int(y);
    const float fx = x - (float)left, fy = y - (float)top;
    const int x0 = left < 0 ? 0 : left, x1 = left + 1 < width ? left + 1 : left;
    const int y0 = top < 0 ? 0 : top, y1 = top + 1 < height ? top + 1 : top;
    const size_t upper = (size_t)y0 * (size_t)width, lower = (size_t)y1 * (size_t)width;
    const size_t at[4] = {upper + (size_t)x0, upper + (size_t)x1, lower + (size_t)x0,
                          lower + (size_t)x1};
    const float weights[4] = {(1.0f - fx) * (1.0f - fy), fx * (1.0f - fy), (1.0f - fx) * fy,
                              fx * fy};
    const size_t nearest = at[(fx < 0.5f ? 0 : 1) + (fy < 0.5f ? 0 : 2)];
    const float *v = field->values;
    float mean = (weights[0] * v[at[0]] + weights[1] * v[at[1]]) +
                 (weights[2] * v[at[2]] + weights[3] * v[at[3]]);
    if (adds_up && mean > 0.0f) { /* all four were looked at, or the mean would be NaN */
        *value = mean;
        *mask = SQUALL_CELL_VALUE;
    } else {
        const uint8_t kind = field->mask[nearest];
        if (kind == SQUALL_CELL_NO_COVERAGE) {
            return;
        }
        if (!adds_up || mean != 0.0f) {
            mean = mean_of_four(field, at, weights, adds_up, kind);
        }
        *value = mean;
        *mask = adds_up && mean > 0.0f ? SQUALL_CELL_VALUE : kind;
    }
    if (quality != NULL && field->quality != NULL) {
        *quality = field->quality[nearest];
    }
}

static void carry_row(void *arg, size_t row, int thread)
{
    const carrying *c = arg;
    const size_t width = c->motion->grid.width;
    float *const memory = c->trajectories + (size_t)thread * 4 * width;
    const trajectories t = {memory, memory + width, memory + 2 * width, memory + 3 * width};
    int32_t reached_s = 0;
    for (size_t i = 0; i < width; i++) {
        t.x[i] = (float)i;
        t.y[i] = (float)row;
        t.u[i] = c->motion->u[row * width + i];
        t.v[i] = c->motion->v[row * width + i];
    }
    for (size_t k = 0; k < c->count; k++) {
        const squall_field *field = c->fields[k];
        squall_field *out = c->out[k];
        const bool adds_up =
            field->quantity == SQUALL_RAIN_RATE || field->quantity == SQUALL_ACCUMULATION;
        follow(c, c->leads_s[k] - reached_s, &t, width);
        reached_s = c->leads_s[k];
        for (size_t i = 0; i < width; i++) {
            const size_t at = row * width + i;
            if (out->quality != NULL) {
                out->quality[at] = NAN;
            }
            take(field, adds_up, t.x[i], t.y[i], &out->values[at], &out->mask[at],
                 out->quality != NULL ? &out->quality[at] : NULL);
        }
    }
}

static squall_status check_leads(const int32_t *leads_s, size_t count, squall_error *err)
{
    for (size_t k = 0; k < count; k++) {
        if (leads_s[k] < -MAX_LEAD_S || leads_s[k] > MAX_LEAD_S) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "lead time", "%d s; -%d to %d are allowed",
                           leads_s[k], MAX_LEAD_S, MAX_LEAD_S);
        }
        const int32_t last = k > 0 ? leads_s[k - 1] : 0;
        const bool onward =
            leads_s[k] >= 0 ? last >= 0 && leads_s[k] >= last : last <= 0 && leads_s[k] <= last;
        if (!onward) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "lead times",
                           "must all be of one sign and grow in size");
        }
    }
    return SQUALL_OK;
}

static squall_status check_fields(const carrying *c, squall_error *err)
{
    for (size_t k = 0; k < c->count; k++) {
        const squall_field *const both[2] = {c->fields[k], c->out[k]};
        for (int i = 0; i < 2; i++) {
            if (!squall_grid_equal(&both[i]->grid, &c->motion->grid, 0.1)) {
                return sq_fail(err, SQUALL_E_SHAPE, both[i]->source,
                               "is on another grid (%zux%zu) than the motion field (%zux%zu)",
                               both[i]->grid.width, both[i]->grid.height, c->motion->grid.width,
                               c->motion->grid.height);
            }
        }
    }
    if (c->options.substep_s < 1 || c->options.substep_s > MAX_SUBSTEP_S) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "advect options",
                       "substep_s %d; 1 to %d are allowed", c->options.substep_s, MAX_SUBSTEP_S);
    }
    return SQUALL_OK;
}

/* What the carried field is of: that of its source, later. */
static void describe(const squall_field *field, int32_t lead_s, squall_field *out)
{
    out->quantity = field->quantity;
    memcpy(out->quantity_name, field->quantity_name, sizeof out->quantity_name);
    memcpy(out->unit_name, field->unit_name, sizeof out->unit_name);
    memcpy(out->source, field->source, sizeof out->source);
    out->window_s = field->window_s;
    out->valid_time =
        field->valid_time == SQUALL_TIME_NONE ? SQUALL_TIME_NONE : field->valid_time + lead_s;
}

squall_status squall_advect_each(const squall_field *const *fields, const squall_motion *motion,
                                 const int32_t *leads_s, size_t count,
                                 const squall_advect_options *options, squall_field *const *out,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_pool *pool = NULL;
    carrying c = {
        .fields = fields, .motion = motion, .leads_s = leads_s, .count = count, .out = out};
    squall_advect_options_init(&c.options);
    if (options != NULL) {
        const size_t size = options->struct_size;
        memcpy(&c.options, options, size < sizeof c.options ? size : sizeof c.options);
    }
    SQ_TRY(check_leads(leads_s, count, err));
    SQ_TRY(check_fields(&c, err));
    SQ_TRY_GOTO(sq_pool_create(c.options.threads, &pool, err));
    c.trajectories = sq_alloc_raw((size_t)sq_pool_threads(pool) * 4 * motion->grid.width,
                                  sizeof *c.trajectories);
    if (c.trajectories == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "advection", "no memory for %zu trajectories",
                         motion->grid.width);
        goto done;
    }
    for (size_t k = 0; k < count; k++) {
        if (fields[k]->quality != NULL) {
            SQ_TRY_GOTO(squall_field_add_quality(out[k], err));
        }
    }
    sq_pool_run(pool, carry_row, &c, motion->grid.height);
    for (size_t k = 0; k < count; k++) {
        describe(fields[k], leads_s[k], out[k]);
    }
done:
    sq_free(c.trajectories);
    sq_pool_destroy(&pool);
    return status;
}

squall_status squall_advect_series(const squall_field *field, const squall_motion *motion,
                                   const int32_t *leads_s, size_t count,
                                   const squall_advect_options *options, squall_field *const *out,
                                   squall_error *err)
{
    if (count == 0) {
        return SQUALL_OK;
    }
    const squall_field **fields = sq_alloc(count, sizeof *fields);
    if (fields == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "advection", "no memory for %zu lead times", count);
    }
    for (size_t k = 0; k < count; k++) {
        fields[k] = field;
    }
    const squall_status status =
        squall_advect_each(fields, motion, leads_s, count, options, out, err);
    sq_free(fields);
    return status;
}

squall_status squall_advect(const squall_field *field, const squall_motion *motion, int32_t lead_s,
                            const squall_advect_options *options, squall_field *out,
                            squall_error *err)
{
    return squall_advect_each(&field, motion, &lead_s, 1, options, &out, err);
}
