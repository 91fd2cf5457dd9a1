#!/usr/bin/env python3
"""Write tests/data/onnx: small models for the tests of nn/onnx, good ones and hostile ones.

What is in them stands beside the checks in tests/unit/nn/onnx/test_onnx.c.

    python3 -m venv v && v/bin/pip install onnx==1.23.2
    v/bin/python tests/expected/make_onnx.py tests/data/onnx
"""
import os
import sys

import numpy as np
from onnx import AttributeProto, TensorProto, helper

OUT = sys.argv[1]
F = TensorProto.FLOAT


def value(name, dims=(2, 3), kind=F):
    return helper.make_tensor_value_info(name, kind, dims)


def node(op, inputs, outputs, **attrs):
    return helper.make_node(op, inputs, outputs, **attrs)


def write(name, graph, opset=17, ir=8, edit=None, **more):
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir,
                              producer_name="make_onnx.py", **more)
    if edit:
        edit(model)
    save(name, model.SerializeToString(deterministic=True))


def save(name, data):
    assert len(data) < 20000, name
    with open(os.path.join(OUT, name), "wb") as file:
        file.write(data)


def graph_of(nodes, inputs=None, outputs=None, weights=()):
    inputs = [value("x")] if inputs is None else inputs
    outputs = [value("y")] if outputs is None else outputs
    return helper.make_graph(nodes, "g", inputs, outputs, list(weights))


def tensor(name, kind, dims, **fields):
    t = TensorProto(name=name, data_type=kind, dims=dims)
    for key, field in fields.items():
        if isinstance(field, bytes):
            setattr(t, key, field)
        else:
            getattr(t, key).extend(field)
    return t


def types():
    """Each type as raw bytes and as the list that belongs to it; the numbers are 1, 2, 3."""
    weights = []
    for kind, dtype, field in ((TensorProto.FLOAT, "<f4", "float_data"),
                               (TensorProto.DOUBLE, "<f8", "double_data"),
                               (TensorProto.INT8, "i1", "int32_data"),
                               (TensorProto.UINT8, "u1", "int32_data"),
                               (TensorProto.INT16, "<i2", "int32_data"),
                               (TensorProto.UINT16, "<u2", "int32_data"),
                               (TensorProto.INT32, "<i4", "int32_data"),
                               (TensorProto.UINT32, "<u4", "uint64_data"),
                               (TensorProto.INT64, "<i8", "int64_data"),
                               (TensorProto.UINT64, "<u8", "uint64_data"),
                               (TensorProto.FLOAT16, "<f2", "int32_data")):
        sign = -1 if np.dtype(dtype).kind in "fi" else 1
        numbers = np.array([1, 2, 3 * sign], dtype)
        listed = numbers.view("<u2").tolist() if dtype == "<f2" else numbers.tolist()
        weights.append(tensor(f"raw{kind}", kind, [3], raw_data=numbers.tobytes()))
        weights.append(tensor(f"list{kind}", kind, [3], **{field: listed}))
    bf16 = [0x3f80, 0x4000, 0xc040]
    weights.append(tensor("raw16", TensorProto.BFLOAT16, [3],
                          raw_data=np.array(bf16, "<u2").tobytes()))
    weights.append(tensor("list16", TensorProto.BFLOAT16, [3], int32_data=bf16))
    weights.append(tensor("raw9", TensorProto.BOOL, [3], raw_data=b"\1\0\7"))
    weights.append(tensor("list9", TensorProto.BOOL, [3], int32_data=[1, 0, 1]))
    weights.append(tensor("empty", TensorProto.FLOAT, [0, 5]))
    weights.append(tensor("scalar", TensorProto.INT64, [], int64_data=[-7]))
    write("types.onnx", graph_of([node("Relu", ["x"], ["y"])], weights=weights))


def constants():
    nodes = [node("Constant", [], ["tensor"], value=helper.make_tensor("t", F, [2], [1.5, -2.5])),
             node("Constant", [], ["float"], value_float=0.5),
             node("Constant", [], ["int"], value_int=-9),
             node("Constant", [], ["floats"], value_floats=[1.0, 2.0, 3.0]),
             node("Constant", [], ["ints"], value_ints=[4, 5]),
             node("Add", ["x", "float"], ["y"])]
    write("constants.onnx", graph_of(nodes))


