"""Where compiled programs are kept between processes.

Programs are trusted code, so they are kept beside no results, and only where nobody
else can write. jax writes them where others may be reading, and what a killed process
has half written it never writes again. So jax is given a folder of this process alone,
with a link to each program that is kept; what it adds there is put among them by
renaming, so that others see all of it or nothing. The kept ones may lie on a home that
many machines share: what one of them has compiled, the others need not.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from grokmap import disk
from grokmap.process.alive import is_alive

PROGRAMS = "*-cache"  # the names that jax gives them
_folders: dict[str, tuple[Path, int]] = {}  # of this process: what it shares, its id


class Cache(NamedTuple):
    """The folder, None where nothing can be kept; and why it is that one."""

    folder: Path | None
    why: str


def choose_cache() -> Cache:
    """The user's own cache folder: in it, that of machines like this one."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = caches / "grokmap" / "compiled" / machine_kind()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home: a user id that nobody has named
        return Cache(None, "no home that can be written")
    if disk.is_writable(folder):
        return Cache(folder, "the user's cache")
    return Cache(None, f"{folder} cannot be written")


def machine_kind(cpus: Path = Path("/proc/cpuinfo")) -> str:
    """Machines of one kind run each other's programs, to the same bits.

    A program for CPUs may use any instruction of the one that it was compiled on, so
    this is a hash of their names and features where Linux tells them.
    """
    try:
        lines = cpus.read_text(errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    told = ("vendor_id", "model", "cpu family", "flags", "Features", "CPU ")
    facts = sorted({line for line in lines if line.startswith(told)}) or lines
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return f"{platform.machine() or 'unknown'}-{digest[:8]}"


def own_folder(kept: Path) -> Path | None:
    """A new folder for this process's jax, of links to what is kept; removed at its
    end, or by the next process if it was killed. None where none can be made."""
    try:
        _remove_left()
        folder = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-"))
    except OSError:
        return None
    _folders[str(folder)] = kept, os.getpid()
    atexit.register(_close, str(folder))
    exchange(str(folder))
    return folder


def _prefix() -> str:
    # Processes elsewhere that share the temporary folder have numbers of their own.
    return f"grokmap-compiled-{platform.node().replace('-', '_')}-"


def _remove_left() -> None:
    """Removes the folders of this user's processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        number = folder.name.removeprefix(_prefix()).partition("-")[0]
        mine = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if mine and number.isdigit() and not is_alive(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def exchange(folder: str | None) -> None:
    """Keeps the programs that this process has compiled; finds those of others.

    folder: where jax looks for programs; nothing is done if that is no `own_folder`,
    or that of the process which this one was forked from.
    """
    kept, owner = _folders.get(folder or "", (Path(), 0))
    if folder is None or owner != os.getpid():
        return
    with suppress(OSError):  # then this process keeps its own, as long as it lives
        known = {file.name for file in kept.glob(PROGRAMS)}
        mine = {file.name for file in Path(folder).glob(PROGRAMS)}
        for name in mine - known:
            _keep(Path(folder) / name, kept / name)
        for name in known - mine:
            (Path(folder) / name).symlink_to(kept / name)


def _keep(file: Path, as_file: Path) -> None:
    """Copies a program so that nobody sees less than all of it."""
    part = as_file.with_name(f".{as_file.name}.{secrets.token_hex(4)}")
    try:
        shutil.copyfile(file, part)
        part.replace(as_file)
    finally:
        part.unlink(missing_ok=True)


def _close(folder: str) -> None:
    exchange(folder)
    if _folders[folder][1] == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)
