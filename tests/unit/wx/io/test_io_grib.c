/* tests/unit/wx/io/test_io_grib.c - GRIB2: MRMS and what other centres pack otherwise. */
#include "wx/io/io_check.h"

/* Where the sections of the crops of MRMS begin. */
enum {
    SECTION_1 = 16,
    SECTION_3 = 37,
    SECTION_4 = 109,
    SECTION_5 = 143,
    SECTION_6 = 164,
    SECTION_7 = 170
};

static void test_expected(void **state)
{
    (void)state;
    assert_int_equal(check_table("tests", "mrms/"), 3);
    assert_int_equal(check_table("tests", "grib/"), 20);
    if (check_has_pack()) {
        assert_int_equal(check_table("shared", "mrms_"), 6);
    }
}

static squall_status open_sample(const char *name, const char *quantity, squall_file **file,
                                 squall_error *err)
{
    char path[1024];
    squall_io_options options;
    squall_io_options_init(&options);
    options.quantity = quantity;
    snprintf(path, sizeof path, "%s%s", CHECK_SAMPLES, name);
    return squall_file_open(path, &options, file, err);
}

static void test_choice(void **state)
{
    (void)state;
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    /* A rate is taken before a sum, in the order of the file. */
    assert_int_equal(open_sample("grib/several.grib2", NULL, &file, &err), SQUALL_OK);
    assert_int_equal(squall_file_count(file), 2);
    assert_int_equal(squall_file_time(file, 0) - squall_file_time(file, 1), 600);
    assert_true(squall_file_time(file, 2) == SQUALL_TIME_NONE);
    assert_int_equal(squall_file_read(file, 1, &field, &err), SQUALL_OK);
    assert_non_null(strstr(field->source, "several.grib2:message 3"));
    squall_field_destroy(&field);
    squall_file_close(&file);
    /* The other by its name, or by ODIM's. */
    static const char *const names[] = {"tp", "ACRR", "TP"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(open_sample("grib/several.grib2", names[i], &file, &err), SQUALL_OK);
        assert_int_equal(squall_file_count(file), 1);
        assert_int_equal(squall_file_read(file, 0, &field, &err), SQUALL_OK);
        assert_int_equal(field->quantity, SQUALL_ACCUMULATION);
        assert_int_equal(field->window_s, 0); /* the message has none */
        squall_field_destroy(&field);
        squall_file_close(&file);
    }
    assert_int_equal(open_sample("grib/several.grib2", "DBZH", &file, &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "holds tprate, tp, not 'DBZH'"));
    assert_int_equal(open_sample("grib/one_message.grib2", NULL, &file, &err), SQUALL_OK);
    assert_int_equal(squall_file_read(file, 1, &field, &err), SQUALL_OK);
    assert_non_null(strstr(field->source, "one_message.grib2:message 1.2"));
    squall_field_destroy(&field);
    squall_file_close(&file);
}

/* Every scanning mode and every packing holds the same shower. Its numbers are in the same order in
 * each file, so that where a mode begins in the south or the east it comes turned. */
static void test_same_shower(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float step; /* of the packed numbers, mm/h */
        bool from_south, from_east;
    } files[] = {{"scan_40", 2e-3f, true, false},
                 {"scan_80", 2e-3f, false, true},
                 {"scan_c0", 2e-3f, true, true},
                 {"ccsds", 2e-4f, false, false},
                 {"jpeg", 2e-4f, false, false},
                 {"complex", 2e-4f, false, false},
                 {"png", 2e-4f, false, false},
                 {"simple", 2e-4f, false, false},
                 {"complex_spatial_differencing", 2e-4f, false, false}};
    squall_file *file;
    squall_field *first, *field;
    squall_error err = {0};
    assert_int_equal(open_sample("grib/ieee.grib2", NULL, &file, &err), SQUALL_OK);
    assert_int_equal(squall_file_read(file, 0, &first, &err), SQUALL_OK);
    squall_file_close(&file);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "grib/%s.grib2", files[i].name);
        assert_int_equal(open_sample(name, NULL, &file, &err), SQUALL_OK);
        assert_int_equal(squall_file_read(file, 0, &field, &err), SQUALL_OK);
        assert_true(squall_grid_equal(&field->grid, &first->grid, 1e-6));
        const size_t width = first->grid.width, height = first->grid.height;
        for (size_t k = 0; k < width * height; k++) {
            const size_t row = files[i].from_south ? height - 1 - k / width : k / width;
            const size_t column = files[i].from_east ? width - 1 - k % width : k % width;
            const float found = field->values[row * width + column];
            if (!(fabsf(found - first->values[k]) <= files[i].step)) {
                fail_msg("%s: cell %zu is %g, not %g", name, k, found, first->values[k]);
            }
        }
        squall_field_destroy(&field);
        squall_file_close(&file);
    }
    squall_field_destroy(&first);
}

