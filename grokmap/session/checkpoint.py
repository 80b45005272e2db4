"""States of unfinished runs, from which a stopped or an extended sweep goes on.

    checkpoints/latest.npz, previous.npz   the runs in training, every few minutes
    checkpoints/ends/*.npz                 runs that their budgets cut short

Nothing here is a result: whatever is missing, damaged or of another machine is trained
from its beginning. Arrays only, no pickle; each run carries a digest of all that is
kept of it. Only files that carry our own header are ever removed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from grokmap import disk, store
from grokmap.engine.schedule import Kept
from grokmap.spec import SCHEMA_VERSION

FOLDER, ENDS = store.CHECKPOINTS, store.ENDS
LATEST, PREVIOUS = store.LATEST, store.PREVIOUS
# A stop is rare and disks are shared: ends beyond this are trained again when extended.
MAX_ENDS_BYTES = 2**30
UNPACKED_A_BYTE = 16  # bytes of arrays for one of a file, at most
# Of a file, of its header, and of one array in it.
MAX_FILE_BYTES, MAX_HEADER_BYTES, MAX_ARRAY_BYTES = 2**36, 2**26, 2**29
FACTS: dict[str, type | tuple[type, ...]] = {
    "run_id": str,
    "step": int,
    "columns": (list, tuple),
    "made_by": str,
    "seconds": float,
}
HEADER = FACTS | {"n_leaves": int, "digest": str}
UNREADABLE = (*store.UNREADABLE, IndexError, zipfile.BadZipFile, zlib.error)
Array = npt.NDArray[Any]


class Place(NamedTuple):
    """Where a run is kept: in which file, at which place, and after how many steps."""

    file: Path
    at: int
    step: int


def write_latest(path: Path, kept: Sequence[Kept]) -> None:
    """Writes the checkpoint of a sweep; the one before is kept as the previous."""
    if not kept:
        return
    folder = path / FOLDER
    if disk.exists(folder / LATEST):
        if disk.exists(folder / PREVIOUS):
            if _is_ours(folder / PREVIOUS):
                disk.remove(path, f"{FOLDER}/{PREVIOUS}")
            else:
                disk.rename(path, f"{FOLDER}/{PREVIOUS}", f"_damaged-{PREVIOUS}")
        disk.rename(path, f"{FOLDER}/{LATEST}", PREVIOUS)
    _write(path, f"{FOLDER}/{LATEST}", kept)


def write_ends(path: Path, kept: Sequence[Kept]) -> None:
    """Writes how runs stood at their budgets' ends, as long as there is room."""
    folder = path / ENDS
    used = sum(file.lstat().st_size for file in _npz_in(folder))
    size = sum(array.nbytes for run in kept for array in run.state)
    if used + size <= MAX_ENDS_BYTES:
        name = store.digest_of([run.run_id for run in kept])
        _write(path, f"{ENDS}/{name}.npz", kept)


def take_ends(path: Path, other: Path, own: bool) -> None:
    """Takes how runs of another result folder stood at their budgets' ends, as long as
    there is room; own: as of `store.take_files`."""
    used = sum(file.lstat().st_size for file in _npz_in(path / ENDS))
    for file in _npz_in(other / ENDS):
        used += file.lstat().st_size
        if not disk.exists(path / ENDS / file.name) and used <= MAX_ENDS_BYTES:
            disk.take_file(path, f"{ENDS}/{file.name}", file, own)


def places(path: Path) -> dict[str, Place]:
    """Of every run that is kept in a readable file, its furthest."""
    return CheckpointReader(path).places


class CheckpointReader:
    """The runs that are kept in a result folder, to be read; each file is opened once.

    places: as of the function of that name; say: told of every file that cannot be
    read, whose runs train again; beside: other folders whose runs may go on.
    """

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None] = lambda line: None,
        beside: Sequence[Path] = (),
    ) -> None:
        self.places: dict[str, Place] = {}
        self._open = ExitStack()
        self._files: dict[Path, tuple[zipfile.ZipFile, list[dict[str, Any]]]] = {}
        self._say = say
        self._damaged: set[Path] = set()
        for file in [file for each in (*beside, path) for file in _files(each)]:
            try:
                with _opened(file) as members:
                    runs = _runs(members)
            except UNREADABLE as error:
                self._refuse(file, error)
                continue
            for index, run in enumerate(runs):
                run_id, step = run["run_id"], run["step"]
                if run_id not in self.places or step > self.places[run_id].step:
                    self.places[run_id] = Place(file, index, step)

    def read(self, run_id: str) -> Kept | None:
        """The run as it was kept; None if it was not, or its file is damaged."""
        place = self.places.get(run_id)
        if place is None:
            return None
        try:
            if place.file not in self._files:
                members = self._open.enter_context(_opened(place.file))
                self._files[place.file] = members, _runs(members)
            members, runs = self._files[place.file]
            return _kept(members, place.at, runs[place.at])
        except UNREADABLE as error:
            self._refuse(place.file, error)
            return None

    def _refuse(self, file: Path, error: BaseException) -> None:
        if file not in self._damaged:
            self._damaged.add(file)
            why = disk.reason(error)
            self._say(f"{file}: {why}; runs kept in it train from their beginning")

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
        name = file.relative_to(path).as_posix()
        ahead = 1 if name.startswith(ENDS) else 0
        try:
            with _opened(file) as members:
                runs = _runs(members)
        except UNREADABLE:
            # Not ours, or not to be told from what is not; two names are ours alone.
            if file.name in (LATEST, PREVIOUS):
                disk.rename(path, name, f"_damaged-{file.name}")
            continue
        if all(
            run["step"] + ahead <= last_steps.get(run["run_id"], -1) for run in runs
        ):
            disk.remove(path, name)


