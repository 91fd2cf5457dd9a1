/* tests/unit/wx/io/test_io_odim.c - ODIM HDF5: what its attributes may say, and in which place.
 *
 * Real files are read in test_io_hdf5.c; those here are made by the HDF5 library in memory, with
 * one thing at a time that is not as usual. Expected values follow from the ODIM_H5
 * specification 2.4. */
#include "wx/io/io_hdf5_make.h"
#include "wx/io/io_leaks.h"

enum { ROWS = 4, COLUMNS = 6, CELLS = ROWS * COLUMNS, EDITS = 10 };
#define NOON 1781870400 /* date -u -d 2026-06-19T12:00Z +%s */

/* A file: its edits, and what else is in it. */
typedef struct recipe {
    edit edits[EDITS];
    bool outer;         /* the packing is in dataset1/what, as before ODIM 2.3 */
    bool quality, qind; /* an index in data1/quality1; in a dataset of its own */
    bool wrong_quality; /* of another size */
    bool second;        /* dataset2 with the same quantity, five minutes later */
    bool external, cube, text_values, no_values, oldest, newest;
    const char *more_data; /* dataset1/data2 of this quantity */
    bool types;            /* attributes of every type that HDF5 has, in /how */
    bool crowd;            /* more groups and attributes than a node of a tree holds */
    bool chunked;          /* values in chunks that do not divide the grid, packed and checked */
    unsigned user_block;   /* bytes before the file proper */
} recipe;

/* 0 and 255 are marks, the rest numbers in between. */
static const uint8_t raw[CELLS] = {0, 255, 1, 2, 3, 4, 64, 65, 66, 0, 0, 255,
                                   7, 8,   9, 1, 1, 1, 0,  0,  0,  1, 2, 254};

static void put_values(hid_t file, const char *group, const recipe *r, hsize_t rows)
{
    char path[96];
    const hsize_t sides[3] = {rows, COLUMNS, 1};
    const hid_t inner = group_open(file, group);
    const hid_t space = ok(H5Screate_simple(r->cube ? 3 : 2, sides, NULL));
    const hid_t plist = ok(H5Pcreate(H5P_DATASET_CREATE));
    if (r->external) {
        ok(H5Pset_external(plist, "elsewhere", 0, CELLS));
    }
    if (r->chunked) {
        ok(H5Pset_chunk(plist, 2, (const hsize_t[]){3, 4}));
        ok(H5Pset_shuffle(plist));
        ok(H5Pset_deflate(plist, 6));
        ok(H5Pset_fletcher32(plist));
    }
    hid_t type = ok(H5Tcopy(H5T_STD_U8LE));
    if (r->text_values) {
        H5Tclose(type);
        type = ok(H5Tcopy(H5T_C_S1));
    }
    snprintf(path, sizeof path, "%s/data", group);
    const hid_t data = ok(H5Dcreate2(file, path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT));
    if (!r->external) {
        ok(H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw));
    }
    H5Dclose(data);
    H5Tclose(type);
    H5Pclose(plist);
    H5Sclose(space);
    H5Gclose(inner);
}

static void put_dataset(hid_t file, const char *name, const char *end, const char *quantity,
                        const recipe *r)
{
    char what[64], data[64], data_what[64];
    snprintf(what, sizeof what, "%s/what", name);
    snprintf(data, sizeof data, "%s/data1", name);
    snprintf(data_what, sizeof data_what, "%s/data1/what", name);
    const char *packing = r->outer ? what : data_what;
    const edit usual[] = {
        {TEXT, what, "product", "COMP", 0},     {TEXT, what, "startdate", "20260619", 0},
        {TEXT, what, "starttime", "115000", 0}, {TEXT, what, "enddate", "20260619", 0},
        {TEXT, what, "endtime", end, 0},        {TEXT, packing, "quantity", quantity, 0},
        {NUMBER, packing, "gain", NULL, 0.5},   {NUMBER, packing, "offset", NULL, 0},
        {NUMBER, packing, "nodata", NULL, 255}, {NUMBER, packing, "undetect", NULL, 0},
    };
    put_all(file, usual, sizeof usual / sizeof usual[0]);
    if (!r->no_values) {
        put_values(file, data, r, ROWS);
    }
}

