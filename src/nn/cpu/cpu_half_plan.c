/* nn/cpu/cpu_half_plan.c - the twin in float32 of a step in 16 bits: what a band of rows needs. */
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_half.h"

/* What the widened rows of a band may take; how many rows it has at least, and which part of the
 * image it is at most where that is more. */
static const double band_bytes = 16e6;
enum { LEAST_ROWS = 16, LARGEST_PART = 4, TILE_ROWS = 4 };

static bool is_half(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_F16 || tensor->dtype == SQUALL_BF16;
}

bool sq_half_wanted(const sq_step *step)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (is_half(&step->in[i])) {
            return true;
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (is_half(&step->out[i])) {
            return true;
        }
    }
    return false;
}

static squall_tensor widened(const squall_tensor *tensor)
{
    squall_tensor wide = *tensor;
    wide.dtype = is_half(tensor) ? SQUALL_F32 : tensor->dtype;
    wide.data = NULL;
    return wide;
}

/* The step on all of its tensors at once. */
static void make_whole(const sq_step *step, sq_half_twin *t)
{
    *t = (sq_half_twin){.op = step->op,
                        .in_count = step->in_count,
                        .out_count = step->out_count,
                        .images = 1,
                        .height = 1,
                        .rows = 1,
                        .bands = 1,
                        .in_rows = 1};
    for (uint32_t i = 0; i < step->in_count; i++) {
        t->in[i] = widened(&step->in[i]);
        t->ports[i] = (sq_half_port){.dtype = step->in[i].dtype, .from = i, .to = i};
        t->dtype = is_half(&step->in[i]) ? step->in[i].dtype : t->dtype;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        t->out[i] = widened(&step->out[i]);
        t->outs[i] = (sq_half_port){.dtype = step->out[i].dtype, .from = i, .to = i};
        t->dtype = is_half(&step->out[i]) ? step->out[i].dtype : t->dtype;
    }
    t->port_count = step->in_count;
}

/* Numbers of a row of all images' planes, with the lanes that fill a block up. */
static double row_numbers(const squall_tensor *tensor)
{
    return (double)sq_cpu_blocks(tensor) * sq_cpu_pick()->lanes * (double)tensor->dims[3];
}

/* One image, and a band of its rows, where there are such. */
static void cut_tensor(squall_tensor *tensor, sq_half_port *port, int64_t images, int64_t rows)
{
    if (tensor->rank == 4 && tensor->dims[0] == images) {
        port->per_image = true;
        tensor->dims[0] = 1;
        if (port->rows) {
            tensor->dims[2] = rows;
        }
    }
}

