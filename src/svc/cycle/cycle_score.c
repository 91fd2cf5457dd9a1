/* svc/cycle/cycle_score.c - forecasts held against the frames that came later. */
#include <stdio.h>
#include <string.h>

#include "squall/verify.h"
#include "svc/cycle/cycle_private.h"

#define THRESHOLD_MM_H 1.0
#define CAP_MM_H       150.0

enum { SCALE_CELLS = 5, TOLERANCE_S = 60 };

/* What every method is counted over: cells that were covered then and when the forecast was made.
 */
static squall_status make_mask(const sq_layer *issued, const sq_layer *seen, uint8_t **out,
                               squall_error *err)
{
    uint8_t *mask = sq_alloc_raw(seen->count, 1);
    if (mask == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "score", "no memory");
    }
    for (size_t i = 0; i < seen->count; i++) {
        mask[i] = seen->values[i] != SQ_LAYER_NONE && issued->values[i] != SQ_LAYER_NONE ? 1 : 0;
    }
    *out = mask;
    return SQUALL_OK;
}

static squall_status score_field(const squall_field *forecast, const squall_field *seen,
                                 const uint8_t *mask, sq_score_row *row, squall_error *err)
{
    squall_contingency counts = {0};
    squall_errors errors = {0};
    squall_fractions fractions = {0};
    SQ_TRY(squall_contingency_add(&counts, forecast, seen, mask, THRESHOLD_MM_H, SQUALL_EVENT_GE,
                                  CAP_MM_H, err));
    SQ_TRY(squall_errors_add(&errors, forecast, seen, mask, CAP_MM_H, err));
    SQ_TRY(squall_fractions_add(&fractions, forecast, seen, mask, THRESHOLD_MM_H, SCALE_CELLS,
                                CAP_MM_H, err));
    row->threshold_mm_h = THRESHOLD_MM_H;
    row->hits = counts.hits;
    row->misses = counts.misses;
    row->false_alarms = counts.false_alarms;
    row->correct_negatives = counts.correct_negatives;
    row->cells = errors.cells;
    row->sum_abs = errors.sum_abs;
    row->sum_sq = errors.sum_sq;
    row->sum_error = errors.sum_error;
    row->fss_difference = fractions.sum_sq_difference;
    row->fss_forecast = fractions.sum_sq_forecast;
    row->fss_observation = fractions.sum_sq_observation;
    row->forecasts = 1;
    return SQUALL_OK;
}

static void count_score(sq_cycle *cycle, const sq_score_row *row)
{
    char lead[16];
    const squall_contingency counts = {row->hits, row->misses, row->false_alarms,
                                       row->correct_negatives};
    const squall_fractions fractions = {row->fss_difference, row->fss_forecast,
                                        row->fss_observation};
    snprintf(lead, sizeof lead, "%d", row->lead_s);
    const char *const labels[] = {row->region, row->method, lead};
    sq_metric_set(cycle->m.csi, squall_csi(&counts), labels);
    sq_metric_set(cycle->m.fss, squall_fss(&fractions), labels);
}

/* One method's layer against what was seen. */
static squall_status score_layer(sq_cycle *cycle, const sq_snapshot *s, const char *method,
                                 const char *model, const sq_layer *layer, const squall_field *seen,
                                 const uint8_t *mask, squall_error *err)
{
    squall_field *forecast = NULL;
    sq_score_row row = {.region = s->region,
                        .method = method,
                        .model = model,
                        .issue_time = s->issue_time,
                        .lead_s = (int32_t)(seen->valid_time - s->issue_time)};
    SQ_TRY(sq_layer_field(layer, &s->place->grid, &forecast, err));
    squall_status status = score_field(forecast, seen, mask, &row, err);
    squall_field_destroy(&forecast);
    if (status == SQUALL_OK) {
        count_score(cycle, &row);
        status =
            cycle->catalogue != NULL ? sq_catalogue_score(cycle->catalogue, &row, err) : SQUALL_OK;
    }
    return status;
}

/* One forecast's layer for this frame, if it has one; and persistence beside it. */
static squall_status score_snapshot(sq_cycle *cycle, const sq_snapshot *s, const sq_layer *seen,
                                    const squall_field *field, squall_error *err)
{
    uint8_t *mask = NULL;
    const sq_layer *layer = sq_snapshot_find(s, seen->valid_time, TOLERANCE_S, false);
    const sq_layer *issued = s->observed_count > 0 ? s->observed[s->observed_count - 1] : NULL;
    if (layer == NULL || layer->count != seen->count) {
        return SQUALL_OK;
    }
    if (issued == NULL || issued->valid_time != s->issue_time) {
        issued = layer; /* read from disk after a restart: its own coverage will do */
    }
    SQ_TRY(make_mask(issued, seen, &mask, err));
    squall_status status =
        score_layer(cycle, s, squall_method_name(s->method), s->model, layer, field, mask, err);
    if (status == SQUALL_OK && issued != layer && s->method != SQUALL_METHOD_PERSISTENCE) {
        status = score_layer(cycle, s, "persistence", "", issued, field, mask, err);
    }
    sq_free(mask);
    return status;
}

void sq_cycle_score(sq_cycle *cycle, sq_job *job)
{
    sq_snapshot *list[SQ_REGION_INSTANCES];
    squall_error problem = {.code = SQUALL_OK};
    squall_field *field = NULL;
    const size_t count = sq_region_instances(job->region, list, SQ_REGION_INSTANCES);
    squall_status status = SQUALL_OK;
    for (size_t i = 0; i < count; i++) {
        if (status == SQUALL_OK && list[i]->issue_time < job->layer->valid_time) {
            if (field == NULL) {
                status = sq_layer_field(job->layer, &list[i]->place->grid, &field, &problem);
            }
            if (status == SQUALL_OK) {
                status = score_snapshot(cycle, list[i], job->layer, field, &problem);
            }
        }
        sq_snapshot_drop(&list[i]);
    }
    squall_field_destroy(&field);
    if (status != SQUALL_OK) {
        sq_log_failure(cycle->log, SQ_LOG_ERROR, "score", &problem);
    }
    if (cycle->listener.seen != NULL) {
        cycle->listener.seen(cycle->listener.owner, job->region->config.name, job->layer);
    }
}
