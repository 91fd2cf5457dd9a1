/* nn/runtime/runtime_profile.c - which profile takes the shapes at hand. */
#include <inttypes.h>
#include <stdio.h>

#include "nn/runtime/runtime.h"

squall_status squall_engine_batches(const squall_engine *engine, size_t profile, size_t input,
                                    int64_t *min, int64_t *max, squall_error *err)
{
    squall_tensor type;
    SQ_TRY(squall_engine_input(engine, profile, input, NULL, &type, err));
    const sq_batch_range range = sq_engine_range(&engine->file, (uint32_t)profile, (uint32_t)input);
    *min = range.max > 0 ? range.min : type.rank > 0 ? type.dims[0] : 1;
    *max = range.max > 0 ? range.max : *min;
    return SQUALL_OK;
}

squall_status squall_engine_step(const squall_engine *engine, size_t profile, size_t index,
                                 squall_step_info *out, squall_error *err)
{
    squall_profile_info info;
    SQ_TRY(squall_engine_profile(engine, profile, &info, err));
    if (index >= info.step_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, engine->file.name,
                       "profile %zu has no step %zu, it has %" PRIu32, profile, index,
                       info.step_count);
    }
    const sq_plan *plan = &engine->plans[profile];
    const sq_plan_step *step = &plan->steps[index];
    const sq_backend *backend = sq_runtime_backend(step->backend);
    *out = (squall_step_info){.name = step->name,
                              .op = sq_op_name(step->op),
                              .backend = step->backend == SQ_PLAN_VIEW ? "view"
                                         : backend != NULL             ? backend->name
                                                                       : "unknown",
                              .tactic = step->tactic,
                              .output = plan->values[step->out[0]].type};
    return SQUALL_OK;
}

/* Whether a profile takes these inputs; `exact`: as they were planned. */
static bool takes(const squall_engine *engine, uint32_t profile, const squall_tensor *inputs,
                  bool exact)
{
    const sq_plan *plan = &engine->plans[profile];
    for (uint32_t i = 0; i < plan->input_count; i++) {
        squall_tensor type = plan->values[plan->inputs[i]].type;
        const sq_batch_range range = sq_engine_range(&engine->file, profile, i);
        if (!exact && range.max > 0 && type.rank > 0 && inputs[i].rank == type.rank &&
            inputs[i].dims[0] >= range.min && inputs[i].dims[0] <= range.max) {
            type.dims[0] = inputs[i].dims[0];
        }
        if (!sq_tensor_same_type(&type, &inputs[i])) {
            return false;
        }
    }
    return true;
}

/* "0: x [1..32,4,256,256]; 1: ..." as far as there is room. */
static void describe(const squall_engine *engine, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t p = 0; p < engine->file.profile_count; p++) {
        const sq_plan *plan = &engine->plans[p];
        char line[192];
        size_t at = (size_t)snprintf(line, sizeof line, "%s%" PRIu32 ":", p > 0 ? "; " : "", p);
        for (uint32_t i = 0; i < plan->input_count && at < sizeof line; i++) {
            const sq_plan_value *value = &plan->values[plan->inputs[i]];
            const sq_batch_range range = sq_engine_range(&engine->file, p, i);
            at += (size_t)snprintf(line + at, sizeof line - at, " %.20s [", value->name);
            for (uint32_t d = 0; d < value->type.rank && at < sizeof line; d++) {
                const char *comma = d > 0 ? "," : "";
                at += (size_t)(d == 0 && range.max > 0
                                   ? snprintf(line + at, sizeof line - at, "%" PRId64 "..%" PRId64,
                                              range.min, range.max)
                                   : snprintf(line + at, sizeof line - at, "%s%" PRId64, comma,
                                              value->type.dims[d]));
            }
            at += at < sizeof line ? (size_t)snprintf(line + at, sizeof line - at, "]") : 0;
        }
        const int added = snprintf(text + used, room - used, "%s", line);
        if (added < 0 || (size_t)added >= room - used) {
            snprintf(text + used, room - used, "; ...");
            return;
        }
        used += (size_t)added;
    }
}

squall_status squall_engine_find_profile(const squall_engine *engine, const squall_tensor *inputs,
                                         size_t input_count, size_t *out, squall_error *err)
{
    if (input_count != engine->plans[0].input_count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, engine->file.name,
                       "takes %" PRIu32 " inputs; %zu were passed", engine->plans[0].input_count,
                       input_count);
    }
    for (int exact = 1; exact >= 0; exact--) {
        for (uint32_t p = 0; p < engine->file.profile_count; p++) {
            if (takes(engine, p, inputs, exact)) {
                *out = p;
                return SQUALL_OK;
            }
        }
    }
    char have[SQ_TENSOR_TEXT], ranges[224];
    describe(engine, ranges, sizeof ranges);
    return sq_fail(err, SQUALL_E_SHAPE, engine->file.name,
                   "no profile takes an input of %s; they take %s: build one for it, or reshape it",
                   input_count > 0 ? sq_tensor_format(&inputs[0], have) : "nothing", ranges);
}
