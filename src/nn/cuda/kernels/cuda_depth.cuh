/* nn/cuda/kernels/cuda_depth.cuh - depthwise convolution and the gates of recurrent cells. Included once for each type,
 * as cuda_simple.cuh is. */

/* Eight output channels of four pixels beside each other, windows three columns wide: each column is read once a row. */
SQ_KERNEL NAME(sq_depth)(sq_cuda_depth_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.out_pitch / 8, across = (unsigned int)(args.out_w + 3) / 4;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= args.strips * groups) {
        return;
    }
    const int o0 = (int)(at % groups) * 8;
    const unsigned int strip = at / groups;
    const int x0 = (int)(strip % across) * 4, oy = (int)(strip / across % (unsigned int)args.out_h);
    const int n = (int)(strip / across / (unsigned int)args.out_h);
    const T *image = (const T *)args.in + (long long)n * args.h * args.w * args.in_pitch + o0 / args.multiple;
    const T *weights = (const T *)args.weights + o0;
    float sum[4][8], w[3][8], v[8];
    for (int j = 0; j < 8; j++) {
        const float bias = args.bias[o0 + j];
        for (int i = 0; i < 4; i++) sum[i][j] = bias;
    }
    for (int ty = 0; ty < args.taps_y; ty++) {
        const int y = oy + ty - args.pad_y;
        if (y < 0 || y >= args.h) continue;
        const T *row = image + (long long)y * args.w * args.in_pitch;
        SQ_UNROLL for (int t = 0; t < 3; t++) LOAD8(weights + (long long)(ty * 3 + t) * args.out_pitch, w[t]);
        SQ_UNROLL for (int column = 0; column < 6; column++) {
            const int x = x0 + column - args.pad_x;
            if (x < 0 || x >= args.w) continue;
            if (args.multiple == 1) {
                LOAD8(row + (long long)x * args.in_pitch, v);
            } else {
                NAME(sq_twice4)(row + (long long)x * args.in_pitch, v);
            }
            SQ_UNROLL for (int t = 0; t < 3; t++) {
                if (column - t < 0 || column - t > 3) continue;
                SQ_UNROLL for (int j = 0; j < 8; j++) sum[column - t][j] += w[t][j] * v[j];
            }
        }
    }
    SQ_UNROLL for (int i = 0; i < 4; i++) {
        if (x0 + i >= args.out_w) continue;
        SQ_UNROLL for (int j = 0; j < 8; j++) sum[i][j] = o0 + j < args.out_channels ? sq_act(sum[i][j], args.act) : 0.0f;
        STORE8((T *)args.out + ((long long)(n * args.out_h + oy) * args.out_w + x0 + i) * args.out_pitch + o0, sum[i]);
    }
}

/* Eight channels of part `p` of a pixel's gates. */
SQ_DEVICE void NAME(sq_part)(const sq_cuda_gates_args *args, const T *gates, int p, int c0, float *out)
{
    const T *from = gates + args->part[p] + c0;
    if (args->channels % 8 == 0) {
        LOAD8(from, out);
        return;
    }
    for (int j = 0; j < 8; j++) out[j] = c0 + j < args->channels ? LOAD(from + j) : 0.0f;
}

SQ_DEVICE float NAME(sq_sigmoid)(float x) { return 1.0f / (1.0f + expf(-x)); }

