/* svc/catalogue/catalogue.h - what one node remembers: observations, forecasts, scores; in SQLite.
 */
#ifndef SQ_SVC_CATALOGUE_CATALOGUE_H
#define SQ_SVC_CATALOGUE_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/** Threads: all calls are safe side by side; they take their turn. */
typedef struct sq_catalogue sq_catalogue;

/** Open or make the file `path` (WAL beside it). @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_VERSION
 * (made by a newer squall); SQUALL_E_CORRUPT; SQUALL_E_MEMORY. */
SQUALL_MUST_USE squall_status sq_catalogue_open(const char *path, sq_catalogue **out,
                                                squall_error *err);
void sq_catalogue_close(sq_catalogue **catalogue);

/** One file, or one field of it, that arrived. Texts are borrowed. */
typedef struct sq_observation_row {
    const char *source, *name, *result; /* result: new, late, duplicate, corrected, ... */
    int64_t valid_time, received;       /* valid_time may be SQ_TIME_NONE */
} sq_observation_row;
SQUALL_MUST_USE squall_status sq_catalogue_observation(sq_catalogue *catalogue,
                                                       const sq_observation_row *row,
                                                       squall_error *err);

/** One forecast. Texts are borrowed. */
typedef struct sq_forecast_row {
    const char *region, *method, *model, *engine, *quality, *path;
    int64_t issue_time, made_time;
    double quality_index;
    int64_t bytes; /* of the product; 0 until it is whole */
} sq_forecast_row;

/** A product is about to be written: the row says where, before the file is there. A row of the
 * same region and issue time is overwritten, but for its bytes: the old product stands until the
 * new one takes its place. */
SQUALL_MUST_USE squall_status sq_catalogue_forecast_begin(sq_catalogue *catalogue,
                                                          const sq_forecast_row *row,
                                                          squall_error *err);
/** The product is whole. */
SQUALL_MUST_USE squall_status sq_catalogue_forecast_end(sq_catalogue *catalogue, const char *region,
                                                        int64_t issue_time, int64_t bytes,
                                                        squall_error *err);
SQUALL_MUST_USE squall_status sq_catalogue_forecast_remove(sq_catalogue *catalogue,
                                                           const char *region, int64_t issue_time,
                                                           squall_error *err);
/** Called with each row; its texts live during the call. Must not call the catalogue. */
typedef void sq_forecast_visit(void *arg, const sq_forecast_row *row);
/** Forecasts of `region` (NULL: of all), newest first, at most `limit`; `whole`: those with a whole
 * product alone. */
SQUALL_MUST_USE squall_status sq_catalogue_forecasts(sq_catalogue *catalogue, const char *region,
                                                     bool whole, size_t limit,
                                                     sq_forecast_visit *visit, void *arg,
                                                     squall_error *err);

/** Sums of one forecast at one lead time against what was observed then. Texts are borrowed. */
typedef struct sq_score_row {
    const char *region, *method, *model;
    int64_t issue_time;
    int32_t lead_s;
    double threshold_mm_h;
    uint64_t hits, misses, false_alarms, correct_negatives, cells;
    double sum_abs, sum_sq, sum_error;
    double fss_difference, fss_forecast, fss_observation;
    uint64_t forecasts; /* how many are summed: 1 in a row that is added */
} sq_score_row;
/** A row of the same region, method, model, issue time and lead is replaced. */
SQUALL_MUST_USE squall_status sq_catalogue_score(sq_catalogue *catalogue, const sq_score_row *row,
                                                 squall_error *err);
typedef void sq_score_visit(void *arg, const sq_score_row *row);
/** Sums over issue times since `since`, by region, method, model and lead, in that order. `region`
 * may be NULL. */
SQUALL_MUST_USE squall_status sq_catalogue_skill(sq_catalogue *catalogue, const char *region,
                                                 int64_t since, sq_score_visit *visit, void *arg,
                                                 squall_error *err);

/** Forget observations, scores, and forecasts without a product that are older than `before`. */
SQUALL_MUST_USE squall_status sq_catalogue_prune(sq_catalogue *catalogue, int64_t before,
                                                 squall_error *err);
/** Rows of observations, forecasts and scores. */
SQUALL_MUST_USE squall_status sq_catalogue_count(sq_catalogue *catalogue, int64_t *observations,
                                                 int64_t *forecasts, int64_t *scores,
                                                 squall_error *err);

#endif /* SQ_SVC_CATALOGUE_CATALOGUE_H */
