/* wx/motion/motion_estimate.c - from frames to a motion field: coarse to fine over their pyramids.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { MAX_FRAMES = 8 };

#define OLDER_COUNTS   0.85f /* weight of a pair against that of the next newer one */
#define EARTH_RADIUS_M 6371000.0
#define PI             3.14159265358979323846

/* Chosen by CSI and MAE of extrapolations on training events; bench/NOTES.md has the table. */
static const sq_flow_settings settings = {.smoothness = 0.03f,
                                          .outlier = 2.0f,
                                          .warps = 3,
                                          .sweeps = 40};

const char *squall_motion_method_name(squall_motion_method method)
{
    static const char *const names[SQUALL_MOTION_METHODS] = {"dense", "lucas-kanade", "spectral"};
    return (unsigned)method < SQUALL_MOTION_METHODS ? names[method] : "unknown";
}

void squall_motion_options_init(squall_motion_options *options)
{
    memset(options, 0, sizeof *options);
    options->struct_size = (uint32_t)sizeof *options;
    options->min_rate_mm_h = 0.1f;
    options->max_speed_m_s = 50.0f;
}

squall_status squall_motion_create(const squall_grid *grid, squall_motion **out, squall_error *err)
{
    SQ_TRY(sq_grid_check(grid, err));
    const size_t cells = sq_grid_cells(grid);
    squall_motion *motion = sq_alloc(1, sizeof *motion);
    if (motion != NULL) {
        motion->grid = *grid;
        motion->u = sq_alloc(cells, sizeof *motion->u);
        motion->v = sq_alloc(cells, sizeof *motion->v);
    }
    if (motion == NULL || motion->u == NULL || motion->v == NULL) {
        squall_motion_destroy(&motion);
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for %zux%zu vectors", grid->width,
                       grid->height);
    }
    *out = motion;
    return SQUALL_OK;
}

void squall_motion_destroy(squall_motion **motion)
{
    if (motion == NULL || *motion == NULL) {
        return;
    }
    sq_free((*motion)->u);
    sq_free((*motion)->v);
    sq_free(*motion);
    *motion = NULL;
}

/* Everything that one estimate owns. */
typedef struct estimate {
    const squall_field *frames[MAX_FRAMES];
    size_t count;
    squall_motion_options options;
    sq_pool *pool;
    size_t reduction;
    sq_pyramid pyramids[MAX_FRAMES];
    double unit_s; /* the flow's time unit */
    float *memory; /* of the arrays below */
    sq_flow flow, coarse;
    sq_flow_scratch scratch;
    squall_error errors[MAX_FRAMES];
    squall_status statuses[MAX_FRAMES];
} estimate;

static squall_status check_frames(const squall_field *const *frames, size_t count,
                                  const squall_motion *out, estimate *e, squall_error *err)
{
    if (count > MAX_FRAMES) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "motion", "%zu frames; 2 to %d are allowed", count,
                       MAX_FRAMES);
    }
    for (size_t i = 0; i < count; i++) {
        const squall_field *frame = frames[i];
        if (frame == NULL) {
            continue;
        }
        if (frame->quantity != SQUALL_RAIN_RATE) {
            return sq_fail(err, SQUALL_E_SHAPE, frame->source,
                           "is %s; motion is found in rain rates", frame->quantity_name);
        }
        if (!squall_grid_equal(&frame->grid, &out->grid, 0.1)) {
            return sq_fail(err, SQUALL_E_SHAPE, frame->source,
                           "is on another grid (%zux%zu) than the motion field (%zux%zu)",
                           frame->grid.width, frame->grid.height, out->grid.width,
                           out->grid.height);
        }
        if (frame->valid_time == SQUALL_TIME_NONE ||
            (e->count > 0 && frame->valid_time <= e->frames[e->count - 1]->valid_time)) {
            return sq_fail(err, SQUALL_E_ARGUMENT, frame->source,
                           "frames must have times, oldest first");
        }
        e->frames[e->count++] = frame;
    }
    if (e->count < 2) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "motion", "%zu frame%s; two are needed", e->count,
                       e->count == 1 ? "" : "s");
    }
    return SQUALL_OK;
}

static void make_pyramid(void *arg, size_t index, int thread)
{
    estimate *e = arg;
    (void)thread;
    e->statuses[index] = sq_pyramid_make(e->frames[index], e->options.min_rate_mm_h, e->reduction,
                                         &e->pyramids[index], &e->errors[index]);
}

