/* nn/onnx/onnx_node.c - nodes: operators, attributes, and the values they give and want. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/onnx/onnx_reader.h"

/* Fields of NodeProto. */
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OPERATOR = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_NAME = 1
};

/* A node while it is read. */
typedef struct node_text {
    char *op, *domain, *name;  /* owned */
    char where[SQ_ONNX_WHERE]; /* "node 'conv1' (Conv, opset 17)" */
    char why[SQ_ONNX_WHY];     /* why it cannot be taken; empty when it can */
    uint32_t in_count, out_count;
} node_text;

static void free_node_text(node_text *text)
{
    sq_free(text->op);
    sq_free(text->domain);
    sq_free(text->name);
}

/* Names, counts, and whether the operator is known. */
static squall_status read_node_text(const sq_onnx *onnx, sq_wire message, uint32_t index,
                                    node_text *text, squall_error *err)
{
    SQ_TRY(sq_onnx_word(onnx, message, NODE_OPERATOR, &text->op, err));
    SQ_TRY(sq_onnx_word(onnx, message, NODE_DOMAIN, &text->domain, err));
    SQ_TRY(sq_onnx_word(onnx, message, NODE_NAME, &text->name, err));
    const size_t in_count = sq_wire_count(message, NODE_INPUT);
    const size_t out_count = sq_wire_count(message, NODE_OUTPUT);
    if (text->name[0] == '\0' && out_count > 0) { /* called by what it gives */
        sq_free(text->name);
        text->name = NULL;
        sq_wire output, rest = message;
        while (!text->name && sq_wire_next_bytes(&rest, NODE_OUTPUT, &output)) {
            if (sq_wire_size(output) > 0) {
                SQ_TRY(sq_onnx_name(onnx, output, &text->name, err));
            }
        }
        if (!text->name && !(text->name = sq_strdup(""))) {
            return sq_fail(err, SQUALL_E_MEMORY, onnx->path, "no memory for its names");
        }
    }
    (void)snprintf(text->where, sizeof text->where, "node '%.78s' (%.24s, opset %" PRId32 ")",
                   text->name, text->op, onnx->opset);
    if (in_count == SIZE_MAX || out_count == SIZE_MAX || out_count == 0) {
        return sq_fail(err, SQUALL_E_CORRUPT, onnx->path,
                       "node %" PRIu32 " '%.60s' (%.32s) is malformed or gives nothing", index,
                       text->name, text->op);
    }
    const bool own = text->domain[0] == '\0' || strcmp(text->domain, "ai.onnx") == 0;
    if (!own) {
        (void)snprintf(text->why, sizeof text->why, "domain '%.80s' is not taken", text->domain);
    } else if (sq_op_find(text->op) == SQ_OP_NONE) {
        (void)snprintf(text->why, sizeof text->why, "squall has no such operator");
    } else if (in_count > SQ_MAX_INPUTS || out_count > SQ_MAX_OUTPUTS) {
        (void)snprintf(text->why, sizeof text->why,
                       "%zu inputs and %zu outputs; at most %d and %d are taken", in_count,
                       out_count, SQ_MAX_INPUTS, SQ_MAX_OUTPUTS);
    } else {
        text->in_count = (uint32_t)in_count;
        text->out_count = (uint32_t)out_count;
    }
    return SQUALL_OK;
}

static squall_status read_attributes(sq_onnx *onnx, sq_wire message, node_text *text,
                                     sq_attrs *attrs, squall_error *err)
{
    sq_wire attribute;
    char why[SQ_ONNX_WHY];
    while (sq_wire_next_bytes(&message, NODE_ATTRIBUTE, &attribute)) {
        SQ_TRY(sq_onnx_attribute(onnx, attribute, text->where, attrs, why, err));
        if (why[0] != '\0' && text->why[0] == '\0') {
            (void)snprintf(text->why, sizeof text->why, "%s", why);
        }
    }
    return SQUALL_OK;
}

