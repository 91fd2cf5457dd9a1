"""squall's engine compiler and runtime, on NumPy arrays.

>>> squall.build("model.onnx", "model.sqe", shapes={"x": (1, 4, 256, 256)})
>>> with squall.Engine("model.sqe") as engine:
...     y, = engine.run(x)
"""
from ._build import BuildReport, build, refit
from ._compare import Comparison, LayerError, OutputError, compare
from ._engine import Engine, Port, Profile, Step
from ._library import Error, library_version
from ._sign import keygen, sign, verify

__all__ = ["BuildReport", "Comparison", "Engine", "Error", "LayerError", "OutputError", "Port", "Profile", "Step",
           "build", "compare", "keygen", "library_version", "refit", "sign", "verify"]
__version__ = "0.1.0"
