"""Who an engine is from."""
from __future__ import annotations

import ctypes as c
import os
from typing import Union

from ._library import KEY_TEXT, call, lib, path

Path = Union[str, "os.PathLike[str]"]


def keygen(name: Path, comment: "str | None" = None) -> str:
    """Make NAME.key (secret) and NAME.pub; the public key in hexadecimal."""
    key = c.create_string_buffer(KEY_TEXT)
    call(lib.squall_key_create, path(name), comment.encode() if comment is not None else None, key)
    return key.value.decode()


def sign(engine: Path, key: Path, out: "Path | None" = None) -> str:
    """Sign an engine (or a copy of it, `out`) with a secret key; the public key of the signer."""
    signer = c.create_string_buffer(KEY_TEXT)
    call(lib.squall_engine_sign, path(engine), path(key), path(out) if out is not None else None, signer)
    return signer.value.decode()


def verify(engine: Path, keys: Path) -> str:
    """Hold an engine against a file of trusted keys, to the last byte; the public key of the signer."""
    signer = c.create_string_buffer(KEY_TEXT)
    call(lib.squall_engine_verify, path(engine), path(keys), signer)
    return signer.value.decode()
