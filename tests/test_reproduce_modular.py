"""What the expensive comparisons would say, on made-up runs of either verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap.reproduce import modular
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.trained import Trained


def findings(name: str, runs: dict[str, Any]) -> list[Finding]:
    table = pd.DataFrame(runs)
    for column in ("t_mem", "t_grok"):
        if column in table:
            table[column] = table[column].astype("Int64")
    trained = {name: Trained(table, pd.DataFrame())}
    return modular.REPRODUCTIONS[name].compare(trained)


def verdicts(name: str, runs: dict[str, Any]) -> list[bool]:
    return [f.holds for f in findings(name, runs)]


def test_survey_run() -> None:
    name, t_mem = "survey-run", [180, 190, 170]
    assert verdicts(name, {"t_mem": t_mem, "t_grok": [13e3, 14e3, 20e3]}) == [True] * 2
    late = {"t_mem": [90, 95, 99], "t_grok": pd.array([13_000, None, None])}
    assert verdicts(name, late) == [False, False]
    assert findings(name, late)[1].spread == "2 of 3 never"


def doshi(gap: float, shares: tuple[float, ...]) -> dict[str, Any]:
    rows = []
    for decay, share in zip((0, 5, 15, 20), (*shares, 0.0), strict=True):
        for i, noise in enumerate(np.linspace(0.1, 0.5, 10)):
            inverted = i < 10 * share
            train = 1 - noise + gap if inverted else 1.0
            forgot = decay == 20
            rows.append((decay, noise, train, 0.1 if forgot else 1.0, 1.0))
    columns = ("weight_decay", "label_noise", "final_train_accuracy")
    columns += ("final_test_accuracy", "peak_test_accuracy")
    return dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))


@pytest.mark.parametrize(
    ("gap", "shares", "expected"),
    [
        (0.0, (0.0, 0.5, 1.0), [True, True, True]),
        (0.05, (0.0, 0.5, 1.0), [False, True, True]),
        (0.0, (0.5, 0.5, 0.5), [True, False, True]),
        (0.0, (0.0, 0.0, 0.0), [False, False, True]),
    ],
)
def test_doshi_noise(gap: float, shares: Any, expected: list[bool]) -> None:
    assert verdicts("doshi-noise", doshi(gap, shares)) == expected


def test_nanda_transformer() -> None:
    good = {
        "delay_ratio": [10.0, 12.0],
        "final_restricted_loss": [0.01, 0.02],
        "final_excluded_loss": [5.0, 6.0],
    }
    assert verdicts("nanda-transformer", good) == [True] * 3
    bad = {
        "delay_ratio": [10.0, np.nan],
        "final_restricted_loss": [0.01, 0.2],
        "final_excluded_loss": [5.0, 0.1],
    }
    assert verdicts("nanda-transformer", bad) == [False] * 3


@pytest.mark.parametrize(
    ("growth", "holds"), [(0.45, True), (0.05, False), (1.2, False)]
)
def test_power_s5(growth: float, holds: bool) -> None:
    fractions = np.repeat([0.26, 0.27, 0.28, 0.29, 0.30], 3)
    times = 1000 * (1 + growth) ** (100 * (0.30 - fractions))
    runs = {"train_fraction": fractions, "t_grok": times.round()}
    assert verdicts("power-s5", runs) == [holds]
    never = {"train_fraction": fractions, "t_grok": pd.array([None] * 15, "Int64")}
    assert verdicts("power-s5", never) == [False]


def test_lyu_modular() -> None:
    assert verdicts("lyu-modular", {"delay_ratio": [8.0, 12.0]}) == [True]
    assert verdicts("lyu-modular", {"delay_ratio": [8.0, np.nan]}) == [False]
