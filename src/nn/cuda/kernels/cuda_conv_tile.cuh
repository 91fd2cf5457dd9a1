/* nn/cuda/kernels/cuda_conv_tile.cuh - float32 convolution as a product of matrices: 64 pixels by 64 output channels a
 * block, 4 by 4 a thread. The reduced axis runs over [tap][channel, rounded up to 8]; weights are
 * [output channel][weight_pitch]. One group. */

/* Where tap (ty, tx) of the output pixel at (y, x) reads; false outside the image. */
SQ_DEVICE bool sq_conv_place(const sq_cuda_conv_args &args, int oy, int ox, int ty, int tx, int &y, int &x)
{
    if (!args.transposed) {
        y = oy * args.stride_y + ty * args.dilation_y - args.pad_y;
        x = ox * args.stride_x + tx * args.dilation_x - args.pad_x;
        return y >= 0 && y < args.h && x >= 0 && x < args.w;
    }
    const int py = oy + args.pad_y - ty * args.dilation_y, px = ox + args.pad_x - tx * args.dilation_x;
    y = py / args.stride_y;
    x = px / args.stride_x;
    return py >= 0 && px >= 0 && y * args.stride_y == py && x * args.stride_x == px && y < args.h && x < args.w;
}

extern "C" __global__ void __launch_bounds__(256) sq_conv_tile_f32(const sq_cuda_conv_args args)
{
    SQ_BEGIN;
    __shared__ float in[2][16][68], weights[2][16][68];
    const int tid = threadIdx.x, quad = tid % 4 * 4, row = tid / 4;
    const long long pixel = (long long)blockIdx.x * 64 + row;
    const bool real = pixel < args.pixels;
    const int ox = real ? (int)(pixel % args.out_w) : 0, oy = real ? (int)(pixel / args.out_w % args.out_h) : 0;
    const int n = real ? (int)(pixel / args.out_w / args.out_h) : 0;
    const float *image = (const float *)args.in + (long long)n * args.h * args.w * args.in_pitch;
    const float *from = (const float *)args.weights + (long long)(blockIdx.y * 64 + row) * args.weight_pitch + quad;
    const int depth = args.taps_y * args.taps_x * args.in_pitch, steps = (depth + 15) / 16;
    const int m0 = tid / 16 * 4, n0 = tid % 16 * 4;
    float sum[4][4] = {};
    float4 a, b;
    for (int s = 0; s <= steps; s++) {
        if (s < steps) {
            const int k = s * 16 + quad, tap = k / args.in_pitch, c = k - tap * args.in_pitch;
            int y, x;
            a = make_float4(0, 0, 0, 0);
            if (real && k < depth && sq_conv_place(args, oy, ox, tap / args.taps_x, tap % args.taps_x, y, x)) {
                a = *(const float4 *)(image + ((long long)y * args.w + x) * args.in_pitch + c);
            }
            b = *(const float4 *)(from + s * 16);
        }
        if (s > 0) {
            const int buffer = (s - 1) % 2;
#pragma unroll
            for (int k = 0; k < 16; k++) {
                const float4 p = *(const float4 *)&in[buffer][k][m0], w = *(const float4 *)&weights[buffer][k][n0];
                const float pv[4] = {p.x, p.y, p.z, p.w}, wv[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) sum[i][j] += pv[i] * wv[j];
            }
        }
        if (s < steps) {
            const int buffer = s % 2;
            in[buffer][quad][row] = a.x, in[buffer][quad + 1][row] = a.y;
            in[buffer][quad + 2][row] = a.z, in[buffer][quad + 3][row] = a.w;
            weights[buffer][quad][row] = b.x, weights[buffer][quad + 1][row] = b.y;
            weights[buffer][quad + 2][row] = b.z, weights[buffer][quad + 3][row] = b.w;
        }
        __syncthreads();
    }
    const int co = blockIdx.y * 64 + n0;
    for (int i = 0; i < 4 && co < args.out_pitch; i++) {
        const long long at = (long long)blockIdx.x * 64 + m0 + i;
        if (at >= args.pixels) break;
        float v[4];
        for (int j = 0; j < 4; j++) v[j] = co + j < args.out_channels ? sq_act(sum[i][j] + args.bias[co + j], args.act) : 0.0f;
        *(float4 *)((float *)args.out + at * args.out_pitch + co) = make_float4(v[0], v[1], v[2], v[3]);
    }
}
