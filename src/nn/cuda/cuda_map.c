/* nn/cuda/cuda_map.c - what takes one number to one number: activations, sums, copies of any kind.
 *
 * One kernel does them all, over axes with any strides: a reorder, a slice, a join or a transpose
 * is a copy whose strides differ, a broadcast is a stride of 0. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

/* One side of a map: where axis i of the output is found in it. */
typedef struct side {
    int64_t stride[SQUALL_MAX_DIMS]; /* elements, by axis of the output */
    int64_t offset;                  /* elements */
} side;

typedef struct map_job {
    const sq_step *step;
    uint32_t rank;
    int64_t dims[SQUALL_MAX_DIMS]; /* of what is written */
    bool channels_last;            /* order of the output's axes */
    int64_t channels;              /* of its channel axis; more, up to `lanes`, are written as 0 */
    int64_t lanes;
    side a, b, out;
    bool has_b;
    uint32_t in_a, in_b, out_index;
    squall_dtype from, to;
    int op;
    sq_cuda_act act;
} map_job;

/* Strides of a tensor's own axes. */
static void strides_of(const squall_tensor *tensor, int64_t *stride)
{
    int64_t step = 1;
    if (tensor->layout == SQUALL_NHWC) {
        stride[1] = 1;
        step = sq_cuda_pitch(tensor);
        for (uint32_t i = tensor->rank; i-- > 2;) {
            stride[i] = step;
            step *= tensor->dims[i];
        }
        stride[0] = step;
        return;
    }
    for (uint32_t i = tensor->rank; i-- > 0;) {
        stride[i] = step;
        step *= tensor->dims[i];
    }
}

/* The same by axes of the output: aligned at the last, 0 where it is broadcast. */
static side side_of(const squall_tensor *tensor, uint32_t rank)
{
    side made = {.offset = 0};
    int64_t own[SQUALL_MAX_DIMS] = {0};
    strides_of(tensor, own);
    for (uint32_t i = 0; i < tensor->rank && i < rank; i++) {
        made.stride[rank - tensor->rank + i] = tensor->dims[i] == 1 ? 0 : own[i];
    }
    return made;
}

static map_job job_for(const sq_step *step, uint32_t out)
{
    const squall_tensor *to = &step->out[out];
    map_job job = {.step = step,
                   .rank = to->rank,
                   .channels_last = to->layout == SQUALL_NHWC,
                   .out_index = out,
                   .from = step->in[0].dtype,
                   .to = to->dtype,
                   .act = sq_cuda_step_act(step)};
    memcpy(job.dims, to->dims, sizeof job.dims);
    job.out = side_of(to, to->rank);
    if (job.channels_last) {
        job.channels = to->dims[1];
        job.lanes = sq_cuda_pitch(to);
        job.out.stride[1] = 1;
    }
    job.a = side_of(&step->in[0], to->rank);
    return job;
}

/* Axes from the innermost on, neighbours joined where one runs on into the next; false when there
 * are too many. */
static bool join_axes(const map_job *job, sq_cuda_map_args *args)
{
    uint32_t order[SQUALL_MAX_DIMS], count = 0;
    if (job->channels_last) {
        order[count++] = 1;
    }
    for (uint32_t i = job->rank; i-- > 0;) {
        if (!job->channels_last || i != 1) {
            order[count++] = i;
        }
    }
    args->rank = 0;
    args->channels = 1;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t i = order[k];
        const bool padded = job->channels_last && i == 1 && job->lanes != job->channels;
        const int64_t size = job->channels_last && i == 1 ? job->lanes : job->dims[i];
        const int last = args->rank - 1;
        if (size == 1 && k > 0 && (args->rank > 0 || k + 1 < count)) {
            continue;
        }
        if (last >= 0 && !(last == 0 && args->channels != args->size[0]) &&
            job->a.stride[i] == args->stride_a[last] * args->size[last] &&
            job->b.stride[i] == args->stride_b[last] * args->size[last] &&
            job->out.stride[i] == args->stride_out[last] * args->size[last]) {
            args->size[last] *= (int)size;
            args->channels = last == 0 ? args->size[0] : args->channels;
            continue;
        }
        if (args->rank == SQ_CUDA_DIMS) {
            return false;
        }
        args->size[args->rank] = (int)size;
        args->stride_a[args->rank] = job->a.stride[i];
        args->stride_b[args->rank] = job->b.stride[i];
        args->stride_out[args->rank] = job->out.stride[i];
        if (args->rank == 0) {
            args->channels = (int)(padded ? job->channels : size);
        }
        args->rank++;
    }
    if (args->rank == 0) { /* a single number */
        args->rank = 1;
        args->size[0] = args->channels = 1;
    }
    return true;
}

