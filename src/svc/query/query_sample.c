/* svc/query/query_sample.c - values of layers at points, over areas, along lines. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/query/query.h"

#define METRES_PER_DEGREE  111195.0
#define WET_HUNDREDTHS     10 /* 0.1 mm/h */
#define RADIUS_KM          3.0
#define RADIUS_KM_A_MINUTE 0.35
#define RADIUS_MOST_KM     25.0
#define LEAST_COVERED      0.25

void sq_cover_free(sq_cover *cover)
{
    sq_free(cover->times);
    sq_free(cover->x);
    sq_free(cover->y);
    for (size_t i = 0; i < SQ_PARAMETERS; i++) {
        sq_free(cover->values[i]);
    }
    memset(cover, 0, sizeof *cover);
}

/* Room for everything of a cover. */
static squall_status make_cover(sq_cover_kind kind, size_t nt, size_t ny, size_t nx,
                                const sq_parameter_id *parameters, size_t count, sq_cover *out,
                                squall_error *err)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    out->nt = nt;
    out->ny = ny;
    out->nx = nx;
    out->parameter_count = count;
    out->times = sq_alloc(kind == SQ_COVER_TRACK ? nx : nt, sizeof *out->times);
    out->x = sq_alloc(nx, sizeof *out->x);
    out->y = sq_alloc(kind == SQ_COVER_TRACK ? nx : ny, sizeof *out->y);
    bool whole = out->times != NULL && out->x != NULL && out->y != NULL;
    for (size_t i = 0; i < count && whole; i++) {
        out->parameters[i] = parameters[i];
        out->values[i] = sq_alloc_raw(nt * ny * nx, sizeof *out->values[i]);
        whole = out->values[i] != NULL;
    }
    if (!whole) {
        sq_cover_free(out);
        return sq_fail(err, SQUALL_E_MEMORY, "answer", "no memory for %zu values", nt * ny * nx);
    }
    return SQUALL_OK;
}

/* The cell that holds a point in cell coordinates; SIZE_MAX outside. */
static size_t cell_of(const squall_grid *grid, double column, double row)
{
    if (!(column >= 0.0) || !(row >= 0.0) || column >= (double)grid->width ||
        row >= (double)grid->height) {
        return SIZE_MAX;
    }
    return (size_t)row * grid->width + (size_t)column;
}

static float rate_at(const sq_layer *layer, size_t cell)
{
    return cell == SIZE_MAX ? NAN : sq_layer_rate(layer->values[cell]);
}

/* ---------------------------------------------------------------- probability */

/* By the ensemble. */
static float chance_at(const sq_layer *layer, size_t cell)
{
    return rate_at(layer, cell) / 100.0f;
}

/* Radius of the neighbourhood in cells. */
static int64_t radius_of(const sq_query_source *source, size_t layer)
{
    const double minutes = source->leads_s != NULL ? source->leads_s[layer] / 60.0 : 0.0;
    const double km = fmin(RADIUS_KM + RADIUS_KM_A_MINUTE * minutes, RADIUS_MOST_KM);
    const double cell_km = source->place->step_deg * METRES_PER_DEGREE / 1000.0;
    const double cells = rint(km / fmax(cell_km, 0.01));
    return (int64_t)fmax(1.0, fmin(cells, 200.0));
}

float sq_query_probability(const sq_query_source *source, size_t layer, double column, double row)
{
    const squall_grid *grid = &source->place->grid;
    if (cell_of(grid, column, row) == SIZE_MAX) {
        return NAN;
    }
    if (source->chances != NULL) {
        return chance_at(source->chances[layer], cell_of(grid, column, row));
    }
    const int64_t r = radius_of(source, layer), x = (int64_t)column, y = (int64_t)row;
    const uint16_t *values = source->layers[layer]->values;
    size_t all = 0, covered = 0, wet = 0;
    for (int64_t dy = -r; dy <= r; dy++) {
        for (int64_t dx = -r; dx <= r; dx++) {
            if (dx * dx + dy * dy > r * r) {
                continue;
            }
            all++;
            if (x + dx < 0 || y + dy < 0 || x + dx >= (int64_t)grid->width ||
                y + dy >= (int64_t)grid->height) {
                continue;
            }
            const uint16_t value = values[(size_t)(y + dy) * grid->width + (size_t)(x + dx)];
            covered += value != SQ_LAYER_NONE ? 1 : 0;
            wet += value >= WET_HUNDREDTHS && value <= SQ_LAYER_MOST ? 1 : 0;
        }
    }
    return (double)covered >= LEAST_COVERED * (double)all ? (float)wet / (float)covered : NAN;
}

