/* nn/op/op_shape.c - what the shape rules share: outputs, broadcasting, axes, constant integers. */
#include "nn/op/op_shape.h"

#include <inttypes.h>
#include <string.h>

bool sq_op_has(const sq_step *step, uint32_t index)
{
    return index < step->in_count && step->in[index].dtype != SQUALL_DTYPE_NONE;
}

bool sq_op_is_float(squall_dtype dtype)
{
    return dtype == SQUALL_F32 || dtype == SQUALL_F16 || dtype == SQUALL_BF16 ||
           dtype == SQUALL_F64;
}

squall_status sq_op_set(sq_step *step, uint32_t index, squall_dtype dtype, uint32_t rank,
                        const int64_t *dims, squall_error *err)
{
    if (index >= step->out_count) {
        return SQUALL_OK;
    }
    if (rank > SQUALL_MAX_DIMS) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT,
                            "output %" PRIu32 " would have %" PRIu32 " dimensions, at most %d",
                            index, rank, SQUALL_MAX_DIMS);
    }
    squall_tensor out = {.dtype = dtype, .rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "output %" PRIu32 " would have the size %" PRId64
                                " in dimension %" PRIu32,
                                index, dims[i], i);
        }
        out.dims[i] = dims[i];
    }
    const size_t bytes = squall_tensor_bytes(&out);
    if (bytes > SQ_LIMIT_TENSOR_BYTES) { /* SIZE_MAX, overflow, is caught too */
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_LIMIT,
                            "output %" PRIu32 " would be %s; a tensor has at most %zu bytes", index,
                            sq_tensor_format(&out, text), SQ_LIMIT_TENSOR_BYTES);
    }
    step->out[index] = out;
    return SQUALL_OK;
}

squall_status sq_op_set_like(sq_step *step, uint32_t index, squall_error *err)
{
    const squall_tensor *in = &step->in[index];
    return sq_op_set(step, 0, in->dtype, in->rank, in->dims, err);
}

bool sq_op_broadcast(uint32_t *rank, int64_t *dims, const squall_tensor *other)
{
    int64_t merged[SQUALL_MAX_DIMS];
    const uint32_t merged_rank = *rank > other->rank ? *rank : other->rank;
    for (uint32_t i = 0; i < merged_rank; i++) { /* i counts from the last dimension */
        const int64_t a = i < *rank ? dims[*rank - 1 - i] : 1;
        const int64_t b = i < other->rank ? other->dims[other->rank - 1 - i] : 1;
        if (a != b && a != 1 && b != 1) {
            return false;
        }
        merged[merged_rank - 1 - i] = a == 1 ? b : a;
    }
    memcpy(dims, merged, merged_rank * sizeof *dims);
    *rank = merged_rank;
    return true;
}

squall_status sq_op_broadcast_inputs(const sq_step *step, uint32_t from, uint32_t to,
                                     uint32_t *rank, int64_t *dims, squall_error *err)
{
    *rank = 0;
    for (uint32_t i = from; i < to; i++) {
        if (!sq_op_broadcast(rank, dims, &step->in[i])) {
            char text[SQ_TENSOR_TEXT];
            squall_tensor so_far = {.dtype = step->in[from].dtype, .rank = *rank};
            memcpy(so_far.dims, dims, *rank * sizeof *dims);
            char before[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "input %" PRIu32 ", %s, does not broadcast against %s before it", i,
                                sq_tensor_format(&step->in[i], text),
                                sq_tensor_format(&so_far, before));
        }
    }
    return SQUALL_OK;
}

squall_status sq_op_need_same_type(const sq_step *step, uint32_t a, uint32_t b, squall_error *err)
{
    if (step->in[a].dtype == step->in[b].dtype) {
        return SQUALL_OK;
    }
    return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                        "input %" PRIu32 " is of type %s and input %" PRIu32
                        " of type %s; they must be of one",
                        a, squall_dtype_name(step->in[a].dtype), b,
                        squall_dtype_name(step->in[b].dtype));
}

