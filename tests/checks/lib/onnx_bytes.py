"""ONNX models as bytes, written by hand: models that no exporter would write, without any package."""
import struct

FLOAT, INT64, BOOL = 1, 7, 9


def varint(value):
    out = b""
    value &= 2**64 - 1
    while True:
        out += bytes([(value & 0x7F) | (0x80 if value > 0x7F else 0)])
        value >>= 7
        if value == 0:
            return out


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def tensor(name, dims, dtype, raw=None, external=None, raw_bytes=None):
    """A TensorProto; with `raw_bytes` it ends where that many raw bytes are to follow."""
    out = b"".join(number(1, size) for size in dims) + number(2, dtype) + text(8, name)
    if external is not None:
        for key, value in external.items():
            out += text(13, text(1, key) + text(2, str(value)))
        return out + number(14, 1)
    if raw_bytes is not None:
        return out + varint(9 << 3 | 2) + varint(raw_bytes)
    return out + text(9, raw)


def info(name, dims, dtype=FLOAT):
    """A ValueInfoProto; a size that is a word is symbolic."""
    shape = b"".join(text(1, text(2, size) if isinstance(size, str) else number(1, size)) for size in dims)
    return text(1, name) + text(2, text(1, number(1, dtype) + text(2, shape)))


def attribute(name, value):
    if isinstance(value, int):
        return text(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, bytes):  # a graph
        return text(1, name) + text(6, value) + number(20, 5)
    return text(1, name) + b"".join(number(8, one) for one in value) + number(20, 7)


def node(op, inputs, outputs, **attributes):
    return (b"".join(text(1, one) for one in inputs) + b"".join(text(2, one) for one in outputs) + text(4, op)
            + b"".join(text(5, attribute(name, value)) for name, value in attributes.items()))


def graph(nodes, inputs, outputs, weights=()):
    return (b"".join(text(1, one) for one in nodes) + text(2, "hostile") + b"".join(text(5, one) for one in weights)
            + b"".join(text(11, one) for one in inputs) + b"".join(text(12, one) for one in outputs))


def model(body, opset=17):
    return number(1, 8) + text(7, body) + text(8, number(2, opset))


def int64s(name, *values):
    return tensor(name, [len(values)], INT64, struct.pack(f"<{len(values)}q", *values))
