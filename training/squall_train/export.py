"""Export to ONNX, checked by its own file's shapes and size."""
import pathlib

import torch

LIMIT_BYTES = 8_000_000


def export(network, inputs, path, opset=17):
    """Write `network` as ONNX with free batch, height and width; refuses a file over 8 MB."""
    path = pathlib.Path(path)
    sample = torch.rand(1, inputs, 64, 64)
    axes = {0: "N", 2: "H", 3: "W"}
    torch.onnx.export(network.eval(), (sample,), str(path), input_names=["x"], output_names=["y"], opset_version=opset,
                      dynamo=False, dynamic_axes={"x": axes, "y": axes})
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise RuntimeError(f"{path}: {size} bytes; a shipped model has at most {LIMIT_BYTES}")
    return size
