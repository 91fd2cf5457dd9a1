/* nn/runtime/runtime_context.c - one caller's memory for an engine, and a run.
 *
 * All that a run needs is made when the context is: tensors of every step with their addresses, the
 * tactics' states, arena, scratch memory, threads. A run writes the caller's addresses where they
 * are used and calls one function a step; the first holds the weights against their hashes before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/runtime/runtime.h"

/* A step ready to run. */
typedef struct bound {
    sq_step step;
    sq_call call;
    sq_runtime_fn *run;
    uint32_t index; /* of the plan */
} bound;

/* A tensor that lies in the caller's memory, in one step. */
typedef struct patch {
    squall_tensor *tensor;
    uint32_t port;
    bool output;
} patch;

struct squall_context {
    const squall_engine *engine;
    size_t profile;
    const sq_plan *plan; /* of the engine, or `own` */
    sq_plan own;         /* owned; for a batch that the engine has no plan of its own for */
    sq_pool *pool;
    int threads;
    bound *steps;                            /* owned, [step_count] */
    squall_tensor *tensors;                  /* owned; inputs and outputs of all steps */
    patch *patches;                          /* owned */
    squall_step_time *times;                 /* owned, [step_count] */
    unsigned char *arena, *scratch, *states; /* owned */
    uint32_t step_count, patch_count;
    sq_runtime_device on; /* the device that the steps run on; then arena and scratch are there */
    double device_s;      /* of the last run there */
    bool checked;         /* the weights are what was written */
};

/* What making a context needs only while it is made. */
typedef struct maker {
    squall_context *context;
    sq_tactic *tactics; /* [step_count] */
    size_t scratch_bytes, state_bytes;
} maker;

static void count_tensors(const sq_plan *plan, uint32_t *steps, size_t *tensors)
{
    *steps = 0;
    *tensors = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (sq_runtime_needed(plan, &plan->steps[s])) {
            *steps += 1;
            *tensors += (size_t)plan->steps[s].in_count + plan->steps[s].out_count;
        }
    }
}

/* A stretch of the weights that steps read; neighbours become one, so that many chunks are looked
 * at together. */
typedef struct stretch {
    uint64_t first, last;
} stretch;

static squall_status need_weights(const squall_context *context, stretch *held, uint64_t offset,
                                  uint64_t bytes, squall_error *err)
{
    const stretch had = *held;
    if (bytes == 0 || (offset >= had.first && offset + bytes <= had.last)) {
        return SQUALL_OK;
    }
    if (had.last > had.first && offset >= had.first && offset <= had.last + SQ_ALIGNMENT) {
        held->last = offset + bytes > had.last ? offset + bytes : had.last;
        return SQUALL_OK;
    }
    *held = (stretch){offset, offset + bytes};
    return sq_engine_check_weights(&context->engine->file, had.first, had.last - had.first,
                                   context->pool, err);
}

/* Constants that are looked at while a context is made, for sizes and places: the small ones and
 * those that are no numbers to compute with. */
static bool read_early(const squall_tensor *type)
{
    return squall_tensor_bytes(type) <= 4096 ||
           (type->dtype != SQUALL_F32 && type->dtype != SQUALL_F16 && type->dtype != SQUALL_BF16);
}

/* The weights that steps read must be what was written; `all`, or those that are read early. */
static squall_status check_weights(const squall_context *context, bool all, squall_error *err)
{
    const sq_plan *plan = context->plan;
    stretch held = {0, 0};
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const sq_plan_step *step = &plan->steps[s];
        if (!sq_runtime_needed(plan, step)) {
            continue;
        }
        for (uint32_t i = 0; i < step->in_count; i++) {
            const sq_plan_value *value = &plan->values[step->in[i]];
            if (value->home == SQ_HOME_CONST && (all || read_early(&value->type))) {
                SQ_TRY(need_weights(context, &held, value->offset,
                                    squall_tensor_bytes(&value->type), err));
            }
        }
        if (all) {
            SQ_TRY(need_weights(context, &held, step->packed_offset, step->packed_bytes, err));
        }
    }
    return sq_engine_check_weights(&context->engine->file, held.first, held.last - held.first,
                                   context->pool, err);
}

