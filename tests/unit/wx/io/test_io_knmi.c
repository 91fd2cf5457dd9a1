/* tests/unit/wx/io/test_io_knmi.c - KNMI's HDF5: what its attributes may say.
 *
 * Real files are read in test_io_hdf5.c; here small ones (fuzz/make_io_hdf5_seeds.py) with one
 * thing at a time changed. Their numbers count from 0, but the first row is 255, out of the image.
 * Expected values follow from KNMI's "HDF5 data format description", version 3.5. */
#include "wx/io/io_hdf5_make.h"
#include "wx/io/io_leaks.h"

#define ACCUMULATION SQUALL_SOURCE_DIR "/fuzz/seeds/io_hdf5/knmi_acrr.h5"
#define REFLECTIVITY SQUALL_SOURCE_DIR "/fuzz/seeds/io_hdf5/knmi_dbz.h5"
#define MIDNIGHT     1767225600 /* date -u -d 2026-01-01T00:00Z +%s */

enum { SIDE = 8 };

/* The file `seed` with the edits, its group `gone` removed; release with sq_free(). */
static unsigned char *make(const char *seed, const edit *edits, const char *gone, size_t *size)
{
    unsigned char *bytes;
    assert_int_equal(sq_file_read(seed, (size_t)1 << 20, &bytes, size, NULL), SQUALL_OK);
    FILE *copy = fopen("knmi_made.h5", "wb");
    assert_non_null(copy);
    assert_int_equal(fwrite(bytes, 1, *size, copy), *size);
    assert_int_equal(fclose(copy), 0);
    sq_free(bytes);
    const hid_t file = ok(H5Fopen("knmi_made.h5", H5F_ACC_RDWR, H5P_DEFAULT));
    put_all(file, edits, 2);
    if (gone != NULL) {
        ok(H5Ldelete(file, gone, H5P_DEFAULT));
    }
    H5Fclose(file);
    return take_file("knmi_made.h5", size);
}

