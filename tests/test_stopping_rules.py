"""Rules that stop runs, in closed form on planted runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import grokmap
from grokmap.analysis import stopping_rules as rules
from grokmap.analysis.early_stopping import memorised
from grokmap.errors import ResultError

STEPS = np.unique(np.append(np.arange(0, 1001, 10), [1, 5]))


def planted(t_groks: list[float | None], **facts: object) -> tuple[pd.DataFrame, ...]:
    """Runs of 1000 steps, r = 0.01, that memorise at 10; test accuracy steps from 0.1
    to 1 at t_grok, the norm falls as 2^(-t / 97), the RQI is t / 1000."""
    tables = []
    for i, t_grok in enumerate(t_groks):
        late = STEPS >= (np.inf if t_grok is None else t_grok)
        own = pd.DataFrame({"run_id": f"{i}", "step": STEPS, "rqi": STEPS / 1000})
        own["test_accuracy"] = np.where(late, 1.0, 0.1)
        own["test_loss"], own["weight_norm"] = 1.0, 2.0 ** (-STEPS / 97)
        tables.append(own)
    grokked = [t is not None for t in t_groks]
    runs = pd.DataFrame(
        {
            **{"run_id": [f"{i}" for i in range(len(t_groks))], "t_mem": 10.0},
            **{"t_grok": np.array(t_groks, float), "n_steps": 1000.0},
            "phase": np.where(grokked, "grok", "memorize-only"),
            "final_test_accuracy": np.where(grokked, 1.0, 0.1),
            **{"decay_rate": 0.01, "alpha": 0.0, "weight_decay": 0.1, "system": "all"},
            "seed": np.arange(len(t_groks)),
            **dict.fromkeys(("censored", "diverged", "dead", "stalled"), False),
        }
        | facts
    )
    return pd.concat(tables), runs


def at(tried: list[rules.Tried], name: str, threshold: float) -> list[float]:
    (rule,) = (rule for rule in tried if rule.name == name)
    return rule.stops[int(np.argmin(np.abs(rule.thresholds - threshold)))].tolist()


def test_each_rule_stops_where_it_says() -> None:
    trajectories, runs = planted([100.0, None, 700.0])
    tried = rules.rules(trajectories, runs)
    # No rise until t_grok: 400 steps after t_mem, or after the rise at 100.
    assert at(tried, "patience, steps", 400) == [500, 410, 410]
    assert at(tried, "patience, steps", 800) == [900, 810, 1500]
    assert at(tried, "patience, decay times", 4) == [500, 410, 410]
    assert at(tried, "decay times", 4) == [410] * 3
    # Below half of the norm at t_mem from step 107 on, first recorded at 110.
    assert at(tried, "weight norm", 0.5) == [110] * 3
    (level,) = (rule for rule in tried if rule.name == "level of rqi")
    for threshold, passed, stops in zip(
        level.thresholds, level.passed, level.stops, strict=True
    ):
        # It rises: upwards at the next record, downwards where it starts lower.
        first = np.min(STEPS[(STEPS >= 10) & (STEPS / 1000 > threshold)])
        assert stops[0] == (first if passed == rules.UPWARDS else 10)
    # One cell: nothing to calibrate a forecast on.
    assert rules.FORECAST not in {rule.name for rule in tried}


def test_an_oracle_scores_perfectly_and_the_budget_saves_nothing() -> None:
    trajectories, runs = planted([100.0, None, 700.0, None])
    table = rules.scored(trajectories, runs).set_index("rule")
    oracle, budget = table.loc[rules.ORACLE], table.loc[rules.BUDGET]
    assert oracle["missed"] == budget["missed"] == budget["saved"] == 0
    assert oracle["saved"] == pytest.approx((900 + 990 + 300 + 990) / 4000)
    assert oracle["saved_grok"] == pytest.approx(1200 / 2000)
    # It loses none of what runs have at the end, and no rule saves more without loss.
    assert oracle["lost"] == 0
    safe = table[table["missed"] == 0]
    assert (safe["saved_grok"] <= oracle["saved_grok"]).all()
    # A stop is never before t_mem, so it never saves the whole budget.
    assert (table["saved"] <= 0.99).all() and (table["saved"] >= 0).all()


def test_a_threshold_is_chosen_on_other_seeds() -> None:
    """Nine runs grok at 200 and seed 9 at 900: others would stop it too early."""
    trajectories, runs = planted([200.0] * 9 + [900.0])
    table = rules.scored(trajectories, runs).set_index("rule")
    patience = table.loc["patience, steps"]
    # Seed 9 is in fold 4 with seed 4; the folds without it choose 200 steps (stops at
    # 210 the latest), that with it in what they know choose 1600 steps.
    assert patience["missed"] == 0.1
    assert patience["threshold_low"] == 200 and patience["threshold_high"] == 1600
    rule = rules.rules(trajectories, runs)[0]
    fold = rules.folds(runs["seed"])
    stops, _ = rules.crossed(rule, runs, fold)
    blind = runs.assign(t_grok=runs["t_grok"].where(runs["seed"] != 9, 500.0))
    again, _ = rules.crossed(rule, blind, fold)
    # What seed 9 does changes the stops of the others, and not its own.
    assert again[9] == stops[9] and (again[:4] != stops[:4]).any()


def test_systems_are_pooled_by_their_runs() -> None:
    trajectories, runs = planted([100.0, 100.0, None, None])
    runs["system"] = ["a", "a", "b", "b"]
    table = rules.scored(trajectories, runs).set_index(["system", "rule"])
    whole = table.loc["all"]
    assert whole.loc[rules.ORACLE, "saved"] == pytest.approx((900 + 990) / 2000)
    assert whole.loc[rules.ORACLE, "n_runs"] == 4 and whole["n_grok"].eq(2).all()
    assert np.isnan(table.loc[("b", rules.ORACLE), "missed"])


def test_a_standstill_is_measured_between_memorising_and_grokking() -> None:
    trajectories, runs = planted([110.0, 510.0, None])
    assert rules.standstills(trajectories, runs).tolist() == [1, 1]
    half = (trajectories["run_id"] == "1") & trajectories["step"].between(260, 500)
    trajectories.loc[half, "test_accuracy"] = 0.5
    assert rules.standstills(trajectories, runs).tolist() == [1, 0.5]


def test_one_seed_is_too_few() -> None:
    trajectories, runs = planted([100.0])
    with pytest.raises(ResultError, match="other seeds"):
        rules.scored(trajectories, runs)


def test_the_forecast_is_that_of_runs_of_other_cells() -> None:
    """Twelve cells of two seeds that all grok at four decay times: known at once."""
    trajectories, runs = planted(
        [400.0] * 24, weight_decay=np.repeat(np.geomspace(0.1, 1, 12), 2)
    )
    (rule,) = (
        rule for rule in rules.rules(trajectories, runs) if rule.name == rules.FORECAST
    )
    exact = rule.stops[rule.thresholds == 1.0]
    np.testing.assert_allclose(exact, 400, rtol=0.02)
    half = rule.stops[rule.thresholds == 0.5]
    np.testing.assert_allclose(half, exact / 2)


@pytest.mark.slow
def test_a_result_of_one_cell_scores_as_its_runs_say() -> None:
    result = grokmap.open(ROOT / "results/early-stopping")
    table = result.stopping_rules().set_index("rule")
    runs = memorised(result.runs)
    grok = runs["phase"] == "grok"
    stop = runs["t_grok"].where(grok, runs["t_mem"])
    saved = 1 - stop.sum() / runs["n_steps"].sum()
    assert table.loc["oracle", "saved"] == pytest.approx(saved)
    widths = grokmap.open(ROOT / "results/widths")
    stored = pd.read_parquet(widths.path / "early-stopping-rules.parquet")
    pd.testing.assert_frame_equal(stored, widths.stopping_rules())
