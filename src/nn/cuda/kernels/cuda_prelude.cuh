/* nn/cuda/kernels/cuda_prelude.cuh - what every kernel file builds on, for NVRTC and, without any instruction of a GPU,
 * for the driver that the tests put in the place of libcuda: that one sets sq_fake_thread and calls the kernel once
 * for each thread. Kernels are written in the common part of C and CUDA C++. No header is included. */
#ifndef SQ_CUDA_PRELUDE_CUH
#define SQ_CUDA_PRELUDE_CUH

#include "nn/cuda/cuda_args.h"

typedef unsigned short sq_half; /* the bits of an IEEE half; all arithmetic is in float */

#ifdef __CUDACC__
#define SQ_DEVICE static __device__ __forceinline__
#define SQ_KERNEL extern "C" __global__ void
#define SQ_THREAD ((long long)blockIdx.x * blockDim.x + threadIdx.x)
#define SQ_WARP 32
SQ_DEVICE float sq_from_half(sq_half h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
SQ_DEVICE sq_half sq_to_half(float f)
{
    sq_half h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
/* The sum, or the largest, over the lanes of a warp, in every lane. */
SQ_DEVICE float sq_warp_fold(float x, int largest)
{
    for (int o = 16; o > 0; o >>= 1) {
        const float y = __shfl_xor_sync(0xffffffffu, x, o);
        x = largest ? fmaxf(x, y) : x + y;
    }
    return x;
}
#else
#define SQ_DEVICE static inline
#define SQ_KERNEL void
#define SQ_THREAD sq_fake_thread
#define SQ_WARP 1
SQ_DEVICE float sq_warp_fold(float x, int largest)
{
    (void)largest;
    return x;
}
#endif

/* Activations, by the numbers of sq_activation. A NaN stays one where a comparison would lose it. */
SQ_DEVICE float sq_act(float x, sq_cuda_act act)
{
    switch (act.kind) {
    case 1: return x < 0 ? 0.0f : x;
    case 2: return x < 0 ? act.a * x : x;
    case 3: return x > act.b ? act.b : x < act.a ? act.a : x;
    case 4: return 1.0f / (1.0f + expf(-x));
    case 5: return tanhf(x);
    case 6: return act.a * x + act.b < 0 ? 0.0f : act.a * x + act.b > 1 ? 1.0f : act.a * x + act.b;
    case 7: return x * (x < -3 ? 0.0f : x > 3 ? 1.0f : x / 6 + 0.5f);
    case 8: return x / (1.0f + expf(-x));
    default: return x;
    }
}

SQ_DEVICE float sq_map_op(int op, float x, float y)
{
    switch (op) {
    case SQ_CUDA_ADD: return x + y;
    case SQ_CUDA_SUB: return x - y;
    case SQ_CUDA_MUL: return x * y;
    case SQ_CUDA_DIV: return x / y;
    case SQ_CUDA_MIN: return x < y || x != x ? x : y;
    case SQ_CUDA_MAX: return x > y || x != x ? x : y;
    case SQ_CUDA_EXP: return expf(x);
    case SQ_CUDA_SQRT: return sqrtf(x);
    case SQ_CUDA_NEG: return -x;
    case SQ_CUDA_ABS: return fabsf(x);
    case SQ_CUDA_RECIPROCAL: return 1.0f / x;
    default: return x;
    }
}

/* Eight neighbouring numbers, 16-byte aligned, as floats, and back. */
SQ_DEVICE void sq_load8_f32(const float *at, float *out)
{
#ifdef __CUDACC__
    const float4 lo = ((const float4 *)at)[0], hi = ((const float4 *)at)[1];
    out[0] = lo.x, out[1] = lo.y, out[2] = lo.z, out[3] = lo.w;
    out[4] = hi.x, out[5] = hi.y, out[6] = hi.z, out[7] = hi.w;
#else
    for (int i = 0; i < 8; i++) out[i] = at[i];
#endif
}
SQ_DEVICE void sq_store8_f32(float *at, const float *values)
{
#ifdef __CUDACC__
    ((float4 *)at)[0] = make_float4(values[0], values[1], values[2], values[3]);
    ((float4 *)at)[1] = make_float4(values[4], values[5], values[6], values[7]);
#else
    for (int i = 0; i < 8; i++) at[i] = values[i];
#endif
}
SQ_DEVICE void sq_load8_f16(const sq_half *at, float *out)
{
#ifdef __CUDACC__
    const uint4 q = *(const uint4 *)at;
    const unsigned int words[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[2 * i] = sq_from_half((sq_half)(words[i] & 0xffff));
        out[2 * i + 1] = sq_from_half((sq_half)(words[i] >> 16));
    }
#else
    for (int i = 0; i < 8; i++) out[i] = sq_from_half(at[i]);
#endif
}
SQ_DEVICE void sq_store8_f16(sq_half *at, const float *values)
{
#ifdef __CUDACC__
    unsigned int words[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        words[i] = (unsigned int)sq_to_half(values[2 * i]) | (unsigned int)sq_to_half(values[2 * i + 1]) << 16;
    *(uint4 *)at = make_uint4(words[0], words[1], words[2], words[3]);
#else
    for (int i = 0; i < 8; i++) at[i] = sq_to_half(values[i]);
#endif
}
SQ_DEVICE float sq_get_f32(const float *at) { return *at; }
SQ_DEVICE void sq_set_f32(float *at, float x) { *at = x; }
SQ_DEVICE float sq_get_f16(const sq_half *at) { return sq_from_half(*at); }
SQ_DEVICE void sq_set_f16(sq_half *at, float x) { *at = sq_to_half(x); }

#endif /* SQ_CUDA_PRELUDE_CUH */
