/* nn/rtc/rtc.h - the kernels of the CUDA backend made into machine code, while an engine is built.
 *
 * NVRTC is opened when it is asked for: libnvrtc of CUDA 12 or 13 where the loader finds it or
 * under /usr/local/cuda, or the library that the environment variable SQUALL_NVRTC names. Running
 * an engine needs none of this. */
#ifndef SQ_NN_RTC_RTC_H
#define SQ_NN_RTC_RTC_H

#include <stddef.h>

#include "base/base.h"

/**
 * Compile the kernels for one kind of GPU.
 * @param isa    "sm_80", "sm_90a"
 * @param wanted lines for kernels that are made for some engines alone (sq_cuda_wanted())
 * @param image  given (sq_free): a cubin
 * @return SQUALL_OK; SQUALL_E_DEVICE, with words, when there is no NVRTC; SQUALL_E_UNSUPPORTED when
 *         it does not know the kind; SQUALL_E_INTERNAL with what the compiler says;
 * SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_rtc_build(const char *isa, const char *wanted,
                                           unsigned char **image, size_t *bytes, squall_error *err);

/** One source file, as it was when this library was built; the list ends with a NULL name. */
typedef struct sq_rtc_source {
    const char *name; /* as #include lines have it */
    const char *text;
} sq_rtc_source;
extern const sq_rtc_source sq_rtc_sources[];

#endif /* SQ_NN_RTC_RTC_H */
