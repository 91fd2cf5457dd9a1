/* nn/op/op_shape_part.c - shapes of what joins, cuts, pads and repeats. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

squall_status sq_op_shape_concat(sq_step *step, squall_error *err)
{
    const squall_tensor *first = &step->in[0];
    uint32_t axis;
    if (!sq_attr_find(step->attrs, "axis")) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "attribute 'axis' is missing");
    }
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), first->rank, &axis, err));
    int64_t dims[SQUALL_MAX_DIMS];
    memcpy(dims, first->dims, sizeof dims);
    for (uint32_t i = 1; i < step->in_count; i++) {
        const squall_tensor *in = &step->in[i];
        bool fits = in->dtype == first->dtype && in->rank == first->rank;
        for (uint32_t j = 0; fits && j < first->rank; j++) {
            fits = j == axis || in->dims[j] == first->dims[j];
        }
        if (!fits || __builtin_add_overflow(dims[axis], in->dims[axis], &dims[axis])) {
            char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "input %" PRIu32 ", %s, does not join %s along axis %" PRIu32, i,
                                sq_tensor_format(in, a), sq_tensor_format(first, b), axis);
        }
    }
    return sq_op_set(step, 0, first->dtype, first->rank, dims, err);
}

squall_status sq_op_split_sizes(const sq_step *step, uint32_t *axis, int64_t *sizes,
                                squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    SQ_TRY(sq_op_axis(step, sq_attr_int(step->attrs, "axis", 0), in->rank, axis, err));
    size_t count;
    bool given;
    SQ_TRY(sq_op_ints(step, 1, "split", SQ_MAX_OUTPUTS, sizes, &count, &given, err));
    const int64_t parts = sq_attr_int(step->attrs, "num_outputs", step->out_count);
    const int64_t whole = in->dims[*axis];
    if (given ? count != step->out_count : parts != (int64_t)step->out_count) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "it is split into another number of parts than its %" PRIu32 " outputs",
                            step->out_count);
    }
    if (!given) { /* equal parts; from opset 18 on the last may be smaller */
        const int64_t each = whole / parts + (whole % parts != 0);
        const bool may_differ = sq_attr_find(step->attrs, "num_outputs") != NULL;
        if ((!may_differ && whole % parts != 0) || each * (parts - 1) > whole) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "size %" PRId64 " does not divide into %" PRId64 " parts", whole,
                                parts);
        }
        for (int64_t i = 0; i < parts; i++) {
            sizes[i] = i < parts - 1 ? each : whole - each * (parts - 1);
        }
    }
    int64_t left = whole;
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (sizes[i] < 0 || sizes[i] > left) {
            left = -1;
            break;
        }
        left -= sizes[i];
    }
    if (left != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the parts do not add up to size %" PRId64, whole);
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_split(sq_step *step, squall_error *err)
{
    uint32_t axis;
    int64_t sizes[SQ_MAX_OUTPUTS], dims[SQUALL_MAX_DIMS];
    const squall_tensor *in = &step->in[0];
    SQ_TRY(sq_op_split_sizes(step, &axis, sizes, err));
    memcpy(dims, in->dims, sizeof dims);
    for (uint32_t i = 0; i < step->out_count; i++) {
        dims[axis] = sizes[i];
        SQ_TRY(sq_op_set(step, i, in->dtype, in->rank, dims, err));
    }
    return SQUALL_OK;
}

/* How many numbers start, start + step, ... lie before `end` in a dimension of `size`, by numpy's
 * rules: negative positions count from the end, then both are clamped. */
static int64_t slice_length(int64_t start, int64_t end, int64_t step, int64_t size)
{
    const bool forward = step > 0;
    const int64_t least = forward ? 0 : -1, most = forward ? size : size - 1;
    start += start < 0 ? size : 0;
    end += end < 0 ? size : 0;
    start = start < least ? least : start > most ? most : start;
    end = end < least ? least : end > most ? most : end;
    const int64_t span = forward ? end - start : start - end;
    if (span <= 0) {
        return 0;
    }
    /* the magnitude of INT64_MIN does not exist; any step beyond the span takes one number */
    const int64_t stride = forward ? step : step == INT64_MIN ? INT64_MAX : -step;
    return (span - 1) / stride + 1;
}

squall_status sq_op_shape_slice(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t starts[SQUALL_MAX_DIMS], ends[SQUALL_MAX_DIMS], axes[SQUALL_MAX_DIMS];
    int64_t steps[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count, end_count, axis_count, step_count;
    bool given, has_axes, has_steps;
    /* attributes before opset 10, inputs from there on; steps are an input only */
    SQ_TRY(sq_op_ints(step, 1, "starts", SQUALL_MAX_DIMS, starts, &count, &given, err));
    SQ_TRY(sq_op_ints(step, 2, "ends", SQUALL_MAX_DIMS, ends, &end_count, &given, err));
    SQ_TRY(sq_op_ints(step, 3, "axes", SQUALL_MAX_DIMS, axes, &axis_count, &has_axes, err));
    SQ_TRY(sq_op_ints(step, 4, "steps", SQUALL_MAX_DIMS, steps, &step_count, &has_steps, err));
    if (end_count != count || (has_axes && axis_count != count) ||
        (has_steps && step_count != count)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu starts, %zu ends, %zu axes, %zu steps", count,
                            end_count, has_axes ? axis_count : count,
                            has_steps ? step_count : count);
    }
    for (size_t i = 0; i < count && !has_axes; i++) {
        axes[i] = (int64_t)i;
    }
    uint32_t set, axis;
    SQ_TRY(sq_op_axis_set(step, axes, count, in->rank, &set, err));
    memcpy(dims, in->dims, sizeof dims);
    for (size_t i = 0; i < count; i++) {
        const int64_t stride = has_steps ? steps[i] : 1;
        if (stride == 0) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a step of 0");
        }
        SQ_TRY(sq_op_axis(step, axes[i], in->rank, &axis, err));
        dims[axis] = slice_length(starts[i], ends[i], stride, in->dims[axis]);
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_pad(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t pads[2 * SQUALL_MAX_DIMS], axes[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count, axis_count;
    bool given, has_axes;
    SQ_TRY(sq_op_ints(step, 1, "pads", 2 * SQUALL_MAX_DIMS, pads, &count, &given, err));
    SQ_TRY(sq_op_ints(step, 3, "axes", SQUALL_MAX_DIMS, axes, &axis_count, &has_axes, err));
    const size_t each = has_axes ? axis_count : in->rank;
    if (count != 2 * each) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu pads; it needs two for each of %zu axes", count,
                            each);
    }
    for (uint32_t i = 0; i < in->rank && !has_axes; i++) {
        axes[i] = i;
    }
    const char *mode = sq_attr_string(step->attrs, "mode", "constant");
    const bool constant = strcmp(mode, "constant") == 0;
    if (!constant && strcmp(mode, "reflect") != 0 && strcmp(mode, "edge") != 0 &&
        strcmp(mode, "wrap") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "mode '%.32s' is none of constant, reflect, edge, wrap",
                            mode);
    }
    uint32_t set, axis;
    SQ_TRY(sq_op_axis_set(step, axes, each, in->rank, &set, err));
    memcpy(dims, in->dims, sizeof dims);
    for (size_t i = 0; i < each; i++) {
        SQ_TRY(sq_op_axis(step, axes[i], in->rank, &axis, err));
        int64_t padded;
        if (__builtin_add_overflow(dims[axis], pads[i], &padded) ||
            __builtin_add_overflow(padded, pads[each + i], &padded) || padded < 0 ||
            (padded > 0 && in->dims[axis] == 0 && !constant)) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                                "pads %" PRId64 " and %" PRId64 " on axis %" PRIu32
                                " of size %" PRId64,
                                pads[i], pads[each + i], axis, in->dims[axis]);
        }
        dims[axis] = padded;
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_expand(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    squall_tensor wanted = {0};
    size_t rank;
    SQ_TRY(sq_op_input_ints(step, 1, "shape", SQUALL_MAX_DIMS, wanted.dims, &rank, err));
    wanted.rank = (uint32_t)rank;
    uint32_t out_rank = in->rank;
    int64_t dims[SQUALL_MAX_DIMS];
    memcpy(dims, in->dims, sizeof dims);
    if (!sq_op_broadcast(&out_rank, dims, &wanted)) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%s does not broadcast against %s",
                            sq_tensor_format(in, a), sq_tensor_format(&wanted, b));
    }
    return sq_op_set(step, 0, in->dtype, out_rank, dims, err);
}

squall_status sq_op_shape_tile(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t repeats[SQUALL_MAX_DIMS], dims[SQUALL_MAX_DIMS];
    size_t count;
    SQ_TRY(sq_op_input_ints(step, 1, "repeats", SQUALL_MAX_DIMS, repeats, &count, err));
    if (count != in->rank) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%zu repeats for %" PRIu32 " dimensions", count,
                            in->rank);
    }
    for (uint32_t i = 0; i < in->rank; i++) {
        if (repeats[i] < 0 || __builtin_mul_overflow(in->dims[i], repeats[i], &dims[i])) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRId64 " repeats of size %" PRId64, repeats[i],
                                in->dims[i]);
        }
    }
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_trilu(sq_step *step, squall_error *err)
{
    if (step->in[0].rank < 2) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " dimensions; at least 2", step->in[0].rank);
    }
    if (sq_op_has(step, 1) &&
        (step->in[1].dtype != SQUALL_I64 || squall_tensor_count(&step->in[1]) != 1)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the diagonal is not one integer");
    }
    return sq_op_set_like(step, 0, err);
}
