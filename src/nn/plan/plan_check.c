/* nn/plan/plan_check.c - a plan from outside, held against everything that needs no backend. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/plan/plan_internal.h"

/* What is known while the steps are walked through. */
typedef struct checker {
    const sq_plan *plan;
    const sq_engine_file *file;
    sq_plan_lives lives;
    bool *defined;   /* [value_count] */
    uint32_t *owner; /* [output_count]: the root that fills an output of the caller, + 1 */
    uint32_t *alive; /* [SQ_LIMIT_ALIVE]: roots in the arena that are alive */
    uint32_t alive_count;
    uint64_t alive_bytes, most_bytes, end, macs;
} checker;

#define WHERE 160

/* Names a value or a step in messages. */
static const char *where_value(const checker *check, uint32_t v, char *text)
{
    snprintf(text, WHERE, "%.40s: value %" PRIu32 " '%.60s'", check->file->name, v,
             check->plan->values[v].name);
    return text;
}

static const char *where_step(const checker *check, uint32_t s, char *text)
{
    const sq_plan_step *step = &check->plan->steps[s];
    snprintf(text, WHERE, "%.40s: step %" PRIu32 " '%.60s' (%s)", check->file->name, s, step->name,
             sq_op_name(step->op));
    return text;
}

#define FAIL_VALUE(v, ...) \
    sq_fail(err, SQUALL_E_CORRUPT, where_value(check, (v), (char[WHERE]){0}), __VA_ARGS__)
#define FAIL_STEP(s, ...) \
    sq_fail(err, SQUALL_E_CORRUPT, where_step(check, (s), (char[WHERE]){0}), __VA_ARGS__)

/* Whether `bytes` at `offset` lie within `total`, aligned. */
static bool fits(uint64_t offset, uint64_t bytes, uint64_t total)
{
    return offset % SQ_ALIGNMENT == 0 && offset <= total && bytes <= total - offset;
}

static squall_status check_value(const checker *check, uint32_t v, squall_error *err)
{
    const sq_plan_value *value = &check->plan->values[v];
    const squall_tensor *type = &value->type;
    if (value->home == SQ_HOME_NONE) {
        return type->dtype == SQUALL_DTYPE_NONE && type->rank == 0
                   ? SQUALL_OK
                   : FAIL_VALUE(v, "has a type but no home");
    }
    const size_t bytes = squall_tensor_bytes(type);
    if (squall_dtype_size(type->dtype) == 0 || bytes == SIZE_MAX) {
        return FAIL_VALUE(v, "has no valid type: dtype %d, layout %d, rank %" PRIu32,
                          (int)type->dtype, (int)type->layout, type->rank);
    }
    if (bytes > SQ_LIMIT_TENSOR_BYTES) {
        return sq_fail(err, SQUALL_E_LIMIT, where_value(check, v, (char[WHERE]){0}),
                       "has %zu bytes; at most %zu are allowed", bytes, SQ_LIMIT_TENSOR_BYTES);
    }
    switch (value->home) {
    case SQ_HOME_ARENA:
        if (!fits(value->offset, sq_plan_value_bytes(value), check->plan->arena_bytes)) {
            return FAIL_VALUE(v,
                              "lies at %" PRIu64 " with %zu bytes, outside the arena of %" PRIu64,
                              value->offset, bytes, check->plan->arena_bytes);
        }
        return SQUALL_OK;
    case SQ_HOME_CONST:
        if (!fits(value->offset, bytes, check->file->weight_bytes)) {
            return FAIL_VALUE(v,
                              "lies at %" PRIu64 " with %zu bytes, outside the %" PRIu64
                              " bytes of weights",
                              value->offset, bytes, check->file->weight_bytes);
        }
        return SQUALL_OK;
    case SQ_HOME_INPUT:
    case SQ_HOME_OUTPUT:
        if (type->layout != SQUALL_PLAIN ||
            value->offset >= (value->home == SQ_HOME_INPUT ? check->plan->input_count
                                                           : check->plan->output_count)) {
            return FAIL_VALUE(v, "is no plain tensor of the caller (number %" PRIu64 ")",
                              value->offset);
        }
        return SQUALL_OK;
    case SQ_HOME_DROPPED:
        return SQUALL_OK;
    default:
        return FAIL_VALUE(v, "has the home %d, which is not known", (int)value->home);
    }
}