/* Whether eight neighbours can be taken at once, aligned. */
static bool eights(const map_job *job, const sq_cuda_map_args *args)
{
    const int64_t offsets = job->a.offset | job->b.offset | job->out.offset;
    if (args->size[0] % 8 != 0 || args->channels != args->size[0] || args->stride_out[0] != 1 ||
        (uint64_t)args->stride_a[0] > 1 || (uint64_t)args->stride_b[0] > 1) {
        return false;
    }
    for (int i = 1; i < args->rank; i++) {
        if (args->stride_out[i] % 8 != 0 ||
            (args->stride_a[0] == 1 && args->stride_a[i] % 8 != 0) ||
            (args->stride_b[0] == 1 && args->stride_b[i] % 8 != 0)) {
            return false;
        }
    }
    return offsets % 8 == 0;
}

static sq_cuda_kernel kernel_for(squall_dtype from, squall_dtype to)
{
    if (from == SQUALL_F16) {
        return to == SQUALL_F16 ? SQ_CUDA_map_f16 : SQ_CUDA_map_f16_f32;
    }
    if (from == SQUALL_U8) {
        return to == SQUALL_U8 ? SQ_CUDA_map_u8 : SQ_CUDA_map_u8_f32;
    }
    return to == SQUALL_F16  ? SQ_CUDA_map_f32_f16
           : to == SQUALL_U8 ? SQ_CUDA_map_f32_u8
                             : SQ_CUDA_map_f32;
}

