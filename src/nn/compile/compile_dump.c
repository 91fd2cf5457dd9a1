/* nn/compile/compile_dump.c - a graph as a picture for Graphviz, and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "nn/compile/compile_explain.h"

#define SHORT 60 /* of a name in the picture */

/* A text between quotes of DOT. */
static void add_quoted(sq_text *out, const char *text)
{
    for (size_t i = 0; text[i] != '\0' && i < SHORT; i++) {
        const char c = text[i];
        sq_text_add(out, c == '"' || c == '\\' ? "\\%c" : "%c", (unsigned char)c < 32 ? ' ' : c);
    }
}

static void draw_values(sq_text *out, const sq_graph *graph)
{
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const sq_value *value = &graph->values[graph->inputs[i]];
        char type[SQ_TENSOR_TEXT];
        sq_text_add(out, "  v%" PRIu32 " [shape=ellipse, label=\"", graph->inputs[i]);
        add_quoted(out, value->name);
        sq_text_add(out, "\\n%s\"];\n", sq_tensor_format(&value->type, type));
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        sq_text_add(out, "  out%" PRIu32 " [shape=ellipse, label=\"", i);
        add_quoted(out, graph->values[graph->outputs[i]].name);
        sq_text_add(out, "\"];\n");
    }
}

/* An edge from what gives a value, which is the value itself for inputs of the graph. */
static void draw_edge(sq_text *out, const sq_graph *graph, const uint32_t *maker, uint32_t value,
                      const char *to, uint32_t number)
{
    char type[SQ_TENSOR_TEXT];
    if (value == SQ_NO_VALUE || graph->values[value].constant) {
        return;
    }
    const bool made = maker[value] != UINT32_MAX;
    sq_text_add(out, "  %s%" PRIu32 " -> %s%" PRIu32 " [label=\"%s\"];\n", made ? "n" : "v",
                made ? maker[value] : value, to, number,
                sq_tensor_format(&graph->values[value].type, type));
}

static bool find_makers(const sq_graph *graph, uint32_t **out)
{
    uint32_t *maker = sq_alloc_raw(graph->value_count, sizeof *maker);
    if (maker == NULL) {
        return false;
    }
    for (uint32_t v = 0; v < graph->value_count; v++) {
        maker[v] = UINT32_MAX;
    }
    for (uint32_t n = 0; n < graph->node_count; n++) {
        for (uint32_t i = 0; i < graph->nodes[n].out_count; i++) {
            if (graph->nodes[n].outputs[i] != SQ_NO_VALUE) {
                maker[graph->nodes[n].outputs[i]] = n;
            }
        }
    }
    *out = maker;
    return true;
}

static bool draw(sq_text *out, const sq_graph *graph)
{
    uint32_t *maker;
    if (!find_makers(graph, &maker)) {
        return false;
    }
    sq_text_add(out, "digraph model {\n  node [shape=box, fontname=sans];\n");
    draw_values(out, graph);
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const sq_node *node = &graph->nodes[n];
        sq_text_add(out, "  n%" PRIu32 " [label=\"%s\\n", n, sq_op_name(node->op));
        add_quoted(out, node->name);
        sq_text_add(out, "\"];\n");
        for (uint32_t i = 0; i < node->in_count; i++) {
            draw_edge(out, graph, maker, node->inputs[i], "n", n);
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        draw_edge(out, graph, maker, graph->outputs[i], "out", i);
    }
    sq_text_add(out, "}\n");
    sq_free(maker);
    return !out->failed;
}

/* Names come from the model and may be no UTF-8. */
static json_t *text_json(const char *text)
{
    json_t *made = json_string(text);
    return made != NULL ? made : json_string_nocheck("(not UTF-8)");
}

static json_t *value_json(const sq_graph *graph, uint32_t v)
{
    char type[SQ_TENSOR_TEXT];
    if (v == SQ_NO_VALUE) {
        return json_null();
    }
    const sq_value *value = &graph->values[v];
    return json_pack("{s:o, s:s, s:b}", "name", text_json(value->name), "type",
                     sq_tensor_format(&value->type, type), "constant", value->constant);
}

static json_t *list_json(const sq_graph *graph, const uint32_t *values, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list, value_json(graph, values[i]));
    }
    return list;
}

static json_t *node_json(const sq_graph *graph, const sq_node *node)
{
    json_t *origins = json_array();
    for (uint32_t i = 0; i < node->origin_count; i++) {
        json_array_append_new(origins, text_json(graph->trace.items[node->origins[i]].name));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", text_json(node->name), "op",
                     sq_op_name(node->op), "inputs", list_json(graph, node->inputs, node->in_count),
                     "outputs", list_json(graph, node->outputs, node->out_count), "from", origins);
}

static char *describe(const sq_graph *graph, const char *name)
{
    json_t *nodes = json_array();
    for (uint32_t n = 0; n < graph->node_count; n++) {
        json_array_append_new(nodes, node_json(graph, &graph->nodes[n]));
    }
    json_t *all = json_pack("{s:s, s:o, s:o, s:o}", "after", name, "inputs",
                            list_json(graph, graph->inputs, graph->input_count), "outputs",
                            list_json(graph, graph->outputs, graph->output_count), "nodes", nodes);
    char *text = all != NULL ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    return text;
}

static squall_status write_file(const sq_dump *dump, const char *name, const char *ending,
                                const char *text, size_t length, squall_error *err)
{
    sq_text path = {0};
    sq_text_add(&path, "%s/%02" PRIu32 "-", dump->folder, dump->number);
    for (const char *c = name; *c != '\0'; c++) {
        sq_text_add(&path, "%c", *c == ' ' || *c == '/' ? '-' : *c);
    }
    sq_text_add(&path, ".%s", ending);
    const squall_status status =
        path.failed ? sq_fail(err, SQUALL_E_MEMORY, dump->folder, "no memory for a name in it")
                    : sq_file_write(path.data, text, length, err);
    sq_text_free(&path);
    return status;
}

squall_status sq_dump_graph(sq_dump *dump, const sq_graph *graph, const char *name,
                            squall_error *err)
{
    sq_text picture = {0};
    squall_status status;
    char *json = NULL;
    name = strncmp(name, "pass ", 5) == 0 ? name + 5 : name;
    if (!draw(&picture, graph) || (json = describe(graph, name)) == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, dump->folder, "no memory for the graph");
        goto done;
    }
    SQ_TRY_GOTO(write_file(dump, name, "dot", picture.data, picture.length, err));
    SQ_TRY_GOTO(write_file(dump, name, "json", json, strlen(json), err));
    dump->number++;
done:
    sq_text_free(&picture);
    free(json);
    return status;
}
