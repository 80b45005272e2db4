"""Waiting times, some of them cut short: their mean, their law, and ln t against 1/T.

An escape over a barrier at rate k has exponential waiting times of mean t = 1/k, and
t = t_0 exp(barrier / T) (`theory.kramers`). Arrays in, numbers out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import chi2, norm

from grokmap.analysis.statistics import LEVEL, poisson_interval
from grokmap.arrays import Bools, Floats


class Waiting(NamedTuple):
    """Waiting times of one setting.

    n: runs; escapes: those that escaped; total: time waited by all, escaped or not;
    mean: total / escapes, inf without any; low, high: its interval; p_exponential: of
    `exponential_p_value`.
    """

    n: int
    escapes: int
    total: float
    mean: float
    low: float
    high: float
    p_exponential: float


class Arrhenius(NamedTuple):
    """ln t = log_time + barrier / T. p_straight: of the deviations from the line, NaN
    at two temperatures."""

    log_time: float
    barrier: float
    barrier_low: float
    barrier_high: float
    p_straight: float


def waiting(times: Floats, escaped: Bools, level: float = LEVEL) -> Waiting:
    """Mean waiting time by maximum likelihood, of runs that escaped or were cut short.

    Escapes at a constant rate are a Poisson process in the total time waited, so the
    interval of the mean is that of a Poisson count (`statistics.poisson_interval`).

    Args:
      times: [n] when a run escaped or, where it did not, how long it was followed.
      escaped: [n] which did.

    Raises:
      ValueError: no runs, or a time below 0.
    """
    times, escaped = np.asarray(times, np.float64), np.asarray(escaped, bool)
    if not len(times) or times.min() < 0:
        raise ValueError(f"{len(times)} times; at least one, and none below 0")
    total, k = float(times.sum()), int(escaped.sum())
    fewest, most = poisson_interval(k, level)
    mean, high = (total / count if count else np.inf for count in (k, fewest))
    p_value = exponential_p_value(times, escaped)
    return Waiting(len(times), k, total, mean, total / most, high, p_value)


def exponential_p_value(times: Floats, escaped: Bools) -> float:
    """Two-sided p of a rate of escape that does not change with the time waited.

    Laplace's test in the total time on test: before each escape but the last one, the
    time that all runs have waited by then is uniform up to that at the last escape
    (Epstein 1960; Barlow and Campo 1975). Small where escapes come later than at random
    (a path that takes its time) or sooner (several kinds of runs). NaN below five
    escapes.
    """
    order = np.sort(np.asarray(times, np.float64)[np.asarray(escaped, bool)])
    if len(order) < 5:
        return float("nan")
    on_test = np.minimum(np.asarray(times)[:, None], order).sum(axis=0)
    shares = on_test[:-1] / on_test[-1]
    z = (shares.mean() - 0.5) * np.sqrt(12 * len(shares))
    return float(2 * norm.sf(abs(z)))


def arrhenius(
    temperatures: Floats, waits: list[Waiting], level: float = LEVEL
) -> Arrhenius:
    """The line of ln t against 1/T, by maximum likelihood of the counts of escapes.

    At each temperature the count is Poisson of mean total / t(T), which uses
    temperatures without any escape too. The interval is normal, by the information
    matrix; p_straight: of the deviance, against chi-square.

    Raises:
      ValueError: fewer than two temperatures with an escape.
    """
    inverse = 1 / np.asarray(temperatures, np.float64)
    counts = np.array([w.escapes for w in waits], np.float64)
    totals = np.array([w.total for w in waits])
    if np.unique(inverse[counts > 0]).size < 2:
        raise ValueError("escapes at fewer than two temperatures: no line to fit")
    centre, spread = inverse.mean(), inverse.std()
    design = np.stack([np.ones_like(inverse), (inverse - centre) / spread], axis=1)

    def expected(line: Floats) -> Floats:
        return totals * np.exp(-design @ line)

    def misfit(line: Floats) -> float:
        return float(np.sum(expected(line) + counts * (design @ line)))

    def slope(line: Floats) -> Floats:
        return design.T @ (counts - expected(line))

    seen = counts > 0
    start = np.linalg.lstsq(design[seen], np.log(totals / np.maximum(counts, 1))[seen])
    line = minimize(misfit, start[0], jac=slope, method="BFGS").x
    covariance = np.linalg.inv(design.T @ (expected(line)[:, None] * design))
    half = norm.ppf((1 + level) / 2) * np.sqrt(covariance[1, 1]) / spread
    barrier = line[1] / spread
    logs = np.log(np.where(seen, counts, 1) / expected(line))
    deviance = 2 * np.sum(counts * logs - counts + expected(line))
    free = len(inverse) - 2
    return Arrhenius(
        float(line[0] - barrier * centre),
        float(barrier),
        float(barrier - half),
        float(barrier + half),
        float(chi2.sf(deviance, free)) if free else float("nan"),
    )


def first_below(steps: Floats, values: Floats, level: float) -> tuple[Floats, Bools]:
    """When each run first is below a level: (times, escaped), both [n].

    steps: [k] of the records; values: [n, k]. A run that never is is cut short at the
    last record.
    """
    below = np.asarray(values) < level
    escaped: Bools = np.asarray(below.any(axis=1))
    first = np.where(escaped, below.argmax(axis=1), len(steps) - 1)
    return np.asarray(steps, np.float64)[first], escaped


def table(temperatures: Floats, waits: list[Waiting]) -> pd.DataFrame:
    """One row a temperature, the coldest first: temperature and the fields of
    `Waiting`."""
    rows = pd.DataFrame(waits).assign(temperature=np.asarray(temperatures))
    return rows.sort_values("temperature").reset_index(drop=True)
