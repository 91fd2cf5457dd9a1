/* tests/unit/wx/io/test_io_open.c - formats told by content, gzip, and what opening may refuse. */
#include <pthread.h>

#include <libdeflate.h>

#include "wx/io/io_check.h"

#define SEEDS SQUALL_SOURCE_DIR "/fuzz/seeds/"

/* One file of each kind, and what it is by content. */
static const struct {
    const char *path, *format;
    size_t fields;
} kinds[] = {
    {CHECK_SAMPLES "odim/T_PAAH21_C_EUOC_20180824180000.hdf", "ODIM_H5 2.0 COMP", 1},
    {SEEDS "io_hdf5/odim24_acrr.h5", "ODIM_H5 2.4 COMP", 1},
    {SEEDS "io_hdf5/knmi_acrr.h5", "KNMI HDF5 3.5", 1},
    {SEEDS "io_hdf5/cf4_rate.nc", "netCDF-4 CF-1.8", 2},
    {SEEDS "io_netcdf3/cf3_rate.nc", "netCDF-3 CF-1.8", 2},
    {SEEDS "io_netcdf3/cf5_amount.nc", "netCDF-3 CF-1.8", 1},
    {CHECK_SAMPLES "mrms/preciprate_crop.grib2", "GRIB2 MRMS", 1},
    {CHECK_SAMPLES "grib/several.grib2", "GRIB2", 2},
    {CHECK_SAMPLES "tiff/laea_int16_point.tif", "GeoTIFF", 1},
    {CHECK_SAMPLES "tiff/strips_float_big.tif", "GeoTIFF", 1},
    {CHECK_SAMPLES "dwd/raa01-rw_10000-1811220050-dwd---bin.gz", "RADOLAN RW", 1},
    {CHECK_SAMPLES "fmi/201609281600_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz", "PGM FMI", 1},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static unsigned char *load(const char *path, size_t *size)
{
    unsigned char *bytes;
    squall_error err = {0};
    if (sq_file_read(path, (size_t)64 << 20, &bytes, size, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return bytes;
}

/* Gzip bytes; the caller frees. */
static unsigned char *zip(const unsigned char *bytes, size_t size, size_t *zipped)
{
    struct libdeflate_compressor *encoder = libdeflate_alloc_compressor(6);
    const size_t room = libdeflate_gzip_compress_bound(encoder, size);
    unsigned char *out = malloc(room);
    assert_non_null(out);
    *zipped = libdeflate_gzip_compress(encoder, bytes, size, out, room);
    assert_true(*zipped > 0);
    libdeflate_free_compressor(encoder);
    return out;
}

static void check_kind(const unsigned char *bytes, size_t size, size_t kind,
                       char hash[SQ_HASH_TEXT])
{
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    /* A name that says nothing, or the wrong thing. */
    if (squall_file_open_memory(bytes, size, "folder/report.pdf", NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, 0, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s: %s", kinds[kind].path, err.where, err.text);
    }
    assert_string_equal(squall_file_format(file), kinds[kind].format);
    assert_int_equal(squall_file_count(file), kinds[kind].fields);
    assert_non_null(strstr(field->source, "report.pdf"));
    check_hash(field, hash);
    squall_field_destroy(&field);
    squall_file_close(&file);
    assert_null(file);
}

static void test_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        size_t size, zipped_size;
        char plain[SQ_HASH_TEXT], inflated[SQ_HASH_TEXT];
        unsigned char *bytes = load(kinds[i].path, &size);
        check_kind(bytes, size, i, plain);
        if (strstr(kinds[i].path, ".gz") == NULL) {
            unsigned char *zipped = zip(bytes, size, &zipped_size);
            check_kind(zipped, zipped_size, i, inflated);
            assert_string_equal(inflated, plain);
            free(zipped);
        }
        sq_free(bytes);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        squall_status code;
        const char *words;
    } cases[] = {
        {"", 0, SQUALL_E_TRUNCATED, "is empty"},
        {"x", 1, SQUALL_E_FORMAT, "no format that is known"},
        {"GRIB", 4, SQUALL_E_FORMAT, "no format"},
        {"GRIB\0\0\0\1...", 11, SQUALL_E_TRUNCATED, "ends within"},
        {"CDF\3....", 8, SQUALL_E_FORMAT, "no format"},
        {"CDF\1", 4, SQUALL_E_TRUNCATED, "header"},
        {"\x89PNG\r\n\x1a\n", 8, SQUALL_E_FORMAT, "no format"},
        {"\x89HDF\r\n\x1a\n", 8, SQUALL_E_TRUNCATED, "header"},
        {"II*\0\0\0\0\0", 8, SQUALL_E_CORRUPT, "libtiff"},
        {"P6\n1 1\n255\n...", 14, SQUALL_E_FORMAT, "no format"},
        {"<html><body>404 Not Found</body></html>", 39, SQUALL_E_FORMAT, "no format"},
        {"\x1f\x8b\x08", 3, SQUALL_E_TRUNCATED, "3 bytes of gzip"},
        {"\x1f\x8b\x08\0\0\0\0\0\0\3................", 26, SQUALL_E_CORRUPT, "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused((const unsigned char *)cases[i].bytes, cases[i].size, cases[i].code,
                      cases[i].words);
    }
}

static void test_gzip(void **state)
{
    (void)state;
    size_t size, front_size, back_size, whole_size;
    squall_error err;
    unsigned char *bytes = load(CHECK_SAMPLES "mrms/rhohv_crop.grib2", &size);
    unsigned char *whole = zip(bytes, size, &whole_size);
    unsigned char *front = zip(bytes, size / 3, &front_size);
    unsigned char *back = zip(bytes + size / 3, size - size / 3, &back_size);
    unsigned char *both = calloc(front_size + back_size + 4096, 1);
    assert_non_null(both);
    memcpy(both, front, front_size);
    memcpy(both + front_size, back, back_size);
    /* Members one behind the other are one file; zeros behind them are padding. */
    assert_int_equal(check_read_all(both, front_size + back_size, NULL, &err), SQUALL_OK);
    assert_int_equal(check_read_all(both, front_size + back_size + 4096, NULL, &err), SQUALL_OK);
    both[front_size + back_size + 7] = 'x';
    check_refused(both, front_size + back_size + 4096, SQUALL_E_CORRUPT, "damaged or cut short");
    /* Half of it is half a message. */
    check_refused(front, front_size, SQUALL_E_TRUNCATED, "its length is");
    /* A file in which nothing is. */
    size_t empty_size;
    unsigned char *empty = zip(bytes, 0, &empty_size);
    check_refused(empty, empty_size, SQUALL_E_TRUNCATED, "is empty");
    /* Once is enough. */
    size_t twice_size;
    unsigned char *twice = zip(whole, whole_size, &twice_size);
    check_refused(twice, twice_size, SQUALL_E_FORMAT, "no format");
    check_truncation(whole, whole_size);
    check_flips(whole, whole_size, 20);
    check_memory(whole, whole_size);
    /* The checksum of the inflated bytes is at the end. */
    whole[whole_size - 6] ^= 1;
    check_refused(whole, whole_size, SQUALL_E_CORRUPT, "damaged or cut short");
    free(twice);
    free(empty);
    free(both);
    free(back);
    free(front);
    free(whole);
    sq_free(bytes);
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"not/there.h5", SQUALL_SOURCE_DIR};
    squall_file *file = NULL;
    squall_error err = {0};
    squall_io_options options;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(squall_file_open(paths[i], NULL, &file, &err), SQUALL_E_IO);
        assert_null(file);
        assert_string_equal(err.where, paths[i]);
    }
    squall_io_options_init(&options);
    assert_int_equal(options.struct_size, sizeof options);
    options.struct_size = 4;
    assert_int_equal(squall_file_open(kinds[7].path, &options, &file, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "squall_io_options_init"));
    /* The word is kept beyond the call. */
    char word[] = "tp";
    squall_field *field = NULL;
    squall_io_options_init(&options);
    options.quantity = word;
    assert_int_equal(squall_file_open(kinds[7].path, &options, &file, &err), SQUALL_OK);
    memset(word, 'x', 2);
    assert_int_equal(squall_file_count(file), 1);
    assert_int_equal(squall_file_read(file, 1, &field, &err), SQUALL_E_ARGUMENT);
    assert_null(field);
    assert_non_null(strstr(err.text, "no field 1"));
    assert_int_equal(squall_file_read(file, 0, &field, NULL), SQUALL_OK);
    assert_string_equal(field->quantity_name, "tp");
    squall_field_destroy(&field);
    squall_file_close(&file);
    squall_file_close(&file);
    squall_file_close(NULL);
}

