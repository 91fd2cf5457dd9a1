/* tests/unit/wx/product/test_product_map.c - maps and contact sheets, looked at pixel by pixel. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include <cmocka.h>

#include "wx/grid/grid.h"
#include "wx/product/product_draw.h"

#define ISSUE_TIME 1282791600 /* date -u -d 2010-08-26T03:00:00Z +%s */

/* KNMI's composite: 700 x 765 cells of 1 km. */
static const char *const knmi_proj =
    "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.137 +b=6356.752 +x_0=0 +y_0=0";

static squall_grid make_grid(size_t width, size_t height, double cell)
{
    squall_grid grid = {
        .width = width, .height = height, .left = 0, .top = -3650, .dx = cell, .dy = cell};
    snprintf(grid.proj, sizeof grid.proj, "%s", knmi_proj);
    return grid;
}

/* A dry field, covered everywhere, half an hour after the issue. */
static squall_field *make_field(const squall_grid *grid)
{
    squall_field *field = NULL;
    squall_error err;
    assert_int_equal(squall_field_create(grid, &field, &err), SQUALL_OK);
    field->valid_time = ISSUE_TIME + 1800;
    for (size_t i = 0; i < grid->width * grid->height; i++) {
        field->values[i] = 0.0f;
        field->mask[i] = SQUALL_CELL_DRY;
    }
    return field;
}

static void fill(squall_field *field, size_t top, size_t left, size_t side, uint8_t mask,
                 float value)
{
    for (size_t i = top; i < top + side; i++) {
        for (size_t j = left; j < left + side; j++) {
            field->values[i * field->grid.width + j] = value;
            field->mask[i * field->grid.width + j] = mask;
        }
    }
}

/* Ten blocks of 20 x 20 cells: one of each class from the left, the heaviest first; under them one
 * block without coverage. */
static squall_field *make_blocks(void)
{
    const squall_grid grid = make_grid(200, 150, 1);
    squall_field *field = make_field(&grid);
    for (size_t k = 0; k < SQ_RATE_CLASSES; k++) {
        fill(field, 0, 20 * k, 20, SQUALL_CELL_VALUE,
             1.2f * (float)sq_rate_classes[SQ_RATE_CLASSES - 1 - k].from_mm_h);
    }
    fill(field, 60, 40, 40, SQUALL_CELL_NO_COVERAGE, NAN);
    return field;
}

static squall_product_info make_info(void)
{
    squall_product_info info;
    squall_product_info_init(&info);
    info.issue_time = ISSUE_TIME;
    info.method = "extrapolation";
    info.title = "Rain over nowhere";
    info.attribution = "Source: made up";
    info.quality = "nominal";
    return info;
}

/* Nothing over the field, so that its pixels are those of the cells. */
static squall_map_options make_options(size_t max_width)
{
    squall_map_options options;
    squall_map_options_init(&options);
    options.max_width = max_width;
    options.graticule = 0;
    options.coastlines = "";
    return options;
}

typedef struct picture {
    cairo_surface_t *surface;
    const unsigned char *bytes;
    size_t width, height, stride;
} picture;

static picture read_picture(const char *path)
{
    picture p = {.surface = cairo_image_surface_create_from_png(path)};
    assert_int_equal(cairo_surface_status(p.surface), CAIRO_STATUS_SUCCESS);
    p.bytes = cairo_image_surface_get_data(p.surface);
    p.width = (size_t)cairo_image_surface_get_width(p.surface);
    p.height = (size_t)cairo_image_surface_get_height(p.surface);
    p.stride = (size_t)cairo_image_surface_get_stride(p.surface);
    return p;
}

static uint32_t pixel(const picture *p, size_t x, size_t y)
{
    uint32_t colour;
    assert_true(x < p->width && y < p->height);
    memcpy(&colour, p->bytes + y * p->stride + 4 * x, sizeof colour);
    return colour & 0xFFFFFF;
}

/* The upper left pixel of the map: the first one, by column, in the colour of the heaviest rain;
 * the colour bar, which has it too, stands farther right. */
