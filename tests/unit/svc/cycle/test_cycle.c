/* tests/unit/svc/cycle/test_cycle.c - frames of every kind, when a cycle is due, what is published.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "svc/cycle/cycle_private.h"

enum { SIDE = 32 };
#define NOW 1000000

static squall_grid small_grid(void)
{
    return (squall_grid){.width = SIDE,
                         .height = SIDE,
                         .left = 0,
                         .top = 50,
                         .dx = 0.01,
                         .dy = 0.01,
                         .proj = "+proj=longlat +datum=WGS84"};
}

static squall_field *make_field(int64_t time, float rate)
{
    const squall_grid grid = small_grid();
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        field->values[i] = rate;
        field->mask[i] = SQUALL_CELL_VALUE;
    }
    return field;
}

static sq_config_region region_config(void)
{
    sq_config_region c;
    memset(&c, 0, sizeof c);
    strcpy(c.name, "r");
    strcpy(c.radar, "radar");
    strcpy(c.sources, "sat");
    strcpy(c.method, "auto");
    c.cadence_s = 300;
    c.deadline_s = 60;
    c.max_age_min = 60;
    c.history_min = 60;
    c.instances = 2;
    return c;
}

static sq_arrival take(sq_region *region, const char *source, int64_t time, float rate,
                       double arrived_s)
{
    sq_arrival arrival = SQ_ARRIVED_CORRUPT;
    squall_field *field = make_field(time, rate), *carried = NULL;
    assert_int_equal(sq_region_carry(region, source, field, &carried, NULL), SQUALL_OK);
    assert_int_equal(sq_region_take(region, source, carried, "x.h5", NOW, arrived_s, &arrival,
                                    NULL),
                     SQUALL_OK);
    squall_field_destroy(&field);
    return arrival;
}

static void test_arrivals(void **state)
{
    (void)state;
    sq_region_status status;
    const sq_config_region config = region_config();
    sq_region *r = sq_region_create(&config, 2700);
    assert_int_equal(take(r, "radar", NOW, 1.0f, 0), SQ_ARRIVED_NEW);
    assert_int_equal(take(r, "radar", NOW, 1.0f, 0), SQ_ARRIVED_DUPLICATE);
    assert_int_equal(take(r, "radar", NOW, 2.0f, 0), SQ_ARRIVED_CORRECTED);
    assert_int_equal(take(r, "radar", NOW + 600, 1.0f, 0), SQ_ARRIVED_NEW);
    assert_int_equal(take(r, "radar", NOW + 300, 1.0f, 0), SQ_ARRIVED_LATE); /* out of order */
    assert_int_equal(take(r, "radar", NOW - 7200, 1.0f, 0), SQ_ARRIVED_OLD);
    sq_region_status_get(r, &status);
    assert_int_equal(status.newest_frame, NOW + 600);
    assert_int_equal(status.frames, 3);
    assert_int_equal(r->radar.count, 3);
    for (size_t i = 1; i < r->radar.count; i++) { /* in order, however they came */
        assert_true(r->radar.items[i - 1]->field->valid_time <
                    r->radar.items[i]->field->valid_time);
    }
    for (int i = 3; i < 40; i++) { /* what is too old goes */
        assert_int_equal(take(r, "radar", NOW + 300 * i, 1.0f, 0), SQ_ARRIVED_NEW);
    }
    assert_true(r->radar.count <= 2700 / 300 + 1);
    assert_true(r->observed_count <= 3600 / 300 + 1);
    sq_region_clear(r);
    sq_region_status_get(r, &status);
    assert_int_equal(status.frames, 0);
    assert_int_equal(status.newest_frame, SQ_TIME_NONE);
    sq_region_drop(&r);
    assert_null(r);
}

