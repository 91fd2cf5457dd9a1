/* tests/unit/wx/io/io_check.h - what the tests of single formats share: expected values from a
 * table, and files that are cut, bent and short of memory. */
#ifndef TESTS_IO_CHECK_H
#define TESTS_IO_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "squall/io.h"

#include "base/base.h"

#define CHECK_TABLE   SQUALL_SOURCE_DIR "/tests/expected/io_other.csv"
#define CHECK_SAMPLES SQUALL_SOURCE_DIR "/tests/data/"
#define CHECK_PACK    SQUALL_SHARED_DIR "/data/"
#define CHECK_COLUMNS 33
#define CHECK_SKIPPED 77
#define CHECK_LONLAT  4e-6 /* degrees; GRIB2 rounds to a millionth, MRMS its last point by two */
#define CHECK_FLIPS   400

/* Whether the real-data pack is there; says so if not. */
static inline bool check_has_pack(void)
{
    if (!sq_path_is_folder(CHECK_PACK)) {
        print_message("[  SKIPPED ] %s is not there: real files outside the checkout\n",
                      CHECK_PACK);
        return false;
    }
    return true;
}

/* SHA-256 over values (NaN as 0x7fc00000) and mask, as make_io_other.py reckons it. */
static inline void check_hash(const squall_field *field, char text[SQ_HASH_TEXT])
{
    const size_t cells = field->grid.width * field->grid.height;
    unsigned char *bytes = sq_alloc_raw(cells, 5), hash[SQ_HASH_BYTES];
    assert_non_null(bytes);
    for (size_t i = 0; i < cells; i++) {
        uint32_t bits;
        memcpy(&bits, &field->values[i], sizeof bits);
        if (isnan(field->values[i])) {
            bits = 0x7fc00000u;
        }
        for (size_t k = 0; k < 4; k++) {
            bytes[4 * i + k] = (unsigned char)(bits >> (8 * k));
        }
    }
    memcpy(bytes + 4 * cells, field->mask, cells);
    sq_hash(bytes, 5 * cells, hash);
    sq_hash_format(hash, text);
    sq_free(bytes);
}

static inline void check_close(double found, const char *expected, double tolerance,
                               const char *what, const char *file)
{
    const double wanted = strtod(expected, NULL);
    if (isnan(wanted) ? !isnan(found) : !(fabs(found - wanted) <= tolerance)) {
        fail_msg("%s: %s is %.10g, expected %s", file, what, found, expected);
    }
}

static inline void check_corners(const squall_grid *grid, char **column, const char *file)
{
    const double w = (double)grid->width, h = (double)grid->height;
    const double columns[4] = {0.5, w - 0.5, w - 0.5, 0.5}, rows[4] = {0.5, 0.5, h - 0.5, h - 0.5};
    double lon[4], lat[4];
    squall_error err = {0};
    if (squall_grid_to_lonlat(grid, columns, rows, 4, lon, lat, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", file, err.where, err.text);
    }
    for (int i = 0; i < 4; i++) {
        check_close(lon[i], column[11 + 2 * i], CHECK_LONLAT, "longitude of a corner", file);
        check_close(lat[i], column[12 + 2 * i], CHECK_LONLAT, "latitude of a corner", file);
    }
}

/* Hold one field against one line of the table. */
static inline void check_field(const squall_field *field, char **column)
{
    const char *file = column[1];
    squall_field_counts counts;
    char hash[SQ_HASH_TEXT];
    squall_field_count(field, &counts);
    assert_int_equal(field->quantity, atoi(column[4]));
    assert_string_equal(field->quantity_name, column[5]);
    assert_string_equal(field->unit_name, column[6]);
    assert_true(field->valid_time ==
                (strcmp(column[7], "none") == 0 ? SQUALL_TIME_NONE : strtoll(column[7], NULL, 10)));
    assert_int_equal(field->window_s, atoi(column[8]));
    assert_int_equal(field->grid.width, atoi(column[9]));
    assert_int_equal(field->grid.height, atoi(column[10]));
    check_corners(&field->grid, column, file);
    assert_int_equal(counts.no_coverage, atoi(column[19]));
    assert_int_equal(counts.undetected, atoi(column[20]));
    assert_int_equal(counts.dry, atoi(column[21]));
    assert_int_equal(counts.wet, atoi(column[22]));
    check_close(counts.min, column[23], 0, "min", file);
    check_close(counts.max, column[24], 0, "max", file);
    check_close(counts.mean, column[25], 1e-9 * fabs(counts.mean), "mean", file);
    for (int i = 26; i < 32; i += 3) {
        const size_t at = (size_t)atoi(column[i]) * field->grid.width + (size_t)atoi(column[i + 1]);
        check_close(field->values[at], column[i + 2], 0, "a pixel", file);
    }
    check_hash(field, hash);
    if (strcmp(hash, column[32]) != 0) {
        fail_msg("%s: values differ from the independent reader's", file);
    }
}

/* Cut a line at its commas; how many columns it has. */
static inline int check_split(char *line, char **column)
{
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *p = line; p != NULL && count < CHECK_COLUMNS;) {
        column[count++] = p;
        p = strchr(p, ',');
        if (p != NULL) {
            *p++ = '\0';
        }
    }
    return count;
}

/* Read every file of the table whose root is `root` and whose name begins with `prefix`; how many
 * lines that were. */
