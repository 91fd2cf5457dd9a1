/* nn/cuda/cuda_args.h - what the kernels are given: read by the host, by NVRTC and by the tests'
 * driver, so it includes nothing and uses no type whose size differs between them.
 *
 * Channels-last tensors (SQUALL_NHWC) have their channels rounded up to 8, those of bytes to 16,
 * and zeros (of bytes: whatever is no matter) in the lanes past the last: `pitch` below is that
 * rounded number. Pointers are filled in at each launch. */
#ifndef SQ_NN_CUDA_CUDA_ARGS_H
#define SQ_NN_CUDA_CUDA_ARGS_H

#define SQ_CUDA_DIMS   6   /* of a map, after neighbouring axes have been joined */
#define SQ_CUDA_LANES  8   /* channels that a thread takes at once */
#define SQ_CUDA_BLOCK  256 /* threads of a block */
#define SQ_CUDA_MMA_K  32  /* numbers of the reduced axis that a tensor-core tile takes at once */
#define SQ_CUDA_TILE_N 64  /* output channels of a tile: weights have a multiple of them */

/* What a map does to one or two numbers, before the activation (numbers of sq_activation). */
enum {
    SQ_CUDA_COPY = 0,
    SQ_CUDA_ADD,
    SQ_CUDA_SUB,
    SQ_CUDA_MUL,
    SQ_CUDA_DIV,
    SQ_CUDA_MIN,
    SQ_CUDA_MAX,
    SQ_CUDA_EXP,
    SQ_CUDA_SQRT,
    SQ_CUDA_NEG,
    SQ_CUDA_ABS,
    SQ_CUDA_RECIPROCAL
};

typedef struct sq_cuda_act {
    int kind; /* sq_activation */
    float a, b;
} sq_cuda_act;

/* Kinds of sq_cuda_act that are no activations: numbers to bytes and back; a: scale, b: zero. */
enum { SQ_CUDA_TO_BYTES = 100, SQ_CUDA_FROM_BYTES };

/* What becomes of a sum of products of bytes: sq_op_qconv() has the formula. */
typedef struct sq_cuda_q {
    const float *multiplier; /* [a multiple of SQ_CUDA_TILE_N] */
    int zero, low, high, to_float;
    float slope; /* of products below 0 that become bytes; 1: none */
} sq_cuda_q;

/* out[i] = act(a[i] op b[i]) over up to six axes, innermost first. */
typedef struct sq_cuda_map_args {
    const void *a, *b; /* b may be NULL */
    void *out;
    long long count; /* of `lanes` elements each */
    long long stride_a[SQ_CUDA_DIMS], stride_b[SQ_CUDA_DIMS], stride_out[SQ_CUDA_DIMS];
    int size[SQ_CUDA_DIMS];
    int rank, lanes; /* lanes: 8 when every innermost stride is 1 (or 0 for a, b) and it divides */
    int channels;    /* of the innermost axis; from here on zeros are written and nothing is read */
    int op;
    sq_cuda_act act;
} sq_cuda_map_args;

/* Convolution and its transpose, channels last. */
typedef struct sq_cuda_conv_args {
    const void *in, *weights;
    const float *bias; /* [a multiple of SQ_CUDA_TILE_N] */
    void *out;
    int n, h, w, in_pitch, channels;
    int out_h, out_w, out_pitch, out_channels;
    int taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int transposed;          /* 1: the gradient of a convolution with these strides and pads */
    int in_group, out_group; /* channels of one group */
    int weight_pitch;        /* numbers from one output channel's weights to the next's */
    long long pixels;        /* n * out_h * out_w */
    sq_cuda_act act;
    /* Of tensor-core tiles alone: channels behind those of `in`, and what is given beside `out`. */
    const void *in2;        /* NULL: none */
    void *pooled;           /* largest of 2 x 2; then pixels come window by window; NULL: none */
    int in2_pitch, up, up2; /* 1: rows and columns of `in` (of `in2`) count twice */
    sq_cuda_q q;            /* of bytes, whose bias is int32 */
    int sets, blocks;       /* of bytes: 4: pixels and weights come parity by parity of row and */
    int set_rows;           /* column, each in so many blocks and rows of outputs; 1: as usual */
} sq_cuda_conv_args;

#define SQ_CUDA_IMAGES 8

/* Convolution of bytes, by products of four at a time. Weights [tap][four channels of an image]
 * [output channel, rounded up to 8][4], of groups [tap][channel of the group][output channel];
 * where an image counts twice, a set of them and of biases for each parity of row and column. */
