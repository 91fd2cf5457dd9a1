/* Notifications are read to the letter or refused with words, what we write is read again, and a
 * broker that is not there hurts nobody. tests/checks/serve_wis2.py has a real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "svc/wis2/wis2_private.h"

#define ID   "\"id\":\"31e9d66a-cd83-4174-9429-b932f1abe1be\","
#define CONF "\"conformsTo\":[\"http://wis.wmo.int/spec/wnm/1/conf/core\"],"
#define KIND "\"type\":\"Feature\",\"geometry\":null,"
#define PROPS                                                   \
    "\"pubtime\":\"2022-03-20T04:50:18.314Z\",\"data_id\":\"a/" \
    "b.h5\",\"datetime\":\"2022-03-20T04:45:00Z\""
#define LINK                  "{\"rel\":\"canonical\",\"href\":\"http://h/b.h5\",\"length\":3}"
#define MESSAGE(props, links) "{" ID CONF KIND "\"properties\":{" props "},\"links\":[" links "]}"
/* sha512sum and base64 of coreutils 9.1: printf abc | sha512sum | xxd -r -p | base64 -w0 */
#define SHA512_ABC \
    "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="
/* printf abc | sha256sum | xxd -r -p | base64 */
#define SHA256_ABC "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="

static squall_status read_text(const char *text, sq_wis2_message *out, squall_error *err)
{
    return sq_wis2_read(text, strlen(text), out, err);
}

static void test_read(void **state)
{
    static sq_wis2_message m;
    squall_error err;
    (void)state;
    assert_int_equal(read_text(MESSAGE(PROPS ",\"integrity\":{\"method\":\"sha512\",\"value\":"
                                             "\"" SHA512_ABC "\"}",
                                       "{\"rel\":\"license\",\"href\":\"x\"}," LINK),
                               &m, &err),
                     SQUALL_OK);
    assert_string_equal(m.data_id, "a/b.h5");
    assert_string_equal(m.href, "http://h/b.h5");
    assert_int_equal(m.published_ms, 1647751818314);
    assert_int_equal(m.rel, SQ_WIS2_CANONICAL);
    assert_int_equal(m.length, 3);
    assert_int_equal(sq_wis2_verify(&m, "abc", 3, &err), SQUALL_OK);
    assert_int_equal(sq_wis2_verify(&m, "abd", 3, &err), SQUALL_E_CORRUPT);
    assert_int_equal(sq_wis2_verify(&m, "abcd", 4, &err), SQUALL_E_CORRUPT);
    assert_int_equal(
        read_text(MESSAGE(PROPS ",\"integrity\":{\"method\":\"sha256\",\"value\":\"" SHA256_ABC
                                "\"},\"content\":{\"encoding\":\"base64\",\"size\":3,\"value\":"
                                "\"YWJj\"}",
                          "{\"rel\":\"update\",\"href\":\"http://h/b.h5\"}"),
                  &m, &err),
        SQUALL_OK);
    assert_int_equal(m.rel, SQ_WIS2_UPDATE);
    assert_int_equal(m.content_size, 3);
    assert_memory_equal(m.content, "abc", 3);
    assert_int_equal(sq_wis2_verify(&m, m.content, m.content_size, &err), SQUALL_OK);
    sq_wis2_message_free(&m);
}

static void test_refusals(void **state)
{
    static sq_wis2_message m;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is no JSON"},
        {"[]", "is no GeoJSON"},
        {"{\"type\":\"Feature\"}", "no UUID"},
        {"{" ID KIND "\"properties\":{" PROPS "},\"links\":[" LINK "]}", "conforms to"},
        {"{" ID CONF "\"type\":\"Feature\",\"properties\":{" PROPS "},\"links\":[" LINK "]}",
         "geometry"},
        {MESSAGE("\"pubtime\":\"2022-03-20T04:50:18Z\"", LINK), "data_id"},
        {MESSAGE("\"data_id\":\"a\\nb\"", LINK), "data_id"},
        {MESSAGE("\"data_id\":\"a\",\"pubtime\":\"yesterday\"", LINK), "pubtime"},
        {MESSAGE("\"data_id\":\"a\",\"pubtime\":\"2022-02-30T04:50:18Z\"", LINK), "pubtime"},
        {MESSAGE("\"data_id\":\"a\",\"pubtime\":\"2022-03-20T04:50:18Z\"", LINK), "datetime"},
        {MESSAGE(PROPS, ""), "has no links"},
        {MESSAGE(PROPS, "{\"rel\":\"item\",\"href\":\"x\"}"), "has 0 links"},
        {MESSAGE(PROPS, LINK "," LINK), "has 2 links"},
        {MESSAGE(PROPS, "{\"rel\":\"canonical\"}"), "href"},
        {MESSAGE(PROPS ",\"integrity\":{\"method\":\"sha3-512\",\"value\":\"x\"}", LINK),
         "'sha3-512'"},
        {MESSAGE(PROPS ",\"integrity\":{\"method\":\"sha512\",\"value\":\"YWJj\"}", LINK),
         "64 bytes"},
        {MESSAGE(PROPS ",\"content\":{\"encoding\":\"base64\",\"value\":\"*\"}", LINK),
         "no base64"},
    };
    squall_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_not_equal(read_text(cases[i].text, &m, &err), SQUALL_OK);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("%s: '%s' must say '%s'", cases[i].text, err.text, cases[i].says);
        }
        assert_null(m.content);
    }
    char *long_text = calloc(1, SQ_WIS2_MESSAGE + 1);
    assert_int_equal(sq_wis2_read(long_text, SQ_WIS2_MESSAGE + 1, &m, &err), SQUALL_E_LIMIT);
    free(long_text);
}

