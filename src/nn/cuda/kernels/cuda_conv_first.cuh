/* nn/cuda/kernels/cuda_conv_first.cuh - 3 x 3 convolution of at most eight input channels by tensor cores, from sm_80 on.
 *
 * A warp takes 16 pixels of a row at a time and goes through the image; its weights, [output][tap][8 channels] filled
 * up to 80 numbers, stay in registers. The operand of pixels needs no rearranging: the sixteen numbers that a step
 * takes are two taps of eight channels, so each thread reads two neighbouring channels of a pixel from where they lie.
 * Results go through shared memory, so that a pixel's channels are stored together. */
template <int NT> SQ_DEVICE void sq_conv_first(const sq_cuda_conv_args &args)
{
    __shared__ __align__(16) unsigned char staging[4][16 * NT * 16];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = lane / 4, pair = lane % 4 * 2, co0 = blockIdx.y * NT * 8;
    unsigned int b[5][NT][2];
    const sq_half *weights = (const sq_half *)args.weights + (long long)co0 * args.weight_pitch;
#pragma unroll
    for (int s = 0; s < 5; s++)
#pragma unroll
        for (int j = 0; j < NT; j++) {
            const sq_half *from = weights + (long long)(j * 8 + row) * args.weight_pitch + s * 16 + pair;
            b[s][j][0] = *(const unsigned int *)from;
            b[s][j][1] = *(const unsigned int *)(from + 8);
        }
    sq_let_next();
    sq_wait_before();
    const unsigned int across = (unsigned int)(args.out_w + 15) / 16, all = across * (unsigned int)(args.out_h * args.n);
    for (unsigned int t = blockIdx.x * 4 + warp; t < all; t += gridDim.x * 4) {
        const int x0 = (int)(t % across) * 16, oy = (int)(t / across % (unsigned int)args.out_h), n = (int)(t / across / (unsigned int)args.out_h);
        const sq_half *image = (const sq_half *)args.in + (long long)n * args.h * args.w * 8 + pair;
        unsigned int a[5][4];
#pragma unroll
        for (int s = 0; s < 5; s++)
#pragma unroll
            for (int i = 0; i < 4; i++) { /* i: pixel of the upper or lower half, tap of the first or second */
                const int tap = 2 * s + i / 2, y = oy * args.stride_y + tap / 3 - args.pad_y;
                const int x = (x0 + row + i % 2 * 8) * args.stride_x + tap % 3 - args.pad_x;
                a[s][i] = 0;
                if (tap < 9 && y >= 0 && y < args.h && x >= 0 && x < args.w) a[s][i] = *(const unsigned int *)(image + ((long long)y * args.w + x) * 8);
            }
        float sum[NT][4] = {};
#pragma unroll
        for (int s = 0; s < 5; s++)
#pragma unroll
            for (int j = 0; j < NT; j++) sq_mma(sum[j], a[s], b[s][j][0], b[s][j][1]);
#pragma unroll
        for (int j = 0; j < NT; j++) {
            const int co = co0 + j * 8 + pair;
            const bool real0 = co < args.out_channels, real1 = co + 1 < args.out_channels;
            const float bias0 = args.bias[co], bias1 = args.bias[co + 1];
#pragma unroll
            for (int h = 0; h < 2; h++) {
                const sq_half lo = real0 ? sq_to_half(sq_act(sum[j][2 * h] + bias0, args.act)) : 0;
                const sq_half hi = real1 ? sq_to_half(sq_act(sum[j][2 * h + 1] + bias1, args.act)) : 0;
                *(unsigned int *)(staging[warp] + (row + h * 8) * NT * 16 + ((j ^ (row & (NT - 1))) << 4) + pair * 2) = (unsigned int)lo | (unsigned int)hi << 16;
            }
        }
        __syncwarp();
        sq_half *out = (sq_half *)args.out + ((long long)(n * args.out_h + oy) * args.out_w + x0) * args.out_pitch + co0;
#pragma unroll
        for (int i = lane; i < 16 * NT; i += 32) {
            const int p = i / NT, piece = i % NT;
            const uint4 q = *(const uint4 *)(staging[warp] + p * NT * 16 + ((piece ^ (p & 7 & (NT - 1))) << 4));
            if (x0 + p < args.out_w && co0 + piece * 8 < args.out_pitch) *(uint4 *)(out + (long long)p * args.out_pitch + piece * 8) = q;
        }
        __syncwarp();
    }
}

#define SQ_CONV_FIRST(N)                                                                                         \
    extern "C" __global__ void __launch_bounds__(128) sq_conv_first_##N(const sq_cuda_conv_args args)            \
    {                                                                                                            \
        sq_conv_first<N / 8>(args);                                                                              \
    }
SQ_CONV_FIRST(16)
SQ_CONV_FIRST(32)
SQ_CONV_FIRST(64)
