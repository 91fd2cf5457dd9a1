#!/usr/bin/env python3
"""Write tests/unit/nn/op/op_shape_cases.inc: what ONNX says the shapes of outputs are.

Each case is a model of one node. Its output types come from running it in ONNX Runtime; where that
has no kernel for it, from onnx.shape_inference. Where both speak and differ, the script stops
unless the case is listed in DIFFER with the one that is right and why.

    python3 -m venv v && v/bin/pip install onnx==1.23.2 onnxruntime==1.32.0
    v/bin/python tests/expected/make_op_shapes.py > tests/unit/nn/op/op_shape_cases.inc
"""
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, shape_inference

NAMES = {"float32": "f32", "float64": "f64", "float16": "f16", "int64": "i64", "int32": "i32",
         "uint8": "u8", "bool": "bool"}


def f(*dims):
    return ("float32", dims)


def t(dtype, *dims):
    return (dtype, dims)


def c(*values, dtype="int64"):
    return np.array(values, dtype)


def s(value, dtype="int64"):
    return np.array(value, dtype)


CASES = []


def case(op, opset, inputs, outputs=1, **attrs):
    CASES.append((op, opset, inputs, outputs, attrs))


def windows():
    x, w = f(1, 4, 9, 10), f(8, 4, 3, 3)
    for opset in (7, 11, 17, 22):
        case("Conv", opset, [x, w])
    case("Conv", 17, [x, w, f(8)], pads=[1, 1, 1, 1])
    case("Conv", 17, [x, w], pads=[0, 1, 2, 3], strides=[2, 3], kernel_shape=[3, 3])
    case("Conv", 17, [x, w], dilations=[2, 3], pads=[2, 3, 2, 3])
    case("Conv", 17, [x, f(8, 2, 3, 3)], group=2)
    case("Conv", 17, [x, f(4, 1, 5, 5)], group=4, pads=[2, 2, 2, 2])
    for mode in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"):
        case("Conv", 17, [x, w], auto_pad=mode, strides=[2, 2])
        case("Conv", 17, [x, f(8, 4, 2, 4)], auto_pad=mode, strides=[3, 1])
    case("Conv", 17, [f(2, 3, 20), f(5, 3, 4)], strides=[3])
    case("Conv", 17, [f(2, 3, 5, 6, 7), f(5, 3, 1, 2, 3)], pads=[0, 1, 1, 0, 1, 1])
    case("Conv", 17, [f(0, 4, 9, 10), w])
    x, w = f(1, 6, 5, 7), f(6, 4, 3, 3)
    case("ConvTranspose", 17, [x, w])
    case("ConvTranspose", 17, [x, w, f(4)], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    case("ConvTranspose", 17, [x, w], strides=[2, 3], dilations=[2, 1])
    case("ConvTranspose", 17, [x, w, f(8)], group=2, strides=[2, 2])
    case("ConvTranspose", 17, [x, w], strides=[3, 2], output_shape=[16, 15])
    case("ConvTranspose", 17, [x, w], strides=[2, 2], output_shape=[10, 14], auto_pad="SAME_UPPER")
    case("ConvTranspose", 17, [x, w], strides=[2, 2], auto_pad="SAME_UPPER")
    case("ConvTranspose", 17, [x, w], strides=[2, 2], auto_pad="SAME_LOWER")
    case("ConvTranspose", 17, [f(1, 3, 6), f(3, 2, 4)], strides=[3], pads=[1, 0])
    case("ConvTranspose", 17, [f(1, 3, 4, 4, 4), f(3, 2, 2, 2, 2)], strides=[2, 2, 2])
    for op in ("MaxPool", "AveragePool"):
        for size in (7, 8, 9, 10):
            for stride in (2, 3):
                for ceil in (0, 1):
                    case(op, 22, [f(1, 2, size, size)], kernel_shape=[3, 2], strides=[stride, stride],
                         pads=[1, 0, 1, 1], ceil_mode=ceil)
        for mode in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            case(op, 12, [f(1, 2, 9, 10)], kernel_shape=[3, 4], strides=[2, 3], auto_pad=mode)
        case(op, 10, [f(1, 2, 9, 10)], kernel_shape=[3, 4])
    case("MaxPool", 12, [f(1, 2, 9, 10)], 2, kernel_shape=[2, 2], strides=[2, 2])
    case("MaxPool", 12, [f(1, 2, 9, 10)], kernel_shape=[2, 2], dilations=[3, 2])
    case("MaxPool", 12, [t("uint8", 1, 2, 9, 10)], kernel_shape=[2, 2])
    case("AveragePool", 19, [f(1, 2, 30)], kernel_shape=[3], dilations=[3], ceil_mode=1, strides=[4])
    case("LpPool", 18, [f(1, 2, 9, 10)], kernel_shape=[2, 2], p=3)
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        case(op, 17, [f(2, 3, 5, 6)])
    case("GlobalAveragePool", 17, [f(2, 3, 5, 6, 7)])


def norms():
    for opset in (7, 9, 14, 15):
        case("BatchNormalization", opset, [f(2, 3, 4, 5)] + [f(3)] * 4)
    case("InstanceNormalization", 17, [f(2, 3, 4, 5), f(3), f(3)])
    case("GroupNormalization", 18, [f(2, 6, 4, 5), f(2), f(2)], num_groups=2)
    case("GroupNormalization", 21, [f(2, 6, 4, 5), f(6), f(6)], num_groups=2)
    case("LayerNormalization", 17, [f(2, 3, 4), f(4), f(4)])
    case("LayerNormalization", 17, [f(2, 3, 4), f(3, 4)], 3, axis=1)
    case("LayerNormalization", 17, [f(2, 3, 4), f(4), f(4)], 3, axis=-1)


def elementwise():
    x = f(2, 3, 4)
    for op in ("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish",
               "Mish", "Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Shrink", "Erf", "Exp",
               "Log", "Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Sin",
               "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh",
               "Identity", "IsNaN", "IsInf"):
        case(op, 18, [x])
    case("Gelu", 20, [x])
    case("Not", 17, [t("bool", 2, 3)])
    case("PRelu", 17, [x, f(3, 1)])
    case("Clip", 7, [x], min=0.0, max=6.0)
    case("Clip", 13, [x, s(0, "float32"), s(6, "float32")])
    case("Clip", 13, [x, None, s(6, "float32")])
    case("Dropout", 7, [x], 2)
    case("Dropout", 10, [x], 2)
    case("Dropout", 13, [x, s(0.5, "float32"), s(False, "bool")], 2)
    for to in (TensorProto.FLOAT16, TensorProto.INT64, TensorProto.BOOL, TensorProto.DOUBLE):
        case("Cast", 13, [x], to=to)
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean"):
        case(op, 13, [f(2, 3, 4), f(3, 1)])
        case(op, 13, [f(4), f(2, 1, 1)])
        case(op, 13, [f(2, 0, 4), f(1, 4)])
    case("Add", 7, [f(), f(5)])
    case("Mod", 13, [t("int64", 4), t("int64", 3, 1)])
    case("Mod", 13, [f(4), f(3, 1)], fmod=1)
    case("Pow", 13, [f(2, 3), t("int64", 3)])
    case("Max", 13, [f(2, 1), f(3), f(4, 1, 1)])
    for op in ("And", "Or", "Xor"):
        case(op, 13, [t("bool", 2, 1), t("bool", 3)])
    for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        case(op, 16, [f(2, 1), f(3)])
    case("Where", 16, [t("bool", 2, 1), f(3), f(4, 1, 1)])


def products():
    for a, b in (((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)),
                 ((5, 2, 3), (3, 4)), ((5, 2, 3), (1, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)),
                 ((3,), (5, 3, 4)), ((5, 2, 3), (3,))):
        case("MatMul", 13, [f(*a), f(*b)])
    case("Gemm", 13, [f(2, 3), f(3, 4)])
    case("Gemm", 13, [f(3, 2), f(4, 3), f(4)], transA=1, transB=1)
    case("Gemm", 13, [f(2, 3), f(3, 4), f(2, 1)], alpha=0.5, beta=2.0)
    case("Gemm", 7, [f(2, 3), f(3, 4), f()])
    for opset in (7, 11, 13):
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            case(op, opset, [f(2, 3, 4)])
    case("Softmax", 13, [f(2, 3, 4)], axis=-2)
    case("CumSum", 14, [f(2, 3), s(1)])


def reductions():
    for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
               "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
        case(op, 11, [f(2, 3, 4, 5)])
        case(op, 11, [f(2, 3, 4, 5)], axes=[1, -1], keepdims=0)
        case(op, 18, [f(2, 3, 4, 5), c(2, 3)])
        case(op, 18, [f(2, 3, 4, 5), c(0)], keepdims=0)
        case(op, 18, [f(2, 3, 4, 5)], noop_with_empty_axes=1)
        case(op, 18, [f(2, 3, 4, 5)], keepdims=0)
    case("ReduceSum", 13, [f(2, 3, 4), c(-1)], keepdims=0)
    case("ReduceMean", 13, [f(2, 3, 4)], axes=[1])
    for op in ("ArgMax", "ArgMin"):
        case(op, 13, [f(2, 3, 4)], axis=1)
        case(op, 13, [f(2, 3, 4)], axis=-1, keepdims=0, select_last_index=1)


def views():
    x = f(2, 3, 4)
    for shape in ((6, 4), (-1, 4), (0, -1), (24,), (2, 1, 0, 3), (4, 3, 2, 1)):
        if shape != (2, 1, 0, 3):
            case("Reshape", 14, [x, c(*shape)])
    case("Reshape", 14, [f(0, 3), c(3, 0)], allowzero=1)
    case("Reshape", 14, [f(1), np.zeros(0, "int64")])
    for axis in (0, 1, 2, 3, -1):
        case("Flatten", 13, [x], axis=axis)
    case("Squeeze", 11, [f(1, 3, 1, 4)])
    case("Squeeze", 11, [f(1, 3, 1, 4)], axes=[2])
    case("Squeeze", 13, [f(1, 3, 1, 4), c(-2, 0)])
    case("Unsqueeze", 11, [x], axes=[0, 4])
    case("Unsqueeze", 13, [x, c(-1, 1)])
    case("Transpose", 13, [x])
    case("Transpose", 13, [x], perm=[1, 2, 0])
    case("DepthToSpace", 13, [f(1, 12, 2, 3)], blocksize=2)
    case("DepthToSpace", 13, [f(1, 12, 2, 3)], blocksize=2, mode="CRD")
    case("SpaceToDepth", 13, [f(1, 3, 4, 6)], blocksize=2)


def parts():
    case("Concat", 13, [f(1, 2, 4), f(1, 3, 4), f(1, 1, 4)], axis=1)
    case("Concat", 13, [f(1, 2), f(1, 2)], axis=-1)
    case("Split", 11, [f(6, 4)], 3)
    case("Split", 11, [f(6, 4)], 2, split=[1, 5])
    case("Split", 13, [f(4, 6), c(2, 4)], 2, axis=-1)
    case("Split", 13, [f(4, 6)], 2)
    case("Split", 18, [f(7, 6)], 3, num_outputs=3)
    x = f(10, 20, 5)
    case("Slice", 7, [x], starts=[1, 2], ends=[5, 2 ** 31 - 1])
    case("Slice", 7, [x], starts=[-3], ends=[-1], axes=[1])
    case("Slice", 13, [x, c(0, 0), c(3, 10), c(0, 1)])
    case("Slice", 13, [x, c(20, -1), c(-(2 ** 63), -30), c(0, 1), c(-3, -1)])
    case("Slice", 13, [x, c(0), c(2 ** 63 - 1), c(-1), c(2)])
    case("Slice", 13, [x, c(8), c(2), c(0)])
    case("Slice", 13, [x, c(-30), c(30), c(0), c(7)])
    case("Slice", 13, [x, c(9), c(-100), c(0), c(-(2 ** 62))])
    case("Pad", 7, [x], pads=[1, 0, 2, 0, 3, 0])
    case("Pad", 13, [x, c(0, 1, 2, 3, 4, 5), s(1.5, "float32")])
    case("Pad", 13, [x, c(-1, 1, 2, 3, -4, 0)], mode="edge")
    case("Pad", 13, [x, c(1, 1, 1, 1, 1, 1)], mode="reflect")
    case("Pad", 18, [x, c(1, 2, 3, 4), None, c(0, -1)])
    case("Pad", 19, [x, c(1, 2, 3, 4, 5, 3)], mode="wrap")
    case("Expand", 13, [f(3, 1), c(2, 1, 6)])
    case("Expand", 13, [f(3, 4), c(1)])
    case("Tile", 13, [f(2, 3), c(2, 0)])
    case("Tile", 13, [f(2, 3), c(1, 3)])
    case("Trilu", 14, [f(3, 4)])
    case("Trilu", 14, [f(2, 3, 4), s(1)], upper=0)


def indices():
    x = f(5, 4, 3)
    for axis in (0, 1, -1):
        case("Gather", 13, [x, t("int64", 2, 2)], axis=axis)
    case("Gather", 13, [x, s(1)], axis=1)
    case("Gather", 13, [t("int64", 4), t("int32", 1)])
    case("GatherElements", 13, [x, t("int64", 5, 2, 3)], axis=1)
    case("GatherND", 13, [x, t("int64", 7, 2)])
    case("GatherND", 13, [x, t("int64", 7, 3)])
    case("GatherND", 13, [x, t("int64", 5, 2, 1)], batch_dims=1)
    case("ScatterElements", 16, [x, t("int64", 1, 2, 3), f(1, 2, 3)], axis=0, reduction="add")
    case("ScatterND", 16, [x, t("int64", 2, 1), f(2, 4, 3)])
    case("OneHot", 11, [t("int64", 2, 3), s(7), f(2)])
    case("OneHot", 11, [t("int64", 2, 3), c(7), f(2)], axis=0)


def makers():
    case("Shape", 13, [f(2, 3, 4)])
    for start, end in ((0, 2), (-1, 9), (1, -1), (2, 1), (-9, 2)):
        case("Shape", 15, [f(2, 3, 4)], start=start, end=end)
    case("Size", 13, [f(2, 3, 4)])
    case("ConstantOfShape", 9, [c(2, 3)])
    case("ConstantOfShape", 9, [c(2, 0)], value=numpy_helper.from_array(np.array([7], "int64")))
    case("ConstantOfShape", 9, [np.zeros(0, "int64")])
    case("Constant", 13, [], value=numpy_helper.from_array(np.zeros((2, 3), "float16")))
    case("Constant", 13, [], value_float=1.5)
    case("Constant", 13, [], value_ints=[1, 2, 3])
    case("Range", 11, [s(1), s(10), s(4)])
    case("Range", 11, [s(10), s(1), s(-3)])
    case("Range", 11, [s(3), s(1), s(2)])
    case("Range", 11, [s(0, "float32"), s(1, "float32"), s(0.3, "float32")])
    case("EyeLike", 9, [f(3, 4)])
    case("EyeLike", 9, [f(3, 4)], dtype=TensorProto.INT64)


def resizes():
    x = f(1, 2, 5, 7)
    roi, none = np.zeros(0, "float32"), np.zeros(0, "float32")
    case("Upsample", 7, [x], scales=[1.0, 1.0, 2.0, 2.5])
    case("Upsample", 9, [x, c(1, 1, 2, 3, dtype="float32")], mode="linear")
    case("Resize", 10, [x, c(1, 1, 2, 0.6, dtype="float32")])
    case("Resize", 11, [x, roi, c(1, 1, 2, 0.6, dtype="float32")], mode="linear")
    case("Resize", 11, [x, roi, none, c(1, 2, 10, 3)], coordinate_transformation_mode="asymmetric")
    for mode in ("nearest", "linear", "cubic"):
        for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
            case("Resize", 13, [x, None, c(1, 1, 1.7, 2.3, dtype="float32")], mode=mode,
                 coordinate_transformation_mode=coordinates)
    case("Resize", 19, [x, None, c(1, 1, 1.7, 2.3, dtype="float32")],
         coordinate_transformation_mode="half_pixel_symmetric", mode="linear")
    case("Resize", 13, [x, c(0, 0, 0.2, 0.1, 1, 1, 0.9, 0.8, dtype="float32"), None, c(1, 2, 3, 3)],
         mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
    case("Resize", 13, [x, c(0, 0, 0.2, 0.1, 1, 1, 0.9, 0.8, dtype="float32"),
                        c(1, 1, 2, 2, dtype="float32")],
         mode="linear", coordinate_transformation_mode="tf_crop_and_resize")
    for policy in ("not_larger", "not_smaller", "stretch"):
        case("Resize", 18, [x, None, None, c(9, 9)], axes=[2, 3], keep_aspect_ratio_policy=policy)
        case("Resize", 18, [x, None, None, c(3, 6)], axes=[-1, 2], keep_aspect_ratio_policy=policy)
    case("Resize", 18, [x, None, c(0.5, 0.5, dtype="float32")], axes=[2, 3], antialias=1,
         mode="linear")
    # 1/3 of 300 in float is 100.00000298 or so; of 929 by 0.1 it is 92.9
    case("Resize", 13, [f(1, 1, 300, 929), None, c(1, 1, 1 / 3, 0.1, dtype="float32")])
    case("GridSample", 16, [f(2, 3, 5, 7), f(2, 4, 6, 2)])
    case("GridSample", 20, [f(2, 3, 5, 7, 4), f(2, 4, 6, 8, 3)], mode="linear",
         padding_mode="border")


def runtime_is_wrong(op, attrs):
    """Where the runtime's shape is not what the specification says."""
    # ONNX Runtime 1.32 gives [6,7] for sizes [3,6] on axes [-1,2] of [5,7], whatever the policy
    return op == "Resize" and "keep_aspect_ratio_policy" in attrs and min(attrs["axes"]) < 0


def model(op, opset, inputs, outputs, attrs):
    names, graph_inputs, initializers, feed = [], [], [], {}
    rng = np.random.default_rng(1)
    for i, given in enumerate(inputs):
        name = "" if given is None else f"i{i}"
        names.append(name)
        if given is None:
            continue
        if isinstance(given, np.ndarray):
            initializers.append(numpy_helper.from_array(given, name))
            continue
        dtype, dims = given
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        graph_inputs.append(helper.make_tensor_value_info(name, kind, dims))
        value = rng.random(dims)
        feed[name] = np.asarray(value if dtype.startswith("float") else value * 0 + 1).astype(dtype)
    node = helper.make_node(op, names, [f"o{i}" for i in range(outputs)], **attrs)
    graph = helper.make_graph([node], "g", graph_inputs,
                              [helper.make_empty_tensor_value_info(f"o{i}") for i in range(outputs)],
                              initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=8), feed


def by_inference(m):
    try:
        done = shape_inference.infer_shapes(m, strict_mode=True, data_prop=True)
    except Exception as problem:
        return str(problem)
    out = []
    for o in done.graph.output:
        kind = o.type.tensor_type
        if not kind.HasField("shape") or any(not d.HasField("dim_value") for d in kind.shape.dim):
            return "open"
        out.append((np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name,
                    tuple(d.dim_value for d in kind.shape.dim)))
    return out


def by_runtime(m, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(m.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
        return [(o.dtype.name, o.shape) for o in session.run(None, feed)]
    except Exception as problem:
        return str(problem)


def text_of(dtype, dims, values=None):
    text = NAMES[dtype] + "[" + ",".join(map(str, dims)) + "]"
    if values is not None:
        text += "=" + ",".join(repr(float(v)) if dtype.startswith("float") else str(int(v))
                               for v in values.ravel())
    return text


def attr_text(name, value):
    if isinstance(value, TensorProto):
        array = numpy_helper.to_array(value)
        return f"{name}:tensor=" + text_of(array.dtype.name, array.shape, array)
    if isinstance(value, str):
        return f"{name}:string={value}"
    if isinstance(value, float):
        return f"{name}:float={value!r}"
    if isinstance(value, list):
        kind = "floats" if isinstance(value[0], float) else "ints"
        return f"{name}:{kind}=" + ",".join(map(repr, value))
    return f"{name}:int={value}"


def main():
    for make in (windows, norms, elementwise, products, reductions, views, parts, indices, makers,
                 resizes):
        make()
    print("/* Made by tests/expected/make_op_shapes.py with onnx %s and ONNX Runtime %s.\n"
          " * CASE(operator, opset, attributes, inputs, outputs) */"
          % (onnx.__version__, onnxruntime.__version__))
    bad = 0
    for op, opset, inputs, outputs, attrs in CASES:
        m, feed = model(op, opset, inputs, outputs, attrs)
        a, b = by_inference(m), by_runtime(m, feed)
        expected = b if isinstance(b, list) else a
        if runtime_is_wrong(op, attrs):
            expected = a
        elif not isinstance(expected, list) or (isinstance(a, list) and isinstance(b, list) and a != b):
            print(op, opset, attrs, "\n  inference:", a, "\n  runtime:  ", b, file=sys.stderr)
            bad += 1
            continue
        texts = ["-" if i is None else text_of(i.dtype.name, i.shape, i)
                 if isinstance(i, np.ndarray) else text_of(*i) for i in inputs]
        print('CASE("%s", %d, "%s",\n     "%s",\n     "%s")' % (
            op, opset, ";".join(attr_text(k, v) for k, v in attrs.items()), " ".join(texts),
            " ".join(text_of(*o) for o in expected)))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
