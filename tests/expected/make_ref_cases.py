#!/usr/bin/env python3
"""Write tests/data/ref/*.cases: what test_ref_node runs when it is given no folder.

    python tests/expected/make_ref_cases.py     (PyPI: onnx 1.23.2, onnxruntime 1.32.0, numpy)

node.cases are the small ones of onnx.backend.test.case.node whose operator squall has. edge.cases
are our own: corners that those leave out. Their expected outputs come from onnx.reference, or, where
that lacks the operator or the opset, from ONNX Runtime; each case's name ends in which.
"""
import pathlib
import re
import warnings

import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import ref_case_format as case_format

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/data/ref"
CASE_BYTES = 1500  # a larger node case is left to the check that runs them all
FIRST_BYTES = 5000  # unless it is the operator's only one

REFUSED = ["test_scan_sum"]  # opset 8

rng = np.random.default_rng(20261122)
INF, NAN = np.inf, np.nan


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def a32(values):
    return np.array(values, np.float32)


def i64(values):
    return np.array(values, np.int64)


def model_of(op, opset, inputs, attrs, outputs, absent):
    names = ["" if i in absent else "x%d" % i for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y%d" % i for i in range(outputs)], **attrs)
    given = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
             for n, v in zip(names, inputs) if n]
    results = [helper.make_empty_tensor_value_info("y%d" % i) for i in range(outputs)]
    graph = helper.make_graph([node], "g", given, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                             ir_version=8 if opset < 19 else 10)


def evaluate(model, feeds, use_runtime):
    if not use_runtime:
        return ReferenceEvaluator(model).run(None, feeds), "reference"
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return session.run(None, feeds), "runtime"


class Cases:
    def __init__(self):
        self.texts, self.count = [], 0

    def add(self, name, op, opset, inputs, outputs=1, runtime=False, rtol=1e-5, atol=1e-6,
            expect=None, **attrs):
        """One case; `expect` where neither tool can say, by the formula at hand."""
        absent = {i for i, v in enumerate(inputs) if v is None}
        inputs = [None if v is None else np.asarray(v) for v in inputs]
        filled = [np.zeros(0, np.float32) if v is None else v for v in inputs]
        model = model_of(op, opset, filled, attrs, outputs, absent)
        feeds = {"x%d" % i: v for i, v in enumerate(inputs) if v is not None}
        if expect is not None:
            got, source = expect, "numpy"
        else:
            got, source = evaluate(model, feeds, runtime)
        given = [v for v in inputs if v is not None]
        label = "edge_%s_%s_%s" % (op.lower(), name, source)
        self.texts.append(case_format.case_text(label, model, given, got, rtol, atol))
        self.count += 1


def convolutions(c):
    c.add("1d_group_dilated", "Conv", 11, [f32(2, 6, 11), f32(4, 3, 3), f32(4)], group=2,
          dilations=[2], pads=[1, 3], strides=[2])
    c.add("3d_uneven_pads", "Conv", 11, [f32(1, 2, 4, 5, 6), f32(3, 2, 3, 2, 3), f32(3)],
          pads=[1, 0, 2, 0, 1, 1], strides=[1, 2, 2])
    c.add("depthwise_batch", "Conv", 11, [f32(2, 5, 6, 7), f32(5, 1, 3, 3)], group=5,
          pads=[1, 1, 1, 1])
    c.add("same_lower", "Conv", 11, [f32(1, 2, 5, 6), f32(2, 2, 4, 2)], auto_pad="SAME_LOWER",
          strides=[2, 2], runtime=True)
    c.add("kernel_beyond_input", "Conv", 11, [f32(1, 1, 2, 2), f32(7, 1, 5, 5)],
          pads=[2, 2, 2, 2])
    c.add("float16", "Conv", 11, [f32(1, 3, 5, 5).astype(np.float16),
                                  f32(2, 3, 3, 3).astype(np.float16)], rtol=2e-3, atol=2e-3)
    c.add("float64", "Conv", 11, [rng.standard_normal((1, 2, 4, 4)),
                                  rng.standard_normal((2, 2, 3, 3))], rtol=1e-12, atol=1e-12)
    c.add("1d", "ConvTranspose", 11, [f32(1, 3, 5), f32(3, 2, 4), f32(2)], strides=[3], pads=[1, 2],
          runtime=True)
    c.add("3d", "ConvTranspose", 11, [f32(1, 2, 2, 3, 2), f32(2, 5, 2, 3, 2)], strides=[2, 1, 2],
          runtime=True)
    c.add("group_dilated", "ConvTranspose", 11, [f32(2, 4, 3, 4), f32(4, 3, 3, 2), f32(6)], group=2,
          dilations=[2, 3], strides=[2, 1], pads=[1, 0, 2, 1], output_padding=[1, 0], runtime=True)
    c.add("output_shape", "ConvTranspose", 11, [f32(1, 1, 3, 3), f32(1, 2, 3, 3)], strides=[3, 2],
          output_shape=[10, 8], runtime=True)


