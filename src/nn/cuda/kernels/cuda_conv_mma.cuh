/* nn/cuda/kernels/cuda_conv_mma.cuh - convolution of float16 or of bytes by tensor cores, from sm_75 on: an implicit
 * product of matrices, M pixels by N output channels a block, sums in 32 bits. The reduced axis runs over [tap][channel,
 * rounded up to 16 bytes] in tiles of 64 bytes; a ring of tiles in shared memory is filled by cp.async (sm_80 on). The
 * 16-byte pieces of a row are swizzled by the row so that ldmatrix meets no bank twice. One group. */

SQ_DEVICE unsigned int sq_shared(const void *p)
{
    return (unsigned int)__cvta_generic_to_shared(p);
}

/* 16 bytes to shared memory, or zeros. */
SQ_DEVICE void sq_copy16(unsigned int to, const void *from, bool real)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(real ? 16 : 0) : "memory");
#else
    uint4 v = make_uint4(0, 0, 0, 0);
    if (real) v = *(const uint4 *)from;
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
#endif
}
SQ_DEVICE void sq_copy_commit()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> SQ_DEVICE void sq_copy_wait()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}
SQ_DEVICE void sq_ldmatrix4(unsigned int (&r)[4], unsigned int at)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}
SQ_DEVICE void sq_mma(float (&d)[4], const unsigned int (&a)[4], unsigned int b0, unsigned int b1)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

/* The same for bytes without a sign times bytes with one: 32 of them lie as 16 halves do. */
SQ_DEVICE void sq_mma(int (&d)[4], const unsigned int (&a)[4], unsigned int b0, unsigned int b1)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
#pragma unroll
    for (int i = 0; i < 4; i++)
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                     : "+r"(d[i % 2 * 2]), "+r"(d[i % 2 * 2 + 1]) : "r"(a[i]), "r"(i < 2 ? b0 : b1));
#endif
}

/* Byte offset of a 16-byte piece in a tile. */
SQ_DEVICE unsigned int sq_tile_at(int row, int piece)
{
    return row * 64 + ((piece ^ (row >> 1 & 3)) << 4);
}

/* A place of the output: row by row, of those of one parity where there are four sets, or, where the largest of 2 x 2 is
 * wanted too, window by window, so that four places beside each other are one. */
struct sq_place {
    int n, y, x;
    bool real;
};
SQ_DEVICE sq_place sq_place_of(const sq_cuda_conv_args &args, long long pixel, int set)
{
    sq_place at;
    at.real = pixel < args.pixels;
    if (!at.real) pixel = 0;
    if (args.sets == 4) {
        const int across = (args.out_w + 1) / 2, down = (args.out_h + 1) / 2;
        at.x = (int)(pixel % across) * 2 + set % 2, at.y = (int)(pixel / across % down) * 2 + set / 2;
        at.n = (int)(pixel / across / down);
        at.real = at.real && at.x < args.out_w && at.y < args.out_h;
        return at;
    }
    if (!args.pooled) {
        at.x = (int)(pixel % args.out_w), at.y = (int)(pixel / args.out_w % args.out_h);
        at.n = (int)(pixel / args.out_w / args.out_h);
        return at;
    }
    const int part = (int)(pixel % 4), across = (args.out_w + 1) / 2, down = (args.out_h + 1) / 2;
    const long long window = pixel / 4;
    at.x = (int)(window % across) * 2 + part % 2, at.y = (int)(window / across % down) * 2 + part / 2;
    at.n = (int)(window / across / down);
    at.real = at.real && at.x < args.out_w && at.y < args.out_h;
    return at;
}

/* Two output channels of a pixel, and of the largest of a window where `pooled` is 1. */
SQ_DEVICE void sq_mma_store(const sq_cuda_conv_args &args, long long at, int co, float first, float second, int pooled)
{
    sq_half *out = (sq_half *)(pooled ? args.pooled : args.out);
    *(unsigned int *)(out + at * args.out_pitch + co) = (unsigned int)sq_to_half(first) | (unsigned int)sq_to_half(second) << 16;
}
SQ_DEVICE void sq_mma_store(const sq_cuda_conv_args &args, long long at, int co, int first, int second, int pooled)
{
    sq_byte *out = (sq_byte *)(pooled ? args.pooled : args.out);
    *(sq_half *)(out + at * args.out_pitch + co) = (sq_half)(first | second << 8);
}

