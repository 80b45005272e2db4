"""A choice as a field of a sweep: one value, or a tuple of those that are swept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from grokmap.errors import short

_LABEL = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.-]{0,99}( [A-Za-z0-9][A-Za-z0-9_.+!-]{0,63})?", re.ASCII
)


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


def plugin_labels(value: Any) -> tuple[str, ...]:
    """Plugins as NAME or NAME VERSION: a text with commas between them, or a list.

    Raises:
      ValueError: something else, such as the path of a file.
    """
    if isinstance(value, str):
        value = [label for label in map(str.strip, value.split(",")) if label]
    if not isinstance(value, (list, tuple)):
        raise ValueError("should be a list of names")
    for label in value:
        if not isinstance(label, str) or not _LABEL.fullmatch(label):
            raise ValueError(
                f"{short(repr(label))}: the name of a plugin, or NAME VERSION; the "
                "path of its file goes after --plugin"
            )
    return tuple(value)


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
