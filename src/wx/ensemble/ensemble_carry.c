/* wx/ensemble/ensemble_carry.c - each member carried on its own way.
 *
 * The error of motion is that of Bowler et al. (2006), section 2.5, with pysteps' numbers: along
 * the motion (10.88 t^0.23 - 7.68) km/h and across it (5.76 t^0.31 - 2.72) km/h, t the lead in
 * minutes, each times one random number of the member's, of Laplace's distribution. Ways are
 * followed as squall_advect() follows them, for every eighth cell in both directions; a motion
 * field has nothing that is smaller.
 */
#include <math.h>
#include <string.h>

#include "wx/ensemble/ensemble.h"
#include "wx/grid/grid.h"
#include "wx/motion/motion.h"

enum { SUBSTEP_S = 900 };

/* A number of Laplace's distribution with mean square 1. */
static float laplace(uint32_t word)
{
    const double u = ((double)word + 0.5) / 4294967296.0 - 0.5;
    const double size = -sqrt(0.5) * log(1.0 - 2.0 * fabs(u));
    return (float)(u < 0.0 ? -size : size);
}

squall_status sq_ways_make(const squall_motion *motion, size_t count, bool perturb, uint64_t seed,
                           sq_ways *out, squall_error *err)
{
    double column_m = 0.0, row_m = 0.0;
    memset(out, 0, sizeof *out);
    out->motion = motion;
    out->columns = (motion->grid.width - 1) / SQ_NODE_CELLS + 2;
    out->rows = (motion->grid.height - 1) / SQ_NODE_CELLS + 2;
    out->count = count;
    if (perturb && sq_motion_cell_m(&motion->grid, &column_m, &row_m, NULL) == SQUALL_OK &&
        isfinite(column_m) && isfinite(row_m)) {
        out->cell_m = (float)sqrt(column_m * row_m);
    }
    const size_t nodes = out->columns * out->rows;
    out->items = sq_alloc(count, sizeof *out->items);
    out->memory = sq_alloc(2 * count * nodes, sizeof *out->memory);
    if (out->items == NULL || out->memory == NULL) {
        sq_ways_free(out);
        return sq_fail(err, SQUALL_E_MEMORY, "ensemble", "no memory for the ways of %zu members",
                       count);
    }
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t i = 0; i < count; i++) {
        /* The last word of the counter keeps them apart from those of the noise. */
        const uint32_t counter[4] = {0, 0, (uint32_t)i, 1};
        uint32_t words[4];
        sq_philox(counter, key, words);
        out->items[i] = (sq_way){.along = laplace(words[0]),
                                 .across = laplace(words[1]),
                                 .x = out->memory + 2 * i * nodes,
                                 .y = out->memory + (2 * i + 1) * nodes};
    }
    return SQUALL_OK;
}

void sq_ways_free(sq_ways *ways)
{
    sq_free(ways->items);
    sq_free(ways->memory);
    memset(ways, 0, sizeof *ways);
}

/* The motion at a place, that of the rim beyond it, with the member's error. */
static void motion_at(const sq_ways *ways, float along, float across, float x, float y, float *u,
                      float *v)
{
    const squall_motion *motion = ways->motion;
    const size_t width = motion->grid.width, height = motion->grid.height;
    const float right = (float)(width - 1), bottom = (float)(height - 1);
    x = x < 0.0f ? 0.0f : x > right ? right : x;
    y = y < 0.0f ? 0.0f : y > bottom ? bottom : y;
    const size_t column = (size_t)x, row = (size_t)y, at = row * width + column;
    const size_t east = column + 1 < width ? 1 : 0, south = row + 1 < height ? width : 0;
    const float fx = x - (float)column, fy = y - (float)row;
    const float w00 = (1.0f - fx) * (1.0f - fy), w01 = fx * (1.0f - fy);
    const float w10 = (1.0f - fx) * fy, w11 = fx * fy;
    const float *p = motion->u + at, *q = motion->v + at;
    const float a = w00 * p[0] + w01 * p[east] + w10 * p[south] + w11 * p[south + east];
    const float b = w00 * q[0] + w01 * q[east] + w10 * q[south] + w11 * q[south + east];
    const float speed = sqrtf(a * a + b * b);
    const float unit = speed > 0.0f ? 1.0f / speed : 0.0f;
    *u = a + unit * (along * a - across * b);
    *v = b + unit * (along * b + across * a);
}

