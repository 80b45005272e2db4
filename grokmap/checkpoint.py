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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

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
HEADER = FACTS | {"n_leaves": int}
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


def write_ends(path: Path, kept: Sequence[Kept]) -> None:
    """Writes how runs stood at their budgets' ends, as long as there is room."""
    folder = path / FOLDER / ENDS
    used = sum(file.stat().st_size for file in folder.glob("*.npz"))
    size = sum(array.nbytes for run in kept for array in run.state)
    if used + size <= MAX_ENDS_BYTES:
        _write(folder / f"{store.digest_of([run.run_id for run in kept])}.npz", kept)


def places(path: Path) -> dict[str, Place]:
    """Of every run that is kept in a readable file, its furthest."""
    found: dict[str, Place] = {}
    for file in _files(path):
        for index, run in enumerate(_header(file)):
            run_id, step = run["run_id"], run["step"]
            if run_id not in found or step > found[run_id].step:
                found[run_id] = Place(file, index, step)
    return found


class Shelf:
    """The runs that are kept in a result folder, to be read; each file is opened once.

    places: as of the function of that name.
    """

    def __init__(self, path: Path) -> None:
        self.places = places(path)
        self._open = ExitStack()
        self._files: dict[Path, tuple[Any, list[dict[str, Any]]]] = {}

    def read(self, run_id: str) -> Kept | None:
        """The run as it was kept; None if it was not, or its file is damaged."""
        place = self.places.get(run_id)
        if place is None:
            return None
        try:
            if place.file not in self._files:
                arrays = self._open.enter_context(_opened(place.file))
                self._files[place.file] = arrays, _runs(arrays)
            arrays, runs = self._files[place.file]
            run, at = runs[place.at], place.at
            return Kept(
                run_id=run["run_id"],
                step=run["step"],
                steps=arrays[f"{at}/steps"],
                values=arrays[f"{at}/values"],
                columns=tuple(run["columns"]),
                state=tuple(arrays[f"{at}/state/{j}"] for j in range(run["n_leaves"])),
                made_by=run["made_by"],
                seconds=run["seconds"],
            )
        except (*UNREADABLE, IndexError):
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()


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


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """The arrays of a file by name, read when they are asked for."""
    # numpy would leave a damaged file open.
    with file.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
        yield arrays


def _header(file: Path) -> list[dict[str, Any]]:
    """What is known of each run of a file; nothing if it is damaged or newer."""
    try:
        with _opened(file) as arrays:
            return _runs(arrays)
    except UNREADABLE:
        return []


def _runs(arrays: Any) -> list[dict[str, Any]]:
    header = json.loads(arrays["header"].tobytes())
    runs = header["runs"] if header["schema_version"] == SCHEMA_VERSION else []
    return runs if all(map(_is_sound, runs)) else []


def _is_sound(run: Any) -> bool:
    return isinstance(run, dict) and all(
        isinstance(run.get(name), kind) for name, kind in HEADER.items()
    )


def _write(file: Path, kept: Sequence[Kept]) -> None:
    runs = [
        {name: getattr(run, name) for name in FACTS} | {"n_leaves": len(run.state)}
        for run in kept
    ]
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
            yield f"{i}/state/{j}", leaf
