"""The C library: where it is, its structs and functions, its failures as exceptions."""
from __future__ import annotations

import ctypes as c
import ctypes.util
import os
import warnings
from typing import Any

MAX_DIMS = 8
KEY_TEXT = 65


class Error(Exception):
    """A call that failed: `code` ("SQUALL_E_SHAPE"), `where` (the thing at fault), `text` (what is wrong, and what to
    do), `notes` (what else there is to say: each node that is not supported)."""

    def __init__(self, code: str, where: str, text: str, notes: "list[str] | None" = None) -> None:
        super().__init__(f"{where}: {text} ({code})")
        self.code, self.where, self.text, self.notes = code, where, text, notes or []


class CError(c.Structure):
    _fields_ = [("code", c.c_int), ("where", c.c_char * 128), ("text", c.c_char * 384)]


class CTensor(c.Structure):
    _fields_ = [("dtype", c.c_int), ("layout", c.c_int), ("rank", c.c_uint32), ("dims", c.c_int64 * MAX_DIMS),
                ("data", c.c_void_p)]


class CInputShape(c.Structure):
    _fields_ = [("name", c.c_char_p), ("rank", c.c_uint32), ("dims", c.c_int64 * MAX_DIMS), ("batch_min", c.c_int64),
                ("batch_max", c.c_int64)]


class CBucket(c.Structure):
    _fields_ = [("height", c.c_int64), ("width", c.c_int64)]


class CBuildOptions(c.Structure):
    """The members that this package knows; struct_size tells the library where they end."""
    _fields_ = [("struct_size", c.c_uint32), ("device", c.c_char_p), ("threads", c.c_int32),
                ("shapes", c.POINTER(CInputShape)), ("shape_count", c.c_size_t), ("recipe", c.c_char_p),
                ("buckets", c.POINTER(CBucket)), ("bucket_count", c.c_size_t), ("memory_limit_bytes", c.c_size_t),
                ("tune_seconds", c.c_double), ("tactics_path", c.c_char_p), ("tactics_strict", c.c_int32),
                ("precision", c.c_char_p)]


class CBuildReport(c.Structure):
    _fields_ = [("seconds", c.c_double), ("file_bytes", c.c_size_t), ("weight_bytes", c.c_size_t),
                ("nodes_in", c.c_uint32), ("steps_out", c.c_uint32), ("steps_on_ref", c.c_uint32),
                ("arena_bytes", c.c_size_t), ("arena_bound_bytes", c.c_size_t), ("macs", c.c_uint64),
                ("memory_bytes", c.c_size_t), ("profile_count", c.c_uint32), ("tactics_measured", c.c_uint32),
                ("steps_by_time", c.c_uint32), ("steps_by_guess", c.c_uint32), ("tuned_s", c.c_double),
                ("later", c.c_char * 512)]  # room for what a newer library adds


class CEngineOptions(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("portable", c.c_int32), ("native", c.c_int32),
                ("trusted_keys", c.c_char_p)]


class CProfileInfo(c.Structure):
    _fields_ = [("arena_bytes", c.c_size_t), ("arena_bound_bytes", c.c_size_t), ("macs", c.c_uint64),
                ("step_count", c.c_uint32), ("backend", c.c_char_p), ("later", c.c_char * 256)]


class CStepInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("op", c.c_char_p), ("backend", c.c_char_p), ("tactic", c.c_char_p),
                ("output", CTensor), ("later", c.c_char * 256)]


class COutputError(c.Structure):
    _fields_ = [("name", c.c_char_p), ("psnr_db", c.c_double), ("max_abs", c.c_double), ("relative", c.c_double),
                ("later", c.c_char * 256)]


class CLayerError(c.Structure):
    _fields_ = [("name", c.c_char_p), ("op", c.c_char_p), ("tactic", c.c_char_p), ("snr_db", c.c_double),
                ("loss_db", c.c_double), ("later", c.c_char * 256)]


def _open() -> c.CDLL:
    found = os.environ.get("SQUALL_LIBRARY") or ctypes.util.find_library("squall") or "libsquall.so.0"
    try:
        return c.CDLL(found)
    except OSError as problem:
        raise ImportError(f"squall's library cannot be loaded ({problem}); install it with cmake --install, or say where "
                          "it is by SQUALL_LIBRARY=/path/libsquall.so.0") from None


lib = _open()

_P, _S, _I32 = c.c_void_p, c.c_char_p, c.c_int32
_PP, _ERR, _NOTES = c.POINTER(c.c_void_p), c.POINTER(CError), c.c_void_p
_TENSORS = c.POINTER(CTensor)
_PORT = [_P, c.c_size_t, c.c_size_t, c.POINTER(_S), _TENSORS, _ERR]