typedef struct sq_cuda_qconv_args {
    const void *in[SQ_CUDA_IMAGES], *weights;
    const int *bias; /* with the zero points in it */
    void *out;
    int n, h, w, out_h, out_w, out_pitch, out_channels, lanes; /* lanes: out_channels up to 8 */
    int pitch[SQ_CUDA_IMAGES], channels[SQ_CUDA_IMAGES], up[SQ_CUDA_IMAGES], zero[SQ_CUDA_IMAGES];
    int images, in_group, out_group; /* in_group: 0, or channels of one of several groups */
    int taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int planes;    /* 1: floats plane by plane */
    int set_bytes; /* from one set of weights to the next; 0: there is one */
    long long pixels;
    sq_cuda_q q;
    sq_cuda_act act;
} sq_cuda_qconv_args;

/* Depthwise convolution, or with a multiple of each channel: eight output channels of four pixels
 * beside each other a thread. Weights [tap][output channel, rounded up to 8]. */
typedef struct sq_cuda_depth_args {
    const void *in, *weights;
    const float *bias;
    void *out;
    int n, h, w, in_pitch, out_h, out_w, out_pitch, out_channels, multiple; /* 1 or 2 */
    int taps_y, pad_y, pad_x;
    long long strips; /* n * out_h * ceil(out_w / 4) */
    sq_cuda_act act;
} sq_cuda_depth_args;

/* Convolution of few channels. Weights [tap][channel of both sources][output channel, rounded up to
 * 8]. */
typedef struct sq_cuda_few_args {
    const void *in, *in2, *weights;
    const float *bias;
    void *out;
    int n, h, w, out_h, out_w, out_pitch, out_channels;
    int own[2], pitch[2]; /* of each source: channels, rounded up to 8; 0 for none */
    int taps_y, taps_x, stride_y, stride_x, pad_y, pad_x;
    long long strips; /* n * out_h * ceil(out_w / 4) */
    sq_cuda_act act;
} sq_cuda_few_args;

/* [n][channels][plane] to [n][plane][channels, rounded up]. */
typedef struct sq_cuda_planes_args {
    const void *in;
    void *out;
    int channels, pitch, plane;
    long long pixels; /* n * plane */
    sq_cuda_act act;  /* to bytes */
} sq_cuda_planes_args;

/* Gates of recurrent cells: op_shape_gates.c has the formulas. */
enum { SQ_CUDA_LSTM = 0, SQ_CUDA_GRU_RESET, SQ_CUDA_GRU_UPDATE };
typedef struct sq_cuda_gates_args {
    const void *gates, *state, *fresh; /* fresh: NULL but for an update */
    void *out, *cell;                  /* cell: of an LSTM; either may be NULL */
    long long pixels;
    int gates_pitch, pitch, channels, kind, squash;
    int part[4]; /* first channel of each part */
} sq_cuda_gates_args;

/* Convolution by wgmma (sm_90a). A tile is `bh` rows of 8 pixels and 128 output channels, or of 16
 * pixels and 64; `border` more rows and columns of input are loaded with it, channels in rows of
 * `row` bytes, 128 or 64. All sizes in bytes. */
#define SQ_WG_WIDTH(cot) ((cot) == 64 ? 16 : 8)
/* 64-byte rows in pairs, so that what is swizzled begins at 128 bytes in every row of pixels. */
#define SQ_WG_PITCH(cot, border, row) \
    (SQ_WG_WIDTH(cot) + ((row) == 64 ? ((border) + 1) / 2 * 2 : (border)))
#define SQ_WG_BOX(bh, cot, border, row)  (SQ_WG_PITCH(cot, border, row) * ((bh) + (border)) * (row))
#define SQ_WG_TILE(bh, cot, border, row) ((SQ_WG_BOX(bh, cot, border, row) + 1023) / 1024 * 1024)
#define SQ_WG_WEIGHTS(cot, row)          ((cot) * (row))
#define SQ_WG_STAGED                     8192 /* eight rows of eight pixels of 64 channels */
#define SQ_WG_POOLED                     2048
#define SQ_WG_STAGING                    (4 * SQ_WG_STAGED + 4 * SQ_WG_POOLED)
#define SQ_WG_ROOM                       (232448 - 1024 - SQ_WG_STAGING)
#define SQ_WG_LESS(a, b)                 ((a) < (b) ? (a) : (b))
#define SQ_WG_TILES(bh, cot, border, row) \
    SQ_WG_LESS((SQ_WG_ROOM - 4 * SQ_WG_WEIGHTS(cot, row)) / SQ_WG_TILE(bh, cot, border, row), 4)
