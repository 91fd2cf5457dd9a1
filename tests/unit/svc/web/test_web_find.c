/* Pages travel whole in the program, and each has a type that a browser takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "svc/web/web.h"

static void test_pages(void **state)
{
    size_t count = 0;
    (void)state;
    for (const sq_web_page *page = sq_web_pages; page->name != NULL; page++) {
        char path[512];
        unsigned char *bytes = NULL;
        size_t size = 0;
        squall_error err;
        snprintf(path, sizeof path, "%s/src/svc/web/pages/%s", SQUALL_SOURCE_DIR, page->name);
        assert_int_equal(sq_file_read(path, 1 << 20, &bytes, &size, &err), SQUALL_OK);
        assert_int_equal(page->size, size);
        assert_memory_equal(page->data, bytes, size);
        assert_ptr_equal(sq_web_find(page->name), page);
        assert_non_null(sq_web_type(page->name));
        sq_free(bytes);
        count++;
    }
    assert_true(count >= 5);
    assert_null(sq_web_find("map"));
    assert_null(sq_web_find(""));
}

static void test_types(void **state)
{
    (void)state;
    assert_string_equal(sq_web_type("a.html"), "text/html; charset=utf-8");
    assert_string_equal(sq_web_type("a.js"), "text/javascript; charset=utf-8");
    assert_null(sq_web_type(".html"));
    assert_null(sq_web_type("a.htm"));
    assert_null(sq_web_type(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests_name("web_find", tests, NULL, NULL);
}