static squall_status restore_steps(maker *make, squall_error *err)
{
    squall_context *context = make->context;
    const sq_plan *plan = context->plan;
    squall_tensor *tensors = context->tensors;
    for (uint32_t s = 0, b = 0; s < plan->step_count; s++) {
        if (!sq_runtime_needed(plan, &plan->steps[s])) {
            continue;
        }
        squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
        bound *made = &context->steps[b];
        sq_tactic *tactic = &make->tactics[b++];
        SQ_TRY(sq_runtime_restore(&context->engine->file, plan, s, context->threads, in, out,
                                  &made->step, tactic, err));
        memcpy(tensors, in, made->step.in_count * sizeof *in);
        made->step.in = tensors;
        tensors += made->step.in_count;
        memcpy(tensors, out, made->step.out_count * sizeof *out);
        made->step.out = tensors;
        tensors += made->step.out_count;
        made->index = s;
        if (tactic->scratch_bytes > make->scratch_bytes) {
            make->scratch_bytes = tactic->scratch_bytes;
        }
        make->state_bytes += sq_round_up(tactic->state_bytes, SQ_ALIGNMENT);
        if (make->state_bytes > SQ_LIMIT_ARENA_BYTES) {
            return sq_fail(err, SQUALL_E_LIMIT, context->engine->file.name,
                           "its steps ask for more than %zu bytes of state", SQ_LIMIT_ARENA_BYTES);
        }
    }
    return SQUALL_OK;
}

/* Where a tensor's memory is; what belongs to the caller is noted to be set at each run. */
static squall_status place_tensor(squall_context *context, const sq_plan_value *value,
                                  squall_tensor *tensor, squall_error *err)
{
    if (context->on.device != NULL) {
        return sq_runtime_device_place(&context->on, value, tensor, err);
    }
    switch (value->home) {
    case SQ_HOME_ARENA:
        tensor->data = context->arena + value->offset;
        break;
    case SQ_HOME_INPUT:
    case SQ_HOME_OUTPUT:
        context->patches[context->patch_count++] = (patch){.tensor = tensor,
                                                           .port = (uint32_t)value->offset,
                                                           .output = value->home == SQ_HOME_OUTPUT};
        break;
    case SQ_HOME_NONE:
    case SQ_HOME_CONST: /* set already */
    case SQ_HOME_DROPPED:
        break;
    }
    return SQUALL_OK;
}

static squall_status bind_steps(maker *make, squall_error *err)
{
    squall_context *context = make->context;
    const sq_plan *plan = context->plan;
    unsigned char *state = context->states;
    squall_tensor *tensors = context->tensors;
    for (uint32_t b = 0; b < context->step_count; b++) {
        bound *made = &context->steps[b];
        const sq_plan_step *stored = &plan->steps[made->index];
        const sq_backend *backend = sq_runtime_backend(stored->backend);
        const sq_tactic *tactic = &make->tactics[b];
        SQ_TRY(backend->bind(&made->step, tactic, context->threads, state, err));
        for (uint32_t i = 0; i < stored->in_count; i++) {
            SQ_TRY(place_tensor(context, &plan->values[stored->in[i]], tensors++, err));
        }
        for (uint32_t i = 0; i < stored->out_count; i++) {
            SQ_TRY(place_tensor(context, &plan->values[stored->out[i]], tensors++, err));
        }
        made->run = backend->runner(&made->step, tactic);
        made->call = (sq_call){
            .step = &made->step,
            .packed = stored->packed_bytes > 0
                          ? context->engine->file.weights + stored->packed_offset
                          : NULL,
            .state = tactic->state_bytes > 0 ? state : NULL,
            .scratch = tactic->scratch_bytes > 0 ? context->scratch : NULL,
            .pool = context->pool,
            .device = context->on.device,
        };
        if (context->on.device != NULL) {
            void *packed;
            SQ_TRY(sq_runtime_device_copy(&context->on, stored->packed_offset, stored->packed_bytes,
                                          &packed, err));
            made->call.packed = packed;
            made->call.scratch = context->on.scratch;
        }
        state += sq_round_up(tactic->state_bytes, SQ_ALIGNMENT);
    }
    return SQUALL_OK;
}

