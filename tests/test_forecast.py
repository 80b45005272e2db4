"""Forecasts of planted runs hold as often as they say, and read no answer."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from grokmap.analysis import forecast
from grokmap.errors import ResultError

ALPHAS, DECAYS, SEEDS = (0.0, 0.1, 0.2, 0.3), np.geomspace(1e-3, 0.1, 7), 2


def planted(
    sigma: float = 0.15, budget: float = 1e9, n_seeds: int = SEEDS, draw: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(trajectories, classified runs): a delay of 2.5 decay times, log-normal.

    The test loss falls with the share of the delay that has passed, to the power of
    each run's own exponent: it tells when a run will grok, but not exactly.
    """
    rng, parts, rows = np.random.default_rng(draw), [], []
    for alpha in ALPHAS:
        for decay in DECAYS:
            for seed in range(n_seeds):
                rate = 0.1 * decay * 100 ** (-2 * alpha)
                t_mem = float(rng.uniform(20, 60))
                t_grok = t_mem + 2.5 / rate * np.exp(sigma * rng.normal())
                end = min(3 * t_grok, budget)
                run_id = f"{len(rows):04d}"
                step = np.unique(np.round(np.geomspace(1, end, 120)))
                share = np.clip((step - t_mem) / (t_grok - t_mem), 0, 1)
                progress = share ** np.exp(0.2 * rng.normal())
                values = {"test_loss": 2 - 1.9 * progress, "test_accuracy": progress**4}
                parts.append(pd.DataFrame({"run_id": run_id, "step": step, **values}))
                grokked = t_grok <= end
                rows.append(
                    {
                        "run_id": run_id,
                        "alpha": alpha,
                        "weight_decay": decay,
                        "width": 100,
                        "seed": seed,
                        "decay_rate": rate,
                        "phase": "grok" if grokked else "memorize-only",
                        "t_mem": t_mem,
                        "t_grok": t_grok if grokked else np.nan,
                        "n_steps": end,
                        "censored": not grokked,
                        "diverged": False,
                        "dead": False,
                        "stalled": False,
                    }
                )
    return pd.concat(parts), pd.DataFrame(rows)


@pytest.fixture(scope="module")
def known() -> pd.DataFrame:
    trajectories, runs = planted()
    return forecast.hindcasts(trajectories, forecast.candidates(runs))


def test_intervals_hold_as_often_as_they_say(known: pd.DataFrame) -> None:
    score = forecast.score(known).set_index("cut")
    fractions = score.loc[["0.25 t_grok", "0.5 t_grok", "0.75 t_grok"]]
    assert (fractions["n_runs"] > 50).all()
    # 80%: three binomial standard deviations of some 55 runs.
    assert fractions["coverage"].between(0.64, 0.96).all()
    # The room for the new run makes intervals hold rather too often: by 2 / (n + 1).
    assert 0.76 < known["inside"].mean() < 0.92
    # They are of use: better than a constant, and the better the later.
    assert (fractions["error"] < fractions["baseline_error"] + 0.02).all()
    assert fractions["error"].iloc[2] < 0.5 * fractions["error"].iloc[0]
    assert fractions["error"].iloc[2] < 0.5 * fractions["baseline_error"].iloc[2]
    assert fractions["width_log2"].is_monotonic_decreasing


def test_a_forecast_lies_ahead(known: pd.DataFrame) -> None:
    assert (known["t_grok_low"] > known["step"]).all()
    assert known["t_grok_low"].le(known["t_grok_median"]).all()
    assert known["t_grok_median"].le(known["t_grok_high"]).all()


def test_no_run_helps_to_forecast_its_own_cell(known: pd.DataFrame) -> None:
    trajectories, runs = planted()
    cell = (runs["alpha"] == 0.1) & (runs["weight_decay"] == DECAYS[3])
    changed = runs.copy()
    # Another answer, at the same states: forecasts of this cell stay, others move.
    changed.loc[cell, "t_grok"] *= 1.5
    own = forecast.candidates(changed)
    looks = [
        np.array([0.5 * t]) if alpha == 0.1 and 0.5 * t > mem else np.empty(0)
        for t, mem, alpha in zip(
            runs["t_grok"], runs["t_mem"], runs["alpha"], strict=True
        )
    ]
    facts = forecast.facts_of(own)
    before = forecast._table(trajectories, forecast.candidates(runs), looks, facts)
    after = forecast._table(trajectories, own, looks, facts)
    moved = before["t_grok_median"] != after["t_grok_median"]
    there = before["run_id"].isin(runs.loc[cell, "run_id"])
    assert there.sum() == SEEDS and not moved[there].any() and moved[~there].any()