/* Numbers of values in range, the caller's tensors each once and in order. */
static squall_status check_ports(checker *check, squall_error *err)
{
    const sq_plan *plan = check->plan;
    for (uint32_t i = 0; i < plan->input_count; i++) {
        const uint32_t v = plan->inputs[i];
        if (v >= plan->value_count || plan->values[v].home != SQ_HOME_INPUT ||
            plan->values[v].offset != i) {
            return sq_fail(err, SQUALL_E_CORRUPT, check->file->name,
                           "input %" PRIu32 " is value %" PRIu32 ", which is not one", i, v);
        }
        check->defined[v] = true;
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        const uint32_t v = plan->outputs[i];
        if (v >= plan->value_count || plan->values[v].home != SQ_HOME_OUTPUT ||
            plan->values[v].offset != i) {
            return sq_fail(err, SQUALL_E_CORRUPT, check->file->name,
                           "output %" PRIu32 " is value %" PRIu32 ", which is not one", i, v);
        }
    }
    for (uint32_t v = 0; v < plan->value_count; v++) {
        const sq_home home = plan->values[v].home;
        check->defined[v] = check->defined[v] || home == SQ_HOME_CONST || home == SQ_HOME_DROPPED;
    }
    return SQUALL_OK;
}

static squall_status check_view(const checker *check, uint32_t s, squall_error *err)
{
    const sq_plan_step *step = &check->plan->steps[s];
    const sq_plan_value *in = &check->plan->values[step->in[0]];
    const sq_plan_value *out = &check->plan->values[step->out[0]];
    if (!sq_plan_can_view(step->op) || step->packed_bytes != 0 || step->in_place != -1) {
        return FAIL_STEP(s, "cannot be a view");
    }
    if (in->home == SQ_HOME_NONE || in->home == SQ_HOME_DROPPED || in->home != out->home ||
        in->offset != out->offset || in->type.layout != SQUALL_PLAIN ||
        out->type.layout != SQUALL_PLAIN ||
        squall_tensor_bytes(&in->type) != squall_tensor_bytes(&out->type)) {
        return FAIL_STEP(s, "is a view, but its output is not where its input is");
    }
    return SQUALL_OK;
}

/* Numbers of one step in range; inputs defined before, outputs defined here and only here. */
static squall_status check_numbers(checker *check, uint32_t s, squall_error *err)
{
    const sq_plan *plan = check->plan;
    const sq_plan_step *step = &plan->steps[s];
    const bool view = step->backend == SQ_PLAN_VIEW;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const uint32_t v = step->in[i];
        if (v >= plan->value_count ||
            (!check->defined[v] && plan->values[v].home != SQ_HOME_NONE)) {
            return FAIL_STEP(s, "input %" PRIu32 " is value %" PRIu32 ", which nothing has filled",
                             i, v);
        }
    }
    if (step->out_count == 0 || (view && (step->in_count == 0 || step->out_count != 1))) {
        return FAIL_STEP(s, "has %" PRIu32 " inputs and %" PRIu32 " outputs", step->in_count,
                         step->out_count);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        const uint32_t v = step->out[i];
        const sq_home home = v < plan->value_count ? plan->values[v].home : SQ_HOME_NONE;
        if (v >= plan->value_count || check->defined[v] ||
            (!view && home != SQ_HOME_ARENA && home != SQ_HOME_OUTPUT && home != SQ_HOME_NONE)) {
            return FAIL_STEP(s, "output %" PRIu32 " is value %" PRIu32 ", which it may not fill", i,
                             v);
        }
        check->defined[v] = home != SQ_HOME_NONE;
    }
    return view ? check_view(check, s, err) : SQUALL_OK;
}

/* One value alone fills each of the caller's outputs, and it is of that size. */
static squall_status check_owner(checker *check, uint32_t s, uint32_t v, squall_error *err)
{
    const sq_plan *plan = check->plan;
    const sq_plan_value *value = &plan->values[v];
    const sq_plan_value *port = &plan->values[plan->outputs[value->offset]];
    if (check->owner[value->offset] != 0 ||
        squall_tensor_bytes(&value->type) != squall_tensor_bytes(&port->type)) {
        return FAIL_STEP(s, "fills output %" PRIu64 " of the caller, which is another's",
                         value->offset);
    }
    check->owner[value->offset] = v + 1;
    return SQUALL_OK;
}

