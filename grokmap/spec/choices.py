"""A choice as a field of a sweep: one value, or a tuple of those that are swept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grokmap.errors import short


def names(value: Any) -> str | tuple[str, ...]:
    """A name, a text of names with commas between them, or a list of names.

    Raises:
      ValueError: no name, or one is given twice.
    """
    if isinstance(value, str) and "," in value:
        value = [name for name in map(str.strip, value.split(",")) if name]
    return _one_or_several(value, str, "a name")


def switches(value: Any) -> bool | tuple[bool, ...]:
    """true, false, or a list of both.

    Raises:
      ValueError: something else, or a value is given twice.
    """
    return _one_or_several(value, bool, "true or false")


def _one_or_several(value: Any, kind: type, what: str) -> Any:
    values: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    if not values:
        raise ValueError(f"an empty list; give {what} or a list")
    for place, each in enumerate(values):
        if not isinstance(each, kind):
            raise ValueError(f"should be {what}, not {short(repr(each))}")
        if each in values[:place]:
            raise ValueError(f"{short(repr(each))} is given twice")
    return values[0] if len(values) == 1 else tuple(values)