static void find_map(const picture *p, size_t *left, size_t *top)
{
    const uint32_t heaviest = sq_rate_classes[SQ_RATE_CLASSES - 1].colour;
    for (size_t x = 0; x < p->width; x++) {
        for (size_t y = 0; y < p->height; y++) {
            if (pixel(p, x, y) == heaviest) {
                *left = x;
                *top = y;
                return;
            }
        }
    }
    fail_msg("no pixel has the colour of the heaviest rain");
}

static picture draw_blocks(const char *path, size_t max_width, size_t *left, size_t *top)
{
    const squall_product_info info = make_info();
    const squall_map_options options = make_options(max_width);
    squall_error err;
    squall_field *field = make_blocks();
    if (squall_map_write(path, field, &info, &options, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_field_destroy(&field);
    picture p = read_picture(path);
    find_map(&p, left, top);
    return p;
}

/* A cell a pixel: each has the colour of its class, in its place. */
static void test_colours(void **state)
{
    (void)state;
    size_t left, top;
    picture p = draw_blocks("product_blocks.png", 200, &left, &top);
    for (size_t y = 0; y < 20; y++) {
        for (size_t x = 0; x < 200; x++) {
            assert_int_equal(pixel(&p, left + x, top + y),
                             sq_rate_classes[SQ_RATE_CLASSES - 1 - x / 20].colour);
        }
    }
    for (size_t y = 20; y < 60; y++) {
        for (size_t x = 0; x < 200; x++) {
            assert_int_equal(pixel(&p, left + x, top + y), SQ_COLOUR_GROUND);
        }
    }
    /* The frame is around the map, not on it. */
    assert_int_equal(pixel(&p, left - 1, top + 75), SQ_COLOUR_FRAME);
    assert_int_equal(pixel(&p, left + 200, top + 75), SQ_COLOUR_FRAME);
    assert_int_equal(pixel(&p, left + 100, top - 1), SQ_COLOUR_FRAME);
    assert_int_equal(pixel(&p, left + 100, top + 150), SQ_COLOUR_FRAME);
    cairo_surface_destroy(p.surface);
}

/* Without coverage: hatched, a line every 7 pixels, with an edge; never the colour of dry. */
static void test_hatching(void **state)
{
    (void)state;
    size_t left, top, light = 0, dark = 0;
    picture p = draw_blocks("product_blocks.png", 200, &left, &top);
    for (size_t y = 61; y < 99; y++) {
        for (size_t x = 41; x < 79; x++) {
            const uint32_t colour = pixel(&p, left + x, top + y);
            light += colour == SQ_COLOUR_HATCH_LIGHT;
            dark += colour == SQ_COLOUR_HATCH_DARK;
        }
    }
    assert_int_equal(light + dark, 38 * 38);
    assert_in_range(dark, 38 * 38 / 7 - 8, 38 * 38 / 7 + 8);
    for (size_t k = 40; k < 80; k++) {
        assert_int_equal(pixel(&p, left + 40, top + 20 + k), SQ_COLOUR_HATCH_EDGE);
        assert_int_equal(pixel(&p, left + k, top + 99), SQ_COLOUR_HATCH_EDGE);
    }
    assert_int_equal(pixel(&p, left + 39, top + 80), SQ_COLOUR_GROUND);
    assert_int_equal(pixel(&p, left + 80, top + 80), SQ_COLOUR_GROUND);
    cairo_surface_destroy(p.surface);
}

/* Room for three pixels and a half a cell: three, all alike. */
static void test_enlarged(void **state)
{
    (void)state;
    size_t left, top;
    picture p = draw_blocks("product_large.png", 700, &left, &top);
    for (size_t y = 0; y < 60; y++) {
        for (size_t x = 0; x < 600; x++) {
            assert_int_equal(pixel(&p, left + x, top + y),
                             sq_rate_classes[SQ_RATE_CLASSES - 1 - x / 60].colour);
        }
    }
    assert_int_equal(pixel(&p, left + 600, top + 225), SQ_COLOUR_FRAME);
    assert_int_equal(pixel(&p, left + 300, top + 450), SQ_COLOUR_FRAME);
    cairo_surface_destroy(p.surface);
}

/* Two by two cells a pixel: their mean over what is covered, hatched where less than half is. */
static void test_shrunk(void **state)
{
    (void)state;
    const squall_grid grid = make_grid(200, 100, 1);
    const squall_product_info info = make_info();
    const squall_map_options options = make_options(100);
    static const struct {
        float values[4]; /* NAN: no coverage */
        uint32_t colour;
    } cases[] = {
        {{120, 120, 120, 120}, 0x4B0040}, /* the mark that find_map() looks for */
        {{8, 0, 0, 0}, 0x1D62A6},         /* 2 mm/h */
        {{0.4f, 0, 0, 0}, 0xCFE8F7},      /* 0.1 mm/h */
        {{0.2f, 0, 0, 0}, SQ_COLOUR_GROUND},
        {{24, NAN, NAN, 0}, 0xFFE34D}, /* 12 mm/h, half covered */
        {{24, NAN, NAN, NAN}, SQ_COLOUR_HATCH_EDGE},
    };
    squall_error err;
    squall_field *field = make_field(&grid);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        for (size_t q = 0; q < 4; q++) {
            const float value = cases[k].values[q];
            fill(field, q / 2, 4 * k + q % 2, 1,
                 isnan(value) ? SQUALL_CELL_NO_COVERAGE : SQUALL_CELL_VALUE, value);
        }
    }
    assert_int_equal(squall_map_write("product_shrunk.png", field, &info, &options, &err),
                     SQUALL_OK);
    squall_field_destroy(&field);
    size_t left, top;
    picture p = read_picture("product_shrunk.png");
    find_map(&p, &left, &top);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_int_equal(pixel(&p, left + 2 * k, top), cases[k].colour);
    }
    cairo_surface_destroy(p.surface);
}