/* Names, MACs and bytes of each step's line of a profile; times are filled by a run. */
static void fill_times(squall_context *context)
{
    for (uint32_t b = 0; b < context->step_count; b++) {
        const bound *made = &context->steps[b];
        const sq_plan_step *stored = &context->plan->steps[made->index];
        squall_step_time *line = &context->times[b];
        line->name = stored->name;
        line->op = sq_op_name(stored->op);
        line->tactic = stored->tactic;
        line->macs = sq_op_macs(&made->step);
        line->bytes = stored->packed_bytes;
        for (uint32_t i = 0; i < stored->in_count; i++) {
            if (context->plan->values[stored->in[i]].home != SQ_HOME_DROPPED) {
                line->bytes += squall_tensor_bytes(&made->step.in[i]);
            }
        }
        for (uint32_t i = 0; i < stored->out_count; i++) {
            line->bytes += squall_tensor_bytes(&made->step.out[i]);
        }
    }
}

static squall_status fail_step(const squall_context *context, const bound *made,
                               squall_status status, squall_error *err)
{
    const sq_plan_step *stored = &context->plan->steps[made->index];
    char where[192];
    snprintf(where, sizeof where, "%.60s: step %" PRIu32 " '%.60s' (%s)",
             context->engine->file.name, made->index, stored->name, sq_op_name(stored->op));
    return sq_fail(err, status, where, "failed while it ran: %s", squall_status_text(status));
}

static squall_status fail_device(const squall_context *context, squall_status status,
                                 squall_error *err)
{
    return status == SQUALL_OK
               ? SQUALL_OK
               : sq_fail(err, status, context->engine->file.name,
                         "the GPU failed: %s; open the engine again", squall_status_text(status));
}

/* All addresses are final, so the steps are put in the device's hands as one piece of work. */
static squall_status record_steps(squall_context *context, squall_error *err)
{
    const sq_device_face *face = context->on.face;
    sq_device *device = context->on.device;
    SQ_TRY(fail_device(context, face->marks(device, (size_t)context->step_count + 2), err));
    SQ_TRY(fail_device(context, face->wait(device), err));
    SQ_TRY(fail_device(context, face->record(device), err));
    squall_status status = SQUALL_OK;
    for (uint32_t b = 0; b < context->step_count && status == SQUALL_OK; b++) {
        status = context->steps[b].run(&context->steps[b].call);
        if (status != SQUALL_OK) {
            status = fail_step(context, &context->steps[b], status, err);
        }
    }
    const squall_status kept = face->keep(device);
    return status != SQUALL_OK ? status : fail_device(context, kept, err);
}

static squall_status replay(squall_context *context, const squall_tensor *inputs,
                            const squall_tensor *outputs)
{
    const sq_device_face *face = context->on.face;
    sq_device *device = context->on.device;
    SQ_TRY(sq_runtime_device_put(&context->on, inputs));
    SQ_TRY(face->mark(device, 0));
    SQ_TRY(face->replay(device));
    SQ_TRY(face->mark(device, 1));
    SQ_TRY(sq_runtime_device_get(&context->on, outputs));
    context->device_s = face->seconds(device, 0, 1);
    return SQUALL_OK;
}

static squall_status run_device(squall_context *context, const squall_tensor *inputs,
                                const squall_tensor *outputs, squall_error *err)
{
    return fail_device(context, replay(context, inputs, outputs), err);
}

double squall_context_device_s(const squall_context *context)
{
    return context->device_s;
}

/* The same step by step, with a mark before each and one at the end. */
static squall_status profile_device(const squall_context *context, const squall_tensor *inputs,
                                    const squall_tensor *outputs, squall_error *err)
{
    const sq_device_face *face = context->on.face;
    sq_device *device = context->on.device;
    SQ_TRY(fail_device(context, sq_runtime_device_put(&context->on, inputs), err));
    for (uint32_t b = 0; b < context->step_count; b++) {
        SQ_TRY(fail_device(context, face->mark(device, b), err));
        const squall_status status = context->steps[b].run(&context->steps[b].call);
        if (status != SQUALL_OK) {
            return fail_step(context, &context->steps[b], status, err);
        }
    }
    SQ_TRY(fail_device(context, face->mark(device, context->step_count), err));
    SQ_TRY(fail_device(context, sq_runtime_device_get(&context->on, outputs), err));
    for (uint32_t b = 0; b < context->step_count; b++) {
        context->times[b].seconds = face->seconds(device, b, (size_t)b + 1);
    }
    return SQUALL_OK;
}

