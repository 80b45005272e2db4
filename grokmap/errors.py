"""Errors a user can cause, each with the exit code the command line gives it.

GrokmapError
 |-- SpecError         a sweep file or an option that cannot be meant      (2)
 |-- ResultError       a folder that is no sweep result, or is unreadable  (2)
 |-- OtherSweepError   the folder belongs to a sweep of other physics      (4)
 `-- LockedError       a live process is writing the folder                (5)

Numerical failure is never an exception: a diverged run is an outcome.
"""

from __future__ import annotations

from collections.abc import Sequence


def shown(text: str) -> str:
    r"""`text` for a terminal: what is not printable stands as Python escapes it.

    Line breaks, terminal sequences, marks that turn the direction of text, and bytes of
    a file name that are no UTF-8 could forge lines or fail to print: a line break is
    shown as `\n`. Of the white space the plain blank alone stays. Text that is shown
    once is not changed by showing it again.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short(text: str, length: int = 80) -> str:
    """At most `length` characters of a user's own text, `shown`, for a message."""
    text = shown(text[: length + 1])
    return text if len(text) <= length else f"{text[: length - 3]}..."


class GrokmapError(Exception):
    """Base of all errors that a user can act on; `problems` holds one line each.

    Each is `shown`: it may quote a file's name, a key, a value or another library.
    """

    exit_code = 1

    def __init__(self, problems: str | Sequence[str]) -> None:
        problems = [problems] if isinstance(problems, str) else problems
        self.problems = [shown(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


class SpecError(GrokmapError):
    exit_code = 2


class ResultError(GrokmapError):
    exit_code = 2


class OtherSweepError(GrokmapError):
    exit_code = 4


class LockedError(GrokmapError):
    exit_code = 5
