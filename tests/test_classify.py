from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from grokmap.classify import CRITERIA, Criteria, classify, read_criteria
from grokmap.errors import SpecError

STEPS = [0, 10, 100, 1000, 2000, 5000]


def longer(values: list[float]) -> list[float]:
    """Two more records before the last, with the values of the one before."""
    return [*values[:-1], *values[-2:-1] * 2, values[-1]]


def label(
    train: list[float],
    test: list[float],
    criteria: Criteria = CRITERIA["default"],
    *,
    steps: list[int] = STEPS,
    rate: float = 0.01,
    horizon: float | None = None,
    zero_loss: float = 0.0,
    loss: list[float] | None = None,
    test_loss: list[float] | None = [1.0] * 6,
) -> Any:
    """Labels one hand-made run among two others, so that segments are told apart."""
    frames = []
    for run_id, (a, b) in {
        "a": ([1.0] * 6, [1.0] * 6),
        "run": (train, test),
        "z": ([0.0] * 6, [0.0] * 6),
    }.items():
        at = (steps if run_id == "run" else STEPS)[: len(a)]
        if at[-3:] == STEPS[-3:]:
            # Enough records in the last octave to tell that the run has settled.
            at, a, b = [*at[:-1], 3000, 4000, 5000], longer(a), longer(b)
        n = len(at)
        frame = pd.DataFrame({"step": at})
        frame["run_id"] = run_id
        frame["train_accuracy"], frame["test_accuracy"] = a, b
        fits = [0.5] * n
        if loss and run_id == "run":
            fits = longer(loss) if len(loss) < n else loss
        frame["train_loss"] = fits
        if test_loss is not None:
            frame["test_loss"] = longer(test_loss)[-n:]
        frame["zero_loss_fraction"] = zero_loss
        frame["snr"] = [0.1] * (n - 1) + [np.nan]
        frames.append(frame)
    table = pd.concat(frames).sample(frac=1, random_state=0)  # in any order of rows
    plan = pd.DataFrame(
        {"run_id": ["z", "run", "a"], "decay_rate": rate, "horizon": horizon}
    )
    runs = classify(table, plan, criteria)
    assert runs["run_id"].tolist() == ["z", "run", "a"]
    return runs.iloc[1]


UP = [0, 0, 1, 1, 1, 1]
LATE = [0, 0, 0, 0, 1, 1]
NEVER = [0.0] * 6


def test_grok() -> None:
    run = label(UP, LATE)
    assert run["phase"] == "grok" and not run["censored"]
    assert (run["t_mem"], run["t_grok"]) == (100, 2000)
    assert (run["delay"], run["delay_ratio"]) == (1900, 20)
    assert not run["comprehension"]
    assert (run["t_mem_resolution"], run["t_grok_resolution"]) == (90, 1000)
    assert run["n_steps"] == 5000
    assert run["final_test_accuracy"] == 1 and pd.isna(run["final_snr"])  # no last one


def test_memorize_only_and_no_learning_have_no_times() -> None:
    run = label(UP, NEVER)
    assert run["phase"] == "memorize-only"
    assert pd.isna(run["t_grok"]) and pd.isna(run["delay"])
    run = label(NEVER, NEVER)
    assert run["phase"] == "no-learning"
    assert pd.isna(run["t_mem"]) and pd.isna(run["delay_ratio"])


def test_a_crossing_must_be_sustained() -> None:
    run = label(UP, [0, 0, 1, 0, 1, 1])
    assert (run["t_grok"], run["t_grok_first"]) == (2000, 100)
    run = label(UP, [0, 0, 1, 1, 1, 0.5])
    assert run["phase"] == "memorize-only" and run["collapsed"]
    assert run["t_grok_first"] == 100 and run["peak_test_accuracy"] == 1
    assert run["final_test_accuracy"] == 0.5
    assert not label(UP, LATE)["collapsed"]


