"""The text that test_ref_node reads: small networks with inputs and expected outputs.

One case:

    case NAME LABEL             LABEL: the operator, or (expanded) for several nodes
    skip REASON                 it cannot be written in this format; nothing but `end` follows
    model BYTES HEX...          nodes that hold graphs: the whole model; its inputs are tensors 0, 1...
                                and its outputs are expected by the numbers behind those
    opset N
    tolerance RTOL ATOL
    tensor ID TYPE RANK SIZES   values follow, as many as the sizes make
    node OP INS OUTS IDS        ID -1: left out
    attr NAME KIND ...          of the node before; KIND int, float, ints, floats, string (several,
                                with commas between them, as the importer has it), tensor
    expect ID TYPE RANK SIZES   values follow
    end
"""
import numpy as np
import onnx
from onnx import numpy_helper

TYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
         9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"}
MAX_RANK = 8
NEWEST = 23  # opset that the importer takes


class NotWritable(Exception):
    """What this format, and squall's tensors, cannot hold."""


def to_array(value):
    """A NumPy array of a test's input or output."""
    if isinstance(value, onnx.TensorProto):
        if value.data_type not in TYPES:
            raise NotWritable("a tensor of " + onnx.TensorProto.DataType.Name(value.data_type))
        return numpy_helper.to_array(value)
    if isinstance(value, (list, tuple)) or value is None:
        raise NotWritable("a sequence or an optional value")
    array = np.asarray(value)
    if array.dtype.name not in TYPES.values():
        raise NotWritable("a tensor of " + array.dtype.name)
    return array


def numbers(array):
    flat = array.reshape(-1)
    if array.dtype.name == "float64":
        return ["%.17g" % v for v in flat]
    if array.dtype.name in ("float32", "float16", "bfloat16"):
        return ["%.9g" % float(v) for v in flat]
    return ["%d" % int(v) for v in flat]


def tensor_words(array):
    if array.ndim > MAX_RANK:
        raise NotWritable("%d dimensions" % array.ndim)
    return " ".join([array.dtype.name, str(array.ndim)] + [str(d) for d in array.shape])


def tensor_lines(head, array):
    lines, line = ["%s %s" % (head, tensor_words(array))], ""
    for word in numbers(array):
        if len(line) + len(word) > 100:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
    return lines + ([line] if line else [])


def attr_line(attr):
    kinds = onnx.AttributeProto
    if attr.type == kinds.INT:
        return ["attr %s int %d" % (attr.name, attr.i)]
    if attr.type == kinds.FLOAT:
        return ["attr %s float %.9g" % (attr.name, attr.f)]
    if attr.type == kinds.STRING:
        return ["attr %s string %s" % (attr.name, attr.s.decode())]
    if attr.type == kinds.INTS:
        return [" ".join(["attr", attr.name, "ints", str(len(attr.ints))] +
                         [str(i) for i in attr.ints])]
    if attr.type == kinds.FLOATS:
        return [" ".join(["attr", attr.name, "floats", str(len(attr.floats))] +
                         ["%.9g" % f for f in attr.floats])]
    if attr.type == kinds.STRINGS:
        return ["attr %s string %s" % (attr.name, ",".join(s.decode() for s in attr.strings))]
    if attr.type == kinds.TENSOR:
        return tensor_lines("attr %s tensor" % attr.name, to_array(attr.t))
    raise NotWritable("attribute %s of a kind that is no number" % attr.name)


def holds_graphs(graph):
    kinds = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    return any(a.type in kinds for node in graph.node for a in node.attribute)


def lowered(model, opset):
    """The model as one of the newest opset that is taken, where the checker finds it valid there."""
    if opset <= NEWEST:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for imported in copy.opset_import:
        imported.version = min(imported.version, NEWEST)
    try:
        onnx.checker.check_model(copy, full_check=True)
    except Exception as why:
        raise NotWritable("a graph of opset %d" % opset) from why
    return copy


def model_body(model, opset, inputs, outputs, rtol, atol):
    """The lines of a case whose nodes hold graphs."""
    data = lowered(model, opset).SerializeToString(deterministic=True).hex()
    lines = ["tolerance %g %g" % (rtol, atol), "model %d" % (len(data) // 2)]
    lines += [data[i:i + 100] for i in range(0, len(data), 100)]
    for number, value in enumerate(inputs):
        lines += tensor_lines("tensor %d" % number, to_array(value))
    for number, value in enumerate(outputs):
        lines += tensor_lines("expect %d" % (len(inputs) + number), to_array(value))
    return lines


def body(model, inputs, outputs, rtol, atol):
    graph, ids = model.graph, {"": -1}

    def number(name):
        return ids.setdefault(name, len(ids) - 1)

    domains = {imported.domain for imported in model.opset_import}
    opset = [i.version for i in model.opset_import if i.domain in ("", "ai.onnx")]
    if not opset:
        raise NotWritable("operators of " + " ".join(sorted(domains)))
    if holds_graphs(model.graph):
        return model_body(model, opset[0], inputs, outputs, rtol, atol)
    lines = ["opset %d" % opset[0], "tolerance %g %g" % (rtol, atol)]
    for info, value in zip(graph.input, inputs):
        lines += tensor_lines("tensor %d" % number(info.name), to_array(value))
    for value in graph.initializer:
        lines += tensor_lines("tensor %d" % number(value.name), to_array(value))
    for node in graph.node:
        op = node.op_type if node.domain in ("", "ai.onnx") else node.domain + "." + node.op_type
        used = [str(number(name)) for name in list(node.input) + list(node.output)]
        lines.append(" ".join(["node", op, str(len(node.input)), str(len(node.output))] + used))
        for attr in node.attribute:
            lines += attr_line(attr)
    for info, value in zip(graph.output, outputs):
        lines += tensor_lines("expect %d" % number(info.name), to_array(value))
    return lines


def case_text(name, model, inputs, outputs, rtol=1e-3, atol=1e-7):
    """The text of a case; one that cannot be written says why."""
    nodes = model.graph.node
    label = nodes[0].op_type if len(nodes) == 1 else "(expanded)"
    try:
        lines = body(model, inputs, outputs, rtol, atol)
    except NotWritable as why:
        lines = ["skip %s" % why]
    return "\n".join(["case %s %s" % (name, label)] + lines + ["end", ""])


def onnx_cases():
    """All cases of onnx.backend.test.case.node as (name, operator, text)."""
    import warnings
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases
    for case in collect_testcases(None):
        for inputs, outputs in case.data_sets:
            text = case_text(case.name, case.model, inputs, outputs, case.rtol, case.atol)
            yield case.name, case.model.graph.node, text
