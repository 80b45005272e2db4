"""Two results, or two slices of one, compared cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.analysis import comparison as analysis
from grokmap.analysis.systems import coordinate, with_coordinates
from grokmap.classify import Criteria
from grokmap.errors import SpecError, short
from grokmap.plot import look_of
from grokmap.result import shading
from grokmap.result.groups import REPLICAS, Place, rounded, title
from grokmap.result.labels import rules_of
from grokmap.result.result import Result
from grokmap.result.slices import fixed_values
from grokmap.spec.sweep import SWEEPABLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUDGETS = ("horizon", "n_steps", "n_epochs", "min_steps", "max_steps", "tail")


class Comparison(NamedTuple):
    """What changes from a to b.

    names: of a and b. axes: those that cells are matched on. settings: what else tells
      the two apart, as (in a, in b).
    cells, summary, labels: tables of `analysis.comparison`, of the matched cells.
    unmatched: one row a cell of one of them alone: `only_in` ("a", "b"), the axes.
    """

    names: tuple[str, str]
    axes: list[str]
    settings: dict[str, tuple[Any, Any]]
    cells: pd.DataFrame
    summary: pd.DataFrame
    labels: pd.DataFrame
    unmatched: pd.DataFrame
    matched: analysis.Matched
    sides: tuple[Result, Result]
    runs: tuple[pd.DataFrame, pd.DataFrame]
    rules: Criteria

    def __repr__(self) -> str:
        """What `grokmap compare` prints, not the tables."""
        from grokmap.result.comparison_text import text

        return text(self)

    @property
    def place(self) -> dict[str, Any]:
        """Where both were sliced to the same value."""
        a, b = (side.place for side in self.sides)
        return {k: v for k, v in {**b, **a}.items() if a.get(k, v) == b.get(k, v)}

    @property
    def by(self) -> str:
        """The values that two slices of one result were taken at."""
        a, b = (side.place for side in self.sides)
        pairs = {k: (v, b[k]) for k, v in a.items() if k in b and v != b[k]}
        return "-".join(f"{k}={rounded(v)},{rounded(w)}" for k, (v, w) in pairs.items())

    def plot(
        self,
        colour: str = "t_grok",
        x: str | None = None,
        y: str | None = None,
        style: str = "paper",
        width: str | float | None = None,
    ) -> Figure:
        """Both phase diagrams and the change of a quantity; see
        `grokmap.result.comparison_drawing.draw`, and `grokmap.plot.look_of` for style
        and width."""
        from grokmap.result.comparison_drawing import draw

        return draw(self, colour, x, y, look_of(style, width)).figure


def compare(
    a: Result,
    b: Result | None = None,
    by: Mapping[str, Sequence[Any]] | None = None,
    criteria: str | Criteria = "default",
    at: Place | None = None,
    colour: str | None = None,
    near: Place | None = None,
) -> Comparison:
    """Two results, or two values of one axis of one result, cell by cell.

    Args:
      by: instead of b, an axis with two of its values: {"optimizer": ("gd", "adamw")}.
      at, near: the values of other axes, in each of the two that reads them; see
        `Result.at` and `Result.near`.
      colour: a recorded quantity that `plot` will be asked for.

    Raises:
      SpecError: neither b nor by, or both; no such axis or value; no cell that both
        have. ResultError: nothing is finished in one of them.
    """
    one, two, names = _sides(a, b, by)
    one, two = _at(one, two, at or {}, near or {}), _at(two, one, at or {}, near or {})
    rules = rules_of(criteria)
    extra = [colour] if colour and shading.is_recorded(colour) else []
    columns = (*store.LABELS_READ, *extra)
    runs = [side.labelled(rules, columns) for side in (one, two)]
    axes = _axes((one, two), runs)
    runs = [
        _with(side, table, axes) for side, table in zip((one, two), runs, strict=True)
    ]
    matched = analysis.match(runs[0], runs[1], axes)
    if matched.a.empty:
        raise SpecError(_nothing_shared(runs, axes, names))
    cells, summary = analysis.measure(matched, axes, rules.generalised)
    only = [table.assign(only_in=s) for s, table in zip("ab", matched[2:], strict=True)]
    return Comparison(
        names=names,
        axes=axes,
        settings=_settings(one, two, axes),
        cells=cells,
        summary=summary,
        labels=analysis.labels(matched, cells, rules.generalised),
        unmatched=pd.concat(only, ignore_index=True)[["only_in", *axes]],
        matched=matched,
        sides=(one, two),
        runs=(runs[0], runs[1]),
        rules=rules,
    )


def _sides(
    a: Result,
    b: Result | None,
    by: Mapping[str, Sequence[Any]] | None,
) -> tuple[Result, Result, tuple[str, str]]:
    """Both, and what they are called."""
    if (b is None) == (not by):
        raise SpecError(
            "compare two results, or two values of an axis of one: "
            "--by optimizer=gd,adamw"
        )
    if b is not None:
        names = (a.path.name, b.path.name)
        if names[0] == names[1]:
            names = (str(a.path), str(b.path))
        one, two = a, b
    else:
        one, two = _split(a, by or {})
        names = (title(one.place), title(two.place))
    return one, two, names


def _split(result: Result, by: Mapping[str, Sequence[Any]]) -> tuple[Result, Result]:
    if len(by) != 1:
        raise SpecError("by: one axis, such as optimizer=gd,adamw")
    ((name, values),) = by.items()
    there = result.axis(name).values
    wanted = list(values) or (list(there) if len(there) == 2 else [])
    if len(wanted) != 2 or wanted[0] == wanted[1]:
        known = ", ".join(map(rounded, there[:16]))
        raise SpecError(f"by {short(name)}: two different values of {known}")
    return result.at({name: wanted[0]}), result.at({name: wanted[1]})


def _at(result: Result, other: Result, at: Place, near: Place) -> Result:
    """The result at a place, on the axes that it reads; one that only the other reads
    is the other's."""
    exact, close = (
        {k: v for k, v in place.items() if _reads(result, k) or not _reads(other, k)}
        for place in (at, near)
    )
    return result.at(exact).near(close)