/* An attribute of a type that no radar file needs, with two elements. */
static void put_typed(hid_t group, const char *name, hid_t type, const void *values)
{
    const hsize_t two = 2;
    const hid_t space = ok(H5Screate_simple(1, &two, NULL));
    const hid_t attribute = ok(H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
    ok(H5Awrite(attribute, type, values));
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

static void put_types(hid_t file)
{
    static const int zeros[64];
    static int three[3] = {1, 2, 3};
    static const hvl_t lists[2] = {{3, three}, {0, NULL}};
    static const char *const texts[2] = {"one", ""};
    const hid_t group = group_open(file, "how");
    hid_t type = ok(H5Tcreate(H5T_COMPOUND, 24));
    const hid_t array = ok(H5Tarray_create2(H5T_NATIVE_SHORT, 2, (const hsize_t[]){2, 3}));
    ok(H5Tinsert(type, "number", 0, H5T_NATIVE_DOUBLE));
    ok(H5Tinsert(type, "list", 8, array));
    H5Tclose(array);
    put_typed(group, "compound", type, zeros);
    put_typed(group, "array", ok(H5Tarray_create2(H5T_NATIVE_INT, 1, (const hsize_t[]){4})), zeros);
    type = ok(H5Tenum_create(H5T_NATIVE_INT));
    ok(H5Tenum_insert(type, "none", &(const int){0}));
    ok(H5Tenum_insert(type, "something longer", &(const int){1}));
    put_typed(group, "enum", type, zeros);
    type = ok(H5Tcreate(H5T_OPAQUE, 5));
    ok(H5Tset_tag(type, "of our own"));
    put_typed(group, "opaque", type, zeros);
    put_typed(group, "bits", ok(H5Tcopy(H5T_STD_B16LE)), zeros);
    put_typed(group, "time", ok(H5Tcopy(H5T_STD_I32BE)), zeros);
    put_typed(group, "lists", ok(H5Tvlen_create(H5T_NATIVE_INT)), lists);
    type = ok(H5Tcopy(H5T_C_S1));
    ok(H5Tset_size(type, H5T_VARIABLE));
    put_typed(group, "texts", type, texts);
    hobj_ref_t references[2];
    ok(H5Rcreate(&references[0], file, "what", H5R_OBJECT, -1));
    references[1] = references[0];
    put_typed(group, "references", ok(H5Tcopy(H5T_STD_REF_OBJ)), references);
    H5Gclose(group);
}

static void put_crowd(hid_t file)
{
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "how/radar_with_quite_a_long_name_%d", i);
        H5Gclose(group_open(file, name));
        if (i < 40) {
            snprintf(name, sizeof name, "key%d", i);
            put(file, &(edit){TEXT, "how", name, "some text", 0});
        }
    }
}

/* A composite of 6 x 4 cells of 2 km in the lower left corner of OPERA's grid. */
static void put_root(hid_t file)
{
    static const edit usual[] = {
        {TEXT, "/", "Conventions", "ODIM_H5/V2_4", 0},
        {TEXT, "what", "object", "COMP", 0},
        {TEXT, "what", "version", "H5rad 2.4", 0},
        {TEXT, "what", "date", "20260619", 0},
        {TEXT, "what", "time", "120000", 0},
        {TEXT, "where", "projdef",
         "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +units=m "
         "+ellps=WGS84",
         0},
        {NUMBER, "where", "LL_lon", NULL, -10.434576838640398},
        {NUMBER, "where", "LL_lat", NULL, 31.746215319325056},
        {NUMBER, "where", "xscale", NULL, 2000},
        {NUMBER, "where", "yscale", NULL, 2000},
        {WHOLE, "where", "xsize", NULL, COLUMNS},
        {WHOLE, "where", "ysize", NULL, ROWS},
    };
    put_all(file, usual, sizeof usual / sizeof usual[0]);
}

