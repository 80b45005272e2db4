"""A result folder as the command line opens it: what cannot be read is a line."""

from __future__ import annotations

import sys
from pathlib import Path

from grokmap.cli.places import Where
from grokmap.errors import shown
from grokmap.result import Result

EVERYWHERE = Where()


def say(line: str) -> None:
    """One line on stderr."""
    print(f"grokmap: {shown(line)}", file=sys.stderr)


def open_result(path: Path, where: Where = EVERYWHERE) -> Result:
    """The result at `path`, or its runs at a place; what waits to be merged into it is
    said, and the values that --near has taken.

    Raises:
      SpecError, ResultError: there is none, it is not sound, or has no such place.
    """
    result = Result(path, say)
    result.say_waiting()
    return where.of(result)
