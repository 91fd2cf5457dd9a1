/* tests/unit/wx/io/test_io_archive.c - the fields of many files in the order of time, with broken
 * files among them. */
#include <sys/stat.h>
#include <unistd.h>

#include "wx/io/io_check.h"

#define NOON   1781870400 /* date -u -d 2026-06-19T12:00Z +%s */
#define FOLDER "archive_test"

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A small composite as PGM, observed at `time`; its first pixel tells one from another. */
static void write_pgm(const char *path, const char *time, unsigned char first, size_t cut)
{
    char text[512];
    const size_t used = (size_t)snprintf(
        text, sizeof text,
        "P5\n# obstime %s\n# param CorrectedReflectivity\n# type stereographic\n# centrallongitude "
        "25\n# centrallatitude 90\n# truelatitude 60\n# bottomleft 24.0 60.0\n# topright 26.0 62.0"
        "\n2 2\n255\n",
        time);
    text[used] = (char)first;
    memcpy(text + used + 1, "abc", 3);
    write_bytes(path, text, used + 4 - cut);
}

static const char *const files[] = {
    FOLDER "/d.pgm",      FOLDER "/a.pgm",         FOLDER "/b.pgm", FOLDER "/c.pgm",
    FOLDER "/cut.pgm",    FOLDER "/notes.txt",     FOLDER "/z.pgm", FOLDER "/.hidden.pgm",
    FOLDER "/damaged.h5", FOLDER "/in/inside.pgm",
};

static void clean(void)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        unlink(files[i]);
    }
    rmdir(FOLDER "/in");
    rmdir(FOLDER);
}

