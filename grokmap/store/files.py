"""Names in a result folder, and how a file gets there: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.spec.read import RESOLVED

SPEC = RESOLVED
PROVENANCE = "provenance.json"
PLAN = "plan.parquet"
TRAJECTORIES = "trajectories"
RUNS = "runs.parquet"
FAILED = "failed.parquet"
POINTS = "points.parquet"


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


def write_file(file: Path, data: bytes) -> None:
    """Writes `file` so that its name only ever shows a whole file.

    Raises:
      ResultError: it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    # Never through a link that somebody else laid there.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent.is_symlink():
            raise ResultError(
                f"{file.parent}: a link; results are written into folders"
            )
        with suppress(FileNotFoundError):
            temporary.unlink()
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as handle:
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
        raise ResultError(f"{file}: cannot be written: {reason(error)}") from None


def remove_leftovers(path: Path) -> None:
    """Removes what killed processes had not finished writing. Hold the lock."""
    for file in path.rglob(".*.tmp"):
        with suppress(OSError):
            file.unlink()


def write_table(file: Path, table: pa.Table, metadata: dict[str, Any]) -> None:
    write_file(file, parquet_bytes(table, metadata))


def parquet_bytes(table: pa.Table, metadata: dict[str, Any]) -> bytes:
    known = {"schema_version": SCHEMA_VERSION, **metadata}
    kept = {**(table.schema.metadata or {}), b"grokmap": json.dumps(known).encode()}
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(kept)
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def content_digest(data: bytes) -> str:
    """16 hex digits of a file's bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def digest_of(run_ids: Sequence[str]) -> str:
    """16 hex digits that name a file of these runs."""
    return hashlib.blake2b("".join(run_ids).encode(), digest_size=8).hexdigest()


def reason(error: BaseException) -> str:
    """The first line of an error's own words."""
    text = getattr(error, "strerror", None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