/* The value of a Constant, out of its attributes; `out` has no type when there is none we take. */
static squall_status take_constant(const node_text *text, sq_attrs *attrs, squall_tensor *out,
                                   squall_error *err)
{
    const sq_attr *attr = sq_attr_find(attrs, "value");
    bool made = true;
    if (attr && attr->kind == SQ_ATTR_TENSOR) {
        *out = attr->tensor;
        ((sq_attr *)(uintptr_t)attr)->tensor = (squall_tensor){0};
    } else if ((attr = sq_attr_find(attrs, "value_float")) && attr->kind == SQ_ATTR_FLOAT) {
        made = sq_tensor_make(SQUALL_F32, 0, NULL, out);
        if (made) {
            memcpy(out->data, &attr->f, sizeof attr->f);
        }
    } else if ((attr = sq_attr_find(attrs, "value_int")) && attr->kind == SQ_ATTR_INT) {
        made = sq_tensor_make(SQUALL_I64, 0, NULL, out);
        if (made) {
            memcpy(out->data, &attr->i, sizeof attr->i);
        }
    } else if ((attr = sq_attr_find(attrs, "value_floats")) && attr->kind == SQ_ATTR_FLOATS) {
        made = sq_tensor_make(SQUALL_F32, 1, (int64_t[]){(int64_t)attr->count}, out);
        if (made) {
            memcpy(out->data, attr->floats, attr->count * sizeof *attr->floats);
        }
    } else if ((attr = sq_attr_find(attrs, "value_ints")) && attr->kind == SQ_ATTR_INTS) {
        made = sq_tensor_make(SQUALL_I64, 1, (int64_t[]){(int64_t)attr->count}, out);
        if (made) {
            memcpy(out->data, attr->ints, attr->count * sizeof *attr->ints);
        }
    }
    return made ? SQUALL_OK : sq_fail(err, SQUALL_E_MEMORY, text->where, "no memory for its value");
}

/* What of a body's graph gives values, into a body of the node `number`. */
static squall_status read_body(sq_onnx *onnx, sq_wire graph, const char *name, uint32_t number,
                               const char *where, squall_error *err)
{
    if (onnx->depth + 1 >= SQ_LIMIT_GRAPHS) {
        return sq_fail(err, SQUALL_E_LIMIT, where, "graphs in graphs, more than %d deep",
                       SQ_LIMIT_GRAPHS);
    }
    sq_body *body = sq_graph_add_body(&onnx->graph->nodes[number], name);
    if (!body) {
        return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its graphs");
    }
    sq_graph *around = onnx->graph;
    onnx->graph = body->graph;
    onnx->depth++;
    const squall_status status = sq_onnx_graph_givers(onnx, graph, err);
    onnx->depth--;
    onnx->graph = around;
    body->own_inputs = body->graph->input_count;
    return status;
}

/* The graphs in the attributes of a control node. */
static squall_status read_bodies(sq_onnx *onnx, sq_wire message, uint32_t number, const char *where,
                                 squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_wire attribute, graph;
    while (status == SQUALL_OK && sq_wire_next_bytes(&message, NODE_ATTRIBUTE, &attribute)) {
        char *name = NULL;
        if (!sq_onnx_attribute_graph(attribute, &graph)) {
            continue;
        }
        SQ_TRY(sq_onnx_word(onnx, attribute, ATTRIBUTE_NAME, &name, err));
        status = read_body(onnx, graph, name, number, where, err);
        sq_free(name);
    }
    return status;
}

/* Values for what a node gives; their numbers into `node`, if there is one. */
static squall_status add_outputs(sq_onnx *onnx, sq_wire message, sq_node *node, uint32_t *last,
                                 squall_error *err)
{
    sq_wire name;
    uint32_t index = 0;
    *last = SQ_NO_VALUE;
    while (sq_wire_next_bytes(&message, NODE_OUTPUT, &name)) {
        uint32_t number = SQ_NO_VALUE;
        if (sq_wire_size(name) > 0) { /* an empty name: nobody wants this output */
            SQ_TRY(sq_onnx_add_value(onnx, name, &number, err));
        }
        if (node) {
            node->outputs[index++] = number;
        }
        *last = number;
    }
    return SQUALL_OK;
}

/* Optional inputs and outputs at the end that are absent do not count. */
static void trim(sq_node *node)
{
    while (node->out_count > 1 && node->outputs[node->out_count - 1] == SQ_NO_VALUE) {
        node->out_count--;
    }
}

