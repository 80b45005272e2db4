"""Intervals of shares and times against closed forms and scipy's own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy import stats

import grokmap
from grokmap.analysis.cells import probabilities, sensitivity
from grokmap.analysis.statistics import (
    median_interval,
    median_ratio_interval,
    median_survival,
    wilson,
)


@pytest.mark.parametrize("trials", [1, 2, 5, 40])
def test_wilson_is_scipys(trials: int) -> None:
    for successes in range(trials + 1):
        own = wilson(successes, trials)
        test = stats.binomtest(successes, trials)
        expected = test.proportion_ci(0.95, method="wilson")
        np.testing.assert_allclose(own, (expected.low, expected.high), atol=1e-12)


def test_wilson_of_no_trial_says_nothing() -> None:
    assert np.array(wilson(0, 0)).tolist() == [0, 1]


def test_median_survival_is_scipys_kaplan_meier() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        times = rng.integers(1, 12, size=9).astype(float)
        happened = rng.random(9) < 0.6
        data = stats.CensoredData(times[happened], right=times[~happened])
        curve = stats.ecdf(data).sf
        ends = []
        for below in (
            curve.probabilities <= 0.5 + 1e-9,
            curve.probabilities < 0.5 - 1e-9,
        ):
            ends.append(curve.quantiles[below][0] if below.any() else np.inf)
        assert median_survival(times, happened) == np.mean(ends)


def test_the_median_of_an_even_number_is_in_the_middle() -> None:
    happened = np.ones(4, bool)
    assert median_survival(np.array([4.0, 1, 3, 10]), happened) == 3.5


def test_runs_that_never_grok_hold_the_median_off() -> None:
    never = np.inf
    times, happened = np.array([10.0, 20, 30, never]), np.array([1, 1, 1, 0], bool)
    assert median_survival(times, happened) == 25
    half = np.append(times, [never, never]), np.append(happened, [False, False])
    assert median_survival(*half) == never


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_median_of_few_runs_has_no_interval(n: int) -> None:
    middle, low, high = median_interval(np.arange(1.0, n + 1), np.ones(n, bool))
    assert middle == (n + 1) / 2 and np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize("n", [6, 8, 15, 25])
def test_median_interval_covers(n: int) -> None:
    """Exponential times, censored at 1.5: the median is ln 2, whatever the cut."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        times = rng.exponential(size=n)
        _, low, high = median_interval(np.minimum(times, 1.5), times < 1.5)
        hits += low <= np.log(2) <= high
    assert stats.binom.cdf(hits, 100, 0.95) > 0.01


def cell(phases: str, **changes: object) -> pd.DataFrame:
    """One run a letter: g rokked, n o learning, C ensored."""
    names = {"g": "grok", "n": "no-learning", "C": "memorize-only"}
    return pd.DataFrame(
        {
            "run_id": [f"{i}" for i in range(len(phases))],
            "alpha": 0.0,
            "weight_decay": 0.1,
            "phase": [names[p] for p in phases],
            "censored": [p == "C" for p in phases],
            "t_grok": pd.array(
                [100 * (i + 1) if p == "g" else None for i, p in enumerate(phases)],
                dtype="Int64",
            ),
            "n_steps": 1000,
            **changes,
        }
    )


def test_nothing_decided_is_no_share() -> None:
    axes = ["alpha", "weight_decay"]
    (row,) = probabilities(cell("CC"), axes, ["grok"]).to_dict("records")
    assert (
        np.isnan(row["p_grok"]) and row["p_grok_low"] == 0 and row["p_grok_high"] == 1
    )


@pytest.mark.slow
def test_how_many_seeds_can_tell_is_said_once(command_line: Any, tmp_path: Any) -> None:
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    code, out, _ = command_line("uncertainty", str(path))
    assert code == 0 and out.count("2 seeds that agree cannot tell") == 1
    assert "4 can" in out and wilson(4, 4)[0] > 0.5 > wilson(3, 3)[0]


def test_undecided_runs_widen_p_grok_on_one_side() -> None:
    axes = ["alpha", "weight_decay"]
    (row,) = probabilities(cell("ggnC"), axes, ["grok"]).to_dict("records")
    assert (row["n_runs"], row["n_undecided"]) == (4, 1)
    assert row["p_grok"] == pytest.approx(2 / 3)  # of the decided
    assert row["p_grok_low"] == pytest.approx(float(wilson(2, 4)[0]))
    assert row["p_grok_high"] == pytest.approx(float(wilson(3, 4)[1]))
    assert row["p_no-learning"] == 0.25 and row["t_grok"] == np.inf


def test_an_undecided_run_may_still_grok_and_a_decided_one_not() -> None:
    axes = ["alpha", "weight_decay"]
    cut = probabilities(cell("gCC"), axes, ["grok"]).iloc[0]
    decided = probabilities(cell("gnn"), axes, ["grok"]).iloc[0]
    assert cut["p_grok_high"] == 1 and decided["p_grok_high"] < 0.8
    assert cut["t_grok"] == decided["t_grok"] == np.inf
    assert probabilities(cell("ggC"), axes, ["grok"]).iloc[0]["t_grok"] == 200