static void test_write(void **state)
{
    static sq_wis2_message m;
    const sq_wis2_product product = {.region = "nl",
                                     .name = "nl.nc",
                                     .href = "https://h/nl.nc",
                                     .type = "application/x-netcdf",
                                     .bytes = "abc",
                                     .size = 3,
                                     .start = 1282788000,
                                     .end = 1282791600,
                                     .west = -1.5,
                                     .south = 49,
                                     .east = 10.8,
                                     .north = 55};
    sq_text text = {0};
    squall_error err;
    (void)state;
    sq_wis2_write(&product, "31e9d66a-cd83-4174-9429-b932f1abe1be", "wis2/nl.nc", "urn:wmo:md:a:b",
                  SQ_WIS2_CANONICAL, 1282788001234, &text);
    assert_int_equal(sq_wis2_read(text.data, text.length, &m, &err), SQUALL_OK);
    assert_string_equal(m.data_id, "wis2/nl.nc");
    assert_string_equal(m.href, "https://h/nl.nc");
    assert_int_equal(m.published_ms, 1282788001234);
    assert_int_equal(sq_wis2_verify(&m, "abc", 3, &err), SQUALL_OK);
    assert_non_null(strstr(text.data, "\"metadata_id\":\"urn:wmo:md:a:b\""));
    assert_non_null(strstr(text.data, "\"start_datetime\":\"2010-08-26T02:00:00Z\""));
    sq_text_free(&text);
    for (long n = 0; n < 8; n++) { /* memory that fails is seen at the end */
        sq_memory_fail_at(n);
        sq_wis2_write(&product, "x", "wis2/nl.nc", "", SQ_WIS2_UPDATE, 1282788001234, &text);
        sq_memory_fail_at(-1);
        assert_true(text.failed || strstr(text.data, "\"rel\":\"update\"") != NULL);
        sq_text_free(&text);
        text = (sq_text){0};
    }
}

static squall_status never(void *owner, const char *source, const char *name, const void *bytes,
                           size_t size, squall_error *err)
{
    (void)owner, (void)source, (void)name, (void)bytes, (void)size;
    return sq_fail(err, SQUALL_E_INTERNAL, "test", "nothing should arrive");
}

/* Nobody listens at the broker's port; announcements wait up to their bound, and it all ends. */
static void test_no_broker(void **state)
{
    static const char text[] =
        "[server]\nbase_url = https://h\n[broker b]\nhost = 127.0.0.1\nport = 1\npublish = "
        "origin/a/wis2/c/{region}/x\n"
        "[source r]\nbroker = b\ntopics = cache/#\n[region a]\nradar = r\n";
    const sq_wis2_product product = {
        .region = "nl", .name = "n", .href = "/n", .type = "t", .bytes = "abc", .size = 3};
    sq_config *config = NULL;
    squall_error err;
    bool again;
    squall_notes *notes = squall_notes_create();
    (void)state;
    assert_int_equal(sq_config_parse(text, sizeof text - 1, "test", &config, notes, &err),
                     SQUALL_OK);
    squall_notes_destroy(&notes);
    sq_metrics *metrics = sq_metrics_create();
    sq_wis2 *wis2 = sq_wis2_create(metrics, NULL, never, NULL);
    sq_wis2_follow(wis2, config);
    sq_wis2_link *link = wis2->links[0];
    sq_wis2_follow(wis2, config);
    assert_ptr_equal(wis2->links[0], link); /* as before: it stays */
    for (int i = 0; i < 1200; i++) {
        sq_wis2_announce(wis2, &product);
    }
    const char *const labels[] = {"b", "dropped"};
    assert_true(sq_metric_get(wis2->announced, labels) == 200.0);
    assert_true(sq_wis2_is_new(wis2, "r", "x", 5, &again) && !again);
    assert_false(sq_wis2_is_new(wis2, "r", "x", 5, &again));
    assert_false(sq_wis2_is_new(wis2, "r", "x", 4, &again));
    assert_true(sq_wis2_is_new(wis2, "r", "x", 6, &again) && again);
    assert_true(sq_wis2_is_new(wis2, "s", "x", 5, &again) && !again);
    sq_wis2_deafen(wis2);
    sq_wis2_destroy(&wis2);
    sq_metrics_destroy(&metrics);
    sq_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_no_broker),
    };
    return cmocka_run_group_tests_name("wis2", tests, NULL, NULL);
}
