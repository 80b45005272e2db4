"""The shards of a result folder: a folder each, itself a result of its own part.

shards/0003/           as a result folder; its plan is the part of the sweep
shards/0003/shard.json which part of how many, and how many runs
shards/learning-rate.json   of `learning_rate = "auto"`: the first choice, for all
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from grokmap import disk
from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.spec.shard import MAX_SHARDS, Shard
from grokmap.store.files import (
    PROGRESS,
    SHARD,
    SHARDS,
    SPEC,
    TRAJECTORIES,
    UNREADABLE,
)
from grokmap.store.trajectories import is_batch_name, last_steps_in, read_batch

RATE = "learning-rate.json"
MOST_BYTES, MOST_PROGRESS_BYTES = 10_000, 200_000


class ShardFacts(NamedTuple):
    """What a shard's folder says of itself; runs: how many its part has."""

    shard: Shard
    runs: int


def shard_folder(path: Path, shard: Shard) -> Path:
    """Where a shard of the sweep in `path` writes: of its number alone."""
    return path / SHARDS / f"{shard.number:04d}"


def make_shard_folder(path: Path, shard: Shard) -> Path:
    """Makes the folder of a shard, and those above it.

    Raises:
      ResultError: it cannot be made, or is or lies behind a link.
    """
    folder = shard_folder(path, shard)
    disk.make_root(path)
    try:
        with disk.folder(path, folder.relative_to(path).parts, make=True):
            return folder
    except OSError as error:
        why = disk.reason(error)
        raise ResultError(f"{folder}: cannot be written: {why}") from None


def shard_folders(path: Path) -> list[Path]:
    """The folders of the shards that have begun, by number; links are left out."""
    inside = path / SHARDS
    if inside.is_symlink() or not inside.is_dir():
        return []
    names = [n for n in disk.names_in(inside) if n.isascii() and n.isdigit()]
    folders = [inside / name for name in sorted(names, key=int)]
    return [each for each in folders if each.is_dir() and not each.is_symlink()]


def log_name(number: int) -> str:
    """Where what a shard says is kept, in the folder of the whole sweep."""
    return f"{SHARDS}/{number:04d}.log"


def end_of_log(file: Path) -> str:
    """The last line of a log; empty where there is none."""
    try:
        with disk.opened(file, 2**40) as content:
            content.seek(max(0, os.fstat(content.fileno()).st_size - MOST_BYTES))
            lines = content.read(MOST_BYTES).decode(errors="replace").split("\n")
    except (OSError, ValueError):
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else ""


def write_shard(path: Path, facts: ShardFacts) -> None:
    """Writes into a shard's folder which one it is."""
    number, of = facts.shard
    content = {"schema_version": SCHEMA_VERSION, "shard": number, "of": of}
    _write_json(path, SHARD, content | {"runs": facts.runs})


def read_shard(path: Path) -> ShardFacts | None:
    """What a shard's folder says of itself; None where it is none, or damaged."""
    found = read_json(path / SHARD)
    values = [found.get(key) for key in ("shard", "of", "runs")]
    if not all(isinstance(v, int) and 1 <= v <= 10**9 for v in values):
        return None
    number, of, runs = (int(str(v)) for v in values)
    fits = number <= of <= MAX_SHARDS
    return ShardFacts(Shard(number, of), runs) if fits else None


def write_progress(path: Path, facts: dict[str, Any]) -> None:
    """Writes how far a session is, for `grokmap status`: no result."""
    _write_json(path, PROGRESS, facts)


class SaidProgress(NamedTuple):
    """What a session said last of its progress.

    time: seconds of the epoch; left: seconds to its end then, NaN if not known yet;
    unwritten: runs that are over, but were in no file yet: by id, phase and flags.
    """

    time: float
    left: float
    unwritten: dict[str, list[str]]


def read_progress(path: Path) -> SaidProgress:
    """NaN and nothing where it said nothing, or nothing sound."""
    said = read_json(path / PROGRESS, MOST_PROGRESS_BYTES)
    unwritten = said.get("unwritten")
    words = unwritten.items() if isinstance(unwritten, dict) else ()
    return SaidProgress(
        _number(said.get("time")),
        _number(said.get("left_s")),
        {run_id: names for run_id, names in words if _are_words(names)},
    )


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _are_words(names: Any) -> bool:
    return isinstance(names, list) and bool(names) and set(map(type, names)) == {str}


def read_json(file: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """A small JSON table; empty where it is not there or none."""
    try:
        found = json.loads(disk.read_bytes(file, most_bytes))
    except UNREADABLE:
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, name: str, content: dict[str, Any]) -> None:
    disk.write_file(path, name, (json.dumps(content) + "\n").encode())


def agreed_rate(path: Path) -> float | None:
    """The learning rate that the shards of a sweep have agreed on, if they have."""
    rate = read_json(path / SHARDS / RATE).get("learning_rate")
    return float(rate) if isinstance(rate, float) and 0 < rate < 1e300 else None


def agree_on_rate(path: Path, rate: float) -> float:
    """The learning rate of all shards: `rate`, unless another was first.

    Two machines that start at once may find two rates; one file can be made only once.
    """
    disk.make_root(path)
    content = {"schema_version": SCHEMA_VERSION, "learning_rate": float(rate)}
    data = (json.dumps(content) + "\n").encode()
    disk.write_first(path, f"{SHARDS}/{RATE}", data)
    agreed = agreed_rate(path)
    if agreed is None:
        file = path / SHARDS / RATE
        raise ResultError(f"{file}: damaged; remove it if no shard is running")
    return agreed


def last_steps_of(files: Iterable[Path]) -> tuple[dict[str, int], dict[Path, str]]:
    """The last step of every run in some trajectory files, and what is wrong with the
    files that cannot be read. Reads no more than which runs they hold."""
    steps: dict[str, int] = {}
    damaged: dict[Path, str] = {}
    for file in files:
        try:
            last_steps = last_steps_in(read_batch(file, []))
        except UNREADABLE as error:
            damaged[file] = disk.reason(error)
            continue
        for run_id, step in last_steps.items():
            steps[run_id] = max(step, steps.get(run_id, step))
    return steps, damaged


def waiting_files(path: Path) -> list[Path]:
    """Trajectory files of shards that are not in the sweep's own folder by name.

    Their names carry the digest of their bytes, so a file of a name that is there is
    there.
    """
    folders = shard_folders(path)
    if not folders:
        return []
    here = set(disk.names_in(path / TRAJECTORIES))
    inside = [folder / TRAJECTORIES for folder in folders]
    return [
        folder / name
        for folder in inside
        for name in disk.names_in(folder)
        if is_batch_name(name) and name not in here
    ]


def waiting_runs(path: Path) -> set[str]:
    """Ids of the runs that are done in shards and not, or not as far, in the folder."""
    files = waiting_files(path)
    waiting, _ = last_steps_of(files)
    if not waiting or not os.path.exists(path / SPEC):
        return set(waiting)
    here, _ = last_steps_of(
        path / TRAJECTORIES / name
        for name in disk.names_in(path / TRAJECTORIES)
        if is_batch_name(name)
    )
    return {run for run, step in waiting.items() if step > here.get(run, -1)}


def waiting_line(path: Path, count: int) -> str:
    """That runs wait to be merged, and how to."""
    return f"{path}: {count} runs are done in shards and wait: `grokmap merge {path}`"
