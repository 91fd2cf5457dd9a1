/* nn/onnx/onnx_attribute.c - attributes of nodes. */
#include <stdio.h>
#include <string.h>

#include "nn/onnx/onnx_reader.h"

/* Fields of AttributeProto. */
enum {
    FIELD_NAME = 1,
    FIELD_F = 2,
    FIELD_I = 3,
    FIELD_S = 4,
    FIELD_T = 5,
    FIELD_G = 6,
    FIELD_FLOATS = 7,
    FIELD_INTS = 8,
    FIELD_STRINGS = 9,
    FIELD_TYPE = 20,
    FIELD_REF = 21
};

/* AttributeProto.AttributeType */
enum {
    TYPE_NONE = 0,
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_STRING = 3,
    TYPE_TENSOR = 4,
    TYPE_GRAPH = 5,
    TYPE_FLOATS = 6,
    TYPE_INTS = 7,
    TYPE_STRINGS = 8,
    TYPE_GRAPHS = 10
};

/* Old files lack the type: the field that is there tells. */
static uint64_t guess_type(sq_wire message)
{
    static const struct {
        uint32_t field;
        sq_wire_kind kind;
        uint64_t type;
    } fields[] = {{FIELD_F, SQ_WIRE_FIXED32, TYPE_FLOAT},
                  {FIELD_I, SQ_WIRE_VARINT, TYPE_INT},
                  {FIELD_S, SQ_WIRE_BYTES, TYPE_STRING},
                  {FIELD_T, SQ_WIRE_BYTES, TYPE_TENSOR},
                  {FIELD_G, SQ_WIRE_BYTES, TYPE_GRAPH}};
    sq_wire_field field;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (sq_wire_find(message, fields[i].field, fields[i].kind, &field)) {
            return fields[i].type;
        }
    }
    size_t count;
    if (sq_wire_numbers(message, FIELD_FLOATS, SQ_WIRE_FIXED32, NULL, 0, &count) && count > 0) {
        return TYPE_FLOATS;
    }
    if (sq_wire_numbers(message, FIELD_INTS, SQ_WIRE_VARINT, NULL, 0, &count) && count > 0) {
        return TYPE_INTS;
    }
    return TYPE_NONE;
}

static squall_status no_memory(const char *where, squall_error *err)
{
    return sq_fail(err, SQUALL_E_MEMORY, where, "no memory for its attributes");
}

/* A list of integers or floats. */
static squall_status read_list(sq_wire message, const char *where, const char *name, bool floats,
                               sq_attrs *attrs, squall_error *err)
{
    const uint32_t number = floats ? FIELD_FLOATS : FIELD_INTS;
    const sq_wire_kind kind = floats ? SQ_WIRE_FIXED32 : SQ_WIRE_VARINT;
    size_t count;
    if (!sq_wire_numbers(message, number, kind, NULL, 0, &count)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "attribute '%s' is malformed", name);
    }
    void *numbers = sq_alloc_raw(count, floats ? sizeof(float) : sizeof(int64_t));
    if (!numbers) {
        return no_memory(where, err);
    }
    (void)sq_wire_numbers(message, number, kind, numbers, count, &count);
    const bool set = floats ? sq_attr_set_floats(attrs, name, numbers, count)
                            : sq_attr_set_ints(attrs, name, numbers, count);
    sq_free(numbers);
    return set ? SQUALL_OK : no_memory(where, err);
}

/* A list of words (the activations of an LSTM) is one text, with commas between them. */
static squall_status read_strings(sq_wire message, const char *where, const char *name,
                                  sq_attrs *attrs, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_text text = {0};
    sq_wire word;
    bool first = true;
    while (sq_wire_next_bytes(&message, FIELD_STRINGS, &word)) {
        const size_t size = sq_wire_size(word);
        if (size > SQ_LIMIT_HEADER || text.length > SQ_LIMIT_HEADER) {
            status = sq_fail(err, SQUALL_E_LIMIT, where, "attribute '%s' has more than %zu bytes",
                             name, SQ_LIMIT_HEADER);
            goto done;
        }
        sq_text_add(&text, "%s%.*s", first ? "" : ",", (int)size, (const char *)word.at);
        first = false;
    }
    if (text.failed ||
        !sq_attr_set_string(attrs, name, text.data ? text.data : "", text.data ? text.length : 0)) {
        status = no_memory(where, err);
    }
done:
    sq_text_free(&text);
    return status;
}

static squall_status read_tensor(sq_onnx *onnx, sq_wire message, const char *where,
                                 const char *name, sq_attrs *attrs, char *why, squall_error *err)
{
    squall_tensor tensor;
    SQ_TRY(sq_onnx_tensor(onnx, message, where, &tensor, why, err));
    if (why[0] != '\0') {
        return SQUALL_OK;
    }
    if (!sq_attr_set_tensor(attrs, name, &tensor)) {
        sq_tensor_free(&tensor);
        return no_memory(where, err);
    }
    return SQUALL_OK;
}

