/* wx/nowcast/nowcast.h - the radar frames that a forecast starts from. */
#ifndef SQ_WX_NOWCAST_NOWCAST_H
#define SQ_WX_NOWCAST_NOWCAST_H

#include "squall/nowcast.h"

#include "base/base.h"

/* The motion is found from the frames of the last half hour, at most eight; where those are fewer
 * than three, from up to three of the last three quarters. */
#define SQ_MOTION_FRAMES        8
#define SQ_MOTION_SPAN_S        1800
#define SQ_MOTION_FEW           3
#define SQ_MOTION_LONGER_SPAN_S 2700

/* The usable radar frames: on one grid, not later than the issue time, oldest first. */
typedef struct sq_frames {
    const squall_field **items; /* owned array of borrowed fields, [count] */
    size_t count;
    const squall_field *latest; /* the last of them */
} sq_frames;

/** Choose frames from the source "radar"; what is left out goes to `notes`. SQUALL_E_NO_DATA when
 * none is left. Release with sq_frames_free(). */
SQUALL_MUST_USE squall_status sq_frames_select(const squall_source *sources, size_t source_count,
                                               int64_t issue_time, sq_frames *out,
                                               squall_notes *notes, squall_error *err);
void sq_frames_free(sq_frames *frames);

/** Fill the fields of `forecast` (and its ensemble) by a method that needs no engine.
 * @param motion  NULL for persistence alone */
SQUALL_MUST_USE squall_status sq_classic_run(squall_method method, const sq_frames *frames,
                                             const squall_motion *motion,
                                             const squall_ensemble_options *options,
                                             squall_forecast *forecast, squall_error *err);

/** Make the engine's fields in `forecast` the blend of them and S-PROG's.
 * @param motion  not NULL */
SQUALL_MUST_USE squall_status sq_blend_run(const sq_frames *frames, const squall_motion *motion,
                                           const squall_ensemble_options *options,
                                           squall_forecast *forecast, squall_error *err);

/** The ensemble of a network that gives probabilities: they, and quantiles for members.
 * @param output  borrowed; as squall_recipe_output_shape() of a recipe with thresholds
 * @param index   [lead_count]: which of the recipe's lead times each of `leads_s` is
 * @param out     given; its means are fields without coverage */
SQUALL_MUST_USE squall_status sq_chances_make(
    const squall_recipe *recipe, const squall_tensor *output, const squall_field *latest,
    const squall_motion *motion, const int32_t *leads_s, const size_t *index, size_t lead_count,
    const squall_ensemble_options *options, squall_ensemble **out, squall_error *err);

#endif /* SQ_WX_NOWCAST_NOWCAST_H */
