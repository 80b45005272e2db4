"""The kind of a swept axis: as it is written, else as its values tell; kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SMALL, small_sweep

from grokmap import store
from grokmap.session import resolve
from grokmap.spec import Sweep


def kinds(sweep: Sweep) -> dict[str, str]:
    return {axis.name: axis.kind for axis in sweep.axes}


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("log:1e-3:1e-2:4", "log"),  # by its values alone it would be linear
        ("log:1e-4:1:5", "log"),
        ("1e-4:1:5", "linear"),
        ("range:0.1:0.5:0.1", "linear"),
        ([0.001, 0.01, 0.1], "log"),
        ([0.1, 0.2, 0.3], "linear"),
        ("0,log:1e-3:1e-2:4", "linear"),
        ("0,log:1e-3:1:4", "log"),
    ],
)
def test_the_grammar_decides_and_values_where_it_does_not(
    written: str | list[float], kind: str
) -> None:
    sweep = small_sweep(weight_decay=written)
    assert kinds(sweep) == {"weight_decay": kind}
    again = Sweep.from_resolved(sweep.resolved())
    assert again.axis_kinds == sweep.axis_kinds
    assert again.axes == sweep.axes


def test_only_what_values_do_not_tell_is_stored() -> None:
    sweep = small_sweep(
        weight_decay="log:1e-3:1e-2:4", alpha="0:0.4:3", width="logint:8:32:3"
    )
    assert kinds(sweep) == {
        "width": "integer",
        "alpha": "linear",
        "weight_decay": "log",
    }
    assert sweep.resolved()["axis_kinds"] == {"weight_decay": "log"}
    assert "axis_kinds" not in small_sweep(alpha="0:0.4:3").resolved()
    assert (
        small_sweep(width=[8, 16], axis_kinds={"width": "log"}).axes[0].is_real is False
    )


def test_a_folder_keeps_the_kind_of_an_axis_until_that_grows(tmp_path: Path) -> None:
    fixed = {k: v for k, v in SMALL.items() if k != "weight_decay"}
    old, out = small_sweep(weight_decay="log:1e-3:1e-2:2"), tmp_path / "r"
    out.mkdir()
    # As versions wrote it that did not keep kinds.
    store.write_spec(out, old.model_copy(update={"axis_kinds": {}}))
    _, same = resolve(fixed | {"axes": {"weight_decay": "log:1e-3:1e-2:2"}}, out=out)
    _, grown = resolve(fixed | {"axes": {"weight_decay": "log:1e-3:1e-2:3"}}, out=out)
    assert (kinds(same), kinds(grown)) == (
        {"weight_decay": "linear"},
        {"weight_decay": "log"},
    )
