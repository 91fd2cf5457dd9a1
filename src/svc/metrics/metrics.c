/* svc/metrics/metrics.c - families of values, by their labels. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "svc/metrics/metrics.h"

enum { LABELS = 4, LABEL_BYTES = 64, BOUNDS = 16, SERIES = 4096 };

/* One set of labels. */
typedef struct series {
    char labels[LABELS][LABEL_BYTES];
    double value; /* of a counter or gauge; a histogram's sum */
    double count;
    double buckets[BOUNDS]; /* not cumulated */
    struct series *next;
} series;

struct sq_metric {
    sq_metrics *registry;
    sq_metric_kind kind;
    const char *name, *help, *labels;
    size_t label_count;
    const double *bounds;
    size_t bound_count, series_count;
    series *first, *last;
    sq_metric *next;
};

struct sq_metrics {
    pthread_mutex_t mutex;
    sq_metric *first, *last;
};

sq_metrics *sq_metrics_create(void)
{
    sq_metrics *metrics = sq_alloc(1, sizeof *metrics);
    if (metrics != NULL) {
        pthread_mutex_init(&metrics->mutex, NULL);
    }
    return metrics;
}

static void free_series(sq_metric *metric)
{
    while (metric->first != NULL) {
        series *next = metric->first->next;
        sq_free(metric->first);
        metric->first = next;
    }
}

void sq_metrics_destroy(sq_metrics **metrics)
{
    if (metrics == NULL || *metrics == NULL) {
        return;
    }
    while ((*metrics)->first != NULL) {
        sq_metric *next = (*metrics)->first->next;
        free_series((*metrics)->first);
        sq_free((*metrics)->first);
        (*metrics)->first = next;
    }
    pthread_mutex_destroy(&(*metrics)->mutex);
    sq_free(*metrics);
    *metrics = NULL;
}

sq_metric *sq_metrics_add(sq_metrics *metrics, sq_metric_kind kind, const char *name,
                          const char *help, const char *labels, const double *bounds,
                          size_t bound_count)
{
    sq_metric *metric = sq_alloc(1, sizeof *metric);
    if (metric == NULL) {
        return NULL;
    }
    metric->registry = metrics;
    metric->kind = kind;
    metric->name = name;
    metric->help = help;
    metric->labels = labels;
    for (const char *at = labels; *at != '\0' && metric->label_count < LABELS;
         metric->label_count++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    metric->bounds = bounds;
    metric->bound_count = bound_count < BOUNDS ? bound_count : BOUNDS;
    pthread_mutex_lock(&metrics->mutex);
    if (metrics->last != NULL) {
        metrics->last->next = metric;
    } else {
        metrics->first = metric;
    }
    metrics->last = metric;
    pthread_mutex_unlock(&metrics->mutex);
    return metric;
}

/* The series of these labels, made when it is new; NULL when there is no room. With the lock. */
static series *find(sq_metric *metric, const char *const *labels, bool make)
{
    for (series *s = metric->first; s != NULL; s = s->next) {
        bool same = true;
        for (size_t i = 0; i < metric->label_count && same; i++) {
            same = strncmp(s->labels[i], labels[i], LABEL_BYTES - 1) == 0;
        }
        if (same) {
            return s;
        }
    }
    /* Labels come from configuration and routes; should they ever come from outside, memory stays
     * bounded. */
    series *added = make && metric->series_count < SERIES ? sq_alloc(1, sizeof *added) : NULL;
    if (added == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < metric->label_count; i++) {
        snprintf(added->labels[i], LABEL_BYTES, "%s", labels[i]);
    }
    if (metric->last != NULL) {
        metric->last->next = added;
    } else {
        metric->first = added;
    }
    metric->last = added;
    metric->series_count++;
    return added;
}

void sq_metric_add(sq_metric *metric, double amount, const char *const *labels)
{
    if (metric == NULL) {
        return;
    }
    pthread_mutex_lock(&metric->registry->mutex);
    series *s = find(metric, labels, true);
    if (s != NULL) {
        s->value += amount;
    }
    pthread_mutex_unlock(&metric->registry->mutex);
}

void sq_metric_set(sq_metric *metric, double value, const char *const *labels)
{
    if (metric == NULL) {
        return;
    }
    pthread_mutex_lock(&metric->registry->mutex);
    series *s = find(metric, labels, true);
    if (s != NULL) {
        s->value = value;
    }
    pthread_mutex_unlock(&metric->registry->mutex);
}

void sq_metric_observe(sq_metric *metric, double value, const char *const *labels)
{
    if (metric == NULL) {
        return;
    }
    pthread_mutex_lock(&metric->registry->mutex);
    series *s = find(metric, labels, true);
    if (s != NULL) {
        size_t bucket = 0;
        while (bucket < metric->bound_count && value > metric->bounds[bucket]) {
            bucket++;
        }
        if (bucket < metric->bound_count) {
            s->buckets[bucket] += 1;
        }
        s->count += 1;
        s->value += value;
    }
    pthread_mutex_unlock(&metric->registry->mutex);
}

double sq_metric_get(sq_metric *metric, const char *const *labels)
{
    if (metric == NULL) {
        return 0.0;
    }
    pthread_mutex_lock(&metric->registry->mutex);
    const series *s = find(metric, labels, false);
    const double value = s == NULL                             ? 0.0
                         : metric->kind == SQ_METRIC_HISTOGRAM ? s->count
                                                               : s->value;
    pthread_mutex_unlock(&metric->registry->mutex);
    return value;
}

void sq_metric_forget(sq_metric *metric, const char *value)
{
    if (metric == NULL || metric->label_count == 0) {
        return;
    }
    pthread_mutex_lock(&metric->registry->mutex);
    series **at = &metric->first;
    metric->last = NULL;
    while (*at != NULL) {
        series *s = *at;
        if (strncmp(s->labels[0], value, LABEL_BYTES - 1) == 0) {
            *at = s->next;
            sq_free(s);
            metric->series_count--;
        } else {
            metric->last = s;
            at = &s->next;
        }
    }
    pthread_mutex_unlock(&metric->registry->mutex);
}

/* ---------------------------------------------------------------- text */

static void write_number(sq_text *out, double value)
{
    if (isnan(value)) {
        sq_text_add(out, "NaN");
    } else if (isinf(value)) {
        sq_text_add(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        sq_text_add(out, "%.12g", value);
    }
}

static void write_escaped(sq_text *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            sq_text_add(out, "\\\\");
        } else if (*text == '\n') {
            sq_text_add(out, "\\n");
        } else if (*text == '"' && quotes) {
            sq_text_add(out, "\\\"");
        } else {
            sq_text_add_bytes(out, text, 1);
        }
    }
}