def _is_ours(file: Path) -> bool:
    try:
        with _opened(file) as members:
            return bool(_runs(members))
    except UNREADABLE:
        return False


def _files(path: Path) -> list[Path]:
    """The oldest first."""
    folder = path / FOLDER
    named = [folder / PREVIOUS, folder / LATEST]
    return [*_npz_in(path / ENDS), *(file for file in named if disk.exists(file))]


def _npz_in(folder: Path) -> list[Path]:
    """Regular files of that suffix; what lies in the place of one is left alone."""
    names = [name for name in disk.names_in(folder) if name.endswith(".npz")]
    files = [folder / name for name in names if name[0] not in "._"]
    return [file for file in files if stat.S_ISREG(file.lstat().st_mode)]


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The members of a file that is not packed more tightly than `_write` packs.

    Raises:
      One of UNREADABLE.
    """
    with disk.opened(file, MAX_FILE_BYTES) as content:
        size = content.seek(0, io.SEEK_END)
        with zipfile.ZipFile(content) as members:
            unpacked = sum(member.file_size for member in members.infolist())
            if unpacked > UNPACKED_A_BYTE * size:
                raise ValueError("arrays that are far larger than the file")
            yield members


def _array(members: zipfile.ZipFile, name: str, most: int = MAX_ARRAY_BYTES) -> Array:
    """One array of a file, if it is as large as its header says."""
    facts = members.getinfo(f"{name}.npy")
    if facts.file_size > most:
        raise ValueError(f"{facts.file_size} bytes of {name}; at most {most}")
    with members.open(facts) as content:
        if np.lib.format.read_magic(content) != (1, 0):
            raise ValueError(f"{name} of an unknown format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(content)
        data = content.read()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} is not what its header says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _runs(members: zipfile.ZipFile) -> list[dict[str, Any]]:
    """What is known of each run of a file.

    Raises:
      ValueError: no header of ours, or of another version.
    """
    header = json.loads(_array(members, "header", MAX_HEADER_BYTES).tobytes())
    if header["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"of schema {str(header['schema_version'])[:20]}")
    runs = header["runs"]
    if not isinstance(runs, list) or not runs or not all(map(_is_sound, runs)):
        raise ValueError("no header of a checkpoint")
    return runs


def _is_sound(run: Any) -> bool:
    is_run = isinstance(run, dict) and all(
        isinstance(run.get(name), kind) and not isinstance(run[name], bool)
        for name, kind in HEADER.items()
    )
    return is_run and run["step"] >= 1 and 0 <= run["seconds"] < math.inf


def _kept(members: zipfile.ZipFile, at: int, facts: Mapping[str, Any]) -> Kept:
    """The run at a place of a file.

    Raises:
      ValueError: it is not as it was written, or cannot be the state of a run.
    """
    kept = Kept(
        run_id=facts["run_id"],
        step=facts["step"],
        steps=_array(members, f"{at}/steps"),
        values=_array(members, f"{at}/values"),
        columns=tuple(facts["columns"]),
        state=tuple(
            _array(members, f"{at}/state/{j}") for j in range(facts["n_leaves"])
        ),
        made_by=facts["made_by"],
        seconds=facts["seconds"],
    )
    shape = (len(kept.steps), len(kept.columns))
    if kept.values.shape != shape or kept.values.dtype != np.float32:
        raise ValueError(f"run {kept.run_id}: values of another shape than its records")
    if facts["digest"] != _digest(kept):
        raise ValueError(f"run {kept.run_id}: not as it was written")
    return kept


def _facts(run: Kept) -> dict[str, Any]:
    return {name: getattr(run, name) for name in FACTS} | {"n_leaves": len(run.state)}


def _digest(run: Kept) -> str:
    """16 hex digits of all that is kept of a run."""
    digest = hashlib.blake2b(json.dumps(_facts(run)).encode(), digest_size=8)
    arrays: list[Array] = [run.steps, run.values, *run.state]
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _write(path: Path, name: str, kept: Sequence[Kept]) -> None:
    runs = [_facts(run) | {"digest": _digest(run)} for run in kept]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "runs": runs})
    arrays = {"header": np.frombuffer(text.encode(), np.uint8), **dict(_arrays(kept))}
    packed = _zipped(arrays, zipfile.ZIP_DEFLATED)
    unpacked = sum(array.nbytes for array in arrays.values())
    if unpacked > UNPACKED_A_BYTE // 2 * len(packed):  # it would be refused
        packed = _zipped(arrays, zipfile.ZIP_STORED)
    disk.write_file(path, name, packed)


def _zipped(arrays: Mapping[str, Array], compression: int) -> bytes:
    """Bytes of an npz; compression: of the records. Weights hardly shrink: stored."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compresslevel=1) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            whole = np.asanyarray(array)
            np.lib.format.write_array(content, whole, (1, 0), allow_pickle=False)
            packing = zipfile.ZIP_STORED if "/state/" in name else compression
            file.writestr(f"{name}.npy", content.getvalue(), packing)
    return sink.getvalue()


def _arrays(kept: Sequence[Kept]) -> Iterator[tuple[str, Any]]:
    for i, run in enumerate(kept):
        yield f"{i}/steps", run.steps
        # By columns: most are recorded seldom, and long stretches of NaN pack well.
        yield f"{i}/values", np.asfortranarray(run.values)
        for j, leaf in enumerate(run.state):
            yield f"{i}/state/{j}", leaf
