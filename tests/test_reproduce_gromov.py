"""What training finds, on analytic weights and on random ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.reproduce import gromov_trained
from grokmap.reproduce.trained import END, Trained
from grokmap.theory.gromov import analytic_weights

P, N = 23, 200


class Named(NamedTuple):
    run_id: str


class Reached(NamedTuple):
    run: Named
    step: int
    leaves: dict[str, Any]


def leaves(noise: float, seed: int) -> dict[str, Any]:
    """Analytic weights, as a network has them, and noise so many times their size."""
    w1, w2 = analytic_weights(P, N, seed)
    draw = np.random.default_rng(seed)
    return {
        "first": w1.T + noise * draw.standard_normal((2 * P, N)),
        "readout": w2 + noise * draw.standard_normal((P, N)),
    }


def trained(noise: float, ratio: float) -> Trained:
    runs = pd.DataFrame({"run_id": ["a", "b"], "t_mem": 100, "t_grok": 100 * ratio})

    def weights(steps: tuple[int, ...]) -> Sequence[Any]:
        assert steps == (0, END)
        return [
            Reached(Named(run_id), step, leaves(100.0 if step == 0 else noise, seed))
            for seed, run_id in enumerate("ab")
            for step in (0, 5000)
        ]

    return Trained(runs, pd.DataFrame(), weights=weights)


def verdicts(gd: Trained, adamw: Trained) -> list[bool]:
    found = gromov_trained.compare({"one": gd, "other": adamw})
    return [f.holds for f in found]


def test_analytic_weights_are_found_and_random_ones_are_not() -> None:
    near, nearer = trained(0.3, 3.0), trained(0.1, 2.0)
    assert verdicts(near, nearer) == [True] * 7
    assert verdicts(nearer, near)[4] is False  # adamw is the farther one
    random = verdicts(trained(100.0, 1.0), trained(100.0, np.nan))
    assert random[:4] == [False] * 4 and random[5:] == [False] * 2
