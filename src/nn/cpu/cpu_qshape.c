/* nn/cpu/cpu_qshape.c - what lies between convolutions of 8 bits: to and from floats, pooling,
 * repeating, joining channels, and layouts. */
#include <string.h>

#include "nn/cpu/cpu_quant.h"

/* Elements of one piece of work; pixels, and rows of output, of one. */
enum { PIECE = 65536, STRETCH = 4096, BAND_ROWS = 16, MAX_LANES = 16 };

static bool is_image(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_U8 && tensor->rank == 4 && squall_tensor_count(tensor) > 0;
}

/* Elements in memory of one item of a batch. */
static size_t image_bytes(const squall_tensor *tensor)
{
    return (size_t)(sq_cpu_blocks(tensor) * sq_cpu_pixels(tensor) * sq_cpu_pick()->lanes);
}

/* ------------------------------------------------------------------ to and from floats */

typedef struct scale_state {
    const sq_cpu_quant *kernels;
    size_t count; /* elements in memory */
    float scale;
    int32_t zero;
} scale_state;

/* One constant scale and zero point; in any layout, for it is element by element. */
static size_t scale_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const bool down = step->op == SQ_OP_QuantizeLinear;
    const squall_tensor *in = &step->in[0], *zero = &step->in[2];
    (void)threads;
    if (in->dtype != (down ? SQUALL_F32 : SQUALL_U8) ||
        step->out[0].dtype != (down ? SQUALL_U8 : SQUALL_F32) || step->in_count < 3 ||
        step->in[1].dtype != SQUALL_F32 || squall_tensor_count(&step->in[1]) != 1 ||
        zero->dtype != SQUALL_U8 || squall_tensor_count(zero) != 1 ||
        (in->layout != SQUALL_PLAIN && in->layout != sq_cpu_pick()->layout)) {
        return sq_cpu_refuse(why, "only float32 and uint8 by one scale and zero point are "
                                  "vectorised");
    }
    sq_cpu_quant_tactic(out, down ? "quantize" : "dequantize");
    out->in_layout[0] = out->out_layout[0] = (uint8_t)in->layout;
    out->state_bytes = sizeof(scale_state);
    out->cost = 1e-10 * (double)squall_tensor_count(in);
    return 1;
}

static squall_status scale_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                void *state, squall_error *err)
{
    scale_state *s = state;
    (void)tactic;
    (void)threads;
    (void)err;
    s->kernels = sq_cpu_quant_pick();
    s->count = squall_tensor_bytes(&step->in[0]) / squall_dtype_size(step->in[0].dtype);
    return SQUALL_OK;
}

static void scale_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const scale_state *s = call->state;
    const sq_step *step = call->step;
    const size_t first = index * PIECE;
    const size_t count = s->count - first < PIECE ? s->count - first : PIECE;
    const float scale = *(const float *)step->in[1].data;
    const int32_t zero = *(const uint8_t *)step->in[2].data;
    (void)thread;
    if (step->op == SQ_OP_QuantizeLinear) {
        s->kernels->quantize((const float *)step->in[0].data + first,
                             (uint8_t *)step->out[0].data + first, count, scale, zero);
    } else {
        s->kernels->dequantize((const uint8_t *)step->in[0].data + first,
                               (float *)step->out[0].data + first, count, scale, zero);
    }
}

static squall_status scale_run(const sq_call *call)
{
    const scale_state *s = call->state;
    sq_pool_run(call->pool, scale_piece, (void *)(uintptr_t)call, (s->count + PIECE - 1) / PIECE);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ windows and repetition */

typedef struct plane_state {
    sq_window window;
    int64_t lanes, planes; /* planes: items times blocks of channels */
    int64_t up_y, up_x;    /* how often each cell is repeated */
} plane_state;

static void blocked_tactic(sq_tactic *out, const char *what)
{
    sq_cpu_quant_tactic(out, what);
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->state_bytes = sizeof(plane_state);
}

static size_t max_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    sq_window w;
    (void)threads;
    if (!is_image(&step->in[0]) || step->out_count != 1 ||
        sq_op_window(step, &w, NULL) != SQUALL_OK) {
        return sq_cpu_refuse(why, "only two-dimensional max-pooling of uint8 is done here");
    }
    for (int i = 0; i < 2; i++) {
        /* Every window must lie inside. */
        if (w.pad_begin[i] != 0 || w.dilation[i] != 1 ||
            (w.out[i] - 1) * w.stride[i] + w.kernel[i] > w.in[i]) {
            return sq_cpu_refuse(why, "a window reaches out of the input");
        }
    }
    blocked_tactic(out, "pool_max_u8");
    return 1;
}

