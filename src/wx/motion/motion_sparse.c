/* wx/motion/motion_sparse.c - motion from corners that are tracked, pyramid level by level.
 *
 * Corners: the cells with the largest smaller eigenvalue of the structure tensor (Shi and Tomasi
 * 1994). Tracking: Lucas and Kanade (1981) over a pyramid (Bouguet 2000). Vectors unlike their
 * neighbours are left out, the rest spread by inverse distances, as pysteps' dense_lucaskanade().
 */
#include <math.h>
#include <string.h>

#include "wx/motion/motion.h"

enum {
    BLOCK = 8,  /* cells of level 0; one corner a block at most */
    TENSOR = 3, /* cells on each side that a corner's tensor is summed over */
    WINDOW = 7, /* and that are tracked */
    SPAN = 2 * WINDOW + 1,
    ITERATIONS = 10, /* a level */
    NEAREST = 20,    /* vectors that a place is told from */
    NODE = 16        /* cells of the grid between places */
};

#define LEAST_QUALITY 0.02f /* of the best corner */
#define OUTLIER       3.0f  /* deviations from the neighbours' median */

typedef struct vector {
    float x, y, u, v; /* cells of level 0; cells a second */
    bool good;
} vector;

typedef struct tracking {
    const sq_pyramid *before, *after;
    float seconds;
    vector *vectors; /* owned, [room] */
    size_t count, room;
    float *quality; /* owned, [blocks] of the pair in hand */
} tracking;

/* Bilinear; NaN outside. */
static float sample(const sq_pyramid *p, size_t level, float x, float y)
{
    const int width = (int)p->width[level], height = (int)p->height[level];
    const int left = sq_floor_int(x), top = sq_floor_int(y);
    if (left < 0 || top < 0 || left + 1 >= width || top + 1 >= height) {
        return NAN;
    }
    const float fx = x - (float)left, fy = y - (float)top;
    const float *at = p->image[level] + (size_t)top * (size_t)width + (size_t)left;
    const float upper = at[0] + fx * (at[1] - at[0]);
    const float lower = at[width] + fx * (at[width + 1] - at[width]);
    return upper + fy * (lower - upper);
}

/* The smaller eigenvalue of the structure tensor around a cell of level 0; 0 near what is not
 * known. */
static float corner(const sq_pyramid *p, int x, int y)
{
    const int width = (int)p->width[0];
    const float *image = p->image[0];
    float xx = 0.0f, xy = 0.0f, yy = 0.0f;
    for (int j = y - TENSOR; j <= y + TENSOR; j++) {
        for (int i = x - TENSOR; i <= x + TENSOR; i++) {
            const float *at = image + (ptrdiff_t)j * width + i;
            const float gx = 0.5f * (at[1] - at[-1]), gy = 0.5f * (at[width] - at[-width]);
            xx += gx * gx;
            xy += gx * gy;
            yy += gy * gy;
        }
    }
    const float half = 0.5f * (xx - yy);
    const float least = 0.5f * (xx + yy) - sqrtf(half * half + xy * xy);
    return least > 0.0f ? least : 0.0f; /* NaN is not above 0 */
}

/* What is tracked, on one level: values and gradients around the corner in the earlier frame. */
typedef struct patch {
    float here[SPAN * SPAN], gx[SPAN * SPAN], gy[SPAN * SPAN];
    float xx, xy, yy;
} patch;

static void take_patch(const tracking *t, size_t level, float x, float y, patch *out)
{
    float wide[SPAN + 2][SPAN + 2];
    out->xx = out->xy = out->yy = 0.0f;
    for (int j = 0; j < SPAN + 2; j++) {
        for (int i = 0; i < SPAN + 2; i++) {
            wide[j][i] =
                sample(t->before, level, x + (float)(i - WINDOW - 1), y + (float)(j - WINDOW - 1));
        }
    }
    for (int j = 0; j < SPAN; j++) {
        for (int i = 0; i < SPAN; i++) {
            const float gx = 0.5f * (wide[j + 1][i + 2] - wide[j + 1][i]);
            const float gy = 0.5f * (wide[j + 2][i + 1] - wide[j][i + 1]);
            const bool known = !isnan(gx + gy + wide[j + 1][i + 1]);
            const int at = j * SPAN + i;
            out->here[at] = known ? wide[j + 1][i + 1] : NAN;
            out->gx[at] = known ? gx : 0.0f;
            out->gy[at] = known ? gy : 0.0f;
            out->xx += out->gx[at] * out->gx[at];
            out->xy += out->gx[at] * out->gy[at];
            out->yy += out->gy[at] * out->gy[at];
        }
    }
}

/* One step of the displacement; false where there is nothing more to gain. What the later frame
 * does not cover pulls nowhere. */
