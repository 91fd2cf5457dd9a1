/* nn/plan/plan_decode.c - a plan from bytes that nobody has checked yet. */
#include <string.h>

#include "nn/plan/plan_internal.h"

/* The least bytes that an item takes: what a count is held against before anything is allocated. */
enum { VALUE_BYTES = 16, STEP_BYTES = 52, ATTR_BYTES = 9 };

static void get_type(sq_cursor *cursor, squall_tensor *type)
{
    memset(type, 0, sizeof *type);
    type->dtype = (squall_dtype)sq_cursor_uint(cursor, 1);
    type->layout = (squall_layout)sq_cursor_uint(cursor, 1);
    type->rank = (uint32_t)sq_cursor_uint(cursor, 1);
    if (type->rank > SQUALL_MAX_DIMS) {
        type->rank = 0;
        cursor->failed = true;
    }
    for (uint32_t i = 0; i < type->rank; i++) {
        type->dims[i] = (int64_t)sq_cursor_uint(cursor, 8);
    }
}

/* Memory for what a cursor announces; a lack of it is told apart from wrong bytes. */
static void *take(sq_cursor *cursor, size_t count, size_t size)
{
    void *memory = cursor->failed ? NULL : sq_alloc(count, size);
    if (memory == NULL) {
        cursor->no_memory = cursor->no_memory || !cursor->failed;
        cursor->failed = true;
    }
    return memory;
}

static uint32_t *get_numbers(sq_cursor *cursor, uint32_t limit, uint32_t *count)
{
    const uint32_t announced = sq_cursor_count(cursor, limit, 4);
    uint32_t *numbers = take(cursor, announced, sizeof *numbers);
    for (uint32_t i = 0; numbers != NULL && i < announced; i++) {
        numbers[i] = (uint32_t)sq_cursor_uint(cursor, 4);
    }
    *count = numbers != NULL ? announced : 0;
    return numbers;
}

static void get_tensor(sq_cursor *cursor, squall_tensor *tensor)
{
    get_type(cursor, tensor);
    if (squall_dtype_size(tensor->dtype) == 0 || tensor->layout != SQUALL_PLAIN) {
        cursor->failed = true;
        return;
    }
    const size_t bytes = squall_tensor_bytes(tensor); /* SIZE_MAX for what cannot be */
    const unsigned char *at = sq_cursor_bytes(cursor, bytes);
    tensor->data = take(cursor, bytes, 1);
    if (tensor->data != NULL && bytes > 0) {
        memcpy(tensor->data, at, bytes);
    }
}

static void get_floats(sq_cursor *cursor, float *out, size_t count)
{
    for (size_t i = 0; out != NULL && i < count; i++) {
        const uint32_t bits = (uint32_t)sq_cursor_uint(cursor, 4);
        memcpy(&out[i], &bits, sizeof bits);
    }
}

static void get_attr(sq_cursor *cursor, sq_attr *attr)
{
    attr->name = sq_cursor_string(cursor, SQ_LIMIT_NAME);
    attr->kind = (sq_attr_kind)sq_cursor_uint(cursor, 1);
    switch (attr->kind) {
    case SQ_ATTR_INT:
        attr->i = (int64_t)sq_cursor_uint(cursor, 8);
        return;
    case SQ_ATTR_FLOAT:
        get_floats(cursor, &attr->f, 1);
        return;
    case SQ_ATTR_STRING:
        attr->count = sq_cursor_count(cursor, UINT32_MAX, 1);
        attr->string = take(cursor, attr->count + 1, 1);
        if (attr->string != NULL && attr->count > 0) {
            memcpy(attr->string, sq_cursor_bytes(cursor, attr->count), attr->count);
        }
        return;
    case SQ_ATTR_INTS:
        attr->count = sq_cursor_count(cursor, UINT32_MAX, 8);
        attr->ints = take(cursor, attr->count, sizeof *attr->ints);
        for (size_t i = 0; attr->ints != NULL && i < attr->count; i++) {
            attr->ints[i] = (int64_t)sq_cursor_uint(cursor, 8);
        }
        return;
    case SQ_ATTR_FLOATS:
        attr->count = sq_cursor_count(cursor, UINT32_MAX, 4);
        attr->floats = take(cursor, attr->count, sizeof *attr->floats);
        get_floats(cursor, attr->floats, attr->count);
        return;
    case SQ_ATTR_TENSOR:
        get_tensor(cursor, &attr->tensor);
        return;
    }
    cursor->failed = true;
}

