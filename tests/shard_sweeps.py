"""Sweeps that tests train in shards, and what has to come out of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from grokmap import store

# Two systems, two train fractions (tiles follow from the larger), runs of some length.
TEXT = """
name = "s"
task = "modular_addition"
modulus = 7
learning_rate = 0.05
momentum = 0.9
n_steps = 3000
order_parameters = ["snr", "ntk_drift"]
[axes]
width = [16, 24]
weight_decay = [1e-4, 1e-2, 0.1]
train_fraction = [0.5, 0.7]
alpha = [0, 0.3]
"""


def tables(path: Path) -> list[pd.DataFrame]:
    """What a sweep is for: plan, trajectories, labels, without what they cost."""
    found, unreadable = store.read_trajectories(path)
    assert unreadable == []
    runs = pd.read_parquet(path / store.RUNS).drop(columns="cost_s")
    return [pd.read_parquet(path / store.PLAN), found, runs]


def assert_same(path: Path, reference: Path) -> None:
    """Bitwise the same tables, each run in one file."""
    for table, other in zip(tables(path), tables(reference), strict=True):
        pd.testing.assert_frame_equal(table, other, check_exact=True)
    stored = [run for ids, _ in store.origins(path) for run in ids]
    assert len(stored) == len(set(stored))


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target
