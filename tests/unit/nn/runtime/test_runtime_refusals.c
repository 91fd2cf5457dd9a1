/* tests/unit/nn/runtime/test_runtime_refusals.c - the five ways in which an engine is refused at
 * opening are told apart, each with what was found, what was wanted and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"
#include "squall/engine.h"
#include "squall/sign.h"

#define ENGINE "test_runtime_refusals.sqe"

_Alignas(64) static unsigned char weights[128];

static void write_engine(const char *isa)
{
    sq_engine_file file;
    unsigned char *bytes;
    size_t size;
    plan_file(&file, true, weights);
    sq_free(file.isa);
    file.isa = sq_strdup(isa);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    assert_int_equal(sq_file_write(ENGINE, bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
}

/* Change `count` bytes at `offset`, or cut the file there when `bytes` is NULL. */
static void change(size_t offset, const void *bytes, size_t count)
{
    unsigned char *all;
    size_t size;
    assert_int_equal(sq_file_read(ENGINE, 1 << 20, &all, &size, NULL), SQUALL_OK);
    if (bytes != NULL) {
        memcpy(all + offset, bytes, count);
    }
    assert_int_equal(sq_file_write(ENGINE, all, bytes != NULL ? size : offset, NULL), SQUALL_OK);
    sq_free(all);
}

static squall_status open_file(const char *keys, int32_t native, squall_error *err)
{
    squall_engine_options options;
    squall_engine *engine = NULL;
    squall_engine_options_init(&options);
    options.trusted_keys = keys;
    options.native = native;
    const squall_status status = squall_engine_open(ENGINE, &options, &engine, NULL, err);
    assert_true((engine != NULL) == (status == SQUALL_OK));
    squall_engine_close(&engine);
    return status;
}

static void expect(const squall_error *err, const char *found, const char *wanted,
                   const char *remedy)
{
    if (strstr(err->text, found) == NULL || strstr(err->text, wanted) == NULL ||
        strstr(err->text, remedy) == NULL) {
        fail_msg("'%s' should hold '%s', '%s' and '%s'", err->text, found, wanted, remedy);
    }
    assert_non_null(strstr(err->where, ENGINE));
}

static void test_not_an_engine(void **state)
{
    (void)state;
    squall_error err;
    write_engine("c");
    change(0, "PK\3\4", 4);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_E_FORMAT);
    expect(&err, "50 4b 03 04 41 4c 4c 0a", "89 53 51 55 41 4c 4c 0a", "squall build");
    assert_int_equal(sq_file_write(ENGINE, "", 0, NULL), SQUALL_OK);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_E_FORMAT);
}

static void test_truncated(void **state)
{
    (void)state;
    squall_error err;
    write_engine("c");
    change(4000, NULL, 0);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_E_TRUNCATED);
    expect(&err, "4000", "4224 bytes", "copy it again");
    change(100, NULL, 0);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_E_TRUNCATED);
    expect(&err, "100", "256", "copy it again");
}

static void test_version(void **state)
{
    (void)state;
    squall_error err;
    write_engine("c");
    change(SQ_HEADER_FORMAT, "\x09", 1);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_E_VERSION);
    expect(&err, "format 9", "formats 1 to", "squall build");
}

static void test_signature(void **state)
{
    (void)state;
    squall_error err;
    char key[SQUALL_KEY_TEXT];
    static const char *const files[] = {"refusals_a.key", "refusals_a.pub", "refusals_b.key",
                                        "refusals_b.pub"};
    for (size_t i = 0; i < 4; i++) {
        unlink(files[i]);
    }
    assert_int_equal(squall_key_create("refusals_a", NULL, key, &err), SQUALL_OK);
    assert_int_equal(squall_key_create("refusals_b", NULL, NULL, &err), SQUALL_OK);
    write_engine("c");
    assert_int_equal(open_file("refusals_a.pub", 0, &err), SQUALL_E_SIGNATURE);
    expect(&err, "is not signed", "refusals_a.pub", "squall sign");
    assert_int_equal(squall_engine_sign(ENGINE, "refusals_a.key", NULL, NULL, &err), SQUALL_OK);
    assert_int_equal(open_file("refusals_a.pub", 0, &err), SQUALL_OK);
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_OK);
    assert_int_equal(open_file("refusals_b.pub", 0, &err), SQUALL_E_SIGNATURE);
    expect(&err, key, "refusals_b.pub", "if you trust it");
    assert_int_equal(open_file("no_such.pub", 0, &err), SQUALL_E_IO);
    /* The last byte of the weights. */
    unsigned char *all;
    size_t size;
    assert_int_equal(sq_file_read(ENGINE, 1 << 20, &all, &size, NULL), SQUALL_OK);
    sq_free(all);
    change(size - SQ_SIGNATURE_SIZE - 1, "\x55", 1);
    assert_int_equal(open_file("refusals_a.pub", 0, &err), SQUALL_E_SIGNATURE);
    expect(&err, "changed", "signed", "get it again");
    for (size_t i = 0; i < 4; i++) {
        unlink(files[i]);
    }
}

static void test_other_device(void **state)
{
    (void)state;
    squall_error err;
    write_engine("abacus");
    assert_int_equal(open_file(NULL, 0, &err), SQUALL_OK); /* the portable plan stands in */
    assert_int_equal(open_file(NULL, 1, &err), SQUALL_E_MISMATCH);
    expect(&err, "abacus", sq_isa_name(sq_cpu_isa()), "squall build");
    /* It fits by name, but this host has no such tactic for it. */
    write_engine("c");
    assert_int_equal(open_file(NULL, 1, &err), SQUALL_E_MISMATCH);
    unlink(ENGINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_an_engine), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_version),       cmocka_unit_test(test_signature),
        cmocka_unit_test(test_other_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
