"""From TOML to the values of a sweep; what is wrong with each key by itself."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grokmap import disk
from grokmap.errors import SpecError, short
from grokmap.spec.axis import listed
from grokmap.spec.names import nearest
from grokmap.spec.overrides import names
from grokmap.spec.sweep import KEYS, SWEEPABLE, Sweep
from grokmap.spec.words import CHOICES, RENAMED, with_new_names

RESOLVED = "sweep.toml"  # in a result folder
MAX_FILE_BYTES = 1 << 20
MAX_RESOLVED_BYTES = 1 << 24  # axes as lists, a million points at most
_ALL_KEYS = (*KEYS, "axes")


def load(
    source: str | Path | Mapping[str, Any],
) -> tuple[dict[str, Any], str, bool]:
    """(document, where, resolved): the TOML of a sweep, what messages call its source,
    and whether it is the resolved spec of a result folder.

    source: as for `read_sweep`.

    Raises:
      SpecError: it cannot be read, or is no TOML.
    """
    if isinstance(source, Mapping):
        return dict(source), "sweep", False
    if isinstance(source, str) and ("\n" in source or "=" in source):
        with _as_spec_errors("sweep"):
            return tomllib.loads(source), "sweep", False
    path = Path(source)
    resolved = os.path.isfile(path / RESOLVED)  # False where it may not be looked at
    file = path / RESOLVED if resolved else path
    limit = MAX_RESOLVED_BYTES if file.name == RESOLVED else MAX_FILE_BYTES
    with _as_spec_errors(file):
        return disk.read_toml(file, limit), str(path), resolved


@contextmanager
def _as_spec_errors(where: str | Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise SpecError(f"{where}: not a text file in UTF-8") from None
    except IsADirectoryError:
        raise SpecError(f"{where}: a folder, not a sweep file") from None
    except OSError as error:
        raise SpecError(f"{where}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise SpecError(f"{where}: not TOML: nested too deeply") from None
    except ValueError as error:
        is_toml = not isinstance(error, tomllib.TOMLDecodeError)
        what = "no sweep file" if is_toml else "not TOML"
        raise SpecError(f"{where}: {what}: {short(str(error))}") from None


def merge(document: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Keys of the top and of [axes] as one mapping; misplaced keys are problems."""
    values = _renamed(document, problems)
    axes = values.pop("axes", {})
    if not isinstance(axes, dict):
        problems.append("axes is a table: write [axes] and the swept keys below it")
        return values
    for key, value in values.items():
        if key in SWEEPABLE and n_points(key, value) > 1:
            given = short(repr(value))
            problems.append(f"{key} = {given}: several values; put it under [axes]")
        if key in axes:
            problems.append(
                f"{short(key)} stands at the top and under [axes]; keep one"
            )
    for key in axes:
        if key in KEYS and key not in SWEEPABLE:
            problems.append(f"{key} cannot be swept; {', '.join(SWEEPABLE)} can")
    return {**values, **axes}


def _renamed(document: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The document with today's names of keys."""
    problems += [
        f"{before} is called {now} now, and stands beside it; keep one"
        for before, now in RENAMED.items()
        if {before, now} <= document.keys()
    ]
    return with_new_names(document)


def n_points(key: str, value: Any) -> int:
    """The points of an axis, none where it is in error (reported later)."""
    if key in CHOICES:
        several = value.split(",") if isinstance(value, str) else value
        return len(several) if isinstance(several, (list, tuple)) else 1
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


def validate(
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
