/* nn/op/op_shape_signal.c - shapes of transforms of signals and of their windows. */
#include <inttypes.h>

#include "nn/op/op_shape.h"

/* One integer of a constant input. */
static squall_status one_int(const sq_step *step, uint32_t index, const char *what, int64_t *out,
                             squall_error *err)
{
    size_t count;
    SQ_TRY(sq_op_need_one(step, index, what, err));
    return sq_op_input_ints(step, index, what, 1, out, &count, err);
}

squall_status sq_op_dft_sizes(const sq_step *step, sq_dft *out, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    sq_dft sizes = {.inverse = sq_attr_int(step->attrs, "inverse", 0) != 0,
                    .onesided = sq_attr_int(step->attrs, "onesided", 0) != 0};
    SQ_TRY(sq_op_need_float(step, 0, err));
    if (in->rank < 2 || in->dims[in->rank - 1] < 1 || in->dims[in->rank - 1] > 2) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "the signal is %s; its last dimension must be 1 (real) or 2 (complex)",
                            sq_tensor_format(in, text));
    }
    int64_t axis = step->attrs->opset < 20 ? sq_attr_int(step->attrs, "axis", 1) : -2;
    if (sq_op_has(step, 2)) {
        SQ_TRY(one_int(step, 2, "axis", &axis, err));
    }
    SQ_TRY(sq_op_axis(step, axis, in->rank, &sizes.axis, err));
    if (sizes.axis == in->rank - 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "the axis holds the parts of a number");
    }
    const int64_t given = in->dims[sizes.axis];
    const bool from_half = sizes.inverse && sizes.onesided;
    sizes.length = from_half ? (given > 0 ? 2 * (given - 1) : 0) : given;
    if (sq_op_has(step, 1)) {
        SQ_TRY(one_int(step, 1, "dft_length", &sizes.length, err));
    }
    if (sizes.length < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a transform of %" PRId64 " numbers", sizes.length);
    }
    *out = sizes;
    return SQUALL_OK;
}

squall_status sq_op_shape_dft(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    sq_dft sizes;
    SQ_TRY(sq_op_dft_sizes(step, &sizes, err));
    int64_t dims[SQUALL_MAX_DIMS];
    for (uint32_t i = 0; i < in->rank; i++) {
        dims[i] = in->dims[i];
    }
    const bool half = sizes.onesided && !sizes.inverse;
    dims[sizes.axis] = half ? sizes.length / 2 + 1 : sizes.length;
    dims[in->rank - 1] = sizes.onesided && sizes.inverse ? 1 : 2;
    return sq_op_set(step, 0, in->dtype, in->rank, dims, err);
}

squall_status sq_op_shape_stft(sq_step *step, squall_error *err)
{
    const squall_tensor *in = &step->in[0];
    int64_t hop, length;
    SQ_TRY(sq_op_need_float(step, 0, err));
    SQ_TRY(one_int(step, 1, "frame_step", &hop, err));
    if (sq_op_has(step, 3)) {
        SQ_TRY(one_int(step, 3, "frame_length", &length, err));
    } else if (sq_op_has(step, 2) && step->in[2].rank == 1) {
        length = step->in[2].dims[0];
    } else {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "neither a window nor frame_length is given");
    }
    SQ_TRY(sq_op_need_shape(step, 2, "window", 1, &length, err));
    const bool complex = in->rank == 3 && in->dims[2] == 2;
    if ((in->rank != 2 && !(in->rank == 3 && in->dims[2] == 1) && !complex) || hop < 1 ||
        length < 1 || length > in->dims[1]) {
        char text[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "frames of %" PRId64 " every %" PRId64 " do not fit %s",
                            length, hop, sq_tensor_format(in, text));
    }
    const bool onesided = sq_attr_int(step->attrs, "onesided", 1) != 0;
    if (onesided && complex) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a complex signal has two sides");
    }
    const int64_t dims[4] = {in->dims[0], (in->dims[1] - length) / hop + 1,
                             onesided ? length / 2 + 1 : length, 2};
    return sq_op_set(step, 0, in->dtype, 4, dims, err);
}

static squall_status output_type(const sq_step *step, squall_dtype *out, squall_error *err)
{
    const int64_t asked = sq_attr_int(step->attrs, "output_datatype", SQUALL_F32);
    if (asked <= 0 || asked > SQUALL_BF16 || squall_dtype_size((squall_dtype)asked) == 0) {
        return SQ_STEP_FAIL(SQUALL_E_UNSUPPORTED, "no output of ONNX type %" PRId64, asked);
    }
    *out = (squall_dtype)asked;
    return SQUALL_OK;
}

squall_status sq_op_shape_signal_window(sq_step *step, squall_error *err)
{
    int64_t length;
    squall_dtype dtype;
    SQ_TRY(output_type(step, &dtype, err));
    SQ_TRY(one_int(step, 0, "size", &length, err));
    return sq_op_set(step, 0, dtype, 1, &length, err);
}

squall_status sq_op_shape_mel_weights(sq_step *step, squall_error *err)
{
    int64_t bins, length;
    squall_dtype dtype;
    SQ_TRY(output_type(step, &dtype, err));
    SQ_TRY(one_int(step, 0, "num_mel_bins", &bins, err));
    SQ_TRY(one_int(step, 1, "dft_length", &length, err));
    for (uint32_t i = 2; i < 5; i++) {
        SQ_TRY(sq_op_need_one(step, i, "a frequency", err));
    }
    if (length < 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "a dft_length of %" PRId64, length);
    }
    const int64_t dims[2] = {length / 2 + 1, bins};
    return sq_op_set(step, 0, dtype, 2, dims, err);
}
