/* nn/cpu/cpu_half_run.c - a step on tensors in 16 bits runs: widened, worked on, narrowed. */
#include <string.h>

#include "nn/cpu/cpu_half.h"

void sq_half_widen(const sq_cpu_half *half, squall_dtype dtype, const void *from, float *to,
                   size_t first, size_t count)
{
    if (dtype == SQUALL_F16) {
        half->widen_f16((const uint16_t *)from + first, to, count);
    } else if (dtype == SQUALL_BF16) {
        half->widen_bf16((const uint16_t *)from + first, to, count);
    } else {
        memcpy(to, (const float *)from + first, count * sizeof *to);
    }
}

void sq_half_narrow(const sq_cpu_half *half, squall_dtype dtype, const float *from, void *to,
                    size_t first, size_t count)
{
    if (dtype == SQUALL_F16) {
        half->narrow_f16(from, (uint16_t *)to + first, count);
    } else if (dtype == SQUALL_BF16) {
        half->narrow_bf16(from, (uint16_t *)to + first, count);
    } else {
        memcpy((float *)to + first, from, count * sizeof *from);
    }
}

/* ---- Casts are conversions themselves. ---- */

static bool is_float32(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_F32;
}

bool sq_half_is_cast(const sq_step *step)
{
    return step->op == SQ_OP_Cast && step->in_count == 1 && step->out_count == 1 &&
           (is_float32(&step->in[0]) || is_float32(&step->out[0])) &&
           squall_dtype_size(step->in[0].dtype) + squall_dtype_size(step->out[0].dtype) == 6;
}

static void cast_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const squall_tensor *half = is_float32(in) ? out : in;
    const size_t all = squall_tensor_bytes(half) / sizeof(uint16_t), first = index * SQ_HALF_PIECE;
    const size_t count = all - first < SQ_HALF_PIECE ? all - first : SQ_HALF_PIECE;
    (void)thread;
    if (is_float32(in)) {
        sq_half_narrow(sq_cpu_half_pick(), half->dtype, (const float *)in->data + first, out->data,
                       first, count);
    } else {
        sq_half_widen(sq_cpu_half_pick(), half->dtype, in->data, (float *)out->data + first, first,
                      count);
    }
}

static squall_status run_cast(const sq_call *call)
{
    const squall_tensor *in = &call->step->in[0];
    const size_t all = squall_tensor_bytes(in) / squall_dtype_size(in->dtype);
    sq_pool_run(call->pool, cast_piece, (void *)(uintptr_t)call,
                (all + SQ_HALF_PIECE - 1) / SQ_HALF_PIECE);
    return SQUALL_OK;
}

/* ---- Running. ---- */

typedef struct half_run {
    const sq_half_state *state;
    const sq_call *call;
    unsigned char *scratch;
    int64_t image, y; /* of the band */
} half_run;

/* One row of a plane, each number twice where it stands for 2 x 2. */
static void widen_row(const half_run *r, const sq_half_port *port, size_t first, float *to)
{
    const void *data = r->call->step->in[port->from].data;
    if (port->shift == 0) {
        sq_half_widen(r->state->half, port->dtype, data, to, first, port->width);
        return;
    }
    /* In the upper half of the row, from where it is spread out. */
    float *from = to + port->width;
    sq_half_widen(r->state->half, port->dtype, data, from, first, port->width);
    for (size_t x = 0; x < port->width; x += port->lanes) {
        for (size_t twice = 0; twice < 2; twice++) {
            memmove(to + 2 * x + twice * port->lanes, from + x, port->lanes * sizeof *to);
        }
    }
}

static void widen_plane(const half_run *r, const sq_half_port *port, size_t plane, float *to)
{
    const sq_half_twin *t = &r->state->twin;
    const size_t width = port->width << port->shift;
    const int64_t rows = port->rows ? t->in_rows : (int64_t)port->height;
    const int64_t first = port->rows ? r->y * t->stride - t->before : 0;
    const int64_t height = (int64_t)(port->height << port->shift);
    const size_t start = ((size_t)r->image * port->planes + plane) * port->height * port->width;
    to += (port->first_plane + plane) * (size_t)rows * width;
    for (int64_t i = 0; i < rows; i++, to += width) {
        const int64_t y = first + i;
        if (y < 0 || y >= height) {
            memset(to, 0, width * sizeof *to);
        } else if (port->shift == 1 && i > 0 && y % 2 == 1) {
            memcpy(to, to - width, width * sizeof *to);
        } else {
            widen_row(r, port, start + ((size_t)y >> port->shift) * port->width, to);
        }
    }
}

/* A piece of what is one row of numbers. */
static size_t piece_of(const sq_half_port *port, size_t piece, size_t *first)
{
    const size_t left = port->width - piece * SQ_HALF_PIECE;
    *first = piece * SQ_HALF_PIECE;
    return left < SQ_HALF_PIECE ? left : SQ_HALF_PIECE;
}

