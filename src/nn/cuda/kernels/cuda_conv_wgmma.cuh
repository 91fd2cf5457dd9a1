/* nn/cuda/kernels/cuda_conv_wgmma.cuh - convolution on Hopper as a product of matrices that is never laid out: weights
 * [output channels][channels] times pixels [channels][8 * BH], tap by tap, for a row of channels of a source at a time:
 * 64 of halves, 128 or 64 bytes.
 *
 * A tile of pixels is loaded once with its border, channels last; 8 pixels of a row are the 8-row group of an operand
 * and the next group is the next row of the tile, so a tap is another address in the tile and nothing else. What lies
 * outside of the image the copy engine fills with zeros: that is the padding. Which boxes are loaded and which taps
 * each serves is a table in the arguments: a plain convolution has one load of nine taps for every 64 channels; strides
 * and doubled inputs go through views that see every second row and column. A second source is more of the same.
 *
 * One block stays on each processor and takes tile after tile: a warp loads pixels, a warp loads weights, two
 * warpgroups multiply (64 output channels each, or for COT = 64 eight columns of pixels each). The second warpgroup
 * begins a few steps late, so that one writes its results while the other multiplies. A warpgroup's results go through
 * shared memory, transposed, in blocks of eight rows; the last block may overlap the one before it. A thread holds both
 * columns and both rows of a window of 2 x 2, so the largest of it needs no exchange. */

struct sq_ring {
    int at;
    unsigned int parity;
};
template <int SIZE> SQ_DEVICE void sq_turn(sq_ring &ring)
{
    if (++ring.at == SIZE) ring.at = 0, ring.parity ^= 1;
}

struct sq_spot {
    int block, phase, x, y, n;
};
/* Tile number `t`: blocks of output channels lie innermost, so that neighbours share pixels. */
SQ_DEVICE sq_spot sq_spot_of(int t, const sq_cuda_wg_args &args, int width, int height)
{
    sq_spot s;
    s.block = t % args.blocks, t /= args.blocks;
    s.phase = t % args.phases, t /= args.phases;
    s.x = t % args.tiles_x * width, t /= args.tiles_x;
    s.y = t % args.tiles_y * height;
    s.n = t / args.tiles_y;
    return s;
}

SQ_DEVICE unsigned int sq_finish(float lo, float hi, int relu, float slope)
{
    return relu ? sq_pair_relu(lo, hi) : sq_pair(fmaxf(lo, slope * lo), fmaxf(hi, slope * hi));
}

/* What the threads of a warpgroup need to store its part of a tile. */
struct sq_end {
    unsigned int staging;
    int wg, w, lane, co, x, y, n, phase;
    bool boss;
};

/* Eight rows and, if there are any, the largest of their windows: from shared memory on their way. */
SQ_DEVICE void sq_end_store(const sq_cuda_wg_args &args, const sq_end &e, unsigned int stage, unsigned int pooled, int first)
{
    sq_async_fence();
    sq_group_sync(1 + e.wg);
    if (e.boss) {
        sq_store_box(&args.out[e.phase], stage, e.co, e.x, e.y + first, e.n);
        if (args.with_pooled) sq_store_box(&args.pooled, pooled, e.co, e.x / 2, (e.y + first) / 2, e.n);
        sq_store_commit();
    }
}

