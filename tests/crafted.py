"""Result folders that are damaged or made to harm, by name, for `test_crafted`.

Each function takes a sound result folder `r` to spoil, and a folder `out` beside it
that holds what nobody may touch.
"""

from __future__ import annotations

import io
import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grokmap import store
from grokmap.engine.schedule import Kept
from grokmap.session import checkpoint

Craft = Callable[[Path, Path], None]
FORGED = "x\x1b[2J\ngrokmap: all is well\u202e"
# What stands in `out`, of every kind that grokmap removes, renames or replaces.
FOREIGN = ("a.npz", "latest.npz", "t.parquet", ".x.tmp", "note.txt", "sweep.toml")


def link(name: str, target: str = "") -> Craft:
    """A link in place of `name`, to `target` in the foreign folder."""

    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        (r / name).symlink_to(out / target)

    return craft


def link_to(name: str, target: str) -> Craft:
    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        (r / name).symlink_to(target)

    return craft


def pipe(name: str) -> Craft:
    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        os.mkfifo(r / name)

    return craft


def folder(name: str) -> Craft:
    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        (r / name).mkdir()
        (r / name / "mine.txt").write_text("mine")

    return craft


def content(name: str, data: bytes | str) -> Craft:
    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        (r / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return craft


def sparse(name: str, size: int = 1 << 40) -> Craft:
    """A file that says it is a terabyte, and takes no room."""

    def craft(r: Path, out: Path) -> None:
        clear(r / name)
        with (r / name).open("wb") as file:
            file.truncate(size)

    return craft


def clear(path: Path) -> None:
    """Room for something of this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        for inside in path.iterdir():
            clear(inside)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def table(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Craft:
    """A table of the result, changed."""

    def craft(r: Path, out: Path) -> None:
        file = r / name
        change(pq.read_table(file).to_pandas()).to_parquet(file)

    return craft


def arrow(name: str, change: Callable[[pa.Table], pa.Table]) -> Craft:
    def craft(r: Path, out: Path) -> None:
        file = r / name
        pq.write_table(change(pq.read_table(file)), file, compression="zstd")

    return craft


def trajectories(change: Callable[[pa.Table], pa.Table]) -> Craft:
    """The trajectories, changed, under a name that has no checksum to fail."""

    def craft(r: Path, out: Path) -> None:
        (file,) = store.batch_files(r)
        changed = change(pq.read_table(file))
        file.unlink()
        pq.write_table(changed, r / "trajectories/changed.parquet", compression="zstd")

    return craft


def spec(old: str, new: str) -> Craft:
    def craft(r: Path, out: Path) -> None:
        text = (r / "sweep.toml").read_text()
        assert old in text
        (r / "sweep.toml").write_text(text.replace(old, new, 1))

    return craft


def origin(**facts: Any) -> Craft:
    """What the trajectories say of how they were made, changed."""

    def change(found: pa.Table) -> pa.Table:
        known = json.loads(found.schema.metadata[b"grokmap"]) | facts
        return found.replace_schema_metadata({b"grokmap": json.dumps(known).encode()})

    return trajectories(change)


def with_column(found: pa.Table, name: str, values: Any) -> pa.Table:
    place = found.schema.get_field_index(name)
    return found.set_column(place, name, pa.array(values))


def many_rows(name: str, n: int, part: int = 10**6) -> Craft:
    """A table's first row, n times: run lengths make it a small file."""

    def craft(r: Path, out: Path) -> None:
        whole = name == "trajectories"
        (file,) = store.batch_files(r) if whole else [r / name]
        first = pq.read_table(file).slice(0, 1)
        again = first.take(pa.array(np.zeros(part, np.int32)))
        file.unlink()
        target = file.with_name("many.parquet") if whole else file
        with pq.ParquetWriter(target, first.schema, compression="zstd") as writer:
            for _ in range(n // part):
                writer.write_table(again)

    return craft


def kept(run_id: str, **changes: Any) -> Kept:
    columns = ("train_loss", "test_loss")
    values = np.zeros((3, 2), np.float32)
    facts = {
        "run_id": run_id,
        "step": 100,
        "steps": np.array([0, 1, 2]),
        "values": values,
        "columns": columns,
        "state": (np.zeros(3, np.float32),),
        "made_by": "{}",
        "seconds": 1.0,
    }
    return Kept(**(facts | changes))


def checkpoint_of(**changes: Any) -> Craft:
    """A checkpoint of one run that is not done, with changed facts."""

    def craft(r: Path, out: Path) -> None:
        checkpoint.write_latest(r, [kept(missing_run(r), **changes)])

    return craft


def missing_run(r: Path) -> str:
    """Takes one run out of the trajectories; its id."""
    (file,) = store.batch_files(r)
    found = pq.read_table(file)
    run_id = found["run_id"][0].as_py()
    rest = found.filter(pa.compute.not_equal(found["run_id"].cast(pa.string()), run_id))
    file.unlink()
    pq.write_table(rest, r / "trajectories/rest.parquet")
    return str(run_id)


def header(text: str | Callable[[dict[str, Any]], Any]) -> Craft:
    """A checkpoint whose header is another text, or is changed."""

    def craft(r: Path, out: Path) -> None:
        checkpoint.write_latest(r, [kept(missing_run(r))])
        file = r / "checkpoints/latest.npz"
        arrays = dict(np.load(file))
        known = json.loads(arrays["header"].tobytes())
        new = text if isinstance(text, str) else json.dumps(text(known))
        arrays["header"] = np.frombuffer(new.encode(), np.uint8)
        np.savez(file, **arrays)

    return craft


def first_run(**facts: Any) -> Craft:
    def change(known: dict[str, Any]) -> dict[str, Any]:
        known["runs"][0] |= facts
        return known

    return header(change)


def npz(name: str, member: bytes, compress: bool = False) -> Craft:
    """An npz file with one raw member, `header.npy`."""

    def craft(r: Path, out: Path) -> None:
        missing_run(r)
        clear(r / name)
        how = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        with zipfile.ZipFile(r / name, "w", how) as file:
            file.writestr("header.npy", member)

    return craft


def array_header(shape: str, kind: str = "|u1") -> bytes:
    sink = io.BytesIO()
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    sink.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
    return sink.getvalue()


def points(**changes: Any) -> Craft:
    """Points beside the grid, one of whose columns is changed."""

    def craft(r: Path, out: Path) -> None:
        plan = store.read_plan(r)
        axes = [c for c in plan if c in store.read_spec(r).swept]
        own = plan[axes].head(1).assign(alpha=0.15, round=1)
        own.assign(**changes).to_parquet(r / "points.parquet")

    return craft


def sock(r: Path, out: Path) -> None:
    here = os.getcwd()
    os.chdir(r / "trajectories")  # a socket's name is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.parquet")
    finally:
        os.chdir(here)


def file_name(r: Path, out: Path) -> None:
    (r / "trajectories" / f"{FORGED}.parquet").write_bytes(b"no")
    os.rename(
        os.fsencode(r / "trajectories" / f"{FORGED}.parquet"),
        os.fsencode(r / "trajectories") + b"/\xff\xfe" + FORGED.encode() + b".parquet",
    )


def foreign_files(r: Path, out: Path) -> None:
    """Files that are not ours among our own."""
    (r / "checkpoints/ends").mkdir(parents=True)
    np.savez(r / "checkpoints/ends/mine.npz", a=np.arange(3))
    for name in (".mine.tmp", ".grokmap-mine.tmp", "trajectories/.mine.tmp"):
        (r / name).write_text("mine")
    pd.DataFrame({"mine": [1]}).to_parquet(r / "failed.parquet")


def invalid_text(found: pa.Table) -> pa.Table:
    """A column of strings that are no UTF-8."""
    bad = pa.array([b"\xff\xfe"] * len(found)).view(pa.string())
    return with_column(found, "run_id", bad)


def long_texts(found: pa.Table) -> pa.Table:
    """Words of a megabyte each, the same in every row of very many."""
    again = found.take(pa.array(np.resize(np.arange(len(found)), 10**5)))
    for name in ("task", "model"):
        indices = pa.array(np.zeros(len(again), np.int32))
        words = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 10**6]))
        place = again.schema.get_field_index(name)
        again = again.set_column(place, name, words)
    return again


