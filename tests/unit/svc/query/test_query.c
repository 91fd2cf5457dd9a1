/* tests/unit/svc/query/test_query.c - shapes, times, samples on a grid whose values are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "svc/query/query.h"

static void test_shapes(void **state)
{
    (void)state;
    sq_shape s;
    squall_error err;
    static const struct {
        const char *text;
        sq_shape_kind kind;
        size_t points, rings;
    } good[] = {{"POINT(5 52)", SQ_SHAPE_POINTS, 1, 0},
                {" point z ( 5 52 10 ) ", SQ_SHAPE_POINTS, 1, 0},
                {"MULTIPOINT(1 2,3 4)", SQ_SHAPE_POINTS, 2, 0},
                {"MULTIPOINT((1 2),(3 4),(5 6))", SQ_SHAPE_POINTS, 3, 0},
                {"LINESTRING(1 2,3 4,5 6)", SQ_SHAPE_LINE, 3, 0},
                {"LINESTRINGZ(1 2 0,3 4 0)", SQ_SHAPE_LINE, 2, 0},
                {"LINESTRINGM(1 2 100,3 4 200)", SQ_SHAPE_LINE, 2, 0},
                {"LINESTRING ZM (1 2 0 100,3 4 0 200)", SQ_SHAPE_LINE, 2, 0},
                {"POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,2 1,2 2,1 1))", SQ_SHAPE_POLYGONS, 9, 2},
                {"MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))", SQ_SHAPE_POLYGONS, 8, 2}};
    static const char *const bad[] = {"",
                                      "POINT",
                                      "POINT()",
                                      "POINT(5)",
                                      "POINT(5 52",
                                      "POINT(5 52) x",
                                      "POINT(5,52)",
                                      "POINT(nan 1)",
                                      "POINT(0x10 1)",
                                      "POINT(5 91)",
                                      "POINT(500 1)",
                                      "LINESTRING(1 2)",
                                      "LINESTRING()",
                                      "POLYGON()",
                                      "POLYGON((0 0,1 0,1 1))",
                                      "POLYGON((0 0,1 0,1 1,2 2))",
                                      "POLYGON(0 0,1 0,1 1,0 0)",
                                      "MULTIPOLYGON((0 0,1 0,1 1,0 0))",
                                      "CIRCLE(1 2)",
                                      "GEOMETRYCOLLECTION(POINT(1 2))",
                                      "POINT EMPTY",
                                      "POINTY(1 2)",
                                      "((((",
                                      "MULTIPOINT((1 2,3 4))"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(sq_shape_parse(good[i].text, &s, &err), SQUALL_OK);
        assert_int_equal(s.kind, good[i].kind);
        assert_int_equal(s.count, good[i].points);
        assert_int_equal(s.ring_count, good[i].rings);
        sq_shape_free(&s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sq_shape_parse(bad[i], &s, &err), SQUALL_E_FORMAT);
        assert_null(s.points);
    }
    assert_int_equal(sq_shape_parse("LINESTRINGM(1 2 100,3 4 200)", &s, &err), SQUALL_OK);
    assert_true(s.timed && s.points[1].time == 200);
    sq_shape_free(&s);
}

static void test_inside(void **state)
{
    (void)state;
    sq_shape s;
    assert_int_equal(sq_shape_parse("POLYGON((0 0,4 0,4 4,0 4,0 0),(1 1,3 1,3 3,1 3,1 1))", &s,
                                    NULL),
                     SQUALL_OK);
    assert_true(sq_shape_holds(&s, 0.5, 0.5));
    assert_false(sq_shape_holds(&s, 2, 2)); /* in the hole */
    assert_false(sq_shape_holds(&s, 5, 2));
    assert_true(s.west == 0 && s.east == 4 && s.south == 0 && s.north == 4);
    sq_shape_free(&s);
}

