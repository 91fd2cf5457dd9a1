/* squall/quality.h - observations made fit to forecast from: what is no rain taken out, gaps
 * filled, sums over time and instants turned into one another. */
#ifndef SQUALL_QUALITY_H
#define SQUALL_QUALITY_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"
#include "squall/motion.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Take out speckle: 8-connected rain of fewer than `least_cells` cells becomes dry.
 *
 * @param field    changed; a rain rate
 * @param removed  filled with the cells that became dry; may be NULL
 * @return SQUALL_OK; SQUALL_E_SHAPE (no rain rate); SQUALL_E_MEMORY.
 * @since 0.1
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_speckle(squall_field *field,
                                                                size_t least_cells, size_t *removed,
                                                                squall_error *err);

/**
 * Take out spokes, as other senders leave them: rain that a square of 3 x 3 cells does not fit
 * into, in 8-connected pieces at least `least_length` cells long that are straight (their deviation
 * across is below one cell) becomes dry.
 *
 * A band of rain is broader, and one that is not is not as straight; where a spoke crosses rain,
 * the rain stays.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_spokes(squall_field *field,
                                                               double least_length, size_t *removed,
                                                               squall_error *err);

/** What the source itself calls bad (attenuated, blocked, clutter): cells with a quality below
 * `least` (0..1) lose their coverage. A field without quality, and a cell without one, stays. */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_mask(squall_field *field, double least,
                                                             size_t *removed, squall_error *err);

/**
 * A frame that is missing: the one before carried on, the one after carried back, weighted by how
 * near they are; where only one covers a cell, that one.
 *
 * @param before, after  borrowed; rain rates on one grid, `time` between theirs
 * @param motion         borrowed; on the same grid
 * @param out            filled; on the same grid
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (time is not between); SQUALL_E_SHAPE; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_between(const squall_field *before,
                                                                const squall_field *after,
                                                                const squall_motion *motion,
                                                                int64_t time, squall_field *out,
                                                                squall_error *err);

/**
 * From the mean rate over a window (`window_s` of `field`, which ends at its time) to the rate at
 * its end: carried on by half the window. The window becomes 0.
 *
 * The mean over a window is that of its middle as long as the rain only moves; what it blurs along
 * the motion stays blurred.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_instant(const squall_field *field,
                                                                const squall_motion *motion,
                                                                squall_field *out,
                                                                squall_error *err);

/** The reverse: the mean rate over the `window_s` seconds that end at the time of `field`, from the
 * rate at that time carried back, a step of at most a minute at a time. */
SQUALL_MUST_USE SQUALL_API squall_status squall_quality_mean(const squall_field *field,
                                                             const squall_motion *motion,
                                                             int32_t window_s, squall_field *out,
                                                             squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_QUALITY_H */
