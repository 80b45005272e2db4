"""The conditions of the Goldilocks zone, on made-up runs whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from grokmap.analysis import goldilocks
from grokmap.reproduce import goldilocks as findings
from grokmap.reproduce.trained import Trained

STEPS = [0, 10, 20, 40]


def test_least_free_energy_is_that_of_a_minimiser() -> None:
    # Degree 1 is ridge regression: F = decay / (1 + decay).
    decay = np.array([0.0, 0.3, 1.0, 5.0])
    found = goldilocks.least_free_energy(decay, 1)
    np.testing.assert_allclose(found, decay / (1 + decay), atol=1e-6)
    for d, one in zip(decay, goldilocks.least_free_energy(decay, 3), strict=True):
        best = minimize_scalar(
            lambda s, d=d: (1 - s**3) ** 2 + d * s**2, bounds=(0.3, 1), method="bounded"
        )
        assert one == pytest.approx(min(best.fun, 1.0), abs=1e-5)


def run(name: str, **facts: Any) -> dict[str, Any]:
    usual = {"width": 100, "alpha": 0.0, "weight_decay": 0.1, "decay_rate": 1e-3}
    ends = {"final_train_loss": 0.01, "final_weight_norm": 10.0}
    usual |= {"phase": "grok", "t_mem": 20, "t_grok": 40, "censored": False}
    return {"run_id": name, "collapsed": False} | usual | ends | facts


def records(name: str, norm: float, signal: list[float], ratio: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run_id": name,
            "step": STEPS,
            "train_loss": [1.0, 0.5, 0.1, 0.01],
            "train_accuracy": [0.0, 0.5, 1.0, 1.0],
            "test_accuracy": [0.0, 0.0, 0.0, float(name == "groks")],
            "weight_norm": norm,
            "signal_energy": signal,
            "noise_energy": [4.0, 5.0, 6.0, 6.0],
            "function_snr": ratio,
        }
    )


def plane() -> Trained:
    never = {"phase": "no-learning", "t_mem": pd.NA, "t_grok": pd.NA}
    memorises = {"phase": "memorize-only", "t_grok": pd.NA}
    runs = [
        run("groks"),
        run("memorises", **memorises, final_weight_norm=40.0),
        run("cheap", **memorises, final_weight_norm=5.0),
        run("never", **never, weight_decay=100.0, final_train_loss=1.0),
    ]
    curves = [
        records("groks", 30.0, [1.0, 1.5, 2.0, 6.0], 0.3),
        records("memorises", 40.0, [1.0, 0.5, 0.0, 0.0], 0.3),
        records("cheap", 5.0, [1.0, 4.0, 9.0, 9.0], 1.5),
        records("never", 1.0, [1.0, 0.5, 0.0, 0.0], 0.0),
    ]
    table = pd.DataFrame(runs)
    table["t_mem"] = table["t_mem"].astype("Int64")
    return Trained(table, pd.concat(curves))


def test_each_condition_by_itself() -> None:
    trained = plane()
    table = goldilocks.conditions(trained.runs, trained.trajectories, 3)
    table = table.set_index("run_id")
    # C = 100 of the one that groks; F of the generalising network near
    # (lambda / 2N) C = 0.05, of the others L + 0.0005 |theta|^2, L at its lowest
    # where they do not generalise: at step 40, or 20 in the one that groks.
    assert table["f_generalising"]["groks"] == pytest.approx(0.05, abs=1e-3)
    assert table["f_memorised"].drop("never").tolist() == pytest.approx(
        [0.1 + 0.45, 0.01 + 0.8, 0.01 + 0.0125]
    )
    # A memorising network of small norm is the minimum of F.
    assert table["metastable"].tolist()[:3] == [True, True, False]
    assert table["fits"].tolist() == [True, True, True, False]
    assert table["foretold"].tolist() == [True, True, True, False]
    # Gains over 20 steps: what is there, less the start, and what decay took.
    assert table["gain_noise"]["groks"] == pytest.approx(2 + 2e-3 * 100)
    assert table["slower"].tolist() == [True, False, False, False]
    assert table["slower_in_f"].tolist() == [True, True, False, False]
    assert table["zone"].tolist() == [True, False, False, False]


def test_precision_and_recall() -> None:
    trained = plane()
    table = goldilocks.conditions(trained.runs, trained.trajectories, 3)
    scores = goldilocks.scores(table, ["fits", "slower"]).set_index("condition")
    assert scores.loc["fits", ["n", "precision", "recall"]].tolist() == [3, 1 / 3, 1]
    assert scores.loc["slower", ["n", "precision", "recall"]].tolist() == [1, 1, 1]
    assert scores["base"].tolist() == [0.25, 0.25]


def test_findings_say_which_conditions_hold() -> None:
    found = {f.quantity: f for f in findings.compare({findings.SWEEP: plane()})}
    zones = [q for q in found if "all three" in q and "all runs" in q]
    assert [found[q].holds for q in zones] == [True, False]
    (lower,) = (f for q, f in found.items() if "least weight decay" in q)
    assert lower.measured == "2 of 3" and not lower.holds
