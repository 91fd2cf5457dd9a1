/* tests/unit/nn/plan/test_plan_record.c - what an engine tells of itself beside its plans: tactics
 * that were weighed, facts, sections, the memory map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"

_Alignas(64) static unsigned char weights[128];

static void add_candidate(sq_plan_step *step, const char *tactic, double median_s)
{
    step->candidates = sq_regrow(step->candidates, step->candidate_count, step->candidate_count + 1,
                                 sizeof *step->candidates);
    step->candidates[step->candidate_count++] = (sq_plan_candidate){.backend = PLAN_REF,
                                                                    .tactic = sq_strdup(tactic),
                                                                    .cost_s = 1e-3,
                                                                    .extra_s = 2e-6,
                                                                    .median_s = median_s,
                                                                    .spread_s = 1e-7};
}

static void make_file(sq_engine_file *file)
{
    plan_file(file, true, weights);
    add_candidate(&file->device->steps[SMALL_ADD], "ref", 1.0 / 3);
    add_candidate(&file->device->steps[SMALL_ADD], "another", 0);
    file->device->steps[SMALL_RELU].why = sq_strdup("no kernel for it");
    file->command = sq_strdup("squall build --device cpu");
    file->compiler = sq_strdup("gcc");
}

static void test_round_trip(void **state)
{
    (void)state;
    sq_engine_file file, back;
    unsigned char *bytes, *again;
    size_t size, again_size;
    squall_error err;
    make_file(&file);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(sq_engine_read(bytes, size, "test.sqe", &back, &err), SQUALL_OK);
    const sq_plan_step *add = &back.device->steps[SMALL_ADD];
    assert_int_equal(add->candidate_count, 2);
    assert_string_equal(add->candidates[0].tactic, "ref");
    assert_true(add->candidates[0].median_s == 1.0 / 3 && add->candidates[0].spread_s == 1e-7);
    assert_true(add->candidates[1].median_s == 0 && add->candidates[1].extra_s == 2e-6);
    assert_int_equal(back.device->steps[SMALL_NEG].candidate_count, 0);
    assert_string_equal(back.device->steps[SMALL_RELU].why, "no kernel for it");
    assert_string_equal(back.command, file.command);
    assert_string_equal(back.compiler, file.compiler);
    assert_int_equal(sq_engine_write(&back, &again, &again_size, &err), SQUALL_OK);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    sq_engine_free(&file);
    sq_engine_free(&back);
    sq_free(bytes);
    sq_free(again);
}

/* Every 32-bit word of the record and of the facts made large, and every cut, under right hashes:
 * refused, or read without a fault. */
static void test_hostile(void **state)
{
    (void)state;
    static const uint32_t ids[] = {SQ_SECTION_RECORD, SQ_SECTION_ABOUT};
    sq_engine_file file, back;
    unsigned char *bytes;
    size_t size, refused = 0;
    make_file(&file);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    for (size_t i = 0; i < 2; i++) {
        uint64_t length;
        unsigned char *entry = plan_entry(bytes, ids[i]);
        unsigned char *section = plan_section(bytes, size, entry, &length);
        for (uint64_t at = 0; at + 4 <= length; at++) {
            unsigned char kept[4];
            memcpy(kept, section + at, 4);
            memset(section + at, 0xff, 4);
            plan_reseal(bytes, size);
            const squall_status status = sq_engine_read(bytes, size, "test.sqe", &back, NULL);
            assert_true(status == SQUALL_OK || status == SQUALL_E_CORRUPT);
            refused += status != SQUALL_OK;
            if (status == SQUALL_OK) {
                sq_engine_free(&back);
            }
            memcpy(section + at, kept, 4);
        }
    }
    assert_true(refused > 20);
    sq_free(bytes);
}

static void test_no_memory(void **state)
{
    (void)state;
    sq_engine_file file, back;
    unsigned char *bytes;
    size_t size;
    make_file(&file);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    squall_status status = SQUALL_E_MEMORY;
    for (long n = 0; status != SQUALL_OK; n++) {
        sq_memory_fail_at(n);
        status = sq_engine_read(bytes, size, "test.sqe", &back, NULL);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
    }
    sq_engine_free(&back);
    sq_free(bytes);
}

static void test_sections_and_map(void **state)
{
    (void)state;
    sq_engine_file file;
    unsigned char *bytes;
    size_t size;
    sq_section_info sections[SQ_ENGINE_SECTIONS];
    sq_plan_span *spans;
    uint32_t count;
    squall_error err;
    make_file(&file);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(sq_engine_sections(bytes, size, "test.sqe", sections, &count, &err),
                     SQUALL_OK);
    assert_int_equal(count, 7);
    assert_string_equal(sections[0].name, "portable plan");
    assert_true(sections[0].mandatory);
    assert_string_equal(sections[4].name, "record");
    assert_false(sections[4].mandatory);
    assert_string_equal(sections[6].name, "weights");
    assert_int_equal(sections[6].offset % SQ_ENGINE_PAGE_BYTES, 0);
    /* The sum lives for steps 0 and 1; what takes it over is a buffer of its own to step 3. */
    assert_int_equal(sq_plan_map(file.portable, &spans, &count, &err), SQUALL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(spans[0].value, SMALL_SUM);
    assert_int_equal(spans[0].first, 0);
    assert_int_equal(spans[0].last, 1);
    assert_int_equal(spans[0].bytes, 64);
    assert_int_equal(spans[1].value, SMALL_POSITIVE);
    assert_int_equal(spans[1].first, 1);
    assert_int_equal(spans[1].last, 3);
    sq_free(spans);
    sq_engine_free(&file);
    sq_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_sections_and_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
