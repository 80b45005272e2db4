"""Why an edge is not known: what the runs near it say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from grokmap.arrays import Bools, Floats

REACH = 0.15  # of each other axis: runs so near to a place tell of its edges
MIXED = 0.15  # share of runs on the wrong side of the best edge, from which they differ

UNEXPLORED = "no run near it"
CUT = "runs near it are censored"
DIFFER = "runs near it disagree"
FEW = "few runs near it"


class Near(NamedTuple):
    """Runs near an edge: how many, and how many of them a budget cut short."""

    n_runs: int
    n_open: int
    why: str


def near(
    along: Floats,
    apart: Floats,
    grokked: Bools,
    open_: Bools,
    span: tuple[float, float],
    rising: bool,
) -> Near:
    """What the runs near an edge say, and why it is not known better.

    Args:
      along: [n] places of the runs on the axis of the edge, in [0, 1]. apart: [n, d-1]
        their distances from the place of the edge on each other axis, in units of it.
      span: the stretch of the axis in which the edge is; rising: whether grokking
        begins there.
    """
    beside = (apart <= REACH).all(axis=1) & (along >= span[0]) & (along <= span[1])
    n_runs, n_open = int(beside.sum()), int((beside & open_).sum())
    decided = beside & ~open_
    if not n_runs:
        return Near(0, 0, UNEXPLORED)
    if 2 * n_open >= n_runs:
        return Near(n_runs, n_open, CUT)
    order = np.argsort(along[decided])
    labels = grokked[decided][order]
    wrong = misplaced(labels if rising else ~labels)
    is_mixed = wrong >= 2 and wrong > MIXED * len(labels)
    return Near(n_runs, n_open, DIFFER if is_mixed else FEW)


def misplaced(labels: Bools) -> int:
    """Of labels [n] in order, how many are on the wrong side of the best step from
    False to True."""
    before = np.concatenate([[0], np.cumsum(labels)])
    after = np.concatenate([np.cumsum(~labels[::-1])[::-1], [0]])
    return int((before + after).min())
