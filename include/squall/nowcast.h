/* squall/nowcast.h - from observed radar fields to forecast fields.
 *
 * The functions here know nothing of HTTP, files or formats: fields in, fields out.
 */
#ifndef SQUALL_NOWCAST_H
#define SQUALL_NOWCAST_H

#include <stddef.h>
#include <stdint.h>

#include "squall/engine.h"
#include "squall/ensemble.h"
#include "squall/feature.h"
#include "squall/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How a forecast is made. Where the inputs do not allow it, the model falls back to extrapolation,
 * and what needs motion to persistence. */
typedef enum squall_method {
    SQUALL_METHOD_AUTO = 0,          /**< the best that the inputs allow */
    SQUALL_METHOD_PERSISTENCE = 1,   /**< the newest frame stays as it is */
    SQUALL_METHOD_EXTRAPOLATION = 2, /**< the newest frame is carried along the motion */
    SQUALL_METHOD_MODEL = 3,         /**< the engine */
    SQUALL_METHOD_SPROG = 4,         /**< extrapolation in which each scale fades in its own time:
                                          squall_sprog_run() */
    SQUALL_METHOD_STEPS = 5,         /**< an ensemble, whose mean is the forecast:
                                          squall_steps_run() */
    SQUALL_METHOD_BLEND = 6          /**< the engine's forecast and S-PROG's made one; S-PROG where
                                          the engine cannot be used */
} squall_method;
enum { SQUALL_METHODS = 7 };

/** "persistence", ...; never NULL. */
SQUALL_API const char *squall_method_name(squall_method method);

/** A forecast: one field a lead time, and how it came to be. */
typedef struct squall_forecast {
    squall_method method;  /**< the one that was used */
    int64_t issue_time;    /**< valid time of the newest frame in it, Unix seconds */
    size_t count;          /**< of lead times */
    int32_t *leads_s;      /**< [count], seconds, ascending */
    squall_field **fields; /**< [count], mm/h, on the grid of the radar frames */
    double quality_index;  /**< 1 when nothing was missing; below, the share of observations found
                                (one that was replaced counts half), halved again when a method below
                                the one asked for had to be used */
    char quality[256];     /**< "nominal", or what was missing, in words */
    double motion_s, features_s, engine_s, fields_s; /**< time spent, seconds */
    squall_ensemble *ensemble; /**< of STEPS, and of an engine whose recipe has thresholds (its
                                    members are quantiles), else NULL: probabilities, and members if
                                    they were to be kept. Its means are `fields`, and NULL there */
} squall_forecast;

SQUALL_API void squall_forecast_destroy(squall_forecast **forecast);

/** What makes forecasts: an engine with its recipe and its memory, or none. One call at a time. */
typedef struct squall_nowcaster squall_nowcaster;

/**
 * @param engine   kept, and not closed; NULL to have none. It must carry a recipe.
 * @param threads  0: one for each processor
 * @return SQUALL_OK; SQUALL_E_FORMAT (its recipe cannot be read, or does not fit its network);
 *         SQUALL_E_NO_DATA (it has no recipe); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_nowcaster_create(squall_engine *engine,
                                                                 int32_t threads,
                                                                 squall_nowcaster **out,
                                                                 squall_error *err);
SQUALL_API void squall_nowcaster_destroy(squall_nowcaster **nowcaster);

/** How S-PROG and STEPS are run from now on; NULL for the defaults. `threads` is the nowcaster's.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (struct_size was not set). */
SQUALL_MUST_USE SQUALL_API squall_status squall_nowcaster_set_ensemble(
    squall_nowcaster *nowcaster, const squall_ensemble_options *options, squall_error *err);

/** How motion is found from now on; SQUALL_MOTION_DENSE by default, and what recipes in the moving
 * frame were trained with.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT. */
SQUALL_MUST_USE SQUALL_API squall_status squall_nowcaster_set_motion(squall_nowcaster *nowcaster,
                                                                     squall_motion_method method,
                                                                     squall_error *err);

/** The recipe of its engine, or NULL; borrowed. */
SQUALL_API const squall_recipe *squall_nowcaster_recipe(const squall_nowcaster *nowcaster);

/** The tensors of the last run of the engine, borrowed until the next run; `data` is NULL before
 * the first. For those who want to see what the network saw. */
SQUALL_API void squall_nowcaster_tensors(const squall_nowcaster *nowcaster, squall_tensor *input,
                                         squall_tensor *output);

/**
 * Forecast.
 *
 * @param sources     borrowed; "radar" with rain-rate fields, in any order of time; others as the
 *                    recipe asks. Frames later than `issue_time` are not looked at; radar frames on
 *                    another grid than most of them are left out, with a note.
 * @param issue_time  the forecast starts from the newest radar frame not later than this;
 *                    SQUALL_TIME_NONE for the newest of all
 * @param leads_s     borrowed; ascending lead times, seconds, 1..21600; NULL for those of the
 * recipe, or without an engine 5 to 60 minutes in steps of 5
 * @param method      the one wanted; a lower one is used, with a note and a lower quality, when the
 *                    inputs do not allow it
 * @param notes       everything that was missing, replaced or left out; may be NULL
 * @param out         given; untouched on failure
 * @return SQUALL_OK; SQUALL_E_NO_DATA (no radar frame); SQUALL_E_SHAPE (a quantity other than rain
 *         rate); SQUALL_E_ARGUMENT (lead times or a method that are none); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_nowcast_run(
    squall_nowcaster *nowcaster, const squall_source *sources, size_t source_count,
    int64_t issue_time, const int32_t *leads_s, size_t lead_count, squall_method method,
    squall_forecast **out, squall_notes *notes, squall_error *err);

/**
 * The motion that squall_nowcast_run() would use: from the frames of the last half hour before the
 * newest, at most eight; where those are fewer than three, from up to three of the last 45 minutes.
 * For those who make training data.
 *
 * @param out  given; NULL when there are not two such frames
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_nowcast_motion(const squall_source *sources, size_t source_count, int64_t issue_time,
                      int32_t threads, squall_motion **out, squall_notes *notes, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_NOWCAST_H */
