/* svc/cycle/cycle_layer.c - what is shared and counted: places, layers, forecasts, frames. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

enum { EDGE = 24 }; /* points along each side that a place's bounds are found from */
#define DEGREES_PER_M (1.0 / 111195.0) /* of latitude, on a sphere of 6371 km */

/* ---------------------------------------------------------------- places */

static void find_bounds(sq_place *place)
{
    enum { COUNT = (EDGE + 1) * (EDGE + 1) };
    double column[COUNT], row[COUNT], lon[COUNT], lat[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        const size_t down = i / (EDGE + 1), right = i % (EDGE + 1);
        column[i] = (double)place->grid.width * (double)right / EDGE;
        row[i] = (double)place->grid.height * (double)down / EDGE;
    }
    sq_locator_to_lonlat(place->locator, column, row, COUNT, lon, lat);
    place->west = place->south = INFINITY;
    place->east = place->north = -INFINITY;
    for (size_t i = 0; i < COUNT; i++) {
        if (isfinite(lon[i]) && isfinite(lat[i])) {
            place->west = fmin(place->west, lon[i]);
            place->east = fmax(place->east, lon[i]);
            place->south = fmin(place->south, lat[i]);
            place->north = fmax(place->north, lat[i]);
        }
    }
    if (!(place->west < place->east) || !(place->south < place->north)) {
        place->west = -180;
        place->east = 180;
        place->south = -90;
        place->north = 90;
    }
}

/* One row down from the middle, in degrees of latitude. */
static void find_step(sq_place *place)
{
    double column[2], row[2], lon[2], lat[2];
    column[0] = column[1] = 0.5 * (double)place->grid.width;
    row[0] = 0.5 * (double)place->grid.height;
    row[1] = row[0] + 1.0;
    sq_locator_to_lonlat(place->locator, column, row, 2, lon, lat);
    const double east = (lon[1] - lon[0]) * cos(lat[0] * M_PI / 180.0);
    place->step_deg = hypot(lat[1] - lat[0], east);
    if (!(place->step_deg > 0.0)) {
        place->step_deg = place->grid.dy * DEGREES_PER_M;
    }
}

static uint64_t hash_grid(const squall_grid *grid)
{
    unsigned char hash[16];
    uint64_t out;
    sq_text text = {0};
    sq_text_add(&text, "%zu %zu %.17g %.17g %.17g %.17g %s", grid->width, grid->height, grid->left,
                grid->top, grid->dx, grid->dy, grid->proj);
    sq_hash_blake2b(text.data, text.length, hash, sizeof hash);
    sq_text_free(&text);
    memcpy(&out, hash, sizeof out);
    return out;
}

squall_status sq_place_create(const squall_grid *grid, sq_place **out, squall_error *err)
{
    sq_place *place = sq_alloc(1, sizeof *place);
    if (place == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "region", "no memory");
    }
    atomic_init(&place->refs, 1);
    place->grid = *grid;
    const squall_status status = sq_locator_create(grid, &place->locator, err);
    if (status != SQUALL_OK) {
        sq_free(place);
        return status;
    }
    find_bounds(place);
    find_step(place);
    place->hash = hash_grid(grid);
    *out = place;
    return SQUALL_OK;
}

sq_place *sq_place_keep(sq_place *place)
{
    if (place != NULL) {
        atomic_fetch_add(&place->refs, 1);
    }
    return place;
}

void sq_place_drop(sq_place **place)
{
    if (*place != NULL && atomic_fetch_sub(&(*place)->refs, 1) == 1) {
        sq_locator_destroy(&(*place)->locator);
        sq_free(*place);
    }
    *place = NULL;
}

/* ---------------------------------------------------------------- layers */

static uint16_t pack(const squall_field *field, size_t i)
{
    const float rate = field->values[i];
    if (field->mask[i] == SQUALL_CELL_NO_COVERAGE || isnan(rate)) {
        return SQ_LAYER_NONE;
    }
    if (field->mask[i] == SQUALL_CELL_DRY) {
        return SQ_LAYER_DRY;
    }
    const double hundredths = rint((double)rate * 100.0);
    return hundredths <= 0.0             ? 0
           : hundredths >= SQ_LAYER_MOST ? (uint16_t)SQ_LAYER_MOST
                                         : (uint16_t)hundredths;
}

