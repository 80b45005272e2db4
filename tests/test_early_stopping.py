"""What a stop would have cost, in closed form on planted runs."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from grokmap import plot
from grokmap.analysis import early_stopping
from grokmap.errors import ResultError
from grokmap.result.early_stopping import best_warnings

STEPS = np.unique(np.append(np.arange(0, 1001, 10), [1, 5]))


def run(
    run_id: str, t_grok: float | None, hint: float, **changes: Any
) -> tuple[dict[str, Any], pd.DataFrame]:
    """A run of 1000 steps that memorises at 10 and groks as a step from 0.1 to 1."""
    accuracy = np.where(STEPS >= (t_grok or np.inf), 1.0, 0.1)
    own = pd.DataFrame({"run_id": run_id, "step": STEPS, "test_accuracy": accuracy})
    own["hint"] = hint * np.where(STEPS > 10, 2.0, 1.0)
    facts = {
        "run_id": run_id,
        "phase": "grok" if t_grok else "memorize-only",
        "t_mem": 10,
        "t_grok": t_grok,
        "n_steps": 1000,
        "decay_rate": 0.01,
        "system": "all",
        "final_test_accuracy": accuracy[-1],
        "peak_test_accuracy": accuracy.max(),
        **dict.fromkeys(("censored", "diverged", "dead", "stalled"), False),
    }
    return facts | changes, own


def tables(*runs: tuple[dict, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.concat([own for _, own in runs]), pd.DataFrame([row for row, _ in runs])


@pytest.fixture
def planted() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Eight runs that grok at 100, 200, ... 800; six decided not to; five censored."""
    return tables(
        *(run(f"g{i}", 100.0 * i, hint=2.0 + i) for i in range(1, 9)),
        *(run(f"m{i}", None, hint=1.0 + 0.1 * i) for i in range(6)),
        *(run(f"c{i}", None, hint=20.0, censored=True) for i in range(5)),
        run("dead", None, hint=0.0, dead=True),
        run("never", None, hint=0.0, t_mem=np.nan),
    )


