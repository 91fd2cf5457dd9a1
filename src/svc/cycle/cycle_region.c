/* svc/cycle/cycle_region.c - a region: its frames, when its cycle is due, its forecasts. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc/cycle/cycle_private.h"

#define SAME_GRID_CELLS 0.05 /* corners of one product differ by that much between versions */

const char *sq_arrival_name(sq_arrival arrival)
{
    static const char *const names[] = {"new", "late",   "duplicate", "corrected",
                                        "old", "future", "corrupt"};
    return names[arrival];
}

sq_region *sq_region_create(const sq_config_region *config, int32_t reach_s)
{
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    sq_region *region = sq_alloc(1, sizeof *region);
    if (region == NULL) {
        return NULL;
    }
    atomic_init(&region->refs, 1);
    region->config = *config;
    region->reach_s = reach_s;
    region->missing_since = SQ_TIME_NONE;
    region->usual_delay_s = NAN;
    pthread_mutex_init(&region->carry, NULL);
    pthread_mutex_init(&region->mutex, NULL);
    const size_t count = sq_config_split(config->sources, names);
    for (size_t i = 0; i < count && i < SQ_EXTRAS; i++) {
        memcpy(region->extra_names[region->extra_count++], names[i], SQ_CONFIG_NAME);
    }
    return region;
}

void sq_region_reach(sq_region *region, int32_t reach_s)
{
    pthread_mutex_lock(&region->mutex);
    region->reach_s = reach_s > region->reach_s ? reach_s : region->reach_s;
    pthread_mutex_unlock(&region->mutex);
}

sq_region *sq_region_keep(sq_region *region)
{
    atomic_fetch_add(&region->refs, 1);
    return region;
}

/* With the lock held, or alone. */
static void clear(sq_region *region)
{
    sq_reel_clear(&region->radar);
    for (size_t i = 0; i < region->extra_count; i++) {
        sq_reel_clear(&region->extras[i]);
    }
    for (size_t i = 0; i < region->observed_count; i++) {
        sq_layer_drop(&region->observed[i]);
    }
    for (size_t i = 0; i < region->snapshot_count; i++) {
        sq_snapshot_drop(&region->snapshots[i]);
    }
    region->observed_count = region->snapshot_count = 0;
    region->dirty = false;
    region->missing_since = SQ_TIME_NONE;
    region->usual_delay_s = NAN;
}

void sq_region_clear(sq_region *region)
{
    pthread_mutex_lock(&region->mutex);
    region->epoch++;
    clear(region);
    pthread_mutex_unlock(&region->mutex);
}

void sq_region_drop(sq_region **region)
{
    sq_region *r = *region;
    *region = NULL;
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1) {
        return;
    }
    clear(r);
    for (size_t i = 0; i <= SQ_EXTRAS; i++) {
        squall_regrid_destroy(&r->carriers[i].table);
    }
    sq_place_drop(&r->place);
    pthread_mutex_destroy(&r->carry);
    pthread_mutex_destroy(&r->mutex);
    sq_free(r);
}

/* ---------------------------------------------------------------- onto the grid */

/* The part of `whole` that the region's window names; all of it without one. */
static squall_status wanted_grid(const sq_region *region, const squall_grid *whole,
                                 squall_grid *out, squall_error *err)
{
    int64_t window[4];
    *out = *whole;
    if (region->config.grid_proj[0] != '\0') {
        const sq_config_region *c = &region->config;
        memset(out, 0, sizeof *out);
        out->width = (size_t)c->grid_width;
        out->height = (size_t)c->grid_height;
        out->left = c->grid_left;
        out->top = c->grid_top;
        out->dx = out->dy = c->grid_cell;
        snprintf(out->proj, sizeof out->proj, "%s", c->grid_proj);
        return SQUALL_OK;
    }
    if (region->config.window[0] == '\0' ||
        sq_config_numbers(region->config.window, 0, 1 << 20, window, 4) != 4) {
        return SQUALL_OK;
    }
    if (window[0] + window[2] > (int64_t)whole->width ||
        window[1] + window[3] > (int64_t)whole->height) {
        return sq_fail(err, SQUALL_E_SHAPE, region->config.name,
                       "its window is not within the %zux%zu cells of the frame", whole->width,
                       whole->height);
    }
    out->left += (double)window[0] * out->dx;
    out->top -= (double)window[1] * out->dy;
    out->width = (size_t)window[2];
    out->height = (size_t)window[3];
    return SQUALL_OK;
}

