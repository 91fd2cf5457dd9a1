/* nn/graph/graph_trace.c - what became of each node of the model, kept while passes work. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/graph/graph_index.h"

#define SENTENCE 320 /* bytes of what is said of one change */

void sq_trace_free(sq_trace *trace)
{
    for (uint32_t i = 0; i < trace->count; i++) {
        sq_free(trace->items[i].name);
        sq_free(trace->items[i].history);
    }
    sq_free(trace->items);
    *trace = (sq_trace){0};
}

/* One fate more; NULL when there is no memory. */
static sq_fate *add_fate(sq_trace *trace, const char *name, sq_op op)
{
    if (!trace->items || trace->count == trace->capacity) {
        const uint32_t capacity = trace->capacity > 0 ? trace->capacity * 2 : 64;
        sq_fate *items = sq_regrow(trace->items, trace->count, capacity, sizeof *items);
        if (!items) {
            return NULL;
        }
        trace->items = items;
        trace->capacity = capacity;
    }
    sq_fate fate = {.name = sq_strdup(name), .op = op};
    if (!fate.name) {
        return NULL;
    }
    trace->items[trace->count] = fate;
    return &trace->items[trace->count++];
}

bool sq_trace_copy(const sq_trace *trace, sq_trace *out)
{
    *out = (sq_trace){.failed = trace->failed, .on = trace->on};
    for (uint32_t i = 0; i < trace->count; i++) {
        const sq_fate *fate = &trace->items[i];
        sq_fate *copy = add_fate(out, fate->name, fate->op);
        if (copy) {
            copy->end = fate->end;
        }
        if (!copy || (fate->history && !(copy->history = sq_strdup(fate->history)))) {
            return false;
        }
    }
    return true;
}

bool sq_graph_note_constant(sq_graph *graph, const char *name)
{
    sq_fate *fate = add_fate(&graph->trace, name, SQ_OP_Constant);
    if (!fate) {
        return false;
    }
    fate->end = SQ_FATE_CONSTANT;
    fate->history = sq_strdup("it is one in the model");
    return fate->history != NULL;
}

/* The constants that a body was read with, under the name of its node. */
static bool take_constants(sq_trace *trace, const sq_graph *body, const char *prefix)
{
    for (uint32_t i = 0; i < body->trace.count; i++) {
        sq_text name = {0};
        sq_text_add(&name, "%s%s", prefix, body->trace.items[i].name);
        sq_fate *fate = name.failed ? NULL : add_fate(trace, name.data, SQ_OP_Constant);
        sq_text_free(&name);
        if (!fate || !(fate->history = sq_strdup(body->trace.items[i].history))) {
            return false;
        }
        fate->end = SQ_FATE_CONSTANT;
    }
    return true;
}

/* Each node of `graph` and of the graphs in it becomes an origin. */
static bool trace_graph(sq_trace *trace, sq_graph *graph, const char *prefix)
{
    sq_text name = {0};
    bool good = true;
    for (uint32_t i = 0; good && i < graph->node_count; i++) {
        sq_node *node = &graph->nodes[i];
        sq_text_free(&name);
        sq_text_add(&name, "%s%s", prefix, node->name);
        node->origins = sq_alloc_raw(1, sizeof *node->origins);
        good = !name.failed && node->origins && add_fate(trace, name.data, node->op);
        if (!good) {
            break;
        }
        node->origins[0] = trace->count - 1;
        node->origin_count = 1;
        sq_text_add(&name, "/");
        for (uint32_t b = 0; good && b < node->body_count; b++) {
            good = !name.failed && trace_graph(trace, node->bodies[b].graph, name.data) &&
                   take_constants(trace, node->bodies[b].graph, name.data);
        }
    }
    sq_text_free(&name);
    return good;
}

squall_status sq_graph_trace(sq_graph *graph, squall_error *err)
{
    if (graph->trace.on) {
        return SQUALL_OK;
    }
    graph->trace.on = true;
    if (!trace_graph(&graph->trace, graph, "")) {
        return sq_fail(err, SQUALL_E_MEMORY, graph->name ? graph->name : "graph",
                       "no memory to keep what becomes of its nodes");
    }
    return SQUALL_OK;
}

/* Say `sentence` of all that `node` stands for, once for each. */
static void tell(sq_trace *trace, const sq_node *node, int end, const char *sentence)
{
    for (uint32_t i = 0; i < node->origin_count; i++) {
        sq_fate *fate = &trace->items[node->origins[i]];
        sq_text text = {0};
        fate->end = end;
        if (fate->history && strstr(fate->history, sentence)) {
            continue; /* of another round of the same loop */
        }
        sq_text_add(&text, "%s%s%s", fate->history ? fate->history : "", fate->history ? "; " : "",
                    sentence);
        if (text.failed) {
            sq_text_free(&text);
            trace->failed = true;
            return;
        }
        sq_free(fate->history);
        fate->history = text.data;
    }
}

void sq_graph_stand_for(sq_graph *graph, sq_node *node, const sq_node *old)
{
    for (uint32_t i = 0; i < old->origin_count; i++) {
        bool there = false;
        for (uint32_t j = 0; j < node->origin_count && !there; j++) {
            there = node->origins[j] == old->origins[i];
        }
        if (there) {
            continue;
        }
        uint32_t *origins =
            sq_regrow(node->origins, node->origin_count, node->origin_count + 1, sizeof *origins);
        if (!origins) {
            graph->trace.failed = true;
            return;
        }
        node->origins = origins;
        node->origins[node->origin_count++] = old->origins[i];
    }
}

void sq_graph_retire(sq_graph *graph, sq_node *node, sq_node *into, const char *format, ...)
{
    node->dead = true;
    if (node->origin_count == 0 || !graph->trace.on) {
        return;
    }
    char words[SENTENCE], sentence[SENTENCE + SQ_GRAPH_WHERE + 16], where[SQ_GRAPH_WHERE];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(words, sizeof words, format, list);
    va_end(list);
    if (into) {
        (void)snprintf(sentence, sizeof sentence, "went into %s: %s", sq_graph_where(into, where),
                       words);
        sq_graph_stand_for(graph, into, node);
    } else {
        (void)snprintf(sentence, sizeof sentence, "%s", words);
    }
    tell(&graph->trace, node, into ? SQ_FATE_FUSED : SQ_FATE_REMOVED, sentence);
}

void sq_graph_retire_constant(sq_graph *graph, sq_node *node, const char *why)
{
    node->dead = true;
    if (graph->trace.on) {
        tell(&graph->trace, node, SQ_FATE_CONSTANT, why);
    }
}