/* Each class begins at its number, for floats as they come out of files. */
static void test_classes(void **state)
{
    (void)state;
    static const float from[SQ_RATE_CLASSES] = {0.1f, 0.2f,  0.5f,  1.0f,  2.0f,
                                                5.0f, 10.0f, 20.0f, 50.0f, 100.0f};
    uint32_t below = SQ_COLOUR_GROUND;
    for (size_t k = 0; k < SQ_RATE_CLASSES; k++) {
        assert_int_equal(sq_rate_colour((double)from[k]), sq_rate_classes[k].colour);
        assert_int_equal(sq_rate_colour((double)nextafterf(from[k], 0.0f) - 1e-6), below);
        below = sq_rate_classes[k].colour;
    }
    assert_int_equal(sq_rate_colour(0.0), SQ_COLOUR_GROUND);
    assert_int_equal(sq_rate_colour(-1.0), SQ_COLOUR_GROUND);
    assert_int_equal(sq_rate_colour(1e9), sq_rate_classes[SQ_RATE_CLASSES - 1].colour);
}

static double to_linear(uint32_t channel)
{
    const double c = (double)(channel & 0xFF) / 255.0;
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double lab_curve(double t)
{
    return t > 0.008856 ? cbrt(t) : 7.787 * t + 16.0 / 116.0;
}

/* CIE L*a*b* (D65) of a colour as somebody sees it whose eyes turn linear RGB by `eyes`. */
static void see(uint32_t colour, const double eyes[3][3], double lab[3])
{
    static const double to_xyz[3][3] = {{0.4124 / 0.95047, 0.3576 / 0.95047, 0.1805 / 0.95047},
                                        {0.2126, 0.7152, 0.0722},
                                        {0.0193 / 1.08883, 0.1192 / 1.08883, 0.9505 / 1.08883}};
    const double rgb[3] = {to_linear(colour >> 16), to_linear(colour >> 8), to_linear(colour)};
    double seen[3], f[3];
    for (size_t i = 0; i < 3; i++) {
        const double sum = eyes[i][0] * rgb[0] + eyes[i][1] * rgb[1] + eyes[i][2] * rgb[2];
        seen[i] = fmin(1.0, fmax(0.0, sum));
    }
    for (size_t i = 0; i < 3; i++) {
        f[i] = lab_curve(to_xyz[i][0] * seen[0] + to_xyz[i][1] * seen[1] + to_xyz[i][2] * seen[2]);
    }
    lab[0] = 116.0 * f[1] - 16.0;
    lab[1] = 500.0 * (f[0] - f[1]);
    lab[2] = 200.0 * (f[1] - f[2]);
}

/* No two classes look alike, to normal eyes nor to those without one kind of cone. Matrices of
 * Machado, Oliveira and Fernandes (2009), severity 1. */
static void test_colour_blindness(void **state)
{
    (void)state;
    static const double eyes[4][3][3] = {
        {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
        {{0.152286, 1.052583, -0.204868},
         {0.114503, 0.786281, 0.099216},
         {-0.003882, -0.048116, 1.051998}},
        {{0.367322, 0.860646, -0.227968},
         {0.280085, 0.672501, 0.047413},
         {-0.011820, 0.042940, 0.968881}},
        {{1.255528, -0.076749, -0.178779},
         {-0.078411, 0.930809, 0.147602},
         {0.004733, 0.691367, 0.303900}},
    };
    uint32_t colours[SQ_RATE_CLASSES + 2] = {SQ_COLOUR_HATCH_LIGHT, SQ_COLOUR_GROUND};
    for (size_t k = 0; k < SQ_RATE_CLASSES; k++) {
        colours[k + 2] = sq_rate_classes[k].colour;
    }
    for (size_t e = 0; e < 4; e++) {
        double last_lightness = 0.0;
        for (size_t a = 0; a < SQ_RATE_CLASSES + 2; a++) {
            double lab[3];
            see(colours[a], eyes[e], lab);
            for (size_t b = 0; b < a; b++) {
                double other[3];
                see(colours[b], eyes[e], other);
                const double distance = sqrt(pow(lab[0] - other[0], 2) + pow(lab[1] - other[1], 2) +
                                             pow(lab[2] - other[2], 2));
                if (distance < 9.0) { /* about four times what is just seen side by side */
                    fail_msg("eyes %zu take %06x for %06x: %.1f", e, colours[a], colours[b],
                             distance);
                }
            }
            /* Darker from class to class, but for the one step to yellow at 10 mm/h. */
            if (a > 1 && a != 8) {
                assert_true(lab[0] < last_lightness);
            }
            last_lightness = lab[0];
        }
    }
}

static void read_bytes(const char *path, unsigned char **bytes, size_t *size)
{
    squall_error err;
    assert_int_equal(sq_file_read(path, 1 << 24, bytes, size, &err), SQUALL_OK);
}

static squall_status write_map(const char *path, squall_error *err)
{
    const squall_product_info info = make_info();
    squall_map_options options = make_options(200);
    options.graticule = 1;
    squall_field *field = make_blocks();
    const squall_status status = squall_map_write(path, field, &info, &options, err);
    squall_field_destroy(&field);
    return status;
}

static squall_status write_sheet(const char *path, squall_error *err)
{
    const squall_product_info info = make_info();
    squall_map_options options = make_options(300);
    options.graticule = 1;
    squall_field *field = make_blocks();
    const squall_field *observed[2] = {field, NULL}, *forecast[2] = {field, field};
    const squall_status status =
        squall_sheet_write(path, observed, forecast, 2, &info, &options, err);
    squall_field_destroy(&field);
    return status;
}

static void *write_in_thread(void *path)
{
    squall_error err;
    return write_map(path, &err) == SQUALL_OK ? path : NULL;
}

/* The same bytes each time, and from two threads at once. */
static void test_same_bytes(void **state)
{
    (void)state;
    static char paths[3][24] = {"product_same_0.png", "product_same_1.png", "product_same_2.png"};
    pthread_t threads[2];
    squall_error err;
    assert_int_equal(write_map(paths[0], &err), SQUALL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_in_thread, paths[i + 1]), 0);
    }
    unsigned char *first = NULL;
    size_t first_size = 0;
    read_bytes(paths[0], &first, &first_size);
    for (size_t i = 0; i < 2; i++) {
        void *done = NULL;
        unsigned char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_non_null(done);
        read_bytes(paths[i + 1], &bytes, &size);
        assert_int_equal(size, first_size);
        assert_memory_equal(bytes, first, size);
        sq_free(bytes);
        unlink(paths[i + 1]);
    }
    sq_free(first);
    unlink(paths[0]);
}

