/* nn/op/op_shape_gates.c - shapes of the gates of recurrent cells, which passes recognise.
 *
 * With s() the sigmoid and parts of `gates` counted along axis 1, each as large as the state:
 *   SqLstmGates(gates, cell) -> hidden, cell'   attribute "sq_gates": the parts i, f, o, g
 *     cell' = s(f) * cell + s(i) * tanh(g), hidden = s(o) * tanh(cell')
 *   SqGruReset(gates, state) -> r * state       "sq_gates": the part r, and how many parts
 *   SqGruUpdate(gates, keep, fresh) -> (1 - z) * keep + z * fresh    "sq_gates": z, and how many
 * SqGruReset and SqGruUpdate take s() of their part first when "sq_sigmoid" is 1.
 *   SqMemoryGates(a, b, cell) -> cell', of cells whose gates are sums of parts of two values:
 *     cell' = s(fa + fb + cf) * cell + s(ia + ib + ci) * tanh(ga + gb + cg)
 *     "sq_gates": how many parts a and b have, then the parts ia, ib, fa, fb, ga, gb;
 *     "sq_offsets": ci, cf, cg. */
#include <inttypes.h>

#include "nn/op/op_shape.h"

#define LSTM_PARTS 4

/* Input `which` is input `of`, the state, but for `parts` times as many channels. */
static squall_status need_parts(const sq_step *step, uint32_t which, uint32_t of, int64_t parts,
                                squall_error *err)
{
    const squall_tensor *gates = &step->in[which], *state = &step->in[of];
    char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
    int64_t channels = 0;
    bool fits = gates->rank == state->rank && gates->rank >= 2 &&
                !__builtin_mul_overflow(state->dims[1], parts, &channels);
    for (uint32_t d = 0; fits && d < gates->rank; d++) {
        fits = gates->dims[d] == (d == 1 ? channels : state->dims[d]);
    }
    if (!fits) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "gates %s are not %" PRId64 " parts of %s",
                            sq_tensor_format(gates, a), parts, sq_tensor_format(state, b));
    }
    return SQUALL_OK;
}

static squall_status need_alike(const sq_step *step, squall_error *err)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        SQ_TRY(sq_op_need_float(step, i, err));
        SQ_TRY(sq_op_need_same_type(step, 0, i, err));
    }
    return SQUALL_OK;
}

squall_status sq_op_shape_lstm_gates(sq_step *step, squall_error *err)
{
    size_t count;
    unsigned seen = 0;
    const int64_t *order = sq_attr_ints(step->attrs, "sq_gates", &count);
    for (size_t i = 0; order && count == LSTM_PARTS && i < count; i++) {
        seen |= order[i] >= 0 && order[i] < LSTM_PARTS ? 1u << order[i] : 0;
    }
    if (seen != (1u << LSTM_PARTS) - 1) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "sq_gates must hold 0 to 3, each once");
    }
    SQ_TRY(need_alike(step, err));
    SQ_TRY(need_parts(step, 0, 1, LSTM_PARTS, err));
    const squall_tensor *state = &step->in[1];
    SQ_TRY(sq_op_set(step, 0, state->dtype, state->rank, state->dims, err));
    return sq_op_set(step, 1, state->dtype, state->rank, state->dims, err);
}

squall_status sq_op_shape_gru_gate(sq_step *step, squall_error *err)
{
    size_t count;
    const int64_t *part = sq_attr_ints(step->attrs, "sq_gates", &count);
    if (!part || count != 2 || part[1] < 1 || part[0] < 0 || part[0] >= part[1]) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "sq_gates must hold a part and how many there are");
    }
    const uint32_t wanted = step->op == SQ_OP_SqGruUpdate ? 3 : 2;
    if (step->in_count != wanted) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "%" PRIu32 " inputs, but it takes %" PRIu32,
                            step->in_count, wanted);
    }
    SQ_TRY(need_alike(step, err));
    SQ_TRY(need_parts(step, 0, 1, part[1], err));
    const squall_tensor *state = &step->in[1];
    squall_tensor fresh = wanted == 3 ? step->in[2] : *state;
    fresh.layout = state->layout; /* which may be any: sizes are meant */
    if (!sq_tensor_same_type(&fresh, state)) {
        char a[SQ_TENSOR_TEXT], b[SQ_TENSOR_TEXT];
        return SQ_STEP_FAIL(SQUALL_E_SHAPE, "fresh is %s, the state %s",
                            sq_tensor_format(&fresh, a), sq_tensor_format(state, b));
    }
    return sq_op_set(step, 0, state->dtype, state->rank, state->dims, err);
}

squall_status sq_op_shape_memory_gates(sq_step *step, squall_error *err)
{
    enum { NUMBERS = 8, OFFSETS = 3 };
    size_t count, offsets;
    const int64_t *numbers = sq_attr_ints(step->attrs, "sq_gates", &count);
    (void)sq_attr_floats(step->attrs, "sq_offsets", &offsets);
    bool good = numbers && count == NUMBERS && offsets == OFFSETS && step->in_count == 3;
    for (size_t i = 2; good && i < NUMBERS; i++) {
        good = numbers[i] >= 0 && numbers[i] < numbers[i % 2];
    }
    if (!good) {
        return SQ_STEP_FAIL(SQUALL_E_SHAPE,
                            "sq_gates must hold how many parts two inputs have and three parts of "
                            "each, sq_offsets three numbers, for 3 inputs");
    }
    SQ_TRY(need_alike(step, err));
    SQ_TRY(need_parts(step, 0, 2, numbers[0], err));
    SQ_TRY(need_parts(step, 1, 2, numbers[1], err));
    const squall_tensor *state = &step->in[2];
    return sq_op_set(step, 0, state->dtype, state->rank, state->dims, err);
}
