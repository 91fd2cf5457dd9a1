/* cli/cli_quality.c - past frames made fit to forecast from, as --quality says. */
#include <string.h>

#include "cli/cli.h"
#include "squall/quality.h"

enum { LEAST_CELLS = 5, MOST_MISSING = 4, MOTION_FRAMES = 8 };

#define LEAST_SPOKE 25.0 /* cells */

squall_status cli_quality_parse(const char *text, unsigned *flags, squall_error *err)
{
    static const char *const names[] = {"speckle", "spokes", "mask", "gaps", "instant"};
    *flags = 0;
    while (text != NULL && *text != '\0') {
        const size_t length = strcspn(text, ",");
        size_t k = 0;
        while (k < sizeof names / sizeof names[0] &&
               (strlen(names[k]) != length || strncmp(names[k], text, length) != 0)) {
            k++;
        }
        if (k == sizeof names / sizeof names[0]) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "--quality",
                           "'%.*s' is none of speckle, spokes, mask, gaps, instant", (int)length,
                           text);
        }
        *flags |= 1U << k;
        text += length + (text[length] == ',' ? 1 : 0);
    }
    return SQUALL_OK;
}

void cli_quality_free(cli_frames *frames)
{
    for (size_t i = 0; i < frames->made_count; i++) {
        squall_field_destroy(&frames->made[i]);
    }
    sq_free(frames->made);
    frames->made = NULL;
    frames->made_count = 0;
}

/* What is told of one frame alone. */
static squall_status clean(const cli_frames *frames, squall_field *field, squall_error *err)
{
    if ((frames->quality & CLI_QUALITY_MASK) != 0) {
        SQ_TRY(squall_quality_mask(field, frames->input.min_quality, NULL, err));
    }
    if ((frames->quality & CLI_QUALITY_SPOKES) != 0) {
        SQ_TRY(squall_quality_spokes(field, LEAST_SPOKE, NULL, err));
    }
    if ((frames->quality & CLI_QUALITY_SPECKLE) != 0) {
        SQ_TRY(squall_quality_speckle(field, LEAST_CELLS, NULL, err));
    }
    return SQUALL_OK;
}

/* The motion of the newest frames up to number `last`. */
static squall_status find_motion(squall_field *const *fields, size_t last, squall_motion **out,
                                 squall_error *err)
{
    const size_t first = last + 1 > MOTION_FRAMES ? last + 1 - MOTION_FRAMES : 0;
    SQ_TRY(squall_motion_create(&fields[last]->grid, out, err));
    return squall_motion_estimate((const squall_field *const *)fields + first, last + 1 - first,
                                  NULL, *out, err);
}

/* The usual step: the shortest between two frames. 0 when there is none. */
static int64_t find_step(const squall_field *const *list, size_t count)
{
    int64_t step = 0;
    for (size_t i = 1; i < count; i++) {
        const int64_t here = list[i]->valid_time - list[i - 1]->valid_time;
        step = here > 0 && (step == 0 || here < step) ? here : step;
    }
    return step;
}

/* Copies of the frames, and between them those that are missing. */
static squall_status copy_and_fill(cli_frames *frames, const squall_field *const *list,
                                   size_t count, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_motion *motion = NULL;
    const int64_t step = find_step(list, count);
    for (size_t i = 0; i < count; i++) {
        squall_field *copy = NULL;
        SQ_TRY_GOTO(squall_field_copy(list[i], &copy, err));
        const size_t before = frames->made_count;
        frames->made[frames->made_count++] = copy;
        SQ_TRY_GOTO(clean(frames, copy, err));
        if (i == 0 || (frames->quality & CLI_QUALITY_GAPS) == 0 || step < 1) {
            continue;
        }
        const squall_field *previous = frames->made[before - 1];
        const int64_t missing = (copy->valid_time - previous->valid_time + step / 2) / step - 1;
        if (missing < 1 || missing > MOST_MISSING ||
            !squall_grid_equal(&copy->grid, &previous->grid, 0.1)) {
            continue;
        }
        squall_motion_destroy(&motion);
        SQ_TRY_GOTO(find_motion(frames->made, before, &motion, err));
        for (int64_t k = 0; k < missing; k++) {
            squall_field *filled = NULL;
            SQ_TRY_GOTO(squall_field_create(&copy->grid, &filled, err));
            frames->made[frames->made_count] = frames->made[frames->made_count - 1];
            frames->made[frames->made_count - 1] = filled;
            frames->made_count++;
            SQ_TRY_GOTO(squall_quality_between(previous, copy, motion,
                                               previous->valid_time + (k + 1) * step, filled, err));
        }
    }
done:
    squall_motion_destroy(&motion);
    return status;
}

/* Means over a window become what was at its end. */
static squall_status make_instants(cli_frames *frames, squall_error *err)
{
    squall_status status = SQUALL_OK;
    squall_motion *motion = NULL;
    squall_field *out = NULL;
    if (frames->made_count < 2) {
        return SQUALL_OK;
    }
    SQ_TRY_GOTO(find_motion(frames->made, frames->made_count - 1, &motion, err));
    for (size_t i = 0; i < frames->made_count; i++) {
        if (frames->made[i]->window_s < 2) {
            continue;
        }
        SQ_TRY_GOTO(squall_field_create(&frames->made[i]->grid, &out, err));
        SQ_TRY_GOTO(squall_quality_instant(frames->made[i], motion, out, err));
        squall_field_destroy(&frames->made[i]);
        frames->made[i] = out;
        out = NULL;
    }
done:
    squall_field_destroy(&out);
    squall_motion_destroy(&motion);
    return status;
}

size_t cli_quality_run(cli_frames *frames, const squall_field **list, size_t count)
{
    squall_error problem = {.code = SQUALL_OK};
    cli_quality_free(frames);
    frames->made = sq_alloc(count * (MOST_MISSING + 1), sizeof(squall_field *));
    squall_status status = SQUALL_OK;
    if (frames->made == NULL) {
        status = sq_fail(&problem, SQUALL_E_MEMORY, "quality", "no memory for %zu frames", count);
    }
    if (status == SQUALL_OK) {
        status = copy_and_fill(frames, list, count, &problem);
    }
    if (status == SQUALL_OK && (frames->quality & CLI_QUALITY_INSTANT) != 0) {
        status = make_instants(frames, &problem);
    }
    if (status != SQUALL_OK) {
        sq_note(frames->notes, problem.where, "%s; frames are used as they are", problem.text);
        cli_quality_free(frames);
        return count;
    }
    /* The newest of them, if those filled in are more than there is room for. */
    const size_t first =
        frames->made_count > frames->count ? frames->made_count - frames->count : 0;
    for (size_t i = first; i < frames->made_count; i++) {
        list[i - first] = frames->made[i];
    }
    return frames->made_count - first;
}
