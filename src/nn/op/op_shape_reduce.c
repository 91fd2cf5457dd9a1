/* nn/op/op_shape_reduce.c - shapes of reductions. */
#include "nn/op/op_shape.h"

/* Set the output: the axes in `set` become 1 or go. */
static squall_status set_reduced(sq_step *step, squall_dtype dtype, uint32_t set, bool keep,
                                 squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    uint32_t rank = 0;
    int64_t dims[SQUALL_MAX_DIMS];
    for (uint32_t i = 0; i < in->rank; i++) {
        if (!(set & 1u << i)) {
            dims[rank++] = in->dims[i];
        } else if (keep) {
            dims[rank++] = 1;
        }
    }
    return sq_op_set(step, 0, dtype, rank, dims, err);
}

squall_status sq_op_shape_reduce(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t axes[SQUALL_MAX_DIMS];
    size_t count;
    bool given;
    /* axes: an attribute before opset 18 (ReduceSum: 13), an input from there on */
    SQ_TRY(sq_op_ints(step, 1, "axes", SQUALL_MAX_DIMS, axes, &count, &given, err));
    uint32_t set;
    SQ_TRY(sq_op_axis_set(step, axes, count, in->rank, &set, err));
    if (count == 0 && !sq_attr_int(step->attrs, "noop_with_empty_axes", 0)) {
        set = (1u << in->rank) - 1; /* none named: all */
    }
    return set_reduced(step, in->dtype, set, sq_attr_int(step->attrs, "keepdims", 1) != 0, err);
}

squall_status sq_op_shape_arg_reduce(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    uint32_t axis;
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, &axis, err));
    if (in->dims[axis] == 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "nothing to choose from along an empty axis");
    }
    return set_reduced(step, SQUALL_I64, 1u << axis, sq_attr_int(step->attrs, "keepdims", 1) != 0,
                       err);
}