/* One pixel's eight channels of the state. */
SQ_KERNEL NAME(sq_gates)(sq_cuda_gates_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.pitch / 8;
    const unsigned int at = (unsigned int)SQ_THREAD; /* the host has seen to it that 31 bits do */
    if (at >= args.pixels * groups) {
        return;
    }
    const int c0 = (int)(at % groups) * 8;
    const unsigned int pixel = at / groups;
    const long long to = (long long)pixel * args.pitch + c0;
    const T *gates = (const T *)args.gates + (long long)pixel * args.gates_pitch;
    float state[8], a[8], b[8], c[8];
    LOAD8((const T *)args.state + to, state);
    NAME(sq_part)(&args, gates, 0, c0, a);
    if (args.kind == SQ_CUDA_LSTM) {
        NAME(sq_part)(&args, gates, 1, c0, b);
        NAME(sq_part)(&args, gates, 3, c0, c);
        for (int j = 0; j < 8; j++) state[j] = NAME(sq_sigmoid)(b[j]) * state[j] + NAME(sq_sigmoid)(a[j]) * tanhf(c[j]);
        NAME(sq_part)(&args, gates, 2, c0, b);
        for (int j = 0; j < 8; j++) {
            a[j] = NAME(sq_sigmoid)(b[j]) * tanhf(state[j]);
            if (c0 + j >= args.channels) a[j] = state[j] = 0.0f;
        }
        if (args.cell) STORE8((T *)args.cell + to, state);
        if (args.out) STORE8((T *)args.out + to, a);
        return;
    }
    if (args.kind == SQ_CUDA_GRU_UPDATE) LOAD8((const T *)args.fresh + to, b);
    for (int j = 0; j < 8; j++) {
        const float g = args.squash ? NAME(sq_sigmoid)(a[j]) : a[j];
        const float x = args.kind == SQ_CUDA_GRU_UPDATE ? (1.0f - g) * state[j] + g * b[j] : g * state[j];
        c[j] = c0 + j < args.channels ? x : 0.0f;
    }
    STORE8((T *)args.out + to, c);
}

/* Convolution of few input channels, at most eight of each of two sources: eight output channels of four pixels beside
 * each other, so that weights are read once for all four. */
SQ_KERNEL NAME(sq_few)(sq_cuda_few_args args)
{
    SQ_BEGIN;
    const unsigned int groups = args.out_pitch / 8, across = (unsigned int)(args.out_w + 3) / 4;
    const unsigned int at = (unsigned int)SQ_THREAD;
    if (at >= args.strips * groups) {
        return;
    }
    const int o0 = (int)(at % groups) * 8;
    const unsigned int strip = at / groups;
    const int x0 = (int)(strip % across) * 4, oy = (int)(strip / across % (unsigned int)args.out_h);
    const int n = (int)(strip / across / (unsigned int)args.out_h), all = args.own[0] + args.own[1];
    float sum[4][8], v[4][8], w[8];
    for (int j = 0; j < 8; j++) {
        const float bias = args.bias[o0 + j];
        for (int i = 0; i < 4; i++) sum[i][j] = bias;
    }
    for (int tap = 0; tap < args.taps_y * args.taps_x; tap++) {
        const int y = oy * args.stride_y + tap / args.taps_x - args.pad_y, first = x0 * args.stride_x + tap % args.taps_x - args.pad_x;
        if (y < 0 || y >= args.h) continue;
        const T *weights = (const T *)args.weights + (long long)tap * all * args.out_pitch + o0;
        for (int s = 0; s < 2 && args.own[s] > 0; s++) {
            const T *row = (const T *)(s ? args.in2 : args.in) + ((long long)n * args.h + y) * args.w * args.pitch[s];
            SQ_UNROLL for (int i = 0; i < 4; i++) {
                const int x = first + i * args.stride_x;
                for (int j = 0; j < 8; j++) v[i][j] = 0.0f;
                if (x >= 0 && x < args.w) LOAD8(row + (long long)x * args.pitch[s], v[i]);
            }
            SQ_UNROLL for (int c = 0; c < 8; c++) {
                if (c >= args.own[s]) continue;
                LOAD8(weights, w);
                weights += args.out_pitch;
                SQ_UNROLL for (int i = 0; i < 4; i++) {
                    SQ_UNROLL for (int j = 0; j < 8; j++) sum[i][j] += w[j] * v[i][c];
                }
            }
        }
    }
    SQ_UNROLL for (int i = 0; i < 4; i++) {
        if (x0 + i >= args.out_w) continue;
        SQ_UNROLL for (int j = 0; j < 8; j++) sum[i][j] = o0 + j < args.out_channels ? sq_act(sum[i][j], args.act) : 0.0f;
        STORE8((T *)args.out + ((long long)(n * args.out_h + oy) * args.out_w + x0 + i) * args.out_pitch + o0, sum[i]);
    }
}