static squall_status add_map(const map_job *job, sq_cuda_state *state, squall_error *err)
{
    sq_cuda_map_args args = {.op = job->op, .act = job->act};
    if (!join_axes(job, &args)) {
        return sq_fail(err, SQUALL_E_LIMIT, job->step->name, "more than %d axes are left to walk",
                       SQ_CUDA_DIMS);
    }
    args.lanes = eights(job, &args) ? 8 : 1;
    args.count = 1;
    for (int i = 0; i < args.rank; i++) {
        args.count *= i == 0 ? args.size[0] / args.lanes : args.size[i];
    }
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, kernel_for(job->from, job->to), (uint64_t)args.count);
    launch->args.map = args;
    const int64_t in_size = (int64_t)squall_dtype_size(job->from);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_map_args, a), SQ_CUDA_INPUT, job->in_a,
                      (uint64_t)(job->a.offset * in_size));
    if (job->has_b) {
        sq_cuda_patch_add(launch, offsetof(sq_cuda_map_args, b), SQ_CUDA_INPUT, job->in_b,
                          (uint64_t)(job->b.offset * in_size));
    }
    sq_cuda_patch_add(launch, offsetof(sq_cuda_map_args, out), SQ_CUDA_OUTPUT, job->out_index,
                      (uint64_t)(job->out.offset * (int64_t)squall_dtype_size(job->to)));
    if (args.count == 0) {
        state->count--;
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ tactics */

/* Operators that only move numbers: bytes, too. */
static bool moves(sq_op op)
{
    return op == SQ_OP_Identity || op == SQ_OP_SqReorder || op == SQ_OP_Concat ||
           op == SQ_OP_Split || op == SQ_OP_Slice || op == SQ_OP_Transpose || op == SQ_OP_Expand;
}

/* Types that there are kernels for; then sq_cuda_map_ways(). */
static size_t map_tactics(const sq_step *step, const char *what, size_t launches, int8_t in_place,
                          sq_tactic *out, sq_reason *why)
{
    const squall_dtype type = step->in[0].dtype;
    const bool bytes = type == SQUALL_U8 && moves(step->op);
    for (uint32_t i = 0; i < step->out_count; i++) {
        const squall_dtype to = step->out[i].dtype;
        if (to != SQUALL_DTYPE_NONE && (bytes ? to != SQUALL_U8 : !sq_cuda_is_float(to))) {
            return sq_cuda_refuse(why, "%s to %s has no kernel", squall_dtype_name(type),
                                  squall_dtype_name(step->out[i].dtype));
        }
    }
    if (!bytes && !sq_cuda_is_float(type)) {
        return sq_cuda_refuse(why, "%s of %s has no kernel", sq_op_name(step->op),
                              squall_dtype_name(type));
    }
    return sq_cuda_map_ways(step, what, launches, in_place, out);
}

/* Two ways for a tensor of four axes: channels last, or plain; inputs as they come. The faster one
 * writes in the order in which it reads. */
size_t sq_cuda_map_ways(const sq_step *step, const char *what, size_t launches, int8_t in_place,
                        sq_tactic *out)
{
    const squall_dtype type = step->in[0].dtype;
    size_t count = 0;
    bool any_last = false, all_four = true;
    for (uint32_t i = 0; i < step->in_count; i++) {
        any_last = any_last || step->in[i].layout == SQUALL_NHWC;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        all_four = all_four && (step->out[i].dtype == SQUALL_DTYPE_NONE || step->out[i].rank == 4);
    }
    for (int last = all_four ? 1 : 0; last >= 0; last--) {
        sq_tactic *tactic = &out[count++];
        char name[SQ_TACTIC_NAME];
        snprintf(name, sizeof name, "%s_%s%s", what, sq_cuda_type(type), last ? "_nhwc" : "");
        sq_cuda_tactic(tactic, name, launches);
        double bytes = 0;
        for (uint32_t i = 0; i < step->in_count; i++) {
            tactic->in_layout[i] = (uint8_t)step->in[i].layout;
            bytes += (double)squall_tensor_bytes(&step->in[i]);
        }
        for (uint32_t i = 0; i < step->out_count; i++) {
            tactic->out_layout[i] = (uint8_t)(last ? SQUALL_NHWC : SQUALL_PLAIN);
        }
        if (in_place >= 0 && tactic->in_layout[in_place] == tactic->out_layout[0]) {
            tactic->in_place = in_place;
        }
        tactic->cost = 1e-6 + bytes * (any_last == (last != 0) ? 1e-12 : 4e-12);
    }
    return count;
}

/* Whether an input has the very shape and type of the output, so that the output may lie on it. */
static bool same_shape(const sq_step *step, uint32_t i)
{
    const squall_tensor *in = &step->in[i], *out = &step->out[0];
    return in->dtype == out->dtype && in->rank == out->rank &&
           memcmp(in->dims, out->dims, in->rank * sizeof *in->dims) == 0;
}

/* ------------------------------------------------------------------ one input */

/* What an operator does, as a code or as an activation; false when it is none of them. */
static bool unary_of(const sq_step *step, int *op, sq_cuda_act *act)
{
    const sq_attrs *attrs = step->attrs;
    *op = SQ_CUDA_COPY;
    switch (step->op) {
    case SQ_OP_Relu:
        *act = (sq_cuda_act){.kind = SQ_ACT_RELU};
        return true;
    case SQ_OP_LeakyRelu:
        *act = (sq_cuda_act){.kind = SQ_ACT_LEAKY_RELU, .a = sq_attr_float(attrs, "alpha", 0.01f)};
        return true;
    case SQ_OP_Sigmoid:
        *act = (sq_cuda_act){.kind = SQ_ACT_SIGMOID};
        return true;
    case SQ_OP_Tanh:
        *act = (sq_cuda_act){.kind = SQ_ACT_TANH};
        return true;
    case SQ_OP_HardSigmoid:
        *act = (sq_cuda_act){.kind = SQ_ACT_HARD_SIGMOID,
                             .a = sq_attr_float(attrs, "alpha", 0.2f),
                             .b = sq_attr_float(attrs, "beta", 0.5f)};
        return true;
    case SQ_OP_HardSwish:
        *act = (sq_cuda_act){.kind = SQ_ACT_HARD_SWISH};
        return true;
    case SQ_OP_Exp:
        *op = SQ_CUDA_EXP;
        return true;
    case SQ_OP_Sqrt:
        *op = SQ_CUDA_SQRT;
        return true;
    case SQ_OP_Neg:
        *op = SQ_CUDA_NEG;
        return true;
    case SQ_OP_Abs:
        *op = SQ_CUDA_ABS;
        return true;
    case SQ_OP_Reciprocal:
        *op = SQ_CUDA_RECIPROCAL;
        return true;
    case SQ_OP_Identity:
    case SQ_OP_Cast:
    case SQ_OP_SqReorder:
        return true;
    default:
        return false;
    }
}

/* Whether a copy takes planes to channels last in float16. */
static bool from_planes(const sq_step *step)
{
    const squall_tensor *in = &step->in[0], *out = &step->out[0];
    return (step->op == SQ_OP_Cast || step->op == SQ_OP_SqReorder) && in->rank == 4 &&
           in->layout == SQUALL_PLAIN && sq_cuda_is_float(in->dtype) && out->dtype == SQUALL_F16 &&
           squall_tensor_count(in) > 0 && sq_cuda_step_act(step).kind == SQ_ACT_NONE &&
           sq_cuda_threads_fit((uint64_t)(in->dims[0] * in->dims[2] * in->dims[3]) *
                               (uint64_t)(sq_cuda_pitch(in) / 8));
}

static void bind_planes(const sq_step *step, sq_cuda_state *state)
{
    const squall_tensor *in = &step->in[0];
    const int64_t plane = in->dims[2] * in->dims[3], pixels = in->dims[0] * plane;
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, in->dtype == SQUALL_F16 ? SQ_CUDA_planes_f16 : SQ_CUDA_planes_f32,
                           (uint64_t)pixels * (uint64_t)(sq_cuda_pitch(in) / 8));
    launch->args.planes = (sq_cuda_planes_args){.channels = (int)in->dims[1],
                                                .pitch = sq_cuda_pitch(in),
                                                .plane = (int)plane,
                                                .pixels = pixels};
    sq_cuda_patch_add(launch, offsetof(sq_cuda_planes_args, in), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_planes_args, out), SQ_CUDA_OUTPUT, 0, 0);
}

