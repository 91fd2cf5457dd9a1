/* nn/cuda/kernels/cuda_window.cuh - pooling and resizing, eight channels of a pixel a thread. Included once for each
 * type, as cuda_simple.cuh is. */

SQ_KERNEL NAME(sq_pool)(sq_cuda_pool_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.pitch / 8;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= (long long)args.n * args.out_h * args.out_w * groups) {
        return;
    }
    const int c = (int)(at % groups) * 8;
    const unsigned int pixel = at / groups;
    const int ox = (int)(pixel % (unsigned int)args.out_w), oy = (int)(pixel / (unsigned int)args.out_w % (unsigned int)args.out_h);
    const int n = (int)(pixel / (unsigned int)args.out_w / (unsigned int)args.out_h);
    const T *image = (const T *)args.in + (long long)n * args.h * args.w * args.pitch + c;
    float sum[8], v[8];
    int real = 0, padded = 0;
    for (int j = 0; j < 8; j++) sum[j] = 0.0f;
    for (int ty = 0; ty < args.taps_y; ty++) {
        for (int tx = 0; tx < args.taps_x; tx++) {
            const int y = oy * args.stride_y + ty * args.dilation_y - args.pad_y;
            const int x = ox * args.stride_x + tx * args.dilation_x - args.pad_x;
            padded += y < args.padded_h && x < args.padded_w;
            if (y < 0 || y >= args.h || x < 0 || x >= args.w) continue;
            LOAD8(image + ((long long)y * args.w + x) * args.pitch, v);
            for (int j = 0; j < 8; j++)
                sum[j] = args.mean ? sum[j] + v[j] : real == 0 || v[j] > sum[j] || v[j] != v[j] ? v[j] : sum[j];
            real++;
        }
    }
    const int by = args.with_pads ? padded : real;
    for (int j = 0; j < 8; j++) sum[j] = sq_act(args.mean && by > 0 ? sum[j] / (float)by : sum[j], args.act);
    STORE8((T *)args.out + (long long)pixel * args.pitch + c, sum);
}

/* A place of a table, whatever it says, within the axis. */
SQ_DEVICE int NAME(sq_hold)(int place, int size)
{
    return place < 0 ? 0 : place >= size ? size - 1 : place;
}

SQ_KERNEL NAME(sq_resize)(sq_cuda_resize_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.pitch / 8;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= (long long)args.n * args.out_h * args.out_w * groups) {
        return;
    }
    const int c = (int)(at % groups) * 8;
    const unsigned int pixel = at / groups;
    const int ox = (int)(pixel % (unsigned int)args.out_w), oy = (int)(pixel / (unsigned int)args.out_w % (unsigned int)args.out_h);
    const int n = (int)(pixel / (unsigned int)args.out_w / (unsigned int)args.out_h);
    const sq_cuda_lerp ly = args.table[oy], lx = args.table[args.out_h + ox];
    const int x0 = NAME(sq_hold)(lx.first, args.w), x1 = NAME(sq_hold)(lx.second, args.w);
    const T *image = (const T *)args.in + (long long)n * args.h * args.w * args.pitch + c;
    const T *row0 = image + (long long)NAME(sq_hold)(ly.first, args.h) * args.w * args.pitch;
    const T *row1 = image + (long long)NAME(sq_hold)(ly.second, args.h) * args.w * args.pitch;
    float sum[8], v[8];
    LOAD8(row0 + (long long)x0 * args.pitch, sum);
    if (!args.nearest) {
        for (int j = 0; j < 8; j++) sum[j] *= (1.0f - ly.weight) * (1.0f - lx.weight);
        LOAD8(row0 + (long long)x1 * args.pitch, v);
        for (int j = 0; j < 8; j++) sum[j] += (1.0f - ly.weight) * lx.weight * v[j];
        LOAD8(row1 + (long long)x0 * args.pitch, v);
        for (int j = 0; j < 8; j++) sum[j] += ly.weight * (1.0f - lx.weight) * v[j];
        LOAD8(row1 + (long long)x1 * args.pitch, v);
        for (int j = 0; j < 8; j++) sum[j] += ly.weight * lx.weight * v[j];
    }
    for (int j = 0; j < 8; j++) sum[j] = sq_act(sum[j], args.act);
    STORE8((T *)args.out + (long long)pixel * args.pitch + c, sum);
}
