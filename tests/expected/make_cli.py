#!/usr/bin/env python3
"""Write the network that tests/checks/cli_*.py run: tests/data/cli/drift.onnx.

    python tests/expected/make_cli.py

Needs PyPI onnx; made with onnx 1.23 at opset 17. It has the channels of models/default/recipe.json: a
3x3 convolution whose output for the k-th lead time is the newest observation, times 1 - 0.02 k, and a
little of everything around; then Relu.
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/data/cli/drift.onnx"

weights = np.random.default_rng(20261125).uniform(0.0, 0.002, (12, 5, 3, 3)).astype(np.float32)
weights[:, 4] = 0.0  # coverage
for lead in range(12):
    weights[lead, 0, 1, 1] = 1.0 - 0.02 * (lead + 1)

node = helper.make_node
graph = helper.make_graph(
    [node("Conv", ["x", "w", "b"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
     node("Relu", ["c"], ["y"], "relu")],
    "drift",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5, "H", "W"])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 12, "H", "W"])],
    [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.zeros(12, np.float32), "b")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                          producer_name="")
onnx.checker.check_model(model)
OUT.parent.mkdir(exist_ok=True)
OUT.write_bytes(model.SerializeToString())
