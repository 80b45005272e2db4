"""Comparing optimizers: what they find wrong, and that what was tuned is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from comparison_tables import best_point, runs_of
from scipy.stats import binomtest
from test_reproduce import shipped

from grokmap.reproduce import optimizers
from grokmap.reproduce.trained import Trained

NOTHING = pd.DataFrame()


def runs_like(t_grok: list[float | None], t_mem: float | None = 10.0) -> pd.DataFrame:
    runs = pd.DataFrame({"t_grok": pd.array(t_grok, "Float64")})
    runs["seed"], runs["n_steps"], runs["budget_steps"] = range(len(runs)), 1000, 1000
    runs["t_mem"] = pd.array([t_mem] * len(runs), "Float64")
    return runs.assign(delay_ratio=runs["t_grok"] / runs["t_mem"])


def of_muon(muon: list[float | None], adamw: list[float | None]) -> list[bool]:
    trained = {
        optimizers.MUON: Trained(runs_like(muon), NOTHING),
        optimizers.ADAMW: Trained(runs_like(adamw), NOTHING),
    }
    return [found.holds for found in optimizers.compare_muon(trained)]


TIMES = [float(x) for x in range(100, 112)]


def test_only_the_published_side_of_the_difference_holds() -> None:
    slower = [2 * x for x in TIMES]
    assert of_muon(TIMES, slower) == [True, True, True]
    assert of_muon(slower, TIMES) == [True, True, False]
    assert of_muon(TIMES, TIMES) == [True, True, False]
    mixed = [x * (1.5 if i % 2 else 1 / 1.5) for i, x in enumerate(TIMES)]
    assert of_muon(mixed, TIMES) == [True, True, False]


def test_censored_runs_are_missed_and_never_a_time() -> None:
    never: list[float | None] = [None] * 12
    assert of_muon(never, TIMES) == [False, True, False]
    assert of_muon(TIMES, never) == [True, False, True]
    assert of_muon(never, never) == [False, False, False]
    times, happened = optimizers.survival(runs_like([50.0, None]), "delay_ratio")
    assert times.tolist() == [5, 100] and happened.tolist() == [True, False]
    times, _ = optimizers.survival(runs_like([None], None), "delay_ratio")
    assert times.tolist() == [1]


def test_signs_are_counted_among_decided_pairs() -> None:
    times = np.array([[5.0, 9, 9, 9, 3], [4.0, 8, 9, 12, 9]])
    happened = np.array(
        [[True, False, True, False, False], [True, True, True, True, 1]]
    )
    # The 4th may still have come before 12 or after, the 5th likewise; the 3rd ties.
    larger, n, p = optimizers.sign_test(times, happened)
    assert (larger, n) == (2, 2) and p == binomtest(2, 2).pvalue


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, [True, True, True]),
        ({"zero": 0.4}, [False, True, True]),
        ({"test": 0.3}, [True, False, True]),
        ({"t_grok": [500.0, None]}, [True, True, False]),
    ],
)
def test_prietos_comparison_finds_what_is_wrong(
    changes: dict[str, Any], holds: list[bool]
) -> None:
    given = {"zero": 1.0, "test": 0.01, "t_grok": [500.0, 600.0]} | changes
    softmax = pd.DataFrame(
        {
            "final_zero_loss_fraction": [1.0, given["zero"]],
            "final_test_accuracy": [0.0, given["test"]],
        }
    )
    trained: Mapping[str, Trained] = {
        optimizers.SOFTMAX: Trained(softmax, NOTHING),
        optimizers.STABLEMAX: Trained(runs_like(given["t_grok"]), NOTHING),
        optimizers.PERP: Trained(runs_like(given["t_grok"]), NOTHING),
    }
    found = optimizers.compare_prieto(trained)
    assert [own.holds for own in found] == holds
    assert optimizers.compare_perp(trained)[0].holds is holds[2]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_what_is_compared_is_what_was_tuned_on_other_seeds(name: str) -> None:
    tuned, compared = runs_of(name), shipped(f"tuned-{name}")
    best = best_point(tuned)
    assert compared.learning_rate == (best["learning_rate"],)
    assert compared.weight_decay == (best["weight_decay"],)
    assert not set(compared.seed) & set(tuned["seed"])
    for key in ("task", "modulus", "model", "embedding", "width", "loss", "activation"):
        value = getattr(compared, key)
        value = value[0] if isinstance(value, tuple) else value
        assert {value} == set(tuned[key])
    assert {compared.n_steps} == set(tuned["budget_steps"])
