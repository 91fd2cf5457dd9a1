/* nn/ref/ref_gates.c - the gates of LSTM and GRU cells in one go; op_shape_gates.c has the
 * formulas. */
#include "nn/ref/ref_ops.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Where the parts of `gates` are for one run of elements of the state, from `first` on in item `n`
 * of `each` elements. */
static size_t part_at(size_t n, size_t each, size_t first, int64_t parts, int64_t part)
{
    return (n * (size_t)parts + (size_t)part) * each + first;
}

squall_status sq_ref_lstm_gates(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *gates = &step->in[0], *state = &step->in[1];
    size_t four;
    const int64_t *order = sq_attr_ints(step->attrs, "sq_gates", &four);
    const size_t each = sq_ref_product(state->dims, 1, state->rank);
    const size_t items = each > 0 ? (size_t)state->dims[0] : 0;
    for (size_t n = 0; n < items; n++) {
        for (size_t at = 0; at < each; at += SQ_REF_RUN) {
            const size_t count = each - at < SQ_REF_RUN ? each - at : SQ_REF_RUN;
            double part[4][SQ_REF_RUN], cell[SQ_REF_RUN];
            for (int p = 0; p < 4; p++) {
                sq_ref_load(gates, part_at(n, each, at, 4, order[p]), 1, count, part[p]);
            }
            sq_ref_load(state, n * each + at, 1, count, cell);
            for (size_t i = 0; i < count; i++) {
                cell[i] = sigmoid(part[1][i]) * cell[i] + sigmoid(part[0][i]) * tanh(part[3][i]);
                part[2][i] = sigmoid(part[2][i]) * tanh(cell[i]);
            }
            if (sq_ref_has_output(step, 0)) {
                sq_ref_store(&step->out[0], n * each + at, count, part[2]);
            }
            if (sq_ref_has_output(step, 1)) {
                sq_ref_store(&step->out[1], n * each + at, count, cell);
            }
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_gru_gate(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *state = &step->in[1];
    size_t two;
    const int64_t *part = sq_attr_ints(step->attrs, "sq_gates", &two);
    const bool squash = sq_attr_int(step->attrs, "sq_sigmoid", 0) == 1;
    const bool update = step->op == SQ_OP_SqGruUpdate;
    const size_t each = sq_ref_product(state->dims, 1, state->rank);
    const size_t items = each > 0 ? (size_t)state->dims[0] : 0;
    for (size_t n = 0; n < items; n++) {
        for (size_t at = 0; at < each; at += SQ_REF_RUN) {
            const size_t count = each - at < SQ_REF_RUN ? each - at : SQ_REF_RUN;
            double gate[SQ_REF_RUN], old[SQ_REF_RUN], fresh[SQ_REF_RUN] = {0};
            sq_ref_load(&step->in[0], part_at(n, each, at, part[1], part[0]), 1, count, gate);
            sq_ref_load(state, n * each + at, 1, count, old);
            if (update) {
                sq_ref_load(&step->in[2], n * each + at, 1, count, fresh);
            }
            for (size_t i = 0; i < count; i++) {
                const double g = squash ? sigmoid(gate[i]) : gate[i];
                old[i] = update ? (1 - g) * old[i] + g * fresh[i] : g * old[i];
            }
            sq_ref_store(&step->out[0], n * each + at, count, old);
        }
    }
    return SQUALL_OK;
}

squall_status sq_ref_memory_gates(const sq_call *call, squall_error *err)
{
    (void)err;
    const sq_step *step = call->step;
    const squall_tensor *state = &step->in[2];
    size_t count;
    const int64_t *part = sq_attr_ints(step->attrs, "sq_gates", &count);
    const float *offsets = sq_attr_floats(step->attrs, "sq_offsets", &count);
    const size_t each = sq_ref_product(state->dims, 1, state->rank);
    const size_t items = each > 0 ? (size_t)state->dims[0] : 0;
    for (size_t n = 0; n < items; n++) {
        for (size_t at = 0; at < each; at += SQ_REF_RUN) {
            const size_t run = each - at < SQ_REF_RUN ? each - at : SQ_REF_RUN;
            double gate[3][SQ_REF_RUN], other[SQ_REF_RUN], cell[SQ_REF_RUN];
            for (int g = 0; g < 3; g++) {
                sq_ref_load(&step->in[0], part_at(n, each, at, part[0], part[2 + 2 * g]), 1, run,
                            gate[g]);
                sq_ref_load(&step->in[1], part_at(n, each, at, part[1], part[3 + 2 * g]), 1, run,
                            other);
                for (size_t i = 0; i < run; i++) {
                    gate[g][i] += other[i] + (double)offsets[g];
                }
            }
            sq_ref_load(state, n * each + at, 1, run, cell);
            for (size_t i = 0; i < run; i++) {
                cell[i] = sigmoid(gate[1][i]) * cell[i] + sigmoid(gate[0][i]) * tanh(gate[2][i]);
            }
            sq_ref_store(&step->out[0], n * each + at, run, cell);
        }
    }
    return SQUALL_OK;
}
