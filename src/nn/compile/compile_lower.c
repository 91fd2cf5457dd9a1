/* nn/compile/compile_lower.c - a graph becomes steps: backend, tactic and layouts of each node.
 *
 * Node by node in the order in which they run. Each value has the layout in which its producer made
 * it; who wants another gets a reorder step, made once and shared by all who want the same. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_explain.h"
#include "nn/compile/compile_internal.h"
#include "nn/ref/ref.h"

#define LAYOUTS 4 /* of squall_layout */

typedef struct lower {
    const sq_graph *graph;
    sq_lowering *how;
    squall_notes *failures;
    sq_plan *plan;
    uint32_t value_capacity, step_capacity;
    /* Of values of the graph: */
    uint32_t *version; /* [value_count][LAYOUTS]: value of the plan, or SQ_NO_VALUE */
    uint8_t *native;   /* [value_count]: layout that its producer made */
    uint32_t *uses;    /* [value_count] */
    bool *output;      /* [value_count]: it is an output of the graph */
    /* Of values of the plan, [value_capacity]: */
    squall_tensor *data; /* a constant's bytes, borrowed of the graph or owned */
    uint8_t *flags;      /* OWNED, USED */
    uint32_t *root;      /* the value that a view shows */
    uint32_t failed;     /* nodes that no backend takes */
} lower;

enum { OWNED = 1, USED = 2 };

static squall_status no_memory(const lower *work, squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, work->graph->name, "no memory for its plan");
}

/* Make room for one more value of the plan. */
static bool grow_values(lower *work)
{
    sq_plan *plan = work->plan;
    const uint32_t old = work->value_capacity;
    if (plan->value_count < old) {
        return true;
    }
    const uint32_t capacity = old > 0 ? old * 2 : 256;
    void *grown;
#define GROW(array)                                             \
    grown = sq_regrow((array), old, capacity, sizeof *(array)); \
    if (grown == NULL) {                                        \
        return false;                                           \
    }                                                           \
    (array) = grown;
    GROW(plan->values)
    GROW(work->data)
    GROW(work->flags)
    GROW(work->root)
#undef GROW
    work->value_capacity = capacity;
    return true;
}

/* A name no longer than engines hold; of what need not be looked up by it. */
static char *clip_name(const char *name, const char *suffix)
{
    sq_text text = {0};
    sq_text_add(&text, "%.*s%s", SQ_LIMIT_NAME - 16, name != NULL ? name : "", suffix);
    if (text.failed) {
        sq_text_free(&text);
        return NULL;
    }
    return text.data;
}

/* A new value of the plan, or SQ_NO_VALUE when there is no memory. */
static uint32_t add_value(lower *work, const char *name, const char *suffix,
                          const squall_tensor *type, sq_home home)
{
    if (!grow_values(work)) {
        return SQ_NO_VALUE;
    }
    const uint32_t v = work->plan->value_count;
    sq_plan_value *value = &work->plan->values[v];
    value->type = *type;
    value->type.data = NULL;
    value->home = home;
    value->offset = 0;
    value->name = clip_name(name, suffix);
    if (value->name == NULL) {
        return SQ_NO_VALUE;
    }
    work->root[v] = v;
    work->plan->value_count++;
    return v;
}

/* A new step with room for its numbers, which are all the absent value at first; NULL when there is
 * no memory. */
static sq_plan_step *add_step(lower *work, sq_op op, const char *name, const char *suffix,
                              uint32_t in_count, uint32_t out_count)
{
    sq_plan *plan = work->plan;
    if (plan->step_count == work->step_capacity) {
        const uint32_t capacity = work->step_capacity > 0 ? work->step_capacity * 2 : 128;
        sq_plan_step *steps =
            sq_regrow(plan->steps, plan->step_count, capacity, sizeof *plan->steps);
        if (steps == NULL) {
            return NULL;
        }
        plan->steps = steps;
        work->step_capacity = capacity;
    }
    sq_plan_step *step = &plan->steps[plan->step_count++];
    *step = (sq_plan_step){.op = op,
                           .in_place = -1,
                           .name = clip_name(name, suffix),
                           .in = sq_alloc(in_count, sizeof *step->in),
                           .out = sq_alloc(out_count, sizeof *step->out),
                           .in_count = in_count,
                           .out_count = out_count};
    return step->name != NULL && step->in != NULL && step->out != NULL ? step : NULL;
}

