/* nn/op/op_shape_elementwise.c - shapes of what works number by number. */
#include "nn/op/op_shape.h"

#include <inttypes.h>
#include <string.h>

squall_status sq_op_shape_same(sq_step *step, squall_error *err)
{
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_predicate(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_float(step, 0, err));
    return sq_op_set(step, 0, SQUALL_BOOL, step->in[0].rank, step->in[0].dims, err);
}

/* The slope broadcasts to the data, and never the other way. */
squall_status sq_op_shape_prelu(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    uint32_t rank = step->in[0].rank;
    int64_t dims[SQUALL_MAX_DIMS];
    SQ_TRY(sq_op_set_like(step, 0, err));
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = step->in[0].dims[i];
    }
    bool fits = sq_op_broadcast(&rank, dims, &step->in[1]) && rank == step->in[0].rank;
    for (uint32_t i = 0; fits && i < rank; i++) {
        fits = dims[i] == step->in[0].dims[i];
    }
    if (!fits) {
        char slope[SQ_TENSOR_TEXT], data[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the slope, %s, does not broadcast to %s",
                            sq_tensor_format(&step->in[1], slope),
                            sq_tensor_format(&step->in[0], data));
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_clip(sq_step *step, squall_error *err)
{
    for (uint32_t i = 1; i < step->in_count; i++) {
        if (!sq_op_has(step, i)) {
            continue;
        }
        SQ_TRY(sq_op_need_same_type(step, 0, i, err));
        if (squall_tensor_count(&step->in[i]) != 1) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "bound %" PRIu32 " is no single number", i);
        }
    }
    return sq_op_set_like(step, 0, err);
}

squall_status sq_op_shape_dropout(sq_step *step, squall_error *err)
{
    if (sq_op_has(step, 2)) { /* from opset 12 on: training_mode */
        const squall_tensor *training = &step->in[2], *ratio = &step->in[1];
        const bool inference = training->data && squall_tensor_count(training) == 1 &&
                               sq_tensor_get_int(training, 0) == 0;
        const bool drops_none = sq_op_has(step, 1) && ratio->data &&
                                squall_tensor_count(ratio) == 1 &&
                                sq_tensor_get_double(ratio, 0) == 0;
        if (!inference && !drops_none) {
            return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "training mode; export for inference");
        }
    }
    SQ_TRY(sq_op_set_like(step, 0, err));
    const squall_dtype mask = step->attrs->opset < 10 ? step->in[0].dtype : SQUALL_BOOL;
    return sq_op_set(step, 1, mask, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_cast(sq_step *step, squall_error *err)
{
    const int64_t to = sq_attr_int(step->attrs, "to", 0);
    if (to <= 0 || to > SQUALL_BF16 || squall_dtype_size((squall_dtype)to) == 0) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "no cast to ONNX type %" PRId64, to);
    }
    return sq_op_set(step, 0, (squall_dtype)to, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_cast_like(sq_step *step, squall_error *err)
{
    return sq_op_set(step, 0, step->in[1].dtype, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_bit_cast(sq_step *step, squall_error *err)
{
    const int64_t to = sq_attr_int(step->attrs, "to", 0);
    const bool known = to > 0 && to <= SQUALL_BF16;
    if (!known || squall_dtype_size((squall_dtype)to) != squall_dtype_size(step->in[0].dtype)) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "no bits of %s as ONNX type %" PRId64,
                            squall_dtype_name(step->in[0].dtype), to);
    }
    return sq_op_set(step, 0, (squall_dtype)to, step->in[0].rank, step->in[0].dims, err);
}

squall_status sq_op_shape_swiglu(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    SQ_TRY(sq_op_need_shape(step, 1, "the gated", step->in[0].rank, step->in[0].dims, err));
    return sq_op_set_like(step, 0, err);
}

/* All inputs broadcast; the output is of type `dtype`. */
static squall_status broadcast(sq_step *step, squall_dtype dtype, squall_error *err)
{
    uint32_t rank;
    int64_t dims[SQUALL_MAX_DIMS];
    SQ_TRY(sq_op_broadcast_inputs(step, 0, step->in_count, &rank, dims, err));
    return sq_op_set(step, 0, dtype, rank, dims, err);
}

squall_status sq_op_shape_arithmetic(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    return broadcast(step, step->in[0].dtype, err);
}

/* Base and exponent may differ in type; the base's is the output's. */
squall_status sq_op_shape_pow(sq_step *step, squall_error *err)
{
    return broadcast(step, step->in[0].dtype, err);
}

squall_status sq_op_shape_variadic(sq_step *step, squall_error *err)
{
    for (uint32_t i = 1; i < step->in_count; i++) {
        SQ_TRY(sq_op_need_same_type(step, 0, i, err));
    }
    return broadcast(step, step->in[0].dtype, err);
}

squall_status sq_op_shape_logic(sq_step *step, squall_error *err)
{
    const uint32_t wanted = step->op == SQ_OP_Not ? 1 : 2;
    if (step->in_count != wanted) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " inputs, but it takes %" PRIu32,
                            step->in_count, wanted);
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_BOOL) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " is of type %s; it must be bool",
                                i, squall_dtype_name(step->in[i].dtype));
        }
    }
    return broadcast(step, SQUALL_BOOL, err);
}

/* Integers of one type; BitwiseNot has one input, the others two. */
squall_status sq_op_shape_bitwise(sq_step *step, squall_error *err)
{
    const uint32_t wanted = step->op == SQ_OP_BitwiseNot ? 1 : 2;
    if (step->in_count != wanted) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " inputs, but it takes %" PRIu32,
                            step->in_count, wanted);
    }
    const squall_dtype dtype = step->in[0].dtype;
    if (sq_op_is_float(dtype) || dtype == SQUALL_BOOL) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "an input of type %s; it must be integer",
                            squall_dtype_name(dtype));
    }
    if (wanted == 2) {
        SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    }
    if (step->op == SQ_OP_BitShift) {
        const char *direction = sq_attr_string(step->attrs, "direction", "");
        if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "direction '%.32s' is neither LEFT nor RIGHT",
                                direction);
        }
    }
    return broadcast(step, dtype, err);
}

squall_status sq_op_shape_compare(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_same_type(step, 0, 1, err));
    return broadcast(step, SQUALL_BOOL, err);
}

squall_status sq_op_shape_where(sq_step *step, squall_error *err)
{
    SQ_TRY(sq_op_need_same_type(step, 1, 2, err));
    if (step->in[0].dtype != SQUALL_BOOL) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the condition is of type %s; it must be bool",
                            squall_dtype_name(step->in[0].dtype));
    }
    return broadcast(step, step->in[1].dtype, err);
}