/* {region="nl",le="0.5"}; `bound` is NULL without one. */
static void write_labels(sq_text *out, const sq_metric *metric, const series *s,
                         const double *bound)
{
    const char *name = metric->labels;
    if (metric->label_count == 0 && bound == NULL) {
        return;
    }
    sq_text_add(out, "{");
    for (size_t i = 0; i < metric->label_count; i++) {
        const size_t length = strcspn(name, " ");
        sq_text_add(out, "%s%.*s=\"", i > 0 ? "," : "", (int)length, name);
        write_escaped(out, s->labels[i], true);
        sq_text_add(out, "\"");
        name += length;
        name += strspn(name, " ");
    }
    if (bound != NULL) {
        sq_text_add(out, "%sle=\"", metric->label_count > 0 ? "," : "");
        write_number(out, *bound);
        sq_text_add(out, "\"");
    }
    sq_text_add(out, "}");
}

static void write_histogram(sq_text *out, const sq_metric *metric, const series *s)
{
    const double infinite = INFINITY;
    double sum = 0.0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        const bool last = i == metric->bound_count;
        sum += last ? 0.0 : s->buckets[i];
        sq_text_add(out, "%s_bucket", metric->name);
        write_labels(out, metric, s, last ? &infinite : &metric->bounds[i]);
        sq_text_add(out, " %.0f\n", last ? s->count : sum);
    }
    sq_text_add(out, "%s_sum", metric->name);
    write_labels(out, metric, s, NULL);
    sq_text_add(out, " ");
    write_number(out, s->value);
    sq_text_add(out, "\n%s_count", metric->name);
    write_labels(out, metric, s, NULL);
    sq_text_add(out, " %.0f\n", s->count);
}

static void write_family(sq_text *out, const sq_metric *metric, bool open_metrics)
{
    static const char *const kinds[] = {"", "counter", "gauge", "histogram"};
    /* OpenMetrics names a counter's family without the _total of its values. */
    size_t length = strlen(metric->name);
    if (open_metrics && metric->kind == SQ_METRIC_COUNTER) {
        length -= strlen("_total");
    }
    sq_text_add(out, "# HELP %.*s ", (int)length, metric->name);
    write_escaped(out, metric->help, open_metrics);
    sq_text_add(out, "\n# TYPE %.*s %s\n", (int)length, metric->name, kinds[metric->kind]);
    for (const series *s = metric->first; s != NULL; s = s->next) {
        if (metric->kind == SQ_METRIC_HISTOGRAM) {
            write_histogram(out, metric, s);
            continue;
        }
        sq_text_add(out, "%s", metric->name);
        write_labels(out, metric, s, NULL);
        sq_text_add(out, " ");
        write_number(out, s->value);
        sq_text_add(out, "\n");
    }
}

void sq_metrics_write(sq_metrics *metrics, bool open_metrics, sq_text *out)
{
    pthread_mutex_lock(&metrics->mutex);
    for (const sq_metric *metric = metrics->first; metric != NULL; metric = metric->next) {
        write_family(out, metric, open_metrics);
    }
    pthread_mutex_unlock(&metrics->mutex);
    if (open_metrics) {
        sq_text_add(out, "# EOF\n");
    }
}