static const char *layout_suffix(squall_layout layout)
{
    return layout == SQUALL_C16    ? ":c16"
           : layout == SQUALL_C8   ? ":c8"
           : layout == SQUALL_NHWC ? ":nhwc"
                                   : ":plain";
}

static uint32_t *version_of(lower *work, uint32_t v, squall_layout layout)
{
    return &work->version[(size_t)v * LAYOUTS + (size_t)layout];
}

/* The value of the plan for a value of the graph as its producer made it; constants and the graph's
 * inputs come into the plan when they are first used. */
static squall_status native_version(lower *work, uint32_t v, uint32_t *out, squall_error *err)
{
    uint32_t *slot = version_of(work, v, (squall_layout)work->native[v]);
    const sq_value *value = &work->graph->values[v];
    if (*slot == SQ_NO_VALUE && value->constant) {
        *slot = add_value(work, value->name, "", &value->type, SQ_HOME_CONST);
        if (*slot == SQ_NO_VALUE) {
            return no_memory(work, err);
        }
        work->data[*slot] = value->type;
    }
    if (*slot == SQ_NO_VALUE) {
        return sq_fail(err, SQUALL_E_INTERNAL, value->name, "is used before anything makes it");
    }
    *out = *slot;
    return SQUALL_OK;
}

/* What was chosen for a step, among what. */
typedef struct choice {
    sq_candidate all[SQ_MAX_CANDIDATES];
    uint32_t count, chosen;
    sq_reason why; /* of the backend that is wanted, when it is another that runs the step */
} choice;

/* The backend and tactic of a step; `made->count` is 0, with the reason in `why`, when no backend
 * takes it. */
static squall_status choose(lower *work, const sq_step *step, const bool *output, choice *made,
                            squall_error *err)
{
    const sq_lowering *how = work->how;
    made->chosen = 0;
    made->count =
        sq_candidates_list(how->backends, step, how->threads, output, made->all, &made->why);
    if (how->no_winograd) {
        made->count = sq_candidates_without(made->all, made->count, "winograd");
    }
    if (made->count == 0) {
        return SQUALL_OK;
    }
    return (how->choose != NULL ? how->choose : sq_choose_by_cost)(how->chooser, step, made->all,
                                                                   made->count, &made->chosen, err);
}

static squall_status add_packed(lower *work, const sq_backend *backend, const sq_tactic *tactic,
                                const sq_step *view, sq_plan_step *step, squall_error *err)
{
    if (tactic->packed_bytes == 0) {
        return SQUALL_OK;
    }
    void *packed = sq_alloc_huge(tactic->packed_bytes, 1);
    if (packed == NULL) {
        return no_memory(work, err);
    }
    memset(packed, 0, tactic->packed_bytes);
    const squall_status status = backend->pack(view, tactic, packed, err);
    if (status != SQUALL_OK) {
        sq_free(packed);
        return status;
    }
    const uint32_t item = sq_weights_give(work->how->weights, packed, tactic->packed_bytes);
    if (item == SQ_NO_WEIGHT) {
        return no_memory(work, err);
    }
    step->packed_offset = item;
    step->packed_bytes = tactic->packed_bytes;
    return SQUALL_OK;
}

/* Fill in what a tactic means for a stored step; its inputs and outputs are set. */
static squall_status settle(lower *work, const choice *made, uint32_t index, squall_error *err)
{
    const sq_backend *backend = made->all[made->chosen].backend;
    const sq_tactic *tactic = &made->all[made->chosen].tactic;
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    sq_step view;
    sq_plan_step *step = &work->plan->steps[index];
    sq_plan_view_step(work->plan, step, NULL, 0, in, out, &view);
    for (uint32_t i = 0; i < step->in_count; i++) {
        in[i].data = work->data[step->in[i]].data;
        if (!tactic->in_dropped[i]) {
            work->flags[step->in[i]] |= USED;
        }
    }
    SQ_TRY(add_packed(work, backend, tactic, &view, step, err));
    step->backend = backend->id;
    step->in_place = tactic->in_place < 0 ? -1 : tactic->in_place;
    step->tactic = sq_strdup(tactic->name);
    if (step->tactic == NULL || !sq_candidates_keep(made->all, made->count, &made->why, step)) {
        return no_memory(work, err);
    }
    if (tactic->scratch_bytes > work->plan->scratch_bytes) {
        work->plan->scratch_bytes = tactic->scratch_bytes;
    }
    work->plan->macs += sq_op_macs(&view);
    return SQUALL_OK;
}

