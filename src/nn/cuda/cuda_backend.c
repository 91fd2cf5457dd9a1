/* nn/cuda/cuda_backend.c - the face of the room: which driver runs a step, and its launches. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/cuda/cuda_internal.h"

static const sq_cuda_op *const groups[] = {sq_cuda_ops_map,    sq_cuda_ops_conv,
                                           sq_cuda_ops_window, sq_cuda_ops_reduce,
                                           sq_cuda_ops_gates,  sq_cuda_ops_quant};

void sq_cuda_tactic(sq_tactic *tactic, const char *what, size_t launches)
{
    memset(tactic, 0, sizeof *tactic);
    snprintf(tactic->name, sizeof tactic->name, "%s", what);
    tactic->in_place = -1;
    tactic->state_bytes = sq_cuda_state_bytes(launches);
}

size_t sq_cuda_refuse(sq_reason *why, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why->text, sizeof why->text, format, list);
    va_end(list);
    return 0;
}

sq_cuda_act sq_cuda_step_act(const sq_step *step)
{
    size_t count;
    sq_cuda_act act = {.kind = (int)sq_attr_int(step->attrs, "sq_activation", SQ_ACT_NONE)};
    if (act.kind == SQ_ACT_LEAKY_RELU) {
        act.a = 0.01f;
    } else if (act.kind == SQ_ACT_CLIP) {
        act.a = -INFINITY;
        act.b = INFINITY;
    } else if (act.kind == SQ_ACT_HARD_SIGMOID) {
        act.a = 0.2f;
        act.b = 0.5f;
    }
    const float *params = sq_attr_floats(step->attrs, "sq_activation_params", &count);
    act.a = count > 0 ? params[0] : act.a;
    act.b = count > 1 ? params[1] : act.b;
    return act;
}

const char *sq_cuda_type(squall_dtype dtype)
{
    return dtype == SQUALL_F16 ? "f16" : dtype == SQUALL_U8 ? "u8" : "f32";
}

bool sq_cuda_is_float(squall_dtype dtype)
{
    return dtype == SQUALL_F32 || dtype == SQUALL_F16;
}

int sq_cuda_pitch(const squall_tensor *tensor)
{
    const int64_t lanes = (int64_t)sq_tensor_lanes(tensor->dtype);
    return (int)((tensor->dims[1] + lanes - 1) / lanes * lanes);
}

void sq_cuda_patch_add(sq_cuda_launch *launch, size_t at, sq_cuda_source source, uint32_t index,
                       uint64_t offset)
{
    launch->patches[launch->patch_count++] =
        (sq_cuda_patch){.at = (uint32_t)at, .source = source, .index = index, .offset = offset};
}

bool sq_cuda_threads_fit(uint64_t threads)
{
    return threads < (uint64_t)INT32_MAX;
}

sq_cuda_launch *sq_cuda_launch_add(sq_cuda_state *state, sq_cuda_kernel kernel, uint64_t threads)
{
    sq_cuda_launch *launch = &state->launches[state->count++];
    memset(launch, 0, sizeof *launch);
    launch->kernel = kernel;
    launch->block = SQ_CUDA_BLOCK;
    launch->grid_x = (uint32_t)((threads + SQ_CUDA_BLOCK - 1) / SQ_CUDA_BLOCK);
    launch->grid_y = 1;
    return launch;
}

/* Layouts that kernels know, sizes that their numbers hold, an activation that there is. */
static bool types_known(const sq_step *step, sq_reason *why)
{
    const sq_cuda_act act = sq_cuda_step_act(step);
    if (act.kind < SQ_ACT_NONE || act.kind > SQ_ACT_SILU) {
        return sq_cuda_refuse(why, "activation %d is not known", act.kind) != 0;
    }
    for (uint32_t i = 0; i < step->in_count + step->out_count; i++) {
        const squall_tensor *tensor =
            i < step->in_count ? &step->in[i] : &step->out[i - step->in_count];
        squall_tensor padded = *tensor;
        padded.layout = tensor->rank >= 2 ? SQUALL_NHWC : SQUALL_PLAIN;
        if (tensor->dtype == SQUALL_DTYPE_NONE) {
            continue;
        }
        if ((tensor->layout != SQUALL_PLAIN && tensor->layout != SQUALL_NHWC) ||
            squall_tensor_bytes(&padded) > (size_t)INT32_MAX * 2) {
            return sq_cuda_refuse(why, "a tensor has blocked channels, or more than 4 GiB") != 0;
        }
    }
    return true;
}

