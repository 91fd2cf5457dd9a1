/* nn/cuda/cuda_reduce.c - sums and largest numbers along axes, global pooling, products of
 * matrices.
 *
 * A reduction is [outer][rows][inner]: where inner is 1 a warp takes a row; elsewhere the rows are
 * cut into slices, added up in stages through scratch memory, so that all of the GPU is busy
 * and the result is the same in every run. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

/* ------------------------------------------------------------------ reductions */

enum { STAGES = 3, LAST_SLICES = 32, THREADS_WANTED = 1 << 17, ROWS_LEAST = 8 };

typedef struct reduction {
    int64_t outer, rows, inner, pitch, real; /* real: numbers that a sum is divided by */
    int64_t slices[STAGES];                  /* of each stage; the last is 1 */
    int stages;
    bool largest, mean;
} reduction;

/* Bit i set: axis i goes; false when the axes are not constant. */
static bool axes_of(const sq_step *step, uint32_t *set)
{
    const squall_tensor *in = &step->in[0];
    if (step->op == SQ_OP_GlobalAveragePool || step->op == SQ_OP_GlobalMaxPool) {
        *set = ((1u << in->rank) - 1) & ~3u;
        return true;
    }
    size_t count;
    const int64_t *axes = sq_attr_ints(step->attrs, "axes", &count);
    *set = 0;
    if (step->in_count > 1 && step->in[1].dtype != SQUALL_DTYPE_NONE) {
        if (step->in[1].data == NULL) {
            return false;
        }
        count = squall_tensor_count(&step->in[1]);
    }
    for (size_t i = 0; i < count; i++) {
        int64_t at = axes != NULL ? axes[i] : sq_tensor_get_int(&step->in[1], i);
        at += at < 0 ? (int64_t)in->rank : 0;
        if (at < 0 || at >= (int64_t)in->rank) {
            return false;
        }
        *set |= 1u << at;
    }
    if (count == 0) {
        if (sq_attr_int(step->attrs, "noop_with_empty_axes", 0) != 0) {
            return false;
        }
        *set = (1u << in->rank) - 1;
    }
    return true;
}

/* Cut rows into stages. */
static void plan_stages(reduction *r)
{
    int64_t rows = r->rows;
    r->stages = 0;
    while (r->inner > 1 && r->stages < STAGES - 1 && rows > LAST_SLICES) {
        int64_t slices = THREADS_WANTED / (r->outer * r->inner);
        slices = slices > rows / ROWS_LEAST ? rows / ROWS_LEAST : slices;
        slices = r->stages > 0 || slices < LAST_SLICES ? LAST_SLICES : slices;
        slices = slices > rows ? rows : slices;
        r->slices[r->stages++] = slices;
        rows = slices;
    }
    if (r->inner > 1 && r->stages == 0) { /* the last stage reads float32 */
        r->slices[r->stages++] = rows < LAST_SLICES ? rows : LAST_SLICES;
    }
}

/* Axes in the order in which they lie: kept ones, then those that go, then kept ones. */
static bool reduction_of(const sq_step *step, squall_layout layout, reduction *out)
{
    const squall_tensor *in = &step->in[0];
    uint32_t set, order[SQUALL_MAX_DIMS], count = 0;
    if (!axes_of(step, &set)) {
        return false;
    }
    const bool last = layout == SQUALL_NHWC;
    for (uint32_t i = 0; i < in->rank; i++) {
        if (!last || i != 1) {
            order[count++] = i;
        }
    }
    if (last) {
        order[count++] = 1;
    }
    *out = (reduction){.outer = 1, .rows = 1, .inner = 1};
    int part = 0; /* 0 kept, 1 gone, 2 kept again */
    for (uint32_t k = 0; k < count; k++) {
        const int64_t size = in->dims[order[k]];
        const bool gone = (set >> order[k] & 1) != 0;
        if (size == 1) {
            continue;
        }
        if (gone ? part == 2 : false) {
            return false;
        }
        part = gone ? 1 : part == 1 ? 2 : part;
        *(part == 0 ? &out->outer : part == 1 ? &out->rows : &out->inner) *= size;
    }
    const int64_t channels = last ? in->dims[1] : 1, lanes = last ? sq_cuda_pitch(in) : 1;
    out->real = out->rows;
    out->pitch = out->inner > 1 ? out->inner : out->rows;
    if (channels != lanes) { /* filled-up lanes: only where channels are alone at the end */
        if (channels > 1 && out->inner == channels && (set & 2u) == 0) {
            out->pitch = lanes;
        } else if (out->rows == channels && out->inner == 1 && (set & 2u) != 0) {
            out->pitch = lanes;
        } else {
            return false;
        }
    }
    out->largest = step->op == SQ_OP_ReduceMax || step->op == SQ_OP_GlobalMaxPool;
    out->mean = step->op == SQ_OP_ReduceMean || step->op == SQ_OP_GlobalAveragePool;
    plan_stages(out);
    return out->rows > 0 && sq_cuda_threads_fit((uint64_t)out->outer * (uint64_t)out->inner * 32);
}

