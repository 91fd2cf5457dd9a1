/* nn/cpu/cpu_point.c - activations and arithmetic, element by element, in whatever layout comes in.
 */
#include <math.h>
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

enum { PIECE = 16384 }; /* floats of one piece of work */

/* How the two operands of an arithmetic operator meet. */
typedef enum meeting {
    MEET_NOT = 0,
    MEET_SAME,   /* equal shapes: element by element */
    MEET_SCALAR, /* b is one number */
    MEET_BLOCK,  /* b is [N or 1, C, 1, 1]: a number a channel */
    MEET_PIXEL   /* b is [N, 1, H, W]: a number a pixel */
} meeting;

typedef struct point_state {
    const sq_cpu_kernels *kernels;
    sq_cpu_act act;
    meeting meet;
    bool swapped; /* b is input 0 */
    size_t count; /* floats of the result, filling lanes counted in */
    size_t blocks, pixels, channels;
    bool block_batch; /* MEET_BLOCK: b has a batch of its own */
} point_state;

static bool floats(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_F32;
}

static size_t floats_of(const squall_tensor *tensor)
{
    return squall_tensor_bytes(tensor) / sizeof(float);
}

/* ------------------------------------------------------------------ activations */

static bool unary_act(const sq_step *step, sq_cpu_act *act)
{
    memset(act, 0, sizeof *act);
    switch (step->op) {
    case SQ_OP_Relu:
        act->kind = SQ_ACT_RELU;
        return true;
    case SQ_OP_LeakyRelu:
        act->kind = SQ_ACT_LEAKY_RELU;
        act->a = sq_attr_float(step->attrs, "alpha", 0.01f);
        return true;
    case SQ_OP_Sigmoid:
        act->kind = SQ_ACT_SIGMOID;
        return true;
    case SQ_OP_Tanh:
        act->kind = SQ_ACT_TANH;
        return true;
    case SQ_OP_HardSigmoid:
        act->kind = SQ_ACT_HARD_SIGMOID;
        act->a = sq_attr_float(step->attrs, "alpha", 0.2f);
        act->b = sq_attr_float(step->attrs, "beta", 0.5f);
        return true;
    case SQ_OP_HardSwish:
        act->kind = SQ_ACT_HARD_SWISH;
        return true;
    default:
        return false;
    }
}

static size_t unary_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    sq_cpu_act act;
    (void)threads;
    if (!floats(&step->in[0]) || !unary_act(step, &act)) {
        return sq_cpu_refuse(why, "only float32 is vectorised");
    }
    sq_cpu_tactic(out, "point");
    out->in_layout[0] = (uint8_t)step->in[0].layout;
    out->out_layout[0] = (uint8_t)step->in[0].layout;
    out->state_bytes = sizeof(point_state);
    out->in_place = 0;
    return 1;
}

static squall_status unary_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                void *state, squall_error *err)
{
    point_state *s = state;
    (void)tactic;
    (void)threads;
    (void)err;
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    (void)unary_act(step, &s->act);
    s->count = floats_of(&step->in[0]);
    return SQUALL_OK;
}

static void unary_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const point_state *s = call->state;
    const size_t first = index * PIECE, left = s->count - first;
    (void)thread;
    s->kernels->unary((const float *)call->step->in[0].data + first,
                      (float *)call->step->out[0].data + first, left < PIECE ? left : PIECE,
                      &s->act);
}