static bool improve(const tracking *t, size_t level, const patch *p, float x, float y, float *dx,
                    float *dy)
{
    float bx = 0.0f, by = 0.0f;
    const float determinant = p->xx * p->yy - p->xy * p->xy;
    if (!(determinant > 1e-6f)) {
        return false;
    }
    for (int j = 0; j < SPAN; j++) {
        for (int i = 0; i < SPAN; i++) {
            const int at = j * SPAN + i;
            const float there = sample(t->after, level, x + *dx + (float)(i - WINDOW),
                                       y + *dy + (float)(j - WINDOW));
            const float difference = there - p->here[at];
            if (!isnan(difference)) {
                bx += p->gx[at] * difference;
                by += p->gy[at] * difference;
            }
        }
    }
    const float step_x = (p->xy * by - p->yy * bx) / determinant;
    const float step_y = (p->xy * bx - p->xx * by) / determinant;
    *dx += step_x;
    *dy += step_y;
    return fabsf(step_x) + fabsf(step_y) > 0.03f;
}

/* Where a corner has gone, from the coarsest level to the finest. */
static void track(tracking *t, float x, float y)
{
    float dx = 0.0f, dy = 0.0f;
    for (size_t level = t->before->levels; level-- > 0;) {
        const float scale = 1.0f / (float)((size_t)1 << level);
        const float at_x = (x + 0.5f) * scale - 0.5f, at_y = (y + 0.5f) * scale - 0.5f;
        patch p;
        dx *= 2.0f;
        dy *= 2.0f;
        take_patch(t, level, at_x, at_y, &p);
        for (int i = 0; i < ITERATIONS && improve(t, level, &p, at_x, at_y, &dx, &dy); i++) {
        }
    }
    if (isfinite(dx) && isfinite(dy) && t->count < t->room) {
        t->vectors[t->count++] = (vector){x, y, dx / t->seconds, dy / t->seconds, true};
    }
}

/* The best corner of every block, where it is good enough. */
static void track_pair(tracking *t)
{
    const size_t width = t->before->width[0], height = t->before->height[0];
    const size_t columns = width / BLOCK, rows = height / BLOCK;
    float best = 0.0f;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t block = 0; block < columns * rows; block++) {
            const int x0 = (int)(block % columns) * BLOCK, y0 = (int)(block / columns) * BLOCK;
            const int rim = TENSOR + 1;
            int at_x = -1, at_y = -1;
            float most = 0.0f;
            if (pass == 1 && !(t->quality[block] >= LEAST_QUALITY * best)) {
                continue;
            }
            for (int i = 0; i < BLOCK * BLOCK; i += 2) {
                const int x = x0 + i % BLOCK, y = y0 + i / BLOCK;
                if (x < rim || y < rim || x + rim >= (int)width || y + rim >= (int)height) {
                    continue;
                }
                const float here = corner(t->before, x, y);
                if (here > most) {
                    most = here;
                    at_x = x;
                    at_y = y;
                }
            }
            if (pass == 0) {
                t->quality[block] = most;
                best = most > best ? most : best;
            } else if (at_x >= 0 && most > 0.0f) {
                track(t, (float)at_x, (float)at_y);
            }
        }
    }
}

/* The nearest good vectors to a place, `skip` left out; returns how many. */
static size_t find_nearest(const tracking *t, float x, float y, size_t skip, size_t *index,
                           float *distance)
{
    size_t found = 0;
    for (size_t i = 0; i < t->count; i++) {
        const float dx = t->vectors[i].x - x, dy = t->vectors[i].y - y;
        const float d = dx * dx + dy * dy;
        if (i == skip || !t->vectors[i].good || (found == NEAREST && d >= distance[NEAREST - 1])) {
            continue;
        }
        size_t k = found < NEAREST ? found++ : NEAREST - 1;
        for (; k > 0 && distance[k - 1] > d; k--) {
            distance[k] = distance[k - 1];
            index[k] = index[k - 1];
        }
        distance[k] = d;
        index[k] = i;
    }
    return found;
}

static float median(float *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const float value = values[i];
        size_t k = i;
        for (; k > 0 && values[k - 1] > value; k--) {
            values[k] = values[k - 1];
        }
        values[k] = value;
    }
    return count % 2 == 1 ? values[count / 2] : 0.5f * (values[count / 2 - 1] + values[count / 2]);
}

/* Vectors unlike those around them are marked, all by the same neighbours. */
static void leave_out_outliers(tracking *t, bool *bad)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t index[NEAREST];
        float distance[NEAREST], u[NEAREST], v[NEAREST], off[NEAREST];
        const size_t n = find_nearest(t, t->vectors[i].x, t->vectors[i].y, i, index, distance);
        bad[i] = false;
        if (n < 5) {
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            u[k] = t->vectors[index[k]].u;
            v[k] = t->vectors[index[k]].v;
        }
        const float mid_u = median(u, n), mid_v = median(v, n);
        for (size_t k = 0; k < n; k++) {
            const vector *other = &t->vectors[index[k]];
            off[k] = hypotf(other->u - mid_u, other->v - mid_v);
        }
        const float usual = 1.4826f * median(off, n), least = 0.5f / t->seconds;
        const float away = hypotf(t->vectors[i].u - mid_u, t->vectors[i].v - mid_v);
        bad[i] = away > OUTLIER * usual && away > least;
    }
    for (size_t i = 0; i < t->count; i++) {
        t->vectors[i].good = !bad[i];
    }
}

