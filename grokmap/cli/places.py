"""Values of axes as a user writes them: --at depth=2, --near alpha=0.2, --between
0.01,0.1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from grokmap.errors import SpecError, short
from grokmap.spec.sweep import SWEEPABLE
from grokmap.spec.words import CHOICES

if TYPE_CHECKING:
    from grokmap.result import Result


class Where(NamedTuple):
    """The place a command is about, as given by --at and --near.

    at: values by axis, that have to be there; near: values that others may stand for.
    """

    at: dict[str, float | str | bool] = {}
    near: dict[str, float | str | bool] = {}

    def of(self, result: Result) -> Result:
        """The runs of a result there; see `Result.at` and `Result.near`."""
        return result.at(self.at).near(self.near)


def read_where(at: Sequence[str] | None, near: Sequence[str] | None = None) -> Where:
    """The values given as --at axis=value and --near axis=value.

    Raises:
      SpecError: not of that form, or an axis given twice.
    """
    where = Where(read_places(at or (), "--at"), read_places(near or (), "--near"))
    for axis in where.at.keys() & where.near.keys():
        raise SpecError(f"--at and --near {short(axis)}: give one of the two")
    return where


def read_places(
    texts: Sequence[str], option: str = "--at"
) -> dict[str, float | str | bool]:
    """The values given as axis=value, each a number, or the name of a choice.

    Whether a result has such an axis is its own affair: what is no axis of any sweep
    keeps its value as typed.

    Raises:
      SpecError: not of that form, or an axis given twice.
    """
    place: dict[str, float | str | bool] = {}
    for text in texts:
        axis, _, value = (word.strip() for word in text.partition("="))
        if axis in place:
            raise SpecError(f"{option} {short(text)}: {short(axis)} is given twice")
        is_number = axis in SWEEPABLE and axis not in CHOICES
        if axis and value and not is_number:
            place[axis] = value
        else:
            place[axis] = numbers(value, f"{option} {short(text)}", "axis=value", 1)[0]
    return place


def read_names(text: str | None) -> tuple[str, ...]:
    """The names of a comma-separated list; none of None."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def numbers(text: str, option: str, form: str, count: int) -> list[float]:
    """The `count` finite numbers of a comma-separated list.

    Raises:
      SpecError: something else; says the form that `option` has.
    """
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise SpecError(f"{option}: {short(text)!r}; give {form}")
    return values