/* Complete data start a cycle at once; without the satellite it waits until the deadline. */
static void test_due(void **state)
{
    (void)state;
    const sq_config_region config = region_config();
    sq_region *r = sq_region_create(&config, 2700);
    assert_false(sq_region_is_due(r, 0, 1.0, false));
    take(r, "radar", NOW, 1.0f, 100.0);
    assert_false(sq_region_is_due(r, 100.0, 1.0, false));
    assert_false(sq_region_is_due(r, 159.0, 1.0, false));
    assert_true(sq_region_is_due(r, 160.0, 1.0, false));
    assert_false(sq_region_is_due(r, 161.0, 1.0, false)); /* it is queued: not twice */
    r->queued = r->dirty = false;
    take(r, "radar", NOW + 300, 1.0f, 200.0);
    assert_false(sq_region_is_due(r, 200.0, 1.0, false));
    take(r, "sat", NOW + 300, 1.0f, 210.0);
    assert_false(sq_region_is_due(r, 210.0, 1.0, true)); /* more is being read */
    assert_true(sq_region_is_due(r, 210.0, 1.0, false));
    r->queued = r->dirty = false;
    take(r, "radar", NOW + 600, 1.0f, 300.0);
    assert_true(
        sq_region_is_due(r, 300.0, 1.0, false)); /* the satellite's is no older than a cadence */
    r->queued = r->dirty = false;
    take(r, "radar", NOW + 900, 1.0f, 400.0);
    assert_true(sq_region_is_due(r, 401.0, 60.0, false)); /* a clock that runs 60 times as fast */
    r->queued = r->dirty = false;
    take(r, "radar", NOW + 450, 1.0f, 500.0);
    assert_false(sq_region_is_due(r, 900.0, 1.0, false)); /* late: nothing to do */
    sq_region_drop(&r);
}

static sq_snapshot *make_snapshot(sq_region *r, int64_t issue)
{
    sq_snapshot *s = sq_snapshot_create(1, 1, NULL);
    squall_field *field = make_field(issue + 300, 3.0f);
    s->place = sq_place_keep(r->place);
    s->issue_time = issue;
    s->leads_s[0] = 300;
    s->layers[0] = sq_layer_create(field);
    field->valid_time = issue;
    s->observed[s->observed_count++] = sq_layer_create(field);
    sq_snapshot_name(s);
    squall_field_destroy(&field);
    return s;
}

static void test_publishing(void **state)
{
    (void)state;
    sq_snapshot *list[4];
    const sq_config_region config = region_config();
    sq_region *r = sq_region_create(&config, 2700);
    take(r, "radar", NOW, 1.0f, 0);
    assert_null(sq_region_newest(r, NOW));
    assert_true(sq_region_publish(r, make_snapshot(r, NOW), 0));
    sq_snapshot *held = sq_region_newest(r, NOW + 60);
    assert_string_equal(held->id, "19700112T134640Z"); /* date -u -d @1000000 +%Y%m%dT%H%M%SZ */
    assert_true(sq_region_publish(r, make_snapshot(r, NOW + 600), 0));
    assert_true(sq_region_publish(r, make_snapshot(r, NOW + 300), 0)); /* out of order */
    assert_int_equal(sq_region_instances(r, list, 4), 2);              /* as many as are kept */
    assert_int_equal(list[0]->issue_time, NOW + 300);
    assert_int_equal(list[1]->issue_time, NOW + 600);
    sq_snapshot_drop(&list[0]);
    sq_snapshot_drop(&list[1]);
    assert_int_equal(held->issue_time, NOW); /* who holds one keeps it, published or not */
    assert_true(sq_snapshot_find(held, NOW + 320, 60, false) == held->layers[0]);
    assert_null(sq_snapshot_find(held, NOW, 60, false));
    assert_true(sq_snapshot_find(held, NOW, 60, true) == held->observed[0]);
    sq_snapshot_drop(&held);
    assert_null(sq_region_newest(r, NOW + 600 + 3601)); /* too old to show */
    assert_null(sq_region_instance(r, NOW));
    sq_snapshot *found = sq_region_instance(r, NOW + 300);
    assert_non_null(found);
    sq_snapshot_drop(&found);
    sq_region_clear(r); /* time began anew: what was being made then is not published */
    assert_false(sq_region_publish(r, make_snapshot(r, NOW + 900), 0));
    sq_region_drop(&r);
}

