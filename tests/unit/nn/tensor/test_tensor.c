/* tests/unit/nn/tensor/test_tensor.c - sizes, copies, single elements, half and bfloat16. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "nn/tensor/tensor.h"

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        squall_tensor tensor;
        size_t count, bytes;
    } cases[] = {
        {{SQUALL_F32, SQUALL_PLAIN, 0, {0}, NULL}, 1, 4},
        {{SQUALL_F16, SQUALL_PLAIN, 3, {2, 3, 4}, NULL}, 24, 48},
        {{SQUALL_F32, SQUALL_C16, 4, {2, 17, 3, 5}, NULL}, 510, 2 * 32 * 15 * 4},
        {{SQUALL_F32, SQUALL_C8, 4, {2, 17, 3, 5}, NULL}, 510, 2 * 24 * 15 * 4},
        {{SQUALL_I8, SQUALL_C16, 2, {3, 16}, NULL}, 48, 48},
        {{SQUALL_F64, SQUALL_PLAIN, 2, {0, 5}, NULL}, 0, 0},
        /* empty, whatever the other sizes are */
        {{SQUALL_F64, SQUALL_PLAIN, 3, {INT64_MAX, INT64_MAX, 0}, NULL}, 0, 0},
        {{SQUALL_F64, SQUALL_PLAIN, 2, {INT64_MAX, 4}, NULL}, SIZE_MAX, SIZE_MAX},
        {{SQUALL_F64, SQUALL_PLAIN, 1, {INT64_MAX}, NULL}, INT64_MAX, SIZE_MAX},
        {{SQUALL_F32, SQUALL_PLAIN, 1, {-1}, NULL}, SIZE_MAX, SIZE_MAX},
        {{SQUALL_F32, SQUALL_PLAIN, 9, {1}, NULL}, SIZE_MAX, SIZE_MAX},
        {{SQUALL_F32, SQUALL_C16, 1, {3}, NULL}, 3, SIZE_MAX}, /* no channels to block */
        {{SQUALL_F32, (squall_layout)7, 2, {3, 3}, NULL}, 9, SIZE_MAX},
        {{SQUALL_F32, SQUALL_C16, 2, {1, INT64_MAX}, NULL}, INT64_MAX, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(squall_tensor_count(&cases[i].tensor), cases[i].count);
        assert_int_equal(squall_tensor_bytes(&cases[i].tensor), cases[i].bytes);
    }
    assert_int_equal(squall_dtype_size(SQUALL_DTYPE_NONE), 0);
    assert_int_equal(squall_dtype_size((squall_dtype)8), 0); /* ONNX: string */
    assert_string_equal(squall_dtype_name((squall_dtype)8), "unknown");
}

static void test_make_and_copy(void **state)
{
    (void)state;
    squall_tensor tensor = {0}, copy = {0};
    assert_true(sq_tensor_make(SQUALL_I32, 2, (int64_t[]){2, 3}, &tensor));
    assert_int_equal((uintptr_t)tensor.data % SQ_ALIGNMENT, 0);
    int32_t *numbers = tensor.data;
    assert_int_equal(numbers[5], 0);
    numbers[5] = -7;
    assert_true(sq_tensor_copy(&tensor, &copy));
    assert_true(copy.data != tensor.data);
    assert_true(sq_tensor_same_type(&copy, &tensor));
    assert_int_equal(sq_tensor_get_int(&copy, 5), -7);
    copy.dims[1] = 4;
    assert_false(sq_tensor_same_type(&copy, &tensor));
    copy.dims[1] = 3;
    copy.layout = SQUALL_C8;
    assert_false(sq_tensor_same_type(&copy, &tensor));
    sq_tensor_free(&copy);
    assert_int_equal(copy.dtype, SQUALL_DTYPE_NONE);

    assert_false(sq_tensor_make(SQUALL_I32, 1, (int64_t[]){-2}, &copy));
    assert_false(sq_tensor_make(SQUALL_I32, 2, (int64_t[]){INT64_MAX, 9}, &copy));
    assert_false(sq_tensor_make(SQUALL_I32, 9, (int64_t[9]){1}, &copy));
    assert_false(sq_tensor_make((squall_dtype)8, 0, NULL, &copy));
    sq_memory_fail_at(0);
    assert_false(sq_tensor_make(SQUALL_I32, 0, NULL, &copy));
    sq_memory_fail_at(0);
    assert_false(sq_tensor_copy(&tensor, &copy));
    sq_memory_fail_at(-1);
    assert_null(copy.data);

    squall_tensor type = tensor; /* a type without data copies too */
    type.data = NULL;
    assert_true(sq_tensor_copy(&type, &copy));
    assert_null(copy.data);
    assert_int_equal(copy.rank, 2);
    sq_tensor_free(&tensor);
}

static void test_format(void **state)
{
    (void)state;
    char text[SQ_TENSOR_TEXT];
    squall_tensor tensor = {SQUALL_F32, SQUALL_C16, 4, {1, 4, 256, 256}, NULL};
    assert_string_equal(sq_tensor_format(&tensor, text), "float32[1,4,256,256]:c16");
    tensor = (squall_tensor){SQUALL_BOOL, SQUALL_PLAIN, 0, {0}, NULL};
    assert_string_equal(sq_tensor_format(&tensor, text), "bool[]");
    tensor = (squall_tensor){SQUALL_I64, SQUALL_PLAIN, 2, {-1, 5}, NULL};
    assert_string_equal(sq_tensor_format(&tensor, text), "int64[?,5]");
    tensor = (squall_tensor){SQUALL_BF16, SQUALL_C8, 8, {0}, NULL}; /* the longest there is */
    for (int i = 0; i < 8; i++) {
        tensor.dims[i] = INT64_MAX;
    }
    assert_true(strlen(sq_tensor_format(&tensor, text)) < SQ_TENSOR_TEXT);
}

