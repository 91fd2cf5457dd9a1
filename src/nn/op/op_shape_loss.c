/* nn/op/op_shape_loss.c - shapes of losses. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

/* Scores [batch][classes]..., classes [batch]... and the weights of the classes. */
squall_status sq_op_shape_loss(sq_step *step, squall_error *err)
{
    const squall_tensor *scores = &step->in[0], *target = &step->in[1];
    const char *reduction = sq_attr_string(step->attrs, "reduction", "mean");
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (scores->rank < 2 || (target->dtype != SQUALL_I32 && target->dtype != SQUALL_I64)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "scores must have at least 2 dimensions and classes be integers");
    }
    int64_t dims[SQUALL_MAX_DIMS] = {scores->dims[0]};
    memcpy(dims + 1, scores->dims + 2, (scores->rank - 2) * sizeof dims[0]);
    SQ_TRY(sq_op_need_shape(step, 1, "classes", scores->rank - 1, dims, err));
    SQ_TRY(sq_op_need_shape(step, 2, "weights", 1, &scores->dims[1], err));
    if (sq_op_has(step, 2)) {
        SQ_TRY(sq_op_need_float(step, 2, err));
    }
    const bool none = strcmp(reduction, "none") == 0;
    if (!none && strcmp(reduction, "mean") != 0 && strcmp(reduction, "sum") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "reduction '%.32s' is none of none, mean, sum",
                            reduction);
    }
    if (step->op == SQ_OP_NegativeLogLikelihoodLoss && step->out_count > 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " outputs, but it gives 1", step->out_count);
    }
    SQ_TRY(sq_op_set(step, 0, scores->dtype, none ? scores->rank - 1 : 0, dims, err));
    return sq_op_set(step, 1, scores->dtype, scores->rank, scores->dims, err);
}