/* Types of one step's outputs, worked out again; constants that shapes hang on are checked first.
 */
static squall_status check_types(checker *check, uint32_t s, squall_tensor *in, squall_tensor *out,
                                 squall_error *err)
{
    const sq_plan *plan = check->plan;
    const sq_plan_step *step = &plan->steps[s];
    sq_step view;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const sq_plan_value *value = &plan->values[step->in[i]];
        const size_t bytes = squall_tensor_bytes(&value->type);
        if (value->home == SQ_HOME_CONST && bytes <= SQ_LIMIT_SHAPE_BYTES) {
            SQ_TRY(sq_engine_check_weights(check->file, value->offset, bytes, NULL, err));
        }
        if (value->home == SQ_HOME_DROPPED && step->packed_bytes == 0) {
            return FAIL_STEP(s, "input %" PRIu32 " was dropped, but nothing is packed", i);
        }
    }
    sq_plan_view_step(plan, step, check->file->weights, SQ_LIMIT_SHAPE_BYTES, in, out, &view);
    const squall_status inferred = sq_op_infer(&view, err);
    if (inferred == SQUALL_E_SHAPE || inferred == SQUALL_E_UNSUPPORTED) {
        if (err != NULL) { /* its words stay: they name the step and what does not fit */
            err->code = SQUALL_E_CORRUPT;
        }
        return SQUALL_E_CORRUPT;
    }
    SQ_TRY(inferred);
    for (uint32_t i = 0; i < step->out_count; i++) {
        const squall_tensor *want = &plan->values[step->out[i]].type;
        if (want->dtype == SQUALL_DTYPE_NONE) {
            out[i] = *want;
            continue;
        }
        out[i].layout = want->layout;
        if (!sq_tensor_same_type(&out[i], want)) {
            char found[SQ_TENSOR_TEXT], right[SQ_TENSOR_TEXT];
            return FAIL_STEP(s, "output %" PRIu32 " is said to be %s, but is %s", i,
                             sq_tensor_format(want, found), sq_tensor_format(&out[i], right));
        }
    }
    if (!fits(step->packed_offset, step->packed_bytes, check->file->weight_bytes)) {
        return FAIL_STEP(s, "%" PRIu64 " packed bytes at %" PRIu64 " are not in the weights",
                         step->packed_bytes, step->packed_offset);
    }
    if (__builtin_add_overflow(check->macs, sq_op_macs(&view), &check->macs)) {
        return FAIL_STEP(s, "the number of multiply-accumulates overflows");
    }
    return SQUALL_OK;
}

/* One more value alive in the arena: it may not touch any other. */
static squall_status add_alive(checker *check, uint32_t s, uint32_t v, squall_error *err)
{
    const sq_plan_value *value = &check->plan->values[v];
    const uint64_t bytes = sq_plan_value_bytes(value);
    for (uint32_t i = 0; i < check->alive_count; i++) {
        const sq_plan_value *other = &check->plan->values[check->alive[i]];
        if (value->offset < other->offset + sq_plan_value_bytes(other) &&
            other->offset < value->offset + bytes) {
            return FAIL_STEP(s, "its output '%.60s' overlaps '%.60s', which is still in use",
                             value->name, other->name);
        }
    }
    if (check->alive_count == SQ_LIMIT_ALIVE) {
        return sq_fail(err, SQUALL_E_LIMIT, where_step(check, s, (char[WHERE]){0}),
                       "more than %d tensors are in memory at once", SQ_LIMIT_ALIVE);
    }
    check->alive[check->alive_count++] = v;
    check->alive_bytes += bytes;
    check->end = value->offset + bytes > check->end ? value->offset + bytes : check->end;
    return SQUALL_OK;
}

static void drop_alive(checker *check, uint32_t at)
{
    check->alive_bytes -= sq_plan_value_bytes(&check->plan->values[check->alive[at]]);
    check->alive[at] = check->alive[--check->alive_count];
}

