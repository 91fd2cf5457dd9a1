/* tests/unit/nn/ref/test_ref_backend.c - the face of the reference backend, and how steps fail. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "nn/ref/ref_fixture.h"

#define LAST_OP 2000 /* beyond the largest number in op_table.inc */

static void test_every_operator_has_a_row(void **state)
{
    (void)state;
    size_t known = 0;
    for (int number = 1; number < LAST_OP; number++) {
        const sq_op op = (sq_op)number;
        if (strcmp(sq_op_name(op), "(none)") == 0 || sq_op_is_control(op)) {
            continue; /* control nodes are gone before a backend sees them */
        }
        known++;
        /* one type of each class: some row takes it, or says what else is wrong with the step */
        static const squall_dtype types[] = {SQUALL_F32, SQUALL_I32, SQUALL_BOOL};
        size_t taken = 0;
        for (size_t i = 0; i < 3; i++) {
            fixture f;
            fixture_open(&f, op, 1);
            fixture_input(&f, types[i], 4, (const int64_t[]){1, 2, 3, 4});
            fixture_input(&f, types[i], 4, (const int64_t[]){1, 2, 3, 4});
            f.out[0] = f.in[0];
            f.out[0].data = NULL;
            sq_tactic tactic;
            sq_reason why;
            taken += sq_ref_backend.tactics(&f.step, 1, &tactic, &why) > 0 ||
                     (strstr(why.text, "not an operator") == NULL &&
                      strstr(why.text, "does not take") == NULL);
            fixture_close(&f);
        }
        if (taken == 0) {
            fail_msg("%s has no row in ref_ops.inc", sq_op_name(op));
        }
    }
    assert_true(known > 100);
}

static void test_refusals_say_why(void **state)
{
    (void)state;
    fixture f;
    sq_tactic tactic;
    sq_reason why;
    fixture_open(&f, SQ_OP_NONE, 1);
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 0);
    assert_non_null(strstr(why.text, "not an operator"));
    fixture_close(&f);

    fixture_open(&f, SQ_OP_Exp, 1);
    fixture_input(&f, SQUALL_I32, 1, (const int64_t[]){2});
    fixture_infer(&f);
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 0);
    assert_string_equal(why.text, "Exp does not take int32");
    assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_E_UNSUPPORTED);
    assert_string_equal(f.error.text, why.text);
    fixture_close(&f);

    fixture_open(&f, SQ_OP_Relu, 1);
    f.step.in_count = 1;
    f.in[0] = (squall_tensor){.dtype = SQUALL_F32, .rank = 2, .dims = {INT64_MAX, INT64_MAX}};
    f.out[0] = f.in[0];
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 0);
    assert_non_null(strstr(why.text, "too large"));
    f.in[0].dims[0] = f.in[0].dims[1] = 2;
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 0);
    fixture_close(&f);

    /* a row of doubles that no context may ask for */
    fixture_open(&f, SQ_OP_MatMul, 1);
    f.step.in_count = 2;
    f.in[0] = (squall_tensor){.dtype = SQUALL_F32, .rank = 2, .dims = {1, 1}};
    f.in[1] = (squall_tensor){.dtype = SQUALL_F32, .rank = 2, .dims = {1, INT64_MAX / 64}};
    f.out[0] = f.in[1];
    assert_int_equal(sq_ref_backend.tactics(&f.step, 1, &tactic, &why), 0);
    assert_non_null(strstr(why.text, "scratch"));
    fixture_close(&f);
}

