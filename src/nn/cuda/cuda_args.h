/* nn/cuda/cuda_args.h - what the kernels are given: read by the host, by NVRTC and by the tests'
 * driver, so it includes nothing and uses no type whose size differs between them.
 *
 * Channels-last tensors (SQUALL_NHWC) have their channels rounded up to 8, and zeros in the lanes
 * past the last: `pitch` below is that rounded number. Pointers are filled in at each launch. */
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
} sq_cuda_conv_args;

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
