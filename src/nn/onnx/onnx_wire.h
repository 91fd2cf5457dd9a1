/* nn/onnx/onnx_wire.h - the wire format of protocol buffers, read in place.
 *
 * A message is a span of bytes; nothing is copied and nothing is allocated, so that weights stay in
 * the mapped file until the one copy that the graph owns. */
#ifndef SQ_NN_ONNX_ONNX_WIRE_H
#define SQ_NN_ONNX_ONNX_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sq_wire {
    const unsigned char *at, *end; /* borrowed; both NULL for none */
} sq_wire;

typedef enum sq_wire_kind {
    SQ_WIRE_VARINT = 0,
    SQ_WIRE_FIXED64 = 1,
    SQ_WIRE_BYTES = 2,
    SQ_WIRE_FIXED32 = 5
} sq_wire_kind;

typedef struct sq_wire_field {
    uint32_t number;
    sq_wire_kind kind;
    uint64_t value; /* of VARINT, FIXED64, FIXED32 */
    sq_wire bytes;  /* of BYTES */
} sq_wire_field;

typedef enum sq_wire_result {
    SQ_WIRE_END,   /* the message is over */
    SQ_WIRE_FIELD, /* one field was read */
    SQ_WIRE_SHORT, /* it ends inside a field */
    SQ_WIRE_BAD    /* these bytes are no message */
} sq_wire_result;

/** Read the next field and move behind it. */
sq_wire_result sq_wire_next(sq_wire *wire, sq_wire_field *field);

static inline size_t sq_wire_size(sq_wire wire)
{
    return (size_t)(wire.end - wire.at);
}

/** The next field `number` of kind BYTES, its bytes into `out`; false when there is none left. */
bool sq_wire_next_bytes(sq_wire *rest, uint32_t number, sq_wire *out);

/** The last field `number` of a message, which is the one that counts; false when it has none. */
bool sq_wire_find(sq_wire message, uint32_t number, sq_wire_kind kind, sq_wire_field *out);

/** How many fields `number` of kind BYTES a message has; SIZE_MAX when it is malformed. */
size_t sq_wire_count(sq_wire message, uint32_t number);

/** The numbers of a repeated field, packed or one by one: `out` is int64_t[] for VARINT, uint32_t[]
 * for FIXED32, uint64_t[] for FIXED64, and may be NULL to count them alone. At most `capacity` are
 * stored, all are counted. False when the message is malformed. */
bool sq_wire_numbers(sq_wire message, uint32_t number, sq_wire_kind kind, void *out,
                     size_t capacity, size_t *count);

#endif /* SQ_NN_ONNX_ONNX_WIRE_H */