def test_losses_in_closed_form(planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    trajectories, runs = planted
    own = early_stopping.memorised(runs)
    assert len(own) == 8 + 6 + 5
    # Stops at 10 (1 + k): 60, 360, 2010.
    lost = early_stopping.losses(trajectories, own, [5, 35, 200])
    grok = lost[lost["phase"] == "grok"].set_index("patience")
    assert grok["missed"].tolist() == [1, 5 / 8, 0]
    assert grok["n_stopped"].tolist() == [8, 8, 0]
    np.testing.assert_allclose(grok["lost_final"], [0.9, 0.9, 0])
    np.testing.assert_allclose(grok["lost_final_q25"], [0.9, 0, 0])
    np.testing.assert_allclose(grok["lost_peak"], [0.9, 0.9, 0])
    memorise = lost[lost["phase"] == "memorize-only"]
    assert (memorise["lost_final"] == 0).all() and memorise["missed"].isna().all()
    assert memorise["n_runs"].tolist() == [11] * 3


@pytest.mark.parametrize(
    ("unit", "patience", "stop"),
    [("t_mem", 2, 30), ("decay-times", 2, 210), ("steps", 2, 12)],
)
def test_units_of_patience(unit: str, patience: float, stop: float) -> None:
    _, runs = tables(run("a", None, 1.0))
    own = early_stopping.memorised(runs)
    assert early_stopping.stops(own, patience, unit).tolist() == [stop]


def test_a_collapsed_run_loses_its_peak() -> None:
    facts, own = run("a", 100.0, 1.0, final_test_accuracy=0.3)
    own.loc[own["step"] > 900, "test_accuracy"] = 0.3
    lost = early_stopping.losses(own, early_stopping.memorised(pd.DataFrame([facts])))
    first = lost.iloc[0]
    assert first["lost_final"] == pytest.approx(0.2)
    assert first["lost_peak"] == pytest.approx(0.9)


def test_warnings_keep_censored_runs_apart(
    planted: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    trajectories, runs = planted
    own = early_stopping.memorised(runs)
    logs = {"hint": False, "absent": False}
    warned = early_stopping.warnings(trajectories, own, logs, [5, 35, 99.5])
    hint = warned["quantity"] == "hint"
    at = warned[hint & (warned["patience"] == 5)].set_index("measure")
    counts = ["n_later", "n_decided", "n_censored"]
    assert at[counts].to_numpy().tolist() == [[8, 6, 5]] * 2
    # Every run that groks hints higher than all decided ones, lower than the censored.
    assert at["auc"].tolist() == [1, 1]
    assert at["auc_against_censored"].tolist() == [0, 0]
    # At step 360 three have grokked; at 1005 no run is left.
    later = warned[hint & (warned["measure"] == "value")]["n_later"]
    assert later.tolist() == [8, 5, 0]
    last = warned.iloc[-1]
    assert np.isnan(last["auc"]) and last["verdict"] == early_stopping.UNDECIDABLE


def test_what_the_decay_rate_tells_is_told_apart() -> None:
    """Quick decay groks within the budget; the hint is the decay rate, and no more."""
    rates = 0.01 * 1.2 ** np.arange(16)
    rows = []
    for i, rate in enumerate(rates):
        # Of either fate from the 5th to the 10th rate.
        for fate in {i >= 5, i > 10}:
            facts = {"decay_rate": rate, "censored": not fate}
            rows.append(run(f"{i}{fate}", 500.0 if fate else None, rate, **facts))
    trajectories, runs = tables(*rows)
    own = early_stopping.memorised(runs)
    warned = early_stopping.warnings(trajectories, own, {"hint": False}, [5])
    rate, hint = (
        warned[(warned["quantity"] == name) & (warned["measure"] == "value")].iloc[0]
        for name in (early_stopping.RATE, "hint")
    )
    assert rate["auc_against_censored"] > 0.8
    assert hint["auc_against_censored"] == rate["auc_against_censored"]
    # Among pairs of like rate: those within two places of 1.2 each (1.44 < 1.6).
    assert hint["matched_against_censored"] == rate["matched_against_censored"] < 0.7
    places = {
        fate: [i for i in range(16) if fate in {i >= 5, i > 10}] for fate in (0, 1)
    }
    gaps = [i - j for i in places[1] for j in places[0] if abs(i - j) <= 2]
    want = np.mean([(g > 0) + 0.5 * (g == 0) for g in gaps])
    assert hint["n_pairs_censored"] == len(gaps)
    assert hint["matched_against_censored"] == pytest.approx(want)
    # Runs of two systems make no pair.
    other = own.assign(system=np.where(own["phase"] == "grok", "a", "b"))
    apart = early_stopping.warnings(trajectories, other, {"hint": False}, [5])
    assert (apart["n_pairs_censored"] == 0).all()
    assert apart["matched_against_censored"].isna().all()


def test_without_decided_runs_it_is_undecidable(
    planted: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    trajectories, runs = planted
    own = early_stopping.memorised(runs.assign(censored=runs["phase"] != "grok"))
    warned = early_stopping.warnings(trajectories, own, {"hint": True}, [5])
    assert warned["auc"].isna().all() and (warned["n_decided"] == 0).all()
    assert (warned["verdict"] == early_stopping.UNDECIDABLE).all()
    assert warned["auc_against_censored"].notna().all()
    # A ratio on a log scale: all hints grow by the same factor, so it tells nothing.
    change = warned[warned["measure"] == "change"]
    assert change["auc_against_censored"].tolist() == [0.5]
    assert change["matched_against_censored"].tolist() == [0.5]


def test_nothing_memorised() -> None:
    _, runs = tables(run("never", None, 0.0, t_mem=np.nan))
    with pytest.raises(ResultError, match="nothing to stop"):
        early_stopping.memorised(runs)


@pytest.mark.slow
def test_the_quickstart_is_lost_to_an_impatient_stop(
    command_line: Any, tmp_path: Any
) -> None:
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    words = ["early-stopping", str(path), "--json", "--patience", "1,16"]
    code, out, _ = command_line(*words, "--format", "png,csv")
    assert code == 0
    facts = json.loads(out)
    losses = {row["patience"]: row for row in facts["losses"] if row["phase"] == "grok"}
    assert losses[1]["missed"] > 0.8 and losses[1]["lost_final"] > 0.9
    assert losses[16]["missed"] < 0.5 and losses[16]["lost_final"] < 0.1
    assert {row["n_decided"] for row in facts["warnings"]} == {0}
    # What was asked for stands in the names, so that it replaces no other answer.
    assert (path / "early-stopping-warnings-patience=1,16.parquet").is_file()
    assert (path / "figures/early-stopping-patience=1,16.csv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--patience", "1,soon"], "positive numbers"),
        (["--patience", "0"], "positive numbers"),
        (["--unit", "step"], "--unit 'step'"),
    ],
)
def test_options_that_cannot_be_meant(
    command_line: Any, words: list[str], message: str
) -> None:
    result = str(ROOT / "results/quickstart-reference")
    code, _, err = command_line("early-stopping", result, *words)
    assert code == 2 and message in err


def test_where_nothing_is_stopped_it_says_so(command_line: Any, tmp_path: Any) -> None:
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    words = ("--patience", "1000", "--format", "png")
    code, out, _ = command_line("early-stopping", str(path), *words)
    assert code == 0 and "nothing is stopped: every run is over by 1000" in out
    assert "would have missed" not in out


def test_panels_with_nothing_to_show_say_so() -> None:
    trajectories, runs = tables(run("m", None, hint=1.0))
    runs = early_stopping.memorised(runs)
    lost = early_stopping.losses(trajectories, runs)
    warned = early_stopping.warnings(trajectories, runs, {"hint": False})
    figure = plot.early_stopping(lost, best_warnings(warned))
    words = [
        [text.get_text().replace("\n", " ") for text in axes.texts]
        for axes in figure.axes
    ]
    assert words == [[], ["no run groks"], ["undecidable: too few runs on a side"]]
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
