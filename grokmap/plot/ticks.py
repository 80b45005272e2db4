"""Ticks of log axes: few, at round numbers, in one form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.ticker import Formatter, LogLocator, NullFormatter, NullLocator

from grokmap.arrays import Floats

MOST = 4  # labels that fit below a narrow panel
STEPS = (range(1, 10), (1, 2, 5), (1, 3), (1,))


class RoundLocator(LogLocator):
    """The finest of 1-2-3 to 9, 1-2-5, 1-3 and decades with at most `MOST` in view."""

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        return list(map(float, round_values(vmin, vmax)))


def round_values(low: float, high: float) -> Floats:
    """Round numbers between two positive ones; every second decade, or third and so on,
    where there are many, and both ends where no round number lies between."""
    low, high = sorted((low, high))
    if not 0 < low < high < np.inf:
        return np.array([])
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    for steps in STEPS:
        values = np.outer(10.0 ** np.arange(first, last + 1), steps).ravel()
        inside = values[(values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))]
        if len(inside) <= MOST:
            break
    if len(inside) < 2:
        return np.array([low, high])
    return inside[:: -(-len(inside) // MOST)]


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


def label_log(axis: Any) -> None:
    """Gives an axis that is on a log scale such ticks; `axes.xaxis` or `axes.yaxis`."""
    axis.set_major_locator(RoundLocator())
    axis.set_major_formatter(RoundFormatter())
    axis.set_minor_formatter(NullFormatter())


def label_bar(bar: Any, low: float, high: float) -> None:
    """The same of a colour bar from `low` to `high`, with no minor ticks."""
    values = round_values(low, high)
    bar.set_ticks(values, labels=numbers(values))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_minor_locator(NullLocator())
