/* nn/cpu/cpu_gates.c - gates of recurrent cells, whose parts are runs of numbers one behind the
 * other.
 *
 * In plain tensors they are so for any number of channels, in blocked ones where each part is whole
 * blocks; op_shape_gates.c has the formulas. */
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum { PIECE = 4096 }; /* floats of one piece of work */

typedef struct gates_state {
    const sq_cpu_kernels *kernels;
    size_t each, items; /* floats of the state of one item; items */
    int64_t part[4];    /* LSTM: of i, f, o, g */
    int64_t parts;
    bool squash;
} gates_state;

static size_t pieces_of(const gates_state *s)
{
    return (s->each + PIECE - 1) / PIECE;
}

static size_t tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const squall_layout blocked = sq_cpu_pick()->layout;
    const int64_t lanes = sq_cpu_pick()->lanes;
    (void)threads;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_F32) {
            return sq_cpu_refuse(why, "only float32 is vectorised");
        }
    }
    const bool whole = step->in[1].rank >= 2 && step->in[1].dims[1] % lanes == 0;
    const squall_layout layout =
        whole && (step->in[0].layout == blocked || step->in[1].layout == blocked) ? blocked
                                                                                  : SQUALL_PLAIN;
    sq_cpu_tactic(out, "gates");
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)layout;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out->out_layout[i] = (uint8_t)layout;
    }
    out->state_bytes = sizeof(gates_state);
    return 1;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    gates_state *s = state;
    size_t count;
    (void)tactic;
    (void)threads;
    (void)err;
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->items = (size_t)step->in[1].dims[0];
    s->each = squall_tensor_count(&step->in[1]) / (s->items > 0 ? s->items : 1);
    const int64_t *part = sq_attr_ints(step->attrs, "sq_gates", &count);
    s->parts = step->op == SQ_OP_SqLstmGates ? 4 : part[1];
    memcpy(s->part, part, count * sizeof *part);
    s->squash = sq_attr_int(step->attrs, "sq_sigmoid", 0) == 1;
    return SQUALL_OK;
}

/* A piece of one item: where it begins in the state and, for a part, in the gates. */
typedef struct piece {
    size_t item, first, count;
} piece;

static piece piece_of(const gates_state *s, size_t index)
{
    piece p = {.item = index / pieces_of(s), .first = index % pieces_of(s) * PIECE};
    p.count = s->each - p.first < PIECE ? s->each - p.first : PIECE;
    return p;
}

static const float *gate_at(const sq_call *call, piece p, int64_t part)
{
    const gates_state *s = call->state;
    return (const float *)call->step->in[0].data +
           (p.item * (size_t)s->parts + (size_t)part) * s->each + p.first;
}

static float *at(const squall_tensor *tensor, const gates_state *s, piece p)
{
    return tensor->dtype != SQUALL_DTYPE_NONE ? (float *)tensor->data + p.item * s->each + p.first
                                              : NULL;
}

static void lstm_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const gates_state *s = call->state;
    const piece p = piece_of(s, index);
    const float *gates[4];
    (void)thread;
    for (int i = 0; i < 4; i++) {
        gates[i] = gate_at(call, p, s->part[i]);
    }
    s->kernels->lstm_run(gates, at(&call->step->in[1], s, p), at(&call->step->out[0], s, p),
                         at(&call->step->out[1], s, p), p.count);
}

static squall_status lstm_run(const sq_call *call)
{
    const gates_state *s = call->state;
    sq_pool_run(call->pool, lstm_piece, (void *)(uintptr_t)call, pieces_of(s) * s->items);
    return SQUALL_OK;
}

static void gru_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const gates_state *s = call->state;
    const piece p = piece_of(s, index);
    (void)thread;
    s->kernels->gru_run(gate_at(call, p, s->part[0]), s->squash, at(&call->step->in[1], s, p),
                        call->step->in_count > 2 ? at(&call->step->in[2], s, p) : NULL,
                        at(&call->step->out[0], s, p), p.count);
}

