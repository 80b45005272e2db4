"""Trajectories of many runs in one table, as segments of it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from grokmap.arrays import Bools, Floats, Ints

FEWEST_RECORDS = 3  # of a trend


class Segments:
    """Trajectories sorted by run and step, seen as segments of equal run_id."""

    def __init__(self, trajectories: pd.DataFrame) -> None:
        ids = trajectories["run_id"].to_numpy()
        new = np.ones(len(ids), bool)
        new[1:] = ids[1:] != ids[:-1]
        self.start = np.flatnonzero(new)
        self.end = np.append(self.start[1:], len(ids))
        self.ids = ids[self.start]
        self.segment = np.cumsum(new) - 1
        self.step = trajectories["step"].to_numpy(np.float64)

    def first(self, holds: Bools, sustained: bool) -> Ints:
        """Row of each run's first record from which `holds` (to its end), or -1."""
        rows = np.arange(len(holds))
        if sustained:
            # One past the last record where it does not hold.
            failed = np.where(holds, self.start[self.segment] - 1, rows)
            row = np.maximum.reduceat(failed, self.start) + 1
        else:
            late = np.where(holds, rows, len(holds))
            row = np.minimum.reduceat(late, self.start)
        return np.where(row < self.end, row, -1)

    @cached_property
    def in_last_octave(self) -> Bools:
        """[rows] records from half of their run's last step on; step 0 is in none."""
        last = self.step[self.end - 1][self.segment]
        return (self.step >= last / 2) & (self.step > 0)

    def trend(self, values: Floats) -> Floats:
        """[runs] change of [rows] `values` per octave, by least squares against
        log2(step) over the last octave; NaN with fewer than three records or a NaN."""
        inside = self.in_last_octave
        x = np.log2(np.where(inside, self.step, 1.0))
        y = np.where(inside, values, 0.0)
        n, sx, sy, sxx, sxy = (
            np.add.reduceat(terms, self.start)
            for terms in (inside.astype(float), x, y, x * x, x * y)
        )
        spread = n * sxx - sx * sx
        enough = (n >= FEWEST_RECORDS) & (spread > 0)
        with np.errstate(invalid="ignore"):
            slope = (n * sxy - sx * sy) / np.where(enough, spread, 1.0)
        return np.where(enough, slope, np.nan)

    def turns(self, holds: Bools) -> Bools:
        """[runs] whether `holds` changes within the last octave."""
        inside = self.in_last_octave
        ever = np.logical_or.reduceat(inside & holds, self.start)
        always = np.logical_and.reduceat(~inside | holds, self.start)
        return ever & ~always

    def step_at(self, row: Ints) -> Floats:
        """[runs] steps of the rows; NaN for -1."""
        return np.where(row >= 0, self.step[row], np.nan)

    def resolution_at(self, row: Ints) -> Floats:
        """[runs] steps between the row and the record before it; NaN for -1."""
        before = np.maximum(row - 1, self.start)
        return np.where(row >= 0, self.step[row] - self.step[before], np.nan)
