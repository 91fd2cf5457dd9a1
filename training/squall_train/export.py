"""Trained networks as ONNX: the rain alone, or the rain and its probabilities; checked by the file's size."""
import torch

from .loss import THRESHOLDS
from .network import RainUNet

LIMIT_BYTES = 8_000_000


def network_of(state, probabilities):
    """A network from its weights, which say how wide it is, and how many channels it reads."""
    widths = []
    while f"down.{len(widths)}.0.weight" in state:
        widths.append(state[f"down.{len(widths)}.0.weight"].shape[0])
    leads, inputs = state["stay.weight"].shape[:2]
    network = RainUNet(inputs, leads, THRESHOLDS, tuple(widths), probabilities)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return network.eval(), inputs


def export(state, path, probabilities=False, opset=17):
    """Write a network as ONNX with free batch, height and width; refuses a file over 8 MB. Returns its size."""
    network, inputs = network_of(state, probabilities)
    axes = {0: "N", 2: "H", 3: "W"}
    torch.onnx.export(network, (torch.rand(1, inputs, 64, 64),), str(path), input_names=["x"], output_names=["y"], opset_version=opset,
                      dynamo=False, dynamic_axes={"x": axes, "y": axes})
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise RuntimeError(f"{path}: {size} bytes; a shipped model has at most {LIMIT_BYTES}")
    return size
