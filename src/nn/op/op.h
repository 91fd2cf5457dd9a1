/* nn/op/op.h - the operators: one table that import, shape inference, backends and documents read.
 */
#ifndef SQ_NN_OP_OP_H
#define SQ_NN_OP_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/tensor/tensor.h"

/** Every operator squall knows: one row in op_table.inc each, OP(number, Name, shape_rule). Numbers
 * go into engine files and are never changed or given a second meaning. */
typedef enum sq_op {
    SQ_OP_NONE = 0,
#define OP(number, name, rule) SQ_OP_##name = number,
#include "nn/op/op_table.inc"
#undef OP
} sq_op;

/** "Conv"; never NULL. */
const char *sq_op_name(sq_op op);

/** The operator of an ONNX name in the default domain, or SQ_OP_NONE. */
sq_op sq_op_find(const char *name);

/** If, Loop, Scan: they hold graphs, which a plan cannot; no backend runs them. */
bool sq_op_is_control(sq_op op);

typedef enum sq_attr_kind {
    SQ_ATTR_INT = 1,
    SQ_ATTR_FLOAT = 2,
    SQ_ATTR_STRING = 3,
    SQ_ATTR_INTS = 4,
    SQ_ATTR_FLOATS = 5,
    SQ_ATTR_TENSOR = 6
} sq_attr_kind;

/** One attribute of a node: its ONNX name, or one of ours, which begin with "sq_". */
typedef struct sq_attr {
    char *name; /* owned */
    sq_attr_kind kind;
    size_t count; /* of ints, floats; bytes of string */
    int64_t i;
    float f;
    char *string;         /* owned, zero-terminated */
    int64_t *ints;        /* owned, [count] */
    float *floats;        /* owned, [count] */
    squall_tensor tensor; /* owned */
} sq_attr;

typedef struct sq_attrs {
    sq_attr *items; /* owned, [count] */
    size_t count;
    int32_t opset; /* ONNX opset the node was written for: some operators changed their meaning */
} sq_attrs;

/* The activation that a pass has folded into an operator, as attribute "sq_activation"; parameters
 * as floats in "sq_activation_params". Numbers go into engine files. */
typedef enum sq_activation {
    SQ_ACT_NONE = 0,
    SQ_ACT_RELU = 1,
    SQ_ACT_LEAKY_RELU = 2, /* params: slope */
    SQ_ACT_CLIP = 3,       /* params: min, max */
    SQ_ACT_SIGMOID = 4,
    SQ_ACT_TANH = 5,
    SQ_ACT_HARD_SIGMOID = 6, /* params: alpha, beta */
    SQ_ACT_HARD_SWISH = 7,
    SQ_ACT_SILU = 8
} sq_activation;

const sq_attr *sq_attr_find(const sq_attrs *attrs, const char *name);
int64_t sq_attr_int(const sq_attrs *attrs, const char *name, int64_t otherwise);
float sq_attr_float(const sq_attrs *attrs, const char *name, float otherwise);
const char *sq_attr_string(const sq_attrs *attrs, const char *name, const char *otherwise);
/** The ints of an attribute; NULL and *count = 0 when it is absent. Borrowed. */
const int64_t *sq_attr_ints(const sq_attrs *attrs, const char *name, size_t *count);
const float *sq_attr_floats(const sq_attrs *attrs, const char *name, size_t *count);

/** Set or replace; false when there is no memory. */
bool sq_attr_set_int(sq_attrs *attrs, const char *name, int64_t value);
bool sq_attr_set_float(sq_attrs *attrs, const char *name, float value);
bool sq_attr_set_string(sq_attrs *attrs, const char *name, const char *value, size_t length);
bool sq_attr_set_ints(sq_attrs *attrs, const char *name, const int64_t *values, size_t count);
bool sq_attr_set_floats(sq_attrs *attrs, const char *name, const float *values, size_t count);
/** Takes over `tensor`'s data. */
bool sq_attr_set_tensor(sq_attrs *attrs, const char *name, squall_tensor *tensor);
void sq_attr_remove(sq_attrs *attrs, const char *name);
bool sq_attrs_copy(const sq_attrs *attrs, sq_attrs *out);
/** The same attributes in the same order, of the same opset. */
bool sq_attrs_same(const sq_attrs *a, const sq_attrs *b);
void sq_attrs_free(sq_attrs *attrs);

#define SQ_MAX_INPUTS  64 /* of one node; Concat has the most */
#define SQ_MAX_OUTPUTS 64

/** One operator to carry out, all types known. */
typedef struct sq_step {
    sq_op op;
    const char *name; /* of the node, for messages */
    const sq_attrs *attrs;
    uint32_t in_count, out_count;
    const squall_tensor *in; /* [in_count]; dtype NONE where an optional input is absent; `data` is
                                set for constants (when planning) and for all (when running) */
    squall_tensor *out;      /* [out_count]; dtype NONE where an optional output is not wanted */
} sq_step;

