/* tests/unit/wx/io/test_io_hdf5.c - real ODIM, KNMI and netCDF files against independent readers,
 * and the same files cut and damaged.
 *
 * What they hold is in tests/expected/io_hdf5_fields.csv and io_hdf5_samples.csv, made by
 * tests/expected/make_io_hdf5.py (tools and versions in their first lines). Files that may be
 * shipped are in the tree; the others come from the real-data pack, and are left out, loudly,
 * without it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "squall/io.h"
#include "wx/io/io_leaks.h"

#define EXPECTED    SQUALL_SOURCE_DIR "/tests/expected/"
#define PACK        SQUALL_SHARED_DIR "/data"
#define PATH_BYTES  1024
#define COLUMNS_MAX 28

/* Columns of io_hdf5_fields.csv. */
enum {
    FOLDER,
    FILE_NAME,
    INDEX,
    QUANTITY,
    UNIT,
    VALID_TIME,
    WINDOW_S,
    WIDTH,
    HEIGHT,
    NO_COVERAGE,
    DRY,
    UNDETECTED,
    WET,
    MIN,
    MAX,
    MEAN,
    SHA256,
    QUALITY_CELLS,
    QUALITY_SHA256,
    PLACES,
    COLUMN_COUNT = PLACES + 8
};

static bool have_pack(void)
{
    return sq_path_is_folder(PACK);
}

/* Where a file of the pack is: there, or shipped in the tree. False if it is nowhere. */
static bool find_file(const char *folder, const char *name, char path[PATH_BYTES])
{
    static const char *const roots[] = {PACK "/%s/%s", SQUALL_SOURCE_DIR "/data/knmi/%.0s%s",
                                        SQUALL_SOURCE_DIR "/tests/data/odim/%.0s%s"};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(path, PATH_BYTES, roots[i], folder, name);
#pragma GCC diagnostic pop
        if (access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* Split a line of CSV without quotes, in place; the number of cells. */
static size_t split(char *line, char *cells[COLUMNS_MAX])
{
    size_t count = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *rest = line, *cell; (cell = strsep(&rest, ",")) != NULL && count < COLUMNS_MAX;) {
        cells[count++] = cell;
    }
    return count;
}

static void hash_floats(const float *values, size_t count, const uint8_t *mask, char *text)
{
    const size_t bytes = count * sizeof(float) + (mask != NULL ? count : 0);
    unsigned char *all = malloc(bytes), hash[SQ_HASH_BYTES];
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = 0x7fc00000;
        if (!isnan(values[i])) {
            memcpy(&bits, &values[i], sizeof bits);
        }
        memcpy(all + i * sizeof bits, &bits, sizeof bits);
    }
    if (mask != NULL) {
        memcpy(all + count * sizeof(float), mask, count);
    }
    sq_hash(all, bytes, hash);
    sq_hash_format(hash, text);
    free(all);
}

static void check_numbers(const squall_field *field, char *const *row)
{
    squall_field_counts counts;
    squall_field_count(field, &counts);
    assert_int_equal(field->grid.width, atol(row[WIDTH]));
    assert_int_equal(field->grid.height, atol(row[HEIGHT]));
    assert_int_equal(counts.no_coverage, atol(row[NO_COVERAGE]));
    assert_int_equal(counts.dry, atol(row[DRY]));
    assert_int_equal(counts.undetected, atol(row[UNDETECTED]));
    assert_int_equal(counts.wet, atol(row[WET]));
    if (counts.wet > 0) {
        assert_true((float)counts.min == strtof(row[MIN], NULL));
        assert_true((float)counts.max == strtof(row[MAX], NULL));
        const double mean = strtod(row[MEAN], NULL);
        assert_true(fabs(counts.mean - mean) <= 1e-10 * fabs(mean));
    }
    char text[SQ_HASH_TEXT];
    hash_floats(field->values, counts.cells, field->mask, text);
    assert_string_equal(text, row[SHA256]);
    if (strcmp(row[QUALITY_SHA256], "-") == 0) {
        assert_null(field->quality);
    } else {
        size_t known = 0;
        assert_non_null(field->quality);
        for (size_t i = 0; i < counts.cells; i++) {
            known += !isnan(field->quality[i]);
        }
        assert_int_equal(known, atol(row[QUALITY_CELLS]));
        hash_floats(field->quality, counts.cells, NULL, text);
        assert_string_equal(text, row[QUALITY_SHA256]);
    }
}

