"""A result at one place: what --at and --near leave, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, SMALL

from grokmap import plan
from grokmap.cli.places import read_where
from grokmap.errors import ResultError, SpecError
from grokmap.plan import read_sweep
from grokmap.result import Result, groups, planes
from grokmap.spec.axis import Axis

KEPT = {k: v for k, v in SMALL.items() if k not in ("alpha", "weight_decay")}
AXES = {
    "optimizer": ["gd", "adamw"],
    "alpha": [0.0, 0.2],
    "weight_decay": [0.0, 1e-3, 1e-2, 0.5],
    "momentum": [0.0, 0.9],
    "seed": [0, 1],
}


class Planned(Result):
    """A result without a folder, of which all runs but those of one seed are done."""

    def __init__(self, done: tuple[int, ...] = (0, 1)) -> None:
        self.path, self.spec = Path("planned"), read_sweep({**KEPT, "axes": AXES})
        self.said: list[str] = []
        self.say = self.said.append
        self._plan = plan.plan_table(plan.plan_runs(self.spec), self.spec)
        self._done = done

    @property
    def plan(self) -> pd.DataFrame:
        return self._plan

    def labelled(self, *args: Any, **options: Any) -> pd.DataFrame:
        return self._plan[self._plan["seed"].isin(self._done)].assign(phase="grok")

    def records(self, columns: Any = None, runs: Any = None) -> pd.DataFrame:
        ids = self._plan["run_id"] if runs is None else runs
        return pd.DataFrame({"run_id": list(ids), "step": 0})


def names(result: Result) -> list[str]:
    return [axis.name for axis in result.axes]


def test_a_slice_is_its_runs_and_the_axes_that_are_left() -> None:
    whole = Planned()
    there = whole.at(optimizer="GD", weight_decay=0.001)
    assert there.place == {"optimizer": "gd", "weight_decay": 0.001}
    assert names(there) == ["alpha", "momentum", "seed"]
    plan_there = whole.plan.query("optimizer == 'gd' and weight_decay == 0.001")
    for table in (there.plan, there.labelled(), there.records()):
        assert set(table["run_id"]) == set(plan_there["run_id"])
    assert len(plan_there) == 8 and len(there.planned) == len(whole.plan)
    one = there.records(runs=[*plan_there["run_id"][:1], whole.plan["run_id"].iloc[-1]])
    assert len(one) == 1
    assert "at optimizer = gd, weight_decay = 0.001" in repr(there)


def test_slices_of_slices_and_axes_that_are_not_read() -> None:
    adamw = Planned().at(optimizer="adamw")
    assert names(adamw) == ["alpha", "weight_decay", "seed"]  # no momentum
    assert adamw.at({"alpha": 0.2}).place == {"optimizer": "adamw", "alpha": 0.2}
    assert len(adamw.at(alpha=0.2).plan) == 8
    with pytest.raises(SpecError, match="momentum: no run reads it at optimizer"):
        adamw.at(momentum=0.9)
    with pytest.raises(SpecError, match="optimizer=gd: not swept here; .* = adamw"):
        adamw.at(optimizer="gd")
    assert adamw.at(optimizer="adamw").plan.equals(adamw.plan)
    with pytest.raises(SpecError, match="no run is planned there"):
        Planned().at(optimizer="adamw", momentum=0.9)


def test_an_axis_that_is_not_swept_has_its_one_value() -> None:
    whole = Planned()
    width = SMALL["width"]
    assert whole.at(width=width).plan.equals(whole.plan)
    with pytest.raises(SpecError, match=f"width=3: not swept here; width = {width}"):
        whole.at(width=3)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"alpha": 0.1}, "alpha=0.1: no such value; known: 0, 0.2"),
        ({"alpha": "rich"}, "alpha=rich: no such value"),
        ({"optimizer": "sgd"}, "no such value; known: gd, adamw"),
        ({"weight_deacy": 1}, "did you mean 'weight_decay'"),
        ({"zzz": 1}, "no such axis; swept: optimizer, alpha"),
    ],
)
def test_a_place_that_is_none_is_refused(place: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Planned().at(place)


def test_numbers_are_matched_to_four_digits_and_the_closest_is_meant() -> None:
    whole = Planned()
    assert whole.at(weight_decay=0.0010004).place == {"weight_decay": 0.001}
    with pytest.raises(SpecError, match="known: 0, 0.001, 0.01, 0.5"):
        whole.at(weight_decay=0.001001)


def test_nearest_is_by_ratios_on_a_log_axis_and_is_said() -> None:
    whole = Planned()
    assert whole.near(weight_decay=0.08).place == {"weight_decay": 0.5}  # not 0.01
    assert whole.near(weight_decay=0.06).place == {"weight_decay": 0.01}
    assert whole.near(alpha=0.08).place == {"alpha": 0.0}
    assert whole.said[0] == "near weight_decay=0.08: weight_decay = 0.5"
    said = len(whole.said)
    assert whole.near(alpha=0.2).place == {"alpha": 0.2} and len(whole.said) == said
    assert whole.near(alpha=7).place == {"alpha": 0.2}
    with pytest.raises(SpecError, match="known: gd, adamw"):
        whole.near(optimizer="sgd")
    with pytest.raises(SpecError, match="near alpha=rich: not a number"):
        whole.near(alpha="rich")


def test_what_is_planned_and_not_done_is_said() -> None:
    with pytest.raises(ResultError, match="no finished run at seed = 1"):
        Planned(done=(0,)).at(seed=1).labelled()


def test_at_and_near_as_they_are_written() -> None:
    where = read_where(["optimizer=gd", "alpha=.2"], ["weight_decay=1"])
    assert where.at == {"optimizer": "gd", "alpha": 0.2}
    assert where.of(Planned()).place["weight_decay"] == 0.5
    for at, near, message in (
        (["alpha"], [], "give axis=value"),
        (["alpha=1", "alpha=2"], [], "given twice"),
        (["alpha=1"], ["alpha=2"], "give one of the two"),
        ([], ["alpha=x"], "--near alpha=x"),
    ):
        with pytest.raises(SpecError, match=message):
            read_where(at, near)


def test_a_misspelt_axis_is_told_whatever_its_value() -> None:
    for word in ("gd", "3"):
        for at, near in (([f"optimiser={word}"], []), ([], [f"optimiser={word}"])):
            with pytest.raises(SpecError, match="no such axis; did you mean 'optimi"):
                read_where(at, near).of(Planned())


NUMBERS = [Axis(k, (1.0, 2.0), "linear") for k in ("train_fraction", "alpha", "width")]
DECAY, CHOICE = Axis("weight_decay", (0.1, 1.0), "log"), Axis("model", ("a",), "choice")
SEED = Axis("seed", (0, 1), "integer")


@pytest.mark.parametrize(
    ("axes", "x", "y", "expected"),
    [
        ([*NUMBERS, DECAY], None, None, ("weight_decay", "alpha")),
        ([*NUMBERS, DECAY], None, "width", ("weight_decay", "width")),
        ([*NUMBERS, DECAY], "alpha", None, ("alpha", "train_fraction")),
        ([*NUMBERS, DECAY], "decay_rate", None, ("decay_rate", "alpha")),
        ([NUMBERS[0], NUMBERS[2]], None, None, ("width", "train_fraction")),
        ([*NUMBERS, DECAY], None, "none", ("weight_decay", None)),
        ([*NUMBERS, DECAY], "width", "none", ("width", None)),
        ([DECAY, CHOICE, SEED], None, None, ("weight_decay", None)),
        ([DECAY], "decay_rate", None, ("decay_rate", None)),
        ([DECAY], "weight_decay", "alpha", ("weight_decay", None)),
        ([NUMBERS[0]], None, "train_fraction", ("train_fraction", None)),
    ],
)
def test_axes_left_open_are_chosen(axes: Any, x: Any, y: Any, expected: Any) -> None:
    assert planes.chosen(axes, x, y) == expected


def test_axes_that_no_diagram_has() -> None:
    with pytest.raises(SpecError, match=r"swept: model, seed\. A diagram needs"):
        planes.chosen([CHOICE, SEED])
    with pytest.raises(SpecError, match="'widht' is not swept here; swept: weight"):
        planes.chosen([DECAY], "widht")
    with pytest.raises(SpecError, match="'alpha' is not swept here"):
        planes.chosen([DECAY], "alpha")


def test_three_more_axes_fit_once_some_are_fixed() -> None:
    runs = Planned().labelled()
    more = [Axis(k, tuple(range(4)), "integer") for k in ("depth", "n_inputs", "width")]
    parts = [
        runs.assign(depth=1 + i % 4, n_inputs=1 + i // 4 % 4, width=8 + i // 16)
        for i in range(64)
    ]
    every = pd.concat(parts, ignore_index=True)
    axes = [*(a for a in Planned().axes if a.name in ("alpha", "weight_decay")), *more]
    with pytest.raises(
        SpecError, match="64 panels, at most 36.*--at depth=0 --at n_inp"
    ):
        groups.panels(every, axes, "weight_decay", "alpha", groups.MOST)
    left = [axis for axis in axes if axis.name != "depth"]
    here = every[every["depth"] == 1]
    places, rest = groups.panels(here, left, "weight_decay", "alpha", groups.MOST)
    assert len(places) == 16 and rest == ["n_inputs", "width"]


def test_a_slice_draws_what_the_whole_draws_there(command_line: Any) -> None:
    result = str(ROOT / "results/quickstart-reference")
    options = ("--format", "csv", "--out", "sliced")
    at = ("--at", "alpha=0.2", "--near", "weight_decay=0.01")
    code, out, err = command_line("phase-diagram", result, *at, *options)
    assert code == 2 and "A diagram needs a swept number" in err and not out
    code, out, err = command_line("phase-diagram", result, *at[:2], *options)
    assert code == 0, err
    lines = pd.read_csv("sliced.csv").set_index("weight_decay")
    assert lines.index.is_unique and len(lines) == 10
    whole = pd.read_parquet(Path(result) / "runs.parquet").query("alpha == 0.2")
    for decay, cell in whole.groupby("weight_decay"):
        assert lines.loc[decay, "n_runs"] == len(cell)
        if cell["phase"].eq("grok").all():
            median = cell["t_grok"].astype(float).median()
            assert lines.loc[decay, "t_grok"] == median
            assert lines.loc[decay, "p_grok"] == 1