static int set_up(void **state)
{
    (void)state;
    clean();
    assert_int_equal(mkdir(FOLDER, 0777), 0);
    assert_int_equal(mkdir(FOLDER "/in", 0777), 0);
    write_pgm(files[0], "202606191200", 10, 0);
    write_pgm(files[1], "202606191210", 11, 0);
    write_pgm(files[2], "202606191205", 12, 0);
    write_pgm(files[3], "202606191225", 13, 0);
    write_pgm(files[4], "202606191215", 14, 1);
    write_bytes(files[5], "nothing", 7);
    write_pgm(files[6], "202606191205", 15, 0); /* the time of b.pgm */
    write_pgm(files[7], "202606191220", 16, 0);
    size_t size;
    unsigned char *bytes;
    assert_int_equal(sq_file_read(SQUALL_SOURCE_DIR "/fuzz/seeds/io_hdf5/odim24_acrr.h5",
                                  (size_t)1 << 20, &bytes, &size, NULL),
                     SQUALL_OK);
    /* The type of a number in an attribute of /dataset1/data1/what. */
    unsigned char *gain = memmem(bytes, size, "gain", 5);
    assert_non_null(gain);
    gain[8] = 0xee;
    write_bytes(files[8], bytes, size);
    sq_free(bytes);
    write_pgm(files[9], "202606191230", 17, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clean();
    return 0;
}

/* Whether a note says both. */
static bool is_noted(const squall_notes *notes, const char *name, const char *words)
{
    for (size_t i = 0; i < squall_notes_count(notes); i++) {
        const char *line = squall_notes_get(notes, i);
        if (strstr(line, name) != NULL && strstr(line, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_folder(void **state)
{
    (void)state;
    const char *const path = FOLDER;
    squall_archive *archive;
    squall_error err = {0};
    squall_notes *notes = squall_notes_create();
    assert_int_equal(squall_archive_open(&path, 1, NULL, &archive, notes, &err), SQUALL_OK);
    static const struct {
        int minute;
        const char *name;
        float first; /* dBZ: 0.5 v - 32 */
    } expected[] = {{0, "/d.pgm", -27},
                    {5, "/b.pgm", -26},
                    {10, "/a.pgm", -26.5f},
                    {25, "/c.pgm", -25.5f}};
    assert_int_equal(squall_archive_count(archive), 4);
    for (size_t i = 0; i < 4; i++) {
        squall_field *field = NULL;
        assert_int_equal(squall_archive_time(archive, i), NOON + 60 * expected[i].minute);
        assert_non_null(strstr(squall_archive_name(archive, i), expected[i].name));
        assert_int_equal(squall_archive_read(archive, i, &field, &err), SQUALL_OK);
        assert_int_equal(field->valid_time, squall_archive_time(archive, i));
        assert_true(field->values[0] == expected[i].first);
        squall_field_destroy(&field);
    }
    assert_int_equal(squall_archive_step_s(archive), 300);
    /* What was left out, by name and with the reason. */
    assert_int_equal(squall_notes_count(notes), 5);
    assert_true(is_noted(notes, "cut.pgm", "3 bytes of pixels"));
    assert_true(is_noted(notes, "notes.txt", "no format that is known"));
    assert_true(is_noted(notes, "damaged.h5", "passed over"));
    assert_true(is_noted(notes, "z.pgm", "as archive_test/b.pgm does"));
    assert_true(is_noted(notes, "archive_test/in", "not looked into"));
    squall_archive_close(&archive);
    assert_null(archive);
    squall_archive_close(&archive);
    squall_archive_close(NULL);
    squall_notes_destroy(&notes);
}

static void test_find(void **state)
{
    (void)state;
    const char *const paths[] = {FOLDER "/in/", files[3], files[0]};
    squall_archive *archive;
    squall_field *field = NULL;
    squall_error err = {0};
    assert_int_equal(squall_archive_open(paths, 3, NULL, &archive, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_archive_count(archive), 3);    /* 12:00, 12:25, 12:30 */
    assert_int_equal(squall_archive_step_s(archive), 300); /* of 1500 and 300, the shorter */
    static const struct {
        int second, tolerance_s;
        size_t index;
    } cases[] = {{0, 0, 0},
                 {149, 150, 0},
                 {-150, 150, 0},
                 {151, 150, SIZE_MAX},
                 {25 * 60, 0, 1},
                 {1649, 300, 1},
                 {1651, 300, 2},
                 {1800 + 60, 60, 2},
                 {1800 + 61, 60, SIZE_MAX},
                 {86400, 86400, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(squall_archive_find(archive, NOON + cases[i].second, cases[i].tolerance_s),
                         cases[i].index);
    }
    assert_string_equal(squall_archive_name(archive, 2), "archive_test/in/inside.pgm");
    assert_null(squall_archive_name(archive, 3));
    assert_true(squall_archive_time(archive, 3) == SQUALL_TIME_NONE);
    assert_int_equal(squall_archive_read(archive, 3, &field, &err), SQUALL_E_ARGUMENT);
    assert_null(field);
    /* A file that changed since is not read for another. */
    write_pgm(files[3], "202606191226", 13, 0);
    assert_int_equal(squall_archive_read(archive, 1, &field, &err), SQUALL_E_IO);
    assert_non_null(strstr(err.text, "has changed"));
    assert_non_null(strstr(err.where, "c.pgm"));
    unlink(files[3]);
    assert_int_equal(squall_archive_read(archive, 1, &field, &err), SQUALL_E_IO);
    squall_archive_close(&archive);
    write_pgm(files[3], "202606191225", 13, 0);
}

/* Files with several fields: each has its number, and the file stays open between them. */
static void test_frames(void **state)
{
    (void)state;
    const char *const path = SQUALL_SOURCE_DIR "/fuzz/seeds/io_hdf5/cf4_rate.nc";
    squall_archive *archive;
    squall_field *field = NULL;
    squall_error err = {0};
    assert_int_equal(squall_archive_open(&path, 1, NULL, &archive, NULL, &err), SQUALL_OK);
    assert_int_equal(squall_archive_count(archive), 2);
    assert_int_equal(squall_archive_step_s(archive), 300);
    for (size_t round = 0; round < 4; round++) {
        const size_t index = round % 2;
        const char *name = squall_archive_name(archive, index);
        assert_string_equal(name + strlen(path), index == 0 ? "#0" : "#1");
        assert_int_equal(squall_archive_read(archive, index, &field, &err), SQUALL_OK);
        assert_int_equal(field->valid_time, squall_archive_time(archive, index));
        squall_field_destroy(&field);
    }
    squall_archive_close(&archive);
}

static void test_refused(void **state)
{
    (void)state;
    squall_archive *archive;
    squall_error err = {0};
    squall_io_options options;
    squall_io_options_init(&options);
    const char *const nowhere[] = {FOLDER, "not/there"};
    assert_int_equal(squall_archive_open(nowhere, 2, NULL, &archive, NULL, &err), SQUALL_E_IO);
    assert_null(archive);
    assert_string_equal(err.where, "not/there");
    const char *const bad[] = {files[4], files[5]};
    assert_int_equal(squall_archive_open(bad, 2, NULL, &archive, NULL, &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.where, "cut.pgm"));
    assert_non_null(strstr(err.text, "in 2 files; the first: 3 bytes of pixels"));
    assert_int_equal(squall_archive_open(bad, 0, NULL, &archive, NULL, &err), SQUALL_E_NO_DATA);
    options.quantity = "RATE";
    const char *const folder = FOLDER;
    assert_int_equal(squall_archive_open(&folder, 1, &options, &archive, NULL, &err),
                     SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "not 'RATE'"));
    options.struct_size = 1;
    assert_int_equal(squall_archive_open(&folder, 1, &options, &archive, NULL, &err),
                     SQUALL_E_ARGUMENT);
    /* A field without a time has no place in the order of time. */
    const char *const timeless = CHECK_SAMPLES "tiff/utm_uint8.tif";
    squall_notes *notes = squall_notes_create();
    assert_int_equal(squall_archive_open(&timeless, 1, NULL, &archive, notes, &err),
                     SQUALL_E_NO_DATA);
    assert_true(is_noted(notes, "utm_uint8.tif", "has no time"));
    squall_notes_destroy(&notes);
}

/* Each of our allocations made to fail once, in opening and in reading. */
static void test_memory(void **state)
{
    (void)state;
    const char *const folder = FOLDER;
    squall_io_options options;
    squall_io_options_init(&options);
    options.quantity = "DBZH";
    long n = 0;
    for (;; n++) {
        squall_archive *archive = NULL;
        squall_field *field = NULL;
        squall_error err = {0};
        sq_memory_fail_at(n);
        squall_status status = squall_archive_open(&folder, 1, &options, &archive, NULL, &err);
        if (status == SQUALL_OK) {
            status = squall_archive_read(archive, 1, &field, &err);
        }
        sq_memory_fail_at(-1);
        squall_field_destroy(&field);
        squall_archive_close(&archive);
        if (status == SQUALL_OK) {
            break;
        }
        assert_int_equal(status, SQUALL_E_MEMORY);
        assert_int_equal(err.code, SQUALL_E_MEMORY);
        assert_true(strlen(err.text) > 4 && strlen(err.where) > 0);
        assert_true(n < 500);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder), cmocka_unit_test(test_find),
        cmocka_unit_test(test_frames), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("io_archive", tests, set_up, tear_down);
}
