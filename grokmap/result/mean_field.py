"""What the mean-field limit says of runs: records along them, and their labels.

The limit of a run is at its own laziness K = N^alpha, on its own examples, split, step
and decay. E over the draws of a neuron is a mean over so many drawn ones, so that all
is known as well as in a network of as many neurons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.classify import CRITERIA, Criteria, classify, over_at
from grokmap.engine.records import record_grid
from grokmap.spec import Run
from grokmap.theory import mean_field as theory

FEWEST, TIMES_WIDTH = 2048, 4  # neurons drawn: of the two whichever is more
LOOKED_AT = 16  # records between two looks at whether a run is over

LABELS = ("phase", "t_mem", "t_grok", "censored")


def n_neurons(run: Run) -> int:
    return max(FEWEST, TIMES_WIDTH * run.system.width)


def records(run: Run, steps: npt.NDArray[Any]) -> pd.DataFrame:
    """Losses and accuracies [T] at some steps, rising."""
    return pd.DataFrame(_rows(run, steps)).drop(columns="weight_norm")


def labels(
    run: Run, planned: pd.DataFrame, tail: float, rules: Criteria
) -> pd.DataFrame:
    """`LABELS` of the limit of a run, by the rules and within the budget of the run.

    planned: its row of the plan. tail: as of `plan.Planned`.
    """
    budget = int(planned["budget_steps"].iloc[0])
    steps = [0, *record_grid(budget, run.system.records_per_octave)]
    rows: list[dict[str, float]] = []
    for step, row in zip(steps, _rows(run, steps), strict=True):
        rows.append({"step": step, "zero_loss_fraction": 0.0, **row})
        if len(rows) % LOOKED_AT == 0 and _is_over(pd.DataFrame(rows), tail):
            break
    table = pd.DataFrame(rows).assign(run_id=run.run_id)
    return classify(table, planned.reset_index(drop=True), rules)[list(LABELS)]


def _rows(run: Run, steps: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Losses, accuracies and weight_norm (of one neuron, root mean square)."""
    from grokmap.engine.mean_field import start_of  # which loads jax

    problem = start_of(run).problem
    sizes = problem.x.shape[1], problem.y.shape[1]
    start = theory.draw(n_neurons(run), *sizes, run.seed, np.float32)
    for f, neurons in theory.follow(problem, start, steps):
        norm = np.sqrt(sum(np.mean(np.sum(part**2, axis=1)) for part in neurons))
        yield {**theory.losses(problem, f)._asdict(), "weight_norm": norm}


def _is_over(table: pd.DataFrame, tail: float) -> bool:
    """As the engine ends runs."""
    names = ["step", "train_accuracy", "test_accuracy", "weight_norm"]
    step, train, test, norm = table[names].to_numpy().T
    return bool(over_at(step, train, test, norm, tail, CRITERIA["default"])[-1])