def pools(c):
    x = f32(1, 2, 5, 6)
    c.add("ceil_include_pad", "AveragePool", 19, [x], kernel_shape=[3, 2], strides=[2, 2],
          pads=[1, 0, 0, 1], ceil_mode=1, count_include_pad=1)
    c.add("1d_dilated", "AveragePool", 19, [f32(1, 1, 9)], kernel_shape=[3], dilations=[2],
          pads=[2, 1])
    c.add("3d", "AveragePool", 11, [f32(1, 1, 3, 4, 5)], kernel_shape=[2, 2, 3],
          pads=[0, 1, 1, 0, 1, 1])
    c.add("negative", "MaxPool", 12, [-1 - np.abs(x)], kernel_shape=[3, 3], pads=[1, 1, 1, 1],
          strides=[2, 2])
    c.add("uint8", "MaxPool", 12, [rng.integers(0, 256, (1, 2, 4, 4)).astype(np.uint8)],
          kernel_shape=[2, 2], runtime=True)
    c.add("3d_indices", "MaxPool", 12, [f32(2, 2, 3, 4, 3)], outputs=2, kernel_shape=[2, 2, 2],
          runtime=True)
    c.add("column_major", "MaxPool", 12, [f32(1, 2, 4, 5)], outputs=2, kernel_shape=[2, 3],
          storage_order=1, runtime=True)
    c.add("p3", "LpPool", 18, [x], kernel_shape=[2, 3], pads=[1, 1, 0, 1], p=3)
    c.add("p2", "GlobalLpPool", 2, [x], p=2, runtime=True)
    image = (np.arange(2 * 2 * 6 * 5, dtype=np.float32) * 37 % 101 - 50).reshape(2, 2, 6, 5)
    regions = a32([[0, 0, 0, 4, 5], [1, 1, 2, 3, 3], [1, -3, -2, 9, 9], [0, 4, 5, 1, 1], [0, 20, 20, 30, 30]])
    c.add("regions", "MaxRoiPool", 1, [image, regions], pooled_shape=[2, 3], runtime=True)
    c.add("scaled", "MaxRoiPool", 1, [image, regions], pooled_shape=[3, 2], spatial_scale=0.6, runtime=True)
    c.add("1d", "GlobalMaxPool", 1, [f32(2, 3, 4)], runtime=True)
    c.add("3d", "GlobalAveragePool", 1, [f32(1, 2, 2, 3, 2)])


def norms(c):
    c.add("matrix", "BatchNormalization", 15,
          [f32(3, 4), f32(4), f32(4), f32(4), np.abs(f32(4))], runtime=True)
    c.add("opset9", "BatchNormalization", 9,
          [f32(2, 3, 2, 2), f32(3), f32(3), f32(3), np.abs(f32(3))], epsilon=0.01, runtime=True)
    c.add("3d", "InstanceNormalization", 6, [f32(2, 2, 2, 3, 2), f32(2), f32(2)], epsilon=1e-3)
    c.add("by_group", "GroupNormalization", 18, [f32(2, 6, 2, 2), f32(3), f32(3)], num_groups=3,
          runtime=True)
    c.add("by_channel", "GroupNormalization", 21, [f32(2, 4, 3), f32(4), f32(4)], num_groups=2,
          runtime=True)
    c.add("far_from_zero", "LayerNormalization", 17, [1000 + f32(2, 8), f32(8), f32(8)], rtol=2e-3,
          atol=2e-3)
    c.add("three_outputs", "LayerNormalization", 17, [f32(2, 3, 4), f32(3, 4)], outputs=3, axis=1)


def elementwise(c):
    x = a32([-INF, -100, -3.5, -2.5, -1, -0.5, -0.0, 0.0, 0.3, 0.5, 1, 1.5, 3, 100, INF, NAN])
    unit = a32([-1, -0.7, -0.0, 0.2, 1])
    for op, opset in [("Relu", 14), ("Elu", 6), ("Selu", 6), ("Sigmoid", 13), ("Softsign", 1),
                      ("Tanh", 13), ("Exp", 13), ("Erf", 13), ("Neg", 13), ("Abs", 13),
                      ("Floor", 13), ("Ceil", 13), ("Round", 11), ("HardSigmoid", 6), ("Softplus", 1),
                      ("Mish", 18), ("Atan", 7), ("Sinh", 9), ("Cosh", 9), ("Asinh", 9)]:
        c.add("corners", op, opset, [x], runtime=op in ("Erf", "Softplus", "Mish"))
    for op, opset in [("Asin", 7), ("Acos", 7), ("Atanh", 9), ("Sin", 7), ("Cos", 7), ("Tan", 7)]:
        c.add("unit", op, opset, [unit])
    c.add("corners", "Sign", 13, [x[:-1]])
    c.add("corners", "IsNaN", 13, [x])
    c.add("corners", "IsInf", 10, [x], detect_negative=0)
    c.add("corners", "LeakyRelu", 16, [x], alpha=0.2)
    c.add("corners", "ThresholdedRelu", 10, [x[:-1]], alpha=0.4)
    c.add("positive", "Log", 13, [a32([0, 1e-30, 1, 2, INF])])
    c.add("positive", "Sqrt", 13, [a32([-0.0, 0, 1e-30, 2, INF])])
    c.add("corners", "Reciprocal", 13, [x[1:5]])
    c.add("celu", "Celu", 12, [x[1:-2]], alpha=2.0)
    c.add("float16", "Exp", 13, [x.astype(np.float16)], rtol=1e-3)
    for op in ("Abs", "Neg", "Sign", "Relu"):
        c.add("int8", op, 14 if op == "Relu" else 13, [np.array([-128, -1, 0, 5, 127], np.int8)])
    c.add("int64", "Neg", 13, [i64([-2**63 + 1, 2**53 + 1, -7])])


