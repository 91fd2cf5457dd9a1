/* tests/unit/wx/nowcast/test_nowcast_classic.c - S-PROG and STEPS by the nowcaster: for a seed the
 * same bits whatever the threads, and a forecast whatever is dry. */
#include "wx/nowcast/nowcast_fixture.h"

static const squall_method methods[] = {SQUALL_METHOD_SPROG, SQUALL_METHOD_STEPS};

static void dry_out(squall_field *field)
{
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        if (field->mask[i] == SQUALL_CELL_VALUE) {
            field->mask[i] = SQUALL_CELL_DRY;
            field->values[i] = 0.0f;
        }
    }
}

static squall_forecast *run_with(int32_t threads, uint64_t seed, squall_method method,
                                 const frames *f, squall_notes *notes)
{
    squall_nowcaster *nowcaster = NULL;
    squall_ensemble_options options;
    squall_error err = {.code = SQUALL_OK};
    assert_int_equal(squall_nowcaster_create(NULL, threads, &nowcaster, &err), SQUALL_OK);
    squall_ensemble_options_init(&options);
    options.members = 5;
    options.seed = seed;
    options.keep_members = 1;
    assert_int_equal(squall_nowcaster_set_ensemble(nowcaster, &options, &err), SQUALL_OK);
    squall_forecast *out = forecast(nowcaster, f, method, notes);
    squall_nowcaster_destroy(&nowcaster);
    return out;
}

static void test_same_bits(void **state)
{
    (void)state;
    frames f = make_frames(3, 300);
    for (size_t k = 0; k < 2; k++) {
        squall_forecast *one = run_with(1, 7, methods[k], &f, NULL);
        squall_forecast *more = run_with(3, 7, methods[k], &f, NULL);
        assert_int_equal(one->method, methods[k]);
        assert_string_equal(one->fields[0]->source, k == 0 ? "squall sprog" : "squall steps");
        assert_true(one->quality_index == 1.0);
        for (size_t i = 0; i < one->count; i++) {
            assert_same_cells(one->fields[i], more->fields[i]);
            assert_int_equal(one->fields[i]->valid_time, ISSUE + one->leads_s[i]);
        }
        assert_true((one->ensemble != NULL) == (methods[k] == SQUALL_METHOD_STEPS));
        for (size_t i = 0; one->ensemble != NULL && i < one->count * 5; i++) {
            assert_same_cells(one->ensemble->fields[i], more->ensemble->fields[i]);
        }
        squall_forecast_destroy(&one);
        squall_forecast_destroy(&more);
    }
    squall_forecast *a = run_with(1, 7, SQUALL_METHOD_STEPS, &f, NULL);
    squall_forecast *b = run_with(1, 8, SQUALL_METHOD_STEPS, &f, NULL);
    assert_memory_not_equal(a->fields[0]->values, b->fields[0]->values,
                            WIDTH * HEIGHT * sizeof(float));
    squall_forecast_destroy(&a);
    squall_forecast_destroy(&b);
    free_frames(&f);
}

/* Each frame wet or dry, in every combination. */
static void test_dry_frames(void **state)
{
    (void)state;
    for (unsigned dry = 0; dry < 8; dry++) {
        frames f = make_frames(3, 300);
        for (size_t i = 0; i < 3; i++) {
            if ((dry >> i & 1U) != 0) {
                dry_out(f.items[i]);
            }
        }
        for (size_t k = 0; k < 2; k++) {
            squall_forecast *out = run_with(2, 1, methods[k], &f, NULL);
            assert_int_equal(out->method, methods[k]);
            squall_field_counts counts;
            squall_field_count(out->fields[0], &counts);
            assert_true(counts.no_coverage < WIDTH * HEIGHT / 2);
            assert_true((counts.wet > 0) == ((dry & 4U) == 0)); /* by the newest alone */
            squall_forecast_destroy(&out);
        }
        free_frames(&f);
    }
}

/* One frame tells no motion: persistence, and it is said. */
static void test_one_frame(void **state)
{
    (void)state;
    frames f = make_frames(1, 300);
    squall_notes *notes = squall_notes_create();
    squall_forecast *out = run_with(1, 1, SQUALL_METHOD_STEPS, &f, notes);
    assert_int_equal(out->method, SQUALL_METHOD_PERSISTENCE);
    assert_null(out->ensemble);
    assert_true(out->quality_index < 1.0);
    assert_true(squall_notes_count(notes) > 0);
    squall_forecast_destroy(&out);
    squall_notes_destroy(&notes);
    free_frames(&f);
}

static void test_options_refused(void **state)
{
    (void)state;
    squall_nowcaster *nowcaster = make_nowcaster(NULL);
    squall_ensemble_options options = {0};
    squall_error err;
    assert_int_equal(squall_nowcaster_set_ensemble(nowcaster, &options, &err), SQUALL_E_ARGUMENT);
    assert_non_null(strstr(err.text, "squall_ensemble_options_init"));
    squall_nowcaster_destroy(&nowcaster);
}

/* Rain where engine and S-PROG have most of it, and just the engine's values, in another order. */
static void test_blend(void **state)
{
    (void)state;
    frames f = make_frames(4, 300);
    test_engine made = make_engine(RECIPE_FIXED, 2, 48, 64);
    squall_nowcaster *nowcaster = make_nowcaster(made.engine);
    squall_forecast *model = forecast(nowcaster, &f, SQUALL_METHOD_MODEL, NULL);
    squall_forecast *blend = forecast(nowcaster, &f, SQUALL_METHOD_BLEND, NULL);
    assert_int_equal(model->method, SQUALL_METHOD_MODEL);
    assert_int_equal(blend->method, SQUALL_METHOD_BLEND);
    assert_string_equal(blend->fields[0]->source, "squall blend");
    assert_true(blend->quality_index == 1.0);
    double model_sum = 0, blend_sum = 0;
    size_t moved = 0;
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        assert_int_equal(model->fields[1]->mask[i] == SQUALL_CELL_NO_COVERAGE,
                         blend->fields[1]->mask[i] == SQUALL_CELL_NO_COVERAGE);
        if (model->fields[1]->mask[i] != SQUALL_CELL_NO_COVERAGE) {
            model_sum += (double)model->fields[1]->values[i];
            blend_sum += (double)blend->fields[1]->values[i];
            moved += model->fields[1]->values[i] != blend->fields[1]->values[i];
        }
    }
    assert_true(moved > 100);
    assert_true(fabs(blend_sum / model_sum - 1.0) < 0.02);
    squall_forecast_destroy(&model);
    squall_forecast_destroy(&blend);
    squall_nowcaster_destroy(&nowcaster);
    free_engine(&made);

    /* Without an engine it is S-PROG, and less than what was asked for. */
    nowcaster = make_nowcaster(NULL);
    blend = forecast(nowcaster, &f, SQUALL_METHOD_BLEND, NULL);
    assert_int_equal(blend->method, SQUALL_METHOD_SPROG);
    assert_true(blend->quality_index == 0.5);
    squall_forecast_destroy(&blend);
    squall_nowcaster_destroy(&nowcaster);
    free_frames(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_dry_frames),
        cmocka_unit_test(test_one_frame), cmocka_unit_test(test_options_refused),
        cmocka_unit_test(test_blend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
