/* nn/rtc/rtc.c - NVRTC, found when it is asked for. */
#include "nn/rtc/rtc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/rtc/rtc_library.h"

enum { INVALID_OPTION = 5, MAX_SOURCES = 32 }; /* of nvrtcResult */

static squall_status open_library(rtc *out, squall_error *err)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12",
                                        "/usr/local/cuda/lib64/libnvrtc.so", NULL};
    const char *other = getenv("SQUALL_NVRTC");
    memset(out, 0, sizeof *out);
    if (other != NULL && other[0] != '\0') {
        out->library = dlopen(other, RTLD_NOW | RTLD_LOCAL);
    } else {
        for (size_t i = 0; names[i] != NULL && out->library == NULL; i++) {
            out->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        }
    }
    if (out->library == NULL) {
        return sq_fail(err, SQUALL_E_DEVICE, "nvrtc",
                       "was not found: install NVIDIA's libnvrtc (CUDA 12 or 13), or name it by "
                       "SQUALL_NVRTC; it is needed to build, not to run (%.150s)",
                       dlerror());
    }
    static const struct {
        const char *symbol;
        size_t at;
    } wanted[] = {
#define X(member, symbol, arguments) {#symbol, offsetof(rtc, member)},
        ENTRY_POINTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(out->library, wanted[i].symbol);
        if (found == NULL) {
            return sq_fail(err, SQUALL_E_DEVICE, "nvrtc", "has no %s", wanted[i].symbol);
        }
        memcpy((char *)out + wanted[i].at, &found, sizeof found);
    }
    return SQUALL_OK;
}

/* What the compiler said, cut to what an error holds. */
static squall_status fail_compile(const rtc *with, void *program, const char *isa, rtc_result why,
                                  squall_error *err)
{
    size_t size = 0;
    char *log = NULL;
    if (with->log_size(program, &size) == 0 && size > 0) {
        log = sq_alloc(size + 1, 1);
    }
    if (log != NULL) {
        (void)with->log(program, log);
    }
    const squall_status status = why == INVALID_OPTION ? SQUALL_E_UNSUPPORTED : SQUALL_E_INTERNAL;
    const squall_status code =
        sq_fail(err, status, "nvrtc", "kernels for %s were not made (%d): %.300s", isa, why,
                log != NULL ? log : "");
    sq_free(log);
    return code;
}

static squall_status take_image(const rtc *with, void *program, unsigned char **image,
                                size_t *bytes, squall_error *err)
{
    size_t size = 0;
    if (with->image_size(program, &size) != 0 || size == 0) {
        return sq_fail(err, SQUALL_E_INTERNAL, "nvrtc", "gave no machine code");
    }
    unsigned char *made = sq_alloc(size, 1);
    if (made == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, "nvrtc", "no memory for %zu bytes of kernels", size);
    }
    if (with->image(program, (char *)made) != 0) {
        sq_free(made);
        return sq_fail(err, SQUALL_E_INTERNAL, "nvrtc", "gave no machine code");
    }
    *image = made;
    *bytes = size;
    return SQUALL_OK;
}

squall_status sq_rtc_build(const char *isa, const char *wanted, unsigned char **image,
                           size_t *bytes, squall_error *err)
{
    rtc with;
    void *program = NULL;
    const char *names[MAX_SOURCES], *texts[MAX_SOURCES];
    int count = 0;
    char target[64];
    SQ_TRY(open_library(&with, err));
    for (; sq_rtc_sources[count].name != NULL && count < MAX_SOURCES - 1; count++) {
        names[count] = sq_rtc_sources[count].name;
        texts[count] = sq_rtc_sources[count].text;
    }
    names[count] = "nn/cuda/kernels/cuda_wanted.cuh";
    texts[count++] = wanted;
    static const char *const source = "#include \"nn/cuda/kernels/cuda_kernels.cuh\"\n";
    if (with.create(&program, source, "squall.cu", count, texts, names) != 0) {
        return sq_fail(err, SQUALL_E_INTERNAL, "nvrtc", "did not take the kernels' sources");
    }
    snprintf(target, sizeof target, "--gpu-architecture=%.32s", isa);
    const char *const options[] = {target, "--std=c++17"};
    const rtc_result result = with.compile(program, 2, options);
    const squall_status status = result != 0 ? fail_compile(&with, program, isa, result, err)
                                             : take_image(&with, program, image, bytes, err);
    (void)with.destroy(&program);
    return status;
}