squall_status sq_op_need_float(const sq_step *step, uint32_t index, squall_error *err)
{
    if (sq_op_is_float(step->in[index].dtype)) {
        return SQUALL_OK;
    }
    return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                        "input %" PRIu32 " is of type %s; it must be floating point", index,
                        squall_dtype_name(step->in[index].dtype));
}

squall_status sq_op_axis(const sq_step *step, int64_t axis, uint32_t rank, uint32_t *out,
                         squall_error *err)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "axis %" PRId64 " of %" PRIu32 " dimensions", axis,
                            rank);
    }
    *out = (uint32_t)(axis < 0 ? axis + (int64_t)rank : axis);
    return SQUALL_OK;
}

squall_status sq_op_need_data(const sq_step *step, uint32_t index, const char *what,
                              squall_error *err)
{
    if (step->in[index].data || squall_tensor_count(&step->in[index]) == 0) {
        return SQUALL_OK;
    }
    return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED,
                        "the shape of its output hangs on input %" PRIu32
                        " (%s), which is not constant",
                        index, what);
}

squall_status sq_op_need_one(const sq_step *step, uint32_t index, const char *what,
                             squall_error *err)
{
    if (squall_tensor_count(&step->in[index]) == 1) {
        return SQUALL_OK;
    }
    char text[SQ_TENSOR_TEXT];
    return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " (%s) is %s; it must be one number",
                        index, what, sq_tensor_format(&step->in[index], text));
}

squall_status sq_op_need_shape(const sq_step *step, uint32_t index, const char *what, uint32_t rank,
                               const int64_t *dims, squall_error *err)
{
    if (!sq_op_has(step, index)) {
        return SQUALL_OK;
    }
    squall_tensor wanted = {.dtype = step->in[index].dtype,
                            .layout = step->in[index].layout,
                            .rank = rank};
    memcpy(wanted.dims, dims, rank * sizeof *dims);
    if (sq_tensor_same_type(&wanted, &step->in[index])) {
        return SQUALL_OK;
    }
    char given[SQ_TENSOR_TEXT], text[SQ_TENSOR_TEXT];
    return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " (%s) is %s; it must be %s", index, what,
                        sq_tensor_format(&step->in[index], given), sq_tensor_format(&wanted, text));
}

squall_status sq_op_input_ints(const sq_step *step, uint32_t index, const char *what,
                               size_t capacity, int64_t *out, size_t *count, squall_error *err)
{
    const squall_tensor *in = &step->in[index];
    if ((in->dtype != SQUALL_I64 && in->dtype != SQUALL_I32) || in->rank > 1) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "input %" PRIu32 " (%s) is %s; it must be a list of integers", index,
                            what, sq_tensor_format(in, text));
    }
    SQ_TRY(sq_op_need_data(step, index, what, err));
    const size_t given = squall_tensor_count(in);
    if (given > capacity) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " (%s) has %zu numbers, at most %zu",
                            index, what, given, capacity);
    }
    for (size_t i = 0; i < given; i++) {
        out[i] = sq_tensor_get_int(in, i);
    }
    *count = given;
    return SQUALL_OK;
}

squall_status sq_op_ints(const sq_step *step, uint32_t index, const char *name, size_t capacity,
                         int64_t *out, size_t *count, bool *given, squall_error *err)
{
    *given = true;
    if (sq_op_has(step, index)) {
        return sq_op_input_ints(step, index, name, capacity, out, count, err);
    }
    const int64_t *values = sq_attr_ints(step->attrs, name, count);
    if (*count > capacity) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute '%s' has %zu numbers, at most %zu", name,
                            *count, capacity);
    }
    *given = values != NULL;
    for (size_t i = 0; values && i < *count; i++) {
        out[i] = values[i];
    }
    return SQUALL_OK;
}

squall_status sq_op_axis_set(const sq_step *step, const int64_t *axes, size_t count, uint32_t rank,
                             uint32_t *set, squall_error *err)
{
    *set = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        SQ_TRY(sq_op_axis(step, axes[i], rank, &axis, err));
        if (*set & 1u << axis) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "axis %" PRId64 " is named twice", axes[i]);
        }
        *set |= 1u << axis;
    }
    return SQUALL_OK;
}