static size_t unary_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    int op;
    sq_cuda_act act = sq_cuda_step_act(step);
    const bool folded = act.kind != SQ_ACT_NONE;
    (void)capability;
    act.kind = SQ_ACT_NONE;
    if (!unary_of(step, &op, &act) || (folded && act.kind != SQ_ACT_NONE)) {
        return sq_cuda_refuse(why, "%s with an activation of its own behind it",
                              sq_op_name(step->op));
    }
    size_t count = map_tactics(step, "map", 1, same_shape(step, 0) ? 0 : -1, out, why);
    if (from_planes(step)) { /* faster, and what nearly all that reads images wants */
        sq_cuda_tactic(&out[count], step->in[0].dtype == SQUALL_F16 ? "planes_f16" : "planes_f32",
                       1);
        out[count].out_layout[0] = SQUALL_NHWC;
        out[count].cost = 0.5e-6 + 0.3e-12 * (double)squall_tensor_bytes(&step->in[0]);
        count++;
    }
    if (step->op != SQ_OP_SqReorder) {
        return count;
    }
    const uint8_t wanted = (uint8_t)sq_attr_int(step->attrs, "sq_layout", SQUALL_PLAIN);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (out[i].out_layout[0] == wanted) {
            out[kept++] = out[i];
        }
    }
    if (kept > 0) {
        return kept;
    }
    return count == 0 ? 0 : sq_cuda_refuse(why, "only between plain and channels last");
}

squall_status sq_cuda_map_all(const sq_step *step, sq_cuda_act act, sq_cuda_state *state,
                              squall_error *err)
{
    map_job job = job_for(step, 0);
    job.act = act;
    return add_map(&job, state, err);
}

static squall_status unary_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    map_job job = job_for(step, 0);
    if (strncmp(tactic->name, "planes_", 7) == 0) {
        bind_planes(step, state);
        return SQUALL_OK;
    }
    (void)unary_of(step, &job.op, &job.act);
    return add_map(&job, state, err);
}