/**
 * Work out types and shapes of the outputs from inputs, attributes and those inputs whose `data` is
 * set (a Reshape's shape must be). All input shapes are concrete.
 *
 * Fills dtype, layout PLAIN, rank and dims of step->out[].
 * @return SQUALL_OK; SQUALL_E_SHAPE with words that name what does not fit; SQUALL_E_UNSUPPORTED
 * when a shape hangs on data that is not constant, or on a form of the operator that is not taken.
 */
SQUALL_MUST_USE squall_status sq_op_infer(sq_step *step, squall_error *err);

/* Geometry that convolution and pooling share, from the ONNX attributes (auto_pad, pads, strides,
 * dilations, kernel_shape, ceil_mode, output_padding...), for 1 to 3 spatial dimensions. */
#define SQ_MAX_SPATIAL 3
typedef struct sq_window {
    uint32_t spatial; /* number of spatial dimensions */
    int64_t kernel[SQ_MAX_SPATIAL], stride[SQ_MAX_SPATIAL], dilation[SQ_MAX_SPATIAL];
    int64_t pad_begin[SQ_MAX_SPATIAL], pad_end[SQ_MAX_SPATIAL];
    int64_t in[SQ_MAX_SPATIAL], out[SQ_MAX_SPATIAL];
    int64_t group;
} sq_window;
/** For the convolutions (DeformConv, ConvInteger and QLinearConv too), MaxPool, AveragePool, LpPool
 * and the global pools. */
SQUALL_MUST_USE squall_status sq_op_window(const sq_step *step, sq_window *out, squall_error *err);

/** A convolution over several images joined, as the Conv that it is: `in` is what that reads, its
 * first input without data. Do not copy it: it points into itself. */
typedef struct sq_conv_join {
    squall_tensor in[3];
    sq_step conv;
} sq_conv_join;
SQUALL_MUST_USE squall_status sq_op_conv_join(const sq_step *step, sq_conv_join *out,
                                              squall_error *err);

/** A depthwise convolution and the 1 x 1 behind it, as the two that they are; `middle` is what is
 * between them, without data. Do not copy it: it points into itself. */
#define SQ_CONV_DEPTH_ATTRS 16
typedef struct sq_conv_depth {
    squall_tensor first_in[3], middle, second_in[3];
    sq_attr first_items[SQ_CONV_DEPTH_ATTRS], second_items[SQ_CONV_DEPTH_ATTRS]; /* lent */
    sq_attrs first_attrs, second_attrs;
    sq_step first, second;
} sq_conv_depth;
SQUALL_MUST_USE squall_status sq_op_conv_depth(const sq_step *step, sq_conv_depth *out,
                                               squall_error *err);

/** A SqConvBlock as the Conv that it is over its sources, which need not lie beside each other. */
typedef struct sq_block {
    uint32_t sources;    /* 1 or 2: inputs 0 and 3 of the block */
    int64_t up[2];       /* of each source: 1 or 2 */
    squall_tensor in[3]; /* of the Conv: type of the whole, weights, bias */
    sq_step conv;        /* outputs are the block's */
} sq_block;
/** Fills `out`, which must not be moved: its step points into it. */
SQUALL_MUST_USE squall_status sq_op_block(const sq_step *step, sq_block *out, squall_error *err);

/** What Attention works on. */
typedef struct sq_attention {
    int64_t batch, q_heads, kv_heads;         /* heads of the query share those of key and value */
    int64_t q_length, past_length, kv_length; /* kv_length: past and present */
    int64_t size, v_size;                     /* of one key, of one value */
} sq_attention;
SQUALL_MUST_USE squall_status sq_op_attention_sizes(const sq_step *step, sq_attention *out,
                                                    squall_error *err);

/** What RNN, GRU and LSTM work on. */
typedef struct sq_recurrence {
    int64_t gates, directions, length, batch, input, hidden;
    bool reverse;     /* the one direction is backwards */
    bool batch_first; /* attribute "layout" is 1 */
} sq_recurrence;
SQUALL_MUST_USE squall_status sq_op_recurrence(const sq_step *step, sq_recurrence *out,
                                               squall_error *err);

/** The axis of a Split and the size of each part along it, of those too that are not wanted;
 * `sizes` has SQ_MAX_OUTPUTS. */
SQUALL_MUST_USE squall_status sq_op_split_sizes(const sq_step *step, uint32_t *axis, int64_t *sizes,
                                                squall_error *err);

/** What DFT works on. */
typedef struct sq_dft {
    uint32_t axis;
    int64_t length;
    bool inverse, onesided;
} sq_dft;
SQUALL_MUST_USE squall_status sq_op_dft_sizes(const sq_step *step, sq_dft *out, squall_error *err);

