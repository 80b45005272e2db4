"""How many examples are needed, on made-up runs of either verdict."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from grokmap.reproduce import power
from grokmap.reproduce.trained import Trained

FRACTIONS = np.linspace(0.2, 0.9, 8).round(3)


def learned_from(
    thresholds: Mapping[tuple[object, ...], float], names: list[str]
) -> pd.DataFrame:
    """Runs that generalise from a fraction on, by the values of some columns."""
    rows = [
        (*key, f, seed, 1.0 if f >= least else 0.3)
        for key, least in thresholds.items()
        for f in FRACTIONS
        for seed in range(3)
    ]
    columns = [*names, "train_fraction", "seed", "peak_test_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def of_optimizers(decayed: float, silenced: float, plain: float) -> list[bool]:
    cells = {(0.0, 0.0): plain, (1.0, 0.0): decayed, (0.0, 0.1): silenced}
    runs = learned_from({**cells, (1.0, 0.1): decayed}, ["weight_decay", "dropout"])
    found = power.optimizers({power.OPTIMIZERS: Trained(runs, pd.DataFrame())})
    return [f.holds for f in found]


def test_decay_halves_what_s5_needs() -> None:
    assert of_optimizers(0.3, 0.5, 0.7) == [True, True]
    assert of_optimizers(0.5, 0.9, 0.7) == [False, False]
    assert of_optimizers(0.3, 0.5, 2.0) == [True, True]  # Adam alone never does
    assert of_optimizers(2.0, 2.0, 2.0) == [False, True]


def test_symmetric_operations_need_less() -> None:
    names = dict.fromkeys((*np.ravel(power.PAIRS), power.NEVER), 0.4)

    def verdicts(**own: float) -> list[bool]:
        cells = {(task,): own.get(task, f) for task, f in names.items()}
        runs = learned_from(cells, ["task"])
        found = power.operations({power.OPERATIONS: Trained(runs, pd.DataFrame())})
        return [f.holds for f in found]

    assert verdicts(modular_subtraction=0.5, modular_cubic_skew=2.0) == [True] * 3
    assert verdicts(modular_addition=0.6) == [False, True, False]
    assert verdicts(modular_addition=2.0, modular_subtraction=2.0)[0] is False


def test_a_fraction_is_enough_if_all_larger_ones_are() -> None:
    runs = learned_from({("a",): 0.3}, ["task"])
    dip = np.isclose(runs["train_fraction"], 0.5) & (runs["seed"] == 1)
    runs.loc[dip, "peak_test_accuracy"] = 0.3
    (found,) = power.needed(runs, ["task"]).values()
    assert found == 0.6