/* --- several threads --- */

typedef struct work {
    size_t first;
    char hash[KINDS][SQ_HASH_TEXT];
    bool failed;
} work;

static void *read_kinds(void *arg)
{
    work *w = arg;
    for (size_t i = 0; i < KINDS; i++) {
        const size_t kind = (w->first + i) % KINDS;
        squall_file *file;
        squall_field *field = NULL;
        if (squall_file_open(kinds[kind].path, NULL, &file, NULL) != SQUALL_OK ||
            squall_file_read(file, 0, &field, NULL) != SQUALL_OK) {
            w->failed = true;
            return NULL;
        }
        check_hash(field, w->hash[kind]);
        squall_field_destroy(&field);
        squall_file_close(&file);
    }
    return NULL;
}

/* Different files in different threads, whose libraries are not made for that. */
static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static work all[THREADS];
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        all[i].first = 3 * i;
        assert_int_equal(pthread_create(&threads[i], NULL, read_kinds, &all[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_false(all[i].failed);
        for (size_t kind = 0; kind < KINDS; kind++) {
            assert_string_equal(all[i].hash[kind], all[0].hash[kind]);
        }
    }
}

/* A file larger than what is read whole is mapped: 300 MB, of which all but a radar picture is a
 * hole. */
static void test_mapped(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = load(kinds[1].path, &size);
    FILE *file = fopen("large.h5", "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fseek(file, (long)300 << 20, SEEK_SET), 0);
    assert_int_equal(fputc(0, file), 0);
    assert_int_equal(fclose(file), 0);
    squall_file *opened;
    squall_field *field = NULL;
    squall_error err = {0};
    if (squall_file_open("large.h5", NULL, &opened, &err) != SQUALL_OK ||
        squall_file_read(opened, 0, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    char large[SQ_HASH_TEXT], small[SQ_HASH_TEXT];
    check_hash(field, large);
    squall_field_destroy(&field);
    squall_file_close(&opened);
    check_kind(bytes, size, 1, small);
    assert_string_equal(large, small);
    sq_free(bytes);
    remove("large.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_content), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_gzip),       cmocka_unit_test(test_paths),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_mapped),
    };
    return cmocka_run_group_tests_name("io_open", tests, NULL, NULL);
}
