/* nn/cuda/kernels/cuda_kernels.cuh - every kernel of the back end, each once for each type: what NVRTC is given. */
#include "nn/cuda/kernels/cuda_prelude.cuh"

#define NAME(x) x##_f32
#define T float
#define IN float
#define OUT float
#define LOAD sq_get_f32
#define STORE sq_set_f32
#define LOAD8 sq_load8_f32
#define STORE8 sq_store8_f32
#include "nn/cuda/kernels/cuda_map.cuh"
#include "nn/cuda/kernels/cuda_simple.cuh"
#include "nn/cuda/kernels/cuda_window.cuh"
#include "nn/cuda/kernels/cuda_depth.cuh"
#undef NAME
#undef OUT
#undef STORE
#undef STORE8
#define NAME(x) x##_f32_f16
#define OUT sq_half
#define STORE sq_set_f16
#define STORE8 sq_store8_f16
#include "nn/cuda/kernels/cuda_map.cuh"
#undef NAME
#undef T
#undef IN
#undef LOAD
#undef LOAD8
#define NAME(x) x##_f16
#define T sq_half
#define IN sq_half
#define LOAD sq_get_f16
#define LOAD8 sq_load8_f16
#include "nn/cuda/kernels/cuda_map.cuh"
#include "nn/cuda/kernels/cuda_simple.cuh"
#include "nn/cuda/kernels/cuda_window.cuh"
#include "nn/cuda/kernels/cuda_depth.cuh"
#undef NAME
#undef OUT
#undef STORE
#undef STORE8
#define NAME(x) x##_f16_f32
#define OUT float
#define STORE sq_set_f32
#define STORE8 sq_store8_f32
#include "nn/cuda/kernels/cuda_map.cuh"
#undef NAME
#undef T
#undef IN
#undef LOAD
#undef LOAD8
#define NAME(x) x##_u8_f32
#define IN sq_byte
#define LOAD sq_get_u8
#define LOAD8 sq_load8_u8
#include "nn/cuda/kernels/cuda_map.cuh"
#undef NAME
#undef OUT
#undef STORE
#undef STORE8
#define NAME(x) x##_u8
#define T sq_byte
#define OUT sq_byte
#define STORE sq_set_u8
#define STORE8 sq_store8_u8
#include "nn/cuda/kernels/cuda_map.cuh"
#include "nn/cuda/kernels/cuda_window.cuh"
#undef NAME
#undef T
#undef IN
#undef LOAD
#undef LOAD8
#define NAME(x) x##_f32_u8
#define IN float
#define LOAD sq_get_f32
#define LOAD8 sq_load8_f32
#include "nn/cuda/kernels/cuda_map.cuh"
#undef NAME
#undef IN
#undef OUT
#undef LOAD
#undef STORE
#undef LOAD8
#undef STORE8
#include "nn/cuda/kernels/cuda_qconv.cuh"

#ifdef __CUDACC__
#include "nn/cuda/kernels/cuda_conv_tile.cuh"
#if __CUDA_ARCH__ >= 750
#include "nn/cuda/kernels/cuda_conv_mma.cuh"
#endif
#if __CUDA_ARCH__ >= 800
#include "nn/cuda/kernels/cuda_conv_first.cuh"
#endif
#if __CUDA_ARCH_FEAT_SM90_ALL
#include "nn/cuda/kernels/cuda_hopper.cuh"
#include "nn/cuda/kernels/cuda_conv_wgmma.cuh"
#endif
#endif