static void get_value(sq_cursor *cursor, sq_plan_value *value)
{
    get_type(cursor, &value->type);
    value->home = (sq_home)sq_cursor_uint(cursor, 1);
    value->offset = sq_cursor_uint(cursor, 8);
    value->name = sq_cursor_string(cursor, SQ_LIMIT_NAME);
}

static void get_step(sq_cursor *cursor, sq_plan_step *step)
{
    step->op = (sq_op)sq_cursor_uint(cursor, 4);
    step->backend = (uint32_t)sq_cursor_uint(cursor, 4);
    step->in_place = (int32_t)(uint32_t)sq_cursor_uint(cursor, 4);
    step->name = sq_cursor_string(cursor, SQ_LIMIT_NAME);
    step->tactic = sq_cursor_string(cursor, SQ_LIMIT_NAME);
    step->in = get_numbers(cursor, SQ_MAX_INPUTS, &step->in_count);
    step->out = get_numbers(cursor, SQ_MAX_OUTPUTS, &step->out_count);
    step->packed_offset = sq_cursor_uint(cursor, 8);
    step->packed_bytes = sq_cursor_uint(cursor, 8);
    step->attrs.opset = (int32_t)(uint32_t)sq_cursor_uint(cursor, 4);
    const uint32_t attrs = sq_cursor_count(cursor, SQ_LIMIT_ATTRS, ATTR_BYTES);
    step->attrs.items = take(cursor, attrs, sizeof *step->attrs.items);
    for (uint32_t i = 0; i < attrs && !cursor->failed; i++) {
        step->attrs.count = i + 1;
        get_attr(cursor, &step->attrs.items[i]);
    }
}

squall_status sq_plan_decode(sq_cursor *cursor, const char *where, sq_plan *plan, squall_error *err)
{
    const char *part = "values";
    uint32_t at = 0;
    memset(plan, 0, sizeof *plan);
    plan->arena_bytes = sq_cursor_uint(cursor, 8);
    plan->arena_bound_bytes = sq_cursor_uint(cursor, 8);
    plan->scratch_bytes = sq_cursor_uint(cursor, 8);
    plan->macs = sq_cursor_uint(cursor, 8);
    const uint32_t values = sq_cursor_count(cursor, SQ_LIMIT_VALUES, VALUE_BYTES);
    plan->values = take(cursor, values, sizeof *plan->values);
    for (; at < values && !cursor->failed; at++) {
        plan->value_count = at + 1;
        get_value(cursor, &plan->values[at]);
    }
    if (!cursor->failed) {
        part = "steps";
        at = 0;
        const uint32_t steps = sq_cursor_count(cursor, SQ_LIMIT_NODES, STEP_BYTES);
        plan->steps = take(cursor, steps, sizeof *plan->steps);
        for (; at < steps && !cursor->failed; at++) {
            plan->step_count = at + 1;
            get_step(cursor, &plan->steps[at]);
        }
    }
    if (!cursor->failed) {
        part = "inputs and outputs";
        plan->inputs = get_numbers(cursor, SQ_LIMIT_PORTS, &plan->input_count);
        plan->outputs = get_numbers(cursor, SQ_LIMIT_PORTS, &plan->output_count);
    }
    if (!cursor->failed) {
        return SQUALL_OK;
    }
    sq_plan_free(plan);
    if (cursor->no_memory) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its plan");
    }
    return sq_fail(err, SQUALL_E_CORRUPT, where,
                   "the %s of a plan do not make sense near byte %zu of %zu (item %u); build the "
                   "engine again",
                   part, cursor->at, cursor->size, at > 0 ? at - 1 : 0);
}
