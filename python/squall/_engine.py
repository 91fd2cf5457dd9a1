"""Engines: what is in them, and runs on NumPy arrays."""
from __future__ import annotations

import ctypes as c
import json
import os
import threading
from dataclasses import dataclass
from typing import Any, Mapping, Sequence, Union

import numpy as np

from ._library import CEngineOptions, CProfileInfo, CStepInfo, CTensor, Notes, call, lib, path, text
from ._tensor import dtype_of, shape_of, tensors_of



@dataclass(frozen=True)
class Port:
    """An input or output under a profile; `batches` are the least and most of dimension 0 of an input."""
    name: str
    dtype: "np.dtype[Any]"
    shape: "tuple[int, ...]"
    batches: "tuple[int, int] | None" = None


@dataclass(frozen=True)
class Step:
    """One step of a profile's plan: "Conv" by a tactic of a backend, or a "view" that nothing runs."""
    name: str
    op: str
    backend: str
    tactic: str
    shape: "tuple[int, ...]"


@dataclass(frozen=True)
class Profile:
    """One set of input shapes that the engine was planned for."""
    inputs: "tuple[Port, ...]"
    outputs: "tuple[Port, ...]"
    backend: str
    steps: "tuple[Step, ...]"
    macs: int
    arena_bytes: int
    arena_bound_bytes: int


class _Context:
    """Memory for runs with inputs of one set of types; one run at a time."""

    def __init__(self, engine: c.c_void_p, inputs: Any, count: int, outputs: int, threads: int) -> None:
        self.handle = c.c_void_p()
        call(lib.squall_context_create_for, engine, inputs, count, threads, c.byref(self.handle))
        self.outputs = []
        for i in range(outputs):
            tensor = CTensor()
            call(lib.squall_context_output, self.handle, i, c.byref(tensor))
            self.outputs.append((int(tensor.dtype), shape_of(tensor)))

    def run(self, inputs: Any, count: int) -> "list[np.ndarray[Any, Any]]":
        arrays = [np.empty(shape, dtype_of(number)) for number, shape in self.outputs]
        made = (CTensor * max(len(arrays), 1))()
        for tensor, array, (number, shape) in zip(made, arrays, self.outputs):
            tensor.dtype, tensor.layout, tensor.rank = number, 0, len(shape)
            tensor.dims[:len(shape)] = shape
            tensor.data = array.ctypes.data
        call(lib.squall_context_run, self.handle, inputs, count, made, len(arrays))
        return arrays

    def close(self) -> None:
        lib.squall_context_destroy(c.byref(self.handle))


