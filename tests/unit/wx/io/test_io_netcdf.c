/* tests/unit/wx/io/test_io_netcdf.c - CF-netCDF: what its attributes may say, classic and netCDF-4.
 *
 * Real files are read in test_io_hdf5.c; those here are made by the netCDF library in memory, with
 * one thing at a time that is not as usual. Expected values follow from the CF conventions 1.11. */
#include <netcdf.h>
#include <netcdf_mem.h>

#include "wx/io/io_check.h"
#include "wx/io/io_leaks.h"
#include "wx/io/io_netcdf.h"

enum { TIMES = 2, ROWS = 3, COLUMNS = 4, CELLS = TIMES * ROWS * COLUMNS, EDITS = 8 };
#define NUMBERS_MAX 2
#define NOON        1781870400 /* date -u -d 2026-06-19T12:00Z +%s */

/* An attribute that is not as usual: a text, or numbers, or neither, which takes it away. */
typedef struct edit {
    const char *variable, *name; /* variable "" for the file's own */
    const char *text;
    int count;
    double numbers[NUMBERS_MAX];
    nc_type type; /* of the numbers; 0 is NC_DOUBLE */
} edit;

/* A file: its edits, and how it is laid out otherwise. */
typedef struct recipe {
    edit edits[EDITS];
    bool y_up, x_down, uneven, no_axes, no_time, scalar_time, bounds, start_time, transposed;
    nc_type type; /* of the rain; 0 is NC_SHORT */
} recipe;

static void ok(int code)
{
    if (code != NC_NOERR) {
        fail_msg("netCDF: %s", nc_strerror(code));
    }
}

static void put_text(int nc, int id, const char *name, const char *text)
{
    ok(nc_put_att_text(nc, id, name, strlen(text), text));
}

static void apply(int nc, const recipe *r)
{
    for (size_t i = 0; i < EDITS && r->edits[i].name != NULL; i++) {
        const edit *e = &r->edits[i];
        int id = NC_GLOBAL;
        if (e->variable[0] != '\0') {
            ok(nc_inq_varid(nc, e->variable, &id));
        }
        if (e->text != NULL) {
            put_text(nc, id, e->name, e->text);
        } else if (e->count > 0) {
            ok(nc_put_att_double(nc, id, e->name, e->type != 0 ? e->type : NC_DOUBLE,
                                 (size_t)e->count, e->numbers));
        } else {
            ok(nc_del_att(nc, id, e->name));
        }
    }
}

static const double raw[CELLS] = {-1, 0, 1, 2, 3, -2, 10, 20, 30, 40, 50, 60,
                                  0,  5, 6, 7, 8, 9,  -1, 11, 12, 13, 14, 100};

static void write_axes(int nc, const recipe *r, const int axis[2])
{
    double y[ROWS] = {-3000, -3001, -3002}, x[COLUMNS] = {10, 11, 12, 13};
    for (size_t i = 0; r->y_up && i < ROWS; i++) {
        y[i] = -3000 + (double)i;
    }
    for (size_t i = 0; r->x_down && i < COLUMNS; i++) {
        x[i] = 13 - (double)i;
    }
    x[2] += r->uneven ? 0.25 : 0;
    ok(nc_put_var_double(nc, axis[0], y));
    ok(nc_put_var_double(nc, axis[1], x));
}

static void write_times(int nc, const recipe *r, int time, int bounds, int start)
{
    static const double minutes[TIMES] = {0, 10}, edges[2 * TIMES] = {-10, 0, 0, 15};
    if (r->scalar_time) {
        ok(nc_put_var_double(nc, time, &minutes[1]));
    } else if (!r->no_time) {
        const size_t from[2] = {0, 0}, count[2] = {TIMES, 2};
        ok(nc_put_vara_double(nc, time, from, count, minutes));
        if (r->bounds) {
            ok(nc_put_vara_double(nc, bounds, from, count, edges));
        }
    }
    if (r->start_time) {
        ok(nc_put_var_double(nc, start, &(const double){4}));
    }
}

/* Two frames of rain, 3 x 4 km, in tenths of mm/h, on a polar stereographic grid; or what the
 * recipe makes of it. `mode` is netCDF's format. The caller frees. */
