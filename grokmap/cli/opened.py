"""A result folder as the command line opens it: what cannot be read is a line."""

from __future__ import annotations

import sys
from pathlib import Path

from grokmap.errors import shown
from grokmap.result import Result


def say(line: str) -> None:
    """One line on stderr."""
    print(f"grokmap: {shown(line)}", file=sys.stderr)


def open_result(path: Path) -> Result:
    """The result at `path`; what waits to be merged into it is said.

    Raises:
      SpecError, ResultError: there is none, or it is not sound.
    """
    result = Result(path, say)
    result.say_waiting()
    return result