/* Centres of four cells, a quarter of the sides from the edges, within a hundredth of a cell (2e-6
 * degrees where that is more: the accuracy of longitudes stored in files). */
static void check_places(const squall_field *field, char *const *row)
{
    double column[4], line[4], lon[4], lat[4];
    const squall_grid *grid = &field->grid;
    for (size_t i = 0; i < 4; i++) {
        column[i] = (double)((i % 2 == 0 ? 1 : 3) * grid->width / 4) + 0.5;
        line[i] = (double)((i / 2 == 0 ? 1 : 3) * grid->height / 4) + 0.5;
    }
    assert_int_equal(squall_grid_to_lonlat(grid, column, line, 4, lon, lat, NULL), SQUALL_OK);
    for (size_t i = 0; i < 4; i++) {
        const double tolerance = 0.01 * grid->dx / 111e3 / cos(lat[i] * 0.017453292519943295);
        assert_true(fabs(lon[i] - strtod(row[PLACES + 2 * i], NULL)) < tolerance + 2e-6);
        assert_true(fabs(lat[i] - strtod(row[PLACES + 2 * i + 1], NULL)) < tolerance + 2e-6);
    }
}

static void check_row(char *const *row, const char *path)
{
    squall_file *file = NULL;
    squall_field *field = NULL;
    squall_error err = {.text = ""};
    const size_t index = (size_t)atol(row[INDEX]);
    if (squall_file_open(path, NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, index, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", path, err.where, err.text);
    }
    assert_string_equal(field->quantity_name, row[QUANTITY]);
    assert_string_equal(field->unit_name, row[UNIT]);
    assert_int_equal(field->valid_time, atoll(row[VALID_TIME]));
    assert_int_equal(squall_file_time(file, index), field->valid_time);
    assert_int_equal(field->window_s, atol(row[WINDOW_S]));
    check_numbers(field, row);
    check_places(field, row);
    squall_field_destroy(&field);
    squall_file_close(&file);
}

/* Every file of the pack, or what of it is shipped; all pixels, by their hash. */
static void test_every_file(void **state)
{
    (void)state;
    char line[1024], *row[COLUMNS_MAX], path[PATH_BYTES];
    size_t checked = 0, absent = 0;
    FILE *csv = fopen(EXPECTED "io_hdf5_fields.csv", "r");
    assert_non_null(csv);
    while (fgets(line, sizeof line, csv) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(split(line, row), COLUMN_COUNT);
        if (find_file(row[FOLDER], row[FILE_NAME], path)) {
            check_row(row, path);
            checked++;
        } else {
            absent++;
        }
    }
    fclose(csv);
    printf("%zu fields compared", checked);
    if (have_pack()) {
        assert_int_equal(absent, 0);
        assert_true(checked > 200);
    } else {
        printf(", %zu LEFT OUT: the real-data pack is not at %s", absent, PACK);
        assert_true(checked > 0);
    }
    printf("\n");
}

/* Single cells by row and column, so that a failure above can be looked at. */
static void test_samples(void **state)
{
    (void)state;
    char line[1024], *cells[COLUMNS_MAX], path[PATH_BYTES], open_name[PATH_BYTES] = "";
    size_t checked = 0;
    squall_field *field = NULL;
    FILE *csv = fopen(EXPECTED "io_hdf5_samples.csv", "r");
    assert_non_null(csv);
    while (fgets(line, sizeof line, csv) != NULL) {
        if (line[0] == '#' || split(line, cells) != 7 || !find_file(cells[0], cells[1], path)) {
            continue;
        }
        if (strcmp(path, open_name) != 0) {
            squall_file *file = NULL;
            squall_field_destroy(&field);
            assert_int_equal(squall_file_open(path, NULL, &file, NULL), SQUALL_OK);
            assert_int_equal(squall_file_read(file, (size_t)atol(cells[2]), &field, NULL),
                             SQUALL_OK);
            squall_file_close(&file);
            snprintf(open_name, sizeof open_name, "%s", path);
        }
        const size_t cell = (size_t)atol(cells[3]) * field->grid.width + (size_t)atol(cells[4]);
        assert_int_equal(field->mask[cell], atol(cells[5]));
        if (field->mask[cell] == SQUALL_CELL_NO_COVERAGE) {
            assert_true(isnan(field->values[cell]));
        } else {
            assert_true(field->values[cell] == strtof(cells[6], NULL));
        }
        checked++;
    }
    fclose(csv);
    squall_field_destroy(&field);
    assert_true(checked >= 48);
}

/* All 2304 frames: SHA-256 of the hashes of all, as make_io_hdf5.py prints it. */
static void test_openmrg_every_frame(void **state)
{
    (void)state;
    char path[PATH_BYTES], text[SQ_HASH_TEXT];
    if (!find_file("smhi_openmrg", "openmrg_rad_8d.nc", path)) {
        printf("SKIPPED: the real-data pack is not at %s\n", PACK);
        skip();
    }
    squall_file *file = NULL;
    assert_int_equal(squall_file_open(path, NULL, &file, NULL), SQUALL_OK);
    assert_int_equal(squall_file_count(file), 2304);
    unsigned char *hashes = malloc(2304 * SQ_HASH_BYTES), all[SQ_HASH_BYTES];
    assert_non_null(hashes);
    for (size_t i = 0; i < 2304; i++) {
        squall_field *field = NULL;
        assert_int_equal(squall_file_read(file, i, &field, NULL), SQUALL_OK);
        hash_floats(field->values, field->grid.width * field->grid.height, field->mask, text);
        for (size_t byte = 0; byte < SQ_HASH_BYTES; byte++) {
            const char pair[3] = {text[2 * byte], text[2 * byte + 1], 0};
            hashes[i * SQ_HASH_BYTES + byte] = (unsigned char)strtoul(pair, NULL, 16);
        }
        squall_field_destroy(&field);
    }
    squall_file_close(&file);
    sq_hash(hashes, 2304 * SQ_HASH_BYTES, all);
    free(hashes);
    assert_string_equal(sq_hash_format(all, text),
                        "f68a09e474d8af6d844c2458d2f46e463988ca25b2e1877ade291dcd4692be04");
}

/* The outer corners as the files themselves state them: ODYSSEY in /where, KNMI in
 * geo_product_corners (float32, three decimals). Lower left, upper left, upper right, lower right.
 */
static void test_corners(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *name;
        double tolerance, lon[4], lat[4];
    } cases[] = {
        {"opera_odyssey_rate",
         "T_PAAH21_C_EUOC_20180824180000.hdf",
         1e-7,
         {-10.434576838640398, -39.5357864125034, 57.81196475014995, 29.421038635578032},
         {31.746215319325056, 67.02283275830867, 67.62103710275053, 31.98765027794496}},
        {"knmi_rap",
         "RAD_NL25_RAP_5min_201008260000.h5",
         6e-4,
         {0, 0, 10.856, 9.009},
         {49.362, 55.974, 55.389, 48.895}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[PATH_BYTES];
        squall_file *file = NULL;
        squall_field *field = NULL;
        assert_true(find_file(cases[i].folder, cases[i].name, path));
        assert_int_equal(squall_file_open(path, NULL, &file, NULL), SQUALL_OK);
        assert_int_equal(squall_file_read(file, 0, &field, NULL), SQUALL_OK);
        const double w = (double)field->grid.width, h = (double)field->grid.height;
        const double column[4] = {0, 0, w, w}, row[4] = {h, 0, 0, h};
        double lon[4], lat[4];
        assert_int_equal(squall_grid_to_lonlat(&field->grid, column, row, 4, lon, lat, NULL),
                         SQUALL_OK);
        for (size_t j = 0; j < 4; j++) {
            assert_true(fabs(lon[j] - cases[i].lon[j]) < cases[i].tolerance);
            assert_true(fabs(lat[j] - cases[i].lat[j]) < cases[i].tolerance);
        }
        squall_field_destroy(&field);
        squall_file_close(&file);
    }
}

static void test_polar_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"T_PAGZ35_C_ENMI_20170421090837.hdf",
                                        "T_PAZA63_C_LFPW_20230420065041.h5",
                                        "knmi_polar_volume.h5"};
    if (!have_pack()) {
        printf("SKIPPED: the real-data pack is not at %s\n", PACK);
        skip();
    }
    for (size_t i = 0; i < 3; i++) {
        char path[PATH_BYTES];
        squall_file *file = NULL;
        squall_error err = {.text = ""};
        assert_true(find_file("odim_polar", names[i], path));
        assert_int_equal(squall_file_open(path, NULL, &file, &err), SQUALL_E_UNSUPPORTED);
        assert_null(file);
        assert_non_null(strstr(err.text, "polar volume"));
        assert_non_null(strstr(err.text, "COMP"));
        assert_non_null(strstr(err.where, names[i]));
    }
}