/* The port of a piece of work, whose number becomes that within the port. */
static const sq_half_port *port_of(const sq_half_port *ports, size_t *index)
{
    while (*index >= ports->pieces) {
        *index -= ports->pieces;
        ports++;
    }
    return ports;
}

static void widen_job(void *arg, size_t index, int thread)
{
    const half_run *r = arg;
    const sq_half_port *port = port_of(r->state->twin.ports, &index);
    (void)thread;
    if (port->at == SIZE_MAX) {
        return;
    }
    float *to = (float *)(void *)(r->scratch + port->at);
    if (port->per_image) {
        widen_plane(r, port, index, to);
        return;
    }
    size_t first;
    const size_t count = piece_of(port, index, &first);
    sq_half_widen(r->state->half, port->dtype, r->call->step->in[port->from].data, to + first,
                  first, count);
}

static void narrow_job(void *arg, size_t index, int thread)
{
    const half_run *r = arg;
    const sq_half_twin *t = &r->state->twin;
    const sq_half_port *port = port_of(t->outs, &index);
    (void)thread;
    if (port->at == SIZE_MAX) {
        return;
    }
    const float *from = (const float *)(const void *)(r->scratch + port->at);
    void *to = r->call->step->out[port->from].data;
    if (port->per_image) {
        const size_t plane = (size_t)r->image * port->planes + index;
        sq_half_narrow(r->state->half, port->dtype, from + index * (size_t)t->rows * port->width,
                       to, (plane * port->height + (size_t)r->y) * port->width,
                       (size_t)t->rows * port->width);
        return;
    }
    size_t first;
    const size_t count = piece_of(port, index, &first);
    sq_half_narrow(r->state->half, port->dtype, from + first, to, first, count);
}

static void weights_job(void *arg, size_t index, int thread)
{
    const half_run *r = arg;
    const sq_half_twin *t = &r->state->twin;
    const size_t first = index * SQ_HALF_PIECE, left = t->packed_floats - first;
    (void)thread;
    sq_half_widen(r->state->half, t->dtype, r->call->packed,
                  (float *)(void *)(r->scratch + t->packed_at) + first, first,
                  left < SQ_HALF_PIECE ? left : SQ_HALF_PIECE);
}

static size_t all_pieces(const sq_half_port *ports, uint32_t count)
{
    size_t pieces = 0;
    for (uint32_t i = 0; i < count; i++) {
        pieces += ports[i].pieces;
    }
    return pieces;
}

/* The twin's tensors: in scratch, or the step's own. */
static void set_data(const half_run *r, squall_tensor *in, squall_tensor *out)
{
    const sq_half_twin *t = &r->state->twin;
    memcpy(in, t->in, t->in_count * sizeof *in);
    memcpy(out, t->out, t->out_count * sizeof *out);
    for (uint32_t p = 0; p < t->port_count; p++) {
        const sq_half_port *port = &t->ports[p];
        in[port->to].data = port->at == SIZE_MAX ? r->call->step->in[port->from].data
                                                 : (void *)(r->scratch + port->at);
    }
    for (uint32_t i = 0; i < t->out_count; i++) {
        const size_t at = t->outs[i].at;
        out[i].data = at == SIZE_MAX ? r->call->step->out[i].data : (void *)(r->scratch + at);
    }
}

static squall_status run_twin(const sq_call *call)
{
    const sq_half_state *s = call->state;
    const sq_half_twin *t = &s->twin;
    squall_tensor in[SQ_HALF_INPUTS], out[SQ_HALF_OUTPUTS];
    half_run r = {.state = s, .call = call, .scratch = call->scratch};
    sq_step step = sq_half_twin_step(call->step, (sq_half_twin *)(uintptr_t)t, &(sq_attrs){0});
    sq_call inner = *call;
    step.in = in;
    step.out = out;
    inner.step = &step;
    inner.state = s->inner_state > 0 ? (const char *)call->state + s->inner_state : NULL;
    if (t->packed_floats > 0) {
        inner.packed = r.scratch + t->packed_at;
        sq_pool_run(call->pool, weights_job, &r,
                    (t->packed_floats + SQ_HALF_PIECE - 1) / SQ_HALF_PIECE);
    }
    set_data(&r, in, out);
    const size_t ins = all_pieces(t->ports, t->port_count),
                 outs = all_pieces(t->outs, t->out_count);
    for (r.image = 0; r.image < t->images; r.image++) {
        for (int64_t band = 0; band < t->bands; band++) {
            /* The last one ends with the image, and may do some rows again. */
            const int64_t y = band * t->rows;
            r.y = y + t->rows < t->height ? y : t->height - t->rows;
            sq_pool_run(call->pool, widen_job, &r, ins);
            SQ_TRY(s->run(&inner));
            sq_pool_run(call->pool, narrow_job, &r, outs);
        }
    }
    return SQUALL_OK;
}

squall_status sq_half_run(const sq_call *call)
{
    return sq_half_is_cast(call->step) ? run_cast(call) : run_twin(call);
}