def broadcasting(c):
    c.add("both_ways", "Add", 14, [f32(2, 1, 4), f32(3, 1)])
    c.add("rank8", "Mul", 14, [f32(2, 1, 2, 1, 2, 1, 2, 1), f32(1, 2, 1, 2, 1, 2, 1, 2)])
    c.add("empty", "Add", 14, [f32(0, 3), f32(1, 3)])
    c.add("scalar", "Sub", 14, [f32(2, 3), np.float32(0.5)])
    c.add("wraps", "Add", 14, [np.array([127, -128], np.int8), np.array([1, -1], np.int8)])
    c.add("wraps64", "Mul", 14, [i64([2**62, 3]), i64([4, -5])])
    c.add("truncates", "Div", 14, [np.array([7, -7, 7, -7], np.int32),
                                   np.array([2, 2, -2, -2], np.int32)], runtime=True)
    c.add("by_zero", "Div", 14, [a32([1, -1, 0]), a32([0, 0, 0])])
    c.add("negative", "Mod", 13, [i64([7, -7, 7, -7]), i64([3, 3, -3, -3])])
    c.add("negative_fmod", "Mod", 13, [i64([7, -7, 7, -7]), i64([3, 3, -3, -3])], fmod=1)
    c.add("float_fmod", "Mod", 13, [a32([5.5, -5.5, 5.5]), a32([2, 2, -2])], fmod=1)
    c.add("int_by_float", "Pow", 15, [np.array([2, 3, -4], np.int32), a32([3, 0.5, 2])],
          runtime=True)
    c.add("int_wraps", "Pow", 15, [i64([2, -3, 7]), i64([62, 3, 30])])
    c.add("nan", "Max", 13, [a32([NAN, 1, 2]), a32([0, NAN, 3])])
    c.add("nan", "Min", 13, [a32([NAN, 1, 2]), a32([0, NAN, 3])])
    c.add("large", "Max", 13, [np.array([2**64 - 1, 5], np.uint64), np.array([1, 6], np.uint64)])
    c.add("large", "Less", 13, [np.array([2**64 - 1, 5], np.uint64), np.array([1, 6], np.uint64)])
    c.add("large", "Greater", 13, [i64([2**53 + 1, -1]), i64([2**53, 0])])
    c.add("broadcast", "Mean", 13, [f32(2, 3), f32(3), f32(1, 1)], runtime=True)
    c.add("one", "Sum", 13, [f32(2, 3)])
    c.add("by_channel", "PRelu", 16, [f32(2, 3, 2, 2), f32(3, 1, 1)])
    c.add("bools", "Equal", 13, [np.array([True, False]), np.array([[True], [False]])])
    c.add("broadcast", "Where", 16, [np.array([[True], [False]]), i64([1, 2, 3]), i64(-9)])
    c.add("opset6", "Clip", 6, [f32(5)], min=-0.5, max=0.25)
    c.add("crossed", "Clip", 13, [f32(5), np.float32(2), np.float32(-1)])
    c.add("only_max", "Clip", 13, [i64([-5, 5, 2**60]), None, i64(2**59)])


def casts(c):
    exact = 1 + 2.0**-11 + 2.0**-40  # to float first, then to half, rounds down
    c.add("once_rounded", "Cast", 13, [np.array([exact, -exact, 65519.999, 65520, 1e-8])],
          to=TensorProto.FLOAT16)
    c.add("large", "Cast", 13, [i64([2**24 + 1, 2**62 + 2**38 + 1, -3])], to=TensorProto.FLOAT)
    c.add("to_bool", "Cast", 13, [a32([0, -0.0, 0.1, NAN])], to=TensorProto.BOOL)
    c.add("to_zero", "Cast", 13, [a32([-2.9, -0.5, 0.5, 2.9])], to=TensorProto.INT32)
    c.add("narrow", "Cast", 13, [i64([257, -1, 128])], to=TensorProto.INT8)
    c.add("unsigned", "Cast", 13, [np.array([2**64 - 1, 2**63], np.uint64)], to=TensorProto.FLOAT)


