"""The only door to results/: what is written, where, and how it is read back.

    sweep.toml              the resolved spec
    provenance.json         versions, device, command and times of every session
    plan.parquet            one row a planned run: run_id, system, control, budget
    trajectories/*.parquet  one file a batch: run_id, step, one column a quantity
    runs.parquet            one row a run: labels, times, flags, final values, cost
    order-parameters.parquet   one row a quantity: values by phase, jumps, leads

Done = run ids present in readable trajectory files; nothing else is authoritative.
Every file is written under a temporary name, synced, then renamed: a name that exists
is a file that is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tomllib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from grokmap.errors import LockedError, ResultError
from grokmap.spec import CONTROL_FIELDS, SCHEMA_VERSION, Sweep

SPEC = "sweep.toml"
PROVENANCE = "provenance.json"
PLAN = "plan.parquet"
TRAJECTORIES = "trajectories"
RUNS = "runs.parquet"
LOCK = ".lock"
PLAN_COLUMNS = ("run_id", "decay_rate", "horizon", "seed", *CONTROL_FIELDS)
# What labels are made of: a file without them is no trajectory file.
REQUIRED = ("train_accuracy", "test_accuracy", "train_loss", "zero_loss_fraction")
LABELS_READ = (*REQUIRED, "weight_norm")
WAITING = 2  # batches a writer holds before it makes its caller wait
PART_ROWS = 2**19  # of trajectories held at once where all of a sweep is read
BYTES_A_RUN = 500  # of plan.parquet and runs.parquet together; measured
BYTES_A_VALUE = 4  # of a trajectory file, compressed; measured on the quickstart


def result_dir(path: Path) -> Path:
    """`path`, if it is a sweep's result folder.

    Raises:
      ResultError: nothing there, not a folder, or a folder of something else.
    """
    if not path.exists():
        raise ResultError(f"{path}: no such folder; `grokmap sweep` makes results")
    if not path.is_dir():
        raise ResultError(f"{path}: a file; name the folder of a sweep's results")
    if not (path / SPEC).is_file():
        raise ResultError(f"{path}: no {SPEC} in it, so not the result of a sweep")
    return path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Makes the folder and holds it for writing; the lock dies with the process.

    Raises:
      LockedError: another live process holds it.
      ResultError: the folder cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = (path / LOCK).open("a+")
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip() or "another process"
            raise LockedError(f"{path}: being written by {owner}") from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def write_spec(path: Path, sweep: Sweep) -> None:
    """Writes the resolved spec: every key, axes as lists."""
    _replace(path / SPEC, tomli_w.dumps(sweep.resolved()).encode())


def read_spec(path: Path) -> Sweep:
    """The sweep of a result folder.

    Raises:
      ResultError: no result folder, or its spec is unreadable.
    """
    file = result_dir(path) / SPEC
    try:
        return Sweep.from_resolved(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise ResultError(f"{file}: damaged: {_reason(error)}") from None


def write_plan(path: Path, plan: pd.DataFrame) -> None:
    """Writes the planned runs, one row each (`plan.plan_table`)."""
    _write_table(path / PLAN, pa.Table.from_pandas(plan, preserve_index=False), {})


def read_plan(path: Path) -> pd.DataFrame:
    """The planned runs.

    Raises:
      ResultError: no result folder, or no sound plan in it.
    """
    file = result_dir(path) / PLAN
    if not file.is_file():
        raise ResultError(f"{file}: missing; the same `grokmap sweep` writes it again")
    try:
        plan = pq.read_table(file, page_checksum_verification=True).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise ResultError(f"{file}: damaged: {_reason(error)}") from None
    lost = [name for name in PLAN_COLUMNS if name not in plan]
    if lost or plan["run_id"].duplicated().any():
        what = f"has no {', '.join(lost)}" if lost else "has runs twice"
        raise ResultError(f"{file}: {what}; the same `grokmap sweep` mends it")
    return plan


def write_batch(
    path: Path,
    run_ids: Sequence[str],
    run: npt.NDArray[np.int64],
    step: npt.NDArray[np.int64],
    columns: Sequence[str],
    values: npt.NDArray[np.float32],
    metadata: dict[str, Any],
) -> Path:
    """Writes the trajectories of one batch as one file, named by its runs.

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
    digest = hashlib.blake2b("".join(run_ids).encode(), digest_size=8).hexdigest()
    file = path / TRAJECTORIES / f"{digest}.parquet"
    _write_table(file, table, metadata)
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
        self._waiting: deque[Future[Path]] = deque()

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
        while self._waiting and (
            len(self._waiting) >= WAITING or self._waiting[0].done()
        ):
            self._waiting.popleft().result()
        batch = (self._path, run_ids, run, step, columns, values, metadata)
        self._waiting.append(self._thread.submit(write_batch, *batch))

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
    """Files as one sorted table; of a record that stands twice, the first."""
    plain = [
        table.set_column(i, "run_id", table["run_id"].cast(pa.string()))
        for table in tables
        for i in [table.schema.get_field_index("run_id")]
    ]
    frame = pa.concat_tables(plain, promote_options="permissive").to_pandas()
    frame = frame.drop_duplicates(["run_id", "step"])
    return frame.sort_values(["run_id", "step"], ignore_index=True)