static void test_limit(void **state)
{
    (void)state;
    sq_shape s;
    squall_error err;
    sq_text text = {0};
    sq_text_add(&text, "MULTIPOINT(1 2");
    for (int i = 0; i < SQ_QUERY_POINTS; i++) {
        sq_text_add(&text, ",1 2");
    }
    sq_text_add(&text, ")");
    assert_int_equal(sq_shape_parse(text.data, &s, &err), SQUALL_E_LIMIT);
    sq_text_free(&text);
    for (long n = 0; n < 3; n++) {
        sq_memory_fail_at(n);
        const squall_status status = sq_shape_parse("POLYGON((0 0,1 0,1 1,0 0))", &s, &err);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_shape_free(&s);
    }
}

static void time_is(const char *text, int64_t from, int64_t to)
{
    int64_t a, b;
    assert_int_equal(sq_query_time(text, &a, &b, NULL), SQUALL_OK);
    assert_int_equal(a, from);
    assert_int_equal(b, to);
}

static void test_times(void **state)
{
    (void)state;
    int64_t a, b;
    const int64_t t = 1282788000; /* date -u -d 2010-08-26T02:00Z +%s */
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "2010-08-26T02:00:00Z/2009-01-01T00:00:00Z",
                                      "2010-13-01T00:00:00Z",
                                      "/x",
                                      "a/b/c",
                                      "2010-08-26T02:00:00+2",
                                      "2010-08-26T02:00:00.Z"};
    time_is("2010-08-26T02:00:00Z", t, t);
    time_is("2010-08-26t02:00:00z", t, t);
    time_is("2010-08-26T04:00:00+02:00", t, t);
    time_is("2010-08-26T04:00:00 02:00", t, t); /* a plus sign that the query's decoding took */
    time_is("2010-08-25T21:00:00-05:00", t, t);
    time_is("2010-08-26T02:00:00.123Z", t, t);
    time_is("2010-08-26", t - 7200, t - 7200);
    time_is("2010-08-26T02:00:00Z/..", t, INT64_MAX);
    time_is("../2010-08-26T02:00:00Z", INT64_MIN, t);
    time_is("/2010-08-26T02:00:00Z", INT64_MIN, t);
    time_is("2010-08-26T02:00:00Z/2010-08-26T03:00:00Z", t, t + 3600);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        squall_error err;
        assert_int_equal(sq_query_time(bad[i], &a, &b, &err), SQUALL_E_FORMAT);
    }
}