/* Whether two grids are described alike; squall_grid_equal() asks PROJ, which takes its time. */
static bool is_written_alike(const squall_grid *a, const squall_grid *b)
{
    return a->width == b->width && a->height == b->height && a->left == b->left &&
           a->top == b->top && a->dx == b->dx && a->dy == b->dy && strcmp(a->proj, b->proj) == 0;
}

static bool same_grid(const squall_grid *a, const squall_grid *b)
{
    return is_written_alike(a, b) || squall_grid_equal(a, b, SAME_GRID_CELLS);
}

/* Whether `part` is cut from `whole` along its cells: then where. */
static bool find_part(const squall_grid *whole, const squall_grid *part, size_t *column,
                      size_t *row)
{
    const double x = (part->left - whole->left) / whole->dx;
    const double y = (whole->top - part->top) / whole->dy;
    if (strcmp(whole->proj, part->proj) != 0 || fabs(whole->dx - part->dx) > 1e-9 * whole->dx ||
        fabs(whole->dy - part->dy) > 1e-9 * whole->dy || fabs(x - rint(x)) > SAME_GRID_CELLS ||
        fabs(y - rint(y)) > SAME_GRID_CELLS || rint(x) < 0 || rint(y) < 0 ||
        rint(x) + (double)part->width > (double)whole->width ||
        rint(y) + (double)part->height > (double)whole->height) {
        return false;
    }
    *column = (size_t)rint(x);
    *row = (size_t)rint(y);
    return true;
}

static void copy_part(const squall_field *field, size_t column, size_t row, squall_field *out)
{
    for (size_t y = 0; y < out->grid.height; y++) {
        const size_t from = (row + y) * field->grid.width + column;
        const size_t to = y * out->grid.width;
        memcpy(out->values + to, field->values + from, out->grid.width * sizeof *out->values);
        memcpy(out->mask + to, field->mask + from, out->grid.width);
    }
}

/* The table from this grid, made anew when the source's grid changed. With `carry` held. */
static squall_status find_table(sq_region *region, size_t slot, const squall_grid *from,
                                const squall_regrid **out, squall_error *err)
{
    sq_carrier *carrier = &region->carriers[slot];
    if (carrier->table == NULL || !is_written_alike(&carrier->from, from)) {
        squall_regrid *table = NULL;
        SQ_TRY(squall_regrid_create(from, &region->place->grid, SQUALL_AREA_MEAN, &table, err));
        squall_regrid_destroy(&carrier->table);
        carrier->table = table;
        carrier->from = *from;
    }
    *out = carrier->table;
    return SQUALL_OK;
}

static size_t slot_of(const sq_region *region, const char *source)
{
    size_t i = 0;
    while (i < region->extra_count && strcmp(region->extra_names[i], source) != 0) {
        i++;
    }
    return strcmp(region->config.radar, source) == 0 ? SQ_EXTRAS : i;
}