/* A step that copies one value of the plan to another: a reorder, or an identity. */
static squall_status add_copy(lower *work, sq_op op, uint32_t from, uint32_t to, squall_error *err)
{
    const squall_layout layout = work->plan->values[to].type.layout;
    sq_plan_step *step = add_step(work, op, work->plan->values[to].name, "", 1, 1);
    if (step == NULL) {
        return no_memory(work, err);
    }
    step->in[0] = from;
    step->out[0] = to;
    if (op == SQ_OP_SqReorder && !sq_attr_set_int(&step->attrs, "sq_layout", (int64_t)layout)) {
        return no_memory(work, err);
    }
    const uint32_t index = work->plan->step_count - 1;
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    const bool output[1] = {false};
    sq_step view;
    choice made;
    sq_plan_view_step(work->plan, step, NULL, 0, in, out, &view);
    SQ_TRY(choose(work, &view, output, &made, err));
    const sq_tactic *tactic = &made.all[made.chosen].tactic;
    if (made.count == 0 || tactic->out_layout[0] != (uint8_t)layout ||
        tactic->in_layout[0] != (uint8_t)work->plan->values[from].type.layout) {
        return sq_fail(err, SQUALL_E_INTERNAL, step->name, "no backend can copy it: %s",
                       made.why.text);
    }
    return settle(work, &made, index, err);
}

/* A constant in another layout, made now. */
static squall_status reorder_constant(lower *work, uint32_t from, uint32_t to, squall_error *err)
{
    squall_tensor in = work->data[from];
    squall_tensor out = work->plan->values[to].type;
    sq_attrs attrs = {0};
    sq_step step = {.op = SQ_OP_SqReorder,
                    .name = work->plan->values[to].name,
                    .attrs = &attrs,
                    .in_count = 1,
                    .out_count = 1,
                    .in = &in,
                    .out = &out};
    squall_status status = SQUALL_E_MEMORY;
    if (sq_attr_set_int(&attrs, "sq_layout", (int64_t)out.layout)) {
        status = sq_ref_evaluate(&step, err);
    } else {
        (void)no_memory(work, err);
    }
    sq_attrs_free(&attrs);
    if (status == SQUALL_OK) {
        work->data[to] = out;
        work->flags[to] |= OWNED;
    }
    return status;
}

/* The value of the plan for a value of the graph in one layout, made if there is none yet. */
static squall_status get_version(lower *work, uint32_t v, squall_layout layout, uint32_t *out,
                                 squall_error *err)
{
    uint32_t from = SQ_NO_VALUE;
    SQ_TRY(native_version(work, v, &from, err));
    *out = *version_of(work, v, layout);
    if (*out != SQ_NO_VALUE) {
        return SQUALL_OK;
    }
    const sq_value *value = &work->graph->values[v];
    squall_tensor type = value->type;
    type.layout = layout;
    const uint32_t to = add_value(work, value->name, layout_suffix(layout), &type,
                                  value->constant ? SQ_HOME_CONST : SQ_HOME_ARENA);
    if (to == SQ_NO_VALUE) {
        return no_memory(work, err);
    }
    *version_of(work, v, layout) = to;
    *out = to;
    return value->constant ? reorder_constant(work, from, to, err)
                           : add_copy(work, SQ_OP_SqReorder, from, to, err);
}

/* Types of a node, inputs in the layouts that their producers made, unwanted outputs left out;
 * false when nothing that it gives is wanted. */