/** What Col2Im works on. */
typedef struct sq_col2im {
    uint32_t spatial;
    int64_t image[SQUALL_MAX_DIMS], kernel[SQUALL_MAX_DIMS], stride[SQUALL_MAX_DIMS];
    int64_t dilation[SQUALL_MAX_DIMS], pad[SQUALL_MAX_DIMS]; /* pad: at the beginning */
    int64_t count[SQUALL_MAX_DIMS];                          /* places of the window */
    int64_t kernels, places;                                 /* products of the sizes */
} sq_col2im;
SQUALL_MUST_USE squall_status sq_op_col2im_sizes(const sq_step *step, sq_col2im *out,
                                                 squall_error *err);

/** An Einsum's equation: the axes of the output, then those that are summed over, with the stride
 * of each operand along each. */
#define SQ_EINSUM_AXES 32
typedef struct sq_einsum {
    uint32_t out_rank, axes; /* axes out_rank..axes-1 are summed over */
    int64_t dims[SQ_EINSUM_AXES];
    int64_t stride[SQ_MAX_INPUTS][SQ_EINSUM_AXES]; /* elements; 0 where it has no such axis */
} sq_einsum;
SQUALL_MUST_USE squall_status sq_op_einsum(const sq_step *step, sq_einsum *out, squall_error *err);

/** Slices of a tensor along `axis` (-1: single elements), as Unique compares them. */
typedef struct sq_slices {
    const squall_tensor *tensor;
    size_t count, outer, inner;
} sq_slices;
/** @return SQUALL_E_LIMIT when there are more than pairwise comparison can take. */
SQUALL_MUST_USE squall_status sq_op_slices(const sq_step *step, sq_slices *out, squall_error *err);
/** Below, at or above 0: slice `a` sorts before, as, or behind slice `b`; a NaN is the largest. */
int sq_op_slices_compare(const sq_slices *slices, size_t a, size_t b);

/** The boxes that NonMaxSuppression takes: [count][3] numbers of batch, class and box into `out`,
 * which may be NULL to count them. */
SQUALL_MUST_USE squall_status sq_op_select_boxes(const sq_step *step, int64_t *out, int64_t *count,
                                                 squall_error *err);

/** What SqQConv works on.
 *
 * Inputs: x (uint8, N x C x H x W), weights (int8, [out_ch][in_ch][kh][kw]), one float32 and one
 * int32 an output channel: multiplier and bias; then further images of the size of x whose channels
 * follow those of x. Attributes: those of Conv; "sq_x_zero" (ints), the zero point of each image,
 * which padding holds too; "sq_upsample" (ints), for each image 1, or 2 where every cell stands for
 * 2 x 2; "sq_y_type", float32 or uint8. Where a cell of any image stands for 2 x 2, the window is
 * of 3 x 3 in steps of 1 with a border of 1, and weights are [4 * out_ch][in_ch][3][3]: output (y,
 * x) takes those of an enlarged image from the set 2 * (y % 2) + x % 2, those of another from the
 * first. A depthwise convolution reads its channels from all images. Two rows and two columns of a
 * window on an enlarged image tell all of it: rows y % 2 and y % 2 + 1 of the three, columns x % 2
 * and x % 2 + 1; what stands at other taps is not looked at. With s = bias + sum of (x - x_zero) *
 * weight, in 32 bits that wrap round, an output is float32: activation(float(s) * multiplier), by
 * "sq_activation"; uint8:   rint(v) + "sq_y_zero", held to "sq_low".."sq_high", of v = float(s) *
 * multiplier, where LeakyRelu multiplies a v below 0 once more, in float32. Conversion, product and
 * rint round to nearest even, so that every processor gives the same bits. A second output, of
 * uint8, is the MaxPool of the first over 2 x 2 in steps of 2.
 */
typedef struct sq_qconv {
    sq_window window;
    uint32_t sources; /* images */
    int64_t channels; /* of all of them */
    int64_t outputs;  /* channels */
    bool phases;      /* four sets of weights */
    uint8_t x_zero[SQ_MAX_INPUTS], up[SQ_MAX_INPUTS];
    uint8_t y_zero, low, high; /* of an output of uint8 */
    bool to_float;
} sq_qconv;
SQUALL_MUST_USE squall_status sq_op_qconv(const sq_step *step, sq_qconv *out, squall_error *err);
/** The image of number `source` of a SqQConv. */
const squall_tensor *sq_op_qconv_source(const sq_step *step, uint32_t source);

/** Multiply-accumulates of a step (convolutions, products of matrices); 0 for the others. */
uint64_t sq_op_macs(const sq_step *step);

#endif /* SQ_NN_OP_OP_H */