def attributes():
    conv = node("Conv", ["x", "w"], ["c"], name="conv", auto_pad="NOTSET", group=1,
                kernel_shape=[2, 2], pads=[0, 1, 0, 1], strides=[1, 2])
    leaky = node("LeakyRelu", ["c"], ["d"], name="leaky", alpha=0.25)
    fill = node("ConstantOfShape", ["s"], ["e"], name="fill",
                value=helper.make_tensor("v", TensorProto.INT64, [1], [-3]))
    up = node("Upsample", ["d"], ["y"], name="up", scales=[1.0, 1.0, 2.0, 2.0])
    for a in list(conv.attribute) + list(leaky.attribute):  # as files before IR version 2 had it
        if a.name in ("pads", "alpha", "group", "auto_pad"):
            a.ClearField("type")
    weights = [tensor("w", F, [1, 1, 2, 2], float_data=[1, 2, 3, 4]),
               tensor("s", TensorProto.INT64, [1], int64_data=[2])]
    write("attributes.onnx", graph_of([conv, leaky, fill, up], [value("x", (1, 1, 4, 4))],
                                      [value("y", None), value("e", None, TensorProto.INT64)],
                                      weights), opset=8, ir=3)


def shapes():
    unnamed = value("b", ("N", None, 3))
    unnamed.type.tensor_type.shape.dim[1].Clear()
    unnamed.type.tensor_type.shape.dim.add().dim_value = -1  # some exporters' way to say open
    write("symbols.onnx", graph_of([node("Add", ["a", "b"], ["y"])],
                                   [value("a", ("N", 4, 3, 2)), unnamed]))


def shape_arithmetic():
    """y = x's upper half, as exporters write x[:, : x.shape[1] // 2]."""
    w = [tensor("one", TensorProto.INT64, [1], int64_data=[1]),
         tensor("two", TensorProto.INT64, [1], int64_data=[2]),
         tensor("zero", TensorProto.INT64, [1], int64_data=[0])]
    nodes = [node("Slice", ["x", "zero", "half", "one"], ["y"], name="cut"),
             node("Div", ["width", "two"], ["half"]),  # not in order
             node("Gather", ["shape", "one"], ["width"], axis=0),
             node("Shape", ["x"], ["shape"])]
    write("arithmetic.onnx", graph_of(nodes, [value("x", ("N", 6, 4))], weights=w))


def layout():
    """Old style: weights among the inputs; nodes without names; inputs and outputs left out."""
    weights = [tensor("w", F, [3], float_data=[1, 2, 3]), tensor("hi", F, [], float_data=[6])]
    nodes = [node("Dropout", ["clipped"], ["y", ""]), node("Clip", ["sum", "", "hi"], ["clipped"]),
             node("Add", ["x", "w"], ["sum"]), node("Relu", ["x", "", ""], ["z"], name="r")]
    write("old.onnx", graph_of(nodes, [value("w", (3,)), value("x"), value("hi", ())],
                               [value("y"), value("z")], weights), opset=12, ir=3)