/* What becomes of the sum of output channel `co`, whose bias is number `row`. */
SQ_DEVICE float sq_mma_finish(const sq_cuda_conv_args &args, float sum, int row, int co)
{
    return sq_act(sum + args.bias[row], args.act);
}
SQ_DEVICE int sq_mma_finish(const sq_cuda_conv_args &args, int sum, int row, int co)
{
    return sq_requantise(sum + ((const int *)args.bias)[row], args.q.multiplier[co], &args.q);
}
template <typename SUM> SQ_DEVICE float sq_mma_float(const sq_cuda_conv_args &args, SUM sum, int row, int co)
{
    return sq_act((float)((int)sum + ((const int *)args.bias)[row]) * args.q.multiplier[co], args.act);
}

/* M pixels, N channels, in a grid of WM by WN warps, through STAGES tiles. SUM: float for halves, int for bytes. */
template <int M, int N, int WM, int WN, int STAGES, typename SUM> SQ_DEVICE void sq_conv_mma(const sq_cuda_conv_args &args)
{
    constexpr int SIZE = SUM(0.5f) == 0 ? 1 : 2, PIECE = 16 / SIZE; /* bytes of a number, numbers of a piece */
    enum { THREADS = 32 * WM * WN, ROWS = THREADS / 4, MT = M / WM / 16, NT = N / WN / 8, A_ROWS = M / ROWS, BYTES = (M + N) * 64 };
    static_assert(M % ROWS == 0 && NT % 2 == 0, "rows of a tile divide among the threads");
    __shared__ __align__(128) unsigned char tiles[STAGES * BYTES];
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32, wm = warp / WN, wn = warp % WN;
    const int piece = tid % 4, row = tid / 4;
    const int each = args.in_pitch + args.in2_pitch; /* channels of a tap */
    const int depth = args.taps_y * args.taps_x * each, steps = (depth * SIZE + 63) / 64;
    const unsigned int base = sq_shared(tiles);
    const int set = args.sets == 4 ? blockIdx.y / args.blocks : 0, block = args.sets == 4 ? blockIdx.y % args.blocks : blockIdx.y;
    const int o0 = set * args.set_rows + block * N; /* first row of weights and biases */
    int oy[A_ROWS], ox[A_ROWS];
    const char *image[A_ROWS], *image2[A_ROWS];
#pragma unroll
    for (int i = 0; i < A_ROWS; i++) {
        const sq_place at = sq_place_of(args, (long long)blockIdx.x * M + row + i * ROWS, set);
        ox[i] = at.x, oy[i] = at.y;
        image[i] = at.real ? (const char *)args.in + (long long)at.n * (args.h >> args.up) * (args.w >> args.up) * args.in_pitch * SIZE : (const char *)0;
        image2[i] = (const char *)args.in2 + ((long long)at.n * (args.h >> args.up2) * (args.w >> args.up2) * args.in2_pitch - args.in_pitch) * SIZE;
    }
    const char *weights = (const char *)args.weights + ((long long)(o0 + row) * args.weight_pitch + piece * PIECE) * SIZE;
    int tap = 0, c = piece * PIECE; /* of this thread's piece at the step to load */
    while (c >= each) c -= each, tap++;
    sq_let_next();
    sq_wait_before();
    auto load = [&](int s) {
        const unsigned int to = base + s % STAGES * BYTES;
        const bool inside = (s * 4 + piece) * PIECE < depth;
        const int ty = tap / args.taps_x, tx = tap - ty * args.taps_x;
#pragma unroll
        for (int i = 0; i < A_ROWS; i++) {
            int y, x;
            const bool real = inside && image[i] && sq_conv_place(args, oy[i], ox[i], ty, tx, y, x);
            const bool second = c >= args.in_pitch;
            const int up = second ? args.up2 : args.up, pitch = second ? args.in2_pitch : args.in_pitch;
            const char *from = (second ? image2[i] : image[i]) + (((long long)(y >> up) * (args.w >> up) + (x >> up)) * pitch + c) * SIZE;
            sq_copy16(to + sq_tile_at(row + i * ROWS, piece), real ? from : (const char *)args.in, real);
        }
#pragma unroll
        for (int i = 0; i < (N + ROWS - 1) / ROWS; i++) {
            if (N % ROWS == 0 || row + i * ROWS < N) {
                sq_copy16(to + M * 64 + sq_tile_at(row + i * ROWS, piece), weights + (long long)i * ROWS * args.weight_pitch * SIZE + s * 64, true);
            }
        }
        for (c += 4 * PIECE; c >= each; c -= each) tap++;
    };
    SUM sum[MT][NT][4] = {};
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) load(s);
        sq_copy_commit();
    }
    for (int s = 0; s < steps; s++) {
        sq_copy_wait<STAGES - 2>();
        __syncthreads();
        if (s + STAGES - 1 < steps) load(s + STAGES - 1);
        sq_copy_commit();
        const unsigned int at = base + s % STAGES * BYTES;
#pragma unroll
        for (int k = 0; k < 2; k++) {
            unsigned int a[MT][4], b[NT / 2][4];
#pragma unroll
            for (int i = 0; i < MT; i++) sq_ldmatrix4(a[i], at + sq_tile_at(wm * (M / WM) + i * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
            for (int j = 0; j < NT / 2; j++)
                sq_ldmatrix4(b[j], at + M * 64 + sq_tile_at(wn * (N / WN) + j * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
#pragma unroll
            for (int i = 0; i < MT; i++)
#pragma unroll
                for (int j = 0; j < NT; j++) sq_mma(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
    }
#pragma unroll
    for (int j = 0; j < NT; j++) {
        const int own = wn * (N / WN) + j * 8 + lane % 4 * 2, co = block * N + own, bias = o0 + own;
        if (co >= args.out_pitch) continue;
        const bool real0 = co < args.out_channels, real1 = co + 1 < args.out_channels;
#pragma unroll
        for (int i = 0; i < MT; i++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const long long pixel = (long long)blockIdx.x * M + wm * (M / WM) + i * 16 + h * 8 + lane / 4;
                sq_place at = {0, 0, 0, pixel < args.pixels};
                long long to = pixel;
                if (args.pooled || args.sets == 4) {
                    at = sq_place_of(args, pixel, set);
                    to = ((long long)at.n * args.out_h + at.y) * args.out_w + at.x;
                }
                if (SIZE == 1 && args.q.to_float) {
                    const float lo = real0 ? sq_mma_float(args, sum[i][j][2 * h], bias, co) : 0.0f, hi = real1 ? sq_mma_float(args, sum[i][j][2 * h + 1], bias + 1, co + 1) : 0.0f;
                    if (at.real) *(float2 *)((float *)args.out + to * args.out_pitch + co) = make_float2(lo, hi);
                    continue;
                }
                SUM first = real0 ? sq_mma_finish(args, sum[i][j][2 * h], bias, co) : 0, second = real1 ? sq_mma_finish(args, sum[i][j][2 * h + 1], bias + 1, co + 1) : 0;
                if (at.real) sq_mma_store(args, to, co, first, second, 0);
                if (!args.pooled) continue;
#pragma unroll
                for (int o = 4; o <= 8; o *= 2) { /* the four places of a window are in neighbouring groups of four lanes */
                    const SUM x = __shfl_xor_sync(0xffffffffu, first, o), y = __shfl_xor_sync(0xffffffffu, second, o);
                    first = first > x || first != first ? first : x;
                    second = second > y || second != second ? second : y;
                }
                if (lane / 4 % 4 == 0 && at.real && at.y / 2 < args.out_h / 2 && at.x / 2 < args.out_w / 2) {
                    sq_mma_store(args, ((long long)at.n * (args.out_h / 2) + at.y / 2) * (args.out_w / 2) + at.x / 2, co, first, second, 1);
                }
            }
    }
}

#define SQ_MMA(name, M, N, WM, WN, STAGES, SUM)                                                          \
    extern "C" __global__ void __launch_bounds__(32 * WM * WN) name(const sq_cuda_conv_args args)      \
    {                                                                                                  \
        sq_conv_mma<M, N, WM, WN, STAGES, SUM>(args);                                                  \
    }
#define MMA(M, N, WM, WN, STAGES)  SQ_MMA(sq_conv_mma_##M##x##N, M, N, WM, WN, STAGES, float)
#define MMA8(M, N, WM, WN, STAGES) SQ_MMA(sq_qconv_mma_##M##x##N, M, N, WM, WN, STAGES, int)
#define WGMMA(...)
#define WGMMA8(...)
#include "nn/cuda/kernels/cuda_wanted.cuh"
#undef MMA
#undef MMA8
#undef WGMMA
#undef WGMMA8