def test_the_future_of_a_run_is_not_read() -> None:
    trajectories, runs = planted()
    budget = 2000.0
    late = runs["t_grok"] > budget
    rows = forecast.cut_short(trajectories, forecast.candidates(runs), budget)
    assert 10 < len(rows) and (rows["step"] == budget).all()
    assert (rows["t_grok"] > budget).all()
    # Blind to all records past the budget, up to the pair that brackets it.
    seen = trajectories[
        ~trajectories["run_id"].isin(runs.loc[late, "run_id"])
        | (trajectories["step"] < 1.2 * budget)
    ]
    blind = forecast.cut_short(seen, forecast.candidates(runs), budget)
    pd.testing.assert_frame_equal(rows, blind)


def test_censored_runs_are_forecast_and_strangers_flagged() -> None:
    trajectories, runs = planted(budget=3000.0)
    own = forecast.candidates(runs)
    ahead = forecast.outlook(trajectories, own)
    assert len(ahead) == (runs["phase"] != "grok").sum() > 10
    assert (ahead["t_grok_low"] > 3000).all() and ahead["t_grok"].isna().all()
    assert not ahead["extrapolated"].all()
    strange = trajectories.copy()
    first = strange["run_id"] == ahead["run_id"].iloc[0]
    strange.loc[first, "test_loss"] = 1e6
    flagged = forecast.outlook(strange, own).set_index("run_id")["extrapolated"]
    assert flagged[ahead["run_id"].iloc[0]]


def test_runs_decided_not_to_grok_are_not_forecast() -> None:
    _, runs = planted(budget=3000.0)
    waiting = runs.index[runs["phase"] != "grok"]
    runs.loc[waiting[0], "censored"] = False
    assert len(forecast.candidates(runs)) == len(runs) - 1


def test_the_ends_of_an_interval_leave_room_for_the_new_run() -> None:
    # 29 scores have 30 gaps, of which 24 lie between the 3rd and the 27th.
    scores = np.arange(1.0, 30.0)
    runs = np.arange(29)
    assert _ends(scores, runs) == [3, 15, 27]
    # Each twice: no more is known, but states of one run are not runs.
    assert _ends(np.repeat(scores, 2), np.repeat(runs, 2)) == [3, 15, 27]
    rng = np.random.default_rng(0)
    for n in (9, 19):
        draws = rng.normal(size=(1500, n + 1))
        low, _, high = np.array([_ends(x[:-1], runs[:n]) for x in draws]).T
        inside = np.mean((low <= draws[:, -1]) & (draws[:, -1] <= high))
        # Three binomial standard deviations.
        assert inside == pytest.approx(0.8, abs=0.03)
    # Too few to leave a tenth on either side: from the lowest to the highest.
    assert _ends(scores[:5], runs[:5]) == [1, 3, 5]


def _ends(scores: Any, runs: Any) -> list[float]:
    weights = 1 / np.bincount(runs)[runs]
    return forecast._quantiles(scores, weights[None], runs)[0].tolist()


def test_too_few_cells() -> None:
    trajectories, runs = planted()
    few = runs[runs["weight_decay"] == DECAYS[0]]
    with pytest.raises(ResultError, match="6 cells"):
        forecast.hindcasts(trajectories, forecast.candidates(few))


def test_lost_runs_are_not_forecast() -> None:
    _, runs = planted(budget=3000.0)
    waiting = runs.index[runs["phase"] != "grok"]
    for flag, i in zip(("diverged", "dead", "stalled"), waiting[:3], strict=True):
        runs.loc[i, flag] = True
    runs.loc[waiting[3], "decay_rate"] = 0.0
    gone = set(runs.loc[waiting[:4], "run_id"])
    assert set(runs["run_id"]) - set(forecast.candidates(runs)["run_id"]) == gone


def test_the_quickstart_is_forecast_better_than_by_a_constant(
    command_line: Any, tmp_path: Any
) -> None:
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    code, out, _ = command_line("forecast", str(path), "--json", "--format", "png,csv")
    assert code == 0
    facts = json.loads(out)
    assert len(facts["forecasts"]) == len(pd.read_parquet(path / "forecast.parquet"))
    for row in facts["score"][:3]:
        assert row["error"] < row["baseline_error"] and row["coverage"] > 0.6
    drawn = pd.read_csv(path / "figures/forecast.csv")
    assert len(drawn) == sum(row["n_runs"] for row in facts["score"])
    code, _, err = command_line("forecast", str(ROOT / "results/survey2026"))
    assert code == 2 and "6 cells" in err


def test_nothing_to_try_a_forecast_on_is_said() -> None:
    """Neither a grokked run nor a table without rows, of which no figure is made."""
    trajectories, runs = planted(budget=30.0)
    assert not runs["phase"].eq("grok").any()
    with pytest.raises(ResultError, match="no run grokked long enough"):
        forecast.hindcasts(trajectories, forecast.candidates(runs))
