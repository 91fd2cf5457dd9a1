/* nn/cuda/cuda_driver.h - the entry points of libcuda.so.1 that are used, by its public ABI. */
#ifndef SQ_NN_CUDA_CUDA_DRIVER_H
#define SQ_NN_CUDA_CUDA_DRIVER_H

#include <stddef.h>

#include "squall/status.h"

typedef int sq_cu_result; /* 0: success */
typedef unsigned long long sq_cu_address;

/* CUlaunchAttribute and CUlaunchConfig. */
typedef struct sq_cu_attribute {
    int id;
    char pad[4];
    union {
        char room[64];
        int number;
    } value;
} sq_cu_attribute;
enum { SQ_CU_OVERLAP = 6 /* PROGRAMMATIC_STREAM_SERIALIZATION */ };
typedef struct sq_cu_launch {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared;
    void *stream;
    const sq_cu_attribute *attributes;
    unsigned attribute_count;
} sq_cu_launch;

/* Numbers of cuTensorMapEncodeTiled: types; rows of so many bytes, swizzled; whole lines from L2.
 */
enum { SQ_CU_U8 = 0, SQ_CU_F16 = 6, SQ_CU_SWIZZLE_64 = 2, SQ_CU_SWIZZLE_128 = 3, SQ_CU_L2_256 = 3 };

/* X(member, symbol, arguments) */
#define SQ_CUDA_ENTRY_POINTS(X)                                                               \
    X(init, cuInit, (unsigned))                                                               \
    X(driver_version, cuDriverGetVersion, (int *))                                            \
    X(error_text, cuGetErrorString, (sq_cu_result, const char **))                            \
    X(device_count, cuDeviceGetCount, (int *))                                                \
    X(device_get, cuDeviceGet, (int *, int))                                                  \
    X(device_name, cuDeviceGetName, (char *, int, int))                                       \
    X(device_attribute, cuDeviceGetAttribute, (int *, int, int))                              \
    X(device_memory, cuDeviceTotalMem_v2, (size_t *, int))                                    \
    X(context_retain, cuDevicePrimaryCtxRetain, (void **, int))                               \
    X(context_release, cuDevicePrimaryCtxRelease_v2, (int))                                   \
    X(context_set, cuCtxSetCurrent, (void *))                                                 \
    X(module_load, cuModuleLoadData, (void **, const void *))                                 \
    X(module_unload, cuModuleUnload, (void *))                                                \
    X(module_function, cuModuleGetFunction, (void **, void *, const char *))                  \
    X(function_set, cuFuncSetAttribute, (void *, int, int))                                   \
    X(memory_take, cuMemAlloc_v2, (sq_cu_address *, size_t))                                  \
    X(memory_free, cuMemFree_v2, (sq_cu_address))                                             \
    X(memory_fill, cuMemsetD8Async, (sq_cu_address, unsigned char, size_t, void *))           \
    X(put, cuMemcpyHtoDAsync_v2, (sq_cu_address, const void *, size_t, void *))               \
    X(get, cuMemcpyDtoHAsync_v2, (void *, sq_cu_address, size_t, void *))                     \
    X(stream_create, cuStreamCreate, (void **, unsigned))                                     \
    X(stream_destroy, cuStreamDestroy_v2, (void *))                                           \
    X(stream_wait, cuStreamSynchronize, (void *))                                             \
    X(capture_begin, cuStreamBeginCapture_v2, (void *, int))                                  \
    X(capture_end, cuStreamEndCapture, (void *, void **))                                     \
    X(graph_make, cuGraphInstantiateWithFlags, (void **, void *, unsigned long long))         \
    X(graph_launch, cuGraphLaunch, (void *, void *))                                          \
    X(graph_destroy, cuGraphDestroy, (void *))                                                \
    X(graph_exec_destroy, cuGraphExecDestroy, (void *))                                       \
    X(event_create, cuEventCreate, (void **, unsigned))                                       \
    X(event_destroy, cuEventDestroy_v2, (void *))                                             \
    X(event_record, cuEventRecord, (void *, void *))                                          \
    X(event_elapsed, cuEventElapsedTime, (float *, void *, void *))                           \
    X(launch, cuLaunchKernelEx, (const sq_cu_launch *, void *, void **, void **))             \
    X(view, cuTensorMapEncodeTiled,                                                           \
      (void *, int, unsigned, void *, const unsigned long long *, const unsigned long long *, \
       const unsigned *, const unsigned *, int, int, int, int))

typedef struct sq_cuda_driver {
    void *library;
#define X(member, symbol, arguments) sq_cu_result(*member) arguments;
    SQ_CUDA_ENTRY_POINTS(X)
#undef X
} sq_cuda_driver;

/** Open the driver and initialise it; SQUALL_E_DEVICE with words. Closed with the process. */
SQUALL_MUST_USE squall_status sq_cuda_driver_open(sq_cuda_driver *out, squall_error *err);

/** "out of memory (2)"; `text` has room for 128. */
const char *sq_cuda_driver_text(const sq_cuda_driver *driver, sq_cu_result result, char *text);

#endif /* SQ_NN_CUDA_CUDA_DRIVER_H */
