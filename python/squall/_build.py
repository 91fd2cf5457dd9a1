"""From an ONNX file to an engine file."""
from __future__ import annotations

import ctypes as c
import os
from dataclasses import dataclass, fields
from typing import Mapping, Sequence, Union

from ._library import MAX_DIMS, CBucket, CBuildOptions, CBuildReport, CInputShape, Notes, call, lib, path

Path = Union[str, "os.PathLike[str]"]
Shape = Sequence[int]


@dataclass(frozen=True)
class BuildReport:
    """What a build came to; include/squall/compile.h says what each is."""
    seconds: float
    file_bytes: int
    weight_bytes: int
    nodes_in: int
    steps_out: int
    steps_on_ref: int
    arena_bytes: int
    arena_bound_bytes: int
    macs: int
    memory_bytes: int
    profile_count: int
    tactics_measured: int
    steps_by_time: int
    steps_by_guess: int
    tuned_s: float
    notes: "tuple[str, ...]" = ()


def _report(made: CBuildReport, notes: Notes) -> BuildReport:
    values = {field.name: getattr(made, field.name) for field in fields(BuildReport) if field.name != "notes"}
    return BuildReport(**values, notes=tuple(notes.lines()))


def _shape(name: str, sizes: Shape, least: int = 0, most: int = 0) -> CInputShape:
    if len(sizes) > MAX_DIMS:
        raise ValueError(f"shape of '{name}' has {len(sizes)} sizes, at most {MAX_DIMS} are taken")
    shape = CInputShape(name=name.encode(), rank=len(sizes), batch_min=least, batch_max=most)
    shape.dims[:len(sizes)] = sizes
    return shape


def _several(given: "Shape | Sequence[Shape]") -> "list[list[int]]":
    """One shape, or several, as several."""
    rows = [list(one) for one in given if not isinstance(one, int)]
    return rows if rows else [[one for one in given if isinstance(one, int)]]


def build(model: Path, engine: Path, *, shapes: "Mapping[str, Shape | Sequence[Shape]] | None" = None,
          batches: "Mapping[str, tuple[int, int, int]] | None" = None, buckets: "Sequence[tuple[int, int]]" = (),
          device: str = "cpu", precision: "str | None" = None, threads: int = 0, recipe: "str | None" = None,
          tune_seconds: float = 0.0, tactics: "Path | None" = None, tactics_strict: bool = False,
          memory_limit: int = 0) -> BuildReport:
    """Compile the model into an engine file, which appears only when it is complete.

    shapes   for inputs whose sizes are open: one, or several for a profile each
    batches  for an input, the least, usual and most of dimension 0; `shapes` need not name it then
    buckets  (height, width) of grids to plan for, where the model leaves them open
    recipe   feature recipe, JSON text, to travel in the engine
    """
    made = []
    ranges = dict(batches or {})
    for name, given in (shapes or {}).items():
        for sizes in _several(given):
            if name in ranges:
                least, usual, most = ranges[name]
                made.append(_shape(name, [usual, *sizes[1:]], least, most))
            else:
                made.append(_shape(name, sizes))
    for name, (least, usual, most) in ranges.items():
        if name not in (shapes or {}):
            made.append(_shape(name, [usual], least, most))
    options = CBuildOptions(
        struct_size=c.sizeof(CBuildOptions), device=device.encode(), threads=threads,
        shapes=(CInputShape * len(made))(*made) if made else None, shape_count=len(made),
        recipe=recipe.encode() if recipe is not None else None,
        buckets=(CBucket * len(buckets))(*(CBucket(*one) for one in buckets)) if buckets else None,
        bucket_count=len(buckets),
        memory_limit_bytes=memory_limit, tune_seconds=tune_seconds,
        tactics_path=path(tactics) if tactics is not None else None, tactics_strict=tactics_strict,
        precision=precision.encode() if precision is not None else None)
    report = CBuildReport()
    with Notes() as notes:
        call(lib.squall_build, path(model), c.byref(options), path(engine), c.byref(report), notes.handle, notes=notes)
        return _report(report, notes)


def refit(engine: Path, model: Path, out: "Path | None" = None) -> BuildReport:
    """Put the weights of another model of the same graph into an engine (or a copy of it, `out`) that keeps its
    tactics."""
    report = CBuildReport()
    with Notes() as notes:
        call(lib.squall_refit, path(engine), path(model), path(out if out is not None else engine), c.byref(report),
             notes.handle, notes=notes)
        return _report(report, notes)