/* Bounds of a Clip: attributes before opset 11, then inputs, which must be constant here. */
static bool clip_bounds(const sq_step *step, float *low, float *high)
{
    *low = sq_attr_float(step->attrs, "min", -3.402823466e38f);
    *high = sq_attr_float(step->attrs, "max", 3.402823466e38f);
    for (uint32_t i = 1; i < step->in_count && i <= 2; i++) {
        if (step->in[i].dtype == SQUALL_DTYPE_NONE) {
            continue;
        }
        if (step->in[i].data == NULL) {
            return false;
        }
        *(i == 1 ? low : high) = (float)sq_tensor_get_double(&step->in[i], 0);
    }
    return true;
}

static size_t clip_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    float low, high;
    (void)capability;
    if (!clip_bounds(step, &low, &high) || sq_cuda_step_act(step).kind != SQ_ACT_NONE) {
        return sq_cuda_refuse(why, "bounds that are not constant, or an activation behind it");
    }
    return map_tactics(step, "map", 1, same_shape(step, 0) ? 0 : -1, out, why);
}

static squall_status clip_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                               squall_error *err)
{
    map_job job = job_for(step, 0);
    (void)tactic;
    job.act.kind = SQ_ACT_CLIP;
    (void)clip_bounds(step, &job.act.a, &job.act.b);
    return add_map(&job, state, err);
}

/* ------------------------------------------------------------------ two inputs */

static int binary_of(sq_op op)
{
    switch (op) {
    case SQ_OP_Sub:
        return SQ_CUDA_SUB;
    case SQ_OP_Mul:
        return SQ_CUDA_MUL;
    case SQ_OP_Div:
        return SQ_CUDA_DIV;
    case SQ_OP_Min:
        return SQ_CUDA_MIN;
    case SQ_OP_Max:
        return SQ_CUDA_MAX;
    default:
        return SQ_CUDA_ADD; /* Add, Sum */
    }
}

static size_t binary_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    (void)capability;
    if (step->in_count != 2) {
        return sq_cuda_refuse(why, "%" PRIu32 " inputs: there are kernels for two", step->in_count);
    }
    /* A smaller tensor with channels last would have its axes elsewhere than the output's. */
    for (uint32_t i = 0; i < 2; i++) {
        if (step->in[i].layout == SQUALL_NHWC && step->in[i].rank != step->out[0].rank) {
            return sq_cuda_refuse(why, "channels last against more axes");
        }
    }
    const int8_t in_place = (int8_t)(same_shape(step, 0) ? 0 : -1);
    return map_tactics(step, "map", 1, in_place, out, why);
}

static squall_status binary_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                 squall_error *err)
{
    map_job job = job_for(step, 0);
    (void)tactic;
    job.op = binary_of(step->op);
    job.has_b = true;
    job.in_b = 1;
    job.b = side_of(&step->in[1], step->out[0].rank);
    return add_map(&job, state, err);
}

/* ------------------------------------------------------------------ joining and cutting */

static bool axis_of(const sq_step *step, uint32_t rank, uint32_t *axis)
{
    int64_t at = sq_attr_int(step->attrs, "axis", 0);
    at += at < 0 ? (int64_t)rank : 0;
    *axis = (uint32_t)at;
    return at >= 0 && at < (int64_t)rank;
}

static size_t concat_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    uint32_t axis;
    (void)capability;
    if (!axis_of(step, step->out[0].rank, &axis)) {
        return sq_cuda_refuse(why, "no such axis");
    }
    return map_tactics(step, "concat", step->in_count, -1, out, why);
}

static squall_status concat_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                 squall_error *err)
{
    uint32_t axis;
    int64_t at = 0;
    int64_t own[SQUALL_MAX_DIMS];
    (void)tactic;
    (void)axis_of(step, step->out[0].rank, &axis);
    strides_of(&step->out[0], own);
    for (uint32_t i = 0; i < step->in_count; i++) {
        map_job job = job_for(step, 0);
        const int64_t size = step->in[i].dims[axis];
        const bool lanes = job.channels_last && axis == 1;
        job.in_a = i;
        job.a = side_of(&step->in[i], job.rank);
        memcpy(job.out.stride, own, sizeof own);
        job.dims[axis] = size;
        job.out.offset = at * own[axis];
        if (lanes) { /* the last one fills the lanes up */
            job.lanes = i + 1 == step->in_count ? job.lanes - at : size;
            job.channels = size;
        }
        at += size;
        SQ_TRY(add_map(&job, state, err));
    }
    return SQUALL_OK;
}