sq_layer *sq_layer_create(const squall_field *field)
{
    unsigned char hash[16];
    sq_layer *layer = sq_alloc(1, sizeof *layer);
    const size_t count = field->grid.width * field->grid.height;
    if (layer == NULL) {
        return NULL;
    }
    atomic_init(&layer->refs, 1);
    layer->valid_time = field->valid_time;
    layer->count = count;
    layer->values = sq_alloc_raw(count, sizeof *layer->values);
    if (layer->values == NULL) {
        sq_free(layer);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        layer->values[i] = pack(field, i);
    }
    sq_hash_blake2b(layer->values, count * sizeof *layer->values, hash, sizeof hash);
    memcpy(&layer->hash, hash, sizeof layer->hash);
    return layer;
}

sq_layer *sq_layer_keep(sq_layer *layer)
{
    if (layer != NULL) {
        atomic_fetch_add(&layer->refs, 1);
    }
    return layer;
}

void sq_layer_drop(sq_layer **layer)
{
    if (*layer != NULL && atomic_fetch_sub(&(*layer)->refs, 1) == 1) {
        sq_free((*layer)->values);
        sq_free(*layer);
    }
    *layer = NULL;
}

float sq_layer_rate(uint16_t value)
{
    return value == SQ_LAYER_NONE ? NAN : value == SQ_LAYER_DRY ? 0.0f : (float)value / 100.0f;
}

squall_status sq_layer_field(const sq_layer *layer, const squall_grid *grid, squall_field **out,
                             squall_error *err)
{
    squall_field *field = NULL;
    if (grid->width * grid->height != layer->count) {
        return sq_fail(err, SQUALL_E_SHAPE, "layer", "%zu cells for a grid of %zux%zu",
                       layer->count, grid->width, grid->height);
    }
    SQ_TRY(squall_field_create(grid, &field, err));
    squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
    field->valid_time = layer->valid_time;
    for (size_t i = 0; i < layer->count; i++) {
        const uint16_t value = layer->values[i];
        field->values[i] = sq_layer_rate(value);
        field->mask[i] = value == SQ_LAYER_NONE  ? SQUALL_CELL_NO_COVERAGE
                         : value == SQ_LAYER_DRY ? SQUALL_CELL_DRY
                                                 : SQUALL_CELL_VALUE;
    }
    *out = field;
    return SQUALL_OK;
}

/* ---------------------------------------------------------------- forecasts */

squall_method sq_method_find(const char *name)
{
    for (int method = 0; method < SQUALL_METHODS; method++) {
        if (strcmp(name, squall_method_name((squall_method)method)) == 0) {
            return (squall_method)method;
        }
    }
    return SQUALL_METHOD_AUTO;
}

sq_snapshot *sq_snapshot_create(size_t leads, size_t observed, squall_error *err)
{
    sq_snapshot *s = sq_alloc(1, sizeof *s);
    if (s != NULL) {
        atomic_init(&s->refs, 1);
        s->count = leads;
        s->leads_s = sq_alloc(leads, sizeof *s->leads_s);
        s->layers = sq_alloc(leads, sizeof *s->layers);
        s->observed = sq_alloc(observed, sizeof *s->observed);
        s->alarm_time = SQ_TIME_NONE;
    }
    if (s == NULL || s->leads_s == NULL || s->layers == NULL || s->observed == NULL) {
        if (s != NULL) {
            sq_snapshot_drop(&s);
        }
        sq_fail_record(err, SQUALL_E_MEMORY, "forecast", "no memory for %zu lead times", leads);
        return NULL;
    }
    return s;
}

void sq_snapshot_name(sq_snapshot *snapshot)
{
    int year, month, day, hour, minute, second;
    sq_time_split(snapshot->issue_time, &year, &month, &day, &hour, &minute, &second, NULL);
    snprintf(snapshot->id, sizeof snapshot->id, "%04u%02u%02uT%02u%02u%02uZ",
             (unsigned)year % 10000u, (unsigned)month % 100u, (unsigned)day % 100u,
             (unsigned)hour % 100u, (unsigned)minute % 100u, (unsigned)second % 100u);
}

