"""Values of axes as a user writes them: --at depth=2, --between 0.01,0.1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from grokmap.errors import SpecError, short
from grokmap.spec.words import CHOICES


def read_places(texts: Sequence[str]) -> dict[str, float | str | bool]:
    """The values given as --at axis=value, each a number, or the name of a choice.

    Raises:
      SpecError: not of that form, or an axis given twice.
    """
    place: dict[str, float | str | bool] = {}
    for text in texts:
        axis, _, value = (word.strip() for word in text.partition("="))
        if axis in place:
            raise SpecError(f"--at {short(text)}: {short(axis)} is given twice")
        if axis in CHOICES and value:
            place[axis] = value
        else:
            place[axis] = numbers(value, f"--at {short(text)}", "axis=value", 1)[0]
    return place


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