static void test_words(void **state)
{
    (void)state;
    double box[4], metres;
    sq_parameter_id ids[SQ_PARAMETERS];
    size_t count;
    squall_error err;
    assert_int_equal(sq_query_box("1,2,3,4", box, NULL), SQUALL_OK);
    assert_true(box[2] == 3);
    assert_int_equal(sq_query_box("1,2,0,3,4,9", box, NULL), SQUALL_OK);
    assert_true(box[2] == 3 && box[3] == 4);
    static const char *const bad[] = {"",        "1,2,3",   "1,2,3,4,5", "3,2,1,4",
                                      "1,4,3,2", "1,2,3,x", "1,2,3,99",  "1,2,3,4,5,6,7"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(sq_query_box(bad[i], box, &err), SQUALL_E_FORMAT);
    }
    assert_int_equal(sq_query_length("2.5", "km", &metres, NULL), SQUALL_OK);
    assert_true(metres == 2500.0);
    assert_int_equal(sq_query_length("0", "km", &metres, &err), SQUALL_E_FORMAT);
    assert_int_equal(sq_query_length("1", "furlong", &metres, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_query_parameters(NULL, false, ids, &count, NULL), SQUALL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(sq_query_parameters("", true, ids, &count, NULL), SQUALL_OK);
    assert_int_equal(count, 1);
    assert_int_equal(sq_query_parameters("rain_probability,rain_probability,rainrate", false, ids,
                                         &count, NULL),
                     SQUALL_OK);
    assert_true(count == 2 && ids[0] == SQ_PARAMETER_PROBABILITY);
    assert_int_equal(sq_query_parameters("snow", false, ids, &count, &err), SQUALL_E_ARGUMENT);
    assert_int_equal(sq_query_parameters("rain_probability", true, ids, &count, &err),
                     SQUALL_E_ARGUMENT);
}

/* ---------------------------------------------------------------- samples */

enum { SIDE = 40 };

/* A grid of a tenth of a degree from (0, 50); cell (row i, column j) of layer t holds
 * (t + 1) + i + j / 100 mm/h, the first row is dry, the last column has no coverage. */
typedef struct world {
    sq_place *place;
    sq_layer *layers[2];
    sq_query_source source;
    int32_t leads[2];
} world;

static world make_world(void)
{
    world w = {0};
    const squall_grid grid = {.width = SIDE,
                              .height = SIDE,
                              .left = 0,
                              .top = 50,
                              .dx = 0.1,
                              .dy = 0.1,
                              .proj = "+proj=longlat +datum=WGS84"};
    squall_field *field = NULL;
    assert_int_equal(sq_place_create(&grid, &w.place, NULL), SQUALL_OK);
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    for (int t = 0; t < 2; t++) {
        field->valid_time = 300 * (t + 1);
        for (size_t k = 0; k < SIDE * SIDE; k++) {
            field->values[k] = (float)(t + 1) + (float)(k / SIDE) + (float)(k % SIDE) / 100.0f;
            field->mask[k] = k < SIDE               ? SQUALL_CELL_DRY
                             : k % SIDE == SIDE - 1 ? SQUALL_CELL_NO_COVERAGE
                                                    : SQUALL_CELL_VALUE;
        }
        w.layers[t] = sq_layer_create(field);
        w.leads[t] = 300 * (t + 1);
    }
    squall_field_destroy(&field);
    return w;
}

static sq_query_source source_of(world *w)
{
    return (sq_query_source){.place = w->place,
                             .layers = (const sq_layer *const *)w->layers,
                             .leads_s = w->leads,
                             .count = 2};
}

static void free_world(world *w)
{
    sq_layer_drop(&w->layers[0]);
    sq_layer_drop(&w->layers[1]);
    sq_place_drop(&w->place);
}

static const sq_parameter_id both[] = {SQ_PARAMETER_RATE, SQ_PARAMETER_PROBABILITY};

static void test_series(void **state)
{
    (void)state;
    world w = make_world();
    const sq_query_source source = source_of(&w);
    sq_cover c;
    assert_int_equal(sq_query_series(&source, 0.55, 48.95, both, 2, &c, NULL),
                     SQUALL_OK); /* row 10, column 5 */
    assert_true(fabsf(c.values[0][0] - 11.05f) < 0.006f);
    assert_true(fabsf(c.values[0][1] - 12.05f) < 0.006f);
    assert_true(c.values[1][0] == 1.0f && c.covered); /* wet all around */
    sq_cover_free(&c);
    assert_int_equal(sq_query_series(&source, 0.55, 49.95, both, 1, &c, NULL), SQUALL_OK);
    assert_true(c.values[0][0] == 0.0f && c.covered); /* dry is 0 */
    sq_cover_free(&c);
    assert_int_equal(sq_query_series(&source, 3.95, 48.95, both, 1, &c, NULL), SQUALL_OK);
    assert_true(isnan(c.values[0][0]) && !c.covered); /* no coverage is nothing */
    sq_cover_free(&c);
    assert_int_equal(sq_query_series(&source, 90, 0, both, 2, &c, NULL), SQUALL_OK);
    assert_true(isnan(c.values[0][0]) && isnan(c.values[1][0]) && !c.covered);
    sq_cover_free(&c);
    for (long n = 0; n < 5; n++) {
        squall_error err;
        sq_memory_fail_at(n);
        assert_int_equal(sq_query_series(&source, 0.5, 49, both, 2, &c, &err), SQUALL_E_MEMORY);
        sq_memory_fail_at(-1);
    }
    free_world(&w);
}

static void test_grid(void **state)
{
    (void)state;
    world w = make_world();
    const sq_query_source source = source_of(&w);
    sq_query_area area = {.box = {1.0, 47.0, 2.0, 48.0}, .most = 100000};
    sq_cover c;
    squall_error err;
    assert_int_equal(sq_query_grid(&source, &area, both, 2, &c, NULL), SQUALL_OK);
    for (size_t y = 0; y < c.ny; y++) {
        for (size_t x = 0; x < c.nx;
             x++) { /* each value is that of the cell that holds the point */
            const double row = floor((50.0 - c.y[y]) / 0.1), column = floor(c.x[x] / 0.1);
            const double expected = 1.0 + row + column / 100.0;
            assert_true(fabs((double)c.values[0][y * c.nx + x] - expected) < 0.006);
            assert_true(c.values[1][y * c.nx + x] == 1.0f);
        }
    }
    assert_true(c.y[0] > c.y[c.ny - 1]); /* from north to south */
    squall_field **fields = NULL;
    assert_int_equal(sq_cover_fields(&c, &fields, NULL), SQUALL_OK);
    assert_int_equal(fields[1]->valid_time, 600);
    assert_true(fields[0]->values[0] == c.values[0][0]);
    squall_field_destroy(&fields[0]);
    squall_field_destroy(&fields[1]);
    sq_free(fields);
    sq_cover_free(&c);
    area.most = 10;
    assert_int_equal(sq_query_grid(&source, &area, both, 1, &c, &err), SQUALL_E_LIMIT);
    area.most = 100000;
    area.box[0] = 100;
    area.box[2] = 101;
    assert_int_equal(sq_query_grid(&source, &area, both, 1, &c, &err), SQUALL_E_NO_DATA);
    area = (sq_query_area){
        .box = {1.0, 47.0, 2.0, 48.0}, .most = 100000, .lon = 1.5, .lat = 47.5, .radius_m = 30000};
    assert_int_equal(sq_query_grid(&source, &area, both + 1, 1, &c, NULL), SQUALL_OK);
    assert_true(isnan(c.values[0][0]) && c.covered); /* the corner is farther than 30 km */
    sq_cover_free(&c);
    for (long n = 0; n < 9; n++) {
        sq_memory_fail_at(n);
        const squall_status status = sq_query_grid(&source, &area, both, 2, &c, &err);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_cover_free(&c);
    }
    free_world(&w);
}

static void test_track(void **state)
{
    (void)state;
    world w = make_world();
    const sq_query_source source = source_of(&w);
    sq_shape line;
    sq_cover c;
    squall_error err;
    assert_int_equal(sq_shape_parse("LINESTRINGM(1 48 300,1.5 48 600)", &line, NULL), SQUALL_OK);
    assert_int_equal(sq_query_track(&source, &line, 0, 1000, both, 2, &c, NULL), SQUALL_OK);
    assert_true(c.nx > 4 && c.times[0] == 300 && c.times[c.nx - 1] == 600);
    assert_true(c.values[0][c.nx - 1] - c.values[0][0] > 1.0f); /* the later layer is 1 mm/h more */
    sq_cover_free(&c);
    assert_int_equal(sq_query_track(&source, &line, 0, 2, both, 2, &c, &err), SQUALL_E_LIMIT);
    sq_shape_free(&line);
    free_world(&w);
}

static void test_writing(void **state)
{
    (void)state;
    world w = make_world();
    const sq_query_source source = source_of(&w);
    sq_cover c[2];
    sq_json json = {0};
    sq_text csv = {0};
    assert_int_equal(sq_query_series(&source, 0.55, 48.95, both, 1, &c[0], NULL), SQUALL_OK);
    assert_int_equal(sq_query_series(&source, 3.95, 48.95, both, 1, &c[1], NULL), SQUALL_OK);
    strcpy(c[0].id, "here");
    sq_write_covjson(c, 1, &json);
    assert_non_null(strstr(
        json.text.data,
        "\"domainType\":\"PointSeries\",\"axes\":{\"t\":{\"values\":[\"1970-01-01T00:05:00Z\""));
    assert_non_null(
        strstr(json.text.data,
               "\"axisNames\":[\"t\",\"y\",\"x\"],\"shape\":[2,1,1],\"values\":[11.05,12.05]"));
    sq_json_free(&json);
    sq_write_covjson(c, 2, &json);
    assert_non_null(
        strstr(json.text.data,
               "{\"type\":\"CoverageCollection\",\"domainType\":\"PointSeries\",\"parameters\""));
    assert_non_null(strstr(json.text.data, "\"values\":[null,null]"));
    sq_json_free(&json);
    sq_write_geojson(c, 2, &json);
    assert_non_null(
        strstr(json.text.data,
               "\"id\":\"here\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[0.55,48.95]}"));
    sq_json_free(&json);
    sq_write_csv(c, 2, &csv);
    assert_string_equal(csv.data, "location,time,longitude,latitude,rainrate (mm/h)\r\n"
                                  "here,1970-01-01T00:05:00Z,0.55,48.95,11.05\r\n"
                                  "here,1970-01-01T00:10:00Z,0.55,48.95,12.05\r\n"
                                  ",1970-01-01T00:05:00Z,3.95,48.95,\r\n"
                                  ",1970-01-01T00:10:00Z,3.95,48.95,\r\n");
    sq_text_free(&csv);
    sq_cover_free(&c[0]);
    sq_cover_free(&c[1]);
    free_world(&w);
}

/* Half of the disc is wet: so is the probability. */
static void test_probability(void **state)
{
    (void)state;
    world w = make_world();
    sq_query_source source = source_of(&w);
    sq_layer *layer = w.layers[0];
    for (size_t k = 0; k < SIDE * SIDE; k++) {
        layer->values[k] = k % SIDE < SIDE / 2 ? 100 : SQ_LAYER_DRY;
    }
    const float middle = sq_query_probability(&source, 0, SIDE / 2, SIDE / 2);
    assert_true(middle > 0.1f && middle < 0.6f);
    assert_true(sq_query_probability(&source, 0, 5, 20) == 1.0f);
    assert_true(sq_query_probability(&source, 0, 35, 20) == 0.0f);
    for (size_t k = 0; k < SIDE * SIDE; k++) {
        layer->values[k] = SQ_LAYER_NONE;
    }
    assert_true(isnan(sq_query_probability(&source, 0, 20, 20)));

    /* An ensemble knows better, at points and over areas. */
    const sq_layer *chances[2] = {w.layers[1], w.layers[1]};
    for (size_t k = 0; k < SIDE * SIDE; k++) {
        w.layers[1]->values[k] = k % SIDE == 0   ? SQ_LAYER_NONE
                                 : k % SIDE == 1 ? SQ_LAYER_DRY
                                                 : 2500;
    }
    source.chances = chances;
    assert_true(sq_query_probability(&source, 0, 20, 20) == 0.25f);
    assert_true(sq_query_probability(&source, 1, 1.5, 20) == 0.0f);
    assert_true(isnan(sq_query_probability(&source, 0, 0.5, 20)));
    const sq_parameter_id wanted = SQ_PARAMETER_PROBABILITY;
    const sq_query_area area = {.box = {1.01, 46.51, 1.39, 46.89}, .most = 1000};
    sq_cover cover;
    assert_int_equal(sq_query_grid(&source, &area, &wanted, 1, &cover, NULL), SQUALL_OK);
    for (size_t k = 0; k < cover.nt * cover.ny * cover.nx; k++) {
        assert_true(cover.values[0][k] == 0.25f);
    }
    sq_cover_free(&cover);
    free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_inside),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_times),
        cmocka_unit_test(test_words),   cmocka_unit_test(test_series),
        cmocka_unit_test(test_grid),    cmocka_unit_test(test_track),
        cmocka_unit_test(test_writing), cmocka_unit_test(test_probability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