/* The tactics of the operator; `*from` is its driver. */
static size_t list(const sq_step *step, int capability, sq_tactic *out, const sq_cuda_op **from,
                   sq_reason *why)
{
    sq_cuda_refuse(why, "no CUDA kernel for %s", sq_op_name(step->op));
    if (!types_known(step, why)) {
        return 0;
    }
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        for (const sq_cuda_op *op = groups[g]; op->op != SQ_OP_NONE; op++) {
            if (op->op == step->op) {
                *from = op;
                return op->tactics(step, capability, out, why);
            }
        }
    }
    return 0;
}

/* The tactic called `name`, and its driver. Constants that packing has replaced are gone from a
 * stored step; a number stands in for them, since only their presence matters here. */
static const sq_cuda_op *find(const sq_step *step, const char *name, sq_tactic *tactic,
                              sq_reason *why)
{
    static const float nothing[16];
    squall_tensor in[SQ_MAX_INPUTS];
    sq_tactic all[SQ_CUDA_MOST];
    const sq_cuda_op *op = NULL;
    sq_step view = *step;
    if (step->in_count > 0) {
        memcpy(in, step->in, step->in_count * sizeof *in);
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (in[i].data == NULL && (sq_cuda_is_float(in[i].dtype) || step->op == SQ_OP_SqQConv)) {
            in[i].data = (void *)(uintptr_t)nothing;
        }
    }
    view.in = in;
    const size_t count = list(&view, SQ_CUDA_EVERY_CAPABILITY, all, &op, why);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0) {
            *tactic = all[i];
            return op;
        }
    }
    return NULL;
}

/* The best guesses, as many as the compiler takes. */
static size_t tactics(const sq_step *step, int capability, sq_tactic *out, sq_reason *why)
{
    const sq_cuda_op *op = NULL;
    sq_tactic all[SQ_CUDA_MOST];
    size_t count = list(step, capability, all, &op, why);
    count = count < SQ_MAX_TACTICS ? count : SQ_MAX_TACTICS;
    memcpy(out, all, count * sizeof *all);
    return count;
}

static squall_status restore(const sq_step *step, const char *name, int threads, sq_tactic *out,
                             squall_error *err)
{
    sq_reason why;
    (void)threads;
    if (find(step, name, out, &why) == NULL) {
        return sq_fail(err, SQUALL_E_MISMATCH, step->name, "there is no tactic '%s': %s", name,
                       why.text);
    }
    return SQUALL_OK;
}

static squall_status pack(const sq_step *step, const sq_tactic *tactic, void *packed,
                          squall_error *err)
{
    sq_reason why;
    sq_tactic found;
    const sq_cuda_op *op = find(step, tactic->name, &found, &why);
    return op != NULL && op->pack != NULL ? op->pack(step, tactic, packed, err) : SQUALL_OK;
}

static squall_status bind(const sq_step *step, const sq_tactic *tactic, int threads, void *state,
                          squall_error *err)
{
    sq_reason why;
    sq_tactic found;
    (void)threads;
    const sq_cuda_op *op = find(step, tactic->name, &found, &why);
    if (op == NULL) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "'%s' was there and is gone",
                       tactic->name);
    }
    ((sq_cuda_state *)state)->count = 0;
    return op->bind(step, tactic, state, err);
}

static squall_status run(const sq_call *call)
{
    const sq_cuda_state *state = call->state;
    for (uint32_t i = 0; i < state->count; i++) {
        SQ_TRY(sq_cuda_launch_on(call->device, &state->launches[i], call));
    }
    return SQUALL_OK;
}

static squall_status (*runner(const sq_step *step, const sq_tactic *tactic))(const sq_call *call)
{
    (void)step;
    (void)tactic;
    return run;
}

/* One backend for each capability at which kernels begin to be offered. */
#define BACKEND(symbol, linkage, capability)                                         \
    static size_t tactics_##symbol(const sq_step *step, int threads, sq_tactic *out, \
                                   sq_reason *why)                                   \
    {                                                                                \
        (void)threads;                                                               \
        return tactics(step, capability, out, why);                                  \
    }                                                                                \
    linkage const sq_backend symbol = {                                              \
        .id = SQ_BACKEND_CUDA,                                                       \
        .name = "cuda",                                                              \
        .device = &sq_cuda_face,                                                     \
        .tactics = tactics_##symbol,                                                 \
        .pack = pack,                                                                \
        .restore = restore,                                                          \
        .bind = bind,                                                                \
        .runner = runner,                                                            \
    }
BACKEND(sq_cuda_backend, , SQ_CUDA_EVERY_CAPABILITY);
BACKEND(simple, static, 0);
BACKEND(turing, static, 75);
BACKEND(ampere, static, 80);
BACKEND(hopper, static, 90);

const sq_backend *sq_cuda_backend_for(int capability)
{
    return capability == 90   ? &hopper
           : capability >= 80 ? &ampere
           : capability >= 75 ? &turing
                              : &simple;
}
