"""Tasks times networks: what the comparison finds in planted runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from test_exponents import planted

from grokmap.reproduce import universality
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.trained import Trained

ORDER = "rqi,gini"


def trained(exponent: float, seeds: int = 6) -> Trained:
    """Runs of one task in which rqi tells and gini grows with weight decay alone."""
    runs = planted(budget=600.0, seeds=seeds)
    runs["t_grok"] *= runs["weight_decay"] ** (1.2 - exponent)
    grokked = runs["phase"] == "grok"
    runs = runs.assign(
        run_id=[f"run{i}" for i in range(len(runs))],
        task="modular_addition",
        model="mlp",
        depth=1.0,
        activation="relu",
        order_parameters=ORDER,
        decay_rate=0.004 * runs["weight_decay"],
        peak_test_accuracy=np.where(grokked, 1.0, 0.2),
        final_rqi=np.where(grokked, 0.9, 0.1) + 0.01 * runs["seed"],
        final_gini=runs["weight_decay"],
    )
    records = [
        runs[["run_id"]].assign(step=step, rqi=rqi, gini=runs["weight_decay"])
        for step, rqi in ((10, 0.1), (20, runs["final_rqi"]))
    ]
    return Trained(runs, pd.concat(records).sort_values(["run_id", "step"]))


def by_start(findings: Sequence[Finding], start: str) -> Finding:
    (found,) = [f for f in findings if f.quantity.startswith(start)]
    return found


def test_systems_of_one_exponent_are_one_and_others_are_not() -> None:
    same = {"a": trained(1.0), "b": trained(1.0)}
    found = universality.compare(same)
    assert by_start(found, "exponent of t_grok in weight_decay, over").holds
    assert all(f.holds for f in found if f.quantity.startswith("modular_addition"))
    others = universality.compare({"a": trained(1.0), "b": trained(1.5)})
    assert not by_start(others, "exponent of t_grok in weight_decay, over").holds
    held = [f.holds for f in others if f.quantity.startswith("modular_addition")]
    assert held == [True, False]


def test_an_order_parameter_has_to_tell_in_both_contrasts() -> None:
    found = universality.compare({"a": trained(1.0)})
    assert by_start(found, "systems in which rqi").measured == "1 above, 0 below, of 1"
    assert by_start(found, "systems in which gini").measured.startswith("0 above, 0")


def test_few_seeds_decide_no_exponent() -> None:
    found = universality.compare({"a": trained(1.0, seeds=3)})
    assert not by_start(found, "modular_addition").holds
    assert "lambda^" not in by_start(found, "modular_addition").measured