/* Sums over the rectangle up to each corner, of covered and wet cells: [height + 1][width + 1]. */
typedef struct sums {
    uint32_t *covered, *wet; /* owned */
    size_t width;            /* of a row: the grid's and one */
} sums;

static bool make_sums(const sq_place *place, const sq_layer *layer, sums *out)
{
    const size_t width = place->grid.width, height = place->grid.height;
    out->width = width + 1;
    for (size_t i = 0; i <= width; i++) {
        out->covered[i] = out->wet[i] = 0;
    }
    for (size_t y = 0; y < height; y++) {
        uint32_t covered = 0, wet = 0;
        const size_t above = y * out->width, here = above + out->width;
        out->covered[here] = out->wet[here] = 0;
        for (size_t x = 0; x < width; x++) {
            const uint16_t value = layer->values[y * width + x];
            covered += value != SQ_LAYER_NONE ? 1 : 0;
            wet += value >= WET_HUNDREDTHS && value <= SQ_LAYER_MOST ? 1 : 0;
            out->covered[here + x + 1] = out->covered[above + x + 1] + covered;
            out->wet[here + x + 1] = out->wet[above + x + 1] + wet;
        }
    }
    return true;
}

static uint32_t sum_over(const uint32_t *sum, size_t width, size_t x0, size_t y0, size_t x1,
                         size_t y1)
{
    return sum[y1 * width + x1] - sum[y0 * width + x1] - sum[y1 * width + x0] +
           sum[y0 * width + x0];
}

/* The same over a square of about the circle's area, for many cells at once. */
static float square_probability(const sq_place *place, const sums *s, int64_t radius, size_t cell)
{
    const int64_t half = (int64_t)fmax(1.0, rint((double)radius * 0.886)); /* sqrt(pi)/2 */
    const int64_t x = (int64_t)(cell % place->grid.width), y = (int64_t)(cell / place->grid.width);
    const size_t x0 = x > half ? (size_t)(x - half) : 0, y0 = y > half ? (size_t)(y - half) : 0;
    const size_t x1 =
        x + half + 1 < (int64_t)place->grid.width ? (size_t)(x + half + 1) : place->grid.width;
    const size_t y1 =
        y + half + 1 < (int64_t)place->grid.height ? (size_t)(y + half + 1) : place->grid.height;
    const uint32_t covered = sum_over(s->covered, s->width, x0, y0, x1, y1);
    const uint32_t wet = sum_over(s->wet, s->width, x0, y0, x1, y1);
    const double all = (double)(2 * half + 1) * (double)(2 * half + 1);
    return covered >= LEAST_COVERED * all ? (float)wet / (float)covered : NAN;
}

/* ---------------------------------------------------------------- points */

