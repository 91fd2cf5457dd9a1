/* nn/cuda/cuda_internal.h - what the files of this room share: launches, the device, drivers of
 * operators. */
#ifndef SQ_NN_CUDA_CUDA_INTERNAL_H
#define SQ_NN_CUDA_CUDA_INTERNAL_H

#include "nn/cuda/cuda.h"
#include "nn/cuda/cuda_args.h"
#include "nn/cuda/cuda_driver.h"

typedef enum sq_cuda_kernel {
#define KERNEL(name, capability) SQ_CUDA_##name,
#include "nn/cuda/cuda_kernels.inc"
#undef KERNEL
    SQ_CUDA_KERNELS
} sq_cuda_kernel;

/* Where the address at a place of the arguments comes from. */
typedef enum sq_cuda_source {
    SQ_CUDA_INPUT,
    SQ_CUDA_OUTPUT,
    SQ_CUDA_PACKED,
    SQ_CUDA_SCRATCH
} sq_cuda_source;

typedef struct sq_cuda_patch {
    uint32_t at; /* byte of the arguments */
    sq_cuda_source source;
    uint32_t index; /* of the input or output */
    uint64_t offset;
} sq_cuda_patch;

enum { SQ_CUDA_PATCHES = 12, SQ_CUDA_BOXES = 10 };

/* How the copy engine sees a tensor: made into a sq_cuda_view at `at` of the arguments. */
typedef struct sq_cuda_box {
    uint32_t at;
    sq_cuda_source source;
    uint32_t index;
    uint64_t offset;
    uint64_t size[4], stride[3]; /* channels, columns, rows, images; stride: bytes, without the
                                    first */
    uint32_t box[4];             /* numbers of one copy */
    int type, swizzle;           /* of the driver's numbers */
} sq_cuda_box;

/* One launch of a kernel; addresses are filled in when it is made. */
typedef struct sq_cuda_launch {
    sq_cuda_kernel kernel;
    uint32_t grid_x, grid_y, block, shared, patch_count, box_count;
    bool persistent; /* no more blocks than the GPU has processors */
    sq_cuda_patch patches[SQ_CUDA_PATCHES];
    sq_cuda_box boxes[SQ_CUDA_BOXES];
    union {
        sq_cuda_map_args map;
        sq_cuda_conv_args conv;
        sq_cuda_pool_args pool;
        sq_cuda_resize_args resize;
        sq_cuda_reduce_args reduce;
        sq_cuda_gemm_args gemm;
        sq_cuda_depth_args depth;
        sq_cuda_few_args few;
        sq_cuda_planes_args planes;
        sq_cuda_gates_args gates;
        sq_cuda_qconv_args qconv;
        sq_cuda_wg_args wg;
    } args;
} sq_cuda_launch;

/* The state of a bound step. */
typedef struct sq_cuda_state {
    uint32_t count;
    sq_cuda_launch launches[]; /* [count] */
} sq_cuda_state;

static inline size_t sq_cuda_state_bytes(size_t launches)
{
    return sizeof(sq_cuda_state) + launches * sizeof(sq_cuda_launch);
}

/** Queue a launch. */
squall_status sq_cuda_launch_on(sq_device *device, const sq_cuda_launch *launch,
                                const sq_call *call);
extern const sq_device_face sq_cuda_face;

#define SQ_CUDA_EVERY_CAPABILITY 1000
#define SQ_CUDA_MOST             64 /* tactics of one step */

/* One operator's driver: what cuda_backend.c strings together. */
typedef struct sq_cuda_op {
    sq_op op;
    /** As in sq_backend, for a compute capability times ten; at most SQ_CUDA_MOST. */
    size_t (*tactics)(const sq_step *step, int capability, sq_tactic *out, sq_reason *why);
    squall_status (*pack)(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err); /* NULL: nothing to pack */
    squall_status (*bind)(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                          squall_error *err);
} sq_cuda_op;

extern const sq_cuda_op sq_cuda_ops_map[], sq_cuda_ops_conv[], sq_cuda_ops_window[],
    sq_cuda_ops_reduce[], sq_cuda_ops_gates[], sq_cuda_ops_quant[]; /* each ends with op NONE */

/** An empty tactic of `launches` launches: layouts PLAIN, nothing packed. The name gets the type of
 * input 0 behind it. */
void sq_cuda_tactic(sq_tactic *tactic, const char *what, size_t launches);
/** Say why not; returns 0, so that a driver writes `return sq_cuda_refuse(...)`. */
__attribute__((format(printf, 2, 3))) size_t sq_cuda_refuse(sq_reason *why, const char *format,
                                                            ...);
/** The activation that is folded into a step. */
sq_cuda_act sq_cuda_step_act(const sq_step *step);
/** The ways to write an output of a map of input 0, plain or channels last, in `launches` launches;
 * `in_place`: the input that it may lie on, or -1. */
size_t sq_cuda_map_ways(const sq_step *step, const char *what, size_t launches, int8_t in_place,
                        sq_tactic *out);
/** A launch by which every number of input 0 becomes one of output 0. */
squall_status sq_cuda_map_all(const sq_step *step, sq_cuda_act act, sq_cuda_state *state,
                              squall_error *err);
/** "f32", "f16" or "u8". */
const char *sq_cuda_type(squall_dtype dtype);
/** A launch of the largest of each 2 x 2 of bytes, from output 0 to output 1. */
void sq_cuda_pool_two(const sq_step *step, sq_cuda_state *state);
/** Whether a type is one of the two that kernels have. */
bool sq_cuda_is_float(squall_dtype dtype);
/** Channels of a tensor with channels last, rounded up. */
int sq_cuda_pitch(const squall_tensor *tensor);
/** Note where an address comes from. */
void sq_cuda_patch_add(sq_cuda_launch *launch, size_t at, sq_cuda_source source, uint32_t index,
                       uint64_t offset);
/** Add a launch of one thread each for `threads` things. */
sq_cuda_launch *sq_cuda_launch_add(sq_cuda_state *state, sq_cuda_kernel kernel, uint64_t threads);
/** Whether `threads` fit one launch. */
bool sq_cuda_threads_fit(uint64_t threads);

#endif /* SQ_NN_CUDA_CUDA_INTERNAL_H */
