/* nn/cpu/cpu_pool.c - max-pooling, resizing and reductions of blocked tensors. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

/* Shapes that these operators share. */
typedef struct plane_state {
    const sq_cpu_kernels *kernels;
    sq_window window;
    int64_t in_height, in_width, out_height, out_width, blocks, batch, channels;
    bool linear, mean, over_channels;
} plane_state;

static void fill_shapes(const sq_step *step, plane_state *s)
{
    memset(s, 0, sizeof *s);
    s->kernels = sq_cpu_pick();
    s->batch = step->in[0].dims[0];
    s->channels = step->in[0].dims[1];
    s->blocks = sq_cpu_blocks(&step->in[0]);
    s->in_height = step->in[0].dims[2];
    s->in_width = step->in[0].dims[3];
    s->out_height = step->out[0].dims[2];
    s->out_width = step->out[0].dims[3];
}

static bool is_image(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_F32 && tensor->rank == 4 && squall_tensor_count(tensor) > 0;
}

static void blocked_tactic(sq_tactic *out, const char *what)
{
    sq_cpu_tactic(out, what);
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->state_bytes = sizeof(plane_state);
}

/* ------------------------------------------------------------------ max-pooling */

static size_t max_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    sq_window w;
    (void)threads;
    if (!is_image(&step->in[0]) || step->out_count != 1 ||
        sq_op_window(step, &w, NULL) != SQUALL_OK || w.dilation[0] != 1 || w.dilation[1] != 1) {
        return sq_cpu_refuse(why, "only two-dimensional float32 max-pooling is vectorised");
    }
    for (int i = 0; i < 2; i++) {
        /* Every window must hold a cell of the input. */
        if (w.pad_begin[i] >= w.kernel[i] || w.pad_begin[i] < 0 ||
            (w.out[i] - 1) * w.stride[i] - w.pad_begin[i] >= w.in[i]) {
            return sq_cpu_refuse(why, "a window lies outside the input");
        }
    }
    blocked_tactic(out, "pool_max");
    return 1;
}

static squall_status max_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                              void *state, squall_error *err)
{
    plane_state *s = state;
    (void)tactic;
    (void)threads;
    fill_shapes(step, s);
    return sq_op_window(step, &s->window, err);
}

/* A row of output; windows that reach over an edge are cut to what is inside. */
static void max_output_row(const plane_state *s, const float *plane, int64_t y, float *out)
{
    const sq_window *w = &s->window;
    const int64_t lanes = s->kernels->lanes;
    const int64_t top = y * w->stride[0] - w->pad_begin[0];
    const int64_t first_row = top < 0 ? 0 : top;
    const int64_t end_row = top + w->kernel[0] < w->in[0] ? top + w->kernel[0] : w->in[0];
    for (int64_t x = 0; x < w->out[1];) {
        const int64_t start = x * w->stride[1] - w->pad_begin[1];
        const int64_t left = start < 0 ? 0 : start;
        const int64_t end = start + w->kernel[1] < w->in[1] ? start + w->kernel[1] : w->in[1];
        int64_t pixels = 1;
        if (start >= 0 && end == start + w->kernel[1]) {
            const int64_t fit = (w->in[1] - end) / w->stride[1] + 1; /* windows wholly inside */
            pixels = fit < w->out[1] - x ? fit : w->out[1] - x;
        }
        s->kernels->max_row(plane + (first_row * w->in[1] + left) * lanes, w->in[1] * lanes,
                            w->stride[1] * lanes, (int32_t)(end_row - first_row),
                            (int32_t)(end - left), out + x * lanes, (int32_t)pixels);
        x += pixels;
    }
}

static void max_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const plane_state *s = call->state;
    const int64_t lanes = s->kernels->lanes;
    (void)thread;
    const float *plane = (const float *)call->step->in[0].data +
                         (ptrdiff_t)index * s->in_height * s->in_width * lanes;
    float *out =
        (float *)call->step->out[0].data + (ptrdiff_t)index * s->out_height * s->out_width * lanes;
    for (int64_t y = 0; y < s->out_height; y++) {
        max_output_row(s, plane, y, out + y * s->out_width * lanes);
    }
}

