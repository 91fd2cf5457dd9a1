/* tests/unit/svc/catalogue/test_catalogue.c - rows in, rows out, and a file that is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "svc/catalogue/catalogue.h"

#define PATH "test_catalogue.sqlite"

static void remove_files(void)
{
    unlink(PATH);
    unlink(PATH "-wal");
    unlink(PATH "-shm");
}

static sq_catalogue *open_one(void)
{
    sq_catalogue *catalogue = NULL;
    squall_error err = {.code = SQUALL_OK};
    assert_int_equal(sq_catalogue_open(PATH, &catalogue, &err), SQUALL_OK);
    return catalogue;
}

typedef struct seen {
    size_t count;
    int64_t issues[8], bytes[8];
    char methods[8][32];
} seen;

static void see(void *arg, const sq_forecast_row *row)
{
    seen *s = arg;
    assert_true(s->count < 8);
    s->issues[s->count] = row->issue_time;
    s->bytes[s->count] = row->bytes;
    snprintf(s->methods[s->count++], 32, "%s", row->method);
}

static void begin(sq_catalogue *c, const char *region, int64_t issue, const char *method)
{
    const sq_forecast_row row = {.region = region,
                                 .method = method,
                                 .quality = "nominal",
                                 .path = "x.nc",
                                 .issue_time = issue,
                                 .made_time = issue + 10,
                                 .quality_index = 0.5};
    assert_int_equal(sq_catalogue_forecast_begin(c, &row, NULL), SQUALL_OK);
}

static void test_forecasts(void **state)
{
    (void)state;
    seen s = {0};
    remove_files();
    sq_catalogue *c = open_one();
    begin(c, "a", 100, "model");
    begin(c, "a", 200, "model");
    begin(c, "b", 300, "extrapolation");
    begin(c, "a", 100, "persistence"); /* the same again: it takes the place of the first */
    assert_int_equal(sq_catalogue_forecast_end(c, "a", 200, 1234, NULL), SQUALL_OK);
    sq_catalogue_close(&c);
    c = open_one(); /* what was written is there after a restart */
    assert_int_equal(sq_catalogue_forecasts(c, NULL, false, 10, see, &s, NULL), SQUALL_OK);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.issues[0], 300);
    assert_int_equal(s.issues[2], 100);
    assert_string_equal(s.methods[2], "persistence");
    s.count = 0;
    assert_int_equal(sq_catalogue_forecasts(c, "a", true, 10, see, &s, NULL), SQUALL_OK);
    assert_int_equal(s.count, 1); /* the one whose product is whole */
    assert_int_equal(s.bytes[0], 1234);
    assert_int_equal(sq_catalogue_forecast_remove(c, "a", 200, NULL), SQUALL_OK);
    s.count = 0;
    assert_int_equal(sq_catalogue_forecasts(c, "a", false, 10, see, &s, NULL), SQUALL_OK);
    assert_int_equal(s.count, 1);
    assert_int_equal(sq_catalogue_prune(c, 250, NULL), SQUALL_OK);
    int64_t observations, forecasts, scores;
    assert_int_equal(sq_catalogue_count(c, &observations, &forecasts, &scores, NULL), SQUALL_OK);
    assert_int_equal(forecasts, 1);
    sq_catalogue_close(&c);
    assert_null(c);
    remove_files();
}

static void sum(void *arg, const sq_score_row *row)
{
    *(sq_score_row *)arg = *row;
}

static void test_scores(void **state)
{
    (void)state;
    remove_files();
    sq_catalogue *c = open_one();
    sq_score_row row = {.region = "a",
                        .method = "model",
                        .model = "m",
                        .issue_time = 100,
                        .lead_s = 300,
                        .threshold_mm_h = 1.0,
                        .hits = 3,
                        .misses = 1,
                        .sum_abs = 2.5,
                        .fss_forecast = 4.0};
    assert_int_equal(sq_catalogue_score(c, &row, NULL), SQUALL_OK);
    row.issue_time = 400;
    row.hits = 5;
    assert_int_equal(sq_catalogue_score(c, &row, NULL), SQUALL_OK);
    assert_int_equal(sq_catalogue_score(c, &row, NULL), SQUALL_OK); /* scored again: counted once */
    sq_score_row total = {0};
    assert_int_equal(sq_catalogue_skill(c, "a", 0, sum, &total, NULL), SQUALL_OK);
    assert_int_equal(total.hits, 8);
    assert_int_equal(total.misses, 2);
    assert_int_equal(total.forecasts, 2);
    assert_true(total.sum_abs == 5.0 && total.fss_forecast == 8.0);
    assert_int_equal(sq_catalogue_skill(c, NULL, 200, sum, &total, NULL), SQUALL_OK);
    assert_int_equal(total.hits, 5);
    const sq_observation_row seen_row = {"radar", "x.h5", "new", SQ_TIME_NONE, 100};
    assert_int_equal(sq_catalogue_observation(c, &seen_row, NULL), SQUALL_OK);
    int64_t observations, forecasts, scores;
    assert_int_equal(sq_catalogue_count(c, &observations, &forecasts, &scores, NULL), SQUALL_OK);
    assert_int_equal(observations, 1);
    assert_int_equal(scores, 2);
    assert_int_equal(sq_catalogue_prune(c, 300, NULL), SQUALL_OK);
    assert_int_equal(sq_catalogue_count(c, &observations, &forecasts, &scores, NULL), SQUALL_OK);
    assert_int_equal(observations, 0);
    assert_int_equal(scores, 1);
    sq_catalogue_close(&c);
    remove_files();
}

static void test_wrong_files(void **state)
{
    (void)state;
    sq_catalogue *c = NULL;
    sqlite3 *db = NULL;
    squall_error err = {.code = SQUALL_OK};
    remove_files();
    assert_int_equal(sq_catalogue_open("/nowhere/x.sqlite", &c, &err), SQUALL_E_IO);
    FILE *file = fopen(PATH, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database ", file);
    }
    fclose(file);
    assert_int_equal(sq_catalogue_open(PATH, &c, &err), SQUALL_E_CORRUPT);
    assert_null(c);
    remove_files();
    assert_int_equal(sqlite3_open(PATH, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sq_catalogue_open(PATH, &c, &err), SQUALL_E_VERSION);
    remove_files();
    sq_memory_fail_at(0);
    assert_int_equal(sq_catalogue_open(PATH, &c, &err), SQUALL_E_MEMORY);
    sq_memory_fail_at(-1);
    remove_files();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forecasts),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
