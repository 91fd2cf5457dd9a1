/* nn/cuda/cuda_conv.h - a convolution as its kernels see it; for the files cuda_conv*.c and
 * cuda_wgmma.c. */
#ifndef SQ_NN_CUDA_CUDA_CONV_H
#define SQ_NN_CUDA_CUDA_CONV_H

#include "nn/cuda/cuda_internal.h"

#define SQ_CUDA_PROCESSORS 132 /* of the GPU that costs are guessed for */

/** Conv, ConvTranspose, SqConvBlock or SqQConv, channels last. */
typedef struct sq_cuda_conv {
    sq_window window;
    bool transposed, pooled;
    int sources;
    int64_t up[2], own[2], in_pitch[2]; /* of each source: 1 or 2, channels, rounded up to 8 */
    int64_t in_h, in_w;                 /* of the whole, doubled */
    int64_t batch, channels, out_channels, out_h, out_w, out_pitch, pixels;
    int64_t rows, depth, row; /* of weights for mma: rows of `row` numbers, `depth` in use */
    sq_cuda_act act;
    uint32_t second; /* input of the step that is the second source */
    bool bytes;      /* SqQConv, of which `q` says the rest */
    sq_qconv q;
} sq_cuda_conv;

/** A tactic of one launch that replaces weights and bias by `packed_bytes`. */
void sq_cuda_conv_tactic(const sq_step *step, const char *name, size_t packed_bytes, double cost,
                         sq_tactic *out);
/** Number `at` of packed weights, in the type of the tensors. */
void sq_cuda_put(squall_dtype type, void *packed, size_t at, double value);
/** The bias as float32, into zeros. */
void sq_cuda_conv_bias(const sq_step *step, const sq_cuda_conv *conv, float *out);

/** Whether a tap of 3 x 3 counts on an enlarged image, for outputs of a parity of row and column.
 */
bool sq_cuda_qconv_looks(int set, int64_t ty, int64_t tx);
/** The weight of output `o`, channel `c` of all (of its group), tap `t` of the kernel, in the set
 * of a parity of row and column: that of source `s`. */
int8_t sq_cuda_qconv_weight(const sq_step *step, const sq_cuda_conv *conv, int set, uint32_t s,
                            int64_t o, int64_t c, int64_t t);
/** Biases with the zero points in them, [sets][rows], then multipliers, [rows]. */
void sq_cuda_qconv_ends(const sq_step *step, const sq_cuda_conv *conv, int sets, int64_t rows,
                        void *out);
/** What the kernels are told of the bounds of bytes; the multiplier's address is patched in. */
sq_cuda_q sq_cuda_qconv_q(const sq_cuda_conv *conv);

/** The ways to run it by wgmma, at most `room`; 0 when there is none. */
size_t sq_cuda_wgmma_list(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out,
                          size_t room);
bool sq_cuda_wgmma_is(const sq_tactic *tactic);
/** As sq_cuda_wanted(). */
void sq_cuda_wgmma_wanted(const char *tactic, sq_text *out);
void sq_cuda_wgmma_pack(const sq_step *step, const sq_cuda_conv *conv, const sq_tactic *tactic,
                        void *packed);
void sq_cuda_wgmma_bind(const sq_cuda_conv *conv, const sq_tactic *tactic, sq_cuda_state *state);

/** The sizes of a convolution, its window, activation and enlarging as its kernels take them; the
 * rest is zero. */
sq_cuda_conv_args sq_cuda_conv_shape(const sq_cuda_conv *conv);

/** Depthwise, or twice as many outputs; the same way. */
bool sq_cuda_depth_tactic(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out);
bool sq_cuda_depth_is(const sq_tactic *tactic);
void sq_cuda_depth_pack(const sq_step *step, const sq_cuda_conv *conv, void *packed);
void sq_cuda_depth_bind(const sq_step *step, const sq_cuda_conv *conv, sq_cuda_state *state);

/** Few input channels; the same way. */
bool sq_cuda_few_tactic(const sq_step *step, const sq_cuda_conv *conv, sq_tactic *out);
bool sq_cuda_few_is(const sq_tactic *tactic);
void sq_cuda_few_pack(const sq_step *step, const sq_cuda_conv *conv, void *packed);
void sq_cuda_few_bind(const sq_step *step, const sq_cuda_conv *conv, sq_cuda_state *state);

#endif /* SQ_NN_CUDA_CUDA_CONV_H */
