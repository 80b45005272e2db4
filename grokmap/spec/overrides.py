"""What stands after `-s`: values as they are typed in a shell, without quotes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from typing import Any, get_type_hints

from grokmap.errors import short
from grokmap.spec.sweep import SWEEPABLE, Sweep
from grokmap.spec.words import CHOICES, RENAMED, SYSTEM_NUMBERS, Combination

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE = "none"
# TOML wants a digit on both sides of the point, and none in front of the others.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)

_FIELDS = Sweep.model_fields
_SWITCHES = {k for k, kind in get_type_hints(Combination).items() if kind is bool}
_NAMES = {*CHOICES} - _SWITCHES
# Budgets, cadences and the like: what is neither a name nor an axis, with a default.
_SETTINGS = {
    key
    for key, field in _FIELDS.items()
    if key in SYSTEM_NUMBERS or key not in {*SWEEPABLE, "name", "order_parameters"}
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
        key = RENAMED.get(key, key)
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
    named = _parts(inside)
    return () if named == (NONE,) else named


def _parts(text: str) -> tuple[str, ...]:
    parts = (part.strip().strip("'\"") for part in text.split(","))
    return tuple(part for part in parts if part)


def _value(key: str, text: str) -> Any:
    """`text` as a value of this key's kind, or as typed where it is none (reported
    later)."""
    typed = _toml(text)
    if key == "name":
        return typed if isinstance(typed, str) else text
    # A list that is none in TOML: a shell has taken the quotes out of it.
    bare = text.removeprefix("[").removesuffix("]")
    if key in _NAMES:
        return typed if isinstance(typed, (str, list)) else bare
    if key in _SWITCHES:
        words = [part.lower() for part in _parts(bare)]
        known = bool(words) and all(word in (*TRUE, *FALSE) for word in words)
        return [word in TRUE for word in words] if known else text
    if typed is None and _NUMBER.fullmatch(text):
        return float(text)
    return bare if typed is None else typed


def _toml(text: str) -> Any:
    """`text` as a TOML value; None where it is none."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return None
    return table["value"] if set(table) == {"value"} else None
