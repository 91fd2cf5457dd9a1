/* nn/onnx/onnx_parts_write.c - some of a model's nodes as a model of their own. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "nn/onnx/onnx_parts.h"
#include "nn/onnx/onnx_write.h"

/* Fields of ModelProto and GraphProto. */
enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_FUNCTIONS = 25,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    TENSOR_LOCATION = 14,
    EXTERNAL = 1,
    OLDEST_IR = 4 /* since which weights are no inputs */
};

/* What becomes of a value in the smaller model. */
typedef struct role {
    bool used, given;
} role;

typedef struct writer {
    const sq_onnx_parts *parts;
    const bool *kept;
    bool *wanted; /* owned, [node_count]: kept, and no constant that nobody uses */
    role *roles;  /* owned, [value_count] */
    sq_onnx_type_of *type_of;
    void *self;
    sq_text graph;
    uint32_t nodes;
} writer;

static void find_roles(writer *w)
{
    const sq_onnx_parts *parts = w->parts;
    for (uint32_t n = 0; n < parts->node_count; n++) {
        for (uint32_t i = 0; w->kept[n] && i < parts->nodes[n].use_count; i++) {
            w->roles[parts->nodes[n].uses[i]].used = true;
        }
    }
    for (uint32_t n = 0; n < parts->node_count; n++) {
        const sq_part_node *node = &parts->nodes[n];
        bool used = !node->constant;
        for (uint32_t i = 0; i < node->give_count; i++) {
            used = used || w->roles[node->gives[i]].used;
        }
        w->wanted[n] = w->kept[n] && used;
        w->nodes += w->wanted[n];
        for (uint32_t i = 0; w->wanted[n] && i < node->give_count; i++) {
            w->roles[node->gives[i]].given = true;
        }
    }
}

/* A weight, with its numbers even where they are in another file. */
static squall_status put_weight(writer *w, const sq_part_value *value, squall_error *err)
{
    sq_wire_field location = {0};
    (void)sq_wire_find(value->weight, TENSOR_LOCATION, SQ_WIRE_VARINT, &location);
    if (location.value != EXTERNAL) {
        sq_wire_put_wire(&w->graph, GRAPH_INITIALIZER, value->weight);
        return SQUALL_OK;
    }
    char why[SQ_ONNX_WHY];
    squall_tensor tensor = {0};
    const char *path = w->parts->path;
    sq_onnx onnx = {.path = path, .folder = sq_onnx_open_folder(path), .data_file = -1};
    squall_status status =
        onnx.folder < 0 ? sq_fail(err, SQUALL_E_IO, path, "its folder cannot be opened")
                        : sq_onnx_tensor(&onnx, value->weight, "a weight", &tensor, why, err);
    if (status == SQUALL_OK && tensor.dtype == SQUALL_DTYPE_NONE) {
        status = sq_fail(err, SQUALL_E_UNSUPPORTED, path, "a weight in another file: %s", why);
    }
    if (status == SQUALL_OK) {
        sq_onnx_put_tensor(&w->graph, GRAPH_INITIALIZER, value->name, &tensor);
    }
    sq_tensor_free(&tensor);
    sq_free(onnx.data_name);
    if (onnx.data_file >= 0) {
        (void)close(onnx.data_file);
    }
    if (onnx.folder >= 0) {
        (void)close(onnx.folder);
    }
    return status;
}

/* An input or output: as the caller knows it, as the file has it, or one open size of float32. */
static squall_status put_port(writer *w, const sq_part_value *value, bool output, squall_error *err)
{
    squall_tensor type;
    char *name = NULL;
    const sq_onnx onnx = {.path = w->parts->path};
    const uint32_t field = output ? GRAPH_OUTPUT : GRAPH_INPUT;
    SQ_TRY(sq_onnx_name(&onnx, value->name, &name, err));
    if (w->type_of != NULL && w->type_of(w->self, name, output, &type)) {
        sq_onnx_put_info(&w->graph, field, value->name, &type);
    } else if (sq_wire_size(value->info) > 0) {
        sq_wire_put_wire(&w->graph, field, value->info);
    } else {
        type = (squall_tensor){.dtype = SQUALL_F32, .rank = 1, .dims = {-1}};
        sq_onnx_put_info(&w->graph, field, value->name, &type);
    }
    sq_free(name);
    return SQUALL_OK;
}