static squall_field *read_made(const char *seed, const edit *edits)
{
    size_t size;
    unsigned char *bytes = make(seed, edits, NULL, &size);
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    if (squall_file_open_memory(bytes, size, "made.h5", NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, 0, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_string_equal(squall_file_format(file), "KNMI HDF5 3.5");
    assert_true(squall_file_time(file, 0) == field->valid_time);
    assert_true(squall_file_time(file, 1) == SQUALL_TIME_NONE);
    squall_file_close(&file);
    sq_free(bytes);
    return field;
}

static const edit none[2];

static void test_sums_and_echoes(void **state)
{
    (void)state;
    squall_field *field = read_made(ACCUMULATION, none);
    assert_int_equal(field->quantity, SQUALL_ACCUMULATION);
    assert_string_equal(field->quantity_name, "ACCUMULATED_PRECIPITATION");
    assert_string_equal(field->unit_name, "mm");
    assert_int_equal(field->valid_time, MIDNIGHT);
    assert_int_equal(field->window_s, 300);
    assert_true(field->grid.dx == 1000 && field->grid.dy == 1000);
    assert_true(field->grid.left == 0 && field->grid.top == -3650000);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        if (i < SIDE) {
            assert_int_equal(field->mask[i], SQUALL_CELL_NO_COVERAGE);
        } else {
            assert_int_equal(field->mask[i], SQUALL_CELL_VALUE);
            assert_true(field->values[i] == (float)((double)i * 0.01));
        }
    }
    squall_field_destroy(&field);
    /* 0 is dry where something is summed. */
    const edit shifted[2] = {
        {TEXT, "image1/calibration", "calibration_formulas", "GEO = 0.01 * PV - 0.10", 0}};
    field = read_made(ACCUMULATION, shifted);
    assert_int_equal(field->mask[8], SQUALL_CELL_NO_COVERAGE); /* below 0 */
    assert_int_equal(field->mask[10], SQUALL_CELL_DRY);
    assert_true(field->values[10] == 0);
    assert_int_equal(field->mask[11], SQUALL_CELL_VALUE);
    squall_field_destroy(&field);
    /* Echoes have no window; "+-32.0" is a number to KNMI. */
    field = read_made(REFLECTIVITY, none);
    assert_int_equal(field->quantity, SQUALL_REFLECTIVITY);
    assert_string_equal(field->unit_name, "dBZ");
    assert_int_equal(field->window_s, 0);
    assert_int_equal(field->mask[0], SQUALL_CELL_NO_COVERAGE);
    assert_true(field->values[8] == -28);
    assert_true(field->values[63] == -0.5f);
    squall_field_destroy(&field);
}

static void test_times(void **state)
{
    (void)state;
    /* The image's own time counts; the product's span is then not known to be its window. */
    const edit own[2] = {{TEXT, "image1", "image_datetime_valid", "31-dec-2025;23:58:00", 0}};
    squall_field *field = read_made(ACCUMULATION, own);
    assert_int_equal(field->valid_time, MIDNIGHT - 120);
    assert_int_equal(field->window_s, 0);
    squall_field_destroy(&field);
    const edit never[2] = {{GONE, "overview", "product_datetime_end", NULL, 0}};
    field = read_made(ACCUMULATION, never);
    assert_true(field->valid_time == SQUALL_TIME_NONE);
    squall_field_destroy(&field);
}

static void test_refused(void **state)
{
    (void)state;
#define GEO "geographic"
#define CAL "image1/calibration"
    static const struct {
        edit edits[2];
        const char *gone; /* a group that is removed */
        squall_status code;
        const char *where, *words;
    } cases[] = {
        {{{TEXT, "overview", "product_datetime_end", "2026-01-01", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/overview/product_datetime_end",
         "'2026-01-01' is no time"},
        {{{TEXT, "overview", "product_datetime_end", "01-JUX-2026;00:00:00", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/overview/product_datetime_end",
         "is no time"},
        {{{TEXT, "overview", "product_datetime_end", "31-DEC-2025;23:50:00", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/overview",
         "ends -300 s after"},
        {{{WHOLE, GEO, "geo_number_rows", NULL, 9}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" GEO,
         "8 columns and 9 rows"},
        {{{NUMBER, GEO, "geo_pixel_size_y", NULL, 1}},
         NULL,
         SQUALL_E_UNSUPPORTED,
         "/" GEO,
         "a negative height"},
        {{{TEXT, GEO, "geo_pixel_def", "CC", 0}}, NULL, SQUALL_E_UNSUPPORTED, "/" GEO, "'CC'"},
        {{{GONE, GEO, "geo_row_offset", NULL, 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" GEO "/geo_row_offset",
         "missing"},
        {{{NUMBER, GEO, "geo_row_offset", NULL, INFINITY}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" GEO "/geo_row_offset",
         "not a finite number"},
        {{{TEXT, GEO "/map_projection", "projection_proj4_params", "stereo", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" GEO,
         "stereo"},
        {{{TEXT, CAL, "calibration_formulas", "0.01*PV", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" CAL "/calibration_formulas",
         "'0.01*PV' is no formula"},
        {{{TEXT, CAL, "calibration_formulas", "GEO=0*PV+1", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" CAL "/calibration_formulas",
         "no formula"},
        {{{TEXT, CAL, "calibration_formulas", "GEO=1*PV*2", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" CAL "/calibration_formulas",
         "no formula"},
        {{{TEXT, CAL, "calibration_missing_data", "x", 0}},
         NULL,
         SQUALL_E_CORRUPT,
         "/" CAL "/calibration_missing_data",
         "not a number"},
        {{{TEXT, "image1", "image_geo_parameter", "WIND_[M/S]", 0}},
         NULL,
         SQUALL_E_NO_DATA,
         "some/file",
         "the last is of WIND"},
        {{{0}}, "image1", SQUALL_E_UNSUPPORTED, "some/file", "a KNMI file without an image"},
        {{{TEXT, "scan1", "note", "x", 0}},
         "image1",
         SQUALL_E_UNSUPPORTED,
         "some/file",
         "a polar volume of one radar"},
        {{{0}}, "image1/image_data", SQUALL_E_CORRUPT, "/image1/image_data", ""},
        {{{0}}, "overview", SQUALL_E_UNSUPPORTED, "some/file", "neither ODIM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        squall_error err;
        unsigned char *bytes = make(ACCUMULATION, cases[i].edits, cases[i].gone, &size);
        const squall_status status = check_read_all(bytes, size, NULL, &err);
        if (status != cases[i].code || strstr(err.text, cases[i].words) == NULL ||
            strstr(err.where, cases[i].where) == NULL) {
            fail_msg("case %zu: %s: %s: %s; expected %s in '%s' with '%s'", i,
                     squall_status_name(status), err.where, err.text,
                     squall_status_name(cases[i].code), cases[i].where, cases[i].words);
        }
        check_error(status, &err);
        sq_free(bytes);
    }
}

static void test_bad_bytes(void **state)
{
    (void)state;
    static const char *const seeds[] = {ACCUMULATION, REFLECTIVITY};
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        unsigned char *bytes = make(seeds[i], none, NULL, &size);
        check_truncation(bytes, size);
        check_flips(bytes, size, 2000);
        check_memory(bytes, size);
        sq_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_and_echoes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_bytes),
    };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* asking for what is not there is no error here */
    return cmocka_run_group_tests_name("io_knmi", tests, NULL, NULL);
}