squall_status sq_query_series(const sq_query_source *source, double lon, double lat,
                              const sq_parameter_id *parameters, size_t count, sq_cover *out,
                              squall_error *err)
{
    double column, row;
    SQ_TRY(make_cover(SQ_COVER_SERIES, source->count, 1, 1, parameters, count, out, err));
    sq_locator_from_lonlat(source->place->locator, &lon, &lat, 1, &column, &row);
    const size_t cell = cell_of(&source->place->grid, column, row);
    out->x[0] = lon;
    out->y[0] = lat;
    for (size_t t = 0; t < source->count; t++) {
        out->times[t] = source->layers[t]->valid_time;
        for (size_t i = 0; i < count; i++) {
            const float value = parameters[i] == SQ_PARAMETER_RATE
                                    ? rate_at(source->layers[t], cell)
                                    : sq_query_probability(source, t, column, row);
            out->values[i][t] = value;
            out->covered = out->covered || !isnan(value);
        }
    }
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- areas */

static double distance_m(double lon1, double lat1, double lon2, double lat2)
{
    const double to_rad = M_PI / 180.0;
    const double a = sin((lat2 - lat1) * to_rad / 2), b = sin((lon2 - lon1) * to_rad / 2);
    const double h = a * a + cos(lat1 * to_rad) * cos(lat2 * to_rad) * b * b;
    return 2.0 * 6371000.0 * asin(fmin(1.0, sqrt(h)));
}

/* Which cell each point of the grid is in; SIZE_MAX where nothing is wanted. */
static squall_status find_cells(const sq_query_source *source, const sq_query_area *area,
                                const sq_cover *cover, size_t *cells, squall_error *err)
{
    double *work = sq_alloc_raw(4 * cover->nx, sizeof *work);
    if (work == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "answer", "no memory");
    }
    double *lon = work, *lat = work + cover->nx, *column = lat + cover->nx,
           *row = column + cover->nx;
    for (size_t y = 0; y < cover->ny; y++) {
        for (size_t x = 0; x < cover->nx; x++) {
            lon[x] = cover->x[x];
            lat[x] = cover->y[y];
        }
        sq_locator_from_lonlat(source->place->locator, lon, lat, cover->nx, column, row);
        for (size_t x = 0; x < cover->nx; x++) {
            const bool wanted =
                (area->shape == NULL || sq_shape_holds(area->shape, lon[x], lat[x])) &&
                (area->radius_m <= 0.0 ||
                 distance_m(area->lon, area->lat, lon[x], lat[x]) <= area->radius_m);
            cells[y * cover->nx + x] =
                wanted ? cell_of(&source->place->grid, column[x], row[x]) : SIZE_MAX;
        }
    }
    sq_free(work);
    return SQUALL_OK;
}

static void fill_rates(const sq_query_source *source, const size_t *cells, sq_cover *out,
                       float *values)
{
    const size_t plane = out->ny * out->nx;
    for (size_t t = 0; t < out->nt; t++) {
        for (size_t i = 0; i < plane; i++) {
            values[t * plane + i] = rate_at(source->layers[t], cells[i]);
            out->covered = out->covered || !isnan(values[t * plane + i]);
        }
    }
}

static squall_status fill_chances(const sq_query_source *source, const size_t *cells,
                                  const sq_cover *out, float *values)
{
    const size_t plane = out->ny * out->nx;
    for (size_t t = 0; t < out->nt; t++) {
        for (size_t i = 0; i < plane; i++) {
            values[t * plane + i] = chance_at(source->chances[t], cells[i]);
        }
    }
    return SQUALL_OK;
}

static squall_status fill_probabilities(const sq_query_source *source, const size_t *cells,
                                        sq_cover *out, float *values, squall_error *err)
{
    if (source->chances != NULL) {
        return fill_chances(source, cells, out, values);
    }
    const squall_grid *grid = &source->place->grid;
    const size_t plane = out->ny * out->nx, corners = (grid->width + 1) * (grid->height + 1);
    sums s = {.covered = sq_alloc_raw(corners, sizeof *s.covered),
              .wet = sq_alloc_raw(corners, sizeof *s.wet)};
    squall_status status = SQUALL_OK;
    if (s.covered == NULL || s.wet == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "answer", "no memory");
        goto done;
    }
    for (size_t t = 0; t < out->nt && make_sums(source->place, source->layers[t], &s); t++) {
        const int64_t radius = radius_of(source, t);
        for (size_t i = 0; i < plane; i++) {
            values[t * plane + i] = cells[i] == SIZE_MAX
                                        ? NAN
                                        : square_probability(source->place, &s, radius, cells[i]);
        }
    }
done:
    sq_free(s.covered);
    sq_free(s.wet);
    return status;
}