/* One byte of a crop changed, and what is said of it. */
typedef struct change {
    size_t at;
    unsigned char value;
    squall_status code;
    const char *words;
} change;

static void test_structure_refused(void **state)
{
    (void)state;
    static const change changes[] = {
        {0, 'X', SQUALL_E_FORMAT, "no format"},
        {7, 1, SQUALL_E_UNSUPPORTED, "edition 1"},
        {7, 3, SQUALL_E_FORMAT, "no format"},
        {8, 1, SQUALL_E_TRUNCATED, "its length is"},
        {15, 0, SQUALL_E_CORRUPT, "7777"},
        {SECTION_1 + 3, 20, SQUALL_E_CORRUPT, "section 1 of 20 bytes"},
        {SECTION_1 + 3, 22, SQUALL_E_CORRUPT, "cannot be in a message"},
        {SECTION_1 + 4, 4, SQUALL_E_CORRUPT, "section 4 of 21 bytes"},
        {SECTION_1 + 14, 13, SQUALL_E_CORRUPT, "no time"},
        {SECTION_3 + 4, 2, SQUALL_E_CORRUPT, "cannot follow"},
        {SECTION_3 + 5, 1, SQUALL_E_UNSUPPORTED, "regular"},
        {SECTION_3 + 10, 1, SQUALL_E_UNSUPPORTED, "regular"},
        {SECTION_3 + 13, 90, SQUALL_E_UNSUPPORTED, "template 3.90"},
        {SECTION_3 + 13, 30, SQUALL_E_CORRUPT, "3.30 has 81"},
        {SECTION_3 + 14, 77, SQUALL_E_UNSUPPORTED, "shape 77"},
        {SECTION_3 + 33, 45, SQUALL_E_CORRUPT, "points; section 3 counts"},
        {SECTION_3 + 71, 0x20, SQUALL_E_UNSUPPORTED, "0x20"},
        {SECTION_4 + 8, 5, SQUALL_E_UNSUPPORTED, "template 4.5"},
        {SECTION_4 + 8, 8, SQUALL_E_CORRUPT, "too few"},
        {SECTION_5 + 8, 1, SQUALL_E_CORRUPT, "packed values"},
        {SECTION_5 + 10, 50, SQUALL_E_UNSUPPORTED, "template 5.50"},
        {SECTION_5 + 10, 3, SQUALL_E_CORRUPT, "5.3 has 49"},
        {SECTION_5 + 10, 0, SQUALL_E_CORRUPT, "16 bits in a section 7"},
        {SECTION_5 + 19, 8, SQUALL_E_CORRUPT, "a PNG of 16 bits"},
        {SECTION_5 + 19, 33, SQUALL_E_CORRUPT, "33 bits"},
        {SECTION_6 + 5, 0, SQUALL_E_CORRUPT, "bitmap"},
        {SECTION_6 + 5, 12, SQUALL_E_UNSUPPORTED, "bitmap 12"},
        {SECTION_6 + 5, 254, SQUALL_E_CORRUPT, "not given"},
        {SECTION_7 + 5, 0, SQUALL_E_CORRUPT, "PNG"},
        {SECTION_7 + 5 + 19, 3, SQUALL_E_CORRUPT, "checksum"},
        {SECTION_7 + 5 + 9, 200, SQUALL_E_TRUNCATED, "PNG"},
        {SECTION_7 + 5 + 80, 0x5a, SQUALL_E_CORRUPT, "checksum"},
    };
    size_t size;
    unsigned char *bytes = check_load("mrms/preciprate_crop.grib2", &size);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const unsigned char before = bytes[changes[i].at];
        assert_int_not_equal(before, changes[i].value);
        bytes[changes[i].at] = changes[i].value;
        check_refused(bytes, size, changes[i].code, changes[i].words);
        bytes[changes[i].at] = before;
    }
    sq_free(bytes);
}

/* Messages behind one another: gaps are small, and what follows must be one. */
static void test_gaps(void **state)
{
    (void)state;
    size_t size;
    squall_error err;
    unsigned char *bytes = check_load("grib/simple.grib2", &size);
    unsigned char *more = calloc(2 * size + 4096, 1);
    assert_non_null(more);
    memcpy(more + 40, bytes, size);
    assert_int_equal(check_read_all(more, size + 40, NULL, &err), SQUALL_OK);
    assert_int_equal(check_read_all(more, size + 240, NULL, &err), SQUALL_OK);
    check_refused(more, size + 2000, SQUALL_E_CORRUPT, "no GRIB message");
    memcpy(more + 40 + size + 300, bytes, size);
    check_refused(more, 2 * size + 340, SQUALL_E_CORRUPT, "no GRIB message");
    memcpy(more + 40 + size + 100, bytes, size);
    assert_int_equal(check_read_all(more, 2 * size + 140, NULL, &err), SQUALL_OK);
    check_refused(more, 2 * size + 139, SQUALL_E_TRUNCATED, "its length is");
    free(more);
    sq_free(bytes);
}

