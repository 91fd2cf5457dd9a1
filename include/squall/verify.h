/* squall/verify.h - how good a forecast was. */
#ifndef SQUALL_VERIFY_H
#define SQUALL_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "squall/field.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sums over forecast-observation pairs; scores are made from them, so counts of many issue times
 * can be pooled. Zero-initialise, add pairs, then ask for scores. */
typedef struct squall_contingency {
    uint64_t hits, misses, false_alarms, correct_negatives;
} squall_contingency;

typedef struct squall_errors {
    uint64_t cells;
    double sum_abs, sum_sq, sum_error; /**< of forecast - observation, mm/h */
} squall_errors;

/** Sums for the fractions skill score (Roberts and Lean 2008) at one threshold and scale. */
typedef struct squall_fractions {
    double sum_sq_difference, sum_sq_forecast, sum_sq_observation;
} squall_fractions;

/** Whether an event is "rate >= threshold" (our default) or "rate > threshold" (the convention of
 * pysteps' contingency scores; it matters on quantised data). */
typedef enum squall_event { SQUALL_EVENT_GE = 0, SQUALL_EVENT_GT = 1 } squall_event;

/**
 * Add one pair of rain-rate fields.
 *
 * Counted are the cells that the observation covers and `mask`, if given, marks. A forecast without
 * coverage there counts as dry. Rates are cut to `cap_mm_h` first (0: no limit).
 * @param mask  borrowed, optional; [height][width], counted where not 0. The same mask must serve
 * all methods that are compared.
 * @return SQUALL_OK; SQUALL_E_SHAPE when grids or quantities differ; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE SQUALL_API squall_status
squall_contingency_add(squall_contingency *sums, const squall_field *forecast,
                       const squall_field *observation, const uint8_t *mask, double threshold_mm_h,
                       squall_event event, double cap_mm_h, squall_error *err);
SQUALL_MUST_USE SQUALL_API squall_status squall_errors_add(squall_errors *sums,
                                                           const squall_field *forecast,
                                                           const squall_field *observation,
                                                           const uint8_t *mask, double cap_mm_h,
                                                           squall_error *err);
/** `scale` is the width of the square neighbourhood in cells, odd or even, as pysteps counts it:
 * means over a window of that size, zeros outside the field. Cells outside the mask count as dry in
 * both fields. Events are rate >= threshold. */
SQUALL_MUST_USE SQUALL_API squall_status squall_fractions_add(
    squall_fractions *sums, const squall_field *forecast, const squall_field *observation,
    const uint8_t *mask, double threshold_mm_h, size_t scale, double cap_mm_h, squall_error *err);

/* Scores; NaN where the sums leave one undefined (no event anywhere). */
SQUALL_API double
squall_csi(const squall_contingency *sums); /**< hits / (hits + misses + false alarms) */
SQUALL_API double squall_pod(const squall_contingency *sums); /**< hits / (hits + misses) */
SQUALL_API double
squall_far(const squall_contingency *sums); /**< false alarms / (hits + false alarms) */
SQUALL_API double
squall_bias(const squall_contingency *sums);              /**< forecast events / observed events */
SQUALL_API double squall_mae(const squall_errors *sums);  /**< mm/h */
SQUALL_API double squall_rmse(const squall_errors *sums); /**< mm/h */
SQUALL_API double squall_mean_error(const squall_errors *sums); /**< mm/h, forecast - observation */
SQUALL_API double squall_fss(const squall_fractions *sums);     /**< fractions skill score, 0..1 */

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_VERIFY_H */
