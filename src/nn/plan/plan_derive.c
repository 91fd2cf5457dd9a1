/* nn/plan/plan_derive.c - the same steps for other sizes of the inputs: batches between those that
 * an engine was planned for. */
#include <inttypes.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

/* A copy of numbers, or NULL. */
static uint32_t *copy_numbers(const uint32_t *numbers, uint32_t count)
{
    uint32_t *copy = sq_alloc(count, sizeof *copy);
    if (copy != NULL && count > 0) {
        memcpy(copy, numbers, count * sizeof *copy);
    }
    return copy;
}

/* A step without what is known of its other tactics. */
static bool copy_step(const sq_plan_step *from, sq_plan_step *to)
{
    *to = (sq_plan_step){.op = from->op,
                         .backend = from->backend,
                         .in_place = from->in_place,
                         .name = sq_strdup(from->name),
                         .tactic = sq_strdup(from->tactic),
                         .in = copy_numbers(from->in, from->in_count),
                         .out = copy_numbers(from->out, from->out_count),
                         .in_count = from->in_count,
                         .out_count = from->out_count,
                         .packed_offset = from->packed_offset,
                         .packed_bytes = from->packed_bytes};
    return to->name != NULL && to->tactic != NULL && to->in != NULL && to->out != NULL &&
           sq_attrs_copy(&from->attrs, &to->attrs);
}

static bool copy_plan(const sq_plan *from, sq_plan *to)
{
    to->values = sq_alloc(from->value_count, sizeof *to->values);
    to->steps = sq_alloc(from->step_count, sizeof *to->steps);
    to->inputs = copy_numbers(from->inputs, from->input_count);
    to->outputs = copy_numbers(from->outputs, from->output_count);
    if (to->values == NULL || to->steps == NULL || to->inputs == NULL || to->outputs == NULL) {
        return false;
    }
    to->input_count = from->input_count;
    to->output_count = from->output_count;
    for (uint32_t v = 0; v < from->value_count; v++) {
        to->values[v] = from->values[v];
        to->values[v].name = sq_strdup(from->values[v].name);
        to->value_count++;
        if (to->values[v].name == NULL) {
            return false;
        }
    }
    for (uint32_t s = 0; s < from->step_count; s++) {
        to->step_count++;
        if (!copy_step(&from->steps[s], &to->steps[s])) {
            return false;
        }
    }
    return true;
}

/* Types of one step's outputs from those of its inputs; a shape that hangs on a constant stays. */
static squall_status derive_step(sq_plan *plan, uint32_t s, const sq_engine_file *file,
                                 squall_tensor *in, squall_tensor *out, squall_error *err)
{
    const sq_plan_step *step = &plan->steps[s];
    sq_step view;
    sq_plan_view_step(plan, step, file->weights, SQ_LIMIT_SHAPE_BYTES, in, out, &view);
    SQ_TRY(sq_op_infer(&view, err));
    for (uint32_t i = 0; i < step->out_count; i++) {
        squall_tensor *type = &plan->values[step->out[i]].type;
        if (type->dtype != SQUALL_DTYPE_NONE) {
            const squall_layout layout = type->layout;
            *type = out[i];
            type->layout = layout;
            type->data = NULL;
        }
    }
    if (__builtin_add_overflow(plan->macs, sq_op_macs(&view), &plan->macs)) {
        return sq_fail(err, SQUALL_E_LIMIT, step->name,
                       "the number of multiply-accumulates overflows; use smaller shapes");
    }
    return SQUALL_OK;
}

static squall_status derive(sq_plan *plan, const sq_engine_file *file, const squall_tensor *inputs,
                            squall_tensor *types, squall_error *err)
{
    for (uint32_t i = 0; i < plan->input_count; i++) {
        squall_tensor *type = &plan->values[plan->inputs[i]].type;
        *type = inputs[i];
        type->data = NULL;
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        SQ_TRY(derive_step(plan, s, file, types, types + SQ_MAX_INPUTS, err));
    }
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const size_t bytes = squall_tensor_bytes(&plan->values[v].type);
        if (plan->values[v].home != SQ_HOME_NONE && bytes > SQ_LIMIT_TENSOR_BYTES) {
            return sq_fail(err, SQUALL_E_LIMIT, plan->values[v].name,
                           "has more than %zu bytes at these shapes", SQ_LIMIT_TENSOR_BYTES);
        }
    }
    SQ_TRY(sq_plan_memory(plan, err));
    return sq_plan_check(plan, file, err);
}

squall_status sq_plan_derive(const sq_plan *plan, const sq_engine_file *file,
                             const squall_tensor *inputs, sq_plan *out, squall_error *err)
{
    memset(out, 0, sizeof *out);
    squall_tensor *types = sq_alloc(SQ_MAX_INPUTS + SQ_MAX_OUTPUTS, sizeof *types);
    squall_status status;
    if (types == NULL || !copy_plan(plan, out)) {
        status = sq_fail(err, SQUALL_E_MEMORY, file->name, "no memory for another plan");
    } else {
        out->scratch_bytes = plan->scratch_bytes;
        status = derive(out, file, inputs, types, err);
    }
    sq_free(types);
    if (status != SQUALL_OK) {
        sq_plan_free(out);
    }
    return status;
}