static squall_status gru_run(const sq_call *call)
{
    const gates_state *s = call->state;
    sq_pool_run(call->pool, gru_piece, (void *)(uintptr_t)call, pieces_of(s) * s->items);
    return SQUALL_OK;
}

/* ---- Memories whose gates are sums of parts of two values. ---- */

enum { SUMS = 3, SUM_BYTES = (SUMS + 1) * PIECE * (int)sizeof(float) }; /* of i, f, g; an offset */

typedef struct memory_state {
    gates_state gates;
    int64_t parts[2], part[SUMS][2];
    float offsets[SUMS];
} memory_state;

static size_t memory_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const squall_layout blocked = sq_cpu_pick()->layout;
    const bool whole = step->in[2].rank >= 2 && step->in[2].dims[1] % sq_cpu_pick()->lanes == 0;
    bool any = false;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_F32) {
            return sq_cpu_refuse(why, "only float32 is vectorised");
        }
        any = any || step->in[i].layout == blocked;
    }
    sq_cpu_tactic(out, "gates_of_sums");
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->in_layout[i] = (uint8_t)(whole && any ? blocked : SQUALL_PLAIN);
    }
    out->out_layout[0] = out->in_layout[0];
    out->state_bytes = sizeof(memory_state);
    out->scratch_bytes = SUM_BYTES * (size_t)threads;
    return 1;
}

static squall_status memory_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                 void *state, squall_error *err)
{
    memory_state *s = state;
    size_t count;
    (void)tactic;
    (void)threads;
    (void)err;
    memset(s, 0, sizeof *s);
    s->gates.kernels = sq_cpu_pick();
    s->gates.items = (size_t)step->in[2].dims[0];
    s->gates.each = squall_tensor_count(&step->in[2]) / (s->gates.items > 0 ? s->gates.items : 1);
    const int64_t *part = sq_attr_ints(step->attrs, "sq_gates", &count);
    memcpy(s->parts, part, sizeof s->parts);
    memcpy(s->part, part + 2, sizeof s->part);
    memcpy(s->offsets, sq_attr_floats(step->attrs, "sq_offsets", &count), sizeof s->offsets);
    return SQUALL_OK;
}

static void memory_piece(void *arg, size_t index, int thread)
{
    static const sq_cpu_act none = {SQ_ACT_NONE, 0, 0};
    const sq_call *call = arg;
    const memory_state *s = call->state;
    const gates_state *g = &s->gates;
    const piece p = piece_of(g, index);
    float *sums = (float *)(void *)((char *)call->scratch + (size_t)thread * SUM_BYTES);
    float *offset = sums + SUMS * PIECE;
    for (int k = 0; k < SUMS; k++) {
        const float *from[2];
        float *to = sums + k * PIECE;
        for (int i = 0; i < 2; i++) {
            from[i] = (const float *)call->step->in[i].data +
                      (p.item * (size_t)s->parts[i] + (size_t)s->part[k][i]) * g->each + p.first;
        }
        g->kernels->binary(from[0], from[1], to, p.count, SQ_OP_Add, &none);
        if (s->offsets[k] != 0) {
            for (size_t i = 0; i < p.count; i++) {
                offset[i] = s->offsets[k];
            }
            g->kernels->binary(to, offset, to, p.count, SQ_OP_Add, &none);
        }
    }
    const float *const gates[4] = {sums, sums + PIECE, sums, sums + 2 * PIECE};
    g->kernels->lstm_run(gates, at(&call->step->in[2], g, p), NULL, at(&call->step->out[0], g, p),
                         p.count);
}

static squall_status memory_run(const sq_call *call)
{
    const memory_state *s = call->state;
    sq_pool_run(call->pool, memory_piece, (void *)(uintptr_t)call,
                pieces_of(&s->gates) * s->gates.items);
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_gates[] = {
    {SQ_OP_SqLstmGates, tactics, NULL, bind, lstm_run},
    {SQ_OP_SqGruReset, tactics, NULL, bind, gru_run},
    {SQ_OP_SqGruUpdate, tactics, NULL, bind, gru_run},
    {SQ_OP_SqMemoryGates, memory_tactics, NULL, memory_bind, memory_run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