def test_comprehension_is_a_flag() -> None:
    run = label(UP, UP)
    assert run["phase"] == "grok" and run["comprehension"]
    # A late dip of the training accuracy moves t_mem, but makes no grok a prompt one.
    run = label([0, 0, 1, 1, 0.9, 1], LATE)
    assert run["t_mem"] == 5000 and not run["comprehension"]
    assert not label([1] * 6, LATE)["comprehension"]  # t_mem = 0 has no ratio
    assert pd.isna(label([1] * 6, LATE)["delay_ratio"])


def test_bars_are_reached_not_exceeded() -> None:
    bar = np.float32(0.95)
    assert label(UP, [0, 0, 0, 0, float(bar), float(bar)])["phase"] == "grok"
    below = float(np.nextafter(bar, np.float32(0)))
    assert label(UP, [0, 0, 0, 0, below, below])["phase"] == "memorize-only"
    strict = Criteria(strict=True)
    assert label(UP, [0, 0, 0, 0, 0.95, 0.95], strict)["phase"] == "memorize-only"


@pytest.mark.parametrize(
    ("rate", "horizon", "fraction", "censored"),
    [
        (0.01, None, 1.0, False),  # 50 decay times of the 6 asked for
        (6 / 5000, None, 1.0, False),  # exactly 6
        (3 / 5000, None, 0.5, True),
        (9 / 5000, 12.0, 0.75, True),  # the sweep asks for more
        (3 / 5000, 1.0, 0.5, True),  # a short horizon decides nothing
        (0.0, None, 0.0, True),  # without decay nothing is ever decided
    ],
)
def test_censored_until_followed_for_the_horizon(
    rate: float, horizon: float | None, fraction: float, censored: bool
) -> None:
    run = label(UP, NEVER, rate=rate, horizon=horizon)
    assert run["horizon_fraction"] == pytest.approx(fraction)
    assert run["censored"] == censored
    assert not label(UP, LATE, rate=rate, horizon=horizon)["censored"]


def test_diverged_is_an_outcome() -> None:
    run = label(
        [0, 0, 1, np.nan],
        [0, 0, 0, np.nan],
        steps=[0, 10, 100, 123],
        loss=[1, 1, 1, np.nan],
        rate=1e-6,
    )
    assert run["diverged"] and run["diverged_step"] == 123
    assert run["phase"] == "no-learning" and run["collapsed"]
    assert not run["censored"]


def test_stalled_is_not_plain_memorize_only() -> None:
    assert label(UP, NEVER, zero_loss=0.6)["stalled"]
    assert not label(UP, NEVER, zero_loss=0.4)["stalled"]
    assert not label(UP, LATE, zero_loss=0.6)["stalled"]


def test_liu2022_has_its_four_phases() -> None:
    liu = CRITERIA["liu2022"]
    assert label(UP, [0, 0, 0, 1, 1, 1], liu)["phase"] == "comprehension"  # 900
    assert label(UP, LATE, liu)["phase"] == "grokking"  # 1900
    exactly = [0, 10, 1000, 2000, 3000, 4000]
    run = label(UP, [0, 0, 0, 1, 1, 1], liu, steps=exactly)
    assert run["delay"] == 1000 and run["phase"] == "grokking"
    assert label(UP, NEVER, liu)["phase"] == "memorization"
    assert label(NEVER, NEVER, liu)["phase"] == "confusion"
    # First crossings above 0.9, within 1e5 steps; later losses do not count.
    assert label(UP, [0, 0, 0.9, 0.9, 0.9, 0.9], liu)["phase"] == "memorization"
    assert label(UP, [0, 0, 0, 0, 1, 0], liu)["phase"] == "grokking"
    late = [0, 10, 100, 1000, 200_000, 300_000]
    run = label(UP, LATE, liu, steps=late)
    assert run["phase"] == "memorization" and not run["censored"]
    assert run["n_steps"] == 300_000
    assert label(UP, NEVER, liu, rate=1e-9)["censored"]  # 5000 of 1e5 steps