def matrices(c):
    c.add("vectors", "MatMul", 13, [f32(5), f32(5)])
    c.add("row", "MatMul", 13, [f32(3), f32(2, 3, 4)])
    c.add("column", "MatMul", 13, [f32(2, 5, 3), f32(3)])
    c.add("batches", "MatMul", 13, [f32(2, 1, 5, 3), f32(4, 3, 2)])
    c.add("int32", "MatMul", 13, [rng.integers(-9, 9, (5, 3)).astype(np.int32),
                                  rng.integers(-9, 9, (3, 2)).astype(np.int32)])
    c.add("no_sum", "MatMul", 13, [f32(2, 0), f32(0, 3)])
    c.add("turned", "Gemm", 13, [f32(3, 6), f32(4, 3), f32(6, 1)], transA=1, transB=1, alpha=0.5,
          beta=2.0)
    c.add("scalar_c", "Gemm", 13, [f32(2, 3), f32(3, 5), np.float32(1.5)])
    c.add("no_c", "Gemm", 13, [f32(5, 2), f32(2, 3)])
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        c.add("opset11", op, 11, [f32(2, 3, 4)], axis=1, runtime=True)
        c.add("axis1", op, 13, [f32(2, 3, 4)], axis=1)
    c.add("overflow", "Softmax", 13, [a32([[1000, 1001, -1000], [-INF, 0, 0]])])
    c.add("overflow", "LogSoftmax", 13, [a32([[1000, 1001, -1000]])], runtime=True)
    c.add("int64", "CumSum", 14, [i64([[1, 2, 3], [4, 5, 6]]), np.int32(-1)], exclusive=1,
          reverse=1)


def reductions(c):
    x = f32(2, 3, 4, 2)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
               "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        c.add("opset11", op, 11, [x], axes=[-3, 3], keepdims=0)
        c.add("between", op, 11, [x], axes=[0, 2])
    c.add("all", "ReduceSum", 13, [x], keepdims=0)
    c.add("noop", "ReduceSum", 13, [x, i64([])], noop_with_empty_axes=1)
    c.add("nan", "ReduceMax", 18, [a32([[1, NAN], [2, 3]]), i64([1])])
    c.add("long", "ReduceMean", 18, [f32(3, 700), i64([1])])
    c.add("long_outer", "ReduceMean", 18, [f32(3, 400), i64([0])])
    c.add("empty_int", "ReduceMax", 20, [np.zeros((2, 0), np.int32), i64([1])])
    c.add("minus_inf", "ReduceLogSumExp", 18, [a32([[-INF, -INF], [-INF, 0]]), i64([1])],
          expect=[a32([[-INF], [0]])])
    for op in ("ArgMax", "ArgMin"):
        c.add("nan", op, 13, [a32([[1, NAN, NAN, 3]])], axis=1)
        c.add("last", op, 13, [a32([[3, 1, 3, 1]])], axis=1, select_last_index=1, keepdims=0)
        c.add("middle", op, 13, [f32(2, 4, 3)], axis=-2)


def shapes(c):
    x = f32(2, 3, 4)
    c.add("allow_zero", "Reshape", 14, [f32(0, 3), i64([3, 0])], allowzero=1)
    c.add("copied", "Reshape", 13, [x, i64([0, -1])])
    c.add("axis0", "Flatten", 13, [x], axis=0)
    c.add("last", "Flatten", 13, [x], axis=-1)
    c.add("opset11", "Squeeze", 11, [f32(1, 3, 1)], axes=[-1])
    c.add("opset11", "Unsqueeze", 11, [f32(3)], axes=[0, -1])
    c.add("rank5", "Transpose", 13, [f32(2, 3, 1, 2, 3)], perm=[4, 0, 2, 3, 1])
    c.add("with_empty", "Concat", 13, [f32(2, 1), f32(2, 0), f32(2, 3)], axis=-1)
    c.add("opset11", "Split", 11, [f32(2, 5)], outputs=2, axis=1, split=[2, 3])
    c.add("uneven", "Split", 18, [f32(7, 2)], outputs=3, num_outputs=3)
    c.add("opset9", "Slice", 9, [x], starts=[1, -3], ends=[1000, -1], axes=[2, 1])
    c.add("backwards", "Slice", 13, [x, i64([-1, 100]), i64([-2**63, 0]), i64([0, 2]),
                                     i64([-1, -2])])
    c.add("empty", "Slice", 13, [x, i64([2]), i64([1])])
    c.add("bools", "Slice", 13, [np.array([True, False, True]), i64([0]), i64([3]), i64([0]),
                                 i64([2])])
    c.add("opset2", "Pad", 2, [f32(2, 3)], pads=[1, 0, 0, 2], value=1.5, runtime=True)
    c.add("crops", "Pad", 13, [f32(3, 4), i64([-1, 1, 2, -2]), np.float32(7)], runtime=True)
    c.add("bounces", "Pad", 18, [a32([1, 2, 3]), i64([5, 6])], mode="reflect")
    c.add("wraps", "Pad", 19, [a32([1, 2, 3]), i64([4, 5])], mode="wrap")
    c.add("edge_axes", "Pad", 18, [f32(2, 3), i64([2, 1]), None, i64([-1])], mode="edge")
    c.add("int64", "Pad", 13, [i64([1, 2]), i64([1, 1]), i64(2**60 + 1)])
    c.add("both", "Expand", 13, [f32(3, 1), i64([2, 1, 4])])
    c.add("none", "Tile", 13, [f32(2, 2), i64([0, 2])])
    c.add("rank3", "Tile", 13, [f32(1, 2, 2), i64([2, 1, 3])])
    c.add("negative", "Gather", 13, [f32(2, 4, 2), i64([[-1, 0], [2, -4]])], axis=1)
    c.add("scalar", "Gather", 13, [i64([5, 6, 7]), i64(1)])
    c.add("batch", "GatherND", 13, [f32(2, 3, 2), i64([[[0], [2]], [[1], [-1]]])], batch_dims=1,
          runtime=True)
    c.add("repeated", "ScatterElements", 18, [f32(3), i64([1, 1, -1]), f32(3)], reduction="add")
    c.add("rows", "ScatterND", 18, [f32(3, 2), i64([[2], [0]]), f32(2, 2)], reduction="max")
    c.add("within", "Shape", 15, [x], start=-2, end=3)
    c.add("down", "Range", 11, [np.float32(3), np.float32(-1), np.float32(-0.75)])
    c.add("int16", "Range", 11, [np.int16(-3), np.int16(9), np.int16(5)])
    c.add("below", "EyeLike", 9, [f32(3, 4)], k=-1, dtype=TensorProto.INT64)
    c.add("cube", "Trilu", 14, [f32(2, 3, 4), i64(-1)], upper=0)
    c.add("outside", "OneHot", 11, [i64([[0, -1], [3, 5]]), i64(3), f32(2)], axis=0, runtime=True)
    c.add("blocks", "DepthToSpace", 13, [f32(2, 8, 1, 2)], blocksize=2, mode="CRD")
    c.add("blocks", "SpaceToDepth", 13, [f32(2, 1, 4, 2)], blocksize=2)


