"""Which swept axes a diagram is drawn against, where the user leaves them open."""

from __future__ import annotations

from collections.abc import Sequence

from grokmap.errors import SpecError, short
from grokmap.result.groups import REPLICAS
from grokmap.spec.axis import Axis
from grokmap.spec.sweep import SWEEPABLE

X, Y = "weight_decay", "alpha"
NONE = "none"  # no second axis: lines against the first


def numbers(axes: Sequence[Axis]) -> list[str]:
    """The swept axes of numbers, along which there is a distance."""
    return [a.name for a in axes if a.kind != "choice" and a.name != REPLICAS]


def chosen(
    axes: Sequence[Axis], x: str | None = None, y: str | None = None
) -> tuple[str, str | None]:
    """(x, y) of a diagram; y None: there is one axis to draw against.

    Left open, they are weight_decay and alpha, or else other swept numbers. Where one
    number is swept there is no second axis, nor where y is "none".

    Raises:
      SpecError: no number is swept; or x is "none", or not swept where nothing else
        tells which axis is meant.
    """
    able = numbers(axes)
    if not able:
        swept = ", ".join(axis.name for axis in axes) or "nothing"
        raise SpecError(
            f"swept: {swept}. A diagram needs a swept number, such as weight_decay; "
            "`grokmap curves` draws runs, `grokmap compare --by` two choices"
        )
    if len(able) == 1 or y == NONE:
        return _only(able, x, y), None
    if x is None:
        taken = {y, *(["weight_decay"] if y == "decay_rate" else [])}
        free = [name for name in able if name not in taken]
        x = X if X in free else free[-1]
    if y is None:
        taken = {x, *(["weight_decay"] if x == "decay_rate" else [])}
        free = [name for name in able if name not in taken]
        y = Y if Y in free else free[0]
    return x, y


def _only(able: Sequence[str], x: str | None, y: str | None) -> str:
    """The axis of a diagram that has one: the one asked for that is swept.

    Raises:
      SpecError: a name that is no key of a sweep, or that is not swept.
    """
    asked = [name for name in (x, y) if name not in (None, NONE)]
    swept = [name for name in asked if name in (*able, "decay_rate")]
    known = [name for name in asked if name in (*SWEEPABLE, "decay_rate")]
    if asked and (not swept or known != asked):
        wrong = next((name for name in asked if name not in known), asked[0])
        raise SpecError(
            f"axis {short(repr(wrong))} is not swept here; swept: {', '.join(able)}"
        )
    if swept:
        return str(swept[0])
    return X if X in able else able[0]