/* Sums of MRMS have their window in their name, echoes their codes: by changing the number of the
 * parameter, the values stay what they were. */
static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        unsigned char category, number;
        squall_quantity quantity;
        const char *name;
        int window_s;
    } cases[] = {
        {6, 2, SQUALL_ACCUMULATION, "RadarOnly_QPE_01H", 3600},
        {6, 45, SQUALL_ACCUMULATION, "RadarOnly_QPE_15M", 900},
        {6, 41, SQUALL_ACCUMULATION, "MultiSensor_QPE_24H_Pass2", 86400},
        {10, 0, SQUALL_REFLECTIVITY, "MergedReflectivityQCComposite", 0},
        {3, 33, SQUALL_OTHER, "209.3.33", 0},
    };
    size_t size;
    unsigned char *bytes = check_load("mrms/preciprate_crop.grib2", &size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        squall_file *file;
        squall_field *field = NULL;
        squall_error err = {0};
        squall_field_counts counts;
        bytes[SECTION_4 + 9] = cases[i].category;
        bytes[SECTION_4 + 10] = cases[i].number;
        assert_int_equal(squall_file_open_memory(bytes, size, "x", NULL, &file, &err), SQUALL_OK);
        assert_int_equal(squall_file_read(file, 0, &field, &err), SQUALL_OK);
        assert_int_equal(field->quantity, cases[i].quantity);
        assert_string_equal(field->quantity_name, cases[i].name);
        assert_int_equal(field->window_s, cases[i].window_s);
        squall_field_count(field, &counts);
        /* -3 is "nobody looked" for sums, and a number like others for the rest. */
        assert_int_equal(counts.no_coverage, cases[i].quantity == SQUALL_ACCUMULATION ? 9684 : 0);
        squall_field_destroy(&field);
        squall_file_close(&file);
    }
    sq_free(bytes);
}

static void test_bad_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"mrms/preciprate_crop.grib2",
                                        "mrms/rhohv_crop.grib2",
                                        "grib/several.grib2",
                                        "grib/ccsds.grib2",
                                        "grib/jpeg.grib2",
                                        "grib/complex.grib2",
                                        "grib/simple_bitmap.grib2",
                                        "grib/png_bitmap.grib2",
                                        "grib/one_message.grib2",
                                        "grib/lambert.grib2",
                                        "grib/total_1h.grib2",
                                        "grib/complex_spatial_differencing.grib2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size;
        unsigned char *bytes = check_load(names[i], &size);
        if (strcmp(names[i], "grib/several.grib2") != 0) {
            check_truncation(bytes, size);
        } else { /* whole messages are a whole file */
            check_refused(bytes, size - 1, SQUALL_E_TRUNCATED, "its length");
        }
        check_flips(bytes, size, SECTION_7);
        check_memory(bytes, size);
        sq_free(bytes);
    }
}

/* A field that is larger than any allowed, in a file of few bytes. */
static void test_limits(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = check_load("grib/constant.grib2", &size);
    /* 2^16 x 2^15 points: sides are in octets 31-38 of section 3, their product in 7-10. */
    static const unsigned char sides[8] = {0, 1, 0, 0, 0, 0, 0x80, 0};
    static const unsigned char product[4] = {0x80, 0, 0, 0};
    memcpy(bytes + SECTION_3 + 30, sides, sizeof sides);
    memcpy(bytes + SECTION_3 + 6, product, sizeof product);
    memcpy(bytes + SECTION_5 + 5, product, sizeof product);
    check_refused(bytes, size, SQUALL_E_LIMIT, "exceed the limits");
    sq_free(bytes);
    /* A PNG that says it has more pixels than its bytes can hold. */
    bytes = check_load("mrms/preciprate_crop.grib2", &size);
    static const unsigned char large[8] = {0, 0, 0x20, 0, 0, 0, 0x20, 0};
    static const unsigned char points[4] = {4, 0, 0, 0};
    memcpy(bytes + SECTION_3 + 30, large, sizeof large);
    memcpy(bytes + SECTION_3 + 6, points, sizeof points);
    memcpy(bytes + SECTION_5 + 5, points, sizeof points);
    check_refused(bytes, size, SQUALL_E_CORRUPT, "PNG has 300 x 250 pixels");
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected),    cmocka_unit_test(test_choice),
        cmocka_unit_test(test_same_shower), cmocka_unit_test(test_structure_refused),
        cmocka_unit_test(test_gaps),        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_bad_bytes),   cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("io_grib", tests, NULL, NULL);
}