#define SQ_WG_STAGES(bh, cot, border, row)                                              \
    SQ_WG_LESS((SQ_WG_ROOM -                                                            \
                SQ_WG_TILES(bh, cot, border, row) * SQ_WG_TILE(bh, cot, border, row)) / \
                   SQ_WG_WEIGHTS(cot, row),                                             \
               8)
#define SQ_WG_SHARED(bh, cot, border, row)                                          \
    (SQ_WG_TILES(bh, cot, border, row) * SQ_WG_TILE(bh, cot, border, row) +         \
     SQ_WG_STAGES(bh, cot, border, row) * SQ_WG_WEIGHTS(cot, row) + SQ_WG_STAGING + \
     8 * (2 * (SQ_WG_TILES(bh, cot, border, row) + SQ_WG_STAGES(bh, cot, border, row)) + 1))

/* How the copy engine sees a tensor: filled in by the driver when a launch is made. */
typedef struct sq_cuda_view {
    unsigned long long words[16];
} __attribute__((aligned(64))) sq_cuda_view;

enum { SQ_WG_IN = 5, SQ_WG_OUT = 4, SQ_WG_LOADS = 4, SQ_WG_TAPS = 9, SQ_WG_GROUPS = 2 };

/* A tile of input, which serves so many taps: where it lies, and the row of the tile at which each
 * tap's first pixel is. */
typedef struct sq_cuda_load {
    signed char view, dx, dy, taps;
    unsigned char row[SQ_WG_TAPS];
} sq_cuda_load;

/* Loads that repeat for every row of channels of a source. */
typedef struct sq_cuda_loads {
    short chunks, loads;
    sq_cuda_load load[SQ_WG_LOADS];
} sq_cuda_loads;

/* Outputs come in 1 or 4 phases: every pixel, or those of one row and column parity. Weights are
 * images of shared memory, a row of channels of `cot` outputs each: [phase][block of
 * outputs][step]. Of bytes, outputs come as 0, 2 .. 14, 1, 3 .. 15 in each sixteen, so that a
 * thread has two beside each other. */
typedef struct sq_cuda_wg_args {
    sq_cuda_view in[SQ_WG_IN], out[SQ_WG_OUT], pooled;
    const void *weights;
    const float *bias;
    int phases, groups, blocks, tiles_x, tiles_y, n;
    int steps[4], first[4]; /* of each phase: steps of a tile; step at which its weights begin */
    int bias_step;          /* from the biases of a phase to the next one's */
    int late;               /* steps that the first warpgroup is ahead, so that ends alternate */
    int with_pooled, relu;
    float slope; /* of negative numbers: 0 is ReLU, 1 none */
    sq_cuda_q q; /* of bytes, whose bias is int32 */
    sq_cuda_loads group[4][SQ_WG_GROUPS];
} sq_cuda_wg_args;

/* Windows: largest number or mean. */
typedef struct sq_cuda_pool_args {
    const void *in;
    void *out;
    int n, h, w, pitch, out_h, out_w;
    int taps_y, taps_x, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int mean;               /* 0: the largest */
    int with_pads;          /* of a mean: pads count */
    int padded_h, padded_w; /* ends of what counts as a pad */
    sq_cuda_act act;
} sq_cuda_pool_args;

/* One place of an output axis: a sum of two places of the input axis. */
typedef struct sq_cuda_lerp {
    int first, second;
    float weight; /* of the second; the first has 1 - weight */
} sq_cuda_lerp;

typedef struct sq_cuda_resize_args {
    const void *in;
    const sq_cuda_lerp *table; /* [out_h], then [out_w] */
    void *out;
    int n, h, w, pitch, out_h, out_w, nearest;
    sq_cuda_act act;
} sq_cuda_resize_args;

/* in [outer][rows][inner] to out [outer][slices][inner]: slice s is made of rows s, s + slices...
 */
typedef struct sq_cuda_reduce_args {
    const void *in;
    void *out;
    long long outer, rows;
    int slices, inner, pitch; /* pitch: from one row to the next of `in` */
    int largest;              /* 0: sum */
    int lanes, wide;          /* see the kernels */
    float scale;              /* of a sum, at the last stage */
    sq_cuda_act act;
} sq_cuda_reduce_args;

/* out[m][n] = act(alpha * sum over k of a[m][k] * b[k][n] + beta * c), any strides. */
typedef struct sq_cuda_gemm_args {
    const void *a, *b, *c; /* c may be NULL */
    void *out;
    int m, n, k;
    int a_row, a_col, b_row, b_col, c_row, c_col;
    float alpha, beta;
    sq_cuda_act act;
} sq_cuda_gemm_args;

#endif /* SQ_NN_CUDA_CUDA_ARGS_H */