def done_ids(path: Path) -> tuple[set[str], list[str]]:
    """Ids of the runs in readable trajectory files, and a line for each other file."""
    unreadable: list[str] = []
    verdict = "set aside, its runs are done again"
    # All of it is decoded: what `read_trajectories` sets aside is not done.
    tables = _read_batches(path, unreadable, verdict=verdict)
    ids = {run_id for table in tables for run_id in _run_ids(table)}
    return ids, unreadable


def _run_ids(table: pa.Table) -> list[str]:
    return table["run_id"].unique().to_pylist()


def _read_batches(
    path: Path,
    unreadable: list[str],
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
    verdict: str = "set aside",
) -> Iterator[pa.Table]:
    """Each readable trajectory file; into `unreadable`, a line for each other one."""
    for file in batch_files(path):
        try:
            table = _read_batch(file, columns, run_ids)
        except (OSError, ValueError, pa.ArrowException) as error:
            unreadable.append(f"{file}: {verdict}: {_reason(error)}")
        else:
            yield table


def _read_batch(
    file: Path,
    columns: Sequence[str] | None = None,
    run_ids: Sequence[str] | None = None,
) -> pa.Table:
    """One trajectory file, run_id as a dictionary: a string a run, not a record.

    Raises:
      OSError, pa.ArrowException: not readable as Parquet.
      ValueError: Parquet, but not of trajectories.
    """
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


def _reason(error: BaseException) -> str:
    """The first line of an error's own words."""
    text = getattr(error, "strerror", None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def batch_files(path: Path) -> list[Path]:
    """The trajectory files of a result folder, in order of name.

    Raises:
      ResultError: no result folder, or its trajectories cannot be listed.
    """
    folder = result_dir(path) / TRAJECTORIES
    try:
        names = os.listdir(folder) if folder.exists() else []
    except OSError as error:
        raise ResultError(f"{folder}: cannot be read: {_reason(error)}") from None
    return [
        folder / name
        for name in sorted(names)
        if name.endswith(".parquet") and not name.startswith((".", "_"))
    ]


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


def write_found(path: Path, found: pd.DataFrame, name: str = RUNS) -> Path:
    """Writes what was found of a sweep, such as the classified runs, one row each."""
    table = pa.Table.from_pandas(found, preserve_index=False)
    _write_table(path / name, table, {})
    return path / name


def add_session(path: Path, session: dict[str, Any]) -> None:
    """Adds one session to provenance.json."""
    file = path / PROVENANCE
    sessions = []
    if file.is_file():
        try:
            sessions = json.loads(file.read_text(encoding="utf-8"))["sessions"]
        except (OSError, ValueError, KeyError):
            # Not ours to delete: kept beside the new file.
            file.rename(file.with_suffix(".unreadable.json"))
    document = {"schema_version": SCHEMA_VERSION, "sessions": [*sessions, session]}
    _replace(file, (json.dumps(document, indent=2) + "\n").encode())


def _write_table(file: Path, table: pa.Table, metadata: dict[str, Any]) -> None:
    known = {"schema_version": SCHEMA_VERSION, **metadata}
    kept = {**(table.schema.metadata or {}), b"grokmap": json.dumps(known).encode()}
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(kept)
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    _replace(file, sink.getvalue().to_pybytes())


def _replace(file: Path, data: bytes) -> None:
    """Writes `file` so that its name only ever shows a whole file."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResultError(f"{file}: cannot be written: {_reason(error)}") from None