/* One step's part of the arena: what is taken over goes, outputs come, what was last used goes. */
static squall_status check_arena(checker *check, uint32_t s, squall_error *err)
{
    const sq_plan_step *step = &check->plan->steps[s];
    if (step->backend == SQ_PLAN_VIEW) {
        goto expire;
    }
    if (step->in_place != -1) {
        if (!sq_plan_may_take_over(check->plan, &check->lives, s, step->in_place) ||
            check->plan->values[step->in[step->in_place]].offset !=
                check->plan->values[step->out[0]].offset) {
            return FAIL_STEP(s, "may not take over the memory of input %d", (int)step->in_place);
        }
        const uint32_t taken = check->lives.root[step->in[step->in_place]];
        for (uint32_t i = 0; i < check->alive_count; i++) {
            if (check->alive[i] == taken) {
                drop_alive(check, i);
                break;
            }
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        const uint32_t v = step->out[i];
        const sq_home home = check->plan->values[v].home;
        if (home == SQ_HOME_ARENA) {
            SQ_TRY(add_alive(check, s, v, err));
        } else if (home == SQ_HOME_OUTPUT) {
            SQ_TRY(check_owner(check, s, v, err));
        }
    }
    if (check->alive_bytes > check->most_bytes) {
        check->most_bytes = check->alive_bytes;
    }
expire:
    for (uint32_t i = check->alive_count; i-- > 0;) {
        if (check->lives.last[check->alive[i]] <= (int64_t)s) {
            drop_alive(check, i);
        }
    }
    return SQUALL_OK;
}

static squall_status check_steps(checker *check, squall_tensor *types, squall_error *err)
{
    const sq_plan *plan = check->plan;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        SQ_TRY(check_numbers(check, s, err));
    }
    for (uint32_t i = 0; i < plan->output_count; i++) {
        if (!check->defined[plan->outputs[i]]) {
            return sq_fail(err, SQUALL_E_CORRUPT, check->file->name,
                           "nothing fills output %" PRIu32, i);
        }
    }
    SQ_TRY(sq_plan_lives_init(plan, &check->lives, err));
    for (uint32_t s = 0; s < plan->step_count; s++) {
        SQ_TRY(check_types(check, s, types, types + SQ_MAX_INPUTS, err));
        SQ_TRY(check_arena(check, s, err));
    }
    if (check->end != plan->arena_bytes || check->most_bytes != plan->arena_bound_bytes ||
        check->macs != plan->macs) {
        return sq_fail(err, SQUALL_E_CORRUPT, check->file->name,
                       "a plan says arena %" PRIu64 ", bound %" PRIu64 ", MACs %" PRIu64
                       "; its steps make %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                       plan->arena_bytes, plan->arena_bound_bytes, plan->macs, check->end,
                       check->most_bytes, check->macs);
    }
    return SQUALL_OK;
}

squall_status sq_plan_check(const sq_plan *plan, const sq_engine_file *file, squall_error *err)
{
    squall_status status = SQUALL_OK;
    checker check = {.plan = plan, .file = file};
    squall_tensor *types = sq_alloc(SQ_MAX_INPUTS + SQ_MAX_OUTPUTS, sizeof *types);
    check.defined = sq_alloc(plan->value_count, sizeof *check.defined);
    check.owner = sq_alloc(plan->output_count, sizeof *check.owner);
    check.alive = sq_alloc_raw(SQ_LIMIT_ALIVE, sizeof *check.alive);
    if (types == NULL || check.defined == NULL || check.owner == NULL || check.alive == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, file->name, "no memory to check its plan");
        goto done;
    }
    if (plan->arena_bytes > SQ_LIMIT_ARENA_BYTES || plan->scratch_bytes > SQ_LIMIT_ARENA_BYTES) {
        status = sq_fail(err, SQUALL_E_LIMIT, file->name,
                         "a plan asks for %" PRIu64 " bytes of arena and %" PRIu64
                         " of scratch; at most %zu are given",
                         plan->arena_bytes, plan->scratch_bytes, SQ_LIMIT_ARENA_BYTES);
        goto done;
    }
    for (uint32_t v = 0; v < plan->value_count; v++) {
        SQ_TRY_GOTO(check_value(&check, v, err));
    }
    SQ_TRY_GOTO(check_ports(&check, err));
    SQ_TRY_GOTO(check_steps(&check, types, err));
done:
    sq_plan_lives_free(&check.lives);
    sq_free(check.alive);
    sq_free(check.owner);
    sq_free(check.defined);
    sq_free(types);
    return status;
}
