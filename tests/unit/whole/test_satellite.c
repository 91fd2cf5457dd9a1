/* Radar and satellite together, from their files to the tensor: OPERA's composite and the rain rate
 * that NWC SAF tells from METEOSAT's images, on one grid. The real-data pack holds no pair of one
 * day, so the satellite's frames are given the radar's times; where they lie is theirs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "squall/feature.h"
#include "squall/io.h"

#define DATA SQUALL_SHARED_DIR "/data/"

static const char recipe_text[] =
    "{\"squall_recipe\":1,\"name\":\"both\",\"tolerance_s\":60,\"multiple\":4,"
    "\"transforms\":{\"rain\":{\"curve\":\"log\",\"epsilon\":0.1,\"min\":0,\"max\":150,"
    "\"mean\":-2.302585093,\"scale\":7.313886832,\"dry_below\":0.05}},"
    "\"inputs\":[{\"source\":\"radar\",\"time_s\":0,\"transform\":\"rain\"},"
    "{\"source\":\"satellite\",\"time_s\":0,\"transform\":\"rain\",\"required\":false},"
    "{\"source\":\"satellite\",\"time_s\":-900,\"transform\":\"rain\",\"required\":false},"
    "{\"kind\":\"coverage\",\"source\":\"satellite\",\"time_s\":0,\"required\":false}],"
    "\"outputs\":{\"leads_s\":[900],\"transform\":\"rain\"}}";

static squall_field *read_rate(const char *path)
{
    squall_file *file = NULL;
    squall_field *field = NULL;
    squall_error err = {.code = SQUALL_OK};
    if (squall_file_open(path, NULL, &file, &err) != SQUALL_OK ||
        squall_file_read(file, 0, &field, &err) != SQUALL_OK ||
        squall_field_to_rate(field, NULL, &err) != SQUALL_OK) {
        fail_msg("%s: %s", err.where, err.text);
    }
    squall_file_close(&file);
    return field;
}

static void test_both_on_one_grid(void **state)
{
    (void)state;
    enum { RADAR, SATELLITE, EARLIER, COVERAGE, PLANES };
    squall_field *radar = read_rate(DATA "opera_odyssey_rate/T_PAAH21_C_EUOC_20180824180000.hdf");
    squall_field *seen[2] = {
        read_rate(DATA "saf_nwcsaf_crr/S_NWC_CRR_MSG4_Europe-VISIR_20180601T071500Z.nc"),
        read_rate(DATA "saf_nwcsaf_crr/S_NWC_CRR_MSG4_Europe-VISIR_20180601T070000Z.nc")};
    squall_field *moved[2] = {NULL, NULL};
    squall_regrid *table = NULL;
    squall_error err = {.code = SQUALL_OK};
    assert_int_equal(squall_regrid_create(&seen[0]->grid, &radar->grid, SQUALL_BILINEAR, &table,
                                          &err),
                     SQUALL_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(squall_field_create(&radar->grid, &moved[i], &err), SQUALL_OK);
        assert_int_equal(squall_regrid_run(table, seen[i], moved[i], &err), SQUALL_OK);
        moved[i]->valid_time = radar->valid_time - 900 * i;
    }
    squall_recipe *recipe = NULL;
    assert_int_equal(squall_recipe_parse(recipe_text, strlen(recipe_text), "both", &recipe, &err),
                     SQUALL_OK);
    squall_tensor input;
    squall_recipe_input_shape(recipe, radar->grid.height, radar->grid.width, &input);
    assert_int_equal(input.dims[1], PLANES);
    input.data = calloc(squall_tensor_bytes(&input), 1);
    assert_non_null(input.data);
    const squall_source sources[2] = {{"radar", (const squall_field *const *)&radar, 1},
                                      {"satellite", (const squall_field *const *)moved, 2}};
    squall_feature_quality quality;
    assert_int_equal(squall_features_make(recipe, sources, 2, radar->valid_time, NULL, &input,
                                          &quality, NULL, &err),
                     SQUALL_OK);
    assert_int_equal(quality.exact, 4);

    /* Each channel is ln(1 + rate / 0.1) / 7.3139 of its own field, the coverage that of the
     * satellite. */
    const size_t plane = (size_t)(input.dims[2] * input.dims[3]);
    const squall_field *const fields[3] = {radar, moved[0], moved[1]};
    const float *x = input.data;
    size_t wet[3] = {0, 0, 0}, covered = 0;
    for (size_t row = 0; row < radar->grid.height; row++) {
        for (size_t column = 0; column < radar->grid.width; column++) {
            const size_t from = row * radar->grid.width + column;
            const size_t to = row * (size_t)input.dims[3] + column;
            for (size_t k = 0; k < 3; k++) {
                const bool known = fields[k]->mask[from] != SQUALL_CELL_NO_COVERAGE;
                const double rate = known ? fmin(fields[k]->values[from], 150.0) : 0.0;
                const double wanted = (log(rate + 0.1) + 2.302585093) / 7.313886832;
                assert_true(fabs(x[k * plane + to] - wanted) < 1e-5);
                wet[k] += rate > 0.1 ? 1 : 0;
            }
            const bool looked = moved[0]->mask[from] != SQUALL_CELL_NO_COVERAGE;
            assert_true(x[COVERAGE * plane + to] == (looked ? 1.0f : 0.0f));
            covered += looked ? 1 : 0;
        }
    }
    assert_true(wet[RADAR] > 1000 && wet[SATELLITE] > 1000 && wet[EARLIER] > 1000);
    assert_true(covered > radar->grid.width * radar->grid.height / 2);

    /* The satellite is missing: its channels hold "nothing known", and that is said. */
    squall_notes *notes = squall_notes_create();
    assert_int_equal(squall_features_make(recipe, sources, 1, radar->valid_time, NULL, &input,
                                          &quality, notes, &err),
                     SQUALL_OK);
    assert_int_equal(quality.exact, 1);
    assert_int_equal(quality.absent, 3);
    assert_non_null(strstr(squall_notes_get(notes, 0), "satellite"));
    for (size_t i = 0; i < plane; i++) {
        assert_true(fabsf(x[SATELLITE * plane + i]) < 1e-6f);
        assert_true(x[COVERAGE * plane + i] == 0.0f);
    }
    squall_notes_destroy(&notes);
    free(input.data);
    squall_recipe_destroy(&recipe);
    squall_regrid_destroy(&table);
    for (int i = 0; i < 2; i++) {
        squall_field_destroy(&seen[i]);
        squall_field_destroy(&moved[i]);
    }
    squall_field_destroy(&radar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_on_one_grid)};
    FILE *pack = fopen(DATA "MANIFEST.md", "r");
    if (pack == NULL) {
        printf("skipped: the real-data pack is not at %s\n", DATA);
        return 77;
    }
    fclose(pack);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
