/* tests/unit/wx/feature/test_feature.c - recipes read and refused, tensors made and turned back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wx/feature/feature.h"

#define ISSUE 1282788000 /* 2010-08-26T02:00:00Z */

/* A recipe with every kind of channel, in the frame given. */
static char *make_recipe(const char *frame)
{
    static const char form[] =
        "{\"squall_recipe\":1,\"name\":\"test\",\"frame\":\"%s\",\"multiple\":16,\"cell_m\":1000,"
        "\"tolerance_s\":60,\"transforms\":{"
        "\"rain\":{\"curve\":\"log\",\"epsilon\":0.1,\"max\":150,\"mean\":-2.302585093,"
        "\"scale\":7.313886832,\"dry_below\":0.05},"
        "\"speed\":{\"curve\":\"linear\",\"min\":-50,\"max\":50,\"scale\":10}},"
        "\"inputs\":[{\"source\":\"radar\",\"time_s\":0,\"transform\":\"rain\"},"
        "{\"source\":\"radar\",\"time_s\":-600,\"transform\":\"rain\"},"
        "{\"kind\":\"coverage\"},{\"kind\":\"quality\"},"
        "{\"source\":\"satellite\",\"transform\":\"rain\",\"required\":false},"
        "{\"source\":\"height\",\"static\":true,\"required\":false,\"transform\":\"speed\"},"
        "{\"kind\":\"time_of_day\"},{\"kind\":\"season\"},{\"kind\":\"motion\",\"transform\":"
        "\"speed\"}],"
        "\"outputs\":{\"leads_s\":[300,600],\"transform\":\"rain\"}}";
    char *text = malloc(sizeof form + 16);
    assert_non_null(text);
    snprintf(text, sizeof form + 16, form, frame);
    return text;
}

