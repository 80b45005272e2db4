"""Runs of the package's sweeps, trained by the engine and predicted by the lazy limit.

Each from its own initial weights (`engine.linearised`), or from the kernel of
infinitely many neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.classify import CRITERIA
from grokmap.engine.linearised import Lazy, linearised
from grokmap.engine.records import record_grid
from grokmap.engine.restored import network_of, settings_of, weights_at
from grokmap.plan import Planned, by_system, plan_runs, read_sweep
from grokmap.spec import Run
from grokmap.theory import lazy

SWEEPS = resources.files("grokmap.reproduce") / "sweeps"
COMPARED = (250, 1000, 2000)  # steps after which outputs are compared
Predict = Callable[[Run], Lazy]


@lru_cache
def planned(sweep: str) -> dict[str, Planned]:
    """The runs of a sweep of the package, by id."""
    with resources.as_file(SWEEPS / f"{sweep}.toml") as path:
        return {one.run.run_id: one for one in plan_runs(read_sweep(path))}


@lru_cache(maxsize=128)
def own(run: Run) -> Lazy:
    """A run linearised at its own initial weights; of those used last, kept."""
    return linearised(run)


def gaps(sweep: str, axis: str, predict: Predict) -> pd.DataFrame:
    """axis, seed, gap of each run: the largest over `COMPARED` of |f - f_lazy| on the
    examples not trained on, over |y| there (root of sums of squares)."""
    rows = []
    for run, trained in outputs_of(sweep):
        modes, descent = predict(run)
        expected = lazy.outputs(modes, descent, np.array(COMPARED))[1]
        size = np.linalg.norm(modes.network.test.target)
        gap = np.linalg.norm(trained - expected, axis=(1, 2)).max() / size
        where = getattr(run.system, axis, getattr(run.control, axis, None))
        rows.append({axis: where, "seed": run.seed, "gap": gap})
    return pd.DataFrame(rows)


@lru_cache
def outputs_of(sweep: str) -> list[tuple[Run, Floats]]:
    """Each run, trained again by the engine, and its test outputs [T, l, C]."""
    found: dict[str, list[Floats]] = {}
    runs = planned(sweep)
    for group in by_system(list(runs.values())).values():
        steps = {one.run.run_id: COMPARED for one in group}
        for reached in weights_at(group, steps, settings_of(group, None)):
            network = network_of(reached.run, reached.leaves)
            f = np.asarray(network.apply(network.inputs[~network.train]), float)
            found.setdefault(reached.run.run_id, []).append(f)
    return [(runs[name].run, np.array(outputs)) for name, outputs in found.items()]


def predicted(
    runs: pd.DataFrame, sweep: str, predict: Predict, name: str, steps: Any
) -> Floats:
    """[runs] a quantity of each run at its step, as predicted."""
    found = []
    for run, step in zip(runs["run_id"], steps, strict=True):
        modes, descent = predict(planned(sweep)[run].run)
        found.append(lazy.records(modes, descent, np.array([step]))[name][0])
    return np.array(found)


def predicted_times(runs: pd.DataFrame, sweep: str, predict: Predict) -> Floats:
    """[runs] t_mem as predicted: the first record from which on the training accuracy
    stays at its bar."""
    found = []
    for run in runs["run_id"]:
        one = planned(sweep)[run]
        steps = record_grid(one.n_steps, one.run.system.records_per_octave)
        modes, descent = predict(one.run)
        accuracy = lazy.records(modes, descent, steps)["train_accuracy"]
        low = np.flatnonzero(accuracy < CRITERIA["default"].train_bar)
        found.append(steps[low[-1] + 1] if len(low) else steps[0])
    return np.array(found, float)


def with_norms(runs: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Runs with n, training examples, and norm: step times the largest eigenvalue of
    K_0 / n, the share of its residual that the fastest direction loses in half a
    step."""
    lazies = [own(planned(sweep)[run].run) for run in runs["run_id"]]
    sizes = [one.descent.n_train for one in lazies]
    norms = [
        one.descent.step * one.modes.values[-1] / one.descent.n_train for one in lazies
    ]
    runs = runs.assign(n=sizes, norm=norms)
    return runs.assign(t_mem=runs["t_mem"].astype(float))
