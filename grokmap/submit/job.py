"""A sweep that is trained in shards, and what an engine has to do for it.

The only state is in files, on storage that all machines share: an engine starts
commands and says how they ended, no more.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from grokmap.spec.shard import Shard


class Job(NamedTuple):
    """A sweep in shards.

    path: the result folder, absolute. words: SPEC, absolute if it is a file, and the
    options of `grokmap sweep` beside --out and --shard. of: how many shards. asks: what
    the engine alone reads, as typed: {"gpus": "1", "time": "4h"}.
    """

    path: Path
    words: tuple[str, ...]
    of: int
    asks: Mapping[str, str] = MappingProxyType({})

    def command(self, number: int) -> list[str]:
        """The command of one shard, to be run anywhere that sees the folder."""
        python = [sys.executable, "-m", "grokmap", "sweep"]
        shard = ["--shard", str(Shard(number, self.of))]
        return [*python, *self.words, "--out", str(self.path), *shard]


class Attempt(Protocol):
    """One start of one shard."""

    def poll(self) -> int | None:
        """Its exit code; None while it waits or runs; below 0 if it was killed."""

    def stop(self) -> None:
        """Asks it to stop in good order (SIGTERM); `poll` says when it has."""


class Engine(Protocol):
    """Starts shards of one job."""

    def start(self, numbers: Sequence[int]) -> Sequence[Attempt]:
        """Starts, or queues, these shards (1 to `of`); called again for those that
        have to go on."""

    def script(self) -> str:
        """What would be started, as text to read or to submit by hand."""
