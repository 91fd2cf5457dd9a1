"""NumPy arrays as the library's tensors."""
from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ._library import MAX_DIMS, CTensor

# Numbers of element types; bfloat16, which NumPy has not got, is passed as uint16 with its bits.
_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
           10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64, 16: np.uint16}
BFLOAT16 = 16


def dtype_of(number: int) -> "np.dtype[Any]":
    return np.dtype(_DTYPES[number])


def shape_of(tensor: CTensor) -> "tuple[int, ...]":
    return tuple(tensor.dims[:tensor.rank])


def number_of(dtype: "np.dtype[Any]") -> int:
    for number, known in _DTYPES.items():
        if number != BFLOAT16 and dtype == known:
            return number
    raise TypeError(f"arrays of {dtype} are not taken")


def tensors_of(arrays: "Sequence[np.ndarray[Any, Any]]", types: "Sequence[int]") -> "tuple[Any, list[Any]]":
    """The arrays as tensors, and the arrays that must live as long: contiguous, of the types that are wanted."""
    held = []
    made = (CTensor * max(len(arrays), 1))()
    for i, (array, wanted) in enumerate(zip(arrays, types)):
        array = np.asarray(array)
        if array.dtype != dtype_of(wanted):
            raise TypeError(f"input {i} is {array.dtype}, and must be {dtype_of(wanted)}")
        if array.ndim > MAX_DIMS:
            raise ValueError(f"input {i} has {array.ndim} dimensions, at most {MAX_DIMS} are taken")
        array = np.require(array, requirements=("C", "A"))
        held.append(array)
        made[i].dtype, made[i].layout, made[i].rank = wanted, 0, array.ndim
        made[i].dims[:array.ndim] = array.shape
        made[i].data = array.ctypes.data
    return made, held
