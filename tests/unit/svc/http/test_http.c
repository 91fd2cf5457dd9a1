/* tests/unit/svc/http/test_http.c - addresses, patterns, limits, tags: what needs no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "svc/http/http.h"

static void parses(const char *text, const char *path, size_t count)
{
    sq_http_url url;
    squall_error err = {.code = SQUALL_OK};
    assert_int_equal(sq_http_url_parse(text, &url, &err), SQUALL_OK);
    assert_string_equal(url.path, path);
    assert_int_equal(url.argument_count, count);
    sq_http_url_free(&url);
}

static void refuses(const char *text, squall_status status)
{
    sq_http_url url;
    squall_error err = {.code = SQUALL_OK};
    assert_int_equal(sq_http_url_parse(text, &url, &err), status);
    assert_true(strlen(err.text) > 0);
    assert_null(url.store);
}

static void test_url(void **state)
{
    (void)state;
    parses("/", "/", 0);
    parses("/a/b%20c/", "/a/b c/", 0);
    parses("/a+b", "/a+b", 0); /* a plus sign is a space in the query alone */
    parses("/a?b=c&d&&e=", "/a", 3);
    parses("/a?", "/a", 0);
    parses("/a#b?c=d", "/a", 0);
    parses("/%E2%98%82", "/\xE2\x98\x82", 0);
    refuses("", SQUALL_E_FORMAT);
    refuses("a", SQUALL_E_FORMAT);
    refuses("http://x/", SQUALL_E_FORMAT);
    refuses("/%", SQUALL_E_FORMAT);
    refuses("/%4", SQUALL_E_FORMAT);
    refuses("/%zz", SQUALL_E_FORMAT);
    refuses("/%00", SQUALL_E_FORMAT);
    refuses("/%0a", SQUALL_E_FORMAT);
    refuses("/%ff", SQUALL_E_FORMAT);
    refuses("/a/../b", SQUALL_E_FORMAT);
    refuses("/a/%2e%2e/b", SQUALL_E_FORMAT);
    refuses("/a/%2e", SQUALL_E_FORMAT);
    refuses("/a//b", SQUALL_E_FORMAT);
    refuses("/a?b=%", SQUALL_E_FORMAT);
    refuses("/a?b%=c", SQUALL_E_FORMAT);
    refuses("/a?b=%07", SQUALL_E_FORMAT);
    char many[400] = "/a?";
    for (int i = 0; i <= SQ_HTTP_ARGUMENTS; i++) {
        strcat(many, "x=1&");
    }
    refuses(many, SQUALL_E_LIMIT);
}

static void test_arguments(void **state)
{
    (void)state;
    sq_http_request request = {0};
    assert_int_equal(sq_http_url_parse("/a?b=c%26d&e+f=g+h&b=2&z", &request.url, NULL), SQUALL_OK);
    assert_string_equal(sq_http_argument_find(&request, "b"), "c&d");
    assert_string_equal(sq_http_argument_find(&request, "e f"), "g h");
    assert_string_equal(sq_http_argument_find(&request, "z"), "");
    assert_null(sq_http_argument_find(&request, "y"));
    sq_http_url_free(&request.url);
}

static void test_match(void **state)
{
    (void)state;
    sq_http_request r = {0};
    assert_true(sq_http_match("/a/b", "/a/b", &r.captures));
    assert_true(sq_http_match("/a/b", "/a/b/", &r.captures));
    assert_false(sq_http_match("/a/b", "/a/bc", &r.captures));
    assert_false(sq_http_match("/a/b", "/a", &r.captures));
    assert_true(sq_http_match("/{x}/{y}.png", "/1/2.png", &r.captures));
    assert_string_equal(sq_http_capture_find(&r, "x"), "1");
    assert_string_equal(sq_http_capture_find(&r, "y"), "2");
    assert_null(sq_http_capture_find(&r, "z"));
    assert_false(sq_http_match("/{x}/{y}.png", "/1/.png", &r.captures));
    assert_false(sq_http_match("/{x}", "/", &r.captures));
    assert_false(sq_http_match("/{x}", "/1/2", &r.captures));
    assert_true(sq_http_match("/{a}_{b}.png", "/1_0_2.png", &r.captures));
    assert_string_equal(sq_http_capture_find(&r, "a"), "1");
    assert_string_equal(sq_http_capture_find(&r, "b"), "0_2");
    assert_true(sq_http_match("/{x}@2x.png", "/7@2x.png", &r.captures));
    char longer[1200];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_false(sq_http_match("/{x}", longer, &r.captures)); /* no room for it: no match */
}

