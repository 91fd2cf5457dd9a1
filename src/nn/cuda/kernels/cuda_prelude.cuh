/* nn/cuda/kernels/cuda_prelude.cuh - what every kernel file builds on, for NVRTC and, without any instruction of a GPU,
 * for the driver that the tests put in the place of libcuda: that one sets sq_fake_thread and calls the kernel once
 * for each thread. Kernels are written in the common part of C and CUDA C++. No header is included. */
#ifndef SQ_CUDA_PRELUDE_CUH
#define SQ_CUDA_PRELUDE_CUH

#include "nn/cuda/cuda_args.h"

typedef unsigned short sq_half; /* the bits of an IEEE half; all arithmetic is in float */
typedef unsigned char sq_byte;

#ifdef __CUDACC__
#define SQ_DEVICE static __device__ __forceinline__
#define SQ_KERNEL extern "C" __global__ void
#define SQ_RARE static __device__ __noinline__
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
/* From sm_90 on a kernel is started while the one before it still runs: it lets the next one start, and waits for the
 * one before it to be done before it reads or writes what that may write or read. */
SQ_DEVICE void sq_let_next()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
SQ_DEVICE void sq_wait_before()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
#define SQ_BEGIN  sq_let_next(), sq_wait_before()
#define SQ_UNROLL _Pragma("unroll")
#define SQ_UNROLL4 _Pragma("unroll 4")
/* The sum, or the largest, over so many lanes beside each other, in every one of them. */
SQ_DEVICE float sq_lanes_fold(float x, int largest, int lanes)
{
    for (int o = lanes / 2; o > 0; o >>= 1) {
        const float y = __shfl_xor_sync(0xffffffffu, x, o);
        x = !largest ? x + y : y > x || y != y ? y : x;
    }
    return x;
}
#else
#define SQ_DEVICE static inline
#define SQ_KERNEL void
#define SQ_RARE static inline
#define SQ_THREAD sq_fake_thread
#define SQ_WARP 1
#define SQ_BEGIN (void)0
#define SQ_UNROLL
#define SQ_UNROLL4
SQ_DEVICE float sq_lanes_fold(float x, int largest, int lanes)
{
    (void)largest;
    (void)lanes;
    return x;
}
#endif

/* Activations, by the numbers of sq_activation. A NaN stays one where a comparison would lose it. Those with curves
 * are kept out of line: an end of a kernel that has all of them in every place is too long to be fast. */
SQ_RARE float sq_act_curve(float x, int kind, float a, float b)
{
    switch (kind) {
    case 3: return x > b ? b : x < a ? a : x;
    case 4: return 1.0f / (1.0f + expf(-x));
    case 5: return tanhf(x);
    case 6: return a * x + b < 0 ? 0.0f : a * x + b > 1 ? 1.0f : a * x + b;
    case 7: return x * (x < -3 ? 0.0f : x > 3 ? 1.0f : x / 6 + 0.5f);
    case SQ_CUDA_TO_BYTES:
        x = rintf(x / a) + b;
        return x != x ? b : x < 0 ? 0.0f : x > 255 ? 255.0f : x;
    case SQ_CUDA_FROM_BYTES: return (x - b) * a;
    default: return x / (1.0f + expf(-x));
    }
}
SQ_DEVICE float sq_act(float x, sq_cuda_act act)
{
    if (act.kind > 2) return sq_act_curve(x, act.kind, act.a, act.b);
    const float below = act.kind == 0 ? x : act.kind == 1 ? 0.0f : act.a * x;
    return x < 0 ? below : x;
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
SQ_DEVICE void sq_load8_u8(const sq_byte *at, float *out)
{
#ifdef __CUDACC__
    const uint2 q = *(const uint2 *)at;
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] = (float)((i < 4 ? q.x : q.y) >> i % 4 * 8 & 255);
#else
    for (int i = 0; i < 8; i++) out[i] = at[i];
#endif
}
SQ_DEVICE void sq_store8_u8(sq_byte *at, const float *values)
{
#ifdef __CUDACC__
    unsigned int words[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < 8; i++) words[i / 4] |= (unsigned int)values[i] << i % 4 * 8;
    *(uint2 *)at = make_uint2(words[0], words[1]);
#else
    for (int i = 0; i < 8; i++) at[i] = (sq_byte)values[i];
#endif
}
/* Two neighbouring numbers. */
SQ_DEVICE void sq_load2_f32(const float *at, float *out) { out[0] = at[0], out[1] = at[1]; }
SQ_DEVICE void sq_load2_f16(const sq_half *at, float *out) { out[0] = sq_from_half(at[0]), out[1] = sq_from_half(at[1]); }
/* Four neighbouring numbers, each twice. */
SQ_DEVICE void sq_twice4_f32(const float *at, float *out)
{
    for (int i = 0; i < 8; i++) out[i] = at[i / 2];
}
SQ_DEVICE void sq_twice4_f16(const sq_half *at, float *out)
{
#ifdef __CUDACC__
    const uint2 q = *(const uint2 *)at;
    out[0] = out[1] = sq_from_half((sq_half)(q.x & 0xffff));
    out[2] = out[3] = sq_from_half((sq_half)(q.x >> 16));
    out[4] = out[5] = sq_from_half((sq_half)(q.y & 0xffff));
    out[6] = out[7] = sq_from_half((sq_half)(q.y >> 16));
#else
    for (int i = 0; i < 8; i++) out[i] = sq_from_half(at[i / 2]);
#endif
}
SQ_DEVICE float sq_get_f32(const float *at) { return *at; }
SQ_DEVICE void sq_set_f32(float *at, float x) { *at = x; }
SQ_DEVICE float sq_get_f16(const sq_half *at) { return sq_from_half(*at); }
SQ_DEVICE void sq_set_f16(sq_half *at, float x) { *at = sq_to_half(x); }
SQ_DEVICE float sq_get_u8(const sq_byte *at) { return (float)*at; }
SQ_DEVICE void sq_set_u8(sq_byte *at, float x) { *at = (sq_byte)x; }

/* A sum of products of bytes as a byte: one product, one rounding, bounds. */
SQ_DEVICE int sq_requantise(int sum, float multiplier, const sq_cuda_q *q)
{
    const float scaled = (float)sum * multiplier, bent = scaled < 0 ? scaled * q->slope : scaled;
    const float moved = rintf(bent) + (float)q->zero;
    return moved != moved ? q->low : moved < (float)q->low ? q->low : moved > (float)q->high ? q->high : (int)moved;
}

#endif /* SQ_CUDA_PRELUDE_CUH */
