"""Trajectory files: one a batch, named by its runs and the digest of its bytes."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grokmap.errors import ResultError
from grokmap.store.files import (
    TRAJECTORIES,
    content_digest,
    digest_of,
    parquet_bytes,
    reason,
    result_dir,
    write_file,
)

# What labels are made of: a file without them is no trajectory file.
REQUIRED = ("train_accuracy", "test_accuracy", "train_loss", "zero_loss_fraction")
LABELS_READ = (*REQUIRED, "test_loss", "weight_norm")
WAITING = 2  # batches a writer holds before it makes its caller wait
PART_ROWS = 2**19  # of trajectories held at once where all of a sweep is read
BYTES_A_RUN = 500  # of plan.parquet and runs.parquet together; measured
BYTES_A_VALUE = 4  # of a trajectory file, compressed; measured on the quickstart
_FILE = "_file"


def write_batch(
    path: Path,
    run_ids: Sequence[str],
    run: npt.NDArray[np.int64],
    step: npt.NDArray[np.int64],
    columns: Sequence[str],
    values: npt.NDArray[np.float32],
    metadata: dict[str, Any],
) -> Path:
    """Writes the trajectories of one batch as one file, named by its runs and bytes.

    Args:
      run_ids: the batch's runs; run: [rows] index into them; step: [rows].
      values: [rows, columns] float32; what is not finite becomes null.
      metadata: kept as JSON in the file's schema, beside the schema version.
    """
    ids = pa.DictionaryArray.from_arrays(pa.array(run, pa.int32()), pa.array(run_ids))
    arrays = [ids, pa.array(step, pa.int64())]
    for column in values.T:
        arrays.append(pa.array(column, pa.float32(), mask=~np.isfinite(column)))
    table = pa.table(arrays, names=["run_id", "step", *columns])
    return _write_trajectories(path / TRAJECTORIES, run_ids, table, metadata)


def _write_trajectories(
    folder: Path, run_ids: Sequence[str], table: pa.Table, metadata: dict[str, Any]
) -> Path:
    data = parquet_bytes(table, metadata)
    file = folder / f"{digest_of(run_ids)}-{content_digest(data)}.parquet"
    write_file(file, data)
    return file


class Writer:
    """Writes batches in a thread of its own, in order, while the caller computes.

    At most WAITING batches are held; then `write` waits until the oldest is on disk. A
    batch that cannot be written raises its error at the next `write` or on leaving the
    context, and those after it are written none the less. Leaving waits for all, also
    when another error passes through, which is then the one that is raised.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[object]] = deque()

    def write(
        self,
        run_ids: Sequence[str],
        run: npt.NDArray[np.int64],
        step: npt.NDArray[np.int64],
        columns: Sequence[str],
        values: npt.NDArray[np.float32],
        metadata: dict[str, Any],
    ) -> None:
        """`write_batch`, later: nothing that is handed over may change any more."""
        batch = (self._path, run_ids, run, step, columns, values, metadata)
        self.submit(write_batch, *batch)

    def submit(self, write: Callable[..., object], *arguments: Any) -> None:
        """Calls write(*arguments) after all that was handed over before."""
        while self._waiting and (
            len(self._waiting) >= WAITING or self._waiting[0].done()
        ):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(write, *arguments))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()
        if kind is None:
            for batch in self._waiting:
                batch.result()


