"""Bands of surfaces over several axes, and what finds them soonest: JSON on stdout.

    python benchmarks/level_sets.py PART > benchmarks/results/surface_PART.json

PART is one of these. coverage: how often both bands hold the planted edges at all of 16
places at once, from runs that are spread evenly; orders: the same with a smoother
kernel, where edges have kinks. strategies: share of the box on the wrong side of the
edge against the number of runs and their cost. seconds: of CPU time, one thread, on the
smooth surface in three dimensions. The planted surfaces are those of
`tests/surfaces.py`. Some minutes on an idle core.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

# One thread: the matrices are small.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np  # noqa: E402
from scipy.stats import qmc  # noqa: E402
from surfaces import (  # noqa: E402
    KINKED,
    SHAPES,
    SMOOTH,
    Array,
    Planted,
    covered,
    fitted,
    misplaced,
    places,
    rows_of,
)

from grokmap.analysis import gaussian_process as gp  # noqa: E402
from grokmap.analysis.acquisition import STRATEGIES, propose  # noqa: E402
from grokmap.analysis.level_sets import fit, level_set, precision  # noqa: E402

AXES = (2, 3, 4)
# Runs, seeds at each place, whether runs are cut short, repeats.
SETTINGS = (
    (96, 1, False, 8),
    (96, 2, False, 8),
    (300, 1, False, 8),
    (300, 2, False, 6),
    (300, 1, True, 8),
)
ORDERS_REPEATS = 14
CUT = 0.3  # of the axis below which runs are cut short
FIRST = 5000  # of the numbers of the shapes here; others were tried while building
START, BATCH, MOST, LOOPS = 32, 16, 128, 4
WIDTHS = (0.04, 0.01)
CANDIDATES = 256
SLOWEST = 3.0  # ln of the cost of a run at the weak end of the axis over the strong


def coverage() -> Iterator[dict[str, Any]]:
    for (runs, seeds, censored, repeats), axes, shape in product(
        SETTINGS, AXES, SHAPES
    ):
        held, halves, measured = 0, [], 0
        for number in range(FIRST, FIRST + repeats):
            planted = Planted(axes, shape, number, cut=CUT if censored else None)
            surface = fitted(planted, runs, seeds)
            hold, edges = covered(planted, surface, number)
            found = precision(edges)
            held, measured = held + hold, measured + found.n_measured
            halves.append(found.median)
        known = [half for half in halves if np.isfinite(half)]
        half = float(np.median(known)) if known else None
        setting = {"runs": runs, "seeds": seeds, "censored": censored}
        result = {"held": held, "n": repeats, "half_width": half, "measured": measured}
        yield {**setting, "axes": axes, "shape": shape, **result}


def orders() -> Iterator[dict[str, Any]]:
    """Bands of kinked edges by Matern's kernel of order 3/2 and of order 5/2."""
    kernels = {"3/2": (gp.covariance, gp._by_lengths), "5/2": (_smoother, _by_lengths)}
    settings = product(kernels.items(), (96, 300), AXES)
    for (order, (gp.covariance, gp._by_lengths)), runs, axes in settings:
        held, halves = 0, []
        for number in range(FIRST, FIRST + ORDERS_REPEATS):
            planted = Planted(axes, KINKED, number)
            hold, edges = covered(planted, fitted(planted, runs), number)
            held += hold
            halves.append(precision(edges).median)
        result = {"held": held, "n": ORDERS_REPEATS, "half_width": np.nanmedian(halves)}
        yield {"order": order, "runs": runs, "axes": axes, **result}


def _smoother(squares: Array, lengths: Array, amplitude: float) -> Array:
    """`gaussian_process.covariance` of order 5/2."""
    r = np.sqrt(5 * np.tensordot(lengths**-2.0, squares, 1))
    return amplitude**2 * ((1 + r + r**2 / 3) * np.exp(-r) + 1)


def _by_lengths(squares: Array, lengths: Array, amplitude: float) -> Array:
    r = np.sqrt(5 * np.tensordot(lengths**-2.0, squares, 1))
    common = amplitude**2 * 5 / 3 * (1 + r) * np.exp(-r)
    return common * squares * lengths[:, None, None] ** -2.0


def cost(points: np.ndarray) -> np.ndarray:
    """Budgets in decay times: the weaker the decay, the more steps."""
    return np.exp(SLOWEST * (1 - points[:, 0]))


def strategies() -> Iterator[dict[str, Any]]:
    numbers = range(FIRST, FIRST + LOOPS)
    for width, number, axes, shape in product(WIDTHS, numbers, AXES, SHAPES):
        planted = Planted(axes, shape, number, width)
        for strategy in STRATEGIES:
            yield _loop(planted, strategy)
        if axes == 2:
            states = [_state(*state) for state in rows_of(planted, START, BATCH, MOST)]
            yield _summary(planted, "rows", states)


def _loop(planted: Planted, strategy: str) -> dict[str, Any]:
    """From a few even runs on, batch after batch."""
    halton = qmc.Halton(planted.axes, rng=np.random.default_rng(planted.number))
    rng = np.random.default_rng(planted.number)
    points = halton.random(START)
    grokked, _ = planted.runs(points, rng)
    surface = fit(points, grokked)
    states = [_state(points, misplaced(planted, surface))]
    while len(points) < MOST:
        offered = halton.random(CANDIDATES)
        number = len(points)
        chosen = propose(surface, offered, cost(offered), BATCH, strategy, number)
        grokked = np.append(grokked, planted.runs(offered[chosen], rng)[0])
        points = np.concatenate([points, offered[chosen]])
        surface = fit(points, grokked, start=surface)
        states.append(_state(points, misplaced(planted, surface)))
    hold, edges = covered(planted, surface, planted.number)
    half = precision(edges).median
    ends = {"held": hold, "half_width": round(half, 4) if np.isfinite(half) else None}
    return {**_summary(planted, strategy, states), **ends}


def _state(points: np.ndarray, wrong: float) -> tuple[int, int, float]:
    return len(points), round(float(cost(points).sum())), round(wrong, 4)


def _summary(
    planted: Planted, strategy: str, states: list[tuple[int, int, float]]
) -> dict[str, Any]:
    runs, spent, wrong = zip(*states, strict=True)
    setting = {"width": planted.width, "axes": planted.axes, "shape": planted.shape}
    curve = {"runs": runs, "cost": spent, "wrong": wrong}
    return {**setting, "number": planted.number, "strategy": strategy, **curve}


def seconds() -> Iterator[dict[str, Any]]:
    for runs in (100, 300, 1000):
        planted = Planted(3, SMOOTH, FIRST)
        surface, fitting = _timed(lambda p=planted, n=runs: fitted(p, n))
        others = places(3, 0)
        _, drawing = _timed(lambda s=surface, o=others: level_set(s, 0, o))
        candidates = qmc.Halton(3, rng=np.random.default_rng(0)).random(512)
        _, choosing = _timed(
            lambda s=surface, c=candidates: propose(s, c, cost(c), BATCH)
        )
        yield {"runs": runs, "fit": fitting, "bands": drawing, "choose": choosing}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return work(), time.process_time() - start


PARTS = {
    "coverage": coverage,
    "orders": orders,
    "strategies": strategies,
    "seconds": seconds,
}

if __name__ == "__main__":
    rows = []
    for row in PARTS[sys.argv[1]]():
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