/* Halves. */
template <int BH> SQ_DEVICE void sq_end_of(const sq_cuda_wg_args &args, const sq_end &e, const float (&sum)[4 * BH], int &turn)
{
    const int w = e.w, quarter = e.lane / 8, row = e.lane % 8;
    const float lo = args.bias[e.co + 16 * w + e.lane / 4], hi = args.bias[e.co + 16 * w + e.lane / 4 + 8];
    const int relu = args.relu;
    const float slope = args.slope;
#pragma unroll
    for (int from = 0; from < BH; from += 8, turn ^= 1) {
        const int first = from + 8 > BH ? BH - 8 : from;
        const unsigned int stage = e.staging + (2 * e.wg + turn) * SQ_WG_STAGED;
        if (e.boss) sq_store_read();
        sq_group_sync(1 + e.wg);
        const unsigned int to = stage + quarter / 2 * 1024 + row * 128 + (((2 * w + quarter % 2) ^ row) << 4);
#pragma unroll
        for (int j = 0; j < 8; j += 2) {
            const int d = 4 * (first + j);
            sq_stmatrix4t(to + j * 1024, sq_finish(sum[d] + lo, sum[d + 1] + lo, relu, slope), sq_finish(sum[d + 2] + hi, sum[d + 3] + hi, relu, slope),
                          sq_finish(sum[d + 4] + lo, sum[d + 5] + lo, relu, slope), sq_finish(sum[d + 6] + hi, sum[d + 7] + hi, relu, slope));
        }
        const unsigned int pooled = e.staging + 4 * SQ_WG_STAGED + (2 * e.wg + turn) * SQ_WG_POOLED;
        if (args.with_pooled) {
            float v[8]; /* [pair of rows][channel] */
#pragma unroll
            for (int i = 0; i < 8; i++) {
                const int d = 4 * (first + i / 2 * 2) + 2 * (i & 1);
                v[i] = fmaxf(fmaxf(sum[d], sum[d + 1]), fmaxf(sum[d + 4], sum[d + 5])) + (i & 1 ? hi : lo);
            }
            const int r = (2 * (quarter / 2) + (row & 1)) * 4 + row / 2;
            sq_stmatrix4t(pooled + r * 128 + (((2 * w + quarter % 2) ^ (r & 7)) << 4), sq_finish(v[0], v[2], relu, slope),
                          sq_finish(v[1], v[3], relu, slope), sq_finish(v[4], v[6], relu, slope), sq_finish(v[5], v[7], relu, slope));
        }
        sq_end_store(args, e, stage, pooled, first);
    }
}

/* Bytes: a thread has channels 2 i and 2 i + 1 of sixteen, as weights are packed, so that a pixel's two are one number of
 * 16 bits and eight of those, turned, are sixteen channels. */
template <int BH> SQ_DEVICE void sq_end_of(const sq_cuda_wg_args &args, const sq_end &e, const int (&sum)[4 * BH], int &turn)
{
    const int w = e.w, quarter = e.lane / 8, row = e.lane % 8, c = e.co + 16 * w + e.lane / 4 * 2;
    const int2 bias = *(const int2 *)((const int *)args.bias + e.phase * args.bias_step + c);
    const float2 by = *(const float2 *)(args.q.multiplier + c);
    const int zero = args.q.zero, low = args.q.low - zero, high = args.q.high - zero;
    const bool held = args.q.zero != 0 || args.q.low != 0 || args.q.high != 255;
#pragma unroll
    for (int from = 0; from < BH; from += 8, turn ^= 1) {
        const int first = from + 8 > BH ? BH - 8 : from;
        const unsigned int stage = e.staging + (2 * e.wg + turn) * SQ_WG_STAGED;
        unsigned int made[8]; /* of each row: two pixels of two channels */
#pragma unroll
        for (int j = 0; j < 8; j++) {
            int v[4];
#pragma unroll
            for (int i = 0; i < 4; i++) { /* i: channel of the first or second, pixel of the first or second */
                v[i] = sq_scaled(sum[4 * (first + j) + i % 2 * 2 + i / 2] + (i % 2 ? bias.y : bias.x), i % 2 ? by.y : by.x);
                if (held) v[i] = min(max(v[i], low), high) + zero;
            }
            made[j] = sq_bytes4(v[0], v[1], v[2], v[3]);
        }
        if (e.boss) sq_store_read();
        sq_group_sync(1 + e.wg);
        const unsigned int to = stage + quarter * 512 + row * 64 + ((w ^ (row >> 1 & 3)) << 4);
        sq_stmatrix4t(to, made[0], made[1], made[2], made[3]);
        sq_stmatrix4t(to + 2048, made[4], made[5], made[6], made[7]);
        const unsigned int pooled = e.staging + 4 * SQ_WG_STAGED + (2 * e.wg + turn) * SQ_WG_POOLED;
        if (args.with_pooled) {
            unsigned int most[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const unsigned int both = __vmaxu4(made[2 * i], made[2 * i + 1]);
                most[i] = __vmaxu4(both, both >> 16) & 0xffff;
            }
            const int r = (2 * (quarter & 1) + (row & 1)) * 4 + row / 2;
            const unsigned int lo = most[0] | most[1] << 16, hi = most[2] | most[3] << 16;
            sq_stmatrix4t(pooled + r * 64 + ((w ^ (r >> 1 & 3)) << 4), lo, hi, lo, hi);
        }
        sq_end_store(args, e, stage, pooled, first);
    }
}

