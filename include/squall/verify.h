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

/* --- ensembles and probabilities --- */

/** Sums for the continuous ranked probability score. */
typedef struct squall_crps_sums {
    uint64_t cells;
    double sum; /**< mm/h */
} squall_crps_sums;

/**
 * Add the CRPS of an ensemble over one field: E|X - y| - E|X - X'| / 2 over the members as they are
 * (Gneiting and Raftery 2007, equation 20), ties and all; of one member it is the absolute error.
 *
 * @param members  borrowed; `count` (1..1024) rain-rate fields; where one has no coverage it is dry
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_crps_add(
    squall_crps_sums *sums, const squall_field *const *members, size_t count,
    const squall_field *observation, const uint8_t *mask, double cap_mm_h, squall_error *err);
SQUALL_API double squall_crps(const squall_crps_sums *sums); /**< mm/h */

enum { SQUALL_PROBABILITY_BINS = 101 };

/** What probabilities said and what came, by hundredths of probability: all that the Brier score,
 * its parts, the reliability diagram and the ROC need. */
typedef struct squall_reliability {
    uint64_t cells[SQUALL_PROBABILITY_BINS], events[SQUALL_PROBABILITY_BINS];
    double sum_probability[SQUALL_PROBABILITY_BINS];
    double sum_sq; /**< of probability - outcome */
} squall_reliability;

/** Add a field of probabilities (0..1; quantity OTHER; no coverage counts as 0) of the event "rate
 * above or at threshold", as `event` says. */
SQUALL_MUST_USE SQUALL_API squall_status squall_reliability_add(
    squall_reliability *sums, const squall_field *probability, const squall_field *observation,
    const uint8_t *mask, double threshold_mm_h, squall_event event, squall_error *err);
/** The same, the probability being the share of `count` members that have the event. */
SQUALL_MUST_USE SQUALL_API squall_status
squall_reliability_add_members(squall_reliability *sums, const squall_field *const *members,
                               size_t count, const squall_field *observation, const uint8_t *mask,
                               double threshold_mm_h, squall_event event, squall_error *err);

/** Brier score = reliability - resolution + uncertainty (Murphy 1973). */
typedef struct squall_brier_parts {
    double brier, reliability, resolution, uncertainty;
    double skill; /**< 1 - brier / uncertainty */
} squall_brier_parts;
SQUALL_API squall_brier_parts squall_brier(const squall_reliability *sums);
/** Area under the curve of hit rate against false alarm rate, trapezoids between the bins. */
SQUALL_API double squall_roc_area(const squall_reliability *sums);
/** The curve: for each bin, alarms at or above it. Filled; [SQUALL_PROBABILITY_BINS] each. */
SQUALL_API void squall_roc_curve(const squall_reliability *sums, double *false_alarm_rate,
                                 double *hit_rate);

/** What alarms are worth to one who loses L where the event comes without one and pays C for each:
 * 1 for a perfect forecast, 0 for the better of always and never (Richardson 2000). Alarms are
 * given where the probability is at least `cost_loss`, C / L, above 0 and below 1; NaN without
 * events. */
SQUALL_API double squall_economic_value(const squall_reliability *sums, double cost_loss);

/**
 * The values that do not fall and are nearest to `values` (isotonic regression, by pooling adjacent
 * violators; Barlow et al. 1972): what turns probabilities into calibrated ones.
 *
 * @param weights  borrowed; at least 0; where all that are pooled are 0, values are taken as 1 each
 * @param out      filled; [count]; may be `values`
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_isotonic_fit(const double *values,
                                                             const double *weights, size_t count,
                                                             double *out, squall_error *err);

/**
 * Add to a histogram of the rank of the observation among `count` members: ranks[0] below all,
 * ranks[count] above all; equal values share their ranks evenly. Cells in which neither the
 * observation nor a member reaches `least_mm_h` do not count.
 * @param ranks  [count + 1], added to
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_ranks_add(
    double *ranks, const squall_field *const *members, size_t count,
    const squall_field *observation, const uint8_t *mask, double least_mm_h, squall_error *err);

/* --- structure --- */

/** Structure, amplitude and location (Wernli et al. 2008): 0 is perfect. NaN where a field has no
 * rain. */
typedef struct squall_sal {
    double structure, amplitude; /**< -2..2 */
    double location;             /**< 0..2 */
} squall_sal;

/**
 * Objects are the 8-connected cells at or above a fifteenth of the 95th percentile of the field's
 * rain (of cells at or above 0.1 mm/h), as Wernli et al. (2009) have it.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_sal_find(const squall_field *forecast,
                                                         const squall_field *observation,
                                                         const uint8_t *mask, double cap_mm_h,
                                                         squall_sal *out, squall_error *err);

/** A radially averaged power spectrum; `power[k]` is the mean at k waves over the side. */
typedef struct squall_spectrum {
    size_t side, bins; /**< cells of the square that was taken; side / 2 + 1 */
    double *power;     /**< owned, [bins] */
} squall_spectrum;

/**
 * The spectrum of a field in dB above 0.1 mm/h, with what is below it at -5 dB and cells outside
 * the mask too: that of the square in its middle with the largest side up to 8192 that is a product
 * of small primes. Equal to pysteps' rapsd() of the same values.
 *
 * @param out  filled; free with squall_spectrum_free()
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_spectrum_find(const squall_field *field,
                                                              const uint8_t *mask,
                                                              squall_spectrum *out,
                                                              squall_error *err);
SQUALL_API void squall_spectrum_free(squall_spectrum *spectrum);

/* --- how sure a score is --- */

/** A score from sums. */
typedef double (*squall_statistic)(const double *sums, const void *arg);

typedef struct squall_interval {
    double value, low, high; /**< of all items; the middle 95 % of the resamples */
    double p; /**< two-sided: how often a resample lies on the other side of 0. At least
                   2 / (resamples + 1); NaN where the score is not defined */
} squall_interval;

/** How it is resampled. Set it up with squall_bootstrap_options_init(). */
typedef struct squall_bootstrap_options {
    uint32_t struct_size;
    uint32_t block;     /**< items that stay together, as they depend on one another; default 3 */
    uint32_t resamples; /**< default 1000 */
    uint64_t seed;      /**< default 0 */
} squall_bootstrap_options;
SQUALL_API void squall_bootstrap_options_init(squall_bootstrap_options *options);

/**
 * Interval of a score by a block bootstrap over items in order of time (Kuensch 1989): blocks of
 * consecutive items of one group are drawn with replacement until there are as many as there were.
 *
 * Two methods are compared by a statistic of both their sums in one item, so that each resample has
 * the same times of both.
 * @param items   borrowed; [count][width]; sums, which are added up
 * @param groups  borrowed, optional; [count]: blocks do not reach from one group into another
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (no items, no resamples, block 0); SQUALL_E_MEMORY.
 * Result: a function of the inputs and the seed.
 */
SQUALL_MUST_USE SQUALL_API squall_status squall_bootstrap(const double *items, size_t count,
                                                          size_t width, const uint32_t *groups,
                                                          const squall_bootstrap_options *options,
                                                          squall_statistic statistic,
                                                          const void *arg, squall_interval *out,
                                                          squall_error *err);

#ifdef __cplusplus
}
#endif
#endif /* SQUALL_VERIFY_H */