static bool view_node(const lower *work, const sq_node *node, squall_tensor *in, squall_tensor *out,
                      bool *output, sq_step *step)
{
    bool wanted = false;
    sq_graph_step(work->graph, node, in, out, step);
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->inputs[i] != SQ_NO_VALUE) {
            in[i].layout = (squall_layout)work->native[node->inputs[i]];
        }
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const uint32_t v = node->outputs[i];
        output[i] = v != SQ_NO_VALUE && work->output[v];
        if (v == SQ_NO_VALUE || work->uses[v] == 0) {
            memset(&out[i], 0, sizeof out[i]);
            continue;
        }
        wanted = true;
        out[i].layout = SQUALL_PLAIN;
        out[i].data = NULL;
    }
    return wanted;
}

/* Inputs of a stored step, in the layouts that are wanted; these may take steps of their own, so
 * they are made before the step is. `numbers` has SQ_MAX_INPUTS. */
static squall_status get_inputs(lower *work, const sq_node *node, const uint8_t *layouts,
                                uint32_t *numbers, squall_error *err)
{
    for (uint32_t i = 0; i < node->in_count; i++) {
        numbers[i] = 0; /* the absent value */
        if (node->inputs[i] != SQ_NO_VALUE) {
            SQ_TRY(get_version(work, node->inputs[i], (squall_layout)layouts[i], &numbers[i], err));
        }
    }
    return SQUALL_OK;
}

/* The step itself: attributes, inputs, and outputs as new values in their layouts. */
static squall_status add_node_step(lower *work, const sq_node *node, const sq_step *view,
                                   const uint32_t *inputs, const uint8_t *layouts,
                                   squall_error *err)
{
    sq_plan_step *step = add_step(work, node->op, node->name, "", node->in_count, node->out_count);
    if (step == NULL || !sq_attrs_copy(&node->attrs, &step->attrs)) {
        return no_memory(work, err);
    }
    const uint32_t index = work->plan->step_count - 1;
    if (node->in_count > 0) {
        memcpy(step->in, inputs, node->in_count * sizeof *inputs);
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (view->out[i].dtype == SQUALL_DTYPE_NONE) {
            continue;
        }
        const uint32_t v = node->outputs[i];
        squall_tensor type = view->out[i];
        type.layout = (squall_layout)layouts[i];
        const uint32_t made =
            add_value(work, work->graph->values[v].name, "", &type, SQ_HOME_ARENA);
        if (made == SQ_NO_VALUE) {
            return no_memory(work, err);
        }
        work->plan->steps[index].out[i] = made;
        work->native[v] = layouts[i];
        *version_of(work, v, type.layout) = made;
    }
    return SQUALL_OK;
}

/* Whether a node only gives its input another shape. */
static bool is_view(const sq_step *step)
{
    if (!sq_plan_can_view(step->op) || step->out_count != 1 || step->in_count < 1 ||
        step->in[0].dtype != step->out[0].dtype) {
        return false;
    }
    squall_tensor plain = step->in[0];
    plain.layout = SQUALL_PLAIN;
    return squall_tensor_bytes(&plain) == squall_tensor_bytes(&step->out[0]);
}

static squall_status lower_view(lower *work, const sq_node *node, const sq_step *view,
                                squall_error *err)
{
    static const uint8_t plain[SQ_MAX_INPUTS] = {SQUALL_PLAIN};
    uint32_t inputs[SQ_MAX_INPUTS];
    SQ_TRY(get_inputs(work, node, plain, inputs, err));
    SQ_TRY(add_node_step(work, node, view, inputs, plain, err));
    sq_plan_step *step = &work->plan->steps[work->plan->step_count - 1];
    for (uint32_t i = 0; i < step->in_count; i++) {
        work->flags[step->in[i]] |= USED;
    }
    work->root[step->out[0]] = work->root[step->in[0]];
    step->backend = SQ_PLAN_VIEW;
    step->tactic = sq_strdup("");
    return step->tactic != NULL ? SQUALL_OK : no_memory(work, err);
}

/* The step of a node is known by the number that it gets. */
static void note_step(const lower *work, uint32_t n)
{
    if (work->how->step_of != NULL) {
        work->how->step_of[n] = work->plan->step_count - 1;
    }
}