static size_t count_files(const char *folder)
{
    size_t count = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(stream);
    return count;
}

/* Each allocation fails once: said so, the old picture stays, nothing else is left. */
static void check_no_memory(squall_status (*write)(const char *, squall_error *))
{
    const char *folder = "product_map_memory", *path = "product_map_memory/map.png";
    squall_error err;
    size_t failures = 0;
    assert_int_equal(sq_folder_make(folder, &err), SQUALL_OK);
    long before = sq_memory_count();
    assert_int_equal(write(path, &err), SQUALL_OK);
    const long allocations = sq_memory_count() - before;
    /* The first three make the field; a failure there is not what is tried here. */
    for (long n = 3; n < allocations; n++) {
        unsigned char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(sq_file_write(path, "the old", 7, &err), SQUALL_OK);
        sq_memory_fail_at(n);
        const squall_status status = write(path, &err);
        sq_memory_fail_at(-1);
        read_bytes(path, &bytes, &size);
        if (status == SQUALL_OK) {
            assert_true(size > 7); /* the last one, of the commit: done without it */
        } else {
            assert_int_equal(status, SQUALL_E_MEMORY);
            assert_int_equal(size, 7);
            failures++;
        }
        sq_free(bytes);
        assert_int_equal(count_files(folder), 1);
    }
    assert_true(failures > 10);
    unlink(path);
    rmdir(folder);
}

