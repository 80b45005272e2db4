"""Names in a result folder, and Parquet files: read within bounds, written whole."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from grokmap import disk
from grokmap.disk import reason
from grokmap.errors import ResultError
from grokmap.spec import SCHEMA_VERSION
from grokmap.spec.document import RESOLVED

SPEC = RESOLVED
PROVENANCE = "provenance.json"
PLAN = "plan.parquet"
TRAJECTORIES = "trajectories"
RUNS = "runs.parquet"
FAILED = "failed.parquet"
POINTS = "points.parquet"
CHECKPOINTS = "checkpoints"
ENDS = f"{CHECKPOINTS}/ends"
FIGURES = "figures"
WEIGHTS = "weights"
SHARDS = "shards"
SHARD = "shard.json"  # in a shard's own folder
PROGRESS = "progress.json"  # while a session writes the folder
FOLDERS = ("", TRAJECTORIES, CHECKPOINTS, ENDS, FIGURES, WEIGHTS)  # that we write into
OWN_FILES = (SPEC, PROVENANCE, PLAN, RUNS, FAILED, POINTS, SHARD, PROGRESS)
LATEST, PREVIOUS = "latest.npz", "previous.npz"
CHECKPOINT_FILES = (f"{CHECKPOINTS}/{LATEST}", f"{CHECKPOINTS}/{PREVIOUS}")

MAX_FILE_BYTES = 2**30
# A small file may say that it holds very much: values are bounded by these, or by what
# an honest file of its size could hold (about one byte a value).
MAX_VALUES, VALUES_A_BYTE = 2**25, 4
MAX_UNPACKED_BYTES, UNPACKED_A_BYTE = 2**28, 16
MAX_COLUMNS = 1000
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    pa.ArrowException,
)


def result_dir(path: Path) -> Path:
    """`path`, if it is a sweep's result folder.

    Raises:
      ResultError: nothing there, not a folder, or a folder of something else.
    """
    if not disk.exists(path):
        raise ResultError(f"{path}: no such folder; `grokmap sweep` makes results")
    if not path.is_dir():
        raise ResultError(f"{path}: a file; name the folder of a sweep's results")
    if not disk.exists(path / SPEC):
        if (path / SHARDS).is_dir():
            raise ResultError(
                f"{path}: its runs are in shards; `grokmap merge {path}` unites what "
                "they have done"
            )
        raise ResultError(f"{path}: no {SPEC} in it, so not the result of a sweep")
    return path


def refuse_links(path: Path) -> None:
    """Refuses a result in which a name of ours is a link or another kind of file.

    Before anything is trained whose results could then not be written. What lies in
    the place of a checkpoint, if it is no link, only costs time.

    Raises:
      ResultError: naming it.
    """
    for inside in (*FOLDERS[1:], *OWN_FILES, *CHECKPOINT_FILES):
        *parts, last = inside.split("/")
        try:
            with disk.folder(path, parts) as handle:
                disk.refuse_link(handle, last, path / inside)
                kind = disk.kind_of(handle, last)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ResultError(f"{path / inside}: {reason(error)}") from None
        if inside in FOLDERS and kind not in (None, stat.S_IFDIR):
            raise ResultError(f"{path / inside}: not a folder")
        if inside in OWN_FILES and kind not in (None, stat.S_IFREG):
            raise ResultError(f"{path / inside}: not a regular file")


def write_table(
    root: Path, name: str, table: pa.Table, metadata: dict[str, Any]
) -> Path:
    return disk.write_file(root, name, parquet_bytes(table, metadata))


def parquet_bytes(table: pa.Table, metadata: dict[str, Any]) -> bytes:
    known = {"schema_version": SCHEMA_VERSION, **metadata}
    kept = {**(table.schema.metadata or {}), b"grokmap": json.dumps(known).encode()}
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(kept)
    # Of numbers that hardly repeat, bytes of equal place compress to half of what
    # dictionaries of them take.
    real = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    pq.write_table(
        table,
        sink,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[name for name in table.column_names if name not in real],
        use_byte_stream_split=real,
    )
    return bytes(sink.getvalue().to_pybytes())


def read_table(
    file: Path,
    columns: Sequence[str] | None = None,
    filters: Any = None,
    most_rows: int | None = None,
) -> pa.Table:
    """A Parquet file, its texts as dictionaries, page checksums checked.

    Args:
      columns: those wanted (default: all); filters: as of `pyarrow.parquet`.
      most_rows: rows allowed beside the bound on values.

    Raises:
      OSError, pa.ArrowException: not readable as Parquet.
      ValueError: not a regular file, or more than the bounds of this module.
    """
    with disk.opened(file, MAX_FILE_BYTES) as content:
        schema = checked_schema(content, most_rows)
        texts = [field.name for field in schema if is_text(field.type)]
        table = pq.read_table(
            content,
            columns=columns,
            filters=filters,
            read_dictionary=texts,
            page_checksum_verification=True,
        )
    table.validate(full=True)
    return table


def read_schema(file: Path) -> pa.Schema:
    """The schema of a Parquet file, its metadata with it; raises as `read_table`."""
    with disk.opened(file, MAX_FILE_BYTES) as content:
        return checked_schema(content)


def checked_schema(content: BinaryIO, most_rows: int | None = None) -> pa.Schema:
    """The schema of an open Parquet file, if what it says of its size is within bounds.

    Raises:
      ValueError: more rows, columns, values or bytes; or a name given twice.
    """
    size = content.seek(0, 2)
    facts = pq.ParquetFile(content)
    n_rows, n_columns = facts.metadata.num_rows, facts.metadata.num_columns
    if n_columns > MAX_COLUMNS:
        raise ValueError(f"{n_columns} columns; at most {MAX_COLUMNS}")
    most = max(MAX_VALUES, VALUES_A_BYTE * size)
    if n_rows * n_columns > most or (most_rows is not None and n_rows > most_rows):
        raise ValueError(f"{n_rows} rows of {n_columns} columns; too many to be read")
    groups = map(facts.metadata.row_group, range(facts.metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > max(MAX_UNPACKED_BYTES, UNPACKED_A_BYTE * size):
        raise ValueError(f"{unpacked} bytes when decompressed; too many to be read")
    schema = facts.schema_arrow
    if len(set(schema.names)) < len(schema.names):
        twice = next(n for n in schema.names if schema.names.count(n) > 1)
        raise ValueError(f"column {twice!r} is there twice")
    content.seek(0)
    return schema


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings, as they are or as a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def with_plain_texts(table: pa.Table) -> pa.Table:
    """The table with strings in place of dictionaries of them.

    Raises:
      ValueError: strings that are long and repeated, more than the bound in all.
    """
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(place).unify_dictionaries()
            words = column.chunk(0).dictionary if column.num_chunks else pa.array([])
            longest = max((len(word.as_py() or "") for word in words), default=0)
            if longest * len(column) > MAX_UNPACKED_BYTES:
                raise ValueError(
                    f"column {field.name!r}: over {MAX_UNPACKED_BYTES} bytes"
                )
            plain = column.cast(field.type.value_type).cast(pa.large_string())
            table = table.set_column(place, field.name, plain)
    return table


def metadata_of(schema: pa.Schema) -> dict[str, Any]:
    """What grokmap wrote of a Parquet file's origin; empty if it did not write it."""
    try:
        kept = json.loads((schema.metadata or {}).get(b"grokmap", b"{}"))
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def content_digest(data: bytes) -> str:
    """16 hex digits of a file's bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def file_digest(content: BinaryIO) -> str:
    """`content_digest` of an open file, a part at a time."""
    digest = hashlib.blake2b(digest_size=8)
    while part := content.read(1 << 20):
        digest.update(part)
    content.seek(0)
    return digest.hexdigest()


def digest_of(run_ids: Sequence[str]) -> str:
    """16 hex digits that name a file of these runs."""
    return hashlib.blake2b("".join(run_ids).encode(), digest_size=8).hexdigest()
