/* squall/ensemble.h - forecasts that know what can be known: rain carried along its motion, with
 * each scale held only as long as it lasts; and many such forecasts, for probabilities. */
#ifndef SQUALL_ENSEMBLE_H
#define SQUALL_ENSEMBLE_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"
#include "squall/motion.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SQUALL_ENSEMBLE_THRESHOLDS = 4, SQUALL_ENSEMBLE_MEMBERS = 1024 };

/** How it is done. Set it up with squall_ensemble_options_init(). */
typedef struct squall_ensemble_options {
    uint32_t struct_size;
    int32_t members;        /**< forecasts of an ensemble, 1..1024; default 20 */
    uint64_t seed;          /**< of the random numbers; default 0 */
    int32_t levels;         /**< scales of the cascade, 1..12; fewer on a small grid; default 6 */
    float min_rate_mm_h;    /**< rates below this are dry; default 0.1 */
    int32_t perturb_motion; /**< whether each member has a motion of its own; default 1 */
    int32_t keep_members;   /**< whether the members' fields are given; default 0 */
    int32_t threads;        /**< 0: one for each processor; default 0 */
} squall_ensemble_options;
SQUALL_API void squall_ensemble_options_init(squall_ensemble_options *options);

/** What an ensemble says. Made by squall_steps_run(). */
typedef struct squall_ensemble {
    size_t members, leads;
    float thresholds_mm_h[SQUALL_ENSEMBLE_THRESHOLDS]; /**< 0.1, 1, 5, 10 */
    squall_field **mean;          /**< [leads]; mm/h, the mean over the members that cover a cell */
    squall_field **probabilities; /**< [leads][thresholds]; 0..1: the share of those members with a
                                       rate above the threshold. Quantity OTHER, unit "1" */
    squall_field **fields;        /**< [leads][members], mm/h; NULL unless they were to be kept */
} squall_ensemble;
SQUALL_API void squall_ensemble_destroy(squall_ensemble **ensemble);

/**
 * S-PROG (Seed 2003): extrapolation in which each scale fades as fast as it was seen to.
 *
 * The newest frames, in dB of rain rate and brought to the newest's place by the motion, are taken
 * apart into a cascade of Gaussian band-pass filters. Each level is a process of order 2 whose
 * parameters come from the correlations between the frames; run on without noise it goes to
 * its mean. The sum of the levels then gets the values of the newest frame in its own order
 * (probability matching) and is carried along the motion. Formulae: Pulkkinen et al. (2019),
 * Geoscientific Model Development 12, 4185-4219, sections 2.3 and 2.5.
 *
 * @param frames   borrowed; `count` rain-rate fields on one grid, oldest first; NULL entries are
 *                 frames that are missing. Used are the newest, the one before it, and the one as
 *                 long again before that (within a tenth); without that the process is of order 1.
 *                 Where an older frame has no coverage it counts as between dry and the newest.
 * @param motion   borrowed; on the same grid
 * @param leads_s  borrowed; ascending, seconds, 1..21600. The state of the time step that is
 * nearest to a lead is carried by that lead.
 * @param out      borrowed array of `lead_count` fields on the grid, each filled; untouched on
 *                 failure
 * A newest frame without rain gives forecasts without rain. Where the frame before it has no rain,
 * nothing tells how long scales last, and all are held: that is extrapolation.
 * Result: the same bits for every thread count and every instruction set.
 * Memory: about 100 bytes a cell, and 8 for each lead.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT; SQUALL_E_SHAPE (grids or quantities differ);
 *         SQUALL_E_MEMORY.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_sprog_run(const squall_field *const *frames,
                                                          size_t count, const squall_motion *motion,
                                                          const int32_t *leads_s, size_t lead_count,
                                                          const squall_ensemble_options *options,
                                                          squall_field *const *out,
                                                          squall_error *err);

/**
 * STEPS (Bowler et al. 2006): S-PROG with what it cannot know drawn at random, many times.
 *
 * To each level comes noise with the spectrum of the frames and just the variance that the process
 * loses; rain may appear only near where the member had it a step before (a rim of 10 cells beyond
 * the cells that rain may cross in a step, fading); the values are matched as in S-PROG; and each
 * member has its own error of motion, along and across it, that grows with lead time.
 * Formulae: Bowler, Pierce and Seed (2006), Quarterly Journal of the Royal Meteorological Society
 * 132, 2127-2155; Pulkkinen et al. (2019) as above, sections 2.4 to 2.6.
 *
 * @param out  given
 * Result: a function of the inputs, the seed and the number of the member: the same bits for every
 * thread count and every instruction set, and member m is the same in every ensemble.
 * Memory: for each member about 50 bytes a cell, and its fields if kept.
 * Otherwise as squall_sprog_run(). Of a newest frame without rain all members are dry.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_steps_run(const squall_field *const *frames,
                                                          size_t count, const squall_motion *motion,
                                                          const int32_t *leads_s, size_t lead_count,
                                                          const squall_ensemble_options *options,
                                                          squall_ensemble **out, squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_ENSEMBLE_H */
