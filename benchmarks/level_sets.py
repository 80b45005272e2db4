"""Bands of surfaces over several axes, and what finds them soonest: JSON on stdout.

    python benchmarks/level_sets.py PART > benchmarks/results/surface_PART.json

PART is one of these. coverage: how often both bands hold the planted edges at all of 16
places at once, from runs that are spread evenly. strategies: share of the box on the
wrong side of the edge against the number of runs and their cost. seconds: of CPU time,
one thread, on the smooth surface in three dimensions. The planted surfaces are those of
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
    SHAPES,
    SMOOTH,
    Planted,
    covered,
    fitted,
    misplaced,
    places,
    rows_of,
)

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
CUT = 0.3  # of the axis below which runs are cut short
FIRST = 5000  # of the numbers of the shapes here; others were tried while building
START, BATCH, MOST, LOOPS = 32, 16, 128, 4
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


def cost(points: np.ndarray) -> np.ndarray:
    """Budgets in decay times: the weaker the decay, the more steps."""
    return np.exp(SLOWEST * (1 - points[:, 0]))


def strategies() -> Iterator[dict[str, Any]]:
    for number, axes, shape in product(range(FIRST, FIRST + LOOPS), AXES, SHAPES):
        planted = Planted(axes, shape, number)
        for strategy in STRATEGIES:
            yield from _loop(planted, strategy)
        if axes == 2:
            yield from _row_loop(planted)


def _loop(planted: Planted, strategy: str) -> Iterator[dict[str, Any]]:
    halton = qmc.Halton(planted.axes, rng=np.random.default_rng(planted.number))
    rng = np.random.default_rng(planted.number)
    points = halton.random(START)
    grokked, _ = planted.runs(points, rng)
    surface = None
    while True:
        surface = fit(points, grokked, start=surface)
        yield _state(planted, strategy, points, misplaced(planted, surface))
        if len(points) >= MOST:
            break
        candidates = halton.random(CANDIDATES)
        chosen = propose(
            surface, candidates, cost(candidates), BATCH, strategy, len(points)
        )
        grokked = np.append(grokked, planted.runs(candidates[chosen], rng)[0])
        points = np.concatenate([points, candidates[chosen]])
    hold, edges = covered(planted, surface, planted.number)
    found = precision(edges)
    last = _state(planted, strategy, points, misplaced(planted, surface))
    yield {**last, "held": hold, "half_width": found.median}


def _row_loop(planted: Planted) -> Iterator[dict[str, Any]]:
    for points, error in rows_of(planted, START, BATCH, MOST):
        yield _state(planted, "rows", points, error)


def _state(
    planted: Planted, strategy: str, points: np.ndarray, wrong: float
) -> dict[str, Any]:
    setting = {"axes": planted.axes, "shape": planted.shape, "number": planted.number}
    spent = float(cost(points).sum())
    return {
        **setting,
        "strategy": strategy,
        "runs": len(points),
        "cost": spent,
        "wrong": wrong,
    }


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


PARTS = {"coverage": coverage, "strategies": strategies, "seconds": seconds}

if __name__ == "__main__":
    rows = []
    for row in PARTS[sys.argv[1]]():
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