static void test_no_memory(void **state)
{
    (void)state;
    check_no_memory(write_map);
    check_no_memory(write_sheet);
}

static void test_refused(void **state)
{
    (void)state;
    squall_product_info info = make_info();
    squall_map_options options = make_options(200);
    const char *path = "product_refused.png";
    squall_error err;
    squall_field *field = make_blocks();
    unlink(path);
    assert_int_equal(squall_map_write(path, NULL, &info, &options, &err), SQUALL_E_ARGUMENT);
    options.max_width = 10;
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_ARGUMENT);
    options.max_width = 200;
    options.struct_size = 0;
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_ARGUMENT);
    options.struct_size = sizeof options;
    info.struct_size = 0;
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_ARGUMENT);
    info.struct_size = sizeof info;
    field->valid_time = SQUALL_TIME_NONE;
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_SHAPE);
    field->valid_time = ISSUE_TIME;
    squall_field_set_quantity(field, SQUALL_REFLECTIVITY, NULL, NULL);
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_SHAPE);
    squall_field_set_quantity(field, SQUALL_RAIN_RATE, NULL, NULL);
    snprintf(field->grid.proj, sizeof field->grid.proj, "+proj=geos +h=35785831 +lon_0=0");
    field->grid.left = 1e8; /* beside the Earth */
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "geos"));
    snprintf(field->grid.proj, sizeof field->grid.proj, "no projection");
    assert_int_equal(squall_map_write(path, field, &info, &options, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "no projection"));
    squall_field_destroy(&field);

    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(write_map("product_absent/map.png", &err), SQUALL_E_IO);
    assert_string_equal(err.where, "product_absent/map.png");
    assert_non_null(strstr(err.text, strerror(ENOENT)));
}

