/* wx/motion/motion_flow.c - vectors that bring images together, smooth from block to block.
 *
 * The images of a pair are brought together halfway: the one before forward, the one after back.
 * What still differs there, I_t, would vanish if the vectors changed by d with  t (I_x d_u + I_y
 * d_v) = -I_t (Lucas and Kanade 1981). Each block sums this over its cells and over all pairs into
 * a 2 x 2 form, and the d of all blocks together minimise these forms and the squared differences
 * of neighbouring vectors (Horn and Schunck 1981), so that blocks without rain, or with rain along
 * one line only, take after those around them.
 */
#include <math.h>
#include <string.h>

#include "wx/motion/motion.h"

enum { SIDE = SQ_FLOW_BLOCK, RIM = SIDE + 2 }; /* a block, and with one cell around for gradients */

#define MAX_CHANGE 2.0f /* cells; no single warp is believed beyond */

size_t sq_flow_blocks(size_t length)
{
    return (length + SIDE - 1) / SIDE;
}

/* Two neighbours among `count` and how far between them `at` is, clamped to the ends. */
static inline void between(float at, size_t count, size_t *low, size_t *high, float *share)
{
    const float last = (float)(count - 1);
    at = at < 0.0f ? 0.0f : at > last ? last : at;
    *low = (size_t)at;
    *high = *low + 1 < count ? *low + 1 : *low;
    *share = at - (float)*low;
}

void sq_flow_at(const sq_flow *flow, float column, float row, float *u, float *v)
{
    size_t left, right, top, bottom;
    float x, y;
    between((column + 0.5f) / SIDE - 0.5f, flow->columns, &left, &right, &x);
    between((row + 0.5f) / SIDE - 0.5f, flow->rows, &top, &bottom, &y);
    const size_t a = top * flow->columns + left, b = top * flow->columns + right;
    const size_t c = bottom * flow->columns + left, d = bottom * flow->columns + right;
    const float wa = (1.0f - x) * (1.0f - y), wb = x * (1.0f - y), wc = (1.0f - x) * y, wd = x * y;
    *u = wa * flow->u[a] + wb * flow->u[b] + wc * flow->u[c] + wd * flow->u[d];
    *v = wa * flow->v[a] + wb * flow->v[b] + wc * flow->v[c] + wd * flow->v[d];
}

/* Bilinear, NaN outside and where a cell with a share in it is NaN. */
static inline float sample(const float *image, int width, int height, float x, float y)
{
    const int left = sq_floor_int(x), top = sq_floor_int(y);
    if (left < 0 || top < 0 || left + 1 >= width || top + 1 >= height) {
        return NAN;
    }
    const float fx = x - (float)left, fy = y - (float)top;
    const float *at = image + (size_t)top * (size_t)width + (size_t)left;
    const float upper = at[0] + fx * (at[1] - at[0]);
    const float lower = at[width] + fx * (at[width + 1] - at[width]);
    return upper + fy * (lower - upper);
}

/* What one piece of work, a row of blocks, needs. */
typedef struct refining {
    const sq_flow_pair *pairs;
    size_t count;
    size_t width, height;
    const sq_flow_settings *settings;
    sq_flow_scratch *scratch;
    const sq_flow *flow;
    float weight; /* sum over pairs */
} refining;

/* The two images of a pair over a block and its rim, brought together; false where both are dry. */
static bool bring_together(const refining *r, const sq_flow_pair *pair, int x0, int y0,
                           const float (*u)[RIM], const float (*v)[RIM], float (*mean)[RIM],
                           float (*difference)[RIM])
{
    const float half = 0.5f * pair->time;
    const int width = (int)r->width, height = (int)r->height;
    bool wet = false;
    for (int i = 0; i < RIM; i++) {
        for (int j = 0; j < RIM; j++) {
            const float x = (float)(x0 + j - 1), y = (float)(y0 + i - 1);
            const float du = half * u[i][j], dv = half * v[i][j];
            const float a = sample(pair->before, width, height, x - du, y - dv);
            const float b = sample(pair->after, width, height, x + du, y + dv);
            mean[i][j] = 0.5f * (a + b);
            difference[i][j] = b - a;
            wet = wet || a > 0.0f || b > 0.0f;
        }
    }
    return wet;
}

