/* squall/motion.h - how the rain moves, and where it will be if it only moves. */
#ifndef SQUALL_MOTION_H
#define SQUALL_MOTION_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A motion vector for each cell of a grid. */
typedef struct squall_motion {
    squall_grid grid;
    float *u; /**< [height][width]; cells per second towards higher columns (east) */
    float *v; /**< [height][width]; cells per second towards higher rows (south) */
} squall_motion;

/** Ways to find motion. */
typedef enum squall_motion_method {
    SQUALL_MOTION_DENSE = 0,        /**< a dense flow, smooth from block to block; the best of them
                                         on the real sequences, and the default */
    SQUALL_MOTION_LUCAS_KANADE = 1, /**< corners tracked over a pyramid (Shi and Tomasi 1994;
                                       Bouguet 2000), outliers left out, the rest spread out */
    SQUALL_MOTION_SPECTRAL = 2      /**< the first waves of a motion field that explain how the
                                         spectra change: DARTS (Ruzanski et al. 2011) */
} squall_motion_method;
enum { SQUALL_MOTION_METHODS = 3 };
/** "dense", "lucas-kanade", "spectral"; never NULL. */
SQUALL_API const char *squall_motion_method_name(squall_motion_method method);

/** How motion is found. Set it up with squall_motion_options_init(). */
typedef struct squall_motion_options {
    uint32_t struct_size;
    float min_rate_mm_h; /**< rates below this count as dry; default 0.1 */
    float max_speed_m_s; /**< faster vectors are taken for errors; default 50 */
    int32_t threads;     /**< 0: one for each processor; default 0 */
    int32_t method;      /**< a squall_motion_method; default SQUALL_MOTION_DENSE */
} squall_motion_options;
SQUALL_API void squall_motion_options_init(squall_motion_options *options);

/** A field of no motion; given. */
SQUALL_MUST_USE SQUALL_API squall_status squall_motion_create(const squall_grid *grid,
                                                              squall_motion **out,
                                                              squall_error *err);
SQUALL_API void squall_motion_destroy(squall_motion **motion);

/**
 * Find the motion of rain between frames, by default by a dense optical flow on the logarithm of
 * the rate.
 *
 * @param frames  borrowed; `count` rain-rate fields on one grid, oldest first, 2..8. Steps may
 *                differ and a NULL entry is a frame that is missing.
 * @param out     filled; made by squall_motion_create() on the same grid. Where there is no rain
 *                the vectors are filled in smoothly from around; all 0 when there is none at all.
 * Result: the same bits for every thread count.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (fewer than two frames, times not ascending);
 *         SQUALL_E_SHAPE (grids or quantities differ); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_motion_estimate(const squall_field *const *frames, size_t count,
                       const squall_motion_options *options, squall_motion *out, squall_error *err);

/** How a field is carried. Set it up with squall_advect_options_init(). */
typedef struct squall_advect_options {
    uint32_t struct_size;
    int32_t substep_s; /**< longest time step of the trajectories, seconds, 1..3600; default 900 */
    int32_t threads;   /**< 0: one for each processor; default 0 */
} squall_advect_options;
SQUALL_API void squall_advect_options_init(squall_advect_options *options);

/**
 * Carry `field` along `motion`, `lead_s` seconds forward, or back when negative.
 *
 * Backward semi-Lagrangian scheme (Germann and Zawadzki 2002): each cell asks where its air came
 * from, step by step of at most `substep_s` along the motion halfway, and takes the bilinear mean
 * there. Nothing grows or decays. A cell whose source lies outside coverage has no coverage.
 *
 * @param lead_s  -21600..21600
 * @param out     filled; another field on the same grid; its time becomes that of `field` + lead_s.
 *                Untouched on failure.
 * Result: the same bits for every thread count and every instruction set.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_SHAPE; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_advect(const squall_field *field,
                                                       const squall_motion *motion, int32_t lead_s,
                                                       const squall_advect_options *options,
                                                       squall_field *out, squall_error *err);

/**
 * The same for several leads of one field at once: the trajectories are followed once.
 *
 * @param leads_s  borrowed; `count` leads, all of one sign, growing in size
 * @param out      borrowed array of `count` fields, each filled
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_advect_series(
    const squall_field *field, const squall_motion *motion, const int32_t *leads_s, size_t count,
    const squall_advect_options *options, squall_field *const *out, squall_error *err);

/**
 * Carry each of `count` fields by its own lead: field i by leads_s[i] into out[i]. With
 * squall_advect_series() this shares one pass over the trajectories; used to bring a network's
 * outputs, made in the moving frame, to where they belong.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_advect_each(const squall_field *const *fields,
                                                            const squall_motion *motion,
                                                            const int32_t *leads_s, size_t count,
                                                            const squall_advect_options *options,
                                                            squall_field *const *out,
                                                            squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_MOTION_H */