static size_t stage_floats(const reduction *r, int stage)
{
    return (size_t)(r->outer * r->slices[stage] * r->inner);
}

static size_t reduce_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    const squall_tensor *in = &step->in[0];
    size_t count = 0;
    (void)capability;
    if (!sq_cuda_is_float(in->dtype) || squall_tensor_count(in) == 0) {
        return sq_cuda_refuse(why, "only of float32 and float16");
    }
    for (int last = in->rank == 4 ? 1 : 0; last >= 0; last--) {
        reduction r;
        char name[SQ_TACTIC_NAME];
        if (!reduction_of(step, last ? SQUALL_NHWC : SQUALL_PLAIN, &r)) {
            continue;
        }
        snprintf(name, sizeof name, "reduce_%s%s", in->dtype == SQUALL_F16 ? "f16" : "f32",
                 last ? "_nhwc" : "");
        sq_cuda_tactic(&out[count], name, STAGES);
        out[count].in_layout[0] = (uint8_t)(last ? SQUALL_NHWC : SQUALL_PLAIN);
        for (int s = 0; s < r.stages; s++) {
            out[count].scratch_bytes +=
                sq_round_up(stage_floats(&r, s) * sizeof(float), SQ_ALIGNMENT);
        }
        out[count].cost = 3e-6 + 1e-12 * (double)squall_tensor_bytes(in);
        count++;
    }
    return count > 0 ? count : sq_cuda_refuse(why, "axes that do not lie beside each other");
}

/* Threads for a row whose numbers lie beside each other: each has eight of them, or one. */
static int lanes_of(const reduction *r)
{
    const int64_t pieces = r->rows % 8 == 0 && r->pitch % 8 == 0 ? r->rows / 8 : r->rows;
    int lanes = 1;
    while (lanes < 32 && lanes < pieces) {
        lanes *= 2;
    }
    return lanes;
}

static squall_status reduce_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                                 squall_error *err)
{
    reduction r;
    const bool half = step->in[0].dtype == SQUALL_F16;
    if (!reduction_of(step, (squall_layout)tactic->in_layout[0], &r)) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "its axes have changed");
    }
    sq_cuda_reduce_args args = {
        .outer = r.outer,
        .rows = r.rows,
        .slices = 1,
        .inner = (int)r.inner,
        .pitch = (int)r.pitch,
        .largest = r.largest,
        .scale = r.mean ? (float)(1.0 / (double)r.real) : 1.0f,
        .act = sq_cuda_step_act(step),
    };
    uint64_t from = 0, to = 0;
    for (int s = 0; s <= r.stages; s++) {
        const bool last = s == r.stages, first = s == 0;
        args.slices = last ? 1 : (int)r.slices[s];
        const bool eights = r.inner % 8 == 0 && args.pitch % 8 == 0;
        args.lanes = r.stages == 0 ? lanes_of(&r) : !last && eights ? 8 : 1;
        args.wide = r.stages == 0 && r.rows % 8 == 0 && r.pitch % 8 == 0;
        uint64_t threads = (uint64_t)(r.outer * args.slices * r.inner);
        threads = r.stages == 0 ? threads * (uint64_t)args.lanes
                  : last        ? threads * 32
                                : threads / (uint64_t)args.lanes;
        const sq_cuda_kernel kernel =
            r.stages == 0 ? (half ? SQ_CUDA_reduce_row_f16 : SQ_CUDA_reduce_row_f32)
            : last        ? (half ? SQ_CUDA_reduce_last_f16 : SQ_CUDA_reduce_last_f32)
            : first       ? (half ? SQ_CUDA_reduce_first_f16 : SQ_CUDA_reduce_first_f32)
                          : SQ_CUDA_reduce_first_f32;
        sq_cuda_launch *launch = sq_cuda_launch_add(state, kernel, threads);
        launch->args.reduce = args;
        sq_cuda_patch_add(launch, offsetof(sq_cuda_reduce_args, in),
                          first ? SQ_CUDA_INPUT : SQ_CUDA_SCRATCH, 0, from);
        sq_cuda_patch_add(launch, offsetof(sq_cuda_reduce_args, out),
                          last ? SQ_CUDA_OUTPUT : SQ_CUDA_SCRATCH, 0, last ? 0 : to);
        if (!last) {
            from = to;
            to += sq_round_up(stage_floats(&r, s) * sizeof(float), SQ_ALIGNMENT);
            args.rows = args.slices;
            args.pitch = args.inner;
        }
    }
    return SQUALL_OK;
}

