/* nn/rtc/rtc_library.h - the entry points of NVRTC that are used. */
#ifndef SQ_NN_RTC_RTC_LIBRARY_H
#define SQ_NN_RTC_RTC_LIBRARY_H

#include <stddef.h>

typedef int rtc_result;

/* X(member, symbol, arguments), by NVRTC's public ABI */
#define ENTRY_POINTS(X)                                                                     \
    X(create, nvrtcCreateProgram,                                                           \
      (void **, const char *, const char *, int, const char *const *, const char *const *)) \
    X(compile, nvrtcCompileProgram, (void *, int, const char *const *))                     \
    X(log_size, nvrtcGetProgramLogSize, (void *, size_t *))                                 \
    X(log, nvrtcGetProgramLog, (void *, char *))                                            \
    X(image_size, nvrtcGetCUBINSize, (void *, size_t *))                                    \
    X(image, nvrtcGetCUBIN, (void *, char *))                                               \
    X(destroy, nvrtcDestroyProgram, (void **))

typedef struct rtc {
    void *library;
#define X(member, symbol, arguments) rtc_result(*member) arguments;
    ENTRY_POINTS(X)
#undef X
} rtc;

#endif /* SQ_NN_RTC_RTC_LIBRARY_H */
