"""Weights that are kept, during a sweep and after it, and networks made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grokmap
from grokmap import store

SPEC = {
    "name": "kept",
    "task": "modular_addition",
    "modulus": 7,
    "width": 64,
    "train_fraction": 0.8,
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "n_steps": 1000,
    "order_parameters": [],
    "axes": {"alpha": [0.0, 0.2], "seed": [0, 1]},
}


def silent(counts: Any) -> None:
    """Shows nothing."""


def swept(out: Path, **changes: Any) -> Any:
    return grokmap.sweep({**SPEC, **changes}, out=out, on_progress=silent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return swept(folder / "plain")


@pytest.fixture(scope="module")
def kept(folder: Path) -> Any:
    return swept(folder / "kept", save_weights=["t_mem", "end", 100])


def same_leaves(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys() and one
    for name, leaf in one.items():
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, other[name])


def test_weights_of_a_sweep_are_those_of_the_later_command(
    plain: Any, kept: Any
) -> None:
    runs = kept.runs
    learned = runs[runs["t_mem"].notna()]
    assert len(runs) == 4 and len(learned) > 0
    steps = {(r, s) for r in runs["run_id"] for s in (100, 1000)}
    steps |= set(zip(learned["run_id"], learned["t_mem"].astype(int), strict=True))
    assert store.kept_weights(kept.path) == steps
    for run_id in learned["run_id"].head(2):
        files = grokmap.save_weights(plain, run_id, ["t_mem", "end", 100])
        assert len(files) == 3
        for at in ("t_mem", "end", 100):
            same_leaves(plain.weights(run_id, at), kept.weights(run_id, at))