def external(name, location, offset=None, length=None, dims=(3,)):
    t = TensorProto(name="w", data_type=F, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, given in (("location", location), ("offset", offset), ("length", length)):
        if given is not None:
            t.external_data.add(key=key, value=str(given))
    second = TensorProto()
    second.CopyFrom(t)
    second.name = "v"
    write(name, graph_of([node("Add", ["x", "w"], ["t"]), node("Add", ["t", "v"], ["y"])],
                         weights=[t, second]))


def externals():
    save("weights.bin", np.array([9, 1, 2, 3, 4], "<f4").tobytes())
    external("external.onnx", "weights.bin", 4, 12)
    external("external_whole.onnx", "weights.bin", dims=(5,))
    external("external_absolute.onnx", "/etc/passwd")
    external("external_above.onnx", "../onnx/weights.bin", 4, 12)
    external("external_above_inside.onnx", "sub/../../onnx/weights.bin", 4, 12)
    external("external_sub.onnx", "sub/weights.bin", 4, 12)
    external("external_missing.onnx", "no such file", 4, 12)
    external("external_folder.onnx", ".", 4, 12)
    external("external_short.onnx", "weights.bin", 12, 12)
    external("external_far.onnx", "weights.bin", 2 ** 64 - 4, 12)
    external("external_length.onnx", "weights.bin", 4, 16)
    external("external_offset.onnx", "weights.bin", "-4", 12)
    external("external_nowhere.onnx", None, 4, 12)


def unsupported():
    branch = helper.make_graph([node("Relu", ["x"], ["b"])], "branch", [], [value("b")])
    nodes = [node("Relu", ["x"], ["r"]), node("FooBar", ["r"], ["f"], name="first"),
             node("Gelu", ["f"], ["g"], domain="com.microsoft", name="second"),
             node("If", ["c"], ["h"], then_branch=branch, else_branch=branch),
             node("Constant", [], ["s"], name="text", value_string="abc"),
             node("Add", ["g", "h"], ["y"])]
    write("unsupported.onnx", graph_of(nodes, [value("x"), value("c", (), TensorProto.BOOL)]))
    texts = helper.make_tensor("words", TensorProto.STRING, [1], [b"abc"])
    sequence = helper.make_value_info("q", helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(F, (2,))))
    write("unsupported_types.onnx",
          graph_of([node("Relu", ["x"], ["y"])],
                   [value("x"), sequence, value("open", None), value("text", (1,), TensorProto.STRING)],
                   weights=[texts, TensorProto(name="f8", data_type=TensorProto.FLOAT8E5M2, dims=[1],
                                               raw_data=b"\1")]))
    sparse = graph_of([node("Relu", ["x"], ["y"])])
    sparse.sparse_initializer.add().dims.append(3)
    write("unsupported_sparse.onnx", sparse)
    own = node("Relu", ["x"], ["y"], name="own", sq_activation=1)
    other = node("Identity", ["y"], ["z"], name="other")
    other.attribute.add(name="words", type=AttributeProto.TYPE_PROTO)
    function = node("Identity", ["z"], ["u"], name="function")
    function.attribute.add(name="a", ref_attr_name="b", type=AttributeProto.INT)
    write("unsupported_attributes.onnx", graph_of([own, other, function]))


def bodies():
    """Graphs in graphs."""
    def branch(name, *nodes, outputs=("b",)):
        return helper.make_graph(list(nodes), name, [], [value(o) for o in outputs])

    def choice(then, name="choice"):
        other = branch("other", node("Neg", ["x"], ["b"]))
        return node("If", ["c"], ["y"], name=name, then_branch=then, else_branch=other)

    ports = [value("x"), value("c", (), TensorProto.BOOL)]
    inner = branch("inner", node("Add", ["mine", "around"], ["b"]))  # of two graphs around it
    outer = branch("outer", node("Relu", ["x"], ["mine"]),
                   node("If", ["c"], ["b"], name="inner", then_branch=inner,
                        else_branch=branch("hands on", outputs=("mine",))))
    write("body.onnx", graph_of([node("Neg", ["x"], ["around"]), choice(outer)], ports))
    write("body_missing.onnx", graph_of([choice(branch("b", node("Add", ["x", "q"], ["b"])))], ports))
    write("body_missing_output.onnx", graph_of([choice(branch("b", outputs=("q",)))], ports))
    write("body_unsupported.onnx",
          graph_of([choice(branch("b", node("FooBar", ["x"], ["b"], name="deep")))], ports))
    write("body_cycle.onnx", graph_of([choice(branch("b", node("Add", ["x", "b"], ["b"])))], ports))
    write("body_behind.onnx",  # what its body wants comes from behind it: a cycle
          graph_of([choice(branch("b", node("Neg", ["z"], ["b"]))), node("Relu", ["y"], ["z"])],
                   ports, outputs=[value("z")]))
    deep = branch("b", node("Neg", ["x"], ["b"]))
    for level in range(16):
        deep = branch("b", node("If", ["c"], ["b"], name="level%d" % level, then_branch=deep,
                                else_branch=deep if level < 3 else branch("e", outputs=("x",))))
    write("body_deep.onnx", graph_of([choice(deep)], ports))


