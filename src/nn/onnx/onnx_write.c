/* nn/onnx/onnx_write.c - the wire format of protocol buffers, written. */
#include "nn/onnx/onnx_write.h"

/* Fields of TensorProto, ValueInfoProto and below it; their numbers are those of onnx.proto. */
enum {
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    INFO_NAME = 1,
    INFO_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_NUMBERS = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1
};

static void put_varint(sq_text *message, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    sq_text_add_bytes(message, bytes, count);
}

void sq_wire_put_number(sq_text *message, uint32_t field, uint64_t value)
{
    put_varint(message, (uint64_t)field << 3 | SQ_WIRE_VARINT);
    put_varint(message, value);
}

void sq_wire_put_bytes(sq_text *message, uint32_t field, const void *bytes, size_t size)
{
    put_varint(message, (uint64_t)field << 3 | SQ_WIRE_BYTES);
    put_varint(message, size);
    if (size > 0) {
        sq_text_add_bytes(message, bytes, size);
    }
}

void sq_wire_put_wire(sq_text *message, uint32_t field, sq_wire bytes)
{
    sq_wire_put_bytes(message, field, bytes.at, sq_wire_size(bytes));
}

void sq_wire_put_message(sq_text *message, uint32_t field, sq_text *inner)
{
    sq_wire_put_bytes(message, field, inner->data, inner->length);
    message->failed = message->failed || inner->failed;
    sq_text_free(inner);
}

void sq_onnx_put_tensor(sq_text *message, uint32_t field, sq_wire name, const squall_tensor *tensor)
{
    sq_text inner = {0};
    for (uint32_t i = 0; i < tensor->rank; i++) {
        sq_wire_put_number(&inner, TENSOR_DIMS, (uint64_t)tensor->dims[i]);
    }
    sq_wire_put_number(&inner, TENSOR_TYPE, (uint64_t)tensor->dtype);
    sq_wire_put_wire(&inner, TENSOR_NAME, name);
    sq_wire_put_bytes(&inner, TENSOR_RAW, tensor->data, squall_tensor_bytes(tensor));
    sq_wire_put_message(message, field, &inner);
}

void sq_onnx_put_info(sq_text *message, uint32_t field, sq_wire name, const squall_tensor *type)
{
    sq_text shape = {0}, tensor = {0}, kind = {0}, info = {0};
    for (uint32_t i = 0; i < type->rank; i++) {
        sq_text dim = {0};
        if (type->dims[i] >= 0) {
            sq_wire_put_number(&dim, DIM_VALUE, (uint64_t)type->dims[i]);
        }
        sq_wire_put_message(&shape, SHAPE_DIM, &dim);
    }
    sq_wire_put_number(&tensor, TENSOR_TYPE_NUMBERS, (uint64_t)type->dtype);
    sq_wire_put_message(&tensor, TENSOR_TYPE_SHAPE, &shape);
    sq_wire_put_message(&kind, TYPE_TENSOR, &tensor);
    sq_wire_put_wire(&info, INFO_NAME, name);
    sq_wire_put_message(&info, INFO_TYPE, &kind);
    sq_wire_put_message(message, field, &info);
}
