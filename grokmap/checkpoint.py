"""Runs as they stood, so that a stopped or an extended sweep goes on from there.

    checkpoints/latest.npz, previous.npz   the runs in training, every few minutes
    checkpoints/ends/*.npz                 runs that their budgets cut short

Nothing here is a result: whatever is missing, damaged or of another machine is trained
from its beginning. Arrays only, no pickle; a flipped bit fails the file's own checksum.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from grokmap import store
from grokmap.schedule import Kept
from grokmap.spec import SCHEMA_VERSION

FOLDER = "checkpoints"
LATEST, PREVIOUS, ENDS = "latest.npz", "previous.npz", "ends"
# A stop is rare and disks are shared: ends beyond this are trained anew when extended.
MAX_ENDS_BYTES = 2**30
FACTS: dict[str, type | tuple[type, ...]] = {
    "run_id": str,
    "step": int,
    "columns": (list, tuple),
    "made_by": str,
    "seconds": float,
}
UNREADABLE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


class Place(NamedTuple):
    """Where a run is kept: in which file, at which place, and after how many steps."""

    file: Path
    at: int
    step: int


def write_latest(path: Path, kept: Sequence[Kept]) -> None:
    """Writes the checkpoint of a sweep; the one before is kept as the previous."""
    folder = path / FOLDER
    with suppress(FileNotFoundError):
        os.replace(folder / LATEST, folder / PREVIOUS)
    _write(folder / LATEST, kept)


def write_ends(path: Path, kept: Sequence[Kept]) -> bool:
    """Writes how runs stood at their budgets' ends; False if there is no room left."""
    folder = path / FOLDER / ENDS
    used = sum(file.stat().st_size for file in folder.glob("*.npz"))
    size = sum(array.nbytes for run in kept for array in run.state)
    if used + size > MAX_ENDS_BYTES:
        return False
    _write(folder / f"{store.digest_of([run.run_id for run in kept])}.npz", kept)
    return True


def places(path: Path) -> dict[str, Place]:
    """Of every run that is kept in a readable file, its furthest."""
    found: dict[str, Place] = {}
    for file in _files(path):
        for index, run in enumerate(_header(file)):
            run_id, step = run["run_id"], run["step"]
            if run_id not in found or step > found[run_id].step:
                found[run_id] = Place(file, index, step)
    return found


def read(place: Place) -> Kept | None:
    """The run that is kept there; None if the file is damaged."""
    try:
        with place.file.open("rb") as handle, _arrays_of(handle) as file:
            run = _header(place.file)[place.at]
            name = f"{place.at}/state/"
            state = sorted(n for n in file.files if n.startswith(name))
            return Kept(
                run_id=run["run_id"],
                step=run["step"],
                steps=file[f"{place.at}/steps"],
                values=file[f"{place.at}/values"],
                columns=tuple(run["columns"]),
                state=tuple(file[n] for n in state),
                made_by=run["made_by"],
                seconds=run["seconds"],
            )
    except (*UNREADABLE, IndexError):
        return None


def tidy(path: Path, last_steps: Mapping[str, int]) -> None:
    """Removes the files of which no run can go on any more.

    last_steps: of the trajectories on disk. A run in training goes on unless its
    trajectory is there; one that was cut short unless a longer one is.
    """
    for file in _files(path):
        ahead = 1 if file.parent.name == ENDS else 0
        runs = _header(file)
        if all(
            run["step"] + ahead <= last_steps.get(run["run_id"], -1) for run in runs
        ):
            with suppress(OSError):
                file.unlink()


def _files(path: Path) -> list[Path]:
    """The oldest first."""
    folder = path / FOLDER
    named = [folder / PREVIOUS, folder / LATEST]
    ends = sorted((folder / ENDS).glob("*.npz"))
    return [file for file in (*ends, *named) if file.is_file()]


def _arrays_of(handle: IO[bytes]) -> Any:
    return np.load(handle, allow_pickle=False)


def _header(file: Path) -> list[dict[str, Any]]:
    """What is known of each run of a file; nothing if it is damaged or newer."""
    try:
        with file.open("rb") as handle, _arrays_of(handle) as arrays:
            header = json.loads(arrays["header"].tobytes())
        runs = header["runs"] if header["schema_version"] == SCHEMA_VERSION else []
        return runs if all(map(_is_sound, runs)) else []
    except UNREADABLE:
        return []


def _is_sound(run: Any) -> bool:
    return isinstance(run, dict) and all(
        isinstance(run.get(name), kind) for name, kind in FACTS.items()
    )


def _write(file: Path, kept: Sequence[Kept]) -> None:
    runs = [{name: getattr(run, name) for name in FACTS} for run in kept]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "runs": runs})
    arrays = {"header": np.frombuffer(text.encode(), np.uint8), **dict(_arrays(kept))}
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    store.write_file(file, sink.getvalue())


def _arrays(kept: Sequence[Kept]) -> Iterator[tuple[str, Any]]:
    for i, run in enumerate(kept):
        yield f"{i}/steps", run.steps
        yield f"{i}/values", run.values
        for j, leaf in enumerate(run.state):
            yield f"{i}/state/{j:03d}", leaf