def test_sensitivity_counts_runs_that_change() -> None:
    base, other = cell("ggnn"), cell("ggnn")
    other.loc[0, "phase"] = "memorize-only"
    axes = ["alpha", "weight_decay"]
    same = cell("ggnn").iloc[::-1]  # the order of the runs does not matter
    found = sensitivity({"default": base, "strict": other, "same": same}, axes)
    (row,) = found.to_dict("records")
    assert (row["changed"], row["changed_strict"], row["changed_same"]) == (
        0.25,
        0.25,
        0,
    )


@pytest.mark.slow
def test_other_axes_have_tables_of_their_own(command_line: Any, tmp_path: Path) -> None:
    path = tmp_path / "result"
    shutil.copytree(ROOT / "results/quickstart-reference", path)
    before = {file.name: file.read_bytes() for file in path.glob("*.parquet")}
    axes = ("--x", "alpha", "--y", "weight_decay")
    for words, name in (
        (("boundaries", *axes), "boundaries-alpha-weight_decay"),
        (("uncertainty", *axes, "--format", "csv"), "uncertainty-alpha-weight_decay"),
    ):
        code, out, _ = command_line(words[0], str(path), *words[1:])
        assert code == 0 and f"{name}.parquet" in out
        # Only along the weight decay does a step budget show as a factor 2.
        assert "step budget" not in out
        lines = [line for line in out.splitlines() if " max " in line]
        assert all("  max " in line for line in lines if " min " in line)
    assert all((path / name).read_bytes() == data for name, data in before.items())


@pytest.mark.parametrize("command", ["laws", "forecast"])
def test_rules_without_a_phase_that_generalised_are_refused(
    command_line: Any, command: str
) -> None:
    Path("own.toml").write_text("phases = ['a', 'b', 'c', 'd']\n")
    result = str(ROOT / "results/quickstart-reference")
    code, out, err = command_line(command, result, "--criteria", "own.toml")
    assert code == 2 and not out and "have no phase 'grok'" in err
    assert "without `phases`" in err


@pytest.mark.slow
def test_phases_of_any_name_are_the_same_diagram(
    command_line: Any, tmp_path: Path
) -> None:
    named, twice = tmp_path / "named.toml", tmp_path / "twice.toml"
    named.write_text("phases = ['a', 'b', 'c', 'd']\n")
    twice.write_text("phases = ['a', 'b', 'b', 'd']\n")
    result = grokmap.open(ROOT / "results/quickstart-reference")
    default, other = result.uncertainty(), result.uncertainty(criteria=str(named))
    names = ["p_grok", "p_grok_low", "p_grok_high", "t_grok"]
    pd.testing.assert_frame_equal(other[names], default[names])
    pd.testing.assert_frame_equal(
        result.boundaries(criteria=str(named)), result.boundaries()
    )
    for command in ("boundaries", "uncertainty", "phase-diagram", "refine"):
        words = (command, str(result.path), "--criteria", str(twice))
        code, out, err = command_line(*words)
        assert code == 2 and not out and "runs that generalised 'b'" in err


def test_a_ratio_of_medians_pairs_its_seeds() -> None:
    rng = np.random.default_rng(1)
    second = rng.lognormal(sigma=2, size=12)
    yes = np.ones((2, 12), bool)
    # Seeds differ by far more than optimizers do: pairing takes their spread out.
    same = median_ratio_interval(np.stack([3 * second, second]), yes)
    np.testing.assert_allclose(same, (3, 3, 3))
    other = np.stack([3 * rng.permutation(second), second])
    _, low, high = median_ratio_interval(other, yes)
    assert low < 1.5 and high > 5


def test_a_ratio_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        times = rng.lognormal(sigma=0.5, size=(2, 12)) * [[2.0], [1.0]]
        _, low, high = median_ratio_interval(times, np.ones((2, 12), bool))
        held += low <= 2 <= high
    assert 0.9 <= held / 200 <= 1.0


def test_censored_seeds_open_a_ratio_to_one_side() -> None:
    times = np.stack([np.full(12, 100.0), np.arange(10.0, 22.0)])
    happened = np.stack([np.zeros(12, bool), np.ones(12, bool)])
    ratio, low, high = median_ratio_interval(times, happened)
    assert ratio == low == high == np.inf
    ratio, low, high = median_ratio_interval(times, np.zeros((2, 12), bool))
    assert np.isnan(ratio) and (low, high) == (0, np.inf)
    few = median_ratio_interval(times[:, :4], np.ones((2, 4), bool))
    assert few[0] == pytest.approx(100 / 11.5) and np.isnan(few[1:]).all()