/* The motion at a place of level 0: neighbours weighted by the inverse root of their distance. */
static void motion_at(const tracking *t, float x, float y, float *u, float *v)
{
    size_t index[NEAREST];
    float distance[NEAREST], sum = 0.0f, sum_u = 0.0f, sum_v = 0.0f;
    const size_t n = find_nearest(t, x, y, SIZE_MAX, index, distance);
    for (size_t k = 0; k < n; k++) {
        const float weight = 1.0f / sqrtf(sqrtf(distance[k] + 1.0f));
        sum += weight;
        sum_u += weight * t->vectors[index[k]].u;
        sum_v += weight * t->vectors[index[k]].v;
    }
    *u = sum > 0.0f ? sum_u / sum : 0.0f;
    *v = sum > 0.0f ? sum_v / sum : 0.0f;
}

/* From places NODE cells apart to every cell. */
static squall_status spread(const tracking *t, size_t reduction, squall_motion *out,
                            squall_error *err)
{
    const size_t width = out->grid.width, height = out->grid.height;
    const size_t columns = (width - 1) / NODE + 2, rows = (height - 1) / NODE + 2;
    const float shrink = 1.0f / (float)((size_t)1 << reduction);
    float *nodes = sq_alloc_raw(2 * columns * rows, sizeof *nodes);
    if (nodes == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for %zu places", columns * rows);
    }
    float *const node_v = nodes + columns * rows;
    for (size_t i = 0; i < columns * rows; i++) {
        const size_t column = i % columns * NODE, row = i / columns * NODE;
        const float x = ((float)column + 0.5f) * shrink - 0.5f;
        const float y = ((float)row + 0.5f) * shrink - 0.5f;
        motion_at(t, x, y, &nodes[i], &node_v[i]);
    }
    const float grow = 1.0f / shrink;
    for (size_t row = 0; row < height; row++) {
        for (size_t column = 0; column < width; column++) {
            const size_t at = row / NODE * columns + column / NODE;
            const float fx = (float)(column % NODE) / NODE, fy = (float)(row % NODE) / NODE;
            const float a = (1.0f - fx) * (1.0f - fy), b = fx * (1.0f - fy);
            const float c = (1.0f - fx) * fy, d = fx * fy;
            out->u[row * width + column] =
                grow * (a * nodes[at] + b * nodes[at + 1] + c * nodes[at + columns] +
                        d * nodes[at + columns + 1]);
            out->v[row * width + column] =
                grow * (a * node_v[at] + b * node_v[at + 1] + c * node_v[at + columns] +
                        d * node_v[at + columns + 1]);
        }
    }
    sq_free(nodes);
    return SQUALL_OK;
}

squall_status sq_motion_sparse(const squall_field *const *frames, size_t count,
                               const squall_motion_options *options, squall_motion *out,
                               squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_pyramid pyramids[8];
    tracking t = {0};
    bool *bad = NULL;
    memset(pyramids, 0, sizeof pyramids);
    const size_t reduction = sq_pyramid_reduction(out->grid.width, out->grid.height);
    for (size_t i = 0; i < count; i++) {
        SQ_TRY_GOTO(
            sq_pyramid_make(frames[i], options->min_rate_mm_h, reduction, &pyramids[i], err));
    }
    const size_t blocks = (pyramids[0].width[0] / BLOCK + 1) * (pyramids[0].height[0] / BLOCK + 1);
    t.room = blocks * (count - 1);
    t.vectors = sq_alloc(t.room, sizeof *t.vectors);
    t.quality = sq_alloc(blocks, sizeof *t.quality);
    bad = sq_alloc(t.room, sizeof *bad);
    if (t.vectors == NULL || t.quality == NULL || bad == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "motion", "no memory for %zu corners", t.room);
        goto done;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        t.before = &pyramids[i];
        t.after = &pyramids[i + 1];
        t.seconds = (float)(frames[i + 1]->valid_time - frames[i]->valid_time);
        track_pair(&t);
    }
    leave_out_outliers(&t, bad);
    status = spread(&t, reduction, out, err);
done:
    for (size_t i = 0; i < count; i++) {
        sq_pyramid_free(&pyramids[i]);
    }
    sq_free(t.vectors);
    sq_free(t.quality);
    sq_free(bad);
    return status;
}
