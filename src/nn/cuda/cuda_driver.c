/* nn/cuda/cuda_driver.c - libcuda.so.1, found when it is asked for. */
#include "nn/cuda/cuda_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

const char *sq_cuda_driver_text(const sq_cuda_driver *driver, sq_cu_result result, char *text)
{
    const char *words = NULL;
    if (driver->error_text(result, &words) != 0 || words == NULL) {
        words = "unknown error";
    }
    snprintf(text, 128, "%.100s (%d)", words, result);
    return text;
}

squall_status sq_cuda_driver_open(sq_cuda_driver *out, squall_error *err)
{
    const char *other = getenv("SQUALL_CUDA_DRIVER");
    const char *name = other != NULL && other[0] != '\0' ? other : "libcuda.so.1";
    memset(out, 0, sizeof *out);
    out->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (out->library == NULL) {
        return sq_fail(err, SQUALL_E_DEVICE, "cuda", "no NVIDIA driver: %.200s", dlerror());
    }
    static const struct {
        const char *symbol;
        size_t at;
    } wanted[] = {
#define X(member, symbol, arguments) {#symbol, offsetof(sq_cuda_driver, member)},
        SQ_CUDA_ENTRY_POINTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(out->library, wanted[i].symbol);
        if (found == NULL) {
            return sq_fail(err, SQUALL_E_DEVICE, name, "has no %s: the driver is too old",
                           wanted[i].symbol);
        }
        memcpy((char *)out + wanted[i].at, &found, sizeof found);
    }
    const sq_cu_result result = out->init(0);
    if (result != 0) {
        char text[128];
        return sq_fail(err, SQUALL_E_DEVICE, name, "did not start: %s",
                       sq_cuda_driver_text(out, result, text));
    }
    return SQUALL_OK;
}
