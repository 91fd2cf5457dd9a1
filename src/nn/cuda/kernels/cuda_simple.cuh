/* nn/cuda/kernels/cuda_simple.cuh - kernels in which no thread waits for another: direct convolution, sums, small
 * products. Included once for each type, with NAME(x), T and the functions that load and store it set. */

/* Eight output channels of one pixel. Weights are [tap][channel of the group][output channel, pitch out_pitch]. */
SQ_KERNEL NAME(sq_conv_direct)(sq_cuda_conv_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.out_pitch / 8;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= args.pixels * groups) {
        return;
    }
    const int o0 = (int)(at % groups) * 8;
    const unsigned int pixel = at / groups;
    const int ox = (int)(pixel % (unsigned int)args.out_w), oy = (int)(pixel / (unsigned int)args.out_w % (unsigned int)args.out_h);
    const int n = (int)(pixel / (unsigned int)args.out_w / (unsigned int)args.out_h);
    const T *image = (const T *)args.in + (long long)n * args.h * args.w * args.in_pitch;
    const T *weights = (const T *)args.weights + o0;
    float sum[8];
    int first[8]; /* channel at which the group of each output begins */
    for (int j = 0; j < 8; j++) {
        sum[j] = args.bias[o0 + j];
        first[j] = o0 + j < args.out_channels ? (o0 + j) / args.out_group * args.in_group : 0;
    }
    for (int ty = 0; ty < args.taps_y; ty++) {
        int y = args.transposed ? oy + args.pad_y - ty * args.dilation_y : oy * args.stride_y + ty * args.dilation_y - args.pad_y;
        if (args.transposed) {
            if (y < 0 || y % args.stride_y != 0) continue;
            y /= args.stride_y;
        }
        if (y < 0 || y >= args.h) continue;
        for (int tx = 0; tx < args.taps_x; tx++) {
            int x = args.transposed ? ox + args.pad_x - tx * args.dilation_x : ox * args.stride_x + tx * args.dilation_x - args.pad_x;
            if (args.transposed) {
                if (x < 0 || x % args.stride_x != 0) continue;
                x /= args.stride_x;
            }
            if (x < 0 || x >= args.w) continue;
            const T *from = image + ((long long)y * args.w + x) * args.in_pitch;
            const T *row = weights + (long long)(ty * args.taps_x + tx) * args.in_group * args.out_pitch;
            float w[8], v[8];
            if (args.in_group == 1 && args.out_group == 1) {
                LOAD8(row, w);
                LOAD8(from + o0, v);
                for (int j = 0; j < 8; j++) sum[j] += w[j] * v[j];
                continue;
            }
            if (args.in_group == args.channels) { /* one group: all outputs read the same */
                for (int i = 0; i < args.in_group; i++, row += args.out_pitch) {
                    const float value = LOAD(from + i);
                    LOAD8(row, w);
                    for (int j = 0; j < 8; j++) sum[j] += w[j] * value;
                }
                continue;
            }
            for (int i = 0; i < args.in_group; i++, row += args.out_pitch) {
                LOAD8(row, w);
                for (int j = 0; j < 8; j++) sum[j] += w[j] * LOAD(from + first[j] + i);
            }
        }
    }
    for (int j = 0; j < 8; j++) sum[j] = o0 + j < args.out_channels ? sq_act(sum[j], args.act) : 0.0f;
    STORE8((T *)args.out + (long long)pixel * args.out_pitch + o0, sum);
}

/* One number more of a sum, or of the largest; `first` begins it. */
SQ_DEVICE float NAME(sq_more)(float sum, float x, int largest, int first)
{
    return !largest ? sum + x : first || x > sum || x != x ? x : sum;
}

/* First stage of a reduction: T to float, one thread a slice and place, or eight places beside each other (`lanes`). */
SQ_KERNEL NAME(sq_reduce_first)(sq_cuda_reduce_args args)
{
    SQ_BEGIN;
    const unsigned int at = (unsigned int)SQ_THREAD, inner = (unsigned int)(args.inner / args.lanes);
    if (at >= args.outer * args.slices * inner) {
        return;
    }
    const int i = (int)(at % inner) * args.lanes, s = (int)(at / inner % (unsigned int)args.slices);
    const long long o = at / inner / (unsigned int)args.slices;
    const T *in = (const T *)args.in + o * args.rows * args.pitch + i;
    float *out = (float *)args.out + (long long)at * args.lanes;
    float sum[8], x[8];
    SQ_UNROLL for (int k = 0; k < 8; k++) sum[k] = 0.0f;
    if (args.lanes == 8) {
        SQ_UNROLL4 for (long long r = s; r < args.rows; r += args.slices) {
            LOAD8(in + r * args.pitch, x);
            SQ_UNROLL for (int k = 0; k < 8; k++) sum[k] = NAME(sq_more)(sum[k], x[k], args.largest, r == s);
        }
        sq_store8_f32(out, sum);
        return;
    }
    for (long long r = s; r < args.rows; r += args.slices) sum[0] = NAME(sq_more)(sum[0], LOAD(in + r * args.pitch), args.largest, r == s);
    *out = sum[0];
}

