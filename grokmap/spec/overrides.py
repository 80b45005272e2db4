"""What stands after `-s`: values as they are typed in a shell, without quotes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any

from grokmap.errors import short
from grokmap.spec.sweep import AXES, Sweep

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE = "none"
# TOML wants a digit on both sides of the point, and none in front of the others.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

_FIELDS = Sweep.model_fields
_WORDS = {key for key, field in _FIELDS.items() if field.annotation is str}
_SWITCHES = {key for key, field in _FIELDS.items() if field.annotation is bool}
# Budgets, cadences and the like: what is neither a name nor an axis, with a default.
_SETTINGS = {
    key
    for key, field in _FIELDS.items()
    if key not in {*_WORDS, *_SWITCHES, *AXES, "order_parameters"}
}


def override(
    values: dict[str, Any], overrides: Iterable[str], problems: list[str]
) -> set[str]:
    """Replaces keys of `values`, in place, by `key=value` strings; the keys replaced.

    What is no such string is added to `problems`.
    """
    replaced = set()
    for text in overrides:
        key, equals, value = text.partition("=")
        key, value = key.strip().removeprefix("axes."), value.strip()
        if not equals or not key:
            problems.append(f"-s {short(text)}: write -s key=value")
        elif key in _SETTINGS and value.lower() == NONE:
            values.pop(key, None)
        elif not value and key != "order_parameters":
            way_out = (
                f", or -s {key}={NONE} to leave it out" if key in _SETTINGS else ""
            )
            problems.append(f"-s {short(text)}: no value; write -s key=value{way_out}")
        else:
            values[key] = _value(key, value)
            replaced.add(key)
    return replaced


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them; empty or `none`: no names."""
    inside = text.strip().removeprefix("[").removesuffix("]")
    listed = [name.strip().strip("'\"") for name in inside.split(",")]
    named = tuple(name for name in listed if name)
    return () if named == (NONE,) else named


def _value(key: str, text: str) -> Any:
    """`text` as a value of this key's kind, or as typed where it is none (reported
    later)."""
    typed = _toml(text)
    if key in _WORDS:
        return typed if isinstance(typed, str) else text
    if key in _SWITCHES and text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    if typed is None and _NUMBER.fullmatch(text):
        return float(text)
    # A list that is none in TOML: a shell has taken the quotes out of it.
    bare = text.removeprefix("[").removesuffix("]")
    return bare if typed is None else typed


def _toml(text: str) -> Any:
    """`text` as a TOML value; None where it is none."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    return table["value"] if set(table) == {"value"} else None