static size_t split_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    uint32_t axis;
    (void)capability;
    if (!axis_of(step, step->in[0].rank, &axis)) {
        return sq_cuda_refuse(why, "no such axis");
    }
    return map_tactics(step, "split", step->out_count, -1, out, why);
}

static squall_status split_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    uint32_t axis;
    int64_t own[SQUALL_MAX_DIMS], at = 0;
    (void)tactic;
    (void)axis_of(step, step->in[0].rank, &axis);
    strides_of(&step->in[0], own);
    /* An output that nobody wants has no type, so its size is not known here. */
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].dtype == SQUALL_DTYPE_NONE) {
            return sq_fail(err, SQUALL_E_UNSUPPORTED, step->name, "a part that nobody wants");
        }
        map_job job = job_for(step, i);
        memcpy(job.a.stride, own, sizeof own);
        job.a.offset = at * own[axis];
        at += step->out[i].dims[axis];
        SQ_TRY(add_map(&job, state, err));
    }
    return SQUALL_OK;
}

/* Start and step along each axis; false when they are not constant or go backwards. */
static bool slice_of(const sq_step *step, int64_t *start, int64_t *by)
{
    const squall_tensor *in = &step->in[0];
    int64_t starts[SQUALL_MAX_DIMS] = {0}, axes[SQUALL_MAX_DIMS], steps[SQUALL_MAX_DIMS];
    size_t count = 0;
    for (uint32_t i = 0; i < in->rank; i++) {
        start[i] = 0;
        by[i] = 1;
        axes[i] = i;
        steps[i] = 1;
    }
    if (step->in_count < 3) { /* before opset 10 */
        const int64_t *given = sq_attr_ints(step->attrs, "starts", &count);
        size_t axis_count;
        const int64_t *given_axes = sq_attr_ints(step->attrs, "axes", &axis_count);
        for (size_t i = 0; i < count && i < in->rank; i++) {
            starts[i] = given[i];
            axes[i] = i < axis_count ? given_axes[i] : (int64_t)i;
        }
    } else {
        for (uint32_t k = 1; k < step->in_count; k++) {
            const squall_tensor *numbers = &step->in[k];
            if (k == 2 || numbers->dtype == SQUALL_DTYPE_NONE) {
                continue;
            }
            if (numbers->data == NULL) {
                return false;
            }
            count = k == 1 ? squall_tensor_count(numbers) : count;
            for (size_t i = 0; i < count && i < in->rank && i < squall_tensor_count(numbers); i++) {
                (k == 1 ? starts : k == 3 ? axes : steps)[i] = sq_tensor_get_int(numbers, i);
            }
        }
    }
    for (size_t i = 0; i < count && i < in->rank; i++) {
        const int64_t axis = axes[i] < 0 ? axes[i] + (int64_t)in->rank : axes[i];
        if (axis < 0 || axis >= (int64_t)in->rank || steps[i] < 1) {
            return false;
        }
        const int64_t size = in->dims[axis];
        int64_t at = starts[i] < 0 ? starts[i] + size : starts[i];
        at = at < 0 ? 0 : at > size ? size : at;
        start[axis] = at;
        by[axis] = steps[i];
    }
    return true;
}

static size_t slice_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    int64_t start[SQUALL_MAX_DIMS] = {0}, by[SQUALL_MAX_DIMS] = {0};
    (void)capability;
    if (!slice_of(step, start, by)) {
        return sq_cuda_refuse(why, "starts that are not constant, or steps backwards");
    }
    return map_tactics(step, "slice", 1, -1, out, why);
}

