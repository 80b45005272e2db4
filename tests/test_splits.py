"""Structured splits, and examples held out of both sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL, trajectories

from grokmap import plan
from grokmap.classify import CRITERIA, classify
from grokmap.engine.lane import held_out_of, order_of_examples
from grokmap.errors import SpecError
from grokmap.plan import read_sweep
from grokmap.spec import System, n_train_of
from grokmap.tasks.splits import HELD_OUT, SPLITS, n_held_out, sizes_of

P = 7
PAIRS = np.array([[a, b] for a in range(P) for b in range(P)])


def sides(n_train: int, seed: int = 0, **keys: Any) -> tuple[Any, Any, Any]:
    """Pairs of a run: trained on, tested on, held out."""
    system = System(task="modular_addition", modulus=P, width=8, **keys)
    key = jax.random.key(seed)
    order = np.asarray(order_of_examples(system, key))
    assert sorted(order) == list(range(P * P))
    n_out = n_held_out(system, P)
    out = PAIRS[order[P * P - n_out :]]
    if n_out:
        found = PAIRS[np.flatnonzero(held_out_of(system, key))]
        assert sorted(map(tuple, out)) == sorted(map(tuple, found))
    return PAIRS[order[:n_train]], PAIRS[order[n_train : P * P - n_out]], out


def units(split: str, pairs: Any) -> set[int]:
    a, b = pairs.T
    return set({"difference": (a - b) % P, "rows": a}[split].tolist())


@pytest.mark.parametrize("split", ["difference", "rows"])
def test_whole_units_are_on_one_side(split: str) -> None:
    train, test, _ = sides(5 * P, split=split)
    assert len(units(split, train)) == 5 and len(units(split, test)) == 2
    assert not units(split, train) & units(split, test)
    other, _, _ = sides(5 * P, seed=1, split=split)
    assert units(split, other) != units(split, train)


def test_residues_of_the_test_set_are_not_trained_on_together() -> None:
    train, test, _ = sides(25, split="residues")
    known = set(train.ravel().tolist())
    assert len(known) == 5
    assert all(a not in known or b not in known for a, b in test)


def test_the_test_set_of_a_square_is_its_corner() -> None:
    train, test, _ = sides(P * P - 9, split="square")
    assert sorted(map(tuple, test)) == [(a, b) for a in (4, 5, 6) for b in (4, 5, 6)]
    assert all(min(pair) < 4 for pair in train)


def test_a_pair_stays_with_its_mirror() -> None:
    train, test, _ = sides(25, split="unordered")
    sets = [{tuple(pair) for pair in side} for side in (train, test)]
    mirrored = [{(b, a) for a, b in side} for side in sets]
    # One pair may be cut in two by the number of training examples.
    assert len(mirrored[0] - sets[0]) <= 1 and len(mirrored[1] - sets[1]) <= 1


@pytest.mark.parametrize("kind", sorted(set(HELD_OUT) - {"none"}))
def test_what_is_held_out_is_in_neither_set(kind: str) -> None:
    train, test, out = sides(20, held_out=kind, held_out_size=2)
    assert len(train) + len(test) + len(out) == P * P
    expected = {"difference": 14, "rows": 14, "residues": 49 - 25, "square": 4}[kind]
    assert len(out) == expected
    if kind in ("difference", "rows"):
        assert not units(kind, out) & (units(kind, train) | units(kind, test))
    # Beside it the split is random: the rest is not in order.
    again, _, _ = sides(20, seed=3, held_out=kind, held_out_size=2)
    assert sorted(map(tuple, again)) != sorted(map(tuple, train))


def test_random_splits_are_as_they_were() -> None:
    system = System(task="modular_addition", modulus=P, width=8)
    key = jax.random.key(5)
    expected = jax.random.permutation(jax.random.fold_in(key, 0), P * P)
    np.testing.assert_array_equal(order_of_examples(system, key), expected)


def test_sizes_are_those_of_counting() -> None:
    assert sizes_of("difference", 5).tolist() == [0, 5, 10, 15, 20, 25]
    assert sizes_of("residues", 5).tolist() == [0, 1, 4, 9, 16, 25]
    assert sizes_of("square", 5).tolist() == [0, 9, 16, 21, 24, 25]


@pytest.mark.parametrize("split", ["difference", "rows", "residues", "square"])
def test_a_fraction_that_cuts_a_unit_says_which_do_not(split: str) -> None:
    assert SPLITS[split].rank
    with pytest.raises(SpecError, match="not whole units") as failure:
        read_sweep({**SMALL, "train_fraction": 0.45, "split": split})
    nearest = str(failure.value).split("the nearest that are: ")[1].split(" or ")
    for fraction in map(float, nearest):
        sweep = read_sweep({**SMALL, "train_fraction": fraction, "split": split})
        n = SMALL["modulus"] ** 2
        assert n_train_of(fraction, n) in sizes_of(split, SMALL["modulus"])
        assert plan.plan_runs(sweep)[0].n_train == n_train_of(fraction, n)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"held_out": "rows"}, "give both, or neither"),
        ({"held_out_size": 2}, "give both, or neither"),
        ({"held_out": "row", "held_out_size": 2}, "did you mean 'rows'"),
        ({"held_out": "rows", "held_out_size": 5}, "pairs are not held out"),
        ({"held_out": "rows", "held_out_size": 99}, "or nothing is left"),
        ({"task": "plain_addition", "split": "rows"}, "not for task 'plain_addition'"),
    ],
)
def test_what_leaves_no_side_is_an_error(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_sweep({**SMALL, "train_fraction": 0.5, **keys})


def held_out_run(**keys: Any) -> tuple[Any, pd.DataFrame]:
    sweep = read_sweep({**SMALL, "held_out": "rows", "held_out_size": 2, **keys})
    return sweep, trajectories(sweep)


@pytest.mark.slow
def test_scores_of_all_three_sets_are_those_of_the_examples() -> None:
    sweep, records = held_out_run(train_fraction=0.4)
    for side in ("train", "test", "held_out"):
        assert records[f"{side}_accuracy"].between(0, 1).all()
    # At step 0 the mean over all examples is that over the three sets.
    p = sweep.modulus[0]
    n_train, n_out = n_train_of(0.4, p * p), 2 * p
    counts = {"train": n_train, "held_out": n_out, "test": p * p - n_train - n_out}
    plain = trajectories(read_sweep({**SMALL, "train_fraction": 0.4}))
    whole = {"train": n_train, "test": p * p - n_train}
    mean = sum(records[f"{k}_loss"].iloc[0] * n for k, n in counts.items())
    expected = sum(plain[f"{k}_loss"].iloc[0] * n for k, n in whole.items())
    assert mean == pytest.approx(expected, rel=1e-4)
    assert "held_out_loss" not in plain


def test_phases_are_told_by_either_set() -> None:
    sweep = read_sweep({**SMALL, "held_out": "rows", "held_out_size": 2})
    table = plan.plan_table(plan.plan_runs(sweep), sweep).iloc[:1]
    n = 4
    records = pd.DataFrame(
        {
            "run_id": table["run_id"].iloc[0],
            "step": [0, 10, 100, 200],
            "train_accuracy": [0.0, 1.0, 1.0, 1.0],
            "test_accuracy": [0.0, 0.0, 1.0, 1.0],
            "held_out_accuracy": [0.0, 0.0, 0.1, 0.1],
            **{f"{k}_loss": [1.0] * n for k in ("train", "test", "held_out")},
            "zero_loss_fraction": [0.0] * n,
            "weight_norm": [1.0] * n,
        }
    )
    by_test, by_held_out = (
        classify(records, table, CRITERIA[name]).iloc[0]
        for name in ("default", "held-out")
    )
    assert by_test["phase"] == "grok" and by_test["t_grok"] == 100
    assert by_held_out["phase"] == "memorize-only"
    assert by_test["final_held_out_accuracy"] == pytest.approx(0.1)
    with pytest.raises(SpecError, match="has `held_out`; choose others"):
        plain = records.drop(columns=["held_out_accuracy", "held_out_loss"])
        classify(plain, table, CRITERIA["held-out"])


@pytest.mark.slow
def test_a_sweep_with_held_out_rows_is_read_by_the_commands(tmp_path: Path) -> None:
    import grokmap

    sweep = {**SMALL, "held_out": "rows", "held_out_size": 2, "train_fraction": 0.5}
    result = grokmap.sweep(sweep, out=tmp_path / "r")
    runs = result.labelled("held-out")
    assert runs["final_held_out_accuracy"].notna().all()
    assert len(result.labelled("default")) == len(runs)