/* With `carry` held. */
static squall_status carry_field(sq_region *region, const char *source, const squall_field *field,
                                 squall_field *out, squall_error *err)
{
    size_t column, row;
    if (find_part(&field->grid, &out->grid, &column, &row)) {
        squall_field_set_quantity(out, field->quantity, field->quantity_name, field->unit_name);
        out->valid_time = field->valid_time;
        out->window_s = field->window_s;
        memcpy(out->source, field->source, sizeof out->source);
        copy_part(field, column, row, out);
        return SQUALL_OK;
    }
    if (same_grid(&field->grid, &out->grid)) {
        squall_field like = *field;
        like.grid = out->grid;
        squall_field_set_quantity(out, field->quantity, field->quantity_name, field->unit_name);
        out->valid_time = field->valid_time;
        out->window_s = field->window_s;
        memcpy(out->source, field->source, sizeof out->source);
        copy_part(&like, 0, 0, out);
        return SQUALL_OK;
    }
    const squall_regrid *table;
    SQ_TRY(find_table(region, slot_of(region, source), &field->grid, &table, err));
    return squall_regrid_run(table, field, out, err);
}

squall_status sq_region_carry(sq_region *region, const char *source, const squall_field *field,
                              squall_field **out, squall_error *err)
{
    squall_field *carried = NULL;
    squall_grid grid;
    squall_status status = SQUALL_OK;
    pthread_mutex_lock(&region->carry);
    if (region->place == NULL) {
        if (strcmp(region->config.radar, source) != 0 && region->config.grid_proj[0] == '\0') {
            status = sq_fail(err, SQUALL_E_NO_DATA, region->config.name,
                             "its grid is not known before the first radar frame");
            goto done;
        }
        SQ_TRY_GOTO(wanted_grid(region, &field->grid, &grid, err));
        SQ_TRY_GOTO(sq_place_create(&grid, &region->place, err));
    }
    SQ_TRY_GOTO(squall_field_create(&region->place->grid, &carried, err));
    SQ_TRY_GOTO(carry_field(region, source, field, carried, err));
    *out = carried;
    carried = NULL;
done:
    pthread_mutex_unlock(&region->carry);
    squall_field_destroy(&carried);
    return status;
}

/* ---------------------------------------------------------------- frames */

static int64_t newest_time(const sq_reel *reel)
{
    return reel->count > 0 ? reel->items[reel->count - 1]->field->valid_time : SQ_TIME_NONE;
}

/* Put an observed layer (given) in its place. With the lock. */
static void add_observed(sq_region *region, sq_layer *layer, int64_t oldest)
{
    size_t at = region->observed_count;
    while (at > 0 && region->observed[at - 1]->valid_time > layer->valid_time) {
        at--;
    }
    if (at > 0 && region->observed[at - 1]->valid_time == layer->valid_time) {
        sq_layer_drop(&region->observed[at - 1]);
        region->observed[at - 1] = layer;
        return;
    }
    size_t old = 0;
    while (old < region->observed_count && (region->observed[old]->valid_time < oldest ||
                                            region->observed_count - old >= SQ_REGION_FRAMES)) {
        sq_layer_drop(&region->observed[old++]);
    }
    memmove(region->observed, region->observed + old,
            (region->observed_count - old) * sizeof(sq_layer *));
    region->observed_count -= old;
    at = at > old ? at - old : 0;
    memmove(region->observed + at + 1, region->observed + at,
            (region->observed_count - at) * sizeof(sq_layer *));
    region->observed[at] = layer;
    region->observed_count++;
}

/* What a radar frame is beside those that are there. With the lock. */
static sq_arrival judge(const sq_region *region, const sq_layer *layer)
{
    const int64_t newest = newest_time(&region->radar);
    for (size_t i = 0; i < region->observed_count; i++) {
        if (region->observed[i]->valid_time == layer->valid_time) {
            return region->observed[i]->hash == layer->hash ? SQ_ARRIVED_DUPLICATE
                                                            : SQ_ARRIVED_CORRECTED;
        }
    }
    if (newest == SQ_TIME_NONE || layer->valid_time > newest) {
        return SQ_ARRIVED_NEW;
    }
    const int64_t kept = (int64_t)region->config.history_min * 60;
    return layer->valid_time < newest - (kept > region->reach_s ? kept : region->reach_s)
               ? SQ_ARRIVED_OLD
               : SQ_ARRIVED_LATE;
}

