/* nn/op/op_shape_index.c - shapes of what takes and puts numbers by indices. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* Input 1 holds indices. */
static squall_status need_indices(const sq_step *step, squall_error *err)
{
    const squall_dtype dtype = step->in[1].dtype;
    if (dtype != SQUALL_I64 && dtype != SQUALL_I32) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "indices of type %s; they must be int32 or int64",
                            squall_dtype_name(dtype));
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_gather(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *indices = &step->in[1];
    uint32_t axis;
    SQ_TRY(need_indices(step, err));
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    const uint32_t rank = in->rank - 1 + indices->rank;
    int64_t dims[2 * SQUALL_MAX_DIMS];
    memcpy(dims, in->dims, axis * sizeof dims[0]);
    memcpy(dims + axis, indices->dims, indices->rank * sizeof dims[0]);
    memcpy(dims + axis + indices->rank, in->dims + axis + 1,
           (in->rank - axis - 1) * sizeof dims[0]);
    return sq_op_set(step, 0, in->dtype, rank, dims, err);
}

/* Indices of the rank of the data, and but along the axis (gathering: none is larger). */
static squall_status check_elements(const sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0], *indices = &step->in[1];
    uint32_t axis;
    SQ_TRY(need_indices(step, err));
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    bool fits = indices->rank == in->rank;
    for (uint32_t i = 0; fits && i < in->rank; i++) {
        fits = i == axis || indices->dims[i] <= in->dims[i];
    }
    if (!fits) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "indices %s do not fit %s",
                            sq_tensor_format(indices, a), sq_tensor_format(in, b));
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_gather_elements(sq_step *step, squall_error *err)
{
    SQ_TRY(check_elements(step, err));
    return sq_op_set(step, 0, step->in[0].dtype, step->in[1].rank, step->in[1].dims, err);
}

squall_status sq_op_shape_scatter_elements(sq_step *step, squall_error *err)
{
    SQ_TRY(check_elements(step, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
    squall_tensor like_indices = step->in[1];
    like_indices.dtype = step->in[2].dtype;
    like_indices.layout = step->in[2].layout;
    if (!sq_tensor_same_type(&like_indices, &step->in[2])) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "updates and indices differ in shape");
    }
    return sq_op_set_like(step, 0, err);
}

/* The dimensions that the last one of the indices covers: batch..batch + width - 1 of the data. */
static squall_status find_width(const sq_step *step, uint32_t batch, uint32_t *width,
                                squall_error *err)
{
    const squall_tensor *in = &step->in[0], *indices = &step->in[1];
    SQ_TRY(need_indices(step, err));
    const int64_t last = indices->rank > 0 ? indices->dims[indices->rank - 1] : -1;
    if (batch >= indices->rank || batch >= in->rank || last < 1 ||
        last > (int64_t)(in->rank - batch)) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "indices %s do not fit %s with %" PRIu32 " batch dimensions",
                            sq_tensor_format(indices, a), sq_tensor_format(in, b), batch);
    }
    for (uint32_t i = 0; i < batch; i++) {
        if (indices->dims[i] != in->dims[i]) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "batch dimension %" PRIu32 " differs", i);
        }
    }
    *width = (uint32_t)last;
    return SQUALL_OK;
}

/* Shape of what the indices of an ND operator name: theirs but for the last, then the data's rest.
 */
static uint32_t named_shape(const sq_step *step, uint32_t batch, uint32_t width, int64_t *dims)
{
    const squall_tensor *in = &step->in[0], *indices = &step->in[1];
    const uint32_t outer = indices->rank - 1, rest = in->rank - batch - width;
    memcpy(dims, indices->dims, outer * sizeof dims[0]);
    memcpy(dims + outer, in->dims + batch + width, rest * sizeof dims[0]);
    return outer + rest;
}

squall_status sq_op_shape_gather_nd(sq_step *step, squall_error *err)
{
    const int64_t batch = sq_attr_int(step->attrs, "batch_dims", 0);
    uint32_t width;
    if (batch < 0 || batch >= SQUALL_MAX_DIMS) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "batch_dims %" PRId64, batch);
    }
    SQ_TRY(find_width(step, (uint32_t)batch, &width, err));
    int64_t dims[2 * SQUALL_MAX_DIMS];
    const uint32_t rank = named_shape(step, (uint32_t)batch, width, dims);
    return sq_op_set(step, 0, step->in[0].dtype, rank, dims, err);
}

squall_status sq_op_shape_scatter_nd(sq_step *step, squall_error *err)
{
    uint32_t width;
    SQ_TRY(find_width(step, 0, &width, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
    int64_t dims[2 * SQUALL_MAX_DIMS];
    const uint32_t rank = named_shape(step, 0, width, dims);
    const squall_tensor *updates = &step->in[2];
    if (updates->rank != rank || memcmp(updates->dims, dims, rank * sizeof dims[0]) != 0) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "updates %s do not fit what the indices name",
                            sq_tensor_format(updates, text));
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_one_hot(sq_step *step, squall_error *err)
{
    const squall_tensor *indices = &step->in[0], *depth = &step->in[1], *values = &step->in[2];
    if (squall_tensor_count(depth) != 1 || values->rank != 1 || values->dims[0] != 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it needs one depth and two values");
    }
    if (!depth->data) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                            "the shape of its output hangs on the depth, which is not constant");
    }
    uint32_t axis;
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", -1), indices->rank + 1, &axis, err));
    int64_t dims[SQUALL_MAX_DIMS + 1];
    memcpy(dims, indices->dims, axis * sizeof dims[0]);
    dims[axis] = sq_tensor_get_int(depth, 0);
    memcpy(dims + axis + 1, indices->dims + axis, (indices->rank - axis) * sizeof dims[0]);
    return sq_op_set(step, 0, values->dtype, indices->rank + 1, dims, err);
}
