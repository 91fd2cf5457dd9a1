#!/usr/bin/env python3
"""Write the small networks of tests/unit/nn/compile and what they give.

    python tests/expected/make_compile.py

Needs PyPI onnx and onnxruntime; made with onnx 1.23 or later at opset 17. The networks go to
tests/data/compile, the outputs that ONNX Runtime gives to tests/unit/nn/compile/compile_expected.h.
Input number k of a network has the elements ((7919 * i + 31 * k) mod 1000) / 500 - 1.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/compile"
RNG = np.random.default_rng(20261122)


def weight(name, *shape, scale=0.3):
    return numpy_helper.from_array((RNG.standard_normal(shape) * scale).astype(np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def floats(name, *values):
    return numpy_helper.from_array(np.array(values, np.float32), name)


def tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(name, nodes, inputs, outputs, constants, domains=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17)] + [helper.make_opsetid(d, 1) for d in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="")
    if not domains:
        onnx.checker.check_model(model)
    (DATA / f"{name}.onnx").write_bytes(model.SerializeToString())
    return model


def small_unet():
    """Two levels, batch normalisation, pooling, nearest upsampling, a skip; free batch, H and W."""
    n = helper.make_node
    nodes = [
        n("Conv", ["x", "w1", "b1"], ["c1"], "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        n("BatchNormalization", ["c1", "bn_s", "bn_b", "bn_m", "bn_v"], ["n1"], "norm1"),
        n("Relu", ["n1"], ["r1"], "relu1"),
        n("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        n("Conv", ["p1", "w2", "b2"], ["c2"], "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        n("LeakyRelu", ["c2"], ["r2"], "relu2", alpha=0.1),
        n("Resize", ["r2", "", "scales"], ["u2"], "up", mode="nearest",
          coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        n("Concat", ["r1", "u2"], ["both"], "skip", axis=1),
        n("Conv", ["both", "w3", "b3"], ["y"], "head", kernel_shape=[1, 1]),
    ]
    constants = [weight("w1", 5, 3, 3, 3), weight("b1", 5), weight("w2", 7, 5, 3, 3), weight("b2", 7),
                 weight("w3", 2, 12, 1, 1), weight("b3", 2),
                 floats("bn_s", 1.1, 0.9, 1.0, 0.8, 1.2), floats("bn_b", 0.1, -0.1, 0.0, 0.2, 0.05),
                 floats("bn_m", 0.0, 0.1, -0.2, 0.3, 0.0), floats("bn_v", 1.0, 0.5, 2.0, 1.5, 0.7),
                 floats("scales", 1, 1, 2, 2)]
    return save("small_unet", nodes, [tensor("x", ["N", 3, "H", "W"])],
                [tensor("y", ["N", 2, "H", "W"])], constants)


def views():
    """Shapes that only change their names, on inputs, outputs, and what is used again."""
    n = helper.make_node
    nodes = [
        n("Reshape", ["x", "s1"], ["input_again"], "reshape_in"),      # an input is an output
        n("Abs", ["x"], ["a"], "abs"),
        n("Reshape", ["a", "s2"], ["a2"], "reshape_mid"),              # shown and used again
        n("Neg", ["a2"], ["m"], "neg"),
        n("Unsqueeze", ["m", "axis0"], ["m1"], "unsqueeze"),
        n("Squeeze", ["m1", "axis0"], ["m2"], "squeeze"),
        n("Add", ["m2", "a2"], ["zero"], "add"),
        n("Flatten", ["a"], ["flat"], "flatten", axis=1),
        n("Gemm", ["flat", "w", "b"], ["g"], "gemm", transB=1),
        n("Reshape", ["g", "s3"], ["last"], "reshape_out"),            # a view is an output
        n("Identity", ["k"], ["constant"], "constant_out"),            # so is a constant
        n("Identity", ["g"], ["g_again"], "g_out"),                    # and what a view shows
    ]
    constants = [ints("s1", 4, 6), ints("s2", 3, 8), ints("s3", 4), ints("axis0", 0),
                 weight("w", 2, 12), weight("b", 2), floats("k", 1.5, -2.5, 3.5)]
    return save("views", nodes, [tensor("x", [2, 3, 4])],
                [tensor("input_again", [4, 6]), tensor("zero", [3, 8]), tensor("last", [4]),
                 tensor("constant", [3]), tensor("g_again", [2, 2])], constants)


def two_inputs():
    """Two inputs that share the name of a size."""
    nodes = [helper.make_node("MatMul", ["a", "w"], ["aw"], "product"),
             helper.make_node("Mul", ["aw", "b"], ["y"], "times")]
    return save("two_inputs", nodes, [tensor("a", ["N", 4]), tensor("b", ["N", 3])],
                [tensor("y", ["N", 3])], [weight("w", 4, 3)])


def unsupported():
    """Operators that nobody has: all of them are to be reported at once."""
    nodes = [helper.make_node("Relu", ["x"], ["r"], "good"),
             helper.make_node("RainMaker", ["r"], ["s"], "first_bad", domain="example.clouds"),
             helper.make_node("SunShine", ["s"], ["y"], "second_bad", domain="example.clouds")]
    save("unsupported", nodes, [tensor("x", [4])], [tensor("y", [4])], [], ["example.clouds"])


def inputs_of(model, shapes):
    feeds = {}
    for k, (info, shape) in enumerate(zip(model.graph.input, shapes)):
        i = np.arange(int(np.prod(shape)), dtype=np.int64)
        feeds[info.name] = (((7919 * i + 31 * k) % 1000).astype(np.float32) / np.float32(500)
                            - np.float32(1)).reshape(shape)
    return feeds


def expected(text, model, suffix, shapes):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for info, value in zip(model.graph.output, session.run(None, inputs_of(model, shapes))):
        name = f"{model.graph.name}{suffix}_{info.name}"
        rows = [", ".join(f"{float(v):.9g}f" if "." in f"{float(v):.9g}" or "e" in f"{float(v):.9g}"
                          else f"{float(v):.9g}.0f" for v in row)
                for row in np.array_split(value.ravel(), max(1, value.size // 6))]
        text.append(f"static const float {name}[] = {{ /* {list(value.shape)} */\n    "
                    + ",\n    ".join(rows) + ",\n};\n")


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    text = ["/* tests/unit/nn/compile/compile_expected.h - what ONNX Runtime "
            f"{onnxruntime.__version__} gives.\n *\n * Written by tests/expected/make_compile.py. */\n"
            "#ifndef COMPILE_EXPECTED_H\n#define COMPILE_EXPECTED_H\n\n/* clang-format off */\n"]
    unet = small_unet()
    expected(text, unet, "_6x4", [(1, 3, 6, 4)])
    expected(text, unet, "_2x8x2", [(2, 3, 8, 2)])
    expected(text, views(), "", [(2, 3, 4)])
    expected(text, two_inputs(), "", [(2, 4), (2, 3)])
    unsupported()
    text.append("/* clang-format on */\n\n#endif /* COMPILE_EXPECTED_H */\n")
    (ROOT / "tests/unit/nn/compile/compile_expected.h").write_text("\n".join(text))


if __name__ == "__main__":
    main()