static void test_restore(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, SQ_OP_MaxPool, 1);
    fixture_floats(&f, 4, (const int64_t[]){1, 2, 6, 6}, 1);
    assert_true(sq_attr_set_ints(&f.attrs, "kernel_shape", (const int64_t[]){2, 2}, 2));
    fixture_infer(&f);
    sq_tactic tactic, again;
    sq_reason why;
    assert_int_equal(sq_ref_backend.tactics(&f.step, 3, &tactic, &why), 1);
    assert_int_equal(sq_ref_backend.restore(&f.step, tactic.name, 3, &again, &f.error), SQUALL_OK);
    assert_memory_equal(&tactic, &again, sizeof tactic);
    assert_true(tactic.scratch_bytes >= 3 * (6 + 5 + 5) * sizeof(double));
    assert_int_equal(sq_ref_backend.pack(&f.step, &tactic, NULL, &f.error), SQUALL_OK);
    assert_int_equal(sq_ref_backend.bind(&f.step, &tactic, 3, NULL, &f.error), SQUALL_OK);
    assert_int_equal(sq_ref_backend.restore(&f.step, "conv_fast", 3, &again, &f.error),
                     SQUALL_E_MISMATCH);
    assert_non_null(strstr(f.error.text, "conv_fast"));
    f.in[0].dtype = SQUALL_BOOL;
    assert_int_equal(sq_ref_backend.restore(&f.step, "ref", 3, &again, &f.error),
                     SQUALL_E_MISMATCH);
    assert_string_equal(f.error.text, "MaxPool does not take bool");
    f.in[0].dtype = SQUALL_F32;
    fixture_close(&f);
}

/* What a Slice takes is data: it must not lead outside the memory that was planned. */
static void test_planned_shape_is_held(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, SQ_OP_Slice, 1);
    fixture_floats(&f, 1, (const int64_t[]){10}, 1);
    fixture_ints(&f, (const int64_t[]){2}, 1);
    squall_tensor *ends = fixture_ints(&f, (const int64_t[]){5}, 1);
    fixture_infer(&f);
    assert_int_equal(f.out[0].dims[0], 3);
    ((int64_t *)ends->data)[0] = 9;
    assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_E_SHAPE);
    assert_string_equal(f.error.text, "output 0 becomes float32[7]; float32[3] was planned");
    assert_null(f.out[0].data);
    ((int64_t *)ends->data)[0] = -5;
    assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_OK);
    assert_memory_equal(f.out[0].data, (const float *)f.in[0].data + 2, 3 * sizeof(float));
    fixture_close(&f);
}

static void test_indices_out_of_range(void **state)
{
    (void)state;
    static const sq_op ops[] = {SQ_OP_Gather, SQ_OP_GatherElements, SQ_OP_GatherND,
                                SQ_OP_ScatterElements, SQ_OP_ScatterND};
    static const int64_t wrong[] = {4, -5, INT64_MAX, INT64_MIN};
    for (size_t op = 0; op < sizeof ops / sizeof ops[0]; op++) {
        const bool scatters = ops[op] == SQ_OP_ScatterElements || ops[op] == SQ_OP_ScatterND;
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            fixture f;
            fixture_open(&f, ops[op], 1);
            fixture_floats(&f, 1, (const int64_t[]){4}, 1);
            squall_tensor *indices = fixture_ints(&f, (const int64_t[]){3}, 1);
            if (scatters) {
                const uint32_t rank = ops[op] == SQ_OP_ScatterND ? 0 : 1;
                fixture_floats(&f, rank, (const int64_t[]){1}, 2);
            }
            fixture_evaluate(&f);
            sq_tensor_free(&f.out[0]);
            fixture_infer(&f);
            ((int64_t *)indices->data)[0] = wrong[i];
            assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_E_SHAPE);
            assert_non_null(strstr(f.error.text, "on an axis of size 4"));
            assert_null(f.out[0].data);
            fixture_close(&f);
        }
    }
}

static void test_unknown_words(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, SQ_OP_Add, 1);
    fixture_floats(&f, 1, (const int64_t[]){3}, 1);
    fixture_floats(&f, 1, (const int64_t[]){3}, 2);
    assert_true(sq_attr_set_int(&f.attrs, "sq_activation", 99));
    fixture_infer(&f);
    assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(f.error.text, "activation 99"));
    fixture_close(&f);

    fixture_open(&f, SQ_OP_ScatterND, 1);
    fixture_floats(&f, 1, (const int64_t[]){3}, 1);
    fixture_ints(&f, (const int64_t[]){0}, 1);
    fixture_floats(&f, 0, NULL, 2);
    assert_true(sq_attr_set_string(&f.attrs, "reduction", "average", 7));
    fixture_infer(&f);
    assert_int_equal(sq_ref_evaluate(&f.step, &f.error), SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(f.error.text, "average"));
    fixture_close(&f);
}