def deep_json(depth: int = 100_000) -> str:
    return "[" * depth + "]" * depth


def twice(found: pa.Table) -> pa.Table:
    return found.append_column("run_id", found["run_id"])


CRAFTED: dict[str, Craft] = {
    # links inside the folder
    "ends are a link": link("checkpoints/ends"),
    "checkpoints are a link": link("checkpoints"),
    "weights are a link": link("weights"),
    "trajectories are a link": link("trajectories"),
    "figures are a link": link("figures"),
    "the labels are a link": link("runs.parquet", "t.parquet"),
    "the plan is a link": link("plan.parquet", "t.parquet"),
    "the sessions are a link": link("provenance.json", "note.txt"),
    "the spec is a link": link("sweep.toml", "sweep.toml"),
    "the lock is a link": link(".lock", "note.txt"),
    "the points are a link": link("points.parquet", "t.parquet"),
    "failures are a link": link("failed.parquet", "t.parquet"),
    "a figure is a link": link("figures/phase-diagram.png", "note.txt"),
    "a table is a link": link("uncertainty.parquet", "note.txt"),
    "the checkpoint is a link": link("checkpoints/latest.npz", "latest.npz"),
    "the previous one is a link": link("checkpoints/previous.npz", "latest.npz"),
    "a trajectory file is a link": link("trajectories/x.parquet", "t.parquet"),
    "an end is a link": link("checkpoints/ends/a.npz", "a.npz"),
    "a link to nothing": link("trajectories", "nothing"),
    "a loop of links": link_to("figures", "figures"),
    "foreign files": foreign_files,
    # special files
    "a pipe among trajectories": pipe("trajectories/x.parquet"),
    "the spec is a pipe": pipe("sweep.toml"),
    "the plan is a pipe": pipe("plan.parquet"),
    "the sessions are a pipe": pipe("provenance.json"),
    "the points are a pipe": pipe("points.parquet"),
    "the labels are a pipe": pipe("runs.parquet"),
    "the lock is a pipe": pipe(".lock"),
    "the checkpoint is a pipe": pipe("checkpoints/latest.npz"),
    "an end is a pipe": pipe("checkpoints/ends/x.npz"),
    "zeros without end, trajectories": link_to("trajectories/x.parquet", "/dev/zero"),
    "zeros without end, spec": link_to("sweep.toml", "/dev/zero"),
    "zeros without end, plan": link_to("plan.parquet", "/dev/zero"),
    "zeros without end, checkpoint": link_to("checkpoints/latest.npz", "/dev/zero"),
    "a socket": sock,
    "the plan is a folder": folder("plan.parquet"),
    "the spec is a folder": folder("sweep.toml"),
    "the labels are a folder": folder("runs.parquet"),
    "the lock is a folder": folder(".lock"),
    "the sessions are a folder": folder("provenance.json"),
    "a trajectory file is a folder": folder("trajectories/x.parquet"),
    "trajectories are a file": content("trajectories", "x"),
    "checkpoints are a file": content("checkpoints", "x"),
    "figures are a file": content("figures", "x"),
    "weights are a file": content("weights", "x"),
    # small files that say that they are large
    "a key of many parts": content("sweep.toml", "x" + ".a" * 20_000 + " = 1"),
    "a spec of many keys": content(
        "sweep.toml", "".join(f"k{i} = 1\n" for i in range(100_000))
    ),
    "a deep spec": content("sweep.toml", "x = " + deep_json(5_000)),
    "a sparse spec": sparse("sweep.toml"),
    "a sparse plan": sparse("plan.parquet"),
    "a sparse trajectory file": sparse("trajectories/x.parquet"),
    "a sparse trajectory file of a gigabyte": sparse("trajectories/x.parquet", 2**30),
    "a sparse checkpoint": sparse("checkpoints/latest.npz", 1 << 35),
    "sparse sessions": sparse("provenance.json"),
    "rows without end, trajectories": many_rows("trajectories", 10**8),
    "rows without end, plan": many_rows("plan.parquet", 10**8),
    "rows without end, labels": many_rows("runs.parquet", 3 * 10**7),
    "long texts, repeated": arrow("plan.parquet", long_texts),
    "columns without end": table(
        "plan.parquet",
        lambda t: t.join(pd.DataFrame(0, t.index, [f"c{i}" for i in range(5000)])),
    ),
    "deep sessions": content("provenance.json", deep_json()),
    # checkpoints
    "a checkpoint of shape 10^18": npz(
        "checkpoints/latest.npz", array_header("(1000000000000000000,)")
    ),
    "a checkpoint of 3 GB": npz(
        "checkpoints/latest.npz", array_header("(3000000000,)") + bytes(2**28), True
    ),
    "a checkpoint of negative shape": npz(
        "checkpoints/latest.npz", array_header("(-1, -8)") + bytes(8)
    ),
    "a checkpoint of objects": npz(
        "checkpoints/latest.npz", array_header("(1,)", "|O") + bytes(8)
    ),
    "a checkpoint that is no zip": content("checkpoints/latest.npz", "PK\x03\x04"),
    "a deep checkpoint": header(deep_json()),
    "a checkpoint without runs": header('{"schema_version": 1, "runs": []}'),
    "a checkpoint of a list": header("[1, 2]"),
    "a checkpoint of another schema": header('{"schema_version": "x", "runs": 1}'),
    "step 0": first_run(step=0),
    "step -1": first_run(step=-1),
    "step 10^18": first_run(step=10**18),
    "another step": first_run(step=1),
    "leaves without end": first_run(n_leaves=10**9),
    "columns that are numbers": first_run(columns=[1, {}]),
    "a run id that is a list": first_run(run_id=["x"]),
    "values of another shape": checkpoint_of(values=np.zeros((1, 7), np.float32)),
    "values of another type": checkpoint_of(values=np.zeros((3, 2), np.int64)),
    "steps of another shape": checkpoint_of(steps=np.zeros((3, 2), np.int64)),
    "a checkpoint of other settings": checkpoint_of(),
    # contents
    "weight decay below 0": points(weight_decay=-5.0),
    "a seed of half": points(seed=0.5),
    "a point that is no number": points(alpha="x"),
    "a point that is null": points(alpha=None),
    "an exponent of 7": points(alpha=7.0),
    "a seed of 2^63": points(seed=np.uint64(2**63)),
    "an unknown task": spec('"modular_addition"', '"nothing"'),
    "an unknown loss": spec('loss = "mse"', 'loss = "x"'),
    "an unknown order parameter": spec('"rqi"', '"nothing"'),
    "a width of half in the spec": spec("width = 128", "width = 1.5"),
    "a negative width in the spec": spec("width = 128", "width = -1"),
    "a key that is not known": spec("width = 128", "width = 128\nthing = 1"),
    "axes that are a number": spec("[axes]", "[[axes]]"),
    "a spec that is no UTF-8": content("sweep.toml", b"name = '\xff'"),
    "an unknown task in the plan": table("plan.parquet", lambda t: t.assign(task="x")),
    "a plan without run ids": table("plan.parquet", lambda t: t.drop(columns="run_id")),
    "a plan without alpha": table("plan.parquet", lambda t: t.drop(columns="alpha")),
    "run ids that are numbers": table("plan.parquet", lambda t: t.assign(run_id=1)),
    "run ids that are null": table("plan.parquet", lambda t: t.assign(run_id=None)),
    "run ids twice": table("plan.parquet", lambda t: pd.concat([t, t])),
    "a width of half in the plan": table("plan.parquet", lambda t: t.assign(width=1.5)),
    "an alpha of text": table("plan.parquet", lambda t: t.assign(alpha="x")),
    "a seed of 2^63 in the plan": table(
        "plan.parquet", lambda t: t.assign(seed=np.uint64(2**63))
    ),
    "decay rates of nothing": table(
        "plan.parquet", lambda t: t.assign(decay_rate=np.nan)
    ),
    "a horizon below 0": table("plan.parquet", lambda t: t.assign(horizon=-1.0)),
    "a column twice": arrow("plan.parquet", twice),
    "a plan that is no UTF-8": arrow("plan.parquet", invalid_text),
    "labels that are no UTF-8": arrow("runs.parquet", invalid_text),
    "an empty plan": table("plan.parquet", lambda t: t.head(0)),
    "no plan": lambda r, out: (r / "plan.parquet").unlink(),
    "no trajectories": lambda r, out: clear(r / "trajectories"),
    "no spec": lambda r, out: (r / "sweep.toml").unlink(),
    "an empty folder": lambda r, out: clear(r) or r.mkdir(),
    "a column of the plan that forges": table(
        "plan.parquet", lambda t: t.assign(**{FORGED: FORGED})
    ),
    "run ids that forge": trajectories(
        lambda t: with_column(t, "run_id", [FORGED] * len(t))
    ),
    "a file name that forges": file_name,
    "seconds that are a text": origin(seconds="x", lanes="y", tile=[1]),
    "seconds without end": origin(seconds=float("inf"), lanes=-1, tile=10**30),
    "a schema version of text": origin(schema_version="9"),
    "a schema version of 9": origin(schema_version=9),
    "facts that are a list": trajectories(
        lambda t: t.replace_schema_metadata({b"grokmap": b"[1]"})
    ),
    "deep facts": trajectories(
        lambda t: t.replace_schema_metadata({b"grokmap": deep_json().encode()})
    ),
    "sessions that are a number": content("provenance.json", '{"sessions": 3}'),
    "sessions that are no UTF-8": content("provenance.json", b"\xff"),
    "steps below 0": trajectories(
        lambda t: with_column(t, "step", np.full(len(t), -1))
    ),
    "steps of 2^63": trajectories(
        lambda t: with_column(t, "step", np.full(len(t), 2**63, np.uint64))
    ),
    "steps that are null": trajectories(
        lambda t: with_column(t, "step", pa.nulls(len(t), pa.int64()))
    ),
    "records without end": trajectories(
        lambda t: with_column(t, "train_loss", np.full(len(t), np.inf, np.float32))
    ),
    "no records": trajectories(lambda t: t.slice(0, 0)),
    "one record a run": trajectories(
        lambda t: t.filter(pa.compute.equal(t["step"], 0))
    ),
    "only nulls": trajectories(
        lambda t: with_column(t, "test_accuracy", pa.nulls(len(t), pa.float32()))
    ),
    "accuracies that are texts": trajectories(
        lambda t: with_column(t, "test_accuracy", ["x"] * len(t))
    ),
}
