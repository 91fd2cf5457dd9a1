/* tests/unit/svc/config/test_config.c - values, defaults, lists; what each mistake is called is
 * tested by the program (tests/checks/serve_config.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "svc/config/config.h"

static const char good[] = "; a comment\n"
                           "[server]\n"
                           "listen = 127.0.0.1:0 ; behind a value\n"
                           "workers = 3\n"
                           "[source radar]\n"
                           "watch = /frames\n"
                           "[engine new]\nfile = new.engine\n"
                           "[engine old]\nfile = old.engine\n"
                           "[region nl]\n"
                           "radar = radar\n"
                           "engines = new, old\n"
                           "leads_min = 5,10, 15\n"
                           "alarm_mm_h = 12.5\n"
                           "[location a]\nlon = 4.9\nlat = 52.4\n";

static sq_config *parse(const char *text)
{
    sq_config *config = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *problems = squall_notes_create();
    assert_int_equal(sq_config_parse(text, strlen(text), "a.ini", &config, problems, &err),
                     SQUALL_OK);
    assert_int_equal(squall_notes_count(problems), 0);
    squall_notes_destroy(&problems);
    return config;
}

static void test_values(void **state)
{
    (void)state;
    sq_config *c = parse(good);
    assert_string_equal(c->server.listen, "127.0.0.1:0");
    assert_int_equal(c->server.workers, 3);
    assert_int_equal(c->server.http_threads, 2); /* a default */
    assert_string_equal(c->server.cors, "*");
    assert_int_equal(c->region_count, 1);
    assert_int_equal(c->engine_count, 2);
    assert_string_equal(c->regions[0].name, "nl");
    assert_int_equal(c->regions[0].line, 11);
    assert_int_equal(c->regions[0].cadence_s, 300);
    assert_true(c->regions[0].alarm_mm_h == 12.5);
    assert_true(c->locations[0].lon == 4.9);
    sq_config *again = parse(good);
    assert_true(sq_config_region_equal(&c->regions[0], &again->regions[0]));
    assert_true(sq_config_source_equal(&c->sources[0], &again->sources[0]));
    assert_true(sq_config_engine_equal(&c->engines[1], &again->engines[1]));
    again->regions[0].line = 99; /* where it stands does not matter */
    assert_true(sq_config_region_equal(&c->regions[0], &again->regions[0]));
    again->regions[0].cadence_s = 600;
    assert_false(sq_config_region_equal(&c->regions[0], &again->regions[0]));
    sq_config_destroy(&again);
    sq_config_destroy(&c);
    assert_null(c);
    sq_config_destroy(&c);
}

static void test_lists(void **state)
{
    (void)state;
    char names[SQ_CONFIG_LIST][SQ_CONFIG_NAME];
    int64_t numbers[4];
    assert_int_equal(sq_config_split(" a , b,c ,", names), 3);
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "c");
    assert_int_equal(sq_config_split("", names), 0);
    assert_int_equal(sq_config_split("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", names), SIZE_MAX);
    assert_int_equal(sq_config_numbers("5, 10,15", 1, 360, numbers, 4), 3);
    assert_int_equal(numbers[2], 15);
    assert_int_equal(sq_config_numbers("", 1, 360, numbers, 4), 0);
    assert_int_equal(sq_config_numbers("5,x", 1, 360, numbers, 4), SIZE_MAX);
    assert_int_equal(sq_config_numbers("5;6", 1, 360, numbers, 4), SIZE_MAX);
    assert_int_equal(sq_config_numbers("0", 1, 360, numbers, 4), SIZE_MAX);
    assert_int_equal(sq_config_numbers("1,2,3,4,5", 1, 360, numbers, 4), SIZE_MAX);
}

/* Every problem is found in one go, each named. */
static void test_problems(void **state)
{
    (void)state;
    static const char bad[] =
        "[server]\nworkers = many\nnothing = 1\n[region a]\nengines = no\n[region a]\n";
    sq_config *config = NULL;
    squall_error err = {.code = SQUALL_OK};
    squall_notes *problems = squall_notes_create();
    assert_int_equal(sq_config_parse(bad, strlen(bad), "b.ini", &config, problems, &err),
                     SQUALL_E_FORMAT);
    assert_null(config);
    assert_int_equal(squall_notes_count(problems), 5);
    assert_string_equal(squall_notes_get(problems, 0),
                        "b.ini:2: [server] workers: 'many' is not a whole number from 0 to 256");
    assert_string_equal(squall_notes_get(problems, 1),
                        "b.ini:3: [server] nothing: no such key in this section");
    squall_notes_destroy(&problems);
    assert_int_equal(sq_config_read("/nowhere/x.ini", &config, NULL, &err), SQUALL_E_IO);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (long n = 0; n < 12; n++) {
        sq_config *config = NULL;
        squall_error err = {.code = SQUALL_OK};
        sq_memory_fail_at(n);
        const squall_status status =
            sq_config_parse(good, strlen(good), "a.ini", &config, NULL, &err);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        assert_true((config != NULL) == (status == SQUALL_OK));
        sq_config_destroy(&config);
    }
}

static void test_description(void **state)
{
    (void)state;
    sq_text text = {0};
    sq_config_describe(&text);
    assert_non_null(strstr(text.data, "### `[region NAME]`"));
    assert_non_null(strstr(text.data, "| `cadence_s` | 30 to 86400 | `300` | s |"));
    assert_non_null(strstr(text.data, "| `hash` | text | must be given |"));
    sq_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_lists),
        cmocka_unit_test(test_problems),    cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