def resampling(c):
    x = f32(1, 2, 3, 4)
    up = a32([1, 1, 2, 2.5])
    c.add("opset10", "Resize", 10, [x, up], mode="linear", runtime=True)
    c.add("opset10_nearest", "Resize", 10, [x, a32([1, 1, 1.5, 0.6])], mode="nearest",
          runtime=True)
    c.add("opset9", "Upsample", 9, [x, a32([1, 1, 2, 3])], mode="linear", runtime=True)
    c.add("opset7", "Upsample", 7, [x], scales=[1.0, 1.0, 2.0, 3.0], mode="nearest", runtime=True)
    for how in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
                "half_pixel_symmetric"):
        for mode in ("nearest", "linear", "cubic"):
            c.add("%s_%s" % (how, mode), "Resize", 19, [x, None, a32([1, 1, 1.6, 0.7])], mode=mode,
                  coordinate_transformation_mode=how)
    c.add("one_wide", "Resize", 19, [f32(1, 1, 1, 5), None, None, i64([1, 1, 3, 1])],
          mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    c.add("channels_last", "Resize", 19, [f32(1, 3, 4, 2), None, None, i64([5, 3])], axes=[1, 2],
          mode="linear")
    c.add("3d", "Resize", 19, [f32(1, 1, 2, 2, 3), None, a32([1, 1, 2, 1.5, 2])], mode="linear")
    c.add("smooth", "Resize", 19, [f32(1, 1, 9, 8), None, None, i64([1, 1, 4, 3])], mode="linear",
          antialias=1)
    c.add("smooth_cubic", "Resize", 19, [f32(1, 1, 9, 8), None, None, i64([1, 1, 4, 3])],
          mode="cubic", antialias=1, exclude_outside=1)
    c.add("crop", "Resize", 19, [x, a32([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2]), None,
                                 i64([1, 1, 4, 5])], mode="linear", extrapolation_value=9.0,
          coordinate_transformation_mode="tf_crop_and_resize")
    c.add("keep_larger", "Resize", 19, [x, None, None, i64([5, 5])], axes=[3, 2], mode="nearest",
          keep_aspect_ratio_policy="not_smaller")
    c.add("uint8", "Resize", 19, [rng.integers(0, 256, (1, 1, 3, 3)).astype(np.uint8), None,
                                  a32([1, 1, 2, 2])], mode="nearest", nearest_mode="ceil")
    for border in ("zeros", "border", "reflection"):
        for mode in ("linear", "nearest", "cubic"):
            c.add("%s_%s" % (border, mode), "GridSample", 20,
                  [f32(1, 2, 3, 4), (1.7 * f32(1, 2, 3, 2))], mode=mode, padding_mode=border,
                  atol=1e-5, align_corners=int(mode == "linear"))
    c.add("3d", "GridSample", 20, [f32(1, 1, 2, 3, 2), f32(1, 2, 1, 2, 3)], mode="linear")


def recurrences(c):
    """Directions, lengths, activations and clipping: the node cases go forward alone."""
    def inputs(gates, directions=1, batch=2, length=3, size=2, hidden=3):
        return [f32(length, batch, size), f32(directions, gates * hidden, size),
                f32(directions, gates * hidden, hidden), f32(directions, 2 * gates * hidden),
                np.array([length, length - 2], np.int32)[:batch], f32(directions, batch, hidden)]

    both = dict(outputs=2, hidden_size=3, direction="bidirectional", runtime=True)
    c.add("both_lengths", "RNN", 14, inputs(1, 2), activations=["Tanh", "Relu"], **both)
    c.add("both_lengths", "GRU", 14, inputs(3, 2), **both)
    c.add("linear_both", "GRU", 14, inputs(3, 2), linear_before_reset=1, **both)
    both["outputs"] = 3
    peepholes = [f32(2, 2, 3), f32(2, 9)]
    c.add("both_peepholes", "LSTM", 14, inputs(4, 2) + peepholes, **both)
    c.add("clip", "LSTM", 14, inputs(4), outputs=3, hidden_size=3, direction="reverse", clip=0.4,
          activations=["HardSigmoid", "ScaledTanh", "Softsign"], activation_alpha=[0.3, 0.9],
          activation_beta=[0.4, 1.1], runtime=True)
    c.add("joined", "LSTM", 14, inputs(4), outputs=3, hidden_size=3, input_forget=1, runtime=True)
    for op, gates in (("RNN", 1), ("GRU", 3)):
        for name in ("Affine", "LeakyRelu", "ThresholdedRelu", "Elu", "Softplus", "Sigmoid"):
            names = [name] * (2 if gates == 3 else 1)
            c.add(name.lower(), op, 14, inputs(gates), outputs=2, hidden_size=3, activations=names,
                  activation_alpha=[0.5] * len(names), activation_beta=[0.1] * len(names),
                  runtime=True)


def quantised(c):
    x = a32([[-200, -1.5, -0.5, 0.5], [1.5, 2.5, 127.4, 300]])
    u8 = rng.integers(0, 256, (1, 4, 5, 5)).astype(np.uint8)
    i8 = rng.integers(-128, 128, (6, 2, 3, 3)).astype(np.int8)
    c.add("ties", "QuantizeLinear", 13, [x, np.float32(1), np.int8(3)])
    c.add("axis0", "QuantizeLinear", 13, [x, a32([0.5, 2]), np.array([7, 200], np.uint8)], axis=0)
    c.add("uint16", "QuantizeLinear", 21, [x, np.float32(0.01), np.uint16(5)])
    c.add("int32", "DequantizeLinear", 13, [np.array([2**24 + 1, -3], np.int32), np.float32(0.5)],
          runtime=True)
    c.add("axis_first", "DequantizeLinear", 13,
          [np.array([[1, -2], [3, 4]], np.int8), a32([0.5, 3]), np.array([1, -1], np.int8)],
          axis=0, runtime=True)
    c.add("blocks", "DequantizeLinear", 21,
          [rng.integers(-9, 9, (2, 5)).astype(np.int8), a32([[1, 2, 3], [4, 5, 6]]),
           np.array([[1, 2, 3], [0, 1, 2]], np.int8)], axis=1, block_size=2, runtime=True)
    c.add("constant", "DynamicQuantizeLinear", 11, [a32([0, 0])], outputs=3)
    c.add("groups", "QLinearConv", 10,
          [u8, np.float32(0.02), np.uint8(120), i8, a32([0.01, 0.02, 0.03, 0.01, 0.02, 0.03]),
           np.zeros(6, np.int8), np.float32(0.3), np.uint8(100),
           np.array([100, -50, 0, 3, 1000, 7], np.int32)], group=2, pads=[1, 0, 1, 1],
          strides=[2, 1], runtime=True)
    c.add("zero_points", "ConvInteger", 10,
          [u8, rng.integers(0, 256, (2, 4, 3, 2)).astype(np.uint8), np.uint8(9), np.uint8(130)],
          pads=[0, 1, 2, 0], runtime=True)
    c.add("batch", "MatMulInteger", 10,
          [rng.integers(0, 256, (2, 3, 4)).astype(np.uint8),
           rng.integers(-128, 128, (4, 2)).astype(np.int8), np.uint8(100), np.int8(-3)],
          runtime=True)
    c.add("batch", "QLinearMatMul", 10,
          [rng.integers(0, 256, (2, 3, 4)).astype(np.uint8), np.float32(0.02), np.uint8(110),
           rng.integers(-128, 128, (4, 2)).astype(np.int8), np.float32(0.03), np.int8(2),
           np.float32(0.1), np.uint8(99)], runtime=True)


def choices(c):
    c.add("nan", "TopK", 11, [a32([1, NAN, 3, INF, -INF]), i64([3])], outputs=2,
          expect=[a32([NAN, INF, 3]), i64([1, 3, 2])])
    c.add("middle", "TopK", 11, [f32(2, 5, 3), i64([2])], outputs=2, axis=1, largest=0)
    c.add("none", "TopK", 11, [f32(2, 5), i64([0])], outputs=2)
    c.add("opset1", "TopK", 1, [f32(2, 5)], outputs=2, k=3)
    c.add("bool3d", "NonZero", 13, [rng.integers(0, 2, (2, 3, 2)).astype(bool)])
    c.add("short", "Compress", 11, [f32(3, 4), np.array([False, True])], axis=-1)
    c.add("flat", "Compress", 11, [f32(2, 2), np.array([True, False, True])])
    c.add("last_axis", "Unique", 11, [np.array([[3, 1, 3], [0, 2, 0]], np.int32)], outputs=4,
          axis=-1)
    c.add("first_come", "Unique", 11, [i64([5, 2, 5, 9, 2])], outputs=4, sorted=0, runtime=True)
    boxes = a32([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [2, 2, 3, 3], [0.5, 0.5, 0.5, 0.9]]])
    scores = a32([[[0.9, 0.8, 0.7, 0.6], [0.1, 0.95, 0.2, 0.3]]])
    c.add("classes", "NonMaxSuppression", 11, [boxes, scores, i64([3]), a32([0.5]), a32([0.25])],
          runtime=True)


