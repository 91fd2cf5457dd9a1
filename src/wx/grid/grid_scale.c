/* wx/grid/grid_scale.c - how large the cells of a grid are on the Earth.
 *
 * A mean over an area conserves rain only if the areas are those on the ground: a cell of 0.01
 * degrees shrinks with the cosine of the latitude, and a stereographic kilometre is none away from
 * its standard parallel. Areas change slowly over a grid, so they are worked out for a lattice of
 * cells and interpolated between.
 */
#include "wx/grid/grid_scale.h"

#include <math.h>

#include "wx/grid/grid.h"

#define NODES_AT_MOST 65536
#define ECCENTRICITY  0.081819190842621494 /* of WGS 84 */
#define RADIANS       0.017453292519943296 /* a degree */

/* The point on the unit sphere whose latitude keeps areas: sin(authalic) = q(lat) / q(90), Snyder,
 * Map Projections - A Working Manual (1987), equations 3-11 and 3-12. */
static void authalic_point(double lon, double lat, double *out)
{
    const double e = ECCENTRICITY;
    const double s = sin(lat * RADIANS);
    const double q = s / (1 - e * e * s * s) + atanh(e * s) / e;
    const double pole = 1 / (1 - e * e) + atanh(e) / e;
    const double z = fmin(fmax(q / pole, -1), 1);
    const double flat = sqrt(1 - z * z);
    out[0] = flat * cos(lon * RADIANS);
    out[1] = flat * sin(lon * RADIANS);
    out[2] = z;
}

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Spherical excess of a triangle, positive when counter-clockwise seen from outside; Van Oosterom
 * and Strackee (1983). The product is taken of differences, which small triangles need. */
static double triangle_area(const double *a, const double *b, const double *c)
{
    const double u[3] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
    const double v[3] = {c[0] - a[0], c[1] - a[1], c[2] - a[2]};
    const double normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2],
                              u[0] * v[1] - u[1] * v[0]};
    return 2 * atan2(dot(a, normal), 1 + dot(a, b) + dot(b, c) + dot(c, a));
}

double sq_quad_area(const double *lon, const double *lat)
{
    double point[4][3];
    for (int i = 0; i < 4; i++) {
        authalic_point(lon[i], lat[i], point[i]);
    }
    return -(triangle_area(point[0], point[1], point[2]) +
             triangle_area(point[0], point[2], point[3]));
}

/* Areas of the cells (row, step * i), i from 0. `work` is [4][4 * columns]. */
static void row_of_nodes(const sq_projection *projection, double row, sq_scale *scale,
                         double *nodes, double *work)
{
    const size_t count = 4 * scale->columns;
    double *x = work, *y = work + count, *lon = work + 2 * count, *lat = work + 3 * count;
    for (size_t i = 0; i < scale->columns; i++) {
        const double column = (double)(i * scale->step);
        for (size_t corner = 0; corner < 4; corner++) {
            x[4 * i + corner] = column + (corner == 1 || corner == 2);
            y[4 * i + corner] = row + (corner >= 2);
        }
    }
    sq_projection_to_lonlat(projection, x, y, count, lon, lat);
    for (size_t i = 0; i < scale->columns; i++) {
        nodes[i] = fabs(sq_quad_area(lon + 4 * i, lat + 4 * i));
    }
}

squall_status sq_scale_make(const squall_grid *grid, const sq_projection *projection, sq_scale *out,
                            squall_error *err)
{
    sq_scale scale = {.step = 1};
    for (;; scale.step++) {
        scale.columns = (grid->width - 1) / scale.step + 2;
        scale.rows = (grid->height - 1) / scale.step + 2;
        if (scale.rows * scale.columns <= NODES_AT_MOST) {
            break;
        }
    }
    double *work = sq_alloc_raw(16 * scale.columns, sizeof *work);
    scale.nodes = sq_alloc_raw(scale.rows * scale.columns, sizeof *scale.nodes);
    if (work == NULL || scale.nodes == NULL) {
        sq_free(work);
        sq_scale_free(&scale);
        return sq_fail(err, SQUALL_E_MEMORY, "grid", "no memory for the areas of its cells");
    }
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < scale.rows; i++) {
        double *nodes = scale.nodes + i * scale.columns;
        row_of_nodes(projection, (double)(i * scale.step), &scale, nodes, work);
        for (size_t j = 0; j < scale.columns; j++) {
            if (!isnan(nodes[j])) {
                sum += nodes[j];
                known++;
            }
        }
    }
    scale.mean = sum > 0 ? sum / (double)known : 1;
    sq_free(work);
    *out = scale;
    return SQUALL_OK;
}

void sq_scale_free(sq_scale *scale)
{
    sq_free(scale->nodes);
    scale->nodes = NULL;
}

double sq_scale_get(const sq_scale *scale, size_t row, size_t column)
{
    const size_t i = row / scale->step, j = column / scale->step;
    const double step = (double)scale->step;
    const double down = (double)(row % scale->step) / step;
    const double right = (double)(column % scale->step) / step;
    const double weights[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right),
                               down * right};
    const double *nodes = scale->nodes + i * scale->columns + j;
    const double values[4] = {nodes[0], nodes[1], nodes[scale->columns], nodes[scale->columns + 1]};
    double sum = 0, weight = 0;
    for (int k = 0; k < 4; k++) {
        if (!isnan(values[k])) {
            sum += weights[k] * values[k];
            weight += weights[k];
        }
    }
    return weight > 0 ? sum / weight : scale->mean;
}
