"""Where compiled programs are kept between processes.

Programs are trusted code, so they are kept beside no results, and only where nobody
else can write. They are written without a lock and read by whoever finds them, so that
on a home which several machines share one could read what another has half written:
there each machine keeps its own.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from grokmap import disk
from grokmap.process import file_system


class Cache(NamedTuple):
    """The folder, None where nothing can be kept; and why it is that one."""

    folder: Path | None
    why: str


def choose_cache() -> Cache:
    """The user's own cache folder, or one of this machine if the home is shared."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = caches / "grokmap" / "compiled"
        kind = file_system.type_of(folder)
        if file_system.is_shared(folder):
            return _of_machine(f"{caches} is on {kind}, which other machines share")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home: a user id that nobody has named
        return Cache(None, "no home that can be written")
    if disk.is_writable(folder):
        return Cache(folder, "the user's cache")
    return Cache(None, f"{folder} cannot be written")


def _of_machine(why: str) -> Cache:
    """A folder in the machine's temporary one that is the user's alone."""
    folder = Path(tempfile.gettempdir()) / f"grokmap-{os.getuid()}"
    if file_system.is_shared(folder):
        return Cache(None, f"{why}, and so is {folder.parent}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if not mine or status.st_mode & 0o077:
            return Cache(None, f"{why}, and {folder} is not this user's alone")
        inside = folder / "compiled"
        inside.mkdir(exist_ok=True)
    except OSError as error:
        return Cache(None, f"{why}, and {folder}: {disk.reason(error)}")
    return Cache(inside, why)
