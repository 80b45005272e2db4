"""Synthetic diagrams whose edges are known, and how often intervals cover them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from grokmap.analysis.boundaries import MAX, MEASURED, MIN, Edge, Row, edges
from grokmap.arrays import Bools, Floats, Ints

SPAN = (np.log(1e-4), 0.0)  # of the axis, in its log
ROWS = 5


class Planted(NamedTuple):
    """Settings of synthetic diagrams.

    cells: places along x; seeds: runs in each; width: of the logistic edges, in units
    of the distance of cells; budget: steps after which runs are cut (None: never);
    height: P(grok) inside the wedge. An edge is where P(grok) is 1/2.
    """

    cells: int
    seeds: int
    width: float
    budget: float | None = None
    height: float = 1.0


def diagram(
    planted: Planted, rng: np.random.Generator
) -> tuple[list[Row], list[dict[str, float]]]:
    """ROWS rows, and where their edges are."""
    x = np.linspace(*SPAN, planted.cells)
    length, gap = SPAN[1] - SPAN[0], x[1] - x[0]
    rows, truth = [], []
    for _ in range(ROWS):
        low = SPAN[0] + length * rng.uniform(0.15, 0.35)
        high = SPAN[0] + length * rng.uniform(0.65, 0.85)
        width = planted.width * gap
        at_half = logit(0.5 / planted.height)
        p = expit((x - low) / width + at_half) * expit((high - x) / width + at_half)
        p = planted.height * p
        groks = rng.random((planted.seeds, planted.cells)) < p
        yes, no, undecided = _cut(groks, x, planted.budget, rng)
        rows.append(Row(x, yes, no, undecided))
        truth.append({MIN: low, MAX: high})
    return rows, truth


def _cut(
    groks: Bools,
    x: Floats,
    budget: float | None,
    rng: np.random.Generator,
) -> tuple[Ints, ...]:
    """Runs by outcome when each is cut at `budget` steps.

    t_grok is some 2.7 decay times, a run that never groks is followed for 6; the decay
    time is 1/lambda.
    """
    if budget is None:
        return groks.sum(0), (~groks).sum(0), np.zeros(len(x), np.int64)
    t_grok = 2.7 * np.exp(0.3 * rng.normal(size=groks.shape)) / np.exp(x)
    horizon = np.broadcast_to(6 / np.exp(x), groks.shape)
    yes, no = groks & (t_grok <= budget), ~groks & (horizon <= budget)
    return yes.sum(0), no.sum(0), (~yes & ~no).sum(0)


Method = Callable[[list[Row]], list[dict[str, Edge]]]


def found(
    planted: Planted, repetitions: int, method: Method = edges
) -> Iterator[tuple[str, Edge, float]]:
    """(name, edge, truth) of every edge of `repetitions` diagrams."""
    rng = np.random.default_rng(7)
    for _ in range(repetitions):
        rows, truth = diagram(planted, rng)
        for own, where in zip(method(rows), truth, strict=True):
            for name, edge in own.items():
                yield name, edge, where[name]


def coverage(planted: Planted, repetitions: int, method: Method = edges) -> float:
    """Share of the measured edges whose 95% interval holds the truth."""
    hits = [
        edge.low <= truth <= edge.high
        for _, edge, truth in found(planted, repetitions, method)
        if edge.status == MEASURED
    ]
    return float(np.mean(hits))


def bootstrap(rows: list[Row]) -> list[dict[str, Edge]]:
    """The lower edge of each row by maximum likelihood, resampling runs in each cell.

    What `boundaries` does not do; here to be compared with it.
    """
    rng = np.random.default_rng(3)
    result = []
    for row in rows:
        places = [_fit(row, yes) for yes in _resampled(row, rng)]
        low, middle, high = np.quantile(places, (0.025, 0.5, 0.975))
        result.append({MIN: Edge(MEASURED, middle, low, high)})
    return result


def _resampled(row: Row, rng: np.random.Generator) -> Iterator[Ints]:
    total = row.yes + row.no
    for _ in range(50):
        yield rng.binomial(total, row.yes / np.maximum(total, 1))


def _fit(row: Row, yes: Ints) -> float:
    left = row.x <= (SPAN[0] + SPAN[1]) / 2
    x, k, n = row.x[left], yes[left], (row.yes + row.no)[left]
    gap = x[1] - x[0]

    def loss(theta: Floats) -> float:
        z = (x - theta[0]) / np.exp(
            np.clip(theta[1], np.log(gap / 50), np.log(5 * gap))
        )
        return float(-(k * -np.logaddexp(0, -z) - (n - k) * np.logaddexp(0, z)).sum())

    start = x[np.argmax(np.cumsum(2 * k - n) == np.cumsum(2 * k - n).min())] + gap / 2
    best = minimize(loss, [start, np.log(gap / 4)], method="Nelder-Mead")
    return float(best.x[0])