/* Axes of the grid: the box cut to the region, in steps of about a cell. */
static squall_status plan_grid(const sq_query_source *source, const sq_query_area *area,
                               const sq_parameter_id *parameters, size_t count, double box[4],
                               sq_cover *out, squall_error *err)
{
    const sq_place *p = source->place;
    box[0] = fmax(area->box[0], p->west);
    box[1] = fmax(area->box[1], p->south);
    box[2] = fmin(area->box[2], p->east);
    box[3] = fmin(area->box[3], p->north);
    if (!(box[0] < box[2]) || !(box[1] < box[3])) {
        return sq_fail(err, SQUALL_E_NO_DATA, "area", "lies outside the region");
    }
    const double middle = 0.5 * (box[1] + box[3]);
    const double step_x = p->step_deg / fmax(0.05, cos(middle * M_PI / 180.0));
    const double nx = fmax(1.0, ceil((box[2] - box[0]) / step_x));
    const double ny = fmax(1.0, ceil((box[3] - box[1]) / p->step_deg));
    const double wanted = nx * ny * (double)source->count * (double)count;
    if (wanted > (double)area->most) {
        return sq_fail(err, SQUALL_E_LIMIT, "area",
                       "%.0f values; at most %zu are given at once: ask for less area, fewer times "
                       "or parameters",
                       wanted, area->most);
    }
    SQ_TRY(make_cover(SQ_COVER_GRID, source->count, (size_t)ny, (size_t)nx, parameters, count, out,
                      err));
    for (size_t i = 0; i < out->nx; i++) {
        out->x[i] = box[0] + ((double)i + 0.5) * (box[2] - box[0]) / nx;
    }
    for (size_t i = 0; i < out->ny; i++) {
        out->y[i] = box[3] - ((double)i + 0.5) * (box[3] - box[1]) / ny;
    }
    return SQUALL_OK;
}

squall_status sq_query_grid(const sq_query_source *source, const sq_query_area *area,
                            const sq_parameter_id *parameters, size_t count, sq_cover *out,
                            squall_error *err)
{
    double box[4];
    squall_status status = SQUALL_OK;
    SQ_TRY(plan_grid(source, area, parameters, count, box, out, err));
    size_t *cells = sq_alloc_raw(out->ny * out->nx, sizeof *cells);
    if (cells == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, "answer", "no memory");
        goto done;
    }
    SQ_TRY_GOTO(find_cells(source, area, out, cells, err));
    for (size_t t = 0; t < out->nt; t++) {
        out->times[t] = source->layers[t]->valid_time;
    }
    for (size_t i = 0; i < count; i++) {
        if (parameters[i] == SQ_PARAMETER_RATE) {
            fill_rates(source, cells, out, out->values[i]);
        } else {
            SQ_TRY_GOTO(fill_probabilities(source, cells, out, out->values[i], err));
        }
    }
    if (count > 0 && parameters[0] != SQ_PARAMETER_RATE) {
        for (size_t i = 0; i < out->nt * out->ny * out->nx && !out->covered; i++) {
            out->covered = !isnan(out->values[0][i]);
        }
    }
done:
    sq_free(cells);
    if (status != SQUALL_OK) {
        sq_cover_free(out);
    }
    return status;
}

/* ---------------------------------------------------------------- lines */

/* Points between two corners, the second not counted. */
static size_t steps_between(const sq_query_source *source, const sq_shape_point *a,
                            const sq_shape_point *b)
{
    const double step_m = fmax(source->place->step_deg * METRES_PER_DEGREE, 1.0);
    const double steps = ceil(distance_m(a->lon, a->lat, b->lon, b->lat) / step_m);
    return (size_t)fmax(1.0, fmin(steps, 1e6));
}

/* The layer nearest to a time, or SIZE_MAX when none is within half a step. */
static size_t layer_at(const sq_query_source *source, int64_t time)
{
    size_t best = SIZE_MAX;
    int64_t nearest = 450; /* seconds: half of the longest usual cadence, 15 minutes */
    for (size_t i = 0; i < source->count; i++) {
        const int64_t away = llabs((long long)(source->layers[i]->valid_time - time));
        if (away <= nearest) {
            nearest = away;
            best = i;
        }
    }
    return best;
}

