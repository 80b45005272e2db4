"""The axis grammar: how a swept parameter is written in TOML and after `-s`.

    0.3                  one value
    0.1,0.2              a list
    0:0.5:11             linear: both ends, count
    log:1e-4:1:20        geometric: both ends, count
    logint:32:1024:6     geometric, rounded to whole numbers
    range:11:60:6        start, stop (excluded), step
    0,log:1e-3:1:4       any of these with commas between them

Values are rounded to 12 significant digits, so that the same axis gives the same
run ids on every machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from grokmap.errors import short

MAX_POINTS = 1_000_000
GRAMMAR = (
    "0.3 | 0.1,0.2 | 0:0.5:11 | log:1e-4:1:20 | logint:32:1024:6 | range:0:8:1 | "
    "0,log:1e-3:1:4"
)


def round12(value: float) -> float:
    """`value` rounded to 12 significant digits (the precision of run ids)."""
    return float(f"{value:.12g}")


def expand_axis(text: str) -> list[float]:
    """The values of one axis written in the grammar above.

    Raises:
      ValueError: not in the grammar, empty, reversed, a count that is no positive
        whole number, or more than `MAX_POINTS` points (refused before expansion).
    """
    if not text.strip():
        raise ValueError(f"an empty axis; write one as {GRAMMAR}")
    return _joined(_part(part.strip()) for part in text.split(","))


def listed(value: Any) -> list[Any]:
    """The points of an axis as a file has it: a number, a text in the grammar above, or
    a list of both.

    Raises:
      ValueError: as `expand_axis`; or an empty list.
    """
    parts = value if isinstance(value, (list, tuple)) else [value]
    if not parts:
        raise ValueError(f"an empty axis; write one as {GRAMMAR}")
    return _joined(expand_axis(p) if isinstance(p, str) else [p] for p in parts)


def _joined(parts: Iterable[list[Any]]) -> list[Any]:
    points: list[Any] = []
    for part in parts:
        points += part
        _check_count(len(points))
    return points


def _part(text: str) -> list[float]:
    """The values of what stands between two commas."""
    fields = text.split(":")
    if fields[0] in ("log", "logint", "range"):
        if len(fields) != 4:
            raise ValueError(f"{fields[0]} takes three fields; write axes as {GRAMMAR}")
        return _named(fields[0], fields[1:], text)
    if len(fields) == 1:
        return [_number(text)]
    if len(fields) == 3:
        return _linear(fields, text)
    raise ValueError(f"not an axis; write one as {GRAMMAR}")


def _named(kind: str, fields: list[str], text: str) -> list[float]:
    if kind == "range":
        return _range(fields, text)
    low, high = _ends(fields, text)
    if low <= 0:
        raise ValueError(f"a {kind} axis starts above 0, not at {fields[0].strip()}")
    points = np.geomspace(low, high, _count(fields[2]))  # exact at both ends
    if kind == "log":
        return [round12(x) for x in points]
    return [float(x) for x in dict.fromkeys(np.rint(points).tolist())]


def _linear(fields: list[str], text: str) -> list[float]:
    low, high = _ends(fields, text)
    last = _number(fields[2])
    if 0 < last != int(last):
        ends = f"{fields[0].strip()}:{fields[1].strip()}"
        raise ValueError(
            f"the last field is a count of points, a whole number, not "
            f"{fields[2].strip()}; did you mean range:{ends}:{fields[2].strip()} "
            "(a step)?"
        )
    count = _count(fields[2])
    return [round12(x) for x in np.linspace(low, high, count)]


def _range(fields: list[str], text: str) -> list[float]:
    low, high = _ends(fields, text)
    step = _number(fields[2])
    if step <= 0:
        raise ValueError(f"the step of a range is above 0, not {fields[2].strip()}")
    # A stop that rounding puts a hair above the last value stays excluded.
    count = (high - low) / step - 1e-9
    _check_count(count)
    return [round12(low + i * step) for i in range(math.ceil(count))]


def _ends(fields: list[str], text: str) -> tuple[float, float]:
    low, high = _number(fields[0]), _number(fields[1])
    if low >= high:
        raise ValueError(
            f"runs from {fields[0].strip()} down to {fields[1].strip()}"
            if low > high
            else "starts where it ends; write one value instead"
        )
    return low, high


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"{short(repr(text.strip()))} is no number; write axes as {GRAMMAR}"
        ) from None
    if not math.isfinite(value):
        raise ValueError(f"{short(text.strip())} is not finite")
    return round12(value)


def _count(text: str) -> int:
    value = _number(text)
    if value != int(value) or value < 2:
        raise ValueError(
            "the last field is a count of points, a whole number of at least 2, not "
            f"{text.strip()}"
        )
    _check_count(value)
    return int(value)


def _check_count(count: float) -> None:
    if count > MAX_POINTS:
        raise ValueError(f"{count:.3g} points on one axis; at most {MAX_POINTS}")


def is_log(points: Iterable[float]) -> bool:
    """Whether an axis is read as its log: its positive points span over a factor 20,
    and are spaced more evenly in the log."""
    positive = sorted({float(point) for point in points if point > 0})
    if len(positive) < 2 or positive[-1] / positive[0] <= 20:
        return False
    return _spread(map(math.log, positive)) <= _spread(positive)


def _spread(points: Iterable[float]) -> float:
    """How uneven sorted points are: the largest gap over the mean one."""
    gaps = [b - a for a, b in itertools.pairwise(points)]
    return max(gaps) * len(gaps) / sum(gaps)


class Axis(NamedTuple):
    """A swept key: its values in order, and what kind of values they are.

    kind: "linear" or "log" for real numbers, by how they are spaced; "integer" for
    whole numbers; "choice" for names and switches.
    """

    name: str
    values: tuple[Any, ...]
    kind: str

    @property
    def is_log(self) -> bool:
        """Whether distances along it are ratios."""
        return self.kind == "log" or (self.kind == "integer" and is_log(self.values))

    @property
    def is_real(self) -> bool:
        """Whether there are values between its values."""
        return self.kind in ("linear", "log")


def kind_of(values: Iterable[float], whole: bool) -> str:
    """The kind of an axis of numbers, as far as its values tell."""
    return "integer" if whole else "log" if is_log(values) else "linear"


def word(value: Any) -> str:
    """A value of an axis as it is printed."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return str(value)
    return f"{value:.12g}"


def kind_as_written(value: Any) -> str | None:
    """The kind that an axis of real numbers is given by the grammar it is written in.

    "log" of log:, "linear" of a:b:n and range:; None of lists and mixtures, of which
    only the values tell.
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or "," in value or ":" not in value:
        return None
    return "log" if value.strip().startswith("log") else "linear"