static squall_status put_graph(writer *w, squall_error *err)
{
    const sq_onnx_parts *parts = w->parts;
    sq_wire_field name = {0};
    for (uint32_t n = 0; n < parts->node_count; n++) {
        if (w->wanted[n]) {
            sq_wire_put_wire(&w->graph, GRAPH_NODE, parts->nodes[n].bytes);
        }
    }
    (void)sq_wire_find(parts->graph, GRAPH_NAME, SQ_WIRE_BYTES, &name);
    if (sq_wire_size(name.bytes) > 0) {
        sq_wire_put_wire(&w->graph, GRAPH_NAME, name.bytes);
    } else {
        sq_wire_put_bytes(&w->graph, GRAPH_NAME, "reduced", strlen("reduced"));
    }
    for (uint32_t v = 0; v < parts->value_count; v++) {
        const sq_part_value *value = &parts->values[v];
        const role *is = &w->roles[v];
        const bool weight = sq_wire_size(value->weight) > 0;
        if (is->used && weight) {
            SQ_TRY(put_weight(w, value, err));
        } else if (is->used && !is->given) {
            SQ_TRY(put_port(w, value, false, err));
        } else if (is->given && (!is->used || value->is_output)) {
            SQ_TRY(put_port(w, value, true, err));
        }
    }
    return SQUALL_OK;
}

/* What is around the graph: versions, and functions of the model's own. */
static void put_model(writer *w, sq_text *model)
{
    static const char producer[] = "squall reduce";
    sq_wire_field version = {0};
    sq_wire item;
    (void)sq_wire_find(w->parts->model, MODEL_IR_VERSION, SQ_WIRE_VARINT, &version);
    sq_wire_put_number(model, MODEL_IR_VERSION,
                       version.value < OLDEST_IR ? OLDEST_IR : version.value);
    sq_wire_put_bytes(model, MODEL_PRODUCER, producer, strlen(producer));
    sq_wire_put_message(model, MODEL_GRAPH, &w->graph);
    for (sq_wire rest = w->parts->model; sq_wire_next_bytes(&rest, MODEL_OPSET, &item);) {
        sq_wire_put_wire(model, MODEL_OPSET, item);
    }
    for (sq_wire rest = w->parts->model; sq_wire_next_bytes(&rest, MODEL_FUNCTIONS, &item);) {
        sq_wire_put_wire(model, MODEL_FUNCTIONS, item);
    }
}

squall_status sq_onnx_parts_write(const sq_onnx_parts *parts, const bool *kept,
                                  sq_onnx_type_of *type_of, void *self, unsigned char **bytes,
                                  size_t *size, uint32_t *nodes, squall_error *err)
{
    squall_status status;
    sq_text model = {0};
    writer w = {.parts = parts,
                .kept = kept,
                .wanted = sq_alloc(parts->node_count, sizeof *w.wanted),
                .roles = sq_alloc(parts->value_count, sizeof *w.roles),
                .type_of = type_of,
                .self = self};
    if (w.wanted == NULL || w.roles == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, parts->path, "no memory for a part of it");
        goto done;
    }
    find_roles(&w);
    SQ_TRY_GOTO(put_graph(&w, err));
    put_model(&w, &model);
    if (model.failed) {
        status = sq_fail(err, SQUALL_E_MEMORY, parts->path, "no memory for a part of it");
        goto done;
    }
    *bytes = (unsigned char *)model.data;
    *size = model.length;
    if (nodes != NULL) {
        *nodes = w.nodes;
    }
    model = (sq_text){0};
done:
    sq_text_free(&model);
    sq_text_free(&w.graph);
    sq_free(w.wanted);
    sq_free(w.roles);
    return status;
}
