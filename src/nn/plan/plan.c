/* nn/plan/plan.c - plans in memory: release, views, steps as backends see them. */
#include "nn/plan/plan.h"

#include <string.h>

void sq_plan_free(sq_plan *plan)
{
    for (uint32_t i = 0; plan->values != NULL && i < plan->value_count; i++) {
        sq_free(plan->values[i].name);
    }
    for (uint32_t i = 0; plan->steps != NULL && i < plan->step_count; i++) {
        sq_plan_step *step = &plan->steps[i];
        sq_free(step->name);
        sq_free(step->tactic);
        sq_free(step->in);
        sq_free(step->out);
        sq_attrs_free(&step->attrs);
        for (uint32_t c = 0; c < step->candidate_count; c++) {
            sq_free(step->candidates[c].tactic);
        }
        sq_free(step->candidates);
        sq_free(step->why);
    }
    sq_free(plan->values);
    sq_free(plan->steps);
    sq_free(plan->inputs);
    sq_free(plan->outputs);
    memset(plan, 0, sizeof *plan);
}

bool sq_plan_can_view(sq_op op)
{
    return op == SQ_OP_Reshape || op == SQ_OP_Flatten || op == SQ_OP_Squeeze ||
           op == SQ_OP_Unsqueeze || op == SQ_OP_Identity;
}

void sq_plan_view_step(const sq_plan *plan, const sq_plan_step *step, const unsigned char *weights,
                       size_t constant_bytes, squall_tensor *in, squall_tensor *out, sq_step *view)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        const sq_plan_value *value = &plan->values[step->in[i]];
        in[i] = value->type;
        in[i].data = NULL;
        if (value->home == SQ_HOME_CONST && weights != NULL &&
            squall_tensor_bytes(&value->type) <= constant_bytes) {
            /* Nobody writes to an input: the pointer only passes through a struct that serves both
             * directions. */
            in[i].data = (void *)(uintptr_t)(weights + value->offset);
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out[i] = plan->values[step->out[i]].type;
        out[i].data = NULL;
    }
    *view = (sq_step){.op = step->op,
                      .name = step->name,
                      .attrs = &step->attrs,
                      .in_count = step->in_count,
                      .out_count = step->out_count,
                      .in = in,
                      .out = out};
}
