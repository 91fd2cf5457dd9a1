/* squall/feature.h - from fields to the tensors of a network and back, by a recipe.
 *
 * A recipe is a JSON text (docs/recipe.md) that travels inside the engine. Training and serving
 * call the same functions, so they cannot drift apart.
 */
#ifndef SQUALL_FEATURE_H
#define SQUALL_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"
#include "squall/motion.h"
#include "squall/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SQUALL_RECIPE_VERSION 1

/** A recipe, checked and ready. Threads: read-only after it is made. */
typedef struct squall_recipe squall_recipe;

/**
 * Read a recipe.
 *
 * @param text  borrowed; JSON, `length` bytes
 * @param name  what messages call it
 * @return SQUALL_OK; SQUALL_E_FORMAT with the key and what is allowed there; SQUALL_E_VERSION;
 *         SQUALL_E_LIMIT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_recipe_parse(const char *text, size_t length,
                                                             const char *name, squall_recipe **out,
                                                             squall_error *err);
SQUALL_API void squall_recipe_destroy(squall_recipe **recipe);

/** The name it carries; borrowed. */
SQUALL_API const char *squall_recipe_name(const squall_recipe *recipe);
/** Channels of the input tensor, and of the output tensor those that are rain (one a lead time);
 * probabilities, if the recipe has any, come after them. */
SQUALL_API size_t squall_recipe_input_channels(const squall_recipe *recipe);
SQUALL_API size_t squall_recipe_output_channels(const squall_recipe *recipe);
/** Whether the network gives probabilities, too. */
SQUALL_API bool squall_recipe_has_chances(const squall_recipe *recipe);
/** Lead time of output `index`, seconds. */
SQUALL_API int32_t squall_recipe_lead_s(const squall_recipe *recipe, size_t index);
/** The earliest observation it asks for, seconds before the issue time (0 or negative). */
SQUALL_API int32_t squall_recipe_earliest_s(const squall_recipe *recipe);
/** How far an observation's time may be from the one asked for, seconds. */
SQUALL_API int32_t squall_recipe_tolerance_s(const squall_recipe *recipe);
/** Cell size that the network was trained for, metres; 0 when it does not say. */
SQUALL_API double squall_recipe_cell_m(const squall_recipe *recipe);

/** Shapes for a field of height x width: [1, channels, H, W], H and W rounded up to the recipe's
 * multiple. `data` is NULL. */
SQUALL_API void squall_recipe_input_shape(const squall_recipe *recipe, size_t height, size_t width,
                                          squall_tensor *out);
SQUALL_API void squall_recipe_output_shape(const squall_recipe *recipe, size_t height, size_t width,
                                           squall_tensor *out);

/** The frames of one source ("radar", "satellite", or a static map by its name), in any order, all
 * on one grid with those of the other sources. */
typedef struct squall_source {
    const char *name;
    const squall_field *const *frames;
    size_t count;
} squall_source;

/** What the inputs were like. */
typedef struct squall_feature_quality {
    size_t wanted, exact; /**< observations asked for; found at their time */
    size_t replaced;      /**< filled by the nearest other frame of the source */
    size_t absent;        /**< no frame at all: the channel holds its value for "nothing known" */
} squall_feature_quality;

/**
 * Make the input tensor.
 *
 * Rain rates go through the recipe's transform; cells without coverage hold what 0 mm/h becomes,
 * and the coverage channel, if the recipe has one, says which. In a recipe of the moving frame
 * every observation is first carried along `motion` to the issue time.
 *
 * @param sources  borrowed; rain-rate fields for "radar"
 * @param motion   borrowed; needed by recipes of the moving frame and by motion channels, else NULL
 * @param input    borrowed; type and shape as squall_recipe_input_shape(); `data` is filled
 * @param quality  filled; may be NULL
 * @param notes    a line for each observation that was replaced or absent
 * @return SQUALL_OK; SQUALL_E_NO_DATA when a source that the recipe requires has nothing near the
 *         issue time; SQUALL_E_SHAPE; SQUALL_E_ARGUMENT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_features_make(const squall_recipe *recipe, const squall_source *sources, size_t source_count,
                     int64_t issue_time, const squall_motion *motion, const squall_tensor *input,
                     squall_feature_quality *quality, squall_notes *notes, squall_error *err);

/**
 * Turn the output tensor into rain-rate fields: the inverse of the transform and, for a recipe of
 * the moving frame, the way along `motion` to each lead time.
 *
 * @param output  borrowed; shape as squall_recipe_output_shape()
 * @param latest  borrowed; the newest radar frame: its grid and its coverage
 * @param out     borrowed array of squall_recipe_output_channels() fields on that grid, each filled
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_features_invert(
    const squall_recipe *recipe, const squall_tensor *output, const squall_field *latest,
    int64_t issue_time, const squall_motion *motion, squall_field *const *out, squall_error *err);

/**
 * Make what a network is trained towards: the observations at the lead times, carried back into the
 * moving frame where the recipe asks for it, and transformed.
 *
 * @param target  filled; shape as squall_recipe_output_shape()
 * @param weight  filled; the same shape: 1 where the target is known, 0 elsewhere (a lead time
 * without an observation within the tolerance, no coverage then, no coverage now, padding)
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_features_target(const squall_recipe *recipe, const squall_source *radar, int64_t issue_time,
                       const squall_motion *motion, const squall_tensor *target,
                       const squall_tensor *weight, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_FEATURE_H */