/* Bands of the outputs, all of about the same height. */
static void share_rows(sq_half_twin *t, double row_bytes)
{
    int64_t fit = (int64_t)(band_bytes / (row_bytes > 1 ? row_bytes : 1));
    fit = fit < t->height / LARGEST_PART ? fit : t->height / LARGEST_PART;
    const int64_t most = fit < LEAST_ROWS ? LEAST_ROWS : fit;
    const int64_t bands = (t->height + most - 1) / most, rows = (t->height + bands - 1) / bands;
    t->rows = (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    t->rows = t->rows < t->height ? t->rows : t->height;
    t->bands = (t->height + t->rows - 1) / t->rows;
}

static void cut_all(const sq_step *step, sq_half_twin *t)
{
    t->images = step->out[0].dims[0];
    for (uint32_t i = 0; i < t->port_count; i++) {
        cut_tensor(&t->in[t->ports[i].to], &t->ports[i], t->images, t->in_rows);
    }
    for (uint32_t i = 0; i < t->out_count; i++) {
        t->outs[i].rows = true;
        cut_tensor(&t->out[i], &t->outs[i], t->images, t->rows);
    }
}

/* ---- Windows that slide: convolutions and max-pooling. ---- */

/* Pads of the twin: rows beyond the image come as zeros, or there are none. */
static bool set_pads(const sq_attrs *from, const sq_window *w, sq_attrs *attrs)
{
    const int64_t reach = (w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    const int64_t right = reach - w->in[1] - w->pad_begin[1];
    const int64_t pads[] = {0, w->pad_begin[1], 0, right > 0 ? right : 0};
    if (!sq_attrs_copy(from, attrs) || !sq_attr_set_ints(attrs, "pads", pads, 4)) {
        return false;
    }
    sq_attr_remove(attrs, "auto_pad");
    sq_attr_remove(attrs, "ceil_mode");
    return true;
}

/* The images that a convolution joins become planes of one. */
static bool join_sources(const sq_step *step, sq_half_twin *t)
{
    size_t count = 0;
    const int64_t *scales = sq_attr_ints(step->attrs, "sq_upsample", &count);
    const int64_t lanes = sq_cpu_pick()->lanes;
    size_t plane = 0;
    uint32_t made = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (i == 1 || i == 2) {
            continue;
        }
        const int64_t scale = made < count ? scales[made] : 1;
        const bool last = i + 1 == step->in_count || (i == 0 && step->in_count == 3);
        if ((scale != 1 && scale != 2) || (!last && step->in[i].dims[1] % lanes != 0)) {
            return false;
        }
        t->ports[made++] = (sq_half_port){.dtype = step->in[i].dtype,
                                          .from = i,
                                          .rows = true,
                                          .shift = scale == 2,
                                          .first_plane = plane};
        plane += (size_t)sq_cpu_blocks(&step->in[i]);
    }
    t->port_count = made;
    return true;
}

/* The window whose rows a step reads. */
static bool find_window(const sq_step *step, const sq_step *view, sq_window *w)
{
    sq_conv_depth depth;
    if (step->op == SQ_OP_SqConvDepth) {
        return sq_op_conv_depth(step, &depth, NULL) == SQUALL_OK && depth.middle.rank == 4 &&
               step->out[0].rank == 4 && depth.middle.dims[2] == step->out[0].dims[2] &&
               sq_op_window(&depth.first, w, NULL) == SQUALL_OK;
    }
    return view->in_count <= 3 && sq_op_window(view, w, NULL) == SQUALL_OK;
}

static bool make_window(const sq_step *step, sq_half_twin *t, sq_attrs *attrs)
{
    sq_conv_join join;
    sq_window w;
    const bool joined = step->op == SQ_OP_SqConvJoin;
    const sq_step *view = step;
    if (joined) {
        if (sq_op_conv_join(step, &join, NULL) != SQUALL_OK) {
            return false;
        }
        join.conv.in = join.in;
        view = &join.conv;
    }
    if (step->out_count != 1 || view->in[0].rank != 4 || !find_window(step, view, &w) ||
        w.spatial != 2 || w.out[0] < 1) {
        return false;
    }
    const int64_t reach = (w.kernel[0] - 1) * w.dilation[0] + 1;
    const bool inside = w.pad_begin[0] == 0 && (w.out[0] - 1) * w.stride[0] + reach <= w.in[0];
    if (step->op == SQ_OP_MaxPool && !inside) {
        return false; /* zeros are no padding for it */
    }
    make_whole(view, t);
    t->ports[0].rows = true;
    t->port_count = 1; /* weights and bias are packed */
    if (joined && !join_sources(step, t)) {
        return false;
    }
    t->height = w.out[0];
    t->stride = w.stride[0];
    t->before = w.pad_begin[0];
    share_rows(t, sizeof(float) * (row_numbers(&view->in[0]) * (double)w.stride[0] +
                                   row_numbers(&view->out[0])));
    t->in_rows = (t->rows - 1) * w.stride[0] + reach;
    cut_all(step, t);
    return set_pads(view->attrs, &w, attrs);
}

/* ---- Numbers that keep their place. ---- */

static bool keeps_rows(sq_op op)
{
    switch (op) {
    case SQ_OP_Relu:
    case SQ_OP_LeakyRelu:
    case SQ_OP_Clip:
    case SQ_OP_Sigmoid:
    case SQ_OP_Tanh:
    case SQ_OP_HardSigmoid:
    case SQ_OP_HardSwish:
    case SQ_OP_Add:
    case SQ_OP_Sub:
    case SQ_OP_Mul:
    case SQ_OP_Div:
    case SQ_OP_Concat:
    case SQ_OP_SqReorder:
    case SQ_OP_SqLstmGates:
    case SQ_OP_SqGruReset:
    case SQ_OP_SqGruUpdate:
    case SQ_OP_SqMemoryGates:
        return true;
    default:
        return false;
    }
}

static bool make_rows(const sq_step *step, sq_half_twin *t)
{
    double row_bytes = 0;
    const int64_t axis = sq_attr_int(step->attrs, "axis", 1);
    if (!keeps_rows(step->op) || (step->op == SQ_OP_Concat && axis != 1 && axis != -3) ||
        step->out[0].rank != 4) {
        return false;
    }
    make_whole(step, t);
    t->height = step->out[0].dims[2];
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].dtype == SQUALL_DTYPE_NONE) {
            return false;
        }
        if (step->out[i].rank != 4 || step->out[i].dims[2] != t->height ||
            step->out[i].dims[0] != step->out[0].dims[0]) {
            return false;
        }
        row_bytes += sizeof(float) * row_numbers(&step->out[i]);
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        const squall_tensor *in = &step->in[i];
        /* An input of one image for many would be cut in the wrong place. */
        if (in->dtype != SQUALL_DTYPE_NONE && in->rank != 4 && squall_tensor_count(in) != 1) {
            return false;
        }
        t->ports[i].rows = in->rank == 4 && in->dims[2] == t->height && t->height > 1;
        if (t->ports[i].rows && in->dims[0] != step->out[0].dims[0]) {
            return false;
        }
        row_bytes += in->rank == 4 ? sizeof(float) * row_numbers(in) : 0;
    }
    t->stride = 1;
    share_rows(t, row_bytes);
    t->in_rows = t->rows;
    cut_all(step, t);
    return true;
}