static squall_status take_memory(maker *make, squall_error *err)
{
    squall_context *context = make->context;
    size_t tensors;
    count_tensors(context->plan, &context->step_count, &tensors);
    make->tactics = sq_alloc(context->step_count, sizeof *make->tactics);
    context->steps = sq_alloc(context->step_count, sizeof *context->steps);
    context->times = sq_alloc(context->step_count, sizeof *context->times);
    context->tensors = sq_alloc(tensors, sizeof *context->tensors);
    context->patches = sq_alloc(tensors, sizeof *context->patches);
    if (make->tactics == NULL || context->steps == NULL || context->times == NULL ||
        context->tensors == NULL || context->patches == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, context->engine->file.name,
                       "no memory for a context of %" PRIu32 " steps", context->step_count);
    }
    return SQUALL_OK;
}

static squall_status fill_context(maker *make, squall_error *err)
{
    squall_context *context = make->context;
    SQ_TRY(take_memory(make, err));
    if (context->threads > 1) {
        SQ_TRY(sq_pool_create(context->threads, &context->pool, err));
    }
    const bool on_device = context->engine->on_device;
    SQ_TRY(check_weights(context, on_device, err));
    context->checked = on_device;
    SQ_TRY(restore_steps(make, err));
    if (on_device) {
        SQ_TRY(sq_runtime_device_open(&context->engine->file, context->plan, make->scratch_bytes,
                                      &context->on, err));
    }
    /* Not zeroed: pages come when they are first written to. */
    context->arena = sq_alloc_huge(on_device ? 0 : context->plan->arena_bytes, 1);
    context->scratch = sq_alloc_huge(on_device ? 0 : make->scratch_bytes, 1);
    context->states = sq_alloc(make->state_bytes, 1);
    if (context->arena == NULL || context->scratch == NULL || context->states == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, context->engine->file.name,
                       "no memory for a context: %" PRIu64 " bytes of arena, %zu of scratch, %zu "
                       "of state",
                       context->plan->arena_bytes, make->scratch_bytes, make->state_bytes);
    }
    if (on_device) {
        sq_pool_destroy(&context->pool); /* it has checked the weights; the rest runs there */
    }
    SQ_TRY(bind_steps(make, err));
    fill_times(context);
    return on_device ? record_steps(context, err) : SQUALL_OK;
}

/* `inputs` is NULL for those that the profile was planned for. */
static squall_status create(squall_engine *engine, size_t profile, const squall_tensor *inputs,
                            int32_t threads, squall_context **out, squall_error *err)
{
    if (profile >= engine->file.profile_count || threads < 0 || threads > SQ_POOL_THREADS) {
        return sq_fail(err, SQUALL_E_ARGUMENT, engine->file.name,
                       "profile %zu of %" PRIu32 ", %" PRId32 " threads of at most %d", profile,
                       engine->file.profile_count, threads, SQ_POOL_THREADS);
    }
    maker make = {.context = sq_alloc(1, sizeof(squall_context))};
    if (make.context == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, engine->file.name, "no memory for a context");
    }
    const int processors = sq_cpu_count();
    make.context->engine = engine;
    make.context->profile = profile;
    make.context->plan = &engine->plans[profile];
    make.context->threads = threads > 0                    ? threads
                            : processors < SQ_POOL_THREADS ? processors
                                                           : SQ_POOL_THREADS;
    squall_status status = SQUALL_OK;
    if (inputs != NULL) {
        status = sq_plan_derive(make.context->plan, &engine->file, inputs, &make.context->own, err);
        make.context->plan = &make.context->own;
    }
    if (status == SQUALL_OK) {
        status = fill_context(&make, err);
    }
    sq_free(make.tactics);
    if (status != SQUALL_OK) {
        squall_context_destroy(&make.context);
        return status;
    }
    *out = make.context;
    return SQUALL_OK;
}

squall_status squall_context_create(squall_engine *engine, size_t profile, int32_t threads,
                                    squall_context **out, squall_error *err)
{
    return create(engine, profile, NULL, threads, out, err);
}

