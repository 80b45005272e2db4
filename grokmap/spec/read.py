"""From a TOML file and overrides to a checked sweep, every problem at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grokmap import disk
from grokmap.errors import SpecError
from grokmap.spec.axis import listed
from grokmap.spec.check import check, nearest, short
from grokmap.spec.overrides import names, override
from grokmap.spec.sweep import AUTO, AXES, KEYS, Sweep, default_tail
from grokmap.spec.vocabulary import Vocabulary

RESOLVED = "sweep.toml"  # in a result folder
MAX_FILE_BYTES = 1 << 20
MAX_RESOLVED_BYTES = 1 << 24  # axes as lists, a million points at most
MAX_PROBLEMS = 30
_ALL_KEYS = (*KEYS, "axes")


def read_sweep(
    path: Path, overrides: Sequence[str] = (), *, vocabulary: Vocabulary
) -> Sweep:
    """Reads and checks a sweep file.

    Args:
      path: a TOML file; or the folder of a result, whose resolved spec names every key,
        also those that are not used.
      overrides: `key=value` strings that replace keys of the file.
      vocabulary: the names that exist.

    Raises:
      SpecError: with one line for each problem of the file and the overrides.
    """
    resolved = os.path.isfile(path / RESOLVED)  # False where it may not be looked at
    document = _load(path / RESOLVED if resolved else path)
    problems: list[str] = []
    values = _merge(document, problems)
    overridden = override(values, overrides, problems)
    is_auto = values.get("learning_rate") == AUTO
    if is_auto:
        values |= {"learning_rate": 1.0, "learning_rate_choice": AUTO}
    sweep, bad = _validate(values, problems)
    given = {k for k in (overridden if resolved else values) if k not in bad}
    problems += check(sweep, given, bad, vocabulary)
    if problems:
        more = len(problems) - MAX_PROBLEMS
        shown = problems[:MAX_PROBLEMS] + [f"and {more} more problems"] * (more > 0)
        raise SpecError([f"{path}: {problem}" for problem in shown])
    chosen = sweep.order_parameters
    if chosen is None:
        table = vocabulary.order_parameters
        chosen = tuple(
            name
            for name, entry in table.items()
            if (entry.tasks is None or sweep.task in entry.tasks)
            and (entry.models is None or sweep.model in entry.models)
            and not entry.on_request
        )
    tail = default_tail(sweep.horizon) if sweep.tail is None else sweep.tail
    sweep = sweep.model_copy(update={"learning_rate": ()}) if is_auto else sweep
    return sweep.model_copy(update={"order_parameters": chosen, "tail": tail})


def _load(path: Path) -> dict[str, Any]:
    limit = MAX_RESOLVED_BYTES if path.name == RESOLVED else MAX_FILE_BYTES
    try:
        return disk.read_toml(path, limit)
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not a text file in UTF-8") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: a folder, not a sweep file") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise SpecError(f"{path}: not TOML: nested too deeply") from None
    except ValueError as error:
        is_toml = not isinstance(error, tomllib.TOMLDecodeError)
        what = "no sweep file" if is_toml else "not TOML"
        raise SpecError(f"{path}: {what}: {short(str(error))}") from None


def _merge(document: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Keys of the top and of [axes] as one mapping; misplaced keys are problems."""
    values = dict(document)
    axes = values.pop("axes", {})
    if not isinstance(axes, dict):
        problems.append("axes is a table: write [axes] and the swept keys below it")
        return values
    for key, value in values.items():
        if key in AXES and isinstance(value, (str, list)) and _n_points(value) > 1:
            given = short(repr(value))
            problems.append(f"{key} = {given}: several values; put it under [axes]")
        if key in axes:
            problems.append(
                f"{short(key)} stands at the top and under [axes]; keep one"
            )
    for key in axes:
        if key in KEYS and key not in AXES:
            problems.append(
                f"{key} cannot be swept; numbers that can: {', '.join(AXES)}"
            )
    return {**values, **axes}


def _n_points(value: str | list[Any]) -> int:
    """The points of an axis, none where it is in error (reported later)."""
    try:
        return len(listed(value))
    except ValueError:
        return 0


_PLACEHOLDER: dict[str, Any] = {
    "name": "sweep",
    "task": "",
    "modulus": 2,
    "width": 1,
    "alpha": 1.0,
    "weight_decay": 0.0,
    "train_fraction": 0.5,
    "learning_rate": 1.0,
}


def _validate(
    values: dict[str, Any], problems: list[str]
) -> tuple[Sweep, frozenset[str]]:
    """A sweep from the sound keys, and the names of the others.

    Unsound keys get stand-ins, so that the checks across keys still see the rest and
    the user sees every problem at once.
    """
    values = {k: v for k, v in values.items() if not _unknown(k, problems)}
    chosen = values.get("order_parameters")
    if isinstance(chosen, (str, list)):
        wanted = names(chosen) if isinstance(chosen, str) else tuple(chosen)
        values["order_parameters"] = wanted
    try:
        return Sweep.model_validate(values), frozenset()
    except ValidationError as error:
        bad: dict[str, Any] = {}
        for detail in error.errors(include_url=False):
            bad.setdefault(str(detail["loc"][0]), detail)
        problems += [_message(key, detail) for key, detail in bad.items()]
    sound = {k: v for k, v in values.items() if k not in bad}
    stand_ins = {k: v for k, v in _PLACEHOLDER.items() if k in bad}
    return Sweep.model_validate({**sound, **stand_ins}), frozenset(bad)


def _unknown(key: str, problems: list[str]) -> bool:
    if key in KEYS:
        return False
    if key == "axes":
        problems.append("axes: name the swept key itself, as in alpha=0:0.5:6")
    else:
        problems.append(f"unknown key {short(repr(key))}; {nearest(key, _ALL_KEYS)}")
    return True


def _message(key: str, detail: Any) -> str:
    if detail["type"] == "missing":
        return f"missing key {key!r}"
    if key == "name" and detail["type"] == "string_pattern_mismatch":
        given = short(repr(detail["input"]))
        return (
            f"name = {given}: letters, digits, '.', '_' and '-' only, at most 100, "
            "not starting with a sign"
        )
    text = detail["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    return f"{key} = {short(repr(detail['input']))}: {text}"