/* --- cut and damaged --- */

/* Open the bytes and read the first field; whichever failed first. */
static squall_status try_bytes(const unsigned char *bytes, size_t size, squall_error *err)
{
    squall_file *file = NULL;
    squall_field *field = NULL;
    unsigned char *copy = malloc(size > 0 ? size : 1); /* just its size: ASan sees an over-read */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    squall_status status = squall_file_open_memory(copy, size, "cut", NULL, &file, err);
    if (status == SQUALL_OK) {
        status = squall_file_read(file, 0, &field, err);
    }
    squall_field_destroy(&field);
    squall_file_close(&file);
    free(copy);
    return status;
}

static const char *const kinds[][2] = {
    {"opera_odyssey_rate", "T_PAAH21_C_EUOC_20180824180000.hdf"},
    {"knmi_rap", "RAD_NL25_RAP_5min_201008260000.h5"},
    {"opera_nimbus_acrr", "T_PASH22_C_EUOC_20241126010000.hdf"},
    {"bom_prcp_c10", "66_20201031_000000.prcp-c10.nc"},
    {"bom_prcp_cscn", "2_20180616_100000.prcp-cscn.nc"},
    {"saf_nwcsaf_crr", "S_NWC_CRR_MSG4_Europe-VISIR_20180601T070000Z.nc"},
    {"smhi_openmrg", "openmrg_rad_8d.nc"},
};