def test_survey2026_takes_first_crossings_above_its_bars() -> None:
    survey = CRITERIA["survey2026"]
    run = label([0, 0, 0.99, 1, 0.5, 1], [0, 0, 0, 0, 0.96, 0.2], survey)
    assert run["phase"] == "grok"
    assert (run["t_mem"], run["t_grok"]) == (1000, 2000)


def test_no_trajectory_is_no_run() -> None:
    empty = pd.DataFrame({"run_id": [], "step": []})
    plan = pd.DataFrame({"run_id": ["a"], "decay_rate": 0.1, "horizon": None})
    assert len(classify(empty, plan)) == 0


def test_users_own_criteria(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("test_bar = 0.5\nsustained = false")
    criteria = read_criteria(str(path))
    assert criteria == Criteria(name="mine", test_bar=0.5, sustained=False)
    assert label(UP, [0, 0, 0, 0.6, 0.6, 0], criteria)["t_grok"] == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test_bar = 1.5", "within"),
        ("tst_bar = 0.5", "unknown key 'tst_bar'"),
        ("train_bar = 'x'", "train_bar"),
        ("name = '../x'", "letters"),
        ("name = 'default'", "not default"),
        ("last_step = -1", "within"),
        ("horizon = nan", "within"),
        ("train_bar = 1.0\nstrict = true", "nothing exceeds"),
        ("phases = ['a', 'b', 'c', 'censored']", "phases"),
        ("phases = ['a', 'b']", "phases"),
        ("x = ", "unreadable"),
    ],
)
def test_bad_criteria_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_criteria(str(path))
    assert any(message in line for line in caught.value.problems)


def test_unknown_criteria_name() -> None:
    with pytest.raises(SpecError, match="known: default, liu2022, survey2026"):
        read_criteria("liu2023")


def by_loss(train: list[float], test: list[float], **rules: Any) -> Any:
    """One run of a task with real targets, which has no accuracies."""
    table = pd.DataFrame({"run_id": "run", "step": STEPS, "zero_loss_fraction": 0.0})
    table["train_accuracy"] = table["test_accuracy"] = np.nan
    table["train_loss"], table["test_loss"] = np.float32(train), np.float32(test)
    plan = pd.DataFrame({"run_id": ["run"], "decay_rate": 0.01, "horizon": 6.0})
    return classify(table, plan, Criteria(name="own", **rules)).iloc[0]


def test_real_targets_are_judged_by_their_losses() -> None:
    train, test = [4, 4, 0.3, 0.1, 0.1, 0.1], [3, 5, 5, 2, 0.3, 0.2]
    run = by_loss(train, test)
    assert (run["phase"], run["t_mem"], run["t_grok"]) == ("grok", 100, 2000)
    # Shares of the initial loss, or the loss itself.
    run = by_loss(train, test, relative_loss=False)
    assert (run["phase"], run["t_mem"]) == ("memorize-only", 1000)
    assert pd.isna(run["t_grok"])
    run = by_loss(train, test, test_loss_bar=0.7)
    assert run["t_grok"] == 1000


def test_a_loss_that_rises_again_is_not_sustained_and_a_diverged_one_is_none() -> None:
    train = [4, 0.1, 0.1, 0.1, 0.1, 0.1]
    run = by_loss(train, [3, 0.1, 0.1, 3, 0.1, 0.1])
    assert run["t_grok"] == 2000 and run["t_grok_first"] == 10
    gone = by_loss([4, 0.1, np.nan, np.nan, np.nan, np.nan], [3.0] * 2 + [np.nan] * 4)
    assert gone["diverged"] and gone["phase"] == "no-learning"


def test_losses_may_judge_where_there_are_accuracies() -> None:
    by_accuracy = label(UP, LATE, loss=[1, 1, 1, 0.5, 0.05, 0.05])
    rules = Criteria(name="own", by_loss=True)
    run = label(UP, LATE, rules, loss=[1, 1, 1, 0.5, 0.05, 0.05], test_loss=None)
    assert (by_accuracy["t_mem"], run["t_mem"]) == (100, 2000)
    # This table has no test loss: the accuracy stands.
    assert run["t_grok"] == 2000