static void make_dirty(sq_region *region, double arrived_s)
{
    if (!region->dirty) {
        region->dirty = true;
        region->dirty_since_s = arrived_s;
    }
    region->arrived_s = arrived_s;
}

/* With the lock; the frame and the layer are given. */
static sq_arrival take_radar(sq_region *region, sq_frame *frame, sq_layer *layer, int64_t now,
                             double arrived_s)
{
    const sq_arrival arrival = judge(region, layer);
    const int64_t time = layer->valid_time;
    if (arrival == SQ_ARRIVED_DUPLICATE || arrival == SQ_ARRIVED_OLD) {
        sq_frame_drop(&frame);
        sq_layer_drop(&layer);
        return arrival;
    }
    const bool newest = arrival == SQ_ARRIVED_NEW ||
                        (arrival == SQ_ARRIVED_CORRECTED && time == newest_time(&region->radar));
    sq_reel_add(&region->radar, frame);
    const int64_t last = newest_time(&region->radar);
    sq_reel_trim(&region->radar, last - region->reach_s);
    add_observed(region, layer, last - (int64_t)region->config.history_min * 60);
    if (newest) {
        make_dirty(region, arrived_s);
        region->missing_since = SQ_TIME_NONE;
    }
    if (arrival == SQ_ARRIVED_NEW && now - time < (int64_t)region->config.max_age_min * 60) {
        const double delay = fmax(0.0, (double)(now - time));
        /* Down at once, up slowly: files that lay there at the start are old. */
        region->usual_delay_s = isnan(region->usual_delay_s)
                                    ? delay
                                    : fmin(delay, 0.8 * region->usual_delay_s + 0.2 * delay);
    }
    return arrival;
}

squall_status sq_region_take(sq_region *region, const char *source, squall_field *field,
                             const char *name, int64_t now, double arrived_s, sq_arrival *arrival,
                             squall_error *err)
{
    const size_t slot = slot_of(region, source);
    sq_layer *layer = slot == SQ_EXTRAS ? sq_layer_create(field) : NULL;
    sq_frame *frame = sq_frame_create(field, name);
    if (frame == NULL || (slot == SQ_EXTRAS && layer == NULL)) {
        sq_layer_drop(&layer);
        if (frame != NULL) {
            sq_frame_drop(&frame);
        }
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory for a frame");
    }
    pthread_mutex_lock(&region->mutex);
    if (slot == SQ_EXTRAS) {
        *arrival = take_radar(region, frame, layer, now, arrived_s);
    } else {
        sq_reel *reel = &region->extras[slot];
        const bool newest =
            newest_time(reel) == SQ_TIME_NONE || frame->field->valid_time > newest_time(reel);
        *arrival = newest ? SQ_ARRIVED_NEW : SQ_ARRIVED_LATE;
        sq_reel_add(reel, frame);
        sq_reel_trim(reel, newest_time(reel) - region->reach_s);
        region->arrived_s = region->dirty ? arrived_s : region->arrived_s;
    }
    pthread_mutex_unlock(&region->mutex);
    return SQUALL_OK;
}

/* Whether every other source has a frame about as new as the radar's. With the lock. */
static bool is_complete(const sq_region *region)
{
    const int64_t newest = newest_time(&region->radar);
    for (size_t i = 0; i < region->extra_count; i++) {
        const int64_t time = newest_time(&region->extras[i]);
        if (time == SQ_TIME_NONE || time < newest - region->config.cadence_s) {
            return false;
        }
    }
    return true;
}

bool sq_region_is_due(sq_region *region, double now_s, double speed, bool reading)
{
    pthread_mutex_lock(&region->mutex);
    const double waited = (now_s - region->dirty_since_s) * speed;
    const bool due =
        region->dirty && !region->queued && !region->running &&
        ((is_complete(region) && !reading) || waited >= (double)region->config.deadline_s);
    if (due) {
        region->queued = true;
    }
    pthread_mutex_unlock(&region->mutex);
    return due;
}