static squall_status max_run(const sq_call *call)
{
    const plane_state *s = call->state;
    sq_pool_run(call->pool, max_job, (void *)(uintptr_t)call, (size_t)(s->batch * s->blocks));
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ resizing
 * Where an output row or column comes from is worked out once, in bind(). */

typedef struct resize_axis {
    int32_t *low, *high; /* [out] */
    float *weight;       /* [out], of `high` */
} resize_axis;

typedef struct resize_state {
    plane_state plane;
    size_t tables; /* offset of the tables in the state: low, high, weight of y, then of x */
} resize_state;

static const char *text_of(const sq_step *step, const char *name, const char *otherwise)
{
    return sq_attr_string(step->attrs, name, otherwise);
}

/* Nearest by "asymmetric" and floor, or linear by the four usual ways of counting; both with the
 * scale that the sizes say. */
static const char *resize_problem(const sq_step *step)
{
    const char *mode = text_of(step, "mode", "nearest");
    const char *way = text_of(step, "coordinate_transformation_mode", "half_pixel");
    if (!is_image(&step->in[0]) || step->in[0].dims[0] != step->out[0].dims[0] ||
        step->in[0].dims[1] != step->out[0].dims[1]) {
        return "only the height and width of float32 images are resized here";
    }
    if (step->op == SQ_OP_Upsample) {
        way = "asymmetric";
    }
    if (strcmp(mode, "nearest") == 0) {
        const char *round = text_of(step, "nearest_mode", "round_prefer_floor");
        if (strcmp(way, "asymmetric") != 0 ||
            (step->op != SQ_OP_Upsample && strcmp(round, "floor") != 0)) {
            return "nearest is vectorised by asymmetric coordinates and floor only";
        }
    } else if (strcmp(mode, "linear") != 0 ||
               (strcmp(way, "align_corners") != 0 && strcmp(way, "half_pixel") != 0 &&
                strcmp(way, "pytorch_half_pixel") != 0 && strcmp(way, "asymmetric") != 0)) {
        return "this mode of resizing is not vectorised";
    }
    if (sq_attr_int(step->attrs, "antialias", 0) != 0 ||
        sq_attr_find(step->attrs, "axes") != NULL ||
        strcmp(text_of(step, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0) {
        return "antialiasing, axes and aspect ratios are not vectorised";
    }
    return NULL;
}

/* The scale that was asked for must be the ratio of the sizes, or coordinates would differ. */
static bool scale_is_ratio(const sq_step *step)
{
    const uint32_t at = step->op == SQ_OP_Upsample ? 1 : 2;
    if (step->in_count <= at || step->in[at].dtype != SQUALL_F32 || step->in[at].data == NULL ||
        squall_tensor_count(&step->in[at]) != 4) {
        return step->op == SQ_OP_Resize &&
               step->in_count > 3; /* by sizes: the ratio by definition */
    }
    const float *scales = step->in[at].data;
    for (uint32_t i = 2; i < 4; i++) {
        if ((double)scales[i] * (double)step->in[0].dims[i] != (double)step->out[0].dims[i]) {
            return false;
        }
    }
    return true;
}

static size_t table_bytes(const sq_step *step)
{
    return (size_t)(step->out[0].dims[2] + step->out[0].dims[3]) *
           (2 * sizeof(int32_t) + sizeof(float));
}

static size_t resize_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    (void)threads;
    const char *problem = resize_problem(step);
    if (problem == NULL && !scale_is_ratio(step)) {
        problem = "its scale is not the ratio of its sizes";
    }
    if (problem != NULL) {
        return sq_cpu_refuse(why, problem);
    }
    blocked_tactic(out, strcmp(text_of(step, "mode", "nearest"), "linear") == 0 ? "resize_linear"
                                                                                : "resize_nearest");
    out->state_bytes = sizeof(resize_state) + table_bytes(step);
    return 1;
}

/* Cell `i` of `out` as a place among the cells of `in`. */
static double source_of(const char *way, int64_t i, int64_t in, int64_t out)
{
    const double scale = (double)out / (double)in;
    if (strcmp(way, "align_corners") == 0) {
        return out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0.0;
    }
    if (strcmp(way, "asymmetric") == 0) {
        return (double)i / scale;
    }
    if (strcmp(way, "pytorch_half_pixel") == 0 && out == 1) {
        return 0.0;
    }
    return ((double)i + 0.5) / scale - 0.5;
}

static void fill_axis(const resize_axis *axis, const char *way, bool linear, int64_t in,
                      int64_t out)
{
    for (int64_t i = 0; i < out; i++) {
        double at = source_of(way, i, in, out);
        at = at < 0.0 ? 0.0 : at > (double)(in - 1) ? (double)(in - 1) : at;
        const double low = floor(at);
        axis->low[i] = (int32_t)low;
        axis->high[i] = (int32_t)low + (low < (double)(in - 1) ? 1 : 0);
        axis->weight[i] = linear ? (float)(at - low) : 0.0f;
    }
}

static void find_axes(const resize_state *s, resize_axis *y, resize_axis *x)
{
    const size_t height = (size_t)s->plane.out_height, width = (size_t)s->plane.out_width;
    int32_t *table = (int32_t *)(uintptr_t)((const char *)s + s->tables);
    y->low = table;
    y->high = table + height;
    y->weight = (float *)(table + 2 * height);
    x->low = table + 3 * height;
    x->high = x->low + width;
    x->weight = (float *)(x->low + 2 * width);
}

static squall_status resize_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                 void *state, squall_error *err)
{
    resize_state *s = state;
    resize_axis y, x;
    (void)tactic;
    (void)threads;
    (void)err;
    fill_shapes(step, &s->plane);
    s->plane.linear = strcmp(text_of(step, "mode", "nearest"), "linear") == 0;
    s->tables = sizeof *s;
    const char *way = step->op == SQ_OP_Upsample
                          ? "asymmetric"
                          : text_of(step, "coordinate_transformation_mode", "half_pixel");
    find_axes(s, &y, &x);
    fill_axis(&y, way, s->plane.linear, s->plane.in_height, s->plane.out_height);
    fill_axis(&x, way, s->plane.linear, s->plane.in_width, s->plane.out_width);
    return SQUALL_OK;
}

static void resize_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const resize_state *s = call->state;
    const plane_state *p = &s->plane;
    const size_t lanes = (size_t)p->kernels->lanes;
    resize_axis ay, ax;
    (void)thread;
    find_axes(s, &ay, &ax);
    const float *plane = (const float *)call->step->in[0].data +
                         (ptrdiff_t)index * p->in_height * p->in_width * (ptrdiff_t)lanes;
    float *out = (float *)call->step->out[0].data +
                 (ptrdiff_t)index * p->out_height * p->out_width * (ptrdiff_t)lanes;
    for (int64_t y = 0; y < p->out_height; y++, out += (size_t)p->out_width * lanes) {
        const float *row = plane + (size_t)ay.low[y] * (size_t)p->in_width * lanes;
        if (p->linear) {
            const float *below = plane + (size_t)ay.high[y] * (size_t)p->in_width * lanes;
            p->kernels->lerp_row(row, below, ax.low, ax.high, ax.weight, ay.weight[y], out,
                                 (int32_t)p->out_width);
            continue;
        }
        if (y > 0 && ay.low[y] == ay.low[y - 1]) {
            memcpy(out, out - (size_t)p->out_width * lanes,
                   (size_t)p->out_width * lanes * sizeof *out);
            continue;
        }
        for (int64_t x = 0; x < p->out_width; x++) {
            memcpy(out + (size_t)x * lanes, row + (size_t)ax.low[x] * lanes, lanes * sizeof *out);
        }
    }
}