# Every function that is called, as its header declares it: what it returns, what it takes.
_FUNCTIONS: "dict[str, tuple[Any, list[Any]]]" = {
    "squall_version": (_S, []),
    "squall_status_name": (_S, [c.c_int]),
    "squall_notes_create": (_P, []),
    "squall_notes_destroy": (None, [_PP]),
    "squall_notes_count": (c.c_size_t, [_P]),
    "squall_notes_get": (_S, [_P, c.c_size_t]),
    "squall_build": (c.c_int, [_S, c.POINTER(CBuildOptions), _S, c.POINTER(CBuildReport), _NOTES, _ERR]),
    "squall_refit": (c.c_int, [_S, _S, _S, c.POINTER(CBuildReport), _NOTES, _ERR]),
    "squall_engine_open": (c.c_int, [_S, c.POINTER(CEngineOptions), _PP, _NOTES, _ERR]),
    "squall_engine_close": (None, [_PP]),
    "squall_engine_profile_count": (c.c_size_t, [_P]),
    "squall_engine_profile": (c.c_int, [_P, c.c_size_t, c.POINTER(CProfileInfo), _ERR]),
    "squall_engine_step": (c.c_int, [_P, c.c_size_t, c.c_size_t, c.POINTER(CStepInfo), _ERR]),
    "squall_engine_input_count": (c.c_size_t, [_P]),
    "squall_engine_output_count": (c.c_size_t, [_P]),
    "squall_engine_input": (c.c_int, _PORT),
    "squall_engine_output": (c.c_int, _PORT),
    "squall_engine_batches": (c.c_int, [_P, c.c_size_t, c.c_size_t, c.POINTER(c.c_int64), c.POINTER(c.c_int64), _ERR]),
    "squall_engine_recipe": (_S, [_P]),
    "squall_engine_text": (_S, [_P, _S]),
    "squall_context_create_for": (c.c_int, [_P, _TENSORS, c.c_size_t, _I32, _PP, _ERR]),
    "squall_context_destroy": (None, [_PP]),
    "squall_context_output": (c.c_int, [_P, c.c_size_t, _TENSORS, _ERR]),
    "squall_context_run": (c.c_int, [_P, _TENSORS, c.c_size_t, _TENSORS, c.c_size_t, _ERR]),
    "squall_comparison_create": (c.c_int, [_S, _P, _I32, _PP, _NOTES, _ERR]),
    "squall_comparison_destroy": (None, [_PP]),
    "squall_comparison_add": (c.c_int, [_P, _TENSORS, c.c_size_t, _ERR]),
    "squall_comparison_add_reference": (c.c_int, [_P, _TENSORS, c.c_size_t, _ERR]),
    "squall_comparison_output_count": (c.c_size_t, [_P]),
    "squall_comparison_output": (c.c_int, [_P, c.c_int, c.c_size_t, c.POINTER(COutputError), _ERR]),
    "squall_comparison_layer_count": (c.c_size_t, [_P]),
    "squall_comparison_layer": (c.c_int, [_P, c.c_size_t, c.POINTER(CLayerError), _ERR]),
    "squall_key_create": (c.c_int, [_S, _S, _S, _ERR]),
    "squall_engine_sign": (c.c_int, [_S, _S, _S, _S, _ERR]),
    "squall_engine_verify": (c.c_int, [_S, _S, _S, _ERR]),
}
for _name, (_result, _arguments) in _FUNCTIONS.items():
    try:
        _function = getattr(lib, _name)
    except AttributeError:
        raise ImportError(f"squall's library has no {_name}: it is older than this package") from None
    _function.restype, _function.argtypes = _result, _arguments


def library_version() -> str:
    """The version of the library that is loaded."""
    return text(lib.squall_version()) or ""


def text(value: "bytes | None") -> "str | None":
    return None if value is None else value.decode("utf-8", "replace")


def path(value: "str | os.PathLike[str]") -> bytes:
    return os.fsencode(value)


class Notes:
    """What a call could cope with, as a context manager: warned of at the end, or part of the exception."""

    def __enter__(self) -> "Notes":
        self.handle = c.c_void_p(lib.squall_notes_create())
        return self

    def lines(self) -> "list[str]":
        return [text(lib.squall_notes_get(self.handle, i)) or "" for i in range(lib.squall_notes_count(self.handle))]

    def warn(self) -> None:
        for line in self.lines():
            warnings.warn(line, stacklevel=4)

    def __exit__(self, *_: object) -> None:
        lib.squall_notes_destroy(c.byref(self.handle))


def call(function: Any, *arguments: Any, notes: "Notes | None" = None) -> None:
    """Call a function whose last argument is an error; raise what it reports."""
    err = CError()
    status = function(*arguments, c.byref(err))
    if status != 0:
        raise Error(text(lib.squall_status_name(status)) or str(status), text(err.where) or "", text(err.text) or "",
                    notes.lines() if notes is not None else None)
