/* tests/unit/wx/io/test_io_tiff.c - GeoTIFF: FMI's composites, other types, projections and tags.
 */
#include "wx/io/io_check.h"
#include "wx/io/io_geotiff.h"

static void test_expected(void **state)
{
    (void)state;
    assert_int_equal(check_table("tests", "tiff/"), 10);
    assert_int_equal(check_table("tests", "fmi/201609281600_finutm"), 1);
    if (check_has_pack()) {
        assert_int_equal(check_table("shared", "fmi_geotiff/"), 1);
    }
}

/* --- made files --- */

enum { ENTRIES = 17, DATA_AT = 512, BYTES = 2048, WIDTH = 4, HEIGHT = 3 };
enum { BYTE = 1, ASCII = 2, SHORT = 3, LONG = 4, DOUBLE = 12 };

/* What FMI writes, escaped twice as there. */
static const char fmi_items[] =
    "&lt;GDALMetadata&gt;\n&lt;Item name=&quot;Observation time&quot; "
    "format=&quot;YYYYMMDDhhmm&quot;&gt;202606191230&lt;/Item&gt;\n&lt;Item name=&quot;Quantity"
    "&quot; unit=&quot;dBZ&quot;&gt;Corrected reflectivity&lt;/Item&gt;\n&lt;Item name=&quot;Gain"
    "&quot;&gt;0.5&lt;/Item&gt;\n&lt;Item name=&quot;Offset&quot;&gt;-32&lt;/Item&gt;\n&lt;Item "
    "name=&quot;Nodata&quot;&gt;255&lt;/Item&gt;\n&lt;Item name=&quot;Undetect&quot;&gt;0&lt;/Item"
    "&gt;\n&lt;/GDALMetadata&gt;";

/* An entry of the directory that is not as usual; count 0 leaves it out. */
typedef struct entry {
    uint16_t tag, type;
    uint32_t count, value;
} entry;

static void put(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        p[i] = (unsigned char)(value >> (8 * i));
    }
}

/* A picture of 4 x 3 bytes in one strip on the European grid EPSG:3035, with the changes. */
static void make_tiff(unsigned char out[BYTES], const entry *changes, size_t change_count)
{
    static const double scale[3] = {1000, 2000, 0}, tie[6] = {0, 0, 0, 4e6, 3e6, 0};
    static const uint16_t keys[16] = {1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 3035};
    static const unsigned char pixels[WIDTH * HEIGHT] = {0, 255, 64, 1, 254, 9, 0, 0, 255, 2, 3, 4};
    entry all[ENTRIES] = {
        {256, LONG, 1, WIDTH},
        {257, LONG, 1, HEIGHT},
        {258, SHORT, 1, 8},
        {259, SHORT, 1, 1},
        {262, SHORT, 1, 1},
        {273, LONG, 1, DATA_AT},
        {277, SHORT, 1, 1},
        {278, LONG, 1, HEIGHT},
        {279, LONG, 1, 12},
        {339, SHORT, 1, 1},
        {33550, DOUBLE, 3, 600},
        {33922, DOUBLE, 6, 640},
        {34264, DOUBLE, 0, 700},
        {34735, SHORT, 16, 900},
        {34736, DOUBLE, 0, 1000},
        {42112, ASCII, sizeof fmi_items, 1100},
        {42113, ASCII, 4, 0x353532 /* "255" */},
    };
    memset(out, 0, BYTES);
    memcpy(out, "II*\0\10\0\0", 8);
    put(out + 4, 8, 4);
    for (size_t i = 0; i < change_count; i++) {
        for (size_t k = 0; k < ENTRIES; k++) {
            all[k] = all[k].tag == changes[i].tag ? changes[i] : all[k];
        }
    }
    size_t count = 0;
    for (size_t k = 0; k < ENTRIES; k++) {
        if (all[k].count > 0) {
            unsigned char *p = out + 10 + 12 * count++;
            put(p, all[k].tag, 2);
            put(p + 2, all[k].type, 2);
            put(p + 4, all[k].count, 4);
            put(p + 8, all[k].value, 4);
        }
    }
    put(out + 8, count, 2);
    memcpy(out + DATA_AT, pixels, sizeof pixels);
    for (size_t i = 0; i < 9; i++) {
        uint64_t bits;
        memcpy(&bits, i < 3 ? &scale[i] : &tie[i - 3], sizeof bits);
        put(out + (i < 3 ? 600 + 8 * i : 640 + 8 * (i - 3)), bits, 8);
    }
    for (size_t i = 0; i < 16; i++) {
        put(out + 900 + 2 * i, keys[i], 2);
    }
    memcpy(out + 1100, fmi_items, sizeof fmi_items);
}

