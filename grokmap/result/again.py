"""The command that makes one run of a result again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from grokmap.result.status import plain
from grokmap.shell import argument, pasted
from grokmap.spec import Sweep


class Frame(NamedTuple):
    """What stands before and behind a run's own place; `RUN` stands for its id."""

    head: str
    tail: str


BARE = re.compile(r"[A-Za-z][\w.+-]*", re.ASCII)  # no list, no quotes, no axis
RUN = "0run0id0"  # letters that no shell quotes, as those of an id


def frame(path: Path, spec: Sweep) -> Frame:
    """The parts of the command that all runs of a result share."""
    needed = (label.partition(" ")[0] for label in spec.plugins)
    loads = [word for name in needed for word in ("--plugin", name)]
    head = pasted(["grokmap", "sweep", argument(path)])
    return Frame(head, pasted([*loads, "--out", f"{argument(path)}-{RUN}"]))


def setting(key: str, value: Any) -> str:
    """The words that fix one axis at a value; a name without the quotes of TOML, where
    it is read without them."""
    value = plain(value)
    bare = isinstance(value, str) and BARE.fullmatch(value)
    return pasted(["-s", f"{key}={value}" if bare else f"{key}={value!r}"])


def command(parts: Frame, settings: Iterable[str], tile: int | None, run: str) -> str:
    """The whole line.

    settings: as of `setting`, of each swept axis that the run reads. tile: the one that
      it was trained with, on which the last bits depend; None where it is not known.
    """
    tiles = [] if tile is None else [f"--tile {tile}"]
    return " ".join([parts.head, *settings, *tiles, parts.tail.replace(RUN, run)])
