/* nn/cpu/cpu_kernels.h - the kernels of one instruction set, and what they are given.
 *
 * Blocked tensors are [N][ceil(C/L)][H][W][L] with L = `lanes`. Each instruction set fills one
 * sq_cpu_kernels from cpu_template.h; the drivers (cpu_conv.c, cpu_point.c ...) know no
 * instruction.
 */
#ifndef SQ_NN_CPU_CPU_KERNELS_H
#define SQ_NN_CPU_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "nn/cpu/cpu.h"

/* An activation with its parameters, as every epilogue takes it. */
typedef struct sq_cpu_act {
    sq_activation kind;
    float a, b;
} sq_cpu_act;

/* A row of up to `max_pixels` output pixels times one or two blocks of output channels, reduced
 * over taps_y x taps_x taps and `channels` input channels. Strides are in floats. */
typedef struct sq_conv_tile {
    const float *in;      /* first tap of the first pixel, first channel block */
    ptrdiff_t in_plane;   /* to the next channel block */
    ptrdiff_t in_row;     /* to the next tap row */
    ptrdiff_t in_tap;     /* to the next tap of a row */
    const float *weights; /* [channel][tap_y][tap_x] in blocks of L: see cpu_conv.c */
    const float *bias;    /* [blocks * L] */
    int32_t channels;     /* real input channels; the last block may be partly filled */
    int32_t taps_y, taps_x;
    float *out;
    ptrdiff_t out_plane; /* to the second block of output channels */
    ptrdiff_t out_pixel; /* to the next pixel */
    bool accumulate;     /* sums go on from what `out` holds; `bias` is not read */
    sq_cpu_act act;
} sq_conv_tile;

/* Winograd's F(4x4, 3x3) or F(6x6, 3x3): a run of neighbouring tiles of one block of channels, into
 * the 36 or 64 points of the transformed domain. */
typedef struct sq_winograd_input {
    const float *in;             /* the first tile's cells: in + row[y] + column[x] */
    ptrdiff_t row[8], column[8]; /* floats; 6 or 8 of them */
    ptrdiff_t in_tile;           /* to the next tile */
    float *out;                  /* point 0 of the first tile; tiles follow each other */
    ptrdiff_t out_point;         /* to the next point */
    int32_t tiles;
} sq_winograd_input;

/* One point's product: sums[block][tile][L] of a run of tiles times one or two blocks of outputs.
 */
typedef struct sq_winograd_product {
    const float *in;      /* [block of channels][tile][L] */
    ptrdiff_t in_plane;   /* to the next block of channels */
    const float *weights; /* [channel][blocks * L] */
    int32_t channels;     /* real ones; the last block may be partly filled */
    bool accumulate;      /* sums go on from what `out` holds */
    float *out;
    ptrdiff_t out_plane; /* to the second block of outputs */
} sq_winograd_product;

/* And back: 4x4 or 6x6 outputs of each tile, bias and activation applied. */
typedef struct sq_winograd_output {
    const float *in; /* point 0 of the first tile */
    ptrdiff_t in_point;
    const float *bias; /* [L] */
    float *out;        /* of the first tile */
    ptrdiff_t out_tile, out_row, out_pixel;
    int32_t tiles, height, width; /* rows and columns that are written, at least 1 */
    sq_cpu_act act;
} sq_winograd_output;

/* Pixels of one row of a convolution with 1, 2 or 4 outputs. */
typedef struct sq_few_run {
    const float *in;      /* first tap of the first pixel, first block of channels */
    const float *weights; /* [block][tap_y][tap_x][output][L] */
    const float *bias;    /* [L]: of each output, over and over */
    float *out;           /* [pixels][L]; lanes past the outputs become 0 */
    ptrdiff_t in_plane, in_row, weight_plane, weight_row; /* floats, to the next block and row */
    int32_t blocks, taps_y, taps_x, outputs, pixels;
    sq_cpu_act act;
} sq_few_run;

typedef void sq_conv_tile_fn(const sq_conv_tile *tile);

#define SQ_CONV_MAX_PIXELS 16