static void test_cut(void **state)
{
    (void)state;
    size_t cut = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char path[PATH_BYTES];
        unsigned char *bytes;
        size_t size;
        if (!find_file(kinds[i][0], kinds[i][1], path)) {
            continue;
        }
        assert_int_equal(sq_file_read(path, SQ_LIMIT_FILE_BYTES, &bytes, &size, NULL), SQUALL_OK);
        const size_t at[] = {8, 9, 20, 48, 96, 512, 2048, size / 4, size / 2, size - 1};
        for (size_t j = 0; j < sizeof at / sizeof at[0]; j++) {
            squall_error err = {.text = ""};
            assert_int_equal(try_bytes(bytes, at[j], &err), SQUALL_E_TRUNCATED);
            assert_true(err.text[0] != 0);
        }
        assert_int_equal(try_bytes(bytes, 7, NULL), SQUALL_E_FORMAT);
        cut++;
        sq_free(bytes);
    }
    assert_true(cut >= 2);
}

/* Bytes overwritten in many places: refused or read, never worse; and never without words. */
static void test_damaged(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (size_t i = 0; i < 5; i++) {
        char path[PATH_BYTES];
        unsigned char *bytes;
        size_t size;
        if (i == 2 || !find_file(kinds[i][0], kinds[i][1], path)) {
            continue;
        }
        assert_int_equal(sq_file_read(path, SQ_LIMIT_FILE_BYTES, &bytes, &size, NULL), SQUALL_OK);
        for (size_t round = 0; round < 12; round++) {
            seed = seed * 1664525u + 1013904223u;
            const size_t at = 64 + seed % (size - 128);
            unsigned char kept[16];
            memcpy(kept, bytes + at, sizeof kept);
            memset(bytes + at, (int)(seed >> 24), sizeof kept);
            squall_error err = {.text = ""};
            const squall_status status = try_bytes(bytes, size, &err);
            assert_true(status == SQUALL_OK || err.text[0] != 0);
            memcpy(bytes + at, kept, sizeof kept);
        }
        sq_free(bytes);
    }
}

/* Each allocation of ours made to fail once. */
static void test_no_memory(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    unsigned char *bytes;
    size_t size;
    long failed = 0;
    assert_true(find_file("knmi_rap", "RAD_NL25_RAP_5min_201008260000.h5", path));
    assert_int_equal(sq_file_read(path, SQ_LIMIT_FILE_BYTES, &bytes, &size, NULL), SQUALL_OK);
    for (;; failed++) {
        squall_error err = {.text = ""};
        sq_memory_fail_at(failed);
        const squall_status status = try_bytes(bytes, size, &err);
        sq_memory_fail_at(-1);
        if (status == SQUALL_OK) {
            break;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
        assert_true(failed < 1000);
    }
    assert_true(failed > 5);
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file),       cmocka_unit_test(test_samples),
        cmocka_unit_test(test_corners),          cmocka_unit_test(test_openmrg_every_frame),
        cmocka_unit_test(test_polar_is_refused), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damaged),          cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