static void test_limiter(void **state)
{
    (void)state;
    int wait;
    sq_http_limiter *limiter = sq_http_limiter_create();
    assert_non_null(limiter);
    for (int i = 0; i < 5; i++) {
        assert_true(sq_http_limiter_take(limiter, "a", 2.0, 5.0, 100.0, &wait));
    }
    assert_false(sq_http_limiter_take(limiter, "a", 2.0, 5.0, 100.0, &wait));
    assert_int_equal(wait, 1);
    assert_true(sq_http_limiter_take(limiter, "b", 2.0, 5.0, 100.0, &wait)); /* another caller */
    assert_true(sq_http_limiter_take(limiter, "a", 2.0, 5.0, 100.5, &wait)); /* one came back */
    assert_false(sq_http_limiter_take(limiter, "a", 2.0, 5.0, 100.5, &wait));
    assert_false(sq_http_limiter_take(limiter, "a", 2.0, 5.0, 50.0, &wait)); /* never backwards */
    assert_true(sq_http_limiter_take(limiter, "a", 0.0, 5.0, 100.5, &wait)); /* no limit */
    assert_false(sq_http_limiter_take(limiter, "slow", 0.001, 0.0, 0.0, &wait) &&
                 sq_http_limiter_take(limiter, "slow", 0.001, 0.0, 1.0, &wait));
    assert_int_equal(wait, 999);
    char who[32];
    for (int i = 0; i < 20000; i++) { /* more callers than buckets: memory stays as it is */
        snprintf(who, sizeof who, "10.0.%d.%d", i / 256, i % 256);
        assert_true(sq_http_limiter_take(limiter, who, 1.0, 1.0, 200.0 + i, &wait));
    }
    sq_http_limiter_destroy(&limiter);
    assert_null(limiter);
    sq_http_limiter_destroy(&limiter);
}

static void test_tags_and_gzip(void **state)
{
    (void)state;
    assert_true(sq_http_etag_in("\"a\"", "a"));
    assert_true(sq_http_etag_in("\"b\", W/\"a\"", "a"));
    assert_true(sq_http_etag_in("\"a-gz\"", "a"));
    assert_true(sq_http_etag_in("*", "a"));
    assert_false(sq_http_etag_in("\"b\"", "a"));
    assert_false(sq_http_etag_in("a", "a"));
    assert_false(sq_http_etag_in("\"a", "ab"));
    assert_false(sq_http_etag_in("", "a"));
    assert_true(sq_http_accepts_gzip("gzip, deflate, br"));
    assert_true(sq_http_accepts_gzip("br;q=1.0, GZIP;q=0.5"));
    assert_false(sq_http_accepts_gzip("gzip;q=0"));
    assert_false(sq_http_accepts_gzip("gzip;q=x"));
    assert_false(sq_http_accepts_gzip("identity"));
    assert_false(sq_http_accepts_gzip(NULL));
    char bytes[4000];
    void *packed;
    size_t size;
    memset(bytes, 'a', sizeof bytes);
    assert_true(sq_http_gzip(bytes, sizeof bytes, &packed, &size));
    assert_true(size < 100);
    assert_memory_equal(packed, "\x1f\x8b", 2);
    sq_free(packed);
    assert_false(sq_http_gzip("x", 1, &packed, &size)); /* it would grow */
}

static int released;
static void release(void *owner)
{
    released += *(int *)owner;
}

static void test_responses(void **state)
{
    (void)state;
    int one = 1;
    sq_http_response r = {0};
    released = 0;
    sq_http_give_bytes(&r, 200, "text/plain", "x", 1, release, &one);
    sq_http_give_error(&r, 404, "no %s", "\"bird\"");
    assert_int_equal(released, 1); /* what was given before is released */
    assert_int_equal(r.status, 404);
    assert_int_equal(r.max_age_s, -1);
    assert_int_equal(r.size, strlen("{\"code\":\"NotFound\",\"description\":\"no \\\"bird\\\"\"}"));
    assert_memory_equal(r.body, "{\"code\":\"NotFound\",\"description\":\"no \\\"bird\\\"\"}",
                        r.size);
    static const struct {
        squall_status code;
        int status;
    } pairs[] = {{SQUALL_E_ARGUMENT, 400}, {SQUALL_E_FORMAT, 400}, {SQUALL_E_NO_DATA, 404},
                 {SQUALL_E_LIMIT, 413},    {SQUALL_E_MEMORY, 503}, {SQUALL_E_IO, 500}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const squall_error err = {pairs[i].code, "where", "what"};
        sq_http_give_failure(&r, &err);
        assert_int_equal(r.status, pairs[i].status);
    }
    r.header_count = 0;
    sq_http_add_header(&r, "X-Test", "a\r\nSet-Cookie: b"); /* no header within a header */
    assert_string_equal(r.headers[0].value, "a");
    sq_text failed = {.failed = true};
    sq_http_give_text(&r, 200, "text/plain", &failed);
    assert_int_equal(r.status, 500);
    sq_http_response_free(&r);
    sq_http_response_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),           cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_match),         cmocka_unit_test(test_limiter),
        cmocka_unit_test(test_tags_and_gzip), cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