squall_status squall_context_create_for(squall_engine *engine, const squall_tensor *inputs,
                                        size_t input_count, int32_t threads, squall_context **out,
                                        squall_error *err)
{
    size_t profile;
    bool planned = true;
    SQ_TRY(squall_engine_find_profile(engine, inputs, input_count, &profile, err));
    const sq_plan *plan = &engine->plans[profile];
    for (uint32_t i = 0; i < plan->input_count; i++) {
        planned = planned && sq_tensor_same_type(&inputs[i], &plan->values[plan->inputs[i]].type);
    }
    return create(engine, profile, planned ? NULL : inputs, threads, out, err);
}

/* Type of one of the caller's tensors. */
static squall_status get_port(const squall_context *context, bool input, size_t index,
                              squall_tensor *type, squall_error *err)
{
    const sq_plan *plan = context->plan;
    const uint32_t count = input ? plan->input_count : plan->output_count;
    if (index >= count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, context->engine->file.name,
                       "has no %s %zu; it has %" PRIu32 ", counted from 0",
                       input ? "input" : "output", index, count);
    }
    *type = plan->values[input ? plan->inputs[index] : plan->outputs[index]].type;
    return SQUALL_OK;
}

squall_status squall_context_input(const squall_context *context, size_t index, squall_tensor *type,
                                   squall_error *err)
{
    return get_port(context, true, index, type, err);
}

squall_status squall_context_output(const squall_context *context, size_t index,
                                    squall_tensor *type, squall_error *err)
{
    return get_port(context, false, index, type, err);
}

void squall_context_info(const squall_context *context, squall_profile_info *out)
{
    const sq_plan *plan = context->plan;
    *out = (squall_profile_info){.arena_bytes = plan->arena_bytes,
                                 .arena_bound_bytes = plan->arena_bound_bytes,
                                 .macs = plan->macs,
                                 .step_count = plan->step_count,
                                 .backend = context->engine->backends[context->profile]};
}

void squall_context_destroy(squall_context **context)
{
    if (context == NULL || *context == NULL) {
        return;
    }
    squall_context *old = *context;
    sq_pool_destroy(&old->pool);
    sq_runtime_device_close(&old->on);
    sq_plan_free(&old->own);
    sq_free(old->steps);
    sq_free(old->times);
    sq_free(old->tensors);
    sq_free(old->patches);
    sq_free(old->arena);
    sq_free(old->scratch);
    sq_free(old->states);
    sq_free(old);
    *context = NULL;
}

/* One of the caller's tensors against the one planned. */
static squall_status check_tensor(const squall_context *context, const squall_tensor *given,
                                  const sq_plan_value *planned, const char *kind, uint32_t index,
                                  squall_error *err)
{
    char where[160];
    if (sq_tensor_same_type(given, &planned->type)) {
        const size_t size = squall_dtype_size(given->dtype);
        if ((given->data != NULL && (uintptr_t)given->data % size == 0) ||
            squall_tensor_bytes(given) == 0) {
            return SQUALL_OK;
        }
        snprintf(where, sizeof where, "%.60s: %s '%.60s'", context->engine->file.name, kind,
                 planned->name);
        return sq_fail(err, SQUALL_E_ARGUMENT, where,
                       "its data is NULL or not aligned to its %zu-byte elements", size);
    }
    char have[SQ_TENSOR_TEXT], want[SQ_TENSOR_TEXT];
    snprintf(where, sizeof where, "%.60s: %s '%.60s'", context->engine->file.name, kind,
             planned->name);
    return sq_fail(err, SQUALL_E_SHAPE, where,
                   "number %" PRIu32 " is %s; this profile takes %s: reshape it or choose another "
                   "profile",
                   index, sq_tensor_format(given, have), sq_tensor_format(&planned->type, want));
}

static bool overlap(const squall_tensor *a, const squall_tensor *b)
{
    const uintptr_t a_first = (uintptr_t)a->data, b_first = (uintptr_t)b->data;
    return a_first < b_first + squall_tensor_bytes(b) && b_first < a_first + squall_tensor_bytes(a);
}

