/* nn/op/op_shape_norm.c - shapes of the normalisations. */
#include <inttypes.h>

#include "nn/op/op_shape.h"

/* Inputs from..to-1 are vectors of `length` floating numbers. */
static squall_status need_vectors(const sq_step *step, uint32_t from, uint32_t to, int64_t length,
                                  squall_error *err)
{
    for (uint32_t i = from; i < to; i++) {
        const squall_tensor *vector = &step->in[i];
        SQ_TRY(sq_op_need_float(step, i, err));
        if (vector->rank != 1 || vector->dims[0] != length) {
            char text[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "input %" PRIu32 " is %s; it must have %" PRId64 " numbers", i,
                                sq_tensor_format(vector, text), length);
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_batch_norm(sq_step *step, squall_error *err)
{
    if (step->out_count > 1 || sq_attr_int(step->attrs, "training_mode", 0) != 0) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                            "training mode or its outputs; export for inference");
    }
    if (sq_attr_int(step->attrs, "spatial", 1) != 1) { /* opset 7 and 8 */
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "spatial = 0, statistics for each pixel");
    }
    SQ_TRY(sq_op_need_float(step, 0, err));
    /* a vector is a batch of one channel */
    const int64_t channels = step->in[0].rank >= 2 ? step->in[0].dims[1] : 1;
    SQ_TRY(need_vectors(step, 1, 5, channels, err));
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_channel_norm(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (step->in[0].rank < 3) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "an input of %" PRIu32 " dimensions; at least 3",
                            step->in[0].rank);
    }
    int64_t length = step->in[0].dims[1];
    if (step->op == SQ_OP_GroupNormalization) {
        const int64_t groups = sq_attr_int(step->attrs, "num_groups", 0);
        if (groups < 1 || length % groups != 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRId64 " channels in %" PRId64 " groups",
                                length, groups);
        }
        if (step->attrs->opset < 21) { /* before, scale and bias were for each group */
            length = groups;
        }
    }
    SQ_TRY(need_vectors(step, 1, 3, length, err));
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_layer_norm(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    uint32_t axis;
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", -1), in->rank, &axis, err));
    if (step->op == SQ_OP_RMSNormalization && (step->in_count > 2 || step->out_count > 1)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it takes 2 inputs and gives 1 output");
    }
    for (uint32_t i = 1; i < step->in_count; i++) { /* scale and bias broadcast to the input */
        if (!sq_op_has(step, i)) {
            continue;
        }
        uint32_t rank = in->rank;
        int64_t dims[SQUALL_MAX_DIMS] = {0};
        for (uint32_t j = 0; j < rank; j++) {
            dims[j] = in->dims[j];
        }
        bool fits = sq_op_broadcast(&rank, dims, &step->in[i]) && rank == in->rank;
        for (uint32_t j = 0; fits && j < rank; j++) {
            fits = dims[j] == in->dims[j];
        }
        if (!fits) {
            char text[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "input %" PRIu32 ", %s, does not broadcast to what is normalised",
                                i, sq_tensor_format(&step->in[i], text));
        }
    }
    const int64_t stash = sq_attr_int(step->attrs, "stash_type", SQUALL_F32);
    if (stash != SQUALL_F32 && stash != SQUALL_F64 && stash != SQUALL_F16 && stash != SQUALL_BF16) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "stash_type %" PRId64, stash);
    }
    int64_t dims[SQUALL_MAX_DIMS];
    for (uint32_t i = 0; i < in->rank; i++) { /* mean and inverse deviation: one a group */
        dims[i] = i < axis ? in->dims[i] : 1;
    }
    SQ_TRY(sq_op_set_like(step, 0, err));
    SQ_TRY(sq_op_set(step, 1, (squall_dtype)stash, in->rank, dims, err));
    return sq_op_set(step, 2, (squall_dtype)stash, in->rank, dims, err);
}

squall_status sq_op_shape_lp_norm(sq_step *step, squall_error *err)
{
    const int64_t p = sq_attr_int(step->attrs, "p", 2);
    uint32_t axis;
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", -1), step->in[0].rank, &axis, err));
    if (p != 1 && p != 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "p is %" PRId64 "; it must be 1 or 2", p);
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_lrn(sq_step *step, squall_error *err)
{
    const int64_t size = sq_attr_int(step->attrs, "size", 0);
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (step->in[0].rank < 3 || size < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "size %" PRId64 " on %" PRIu32 " dimensions", size,
                            step->in[0].rank);
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_mean_variance(sq_step *step, squall_error *err)
{
    size_t count;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    uint32_t set;
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (axes) {
        SQ_TRY(sq_op_axis_set(step, axes, count, step->in[0].rank, &set, err));
    } else if (step->in[0].rank != 4) { /* without axes: 0, 2 and 3 */
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " dimensions; without axes it takes 4",
                            step->in[0].rank);
    }
    return sq_op_set_like(step, 0, err);
}
