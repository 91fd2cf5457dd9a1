/* nn/compile/compile_explain.c - what became of each node of the model, gathered from the graph
 * that passes have left and from the plan that was made of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/compile/compile_explain.h"

/* A node of the model. Texts are owned. */
typedef struct told {
    char *node, *name, *tactic, *why;
    sq_op op;
    squall_became became;
    uint32_t step, steps; /* SQ_NO_STEP and 0 for none */
} told;

struct squall_explanation {
    told *items; /* owned */
    size_t count;
};

squall_explanation *squall_explanation_create(void)
{
    return sq_alloc(1, sizeof(squall_explanation));
}

static void clear(squall_explanation *explanation)
{
    for (size_t i = 0; i < explanation->count; i++) {
        told *item = &explanation->items[i];
        sq_free(item->node);
        sq_free(item->name);
        sq_free(item->tactic);
        sq_free(item->why);
    }
    sq_free(explanation->items);
    *explanation = (squall_explanation){0};
}

void squall_explanation_destroy(squall_explanation **explanation)
{
    if (*explanation != NULL) {
        clear(*explanation);
        sq_free(*explanation);
        *explanation = NULL;
    }
}

size_t squall_explanation_count(const squall_explanation *explanation)
{
    return explanation->count;
}

static const char *text_or_none(const char *text)
{
    return text != NULL ? text : "";
}

squall_status squall_explanation_get(const squall_explanation *explanation, size_t index,
                                     squall_fate *out, squall_error *err)
{
    if (index >= explanation->count) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "explanation", "no node %zu; there are %zu", index,
                       explanation->count);
    }
    const told *item = &explanation->items[index];
    *out = (squall_fate){.node = text_or_none(item->node),
                         .op = sq_op_name(item->op),
                         .became = item->became,
                         .step = item->step == SQ_NO_STEP ? -1 : (int64_t)item->step,
                         .steps = item->steps,
                         .name = text_or_none(item->name),
                         .tactic = text_or_none(item->tactic),
                         .why = text_or_none(item->why)};
    return SQUALL_OK;
}

const char *squall_became_name(squall_became became)
{
    static const char *const names[] = {"step", "fused", "view", "constant", "removed"};
    return (unsigned)became < sizeof names / sizeof names[0] ? names[became] : "";
}

static squall_status no_memory(squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, "explanation", "no memory for it");
}

/* What the nodes that are left say of those that they stand for. */
static squall_status take_living(told *items, const sq_graph *graph, const sq_plan *plan,
                                 const uint32_t *step_of, squall_error *err)
{
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        if (step_of[n] == SQ_NO_STEP) {
            continue;
        }
        const sq_plan_step *step = &plan->steps[step_of[n]];
        for (uint32_t i = 0; i < node->origin_count; i++) {
            told *item = &items[node->origins[i]];
            const bool own = graph->trace.items[node->origins[i]].end == SQ_FATE_LIVES;
            if (item->steps++ > 0) {
                continue;
            }
            item->step = step_of[n];
            item->became = !own                            ? SQUALL_BECAME_FUSED
                           : step->backend == SQ_PLAN_VIEW ? SQUALL_BECAME_VIEW
                                                           : SQUALL_BECAME_STEP;
            char apart[SQ_GRAPH_APART];
            sq_text text = {0};
            const char *history = graph->trace.items[node->origins[i]].history;
            const char *reason = own ? sq_graph_why_apart(graph, node, apart) : "";
            const char *slow = own && step->why != NULL ? step->why : "";
            sq_text_add(&text, "%s%s%s%s%s", text_or_none(history),
                        history != NULL && reason[0] != '\0' ? "; " : "", reason,
                        (history != NULL || reason[0] != '\0') && slow[0] != '\0' ? "; " : "",
                        slow);
            if (text.failed) {
                sq_text_free(&text);
                return no_memory(err);
            }
            item->why = text.data;
        }
    }
    return SQUALL_OK;
}

squall_status sq_explain(squall_explanation *explanation, const sq_graph *graph,
                         const sq_plan *plan, const uint32_t *step_of, squall_error *err)
{
    const sq_trace *trace = &graph->trace;
    clear(explanation);
    explanation->items = sq_alloc(trace->count, sizeof *explanation->items);
    if (trace->failed || explanation->items == NULL) {
        return no_memory(err);
    }
    explanation->count = trace->count;
    for (uint32_t i = 0; i < trace->count; i++) {
        told *item = &explanation->items[i];
        item->op = trace->items[i].op;
        item->step = SQ_NO_STEP;
        item->node = sq_strdup(trace->items[i].name);
        item->became = trace->items[i].end == SQ_FATE_CONSTANT ? SQUALL_BECAME_CONSTANT
                                                               : SQUALL_BECAME_REMOVED;
        if (item->node == NULL) {
            return no_memory(err);
        }
    }
    SQ_TRY(take_living(explanation->items, graph, plan, step_of, err));
    for (uint32_t i = 0; i < trace->count; i++) { /* those that left nothing */
        told *item = &explanation->items[i];
        const char *history = trace->items[i].history;
        if (item->steps == 0) {
            item->why = sq_strdup(history != NULL ? history : "no output needs it");
            if (item->why == NULL) {
                return no_memory(err);
            }
        }
    }
    return SQUALL_OK;
}

squall_status sq_explain_settle(squall_explanation *explanation, const sq_plan *plan,
                                squall_error *err)
{
    for (size_t i = 0; i < explanation->count; i++) {
        told *item = &explanation->items[i];
        if (item->step == SQ_NO_STEP || item->step >= plan->step_count) {
            continue;
        }
        const sq_plan_step *step = &plan->steps[item->step];
        char tactic[SQ_LIMIT_NAME + 16] = "";
        if (step->backend != SQ_PLAN_VIEW) {
            const sq_backend *backend = sq_runtime_backend(step->backend);
            (void)snprintf(tactic, sizeof tactic, "%s:%s", backend != NULL ? backend->name : "?",
                           step->tactic);
        }
        item->name = sq_strdup(step->name);
        item->tactic = sq_strdup(tactic);
        if (item->name == NULL || item->tactic == NULL) {
            return no_memory(err);
        }
    }
    return SQUALL_OK;
}
