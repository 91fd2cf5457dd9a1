/* nn/op/op_shape_matrix.c - shapes of products of matrices and of what runs along one axis. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

static squall_status do_not_fit(const sq_step *step, squall_error *err)
{
    char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
    return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%s and %s cannot be multiplied",
                        sq_tensor_format(&step->in[0], a), sq_tensor_format(&step->in[1], b));
}

/* As numpy.matmul: a vector is a row on the left and a column on the right, and that dimension is
 * not in the output; what is before the last two broadcasts. */
squall_status sq_op_shape_matmul(sq_step *step, squall_error *err)
{
    const squall_tensor *a = &step->in[0], *b = &step->in[1];
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    if (a->rank == 0 || b->rank == 0) {
        return do_not_fit(step, err);
    }
    const int64_t inner_a = a->dims[a->rank - 1];
    const int64_t inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    squall_tensor batch_b = {.rank = b->rank > 2 ? b->rank - 2 : 0};
    memcpy(batch_b.dims, b->dims, batch_b.rank * sizeof b->dims[0]);
    uint32_t rank = a->rank > 2 ? a->rank - 2 : 0;
    int64_t dims[SQUALL_MAX_DIMS + 2];
    memcpy(dims, a->dims, rank * sizeof dims[0]);
    if (inner_a != inner_b || !sq_op_broadcast(&rank, dims, &batch_b)) {
        return do_not_fit(step, err);
    }
    if (a->rank > 1) {
        dims[rank++] = a->dims[a->rank - 2];
    }
    if (b->rank > 1) {
        dims[rank++] = b->dims[b->rank - 1];
    }
    return sq_op_set(step, 0, a->dtype, rank, dims, err);
}

squall_status sq_op_shape_gemm(sq_step *step, squall_error *err)
{
    const squall_tensor *a = &step->in[0], *b = &step->in[1];
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    if (a->rank != 2 || b->rank != 2) {
        return do_not_fit(step, err);
    }
    const int trans_a = sq_attr_int(step->attrs, "transA", 0) != 0;
    const int trans_b = sq_attr_int(step->attrs, "transB", 0) != 0;
    if (a->dims[!trans_a] != b->dims[trans_b]) {
        return do_not_fit(step, err);
    }
    const int64_t dims[2] = {a->dims[trans_a], b->dims[!trans_b]};
    if (sq_op_has(step, 2)) { /* broadcasts to the output */
        SQ_TRY(sq_op_need_same_type(step, 0, 2, err));
        uint32_t rank = 2;
        int64_t merged[SQUALL_MAX_DIMS] = {dims[0], dims[1]};
        if (!sq_op_broadcast(&rank, merged, &step->in[2]) || rank != 2 || merged[0] != dims[0] ||
            merged[1] != dims[1]) {
            char text[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "input 2, %s, does not broadcast to [%" PRId64 ",%" PRId64 "]",
                                sq_tensor_format(&step->in[2], text), dims[0], dims[1]);
        }
    }
    return sq_op_set(step, 0, a->dtype, 2, dims, err);
}

squall_status sq_op_shape_along_axis(sq_step *step, squall_error *err)
{
    uint32_t axis;
    SQ_TRY(sq_op_need_float(step, 0, err));
    const int64_t otherwise = step->attrs->opset < 13 ? 1 : -1;
    const int64_t given = sq_attr_int(step->attrs, "axis", otherwise);
    const bool flattens = step->attrs->opset < 13 && given == (int64_t)step->in[0].rank;
    if (!flattens) { /* before opset 13 the axis may lie behind the last: rows of one */
        SQ_TRY(sq_op_axis(step, given, step->in[0].rank, &axis, err));
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_cumsum(sq_step *step, squall_error *err)
{
    const squall_tensor *axis = &step->in[1];
    if ((axis->dtype != SQUALL_I32 && axis->dtype != SQUALL_I64) ||
        squall_tensor_count(axis) != 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the axis is not one integer");
    }
    if (axis->data) {
        uint32_t checked;
        SQ_TRY(sq_op_axis(step, sq_tensor_get_int(axis, 0), step->in[0].rank, &checked, err));
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_det(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (in->rank < 2 || in->dims[in->rank - 1] != in->dims[in->rank - 2]) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%s holds no square matrices",
                            sq_tensor_format(in, text));
    }
    return sq_op_set(step, 0, in->dtype, in->rank - 2, in->dims, err);
}
