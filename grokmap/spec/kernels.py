"""Tangent kernels as they are recorded: a column an entry, and matrices again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grokmap.arrays import Floats, Ints

PREFIX = "tangent_kernel_"
MOST_EXAMPLES = 40  # of a recorded kernel: 820 columns; a file may have 1000


class Kernels(NamedTuple):
    """The tangent kernels recorded along a run.

    steps: [r]; examples: [m] rows of the run's examples, as in `Network.inputs`;
    values: [r, m, m] sum over outputs c of <df_c(x)/dtheta, df_c(y)/dtheta>, symmetric;
    NaN where a run has diverged.
    """

    steps: Ints
    examples: Ints
    values: Floats


def kernel_columns(n: int) -> tuple[str, ...]:
    """Names of the entries of the upper triangle of an [n, n] kernel, row by row."""
    return tuple(f"{PREFIX}{i:02}_{j:02}" for i in range(n) for j in range(i, n))


def is_kernel_column(name: str) -> bool:
    """Whether a column of trajectories is an entry of a kernel, and no quantity."""
    return name.startswith(PREFIX)


def evenly(n: int, of: int) -> Ints:
    """[n] places spread evenly over `of` examples of the probe set."""
    return np.arange(n) * of // n


def matrices(n: int, entries: Floats) -> Floats:
    """[r, n, n] kernels of their upper triangles [r, n (n + 1) / 2]."""
    rows, columns = np.triu_indices(n)
    values = np.empty((len(entries), n, n))
    values[:, rows, columns] = values[:, columns, rows] = entries
    return values
