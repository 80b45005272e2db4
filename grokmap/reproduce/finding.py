"""One compared number of a reproduction."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Finding(NamedTuple):
    """One published number, its tolerance, and what was measured.

    quantity: what, and at which setting; published, tolerance: as stated before the
    run; measured: the number or words; spread: over seeds ("" where there is none);
    holds: whether it is within the tolerance.
    """

    quantity: str
    published: str
    tolerance: str
    measured: str
    spread: str
    holds: bool


def spread(values: pd.Series) -> str:
    """Lowest to highest over runs; how many are never."""
    if values.isna().any():
        return f"{int(values.isna().sum())} of {len(values)} never"
    if values.empty:
        return ""
    low, high = values.min(), values.max()
    return " to ".join(f"{x:.3g}" if x < 1000 else f"{x:.0f}" for x in (low, high))
