"""The swept axes beside those that an analysis reads: groups of runs, or a refusal.

Runs that differ in their seeds alone are replicas. Those that differ in any other axis
are not, so that every analysis asks here which axes it does not read.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.errors import SpecError, short
from grokmap.spec.axis import Axis
from grokmap.spec.words import SYSTEM_SIZES

REPLICAS = "seed"
MOST_IN_A_ROW = 6
MOST = 36  # panels that can still be read on one figure
Place = Mapping[str, float | str | bool]


class Group(NamedTuple):
    """Runs of one place on some axes.

    title: the place in words, as in "depth = 2, optimizer = gd", without axes that
      these runs do not read; place: value by axis, None where it is not read.
    """

    title: str
    place: dict[str, Any]
    runs: pd.DataFrame


def others(axes: Sequence[Axis], used: Collection[str]) -> tuple[Axis, ...]:
    """The swept axes that are neither `used` nor the seed.

    used: axes that the analysis plots or fits against; decay_rate stands for the
      weight decay that it follows from.
    """
    covered = {*used, REPLICAS}
    if "decay_rate" in covered:
        covered.add("weight_decay")
    return tuple(axis for axis in axes if axis.name not in covered)


def split(
    runs: pd.DataFrame, rest: Sequence[Axis], most: int | None = None
) -> list[Group]:
    """The runs of each place on `rest`, in the order of its values.

    Args:
      runs: one row each, with the columns of the axes. rest: as of `others`.
      most: groups that the caller can show (None: any number).

    Raises:
      SpecError: more groups than that.
    """
    if not rest:
        return [Group("", {}, runs)]
    keys = pd.DataFrame({axis.name: _ranks(runs, axis) for axis in rest})
    groups = [
        _group(runs.iloc[rows], rest)
        for _, rows in sorted(keys.groupby(list(keys)).indices.items())
    ]
    if most is not None and len(groups) > most:
        raise SpecError(
            f"{_counts(rest)} swept here too: {len(groups)} panels, at most {most} fit "
            f"on a figure. Keep one value of some: {_way_out(rest)}"
        )
    return groups


def panels(
    runs: pd.DataFrame,
    axes: Sequence[Axis],
    x: str,
    y: str,
    most: int | None = None,
) -> tuple[list[Group], list[str]]:
    """(groups, rest): runs in the plane of two axes, a group for each place on others.

    Args: as of `split`; x, y: swept numbers, or decay_rate.

    Raises:
      SpecError: as this; or x or y is no such axis, or is not read by some runs.
    """
    _check_plane(axes, x, y)
    rest = others(axes, (x, y))
    groups = split(runs, rest, most)
    for group in groups:
        for name in (x, y):
            if not is_read(group.runs, name).all():
                here = [axis for axis in rest if group.place[axis.name] is not None]
                raise SpecError(
                    f"{group.title or 'some runs'}: {name} is not read there; choose "
                    f"other axes, or runs that read it: {_way_out(here)}"
                )
    return groups, [axis.name for axis in rest]


def _check_plane(axes: Sequence[Axis], x: str, y: str) -> None:
    """Raises SpecError: two axes that no plane has."""
    able = [a.name for a in axes if a.kind != "choice" and a.name != REPLICAS]
    if len(able) < 2:
        raise SpecError(
            f"{able[0] if able else 'no axis'} has several values here: this "
            "needs two such axes, for --x and --y; `grokmap phase-diagram` draws one"
        )
    for name in (x, y):
        if name in (axis.name for axis in axes if axis.kind == "choice"):
            raise SpecError(
                f"axis {name!r} is a choice, which has no order: each of its values "
                f"gets panels; choose --x and --y among: {', '.join(able)}, decay_rate"
            )
        if name not in (*able, "decay_rate"):
            raise SpecError(
                f"axis {short(repr(name))} is not swept; choose --x and --y among: "
                f"{', '.join(able)}, decay_rate"
            )
    if x == y or {x, y} == {"weight_decay", "decay_rate"}:
        raise SpecError(f"--x {x} and --y {y} are one axis; choose two different ones")


def n_columns(groups: Sequence[Group], rest: Sequence[str]) -> int:
    """Panels in a row: the values of the last axis, or about as many as there are rows
    where those are too many or not all there."""
    last = len({group.place[rest[-1]] for group in groups}) if rest else 1
    if last <= MOST_IN_A_ROW and len(groups) % last == 0:
        return last
    return min(MOST_IN_A_ROW, math.isqrt(len(groups) - 1) + 1)


def with_place(table: pd.DataFrame, group: Group) -> pd.DataFrame:
    """A group's table with its place in columns before the others."""
    place = pd.DataFrame({k: [v] * len(table) for k, v in group.place.items()})
    return place.set_axis(table.index).join(table) if group.place else table


def at_one_place(
    runs: pd.DataFrame, axes: Sequence[Axis], used: Collection[str]
) -> pd.DataFrame:
    """The runs, which have to differ in `used` axes and the seed alone.

    Raises:
      SpecError: they differ in others, which are named.
    """
    open_ = [axis for axis in others(axes, used) if len(split(runs, [axis])) > 1]
    if open_:
        raise SpecError(
            [
                f"{axis.name} is swept too; choose one value, --at {axis.name}=VALUE, "
                f"of {', '.join(map(rounded, axis.values))}"
                for axis in open_
            ]
        )
    return runs


def check_numbers(axes: Sequence[Axis], x: str) -> None:
    """Raises SpecError where x is a swept choice, along which there is no distance."""
    if any(axis.name == x and axis.kind == "choice" for axis in axes):
        raise SpecError(f"--x {x}: names have no distance; choose an axis of numbers")


def is_read(runs: pd.DataFrame, name: str) -> pd.Series:
    """[runs] whether each reads an axis: not null, and no size of 0."""
    known = runs[name].notna()
    return known & (runs[name] != 0) if name in SYSTEM_SIZES else known


def title(place: Mapping[str, Any]) -> str:
    """A place in words, without the axes that are not read there."""
    parts = (f"{k} = {rounded(v)}" for k, v in place.items() if v is not None)
    return ", ".join(parts)


def _ranks(runs: pd.DataFrame, axis: Axis) -> np.ndarray[Any, Any]:
    """[runs] of each its place along the axis; behind all of them where not read."""
    values = runs[axis.name]
    known = is_read(runs, axis.name)
    order: list[Any] = sorted(values[known].unique())
    if axis.kind == "choice":
        order.sort(key=axis.values.index)
    rank = {value: i for i, value in enumerate(order)}
    ranks = [rank[v] if k else len(rank) for v, k in zip(values, known, strict=True)]
    return np.array(ranks, int)


def _group(runs: pd.DataFrame, rest: Sequence[Axis]) -> Group:
    names = [axis.name for axis in rest]
    first = runs.iloc[0]
    reads = {name: bool(is_read(runs.iloc[:1], name).iloc[0]) for name in names}
    place = {name: _plain(first[name]) if reads[name] else None for name in names}
    return Group(title(place), place, runs)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def rounded(value: Any) -> str:
    """A value of an axis in a title or a message, a number to six digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _counts(axes: Sequence[Axis]) -> str:
    """Such as "depth (4 values), width (5 values)"."""
    return ", ".join(f"{axis.name} ({len(axis.values)} values)" for axis in axes)


def _way_out(axes: Sequence[Axis]) -> str:
    return " ".join(f"--at {axis.name}={rounded(axis.values[0])}" for axis in axes)
