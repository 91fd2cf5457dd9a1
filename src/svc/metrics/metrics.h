/* svc/metrics/metrics.h - counters, gauges and histograms, and how Prometheus reads them. */
#ifndef SQ_SVC_METRICS_METRICS_H
#define SQ_SVC_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

typedef enum sq_metric_kind {
    SQ_METRIC_COUNTER = 1, /* its name ends with _total */
    SQ_METRIC_GAUGE = 2,
    SQ_METRIC_HISTOGRAM = 3 /* of seconds, or sizes */
} sq_metric_kind;

/** A registry. Threads: all of it may be called side by side. */
typedef struct sq_metrics sq_metrics;
/** One family: a name, a help text, and a value for each set of labels. Lives as long as its
 * registry. */
typedef struct sq_metric sq_metric;

sq_metrics *sq_metrics_create(void);
void sq_metrics_destroy(sq_metrics **metrics);

/**
 * Add a family.
 *
 * @param name    static; "squall_cycle_seconds"
 * @param labels  static; names of its labels with spaces ("region method"), "" for none; at most 4
 * @param bounds  static; upper bounds of a histogram, ascending, `bound_count` (at most 16)
 * @return NULL without memory.
 */
sq_metric *sq_metrics_add(sq_metrics *metrics, sq_metric_kind kind, const char *name,
                          const char *help, const char *labels, const double *bounds,
                          size_t bound_count);

/** Values of the labels, in their order; those past the last label are not looked at. All of these
 * take a NULL family and do nothing. */
void sq_metric_add(sq_metric *metric, double amount, const char *const *labels);
void sq_metric_set(sq_metric *metric, double value, const char *const *labels);
void sq_metric_observe(sq_metric *metric, double value, const char *const *labels);
/** What is known of these labels: a counter's or gauge's value, a histogram's count. */
double sq_metric_get(sq_metric *metric, const char *const *labels);
/** Forget all sets of labels whose first label is `value`: a region that is gone. */
void sq_metric_forget(sq_metric *metric, const char *value);

/** Write all families, as text format 0.0.4 or as OpenMetrics 1.0.0. */
void sq_metrics_write(sq_metrics *metrics, bool open_metrics, sq_text *out);

#endif /* SQ_SVC_METRICS_METRICS_H */