/* The bytes of the file; release with sq_free(). */
static unsigned char *make(const recipe *r, size_t *size)
{
    const hid_t access = ok(H5Pcreate(H5P_FILE_ACCESS));
    ok(H5Pset_libver_bounds(access, r->newest ? H5F_LIBVER_LATEST : H5F_LIBVER_EARLIEST,
                            H5F_LIBVER_LATEST));
    const hid_t plist = ok(H5Pcreate(H5P_FILE_CREATE));
    if (r->oldest) {
        ok(H5Pset_sizes(plist, 4, 4)); /* as some writers of radar files choose */
    }
    if (r->user_block > 0) {
        ok(H5Pset_userblock(plist, r->user_block));
    }
    const hid_t file = ok(H5Fcreate("odim_made.h5", H5F_ACC_TRUNC, plist, access));
    put_root(file);
    put_dataset(file, "dataset1", "120500", "RATE", r);
    if (r->second) {
        put_dataset(file, "dataset2", "121000", "RATE", r);
    }
    if (r->more_data != NULL) {
        put(file, &(edit){TEXT, "dataset1/data2/what", "quantity", r->more_data, 0});
        put(file, &(edit){NUMBER, "dataset1/data2/what", "gain", NULL, 2});
        put(file, &(edit){NUMBER, "dataset1/data2/what", "offset", NULL, -32});
        put_values(file, "dataset1/data2", r, ROWS);
    }
    if (r->quality) {
        put(file, &(edit){TEXT, "dataset1/data1/quality1/how", "task", "org.distance.radar", 0});
        put_values(file, "dataset1/data1/quality1", r, ROWS);
        put(file, &(edit){TEXT, "dataset1/data1/quality2/how", "task", "pl.qi_total", 0});
        put(file, &(edit){NUMBER, "dataset1/data1/quality2/what", "gain", NULL, 0.01});
        put(file, &(edit){NUMBER, "dataset1/data1/quality2/what", "offset", NULL, 0});
        put_values(file, "dataset1/data1/quality2", r, ROWS - (r->wrong_quality ? 1 : 0));
    }
    if (r->qind) {
        put_dataset(file, "dataset3", "120500", "QIND", &(const recipe){.outer = true});
        put(file, &(edit){NUMBER, "dataset3/what", "gain", NULL, 0.01});
    }
    if (r->types) {
        put_types(file);
    }
    if (r->crowd) {
        put_crowd(file);
    }
    put_all(file, r->edits, EDITS);
    H5Fclose(file);
    H5Pclose(plist);
    H5Pclose(access);
    return take_file("odim_made.h5", size);
}

