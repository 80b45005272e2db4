"""One writer a result folder: a lock that names its holder and beats while it lives.

On one machine the lock dies with its process (`flock`). A folder that several machines
share may not tell them of each other's locks, so the file also says who holds it, and
its time of change is renewed; a holder elsewhere that has not beaten for STALE_SECONDS
is taken to be gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from grokmap.errors import LockedError, ResultError

LOCK = ".lock"
BEAT_SECONDS, STALE_SECONDS = 10.0, 60.0


@contextmanager
def locked(
    path: Path, say: Callable[[str], None] = lambda line: None
) -> Iterator[None]:
    """Makes the folder and holds it for writing; `say` is told of a takeover.

    Raises:
      LockedError: another live process holds it.
      ResultError: the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Never through a link that somebody else laid there.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        handle = os.fdopen(os.open(path / LOCK, flags, 0o644), "r+")
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error.strerror}") from None
    with handle:
        _take(path, handle, say)
        over = threading.Event()
        beat = threading.Thread(target=_beat, args=(handle, over), daemon=True)
        beat.start()
        try:
            yield
        finally:
            over.set()
            beat.join()
            handle.truncate(0)


def _take(path: Path, handle: IO[str], say: Callable[[str], None]) -> None:
    before = _holder(handle)
    silent = time.time() - os.fstat(handle.fileno()).st_mtime
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(f"{path}: being written by {_named(before)}") from None
    here = socket.gethostname()
    # A clock that jumped back makes the silence negative: then nothing is known.
    if before and before.get("host") != here and abs(silent) < STALE_SECONDS:
        raise LockedError(
            f"{path}: being written by {_named(before)}, last heard of "
            f"{abs(silent):.0f} s ago; wait {STALE_SECONDS:.0f} s if it is gone"
        )
    if before:
        say(
            f"{path}: taking over the lock of {_named(before)}, which ended without "
            "letting go"
        )
    handle.seek(0)
    handle.truncate(0)
    handle.write(json.dumps({"pid": os.getpid(), "host": here}))
    handle.flush()


def _holder(handle: IO[str]) -> dict[str, Any]:
    """Who wrote the file last without emptying it; nothing if nobody."""
    with suppress(ValueError):
        found = json.loads(handle.read(1000) or "{}")
        return found if isinstance(found, dict) else {}
    return {"pid": "unknown"}


def _named(holder: dict[str, Any]) -> str:
    pid, host = holder.get("pid", "unknown"), holder.get("host", "this machine")
    return f"process {pid} on {host}"


def _beat(handle: IO[str], over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        with suppress(OSError):
            os.utime(handle.fileno())
