"""Which records of a run a page keeps, so that ten thousand runs fit in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOST, FEWEST = 16.0, 0.5  # records an octave
Array = npt.NDArray[Any]


def octave_rate(budget: float, n_values: int, octaves: float) -> float:
    """Records an octave for which curves fit into a budget.

    Args:
      budget: bytes. n_values: curves, runs times quantities. octaves: doublings of the
        step in the longest run.
    """
    each = budget / (max(n_values, 1) * BYTES_A_VALUE)
    return float(np.clip((each - ALWAYS) / max(octaves, 1.0), FEWEST, MOST))


BYTES_A_VALUE = 0.9  # as packed, at most about; benchmarks/report.py
ALWAYS = 6  # records that are kept whatever the rate: ends and crossings


def kept(run: Array, step: Array, rate: float, crossings: Array) -> Array:
    """[n] whether each record is kept.

    The first of each 1/rate of an octave, the same ones in every run; the first and the
    last of a run; those at its crossings, and those before.

    Args:
      run: [n] which run each record is of, those of a run together, by step.
      step: [n]. crossings: [n] whether the record is at t_mem or t_grok.
    """
    place = np.floor(rate * np.log2(step.astype(float) + 1.0))
    first = np.ones(len(run), bool)
    first[1:] = run[1:] != run[:-1]
    last = np.append(first[1:], True)
    new = np.ones(len(run), bool)
    new[1:] = place[1:] != place[:-1]
    before = np.append(crossings[1:], False) & ~last
    return first | last | new | crossings | before