bool sq_half_twin_make(const sq_step *step, sq_half_twin *twin, sq_attrs *attrs, sq_reason *why)
{
    *attrs = (sq_attrs){.count = 0};
    if (step->in_count > SQ_HALF_INPUTS || step->out_count > SQ_HALF_OUTPUTS ||
        step->out_count < 1) {
        return sq_cpu_refuse(why, "it has too many tensors in 16 bits") != 0;
    }
    const bool window = step->op == SQ_OP_Conv || step->op == SQ_OP_SqConvJoin ||
                        step->op == SQ_OP_SqConvDepth || step->op == SQ_OP_MaxPool;
    if (window ? make_window(step, twin, attrs) : make_rows(step, twin)) {
        return true;
    }
    sq_attrs_free(attrs);
    *attrs = (sq_attrs){.count = 0};
    make_whole(step, twin);
    return true;
}

sq_step sq_half_twin_step(const sq_step *step, sq_half_twin *twin, const sq_attrs *attrs)
{
    return (sq_step){.op = twin->op,
                     .name = step->name,
                     .attrs = attrs->count > 0 ? attrs : step->attrs,
                     .in_count = twin->in_count,
                     .out_count = twin->out_count,
                     .in = twin->in,
                     .out = twin->out};
}

/* ---- What hangs on the tactic. ---- */