static squall_status unary_run(const sq_call *call)
{
    const point_state *s = call->state;
    sq_pool_run(call->pool, unary_piece, (void *)(uintptr_t)call, (s->count + PIECE - 1) / PIECE);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ arithmetic */

static bool same_shape(const squall_tensor *a, const squall_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* How `b` is spread over `a`, whose shape is the result's; in which layout it comes does not
 * matter, since a tactic may ask for another. */
static meeting meets(const squall_tensor *a, const squall_tensor *b)
{
    if (same_shape(a, b)) {
        return MEET_SAME;
    }
    if (squall_tensor_count(b) == 1) {
        return MEET_SCALAR;
    }
    if (a->rank != 4 || b->rank != 4) {
        return MEET_NOT;
    }
    if (b->dims[1] == a->dims[1] && b->dims[2] == 1 && b->dims[3] == 1 &&
        (b->dims[0] == a->dims[0] || b->dims[0] == 1)) {
        return MEET_BLOCK;
    }
    if (b->dims[0] == a->dims[0] && b->dims[1] == 1 && b->dims[2] == a->dims[2] &&
        b->dims[3] == a->dims[3]) {
        return MEET_PIXEL;
    }
    return MEET_NOT;
}

/* Which input is spread, and how. Only sums and products may be turned round. */
static meeting arrange(const sq_step *step, bool *swapped)
{
    const squall_tensor *a = &step->in[0], *b = &step->in[1], *out = &step->out[0];
    *swapped = false;
    if (same_shape(a, out)) {
        const meeting meet = meets(a, b);
        if (meet != MEET_NOT) {
            return meet;
        }
    }
    if (same_shape(b, out) && (step->op == SQ_OP_Add || step->op == SQ_OP_Mul)) {
        *swapped = true;
        return meets(b, a);
    }
    return MEET_NOT;
}

static size_t binary_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    bool swapped;
    const squall_layout blocked = sq_cpu_pick()->layout;
    (void)threads;
    if (!floats(&step->in[0]) || !floats(&step->in[1]) || !floats(&step->out[0])) {
        return sq_cpu_refuse(why, "only float32 is vectorised");
    }
    const meeting meet = arrange(step, &swapped);
    if (meet == MEET_NOT) {
        return sq_cpu_refuse(why, "this broadcast is not vectorised");
    }
    const uint32_t main = swapped ? 1 : 0, other = 1 - main;
    squall_layout layout = step->in[main].layout;
    sq_cpu_tactic(out, "point");
    if (meet == MEET_BLOCK || meet == MEET_PIXEL) {
        layout = blocked;
    } else if (meet == MEET_SAME && step->in[other].layout != SQUALL_PLAIN) {
        layout = step->in[other].layout;
    }
    out->in_layout[main] = (uint8_t)layout;
    out->in_layout[other] = (uint8_t)(meet == MEET_SAME ? layout : SQUALL_PLAIN);
    out->out_layout[0] = (uint8_t)layout;
    out->state_bytes = sizeof(point_state);
    out->in_place = (int8_t)main;
    return 1;
}

static squall_status binary_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                 void *state, squall_error *err)
{
    point_state *s = state;
    (void)threads;
    (void)err;
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->act = sq_cpu_step_act(step);
    s->meet = arrange(step, &s->swapped);
    squall_tensor out = step->out[0];
    out.layout = (squall_layout)tactic->out_layout[0];
    s->count = floats_of(&out);
    if (s->meet == MEET_BLOCK || s->meet == MEET_PIXEL) {
        s->blocks = (size_t)sq_cpu_blocks(&out);
        s->pixels = (size_t)sq_cpu_pixels(&out);
        s->channels = (size_t)out.dims[1];
        s->block_batch = step->in[s->swapped ? 0 : 1].dims[0] != 1;
    }
    return SQUALL_OK;
}

static void same_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const point_state *s = call->state;
    const size_t first = index * PIECE, left = s->count - first;
    (void)thread;
    s->kernels->binary((const float *)call->step->in[0].data + first,
                       (const float *)call->step->in[1].data + first,
                       (float *)call->step->out[0].data + first, left < PIECE ? left : PIECE,
                       call->step->op, &s->act);
}

static void scalar_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const point_state *s = call->state;
    const size_t first = index * PIECE, left = s->count - first;
    const size_t count = left < PIECE ? left : PIECE;
    const float number = *(const float *)call->step->in[s->swapped ? 0 : 1].data;
    const float *a = (const float *)call->step->in[s->swapped ? 1 : 0].data + first;
    float *out = (float *)call->step->out[0].data + first;
    float block[16];
    (void)thread;
    for (size_t i = 0; i < 16; i++) {
        block[i] = number;
    }
    const size_t lanes = (size_t)s->kernels->lanes, whole = count / lanes * lanes;
    s->kernels->binary_block(a, block, out, whole / lanes, call->step->op, &s->act);
    s->kernels->binary(a + whole, block, out + whole, count - whole, call->step->op, &s->act);
}

/* One block of channels of one image. */
static void spread_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const point_state *s = call->state;
    const size_t lanes = (size_t)s->kernels->lanes, plane = s->pixels * lanes;
    const size_t n = index / s->blocks, block = index % s->blocks;
    const float *b = call->step->in[s->swapped ? 0 : 1].data;
    const float *a = (const float *)call->step->in[s->swapped ? 1 : 0].data + index * plane;
    float *out = (float *)call->step->out[0].data + index * plane;
    (void)thread;
    if (s->meet == MEET_PIXEL) {
        s->kernels->binary_pixel(a, b + n * s->pixels, out, s->pixels, call->step->op, &s->act);
        return;
    }
    float numbers[16];
    const float *row = b + (s->block_batch ? n * s->channels : 0);
    for (size_t l = 0; l < lanes; l++) {
        const size_t c = block * lanes + l;
        numbers[l] = c < s->channels ? row[c] : 1.0f; /* a lane without a channel stays finite */
    }
    s->kernels->binary_block(a, numbers, out, s->pixels, call->step->op, &s->act);
}

static squall_status binary_run(const sq_call *call)
{
    const point_state *s = call->state;
    void *arg = (void *)(uintptr_t)call;
    if (s->meet == MEET_SAME || s->meet == MEET_SCALAR) {
        sq_pool_run(call->pool, s->meet == MEET_SAME ? same_piece : scalar_piece, arg,
                    (s->count + PIECE - 1) / PIECE);
    } else {
        sq_pool_run(call->pool, spread_piece, arg, s->blocks * (size_t)call->step->out[0].dims[0]);
    }
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_point[] = {
    {SQ_OP_Relu, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_LeakyRelu, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_Sigmoid, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_Tanh, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_HardSigmoid, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_HardSwish, unary_tactics, NULL, unary_bind, unary_run},
    {SQ_OP_Add, binary_tactics, NULL, binary_bind, binary_run},
    {SQ_OP_Sub, binary_tactics, NULL, binary_bind, binary_run},
    {SQ_OP_Mul, binary_tactics, NULL, binary_bind, binary_run},
    {SQ_OP_Div, binary_tactics, NULL, binary_bind, binary_run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