/* Each allocation fails once; nothing leaks and the output stays empty. */
static void test_no_memory(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, SQ_OP_Resize, 1);
    fixture_floats(&f, 3, (const int64_t[]){2, 3, 4}, 1);
    f.step.in_count = 3; /* no region */
    const int64_t three = 3;
    assert_true(sq_tensor_make(SQUALL_F32, 1, &three, &f.in[2]));
    memcpy(f.in[2].data, (const float[]){1, 2, 1.5f}, 3 * sizeof(float));
    assert_true(sq_attr_set_string(&f.attrs, "mode", "linear", 6));
    fixture_infer(&f);
    long failures = 0;
    for (squall_status status = SQUALL_E_MEMORY; status != SQUALL_OK; failures++) {
        sq_memory_fail_at(failures);
        status = sq_ref_evaluate(&f.step, &f.error);
        sq_memory_fail_at(-1);
        if (status != SQUALL_OK) {
            assert_int_equal(status, SQUALL_E_MEMORY);
            assert_null(f.out[0].data);
        }
    }
    assert_int_equal(failures, 3); /* the output, the scratch, none */
    fixture_close(&f);
}

/* What no processor divides, and what int64 cannot hold. */
static void test_integer_division(void **state)
{
    (void)state;
    static const int64_t a[] = {INT64_MIN, 7, INT64_MIN, -7};
    static const int64_t b[] = {-1, 0, 0, 2};
    static const struct {
        sq_op op;
        int64_t want[4];
    } cases[] = {{SQ_OP_Div, {INT64_MIN, 0, 0, -3}}, {SQ_OP_Mod, {0, 0, 0, 1}}};
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        fixture_open(&f, cases[i].op, 1);
        fixture_ints(&f, a, 4);
        fixture_ints(&f, b, 4);
        fixture_evaluate(&f);
        assert_memory_equal(f.out[0].data, cases[i].want, sizeof cases[i].want);
        fixture_close(&f);
    }
}

/* A float beyond an integer's range becomes the range's end, NaN 0: ONNX leaves it open, and so
 * does C, which makes it undefined. */
static void test_cast_out_of_range(void **state)
{
    (void)state;
    static const squall_dtype types[] = {SQUALL_I64, SQUALL_U64, SQUALL_I32, SQUALL_U32,
                                         SQUALL_I16, SQUALL_U16, SQUALL_I8,  SQUALL_U8};
    static const int64_t low[] = {INT64_MIN, 0, INT32_MIN, 0, INT16_MIN, 0, INT8_MIN, 0};
    static const int64_t high[] = {INT64_MAX, -1,         INT32_MAX, UINT32_MAX,
                                   INT16_MAX, UINT16_MAX, INT8_MAX,  UINT8_MAX};
    for (size_t i = 0; i < 8; i++) {
        fixture f;
        fixture_open(&f, SQ_OP_Cast, 1);
        squall_tensor *in = fixture_input(&f, SQUALL_F32, 1, (const int64_t[]){4});
        const float values[4] = {-FLT_MAX, FLT_MAX, NAN, -0.5f};
        memcpy(in->data, values, sizeof values);
        assert_true(sq_attr_set_int(&f.attrs, "to", types[i]));
        fixture_evaluate(&f);
        assert_int_equal(sq_tensor_get_int(&f.out[0], 0), low[i]);
        assert_int_equal(sq_tensor_get_int(&f.out[0], 1), high[i]);
        assert_int_equal(sq_tensor_get_int(&f.out[0], 2), 0);
        assert_int_equal(sq_tensor_get_int(&f.out[0], 3), 0);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator_has_a_row),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_planned_shape_is_held),
        cmocka_unit_test(test_indices_out_of_range),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_integer_division),
        cmocka_unit_test(test_cast_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