/* ------------------------------------------------------------------ products */

static size_t gemm_tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    char name[SQ_TACTIC_NAME];
    (void)capability;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_DTYPE_NONE &&
            (step->in[i].dtype != step->in[0].dtype || (i < 2 && step->in[i].rank != 2) ||
             step->in[i].rank > 2)) {
            return sq_cuda_refuse(why, "only of matrices of one type");
        }
    }
    if (!sq_cuda_is_float(step->in[0].dtype) || step->out[0].rank != 2 ||
        !sq_cuda_threads_fit(32 * squall_tensor_count(&step->out[0]))) {
        return sq_cuda_refuse(why, "only of float32 and float16 matrices");
    }
    snprintf(name, sizeof name, "gemm_%s", step->in[0].dtype == SQUALL_F16 ? "f16" : "f32");
    sq_cuda_tactic(out, name, 1);
    out->cost = 2e-6 + 1e-12 * (double)sq_op_macs(step);
    return 1;
}

static squall_status gemm_bind(const sq_step *step, const sq_tactic *tactic, sq_cuda_state *state,
                               squall_error *err)
{
    const squall_tensor *a = &step->in[0], *b = &step->in[1], *y = &step->out[0];
    const bool gemm = step->op == SQ_OP_Gemm;
    const bool a_turned = gemm && sq_attr_int(step->attrs, "transA", 0) != 0;
    const bool b_turned = gemm && sq_attr_int(step->attrs, "transB", 0) != 0;
    (void)tactic;
    (void)err;
    sq_cuda_launch *launch =
        sq_cuda_launch_add(state, a->dtype == SQUALL_F16 ? SQ_CUDA_gemm_f16 : SQ_CUDA_gemm_f32,
                           32 * (uint64_t)squall_tensor_count(y));
    sq_cuda_gemm_args *args = &launch->args.gemm;
    *args = (sq_cuda_gemm_args){
        .m = (int)y->dims[0],
        .n = (int)y->dims[1],
        .k = (int)a->dims[a_turned ? 0 : 1],
        .a_row = a_turned ? 1 : (int)a->dims[1],
        .a_col = a_turned ? (int)a->dims[1] : 1,
        .b_row = b_turned ? 1 : (int)b->dims[1],
        .b_col = b_turned ? (int)b->dims[1] : 1,
        .alpha = gemm ? sq_attr_float(step->attrs, "alpha", 1) : 1,
        .beta = gemm ? sq_attr_float(step->attrs, "beta", 1) : 0,
        .act = sq_cuda_step_act(step),
    };
    sq_cuda_patch_add(launch, offsetof(sq_cuda_gemm_args, a), SQ_CUDA_INPUT, 0, 0);
    sq_cuda_patch_add(launch, offsetof(sq_cuda_gemm_args, b), SQ_CUDA_INPUT, 1, 0);
    if (gemm && step->in_count > 2 && step->in[2].dtype != SQUALL_DTYPE_NONE) {
        const squall_tensor *c = &step->in[2];
        const int64_t columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        args->c_col = columns > 1 ? 1 : 0;
        args->c_row = c->rank == 2 && c->dims[0] > 1 ? (int)columns : 0;
        sq_cuda_patch_add(launch, offsetof(sq_cuda_gemm_args, c), SQ_CUDA_INPUT, 2, 0);
    }
    sq_cuda_patch_add(launch, offsetof(sq_cuda_gemm_args, out), SQ_CUDA_OUTPUT, 0, 0);
    return SQUALL_OK;
}

const sq_cuda_op sq_cuda_ops_reduce[] = {
    {SQ_OP_ReduceMean, reduce_tactics, NULL, reduce_bind},
    {SQ_OP_ReduceSum, reduce_tactics, NULL, reduce_bind},
    {SQ_OP_ReduceMax, reduce_tactics, NULL, reduce_bind},
    {SQ_OP_GlobalAveragePool, reduce_tactics, NULL, reduce_bind},
    {SQ_OP_GlobalMaxPool, reduce_tactics, NULL, reduce_bind},
    {SQ_OP_Gemm, gemm_tactics, NULL, gemm_bind},
    {SQ_OP_MatMul, gemm_tactics, NULL, gemm_bind},
    {SQ_OP_NONE, NULL, NULL, NULL},
};