def _reads(result: Result, name: str) -> bool:
    plan = result.plan
    return name in plan and bool(coordinate(plan, name).notna().any())


def _axes(sides: tuple[Result, Result], runs: Sequence[pd.DataFrame]) -> list[str]:
    """The axes that one of the two sweeps, and both read.

    Raises:
      SpecError: one alone reads an axis that it sweeps.
    """
    swept = {axis.name for side in sides for axis in side.axes} - {REPLICAS}
    names = [name for name in SWEEPABLE if name in swept]
    axes = []
    for name in names:
        values = [
            _with(s, t, [name])[name].dropna().nunique()
            for s, t in zip(sides, runs, strict=True)
        ]
        if min(values) > 0:
            axes.append(name)
        elif max(values) > 1:
            side = sides[int(np.argmax(values))]
            first = rounded(side.axis(name).values[0])
            raise SpecError(
                f"{name} is swept in one of them, and the other does not read it: "
                f"choose a value, --at {name}={first}"
            )
    return axes


def _with(result: Result, runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Runs with a column of each axis, null where it is not read; also of an axis that
    is younger than the result."""
    fixed = fixed_values(result)
    runs = runs.assign(**{name: fixed[name] for name in axes if name not in runs})
    return with_coordinates(runs, axes)


def _nothing_shared(
    runs: Sequence[pd.DataFrame], axes: Sequence[str], names: tuple[str, str]
) -> str:
    """Says on which axes two planes have no value in common."""
    lines = []
    for name in axes:
        one, two = (list(dict.fromkeys(table[name].dropna())) for table in runs)
        pair = [table[[name]] for table in runs]
        if analysis.match(pair[0], pair[1], [name]).a.empty:
            lines.append(f"{name} is {_values(one)} in A, {_values(two)} in B")
    apart = "; ".join(lines) or "each axis has common values, but no cell has them all"
    hint = "" if lines else f" of {', '.join(axes)}"
    return f"{names[0]} and {names[1]} share no cell{hint}: {apart}"


def _values(values: Sequence[Any]) -> str:
    words = ", ".join(map(rounded, sorted(values, key=str)[:5]))
    return words if len(values) <= 5 else f"{words}, ..."


def _settings(
    one: Result, two: Result, axes: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    """What is fixed in both, and not the same: keys that may be swept, and budgets."""
    pair = []
    for side in (one, two):
        fixed = {**fixed_values(side), **side.place}
        pair.append(fixed | {name: getattr(side.spec, name) for name in BUDGETS})
    return {
        name: (value, pair[1][name])
        for name, value in pair[0].items()
        if name not in (*axes, REPLICAS)
        and name in pair[1]
        and value != pair[1][name]
        and (_reads(one, name) or _reads(two, name) or name in BUDGETS)
    }