/* Repetition by whole factors: nearest, by asymmetric coordinates and floor. */
static size_t repeat_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const squall_tensor *in = &step->in[0], *to = &step->out[0];
    (void)threads;
    if (!is_image(in) || in->dims[0] != to->dims[0] || in->dims[1] != to->dims[1] ||
        strcmp(sq_attr_string(step->attrs, "mode", "nearest"), "nearest") != 0 ||
        strcmp(sq_attr_string(step->attrs, "coordinate_transformation_mode", "half_pixel"),
               "asymmetric") != 0 ||
        strcmp(sq_attr_string(step->attrs, "nearest_mode", "round_prefer_floor"), "floor") != 0 ||
        sq_attr_find(step->attrs, "axes") != NULL) {
        return sq_cpu_refuse(why, "only repetition of uint8 images by nearest, asymmetric and "
                                  "floor is done here");
    }
    const squall_tensor *scales = step->in_count == 3 ? &step->in[2] : NULL;
    for (uint32_t d = 2; d < 4; d++) {
        if (to->dims[d] % in->dims[d] != 0 ||
            (scales != NULL && (scales->dtype != SQUALL_F32 || scales->data == NULL ||
                                squall_tensor_count(scales) != 4 ||
                                (double)((const float *)scales->data)[d] * (double)in->dims[d] !=
                                    (double)to->dims[d]))) {
            return sq_cpu_refuse(why, "its scale is no whole number, or not constant");
        }
    }
    blocked_tactic(out, "resize_nearest_u8");
    return 1;
}

static squall_status plane_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                void *state, squall_error *err)
{
    plane_state *s = state;
    (void)tactic;
    (void)threads;
    memset(s, 0, sizeof *s);
    s->lanes = sq_cpu_pick()->lanes;
    s->planes = step->in[0].dims[0] * sq_cpu_blocks(&step->in[0]);
    if (step->op == SQ_OP_MaxPool) {
        return sq_op_window(step, &s->window, err);
    }
    for (int i = 0; i < 2; i++) {
        s->window.in[i] = step->in[0].dims[i + 2];
        s->window.out[i] = step->out[0].dims[i + 2];
    }
    s->up_y = s->window.out[0] / s->window.in[0];
    s->up_x = s->window.out[1] / s->window.in[1];
    return SQUALL_OK;
}

/* A row of output; `lanes` is known where this is put in. */
static inline __attribute__((always_inline)) void max_lanes(const sq_window *w, const uint8_t *in,
                                                            uint8_t *out, const size_t lanes)
{
    for (int64_t x = 0; x < w->out[1]; x++, out += lanes) {
        const uint8_t *at = in + (size_t)(x * w->stride[1]) * lanes;
        uint8_t most[MAX_LANES] = {0};
        for (int64_t ty = 0; ty < w->kernel[0]; ty++) {
            for (int64_t tx = 0; tx < w->kernel[1]; tx++) {
                const uint8_t *cell = at + (size_t)(ty * w->in[1] + tx) * lanes;
                for (size_t l = 0; l < lanes; l++) {
                    most[l] = cell[l] > most[l] ? cell[l] : most[l];
                }
            }
        }
        memcpy(out, most, lanes);
    }
}

static void max_row(const plane_state *s, const uint8_t *in, uint8_t *out)
{
    if (s->lanes == 16) {
        max_lanes(&s->window, in, out, 16);
    } else {
        max_lanes(&s->window, in, out, 8);
    }
}

static void repeat_row(const plane_state *s, const uint8_t *in, uint8_t *out)
{
    const size_t lanes = (size_t)s->lanes;
    for (int64_t x = 0; x < s->window.in[1]; x++, in += lanes) {
        for (int64_t i = 0; i < s->up_x; i++, out += lanes) {
            memcpy(out, in, lanes);
        }
    }
}

/* A band of rows of one block of channels. */
static void plane_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const plane_state *s = call->state;
    const sq_window *w = &s->window;
    const size_t bands = (size_t)((w->out[0] + BAND_ROWS - 1) / BAND_ROWS), plane = index / bands;
    const size_t in_row = (size_t)(w->in[1] * s->lanes), out_row = (size_t)(w->out[1] * s->lanes);
    const int64_t first = (int64_t)(index % bands) * BAND_ROWS;
    const int64_t last = first + BAND_ROWS < w->out[0] ? first + BAND_ROWS : w->out[0];
    const uint8_t *in = (const uint8_t *)call->step->in[0].data + plane * (size_t)w->in[0] * in_row;
    uint8_t *out =
        (uint8_t *)call->step->out[0].data + (plane * (size_t)w->out[0] + (size_t)first) * out_row;
    (void)thread;
    for (int64_t y = first; y < last; y++, out += out_row) {
        if (s->up_y == 0) {
            max_row(s, in + (size_t)(y * w->stride[0]) * in_row, out);
        } else if (y % s->up_y == 0 || y == first) {
            repeat_row(s, in + (size_t)(y / s->up_y) * in_row, out);
        } else {
            memcpy(out, out - out_row, out_row);
        }
    }
}

