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


class GrokmapError(Exception):
    """Base of all errors that a user can act on; `problems` holds one line each."""

    exit_code = 1

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class SpecError(GrokmapError):
    exit_code = 2


class ResultError(GrokmapError):
    exit_code = 2


class OtherSweepError(GrokmapError):
    exit_code = 4


class LockedError(GrokmapError):
    exit_code = 5