static squall_field *read_made(const unsigned char bytes[BYTES])
{
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    if (squall_file_open_memory(bytes, BYTES, "made.tif", NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, 0, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(squall_file_count(file), 1);
    assert_int_equal(squall_file_time(file, 1), SQUALL_TIME_NONE);
    squall_file_close(&file);
    return field;
}

static void test_codes(void **state)
{
    (void)state;
    unsigned char bytes[BYTES];
    make_tiff(bytes, NULL, 0);
    squall_field *field = read_made(bytes);
    assert_int_equal(field->quantity, SQUALL_REFLECTIVITY);
    assert_string_equal(field->quantity_name, "Corrected reflectivity");
    assert_string_equal(field->unit_name, "dBZ");
    assert_int_equal(field->valid_time, 1781872200); /* date -u -d 2026-06-19T12:30Z +%s */
    assert_int_equal(field->window_s, 0);
    assert_true(field->grid.dx == 1000 && field->grid.dy == 2000);
    assert_true(field->grid.left == 4e6 && field->grid.top == 3e6);
    assert_int_equal(field->mask[0], SQUALL_CELL_DRY);
    assert_int_equal(field->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(field->mask[2], SQUALL_CELL_VALUE);
    assert_true(field->values[2] == 0); /* 0 dBZ, which was measured */
    assert_true(field->values[3] == -31.5f);
    assert_true(field->values[4] == 95);
    squall_field_destroy(&field);
    /* Without GDAL's metadata the tag of its own for no data is left, and no gain. */
    make_tiff(bytes, (const entry[]){{42112, ASCII, 0, 0}}, 1);
    field = read_made(bytes);
    assert_int_equal(field->quantity, SQUALL_OTHER);
    assert_true(field->valid_time == SQUALL_TIME_NONE);
    assert_int_equal(field->mask[0], SQUALL_CELL_VALUE);
    assert_int_equal(field->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_true(field->values[2] == 64);
    squall_field_destroy(&field);
    /* A word that is no number marks nothing. */
    make_tiff(bytes, (const entry[]){{42112, ASCII, 0, 0}, {42113, ASCII, 4, 0x6e616e}}, 2);
    field = read_made(bytes);
    assert_true(field->values[1] == 255);
    squall_field_destroy(&field);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        entry changes[2];
        squall_status code;
        const char *words;
    } cases[] = {
        {{{277, SHORT, 1, 3}}, SQUALL_E_UNSUPPORTED, "3 samples"},
        {{{258, SHORT, 1, 4}}, SQUALL_E_UNSUPPORTED, "4 bits"},
        {{{258, SHORT, 1, 64}}, SQUALL_E_UNSUPPORTED, "64 bits"},
        {{{339, SHORT, 1, 3}}, SQUALL_E_UNSUPPORTED, "format 3"},
        {{{339, SHORT, 1, 6}}, SQUALL_E_UNSUPPORTED, "format 6"},
        {{{262, SHORT, 1, 5}}, SQUALL_E_UNSUPPORTED, "colours 5"},
        {{{259, SHORT, 1, 4}}, SQUALL_E_UNSUPPORTED, "compression 4"},
        {{{256, LONG, 1, 0}}, SQUALL_E_CORRUPT, "as libtiff finds"},
        {{{256, LONG, 1, 70000}}, SQUALL_E_LIMIT, "70000 x 3"},
        {{{256, LONG, 1, 60000}, {257, LONG, 1, 60000}}, SQUALL_E_LIMIT, "60000 x 60000"},
        {{{256, LONG, 1, 4000}, {257, LONG, 1, 4000}}, SQUALL_E_TRUNCATED, "cannot hold"},
        {{{273, LONG, 1, BYTES}}, SQUALL_E_TRUNCATED, "12 bytes at byte 2048 are not in"},
        {{{273, LONG, 1, BYTES - 5}}, SQUALL_E_TRUNCATED, "12 bytes at byte 2043 are not in"},
        {{{34735, SHORT, 0, 0}}, SQUALL_E_UNSUPPORTED, "key directory"},
        {{{34735, SHORT, 3, 900}}, SQUALL_E_UNSUPPORTED, "key directory"},
        {{{34735, LONG, 8, 900}}, SQUALL_E_UNSUPPORTED, "key directory"},
        {{{33550, DOUBLE, 0, 0}}, SQUALL_E_UNSUPPORTED, "nor a matrix"},
        {{{33550, DOUBLE, 3, 1900}}, SQUALL_E_CORRUPT, "pixels of 0 x 0"},
    };
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_tiff(bytes, cases[i].changes, 2);
        check_refused(bytes, BYTES, cases[i].code, cases[i].words);
    }
    static const char *const names[] = {"tiff/colour.tif", "tiff/turned.tif"};
    static const char *const words[] = {"3 samples", "without rotation"};
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        unsigned char *sample = check_load(names[i], &size);
        check_refused(sample, size, SQUALL_E_UNSUPPORTED, words[i]);
        sq_free(sample);
    }
}

static void test_quantity(void **state)
{
    (void)state;
    unsigned char bytes[BYTES];
    squall_error err;
    make_tiff(bytes, NULL, 0);
    assert_int_equal(check_read_all(bytes, BYTES, "Corrected reflectivity", &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, BYTES, "DBZH", &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, BYTES, "RATE", &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "holds 'Corrected reflectivity' [dBZ], not 'RATE'"));
}

static void test_bad_bytes(void **state)
{
    (void)state;
    static const char *const names[] = {"tiff/strips_float_big.tif", "tiff/laea_int16_point.tif",
                                        "tiff/stere_uint16.tif",     "tiff/aea_int32.tif",
                                        "tiff/tmerc_uint32.tif",     "tiff/longlat_float64.tif"};
    int refused = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t size;
        unsigned char *bytes = check_load(names[i], &size);
        check_truncation(bytes, size);
        refused += check_flips(bytes, size, 400);
        check_memory(bytes, size);
        sq_free(bytes);
    }
    assert_true(refused > CHECK_FLIPS / 2);
}

