/* nn/cpu/cpu_shape.c - joining and cutting channels of blocked tensors, and changing the layout. */
#include <string.h>

#include "nn/cpu/cpu_kernels.h"

/* A run of whole blocks that is copied from one tensor into another, for each image. */
typedef struct block_copy {
    const float *from;
    float *to;
    size_t from_image, to_image; /* floats between images */
    size_t from_first, to_first; /* floats before the first block */
    size_t count;                /* floats an image */
} block_copy;

enum { PIECE = 65536 }; /* floats of one piece of work */

static void copy_piece(void *arg, size_t index, int thread)
{
    const block_copy *c = arg;
    const size_t pieces = (c->count + PIECE - 1) / PIECE, n = index / pieces;
    const size_t first = index % pieces * PIECE;
    const size_t count = c->count - first < PIECE ? c->count - first : PIECE;
    (void)thread;
    memcpy(c->to + n * c->to_image + c->to_first + first,
           c->from + n * c->from_image + c->from_first + first, count * sizeof(float));
}

static void copy_blocks(const sq_call *call, const block_copy *copy)
{
    const size_t pieces = (copy->count + PIECE - 1) / PIECE;
    sq_pool_run(call->pool, copy_piece, (void *)(uintptr_t)copy,
                pieces * (size_t)call->step->in[0].dims[0]);
}

static bool is_image(const squall_tensor *tensor)
{
    return tensor->dtype == SQUALL_F32 && tensor->rank == 4;
}

static size_t image_floats(const squall_tensor *tensor)
{
    return (size_t)(sq_cpu_blocks(tensor) * sq_cpu_pixels(tensor) * sq_cpu_pick()->lanes);
}

/* ------------------------------------------------------------------ Concat of channels */

static size_t concat_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const int64_t lanes = sq_cpu_pick()->lanes;
    const int64_t axis = sq_attr_int(step->attrs, "axis", 1);
    (void)threads;
    if (!is_image(&step->out[0]) || (axis != 1 && axis != -3)) {
        return sq_cpu_refuse(why, "only channels of float32 images are joined here");
    }
    sq_cpu_tactic(out, "concat");
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dims[1] % lanes != 0 && i + 1 < step->in_count) {
            return sq_cpu_refuse(why, "its inputs are no whole blocks of channels");
        }
        out->in_layout[i] = (uint8_t)sq_cpu_pick()->layout;
    }
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    return 1;
}

static squall_status concat_run(const sq_call *call)
{
    const sq_step *step = call->step;
    block_copy copy = {.to = step->out[0].data, .to_image = image_floats(&step->out[0])};
    for (uint32_t i = 0; i < step->in_count; i++) {
        copy.from = step->in[i].data;
        copy.from_image = copy.count = image_floats(&step->in[i]);
        copy_blocks(call, &copy);
        copy.to_first += copy.count;
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ Slice and Split of channels */

/* Slice by constant inputs (opset 10 and up) or by attributes: true when it takes channels alone,
 * whole blocks of them, in their order; `first` is the first channel. */
static bool slice_of(const sq_step *step, int64_t *first)
{
    size_t count = 0;
    const int64_t *starts = sq_attr_ints(step->attrs, "starts", &count);
    if (starts == NULL && step->in_count > 1 && step->in[1].dtype == SQUALL_I64 &&
        step->in[1].data != NULL) {
        starts = step->in[1].data;
        count = squall_tensor_count(&step->in[1]);
    }
    if (starts == NULL || count != 1) {
        return false;
    }
    for (uint32_t i = 0; i < 4; i++) { /* only the channels may have changed */
        if (i != 1 && step->in[0].dims[i] != step->out[0].dims[i]) {
            return false;
        }
    }
    /* Which axis it is follows from the shapes, unless nothing was cut; backwards is not for us. */
    if (step->in[0].dims[1] == step->out[0].dims[1]) {
        return false;
    }
    if (step->in_count > 4 && step->in[4].dtype != SQUALL_DTYPE_NONE &&
        (step->in[4].data == NULL || step->in[4].dtype != SQUALL_I64 ||
         *(const int64_t *)step->in[4].data != 1)) {
        return false;
    }
    *first = starts[0] < 0 ? starts[0] + step->in[0].dims[1] : starts[0];
    return *first >= 0 && *first + step->out[0].dims[1] <= step->in[0].dims[1];
}

static size_t slice_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    int64_t first = 0;
    const int64_t lanes = sq_cpu_pick()->lanes;
    (void)threads;
    if (!is_image(&step->in[0]) || !slice_of(step, &first) || first % lanes != 0 ||
        (step->out[0].dims[1] % lanes != 0 &&
         first + step->out[0].dims[1] != step->in[0].dims[1])) {
        return sq_cpu_refuse(why,
                             "only whole blocks of channels of float32 images are cut out here");
    }
    sq_cpu_tactic(out, "slice");
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->out_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    out->state_bytes = sizeof(int64_t);
    return 1;
}

static squall_status slice_bind(const sq_step *step, const sq_tactic *tactic, int threads,
                                void *state, squall_error *err)
{
    (void)tactic;
    (void)threads;
    (void)err;
    (void)slice_of(step, state);
    return SQUALL_OK;
}

static squall_status slice_run(const sq_call *call)
{
    const sq_step *step = call->step;
    const int64_t first = *(const int64_t *)call->state;
    const block_copy copy = {
        .from = step->in[0].data,
        .to = step->out[0].data,
        .from_image = image_floats(&step->in[0]),
        .to_image = image_floats(&step->out[0]),
        .from_first = (size_t)(first * sq_cpu_pixels(&step->in[0])),
        .count = image_floats(&step->out[0]),
    };
    copy_blocks(call, &copy);
    return SQUALL_OK;
}

static size_t split_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const int64_t lanes = sq_cpu_pick()->lanes;
    int64_t sizes[SQ_MAX_OUTPUTS];
    uint32_t axis;
    (void)threads;
    if (!is_image(&step->in[0]) || sq_op_split_sizes(step, &axis, sizes, NULL) != SQUALL_OK ||
        axis != 1) {
        return sq_cpu_refuse(why, "only channels of float32 images are split here");
    }
    sq_cpu_tactic(out, "split");
    out->in_layout[0] = (uint8_t)sq_cpu_pick()->layout;
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (sizes[i] % lanes != 0 && i + 1 < step->out_count) {
            return sq_cpu_refuse(why, "its outputs are no whole blocks of channels");
        }
        out->out_layout[i] = (uint8_t)sq_cpu_pick()->layout;
    }
    return 1;
}

