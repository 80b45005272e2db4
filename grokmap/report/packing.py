"""Arrays as text in a page: planes of bytes, gzip, base64.

Bytes of equal place stand together, so that they compress well. Curves are rounded to
short floats, 12 binary digits, and hold differences from record to record.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DROPPED = 12  # of the 24 binary digits of a float32, in curves


class Packed(NamedTuple):
    """layout: for each array its name, kind (u: whole from 0, i: whole, f: float), its
    planes and length, in order; data: base64 of the gzip of all planes."""

    layout: list[dict[str, Any]]
    data: str

    @property
    def size(self) -> int:
        """Bytes of the gzip."""
        return len(self.data) * 3 // 4


def pack(arrays: Mapping[str, Array]) -> Packed:
    """Arrays of one dimension by name: whole numbers, float32 or float64.

    The same arrays give the same text.
    """
    layout, parts = [], []
    for name, array in arrays.items():
        kind, planes = _planes(array)
        entry = {"name": name, "kind": kind, "planes": len(planes)}
        layout.append({**entry, "length": len(array)})
        parts += [plane.tobytes() for plane in planes]
    data = gzip.compress(b"".join(parts), 6, mtime=0)
    return Packed(layout, base64.b64encode(data).decode())


def _planes(array: Array) -> tuple[str, Array]:
    """Kind, and [planes, length] bytes, the lowest first."""
    kind = array.dtype.kind
    if kind == "f":
        whole = array.astype(f"<f{array.itemsize}")
        return "f", _bytes(whole, array.itemsize)
    if kind == "i":
        array = zigzag(array)
    wide = array.astype("<u8")
    most = int(wide.max()) if len(wide) else 0
    return ("i" if kind == "i" else "u"), _bytes(wide, -(-most.bit_length() // 8))


def _bytes(array: Array, n_planes: int) -> Array:
    raw = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), array.itemsize)
    return np.ascontiguousarray(raw[:, :n_planes].T)


def zigzag(values: Array) -> Array:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    wide = values.astype(np.int64)
    return ((wide << 1) ^ (wide >> 63)).astype(np.uint64)


def short(values: Array) -> Array:
    """float32 as whole numbers of the same order, relative error at most 2^-12.

    Infinities stay; every NaN is the same.
    """
    clean = np.where(np.isnan(values), np.float32(np.nan), values.astype(np.float32))
    bits = clean.view(np.uint32).astype(np.int64)
    size = ((bits & 0x7FFFFFFF) + (1 << (DROPPED - 1))) >> DROPPED
    return np.where(bits >> 31 & (size > 0), -size, size)


def long(codes: Array) -> Array:
    """The float32 that `short` gave these codes."""
    codes = codes.astype(np.int64)
    bits = (np.abs(codes) << DROPPED) | np.where(codes < 0, 1 << 31, 0)
    return bits.astype(np.uint32).view(np.float32)


def differences(codes: Array, starts: Array) -> Array:
    """Each minus the one before; at `starts` of a curve, itself."""
    steps = np.diff(codes.astype(np.int64), prepend=0)
    steps[starts] = codes[starts]
    return steps