static squall_status slice_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                squall_error *err)
{
    int64_t start[SQUALL_MAX_DIMS] = {0}, by[SQUALL_MAX_DIMS] = {0}, own[SQUALL_MAX_DIMS] = {0};
    map_job job = job_for(step, 0);
    (void)tactic;
    (void)slice_of(step, start, by);
    strides_of(&step->in[0], own);
    for (uint32_t i = 0; i < job.rank; i++) {
        if (start[i] + (job.dims[i] - 1) * by[i] >= step->in[0].dims[i] && job.dims[i] > 0) {
            return sq_fail(err, SQUALL_E_CORRUPT, step->name,
                           "takes more than there is along axis %" PRIu32, i);
        }
        job.a.stride[i] = own[i] * by[i];
        job.a.offset += own[i] * start[i];
    }
    return add_map(&job, state, err);
}

static size_t transpose_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    (void)capability;
    return map_tactics(step, "transpose", 1, -1, out, why);
}

static squall_status transpose_bind(const sq_step *step, const sq_tactic *tactic,
                                    sq_cuda_state *state, squall_error *err)
{
    size_t count;
    int64_t own[SQUALL_MAX_DIMS] = {0};
    map_job job = job_for(step, 0);
    const int64_t *perm = sq_attr_ints(step->attrs, "perm", &count);
    (void)tactic;
    strides_of(&step->in[0], own);
    for (uint32_t i = 0; i < job.rank; i++) {
        const int64_t from = i < count ? perm[i] : (int64_t)(job.rank - 1 - i);
        if (from < 0 || from >= (int64_t)job.rank) {
            return sq_fail(err, SQUALL_E_CORRUPT, step->name, "has no axis %" PRId64, from);
        }
        job.a.stride[i] = own[from];
    }
    return add_map(&job, state, err);
}

static size_t expand_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    (void)capability;
    if (step->in[0].layout == SQUALL_NHWC && step->in[0].rank != step->out[0].rank) {
        return sq_cuda_refuse(why, "channels last against more axes");
    }
    return map_tactics(step, "expand", 1, -1, out, why);
}

const sq_cuda_op sq_cuda_ops_map[] = {
    {SQ_OP_Relu, unary_tactics, NULL, unary_bind},
    {SQ_OP_LeakyRelu, unary_tactics, NULL, unary_bind},
    {SQ_OP_Sigmoid, unary_tactics, NULL, unary_bind},
    {SQ_OP_Tanh, unary_tactics, NULL, unary_bind},
    {SQ_OP_HardSigmoid, unary_tactics, NULL, unary_bind},
    {SQ_OP_HardSwish, unary_tactics, NULL, unary_bind},
    {SQ_OP_Exp, unary_tactics, NULL, unary_bind},
    {SQ_OP_Sqrt, unary_tactics, NULL, unary_bind},
    {SQ_OP_Neg, unary_tactics, NULL, unary_bind},
    {SQ_OP_Abs, unary_tactics, NULL, unary_bind},
    {SQ_OP_Reciprocal, unary_tactics, NULL, unary_bind},
    {SQ_OP_Identity, unary_tactics, NULL, unary_bind},
    {SQ_OP_Cast, unary_tactics, NULL, unary_bind},
    {SQ_OP_SqReorder, unary_tactics, NULL, unary_bind},
    {SQ_OP_Clip, clip_tactics, NULL, clip_bind},
    {SQ_OP_Add, binary_tactics, NULL, binary_bind},
    {SQ_OP_Sub, binary_tactics, NULL, binary_bind},
    {SQ_OP_Mul, binary_tactics, NULL, binary_bind},
    {SQ_OP_Div, binary_tactics, NULL, binary_bind},
    {SQ_OP_Min, binary_tactics, NULL, binary_bind},
    {SQ_OP_Max, binary_tactics, NULL, binary_bind},
    {SQ_OP_Sum, binary_tactics, NULL, binary_bind},
    {SQ_OP_Concat, concat_tactics, NULL, concat_bind},
    {SQ_OP_Split, split_tactics, NULL, split_bind},
    {SQ_OP_Slice, slice_tactics, NULL, slice_bind},
    {SQ_OP_Transpose, transpose_tactics, NULL, transpose_bind},
    {SQ_OP_Expand, expand_tactics, NULL, unary_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