/* Sum the form of one block over all pairs. */
static void sum_block(const refining *r, size_t column, size_t row)
{
    const int x0 = (int)column * SIDE, y0 = (int)row * SIDE;
    const float outlier = 1.0f / (r->settings->outlier * r->settings->outlier);
    float u[RIM][RIM], v[RIM][RIM], mean[RIM][RIM], difference[RIM][RIM];
    float a11 = 0.0f, a12 = 0.0f, a22 = 0.0f, b1 = 0.0f, b2 = 0.0f;
    for (int i = 0; i < RIM; i++) {
        for (int j = 0; j < RIM; j++) {
            sq_flow_at(r->flow, (float)(x0 + j - 1), (float)(y0 + i - 1), &u[i][j], &v[i][j]);
        }
    }
    for (size_t p = 0; p < r->count; p++) {
        const sq_flow_pair *pair = &r->pairs[p];
        if (!bring_together(r, pair, x0, y0, u, v, mean, difference)) {
            continue;
        }
        for (int i = 1; i <= SIDE; i++) {
            for (int j = 1; j <= SIDE; j++) {
                const float gx = 0.5f * pair->time * (mean[i][j + 1] - mean[i][j - 1]);
                const float gy = 0.5f * pair->time * (mean[i + 1][j] - mean[i - 1][j]);
                const float gt = difference[i][j];
                const float known = gx + gy + gt;
                const float weight =
                    known == known ? pair->weight / (1.0f + gt * gt * outlier) : 0.0f;
                if (weight > 0.0f) {
                    a11 += weight * gx * gx;
                    a12 += weight * gx * gy;
                    a22 += weight * gy * gy;
                    b1 += weight * gx * gt;
                    b2 += weight * gy * gt;
                }
            }
        }
    }
    const float scale = 1.0f / (r->weight * (float)(SIDE * SIDE));
    const size_t block = row * r->flow->columns + column;
    r->scratch->a11[block] = a11 * scale;
    r->scratch->a12[block] = a12 * scale;
    r->scratch->a22[block] = a22 * scale;
    r->scratch->b1[block] = b1 * scale;
    r->scratch->b2[block] = b2 * scale;
}

static void sum_row(void *arg, size_t row, int thread)
{
    const refining *r = arg;
    (void)thread;
    for (size_t column = 0; column < r->flow->columns; column++) {
        sum_block(r, column, row);
    }
}

/* One block's change, the others' being what they are. */
static void solve_block(const sq_flow *flow, const sq_flow_scratch *s, float smoothness,
                        size_t column, size_t row)
{
    const size_t columns = flow->columns, at = row * columns + column;
    float u = 0.0f, v = 0.0f, neighbours = 0.0f;
    const size_t around[4] = {column > 0 ? at - 1 : at, column + 1 < columns ? at + 1 : at,
                              row > 0 ? at - columns : at,
                              row + 1 < flow->rows ? at + columns : at};
    for (int i = 0; i < 4; i++) {
        if (around[i] != at) {
            u += flow->u[around[i]] + s->du[around[i]] - flow->u[at];
            v += flow->v[around[i]] + s->dv[around[i]] - flow->v[at];
            neighbours += 1.0f;
        }
    }
    const float hold = smoothness * neighbours + 1e-6f;
    const float m11 = s->a11[at] + hold, m22 = s->a22[at] + hold, m12 = s->a12[at];
    const float r1 = smoothness * u - s->b1[at], r2 = smoothness * v - s->b2[at];
    const float determinant = m11 * m22 - m12 * m12;
    s->du[at] = (m22 * r1 - m12 * r2) / determinant;
    s->dv[at] = (m11 * r2 - m12 * r1) / determinant;
}

static float limit(float change)
{
    return change > MAX_CHANGE ? MAX_CHANGE : change < -MAX_CHANGE ? -MAX_CHANGE : change;
}

void sq_flow_refine(const sq_flow_pair *pairs, size_t count, size_t width, size_t height,
                    const sq_flow_settings *settings, sq_flow_scratch *scratch, sq_pool *pool,
                    sq_flow *flow)
{
    const size_t blocks = flow->columns * flow->rows;
    refining r = {.pairs = pairs,
                  .count = count,
                  .width = width,
                  .height = height,
                  .settings = settings,
                  .scratch = scratch,
                  .flow = flow};
    for (size_t p = 0; p < count; p++) {
        r.weight += pairs[p].weight;
    }
    for (int warp = 0; warp < settings->warps; warp++) {
        sq_pool_run(pool, sum_row, &r, flow->rows);
        memset(scratch->du, 0, blocks * sizeof *scratch->du);
        memset(scratch->dv, 0, blocks * sizeof *scratch->dv);
        for (int sweep = 0; sweep < 2 * settings->sweeps; sweep++) {
            /* Red blocks, then black ones: neighbours are never of one colour. */
            for (size_t row = 0; row < flow->rows; row++) {
                for (size_t column = (row + (size_t)sweep) % 2; column < flow->columns;
                     column += 2) {
                    solve_block(flow, scratch, settings->smoothness, column, row);
                }
            }
        }
        for (size_t i = 0; i < blocks; i++) {
            flow->u[i] += limit(scratch->du[i]);
            flow->v[i] += limit(scratch->dv[i]);
        }
    }
}