squall_status sq_onnx_node(sq_onnx *onnx, sq_wire message, uint32_t index, squall_error *err)
{
    squall_status status = SQUALL_OK;
    node_text text = {0};
    sq_attrs attrs = {.opset = onnx->opset};
    squall_tensor constant = {0};
    uint32_t last;
    SQ_TRY_GOTO(read_node_text(onnx, message, index, &text, err));
    if (text.why[0] == '\0') {
        SQ_TRY_GOTO(read_attributes(onnx, message, &text, &attrs, err));
    }
    const sq_op op = sq_op_find(text.op);
    const bool is_constant = op == SQ_OP_Constant && text.why[0] == '\0';
    if (is_constant) {
        SQ_TRY_GOTO(take_constant(&text, &attrs, &constant, err));
        if (constant.dtype == SQUALL_DTYPE_NONE) {
            (void)snprintf(text.why, sizeof text.why, "its value is no tensor of numbers");
        } else if (text.out_count != 1) {
            status = sq_fail(err, SQUALL_E_CORRUPT, text.where, "a constant gives one value");
            goto done;
        }
    }
    sq_node *node = NULL;
    if (text.why[0] != '\0') {
        sq_onnx_report(onnx, text.where, text.why);
    } else if (!is_constant) {
        node = sq_graph_add_node(onnx->graph, op, text.name, text.in_count, text.out_count);
        if (!node) {
            status = sq_fail(err, SQUALL_E_MEMORY, text.where, "no memory for it");
            goto done;
        }
        node->attrs = attrs;
        attrs = (sq_attrs){0};
    }
    SQ_TRY_GOTO(add_outputs(onnx, message, node, &last, err));
    if (node) {
        trim(node);
        if (sq_op_is_control(op)) {
            SQ_TRY_GOTO(read_bodies(onnx, message, onnx->graph->node_count - 1, text.where, err));
        }
    } else if (constant.data && last != SQ_NO_VALUE) {
        onnx->graph->values[last].type = constant;
        onnx->graph->values[last].constant = true;
        constant = (squall_tensor){0};
        if (!sq_graph_note_constant(onnx->graph, text.name)) {
            status = sq_fail(err, SQUALL_E_MEMORY, text.where, "no memory for its name");
        }
    }
done:
    free_node_text(&text);
    sq_attrs_free(&attrs);
    sq_tensor_free(&constant);
    return status;
}

bool sq_onnx_is_constant(sq_wire message)
{
    sq_wire_field op = {0};
    (void)sq_wire_find(message, NODE_OPERATOR, SQ_WIRE_BYTES, &op);
    return sq_wire_size(op.bytes) == strlen("Constant") &&
           memcmp(op.bytes.at, "Constant", strlen("Constant")) == 0;
}

/* The users in the bodies of a control node: what they want of the graph around them becomes inputs
 * of the node, behind its own. */
static squall_status resolve_bodies(const sq_onnx *onnx, sq_wire message,
                                    const sq_onnx_names *names, uint32_t number, squall_error *err)
{
    sq_wire attribute, graph;
    const sq_onnx_scope scope = {.onnx = onnx, .names = names, .node = number};
    uint32_t index = 0;
    while (sq_wire_next_bytes(&message, NODE_ATTRIBUTE, &attribute)) {
        if (!sq_onnx_attribute_graph(attribute, &graph)) {
            continue;
        }
        sq_node *node = &onnx->graph->nodes[number];
        sq_onnx inner = *onnx;
        inner.graph = node->bodies[index].graph;
        inner.depth++;
        inner.scope = &scope;
        node->bodies[index++].first_capture = node->in_count;
        SQ_TRY(sq_onnx_graph_users(&inner, graph, err));
    }
    return SQUALL_OK;
}

squall_status sq_onnx_node_inputs(const sq_onnx *onnx, sq_wire message, const sq_onnx_names *names,
                                  uint32_t number, squall_error *err)
{
    sq_wire bytes, rest = message;
    uint32_t index = 0;
    while (sq_wire_next_bytes(&rest, NODE_INPUT, &bytes)) {
        if (sq_wire_size(bytes) > 0) {
            char *name = NULL;
            uint32_t value = SQ_NO_VALUE;
            SQ_TRY(sq_onnx_name(onnx, bytes, &name, err));
            squall_status status = sq_onnx_resolve(onnx, names, name, &value, err);
            const sq_node *node = &onnx->graph->nodes[number];
            if (status == SQUALL_OK && value == SQ_NO_VALUE) {
                status = sq_fail(err, SQUALL_E_CORRUPT, onnx->path,
                                 "node '%.80s' (%s) wants '%.100s', which nothing gives",
                                 node->name, sq_op_name(node->op), name);
            }
            sq_free(name);
            SQ_TRY(status);
            node->inputs[index] = value;
        }
        index++;
    }
    sq_node *node = &onnx->graph->nodes[number];
    if (sq_op_is_control(node->op)) { /* its own inputs keep their places */
        node->own_inputs = node->in_count;
        return resolve_bodies(onnx, message, names, number, err);
    }
    while (node->in_count > 0 && node->inputs[node->in_count - 1] == SQ_NO_VALUE) {
        node->in_count--;
    }
    return SQUALL_OK;
}