static unsigned char *make(const recipe *r, int mode, size_t *size)
{
    int nc, dim[4], axis[2], time = -1, bounds = -1, start = -1, rain, crs;
    ok(nc_create_mem("made", mode, 8192, &nc));
    const bool single = r->no_time || r->scalar_time;
    ok(nc_def_dim(nc, "time", NC_UNLIMITED, &dim[0]));
    ok(nc_def_dim(nc, "y", ROWS, &dim[1]));
    ok(nc_def_dim(nc, "x", COLUMNS, &dim[2]));
    ok(nc_def_dim(nc, "two", 2, &dim[3]));
    if (!r->no_time) {
        ok(nc_def_var(nc, "time", NC_DOUBLE, r->scalar_time ? 0 : 1, dim, &time));
        put_text(nc, time, "units", "minutes since 2026-06-19 12:00:00");
        put_text(nc, time, "standard_name", "time");
    }
    if (r->bounds) {
        ok(nc_def_var(nc, "time_bounds", NC_DOUBLE, 2, (const int[]){dim[0], dim[3]}, &bounds));
        put_text(nc, time, "bounds", "time_bounds");
    }
    if (r->start_time) {
        ok(nc_def_var(nc, "start_time", NC_DOUBLE, 0, NULL, &start));
        put_text(nc, start, "units", "minutes since 2026-06-19 12:00:00");
    }
    for (int i = 0; i < 2; i++) {
        static const char *const names[2][2] = {{"y", "x"}, {"north", "east"}};
        ok(nc_def_var(nc, names[r->no_axes][i], NC_DOUBLE, 1, &dim[1 + i], &axis[i]));
        put_text(nc, axis[i], "units", "km");
        put_text(nc, axis[i], "standard_name",
                 i == 0 ? "projection_y_coordinate" : "projection_x_coordinate");
    }
    const int shape[3] = {dim[0], dim[r->transposed ? 2 : 1], dim[r->transposed ? 1 : 2]};
    const nc_type type = r->type != 0 ? r->type : NC_SHORT;
    ok(nc_def_var(nc, "rain", type, single ? 2 : 3, single ? shape + 1 : shape, &rain));
    put_text(nc, rain, "units", "mm h-1");
    put_text(nc, rain, "standard_name", "rainfall_rate");
    put_text(nc, rain, "grid_mapping", "crs");
    const double scale = 0.1, fill = -1;
    ok(nc_put_att_double(nc, rain, "scale_factor", NC_DOUBLE, 1, &scale));
    ok(nc_put_att_double(nc, rain, "_FillValue", type, 1, &fill));
    ok(nc_def_var(nc, "crs", NC_INT, 0, NULL, &crs));
    put_text(nc, crs, "grid_mapping_name", "polar_stereographic");
    const double north = 90, east = 14, parallel = 60;
    ok(nc_put_att_double(nc, crs, "latitude_of_projection_origin", NC_DOUBLE, 1, &north));
    ok(nc_put_att_double(nc, crs, "straight_vertical_longitude_from_pole", NC_DOUBLE, 1, &east));
    ok(nc_put_att_double(nc, crs, "standard_parallel", NC_DOUBLE, 1, &parallel));
    put_text(nc, NC_GLOBAL, "Conventions", "CF-1.8");
    apply(nc, r);
    ok(nc_enddef(nc));
    write_axes(nc, r, axis);
    write_times(nc, r, time, bounds, start);
    const size_t from[3] = {0}, count[3] = {TIMES, (size_t)(r->transposed ? COLUMNS : ROWS),
                                            (size_t)(r->transposed ? ROWS : COLUMNS)};
    ok(nc_put_vara_double(nc, rain, from, single ? count + 1 : count, raw));
    NC_memio memory;
    ok(nc_close_memio(nc, &memory));
    *size = memory.size;
    return memory.memory;
}