static squall_status prepare(estimate *e, squall_error *err)
{
    const squall_grid *grid = &e->frames[0]->grid;
    SQ_TRY(sq_pool_create(e->options.threads, &e->pool, err));
    e->reduction = sq_pyramid_reduction(grid->width, grid->height);
    sq_pool_run(e->pool, make_pyramid, e, e->count);
    for (size_t i = 0; i < e->count; i++) {
        if (e->statuses[i] != SQUALL_OK) {
            return sq_fail(err, e->statuses[i], e->errors[i].where, "%s", e->errors[i].text);
        }
    }
    const size_t blocks =
        sq_flow_blocks(e->pyramids[0].width[0]) * sq_flow_blocks(e->pyramids[0].height[0]);
    e->memory = sq_alloc(11 * blocks, sizeof *e->memory);
    if (e->memory == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for %zu blocks", blocks);
    }
    float *const m = e->memory;
    e->flow.u = m;
    e->flow.v = m + blocks;
    e->coarse.u = m + 2 * blocks;
    e->coarse.v = m + 3 * blocks;
    e->scratch = (sq_flow_scratch){m + 4 * blocks, m + 5 * blocks, m + 6 * blocks, m + 7 * blocks,
                                   m + 8 * blocks, m + 9 * blocks, m + 10 * blocks};
    e->unit_s = (double)(e->frames[e->count - 1]->valid_time - e->frames[0]->valid_time) /
                (double)(e->count - 1);
    return SQUALL_OK;
}

/* Begin a level with the flow of the one above: cells are half as large, vectors twice as long. */
static void begin_level(estimate *e, size_t level)
{
    const sq_pyramid *p = &e->pyramids[0];
    const bool coarsest = level + 1 == p->levels;
    const sq_flow swap = e->coarse;
    e->coarse = e->flow;
    e->flow = swap;
    e->flow.columns = sq_flow_blocks(p->width[level]);
    e->flow.rows = sq_flow_blocks(p->height[level]);
    for (size_t row = 0; row < e->flow.rows; row++) {
        for (size_t column = 0; column < e->flow.columns; column++) {
            float u = 0.0f, v = 0.0f;
            if (!coarsest) {
                const float centre_x = ((float)column + 0.5f) * SQ_FLOW_BLOCK;
                const float centre_y = ((float)row + 0.5f) * SQ_FLOW_BLOCK;
                sq_flow_at(&e->coarse, 0.5f * centre_x - 0.5f, 0.5f * centre_y - 0.5f, &u, &v);
            }
            e->flow.u[row * e->flow.columns + column] = 2.0f * u;
            e->flow.v[row * e->flow.columns + column] = 2.0f * v;
        }
    }
}

static void find_flow(estimate *e)
{
    sq_flow_pair pairs[MAX_FRAMES];
    const sq_pyramid *p = &e->pyramids[0];
    for (size_t level = p->levels; level-- > 0;) {
        float weight = 1.0f;
        for (size_t i = e->count - 1; i-- > 0;) {
            const int64_t step_s = e->frames[i + 1]->valid_time - e->frames[i]->valid_time;
            pairs[i] = (sq_flow_pair){.before = e->pyramids[i].image[level],
                                      .after = e->pyramids[i + 1].image[level],
                                      .time = (float)((double)step_s / e->unit_s),
                                      .weight = weight};
            weight *= OLDER_COUNTS;
        }
        begin_level(e, level);
        sq_flow_refine(pairs, e->count - 1, p->width[level], p->height[level], &settings,
                       &e->scratch, e->pool, &e->flow);
    }
}

squall_status sq_motion_cell_m(const squall_grid *grid, double *column_m, double *row_m,
                               squall_error *err)
{
    const double x = 0.5 * (double)grid->width, y = 0.5 * (double)grid->height;
    double column[3] = {x, x + 1.0, x}, row[3] = {y, y, y + 1.0};
    SQ_TRY(squall_grid_to_lonlat(grid, column, row, 3, column, row, err));
    double metres[2];
    for (int i = 0; i < 2; i++) {
        const double north = (row[i + 1] - row[0]) * PI / 180.0;
        const double turn = fmod(column[i + 1] - column[0] + 540.0, 360.0) - 180.0;
        const double east = turn * PI / 180.0 * cos(row[0] * PI / 180.0);
        metres[i] = EARTH_RADIUS_M * sqrt(north * north + east * east);
    }
    *column_m = metres[0];
    *row_m = metres[1];
    return SQUALL_OK;
}

