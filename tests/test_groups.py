"""Groups of runs by the swept axes that an analysis leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grokmap.errors import SpecError
from grokmap.result import groups
from grokmap.spec.axis import Axis

AXES = (
    Axis("optimizer", ("gd", "adamw"), "choice"),
    Axis("depth", (1, 2), "integer"),
    Axis("weight_decay", (0.1, 0.00316227766017), "log"),
    Axis("momentum", (0.0, 0.9), "linear"),
    Axis("seed", (0, 1), "integer"),
)
RUNS = pd.DataFrame(
    {
        "optimizer": ["adamw", "gd", "gd", "gd"],
        "depth": [0, 1, 2, 2],
        "weight_decay": [0.1, 0.1, 0.1, 0.00316227766017],
        "momentum": [np.nan, 0.9, 0.0, 0.0],
        "seed": [0, 0, 0, 1],
        "run_id": list("abcd"),
    }
)


def test_others_are_neither_used_nor_replicas() -> None:
    rest = groups.others(AXES, ("decay_rate", "depth"))
    assert [axis.name for axis in rest] == ["optimizer", "momentum"]


def test_groups_go_in_the_axis_order_and_keep_what_is_not_read_apart() -> None:
    split = groups.split(RUNS, groups.others(AXES, ("weight_decay",)))
    assert [g.title for g in split] == [
        "optimizer = gd, depth = 1, momentum = 0.9",
        "optimizer = gd, depth = 2, momentum = 0",
        "optimizer = adamw",
    ]
    assert split[2].place == {"optimizer": "adamw", "depth": None, "momentum": None}
    assert ["".join(g.runs["run_id"]) for g in split] == ["b", "cd", "a"]


def test_nothing_else_swept_is_one_group() -> None:
    (only,) = groups.split(RUNS, ())
    assert only.title == "" and len(only.runs) == len(RUNS)


def test_too_many_groups_are_refused_with_a_way_out() -> None:
    rest = groups.others(AXES, ("weight_decay",))
    with pytest.raises(
        SpecError, match=r"depth \(2 values\).* 3 panels, at most 2.* --at depth=1"
    ):
        groups.split(RUNS, rest, most=2)
