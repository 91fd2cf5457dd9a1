/* tests/unit/wx/io/test_io_radolan.c - binary composites of DWD. */
#include <libdeflate.h>

#include "wx/io/io_check.h"

static void test_expected(void **state)
{
    (void)state;
    assert_int_equal(check_table("tests", "dwd/"), 3);
    if (check_has_pack()) {
        assert_int_equal(check_table("shared", "dwd_radolan/"), 17);
    }
}

/* A product of our own: a header and cells that count up, 16 or 8 bits each. */
static unsigned char *make_radolan(const char *header, size_t cells, size_t cell_bytes,
                                   size_t *size)
{
    const size_t length = strlen(header);
    unsigned char *bytes = calloc(length + 1 + cells * cell_bytes, 1);
    assert_non_null(bytes);
    memcpy(bytes, header, length);
    bytes[length] = 0x03;
    for (size_t i = 0; i < cells; i++) {
        bytes[length + 1 + i * cell_bytes] = (unsigned char)(i % 251);
    }
    *size = length + 1 + cells * cell_bytes;
    return bytes;
}

static squall_field *read_one(const unsigned char *bytes, size_t size)
{
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    if (squall_file_open_memory(bytes, size, "made", NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, 0, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_file_close(&file);
    return field;
}

static void check_upper_left(const squall_grid *grid, double lon, double lat)
{
    const double column = 0.5, row = 0.5;
    double found_lon, found_lat;
    squall_error err = {0};
    assert_int_equal(squall_grid_to_lonlat(grid, &column, &row, 1, &found_lon, &found_lat, &err),
                     SQUALL_OK);
    assert_true(fabs(found_lon - lon) < 1e-7 && fabs(found_lat - lat) < 1e-7);
}

/* An RX: bytes of half a dBZ from -32.5; 249 clutter, 250 no data. */
static void test_echoes(void **state)
{
    (void)state;
    const char *header = "RX102050100000814BY 810140VS 3SW   2.13.1PR E+00INT   5GP 900x 900"
                         "MS 66<boo,ros,emd,hnr,umd,pro,ess,asd,neu,nhb,oft,tur,isn,fbg,mem,bdy> ";
    char text[256];
    size_t size;
    snprintf(text, sizeof text, "%s", header);
    snprintf(text + 17, sizeof text - 17, "BY%7zu%s", strlen(header) + 1 + 810000, header + 26);
    unsigned char *bytes = make_radolan(text, 810000, 1, &size);
    squall_field *field = read_one(bytes, size);
    assert_int_equal(field->quantity, SQUALL_REFLECTIVITY);
    assert_string_equal(field->quantity_name, "RX");
    assert_int_equal(field->window_s, 0);
    assert_int_equal(field->valid_time, 1407703800); /* date -u -d 2014-08-10T20:50Z +%s */
    const size_t south = 899 * 900;                  /* the file begins in the south-west */
    assert_int_equal(field->mask[south], SQUALL_CELL_DRY);
    assert_true(field->values[south + 1] == -32.0f);
    assert_true(field->values[south + 248] == 91.5f);
    assert_int_equal(field->mask[south + 249], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(field->mask[south + 250], SQUALL_CELL_NO_COVERAGE);
    /* wradlib 2.9.6: get_radolan_grid(900, 900, mode="center"), pyproj 3.7.2 */
    check_upper_left(&field->grid, 2.0799968425641877, 54.583981071961546);
    squall_field_destroy(&field);
    free(bytes);
}

/* An RV of today's kind: WGS 84, a forecast, and letters in its version. */
static void test_forecast(void **state)
{
    (void)state;
    const char *header = "RV180700100001022BY   2640139VS 5SW PMS00INTPR E-02INT   5GP1200x1100"
                         "VV 005MF 00000008MS 17<deasb,GP 9x  9VV>";
    char text[256];
    size_t size;
    const size_t total = strlen(header) + 1 + 2 * 1320000;
    snprintf(text, sizeof text, "%s", header);
    snprintf(text + 17, sizeof text - 17, "BY%10zu%s", total, header + 29);
    unsigned char *bytes = make_radolan(text, 1320000, 2, &size);
    squall_field *field = read_one(bytes, size);
    assert_string_equal(field->quantity_name, "RV");
    assert_int_equal(field->quantity, SQUALL_ACCUMULATION);
    assert_int_equal(field->window_s, 300);
    assert_int_equal(field->valid_time, 1666076700); /* date -u -d 2022-10-18T07:05Z +%s */
    assert_true(field->values[1199 * 1100 + 250] == 2.5f);
    /* wradlib 2.9.6: create_crs("dwd-radolan-wgs84"), get_radolan_grid(1200, 1100) */
    check_upper_left(&field->grid, 1.4721964849605242, 55.858389752371586);
    squall_field_destroy(&field);
    free(bytes);
}

static void test_flags(void **state)
{
    (void)state;
    size_t size, plain_size = 0;
    unsigned char *packed = check_load("dwd/raa01-rw_10000-1811220050-dwd---bin.gz", &size);
    unsigned char *plain = malloc((size_t)4 << 20);
    assert_non_null(plain);
    struct libdeflate_decompressor *decoder = libdeflate_alloc_decompressor();
    assert_int_equal(libdeflate_gzip_decompress(decoder, packed, size, plain, (size_t)4 << 20,
                                                &plain_size),
                     LIBDEFLATE_SUCCESS);
    libdeflate_free_decompressor(decoder);
    unsigned char *cells = (unsigned char *)memchr(plain, 0x03, 400) + 1;
    static const unsigned raw[] = {0, 7, 0x1007, 0x8007, 0x29c4, 0x2000, 0x4007, 0x0fff};
    for (size_t i = 0; i < 8; i++) {
        cells[2 * i] = (unsigned char)raw[i];
        cells[2 * i + 1] = (unsigned char)(raw[i] >> 8);
    }
    squall_field *field = read_one(plain, plain_size);
    const size_t south = 899 * 900;
    const uint8_t *mask = field->mask + south;
    const float *values = field->values + south;
    assert_int_equal(mask[0], SQUALL_CELL_DRY);
    for (size_t i = 1; i < 4; i++) { /* a secondary source and corrected clutter are values */
        assert_int_equal(mask[i], SQUALL_CELL_VALUE);
        assert_true(values[i] == 0.7f);
    }
    assert_int_equal(mask[4], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(mask[5], SQUALL_CELL_NO_COVERAGE);
    assert_true(isnan(values[4]) && isnan(values[5]));
    assert_true(values[6] == -0.7f);
    assert_true(values[7] == 409.5f);
    squall_field_destroy(&field);
    free(plain);
    sq_free(packed);
}

static void test_headers_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        squall_status code;
        const char *words;
    } cases[] = {
        {"RY011510100000120BY1620142VS 3PR E-02INT   5GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "its 900 x 900 cells make"},
        {"RY311510100000220BY1620142VS 3PR E-02INT   5GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "no time"},
        {"RY011510100001320BY1620142VS 3PR E-02INT   5GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "no time"},
        {"RY011510104100120BY1620142VS 3PR E-02INT   5GP 900x 900MS 0", SQUALL_E_UNSUPPORTED,
         "single radar 10410"},
        {"PG011510100000120BY1620142VS 3PR E-02INT   5GP 900x 900MS 0", SQUALL_E_UNSUPPORTED,
         "'PG'"},
        {"RY011510100000120BY1620142VS 3PR E-02INT   5GP 901x 900MS 0", SQUALL_E_UNSUPPORTED,
         "901 x 900"},
        {"RY011510100000120BY1620142VS 3PR E-02INT   5MS 0", SQUALL_E_UNSUPPORTED, "-1 x -1"},
        {"RY011510100000120BY1620142VS 3PR E-02INT   5GP 900y 900MS 0", SQUALL_E_UNSUPPORTED,
         "900 x -1"},
        {"RY011510100000120BY1620142VS 5PR E-02INT   5GP1500x1400MS 0", SQUALL_E_UNSUPPORTED,
         "version 5"},
        {"RY011510100000120BY1620142VS 3INT   5GP 900x 900MS 0", SQUALL_E_CORRUPT, "precision"},
        {"RY011510100000120BY1620142VS 3PR E-XXINT   5GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "precision"},
        {"RY011510100000120BY1620142VS 3PR E-02INT   0GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "interval"},
        {"RY011510100000120BY1620142VS 3PR E-02INT   5U7GP 900x 900MS 0", SQUALL_E_CORRUPT,
         "interval"},
        {"RY011510100000120BY1620142VS 3PR E-02INT9999U1GP 900x 900MS 0", SQUALL_E_LIMIT, "days"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        unsigned char *bytes = make_radolan(cases[i].header, 100, 2, &size);
        check_refused(bytes, size, cases[i].code, cases[i].words);
        free(bytes);
    }
}

static void test_bad_bytes(void **state)
{
    (void)state;
    size_t size;
    const char *header = "RY011510100000120BY1620061VS 3PR E-02INT   5GP 900x 900MS  0";
    unsigned char *bytes = make_radolan(header, 810000, 2, &size);
    assert_int_equal(size, 1620061);
    squall_error err;
    assert_int_equal(check_read_all(bytes, size, NULL, &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, size, "ACRR", &err), SQUALL_OK);
    assert_int_equal(check_read_all(bytes, size, "RW", &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "holds RY"));
    check_truncation(bytes, size);
    check_memory(bytes, size);
    check_refused(bytes, size - 1, SQUALL_E_TRUNCATED, "1620061");
    check_refused(bytes, 40, SQUALL_E_TRUNCATED, "does not end");
    /* Only the header can be wrong; every bit of the cells is a value. */
    int refused = 0;
    for (size_t bit = 0; bit < 61 * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const squall_status status = check_read_all(bytes, size, NULL, &err);
        if (status != SQUALL_OK) {
            check_error(status, &err);
            refused++;
        }
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(refused > 100);
    /* A header that never ends. */
    memset(bytes + 19, 'x', 300000);
    check_refused(bytes, 300000, SQUALL_E_CORRUPT, "does not end");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected),        cmocka_unit_test(test_echoes),
        cmocka_unit_test(test_forecast),        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_headers_refused), cmocka_unit_test(test_bad_bytes),
    };
    return cmocka_run_group_tests_name("io_radolan", tests, NULL, NULL);
}
