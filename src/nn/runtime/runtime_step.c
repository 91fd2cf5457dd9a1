/* nn/runtime/runtime_step.c - a stored step and the tactic that carries it out on this host. */
#include <inttypes.h>
#include <stdio.h>

#include "nn/cpu/cpu.h"
#include "nn/cuda/cuda.h"
#include "nn/ref/ref.h"
#include "nn/runtime/runtime.h"

static const sq_backend *const backends[] = {&sq_ref_backend, &sq_cpu_backend, &sq_cuda_backend};

const sq_backend *sq_runtime_backend(uint32_t id)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (backends[i]->id == id) {
            return backends[i];
        }
    }
    return NULL;
}

bool sq_runtime_needed(const sq_plan *plan, const sq_plan_step *step)
{
    for (uint32_t i = 0; step->backend != SQ_PLAN_VIEW && i < step->out_count; i++) {
        if (squall_tensor_bytes(&plan->values[step->out[i]].type) > 0) {
            return true;
        }
    }
    return false;
}

/* Whether the tensors have the layouts that a tactic works on. */
static bool layouts_fit(const sq_step *step, const sq_tactic *tactic)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].dtype != SQUALL_DTYPE_NONE &&
            (uint32_t)step->in[i].layout != tactic->in_layout[i]) {
            return false;
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        if (step->out[i].dtype != SQUALL_DTYPE_NONE &&
            (uint32_t)step->out[i].layout != tactic->out_layout[i]) {
            return false;
        }
    }
    return true;
}

squall_status sq_runtime_restore(const sq_engine_file *file, const sq_plan *plan, uint32_t index,
                                 int threads, squall_tensor *in, squall_tensor *out, sq_step *step,
                                 sq_tactic *tactic, squall_error *err)
{
    const sq_plan_step *stored = &plan->steps[index];
    const sq_backend *backend = sq_runtime_backend(stored->backend);
    char where[192];
    snprintf(where, sizeof where, "%.60s: step %" PRIu32 " '%.60s' (%s)", file->name, index,
             stored->name, sq_op_name(stored->op));
    if (backend == NULL) {
        return sq_fail(err, SQUALL_E_MISMATCH, where,
                       "needs backend %" PRIu32 ", which this squall has not got", stored->backend);
    }
    sq_plan_view_step(plan, stored, file->weights, SIZE_MAX, in, out, step);
    const squall_status status = backend->restore(step, stored->tactic, threads, tactic, err);
    if (status != SQUALL_OK) {
        return status;
    }
    if (!layouts_fit(step, tactic) || stored->packed_bytes != tactic->packed_bytes ||
        (stored->in_place != -1 && stored->in_place != tactic->in_place)) {
        return sq_fail(err, SQUALL_E_MISMATCH, where,
                       "its layouts, its %" PRIu64 " packed bytes or what it takes over are not "
                       "those of '%s' here (%zu packed bytes)",
                       stored->packed_bytes, tactic->name, tactic->packed_bytes);
    }
    for (uint32_t i = 0; i < stored->in_count; i++) {
        if (plan->values[stored->in[i]].home == SQ_HOME_DROPPED && !tactic->in_dropped[i]) {
            return sq_fail(err, SQUALL_E_MISMATCH, where,
                           "'%s' needs input %" PRIu32 ", which is not in the file", tactic->name,
                           i);
        }
    }
    if (tactic->scratch_bytes > SQ_LIMIT_ARENA_BYTES ||
        tactic->state_bytes > SQ_LIMIT_ARENA_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, where,
                       "asks for %zu bytes of scratch memory and %zu of state; at most %zu are "
                       "given",
                       tactic->scratch_bytes, tactic->state_bytes, SQ_LIMIT_ARENA_BYTES);
    }
    return SQUALL_OK;
}
