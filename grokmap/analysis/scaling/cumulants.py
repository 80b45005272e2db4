"""Binder cumulants of an order parameter over seeds, and where sizes cross."""

from __future__ import annotations

import numpy as np

from grokmap.analysis.scaling.ensemble import Ensemble
from grokmap.analysis.statistics import binder_cumulant
from grokmap.arrays import Floats

# Differences of two sizes below this many standard errors have no sign.
CLEAR = 2.0


def binder(ensemble: Ensemble, weights: Floats, centred: bool = False) -> Floats:
    """[B, S, K] `binder_cumulant` over seeds, m the order parameter.

    It is meant for an order parameter whose distribution is symmetric about 0 in the
    disordered phase. An accuracy is not: it is about 1/p without grokking and 1 with
    it, so U is 2/3 on *both* sides; between, with a share q of seeds at 1 and the rest
    near 0, U = 1 - 1/(3 q), which falls without bound as q -> 0. A dip, not a step,
    then marks the transition, as in the cumulant of the energy, which is not centred
    either, at first-order transitions (Challa, Landau and Binder, Phys. Rev. B 34, 1841
    (1986)); a crossing of two dips may show no more than that they are shifted.

    centred: 0 where m is Gaussian about any mean, so on both sides of a transition; 2/3
    where two values are equally common; below 0 where one is rare or tails are heavy.
    So it rises to 2/3 with size where two values coexist.
    """
    return np.asarray(binder_cumulant(ensemble.order, weights, centred))


def binder_crossings(
    ensemble: Ensemble, cumulant: Floats
) -> list[list[tuple[float, float, float]]]:
    """(place, low, high) where cumulants of successive sizes cross, a list a pair.

    Args:
      cumulant: [1 + B, S, K]; row 0 of the data.

    Sizes cross between two x, next to each other among those where they differ by more
    than two bootstrap standard errors (low, high), if the sign of the difference
    changes; place by linear interpolation. Where both are 2/3 up to noise, there is no
    crossing.
    """
    difference = cumulant[:, 1:] - cumulant[:, :-1]
    with np.errstate(invalid="ignore"):
        error = _deviation(difference[1:])
        clear = np.abs(difference[0]) > CLEAR * error
    return [
        _sign_changes(ensemble.place[ok], values[ok])
        for values, ok in zip(difference[0], clear, strict=True)
    ]


def _deviation(values: Floats) -> Floats:
    """Standard deviation over the first axis of what is finite; 0 for none."""
    known = np.isfinite(values)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / n
    return np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / n)


def _sign_changes(x: Floats, y: Floats) -> list[tuple[float, float, float]]:
    turns = np.flatnonzero(y[1:] * y[:-1] < 0)
    share = y[turns] / (y[turns] - y[turns + 1])
    place = x[turns] + share * (x[turns + 1] - x[turns])
    ends = (x[turns].tolist(), x[turns + 1].tolist())
    return list(zip(place.tolist(), *ends, strict=True))
