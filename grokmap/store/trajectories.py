"""Trajectory files: one a batch, named by its runs and the digest of its bytes."""

from __future__ import annotations

import math
import re
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
import pyarrow.compute as pc

from grokmap import disk
from grokmap.arrays import Ints
from grokmap.disk import reason
from grokmap.errors import ResultError
from grokmap.spec.kernels import Kernels, is_kernel_column, kernel_columns, matrices
from grokmap.store.contents import RUN_ID
from grokmap.store.files import (
    MAX_FILE_BYTES,
    TRAJECTORIES,
    UNREADABLE,
    VALUES_A_BYTE,
    content_digest,
    digest_of,
    file_digest,
    is_text,
    metadata_of,
    parquet_bytes,
    read_schema,
    read_table,
    result_dir,
)

# What labels are made of: a file without them is no trajectory file.
REQUIRED = ("train_accuracy", "test_accuracy", "train_loss", "zero_loss_fraction")
# Of sweeps that hold kinds of examples out of both sets.
HELD_OUT = ("held_out_loss", "held_out_accuracy")
LABELS_READ = (*REQUIRED, "test_loss", "weight_norm", *HELD_OUT)
WAITING = 2  # batches a writer holds before it makes its caller wait
PART_ROWS = 2**19  # of trajectories held at once where all of a sweep is read
BYTES_A_RUN = 500  # of plan.parquet and runs.parquet together; measured
BYTES_A_VALUE = 2.5  # of a trajectory file, compressed; measured: 2.1 to 2.7
MOST_AT_ONCE = 2**26  # values read at once, unless the files are as large themselves
MOST_RUNS, MOST_RUNS_A_FILE = 2**21, 2**18
_FILE = "_file"
_RUN_ID = re.compile(RUN_ID)


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
    return _write_trajectories(path, run_ids, table, metadata)