static squall_field *read_made(const recipe *r, int mode, const char *quantity, size_t index)
{
    size_t size;
    unsigned char *bytes = make(r, mode, &size);
    squall_io_options options;
    squall_file *file;
    squall_field *field = NULL;
    squall_error err = {0};
    squall_io_options_init(&options);
    options.quantity = quantity;
    if (squall_file_open_memory(bytes, size, "made.nc", &options, &file, &err) != SQUALL_OK ||
        squall_file_read(file, index, &field, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    assert_int_equal(squall_file_time(file, index), field->valid_time);
    squall_file_close(&file);
    free(bytes);
    return field;
}

static void check_refusal(const recipe *r, squall_status code, const char *where, const char *words)
{
    size_t size;
    squall_error err;
    unsigned char *bytes = make(r, NC_CLASSIC_MODEL, &size);
    const squall_status status = check_read_all(bytes, size, NULL, &err);
    if (status != code || strstr(err.text, words) == NULL || strstr(err.where, where) == NULL) {
        fail_msg("%s: %s: %s; expected %s in '%s' with '%s'", squall_status_name(status), err.where,
                 err.text, squall_status_name(code), where, words);
    }
    check_error(status, &err);
    free(bytes);
}

/* The same file in each of netCDF's formats. */
static void test_formats(void **state)
{
    (void)state;
    static const struct {
        int mode;
        const char *format;
    } cases[] = {{0, "netCDF-3 CF-1.8"},
                 {NC_64BIT_OFFSET, "netCDF-3 CF-1.8"},
                 {NC_64BIT_DATA, "netCDF-3 CF-1.8"},
                 {NC_NETCDF4, "netCDF-4 CF-1.8"},
                 {NC_NETCDF4 | NC_CLASSIC_MODEL, "netCDF-4 CF-1.8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        unsigned char *bytes = make(&(const recipe){0}, cases[i].mode, &size);
        squall_file *file;
        squall_error err = {0};
        assert_int_equal(squall_file_open_memory(bytes, size, "x", NULL, &file, &err), SQUALL_OK);
        assert_string_equal(squall_file_format(file), cases[i].format);
        assert_int_equal(squall_file_count(file), TIMES);
        assert_int_equal(squall_file_time(file, 2), SQUALL_TIME_NONE);
        for (size_t frame = 0; frame < TIMES; frame++) {
            squall_field *field = NULL;
            assert_int_equal(squall_file_read(file, frame, &field, &err), SQUALL_OK);
            assert_int_equal(field->quantity, SQUALL_RAIN_RATE);
            assert_string_equal(field->quantity_name, "rain");
            assert_string_equal(field->unit_name, "mm/h");
            assert_int_equal(field->valid_time, NOON + 600 * (int64_t)frame);
            assert_int_equal(field->window_s, 0);
            assert_int_equal(field->grid.width, COLUMNS);
            assert_int_equal(field->grid.height, ROWS);
            assert_true(field->grid.dx == 1000 && field->grid.dy == 1000);
            assert_true(field->grid.left == 9500 && field->grid.top == -2999500);
            assert_string_equal(field->grid.proj,
                                "+proj=stere +lon_0=14 +lat_0=90 +lat_ts=60 +ellps=WGS84");
            for (size_t k = 0; k < ROWS * COLUMNS; k++) {
                const double number = raw[frame * ROWS * COLUMNS + k];
                assert_int_equal(field->mask[k], number < 0    ? SQUALL_CELL_NO_COVERAGE
                                                 : number == 0 ? SQUALL_CELL_DRY
                                                               : SQUALL_CELL_VALUE);
                assert_true(number < 0 ? isnan(field->values[k])
                                       : field->values[k] == (float)(number * 0.1));
            }
            squall_field_destroy(&field);
        }
        squall_field *none;
        assert_int_equal(squall_file_read(file, TIMES, &none, &err), SQUALL_E_ARGUMENT);
        squall_file_close(&file);
        free(bytes);
    }
}

/* Rows from the south and columns from the east are turned. */
static void test_directions(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const recipe r = {.y_up = i & 1, .x_down = i & 2};
        squall_field *field = read_made(&r, i % 2 == 0 ? 0 : NC_NETCDF4, NULL, 0);
        const double top = r.y_up ? -2998000 + 500 : -2999500;
        assert_true(field->grid.top == top);
        assert_true(field->grid.left == 9500);
        const size_t row = r.y_up ? ROWS - 1 : 0, column = r.x_down ? COLUMNS - 3 : 2;
        assert_true(field->values[row * COLUMNS + column] == (float)(raw[2] * 0.1));
        squall_field_destroy(&field);
    }
}

static void test_quantities(void **state)
{
    (void)state;
    static const struct {
        const char *unit, *standard;
        squall_quantity quantity;
        double in_ours; /* of 1 in the file's unit */
    } cases[] = {
        {"mm/h", NULL, SQUALL_RAIN_RATE, 1},
        {"mm s-1", "lwe_precipitation_rate", SQUALL_RAIN_RATE, 3600},
        {"kg m-2 s-1", "precipitation_flux", SQUALL_RAIN_RATE, 3600},
        {"m s-1", "lwe_precipitation_rate", SQUALL_RAIN_RATE, 3600000},
        {"mm", "lwe_thickness_of_precipitation_amount", SQUALL_ACCUMULATION, 1},
        {"kg m-2", NULL, SQUALL_ACCUMULATION, 1},
        {"m", "lwe_thickness_of_precipitation_amount", SQUALL_ACCUMULATION, 1000},
        {"cm", "thickness_of_rainfall_amount", SQUALL_ACCUMULATION, 10},
        {"dBZ", "equivalent_reflectivity_factor", SQUALL_REFLECTIVITY, 1},
        {"dBZ", NULL, SQUALL_REFLECTIVITY, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recipe r = {.edits = {{.variable = "rain", .name = "units", .text = cases[i].unit},
                              {.variable = "rain", .name = "standard_name"}}};
        r.edits[1].text = cases[i].standard;
        squall_field *field = read_made(&r, 0, NULL, 0);
        assert_int_equal(field->quantity, cases[i].quantity);
        const float expected = (float)(raw[7] * 0.1 * cases[i].in_ours);
        assert_true(fabsf(field->values[7] - expected) <= 1e-6f * expected);
        /* An echo may be 0 dBZ or below and is seen all the same. */
        const bool echo = cases[i].quantity == SQUALL_REFLECTIVITY;
        assert_int_equal(field->mask[1], echo ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY);
        assert_int_equal(field->mask[5], echo ? SQUALL_CELL_VALUE : SQUALL_CELL_NO_COVERAGE);
        squall_field_destroy(&field);
    }
    /* What speaks of no rain is not taken, unless asked for by its name. */
    const recipe wind = {.edits = {{.variable = "rain", .name = "units", .text = "m s-1"},
                                   {.variable = "rain", .name = "standard_name"}}};
    check_refusal(&wind, SQUALL_E_NO_DATA, "some/file", "no variable of rain");
    squall_field *field = read_made(&wind, 0, "rain", 0);
    assert_int_equal(field->quantity, SQUALL_OTHER);
    squall_field_destroy(&field);
    const recipe usual = {0};
    static const char *const names[] = {"rain", "RATE", "rainfall_rate"};
    for (size_t i = 0; i < 3; i++) {
        field = read_made(&usual, 0, names[i], 1);
        squall_field_destroy(&field);
    }
    size_t size;
    squall_error err;
    unsigned char *bytes = make(&usual, 0, &size);
    assert_int_equal(check_read_all(bytes, size, "snow", &err), SQUALL_E_NO_DATA);
    assert_non_null(strstr(err.text, "is called snow"));
    free(bytes);
}

/* Of the numbers -1, 0, 1, 2, 3, -2, 10, 20, ... which are missing. */
static void test_missing(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        unsigned missing; /* a bit for each of the first eight cells */
        float third;      /* the value of the third, NaN where it is missing */
    } cases[] = {
        {{.edits = {{"rain", "missing_value", NULL, 2, {3, 20}, NC_SHORT}}}, 0xb1, 0.1f},
        {{.edits = {{"rain", "valid_min", NULL, 1, {2}, NC_SHORT}}}, 0x27, NAN},
        {{.edits = {{"rain", "valid_max", NULL, 1, {10}, NC_SHORT}}}, 0xa1, 0.1f},
        {{.edits = {{"rain", "valid_range", NULL, 2, {1, 3}, NC_SHORT}}}, 0xe3, 0.1f},
        /* limits of another type than the packed numbers are of the unpacked ones */
        {{.edits = {{"rain", "valid_range", NULL, 2, {0.15, 1.05}, NC_FLOAT}}}, 0xa7, NAN},
        {{.edits = {{"rain", "add_offset", NULL, 1, {5}, NC_DOUBLE}}}, 0x01, 5.1f},
        {{.edits = {{"rain", "scale_factor", NULL, 1, {-1}, NC_DOUBLE},
                    {"rain", "add_offset", NULL, 1, {2}, NC_DOUBLE}}},
         0xd1,
         1},
        {{.type = NC_FLOAT}, 0x21, 0.1f},
        {{.type = NC_BYTE, .edits = {{"rain", "_Unsigned", "true", 0, {0}, 0}}}, 0x01, 0.1f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        squall_field *field = read_made(&cases[i].r, 0, NULL, 0);
        unsigned missing = 0;
        for (unsigned k = 0; k < 8; k++) {
            missing |= (unsigned)(field->mask[k] == SQUALL_CELL_NO_COVERAGE) << k;
        }
        if (missing != cases[i].missing) {
            fail_msg("case %zu: missing %x, expected %x", i, missing, cases[i].missing);
        }
        assert_true(isnan(cases[i].third) ? isnan(field->values[2])
                                          : field->values[2] == cases[i].third);
        squall_field_destroy(&field);
    }
    /* -2 of an unsigned byte is 254, and -1, the fill value, is 255. */
    const recipe bytes = {.type = NC_BYTE, .edits = {{"rain", "_Unsigned", "true", 0, {0}, 0}}};
    squall_field *field = read_made(&bytes, 0, NULL, 0);
    assert_true(field->values[5] == 25.4f);
    squall_field_destroy(&field);
}

static void test_windows(void **state)
{
    (void)state;
    const edit sum[2] = {{.variable = "rain", .name = "units", .text = "mm"},
                         {.variable = "rain", .name = "standard_name"}};
    /* By the bounds of the time, whose end is the time. */
    recipe r = {.edits = {sum[0], sum[1]}, .bounds = true};
    squall_field *field = read_made(&r, 0, NULL, 1);
    assert_int_equal(field->window_s, 900);
    assert_int_equal(field->valid_time, NOON + 900);
    squall_field_destroy(&field);
    /* A rate has none. */
    field = read_made(&(const recipe){.bounds = true}, 0, NULL, 1);
    assert_int_equal(field->window_s, 0);
    assert_int_equal(field->valid_time, NOON + 600);
    squall_field_destroy(&field);
    /* By a start_time. */
    r = (recipe){.edits = {sum[0], sum[1]}, .scalar_time = true, .start_time = true};
    field = read_made(&r, 0, NULL, 0);
    assert_int_equal(field->window_s, 360);
    assert_int_equal(field->valid_time, NOON + 600);
    squall_field_destroy(&field);
    /* By the name. */
    r = (recipe){.edits = {sum[0], sum[1]}};
    r.edits[1].text = "convective_precipitation_hourly_accumulation";
    field = read_made(&r, 0, NULL, 0);
    assert_int_equal(field->window_s, 3600);
    squall_field_destroy(&field);
    /* Not at all. */
    r = (recipe){.edits = {sum[0], sum[1]}};
    field = read_made(&r, 0, NULL, 0);
    assert_int_equal(field->window_s, 0);
    squall_field_destroy(&field);
}

static void test_times_of_attributes(void **state)
{
    (void)state;
    static const char *const names[] = {"nominal_product_time", "time_coverage_end",
                                        "time_coverage_start"};
    for (size_t i = 0; i < 3; i++) {
        const recipe r = {.no_time = true,
                          .edits = {
                              {.variable = "", .name = names[i], .text = "2026-06-19T12:00:00Z"}}};
        squall_field *field = read_made(&r, 0, NULL, 0);
        assert_int_equal(field->valid_time, NOON);
        squall_field_destroy(&field);
    }
    squall_field *field = read_made(&(const recipe){.no_time = true}, 0, NULL, 0);
    assert_true(field->valid_time == SQUALL_TIME_NONE);
    squall_field_destroy(&field);
}

static void test_time_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double unit_s;
        int64_t reference; /* 0 where the text is none */
    } cases[] = {
        {"seconds since 2026-06-19 12:00:00", 1, NOON},
        {"s since 2026-06-19T12:00:00Z", 1, NOON},
        {"minutes since 2026-6-19 12:00:00.0 UTC", 60, NOON},
        {"min since 2026-06-19 12:00 GMT", 60, NOON},
        {"hours since 2026-06-19 14:00:00 +02:00", 3600, NOON},
        {"hr since 2026-06-19 08:30:00 -3:30", 3600, NOON},
        {"days since 2026-06-19", 86400, NOON - 12 * 3600},
        {"d since 2026-06-19 12", 86400, 0},
        {"months since 2026-06-19", 0, 0},
        {"seconds after 2026-06-19", 0, 0},
        {"seconds since yesterday", 0, 0},
        {"seconds since 2026-13-19", 0, 0},
        {"seconds since 2026-06-19 12:00:00 MEZ", 0, 0},
        {"seconds since 2026-06-19 12:00:00 +x", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double unit_s = 0;
        int64_t reference = 0;
        const bool read = sq_io_netcdf_time_unit(cases[i].text, &unit_s, &reference);
        if (read != (cases[i].reference != 0) ||
            (read && (unit_s != cases[i].unit_s || reference != cases[i].reference))) {
            fail_msg("'%s': %d, %g, %lld", cases[i].text, read, unit_s, (long long)reference);
        }
    }
}

/* Grid mappings of CF's appendix F and the PROJ strings that they are. */
static void test_mappings(void **state)
{
    (void)state;
#define NONE                                                            \
    {                                                                   \
        "crs", "straight_vertical_longitude_from_pole", NULL, 0, {0}, 0 \
    }
#define KIND(k)                                  \
    {                                            \
        "crs", "grid_mapping_name", k, 0, {0}, 0 \
    }
#define NUMBER(n, v)                      \
    {                                     \
        "crs", n, NULL, 1, {v}, NC_DOUBLE \
    }
#define LON(v)      NUMBER("longitude_of_projection_origin", v)
#define MERIDIAN(v) NUMBER("longitude_of_central_meridian", v)
    static const struct {
        recipe r;
        const char *proj;
    } cases[] = {
        {{.edits = {KIND("lambert_azimuthal_equal_area"), LON(10), NUMBER("false_easting", 1950),
                    NUMBER("false_northing", -2100)}},
         "+proj=laea +lon_0=10 +lat_0=90 +x_0=1950000 +y_0=-2100000 +ellps=WGS84"},
        {{.edits = {KIND("albers_conical_equal_area"),
                    MERIDIAN(144.5),
                    {"crs", "standard_parallel", NULL, 2, {-18, -36}, NC_DOUBLE},
                    NUMBER("semi_major_axis", 6378137),
                    NUMBER("inverse_flattening", 298.25)}},
         "+proj=aea +lat_1=-18 +lat_2=-36 +lon_0=144.5 +lat_0=90 +a=6378137 +rf=298.25"},
        {{.edits = {KIND("lambert_conformal_conic"), MERIDIAN(5),
                    NUMBER("semi_major_axis", 6378137), NUMBER("semi_minor_axis", 6356752)}},
         "+proj=lcc +lat_1=60 +lon_0=5 +lat_0=90 +a=6378137 +b=6356752"},
        {{.edits = {KIND("transverse_mercator"), MERIDIAN(9),
                    NUMBER("scale_factor_at_central_meridian", 0.9996),
                    NUMBER("earth_radius", 6371000)}},
         "+proj=tmerc +lon_0=9 +lat_0=90 +k_0=0.9996 +R=6371000"},
        {{.edits = {NUMBER("semi_major_axis", 6370000),
                    NUMBER("longitude_of_prime_meridian", 2.5)}},
         "+proj=stere +lon_0=14 +lat_0=90 +lat_ts=60 +R=6370000 +pm=2.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        squall_field *field = read_made(&cases[i].r, 0, NULL, 0);
        assert_string_equal(field->grid.proj, cases[i].proj);
        squall_field_destroy(&field);
    }
    /* Angles seen from a satellite: metres are radians times its height. */
    const recipe seen = {.edits = {KIND("geostationary"),
                                   LON(9.5),
                                   NONE,
                                   NUMBER("perspective_point_height", 35785831),
                                   {"crs", "sweep_angle_axis", "x", 0, {0}, 0},
                                   {"x", "units", "rad", 0, {0}, 0},
                                   {"y", "units", "rad", 0, {0}, 0}}};
    squall_field *field = read_made(&seen, 0, NULL, 0);
    assert_string_equal(field->grid.proj,
                        "+proj=geos +lon_0=9.5 +h=35785831 +sweep=x +ellps=WGS84");
    assert_true(field->grid.dx == 35785831);
    squall_field_destroy(&field);
    /* Longitude and latitude need no mapping. */
    const recipe plain = {.edits = {{"rain", "grid_mapping", NULL, 0, {0}, 0},
                                    KIND("latitude_longitude"),
                                    {"x", "units", "degrees_east", 0, {0}, 0},
                                    {"y", "units", "degrees_north", 0, {0}, 0},
                                    {"x", "standard_name", "longitude", 0, {0}, 0},
                                    {"y", "standard_name", "latitude", 0, {0}, 0}}};
    field = read_made(&plain, 0, NULL, 0);
    assert_string_equal(field->grid.proj, "+proj=longlat +ellps=WGS84");
    assert_true(field->grid.left == 9.5 && field->grid.dx == 1);
    squall_field_destroy(&field);
    /* A text of PROJ stands in where there is no mapping. */
    const recipe text = {
        .edits = {{"crs", "grid_mapping_name", NULL, 0, {0}, 0},
                  {"", "proj4_string", "+proj=laea +lat_0=52 +lon_0=9", 0, {0}, 0}}};
    field = read_made(&text, 0, NULL, 0);
    assert_non_null(strstr(field->grid.proj, "+proj=laea +lat_0=52 +lon_0=9"));
    squall_field_destroy(&field);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        squall_status code;
        const char *where, *words;
    } cases[] = {
        {{.transposed = true}, SQUALL_E_UNSUPPORTED, "/y", "(y, x), not (x, y)"},
        {{.uneven = true}, SQUALL_E_UNSUPPORTED, "/x", "evenly spaced"},
        {{.no_axes = true}, SQUALL_E_UNSUPPORTED, "/x", "no coordinate variable"},
        {{.edits = {{"x", "units", "furlongs", 0, {0}, 0}}},
         SQUALL_E_UNSUPPORTED,
         "/x",
         "furlongs"},
        {{.edits = {{"x", "units", "m", 0, {0}, 0}}}, SQUALL_E_CORRUPT, "/rain", "do not go"},
        {{.edits = {{"x", "units", "degrees", 0, {0}, 0}}}, SQUALL_E_CORRUPT, "/rain", "do not go"},
        {{.edits = {KIND("flat_earth")}}, SQUALL_E_UNSUPPORTED, "/crs", "flat_earth"},
        {{.edits = {NONE}}, SQUALL_E_CORRUPT, "/crs", "straight_vertical_longitude_from_pole"},
        {{.edits = {{"crs", "grid_mapping_name", NULL, 0, {0}, 0}}},
         SQUALL_E_UNSUPPORTED,
         "/rain",
         "no grid mapping"},
        {{.edits = {{"rain", "scale_factor", NULL, 1, {0}, NC_DOUBLE}}},
         SQUALL_E_CORRUPT,
         "/rain",
         "scale_factor 0"},
        {{.edits = {{"rain", "scale_factor", NULL, 1, {INFINITY}, NC_DOUBLE}}},
         SQUALL_E_CORRUPT,
         "/rain",
         "scale_factor inf"},
        {{.edits = {{"time", "calendar", "360_day", 0, {0}, 0}}},
         SQUALL_E_UNSUPPORTED,
         "/time",
         "360_day"},
        {{.edits = {{"time", "units", "moons since 2026-06-19", 0, {0}, 0}}},
         SQUALL_E_CORRUPT,
         "/time",
         "moons since"},
        {{.edits = {{"time", "units", "minutes", 0, {0}, 0}}},
         SQUALL_E_UNSUPPORTED,
         "/rain",
         "dimension 'time' has 2 entries"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refusal(&cases[i].r, cases[i].code, cases[i].where, cases[i].words);
    }
}

/* Headers of classic files that do not hold are refused before the library reads them. */
static void test_bad_bytes(void **state)
{
    (void)state;
    static const int modes[] = {0, NC_64BIT_OFFSET, NC_64BIT_DATA};
    int refused = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        unsigned char *bytes = make(&(const recipe){.bounds = true}, modes[i], &size);
        /* The library hands out what it had set aside; the file ends with the last numbers. */
        static const unsigned char last[] = {0, 13, 0, 14, 0, 100};
        const unsigned char *end = memmem(bytes, size, last, sizeof last);
        assert_non_null(end);
        size = (size_t)(end - bytes) + sizeof last;
        check_truncation(bytes, size);
        refused += check_flips(bytes, size, 700);
        check_memory(bytes, size);
        free(bytes);
    }
    assert_true(refused > CHECK_FLIPS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_directions),
        cmocka_unit_test(test_quantities), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_windows),    cmocka_unit_test(test_times_of_attributes),
        cmocka_unit_test(test_time_units), cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_bad_bytes),
    };
    return cmocka_run_group_tests_name("io_netcdf", tests, NULL, NULL);
}