static squall_status resize_run(const sq_call *call)
{
    const resize_state *s = call->state;
    sq_pool_run(call->pool, resize_job, (void *)(uintptr_t)call,
                (size_t)(s->plane.batch * s->plane.blocks));
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ mean and maximum
 * Over all pixels (the result is one number a channel), or over all channels (one a pixel). */

/* The axes of a reduction, from the attribute or the constant input; sorted, as bits. 0: not known.
 */
static unsigned axes_of(const sq_step *step)
{
    unsigned bits = 0;
    size_t count = 0;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    if (step->op == SQ_OP_GlobalAveragePool || step->op == SQ_OP_GlobalMaxPool) {
        return 12u;
    }
    if (axes == NULL && step->in_count > 1 && step->in[1].dtype == SQUALL_I64 &&
        step->in[1].data != NULL) {
        axes = step->in[1].data;
        count = squall_tensor_count(&step->in[1]);
    }
    for (size_t i = 0; axes != NULL && i < count; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + 4 : axes[i];
        if (axis < 0 || axis > 3) {
            return 0;
        }
        bits |= 1u << axis;
    }
    return bits;
}

static size_t reduce_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    (void)threads;
    if (!is_image(&step->in[0])) {
        return sq_cpu_refuse(why, "only reductions of float32 images are vectorised");
    }
    const unsigned axes = axes_of(step);
    if (axes != 12u && axes != 2u) {
        return sq_cpu_refuse(why, "only reductions over all pixels or all channels are vectorised");
    }
    sq_cpu_tactic(out, axes == 12u ? "reduce_pixels" : "reduce_channels");
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->state_bytes = sizeof(plane_state);
    return 1;
}

