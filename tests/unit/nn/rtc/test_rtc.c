/* tests/unit/nn/rtc/test_rtc.c - every kernel is machine code for every kind of GPU that is served,
 * where NVRTC is at hand; and what is said where it is not, or does not know a kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/rtc/rtc.h"

/* Kernels that a cubin must name, each with the least compute capability times ten. */
static const struct {
    const char *symbol;
    int capability;
} kernels[] = {
#define KERNEL(name, least) {"sq_" #name, least},
#include "nn/cuda/cuda_kernels.inc"
#undef KERNEL
};

/* Lines for all that are made for some engines alone. */
static const char every[] =
#define WGMMA(bh, cot, border)       "WGMMA(" #bh ", " #cot ", " #border ")\n"
#define WGMMA8(bh, cot, border, row) "WGMMA8(" #bh ", " #cot ", " #border ", " #row ")\n"
#define MMA(m, n, wm, wn, s)         "MMA(" #m ", " #n ", " #wm ", " #wn ", " #s ")\n"
#define MMA8(m, n, wm, wn, s)        "MMA8(" #m ", " #n ", " #wm ", " #wn ", " #s ")\n"
#include "nn/cuda/cuda_mma.inc"
#include "nn/cuda/cuda_wgmma.inc"
#undef MMA
#undef MMA8
#undef WGMMA
#undef WGMMA8
    ;

static bool contains(const unsigned char *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text) + 1) != NULL;
}

static void test_kinds(void **state)
{
    static const struct {
        const char *isa;
        int capability;
    } kinds[] = {{"sm_75", 75}, {"sm_80", 80}, {"sm_86", 86}, {"sm_89", 89}, {"sm_90a", 90}};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        unsigned char *image = NULL;
        size_t bytes = 0;
        squall_error err = {.code = SQUALL_OK};
        const squall_status status = sq_rtc_build(kinds[k].isa, every, &image, &bytes, &err);
        if (status == SQUALL_E_DEVICE && k == 0) {
            print_message("skipped: %s: %s\n", err.where, err.text);
            skip();
        }
        if (status != SQUALL_OK) {
            fail_msg("%s: %s: %s", kinds[k].isa, err.where, err.text);
        }
        assert_true(bytes > 4 && memcmp(image,
                                        "\x7f"
                                        "ELF",
                                        4) == 0);
        for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
            if (kernels[i].capability <= kinds[k].capability &&
                !contains(image, bytes, kernels[i].symbol)) {
                fail_msg("%s lacks %s", kinds[k].isa, kernels[i].symbol);
            }
        }
        print_message("%s: %zu bytes\n", kinds[k].isa, bytes);
        sq_free(image);
    }
}

static void test_sources(void **state)
{
    (void)state;
    size_t count = 0;
    bool args = false;
    for (; sq_rtc_sources[count].name != NULL; count++) {
        assert_true(strlen(sq_rtc_sources[count].text) > 100);
        args = args || strcmp(sq_rtc_sources[count].name, "nn/cuda/cuda_args.h") == 0;
    }
    assert_true(count >= 5 && args);
}

static void test_absent(void **state)
{
    unsigned char *image = NULL;
    size_t bytes = 0;
    squall_error err = {.code = SQUALL_OK};
    (void)state;
    setenv("SQUALL_NVRTC", "/nonexistent/libnvrtc.so", 1);
    assert_int_equal(sq_rtc_build("sm_80", "", &image, &bytes, &err), SQUALL_E_DEVICE);
    assert_non_null(strstr(err.text, "SQUALL_NVRTC"));
    setenv("SQUALL_NVRTC", "libm.so.6", 1); /* a library, but not that one */
    assert_int_equal(sq_rtc_build("sm_80", "", &image, &bytes, &err), SQUALL_E_DEVICE);
    assert_non_null(strstr(err.text, "nvrtcCreateProgram"));
    setenv("SQUALL_NVRTC", SQUALL_FAKE_CUDA, 1);
    assert_int_equal(sq_rtc_build("sm_10", "", &image, &bytes, &err), SQUALL_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no such kind of GPU"));
    assert_null(image);
    for (long n = 0; n < 2; n++) {
        sq_memory_fail_at(0);
        const squall_status status =
            sq_rtc_build(n == 0 ? "sm_80" : "sm_10", "", &image, &bytes, &err);
        sq_memory_fail_at(-1);
        assert_int_equal(status, n == 0 ? SQUALL_E_MEMORY : SQUALL_E_UNSUPPORTED);
    }
    unsetenv("SQUALL_NVRTC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