/* Options and info may be left out, and texts may be anything. */
static void test_texts(void **state)
{
    (void)state;
    squall_error err;
    squall_field *field = make_blocks();
    assert_int_equal(squall_map_write("product_plain.png", field, NULL, NULL, &err), SQUALL_OK);
    char endless[3000];
    memset(endless, 'W', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    squall_product_info info = make_info();
    const squall_map_options options = make_options(100);
    info.title = endless;
    info.attribution = "Latin-1: M\xE9t\xE9o; two\nlines and \xE2\x80\x9Cquotes\xE2\x80\x9D";
    info.quality = endless;
    info.quality_index = 0.25;
    info.model = "";
    info.method = "";
    assert_int_equal(squall_map_write("product_plain.png", field, &info, &options, &err),
                     SQUALL_OK);
    const squall_field *one = field;
    assert_int_equal(squall_sheet_write("product_plain.png", &one, NULL, 1, &info, &options, &err),
                     SQUALL_OK);
    squall_field_destroy(&field);
    unlink("product_plain.png");
}

static void test_words(void **state)
{
    (void)state;
    char text[SQ_MOMENT_TEXT];
    /* date -u -d @1282791600 '+%a %-d %b %Y %H:%M' */
    assert_string_equal(sq_moment_format(ISSUE_TIME, text), "Thu 26 Aug 2010 03:00 UTC");
    assert_string_equal(sq_moment_format(-1, text), "Wed 31 Dec 1969 23:59 UTC");
    assert_string_equal(sq_moment_format(951868799, text), "Tue 29 Feb 2000 23:59 UTC");
    static const struct {
        int64_t lead_s;
        const char *text;
    } leads[] = {{0, "+0 min"},
                 {300, "+5 min"},
                 {5400, "+90 min"},
                 {7200, "+2 h"},
                 {9000, "+2 h 30 min"},
                 {90, "+90 s"},
                 {-600, "\xE2\x88\x92"
                        "10 min"}};
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        assert_string_equal(sq_lead_format(leads[i].lead_s, text), leads[i].text);
    }

    squall_product_info info = make_info();
    sq_overlay overlay = {0};
    char *method = sq_method_format(&info);
    assert_string_equal(method, "Extrapolation");
    sq_free(method);
    info.method = "model";
    info.model = "rain 1.2";
    method = sq_method_format(&info);
    assert_string_equal(method, "Model rain 1.2");
    sq_free(method);
    info.license = "CC BY 4.0";
    char *credit = sq_credit_format(&info, &overlay);
    assert_string_equal(credit, "Source: made up \xC2\xB7 CC BY 4.0");
    sq_free(credit);

    assert_false(sq_quality_matters(&info));
    info.quality_index = 1.0;
    assert_false(sq_quality_matters(&info));
    info.quality_index = 0.99;
    assert_true(sq_quality_matters(&info));
    info.quality_index = NAN;
    info.quality = "one frame was missing";
    assert_true(sq_quality_matters(&info));
    info.quality = NULL;
    assert_false(sq_quality_matters(&info));
}

/* Degrees of longitude are narrower than those of latitude; metres are as they are. */
static void test_aspect(void **state)
{
    (void)state;
    squall_grid grid = {.width = 200, .height = 100, .left = 0, .top = 65, .dx = 0.1, .dy = 0.1};
    sq_view view = sq_view_whole(&grid);
    sq_rectangle size;
    snprintf(grid.proj, sizeof grid.proj, "+proj=longlat +datum=WGS84");
    sq_field_size(&grid, &view, 100.0, 1000.0, &size);
    assert_true(size.width == 100.0 && size.height == 100.0); /* cos 60 = 1/2 */
    grid = make_grid(200, 100, 1);
    sq_field_size(&grid, &view, 100.0, 1000.0, &size);
    assert_true(size.width == 100.0 && size.height == 50.0);
    grid.dy = 0.5;
    sq_field_size(&grid, &view, 1000.0, 120.0, &size);
    assert_true(size.width == 400.0 && size.height == 100.0);
}

