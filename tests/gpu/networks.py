#!/usr/bin/env python3
"""Write the workloads' networks as ONNX, each with an input and PyTorch's float32 output: networks.py FOLDER [SIZE].

`models.py` and `make.py` of the workloads must be in the folder of this file or on PYTHONPATH. With SIZE, RainNet of SIZE x SIZE
is written too: it is exported small, with free sizes, and its output worked out on the GPU where there is one, so that neither
takes minutes.
"""
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make import rain
from models import make

out = pathlib.Path(sys.argv[1])
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
device = "cuda" if torch.cuda.is_available() else "cpu"


def write(stem, model, x, small, free):
    with torch.no_grad():
        torch.onnx.export(model, (small,), str(out / f"{stem}.onnx"), input_names=["x"], output_names=["y"],
                          opset_version=17, dynamo=False, dynamic_axes=free)
        y = model.to(device)(x.to(device)).cpu()
    np.save(out / f"{stem}.in.npy", x.numpy())
    np.save(out / f"{stem}.out.npy", y.numpy())
    print(f"{stem}: range {float(y.min()):.3f}..{float(y.max()):.3f}", flush=True)


for name in ("rainnet-s", "smaat", "convlstm"):
    model, shape = make(name)
    x = rain(1, *shape, seed=7)
    write(name, model, x, x, None)
if len(sys.argv) > 2:
    size = int(sys.argv[2])
    model, shape = make("rainnet")
    x = rain(1, shape[0], size, size, seed=7)
    write(f"rainnet-{size}", model, x, x[..., :64, :64], {"x": {2: "H", 3: "W"}, "y": {2: "H", 3: "W"}})
