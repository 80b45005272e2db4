"""One writer a result folder: a lock that names its holder and is renewed.

On one machine the lock dies with its process (`flock`). A folder that several machines
share may not tell them of each other's locks, and some file systems know none, so the
file also says who holds it, and its time of change is renewed; a holder elsewhere that
has not renewed it for STALE_SECONDS is taken to be gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from grokmap import disk
from grokmap.errors import LockedError, ResultError
from grokmap.process.alive import is_alive

LOCK = ".lock"
BEAT_SECONDS, STALE_SECONDS = 10.0, 60.0
# Between writing our name and looking whether it is still there, without `flock`.
SETTLE_SECONDS = 0.3
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES = 1000
_TOKEN = 16  # hex digits
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


class Holder(NamedTuple):
    """Who holds a folder, as far as can be told from here.

    since: seconds of the epoch, NaN if not said; silent: seconds since it last renewed
    its lock; lives: whether it can still be at work: on this machine its process is
    there, on another it has renewed its lock within STALE_SECONDS.
    """

    host: str
    pid: str
    since: float
    silent: float
    lives: bool


def holder(path: Path) -> Holder | None:
    """Who holds a result folder; None if nobody does. Changes nothing there."""
    try:
        with disk.opened(path / LOCK, _MOST_BYTES) as file:
            facts = _holder(file.fileno())
            silent = time.time() - os.fstat(file.fileno()).st_mtime
    except (OSError, ValueError):
        return None
    if "pid" not in facts:
        return None
    since = facts.get("since")
    is_time = isinstance(since, (int, float)) and not isinstance(since, bool)
    gone = facts.get("host") == socket.gethostname() and not is_alive(facts["pid"])
    return Holder(
        str(facts.get("host", "unknown")),
        str(facts["pid"]),
        float(since) if is_time and since is not None else math.nan,
        silent,
        not gone and abs(silent) < STALE_SECONDS,
    )


@contextmanager
def locked(
    path: Path, say: Callable[[str], None] = lambda line: None
) -> Iterator[None]:
    """Makes the folder and holds it for writing (`disk.hold`); `say` is told of a
    takeover, and of a file system without locks.

    Raises:
      LockedError: another live process holds it.
      ResultError: the folder cannot be written.
    """
    with _held_file(path) as (folder, handle):
        try:
            token = _take(path, handle, say)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            with disk.hold(path, folder, token), _beating(handle):
                yield
        finally:
            with suppress(OSError):  # the disk may be full: then we are seen to be gone
                _write(handle, {"token": token})


@contextmanager
def _held_file(path: Path) -> Iterator[tuple[int, int]]:
    """Descriptors of the folder and of its lock file."""
    disk.make_root(path)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(disk.folder(path))
            handle = _open(path, folder)
        except OSError as error:
            raise _unwritable(path, error) from None
        stack.callback(os.close, handle)
        yield folder, handle


def _unwritable(path: Path, error: OSError) -> ResultError:
    return ResultError(f"{path}: cannot be written: {disk.reason(error)}")


def _open(path: Path, folder: int) -> int:
    disk.refuse_link(folder, LOCK, path / LOCK)
    if disk.kind_of(folder, LOCK) not in (None, stat.S_IFREG):
        raise ResultError(f"{path / LOCK}: cannot be written: not a regular file")
    return os.open(LOCK, _OPEN, 0o666, dir_fd=folder)


def _take(path: Path, handle: int, say: Callable[[str], None]) -> str:
    """Writes who holds the folder now; the folder's token (`disk.Held`)."""
    before = _holder(handle)
    silent = time.time() - os.fstat(handle).st_mtime
    is_known = _flock(path, handle, before, say)
    here = socket.gethostname()
    elsewhere = before.get("host") != here
    if "pid" in before and (elsewhere or not is_known):
        # A clock that jumped back makes the silence negative: then nothing is known.
        gone = not elsewhere and not is_alive(before["pid"])
        if abs(silent) < STALE_SECONDS and not gone:
            raise LockedError(
                f"{path}: being written by {_named(before)}, last heard of "
                f"{abs(silent):.0f} s ago; wait {STALE_SECONDS:.0f} s if it is gone"
            )
    if "pid" in before:
        say(
            f"{path}: taking over the lock of {_named(before)}, which ended without "
            "letting go"
        )
    token = _token_of(before)
    mine = {
        "token": token,
        "pid": os.getpid(),
        "host": here,
        "id": secrets.token_hex(8),
        "since": round(time.time(), 3),
    }
    _write(handle, mine)
    if not is_known:
        time.sleep(SETTLE_SECONDS)
        if (other := _holder(handle)) != mine:
            raise LockedError(f"{path}: being written by {_named(other)}")
    return token


def _flock(
    path: Path, handle: int, before: dict[str, Any], say: Callable[[str], None]
) -> bool:
    """Locks the file; False where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(f"{path}: being written by {_named(before)}") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        say(
            f"{path}: this file system has no locks ({disk.reason(error)}); others are "
            f"kept out by {LOCK} alone, which is renewed every {BEAT_SECONDS:.0f} s"
        )
        return False
    return True


def _token_of(before: dict[str, Any]) -> str:
    """The folder's own token, or a new one where it has none yet."""
    token = str(before.get("token"))
    is_token = len(token) == _TOKEN and token.isalnum()
    return token if is_token else secrets.token_hex(_TOKEN // 2)


def _holder(handle: int) -> dict[str, Any]:
    """What the file says: the folder's token, and its holder unless it was let go."""
    with suppress(ValueError, RecursionError):
        content = json.loads(os.pread(handle, _MOST_BYTES, 0) or b"{}")
        return content if isinstance(content, dict) else {}
    return {"pid": "unknown"}


def _write(handle: int, facts: dict[str, Any]) -> None:
    data = json.dumps(facts).encode()
    os.ftruncate(handle, 0)
    os.pwrite(handle, data, 0)


def _named(holder: dict[str, Any]) -> str:
    pid, host = holder.get("pid", "unknown"), holder.get("host", "this machine")
    return f"process {pid} on {host}"


@contextmanager
def _beating(handle: int) -> Iterator[None]:
    """Renews the file's time of change until it is left."""
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(handle, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()


def _beat(handle: int, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        with suppress(OSError):
            os.utime(handle)