sq_snapshot *sq_snapshot_keep(sq_snapshot *snapshot)
{
    if (snapshot != NULL) {
        atomic_fetch_add(&snapshot->refs, 1);
    }
    return snapshot;
}

void sq_snapshot_drop(sq_snapshot **snapshot)
{
    sq_snapshot *s = *snapshot;
    *snapshot = NULL;
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; s->chances != NULL && i < s->count; i++) {
        sq_layer_drop(&s->chances[i]);
    }
    sq_free(s->chances);
    for (size_t i = 0; s->layers != NULL && i < s->count; i++) {
        sq_layer_drop(&s->layers[i]);
    }
    for (size_t i = 0; s->observed != NULL && i < s->observed_count; i++) {
        sq_layer_drop(&s->observed[i]);
    }
    sq_free(s->layers);
    sq_free(s->observed);
    sq_free(s->leads_s);
    sq_free(s->inputs);
    sq_place_drop(&s->place);
    sq_free(s);
}

const sq_layer *sq_snapshot_find(const sq_snapshot *snapshot, int64_t time, int32_t tolerance_s,
                                 bool observed)
{
    const sq_layer *best = NULL;
    int64_t nearest = (int64_t)tolerance_s + 1;
    for (size_t i = 0; i < snapshot->count; i++) {
        const int64_t away = llabs((long long)(snapshot->layers[i]->valid_time - time));
        if (away < nearest) {
            nearest = away;
            best = snapshot->layers[i];
        }
    }
    for (size_t i = 0; observed && i < snapshot->observed_count; i++) {
        const int64_t away = llabs((long long)(snapshot->observed[i]->valid_time - time));
        if (away < nearest) {
            nearest = away;
            best = snapshot->observed[i];
        }
    }
    return best;
}

/* ---------------------------------------------------------------- frames */

sq_frame *sq_frame_create(squall_field *field, const char *name)
{
    sq_frame *frame = sq_alloc(1, sizeof *frame);
    if (frame == NULL) {
        squall_field_destroy(&field);
        return NULL;
    }
    atomic_init(&frame->refs, 1);
    frame->field = field;
    snprintf(frame->name, sizeof frame->name, "%s", name);
    return frame;
}

sq_frame *sq_frame_keep(sq_frame *frame)
{
    atomic_fetch_add(&frame->refs, 1);
    return frame;
}

void sq_frame_drop(sq_frame **frame)
{
    if (*frame != NULL && atomic_fetch_sub(&(*frame)->refs, 1) == 1) {
        squall_field_destroy(&(*frame)->field);
        sq_free(*frame);
    }
    *frame = NULL;
}

void sq_reel_add(sq_reel *reel, sq_frame *frame)
{
    const int64_t time = frame->field->valid_time;
    size_t at = reel->count;
    while (at > 0 && reel->items[at - 1]->field->valid_time > time) {
        at--;
    }
    if (at > 0 && reel->items[at - 1]->field->valid_time == time) {
        sq_frame_drop(&reel->items[at - 1]);
        reel->items[at - 1] = frame;
        return;
    }
    if (reel->count == SQ_REGION_FRAMES) {
        if (at == 0) {
            sq_frame_drop(&frame);
            return;
        }
        sq_frame_drop(&reel->items[0]);
        memmove(reel->items, reel->items + 1, (reel->count - 1) * sizeof *reel->items);
        reel->count--;
        at--;
    }
    memmove(reel->items + at + 1, reel->items + at, (reel->count - at) * sizeof *reel->items);
    reel->items[at] = frame;
    reel->count++;
}

void sq_reel_trim(sq_reel *reel, int64_t time)
{
    size_t old = 0;
    while (old + 1 < reel->count && reel->items[old]->field->valid_time < time) {
        sq_frame_drop(&reel->items[old++]);
    }
    memmove(reel->items, reel->items + old, (reel->count - old) * sizeof *reel->items);
    reel->count -= old;
}

void sq_reel_clear(sq_reel *reel)
{
    for (size_t i = 0; i < reel->count; i++) {
        sq_frame_drop(&reel->items[i]);
    }
    reel->count = 0;
}
