/* nn/op/op_shape_recurrent.c - shapes of networks that run along a sequence. */
#include <inttypes.h>
#include <string.h>

#include "nn/op/op_shape.h"

squall_status sq_op_recurrence(const sq_step *step, sq_recurrence *out, squall_error *err)
{
    const squall_tensor *x = &step->in[0], *w = &step->in[1], *r = &step->in[2];
    const char *direction = sq_attr_string(step->attrs, "direction", "forward");
    sq_recurrence sizes = {.gates = 1, .directions = 1};
    if (step->op != SQ_OP_RNN) {
        sizes.gates = step->op == SQ_OP_LSTM ? 4 : 3;
    }
    if (strcmp(direction, "bidirectional") == 0) {
        sizes.directions = 2;
    } else if (strcmp(direction, "reverse") == 0) {
        sizes.reverse = true;
    } else if (strcmp(direction, "forward") != 0) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "direction '%.32s' is none of forward, reverse, bidirectional",
                            direction);
    }
    for (uint32_t i = 0; i < 3; i++) {
        SQ_TRY(sq_op_need_float(step, i, err));
        if (step->in[i].rank != 3) {
            return SQ_STEP_FAIL(SQUALL_E_SHAPE, "input %" PRIu32 " must have 3 dimensions", i);
        }
    }
    sizes.batch_first = sq_attr_int(step->attrs, "layout", 0) != 0;
    sizes.length = x->dims[sizes.batch_first];
    sizes.batch = x->dims[!sizes.batch_first];
    sizes.input = x->dims[2];
    sizes.hidden = r->dims[2];
    int64_t rows;
    if (__builtin_mul_overflow(sizes.gates, sizes.hidden, &rows) ||
        w->dims[0] != sizes.directions || w->dims[1] != rows || w->dims[2] != sizes.input ||
        r->dims[0] != sizes.directions || r->dims[1] != rows ||
        sq_attr_int(step->attrs, "hidden_size", sizes.hidden) != sizes.hidden) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT], c[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "weights %s and %s do not fit %s",
                            sq_tensor_format(w, a), sq_tensor_format(r, b), sq_tensor_format(x, c));
    }
    *out = sizes;
    return SQUALL_OK;
}

squall_status sq_op_shape_recurrent(sq_step *step, squall_error *err)
{
    sq_recurrence sizes;
    const bool lstm = step->op == SQ_OP_LSTM;
    SQ_TRY(sq_op_recurrence(step, &sizes, err));
    if (!lstm && (step->in_count > 6 || step->out_count > 2)) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "it takes at most 6 inputs and gives at most 2");
    }
    const int64_t directions = sizes.directions;
    int64_t bias[2] = {directions}, peepholes[2] = {directions};
    if (__builtin_mul_overflow(2 * sizes.gates, sizes.hidden, &bias[1]) ||
        __builtin_mul_overflow(3, sizes.hidden, &peepholes[1])) {
        return SQ_STEP_FAIL(SQUALL_E_LIMIT, "its sizes overflow");
    }
    int64_t state[3] = {directions, sizes.batch, sizes.hidden};
    int64_t all[4] = {sizes.length, directions, sizes.batch, sizes.hidden};
    if (sizes.batch_first) {
        memcpy(state, (int64_t[]){sizes.batch, directions, sizes.hidden}, sizeof state);
        memcpy(all, (int64_t[]){sizes.batch, sizes.length, directions, sizes.hidden}, sizeof all);
    }
    SQ_TRY(sq_op_need_shape(step, 3, "bias", 2, bias, err));
    SQ_TRY(sq_op_need_shape(step, 4, "sequence_lens", 1, &sizes.batch, err));
    SQ_TRY(sq_op_need_shape(step, 5, "initial_h", 3, state, err));
    SQ_TRY(sq_op_need_shape(step, 6, "initial_c", 3, state, err));
    SQ_TRY(sq_op_need_shape(step, 7, "peepholes", 2, peepholes, err));
    const squall_dtype dtype = step->in[0].dtype;
    SQ_TRY(sq_op_set(step, 0, dtype, 4, all, err));
    SQ_TRY(sq_op_set(step, 1, dtype, 3, state, err));
    return sq_op_set(step, 2, dtype, 3, state, err);
}
