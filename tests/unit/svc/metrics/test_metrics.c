/* tests/unit/svc/metrics/test_metrics.c - families, and their text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "svc/metrics/metrics.h"

static void test_text(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 1.0};
    sq_metrics *m = sq_metrics_create();
    sq_metric *counter =
        sq_metrics_add(m, SQ_METRIC_COUNTER, "a_total", "Counts\\ \n.", "x y", NULL, 0);
    sq_metric *gauge = sq_metrics_add(m, SQ_METRIC_GAUGE, "b_bytes", "Says \"b\".", "", NULL, 0);
    sq_metric *histogram =
        sq_metrics_add(m, SQ_METRIC_HISTOGRAM, "c_seconds", "Times.", "x", bounds, 2);
    const char *const labels[] = {"p\"q\\", "r"};
    sq_metric_add(counter, 2.0, labels);
    sq_metric_add(counter, 0.5, labels);
    sq_metric_set(gauge, 7.0, NULL);
    sq_metric_set(gauge, NAN, NULL);
    sq_metric_observe(histogram, 0.1, labels); /* a bound belongs to its bucket */
    sq_metric_observe(histogram, 0.5, labels);
    sq_metric_observe(histogram, 5.0, labels);
    assert_true(sq_metric_get(counter, labels) == 2.5);
    assert_true(sq_metric_get(histogram, labels) == 3.0);
    sq_text text = {0};
    sq_metrics_write(m, false, &text);
    assert_string_equal(text.data, "# HELP a_total Counts\\\\ \\n.\n"
                                   "# TYPE a_total counter\n"
                                   "a_total{x=\"p\\\"q\\\\\",y=\"r\"} 2.5\n"
                                   "# HELP b_bytes Says \"b\".\n"
                                   "# TYPE b_bytes gauge\n"
                                   "b_bytes NaN\n"
                                   "# HELP c_seconds Times.\n"
                                   "# TYPE c_seconds histogram\n"
                                   "c_seconds_bucket{x=\"p\\\"q\\\\\",le=\"0.1\"} 1\n"
                                   "c_seconds_bucket{x=\"p\\\"q\\\\\",le=\"1\"} 2\n"
                                   "c_seconds_bucket{x=\"p\\\"q\\\\\",le=\"+Inf\"} 3\n"
                                   "c_seconds_sum{x=\"p\\\"q\\\\\"} 5.6\n"
                                   "c_seconds_count{x=\"p\\\"q\\\\\"} 3\n");
    sq_text_free(&text);
    sq_metrics_write(m, true, &text);
    assert_non_null(strstr(text.data, "# TYPE a counter\na_total{"));
    assert_non_null(strstr(text.data, "# HELP b_bytes Says \\\"b\\\"."));
    assert_string_equal(text.data + text.length - 6, "# EOF\n");
    sq_text_free(&text);
    sq_metrics_destroy(&m);
    assert_null(m);
}

static void test_forget(void **state)
{
    (void)state;
    sq_metrics *m = sq_metrics_create();
    sq_metric *gauge = sq_metrics_add(m, SQ_METRIC_GAUGE, "g", "G.", "region", NULL, 0);
    const char *const a[] = {"a"}, *const b[] = {"b"};
    sq_metric_set(gauge, 1.0, a);
    sq_metric_set(gauge, 2.0, b);
    sq_metric_forget(gauge, "a");
    assert_true(sq_metric_get(gauge, a) == 0.0);
    assert_true(sq_metric_get(gauge, b) == 2.0);
    sq_metric_set(gauge, 3.0, a); /* behind the last that stayed */
    assert_true(sq_metric_get(gauge, a) == 3.0);
    sq_metric_forget(gauge, "a");
    sq_metric_forget(gauge, "b");
    sq_metric_set(gauge, 4.0, b);
    assert_true(sq_metric_get(gauge, b) == 4.0);
    sq_metrics_destroy(&m);
}

static void test_no_memory(void **state)
{
    (void)state;
    sq_metrics *m = sq_metrics_create();
    sq_memory_fail_at(0);
    sq_metric *none = sq_metrics_add(m, SQ_METRIC_GAUGE, "g", "G.", "", NULL, 0);
    sq_memory_fail_at(-1);
    assert_null(none);
    sq_metric_add(none, 1.0, NULL); /* nothing happens */
    sq_metric_set(none, 1.0, NULL);
    sq_metric_observe(none, 1.0, NULL);
    sq_metric_forget(none, "x");
    assert_true(sq_metric_get(none, NULL) == 0.0);
    sq_metric *gauge = sq_metrics_add(m, SQ_METRIC_GAUGE, "g", "G.", "", NULL, 0);
    sq_memory_fail_at(0);
    sq_metric_set(gauge, 1.0, NULL);
    sq_memory_fail_at(-1);
    assert_true(sq_metric_get(gauge, NULL) == 0.0);
    sq_metrics_destroy(&m);
}

/* Labels that came from outside must not fill the memory. */
static void test_bounded(void **state)
{
    (void)state;
    char text[16];
    size_t lines = 0;
    sq_metrics *m = sq_metrics_create();
    sq_metric *counter = sq_metrics_add(m, SQ_METRIC_COUNTER, "a_total", "A.", "x", NULL, 0);
    for (int i = 0; i < 6000; i++) {
        snprintf(text, sizeof text, "%d", i);
        const char *const labels[] = {text};
        sq_metric_add(counter, 1.0, labels);
    }
    sq_text out = {0};
    sq_metrics_write(m, false, &out);
    for (const char *at = out.data; at != NULL; at = strchr(at + 1, '\n')) {
        lines++;
    }
    assert_true(lines < 4200);
    sq_text_free(&out);
    sq_metrics_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
