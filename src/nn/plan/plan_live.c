/* nn/plan/plan_live.c - from which step to which each value is alive. */
#include <string.h>

#include "nn/plan/plan_internal.h"

uint64_t sq_plan_value_bytes(const sq_plan_value *value)
{
    return sq_round_up(squall_tensor_bytes(&value->type), SQ_ALIGNMENT);
}

squall_status sq_plan_lives_init(const sq_plan *plan, sq_plan_lives *lives, squall_error *err)
{
    const uint32_t count = plan->value_count;
    lives->root = sq_alloc_raw(count, sizeof *lives->root);
    lives->def = sq_alloc_raw(count, sizeof *lives->def);
    lives->last = sq_alloc_raw(count, sizeof *lives->last);
    if (lives->root == NULL || lives->def == NULL || lives->last == NULL) {
        sq_plan_lives_free(lives);
        return sq_fail(err, SQUALL_E_MEMORY, "memory plan", "no memory for %u values", count);
    }
    for (uint32_t v = 0; v < count; v++) {
        lives->root[v] = v;
        lives->def[v] = INT64_MAX;
        lives->last[v] = -1;
    }
    for (uint32_t v = 0; v < count; v++) {
        const sq_home home = plan->values[v].home;
        if (home == SQ_HOME_CONST || home == SQ_HOME_DROPPED) {
            lives->def[v] = -1;
        }
    }
    for (uint32_t i = 0; i < plan->input_count; i++) {
        lives->def[plan->inputs[i]] = -1;
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const sq_plan_step *step = &plan->steps[s];
        for (uint32_t i = 0; i < step->in_count; i++) {
            lives->last[lives->root[step->in[i]]] = s;
        }
        if (step->backend == SQ_PLAN_VIEW) {
            lives->root[step->out[0]] = lives->root[step->in[0]];
            continue;
        }
        for (uint32_t i = 0; i < step->out_count; i++) {
            lives->def[step->out[i]] = s;
            lives->last[step->out[i]] = s;
        }
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        lives->last[lives->root[plan->outputs[i]]] = plan->step_count;
    }
    return SQUALL_OK;
}

void sq_plan_lives_free(sq_plan_lives *lives)
{
    sq_free(lives->root);
    sq_free(lives->def);
    sq_free(lives->last);
    memset(lives, 0, sizeof *lives);
}

bool sq_plan_may_take_over(const sq_plan *plan, const sq_plan_lives *lives, uint32_t index,
                           int32_t input)
{
    const sq_plan_step *step = &plan->steps[index];
    if (step->backend == SQ_PLAN_VIEW || input < 0 || (uint32_t)input >= step->in_count ||
        step->out_count == 0) {
        return false;
    }
    const uint32_t from = lives->root[step->in[input]];
    const uint32_t to = step->out[0];
    const sq_plan_value *values = plan->values;
    if (values[from].home != SQ_HOME_ARENA || values[to].home != SQ_HOME_ARENA || from == to ||
        lives->last[from] != (int64_t)index ||
        sq_plan_value_bytes(&values[from]) != sq_plan_value_bytes(&values[to])) {
        return false;
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (i != (uint32_t)input && lives->root[step->in[i]] == from) {
            return false;
        }
    }
    return true;
}
