/* wx/nowcast/nowcast_frames.c - which radar frames a forecast may use. */
#include <stdlib.h>
#include <string.h>

#include "wx/nowcast/nowcast.h"

#define SAME_GRID_CELLS 0.05 /* corners of one product differ by that much between versions */

static int by_time(const void *a, const void *b)
{
    const squall_field *const *left = a, *const *right = b;
    const int64_t l = (*left)->valid_time, r = (*right)->valid_time;
    return l < r ? -1 : l > r ? 1 : 0;
}

/* The grid that most frames share; of two as common, that of the newer frame. */
static const squall_grid *common_grid(const sq_frames *frames)
{
    const squall_grid *best = NULL;
    size_t most = 0;
    for (size_t i = frames->count; i-- > 0;) {
        const squall_grid *grid = &frames->items[i]->grid;
        if (best != NULL && squall_grid_equal(best, grid, SAME_GRID_CELLS)) {
            continue;
        }
        size_t same = 0;
        for (size_t j = 0; j < frames->count; j++) {
            same += squall_grid_equal(grid, &frames->items[j]->grid, SAME_GRID_CELLS) ? 1 : 0;
        }
        if (same > most) {
            most = same;
            best = grid;
        }
    }
    return best;
}

/* Put the frames of one source in order; those that may not be used are left out. */
static void collect(const squall_source *radar, int64_t issue_time, sq_frames *out,
                    squall_notes *notes)
{
    for (size_t i = 0; i < radar->count; i++) {
        const squall_field *frame = radar->frames[i];
        if (frame == NULL) {
            continue;
        }
        if (frame->valid_time == SQUALL_TIME_NONE) {
            sq_note(notes, frame->source, "has no valid time; left out");
        } else if (issue_time == SQUALL_TIME_NONE || frame->valid_time <= issue_time) {
            out->items[out->count++] = frame;
        }
    }
    qsort(out->items, out->count, sizeof *out->items, by_time);
}

static void keep_grid(sq_frames *frames, squall_notes *notes)
{
    const squall_grid *grid = common_grid(frames);
    size_t kept = 0;
    for (size_t i = 0; i < frames->count; i++) {
        const squall_field *frame = frames->items[i];
        if (squall_grid_equal(grid, &frame->grid, SAME_GRID_CELLS)) {
            frames->items[kept++] = frame;
        } else {
            sq_note(notes, frame->source,
                    "is on another grid (%zux%zu) than most frames (%zux%zu); left out",
                    frame->grid.width, frame->grid.height, grid->width, grid->height);
        }
    }
    frames->count = kept;
}

/* Of frames of one time the first stays; after keep_grid(), so that it is one that can be used. */
static void keep_first(sq_frames *frames, squall_notes *notes)
{
    size_t kept = 0;
    for (size_t i = 0; i < frames->count; i++) {
        const squall_field *frame = frames->items[i];
        if (kept > 0 && frames->items[kept - 1]->valid_time == frame->valid_time) {
            sq_note(notes, frame->source, "a second frame of the same time; left out");
        } else {
            frames->items[kept++] = frame;
        }
    }
    frames->count = kept;
}

squall_status sq_frames_select(const squall_source *sources, size_t source_count,
                               int64_t issue_time, sq_frames *out, squall_notes *notes,
                               squall_error *err)
{
    const squall_source *radar = NULL;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < source_count; i++) {
        radar = strcmp(sources[i].name, "radar") == 0 ? &sources[i] : radar;
    }
    for (size_t i = 0; radar != NULL && i < radar->count; i++) {
        const squall_field *frame = radar->frames[i];
        if (frame != NULL && frame->quantity != SQUALL_RAIN_RATE) {
            return sq_fail(err, SQUALL_E_SHAPE, frame->source,
                           "is %s in %s; a forecast takes rain rates (squall_field_to_rate)",
                           frame->quantity_name, frame->unit_name);
        }
    }
    if (radar != NULL && radar->count > 0) {
        out->items = sq_alloc(radar->count, sizeof *out->items);
        if (out->items == NULL) {
            return sq_fail(err, SQUALL_E_MEMORY, "radar", "no memory for %zu frames", radar->count);
        }
        collect(radar, issue_time, out, notes);
    }
    if (out->count == 0) {
        char text[SQ_TIME_TEXT];
        sq_frames_free(out);
        return sq_fail(err, SQUALL_E_NO_DATA, "radar", "no frame%s%s; nothing to forecast from",
                       issue_time != SQUALL_TIME_NONE ? " at or before " : "",
                       issue_time != SQUALL_TIME_NONE ? sq_time_format(issue_time, text) : "");
    }
    keep_grid(out, notes);
    keep_first(out, notes);
    out->latest = out->items[out->count - 1];
    return SQUALL_OK;
}

void sq_frames_free(sq_frames *frames)
{
    sq_free(frames->items);
    memset(frames, 0, sizeof *frames);
}
