"""Why an edge is not known: what the runs near it say."""

from __future__ import annotations

from typing import NamedTuple

from grokmap.arrays import Bools, Floats

REACH = 0.15  # of each other axis: runs so near to a place tell of its edges
MIXED = 0.15  # share of runs on the wrong side of the edge, above which they disagree

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
    wrong: Bools,
    open_: Bools,
    span: tuple[float, float],
) -> Near:
    """What the runs near an edge say, and why it is not known better.

    Args:
      along: [n] places of the runs on the axis of the edge, in [0, 1]. apart: [n, d-1]
        their distances from the place of the edge on each other axis, in units of it.
      wrong: [n] whether each run did otherwise than the model says of its place; open_:
        [n] whether it was cut short. span: the stretch of the axis with the edge.
    """
    beside = (apart <= REACH).all(axis=1) & (along >= span[0]) & (along <= span[1])
    n_runs, n_open = int(beside.sum()), int((beside & open_).sum())
    if not n_runs:
        return Near(0, 0, UNEXPLORED)
    if 2 * n_open >= n_runs:
        return Near(n_runs, n_open, CUT)
    n_wrong = int((beside & wrong & ~open_).sum())
    differs = n_wrong >= 2 and n_wrong > MIXED * (n_runs - n_open)
    return Near(n_runs, n_open, DIFFER if differs else FEW)
