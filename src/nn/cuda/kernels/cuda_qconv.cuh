/* nn/cuda/kernels/cuda_qconv.cuh - bytes: convolution without tensor cores, for any images, groups and zero points; and
 * the way in from planes of floats. */

/* sum + four bytes without a sign times four with one. */
SQ_DEVICE int sq_dot4(unsigned int pixels, unsigned int weights, int sum)
{
#ifdef __CUDACC__
    asm("dp4a.u32.s32 %0, %1, %2, %0;" : "+r"(sum) : "r"(pixels), "r"(weights));
#else
    for (int i = 0; i < 4; i++) sum += (int)(pixels >> 8 * i & 255) * (signed char)(weights >> 8 * i & 255);
#endif
    return sum;
}

/* Where tap `t` of the output pixel (oy, ox) reads; 0: in the border. */
SQ_DEVICE int sq_qconv_place(const sq_cuda_qconv_args *args, int oy, int ox, int t, int *y, int *x)
{
    *y = oy * args->stride_y + t / args->taps_x * args->dilation_y - args->pad_y;
    *x = ox * args->stride_x + t % args->taps_x * args->dilation_x - args->pad_x;
    return *y >= 0 && *y < args->h && *x >= 0 && *x < args->w;
}

/* The first channel of image `s` at a place. */
SQ_DEVICE const sq_byte *sq_qconv_pixel(const sq_cuda_qconv_args *args, int s, int n, int y, int x)
{
    const int up = args->up[s];
    return (const sq_byte *)args->in[s] + ((long long)(n * (args->h >> up) + (y >> up)) * (args->w >> up) + (x >> up)) * args->pitch[s];
}

/* Eight output channels of one pixel. Zero points are in the bias, so the border holds them. */
SQ_KERNEL sq_qconv_direct(sq_cuda_qconv_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.lanes / 8;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= args.pixels * groups) {
        return;
    }
    const int o0 = (int)(at % groups) * 8;
    const unsigned int pixel = at / groups;
    const int ox = (int)(pixel % (unsigned int)args.out_w), oy = (int)(pixel / (unsigned int)args.out_w % (unsigned int)args.out_h);
    const int n = (int)(pixel / (unsigned int)args.out_w / (unsigned int)args.out_h);
    const int set = args.set_bytes ? oy % 2 * 2 + ox % 2 : 0;
    const sq_byte *row = (const sq_byte *)args.weights + (long long)set * args.set_bytes + (args.in_group ? o0 : 4 * o0);
    int sum[8], y, x;
    for (int j = 0; j < 8; j++) sum[j] = args.bias[set * args.lanes + o0 + j];
    for (int t = 0; t < args.taps_y * args.taps_x; t++) {
        const int real = sq_qconv_place(&args, oy, ox, t, &y, &x);
        for (int i = 0; i < args.in_group; i++, row += args.lanes) { /* of one of several groups */
            const sq_byte *from = sq_qconv_pixel(&args, 0, n, real ? y : 0, real ? x : 0) + i;
            for (int j = 0; j < 8; j++) {
                const int c = o0 + j < args.out_channels ? (o0 + j) / args.out_group * args.in_group : 0;
                sum[j] += (real ? from[c] : args.zero[0]) * (signed char)row[j];
            }
        }
        for (int s = 0; s < args.images && !args.in_group; s++) {
            const sq_byte *from = sq_qconv_pixel(&args, s, n, real ? y : 0, real ? x : 0);
            for (int c = 0; c < args.channels[s]; c += 4, row += 4 * args.lanes) {
                const unsigned int four = real ? *(const unsigned int *)(const void *)(from + c) : args.zero[s] * 0x01010101u;
                SQ_UNROLL for (int j = 0; j < 8; j++) sum[j] = sq_dot4(four, ((const unsigned int *)(const void *)row)[j], sum[j]);
            }
        }
    }
    float v[8];
    for (int j = 0; j < 8; j++) {
        v[j] = 0.0f;
        if (o0 + j >= args.out_channels) continue;
        const float by = args.q.multiplier[o0 + j];
        v[j] = args.q.to_float ? sq_act((float)sum[j] * by, args.act) : (float)sq_requantise(sum[j], by, &args.q);
    }
    if (args.planes) {
        const long long plane = (long long)args.out_h * args.out_w;
        float *to = (float *)args.out + ((long long)n * args.out_channels + o0) * plane + pixel % plane;
        for (int j = 0; j < 8 && o0 + j < args.out_channels; j++) to[j * plane] = v[j];
    } else if (args.q.to_float) {
        sq_store8_f32((float *)args.out + (long long)pixel * args.out_pitch + o0, v);
    } else {
        sq_store8_u8((sq_byte *)args.out + (long long)pixel * args.out_pitch + o0, v);
    }
}

/* Planes of floats to bytes, channels last: eight channels of one pixel, neighbours of which are read by neighbours. */
SQ_KERNEL sq_planes_u8(sq_cuda_planes_args args)
{
    SQ_BEGIN;
    const unsigned int at = (unsigned int)SQ_THREAD, groups = args.pitch / 8;
    if (at >= args.pixels * groups) {
        return;
    }
    const unsigned int place = at % (unsigned int)args.plane, c0 = at / (unsigned int)args.plane % groups * 8;
    const unsigned int n = at / (unsigned int)args.plane / groups;
    const float *in = (const float *)args.in + (long long)n * args.channels * args.plane + place;
    float v[8];
    SQ_UNROLL for (int j = 0; j < 8; j++) v[j] = (int)c0 + j < args.channels ? in[(long long)((int)c0 + j) * args.plane] : 0.0f;
    SQ_UNROLL for (int j = 0; j < 8; j++) { /* as SQ_CUDA_TO_BYTES, in line, so that loads do not wait for each other */
        const float x = rintf(v[j] / args.act.a) + args.act.b;
        v[j] = (int)c0 + j >= args.channels ? 0.0f : x != x ? args.act.b : x < 0 ? 0.0f : x > 255 ? 255.0f : x;
    }
    sq_store8_u8((sq_byte *)args.out + ((long long)n * args.plane + place) * args.pitch + c0, v);
}