static squall_status reduce_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                 void *state, squall_error *err)
{
    plane_state *s = state;
    (void)tactic;
    (void)threads;
    (void)err;
    fill_shapes(step, s);
    s->mean = step->op == SQ_OP_ReduceMean || step->op == SQ_OP_GlobalAveragePool;
    s->over_channels = axes_of(step) == 2u;
    return SQUALL_OK;
}

static void pixels_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const plane_state *s = call->state;
    const int64_t lanes = s->kernels->lanes, pixels = s->in_height * s->in_width;
    const int64_t n = (int64_t)index / s->blocks, first = (int64_t)index % s->blocks * lanes;
    float most[16], *out = (float *)call->step->out[0].data + n * s->channels + first;
    double sum[16];
    (void)thread;
    s->kernels->reduce_pixels((const float *)call->step->in[0].data +
                                  (ptrdiff_t)index * pixels * lanes,
                              (size_t)pixels, most, sum);
    for (int64_t l = 0; l < lanes && first + l < s->channels; l++) {
        out[l] = s->mean ? (float)(sum[l] / (double)pixels) : most[l];
    }
}

static void channels_job(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const plane_state *s = call->state;
    const int64_t lanes = s->kernels->lanes, pixels = s->in_height * s->in_width;
    const int64_t n = (int64_t)index / s->in_height, y = (int64_t)index % s->in_height;
    const float *image = (const float *)call->step->in[0].data + n * s->blocks * pixels * lanes;
    float *out = (float *)call->step->out[0].data + n * pixels + y * s->in_width;
    (void)thread;
    enum { STRETCH = 64 };
    for (int64_t x = 0; x < s->in_width; x += STRETCH) {
        const int64_t left = s->in_width - x, count = left < STRETCH ? left : STRETCH;
        float most[STRETCH], sum[STRETCH];
        s->kernels->reduce_channels(image + (y * s->in_width + x) * lanes, pixels * lanes,
                                    (int32_t)s->channels, (int32_t)count, most, sum);
        for (int64_t i = 0; i < count; i++) {
            out[x + i] = s->mean ? sum[i] / (float)s->channels : most[i];
        }
    }
}

static squall_status reduce_run(const sq_call *call)
{
    const plane_state *s = call->state;
    sq_pool_run(call->pool, s->over_channels ? channels_job : pixels_job, (void *)(uintptr_t)call,
                (size_t)(s->batch * (s->over_channels ? s->in_height : s->blocks)));
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_pool[] = {
    {SQ_OP_MaxPool, max_tactics, NULL, max_bind, max_run},
    {SQ_OP_Resize, resize_tactics, NULL, resize_bind, resize_run},
    {SQ_OP_Upsample, resize_tactics, NULL, resize_bind, resize_run},
    {SQ_OP_ReduceMean, reduce_tactics, NULL, reduce_bind, reduce_run},
    {SQ_OP_ReduceMax, reduce_tactics, NULL, reduce_bind, reduce_run},
    {SQ_OP_GlobalAveragePool, reduce_tactics, NULL, reduce_bind, reduce_run},
    {SQ_OP_GlobalMaxPool, reduce_tactics, NULL, reduce_bind, reduce_run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
