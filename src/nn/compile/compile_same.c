/* nn/compile/compile_same.c - whether two plans are the same work, and the first place where they
 * are not; tactics taken over from a plan of the same graph. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_internal.h"

/* The same type, but for sizes when these may differ: the batch may hide in any of them. */
static bool same_type(const squall_tensor *a, const squall_tensor *b, bool any_sizes)
{
    squall_tensor twin = *b;
    if (any_sizes && a->rank == b->rank) {
        for (uint32_t d = 0; d < a->rank; d++) {
            twin.dims[d] = a->dims[d];
        }
    }
    return sq_tensor_same_type(a, &twin);
}

static bool same_value(const sq_plan *a, const sq_plan *b, uint32_t v, sq_same how)
{
    const sq_plan_value *x = &a->values[v], *y = &b->values[v];
    const bool constant = x->home == SQ_HOME_CONST || x->home == SQ_HOME_DROPPED;
    return x->home == y->home && strcmp(x->name, y->name) == 0 &&
           same_type(&x->type, &y->type, how == SQ_SAME_BUT_BATCH && !constant) &&
           (how != SQ_SAME_BUT_BATCH || x->home != SQ_HOME_CONST || x->offset == y->offset);
}

static bool same_numbers(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof *a) == 0);
}

/* What differs in a step, or NULL. */
static const char *step_differs(const sq_plan_step *a, const sq_plan_step *b, sq_same how)
{
    return a->op != b->op                                                     ? "its operator"
           : strcmp(a->name, b->name) != 0                                    ? "its name"
           : !same_numbers(a->in, a->in_count, b->in, b->in_count)            ? "its inputs"
           : !same_numbers(a->out, a->out_count, b->out, b->out_count)        ? "its outputs"
           : !sq_attrs_same(&a->attrs, &b->attrs)                             ? "its attributes"
           : a->backend != b->backend || strcmp(a->tactic, b->tactic) != 0    ? "its tactic"
           : a->packed_bytes != b->packed_bytes                               ? "its packed weights"
           : how == SQ_SAME_BUT_BATCH && a->packed_offset != b->packed_offset ? "its weights"
                                                                              : NULL;
}

bool sq_plans_same(const sq_plan *a, const sq_plan *b, sq_same how, char *text, size_t room)
{
    for (uint32_t s = 0; s < a->step_count && s < b->step_count; s++) {
        const char *what = step_differs(&a->steps[s], &b->steps[s], how);
        if (what != NULL) {
            snprintf(text, room, "step %" PRIu32 " '%.60s' (%s) against '%.60s' (%s): %s", s,
                     a->steps[s].name, sq_op_name(a->steps[s].op), b->steps[s].name,
                     sq_op_name(b->steps[s].op), what);
            return false;
        }
    }
    if (a->step_count != b->step_count || a->value_count != b->value_count) {
        snprintf(text, room,
                 "%" PRIu32 " steps and %" PRIu32 " values against %" PRIu32 " and %" PRIu32,
                 a->step_count, a->value_count, b->step_count, b->value_count);
        return false;
    }
    for (uint32_t v = 0; v < a->value_count; v++) {
        if (!same_value(a, b, v, how)) {
            char left[SQ_TENSOR_TEXT], right[SQ_TENSOR_TEXT];
            snprintf(text, room, "value '%.60s' %s against '%.60s' %s", a->values[v].name,
                     sq_tensor_format(&a->values[v].type, left), b->values[v].name,
                     sq_tensor_format(&b->values[v].type, right));
            return false;
        }
    }
    if (!same_numbers(a->inputs, a->input_count, b->inputs, b->input_count) ||
        !same_numbers(a->outputs, a->output_count, b->outputs, b->output_count)) {
        snprintf(text, room, "the order of inputs or outputs");
        return false;
    }
    return true;
}

squall_status sq_pinned_init(sq_pinned *pinned, const sq_plan *plan, squall_error *err)
{
    *pinned = (sq_pinned){.plan = plan, .taken = sq_alloc(plan->step_count, sizeof(bool))};
    return pinned->taken != NULL ? SQUALL_OK
                                 : sq_fail(err, SQUALL_E_MEMORY, "pinned plan", "no memory");
}

void sq_pinned_free(sq_pinned *pinned)
{
    sq_free(pinned->taken);
    memset(pinned, 0, sizeof *pinned);
}

/* The plan's step for this one: the first of its name and operator that is not taken yet. A step is
 * chosen before the reorders that it needs, so it is not simply the next one. */
static const sq_plan_step *match_step(sq_pinned *pinned, const sq_step *step)
{
    const sq_plan *plan = pinned->plan;
    while (pinned->first < plan->step_count && pinned->taken[pinned->first]) {
        pinned->first++;
    }
    for (uint32_t s = pinned->first; s < plan->step_count; s++) {
        const sq_plan_step *old = &plan->steps[s];
        if (!pinned->taken[s] && old->backend != SQ_PLAN_VIEW && old->op == step->op &&
            strcmp(old->name, step->name) == 0) {
            pinned->taken[s] = true;
            return old;
        }
    }
    return NULL;
}

squall_status sq_choose_pinned(void *self, const sq_step *step, sq_candidate *candidates,
                               uint32_t count, uint32_t *chosen, squall_error *err)
{
    const sq_plan_step *old = match_step(self, step);
    if (old == NULL) {
        return sq_fail(err, SQUALL_E_MISMATCH, step->name,
                       "(%s) is a step that the plan has not got: the graphs differ",
                       sq_op_name(step->op));
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t c = 0; c < old->candidate_count; c++) {
            const sq_plan_candidate *known = &old->candidates[c];
            if (known->backend == candidates[i].backend->id &&
                strcmp(known->tactic, candidates[i].tactic.name) == 0) {
                candidates[i].median_s = known->median_s;
                candidates[i].spread_s = known->spread_s;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (candidates[i].backend->id == old->backend &&
            strcmp(candidates[i].tactic.name, old->tactic) == 0) {
            *chosen = i;
            return SQUALL_OK;
        }
    }
    return sq_fail(err, SQUALL_E_MISMATCH, step->name,
                   "has no tactic '%s' here, which the plan uses; build it again", old->tactic);
}