static inline int check_table(const char *root, const char *prefix)
{
    FILE *table = fopen(CHECK_TABLE, "r");
    char line[2048], *column[CHECK_COLUMNS];
    int lines = 0;
    assert_non_null(table);
    while (fgets(line, sizeof line, table) != NULL) {
        if (check_split(line, column) != CHECK_COLUMNS || strcmp(column[0], root) != 0 ||
            strncmp(column[1], prefix, strlen(prefix)) != 0) {
            continue;
        }
        char path[1024];
        squall_error err = {0};
        squall_file *file;
        squall_field *field = NULL;
        snprintf(path, sizeof path, "%s%s", strcmp(root, "tests") == 0 ? CHECK_SAMPLES : CHECK_PACK,
                 column[1]);
        const size_t index = (size_t)atoi(column[2]);
        if (squall_file_open(path, NULL, &file, &err) != SQUALL_OK ||
            squall_file_read(file, index, &field, &err) != SQUALL_OK) {
            fail_msg("%s: %s", err.where, err.text);
        }
        assert_string_equal(squall_file_format(file), column[3]);
        assert_true(squall_file_time(file, index) == field->valid_time);
        assert_non_null(strstr(field->source, sq_path_name(path)));
        check_field(field, column);
        squall_field_destroy(&field);
        squall_file_close(&file);
        lines++;
    }
    fclose(table);
    return lines;
}

/* The bytes of a sample, inflated if it is gzipped with the help of the caller: as they are. */
static inline unsigned char *check_load(const char *name, size_t *size)
{
    char path[1024];
    unsigned char *bytes;
    squall_error err = {0};
    snprintf(path, sizeof path, "%s%s", CHECK_SAMPLES, name);
    if (sq_file_read(path, (size_t)64 << 20, &bytes, size, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return bytes;
}

/* Open bytes and read all that is in them. The bytes are a copy of just their size, so that a
 * sanitizer sees what reads past them. */
static inline squall_status check_read_all(const unsigned char *bytes, size_t size,
                                           const char *quantity, squall_error *err)
{
    squall_file *file = NULL;
    squall_io_options options;
    squall_io_options_init(&options);
    options.quantity = quantity;
    unsigned char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    memset(err, 0, sizeof *err);
    squall_status status = squall_file_open_memory(copy, size, "some/file", &options, &file, err);
    assert_true((status == SQUALL_OK) == (file != NULL));
    for (size_t i = 0; status == SQUALL_OK && i < squall_file_count(file); i++) {
        squall_field *field = NULL;
        status = squall_file_read(file, i, &field, err);
        assert_true((status == SQUALL_OK) == (field != NULL));
        squall_field_destroy(&field);
    }
    squall_file_close(&file);
    free(copy);
    return status;
}

/* A failure must say what it is about and in words what is wrong. */
static inline void check_error(squall_status status, const squall_error *err)
{
    assert_int_equal(status, err->code);
    assert_non_null(strstr(err->where, "some/file"));
    assert_true(strlen(err->text) > 4);
    assert_true(status == SQUALL_E_FORMAT || status == SQUALL_E_TRUNCATED ||
                status == SQUALL_E_CORRUPT || status == SQUALL_E_LIMIT ||
                status == SQUALL_E_UNSUPPORTED || status == SQUALL_E_VERSION ||
                status == SQUALL_E_NO_DATA);
}

/* Expect `code` of these bytes, and `words` in the message. */
static inline void check_refused(const unsigned char *bytes, size_t size, squall_status code,
                                 const char *words)
{
    squall_error err;
    const squall_status status = check_read_all(bytes, size, NULL, &err);
    if (status != code || strstr(err.text, words) == NULL) {
        fail_msg("%s: %s: %s; expected %s with '%s'", squall_status_name(status), err.where,
                 err.text, squall_status_name(code), words);
    }
    check_error(status, &err);
}

/* A file cut anywhere is refused: at each of its first bytes, at steps behind, and by one. */
static inline void check_truncation(const unsigned char *bytes, size_t size)
{
    size_t cuts = 0;
    for (size_t cut = 0; cut < size; cut += cut < 400 ? 1 : size / 60 + 1) {
        squall_error err;
        const squall_status status = check_read_all(bytes, cut, NULL, &err);
        if (status == SQUALL_OK) {
            fail_msg("%zu of %zu bytes are taken for the whole", cut, size);
        }
        check_error(status, &err);
        cuts++;
    }
    squall_error err;
    check_error(check_read_all(bytes, size - 1, NULL, &err), &err);
    assert_true(cuts > 60);
}

/* Bits turned over, some at the front, where the structure is: whatever comes of it is a field or
 * a message. Returns how many were refused. */
static inline int check_flips(const unsigned char *bytes, size_t size, size_t front)
{
    unsigned char *bent = malloc(size);
    uint32_t seed = 12345;
    int refused = 0;
    assert_non_null(bent);
    for (int i = 0; i < CHECK_FLIPS; i++) {
        memcpy(bent, bytes, size);
        for (int k = 0; k <= i % 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            const size_t range = i % 2 == 0 && front < size ? front : size;
            bent[(seed >> 8) % range] ^= (unsigned char)(1u << (seed >> 29));
        }
        squall_error err;
        const squall_status status = check_read_all(bent, size, NULL, &err);
        if (status != SQUALL_OK) {
            check_error(status, &err);
            refused++;
        }
    }
    free(bent);
    return refused;
}

/* Each of our allocations made to fail once. */
static inline void check_memory(const unsigned char *bytes, size_t size)
{
    long n = 0;
    for (;; n++) {
        squall_error err;
        sq_memory_fail_at(n);
        const squall_status status = check_read_all(bytes, size, NULL, &err);
        sq_memory_fail_at(-1);
        if (status == SQUALL_OK) {
            break;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
        assert_true(n < 200);
    }
    assert_true(n > 3);
}

#endif /* TESTS_IO_CHECK_H */