static squall_field *read_made(const recipe *r, const char *quantity, size_t index)
{
    size_t size;
    unsigned char *bytes = make(r, &size);
    squall_io_options options;
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    squall_io_options_init(&options);
    options.quantity = quantity;
    if (squall_file_open_memory(bytes, size, "made.h5", &options, &file, &err) != SQUALL_OK ||
        squall_file_read(file, index, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(squall_file_time(file, index), field->valid_time);
    squall_file_close(&file);
    sq_free(bytes);
    return field;
}

static void check_values(const squall_field *field)
{
    for (size_t i = 0; i < CELLS; i++) {
        if (raw[i] == 255) {
            assert_int_equal(field->mask[i], SQUALL_CELL_NO_COVERAGE);
            assert_true(isnan(field->values[i]));
        } else {
            assert_int_equal(field->mask[i], raw[i] == 0 ? SQUALL_CELL_DRY : SQUALL_CELL_VALUE);
            assert_true(field->values[i] == 0.5f * raw[i]);
        }
    }
}

/* gain, nodata and quantity in the one place and in the other; old and new structures of HDF5. */
static void test_places_of_packing(void **state)
{
    (void)state;
    static const recipe recipes[] = {{.outer = false},
                                     {.outer = true},
                                     {.newest = true},
                                     {.oldest = true},
                                     {.outer = true, .oldest = true}};
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        squall_field *field = read_made(&recipes[i], NULL, 0);
        assert_int_equal(field->quantity, SQUALL_RAIN_RATE);
        assert_string_equal(field->quantity_name, "RATE");
        assert_int_equal(field->valid_time, NOON);
        assert_int_equal(field->window_s, 0);
        assert_true(field->grid.dx == 2000 && field->grid.dy == 2000);
        assert_true(fabs(field->grid.left) < 0.01 && fabs(field->grid.top + 4392000) < 0.01);
        assert_null(field->quality);
        check_values(field);
        squall_field_destroy(&field);
    }
    /* The nearer place counts, and what is in it need not be all. */
    const recipe both = {.edits = {{NUMBER, "dataset1/what", "gain", NULL, 7},
                                   {GONE, "dataset1/data1/what", "nodata", NULL, 0},
                                   {NUMBER, "dataset1/what", "nodata", NULL, 255}}};
    squall_field *field = read_made(&both, NULL, 0);
    check_values(field);
    squall_field_destroy(&field);
}

/* A real 0, which somebody measured, is neither undetected nor missing. */
static void test_three_kinds(void **state)
{
    (void)state;
    const recipe r = {.edits = {{NUMBER, "dataset1/data1/what", "offset", NULL, -0.5}}};
    squall_field *field = read_made(&r, NULL, 0);
    assert_int_equal(field->mask[0], SQUALL_CELL_DRY); /* undetect */
    assert_int_equal(field->mask[1], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(field->mask[2], SQUALL_CELL_VALUE); /* 1 * 0.5 - 0.5 */
    assert_true(field->values[2] == 0);
    assert_true(field->values[3] == 0.5f);
    squall_field_counts counts;
    squall_field_count(field, &counts);
    assert_int_equal(counts.no_coverage, 2);
    assert_int_equal(counts.undetected, 6);
    assert_int_equal(counts.dry, 11); /* the five zeros too */
    assert_int_equal(counts.wet, 11);
    squall_field_destroy(&field);
    /* Without marks there is none. */
    const recipe bare = {.edits = {{GONE, "dataset1/data1/what", "nodata", NULL, 0},
                                   {GONE, "dataset1/data1/what", "undetect", NULL, 0}}};
    field = read_made(&bare, NULL, 0);
    assert_int_equal(field->mask[0], SQUALL_CELL_VALUE);
    assert_true(field->values[1] == 127.5f);
    squall_field_destroy(&field);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        int64_t time;
        int32_t window_s;
    } cases[] = {
        /* A sum is valid at the end of its window, whatever the file's own time. */
        {{.edits = {{TEXT, "dataset1/data1/what", "quantity", "ACRR", 0}}}, NOON + 300, 900},
        /* A rate at the file's time while that is within its window, else at its end. */
        {{.edits = {{TEXT, "what", "time", "121000", 0}}}, NOON + 300, 0},
        {{.edits = {{TEXT, "what", "time", "1158", 0}}}, NOON - 120, 0},
        {{.edits = {{GONE, "dataset1/what", "endtime", NULL, 0}}}, NOON, 0},
        {{.edits = {{GONE, "what", "time", NULL, 0}}}, NOON + 300, 0},
        {{.edits = {{GONE, "what", "time", NULL, 0}, {GONE, "dataset1/what", "endtime", NULL, 0}}},
         SQUALL_TIME_NONE,
         0},
        {{.edits = {{LONG_TEXT, "what", "date", "20260619", 0}}}, NOON, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        squall_field *field = read_made(&cases[i].r, NULL, 0);
        assert_true(field->valid_time == cases[i].time);
        assert_int_equal(field->window_s, cases[i].window_s);
        squall_field_destroy(&field);
    }
    /* Two datasets at two times are two fields. */
    const recipe two = {.second = true,
                        .edits = {{TEXT, "dataset2/what", "starttime", "120500", 0}}};
    squall_field *field = read_made(&two, NULL, 1);
    assert_int_equal(field->valid_time, NOON + 600);
    squall_field_destroy(&field);
}

static void test_quantities(void **state)
{
    (void)state;
    /* A rate before a reflectivity, or what is asked for. */
    const recipe r = {.more_data = "DBZH"};
    squall_field *field = read_made(&r, NULL, 0);
    assert_string_equal(field->quantity_name, "RATE");
    squall_field_destroy(&field);
    field = read_made(&r, "dbzh", 0);
    assert_int_equal(field->quantity, SQUALL_REFLECTIVITY);
    assert_string_equal(field->unit_name, "dBZ");
    assert_true(field->values[2] == -30);                /* 1 * 2 - 32 */
    assert_int_equal(field->mask[1], SQUALL_CELL_VALUE); /* no mark of its own, nor of others */
    squall_field_destroy(&field);
    const recipe height = {.edits = {{TEXT, "dataset1/data1/what", "quantity", "HGHT", 0}}};
    field = read_made(&height, "HGHT", 0);
    assert_int_equal(field->quantity, SQUALL_OTHER);
    assert_string_equal(field->unit_name, "km");
    squall_field_destroy(&field);
    /* An image is a map as well. */
    const recipe image = {
        .edits = {{TEXT, "what", "object", "IMAGE", 0}, {GONE, "/", "Conventions", NULL, 0}}};
    field = read_made(&image, NULL, 0);
    check_values(field);
    squall_field_destroy(&field);
}

static void test_quality(void **state)
{
    (void)state;
    static const recipe recipes[] = {{.quality = true}, {.qind = true}};
    for (size_t i = 0; i < 2; i++) {
        squall_field *field = read_made(&recipes[i], NULL, 0);
        assert_non_null(field->quality);
        assert_true(fabsf(field->quality[3] - 0.02f) < 1e-6f);
        assert_true(fabsf(field->quality[8] - 0.66f) < 1e-6f);
        assert_true(isnan(field->quality[1])); /* 255 is a mark, or 2.55, which is no quality */
        check_values(field);
        squall_field_destroy(&field);
    }
}

/* Cell sizes and corners, which writers give differently. */
static void test_places(void **state)
{
    (void)state;
    /* Corners of the projection by PROJ 9.1.1:
     * echo "12000 -4392000" | proj -I -f %.12f +proj=laea ... (the projdef above) */
    const double ur_lon = -10.341190, ur_lat = 31.830490;
    const recipe two_corners = {.edits = {{NUMBER, "where", "UR_lon", NULL, ur_lon},
                                          {NUMBER, "where", "UR_lat", NULL, ur_lat},
                                          {GONE, "where", "xscale", NULL, 0},
                                          {GONE, "where", "yscale", NULL, 0}}};
    squall_error err = {0};
    const squall_grid exact = {.width = COLUMNS,
                               .height = ROWS,
                               .dx = 2000,
                               .dy = 2000,
                               .left = 0,
                               .top = -4392000,
                               .proj = "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 "
                                       "+y_0=-2100000.0 +ellps=WGS84"};
    double lon, lat;
    assert_int_equal(squall_grid_to_lonlat(&exact, &(const double){COLUMNS}, &(const double){0}, 1,
                                           &lon, &lat, &err),
                     SQUALL_OK);
    recipe r = two_corners;
    r.edits[0].number = lon;
    r.edits[1].number = lat;
    squall_field *field = read_made(&r, NULL, 0);
    assert_true(fabs(field->grid.dx - 2000) < 0.1 && fabs(field->grid.dy - 2000) < 0.1);
    assert_true(fabs(field->grid.left) < 0.1 && fabs(field->grid.top + 4392000) < 0.1);
    squall_field_destroy(&field);
    /* A cell size that was rounded gives way to the corners, one that is far off does not. */
    r.edits[2] = (edit){NUMBER, "where", "xscale", NULL, 1850};
    r.edits[3] = (edit){NUMBER, "where", "yscale", NULL, 2000};
    size_t size;
    unsigned char *bytes = make(&r, &size);
    check_refused(bytes, size, SQUALL_E_CORRUPT, "which is not 6 x 4 cells of 1850 x 2000");
    sq_free(bytes);
    /* Corners that are those of the centres: one cell less than there are. */
    assert_int_equal(squall_grid_to_lonlat(&exact, &(const double){COLUMNS - 1}, &(const double){1},
                                           1, &lon, &lat, &err),
                     SQUALL_OK);
    r.edits[0].number = lon;
    r.edits[1].number = lat;
    r.edits[2].number = 2000;
    field = read_made(&r, NULL, 0);
    assert_true(fabs(field->grid.dx - 2000) < 0.1);
    assert_true(fabs(field->grid.left + 1000) < 0.1 && fabs(field->grid.top + 4393000) < 0.1);
    squall_field_destroy(&field);
    /* A place of the dataset's own counts before the file's. */
    const recipe own = {.edits = {{NUMBER, "dataset1/where", "xscale", NULL, 1000}}};
    field = read_made(&own, NULL, 0);
    assert_true(field->grid.dx == 1000 && field->grid.dy == 2000);
    squall_field_destroy(&field);
}

static void test_refused(void **state)
{
    (void)state;
#define WHAT "dataset1/data1/what"
    static const struct {
        recipe r;
        squall_status code;
        const char *where, *words;
    } cases[] = {
        {{.edits = {{TEXT, "what", "object", "PVOL", 0}}},
         SQUALL_E_UNSUPPORTED,
         "/what/object",
         "a polar volume or scan ('PVOL')"},
        {{.edits = {{TEXT, "what", "object", "SCAN", 0}}},
         SQUALL_E_UNSUPPORTED,
         "/what/object",
         "('SCAN'): rays of one radar, not a map"},
        {{.edits = {{TEXT, "what", "object", "XSEC", 0}}},
         SQUALL_E_UNSUPPORTED,
         "/what/object",
         "'XSEC' is not a map"},
        {{.edits = {{GONE, "what", "object", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/what/object",
         "missing; COMP or IMAGE"},
        {{.edits = {{NUMBER, "what", "object", NULL, 1}}},
         SQUALL_E_CORRUPT,
         "/what/object",
         "not a text"},
        {{.edits = {{PAIR, WHAT, "gain", NULL, 1}}}, SQUALL_E_CORRUPT, "/" WHAT "/gain", "a list"},
        {{.edits = {{TEXT, WHAT, "gain", "0.5", 0}}},
         SQUALL_E_CORRUPT,
         "/" WHAT "/gain",
         "not a number"},
        {{.edits = {{NUMBER, WHAT, "gain", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/dataset1/data1/data",
         "gain (0)"},
        {{.edits = {{NUMBER, WHAT, "gain", NULL, NAN}}},
         SQUALL_E_CORRUPT,
         "/dataset1/data1/data",
         "gain (nan)"},
        {{.edits = {{GONE, WHAT, "offset", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/dataset1/data1/data",
         "offset (0, missing)"},
        {{.edits = {{GONE, WHAT, "quantity", NULL, 0}}},
         SQUALL_E_NO_DATA,
         "some/file",
         "none that says what it is"},
        {{.edits = {{TEXT, WHAT, "quantity", "VRADH", 0}}},
         SQUALL_E_NO_DATA,
         "some/file",
         "there is: VRADH"},
        {{.edits = {{TEXT, "what", "date", "2026-6-19", 0}}},
         SQUALL_E_CORRUPT,
         "/what/date",
         "'2026-6-19'"},
        {{.edits = {{TEXT, "dataset1/what", "endtime", "114500", 0}}},
         SQUALL_E_CORRUPT,
         "/dataset1/what",
         "must end after it begins"},
        {{.edits = {{GONE, "where", "projdef", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/where",
         "projdef is missing"},
        {{.edits = {{TEXT, "where", "projdef", "+proj=nonsense", 0}}},
         SQUALL_E_CORRUPT,
         "/where",
         "nonsense"},
        {{.edits = {{GONE, "where", "LL_lat", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/where",
         "the corner LL is missing"},
        {{.edits = {{NUMBER, "where", "LL_lat", NULL, INFINITY}}},
         SQUALL_E_CORRUPT,
         "/where",
         "the corner LL is missing"},
        {{.edits = {{NUMBER, "where", "yscale", NULL, 0}}},
         SQUALL_E_CORRUPT,
         "/where",
         "the cell size is missing"},
        {{.edits = {{WHOLE, "where", "xsize", NULL, 7}}},
         SQUALL_E_CORRUPT,
         "/where",
         "7 x 4, but the values of dataset1 are 6 x 4"},
        {{.quality = true, .wrong_quality = true},
         SQUALL_E_CORRUPT,
         "/dataset1/data1/quality2/data",
         "6 x 3 cells for values of 6 x 4"},
        {{.external = true}, SQUALL_E_UNSUPPORTED, "some/file", "other files"},
        {{.cube = true}, SQUALL_E_CORRUPT, "/dataset1/data1/data", "not a two-dimensional"},
        {{.text_values = true}, SQUALL_E_CORRUPT, "/dataset1/data1/data", "of integers or floats"},
        {{.no_values = true}, SQUALL_E_CORRUPT, "/dataset1/data1/data", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        squall_error err;
        unsigned char *bytes = make(&cases[i].r, &size);
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
    static const recipe recipes[] = {
        {.quality = true, .types = true},
        {.oldest = true, .chunked = true},
        {.newest = true, .types = true, .chunked = true},
        {.newest = true, .crowd = true},
    };
    int refused = 0;
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        size_t size;
        unsigned char *bytes = make(&recipes[i], &size);
        check_truncation(bytes, size);
        refused += check_flips(bytes, size, 4000);
        check_memory(bytes, size);
        sq_free(bytes);
    }
    assert_true(refused > CHECK_FLIPS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_of_packing),
        cmocka_unit_test(test_three_kinds),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bad_bytes),
    };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* asking for what is not there is no error here */
    return cmocka_run_group_tests_name("io_odim", tests, NULL, NULL);
}
