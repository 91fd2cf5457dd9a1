/* tests/unit/wx/io/test_io_pgm.c - FMI composites as PGM. */
#include "wx/io/io_check.h"

static void test_expected(void **state)
{
    (void)state;
    assert_int_equal(check_table("tests", "fmi/201609281600_fmi"), 1);
    if (check_has_pack()) {
        assert_int_equal(check_table("shared", "fmi_pgm/"), 40);
    }
}

/* A composite of 4 x 3 pixels on FMI's projection; `skip` leaves one line out, `more` is added. */
static size_t make_pgm(unsigned char *out, size_t room, const char *skip, const char *more)
{
    static const char *const lines[] = {
        "# obstime 202606191230\n", "# param CorrectedReflectivity\n",
        "# projection radar {\n",   "# type stereographic\n",
        "# centrallongitude 25\n",  "# centrallatitude 90\n",
        "# truelatitude 60\n",      "# bottomleft 24.0 60.0\n",
        "# topright 26.0 62.0\n",   "# }\n",
    };
    static const unsigned char pixels[12] = {0, 255, 64, 1, 254, 100, 0, 0, 255, 255, 65, 66};
    size_t used = (size_t)snprintf((char *)out, room, "P5\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (skip == NULL || strstr(lines[i], skip) == NULL) {
            used += (size_t)snprintf((char *)out + used, room - used, "%s", lines[i]);
        }
    }
    used += (size_t)snprintf((char *)out + used, room - used, "%s4 3\n255\n", more);
    memcpy(out + used, pixels, sizeof pixels);
    return used + sizeof pixels;
}

static void test_codes(void **state)
{
    (void)state;
    unsigned char bytes[1024];
    const size_t size = make_pgm(bytes, sizeof bytes, NULL, "");
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    assert_int_equal(squall_file_open_memory(bytes, size, "made.pgm", NULL, &file, &err),
                     SQUALL_OK);
    assert_int_equal(squall_file_read(file, 0, &field, &err), SQUALL_OK);
    assert_string_equal(field->source, "made.pgm");
    assert_int_equal(field->mask[0], SQUALL_CELL_DRY);
    assert_true(field->values[0] == 0);
    assert_int_equal(field->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_true(isnan(field->values[1]));
    assert_int_equal(field->mask[2], SQUALL_CELL_VALUE);
    assert_true(field->values[2] == 0); /* 0 dBZ, which was measured */
    assert_true(field->values[3] == -31.5f);
    assert_true(field->values[4] == 95);
    assert_int_equal(field->valid_time, 1781872200); /* date -u -d 2026-06-19T12:30Z +%s */
    assert_int_equal(squall_file_time(file, 1), SQUALL_TIME_NONE);
    squall_field_destroy(&field);
    assert_int_equal(squall_file_read(file, 1, &field, &err), SQUALL_E_ARGUMENT);
    squall_file_close(&file);
}

static void test_quantity(void **state)
{
    (void)state;
    unsigned char bytes[1024];
    squall_error err;
    const size_t size = make_pgm(bytes, sizeof bytes, NULL, "");
    assert_int_equal(check_read_all(bytes, size, "CorrectedReflectivity", &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, size, "dbzh", &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, size, "RATE", &err), SQUALL_E_NO_DATA);
    check_error(SQUALL_E_NO_DATA, &err);
}

static void test_headers_refused(void **state)
{
    (void)state;
    unsigned char bytes[1024];
    static const char *const needed[] = {"obstime",          "param",        "type",
                                         "centrallongitude", "truelatitude", "bottomleft",
                                         "topright"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const size_t size = make_pgm(bytes, sizeof bytes, needed[i], "");
        check_refused(bytes, size, SQUALL_E_UNSUPPORTED, needed[i]);
    }
    static const struct {
        const char *skip, *line;
        squall_status code;
        const char *words;
    } cases[] = {
        {"obstime", "# obstime 202613191230\n", SQUALL_E_CORRUPT, "202613191230"},
        {"param", "# param RainRate\n", SQUALL_E_UNSUPPORTED, "RainRate"},
        {"type", "# type lambert\n", SQUALL_E_UNSUPPORTED, "stereographic"},
        {"bottomleft", "# bottomleft 24.0\n", SQUALL_E_CORRUPT, "24.0"},
        {"bottomleft", "# bottomleft 24.0 here\n", SQUALL_E_CORRUPT, "here"},
        {"bottomleft", "# bottomleft 24.0 1e999\n", SQUALL_E_CORRUPT, "1e999"},
        {"bottomleft", "# bottomleft 27.0 60.0\n", SQUALL_E_CORRUPT, "pixels of"},
        {"truelatitude", "# truelatitude 1000\n", SQUALL_E_CORRUPT, "no place"},
        {NULL, "# metersperpixel_x 999\n", SQUALL_E_CORRUPT, "pixels of"},
        {NULL, "70000 ", SQUALL_E_LIMIT, "above the limit"},
        {NULL, "x ", SQUALL_E_CORRUPT, "no place in a PGM header"},
        {NULL, "4 3 65535 ", SQUALL_E_UNSUPPORTED, "65535"},
        {NULL, "5 3 255 ", SQUALL_E_CORRUPT, "5 x 3"},
        {NULL, "40 30 255 ", SQUALL_E_TRUNCATED, "40 x 30"},
        {NULL, "0 3 255 ", SQUALL_E_CORRUPT, "0 x 3"},
        {NULL, "60000 60000 255 ", SQUALL_E_LIMIT, "60000 x 60000"},
        {NULL, "4 3 255x", SQUALL_E_CORRUPT, "white space"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t size = make_pgm(bytes, sizeof bytes, cases[i].skip, cases[i].line);
        check_refused(bytes, size, cases[i].code, cases[i].words);
    }
}

static void test_bad_bytes(void **state)
{
    (void)state;
    unsigned char bytes[1024];
    const size_t size = make_pgm(bytes, sizeof bytes, NULL, "");
    check_truncation(bytes, size);
    assert_true(check_flips(bytes, size, size) > CHECK_FLIPS / 10);
    check_memory(bytes, size);
    /* One byte too many is as wrong as one too few. */
    bytes[size] = 7;
    check_refused(bytes, size + 1, SQUALL_E_CORRUPT, "13 bytes of pixels");
}

static void test_endless_header(void **state)
{
    (void)state;
    unsigned char *bytes = malloc((size_t)1 << 20);
    assert_non_null(bytes);
    memset(bytes, '#', (size_t)1 << 20);
    memcpy(bytes, "P5\n", 3);
    check_refused(bytes, (size_t)1 << 20, SQUALL_E_LIMIT, "does not end");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected),  cmocka_unit_test(test_codes),
        cmocka_unit_test(test_quantity),  cmocka_unit_test(test_headers_refused),
        cmocka_unit_test(test_bad_bytes), cmocka_unit_test(test_endless_header),
    };
    return cmocka_run_group_tests_name("io_pgm", tests, NULL, NULL);
}