static squall_recipe *parse(const char *text)
{
    squall_error err = {.code = SQUALL_OK};
    squall_recipe *recipe = NULL;
    if (squall_recipe_parse(text, strlen(text), "test", &recipe, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    return recipe;
}

static void test_recipe_reads(void **state)
{
    (void)state;
    char *text = make_recipe("moving");
    squall_recipe *recipe = parse(text);
    squall_tensor shape;
    assert_string_equal(squall_recipe_name(recipe), "test");
    assert_int_equal(squall_recipe_input_channels(recipe), 12);
    assert_int_equal(squall_recipe_output_channels(recipe), 2);
    assert_int_equal(squall_recipe_lead_s(recipe, 1), 600);
    assert_int_equal(squall_recipe_lead_s(recipe, 2), 0);
    assert_int_equal(squall_recipe_earliest_s(recipe), -600);
    assert_int_equal(squall_recipe_tolerance_s(recipe), 60);
    squall_recipe_input_shape(recipe, 20, 33, &shape);
    assert_int_equal(shape.dims[1], 12);
    assert_int_equal(shape.dims[2], 32);
    assert_int_equal(shape.dims[3], 48);
    squall_recipe_destroy(&recipe);
    assert_null(recipe);
    free(text);
}

/* What is wrong in a recipe is named. */
static void test_recipe_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *find, *put, *where;
        squall_status status;
    } cases[] = {
        {"\"squall_recipe\":1", "\"squall_recipe\":2", "test", SQUALL_E_VERSION},
        {"\"name\":\"test\"", "\"nmae\":\"test\"", "test:(top)", SQUALL_E_FORMAT},
        {"\"moving\"", "\"flying\"", "test:(top)", SQUALL_E_FORMAT},
        {"\"curve\":\"log\"", "\"curve\":\"lag\"", "test:transforms.rain", SQUALL_E_FORMAT},
        {"\"epsilon\":0.1", "\"epsilon\":-1", "test:transforms.rain", SQUALL_E_FORMAT},
        {"\"scale\":10", "\"scale\":0", "test:transforms.speed", SQUALL_E_FORMAT},
        {"\"time_s\":-600", "\"time_s\":600", "test:inputs[1]", SQUALL_E_FORMAT},
        {"\"kind\":\"coverage\"", "\"kind\":\"cover\"", "test:inputs[2]", SQUALL_E_FORMAT},
        {"\"static\":true", "\"static\":1", "test:inputs[5]", SQUALL_E_FORMAT},
        {"[300,600]", "[600,300]", "test:outputs", SQUALL_E_FORMAT},
        {"[300,600]", "[]", "test:outputs", SQUALL_E_FORMAT},
        {"[300,600],\"transform\":\"rain\"", "[300,600],\"transform\":\"rani\"", "test:outputs",
         SQUALL_E_FORMAT},
        {"[300,600]", "[300,600],\"matched\":1", "test:outputs", SQUALL_E_FORMAT},
        {"[300,600]", "[300,600],\"thresholds_mm_h\":[]", "test:outputs", SQUALL_E_FORMAT},
        {"[300,600]", "[300,600],\"thresholds_mm_h\":[1,1]", "test:outputs", SQUALL_E_FORMAT},
        {"[300,600]", "[300,600],\"thresholds_mm_h\":[0]", "test:outputs", SQUALL_E_FORMAT},
        {"}", "", "test", SQUALL_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = make_recipe("moving"), changed[2048];
        char *at = strstr(text, cases[i].find);
        assert_non_null(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, cases[i].put,
                 at + strlen(cases[i].find));
        squall_recipe *recipe = NULL;
        squall_error err = {.code = SQUALL_OK};
        assert_int_equal(squall_recipe_parse(changed, strlen(changed), "test", &recipe, &err),
                         cases[i].status);
        assert_string_equal(err.where, cases[i].where);
        assert_true(strlen(err.text) > 8);
        free(text);
    }
}

static void test_recipe_without_memory(void **state)
{
    (void)state;
    char *text = make_recipe("moving");
    const long before = sq_memory_count();
    squall_recipe *recipe = parse(text);
    const long count = sq_memory_count() - before;
    squall_recipe_destroy(&recipe);
    assert_true(count > 0);
    for (long n = 0; n < count; n++) {
        squall_error err;
        sq_memory_fail_at(n);
        assert_int_equal(squall_recipe_parse(text, strlen(text), "test", &recipe, &err),
                         SQUALL_E_MEMORY);
        assert_null(recipe);
    }
    sq_memory_fail_at(-1);
    free(text);
}

static void test_transforms(void **state)
{
    (void)state;
    const sq_transform log_curve = {.curve = SQ_CURVE_LOG,
                                    .min = 0,
                                    .max = 150,
                                    .epsilon = 0.1,
                                    .mean = -2.302585093,
                                    .scale = 7.313886832,
                                    .dry_below = 0.05};
    const sq_transform dbr = {.curve = SQ_CURVE_DBR,
                              .min = 0,
                              .max = 150,
                              .threshold = 0.1,
                              .zero_dbr = -15,
                              .mean = 0,
                              .scale = 10,
                              .dry_below = 0.05};
    const sq_transform linear = {
        .curve = SQ_CURVE_LINEAR, .min = -5, .max = 5, .mean = 1, .scale = 2, .dry_below = -5};
    assert_true(fabsf(sq_transform_forward(&log_curve, 0.0f)) < 1e-6f);
    assert_true(fabsf(sq_transform_forward(&log_curve, 150.0f) - 1.0f) < 1e-6f);
    assert_true(sq_transform_forward(&log_curve, 1000.0f) ==
                sq_transform_forward(&log_curve, 150.0f));
    assert_true(fabsf(sq_transform_forward(&dbr, 10.0f) - 1.0f) < 1e-6f);
    assert_true(fabsf(sq_transform_forward(&dbr, 0.05f) + 1.5f) < 1e-6f);
    assert_true(sq_transform_inverse(&dbr, -1.4f) == 0.0f);
    assert_true(sq_transform_forward(&linear, 9.0f) == 2.0f);
    for (float rate = 0.2f; rate < 149.0f; rate *= 1.3f) {
        assert_true(
            fabsf(sq_transform_inverse(&log_curve, sq_transform_forward(&log_curve, rate)) / rate -
                  1.0f) < 1e-4f);
        assert_true(fabsf(sq_transform_inverse(&dbr, sq_transform_forward(&dbr, rate)) / rate -
                          1.0f) < 1e-4f);
    }
    /* What a network may put out: far too much, far too little, not a number. */
    assert_true(fabsf(sq_transform_inverse(&log_curve, 9.0f) - 150.0f) < 1e-3f);
    assert_true(sq_transform_inverse(&log_curve, -9.0f) == 0.0f);
    assert_true(sq_transform_inverse(&log_curve, NAN) == 0.0f);
}

/* A 20 x 33 frame of a moving block of rain, with a corner that is not covered. */
static squall_field *make_frame(int64_t time, size_t column)
{
    const squall_grid grid = {
        .width = 33,
        .height = 20,
        .left = 0,
        .top = 0,
        .dx = 1000,
        .dy = 1000,
        .proj = "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752"};
    squall_field *field = NULL;
    assert_int_equal(squall_field_create(&grid, &field, NULL), SQUALL_OK);
    field->valid_time = time;
    for (size_t y = 0; y < 20; y++) {
        for (size_t x = 0; x < 33; x++) {
            const size_t i = y * 33 + x;
            if (y >= 17 && x >= 30) {
                continue;
            }
            const bool wet = y >= 5 && y < 12 && x >= column && x < column + 6;
            field->mask[i] = wet ? SQUALL_CELL_VALUE : SQUALL_CELL_DRY;
            field->values[i] = wet ? 4.0f : 0.0f;
        }
    }
    return field;
}

static squall_tensor make_tensor(const squall_tensor *shape)
{
    squall_tensor tensor = *shape;
    tensor.data = sq_alloc(squall_tensor_bytes(shape), 1);
    assert_non_null(tensor.data);
    memset(tensor.data, 0x7b, squall_tensor_bytes(shape)); /* what is not written will show */
    return tensor;
}

static void test_fixed_frame(void **state)
{
    (void)state;
    char *text = make_recipe("fixed");
    squall_recipe *recipe = parse(text);
    squall_error err = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    squall_field *frames[2] = {make_frame(ISSUE - 630, 6), make_frame(ISSUE, 10)};
    squall_motion *motion = NULL;
    squall_tensor shape;
    squall_feature_quality quality;
    assert_int_equal(squall_motion_create(&frames[1]->grid, &motion, &err), SQUALL_OK);
    for (size_t i = 0; i < 33 * 20; i++) {
        motion->u[i] = 0.005f;
    }
    squall_recipe_input_shape(recipe, 20, 33, &shape);
    squall_tensor input = make_tensor(&shape);
    const squall_source source = {"radar", (const squall_field *const *)frames, 2};

    assert_int_equal(squall_features_make(recipe, &source, 1, ISSUE, NULL, &input, &quality, notes,
                                          &err),
                     SQUALL_E_ARGUMENT); /* it has motion channels */
    assert_int_equal(squall_features_make(recipe, &source, 1, ISSUE, motion, &input, &quality,
                                          notes, &err),
                     SQUALL_OK);
    const float *x = input.data;
    const size_t plane = 32 * 48, wet = 8 * 48 + 12, dry = 2 * 48 + 2, outside = 18 * 48 + 31,
                 padding = 30 * 48 + 40;
    const float rain = sq_transform_forward(&recipe->transforms[0], 4.0f);
    const float none = sq_transform_forward(&recipe->transforms[0], 0.0f);
    assert_true(x[wet] == rain && x[dry] == none && x[outside] == none && x[padding] == none);
    assert_true(x[plane + 8 * 48 + 7] == rain &&
                x[plane + wet] == none); /* the older frame, 30 s off */
    assert_true(x[2 * plane + wet] == 1.0f && x[2 * plane + dry] == 1.0f);
    assert_true(x[2 * plane + outside] == 0.0f && x[2 * plane + padding] == 0.0f);
    assert_true(x[3 * plane + wet] == 0.0f);  /* no quality given */
    assert_true(x[4 * plane + wet] == none);  /* no satellite */
    assert_true(x[10 * plane + wet] == 0.5f); /* 0.005 cells/s of 1000 m over 10 */
    assert_true(x[11 * plane + wet] == 0.0f);
    assert_true(fabsf(x[6 * plane] * x[6 * plane] + x[7 * plane] * x[7 * plane] - 1.0f) < 1e-6f);
    assert_true(fabsf(x[8 * plane] * x[8 * plane] + x[9 * plane] * x[9 * plane] - 1.0f) < 1e-6f);
    for (size_t i = 0; i < 12 * plane; i++) {
        assert_true(fabsf(x[i]) < 10.0f);
    }
    assert_int_equal(quality.wanted, 6);
    assert_int_equal(quality.exact, 4);
    assert_int_equal(quality.absent, 2);
    assert_int_equal(squall_notes_count(notes), 2);

    /* The same bytes every time. */
    squall_tensor again = make_tensor(&shape);
    assert_int_equal(squall_features_make(recipe, &source, 1, ISSUE, motion, &again, NULL, NULL,
                                          &err),
                     SQUALL_OK);
    assert_memory_equal(input.data, again.data, squall_tensor_bytes(&shape));

    /* An older frame stands in when the one asked for is missing, and that is said. */
    const squall_source newest = {"radar", (const squall_field *const *)(frames + 1), 1};
    assert_int_equal(squall_features_make(recipe, &newest, 1, ISSUE, motion, &again, &quality,
                                          notes, &err),
                     SQUALL_OK);
    assert_int_equal(quality.replaced, 1);
    assert_int_equal(squall_features_make(recipe, NULL, 0, ISSUE, motion, &again, &quality, notes,
                                          &err),
                     SQUALL_E_NO_DATA);
    input.dims[3] = 47;
    assert_int_equal(squall_features_make(recipe, &source, 1, ISSUE, motion, &input, NULL, NULL,
                                          &err),
                     SQUALL_E_SHAPE);
    sq_free(input.data);
    sq_free(again.data);
    squall_motion_destroy(&motion);
    squall_field_destroy(&frames[0]);
    squall_field_destroy(&frames[1]);
    squall_recipe_destroy(&recipe);
    squall_notes_destroy(&notes);
    free(text);
}

/* A matched output has the newest frame's rain, in the order of the network's values; where that is
 * equal, NaN or nothing, it shares what is left or is dry. */
static void test_matched(void **state)
{
    (void)state;
    static const char form[] =
        "{\"squall_recipe\":1,\"name\":\"test\",\"tolerance_s\":60,\"transforms\":{\"rain\":{"
        "\"curve\":"
        "\"log\",\"epsilon\":0.1,\"max\":50,\"dry_below\":0.05}},\"inputs\":[{\"time_s\":0}],"
        "\"outputs\":{\"leads_s\":[300],\"matched\":true}}";
    squall_recipe *recipe = parse(form);
    squall_error err = {.code = SQUALL_OK};
    squall_field *latest = make_frame(ISSUE, 10), *out = NULL;
    squall_tensor shape;
    const size_t cells = (size_t)33 * 20;
    size_t wet = 0;
    for (size_t i = 0; i < cells; i++) {
        if (latest->values[i] > 0.0f) { /* all different; two beyond what the transform takes */
            latest->values[i] = wet < 2 ? 200.0f : 1.0f + 0.01f * (float)wet;
            wet++;
        }
    }
    assert_true(wet > 8);
    squall_recipe_output_shape(recipe, 20, 33, &shape);
    squall_tensor output = make_tensor(&shape);
    float *const y = output.data;
    size_t seen = 0;
    for (size_t i = 0; i < cells; i++) {
        const bool covered = latest->mask[i] != SQUALL_CELL_NO_COVERAGE;
        y[i] = covered && seen < wet ? 3.0f - 0.01f * (float)seen : 0.0f;
        seen += covered ? 1 : 0;
    }
    y[cells - 40] = NAN;
    assert_int_equal(squall_field_create(&latest->grid, &out, &err), SQUALL_OK);
    assert_int_equal(squall_features_invert(recipe, &output, latest, ISSUE, NULL, &out, &err),
                     SQUALL_OK);
    seen = 0;
    float previous = INFINITY;
    for (size_t i = 0; i < cells; i++) {
        if (latest->mask[i] == SQUALL_CELL_NO_COVERAGE) {
            assert_int_equal(out->mask[i], SQUALL_CELL_NO_COVERAGE);
            continue;
        }
        if (seen++ < wet) {
            assert_true(out->values[i] <= previous && out->values[i] >= 1.0f);
            previous = out->values[i];
        } else {
            assert_true(out->values[i] == 0.0f && out->mask[i] == SQUALL_CELL_DRY);
        }
        if (seen <= 1) {
            assert_float_equal(out->values[i], 50.0, 1e-3); /* cut as the transform says */
        }
    }
    squall_field_destroy(&latest);
    squall_field_destroy(&out);
    sq_free(output.data);
    squall_recipe_destroy(&recipe);
}

/* In the moving frame the rain of ten minutes ago lies where today's is; a network that changes
 * nothing makes an extrapolation, and the target of rain that only moves is the input. */
static void test_moving_frame(void **state)
{
    (void)state;
    char *text = make_recipe("moving");
    squall_recipe *recipe = parse(text);
    squall_error err = {.code = SQUALL_OK};
    squall_field *frames[4] = {make_frame(ISSUE - 600, 4), make_frame(ISSUE, 10),
                               make_frame(ISSUE + 300, 13), make_frame(ISSUE + 600, 16)};
    squall_motion *motion = NULL;
    squall_tensor shape;
    assert_int_equal(squall_motion_create(&frames[1]->grid, &motion, &err), SQUALL_OK);
    for (size_t i = 0; i < 33 * 20; i++) {
        motion->u[i] = 0.01f; /* 6 cells in 10 minutes */
    }
    const squall_source radar = {"radar", (const squall_field *const *)frames, 4};
    squall_recipe_input_shape(recipe, 20, 33, &shape);
    squall_tensor input = make_tensor(&shape);
    assert_int_equal(squall_features_make(recipe, &radar, 1, ISSUE, motion, &input, NULL, NULL,
                                          &err),
                     SQUALL_OK);
    const float *x = input.data;
    const size_t plane = 32 * 48;
    for (size_t i = 0; i < 20; i++) {
        for (size_t j = 8; j < 29; j++) {
            assert_true(fabsf(x[i * 48 + j] - x[plane + i * 48 + j]) < 2e-3f);
        }
    }
    squall_recipe_output_shape(recipe, 20, 33, &shape);
    squall_tensor target = make_tensor(&shape), weight = make_tensor(&shape);
    assert_int_equal(squall_features_target(recipe, &radar, ISSUE, motion, &target, &weight, &err),
                     SQUALL_OK);
    size_t known = 0;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 20; i++) {
            for (size_t j = 0; j < 33; j++) {
                const size_t at = k * plane + i * 48 + j;
                if (((float *)weight.data)[at] == 1.0f) {
                    known++;
                    assert_true(fabsf(((float *)target.data)[at] - x[i * 48 + j]) < 2e-3f);
                } else {
                    assert_true(((float *)weight.data)[at] == 0.0f);
                }
            }
        }
    }
    assert_true(known > 900);

    /* Output = the newest frame, at both leads. */
    squall_tensor output = make_tensor(&shape);
    memcpy(output.data, x, plane * sizeof(float));
    memcpy((float *)output.data + plane, x, plane * sizeof(float));
    squall_field *out[2] = {NULL, NULL};
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(squall_field_create(&frames[1]->grid, &out[k], &err), SQUALL_OK);
    }
    assert_int_equal(squall_features_invert(recipe, &output, frames[1], ISSUE, motion, out, &err),
                     SQUALL_OK);
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(out[k]->valid_time, ISSUE + (k == 0 ? 300 : 600));
        const squall_field *seen = frames[2 + k];
        for (size_t i = 0; i < 17; i++) {
            for (size_t j = 8; j < 33; j++) {
                const size_t at = i * 33 + j;
                assert_true(fabsf(out[k]->values[at] - seen->values[at]) < 0.02f);
            }
        }
        /* What blew in from outside the grid is not known. */
        assert_int_equal(out[k]->mask[0], SQUALL_CELL_NO_COVERAGE);
    }
    for (size_t k = 0; k < 2; k++) {
        squall_field_destroy(&out[k]);
    }
    sq_free(input.data);
    sq_free(output.data);
    sq_free(target.data);
    sq_free(weight.data);
    squall_motion_destroy(&motion);
    for (size_t i = 0; i < 4; i++) {
        squall_field_destroy(&frames[i]);
    }
    squall_recipe_destroy(&recipe);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipe_reads),          cmocka_unit_test(test_recipe_refuses),
        cmocka_unit_test(test_recipe_without_memory), cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_fixed_frame),           cmocka_unit_test(test_matched),
        cmocka_unit_test(test_moving_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
