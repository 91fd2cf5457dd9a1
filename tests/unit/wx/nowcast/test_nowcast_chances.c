/* tests/unit/wx/nowcast/test_nowcast_chances.c - an ensemble from a network's probabilities. */
#include "nowcast_fixture.h"

#include "wx/feature/feature.h"

static const char text[] =
    "{\"squall_recipe\":1,\"name\":\"test\",\"frame\":\"moving\",\"tolerance_s\":60,"
    "\"transforms\":{\"rain\":{\"curve\":\"linear\",\"max\":150}},"
    "\"inputs\":[{\"source\":\"radar\",\"time_s\":0}],"
    "\"outputs\":{\"leads_s\":[300,600],\"thresholds_mm_h\":[0.1,1,4]}}";

enum { CELLS = WIDTH * HEIGHT };

/* Two lead times; the second is asked for. Everywhere the same chances, but in one cell. */
static void test_chances(void **state)
{
    (void)state;
    static float data[8 * CELLS];
    static const float chances[3] = {0.8f, 0.4f, 0.1f};
    squall_error err = {.code = SQUALL_OK};
    squall_recipe *recipe = NULL;
    squall_motion *motion = NULL;
    squall_ensemble *e = NULL;
    squall_ensemble_options options;
    squall_field *latest = make_frame(ISSUE);
    const int32_t lead_s = 600;
    const size_t index = 1, odd = 20 * WIDTH + 20;
    squall_tensor output;
    assert_int_equal(squall_recipe_parse(text, strlen(text), "test", &recipe, &err), SQUALL_OK);
    assert_true(squall_recipe_has_chances(recipe));
    assert_int_equal(squall_recipe_output_channels(recipe), 2);
    squall_recipe_output_shape(recipe, HEIGHT, WIDTH, &output);
    assert_int_equal(output.dims[1], 8);
    output.data = data;
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < CELLS; i++) {
            data[(2 * (1 + k) + 1) * CELLS + i] = chances[k];
        }
    }
    data[3 * CELLS + odd] = NAN; /* a network that breaks: dry */
    data[5 * CELLS + odd] = 2.0f;
    assert_int_equal(squall_motion_create(&latest->grid, &motion, &err), SQUALL_OK);
    squall_ensemble_options_init(&options);
    options.members = 4;
    options.keep_members = 1;
    assert_int_equal(sq_chances_make(recipe, &output, latest, motion, &lead_s, &index, 1, &options,
                                     &e, &err),
                     SQUALL_OK);
    const size_t at = 10 * WIDTH + 10, outside = 10 * WIDTH + WIDTH - 1;
    /* Those of 0.1 and 1 as they are; of 5 and 10 by the square of the rate beyond 4. */
    assert_float_equal(e->probabilities[0]->values[at], 0.8, 1e-6);
    assert_float_equal(e->probabilities[1]->values[at], 0.4, 1e-6);
    assert_float_equal(e->probabilities[2]->values[at], 0.1 * 16 / 25, 1e-6);
    assert_float_equal(e->probabilities[3]->values[at], 0.1 * 16 / 100, 1e-6);
    assert_int_equal(e->probabilities[0]->mask[outside], SQUALL_CELL_NO_COVERAGE);
    assert_float_equal(e->probabilities[0]->values[odd], 0.0, 0.0);
    assert_float_equal(e->probabilities[1]->values[odd], 0.0, 0.0);
    assert_int_equal(e->probabilities[0]->valid_time, ISSUE + 600);
    /* Exceeded with 7/8, 5/8, 3/8 and 1/8: dry, then between 0.1 and 1, 1 and 4 by the logarithm.
     */
    assert_float_equal(e->fields[0]->values[at], 0.0, 0.0);
    assert_int_equal(e->fields[0]->mask[at], SQUALL_CELL_DRY);
    assert_float_equal(e->fields[1]->values[at], 0.1 * pow(10, (0.8 - 0.625) / 0.4), 1e-5);
    assert_float_equal(e->fields[2]->values[at], pow(4, (0.4 - 0.375) / 0.3), 1e-5);
    assert_float_equal(e->fields[3]->values[at], pow(4, (0.4 - 0.125) / 0.3), 1e-5);
    squall_ensemble_destroy(&e);

    /* Rarer than the last rate's: beyond it. */
    options.members = 50;
    assert_int_equal(sq_chances_make(recipe, &output, latest, motion, &lead_s, &index, 1, &options,
                                     &e, &err),
                     SQUALL_OK);
    assert_float_equal(e->fields[49]->values[at], 4 * sqrt(0.1 / 0.01), 1e-4);
    squall_ensemble_destroy(&e);
    squall_motion_destroy(&motion);
    squall_field_destroy(&latest);
    squall_recipe_destroy(&recipe);
}

static void test_without_memory(void **state)
{
    (void)state;
    static float data[8 * CELLS];
    squall_error err = {.code = SQUALL_OK};
    squall_recipe *recipe = NULL;
    squall_motion *motion = NULL;
    squall_ensemble *e = NULL;
    squall_ensemble_options options;
    squall_field *latest = make_frame(ISSUE);
    const int32_t lead_s = 300;
    const size_t index = 0;
    squall_tensor output;
    assert_int_equal(squall_recipe_parse(text, strlen(text), "test", &recipe, &err), SQUALL_OK);
    squall_recipe_output_shape(recipe, HEIGHT, WIDTH, &output);
    output.data = data;
    assert_int_equal(squall_motion_create(&latest->grid, &motion, &err), SQUALL_OK);
    squall_ensemble_options_init(&options);
    options.threads = 1;
    const long before = sq_memory_count();
    assert_int_equal(sq_chances_make(recipe, &output, latest, motion, &lead_s, &index, 1, &options,
                                     &e, &err),
                     SQUALL_OK);
    const long count = sq_memory_count() - before;
    squall_ensemble_destroy(&e);
    assert_true(count > 0);
    for (long n = 0; n < count; n++) {
        sq_memory_fail_at(n);
        assert_int_equal(sq_chances_make(recipe, &output, latest, motion, &lead_s, &index, 1,
                                         &options, &e, &err),
                         SQUALL_E_MEMORY);
        assert_null(e);
    }
    sq_memory_fail_at(-1);
    squall_motion_destroy(&motion);
    squall_field_destroy(&latest);
    squall_recipe_destroy(&recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chances),
                                       cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