def relu(**more):
    return graph_of([node("Relu", ["x"], ["y"], name="relu")], **more)


def hostile():
    def opset(version):
        def edit(model):
            del model.opset_import[:]
            if version is not None:
                model.opset_import.add(domain="ai.onnx", version=version)
        return edit

    write("opset_6.onnx", relu(), opset=6)
    write("opset_24.onnx", relu(), opset=24)
    write("opset_none.onnx", relu(), edit=opset(None))
    write("opset_named.onnx", relu(), edit=opset(7))
    write("cycle.onnx", graph_of([node("Add", ["x", "b"], ["a"], name="one"),
                                  node("Relu", ["a"], ["b"], name="two"),
                                  node("Neg", ["b"], ["y"], name="three")]))
    write("self.onnx", graph_of([node("Relu", ["y"], ["y"], name="self")]))
    write("twice.onnx", graph_of([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]))
    write("twice_weight.onnx", relu(weights=[tensor("w", F, [1], float_data=[1])] * 2))
    write("twice_input.onnx", relu(inputs=[value("x"), value("x")]))
    write("twice_output.onnx", relu(outputs=[value("y"), value("y")]))
    write("missing.onnx", graph_of([node("Add", ["x", "nothing"], ["y"], name="add")]))
    write("missing_output.onnx", relu(outputs=[value("nothing")]))
    write("no_outputs.onnx", relu(outputs=[]))
    write("gives_nothing.onnx", graph_of([node("Relu", ["x"], [])], outputs=[value("x")]))
    write("control.onnx", relu(inputs=[value("x\x1b[2J"), value("x")]))
    write("unnamed_weight.onnx", relu(weights=[tensor("", F, [1], float_data=[1])]))
    write("long_name.onnx", relu(inputs=[value("x"), value("n" * 5000)]))
    for name, weight in (
            ("huge", tensor("w", F, [2 ** 40, 2 ** 40], float_data=[1])),
            ("huge_list", tensor("w", F, [2 ** 31], float_data=[1])),
            ("negative", tensor("w", F, [-1], float_data=[1])),
            ("raw_short", tensor("w", F, [3], raw_data=b"\0" * 11)),
            ("raw_long", tensor("w", F, [3], raw_data=b"\0" * 13)),
            ("list_short", tensor("w", F, [3], float_data=[1, 2])),
            ("list_other", tensor("w", F, [3], double_data=[1, 2, 3])),
            ("rank", tensor("w", F, [1] * 9, float_data=[1]))):
        write(f"weight_{name}.onnx", relu(weights=[weight]))
    location = tensor("w", F, [1], float_data=[1])
    location.data_location = 1
    write("weight_nowhere.onnx", relu(weights=[location]))
    write("input_huge.onnx", relu(inputs=[value("x", (2 ** 40, 2 ** 40))]))
    write("input_rank.onnx", relu(inputs=[value("x", (1,) * 9)]))
    doubled = node("Relu", ["x"], ["y"], name="relu")
    doubled.attribute.extend([helper.make_attribute("a", 1)] * 2)
    write("attribute_twice.onnx", graph_of([doubled]))
    nameless = node("Relu", ["x"], ["y"], name="relu")
    nameless.attribute.add(i=1, type=AttributeProto.INT)
    write("attribute_unnamed.onnx", graph_of([nameless]))
    tensorless = node("Relu", ["x"], ["y"], name="relu")
    tensorless.attribute.add(name="t", type=AttributeProto.TENSOR)
    write("attribute_empty.onnx", graph_of([tensorless]))
    model = helper.make_model(relu(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    good = model.SerializeToString(deterministic=True)
    save("two_graphs.onnx", good + good)
    save("no_graph.onnx", b"\x08\x08")
    save("group.onnx", good + b"\x0b\x0c")  # a field of wire type 3
    save("not_onnx.onnx", b"\x89HDF\r\n\x1a\n" + bytes(range(64)))
    save("empty.onnx", b"")


def main():
    os.makedirs(OUT, exist_ok=True)
    for make in (types, constants, attributes, shapes, shape_arithmetic, layout, externals,
                 unsupported, bodies, hostile):
        make()


main()
