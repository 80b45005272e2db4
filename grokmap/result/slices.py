"""A result at one place of some of its axes: what `--at` and `--near` mean everywhere.

A place is a value of each named axis: one that the grid, or a run beside it, has. An
axis that is not swept has its one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokmap.analysis.systems import coordinate
from grokmap.classify import Criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.result.groups import Place, is_read, rounded, title
from grokmap.result.result import Result
from grokmap.result.selection import distance
from grokmap.spec.axis import Axis
from grokmap.spec.names import meant
from grokmap.spec.sweep import SWEEPABLE
from grokmap.spec.words import CHOICES
from grokmap.store import LABELS_READ

PRINTED = 5e-4  # relative error of a number printed to four digits
LISTED = 16  # values that an error names


class Slice(Result):
    """The runs of a result at one place; every table and analysis is of these alone.

    place: the value of each axis that was given, exactly as the runs have it.
    """

    def __init__(self, whole: Result, place: dict[str, Any]) -> None:
        self.path, self.spec, self.say = whole.path, whole.spec, whole.say
        self._whole, self._place = whole, place
        here = rows_at(whole.plan, self._filters)
        if here.empty:
            raise SpecError(
                f"at {title(place)}: no run is planned there, though each of the "
                "values is swept"
            )
        open_ = [axis for axis in whole.axes if axis.name not in place]
        self._axes = tuple(axis for axis in open_ if is_read(here, axis.name).any())

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; at {title(self.place)})"

    @property
    def _filters(self) -> dict[str, Any]:
        swept = {axis.name for axis in self._whole.axes}
        return {name: v for name, v in self._place.items() if name in swept}

    @property
    def place(self) -> dict[str, Any]:
        return {**self._whole.place, **self._place}

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self._axes

    @property
    def plan(self) -> pd.DataFrame:
        return rows_at(self._whole.plan, self._filters)

    @property
    def planned(self) -> pd.DataFrame:
        return self._whole.planned

    def labelled(
        self,
        criteria: str | Criteria = "default",
        columns: Sequence[str] | None = LABELS_READ,
    ) -> pd.DataFrame:
        runs = rows_at(self._whole.labelled(criteria, columns), self._filters)
        if runs.empty:
            where = title(self.place)
            raise ResultError(f"{self.path}: no finished run at {where} yet")
        return runs

    def records(
        self,
        columns: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        here = self.plan["run_id"].tolist()
        wanted = here if runs is None else [r for r in runs if r in set(here)]
        return self._whole.records(columns, wanted)

    def classify(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        # A run's share of the wall time is one among all runs.
        return rows_at(self._whole.classify(criteria), self._filters)


def at(result: Result, place: Place) -> Result:
    """The result at exactly these values; see `Result.at`."""
    return Slice(result, {k: exact(result, k, v) for k, v in place.items()})


def near(result: Result, place: Place) -> Result:
    """The result at the values nearest to these, which are said; see `Result.near`."""
    taken = {k: closest(result, k, v) for k, v in place.items()}
    for name, value in taken.items():
        if not is_same(name, value, place[name]):
            given = short(f"{name}={rounded(place[name])}")
            result.say(f"near {given}: {name} = {rounded(value)}")
    return Slice(result, taken)


def rows_at(table: pd.DataFrame, place: Place) -> pd.DataFrame:
    """The rows of a plan, or of runs, that stand at a place."""
    here = np.ones(len(table), bool)
    for name, value in place.items():
        here &= (coordinate(table, name) == value).to_numpy(bool, na_value=False)
    return table[here]


def values_there(result: Result, name: str) -> list[Any]:
    """The values of a key in the runs of a result, in order; those of the grid first
    where it is a choice.

    Raises:
      SpecError: no such key.
    """
    for axis in result.axes:
        if axis.name == name:
            values = coordinate(result.plan, name).dropna().unique().tolist()
            by_name = axis.kind == "choice"
            return sorted(values, key=axis.values.index if by_name else None)
    fixed = {**fixed_values(result), **result.place}
    if name in fixed:
        return [fixed[name]]
    if name in result.spec.swept:
        raise SpecError(f"at {name}: no run reads it at {title(result.place)}")
    swept = [axis.name for axis in result.axes]
    hint = f"swept: {', '.join(swept) or 'nothing'}"
    if near := meant(name, [*swept, *fixed]):
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    raise SpecError(f"at {short(name)}: no such axis; {hint}")


def fixed_values(result: Result) -> dict[str, Any]:
    """The one value of each key that a result could sweep and does not."""
    swept = set(result.spec.swept)
    return {k: result.spec.points(k)[0] for k in SWEEPABLE if k not in swept}


def exact(result: Result, name: str, value: float | str | bool) -> Any:
    """The value of an axis that was meant, as the runs have it.

    Numbers are matched to four digits, as they are printed; of two values as close,
    the closest; words without regard to case.

    Raises:
      SpecError: no such axis, or it has no such value.
    """
    values = values_there(result, name)
    same = [v for v in values if is_same(name, v, value)]
    if same:
        return same[0] if len(same) == 1 else _closest(same, float(value))
    given = short(f"{name}={rounded(value)}")
    if len(values) == 1:
        raise SpecError(f"at {given}: not swept here; {name} = {rounded(values[0])}")
    raise SpecError(f"at {given}: no such value; known: {_listed(values)}")


def closest(result: Result, name: str, value: float | str | bool) -> Any:
    """The value of an axis nearest to a number, by ratios on a log axis.

    Raises:
      SpecError: no such axis; a choice, or no number, which is nowhere near.
    """
    values = values_there(result, name)
    if name in CHOICES:
        return exact(result, name, value)
    try:
        wanted = float(value)
    except ValueError:
        given = short(f"{name}={rounded(value)}")
        raise SpecError(
            f"near {given}: not a number; known: {_listed(values)}"
        ) from None
    return _closest(
        values, wanted, len(values) > 1 and result.is_log(name, result.plan)
    )


def _closest(values: Sequence[Any], wanted: float, log: bool = False) -> Any:
    away = distance(np.array(values, float), wanted, log)
    return values[int(np.argmin(away))]


def is_same(name: str, swept: Any, given: Any) -> bool:
    """Whether a value that was given means this value of an axis."""
    if name in CHOICES:
        return str(swept).casefold() == str(given).casefold()
    try:
        wanted = float(given)
    except (TypeError, ValueError):
        return False  # not a number, so none of the axis' values
    return bool(np.isclose(float(swept), wanted, rtol=PRINTED, atol=0))


def _listed(values: Sequence[Any]) -> str:
    more = len(values) - LISTED
    words = ", ".join(map(rounded, values[:LISTED]))
    return f"{words}, ... ({more} more)" if more > 0 else words
