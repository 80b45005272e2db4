"""A run that has not grokked is decided once it has settled, not before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import grokmap
from grokmap.classify import Criteria, classify

sys.path.insert(0, str(ROOT / "benchmarks"))

from settled import compare  # noqa: E402

STEPS = np.unique(np.round(2 ** np.arange(0, 12.01, 1 / 8))).astype(int)  # to 4096
OCTAVES = np.log2(STEPS / STEPS[-1])
LAST = OCTAVES.clip(-1, 0) + 1  # rises from 0 to 1 in the last octave


def labelled(rules: Criteria | None = None, **columns: Any) -> Any:
    """The label of one planted run of 41 decay times that memorised at step 16."""
    values = {
        "train_accuracy": STEPS >= 16,
        "test_accuracy": 0.1,
        "train_loss": 1.0 / STEPS,
        "test_loss": 2.0,
        "weight_norm": 1.0,
        "zero_loss_fraction": 0.0,
    }
    records = pd.DataFrame({"run_id": "a", "step": STEPS, **values, **columns})
    plan = pd.DataFrame({"run_id": ["a"], "decay_rate": 0.01, "horizon": 6.0})
    return classify(records, plan, rules or Criteria(name="mine")).iloc[0]


def test_a_run_at_rest_is_decided() -> None:
    run = labelled()
    assert run["settled"] and not run["censored"] and not run["partial"]
    assert run["test_loss_trend"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("moves", "decided"),
    [
        ({"test_loss": 2 * np.exp(-0.02 * LAST)}, True),
        ({"test_loss": 2 * np.exp(-0.04 * LAST)}, False),
        ({"test_loss": 2 * np.exp(0.5 * LAST)}, True),  # away from generalisation
        ({"test_loss": 2 * np.exp(-3 * (OCTAVES < -1))}, True),  # long ago
        ({"test_accuracy": 0.1 + 0.04 * LAST}, True),
        ({"test_accuracy": 0.1 + 0.06 * LAST}, False),
        ({"test_accuracy": 0.3 - 0.2 * LAST}, True),
        # Over its bar and back, or not yet for good, within the last octave.
        ({"test_accuracy": np.where(np.abs(OCTAVES + 0.5) < 0.1, 1, 0.1)}, False),
        ({"train_accuracy": np.where(np.abs(OCTAVES + 0.5) < 0.1, 0.5, 1)}, False),
    ],
)
def test_what_moves_towards_generalisation_is_undecided(
    moves: dict[str, Any], decided: bool
) -> None:
    run = labelled(**moves)
    assert run["phase"] == "memorize-only"
    assert run["settled"] == decided and run["censored"] == (not decided)


@pytest.mark.parametrize(
    ("moves", "decided"),
    [
        ({}, True),
        ({"train_loss": 2 * np.exp(-0.04 * LAST)}, False),
        ({"train_accuracy": 0.2 + 0.06 * LAST}, False),
        ({"train_loss": 2 * np.exp(0.04 * LAST)}, True),
    ],
)
def test_a_run_that_still_learns_its_training_set_is_undecided(
    moves: dict[str, Any], decided: bool
) -> None:
    run = labelled(**{"train_accuracy": 0.2, "train_loss": 2.0} | moves)
    assert run["phase"] == "no-learning" and run["censored"] == (not decided)


def test_trends_are_changes_per_octave() -> None:
    run = labelled(
        test_loss=3 * np.exp(-0.7 * OCTAVES), test_accuracy=0.5 + 0.02 * OCTAVES
    )
    assert run["test_loss_trend"] == pytest.approx(-0.7)
    assert run["test_accuracy_trend"] == pytest.approx(0.02)


def test_rules_may_be_changed_and_published_ones_stand() -> None:
    falling = {"test_loss": 2 * np.exp(-0.3 * LAST)}
    assert labelled(**falling)["censored"]
    assert not labelled(Criteria(name="mine", settled_loss=0.5), **falling)["censored"]
    # A fixed last step decides by itself, as it is published.
    fixed = Criteria(name="mine", last_step=4000)
    run = labelled(fixed, **falling, test_accuracy=np.where(STEPS == 1, 0.1, 0.5))
    assert not run["censored"] and not run["partial"]
    # What rests halfway is so named there, too, and decided.
    run = labelled(fixed, test_accuracy=np.where(STEPS == 1, 0.1, 0.5))
    assert not run["censored"] and run["partial"]


def test_too_few_records_tell_no_trend() -> None:
    records = pd.DataFrame({"run_id": "a", "step": [0, 10, 100, 1000]})
    records[["train_accuracy", "test_accuracy"]] = [1.0, 0.1]
    records[["train_loss", "test_loss", "zero_loss_fraction"]] = [0.1, 2.0, 0.0]
    plan = pd.DataFrame({"run_id": ["a"], "decay_rate": 0.1, "horizon": 6.0})
    run = classify(records, plan).iloc[0]
    assert np.isnan(run["test_loss_trend"]) and run["censored"]


@pytest.mark.parametrize(
    ("accuracy", "partial"), [(0.94, True), (0.33, True), (0.3, False), (0.1, False)]
)
def test_halfway_is_partial(accuracy: float, partial: bool) -> None:
    # From 0.1 at first; a quarter of the way to 0.95 is 0.3125.
    run = labelled(test_accuracy=np.where(STEPS == 1, 0.1, accuracy))
    assert run["phase"] == "memorize-only" and run["partial"] == partial
    assert run["settled"] and run["censored"] == partial
    moving = labelled(
        test_accuracy=np.where(STEPS == 1, 0.1, accuracy),
        test_loss=2 * np.exp(-0.1 * LAST),
    )
    assert moving["censored"] and not moving["partial"]


def test_real_targets_are_partial_by_their_loss() -> None:
    none = {"train_accuracy": np.nan, "test_accuracy": np.nan}
    for left, partial in ((0.9, False), (0.5, True), (0.05, False)):
        run = labelled(**none, test_loss=np.where(STEPS == 1, 1.0, left))
        assert run["partial"] == partial, left
    assert run["phase"] == "grok"


@pytest.mark.slow
def test_settled_labels_last_where_the_horizon_alone_errs(tmp_path: Path) -> None:
    """The same as benchmarks/settled.py, at p = 11: 30 decay times against 6."""
    spec = {
        "name": "small",
        "task": "modular_addition",
        "modulus": 11,
        "width": 48,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "alpha": 0,
        "weight_decay": 0.02,
        "horizon": 30,
        "min_steps": 100,
        "tail": float("inf"),
        "records_per_octave": 16,
        "order_parameters": [],
        "axes": {"train_fraction": [0.3, 0.5, 0.6, 0.65, 0.7], "seed": [0, 1, 2, 3]},
    }
    result = grokmap.sweep(
        spec, out=tmp_path / "small", on_progress=lambda counts: None
    )
    counts = compare(result.records(), result.plan, 6.0)
    assert counts["runs"] == 20 and counts["followed"] >= 16
    assert counts["followed_changed"] >= 5
    assert counts["decided"] >= 4 and counts["decided_changed"] == 0