/* The tensor as planes of rows, in the layout that the tactic wants. */
static bool measure_port(const squall_tensor *tensor, squall_layout layout, sq_half_port *port)
{
    squall_tensor laid = *tensor;
    laid.layout = layout;
    const size_t size = squall_dtype_size(tensor->dtype), bytes = squall_tensor_bytes(&laid);
    if (size == 0 || bytes == SIZE_MAX) {
        return false;
    }
    port->lanes = layout == SQUALL_C16 ? 16 : layout == SQUALL_C8 ? 8 : 1;
    if (!port->per_image) {
        port->planes = 1;
        port->height = 1;
        port->width = bytes / size;
        port->pieces = (port->width + SQ_HALF_PIECE - 1) / SQ_HALF_PIECE;
        return true;
    }
    port->planes = ((size_t)tensor->dims[1] + port->lanes - 1) / port->lanes;
    port->height = (size_t)tensor->dims[2];
    port->width = (size_t)tensor->dims[3] * port->lanes;
    port->pieces = port->planes;
    return layout != SQUALL_NHWC;
}

/* A place in scratch for a tensor of the twin; what is float32 and whole stays where it is. */
static bool place(const squall_tensor *tensor, bool as_it_is, size_t *end, size_t *at)
{
    *at = SIZE_MAX;
    if (as_it_is) {
        return true;
    }
    const size_t bytes = squall_tensor_bytes(tensor);
    *at = *end;
    return bytes <= SQ_LIMIT_ARENA_BYTES &&
           sq_add_size(*end, sq_round_up(bytes, SQ_ALIGNMENT), end);
}

static bool stays(const sq_half_port *port)
{
    return port->dtype != SQUALL_F16 && port->dtype != SQUALL_BF16 && !port->per_image;
}

static bool settle_inputs(const sq_step *step, const sq_tactic *inner, sq_half_twin *t, size_t *end)
{
    size_t at[SQ_HALF_INPUTS];
    bool placed[SQ_HALF_INPUTS];
    for (uint32_t i = 0; i < t->in_count; i++) {
        t->in[i].layout = (squall_layout)inner->in_layout[i];
    }
    for (uint32_t i = 0; i < t->in_count; i++) {
        placed[i] = t->in[i].dtype == SQUALL_DTYPE_NONE || inner->in_dropped[i];
    }
    uint32_t kept = 0;
    for (uint32_t p = 0; p < t->port_count; p++) {
        sq_half_port port = t->ports[p];
        if (step->in[port.from].dtype == SQUALL_DTYPE_NONE || inner->in_dropped[port.to]) {
            continue;
        }
        if (!measure_port(&step->in[port.from], t->in[port.to].layout, &port)) {
            return false;
        }
        if (!placed[port.to] && !place(&t->in[port.to], stays(&port), end, &at[port.to])) {
            return false;
        }
        placed[port.to] = true;
        port.at = at[port.to];
        t->ports[kept++] = port;
    }
    t->port_count = kept;
    for (uint32_t i = 0; i < t->in_count; i++) {
        if (!placed[i]) { /* weights that are not packed */
            return false;
        }
    }
    return true;
}

bool sq_half_twin_settle(const sq_step *step, const sq_tactic *inner, bool wide, sq_half_twin *twin,
                         sq_reason *why)
{
    size_t end = sq_round_up(inner->scratch_bytes, SQ_ALIGNMENT);
    bool fits = settle_inputs(step, inner, twin, &end);
    for (uint32_t i = 0; fits && i < twin->out_count; i++) {
        sq_half_port *out = &twin->outs[i];
        twin->out[i].layout = (squall_layout)inner->out_layout[i];
        out->at = SIZE_MAX;
        fits = step->out[i].dtype == SQUALL_DTYPE_NONE ||
               (measure_port(&step->out[i], twin->out[i].layout, out) &&
                place(&twin->out[i], stays(out), &end, &out->at));
    }
    twin->packed_floats = wide ? 0 : inner->packed_bytes / sizeof(float);
    twin->packed_at = end;
    fits = fits && inner->packed_bytes <= SQ_LIMIT_ARENA_BYTES &&
           sq_add_size(end, sq_round_up(twin->packed_floats * sizeof(float), SQ_ALIGNMENT), &end);
    twin->scratch_bytes = end;
    return fits || sq_cpu_refuse(why, "its tensors are too large to be widened") != 0;
}