static squall_status lower_node(lower *work, uint32_t n, squall_error *err)
{
    const sq_node *node = &work->graph->nodes[n];
    squall_tensor in[SQ_MAX_INPUTS], out[SQ_MAX_OUTPUTS];
    bool output[SQ_MAX_OUTPUTS];
    uint32_t inputs[SQ_MAX_INPUTS];
    sq_step view;
    choice made;
    if (!view_node(work, node, in, out, output, &view)) {
        return SQUALL_OK;
    }
    if (is_view(&view)) {
        SQ_TRY(lower_view(work, node, &view, err));
        note_step(work, n);
        return SQUALL_OK;
    }
    SQ_TRY(choose(work, &view, output, &made, err));
    if (made.count == 0) {
        work->failed++;
        sq_note(work->failures, NULL, "node '%s' (%s): %s", node->name, sq_op_name(node->op),
                made.why.text);
        /* Its outputs still need numbers, so that all such nodes are found in one pass. */
        made.all[0] = (sq_candidate){.tactic = {.in_place = -1}};
    }
    const sq_candidate *chosen = &made.all[made.chosen];
    SQ_TRY(get_inputs(work, node, chosen->tactic.in_layout, inputs, err));
    SQ_TRY(add_node_step(work, node, &view, inputs, chosen->tactic.out_layout, err));
    note_step(work, n);
    if (made.count == 0) {
        return SQUALL_OK;
    }
    SQ_TRY(settle(work, &made, work->plan->step_count - 1, err));
    if (chosen->backend == work->how->backends[0]) {
        work->how->first++;
    } else {
        work->how->fallbacks++;
        sq_note(work->how->notes, NULL, "step '%s' (%s) runs on %s: %s", node->name,
                sq_op_name(node->op), chosen->backend->name,
                made.why.text[0] != '\0' ? made.why.text : "it was measured to be faster there");
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        uint32_t plain;
        if (output[i]) {
            SQ_TRY(get_version(work, node->outputs[i], SQUALL_PLAIN, &plain, err));
        }
    }
    return SQUALL_OK;
}

static squall_status lower_init(lower *work, squall_error *err)
{
    const sq_graph *graph = work->graph;
    const squall_tensor none = {.dtype = SQUALL_DTYPE_NONE};
    work->version = sq_alloc_raw(graph->value_count, LAYOUTS * sizeof *work->version);
    work->native = sq_alloc(graph->value_count, sizeof *work->native);
    work->uses = sq_alloc(graph->value_count, sizeof *work->uses);
    work->output = sq_alloc(graph->value_count, sizeof *work->output);
    work->plan->inputs = sq_alloc(graph->input_count, sizeof *work->plan->inputs);
    work->plan->outputs = sq_alloc(graph->output_count, sizeof *work->plan->outputs);
    if (work->version == NULL || work->native == NULL || work->uses == NULL ||
        work->output == NULL || work->plan->inputs == NULL || work->plan->outputs == NULL ||
        add_value(work, "", "", &none, SQ_HOME_NONE) == SQ_NO_VALUE) { /* number 0: absent */
        return no_memory(work, err);
    }
    for (size_t i = 0; i < (size_t)graph->value_count * LAYOUTS; i++) {
        work->version[i] = SQ_NO_VALUE;
    }
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        for (uint32_t i = 0; !node->dead && i < node->in_count; i++) {
            if (node->inputs[i] != SQ_NO_VALUE) {
                work->uses[node->inputs[i]]++;
            }
        }
    }
    for (uint32_t k = 0; k < graph->output_count; k++) {
        work->uses[graph->outputs[k]]++;
        work->output[graph->outputs[k]] = true;
    }
    for (uint32_t k = 0; k < graph->input_count; k++) {
        const sq_value *value = &graph->values[graph->inputs[k]];
        const uint32_t v = add_value(work, value->name, "", &value->type, SQ_HOME_INPUT);
        if (v == SQ_NO_VALUE) {
            return no_memory(work, err);
        }
        work->plan->values[v].offset = k;
        work->plan->inputs[work->plan->input_count++] = v;
        *version_of(work, graph->inputs[k], SQUALL_PLAIN) = v;
    }
    return SQUALL_OK;
}

/* The caller's memory for output `k`: what makes the value writes there, unless that is itself the
 * caller's or a constant; then it is copied. */