def einsums(c):
    for name, equation, shapes in (("trace", "ii->i", [(3, 3)]), ("implicit", "ba", [(2, 3)]),
                                   ("outer", "i,j", [(2,), (3,)]), ("sum", "ij->", [(2, 3)]),
                                   ("three", "ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
                                   ("dots", "...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
                                   ("spaces", "b i d , b j d -> b i j", [(2, 3, 4), (2, 2, 4)]),
                                   ("dots_middle", "a...b->b...a", [(2, 3, 4, 5)])):
        c.add(name, "Einsum", 12, [f32(*shape) for shape in shapes], equation=equation)
    c.add("int64", "Einsum", 12, [i64([[1, 2], [3, 4]]), i64([5, 6])], equation="ij,j->i")


def transforms(c):
    c.add("padded", "DFT", 20, [f32(1, 5, 2), i64(8), i64(1)], atol=1e-5)
    c.add("cut", "DFT", 20, [f32(1, 6, 1), i64(4), i64(1)], atol=1e-5, onesided=1)
    half = np.fft.rfft(np.arange(6, dtype=np.float32) ** 2).reshape(1, 4)
    c.add("half_back", "DFT", 20, [np.stack([half.real, half.imag], -1).astype(np.float32), i64(6),
                                   i64(1)], inverse=1, onesided=1, atol=1e-4,
          expect=[(np.arange(6, dtype=np.float32) ** 2).reshape(1, 6, 1)])
    c.add("two_sides", "STFT", 17, [f32(1, 12, 1), i64(3), f32(6), i64(6)], onesided=0, atol=1e-5)
    c.add("symmetric", "HannWindow", 17, [i64(5)], periodic=0)
    c.add("one", "BlackmanWindow", 17, [i64(1)])


def images(c):
    x = f32(2, 3, 6, 5)
    rois = a32([[0, 0, 4, 4], [1.2, 0.7, 3.1, 5.5], [-1, -2, 9, 9]])
    for mode in ("avg", "max"):
        c.add("adaptive_%s" % mode, "RoiAlign", 16, [x, rois, i64([0, 1, 1])], mode=mode,
              output_height=2, output_width=3, spatial_scale=0.8, runtime=mode == "avg")
    c.add("opset10", "RoiAlign", 10, [x, rois, i64([0, 1, 0])], output_height=2, output_width=2,
          sampling_ratio=2, runtime=True)
    c.add("groups", "DeformConv", 19, [f32(1, 4, 5, 4), f32(2, 2, 3, 2), f32(1, 24, 3, 4), f32(2),
                                       f32(1, 12, 3, 4)], group=2, offset_group=2,
          kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1], atol=1e-5)
    c.add("stride_pads", "Col2Im", 18, [f32(2, 12, 4), i64([4, 5]), i64([2, 3])], pads=[1, 0, 0, 1],
          strides=[2, 2])
    c.add("volume", "AffineGrid", 20, [f32(2, 3, 4), i64([2, 1, 2, 3, 2])])
    c.add("middle", "ReverseSequence", 10, [f32(2, 3, 2), i64([3, 1])], batch_axis=0, time_axis=1)
    c.add("wide", "LRN", 13, [f32(1, 5, 2, 2)], size=5, alpha=0.3, beta=0.6, bias=1.5, runtime=True)
    c.add("zero", "LpNormalization", 1, [a32([[0, 0], [3, 4]])], axis=1, p=2)
    c.add("magnitude", "LpNormalization", 1, [a32([[1, -3], [0.5, 4]])], axis=0, p=1,
          expect=[a32([[1 / 1.5, -3 / 7], [0.5 / 1.5, 4 / 7]])])
    c.add("axes", "MeanVarianceNormalization", 13, [f32(2, 3, 4)], axes=[0, -1], atol=1e-5)
    c.add("singular", "Det", 11, [a32([[[0, 1], [2, 0]], [[1, 2], [2, 4]]])])


def attention(c):
    """Heads in an attribute, a cache, a mask of rank 2 that ends early, grouped heads."""
    q, k, v = f32(2, 3, 8), f32(2, 4, 4), f32(2, 4, 6)
    c.add("grouped", "Attention", 23, [q, k, v], q_num_heads=4, kv_num_heads=2, is_causal=1)
    past_k, past_v = f32(2, 2, 2, 2), f32(2, 2, 2, 3)
    c.add("cache", "Attention", 23, [q, k, v, f32(3, 6), past_k, past_v], outputs=3, q_num_heads=4,
          kv_num_heads=2, softcap=0.7, scale=0.3)
    c.add("nobody", "Attention", 23, [f32(1, 1, 2, 2), f32(1, 1, 3, 2), f32(1, 1, 3, 2),
                                      np.array([[False] * 3, [True, False, True]])])


GRAPHS = {
    # a branch hands on what is around it; the other makes something of a graph around its graph
    "if_nested": ("float[2] x, bool c, bool d => float[2] y", """
        w = Constant <value = float[2] {3.0, 4.0}> ()
        y = If (c) <then_branch = a () => (float[2] o) {
                o = If (d) <then_branch = b () => (float[2] p) { p = Mul (x, w) },
                            else_branch = e () => (float[2] p) { p = Identity (w) }> },
            else_branch = f () => (float[2] o) { o = Neg (x) }>"""),
    "if_hands_on": ("float[2] x, bool c => float[2] y", """
        z = Neg (x)
        y = If (c) <then_branch = a () => (float[2] z) { }, else_branch = b () => (float[2] x) { }>"""),
    # the condition hangs on what a round gives
    "loop_until": ("float x, int64 most => float y, int64[n] seen", """
        t = Constant <value = bool {1}> ()
        y, seen = Loop (most, t, x) <body = b (int64 i, bool go, float v)
                => (bool more, float twice, int64 j) {
            k = Constant <value = float {20.0}> ()
            twice = Add (v, v)
            more = Less (twice, k)
            j = Mul (i, i) }>"""),
    "loop_sums": ("float[3] x, float[2] s => float[2] y, float[n, 2] rows", """
        n = Constant <value = int64 {3}> ()
        y, rows = Loop (n, , s) <body = b (int64 i, bool go, float[2] v)
                => (bool go, float[2] w, float[2] w) {
            e = Gather <axis = 0> (x, i)
            w = Add (v, e) }>"""),
    "loop_none": ("float[2] x => float[2] y", """
        n = Constant <value = int64 {0}> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, x) <body = b (int64 i, bool go, float[2] v) => (bool go, float[2] w) {
            w = Add (v, v) }>"""),
    "loop_in_loop": ("float x => float y", """
        n = Constant <value = int64 {2}> ()
        t = Constant <value = bool {1}> ()
        y = Loop (n, t, x) <body = b (int64 i, bool go, float v) => (bool go, float w) {
            m = Constant <value = int64 {3}> ()
            w = Loop (m, go, v) <body = c (int64 j, bool on, float u) => (bool on, float z) {
                s = Cast <to = 1> (i)
                r = Add (u, s)
                z = Add (r, x) }> }>"""),
    "scan_back": ("float[2] s, float[2,3] x => float[2] last, float[2, n] sums", """
        last, sums = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
                           scan_output_axes = [1], scan_output_directions = [1],
                           body = b (float[2] v, float[2] e) => (float[2] w, float[2] o) {
                w = Add (v, e)
                o = Mul (w, s) }> (s, x)"""),
}


def graphs(c):
    """Control flow: nodes that hold graphs."""
    feeds = {"x": None, "c": np.array(True), "d": np.array(False), "most": np.array(10, np.int64)}
    for name, (ports, nodes) in GRAPHS.items():
        text = '<ir_version: 8, opset_import: ["" : 17]> g (%s) => (%s) {%s}' % (
            *ports.split(" => "), nodes)
        model = onnx.parser.parse_model(text)
        given = {}
        for info in model.graph.input:
            shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
            given[info.name] = feeds.get(info.name)
            if given[info.name] is None:
                given[info.name] = np.array(f32(*shape), np.float32)
        for flip in (False, True) if "c" in given else (False,):
            if flip:
                given["c"] = np.array(False)
            got, source = evaluate(model, given, name != "if_hands_on")
            label = "graphs_%s%s_%s" % (name, "_else" if flip else "", source)
            c.texts.append(case_format.case_text(label, model, list(given.values()), got, 1e-5, 1e-6))
            c.count += 1


def node_cases(ops):
    """The small cases of ONNX, and the smallest of an operator that has none."""
    chosen, spare = [], {}
    for name, nodes, text in case_format.onnx_cases():
        op = nodes[0].op_type
        if len(nodes) != 1 or op not in ops or "\nskip " in text or "training" in name or name in REFUSED:
            continue
        if len(text) <= CASE_BYTES:
            chosen.append((op, name, text))
        elif len(text) <= FIRST_BYTES and len(text) < len(spare.get(op, ("", "", text + " "))[2]):
            spare[op] = (op, name, text)
    have = {op for op, _, _ in chosen}
    chosen += [case for op, case in spare.items() if op not in have]
    return [text for _, _, text in sorted(chosen)]


def main():
    warnings.simplefilter("ignore")
    table = (ROOT / "src/nn/op/op_table.inc").read_text()
    ops = set(re.findall(r"^OP\(\d+, (\w+),", table, re.M))
    OUT.mkdir(parents=True, exist_ok=True)
    nodes = node_cases(ops)
    (OUT / "node.cases").write_text("".join(nodes))
    c = Cases()
    for group in (convolutions, pools, norms, elementwise, broadcasting, casts, matrices,
                  reductions, shapes, resampling, recurrences, quantised, choices, einsums,
                  transforms, images, attention, graphs):
        group(c)
    (OUT / "edge.cases").write_text("".join(c.texts))
    size = sum(f.stat().st_size for f in OUT.glob("*.cases"))
    print("onnx %s: %d node cases, %d edge cases, %d bytes" % (onnx.__version__, len(nodes),
                                                               c.count, size))


if __name__ == "__main__":
    main()
