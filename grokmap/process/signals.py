"""The signals that ask a process to end, and the exit codes they lead to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

EXIT_STOPPED, EXIT_INTERRUPTED = 75, 130
# Batch systems send USR1, USR2 or XCPU before a limit, terminals HUP or (on Windows)
# BREAK when they close. No platform has all of them.
ENDING = (
    *("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"),
    "SIGBREAK",
)
Handler = Callable[[int, FrameType | None], None]


def exit_code(number: int) -> int:
    return EXIT_INTERRUPTED if number == signal.SIGINT else EXIT_STOPPED


def is_repeated(number: int) -> bool:
    """Whether the system itself sends it again: XCPU comes every second."""
    return number == getattr(signal, "SIGXCPU", None)


def end_at_once(number: int, frame: FrameType | None) -> None:
    """The handler where nothing is half done: every file is renamed into place."""
    os._exit(exit_code(number))


def handle(handler: Handler | signal.Handlers) -> dict[int, Any]:
    """Gives the ending signals a handler, and returns those they had.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    ours = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in ours}


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """`handle` for as long as the context lasts."""
    before = handle(handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
