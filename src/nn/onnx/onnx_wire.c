/* nn/onnx/onnx_wire.c - the wire format of protocol buffers, read in place. */
#include "nn/onnx/onnx_wire.h"

#include <string.h>

#define MOST_FIELD_NUMBER 0x1fffffffu

/* A varint: seven bits a byte, the lowest first, at most ten bytes. */
static sq_wire_result read_varint(sq_wire *wire, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (wire->at == wire->end) {
            return SQ_WIRE_SHORT;
        }
        const uint64_t byte = *wire->at++;
        if (shift == 63 && byte > 1) {
            return SQ_WIRE_BAD;
        }
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return SQ_WIRE_FIELD;
        }
    }
    return SQ_WIRE_BAD;
}

/* `size` bytes, the lowest first. */
static sq_wire_result read_fixed(sq_wire *wire, size_t size, uint64_t *out)
{
    if (sq_wire_size(*wire) < size) {
        return SQ_WIRE_SHORT;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)*wire->at++ << (8 * i);
    }
    *out = value;
    return SQ_WIRE_FIELD;
}

sq_wire_result sq_wire_next(sq_wire *wire, sq_wire_field *field)
{
    uint64_t key, size;
    if (wire->at == wire->end) {
        return SQ_WIRE_END;
    }
    sq_wire_result result = read_varint(wire, &key);
    if (result != SQ_WIRE_FIELD) {
        return result;
    }
    if (key >> 3 == 0 || key >> 3 > MOST_FIELD_NUMBER) {
        return SQ_WIRE_BAD;
    }
    *field = (sq_wire_field){.number = (uint32_t)(key >> 3), .kind = (sq_wire_kind)(key & 7)};
    switch (field->kind) {
    case SQ_WIRE_VARINT:
        return read_varint(wire, &field->value);
    case SQ_WIRE_FIXED64:
        return read_fixed(wire, 8, &field->value);
    case SQ_WIRE_FIXED32:
        return read_fixed(wire, 4, &field->value);
    case SQ_WIRE_BYTES:
        result = read_varint(wire, &size);
        if (result != SQ_WIRE_FIELD) {
            return result;
        }
        if (size > sq_wire_size(*wire)) {
            return SQ_WIRE_SHORT;
        }
        field->bytes = (sq_wire){wire->at, wire->at + size};
        wire->at += size;
        return SQ_WIRE_FIELD;
    default: /* groups, which ONNX never had, and what does not exist */
        return SQ_WIRE_BAD;
    }
}

bool sq_wire_next_bytes(sq_wire *rest, uint32_t number, sq_wire *out)
{
    sq_wire_field field;
    while (sq_wire_next(rest, &field) == SQ_WIRE_FIELD) {
        if (field.number == number && field.kind == SQ_WIRE_BYTES) {
            *out = field.bytes;
            return true;
        }
    }
    return false;
}

bool sq_wire_find(sq_wire message, uint32_t number, sq_wire_kind kind, sq_wire_field *out)
{
    sq_wire_field field;
    bool found = false;
    while (sq_wire_next(&message, &field) == SQ_WIRE_FIELD) {
        if (field.number == number && field.kind == kind) {
            *out = field;
            found = true;
        }
    }
    return found;
}

size_t sq_wire_count(sq_wire message, uint32_t number)
{
    sq_wire_field field;
    sq_wire_result result;
    size_t count = 0;
    while ((result = sq_wire_next(&message, &field)) == SQ_WIRE_FIELD) {
        count += field.number == number && field.kind == SQ_WIRE_BYTES;
    }
    return result == SQ_WIRE_END ? count : SIZE_MAX;
}

static void store(sq_wire_kind kind, void *out, size_t index, uint64_t value)
{
    if (kind == SQ_WIRE_FIXED32) {
        ((uint32_t *)out)[index] = (uint32_t)value;
    } else { /* int64_t may be written through uint64_t */
        ((uint64_t *)out)[index] = value;
    }
}

/* The numbers of one packed field. */
static bool unpack(sq_wire packed, sq_wire_kind kind, void *out, size_t capacity, size_t *count)
{
    if (kind != SQ_WIRE_VARINT) {
        const size_t size = kind == SQ_WIRE_FIXED32 ? 4 : 8;
        const size_t given = sq_wire_size(packed) / size;
        const size_t space = *count < capacity ? capacity - *count : 0;
        const size_t kept = given < space ? given : space;
        if (out && kept > 0) { /* the host stores numbers as the wire does, see onnx_tensor.c */
            memcpy((unsigned char *)out + *count * size, packed.at, kept * size);
        }
        *count += given;
        return sq_wire_size(packed) % size == 0;
    }
    while (packed.at < packed.end) {
        uint64_t value;
        if (read_varint(&packed, &value) != SQ_WIRE_FIELD) {
            return false;
        }
        if (out && *count < capacity) {
            store(kind, out, *count, value);
        }
        ++*count;
    }
    return true;
}

bool sq_wire_numbers(sq_wire message, uint32_t number, sq_wire_kind kind, void *out,
                     size_t capacity, size_t *count)
{
    sq_wire_field field;
    sq_wire_result result;
    *count = 0;
    while ((result = sq_wire_next(&message, &field)) == SQ_WIRE_FIELD) {
        if (field.number != number) {
            continue;
        }
        if (field.kind == SQ_WIRE_BYTES) {
            if (!unpack(field.bytes, kind, out, capacity, count)) {
                return false;
            }
        } else if (field.kind == kind) {
            if (out && *count < capacity) {
                store(kind, out, *count, field.value);
            }
            ++*count;
        } else {
            return false;
        }
    }
    return result == SQ_WIRE_END;
}