static squall_status plane_run(const sq_call *call)
{
    const plane_state *s = call->state;
    const size_t bands = (size_t)((s->window.out[0] + BAND_ROWS - 1) / BAND_ROWS);
    sq_pool_run(call->pool, plane_job, (void *)(uintptr_t)call, (size_t)s->planes * bands);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ Concat of channels */

static size_t concat_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const int64_t lanes = sq_cpu_pick()->lanes;
    const int64_t axis = sq_attr_int(step->attrs, "axis", 1);
    (void)threads;
    if (!is_image(&step->out[0]) || (axis != 1 && axis != -3)) {
        return sq_cpu_refuse(why, "only channels of uint8 images are joined here");
    }
    sq_cpu_quant_tactic(out, "concat_u8");
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dims[1] % lanes != 0 && i + 1 < step->in_count) {
            return sq_cpu_refuse(why, "its inputs are no whole blocks of channels");
        }
        out->in_layout[i] = (uint8_t)sq_cpu_pick()->layout;
    }
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    return 1;
}

/* One input of one item. */
static void concat_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const sq_step *step = call->step;
    const uint32_t i = (uint32_t)(index % step->in_count);
    const size_t n = index / step->in_count, bytes = image_bytes(&step->in[i]);
    size_t first = n * image_bytes(&step->out[0]);
    (void)thread;
    for (uint32_t k = 0; k < i; k++) {
        first += image_bytes(&step->in[k]);
    }
    memcpy((uint8_t *)step->out[0].data + first, (const uint8_t *)step->in[i].data + n * bytes,
           bytes);
}

static squall_status concat_run(const sq_call *call)
{
    sq_pool_run(call->pool, concat_piece, (void *)(uintptr_t)call,
                call->step->in_count * (size_t)call->step->out[0].dims[0]);
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ layouts */

static size_t reorder_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const squall_layout from = step->in[0].layout;
    const squall_layout to = (squall_layout)sq_attr_int(step->attrs, "sq_layout", SQUALL_PLAIN);
    const squall_layout blocked = sq_cpu_pick()->layout;
    (void)threads;
    if (step->in[0].dtype != SQUALL_U8 || step->in[0].rank < 2 ||
        !((from == SQUALL_PLAIN && to == blocked) || (from == blocked && to == SQUALL_PLAIN))) {
        return sq_cpu_refuse(why, "only uint8 between plain and this host's blocks");
    }
    sq_cpu_quant_tactic(out, "reorder_u8");
    out->in_layout[0] = (uint8_t)from;
    out->out_layout[0] = (uint8_t)to;
    return 1;
}

static size_t stretches_of(const squall_tensor *tensor)
{
    return ((size_t)sq_cpu_pixels(tensor) + STRETCH - 1) / STRETCH;
}

/* Some pixels of one block of channels of one image. */
static void reorder_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const size_t lanes = (size_t)sq_cpu_pick()->lanes, pixels = (size_t)sq_cpu_pixels(in);
    const size_t channels = (size_t)in->dims[1], blocks = (channels + lanes - 1) / lanes;
    const size_t stretches = stretches_of(in), plane = index / stretches;
    const size_t p0 = index % stretches * STRETCH;
    const size_t count = pixels - p0 < STRETCH ? pixels - p0 : STRETCH;
    const size_t n = plane / blocks, first = plane % blocks * lanes;
    const size_t real = channels - first < lanes ? channels - first : lanes;
    const bool block = in->layout == SQUALL_PLAIN;
    const size_t plain_at = (n * channels + first) * pixels + p0;
    const size_t blocked_at = (plane * pixels + p0) * lanes;
    const uint8_t *from = (const uint8_t *)in->data + (block ? plain_at : blocked_at);
    uint8_t *to = (uint8_t *)out->data + (block ? blocked_at : plain_at);
    (void)thread;
    if (block && real < lanes) {
        memset(to, 0, count * lanes);
    }
    for (size_t l = 0; l < real; l++) {
        for (size_t p = 0; p < count; p++) {
            if (block) {
                to[p * lanes + l] = from[l * pixels + p];
            } else {
                to[l * pixels + p] = from[p * lanes + l];
            }
        }
    }
}

static squall_status reorder_run(const sq_call *call)
{
    const squall_tensor *in = &call->step->in[0];
    if (squall_tensor_count(in) > 0) {
        sq_pool_run(call->pool, reorder_piece, (void *)(uintptr_t)call,
                    (size_t)(sq_cpu_blocks(in) * in->dims[0]) * stretches_of(in));
    }
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_qshape[] = {
    {SQ_OP_QuantizeLinear, scale_tactics, NULL, scale_bind, scale_run},
    {SQ_OP_DequantizeLinear, scale_tactics, NULL, scale_bind, scale_run},
    {SQ_OP_MaxPool, max_tactics, NULL, plane_bind, plane_run},
    {SQ_OP_Resize, repeat_tactics, NULL, plane_bind, plane_run},
    {SQ_OP_Concat, concat_tactics, NULL, NULL, concat_run},
    {SQ_OP_SqReorder, reorder_tactics, NULL, NULL, reorder_run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