template <int BH, int COT, int BORDER, int ROW, typename SUM> SQ_DEVICE void sq_conv_wg(const sq_cuda_wg_args &args)
{
    constexpr int TILES = SQ_WG_TILES(BH, COT, BORDER, ROW), STAGES = SQ_WG_STAGES(BH, COT, BORDER, ROW), N = 8 * BH;
    constexpr int PITCH = SQ_WG_PITCH(COT, BORDER, ROW), BOX = SQ_WG_BOX(BH, COT, BORDER, ROW), TILE = SQ_WG_TILE(BH, COT, BORDER, ROW);
    constexpr int WEIGHTS = SQ_WG_WEIGHTS(COT, ROW), WIDTH = SQ_WG_WIDTH(COT), CHUNK = SUM(0.5f) == 0 ? ROW : ROW / 2;
    extern __shared__ __align__(1024) unsigned char sq_memory[];
    const unsigned int pixels = sq_shared(sq_memory), weights = pixels + TILES * TILE;
    const unsigned int staging = weights + STAGES * WEIGHTS, bars = staging + SQ_WG_STAGING;
    const unsigned int pixels_full = bars, pixels_free = pixels_full + 8 * TILES, weights_full = pixels_free + 8 * TILES;
    const unsigned int weights_free = weights_full + 8 * STAGES, ahead = weights_free + 8 * STAGES;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int tiles = args.blocks * args.phases * args.tiles_x * args.tiles_y * args.n;
    if (threadIdx.x == 0) {
        for (int i = 0; i < TILES; i++) sq_bar_init(pixels_full + 8 * i, 1), sq_bar_init(pixels_free + 8 * i, 8);
        for (int i = 0; i < STAGES; i++) sq_bar_init(weights_full + 8 * i, 1), sq_bar_init(weights_free + 8 * i, 8);
        sq_bar_init(ahead, 1);
        sq_bar_made();
    }
    __syncthreads();
    sq_let_next();
    if (warp == 8) { /* loads pixels; whatever is stored follows from them, so it alone waits for the kernel before */
        if (lane) return;
        sq_ring ring = {0, 1};
        sq_wait_before();
        for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
            const sq_spot spot = sq_spot_of(t, args, WIDTH, BH);
            for (int g = 0; g < args.groups; g++) {
                const sq_cuda_loads &loads = args.group[spot.phase][g];
                for (int c = 0; c < loads.chunks; c++)
                    for (int l = 0; l < loads.loads; l++, sq_turn<TILES>(ring)) {
                        const sq_cuda_load &load = loads.load[l];
                        sq_bar_wait(pixels_free + 8 * ring.at, ring.parity);
                        sq_bar_expect(pixels_full + 8 * ring.at, BOX);
                        sq_load_box(pixels + ring.at * TILE, &args.in[load.view], pixels_full + 8 * ring.at, c * CHUNK, spot.x + load.dx, spot.y + load.dy, spot.n);
                    }
            }
        }
    } else if (warp == 9) { /* loads weights, which no kernel writes */
        if (lane) return;
        sq_ring ring = {0, 1};
        for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
            const sq_spot spot = sq_spot_of(t, args, WIDTH, BH);
            const int steps = args.steps[spot.phase];
            const char *from = (const char *)args.weights + (long long)(args.first[spot.phase] + spot.block * steps) * WEIGHTS;
            for (int s = 0; s < steps; s++, from += WEIGHTS, sq_turn<STAGES>(ring)) {
                sq_bar_wait(weights_free + 8 * ring.at, ring.parity);
                sq_bar_expect(weights_full + 8 * ring.at, WEIGHTS);
                sq_load_bytes(weights + ring.at * WEIGHTS, from, WEIGHTS, weights_full + 8 * ring.at);
            }
        }
    } else {
        const int wg = warp / 4;
        const bool boss = threadIdx.x % 128 == 0;
        const unsigned int own_weights = COT == 128 ? wg * 64 * ROW : 0, own_pixels = COT == 64 ? wg * 8 * ROW : 0;
        SUM sum[N / 2];
        sq_ring p = {0, 0}, k = {0, 0};
        int turn = 0, late = args.late;
        if (late && wg) sq_bar_wait(ahead, 0);
        for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
            const sq_spot spot = sq_spot_of(t, args, WIDTH, BH);
            int more = 0, old_p = 0, old_k = 0;
            for (int g = 0; g < args.groups; g++) {
                const sq_cuda_loads &loads = args.group[spot.phase][g];
                for (int c = 0; c < loads.chunks; c++)
                    for (int l = 0; l < loads.loads; l++) {
                        const sq_cuda_load &load = loads.load[l];
                        sq_bar_wait(pixels_full + 8 * p.at, p.parity);
                        for (int tap = 0; tap < load.taps; tap++) {
                            sq_bar_wait(weights_full + 8 * k.at, k.parity);
                            const unsigned int a = weights + k.at * WEIGHTS + own_weights;
                            const unsigned int b = pixels + p.at * TILE + own_pixels + load.row[tap] * ROW;
                            sq_wgmma_fence();
#pragma unroll
                            for (int s = 0; s < ROW / 32; s++)
                                sq_wgmma<N, SUM>::go(sum, sq_operand<ROW>(a + 32 * s, 8 * ROW), sq_operand<ROW>(b + 32 * s, PITCH * ROW), more | s);
                            sq_wgmma_commit();
                            sq_wgmma_wait<1>();
                            if (lane == 0 && more) { /* the step before this one is done with its memory */
                                sq_bar_arrive(weights_free + 8 * old_k);
                                if (tap == 0) sq_bar_arrive(pixels_free + 8 * old_p);
                            }
                            if (late && --late == 0 && threadIdx.x == 0) sq_bar_arrive(ahead);
                            more = 1, old_k = k.at;
                            sq_turn<STAGES>(k);
                        }
                        old_p = p.at;
                        sq_turn<TILES>(p);
                    }
            }
            sq_wgmma_wait<0>();
            if (lane == 0) sq_bar_arrive(weights_free + 8 * old_k), sq_bar_arrive(pixels_free + 8 * old_p);
            const sq_end e = {staging, wg, warp % 4, lane, spot.block * COT + (COT == 128 ? wg * 64 : 0), spot.x + (COT == 64 ? wg * 8 : 0), spot.y, spot.n, spot.phase, boss};
            sq_end_of<BH>(args, e, sum, turn);
        }
        if (boss) sq_store_done();
    }
}

#define SQ_CONV_WG(name, bh, cot, border, row, sum)                                                  \
    extern "C" __global__ void __launch_bounds__(320, 1) name(const __grid_constant__ sq_cuda_wg_args args) \
    {                                                                                                \
        sq_conv_wg<bh, cot, border, row, sum>(args);                                                 \
    }
#define WGMMA(bh, cot, border)       SQ_CONV_WG(sq_conv_wg_##bh##_##cot##_##border, bh, cot, border, 128, float)
#define WGMMA8(bh, cot, border, row) SQ_CONV_WG(sq_conv_w8_##bh##_##cot##_##border##_##row, bh, cot, border, row, int)
#define MMA(...)
#define MMA8(...)
#include "nn/cuda/kernels/cuda_wanted.cuh"
#undef MMA
#undef MMA8
#undef WGMMA
#undef WGMMA8