static squall_status settle_output(lower *work, uint32_t k, squall_error *err)
{
    sq_plan *plan = work->plan;
    const uint32_t v = work->graph->outputs[k];
    uint32_t value;
    SQ_TRY(get_version(work, v, SQUALL_PLAIN, &value, err));
    uint32_t root = work->root[value];
    if (plan->values[root].home != SQ_HOME_ARENA) {
        work->flags[value] |= USED;
        const uint32_t copy = add_value(work, work->graph->values[v].name, "",
                                        &work->graph->values[v].type, SQ_HOME_OUTPUT);
        if (copy == SQ_NO_VALUE) {
            return no_memory(work, err);
        }
        SQ_TRY(add_copy(work, SQ_OP_Identity, value, copy, err));
        value = root = copy;
    }
    char *name = clip_name(work->graph->values[v].name, ""); /* a reorder has made its own */
    if (name == NULL) {
        return no_memory(work, err);
    }
    sq_free(plan->values[value].name);
    plan->values[value].name = name;
    plan->values[root].home = SQ_HOME_OUTPUT;
    plan->values[root].offset = k;
    plan->outputs[plan->output_count++] = value;
    return SQUALL_OK;
}

/* Constants that a step reads go into the weights; the others were only needed to pack. */
static squall_status settle_constants(lower *work, squall_error *err)
{
    for (uint32_t v = 0; v < work->plan->value_count; v++) {
        sq_plan_value *value = &work->plan->values[v];
        if (value->home != SQ_HOME_CONST || work->root[v] != v) {
            continue;
        }
        if ((work->flags[v] & USED) == 0) {
            value->home = SQ_HOME_DROPPED;
            continue;
        }
        const uint32_t item = sq_weights_add(work->how->weights, work->data[v].data,
                                             squall_tensor_bytes(&value->type));
        if (item == SQ_NO_WEIGHT) {
            return no_memory(work, err);
        }
        value->offset = item;
    }
    return SQUALL_OK;
}

void sq_compile_set_weights(sq_plan *plan, const sq_weights *weights)
{
    for (uint32_t v = 0; v < plan->value_count; v++) {
        if (plan->values[v].home == SQ_HOME_CONST) {
            plan->values[v].offset = weights->items[plan->values[v].offset].offset;
        }
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].packed_bytes > 0) {
            plan->steps[s].packed_offset = weights->items[plan->steps[s].packed_offset].offset;
        }
    }
}

static squall_status lower_graph(lower *work, squall_error *err)
{
    const sq_graph *graph = work->graph;
    SQ_TRY(lower_init(work, err));
    for (uint32_t n = 0; n < graph->node_count; n++) {
        if (work->how->step_of != NULL) {
            work->how->step_of[n] = SQ_NO_STEP;
        }
        if (!graph->nodes[n].dead) {
            SQ_TRY(lower_node(work, n, err));
        }
    }
    if (work->failed > 0) {
        return sq_fail(err, SQUALL_E_UNSUPPORTED, graph->name,
                       "%" PRIu32 " of %" PRIu32 " nodes cannot be run; the notes say which and "
                       "why",
                       work->failed, graph->node_count);
    }
    for (uint32_t k = 0; k < graph->output_count; k++) {
        SQ_TRY(settle_output(work, k, err));
    }
    SQ_TRY(settle_constants(work, err));
    return sq_plan_memory(work->plan, err);
}

squall_status sq_compile_lower(const sq_graph *graph, sq_lowering *how, squall_notes *failures,
                               sq_plan *out, squall_error *err)
{
    lower work = {.graph = graph, .how = how, .failures = failures, .plan = out};
    memset(out, 0, sizeof *out);
    const squall_status status = lower_graph(&work, err);
    for (uint32_t v = 0; v < out->value_count; v++) {
        if ((work.flags[v] & OWNED) != 0) {
            sq_free(work.data[v].data);
        }
    }
    sq_free(work.version);
    sq_free(work.native);
    sq_free(work.uses);
    sq_free(work.output);
    sq_free(work.data);
    sq_free(work.flags);
    sq_free(work.root);
    if (status != SQUALL_OK) {
        sq_plan_free(out);
    }
    return status;
}
