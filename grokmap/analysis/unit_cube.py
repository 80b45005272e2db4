"""Swept axes as the sides of a unit cube, in which surfaces are fitted, and back.

A log axis is evenly spaced in its log. New values lie on axes of real numbers alone:
integers and choices keep the sweep's own, since each of them takes a compile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.arrays import Bools, Floats
from grokmap.spec.axis import Axis

DIGITS = 6  # that a new value is written with


class Side(NamedTuple):
    """One axis: its ends become 0 and 1."""

    axis: Axis

    @property
    def _ends(self) -> tuple[float, float]:
        if self.axis.kind == "choice":
            return 0.0, max(1.0, len(self.axis.values) - 1.0)
        values = [float(v) for v in self.axis.values]
        able = [v for v in values if v > 0] if self.axis.is_log else values
        low, high = (self._scaled(end) for end in (min(able), max(able)))
        return low, high

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.axis.is_log else float(value)

    def unit(self, values: Sequence[Any] | pd.Series) -> Floats:
        """[n] places in [0, 1]; NaN of a value that a log axis has no place for (0)."""
        if self.axis.kind == "choice":
            places = np.array([self.axis.values.index(v) for v in values], float)
        else:
            places = np.asarray(values, np.float64)
            if self.axis.is_log:
                places = np.log(np.where(places > 0, places, np.nan))
        low, high = self._ends
        return (places - low) / (high - low)

    def value(self, place: float) -> Any:
        """The value at a place in [0, 1]: of `DIGITS` digits within the ends of a real
        axis, else the sweep's own value whose place is nearest."""
        low, high = self._ends
        if not self.axis.is_real:
            own = self.axis.values
            nearest = int(np.argmin(np.abs(self.unit(own) - place)))
            return own[nearest]
        scaled = low + (high - low) * place
        value = math.exp(scaled) if self.axis.is_log else scaled
        rounded = float(f"{value:.{DIGITS}g}")
        ends = [float(v) for v in self.axis.values]
        return min(max(rounded, min(ends)), max(ends))

    @property
    def width(self) -> float:
        """Of the axis, in decades if it is read as its log, else in its own units."""
        low, high = self._ends
        return (high - low) / (math.log(10) if self.axis.is_log else 1.0)


class Cube(NamedTuple):
    """Swept axes, each a side."""

    sides: tuple[Side, ...]

    @property
    def names(self) -> list[str]:
        return [side.axis.name for side in self.sides]

    @property
    def categorical(self) -> tuple[int, ...]:
        """Which sides are choices, that have no order."""
        return self._of(lambda side: side.axis.kind == "choice")

    @property
    def compiled(self) -> tuple[int, ...]:
        """Which sides have the sweep's own values only."""
        return self._of(lambda side: not side.axis.is_real)

    def _of(self, wanted: Any) -> tuple[int, ...]:
        return tuple(i for i, side in enumerate(self.sides) if wanted(side))

    def points(self, rows: pd.DataFrame) -> Floats:
        """[n, d] places of rows that have a column for each axis."""
        return np.stack([s.unit(rows[s.axis.name]) for s in self.sides], axis=1)

    def rows(self, points: Floats) -> pd.DataFrame:
        """The values at places [n, d]: one row each, one column an axis."""
        columns = zip(self.sides, np.asarray(points).T, strict=True)
        return pd.DataFrame({s.axis.name: [s.value(u) for u in c] for s, c in columns})

    def spread(self, count: int, skip: int = 0) -> Floats:
        """[count, d] places that fill the cube evenly, and exist: those of rounded
        values, each integer and choice as often as the others.

        skip: places of the same sequence (Sobol's) to leave out before them, so that
        other calls give other places.
        """
        from scipy.stats import qmc  # takes a third of a second to load

        sequence = qmc.Sobol(len(self.sides), scramble=False)
        # The first is the corner of zeros.
        sequence.fast_forward(skip + 1)
        points = np.asarray(sequence.random(count), np.float64)
        for i in self.compiled:
            own = self.sides[i].unit(self.sides[i].axis.values)
            points[:, i] = own[(points[:, i] * len(own)).astype(int)]
        return self.points(self.rows(points))

    def grid(self, counts: Sequence[int]) -> Floats:
        """[m, d] the product of so many evenly spaced places on each real side, and of
        all own values on each other one, whatever its count."""
        sides = [
            np.linspace(0, 1, count)
            if side.axis.is_real
            else np.sort(side.unit(side.axis.values))
            for side, count in zip(self.sides, counts, strict=True)
        ]
        return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, len(sides))


def are_new(points: Floats, made: Floats) -> Bools:
    """[n] whether each place is none of those made, nor of an earlier one."""
    seen = {tuple(place) for place in np.round(made, 9)}
    new = np.zeros(len(points), bool)
    for i, place in enumerate(map(tuple, np.round(points, 9))):
        new[i] = place not in seen
        seen.add(place)
    return new