/* --- places --- */

/* Keys and doubles of a projection that a file spells out; what comes of them. */
static void test_places(void **state)
{
    (void)state;
    static const double grs80[8] = {6378137, 298.257222101, 9, 52, 48, 54, 1e5, 0.9996};
    static const struct {
        uint16_t keys[11][2]; /* key and value; above 40000: doubles[value - 40000] */
        squall_status code;
        const char *text; /* the projection, or words of the message */
    } cases[] = {
        {{{1024, 1}, {3072, 32633}}, SQUALL_OK, "+proj=utm +zone=33 +ellps=WGS84 +units=m"},
        {{{1024, 1}, {3072, 25832}}, SQUALL_OK, "+proj=utm +zone=32 +ellps=GRS80 +units=m"},
        {{{1024, 1}, {3072, 31467}}, SQUALL_OK, "EPSG:31467"},
        {{{1024, 2}, {2048, 4258}}, SQUALL_OK, "+proj=longlat +ellps=GRS80"},
        {{{1024, 2}, {2048, 32767}, {2057, 40000}, {2059, 40001}},
         SQUALL_OK,
         "+proj=longlat +a=6378137 +rf=298.257222101"},
        {{{1024, 2}, {2057, 40000}}, SQUALL_OK, "+proj=longlat +R=6378137"},
        {{{1024, 2}, {2057, 40000}, {2058, 40000}},
         SQUALL_OK,
         "+proj=longlat +a=6378137 +b=6378137"},
        {{{1024, 1}, {2048, 4326}, {3074, 16133}},
         SQUALL_OK,
         "+proj=utm +zone=33 +south +ellps=WGS84 +units=m"},
        {{{1024, 1}, {2048, 4258}, {3075, 1}, {3080, 40002}, {3092, 40007}},
         SQUALL_OK,
         "+proj=tmerc +lat_0=0 +lon_0=9 +k=0.9996 +x_0=0 +y_0=0 +ellps=GRS80 +units=m"},
        {{{1024, 1}, {2048, 4326}, {3075, 10}, {3088, 40002}, {3089, 40003}, {3082, 40006}},
         SQUALL_OK,
         "+proj=laea +lat_0=52 +lon_0=9 +x_0=100000 +y_0=0 +ellps=WGS84 +units=m"},
        {{{1024, 1}, {2048, 4326}, {3075, 15}, {3081, 40003}, {3095, 40002}},
         SQUALL_OK,
         "+proj=stere +lat_0=90 +lat_ts=52 +lon_0=9 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"},
        {{{1024, 1},
          {2048, 4326},
          {3075, 8},
          {3084, 40002},
          {3085, 40003},
          {3078, 40004},
          {3079, 40005}},
         SQUALL_OK,
         "+proj=lcc +lat_0=52 +lon_0=9 +lat_1=48 +lat_2=54 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"},
        {{{1024, 3}}, SQUALL_E_UNSUPPORTED, "model type 3"},
        {{{1024, 1}}, SQUALL_E_UNSUPPORTED, "its earth"},
        {{{1024, 1}, {2057, 40009}}, SQUALL_E_UNSUPPORTED, "its earth"},
        {{{1024, 1}, {2048, 4326}, {3075, 7}}, SQUALL_E_UNSUPPORTED, "method 7"},
        {{{1024, 1}, {2048, 4326}, {3076, 9002}, {3075, 1}}, SQUALL_E_UNSUPPORTED, "unit 9002"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const double matrix[16] = {500, 0, 0, 1e5, 0, -250, 0, 2e5};
        uint16_t keys[48] = {1, 1, 0, 0};
        size_t count = 0;
        for (; count < 11 && cases[i].keys[count][0] != 0; count++) {
            const uint16_t value = cases[i].keys[count][1];
            const bool is_double = value >= 40000;
            uint16_t *key = keys + 4 + 4 * count;
            key[0] = cases[i].keys[count][0];
            key[1] = is_double ? 34736 : 0;
            key[2] = 1;
            key[3] = is_double ? (uint16_t)(value - 40000) : value;
        }
        keys[3] = (uint16_t)count;
        const sq_geotiff_tags tags = {.matrix = matrix,
                                      .matrix_count = 16,
                                      .keys = keys,
                                      .key_count = 4 + 4 * count,
                                      .doubles = grs80,
                                      .double_count = 8};
        squall_grid grid = {0};
        squall_error err = {0};
        assert_int_equal(sq_geotiff_place(&tags, "x", &grid, &err), cases[i].code);
        if (cases[i].code == SQUALL_OK) {
            assert_string_equal(grid.proj, cases[i].text);
            assert_true(grid.left == 1e5 && grid.top == 2e5 && grid.dx == 500 && grid.dy == 250);
        } else {
            assert_non_null(strstr(err.text, cases[i].text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected), cmocka_unit_test(test_codes),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_quantity),
        cmocka_unit_test(test_places),   cmocka_unit_test(test_bad_bytes),
    };
    return cmocka_run_group_tests_name("io_tiff", tests, NULL, NULL);
}