/* Last stage: float to T; slices is 1. A warp for each number. */
SQ_KERNEL NAME(sq_reduce_last)(sq_cuda_reduce_args args)
{
    SQ_BEGIN;
    const unsigned int want = (unsigned int)(SQ_THREAD / 32), all = (unsigned int)(args.outer * args.inner);
    const unsigned int at = want < all ? want : all - 1; /* all lanes of a warp stay together */
    const int lane = (int)(SQ_THREAD % 32);
    if (lane >= SQ_WARP) {
        return;
    }
    const float *in = (const float *)args.in + at / args.inner * args.rows * args.inner + at % args.inner;
    float sum = args.largest ? in[0] : 0.0f;
    for (long long r = lane; r < args.rows; r += SQ_WARP) sum = NAME(sq_more)(sum, in[r * args.inner], args.largest, 0);
    sum = sq_lanes_fold(sum, args.largest, SQ_WARP);
    if (lane == 0 && want < all) {
        STORE((T *)args.out + at, sq_act(args.largest ? sum : sum * args.scale, args.act));
    }
}

/* The whole reduction of rows whose numbers lie beside each other, by `lanes` threads each; these take eight numbers at
 * a time if `wide`. inner is 1, rows is the length of a row, pitch the way to the next. */
SQ_KERNEL NAME(sq_reduce_row)(sq_cuda_reduce_args args)
{
    SQ_BEGIN;
    const unsigned int at = (unsigned int)SQ_THREAD / (unsigned int)args.lanes;
    const int lane = (int)((unsigned int)SQ_THREAD % (unsigned int)args.lanes), lanes = SQ_WARP == 1 ? 1 : args.lanes;
    if (lane >= SQ_WARP) {
        return;
    }
    const unsigned int row = at < args.outer ? at : (unsigned int)args.outer - 1; /* all lanes of a warp stay together */
    const T *in = (const T *)args.in + (long long)row * args.pitch;
    float sum = args.largest ? LOAD(in) : 0.0f, x[8];
    if (args.wide) {
        SQ_UNROLL4 for (long long r = lane * 8; r < args.rows; r += lanes * 8) {
            LOAD8(in + r, x);
            SQ_UNROLL for (int k = 0; k < 8; k++) sum = NAME(sq_more)(sum, x[k], args.largest, 0);
        }
    } else {
        for (long long r = lane; r < args.rows; r += lanes) sum = NAME(sq_more)(sum, LOAD(in + r), args.largest, 0);
    }
    sum = sq_lanes_fold(sum, args.largest, lanes);
    if (lane == 0 && at < args.outer) {
        STORE((T *)args.out + at, sq_act(args.largest ? sum : sum * args.scale, args.act));
    }
}

/* A warp for each number of the product. */
SQ_KERNEL NAME(sq_gemm)(sq_cuda_gemm_args args)
{
    SQ_BEGIN;
    const long long at = SQ_THREAD / 32;
    const int lane = (int)(SQ_THREAD % 32);
    if (at >= (long long)args.m * args.n || lane >= SQ_WARP) {
        return;
    }
    const int m = (int)(at / args.n), n = (int)(at % args.n);
    const T *a = (const T *)args.a + (long long)m * args.a_row;
    const T *b = (const T *)args.b + (long long)n * args.b_col;
    float sum = 0.0f;
    for (int k = lane; k < args.k; k += SQ_WARP) sum += LOAD(a + (long long)k * args.a_col) * LOAD(b + (long long)k * args.b_row);
    sum = args.alpha * sq_lanes_fold(sum, 0, SQ_WARP);
    if (lane == 0) {
        if (args.c) sum += args.beta * LOAD((const T *)args.c + (long long)m * args.c_row + (long long)n * args.c_col);
        STORE((T *)args.out + at, sq_act(sum, args.act));
    }
}
