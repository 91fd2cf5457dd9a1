/* nn/op/op_shape_block.c - shape of a convolution with what stands around it in a U-Net.
 *
 *   SqConvBlock(x, weights, bias, second) -> y, pooled
 *     y = Conv(Concat(up(x), up(second)), weights, bias), with Conv's attributes, over two axes
 *     pooled = MaxPool(y) over 2 x 2, stride 2
 * bias and second may be absent, pooled unwanted. "sq_upsample" has a number for each source: 1, or
 * 2 where up() repeats each row and column (the nearest neighbour), so that it need not be made. */
#include <string.h>

#include "nn/op/op_shape.h"

squall_status sq_op_block(const sq_step *step, sq_block *out, squall_error *err)
{
    size_t count;
    const int64_t *up = sq_attr_ints(step->attrs, "sq_upsample", &count);
    const bool two = sq_op_has(step, 3);
    out->sources = two ? 2 : 1;
    if (up == NULL || count != out->sources) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "sq_upsample must hold a number for each source");
    }
    squall_tensor *whole = &out->in[0];
    *whole = step->in[0];
    whole->data = NULL;
    for (uint32_t s = 0; s < out->sources; s++) {
        const squall_tensor *source = &step->in[s == 0 ? 0 : 3];
        int64_t h, w;
        if ((up[s] != 1 && up[s] != 2) || source->rank != 4 || source->dtype != step->in[0].dtype ||
            __builtin_mul_overflow(source->dims[2], up[s], &h) ||
            __builtin_mul_overflow(source->dims[3], up[s], &w) ||
            (s > 0 &&
             (h != whole->dims[2] || w != whole->dims[3] || source->dims[0] != whole->dims[0] ||
              __builtin_add_overflow(whole->dims[1], source->dims[1], &whole->dims[1])))) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "its sources do not fit beside each other");
        }
        whole->dims[2] = h;
        whole->dims[3] = w;
        out->up[s] = up[s];
    }
    out->in[1] = step->in[1];
    out->in[2] = sq_op_has(step, 2) ? step->in[2] : (squall_tensor){.dtype = SQUALL_DTYPE_NONE};
    out->conv = *step;
    out->conv.op = SQ_OP_Conv;
    out->conv.in = out->in;
    out->conv.in_count = 3;
    return SQUALL_OK;
}

squall_status sq_op_shape_conv_block(sq_step *step, squall_error *err)
{
    sq_block block;
    squall_tensor made = {.dtype = SQUALL_DTYPE_NONE};
    SQ_TRY(sq_op_block(step, &block, err));
    block.conv.out = &made;
    block.conv.out_count = 1;
    SQ_TRY(sq_op_shape_conv(&block.conv, err));
    SQ_TRY(sq_op_set(step, 0, made.dtype, made.rank, made.dims, err));
    made.dims[2] /= 2;
    made.dims[3] /= 2;
    return sq_op_set(step, 1, made.dtype, made.rank, made.dims, err);
}
