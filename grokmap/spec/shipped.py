"""The sweep files that come with grokmap, by name; in a wheel as in a checkout."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from grokmap.errors import SpecError, short
from grokmap.spec.names import nearest

_PACKAGE = Path(__file__).parents[1]
# A wheel has them in the package, a checkout beside it.
FOLDERS = (_PACKAGE / "sweeps", _PACKAGE.parent / "sweeps")
_SENTENCE = re.compile(r"(?<=[.?]) (?=[A-Z0-9])")
_COUNT = re.compile(r"[\d,]+ runs")


class Shipped(NamedTuple):
    """A sweep file: its name, where it lies and, from its comment, what it is for and
    how many runs it has."""

    name: str
    file: Path
    about: str


def shipped() -> dict[str, Shipped]:
    """The shipped sweeps by name."""
    folder = next((path for path in FOLDERS if path.is_dir()), None)
    files = sorted(folder.glob("*.toml")) if folder else []
    return {file.stem: Shipped(file.stem, file, _about(file)) for file in files}


def find(name: str) -> Shipped:
    """The shipped sweep of a name, with or without `.toml`.

    Raises:
      SpecError: there is none.
    """
    known = shipped()
    entry = known.get(name.removesuffix(".toml"))
    if entry is None:
        problem = f"no shipped sweep {short(repr(name))}"
        raise SpecError(f"{problem}; {nearest(name, known)}")
    return entry


def sweep_file(path: Path) -> Path:
    """`path` where something is there; else, of a bare name, the shipped sweep.

    Raises:
      SpecError: nothing is there, and no shipped sweep is called so.
    """
    if os.path.lexists(path):
        return path
    is_name = path.name == str(path) and path.suffix != ".toml"
    if is_name and path.name in shipped():
        return shipped()[path.name].file
    given = short(str(path))
    if is_name:
        hint = f"no shipped sweep either; {nearest(path.name, shipped())}"
        raise SpecError(f"{given}: cannot be read: no such file or folder, and {hint}")
    if path.stem in shipped():
        hint = f"the shipped one: `grokmap sweep {path.stem}`"
        raise SpecError(f"{given}: cannot be read: no such file; {hint}")
    return path


def _about(file: Path) -> str:
    """The first sentence of the file's comment, and the one with the number of runs."""
    lines = file.read_text(encoding="utf-8").partition("\nname")[0].splitlines()
    comment = " ".join(line.removeprefix("#").strip() for line in lines)
    first, *others = _SENTENCE.split(comment)
    if _COUNT.search(first):
        return first
    counts = [sentence for sentence in others if _COUNT.search(sentence)]
    return " ".join([first, *counts[:1]])
