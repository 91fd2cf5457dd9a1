/* tests/unit/nn/plan/test_plan_file.c - engine files: there and back, and everything hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/plan/plan_make.h"

_Alignas(64) static unsigned char weights[128];

/* The bytes of the small engine; given. */
static unsigned char *make_bytes(bool device, size_t *size)
{
    sq_engine_file file;
    unsigned char *bytes;
    plan_file(&file, device, weights);
    assert_int_equal(sq_engine_write(&file, &bytes, size, NULL), SQUALL_OK);
    sq_engine_free(&file);
    return bytes;
}

/* Read, then hold all weights against their hashes: what an engine that is used goes through. */
static squall_status read_all(const unsigned char *bytes, size_t size, squall_error *err)
{
    sq_engine_file file;
    squall_status status = sq_engine_read(bytes, size, "test.sqe", &file, err);
    if (status == SQUALL_OK) {
        status = sq_engine_check_weights(&file, 0, file.weight_bytes, NULL, err);
        sq_engine_free(&file);
    }
    return status;
}

static void compare_plans(const sq_plan *a, const sq_plan *b)
{
    assert_int_equal(a->value_count, b->value_count);
    assert_int_equal(a->step_count, b->step_count);
    assert_int_equal(a->arena_bytes, b->arena_bytes);
    for (uint32_t v = 0; v < a->value_count; v++) {
        assert_true(sq_tensor_same_type(&a->values[v].type, &b->values[v].type));
        assert_int_equal(a->values[v].home, b->values[v].home);
        assert_int_equal(a->values[v].offset, b->values[v].offset);
        assert_string_equal(a->values[v].name, b->values[v].name);
    }
    for (uint32_t s = 0; s < a->step_count; s++) {
        assert_int_equal(a->steps[s].op, b->steps[s].op);
        assert_int_equal(a->steps[s].backend, b->steps[s].backend);
        assert_int_equal(a->steps[s].in_place, b->steps[s].in_place);
        assert_string_equal(a->steps[s].tactic, b->steps[s].tactic);
        assert_int_equal(a->steps[s].packed_bytes, b->steps[s].packed_bytes);
        assert_int_equal(a->steps[s].attrs.count, b->steps[s].attrs.count);
        assert_int_equal(a->steps[s].attrs.opset, b->steps[s].attrs.opset);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    sq_engine_file file, back;
    squall_error err;
    unsigned char *bytes, *again;
    size_t size, again_size;
    plan_file(&file, true, weights);
    assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(sq_engine_read(bytes, size, "test.sqe", &back, &err), SQUALL_OK);
    compare_plans(file.portable, back.portable);
    compare_plans(file.device, back.device);
    assert_string_equal(back.recipe, file.recipe);
    assert_string_equal(back.model_name, "small");
    assert_string_equal(back.squall_version, "0.1.0");
    assert_string_equal(back.isa, "c");
    assert_int_equal(back.threads, 2);
    assert_memory_equal(back.model_hash, file.model_hash, SQ_HASH_BYTES);
    assert_int_equal(back.weight_bytes, 128);
    assert_memory_equal(back.weights, weights, 128);
    assert_int_equal((uintptr_t)back.weights % SQ_ALIGNMENT, 0);
    assert_int_equal((back.weights - bytes) % SQ_ENGINE_PAGE_BYTES, 0);
    assert_int_equal(sq_engine_check_weights(&back, 0, 128, NULL, &err), SQUALL_OK);
    assert_int_equal(sq_engine_write(&back, &again, &again_size, &err), SQUALL_OK);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    sq_engine_free(&back);
    sq_engine_free(&file);
    sq_free(bytes);
    sq_free(again);
}

/* Attributes of every kind survive. */
static void test_attributes(void **state)
{
    (void)state;
    static const int64_t ints[] = {INT64_MIN, -1, 0, INT64_MAX};
    static const float floats[] = {0.5f, -0.0f, 3.4e38f};
    const int64_t dims[] = {2, 3};
    squall_tensor tensor;
    sq_engine_file file, back;
    unsigned char *bytes;
    size_t size, count;
    plan_file(&file, false, weights);
    sq_attrs *attrs = &file.portable->steps[SMALL_NEG].attrs;
    assert_true(sq_attr_set_int(attrs, "an int", -5));
    assert_true(sq_attr_set_float(attrs, "a float", 0.1f));
    assert_true(sq_attr_set_string(attrs, "a string", "a\0b", 3));
    assert_true(sq_attr_set_ints(attrs, "some ints", ints, 4));
    assert_true(sq_attr_set_floats(attrs, "some floats", floats, 3));
    assert_true(sq_tensor_make(SQUALL_I16, 2, dims, &tensor));
    memset(tensor.data, 0x5a, 12);
    assert_true(sq_attr_set_tensor(attrs, "a tensor", &tensor));
    assert_int_equal(sq_engine_write(&file, &bytes, &size, NULL), SQUALL_OK);
    assert_int_equal(sq_engine_read(bytes, size, "test.sqe", &back, NULL), SQUALL_OK);
    const sq_attrs *read = &back.portable->steps[SMALL_NEG].attrs;
    assert_int_equal(sq_attr_int(read, "an int", 0), -5);
    assert_true(sq_attr_float(read, "a float", 0) == 0.1f);
    assert_int_equal(sq_attr_find(read, "a string")->count, 3);
    assert_memory_equal(sq_attr_find(read, "a string")->string, "a\0b", 4);
    assert_memory_equal(sq_attr_ints(read, "some ints", &count), ints, sizeof ints);
    assert_int_equal(count, 4);
    assert_memory_equal(sq_attr_floats(read, "some floats", &count), floats, sizeof floats);
    const sq_attr *found = sq_attr_find(read, "a tensor");
    assert_int_equal(found->tensor.dtype, SQUALL_I16);
    assert_int_equal(found->tensor.dims[1], 3);
    assert_int_equal(((const int16_t *)found->tensor.data)[5], 0x5a5a);
    sq_engine_free(&back);
    sq_engine_free(&file);
    sq_free(bytes);
}

/* One bit of any byte: the file is never taken. */
static void test_each_byte_flipped(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_bytes(true, &size);
    assert_int_equal(read_all(bytes, size, NULL), SQUALL_OK);
    for (size_t i = 0; i < size; i++) {
        squall_error err = {.code = SQUALL_OK};
        bytes[i] ^= (unsigned char)(1u << i % 8);
        const squall_status status = read_all(bytes, size, &err);
        assert_true(status == SQUALL_E_FORMAT || status == SQUALL_E_VERSION ||
                    status == SQUALL_E_TRUNCATED || status == SQUALL_E_CORRUPT);
        assert_int_equal(status, err.code);
        assert_true(err.text[0] != '\0');
        bytes[i] ^= (unsigned char)(1u << i % 8);
    }
    assert_int_equal(read_all(bytes, size, NULL), SQUALL_OK);
    sq_free(bytes);
}

/* Cut anywhere, at the ends of sections too; longer than it says. */
static void test_truncated(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_bytes(true, &size);
    for (size_t cut = 0; cut < size; cut += cut < 1024 ? 1 : 61) {
        /* A copy of just its size, so that a sanitizer sees an over-read. */
        unsigned char *copy = sq_alloc_raw(cut, 1);
        memcpy(copy, bytes, cut);
        assert_int_equal(read_all(copy, cut, NULL),
                         cut < SQ_ENGINE_MAGIC_BYTES ? SQUALL_E_FORMAT : SQUALL_E_TRUNCATED);
        sq_free(copy);
    }
    unsigned char *longer = sq_alloc(size + 64, 1);
    memcpy(longer, bytes, size);
    assert_int_equal(read_all(longer, size + 64, NULL), SQUALL_E_CORRUPT);
    sq_store_uint(longer + SQ_HEADER_FILE_BYTES, size + 64, 8);
    plan_reseal(longer, size + 64);
    assert_int_equal(read_all(longer, size + 64, NULL), SQUALL_E_CORRUPT);
    sq_free(longer);
    sq_free(bytes);
}

static void test_version_and_sections(void **state)
{
    (void)state;
    size_t size;
    squall_error err;
    unsigned char *bytes = make_bytes(true, &size);
    sq_store_uint(bytes + SQ_HEADER_FORMAT, 2, 4);
    plan_reseal(bytes, size);
    assert_int_equal(read_all(bytes, size, &err), SQUALL_E_VERSION);
    assert_non_null(strstr(err.text, "format 2"));
    sq_store_uint(bytes + SQ_HEADER_FORMAT, SQ_ENGINE_FORMAT, 4);

    /* A section that nobody knows: skipped, unless it is marked as needed. */
    unsigned char *about = plan_entry(bytes, SQ_SECTION_ABOUT);
    sq_store_uint(about + SQ_TABLE_ID, 99, 4);
    plan_reseal(bytes, size);
    assert_int_equal(read_all(bytes, size, &err), SQUALL_OK);
    sq_store_uint(about + SQ_TABLE_FLAGS, SQ_SECTION_MANDATORY, 4);
    plan_reseal(bytes, size);
    assert_int_equal(read_all(bytes, size, &err), SQUALL_E_VERSION);
    sq_store_uint(about + SQ_TABLE_ID, SQ_SECTION_RECIPE, 4);
    plan_reseal(bytes, size);
    assert_int_equal(read_all(bytes, size, &err), SQUALL_E_CORRUPT); /* twice */
    sq_free(bytes);

    /* Without a section that must be there. */
    static const uint32_t needed[] = {SQ_SECTION_PORTABLE, SQ_SECTION_WEIGHTS, SQ_SECTION_CHUNKS};
    for (size_t i = 0; i < 3; i++) {
        bytes = make_bytes(false, &size);
        unsigned char *entry = plan_entry(bytes, needed[i]);
        sq_store_uint(entry + SQ_TABLE_ID, 77, 4);
        sq_store_uint(entry + SQ_TABLE_FLAGS, 0, 4);
        plan_reseal(bytes, size);
        assert_int_equal(read_all(bytes, size, &err), SQUALL_E_CORRUPT);
        sq_free(bytes);
    }
}

/* Numbers of the header and the table, each made wrong under right hashes. */
static void test_hostile_header(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        unsigned bytes;
        uint64_t value;
    } cases[] = {
        {SQ_HEADER_BYTES, 4, 512},
        {SQ_HEADER_SECTIONS, 4, 33},
        {SQ_HEADER_SECTIONS, 4, 3},
        {SQ_HEADER_SECTIONS, 4, UINT32_MAX},
        {SQ_HEADER_PROFILES, 4, 0},
        {SQ_HEADER_PROFILES, 4, 2},
        {SQ_HEADER_PROFILES, 4, 65},
        {SQ_HEADER_ARENA, 8, 128},
        {SQ_HEADER_MACS, 8, 1},
        {SQ_HEADER_WEIGHTS, 8, 64},
        {SQ_HEADER_CHUNK, 4, 0},
        {SQ_HEADER_THREADS, 4, 100000},
        {SQ_HEADER_RESERVED, 4, 1},
        {SQ_HEADER_VERSION + 24, 8, UINT64_MAX},
        {SQ_ENGINE_HEADER_BYTES + SQ_TABLE_OFFSET, 8, UINT64_MAX - 63},
        {SQ_ENGINE_HEADER_BYTES + SQ_TABLE_OFFSET, 8, 0},
        {SQ_ENGINE_HEADER_BYTES + SQ_TABLE_OFFSET, 8, 641},
        {SQ_ENGINE_HEADER_BYTES + SQ_TABLE_SIZE, 8, UINT64_MAX},
        {SQ_ENGINE_HEADER_BYTES + SQ_TABLE_SIZE, 8, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        unsigned char *bytes = make_bytes(true, &size);
        sq_store_uint(bytes + cases[i].offset, cases[i].value, cases[i].bytes);
        plan_reseal(bytes, size);
        squall_error err = {.code = SQUALL_OK};
        const squall_status status = read_all(bytes, size, &err);
        if (status != SQUALL_E_CORRUPT) {
            fail_msg("case %zu: %s (%s)", i, squall_status_name(status), err.text);
        }
        sq_free(bytes);
    }
}

/* Plans that the writer would never make: each wrong in one thing, with right hashes. */
typedef void break_plan(sq_plan *plan);

static void break_offset(sq_plan *plan)
{
    plan->values[SMALL_SUM].offset = 64;
}
static void break_alignment(sq_plan *plan)
{
    plan->values[SMALL_SUM].offset = 4;
}
static void break_wrap(sq_plan *plan)
{
    plan->values[SMALL_SUM].offset = UINT64_MAX - 63;
}
static void break_arena(sq_plan *plan)
{
    plan->arena_bytes = 128;
}
static void break_bound(sq_plan *plan)
{
    plan->arena_bound_bytes = 0;
}
static void break_macs(sq_plan *plan)
{
    plan->macs = 1;
}
static void break_overlap(sq_plan *plan)
{
    plan->steps[SMALL_RELU].in_place = -1; /* without it both are alive at one place */
}
static void break_in_place(sq_plan *plan)
{
    plan->steps[SMALL_ADD].in_place = 0; /* the caller's input */
}
static void break_in_place_number(sq_plan *plan)
{
    plan->steps[SMALL_RELU].in_place = 1;
}
static void break_dims(sq_plan *plan)
{
    plan->values[SMALL_SUM].type.dims[0] = 3;
}
static void break_negative(sq_plan *plan)
{
    plan->values[SMALL_IN].type.dims[0] = -4;
}
static void break_dtype(sq_plan *plan)
{
    plan->values[SMALL_SUM].type.dtype = SQUALL_I32;
}
static void break_unknown_dtype(sq_plan *plan)
{
    plan->values[SMALL_SUM].type.dtype = (squall_dtype)8;
}
static void break_layout(sq_plan *plan)
{
    plan->values[SMALL_SUM].type.layout = (squall_layout)3;
}
static void break_port_layout(sq_plan *plan)
{
    plan->values[SMALL_OUT].type.layout = SQUALL_C16;
}
static void break_home(sq_plan *plan)
{
    plan->values[SMALL_SUM].home = (sq_home)6;
}
static void break_constant(sq_plan *plan)
{
    plan->values[SMALL_WEIGHT].home = SQ_HOME_CONST;
    plan->values[SMALL_WEIGHT].offset = 128;
}
static void break_constant_written(sq_plan *plan)
{
    plan->values[SMALL_SUM].home = SQ_HOME_CONST;
}
static void break_input_written(sq_plan *plan)
{
    plan->values[SMALL_SUM].home = SQ_HOME_INPUT;
}
static void break_input(sq_plan *plan)
{
    plan->inputs[0] = SMALL_WEIGHT;
}
static void break_input_number(sq_plan *plan)
{
    plan->inputs[0] = 1000;
}
static void break_output(sq_plan *plan)
{
    plan->outputs[0] = SMALL_SUM;
}
static void break_output_size(sq_plan *plan)
{
    plan->values[SMALL_POSITIVE].home = SQ_HOME_OUTPUT; /* two fill output 0 */
    plan->values[SMALL_SQUARE].home = SQ_HOME_OUTPUT;
    plan->steps[SMALL_RELU].in_place = -1;
}
static void break_number(sq_plan *plan)
{
    plan->steps[SMALL_ADD].in[0] = 8;
}
static void break_order(sq_plan *plan)
{
    plan->steps[SMALL_ADD].in[0] = SMALL_POSITIVE;
}
static void break_twice(sq_plan *plan)
{
    plan->steps[SMALL_RELU].out[0] = SMALL_SUM;
}
static void break_absent(sq_plan *plan)
{
    plan->steps[SMALL_ADD].in[0] = SMALL_NONE;
}
static void break_nothing_filled(sq_plan *plan)
{
    plan->steps[SMALL_NEG].out[0] = SMALL_NONE;
}
static void break_no_output(sq_plan *plan)
{
    plan->steps[SMALL_NEG].out_count = 0;
}
static void break_op(sq_plan *plan)
{
    plan->steps[SMALL_ADD].op = (sq_op)9999;
}
static void break_op_inputs(sq_plan *plan)
{
    plan->steps[SMALL_ADD].in_count = 1;
}
static void break_view_offset(sq_plan *plan)
{
    plan->values[SMALL_SQUARE].offset = 64;
    plan->arena_bytes = 128;
}
static void break_view_op(sq_plan *plan)
{
    plan->steps[SMALL_NEG].backend = SQ_PLAN_VIEW;
}
static void break_view_size(sq_plan *plan)
{
    plan->values[SMALL_SQUARE].type.dims[1] = 1;
}
static void break_view_shape(sq_plan *plan)
{
    plan->values[SMALL_SHAPE].offset = 0; /* a shape of 1.0f, -2.0f as int64: nonsense */
}
static void break_packed(sq_plan *plan)
{
    plan->steps[SMALL_ADD].packed_offset = 64;
    plan->steps[SMALL_ADD].packed_bytes = 65;
}
static void break_packed_wrap(sq_plan *plan)
{
    plan->steps[SMALL_ADD].packed_offset = 64;
    plan->steps[SMALL_ADD].packed_bytes = UINT64_MAX - 32;
}
static void break_dropped(sq_plan *plan)
{
    plan->values[SMALL_WEIGHT].home = SQ_HOME_DROPPED;
}
static void break_no_home(sq_plan *plan)
{
    plan->values[SMALL_WEIGHT].home = SQ_HOME_NONE;
}

static void test_hostile_plans(void **state)
{
    (void)state;
    static break_plan *const cases[] = {
        break_offset,         break_alignment,   break_wrap,
        break_arena,          break_bound,       break_macs,
        break_overlap,        break_in_place,    break_in_place_number,
        break_dims,           break_negative,    break_dtype,
        break_unknown_dtype,  break_layout,      break_port_layout,
        break_home,           break_constant,    break_constant_written,
        break_input_written,  break_input,       break_input_number,
        break_output,         break_output_size, break_number,
        break_order,          break_twice,       break_absent,
        break_nothing_filled, break_no_output,   break_op,
        break_op_inputs,      break_view_offset, break_view_op,
        break_view_size,      break_view_shape,  break_packed,
        break_packed_wrap,    break_dropped,     break_no_home,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int device = 0; device <= 1; device++) {
            sq_engine_file file;
            squall_error err = {.code = SQUALL_OK};
            unsigned char *bytes;
            size_t size;
            plan_file(&file, device, weights);
            cases[i](device ? file.device : file.portable);
            assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
            const squall_status status = read_all(bytes, size, &err);
            if (cases[i] == break_dropped && device) {
                assert_int_equal(status, SQUALL_OK); /* there it is packed: as it should be */
            } else if (status != SQUALL_E_CORRUPT) {
                fail_msg("case %zu: %s (%s)", i, squall_status_name(status), err.text);
            }
            sq_engine_free(&file);
            sq_free(bytes);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        sq_engine_file file;
        squall_error err;
        unsigned char *bytes;
        size_t size;
        plan_file(&file, false, weights);
        if (i == 0) {
            file.portable->arena_bytes = SQ_LIMIT_ARENA_BYTES + 64;
        } else if (i == 1) {
            file.portable->scratch_bytes = UINT64_MAX;
        } else {
            file.portable->values[SMALL_IN].type.dims[0] = (int64_t)1 << 40;
        }
        assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
        assert_int_equal(read_all(bytes, size, &err), SQUALL_E_LIMIT);
        sq_engine_free(&file);
        sq_free(bytes);
    }
}

/* Random changes under right hashes: refused or taken, never a fault. */
static void test_random_changes(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_bytes(true, &size), *copy = sq_alloc_raw(size, 1);
    uint32_t seed = 1, refused = 0;
    static const unsigned char special[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff, 64};
    for (int trial = 0; trial < 4000; trial++) {
        memcpy(copy, bytes, size);
        for (int change = 0; change <= trial % 3; change++) {
            seed = seed * 1664525u + 1013904223u;
            /* The plans lie in front, the weights behind a page. */
            const size_t at = SQ_ENGINE_HEADER_BYTES + (seed >> 8) % (SQ_ENGINE_PAGE_BYTES - 256);
            seed = seed * 1664525u + 1013904223u;
            copy[at % size] = special[(seed >> 16) % sizeof special];
        }
        plan_reseal(copy, size);
        refused += read_all(copy, size, NULL) != SQUALL_OK;
    }
    assert_true(refused > 1000);
    sq_free(copy);
    sq_free(bytes);
}

/* Counts that announce more than the file has are refused before anything is allocated. */
static void test_counts(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_bytes(false, &size);
    unsigned char *entry = plan_entry(bytes, SQ_SECTION_PORTABLE);
    unsigned char *plan = bytes + sq_load_uint(entry + SQ_TABLE_OFFSET, 8);
    sq_store_uint(plan + 32, 200000, 4); /* the number of values */
    plan_reseal(bytes, size);
    const long before = sq_memory_count();
    assert_int_equal(read_all(bytes, size, NULL), SQUALL_E_CORRUPT);
    assert_true(sq_memory_count() - before < 20);
    sq_free(bytes);
}

static void test_no_memory(void **state)
{
    (void)state;
    size_t size;
    unsigned char *bytes = make_bytes(true, &size);
    long n = 0;
    for (squall_status status = SQUALL_E_MEMORY; status != SQUALL_OK; n++) {
        sq_memory_fail_at(n);
        status = read_all(bytes, size, NULL);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
    }
    assert_true(n > 50);
    sq_free(bytes);
    sq_engine_file file;
    plan_file(&file, true, weights);
    n = 0;
    for (squall_status status = SQUALL_E_MEMORY; status != SQUALL_OK; n++) {
        unsigned char *made = NULL;
        sq_memory_fail_at(n);
        status = sq_engine_write(&file, &made, &size, NULL);
        sq_memory_fail_at(-1);
        assert_true(status == SQUALL_OK || status == SQUALL_E_MEMORY);
        sq_free(made);
    }
    assert_true(n > 4);
    sq_engine_free(&file);
}

/* Weights of several chunks: each is checked when it is used, and only then. */
static void test_chunks(void **state)
{
    (void)state;
    const size_t large = 3 * (size_t)SQ_ENGINE_CHUNK_BYTES + 128;
    unsigned char *blob = sq_alloc(large, 1), *bytes;
    sq_engine_file file, back;
    squall_error err;
    size_t size;
    plan_file(&file, false, weights);
    memcpy(blob, weights, sizeof weights);
    for (size_t i = sizeof weights; i < large; i++) {
        blob[i] = (unsigned char)(i * 7 + i / 1000);
    }
    file.weights = blob;
    file.weight_bytes = large;
    assert_int_equal(sq_engine_write(&file, &bytes, &size, &err), SQUALL_OK);
    assert_int_equal(read_all(bytes, size, &err), SQUALL_OK);
    bytes[size - large + 2 * (size_t)SQ_ENGINE_CHUNK_BYTES + 5] ^= 1;
    assert_int_equal(sq_engine_read(bytes, size, "test.sqe", &back, &err), SQUALL_OK);
    assert_int_equal(sq_engine_check_weights(&back, 0, 2 * SQ_ENGINE_CHUNK_BYTES, NULL, &err),
                     SQUALL_OK);
    assert_int_equal(sq_engine_check_weights(&back, 3 * SQ_ENGINE_CHUNK_BYTES, 128, NULL, &err),
                     SQUALL_OK);
    assert_int_equal(sq_engine_check_weights(&back, 2 * SQ_ENGINE_CHUNK_BYTES - 1, 2, NULL, &err),
                     SQUALL_E_CORRUPT);
    assert_non_null(strstr(err.text, "chunk 2"));
    sq_engine_free(&back);
    sq_engine_free(&file);
    sq_free(bytes);
    sq_free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_each_byte_flipped),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_version_and_sections),
        cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_hostile_plans),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