static void fill_track(const sq_query_source *source, sq_cover *out)
{
    for (size_t i = 0; i < out->nx; i++) {
        double column, row;
        sq_locator_from_lonlat(source->place->locator, &out->x[i], &out->y[i], 1, &column, &row);
        const size_t cell = cell_of(&source->place->grid, column, row);
        const size_t layer = layer_at(source, out->times[i]);
        for (size_t k = 0; k < out->parameter_count; k++) {
            const float value = layer == SIZE_MAX ? NAN
                                : out->parameters[k] == SQ_PARAMETER_RATE
                                    ? rate_at(source->layers[layer], cell)
                                    : sq_query_probability(source, layer, column, row);
            out->values[k][i] = value;
            out->covered = out->covered || !isnan(value);
        }
    }
}

squall_status sq_query_track(const sq_query_source *source, const sq_shape *line, int64_t time,
                             size_t most, const sq_parameter_id *parameters, size_t count,
                             sq_cover *out, squall_error *err)
{
    size_t total = 1;
    for (size_t i = 0; i + 1 < line->count; i++) {
        total += steps_between(source, &line->points[i], &line->points[i + 1]);
    }
    if (total * count > most) {
        return sq_fail(err, SQUALL_E_LIMIT, "trajectory",
                       "%zu values; at most %zu are given at once", total * count, most);
    }
    SQ_TRY(make_cover(SQ_COVER_TRACK, 1, 1, total, parameters, count, out, err));
    size_t n = 0;
    for (size_t i = 0; i < line->count; i++) {
        const sq_shape_point *a = &line->points[i];
        const sq_shape_point *b = i + 1 < line->count ? a + 1 : a;
        const size_t steps = b != a ? steps_between(source, a, b) : 1;
        for (size_t k = 0; k < steps; k++, n++) {
            const double part = (double)k / (double)steps;
            out->x[n] = a->lon + part * (b->lon - a->lon);
            out->y[n] = a->lat + part * (b->lat - a->lat);
            out->times[n] =
                line->timed ? a->time + (int64_t)(part * (double)(b->time - a->time)) : time;
        }
    }
    fill_track(source, out);
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- fields */

squall_status sq_cover_fields(const sq_cover *cover, squall_field ***out, squall_error *err)
{
    const double dx = cover->nx > 1 ? cover->x[1] - cover->x[0] : 0.01;
    const double dy = cover->ny > 1 ? cover->y[0] - cover->y[1] : 0.01;
    const size_t plane = cover->ny * cover->nx;
    squall_grid grid = {.width = cover->nx,
                        .height = cover->ny,
                        .left = cover->x[0] - 0.5 * dx,
                        .top = cover->y[0] + 0.5 * dy,
                        .dx = dx,
                        .dy = dy,
                        .proj = "+proj=longlat +datum=WGS84 +no_defs"};
    squall_field **fields = sq_alloc(cover->nt, sizeof *fields);
    squall_status status =
        fields != NULL ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, "answer", "no memory");
    for (size_t t = 0; t < cover->nt && status == SQUALL_OK; t++) {
        status = squall_field_create(&grid, &fields[t], err);
        for (size_t i = 0; status == SQUALL_OK && i < plane; i++) {
            const float value = cover->values[0][t * plane + i];
            fields[t]->values[i] = value;
            fields[t]->mask[i] = isnan(value)    ? SQUALL_CELL_NO_COVERAGE
                                 : value <= 0.0f ? SQUALL_CELL_DRY
                                                 : SQUALL_CELL_VALUE;
        }
        if (status == SQUALL_OK) {
            fields[t]->valid_time = cover->times[t];
        }
    }
    if (status != SQUALL_OK) {
        for (size_t t = 0; fields != NULL && t < cover->nt; t++) {
            squall_field_destroy(&fields[t]);
        }
        sq_free(fields);
        return status;
    }
    *out = fields;
    return SQUALL_OK;
}