void sq_way_follow(const sq_ways *ways, sq_way *way, int32_t from_s, int32_t to_s)
{
    const int32_t span_s = to_s - from_s, steps = (span_s + SUBSTEP_S - 1) / SUBSTEP_S;
    const float step_s = steps > 0 ? (float)span_s / (float)steps : 0.0f;
    const double minutes = (double)to_s / 60.0;
    /* From km/h to cells a second. */
    const double unit = ways->cell_m > 0.0f ? 1.0 / (3.6 * (double)ways->cell_m) : 0.0;
    const float along = way->along * (float)(unit * (10.88 * pow(minutes, 0.23) - 7.68));
    const float across = way->across * (float)(unit * (5.76 * pow(minutes, 0.31) - 2.72));
    for (int32_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < ways->columns * ways->rows; i++) {
            const size_t column = i % ways->columns, row = i / ways->columns;
            const float x = (float)(column * SQ_NODE_CELLS) - way->x[i];
            const float y = (float)(row * SQ_NODE_CELLS) - way->y[i];
            float u, v;
            motion_at(ways, along, across, x, y, &u, &v);
            motion_at(ways, along, across, x - 0.5f * step_s * u, y - 0.5f * step_s * v, &u, &v);
            way->x[i] += step_s * u;
            way->y[i] += step_s * v;
        }
    }
}

/* Where a cell or more of the four was not looked at: the mean of the others, if the nearest is one
 * of them. */
static float mean_of_seen(const float *field, const size_t at[4], const float weights[4],
                          size_t nearest)
{
    float sum = 0.0f, weight = 0.0f;
    for (int i = 0; i < 4; i++) {
        if (!isnan(field[at[i]])) {
            sum += weights[i] * field[at[i]];
            weight += weights[i];
        }
    }
    return isnan(field[at[nearest]]) ? NAN : sum / weight;
}

/* As squall_advect() takes it. */
static inline float take(const float *field, int width, int height, float x, float y)
{
    if (!(x >= -0.5f && y >= -0.5f && x < (float)width - 0.5f && y < (float)height - 0.5f)) {
        return NAN;
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
    const float mean = (weights[0] * field[at[0]] + weights[1] * field[at[1]]) +
                       (weights[2] * field[at[2]] + weights[3] * field[at[3]]);
    return mean == mean
               ? mean
               : mean_of_seen(field, at, weights, (fx < 0.5f ? 0U : 1U) + (fy < 0.5f ? 0U : 2U));
}

void sq_way_take(const sq_ways *ways, const sq_way *way, const float *field, size_t row,
                 float *scratch, float *out)
{
    const size_t width = ways->motion->grid.width, height = ways->motion->grid.height;
    const size_t columns = ways->columns, node_row = row / SQ_NODE_CELLS;
    const float share = (float)(row % SQ_NODE_CELLS) / (float)SQ_NODE_CELLS;
    float *const x = scratch, *const y = scratch + columns;
    const float *x0 = way->x + node_row * columns, *y0 = way->y + node_row * columns;
    for (size_t i = 0; i < columns; i++) {
        x[i] = x0[i] + share * (x0[i + columns] - x0[i]);
        y[i] = y0[i] + share * (y0[i + columns] - y0[i]);
    }
    for (size_t i = 0; i < width; i++) {
        const size_t node = i / SQ_NODE_CELLS;
        const float part = (float)(i % SQ_NODE_CELLS) / (float)SQ_NODE_CELLS;
        const float dx = x[node] + part * (x[node + 1] - x[node]);
        const float dy = y[node] + part * (y[node + 1] - y[node]);
        out[i] = take(field, (int)width, (int)height, (float)i - dx, (float)row - dy);
    }
}
