"""What Slurm and the files of its jobs say: who waits or runs, and how jobs ended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from grokmap import disk
from grokmap.process.carrier import CODE
from grokmap.spec.shard import Shard
from grokmap.store import SHARDS

JOBS = "jobs.txt"  # a line for each job: id, shard and mark, "12_3 4/64 09af31c2"
PREFIX = "slurm-"
MOST_BYTES = 10_000_000
SLURM_SECONDS = 60  # in which a busy controller answers, or is asked again later
AT_ONCE = 500  # job ids in one command line


def listed(name: str) -> frozenset[str] | None:
    """The ids of this user's jobs of a name that wait or run; None if Slurm does not
    say."""
    whose = ["--user", str(os.getuid()), "--name", name]
    said = _said(["squeue", "--noheader", "--array", *whose, "--format", "%i"])
    return None if said is None else frozenset(said.split())


def ask_to_stop(jobs: Sequence[str]) -> None:
    """Takes those that wait out of the queue; those that run stop in good order."""
    for first in range(0, len(jobs), AT_ONCE):
        some = jobs[first : first + AT_ONCE]
        _said(["scancel", "--quiet", "--state=PENDING", *some])
        _said(["scancel", "--quiet", "--signal=USR1", *some])


def _said(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SLURM_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def exit_codes(folder: Path) -> dict[str, int]:
    """By job id, the exit codes that jobs have written into a folder."""
    found = {}
    for name in disk.names_in(folder):
        if name.endswith(CODE):
            text = disk.read_bytes(folder / name, 100).decode("ascii", "replace")
            if text.strip().removeprefix("-").isdigit():
                found[name.removesuffix(CODE)] = int(text)
    return found


def note(folder: Path, jobs: Iterable[tuple[str, Shard]], mark: str) -> None:
    """Adds to a folder's list which shards its jobs are, and of which sweep."""
    text = "".join(f"{job} {shard} {mark}\n" for job, shard in jobs)
    handle = disk.open_log(folder, JOBS)
    try:
        os.write(handle, text.encode("ascii"))
    finally:
        os.close(handle)


def noted(path: Path, of: int) -> dict[str, tuple[int, Path, str]]:
    """By job id, the shard, the folder and the mark of all jobs that were ever
    submitted for a result folder cut into `of` shards."""
    found = {}
    inside = path / SHARDS
    names = disk.names_in(inside) if inside.is_dir() else []
    for folder in (inside / name for name in names if name.startswith(PREFIX)):
        for line in _lines(folder / JOBS):
            job, _, rest = line.partition(" ")
            shard, _, mark = rest.partition(" ")
            number, _, total = shard.partition("/")
            if number.isdigit() and total == str(of):
                found[job] = int(number), folder, mark
    return found


def _lines(file: Path) -> list[str]:
    if file.parent.is_symlink() or not file.is_file():
        return []
    return disk.read_bytes(file, MOST_BYTES).decode("ascii", "replace").splitlines()