/* ---------------------------------------------------------------- forecasts */

bool sq_region_publish(sq_region *region, sq_snapshot *snapshot, unsigned epoch)
{
    sq_snapshot *old = NULL;
    pthread_mutex_lock(&region->mutex);
    if (region->epoch != epoch) {
        pthread_mutex_unlock(&region->mutex);
        sq_snapshot_drop(&snapshot);
        return false;
    }
    size_t at = region->snapshot_count;
    while (at > 0 && region->snapshots[at - 1]->issue_time > snapshot->issue_time) {
        at--;
    }
    if (at > 0 && region->snapshots[at - 1]->issue_time == snapshot->issue_time) {
        old = region->snapshots[at - 1]; /* of a frame that was corrected */
        region->snapshots[at - 1] = snapshot;
    } else {
        if (region->snapshot_count >= (size_t)region->config.instances) {
            old = region->snapshots[0];
            memmove(region->snapshots, region->snapshots + 1,
                    (region->snapshot_count - 1) * sizeof(sq_snapshot *));
            region->snapshot_count--;
            at -= at > 0 ? 1 : 0;
        }
        memmove(region->snapshots + at + 1, region->snapshots + at,
                (region->snapshot_count - at) * sizeof(sq_snapshot *));
        region->snapshots[at] = snapshot;
        region->snapshot_count++;
    }
    pthread_mutex_unlock(&region->mutex);
    sq_snapshot_drop(&old);
    return true;
}

const sq_config_region *sq_region_config(const sq_region *region)
{
    return &region->config;
}

sq_snapshot *sq_region_newest(sq_region *region, int64_t now)
{
    sq_snapshot *found = NULL;
    pthread_mutex_lock(&region->mutex);
    if (region->snapshot_count > 0) {
        sq_snapshot *newest = region->snapshots[region->snapshot_count - 1];
        if (now - newest->issue_time <= (int64_t)region->config.max_age_min * 60) {
            found = sq_snapshot_keep(newest);
        }
    }
    pthread_mutex_unlock(&region->mutex);
    return found;
}

sq_snapshot *sq_region_instance(sq_region *region, int64_t issue_time)
{
    sq_snapshot *found = NULL;
    pthread_mutex_lock(&region->mutex);
    for (size_t i = region->snapshot_count; i-- > 0 && found == NULL;) {
        if (region->snapshots[i]->issue_time == issue_time) {
            found = sq_snapshot_keep(region->snapshots[i]);
        }
    }
    pthread_mutex_unlock(&region->mutex);
    return found;
}

size_t sq_region_instances(sq_region *region, sq_snapshot **out, size_t room)
{
    pthread_mutex_lock(&region->mutex);
    const size_t count = region->snapshot_count < room ? region->snapshot_count : room;
    for (size_t i = 0; i < count; i++) {
        out[i] = sq_snapshot_keep(region->snapshots[region->snapshot_count - count + i]);
    }
    pthread_mutex_unlock(&region->mutex);
    return count;
}

void sq_region_status_get(sq_region *region, sq_region_status *out)
{
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&region->mutex);
    const sq_snapshot *newest =
        region->snapshot_count > 0 ? region->snapshots[region->snapshot_count - 1] : NULL;
    out->newest_frame = newest_time(&region->radar);
    out->newest_issue = newest != NULL ? newest->issue_time : SQ_TIME_NONE;
    out->missing_since = region->missing_since;
    out->frames = region->observed_count;
    out->instances = region->snapshot_count;
    out->cycles = region->cycles;
    out->failures = region->failures;
    out->running = region->running;
    out->waiting = region->dirty;
    out->last_total_s = region->last_total_s;
    out->last_latency_s = region->last_latency_s;
    out->method = newest != NULL ? newest->method : SQUALL_METHOD_AUTO;
    out->alarm = newest != NULL && newest->alarm;
    pthread_mutex_unlock(&region->mutex);
}
