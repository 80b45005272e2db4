"""The range of the colours of a map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize


def norm_of(shades: pd.Series, log: bool) -> Normalize:
    """Colours from the least value of the cells to the largest.

    Where there are one or two, over a factor of 2 at least, or from 0 if not on a log
    scale, since a small difference would look like a large one.
    """
    values = shades[np.isfinite(shades) & ((shades > 0) | (not log))].to_numpy(float)
    kind = LogNorm if log else Normalize
    if len(values) == 0:
        return kind(1, 10)
    low, high = float(values.min()), float(values.max())
    if len(np.unique(values)) < 3:
        low, high = _widened_log(low, high) if log else _widened(low, high)
    return kind(low, high, clip=True)


def _widened_log(low: float, high: float) -> tuple[float, float]:
    factor = max(2.0, high / low) ** 0.5
    middle = (low * high) ** 0.5
    return middle / factor, middle * factor


def _widened(low: float, high: float) -> tuple[float, float]:
    low, high = min(low, 0.0), max(high, 0.0)
    return low, high if high > low else 1.0