/* A sheet grows with its columns, shows what was not observed, and takes no pair of two times. */
static void test_sheet(void **state)
{
    (void)state;
    const squall_product_info info = make_info();
    const squall_map_options options = make_options(900);
    const char *path = "product_sheet.png";
    squall_error err;
    squall_field *field = make_blocks(), *later = make_blocks();
    later->valid_time += 300;
    const squall_field *observed[70] = {field}, *forecast[70] = {field, later};
    size_t widths[6] = {0};
    for (size_t count = 4; count <= 5; count++) {
        assert_int_equal(squall_sheet_write(path, observed, forecast, count, &info, &options, &err),
                         SQUALL_OK);
        const picture p = read_picture(path);
        widths[count] = p.width;
        size_t left, top, absent = 0;
        find_map(&p, &left, &top);
        for (size_t x = left; x < p.width; x++) {
            absent += pixel(&p, x, top + 20) == 0xECECEC;
        }
        /* 200 pixels a panel, at one pixel a cell. */
        assert_int_equal(absent, 200 * (count - 1));
        assert_int_equal(pixel(&p, left + 25, top), sq_rate_classes[8].colour);
        /* The forecast stands under it, and so does the next column's. */
        size_t second = top + 20;
        while (pixel(&p, left, second) != sq_rate_classes[9].colour) {
            second++;
        }
        assert_true(second >= top + 150);
        assert_int_equal(pixel(&p, left + 25, second), sq_rate_classes[8].colour);
        cairo_surface_destroy(p.surface);
    }
    assert_true(widths[5] > widths[4] + 200);

    observed[1] = field;
    assert_int_equal(squall_sheet_write(path, observed, forecast, 2, &info, &options, &err),
                     SQUALL_E_SHAPE);
    assert_string_equal(err.where, "forecast 1");
    assert_non_null(strstr(err.text, "2010-08-26T03:35:00Z"));
    observed[1] = NULL;
    later->grid.left += 1;
    assert_int_equal(squall_sheet_write(path, observed, forecast, 2, &info, &options, &err),
                     SQUALL_E_SHAPE);
    assert_int_equal(squall_sheet_write(path, observed, forecast, 70, &info, &options, &err),
                     SQUALL_E_LIMIT);
    assert_int_equal(squall_sheet_write(path, NULL, NULL, 2, &info, &options, &err),
                     SQUALL_E_ARGUMENT);
    assert_int_equal(squall_sheet_write(path, observed, forecast, 0, &info, &options, &err),
                     SQUALL_E_ARGUMENT);
    squall_field_destroy(&field);
    squall_field_destroy(&later);
    unlink(path);
}

/* A sheet shows the part of the grid that is covered, not the empty rest. */
static void test_view(void **state)
{
    (void)state;
    const squall_grid grid = make_grid(300, 200, 1);
    squall_field *field = NULL;
    squall_error err;
    sq_view view = {0, 0, 0, 0};
    assert_int_equal(squall_field_create(&grid, &field, &err), SQUALL_OK);
    sq_view_cover(&view, field);
    assert_int_equal(view.width, 0);
    fill(field, 50, 100, 40, SQUALL_CELL_DRY, 0.0f);
    sq_view_cover(&view, field);
    fill(field, 10, 20, 5, SQUALL_CELL_VALUE, 1.0f);
    sq_view_cover(&view, field);
    assert_int_equal(view.column, 20);
    assert_int_equal(view.row, 10);
    assert_int_equal(view.width, 120);
    assert_int_equal(view.height, 80);
    squall_field_destroy(&field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours),    cmocka_unit_test(test_hatching),
        cmocka_unit_test(test_enlarged),   cmocka_unit_test(test_shrunk),
        cmocka_unit_test(test_classes),    cmocka_unit_test(test_colour_blindness),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_texts),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_aspect),
        cmocka_unit_test(test_sheet),      cmocka_unit_test(test_view),
    };
    return cmocka_run_group_tests_name("product_map", tests, NULL, NULL);
}