typedef struct spreading {
    const estimate *e;
    squall_motion *out;
    float scale;           /* cells of the grid a second, for one cell of the level a unit */
    float column_m, row_m; /* metres of a cell; 0 when not known */
} spreading;

static void spread_row(void *arg, size_t row, int thread)
{
    const spreading *s = arg;
    const float shrink = 1.0f / (float)((size_t)1 << s->e->reduction);
    const float y = ((float)row + 0.5f) * shrink - 0.5f;
    const size_t width = s->out->grid.width;
    const float max_speed = s->e->options.max_speed_m_s;
    (void)thread;
    for (size_t column = 0; column < width; column++) {
        float u, v;
        sq_flow_at(&s->e->flow, ((float)column + 0.5f) * shrink - 0.5f, y, &u, &v);
        u *= s->scale;
        v *= s->scale;
        const float east = u * s->column_m, south = v * s->row_m;
        const float speed = sqrtf(east * east + south * south);
        const float keep = speed > max_speed ? max_speed / speed : 1.0f;
        s->out->u[row * width + column] = u * keep;
        s->out->v[row * width + column] = v * keep;
    }
}

/* From the blocks of the finest level to every cell, none faster than allowed. */
static void spread(const estimate *e, squall_motion *out)
{
    double column_m = 0.0, row_m = 0.0;
    /* A middle that lies nowhere on the earth (a geostationary view's corner) sets no limit. */
    if (sq_motion_cell_m(&out->grid, &column_m, &row_m, NULL) != SQUALL_OK || !isfinite(column_m) ||
        !isfinite(row_m)) {
        column_m = row_m = 0.0;
    }
    spreading s = {.e = e,
                   .out = out,
                   .scale = (float)((double)((size_t)1 << e->reduction) / e->unit_s),
                   .column_m = (float)column_m,
                   .row_m = (float)row_m};
    sq_pool_run(e->pool, spread_row, &s, out->grid.height);
}

/* None faster than allowed; the dense flow sees to it as it is spread. */
static void limit_speed(const squall_motion_options *options, squall_motion *motion)
{
    double column_m = 0.0, row_m = 0.0;
    if (sq_motion_cell_m(&motion->grid, &column_m, &row_m, NULL) != SQUALL_OK ||
        !isfinite(column_m) || !isfinite(row_m)) {
        return;
    }
    for (size_t i = 0; i < motion->grid.width * motion->grid.height; i++) {
        const float east = motion->u[i] * (float)column_m, south = motion->v[i] * (float)row_m;
        const float speed = sqrtf(east * east + south * south);
        if (speed > options->max_speed_m_s) {
            motion->u[i] *= options->max_speed_m_s / speed;
            motion->v[i] *= options->max_speed_m_s / speed;
        }
    }
}

squall_status squall_motion_estimate(const squall_field *const *frames, size_t count,
                                     const squall_motion_options *options, squall_motion *out,
                                     squall_error *err)
{
    squall_status status = SQUALL_OK;
    estimate e = {.count = 0};
    squall_motion_options_init(&e.options);
    if (options != NULL) {
        const size_t size = options->struct_size;
        memcpy(&e.options, options, size < sizeof e.options ? size : sizeof e.options);
    }
    if (!(e.options.min_rate_mm_h > 0.0f) || !(e.options.max_speed_m_s > 0.0f)) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "motion options",
                       "min_rate_mm_h and max_speed_m_s must be above 0");
    }
    if ((uint32_t)e.options.method >= SQUALL_MOTION_METHODS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "motion options", "method %d is none of 0 to %d",
                       e.options.method, SQUALL_MOTION_METHODS - 1);
    }
    SQ_TRY(check_frames(frames, count, out, &e, err));
    if (e.options.method != SQUALL_MOTION_DENSE) {
        SQ_TRY((e.options.method == SQUALL_MOTION_SPECTRAL
                    ? sq_motion_spectral
                    : sq_motion_sparse)(e.frames, e.count, &e.options, out, err));
        limit_speed(&e.options, out);
        return SQUALL_OK;
    }
    SQ_TRY_GOTO(prepare(&e, err));
    find_flow(&e);
    spread(&e, out);
done:
    for (size_t i = 0; i < e.count; i++) {
        sq_pyramid_free(&e.pyramids[i]);
    }
    sq_free(e.memory);
    sq_pool_destroy(&e.pool);
    return status;
}
