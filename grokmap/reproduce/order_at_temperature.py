"""Neurons at a temperature: a transition known to be of first order, and a continuous.

One neuron f = a sigma(w.x) of degree L in (a, w) under Langevin dynamics with a
Gaussian prior, whose noise sigma^2 is ramped. Along the teacher, f = m y needs a square
norm of the order m^(2/L), so that with c the loss at 0

    F / c = (1 - m)^2 + k m^(2/L),  k in proportion to sigma^2.

L = 3, a (w.x)^2: m = 0 is a minimum at every k > 0, since m^(2/3) is steep there; a
second one exists up to k = 9/4^(4/3) = 1.42, and is the deeper up to 3/2^(4/3) = 1.19.
So the transition is of first order. L = 2, a w.x: m = max(0, 1 - k/2) is the one
minimum, and the transition continuous. As Ziyin and Ueda (arXiv 2205.12510) have it for
linear networks of two layers and of more.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis import hysteresis
from grokmap.analysis import transition_order as order
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.reproduce.finding import OWN, RECOMPUTED, Finding
from grokmap.reproduce.trained import Trained

FIRST, SECOND = "equilibrium-first-order", "equilibrium-continuous"
WIDTHS = (FIRST + "-widths",)
# Of each width N at temperature T / N, where the fluctuations of f shrink with N.
SIZES = tuple(f"{SECOND}-{width}" for width in (1, 4, 16))
QUANTITY, X = "train_loss", "weight_decay"
DRAWN, SLOW = 6, 8000  # chains in the figure, and steps of its fastest ramp
LARGEST = 2.0  # loss in the figure; the first steps, from random weights, are above
HALF = {FIRST: 0.8, SECOND: 0.35}  # half of the loss at 0


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Loops of both neurons, what the tool says of them, and of cells of many seeds."""
    return [
        *of_loops(trained[FIRST], FIRST),
        *of_loops(trained[SECOND], SECOND),
        of_cells(pd.concat([trained[sweep].runs for sweep in WIDTHS]), FIRST),
        of_cells(pd.concat([trained[sweep].runs for sweep in SIZES]), SECOND),
    ]


def chains_of(trained: Trained) -> pd.DataFrame:
    """Runs with their chain as the seed: all are of one training set."""
    return trained.runs.assign(seed=trained.runs["chain"]).drop(columns="chain")


def trend_of(trained: Trained, name: str) -> tuple[pd.DataFrame, pd.Series]:
    """(loops, the row of `hysteresis.trends`)."""
    plan = chains_of(trained)
    runs, _ = hysteresis.loops(trained.trajectories, plan, QUANTITY, HALF[name])
    return runs, hysteresis.trends(runs, hysteresis.families(plan)).iloc[0]


def of_loops(trained: Trained, name: str) -> list[Finding]:
    runs, trend = trend_of(trained, name)
    slowest = runs[runs["ramp_steps"] == runs["ramp_steps"].max()]
    gaps = np.log(slowest["up_rise"] / slowest["down_fall"]).dropna().to_numpy()
    mean, low, high = student_interval(gaps)
    first = name == FIRST
    evidence = order.loop_evidence(trend, QUANTITY)
    counts = f"{len(gaps)} of {len(slowest)} chains came back"
    return [
        Finding(
            f"{name}: ln of the noise at which it is lost over that at which it is "
            "learned again, slowest ramp",
            "above 0.5" if first else "near 0",
            OWN,
            "interval above 0.5" if first else "mean below 0.2",
            f"{mean:.2f}",
            f"95%: {low:.2f} to {high:.2f}; {counts}",
            bool(low > 0.5 if first else mean < 0.2),
        ),
        Finding(
            f"{name}: what the loops are evidence of",
            "first order" if first else "not first order",
            RECOMPUTED,
            "as named",
            evidence.supports,
            evidence.why,
            (evidence.supports == order.FIRST_ORDER) == first,
        ),
    ]


def of_cells(runs: pd.DataFrame, name: str) -> Finding:
    cells = order.cells(runs, X, {QUANTITY: False})
    rows = order.evidence(cells, runs, X, {QUANTITY: False})
    found, sentence = order.verdict(rows)
    expected = order.FIRST_ORDER if name == FIRST else order.CONTINUOUS
    widths = ", ".join(map(str, sorted(runs["width"].unique())))
    return Finding(
        f"{name}: verdict of the cells of {cells['n'].max()} chains, N = {widths}",
        expected,
        RECOMPUTED,
        "as named",
        found,
        sentence + " " + "; ".join(row.why for row in rows),
        found == expected,
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Loops of degree 3 of the first chains at slow ramps, losses above LARGEST drawn
    there; areas of all."""
    plan = chains_of(trained[FIRST])
    runs, loops = hysteresis.loops(
        trained[FIRST].trajectories, plan, QUANTITY, HALF[FIRST]
    )
    family = hysteresis.families(plan)
    branches = {
        name: plot.Branches(loop.weight_decay, *_below(loop.up, loop.down))
        for name, loop in loops.items()
    }
    rates = hysteresis.by_rate(runs, family)
    drawn = runs[(runs["seed"] <= DRAWN) & (runs["ramp_steps"] >= SLOW)]
    return plot.hysteresis_loops(drawn, branches, rates, family, "train loss")


def _below(*losses: Floats) -> list[Floats]:
    return [np.minimum(loss, LARGEST) for loss in losses]