typedef struct sq_cpu_kernels {
    const char *name;
    sq_isa isa;
    int32_t lanes;
    squall_layout layout; /* C16 or C8, as `lanes` */
    int32_t max_pixels;   /* of a conv tile */
    double rate;          /* floating-point operations a second of a thread, roughly: for costs */
    /** [blocks - 1][step - 1][pixels]: step is the distance of neighbouring pixels' inputs, 1 or 2.
     */
    sq_conv_tile_fn *conv_tile[2][2][SQ_CONV_MAX_PIXELS + 1];

    /** [blocks - 1]: tiles that one product takes; [blocks - 1][tiles]. */
    int32_t max_tiles[2];
    void (*const *winograd_product[2])(const sq_winograd_product *product);
    /** Of F(4x4, 3x3) and of F(6x6, 3x3). */
    void (*winograd_input[2])(const sq_winograd_input *run);
    void (*winograd_output[2])(const sq_winograd_output *run);
    /** 3x3 weights [channels][9][blocks * L] to F(4x4, 3x3)'s 36 points [point][channels][blocks *
     * L]; `point` is the distance between points. `ahead` floats further on the next weights are
     * fetched into the cache; 0: none are. */
    void (*winograd_weights)(const float *weights, int32_t channels, int32_t blocks,
                             ptrdiff_t ahead, float *to, ptrdiff_t point);

    void (*few_run)(const sq_few_run *run);

    /** Depthwise: out[pixels][L] = act(bias + sum over taps of in * weights[tap][L]). */
    void (*depthwise_row)(const float *in, ptrdiff_t in_row, ptrdiff_t in_tap, ptrdiff_t in_pixel,
                          const float *weights, const float *bias, int32_t taps_y, int32_t taps_x,
                          float *out, int32_t pixels, const sq_cpu_act *act);

    /** out[pixels][l] = in[pixels][lane[l]] for each of the L lanes. */
    void (*spread_row)(const float *in, const int32_t *lane, float *out, int32_t pixels);

    /** out[count] = act(in[count]). */
    void (*unary)(const float *in, float *out, size_t count, const sq_cpu_act *act);
    /** out = a op b, then act; `op` is SQ_OP_Add, Sub, Mul or Div. */
    void (*binary)(const float *a, const float *b, float *out, size_t count, sq_op op,
                   const sq_cpu_act *act);
    /** The same with one block of L numbers for all pixels, or one number a pixel for all lanes. */
    void (*binary_block)(const float *a, const float *block, float *out, size_t pixels, sq_op op,
                         const sq_cpu_act *act);
    void (*binary_pixel)(const float *a, const float *pixel, float *out, size_t pixels, sq_op op,
                         const sq_cpu_act *act);

    /** One block of channels from plain planes and back: `channels` of the L lanes are real,
     * `plane` is the distance of planes. Lanes without a channel become 0. */
    void (*block_row)(const float *in, ptrdiff_t plane, int32_t channels, float *out,
                      int32_t pixels);
    void (*plain_row)(const float *in, float *out, ptrdiff_t plane, int32_t channels,
                      int32_t pixels);
    /** Gates of an LSTM cell, `gates` being i, f, o, g: kept = s(f) * cell + s(i) * tanh(g), hidden
     * = s(o) * tanh(kept). `hidden` or `kept` may be NULL: not wanted. `kept` may be `cell`. */
    void (*lstm_run)(const float *const gates[4], const float *cell, float *hidden, float *kept,
                     size_t count);
    /** Of a GRU cell: g * state, or with `fresh` (1 - g) * state + g * fresh; g = s(gate) with
     * `squash`. */
    void (*gru_run)(const float *gate, bool squash, const float *state, const float *fresh,
                    float *out, size_t count);

    /** One row of max-pooling: windows of taps_y x taps_x within the input, all of it inside. */
    void (*max_row)(const float *in, ptrdiff_t in_row, ptrdiff_t in_pixel, int32_t taps_y,
                    int32_t taps_x, float *out, int32_t pixels);
    /** out[pixels][L] = sum over 4 corners of in * weight: bilinear resize of a row. */
    void (*lerp_row)(const float *row0, const float *row1, const int32_t *left,
                     const int32_t *right, const float *weight_x, float weight_y, float *out,
                     int32_t pixels);
    /** max and sum over the channels of each pixel; `plane` is the distance of blocks of channels.
     */
    void (*reduce_channels)(const float *in, ptrdiff_t plane, int32_t channels, int32_t pixels,
                            float *max, float *sum);
    /** max and sum over `pixels` blocks, lane by lane. */
    void (*reduce_pixels)(const float *in, size_t pixels, float *max, double *sum);
} sq_cpu_kernels;

extern const sq_cpu_kernels sq_cpu_kernels_c;
#if defined(__x86_64__)
extern const sq_cpu_kernels sq_cpu_kernels_avx2, sq_cpu_kernels_avx512;
#elif defined(__aarch64__)
extern const sq_cpu_kernels sq_cpu_kernels_neon;
#endif

/** The kernels for this host, SQUALL_CPU respected. */
const sq_cpu_kernels *sq_cpu_pick(void);

#define SQ_CPU_TACTICS 4

/* One operator's driver: the functions that cpu_backend.c strings together. */
typedef struct sq_cpu_driver {
    sq_op op;
    /** As in sq_backend; at most SQ_CPU_TACTICS. */
    size_t (*tactics)(const sq_step *step, int threads, sq_tactic *out, sq_reason *why);
    squall_status (*pack)(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err); /* NULL: nothing to pack */
    squall_status (*bind)(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err); /* NULL: no state */
    squall_status (*run)(const sq_call *call);
} sq_cpu_driver;

extern const sq_cpu_driver sq_cpu_drivers_few[], sq_cpu_drivers_conv[], sq_cpu_drivers_winograd[],
    sq_cpu_drivers_point[], sq_cpu_drivers_pool[], sq_cpu_drivers_shape[], sq_cpu_drivers_gates[],
    sq_cpu_drivers_depth[]; /* each ends with op NONE */

/** The tactics of every driver of the operator, one after the other, at most SQ_MAX_TACTICS; `from`
 * says whose each is. */
size_t sq_cpu_list(const sq_step *step, int threads, sq_tactic *out, const sq_cpu_driver **from,
                   sq_reason *why);

/** An empty tactic: all layouts PLAIN, nothing packed. */
void sq_cpu_tactic(sq_tactic *tactic, const char *what);
/** The activation that is folded into a step. */
sq_cpu_act sq_cpu_step_act(const sq_step *step);
/** Say why not; returns 0, so that a driver writes `return sq_cpu_refuse(...)`. */
size_t sq_cpu_refuse(sq_reason *why, const char *text);
/** Blocks of channels of a blocked tensor, and pixels of a plane (dims 2 and up). */
int64_t sq_cpu_blocks(const squall_tensor *tensor);
int64_t sq_cpu_pixels(const squall_tensor *tensor);

#endif /* SQ_NN_CPU_CPU_KERNELS_H */