/* The same for at most eight outputs, two channels of each source and eight columns: a pixel by sixteen threads, each of
 * which takes a row of the window of one source. Weights [row][source][column][2][8]. */
SQ_KERNEL NAME(sq_spot)(sq_cuda_few_args args)
{
    SQ_BEGIN;
    const unsigned int want = (unsigned int)(SQ_THREAD / 16), at = want < args.strips ? want : (unsigned int)args.strips - 1;
    const int lane = (int)(SQ_THREAD % 16), lanes = SQ_WARP == 1 ? 1 : 16;
    if (lane >= SQ_WARP) {
        return;
    }
    const int ox = (int)(at % (unsigned int)args.out_w), oy = (int)(at / (unsigned int)args.out_w % (unsigned int)args.out_h);
    const int n = (int)(at / (unsigned int)args.out_w / (unsigned int)args.out_h), one = args.out_channels == 1;
    float sum[8], v[8][2], w[8];
    SQ_UNROLL for (int j = 0; j < 8; j++) sum[j] = 0.0f;
    for (int part = lane; part < 2 * args.taps_y; part += lanes) {
        const int s = part % 2, y = oy * args.stride_y + part / 2 - args.pad_y;
        if (y < 0 || y >= args.h || args.own[s] == 0) continue;
        const T *row = (const T *)(s ? args.in2 : args.in) + ((long long)n * args.h + y) * args.w * args.pitch[s];
        const T *weights = (const T *)args.weights + (long long)part * args.taps_x * 16;
        SQ_UNROLL for (int tx = 0; tx < 8; tx++) {
            const int x = ox * args.stride_x + tx - args.pad_x;
            v[tx][0] = v[tx][1] = 0.0f;
            if (tx < args.taps_x && x >= 0 && x < args.w) NAME(sq_load2)(row + (long long)x * args.pitch[s], v[tx]);
        }
        SQ_UNROLL for (int tx = 0; tx < 8; tx++) {
            if (tx >= args.taps_x) continue;
            SQ_UNROLL for (int c = 0; c < 2; c++) {
                const T *from = weights + (tx * 2 + c) * 8;
                if (one) {
                    sum[0] += LOAD(from) * v[tx][c];
                    continue;
                }
                LOAD8(from, w);
                SQ_UNROLL for (int j = 0; j < 8; j++) sum[j] += w[j] * v[tx][c];
            }
        }
    }
    SQ_UNROLL for (int j = 0; j < 8; j++) {
        if (j < args.out_channels) sum[j] = sq_act(sq_lanes_fold(sum[j], 0, lanes) + args.bias[j], args.act);
    }
    if (lane == 0 && want < args.strips) {
        STORE8((T *)args.out + (long long)at * 8, sum);
    }
}

/* Planes to channels last, in float16: eight channels of one pixel, neighbours of which are read by neighbours. */
SQ_KERNEL NAME(sq_planes)(sq_cuda_planes_args args)
{
    SQ_BEGIN;
    const unsigned int at = (unsigned int)SQ_THREAD, groups = args.pitch / 8;
    if (at >= args.pixels * groups) {
        return;
    }
    const unsigned int place = at % (unsigned int)args.plane, c0 = at / (unsigned int)args.plane % groups * 8;
    const unsigned int n = at / (unsigned int)args.plane / groups;
    const T *in = (const T *)args.in + (long long)n * args.channels * args.plane + place;
    float v[8];
    SQ_UNROLL for (int j = 0; j < 8; j++) {
        v[j] = 0.0f;
        if ((int)c0 + j < args.channels) v[j] = LOAD(in + (long long)((int)c0 + j) * args.plane);
    }
    sq_store8_f16((sq_half *)args.out + ((long long)n * args.plane + place) * args.pitch + c0, v);
}