def _write_trajectories(
    path: Path, run_ids: Sequence[str], table: pa.Table, metadata: dict[str, Any]
) -> Path:
    # Plain strings, as in the other tables: polars joins no categories with strings.
    place = table.schema.get_field_index("run_id")
    ids = table["run_id"].cast(pa.string())
    data = parquet_bytes(table.set_column(place, "run_id", ids), metadata)
    name = f"{digest_of(run_ids)}-{content_digest(data)}.parquet"
    return disk.write_file(path, f"{TRAJECTORIES}/{name}", data)


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
        """Hands `write_batch` to the thread: no argument may be modified afterwards."""
        batch = (self._path, run_ids, run, step, columns, values, metadata)
        self.submit(write_batch, *batch)

    def submit(self, write: Callable[..., object], *arguments: Any) -> None:
        """Calls write(*arguments) in the thread, after all earlier calls."""
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
      columns: quantities wanted beside run_id and step (default: all; entries of
        tangent kernels are no quantities, see `read_kernels`).
      run_ids: runs wanted (default: all).

    Returns:
      The table (run_id, step, float32 columns with NaN for null), and a line for each
      file that could not be read.
    """
    unreadable: list[str] = []
    tables = []
    values, size = 0, 0
    for file, table in _read_batches(path, unreadable, columns, run_ids):
        tables.append(table)
        values += table.num_rows * table.num_columns
        size += file.stat().st_size
        if values > max(MOST_AT_ONCE, VALUES_A_BYTE * size):
            raise ResultError(f"{path}: over {values} values; too many at once")
    if not tables:
        names = ["run_id", "step", *(columns or REQUIRED)]
        return pd.DataFrame({name: [] for name in names}), unreadable
    return _frame(tables), unreadable


def trajectory_parts(
    path: Path,
    unreadable: list[str],
    columns: Sequence[str] | None = None,
    made: list[tuple[list[str], Origin]] | None = None,
) -> Iterator[pd.DataFrame]:
    """The trajectories as `read_trajectories` has them, but a few files at a time.

    The last part that has a run has all of it: runs that stand in several files come
    once more at the end, together. A line is appended to `unreadable` for each file
    that could not be read, and to `made`, if it is given, what `origins` says of each.
    """
    tables: list[pa.Table] = []
    seen: set[str] = set()
    again: set[str] = set()
    for _, table in _read_batches(path, unreadable, columns):
        ids = _run_ids(table)
        again.update(seen.intersection(ids))
        seen.update(ids)
        _refuse_crowd(path, len(seen))
        if made is not None:
            made.append((ids, _origin_of(metadata_of(table.schema))))
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


def stored(path: Path, whole: bool = True) -> Stored:
    """Reads every trajectory file: what cannot be read is not done.

    whole: every byte of it is checked; else only what says which runs it holds.
    """
    content = Stored({}, {}, set())
    for file in batch_files(path):
        try:
            last_steps = last_steps_in(
                read_batch(file, None if whole else [], None, whole)
            )
        except UNREADABLE as error:
            content.damaged[file] = reason(error)
            continue
        content.twice.update(last_steps.keys() & content.steps.keys())
        for run_id, step in last_steps.items():
            content.steps[run_id] = max(step, content.steps.get(run_id, step))
        _refuse_crowd(path, len(content.steps))
    return content


def _refuse_crowd(path: Path, n_runs: int) -> None:
    """Raises ResultError where there are more runs than sweeps may have."""
    if n_runs > MOST_RUNS:
        folder = path / TRAJECTORIES
        raise ResultError(f"{folder}: over {MOST_RUNS} runs, more than any sweep has")


def last_steps_in(table: pa.Table) -> dict[str, int]:
    """The last step of every run of a trajectory file."""
    ids = table["run_id"].cast(pa.string())
    plain = pa.table({"run_id": ids, "step": table["step"]})
    last = plain.group_by("run_id").aggregate([("step", "max")])
    return dict(
        zip(last["run_id"].to_pylist(), last["step_max"].to_pylist(), strict=True)
    )


def keep_longest(path: Path) -> None:
    """Leaves each run only in the file where it goes furthest.

    So that every run is there once, also for those who read the files directly. The
    longer trajectory is on disk before the shorter one goes. Files of other programs
    stay as they are.
    """
    best: dict[str, tuple[int, Path]] = {}
    held: dict[Path, dict[str, int]] = {}
    for file, table in _read_batches(path, [], []):
        last_steps = last_steps_in(table)
        if "schema_version" in metadata_of(table.schema):
            held[file] = last_steps
        for run_id, step in last_steps.items():
            if run_id not in best or step > best[run_id][0]:
                best[run_id] = (step, file)
    for file, runs in held.items():
        kept = [run_id for run_id in runs if best[run_id][1] == file]
        if len(kept) < len(runs):
            if kept:
                write_part(path, file, kept)
            disk.remove(path, f"{TRAJECTORIES}/{file.name}")


def write_part(path: Path, file: Path, run_ids: Sequence[str]) -> Path:
    """Some runs of a trajectory file as a file of their own in the folder."""
    table = read_batch(file, run_ids=run_ids)
    return _write_trajectories(path, run_ids, table, metadata_of(table.schema))


def set_aside(path: Path, file: Path) -> Path:
    """Renames a damaged trajectory file so that no reader sees it; returns where."""
    aside = f"_damaged-{file.name}"
    return file.with_name(disk.rename(path, f"{TRAJECTORIES}/{file.name}", aside))


def _run_ids(table: pa.Table) -> list[str]:
    return table["run_id"].unique().to_pylist()


def _read_batches(
    path: Path,
    unreadable: list[str],
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
) -> Iterator[tuple[Path, pa.Table]]:
    """Each readable trajectory file; into `unreadable`, a line for each other one."""
    for file in batch_files(path):
        try:
            table = read_batch(file, _quantities(file, columns), run_ids)
        except UNREADABLE as error:
            unreadable.append(f"{file}: left out: {reason(error)}")
        else:
            yield file, table


def _quantities(file: Path, columns: Sequence[str] | None) -> Sequence[str]:
    """`columns`, or all but those of kernels, which are read by name alone."""
    if columns is not None:
        return columns
    return [name for name in read_schema(file).names if not is_kernel_column(name)]


def read_kernels(
    path: Path, run_ids: Sequence[str], examples: Ints
) -> dict[str, Kernels]:
    """The tangent kernels recorded along runs, by run id.

    examples: [m] rows between which they were.

    Raises:
      ResultError: trajectories without kernels of m examples.
    """
    columns = kernel_columns(len(examples))
    records, _ = read_trajectories(path, columns, run_ids)
    missing = [name for name in columns if name not in records]
    if missing:
        raise ResultError(f"{path}: no column {missing[0]} in its trajectories")
    found = {}
    for run_id, rows in records.groupby("run_id", sort=False):
        entries = rows[list(columns)].to_numpy(np.float64)
        due = ~np.isnan(entries).all(axis=1)
        values = matrices(len(examples), entries[due])
        steps = rows["step"].to_numpy(np.int64)[due]
        found[str(run_id)] = Kernels(steps, examples, values)
    return found


def read_batch(
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
        with disk.opened(file, MAX_FILE_BYTES) as content:
            if dash and digest != file_digest(content):
                raise ValueError("not as it was written (checksum)")
    schema = read_schema(file)
    _check_schema(schema)
    wanted = None if columns is None else {"run_id", "step", *columns}
    keep = [name for name in schema.names if wanted is None or name in wanted]
    filters = None if run_ids is None else [("run_id", "in", list(run_ids))]
    table = read_table(file, keep, filters)
    _check_places(table)
    return table


def _check_schema(schema: pa.Schema) -> None:
    """Raises ValueError: not the columns of trajectories."""
    lost = [name for name in ("run_id", "step", *REQUIRED) if name not in schema.names]
    if lost:
        raise ValueError(f"no column {lost[0]}, so not trajectories")
    numbers = [field.type for field in schema if field.name not in ("run_id", "step")]
    if not (
        is_text(schema.field("run_id").type)
        and pa.types.is_integer(schema.field("step").type)
        and all(map(pa.types.is_floating, numbers))
    ):
        raise ValueError("columns of other types than trajectories have")


def _check_places(table: pa.Table) -> None:
    """Raises ValueError: rows without a run or a step, or of what can be neither."""
    steps = table["step"].cast(pa.int64())
    if table["run_id"].null_count or steps.null_count:
        raise ValueError("rows without run_id or step")
    ids = _run_ids(table)
    if len(ids) > MOST_RUNS_A_FILE or not all(map(_RUN_ID.fullmatch, ids)):
        raise ValueError("run ids that no run can have")
    if len(steps) and pc.min(steps).as_py() < 0:
        raise ValueError("steps below 0")


def batch_files(path: Path) -> list[Path]:
    """The trajectory files of a result folder, in order of name.

    Raises:
      ResultError: no result folder, or its trajectories cannot be listed.
    """
    folder = result_dir(path) / TRAJECTORIES
    return [folder / name for name in disk.names_in(folder) if is_batch_name(name)]


def is_batch_name(name: str) -> bool:
    """Whether a file of this name is one of trajectories, by its name."""
    return name.endswith(".parquet") and not name.startswith((".", "_"))


def aside_files(path: Path) -> list[Path]:
    """Damaged trajectory files that were set aside."""
    folder = result_dir(path) / TRAJECTORIES
    return [folder / n for n in disk.names_in(folder) if n.startswith("_damaged-")]


class Origin(NamedTuple):
    """What a trajectory file says of how it was made.

    seconds: wall time of training its runs, NaN if not said; lanes, tile: None if not;
    facts: all of it, as it stands there.
    """

    seconds: float
    lanes: int | None
    tile: int | None
    facts: dict[str, Any]


def origins(path: Path) -> Iterator[tuple[list[str], Origin]]:
    """Run ids and origin of each readable trajectory file."""
    for _, table in _read_batches(path, [], []):
        yield _run_ids(table), _origin_of(metadata_of(table.schema))


def _origin_of(facts: dict[str, Any]) -> Origin:
    """The facts that are read again, each only if it can be what it says."""
    seconds = facts.get("seconds")
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
        seconds = math.nan
    return Origin(
        float(seconds), _whole(facts.get("lanes")), _whole(facts.get("tile")), facts
    )


def _whole(value: Any) -> int | None:
    """A count of a file's origin; None for what is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 < value < 2**31 else None