/* Outputs are written while inputs are still read, so they may not share memory. */
static squall_status check_ports(const squall_context *context, const squall_tensor *inputs,
                                 size_t input_count, const squall_tensor *outputs,
                                 size_t output_count, squall_error *err)
{
    const sq_plan *plan = context->plan;
    if (input_count != plan->input_count || output_count != plan->output_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, context->engine->file.name,
                       "takes %" PRIu32 " inputs and gives %" PRIu32 " outputs; %zu and %zu were "
                       "passed",
                       plan->input_count, plan->output_count, input_count, output_count);
    }
    for (uint32_t i = 0; i < plan->input_count; i++) {
        SQ_TRY(check_tensor(context, &inputs[i], &plan->values[plan->inputs[i]], "input", i, err));
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        SQ_TRY(
            check_tensor(context, &outputs[i], &plan->values[plan->outputs[i]], "output", i, err));
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        bool shared = false;
        for (uint32_t k = 0; k < plan->input_count; k++) {
            shared = shared || overlap(&outputs[i], &inputs[k]);
        }
        for (uint32_t k = 0; k < i; k++) {
            shared = shared || overlap(&outputs[i], &outputs[k]);
        }
        if (shared) {
            return sq_fail(err, SQUALL_E_ARGUMENT, plan->values[plan->outputs[i]].name,
                           "its memory overlaps that of another tensor passed");
        }
    }
    return SQUALL_OK;
}

squall_status squall_context_check(squall_context *context, squall_error *err)
{
    if (!context->checked) {
        SQ_TRY(check_weights(context, true, err));
        context->checked = true;
    }
    return SQUALL_OK;
}

static squall_status begin(squall_context *context, const squall_tensor *inputs, size_t input_count,
                           const squall_tensor *outputs, size_t output_count, squall_error *err)
{
    SQ_TRY(check_ports(context, inputs, input_count, outputs, output_count, err));
    SQ_TRY(squall_context_check(context, err));
    for (uint32_t i = 0; i < context->patch_count; i++) {
        const patch *to = &context->patches[i];
        to->tensor->data = to->output ? outputs[to->port].data : inputs[to->port].data;
    }
    return SQUALL_OK;
}

squall_status squall_context_run(squall_context *context, const squall_tensor *inputs,
                                 size_t input_count, const squall_tensor *outputs,
                                 size_t output_count, squall_error *err)
{
    SQ_TRY(begin(context, inputs, input_count, outputs, output_count, err));
    if (context->on.device != NULL) {
        return run_device(context, inputs, outputs, err);
    }
    for (uint32_t b = 0; b < context->step_count; b++) {
        const bound *made = &context->steps[b];
        const squall_status status = made->run(&made->call);
        if (status != SQUALL_OK) {
            return fail_step(context, made, status, err);
        }
    }
    return SQUALL_OK;
}

squall_status sq_runtime_run_tapped(squall_context *context, const squall_tensor *inputs,
                                    size_t input_count, const squall_tensor *outputs,
                                    size_t output_count, sq_runtime_tap *tap, void *self,
                                    squall_error *err)
{
    SQ_TRY(begin(context, inputs, input_count, outputs, output_count, err));
    for (uint32_t b = 0; b < context->step_count; b++) {
        const bound *made = &context->steps[b];
        const squall_status status = made->run(&made->call);
        if (status != SQUALL_OK) {
            return fail_step(context, made, status, err);
        }
        SQ_TRY(tap(self, context->plan, made->index, &made->step, err));
    }
    return SQUALL_OK;
}

squall_status squall_context_profile(squall_context *context, const squall_tensor *inputs,
                                     size_t input_count, const squall_tensor *outputs,
                                     size_t output_count, const squall_step_time **steps,
                                     size_t *step_count, squall_error *err)
{
    SQ_TRY(begin(context, inputs, input_count, outputs, output_count, err));
    *steps = context->times;
    *step_count = context->step_count;
    if (context->on.device != NULL) {
        return profile_device(context, inputs, outputs, err);
    }
    double before = sq_clock_s();
    for (uint32_t b = 0; b < context->step_count; b++) {
        const bound *made = &context->steps[b];
        const squall_status status = made->run(&made->call);
        if (status != SQUALL_OK) {
            return fail_step(context, made, status, err);
        }
        const double after = sq_clock_s();
        context->times[b].seconds = after - before;
        before = after;
    }
    return SQUALL_OK;
}