/* Parts that are not wanted have no type: where the next one begins, the sizes say. */
static squall_status split_run(const sq_call *call)
{
    const sq_step *step = call->step;
    int64_t sizes[SQ_MAX_OUTPUTS];
    uint32_t axis;
    block_copy copy = {.from = step->in[0].data, .from_image = image_floats(&step->in[0])};
    SQ_TRY(sq_op_split_sizes(step, &axis, sizes, NULL));
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].data != NULL) {
            copy.to = step->out[i].data;
            copy.to_image = copy.count = image_floats(&step->out[i]);
            copy_blocks(call, &copy);
        }
        copy.from_first += (size_t)(sizes[i] * sq_cpu_pixels(&step->in[0]));
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ layouts */

static size_t reorder_tactics(const sq_step *step, int threads, sq_tactic *out, sq_reason *why)
{
    const squall_layout from = step->in[0].layout;
    const squall_layout to = (squall_layout)sq_attr_int(step->attrs, "sq_layout", SQUALL_PLAIN);
    const squall_layout blocked = sq_cpu_pick()->layout;
    (void)threads;
    if (step->in[0].dtype != SQUALL_F32 || step->in[0].rank < 2 ||
        !((from == SQUALL_PLAIN && to == blocked) || (from == blocked && to == SQUALL_PLAIN))) {
        return sq_cpu_refuse(why, "only float32 between plain and this host's blocks");
    }
    sq_cpu_tactic(out, "reorder");
    out->in_layout[0] = (uint8_t)from;
    out->out_layout[0] = (uint8_t)to;
    return 1;
}

/* A stretch of pixels of one block of channels of one image. */
enum { STRETCH = 4096 };

static size_t stretches_of(const squall_tensor *tensor)
{
    return ((size_t)sq_cpu_pixels(tensor) + STRETCH - 1) / STRETCH;
}

static void reorder_piece(void *arg, size_t index, int thread)
{
    const sq_call *call = arg;
    const squall_tensor *in = &call->step->in[0], *out = &call->step->out[0];
    const sq_cpu_kernels *kernels = sq_cpu_pick();
    const size_t lanes = (size_t)kernels->lanes, stretches = stretches_of(in);
    const size_t pixels = (size_t)sq_cpu_pixels(in), channels = (size_t)in->dims[1];
    const size_t blocks = (channels + lanes - 1) / lanes, plane = index / stretches;
    const size_t n = plane / blocks, first = plane % blocks * lanes;
    const size_t p0 = index % stretches * STRETCH;
    const int32_t count = (int32_t)(pixels - p0 < STRETCH ? pixels - p0 : STRETCH);
    const int32_t real = (int32_t)(channels - first < lanes ? channels - first : lanes);
    const size_t plain_at = (n * channels + first) * pixels + p0;
    const size_t blocked_at = (plane * pixels + p0) * lanes;
    (void)thread;
    if (in->layout == SQUALL_PLAIN) {
        kernels->block_row((const float *)in->data + plain_at, (ptrdiff_t)pixels, real,
                           (float *)out->data + blocked_at, count);
    } else {
        kernels->plain_row((const float *)in->data + blocked_at, (float *)out->data + plain_at,
                           (ptrdiff_t)pixels, real, count);
    }
}

static squall_status reorder_run(const sq_call *call)
{
    const squall_tensor *in = &call->step->in[0];
    const size_t lanes = (size_t)sq_cpu_pick()->lanes;
    const size_t blocks = ((size_t)in->dims[1] + lanes - 1) / lanes;
    if (squall_tensor_count(in) > 0) {
        sq_pool_run(call->pool, reorder_piece, (void *)(uintptr_t)call,
                    blocks * (size_t)in->dims[0] * stretches_of(in));
    }
    return SQUALL_OK;
}

const sq_cpu_driver sq_cpu_drivers_shape[] = {
    {SQ_OP_Concat, concat_tactics, NULL, NULL, concat_run},
    {SQ_OP_Slice, slice_tactics, NULL, slice_bind, slice_run},
    {SQ_OP_Split, split_tactics, NULL, NULL, split_run},
    {SQ_OP_SqReorder, reorder_tactics, NULL, NULL, reorder_run},
    {SQ_OP_NONE, NULL, NULL, NULL, NULL},
};