def read_trajectories(
    path: Path,
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The trajectories of a sweep in long form, sorted by run and step.

    Args:
      columns: quantities wanted beside run_id and step (default: all).
      run_ids: runs wanted (default: all).

    Returns:
      The table (run_id, step, float32 columns with NaN for null), and a line for each
      file that could not be read.
    """
    unreadable: list[str] = []
    tables = list(_read_batches(path, unreadable, columns, run_ids))
    if not tables:
        names = ["run_id", "step", *(columns or REQUIRED)]
        return pd.DataFrame({name: [] for name in names}), unreadable
    return _frame(tables), unreadable


def trajectory_parts(
    path: Path, unreadable: list[str], columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """The trajectories as `read_trajectories` has them, but a few files at a time.

    The last part that has a run has all of it: runs that stand in several files come
    once more at the end, together. A line is appended to `unreadable` for each file
    that could not be read.
    """
    tables: list[pa.Table] = []
    seen: set[str] = set()
    again: set[str] = set()
    for table in _read_batches(path, unreadable, columns):
        ids = _run_ids(table)
        again.update(seen.intersection(ids))
        seen.update(ids)
        tables.append(table)
        if sum(map(len, tables)) >= PART_ROWS:
            yield _frame(tables)
            tables = []
    if tables:
        yield _frame(tables)
    if again:
        yield read_trajectories(path, columns, sorted(again))[0]


def _frame(tables: Sequence[pa.Table]) -> pd.DataFrame:
    """Files as one sorted table; of a run that stands twice, where it goes furthest."""
    plain = [
        table.set_column(i, "run_id", table["run_id"].cast(pa.string())).append_column(
            _FILE, pa.array(np.full(len(table), n, np.int32))
        )
        for n, table in enumerate(tables)
        for i in [table.schema.get_field_index("run_id")]
    ]
    frame = pa.concat_tables(plain, promote_options="permissive").to_pandas()
    ends = frame.groupby(["run_id", _FILE], sort=False)["step"].max()
    if ends.index.get_level_values(0).has_duplicates:
        best = ends.loc[ends.groupby(level=0).idxmax()].index
        files = pd.Series(best.get_level_values(1), best.get_level_values(0))
        frame = frame[frame[_FILE] == frame["run_id"].map(files)]
    frame = frame.drop(columns=_FILE).drop_duplicates(["run_id", "step"])
    return frame.sort_values(["run_id", "step"], ignore_index=True)


class Stored(NamedTuple):
    """What the trajectory files of a folder hold.

    steps: of every run in a whole, readable file, the last step it is known at;
    damaged: of every other file, what is wrong with it; twice: runs in several files.
    """

    steps: dict[str, int]
    damaged: dict[Path, str]
    twice: set[str]


def stored(path: Path) -> Stored:
    """Reads every trajectory file whole: what cannot be read is not done."""
    found = Stored({}, {}, set())
    for file in batch_files(path):
        try:
            own = _last_steps(_read_batch(file, whole=True))
        except (OSError, ValueError, pa.ArrowException) as error:
            found.damaged[file] = reason(error)
            continue
        found.twice.update(own.keys() & found.steps.keys())
        for run_id, step in own.items():
            found.steps[run_id] = max(step, found.steps.get(run_id, step))
    return found


def _last_steps(table: pa.Table) -> dict[str, int]:
    ids = table["run_id"].cast(pa.string())
    plain = pa.table({"run_id": ids, "step": table["step"]})
    last = plain.group_by("run_id").aggregate([("step", "max")])
    return dict(
        zip(last["run_id"].to_pylist(), last["step_max"].to_pylist(), strict=True)
    )


def keep_longest(path: Path) -> None:
    """Takes runs out of the files where others of them go further, or as far.

    So that every run stands once, also for those who read the files themselves. The
    longer trajectory is on disk before the shorter one goes.
    """
    best: dict[str, tuple[int, Path]] = {}
    held: dict[Path, dict[str, int]] = {}
    for file in batch_files(path):
        held[file] = _last_steps(_read_batch(file, ["step"]))
        for run_id, step in held[file].items():
            if run_id not in best or step > best[run_id][0]:
                best[run_id] = (step, file)
    for file, runs in held.items():
        own = [run_id for run_id in runs if best[run_id][1] == file]
        if len(own) < len(runs):
            if own:
                _write_part(file, own)
            file.unlink()


def _write_part(file: Path, run_ids: Sequence[str]) -> None:
    """Some runs of a trajectory file as a file of their own, beside it."""
    table = _read_batch(file, run_ids=run_ids)
    known = json.loads((table.schema.metadata or {}).get(b"grokmap", b"{}"))
    _write_trajectories(file.parent, run_ids, table, known)


def set_aside(file: Path) -> Path:
    """Renames a damaged trajectory file so that no reader sees it; returns where."""
    aside = file.with_name(f"_damaged-{file.name}")
    try:
        os.replace(file, aside)
    except OSError as error:
        raise ResultError(f"{file}: cannot be set aside: {reason(error)}") from None
    return aside


def _run_ids(table: pa.Table) -> list[str]:
    return table["run_id"].unique().to_pylist()


def _read_batches(
    path: Path,
    unreadable: list[str],
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Each readable trajectory file; into `unreadable`, a line for each other one."""
    for file in batch_files(path):
        try:
            table = _read_batch(file, columns, run_ids)
        except (OSError, ValueError, pa.ArrowException) as error:
            unreadable.append(f"{file}: left out: {reason(error)}")
        else:
            yield table


def _read_batch(
    file: Path,
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
    whole: bool = False,
) -> pa.Table:
    """One trajectory file, run_id as a dictionary: a string a run, not a record.

    whole: check every byte against the digest in the file's name, and not only the
    pages that are read against their own checksums.

    Raises:
      OSError, pa.ArrowException: not readable as Parquet.
      ValueError: Parquet, but not of trajectories, or not as it was written.
    """
    if whole:
        _, dash, digest = file.stem.partition("-")
        if dash and digest != content_digest(file.read_bytes()):
            raise ValueError("not as it was written (checksum)")
    schema = pq.read_schema(file)
    lost = [name for name in ("run_id", "step", *REQUIRED) if name not in schema.names]
    if lost:
        raise ValueError(f"no column {lost[0]}, so not trajectories")
    ids = schema.field("run_id").type
    text = ids.value_type if pa.types.is_dictionary(ids) else ids
    numbers = [
        schema.field(n).type for n in schema.names if n not in ("run_id", "step")
    ]
    if not (
        (pa.types.is_string(text) or pa.types.is_large_string(text))
        and pa.types.is_integer(schema.field("step").type)
        and all(map(pa.types.is_floating, numbers))
    ):
        raise ValueError("columns of other types than trajectories have")
    wanted = None if columns is None else {"run_id", "step", *columns}
    keep = [name for name in schema.names if wanted is None or name in wanted]
    filters = None if run_ids is None else [("run_id", "in", list(run_ids))]
    return pq.read_table(
        file,
        columns=keep,
        filters=filters,
        read_dictionary=["run_id"],
        page_checksum_verification=True,
    )


def batch_files(path: Path) -> list[Path]:
    """The trajectory files of a result folder, in order of name.

    Raises:
      ResultError: no result folder, or its trajectories cannot be listed.
    """
    folder = result_dir(path) / TRAJECTORIES
    try:
        names = os.listdir(folder) if folder.exists() else []
    except OSError as error:
        raise ResultError(f"{folder}: cannot be read: {reason(error)}") from None
    return [
        folder / name
        for name in sorted(names)
        if name.endswith(".parquet") and not name.startswith((".", "_"))
    ]


def aside_files(path: Path) -> list[Path]:
    """Damaged trajectory files that were set aside."""
    return sorted((result_dir(path) / TRAJECTORIES).glob("_damaged-*"))


def batch_metadata(path: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Run ids and metadata of each readable trajectory file."""
    for file in batch_files(path):
        try:
            table = _read_batch(file, [])
            kept = (table.schema.metadata or {}).get(b"grokmap", b"{}")
            metadata = json.loads(kept)
        except (OSError, ValueError, pa.ArrowException):
            continue
        if isinstance(metadata, dict):
            yield _run_ids(table), metadata
