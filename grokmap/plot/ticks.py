"""Ticks: few, at round numbers or at the values that were swept, in one form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.ticker import (
    Formatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from grokmap.arrays import Floats
from grokmap.plot.figure import length

EVERY = 10**6
MOST = 4  # labels that fit below a narrow panel
FEW = 7  # values that have a tick each
GAP = 0.5  # between labels, in letters
STEPS = (range(1, 10), (1, 2, 5), (1, 3), (1,))


class RoundLocator(LogLocator):
    """The finest of 1-2-3 to 9, 1-2-5, 1-3 and decades with at most `most` in view."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self.most = most

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        return list(map(float, round_values(vmin, vmax, self.most)))


def round_values(low: float, high: float, most: int = MOST) -> Floats:
    """Round numbers between two positive ones; every second decade, or third and so on,
    where there are many, and both ends where no round number lies between."""
    low, high = sorted((low, high))
    if not 0 < low < high < np.inf:
        return np.array([])
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for steps in STEPS:
        values = np.outer(10.0 ** np.arange(first, last + 1), steps).ravel()
        inside = values[(values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))]
        if len(inside) <= most:
            break
    if len(inside) < 2:
        return np.array([low, high])
    return inside[:: -(-len(inside) // most)]


class RoundFormatter(Formatter):
    """All ticks of an axis in one form; see `numbers`."""

    def __call__(self, value: float, place: int | None = None) -> str:
        return numbers([value])[0]

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        return numbers(values)


def numbers(values: Iterable[float]) -> list[str]:
    """Positive numbers in plain digits if all are from 0.001 to 99999, else all as
    powers of ten."""
    values = list(values)
    if all(1e-3 * (1 - 1e-9) <= value < 1e5 for value in values):
        return [f"{value:.5g}" if value >= 1000 else f"{value:.3g}" for value in values]
    return [_power(value) for value in values]


def _power(value: float) -> str:
    power = int(np.floor(np.log10(value * (1 + 1e-9))))
    factor = value / 10.0**power
    head = "" if np.isclose(factor, 1) else rf"{factor:.2g} \times "
    return f"${head}10^{{{power}}}$"


def number(value: float) -> str:
    """One number in a sentence, to three digits: 0, 0.00232, 3.4 x 10^5 in math."""
    if value < 0:
        return f"\N{MINUS SIGN}{number(-value)}"
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    if 1e-3 * (1 - 1e-9) <= value < 1e5:
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return _power(value)


def most_below(ems: float) -> int:
    """How many labels fit below a panel of so many letters."""
    return int(np.clip(ems / 3.1, 2, MOST))


def round_powers(low: float, high: float, most: int = 5) -> list[float]:
    """Powers of 2 between two positive numbers, 1 among them: each, or every second."""
    first, last = int(np.ceil(np.log2(low))), int(np.floor(np.log2(high)))
    step = max(1, -(-(last - first + 1) // most))
    powers = [n for n in range(first, last + 1) if n % step == 0]
    return [2.0**n for n in powers]


def fraction(value: float) -> str:
    """A power of 2 as it is read: 4, 1, 1/2, 1/8."""
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"


def label_log(axis: Any, most: int = MOST) -> None:
    """Gives an axis that is on a log scale such ticks; `axes.xaxis` or `axes.yaxis`."""
    axis.set_major_locator(RoundLocator(most))
    axis.set_major_formatter(RoundFormatter())
    axis.set_minor_formatter(NullFormatter())


def label_linear(axis: Any, most: int = MOST) -> None:
    """Few ticks at round numbers for an axis that is on a linear scale."""
    axis.set_major_locator(MaxNLocator(most, steps=(1, 2, 2.5, 5, 10)))


def label_swept(
    axis: Any, values: Floats, shares: Floats, places: Floats, log: bool, ems: float
) -> bool:
    """Ticks at the values of an axis if these are few and their labels have room.

    On a log axis only where three digits say the values, else decades are read better.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`, so many letters long.
      values, shares, places: sorted; where each stands, as a share of the axis and in
        its coordinates.

    Returns:
      Whether it has them now.
    """
    if not 1 <= len(values) <= FEW or (log and not _are_short(values)):
        return False
    labels = _labels(values, log)
    upright = axis.axis_name == "y"
    sizes = np.array([1.0 if upright else length(label) for label in labels])
    apart = np.diff(shares) * ems - (sizes[1:] + sizes[:-1]) / 2
    if np.any(apart < (0.1 if upright else GAP)):
        return False
    axis.set_ticks(places, labels=labels)
    return True


def _are_short(values: Floats) -> bool:
    return np.allclose([float(f"{value:.3g}") for value in values], values, rtol=1e-6)


def _labels(values: Floats, log: bool) -> list[str]:
    if not log:
        return [number(float(value)) for value in values]
    return ["0" for value in values if value == 0] + numbers(values[values > 0])


def label_zero(axis: Any, zero: float, low: float, high: float, most: int) -> None:
    """Ticks of a log axis from `low` to `high` on which 0 stands at `zero` below.

    None so near to 0 that their labels would touch.
    """
    ticks = round_values(low, high, most) if high > low else np.array([low])
    gap = np.log(high / zero) / (most + 1)
    ticks = ticks[np.log(ticks / zero) >= gap]
    axis.set_ticks([zero, *ticks], labels=["0", *numbers(ticks)])
    # From 0 to the least value there is no scale to be read.
    axis.set_ticks(round_values(low, high, EVERY), minor=True)


def label_bar(bar: Any, low: float, high: float, most: int = MOST) -> None:
    """The same of a colour bar from `low` to `high`, with no minor ticks."""
    values = round_values(low, high, most)
    bar.set_ticks(values, labels=numbers(values))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_minor_locator(NullLocator())
