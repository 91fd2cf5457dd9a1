"""How far an engine is from its model."""
from __future__ import annotations

import ctypes as c
import os
from dataclasses import dataclass
from typing import Any, Sequence, Union

from ._engine import Engine
from ._library import CLayerError, COutputError, Notes, call, lib, path, text
from ._tensor import number_of, tensors_of

ENGINE, ENGINE_ELSEWHERE, MODEL = 0, 1, 2


@dataclass(frozen=True)
class OutputError:
    """Infinite PSNR where there is no difference."""
    name: str
    psnr_db: float
    max_abs: float
    relative: float


@dataclass(frozen=True)
class LayerError:
    name: str
    op: str
    tactic: str
    snr_db: float
    loss_db: float


@dataclass(frozen=True)
class Comparison:
    """The engine against the model on the reference kernels; `to_reference` against what another runtime gave."""
    outputs: "tuple[OutputError, ...]"
    layers: "tuple[LayerError, ...]"
    to_reference: "tuple[OutputError, ...]" = ()

    @property
    def psnr_db(self) -> float:
        """Of the worst output."""
        return min(one.psnr_db for one in self.outputs + self.to_reference)

    @property
    def worst_layer(self) -> "LayerError | None":
        """The one that loses most."""
        return max(self.layers, key=lambda layer: layer.loss_db, default=None)


def _outputs(comparison: c.c_void_p, which: int) -> "tuple[OutputError, ...]":
    found = []
    for i in range(lib.squall_comparison_output_count(comparison)):
        one = COutputError()
        call(lib.squall_comparison_output, comparison, which, i, c.byref(one))
        found.append(OutputError(text(one.name) or "", one.psnr_db, one.max_abs, one.relative))
    return tuple(found)


def compare(model: "Union[str, os.PathLike[str]]", engine: "Union[Engine, str, os.PathLike[str]]",
            samples: "Sequence[Any]", references: "Sequence[Any] | None" = None, *, threads: int = 0) -> Comparison:
    """Run both on each sample, an array or a sequence of them, and hold every output and every layer of the engine
    against the model's. `references`, for each sample an array or a sequence of them, is what another runtime gave."""
    if not samples:
        raise ValueError("no sample to compare")
    if not isinstance(engine, Engine):
        with Engine(engine) as opened:
            return compare(model, opened, samples, references, threads=threads)
    handle = c.c_void_p()
    with Notes() as notes:
        call(lib.squall_comparison_create, path(model), engine._open(), threads, c.byref(handle), notes.handle,
             notes=notes)
    try:
        for k, sample in enumerate(samples):
            arrays = list(sample) if isinstance(sample, (list, tuple)) else [sample]
            tensors, held = tensors_of(arrays, engine._types)
            call(lib.squall_comparison_add, handle, tensors, len(held))
            if references is not None:
                given = references[k]
                arrays = list(given) if isinstance(given, (list, tuple)) else [given]
                tensors, held = tensors_of(arrays, [number_of(array.dtype) for array in arrays])
                call(lib.squall_comparison_add_reference, handle, tensors, len(held))
        layers = []
        for i in range(lib.squall_comparison_layer_count(handle)):
            one = CLayerError()
            call(lib.squall_comparison_layer, handle, i, c.byref(one))
            layers.append(LayerError(text(one.name) or "", text(one.op) or "", text(one.tactic) or "", one.snr_db,
                                     one.loss_db))
        return Comparison(_outputs(handle, ENGINE), tuple(layers),
                          _outputs(handle, ENGINE_ELSEWHERE) if references is not None else ())
    finally:
        lib.squall_comparison_destroy(c.byref(handle))