class Engine:
    """An engine file, mapped and checked. Threads may share it; close it, or use it as a context manager.

    portable      use the plan in plain C, not this host's kernels
    native        refuse an engine that was built for another device
    trusted_keys  file of public keys, one of which must have signed it
    threads       of a run; 0: one for each processor
    """

    def __init__(self, file: "Union[str, os.PathLike[str]]", *, portable: bool = False, native: bool = False,
                 trusted_keys: "Union[str, os.PathLike[str], None]" = None, threads: int = 0) -> None:
        self._handle = c.c_void_p()
        self._threads = threads
        self._lock = threading.Lock()
        self._idle: "dict[tuple[Any, ...], list[_Context]]" = {}
        self._running = 0
        options = CEngineOptions(struct_size=c.sizeof(CEngineOptions), portable=portable, native=native,
                                 trusted_keys=path(trusted_keys) if trusted_keys is not None else None)
        with Notes() as notes:
            call(lib.squall_engine_open, path(file), c.byref(options), c.byref(self._handle), notes.handle, notes=notes)
            self.notes = tuple(notes.lines())
        self.profiles = tuple(self._profile(i) for i in range(lib.squall_engine_profile_count(self._handle)))

    def _port(self, function: Any, profile: int, index: int, batches: "tuple[int, int] | None") -> "tuple[Port, int]":
        name, tensor = c.c_char_p(), CTensor()
        call(function, self._handle, profile, index, c.byref(name), c.byref(tensor))
        return (Port(text(name.value) or "", dtype_of(tensor.dtype), shape_of(tensor), batches), int(tensor.dtype))

    def _profile(self, index: int) -> Profile:
        info = CProfileInfo()
        call(lib.squall_engine_profile, self._handle, index, c.byref(info))
        inputs = []
        self._types = []
        for i in range(lib.squall_engine_input_count(self._handle)):
            least, most = c.c_int64(), c.c_int64()
            call(lib.squall_engine_batches, self._handle, index, i, c.byref(least), c.byref(most))
            port, number = self._port(lib.squall_engine_input, index, i, (least.value, most.value))
            inputs.append(port)
            self._types.append(number)
        outputs = [self._port(lib.squall_engine_output, index, i, None)[0]
                   for i in range(lib.squall_engine_output_count(self._handle))]
        steps = tuple(self._step(index, i) for i in range(info.step_count))
        return Profile(tuple(inputs), tuple(outputs), text(info.backend) or "", steps, info.macs, info.arena_bytes,
                       info.arena_bound_bytes)

    def _step(self, profile: int, index: int) -> Step:
        step = CStepInfo()
        call(lib.squall_engine_step, self._handle, profile, index, c.byref(step))
        return Step(text(step.name) or "", text(step.op) or "", text(step.backend) or "", text(step.tactic) or "",
                    shape_of(step.output))

    @property
    def inputs(self) -> "tuple[Port, ...]":
        """Those of the first profile."""
        return self.profiles[0].inputs

    @property
    def outputs(self) -> "tuple[Port, ...]":
        return self.profiles[0].outputs

    @property
    def backend(self) -> str:
        """What the first profile runs on: "cpu avx512", "ref"."""
        return self.profiles[0].backend

    @property
    def recipe(self) -> Any:
        """The feature recipe that travels in it, or None."""
        found = text(lib.squall_engine_recipe(self._open()))
        return None if found is None else json.loads(found)

    def about(self, key: str) -> "str | None":
        """What is known of it: "model", "model_sha256", "squall_version", "isa", "command", "compiler"."""
        return text(lib.squall_engine_text(self._open(), key.encode()))

    def _open(self) -> c.c_void_p:
        if not self._handle:
            raise ValueError("the engine is closed")
        return self._handle

    def _ordered(self, inputs: "Sequence[Any]", named: "Mapping[str, Any]") -> "list[Any]":
        names = [port.name for port in self.inputs]
        arrays = list(inputs)
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            named = arrays.pop()
        if named:
            wrong = set(named) ^ set(names)
            if arrays or wrong:
                raise TypeError(f"the engine's inputs are {', '.join(names)}")
            return [named[name] for name in names]
        if len(arrays) != len(names):
            raise TypeError(f"{len(arrays)} inputs; the engine's are {', '.join(names)}")
        return arrays

    def run(self, *inputs: Any, **named: Any) -> "list[np.ndarray[Any, Any]]":
        """Run it once: the inputs in order, by name, or as one mapping. Gives the outputs in order, new arrays."""
        arrays = self._ordered(inputs, named)
        tensors, held = tensors_of(arrays, self._types)
        key = tuple(array.shape for array in held)
        with self._lock:
            self._open()
            idle = self._idle.setdefault(key, [])
            context = idle.pop() if idle else None
            self._running += 1
        try:
            if context is None:
                context = _Context(self._handle, tensors, len(held), len(self.outputs), self._threads)
            return context.run(tensors, len(held))
        finally:
            with self._lock:
                self._running -= 1
                if context is not None:
                    self._idle[key].append(context)

    def close(self) -> None:
        """Release everything; no run may be going on."""
        with self._lock:
            if self._running:
                raise RuntimeError("a run is going on")
            for contexts in self._idle.values():
                for context in contexts:
                    context.close()
            self._idle.clear()
            lib.squall_engine_close(c.byref(self._handle))

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) and not getattr(self, "_running", 1):
            self.close()

    def __repr__(self) -> str:
        return f"<squall.Engine {self.about('model')!r} on {self.backend}>" if self._handle else "<squall.Engine, closed>"
