/* nn/op/op_shape_view.c - shapes of what only names the same numbers otherwise, or reorders them.
 */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* The product of sizes from..to-1; the input was checked to have no overflow, an empty one aside.
 */
static squall_status product(const sq_step *step, uint32_t from, uint32_t to, int64_t *out,
                             squall_error *err)
{
    squall_tensor part = {.rank = to - from};
    memcpy(part.dims, step->in[0].dims + from, part.rank * sizeof part.dims[0]);
    const size_t count = squall_tensor_count(&part);
    if (count > INT64_MAX) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "its sizes overflow");
    }
    *out = (int64_t)count;
    return SQUALL_OK;
}

squall_status sq_op_shape_reshape(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t dims[SQUALL_MAX_DIMS];
    size_t rank;
    SQ_TRY(sq_op_input_ints(step, 1, "shape", SQUALL_MAX_DIMS, dims, &rank, err));
    const bool zero_is_zero = sq_attr_int(step->attrs, "allowzero", 0) != 0;
    squall_tensor known = {.dtype = in->dtype, .rank = (uint32_t)rank};
    size_t free_dim = rank; /* where the -1 is */
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] == 0 && !zero_is_zero) {
            if (i >= in->rank) {
                return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                    "size %zu is to be copied, but the input has %" PRIu32
                                    " dimensions",
                                    i, in->rank);
            }
            dims[i] = in->dims[i];
        }
        if (dims[i] < -1 || (dims[i] == -1 && free_dim < rank)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "size %zu is %" PRId64 "; one may be -1, the others not negative",
                                i, dims[i]);
        }
        free_dim = dims[i] == -1 ? i : free_dim;
        known.dims[i] = dims[i] == -1 ? 1 : dims[i];
    }
    const size_t in_count = squall_tensor_count(in), count = squall_tensor_count(&known);
    if (free_dim < rank) {
        if (count == 0 || count == SIZE_MAX || in_count % count != 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu numbers do not divide by the sizes given",
                                in_count);
        }
        dims[free_dim] = (int64_t)(in_count / count);
    } else if (count != in_count) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu numbers into a shape of %zu", in_count, count);
    }
    return sq_op_set(step, 0, in->dtype, (uint32_t)rank, dims, err);
}

squall_status sq_op_shape_flatten(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t axis = sq_attr_int(step->attrs, "axis", 1);
    axis += axis < 0 ? (int64_t)in->rank : 0;
    if (axis < 0 || axis > (int64_t)in->rank) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "axis %" PRId64 " of %" PRIu32 " dimensions", axis,
                            in->rank);
    }
    int64_t dims[2];
    SQ_TRY(product(step, 0, (uint32_t)axis, &dims[0], err));
    SQ_TRY(product(step, (uint32_t)axis, in->rank, &dims[1], err));
    return sq_op_set(step, 0, in->dtype, 2, dims, err);
}

squall_status sq_op_shape_squeeze(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t axes[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count;
    bool given;
    uint32_t set, rank = 0;
    SQ_TRY(sq_op_ints(step, 1, "axes", SQUALL_MAX_DIMS, axes, &count, &given, err));
    SQ_TRY(sq_op_axis_set(step, axes, count, in->rank, &set, err));
    for (uint32_t i = 0; i < in->rank; i++) {
        const bool named = (set & 1u << i) != 0;
        if (named && in->dims[i] != 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "axis %" PRIu32 " has size %" PRId64 ", not 1", i,
                                in->dims[i]);
        }
        if (given ? !named : in->dims[i] != 1) {
            dims[rank++] = in->dims[i];
        }
    }
    return sq_op_set(step, 0, in->dtype, rank, dims, err);
}

squall_status sq_op_shape_unsqueeze(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t axes[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count;
    bool given;
    SQ_TRY(sq_op_ints(step, 1, "axes", SQUALL_MAX_DIMS, axes, &count, &given, err));
    if (!given) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "no axes are given");
    }
    const uint32_t rank = in->rank + (uint32_t)count;
    if (rank > SQUALL_MAX_DIMS) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT,
                            "the output would have %" PRIu32 " dimensions, at most %d", rank,
                            SQUALL_MAX_DIMS);
    }
    uint32_t set, from = 0;
    SQ_TRY(sq_op_axis_set(step, axes, count, rank, &set, err));
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = set & 1u << i ? 1 : in->dims[from++];
    }
    return sq_op_set(step, 0, in->dtype, rank, dims, err);
}

squall_status sq_op_shape_transpose(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t dims[SQUALL_MAX_DIMS];
    size_t count;
    const int64_t *order = sq_attr_ints(step->attrs, "perm", &count);
    if (order && count != in->rank) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "attribute 'perm' has %zu numbers for %" PRIu32 " dimensions", count,
                            in->rank);
    }
    uint32_t set = 0;
    for (uint32_t i = 0; i < in->rank; i++) {
        const int64_t from = order ? order[i] : (int64_t)in->rank - 1 - i;
        if (from < 0 || from >= (int64_t)in->rank || set & 1u << from) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute 'perm' is no order of the dimensions");
        }
        set |= 1u << from;
        dims[i] = in->dims[from];
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

/* The side of the blocks, and an input of [N,C,H,W]. */
static squall_status find_block(const sq_step *step, int64_t *block, squall_error *err)
{
    *block = sq_attr_int(step->attrs, "blocksize", 0);
    if (step->in[0].rank != 4 || *block < 1 || *block > INT32_MAX) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "blocksize %" PRId64 " on %" PRIu32 " dimensions; it needs 4", *block,
                            step->in[0].rank);
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_depth_to_space(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t block, height, width;
    SQ_TRY(find_block(step, &block, err));
    if (in->dims[1] % (block * block) != 0 || __builtin_mul_overflow(in->dims[2], block, &height) ||
        __builtin_mul_overflow(in->dims[3], block, &width)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "%" PRId64 " channels do not divide into blocks of %" PRId64
                            ", or sizes overflow",
                            in->dims[1], block);
    }
    const int64_t dims[4] = {in->dims[0], in->dims[1] / (block * block), height, width};
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

squall_status sq_op_shape_space_to_depth(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t block, channels;
    SQ_TRY(find_block(step, &block, err));
    if (in->dims[2] % block != 0 || in->dims[3] % block != 0 ||
        __builtin_mul_overflow(in->dims[1], block * block, &channels)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "%" PRId64 " x %" PRId64 " do not divide into blocks of %" PRId64,
                            in->dims[2], in->dims[3], block);
    }
    const int64_t dims[4] = {in->dims[0], channels, in->dims[2] / block, in->dims[3] / block};
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

/* squall's own change of layout. */
squall_status sq_op_shape_reorder(sq_step *step, squall_error *err)
{
    const int64_t layout = sq_attr_int(step->attrs, "sq_layout", -1);
    if (layout < SQUALL_PLAIN || layout > SQUALL_NHWC) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "layout %" PRId64 " is not known", layout);
    }
    SQ_TRY(sq_op_set_like(step, 0, err));
    squall_tensor out = step->out[0];
    out.layout = (squall_layout)layout;
    if (squall_tensor_bytes(&out) > SQ_LIMIT_TENSOR_BYTES) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%s: too few dimensions for blocks, or too large",
                            sq_tensor_format(&out, text));
    }
    step->out[0].layout = out.layout;
    return SQUALL_OK;
}