static void test_layers(void **state)
{
    (void)state;
    const squall_grid grid = small_grid();
    squall_field *field = make_field(NOW, 1.234f), *again = NULL;
    squall_error err;
    field->mask[0] = SQUALL_CELL_NO_COVERAGE;
    field->values[0] = NAN;
    field->mask[1] = SQUALL_CELL_DRY;
    field->values[1] = 0.0f;
    field->values[2] = 1e6f;
    field->values[3] = -1.0f;
    sq_layer *layer = sq_layer_create(field);
    assert_int_equal(layer->values[0], SQ_LAYER_NONE);
    assert_int_equal(layer->values[1], SQ_LAYER_DRY);
    assert_int_equal(layer->values[2], SQ_LAYER_MOST);
    assert_int_equal(layer->values[3], 0);
    assert_int_equal(layer->values[4], 123);
    assert_true(isnan(sq_layer_rate(SQ_LAYER_NONE)));
    assert_int_equal(sq_layer_field(layer, &grid, &again, NULL), SQUALL_OK);
    assert_int_equal(again->mask[0], SQUALL_CELL_NO_COVERAGE);
    assert_int_equal(again->mask[1], SQUALL_CELL_DRY);
    assert_true(fabsf(again->values[4] - 1.23f) < 1e-6f);
    squall_grid other = grid;
    other.width++;
    squall_field *none = NULL;
    assert_int_equal(sq_layer_field(layer, &other, &none, &err), SQUALL_E_SHAPE);
    squall_field_destroy(&field);
    squall_field_destroy(&again);
    sq_layer_drop(&layer);
    field = make_field(NOW, 1.0f);
    for (long n = 0; n < 2; n++) {
        sq_memory_fail_at(n);
        assert_null(sq_layer_create(field));
        sq_memory_fail_at(-1);
    }
    squall_field_destroy(&field);
}

/* A window is cut, another grid is carried over, a window that is none is refused. */
static void test_carrying(void **state)
{
    (void)state;
    squall_error err = {.code = SQUALL_OK};
    sq_config_region config = region_config();
    squall_field *field = make_field(NOW, 1.0f), *out = NULL;
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        field->values[i] = (float)i;
    }
    strcpy(config.window, "4,6,8,10");
    sq_region *r = sq_region_create(&config, 2700);
    assert_int_equal(sq_region_carry(r, "sat", field, &out, &err),
                     SQUALL_E_NO_DATA); /* no grid yet */
    assert_int_equal(sq_region_carry(r, "radar", field, &out, &err), SQUALL_OK);
    assert_true(out->grid.width == 8 && out->grid.height == 10);
    assert_true(out->values[0] == (float)(6 * SIDE + 4));
    squall_field_destroy(&out);
    sq_region_drop(&r);
    strcpy(config.window, "30,6,8,10");
    r = sq_region_create(&config, 2700);
    assert_int_equal(sq_region_carry(r, "radar", field, &out, &err), SQUALL_E_SHAPE);
    assert_null(out);
    sq_region_drop(&r);
    config.window[0] = '\0';
    strcpy(config.grid_proj, "+proj=longlat +datum=WGS84");
    config.grid_left = 0.08;
    config.grid_top = 49.92;
    config.grid_cell = 0.02;
    config.grid_width = config.grid_height = 4;
    r = sq_region_create(&config, 2700);
    assert_int_equal(sq_region_carry(r, "radar", field, &out, &err), SQUALL_OK);
    /* The mean of the four cells that one new cell covers: (8,8), (9,8), (8,9), (9,9). */
    assert_true(fabsf(out->values[0] -
                      (float)(8 * SIDE + 8 + 8 * SIDE + 9 + 9 * SIDE + 8 + 9 * SIDE + 9) / 4.0f) <
                0.01f);
    squall_field_destroy(&out);
    squall_field_destroy(&field);
    sq_region_drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrivals),   cmocka_unit_test(test_due),
        cmocka_unit_test(test_publishing), cmocka_unit_test(test_layers),
        cmocka_unit_test(test_carrying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