/* The value, by its type; an absent scalar is 0, as protocol buffers have it. */
static squall_status read_value(sq_onnx *onnx, sq_wire message, uint64_t type, const char *where,
                                const char *name, sq_attrs *attrs, char *why, squall_error *err)
{
    sq_wire_field field = {0};
    float number;
    switch (type) {
    case TYPE_FLOAT:
        (void)sq_wire_find(message, FIELD_F, SQ_WIRE_FIXED32, &field);
        const uint32_t bits = (uint32_t)field.value;
        memcpy(&number, &bits, sizeof number);
        return sq_attr_set_float(attrs, name, number) ? SQUALL_OK : no_memory(where, err);
    case TYPE_INT:
        (void)sq_wire_find(message, FIELD_I, SQ_WIRE_VARINT, &field);
        return sq_attr_set_int(attrs, name, (int64_t)field.value) ? SQUALL_OK
                                                                  : no_memory(where, err);
    case TYPE_STRING:
        (void)sq_wire_find(message, FIELD_S, SQ_WIRE_BYTES, &field);
        if (sq_wire_size(field.bytes) > SQ_LIMIT_HEADER) {
            return sq_fail(err, SQUALL_E_LIMIT, where, "attribute '%s' has %zu bytes, at most %zu",
                           name, sq_wire_size(field.bytes), SQ_LIMIT_HEADER);
        }
        return sq_attr_set_string(attrs, name, (const char *)field.bytes.at,
                                  sq_wire_size(field.bytes))
                   ? SQUALL_OK
                   : no_memory(where, err);
    case TYPE_TENSOR:
        if (!sq_wire_find(message, FIELD_T, SQ_WIRE_BYTES, &field)) {
            return sq_fail(err, SQUALL_E_CORRUPT, where, "attribute '%s' has no tensor", name);
        }
        return read_tensor(onnx, field.bytes, where, name, attrs, why, err);
    case TYPE_FLOATS:
        return read_list(message, where, name, true, attrs, err);
    case TYPE_INTS:
        return read_list(message, where, name, false, attrs, err);
    case TYPE_STRINGS:
        return read_strings(message, where, name, attrs, err);
    case TYPE_GRAPH:
        return SQUALL_OK; /* the node reads it, if its operator has one */
    case TYPE_GRAPHS:
        (void)snprintf(why, SQ_ONNX_WHY,
                       "attribute '%.80s' is a list of graphs, which is not taken", name);
        return SQUALL_OK;
    case TYPE_NONE: /* an empty list, or an attribute left at its default */
        return SQUALL_OK;
    default:
        (void)snprintf(why, SQ_ONNX_WHY,
                       "attribute '%.80s' is of a kind that is not taken (%u of AttributeType)",
                       name, (unsigned)type);
        return SQUALL_OK;
    }
}

squall_status sq_onnx_attribute(sq_onnx *onnx, sq_wire message, const char *where, sq_attrs *attrs,
                                char *why, squall_error *err)
{
    squall_status status = SQUALL_OK;
    sq_wire_field field, type;
    char *name = NULL;
    why[0] = '\0';
    if (sq_wire_count(message, FIELD_NAME) != 1 ||
        !sq_wire_find(message, FIELD_NAME, SQ_WIRE_BYTES, &field)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "an attribute is malformed or has no name");
    }
    SQ_TRY(sq_onnx_name(onnx, field.bytes, &name, err));
    if (sq_attr_find(attrs, name) || attrs->count >= SQ_LIMIT_ATTRS) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where,
                         "attribute '%.80s' is there twice, or one "
                         "of too many",
                         name);
        goto done;
    }
    if (strncmp(name, "sq_", 3) == 0) { /* ours: passes write them, and kernels obey */
        (void)snprintf(why, SQ_ONNX_WHY, "attribute '%.80s' is not ONNX", name);
        goto done;
    }
    if (sq_wire_find(message, FIELD_REF, SQ_WIRE_BYTES, &field)) {
        (void)snprintf(why, SQ_ONNX_WHY, "attribute '%.80s' refers to a function's", name);
        goto done;
    }
    const uint64_t kind =
        sq_wire_find(message, FIELD_TYPE, SQ_WIRE_VARINT, &type) && type.value != TYPE_NONE
            ? type.value
            : guess_type(message);
    SQ_TRY_GOTO(read_value(onnx, message, kind, where, name, attrs, why, err));
done:
    sq_free(name);
    return status;
}

bool sq_onnx_attribute_graph(sq_wire message, sq_wire *out)
{
    sq_wire_field type, graph;
    const bool said =
        sq_wire_find(message, FIELD_TYPE, SQ_WIRE_VARINT, &type) && type.value != TYPE_NONE;
    if ((said ? type.value : guess_type(message)) != TYPE_GRAPH ||
        !sq_wire_find(message, FIELD_G, SQ_WIRE_BYTES, &graph)) {
        return false;
    }
    *out = graph.bytes;
    return true;
}
