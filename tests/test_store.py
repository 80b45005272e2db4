from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import small_sweep

from grokmap import plan, store
from grokmap.errors import LockedError, ResultError
from grokmap.train import VOCABULARY

COLUMNS = ("train_loss", "train_accuracy", "test_accuracy", "zero_loss_fraction", "snr")


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result"
    sweep = small_sweep(seed="0,1")
    with store.locked(path):
        store.write_spec(path, sweep)
        planned = plan.plan(sweep, VOCABULARY)
        store.write_plan(path, plan.plan_table(planned, sweep, VOCABULARY))
    return path


def write(path: Path, ids: list[str], n_steps: int = 3) -> Path:
    run = np.repeat(np.arange(len(ids)), n_steps)
    step = np.tile(np.arange(n_steps), len(ids))
    values = np.arange(len(run) * 5, dtype=np.float32).reshape(-1, 5)
    values[0, 4], values[1, 4] = np.nan, np.inf
    return store.write_batch(path, ids, run, step, COLUMNS, values, {"seconds": 2.0})


def test_store_out_is_store_in(result: Path) -> None:
    write(result, ["b", "a"])
    write(result, ["c"])
    table, unreadable = store.read_trajectories(result)
    assert unreadable == []
    assert table["run_id"].tolist() == list("aaabbbccc")
    assert table["step"].tolist() == [0, 1, 2] * 3
    own = table[table["run_id"] == "b"]
    assert own["train_loss"].tolist() == [0, 5, 10]
    # Undefined and infinite values are null, never NaN in the file.
    assert own["snr"].isna().tolist() == [True, True, False]
    file = store.batch_files(result)[0]
    assert pq.read_table(file)["snr"].null_count == 2
    assert pq.read_schema(file).field("snr").type == pa.float32()
    some, _ = store.read_trajectories(result, ["train_loss"], ["a"])
    assert list(some.columns) == ["run_id", "step", "train_loss"] and len(some) == 3


def test_readable_by_pandas_in_one_line(result: Path) -> None:
    write(result, ["a", "b"])
    table = pd.read_parquet(result / "trajectories")
    assert set(table["run_id"]) == {"a", "b"} and len(table) == 6


def test_spec_and_plan_round_trip(result: Path) -> None:
    assert store.read_spec(result) == small_sweep(seed="0,1")
    table = store.read_plan(result)
    assert table["seed"].tolist() == [0, 1]
    assert table["alpha"].dtype == float


def test_metadata_carries_the_schema_version(result: Path) -> None:
    write(result, ["a"])
    ((ids, metadata),) = store.batch_metadata(result)
    assert ids == ["a"]
    assert metadata["schema_version"] == 1 and metadata["seconds"] == 2.0


def broken(path: Path) -> dict[str, Any]:
    """Files that are no trajectories, by the way they are not."""
    good = pq.read_table(write(path, ["z"]))
    write(path, ["z"]).unlink()
    text = good.set_column(2, "train_loss", pa.array(["x"] * 3))
    return {
        "truncated": lambda f: f.write_bytes(b"PAR1 and no more"),
        "empty": lambda f: f.write_bytes(b""),
        "no run_id": lambda f: pq.write_table(good.drop_columns("run_id"), f),
        "ids only": lambda f: pq.write_table(good.select(["run_id"]), f),
        "text": lambda f: pq.write_table(text, f),
        "a folder": lambda f: f.mkdir(),
    }


@pytest.mark.parametrize(
    "kind", ["truncated", "empty", "no run_id", "ids only", "text", "a folder"]
)
def test_foreign_files_are_set_aside_and_not_done(result: Path, kind: str) -> None:
    write(result, ["a"])
    broken(result)[kind](result / "trajectories" / "x.parquet")
    table, unreadable = store.read_trajectories(result)
    assert set(table["run_id"]) == {"a"}
    done, not_done = store.done_ids(result)
    assert done == {"a"}
    assert len(unreadable) == len(not_done) == 1
    assert "x.parquet: set aside" in unreadable[0] and "\n" not in unreadable[0]


def test_overwritten_bytes_are_neither_read_nor_done(result: Path) -> None:
    file = write(result, ["a"], n_steps=2000)
    data = bytearray(file.read_bytes())
    data[200:400] = b"\x00" * 200
    file.write_bytes(data)
    assert store.read_trajectories(result)[0].empty
    assert store.done_ids(result)[0] == set()


def test_half_written_files_are_not_seen(result: Path) -> None:
    write(result, ["a"])
    (result / "trajectories" / ".b.parquet.1.tmp").write_bytes(b"half")
    assert len(store.batch_files(result)) == 1


def test_lock_is_exclusive_and_ends_with_its_holder(tmp_path: Path) -> None:
    with store.locked(tmp_path):
        with pytest.raises(LockedError, match="being written by process"):
            with store.locked(tmp_path):
                pass
    with store.locked(tmp_path):
        pass


def test_what_is_no_result_is_refused(tmp_path: Path, result: Path) -> None:
    with pytest.raises(ResultError, match="no such folder"):
        store.read_plan(tmp_path / "none")
    with pytest.raises(ResultError, match="not the result of a sweep"):
        store.read_plan(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="a file"):
        store.read_spec(tmp_path / "file")
    (result / "sweep.toml").write_text("axes = 3")
    with pytest.raises(ResultError, match="damaged"):
        store.read_spec(result)
    (result / "plan.parquet").unlink()
    with pytest.raises(ResultError, match="missing"):
        store.read_plan(result)


def test_sessions_add_up(result: Path) -> None:
    import json

    store.add_session(result, {"n": 1})
    store.add_session(result, {"n": 2})
    file = result / store.PROVENANCE
    assert [s["n"] for s in json.loads(file.read_text())["sessions"]] == [1, 2]
    file.write_text("{")
    store.add_session(result, {"n": 3})
    assert [s["n"] for s in json.loads(file.read_text())["sessions"]] == [3]
    assert (result / "provenance.unreadable.json").read_text() == "{"