static void check_element(squall_dtype dtype, const void *element, int64_t as_int, double as_double)
{
    unsigned char data[16] = {0};
    memcpy(data + squall_dtype_size(dtype), element, squall_dtype_size(dtype));
    uint64_t aligned[2];
    memcpy(aligned, data, sizeof aligned);
    const squall_tensor tensor = {dtype, SQUALL_PLAIN, 1, {2}, aligned};
    assert_int_equal(sq_tensor_get_int(&tensor, 1), as_int);
    assert_true(sq_tensor_get_double(&tensor, 1) == as_double);
}

static void test_elements(void **state)
{
    (void)state;
    check_element(SQUALL_F32, &(float){-2.75f}, -2, -2.75);
    check_element(SQUALL_F64, &(double){1e300}, INT64_MAX, 1e300);
    check_element(SQUALL_F64, &(double){-1e300}, INT64_MIN, -1e300);
    check_element(SQUALL_F16, &(uint16_t){0xc100}, -2, -2.5);
    check_element(SQUALL_BF16, &(uint16_t){0x4049}, 3, 3.140625);
    check_element(SQUALL_I8, &(int8_t){-3}, -3, -3);
    check_element(SQUALL_U8, &(uint8_t){200}, 200, 200);
    check_element(SQUALL_I16, &(int16_t){-300}, -300, -300);
    check_element(SQUALL_U16, &(uint16_t){60000}, 60000, 60000);
    check_element(SQUALL_I32, &(int32_t){INT32_MIN}, INT32_MIN, -2147483648.0);
    check_element(SQUALL_U32, &(uint32_t){UINT32_MAX}, UINT32_MAX, 4294967295.0);
    check_element(SQUALL_I64, &(int64_t){-5}, -5, -5);
    check_element(SQUALL_U64, &(uint64_t){1ull << 63}, INT64_MIN, 0x1p63);
    check_element(SQUALL_BOOL, &(uint8_t){7}, 1, 1);
    const float nan = NAN;
    const squall_tensor tensor = {SQUALL_F32, SQUALL_PLAIN, 0, {0}, (void *)(uintptr_t)&nan};
    assert_int_equal(sq_tensor_get_int(&tensor, 0), 0);
}

/* IEEE 754 half by its definition: sign, 5 bits of exponent, 10 of fraction. */
static double half_by_definition(uint16_t half)
{
    const int exponent = (half >> 10) & 31, fraction = half & 1023;
    const double magnitude =
        exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void test_half(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        const uint16_t half = (uint16_t)i;
        const float value = sq_half_to_float(half);
        if ((half & 0x7c00) == 0x7c00) {
            assert_true(half & 1023 ? isnan(value) : isinf(value) && (value < 0) == (half >> 15));
        } else {
            assert_true((double)value == half_by_definition(half));
            assert_int_equal(signbit(value) != 0, half >> 15);
        }
        if (!isnan(value)) { /* there and back */
            assert_int_equal(sq_float_to_half(value), half);
        } else {
            assert_true(isnan(sq_half_to_float(sq_float_to_half(value))));
        }
    }
}

/* Between two neighbours the nearer is taken, and in the middle the even one. */
static void test_half_rounding(void **state)
{
    (void)state;
    for (uint16_t half = 0; half < 0x7bff; half++) {
        const float low = sq_half_to_float(half), high = sq_half_to_float((uint16_t)(half + 1));
        const float middle = (low + high) / 2; /* exact: float has 13 bits more */
        const uint16_t even = half & 1 ? (uint16_t)(half + 1) : half;
        assert_int_equal(sq_float_to_half(middle), even);
        assert_int_equal(sq_float_to_half(nextafterf(middle, low)), half);
        assert_int_equal(sq_float_to_half(nextafterf(middle, high)), half + 1);
        assert_int_equal(sq_float_to_half(-middle), even | 0x8000);
    }
    assert_int_equal(sq_float_to_half(65519.996f), 0x7bff); /* below the middle of 65504 and 2^16 */
    assert_int_equal(sq_float_to_half(65520.0f), 0x7c00);
    assert_int_equal(sq_float_to_half(FLT_MAX), 0x7c00);
    assert_int_equal(sq_float_to_half(-INFINITY), 0xfc00);
    assert_int_equal(sq_float_to_half(FLT_TRUE_MIN), 0);
    assert_int_equal(sq_float_to_half(-0.0f), 0x8000);
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x7f80; i++) {
        const float low = sq_bf16_to_float((uint16_t)i);
        const float high = sq_bf16_to_float((uint16_t)(i + 1));
        assert_int_equal(sq_float_to_bf16(low), i);
        if (isinf(high)) {
            continue;
        }
        const float middle = low + (high - low) / 2;
        assert_int_equal(sq_float_to_bf16(middle), i & 1 ? i + 1 : i);
        assert_int_equal(sq_float_to_bf16(nextafterf(middle, low)), i);
        assert_int_equal(sq_float_to_bf16(nextafterf(middle, high)), i + 1);
    }
    assert_int_equal(sq_float_to_bf16(FLT_MAX), 0x7f80);
    assert_int_equal(sq_float_to_bf16(-INFINITY), 0xff80);
    uint32_t bits = 0x7f800001; /* a NaN whose upper half alone would be an infinity */
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    assert_true(isnan(sq_bf16_to_float(sq_float_to_bf16(nan))));
    assert_true(isnan(sq_half_to_float(sq_float_to_half(nan))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),  cmocka_unit_test(test_make_and_copy),
        cmocka_unit_test(test_format), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_half),   cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
